#include "common/html.h"

void
html_begin(struct html_scan *s, struct slice in)
{
	memset(s, 0, offsetof(struct html_scan, ctx));
	s->in = in;
	if (slice_starts(in, SLICE_LIT("\xef\xbb\xbf")))
		s->at = 3;
	html_context_begin(&s->ctx);
}

static bool
letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Behind a tag's name one of these must stand. */
static bool
name_ends(char c)
{
	return html_space(c) || c == '/' || c == '>';
}

static size_t
find(struct slice in, size_t from, char c)
{
	const char *p = from < in.len ? memchr(in.p + from, c, in.len - from) : NULL;

	return p == NULL ? in.len : (size_t)(p - in.p);
}

/* Does `word` stand at `at`? Letters of any case. */
static bool
stands(struct slice in, size_t at, struct slice word)
{
	return slice_startsi(slice_skip(in, at), word);
}

/* Everything up to the end belongs to something that isn't closed. */
static bool
cut_off(struct html_scan *s)
{
	s->cut = true;
	s->at = s->in.len;
	return false;
}

/* Skip to behind the next '>': doctype, "<?", "<!x", "</ ". */
static bool
skip_bogus(struct html_scan *s, size_t from)
{
	size_t i = find(s->in, from, '>');

	if (i == s->in.len)
		return cut_off(s);
	s->at = i + 1;
	return true;
}

/* `from` is behind "<!--". It ends with "-->" or "--!>", or at once with ">" or "->". */
static bool
skip_comment(struct html_scan *s, size_t from)
{
	const char *p = s->in.p;
	size_t i;

	for (i = find(s->in, from, '>'); i < s->in.len; i = find(s->in, i + 1, '>')) {
		size_t n = i - from;

		if (n == 0 || (n == 1 && p[i - 1] == '-') ||
		    (n >= 2 && p[i - 1] == '-' && p[i - 2] == '-') ||
		    (n >= 3 && p[i - 1] == '!' && p[i - 2] == '-' && p[i - 3] == '-')) {
			s->at = i + 1;
			return true;
		}
	}
	return cut_off(s);
}

/* `from` is behind "<![CDATA["; what it holds is text. */
static bool
skip_cdata(struct html_scan *s, size_t from)
{
	const char *p = s->in.p;
	size_t i;

	for (i = find(s->in, from, '>'); i < s->in.len; i = find(s->in, i + 1, '>'))
		if (i - from >= 2 && p[i - 1] == ']' && p[i - 2] == ']') {
			html_context_text(&s->ctx, s->in, from, i - 2);
			s->at = i + 1;
			return true;
		}
	html_context_text(&s->ctx, s->in, from, s->in.len);
	return cut_off(s);
}

/* s->at is at "<!", "<?" or "</" and no tag: skip it. False if it goes on to the end. */
static bool
skip_declaration(struct html_scan *s)
{
	size_t at = s->at;

	if (s->in.p[at + 1] == '!') {
		if (stands(s->in, at + 2, SLICE_LIT("--")))
			return skip_comment(s, at + 4);
		if (html_context_foreign(&s->ctx) &&
		    slice_starts(slice_skip(s->in, at + 2), SLICE_LIT("[CDATA[")))
			return skip_cdata(s, at + 9);
	}
	return skip_bogus(s, at + 2);
}

/* The tag at s->at, whose name starts at `name`. False if the text ends inside it. */
static bool
read_tag(struct html_scan *s, size_t name, struct html_tag *tag)
{
	const char *p = s->in.p;
	size_t len = s->in.len, i = name + 1;
	struct html_attr a;

	while (i < len && !name_ends(p[i]))
		i++;
	*tag = (struct html_tag){
		.name = html_name_find((struct slice){ p + name, i - name }, len - name),
		.end_tag = p[name - 1] == '/',
		.start = s->at,
		.name_at = name,
		.name_len = i - name,
		.attrs = i,
	};
	while (html_attr_next(s->in, &i, &a))
		if ((p[a.start] | 0x20) == 'd' && a.name_len > 5 &&
		    stands(s->in, a.start, SLICE_LIT("data-")))
			tag->marked = true;
	if (i == len)
		return cut_off(s);
	tag->self_closing = p[i] == '/';
	tag->end = i + 1 + tag->self_closing;
	s->at = tag->end;
	return true;
}

/* "</name" and what must follow: is that the end tag that ends this raw text? */
static bool
ends_raw(const struct html_scan *s, size_t at)
{
	struct slice name = { s->in.p + s->raw_name_at, s->raw_name_len };
	size_t behind = at + 2 + name.len;

	return behind < s->in.len && s->in.p[at + 1] == '/' && name_ends(s->in.p[behind]) &&
	       slice_eqi((struct slice){ s->in.p + at + 2, name.len }, name);
}

static size_t
find_raw_end(const struct html_scan *s)
{
	size_t i;

	for (i = find(s->in, s->at, '<'); i < s->in.len; i = find(s->in, i + 1, '<'))
		if (ends_raw(s, i))
			return i;
	return s->in.len;
}

/*
 * The end tag of a script. Behind "<!--" and until "-->" a "<script" hides the next
 * "</script" (HTML, 13.2.5.18 ff.: the escaped and the double-escaped states).
 */
static size_t
find_script_end(const struct html_scan *s)
{
	static const struct slice script = SLICE_LIT("script");
	const char *p = s->in.p;
	size_t i = s->at, len = s->in.len, dashes;
	bool hidden = false;

plain:
	for (i = find(s->in, i, '<'); i < len; i = find(s->in, i + 1, '<')) {
		if (ends_raw(s, i))
			return i;
		if (stands(s->in, i + 1, SLICE_LIT("!--")))
			break;
	}
	i += 4;
	for (dashes = 2; i < len; i++) {
		if (p[i] == '-') {
			dashes++;
			continue;
		}
		if (p[i] == '>' && dashes >= 2) {
			hidden = false;
			goto plain;
		}
		dashes = 0;
		if (p[i] != '<')
			continue;
		if (!hidden && ends_raw(s, i))
			return i;
		if (hidden && ends_raw(s, i)) {
			hidden = false;
			i += 2 + script.len;
		} else if (!hidden && stands(s->in, i + 1, script) && i + 1 + script.len < len &&
			   name_ends(p[i + 1 + script.len])) {
			hidden = true;
			i += 1 + script.len;
		}
	}
	return len;
}

/* The end tag that ends the raw text at s->at. */
static bool
next_raw(struct html_scan *s, struct html_tag *tag)
{
	size_t i = s->in.len;

	if (s->state == HTML_STATE_SCRIPT)
		i = find_script_end(s);
	else if (s->state != HTML_STATE_PLAIN)
		i = find_raw_end(s);
	if (i == s->in.len)
		return cut_off(s);
	s->at = i;
	s->state = HTML_STATE_MARKUP;
	return read_tag(s, i + 2, tag);
}

/* The next tag in markup; s->at is behind it. */
static bool
next_markup(struct html_scan *s, struct html_tag *tag)
{
	const char *p = s->in.p;
	size_t len = s->in.len, text = s->at, i;

	for (i = find(s->in, s->at, '<'); i + 1 < len; i = find(s->in, i, '<')) {
		char c = p[i + 1];
		size_t name = letter(c) ? i + 1 : 0;

		if (c == '/' && i + 2 < len && letter(p[i + 2]))
			name = i + 2;
		else if (c == '/' && i + 2 == len)
			s->cut = true; /* text, but what is put behind it would be a comment */
		if (name == 0 && c != '!' && c != '?' && (c != '/' || s->cut || p[i + 2] == '>')) {
			i++; /* a '<' that is text, or "</>", which is nothing */
			continue;
		}
		if (!s->ctx.quiet)
			html_context_text(&s->ctx, s->in, text, i);
		s->at = i;
		if (name != 0)
			return read_tag(s, name, tag);
		if (!skip_declaration(s))
			return false;
		i = text = s->at;
	}
	if (!s->ctx.quiet)
		html_context_text(&s->ctx, s->in, text, len);
	s->at = len;
	return false;
}

bool
html_next(struct html_scan *s, struct html_tag *tag)
{
	bool found;

	if (s->state == HTML_STATE_MARKUP)
		found = next_markup(s, tag);
	else
		found = next_raw(s, tag);
	if (!found) {
		html_context_eof(&s->ctx, s->in.len);
		return false;
	}
	if (tag->end_tag) {
		html_context_end(&s->ctx, tag, s->in);
		return true;
	}
	if (s->ctx.quiet && !(html_name_flags[tag->name] & HTML_IS_ACTS)) {
		html_context_count(&s->ctx, tag, s->in);
		return true;
	}
	s->state = html_context_start(&s->ctx, tag, s->in);
	s->raw_name_at = tag->name_at;
	s->raw_name_len = tag->name_len;
	return true;
}
