/*
 * What becomes of a message: configuration, envelope and headers in; return path,
 * log line, event line and message out. A row is a case.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/outgoing.h"
#include "t/tap.h"

#define MAX 4 /* texts a row looks for */

/* Three of these make a domain that leaves no room for a local part of 64 bytes. */
#define LABEL   "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff"
#define LOCAL64 "0123456789012345678901234567890123456789012345678901234567890123"

static const char base_conf[] =
    "host-name mail.example.com\n"
    "node-name node1\n"
    "<source 0/0>\n    rewrite-list mfrom\n</source>\n"
    "<source {auth}>\n    always-allow-relaying yes\n    process-x-job true\n"
    "    default-virtual-mta default\n</source>\n"
    "<rewrite-list mfrom>\n"
    "    mail-from *@example.com *@bounces.example.com\n"
    "    mail-from ceo@example.com <>\n"
    "    mail-from *@long.example *@" LABEL "." LABEL "." LABEL ".example\n"
    "    from-domain old.example new.example\n"
    "</rewrite-list>\n"
    "<virtual-mta mta1>\n    smtp-source-host 192.0.2.10 mta1.example.com\n</virtual-mta>\n"
    "<virtual-mta mta2>\n    smtp-source-host 192.0.2.11 mta2.example.com\n</virtual-mta>\n"
    "<virtual-mta-pool default>\n    virtual-mta mta1\n</virtual-mta-pool>\n"
    "<virtual-mta-pool two>\n    virtual-mta mta1\n    virtual-mta mta2\n</virtual-mta-pool>\n";

static const char base_signals[] =
    "<signals>\n    api-key 0123456789abcdef0123456789abcdef01234567\n</signals>\n";

#define TRACKED "<signals>\n engagement-tracking sparkpost\n</signals>\n"

struct row {
	const char *name;
	const char *conf; /* added to base_conf */
	const char *auth; /* NULL: not authenticated */
	const char *from; /* MAIL FROM */
	const char *rcpts[3];
	const char *headers; /* a body "hello" follows */
	const char *env;     /* the new MAIL FROM, NULL: unchanged */
	const char *log[MAX], *event[MAX], *has[MAX], *has_not[MAX];
};

static const struct row rows[] = {
	{ "the demo's message", "", "joe", "a@example.com", { "Anna@Example.net" },
	    "From: News <news@example.com>\nSubject: Hi\nX-Job: spring sale\n",
	    "a@bounces.example.com",
	    { "auth=joe from=<a@example.com> env=<a@bounces.example.com>", "campaign=spring_sale",
		"vmta=mta1 pool=default", "events=1" },
	    { "\"campaign_id\":\"spring_sale\"", "\"rcpt_to\":\"anna@example.net\"",
		"\"queue_id\":\"4jXMBc3lJMz1bpFY\"", "\"sending_ip\":\"192.0.2.10\"" },
	    { "Subject: Hi\n", "X-Signalpost-ID: ", "\n\nhello\n" }, { "X-Job" } },
	{ "not authenticated: no job, no virtual MTA", "", NULL, "a@example.com", { "b@x.example" },
	    "From: a@example.com\nX-Job: j\n", "a@bounces.example.com",
	    { "client=192.0.2.1 from=", "dkim=none(untrusted-source)" },
	    { "\"msg_from\":\"a@bounces.example.com\"" }, { "X-Job: j\n" }, { NULL } },
	{ "exact beats wildcard, whatever the order", "", "joe", "ceo@example.com",
	    { "b@x.example" }, "From: a@example.com\n", "", { "env=<>" }, { NULL }, { NULL },
	    { NULL } },
	{ "the null sender is left alone", "", "joe", "", { "b@x.example" },
	    "From: a@example.com\n", NULL, { "from=<> to=" }, { NULL }, { NULL }, { NULL } },
	{ "an address that can't be one stays as it was", "", "joe", LOCAL64 "@long.example",
	    { "b@x.example" }, "From: a@example.com\n", NULL, { "env=invalid(unchanged)" },
	    { NULL }, { NULL }, { NULL } },
	{ "From is rewritten", "", "joe", "a@other.example", { "b@x.example" },
	    "From: \"a@old.example\" <a@old.example>\n", NULL, { "dkim=" },
	    { "\"friendly_from\":\"a@new.example\"" },
	    { "From: \"a@old.example\" <a@new.example>\n" }, { NULL } },
	{ "From is rewritten: an address in its name, a fold", "", "joe", "a@other.example",
	    { "b@x.example" },
	    "From: \"x <a@old.example>\" (a@old.example)\n <a@\n\tOLD.example (c)>\n", NULL,
	    { "dkim=" }, { "\"friendly_from\":\"a@new.example\"" },
	    { "From: \"x <a@old.example>\" (a@old.example)\n <a@\n\tnew.example (c)>\n" },
	    { NULL } },
	{ "From is rewritten: all mailboxes, and no others", "", "joe", "a@other.example",
	    { "b@x.example" },
	    "From: b@x.example, T: a@old.example, \"q@old.example\"@old.example; "
	    "<@old.example:c@x.old.example>\n",
	    NULL, { "dkim=" }, { "\"friendly_from\":\"b@x.example\"" },
	    { "From: b@x.example, T: a@new.example, \"q@old.example\"@new.example; "
	      "<@old.example:c@x.old.example>\n" },
	    { NULL } },
	{ "verp", "<source {auth}>\n verp-default yes\n</source>\n", "joe", "a@example.com",
	    { "jdoe@yahoo.example" }, "From: a@example.com\n",
	    "a-jdoe=yahoo.example@bounces.example.com", { "verp=recipient" },
	    { "\"msg_from\":\"a-jdoe=yahoo.example@bounces.example.com\"" }, { NULL }, { NULL } },
	{ "verp names one recipient only", "<source {auth}>\n verp-default yes\n</source>\n", "joe",
	    "a@example.com", { "b@x.example", "c@x.example" }, "From: a@example.com\n",
	    "a@bounces.example.com", { "verp=multi-recipient", "rcpts=2", "events=2" },
	    { "\"rcpt_to\":\"b@x.example\"", "\"rcpt_to\":\"c@x.example\"" }, { NULL }, { NULL } },
	{ "verp of a quoted recipient", "<source {auth}>\n verp-default yes\n</source>\n", "joe",
	    "a@example.com", { "\"b c\"@x.example" }, "From: a@example.com\n",
	    "a@bounces.example.com", { "verp=too-long-or-unsafe" }, { NULL }, { NULL }, { NULL } },
	{ "retain-x-job", "<source {auth}>\n retain-x-job yes\n</source>\n", "joe", "a@example.com",
	    { "b@x.example" }, "From: a@example.com\nX-Job: a \"b\"\n", "a@bounces.example.com",
	    { "campaign=a__b_" }, { "\"campaign_id\":\"a__b_\"" }, { "X-Job: a \"b\"\n" },
	    { NULL } },
	{ "jobid-header stands in for X-Job and stays",
	    "<source {auth}>\n jobid-header X-Campaign\n jobid-prefix p-\n</source>\n", "joe",
	    "a@example.com", { "b@x.example" }, "From: a@example.com\nX-Campaign: c1\n",
	    "a@bounces.example.com", { "campaign=p-c1" }, { NULL }, { "X-Campaign: c1\n" },
	    { NULL } },
	{ "X-Job wins over jobid-header, prefix {auth}",
	    "<source {auth}>\n jobid-header X-Campaign\n jobid-prefix {auth}\n</source>\n", "joe",
	    "a@example.com", { "b@x.example" }, "From: a@example.com\nX-Campaign: c1\nX-Job: j1\n",
	    "a@bounces.example.com", { "campaign=joej1" }, { NULL }, { NULL }, { "X-Job:" } },
	{ "a campaign is 64 bytes at most", "", "joe", "a@example.com", { "b@x.example" },
	    "From: a@example.com\n"
	    "X-Job: 0123456789012345678901234567890123456789012345678901234567890123TOOLONG\n",
	    "a@bounces.example.com", { NULL },
	    { "\"campaign_id\":"
	      "\"0123456789012345678901234567890123456789012345678901234567890123\"" },
	    { NULL }, { NULL } },
	{ "x-virtual-mta names a virtual MTA",
	    "<source {auth}>\n process-x-virtual-mta yes\n</source>\n", "joe", "a@example.com",
	    { "b@x.example" }, "From: a@example.com\nX-Virtual-MTA: mta2\n",
	    "a@bounces.example.com", { "vmta=mta2 id=" }, { "\"sending_ip\":\"192.0.2.11\"" },
	    { NULL }, { "X-Virtual-MTA" } },
	{ "x-virtual-mta names none that is there",
	    "<source {auth}>\n process-x-virtual-mta yes\n retain-x-virtual-mta yes\n</source>\n",
	    "joe", "a@example.com", { "b@x.example" }, "From: a@example.com\nX-Virtual-MTA: nix\n",
	    "a@bounces.example.com", { "vmta=mta1 pool=default x-virtual-mta=unknown" }, { NULL },
	    { "X-Virtual-MTA: nix" }, { NULL } },
	{ "X-MSYS-API", "", "joe", "a@example.com", { "b@x.example" },
	    "From: a@example.com\nX-MSYS-API: {\"campaign_id\":\"c "
	    "9\",\"options\":{\"ip_pool\":\"two\"},\n"
	    " \"metadata\":{\"k\":\"v\"},\"tags\":[\"t\"]}\n",
	    "a@bounces.example.com", { "campaign=c_9", "pool=two" },
	    { "\"rcpt_meta\":{\"k\":\"v\"}", "\"rcpt_tags\":[\"t\"]", "\"binding_group\":\"two\"" },
	    { NULL }, { "X-MSYS-API" } },
	{ "X-MSYS-API that is broken", "", "joe", "a@example.com", { "b@x.example" },
	    "From: a@example.com\nX-MSYS-API: {nonsense\nX-Job: j\n", "a@bounces.example.com",
	    { "x-msys-api=bad", "campaign=j" }, { NULL }, { NULL }, { "X-MSYS-API" } },
	{ "X-MSYS-API of somebody who may not relay", "", NULL, "a@example.com", { "b@x.example" },
	    "From: a@example.com\nX-MSYS-API: {\"campaign_id\":\"c\"}\n", "a@bounces.example.com",
	    { "events=1" }, { NULL }, { "X-MSYS-API: " }, { NULL } },
	{ "a subaccount by header", "<signals>\n process-x-sp-subaccount-id yes\n</signals>\n",
	    "joe", "a@example.com", { "b@x.example" },
	    "From: a@example.com\nX-SP-Subaccount-ID: 7\n", "a@bounces.example.com",
	    { "subaccount=7" }, { "\"subaccount_id\":7" }, { NULL }, { "X-SP-Subaccount-ID" } },
	{ "a subaccount that is none",
	    "<signals>\n process-x-sp-subaccount-id yes\n retain-x-sp-subaccount-id "
	    "yes\n</signals>\n",
	    "joe", "a@example.com", { "b@x.example" },
	    "From: a@example.com\nX-SP-Subaccount-ID: 0\n", "a@bounces.example.com", { "events=1" },
	    { "\"subaccount_id\":0" }, { "X-SP-Subaccount-ID: 0" }, { NULL } },
	{ "a subaccount by configuration", "enable-signals true,subaccount=12\n", "joe",
	    "a@example.com", { "b@x.example" }, "From: a@example.com\n", "a@bounces.example.com",
	    { "subaccount=12" }, { "\"subaccount_id\":12" }, { NULL }, { NULL } },
	{ "signals off: no events, no id", "enable-signals false\n", "joe", "a@example.com",
	    { "b@x.example" }, "From: a@example.com\nX-Signalpost-ID: forged\n",
	    "a@bounces.example.com", { "events=off" }, { NULL }, { NULL }, { "X-Signalpost-ID" } },
	{ "a filter goes by Sender before From",
	    "<signals-filter f>\n sender-or-from *.c1.example enable-signals\n"
	    " sender-or-from t.c1.example disable-signals\n</signals-filter>\nenable-signals f\n",
	    "joe", "a@example.com", { "b@x.example" },
	    "From: a@x.c1.example\nSender: a@t.c1.example\n", "a@bounces.example.com",
	    { "events=off" }, { NULL }, { NULL }, { NULL } },
	{ "custom-message-id-header", "<signals>\n custom-message-id-header X-My-ID\n</signals>\n",
	    "joe", "a@example.com", { "b@x.example" }, "From: a@example.com\nX-My-ID: id-1\n",
	    "a@bounces.example.com", { NULL }, { "\"custom_message_id\":\"id-1\"" },
	    { "X-My-ID: id-1\n" }, { NULL } },
	{ "what a report will quote", "<source {auth}>\n process-x-envid yes\n</source>\n", "joe",
	    "a@example.com", { "b@x.example" },
	    "From: a@example.com\nMessage-ID:\n  <one@a.example> \nX-Envid: a+b=1\n",
	    "a@bounces.example.com", { NULL },
	    { "\"header_message_id\":\"one@a.example\"", "\"envid\":\"a+b=1\"" }, { NULL },
	    { "X-Envid" } },
	{ "privacy-policy sha1", "<signals>\n privacy-policy sha1\n</signals>\n", "joe",
	    "a@example.com", { "B@X.example" }, "From: a@example.com\n", "a@bounces.example.com",
	    { "events=1" }, { "\"rcpt_hash\":\"", "\"rcpt_domain\":\"x.example\"" }, { NULL },
	    { NULL } },
	{ "a forged id header is replaced", "", "joe", "a@example.com", { "b@x.example" },
	    "From: a@example.com\nX-Signalpost-ID: forged\n", "a@bounces.example.com", { NULL },
	    { NULL }, { "X-Signalpost-ID: " }, { "forged" } },
	{ "missing headers are added",
	    "<source {auth}>\n add-date-header yes\n add-message-id-header yes\n</source>\n", "joe",
	    "a@example.com", { "b@x.example" }, "From: a@example.com\n", "a@bounces.example.com",
	    { NULL }, { NULL },
	    { "Date: Tue, 04 Aug 2026 12:00:00 +0000\n", "Message-ID: <0000",
		"@mail.example.com>\n" },
	    { NULL } },
	{ "a subject in other words", "", "joe", "a@example.com", { "b@x.example" },
	    "From: a@example.com\nSubject: =?iso-8859-1?Q?Gr=FC=DFe?=\n", "a@bounces.example.com",
	    { NULL }, { "\"subject\":\"Gr\303\274\303\237e\"" }, { "=?iso-8859-1?Q?Gr=FC=DFe?=" },
	    { NULL } },
	{ "a subject in raw Latin-1", "", "joe", "a@example.com", { "b@x.example" },
	    "From: a@example.com\nSubject: Gr\374\337e\n", "a@bounces.example.com", { NULL },
	    { "\"subject\":\"Gr\303\274\303\237e\"" }, { "Gr\374\337e" }, { NULL } },
	{ "dkim-sign without a key for the domain", "<domain *>\n dkim-sign yes\n</domain>\n",
	    "joe", "a@example.com", { "b@x.example" }, "From: a@example.com\n",
	    "a@bounces.example.com", { "dkim=none(no-key)" }, { NULL }, { NULL },
	    { "DKIM-Signature" } },
	{ "links and pixels", TRACKED, "joe", "a@example.com", { "B@x.example" },
	    "From: a@example.com\nContent-Type: text/html\n", "a@bounces.example.com",
	    { "links=0 pixels=2" },
	    { "\"open_tracking\":true", "\"click_tracking\":false", "\"initial_pixel\":true" },
	    { "src=\"https://mail.example.com/i/", "hello\n<img", "/o/" }, { NULL } },
	{ "engagement tracking is off", "", "joe", "a@example.com", { "b@x.example" },
	    "From: a@example.com\nContent-Type: text/html\n", "a@bounces.example.com",
	    { "track=none(off)" }, { "\"open_tracking\":false" }, { NULL }, { "<img" } },
	{ "two readers can't share a token", TRACKED, "joe", "a@example.com",
	    { "b@x.example", "c@x.example" }, "From: a@example.com\nContent-Type: text/html\n",
	    "a@bounces.example.com", { "track=none(multi-recipient)" }, { NULL }, { NULL },
	    { "<img" } },
	{ "data-msys-clicktrack goes where nothing is tracked, too", TRACKED, "joe",
	    "a@example.com", { "b@x.example", "c@x.example" },
	    "From: a@example.com\nContent-Type: text/html\n\n<a href=\"http://x/\"\n "
	    "data-msys-clicktrack=\"0\">x</a> <a href=http://y/>y</a>\n",
	    "a@bounces.example.com", { "track=none(multi-recipient)" }, { NULL },
	    { "\n<a href=\"http://x/\">x</a> <a href=http://y/>y</a>\n" }, { "<img" } },
	{ "data-msys-clicktrack goes if X-MSYS-API says no", TRACKED, "joe", "a@example.com",
	    { "b@x.example" },
	    "From: a@example.com\nContent-Type: text/html\n"
	    "X-MSYS-API: {\"options\":{\"open_tracking\":false,\"click_tracking\":false}}\n\n"
	    "<a href=http://y data-msys-clicktrack=0>y</a>\n",
	    "a@bounces.example.com", { "track=none(x-msys-api)" }, { NULL },
	    { "<a href=http://y>y</a>\n" }, { "<img" } },
	{ "and stays if tracking is off", "", "joe", "a@example.com", { "b@x.example" },
	    "From: a@example.com\nContent-Type: text/html\n\n<a data-msys-clicktrack=0>y</a>\n",
	    "a@bounces.example.com", { "track=none(off)" }, { NULL }, { "data-msys-clicktrack" },
	    { NULL } },
	{ "nobody else's mail is tracked", TRACKED, NULL, "a@example.com", { "b@x.example" },
	    "From: a@example.com\nContent-Type: text/html\n", "a@bounces.example.com",
	    { "track=none(untrusted-source)" }, { NULL }, { NULL }, { "<img" } },
	{ "X-MSYS-API says no opens", TRACKED, "joe", "a@example.com", { "b@x.example" },
	    "From: a@example.com\nContent-Type: text/html\n"
	    "X-MSYS-API: {\"options\":{\"open_tracking\":false}}\n",
	    "a@bounces.example.com", { "links=0 pixels=0" }, { "\"open_tracking\":false" },
	    { NULL }, { "<img" } },
	{ "X-MSYS-API says no to both", TRACKED, "joe", "a@example.com", { "b@x.example" },
	    "From: a@example.com\nContent-Type: text/html\n"
	    "X-MSYS-API: {\"options\":{\"open_tracking\":false,\"click_tracking\":false}}\n",
	    "a@bounces.example.com", { "track=none(x-msys-api)" }, { NULL }, { NULL }, { "<img" } },
	{ "tracking with signals off", TRACKED "enable-signals false\n", "joe", "a@example.com",
	    { "b@x.example" }, "From: a@example.com\nContent-Type: text/html\n",
	    "a@bounces.example.com", { "track=none(signals-off)" }, { NULL }, { NULL },
	    { "<img" } },
	{ "the envelope id", "<source {auth}>\n process-x-envid yes\n</source>\n", "joe",
	    "a@example.com", { "b@x.example" }, "From: a@example.com\nX-Envid: a+b=c\n",
	    "a@bounces.example.com", { NULL }, { NULL }, { NULL }, { "X-Envid" } },
};

static bool
contains(const struct buf *in, const char *what)
{
	return memmem(buf_str(in), in->len, what, strlen(what)) != NULL;
}

static void
look_for(const struct row *r, const char *where, const struct buf *in, const char *const *texts,
    bool wanted)
{
	for (size_t i = 0; i < MAX && texts[i] != NULL; i++)
		if (!ok(contains(in, texts[i]) == wanted, "%s: %s %s %s", r->name, where,
			wanted ? "has" : "has not", texts[i]))
			printf("# %s\n", buf_str(in));
}

static void
run(const struct row *r, const struct conf *c, const struct token_ring *ring)
{
	struct err e = { .text = "" };
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct conf_peer peer = { .addr = (const struct sockaddr *)&sin, .auth_user = r->auth };
	struct signing_keys *keys = signing_keys_load(c, &e);
	struct outgoing_context ctx = { c, keys, ring };
	struct conf_source src;
	struct slice rcpts[3];
	struct outgoing_envelope env = {
		.source = &src,
		.auth_user = r->auth,
		.client_ip = "192.0.2.1",
		.queue_id = "4jXMBc3lJMz1bpFY",
		.from = slice_str(r->from),
		.rcpts = rcpts,
		.size = 1234,
		.now = 1785844800,
	};
	struct outgoing o;
	struct message m;
	struct buf text, lines, log;
	int n;

	while (env.n_rcpts < COUNT(rcpts) && r->rcpts[env.n_rcpts] != NULL) {
		rcpts[env.n_rcpts] = slice_str(r->rcpts[env.n_rcpts]);
		env.n_rcpts++;
	}
	inet_pton(AF_INET, "192.0.2.1", &sin.sin_addr);
	conf_source_for(c, &peer, &src);
	buf_init(&text, 1 << 20);
	buf_init(&lines, 1 << 20);
	buf_init(&log, 1 << 16);
	buf_adds(&text, r->headers);
	buf_adds(&text, "\nhello\n");
	message_init(&m, 1 << 20);
	message_parse(&m, buf_slice(&text));
	outgoing_init(&o);
	outgoing_decide(&ctx, &env, &m, &o);
	ok(outgoing_edit(&ctx, &env, &m, &o, &e) == 0, "%s: edited %s", r->name, e.text);
	n = outgoing_events(&ctx, &env, &o, &lines, &e);
	ok(n == (o.signals ? (int)env.n_rcpts : 0), "%s: %d events %s", r->name, n, e.text);
	o.events = n > 0 ? (size_t)n : 0;
	ok(o.from_changed == (r->env != NULL) &&
		slice_eq(buf_slice(&o.new_from), slice_str(r->env != NULL ? r->env : r->from)),
	    "%s: MAIL FROM <%s>", r->name, buf_str(&o.new_from));
	outgoing_log(&env, &o, &log);
	buf_clear(&text);
	message_print(&m, false, &text);
	look_for(r, "log", &log, r->log, true);
	look_for(r, "event", &lines, r->event, true);
	look_for(r, "message", &text, r->has, true);
	look_for(r, "message", &text, r->has_not, false);
	for (struct slice rest = buf_slice(&lines), line; slice_line(&rest, &line);) {
		struct buf store;
		struct event ev;

		buf_init(&store, EVENT_LINE_MAX);
		ok(event_read(line, &ev, &store, &e) == 0 && ev.type == EVENT_RECEPTION,
		    "%s: event reads back %s", r->name, e.text);
		buf_free(&store);
	}
	outgoing_free(&o);
	message_free(&m);
	buf_free(&text);
	buf_free(&lines);
	buf_free(&log);
	signing_keys_free(keys);
}

static void
rejections(const struct token_ring *ring)
{
	struct err e = { .text = "" };
	struct conf *c = conf_parse("t.conf",
	    SLICE_LIT("<signals>\napi-key 0123456789abcdef0123456789abcdef01234567\n</signals>\n"),
	    &e);
	struct outgoing_context ctx = { c, NULL, ring };
	struct conf_source src = { 0 };
	struct outgoing_envelope env = {
		.source = &src,
		.auth_user = "joe",
		.client_ip = "203.0.113.9",
		.from = SLICE_LIT("a@example.com"),
		.now = 1785844800,
	};
	struct buf line;

	buf_init(&line, 65536);
	ok(outgoing_rejection(&ctx, &env, SLICE_LIT("T@Strange.example"), "550",
	       "550 5.7.1 relaying denied for recipient in \"RCPT TO:<T@Strange.example>\"", &line,
	       &e) == 1,
	    "a rejection %s", e.text);
	ok(contains(&line, "\"type\":\"rejection\"") &&
		contains(&line, "\"bounce_class\":\"25\"") &&
		contains(&line, "\"error_code\":\"550\"") &&
		contains(&line, "\"raw_rcpt_to\":\"T@Strange.example\"") &&
		contains(&line, "\"remote_addr\":\"203.0.113.9\"") &&
		contains(&line, "RCPT TO:<...@...>") &&
		contains(&line, "RCPT TO:<T@Strange.example>"),
	    "its fields: %s", buf_str(&line));
	buf_free(&line);
	conf_free(c);
}

int
main(void)
{
	char dir[] = "/tmp/t-outgoing.XXXXXX";
	struct buf path, text;
	struct token_ring *ring = NULL;
	struct err e = { .text = "" };

	buf_init(&path, 4096);
	buf_init(&text, 65536);
	if (mkdtemp(dir) == NULL || token_ring_new_key(dir, &path, &e) < 0 ||
	    (ring = token_ring_open(dir, &e)) == NULL) {
		printf("Bail out! %s\n", e.text);
		return 1;
	}
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct conf *c;

		buf_clear(&text);
		buf_adds(&text, base_conf);
		/* A row that has a <signals> block of its own adds to it. */
		buf_adds(&text, base_signals);
		buf_adds(&text, rows[i].conf);
		c = conf_parse("t.conf", buf_slice(&text), &e);
		if (ok(c != NULL, "%s: configuration %s", rows[i].name, c == NULL ? e.text : ""))
			run(&rows[i], c, ring);
		conf_free(c);
	}
	rejections(ring);
	token_ring_close(ring);
	unlink(buf_str(&path));
	rmdir(dir);
	buf_free(&path);
	buf_free(&text);
	return tap_done();
}
