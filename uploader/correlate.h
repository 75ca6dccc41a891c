/*
 * correlate.h - which message, and which of its recipients, a report is about.
 *
 * Asked in this order; the first that answers counts:
 *
 *	seal		a sealed id: X-Signalpost-ID of the quoted message, the address that the
 *			report was mailed to, the quoted message's return path
 *	envid		Original-Envelope-Id, and the recipient
 *	message-id	Message-ID of the quoted message, and the recipient; without
 *			a recipient if one message only has this Message-ID
 *	verp		the address that the report was mailed to, or the quoted return path,
 *			is the return path of the latest message to the recipient that it names
 *	recipient	the latest message to the recipient
 *
 * Anybody can mail a report, and only a seal can't be made up. So without one
 *
 *	- nothing is said about a message of a subaccount: it would change what another
 *	  customer sees. Such a message is a guess (`likely`);
 *	- the recipient alone, which anybody can guess, is a guess, too; and so is a Message-ID
 *	  of a message that was for somebody else.
 *
 * Who has the message has its seal: a recipient can report what he likes on his own message,
 * but not more than once for each that it was for.
 */
#ifndef UPLOADER_CORRELATE_H
#define UPLOADER_CORRELATE_H

#include "common/err.h"
#include "common/ids.h"
#include "common/inbound.h"
#include "common/index.h"
#include "common/report.h"
#include "common/token.h"

enum correlate_by {
	CORRELATE_NONE,
	CORRELATE_RECIPIENT,
	CORRELATE_VERP,
	CORRELATE_MESSAGE_ID,
	CORRELATE_ENVID,
	CORRELATE_SEAL,
};

const char *correlate_name(enum correlate_by by); /* "message-id" */

struct correlate {
	struct index *ix;
	const struct token_ring *ring; /* NULL: no seal opens */

	/* of the report in hand */
	const struct report *report;
	const struct inbound_envelope *env;
	bool sealed;
	struct message_id first; /* of the sealed id: the first recipient's, */
	unsigned count;          /* and how many there are */
	struct buf plain, text, verp;
};

struct correlated { /* slices are good until the index is asked again */
	enum correlate_by by;
	bool authenticated;    /* by a seal */
	bool known;            /* `message` is what the index has of it */
	bool whole_message;    /* all recipients of a message are meant, or one that is not known */
	char id[IDS_SIZE];     /* the message's; "" if it is not known, or may not be said */
	char likely[IDS_SIZE]; /* a guess, for the operator; or "" */
	struct index_message message;
};

void correlate_init(struct correlate *c, struct index *ix, const struct token_ring *ring);
void correlate_free(struct correlate *c);

/* A report, which must stay: its seals are opened. */
void correlate_begin(
    struct correlate *c, const struct report *report, const struct inbound_envelope *env);

/* Whom does it mean by `rcpt` ("": it names nobody)? 0; -1 and *e: the index failed. */
int correlate_rcpt(struct correlate *c, struct slice rcpt, struct correlated *out, struct err *e);

#endif
