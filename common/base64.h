/*
 * base64.h - RFC 4648 base64, the standard and the URL-safe alphabet, and
 * lower-case base32 for places that don't keep the case of letters (the local
 * part of a return path).
 */
#ifndef COMMON_BASE64_H
#define COMMON_BASE64_H

#include "common/buf.h"
#include "common/slice.h"

enum base64_kind {
	BASE64_STD, /* "+/", padded with "=" */
	BASE64_URL, /* "-_", no padding (RFC 4648 section 5) */
};

void base64_encode(struct buf *out, struct slice in, enum base64_kind kind);

/*
 * Whole input, no blanks or line ends; padding must be right for BASE64_STD
 * and absent for BASE64_URL; unused low bits must be zero, so that every
 * accepted text has one spelling. False and nothing added if it is not so.
 */
bool base64_decode(struct buf *out, struct slice in, enum base64_kind kind);

/* a-z2-7, no padding; decoding takes either case, else as strict as above. */
void base32_encode(struct buf *out, struct slice in);
bool base32_decode(struct buf *out, struct slice in);

#endif
