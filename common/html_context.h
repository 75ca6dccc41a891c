/*
 * html_context.h - as much of the tree as the scanner has to know (HTML, 13.2.6).
 *
 * How the bytes behind a tag are read depends on where the tag stands: <title> starts
 * plain text, but not inside <svg> or <select>; "<![CDATA[" means something in <svg> only.
 * And the place where the body starts, if no tag says so, depends on what came before.
 * This keeps a small stack of the elements that matter: foreign ones, what stands inside
 * them, choice lists and templates. Of all others it only counts how many are open.
 *
 * Constant memory and constant work per tag, whatever the nesting. Scripting is off, as in
 * mail programs: <noscript> is markup.
 */
#ifndef COMMON_HTML_CONTEXT_H
#define COMMON_HTML_CONTEXT_H

#include "common/html_tag.h"

#define HTML_DEPTH_MAX   64 /* deeper elements are counted, not known */
#define HTML_NOWHERE     SIZE_MAX
#define HTML_OTHER_NAMES 64 /* names that have no number share that many counters */

enum html_state {
	HTML_STATE_MARKUP, /* the "data state" */
	HTML_STATE_RCDATA, /* title, textarea: until its end tag */
	HTML_STATE_RAW,    /* style, xmp, iframe, ...: until its end tag */
	HTML_STATE_SCRIPT, /* the same, but for "<!-- <script>" */
	HTML_STATE_PLAIN,  /* plaintext: until the end */
};

enum html_mode {
	HTML_BEFORE_HEAD,
	HTML_IN_HEAD,
	HTML_IN_NOSCRIPT, /* of the head */
	HTML_AFTER_HEAD,
	HTML_IN_BODY,
	HTML_IN_FRAMESET,
};

enum html_open_kind {
	HTML_OPEN_HTML, /* inside foreign content */
	HTML_OPEN_SVG,
	HTML_OPEN_MATH,
	HTML_OPEN_SELECT,
	HTML_OPEN_TEMPLATE,
};

struct html_open {
	enum html_open_kind kind;
	enum html_name name;
	size_t name_at, name_len;
	bool holds_html; /* foreign: start tags inside it are HTML's */
	bool math_text;  /* the same, but for mglyph and malignmark */
	bool in_table;   /* a select: inside a table */
	bool fresh;      /* a template: nothing yet that says what it holds */
	bool columns;    /* a template of <col>: takes nothing else */
};

struct html_context {
	enum html_mode mode;
	bool frameset_ok; /* a <frameset> would still be taken */
	bool quiet;       /* only tags that HTML_IS_ACTS matter */
	/*
	 * White space and then a character reference opened the body: readers don't agree
	 * on the place (parse5 has it inside the reference).
	 */
	bool body_unsure;
	size_t body; /* where the body element starts, tag or not; HTML_NOWHERE before it */
	unsigned depth, hidden; /* entries of stack[], and those that found no room */
	struct html_open stack[HTML_DEPTH_MAX];
	/* Start tags less end tags, by name; see html_context_counter(). */
	uint32_t open[HTML_NAMES + HTML_OTHER_NAMES];
};

void html_context_begin(struct html_context *c);

/* A start tag; what the bytes behind it are. */
enum html_state html_context_start(
    struct html_context *c, const struct html_tag *tag, struct slice in);
void html_context_end(struct html_context *c, const struct html_tag *tag, struct slice in);

/* The counter of that name in open[]. */
static inline unsigned
html_context_counter(const struct html_tag *tag, struct slice in)
{
	unsigned first, last;

	if (tag->name != HTML_UNKNOWN)
		return tag->name;
	first = (unsigned char)in.p[tag->name_at] | 0x20u;
	last = (unsigned char)in.p[tag->name_at + tag->name_len - 1] | 0x20u;
	return HTML_NAMES + (first * 7 + last * 5 + (unsigned)tag->name_len) % HTML_OTHER_NAMES;
}

/* html_context_start() for when c->quiet, and the tag is none that HTML_IS_ACTS. */
static inline void
html_context_count(struct html_context *c, const struct html_tag *tag, struct slice in)
{
	uint32_t *open = &c->open[html_context_counter(tag, in)];

	/* The parts of a table mean nothing outside of one, and a link ends the one before. */
	if ((html_name_flags[tag->name] & HTML_IS_TABLE_PART) && tag->name != HTML_TABLE &&
	    c->open[HTML_TABLE] == 0)
		return;
	if (tag->name == HTML_A || tag->name == HTML_NOBR || tag->name == HTML_BUTTON)
		*open = 1;
	else
		++*open;
}

/* in[from..to) is text. Needed only while !c->quiet. */
void html_context_text(struct html_context *c, struct slice in, size_t from, size_t to);
void html_context_eof(struct html_context *c, size_t at);

/* Does "<![CDATA[" start a CDATA section here? */
bool html_context_foreign(const struct html_context *c);

#endif
