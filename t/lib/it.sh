# it.sh - what the integration tests and the demo share: a private place, processes
# that end with us, waits with deadlines, TAP, and a private Postfix.
#
#	. "${srcdir:-.}/t/lib/it.sh"
#	it_begin name
#	postfix_make mta 2525
#	...
#	it_done
#
# $src and $build are the source and build folders, $D the private folder (short,
# and open to the user postfix), $conf the configuration and $socket the milter's socket,
# unless the test says otherwise. Nothing outside $D is written; all listen on 127.0.0.1
# with ports from it_port.
# shellcheck shell=sh

src=$(cd "${srcdir:-.}" && pwd)
# shellcheck disable=SC2034 # for those that include us
build=$(cd "${builddir:-.}" && pwd)
D=
conf=
socket=
it_n=0
it_failed=0

# ---- the frame ----

it_begin() { # it_begin NAME: makes $D, and sees to it that everything ends
	PATH=$PATH:/usr/sbin:/sbin
	export PATH
	umask 022
	D=$(mktemp -d "/tmp/sp-$1.XXXXXX")
	chmod 755 "$D"
	mkdir "$D/pids" "$D/logs"
	conf=$D/signalpost.conf
	socket=$D/mta/q/milter/m.sock
	trap 'it_end' EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
}

it_end() { # the EXIT trap
	it_rc=$?
	trap - EXIT
	[ -n "$D" ] && [ -d "$D" ] || exit "$it_rc"
	for it_file in "$D"/*/q/pid/master.pid; do
		[ -f "$it_file" ] && postfix_stop "$(basename "${it_file%/q/pid/master.pid}")"
	done
	for it_file in "$D"/pids/*; do
		[ -f "$it_file" ] && it_stop "$(basename "$it_file")"
	done
	python3 "$src/t/lib/port.py" -r "$$"
	if [ -n "${KEEP:-}" ]; then
		echo "# kept: $D"
	else
		rm -rf "$D"
	fi
	exit "$it_rc"
}

it_need() { # it_need COMMAND...: skips the whole test where one is missing, or without root
	PATH=$PATH:/usr/sbin:/sbin
	if [ "$(id -u)" != 0 ]; then
		echo "1..0 # SKIP a private Postfix needs root"
		exit 0
	fi
	for it_tool in "$@"; do
		command -v "$it_tool" >/dev/null 2>&1 && continue
		echo "1..0 # SKIP no $it_tool"
		exit 0
	done
}

# ---- TAP ----

pass() { # pass TEXT
	it_n=$((it_n + 1))
	echo "ok $it_n - $1"
}

fail() { # fail TEXT [DIAGNOSTIC]
	it_n=$((it_n + 1))
	it_failed=$((it_failed + 1))
	echo "not ok $it_n - $1"
	[ -z "${2:-}" ] || printf '%s\n' "$2" | head -40 | sed 's/^/# /'
}

ok() { # ok TEXT COMMAND...: the command succeeds
	it_text=$1
	shift
	if it_out=$("$@" 2>&1); then
		pass "$it_text"
	else
		fail "$it_text" "$* failed
$it_out"
	fi
}

is() { # is TEXT GOT WANTED
	if [ "$2" = "$3" ]; then
		pass "$1"
	else
		fail "$1" "got:    $2
wanted: $3"
	fi
}

has() { # has TEXT HAYSTACK FIXED-STRING
	case $2 in
	*"$3"*) pass "$1" ;;
	*) fail "$1" "looked for: $3
in: $2" ;;
	esac
}

hasnt() { # hasnt TEXT HAYSTACK FIXED-STRING
	case $2 in
	*"$3"*) fail "$1" "found: $3
in: $2" ;;
	*) pass "$1" ;;
	esac
}

it_done() { # prints the plan; the exit status of the test
	echo "1..$it_n"
	[ "$it_failed" = 0 ]
}

it_bail() { # it_bail TEXT [FILE]: nothing that follows could work
	echo "not ok $((it_n + 1)) - $1"
	[ -z "${2:-}" ] || [ ! -f "$2" ] || tail -20 "$2" | sed 's/^/# /'
	echo "Bail out! $1"
	exit 1
}

# ---- ports, waits, processes ----

it_port() { # prints a port that is free, and no other test's while this one runs
	python3 "$src/t/lib/port.py" "$$"
}

# A wait of five seconds and more is for what must come, and costs nothing when it comes: on a machine
# that is busy with other things it lasts a minute at least.
it_wait() { # it_wait SECONDS COMMAND...: until the command succeeds; 1 if it never does
	it_left=$(($1 * 20))
	[ "$1" -lt 5 ] || [ "$1" -ge 60 ] || it_left=1200
	shift
	while ! "$@" >/dev/null 2>&1; do
		it_left=$((it_left - 1))
		[ "$it_left" -gt 0 ] || return 1
		sleep 0.05
	done
}

it_listens() { # it_listens PORT
	python3 -c 'import socket, sys; socket.create_connection(("127.0.0.1", int(sys.argv[1])), 1)' "$1"
}

it_comes() { # it_comes TEXT FILE FIXED-STRING: the file has it, if need be a little later
	it_text=$1 it_file=$2 it_words=$3
	if it_wait 60 grep -qF -e "$it_words" "$it_file"; then
		pass "$it_text"
	else
		fail "$it_text" "looked for: $it_words
in: $(tail -n 30 "$it_file")"
	fi
}

it_start() { # it_start NAME COMMAND...: in the background; its output is $D/logs/NAME
	it_name=$1
	shift
	"$@" >>"$D/logs/$it_name" 2>&1 </dev/null &
	echo $! >"$D/pids/$it_name"
}

it_pid() { # it_pid NAME
	cat "$D/pids/$1"
}

it_alive() { # it_alive NAME
	[ -f "$D/pids/$1" ] && kill -0 "$(cat "$D/pids/$1")" 2>/dev/null
}

it_ended() { # it_ended PID: gone, or a zombie that nobody has waited for yet
	! kill -0 "$1" 2>/dev/null || grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null
}

it_stop() { # it_stop NAME [SIGNAL]: ends it, by force after 15 s; prints and returns nothing
	[ -f "$D/pids/$1" ] || return 0
	it_p=$(cat "$D/pids/$1")
	kill "-${2:-TERM}" "$it_p" 2>/dev/null
	it_wait 15 it_ended "$it_p" || kill -KILL "$it_p" 2>/dev/null
	wait "$it_p" 2>/dev/null
	rm -f "$D/pids/$1"
	return 0
}

# ---- a next hop ----

sink_start() { # sink_start NAME PORT [sink.py's options]: keeps messages in $D/NAME
	it_sink=$1 it_sink_port=$2
	shift 2
	it_start "$it_sink" python3 "$src/t/lib/sink.py" --port "$it_sink_port" --dir "$D/$it_sink" "$@"
	it_wait 10 grep -q ready "$D/logs/$it_sink" || it_bail "the sink does not start" "$D/logs/$it_sink"
}

sink_count() { # sink_count NAME
	find "$D/$1" -name '*.eml' 2>/dev/null | wc -l | tr -d ' '
}

sink_has() { # sink_has NAME N: at least N messages
	[ "$(sink_count "$1")" -ge "$2" ]
}

# ---- a private Postfix: $D/NAME/etc, $D/NAME/q, $D/NAME/data, log in $D/NAME/log ----

postfix_make() { # postfix_make NAME: Debian's defaults, only in another place
	mkdir -p "$D/$1/etc" "$D/$1/q" "$D/$1/data"
	chown postfix "$D/$1/data"
	cp /usr/share/postfix/master.cf.dist "$D/$1/etc/master.cf"
	[ ! -f /etc/postfix/dynamicmaps.cf ] || cp /etc/postfix/dynamicmaps.cf "$D/$1/etc/"
	cat >"$D/$1/etc/main.cf" <<-END
		compatibility_level = 3.6
		queue_directory = $D/$1/q
		data_directory = $D/$1/data
		maillog_file_prefixes = $D
		maillog_file = $D/$1/log
		syslog_name = $1
		alias_maps =
		alias_database =
		biff = no
		smtp_tls_security_level = none
	END
}

postfix_conf() { # postfix_conf NAME PARAMETER=VALUE...
	it_mta=$1
	shift
	postconf -c "$D/$it_mta/etc" -e "$@"
}

# What belongs to a private instance and to nothing else: set after mta-config has had its say.
postfix_private() { # postfix_private NAME [SINK-PORT]
	postfix_conf "$1" inet_protocols=ipv4 inet_interfaces=127.0.0.1
	[ -z "${2:-}" ] || postfix_conf "$1" "relayhost=[127.0.0.1]:$2"
}

postfix_start() { # postfix_start NAME
	if ! postfix -c "$D/$1/etc" start >"$D/logs/$1.start" 2>&1; then
		it_bail "Postfix $1 does not start" "$D/$1/log"
	fi
	it_wait 15 grep -q 'daemon started' "$D/$1/log" || it_bail "Postfix $1 does not start" "$D/$1/log"
}

postfix_reload() { # postfix_reload NAME
	postfix -c "$D/$1/etc" reload >>"$D/logs/$1.start" 2>&1
}

postfix_ended() { # postfix_ended PID: the master, and all that it has started: they have its ports
	! sed -n 's/^[0-9]* (.*) \([A-Z]\) [0-9]* \([0-9]*\) .*/\1 \2/p' /proc/[0-9]*/stat 2>/dev/null |
		grep -q "^[^Z] $1\$"
}

postfix_stop() { # postfix_stop NAME
	[ -f "$D/$1/q/pid/master.pid" ] || return 0
	it_p=$(tr -d ' \n' <"$D/$1/q/pid/master.pid")
	kill -TERM "$it_p" 2>/dev/null
	it_wait 15 postfix_ended "$it_p" || kill -KILL "-$it_p" 2>/dev/null
	rm -f "$D/$1/q/pid/master.pid"
	return 0
}

# In the order in which a message goes through them, and then again: a notice comes in before that which
# it is about goes.
postfix_empty() { # postfix_empty NAME: nothing waits in its queue
	[ -z "$(cd "$D/$1/q" && find maildrop incoming active deferred -type f 2>/dev/null)" ] &&
		[ -z "$(cd "$D/$1/q" && find maildrop incoming active deferred -type f 2>/dev/null)" ]
}

# ---- signalpost: its configuration, what it asks of Postfix, its daemons ----

conf_signals() { # conf_signals [PORT]: prints <signals>; with PORT they go to a <collector> there
	cat <<-END
		<signals>
		    api-key 0123456789abcdef0123456789abcdef01234567
	END
	if [ -n "${1:-}" ]; then
		cat <<-END
			    upload-url http://127.0.0.1:$1/api/v1/ingest/events
			</signals>
			<collector>
			    listen 127.0.0.1:$1
			    database $D/collector.db
			    user ""
			</collector>
		END
	else
		echo '</signals>'
	fi
}

# Blocks may be given in parts: what else a test wants in one stands in a block of its own.
conf_places() { # conf_places [SPOOL]: prints <milter>, <spool> and <token-keys>, all of them in $D
	cat <<-END
		<milter>
		    socket unix:$socket
		    user ""
		</milter>
		<spool>
		    directory ${1:-$D/spool}
		</spool>
		<token-keys>
		    directory $D/keys
		</token-keys>
	END
}

socket_folder() { # that of $socket: Postfix may enter it
	mkdir -p "${socket%/*}"
	chgrp postfix "${socket%/*}"
	chmod 2750 "${socket%/*}"
}

postfix_setup() { # postfix_setup NAME [CONF]: by the script that mta-config prints
	"$build/signalpost" mta-config postfix -c "${2:-$conf}" >"$D/setup.sh" 2>"$D/logs/mta-config" ||
		it_bail "mta-config fails" "$D/logs/mta-config"
	SIGNALPOST=$build/signalpost sh "$D/setup.sh" "$D/$1/etc" >"$D/logs/setup" 2>&1 ||
		it_bail "mta-config's script fails" "$D/logs/setup"
}

daemon_start() { # daemon_start {milter | uploader | tracker | collector} [CONF]
	it_start "$1" "$build/signalpost-$1" -f -c "${2:-$conf}"
}

it_lines() { # it_lines TEXT FILE: how many lines have it
	grep -c "$1" "$2" 2>/dev/null || :
}

milter_listens() { # milter_listens N: for more than the Nth time
	[ "$(it_lines 'listening on' "$D/logs/milter")" -gt "${1:-0}" ]
}

milter_start() { # milter_start [CONF]: until it listens
	it_seen=$(it_lines 'listening on' "$D/logs/milter")
	daemon_start milter "$@"
	it_wait $((15 * ${SIGNALPOST_TEST_SLOW:-1})) milter_listens "$it_seen" ||
		it_bail "the milter does not start" "$D/logs/milter"
}

collector_listens() { # collector_listens N: for more than the Nth time
	[ "$(it_lines 'listening on' "$D/logs/collector")" -gt "${1:-0}" ]
}

# Not by connecting: that can be done before its database is there.
collector_start() { # collector_start: until it listens
	it_seen=$(it_lines 'listening on' "$D/logs/collector")
	daemon_start collector
	it_wait $((15 * ${SIGNALPOST_TEST_SLOW:-1})) collector_listens "$it_seen" ||
		it_bail "the collector does not start" "$D/logs/collector"
}

# ---- keys and certificates ----

it_certificate() { # it_certificate FILE HOST: key and self-signed certificate in one PEM file
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=$2" \
		-addext "subjectAltName=DNS:$2" -keyout "$1.key" -out "$1.crt" 2>/dev/null
	cat "$1.key" "$1.crt" >"$1"
	rm -f "$1.key" "$1.crt"
	chmod 600 "$1"
}

it_rsa_key() { # it_rsa_key FILE [BITS]
	(umask 077 && openssl genrsa -out "$1" "${2:-2048}" 2>/dev/null)
}

it_dkim_record() { # it_dkim_record KEYFILE: the DNS text of an RSA key
	printf 'v=DKIM1; k=rsa; p=%s\n' "$(openssl pkey -in "$1" -pubout -outform DER | base64 -w0)"
}
