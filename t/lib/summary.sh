#!/bin/sh
# summary.sh FILE.trs...: the results of a test run in one last line, "N passed, N failed".
# A test that died, or never ran, counts as one failure. Exit 1 if something failed.
set -eu
for file; do
	cat "$file" 2>/dev/null || echo ':test-result: ERROR never ran'
done | awk '
/^:test-result:/ {
	if ($2 == "PASS" || $2 == "XFAIL") passed++
	else if ($2 == "SKIP") skipped++
	else failed++
}
END {
	if (skipped) printf "%d skipped\n", skipped
	printf "%d passed, %d failed\n", passed, failed
	exit failed > 0
}'
