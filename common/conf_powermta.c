#include "common/conf_powermta.h"

#define G (1U << CONF_IN_GLOBAL)
#define S (1U << CONF_IN_SOURCE)
#define D (1U << CONF_IN_DOMAIN)
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
#define API  "there is no HTTP injection: submit by SMTP"
#define SASL "Postfix: smtp_sasl_password_maps"

static const struct conf_powermta directives[] = {
	{ "always-allow-api-submission", S, API },
	{ "assume-delivery-upon-data-termination-timeout", D, QUEUE },
	{ "auth-password", D, SASL },
	{ "auth-username", D, SASL },
	{ "auto-cold-virtual-mta", V, WARMING },
	{ "backoff-max-connect-rate", D, BACKOFF },
	{ "backoff-max-msg-rate", D, BACKOFF },
	{ "backoff-max-msg-per-hour", D, BACKOFF },
	{ "backoff-max-smtp-out", D, BACKOFF },
	{ "backoff-notify", G | D, BACKOFF },
	{ "backoff-reroute-to-virtual-mta", D, BACKOFF },
	{ "backoff-retry-after", D, BACKOFF },
	{ "backoff-to-normal-after", D, BACKOFF },
	{ "backoff-to-normal-after-delivery", D, BACKOFF },
	{ "backoff-upon-all-sources-disabled", D, BACKOFF },
	{ "bounce-upon-5xx-greeting", D, "Postfix: smtp_skip_5xx_greeting" },
	{ "bounce-upon-no-mx", D, QUEUE },
	{ "bounce-upon-pix-transfer-failure", D, QUEUE },
	{ "bounce-upon-transfer-failure", D, QUEUE },
	{ "cold-virtual-mta", V, WARMING },
	{ "connect-timeout", D, CLIENT },
	{ "data-send-timeout", D, CLIENT },
	{ "deferral-notify", D, "Postfix: delay_warning_time" },
	{ "disable-mx-rollup", D, QUEUE },
	{ "dns-cache-size", G, RESOLVER },
	{ "edns-udp-length", G, RESOLVER },
	{ "hide-message-source", S, HEADERS },
	{ "ignore-chunking-capability", D, "Postfix: smtp_discard_ehlo_keywords" },
	{ "ignore-dns-cname-failure", D, RESOLVER },
	{ "log-resolution", G | D, LOGS },
	{ "log-rotate", G, LOGS },
	{ "log-transfer-failures", D, "every attempt is an event" },
	{ "max-cold-virtual-mta-msg", D, WARMING },
	{ "max-connect-rate", D, RATE },
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
	{ "queue-priority", D, QUEUE },
	{ "queue-to", D, ROUTE },
	{ "remove-header", S | D, HEADERS },
	{ "remove-received-headers", S | D, HEADERS },
	{ "replace-smtp-421-service-response", D, QUEUE },
	{ "require-starttls", D, OUT_TLS },
	{ "retry-recurring", D, QUEUE },
	{ "retry-upon-new-mail", D, QUEUE },
	{ "route", D, ROUTE },
	{ "smtp-421-means-mx-unavailable", D, QUEUE },
	{ "smtp-data-termination-timeout", D, CLIENT },
	{ "smtp-greeting-timeout", D, CLIENT },
	{ "smtp-hosts", D, ROUTE },
	{ "smtp-max-connections", S, LIMITS },
	{ "smtp-pattern-list", G | D, BACKOFF },
	{ "smtp-port", G, "the listeners' ports stand in smtp-listener" },
	{ "source-ip-max-connect-rate", D, RATE },
	{ "source-ip-max-msg-rate", D, RATE },
	{ "suspend-queue", D, "Postfix: defer_transports" },
	{ "sync-msg-create", G, FILES },
	{ "sync-msg-update", G, FILES },
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
