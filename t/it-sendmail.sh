#!/bin/sh
# On a real sendmail, set up by mta-config: the relay rule, what the milter changes, what
# leaves, and what is reported.
# shellcheck source=t/lib/it.sh disable=SC2154
. "${srcdir:-.}/t/lib/it.sh"
# shellcheck source=t/lib/sendmail.sh
. "$src/t/lib/sendmail.sh"
sendmail_need

it_begin sm
p25=$(it_port) p587=$(it_port) sink=$(it_port)
it_certificate "$D/tls.pem" mail.example.com
it_rsa_key "$D/rsa.pem"
(umask 077 && openssl genpkey -algorithm ed25519 -out "$D/ed.pem" 2>/dev/null)
mkdir "$D/keys" "$D/spool" "$D/milter"
socket=$D/milter/m.sock
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
    rewrite-list bounces
</source>
<source 127.0.0.7>
    always-allow-relaying yes
    process-x-job yes
</source>
<source {pickup}>
    process-x-job yes
    rewrite-list bounces
</source>
<source {auth}>
    always-allow-relaying yes
    default-virtual-mta pool
    process-x-job yes
</source>
<rewrite-list bounces>
    mail-from *@example.com *@bounces.example.com
</rewrite-list>
relay-domain relay.example
relay-domain *.subs.example
relay-address abuse@one.example
relay-address /^x-.*@(two|three)\.example\$/
domain-key s1,example.com,$D/rsa.pem
domain-key s2,example.com,$D/ed.pem
<bounce-processor>
    <address-list>
        domain bounces.example.com
        address returned@mail.example.com
        address /^back-.*@mail\.example\.com\$/
    </address-list>
</bounce-processor>
<virtual-mta only>
    smtp-source-host 127.0.0.1 helo.example.com
</virtual-mta>
<virtual-mta-pool pool>
    virtual-mta only
</virtual-mta-pool>
<domain *>
    bounce-after 4d12h
    retry-after 10m
    dkim-sign yes
</domain>
$(conf_signals)
<signals>
    engagement-tracking sparkpost
    tracking-domain track.example.com
    customer-id 1
</signals>
$(conf_places)
END
signalpost=$build/signalpost
"$signalpost" genkey token "$D/keys" >/dev/null 2>&1
{
	printf 's1._domainkey.example.com '
	it_dkim_record "$D/rsa.pem"
	printf 's2._domainkey.example.com v=DKIM1; k=ed25519; p='
	openssl pkey -in "$D/ed.pem" -pubout -outform DER | tail -c 32 | base64 -w0
	echo
} >"$D/dns"

# ---- what is printed ----

"$signalpost" mta-config sendmail -c "$conf" >"$D/mc" 2>"$D/logs/mta-config"
is "the .mc lines are printed" $? 0
mc=$(cat "$D/mc")
hasnt "no password stands in them" "$mc" s3cr3t
has "the filter fails closed" "$mc" "F=T, T=C:30s;S:30s;R:30s;E:5m"
has "bounce-after" "$mc" "define(\`confTO_QUEUERETURN', \`388800s')"
has "retry-after" "$mc" "define(\`confMIN_QUEUE_AGE', \`600s')"
has "max-message-size" "$mc" "define(\`confMAX_MESSAGE_SIZE', \`1048576')"
has "the helo name" "$mc" "define(\`confHELO_NAME', \`helo.example.com')"
has "TLS 1.1 is off" "$mc" "+SSL_OP_NO_TLSv1_1"
users=$("$signalpost" mta-config sendmail -u -c "$conf")
hasnt "no password stands in the users' script" "$users" second
is "a password is printed for the pipe alone" \
	"$("$signalpost" mta-config sendmail -c "$conf" -p joe)" 's3cr3t pass word'
sed 's|^relay-domain relay.example$|relay-domain *|' "$conf" >"$D/open.conf"
out=$("$signalpost" mta-config sendmail -c "$D/open.conf" 2>&1)
is "relay-domain * is refused" "$?: $out" \
	"1: signalpost: relay-domain *: with it sendmail would relay for everybody; name the domains"

# ---- without the milter ----

sendmail_make mta "$conf" "$sink"
is "m4 has nothing to say" "$(cat "$D/logs/mta.m4")" ""
sink_start sink "$sink"
sendmail_start mta
hello="EHLO client.example"
from="MAIL FROM:<a@example.com>"
out=$(say "$p25" "$hello" "$from")
has "without the milter: 451 at MAIL" "$out" "$from => 451 4.3.2"

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
denied "a stranger's beside ours" "RCPT TO:<r@relay.example>" "RCPT TO:<r@foreign.example>"
denied "ours behind a stranger's" "RCPT TO:<r@foreign.example>" "RCPT TO:<r@relay.example>"
denied "a stranger's between unknown users" "RCPT TO:<nobody.here@mail.example.com>" \
	"RCPT TO:<r@foreign.example>" "RCPT TO:<nobody.here@mail.example.com>" "RCPT TO:<r@relay.example>"
denied "a stranger's in a second message" "RCPT TO:<r@relay.example>" RSET "$from" "RCPT TO:<r@foreign.example>"
denied "a subdomain of a relay-domain" "RCPT TO:<r@sub.relay.example>"
denied "the parent of *.dom" "RCPT TO:<r@subs.example>"
denied "one to pass on" "RCPT TO:<r%foreign.example@relay.example>"
denied "one to pass on, in another way" "RCPT TO:<foreign.example!r@relay.example>"
denied "an address literal" "RCPT TO:<r@[192.0.2.1]>"
denied "the neighbour of a relay-address" "RCPT TO:<other@one.example>"
taken "a relay-domain" "RCPT TO:<r1@relay.example>"
taken "a subdomain by *.dom" "RCPT TO:<r2@a.subs.example>"
taken "a relay-address" "RCPT TO:<abuse@one.example>"
taken "a relay-address pattern" "RCPT TO:<x-1@two.example>"
taken "ours, with an unknown user" "RCPT TO:<nobody.here@mail.example.com>" "RCPT TO:<r3@relay.example>"
out=$(say --source 127.0.0.7 "$p25" "$hello" "$from" "RCPT TO:<q@foreign.example>" DATA . QUIT)
has "a source with always-allow-relaying may relay" "$out" ". => 250"
it_wait 20 sink_has sink 6
is "these six, and nothing else, left" "$(sink_count sink)" 6
it_stop null
rm -f "$socket"

# ---- the milter: relay rule, refusals ----

milter_start
out=$(say "$p25" "$hello" "$from" "RCPT TO:<r@foreign.example>" "RCPT TO:<r4@relay.example>" DATA . QUIT)
# sendmail puts the address before every reply to RCPT but 551.
has "relaying is refused at RCPT by the milter's words" "$out" \
	'=> 550 5.7.1 <r@foreign.example>... relaying denied for recipient in "RCPT TO:<r@foreign.example>"'
has "and the other recipient is taken" "$out" ". => 250"
out=$(say "$p25" "$hello" "$from SIZE=2000000")
has "a declared size over the limit" "$out" "=> 552 5."
python3 -c 'print("From: a@example.com\nSubject: big\n\n" + ("x" * 70 + "\n") * 16000)' >"$D/big.eml"
out=$(say "$p25" "$hello" "$from" "RCPT TO:<r@relay.example>" DATA ".$D/big.eml" QUIT)
has "a message over the limit" "$out" ". => 552 5."

out=$(say "$p587" "$hello")
has "STARTTLS is offered" "$out" STARTTLS
hasnt "AUTH is not offered without TLS" "$out" AUTH
out=$(say "$p587" "$hello" STARTTLS "$hello" "AUTH joe wrong")
has "a wrong password: 535" "$out" "AUTH => 535 5.7."
# shellcheck disable=SC2016 # it is the password
out=$(say "$p587" "$hello" STARTTLS "$hello" 'AUTH ann@other.example second$HOME`x`')
has "a user with a realm, and a password full of signs" "$out" "AUTH => 235"
for version in TLSv1 TLSv1_1; do
	has "$version is refused" "$(python3 "$src/t/lib/tls.py" "$p587" $version)" "refused: "
done
for version in TLSv1_2 TLSv1_3; do
	has "$version is taken" "$(python3 "$src/t/lib/tls.py" "$p587" $version)" "accepted "
done

# ---- what leaves ----

arrived() { # arrived N: the newest message of the sink, once there are N
	it_wait 20 sink_has sink "$1" || fail "message $1 arrives" "$(tail -20 "$D/mta/log")"
	newest=$(find "$D/sink" -name '*.eml' | sort | tail -1)
	eml=$(tr -d '\r' <"$newest")
	env=$(tr -d '\n' <"${newest%.eml}.json")
}
authenticated() { # authenticated FILE RCPT...: a message of joe's
	file=$1
	shift
	n=$(sink_count sink)
	out=$(say "$p587" "$hello" STARTTLS "$hello" 'AUTH joe s3cr3t pass word' "$from" "$@" DATA ".$file" QUIT)
}
verified() { # verified TEXT FILE...
	text=$1
	shift
	out=$("$build/t/dkimcheck" "$D/dns" "$@" 2>&1)
	is "$text: both signatures are good by libopendkim" \
		"$(printf '%s\n' "$out" | grep -c ': pass') $(printf '%s\n' "$out" | grep -v ': pass')" "$((2 * $#)) "
	out=$(perl "$src/t/dkim-verify.pl" "$D/dns" "$@" 2>&1) # it knows no Ed25519
	is "$text: the RSA signature is good by Mail::DKIM" \
		"$(printf '%s\n' "$out" | grep -c ': pass') $(printf '%s\n' "$out" | grep -v ': pass\|: skip')" "$# "
}
cat >"$D/one.eml" <<'END'
From: "Jane" <news@example.com>
To: Bob Builder <bob@far.example>,ann@far.example
X-Job: spring sale!
X-Job: second
Subject: hello
Mime-Version: 1.0
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: 8bit

<p>grüße <a href="https://example.com/a">a</a></p>
END
authenticated "$D/one.eml" "RCPT TO:<bob@far.example>"
has "an authenticated user may relay" "$out" ". => 250"
arrived $((n + 1))
verified "a message" "$newest"
has "MAIL FROM is rewritten" "$env" '"mail_from": "a@bounces.example.com"'
hasnt "X-Job is gone, both of them" "$eml" "X-Job"
has "To: is as sendmail writes it" "$eml" "To: Bob Builder <bob@far.example>, ann@far.example"
has "the body is 7-bit" "$eml" "quoted-printable"
has "its links are tracked" "$eml" "https://track.example.com/c/"
has "the log names job, rewritten from and queue id" "$(cat "$D/logs/milter")" "campaign=spring_sale!"

authenticated "$D/one.eml" "RCPT TO:<bob@far.example>" "RCPT TO:<ann@far.example>"
arrived $((n + 1))
verified "several recipients" "$newest"
hasnt "several recipients are not tracked" "$eml" "https://track.example.com/c/"

# The headers that sendmail writes anew behind the milter.
python3 - "$p587" "$src/t/data/address-headers" <<'END' >"$D/logs/headers" 2>&1 || it_bail "sending fails" "$D/logs/headers"
import smtplib, ssl, sys
smtp = smtplib.SMTP("127.0.0.1", int(sys.argv[1]), timeout=120)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
smtp.starttls(context=context)
smtp.login("joe", "s3cr3t pass word")
for line in open(sys.argv[2], "rb"):
    value = line.rstrip(b"\n").replace(b"\\n", b"\r\n")
    if value[:1] == b"#":
        continue
    head = b"".join(name + b": " + value + b"\r\n" for name in (b"To", b"Cc", b"Reply-To"))
    smtp.sendmail("a@example.com", ["x@far.example"], b"From: news@example.com\r\n" + head + b"\r\nhello\r\n")
smtp.quit()
END
lines=$(grep -vc '^#' "$src/t/data/address-headers")
it_wait 60 sink_has sink $((n + lines)) || fail "all of $lines messages arrive" "$(sink_count sink), before $n"
# shellcheck disable=SC2046 # names without blanks
verified "$lines address headers" $(find "$D/sink" -name '*.eml' | sort | tail "-$lines")

# ---- reports ----

n=$(sink_count sink)
out=$(say "$p25" "$hello" "MAIL FROM:<>" "RCPT TO:<x@bounces.example.com>" "RCPT TO:<returned@mail.example.com>" \
	"RCPT TO:<back-1@mail.example.com>" "RCPT TO:<r6@relay.example>" DATA . QUIT)
has "reports are taken, also for addresses in the host's own domain" "$out" ". => 250"
arrived $((n + 1))
has "the ordinary recipient gets the message" "$env" '"r6@relay.example"'
hasnt "and no other does" "$env" 'bounces.example.com'
out=$(say "$p25" "$hello" "MAIL FROM:<>" "RCPT TO:<y@bounces.example.com>" DATA . QUIT)
has "a report alone is taken too" "$out" ". => 250"
is "reports are captured" "$(find "$D/spool/inbound" -type f -name '*.eml' 2>/dev/null | wc -l | tr -d ' ')" "2"
it_wait 20 sendmail_empty mta
is "and go nowhere else" "$(sink_count sink)" $((n + 1))

# ---- what programs on this host submit ----

n=$(sink_count sink)
out=$(say "$sm_pickup" "$hello" "MAIL FROM:<cron@mail.example.com>" "RCPT TO:<w@foreign.example>" DATA . QUIT)
has "the listener for submit.cf takes mail for everybody" "$out" ". => 250"
arrived $((n + 1))
sendmail_submit mta a@example.com w@foreign.example <"$D/one.eml"
arrived $((n + 2))
has "the sendmail command's mail leaves" "$env" '"w@foreign.example"'
verified "and is signed" "$newest"
hasnt "its sender is rewritten like others'" "$env" '"mail_from": "a@example.com"'

# ---- the milter dies ----

python3 "$src/t/lib/clients.py" "$sm_pickup" half "$D/go" >"$D/half" 2>&1 &
half=$!
it_wait 10 test -f "$D/go.sent"
it_stop milter KILL
: >"$D/logs/milter"
: >"$D/go"
wait "$half"
has "killed in mid-message: the client is told to try again" "$(cat "$D/half")" "451 4."
out=$(say "$p25" "$hello" "$from")
has "killed: a new message waits at its sender" "$out" "$from => 451 4.3.2"
milter_start
out=$(say "$p25" "$hello" "$from" "RCPT TO:<r5@relay.example>" DATA . QUIT)
has "up again: mail flows" "$out" ". => 250"
it_stop milter

# ---- events ----

cat "$D"/spool/events/*.json | python3 -c '
import collections, json, sys
n = collections.Counter()
for line in sys.stdin:
    e = json.loads(line)["msys"]["message_event"]
    n[e["type"], e["rcpt_to"], e.get("campaign_id"), e.get("msg_from")] += 1
for key in sorted(n, key=str):
    if key[1] != "x@far.example":
        print(n[key], *key)
print(sum(v for k, v in n.items() if k[1] == "x@far.example"))' >"$D/events"
is "events: one reception each recipient that was accepted, and no other" "$(cat "$D/events")" "1 reception ann@far.example spring_sale! a@bounces.example.com
2 reception bob@far.example spring_sale! a@bounces.example.com
1 reception r4@relay.example None a@bounces.example.com
1 reception r5@relay.example None a@bounces.example.com
1 reception r6@relay.example None None
1 reception w@foreign.example spring_sale! a@bounces.example.com
1 reception w@foreign.example None cron@mail.example.com
$lines"
is "sendmail has nothing else to complain of" \
	"$(grep -i 'error\|warning\|unsafe\|SYSERR' "$D/mta/log" | grep -v 'error connecting to filter\|to error state\|AUTH warning: no mech\|TLS\|AUTH failure\|milter_read\|Milter (signalpost): \|savemail')" ""
it_done
