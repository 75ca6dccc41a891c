# sendmail.sh - a private sendmail for integration tests, from packages that
# get-sendmail.sh has unpacked: Debian's own sendmail.mc with the lines of mta-config,
# and with paths below $D. Its syslog goes to a file. Include it behind it.sh.
#
#	sendmail_need
#	it_begin name
#	sendmail_make mta "$D/signalpost.conf"
#	sendmail_start mta
#
# shellcheck shell=sh disable=SC2154

sm_root=${SENDMAIL_ROOT:-$src/build-sendmail/root}
sm_shim=$build/t/syslog-file.so

sendmail_need() { # skips the whole test where there is no sendmail
	if [ ! -f "$sm_root/complete" ]; then
		echo "1..0 # SKIP no unpacked sendmail in $sm_root: sh t/lib/get-sendmail.sh build-sendmail"
		exit 0
	fi
	it_need m4 openssl python3
	sm_lib=$(dirname "$(find "$sm_root" -name libwrap.so.0)")
	sm_cf=$sm_root/usr/share/sendmail/cf
}

sm_run() { # sm_run PROGRAM ARGUMENT...: one of the package
	sm_program=$1
	shift
	LD_LIBRARY_PATH=$sm_lib "$sm_root/usr/libexec/sendmail/$sm_program" "$@"
}

# Debian's .mc with the package's folder for /usr, ours for /etc/mail.
sm_debian() { # sm_debian FILE.mc ETC
	sed -e "/m4\/cf.m4/a\\
include(\`/usr/share/sendmail/cf/debian/autoconf.m4')dnl\\
define(\`MAIL_SETTINGS_DIR', \`/etc/mail/')dnl" "$sm_cf/debian/$1" |
		sed -e "s|/usr/share/sendmail/cf|$sm_cf|g" -e "s|/etc/mail|$2|g"
}

# What belongs to a private instance and to nothing else; behind the lines of mta-config.
sm_private() { # sm_private NAME
	cat <<-END
		define(\`confPID_FILE', \`$D/$1/run/pid')dnl
		define(\`confCONTROL_SOCKET_NAME', \`')dnl
		define(\`QUEUE_DIR', \`$D/$1/q')dnl
		define(\`STATUS_FILE', \`$D/$1/run/statistics')dnl
		define(\`confHOST_STATUS_DIRECTORY', \`')dnl
		define(\`ALIAS_FILE', \`$D/$1/etc/aliases')dnl
		define(\`confTRUSTED_USER', \`root')dnl
		define(\`confSERVICE_SWITCH_FILE', \`$D/$1/etc/service.switch')dnl
		define(\`confCONNECTION_RATE_THROTTLE', \`0')dnl
		define(\`confBAD_RCPT_THROTTLE', \`0')dnl
		define(\`confLOG_LEVEL', \`14')dnl
		define(\`confTIME_ZONE', \`USE_TZ')dnl
		define(\`confQUEUE_LA', \`100000')dnl
		define(\`confREFUSE_LA', \`100000')dnl
		define(\`confDELAY_LA', \`0')dnl
		LOCAL_CONFIG
		ESASL_CONF_PATH=$D/$1/etc/signalpost
		divert(0)dnl
		FEATURE(\`mailertable', \`hash -o $D/$1/etc/mailertable')dnl
	END
}

# Mailers like esmtp of mta-config's lines: hopN, each with a port of its own; `hopN:[127.0.0.1]' in the mailertable.
sm_mailers() { # sm_mailers PORT...
	echo 'MAILER_DEFINITIONS'
	sm_n=0
	for sm_port; do
		sm_n=$((sm_n + 1))
		# shellcheck disable=SC2016 # sendmail's $h
		printf 'Mhop%d,\tP=[IPC], F=mDFMuXa8, S=EnvFromSMTP/HdrFromSMTP, R=EnvToSMTP, E=\\r\\n, L=2040, T=DNS/RFC822/SMTP, A=TCP $h %d\n' \
			"$sm_n" "$sm_port"
	done
}

sendmail_make() { # sendmail_make NAME CONF HOP-PORT...: $sm_more has further .mc lines
	sm_name=$1 sm_etc=$D/$1/etc sm_conf=$2
	shift 2
	mkdir -p "$sm_etc/m4" "$D/$sm_name/q" "$D/$sm_name/run"
	chmod 700 "$D/$sm_name/q"
	"$build/signalpost" mta-config sendmail -c "$sm_conf" >"$sm_etc/signalpost.m4" ||
		it_bail "mta-config sendmail fails"
	sm_pickup=$(it_port)
	sed -i "s/Port=24,/Port=$sm_pickup,/" "$sm_etc/signalpost.m4"
	SIGNALPOST=$build/signalpost "$build/signalpost" mta-config sendmail -u -c "$sm_conf" >"$D/$sm_name/users.sh"
	SIGNALPOST=$build/signalpost sh "$D/$sm_name/users.sh" "$sm_etc/signalpost" "$sm_etc/signalpost" ||
		it_bail "the users' script fails"
	{
		sm_private "$sm_name"
		echo "${sm_more:-}"
	} >"$sm_etc/private.m4"
	: >"$sm_etc/m4/dialup.m4"
	: >"$sm_etc/m4/provider.m4"
	: >"$sm_etc/local-host-names"
	: >"$sm_etc/aliases"
	printf 'hosts files\naliases files\n' >"$sm_etc/service.switch"
	[ -f "$sm_etc/mailertable" ] || echo '. hop1:[127.0.0.1]' >"$sm_etc/mailertable"
	for sm_map in access mailertable; do
		[ -f "$sm_etc/$sm_map" ] || : >"$sm_etc/$sm_map"
		sm_run makemap -C /dev/null hash "$sm_etc/$sm_map.db" <"$sm_etc/$sm_map" || it_bail "makemap fails"
	done
	# "@" says that the aliases are complete; sendmail waits for it.
	# "nowhere" is a local delivery that leaves nothing.
	printf '@ @\nnowhere /dev/null\n' | sm_run makemap -C /dev/null hash "$sm_etc/aliases.db" || it_bail "makemap fails"
	{
		sm_debian sendmail.mc "$sm_etc" | sed -e '/greet_pause/d' -e "/^MAILER_DEFINITIONS/i\\
include(\`$sm_etc/signalpost.m4')dnl\\
include(\`$sm_etc/private.m4')dnl"
		sm_mailers "$@"
	} >"$sm_etc/sendmail.mc"
	m4 -D_CF_DIR_="$sm_cf/" "$sm_etc/sendmail.mc" >"$sm_etc/sendmail.cf" 2>"$D/logs/$sm_name.m4" ||
		it_bail "m4 fails" "$D/logs/$sm_name.m4"
}

sendmail_start() { # sendmail_start NAME [QUEUE-INTERVAL]
	it_start "$1" env LD_PRELOAD="$sm_shim" LD_LIBRARY_PATH="$sm_lib" SYSLOG_FILE="$D/$1/log" \
		"$sm_root/usr/libexec/sendmail/sendmail" -Lsm-mta -C"$D/$1/etc/sendmail.cf" -bD "-q${2:-1m}"
	it_wait 20 grep -q 'starting daemon' "$D/$1/log" || it_bail "sendmail $1 does not start" "$D/logs/$1"
}

sendmail_empty() { # sendmail_empty NAME: nothing waits in its queue
	[ -z "$(find "$D/$1/q" -name 'qf*' 2>/dev/null)" ]
}

sendmail_submit() { # sendmail_submit NAME FROM RCPT...: the sendmail command, a message on standard input
	sm_name=$1 sm_from=$2
	shift 2
	sm_msp=$D/$sm_name/msp
	if [ ! -f "$sm_msp/submit.cf" ]; then
		mkdir -p "$sm_msp/q"
		chown nobody "$sm_msp" "$sm_msp/q"
		chmod 770 "$sm_msp/q"
		sm_debian submit.mc "$D/$sm_name/etc" |
			sed -e "/FEATURE(.msp/i\\
define(\`RELAY_MAILER_ARGS', \`TCP \$h $sm_pickup')dnl\\
define(\`MSP_QUEUE_DIR', \`$sm_msp/q')dnl\\
define(\`confRUN_AS_USER', \`nobody')dnl\\
define(\`confTRUSTED_USER', \`nobody')dnl\\
define(\`confSERVICE_SWITCH_FILE', \`$D/$sm_name/etc/service.switch')dnl" >"$sm_msp/submit.mc"
		m4 "$sm_msp/submit.mc" >"$sm_msp/submit.cf" 2>"$D/logs/$sm_name.submit"
	fi
	LD_PRELOAD=$sm_shim LD_LIBRARY_PATH=$sm_lib SYSLOG_FILE=$D/$sm_name/log \
		"$sm_root/usr/libexec/sendmail/sendmail" -Am -C"$sm_msp/submit.cf" -f "$sm_from" "$@" \
		>>"$D/logs/$sm_name.submit" 2>&1
}
