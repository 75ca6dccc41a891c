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

cat >"$conf" <<END
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
$(conf_signals)
$(conf_places)
<spool>
    segment-age 1h
</spool>
END
socket_folder

milter_start
# Postfix's own belt at DATA is no tighter than what any of the cases allows: here the milter
# is tried, not Postfix.
{
	cat "$conf"
	printf 'relay-domain far.example\nrelay-domain near.example\n'
	printf '<source 127.0.0.0/8>\nalways-allow-relaying yes\n</source>\n'
} >"$D/wide.conf"
postfix_setup mta "$D/wide.conf"
postfix_private mta "$sink"
sink_start sink "$sink"
postfix_start mta

python3 "$src/t/lib/directives.py" "$D" "$conf" "$plain" "$auth"
rc=$?
[ -z "${KEEP:-}" ] || cp "$D/logs/milter" "$D/milter.log"
exit $rc
