/*
 * encoded_word: valid UTF-8 without controls comes out, whatever goes in; a
 * smaller cap gives a start of the same text; plain text stays as it is.
 */
#include <stdlib.h>

#include "common/encoded_word.h"
#include "common/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(bool good)
{
	if (!good)
		abort();
}

static void
check_text(struct slice s)
{
	check(utf8_valid(s));
	for (size_t i = 0; i < s.len; i++) {
		check((s.p[i] < 0 || s.p[i] >= 0x20) && s.p[i] != 0x7f);
		if (s.p[i] == '\xc2')
			check((unsigned char)s.p[i + 1] >= 0xa0);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = { (const char *)data, size };
	struct buf whole, cut, again;

	buf_init(&whole, BUF_NO_LIMIT);
	encoded_word_decode(&whole, in);
	check(!whole.full);
	check_text(buf_slice(&whole));

	buf_init(&cut, size > 0 ? data[0] : 0);
	encoded_word_decode(&cut, in);
	check(cut.len <= cut.max && slice_starts(buf_slice(&whole), buf_slice(&cut)));
	check_text(buf_slice(&cut));

	buf_init(&again, BUF_NO_LIMIT);
	encoded_word_decode(&again, buf_slice(&whole));
	if (memmem(buf_str(&whole), whole.len, "=?", 2) == NULL)
		check(slice_eq(buf_slice(&again), slice_trim(buf_slice(&whole))));

	buf_free(&whole);
	buf_free(&cut);
	buf_free(&again);
	return 0;
}
