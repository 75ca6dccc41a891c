/*
 * html_text.h - the text of an HTML document as a reader would see it, line by line,
 * for reports that come in HTML only. libxml2 parses, so that broken markup is read as
 * browsers read it.
 */
#ifndef COMMON_HTML_TEXT_H
#define COMMON_HTML_TEXT_H

#include "common/buf.h"
#include "common/slice.h"

/* Bytes of input; what is behind them is not read. libxml2 is quadratic in open elements. */
#define HTML_TEXT_MAX (64u * 1024)

/*
 * Append the text as UTF-8: block elements and <br> end a line, blanks are joined, style, script
 * and head are left out. `charset` may be empty: then the document says it, or it is UTF-8.
 * Nothing is loaded from anywhere, and no entity but HTML's own is known.
 */
void html_text(struct buf *out, struct slice html, struct slice charset);

#endif
