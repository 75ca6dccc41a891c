#!/bin/sh
# Reports made from forms (t/data/reports-made), with other names each time, as they are and
# changed as mail is changed on its way, against their labels.
set -eu
srcdir=${srcdir:-.} builddir=${builddir:-.}
signalpost=$builddir/signalpost
dir=$(mktemp -d "${TMPDIR:-/tmp}/sp-made.XXXXXX")
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

for seed in 1 2; do
	python3 "$srcdir/t/make-reports.py" "$srcdir"/t/data/reports-made/forms-* "$dir/made$seed" "$seed"
	judge "$dir/made$seed" "made with seed $seed"
	python3 "$srcdir/t/mutate-reports.py" "$dir/made$seed" "$dir/changed$seed" "$seed"
	judge "$dir/changed$seed" "and changed on their way"
done
echo "1..$n"
exit $failed
