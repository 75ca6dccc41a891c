/*
 * utf8.h - is it UTF-8 (RFC 3629), and what to do if not.
 */
#ifndef COMMON_UTF8_H
#define COMMON_UTF8_H

#include "common/buf.h"
#include "common/slice.h"

/* Length of the well-formed character at the start of `s`; 0 if it is none. */
size_t utf8_next(struct slice s);
bool utf8_valid(struct slice s);

/* Append `s`; every byte that is not part of a well-formed character becomes U+FFFD. */
void utf8_clean(struct buf *out, struct slice s);

/* The longest start of `s` of at most `max` bytes that does not end inside a character. */
struct slice utf8_head(struct slice s, size_t max);

#endif
