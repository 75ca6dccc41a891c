#!/bin/sh
# log-file: all daemons write whole lines to one file and open it again when it was rotated; a
# message's line is there with its keys; a full disk does not flood it; a file that can't
# be opened keeps nobody from work.
# shellcheck source=t/lib/it.sh disable=SC2154
. "${srcdir:-.}/t/lib/it.sh"
it_need postfix postconf python3 mount

it_begin logf
port=$(it_port) collector=$(it_port) tracker=$(it_port)
log=$D/signalpost.log
mkdir "$D/keys" "$D/spool"
if ! mount -t tmpfs -o size=12m tmpfs "$D/spool" 2>/dev/null; then
	echo "1..0 # SKIP no tmpfs can be mounted"
	exit 0
fi
trap 'for it_n in milter uploader tracker collector; do it_stop $it_n; done; umount -l "$D/spool"; it_end' EXIT
postfix_make mta
socket_folder
say() { python3 "$src/t/lib/say.py" "$@" 2>&1; }

cat >"$conf" <<END
log-file $log
host-name mail.example.com
smtp-listener 127.0.0.1:$port
<source 127.0.0.0/8>
    always-allow-relaying yes
    process-x-job yes
</source>
$(conf_signals "$collector")
$(conf_places)
<tracker>
    listen 127.0.0.1:$tracker
    user ""
</tracker>
END

logged() { # logged TEXT: by a daemon that was just started
	it_wait 20 grep -q "$1" "$log" || it_bail "the log has no: $1" "$log"
}
daemon_start milter
logged "signalpost-milter\[$(it_pid milter)\]: listening on "
daemon_start collector
logged "signalpost-collector\[$(it_pid collector)\]: listening on "
daemon_start tracker
logged "signalpost-tracker\[$(it_pid tracker)\]: listening on "
daemon_start uploader
logged " Signals: Discovered 0 files\$"
pass "all four daemons log to the file"
has "in the foreground to standard error too" "$(cat "$D/logs/milter")" "signalpost-milter: listening on"
is "the file is the group's" "$(stat -c %a "$log")" 660

postfix_setup mta
postfix_private mta
postfix_conf mta "transport_maps=inline:{far.example=discard:}"
postfix_start mta

# ---- a message ----

printf 'From: a@example.com\nSubject: x\nX-Job: spring sale\n\nhello\n' >"$D/mail"
out=$(say "$port" "EHLO x" "MAIL FROM:<a@example.com>" "RCPT TO:<b@far.example>" DATA ".$D/mail" QUIT)
id=$(echo "$out" | sed -n 's/.*queued as \([0-9A-Za-z]*\).*/\1/p')
line=$(grep " signalpost-milter\[$(it_pid milter)\]: $id: " "$log")
for pair in client=127.0.0.1 "from=<a@example.com>" "to=<b@far.example>" source=127.0.0.0/8 \
	"listener=127.0.0.1:$port" rcpts=1 campaign=spring_sale events=1 "track=none(off)" "dkim=none(off)" \
	result=accepted; do
	has "the message's line has $pair" "$line " " $pair "
done

# ---- rotation ----

mv "$log" "$log.1"
for daemon in milter uploader tracker collector; do
	kill -USR1 "$(it_pid $daemon)"
done
all_there() {
	[ "$(grep -cE 'signalpost-milter\[.*settings reloaded|signalpost-uploader\[.*read again|signalpost-tracker\[.*settings reloaded|signalpost-collector\[.*settings reloaded' "$log")" = 4 ]
}
ok "after rotation and USR1 all four write to the new file" it_wait 30 all_there
sum=$(cksum <"$log.1")
out=$(say "$port" "EHLO x" "MAIL FROM:<a@example.com>" "RCPT TO:<b@far.example>" DATA . QUIT)
id=$(echo "$out" | sed -n 's/.*queued as \([0-9A-Za-z]*\).*/\1/p')
has "the next message is in it" "$(cat "$log")" "$id: client=127.0.0.1"
is "and nothing more in the old one" "$(cksum <"$log.1")" "$sum"
echo "no-such-directive" >"$D/bad"
cat "$conf" "$D/bad" >"$conf.new" && cp "$conf" "$conf.good" && mv "$conf.new" "$conf"
mv "$log" "$log.2"
kill -USR1 "$(it_pid milter)"
logged "signalpost-milter.*error: reload refused, settings unchanged:.*no-such-directive"
pass "a reload that is refused opens the new file as well"

# ---- levels ----

{ cat "$conf.good" && echo "log-level warning"; } >"$conf.new" && mv "$conf.new" "$conf"
kill -USR1 "$(it_pid milter)"
quiet() {
	q=$(say "$port" "EHLO x" "MAIL FROM:<a@example.com>" "RCPT TO:<b@far.example>" DATA . QUIT | sed -n 's/.*queued as \([0-9A-Za-z]*\).*/\1/p')
	[ -n "$q" ] && ! grep -q "$q: client" "$log"
}
ok "log-level warning: messages are not logged" it_wait 20 quiet
mv "$conf.good" "$conf"
kill -USR1 "$(it_pid milter)"
loud() { quiet || [ -n "$q" ]; }
ok "log-level as it was: they are again" it_wait 20 loud

# ---- the disk is full ----

it_stop uploader
dd if=/dev/zero of="$D/spool/ballast" bs=64k 2>/dev/null
# Within a minute, so not with 40 connections: eight messages each, or Postfix begins to dawdle.
set --
for n in 1 2 3 4 5 6 7 8; do
	set -- "$@" "MAIL FROM:<a$n@example.com>" "RCPT TO:<b@far.example>" DATA .
done
refused=$(for session in 1 2 3 4 5; do say "$port" "EHLO session$session" "$@" QUIT; done | grep -c "^\. => 451")
ok "$refused messages were refused with a full disk" [ "$refused" -ge 25 ]
is "each message's line says why" "$(grep -c 'error=".*result=tempfail' "$log")" "$refused"
it_stop milter
# 20 in a minute: on a slow machine there may be another minute.
held=$(sed -n 's/.*error: \([0-9]*\) more lines like this one were not logged: .*answered 451.*/\1/p' "$log" | awk '{ n += $1 } END { print n + 0 }')
errors=$(grep 'error: .*answered 451' "$log" | grep -vc 'more lines like')
ok "$errors errors are logged and $held counted" [ "$held" -gt 0 ]
is "all of them" $((errors + held)) "$refused"

# ---- nowhere to write ----

sed "s|^log-file .*|log-file $D/none/log|" "$conf" >"$D/none.conf"
rm -f "$D/spool/ballast"
daemon_start milter "$D/none.conf"
ok "a file that can't be opened is warned of, and the milter starts" it_wait 20 grep -q \
	"warning: log-file $D/none/log: No such file or directory; lines go where they went before" "$D/logs/milter"
ok "listening" it_wait 20 sh -c "tail -3 '$D/logs/milter' | grep -q 'listening on'"
it_done
