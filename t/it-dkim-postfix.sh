#!/bin/sh
# Odd messages through milter and Postfix, to a hop with 8BITMIME and one without: what
# arrives is what went in, and three verifiers find both signatures good.
# shellcheck source=t/lib/it.sh disable=SC2154
. "${srcdir:-.}/t/lib/it.sh"
it_need postfix postconf openssl python3 perl

it_begin odd
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
mkdir "$D/keys" "$D/spool"
postfix_make mta
socket_folder

# The headers are signed simple in one half and relaxed in the other: what Postfix does to a
# header shows in simple.
configure() { # configure HEADER-CANON BODY-CANON
	cat >"$conf" <<-END
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
		    dkim-headers-canon $1
		    dkim-body-canon $2
		    dkim-headers X-Fold,X-Long,X-Empty,X-Raw,Keywords
		</domain>
		$(conf_signals)
		$(conf_places)
	END
}

configure relaxed relaxed
milter_start
postfix_setup mta
postfix_private mta
postfix_conf mta "transport_maps=inline:{ eight.example=smtp:[127.0.0.1]:$eight, seven.example=smtp:[127.0.0.1]:$seven }"
sink_start eight "$eight"
sink_start seven "$seven" --no-8bitmime
postfix_start mta

python=/usr/bin/python3
"$python" -c 'import dkim, nacl' 2>/dev/null || python=

verify() { # verify WHAT: all that the sinks have
	for hop in eight seven; do
		for verifier in "$build/t/dkimcheck" "perl $src/t/dkim-verify.pl" ${python:+"$python $src/t/dkim-verify.py"}; do
			set -- "$1" "$D/$hop"/*.eml
			what=$1
			shift
			# shellcheck disable=SC2086 # a command and its arguments
			out=$($verifier "$D/dns" "$@" 2>&1)
			name=${verifier##*/}
			set -- "$what"
			good=$(printf '%s\n' "$out" | grep -c ': pass')
			bad=$(printf '%s\n' "$out" | grep -v ': pass\|: skip')
			if [ -z "$bad" ] && [ "$good" -gt 0 ]; then
				pass "$1, $hop: $good signatures good by $name"
			else
				fail "$1, $hop: all signatures good by $name" "$bad"
			fi
		done
		rm -f "$D/$hop"/*
	done
}

for canon in 'relaxed relaxed' 'simple simple'; do
	# shellcheck disable=SC2086 # two words
	configure $canon
	seen=$(grep -c 'settings reloaded' "$D/logs/milter")
	kill -USR1 "$(it_pid milter)"
	reloaded() { [ "$(grep -c 'settings reloaded' "$D/logs/milter")" -gt "$seen" ]; }
	it_wait 10 reloaded || it_bail "no reload" "$D/logs/milter"
	out=$(python3 "$src/t/lib/oddmail.py" "$D" "$port" 2>/dev/null)
	bad=$(printf '%s\n' "$out" | grep -A6 '^not ok')
	is "$canon: every message arrives as it was ($(printf '%s\n' "$out" | grep -c '^ok') checks)" "$bad" ""
	verify "$canon"
done
hasnt "nothing of ours failed" "$(cat "$D/logs/milter")" "error:"
it_done
