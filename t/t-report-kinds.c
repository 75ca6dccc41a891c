/*
 * What a mail is taken for, and what is read of the message that it is about. Mail of people, and
 * of machines that report something else, must stay what it is.
 */
#include "common/html_text.h"
#include "common/report.h"
#include "t/tap.h"

#define RETURNED                                                                                   \
	"Return-Path: <b+1@b.sender.example>\nReceived: from x by y; z\nMessage-ID: "              \
	"<m1@sender.example>\n"                                                                    \
	"X-Signalpost-ID: sealed\nX-Job: march\nFrom: News <news@sender.example>\nTo: Anna "       \
	"<anna@dest.example>\n"                                                                    \
	"Subject: =?utf-8?q?M=C3=A4rz?=\n\nHello\n"
#define FAILED                                                                                     \
	"--B\nContent-Type: text/plain\n\nSorry.\n\n--B\nContent-Type: "                           \
	"message/delivery-status\n\nReporting-MTA: dns; mx.example\n"                              \
	"Original-Envelope-Id: env1\n\nFinal-Recipient: rfc822; anna@dest.example\nAction: "       \
	"failed\nStatus: 5.1.1\n\n--B\n"                                                           \
	"Content-Type: message/rfc822\n\n" RETURNED "\n--B--\n"
#define DAEMON                                                                                     \
	"Return-Path: <>\nFrom: MAILER-DAEMON@mx.example\nTo: b@sender.example\nSubject: "         \
	"Undelivered Mail Returned to Sender\n"
#define PERSON                                                                                     \
	"Return-Path: <bob@dest.example>\nFrom: Bob <bob@dest.example>\nTo: news@sender.example\n"
#define REPORT                                                                                     \
	"MIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status; "         \
	"boundary=B\n\n"
#define MIXED "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=B\n\n"

static const struct row {
	const char *name, *mail;
	enum report_kind kind;
	const char *rcpts;
	const char *message_id;
} rows[] = {
	{ "DSN", DAEMON REPORT FAILED, REPORT_BOUNCE, "anna@dest.example", "m1@sender.example" },
	{ "DSN in a multipart/mixed", DAEMON MIXED FAILED, REPORT_BOUNCE, "anna@dest.example",
	    "m1@sender.example" },
	{ "DSN without its end",
	    DAEMON REPORT "--B\nContent-Type: message/delivery-status\n\nFinal-Recipient: rfc822; "
			  "anna@dest.example\nAction: failed\n",
	    REPORT_BOUNCE, "anna@dest.example", "" },
	{ "DSN without boundaries",
	    DAEMON REPORT "Sorry.\n\nReporting-MTA: dns; mx.example\n\nFinal-Recipient: rfc822; "
			  "anna@dest.example\nAction: failed\n\n" RETURNED,
	    REPORT_BOUNCE, "anna@dest.example", "m1@sender.example" },
	{ "a byte order mark, and an empty line", "\xef\xbb\xbf\n" DAEMON REPORT FAILED,
	    REPORT_BOUNCE, "anna@dest.example", "m1@sender.example" },
	{ "the text behind the message",
	    DAEMON MIXED "--B\nContent-Type: message/rfc822\n\n" RETURNED
			 "\n--B\nContent-Type: text/plain\n\nYour message could not be delivered "
			 "to:\n\nbob@dest.example\n550 no such user\n\n--B--\n",
	    REPORT_BOUNCE, "bob@dest.example", "m1@sender.example" },
	{ "a banner, and the report in HTML",
	    DAEMON MIXED "--B\nContent-Type: text/plain\n\nThis is an external mail.\n--B\n"
			 "Content-Type: text/html\n\n<p>Your message could not be delivered to "
			 "<b>bob@dest.example</b>: 550 no such user</p>\n--B\nContent-Type: "
			 "message/rfc822\n\n" RETURNED "\n--B--\n",
	    REPORT_BOUNCE, "bob@dest.example", "m1@sender.example" },
	{ "DSN, base64",
	    DAEMON REPORT
	    "--B\nContent-Type: message/delivery-status\nContent-Transfer-Encoding: base64\n\n"
	    "RmluYWwtUmVjaXBpZW50OiByZmM4MjI7IGFubmFAZGVzdC5leGFtcGxlCkFjdGlvbjogZmFpbGVkCg==\n--B-"
	    "-\n",
	    REPORT_BOUNCE, "anna@dest.example", "" },
	{ "DSN with the original before it",
	    DAEMON REPORT "--B\nContent-Type: message/rfc822\n\n" RETURNED
			  "\n--B\nContent-Type: message/delivery-status\n\nFinal-Recipient: "
			  "rfc822; anna@dest.example\nAction: failed\n\n--B--\n",
	    REPORT_BOUNCE, "anna@dest.example", "m1@sender.example" },
	{ "DSN with the header only",
	    DAEMON REPORT "--B\nContent-Type: message/delivery-status\n\nFinal-Recipient: rfc822; "
			  "anna@dest.example\nAction: failed\n\n--B\nContent-Type: "
			  "text/rfc822-headers\n\n" RETURNED "\n--B--\n",
	    REPORT_BOUNCE, "anna@dest.example", "m1@sender.example" },
	{ "DSN that a gateway has wrapped",
	    DAEMON MIXED
	    "--B\nContent-Type: text/plain\n\nForwarded by the gateway.\n\n--B\nContent-Type: "
	    "message/rfc822\n\nFrom: MAILER-DAEMON@in.example\nSubject: x\n"
	    "Content-Type: multipart/report; boundary=C\n\n--C\nContent-Type: "
	    "message/delivery-status\n\nFinal-Recipient: rfc822; anna@dest.example\nAction: "
	    "failed\n\n--C\nContent-Type: message/rfc822\n\n" RETURNED "\n--C--\n\n--B--\n",
	    REPORT_BOUNCE, "anna@dest.example", "m1@sender.example" },
	{ "DSN of a DSN",
	    DAEMON REPORT "--B\nContent-Type: message/delivery-status\n\nFinal-Recipient: rfc822; "
			  "outer@dest.example\nAction: failed\n\n--B\nContent-Type: "
			  "message/rfc822\n\nMessage-ID: <outer@x>\nFrom: MAILER-DAEMON@y.example\n"
			  "Content-Type: multipart/report; boundary=C\n\n--C\nContent-Type: "
			  "message/delivery-status\n\nFinal-Recipient: rfc822; "
			  "inner@dest.example\nAction: failed\n\n--C--\n\n--B--\n",
	    REPORT_BOUNCE, "outer@dest.example", "outer@x" },
	{ "words that a gateway has wrapped",
	    DAEMON MIXED
	    "--B\nContent-Type: text/plain\n\nThis came in.\n\n--B\nContent-Type: "
	    "message/rfc822\n\nFrom: MAILER-DAEMON@in.example\nTo: news@sender.example\nSubject: "
	    "failure notice\n\n<anna@dest.example>:\n550 5.1.1 unknown\n\n--- Below this line is a "
	    "copy of the message.\n\n" RETURNED "\n--B--\n",
	    REPORT_BOUNCE, "anna@dest.example", "m1@sender.example" },
	{ "delivered",
	    DAEMON REPORT "--B\nContent-Type: message/delivery-status\n\nFinal-Recipient: rfc822; "
			  "anna@dest.example\nAction: delivered\nStatus: 2.0.0\n\n--B--\n",
	    REPORT_SUCCESS, "anna@dest.example", "" },
	{ "internationalised",
	    DAEMON REPORT "--B\nContent-Type: message/global-delivery-status\n\nFinal-Recipient: "
			  "utf-8; \xe5\xb0\x8f@dest.example\nAction: failed\n\n--B\nContent-Type: "
			  "message/global-headers\n\n" RETURNED "\n--B--\n",
	    REPORT_BOUNCE, "\xe5\xb0\x8f@dest.example", "m1@sender.example" },
	{ "the mail system's own X-Failed-Recipients",
	    DAEMON "X-Failed-Recipients: anna@dest.example,\n carl@dest.example\n\nSorry.\n",
	    REPORT_BOUNCE, "anna@dest.example carl@dest.example", "" },
	{ "HTML alone",
	    DAEMON "Content-Type: "
		   "text/html\n\n<html><head><title>x@y.example</title></head><body><p>Delivery "
		   "failed:</p><p><a href=\"mailto:q@r.example\">anna@dest.example</a></p><p>550 "
		   "5.1.1 unknown</p></body></html>\n",
	    REPORT_BOUNCE, "anna@dest.example", "" },
	{ "header lines that have lost their folds",
	    "Received: from a\nby b with ESMTP id 1\nReturn-Path: <>\nFrom: "
	    "MAILER-DAEMON@mx.example\nContent-Type: multipart/report;\nboundary=B\nSubject: "
	    "x\nTo: a@b.example\n\n" FAILED,
	    REPORT_BOUNCE, "anna@dest.example", "m1@sender.example" },

	{ "ARF",
	    "From: fbl@isp.example\nSubject: FW: x\nContent-Type: multipart/report; "
	    "report-type=feedback-report; boundary=B\n\n--B\nContent-Type: "
	    "text/plain\n\nx\n--B\nContent-Type: message/feedback-report\n\nFeedback-Type: "
	    "abuse\nOriginal-Rcpt-To: anna@dest.example\n\n--B\nContent-Type: "
	    "message/rfc822\n\n>From x\n" RETURNED "\n--B--\n",
	    REPORT_FEEDBACK, "anna@dest.example", "m1@sender.example" },
	{ "ARF about DMARC",
	    "From: dmarc@isp.example\nSubject: x\nContent-Type: multipart/report; "
	    "report-type=feedback-report; boundary=B\n\n--B\nContent-Type: "
	    "message/feedback-report\n\nFeedback-Type: auth-failure\n\n--B--\n",
	    REPORT_AUTH_FAILURE, "", "" },
	{ "Hotmail's of old",
	    "From: staff@hotmail.com\nSubject: complaint about message from "
	    "192.0.2.7\nContent-Type: multipart/mixed; boundary=B\n\n--B\nContent-Type: "
	    "message/rfc822\n\nX-HmXmrOriginalRecipient: anna@dest.example\n" RETURNED "\n--B--\n",
	    REPORT_FEEDBACK, "anna@dest.example", "m1@sender.example" },

	{ "vacation",
	    PERSON "Subject: Out of Office: March\nAuto-Submitted: auto-replied\n\nBack on Monday. "
		   "Ask carl@dest.example.\n",
	    REPORT_AUTO_REPLY, "", "" },
	{ "vacation, by its subject",
	    PERSON "Subject: Automatische Antwort: March\n\nBis Montag.\n", REPORT_AUTO_REPLY, "",
	    "" },
	{ "vacation from a null return path",
	    "Return-Path: <>\nFrom: Bob <bob@dest.example>\nTo: n@s.example\nSubject: March\n\nI "
	    "am on vacation.\n",
	    REPORT_AUTO_REPLY, "", "" },
	{ "challenge",
	    "Return-Path: <>\nFrom: bob@boxbe.example\nTo: n@s.example\nSubject: March (Action "
	    "Required)\nAuto-Submitted: auto-replied\n\nYour message to bob@dest.example was not "
	    "delivered. Click here to verify that you are a human: Boxbe\n",
	    REPORT_CHALLENGE, "", "" },
	{ "unsubscribe", PERSON "Subject: Unsubscribe\n\n", REPORT_UNSUBSCRIBE, "", "" },

	{ "mail", PERSON "Subject: Hello\n\nHow are you? Write to carl@dest.example.\n",
	    REPORT_ORDINARY, "", "" },
	{ "a person asks about a bounce",
	    PERSON "Subject: Re: Undelivered Mail\n\nI got this:\n\n<anna@dest.example>: 550 5.1.1 "
		   "unknown\n\nWhat is it?\n",
	    REPORT_ORDINARY, "", "" },
	{ "a person passes a DSN on",
	    PERSON "Subject: Fwd: Undelivered Mail Returned to Sender\n" MIXED
		   "--B\nContent-Type: text/plain\n\nSee below.\n\n--B\nContent-Type: "
		   "message/rfc822\n\n" DAEMON
		   "Content-Type: multipart/report; boundary=C\n\n--C\nContent-Type: "
		   "message/delivery-status\n\nFinal-Recipient: rfc822; anna@dest.example\nAction: "
		   "failed\n\n--C--\n\n--B--\n",
	    REPORT_ORDINARY, "", "" },
	{ "a person passes a DSN on, and says so only in the text",
	    PERSON "Subject: Undelivered Mail Returned to Sender\n" MIXED
		   "--B\nContent-Type: text/plain\n\nCould not be delivered to: "
		   "anna@dest.example\n\n--B\nContent-Type: message/rfc822\n\n" DAEMON
		   "\nSorry\n\n--B--\n",
	    REPORT_ORDINARY, "", "" },
	{ "a receipt for reading",
	    "Return-Path: <>\nFrom: bob@dest.example\nTo: n@s.example\nSubject: Read: Delivery of "
	    "March\nContent-Type: multipart/report; report-type=disposition-notification; "
	    "boundary=B\n\n--B\nContent-Type: text/plain\n\nYour message to anna@dest.example was "
	    "displayed. Not delivered is another thing.\n\n--B\n"
	    "Content-Type: message/disposition-notification\n\nFinal-Recipient: rfc822; "
	    "bob@dest.example\nDisposition: manual-action/MDN-sent-manually; displayed\n\n--B--\n",
	    REPORT_ORDINARY, "", "" },
	{ "a notice of abuse",
	    "From: abuse@isp.example\nTo: abuse@sender.example\nSubject: Abuse report for "
	    "192.0.2.7\nAuto-Submitted: auto-generated\n\nSpam from 192.0.2.7 was sent to "
	    "trap@isp.example.\n",
	    REPORT_ORDINARY, "", "" },
	{ "news of holidays", PERSON "Subject: Vacation rentals from 99\n\nBook now.\n",
	    REPORT_ORDINARY, "", "" },
	{ "a machine's notice",
	    "Return-Path: <>\nFrom: noreply@isp.example\nTo: n@s.example\nSubject: Your "
	    "report\nAuto-Submitted: auto-generated\n\nThank you for contacting us. Do not reply "
	    "to this mail.\n",
	    REPORT_ORDINARY, "", "" },
	{ "a report from an ordinary address, with the message",
	    "From: sysadmin@mx.example\nTo: news@sender.example\nSubject: Undeliverable "
	    "Message\n" MIXED
	    "--B\nContent-Type: text/plain\n\nMessage could not be delivered to mobile.\nError: No "
	    "valid recipients for this MM\n\n--B\nContent-Type: message/rfc822\n\n" RETURNED
	    "\n--B--\n",
	    REPORT_BOUNCE, "anna@dest.example", "m1@sender.example" },
	{ "nothing", "", REPORT_ORDINARY, "", "" },
	{ "a header without a body", "Subject: x\n", REPORT_ORDINARY, "", "" },
};

static void
check_row(struct report_reader *rr, const struct row *row, struct slice mail, const char *how)
{
	struct buf got;
	struct report r;

	buf_init(&got, 4096);
	report_read(rr, mail, &r);
	for (size_t k = 0; k < r.n_rcpts; k++)
		buf_printf(&got, "%s%.*s", k > 0 ? " " : "", SLICE_FMT(r.rcpts[k].rcpt));
	if (!ok(r.kind == row->kind && strcmp(buf_str(&got), row->rcpts) == 0 &&
		    slice_eq(r.message_id, slice_str(row->message_id)),
		"%s%s", row->name, how))
		printf("# %s, \"%s\", %.*s\n", report_kind_name(r.kind), buf_str(&got),
		    SLICE_FMT(r.message_id));
	buf_free(&got);
}

/* The first lines are those that our own MTA has added: their end stays. */
static void
make_ends(struct buf *out, struct slice mail, unsigned own, const char *end)
{
	buf_clear(out);
	for (size_t i = 0; i < mail.len; i++) {
		if (mail.p[i] != '\n') {
			buf_addc(out, mail.p[i]);
			continue;
		}
		buf_adds(out, own > 0 ? "\r\n" : end);
		if (own > 0)
			own--;
	}
}

static void
test_rows(struct report_reader *rr)
{
	static const struct {
		const char *end, *name;
		unsigned own;
	} ends[] = {
		{ "\r\n", ", CRLF", 0 },
		{ "\r\r\n", ", CR CR LF", 0 },
		{ "\r\r\n", ", CR CR LF behind a line", 1 },
		{ "\r\r\r\n", ", CR CR CR LF", 0 },
	};
	struct buf mail;

	buf_init(&mail, 65536);
	for (size_t i = 0; i < COUNT(rows); i++) {
		check_row(rr, &rows[i], slice_str(rows[i].mail), "");
		for (size_t k = 0; k < COUNT(ends); k++) {
			make_ends(&mail, slice_str(rows[i].mail), ends[k].own, ends[k].end);
			check_row(rr, &rows[i], buf_slice(&mail), ends[k].name);
		}
	}
	buf_free(&mail);
}

static void
test_original(struct report_reader *rr)
{
	struct report r;

	report_read(rr, slice_str(DAEMON REPORT FAILED), &r);
	ok(slice_eq(r.envelope_id, SLICE_LIT("env1")), "envelope id");
	ok(slice_eq(r.reporting_mta, SLICE_LIT("mx.example")), "reporting MTA");
	ok(slice_eq(r.signalpost_id, SLICE_LIT("sealed")), "sealed id");
	ok(slice_eq(r.job, SLICE_LIT("march")), "job");
	ok(slice_eq(r.return_path, SLICE_LIT("b+1@b.sender.example")), "return path");
	ok(slice_eq(r.original_from, SLICE_LIT("news@sender.example")), "its From");
	ok(slice_eq(r.original_to, SLICE_LIT("anna@dest.example")), "its To");
	ok(slice_eq(r.original_subject, SLICE_LIT("M\xc3\xa4rz")), "its subject, decoded");
	ok(slice_eq(r.to, SLICE_LIT("b@sender.example")), "to whom the report went");
}

static void
test_patterns(struct report_reader *rr)
{
	struct report_patterns *p;
	struct report r;
	struct err e;

	p = report_patterns_parse(
	    "own", SLICE_LIT("# comment\n\n/^gone: (?<rcpt>\\S+) (?<diag>.*)$/\n"), &e);
	report_set_patterns(rr, p, NULL);
	report_read(rr,
	    SLICE_LIT("From: robot@x.example\nSubject: hm\n\nhello\ngone: anna@dest.example 552 "
		      "5.2.2 full\n"),
	    &r);
	ok(r.kind == REPORT_BOUNCE && r.n_rcpts == 1 &&
		slice_eq(r.rcpts[0].rcpt, SLICE_LIT("anna@dest.example")) &&
		r.rcpts[0].code == 552 && slice_eq(r.rcpts[0].status, SLICE_LIT("5.2.2")) &&
		strcmp(r.pattern, "own:3") == 0,
	    "a pattern of the operator's own");
	report_read(rr, SLICE_LIT("From: robot@x.example\nSubject: hm\n\nhello\n"), &r);
	ok(r.kind == REPORT_ORDINARY && r.pattern == NULL, "which does not match all");
	report_set_patterns(rr, NULL, p);
	report_read(
	    rr, SLICE_LIT("From: robot@x.example\nSubject: hm\n\ngone: anna@dest.example \n"), &r);
	ok(r.kind == REPORT_FEEDBACK && slice_eq(r.feedback_type, SLICE_LIT("abuse")),
	    "for complaints");
	report_set_patterns(rr, NULL, NULL);
	report_patterns_free(p);
	ok(report_patterns_parse("own", SLICE_LIT("\n/(/\n"), &e) == NULL &&
		strncmp(e.text, "own:2: ", 7) == 0,
	    "a broken one: %s", e.text);
	ok(report_patterns_parse("own", SLICE_LIT("x\n"), &e) == NULL &&
		strcmp(e.text, "own:1: expected /PATTERN/") == 0,
	    "none: %s", e.text);
	ok(report_patterns_load("/nowhere/patterns", &e) == NULL, "no file: %s", e.text);
}

static const struct {
	const char *html, *text;
} html[] = {
	{ "<p>a</p><p>b  c</p>", "a\n\nb c\n" },
	{ "a<br>b", "a\nb\n" },
	{ "<style>x</style><script>y</script>a", "a\n" },
	{ "<head><title>x</title></head><body>a</body>", "a\n" },
	{ "a&lt;b@c.example&gt;&nbsp;d", "a<b@c.example> d\n" },
	{ "a<!-- b -->c", "ac\n" },
	{ "<table><tr><td>a<td>b</table>", "a\n\nb\n" },
	{ "<b>a", "a\n" },
	{ "", "" },
};

int
main(void)
{
	struct report_reader *rr = report_open();

	test_rows(rr);
	test_original(rr);
	test_patterns(rr);
	report_close(rr);
	for (size_t i = 0; i < COUNT(html); i++) {
		struct buf got;

		buf_init(&got, 4096);
		html_text(&got, slice_str(html[i].html), slice_str(""));
		if (!ok(strcmp(buf_str(&got), html[i].text) == 0, "text of %s", html[i].html))
			printf("# [%s]\n", buf_str(&got));
		buf_free(&got);
	}
	return tap_done();
}
