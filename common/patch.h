/*
 * patch.h - change some bytes of a body, as a reader will decode it, and leave the
 * encoding of all others as it is.
 *
 * Positions are in the decoded bytes, as transfer_decode() gives them. Decoded, the
 * result is the decoded input with the patches applied, to the byte.
 *
 * - 7bit, 8bit, binary, unknown: the bytes themselves;
 * - quoted-printable: lines without a patch stay as they are; those with one get no
 *   longer than 76 bytes;
 * - base64: encoded anew, with the line length and line ends it had.
 */
#ifndef COMMON_PATCH_H
#define COMMON_PATCH_H

#include "common/transfer.h"

struct patch {
	size_t at, length; /* decoded bytes to take out; 0: only insert */
	struct slice text; /* to put there */
};

/*
 * Append the patched body. `patches` are sorted by `at` and don't overlap; several
 * may insert at one place, in their order. `eol` is the line end to break lines with.
 */
void patch_apply(struct buf *out, struct slice body, enum transfer encoding,
    const struct patch *patches, size_t n, const char *eol);

#endif
