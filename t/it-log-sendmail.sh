#!/bin/sh
# What became of each message, on a real sendmail: two next hops that accept, refuse and delay,
# one that isn't there, a queue that gives up after seconds, rotation and kill -9 in the
# middle. Each recipient gets exactly one terminal event of the right kind.
# shellcheck source=t/lib/it.sh disable=SC2154
. "${srcdir:-.}/t/lib/it.sh"
# shellcheck source=t/lib/sendmail.sh
. "$src/t/lib/sendmail.sh"
sendmail_need

it_begin smlog
port=$(it_port) one=$(it_port) two=$(it_port) dead=$(it_port) collector=$(it_port) milter=$(it_port)
n=${LOG_MESSAGES:-60}
mail=$src/t/lib/logmail.py
mkdir "$D/keys" "$D/spool"

cat >"$conf" <<END
host-name mail.example.com
smtp-listener 127.0.0.1:$port
<source 127.0.0.0/8>
    always-allow-relaying yes
    process-x-job yes
</source>
<domain *>
    bounce-after 20s
    retry-after 3s
</domain>
<signals-filter ours>
    sender-or-from sender.example enable-signals
</signals-filter>
enable-signals ours
$(conf_signals "$collector")
<signals>
    upload-interval 2s
</signals>
<milter>
    socket inet:$milter@127.0.0.1
    user ""
</milter>
<spool>
    directory $D/spool
    segment-age 1s
</spool>
<token-keys>
    directory $D/keys
</token-keys>
<mail-log>
    file $D/mta/log
    mta sendmail
</mail-log>
END


mkdir -p "$D/mta/etc"
cat >"$D/mta/etc/mailertable" <<END
one.example hop1:[127.0.0.1]
two.example hop2:[127.0.0.1]
dead.example hop3:[127.0.0.1]
gone.example local:nowhere
sender.example local:nowhere
other.example local:nowhere
END
sendmail_make mta "$conf" "$one" "$two" "$dead"
milter_start
for hop in one two; do
	eval "it_start sink-$hop python3 $mail sink \$$hop"
	it_wait 10 grep -q ready "$D/logs/sink-$hop" || it_bail "the sink does not start" "$D/logs/sink-$hop"
done
collector_start
sendmail_start mta 2s
daemon_start uploader

python3 "$mail" send "$port" 0 30 2 "$D/first" 1
out=$(python3 "$mail" wait "$D/collector.db" "$D/first" 240 "$D/mta/log*")
is "30 messages, nothing in the way" "$(echo "$out" | sed -n 2p)" "0 problems"
echo "$out" | sed 's/^/# /'

python3 "$mail" send "$port" 1000 "$n" 4 "$D/acked" 6 &
load=$!
i=0
while kill -0 "$load" 2>/dev/null; do
	i=$((i + 1))
	sleep 1
	case $((i % 3)) in
	1) mv "$D/mta/log" "$D/mta/log.$i" ;;
	2) it_stop uploader KILL && daemon_start uploader ;;
	0) it_stop milter KILL && milter_start ;;
	esac
done
wait "$load"
ok "$n messages were taken through $i rotations and kills" test -s "$D/acked"
out=$(python3 "$mail" wait "$D/collector.db" "$D/acked" $((240 + n / 100)) "$D/mta/log*")
is "each recipient has one terminal event of its kind, others' mail none" "$(echo "$out" | sed -n 2p)" "0 problems"
echo "$out" | sed 's/^/# /'
hasnt "nothing was lost sight of" "$(cat "$D/logs/uploader")" "may be missing"
ok "several recipients stood in one line of the log" grep -q 'to=<[^>]*>,<[^>]*>, .*stat=Sent' "$D"/mta/log*
it_done
