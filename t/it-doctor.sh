#!/bin/sh
# signalpost doctor: nothing to say while all runs; each thing that fails has a line and a
# remedy.
# shellcheck source=t/lib/it.sh disable=SC2154
. "${srcdir:-.}/t/lib/it.sh"
it_need postfix postconf python3

it_begin doctor
port=$(it_port) collector=$(it_port) tracker=$(it_port)
etc=$D/mta/etc
socket=$D/mta/q/signalpost/milter.sock
signalpost=$build/signalpost
it_rsa_key "$D/key.pem"
mkdir "$D/keys" "$D/spool"
cat >"$conf" <<END
host-name mail.example.com
smtp-listener 127.0.0.1:$port
relay-domain relay.example
domain-key s1,sender.example,$D/key.pem
$(conf_signals "$collector")
<signals>
    engagement-tracking sparkpost
    tracking-domain track.example.com
</signals>
$(conf_places)
<tracker>
    listen 127.0.0.1:$tracker
    user ""
</tracker>
<mail-log>
    file $D/mail.log
</mail-log>
END
: >"$D/mail.log"
"$signalpost" genkey token "$D/keys" >/dev/null 2>&1
postfix_make mta
"$signalpost" mta-config postfix --apply "$etc" --yes -c "$conf" >"$D/logs/apply" 2>&1 ||
	it_bail "it can't be set up" "$D/logs/apply"
postconf -c "$etc" -e "maillog_file = $D/mail.log"
socket_folder
milter_start
collector_start
daemon_start tracker
it_wait 15 grep -q 'listening on' "$D/logs/tracker" || it_bail "the tracker does not start" "$D/logs/tracker"
daemon_start uploader
uploads() { "$signalpost" status -c "$conf" 2>&1 | grep -q 'uploader  runs'; }
it_wait 15 uploads || it_bail "the uploader does not start" "$D/logs/uploader"

doctor() { # output and status
	touch -t 200001010000 "$etc/main.cf" # Postfix waits before it reads a younger one
	out=$("$signalpost" doctor --postfix "$etc" -c "$conf" 2>&1)
	rc=$?
}
ill() { # ill TEXT WANTED: found, with a remedy
	doctor
	is "$1: exit status" "$rc" 1
	has "$1" "$out" "$2"
}
doctor
is "all is well: exit status" "$rc" 0
hasnt "all is well" "$out" "problem:"
[ "$rc" = 0 ] || printf '%s\n' "$out" | sed 's/^/# /'
has "the milter" "$out" "ok: milter: answers"
has "the MTA" "$out" "ok: MTA: Postfix in $etc"
has "the collector" "$out" "takes the api-key"
has "the tracker" "$out" "ok: tracker: answers at 127.0.0.1:$tracker"

has "events" "$out" "ok: events: nothing is amiss"

it_stop uploader
ill "no uploader" "problem: events: signalpost-uploader does not run: nothing is sent; systemctl start signalpost-uploader
	systemctl start signalpost-uploader"
daemon_start uploader
it_wait 15 uploads || it_bail "the uploader does not start" "$D/logs/uploader"

postconf -c "$etc" -e enable_long_queue_ids=no
ill "a setting of Postfix" "wrong: enable_long_queue_ids = no"
postconf -c "$etc" -e enable_long_queue_ids=yes
postconf -c "$etc" -e "maillog_file = $D/other.log"
ill "a log that is not read" "wrong: maillog_file = $D/other.log: <mail-log> does not read this file"
postconf -c "$etc" -e "maillog_file = $D/mail.log"
sed -i 's/^    api-key 0/    api-key 1/' "$conf"
ill "a key that the collector does not take" "does not take the api-key (401)
	api-key in <signals>"
sed -i 's/^    api-key 1/    api-key 0/' "$conf"

# A DKIM key that its group may read is refused, so that group rights are no remedy.
sed 's/user ""/user nobody/' "$conf" >"$D/nobody.conf"
chmod 600 "$D/key.pem"
out=$("$signalpost" doctor --postfix "$etc" -c "$D/nobody.conf" 2>&1)
has "a DKIM key of another user" "$out" "problem: DKIM key: $D/key.pem: Permission denied, for nobody
	chown nobody $D/key.pem"

mkdir -p "$D/spool/rejected"
chmod 755 "$D" "$D/spool"
chown nobody "$D/spool" "$D/spool"/*
chown -R root:root "$D/spool/events"
chmod 755 "$D/spool/events"
out=$("$signalpost" doctor --postfix "$etc" -c "$D/nobody.conf" 2>&1)
has "a folder of the spool" "$out" "problem: spool: $D/spool/events: Permission denied, for nobody
	chgrp $(id -gn nobody) $D/spool/events && chmod g+rwxs $D/spool/events"
remedies=$(printf '%s\n' "$out" | sed -n 's/^	\(chgrp .*spool.*\)/\1/p')
sh -e -c "$remedies"
out=$("$signalpost" doctor --postfix "$etc" -c "$D/nobody.conf" 2>&1)
hasnt "the remedies mend it" "$out" "problem: spool"
chown -R root:root "$D/spool"

# ---- sendmail: its configuration, and its way to the socket ----

mail=$D/mail
mkdir "$mail"
echo 'MAILER_DEFINITIONS' >"$mail/sendmail.mc"
sendmail_ill() { # sendmail_ill TEXT WANTED
	out=$("$signalpost" doctor --sendmail "$mail" -c "$conf" 2>&1)
	is "sendmail: $1: exit status" $? 1
	has "sendmail: $1" "$out" "$2"
}
sendmail_ill "nothing done yet" "problem: MTA: $mail/signalpost.m4 is not what the configuration asks for
	signalpost mta-config sendmail -c $conf >$mail/signalpost.m4 && make -C $mail"
"$signalpost" mta-config sendmail -c "$conf" >"$mail/signalpost.m4" 2>"$D/logs/mc"
sendmail_ill "not included" "problem: MTA: $mail/sendmail.mc does not include signalpost.m4"
remedy=$(printf '%s\n' "$out" | sed -n 's/^	\(sed .*\) && make.*/\1/p')
sh -c "$remedy"
has "sendmail: the remedy includes it" "$(cat "$mail/sendmail.mc")" "include(\`$mail/signalpost.m4')dnl
MAILER_DEFINITIONS"
sendmail_ill "no sendmail.cf" "$mail/sendmail.cf is older than signalpost.m4, or without the milter
	make -C $mail && systemctl restart sendmail"
printf 'O x\nO InputMailFilters=other,signalpost\nXsignalpost, S=local:/x, F=T\n' >"$mail/sendmail.cf"
out=$("$signalpost" doctor --sendmail "$mail" -c "$conf" 2>&1)
is "sendmail: all is well: exit status" $? 0
has "sendmail: all is well" "$out" "ok: MTA: sendmail in $mail"
mends() { # the remedy, as far as it is not sendmail's own make
	remedy=$(printf '%s\n' "$out" | sed -n 's/^	\(sed .*\) && make.*/\1/p')
	sh -c "$remedy"
}
sed -i 's/=other,signalpost/=signalpost,other/' "$mail/sendmail.cf"
sendmail_ill "a milter behind ours" "sendmail.mc: a milter comes after signalpost"
sed -i 's/=signalpost,other/=other/' "$mail/sendmail.cf"
sendmail_ill "ours is not asked" "sendmail.mc: the milter is not among confINPUT_MAIL_FILTERS"
sed -i 's/=other/=signalpost/' "$mail/sendmail.cf"
sed -i 's/^include/dnl &/' "$mail/sendmail.mc"
sendmail_ill "the include is a comment" "sendmail.mc: signalpost.m4 is not included, or below"
mends
printf 'MASQUERADE_AS(`x.example'"'"')dnl\n' >>"$mail/sendmail.mc"
sendmail_ill "another From" "sendmail.mc: MASQUERADE_AS or genericstable changes From after it was signed"
mends
out=$("$signalpost" doctor --sendmail "$mail" -c "$conf" 2>&1)
is "sendmail: the remedies mend it" $? 0
sed 's/^relay-domain .*/&\n<source {pickup}>\nalways-allow-relaying yes\n<\/source>/' "$conf" >"$D/pickup.conf"
"$signalpost" mta-config sendmail -c "$D/pickup.conf" >"$mail/signalpost.m4" 2>"$D/logs/mc"
touch "$mail/sendmail.cf"
echo 'FEATURE(`msp'"', "'`[127.0.0.1]'"')dnl" >"$mail/submit.mc"
out=$("$signalpost" doctor --sendmail "$mail" -c "$D/pickup.conf" 2>&1)
has "sendmail: mail of this host" "$out" "submit.mc: what programs on this host send comes as a stranger's"
mends
out=$("$signalpost" doctor --sendmail "$mail" -c "$D/pickup.conf" 2>&1)
is "sendmail: the remedy mends it" $? 0
"$signalpost" mta-config sendmail -c "$conf" >"$mail/signalpost.m4" 2>"$D/logs/mc"
touch -t 200001010000 "$mail/sendmail.cf"
sendmail_ill "made before" "$mail/sendmail.cf is older"
sed -i 's/^relay-domain .*/&\nrelay-domain other.example/' "$conf"
sendmail_ill "another configuration" "signalpost.m4 is not what the configuration asks for"
sed -i '/^relay-domain other/d' "$conf"

it_stop collector
ill "no collector" "systemctl restart signalpost-collector"
it_stop tracker
ill "no tracker" "problem: tracker: nobody listens at 127.0.0.1:$tracker"
it_stop milter KILL
ill "no milter" "problem: milter: nobody listens at $socket
	systemctl restart signalpost-milter"
rm "$D/mail.log"
ill "no log" "problem: mail log: $D/mail.log: there is no such file"
echo >"$D/key.pem"
ill "a bad DKIM key" "problem: DKIM keys: $conf:4: domain-key:"
echo 'no-such-thing 1' >>"$conf"
"$signalpost" doctor -c "$conf" >"$D/logs/doctor" 2>&1
is "a bad configuration: exit status" $? 78
it_done
