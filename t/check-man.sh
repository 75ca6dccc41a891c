#!/bin/sh
# The manual pages are good mdoc, name no page that is not there, and signalpost(1) has
# every command and option that the program itself tells of.
set -u
cd "${srcdir:-.}" || exit 1
top=${builddir:-.}
n=0 failed=0
if ! command -v mandoc >/dev/null 2>&1; then
	echo "1..0 # SKIP no mandoc"
	exit 0
fi

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

# ---- each page ----

# Whether other packages' pages are installed here says nothing about ours, nor does the
# age of mandoc's index.
lint() { # lint PAGE
	mandoc -Tlint -W style "$1" 2>&1 |
		grep -v -e 'STYLE: referenced manual not found: Xr' -e 'outdated mandoc.db'
}

# Pages of ours that are named must be there.
unknown_pages() { # unknown_pages PAGE
	sed -n 's/^\.Xr \(signalpost[^ ]*\) \([1-8]\).*/\1.\2/p' "$1" | sort -u |
		while read -r name; do
			[ -f "man/$name" ] || [ -f "man/$name.in" ] || echo "no page $name"
		done
}

found=0
for page in man/*.[1-8] "$top"/man/*.[1-8]; do
	[ -f "$page" ] || continue
	found=1
	out=$(lint "$page")
	[ -z "$out" ]
	result $? "$(basename "$page")" "$out"
	out=$(unknown_pages "$page")
	[ -z "$out" ]
	result $? "$(basename "$page") names pages that are there" "$out"
done
[ $found = 1 ]
result $? "there are pages" "none in man/"

# ---- signalpost(1) beside signalpost help ----

signalpost=$top/signalpost
page=man/signalpost.1
if [ ! -x "$signalpost" ]; then
	echo "1..$n"
	exit $failed
fi

# The forms of a command, one a line, as its own help has them.
forms() { # forms COMMAND
	"$signalpost" help "$1" | awk '
		/^$/ { exit }
		{ sub(/^usage: /, ""); $1 = $1 }
		/^signalpost / { if (form != "") print form; form = $0; next }
		{ form = form " " $0 }
		END { if (form != "") print form }'
}

synopsis=$(mandoc -Tascii -O width=1000 $page 2>/dev/null | sed "s/.$(printf '\b')//g" |
	awk '/^[A-Z]/ { inside = $1 == "SYNOPSIS"; next } inside && NF { $1 = $1; print }')

section() { # section COMMAND: the source of what the page says of it
	awk -v want="$1" '/^\.S[sh] / { inside = $0 == ".Ss " want; next } inside' $page
}

undescribed() { # undescribed COMMAND
	[ -n "$(section "$1")" ] || echo "no section $1"
	forms "$1" | grep -o -e ' \[*--*[a-z][a-z-]*' | tr -d ' [' | sort -u |
		while read -r option; do
			[ "$option" != -c ] || continue # described once, for all
			section "$1" | grep -q -e "Fl ${option#-}\\( \\|\$\\)" ||
				echo "$1: nothing is said of $option"
		done
}

for command in $("$signalpost" help | awk '/^  [a-z]/ { print $1 }'); do
	out=$(forms "$command" | while read -r form; do
		printf '%s\n' "$synopsis" | grep -qxF -e "$form" || echo "not in SYNOPSIS: $form"
	done)
	case $command in
	help | version) ;;
	*) out=$out$(undescribed "$command") ;;
	esac
	[ -z "$out" ]
	result $? "signalpost(1) has $command" "$out"
done
out=$(printf '%s\n' "$synopsis" | while read -r form; do
	command=${form#signalpost }
	forms "${command%% *}" | grep -qxF -e "$form" || echo "the program does not say: $form"
done)
[ -z "$out" ]
result $? "what SYNOPSIS has, the program says" "$out"
echo "1..$n"
exit $failed
