/*
 * buf.h - owned, growing bytes with a cap.
 *
 * The cap is given once, in buf_init(); a buffer that would pass it turns
 * `full` and takes nothing more, so a long series of adds is checked once, at
 * its end. There is always a NUL behind the bytes (not counted in len).
 *
 *	struct buf b;
 *
 *	buf_init(&b, 1 << 20);
 *	buf_adds(&b, "From: ");
 *	buf_add(&b, address);
 *	if (b.full)
 *		return err_set(e, "header too long");
 *	buf_free(&b);
 */
#ifndef COMMON_BUF_H
#define COMMON_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "common/slice.h"

struct buf {
	char *p; /* NULL until the first byte */
	size_t len, room, max;
	bool full; /* something did not fit; what fitted is kept */
};

#define BUF_NO_LIMIT ((size_t)1 << 40)

void buf_init(struct buf *b, size_t max);
void buf_free(struct buf *b); /* back to an empty buffer with the same cap */
void buf_clear(struct buf *b); /* forget the bytes, keep the memory */

void buf_add(struct buf *b, struct slice s);
void buf_adds(struct buf *b, const char *s);
void buf_addc(struct buf *b, char c);
void buf_add_lower(struct buf *b, struct slice s); /* ASCII letters in lower case */
__attribute__((format(printf, 2, 3))) void buf_printf(struct buf *b, const char *fmt, ...);

/* Make room for n more bytes, without adding any. False, and full, past the cap. */
bool buf_reserve(struct buf *b, size_t n);

/* The bytes so far; valid until the next change. */
static inline struct slice
buf_slice(const struct buf *b)
{
	return (struct slice){ b->p, b->len };
}

/* The bytes so far as a C string, never NULL; valid until the next change. */
const char *buf_str(const struct buf *b);

/* Hand the memory to the caller (free() it); the buffer is empty again. Never NULL. */
char *buf_take(struct buf *b);

#endif
