#!/bin/sh
# Reports come back: a private Postfix with the milter, the uploader and the collector, a second
# Postfix that takes a mail and bounces it, and reports in all forms by SMTP. Each makes just the
# events that it should, also when the uploader is killed again and again in between; nothing is
# ever sent to anybody because of them.
# shellcheck source=t/lib/it.sh disable=SC2154
. "${srcdir:-.}/t/lib/it.sh"
it_need postfix postconf python3

it_begin inbound
port=$(it_port) remote=$(it_port) sink=$(it_port) collector=$(it_port)
n=${REPORTS:-150}
reports=$src/t/lib/reports.py
mkdir "$D/keys" "$D/spool"
postfix_make mta
socket_folder

cat >"$conf" <<END
host-name mail.example.com
smtp-listener 127.0.0.1:$port
<rewrite-list mfrom>
    mail-from *@sender.example *@bounces.example
</rewrite-list>
<source 127.0.0.0/8>
    always-allow-relaying yes
    process-x-job yes
    process-x-envid yes
    rewrite-list mfrom
    verp-default yes
</source>
relay-domain bounces.example
relay-domain fbl.example
<bounce-processor>
    deliver-unmatched-email no
    deliver-matched-email no
    forward-unmatched-to help@sink.example
    <address-list>
        domain bounces.example
    </address-list>
</bounce-processor>
<feedback-loop-processor>
    deliver-unmatched-email no
    deliver-matched-email no
    <address-list>
        domain fbl.example
    </address-list>
</feedback-loop-processor>
$(conf_signals "$collector")
<signals>
    upload-interval 1s
    process-x-sp-subaccount-id yes
</signals>
$(conf_places)
<milter>
    return-path-id yes
</milter>
<spool>
    segment-age 1s
</spool>
END

inbound_empty() {
	[ -z "$(find "$D/spool/inbound" -type f)" ]
}

milter_start
postfix_setup mta
postfix_private mta "$sink"
postfix_conf mta "transport_maps=inline:{remote.example=smtp:[127.0.0.1]:$remote}" smtpd_client_connection_rate_limit=0
sink_start sink "$sink" --reply 'rcpt:gone@:550 5.1.1 <gone@remote.example>: no such user here'

# The other side: it takes the mail for remote.example, can't deliver it, and says so.
postfix_make other
postfix_private other "$sink"
postfix_conf other mynetworks=127.0.0.0/8 myhostname=mx.remote.example relay_domains=remote.example \
	"transport_maps=inline:{bounces.example=smtp:[127.0.0.1]:$port}"
postconf -c "$D/other/etc" -M -X smtp/inet
postconf -c "$D/other/etc" -M "127.0.0.1:$remote/inet=127.0.0.1:$remote inet n - n - - smtpd"

collector_start
postfix_start mta
postfix_start other
daemon_start uploader

# ---- each form ----

python3 "$reports" send "$port"
ok "five mails went out" it_wait 60 sink_has sink 5
python3 "$reports" report "$port" "$D/sink" "$D/expect"
out=$(python3 "$reports" wait "$D/collector.db" "$D/expect" 240)
is "each report makes its events, and no others" "$(echo "$out" | head -n 1 | cut -d, -f2-)" " 0 missing, 0 too many"
echo "$out" | sed 's/^/# /'
ok "none is left in inbound/" it_wait 30 inbound_empty
ok "what is no report was forwarded" it_wait 60 sink_has sink 6
has "as it came" "$(cat "$D"/sink/*6.eml)" "How are you?"
has "to forward-unmatched-to" "$(cat "$D"/sink/*6.json)" "help@sink.example"
has "a log line a report" "$(cat "$D/logs/uploader")" "kind=feedback format=arf to=fbl@fbl.example rcpts=1 rcpt=one@sink.example fbtype=abuse matched_by=seal dkim=none events=1"

# ---- killed in between ----

python3 "$reports" flood "$port" "$D/sink" "$D/expect" "$n" 4 &
load=$!
i=0
while kill -0 "$load" 2>/dev/null || ! inbound_empty; do
	i=$((i + 1))
	sleep "0.$(((i * 7 + $$) % 9 + 1))"
	[ $((i % 3)) != 0 ] || kill -USR1 "$(it_pid uploader)"
	it_stop uploader KILL
	daemon_start uploader
	[ "$i" -lt 200 ] || break
	# It must live long enough to do something at all.
	[ $((i % 4)) != 0 ] || sleep 1
done
wait "$load"
out=$(python3 "$reports" wait "$D/collector.db" "$D/expect" 240)
is "$n reports and $i kills: each report has its event, once" \
	"$(echo "$out" | head -n 1 | cut -d, -f2-)" " 0 missing, 0 too many"
echo "$out" | sed 's/^/# /'
ok "none is left in inbound/" it_wait 30 inbound_empty
is "none was rejected" "$(find "$D/spool/rejected" -type f | wc -l | tr -d ' ')" 0

# ---- nothing goes out ----

ok "the queue is empty" it_wait 30 postfix_empty mta
is "no report was answered or passed on" "$(sink_count sink)" 6
ok "the uploader is alive" it_alive uploader
it_done
