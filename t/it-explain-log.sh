#!/bin/sh
# What `signalpost explain log` says of logs of both MTAs; t/data/maillog/NAME.json is what it
# should say. UPDATE=1 writes those anew.
# shellcheck source=t/lib/it.sh disable=SC2154
. "${srcdir:-.}/t/lib/it.sh"
it_begin explain-log
TZ=UTC0
export TZ
for log in "$src"/t/data/maillog/*.log; do
	name=$(basename "$log" .log)
	cp "$log" "$D/$name"
	# Stamps without a year are read in the light of the file's own time.
	touch -d '2026-11-23 00:00:00 UTC' "$D/$name"
	"$build/signalpost" explain log "$D/$name" >"$D/$name.json" 2>&1
	[ -z "${UPDATE:-}" ] || cp "$D/$name.json" "$src/t/data/maillog/$name.json"
	# Which of the rules for a reply is the first to know it is for t-classify.
	is "$name" "$(sed 's/,"rule":"[^"]*"//' "$D/$name.json")" "$(sed 's/,"rule":"[^"]*"//' "$src/t/data/maillog/$name.json")"
done
is "from standard input" "$("$build/signalpost" explain log - <"$src/t/data/maillog/rsyslog.log" | wc -l | tr -d ' ')" \
	"$(wc -l <"$src/t/data/maillog/rsyslog.json" | tr -d ' ')"
gzip -c "$src/t/data/maillog/rsyslog.log" >"$D/log.gz"
out=$("$build/signalpost" explain log "$D/log.gz" 2>&1)
is "what is compressed" "$?" 1
has "is not passed over in silence" "$out" "$D/log.gz: gzip'd: zcat $D/log.gz | signalpost explain log -"
printf 'hello\nworld\n' >"$D/no-log"
has "lines of no known form" "$("$build/signalpost" explain log "$D/no-log" 2>&1)" "$D/no-log: no line has a form that is known"
report=$src/t/data/bounces/mails/gmime-DSN-spam.eml
is "a report from standard input" "$("$build/signalpost" explain report - <"$report" | sed 's/"file":"[^"]*"//')" \
	"$("$build/signalpost" explain report "$report" | sed 's/"file":"[^"]*"//')"
out=$("$build/signalpost" explain log "$D/none" 2>&1)
is "no such file" "$?" 1
has "is named" "$out" "$D/none: No such file"
it_done
