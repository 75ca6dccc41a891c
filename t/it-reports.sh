#!/bin/sh
# The labelled reports, as they are and changed as mail is changed on its way, against what a
# reader must find in them.
set -eu
srcdir=${srcdir:-.} builddir=${builddir:-.}
signalpost=$builddir/signalpost
dir=$(mktemp -d "${TMPDIR:-/tmp}/sp-reports.XXXXXX")
trap 'rm -rf "$dir"' EXIT
n=0 failed=0

judge() { # judge FOLDER NAME: reads the mails of FOLDER and judges what was found
	folder=$1 name=$2
	set -- --min dsn-standard.rcpts=99.5 --min dsn-standard.status=99 \
		--min dsn-nonstandard.rcpts=96 --min dsn-nonstandard.status=98.5 \
		--min 'ALL bounces.rcpts=98.5' --min 'ALL bounces.class=97.5' --min 'ALL bounces.mid=98' \
		--min 'ALL feedback.rcpts=99' --min negatives.fp=0.5 --min not-a-bounce.soft=1
	if "$signalpost" explain report "$folder"/mails/*.eml >"$dir/events" 2>"$dir/errors" &&
		python3 "$srcdir/t/bounce-judge.py" "$folder/index.jsonl" "$dir/events" --misses 40 "$@" >"$dir/judged"; then
		result=ok
	else
		result='not ok' failed=1
	fi
	n=$((n + 1))
	echo "$result $n - $name"
	sed 's/^/# /' "$dir/errors" "$dir/judged"
}

judge "$srcdir/t/data/bounces" "the labelled reports"
for seed in 1 2 3; do
	python3 "$srcdir/t/mutate-reports.py" "$srcdir/t/data/bounces" "$dir/set$seed" "$seed"
	judge "$dir/set$seed" "changed on their way, seed $seed"
done

# ---- whose report it is ----

openssl genrsa -out "$dir/key" 2048 2>/dev/null
chmod 600 "$dir/key"
printf 'From: abuse@isp.example\r\nTo: fbl@x.example\r\nSubject: hi\r\n\r\nhello\r\n' >"$dir/plain.eml"
"$builddir/t/dkimsign" -d isp.example -k "s:$dir/key" <"$dir/plain.eml" >"$dir/signed.eml"
sed 's/^hello/hallo/' "$dir/signed.eml" >"$dir/changed.eml"
{ echo '{"from":"","received":1,"rcpts":[{"to":"fbl@x.example","list":"feedback"}]}'; cat "$dir/signed.eml"; } >"$dir/captured.eml"
echo "s._domainkey.isp.example v=DKIM1; k=rsa; p=$(openssl pkey -in "$dir/key" -pubout -outform DER 2>/dev/null | base64 -w0)" >"$dir/dns"
printf '<inbound>\ndns-file %s/dns\n</inbound>\n' "$dir" >"$dir/conf"
dkim() { # dkim NAME WANTED TEXT
	got=$("$signalpost" explain -c "$dir/conf" report "$dir/$1.eml" 2>&1 | tr -d ' ' | grep -o '"dkim":{[^}]*}')
	n=$((n + 1))
	case $got in
	*"$2"*) echo "ok $n - $3" ;;
	*)
		failed=1
		echo "not ok $n - $3"
		echo "# $got"
		;;
	esac
}
dkim signed '{"result":"pass","domain":"isp.example","aligned":true}' "a signature of the sender's domain"
dkim changed '"result":"fail"' "a mail that was changed"
dkim plain '{"result":"none"}' "no signature"
dkim captured '{"result":"pass",' "a file of the spool"
echo "1..$n"
exit $failed
