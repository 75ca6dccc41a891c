#include "common/conf_powermta.h"

#define G (1U << CONF_IN_GLOBAL)
#define S (1U << CONF_IN_SOURCE)
#define D (1U << CONF_IN_DOMAIN)
#define P (1U << CONF_IN_SPOOL)
#define V (1U << CONF_IN_VMTA | 1U << CONF_IN_POOL)

#define RATE     "Postfix: smtp_destination_rate_delay; how many at once is max-smtp-out"
#define BACKOFF  "the MTA backs off by itself (Postfix: minimal_backoff_time, maximal_backoff_time)"
#define CLIENT   "Postfix: smtp_*_timeout; sendmail: confTO_*"
#define OUT_TLS  "Postfix: smtp_tls_security_level, smtp_tls_policy_maps; sendmail: access_db"
#define ROUTE    "Postfix: transport_maps; sendmail: mailertable"
#define QUEUE    "the MTA's queue has no such thing"
#define HEADERS  "Postfix: header_checks, smtp_header_checks"
#define FILES    "the MTA's own queue files; events are synced by spool-sync"
#define LOGS     "journald or logrotate keeps the logs; etc/logrotate.d has signalpost's"
#define RESOLVER "the host's resolver, /etc/resolv.conf"
#define LIMITS   "Postfix: smtpd_client_connection_count_limit, smtpd_client_connection_rate_limit"
#define WARMING                                                                                    \
	"share the mail by hand: a pool takes its virtual MTAs in turn, repetition is weight"
#define API   "there is no HTTP injection: submit by SMTP"
#define DSN   "Postfix: notify_classes, smtpd_discard_ehlo_keywords = dsn"
#define DEBUG "Postfix: debug_peer_list; every attempt is an event"
#define SASL  "Postfix: smtp_sasl_password_maps"

static const struct conf_powermta directives[] = {
	{ "accept-invalid-recipients", S, "recipients of other hosts are not checked" },
	{ "allow-mailmerge", S, "there is no XMRG: submit each message by itself" },
	{ "allow-priority-interruption", D, QUEUE },
	{ "allow-priority-interruption-during-transfer", D, QUEUE },
	{ "always-allow-api-submission", S, API },
	{ "assume-delivery-upon-data-termination-timeout", D, QUEUE },
	{ "auth-password", D, SASL },
	{ "auth-username", D, SASL },
	{ "auto-cold-virtual-mta", V, WARMING },
	{ "backoff-max-connect-rate", D, BACKOFF },
	{ "backoff-max-data-volume-rate", D, BACKOFF },
	{ "backoff-max-msg-per-hour", D, BACKOFF },
	{ "backoff-max-msg-rate", D, BACKOFF },
	{ "backoff-max-smtp-out", D, BACKOFF },
	{ "backoff-notify", G | D, BACKOFF },
	{ "backoff-reroute-to-virtual-mta", D, BACKOFF },
	{ "backoff-retry-after", D, BACKOFF },
	{ "backoff-to-normal-after", D, BACKOFF },
	{ "backoff-to-normal-after-delivery", D, BACKOFF },
	{ "backoff-upon-all-sources-disabled", D, BACKOFF },
	{ "bcc-upon-delivery", D, "Postfix: recipient_bcc_maps" },
	{ "bounce-upon-5xx-greeting", D, "Postfix: smtp_skip_5xx_greeting" },
	{ "bounce-upon-no-mx", D, QUEUE },
	{ "bounce-upon-pix-transfer-failure", D, QUEUE },
	{ "bounce-upon-transfer-failure", D, QUEUE },
	{ "check-spf-outbound", D, QUEUE },
	{ "cold-virtual-mta", V, WARMING },
	{ "connect-timeout", D, CLIENT },
	{ "data-send-timeout", D, CLIENT },
	{ "date-header-time", S, HEADERS },
	{ "deferral-notify", D, "Postfix: delay_warning_time" },
	{ "delete-file-holders", P, FILES },
	{ "deliver-local-dsn", D, DSN },
	{ "disable-acct-records", D, QUEUE },
	{ "disable-mx-rollup", D, QUEUE },
	{ "disabled-source-ip-notify", D, BACKOFF },
	{ "dk-sign", D, "DomainKeys is historic (RFC 5617): dkim-sign" },
	{ "dns-cache-size", G, RESOLVER },
	{ "dsn-format", D, DSN },
	{ "edns-udp-length", G, RESOLVER },
	{ "hide-message-source", S, HEADERS },
	{ "ignore-8bitmime", D, "Postfix: smtp_discard_ehlo_keywords" },
	{ "ignore-chunking-capability", D, "Postfix: smtp_discard_ehlo_keywords" },
	{ "ignore-dns-cname-failure", D, RESOLVER },
	{ "log-auto-rotation", G, LOGS },
	{ "log-commands", D, DEBUG },
	{ "log-connections", D, DEBUG },
	{ "log-data", D, DEBUG },
	{ "log-disabled-ips", D, DEBUG },
	{ "log-messages", D, DEBUG },
	{ "log-resolution", G | D, LOGS },
	{ "log-rotate", G, LOGS },
	{ "log-transfer-failures", D, "every attempt is an event" },
	{ "max-cold-virtual-mta-msg", D, WARMING },
	{ "max-connect-rate", D, RATE },
	{ "max-data-volume-rate", D, RATE },
	{ "max-errors-per-connection", D, RATE },
	{ "max-errors-per-hour", D, RATE },
	{ "max-events-recorded", G, QUEUE },
	{ "max-msg-per-connection", D, "Postfix: smtp_connection_reuse_count_limit" },
	{ "max-msg-per-hour", D, RATE },
	{ "max-msg-rate", D, RATE },
	{ "max-rcpt-per-message", D,
	    "Postfix: smtp_destination_recipient_limit; sendmail: r= of the mailer" },
	{ "max-rcpt-per-transaction", D,
	    "Postfix: smtp_destination_recipient_limit; sendmail: r= of the mailer" },
	{ "mx-connection-attempts", D, "Postfix: smtp_mx_session_limit" },
	{ "notify-of-delay-every", D, "Postfix: delay_warning_time" },
	{ "queue-priority", D, QUEUE },
	{ "queue-to", D, ROUTE },
	{ "remove-header", S | D, HEADERS },
	{ "remove-received-headers", S | D, HEADERS },
	{ "replace-smtp-421-service-response", D, QUEUE },
	{ "require-starttls", D, OUT_TLS },
	{ "retry-after-dns-error", D, BACKOFF },
	{ "retry-recipients-after", D, BACKOFF },
	{ "retry-recurring", D, QUEUE },
	{ "retry-upon-new-mail", D, QUEUE },
	{ "route", D, ROUTE },
	{ "smtp-421-means-mx-unavailable", D, QUEUE },
	{ "smtp-553-means-invalid-mailbox", D, "etc/bounce-rules says what a reply means" },
	{ "smtp-data-termination-timeout", D, CLIENT },
	{ "smtp-greeting-timeout", D, CLIENT },
	{ "smtp-hosts", D, ROUTE },
	{ "smtp-max-connections", S, LIMITS },
	{ "smtp-pattern-list", G | D, BACKOFF },
	{ "smtp-port", G, "the listeners' ports stand in smtp-listener" },
	{ "source-ip-max-connect-rate", D, RATE },
	{ "source-ip-max-msg-rate", D, RATE },
	{ "suppress-local-dsn", S, DSN },
	{ "suspend-queue", D, "Postfix: defer_transports" },
	{ "sync-msg-create", G, FILES },
	{ "sync-msg-update", G, FILES },
	{ "track-recipient-events", D, QUEUE },
	{ "use-starttls", D, OUT_TLS },
	{ "use-unencrypted-plain-auth", D, SASL },
};

const struct conf_powermta *
conf_powermta_find(enum conf_scope scope, struct slice name)
{
	for (size_t i = 0; i < COUNT(directives); i++)
		if ((directives[i].scopes & (1U << scope)) != 0 &&
		    slice_eqi(slice_str(directives[i].name), name))
			return &directives[i];
	return NULL;
}
