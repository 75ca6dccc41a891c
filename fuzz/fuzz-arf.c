/* Any bytes as a feedback report: values lie in it, and as many recipients come as were counted. */
#include <stdlib.h>

#include "common/arf.h"

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

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice all = { (const char *)data, size }, value;
	struct buf address;
	struct arf a;
	unsigned n = 0;

	arf_read(&a, all);
	inside(a.type, all);
	inside(a.user_agent, all);
	inside(a.mail_from, all);
	inside(a.envelope_id, all);
	inside(a.source_ip, all);
	inside(a.reporting_mta, all);
	check(a.fields <= ARF_MAX_FIELDS && a.n_rcpts <= a.fields);
	buf_init(&address, 4096);
	while (arf_next_rcpt(&a, &value)) {
		inside(value, all);
		arf_address(value, &address);
		for (size_t i = 0; i < address.len; i++)
			check((unsigned char)address.p[i] >= ' ' && address.p[i] != 0x7f);
		arf_is_redacted(buf_slice(&address));
		n++;
	}
	check(n == a.n_rcpts);
	buf_free(&address);
	return 0;
}
