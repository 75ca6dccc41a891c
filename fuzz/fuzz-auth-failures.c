/*
 * The file auth-failures: what is read has a bound and comes back the same when
 * it is printed and read once more; positions are found or not; addresses fold as they do.
 */
#include <stdlib.h>

#include "common/auth_failures.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
print(struct auth_failures *t, struct buf *out)
{
	buf_clear(out);
	auth_failures_print(t, out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice all = { (const char *)data, size }, rest = { 0 }, none = { 0 };
	struct auth_failures *t = auth_failures_new(), *again = auth_failures_new();
	struct auth_client client = { .v = { 1 } };
	struct buf a, b, state;
	struct err e;

	buf_init(&a, BUF_NO_LIMIT);
	buf_init(&b, BUF_NO_LIMIT);
	buf_init(&state, 4096);
	if (auth_failures_read(t, all, &rest, &e) < 0) {
		if (auth_failures_count(t) != 0)
			abort();
	} else {
		if (rest.p + rest.len != all.p + all.len || auth_failures_count(t) > size / 70)
			abort();
		print(t, &a);
		if (auth_failures_read(again, buf_slice(&a), &none, &e) < 0 || none.len != 0)
			abort();
		print(again, &b);
		if (!slice_eq(buf_slice(&a), buf_slice(&b)))
			abort();
		auth_failures_position(rest, "file /var/log/mail.log", &state);
	}
	auth_client_parse(slice_head(all, slice_find(all, '\n')), &client);
	auth_failures_add(t, &client, 60, 1785845120, 1785845130);
	auth_failures_trim(t, 1785845150);
	buf_free(&a);
	buf_free(&b);
	buf_free(&state);
	auth_failures_free(t);
	auth_failures_free(again);
	return 0;
}
