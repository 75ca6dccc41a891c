#include "common/returned.h"

#include <stddef.h>

#include "common/header.h"

static const struct {
	const char *name;
	size_t offset; /* of the member */
	bool keep;     /* or does it only show that this is a message? */
} fields[] = {
	{ "Message-ID", offsetof(struct returned, message_id), true },
	{ "X-Signalpost-ID", offsetof(struct returned, signalpost_id), true },
	{ "X-Job", offsetof(struct returned, job), true },
	{ "From", offsetof(struct returned, from), true },
	{ "To", offsetof(struct returned, to), true },
	{ "Cc", offsetof(struct returned, cc), true },
	{ "Subject", offsetof(struct returned, subject), true },
	{ "Date", offsetof(struct returned, date), true },
	{ "Return-Path", offsetof(struct returned, return_path), true },
	{ "Delivered-To", offsetof(struct returned, delivered_to), true },
	{ "Envelope-To", offsetof(struct returned, delivered_to), true },
	{ "X-Original-To", offsetof(struct returned, delivered_to), true },
	{ "X-HmXmrOriginalRecipient", offsetof(struct returned, complained), true },
	{ "List-Unsubscribe", offsetof(struct returned, list_unsubscribe), true },
	{ "Received", 0, false },
	{ "MIME-Version", 0, false },
};

static void
take(struct returned *r, const struct header *h)
{
	for (size_t i = 0; i < COUNT(fields); i++) {
		struct slice *at;

		if (!slice_eqi(h->name, slice_str(fields[i].name)))
			continue;
		r->known++;
		if (!fields[i].keep)
			return;
		at = (struct slice *)(void *)((char *)r + fields[i].offset);
		if (at->len == 0)
			*at = slice_trim(h->value);
		return;
	}
}

static bool
is_before_header(struct slice line)
{
	return slice_trim(line).len == 0 || slice_starts(line, SLICE_LIT("From ")) ||
	       slice_starts(line, SLICE_LIT(">From "));
}

void
returned_read(struct returned *r, struct slice block)
{
	struct slice rest = slice_head(block, RETURNED_MAX_BYTES), after, line;
	struct header h;
	int rc;

	*r = (struct returned){ 0 };
	after = rest;
	while (slice_line(&after, &line) && is_before_header(line))
		rest = after;
	while (r->fields < RETURNED_MAX_FIELDS && (rc = header_next(&rest, &h)) != 0) {
		if (rc < 0)
			continue;
		r->fields++;
		take(r, &h);
	}
}
