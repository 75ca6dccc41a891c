#!/bin/sh
# Includes point down only, programs never include each other, and every file
# of the tree is named in Makefile.am.
set -eu
cd "${srcdir:-.}"
n=0 failed=0

result() { # result PROBLEMS TEXT
	n=$((n + 1))
	if [ -z "$1" ]; then
		echo "ok $n - $2"
	else
		failed=1
		echo "not ok $n - $2"
		printf '%s\n' "$1" | sed 's/^/# /'
	fi
}

# The layer of each module of common/; a module that is missing here fails the check.
layer_table='
0 slice ascii buf err xalloc log clock base64 hash file lines utf8
1 header mime transfer patch html* url* dns_txt text_links address pattern charset encoded_word dkim* dsn* arf* reply* maillog* required words xtext
2 conf* bounce_rules* classify* event* ids token message mailbox_list sevenbit link jobid msys_api policy route outgoing* signing report* returned track*
3 auth_failures spool* index* inbound* ledger* onward* rejected*
4 daemon
'

layer_of() ( # layer_of MODULE: prints its layer, nothing if it has none
	set -f
	printf '%s\n' "$layer_table" | while read -r layer names; do
		for pattern in $names; do
			# shellcheck disable=SC2254 # a pattern is what it is
			case $1 in
			$pattern)
				echo "$layer"
				return
				;;
			esac
		done
	done
)

# Each local include, as "FILE INCLUDED".
includes() { # includes FOLDER...
	grep -HoE '^[[:space:]]*#[[:space:]]*include[[:space:]]+"[^"]+"' "$@" 2>/dev/null |
		sed -E 's/^([^:]+):.*"([^"]+)"/\1 \2/'
}

problems=$(for file in common/*.[ch]; do
	module=$(basename "$file" | sed 's/\.[ch]$//')
	[ -n "$(layer_of "$module")" ] || echo "$file: in no layer"
done)
result "$problems" "every module of common/ has a layer"

problems=$(includes common/*.[ch] | while read -r file included; do
	case $included in
	common/*) ;;
	config.h) continue ;;
	*) echo "$file includes $included, which is not in common/"; continue ;;
	esac
	from=$(layer_of "$(basename "$file" | sed 's/\.[ch]$//')")
	to=$(layer_of "$(basename "$included" .h)")
	if [ -z "$from" ] || [ -z "$to" ] || [ "$to" -gt "$from" ]; then
		echo "$file (layer $from) includes $included (layer $to)"
	fi
done)
result "$problems" "common/ includes downwards only"

problems=$(for program in milter uploader collector ctl; do
	includes "$program"/*.[ch] | while read -r file included; do
		case $included in
		common/* | "$program"/* | config.h) ;;
		*) echo "$file includes $included" ;;
		esac
	done
done)
result "$problems" "programs include common/ and themselves, never each other"

problems=$(for file in common/*.[ch] milter/*.[ch] uploader/*.[ch] collector/*.[ch] \
	ctl/*.[ch] t/*.[ch] t/*.sh t/*.py fuzz/*.c bench/*.c; do
	[ -e "$file" ] || continue
	grep -qF "$file" Makefile.am && continue
	case $file in # by their name alone
	t/*.c | bench/*.c) grep -qE "${file%.c}([[:space:]]|\$)" Makefile.am && continue ;;
	fuzz/fuzz-*.c) grep -qE "$(basename "$file" .c)([[:space:]]|\$)" Makefile.am && continue ;;
	esac
	echo "$file"
done)
result "$problems" "every source and test is named in Makefile.am"

echo "1..$n"
exit $failed
