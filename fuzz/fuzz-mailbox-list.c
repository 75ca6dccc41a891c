/*
 * mailbox-list: what has been put into sendmail's form is not changed again, no line end is
 * made, and the size stays within bounds.
 * Input: the value of an address header.
 */
#include <stdlib.h>

#include "common/mailbox_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = { (const char *)data, size }, host = { "h.example", 9 };
	struct buf out;
	size_t before = 0, after = 0;

	buf_init(&out, BUF_NO_LIMIT);
	mailbox_list_print(in, host, &out);
	if (out.len > 16 * size)
		abort();
	for (size_t i = 0; i < size; i++)
		before += in.p[i] == '\n';
	for (size_t i = 0; i < out.len; i++)
		after += out.p[i] == '\n';
	if (after > before)
		abort();
	buf_free(&out);
	return 0;
}
