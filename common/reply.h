/*
 * reply.h - the parts of an SMTP reply, wherever it was written down.
 *
 *	550 5.1.1 <x@example.com>: User unknown
 *	550-5.7.1 first line 550 5.7.1 last line	the lines joined, as Postfix logs them
 *	host mx.example.com[192.0.2.1] said: 550 5.1.1 ... (in reply to RCPT TO command)
 *	host mx.example.com[192.0.2.1] refused to talk to me: 554 5.7.1 ...
 *	connect to mx.example.com[192.0.2.1]:25: Connection timed out
 *	smtp; 550 5.1.1 ...				a Diagnostic-Code field
 *	SMTP error from remote mail server after RCPT TO: ...: 550 5.1.1 ...
 *	Deferred: 452 4.2.2 Mailbox full
 *	User unknown					text alone
 *
 * Pure and linear in the input; nothing is allocated but in the caller's buf.
 */
#ifndef COMMON_REPLY_H
#define COMMON_REPLY_H

#include "common/buf.h"
#include "common/slice.h"

struct reply_status { /* RFC 3463: class.subject.detail */
	unsigned class;	  /* 2, 4 or 5; 0: there is none */
	unsigned subject, detail;
};

/* All slices lie inside the line; an empty one is unknown. */
struct reply {
	unsigned code; /* 200 to 599, or 0 */
	struct reply_status status;
	struct slice raw;     /* as the other side said it: without what our MTA wrote around it and the field's "smtp;" */
	struct slice text;    /* raw behind code and status; reply_text() makes one clean line of it */
	struct slice host;    /* who said it, or was called: "mx.example.com" */
	struct slice address; /* its address: "192.0.2.1" */
	struct slice command; /* what it answers: "RCPT TO", "end of DATA" */
	bool remote;	      /* it is known that another host said it */
};

/*
 * Never fails: of a line that is no reply, all is text. A status is looked for
 * behind the code first (its class may differ: "550 4.4.7 QUEUE.Expired") and
 * then anywhere in the text, where its class must be the code's.
 */
void reply_parse(struct slice line, struct reply *out);

/*
 * Append the text as one line: continuation marks ("550-5.7.1", "550 5.7.1" in
 * the midst of it) gone, control characters and runs of white space one blank.
 */
void reply_text(const struct reply *r, struct buf *out);

/*
 * Append `raw` as events have it in `reason`: addresses of mail become "...@...",
 * with the angle brackets around them, IP addresses (4 and 6) "a.b.c.d".
 */
void reply_mask(struct slice raw, struct buf *out);

/* "5.1.1", with anything but a digit or '.' behind it ("5.1.1 (bad mailbox)"). False, and class 0, if it is none. */
bool reply_status_parse(struct slice s, struct reply_status *out);
void reply_status_print(const struct reply_status *s, struct buf *out); /* nothing for class 0 */

#endif
