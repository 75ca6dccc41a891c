#!/bin/sh
# mta-config postfix --check: a good set-up has nothing to say against it; each of these
# faults is named, and the command that is named mends it.
# shellcheck source=t/lib/it.sh disable=SC2154
. "${srcdir:-.}/t/lib/it.sh"
it_need postfix postconf saslpasswd2 openssl python3

it_begin check
port=$(it_port) second=$(it_port) other=$(it_port)
etc=$D/mta/etc
socket=$D/mta/q/signalpost/milter.sock
signalpost=$build/signalpost
it_certificate "$D/tls.pem" mail.example.com
mkdir "$D/keys" "$D/spool"
cat >"$conf" <<END
host-name mail.example.com
smtp-listener 127.0.0.1:$port
smtp-listener 127.0.0.1:$second
smtp-server-tls-certificate $D/tls.pem
relay-domain relay.example
<smtp-user joe>
    password secret-of-joe
</smtp-user>
<source 0/0>
    allow-starttls yes
</source>
<source {auth}>
    always-allow-relaying yes
    default-virtual-mta pool
</source>
<bounce-processor>
    <address-list>
        domain bounces.example
    </address-list>
</bounce-processor>
<virtual-mta a>
    smtp-source-host 127.0.0.2 a.example.com
</virtual-mta>
<virtual-mta b>
    smtp-source-host 127.0.0.3 b.example.com
</virtual-mta>
<virtual-mta-pool pool>
    virtual-mta a
    virtual-mta b
</virtual-mta-pool>
$(conf_signals)
$(conf_places)
END
"$signalpost" genkey token "$D/keys" >/dev/null 2>&1
postfix_make mta
"$signalpost" mta-config postfix --apply "$etc" --yes -c "$conf" >"$D/logs/apply" 2>&1 ||
	it_bail "it can't be set up" "$D/logs/apply"
postfix -c "$etc" check >"$D/logs/postfix-check" 2>&1 # makes the queue's folders
socket_folder
milter_start

# Postfix waits before it reads a main.cf that is younger than two seconds.
settle() { touch -t 200001010000 "$etc/main.cf"; }
check() { # check OPTION...: output and status
	out=$("$signalpost" mta-config postfix --check "$etc" -c "$conf" "$@" 2>&1)
	rc=$?
}
check
is "what --apply made is good" "$rc $out" "0 $etc is as the configuration asks"
settle
cp -p "$etc/main.cf" "$etc/master.cf" "$D"

mended() { # mended TEXT: by the commands that were named
	commands=$(printf '%s\n' "$out" | sed -n 's/^	//p')
	printf '%s\n' "$commands" | sed "s|^signalpost \(.*\)\$|'$signalpost' \1 --yes -c '$conf'|" >"$D/commands"
	it_commands=$(PATH=$PATH:/usr/sbin sh -e "$D/commands" 2>&1 </dev/null) || fail "$1: the command runs" "$it_commands"
	settle
	check
	is "$1: mended by: $(printf '%s\n' "$commands" | head -n 1 | cut -c1-120 | tr '#' ' ')" "$rc" 0
	[ "$rc" = 0 ] || printf '%s\n' "$out" | sed 's/^/# /'
	cp -p "$D/main.cf" "$D/master.cf" "$etc"
}
fault() { # fault TEXT WANTED POSTCONF-ARGUMENT...: named as WANTED, and mended
	text=$1 wanted=$2
	shift 2
	postconf -c "$etc" "$@" || it_bail "postconf $*"
	settle
	check
	is "$text: exit status" "$rc" 1
	has "$text: named" "$out" "$wanted"
	mended "$text"
}
l1=127.0.0.1:$port/inet l2=127.0.0.1:$second/inet
fault "accept while the milter is down" "dangerous: milter_default_action = accept" -e milter_default_action=accept
fault "accept at one listener" "dangerous: $l2: milter_default_action = accept" -P "$l2/milter_default_action=accept"
fault "quarantine" "dangerous: milter_default_action = quarantine" -e milter_default_action=quarantine
fault "accept for this milter alone" "dangerous: cleanup/unix: non_smtpd_milters" \
	-e "non_smtpd_milters={ unix:signalpost/milter.sock, default_action=accept }"
fault "one listener without the milter" "missing: $l1: smtpd_milters = : signalpost-milter is not asked" -P "$l1/smtpd_milters="
fault "no milter for local mail" "missing: cleanup/unix: non_smtpd_milters = : signalpost-milter is not asked" -e non_smtpd_milters=
fault "another milter after ours" "wrong: $l2: smtpd_milters = unix:signalpost/milter.sock,inet:127.0.0.1:8891: a milter comes after" \
	-P "$l2/smtpd_milters=unix:signalpost/milter.sock,inet:127.0.0.1:8891"
fault "an old protocol" "wrong: milter_protocol = 2, needed: 6" -e milter_protocol=2
postconf -c "$etc" -P "$l1/smtpd_milters=unix:$socket"
check
is "the socket's whole path without chroot is good" "$rc" 0
fault "a chroot that hides the socket" "wrong: $l1: chroot = y: it looks for the milter's socket at $D/mta/q$socket" \
	-F "$l1/chroot=y"
fault "short queue ids" "wrong: enable_long_queue_ids = no, needed: yes" -e enable_long_queue_ids=no
fault "a time-out that is too short" "wrong: milter_content_timeout = 5s, needed: 300s" -e milter_content_timeout=5s
fault "one for a listener" "wrong: $l2: milter_command_timeout = 1s" -P "$l2/milter_command_timeout=1s"
fault "a macro is missing" "milter_mail_macros = i: signalpost-milter needs the macro {auth_authen}" -e milter_mail_macros=i
fault "TLS 1.0" "wrong: smtpd_tls_protocols = !SSLv3, needed: >=TLSv1.2" -e 'smtpd_tls_protocols=!SSLv3'
fault "TLS 1.0 at one listener" "wrong: $l1: smtpd_tls_protocols = >=TLSv1" -P "$l1/smtpd_tls_protocols=>=TLSv1"
fault "a listener is missing" "missing: $l2: smtp-listener" -MX "$l2"
fault "a processor's domain is missing" "missing: relay_domains = relay.example, needed: relay.example, bounces.example" \
	-e relay_domains=relay.example
fault "everybody is trusted" "dangerous: mynetworks = 0.0.0.0/0" -e mynetworks=0.0.0.0/0
fault "a service that relays" "dangerous: $other/inet: smtpd_relay_restrictions = permit" \
	-M "$other/inet=$other inet n - n - - smtpd -o smtpd_relay_restrictions=permit"
fault "a listener without Postfix's own look" "wrong: $l1: smtpd_data_restrictions" -P "$l1/smtpd_data_restrictions="
printf '0.0.0.0/0 OK\n' >"$D/all.cidr"
fault "a table that lets everybody relay" "dangerous: $other/inet: smtpd_recipient_restrictions = check_client_access" \
	-M "$other/inet=$other inet n - n - - smtpd -o smtpd_relay_restrictions= -o smtpd_recipient_restrictions=check_client_access,cidr:$D/all.cidr,reject"
fault "a table of networks that has all" "dangerous: mynetworks = cidr:$D/all.cidr" -e "mynetworks=cidr:$D/all.cidr"
printf '127.0.0.0/8\n0.0.0.0/0\n' >"$D/all"
fault "a file of networks that has all" "dangerous: mynetworks = $D/all" -e "mynetworks=$D/all"
fault "another smart host, which no virtual MTA has" "wrong: $etc/signalpost/routes.regexp" -e "relayhost=[127.0.0.1]:$other"
fault "no milters by override" "dangerous: $l1: receive_override_options = no_milters" -P "$l1/receive_override_options=no_milters"
fault "clients without the milter" "dangerous: $l1: smtpd_milter_maps" -P "$l1/smtpd_milter_maps=static:DISABLE"
fault "a listener of the admin's without the milter" "missing: $other/inet: smtpd_milters = : signalpost-milter is not asked" \
	-M "$other/inet=$other inet n - n - - smtpd -o smtpd_milters="
# shellcheck disable=SC2016 # for Postfix
fault "another host name" "wrong: myhostname = other.example, needed: mail.example.com" -e myhostname=other.example 'smtpd_banner=$myhostname ESMTP'
fault "Debian's listener" "wrong: smtp/inet: listener" -M "smtp/inet=smtp inet n - y - - smtpd"
fault "no transport of a virtual MTA" "missing: spv-b/unix: service" -MX spv-b/unix
fault "nothing selects a virtual MTA" "missing: milter_header_checks = , needed: regexp:$etc/signalpost/routes.regexp" -e milter_header_checks=

# ---- what no script of ours makes ----

fault "relay_domains of everybody" "dangerous: relay_domains = relay.example, bounces.example, static:ALL" \
	-e "relay_domains=relay.example, bounces.example, static:ALL"
fault "XCLIENT for everybody" "dangerous: smtpd_authorized_xclient_hosts = 0.0.0.0/0" -e smtpd_authorized_xclient_hosts=0.0.0.0/0
fault "a filter before the queue" "wrong: $l1: smtpd_proxy_filter" -P "$l1/smtpd_proxy_filter=127.0.0.1:$other"
fault "addresses changed after signing" "wrong: smtp_generic_maps" -e smtp_generic_maps=static:x@y.example
fault "a transport that shows our header" "missing: spv-a/unix: smtp_header_checks = , needed:" -P spv-a/unix/smtp_header_checks=
fault "a transport that waits" "wrong: defer_transports = spv-b" -e defer_transports=spv-b
fault "listeners switched off" "wrong: master_service_disable = inet" -e master_service_disable=inet
fault "nobody is let in" "wrong: $l2: smtpd_client_restrictions = reject: nobody" -P "$l2/smtpd_client_restrictions=reject"
fault "reports are unknown users" "wrong: virtual_alias_domains = bounces.example" -e virtual_alias_domains=bounces.example
fault "reports are not on the list" "wrong: relay_recipient_maps: the addresses that reports come to" \
	-e 'relay_recipient_maps=inline:{a@relay.example=x}'
fault "soft_bounce" "wrong: soft_bounce = yes" -e soft_bounce=yes
fault "no such cleanup" "wrong: $l2: cleanup_service_name = other" -P "$l2/cleanup_service_name=other"
fault "a chroot without the passwords" "wrong: $l1: chroot = y: the passwords" -F "$l1/chroot=y"
beside() { # beside TEXT WANTED COMMAND...: the same, of a file
	text=$1 wanted=$2
	shift 2
	"$@"
	check
	has "$text: named" "$out" "$wanted"
	mended "$text"
}
beside "libsasl2 is told nothing" "missing: $etc/sasl/smtpd.conf" rm "$etc/sasl/smtpd.conf"
beside "a folder that Postfix may not pass" "wrong: $etc/sasl: the user postfix may not pass this directory" chmod 700 "$etc/sasl"
beside "passwords that Postfix may not read" "wrong: $etc/sasl/sasldb2: the user postfix may not read" chown root:root "$etc/sasl/sasldb2"

rm "$etc/signalpost/guard.cidr"
check
has "a table is missing: named" "$out" "missing: $etc/signalpost/guard.cidr"
mended "a table is missing"
saslpasswd2 -d -f "$etc/sasl/sasldb2" -u mail.example.com joe
check
has "a user is missing: named" "$out" "missing: joe: this smtp-user has no password"
mended "a user is missing"

# Not of Postfix's files

chmod 2700 "$(dirname "$socket")"
check
has "a directory that Postfix may not pass: named" "$out" "wrong: $(dirname "$socket"): the user postfix may not pass this directory"
mended "a directory that Postfix may not pass"
chmod 0600 "$socket"
check
has "a socket that Postfix may not write to: named" "$out" "wrong: $socket: the user postfix may not connect"
mended "a socket that Postfix may not write to"
it_stop milter KILL
check
has "the milter is down: named" "$out" "missing: $socket: nobody listens there
	systemctl restart signalpost-milter"
rm -f "$socket"
check
has "no socket: named" "$out" "missing: $socket: there is no such socket"

# For programs

postconf -c "$etc" -e enable_long_queue_ids=no
check --json
ok "--json: each line is JSON with a remedy" python3 -c '
import json, sys
found = [json.loads(line) for line in sys.argv[1].splitlines()]
assert [f["severity"] for f in found] == ["missing", "wrong"], found
assert found[1]["remedy"] == "postconf -c " + sys.argv[2] + " -e '"'"'enable_long_queue_ids = yes'"'"'", found
' "$out" "$etc"
out=$("$signalpost" mta-config postfix --check "$D/keys" -c "$conf" 2>&1)
is "no configuration of Postfix: exit status" "$?" 1
has "no configuration of Postfix" "$out" "Postfix can't read $D/keys"
it_done
