#include "common/html_links.h"

#include <stdlib.h>

#include "common/html.h"
#include "common/html_charset.h"
#include "common/html_entities.h"
#include "common/utf8.h"
#include "common/xalloc.h"

/* The attributes of a tag that we look at, in the order of their names in `marks`. */
enum mark {
	MARK_CLICKTRACK,
	MARK_LINKNAME,
	MARK_UNSUBSCRIBE,
	MARK_SUBLINK,
	MARKS,
};

static const struct slice mark_names[MARKS] = {
	[MARK_CLICKTRACK] = { "data-msys-clicktrack", 20 },
	[MARK_LINKNAME] = { "data-msys-linkname", 18 },
	[MARK_UNSUBSCRIBE] = { "data-msys-unsubscribe", 21 },
	[MARK_SUBLINK] = { "data-msys-sublink", 17 },
};

/* The decoded texts move while the buffer grows: until the end, slices hold offsets. */
struct span {
	size_t at, len;
};

struct finder {
	const struct html_links_options *opt;
	struct slice in, original; /* the same, unless it was masked */
	struct html_edits *out;
	bool shifted; /* ISO-2022-JP: nothing can be put at the end */
	bool full;
	size_t body_tag, body_end, html_end; /* the first ones; HTML_NOWHERE */
	bool html_ends_foreign;              /* html_end stands inside of svg or math */
};

/* The attributes of one <a>, as read so far. */
struct link {
	bool has_href, opted_out, unsubscribe;
	bool seen[MARKS];
	struct html_attr href;
	struct span name, sublink;
	size_t edit; /* where the edit of its href would be among the edits */
};

static const char *const result_names[] = {
	[HTML_LINKS_FOUND] = "found",
	[HTML_LINKS_CHARSET] = "charset",
	[HTML_LINKS_TOO_BIG] = "too-big",
	[HTML_LINKS_TOO_MANY] = "too-many",
};
_Static_assert(COUNT(result_names) == HTML_LINKS_RESULTS, "a name for each result");

static const char *const left_names[] = {
	[HTML_LEFT_OPTED_OUT] = "data-msys-clicktrack",
	[HTML_LEFT_NOT_HTTP] = "not http",
	[HTML_LEFT_OURS] = "wrapped already",
	[HTML_LEFT_TOO_LONG] = "too long",
	[HTML_LEFT_CHARSET] = "charset",
	[HTML_LEFT_OFF] = "off",
};
_Static_assert(COUNT(left_names) == HTML_LEFTS, "a name for each reason");

const char *
html_links_result_name(enum html_links_result r)
{
	return result_names[r];
}

const char *
html_left_name(enum html_left why)
{
	return left_names[why];
}

/* ---- values ---- */

void
html_links_value(struct buf *out, struct slice raw, bool url)
{
	char text[HTML_REFERENCE_MAX];
	size_t from = 0, i, used, len;

	for (i = 0; i < raw.len; i++) {
		char c = raw.p[i];
		bool blank = c == '\t' || c == '\n' || c == '\r';

		if (c != '&' && c != '\0' && !blank)
			continue;
		if (c == '&') {
			used = html_reference(slice_skip(raw, i), true, text, &len);
			if (used == 0)
				continue;
		} else {
			used = 1;
			memcpy(text, "\xef\xbf\xbd", 3);
			len = 3;
			if (blank) {
				/* Line ends become LF. */
				if (c == '\r' && i + 1 < raw.len && raw.p[i + 1] == '\n')
					used = 2;
				text[0] = c == '\r' ? '\n' : c;
				len = 1;
			}
		}
		buf_add(out, (struct slice){ raw.p + from, i - from });
		if (!url || len != 1 || memchr("\t\n\r", text[0], 3) == NULL)
			buf_add(out, (struct slice){ text, len });
		i += used - 1;
		from = i + 1;
	}
	buf_add(out, (struct slice){ raw.p + from, i - from });
}

static struct slice
text_of(const struct finder *f, struct span s)
{
	return (struct slice){ f->out->text.p + s.at, s.len };
}

static struct slice
raw_value(const struct finder *f, const struct html_attr *a)
{
	return (struct slice){ f->in.p + a->value, a->value_len };
}

static struct span
decode(struct finder *f, struct slice raw, bool url)
{
	struct span s = { f->out->text.len, 0 };

	html_links_value(&f->out->text, raw, url);
	s.len = f->out->text.len - s.at;
	return s;
}

/* Controls and blanks around a URL mean nothing. */
static struct span
trim(const struct finder *f, struct span s)
{
	const unsigned char *p = (const unsigned char *)f->out->text.p + s.at;

	while (s.len > 0 && p[s.len - 1] <= ' ')
		s.len--;
	while (s.len > 0 && *p <= ' ') {
		p++;
		s.at++;
		s.len--;
	}
	return s;
}

static bool
is_http(struct slice url)
{
	return slice_startsi(url, SLICE_LIT("http://")) ||
	       slice_startsi(url, SLICE_LIT("https://"));
}

/* ---- edits ---- */

static struct html_edit *
add_edit(struct finder *f, size_t at)
{
	struct html_edits *out = f->out;

	if (out->count == f->opt->max_edits) {
		f->full = true;
		return NULL;
	}
	out->edit = xgrow(out->edit, out->count, &out->room, sizeof(*out->edit));
	memmove(out->edit + at + 1, out->edit + at, (out->count - at) * sizeof(*out->edit));
	out->count++;
	out->edit[at] = (struct html_edit){ 0 };
	return &out->edit[at];
}

static struct slice
as_slice(struct span s)
{
	/* The offset stands in for the pointer until finish() puts it there. */
	return (struct slice){ (const char *)(uintptr_t)s.at, s.len };
}

static void
leave(struct finder *f, enum html_left why, size_t offset, struct span target)
{
	struct html_edits *out = f->out;

	out->left_count[why]++;
	if (!f->opt->explain)
		return;
	out->left = xgrow(out->left, out->lefts, &out->left_room, sizeof(*out->left));
	out->left[out->lefts++] = (struct html_left_link){ why, offset, as_slice(target) };
}

/* What stands before `at` when the edits so far are done. */
static char
left_before(const struct finder *f, size_t at)
{
	const struct html_edits *out = f->out;
	const struct html_edit *last = out->count == 0 ? NULL : &out->edit[out->count - 1];

	if (last != NULL && last->kind == HTML_EDIT_REMOVE && last->offset + last->length == at)
		at = last->offset;
	return f->in.p[at - 1];
}

/*
 * Take an attribute away, and the white space before it if white space or the tag's end
 * follows. Otherwise that stays: "id=x data-msys-clicktrack="0"/>" must not become "id=x/>",
 * nor "<svg/ data-msys-clicktrack>" become "<svg/>". A '=' with no value behind it is none
 * of ours and stays, too.
 */
static void
remove_attr(struct finder *f, const struct html_attr *a)
{
	bool bare = a->has_value && a->value_len == 0 && a->quote == 0;
	size_t start = a->start, end = bare ? a->start + a->name_len : a->end;
	struct html_edit *e;

	if (html_space(f->in.p[end]) || f->in.p[end] == '>')
		while (html_space(f->in.p[start - 1]))
			start--;
	if (f->in.p[end] == '>' && left_before(f, start) == '/')
		start = a->start;
	e = add_edit(f, f->out->count);
	if (e == NULL)
		return;
	*e = (struct html_edit){ HTML_EDIT_REMOVE, start, end - start, .target = { 0 } };
	f->out->removed++;
}

static enum mark
find_mark(const struct finder *f, const struct html_attr *a)
{
	enum mark m;

	for (m = 0; m < MARKS; m++)
		if (html_attr_is(f->in, a, mark_names[m]))
			break;
	return m;
}

/* The marks that count are the first ones of their name, like any attribute. */
static void
read_mark(struct finder *f, enum mark m, const struct html_attr *a, struct link *l)
{
	struct span value;

	value = decode(f, raw_value(f, a), false);
	switch (m) {
	case MARK_CLICKTRACK:
		l->opted_out = slice_eq(text_of(f, value), SLICE_LIT("0"));
		break;
	case MARK_UNSUBSCRIBE:
		l->unsubscribe = slice_eq(text_of(f, value), SLICE_LIT("1"));
		break;
	case MARK_LINKNAME:
		l->name = value;
		break;
	case MARK_SUBLINK:
		l->sublink = value;
		break;
	case MARKS:
		break;
	}
}

/* The name as UTF-8 in its bounds. */
static struct span
clean_name(struct finder *f, struct span name)
{
	struct slice s = text_of(f, name);
	struct buf clean;

	if (!utf8_valid(s)) {
		buf_init(&clean, BUF_NO_LIMIT);
		utf8_clean(&clean, slice_head(s, (size_t)2 * HTML_LINK_NAME_MAX));
		name.at = f->out->text.len;
		buf_add(&f->out->text, buf_slice(&clean));
		name.len = clean.len;
		buf_free(&clean);
	}
	name.len = utf8_head(text_of(f, name), HTML_LINK_NAME_MAX).len;
	return name;
}

/* ISO-2022-JP: does the value hold other characters than ASCII? */
static bool
was_masked(const struct finder *f, const struct html_attr *a)
{
	return f->in.p != f->original.p &&
	       (memcmp(f->in.p + a->value, f->original.p + a->value, a->value_len) != 0 ||
		   memchr(f->in.p + a->value, '\033', a->value_len) != NULL);
}

/* The target of a link that is to be wrapped. False if it is left alone, which is noted. */
static bool
wanted(struct finder *f, const struct link *l, struct span *target)
{
	const struct html_links_options *opt = f->opt;
	enum html_left why;

	*target = (struct span){ 0, 0 };
	if (l->href.value_len > opt->max_href) {
		why = HTML_LEFT_TOO_LONG;
	} else {
		*target = trim(f, decode(f, raw_value(f, &l->href), true));
		if (!is_http(text_of(f, *target)))
			why = HTML_LEFT_NOT_HTTP;
		else if (l->opted_out)
			why = HTML_LEFT_OPTED_OUT;
		else if (!opt->links)
			why = HTML_LEFT_OFF;
		else if (target->len > opt->max_target)
			why = HTML_LEFT_TOO_LONG;
		else if (was_masked(f, &l->href))
			why = HTML_LEFT_CHARSET;
		else if (opt->is_ours != NULL && opt->is_ours(opt->arg, text_of(f, *target)))
			why = HTML_LEFT_OURS;
		else
			return true;
	}
	leave(f, why, l->href.value, *target);
	return false;
}

static void
add_link(struct finder *f, const struct link *l)
{
	struct span target;
	struct html_edit *e;
	size_t quote = l->href.quote != 0;

	if (!l->has_href || !wanted(f, l, &target))
		return;
	e = add_edit(f, l->edit);
	if (e == NULL)
		return;
	e->kind = HTML_EDIT_LINK;
	e->offset = l->href.value - quote;
	e->length = l->href.value_len + 2 * quote;
	e->target = as_slice(target);
	e->sublink = as_slice(l->sublink);
	e->unsubscribe = l->unsubscribe;
	f->out->links++;
	if (l->name.len > 0) {
		struct span name = clean_name(f, l->name);

		f->out->edit[l->edit].name = as_slice(name);
	}
}

/* <a> and <area>. */
static void
read_link(struct finder *f, const struct html_tag *tag)
{
	struct link l = { 0 };
	struct html_attr a;
	size_t at = tag->attrs;

	while (html_attr_next(f->in, &at, &a) && !f->full) {
		enum mark m;

		if (!l.has_href && html_attr_is(f->in, &a, SLICE_LIT("href"))) {
			l.has_href = true;
			l.href = a;
			l.edit = f->out->count;
		}
		if (!tag->marked || (m = find_mark(f, &a)) == MARKS)
			continue;
		if (!l.seen[m])
			read_mark(f, m, &a, &l);
		if ((m == MARK_CLICKTRACK || f->opt->remove_all) &&
		    (!l.seen[m] || f->opt->duplicates))
			remove_attr(f, &a);
		l.seen[m] = true;
	}
	add_link(f, &l);
}

/*
 * Would the tag mean something else without it? "<svg/data-msys-clicktrack>" would end in
 * "/>", and "<p x data-msys-clicktrack =y>" would give x a value. One that ends in "=" is
 * not worth a guess.
 */
static bool
is_needed(const struct finder *f, const struct html_attr *a)
{
	size_t next = a->end;

	if (left_before(f, a->start) == '/' && f->in.p[a->end] == '>')
		return true;
	if (a->has_value && a->value_len == 0 && a->quote == 0)
		return true;
	while (html_space(f->in.p[next]))
		next++;
	return f->in.p[next] == '=';
}

/* data-msys-clicktrack means nothing on other tags, but it is not for the reader either. */
static void
read_other(struct finder *f, const struct html_tag *tag)
{
	struct html_attr a;
	size_t at = tag->attrs;

	while (html_attr_next(f->in, &at, &a) && !f->full) {
		if (find_mark(f, &a) != MARK_CLICKTRACK)
			continue;
		if (!is_needed(f, &a))
			remove_attr(f, &a);
		if (!f->opt->duplicates)
			break;
	}
}

static void
read_image(struct finder *f, const struct html_tag *tag)
{
	const struct html_links_options *opt = f->opt;
	struct html_attr a;
	size_t at = tag->attrs, mark = f->out->text.len;
	struct span url;

	while (html_attr_next(f->in, &at, &a)) {
		if (!html_attr_is(f->in, &a, SLICE_LIT("src")))
			continue;
		if (a.value_len <= opt->max_href) {
			url = trim(f, decode(f, raw_value(f, &a), true));
			if (is_http(text_of(f, url)) && opt->is_ours(opt->arg, text_of(f, url)))
				f->out->ours = true;
			f->out->text.len = mark;
		}
		return;
	}
}

static void
read_tag(struct finder *f, const struct html_tag *tag, const struct html_context *c)
{
	if (tag->end_tag) {
		if (tag->name == HTML_BODY && f->body_end == HTML_NOWHERE) {
			f->body_end = tag->start;
		} else if (tag->name == HTML_HTML && f->html_end == HTML_NOWHERE) {
			f->html_end = tag->start;
			f->html_ends_foreign = html_context_foreign(c);
		}
		return;
	}
	if (tag->name == HTML_A || tag->name == HTML_AREA)
		read_link(f, tag);
	else if (tag->marked)
		read_other(f, tag);
	if (tag->name == HTML_BODY && f->body_tag == HTML_NOWHERE)
		f->body_tag = tag->end;
	else if (tag->name == HTML_IMG && f->opt->is_ours != NULL && !f->out->ours)
		read_image(f, tag);
}

/* ---- pixels ---- */

static bool
insert(struct finder *f, enum html_edit_kind kind, size_t offset)
{
	struct html_edits *out = f->out;
	struct html_edit *e;
	size_t i = out->count;

	/* Before what starts there, but for the initial pixel. */
	while (i > 0 && (out->edit[i - 1].offset > offset ||
			    (out->edit[i - 1].offset == offset &&
				out->edit[i - 1].kind != HTML_EDIT_INITIAL_PIXEL)))
		i--;
	e = add_edit(f, i);
	if (e == NULL)
		return false;
	e->kind = kind;
	e->offset = offset;
	return true;
}

static void
add_pixels(struct finder *f, const struct html_scan *s)
{
	size_t initial = f->body_tag, open = f->body_end;
	bool unsure = initial == HTML_NOWHERE && s->ctx.body_unsure;
	bool cut = s->cut || f->shifted;

	f->out->frameset = s->ctx.mode == HTML_IN_FRAMESET;
	if (f->out->frameset || f->out->ours)
		return;
	if (initial == HTML_NOWHERE)
		initial = s->ctx.body;
	if (open == HTML_NOWHERE)
		open = f->html_end;
	if (open == HTML_NOWHERE)
		open = f->in.len;
	if (f->opt->initial_pixel && !unsure && !(initial == f->in.len && cut))
		f->out->initial_pixel = insert(f, HTML_EDIT_INITIAL_PIXEL, initial);
	/* An image ends svg and math, and what follows would no longer be in them. */
	if (f->body_end == HTML_NOWHERE && f->html_ends_foreign)
		return;
	if (f->opt->open_pixel && !(open == f->in.len && cut))
		f->out->open_pixel = insert(f, HTML_EDIT_OPEN_PIXEL, open);
}

/* ---- the whole ---- */

static void
settle_slice(const struct html_edits *out, struct slice *s)
{
	*s = (struct slice){ s->len == 0 ? "" : out->text.p + (uintptr_t)s->p, s->len };
}

static void
finish(struct html_edits *out)
{
	for (size_t i = 0; i < out->count; i++) {
		settle_slice(out, &out->edit[i].target);
		settle_slice(out, &out->edit[i].name);
		settle_slice(out, &out->edit[i].sublink);
	}
	for (size_t i = 0; i < out->lefts; i++)
		settle_slice(out, &out->left[i].target);
}

static enum html_links_result
find_all(struct finder *f)
{
	struct html_scan s;
	struct html_tag tag;

	html_begin(&s, f->in);
	while (!f->full && html_next(&s, &tag))
		read_tag(f, &tag, &s.ctx);
	if (!f->full)
		add_pixels(f, &s);
	if (f->full) {
		html_edits_free(f->out);
		return HTML_LINKS_TOO_MANY;
	}
	finish(f->out);
	return HTML_LINKS_FOUND;
}

enum html_links_result
html_links_find(const struct html_links_options *opt, struct slice html, struct html_edits *out)
{
	enum html_charset charset = html_charset_find(opt->charset);
	struct finder f = {
		.opt = opt,
		.in = html,
		.original = html,
		.out = out,
		.body_tag = HTML_NOWHERE,
		.body_end = HTML_NOWHERE,
		.html_end = HTML_NOWHERE,
	};
	enum html_links_result r;
	char *masked;

	memset(out, 0, sizeof(*out));
	buf_init(&out->text, BUF_NO_LIMIT);
	if (charset == HTML_CHARSET_OTHER || html_charset_is_utf16(html))
		return HTML_LINKS_CHARSET;
	if (html.len > opt->max_part)
		return HTML_LINKS_TOO_BIG;
	buf_reserve(&out->text, 1024); /* from here on it is never NULL */
	if (charset != HTML_CHARSET_ISO_2022_JP)
		return find_all(&f);
	masked = xcalloc(html.len + 1, 1);
	f.shifted = !html_charset_mask(masked, html);
	f.in.p = masked;
	r = find_all(&f);
	free(masked);
	return r;
}

void
html_edits_free(struct html_edits *edits)
{
	free(edits->edit);
	free(edits->left);
	buf_free(&edits->text);
	memset(edits, 0, sizeof(*edits));
	buf_init(&edits->text, BUF_NO_LIMIT);
}
