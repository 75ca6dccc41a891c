#!/bin/sh
# What is no report goes on: deliver-unmatched-email, forward-unmatched-to, forward-errors-to,
# through the real Postfix and the milter, once each, without loops and without bounces to
# strangers.
# shellcheck source=t/lib/it.sh disable=SC2154
. "${srcdir:-.}/t/lib/it.sh"
it_need postfix postconf python3

it_begin fwd
p25=$(it_port) sink=$(it_port) slow=${SIGNALPOST_TEST_SLOW:-1}
socket=$D/mta/q/signalpost/milter.sock
mkdir "$D/keys" "$D/spool" "$D/in"
say() { python3 "$src/t/lib/say.py" "$@" 2>&1; }

cat >"$conf" <<END
postmaster master@company.example
host-name mail.example.com
smtp-listener 127.0.0.1:$p25
<bounce-processor>
    forward-unmatched-to ops@company.example
    forward-errors-to errors@company.example
    <address-list>
        domain bounces.example
    </address-list>
</bounce-processor>
<feedback-loop-processor>
    deliver-unmatched-email no
    deliver-matched-email yes
    forward-unmatched-to fbl-ops@company.example
    <address-list>
        domain fbl.example
    </address-list>
</feedback-loop-processor>
$(conf_places)
<spool>
    segment-age 1s
</spool>
END

# ---- a forward that would come back is no configuration ----

sed 's/forward-errors-to errors@company/forward-errors-to errors@fbl/' "$conf" >"$D/loop.conf"
out=$("$build/signalpost" check -c "$D/loop.conf" 2>&1)
is "a forward to a processor's own address: refused" $? 78
has "with its line and the reason" "$out" \
	"loop.conf:6: forward-errors-to: errors@fbl.example is in the address-list of <feedback-loop-processor>"

# ---- the MTA ----

"$build/signalpost" genkey token "$D/keys" >/dev/null 2>&1
postfix_make mta
postfix_setup mta
postfix_private mta "$sink"
sink_start sink "$sink" --reply 'rcpt:gone@:550 5.1.1 no mailbox of that name'
postfix_start mta
milter_start
daemon_start uploader

mail() { # mail RCPT FILE [FROM]: taken on port 25
	has "mail for $1: taken" "$(say "$p25" 'EHLO c.example' "MAIL FROM:<${3-joe@victim.example}>" \
		"RCPT TO:<$1>" DATA ".$2" QUIT)" ". => 250"
}
settled() { # nothing is on its way any more
	[ -z "$(find "$D/spool/inbound" -name 'in1-*')" ] && postfix_empty mta
}
settle() { it_wait $((40 * slow)) settled || fail "it settles" "$(tail -n 5 "$D/logs/uploader")"; }
rcpts() { # whom the sink has mail for, sorted
	cat "$D"/sink/*.json 2>/dev/null | tr -d ' \n' | grep -o '"rcpts":\[[^]]*\]' | sed 's/"rcpts"://' | sort | tr -d '\n'
}
file_for() { # file_for RCPT: the sink's mail
	name=$(grep -l "\"$1\"" "$D"/sink/*.json 2>/dev/null | head -n 1)
	echo "${name%.json}.eml"
}

# ---- ordinary mail ----

cat >"$D/in/ordinary.eml" <<'END'
X-Signalpost-Onward: AUAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
From: Joe <joe@victim.example>
To: help@bounces.example
Subject: a question
Message-ID: <ordinary@victim.example>

How do I write to a person at your place?
END
mail help@bounces.example "$D/in/ordinary.eml"
settle
is "delivered to its recipient and forwarded, once each" "$(rcpts)" '["help@bounces.example"]["ops@company.example"]'
eml=$(file_for ops@company.example)
text=$(cat "$eml")
has "as it was" "$text" "Message-ID: <ordinary@victim.example>"
hasnt "without the loop guard, and without the one that was forged" "$text" "X-Signalpost-Onward"
has "with a trace" "$text" "X-Signalpost-Forwarded: "
has "and who sent it" "$text" "X-Signalpost-Sender: <joe@victim.example>"
hasnt "nothing in it is ours to sign or count" "$text" "X-Signalpost-ID"
has "MAIL FROM is the postmaster, not the stranger" "$(tr -d ' ' <"${eml%.eml}.json")" '"mail_from":"master@company.example"'
has "the log says where it went" "$(cat "$D/logs/uploader")" "to=<ops@company.example> (unmatched): 250"

# ---- it comes back ----

mail help@bounces.example "$eml" ops@company.example
settle
is "what comes back goes nowhere" "$(sink_count sink)" 2
has "and the log says so" "$(cat "$D/logs/uploader")" "came back: dropped"

# ---- reports ----

cat >"$D/in/dsn.eml" <<'END'
From: MAILER-DAEMON@mx.receiver.example
To: any@bounces.example
Subject: Undelivered
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.receiver.example

Final-Recipient: rfc822; anna@receiver.example
Action: failed
Status: 5.1.1

--b--
END
cat >"$D/in/arf.eml" <<'END'
From: fbl@isp.example
To: x@fbl.example
Subject: complaint
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="b"

--b
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: isp/1
Version: 1
Original-Rcpt-To: <anna@isp.example>

--b--
END
mail any@bounces.example "$D/in/dsn.eml" ''
settle
is "a bounce ends here" "$(sink_count sink)" 2
mail x@fbl.example "$D/in/arf.eml" ''
settle
is "deliver-matched-email: a complaint goes to its mailbox" "$(rcpts)" \
	'["help@bounces.example"]["ops@company.example"]["x@fbl.example"]'
has "without a sender, as it came" "$(tr -d ' ' <"$(file_for x@fbl.example | sed 's/eml$/json/')")" '"mail_from":""'
mail y@fbl.example "$D/in/ordinary.eml"
settle
is "deliver-unmatched-email no: only forwarded" "$(rcpts)" \
	'["fbl-ops@company.example"]["help@bounces.example"]["ops@company.example"]["x@fbl.example"]'

# ---- what can't be delivered ----

mail gone@bounces.example "$D/in/ordinary.eml" victim@third.example
settle
it_wait $((20 * slow)) sink_has sink 6
has "the postmaster is told that a mailbox is missing" "$(rcpts)" '["master@company.example"]'
is "nobody else is, and nothing else has left" "$(rcpts)" \
	'["fbl-ops@company.example"]["help@bounces.example"]["master@company.example"]["ops@company.example"]["ops@company.example"]["x@fbl.example"]'
mail gone@bounces.example "$D/in/ordinary.eml" ''
settle
is "what came without a sender is bounced to nobody" "$(sink_count sink)" 7
hasnt "no stranger got anything" "$(rcpts)" "victim"

# ---- the MTA is away ----

postfix_stop mta
it_stop uploader KILL
postfix_start mta
mail late@bounces.example "$D/in/ordinary.eml"
postfix_stop mta
daemon_start uploader
ok "without the MTA it waits" it_wait $((20 * slow)) grep -q ' waits: ' "$D/logs/uploader"
postfix_start mta
settle
has "and goes on when the MTA is back" "$(rcpts)" '["late@bounces.example"]'
is "once" "$(sink_count sink)" 9

# ---- whose report it is ----

it_stop uploader
it_rsa_key "$D/dkim.pem"
printf 's._domainkey.isp.example %s\n' "$(it_dkim_record "$D/dkim.pem")" >"$D/dns"
{
	sed 's/^<feedback-loop-processor>$/&\n    require-authenticated-reports yes/' "$conf"
	printf '<inbound>\n    dns-file %s\n</inbound>\n' "$D/dns"
} >"$D/auth.conf"
daemon_start uploader "$D/auth.conf"
for canon in relaxed/relaxed simple/simple; do
	"$build/t/dkimsign" -d isp.example -k "s:$D/dkim.pem" -c $canon <"$D/in/arf.eml" >"$D/in/signed.eml"
	: >"$D/logs/uploader"
	mail "z@fbl.example" "$D/in/signed.eml" ''
	settle
	has "a report that its sender signed ($canon) verifies behind Postfix and milter, and makes an event" \
		"$(grep ' report file=' "$D/logs/uploader")" "dkim=pass events=1"
done
n=$(sink_count sink)
: >"$D/logs/uploader"
mail "z@fbl.example" "$D/in/arf.eml" ''
sed 's/From: fbl@isp/From: fbl@other/' "$D/in/arf.eml" >"$D/in/other.eml"
"$build/t/dkimsign" -d isp.example -k "s:$D/dkim.pem" <"$D/in/other.eml" >"$D/in/signed.eml"
mail "z@fbl.example" "$D/in/signed.eml" ''
settle
log=$(grep ' report file=' "$D/logs/uploader")
has "require-authenticated-reports: without a signature no event" "$log" "dkim=none refused=not-authenticated events=0"
has "nor with one of somebody else" "$log" "dkim=pass refused=not-authenticated events=0"
is "they are mail like any other" "$(sink_count sink)" $((n + 2))
out=$(say "$p25" 'EHLO c.example' 'MAIL FROM:<joe@victim.example>' 'RCPT TO:<x@company.example>')
has "the forwards' domain is not relayed to" "$out" "RCPT TO:<x@company.example> => 550"
it_done
