/* Links and marks of a text: inside it, in order, without a character that ends one. */
#include <assert.h>
#include <stdint.h>

#include "common/text_links.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = { (const char *)data, size }, rest = text;
	struct text_link l;
	const char *last = text.p;

	while (text_link_next(&rest, &l)) {
		assert(l.url.p >= last && l.url.len > 7);
		assert(l.url.p + l.url.len + l.marks.len <= text.p + text.len);
		assert(l.marks.len == 0 || l.marks.p == l.url.p + l.url.len);
		for (size_t i = 0; i < l.url.len; i++)
			assert((unsigned char)l.url.p[i] > 0x20 && (unsigned char)l.url.p[i] < 0x7f);
		last = l.url.p + l.url.len + l.marks.len;
		assert(rest.len == 0 || rest.p == last);
	}
	return 0;
}
