/*
 * dsn.h - the machine-readable part of a delivery report: message/delivery-status
 * (RFC 3464) and message/global-delivery-status (RFC 6533), recipient by recipient.
 *
 *	dsn_begin(&d, body);
 *	while (dsn_next(&d, &rcpt) > 0)
 *		... rcpt.action, rcpt.status, d.reporting_mta ...
 *
 * Nothing is allocated or copied; all slices lie in the input, "type;" and blanks
 * round the value taken off, folds kept. One pass.
 *
 * Reports are read field by field, none is refused as a whole:
 * - lines that are no fields are passed over, unknown fields too;
 * - a group ends at an empty line, and where a field comes that it has already;
 * - the fields of the message may be missing, or stand with those of the first recipient;
 * - an empty line inside a group does not end it if what follows names no recipient;
 * - a group without any recipient is given as well, its addresses are empty.
 */
#ifndef COMMON_DSN_H
#define COMMON_DSN_H

#include "common/buf.h"
#include "common/slice.h"

#define DSN_MAX_RCPTS  10000
#define DSN_MAX_FIELDS 200000

enum dsn_action {
	DSN_ACTION_NONE, /* not given, or a word that RFC 3464 has not */
	DSN_FAILED,
	DSN_DELAYED,
	DSN_DELIVERED,
	DSN_RELAYED,
	DSN_EXPANDED,
};

struct dsn_rcpt {
	struct slice original, final; /* as written: dsn_address() reads them */
	struct slice actual;          /* X-Actual-Recipient */
	enum dsn_action action;
	struct slice status;     /* "5.1.1", or empty */
	struct slice diagnostic; /* Diagnostic-Code */
	struct slice remote_mta;
};

struct dsn {
	struct slice rest; /* not read yet */
	struct slice reporting_mta,
	    envelope_id; /* of the message; known after the first recipient */
	unsigned fields, rcpts;
	bool truncated; /* there is more than DSN_MAX_... allow */
	bool pending;   /* a field was read that begins the next group */
	struct slice pending_name, pending_value;
};

void dsn_begin(struct dsn *d, struct slice body);

/* 1: *out filled. 0: no more. -1: over the budget, d->truncated is set. */
int dsn_next(struct dsn *d, struct dsn_rcpt *out);

/*
 * The address in a recipient field: comments and angle brackets dropped, xtext (RFC 3461 4)
 * and \x{HHHH} (RFC 6533 3) decoded where they are certain. Cleared first; left empty if there is
 * nothing, no local part, or a control in it. What has no '@' is kept.
 */
void dsn_address(struct slice value, struct buf *out);

/* The first d.d.d with a class of 2, 4 or 5 that is no part of a longer number; empty if none. */
struct slice dsn_find_status(struct slice text);

/* The first reply code, 4xx or 5xx, that stands as a word of its own and before a text; 0 if none.
 */
unsigned dsn_find_code(struct slice text);

const char *dsn_action_name(enum dsn_action action); /* "failed"; "" for none */

#endif
