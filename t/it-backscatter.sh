#!/bin/sh
# Mail to the bounce and feedback domains: whatever it is, Postfix takes it or the sender
# keeps it; nothing of it ever leaves, nothing is bounced, nothing stays in the queue.
# shellcheck source=t/lib/it.sh disable=SC2154
. "${srcdir:-.}/t/lib/it.sh"
it_need postfix postconf python3

it_begin bsc
p25=$(it_port) sink=$(it_port) slow=${SIGNALPOST_TEST_SLOW:-1}
socket=$D/mta/q/signalpost/milter.sock
mkdir "$D/keys" "$D/spool"
say() { python3 "$src/t/lib/say.py" "$@" 2>&1; }

# Every form of an address list: whole domains, addresses in a domain that is Postfix's own and
# in ones that it has never heard of, patterns, files, a local part alone.
printf 'filed@file.example\nreturns\n' >"$D/addresses"
cat >"$conf" <<END
postmaster postmaster@mail.example.com
host-name mail.example.com
smtp-listener 127.0.0.1:$p25
<source 0/0>
    max-message-size 3m
</source>
relay-domain relay.example
relay-domain bounces.example
<bounce-processor>
    deliver-unmatched-email no
    <address-list>
        domain bounces.example
        domain other.example
        address oob@mail.example.com
        address oob@nowhere.example
        address /^b-[0-9]+@(rx|mail)\.example(\.com)?\$/
        address-file $D/addresses
    </address-list>
</bounce-processor>
<feedback-loop-processor>
    deliver-unmatched-email no
    <address-list>
        domain fbl.example
        address fbl@mail.example.com
    </address-list>
</feedback-loop-processor>
$(conf_places)
<spool>
    segment-age 1s
</spool>
END
"$build/signalpost" genkey token "$D/keys" >/dev/null 2>&1
postfix_make mta
postfix_setup mta
postfix_private mta "$sink"
sink_start sink "$sink"
postfix_start mta

forms='any@bounces.example x@other.example oob@mail.example.com oob@nowhere.example b-17@rx.example
b-4@mail.example.com filed@file.example returns@mail.example.com returns@relay.example a+b=c.example@fbl.example
fbl@mail.example.com OOB@MAIL.EXAMPLE.COM'

# ---- without the milter ----

for rcpt in $forms; do
	out=$(say "$p25" 'EHLO c.example' 'MAIL FROM:<>' "RCPT TO:<$rcpt>" DATA . QUIT)
	has "no milter, $rcpt: the sender keeps it" "$out" "=> 451 "
	hasnt "no milter, $rcpt: and no part of it is taken" "$out" ". => 250"
done
ok "nothing is in the queue" it_wait 20 postfix_empty mta

# ---- with it ----

milter_start
captured() { # captured N: at least that many files
	[ "$(find "$D/spool/inbound" -maxdepth 1 -name '*.eml' | wc -l)" -ge "$1" ]
}
n=0
for rcpt in $forms; do
	n=$((n + 1))
	out=$(say "$p25" 'EHLO c.example' 'MAIL FROM:<forged@victim.example>' "RCPT TO:<$rcpt>" DATA . QUIT)
	has "$rcpt: taken on port 25" "$out" ". => 250"
	ok "$rcpt: captured before that" captured $n
done
out=$(say "$p25" 'EHLO c.example' 'MAIL FROM:<forged@victim.example>' 'RCPT TO:<no.such.user@mail.example.com>' \
	'RCPT TO:<x@nowhere.example>' 'RCPT TO:<oob%victim.example@relay.example>' 'RCPT TO:<b-x@rx.example>' QUIT)
has "an unknown user beside the addresses: refused" "$out" "RCPT TO:<no.such.user@mail.example.com> => 550"
has "another of such a domain: refused" "$out" "RCPT TO:<x@nowhere.example> => 550"
has "a routed address: refused" "$out" "RCPT TO:<oob%victim.example@relay.example> => 550"
has "what a pattern does not match: refused" "$out" "RCPT TO:<b-x@rx.example> => 550"

# ---- other ways to write the same: captured, alone and beside another recipient ----

for rcpt in '"oob"@mail.example.com' '\oob@mail.example.com' '(x)oob@mail.example.com' 'oob @mail.example.com' \
	'@relay.example,@b.example:oob@mail.example.com' '<oob@mail.example.com>' oob@mail.example.com. '"returns"' \
	'"b-17"@mail.example.com' '@relay.example:any@bounces.example' '"two words"@bounces.example' \
	any@bounces.example. '<any@fbl.example>'; do
	n=$((n + 1))
	out=$(say "$p25" 'EHLO c.example' 'MAIL FROM:<forged@victim.example>' "RCPT TO:<$rcpt>" DATA . QUIT)
	has "$rcpt: taken" "$out" ". => 250"
	ok "$rcpt: captured" captured $n
	n=$((n + 1))
	out=$(say "$p25" 'EHLO c.example' 'MAIL FROM:<forged@victim.example>' 'RCPT TO:<user@relay.example>' \
		"RCPT TO:<$rcpt>" DATA . QUIT)
	has "$rcpt beside another: taken" "$out" ". => 250"
	ok "$rcpt beside another: captured" captured $n
done
ok "the queue becomes empty" it_wait 20 postfix_empty mta
is "the other recipient's mail has left, and nothing else" "$(sink_count sink)" 13
hasnt "nothing was tried for a processor's address" "$(grep 'status=' "$D/mta/log" | grep -v 'to=<user@relay.example>')" "status="
rm -f "$D"/sink/*

# ---- all kinds of mail ----

cat >"$D/kinds.py" <<'END'
import smtplib
import sys

port, data = int(sys.argv[1]), sys.argv[2]
dsn = open(data + "/oob.eml", "rb").read().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
text = b"From: Joe <joe@victim.example>\r\nTo: you\r\nSubject: %s\r\n\r\nHello\r\n"
mixed = b"Content-Type: multipart/mixed; boundary=x\r\n"
kinds = {
    "ordinary": text % b"hi",
    "spam": text % b"Cheap" + b"XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n",
    "a bounce": dsn,
    "a bounce for somebody else's mail": dsn.replace(b"pmta.demo.example.com", b"victim.example"),
    "receipts asked for": b"Disposition-Notification-To: <joe@victim.example>\r\nReturn-Receipt-To: joe@victim.example\r\n" + text % b"read?",
    "no header": b"\r\nonly a body\r\n",
    "nothing": b"",
    "broken MIME": mixed + b"\r\n--x\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n" * 300,
    "broken header": b"no colon here\r\n: none\r\n\tfold\r\nFrom\r\n\r\nx\r\n",
    "8 bits": text % "Grüße".encode() + bytes(range(128, 256)) + b"\r\n",
    "NUL and CR": text % b"odd" + b"a\0b\rc\r\n",
    "long lines": text % b"long" + b"x" * 60000 + b"\r\n",
    "many headers": b"X: y\r\n" * 20000 + text % b"many",
    "huge": text % b"huge" + b"0123456789abcdef" * 4 * 30000,
    "already forwarded": b"X-Signalpost-Onward: AUAAAAAAAAAAAAAAAAAAAAAA\r\nX-Signalpost-Forwarded: AUAAAAAAAAAAAAAAA\r\n" + text % b"fw",
    "an auto-reply": b"Auto-Submitted: auto-replied\r\nReply-To: joe@victim.example\r\n" + text % b"Out of office",
    "a challenge": text % b"Please confirm" + b"verify that you are human: http://x.example/\r\n",
}
who = [("<>", []), ("<joe@victim.example>", ["RET=FULL", "ENVID=abc"]), ("<any@bounces.example>", []),
       ("<postmaster@mail.example.com>", [])]
rcpts = [["any@bounces.example"], ["nobody.of.that.name@bounces.example", "x@fbl.example", "oob@mail.example.com"],
         ["fbl@mail.example.com"], ["<postmaster@bounces.example>", "<abuse@fbl.example>"]]
notify = ["NOTIFY=SUCCESS,FAILURE,DELAY", "ORCPT=rfc822;x@victim.example"]
taken = refused = 0
for i, (kind, content) in enumerate(kinds.items()):
    for k, (sender, options) in enumerate(who):
        s = smtplib.SMTP("127.0.0.1", port, "c.example", 60)
        s.ehlo()
        code, answer = s.docmd("MAIL", "FROM:%s %s" % (sender, " ".join(options)))
        for rcpt in rcpts[(i + k) % len(rcpts)]:
            code, answer = s.docmd("RCPT", "TO:<%s> %s" % (rcpt.strip("<>"), " ".join(notify if k % 2 else [])))
            if code != 250:
                print("%s from %s to %s: %s %s" % (kind, sender, rcpt, code, answer))
        code, answer = s.docmd("DATA")
        s.send(b"".join((b"." if line[:1] == b"." else b"") + line + b"\r\n" for line in
                        (content[:-2] if content.endswith(b"\r\n") else content).split(b"\r\n")) + b".\r\n")
        code, answer = s.getreply()
        taken += code == 250
        refused += code != 250
        if code != 250 or not (kind and sender):
            print("%s from %s: %s %s" % (kind, sender, code, answer))
        s.close()
print("taken %d refused %d" % (taken, refused))
END
mkdir "$D/in"
cat >"$D/in/oob.eml" <<'END'
From: Mail Delivery <MAILER-DAEMON@mx.victim.example>
To: any@bounces.example
Subject: Undelivered
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

Sorry.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.victim.example

Final-Recipient: rfc822; anna@pmta.demo.example.com
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 unknown

--b--
END
before=$(find "$D/spool/inbound" -maxdepth 1 -name '*.eml' | wc -l)
out=$(python3 "$D/kinds.py" "$p25" "$D/in" 2>&1)
has "68 mails of 17 kinds are taken" "$out" "taken 68 refused 0"
is "each is captured, once" "$(find "$D/spool/inbound" -maxdepth 1 -name '*.eml' | wc -l)" $((before + 68))
ok "none of them is in Postfix's queue" it_wait 20 postfix_empty mta

# ---- too big ----

python3 -c 'print("Subject: too big\n\n" + "0123456789abcdef\n" * 200000)' >"$D/big.eml"
out=$(say "$p25" 'EHLO c.example' 'MAIL FROM:<joe@victim.example>' 'RCPT TO:<any@bounces.example>' DATA ".$D/big.eml" QUIT)
has "beyond max-message-size: refused in the session, nothing is bounced" "$out" ". => 552"
has "what a client says beforehand is refused at MAIL" \
	"$(say "$p25" 'EHLO c.example' 'MAIL FROM:<joe@victim.example> SIZE=99000000')" "=> 552"

# ---- a message for somebody else beside it ----

out=$(say "$p25" 'EHLO c.example' 'MAIL FROM:<joe@victim.example>' 'RCPT TO:<any@bounces.example> NOTIFY=SUCCESS,FAILURE' \
	'RCPT TO:<real@relay.example>' 'RCPT TO:<x@fbl.example> NOTIFY=SUCCESS' DATA . QUIT)
has "a mixed message: taken" "$out" ". => 250"
ok "the recipient of a relay-domain gets it" it_wait 20 sink_has sink 1
has "and it is for nobody else" "$(cat "$D"/sink/*.json | tr -d ' \n')" '"rcpts":["real@relay.example"]'

# ---- the uploader reads them ----

daemon_start uploader
done_all() { [ -z "$(find "$D/spool/inbound" -name 'in1-*')" ]; }
ok "all of it is read, and nothing has to go on" it_wait $((60 * slow)) done_all
ok "Postfix's queue is empty" it_wait 20 postfix_empty mta
is "nothing but the one message for a relay-domain has left" "$(sink_count sink)" 1
hasnt "Postfix has made no notice" "$(cat "$D/mta/log")" "notification"
hasnt "and delivered nothing here" "$(grep -v 'status=sent' "$D/mta/log")" "status="

# ---- addresses that are no longer listed ----

sed '/ address/d' "$conf" >"$D/fewer.conf"
postfix_setup mta "$D/fewer.conf"
is "addresses that are no longer listed are unknown again" \
	"$(postconf -c "$D/mta/etc" -h local_recipient_maps)" "$(postconf -d -h local_recipient_maps)"
ok "the uploader has not ended" it_alive uploader
ok "nor has the milter" it_alive milter
it_done
