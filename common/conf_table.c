#include "common/conf_table.h"

#include <stddef.h>

#include "common/conf.h"
#include "common/conf_names.h"
#include "common/conf_value.h"

/* ---- words ---- */

static const struct conf_word dkim_sign_words[] = {
	{ "yes", CONF_DKIM_YES },
	{ "no", CONF_DKIM_NO },
	{ "true", CONF_DKIM_YES },
	{ "false", CONF_DKIM_NO },
	{ "if-x-dkim-options-present", CONF_DKIM_IF_OPTIONS },
	{ NULL, 0 },
};
static const struct conf_word canon_words[] = {
	/* is it simple? */
	{ "relaxed", false },
	{ "simple", true },
	{ NULL, 0 },
};
static const struct conf_word query_words[] = { { "dns/txt", 0 }, { NULL, 0 } };
static const struct conf_word privacy_words[] = {
	/* is it sha1? */
	{ "retain", false },
	{ "sha1", true },
	{ NULL, 0 },
};
static const struct conf_word tracking_words[] = {
	{ "yes", CONF_TRACKING_ON },
	{ "no", CONF_TRACKING_OFF },
	{ "true", CONF_TRACKING_ON },
	{ "false", CONF_TRACKING_OFF },
	{ "sparkpost", CONF_TRACKING_SPARKPOST },
	{ NULL, 0 },
};
static const struct conf_word method_words[] = { { "password", 0 }, { NULL, 0 } };
static const struct conf_word level_words[] = {
	{ "error", LOG_LEVEL_ERROR },
	{ "warning", LOG_LEVEL_WARN },
	{ "info", LOG_LEVEL_INFO },
	{ "debug", LOG_LEVEL_DEBUG },
	{ NULL, 0 },
};
static const struct conf_word mta_words[] = {
	{ "auto", CONF_MTA_AUTO },
	{ "postfix", CONF_MTA_POSTFIX },
	{ "sendmail", CONF_MTA_SENDMAIL },
	{ NULL, 0 },
};
static const struct conf_word zone_words[] = {
	/* is it UTC? */
	{ "local", false },
	{ "utc", true },
	{ NULL, 0 },
};
static const struct conf_word sink_type_words[] = {
	{ "sparkpost", CONF_SINK_SPARKPOST },
	{ "http", CONF_SINK_HTTP },
	{ "file", CONF_SINK_FILE },
	{ NULL, 0 },
};
static const struct conf_word format_words[] = {
	/* is it flat? */
	{ "msys", false },
	{ "flat", true },
	{ NULL, 0 },
};
static const struct conf_word compress_words[] = {
	/* is it gzip? */
	{ "gzip", true },
	{ "none", false },
	{ NULL, 0 },
};
static const struct conf_word on_error_words[] = {
	{ "tempfail", CONF_TEMPFAIL },
	{ "accept", CONF_ACCEPT },
	{ NULL, 0 },
};

/* ---- directives ---- */

#define AT(st, m) offsetof(struct st, m), sizeof(((struct st *)0)->m)
#define SPAN(st, a, b)                                                                             \
	offsetof(struct st, a),                                                                    \
	    offsetof(struct st, b) + sizeof(((struct st *)0)->b) - offsetof(struct st, a)
#define TEXT_ONLY 0, 0
#define T(type)   &conf_type_##type

#define MILTER    CONF_BY_MILTER
#define UPLOADER  CONF_BY_UPLOADER
#define COLLECTOR CONF_BY_COLLECTOR
#define TRACKER   CONF_BY_TRACKER
#define MTA       CONF_BY_MTA
#define NOTHING   0

#define REPEAT   CONF_ROW_REPEAT
#define SECRET   CONF_ROW_SECRET
#define LATER    CONF_ROW_LATER
#define FAMILY   CONF_ROW_FAMILY
#define PATTERN  CONF_ROW_PATTERN
#define COMPUTED CONF_ROW_PRESET_IS_COMPUTED

/* One row a directive and scope. A row that begins with /regex/ lines has the name "". */
/* clang-format off */
const struct conf_row conf_rows[] = {
#define G CONF_IN_GLOBAL
	{ "include", G, T(path), TEXT_ONLY, NULL, MILTER | UPLOADER | COLLECTOR | TRACKER, REPEAT, .help = "read this file here, or all files that match its wildcards, sorted by name; a relative name is meant from the including file; allowed in blocks too" },
	{ "postmaster", G, T(address), AT(conf, postmaster), NULL, MTA, 0, .help = "who gets mail for the postmaster" },
	{ "host-name", G, T(host), AT(conf, host_names), NULL, MILTER | MTA, REPEAT, .help = "name of this host; mail for it is ours" },
	{ "node-name", G, T(text), AT(conf, node_name), "the host's name", MILTER | UPLOADER, COMPUTED, .help = "name of this node in every event id; must differ on every host" },
	{ "bounce-rules", G, T(path), AT(conf, bounce_rules), CONF_BOUNCE_RULES, UPLOADER, COMPUTED, .help = "own rules for the classes of bounces, asked before the shipped ones; without this directive the file need not exist" },
	{ "smtp-listener", G, T(listener), AT(conf, n_listeners), NULL, MILTER | MTA, REPEAT, .refers = CONF_TO_SOURCE, .help = "address and port to take mail on; the named source then applies" },
	{ "smtp-server-tls-certificate", G, T(certificate), SPAN(conf, tls_certificate, tls_certificate_password), NULL, MTA, SECRET, .help = "certificate and key for STARTTLS, PEM" },
	{ "smtp-server-tls-allow-tlsv1", G, T(bool), AT(conf, tls_v1), "no", MTA, 0, .help = "allow TLS 1.0" },
	{ "smtp-server-tls-allow-tlsv1.1", G, T(bool), AT(conf, tls_v1_1), "no", MTA, 0, .help = "allow TLS 1.1" },
	{ "smtp-server-tls-allow-tlsv1.2", G, T(bool), AT(conf, tls_v1_2), "yes", MTA, 0, .help = "allow TLS 1.2" },
	{ "smtp-server-tls-allow-tlsv1.3", G, T(bool), AT(conf, tls_v1_3), "yes", MTA, 0, .help = "allow TLS 1.3" },
	{ "relay-domain", G, T(pattern), AT(conf, n_relay_domains), "host-name", MILTER | MTA, REPEAT | COMPUTED, .help = "recipients in these domains are accepted from anyone" },
	{ "domain-macro", G, T(domain_macro), TEXT_ONLY, NULL, MILTER | MTA, REPEAT, .help = "from here on, <domain $NAME> is a <domain> block for each of these domains" },
	{ "relay-address", G, T(address_or_regex), AT(conf, relay_addresses), NULL, MILTER, REPEAT, .help = "these recipients are accepted from anyone" },
	{ "relay-debug", G, T(bool), AT(conf, relay_debug), "no", MILTER, 0, .help = "refuse relaying with a 4xx reply instead of 550" },
	{ "domain-key", G, T(domain_key), AT(conf, keys), NULL, MILTER, REPEAT, .help = "DKIM key: the first one whose domain equals or is a parent of the identity's domain signs" },
	{ "domain-key-list", G, T(name), TEXT_ONLY, NULL, MILTER, REPEAT, .refers = CONF_TO_KEY_LIST, .help = "the keys of this <domain-key-list>" },
	{ "enable-signals", G, T(enable_signals), AT(conf, enable_signals), "true if there is a <signals> block", MILTER, COMPUTED, .refers = CONF_TO_FILTER, .help = "report events of mail, where no virtual MTA or pool says otherwise" },
	{ "rewrite-list", G, T(name), AT(conf, rewrite_list), NULL, MILTER, 0, .refers = CONF_TO_REWRITE_LIST, .help = "rewrite MAIL FROM and From: by this list, where nothing more specific names one" },
	{ "total-max-smtp-in", G, T(count_or_unlimited), TEXT_ONLY, NULL, MTA, LATER, .help = "inbound connections in all" },
	{ "total-max-smtp-out", G, T(count_or_unlimited), TEXT_ONLY, NULL, MTA, LATER, .help = "outbound connections in all" },
	{ "total-max-*", G, T(any), TEXT_ONLY, NULL, NOTHING, FAMILY, .help = "limits of PowerMTA's other queues" },
	{ "pickup", G, T(two_paths), TEXT_ONLY, NULL, NOTHING, REPEAT, .help = "directory of messages to send" },
	{ "run-as-root", G, T(bool), TEXT_ONLY, NULL, NOTHING, 0, .help = "rights of PowerMTA's daemon" },
	{ "log-file", G, T(path), AT(conf, log_file), NULL, MILTER | UPLOADER | COLLECTOR | TRACKER, 0, .help = "file that all programs log to, instead of syslog; it is opened again at a reload (SIGUSR1), so that it may be rotated. Programs of other users need the right to write it" },
	{ "log-level", G, T(word), AT(conf, log_level), "info", MILTER | UPLOADER | COLLECTOR | TRACKER, 0, .words = level_words, .help = "the least important lines that are logged; each message's line is info" },
	{ "http-mgmt-port", G, T(count), TEXT_ONLY, NULL, NOTHING, 0, 1, 65535, .help = "port of PowerMTA's web pages" },
	{ "http-access", G, T(any), TEXT_ONLY, NULL, NOTHING, REPEAT, .help = "who may read PowerMTA's web pages" },
	{ "http-*", G, T(any), TEXT_ONLY, NULL, NOTHING, FAMILY | REPEAT, .help = "PowerMTA's web pages" },
	{ "dummy-smtp-has-chunking", G, T(bool), TEXT_ONLY, NULL, NOTHING, 0, .help = "PowerMTA's test sink" },
	{ "dummy-smtp-has-pipelining", G, T(bool), TEXT_ONLY, NULL, NOTHING, 0, .help = "PowerMTA's test sink" },
	{ "dummy-smtp-has-mailmerge", G, T(bool), TEXT_ONLY, NULL, NOTHING, 0, .help = "PowerMTA's test sink" },
	{ "dummy-smtp-log-blacklist", G, T(bool), TEXT_ONLY, NULL, NOTHING, 0, .help = "PowerMTA's test sink" },
	{ "dummy-smtp-blacklist-bounce-percent", G, T(count), TEXT_ONLY, NULL, NOTHING, 0, 0, 100, .help = "PowerMTA's test sink" },
	{ "dummy-smtp-port", G, T(count), TEXT_ONLY, NULL, NOTHING, 0, 1, 65535, .help = "PowerMTA's test sink" },
	{ "dummy-smtp-ip", G, T(ip), TEXT_ONLY, NULL, NOTHING, 0, .help = "PowerMTA's test sink" },
	{ "dummy-smtp-*", G, T(any), TEXT_ONLY, NULL, NOTHING, FAMILY | REPEAT, .help = "PowerMTA's test sink" },
#undef G
#define S CONF_IN_SOURCE
	{ "always-allow-relaying", S, T(bool), AT(conf_source, always_allow_relaying), "no", MILTER | MTA, 0, .help = "may send to any recipient" },
	{ "require-auth", S, T(bool), AT(conf_source, require_auth), "no", MTA, 0, .help = "no mail before AUTH" },
	{ "allow-auth", S, T(bool), AT(conf_source, allow_auth), "yes", MTA, 0, .help = "offer AUTH" },
	{ "allow-unencrypted-plain-auth", S, T(bool), AT(conf_source, allow_unencrypted_plain_auth), "no", MTA, 0, .help = "offer AUTH PLAIN and LOGIN without TLS" },
	{ "allow-starttls", S, T(bool), AT(conf_source, allow_starttls), "no", MTA, 0, .help = "offer STARTTLS" },
	{ "require-starttls-before-auth", S, T(bool), AT(conf_source, require_starttls_before_auth), "no", MTA, 0, .help = "no AUTH without TLS" },
	{ "smtp-max-auth-failure-rate", S, T(auth_rate), SPAN(conf_source, auth_failures, auth_failures_per_s), "unlimited", MILTER | UPLOADER | MTA, 0, .help = "after N failed authentications, seen in the MTA's log, connections from the client (an IPv6 client: from its /64) are refused until the time, which began with the first of them, is over; 0: after one, for a day. Needs <mail-log>" },
	{ "smtp-service", S, T(bool), AT(conf_source, smtp_service), "yes", MILTER, 0, .help = "no: the connection is refused" },
	{ "max-message-size", S, T(size_or_unlimited), AT(conf_source, max_message_size), "unlimited", MILTER | MTA, 0, .help = "larger messages are refused" },
	{ "log-connections", S, T(bool), AT(conf_source, log_connections), "no", MILTER, 0, .help = "log connects and disconnects" },
	{ "log-commands", S, T(bool), AT(conf_source, log_commands), "no", MILTER, 0, .help = "log commands; verbose" },
	{ "log-data", S, T(bool), AT(conf_source, log_data), "no", MILTER, 0, .help = "log data; more verbose" },
	{ "add-date-header", S, T(bool), AT(conf_source, add_date_header), "no", MILTER | MTA, 0, .help = "add Date: where it lacks" },
	{ "add-message-id-header", S, T(bool), AT(conf_source, add_message_id_header), "no", MILTER | MTA, 0, .help = "add Message-ID: where it lacks" },
	{ "add-received-header", S, T(bool), AT(conf_source, add_received_header), "yes", MTA, LATER, .help = "add Received:" },
	{ "verp-default", S, T(bool), AT(conf_source, verp_default), "no", MILTER, 0, .help = "MAIL FROM names the recipient: jsmith-jdoe=yahoo.com@example.com" },
	{ "default-virtual-mta", S, T(vmta_choice), SPAN(conf_source, default_vmta_choice, default_vmta), NULL, MILTER, 0, .refers = CONF_TO_VMTA_OR_POOL, .help = "virtual MTA or pool where nothing more specific chose one" },
	{ "process-x-job", S, T(bool), AT(conf_source, process_x_job), "no", MILTER, 0, .help = "the job id is in X-Job:" },
	{ "retain-x-job", S, T(bool), AT(conf_source, retain_x_job), "no", MILTER, 0, .help = "leave X-Job: in the message" },
	{ "jobid-header", S, T(header), AT(conf_source, jobid_header), NULL, MILTER, 0, .help = "another header that may have the job id; X-Job: comes first" },
	{ "jobid-prefix", S, T(text), AT(conf_source, jobid_prefix), NULL, MILTER, 0, .help = "put before each job id; {auth} stands for the authenticated user" },
	{ "process-x-virtual-mta", S, T(bool), AT(conf_source, process_x_virtual_mta), "no", MILTER, 0, .help = "X-Virtual-MTA: chooses the virtual MTA or pool" },
	{ "retain-x-virtual-mta", S, T(bool), AT(conf_source, retain_x_virtual_mta), "no", MILTER, 0, .help = "leave X-Virtual-MTA: in the message" },
	{ "process-x-envid", S, T(bool), AT(conf_source, process_x_envid), "no", MILTER, 0, .help = "the DSN envelope id is in X-Envid:" },
	{ "process-x-msys-api", S, T(bool), AT(conf_source, process_x_msys_api), "yes", MILTER, 0, .help = "obey X-MSYS-API:, as SparkPost's SMTP API has it" },
	{ "check-dkim-inbound", S, T(bool), AT(conf_source, check_dkim_inbound), "no", MILTER, LATER, .help = "verify signatures and add Authentication-Results:" },
	{ "check-mfrom-inbound", S, T(bool), TEXT_ONLY, NULL, MILTER, LATER, .help = "check SPF of MAIL FROM" },
	{ "rewrite-list", S, T(name), AT(conf_source, rewrite_list), NULL, MILTER, 0, .refers = CONF_TO_REWRITE_LIST, .help = "rewrite MAIL FROM and From: by this list" },
	{ "pattern-list", S, T(name), TEXT_ONLY, NULL, MILTER, LATER, .refers = CONF_TO_PATTERN_LIST, .help = "choose the virtual MTA by this <pattern-list>" },
	{ "process-x-dkim-options", S, T(bool), TEXT_ONLY, NULL, MILTER, LATER, .help = "obey X-DKIM-Options:" },
	{ "process-x-dkim-key", S, T(bool), TEXT_ONLY, NULL, MILTER, LATER, .help = "take the DKIM key from the message" },
	{ "process-x-dkim-*", S, T(any), TEXT_ONLY, NULL, MILTER, LATER | FAMILY, .help = "DKIM as the message asks" },
#undef S
	{ "mail-from", CONF_IN_REWRITE_LIST, T(mail_from), AT(conf_rewrite_list, n_mail_from), NULL, MILTER, REPEAT, .help = "rewrite MAIL FROM; in the destination * stands for what it was. The most exact source wins, whatever the order: a@b, a@*, *@b, *@*; of two that are the same, the later. The null sender is rewritten only by <>" },
	{ "from-domain", CONF_IN_REWRITE_LIST, T(from_domain), AT(conf_rewrite_list, n_from_domain), NULL, MILTER, REPEAT, .help = "rewrite the domain of each mailbox in From:; the most specific pattern wins" },
#define D CONF_IN_DOMAIN
	{ "max-smtp-out", D, T(count_or_unlimited), AT(conf_domain, max_smtp_out), "unlimited", MTA, 0, .help = "connections to the domain" },
	{ "bounce-after", D, T(time), AT(conf_domain, bounce_after_s), "4d12h", MTA, 0, .help = "give up a message after this time" },
	{ "retry-after", D, T(times), AT(conf_domain, retry_after_s), "10m", MTA, 0, .help = "time between attempts; of several, the first" },
	{ "dkim-sign", D, T(word), AT(conf_domain, dkim_sign), "no", MILTER, 0, .words = dkim_sign_words, .help = "sign mail to these domains" },
	{ "dkim-identity", D, T(dkim_identity), SPAN(conf_domain, dkim_identity, dkim_identity_text), "sender-or-from", MILTER, 0, .help = "whose signature it is (i=)" },
	{ "dkim-identity-fallback", D, T(dkim_fallback), AT(conf_domain, dkim_identity_fallback), NULL, MILTER, 0, .help = "identity for which there is a key when the first has none" },
	{ "dkim-algorithm", D, T(dkim_algorithm), AT(conf_domain, dkim_algorithm), "of every key of the domain", MILTER, COMPUTED, .help = "sign only with keys of this algorithm" },
	{ "dkim-body-canon", D, T(word_bool), AT(conf_domain, dkim_body_simple), "relaxed", MILTER, 0, .words = canon_words, .help = "canonicalization of the body" },
	{ "dkim-headers-canon", D, T(word_bool), AT(conf_domain, dkim_headers_simple), "relaxed", MILTER, 0, .words = canon_words, .help = "canonicalization of the headers" },
	{ "dkim-add-timestamp", D, T(bool), AT(conf_domain, dkim_add_timestamp), "no", MILTER, 0, .help = "add t=" },
	{ "dkim-add-body-limit", D, T(bool), AT(conf_domain, dkim_add_body_limit), "no", MILTER, 0, .help = "add l=; what is appended then does not break the signature" },
	{ "dkim-expire-after", D, T(time_or_never), AT(conf_domain, dkim_expire_after_s), "never", MILTER, 0, .help = "add x=" },
	{ "dkim-query-method", D, T(word), TEXT_ONLY, NULL, MILTER, 0, .words = query_words, .help = "how the key is found; there is one way" },
	{ "dkim-headers", D, T(headers), AT(conf_domain, dkim_headers), NULL, MILTER, 0, .help = "sign these headers too" },
	{ "dkim-disallow-adding-headers", D, T(headers), AT(conf_domain, dkim_disallow_adding_headers), "From", MILTER, 0, .help = "sign one more of these headers than there are, so that none can be added" },
	{ "second-dkim-*", D, T(any), TEXT_ONLY, NULL, MILTER, LATER | FAMILY, .help = "a second signature; give the domain two keys instead" },
	{ "type", D, T(text), TEXT_ONLY, NULL, NOTHING, 0, .help = "kind of PowerMTA's queue" },
	{ "file-format", D, T(text), TEXT_ONLY, NULL, NOTHING, 0, .help = "how PowerMTA delivers to files" },
	{ "file-destination", D, T(text), TEXT_ONLY, NULL, NOTHING, 0, .help = "where PowerMTA delivers to files" },
#undef D
	{ "domain-key", CONF_IN_KEY_LIST, T(domain_key), AT(conf_domain_keys, n), NULL, MILTER, REPEAT, .help = "DKIM key" },
#define S CONF_IN_SIGNALS
	{ "api-key", S, T(api_key), AT(conf_signals, api_key), NULL, UPLOADER, SECRET, .help = "required: the key for the ingest API, 40 hexadecimal digits" },
	{ "upload-url", S, T(upload_url), AT(conf_signals, upload_url), "https://api.sparkpost.com/api/v1/ingest/events", UPLOADER, 0, .help = "where events go; http:// only to a loopback address" },
	{ "upload-interval", S, T(time), AT(conf_signals, upload_interval_s), "1m", UPLOADER, 0, 1, 86400, .help = "how often to look for segments, beside at once when one appears" },
	{ "uploads", S, T(count), AT(conf_signals, uploads), "4", UPLOADER, 0, 1, 64, .help = "batches that may be on their way at once" },
	{ "max-event-age", S, T(time_or_never), AT(conf_signals, max_event_age_s), "1d", UPLOADER, 0, 1, 3162240000ULL, .help = "events that are older are not sent but counted as expired, since SparkPost takes none of them; a collector of one's own takes any: never" },
	{ "ca-file", S, T(path), AT(conf_signals, ca_file), NULL, UPLOADER, 0, .help = "certificates to trust instead of the system's" },
	{ "confirm-batches", S, T(bool), AT(conf_signals, confirm_batches), "no", UPLOADER, 0, .help = "ask later what became of each batch; its segment stays until that is known" },
	{ "confirm-window", S, T(time), AT(conf_signals, confirm_window_s), "1h", UPLOADER, 0, 1, 86400, .help = "for how long to ask before a batch counts as uploaded, unconfirmed" },
	{ "log-verbose", S, T(bool), AT(conf_signals, log_verbose), "no", UPLOADER, 0, .help = "log every action, not summaries only" },
	{ "min-free-space", S, T(size), AT(conf_signals, min_free_space), "20M", UPLOADER, 0, .help = "when less is free where the spool is, the oldest segments are deleted and counted as purged; 0: never" },
	{ "engagement-tracking", S, T(word), AT(conf_signals, engagement_tracking), "no", MILTER, 0, .words = tracking_words, .help = "sparkpost, or yes: links go through the tracking domain, and pixels show opens" },
	{ "track-text", S, T(bool), AT(conf_signals, track_text), "no", MILTER, 0, .help = "track the links of text/plain parts too, and obey SparkPost's [[data-msys-...]] marks in them" },
	{ "customer-id", S, T(count), AT(conf_signals, customer_id), NULL, COLLECTOR, 0, 0, UINT32_MAX, .help = "number of the customer; the collector names it in batch statuses, tracked links need none" },
	{ "tracking-domain", S, T(tracking_domain), AT(conf_signals, tracking_domain), "the first host-name", MILTER, COMPUTED, .help = "where tracked links lead and signalpost-tracker must answer; a host alone means https://" },
	{ "custom-message-id-header", S, T(header), AT(conf_signals, custom_message_id_header), NULL, MILTER, 0, .help = "header whose value, at most 512 ASCII characters, becomes custom_message_id in events" },
	{ "process-x-sp-subaccount-id", S, T(bool), AT(conf_signals, process_subaccount_header), "no", MILTER, 0, .help = "take the subaccount from X-SP-Subaccount-ID:" },
	{ "retain-x-sp-subaccount-id", S, T(bool), AT(conf_signals, retain_subaccount_header), "no", MILTER, 0, .help = "leave that header in the message" },
	{ "privacy-policy", S, T(word_bool), AT(conf_signals, privacy_sha1), "retain", MILTER | UPLOADER, 0, .words = privacy_words, .help = "recipients in events: as they are, or as the SHA-1 of the lower-case address" },
#undef S
#define K CONF_IN_SINK
	{ "type", K, T(word), AT(conf_sink, type), NULL, UPLOADER, 0, .words = sink_type_words, .help = "required: sparkpost: another ingest API, which answers each batch with an id; http: whatever takes a POST and answers it with 2xx, such as ClickHouse or Vector; file: archives in a directory" },
	{ "required", K, T(bool), AT(conf_sink, required), "yes", UPLOADER, 0, .help = "keep segments until this sink has them; no: it gets what it can while segments wait for others, and what it has not had by then counts as purged" },
	{ "url", K, T(sink_url), AT(conf_sink, url), NULL, UPLOADER, 0, .help = "sparkpost and http: where to; http:// only to a loopback address. In path and query {batch} is the batch's own name, the same when it is sent again, {segment} its segment, {node} the node-name, {date} the day (UTC); other braces are written %7B and %7D, blanks become %20" },
	{ "api-key", K, T(secret), AT(conf_sink, api_key), NULL, UPLOADER, SECRET, .help = "sparkpost and http: goes as it is into the header Authorization:" },
	{ "header", K, T(http_header), AT(conf_sink, headers), NULL, UPLOADER, REPEAT | SECRET, .help = "sparkpost and http: a header of each request, in double quotes; one of the same name takes the place of signalpost's own" },
	{ "ca-file", K, T(path), AT(conf_sink, ca_file), NULL, UPLOADER, 0, .help = "certificates to trust instead of the system's" },
	{ "uploads", K, T(count), AT(conf_sink, uploads), "4", UPLOADER, 0, 1, 64, .help = "sparkpost and http: batches that may be on their way at once" },
	{ "confirm-batches", K, T(bool), AT(conf_sink, confirm_batches), "no", UPLOADER, 0, .help = "sparkpost: ask later what became of each batch; its segment stays until that is known" },
	{ "confirm-window", K, T(time), AT(conf_sink, confirm_window_s), "1h", UPLOADER, 0, 1, 86400, .help = "for how long to ask before a batch counts as uploaded, unconfirmed" },
	{ "format", K, T(word_bool), AT(conf_sink, flat), "msys", UPLOADER, 0, .words = format_words, .help = "msys: lines as they are in the spool; flat: one object a line with event_class, type and the event's fields; timestamp, bounce_class, msg_size, num_retries and queue_time as numbers" },
	{ "compress", K, T(word_bool), AT(conf_sink, gzip), "gzip", UPLOADER, 0, .words = compress_words, .help = "gzip or none" },
	{ "max-event-age", K, T(time_or_never), AT(conf_sink, max_event_age_s), "1d with type sparkpost, never with the others", UPLOADER, COMPUTED, 1, 3162240000ULL, .help = "events that are older are not sent but counted as expired" },
	{ "directory", K, T(path), AT(conf_sink, directory), NULL, UPLOADER, 0, .help = "file: where the archives are, NAME-TIME.ndjson or NAME-TIME.ndjson.gz; made if need be" },
	{ "max-size", K, T(size), AT(conf_sink, max_size), "100M", UPLOADER, 0, 65536, 1ULL << 44, .help = "file: an archive of this size is closed, and a new one begun" },
	{ "rotate", K, T(time), AT(conf_sink, rotate_s), "1d", UPLOADER, 0, 1, 31622400, .help = "file: an archive of this age is closed" },
	{ "keep", K, T(count_or_unlimited), AT(conf_sink, keep_files), "unlimited", UPLOADER, 0, 1, 1000000, .help = "file: closed archives that are kept; the oldest go" },
	{ "delete-after", K, T(time_or_never), AT(conf_sink, keep_s), "never", UPLOADER, 0, 60, 3162240000ULL, .help = "file: archives that have not been written to for so long are removed" },
#undef K
	{ "sender-or-from", CONF_IN_FILTER, T(sender_rule), AT(conf_signals_filter, n), NULL, MILTER, REPEAT, .help = "for mail whose Sender:, else From:, is in these domains; the most specific pattern wins, no match is off" },
#define V CONF_IN_VMTA
	{ "smtp-source-host", V, T(source_host), SPAN(conf_vmta, source_ip, source_host), NULL, MILTER | MTA, 0, .help = "address to send from, and the HELO name; the address is sending_ip in events" },
	{ "enable-signals", V, T(enable_signals), AT(conf_vmta, signals), NULL, MILTER, 0, .refers = CONF_TO_FILTER, .help = "report events of this virtual MTA's mail" },
	{ "rewrite-list", V, T(name), AT(conf_vmta, rewrite_list), NULL, MILTER, 0, .refers = CONF_TO_REWRITE_LIST, .help = "rewrite MAIL FROM and From: by this list" },
	{ "domain-key", V, T(domain_key), AT(conf_vmta, keys), NULL, MILTER, REPEAT, .help = "DKIM key, before the global ones" },
	{ "domain-key-list", V, T(name), TEXT_ONLY, NULL, MILTER, REPEAT, .refers = CONF_TO_KEY_LIST, .help = "the keys of this <domain-key-list>" },
#undef V
	{ "virtual-mta", CONF_IN_POOL, T(name), AT(conf_pool, n_members), NULL, MILTER, REPEAT, .refers = CONF_TO_VMTA, .help = "member; members are taken in turn, one that is named twice twice as often" },
	{ "enable-signals", CONF_IN_POOL, T(enable_signals), AT(conf_pool, signals), NULL, MILTER, 0, .refers = CONF_TO_FILTER, .help = "report events of this pool's mail, where the virtual MTA says nothing" },
	{ "rewrite-list", CONF_IN_POOL, T(name), AT(conf_pool, rewrite_list), NULL, MILTER, 0, .refers = CONF_TO_REWRITE_LIST, .help = "rewrite MAIL FROM and From: by this list" },
#define P CONF_IN_PROCESSOR
	{ "deliver-unmatched-email", P, T(bool), AT(conf_processor, deliver_unmatched), "yes", UPLOADER, 0, .help = "hand what is no report, or is not trusted, to its recipient; no: discard it" },
	{ "deliver-matched-email", P, T(bool), AT(conf_processor, deliver_matched), "no", UPLOADER, 0, .help = "hand reports to their recipient, too, once their events are made; no: discard them" },
	{ "forward-unmatched-to", P, T(address), AT(conf_processor, forward_unmatched_to), NULL, UPLOADER, REPEAT, .help = "forward what is no report, or is not trusted, to this address" },
	{ "forward-errors-to", P, T(address), AT(conf_processor, forward_errors_to), NULL, UPLOADER, REPEAT, .help = "forward reports that say neither whom nor which message they mean" },
	{ "require-authenticated-reports", P, T(bool), AT(conf_processor, require_authenticated), "no", UPLOADER, 0, .help = "no events of a report without a DKIM signature that is valid and of the domain in its From:; it is then mail that was not recognised" },
	{ "deliver-email", P, T(bool), TEXT_ONLY, NULL, UPLOADER, LATER, .help = "deprecated; say deliver-matched-email and deliver-unmatched-email" },
#undef P
	{ "domain", CONF_IN_ADDRESS_LIST, T(host), AT(conf_processor, domains), NULL, MILTER | MTA, REPEAT, .help = "all mail for this domain (the complete name). One in UTF-8 is not the same as its form with xn--, which recipients mostly have: give both" },
	{ "address", CONF_IN_ADDRESS_LIST, T(address_or_regex), AT(conf_processor, addresses), NULL, MILTER, REPEAT, .help = "mail for this address, or those that match" },
	{ "address-file", CONF_IN_ADDRESS_LIST, T(address_file), AT(conf_processor, addresses), NULL, MILTER, REPEAT, .help = "file with an address on each line; a local part alone is meant in relay-domains and host-names" },
	{ "body-pattern-file", CONF_IN_EMAIL_PATTERNS, T(path), AT(conf_processor, body_pattern_file), NULL, UPLOADER, 0, .help = "patterns for reports of no standard form, a line each: /PCRE/ with named groups (rcpt, orig, status, diag, ...)" },
	{ "log-match-info", CONF_IN_EMAIL_PATTERNS, T(bool), AT(conf_processor, log_match_info), "no", UPLOADER, 0, .help = "name the pattern that matched in the report's log line" },
	{ "password", CONF_IN_SMTP_USER, T(secret), AT(conf_smtp_user, password), NULL, MTA, SECRET, .help = "password for AUTH" },
	{ "authentication-method", CONF_IN_SMTP_USER, T(word), TEXT_ONLY, "password", MTA, 0, .words = method_words, .help = "how the user proves who it is" },
	{ "source", CONF_IN_SMTP_USER, T(name), AT(conf_smtp_user, source), NULL, MILTER | MTA, 0, .refers = CONF_TO_SOURCE, .help = "the <source> that applies to this user" },
#define M CONF_IN_MILTER
	{ "socket", M, T(socket), AT(conf_milter, socket), "unix:/var/spool/postfix/signalpost/milter.sock", MILTER | MTA, 0, .help = "where the MTA talks to the milter" },
	{ "group", M, T(user), AT(conf_milter, group), "postfix", MILTER, 0, .help = "group of the socket" },
	{ "socket-mode", M, T(mode), AT(conf_milter, socket_mode), "0660", MILTER, 0, .help = "mode of the socket" },
	{ "user", M, T(user), AT(conf_milter, user), "signalpost", MILTER, 0, .help = "user to run as when started by root; \"\" stays root" },
	{ "pid-file", M, T(path), AT(conf_milter, pid_file), NULL, MILTER, 0, .help = "file with the process id" },
	{ "on-error", M, T(word), AT(conf_milter, on_error), "tempfail", MILTER | MTA, 0, .words = on_error_words, .help = "what becomes of mail when we fail: the sender tries again, or it passes unchanged (reports always wait)" },
	{ "max-message-size", M, T(size), AT(conf_milter, max_message_size), "25M", MILTER, 0, 1024, 1ULL << 30, .help = "beyond it nothing in the body is looked at or edited" },
	{ "max-header-size", M, T(size), AT(conf_milter, max_header_size), "1M", MILTER, 0, 1024, 64ULL << 20, .help = "bytes of headers beyond which nothing is edited" },
	{ "max-recipients", M, T(count), AT(conf_milter, max_recipients), "1000", MILTER, 0, 1, 100000, .help = "recipients of a transaction; more get 452" },
	{ "timeout", M, T(time), AT(conf_milter, timeout_s), "2h10s", MILTER, 0, 10, 604800, .help = "silence of the MTA after which a session is dropped" },
	{ "reload", M, T(bool), AT(conf_milter, reload), "yes", MILTER, 0, .help = "read the configuration again on SIGUSR1" },
	{ "return-path-id", M, T(bool), AT(conf_milter, return_path_id), "no", MILTER, 0, .help = "with verp-default: the sealed message id takes the recipient's place" },
#undef M
	{ "directory", CONF_IN_SPOOL, T(path), AT(conf_spool, directory), "/var/spool/signalpost", MILTER | UPLOADER | TRACKER, 0, .help = "where events and reports wait" },
	{ "segment-size", CONF_IN_SPOOL, T(size), AT(conf_spool, segment_size), "4500000", MILTER | UPLOADER | TRACKER, 0, 65536, 4500000, .help = "close a segment at this size" },
	{ "segment-age", CONF_IN_SPOOL, T(time), AT(conf_spool, segment_age_s), "10s", MILTER | UPLOADER | TRACKER, 0, 1, 3600, .help = "or when its first event is this old" },
	{ "spool-sync", CONF_IN_SPOOL, T(bool), AT(conf_spool, sync), "yes", MILTER | UPLOADER | TRACKER, 0, .help = "answer only once events are on disk; no: faster, and what was not yet written is lost when the power goes" },
	{ "rejected-max-size", CONF_IN_SPOOL, T(size), AT(conf_spool, rejected_max_size), "256M", UPLOADER, 0, .help = "delete the oldest of rejected/ when it has more; 0: never" },
	{ "rejected-max-files", CONF_IN_SPOOL, T(count), AT(conf_spool, rejected_max_files), "10000", UPLOADER, 0, .help = "or more than so many files, reasons not counted; 0: never" },
	{ "rejected-max-age", CONF_IN_SPOOL, T(time), AT(conf_spool, rejected_max_age_s), "30d", UPLOADER, 0, .help = "or is older; 0: never" },
	{ "deliver-only", CONF_IN_SPOOL, T(bool), TEXT_ONLY, NULL, NOTHING, 0, .help = "PowerMTA's queue" },
	{ "directory", CONF_IN_TOKEN_KEYS, T(path), AT(conf_token_keys, directory), "/etc/signalpost/keys", MILTER | UPLOADER | TRACKER, 0, .help = "where the keys are that seal ids and links" },
#define C CONF_IN_COLLECTOR
	{ "listen", C, T(listen), AT(conf_collector, listen), "127.0.0.1:8460", COLLECTOR, 0, .help = "where batches come in" },
	{ "api-key", C, T(api_key), AT(conf_collector, api_keys), "<signals> api-key", COLLECTOR, REPEAT | SECRET | COMPUTED, .help = "key that senders must have; several may be valid" },
	{ "database", C, T(path), AT(conf_collector, database), "/var/lib/signalpost/collector.db", COLLECTOR, 0, .help = "SQLite file" },
	{ "user", C, T(user), AT(conf_collector, user), "signalpost-collector", COLLECTOR, 0, .help = "user to run as when started by root" },
	{ "max-body", C, T(size), AT(conf_collector, max_body), "5000000", COLLECTOR, 0, 1024, 1ULL << 30, .help = "bytes of a request" },
	{ "max-events", C, T(size), AT(conf_collector, max_events), "100M", COLLECTOR, 0, 1024, 4ULL << 30, .help = "bytes of a batch when it is unpacked" },
	{ "retention", C, T(time), AT(conf_collector, retention_s), "10d", COLLECTOR, 0, 60, 3162240000ULL, .help = "how long events are kept" },
#undef C
#define K CONF_IN_TRACKER
	{ "listen", K, T(listen), AT(conf_tracker, listen), "127.0.0.1:8461", TRACKER, REPEAT | COMPUTED, .help = "where readers' requests come in, or those of a proxy" },
	{ "trusted-proxy", K, T(network), AT(conf_tracker, n_trusted_proxies), NULL, TRACKER, REPEAT, .help = "address or network of proxies whose X-Forwarded-For: is believed; others' is not looked at" },
	{ "link-expiry", K, T(time_or_never), AT(conf_tracker, link_expiry_s), "365d", TRACKER, 0, 60, 3162240000ULL, .help = "links of messages that are older are answered with 410" },
	{ "open-window", K, T(time), AT(conf_tracker, open_window_s), "10s", TRACKER, 0, 0, 86400, .help = "opens of one message that follow each other within this time count as one; 0: every one counts" },
	{ "tls-certificate", K, T(path), AT(conf_tracker, tls_certificate), NULL, TRACKER, 0, .help = "PEM file with the certificate and its chain: all listeners speak HTTPS" },
	{ "tls-key", K, T(path), AT(conf_tracker, tls_key), NULL, TRACKER, 0, .help = "PEM file with the certificate's key" },
	{ "max-connections", K, T(count), AT(conf_tracker, max_connections), "10000", TRACKER, 0, 16, 1000000, .help = "connections at once; more wait" },
	{ "timeout", K, T(time), AT(conf_tracker, timeout_s), "15s", TRACKER, 0, 1, 3600, .help = "silence after which a connection is closed" },
	{ "machine-readers", K, T(path), AT(conf_tracker, machine_readers), "/etc/signalpost/machine-readers.conf", TRACKER, COMPUTED, .help = "rules that know mail proxies, scanners and prefetchers; without this directive the file need not exist" },
	{ "user", K, T(user), AT(conf_tracker, user), "signalpost-tracker", TRACKER, 0, .help = "user to run as when started by root" },
#undef K
#define L CONF_IN_MAIL_LOG
	{ "file", L, T(path), AT(conf_mail_log, files), NULL, UPLOADER, REPEAT, .help = "log file of the MTA, followed through its rotation" },
	{ "journal", L, T(bool), AT(conf_mail_log, journal), "no", UPLOADER, 0, .help = "read what the MTA says to systemd's journal" },
	{ "mta", L, T(word), AT(conf_mail_log, mta), "auto", UPLOADER, 0, .words = mta_words, .help = "whose lines count; auto: Postfix's and sendmail's, as each line shows" },
	{ "time-zone", L, T(word_bool), AT(conf_mail_log, utc), "local", UPLOADER, 0, .words = zone_words, .help = "of time stamps that name none" },
	{ "index", L, T(path), AT(conf_mail_log, index), "index.db in the spool's directory", UPLOADER, COMPUTED, .help = "SQLite file with what the milter knew of each message" },
	{ "index-age", L, T(time), AT(conf_mail_log, index_age_s), "14d", UPLOADER, 0, 3600, 31622400, .help = "how long messages are kept there" },
	{ "index-size", L, T(size), AT(conf_mail_log, index_size), "8000M", UPLOADER, 0, 1 << 20, 1ULL << 44, .help = "size beyond which the oldest messages are forgotten before that" },
	{ "wait-for-message", L, T(time), AT(conf_mail_log, wait_s), "1m", UPLOADER, 0, 1, 86400, .help = "how long a line about unknown mail may wait for the milter's events about it; half a minute more than segment-age at least" },
	{ "unknown-after", L, T(time), AT(conf_mail_log, unknown_after_s), "6d", UPLOADER, 0, 60, 31622400, .help = "count a recipient as lost sight of when nothing final has been logged for so long; more than the queue's lifetime" },
#undef L
	{ "mail-from", CONF_IN_PATTERN_LIST, T(category), TEXT_ONLY, NULL, MILTER, REPEAT | LATER, .help = "/REGEX/ virtual-mta=NAME, by MAIL FROM" },
	{ "rcpt-to", CONF_IN_PATTERN_LIST, T(category), TEXT_ONLY, NULL, MILTER, REPEAT | LATER, .help = "/REGEX/ virtual-mta=NAME, by the recipient" },
	{ "header", CONF_IN_PATTERN_LIST, T(category), TEXT_ONLY, NULL, MILTER, REPEAT | LATER, .help = "NAME /REGEX/ virtual-mta=NAME, by a header" },
	{ "", CONF_IN_BOUNCE_CATEGORIES, T(bounce_category), AT(conf_bounce_categories, n), NULL, UPLOADER, REPEAT | PATTERN, .help = "bounces whose status and text match are of this category; the first match counts" },
#define I CONF_IN_INBOUND
	{ "onward-relay", I, T(listen), AT(conf_inbound, onward_relay), "the first smtp-listener that is not 465 or 587, on this host", UPLOADER | MILTER | MTA, COMPUTED, .help = "where mail goes that is delivered or forwarded; a listener of the MTA that asks the milter" },
	{ "onward-age", I, T(time), AT(conf_inbound, onward_age_s), "5d", UPLOADER, 0, 60, 31622400, .help = "how long that is tried before the mail goes to rejected/" },
	{ "dns-resolver", I, T(listen), AT(conf_inbound, dns_resolver), "the first in /etc/resolv.conf", UPLOADER, COMPUTED, .help = "name server that is asked for the DKIM keys of reports" },
	{ "dns-file", I, T(path), AT(conf_inbound, dns_file), NULL, UPLOADER, 0, .help = "DKIM keys of reports from this file instead of DNS: lines of SELECTOR._domainkey.DOMAIN and the text of its record" },
#undef I
#define A CONF_IN_ACCT_FILE
	{ "records", A, T(list), TEXT_ONLY, NULL, NOTHING, 0, .help = "types of records" },
	{ "record-fields", A, T(any), TEXT_ONLY, NULL, NOTHING, REPEAT, .help = "fields of a type" },
	{ "map-header-to-field", A, T(any), TEXT_ONLY, NULL, NOTHING, REPEAT, .help = "a header as a field" },
	{ "move-to", A, T(text), TEXT_ONLY, NULL, NOTHING, 0, .help = "where finished files go" },
	{ "move-interval", A, T(time), TEXT_ONLY, NULL, NOTHING, 0, .help = "time after which a file is finished" },
	{ "max-size", A, T(size_or_unlimited), TEXT_ONLY, NULL, NOTHING, 0, .help = "size at which a file is finished" },
	{ "delete-after", A, T(time_or_never), TEXT_ONLY, NULL, NOTHING, 0, .help = "how long files are kept" },
	{ "world-readable", A, T(bool), TEXT_ONLY, NULL, NOTHING, 0, .help = "mode of the files" },
	{ "sync", A, T(bool), TEXT_ONLY, NULL, NOTHING, 0, .help = "write through to disk" },
	{ "privacy-policy", A, T(word), TEXT_ONLY, NULL, NOTHING, 0, .words = privacy_words, .help = "recipients in the records" },
	{ "user-string", A, T(text), TEXT_ONLY, NULL, NOTHING, 0, .help = "a text in each record" },
#undef A
	{ "reply", CONF_IN_SMTP_PATTERNS, T(any), TEXT_ONLY, NULL, NOTHING, REPEAT, .help = "/REGEX/ and what PowerMTA's queue did when a reply matched" },
};
/* clang-format on */
const size_t conf_n_rows = COUNT(conf_rows);

/* ---- blocks ---- */

#define IN(scope) (1U << CONF_IN_##scope)

/* clang-format off */
const struct conf_tag conf_tags[] = {
	{ "source", CONF_IN_SOURCE, CONF_TAG_SOURCE, IN(GLOBAL), sizeof(struct conf_source), false, false, MILTER | MTA, 0, "what applies to mail from an address or network (0/0: all, local mail too), from those that a listener or user names, {auth}: all who authenticated, {pickup}: mail submitted on this host. All that match are merged: networks by prefix length, the listener's, {pickup}, {auth}, the user's; the later win" },
	{ "rewrite-list", CONF_IN_REWRITE_LIST, CONF_TAG_NAME, IN(GLOBAL), sizeof(struct conf_rewrite_list), false, true, MILTER, 0, "rules that rewrite MAIL FROM and From:" },
	{ "domain", CONF_IN_DOMAIN, CONF_TAG_DOMAIN, IN(GLOBAL) | IN(VMTA) | IN(POOL), sizeof(struct conf_domain), false, false, MILTER | MTA, 0, "settings for recipients in these domains. A virtual MTA's come before a pool's before the global ones, and of these the more specific pattern's" },
	{ "domain-key-list", CONF_IN_KEY_LIST, CONF_TAG_NAME, IN(GLOBAL), sizeof(struct conf_domain_keys), false, true, MILTER, 0, "DKIM keys that several virtual MTAs use" },
	{ "signals", CONF_IN_SIGNALS, CONF_TAG_NOTHING, IN(GLOBAL), sizeof(struct conf_signals), false, false, MILTER | UPLOADER, 0, "events and where they go" },
	{ "sparkpost-analytics", CONF_IN_SIGNALS, CONF_TAG_NOTHING, IN(GLOBAL), sizeof(struct conf_signals), false, false, MILTER | UPLOADER, 0, "old name of <signals>" },
	{ "sink", CONF_IN_SINK, CONF_TAG_NAME, IN(GLOBAL), sizeof(struct conf_sink), false, true, UPLOADER, 0, "one more place where events go, beside upload-url, which is the sink of the name signals. Each has its own cursor: one that is slow or dead doesn't hold up the others" },
	{ "signals-filter", CONF_IN_FILTER, CONF_TAG_NAME, IN(GLOBAL), sizeof(struct conf_signals_filter), false, true, MILTER, 0, "for enable-signals: on or off by the sender's domain" },
	{ "virtual-mta", CONF_IN_VMTA, CONF_TAG_NAME, IN(GLOBAL), sizeof(struct conf_vmta), false, true, MILTER | MTA, 0, "a way out: source address, keys, settings" },
	{ "virtual-mta-pool", CONF_IN_POOL, CONF_TAG_NAME, IN(GLOBAL), sizeof(struct conf_pool), false, true, MILTER | MTA, 0, "several virtual MTAs that are used in turn" },
	{ "bounce-processor", CONF_IN_PROCESSOR, CONF_TAG_NOTHING, IN(GLOBAL), sizeof(struct conf_processor), false, false, MILTER | UPLOADER, 0, "what to do with bounces that come back as mail" },
	{ "feedback-loop-processor", CONF_IN_PROCESSOR, CONF_TAG_NOTHING, IN(GLOBAL), sizeof(struct conf_processor), false, false, MILTER | UPLOADER, 0, "what to do with feedback reports" },
	{ "address-list", CONF_IN_ADDRESS_LIST, CONF_TAG_NOTHING, IN(PROCESSOR), sizeof(struct conf_processor), false, false, MILTER, 0, "which recipients' mail it is" },
	{ "email-patterns", CONF_IN_EMAIL_PATTERNS, CONF_TAG_NOTHING, IN(PROCESSOR), sizeof(struct conf_processor), false, false, UPLOADER, 0, "how to read reports of no standard form" },
	{ "smtp-user", CONF_IN_SMTP_USER, CONF_TAG_NAME, IN(GLOBAL), sizeof(struct conf_smtp_user), true, true, MILTER | MTA, 0, "who may authenticate" },
	{ "milter", CONF_IN_MILTER, CONF_TAG_NOTHING, IN(GLOBAL), sizeof(struct conf_milter), false, false, MILTER, 0, "signalpost-milter's own settings" },
	{ "spool", CONF_IN_SPOOL, CONF_TAG_PATH_IF_ANY, IN(GLOBAL), sizeof(struct conf_spool), false, false, MILTER | UPLOADER | TRACKER, 0, "what is on disk; <spool PATH> is <spool> with directory PATH" },
	{ "token-keys", CONF_IN_TOKEN_KEYS, CONF_TAG_NOTHING, IN(GLOBAL), sizeof(struct conf_token_keys), false, false, MILTER | UPLOADER | TRACKER, 0, "the keys that seal ids and links" },
	{ "collector", CONF_IN_COLLECTOR, CONF_TAG_NOTHING, IN(GLOBAL), sizeof(struct conf_collector), false, false, COLLECTOR, 0, "signalpost-collector's own settings" },
	{ "tracker", CONF_IN_TRACKER, CONF_TAG_NOTHING, IN(GLOBAL), sizeof(struct conf_tracker), false, false, TRACKER, 0, "signalpost-tracker's own settings" },
	{ "mail-log", CONF_IN_MAIL_LOG, CONF_TAG_NOTHING, IN(GLOBAL), sizeof(struct conf_mail_log), false, false, UPLOADER, 0, "where the MTA logs, from which delivery, bounce and delay events are made. Without this block there are none" },
	{ "pattern-list", CONF_IN_PATTERN_LIST, CONF_TAG_NAME, IN(GLOBAL), 1, false, true, MILTER, LATER, "choice of the virtual MTA by patterns" },
	{ "bounce-category-patterns", CONF_IN_BOUNCE_CATEGORIES, CONF_TAG_NOTHING, IN(GLOBAL), sizeof(struct conf_bounce_categories), false, false, UPLOADER, 0, "categories of bounces: lines of /REGEX/ CATEGORY" },
	{ "inbound", CONF_IN_INBOUND, CONF_TAG_NOTHING, IN(GLOBAL), sizeof(struct conf_inbound), false, false, UPLOADER, 0, "what becomes of mail for the processors" },
	{ "acct-file", CONF_IN_ACCT_FILE, CONF_TAG_COMMAND, IN(GLOBAL), 1, false, false, NOTHING, 0, "PowerMTA's accounting files" },
	{ "smtp-pattern-list", CONF_IN_SMTP_PATTERNS, CONF_TAG_NAME, IN(GLOBAL), 1, false, true, NOTHING, 0, "replies that changed what PowerMTA's queue did; the MTA backs off by itself" },
};
/* clang-format on */
const size_t conf_n_tags = COUNT(conf_tags);

const struct conf_row *
conf_rows_of(enum conf_scope scope, size_t *n)
{
	size_t first = 0;

	while (first < conf_n_rows && conf_rows[first].scope != scope)
		first++;
	*n = 0;
	while (first + *n < conf_n_rows && conf_rows[first + *n].scope == scope)
		++*n;
	return &conf_rows[first];
}

static bool
row_has_name(const struct conf_row *row, struct slice name)
{
	struct slice own = slice_str(row->name);

	if ((row->flags & CONF_ROW_FAMILY) == 0)
		return slice_eqi(own, name);
	own.len--;
	return name.len > own.len && slice_startsi(name, own);
}

const struct conf_row *
conf_row_find(enum conf_scope scope, struct slice name)
{
	size_t n;
	const struct conf_row *rows = conf_rows_of(scope, &n);

	/* A family comes behind those of its members that have a row of their own. */
	for (size_t i = 0; i < n; i++)
		if (row_has_name(&rows[i], name))
			return &rows[i];
	return NULL;
}

const struct conf_tag *
conf_tag_find(enum conf_scope parent, struct slice name)
{
	for (size_t i = 0; i < conf_n_tags; i++)
		if ((conf_tags[i].parents & (1U << parent)) != 0 &&
		    slice_eqi(slice_str(conf_tags[i].name), name))
			return &conf_tags[i];
	return NULL;
}

/* ---- what was wrong with a name ---- */

static void
add_place(struct buf *out, size_t n, const char *tag)
{
	if (n > 0)
		buf_adds(out, " or ");
	if (tag == NULL)
		buf_adds(out, "at the top level");
	else
		buf_printf(out, "in <%s>", tag);
}

/* All places of a scope: "in <bounce-processor> or in <feedback-loop-processor>". */
static size_t
add_places(struct buf *out, size_t n, enum conf_scope scope)
{
	if (scope == CONF_IN_GLOBAL)
		add_place(out, n++, NULL);
	for (size_t i = 0; i < conf_n_tags; i++)
		if (conf_tags[i].scope == scope)
			add_place(out, n++, conf_tags[i].name);
	return n;
}

static void
add_not_here(struct buf *out, const struct conf_tag *in)
{
	buf_adds(out, ", not ");
	add_place(out, 0, in == NULL ? NULL : in->name);
}

void
conf_row_explain(
    const struct conf_tag *in, enum conf_scope scope, struct slice name, struct buf *out)
{
	size_t places = 0, rows, best = SIZE_MAX;
	const struct conf_row *row = conf_rows_of(scope, &rows);
	const char *near = NULL;

	buf_printf(out, "'%.*s'", SLICE_FMT(slice_head(name, 64)));
	for (unsigned s = 0; s < CONF_N_SCOPES; s++)
		if (conf_row_find((enum conf_scope)s, name) != NULL) {
			if (places == 0)
				buf_adds(out, " belongs ");
			places = add_places(out, places, (enum conf_scope)s);
		}
	if (places > 0) {
		add_not_here(out, in);
		return;
	}
	buf_adds(out, " is not a directive");
	for (size_t i = 0; i < rows; i++) {
		size_t d = conf_names_distance(name, slice_str(row[i].name));

		if (d < best && (row[i].flags & (CONF_ROW_FAMILY | CONF_ROW_PATTERN)) == 0) {
			best = d;
			near = row[i].name;
		}
	}
	if (near != NULL && conf_names_is_near(name, best))
		buf_printf(out, " (did you mean '%s'?)", near);
}

void
conf_tag_explain(
    const struct conf_tag *in, enum conf_scope scope, struct slice name, struct buf *out)
{
	size_t places = 0, best = SIZE_MAX;
	const char *near = NULL;

	buf_printf(out, "<%.*s>", SLICE_FMT(slice_head(name, 64)));
	for (size_t i = 0; i < conf_n_tags; i++) {
		size_t d = conf_names_distance(name, slice_str(conf_tags[i].name));

		if ((conf_tags[i].parents & (1U << scope)) != 0 && d < best) {
			best = d;
			near = conf_tags[i].name;
		}
		if (d != 0)
			continue;
		buf_adds(out, " belongs ");
		for (unsigned s = 0; s < CONF_N_SCOPES; s++)
			if ((conf_tags[i].parents & (1U << s)) != 0)
				places = add_places(out, places, (enum conf_scope)s);
		add_not_here(out, in);
		return;
	}
	buf_adds(out, " is not a block");
	if (near != NULL && conf_names_is_near(name, best))
		buf_printf(out, " (did you mean <%s>?)", near);
}

void
conf_actors_print(unsigned actors, struct buf *out)
{
	static const char *const names[] = { "milter", "uploader", "collector", "tracker", "MTA" };
	size_t n = 0;

	for (size_t i = 0; i < COUNT(names); i++)
		if ((actors & (1U << i)) != 0)
			buf_printf(out, "%s%s", n++ > 0 ? ", " : "", names[i]);
	if (n == 0)
		buf_adds(out, "nobody");
}
