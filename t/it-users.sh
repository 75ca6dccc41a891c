#!/bin/sh
# Each daemon is a user of its own, of one group, as the systemd units have it: what one leaves
# behind when it is killed, another closes and sends. The milter answers its watchdog.
# shellcheck source=t/lib/it.sh disable=SC2154
. "${srcdir:-.}/t/lib/it.sh"
it_need setpriv python3 curl
it_begin users

group=64011 milter=64012 uploader=64013 tracker=64014 collector=64015 stranger=64016
port=$(it_port) web=$(it_port)
key=0123456789abcdef0123456789abcdef01234567
chmod 755 "$D"
# The build may be where nobody else gets in, as below /root.
programs=$build
if ! setpriv --reuid=$milter --regid=$group --clear-groups "$build/signalpost-milter" -V >/dev/null 2>&1; then
	programs=$D/programs
	mkdir "$programs"
	cp "$build"/signalpost-milter "$build"/signalpost-uploader "$build"/signalpost-tracker "$build"/signalpost-collector \
		"$programs"
	chmod 755 "$programs"/*
	if ! setpriv --reuid=$milter --regid=$group --clear-groups "$programs/signalpost-milter" -V >/dev/null 2>&1; then
		echo "1..0 # SKIP other users can run nothing here"
		exit 0
	fi
fi
# As etc/tmpfiles.d and README make them.
install -d -o $milter -g $group -m 2770 "$D/spool"
install -d -o $milter -g $group -m 750 "$D/keys"
install -d -o $collector -g $group -m 750 "$D/lib"
install -d -o $milter -g $group -m 2750 "$D/run"
cat >"$D/signalpost.conf" <<END
host-name mail.example.com
<source 127.0.0.0/8>
    always-allow-relaying yes
</source>
<signals>
    api-key $key
    upload-url http://127.0.0.1:$port/api/v1/ingest/events
    upload-interval 1s
    engagement-tracking yes
    tracking-domain http://127.0.0.1:$web
</signals>
<milter>
    socket unix:$D/run/m.sock
</milter>
<spool>
    directory $D/spool
    segment-age 1h
</spool>
<token-keys>
    directory $D/keys
</token-keys>
<collector>
    listen 127.0.0.1:$port
    database $D/lib/collector.db
</collector>
<tracker>
    listen 127.0.0.1:$web
</tracker>
END
chown "0:$group" "$D/signalpost.conf"
chmod 640 "$D/signalpost.conf"

as() { # as USER COMMAND...
	it_user=$1
	shift
	setpriv --reuid="$it_user" --regid=$group --clear-groups --no-new-privs "$@"
}
daemon() { # daemon NAME USER: starts it
	: >"$D/logs/$1"
	it_start "$1" setpriv --reuid="$2" --regid=$group --clear-groups --no-new-privs \
		"$programs/signalpost-$1" -f -c "$D/signalpost.conf"
}
posted() { # posted N: the collector has that many receptions
	[ "$(curl -s -H "Authorization: $key" \
		"http://127.0.0.1:$port/api/v1/events/message?events=injection&from=2020-01-01T00:00:00Z" |
		python3 -c 'import json, sys; print(json.load(sys.stdin)["total_count"])')" = "$1" ]
}

daemon collector $collector
it_wait 20 grep -q 'listening on' "$D/logs/collector" || it_bail 'no collector' "$D/logs/collector"
python3 "$src/t/lib/notify.py" "$D/notify" "$D/told" &
echo $! >"$D/pids/notify"
it_wait 10 test -S "$D/notify"
chown $milter "$D/notify"
export NOTIFY_SOCKET="$D/notify" WATCHDOG_USEC=600000
daemon milter $milter
it_wait 20 grep -q 'listening on' "$D/logs/milter" || it_bail 'no milter' "$D/logs/milter"
unset NOTIFY_SOCKET WATCHDOG_USEC
is 'the first token key is the group'"'"'s' "$(stat -c '%u %g %a' "$D"/keys/*.key)" "$milter $group 640"

# ---- the watchdog ----

ok 'the watchdog is answered' it_wait 20 grep -q 'WATCHDOG=1' "$D/told"
has 'after READY=1' "$(head -1 "$D/told")" 'READY=1'
hasnt 'the probes are in no log' "$(cat "$D/logs/milter")" 'connect'

# ---- the tracker, and what it writes ----

daemon tracker $tracker
ok 'the tracker reads the keys' it_wait 20 curl -s -o /dev/null "http://127.0.0.1:$web/"

# ---- the milter dies with a segment open ----

python3 "$src/t/lib/miltertalk.py" "$D/run/m.sock" from@example.com to@example.net >"$D/talk" 2>&1
is 'a message is taken' "$(tail -1 "$D/talk")" accepted
is 'its segment is the group'"'"'s to write' \
	"$(stat -c '%u %g %a' "$D"/spool/events/open/*.json)" "$milter $group 660"
is 'the directories too' "$(stat -c '%g %a' "$D"/spool/events "$D"/spool/events/open | sort -u)" "$group 2770"
it_stop milter KILL
daemon uploader $uploader
ok 'another user closes its segment and sends it' it_wait 30 posted 1
nothing_left() { [ -z "$(find "$D/spool/events" -type f)" ]; }
ok 'nothing is left' it_wait 20 nothing_left
ok 'nobody else reads the spool' sh -c "! setpriv --reuid=$stranger --regid=$stranger --clear-groups ls '$D/spool'"

for name in uploader tracker collector notify; do it_stop $name; done
it_done
