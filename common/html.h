/*
 * html.h - the tags of an HTML text, as a browser finds them (HTML, 13.2.5).
 *
 *	struct html_scan s;
 *	struct html_tag tag;
 *
 *	html_begin(&s, text);
 *	while (html_next(&s, &tag))
 *		if (!tag.end_tag && tag.name == HTML_A)
 *			...html_attr_next(text, ...)
 *
 * What stands in comments, in CDATA sections, in the text of title, textarea, style,
 * script and their like is no tag, nor is one that the end of the text cuts off.
 * One pass, linear in the input whatever it is; no allocation, no recursion. The bytes
 * may be in any charset in which the bytes of ASCII mean ASCII (html_charset.h).
 *
 * s.ctx tells more when html_next() has returned false: whether it was a frameset document,
 * and where the body started.
 */
#ifndef COMMON_HTML_H
#define COMMON_HTML_H

#include "common/html_context.h"
#include "common/html_tag.h"
#include "common/slice.h"

struct html_scan {
	struct slice in;
	size_t at;                        /* everything before it is done */
	enum html_state state;              /* what stands at `at` */
	size_t raw_name_at, raw_name_len; /* whose end tag ends it */
	bool cut; /* at the end: it ended inside a comment, a tag or raw text */
	struct html_context ctx;
};

/* A UTF-8 byte order mark is skipped. */
void html_begin(struct html_scan *s, struct slice in);

/* The next tag. False at the end of the text. */
bool html_next(struct html_scan *s, struct html_tag *tag);

#endif
