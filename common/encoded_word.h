/*
 * encoded_word.h - text of a header for people: RFC 2047 words decoded.
 */
#ifndef COMMON_ENCODED_WORD_H
#define COMMON_ENCODED_WORD_H

#include "common/buf.h"
#include "common/slice.h"

/*
 * Append the value, trimmed, as valid UTF-8: folds removed, encoded words
 * decoded and converted (blanks between adjacent words dropped, RFC 2047 6.2; a
 * character split over two words of one charset is joined), raw 8-bit bytes
 * taken as UTF-8 where they are valid and as Latin-1 otherwise, controls made
 * blanks. A word in an unknown charset or with broken encoding stays as it is
 * written. Bytes that are none in the charset of their word become U+FFFD.
 *
 * Past the cap of `out` the text is cut between two characters, and `out` full.
 * Linear time; memory of the size of the value.
 */
void encoded_word_decode(struct buf *out, struct slice value);

#endif
