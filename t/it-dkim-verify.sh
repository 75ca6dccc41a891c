#!/bin/sh
# What we sign, others verify: odd messages, both algorithms, all four
# canonicalizations, against libopendkim, Mail::DKIM and python3-dkim. No DNS.
# shellcheck source=t/lib/it.sh
. "${srcdir:-.}/t/lib/it.sh"
it_begin dkim
mkdir "$D/in" "$D/out"
domain=example.com

# ---- what verifies ----

if ! [ -x "$build/t/dkimcheck" ] || ! [ -x "$build/t/dkimsign" ]; then
	it_bail "t/dkimcheck and t/dkimsign are not built"
fi
verifiers=libopendkim
if perl -MMail::DKIM -e 1 2>/dev/null; then
	verifiers="$verifiers Mail::DKIM"
else
	it_n=$((it_n + 1))
	echo "ok $it_n # SKIP no Mail::DKIM (libmail-dkim-perl)"
fi
# The distribution's Python has the module; another one on the PATH need not.
python=
for p in /usr/bin/python3 python3; do
	"$p" -c 'import dkim, nacl' 2>/dev/null && python=$p && break
done
if [ -n "$python" ]; then
	verifiers="$verifiers python3-dkim"
else
	it_n=$((it_n + 1))
	echo "ok $it_n # SKIP no python3-dkim with python3-nacl"
fi

verify() { # verify VERIFIER FILE...: one line a signature, "FILE: pass|FAIL|skip ..."
	who=$1
	shift
	case $who in
	libopendkim) "$build/t/dkimcheck" "$D/keys" "$@" ;;
	Mail::DKIM) perl "$src/t/dkim-verify.pl" "$D/keys" "$@" ;;
	python3-dkim) "$python" "$src/t/dkim-verify.py" "$D/keys" "$@" ;;
	esac
}

# What a verifier can't do, whoever signed: prints why.
unable() { # unable VERIFIER MESSAGE CANONICALIZATION
	case $1:$2:$3 in
	libopendkim:lone-cr*:*-relaxed)
		echo "libopendkim's relaxed body drops a CR that no LF follows (RFC 6376 3.4.4 does not)" ;;
	libopendkim:lone-cr-alone:*)
		echo "libopendkim takes a line of CRs for an empty one (RFC 6376 3.4.3 does not)" ;;
	libopendkim:controls-in-header:relaxed-*)
		echo "libopendkim takes VT and FF in a header for blanks (RFC 6376 2.8 does not)" ;;
	python3-dkim:blank-before-colon:*)
		echo "python3-dkim refuses a header with a blank before the colon (RFC 5322 4.5)" ;;
	*) return 1 ;;
	esac
}

# ---- the messages: NAME, options for dkimsign, printf format ----

table() {
	head='From: Joe <joe@example.com>\nTo: ann@b.example\nSubject: test\nDate: Fri, 11 Jul 2003 21:00:37 -0700\nMessage-ID: <1@example.com>\n'

	row plain '' "$head"'\nHello,\n\nthis is text.\n'
	row crlf '' 'From: joe@example.com\r\nSubject: a\r\n b\r\n\r\nHello\r\n\r\nthere\r\n'
	row mixed-line-ends '' 'From: joe@example.com\r\nSubject: a\n b\nTo: c@d.example\r\n\nHello\nthere\r\nand\n\r\n\n'
	row no-final-line-end '' "$head"'\nHello,\nno end'
	row no-final-line-end-crlf '' 'From: joe@example.com\r\n\r\nHello\r\nno end'
	row empty-body '' "$head"'\n'
	row header-only '' "$head"
	row blank-lines-only '' "$head"'\n\n\n\n'
	row blanks-only '' "$head"'\n \n\t\n \t \n'
	row one-blank-no-line-end '' "$head"'\n '
	row text-then-blank-lines '' "$head"'\nHello\n\n\n\n'
	row text-then-blanks '' "$head"'\nHello\n \n\t\n'
	row blank-lines-then-text '' "$head"'\n\n\n\nHello\n'
	row blank-last-line '' "$head"'\nHello\n  '
	row white-space '' "$head"'\n  two\n\tone tab\na  b\tc \t d\nend \nend\t\nend \t \n x \n'
	row wide-white-space '' "$head"'\n                a                b                \n'
	row dots '' "$head"'\n.\n..\n.a\n'
	row folded-header '' 'From: Joe\n\t<joe@example.com>\nSubject: one\n two\n\t three\n    four\nTo: a@b.example,\n  c@d.example\n\nx\n'
	row fold-at-once '' 'From:\n joe@example.com\nSubject:\n\tx\n\ny\n'
	row fold-of-blanks '' 'From: joe@example.com\nSubject: a\n \n b\n\nx\n'
	row blanks-in-header '' 'From:   joe@example.com  \nSubject: \t a  \t b\t\nTo:a@b.example\n\nx\n'
	row empty-values '' 'From: joe@example.com\nSubject:\nReply-To: \nCc:  \t\nTo:\n \n\nx\n'
	row repeated-headers '' 'From: joe@example.com\nTo: a@b.example\nSubject: 1\nTo: c@d.example\nCc: e@f.example\nTo: g@h.example\nSubject: 2\nCc: i@j.example\n\nx\n'
	row two-from '' 'From: joe@example.com\nFrom: ann@example.com\nSubject: x\n\nx\n'
	row odd-case '' 'FROM: joe@example.com\nsUbJeCt: x\nmime-VERSION: 1.0\ncontent-type: text/plain\nMESSAGE-id: <1@example.com>\n\nx\n'
	row blank-before-colon '' 'From: joe@example.com\nSubject : x\nTo  : a@b.example\n\nx\n'
	row eight-bit '' 'From: J\303\266e <joe@example.com>\nSubject: gr\303\274n, l\344tin\n\nna\303\257ve \377\200\240\n'
	row lone-cr '' "$head"'\na\rb\nc\r\r\n\r\rd\n \r e\r'
	row lone-cr-at-line-end '' "$head"'\na \r\r\nb\t\r\r\r\nc\r'
	row lone-cr-alone '' "$head"'\na\n\r\r\n\r\r\r\n'
	row nul '' "$head"'\na\000b\n\000\n \000 \nend\000'
	row controls '' "$head"'\na\013b\n \014 \n\001\002\033\177\n\013\n'
	row controls-in-header '' 'From: joe@example.com\nSubject: a\013b \014 c\001\033d\n\nx\n'
	row tags-in-text '' 'From: joe@example.com\nSubject: b=abc; bh=def; h=From:To; l=0;\n\nb=; bh=\nDKIM-Signature: v=1\n'
	row never-signed '-e Received -e Bcc -e Comments -e Return-Path -o Received' 'Return-Path: <b@example.com>\nReceived: from a\n by b; now\nReceived: from c by d\nFrom: joe@example.com\nBcc: x@y.example\nComments: c\nKeywords: k\nSubject: x\n\nx\n'
	row bulk-headers '-e X-Campaign' 'From: joe@example.com\nSender: s@example.com\nReply-To: r@example.com\nMIME-Version: 1.0\nContent-Type: text/plain;\n charset=utf-8\nContent-Transfer-Encoding: 7bit\nList-Unsubscribe: <https://example.com/u>,\n\t<mailto:u@example.com>\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\nList-Id: <l.example.com>\nFeedback-ID: a:b:c:d\nX-Campaign: c\nX-Signalpost-ID: abc\nIn-Reply-To: <a@b.example>\nReferences: <a@b.example>\n <c@d.example>\nAuto-Submitted: auto-generated\nResent-From: x@example.com\nResent-To: y@b.example\nX-Other: o\n\nx\n'
	row oversigned '-o From -o Subject -o subject -o Reply-To -o X-None' "$head"'\nx\n'
	row oversigned-repeated '-o To -o Cc' 'From: joe@example.com\nTo: a@b.example\nTo: c@d.example\n\nx\n'
	row extra-repeated '-e x-a -e X-A -e Subject' 'X-A: 1\nFrom: joe@example.com\nx-a: 2\nSubject: s\nX-a: 3\n\nx\n'
	row times '-t 1700000000 -x 4000000000' "$head"'\nx\n'
	row identity '-i joe@example.com' "$head"'\nx\n'
	row identity-domain '-i @example.com' "$head"'\nx\n'
	row identity-below '-i joe@news.example.com' "$head"'\nx\n'
	row identity-quoted '-i "a;b=c?d|e"@example.com' "$head"'\nx\n'
	row identity-8bit "-i j$(printf '\303\266')e@example.com" "$head"'\nx\n'
	row body-limit '-l' "$head"'\nHello  there \n\n\n'
	row body-limit-empty '-l' "$head"'\n'
	row body-limit-one-byte-pieces '-l -p 1' "$head"'\n a\r\n\r\n b \r\n\r\n'
	row pieces-of-7 '-p 7' "$head"'\nHello,  this is \t a line\r\nand \n\n another\r\n\r\n\r\nend \t'
}

row() { # row NAME OPTIONS FORMAT
	printf '%s' "$2" >"$D/in/$1.options"
	# shellcheck disable=SC2059 # the formats hold no %
	printf "$3" >"$D/in/$1.eml"
}

more_messages() { # what is too long for a row
	{
		printf 'From: joe@example.com\nX-Long: '
		awk 'BEGIN { for (i = 0; i < 600; i++) printf "word%d", i }'
		printf '\nSubject: '
		awk 'BEGIN { for (i = 0; i < 600; i++) printf " word %d", i }'
		printf '\n\n'
		awk 'BEGIN { for (i = 0; i < 2000; i++) printf "x%d%s", i, i % 90 ? "" : "  " }'
		printf '\nend\n'
	} >"$D/in/long-lines.eml"
	{
		printf 'From: joe@example.com\n'
		awk 'BEGIN { for (i = 0; i < 300; i++) printf "To: r%d@b.example\nX-%d: y\n", i, i }'
		printf '\nx\n'
	} >"$D/in/300-to.eml"
	{
		printf 'From: joe@example.com\nSubject: long\nMIME-Version: 1.0\n\n'
		awk 'BEGIN { for (i = 0; i < 4000; i++)
			printf "%d %*s%s\t%d%s\n", i, i % 11, "", i % 7 ? "some words" : "", i * i, i % 5 ? "" : " " }'
	} >"$D/in/200-kbytes.eml"
	printf '%s' '-p 4096' >"$D/in/200-kbytes.options"
	for f in small html big; do
		cp "$src/t/data/mail/$f.eml" "$D/in/sample-$f.eml"
	done
}

# ---- signing and judging ----

sign_all() { # $D/out/NAME,HEADER-BODY.eml of every message
	for c in relaxed/relaxed relaxed/simple simple/relaxed simple/simple; do
		for f in "$D"/in/*.eml; do
			name=$(basename "$f" .eml)
			options=$(cat "$D/in/$name.options" 2>/dev/null)
			set -f
			# shellcheck disable=SC2086 # options are words
			"$build/t/dkimsign" -d $domain -k rsa:"$D/rsa.pem" -k ed:"$D/ed.pem" -c $c \
				$options <"$f" >"$D/out/$name,$(echo $c | tr / -).eml" ||
				fail "$name can be signed with $c"
			set +f
		done
	done
}

judge() { # judge VERIFIER: one test for each signed message
	verify "$1" "$D"/out/*.eml >"$D/$1.txt" 2>"$D/$1.err"
	[ ! -s "$D/$1.err" ] || sed 's/^/# /' "$D/$1.err" | head -20
	for f in "$D"/out/*.eml; do
		name=$(basename "$f" .eml)
		said=$(grep -F "$f: " "$D/$1.txt" | sed 's/^[^ ]* //')
		skips=$(echo "$said" | grep -c '^skip ')
		if why=$(unable "$1" "${name%,*}" "${name#*,}"); then
			it_n=$((it_n + 1))
			echo "ok $it_n - $1: $name # SKIP $why"
		elif [ $(($(echo "$said" | grep -c '^pass ') + skips)) = 2 ] && [ "$skips" -le 1 ] &&
			! echo "$said" | grep -q FAIL; then
			pass "$1: $name"
		else
			fail "$1: $name" "$said"
		fi
	done
	if grep -q ': skip .*a=ed25519' "$D/$1.txt"; then
		it_n=$((it_n + 1))
		echo "ok $it_n - $1: Ed25519 signatures # SKIP not known to this version"
	fi
}

# ---- what must not pass: else the verifiers prove nothing ----

spoil() { # spoil NAME SED-COMMAND
	sed "$2" "$D/out/oversigned,relaxed-relaxed.eml" >"$D/bad/$1.eml"
	if cmp -s "$D/out/oversigned,relaxed-relaxed.eml" "$D/bad/$1.eml"; then
		fail "$1 changes the message"
	fi
}

spoil_all() {
	mkdir "$D/bad"
	spoil body-changed 's/^x\r$/y\r/'
	spoil line-added "\$a more\\r"
	spoil subject-changed 's/^Subject: test/Subject: text/'
	spoil second-from 's/^Subject:/From: eve@evil.example\r\nSubject:/'
	spoil second-subject 's/^Date:/Subject: other\r\nDate:/'
	spoil reply-to-added 's/^Date:/Reply-To: eve@evil.example\r\nDate:/'
	spoil oversigned-unknown-added 's/^Date:/X-None: 1\r\nDate:/'
}

judge_bad() { # judge_bad VERIFIER
	verify "$1" "$D"/bad/*.eml >"$D/$1.bad" 2>/dev/null
	for f in "$D"/bad/*.eml; do
		name=$(basename "$f" .eml)
		said=$(grep -F "$f: " "$D/$1.bad" | sed 's/^[^ ]* //')
		if echo "$said" | grep -q '^FAIL' && ! echo "$said" | grep -q '^pass'; then
			pass "$1: $name fails"
		else
			fail "$1: $name fails" "$said"
		fi
	done
}

# What may change on the way without harm.
judge_harmless() { # judge_harmless VERIFIER
	{
		sed -e 's/^To: /X-New: 1\r\nTO:\r\n\t /' -e 's/^this is text/this \t is text/' \
			"$D/out/plain,relaxed-relaxed.eml"
		printf ' \r\n\t \r\n\r\n'
	} >"$D/harmless.eml"
	(cat "$D/out/body-limit,relaxed-relaxed.eml" && printf 'a footer\r\n') >"$D/footer.eml"
	for f in harmless footer; do
		said=$(verify "$1" "$D/$f.eml")
		if echo "$said" | grep -q ' pass' && ! echo "$said" | grep -q 'FAIL'; then
			pass "$1: $f"
		else
			fail "$1: $f" "$said"
		fi
	done
}

openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$D/rsa.pem" 2>/dev/null
openssl genpkey -algorithm ED25519 -out "$D/ed.pem" 2>/dev/null
chmod 600 "$D/rsa.pem" "$D/ed.pem"
"$build/t/dkimsign" -r -d $domain -k rsa:"$D/rsa.pem" -k ed:"$D/ed.pem" >"$D/keys" ||
	it_bail "keys can't be loaded"

table
more_messages
sign_all
spoil_all
for v in $verifiers; do
	judge "$v"
	judge_bad "$v"
	judge_harmless "$v"
done
it_done
