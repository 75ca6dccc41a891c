/*
 * confirm: whatever an endpoint answers, outcomes are among those that are known, texts are
 * printable, and each failed line becomes one line.
 */
#include <stdlib.h>

#include "common/rejected.h"
#include "uploader/confirm_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(bool good)
{
	if (!good)
		abort();
}

static void
check_text(const char *text, size_t size)
{
	size_t n = strlen(text);

	check(n < size);
	for (size_t i = 0; i < n; i++)
		check(text[i] >= 0x20 && text[i] < 0x7f);
}

static void
statuses(struct slice in)
{
	static const char *const batches[] = { "a", "b-1", "" };
	struct confirm_status s[COUNT(batches)];
	struct err e;

	if (confirm_read_statuses(in, batches, COUNT(batches), s, &e) < 0)
		check(e.text[0] != '\0');
	for (size_t i = 0; i < COUNT(s); i++) {
		check(s[i].outcome >= CONFIRM_UNKNOWN && s[i].outcome <= CONFIRM_FAILURES);
		check_text(s[i].error_type, sizeof(s[i].error_type));
	}
}

static void
failures(struct slice in)
{
	struct confirm_failures f;
	struct slice rest, line;
	uint64_t n = 0;
	struct err e;

	if (confirm_read_failures(in, &f, &e) == 0) {
		rest = buf_slice(&f.lines);
		while (slice_line(&rest, &line))
			n++;
		check(n == f.n);
	}
	check_text(f.first, sizeof(f.first));
	confirm_failures_free(&f);
}

static void
reasons(struct slice in)
{
	struct rejected_why why;
	struct buf store;

	buf_init(&store, BUF_NO_LIMIT);
	rejected_parse_why(in, &why, &store);
	check(why.reason.len <= store.len && why.details.len <= store.len);
	check(why.reason.len == 0 ||
	      (why.reason.p >= store.p && why.reason.p + why.reason.len <= store.p + store.len));
	buf_free(&store);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = { (const char *)data, size };

	statuses(in);
	failures(in);
	reasons(in);
	return 0;
}
