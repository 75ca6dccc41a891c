#!/bin/sh
# The MTA's lines from systemd's journal: a journald of our own, in a mount namespace of our own,
# through its rotation and kill -9 of the uploader.
# shellcheck source=t/lib/it.sh disable=SC2154
. "${srcdir:-.}/t/lib/it.sh"
it_need python3 logger unshare mount
journald=/lib/systemd/systemd-journald
if [ ! -x "$journald" ] || [ ! -s /etc/machine-id ]; then
	echo "1..0 # SKIP no systemd-journald"
	exit 0
fi
if [ -z "${LOG_JOURNAL_INSIDE:-}" ]; then
	if ! unshare -m --propagation private mount -t tmpfs tmpfs /run 2>/dev/null; then
		echo "1..0 # SKIP no mount namespace"
		exit 0
	fi
	LOG_JOURNAL_INSIDE=yes exec unshare -m --propagation private sh "$0"
fi
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal /run/log/journal

it_begin journal
mkdir "$D/keys" "$D/spool" "$D/spool/events"
cat >"$conf" <<END
host-name mail.example.com
$(conf_signals)
<signals>
    upload-url http://127.0.0.1:1/
</signals>
<milter>
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
    journal yes
</mail-log>
END
"$build/signalpost-uploader" -n -c "$conf" >/dev/null || it_bail "the configuration is refused"

received() { # received N...: messages with queue id ABC00N have been received
	python3 - "$D/spool/events" "$@" <<'END'
import json, os, sys, time
now = time.time()
name = "sp1-%016X.json" % int(now * 1e6)
with open(os.path.join(sys.argv[1], "." + name), "w") as f:
    for n in sys.argv[2:]:
        stamp = int(now).to_bytes(4, "little").hex()
        f.write(json.dumps({"msys": {"message_event": {
            "type": "reception", "event_id": n, "timestamp": str(int(now)), "recv_method": "esmtp",
            "queue_id": "ABC%03d" % int(n), "message_id": "0000%s%08x" % (stamp, int(n)),
            "rcpt_to": "r%s@x.example" % n, "subaccount_id": 0}}}, separators=(",", ":")) + "\n")
os.rename(os.path.join(sys.argv[1], "." + name), os.path.join(sys.argv[1], name))
END
}
say() { # say TAG TEXT
	logger --socket /run/systemd/journal/dev-log -p mail.info -t "$1" -- "$2"
}
delivered() { # delivered N...
	for i in "$@"; do
		say postfix/smtp "ABC$(printf %03d "$i"): to=<r$i@x.example>, relay=mx[192.0.2.1]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 Ok)"
	done
}
events() { # all that is not a reception: "TYPE RCPT", sorted, each event_id once
	cat "$D"/spool/events/*.json "$D"/spool/events/open/*.json 2>/dev/null | python3 -c '
import json, sys
seen = {}
for line in sys.stdin:
    e = json.loads(line)["msys"]["message_event"]
    if e["type"] != "reception":
        seen[e["event_id"]] = e["type"] + " " + e["rcpt_to"]
print(" ".join(sorted(seen.values())))'
}
have() { # have TEXT
	[ "$(events)" = "$1" ]
}
want=
expect() { # expect TEXT N...: deliveries of these as well
	it_text=$1
	shift
	for i in "$@"; do
		want="$want${want:+ }delivery r$i@x.example"
	done
	it_wait 20 have "$want"
	is "$it_text" "$(events)" "$want"
}

it_start journald "$journald"
it_wait 10 test -S /run/systemd/journal/dev-log || it_bail "journald does not start" "$D/logs/journald"

received 1 2 3
delivered 1
say other/program "ABC002: to=<r2@x.example>, relay=x[192.0.2.1]:25, dsn=5.0.0, status=bounced (no)"
daemon_start uploader
expect "what was logged before the first start, since the oldest message" 1
delivered 2
expect "as it is logged" 2
kill -USR2 "$(it_pid journald)"
delivered 3
expect "through the journal's rotation" 3
it_stop uploader KILL
received 4 5
delivered 4
kill -USR2 "$(it_pid journald)"
delivered 5
daemon_start uploader
expect "what was logged while nobody listened" 4 5
delivered 6
sleep 1
received 6
expect "a line that comes before its message" 6
say systemd-journald "Suppressed 17 messages from postfix.service"
received 7
delivered 7
expect "one behind the journal's word that it lost lines" 7
it_stop uploader
has "which has been heard" "$(cat "$D/logs/uploader")" "lost 17 lines or more"
it_done
