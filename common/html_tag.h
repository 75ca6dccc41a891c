/*
 * html_tag.h - one tag of an HTML text, and its attributes.
 *
 *	struct html_attr a;
 *	size_t at = tag.attrs;
 *
 *	while (html_attr_next(in, &at, &a))
 *		if (html_attr_is(in, &a, SLICE_LIT("href")))
 *			...
 *
 * All places are offsets into the text, so that a caller can edit what is there.
 */
#ifndef COMMON_HTML_TAG_H
#define COMMON_HTML_TAG_H

#include "common/html_names.h"
#include "common/slice.h"

struct html_tag {
	enum html_name name;
	bool end_tag;
	bool self_closing; /* it ends in "/>" */
	bool marked;       /* it has an attribute whose name starts with "data" */
	size_t start, end; /* from '<' to behind '>' */
	size_t name_at, name_len;
	size_t attrs; /* where html_attr_next() starts: behind the name */
};

struct html_attr {
	size_t start, end;       /* name, '=' and value with its quotes */
	size_t name_len;         /* the name is at start */
	size_t value, value_len; /* without quotes; 0 bytes at `end` if there is none */
	char quote;              /* '"', '\'' or 0 */
	bool has_value;          /* there is a '=' */
};

/* What may stand between attributes. VT is none, FF is one. */
static inline bool
html_space(char c)
{
	return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f';
}

/*
 * The attribute at or behind *at, which moves behind it. False at the end of the tag,
 * then *at is at '>' or at the '/' of "/>"; or where the text ends inside the tag, then
 * *at is in.len. Duplicates are given too: the first one of a name is the one that counts.
 */
bool html_attr_next(struct slice in, size_t *at, struct html_attr *a);

/* Is that its name, in any case? `name` is in lower case. */
bool html_attr_is(struct slice in, const struct html_attr *a, struct slice name);

#endif
