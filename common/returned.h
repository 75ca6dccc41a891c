/*
 * returned.h - what a report quotes of the message it is about: its header, whole or in part.
 *
 * Values are raw: all behind the colon, trimmed, folds kept; empty if the field is not there.
 * All slices lie in the input. Of a field that comes twice the first counts.
 */
#ifndef COMMON_RETURNED_H
#define COMMON_RETURNED_H

#include "common/slice.h"

#define RETURNED_MAX_FIELDS 2000
#define RETURNED_MAX_BYTES  (256u * 1024)

struct returned {
	struct slice message_id;    /* with its <> */
	struct slice signalpost_id; /* X-Signalpost-ID */
	struct slice job;           /* X-Job */
	struct slice from, to, cc, subject, date;
	struct slice return_path;  /* with its <> */
	struct slice delivered_to; /* also Envelope-To, X-Original-To */
	struct slice complained;   /* X-HmXmrOriginalRecipient: who complained at Hotmail */
	struct slice list_unsubscribe;
	unsigned fields; /* of any name */
	unsigned known;  /* of those that only a message has */
};

/*
 * Read a header block up to its empty line. Empty lines and mbox's "From " and ">From " lines
 * before it are passed over, lines that are no fields too. `block` may go on with the body.
 */
void returned_read(struct returned *r, struct slice block);

#endif
