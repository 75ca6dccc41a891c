/*
 * inflate.h - the body of a batch, gzip (RFC 1952, one or several members),
 * read piece by piece or line by line. Memory does not depend on how much the
 * body inflates to; reading ends at a limit, so a bomb costs no more than an
 * honest batch of that size.
 *
 *	struct inflate in;
 *	struct inflate_line line;
 *
 *	inflate_begin(&in, body, 100000000);
 *	while (inflate_line(&in, &line) == INFLATE_OK)
 *		count(line.number);
 *	inflate_end(&in);
 */
#ifndef COLLECTOR_INFLATE_H
#define COLLECTOR_INFLATE_H

#include <zlib.h>

#include "common/buf.h"
#include "common/slice.h"

#define INFLATE_LINE_MAX (256 * 1024) /* a longer line is cut, not refused */

enum inflate_result {
	INFLATE_OK,      /* there is something */
	INFLATE_DONE,    /* everything was read, and the checksums are right */
	INFLATE_DAMAGED, /* no gzip, a wrong checksum, cut short, or something behind the end */
	INFLATE_TOO_BIG, /* more than the limit */
};

struct inflate_line {
	struct slice
	    text; /* without LF or CRLF; at most INFLATE_LINE_MAX; valid until the next call */
	uint64_t number; /* from 1, blank lines counted */
	bool cut;        /* there was more of it */
};

struct inflate { /* private */
	z_stream z;
	uint64_t total, max;
	uint64_t lines;
	bool in_member;
	struct slice rest; /* of the last piece, for inflate_line() */
	struct buf line;
	char out[32768];
};

/* Begin to read `gz`, which stays the caller's. `max`: bytes that may come out. */
void inflate_begin(struct inflate *in, struct slice gz, uint64_t max);
void inflate_end(struct inflate *in);

/* Next piece, valid until the next call. After anything but INFLATE_OK there is nothing more. */
enum inflate_result inflate_piece(struct inflate *in, struct slice *piece);

/*
 * Next line; the last one may lack its line end. Don't mix with inflate_piece().
 * The lines before a damaged place are handed out first.
 */
enum inflate_result inflate_line(struct inflate *in, struct inflate_line *line);

#endif
