/* Any bytes as a delivery-status part: values lie in it, groups are bounded, addresses are clean.
 */
#include <stdlib.h>

#include "common/dsn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(bool good)
{
	if (!good)
		abort();
}

static void
inside(struct slice part, struct slice whole)
{
	check(part.len == 0 || (part.p >= whole.p && part.p + part.len <= whole.p + whole.len));
}

static void
status_is_sound(struct slice s)
{
	check(
	    s.len == 0 || (s.len >= 5 && s.len <= 9 &&
			      (s.p[0] == '2' || s.p[0] == '4' || s.p[0] == '5') && s.p[1] == '.'));
}

static void
address_is_sound(struct slice value)
{
	struct buf address;

	buf_init(&address, 4096);
	dsn_address(value, &address);
	for (size_t i = 0; i < address.len; i++)
		check((unsigned char)address.p[i] >= ' ' && address.p[i] != 0x7f);
	buf_free(&address);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice all = { (const char *)data, size };
	struct dsn d;
	struct dsn_rcpt r;
	unsigned n = 0, code = dsn_find_code(all);
	int got;

	dsn_begin(&d, all);
	while ((got = dsn_next(&d, &r)) > 0) {
		inside(r.original, all);
		inside(r.final, all);
		inside(r.actual, all);
		inside(r.status, all);
		inside(r.diagnostic, all);
		inside(r.remote_mta, all);
		inside(d.reporting_mta, all);
		inside(d.envelope_id, all);
		status_is_sound(r.status);
		address_is_sound(r.original);
		address_is_sound(r.final);
		check(dsn_action_name(r.action) != NULL);
		check(++n <= DSN_MAX_RCPTS);
	}
	check(got == 0 || d.truncated);
	check(dsn_next(&d, &r) == got);
	address_is_sound(all);
	inside(dsn_find_status(all), all);
	status_is_sound(dsn_find_status(all));
	check(code == 0 || (code >= 400 && code < 600));
	return 0;
}
