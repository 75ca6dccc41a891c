/*
 * report_text.h - failing recipients in a text for people: reports without a machine-readable
 * part, as qmail, Exim, old Sendmail, Exchange, Notes, IMail and hundreds of others write them.
 *
 *	report_text_begin(&t, text, skip, n_skip);
 *	while (report_text_next(&t, &r) > 0)
 *		... r.address, r.reason, r.status ...
 *
 * No rule knows a product. What all of them do is used instead: the address stands alone on its
 * line, or first on it, or behind a word like "to" or "recipient"; the reason stands between it
 * and the next address, or just before it; what they quote of the message comes last.
 * Lines end with LF. All slices lie in `text`, or are empty. Linear in the text.
 */
#ifndef COMMON_REPORT_TEXT_H
#define COMMON_REPORT_TEXT_H

#include "common/slice.h"

#define REPORT_TEXT_MAX        (256u * 1024) /* what is behind is not looked at */
#define REPORT_TEXT_CANDIDATES 2000

/* How an address stands in its line: the best that there are count, the others do not. */
enum report_text_rank {
	REPORT_TEXT_MENTIONED, /* somewhere in a sentence */
	REPORT_TEXT_SESSION,   /* in what the servers said to each other */
	REPORT_TEXT_NAMED,     /* behind "to", "recipient", "address" */
	REPORT_TEXT_FIRST,     /* it begins its line, or is what a label stands before */
	REPORT_TEXT_RANKS,
};

struct report_text_rcpt {
	struct slice address; /* without <> */
	struct slice reason;  /* what is said of it, one or more lines */
	struct slice status;  /* d.d.d, or empty */
	unsigned code;        /* reply code, or 0 */
};

struct report_text_found {
	struct slice address;
	size_t line, line_end; /* offsets of its line */
	unsigned char rank;
};

struct report_text {
	struct slice text;   /* up to the quoted message */
	struct slice quoted; /* from the quoted message's header on; empty if there is none */
	size_t n, at;
	enum report_text_rank best;
	struct report_text_found found[REPORT_TEXT_CANDIDATES];
};

/*
 * `skip`: addresses that are none of the recipients: those of the report's own To and From.
 * They lie outside of `text` or in it, and count without case.
 */
void report_text_begin(
    struct report_text *t, struct slice text, const struct slice *skip, size_t n_skip);

/* Where the quoted message begins in `text`; text.len if it does not. *header: offset of its
 * header. */
size_t report_text_quote(struct slice text, size_t *header);

/* 1: *r filled, an address comes once. 0: no more. */
int report_text_next(struct report_text *t, struct report_text_rcpt *r);

/* What is said of `address` anywhere in the text: for recipients that are known from elsewhere. */
void report_text_about(
    const struct report_text *t, struct slice address, struct report_text_rcpt *r);

/* The text up to the last recipient; what gateways add stands behind it. */
struct slice report_text_before(const struct report_text *t);

#endif
