/*
 * header.h - the header block of a message or of a MIME part (RFC 5322
 * section 2.2), field by field, folds and all.
 *
 *	struct slice rest = block;
 *	struct header h;
 *
 *	while (header_next(&rest, &h) > 0)
 *		if (slice_eqi(h.name, SLICE_LIT("Subject")))
 *			...
 *
 * Line ends may be LF or CRLF. Nothing is allocated or copied.
 */
#ifndef COMMON_HEADER_H
#define COMMON_HEADER_H

#include "common/buf.h"
#include "common/slice.h"

struct header {
	struct slice name; /* without blanks before the colon */
	struct slice
	    value; /* all behind the colon: leading blank and folds kept, last line end not */
	struct slice whole; /* name to last byte of the value */
};

/*
 * Next field of the block; *rest moves past it.
 * 1: *out filled. 0: end of the block: input used up, or an empty line, which is
 * taken too, so that *rest is the body. -1: the line is not a field (no colon, no
 * name, blanks or controls in the name, a fold without a field); it is skipped,
 * out->whole is the line, and the caller may go on.
 */
int header_next(struct slice *rest, struct header *out);

/* Append `value` with folds removed (RFC 5322 2.2.3: CRLF goes, the white space stays), trimmed. */
void header_unfold(struct buf *out, struct slice value);

#define HEADER_LINE_MAX 998 /* RFC 5322 2.1.1, without its line end */

/*
 * Append a field ("Name: value" with its folds, with or without its last line end)
 * with no line over HEADER_LINE_MAX. Lines that fit stay byte for byte; others are
 * folded before white space, or, in a word that is too long for a line of its own, by
 * `eol` and a blank as Postfix would do it. Long runs of blanks in such a line are cut
 * short. False if the name alone is too long: it can't be folded.
 */
bool header_fold(struct buf *out, struct slice field, const char *eol);

/*
 * A structured value with parameters, RFC 2045 section 5.1: "text/html; charset=x".
 * The word before the first ';', trimmed, comments at its ends dropped. It ends at
 * a blank too, for senders who forget the semicolon.
 */
struct slice header_token(struct slice value);

/*
 * Append the value of parameter `name`: quotes and backslashes undone; RFC 2231
 * continuations joined (the first 100) and percent-encoding decoded (the charset is
 * not converted). Of two forms the plain one is taken, since that is what MTAs read.
 * False, nothing added, if it is not there.
 */
bool header_param(struct slice value, const char *name, struct buf *out);

#endif
