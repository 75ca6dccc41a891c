/* What applies to whom: sources, recipients, domains, signals, rewriting, pools. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/conf.h"
#include "t/tap.h"

#define KEY "0123456789abcdef0123456789abcdef01234567"

static struct conf *
parse(const char *text)
{
	struct err e;
	struct conf *c = conf_parse("t", slice_str(text), &e);

	if (c == NULL) {
		printf("Bail out! %s\n", e.text);
		exit(1);
	}
	return c;
}

/* ---- sources ---- */

static const char source_conf[] =
    "smtp-listener 0.0.0.0:25\n"
    "smtp-listener 0.0.0.0:587 source=submission\n"
    "smtp-listener 192.0.2.1:587 source=inside\n"
    "smtp-listener [::1]:26 source=six\n"
    "<source {auth}>\njobid-prefix auth\nalways-allow-relaying yes\n</source>\n"
    "<source 10.1/16>\njobid-prefix ten-one\n</source>\n"
    "<source submission>\njobid-prefix submission\n</source>\n"
    "<source 0/0>\njobid-prefix all\nlog-data yes\nprocess-x-job yes\n</source>\n"
    "<source 10/8>\njobid-prefix ten\nlog-data no\n</source>\n"
    "<source 10.1.0.0/16>\nretain-x-job yes\n</source>\n"
    "<source inside>\njobid-prefix inside\n</source>\n"
    "<source six>\njobid-prefix six\n</source>\n"
    "<source gold>\njobid-prefix gold\n</source>\n"
    "<source {pickup}>\njobid-prefix pickup\n</source>\n"
    "<source {transmissions-api}>\njobid-prefix never\n</source>\n"
    "<source 2001:db8::/32>\njobid-prefix db8\n</source>\n"
    "<smtp-user joe>\npassword x\nsource Gold\n</smtp-user>\n"
    "<smtp-user ann@b.example>\npassword x\nsource gold\n</smtp-user>\n"
    "<smtp-user bob>\npassword x\nsource {auth}\n</smtp-user>\n";

static void
address_of(const char *text, struct sockaddr_storage *out)
{
	struct sockaddr_in *in = (struct sockaddr_in *)out;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;

	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, text, &in->sin_addr) == 1)
		in->sin_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &in6->sin6_addr) == 1)
		in6->sin6_family = AF_INET6;
}

static void
sources(void)
{
	static const struct {
		const char *addr, *listener;
		unsigned port;
		const char *user;
		const char *prefix; /* which source had the last word */
		bool log_data, retain, relay;
	} rows[] = {
		{ "198.51.100.1", NULL, 0, NULL, "all", true, false, false },
		{ "2001:db9::1", NULL, 0, NULL, "all", true, false, false },
		{ "2001:db8::1", NULL, 0, NULL, "db8", true, false, false },
		{ "10.2.0.1", NULL, 0, NULL, "ten", false, false, false },
		{ "10.1.0.1", NULL, 0, NULL, "ten-one", false, true, false },
		{ "::ffff:10.1.0.1", NULL, 0, NULL, "ten-one", false, true, false },
		{ "10.1.0.1", NULL, 25, NULL, "ten-one", false, true, false },
		{ "10.1.0.1", NULL, 587, NULL, "submission", false, true, false },
		{ "10.1.0.1", "198.51.100.9", 587, NULL, "submission", false, true, false },
		{ "10.1.0.1", "192.0.2.1", 587, NULL, "inside", false, true, false },
		{ "10.1.0.1", "::1", 26, NULL, "six", false, true, false },
		{ "10.1.0.1", "127.0.0.1", 26, NULL, "ten-one", false, true, false },
		{ "10.1.0.1", "192.0.2.1", 588, NULL, "ten-one", false, true, false },
		{ "10.1.0.1", NULL, 587, "stranger", "auth", false, true, true },
		{ "10.1.0.1", NULL, 587, "joe", "gold", false, true, true },
		{ "10.1.0.1", NULL, 587, "joe@realm.example", "gold", false, true, true },
		{ "10.1.0.1", NULL, 587, "JOE", "auth", false, true, true },
		{ "10.1.0.1", NULL, 587, "ann@b.example", "gold", false, true, true },
		{ "10.1.0.1", NULL, 587, "ann", "auth", false, true, true },
		{ "10.1.0.1", NULL, 587, "bob", "auth", false, true, true },
		{ "10.1.0.1", NULL, 587, "", "auth", false, true, true },
		{ NULL, NULL, 0, NULL, "pickup", true, false, false },
		{ NULL, NULL, 0, "joe", "gold", true, false, true },
	};
	struct conf *c = parse(source_conf);

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct sockaddr_storage sa;
		struct conf_peer peer = { .listener_address = rows[i].listener,
			.listener_port = rows[i].port,
			.auth_user = rows[i].user };
		struct conf_source s;

		if (rows[i].addr != NULL) {
			address_of(rows[i].addr, &sa);
			peer.addr = (struct sockaddr *)&sa;
		}
		conf_source_for(c, &peer, &s);
		ok(strcmp(s.jobid_prefix, rows[i].prefix) == 0 && s.log_data == rows[i].log_data &&
			s.retain_x_job == rows[i].retain &&
			s.always_allow_relaying == rows[i].relay && s.process_x_job,
		    "source %zu: %s", i, s.jobid_prefix);
	}
	conf_free(c);
}

/* ---- recipients ---- */

static void
recipients(void)
{
	static const char text[] =
	    "host-name Mail.example.com\n"
	    "relay-domain relay.example\nrelay-domain [*.]both.example\n"
	    "relay-domain *.sub.example\nrelay-domain [192.0.2.0/24]\n"
	    "relay-address vip@far.example\nrelay-address /^list-[0-9]+@far\\.example$/\n"
	    "<bounce-processor>\n<address-list>\ndomain bounces.example\n"
	    "address odd@both.example\naddress /^b-/\n</address-list>\n</bounce-processor>\n"
	    "<feedback-loop-processor>\n<address-list>\ndomain fbl.example\n"
	    "domain bounces.example\naddress fbl@relay.example\n</address-list>\n"
	    "</feedback-loop-processor>\n";
	static const struct {
		const char *rcpt;
		enum conf_relay want;
	} rows[] = {
		{ "a@mail.example.com", CONF_RELAY_YES },
		{ "a@MAIL.Example.com.", CONF_RELAY_YES },
		{ "<a@mail.example.com>", CONF_RELAY_YES },
		{ "a@sub.mail.example.com", CONF_RELAY_NO },
		{ "a@relay.example", CONF_RELAY_YES },
		{ "a@x.relay.example", CONF_RELAY_NO },
		{ "a@norelay.example", CONF_RELAY_NO },
		{ "a@both.example", CONF_RELAY_YES },
		{ "a@x.y.both.example", CONF_RELAY_YES },
		{ "a@badboth.example", CONF_RELAY_NO },
		{ "a@.both.example", CONF_RELAY_NO },
		{ "a@sub.example", CONF_RELAY_NO },
		{ "a@x.sub.example", CONF_RELAY_YES },
		{ "a@[192.0.2.7]", CONF_RELAY_YES },
		{ "a@[192.0.3.7]", CONF_RELAY_NO },
		{ "VIP@far.example", CONF_RELAY_YES },
		{ "a@far.example", CONF_RELAY_NO },
		{ "list-7@far.example", CONF_RELAY_YES },
		{ "list-x@far.example", CONF_RELAY_NO },
		{ "any@bounces.example",
		    CONF_RELAY_BOUNCE }, /* in both lists: bounces come first */
		{ "any@x.bounces.example", CONF_RELAY_NO },
		{ "any@fbl.example", CONF_RELAY_FEEDBACK },
		{ "fbl@relay.example", CONF_RELAY_FEEDBACK },
		{ "Odd@both.example.", CONF_RELAY_BOUNCE },
		{ "b-17@anywhere.example", CONF_RELAY_BOUNCE },
		{ "\"odd\"@both.example", CONF_RELAY_BOUNCE },
		{ "<\"o\\dd\"@both.example>", CONF_RELAY_BOUNCE },
		{ "@far.example,@x.example:odd@both.example", CONF_RELAY_BOUNCE },
		{ "\"b-17\"@anywhere.example", CONF_RELAY_BOUNCE },
		{ "\"vip\"@far.example", CONF_RELAY_YES },
		{ "\"victim%far.example\"@relay.example", CONF_RELAY_NO },
		{ "\"victim\\%far.example\"@relay.example", CONF_RELAY_NO },
		{ "\"\"@relay.example", CONF_RELAY_YES },
		{ "\"\"", CONF_RELAY_NO },
		{ "\"", CONF_RELAY_NO },
		{ "victim%far.example@relay.example", CONF_RELAY_NO },
		{ "far.example!victim@relay.example", CONF_RELAY_NO },
		{ "\"victim@far.example\"@relay.example", CONF_RELAY_NO },
		{ "victim@far.example@relay.example", CONF_RELAY_NO },
		{ "@relay.example:victim@far.example", CONF_RELAY_NO },
		{ "a=b-c=d@relay.example", CONF_RELAY_YES },
		{ "postmaster", CONF_RELAY_YES },
		{ "<Postmaster>", CONF_RELAY_YES },
		{ "root", CONF_RELAY_NO },
		{ "victim%far.example", CONF_RELAY_NO },
		{ "", CONF_RELAY_NO },
		{ "<>", CONF_RELAY_NO },
		{ "@", CONF_RELAY_NO },
		{ "a@", CONF_RELAY_NO },
		{ "a@.", CONF_RELAY_NO },
	};
	struct conf *c = parse(text);

	for (size_t i = 0; i < COUNT(rows); i++)
		ok(conf_relay_for(c, slice_str(rows[i].rcpt)) == rows[i].want, "recipient '%s': %d",
		    rows[i].rcpt, (int)rows[i].want);
	conf_free(c);
	c = parse("host-name h.example\n");
	ok(conf_relay_for(c, slice_str("a@h.example")) == CONF_RELAY_YES &&
		conf_relay_for(c, slice_str("a@x.example")) == CONF_RELAY_NO,
	    "no relay-domain: the host's own");
	conf_free(c);
	c = parse("");
	ok(conf_relay_for(c, slice_str("a@x.example")) == CONF_RELAY_NO, "nothing is ours");
	conf_free(c);
}

static void
many_recipients(void)
{
	struct buf b;
	struct conf *c;
	struct err e;
	int64_t before;
	size_t good = 0;

	buf_init(&b, 16 << 20);
	for (unsigned i = 0; i < 10000; i++)
		buf_printf(&b, "relay-domain d%u.example\nrelay-address u%u@far.example\n", i, i);
	c = conf_parse("t", buf_slice(&b), &e);
	before = clock_mono_ms();
	for (unsigned i = 0; i < 100000; i++) {
		char rcpt[60];

		snprintf(rcpt, sizeof(rcpt), i % 2 == 0 ? "a@d%u.example" : "u%u@far.example",
		    i % 20000);
		good += conf_relay_for(c, slice_str(rcpt)) == CONF_RELAY_YES;
	}
	ok(good == 50000, "10000 relay-domains and addresses: %zu", good);
	/* 100000 walks through 20000 entries would take minutes. */
	ok(clock_mono_ms() - before < 5000, "are found without a walk through all");
	conf_free(c);
	buf_free(&b);
}

/* ---- domains ---- */

static void
domains(void)
{
	static const char text[] =
	    "<domain *>\nretry-after 1m\nmax-smtp-out 1\nbounce-after 1d\n</domain>\n"
	    "<domain a.example>\nbounce-after 2d\n</domain>\n"
	    "<virtual-mta v>\n<domain *>\nretry-after 9m\n</domain>\n"
	    "<domain *.example>\ndkim-sign yes\n</domain>\n</virtual-mta>\n"
	    "<virtual-mta w>\n</virtual-mta>\n"
	    "<virtual-mta-pool p>\nvirtual-mta v\n<domain *.example>\nretry-after 5m\n"
	    "max-smtp-out 5\n</domain>\n<domain [*.]a.example>\nmax-smtp-out 6\n</domain>\n"
	    "<domain a.example>\nmax-smtp-out 7\n</domain>\n</virtual-mta-pool>\n"
	    "domain-macro both one.test,[*.]two.test,x.test\n"
	    "<domain $both>\nmax-smtp-out 3\nretry-after 3m\n</domain>\n"
	    "<domain x.test>\nmax-smtp-out 1\nretry-after 1m\n</domain>\n";
	static const struct {
		const char *vmta;
		bool pool;
		const char *domain;
		uint64_t retry, out, bounce;
		bool sign;
	} rows[] = {
		{ NULL, false, "x.test", 60, 1, 86400, false },
		{ NULL, false, "A.example.", 60, 1, 172800, false },
		{ NULL, true, "x.test", 60, 1, 86400, false },
		{ NULL, true, "x.example", 300, 5, 86400, false },
		{ NULL, true, "a.example", 300, 7, 172800, false },
		{ NULL, true, "b.a.example", 300, 6, 86400, false },
		{ "v", true, "a.example", 540, 7, 172800, true },
		{ "v", true, "x.test", 540, 1, 86400, false },
		{ "v", false, "x.example", 540, 1, 86400, true },
		{ "w", true, "x.example", 300, 5, 86400, false },
		{ "w", false, "", 60, 1, 86400, false },
		{ NULL, false, "one.test", 180, 3, 86400, false },
		{ "v", false, "a.two.test", 540, 3, 86400, false },
		{ NULL, false, "a.one.test", 60, 1, 86400, false },
	};
	struct conf *c = parse(text);

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct conf_domain d;

		conf_domain_for(c, conf_vmta_find(c, rows[i].vmta),
		    rows[i].pool ? conf_pool_find(c, "P") : NULL, slice_str(rows[i].domain), &d);
		ok(d.retry_after_s == rows[i].retry && d.max_smtp_out == rows[i].out &&
			d.bounce_after_s == rows[i].bounce &&
			(d.dkim_sign == CONF_DKIM_YES) == rows[i].sign,
		    "%s %s '%s'", rows[i].vmta == NULL ? "-" : rows[i].vmta,
		    rows[i].pool ? "p" : "-", rows[i].domain);
	}
	ok(conf_vmta_find(c, "p") == NULL && conf_pool_find(c, "v") == NULL &&
		conf_vmta_find(c, "none") == NULL,
	    "pools and virtual MTAs are told apart");
	conf_free(c);
}

static void
pools(void)
{
	struct conf *c =
	    parse("<virtual-mta a>\n</virtual-mta>\n<virtual-mta b>\n</virtual-mta>\n"
		  "<virtual-mta-pool p>\nvirtual-mta a\nvirtual-mta b\nvirtual-mta a\n"
		  "</virtual-mta-pool>\n<virtual-mta-pool none>\n</virtual-mta-pool>\n");
	const struct conf_pool *p = conf_pool_find(c, "p");
	char seen[7] = "";

	for (size_t i = 0; i < 6; i++)
		seen[i] = conf_pool_next(p)->name[0];
	ok(strcmp(seen, "abaaba") == 0, "members in turn: %s", seen);
	ok(conf_pool_next(conf_pool_find(c, "none")) == NULL, "no member");
	conf_free(c);
}

/* ---- signals ---- */

static void
signals(void)
{
	static const char text[] =
	    "<signals>\napi-key " KEY "\n</signals>\n"
	    "<signals-filter f>\nsender-or-from *.customer1.com enable-signals\n"
	    "sender-or-from transact.customer1.com disable-signals\n"
	    "sender-or-from customer2.com enable-signals,subaccount=2\n</signals-filter>\n"
	    "<virtual-mta on>\nenable-signals true,subaccount=7\n</virtual-mta>\n"
	    "<virtual-mta off>\nenable-signals false\n</virtual-mta>\n"
	    "<virtual-mta unsaid>\n</virtual-mta>\n"
	    "<virtual-mta-pool filter>\nvirtual-mta on\nenable-signals F\n</virtual-mta-pool>\n";
	static const struct {
		const char *vmta, *pool, *sender;
		bool want;
		uint64_t subaccount; /* 0: none */
	} rows[] = {
		{ NULL, NULL, "x.example", true, 0 }, /* there is a <signals> block */
		{ "on", NULL, "x.example", true, 7 }, { "off", NULL, "x.example", false, 0 },
		{ "unsaid", NULL, "x.example", true, 0 }, { "on", "filter", "x.example", true, 7 },
		{ "off", "filter", "mail.customer1.com", false, 0 },
		{ "unsaid", "filter", "mail.customer1.com", true, 0 },
		{ "unsaid", "filter", "transact.customer1.com", false, 0 }, /* the exact one wins */
		{ "unsaid", "filter", "Customer2.com", true, 2 },
		{ "unsaid", "filter", "customer1.com", false, 0 },
		{ "unsaid", "filter", "", false, 0 }, /* no match is off */
	};
	struct conf *c = parse(text), *none = parse("");
	bool has;
	uint64_t n;

	for (size_t i = 0; i < COUNT(rows); i++) {
		bool on = conf_signals_for(c, conf_vmta_find(c, rows[i].vmta),
		    conf_pool_find(c, rows[i].pool), slice_str(rows[i].sender), &has, &n);

		ok(on == rows[i].want && has == (rows[i].subaccount != 0) &&
			n == rows[i].subaccount,
		    "signals %zu for '%s'", i, rows[i].sender);
	}
	ok(!conf_signals_for(none, NULL, NULL, slice_str("x"), &has, &n), "no <signals>: off");
	conf_free(none);
	conf_free(c);
}

/* ---- rewriting ---- */

static void
rewriting(void)
{
	static const char text[] =
	    "<rewrite-list l>\n"
	    "mail-from *@* *@any.example\n"
	    "mail-from *@b.example *@bounce.example\n"
	    "mail-from a@* first@*\n"
	    "mail-from a@b.example exact@x.example\n"
	    "mail-from <> null@x.example\n"
	    "mail-from gone@b.example <>\n"
	    "mail-from twice@b.example one@x.example\n"
	    "mail-from twice@b.example two@x.example\n"
	    "from-domain * star.example\nfrom-domain *.b.example sub.example\n"
	    "from-domain b.example exact.example\n</rewrite-list>\n"
	    "<rewrite-list empty>\n</rewrite-list>\n";
	static const struct {
		const char *from, *want; /* NULL: no rule */
	} rows[] = {
		{ "a@b.example", "exact@x.example" },
		{ "A@B.Example", "exact@x.example" },
		{ "a@other.example", "first@other.example" },
		{ "x@b.example", "x@bounce.example" },
		{ "x@b.example.", "x@bounce.example" },
		{ "<X@b.example>", "X@bounce.example" }, /* as it was written */
		{ "x@other.example", "x@any.example" },
		{ "gone@b.example", "" },
		{ "twice@b.example", "two@x.example" },
		{ "", "null@x.example" },
		{ "<>", "null@x.example" },
		{ "no-domain", "no-domain@any.example" },
	};
	static const struct {
		const char *domain, *want;
	} from[] = { { "B.example", "exact.example" }, { "x.b.example", "sub.example" },
		{ "other", "star.example" }, { "", "star.example" } };
	struct conf *c = parse(text);
	const struct conf_rewrite_list *l = &c->rewrite_lists[0], *empty = &c->rewrite_lists[1];
	struct buf out;

	buf_init(&out, 1000);
	for (size_t i = 0; i < COUNT(rows); i++)
		ok(conf_rewrite_mail_from(l, slice_str(rows[i].from), &out) &&
			strcmp(buf_str(&out), rows[i].want) == 0,
		    "MAIL FROM '%s' is '%s'", rows[i].from, buf_str(&out));
	ok(!conf_rewrite_mail_from(empty, slice_str("a@b.example"), &out) &&
		!conf_rewrite_mail_from(NULL, slice_str("a@b.example"), &out),
	    "no rule");
	for (size_t i = 0; i < COUNT(from); i++)
		ok(strcmp(conf_rewrite_from_domain(l, slice_str(from[i].domain)), from[i].want) ==
			0,
		    "From: '%s'", from[i].domain);
	ok(conf_rewrite_from_domain(empty, slice_str("b.example")) == NULL &&
		conf_rewrite_from_domain(NULL, slice_str("b.example")) == NULL,
	    "no rule for From:");
	buf_free(&out);
	conf_free(c);
}

/* ---- what goes on ---- */

static const struct {
	const char *conf, *relay;
	unsigned port;
	const char *own, *other; /* clients */
} relays[] = {
	{ "", "127.0.0.1", 25, "127.0.0.1", "192.0.2.1" },
	{ "smtp-listener 0.0.0.0:587\nsmtp-listener 0.0.0.0:2525\n", "127.0.0.1", 2525, "127.9.9.9",
	    "10.0.0.1" },
	{ "smtp-listener [::]:25\n", "::1", 25, "::1", "2001:db8::1" },
	{ "smtp-listener 192.0.2.1:25\n", "192.0.2.1", 25, "192.0.2.1", "192.0.2.2" },
	{ "smtp-listener 192.0.2.1:465\n", "127.0.0.1", 25, "127.0.0.1", "192.0.2.1" },
	{ "smtp-listener 0.0.0.0:25\n<inbound>\nonward-relay [2001:db8::7]:26\n</inbound>\n",
	    "2001:db8::7", 26, "2001:db8::7", "2001:db8::8" },
};

static bool
is_own(const struct conf *c, const char *ip)
{
	struct sockaddr_storage ss = { 0 };
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

	if (inet_pton(AF_INET, ip, &in.sin_addr) == 1)
		memcpy(&ss, &in, sizeof(in));
	else if (inet_pton(AF_INET6, ip, &in6.sin6_addr) == 1)
		memcpy(&ss, &in6, sizeof(in6));
	return conf_onward_client(c, (const struct sockaddr *)&ss);
}

static void
onward(void)
{
	struct conf *c;
	struct buf address;
	unsigned port;

	buf_init(&address, 100);
	for (size_t i = 0; i < COUNT(relays); i++) {
		c = parse(relays[i].conf);
		conf_onward_relay(c, &address, &port);
		ok(strcmp(buf_str(&address), relays[i].relay) == 0 && port == relays[i].port,
		    "relay %zu: %s:%u", i, buf_str(&address), port);
		ok(is_own(c, relays[i].own), "%s is this host", relays[i].own);
		ok(!is_own(c, relays[i].other), "%s is not", relays[i].other);
		conf_free(c);
	}
	buf_free(&address);
	c = parse("<bounce-processor>\nforward-unmatched-to a@b.example\n</bounce-processor>\n"
		  "<feedback-loop-processor>\nforward-errors-to C@d.example\n"
		  "</feedback-loop-processor>\n");
	ok(conf_is_forward(c, SLICE_LIT("A@B.example")) &&
		conf_is_forward(c, SLICE_LIT("c@d.example")),
	    "forwards");
	ok(!conf_is_forward(c, SLICE_LIT("x@b.example")) && !conf_is_forward(c, SLICE_LIT("")),
	    "others are none");
	conf_free(c);
}

int
main(void)
{
	onward();
	sources();
	recipients();
	many_recipients();
	domains();
	pools();
	signals();
	rewriting();
	return tap_done();
}
