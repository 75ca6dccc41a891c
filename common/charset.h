/*
 * charset.h - the charsets that mail is written in, by the names that mail uses.
 */
#ifndef COMMON_CHARSET_H
#define COMMON_CHARSET_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/slice.h"

struct charset {
	const char *name, *iconv_name; /* iconv(3)'s; NULL: UTF-8 */
};

/* NULL: not one of ours. A language behind the name, "iso-8859-2*pl", is passed over. */
const struct charset *charset_find(struct slice name);

/* Converters that stay open, since to open one loads code. Zeroed it is empty. */
struct charset_cache {
	struct {
		const struct charset *charset;
		void *converter;
	} open[4];
	unsigned next;
};

void charset_cache_close(struct charset_cache *cache);

/*
 * Append `in`, converted from the charset `name`. Bytes that are none in it become U+FFFD.
 * False, and nothing added, for UTF-8, ASCII and charsets that are not known.
 * Linear; what is past the cap of `out` is cut.
 */
bool charset_to_utf8(
    struct buf *out, struct slice in, struct slice name, struct charset_cache *cache);

#endif
