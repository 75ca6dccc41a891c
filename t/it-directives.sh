#!/bin/sh
# Every directive that the milter acts on, on a real Postfix that mta-config set up.
# shellcheck source=t/lib/it.sh disable=SC2154
. "${srcdir:-.}/t/lib/it.sh"
it_need postfix postconf saslpasswd2 openssl python3

it_begin dir
plain=$(it_port) auth=$(it_port) sink=$(it_port)
it_certificate "$D/tls.pem" mail.example.com
it_rsa_key "$D/rsa.pem"
(umask 077 && openssl genpkey -algorithm ed25519 -out "$D/ed.pem" 2>/dev/null)
mkdir "$D/keys" "$D/spool"
postfix_make mta

cat >"$D/signalpost.conf" <<END
host-name mail.example.com
node-name node1
smtp-listener 127.0.0.1:$plain
smtp-listener 127.0.0.1:$auth
smtp-server-tls-certificate $D/tls.pem
<smtp-user joe>
    password secret
</smtp-user>
<source 0/0>
    allow-starttls yes
</source>
<source {auth}>
    always-allow-relaying yes
</source>
<signals>
    api-key 0123456789abcdef0123456789abcdef01234567
</signals>
<milter>
    socket unix:$D/mta/q/milter/m.sock
    user ""
</milter>
<spool>
    directory $D/spool
    segment-age 1h
</spool>
<token-keys>
    directory $D/keys
</token-keys>
END
mkdir -p "$D/mta/q/milter"
chgrp postfix "$D/mta/q/milter"
chmod 2750 "$D/mta/q/milter"

it_start milter "$build/signalpost-milter" -f -c "$D/signalpost.conf"
it_wait 10 grep -q 'listening on' "$D/logs/milter" || it_bail "the milter does not start" "$D/logs/milter"
# Postfix's own belt at DATA is no tighter than what any of the cases allows: here the milter
# is tried, not Postfix.
{
	cat "$D/signalpost.conf"
	printf 'relay-domain far.example\nrelay-domain near.example\n'
	printf '<source 127.0.0.0/8>\nalways-allow-relaying yes\n</source>\n'
} >"$D/wide.conf"
"$build/signalpost" mta-config postfix -c "$D/wide.conf" >"$D/setup.sh" ||
	it_bail "mta-config fails"
SIGNALPOST=$build/signalpost sh "$D/setup.sh" "$D/mta/etc" >"$D/logs/setup" 2>&1 ||
	it_bail "mta-config's script fails" "$D/logs/setup"
postfix_private mta "$sink"
sink_start sink "$sink"
postfix_start mta

python3 "$src/t/lib/directives.py" "$D" "$D/signalpost.conf" "$plain" "$auth"
rc=$?
[ -z "${KEEP:-}" ] || cp "$D/logs/milter" "$D/milter.log"
exit $rc
