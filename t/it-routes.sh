#!/bin/sh
# Virtual MTAs as ways out of Postfix: the next hop sees the address and the name that the
# events tell, pools are taken in turn by their weights, deferred mail keeps its way, nobody
# outside can choose one, and the header that does it is nowhere to be found.
# shellcheck source=t/lib/it.sh disable=SC2154
. "${srcdir:-.}/t/lib/it.sh"
it_need postfix postconf python3 smtp-source

it_begin routes
port=$(it_port) sink=$(it_port)
etc=$D/mta/etc
socket=$D/mta/q/signalpost/milter.sock
mkdir "$D/keys" "$D/spool" "$D/mbox"
chmod 1777 "$D/mbox"
it_rsa_key "$D/key.pem"
signalpost=$build/signalpost
say() { python3 "$src/t/lib/say.py" "$@" 2>&1; }

cat >"$conf" <<END
host-name mail.example.com
smtp-listener 127.0.0.1:$port
relay-domain relay.example
domain-key s1,sender.example,$D/key.pem
<source 127.0.0.1>
    always-allow-relaying yes
    process-x-virtual-mta yes
    default-virtual-mta pool
</source>
<source {pickup}>
    always-allow-relaying yes
    default-virtual-mta pool
</source>
<virtual-mta alpha>
    smtp-source-host 127.0.0.2 alpha.example.com
    <domain *>
        max-smtp-out 3
        bounce-after 1d
    </domain>
</virtual-mta>
<virtual-mta Beta_2>
    smtp-source-host 127.0.0.3 beta.example.com
</virtual-mta>
<virtual-mta six>
    smtp-source-host 2001:db8::6 six.example.com
</virtual-mta>
<virtual-mta host>
    smtp-source-host 127.0.0.1 host.example.com
</virtual-mta>
<virtual-mta-pool pool>
    virtual-mta alpha
    virtual-mta alpha
    virtual-mta Beta_2
    <domain *>
        max-smtp-out 150
        bounce-after 4d12h
        retry-after 10m
        dkim-sign yes
    </domain>
    <domain slow.example>
        max-smtp-out 1
        retry-after 1h
    </domain>
</virtual-mta-pool>
$(conf_signals)
$(conf_places)
<milter>
    max-header-size 4k
</milter>
<spool>
    segment-age 1s
</spool>
END
"$signalpost" genkey token "$D/keys" >/dev/null 2>&1
talk() { say "$@" >>"$D/logs/say"; }

# ---- what is printed ----

"$signalpost" mta-config postfix -c "$conf" >"$D/script" 2>"$D/logs/mta-config" ||
	it_bail "nothing is printed" "$D/logs/mta-config"
script=$(cat "$D/script")
line() { grep -n "$1" "$conf" | head -n 1 | cut -d: -f1; }
has "a limit for one domain is named with its line" "$script" \
	"# not mapped: max-smtp-out 1 of <domain slow.example> in <virtual-mta-pool pool> ($conf:$(line 'max-smtp-out 1$'))"
has "so is its time" "$script" "retry-after 1h of <domain slow.example> in <virtual-mta-pool pool> ($conf:$(line 'retry-after 1h'))"
has "and a time that is not the queue's" "$script" "bounce-after 1d of <domain *> in <virtual-mta alpha> ($conf:$(line 'bounce-after 1d'))"
hasnt "what is followed is not named" "$script" "bounce-after 4d12h of"

postfix_make mta
postfix_private mta "$sink"
postfix_conf mta "mail_spool_directory=$D/mbox/" "milter_header_checks=regexp:{{/^X-Nobody:/ IGNORE}}"
ok "it runs" sh "$D/script" "$etc"
first=$(cat "$etc/main.cf" "$etc/master.cf" "$etc"/signalpost/*)
ok "it runs again" sh "$D/script" "$etc"
is "and changes nothing more" "$(cat "$etc/main.cf" "$etc/master.cf" "$etc"/signalpost/*)" "$first"
has "the header checks of others stay" "$(postconf -c "$etc" -h milter_header_checks)" "X-Nobody"
beta=$(postconf -c "$etc" -M | awk '$1 ~ /^spv-beta/ { print $1 }')
is "a transport's limit is its virtual MTA's" "$(postconf -c "$etc" -h spv-alpha_destination_concurrency_limit)" 3
is "or its pool's" "$(postconf -c "$etc" -h "${beta}_destination_concurrency_limit")" 150
six=$(postconf -c "$etc" -P 'spv-six/unix/*')
has "an IPv6 address is bound to as one" "$six" "smtp_bind_address6 = 2001:db8::6"
has "and only for IPv6" "$six" "inet_protocols = ipv6"

# ---- what it does ----

sink_start sink "$sink" --reply 'rcpt:nobody@:550 5.1.1 user unknown' --reply 'rcpt:later@:451 4.7.1 later'
postfix_start mta
mkdir -p "$(dirname "$socket")"
milter_start

# who RECIPIENT...: "RECIPIENT ADDRESS HELO" of each, as the next hop saw it
who() { python3 - "$D/sink" "$@" <<'PY'
import glob, json, sys
seen = [json.load(open(f)) for f in sorted(glob.glob(sys.argv[1] + "/*.json"))]
print("\n".join("%s %s %s" % (r, m["client"], m["helo"]) for r in sys.argv[2:] for m in seen if r in m["rcpts"]))
PY
}
mailed() { [ -n "$(find "$D/mbox/nobody/new" -type f)" ]; }
got() { [ -n "$(who "$1")" ]; }
ehlo="EHLO client.example"
from="MAIL FROM:<a@sender.example>"
head="From: a@sender.example\nTo: b@foreign.example\nSubject: x\n"
mail() { # mail NAME HEADERS: a file for say.py
	# shellcheck disable=SC2059 # it has \n
	printf "$head$2\nHello\n" >"$D/$1.eml"
}

smtp-source -d -m 60 -s 4 -f a@sender.example -t many@foreign.example "127.0.0.1:$port" >"$D/logs/source" 2>&1
it_wait 60 sink_has sink 60
is "60 messages through a pool of 2 : 1" "$(who many@foreign.example | sort | uniq -c | awk '{ print $1, $3, $4 }')" \
	"40 127.0.0.2 alpha.example.com
20 127.0.0.3 beta.example.com"

mail alpha "X-Virtual-MTA: alpha\nX-Signalpost-Route: $beta\nx-signalpost-route : $beta\n"
mail beta "X-Virtual-MTA: beta_2\n"
mail host "X-Virtual-MTA: host\n"
for name in alpha beta host; do
	talk "$port" "$ehlo" "$from" "RCPT TO:<$name@foreign.example>" DATA ".$D/$name.eml" QUIT
done
# Everybody's header, and one that is too much for the milter to keep.
mail forged "X-Signalpost-Route: $beta\n"
long=$(printf 'X-Long-%0200d: y\\n' $(seq 30))
mail long "X-Signalpost-Route: $beta\nX-Virtual-MTA: alpha\n$long"
talk --source 127.0.0.9 "$port" "$ehlo" "$from" "RCPT TO:<forged@relay.example>" DATA ".$D/forged.eml" QUIT
talk --source 127.0.0.9 "$port" "$ehlo" "$from" "RCPT TO:<long@relay.example>" DATA ".$D/long.eml" QUIT
talk "$port" "$ehlo" "$from" "RCPT TO:<two@foreign.example>" "RCPT TO:<two@other.example>" DATA ".$D/alpha.eml" QUIT
talk "$port" "$ehlo" "$from" "RCPT TO:<mixed@foreign.example>" "RCPT TO:<nobody@mail.example.com>" DATA ".$D/alpha.eml" QUIT
talk "$port" "$ehlo" "$from" "RCPT TO:<nobody@foreign.example>" DATA ".$D/beta.eml" QUIT
talk "$port" "$ehlo" "$from" "RCPT TO:<later@foreign.example>" DATA ".$D/beta.eml" QUIT
printf 'From: a@sender.example\nSubject: local\n\nHello\n' | sendmail -C "$etc" -f a@sender.example pickup@foreign.example
for rcpt in alpha@foreign.example beta@foreign.example host@foreign.example forged@relay.example long@relay.example two@other.example \
	mixed@foreign.example pickup@foreign.example a@sender.example; do
	it_wait 20 got "$rcpt" || fail "$rcpt arrives" "$(tail -5 "$D/mta/log")"
done
it_wait 20 mailed || fail "the mailbox gets it" "$(tail -5 "$D/mta/log")"
is "a virtual MTA by header, not by the forged one" "$(who alpha@foreign.example)" "alpha@foreign.example 127.0.0.2 alpha.example.com"
is "and the other" "$(who beta@foreign.example)" "beta@foreign.example 127.0.0.3 beta.example.com"
is "one of this host's own address" "$(who host@foreign.example)" "host@foreign.example 127.0.0.1 host.example.com"
is "two recipients go one way" "$(who two@foreign.example two@other.example | cut -d' ' -f2 | sort -u)" 127.0.0.2
is "a stranger's header selects nothing" "$(who forged@relay.example | cut -d' ' -f2)" 127.0.0.1
is "nor in a message too big to edit" "$(who long@relay.example | cut -d' ' -f2)" 127.0.0.1
is "with a mailbox of this host among the recipients: the ordinary way" "$(who mixed@foreign.example | cut -d' ' -f2)" 127.0.0.1
has "and the log says so" "$(cat "$D/logs/milter")" "route=none(local-recipient)"
has "locally submitted mail is routed too" "$(who pickup@foreign.example)" ".example.com"
hasnt "by a virtual MTA" "$(who pickup@foreign.example)" 127.0.0.1

# ---- deferred mail keeps its way ----

later() { grep -q 'to=<later@foreign.example>.*status=deferred' "$D/mta/log"; }
it_wait 20 later || fail "it is deferred" "$(tail -5 "$D/mta/log")"
id=$(postqueue -c "$etc" -j | python3 -c 'import json, sys
print([m["queue_id"] for m in map(json.loads, sys.stdin) if m["recipients"][0]["address"] == "later@foreign.example"][0])')
hasnt "the header is not in the queue either" "$(postcat -c "$etc" -bhq "$id" 2>&1)" "Signalpost-Route"
it_stop sink
mv "$D/sink" "$D/sink1"
sink_start sink "$sink"
postfix_stop mta
postfix_start mta
# A queue manager that is about to start may not hear it.
flushed() { got later@foreign.example || { postqueue -c "$etc" -f && it_wait 3 got later@foreign.example; }; }
it_wait 30 flushed || fail "deferred mail arrives" "$(tail -5 "$D/mta/log")"
is "deferred mail keeps its way" "$(who later@foreign.example)" "later@foreign.example 127.0.0.3 beta.example.com"
mv "$D/sink" "$D/sink2"
mkdir "$D/sink"
cp "$D/sink1"/* "$D/sink"
for file in "$D"/sink2/*; do cp "$file" "$D/sink/2-${file##*/}"; done

# ---- the events name what was seen; the header is nowhere ----

it_stop milter
out=$(python3 - "$D" <<'PY'
import glob, json, sys
d = sys.argv[1]
addresses = {}
for f in glob.glob(d + "/sink/*.json"):
    m = json.load(open(f))
    for r in m["rcpts"]:
        addresses.setdefault(r, []).append(m["client"])
told = {}
for f in glob.glob(d + "/spool/events/*.json"):
    for line in open(f):
        for event in json.loads(line)["msys"].values():
            told.setdefault(event["rcpt_to"], []).append(event.get("sending_ip"))
bad = [(r, sorted(map(str, ips)), sorted(addresses[r])) for r, ips in told.items() if r in addresses
       and sorted(i for i in ips if i) != sorted(a for a in addresses[r] if a != "127.0.0.1" or r.startswith("host@"))]
print(bad, sum(len(v) for v in told.values()))
PY
)
is "the next hop saw the addresses that the events name" "$out" "[] 72"
is "the header is in nothing that left, no bounce and no mailbox" \
	"$(grep -ril signalpost-route "$D"/sink/*.eml "$D/mbox/nobody")" ""
has "there is a bounce among it" "$(cat "$D"/sink/*.eml)" "multipart/report"
has "and what left is signed" "$(cat "$D"/sink/*.eml)" "DKIM-Signature:"
bad=$(grep -E 'warning|fatal|panic|loops back' "$D/mta/log" | grep -vE 'does not resolve to address|dict_nis|connect to Milter service')
is "Postfix has nothing to complain of" "$bad" ""

# ---- a virtual MTA goes ----

sed -e '/^<virtual-mta six>/,/^<\/virtual-mta>/d' "$conf" >"$D/less.conf"
"$signalpost" mta-config postfix -c "$D/less.conf" | sh -s "$etc" >"$D/logs/less" 2>&1
has "a transport that deferred mail may name stays, and that is said" "$(cat "$D/logs/less")" \
	"kept in master.cf, deferred mail may name it: spv-six"
it_done
