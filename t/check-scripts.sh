#!/bin/sh
# Our shell scripts are good shell, and our Python compiles.
set -u
cd "${srcdir:-.}" || exit 1
n=0 failed=0

result() { # result STATUS TEXT OUTPUT
	n=$((n + 1))
	if [ "$1" = 0 ]; then
		echo "ok $n - $2"
	else
		failed=1
		echo "not ok $n - $2"
		printf '%s\n' "$3" | head -20 | sed 's/^/# /'
	fi
}

for script in bootstrap .ci/run t/*.sh t/lib/*.sh t/demo/run; do
	[ -f "$script" ] || continue
	if command -v shellcheck >/dev/null 2>&1; then
		# 2119, 2120: arguments may be left out; what a function takes stands at its head.
		out=$(shellcheck -x -s sh -e SC2119,SC2120 "$script" 2>&1)
		result $? "$script" "$out"
	else
		out=$(sh -n "$script" 2>&1)
		result $? "$script (syntax only; no shellcheck)" "$out"
	fi
done
for script in t/*.py t/lib/*.py bench/milter; do
	[ -f "$script" ] || continue
	out=$(python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read())' "$script" 2>&1)
	result $? "$script" "$out"
done
echo "1..$n"
exit $failed
