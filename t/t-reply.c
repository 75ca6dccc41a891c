/*
 * reply: code, status, text and who said it, in the forms in which a reply is
 * written down; what of it is masked.
 */
#include <stdlib.h>

#include "common/reply.h"
#include "t/tap.h"

static bool
is(struct slice got, const char *want)
{
	if (slice_eq(got, slice_str(want)))
		return true;
	printf("# got '%.*s', want '%s'\n", (int)got.len, got.len > 0 ? got.p : "", want);
	return false;
}

static void
forms(void)
{
	static const struct {
		const char *line;
		unsigned code;
		const char *status, *text, *raw, *host, *address, *command;
	} rows[] = {
		{ "550 5.1.1 <x@example.com>: User unknown", 550, "5.1.1",
		    "<x@example.com>: User unknown", "550 5.1.1 <x@example.com>: User unknown", "",
		    "", "" },
		{ "550-5.7.1 first part of 550 5.7.1 the text", 550, "5.7.1",
		    "first part of the text", "550-5.7.1 first part of 550 5.7.1 the text", "", "",
		    "" },
		{ "550-first part of 550-the 550 text", 550, "", "first part of the text",
		    "550-first part of 550-the 550 text", "", "", "" },
		{ "550-5.1.1 one\r\n550-5.1.1 two\r\n550 5.1.1 three\r\n", 550, "5.1.1",
		    "one two three", "550-5.1.1 one\r\n550-5.1.1 two\r\n550 5.1.1 three", "", "",
		    "" },
		{ "550-one\\n550 two", 550, "", "one two", "550-one\\n550 two", "", "", "" },
		/* Without a mark before it a number is text. */
		{ "550 room 550 is closed", 550, "", "room 550 is closed", "550 room 550 is closed",
		    "", "", "" },
		{ "550 5.1.1 mail to 550 5.2.2 boxes", 550, "5.1.1", "mail to 550 5.2.2 boxes",
		    "550 5.1.1 mail to 550 5.2.2 boxes", "", "", "" },
		{ "host mx.example.com[192.0.2.1] said: 550 5.1.1 no (in reply to RCPT TO command)",
		    550, "5.1.1", "no", "550 5.1.1 no", "mx.example.com", "192.0.2.1", "RCPT TO" },
		{ "host mx.example.com[2001:db8::1] said: 552 full (in reply to end of DATA "
		  "command)",
		    552, "", "full", "552 full", "mx.example.com", "2001:db8::1", "end of DATA" },
		/* Postfix cuts a long line at its end. */
		{ "host mx.example.com[192.0.2.1] said: 550 5.1.1 no such user (in reply to RC",
		    550, "5.1.1", "no such user (in reply to RC",
		    "550 5.1.1 no such user (in reply to RC", "mx.example.com", "192.0.2.1", "" },
		{ "host mx.example.com[192.0.2.1] refused to talk to me: 554 5.7.1 go away", 554,
		    "5.7.1", "go away", "554 5.7.1 go away", "mx.example.com", "192.0.2.1", "" },
		{ "host mx[private/lmtp] said: 550 5.1.1 no", 550, "5.1.1", "no", "550 5.1.1 no",
		    "mx", "private/lmtp", "" },
		{ "connect to mx.example.com[192.0.2.1]:25: Connection timed out", 0, "",
		    "connect to mx.example.com[192.0.2.1]:25: Connection timed out",
		    "connect to mx.example.com[192.0.2.1]:25: Connection timed out",
		    "mx.example.com", "192.0.2.1", "" },
		{ "lost connection with mx.example.com[192.0.2.1] while sending RCPT TO", 0, "",
		    "lost connection with mx.example.com[192.0.2.1] while sending RCPT TO",
		    "lost connection with mx.example.com[192.0.2.1] while sending RCPT TO",
		    "mx.example.com", "192.0.2.1", "" },
		{ "smtp; 550 5.1.1 no", 550, "5.1.1", "no", "550 5.1.1 no", "", "", "" },
		{ "SMTP;550 no", 550, "", "no", "550 no", "", "", "" },
		{ "X-Postfix; host mx[192.0.2.1] said: 450 4.2.0 later", 450, "4.2.0", "later",
		    "450 4.2.0 later", "mx", "192.0.2.1", "" },
		{ "X-Postfix; unknown user: \"x\"", 0, "", "unknown user: \"x\"",
		    "unknown user: \"x\"", "", "", "" },
		{ "no; such user", 0, "", "no; such user", "no; such user", "", "", "" },
		{ "Deferred: 452 4.2.2 Mailbox full", 452, "4.2.2", "Mailbox full",
		    "452 4.2.2 Mailbox full", "", "", "" },
		{ "SMTP error from remote mail server after RCPT TO:<x@example.com>: 550 No such "
		  "user",
		    550, "", "No such user", "550 No such user", "", "", "" },
		{ "Remote host said: 550 5.1.1 User unknown", 550, "5.1.1", "User unknown",
		    "550 5.1.1 User unknown", "", "", "" },
		{ "Remote Server returned '550 5.1.1 RESOLVER.ADR.RecipNotFound; not found'", 550,
		    "5.1.1", "RESOLVER.ADR.RecipNotFound; not found'",
		    "550 5.1.1 RESOLVER.ADR.RecipNotFound; not found'", "", "", "" },
		{ "mx.example.com #<mx.example.com #5.1.1 SMTP; 550 5.1.1 no> #SMTP#", 550, "5.1.1",
		    "no> #SMTP#", "550 5.1.1 no> #SMTP#", "", "", "" },
		{ "<5.1.1> no", 0, "5.1.1", "> no", "<5.1.1> no", "", "", "" },
		{ "#5.1.0 Address rejected", 0, "5.1.0", "Address rejected",
		    "#5.1.0 Address rejected", "", "", "" },
		{ "550 #5.1.0 Address rejected.", 550, "5.1.0", "Address rejected.",
		    "550 #5.1.0 Address rejected.", "", "", "" },
		{ "550 Invalid recipient (#5.1.1)", 550, "5.1.1", "Invalid recipient (#5.1.1)",
		    "550 Invalid recipient (#5.1.1)", "", "", "" },
		{ "550 4.4.7 QUEUE.Expired", 550, "4.4.7", "QUEUE.Expired",
		    "550 4.4.7 QUEUE.Expired", "", "", "" },
		{ "5.1.1 (bad destination mailbox)", 0, "5.1.1", "(bad destination mailbox)",
		    "5.1.1 (bad destination mailbox)", "", "", "" },
		/* An address is no status, neither is another class. */
		{ "550 blocked 5.1.1.2", 550, "", "blocked 5.1.1.2", "550 blocked 5.1.1.2", "", "",
		    "" },
		{ "550 version 4.1.0", 550, "", "version 4.1.0", "550 version 4.1.0", "", "", "" },
		{ "554 30 Sorry (554.30)", 554, "", "30 Sorry (554.30)", "554 30 Sorry (554.30)",
		    "", "", "" },
		{ "2550 is no code", 0, "", "2550 is no code", "2550 is no code", "", "", "" },
		{ "1.2.3.450 x", 0, "", "1.2.3.450 x", "1.2.3.450 x", "", "", "" },
		{ "User unknown", 0, "", "User unknown", "User unknown", "", "", "" },
		{ "  550  ", 550, "", "", "550", "", "", "" },
		{ "550", 550, "", "", "550", "", "", "" },
		{ "250 2.0.0 Ok: queued", 250, "2.0.0", "Ok: queued", "250 2.0.0 Ok: queued", "",
		    "", "" },
		{ "", 0, "", "", "", "", "", "" },
		{ "host ", 0, "", "host", "host", "", "", "" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct slice line = slice_str(rows[i].line);
		struct buf text, status;
		struct reply r;

		reply_parse(line, &r);
		buf_init(&text, 1000);
		buf_init(&status, 100);
		reply_text(&r, &text);
		reply_status_print(&r.status, &status);
		ok(r.code == rows[i].code, "code of %s", rows[i].line);
		ok(is(buf_slice(&status), rows[i].status), "status of %s", rows[i].line);
		ok(is(buf_slice(&text), rows[i].text), "text of %s", rows[i].line);
		ok(is(r.raw, rows[i].raw), "raw of %s", rows[i].line);
		ok(is(r.host, rows[i].host) && is(r.address, rows[i].address), "host of %s",
		    rows[i].line);
		ok(is(r.command, rows[i].command), "command of %s", rows[i].line);
		buf_free(&text);
		buf_free(&status);
	}
}

static void
who_spoke(void)
{
	struct reply r;

	reply_parse(SLICE_LIT("host mx[192.0.2.1] said: 450 later"), &r);
	ok(r.remote, "another host said it");
	reply_parse(SLICE_LIT("connect to mx[192.0.2.1]:25: Connection refused"), &r);
	ok(!r.remote, "nobody said it");
	reply_parse(SLICE_LIT("550 no"), &r);
	ok(!r.remote, "not known who said it");
}

static void
masks(void)
{
	static const struct {
		const char *raw, *want;
	} rows[] = {
		{ "550 5.1.1 <anna@example.net>: Recipient address rejected: User unknown",
		    "550 5.1.1 ...@...: Recipient address rejected: User unknown" },
		{ "smtp;550 5.1.1 <anna@example.net> User unknown",
		    "smtp;550 5.1.1 ...@... User unknown" },
		{ "550 anna@example.net unknown", "550 ...@... unknown" },
		{ "RCPT TO:<anna@example.net>", "RCPT TO:...@..." },
		{ "write to o'brien+x=y@sub.example.co.uk.", "write to ...@...." },
		{ "'anna@example.net'", "'...@...'" },
		{ "<\"anna b\"@example.net> and \"c d\"@example.net", "...@... and ...@..." },
		{ "anna@[192.0.2.1] x", "...@... x" },
		{ "a@b,c@d;e@f", "...@...,...@...;...@..." },
		{ "@example.net and anna@", "@example.net and anna@" },
		{ "no @ address", "no @ address" },
		{ "see https://example.com/?m=anna@example.net&x=1",
		    "see https://example.com/?...@...&x=1" },
		{ "<x@exam%l@SMTP", "<...@......@..." },
		{ "::ff5\xff\xffion@host 192.0.2.1@host", "a.b.c.d...@... ...@..." },
		{ "jürgen@exämple.de x", "...@... x" },
		{ "[192.0.2.1] blocked", "[a.b.c.d] blocked" },
		{ "IP=192.0.2.1 - no", "IP=a.b.c.d - no" },
		{ "https://www.spamhaus.org/query/ip/192.0.2.1",
		    "https://www.spamhaus.org/query/ip/a.b.c.d" },
		{ "192.0.2.1:25, 192.0.2.2.", "a.b.c.d:25, a.b.c.d." },
		{ "1.2.3.4.zen.spamhaus.org", "a.b.c.d.zen.spamhaus.org" },
		{ "status 5.1.1, 4.16.50, 1.2.3.4.5, 256.1.1.1",
		    "status 5.1.1, 4.16.50, 1.2.3.4.5, 256.1.1.1" },
		{ "v1.2.3.4x 11.2.3.4", "v1.2.3.4x a.b.c.d" },
		{ "[2001:db8::1] x", "[a.b.c.d] x" },
		{ "[IPv6:2001:db8::1:2] x", "[IPv6:a.b.c.d] x" },
		{ "2a00:1450:4001:801::1a: blocked", "a.b.c.d: blocked" },
		{ "::ffff:192.0.2.1.", "a.b.c.d." },
		{ "at 23:42:06 on 2023/06/19", "at 23:42:06 on 2023/06/19" },
		{ "std::string Foo::bar a:b:c", "std::string Foo::bar a:b:c" },
		{ "dd:ee:ff", "dd:ee:ff" },
		{ "", "" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf out;

		buf_init(&out, 1000);
		reply_mask(slice_str(rows[i].raw), &out);
		ok(is(buf_slice(&out), rows[i].want), "masked: %s", rows[i].raw);
		buf_free(&out);
	}
}

static void
statuses(void)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "5.1.1", "5.1.1" },
		{ " 5.1.1 (bad destination mailbox address)", "5.1.1" },
		{ "4.7.650", "4.7.650" },
		{ "2.0.0", "2.0.0" },
		{ "5.1", "" },
		{ "5.1.", "" },
		{ "3.1.1", "" },
		{ "5.1.1.1", "" },
		{ "5.10.1", "" },
		{ "5.1.1000", "" },
		{ "x", "" },
		{ "", "" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct reply_status st;
		struct buf out;
		bool good = reply_status_parse(slice_str(rows[i].text), &st);

		buf_init(&out, 100);
		reply_status_print(&st, &out);
		ok(good == (rows[i].want[0] != '\0') && is(buf_slice(&out), rows[i].want),
		    "status '%s'", rows[i].text);
		buf_free(&out);
	}
}

/* A hostile server's reply: each takes a moment, not a minute. */
static void
long_ones(void)
{
	static const char *const pieces[] = { "550-", "550-5.1.1 ", "a@", "<", "1.", "host a[b] ",
		"5.5.5", "::", "=", "\\n", "(in reply to ", "\"" };

	for (size_t i = 0; i < COUNT(pieces); i++) {
		struct buf line, out;
		struct reply r;

		buf_init(&line, (size_t)1 << 20);
		buf_init(&out, (size_t)1 << 23);
		while (!line.full)
			buf_adds(&line, pieces[i]);
		reply_parse(buf_slice(&line), &r);
		reply_text(&r, &out);
		reply_mask(buf_slice(&line), &out);
		ok(r.raw.p >= line.p && r.raw.p + r.raw.len <= line.p + line.len,
		    "a megabyte of %s", pieces[i]);
		buf_free(&line);
		buf_free(&out);
	}
}

int
main(void)
{
	forms();
	who_spoke();
	masks();
	statuses();
	long_ones();
	return tap_done();
}
