/*
 * transfer.h - the transfer encodings of a body (RFC 2045 section 6):
 * quoted-printable and base64, decoded, encoded, and repaired without decoding.
 *
 * Line ends may be LF or CRLF, and each hard one stays what it is; a CR alone is
 * a byte like any other. All functions are one pass over their input.
 */
#ifndef COMMON_TRANSFER_H
#define COMMON_TRANSFER_H

#include "common/buf.h"
#include "common/slice.h"

#define TRANSFER_LINE_MAX 76 /* RFC 2045 6.7 (5) and 6.8: without its line end */

enum transfer {
	TRANSFER_7BIT,
	TRANSFER_8BIT,
	TRANSFER_BINARY,
	TRANSFER_QUOTED_PRINTABLE,
	TRANSFER_BASE64,
	TRANSFER_UNKNOWN, /* x-uuencode and what else there may be */
};

/* The word of a Content-Transfer-Encoding; an empty one is 7bit. */
enum transfer transfer_parse(struct slice word);
const char *transfer_name(enum transfer t);

/*
 * Length of the quoted-printable unit at the start of `s`, which isn't empty: 3 for an
 * escape, "=XX" with hex digits in either case, else 1.
 */
size_t transfer_qp_unit(struct slice s);

/*
 * Append the decoded bytes. What is broken is read as RFC 2045 advises: a '=' that
 * starts nothing stands for itself, blanks at the end of a quoted-printable line are
 * dropped, bytes that are not base64 are skipped, padding ends it. 7bit, 8bit, binary
 * and unknown are copied. False if something was broken (what could be read is there).
 */
bool transfer_decode(struct buf *out, struct slice in, enum transfer t);

/*
 * Does base64 text end with its padding? Readers differ in what they make of digits behind
 * it, so nobody can write such text anew and keep what it means.
 */
bool transfer_base64_ends(struct slice in);

/*
 * Append `in` as quoted-printable: lines of at most 76 bytes, all of them printable
 * ASCII and blanks, soft line breaks with `eol`. Beyond what must be encoded: blanks
 * at the end of a line, "From " at its start, a '.' alone on it, and "--" at its
 * start, so that no line can be taken for a boundary.
 */
void transfer_encode_qp(struct buf *out, struct slice in, const char *eol);

/* Append `in` as base64 in lines of 76, the last one without line end. */
void transfer_encode_base64(struct buf *out, struct slice in, const char *eol);

/*
 * Append quoted-printable text that holds 8-bit bytes, controls or long lines, made
 * right: the same decoded bytes, and lines that need nothing stay byte for byte.
 */
void transfer_repair_qp(struct buf *out, struct slice in, const char *eol);

/*
 * Append base64 text in lines of 76: the same digits. False, and nothing added, if
 * there is anything in it but digits, padding and white space.
 */
bool transfer_repair_base64(struct buf *out, struct slice in, const char *eol);

#endif
