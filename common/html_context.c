#include "common/html_context.h"

#include "common/html_entities.h"

static unsigned
flags(const struct html_tag *tag)
{
	return html_name_flags[tag->name];
}

static struct html_open *
top(struct html_context *c)
{
	return c->depth == 0 ? NULL : &c->stack[c->depth - 1];
}

static bool
is_foreign(const struct html_open *o)
{
	return o != NULL && (o->kind == HTML_OPEN_SVG || o->kind == HTML_OPEN_MATH);
}

static void
settle(struct html_context *c)
{
	c->quiet = c->mode == HTML_IN_BODY && !c->frameset_ok && c->depth == 0;
}

static void
pop_to(struct html_context *c, unsigned depth)
{
	c->depth = depth;
	c->hidden = 0;
}

static void
push(struct html_context *c, const struct html_tag *tag, enum html_open_kind kind)
{
	if (c->depth == HTML_DEPTH_MAX) {
		c->hidden++;
		return;
	}
	c->stack[c->depth++] = (struct html_open){
		.kind = kind,
		.name = tag->name,
		.name_at = tag->name_at,
		.name_len = tag->name_len,
		.in_table = c->open[HTML_TABLE] > 0,
		.fresh = true,
	};
}

static bool
same_name(const struct html_open *o, const struct html_tag *tag, struct slice in)
{
	return o->name == tag->name && slice_eqi((struct slice){ in.p + o->name_at, o->name_len },
					   (struct slice){ in.p + tag->name_at, tag->name_len });
}

void
html_context_begin(struct html_context *c)
{
	memset(c, 0, sizeof(*c));
	c->body = HTML_NOWHERE;
	c->frameset_ok = true;
}

bool
html_context_foreign(const struct html_context *c)
{
	const struct html_open *o = c->depth == 0 ? NULL : &c->stack[c->depth - 1];

	return is_foreign(o) && !o->holds_html;
}

static void
open_body(struct html_context *c, size_t at)
{
	c->mode = HTML_IN_BODY;
	c->body = at;
}

static bool
attribute(const struct html_tag *tag, struct slice in, const char *name, struct html_attr *a)
{
	size_t at = tag->attrs;

	while (html_attr_next(in, &at, a))
		if (html_attr_is(in, a, slice_str(name)))
			return true;
	return false;
}

static struct slice
value_of(const struct html_attr *a, struct slice in)
{
	return (struct slice){ in.p + a->value, a->value_len };
}

/* Count an end tag. False if no element of that name was open. */
static bool
close_one(struct html_context *c, const struct html_tag *tag, struct slice in)
{
	uint32_t *open = &c->open[html_context_counter(tag, in)];

	if (*open == 0)
		return false;
	--*open;
	return true;
}

/* ---- foreign content ---- */

static bool
breaks_out(const struct html_tag *tag, struct slice in)
{
	struct html_attr a;

	if (tag->name == HTML_FONT)
		return attribute(tag, in, "color", &a) || attribute(tag, in, "face", &a) ||
		       attribute(tag, in, "size", &a);
	return (flags(tag) & HTML_IS_BREAKOUT) != 0;
}

/* An element of svg or math; some of them hold HTML. */
static void
push_foreign(
    struct html_context *c, const struct html_tag *tag, struct slice in, enum html_open_kind kind)
{
	unsigned before = c->depth;
	struct html_open *o;
	struct html_attr a;

	if (tag->self_closing)
		return;
	push(c, tag, kind);
	if (c->depth == before)
		return;
	o = top(c);
	if (kind == HTML_OPEN_SVG) {
		o->holds_html = (flags(tag) & HTML_IS_SVG_HTML) != 0;
	} else if (flags(tag) & HTML_IS_MATH_TEXT) {
		o->holds_html = o->math_text = true;
	} else if (tag->name == HTML_ANNOTATION_XML && attribute(tag, in, "encoding", &a)) {
		struct slice v = value_of(&a, in);

		o->holds_html = slice_eqi(v, SLICE_LIT("text/html")) ||
		                slice_eqi(v, SLICE_LIT("application/xhtml+xml"));
	}
}

/* Is this start tag read by the rules of svg and math? */
static bool
start_is_foreign(const struct html_open *o, const struct html_tag *tag)
{
	if (!is_foreign(o))
		return false;
	if (o->holds_html)
		return o->math_text && (tag->name == HTML_MGLYPH || tag->name == HTML_MALIGNMARK);
	return !(
	    o->kind == HTML_OPEN_MATH && o->name == HTML_ANNOTATION_XML && tag->name == HTML_SVG);
}

static void
leave_foreign(struct html_context *c)
{
	while (html_context_foreign(c))
		pop_to(c, c->depth - 1);
}

/* ---- before the body ---- */

/* Start tags that the head takes; *text is what follows. */
static bool
start_in_head(struct html_context *c, const struct html_tag *tag, enum html_state *text)
{
	switch (tag->name) {
	case HTML_TITLE:
		*text = HTML_STATE_RCDATA;
		return true;
	case HTML_STYLE:
	case HTML_NOFRAMES:
		*text = HTML_STATE_RAW;
		return true;
	case HTML_SCRIPT:
		*text = HTML_STATE_SCRIPT;
		return true;
	case HTML_TEMPLATE:
		push(c, tag, HTML_OPEN_TEMPLATE);
		c->frameset_ok = false;
		return true;
	default:
		return (flags(tag) & HTML_IS_HEAD) != 0;
	}
}

/* True if the tag is done with; false if it stands in the body, which is open now. */
static bool
start_before_body(struct html_context *c, const struct html_tag *tag, enum html_state *text)
{
	enum html_name n = tag->name;

	if (c->mode == HTML_BEFORE_HEAD) {
		if (n == HTML_HTML)
			return true;
		c->mode = HTML_IN_HEAD;
		if (n == HTML_HEAD)
			return true;
	}
	if (n == HTML_HTML || n == HTML_HEAD)
		return true;
	if (c->mode == HTML_IN_NOSCRIPT) {
		if (n == HTML_NOSCRIPT)
			return true;
		if (n == HTML_STYLE || n == HTML_NOFRAMES ||
		    (n != HTML_BASE && (flags(tag) & HTML_IS_HEAD)))
			return start_in_head(c, tag, text);
		c->mode = HTML_IN_HEAD;
	}
	if (start_in_head(c, tag, text))
		return true;
	if (c->mode == HTML_IN_HEAD && n == HTML_NOSCRIPT) {
		c->mode = HTML_IN_NOSCRIPT;
		return true;
	}
	if (n == HTML_FRAMESET) {
		c->mode = HTML_IN_FRAMESET;
		return true;
	}
	open_body(c, tag->start);
	if (n != HTML_BODY)
		return false;
	c->frameset_ok = false;
	return true;
}

/* The same for an end tag. */
static bool
end_before_body(struct html_context *c, const struct html_tag *tag)
{
	enum html_name n = tag->name;
	bool implies_body = n == HTML_BODY || n == HTML_HTML || n == HTML_BR;

	if (c->mode == HTML_IN_NOSCRIPT) {
		if (n == HTML_NOSCRIPT)
			c->mode = HTML_IN_HEAD;
		if (n != HTML_BR)
			return true;
	}
	if (n == HTML_HEAD && c->mode != HTML_AFTER_HEAD)
		c->mode = HTML_AFTER_HEAD;
	if (!implies_body)
		return true;
	open_body(c, tag->start);
	return false;
}

/* ---- in the body ---- */

static bool
hidden_input(const struct html_tag *tag, struct slice in)
{
	struct html_attr a;

	return tag->name == HTML_INPUT && attribute(tag, in, "type", &a) &&
	       slice_eqi(value_of(&a, in), SLICE_LIT("hidden"));
}

/* Inside a list of choices only few tags mean anything. True if the tag is done with. */
static bool
start_in_select(struct html_context *c, const struct html_tag *tag, enum html_state *text)
{
	switch (tag->name) {
	case HTML_SELECT:
		pop_to(c, c->depth - 1);
		return true;
	case HTML_INPUT:
	case HTML_KEYGEN:
	case HTML_TEXTAREA:
		pop_to(c, c->depth - 1);
		return false;
	case HTML_SCRIPT:
	case HTML_TEMPLATE:
		return start_in_head(c, tag, text);
	default:
		if (top(c)->in_table && (flags(tag) & HTML_IS_TABLE_PART)) {
			pop_to(c, c->depth - 1);
			return false;
		}
		return true;
	}
}

/* The first tag inside a template decides what it takes. True if the tag is done with. */
static bool
start_in_template(struct html_open *o, const struct html_tag *tag)
{
	enum html_name n = tag->name;
	bool head = (flags(tag) & HTML_IS_HEAD) || n == HTML_TITLE || n == HTML_STYLE ||
	            n == HTML_SCRIPT || n == HTML_NOFRAMES || n == HTML_TEMPLATE;

	if (o->fresh && !head) {
		o->fresh = false;
		o->columns = n == HTML_COL;
	}
	return o->columns && n != HTML_TEMPLATE;
}

static bool
inside_foreign(const struct html_context *c)
{
	return c->depth > 0 && (c->stack[c->depth - 1].kind == HTML_OPEN_HTML ||
				   is_foreign(&c->stack[c->depth - 1]));
}

/* A cell or row that starts inside foreign content of a table ends it. */
static void
leave_cell(struct html_context *c)
{
	if (c->open[HTML_TABLE] == 0)
		return;
	while (inside_foreign(c))
		pop_to(c, c->depth - 1);
}

/* Inside foreign content: tags that open nothing, since there is one already or no table. */
static bool
means_nothing(const struct html_context *c, const struct html_tag *tag)
{
	if (tag->name == HTML_HTML || tag->name == HTML_HEAD || tag->name == HTML_BODY)
		return true;
	if ((flags(tag) & HTML_IS_TABLE_PART) == 0 || tag->name == HTML_TABLE)
		return false;
	for (unsigned i = c->depth; i-- > 0 && !c->stack[i].holds_html;)
		if (c->stack[i].name == HTML_TABLE)
			return false;
	return true;
}

/* Does its start tag end a <p> that is open? */
static bool
ends_p(enum html_name n)
{
	switch (n) {
	case HTML_APPLET:
	case HTML_BUTTON:
	case HTML_IFRAME:
	case HTML_MARQUEE:
	case HTML_NOEMBED:
	case HTML_NOFRAMES:
	case HTML_NOSCRIPT:
	case HTML_OBJECT:
	case HTML_TABLE:
		return false;
	default:
		return (html_name_flags[n] & HTML_IS_SPECIAL) != 0 &&
		       (html_name_flags[n] & (HTML_IS_VOID | HTML_IS_TABLE_PART)) == 0;
	}
}

/* Nothing outside of these is ended by what stands in them. */
static bool
is_scope(enum html_name n)
{
	return n == HTML_TABLE || n == HTML_TD || n == HTML_TH || n == HTML_CAPTION ||
	       n == HTML_BUTTON || n == HTML_OBJECT || n == HTML_MARQUEE || n == HTML_APPLET;
}

/* What a start tag ends inside the place of foreign content that holds HTML. */
static void
end_implied(struct html_context *c, const struct html_tag *tag)
{
	for (unsigned i = c->depth; i-- > 0 && c->stack[i].kind == HTML_OPEN_HTML;) {
		if (is_scope(c->stack[i].name))
			return;
		if (c->stack[i].name == HTML_P && ends_p(tag->name)) {
			pop_to(c, i);
			return;
		}
		if (tag->name == HTML_A && c->stack[i].name == HTML_A) {
			memmove(&c->stack[i], &c->stack[i + 1],
			    (c->depth - i - 1) * sizeof(c->stack[0]));
			c->depth--;
			return;
		}
	}
}

static enum html_state
start_element(struct html_context *c, const struct html_tag *tag, struct slice in)
{
	switch (tag->name) {
	case HTML_TITLE:
	case HTML_TEXTAREA:
		return HTML_STATE_RCDATA;
	case HTML_STYLE:
	case HTML_XMP:
	case HTML_IFRAME:
	case HTML_NOEMBED:
	case HTML_NOFRAMES:
		return HTML_STATE_RAW;
	case HTML_SCRIPT:
		return HTML_STATE_SCRIPT;
	case HTML_PLAINTEXT:
		return HTML_STATE_PLAIN;
	case HTML_SVG:
		push_foreign(c, tag, in, HTML_OPEN_SVG);
		break;
	case HTML_MATH:
		push_foreign(c, tag, in, HTML_OPEN_MATH);
		break;
	case HTML_SELECT:
		push(c, tag, HTML_OPEN_SELECT);
		break;
	case HTML_TEMPLATE:
		push(c, tag, HTML_OPEN_TEMPLATE);
		break;
	case HTML_FRAMESET:
		if (c->frameset_ok && c->depth == 0)
			c->mode = HTML_IN_FRAMESET;
		break;
	default:
		if ((flags(tag) & HTML_IS_VOID) == 0) {
			if (!inside_foreign(c)) {
				html_context_count(c, tag, in);
			} else if (!means_nothing(c, tag)) {
				end_implied(c, tag);
				push(c, tag, HTML_OPEN_HTML);
			}
		}
	}
	return HTML_STATE_MARKUP;
}

static enum html_state
start_html(struct html_context *c, const struct html_tag *tag, struct slice in)
{
	enum html_state text = HTML_STATE_MARKUP;
	struct html_open *o = top(c);

	if (o == NULL && c->mode < HTML_IN_BODY && start_before_body(c, tag, &text))
		return text;
	if (o != NULL && o->kind == HTML_OPEN_SELECT && start_in_select(c, tag, &text))
		return text;
	o = top(c);
	if (o != NULL && o->kind == HTML_OPEN_TEMPLATE && start_in_template(o, tag))
		return text;
	if (inside_foreign(c) && (flags(tag) & HTML_IS_TABLE_PART) && tag->name != HTML_TABLE)
		leave_cell(c);
	if ((flags(tag) & HTML_IS_NO_FRAMESET) && !hidden_input(tag, in))
		c->frameset_ok = false;
	return start_element(c, tag, in);
}

enum html_state
html_context_start(struct html_context *c, const struct html_tag *tag, struct slice in)
{
	enum html_state text = HTML_STATE_MARKUP;

	if (c->mode == HTML_IN_FRAMESET)
		return tag->name == HTML_NOFRAMES ? HTML_STATE_RAW : HTML_STATE_MARKUP;
	if (start_is_foreign(top(c), tag) && !breaks_out(tag, in)) {
		push_foreign(c, tag, in, top(c)->kind);
		return HTML_STATE_MARKUP;
	}
	if (start_is_foreign(top(c), tag))
		leave_foreign(c);
	text = start_html(c, tag, in);
	settle(c);
	return text;
}

/* An end tag that names a foreign element above the topmost HTML one closes it. */
static bool
end_foreign(struct html_context *c, const struct html_tag *tag, struct slice in)
{
	for (unsigned i = c->depth; i-- > 0 && is_foreign(&c->stack[i]);)
		if (same_name(&c->stack[i], tag, in)) {
			pop_to(c, i);
			return true;
		}
	return false;
}

/*
 * An end tag among foreign content that is none of its own: it closes an element of HTML
 * inside the same place that holds HTML, or one around the whole of it.
 */
static void
end_html(struct html_context *c, const struct html_tag *tag, struct slice in)
{
	unsigned i;

	for (i = c->depth; i-- > 0;) {
		struct html_open *o = &c->stack[i];

		if (o->kind == HTML_OPEN_SELECT || o->kind == HTML_OPEN_TEMPLATE)
			break;
		if (o->kind == HTML_OPEN_HTML && same_name(o, tag, in)) {
			pop_to(c, i);
			return;
		}
		if (o->kind == HTML_OPEN_HTML && (html_name_flags[o->name] & HTML_IS_SPECIAL) &&
		    (flags(tag) & HTML_IS_SPECIAL) == 0)
			return;
		if (o->holds_html && (flags(tag) & HTML_IS_TABLE_PART) == 0)
			return;
	}
	if (close_one(c, tag, in)) {
		while (inside_foreign(c))
			pop_to(c, c->depth - 1);
	}
}

static void
end_template(struct html_context *c)
{
	for (unsigned i = c->depth; i-- > 0;)
		if (c->stack[i].kind == HTML_OPEN_TEMPLATE) {
			pop_to(c, i);
			return;
		}
}

static void
end_in_select(struct html_context *c, const struct html_tag *tag)
{
	struct html_open *o = top(c);

	if (tag->name == HTML_SELECT ||
	    (o->in_table && (flags(tag) & HTML_IS_TABLE_PART) && c->open[tag->name] > 0)) {
		pop_to(c, c->depth - 1);
		if (tag->name != HTML_SELECT)
			c->open[tag->name]--;
	}
}

static void
end_anywhere(struct html_context *c, const struct html_tag *tag, struct slice in)
{
	if (tag->name == HTML_TEMPLATE) {
		end_template(c);
	} else if (c->depth == 0 || top(c)->kind == HTML_OPEN_TEMPLATE) {
		close_one(c, tag, in);
		if (tag->name == HTML_BR)
			c->frameset_ok = false;
	} else if (top(c)->kind == HTML_OPEN_SELECT) {
		end_in_select(c, tag);
	} else {
		end_html(c, tag, in);
	}
}

void
html_context_end(struct html_context *c, const struct html_tag *tag, struct slice in)
{
	if (c->quiet) {
		close_one(c, tag, in);
		return;
	}
	if (c->mode == HTML_IN_FRAMESET)
		return;
	if (c->hidden > 0) {
		c->hidden--;
		return;
	}
	if (is_foreign(top(c))) {
		if (tag->name == HTML_P || tag->name == HTML_BR)
			leave_foreign(c);
		else if (end_foreign(c, tag, in))
			goto done;
	}
	if (c->depth > 0 || c->mode == HTML_IN_BODY || !end_before_body(c, tag))
		end_anywhere(c, tag, in);
done:
	settle(c);
}

/* What reading stops at: white space, "</>", which is nothing, or something to see. */
struct sight {
	size_t at;      /* the first byte of something to see, or the end */
	bool space;     /* there was white space before it */
	bool reference; /* it is a character reference */
};

/* NULs are seen only before the body. */
static struct sight
look(const struct html_context *c, struct slice in, size_t i, size_t to)
{
	struct sight s = { 0 };
	char text[HTML_REFERENCE_MAX];
	size_t used, len;

	for (; i < to; i += used) {
		used = 1;
		if (to - i >= 3 && memcmp(in.p + i, "</>", 3) == 0) {
			used = 3;
			continue;
		}
		if (in.p[i] == '&') {
			used =
			    html_reference((struct slice){ in.p + i, to - i }, false, text, &len);
			s.reference = used > 0;
			if (used == 0 || len != 1 || !html_space(text[0]))
				break;
		} else if (!html_space(in.p[i]) && (in.p[i] != '\0' || c->mode != HTML_IN_BODY)) {
			s.reference = false;
			break;
		}
		s.space = true;
	}
	s.at = i;
	return s;
}

void
html_context_text(struct html_context *c, struct slice in, size_t from, size_t to)
{
	struct sight s;

	if (c->quiet || c->mode == HTML_IN_FRAMESET)
		return;
	if (c->depth > 0 && c->mode < HTML_IN_BODY)
		return;
	s = look(c, in, from, to);
	if (s.at == to)
		return;
	if (c->mode < HTML_IN_BODY) {
		/* A "</>" before the text belongs to it. */
		open_body(c, s.space ? s.at : from);
		c->body_unsure = s.space && s.reference;
	}
	/* What opened the body as a NUL is nothing that can be seen. */
	if (look(c, in, s.at, to).at < to)
		c->frameset_ok = false;
	settle(c);
}

void
html_context_eof(struct html_context *c, size_t at)
{
	if (c->mode < HTML_IN_BODY)
		open_body(c, at);
}
