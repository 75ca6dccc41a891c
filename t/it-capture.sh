#!/bin/sh
# Mail for the processors' address lists: taken from anybody, on the disk byte for byte before
# the sender hears 250, once, and never relayed, returned or confirmed.
# shellcheck source=t/lib/it.sh disable=SC2154
. "${srcdir:-.}/t/lib/it.sh"
it_need postfix postconf sendmail python3

it_begin capture
port=$(it_port) sink=$(it_port)
mkdir "$D/keys" "$D/spool"
postfix_make mta
socket_folder
reports() { python3 "$src/t/lib/capture.py" "$@" 2>&1; }
say() { python3 "$src/t/lib/say.py" "$@" 2>&1; }

configure() { # configure SPOOL [IN-MILTER]
	cat >"$conf" <<-END
		host-name mail.example.com
		smtp-listener 127.0.0.1:$port
		relay-domain relay.example
		<source 127.0.0.0/8>
		    max-message-size 25m
		</source>
		<bounce-processor>
		    deliver-unmatched-email no
		    <address-list>
		        domain bounces.example
		        address odd@relay.example
		        address /^b-[0-9]+@pattern\\.example\$/
		        address-file $D/addresses
		    </address-list>
		</bounce-processor>
		<feedback-loop-processor>
		    <address-list>
		        domain fbl.example
		        address abuse@relay.example
		    </address-list>
		</feedback-loop-processor>
		$(conf_signals)
		<signals>
		    min-free-space ${3:-0}
		</signals>
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
reload() {
	: >"$D/logs/milter"
	kill -USR1 "$(it_pid milter)"
	it_wait 10 grep -q 'settings reloaded' "$D/logs/milter" || fail "reloaded" "$(cat "$D/logs/milter")"
}
files() { # files [SPOOL]: captured reports
	find "${1:-$D/spool}/inbound" -maxdepth 1 -name 'in1-*.eml'
}
clean() { # what was captured goes
	rm -f "$D"/spool/inbound/in1-*.eml
}
unfinished() { # unfinished [SPOOL]: how many files are in inbound/tmp
	find "${1:-$D/spool}/inbound/tmp" -type f | wc -l | tr -d ' '
}
nothing_unfinished() { [ "$(unfinished "$@")" = 0 ]; }
captures() { # captures TEXT FROM RCPT LIST [SHOWN]: one report to one recipient is captured whole
	clean
	has "$1: taken" "$(reports send "$port" "$D/odd" "$2" "$3")" "250 2.0.0"
	is "$1: kept byte for byte" "$(reports same "$(files)" "$D/odd" "$2" "${5:-$3}=$4")" same
}
receptions() { # recipients of the reception events
	cat "$D"/spool/events/*.json "$D"/spool/events/open/*.json 2>/dev/null | python3 -c '
import json, sys
print(" ".join(sorted(json.loads(line)["msys"]["message_event"]["rcpt_to"] for line in sys.stdin)))'
}

cat >"$D/addresses" <<END
filed@relay.example
local-part
END
configure "$D/spool"
milter_anew
postfix_setup mta
postfix_private mta "$sink"
sink_start sink "$sink" --reply 'rcpt:nobody@:550 5.1.1 user unknown'
postfix_start mta
reports odd "$D/odd"

# ---- whose mail it is ----

captures "domain" "" "b+joe=relay.example@bounces.example" bounce
captures "domain, in capitals" "" "B@BOUNCES.EXAMPLE" bounce
captures "address" "someone@isp.example" "odd@relay.example" bounce
captures "address, in capitals" "" "Odd@Relay.Example" bounce
captures "expression" "" "b-42@pattern.example" bounce
captures "address-file" "" "filed@relay.example" bounce
captures "address-file, local part" "" "local-part@mail.example.com" bounce
captures "feedback domain" "fbl@isp.example" "x@fbl.example" feedback
captures "feedback address" "fbl@isp.example" "abuse@relay.example" feedback
captures "address as our own user" "x@bounces.example" "y@bounces.example" bounce
out=$(grep capture= "$D/logs/milter" | head -1)
has "the log says which" "$out" "capture=bounce to=<b+joe=relay.example@bounces.example> rcpts=1 bytes="
has "and what became of it" "$out" "result=captured"
is "no event was made" "$(receptions)" ""

# ---- several recipients ----

clean
has "two lists in one mail: taken" "$(reports send "$port" "$D/odd" "" x@fbl.example y@bounces.example x@fbl.example)" "250 2.0.0"
is "two lists in one mail: one file" \
	"$(reports same "$(files)" "$D/odd" "" x@fbl.example=feedback y@bounces.example=bounce)" same
clean
has "an ordinary recipient beside them" "$(reports send "$port" "$D/odd" a@isp.example \
	"y@bounces.example NOTIFY=SUCCESS,FAILURE,DELAY" user@relay.example "X@FBL.example ORCPT=rfc822;z@fbl.example")" "250 2.0.0"
is "is not in the report's envelope" \
	"$(reports same "$(files)" "$D/odd" a@isp.example y@bounces.example=bounce X@FBL.example=feedback)" same
it_wait 20 sink_has sink 1
is "gets its mail, alone" "$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["rcpts"])' "$D/sink/000001.json")" \
	"['user@relay.example']"
hasnt "without the loop guard's header" "$(cat "$D/sink/000001.eml")" "X-Signalpost-Onward"
is "and its event, once" "$(receptions)" "user@relay.example"
clean
out=$(say "$port" "EHLO client.example" "MAIL FROM:<a@isp.example>" "RCPT TO:<foe@else.example>" "RCPT TO:<y@bounces.example>" \
	DATA . "MAIL FROM:<a@isp.example>" "RCPT TO:<y@bounces.example>" RSET "MAIL FROM:<>" "RCPT TO:<z@bounces.example>" DATA . QUIT)
has "beside a stranger's recipient: that one is refused" "$out" \
	'=> 550 5.7.1 relaying denied for recipient in "RCPT TO:<foe@else.example>"'
is "of three transactions two were mails, each for its own recipient" \
	"$(for f in $(files | sort); do head -1 "$f"; done | grep -o '"to":"[^"]*"' | tr '\n' ' ')" \
	'"to":"y@bounces.example" "to":"z@bounces.example" '

# ---- no confirmation ----

clean
has "NOTIFY=SUCCESS: taken" "$(reports send "$port" "$D/odd" joe@relay.example "y@bounces.example NOTIFY=SUCCESS")" "250 2.0.0"
printf 'Subject: local\n\nhello\n' | sendmail -C "$D/mta/etc" -N success,failure -f joe@relay.example y@bounces.example
it_wait 20 grep -q 'capture=bounce to=<y@bounces.example> .*client=local' "$D/logs/milter"
is "from this host's sendmail: captured too" "$(files | wc -l | tr -d ' ')" 2

# ---- an MTA that can't remove recipients (actions 0x57), and one that can (0x5f) ----

oldmta() { python3 "$src/t/lib/oldmta.py" "$socket" "$@" 2>&1; }
clean
is "a report alone: discarded for the MTA" "$(oldmta 0x57 "" y@bounces.example x@fbl.example)" \
	"y@bounces.example => continue
x@fbl.example => continue
end => discard"
is "it is kept, with a blank behind each colon" "$(tail -n +2 "$(files)" | tr -d '\r')" \
	"$(printf 'From: a@isp.example\nSubject: old\nX-Fold: a\n\tb\n\nhello')"
out=$(oldmta 0x57 "" y@bounces.example user@relay.example)
has "a report first: other recipients come another time" "$out" "user@relay.example => 452 4.5.3 "
has "and it is taken" "$out" "end => discard"
out=$(oldmta 0x57 "" user@relay.example y@bounces.example)
has "another recipient first: the report comes another time" "$out" "y@bounces.example => 452 4.5.3 "
has "and that one is taken" "$out" "end => continue"
hasnt "without removing any" "$out" "remove"
out=$(oldmta 0x5f "" user@relay.example y@bounces.example x@fbl.example)
has "recipients can be removed: both kinds are taken" "$out" "end => remove <y@bounces.example>
end => remove <x@fbl.example>"
has "and the other goes on" "$out" "end => continue"

# ---- those that never end ----

clean
reports quit "$port" "$D/odd" "" y@bounces.example
it_wait 20 nothing_unfinished
is "a client that goes away leaves nothing" "$(unfinished) $(files)" "0 "
reports big "$D/big" 20000000
reports big "$D/huge" 27000000
has "too big for the source" "$(reports send "$port" "$D/huge" "" y@bounces.example)" "552 5.3.4"
is "and nothing is left of it" "$(unfinished) $(files)" "0 "
before=$(awk '/^VmHWM/ { print $2 }' "/proc/$(it_pid milter)/status")
has "20 MB: taken" "$(reports send "$port" "$D/big" "" y@bounces.example)" "250 2.0.0"
is "20 MB: kept byte for byte" "$(reports same "$(files)" "$D/big" "" y@bounces.example=bounce)" same
after=$(awk '/^VmHWM/ { print $2 }' "/proc/$(it_pid milter)/status")
ok "20 MB: the milter grew by $((after - before)) kB" test $((after - before)) -lt $((12000 * ${SIGNALPOST_TEST_SLOW:-1}))

# ---- it can't be stored ----

clean
mv "$D/spool/inbound/tmp" "$D/spool/inbound/gone"
rmdir "$D/spool/inbound/gone"
: >"$D/logs/milter"
has "inbound/tmp can't be written: the sender keeps it" "$(reports send "$port" "$D/odd" "" y@bounces.example)" "451 4.3.0"
has "and the log says why" "$(cat "$D/logs/milter")" "inbound/tmp/in1-"
has "beside another: neither is taken" "$(reports send "$port" "$D/odd" "" y@bounces.example user@relay.example)" "451 4.3.0"
configure "$D/spool" "on-error accept"
reload
has "on-error accept has no say" "$(reports send "$port" "$D/odd" "" y@bounces.example)" "451 4.3.0"
it_stop milter KILL
configure "$D/spool"
milter_anew
has "and when it is there again: taken" "$(reports send "$port" "$D/odd" "" y@bounces.example)" "250 2.0.0"
is "the one that was refused got no event" "$(receptions)" "user@relay.example user@relay.example user@relay.example"

mkdir "$D/small"
if mount -t tmpfs -o size=3m,mode=755 signalpost-test "$D/small" 2>/dev/null; then
	it_stop milter KILL
	configure "$D/small"
	milter_anew
	has "room: taken" "$(reports send "$port" "$D/odd" "" y@bounces.example)" "250 2.0.0"
	has "disk full on the way: the sender keeps it" "$(reports send "$port" "$D/big" "" y@bounces.example)" "452 4.3.1"
	is "disk full: what was written is gone" "$(unfinished "$D/small") $(files "$D/small" | wc -l | tr -d ' ')" "0 1"
	head -c 10000000 /dev/zero >"$D/small/filler" 2>/dev/null
	has "disk full from the start" "$(reports send "$port" "$D/odd" "" y@bounces.example)" "452 4.3.1"
	has "disk full: the log says so" "$(cat "$D/logs/milter")" "No space left on device"
	rm "$D/small/filler"
	has "room again: taken" "$(reports send "$port" "$D/odd" "" y@bounces.example)" "250 2.0.0"
	configure "$D/small" "" 20M
	reload
	has "less than is to be kept free" "$(reports send "$port" "$D/odd" "" y@bounces.example)" "452 4.3.1"
	has "less than is to be kept free: the log says so" "$(cat "$D/logs/milter")" "less than 20971520 bytes are free"
	it_stop milter KILL
	umount "$D/small"
	configure "$D/spool"
	milter_anew
else
	pass "disk full # SKIP no tmpfs can be mounted here"
fi

# ---- killed again and again ----

clean
n=${CAPTURE_MESSAGES:-300}
reports load "$port" "$n" 6 y@bounces.example "$D/acked" &
load=$!
kills=0
while kill -0 "$load" 2>/dev/null && [ "$kills" -lt 8 ]; do
	sleep 0.3
	it_stop milter KILL
	kills=$((kills + 1))
	milter_anew
done
wait "$load"
is "$n reports through $kills kills: each that heard 250 is there, whole, and once if it came once" \
	"$(reports kept "$D/spool/inbound" "$D/acked")" "acked $n lost 0 once-not-once 0 more-than-tries 0"
it_stop milter KILL
: >"$D/spool/inbound/tmp/in1-0006449A1B2C3D4E.eml"
milter_anew
is "what a dead milter left is removed at the start" "$(unfinished)" 0
has "and the log says so" "$(cat "$D/logs/milter")" \
	"inbound/tmp: removed 1 reports that had not been acknowledged; their senders have them"

# ---- nothing went anywhere ----

captured=$(files | wc -l)
it_wait 20 postfix_empty mta
ok "the queue is empty" postfix_empty mta
is "the next hop got the one ordinary mail" "$(sink_count sink)" 1
hasnt "and Postfix returned and confirmed nothing" "$(cat "$D/mta/log")" "notification"
has "what Postfix itself returns to the bounce domain" \
	"$(reports send "$port" "$D/odd" b@bounces.example nobody@relay.example)" "250 2.0.0"
it_wait 20 grep -q 'to=<b@bounces.example>.*status=' "$D/mta/log"
has "ends in Postfix" "$(grep 'to=<b@bounces.example>.*status=' "$D/mta/log")" "/discard["
it_wait 20 postfix_empty mta
is "and does not leave it" "$(sink_count sink) $(files | wc -l)" "1 $captured"
hasnt "nobody complained" "$(grep -i 'panic\|fatal' "$D/mta/log")" "smtpd"

it_stop milter
has "totals count captures" "$(grep totals: "$D/logs/milter")" "messages=1 captured=0 "

it_done
