#!/bin/sh
# Functions that can't be used safely, or that hide an error, are not used.
set -eu
cd "${srcdir:-.}"
n=0 failed=0

# FUNCTION WHAT-TO-USE-INSTEAD
banned='
strcpy buf_adds
strcat buf_adds
stpcpy buf_adds
strncpy memcpy_with_a_length
strncat buf_add
sprintf snprintf_or_buf_printf
vsprintf vsnprintf
gets file_read
strtok slice_word
strtok_r slice_word
atoi slice_uint
atol slice_uint
atoll slice_uint
atof strtod
sscanf slice_uint
tmpnam mkstemp
mktemp mkstemp
system fork_and_exec
popen fork_and_exec
alloca xmalloc
asctime clock
ctime clock
rand hash_random
srand hash_random
random hash_random
'

files=$(ls common/*.[ch] milter/*.[ch] uploader/*.[ch] collector/*.[ch] ctl/*.[ch] 2>/dev/null)
# Comments and strings may name them; code may not.
code() {
	sed -e 's/\\"//g' -e 's/"[^"]*"//g' -e 's://.*$::' -e 's:/\*.*\*/::g' -e '/^[[:space:]]*\/\?\*/d' "$1"
}

tmp=$(mktemp)
trap 'rm -f "$tmp"' EXIT
for file in $files; do
	code "$file" | sed "s|^|$file: |"
done >"$tmp"

while read -r function instead; do
	[ -n "$function" ] || continue
	n=$((n + 1))
	if hits=$(grep -E "[^[:alnum:]_]${function}[[:space:]]*\(" "$tmp"); then
		failed=1
		echo "not ok $n - $function is not used (take $instead)"
		printf '%s\n' "$hits" | sed 's/^/# /'
	else
		echo "ok $n - $function is not used"
	fi
done <<END
$banned
END

# Words of unfinished work, and machine paths.
n=$((n + 1))
# shellcheck disable=SC2086 # a list of names without blanks
if hits=$(grep -nwE 'TODO|FIXME|XXX|stub' $files); then
	failed=1
	echo "not ok $n - nothing is left unfinished"
	printf '%s\n' "$hits" | sed 's/^/# /'
else
	echo "ok $n - nothing is left unfinished"
fi
echo "1..$n"
exit $failed
