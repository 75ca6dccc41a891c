/*
 * track.h - opens and clicks: which parts of a message are tracked, and how. Links
 * go through the tracking domain, pixels show opens; nothing else changes meaning.
 *
 * Tracked are text/html parts that a reader sees: not attachments, not what lies in a
 * forwarded message, not AMP. The first of them gets the pixels. A message with a
 * signed, encrypted or PGP part is left alone as a whole.
 */
#ifndef COMMON_TRACK_H
#define COMMON_TRACK_H

#include "common/link.h"
#include "common/message.h"

#define TRACK_PART_MAX ((size_t)10 << 20) /* decoded bytes; a larger part is passed as it is */

/* What became of one link or attribute, for `signalpost rewrite --explain`. */
struct track_note {
	const char *what; /* "wrapped", "left", "removed", "pixel" */
	const char *why;  /* "opt-out", "not http", ...; NULL for what was done */
	struct slice target;
};

struct track_options { /* borrowed */
	const struct token_ring *ring;
	const char *base; /* conf_tracking_base() */
	struct message_id message;
	uint64_t subaccount;
	struct slice rcpt; /* as the event has it */
	bool links, pixels, text;
	void (*note)(void *arg, const struct track_note *note); /* NULL: nobody wants to know */
	void *arg;
};

struct track_report {
	unsigned links;		 /* wrapped */
	bool initial_pixel, open_pixel;
	const char *why_not;	 /* nothing was tracked: "no-html", "signed", ...; NULL */
	unsigned parts_passed;	 /* html parts over a limit or in a charset that can't be edited */
	const char *part_why;	 /* of the last of them */
};

/* Change the message's body (and what its headers say about it). Links, pixels or nothing. */
void track_message(struct message *m, const struct track_options *o, struct track_report *report);

/* One HTML text on its own, in `charset`, as `signalpost rewrite --html` shows it. */
void track_html(struct slice html, struct slice charset, const struct track_options *o,
    struct buf *out, struct track_report *report);

#endif
