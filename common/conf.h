/*
 * conf.h - the configuration, in PowerMTA's syntax.
 *
 * One table (conf_table.c) knows every directive: name, scopes, type, default,
 * who acts on it, one line of help. The parser, `signalpost check`,
 * `signalpost directives` and signalpost.conf(5) are driven by it.
 *
 * A struct conf is immutable once it is loaded and may be read by any number of
 * threads; everything that the structs below point to lives as long as it does.
 * A pointer that is NULL and a list with n == 0 mean "not given" where no
 * default is named. Texts are NUL-terminated and hold no control characters.
 */
#ifndef COMMON_CONF_H
#define COMMON_CONF_H

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/log.h"
#include "common/pattern.h"
#include "common/slice.h"

#define CONF_DEFAULT_FILE "/etc/signalpost/signalpost.conf"
#define CONF_UNLIMITED	  UINT64_MAX /* sizes, counts and times: "unlimited", "never" */

struct conf_at { /* where a thing was said */
	const char *file;
	unsigned line; /* 0: a default */
};

struct conf_texts {
	size_t n;
	const char **v;
};

/* ---- rewrite lists ---- */

struct conf_mail_from { /* mail-from SRC DST; a part that is NULL stands for '*' */
	struct conf_at at;
	bool from_null, to_null; /* "<>" */
	const char *from_local, *from_domain;
	const char *to_local, *to_domain;
};

struct conf_from_domain { /* from-domain PATTERN DOMAIN: rewrites the From: header */
	struct conf_at at;
	struct domain_pattern from;
	const char *to;
};

struct conf_rewrite_list {
	const char *name;
	struct conf_at at;
	size_t n_mail_from;
	struct conf_mail_from *mail_from;
	size_t n_from_domain;
	struct conf_from_domain *from_domain;
};

/* ---- <source X> ---- */

enum conf_source_kind {
	CONF_SOURCE_NET,	   /* an address or network */
	CONF_SOURCE_NAME,	   /* named by smtp-listener or smtp-user */
	CONF_SOURCE_AUTH,	   /* {auth} */
	CONF_SOURCE_PICKUP,	   /* {pickup}: locally submitted mail */
	CONF_SOURCE_TRANSMISSIONS, /* {transmissions-api}: accepted, never applies */
};

enum conf_vmta_choice { CONF_VMTA_NONE, CONF_VMTA_NAMED, CONF_VMTA_BY_SOURCE_IP };

#define CONF_GIVEN_WORDS 2
struct conf_source {
	const char *name;
	struct conf_at at;
	enum conf_source_kind kind;
	struct cidr net;
	size_t order; /* among those of the file */
	uint64_t given[CONF_GIVEN_WORDS]; /* which members were said here, by row of the table */

	bool always_allow_relaying, require_auth, allow_auth, smtp_service;
	bool allow_unencrypted_plain_auth, allow_starttls, require_starttls_before_auth;
	uint64_t max_message_size; /* bytes, or CONF_UNLIMITED */
	bool log_connections, log_commands, log_data;
	bool add_date_header, add_message_id_header, add_received_header;
	bool verp_default;
	enum conf_vmta_choice default_vmta_choice;
	const char *default_vmta; /* a virtual MTA or a pool */
	bool process_x_job, retain_x_job;
	const char *jobid_header; /* alternate header; NULL: none */
	const char *jobid_prefix; /* "{auth}" as written; NULL: none */
	bool process_x_virtual_mta, retain_x_virtual_mta;
	bool process_x_envid;
	bool process_x_msys_api; /* ours; default true */
	bool check_dkim_inbound;
	const struct conf_rewrite_list *rewrite_list;
	uint64_t auth_failures; /* smtp-max-auth-failure-rate N/..., or CONF_UNLIMITED */
	uint64_t auth_failures_per_s;
};

/* ---- DKIM ---- */

struct conf_domain_key { /* domain-key SELECTOR,DOMAIN,FILE */
	struct conf_at at;
	const char *selector;
	const char *domain; /* NULL: '*' */
	const char *file;
};

struct conf_domain_keys {
	size_t n;
	struct conf_domain_key *v;
};

enum conf_dkim_identity {
	CONF_DKIM_SENDER_OR_FROM,
	CONF_DKIM_STRICT_FROM,
	CONF_DKIM_FIXED, /* an address or @domain, in dkim_identity_text */
};
enum conf_dkim_sign { CONF_DKIM_NO, CONF_DKIM_YES, CONF_DKIM_IF_OPTIONS };
enum conf_dkim_algorithms { CONF_DKIM_ALL_KEYS, CONF_DKIM_RSA_ONLY, CONF_DKIM_ED25519_ONLY };

/* ---- <domain PATTERN> in a virtual MTA, a pool, or global ---- */

struct conf_domain {
	struct domain_pattern pattern;
	struct conf_at at;
	uint64_t given[CONF_GIVEN_WORDS];

	enum conf_dkim_sign dkim_sign;
	enum conf_dkim_identity dkim_identity;
	const char *dkim_identity_text;
	const char *dkim_identity_fallback;
	enum conf_dkim_algorithms dkim_algorithm; /* default: every algorithm that a key of the domain has */
	bool dkim_body_simple, dkim_headers_simple;
	bool dkim_add_timestamp, dkim_add_body_limit;
	uint64_t dkim_expire_after_s;	/* CONF_UNLIMITED: never */
	struct conf_texts dkim_headers; /* header names, beside the standard list */
	struct conf_texts dkim_disallow_adding_headers; /* oversigned; default From */

	uint64_t max_smtp_out;	 /* connections, or CONF_UNLIMITED */
	uint64_t bounce_after_s; /* default 4d12h */
	uint64_t retry_after_s;	 /* default 10m */
};

/* ---- signals ---- */

enum conf_enable { CONF_SIGNALS_UNSAID, CONF_SIGNALS_OFF, CONF_SIGNALS_ON, CONF_SIGNALS_FILTER };

struct conf_signals_filter;

struct conf_enable_signals { /* enable-signals {true[,subaccount=N] | false | FILTER} */
	enum conf_enable enable;
	bool has_subaccount;
	uint64_t subaccount;
	const struct conf_signals_filter *filter;
};

struct conf_sender_rule { /* sender-or-from PATTERN {enable-signals[,subaccount=N] | disable-signals} */
	struct conf_at at;
	struct domain_pattern pattern;
	bool enable, has_subaccount;
	uint64_t subaccount;
};

struct conf_signals_filter {
	const char *name;
	struct conf_at at;
	size_t n;
	struct conf_sender_rule *rules;
};

enum conf_tracking { CONF_TRACKING_OFF, CONF_TRACKING_ON, CONF_TRACKING_SPARKPOST };

struct conf_signals { /* <signals>, old name <sparkpost-analytics> */
	bool given;   /* there is such a block */
	struct conf_at at;
	const char *api_key;
	const char *upload_url;
	bool log_verbose;
	uint64_t min_free_space; /* bytes; 0: never purge */
	enum conf_tracking engagement_tracking;
	uint64_t customer_id;
	bool track_text; /* ours: text/plain parts too, and SparkPost's [[data-msys-...]] marks; default no */
	const char *tracking_domain; /* "host" or "http[s]://host[:port]", as given; see conf_tracking_base() */
	const char *custom_message_id_header;
	bool process_subaccount_header, retain_subaccount_header;
	bool privacy_sha1;
	uint64_t upload_interval_s; /* ours; default 60 */
	uint64_t uploads;	    /* ours: batches on their way at once; default 4 */
	uint64_t max_event_age_s;   /* ours: or CONF_UNLIMITED; default 24h */
	const char *ca_file;	    /* ours: certificates to trust instead of the system's */
	bool confirm_batches;	    /* ours: ask later what became of each batch; default no */
	uint64_t confirm_window_s;  /* ours: for how long; default 1h */
};

/* ---- where events go beside <signals> ---- */

enum conf_sink_type { CONF_SINK_NONE, CONF_SINK_SPARKPOST, CONF_SINK_HTTP, CONF_SINK_FILE };

struct conf_sink { /* <sink NAME> */
	const char *name; /* never "signals", which is upload-url's */
	struct conf_at at;
	enum conf_sink_type type;
	bool required;		  /* segments wait for it; default yes */
	bool flat;		  /* one plain object a line, not {"msys":{...}}; default no */
	bool gzip;		  /* default yes */
	uint64_t max_event_age_s; /* older events are not sent; CONF_UNLIMITED but for SparkPost: 24h */

	/* sparkpost, http */
	const char *url;	   /* with {batch}, {segment}, {node}, {date} in path and query */
	const char *api_key;	   /* goes into Authorization:; NULL: none */
	const char *ca_file;	   /* NULL: the system's */
	struct conf_texts headers; /* "Name: value" */
	uint64_t uploads;	   /* batches on their way at once; default 4 */
	bool confirm_batches;	   /* sparkpost: ask later what became of each; default no */
	uint64_t confirm_window_s; /* for how long; default 1h */

	/* file */
	const char *directory;
	uint64_t max_size;     /* bytes of an archive as it is on disk; default 100M */
	uint64_t rotate_s;     /* age at which an archive is closed; default 1d */
	uint64_t keep_files;   /* closed archives, or CONF_UNLIMITED; default that */
	uint64_t keep_s;       /* age of archives, or CONF_UNLIMITED; default that */
};

/* ---- virtual MTAs and pools ---- */

struct conf_vmta {
	const char *name;
	struct conf_at at;
	const char *source_ip;	 /* smtp-source-host IP HOST; NULL: none */
	const char *source_host; /* the HELO name */
	struct conf_enable_signals signals;
	const struct conf_rewrite_list *rewrite_list;
	struct conf_domain_keys keys; /* domain-key, and those of domain-key-list */
	size_t n_domains;
	struct conf_domain *domains;
};

struct conf_pool {
	const char *name;
	struct conf_at at;
	size_t n_members;
	struct conf_vmta **members; /* one that is named twice is there twice */
	atomic_uint *turn;	    /* the only thing that changes after load: whose turn it is */
	struct conf_enable_signals signals;
	const struct conf_rewrite_list *rewrite_list;
	size_t n_domains;
	struct conf_domain *domains;
};

/* ---- inbound processors ---- */

struct conf_address { /* address ADDR or /REGEX/, relay-address likewise */
	struct conf_at at;
	const char *text;    /* lower case; NULL for a regex */
	struct regex *regex; /* NULL for a text */
};

struct conf_addresses {
	size_t n;
	struct conf_address *v;
};

struct conf_processor { /* <bounce-processor>, <feedback-loop-processor> */
	bool given;
	struct conf_at at;
	bool deliver_unmatched, deliver_matched;
	struct conf_texts forward_unmatched_to, forward_errors_to;
	struct conf_texts domains;	 /* address-list: domain DOM, lower case */
	struct conf_addresses addresses; /* address-list: address; and the lines of address-file, whole or local part */
	const char *body_pattern_file;
	bool log_match_info;
	bool require_authenticated; /* ours: reports without an aligned DKIM signature that passes make no event */
};

/*
 * <inbound>, ours: captured reports. What must go on goes to the relay by SMTP, from
 * the postmaster or <>, with a sealed X-Signalpost-Onward header (onward.h). The relay is a
 * listener of the MTA that asks the milter, which
 *   - lets our own host (conf_onward_client()) send to a conf_is_forward() address;
 *   - passes what comes from our own host with a seal that opens as it is, captures nothing of it;
 *   - drops what comes from elsewhere with a seal that opens: it has been forwarded back to us.
 */
struct conf_inbound {
	const char *onward_relay; /* IP:PORT; NULL: conf_onward_relay() finds it */
	uint64_t onward_age_s;    /* how long it is tried; default 5d */
	const char *dns_resolver; /* IP:PORT; NULL: the system's */
	const char *dns_file;     /* instead of DNS: lines "NAME TEXT"; NULL: none */
};

struct conf_bounce_category { /* a line of <bounce-category-patterns>: /REGEX/ CATEGORY */
	struct conf_at at;
	struct regex *regex;
	const char *category;
};

struct conf_bounce_categories {
	size_t n;
	struct conf_bounce_category *v;
};

#define CONF_BOUNCE_RULES "/etc/signalpost/bounce-rules"

/* ---- acted on by the MTA ---- */

struct conf_listener { /* smtp-listener IP:PORT [source=NAME] */
	struct conf_at at;
	const char *address; /* "0.0.0.0", "::", "127.0.0.1" */
	unsigned port;
	const char *source; /* NULL: none */
};

struct conf_smtp_user {
	const char *name;
	struct conf_at at;
	const char *password;
	const char *method; /* authentication-method; default "password" */
	const char *source; /* NULL: none */
};

/* ---- our own blocks ---- */

enum conf_on_error { CONF_TEMPFAIL, CONF_ACCEPT };

struct conf_milter { /* <milter> */
	const char *socket; /* unix:/path or inet:PORT@HOST; default unix:/var/spool/postfix/signalpost/milter.sock */
	const char *group;  /* of the socket; default postfix */
	unsigned socket_mode; /* default 0660 */
	const char *user;     /* to run as when started by root; default signalpost; "" stays root */
	const char *pid_file; /* NULL: none */
	enum conf_on_error on_error;
	uint64_t max_message_size; /* beyond it nothing in the body is looked at or edited; default 25M */
	uint64_t max_header_size;  /* bytes of headers beyond which nothing is edited; default 1M */
	uint64_t max_recipients;   /* a transaction; default 1000; more get 452 */
	uint64_t timeout_s;	   /* silence of the MTA; default 7210 */
	bool reload;		   /* SIGUSR1 reloads; default yes */
	bool return_path_id;	   /* with verp-default: the sealed message id takes the recipient's place; default no */
};

struct conf_spool { /* <spool>: directory, segment-size, segment-age, spool-sync */
	const char *directory;	  /* default /var/spool/signalpost */
	uint64_t segment_size;	  /* default 4500000, at most that */
	uint64_t segment_age_s;	  /* default 10 */
	bool sync;		  /* spool-sync; default yes */
	uint64_t rejected_max_size;  /* bytes in rejected/; default 256M; 0: no limit */
	uint64_t rejected_max_files; /* default 10000; 0: no limit */
	uint64_t rejected_max_age_s; /* default 30d; 0: no limit */
};

struct conf_token_keys { /* <token-keys> */
	const char *directory; /* default /etc/signalpost/keys */
};

struct conf_collector { /* <collector> */
	const char *listen; /* ADDRESS:PORT; default 127.0.0.1:8460 */
	struct conf_texts api_keys; /* accepted; none: <signals> api-key */
	const char *database; /* default /var/lib/signalpost/collector.db */
	const char *user;     /* default signalpost */
	uint64_t max_body;    /* bytes of a request; default 5000000 */
	uint64_t max_events;  /* decompressed bytes of a batch; default 100M */
	uint64_t retention_s; /* of events; default 10d */
};

struct conf_tracker { /* <tracker> */
	struct conf_at at;
	struct conf_texts listen; /* ADDRESS:PORT; none: 127.0.0.1:8461 */
	size_t n_trusted_proxies;
	struct cidr *trusted_proxies;
	uint64_t link_expiry_s; /* by the time of the message, or CONF_UNLIMITED; default 365d */
	uint64_t open_window_s; /* 0: every open counts; default 10 */
	const char *tls_certificate, *tls_key; /* PEM files; both, or both NULL: plain HTTP */
	uint64_t max_connections;     /* default 10000 */
	uint64_t timeout_s;	      /* of silence; default 15 */
	const char *machine_readers; /* NULL: CONF_MACHINE_READERS, if there is such a file */
	const char *user;	      /* default signalpost */
};

enum conf_mta { CONF_MTA_AUTO, CONF_MTA_POSTFIX, CONF_MTA_SENDMAIL };

struct conf_mail_log { /* <mail-log> */
	bool given; /* there is such a block */
	struct conf_at at;
	struct conf_texts files;
	bool journal;
	enum conf_mta mta;	  /* default CONF_MTA_AUTO */
	bool utc;		  /* stamps without a zone are UTC; default no: local time */
	const char *index;	  /* NULL: index.db in the spool's directory */
	uint64_t index_age_s;	  /* default 14d */
	uint64_t index_size;	  /* bytes; default 8000M */
	uint64_t wait_s;	  /* wait-for-message; default 1m */
	uint64_t unknown_after_s; /* default 6d */
};

#define CONF_TRACKER_LISTEN  "127.0.0.1:8461"
#define CONF_MACHINE_READERS "/etc/signalpost/machine-readers.conf"

/* ---- the whole ---- */

struct conf_warning {
	struct conf_at at;
	const char *text;
};

struct conf {
	const char *file;
	const char *log_file; /* NULL: none */
	enum log_level log_level; /* the last that is logged; default info */
	const char *node_name; /* in every event id; default: the host's name */
	const char *postmaster;
	struct conf_texts host_names;
	size_t n_listeners;
	struct conf_listener *listeners;
	size_t n_sources; /* generic before specific: networks by prefix length, then names, then {auth} */
	struct conf_source *sources;
	size_t n_rewrite_lists;
	struct conf_rewrite_list *rewrite_lists;
	size_t n_relay_domains;
	struct domain_pattern *relay_domains;
	struct conf_addresses relay_addresses;
	bool relay_debug;
	const char *tls_certificate, *tls_certificate_password;
	bool tls_v1, tls_v1_1, tls_v1_2, tls_v1_3; /* defaults no no yes yes */
	size_t n_smtp_users;
	struct conf_smtp_user *smtp_users;
	struct conf_domain_keys keys;
	size_t n_domains;
	struct conf_domain *domains;
	struct conf_signals signals;
	size_t n_sinks;
	struct conf_sink *sinks;
	struct conf_enable_signals enable_signals;
	const struct conf_rewrite_list *rewrite_list; /* global */
	size_t n_filters;
	struct conf_signals_filter *filters;
	size_t n_vmtas;
	struct conf_vmta **vmtas;
	size_t n_pools;
	struct conf_pool *pools;
	struct conf_processor bounce, feedback;
	struct conf_inbound inbound;
	struct conf_bounce_categories bounce_categories;
	const char *bounce_rules; /* NULL: CONF_BOUNCE_RULES, if there is such a file */
	struct conf_milter milter;
	struct conf_spool spool;
	struct conf_token_keys token_keys;
	struct conf_collector collector;
	struct conf_tracker tracker;
	struct conf_mail_log mail_log;
	const char *tracking_base; /* conf_tracking_base() */
	size_t n_warnings; /* what was accepted with a remark; print or log each */
	struct conf_warning *warnings;
	struct conf_private *priv; /* memory, and what conf_print() needs */
};

/*
 * Read FILE and what it includes. NULL and *e, "FILE:LINE: DIRECTIVE: what was
 * expected", on the first error. conf_load_all() goes on after an error and
 * hands each to `report`; NULL if there was one.
 */
struct conf *conf_load(const char *file, struct err *e);
struct conf *conf_load_all(
    const char *file, void (*report)(void *arg, const char *text), void *arg, struct err *e);

/* The same from memory, for tests and fuzzing; `name` stands for the file in errors. No includes, no address files. */
struct conf *conf_parse(const char *name, struct slice text, struct err *e);
void conf_free(struct conf *c); /* NULL is fine */

/*
 * Write the effective configuration in its own syntax; read back, it gives the
 * same. With `verbose`, a comment behind each line says who acts on it and
 * whether it is a default. Secrets are written as they are only if `secrets`;
 * else as a comment (`# api-key not shown`).
 */
void conf_print(const struct conf *c, bool verbose, bool secrets, FILE *out);

/* All directives with scopes, type, default, actor and help, for people or (mdoc) for the manual page. */
void conf_print_directives(bool mdoc, FILE *out);

/* ---- looking things up ---- */

/*
 * What tracked links begin with: "https://track.example.com", no slash at its
 * end. Without tracking-domain it is https:// and the first host-name; NULL if
 * there is none either: then nothing can be tracked.
 */
const char *conf_tracking_base(const struct conf *c);

/* The listener of sendmail that local submissions come to: {pickup} applies. */
#define CONF_PICKUP_LISTENER "signalpost-pickup"

struct conf_peer { /* who talks to us */
	const struct sockaddr *addr; /* NULL: locally submitted, {pickup} applies */
	const char *listener_address; /* NULL: unknown */
	unsigned listener_port;	      /* 0: unknown */
	const char *auth_user;	      /* NULL: not authenticated; "user" or "user@realm" */
};

/* Merge of all sources that apply, generic to specific, over the defaults. Pointers are the conf's. */
void conf_source_for(const struct conf *c, const struct conf_peer *peer, struct conf_source *out);

#define CONF_AUTH_WINDOW_S 86400 /* of "smtp-max-auth-failure-rate 0", which names none */

/*
 * smtp-max-auth-failure-rate: a client that has failed `*failures` times (1 at
 * least) in `*window_s` seconds is refused until they are over. False: unlimited.
 */
bool conf_auth_limit(const struct conf_source *s, uint64_t *failures, uint64_t *window_s);

/* The windows that the sources name, each once; `out` has room for n_sources. How many. */
size_t conf_auth_windows(const struct conf *c, uint64_t *out);

enum conf_relay { CONF_RELAY_NO, CONF_RELAY_YES, CONF_RELAY_BOUNCE, CONF_RELAY_FEEDBACK };

/*
 * Is this recipient ours without relaying rights: relay-domain, relay-address,
 * host-name (YES), or in a processor's address list (BOUNCE, FEEDBACK, which come first)?
 * Without a domain only "postmaster" is ours. A recipient that asks to be passed on
 * ("user%elsewhere@ours", "elsewhere!user@ours") is not, since MTAs obey that.
 */
enum conf_relay conf_relay_for(const struct conf *c, struct slice rcpt);

/* The smtp-user behind an authenticated name, "user" or "user@realm" as the MTA gives it, or NULL. */
/*
 * Where what goes on is sent: onward-relay, else the first smtp-listener that is no submission
 * port's (465, 587), on this host's own address; else 127.0.0.1:25.
 */
void conf_onward_relay(const struct conf *c, struct buf *address, unsigned *port);
/* May this client be our uploader: a loopback address, or the relay's own? */
bool conf_onward_client(const struct conf *c, const struct sockaddr *client);
/* Is this an address of forward-unmatched-to or forward-errors-to? */
bool conf_is_forward(const struct conf *c, struct slice rcpt);

const struct conf_smtp_user *conf_user_find(const struct conf *c, const char *auth_user);

const struct conf_vmta *conf_vmta_find(const struct conf *c, const char *name);
const struct conf_pool *conf_pool_find(const struct conf *c, const char *name);
/* The member whose turn it is; thread-safe. NULL for an empty pool. */
const struct conf_vmta *conf_pool_next(const struct conf_pool *p);

/* Domain settings for a recipient's domain: virtual MTA over pool over global, most specific pattern first, over the defaults. Either may be NULL. */
void conf_domain_for(const struct conf *c, const struct conf_vmta *v, const struct conf_pool *p,
    struct slice rcpt_domain, struct conf_domain *out);

/* Signals on? Virtual MTA over pool over global; a filter is asked with the domain of Sender or From. */
bool conf_signals_for(const struct conf *c, const struct conf_vmta *v, const struct conf_pool *p,
    struct slice sender_domain, bool *has_subaccount, uint64_t *subaccount);

/*
 * New MAIL FROM by a rewrite list. The rule with the most exact source wins,
 * whatever the order: a@b, then a@*, then *@b, then *@*; "<>" only by "<>"
 * rules. True: *out (cleared first) has it ("" for <>).
 */
bool conf_rewrite_mail_from(const struct conf_rewrite_list *list, struct slice from, struct buf *out);

/* New domain for the From: header, or NULL; the most specific pattern wins. */
const char *conf_rewrite_from_domain(const struct conf_rewrite_list *list, struct slice domain);

#endif
