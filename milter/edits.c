#include "milter/edits.h"

#include <stdio.h>

#include "common/route.h"

/* libmilter takes char * and does not write to it. */
static char *
arg(const char *s)
{
	return (char *)(uintptr_t)s;
}

static const char *
value_for(const struct message_header *h, bool leading_space)
{
	return !leading_space && h->value[0] == ' ' ? h->value + 1 : h->value;
}

/*
 * Changes first, deletions last, each from the last header up: Postfix renumbers
 * the later ones of a name after a deletion, sendmail does not, and in this
 * order it makes no difference.
 */
static int
apply_changes(SMFICTX *ctx, const struct message *m, bool leading_space, bool deletions)
{
	for (size_t i = m->n_headers; i > 0; i--) {
		const struct message_header *h = &m->headers[i - 1];
		const char *value = h->deleted ? NULL : value_for(h, leading_space);

		if (h->index == 0 || h->deleted != deletions || (!h->deleted && !h->changed))
			continue;
		if (smfi_chgheader(ctx, arg(h->name), (int)h->index, arg(value)) != MI_SUCCESS)
			return -1;
	}
	return 0;
}

static int
apply_additions(SMFICTX *ctx, const struct message *m, bool leading_space)
{
	for (size_t i = 0; i < m->n_headers; i++) {
		const struct message_header *h = &m->headers[i];
		char *value = arg(value_for(h, leading_space));
		int rc;

		if (h->index != 0 || h->deleted)
			continue;
		/* Index 0 is above everything, the MTA's own Received included. */
		rc = h->top ? smfi_insheader(ctx, 0, arg(h->name), value)
			    : smfi_addheader(ctx, arg(h->name), value);
		if (rc != MI_SUCCESS)
			return -1;
	}
	return 0;
}

static int
apply_body(SMFICTX *ctx, const struct message *m)
{
	size_t at = 0;

	if (!m->body_changed)
		return 0;
	/* One uninterrupted series: Postfix takes nothing else between the chunks. */
	do {
		size_t n = m->body.len - at < 65535 ? m->body.len - at : 65535;

		if (smfi_replacebody(ctx, (unsigned char *)(uintptr_t)(m->body.p + at), (int)n) !=
		    MI_SUCCESS)
			return -1;
		at += n;
	} while (at < m->body.len);
	return 0;
}

int
edits_apply(SMFICTX *ctx, const struct message *m, bool leading_space, struct err *e)
{
	if (apply_body(ctx, m) < 0 || apply_changes(ctx, m, leading_space, false) < 0 ||
	    apply_changes(ctx, m, leading_space, true) < 0 ||
	    apply_additions(ctx, m, leading_space) < 0)
		return err_set(e, "the MTA did not take the changes to the message");
	return 0;
}

int
edits_from(SMFICTX *ctx, struct slice from, struct slice envid, struct err *e)
{
	char path[1100], args[512];

	if (snprintf(path, sizeof(path), "<%.*s>", SLICE_FMT(from)) >= (int)sizeof(path) ||
	    snprintf(args, sizeof(args), "ENVID=%.*s", SLICE_FMT(envid)) >= (int)sizeof(args))
		return err_set(e, "return path or envelope id too long");
	if (smfi_chgfrom(ctx, path, envid.len > 0 ? args : NULL) != MI_SUCCESS)
		return err_set(e, "the MTA did not take the new return path");
	return 0;
}

int
edits_route(SMFICTX *ctx, const char *transport, bool leading_space, struct err *e)
{
	char value[ROUTE_NAME_SIZE + 1];

	snprintf(value, sizeof(value), "%s%s", leading_space ? " " : "", transport);
	/* On top it is the first of its name, whatever the message brought along. */
	if (smfi_insheader(ctx, 0, arg(ROUTE_HEADER), value) != MI_SUCCESS ||
	    smfi_chgheader(ctx, arg(ROUTE_HEADER), 1, NULL) != MI_SUCCESS)
		return err_set(e, "the MTA did not take the virtual MTA");
	return 0;
}
