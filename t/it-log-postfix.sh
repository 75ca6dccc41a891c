#!/bin/sh
# What became of each message: a real Postfix, two next hops that accept, refuse and delay, one
# that isn't there, a queue that gives up after seconds; rotation by rename, by copy and
# truncation, and kill -9 of milter and uploader in the middle. Each recipient gets exactly one
# terminal event of the right kind, and mail that isn't ours none.
# LOG_MESSAGES=20000 makes it long.
# shellcheck source=t/lib/it.sh disable=SC2154
. "${srcdir:-.}/t/lib/it.sh"
it_need postfix postconf python3

it_begin log
port=$(it_port) one=$(it_port) two=$(it_port) dead=$(it_port) collector=$(it_port)
n=${LOG_MESSAGES:-400}
mail=$src/t/lib/logmail.py
mkdir "$D/keys" "$D/spool"
postfix_make mta
socket_folder

cat >"$conf" <<END
host-name mail.example.com
smtp-listener 127.0.0.1:$port
<source 127.0.0.0/8>
    always-allow-relaying yes
    process-x-job yes
</source>
<signals-filter ours>
    sender-or-from sender.example enable-signals
</signals-filter>
enable-signals ours
$(conf_signals "$collector")
<signals>
    upload-interval 2s
</signals>
$(conf_places)
<spool>
    segment-age 1s
</spool>
<mail-log>
    file $D/mta/log
</mail-log>
END

rotate() { # rotate N: by rename, and Postfix opens a new one
	[ ! -f "$D/mta/log" ] || mv "$D/mta/log" "$D/mta/log.$1"
	postfix_reload mta
}
postlogd() { # prints the process that writes Postfix's log, if there is one now
	master=$(tr -d ' \n' <"$D/mta/q/pid/master.pid")
	for file in /proc/[0-9]*/stat; do
		sed -n "s/^\([0-9]*\) (postlogd) [A-Z] $master .*/\1/p" "$file" 2>/dev/null
	done
}
rotate_copy() { # rotate_copy N: logrotate's copytruncate, but nothing is written in between
	writer=$(postlogd)
	[ -z "$writer" ] || kill -STOP "$writer"
	cp "$D/mta/log" "$D/mta/log.$1"
	: >"$D/mta/log"
	[ -z "$writer" ] || kill -CONT "$writer"
}

milter_start
postfix_setup mta
postfix_private mta
lifetime=20s
[ "$n" -le 1000 ] || lifetime=60s
postfix_conf mta "maximal_queue_lifetime=$lifetime" "bounce_queue_lifetime=$lifetime" minimal_backoff_time=3s \
	maximal_backoff_time=6s queue_run_delay=3s smtp_destination_rate_delay=0 \
	default_destination_concurrency_failed_cohort_limit=1000 smtpd_client_connection_rate_limit=0 \
	"transport_maps=inline:{one.example=smtp:[127.0.0.1]:$one, two.example=smtp:[127.0.0.1]:$two, dead.example=smtp:[127.0.0.1]:$dead, gone.example=discard:, sender.example=discard:, other.example=discard:}"
for hop in one two; do
	eval "it_start sink-$hop python3 $mail sink \$$hop"
	it_wait 10 grep -q ready "$D/logs/sink-$hop" || it_bail "the sink does not start" "$D/logs/sink-$hop"
done
collector_start
postfix_start mta
daemon_start uploader

# ---- one by one ----

python3 "$mail" send "$port" 0 30 2 "$D/first" 1
out=$(python3 "$mail" wait "$D/collector.db" "$D/first" 240 "$D/mta/log*")
is "30 messages, nothing in the way" "$(echo "$out" | sed -n 2p)" "0 problems"
echo "$out" | sed 's/^/# /'

# ---- rotation and kills under load ----

python3 "$mail" send "$port" 1000 "$n" 8 "$D/acked" 15 &
load=$!
i=0
while kill -0 "$load" 2>/dev/null; do
	i=$((i + 1))
	sleep 1
	case $((i % 6)) in
	1) rotate "$i" ;;
	2) it_stop uploader KILL && daemon_start uploader ;;
	3) it_stop milter KILL && milter_start ;;
	4) rotate_copy "$i" ;;
	5) it_stop uploader KILL && rotate "$i" && sleep 0.3 && daemon_start uploader ;;
	0) kill -USR1 "$(it_pid uploader)" ;;
	esac
done
wait "$load"
ok "$n messages were taken through $i rotations, kills and reloads" test -s "$D/acked"
for i in 1001 1002 1003; do
	rotate "$i"
	it_stop uploader KILL
	sleep 2
	daemon_start uploader
	sleep 2
done
# What is being delivered while the queue manager starts anew stays in incoming/ until it is woken.
(while sleep 5; do postqueue -c "$D/mta/etc" -f; done) >/dev/null 2>&1 &
flush=$!
out=$(python3 "$mail" wait "$D/collector.db" "$D/acked" $((240 + n / 100)) "$D/mta/log*")
is "each recipient has one terminal event of its kind, others' mail none" "$(echo "$out" | sed -n 2p)" "0 problems"
kill "$flush"
echo "$out" | sed 's/^/# /'
hasnt "nothing was lost sight of" "$(cat "$D/logs/uploader")" "may be missing"
ok "the uploader is alive" it_alive uploader
if [ -n "${KEEP:-}" ]; then
	it_stop uploader
fi
it_done
