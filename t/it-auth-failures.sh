#!/bin/sh
# smtp-max-auth-failure-rate with a real Postfix: whoever fails to authenticate too often is
# refused at connect until the time is over; nobody else is; and it outlives kill -9 of
# milter and uploader, rotation of the log and damage to the file.
# shellcheck source=t/lib/it.sh disable=SC2154
. "${srcdir:-.}/t/lib/it.sh"
it_need postfix postconf saslpasswd2 python3

it_begin auth
port=$(it_port) other=$(it_port)
mkdir "$D/keys" "$D/spool"
postfix_make mta
socket_folder
say() { python3 "$src/t/lib/say.py" "$@" 2>&1; }

cat >"$conf" <<END
host-name mail.example.com
smtp-listener 127.0.0.1:$port
smtp-listener 127.0.0.1:$other source=lenient
<smtp-user joe>
    password s3cret
</smtp-user>
<source 0/0>
    allow-unencrypted-plain-auth yes
    smtp-max-auth-failure-rate 3/h
</source>
<source 127.0.0.3>
    smtp-max-auth-failure-rate 2/8s
</source>
<source 127.0.0.4>
    smtp-max-auth-failure-rate unlimited
</source>
<source lenient>
    smtp-max-auth-failure-rate 100/h
</source>
<source {auth}>
    always-allow-relaying yes
</source>
$(conf_signals)
$(conf_places)
<mail-log>
    file $D/mta/log
</mail-log>
END

fails() { # fails SOURCE N [PORT]: N wrong passwords
	set -- "$1" "${3:-$port}" "$2"
	for i in $(seq "$3"); do
		say --source "$1" "$2" "EHLO x" "AUTH joe wrong$i" QUIT
	done | grep -c "AUTH => 535"
}
hex() { python3 -c 'import ipaddress, sys; print("0" * 20 + "ffff" + ipaddress.ip_address(sys.argv[1]).packed.hex())' "$1"; }
counted() { # counted SOURCE N: as many failures are on disk, in all windows
	[ "$(sed -n "s/^$(hex "$1") .* 0*\([1-9][0-9]*\)\$/\1/p" "$D/spool/auth-failures" | sort -nu)" = "$2" ]
}
greeted() { say --source "$1" "${2:-$port}" "EHLO x" QUIT | grep -q "^=> 220"; }
refused() { say --source "$1" "${2:-$port}" "EHLO x" QUIT | grep -q "^=> 421 "; }

script=$("$build/signalpost" mta-config postfix -c "$conf")
has "mta-config says what Postfix can do" "$script" "milter refuses a client at connect that has failed 3 times in"
has "and does it" "$script" "option 'smtpd_client_auth_rate_limit = 603'"
hasnt "with a log nothing is missing" "$script" WARNING
sed '/^<mail-log>/,$d' "$conf" >"$D/nolog.conf"
has "without a log mta-config warns" "$("$build/signalpost" mta-config postfix -c "$D/nolog.conf")" \
	"WARNING: without a <mail-log>"
has "and so does check" "$("$build/signalpost" check -c "$D/nolog.conf" 2>&1)" \
	"$D/nolog.conf:9: smtp-max-auth-failure-rate: nobody is refused by it without a <mail-log>"

milter_start
postfix_setup mta
postfix_private mta
postfix_start mta
daemon_start uploader

# ---- three failures ----

is "two failures" "$(fails 127.0.0.1 2)" 2
ok "are counted" it_wait 20 counted 127.0.0.1 2
ok "and do not matter" greeted 127.0.0.1
is "the third" "$(fails 127.0.0.1 1)" 1
ok "is counted" it_wait 20 counted 127.0.0.1 3
out=$(say "$port" "EHLO x" "AUTH joe s3cret" QUIT)
has "is one too many: 421 at connect" "$out" "=> 421 mail.example.com"
has "and the connection is closed" "$out" "connection closed"
it_comes "Postfix's log has our reply" "$D/mta/log" \
	"[127.0.0.1]: 421 4.7.0 too many failed authentications, try again in"
has "the milter's too" "$(cat "$D/logs/milter")" \
	"refused=connect client=127.0.0.1 source=0/0 listener=127.0.0.1:$port reply=\"421 4.7.0 too many failed authentications"
ok "another address is served" greeted 127.0.0.2
ok "the same address, at a listener whose source allows more, too" greeted 127.0.0.1 "$other"
is "unlimited is unlimited" "$(fails 127.0.0.4 5)" 5
ok "and never refused" greeted 127.0.0.4

# ---- what dies and comes back ----

it_stop milter KILL
milter_start
ok "a new milter knows it" it_wait 30 refused 127.0.0.1
it_stop uploader KILL
is "while the uploader is dead" "$(fails 127.0.0.2 2)" 2
daemon_start uploader
ok "the new one counts what it has not seen" it_wait 20 counted 127.0.0.2 2
ok "and nothing twice" counted 127.0.0.1 3
it_stop uploader KILL
mv "$D/mta/log" "$D/mta/log.1"
postfix_reload mta
is "after rotation" "$(fails 127.0.0.2 1)" 1
daemon_start uploader
ok "it is counted" it_wait 20 counted 127.0.0.2 3
ok "refused" refused 127.0.0.2
kill -USR1 "$(it_pid uploader)"
it_wait 20 grep -q "read again" "$D/logs/uploader"
ok "a reload counts nothing twice" counted 127.0.0.2 3
it_stop uploader
ok "nor does a stop" counted 127.0.0.2 3
echo "garbage" >"$D/spool/auth-failures"
ok "a damaged file refuses nobody" greeted 127.0.0.2
daemon_start uploader
ok "and is made anew from the log" it_wait 20 counted 127.0.0.2 3
ok "with all that is in it" counted 127.0.0.1 3
has "which is said" "$(cat "$D/logs/uploader")" "auth-failures: it does not begin as such a file does; counting begins anew"

# ---- the time is over ----

# In one session, or on a slow machine they take longer than the time that they count in; and there the
# time may be over before we look.
tries=0
until refused 127.0.0.3 || [ "$tries" = 20 ]; do
	tries=$((tries + 1))
	say --source 127.0.0.3 "$port" "EHLO x" "AUTH joe wrong" "AUTH joe wronger" QUIT >/dev/null
	it_wait 1 refused 127.0.0.3
done
ok "two failures in eight seconds: refused" [ "$tries" -lt 20 ]
ok "and after them served again" it_wait 30 greeted 127.0.0.3
ok "the others wait longer" refused 127.0.0.1
ok "mail is taken as ever" sh -c "python3 '$src/t/lib/say.py' --source 127.0.0.5 $port 'EHLO x' 'AUTH joe s3cret' \
	'MAIL FROM:<a@b.example>' QUIT | grep -q 'MAIL.*=> 250'"
ok "the uploader is alive" it_alive uploader
it_done
