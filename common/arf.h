/*
 * arf.h - the machine-readable part of a feedback report: message/feedback-report (RFC 5965),
 * with what mailbox providers have added.
 *
 *	arf_read(&a, body);
 *	while (arf_next_rcpt(&a, &value))
 *		...
 *
 * Values are raw and lie in the input: trimmed, folds kept. Nothing is allocated. A field that
 * is missing, required or not, is empty.
 */
#ifndef COMMON_ARF_H
#define COMMON_ARF_H

#include "common/buf.h"
#include "common/slice.h"

#define ARF_MAX_FIELDS 10000

struct arf {
	struct slice type; /* "abuse", "not-spam", "auth-failure"; with Abuse-Type alone: that */
	struct slice user_agent, version;
	struct slice mail_from; /* Original-Mail-From */
	struct slice envelope_id;
	struct slice arrival; /* Arrival-Date or Received-Date */
	struct slice reporting_mta;
	struct slice source_ip;
	struct slice reported_domain;
	struct slice source;      /* who lets this be sent: Source */
	struct slice feedback_id; /* CFBL-Feedback-ID (RFC 9477) */
	unsigned fields, n_rcpts;
	struct slice rest; /* where arf_next_rcpt() goes on */
};

void arf_read(struct arf *a, struct slice body);

/*
 * Original-Rcpt-To, Original-Recipient, Removal-Recipient, Redacted-Address one after the other,
 * as written; arf_address() reads them.
 */
bool arf_next_rcpt(struct arf *a, struct slice *value);

/* "rfc822;a@b", "<a@b>", "undisclosed <a@b>", "a@b": the address. Cleared first; empty if there is
 * none. */
void arf_address(struct slice value, struct buf *out);

/* Was the recipient taken out by the provider ("redacted@aol.com", a bare hash)? */
bool arf_is_redacted(struct slice address);

#endif
