/* The configuration as a text: grammar, types, messages, what is printed and read back. */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/conf_read.h"
#include "common/conf_table.h"
#include "common/conf_value.h"
#include "common/file.h"
#include "t/tap.h"

#define KEY "0123456789abcdef0123456789abcdef01234567"

static char *
printed(const struct conf *c, bool verbose, bool secrets)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	conf_print(c, verbose, secrets, f);
	fclose(f);
	return text;
}

/* What is printed, read and printed again is the same; comments behind it change nothing. */
static void
round_trip(const char *name, const struct conf *c)
{
	char *once = printed(c, false, true), *verbose = printed(c, true, true), *twice, *thrice;
	struct err e = { .text = "" };
	struct conf *again = conf_parse("printed", slice_str(once), &e);
	struct conf *more = conf_parse("verbose", slice_str(verbose), &e);

	if (ok(again != NULL && more != NULL, "%s: read back: %s", name, e.text)) {
		twice = printed(again, false, true);
		thrice = printed(more, false, true);
		ok(strcmp(once, twice) == 0, "%s: the same again", name);
		ok(strcmp(once, thrice) == 0, "%s: the same again with comments", name);
		free(twice);
		free(thrice);
	}
	conf_free(again);
	conf_free(more);
	free(once);
	free(verbose);
}

static const char *
data_file(const char *name, char out[400])
{
	const char *dir = getenv("srcdir");

	snprintf(out, 400, "%s/t/data/conf/%s", dir == NULL ? "." : dir, name);
	return out;
}

static void
whole_files(void)
{
	static const char *const names[] = { "demo.conf", "relay.conf", "sink.conf",
		"everything.conf", "../../../etc/signalpost.conf" };
	char path[400];

	for (size_t i = 0; i < COUNT(names); i++) {
		struct err e = { .text = "" };
		struct conf *c = conf_load(data_file(names[i], path), &e);

		if (ok(c != NULL, "%s: %s", names[i], e.text))
			round_trip(names[i], c);
		conf_free(c);
	}
}

/* ---- what is stored ---- */

static void
stored(void)
{
	char path[400];
	struct err e = { .text = "" };
	struct conf *c = conf_load(data_file("everything.conf", path), &e);
	const struct conf_rewrite_list *l;
	const struct conf_pool *pool;
	const struct conf_vmta *one;

	if (!ok(c != NULL, "everything.conf %s", e.text))
		return;
	ok(c->host_names.n == 2 && strcmp(c->host_names.v[0], "mail.example.com") == 0,
	    "host-name");
	ok(strcmp(c->node_name, "node 1") == 0, "node-name");
	ok(c->n_listeners == 1 && strcmp(c->listeners[0].address, "192.0.2.1") == 0 &&
		c->listeners[0].port == 587 && strcmp(c->listeners[0].source, "inside") == 0,
	    "smtp-listener");
	ok(c->relay_addresses.n == 2 && c->relay_addresses.v[1].regex != NULL && c->relay_debug,
	    "relay");
	ok(c->n_relay_domains == 1 && c->relay_domains[0].kind == DOMAIN_NETWORK, "relay-domain");
	ok(!c->tls_v1 && !c->tls_v1_1 && c->tls_v1_2 && c->tls_v1_3, "TLS versions");
	ok(c->n_sources == 5 && c->sources[0].net.bits == 8 && c->sources[1].net.bits == 16 &&
		c->sources[2].kind == CONF_SOURCE_NAME &&
		c->sources[3].kind == CONF_SOURCE_PICKUP &&
		c->sources[4].kind == CONF_SOURCE_TRANSMISSIONS,
	    "sources, generic to specific; 10/8 twice is one");
	ok(!c->sources[0].always_allow_relaying && c->sources[0].auth_failures == 3 &&
		c->sources[0].auth_failures_per_s == 36 * 3600 &&
		c->sources[0].max_message_size == 20 << 20 &&
		c->sources[0].default_vmta_choice == CONF_VMTA_BY_SOURCE_IP &&
		strcmp(c->sources[0].jobid_prefix, "{auth}-") == 0,
	    "the source 10/8, the later line wins");
	ok(c->sources[1].auth_failures == 0, "no failure is allowed");
	l = &c->rewrite_lists[0];
	ok(c->n_rewrite_lists == 1 && c->rewrite_list == l && l->n_mail_from == 6 &&
		l->n_from_domain == 2,
	    "rewrite-list");
	ok(l->mail_from[1].from_domain == NULL && strcmp(l->mail_from[1].from_local, "a") == 0 &&
		l->mail_from[4].from_null && l->mail_from[5].to_null && l->mail_from[5].at.line > 0,
	    "mail-from");
	ok(strcmp(c->signals.upload_url, "http://[::1]:8460/api/v1/ingest/events") == 0 &&
		c->signals.upload_interval_s == 90 && c->signals.min_free_space == 0 &&
		c->signals.engagement_tracking == CONF_TRACKING_SPARKPOST &&
		c->signals.privacy_sha1 && strcmp(c->signals.ca_file, "/etc/ssl/own.pem") == 0,
	    "signals");
	ok(c->enable_signals.enable == CONF_SIGNALS_FILTER &&
		c->enable_signals.filter == c->filters && c->filters->n == 4 &&
		c->filters->rules[2].subaccount == 17,
	    "signals-filter");
	one = conf_vmta_find(c, "ONE");
	ok(one != NULL && strcmp(one->source_ip, "2001:db8::10") == 0 &&
		strcmp(one->source_host, "one.example.com") == 0 && one->rewrite_list == l &&
		one->signals.subaccount == 5,
	    "virtual-mta, found without case");
	ok(one->keys.n == 3 && strcmp(one->keys.v[0].selector, "own") == 0 &&
		strcmp(one->keys.v[1].domain, "example.com") == 0 && one->keys.v[2].domain == NULL,
	    "its keys, and those of its list");
	ok(c->keys.n == 2, "global keys by domain-key-list");
	pool = conf_pool_find(c, "both");
	ok(pool != NULL && pool->n_members == 3 && pool->members[0] == one &&
		pool->members[1] == conf_vmta_find(c, "two words") && pool->members[2] == one,
	    "virtual-mta-pool");
	ok(pool->n_domains == 1 && pool->domains[0].dkim_algorithm == CONF_DKIM_RSA_ONLY &&
		pool->domains[0].dkim_identity == CONF_DKIM_FIXED &&
		strcmp(pool->domains[0].dkim_identity_text, "@example.com") == 0 &&
		pool->domains[0].dkim_expire_after_s == 14 * 86400 &&
		pool->domains[0].dkim_headers.n == 2 &&
		pool->domains[0].dkim_disallow_adding_headers.n == 2,
	    "dkim");
	ok(c->bounce.given && !c->feedback.given && c->bounce.deliver_unmatched &&
		c->bounce.forward_unmatched_to.n == 2 && c->bounce.domains.n == 1 &&
		c->bounce.addresses.n == 2 && c->bounce.log_match_info &&
		strcmp(c->bounce.body_pattern_file, "/etc/pmta/patterns") == 0,
	    "bounce-processor");
	ok(c->n_smtp_users == 2 && strcmp(c->smtp_users[1].password, "se,cret") == 0 &&
		strcmp(c->smtp_users[0].method, "password") == 0,
	    "smtp-user");
	ok(c->milter.socket_mode == 0660 && c->milter.user[0] == '\0' &&
		c->milter.on_error == CONF_ACCEPT && c->milter.max_message_size == 100 << 20 &&
		c->milter.max_header_size == 65536 && c->milter.timeout_s == 3600 &&
		!c->milter.reload && c->milter.return_path_id,
	    "milter");
	ok(c->spool.segment_size == 1 << 20 && c->spool.segment_age_s == 60 && !c->spool.sync &&
		strcmp(c->spool.directory, "/srv/spool") == 0,
	    "spool");
	ok(c->collector.api_keys.n == 2 && c->collector.max_events == 10 << 20 &&
		c->collector.retention_s == 7 * 86400,
	    "collector");
	conf_free(c);
}

static void
tracker(void)
{
	static const char text[] = "<tracker>\n"
				   "listen 127.0.0.1:80\n"
				   "listen [::1]:80\n"
				   "trusted-proxy 10/8\n"
				   "trusted-proxy ::1\n"
				   "link-expiry never\n"
				   "open-window 0\n"
				   "tls-certificate /c\n"
				   "tls-key /k\n"
				   "max-connections 16\n"
				   "timeout 1m\n"
				   "machine-readers /m\n"
				   "user \"\"\n"
				   "</tracker>\n";
	struct err e = { .text = "" };
	struct conf *c = conf_parse("t", slice_str(text), &e);

	const struct conf_tracker *t;

	if (!ok(c != NULL, "<tracker> %s", e.text))
		return;
	t = &c->tracker;
	ok(t->listen.n == 2 && strcmp(t->listen.v[1], "[::1]:80") == 0 &&
		t->n_trusted_proxies == 2 && t->trusted_proxies[0].bits == 8 &&
		t->trusted_proxies[1].bits == 128 && t->link_expiry_s == CONF_UNLIMITED &&
		t->open_window_s == 0 && strcmp(t->tls_certificate, "/c") == 0 &&
		strcmp(t->tls_key, "/k") == 0 && t->max_connections == 16 && t->timeout_s == 60 &&
		strcmp(t->machine_readers, "/m") == 0 && t->user[0] == '\0',
	    "tracker");
	round_trip("tracker", c);
	conf_free(c);
}

static void
inbound(void)
{
	static const char text[] = "<bounce-processor>\n"
				   "require-authenticated-reports yes\n"
				   "forward-errors-to ops@example.com\n"
				   "</bounce-processor>\n"
				   "<inbound>\n"
				   "onward-relay 127.0.0.1:2525\n"
				   "onward-age 2d\n"
				   "dns-resolver 127.0.0.1:53\n"
				   "dns-file /etc/keys\n"
				   "</inbound>\n";
	struct err e = { .text = "" };
	struct conf *c = conf_parse("t", slice_str(text), &e), *none;

	if (!ok(c != NULL, "<inbound> %s", e.text))
		return;
	ok(c->bounce.require_authenticated && !c->feedback.require_authenticated &&
		strcmp(c->inbound.onward_relay, "127.0.0.1:2525") == 0 &&
		c->inbound.onward_age_s == 2 * 86400 &&
		strcmp(c->inbound.dns_resolver, "127.0.0.1:53") == 0 &&
		strcmp(c->inbound.dns_file, "/etc/keys") == 0,
	    "inbound");
	round_trip("inbound", c);
	conf_free(c);
	none = conf_parse("t", SLICE_LIT(""), &e);
	ok(none != NULL && none->inbound.onward_relay == NULL &&
		none->inbound.onward_age_s == 5 * 86400 && none->inbound.dns_resolver == NULL &&
		none->inbound.dns_file == NULL && !none->bounce.require_authenticated,
	    "and its defaults");
	conf_free(none);
}

static void
mail_log(void)
{
	static const char text[] = "<mail-log>\n"
				   "file /var/log/mail.log\n"
				   "file /var/log/out.log\n"
				   "journal yes\n"
				   "mta postfix\n"
				   "time-zone utc\n"
				   "index /var/lib/x.db\n"
				   "index-age 7d\n"
				   "index-size 10M\n"
				   "wait-for-message 5m\n"
				   "unknown-after 4d\n"
				   "</mail-log>\n";
	struct err e = { .text = "" };
	struct conf *c = conf_parse("t", slice_str(text), &e), *none;
	const struct conf_mail_log *l;

	if (!ok(c != NULL, "<mail-log> %s", e.text))
		return;
	l = &c->mail_log;
	ok(l->given && l->files.n == 2 && strcmp(l->files.v[1], "/var/log/out.log") == 0 &&
		l->journal && l->mta == CONF_MTA_POSTFIX && l->utc &&
		strcmp(l->index, "/var/lib/x.db") == 0 && l->index_age_s == 7 * 86400 &&
		l->index_size == 10 << 20 && l->wait_s == 300 && l->unknown_after_s == 4 * 86400,
	    "mail-log");
	round_trip("mail-log", c);
	conf_free(c);

	none = conf_parse("t", SLICE_LIT(""), &e);
	ok(none != NULL && !none->mail_log.given && none->mail_log.mta == CONF_MTA_AUTO &&
		!none->mail_log.utc && none->mail_log.index == NULL &&
		none->mail_log.wait_s == 60 && none->mail_log.index_age_s == 14 * 86400,
	    "and its defaults");
	conf_free(none);
}

#define KEY_LINE "api-key 0123456789012345678901234567890123456789\n"

static void
tracking_base(void)
{
	static const char wanted[] = "t:2: tracking-domain: expected a host name, "
				     "http://HOST[:PORT] or https://HOST[:PORT], found ";
	static const struct {
		const char *domain, *base; /* base NULL: refused */
	} rows[] = {
		{ "track.example.com", "https://track.example.com" },
		{ "Track.Example.COM.", "https://track.example.com" },
		{ "http://track.example.com", "http://track.example.com" },
		{ "HTTPS://track.example.com/", "https://track.example.com" },
		{ "http://127.0.0.1:8461", "http://127.0.0.1:8461" },
		{ "https://a.example:8443/", "https://a.example:8443" },
		{ "", NULL },
		{ "a.example:8443", NULL },
		{ "ftp://a.example", NULL },
		{ "http://", NULL },
		{ "https:///", NULL },
		{ "https://a.example//", NULL },
		{ "https://a.example/x", NULL },
		{ "https://a.example:65536", NULL },
		{ "https://a.example:", NULL },
		{ "https://u@a.example", NULL },
		{ "https://a.example?x", NULL },
		{ "https://[::1]:8461", NULL },
		{ "https://b\xc3\xbc"
		  "cher.example",
		    NULL },
		{ "a..b", NULL },
	};
	struct conf *c;
	struct err e;
	char text[400];

	for (size_t i = 0; i < COUNT(rows); i++) {
		int n = snprintf(text, sizeof(text),
		    "<signals>\ntracking-domain \"%s\"\n" KEY_LINE "</signals>\n", rows[i].domain);

		e.text[0] = '\0';
		c = conf_parse("t", (struct slice){ text, (size_t)n }, &e);
		if (rows[i].base == NULL)
			ok(c == NULL && strncmp(e.text, wanted, strlen(wanted)) == 0, "%s: %s",
			    rows[i].domain, e.text);
		else if (ok(c != NULL && strcmp(conf_tracking_base(c), rows[i].base) == 0,
			     "tracking-domain %s: %s", rows[i].domain, e.text))
			round_trip(rows[i].domain, c);
		conf_free(c);
	}
	c = conf_parse("t", SLICE_LIT("host-name a.example\nhost-name b.example\n"), &e);
	ok(c != NULL && strcmp(conf_tracking_base(c), "https://a.example") == 0, "first host-name");
	conf_free(c);
}

static void
defaults(void)
{
	struct err e = { .text = "" };
	struct conf *c = conf_parse("empty", slice_str(""), &e);
	struct conf_domain d;
	struct conf_source s;
	struct conf_peer nobody = { 0 };

	if (!ok(c != NULL, "an empty configuration %s", e.text))
		return;
	conf_domain_for(c, NULL, NULL, slice_str("x.example"), &d);
	conf_source_for(c, &nobody, &s);
	ok(!c->signals.given && c->enable_signals.enable == CONF_SIGNALS_OFF, "no signals");
	ok(c->signals.min_free_space == 20 << 20 && c->signals.upload_interval_s == 60 &&
		strcmp(c->signals.upload_url, "https://api.sparkpost.com/api/v1/ingest/events") ==
		    0,
	    "signals");
	ok(strcmp(c->milter.socket, "unix:/var/spool/postfix/signalpost/milter.sock") == 0 &&
		strcmp(c->milter.group, "postfix") == 0 && c->milter.socket_mode == 0660 &&
		strcmp(c->milter.user, "signalpost") == 0 && c->milter.pid_file == NULL &&
		c->milter.on_error == CONF_TEMPFAIL && c->milter.max_message_size == 25 << 20 &&
		c->milter.max_header_size == 1 << 20 && c->milter.max_recipients == 1000 &&
		c->milter.timeout_s == 7210 && c->milter.reload && !c->milter.return_path_id,
	    "milter");
	ok(strcmp(c->spool.directory, "/var/spool/signalpost") == 0 &&
		c->spool.segment_size == 4500000 && c->spool.segment_age_s == 10 && c->spool.sync,
	    "spool");
	ok(strcmp(c->collector.listen, "127.0.0.1:8460") == 0 && c->collector.max_body == 5000000 &&
		c->collector.max_events == 100 << 20 && c->collector.retention_s == 10 * 86400,
	    "collector");
	ok(strcmp(c->token_keys.directory, "/etc/signalpost/keys") == 0, "token-keys");
	ok(c->tracker.listen.n == 0 && c->tracker.n_trusted_proxies == 0 &&
		c->tracker.link_expiry_s == 365 * 86400 && c->tracker.open_window_s == 10 &&
		c->tracker.tls_certificate == NULL && c->tracker.tls_key == NULL &&
		c->tracker.max_connections == 10000 && c->tracker.timeout_s == 15 &&
		c->tracker.machine_readers == NULL &&
		strcmp(c->tracker.user, "signalpost-tracker") == 0 && conf_tracking_base(c) == NULL,
	    "tracker");
	ok(!s.always_allow_relaying && s.allow_auth && s.smtp_service && !s.process_x_job &&
		s.process_x_msys_api && s.max_message_size == CONF_UNLIMITED &&
		s.auth_failures == CONF_UNLIMITED && s.add_received_header &&
		!s.add_message_id_header && s.default_vmta_choice == CONF_VMTA_NONE,
	    "source");
	ok(d.dkim_sign == CONF_DKIM_NO && d.dkim_identity == CONF_DKIM_SENDER_OR_FROM &&
		d.dkim_algorithm == CONF_DKIM_ALL_KEYS && !d.dkim_body_simple &&
		d.dkim_expire_after_s == CONF_UNLIMITED && d.dkim_disallow_adding_headers.n == 1 &&
		strcmp(d.dkim_disallow_adding_headers.v[0], "From") == 0 &&
		d.max_smtp_out == CONF_UNLIMITED && d.bounce_after_s == 388800 &&
		d.retry_after_s == 600,
	    "domain");
	ok(c->n_warnings == 0 && c->node_name[0] != '\0', "node name, no warning");
	round_trip("empty", c);
	conf_free(c);
}

/* ---- messages ---- */

static const struct {
	const char *in, *want; /* the error; NULL: none */
} messages[] = {
	/* grammar */
	{ "", NULL },
	{ "   \t\n\r\n# only\n", NULL },
	{ "relay-debug yes", NULL }, /* no line end */
	{ "\xef\xbb\xbfrelay-debug yes\r\n", NULL },
	{ "relay-debug yes # comment\n", NULL },
	{ "relay-debug \"yes\"\n", NULL },
	{ "postmaster \"a@b.example\"x\n",
	    "t:1: postmaster: 'x' directly behind a closing double quote" },
	{ "node-name a\"b\n",
	    "t:1: node-name: a double quote inside a word: put the whole value in double quotes" },
	{ "node-name \"a\n", "t:1: node-name: a double quote is not closed" },
	{ "\nnode-name a\x01\n", "t:2: a control character in the line" },
	{ "node-name a\xc2\x85\n", "t:1: a control character in the line" },
	{ "node-name a\rb\n", "t:1: a control character in the line" },
	{ "node-name \xfc\n", "t:1: the line is not UTF-8" },
	{ "# \xff\n", "t:1: the line is not UTF-8" },
	{ "include x\n", "t:1: include: only a file can include files" },
	{ "domain-key a,,/b\n", "t:1: domain-key: a comma with nothing before it" },
	{ "domain-key a,b,\n", "t:1: domain-key: a comma with nothing behind it" },
	{ "domain-key ,a,/b\n", "t:1: domain-key: a comma with nothing before it" },
	{ "relay-address /abc\n",
	    "t:1: relay-address: the regular expression is not closed by '/'" },
	{ "relay-address /a(/\n",
	    "t:1: relay-address: regular expression: missing closing parenthesis at offset 2" },
	{ "relay-address /a\\/\n",
	    "t:1: relay-address: the regular expression is not closed by '/'" },
	{ "relay-address /a/ b\n",
	    "t:1: relay-address: expected a mail address or /REGEX/; 'b' is too much" },
	/* tags */
	{ "<source 0/0\n", "t:1: a tag that is not closed by '>'" },
	{ "<source 0/0 # x>\n", "t:1: a tag that is not closed by '>'" },
	{ "<>\n", "t:1: a tag without a name" },
	{ "</>\n", "t:1: a tag without a name" },
	{ "<source 0/0> x\n", "t:1: 'x' behind the '>' of a tag: expected a new line" },
	{ "<source 0/0> # x\n</source> # y\n", NULL },
	{ "<SOURCE 0/0>\nALWAYS-allow-Relaying YES\n</Source>\n", NULL },
	{ "\n<source 0/0>\n", "t:2: <source> is not closed" },
	{ "</source>\n", "t:1: </source> closes nothing" },
	{ "<source 0/0>\n</virtual-mta>\n",
	    "t:2: </virtual-mta>: expected </source> for the <source> of t:1" },
	{ "<source 0/0>\n</source 0/0>\n", "t:2: </source> takes no argument" },
	{ "<source>\n</source>\n", "t:1: <source>: expected one name" },
	{ "<source a b>\n</source>\n", "t:1: <source>: expected one name" },
	{ "<source {Auth}>\n</source>\n", NULL },
	{ "<source {auht}>\n</source>\n",
	    "t:1: <source>: expected an IP address, a network, a name, {auth}, {pickup} or "
	    "{transmissions-api}, found '{auht}'" },
	{ "<source {bulk}>\n</source>\n<smtp-user u>\npassword x\nsource {bulk}\n</smtp-user>\n",
	    NULL },
	{ "smtp-listener 0.0.0.0:25 source={in}\n<source {in}>\n</source>\n", NULL },
	{ "<source {pickpu}>\n</source>\n<smtp-user u>\npassword x\nsource {bulk}\n</smtp-user>\n",
	    "t:5: source: there is no <source> '{bulk}'" },
	{ "<source 10.0.0.0/33>\n</source>\n",
	    "t:1: <source>: expected an IP address, a network, a name, {auth}, {pickup} or "
	    "{transmissions-api}, found '10.0.0.0/33'" },
	{ "<source 10.0.0.256>\n</source>\n",
	    "t:1: <source>: expected an IP address, a network, a name, {auth}, {pickup} or "
	    "{transmissions-api}, found '10.0.0.256'" },
	{ "<domain a..b>\n</domain>\n",
	    "t:1: <domain>: 'a..b' is not a domain, *, *.DOMAIN, [*.]DOMAIN or [NETWORK]" },
	{ "<milter x>\n</milter>\n", "t:1: <milter> takes no name" },
	{ "<spool rel>\n</spool>\n", "t:1: <spool>: expected an absolute path, found 'rel'" },
	{ "<spool /a /b>\n</spool>\n", "t:1: <spool>: expected one name" },
	{ "<inbound>\nonward-relay localhost:25\n</inbound>\n",
	    "t:2: onward-relay: expected IP:PORT, found 'localhost:25'" },
	{ "<inbound>\nonward-age 5\n</inbound>\n", "t:2: onward-age: expected a time like 4d12h, "
						   "10m or 300s, from 1m to 366d, found '5'" },
	{ "<inbound>\ndns-file keys\n</inbound>\n",
	    "t:2: dns-file: expected an absolute path, found 'keys'" },
	{ "<inbound>\ndns-resolver [::1]:53\n</inbound>\n",
	    "t:2: dns-resolver: expected an IPv4 address, found [::1]:53" },
	{ "<bounce-processor>\nforward-unmatched-to a@b.example\n<address-list>\ndomain b.example\n"
	  "</address-list>\n</bounce-processor>\n",
	    "t:2: forward-unmatched-to: a@b.example is in the address-list of <bounce-processor>: "
	    "it "
	    "would come back" },
	{ "<bounce-processor>\nforward-errors-to Ab@c.example\n</bounce-processor>\n"
	  "<feedback-loop-processor>\n<address-list>\naddress /^a/\n</address-list>\n"
	  "</feedback-loop-processor>\n",
	    "t:2: forward-errors-to: Ab@c.example is in the address-list of "
	    "<feedback-loop-processor>: it would come back" },
	{ "<sink signals>\n</sink>\n", "t:1: <sink signals>: that is upload-url's in <signals>" },
	{ "<sink x.y>\n</sink>\n",
	    "t:1: <sink x.y>: a name has 40 letters, digits, - and _ at most" },
	{ "<sink x>\n</sink>\n", "t:1: <sink x>: type is missing" },
	{ "<sink x>\ntype kafka\n</sink>\n",
	    "t:2: type: expected sparkpost, http or file, found 'kafka'" },
	{ "<sink x>\ntype file\n</sink>\n", "t:1: <sink x>: directory is missing" },
	{ "<sink x>\ntype file\ndirectory /a\nurl https://a.example/\n</sink>\n",
	    "t:1: <sink x>: url, api-key and header are not for type file" },
	{ "<sink x>\ntype http\n</sink>\n", "t:1: <sink x>: url is missing" },
	{ "<sink x>\ntype http\nurl https://a.example/\ndirectory /a\n</sink>\n",
	    "t:1: <sink x>: directory is for type file" },
	{ "<sink x>\ntype sparkpost\nurl https://a.example/\n</sink>\n",
	    "t:1: <sink x>: api-key is missing" },
	{ "<sink x>\ntype sparkpost\nurl https://a.example/\napi-key k\nformat flat\n</sink>\n",
	    "t:1: <sink x>: type sparkpost takes format msys and compress gzip only" },
	{ "<sink x>\ntype http\nurl https://a.example/{what}\n</sink>\n",
	    "t:3: url: unknown variable {what} in the URL: there are {batch}, {segment}, {node} "
	    "and "
	    "{date}; other braces are written %7B and %7D" },
	{ "<sink x>\ntype http\nurl https://a.example/{date}?q={\n</sink>\n",
	    "t:3: url: unknown variable { in the URL: there are {batch}, {segment}, {node} and "
	    "{date}; other braces are written %7B and %7D" },
	{ "<sink x>\ntype http\nurl http://a.example/\n</sink>\n",
	    "t:3: url: http:// only to a loopback address (127.0.0.0/8, ::1, localhost); use "
	    "https://" },
	{ "<sink x>\ntype http\nurl https://a.example/\nheader \"X: y\"\nrequired no\n</sink>\n",
	    "t:1: <sink x>: no sink is required: segments would never go" },
	{ "<sink x>\ntype http\nurl https://a.example/\nheader X\n</sink>\n",
	    "t:4: header: expected \"NAME: VALUE\" in double quotes" },
	{ "<sink x>\ntype http\nurl https://a.example/\nheader \"Host: b\"\n</sink>\n",
	    "t:4: header: Host: is not to be changed" },
	{ "<mail-log>\n</mail-log>\n",
	    "t:1: <mail-log>: neither file nor journal says where the log is" },
	{ "<mail-log>\njournal yes\nindex-age 5d\n</mail-log>\n",
	    "t:1: <mail-log>: unknown-after is longer than index-age" },
	{ "<mail-log>\njournal yes\nmta exim\n</mail-log>\n",
	    "t:3: mta: expected auto, postfix or sendmail, found 'exim'" },
	{ "<mail-log>\nfile mail.log\n</mail-log>\n",
	    "t:2: file: expected an absolute path, found 'mail.log'" },
	{ "<tracker>\ntls-key /k\n</tracker>\n", "t:1: <tracker>: tls-certificate is missing" },
	{ "<tracker>\ntls-certificate /c\n</tracker>\n", "t:1: <tracker>: tls-key is missing" },
	{ "<tracker>\ntrusted-proxy proxy.example\n</tracker>\n",
	    "t:2: trusted-proxy: expected an IP address or a network like 10.0.0.0/8, "
	    "found 'proxy.example'" },
	{ "<sources 0/0>\n</sources>\n", "t:1: <sources> is not a block (did you mean <source>?)" },
	{ "<banana>\n</banana>\n", "t:1: <banana> is not a block" },
	{ "<source 0/0>\n<source 0/0>\n</source>\n</source>\n",
	    "t:2: <source> belongs at the top level, not in <source>" },
	{ "<address-list>\n</address-list>\n", "t:1: <address-list> belongs in <bounce-processor> "
					       "or in <feedback-loop-processor>, not "
					       "at the top level" },
	{ "<domain *>\n<domain *>\n<domain *>\n<domain *>\n<domain *>\n<domain *>\n<domain *>\n"
	  "<domain *>\n<domain *>\n",
	    "t:2: <domain> belongs at the top level or in <virtual-mta> or in <virtual-mta-pool>, "
	    "not in <domain>" },
	{ "<virtual-mta a>\n</virtual-mta>\n<virtual-mta A>\n</virtual-mta>\n",
	    "t:3: <virtual-mta a>: given before, at t:1" },
	{ "<rewrite-list a>\n</rewrite-list>\n<rewrite-list a>\n</rewrite-list>\n",
	    "t:3: <rewrite-list a>: given before, at t:1" },
	{ "<signals-filter a>\n</signals-filter>\n<signals-filter a>\n</signals-filter>\n",
	    "t:3: <signals-filter a>: given before, at t:1" },
	{ "<virtual-mta-pool a>\n</virtual-mta-pool>\n<virtual-mta-pool a>\n</virtual-mta-pool>\n",
	    "t:3: <virtual-mta-pool a>: given before, at t:1" },
	{ "<smtp-user a>\npassword x\n</smtp-user>\n<smtp-user a>\npassword x\n</smtp-user>\n",
	    "t:4: <smtp-user a>: given before, at t:1" },
	{ "<smtp-user a>\npassword x\n</smtp-user>\n<smtp-user A>\npassword x\n</smtp-user>\n",
	    NULL }, /* users differ by case */
	{ "<virtual-mta a>\n</virtual-mta>\n<virtual-mta-pool a>\n</virtual-mta-pool>\n",
	    "t:3: <virtual-mta-pool a>: there is a <virtual-mta> of that name at t:1" },
	/* names */
	{ "<source 0/0>\nproces-x-job yes\n</source>\n",
	    "t:2: 'proces-x-job' is not a directive (did you mean 'process-x-job'?)" },
	{ "<source 0/0>\nprocess-x-jbo yes\n</source>\n",
	    "t:2: 'process-x-jbo' is not a directive (did you mean 'process-x-job'?)" },
	{ "rely-domain x\n",
	    "t:1: 'rely-domain' is not a directive (did you mean 'relay-domain'?)" },
	{ "completely-different yes\n", "t:1: 'completely-different' is not a directive" },
	{ "max-msg-rate 9/h\n", "t:1: 'max-msg-rate' is not a directive" }, /* but in <domain> */
	{ "\"quoted\" yes\n", "t:1: expected the name of a directive" },
	{ "/regex/ x\n", "t:1: expected the name of a directive" },
	{ "<virtual-mta a>\nprocess-x-job yes\n</virtual-mta>\n",
	    "t:2: 'process-x-job' belongs in <source>, not in <virtual-mta>" },
	{ "process-x-job yes\n", "t:1: 'process-x-job' belongs in <source>, not at the top level" },
	{ "<source 0/0>\nrelay-domain x\n</source>\n",
	    "t:2: 'relay-domain' belongs at the top level, not in <source>" },
	{ "<source 0/0>\ndomain-key a,b,/c\n</source>\n",
	    "t:2: 'domain-key' belongs at the top level or in <domain-key-list> or in "
	    "<virtual-mta>, "
	    "not in <source>" },
	/* domain-macro */
	{ "domain-macro m a.example, B.example,[*.]c.example\n<domain $m>\nmax-smtp-out 2\n"
	  "</domain>\n<virtual-mta v>\n<domain $M>\ndkim-sign yes\n</domain>\n</virtual-mta>\n",
	    NULL },
	{ "domain-macro m a.example,a.example\n<domain $m>\nmax-smtp-out 2\n</domain>\n"
	  "<domain $m>\nmax-smtp-out 3\n</domain>\n",
	    NULL },
	{ "domain-macro yahoo a.example\n<domain $yahooo>\n</domain>\n",
	    "t:2: <domain>: there is no domain-macro 'yahooo' above (did you mean '$yahoo'?)" },
	{ "<domain $m>\n</domain>\ndomain-macro m a.example\n",
	    "t:1: <domain>: there is no domain-macro 'm' above" },
	{ "domain-macro m a.example,b.example\n<domain $m>\nmax-smtp-out many\n</domain>\n",
	    "t:3: max-smtp-out: expected a number or unlimited, found 'many'" },
	{ "domain-macro m\n", "t:1: domain-macro: expected a name and domains with commas between "
			      "them, found less" },
	{ "domain-macro m a..b\n", "t:1: domain-macro: 'a..b' is not a domain, *, *.DOMAIN, "
				   "[*.]DOMAIN or [NETWORK]" },
	{ "domain-macro m a.example\ndomain-macro M b.example\n",
	    "t:2: domain-macro: 'M' is given before" },
	/* what PowerMTA's own files have */
	{ "<bounce-category-patterns>\n// other    # all others\n</bounce-category-patterns>\n",
	    NULL },
	{ "<domain {gmImprinter}>\nnonsense\n</domain>\n", NULL },
	{ "spool /var/spool/pmta\n", NULL },
	{ "spool var/spool\n", "t:1: <spool>: expected an absolute path, found 'var/spool'" },
	{ "<domain *>\nretry-after 10m,20m, 1h\n</domain>\n", NULL },
	{ "<domain *>\nretry-after 10m,x\n</domain>\n",
	    "t:2: retry-after: expected a time like 4d12h, 10m or 300s, found 'x'" },
	/* references */
	{ "rewrite-list mfrm\n<rewrite-list mfrom>\n</rewrite-list>\n",
	    "t:1: rewrite-list: there is no <rewrite-list> 'mfrm' (did you mean 'mfrom'?)" },
	{ "rewrite-list mfrom\n", "t:1: rewrite-list: there is no <rewrite-list> 'mfrom'" },
	{ "<source 0/0>\ndefault-virtual-mta defualt\n</source>\n<virtual-mta-pool default>\n"
	  "</virtual-mta-pool>\n",
	    "t:2: default-virtual-mta: there is no <virtual-mta> or <virtual-mta-pool> 'defualt' "
	    "(did you mean 'default'?)" },
	{ "<virtual-mta-pool p>\nvirtual-mta v1\n</virtual-mta-pool>\n<virtual-mta v2>\n"
	  "</virtual-mta>\n",
	    "t:2: virtual-mta: there is no <virtual-mta> 'v1' (did you mean 'v2'?)" },
	{ "enable-signals tru\n", "t:1: enable-signals: there is no <signals-filter> 'tru'" },
	{ "domain-key-list x\n", "t:1: domain-key-list: there is no <domain-key-list> 'x'" },
	{ "smtp-listener 0.0.0.0:25 source=x\n", "t:1: smtp-listener: there is no <source> 'x'" },
	{ "smtp-listener 0.0.0.0:25 source={auth}\n<source {auth}>\n</source>\n",
	    "t:1: smtp-listener: <source {auth}> applies by itself; expected a <source> with a "
	    "name" },
	{ "<smtp-user u>\npassword x\nsource y\n</smtp-user>\n",
	    "t:3: source: there is no <source> 'y'" },
	{ "<smtp-user u>\npassword x\nsource {auth}\n</smtp-user>\n", NULL },
	{ "<source 0/0>\npattern-list x\n</source>\n",
	    "t:2: pattern-list: there is no <pattern-list> 'x'" },
	/* what must be there */
	{ "<signals>\n</signals>\n", "t:1: <signals>: api-key is missing" },
	{ "<smtp-user a>\n</smtp-user>\n", "t:1: <smtp-user a>: password is missing" },
	/* values */
	{ "relay-debug maybe\n",
	    "t:1: relay-debug: expected yes, no, true or false, found 'maybe'" },
	{ "relay-debug\n", "t:1: relay-debug: expected yes, no, true or false, found nothing" },
	{ "relay-debug yes no\n",
	    "t:1: relay-debug: expected yes, no, true or false; 'no' is too much" },
	{ "<domain *>\nbounce-after 4x\n</domain>\n",
	    "t:2: bounce-after: expected a time like 4d12h, 10m or 300s, found '4x'" },
	{ "<spool>\nsegment-age 2h\n</spool>\n", "t:2: segment-age: expected a time like 4d12h, "
						 "10m or 300s, from 1s to 1h, found '2h'" },
	{ "<spool>\nsegment-size 4500001\n</spool>\n",
	    "t:2: segment-size: expected a size like 500000, 64k, 20M or 1G, from 64k to 4500000, "
	    "found '4500001'" },
	{ "<domain *>\ndkim-sign sure\n</domain>\n",
	    "t:2: dkim-sign: expected yes, no, true, false or if-x-dkim-options-present, found "
	    "'sure'" },
	{ "<signals>\nprivacy-policy md5\n</signals>\n",
	    "t:2: privacy-policy: expected retain or sha1, found 'md5'" },
	{ "<signals>\napi-key 123\n</signals>\n",
	    "t:2: api-key: expected exactly 40 hexadecimal digits, found 3 characters" },
	{ "<signals>\napi-key 012345678gabcdef0123456789abcdef01234567\n</signals>\n",
	    "t:2: api-key: expected exactly 40 hexadecimal digits; character 10 is none" },
	{ "<signals>\napi-key " KEY " x\n</signals>\n",
	    "t:2: api-key: expected exactly 40 hexadecimal digits; '...' is too much" },
	{ "<signals>\ncustomer-id -1\n</signals>\n",
	    "t:2: customer-id: expected a number, from 0 to 4294967295, found '-1'" },
	{ "enable-signals true,subaccount=0\n",
	    "t:1: enable-signals: expected true, false, true,subaccount=N or the name of a "
	    "signals-filter" },
	{ "enable-signals false,subaccount=1\n",
	    "t:1: enable-signals: a subaccount is possible only with true" },
	{ "<rewrite-list a>\nmail-from a*@b.example c@d.example\n</rewrite-list>\n",
	    "t:2: mail-from: expected a@b, a@*, *@b, *@* or <> (ASCII), found 'a*@b.example'" },
	{ "<rewrite-list a>\nmail-from *@b.example c@\xc3\xbc.example\n</rewrite-list>\n",
	    "t:2: mail-from: expected a@b, a@*, *@b, *@* or <> (ASCII), found "
	    "'c@\xc3\xbc.example'" },
	{ "<rewrite-list a>\nmail-from <> *@b.example\n</rewrite-list>\n",
	    "t:2: mail-from: <> has nothing that a '*' could stand for" },
	{ "domain-key a,b,c\n",
	    "t:1: domain-key: expected SELECTOR,DOMAIN,FILE with an absolute path" },
	{ "domain-key a b\n",
	    "t:1: domain-key: expected SELECTOR,DOMAIN,FILE with an absolute path, found less" },
	{ "domain-key a_,*.b,/c\n", "t:1: domain-key: expected a domain or *, found '*.b'" },
	{ "smtp-listener 25\n",
	    "t:1: smtp-listener: expected IP:PORT, and source=NAME if any, found '25'" },
	{ "smtp-listener 0.0.0.0:0\n",
	    "t:1: smtp-listener: expected IP:PORT, and source=NAME if any, found '0.0.0.0:0'" },
	{ "smtp-listener 0.0.0.0:25 tls\n",
	    "t:1: smtp-listener: expected source=NAME behind the address, found 'tls'" },
	{ "<milter>\nsocket unix:rel\n</milter>\n",
	    "t:2: socket: expected unix:/PATH or inet:PORT@HOST, found 'unix:rel'" },
	{ "<milter>\nsocket-mode 0888\n</milter>\n",
	    "t:2: socket-mode: expected an octal mode like 0660, found '0888'" },
	{ "<bounce-processor>\n<address-list>\naddress-file /x\n</address-list>\n"
	  "</bounce-processor>\n",
	    "t:3: address-file: only a configuration in a file can name one" },
	/* an error in a block that is skipped is not shown before the block's own */
	{ "<virtual-mtas a>\nnonsense yes\n</virtual-mtas>\n",
	    "t:1: <virtual-mtas> is not a block (did you mean <virtual-mta>?)" },
};

static void
error_texts(void)
{
	for (size_t i = 0; i < COUNT(messages); i++) {
		struct err e = { .text = "" };
		struct conf *c = conf_parse("t", slice_str(messages[i].in), &e);
		const char *want = messages[i].want == NULL ? "" : messages[i].want;

		ok((c != NULL) == (messages[i].want == NULL) && strcmp(e.text, want) == 0,
		    "'%s': %s", messages[i].in, e.text);
		if (strcmp(e.text, want) != 0)
			printf("# got  %s\n# want %s\n", e.text, want);
		if (c != NULL)
			round_trip("row", c);
		conf_free(c);
	}
}

static const struct {
	const char *in, *want; /* all warnings, with ';' behind each */
} remarks[] = {
	{ "relay-debug yes\n", "" },
	{ "<sink x>\ntype sparkpost\nurl https://a.example/v1/ingest/events/?a=/b\napi-key k\n"
	  "confirm-batches yes\n</sink>\n",
	    "" },
	{ "<sink x>\ntype sparkpost\nurl https://a.example/in?/ingest/events\napi-key k\n"
	  "confirm-batches yes\n</sink>\n",
	    "t:1: confirm-batches: the path of url does not end in /ingest/events, so what becomes "
	    "of batches can't be asked;" },
	{ "<sink x>\ntype http\nurl https://a.example/{date}?q=%7Ba%7D\n</sink>\n", "" },
	{ "<bounce-processor>\n<address-list>\ndomain b\xc3\xbc"
	  "cher.example\ndomain a.example\n"
	  "</address-list>\n</bounce-processor>\n",
	    "t:3: domain: only recipients that are written so in UTF-8 are meant: give the form "
	    "with "
	    "xn--, too (idn2 b\xc3\xbc"
	    "cher.example prints it);" },
	{ "<bounce-processor>\n<address-list>\ndomain b\xc3\xbc"
	  "cher.example\n"
	  "domain A.XN--BCHER-KVA.EXAMPLE\n</address-list>\n</bounce-processor>\n"
	  "<feedback-loop-processor>\n<address-list>\ndomain xn--bcher-kva.example\n"
	  "</address-list>\n</feedback-loop-processor>\n",
	    "" },
	{ "<sink x>\ntype http\nurl https://a.example/\nconfirm-batches yes\n</sink>\n",
	    "t:1: confirm-batches: is for type sparkpost; nothing is asked;" },
	{ "http-mgmt-port 80\nhttp-mgmt-port 81\n",
	    "t:1: http-mgmt-port: has no meaning outside PowerMTA; ignored;"
	    "t:2: http-mgmt-port: given before, at t:1; this one counts;" },
	{ "http-access 1 a\nhttp-access 2 a\n",
	    "t:1: http-access: has no meaning outside PowerMTA; ignored;" }, /* once */
	{ "log-rotate 5\nLOG-rotate 6\n<domain *>\nmax-msg-rate 9/h\n</domain>\n",
	    "t:1: log-rotate: PowerMTA's, ignored: journald or logrotate keeps the logs; "
	    "etc/logrotate.d has signalpost's;"
	    "t:4: max-msg-rate: PowerMTA's, ignored: Postfix: smtp_destination_rate_delay; "
	    "how many at once is max-smtp-out;" },
	{ "domain-macro m a.example,b.example\n<domain $m>\nmax-smtp-out 1\nmax-smtp-out 2\n"
	  "dk-sign yes\n</domain>\n",
	    "t:4: max-smtp-out: given before, at t:3; this one counts;"
	    "t:5: dk-sign: PowerMTA's, ignored: DomainKeys is historic (RFC 5617): dkim-sign;" },
	{ "<domain {gmImprinter}>\nnonsense\n</domain>\n",
	    "t:1: <domain {gmImprinter}>: a queue of PowerMTA; ignored;" },
	{ "<domain *>\nretry-after 10m,20m\n</domain>\n",
	    "t:2: retry-after: the MTA takes the first of these times and lengthens it by "
	    "itself;" },
	{ "<smtp-pattern-list x>\nreply /4/ mode=backoff\n</smtp-pattern-list>\n",
	    "t:1: <smtp-pattern-list>: has no meaning outside PowerMTA; ignored;" },
	{ "relay-debug yes\nrelay-debug no\n",
	    "t:2: relay-debug: given before, at t:1; this one counts;" },
	{ "node-name abc#def\n", "t:1: node-name: '#' begins a comment; put the value in double "
				 "quotes if it belongs to it;" },
	{ "node-name abc #def\n", "" },
	{ "node-name \"abc#def\"#x\n", "" },
	{ "<source 0/0>\ncheck-dkim-inbound yes\n</source>\n",
	    "t:2: check-dkim-inbound: not acted on by this version;" },
	{ "<source 0/0>\nsmtp-max-auth-failure-rate 1/min\n</source>\n",
	    "t:2: smtp-max-auth-failure-rate: nobody is refused by it without a <mail-log>, where "
	    "failures are seen;" },
	{ "<source 0/0>\nsmtp-max-auth-failure-rate unlimited\n</source>\n", "" },
	{ "<source 0/0>\nsmtp-max-auth-failure-rate 0\n</source>\n<mail-log>\njournal yes\n"
	  "</mail-log>\n",
	    "" },
	{ "<acct-file /x>\nrecords d\nsync no\n</acct-file>\n",
	    "t:1: <acct-file>: has no meaning outside PowerMTA; ignored;" },
	{ "<domain *>\ndkim-algorithm rsa-sha1\n</domain>\n",
	    "t:2: dkim-algorithm: RFC 8301 forbids rsa-sha1; rsa-sha256 is used;" },
	{ "<spool /a>\n</spool>\n<spool /b>\n</spool>\n",
	    "t:3: directory: given before, at t:1; this one counts;" },
	{ "<sparkpost-analytics>\napi-key " KEY "\n</sparkpost-analytics>\n",
	    "t:1: <sparkpost-analytics> is the old name of <signals>;" },
	{ "enable-signals true\n",
	    "t: enable-signals without a <signals> block: events have nowhere to go;" },
	{ "<virtual-mta-pool p>\n</virtual-mta-pool>\n",
	    "t:1: <virtual-mta-pool p> has no virtual-mta;" },
	{ "dummy-smtp-new-thing 1\nDummy-SMTP-new-thing 2\n",
	    "t:1: dummy-smtp-new-thing: has no meaning outside PowerMTA; ignored;" },
};

static void
warning_texts(void)
{
	for (size_t i = 0; i < COUNT(remarks); i++) {
		struct err e = { .text = "" };
		struct conf *c = conf_parse("t", slice_str(remarks[i].in), &e);
		struct buf all;

		buf_init(&all, 4096);
		for (size_t w = 0; c != NULL && w < c->n_warnings; w++) {
			buf_adds(&all, c->warnings[w].at.file);
			if (c->warnings[w].at.line > 0)
				buf_printf(&all, ":%u", c->warnings[w].at.line);
			buf_printf(&all, ": %s;", c->warnings[w].text);
		}
		ok(c != NULL && strcmp(buf_str(&all), remarks[i].want) == 0, "'%s' remarks %s%s",
		    remarks[i].in, buf_str(&all), e.text);
		buf_free(&all);
		conf_free(c);
	}
}

/* ---- each row of the table, used wrongly ---- */

/* A line in a block of its scope; returns the line's number. */
static unsigned
in_scope(enum conf_scope scope, const char *line, struct buf *out)
{
	static const char *const takes[] = {
		[CONF_TAG_NOTHING] = "",
		[CONF_TAG_NAME] = " n",
		[CONF_TAG_SOURCE] = " 0/0",
		[CONF_TAG_DOMAIN] = " *",
		[CONF_TAG_PATH_IF_ANY] = "",
		[CONF_TAG_COMMAND] = " /n",
	};

	for (size_t i = 0; i < conf_n_tags; i++) {
		const struct conf_tag *t = &conf_tags[i];
		bool inner = t->parents == 1U << CONF_IN_PROCESSOR;

		if (t->scope != scope)
			continue;
		if (inner)
			buf_adds(out, "<bounce-processor>\n");
		buf_printf(out, "<%s%s>\n%s\n</%s>\n", t->name, takes[t->takes], line, t->name);
		if (inner)
			buf_adds(out, "</bounce-processor>\n");
		return inner ? 3 : 2;
	}
	buf_printf(out, "%s\n", line);
	return 1;
}

/* The error must name the line and the directive, and say what was expected. */
static void
refused(const struct conf_row *row, const char *name, const char *what, const char *line,
    const char *says)
{
	struct err e = { .text = "" };
	struct buf text, want;
	struct conf *c;

	buf_init(&text, 1 << 20);
	buf_init(&want, 4096);
	buf_printf(&want, "t:%u: %s: ", in_scope(row->scope, line, &text), name);
	c = conf_parse("t", buf_slice(&text), &e);
	ok(c == NULL && strncmp(e.text, buf_str(&want), want.len) == 0 &&
		strstr(e.text + want.len, says) != NULL,
	    "%s of scope %d, %s: %s", name, (int)row->scope, what, e.text);
	conf_free(c);
	buf_free(&text);
	buf_free(&want);
}

/* Does any single word of moderate length do? */
static bool
takes_any_word(const struct conf_row *row)
{
	const struct conf_type *t = row->type;

	return t == &conf_type_text || t == &conf_type_secret || t == &conf_type_name ||
	       t == &conf_type_any || t == &conf_type_list || t == &conf_type_user ||
	       t == &conf_type_enable_signals || t == &conf_type_vmta_choice ||
	       t == &conf_type_header || t == &conf_type_headers || t == &conf_type_host;
}

static void
one_row_wrongly(const struct conf_row *row)
{
	struct buf line, expected;
	char name[80];

	if (strcmp(row->name, "include") == 0)
		return;
	snprintf(name, sizeof(name), "%s",
	    row->name[0] != '\0' ? row->name : "bounce-category-patterns");
	if ((row->flags & CONF_ROW_FAMILY) != 0)
		name[strlen(name) - 1] = 'x';
	buf_init(&line, 1 << 20);
	buf_init(&expected, 2000);
	conf_value_expected(row, &expected);

	if (row->name[0] != '\0')
		refused(row, name, "missing argument", name, buf_str(&expected));
	if (row->type->most < CONF_ARGS_MAX && row->name[0] != '\0') {
		buf_printf(&line, "%s a a a a a", name);
		refused(row, name, "too many", buf_str(&line), "is too much");
	}
	buf_clear(&line);
	buf_printf(&line, "%s", row->name[0] != '\0' ? name : "/x/");
	for (unsigned i = 0; i < row->type->least; i++) {
		buf_addc(&line, ' ');
		for (unsigned n = 0; n < 5000; n++)
			buf_addc(&line, 'a');
	}
	refused(row, name, "overlong", buf_str(&line), "");
	buf_clear(&line);
	buf_printf(&line, "%s", row->name[0] != '\0' ? name : "/x/");
	for (unsigned i = 0; i < row->type->least; i++)
		buf_adds(&line, row->name[0] != '\0' ? " \"? ?\"" : " \"\"");
	if (!takes_any_word(row) || row->type == &conf_type_header ||
	    row->type == &conf_type_headers || row->type == &conf_type_host)
		refused(row, name, "wrong type", buf_str(&line), "");
	buf_free(&line);
	buf_free(&expected);
}

static void
each_row(void)
{
	for (size_t i = 0; i < conf_n_rows; i++) {
		const struct conf_row *row = &conf_rows[i];
		size_t n;
		const struct conf_row *rows = conf_rows_of(row->scope, &n);

		ok(rows <= row && row < rows + n && n <= 64 * CONF_GIVEN_WORDS,
		    "%s stands with those of its scope", row->name);
		ok(row->help != NULL && row->help[0] != '\0' &&
			row->help[strlen(row->help) - 1] != '.',
		    "%s has help", row->name);
		one_row_wrongly(row);
	}
}

/* ---- numbers ---- */

static void
times_and_sizes(void)
{
	static const struct {
		const char *in;
		bool good;
		uint64_t want;
		const char *out;
	} times[] = {
		{ "0", true, 0, "0s" },
		{ "90", true, 90, "1m30s" },
		{ "300s", true, 300, "5m" },
		{ "10m", true, 600, "10m" },
		{ "4d12h", true, 388800, "4d12h" },
		{ "1w2d12h", true, 820800, "9d12h" },
		{ "12H4D", true, 388800, "4d12h" },
		{ "7305d", true, 631152000, "7305d" },
		{ "", false, 0, "" },
		{ "h", false, 0, "" },
		{ "1x", false, 0, "" },
		{ "1h30", false, 0, "" },
		{ "-1h", false, 0, "" },
		{ "1 h", false, 0, "" },
		{ "1.5h", false, 0, "" },
		{ "99999999w", false, 0, "" },
		{ "18446744073709551615s", false, 0, "" },
		{ "9223372036854775807w", false, 0, "" },
	}, sizes[] = {
		{ "0", true, 0, "0" },
		{ "100", true, 100, "100" },
		{ "100b", true, 100, "100" },
		{ "64K", true, 65536, "64k" },
		{ "20M", true, 20 << 20, "20M" },
		{ "1g", true, 1 << 30, "1G" },
		{ "1024g", true, 1ULL << 40, "1T" },
		{ "4500000", true, 4500000, "4500000" },
		{ "", false, 0, "" },
		{ "M", false, 0, "" },
		{ "1mb", false, 0, "" },
		{ "1.5G", false, 0, "" },
		{ "-1", false, 0, "" },
		{ "18446744073709551615", false, 0, "" },
		{ "9223372036854775807t", false, 0, "" },
	};

	for (size_t i = 0; i < COUNT(times) + COUNT(sizes); i++) {
		bool is_time = i < COUNT(times);
		size_t k = is_time ? i : i - COUNT(times);
		const char *in = is_time ? times[k].in : sizes[k].in;
		const char *out = is_time ? times[k].out : sizes[k].out;
		uint64_t want = is_time ? times[k].want : sizes[k].want, n = 0;
		bool good = is_time ? conf_time_parse(slice_str(in), &n)
		                    : conf_size_parse(slice_str(in), &n);
		struct buf b;

		buf_init(&b, 100);
		if (good && is_time)
			conf_time_print(n, &b);
		else if (good)
			conf_size_print(n, &b);
		ok(good == (is_time ? times[k].good : sizes[k].good) && (!good || n == want) &&
			strcmp(buf_str(&b), out) == 0,
		    "%s '%s' is %s", is_time ? "time" : "size", in, buf_str(&b));
		buf_free(&b);
	}
}

static void
rates(void)
{
	static const struct {
		const char *in;
		uint64_t n, seconds;
		const char *out; /* NULL: refused */
	} rows[] = {
		{ "1/min", 1, 60, "1/1m" },
		{ "2/5min", 2, 300, "2/5m" },
		{ "3/hour", 3, 3600, "3/1h" },
		{ "3/h", 3, 3600, "3/1h" },
		{ "3/90s", 3, 90, "3/90s" },
		{ "10/2d", 10, 172800, "10/2d" },
		{ "0", 0, 0, "0" },
		{ "unlimited", CONF_UNLIMITED, 0, "unlimited" },
		{ "5", 0, 0, NULL },
		{ "/min", 0, 0, NULL },
		{ "1/", 0, 0, NULL },
		{ "1/0min", 0, 0, NULL },
		{ "1/fortnight", 0, 0, NULL },
		{ "1/99999999999999999999w", 0, 0, NULL },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		char text[200], line[100];
		struct err e;
		struct conf *c;
		char *out;

		snprintf(text, sizeof(text),
		    "<source 0/0>\nsmtp-max-auth-failure-rate %s\n</source>\n", rows[i].in);
		c = conf_parse("t", slice_str(text), &e);
		if (c == NULL || rows[i].out == NULL) {
			ok(c == NULL && rows[i].out == NULL, "rate %s is refused", rows[i].in);
			conf_free(c);
			continue;
		}
		out = printed(c, false, false);
		snprintf(line, sizeof(line), "smtp-max-auth-failure-rate %s\n", rows[i].out);
		ok(c->sources[0].auth_failures == rows[i].n &&
			c->sources[0].auth_failures_per_s == rows[i].seconds &&
			strstr(out, line) != NULL,
		    "rate %s is %s", rows[i].in, rows[i].out);
		free(out);
		conf_free(c);
	}
}

static void
urls(void)
{
	static const struct {
		const char *url;
		bool good;
	} rows[] = {
		{ "https://api.sparkpost.com/api/v1/ingest/events", true },
		{ "HTTPS://host.example:8443/", true },
		{ "https://192.0.2.1", true },
		{ "https://[2001:db8::1]:443/x?y#z", true },
		{ "http://127.0.0.1:8460/api/v1/ingest/events", true },
		{ "http://127.3.2.1/", true },
		{ "http://[::1]:8460/", true },
		{ "http://[::ffff:127.0.0.1]/", true },
		{ "http://localhost/", true },
		{ "http://LOCALHOST:1/", true },
		{ "http://localhost.example/", false },
		{ "http://127.0.0.1.example/", false },
		{ "http://127.1/", false },
		{ "http://192.0.2.1/", false },
		{ "http://[2001:db8::1]/", false },
		{ "http://0.0.0.0/", false },
		{ "http://127.0.0.1@evil.example/", false },
		{ "http://127.0.0.1\\@evil.example/", false },
		{ "http://127.0.0.1:x@evil.example/", false },
		{ "http://[::1]evil.example/", false },
		{ "http://[::1]:99999/", false },
		{ "http://127.0.0.1:/", false },
		{ "https://user:password@host.example/", false },
		{ "https://user@host.example/", false },
		{ "https:///path", false },
		{ "https://", false },
		{ "https://host.example/a b", false },
		{ "https://host.example/\xc3\xbc", false },
		{ "https://host.example:port/", false },
		{ "ftp://127.0.0.1/", false },
		{ "127.0.0.1:8460", false },
		{ "", false },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct err e = { .text = "" };

		ok((conf_upload_url_check(slice_str(rows[i].url), &e) == 0) == rows[i].good,
		    "'%s' %s", rows[i].url, e.text);
	}
}

/* ---- names that are near ---- */

static void
presets_are_canonical(void)
{
	char *text;
	struct err e;
	struct conf *c = conf_parse("empty", slice_str(""), &e), *again;
	char *more;

	text = printed(c, false, true);
	again = conf_parse("again", slice_str(text), &e);
	more = printed(again, false, true);
	ok(strcmp(text, more) == 0, "defaults are written as they are printed");
	conf_free(c);
	conf_free(again);
	free(text);
	free(more);
}

static void
secrets(void)
{
	static const char text[] = "smtp-server-tls-certificate /c.pem certpassword\n"
				   "<signals>\napi-key " KEY "\n</signals>\n"
				   "<smtp-user u>\npassword hidden-one\n</smtp-user>\n"
				   "<collector>\napi-key " KEY "\n</collector>\n";
	struct err e;
	struct conf *c = conf_parse("t", slice_str(text), &e);
	char *shown = printed(c, true, true), *hidden = printed(c, true, false);

	ok(strstr(shown, KEY) != NULL && strstr(shown, "hidden-one") != NULL,
	    "on demand they are shown");
	ok(strstr(hidden, KEY) == NULL && strstr(hidden, "hidden-one") == NULL &&
		strstr(hidden, "certpassword") == NULL,
	    "else they are not");
	ok(strstr(hidden, "# api-key not shown\n") != NULL, "and a comment says so");
	free(shown);
	free(hidden);
	conf_free(c);
}

/* ---- files ---- */

static char dir[] = "/tmp/t-conf.XXXXXX";

static void
put(const char *name, const char *text)
{
	char path[200];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	if (f == NULL || fputs(text, f) == EOF || fclose(f) == EOF)
		printf("Bail out! %s\n", path);
}

static struct conf *
load(const char *name, struct err *e)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	e->text[0] = '\0';
	return conf_load(path, e);
}

/* "%" in `want` stands for the directory. */
static bool
error_is(const struct err *e, const char *want)
{
	struct buf b;
	bool same;

	buf_init(&b, 2000);
	for (; *want != '\0'; want++)
		if (*want == '%')
			buf_adds(&b, dir);
		else
			buf_addc(&b, *want);
	same = strcmp(buf_str(&b), e->text) == 0;
	if (!same)
		printf("# got  %s\n# want %s\n", e->text, buf_str(&b));
	buf_free(&b);
	return same;
}

static void
includes(void)
{
	struct err e;
	struct conf *c;
	char path[200];

	snprintf(path, sizeof(path), "%s/d", dir);
	mkdir(path, 0700);
	put("d/1.conf", "relay-domain one.example\n");
	put("d/2.conf", "relay-domain two.example\ninclude ../three.conf\n");
	put("three.conf", "relay-domain three.example\n");
	put("main.conf", "include d/*.conf\nrelay-domain four.example\ninclude none*.conf\n"
			 "<source 0/0>\ninclude in-source\n</source>\n");
	put("in-source", "always-allow-relaying yes\n");
	c = load("main.conf", &e);
	ok(c != NULL && c->n_relay_domains == 4 &&
		strcmp(c->relay_domains[0].domain, "one.example") == 0 &&
		strcmp(c->relay_domains[1].domain, "two.example") == 0 &&
		strcmp(c->relay_domains[2].domain, "three.example") == 0 &&
		strcmp(c->relay_domains[3].domain, "four.example") == 0,
	    "wildcards, sorted, relative to the including file %s", e.text);
	ok(c != NULL && c->n_sources == 1 && c->sources[0].always_allow_relaying, "in a block too");
	conf_free(c);

	put("main.conf", "\ninclude missing.conf\n");
	ok(load("main.conf", &e) == NULL &&
		error_is(&e, "%/main.conf:2: include: %/missing.conf: No such file or directory"),
	    "a plain name must be there");
	put("main.conf", "include d\n");
	ok(load("main.conf", &e) == NULL &&
		error_is(&e, "%/main.conf:1: include: %/d: not a regular file"),
	    "a directory");
	snprintf(path, sizeof(path), "%s/fifo", dir);
	mkfifo(path, 0600);
	put("main.conf", "include fifo\n");
	ok(load("main.conf", &e) == NULL &&
		error_is(&e, "%/main.conf:1: include: %/fifo: not a regular file"),
	    "a FIFO");
	put("main.conf", "include a.conf\n");
	put("a.conf", "\n\ninclude main.conf\n");
	ok(load("main.conf", &e) == NULL &&
		error_is(&e,
		    "%/a.conf:3: include: %/main.conf is being read already: it includes itself"),
	    "a loop");
	put("main.conf", "include\n");
	ok(load("main.conf", &e) == NULL &&
		error_is(&e, "%/main.conf:1: include: expected one file name, wildcards allowed"),
	    "no name");
	put("main.conf", "<source 0/0>\ninclude a.conf\n</source>\n");
	put("a.conf", "</source>\n");
	ok(load("main.conf", &e) == NULL && error_is(&e, "%/a.conf:1: </source> closes nothing"),
	    "a file closes only what it opened");
	put("main.conf", "include a.conf\n</source>\n");
	put("a.conf", "<source 0/0>\n");
	ok(load("main.conf", &e) == NULL && error_is(&e, "%/a.conf:1: <source> is not closed"),
	    "and closes all of it");
	put("main.conf", "include a.conf\n");
	put("a.conf", "nonsense\n");
	ok(load("main.conf", &e) == NULL &&
		error_is(&e, "%/a.conf:1: 'nonsense' is not a directive"),
	    "errors name the included file");
	ok(load("absent.conf", &e) == NULL &&
		error_is(&e, "%/absent.conf: No such file or directory"),
	    "no such file");
	for (unsigned i = 0; i < 20; i++) {
		char name[20], text[40];

		snprintf(name, sizeof(name), "deep%u", i);
		snprintf(text, sizeof(text), "include deep%u\n", i + 1);
		put(name, text);
	}
	ok(load("deep0", &e) == NULL &&
		error_is(&e, "%/deep15:1: include: %/deep16: files nested more than 16 deep"),
	    "nested too deep");
}

static void
address_files(void)
{
	struct err e;
	struct conf *c;
	char text[400];

	snprintf(text, sizeof(text),
	    "host-name h.example\n<bounce-processor>\n<address-list>\naddress b@x.example\n"
	    "address-file %s/addresses\naddress "
	    "c@x.example\n</address-list>\n</bounce-processor>\n",
	    dir);
	put("main.conf", text);
	put("addresses", "# comment\nBounce@Example.com\n\n  local-part  # only here\r\n");
	c = load("main.conf", &e);
	ok(c != NULL && c->bounce.addresses.n == 4 &&
		strcmp(c->bounce.addresses.v[1].text, "bounce@example.com") == 0 &&
		strcmp(c->bounce.addresses.v[2].text, "local-part") == 0 &&
		c->bounce.addresses.v[2].at.line == 4,
	    "address-file %s", e.text);
	ok(c != NULL && conf_relay_for(c, slice_str("local-part@h.example")) == CONF_RELAY_BOUNCE &&
		conf_relay_for(c, slice_str("local-part@elsewhere.example")) == CONF_RELAY_NO,
	    "a local part is meant here only");
	conf_free(c);
	put("addresses", "a@b.example\ntwo words\n");
	ok(load("main.conf", &e) == NULL &&
		error_is(&e, "%/main.conf:5: address-file: %/addresses:2: expected one address or "
			     "local part"),
	    "a bad line");
	put("addresses", "@b.example\n");
	ok(load("main.conf", &e) == NULL &&
		error_is(&e,
		    "%/main.conf:5: address-file: %/addresses:1: '@b.example' is not an address"),
	    "a bad address");
}

static void
collect(void *arg, const char *text)
{
	struct buf *b = arg;
	size_t skip = strlen(dir) + 1;

	buf_printf(b, "%s\n", strncmp(text, dir, skip - 1) == 0 ? text + skip : text);
}

static void
all_errors(void)
{
	char path[200];
	struct err e = { .text = "" };
	struct conf *c;
	struct buf all;

	snprintf(path, sizeof(path), "%s/main.conf", dir);
	put("main.conf",
	    "nonsense one\nrelay-debug maybe\n<source 0/0>\nbad\n<virtual-mta x>\n"
	    "ignored here\n</virtual-mta>\n</sauce>\n</source>\nrewrite-list x\n<milter>\n");
	buf_init(&all, 10000);
	c = conf_load_all(path, collect, &all, &e);
	ok(c == NULL &&
		strcmp(buf_str(&all),
		    "main.conf:1: 'nonsense' is not a directive\n"
		    "main.conf:2: relay-debug: expected yes, no, true or false, found 'maybe'\n"
		    "main.conf:4: 'bad' is not a directive\n"
		    "main.conf:5: <virtual-mta> belongs at the top level, not in <source>\n") > 0,
	    "one error does not hide the next");
	ok(strstr(buf_str(&all),
	       "main.conf:8: </sauce>: expected </source> for the <source> of ") != NULL &&
		strstr(buf_str(&all),
		    "main.conf:10: rewrite-list: there is no <rewrite-list> 'x'\n") != NULL &&
		strstr(buf_str(&all), "main.conf:11: <milter> is not closed\n") != NULL,
	    "to the end");
	ok(strstr(buf_str(&all), "ignored here") == NULL,
	    "but nothing of a block that can't be there");
	ok(strstr(e.text, "main.conf:1: 'nonsense'") != NULL, "the first one is returned");
	buf_clear(&all);
	put("main.conf", "<a>\n<a>\n<a>\n<a>\n<a>\n<a>\n<a>\n<a>\n<a>\nafter\n");
	c = conf_load_all(path, collect, &all, &e);
	ok(c == NULL &&
		strcmp(buf_str(&all), "main.conf:1: <a> is not a block\n"
				      "main.conf:9: <a>: blocks nested more than 8 deep\n") == 0,
	    "nested too deep: nothing behind it is looked at");
	buf_clear(&all);
	snprintf(path, sizeof(path), "%s/absent", dir);
	ok(conf_load_all(path, collect, &all, &e) == NULL &&
		strcmp(buf_str(&all), "absent: No such file or directory\n") == 0,
	    "no file is an error too");
	buf_free(&all);
}

/* What is large is refused or read in reasonable time. */
static void
limits(void)
{
	struct buf b;
	struct err e = { .text = "" };
	struct conf *c;

	buf_init(&b, 64 << 20);
	buf_adds(&b, "node-name ");
	while (b.len < 65537)
		buf_addc(&b, 'a');
	c = conf_parse("t", buf_slice(&b), &e);
	ok(c == NULL && strcmp(e.text, "t:1: line longer than 65536 bytes") == 0, "%s", e.text);
	buf_clear(&b);
	for (unsigned i = 0; i < 1001; i++)
		buf_printf(&b, "%s%u", i == 0 ? "<domain *>\ndkim-headers h" : ",h", i);
	c = conf_parse("t", buf_slice(&b), &e);
	ok(c == NULL && strcmp(e.text, "t:2: dkim-headers: more than 1000 arguments") == 0, "%s",
	    e.text);
	buf_clear(&b);
	buf_adds(&b, "<virtual-mta a>\n");
	for (unsigned i = 0; i < 8; i++)
		buf_adds(&b, "<banana>\n");
	c = conf_parse("t", buf_slice(&b), &e);
	ok(c == NULL && strcmp(e.text, "t:2: <banana> is not a block") == 0, "%s", e.text);
	buf_clear(&b);
	for (unsigned i = 0; i < 20000; i++)
		buf_printf(&b,
		    "<virtual-mta v%u>\n</virtual-mta>\nrelay-domain d%u.example\nrelay-debug "
		    "yes\n",
		    i, i);
	c = conf_parse("t", buf_slice(&b), &e);
	ok(c != NULL && c->n_vmtas == 20000 && c->n_relay_domains == 20000 &&
		c->n_warnings == 1000 &&
		strcmp(c->warnings[999].text, "more warnings are not shown") == 0,
	    "20000 of each");
	conf_free(c);
	buf_free(&b);
}

static void
directives(void)
{
	char *text = NULL;
	size_t len = 0;
	bool all = true;
	FILE *f = open_memstream(&text, &len);

	conf_print_directives(false, f);
	conf_print_directives(true, f);
	fclose(f);
	for (size_t i = 0; i < conf_n_rows; i++)
		all = all && strstr(text, conf_rows[i].name) != NULL;
	for (size_t i = 0; i < conf_n_tags; i++)
		all = all && strstr(text, conf_tags[i].name) != NULL;
	ok(all, "the listing has every directive and block");
	free(text);
}

int
main(void)
{
	char command[100];

	if (mkdtemp(dir) == NULL) {
		printf("Bail out! mkdtemp\n");
		return 1;
	}
	whole_files();
	stored();
	defaults();
	tracker();
	mail_log();
	inbound();
	tracking_base();
	error_texts();
	warning_texts();
	each_row();
	times_and_sizes();
	rates();
	urls();
	presets_are_canonical();
	secrets();
	includes();
	address_files();
	all_errors();
	limits();
	directives();
	conf_free(NULL);
	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	if (system(command) != 0)
		printf("# %s is left behind\n", dir);
	return tap_done();
}
