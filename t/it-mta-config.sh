#!/bin/sh
# mta-config postfix: what it prints sets up a Postfix that does what the configuration
# says, and neither Postfix nor the milter alone is an open relay.
# shellcheck source=t/lib/it.sh disable=SC2154
. "${srcdir:-.}/t/lib/it.sh"
it_need postfix postconf saslpasswd2 openssl python3

it_begin mtac
p25=$(it_port) p587=$(it_port) sink=$(it_port)
etc=$D/mta/etc
socket=$D/mta/q/signalpost/milter.sock
it_certificate "$D/tls.pem" mail.example.com
it_rsa_key "$D/key.pem"
mkdir "$D/keys" "$D/spool"
say() { python3 "$src/t/lib/say.py" "$@" 2>&1; }

cat >"$conf" <<END
host-name mail.example.com
smtp-listener 127.0.0.1:$p25
smtp-listener 127.0.0.1:$p587
smtp-server-tls-certificate $D/tls.pem
<smtp-user joe>
    password "s3cr3t pass word"
</smtp-user>
<smtp-user ann@other.example>
    password second\$HOME\`x\`
</smtp-user>
<source 0/0>
    allow-starttls yes
    max-message-size 1m
</source>
<source 127.0.0.7>
    always-allow-relaying yes
</source>
<source {auth}>
    always-allow-relaying yes
    default-virtual-mta pool
</source>
relay-domain relay.example
relay-domain *.subs.example
relay-address abuse@one.example
relay-address /^x-.*@(two|three)\.example\$/
<virtual-mta only>
    smtp-source-host 127.0.0.1 helo.example.com
</virtual-mta>
<virtual-mta-pool pool>
    virtual-mta only
    <domain *>
        max-smtp-out 7
        bounce-after 4d12h
        retry-after 10m
    </domain>
    <domain slow.example>
        max-smtp-out 1
    </domain>
</virtual-mta-pool>
$(conf_signals)
$(conf_places)
END
signalpost=$build/signalpost
"$signalpost" genkey token "$D/keys" >/dev/null 2>&1

# ---- what is printed ----

"$signalpost" mta-config postfix -c "$conf" >"$D/script" 2>"$D/logs/mta-config"
is "it is printed" $? 0
[ -s "$D/script" ] || it_bail "nothing is printed" "$D/logs/mta-config"
ok "it is a good shell script" sh -n "$D/script"
script=$(cat "$D/script")
hasnt "no password stands in it" "$script" s3cr3t
hasnt "and not the other" "$script" second
has "what Postfix has no word for is named" "$script" "<domain slow.example>"
is "a password is printed for the pipe alone" \
	"$("$signalpost" mta-config postfix -c "$conf" -p joe)" 's3cr3t pass word'
"$signalpost" mta-config postfix -c "$conf" -p nobody >/dev/null 2>&1
is "an unknown user is an error" $? 1

refused() { # refused TEXT LINE WANTED: with LINE the configuration is not turned into a relay
	sed "s|^relay-domain relay.example\$|$2|" "$conf" >"$D/open.conf"
	out=$("$signalpost" mta-config postfix -c "$D/open.conf" 2>&1)
	is "$1: exit status" $? 1
	has "$1" "$out" "$3"
}
refused "relay-domain * is refused" 'relay-domain *' 'relay-domain *: with it Postfix would relay for everybody'
refused "a top-level domain is refused" 'relay-domain [*.]com' 'relay-domain of all below .com'
refused "an address pattern that all match is refused" 'relay-address /@/' "relay-address /@/ holds everybody's address"
refused "half of the world is refused" '<source 128.0.0.0/1>\nalways-allow-relaying yes\n</source>' 'makes an open relay'
refused "a public listener without AUTH is refused" \
	'smtp-listener 0.0.0.0:2 source=x\n<source x>\nalways-allow-relaying yes\n</source>' \
	'always-allow-relaying for whoever connects to 0.0.0.0:2 (source=x) makes an open relay'
out=$("$signalpost" check -c "$D/open.conf" 2>&1)
has "and check warns of it" "$out" "warning: $D/open.conf:"
printf 'smtp-listener 127.0.0.1:%s\nsmtp-listener 0.0.0.0:%s\n' "$p25" "$p25" >"$D/twice.conf"
has "two listeners at one port" "$("$signalpost" check -c "$D/twice.conf" 2>&1)" "can't be listened at beside 127.0.0.1:$p25 (line 1)"
sed 's|max-message-size 1m|always-allow-relaying yes|' "$conf" >"$D/open.conf"
out=$("$signalpost" mta-config postfix -c "$D/open.conf" 2>&1)
is "always-allow-relaying for 0/0: exit status" $? 1
has "always-allow-relaying for 0/0 is refused" "$out" "makes an open relay"

# ---- what it does ----

postfix_make mta
export SIGNALPOST="$signalpost"
state() { (cd "$etc" && find . -type f -exec sha256sum {} + | sort -k2); }
ok "it runs" sh "$D/script" "$etc"
first=$(state)
ok "it runs again" sh "$D/script" "$etc"
is "and changes nothing more" "$(state)" "$first"

setting() { is "$1 = $2" "$(postconf -c "$etc" -h "$1")" "$2"; }
setting myhostname mail.example.com
setting mydestination "mail.example.com, localhost.localdomain, localhost"
setting relay_domains "relay.example, .subs.example"
setting milter_default_action tempfail
setting maximal_queue_lifetime 388800s
setting minimal_backoff_time 600s
setting default_destination_concurrency_limit 7
setting message_size_limit 1048576
setting enable_long_queue_ids yes
setting in_flow_delay 0
setting transport_maps ""
setting local_recipient_maps "proxy:unix:passwd.byname \$alias_maps"
setting smtpd_tls_protocols ">=TLSv1.2"
setting smtp_helo_name helo.example.com
hasnt "Debian's own listener is gone" "$(postconf -c "$etc" -M)" "smtp       inet"

postfix_private mta "$sink"
sink_start sink "$sink"
postfix_start mta
mkdir -p "$(dirname "$socket")"
hello="EHLO client.example"
from="MAIL FROM:<a@sender.example>"

out=$(say "$p25" "$hello" "$from")
has "without the milter: 451 at MAIL" "$out" "$from => 451 4.7.1"

# ---- a filter that says yes to everything ----

it_start null "$build/t/null-milter" "unix:$socket"
it_wait 10 test -S "$socket" || it_bail "the null milter does not start" "$D/logs/null"
denied() { # denied TEXT RCPT...: the client can not have this relayed
	text=$1
	shift
	out=$(say "$p25" "$hello" "$from" "$@" DATA)
	has "$text: refused at DATA" "$out" "DATA => 554 5.7.1"
}
taken() { # taken TEXT RCPT...
	text=$1
	shift
	out=$(say "$p25" "$hello" "$from" "$@" DATA . QUIT)
	has "$text" "$out" ". => 250"
}
denied "a stranger's recipient" "RCPT TO:<r@foreign.example>"
denied "a subdomain of a relay-domain" "RCPT TO:<r@sub.relay.example>"
denied "the parent of *.dom" "RCPT TO:<r@subs.example>"
taken "a relay-domain" "RCPT TO:<r1@relay.example>"
taken "a subdomain by *.dom" "RCPT TO:<r2@a.subs.example>"
taken "a relay-address" "RCPT TO:<abuse@one.example>"
denied "its neighbour" "RCPT TO:<other@one.example>"
taken "a relay-address pattern" "RCPT TO:<x-1@two.example>"
it_wait 20 sink_has sink 4
is "these four, and nothing else, left" "$(sink_count sink)" 4
taken "two of a relay-domain" "RCPT TO:<r3@relay.example>" "RCPT TO:<r4@relay.example>"
taken "one of ours and a stranger's" "RCPT TO:<r5@relay.example>" "RCPT TO:<r@foreign.example>"
taken "two strangers'" "RCPT TO:<s@foreign.example>" "RCPT TO:<t@foreign.example>"
# Three that may pass, and the two bounces of what may not: nothing may come for foreign.example.
it_wait 20 sink_has sink 9
it_wait 20 postfix_empty mta
rcpts=$(cat "$D"/sink/*.json)
has "the first of two arrives" "$rcpts" r3@relay.example
has "so does the second" "$rcpts" r4@relay.example
has "ours arrives beside a stranger's" "$rcpts" r5@relay.example
hasnt "and nothing is relayed" "$rcpts" foreign.example
n=$(sink_count sink)
out=$(say --source 127.0.0.7 "$p25" "$hello" "$from" "RCPT TO:<q@foreign.example>" DATA . QUIT)
has "a source with always-allow-relaying may relay" "$out" ". => 250"
it_wait 20 sink_has sink $((n + 1))
has "and it arrives" "$(cat "$D"/sink/*.json)" q@foreign.example

# Also when somebody changes main.cf.
postfix_conf mta smtpd_milters= milter_default_action=accept smtpd_relay_restrictions=permit_mynetworks,permit_auth_destination,reject
it_stop null
rm -f "$socket"
postfix_reload mta
out=$(say "$p25" "$hello" "$from")
has "main.cf can't take the milter away from a listener" "$out" "$from => 451 4.7.1"
sh "$D/script" "$etc" >/dev/null 2>&1
postfix_private mta "$sink"
postfix_reload mta

# ---- the milter ----

milter_start
out=$(say "$p25" "$hello" "$from" "RCPT TO:<r@foreign.example>")
has "relaying is refused at RCPT, word for word" "$out" \
	'=> 550 5.7.1 relaying denied for recipient in "RCPT TO:<r@foreign.example>"'
taken "a relay-domain, with the milter" "RCPT TO:<r6@relay.example>"

out=$(say "$p587" "$hello")
has "STARTTLS is offered" "$out" STARTTLS
hasnt "AUTH is not offered without TLS" "$out" AUTH
out=$(say "$p587" "$hello" 'AUTH joe s3cr3t pass word')
hasnt "nor taken" "$out" "AUTH => 235"
out=$(say "$p587" "$hello" STARTTLS "$hello" 'AUTH joe s3cr3t pass word' "$from" \
	"RCPT TO:<u@foreign.example>" "RCPT TO:<v@foreign.example>" DATA . QUIT)
has "with TLS a user authenticates" "$out" "AUTH => 235"
has "and may relay to several" "$out" ". => 250"
out=$(say "$p587" "$hello" STARTTLS "$hello" "AUTH joe wrong")
has "a wrong password: 535" "$out" "AUTH => 535 5.7.8"
# shellcheck disable=SC2016 # it is the password
out=$(say "$p587" "$hello" STARTTLS "$hello" 'AUTH ann@other.example second$HOME`x`')
has "a user with a realm, and a password full of signs" "$out" "AUTH => 235"
for version in TLSv1 TLSv1_1; do
	has "$version is refused" "$(python3 "$src/t/lib/tls.py" "$p587" $version)" "refused: "
done
for version in TLSv1_2 TLSv1_3; do
	has "$version is taken" "$(python3 "$src/t/lib/tls.py" "$p587" $version)" "accepted "
done
printf 'From: a@sender.example\nTo: w@foreign.example\nSubject: local\n\nHello\n' |
	sendmail -C "$etc" -f a@sender.example w@foreign.example
it_wait 20 postfix_empty mta
rcpts=$(cat "$D"/sink/*.json)
has "what a user sent arrives" "$rcpts" u@foreign.example
has "at both recipients" "$rcpts" v@foreign.example
has "and what was submitted locally" "$rcpts" w@foreign.example
bad=$(grep -E 'warning|fatal|panic' "$D/mta/log" | grep -vE 'does not resolve to address|connect to Milter service|TLS library problem|SASL .*authentication fail|dict_nis|milter-reject')
is "Postfix has nothing to complain of" "$bad" ""
it_done
