/*
 * html_entities.h - character references: "&amp;", "&copy", "&#x41;" (HTML, 13.2.5.72 ff.).
 */
#ifndef COMMON_HTML_ENTITIES_H
#define COMMON_HTML_ENTITIES_H

#include "common/slice.h"

#define HTML_REFERENCE_MAX 8 /* bytes of text that one reference can stand for */

/*
 * Read the reference at the start of `in`, whose first byte is '&'. The number of bytes
 * it takes, and its UTF-8 text in out[*len]; 0 if the '&' stands for itself.
 * In an attribute "&copy=1" and "&copyright" are no references, in text they are.
 * At most some 32 bytes are looked at, but for the digits of a number.
 */
size_t html_reference(
    struct slice in, bool attribute, char out[static HTML_REFERENCE_MAX], size_t *len);

#endif
