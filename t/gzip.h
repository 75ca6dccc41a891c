/*
 * gzip.h - a gzip member in memory, for the tests of the collector.
 */
#ifndef T_GZIP_H
#define T_GZIP_H

#include <stdlib.h>
#include <zlib.h>

#include "common/buf.h"

/* Append `text` to `out` as one member. */
static inline void
gzip_add(struct buf *out, struct slice text)
{
	z_stream z = { 0 };
	unsigned char chunk[4096];

	if (deflateInit2(&z, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		abort();
	z.next_in = (Bytef *)(uintptr_t)text.p;
	z.avail_in = (uInt)text.len;
	do {
		z.next_out = chunk;
		z.avail_out = sizeof(chunk);
		deflate(&z, Z_FINISH);
		buf_add(out, (struct slice){ (char *)chunk, sizeof(chunk) - z.avail_out });
	} while (z.avail_out == 0);
	deflateEnd(&z);
}

#endif
