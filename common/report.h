/*
 * report.h - what an inbound mail is: a delivery report (standard or not), a complaint, an
 * automatic answer, or mail like any other; and what it says of which message.
 *
 *	struct report_reader *rr = report_open();
 *	struct report r;
 *
 *	report_read(rr, mail, &r);
 *	for (size_t i = 0; i < r.n_rcpts; i++)
 *		... r.rcpts[i].rcpt, r.rcpts[i].status ...
 *	report_close(rr);
 *
 * Anybody can send a report: nothing in it is proven by being there. Reading is tolerant: what
 * can't be read is left out, no report is refused as a whole.
 *
 * One forward pass over the mail's parts (mime.h), no recursion, and these bounds, beyond
 * which nothing is read: MIME_MAX_DEPTH and MIME_MAX_PARTS, REPORT_MAX_RCPTS recipients,
 * REPORT_MAX_TEXT bytes of text for people, REPORT_MAX_PART of machine-readable parts,
 * REPORT_MAX_DIAGNOSTIC of a diagnostic. Time is linear in the mail, memory is what these bounds
 * need, whatever the mail; a mail with CR alone or CR CR LF as line end is copied, up to
 * REPORT_MAX_COPY.
 *
 * A reader may be used for one mail after the other, by one thread at a time.
 */
#ifndef COMMON_REPORT_H
#define COMMON_REPORT_H

#include "common/buf.h"
#include "common/dsn.h"
#include "common/report_patterns.h"
#include "common/slice.h"

#define REPORT_MAX_RCPTS      DSN_MAX_RCPTS
#define REPORT_MAX_TEXT       (256u * 1024)
#define REPORT_MAX_PART       (4u * 1024 * 1024)
#define REPORT_MAX_DIAGNOSTIC 4096
#define REPORT_MAX_COPY       (16u * 1024 * 1024)

enum report_kind {
	REPORT_ORDINARY, /* none of those below; receipts for reading (RFC 8098) too */
	REPORT_BOUNCE,  /* recipients that failed or are late; none if the report does not say whose
	                 */
	REPORT_SUCCESS, /* delivered, relayed, expanded: nothing failed */
	REPORT_FEEDBACK,     /* a complaint, or what its type says */
	REPORT_AUTH_FAILURE, /* a feedback report about SPF, DKIM or DMARC: no complaint */
	REPORT_AUTO_REPLY,
	REPORT_CHALLENGE, /* "confirm that you are human" */
	REPORT_SUBSCRIBE,
	REPORT_UNSUBSCRIBE,
};

/* All texts are valid UTF-8 without controls and folds; empty: not known. */
struct report_rcpt {
	struct slice rcpt;     /* whom the message was for, as its sender would know him */
	struct slice original; /* Original-Recipient */
	struct slice final;    /* Final-Recipient */
	enum dsn_action action;
	struct slice status; /* "5.1.1"; refined where the report has x.0.0 only */
	unsigned code;       /* SMTP reply code, or 0 */
	struct slice diagnostic;
	struct slice remote_mta;
};

struct report {
	enum report_kind kind;
	const char
	    *format; /* "dsn", "text", "arf", "jmrp", "pattern", "auto": what it was read as */
	const char
	    *pattern;   /* "FILE:LINE" of the operator's pattern that read it; NULL: none did */
	bool truncated; /* there were more recipients or parts than the bounds allow */
	struct slice sender; /* the report's own From */
	struct slice to;     /* the report's own To: what it was mailed to, as its header says */
	struct slice subject;
	struct slice reporting_mta;
	size_t n_rcpts;
	struct report_rcpt *rcpts;
	struct slice text;   /* for people, before the quoted message; raw, lines end with LF */
	struct slice before; /* of it, up to the last recipient that it names */

	/* the message that it is about */
	struct slice message_id;    /* without <> */
	struct slice signalpost_id; /* X-Signalpost-ID */
	struct slice envelope_id;
	struct slice job;                                          /* X-Job */
	struct slice return_path;                                  /* without <> */
	struct slice original_from, original_to, original_subject; /* decoded */

	/* feedback */
	struct slice feedback_type; /* lower case: "abuse", "not-spam", "opt-out" */
	struct slice user_agent, source_ip, reported_domain, feedback_id, arrival;
};

struct report_reader;

struct report_reader *report_open(void);
void report_close(struct report_reader *rr); /* NULL is fine */

/*
 * Patterns for mails that are nothing else, tried on the text for people and what it quotes; either
 * may be NULL. They stay the caller's and must live as long as the reader.
 */
void report_set_patterns(struct report_reader *rr, const struct report_patterns *bounce,
    const struct report_patterns *feedback);

/* Read one mail. What is in *out is good until the next call; `mail` must stay as long. */
void report_read(struct report_reader *rr, struct slice mail, struct report *out);

const char *report_kind_name(enum report_kind kind); /* "bounce" */

#endif
