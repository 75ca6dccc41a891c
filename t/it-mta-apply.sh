#!/bin/sh
# mta-config postfix --apply: Debian's stock Postfix becomes ours in one step, a second one
# changes nothing, what the admin had is shown and kept, and what would relay for everybody
# or is no Postfix is left alone.
# shellcheck source=t/lib/it.sh disable=SC2154
. "${srcdir:-.}/t/lib/it.sh"
it_need postfix postconf saslpasswd2 python3 diff script

it_begin apply
port=$(it_port) sink=$(it_port)
etc=$D/mta/etc
socket=$D/mta/q/signalpost/milter.sock
mkdir "$D/keys" "$D/spool" "$D/empty"
signalpost=$build/signalpost
say() { python3 "$src/t/lib/say.py" "$@" 2>&1; }
cat >"$conf" <<END
host-name mail.example.com
smtp-listener 127.0.0.1:$port
relay-domain relay.example
<smtp-user joe>
    password secret-of-joe
</smtp-user>
<source {auth}>
    always-allow-relaying yes
</source>
$(conf_signals)
$(conf_places)
END
"$signalpost" genkey token "$D/keys" >/dev/null 2>&1

# As Debian's package makes it for an "Internet Site"; only the places are ours.
postfix_make mta
sed 's/^#.*//' /usr/share/postfix/main.cf.debian >"$etc/main.cf"
cat >>"$etc/main.cf" <<END
smtpd_relay_restrictions = permit_mynetworks permit_sasl_authenticated defer_unauth_destination
myhostname = stock.example.com
alias_maps = hash:/etc/aliases
alias_database = hash:/etc/aliases
mydestination = \$myhostname, stock, localhost.localdomain, localhost
relayhost = [127.0.0.1]:$sink
mynetworks = 127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128
mailbox_size_limit = 0
inet_interfaces = all
inet_protocols = ipv4
queue_directory = $D/mta/q
data_directory = $D/mta/data
maillog_file_prefixes = $D
maillog_file = $D/mta/log
smtpd_milters = inet:127.0.0.1:1
END
state() { (cd "$etc" && find . -type f ! -path './signalpost-backup-*' -exec sha256sum {} + | sort -k2); }
# Postfix waits before it reads a main.cf that is younger than two seconds.
settle() { [ ! -f "$1/main.cf" ] || touch -t 200001010000 "$1/main.cf"; }
apply() { # apply DIR OPTION...: output and status
	dir=$1
	shift
	settle "$dir"
	out=$("$signalpost" mta-config postfix --apply "$dir" -c "$conf" "$@" </dev/null 2>&1)
	rc=$?
}
stock=$(state)

# ---- seen first ----

apply "$etc" --dry-run
is "--dry-run: exit status" "$rc" 0
has "it shows the difference" "$out" "+enable_long_queue_ids = yes"
has "of main.cf by its name" "$out" "--- $etc/main.cf"
has "what the admin had set is named" "$out" "your setting changes: smtpd_milters = unix:"
has "with what it was" "$out" "(was: inet:127.0.0.1:1)"
has "so are services" "$out" "your service goes: smtp/inet"
hasnt "passwords are not shown" "$out" secret-of-joe
is "nothing is changed" "$(state)" "$stock"
apply "$etc"
is "nobody to ask: exit status" "$rc" 1
has "nobody to ask: said" "$out" "--yes says that it shall be"
is "nothing is changed then" "$(state)" "$stock"
out=$(printf 'n\n' | script -qec "'$signalpost' mta-config postfix --apply '$etc' -c '$conf'" /dev/null 2>&1)
has "at a terminal it asks" "$out" "Change $etc as shown? [y/N]"
is "and takes no for an answer" "$(state)" "$stock"

# ---- refused ----

apply "$D/empty"
is "an empty folder: exit status" "$rc" 1
has "an empty folder is no Postfix" "$out" "neither main.cf nor master.cf: not a configuration of Postfix"
mv "$etc/main.cf" "$D/real.cf"
apply "$etc" --dry-run
is "master.cf alone, as Debian leaves it unconfigured: exit status" "$rc" 0
has "main.cf is made then" "$out" "+++ $etc/main.cf (new)"
mv "$etc/master.cf" "$D/real.master"
mv "$D/real.cf" "$etc/main.cf"
apply "$etc" --yes
has "main.cf alone is no Postfix" "$out" "has main.cf and no master.cf: not a configuration of Postfix"
mv "$D/real.master" "$etc/master.cf"
foreign() { # foreign TEXT FILE LINE WANTED: LINE at the end of FILE is refused
	cp -R "$etc" "$D/foreign"
	printf '%s\n' "$3" >>"$D/foreign/$2"
	before=$(cat "$D/foreign/main.cf" "$D/foreign/master.cf")
	apply "$D/foreign" --yes
	is "$1: exit status" "$rc" 1
	has "$1" "$out" "$4"
	is "$1: nothing is changed, nothing left behind" \
		"$(cat "$D/foreign/main.cf" "$D/foreign/master.cf"; find "$D/foreign" -name '*signalpost*')" "$before"
	rm -rf "$D/foreign"
}
foreign "main.cf that is none" main.cf "no setting" "missing '=' after attribute name"
foreign "master.cf that is none" master.cf "smtp what" "bad field count"
foreign "mynetworks of everybody" main.cf "mynetworks = 127.0.0.0/8, 0.0.0.0/0" \
	"mynetworks = 127.0.0.0/8, 0.0.0.0/0: holds everybody"
foreign "a service that relays" master.cf "2526 inet n - n - - smtpd -o smtpd_relay_restrictions=permit" \
	"2526/inet: smtpd_relay_restrictions = permit: permits a stranger to relay"
foreign "a service whose refusal only warns" master.cf \
	"2526 inet n - n - - smtpd -o {smtpd_relay_restrictions=warn_if_reject reject_unauth_destination}" \
	"nothing in it refuses a stranger who relays"
foreign "a Postfix that does not start: all is put back" main.cf "daemon_directory = $D/empty" "check\` fails" 2>/dev/null
mv "$etc/main.cf" "$D/real.cf"
ln -s "$D/real.cf" "$etc/main.cf"
apply "$etc" --yes
has "a link is not replaced" "$out" "main.cf is a link"
rm "$etc/main.cf"
mv "$D/real.cf" "$etc/main.cf"

# ---- done ----

mkdir "$etc/.signalpost-killed" # as by a run that was killed
apply "$etc" --yes
is "it is done: exit status" "$rc" 0
has "it says what to do next" "$out" "next: postfix -c $etc start"
backup=$(find "$etc" -maxdepth 1 -name 'signalpost-backup-*')
is "the files as they were are kept" "$(cd "$backup" && sha256sum main.cf master.cf)" \
	"$(printf '%s\n' "$stock" | sed -n 's| \./| |; / main.cf$/p; / master.cf$/p')"
is "nothing is left behind" "$(find "$etc" -name '.signalpost-*')" ""
is "main.cf keeps its mode" "$(stat -c %a "$etc/main.cf")" 644
is "the passwords are Postfix's alone" "$(stat -c '%a %U:%G' "$etc/sasl/sasldb2")" "640 root:postfix"
done_state=$(state)
apply "$etc" --yes
is "again: exit status" "$rc" 0
has "again: nothing to do" "$out" "nothing to do"
is "again: nothing is changed" "$(state)" "$done_state"
is "again: no second backup" "$(find "$etc" -maxdepth 1 -name 'signalpost-backup-*' | wc -l)" 1

# ---- and works ----

postfix_start mta
sink_start sink "$sink"
mkdir -p "$(dirname "$socket")"
milter_start
out=$(say "$port" "EHLO client.example" "MAIL FROM:<a@sender.example>" "RCPT TO:<r@relay.example>" DATA . QUIT)
has "a mail is taken" "$out" ". => 250"
it_wait 20 sink_has sink 1 || fail "it arrives" "$(tail -5 "$D/mta/log")"
has "and arrives" "$(cat "$D"/sink/*.json)" r@relay.example
out=$(say "$port" "EHLO client.example" "MAIL FROM:<a@sender.example>" "RCPT TO:<r@foreign.example>")
has "a stranger may not relay" "$out" "550 5.7.1 relaying denied"
printf 'relay-domain more.example\n' >>"$conf"
apply "$etc" --yes
has "a change is the difference alone" "$(printf '%s\n' "$out" | grep '^[-+][a-z]')" \
	"-relay_domains = relay.example
+relay_domains = relay.example, more.example"
has "and a reload puts it in force" "$out" "next: postfix -c $etc reload"
it_done
