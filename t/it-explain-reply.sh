#!/bin/sh
# signalpost explain reply: one line of JSON a reply; own rules and patterns; check runs rules' tests.
# shellcheck source=t/lib/it.sh
. "${srcdir:-.}/t/lib/it.sh"
it_begin explain-reply
cd "$D" || exit 1

explain() { # explain ARGUMENT...: output in $out, errors in $err, exit status in $rc
	out=$("$build/signalpost" explain reply "$@" 2>"$D/err")
	rc=$?
	err=$(cat "$D/err")
}

printf '' >empty.conf
explain -c empty.conf '550 5.1.1 <anna@example.net>: User unknown'
is 'it is explained' "$rc" 0
is 'all that is said' "$out" '{"reply":"550 5.1.1 <anna@example.net>: User unknown","error_code":"550","dsn":"5.1.1","bounce_class":"10","class_name":"Invalid Recipient","category":"bad-mailbox","rule":"user-unknown","hard":true,"reason":"550 5.1.1 ...@...: User unknown"}'
explain -c empty.conf 'host mx.example.com[192.0.2.1] said: 452 4.2.2 Mailbox full (in reply to RCPT TO command)' 'User unknown'
is 'a line for each' "$(printf '%s\n' "$out" | wc -l)" 2
has 'what Postfix wrote around it' "$out" '"error_code":"452","dsn":"4.2.2","bounce_class":"22"'
has 'text alone has no code' "$out" '{"reply":"User unknown","bounce_class":"10"'
out=$(printf '550 one\n\n450 two\n' | "$build/signalpost" explain reply -c empty.conf -)
is 'from standard input' "$(printf '%s\n' "$out" | cut -d, -f1 | tr '\n' ' ')" \
	'{"reply":"550 one" {"reply":"450 two" '
explain -c empty.conf
is 'nothing to explain' "$rc" 64

# ---- own rules ----

cat >own.rules <<'RULES'
moon	70 other
	/the moon/
	550 says the moon
	550 says the sun
RULES
cat >own.conf <<CONF
bounce-rules $D/own.rules
<bounce-category-patterns>
	/says the star/ my-stars
</bounce-category-patterns>
CONF
explain -c own.conf '550 5.1.1 user unknown, says the moon' '550 5.1.1 user unknown, says the star'
has 'own rules come first' "$out" '"bounce_class":"70","class_name":"Transient Failure","category":"other","rule":"moon"'
has 'patterns of the configuration before them' "$out" '"bounce_class":"10","class_name":"Invalid Recipient","category":"my-stars","rule":"own.conf:3"'
out=$("$build/signalpost" check -c own.conf 2>&1)
is 'check goes well' $? 0
has 'and says which test fails' "$out" "warning: bounce-rules: $D/own.rules:4: rule moon: no rule catches '550 says the sun'"
echo 'moon 71 other' >own.rules
explain -c own.conf '550 x'
is 'bad rules' "$rc" 78
has 'are named' "$err" "own.rules:1: '71' is no bounce class"
out=$("$build/signalpost" check -c own.conf 2>&1)
is 'check refuses them' $? 78
rm own.rules
explain -c own.conf '550 x'
is 'a file that was named must be there' "$rc" 78

it_done
