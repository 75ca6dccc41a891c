#!/bin/sh
# The milter is killed, fed rubbish, reloaded under traffic, left without disk: mail waits or
# flows, and every acknowledged message has its event.
# shellcheck source=t/lib/it.sh disable=SC2154
. "${srcdir:-.}/t/lib/it.sh"
it_need postfix postconf openssl python3 mount

it_begin faults
port=$(it_port) sink=$(it_port)
mkdir "$D/keys" "$D/spool"
postfix_make mta
socket_folder
clients=$src/t/lib/clients.py

configure() { # configure SPOOL [MORE]
	cat >"$conf" <<-END
		host-name mail.example.com
		smtp-listener 127.0.0.1:$port
		<source 127.0.0.0/8>
		    always-allow-relaying yes
		</source>
		$(conf_signals)
		$(conf_places "$1")
		<milter>
		    ${2:-}
		</milter>
		<spool>
		    segment-age 1h
		</spool>
	END
}
milter_anew() { # with an empty log
	: >"$D/logs/milter"
	milter_start
}
reload() { # reload WORDS: SIGUSR1, until the log has these
	: >"$D/logs/milter"
	kill -USR1 "$(it_pid milter)"
	it_wait 10 grep -q "$1" "$D/logs/milter" || fail "the log says: $1" "$(cat "$D/logs/milter")"
}
subjects() { # subjects SPOOL: of all events, sorted, with repeats
	cat "$1"/events/*.json "$1"/events/open/*.json 2>/dev/null | python3 -c '
import json, sys
for line in sys.stdin:
    if line.endswith("\n"):
        print(json.loads(line)["msys"]["message_event"]["subject"])' | sort
}

configure "$D/spool"
milter_anew
postfix_setup mta
postfix_private mta "$sink"
sink_start sink "$sink"
postfix_start mta

# ---- one milter a socket ----

out=$("$build/signalpost-milter" -f -c "$conf" 2>&1)
is "a second milter does not start" "$?" 73
has "and says why" "$out" "another process already listens on $socket"

# ---- rubbish on the socket ----

python3 - "$socket" <<'END'
import os, socket, sys
for data in (b"", b"GET / HTTP/1.0\r\n\r\n", b"\0\0\0\0", b"\xff\xff\xff\xffO", b"\0\0\0\x01Z", os.urandom(5000),
             b"\0\0\0\x0dO\0\0\0\6\0\0\1\xff\0\x1f\xff\xff\0\0\0\1M", b"\0\0\0\x01C" * 100):
    for _ in range(5):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(2)
        s.connect(sys.argv[1])
        try:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            s.recv(100)
        except OSError:
            pass
        s.close()
END
ok "rubbish does not end the milter" it_alive milter
has "and mail flows" "$(python3 "$clients" "$port" one after-rubbish)" "250 "

# ---- killed in mid-message ----

python3 "$clients" "$port" half "$D/go" >"$D/half" 2>&1 &
half=$!
it_wait 10 test -f "$D/go.sent"
it_stop milter KILL
: >"$D/go"
wait "$half"
has "killed in mid-message: the client is told to try again" "$(cat "$D/half")" "451 4.7.1"
has "killed: a new message waits at its sender" "$(python3 "$clients" "$port" one down)" "451 4.7.1"
milter_anew
has "up again: the next message passes" "$(python3 "$clients" "$port" one next)" "250 "
is "exactly what was acknowledged has an event" "$(subjects "$D/spool" | tr '\n' ' ')" "after-rubbish next "

# ---- killed again and again under load ----

n=${FAULT_MESSAGES:-600}
python3 "$clients" "$port" load "$n" 8 "$D/acked" &
load=$!
kills=0
while kill -0 "$load" 2>/dev/null && [ "$kills" -lt 8 ]; do
	sleep 0.4
	it_stop milter KILL
	kills=$((kills + 1))
	milter_anew
done
wait "$load"
is "all of $n messages got through $kills kills" "$(wc -l <"$D/acked" | tr -d ' ')" "$n"
subjects "$D/spool" | grep '^m' >"$D/events"
sort "$D/acked" >"$D/acked.sorted"
is "no acknowledged message lacks its event" "$(sort -u "$D/events" | comm -13 - "$D/acked.sorted")" ""
python3 - "$D/spool" <<'END' >"$D/ids"
import glob, json, sys
seen = {}
for name in glob.glob(sys.argv[1] + "/events/*.json") + glob.glob(sys.argv[1] + "/events/open/*.json"):
    for line in open(name):
        e = json.loads(line)["msys"]["message_event"]
        for key in ("message_id", "event_id"):
            seen[e[key]] = seen.get(e[key], 0) + 1
print([k for k, v in seen.items() if v > 1])
END
is "no message id and no event id twice" "$(cat "$D/ids")" "[]"

# ---- reload under traffic ----

python3 "$clients" "$port" load 400 8 "$D/reloaded" &
load=$!
reloads=0
pid=$(it_pid milter)
while kill -0 "$load" 2>/dev/null; do
	kill -USR1 "$pid"
	reloads=$((reloads + 1))
	sleep 0.02
done
wait "$load"
is "reloaded $reloads times under traffic: every message accepted" "$(wc -l <"$D/reloaded" | tr -d ' ')" 400
hasnt "and none of them was refused" "$(cat "$D/logs/milter")" "tempfail"

echo 'nonsense yes' >>"$conf"
reload "reload refused, settings unchanged"
has "a broken file is named with its line" "$(cat "$D/logs/milter")" "signalpost.conf:"
has "and mail flows on the old settings" "$(python3 "$clients" "$port" one old-settings)" "250 "
configure "$D/spool"
reload "settings reloaded"

# ---- a clean end ----

it_pid milter >"$D/pid"
it_stop milter
hasnt "SIGTERM: nothing was killed by force" "$(cat "$D/logs/milter")" "ERROR"
has "SIGTERM: totals, and the last word" "$(tail -1 "$D/logs/milter")" "stopped"
ok "SIGTERM: the socket is gone" test ! -e "$socket"
is "SIGTERM: no segment is left open" "$(ls "$D/spool/events/open")" ""

# ---- no room ----

mkdir "$D/small"
if mount -t tmpfs -o size=256k,mode=755 signalpost-test "$D/small" 2>/dev/null; then
	configure "$D/small"
	milter_anew
	has "there is room" "$(python3 "$clients" "$port" one fits)" "250 "
	head -c 1000000 /dev/zero >"$D/small/filler" 2>/dev/null
	python3 "$clients" "$port" load 100 1 "$D/filled" &
	load=$!
	it_wait 20 grep -q tempfail "$D/logs/milter"
	kill "$load"
	full=$(python3 "$clients" "$port" one full)
	has "disk full: the client keeps the message" "$full" "451 4.3.0"
	has "disk full: the log names the cause" "$(cat "$D/logs/milter")" "No space left on device"
	configure "$D/small" "on-error accept"
	reload "settings reloaded"
	has "on-error accept: mail flows" "$(python3 "$clients" "$port" one accepted)" "250 "
	has "on-error accept: and it is said" "$(cat "$D/logs/milter")" "passed on although this failed"
	rm "$D/small/filler"
	has "room again: events again" "$(python3 "$clients" "$port" one room-again)" "250 "
	has "room again: it is there" "$(subjects "$D/small" | tr '\n' ' ')" "room-again"
	it_stop milter
	umount "$D/small"
else
	pass "disk full # SKIP no tmpfs can be mounted here"
fi

# ---- what refuses a start ----

refused() { # refused TEXT CODE WORDS
	out=$("$build/signalpost-milter" -f -c "$conf" 2>&1)
	is "$1: exit code" "$?" "$2"
	has "$1: the reason" "$out" "$3"
}
configure "$D/spool" "group nosuchgroup"
refused "a group that is not there" 73 "no group 'nosuchgroup' on this host"
configure "$D/spool"
printf 'domain-key s,example.com,%s/none.pem\n<domain *>\ndkim-sign yes\n</domain>\n' "$D" >>"$conf"
refused "a DKIM key that is not there" 78 "none.pem: No such file or directory"
it_rsa_key "$D/none.pem"
chmod 644 "$D/none.pem"
refused "a DKIM key that others may read" 78 "chmod"
configure "$D/spool"
echo 'proces-x-job yes' >>"$conf"
refused "a directive that is none" 78 "'proces-x-job' is not a directive"
configure /proc/nowhere
refused "a spool that can't be" 73 "/proc/nowhere"

it_done
