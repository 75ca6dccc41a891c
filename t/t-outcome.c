#include "uploader/outcome.h"

#include <json-c/json.h>
#include <stdlib.h>

#include "common/hash.h"
#include "common/ids.h"
#include "t/spooldir.h"
#include "t/tap.h"

/* 2026-11-22T06:25:50Z, when all messages of the rows were received */
#define RECEIVED 1795328750

#define AT(s, text) "2026-11-22T06:25:" s "Z relay postfix/" text
#define SM(s, text) "2026-11-22T06:25:" s "Z relay sm-mta[1]: " text
#define TO(addr)                                                                                   \
	"smtp[1]: AAAA01: to=<" addr ">, relay=mx.x[192.0.2.1]:25, delay=2.5, delays=0/0/0/0, "
#define SENT "dsn=2.0.0, status=sent (250 2.0.0 Ok)"
#define QUEUED(id)                                                                                 \
	"dsn=2.0.0, status=sent (250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: "       \
	"queued as " id ")"
#define SAID(dsn, status, reply)                                                                   \
	"dsn=" dsn ", status=" status " (host mx.x[192.0.2.1] said: " reply                        \
	" (in reply to RCPT TO command))"
#define REFUSED                                                                                    \
	"smtp[1]: AAAA01: to=<a@x>, relay=none, delay=2.5, delays=0/0/0/0, dsn=4.4.1, "            \
	"status=deferred (connect to mx.x[192.0.2.1]:25: Connection refused)"
#define EXPIRED "qmgr[1]: AAAA01: from=<s@s>, status=expired, returned to sender"

/*
 * a@x and b@x have a message AAAA01, a@x others BBBB01 and EEEE01. What comes of the
 * lines: "TYPE RCPT RETRIES QUEUE-TIME IP [CODE CLASS RAW-REASON]".
 */
static const struct {
	const char *what;
	const char *lines[8], *events[8];
} rows[] = {
	{ "delivered", { AT("58", TO("a@x") SENT) }, { "delivery a@x 0 2500 192.0.2.1" } },
	{ "another case", { AT("58", TO("A@X") SENT) }, { "delivery a@x 0 2500 192.0.2.1" } },
	{ "not ours", { AT("58", TO("c@x") SENT) }, { NULL } },
	{ "said twice", { AT("58", TO("a@x") SENT), AT("58", TO("a@x") SENT) },
	    { "delivery a@x 0 2500 192.0.2.1" } },
	{ "bounced behind delivered",
	    { AT("58", TO("a@x") SENT), AT("59", TO("a@x") SAID("5.1.1", "bounced", "550 no")) },
	    { "delivery a@x 0 2500 192.0.2.1" } },
	{ "refused",
	    { AT("58", TO("b@x") SAID("5.1.1", "bounced", "550 5.1.1 <b@x>: User unknown")) },
	    { "inband b@x 0 2500 192.0.2.1 550 10 550 5.1.1 <b@x>: User unknown" } },
	{ "delayed twice, then delivered",
	    { AT("52", TO("a@x") SAID("4.2.2", "deferred", "452 4.2.2 Mailbox full")),
		AT("55", TO("a@x") SAID("4.2.2", "deferred", "452 4.2.2 Mailbox full")),
		AT("58", TO("a@x") SENT) },
	    { "tempfail a@x 0 2500 192.0.2.1 452 22 452 4.2.2 Mailbox full",
		"tempfail a@x 1 2500 192.0.2.1 452 22 452 4.2.2 Mailbox full",
		"delivery a@x 2 2500 192.0.2.1" } },
	{ "the same delay from two sources",
	    { AT("52", TO("a@x") SAID("4.2.2", "deferred", "452 4.2.2 Mailbox full")),
		AT("53", TO("a@x") SAID("4.2.2", "deferred", "452 4.2.2 Mailbox full")) },
	    { "tempfail a@x 0 2500 192.0.2.1 452 22 452 4.2.2 Mailbox full" } },
	{ "nobody listens", { AT("58", REFUSED) },
	    { "tempfail a@x 0 2500 192.0.2.1 451 70 451 4.4.1 [internal] connect to "
	      "mx.x[192.0.2.1]:25: "
	      "Connection refused" } },
	{ "expired: classified by the last delay",
	    { AT("52", TO("a@x") SAID("4.2.2", "deferred", "452 4.2.2 Mailbox full")),
		AT("54", TO("b@x") SENT), AT("59", EXPIRED) },
	    { "tempfail a@x 0 2500 192.0.2.1 452 22 452 4.2.2 Mailbox full",
		"delivery b@x 0 2500 192.0.2.1",
		"inband a@x 1 9000 - 554 22 554 5.4.7 [internal] message timeout (last transfail: "
		"452 "
		"4.2.2 Mailbox full)" } },
	{ "expired: nobody listened",
	    { AT("52", REFUSED), AT("53", TO("b@x") SENT), AT("59", EXPIRED) },
	    { "tempfail a@x 0 2500 192.0.2.1 451 70 451 4.4.1 [internal] connect to "
	      "mx.x[192.0.2.1]:25: "
	      "Connection refused",
		"delivery b@x 0 2500 192.0.2.1",
		"inband a@x 1 9000 - 554 24 554 5.4.7 [internal] message timeout (last transfail: "
		"451 "
		"4.4.1 [internal] connect to mx.x[192.0.2.1]:25: Connection refused)" } },
	{ "expired: never tried", { AT("53", TO("b@x") SENT), AT("59", EXPIRED) },
	    { "delivery b@x 0 2500 192.0.2.1",
		"inband a@x 0 9000 - 554 24 554 5.4.7 [internal] message timeout" } },
	{ "an alias",
	    { AT("58", "smtp[1]: AAAA01: to=<z@far>, orig_to=<a@x>, relay=h[192.0.2.9]:25, "
		       "delay=1, delays=0/0/0/0, " SENT) },
	    { "delivery a@x 0 1000 192.0.2.9" } },
	{ "to a mailbox, and nowhere",
	    { AT("58",
		  "local[1]: AAAA01: to=<a@x>, relay=local, delay=1, delays=0/0/0/0, dsn=2.0.0, "
		  "status=sent (delivered to mailbox)"),
		AT("58",
		    "discard[1]: AAAA01: to=<b@x>, relay=none, delay=1, delays=0/0/0/0, dsn=2.0.0, "
		    "status=sent (x)"),
		AT("59", EXPIRED) },
	    { NULL } },
	{ "sendmail -bv asks where it would go: no end, and none is waited for",
	    { AT("58", TO("a@x") "dsn=2.0.0, status=deliverable (250 2.1.5 Ok)"),
		AT("58", TO("b@x") "dsn=5.1.1, status=undeliverable (host mx.x[192.0.2.1] said: "
	                           "550 no)"),
		AT("59", EXPIRED) },
	    { NULL } },
	{ "refused on this host",
	    { AT("58",
		"error[1]: AAAA01: to=<a@x>, relay=none, delay=1, delays=0/0/0/0, dsn=5.4.6, "
		"status=bounced (mail for x loops back to myself)") },
	    { "inband a@x 0 1000 - 554 * 554 5.4.6 [internal] mail for x loops back to myself" } },
	{ "sendmail: several recipients in a line",
	    { SM("58",
		"AAAA01BBBBCC12: to=<a@x>,<b@x>, delay=00:00:08, xdelay=00:00:00, mailer=esmtp, "
		"pri=1, relay=mx.x. [192.0.2.1], dsn=2.0.0, stat=Sent (Ok)") },
	    { NULL } },
	{ "sendmail: queue id with the index's",
	    { SM("58",
		"6AM6g557030850: to=<c@x>,<d@x>, delay=00:00:08, xdelay=00:00:00, mailer=esmtp, "
		"pri=1, relay=mx.x. [192.0.2.1], dsn=2.0.0, stat=Sent (Ok)") },
	    { "delivery c@x 0 8000 192.0.2.1", "delivery d@x 0 8000 192.0.2.1" } },
	{ "sendmail: delayed, then too late",
	    { SM("52",
		  "6AM6g557030850: to=<c@x>, delay=00:00:08, xdelay=00:00:00, mailer=esmtp, pri=1, "
		  "relay=mx.x. [192.0.2.1], dsn=4.2.2, reply=452 4.2.2 Mailbox full, later, "
		  "stat=Deferred: 452 4.2.2 Mailbox full, later"),
		SM("59", "6AM6g557030850: 6AM6g557030851: sender notify: Cannot send message for 5 "
			 "days") },
	    { "tempfail c@x 0 8000 192.0.2.1 452 22 452 4.2.2 Mailbox full, later",
		"inband c@x 1 9000 - 554 22 554 5.4.7 [internal] message timeout (last transfail: "
		"452 "
		"4.2.2 Mailbox full, later)",
		"inband d@x 0 9000 - 554 24 554 5.4.7 [internal] message timeout" } },
	{ "sendmail: a list that goes on in the next line",
	    { SM("58",
		  "6AM6g557030850: to=<c@x> [more], delay=00:00:08, xdelay=00:00:00, mailer=esmtp, "
		  "pri=1, relay=mx.x. [192.0.2.1], dsn=2.0.0, stat=Sent (Ok)"),
		SM("58", "6AM6g557030850: to=<d@x>, delay=00:00:08, xdelay=00:00:00, mailer=esmtp, "
			 "pri=1, relay=mx.x. [192.0.2.1], dsn=2.0.0, stat=Sent (Ok)") },
	    { "delivery c@x 0 8000 192.0.2.1", "delivery d@x 0 8000 192.0.2.1" } },
	{ "sendmail: an alias to a file has its end, and is not too late with the others",
	    { SM("52", "6AM6g557030850: to=/dev/null, ctladdr=<c@x> (8/0), delay=00:00:00, "
		       "xdelay=00:00:00, mailer=*file*, pri=1, dsn=2.0.0, stat=Sent"),
		SM("59", "6AM6g557030850: 6AM6g557030851: DSN: Cannot send message for 5 days") },
	    { "inband d@x 0 9000 - 554 24 554 5.4.7 [internal] message timeout" } },
	{ "refused by a later filter",
	    { AT("50",
		  "cleanup[1]: AAAA01: milter-reject: END-OF-MESSAGE from x[1.2.3.4]: 5.7.1 no; "
		  "from=<s@s> to=<a@x>"),
		AT("58", TO("a@x") SENT) },
	    { NULL } },
	{ "before it was received", { "2026-11-22T06:20:00Z relay postfix/" TO("a@x") SENT },
	    { NULL } },
	{ "the queue id begins anew: who waited is lost",
	    { "2026-11-22T06:35:00Z relay postfix/smtpd[1]: AAAA01: client=x[1.2.3.4]",
		"2026-11-22T06:35:01Z relay postfix/" TO("a@x") SENT },
	    { NULL } },
	{ "the start of the message itself",
	    { AT("50", "smtpd[1]: AAAA01: client=x[1.2.3.4]"),
		AT("50", "cleanup[1]: AAAA01: message-id=<x>"), AT("58", TO("a@x") SENT) },
	    { "delivery a@x 0 2500 192.0.2.1" } },
	{ "a content filter gives it back: its last hop counts",
	    { AT("51", "smtpd[1]: CCCC01: client=x[127.0.0.1]"),
		AT("51", "cleanup[1]: CCCC01: message-id=<x>"),
		AT("52", TO("a@x") QUEUED("CCCC01")),
		AT("53", "smtp[1]: CCCC01: to=<a@x>, relay=h[192.0.2.9]:25, delay=1, "
			 "delays=0/0/0/0, " SAID("4.2.2", "deferred", "452 4.2.2 full")),
		AT("58", "smtp[1]: CCCC01: to=<a@x>, relay=h[192.0.2.9]:25, delay=1, "
			 "delays=0/0/0/0, " SENT) },
	    { "tempfail a@x 0 3000 192.0.2.9 452 22 452 4.2.2 full",
		"delivery a@x 1 8000 192.0.2.9" } },
	{ "the last hop is faster than the filter's answer",
	    { AT("51", "smtpd[1]: CCCC01: client=x[127.0.0.1]"),
		AT("52", "smtp[1]: CCCC01: to=<b@x>, relay=h[192.0.2.9]:25, delay=1, "
			 "delays=0/0/0/0, " SAID("5.1.1", "bounced", "550 no")),
		AT("52", "smtp[1]: CCCC01: to=<a@x>, relay=h[192.0.2.9]:25, delay=1, "
			 "delays=0/0/0/0, " SENT),
		AT("52", "qmgr[1]: CCCC01: removed"), AT("52", TO("a@x") QUEUED("CCCC01")),
		AT("52", TO("b@x") QUEUED("CCCC01")) },
	    { "delivery a@x 0 2000 192.0.2.9", "inband b@x 0 2000 192.0.2.9 550 10 550 no" } },
	{ "a filter gives it back to the milter: each of the two has its end",
	    { AT("51", "smtpd[1]: EEEE01: client=x[127.0.0.1]"),
		AT("52", TO("a@x") QUEUED("EEEE01")),
		AT("53", "smtp[1]: EEEE01: to=<a@x>, relay=h[192.0.2.9]:25, delay=1, "
			 "delays=0/0/0/0, " SENT) },
	    { "delivery a@x 0 3000 192.0.2.9", "delivery a@x 0 1000 192.0.2.9" } },
	{ "and its last hop is faster than the filter's answer",
	    { AT("51", "smtpd[1]: EEEE01: client=x[127.0.0.1]"),
		AT("52", "smtp[1]: EEEE01: to=<a@x>, relay=h[192.0.2.9]:25, delay=1, "
			 "delays=0/0/0/0, " SENT),
		AT("52", "qmgr[1]: EEEE01: removed"), AT("53", TO("a@x") QUEUED("EEEE01")) },
	    { "delivery a@x 0 1000 192.0.2.9", "delivery a@x 0 2000 192.0.2.9" } },
	{ "slower with its last word only",
	    { AT("51", "smtpd[1]: EEEE01: client=x[127.0.0.1]"),
		AT("52", "smtp[1]: EEEE01: to=<a@x>, relay=h[192.0.2.9]:25, delay=1, "
			 "delays=0/0/0/0, " SAID("4.2.2", "deferred", "452 4.2.2 full")),
		AT("53", TO("a@x") QUEUED("EEEE01")),
		AT("59", "qmgr[1]: EEEE01: from=<s@s>, status=expired, returned to sender") },
	    { "tempfail a@x 0 1000 192.0.2.9 452 22 452 4.2.2 full",
		"tempfail a@x 0 2000 192.0.2.9 452 22 452 4.2.2 full",
		"inband a@x 1 9000 - 554 22 554 5.4.7 [internal] message timeout (last transfail: "
		"452 4.2.2 full)",
		"inband a@x 1 9000 - 554 22 554 5.4.7 [internal] message timeout (last transfail: "
		"452 4.2.2 full)" } },
	{ "what was said of the queue id before the message was there",
	    { "2026-11-22T06:20:00Z relay postfix/smtp[1]: CCCC01: to=<a@x>, "
	      "relay=h[192.0.2.9]:25, delay=1, delays=0/0/0/0, " SENT,
		AT("51", "smtpd[1]: CCCC01: client=x[127.0.0.1]"),
		AT("52", TO("a@x") QUEUED("CCCC01")),
		AT("58", "smtp[1]: CCCC01: to=<a@x>, relay=h[192.0.2.9]:25, delay=1, "
			 "delays=0/0/0/0, " SAID("5.1.1", "bounced", "550 no")) },
	    { "inband a@x 0 8000 192.0.2.9 550 10 550 no" } },
	{ "queued by somebody who does not log here", { AT("52", TO("a@x") QUEUED("CCCC01")) },
	    { "delivery a@x 0 2500 192.0.2.1" } },
	{ "an alias of local(8)",
	    { AT("51", "cleanup[1]: CCCC01: message-id=<x>"),
		AT("52",
		    "local[1]: AAAA01: to=<a@x>, relay=local, delay=1, delays=0/0/0/0, dsn=2.0.0, "
		    "status=sent (forwarded as CCCC01)"),
		AT("53",
		    "smtp[1]: CCCC01: to=<z@far>, orig_to=<a@x>, relay=h[192.0.2.9]:25, delay=1, "
		    "delays=0/0/0/0, " SENT) },
	    { "delivery a@x 0 3000 192.0.2.9" } },
	{ "postsuper -r",
	    { "2026-11-22T06:35:00Z relay postfix/pickup[1]: CCCC01: uid=102 from=<s@s> "
	      "orig_id=AAAA01",
		"2026-11-22T06:35:00Z relay postfix/cleanup[1]: CCCC01: message-id=<x>",
		"2026-11-22T06:35:01Z relay postfix/smtp[1]: CCCC01: to=<a@x>, "
		"relay=h[192.0.2.9]:25, delay=1, "
		"delays=0/0/0/0, " SENT },
	    { "delivery a@x 0 551000 192.0.2.9" } },
	{ "a local user's sender says that it was requeued",
	    { AT("52", "pickup[1]: CCCC01: uid=102 from=<s> orig_id=AAAA01>"),
		AT("58", TO("a@x") SENT) },
	    { "delivery a@x 0 2500 192.0.2.1" } },
	{ "postsuper -d", { AT("52", TO("b@x") SENT), AT("58", "postsuper[1]: AAAA01: removed") },
	    { "delivery b@x 0 2500 192.0.2.1",
		"inband a@x 0 8000 - 554 25 554 5.7.0 [internal] deleted from the queue by the "
		"administrator" } },
	{ "recipients as the MTA writes them",
	    { AT("52", TO("\"a\"@X") SENT), AT("52", TO("\"\\b\"@x") SENT) },
	    { "delivery a@x 0 2500 192.0.2.1", "delivery b@x 0 2500 192.0.2.1" } },
	{ "removed, and its line comes behind",
	    { AT("58", "qmgr[1]: AAAA01: removed"), AT("58", TO("a@x") SENT) },
	    { "delivery a@x 0 2500 192.0.2.1" } },
};

static char dir[SPOOLDIR_SIZE], path[SPOOLDIR_SIZE + 20];
static struct classifier *rules;
static struct err e;

static void
learn(struct index *ix, unsigned n, const char *queue_id, const char *rcpt)
{
	char id[IDS_SIZE], hex[2 * HASH_SHA1_SIZE + 1];
	unsigned char md[HASH_SHA1_SIZE];
	struct event ev;

	event_init(&ev, EVENT_RECEPTION);
	ev.event_id = n;
	ev.timestamp = RECEIVED;
	ev.message_id = slice_str(ids_text((struct message_id){ RECEIVED, n }, id));
	ev.queue_id = slice_str(queue_id);
	ev.recv_method = SLICE_LIT("esmtp");
	ev.campaign_id = SLICE_LIT("job");
	ev.msg_size = 1234;
	if (rcpt[0] == '#') {
		hash_sha1(slice_str(rcpt + 1), md);
		ev.rcpt_hash = slice_str(hash_hex(md, sizeof(md), hex));
		ev.rcpt_domain = SLICE_LIT("x");
	} else {
		ev.rcpt_to = slice_str(rcpt);
	}
	if (index_learn(ix, &ev, &e) != 1)
		printf("# %s\n", e.text);
}

static struct index *
new_index(void)
{
	struct index *ix;

	unlink(path);
	ix = index_open(path, &e);
	if (ix == NULL) {
		printf("Bail out! %s\n", e.text);
		exit(1);
	}
	learn(ix, 1, "AAAA01", "a@x");
	learn(ix, 2, "AAAA01", "b@x");
	learn(ix, 3, "BBBB01", "a@x");
	learn(ix, 4, "6AM6g557030850", "c@x");
	learn(ix, 5, "6AM6g557030850", "d@x");
	return ix;
}

static void
feed(struct outcome *o, const char *text)
{
	struct maillog_clock clock;
	struct maillog_line m;
	int rc;

	maillog_clock_init(&clock, MAILLOG_ZONE_FIXED, 0);
	maillog_parse(slice_str(text), MAILLOG_ANY, &m);
	rc = outcome_line(o, &m, maillog_time(&clock, m.stamp, RECEIVED), true, &e);
	if (rc != 1)
		ok(false, "%d %s", rc, rc < 0 ? e.text : text);
}

static const char *
part(struct slice s)
{
	static char text[4][600];
	static unsigned n;

	n = (n + 1) % 4;
	snprintf(text[n], sizeof(text[n]), "%.*s", SLICE_FMT(s));
	return s.len == 0 ? "-" : text[n];
}

static void
print_event(const struct event *ev, bool any_class, char *out, size_t size)
{
	char class[24];

	snprintf(class, sizeof(class), "%lld", (long long)ev->bounce_class);
	snprintf(out, size, "%s %s %lld %lld %s%s%s%s%s%s%s", event_type_name(ev->type),
	    part(ev->rcpt_to.len > 0 ? ev->rcpt_to : ev->rcpt_hash), (long long)ev->num_retries,
	    (long long)ev->queue_time_ms, part(ev->ip_address), ev->error_code.len > 0 ? " " : "",
	    ev->error_code.len > 0 ? part(ev->error_code) : "", ev->error_code.len > 0 ? " " : "",
	    ev->error_code.len == 0 ? ""
	    : any_class             ? "*"
				    : class,
	    ev->raw_reason.len > 0 ? " " : "", ev->raw_reason.len > 0 ? part(ev->raw_reason) : "");
}

static void
one_row(size_t i)
{
	struct index *ix = new_index();
	struct buf store;
	struct outcome o;
	struct slice rest, line;
	size_t n = 0;

	buf_init(&store, EVENT_LINE_MAX);
	learn(ix, 9, "EEEE01", "a@x");
	outcome_init(&o, ix, rules);
	for (size_t k = 0; k < COUNT(rows[i].lines) && rows[i].lines[k] != NULL; k++)
		feed(&o, rows[i].lines[k]);
	rest = buf_slice(&o.lines);
	while (slice_line(&rest, &line)) {
		char text[1000] = "no event";
		struct event ev;

		if (event_read(line, &ev, &store, &e) == 0)
			print_event(&ev,
			    rows[i].events[n] != NULL && strstr(rows[i].events[n], " * "), text,
			    sizeof(text));
		ok(rows[i].events[n] != NULL && strcmp(text, rows[i].events[n]) == 0 &&
			ev.msg_size == 1234 && slice_eq(ev.campaign_id, SLICE_LIT("job")),
		    "%s: %s", rows[i].what, text);
		n += rows[i].events[n] != NULL;
	}
	ok(rows[i].events[n] == NULL && o.n_lines == n, "%s: %u events", rows[i].what, o.n_lines);
	outcome_free(&o);
	buf_free(&store);
	index_close(ix);
}

/* A line that may be known later is left alone, for all its recipients. */
static void
waits(void)
{
	struct index *ix = new_index();
	struct maillog_line m;
	struct outcome o;

	outcome_init(&o, ix, rules);
	maillog_parse(slice_str(AT("58", TO("c@x") SENT)), MAILLOG_ANY, &m);
	ok(outcome_line(&o, &m, RECEIVED * 1000000LL, false, &e) == 0 && o.n_lines == 0,
	    "one waits");
	maillog_parse(
	    slice_str(SM("58", "6AM6g557030850: to=<c@x>,<new@x>, delay=00:00:08, mailer=esmtp, "
			       "dsn=2.0.0, stat=Sent (Ok)")),
	    MAILLOG_ANY, &m);
	ok(outcome_line(&o, &m, RECEIVED * 1000000LL, false, &e) == 0 && o.n_lines == 0,
	    "one of two is not known");
	learn(ix, 6, "6AM6g557030850", "new@x");
	ok(outcome_line(&o, &m, RECEIVED * 1000000LL, false, &e) == 1 && o.n_lines == 2,
	    "both are");
	maillog_parse(slice_str(AT("58", "qmgr[1]: CCCC01: removed")), MAILLOG_ANY, &m);
	ok(outcome_line(&o, &m, RECEIVED * 1000000LL, false, &e) == 1,
	    "what needs no recipient does not wait");
	outcome_free(&o);
	index_close(ix);
}

/* What a filter gave back may be in the index before the milter's word of its second way is. */
static void
waits_for_its_own(void)
{
	struct index *ix = new_index();
	struct maillog_line m;
	struct outcome o;

	outcome_init(&o, ix, rules);
	feed(&o, AT("51", "smtpd[1]: CCCC01: client=x[127.0.0.1]"));
	feed(&o, AT("52", TO("a@x") QUEUED("CCCC01")));
	feed(&o, AT("52", TO("b@x") QUEUED("CCCC01")));
	maillog_parse(slice_str(AT("53", "smtp[1]: CCCC01: to=<a@x>, relay=h[192.0.2.9]:25, "
					 "delay=1, delays=0/0/0/0, " SENT)),
	    MAILLOG_ANY, &m);
	ok(outcome_line(&o, &m, RECEIVED * 1000000LL, false, &e) == 0 && o.n_lines == 0,
	    "it may have a message of its own");
	learn(ix, 10, "CCCC01", "a@x");
	ok(outcome_line(&o, &m, RECEIVED * 1000000LL, false, &e) == 1 && o.n_lines == 2,
	    "it has: both have their end");
	maillog_parse(slice_str(AT("53", "smtp[1]: CCCC01: to=<b@x>, relay=h[192.0.2.9]:25, "
					 "delay=1, delays=0/0/0/0, " SENT)),
	    MAILLOG_ANY, &m);
	ok(outcome_line(&o, &m, RECEIVED * 1000000LL, false, &e) == 0 &&
		outcome_line(&o, &m, RECEIVED * 1000000LL, true, &e) == 1 && o.n_lines == 3,
	    "it has none: one end");
	outcome_free(&o);
	index_close(ix);
}

/* Read again after a crash, a line makes the same event, to the byte. */
static void
repeats(void)
{
	struct index *ix = new_index();
	struct outcome first, second;
	struct outcome *both[] = { &first, &second };

	for (size_t i = 0; i < COUNT(both); i++) {
		outcome_init(both[i], ix, rules);
		ok(index_begin(ix, &e) == 0, "begin");
		feed(both[i],
		    AT("52", TO("a@x") SAID("4.2.2", "deferred", "452 4.2.2 Mailbox full")));
		feed(both[i],
		    AT("53", TO("a@x") SAID("4.2.2", "deferred", "452 4.2.2 Mailbox full!")));
		feed(both[i], AT("58", TO("a@x") SENT));
		feed(both[i], AT("58", TO("b@x") SAID("5.1.1", "bounced", "550 5.1.1 no")));
		index_rollback(ix);
	}
	ok(first.n_lines == 4 && slice_eq(buf_slice(&first.lines), buf_slice(&second.lines)),
	    "the same four events");
	outcome_free(&first);
	outcome_free(&second);
	index_close(ix);
}

/* privacy-policy sha1: no address anywhere. */
static void
privacy(void)
{
	struct index *ix = new_index();
	struct outcome o;

	learn(ix, 7, "DDDD01", "#anna@x");
	learn(ix, 8, "DDDD01", "#berta@x");
	outcome_init(&o, ix, rules);
	o.mask = true;
	feed(&o,
	    AT("58", "smtp[1]: DDDD01: to=<Anna@x>, relay=mx.x[192.0.2.1]:25, delay=1, "
		     "delays=0/0/0/0, " SAID("5.1.1", "bounced", "550 5.1.1 <anna@x>: unknown")));
	feed(&o,
	    AT("58", "smtp[1]: DDDD01: to=<berta@x>, relay=mx.x[192.0.2.1]:25, delay=1, "
		     "delays=0/0/0/0, " SAID("4.2.2", "deferred", "452 4.2.2 <berta@x> is full")));
	feed(&o, AT("59", "qmgr[1]: DDDD01: from=<s@s>, status=expired, returned to sender"));
	ok(o.n_lines == 3, "%u events", o.n_lines);
	ok(strstr(buf_str(&o.lines), "anna") == NULL &&
		strstr(buf_str(&o.lines), "berta") == NULL &&
		strstr(buf_str(&o.lines), "550 5.1.1 ...@...: unknown") != NULL,
	    "%s", buf_str(&o.lines));
	outcome_free(&o);
	index_close(ix);
}

/* Metadata that fills a line leaves no room for a reply. */
static void
too_long(void)
{
	struct index *ix = new_index();
	struct outcome o;
	struct event ev, back;
	struct buf meta, store;
	char id[IDS_SIZE];

	buf_init(&meta, BUF_NO_LIMIT);
	buf_init(&store, EVENT_LINE_MAX);
	buf_adds(&meta, "{\"k\":\"");
	for (size_t i = 0; i < EVENT_LINE_MAX - 350; i++)
		buf_addc(&meta, 'x');
	buf_adds(&meta, "\"}");
	event_init(&ev, EVENT_RECEPTION);
	ev.timestamp = RECEIVED;
	ev.message_id = slice_str(ids_text((struct message_id){ RECEIVED, 9 }, id));
	ev.queue_id = SLICE_LIT("EEEE01");
	ev.rcpt_to = SLICE_LIT("a@x");
	ev.recv_method = SLICE_LIT("esmtp");
	ev.rcpt_meta = buf_slice(&meta);
	ok(index_learn(ix, &ev, &e) == 1, "learned");
	outcome_init(&o, ix, rules);
	feed(&o,
	    AT("58",
		"smtp[1]: EEEE01: to=<a@x>, relay=mx.x[192.0.2.1]:25, delay=1, "
		"delays=0/0/0/0, " SAID("5.1.1", "bounced",
		    "550 5.1.1 a rather long reply that says that there is nobody of that name")));
	ok(o.n_lines == 1 && event_read(slice_trim(buf_slice(&o.lines)), &back, &store, &e) == 0 &&
		back.type == EVENT_INBAND && back.rcpt_meta.len == 0,
	    "without metadata");
	outcome_free(&o);
	buf_free(&meta);
	buf_free(&store);
	index_close(ix);
}

static void
given_up(void)
{
	struct index *ix = new_index();
	struct index_counts counts;
	struct outcome o;

	outcome_init(&o, ix, rules);
	feed(&o, AT("58", "qmgr[1]: AAAA01: removed"));
	ok(outcome_overdue(&o, 0, RECEIVED + 5, RECEIVED + 100, 10, &e) == 0, "not yet");
	ok(outcome_overdue(&o, 0, RECEIVED + 60, RECEIVED + 100, 10, &e) == 2 &&
		o.counts.unknown == 2,
	    "those of a queue id that is free again");
	ok(outcome_overdue(&o, RECEIVED + 1, 0, RECEIVED + 100, 2, &e) == 2 &&
		outcome_overdue(&o, RECEIVED + 1, 0, RECEIVED + 100, 2, &e) == 1 &&
		index_count(ix, &counts, &e) == 0 && counts.unknown == 5 && counts.waiting == 0,
	    "and all who have waited for too long");
	feed(&o,
	    "Nov 22 06:25:58 h systemd-journald[1]: Suppressed 1234 messages from postfix.service");
	ok(o.counts.dropped == 1234, "lines that the logger lost");
	outcome_free(&o);
	index_close(ix);
}

int
main(void)
{
	spooldir_make(dir);
	snprintf(path, sizeof(path), "%s/index.db", dir);
	rules = classify_open(NULL, &e);
	if (!ok(rules != NULL, "rules %s", rules == NULL ? e.text : ""))
		return tap_done();
	for (size_t i = 0; i < COUNT(rows); i++)
		one_row(i);
	waits();
	waits_for_its_own();
	repeats();
	privacy();
	too_long();
	given_up();
	classify_close(rules);
	spooldir_remove(dir);
	return tap_done();
}
