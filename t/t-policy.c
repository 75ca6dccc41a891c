/* The answers at connect, MAIL, RCPT and the end, as rows. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

#include "common/policy.h"
#include "t/tap.h"

static const char conf_text[] =
    "host-name mail.example.com\n"
    "relay-domain relay.example\n"
    "relay-domain *.sub.example\n"
    "relay-address friend@else.example\n"
    "relay-address /^team-[0-9]+@re\\.example$/\n"
    "<source 0/0>\n"
    "    smtp-service true\n"
    "    max-message-size 1000\n"
    "</source>\n"
    "<source 10.0.0.0/8>\n"
    "    smtp-service false\n"
    "</source>\n"
    "<source 10.1.0.0/16>\n"
    "    smtp-service true\n"
    "    require-auth true\n"
    "</source>\n"
    "<source {auth}>\n"
    "    always-allow-relaying yes\n"
    "    max-message-size unlimited\n"
    "</source>\n"
    "<bounce-processor>\n"
    "    <address-list>\n"
    "        domain bounces.example\n"
    "        address odd@relay.example\n"
    "    </address-list>\n"
    "</bounce-processor>\n"
    "<feedback-loop-processor>\n"
    "    <address-list>\n"
    "        domain fbl.example\n"
    "    </address-list>\n"
    "</feedback-loop-processor>\n"
    "<milter>\n"
    "    max-recipients 3\n"
    "</milter>\n";

static struct conf *
load(const char *more)
{
	struct buf text;
	struct conf *c;
	struct err e = { .text = "" };

	buf_init(&text, 65536);
	buf_adds(&text, conf_text);
	buf_adds(&text, more);
	c = conf_parse("t.conf", buf_slice(&text), &e);
	buf_free(&text);
	ok(c != NULL, "configuration: %s", e.text);
	return c;
}

static void
source_for(const struct conf *c, const char *ip, const char *user, struct conf_source *out)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct conf_peer peer = { .addr = (const struct sockaddr *)&sin, .auth_user = user };

	inet_pton(AF_INET, ip, &sin.sin_addr);
	conf_source_for(c, &peer, out);
}

static void
connect_and_mail(const struct conf *c)
{
	static const struct {
		const char *ip, *user;
		uint64_t size;
		const char *connect, *mail; /* codes; "" for none */
	} rows[] = {
		{ "192.0.2.1", NULL, 0, "", "" },
		{ "192.0.2.1", NULL, 1000, "", "" },
		{ "192.0.2.1", NULL, 1001, "", "552" },
		{ "192.0.2.1", "joe", 1001, "", "" },
		{ "10.2.3.4", NULL, 0, "521", "" },
		{ "10.1.3.4", NULL, 0, "", "530" },
		{ "10.1.3.4", "joe", 0, "", "" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct conf_source src;
		struct policy_answer a;

		source_for(c, rows[i].ip, rows[i].user, &src);
		policy_connect(&src, &a);
		ok(strcmp(a.code, rows[i].connect) == 0, "connect row %zu: '%s'", i, a.code);
		policy_mail(&src, rows[i].user != NULL, rows[i].size, &a);
		ok(strcmp(a.code, rows[i].mail) == 0, "mail row %zu: '%s'", i, a.code);
	}
}

static void
recipients(const struct conf *c)
{
	static const struct {
		const char *user;
		bool local;
		size_t before;
		const char *rcpt, *code, *text;
	} rows[] = {
		{ NULL, false, 0, "a@relay.example", "", "" },
		{ NULL, false, 0, "a@RELAY.EXAMPLE", "", "" },
		{ NULL, false, 0, "a@x.sub.example", "", "" },
		{ NULL, false, 0, "a@mail.example.com", "", "" },
		{ NULL, false, 0, "friend@else.example", "", "" },
		{ NULL, false, 0, "team-7@re.example", "", "" },
		{ NULL, false, 0, "a@sub.example", "550",
		    "relaying denied for recipient in \"RCPT TO:<a@sub.example>\"" },
		{ NULL, false, 0, "foe@else.example", "550",
		    "relaying denied for recipient in \"RCPT TO:<foe@else.example>\"" },
		{ NULL, false, 0, "team-x@re.example", "550",
		    "relaying denied for recipient in \"RCPT TO:<team-x@re.example>\"" },
		{ NULL, false, 0, "nodomain", "550",
		    "relaying denied for recipient in \"RCPT TO:<nodomain>\"" },
		{ NULL, false, 0, "", "550", "relaying denied for recipient in \"RCPT TO:<>\"" },
		{ NULL, false, 0, "a%b@relay.example@else.example", "550",
		    "relaying denied for recipient in \"RCPT TO:<a%b@relay.example@else.example>\"" },
		{ NULL, false, 0, "j\303\266@else.example", "550",
		    "relaying denied for recipient in \"RCPT TO:<j??@else.example>\"" },
		{ "joe", false, 0, "foe@else.example", "", "" },
		{ NULL, true, 0, "foe@else.example", "", "" },
		{ "joe", false, 2, "foe@else.example", "", "" },
		{ "joe", false, 3, "foe@else.example", "452", "too many recipients" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct conf_source src;
		struct policy_answer a;

		source_for(c, "192.0.2.1", rows[i].user, &src);
		policy_rcpt(c, &src, rows[i].local, rows[i].before, slice_str(rows[i].rcpt), &a);
		ok(strcmp(a.code, rows[i].code) == 0 && strcmp(a.text, rows[i].text) == 0,
		    "rcpt row %zu %s: '%s' '%s'", i, rows[i].rcpt, a.code, a.text);
		ok(a.relaying == (strcmp(rows[i].code, "550") == 0), "rcpt row %zu: rule", i);
		ok(a.report == CONF_RELAY_NO, "rcpt row %zu: no report", i);
	}
}

/* Whoever sends them, and before any other rule. */
static void
reports(const struct conf *c)
{
	static const struct {
		const char *user;
		bool local;
		size_t before;
		const char *rcpt, *code;
		enum conf_relay report;
	} rows[] = {
		{ NULL, false, 0, "x@bounces.example", "", CONF_RELAY_BOUNCE },
		{ NULL, false, 0, "X+y@BOUNCES.Example.", "", CONF_RELAY_BOUNCE },
		{ NULL, false, 0, "a%b!c@bounces.example", "", CONF_RELAY_BOUNCE },
		{ "joe", false, 0, "x@fbl.example", "", CONF_RELAY_FEEDBACK },
		{ NULL, true, 9, "x@fbl.example", "", CONF_RELAY_FEEDBACK },
		{ NULL, false, 0, "odd@relay.example", "", CONF_RELAY_BOUNCE },
		{ NULL, false, 3, "odd@relay.example", "452", CONF_RELAY_NO },
		{ NULL, false, 0, "x@sub.bounces.example", "550", CONF_RELAY_NO },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct conf_source src;
		struct policy_answer a;

		source_for(c, "192.0.2.1", rows[i].user, &src);
		policy_rcpt(c, &src, rows[i].local, rows[i].before, slice_str(rows[i].rcpt), &a);
		ok(strcmp(a.code, rows[i].code) == 0 && a.report == rows[i].report, "report %s: %d '%s'",
		    rows[i].rcpt, (int)a.report, a.text);
	}
}

static void
no_captures(void)
{
	static const struct {
		int errnum;
		const char *code, *xcode, *text;
	} rows[] = {
		{ ENOSPC, "452", "4.3.1", "insufficient system storage, try again later" },
		{ EDQUOT, "452", "4.3.1", "insufficient system storage, try again later" },
		{ EIO, "451", "4.3.0", "temporary failure of signalpost-milter, see the mail log" },
		{ EACCES, "451", "4.3.0", "temporary failure of signalpost-milter, see the mail log" },
		{ 0, "451", "4.3.0", "temporary failure of signalpost-milter, see the mail log" },
	};
	struct policy_answer a;

	for (size_t i = 0; i < COUNT(rows); i++) {
		policy_no_capture(rows[i].errnum, &a);
		ok(a.verdict == POLICY_TEMPFAIL && strcmp(a.code, rows[i].code) == 0 &&
			strcmp(a.xcode, rows[i].xcode) == 0 && strcmp(a.text, rows[i].text) == 0,
		    "no capture, errno %d: %s %s %s", rows[i].errnum, a.code, a.xcode, a.text);
	}
	policy_no_mix(&a);
	ok(a.verdict == POLICY_TEMPFAIL && strcmp(a.code, "452") == 0 && strcmp(a.xcode, "4.5.3") == 0,
	    "no mix: %s", a.text);
}

static void
debugging(void)
{
	struct conf *c = load("relay-debug true\n");
	struct conf_source src;
	struct policy_answer a;

	if (c == NULL)
		return;
	source_for(c, "192.0.2.1", NULL, &src);
	policy_rcpt(c, &src, false, 0, SLICE_LIT("foe@else.example"), &a);
	ok(strcmp(a.code, "450") == 0 && strcmp(a.xcode, "4.7.1") == 0 &&
		a.verdict == POLICY_TEMPFAIL,
	    "relay-debug answers %s %s", a.code, a.xcode);
	ok(!policy_trusts(&src, false) && policy_trusts(&src, true), "who is trusted");
	conf_free(c);
}

static void
long_recipient(const struct conf *c)
{
	char rcpt[5000];
	struct conf_source src;
	struct policy_answer a;

	memset(rcpt, 'x', sizeof(rcpt));
	source_for(c, "192.0.2.1", NULL, &src);
	policy_rcpt(c, &src, false, 0, (struct slice){ rcpt, sizeof(rcpt) }, &a);
	/* libmilter takes reply lines of at most 980 bytes. */
	ok(a.verdict == POLICY_REJECT && strlen(a.text) < 600, "%zu bytes of text", strlen(a.text));
}

int
main(void)
{
	struct conf *c = load("");

	if (c != NULL) {
		connect_and_mail(c);
		recipients(c);
	reports(c);
		long_recipient(c);
	}
	conf_free(c);
	debugging();
	no_captures();
	return tap_done();
}
