/*
 * conf_examples.c - one line for each directive as somebody would write it, for the
 * manual page. t-conf reads every one of them back.
 */
#include "common/conf_table.h"
#include "common/conf_value.h"

static const struct {
	enum conf_scope scope;
	const char *name, *argument;
} examples[] = {
	{ CONF_IN_GLOBAL, "include", "/etc/signalpost/conf.d/*.conf" },
	{ CONF_IN_GLOBAL, "node-name", "mx1" },
	{ CONF_IN_GLOBAL, "bounce-rules", "/etc/signalpost/bounce-rules" },
	{ CONF_IN_GLOBAL, "smtp-listener", "0.0.0.0:587" },
	{ CONF_IN_GLOBAL, "smtp-server-tls-certificate", "/etc/signalpost/mail.pem" },
	{ CONF_IN_GLOBAL, "relay-domain", "[*.]example.com" },
	{ CONF_IN_GLOBAL, "domain-macro", "provider example.net,example.org" },
	{ CONF_IN_GLOBAL, "relay-address", "/^team-[0-9]+@example\\.com$/" },
	{ CONF_IN_GLOBAL, "domain-key", "s1,example.com,/etc/signalpost/dkim/s1.pem" },
	{ CONF_IN_GLOBAL, "domain-key-list", "brands" },
	{ CONF_IN_GLOBAL, "enable-signals", "true,subaccount=12" },
	{ CONF_IN_GLOBAL, "rewrite-list", "bounces" },
	{ CONF_IN_GLOBAL, "pickup", "/var/spool/pickup /var/spool/bad" },
	{ CONF_IN_GLOBAL, "log-file", "/var/log/signalpost/signalpost.log" },
	{ CONF_IN_GLOBAL, "http-mgmt-port", "8080" },
	{ CONF_IN_GLOBAL, "http-access", "127.0.0.1 admin" },
	{ CONF_IN_SOURCE, "smtp-max-auth-failure-rate", "5/min" },
	{ CONF_IN_SOURCE, "max-message-size", "50M" },
	{ CONF_IN_SOURCE, "default-virtual-mta", "pool1" },
	{ CONF_IN_SOURCE, "jobid-header", "X-Campaign" },
	{ CONF_IN_SOURCE, "jobid-prefix", "{auth}-" },
	{ CONF_IN_SOURCE, "rewrite-list", "bounces" },
	{ CONF_IN_SOURCE, "pattern-list", "patterns" },
	{ CONF_IN_REWRITE_LIST, "mail-from", "*@* *@bounces.example.com" },
	{ CONF_IN_REWRITE_LIST, "from-domain", "old.example news.example.com" },
	{ CONF_IN_DOMAIN, "max-smtp-out", "20" },
	{ CONF_IN_DOMAIN, "bounce-after", "2d" },
	{ CONF_IN_DOMAIN, "retry-after", "15m" },
	{ CONF_IN_DOMAIN, "dkim-identity", "@example.com" },
	{ CONF_IN_DOMAIN, "dkim-identity-fallback", "@example.com" },
	{ CONF_IN_DOMAIN, "dkim-algorithm", "rsa-sha256" },
	{ CONF_IN_DOMAIN, "dkim-expire-after", "7d" },
	{ CONF_IN_DOMAIN, "dkim-headers", "X-Campaign,Feedback-ID" },
	{ CONF_IN_DOMAIN, "dkim-disallow-adding-headers", "From,Subject" },
	{ CONF_IN_DOMAIN, "type", "smtp" },
	{ CONF_IN_DOMAIN, "file-format", "newfile-plain" },
	{ CONF_IN_DOMAIN, "file-destination", "/var/spool/files" },
	{ CONF_IN_KEY_LIST, "domain-key", "s1,*,/etc/signalpost/dkim/s1.pem" },
	{ CONF_IN_SIGNALS, "api-key", "0123456789abcdef0123456789abcdef01234567" },
	{ CONF_IN_SIGNALS, "upload-url", "http://127.0.0.1:8460/api/v1/ingest/events" },
	{ CONF_IN_SIGNALS, "upload-interval", "30s" },
	{ CONF_IN_SIGNALS, "ca-file", "/etc/ssl/certs/ca-certificates.crt" },
	{ CONF_IN_SIGNALS, "min-free-space", "1G" },
	{ CONF_IN_SIGNALS, "customer-id", "12345" },
	{ CONF_IN_SIGNALS, "tracking-domain", "https://track.example.com" },
	{ CONF_IN_SIGNALS, "custom-message-id-header", "X-Message-Id" },
	{ CONF_IN_SINK, "type", "http" },
	{ CONF_IN_SINK, "url", "https://clickhouse.example.com:8443/?query=INSERT" },
	{ CONF_IN_SINK, "api-key", "\"Bearer 0123456789\"" },
	{ CONF_IN_SINK, "header", "\"X-Node: mx1\"" },
	{ CONF_IN_SINK, "ca-file", "/etc/ssl/certs/ca-certificates.crt" },
	{ CONF_IN_SINK, "directory", "/srv/events" },
	{ CONF_IN_FILTER, "sender-or-from", "[*.]brand.example enable-signals,subaccount=12" },
	{ CONF_IN_VMTA, "smtp-source-host", "192.0.2.10 mta1.example.com" },
	{ CONF_IN_VMTA, "enable-signals", "true,subaccount=12" },
	{ CONF_IN_VMTA, "rewrite-list", "bounces" },
	{ CONF_IN_VMTA, "domain-key", "s1,example.com,/etc/signalpost/dkim/s1.pem" },
	{ CONF_IN_VMTA, "domain-key-list", "brands" },
	{ CONF_IN_POOL, "virtual-mta", "mta1" },
	{ CONF_IN_POOL, "enable-signals", "false" },
	{ CONF_IN_POOL, "rewrite-list", "bounces" },
	{ CONF_IN_ADDRESS_LIST, "domain", "bounces.example.com" },
	{ CONF_IN_ADDRESS_LIST, "address", "fbl@example.com" },
	{ CONF_IN_ADDRESS_LIST, "address-file", "/etc/signalpost/bounce-addresses" },
	{ CONF_IN_EMAIL_PATTERNS, "body-pattern-file", "/etc/signalpost/report-patterns" },
	{ CONF_IN_SMTP_USER, "password", "\"a long one\"" },
	{ CONF_IN_SMTP_USER, "authentication-method", "password" },
	{ CONF_IN_SMTP_USER, "source", "{auth}" },
	{ CONF_IN_MILTER, "socket", "inet:8462@127.0.0.1" },
	{ CONF_IN_MILTER, "group", "postfix" },
	{ CONF_IN_MILTER, "user", "signalpost" },
	{ CONF_IN_MILTER, "pid-file", "/run/signalpost/milter.pid" },
	{ CONF_IN_MILTER, "max-recipients", "500" },
	{ CONF_IN_SPOOL, "directory", "/srv/spool/signalpost" },
	{ CONF_IN_SPOOL, "segment-size", "1M" },
	{ CONF_IN_SPOOL, "segment-age", "5s" },
	{ CONF_IN_TOKEN_KEYS, "directory", "/etc/signalpost/keys" },
	{ CONF_IN_COLLECTOR, "listen", "127.0.0.1:8460" },
	{ CONF_IN_COLLECTOR, "api-key", "0123456789abcdef0123456789abcdef01234567" },
	{ CONF_IN_COLLECTOR, "database", "/srv/signalpost/collector.db" },
	{ CONF_IN_COLLECTOR, "user", "signalpost" },
	{ CONF_IN_COLLECTOR, "retention", "30d" },
	{ CONF_IN_TRACKER, "listen", "0.0.0.0:443" },
	{ CONF_IN_TRACKER, "trusted-proxy", "10.0.0.0/8" },
	{ CONF_IN_TRACKER, "link-expiry", "never" },
	{ CONF_IN_TRACKER, "tls-certificate", "/etc/signalpost/track.crt" },
	{ CONF_IN_TRACKER, "tls-key", "/etc/signalpost/track.key" },
	{ CONF_IN_TRACKER, "machine-readers", "/etc/signalpost/machine-readers.conf" },
	{ CONF_IN_TRACKER, "user", "signalpost" },
	{ CONF_IN_MAIL_LOG, "file", "/var/log/mail.log" },
	{ CONF_IN_MAIL_LOG, "index", "/srv/signalpost/index.db" },
	{ CONF_IN_MAIL_LOG, "index-age", "30d" },
	{ CONF_IN_PATTERN_LIST, "mail-from", "/@brand\\.example$/ virtual-mta=mta1" },
	{ CONF_IN_PATTERN_LIST, "rcpt-to", "/@example\\.net$/ virtual-mta=mta1" },
	{ CONF_IN_PATTERN_LIST, "header", "X-Brand /one/ virtual-mta=mta1" },
	{ CONF_IN_SMTP_PATTERNS, "reply", "/too many connections/ mode=backoff" },
	{ CONF_IN_BOUNCE_CATEGORIES, "", "/user unknown/ bad-mailbox" },
	{ CONF_IN_INBOUND, "onward-relay", "127.0.0.1:25" },
	{ CONF_IN_INBOUND, "dns-resolver", "127.0.0.53:53" },
	{ CONF_IN_INBOUND, "dns-file", "/etc/signalpost/report-keys" },
	{ CONF_IN_ACCT_FILE, "records", "d,b" },
	{ CONF_IN_ACCT_FILE, "record-fields", "d *" },
	{ CONF_IN_ACCT_FILE, "map-header-to-field", "d header_X-Job job" },
	{ CONF_IN_ACCT_FILE, "move-to", "done" },
	{ CONF_IN_ACCT_FILE, "user-string", "mx1" },
};

static bool
is_yes(const char *preset)
{
	return preset != NULL && (preset[0] == 'y' || preset[0] == 't');
}

/* A word that is not the default. */
static const char *
another_word(const struct conf_row *row)
{
	for (const struct conf_word *w = row->words; w->word != NULL; w++)
		if (row->preset == NULL || !slice_eq(slice_str(w->word), slice_str(row->preset)))
			return w->word;
	return row->words->word;
}

/* Where the type says enough. */
static const char *
by_type(const struct conf_row *row)
{
	if (row->words != NULL)
		return another_word(row);
	if (row->type == &conf_type_bool)
		return is_yes(row->preset) ? "no" : "yes";
	if (row->type == &conf_type_address)
		return "postmaster@example.com";
	if (row->type == &conf_type_host)
		return "mail.example.com";
	if (row->type == &conf_type_ip)
		return "127.0.0.1";
	if (row->preset != NULL && (row->flags & CONF_ROW_PRESET_IS_COMPUTED) == 0)
		return row->preset;
	if (row->type == &conf_type_time || row->type == &conf_type_time_or_never)
		return "1h";
	if (row->type == &conf_type_size || row->type == &conf_type_size_or_unlimited)
		return "100M";
	if (row->type == &conf_type_count || row->type == &conf_type_count_or_unlimited)
		return "100";
	return NULL;
}

bool
conf_example(const struct conf_row *row, struct buf *out)
{
	const char *argument = NULL;

	for (size_t i = 0; i < COUNT(examples); i++)
		if (examples[i].scope == row->scope &&
		    slice_eq(slice_str(examples[i].name), slice_str(row->name)))
			argument = examples[i].argument;
	if (argument == NULL && (row->flags & CONF_ROW_FAMILY) == 0)
		argument = by_type(row);
	if (argument == NULL)
		return false;
	buf_printf(out, "%s%s%s", row->name, row->name[0] == '\0' ? "" : " ", argument);
	return true;
}
