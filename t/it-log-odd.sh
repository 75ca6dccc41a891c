#!/bin/sh
# Messages that do not go the straight way: a content filter that gives them back, aliases and
# .forward-like files, requeued, held and deleted ones, recipients that Postfix writes in another
# way than the client, short queue ids. Each recipient has one terminal event, of the last hop.
# shellcheck source=t/lib/it.sh disable=SC2154
. "${srcdir:-.}/t/lib/it.sh"
it_need postfix postconf python3

it_begin lodd
port=$(it_port) sink=$(it_port) back=$(it_port) again=$(it_port) dead=$(it_port) collector=$(it_port)
mkdir "$D/keys" "$D/spool"
postfix_make mta
mkdir -p "$D/mta/q/milter"
chgrp postfix "$D/mta/q/milter"
chmod 2750 "$D/mta/q/milter"

cat >"$D/signalpost.conf" <<END
host-name mail.example.com
smtp-listener 127.0.0.1:$port
<source 127.0.0.0/8>
    always-allow-relaying yes
    process-x-job yes
</source>
<signals>
    api-key 0123456789abcdef0123456789abcdef01234567
    upload-url http://127.0.0.1:$collector/api/v1/ingest/events
    upload-interval 1s
</signals>
<milter>
    socket unix:$D/mta/q/milter/m.sock
    user ""
</milter>
<spool>
    directory $D/spool
    segment-age 1s
</spool>
<token-keys>
    directory $D/keys
</token-keys>
<collector>
    listen 127.0.0.1:$collector
    database $D/collector.db
    user ""
</collector>
<mail-log>
    file $D/mta/log
</mail-log>
END

it_start milter "$build/signalpost-milter" -f -c "$D/signalpost.conf"
it_wait 10 test -S "$D/mta/q/milter/m.sock" || it_bail "the milter does not start" "$D/logs/milter"
"$build/signalpost" mta-config postfix -c "$D/signalpost.conf" >"$D/setup.sh" || it_bail "mta-config fails"
SIGNALPOST=$build/signalpost sh "$D/setup.sh" "$D/mta/etc" >"$D/logs/setup" 2>&1 ||
	it_bail "mta-config's script fails" "$D/logs/setup"
postfix_private mta "$sink"
printf 'list: a.one@far.example, a.two@far.example\nsingle: a.three@far.example\nfile: /dev/null\n' >"$D/aliases"
postalias -c "$D/mta/etc" "$D/aliases"
postfix_conf mta mydestination=here.example "alias_maps=hash:$D/aliases" local_recipient_maps= \
	"virtual_alias_maps=inline:{v.one@virt.example=v.target@far.example}" \
	virtual_alias_domains=virt.example recipient_delimiter=+ smtputf8_enable=yes \
	smtpd_client_connection_rate_limit=0 minimal_backoff_time=300s default_destination_concurrency_failed_cohort_limit=1000 \
	"transport_maps=inline:{dead.example=smtp:[127.0.0.1]:$dead, soft.example=softly:[127.0.0.1]:$sink}" \
	"smtpd_sender_restrictions=check_sender_access inline:{{f@filtered.example=FILTER scan:[127.0.0.1]:$back}, {g@filtered.example=FILTER scan:[127.0.0.1]:$again}}"
given_back="-o smtpd_sender_restrictions= -o mynetworks=127.0.0.0/8 -o smtpd_relay_restrictions=permit_mynetworks,reject"
postconf -c "$D/mta/etc" -M "scan/unix=scan unix - - n - - smtp"
postconf -c "$D/mta/etc" -M "softly/unix=softly unix - - n - - smtp -o soft_bounce=yes"
postconf -c "$D/mta/etc" -M "127.0.0.1:$back/inet=127.0.0.1:$back inet n - n - - smtpd -o smtpd_milters= $given_back"
postconf -c "$D/mta/etc" -M "127.0.0.1:$again/inet=127.0.0.1:$again inet n - n - - smtpd $given_back"
sink_start sink "$sink" --reply 'rcpt:^<?no[.@]:550 5.1.1 no such user'
it_start collector "$build/signalpost-collector" -f -c "$D/signalpost.conf"
it_wait 15 it_listens "$collector" || it_bail "the collector does not start" "$D/logs/collector"
postfix_start mta
it_start uploader "$build/signalpost-uploader" -f -c "$D/signalpost.conf"

send() { # send FROM RCPT...: prints the queue id
	from=$1
	shift
	for r in "$@"; do
		set -- "$@" "RCPT TO:<$r>"
		shift
	done
	python3 "$src/t/lib/say.py" "$port" "EHLO x" "MAIL FROM:<$from>" "$@" DATA . QUIT >>"$D/logs/say" 2>&1
	sed -n 's/.*queued as \([0-9A-Za-z]*\).*/\1/p' "$D/logs/say" | tail -n 1
}
gets() { # gets WHAT RCPT TYPES: the recipient's events, in order, if need be a little later
	is "$1" "$(python3 "$src/t/lib/logmail.py" types "$D/collector.db" "$2" "$3" 120)" "$3"
}
waiting() { # those whose fate is not known yet
	python3 -c 'import sqlite3, sys
print(sqlite3.connect("file:%s?mode=ro" % sys.argv[1], uri=True).execute("SELECT count(*) FROM waiting").fetchone()[0])' "$D/spool/index.db"
}

filtered() { # filtered SENDER PREFIX
	send "$1" "$2.one@far.example" >/dev/null
	send "$1" "$2.two@far.example" "$2.three@far.example" "no.$2@far.example" >/dev/null
}

# ---- recipients as the client wrote them ----

send a@ours.example Upper.Case@FAR.Example >/dev/null
send a@ours.example '"quoted"@far.example' >/dev/null
send a@ours.example '"two words"@far.example' >/dev/null
send a@ours.example '@relay.example,@other.example:routed@far.example' >/dev/null
send a@ours.example 'dot@far.example.' >/dev/null
send a@ours.example ext+part@far.example >/dev/null
send a@ours.example twice@far.example twice@far.example TWICE@far.example >/dev/null
send a@ours.example s1@far.example s2@far.example no@far.example >/dev/null
python3 "$src/t/lib/say.py" "$port" "EHLO x" "MAIL FROM:<a@ours.example> SMTPUTF8" "RCPT TO:<grüße@far.example>" DATA . QUIT >>"$D/logs/say" 2>&1
send a@ours.example v.one@virt.example v.target@far.example >/dev/null
send a@ours.example list@here.example >/dev/null
send a@ours.example single@here.example file@here.example >/dev/null
filtered f@filtered.example f
filtered g@filtered.example g
deleted=$(send a@ours.example no.del@soft.example)
requeued=$(send a@ours.example no.req@soft.example)
expired=$(send a@ours.example no.exp@soft.example)
gets "upper case" upper.case@far.example "reception delivery"
gets "quotes that are not needed" '"quoted"@far.example' "reception delivery"
gets "quotes that are" '"two words"@far.example' "reception delivery"
gets "a source route" '@relay.example,@other.example:routed@far.example' "reception delivery"
gets "a dot at the end" dot@far.example. "reception delivery"
gets "an extension" ext+part@far.example "reception delivery"
gets "three times the same is once" twice@far.example "reception delivery"
gets "one of three" s2@far.example "reception delivery"
gets "another one" no@far.example "reception inband/10"
gets "SMTPUTF8, which the next hop lacks: refused" grüße@far.example "reception inband/40"

# ---- other ways on this host ----

gets "an alias in a table" v.one@virt.example "reception delivery"
gets "and whom it leads to" v.target@far.example "reception delivery"
gets "an alias of local(8) to two: the first of them" list@here.example "reception delivery"
gets "to one" single@here.example "reception delivery"
gets "to a file: no event" file@here.example "reception"

# ---- a content filter gives it back ----

gets "one" f.one@far.example "reception delivery"
gets "one of three" f.two@far.example "reception delivery"
gets "another" f.three@far.example "reception delivery"
gets "refused behind the filter: that is its end" no.f@far.example "reception inband/10"
# Given back to the milter too: two messages, each with an end.
gets "given back to the milter too" g.one@far.example "reception reception delivery delivery"
gets "of three" g.three@far.example "reception reception delivery delivery"
gets "refused" no.g@far.example "reception reception inband/10 inband/10"

# ---- by the operator's hand ----

gets "soft_bounce" no.del@soft.example "reception tempfail/10"
postsuper -c "$D/mta/etc" -d "$deleted" 2>/dev/null
gets "postsuper -d" no.del@soft.example "reception tempfail/10 inband/25"
gets "delayed" no.req@soft.example "reception tempfail/10"
postsuper -c "$D/mta/etc" -r "$requeued" 2>/dev/null
postkick -c "$D/mta/etc" public pickup W
gets "postsuper -r: tried again under another queue id" no.req@soft.example "reception tempfail/10 tempfail/10"
gets "delayed" no.exp@soft.example "reception tempfail/10"
postsuper -c "$D/mta/etc" -h "$expired" 2>/dev/null
postsuper -c "$D/mta/etc" -H "$expired" 2>/dev/null
postsuper -c "$D/mta/etc" -f "$expired" 2>/dev/null
postqueue -c "$D/mta/etc" -f
gets "postsuper -h, -H, -f: too late" no.exp@soft.example "reception tempfail/10 inband/10"
gets "the other one has been tried again" no.req@soft.example "reception tempfail/10 tempfail/10 tempfail/10"

nobody_waits() {
	[ "$(waiting)" = 0 ]
}
postsuper -c "$D/mta/etc" -d "$(postqueue -c "$D/mta/etc" -j | sed -n 's/.*"queue_id": "\([^"]*\)".*no.req.*/\1/p')" 2>/dev/null
gets "deleted under its new one" no.req@soft.example "reception tempfail/10 tempfail/10 tempfail/10 inband/25"

# ---- short queue ids ----

postfix_conf mta enable_long_queue_ids=no
postfix_reload mta
filtered f@filtered.example short
gets "one" short.one@far.example "reception delivery"
gets "refused behind the filter" no.short@far.example "reception inband/10"

ok "nobody waits for an end" it_wait 20 nobody_waits
hasnt "nothing was lost sight of" "$(cat "$D/logs/uploader")" "lines are missing"
if [ -n "${KEEP:-}" ]; then
	it_stop uploader
fi
it_done
