#!/bin/sh
# Odd messages through milter and sendmail, to a hop with 8BITMIME and one without: what
# arrives is what went in, and the signatures are good.
# shellcheck source=t/lib/it.sh disable=SC2154
. "${srcdir:-.}/t/lib/it.sh"
# shellcheck source=t/lib/sendmail.sh
. "$src/t/lib/sendmail.sh"
sendmail_need

it_begin smodd
port=$(it_port) eight=$(it_port) seven=$(it_port)
it_rsa_key "$D/rsa.pem"
(umask 077 && openssl genpkey -algorithm ed25519 -out "$D/ed.pem" 2>/dev/null)
{
	printf 's1._domainkey.example.com '
	it_dkim_record "$D/rsa.pem"
	printf 's2._domainkey.example.com v=DKIM1; k=ed25519; p='
	openssl pkey -in "$D/ed.pem" -pubout -outform DER | tail -c 32 | base64 -w0
	echo
} >"$D/dns"
mkdir "$D/keys" "$D/spool" "$D/milter"
cat >"$conf" <<END
host-name mail.example.com
smtp-listener 127.0.0.1:$port
<source 127.0.0.0/8>
    always-allow-relaying yes
    process-x-job yes
    rewrite-list m
</source>
<rewrite-list m>
    mail-from *@example.com *@bounces.example.com
</rewrite-list>
domain-key s1,example.com,$D/rsa.pem
domain-key s2,example.com,$D/ed.pem
<domain *>
    dkim-sign yes
    dkim-headers X-Fold,X-Long,X-Empty,X-Raw,Keywords
</domain>
$(conf_signals)
<milter>
    socket unix:$D/milter/m.sock
    user ""
</milter>
<spool>
    directory $D/spool
</spool>
<token-keys>
    directory $D/keys
</token-keys>
END
mkdir -p "$D/mta/etc"
cat >"$D/mta/etc/mailertable" <<END
eight.example hop1:[127.0.0.1]
seven.example hop2:[127.0.0.1]
END
milter_start
sendmail_make mta "$conf" "$eight" "$seven"
ok "the esmtp mailer converts nothing, as ours here" grep -q '^Mesmtp,.*F=[a-zA-Z]*8' "$D/mta/etc/sendmail.cf"
sink_start eight "$eight"
sink_start seven "$seven" --no-8bitmime
sendmail_start mta

# Bare LFs sendmail refuses by itself, and breaks the connection.
out=$(python3 "$src/t/lib/oddmail.py" "$D" "$port" "bare LF" 2>"$D/logs/oddmail") ||
	it_bail "sending fails" "$D/logs/oddmail"
bad=$(printf '%s\n' "$out" | grep -A6 '^not ok')
is "every message arrives as it was ($(printf '%s\n' "$out" | grep -c '^ok') checks)" "$bad" ""
for hop in eight seven; do
	out=$("$build/t/dkimcheck" "$D/dns" "$D/$hop"/*.eml 2>&1)
	is "$hop: both signatures are good by libopendkim, $(printf '%s\n' "$out" | grep -c ': pass')" \
		"$(printf '%s\n' "$out" | grep -v ': pass')" ""
done
it_done
