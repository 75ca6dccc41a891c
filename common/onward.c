#include "common/onward.h"

#include <stdio.h>

#include "common/address.h"

#define RCPT_MAX 4096

/* The sealed text: NAME, blank, seconds, blank, recipient (which may have blanks in it). */
int
onward_seal(const struct token_ring *ring, const char *name, struct slice rcpt, int64_t now,
    struct buf *out, struct err *e)
{
	struct buf plain;
	int rc;

	if (!inbound_is_name(name))
		return err_set(e, "%.64s: not the name of a captured report", name);
	if (rcpt.len == 0 || rcpt.len > RCPT_MAX)
		return err_set(e, "%s: recipient of %zu bytes", name, rcpt.len);
	buf_init(&plain, BUF_NO_LIMIT);
	buf_printf(&plain, "%s %lld ", name, (long long)now);
	buf_add(&plain, rcpt);
	rc = token_seal(ring, TOKEN_ONWARD, TOKEN_BASE64URL, buf_slice(&plain), out, e);
	buf_free(&plain);
	return rc;
}

static bool
same_address(struct slice a, struct slice b)
{
	struct address x = address_split(a), y = address_split(b);

	return slice_eq(x.local, y.local) && slice_eqi(x.domain, y.domain);
}

static bool
is_young(uint64_t made, int64_t now)
{
	int64_t age = now - (int64_t)made;

	/* The clock may have been set between sealing and now. */
	return age <= ONWARD_MAX_AGE_S && age >= -ONWARD_MAX_AGE_S;
}

bool
onward_open(const struct token_ring *ring, struct slice value, struct slice rcpt, int64_t now,
    char name[INBOUND_NAME_SIZE])
{
	struct slice rest, file;
	struct buf plain;
	uint64_t made;
	bool good = false;

	buf_init(&plain, TOKEN_PLAIN_MAX);
	if (token_open(ring, TOKEN_ONWARD, TOKEN_BASE64URL, slice_trim(value), &plain)) {
		rest = buf_slice(&plain);
		file = slice_cut(&rest, ' ');
		if (file.len < INBOUND_NAME_SIZE &&
		    slice_uint(slice_cut(&rest, ' '), INT64_MAX, &made)) {
			snprintf(name, INBOUND_NAME_SIZE, "%.*s", SLICE_FMT(file));
			good = inbound_is_name(name) && is_young(made, now) &&
			       same_address(rest, rcpt);
		}
	}
	buf_free(&plain);
	return good;
}
