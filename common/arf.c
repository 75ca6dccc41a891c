#include "common/arf.h"

#include <stddef.h>

#include "common/ascii.h"
#include "common/dsn.h"
#include "common/header.h"

static const struct {
	const char *name;
	size_t offset;
} fields[] = {
	{ "Feedback-Type", offsetof(struct arf, type) },
	{ "User-Agent", offsetof(struct arf, user_agent) },
	{ "Version", offsetof(struct arf, version) },
	{ "Original-Mail-From", offsetof(struct arf, mail_from) },
	{ "Original-Envelope-Id", offsetof(struct arf, envelope_id) },
	{ "Arrival-Date", offsetof(struct arf, arrival) },
	{ "Received-Date", offsetof(struct arf, arrival) },
	{ "Reporting-MTA", offsetof(struct arf, reporting_mta) },
	{ "Source-IP", offsetof(struct arf, source_ip) },
	{ "Source-Address", offsetof(struct arf, source_ip) },
	{ "Reported-Domain", offsetof(struct arf, reported_domain) },
	{ "Source", offsetof(struct arf, source) },
	{ "CFBL-Feedback-ID", offsetof(struct arf, feedback_id) },
};

static const char *const rcpt_fields[] = { "Original-Rcpt-To", "Original-Recipient",
	"Removal-Recipient", "Redacted-Address", "Complainant-Address" };

static bool
is_rcpt(struct slice name)
{
	for (size_t i = 0; i < COUNT(rcpt_fields); i++)
		if (slice_eqi(name, slice_str(rcpt_fields[i])))
			return true;
	return false;
}

static void
take(struct arf *a, const struct header *h)
{
	for (size_t i = 0; i < COUNT(fields); i++) {
		struct slice *at;

		if (!slice_eqi(h->name, slice_str(fields[i].name)))
			continue;
		at = (struct slice *)(void *)((char *)a + fields[i].offset);
		if (at->len == 0)
			*at = slice_trim(h->value);
		return;
	}
}

void
arf_read(struct arf *a, struct slice body)
{
	struct slice rest = body;
	struct header h;

	*a = (struct arf){ .rest = body };
	while (rest.len > 0 && a->fields < ARF_MAX_FIELDS) {
		if (header_next(&rest, &h) <= 0)
			continue; /* an empty line in it does not end it */
		a->fields++;
		if (is_rcpt(h.name))
			a->n_rcpts++;
		else
			take(a, &h);
	}
	a->rest = slice_head(body, body.len - rest.len);
}

bool
arf_next_rcpt(struct arf *a, struct slice *value)
{
	struct header h;

	while (a->rest.len > 0)
		if (header_next(&a->rest, &h) > 0 && is_rcpt(h.name)) {
			*value = slice_trim(h.value);
			return true;
		}
	return false;
}

void
arf_address(struct slice value, struct buf *out)
{
	dsn_address(value, out);
}

static const char *const redacted_locals[] = { "redacted", "undisclosed", "hidden", "anonymous",
	"removed", "x" };

bool
arf_is_redacted(struct slice address)
{
	size_t at = slice_find(address, '@');
	struct slice local = slice_head(address, at);
	size_t hex = 0;

	if (at == address.len)
		return true;
	for (size_t i = 0; i < COUNT(redacted_locals); i++)
		if (slice_eqi(local, slice_str(redacted_locals[i])))
			return true;
	if (local.len > 0 && local.p[0] == '[')
		return true;
	while (hex < local.len &&
	       (ascii_is_digit(local.p[hex]) ||
		   (ascii_lower(local.p[hex]) >= 'a' && ascii_lower(local.p[hex]) <= 'f')))
		hex++;
	return hex == local.len && hex >= 32; /* an MD5 or SHA-1 of it */
}
