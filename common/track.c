#include "common/track.h"

#include <stdlib.h>

#include "common/charset.h"
#include "common/header.h"
#include "common/html_links.h"
#include "common/mime.h"
#include "common/patch.h"
#include "common/text_links.h"
#include "common/xalloc.h"

/* A part's new text needs places of its own: patches borrow from here. */
struct patches {
	struct patch *v;
	size_t n, room;
	struct buf text;
	size_t
	    *text_at; /* where in `text` the text of each patch begins: `text` moves as it grows */
	size_t text_room;
};

static void
patches_init(struct patches *p)
{
	*p = (struct patches){ 0 };
	buf_init(&p->text, BUF_NO_LIMIT);
}

static void
patches_free(struct patches *p)
{
	free(p->v);
	free(p->text_at);
	buf_free(&p->text);
}

static void
add_patch(struct patches *p, size_t at, size_t length, size_t text_at)
{
	p->v = xgrow(p->v, p->n, &p->room, sizeof(*p->v));
	p->text_at = xgrow(p->text_at, p->n, &p->text_room, sizeof(*p->text_at));
	p->text_at[p->n] = text_at;
	p->v[p->n++] = (struct patch){ at, length, { NULL, p->text.len - text_at } };
}

/* No more patches will come: their texts stand still now. */
static void
settle(struct patches *p)
{
	for (size_t i = 0; i < p->n; i++)
		p->v[i].text.p = p->text.len > 0 ? p->text.p + p->text_at[i] : "";
}

static void
note(const struct track_options *o, const char *what, const char *why, struct slice target)
{
	const struct track_note n = { what, why, target };

	if (o->note != NULL)
		o->note(o->arg, &n);
}

/* ---- links and pixels ---- */

static bool
put_link(const struct track_options *o, const struct link *l, struct buf *out)
{
	return link_make(o->ring, o->base, l, out, NULL) == 0;
}

static struct link
link_of(const struct track_options *o, enum token_kind kind)
{
	return (struct link){
		.kind = kind,
		.message = o->message,
		.subaccount = o->subaccount,
		.rcpt = o->rcpt,
	};
}

/* In sight, one pixel high: what is hidden some readers don't fetch. */
static bool
put_pixel(const struct track_options *o, enum token_kind kind, struct buf *out)
{
	struct link l = link_of(o, kind);
	size_t start = out->len;

	buf_adds(out, "<img border=\"0\" width=\"1\" height=\"1\" alt=\"\" src=\"");
	if (!put_link(o, &l, out)) {
		out->len = start;
		return false;
	}
	buf_adds(out, "\" style=\"display:block;width:1px;height:1px;border:0\">");
	return true;
}

static bool
is_ours(void *arg, struct slice url)
{
	const struct track_options *o = arg;

	return link_is_ours(o->ring, o->base, url);
}

/* A word that can't stand in a URL's path must not keep the link from being tracked. */
static struct slice
usable_sublink(struct slice s)
{
	s = slice_trim(s);
	return link_is_sublink(s) ? s : (struct slice){ NULL, 0 };
}

struct source { /* an HTML part, decoded */
	struct slice html, charset;
	struct charset_cache converters;
};

static size_t
count_8bit(struct slice s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++)
		n += ((unsigned char)s.p[i] & 0x80) != 0;
	return n;
}

static void
add_escaped(struct buf *out, struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (((unsigned char)s.p[i] & 0x80) != 0)
			buf_printf(out, "%%%02X", (unsigned)(unsigned char)s.p[i]);
		else
			buf_addc(out, s.p[i]);
}

/*
 * Append a target as a browser asks for it. What is written in another charset than UTF-8
 * it sends as UTF-8, but the query in the charset of the page (URL Standard, "query state");
 * in a redirect nobody knows of that charset. 8-bit characters that stand there as
 * references are UTF-8 already; a target that has both is left as it is. False: it is good
 * as it stands.
 */
static bool
convert_target(struct source *src, const struct html_edit *edit, struct buf *out)
{
	struct slice fragment = edit->target, query, path, head;
	struct slice written = { src->html.p + edit->offset, edit->length };
	const struct charset *c = charset_find(src->charset);
	size_t n = count_8bit(edit->target);

	if (n == 0 || c == NULL || c->iconv_name == NULL || n != count_8bit(written))
		return false;
	head = slice_head(fragment, slice_find(fragment, '#'));
	fragment = slice_skip(fragment, head.len);
	path = slice_head(head, slice_find(head, '?'));
	query = slice_skip(head, path.len);
	charset_to_utf8(out, path, src->charset, &src->converters);
	add_escaped(out, query);
	charset_to_utf8(out, fragment, src->charset, &src->converters);
	return !out->full;
}

static void
patch_link(const struct track_options *o, struct source *src, const struct html_edit *edit,
    struct patches *p, struct track_report *report)
{
	struct link l = link_of(o, edit->unsubscribe ? TOKEN_UNSUBSCRIBE : TOKEN_CLICK);
	size_t at = p->text.len;
	struct buf target;

	buf_init(&target, 4 * LINK_URL_MAX);
	l.url = convert_target(src, edit, &target) ? buf_slice(&target) : edit->target;
	l.name = edit->name;
	l.sublink = usable_sublink(edit->sublink);
	buf_addc(&p->text, '"');
	if (!put_link(o, &l, &p->text)) {
		p->text.len = at;
		note(o, "left", "no tracked URL can be made of it", l.url);
	} else {
		buf_addc(&p->text, '"');
		add_patch(p, edit->offset, edit->length, at);
		report->links++;
		note(o, "wrapped", NULL, l.url);
	}
	buf_free(&target);
}

static void
patch_pixel(const struct track_options *o, const struct html_edit *edit, struct patches *p,
    struct track_report *report)
{
	bool initial = edit->kind == HTML_EDIT_INITIAL_PIXEL;
	size_t at = p->text.len;

	if (!put_pixel(o, initial ? TOKEN_INITIAL_OPEN : TOKEN_OPEN, &p->text))
		return;
	add_patch(p, edit->offset, 0, at);
	if (initial)
		report->initial_pixel = true;
	else
		report->open_pixel = true;
	note(o, "pixel", NULL, initial ? SLICE_LIT("initial_open") : SLICE_LIT("open"));
}

/* True: there is something to patch. */
static bool
html_patches(const struct track_options *o, struct slice html, struct slice charset, bool pixels,
    struct patches *p, struct track_report *report)
{
	struct html_links_options opt = HTML_LINKS_DEFAULTS;
	struct source src = { .html = html, .charset = charset };
	struct html_edits edits;
	enum html_links_result got;

	opt.charset = charset;
	opt.links = o->links;
	opt.initial_pixel = opt.open_pixel = pixels;
	opt.explain = o->note != NULL;
	opt.max_part = TRACK_PART_MAX;
	opt.max_target = LINK_URL_MAX;
	opt.is_ours = is_ours;
	opt.arg = (void *)(uintptr_t)o;
	got = html_links_find(&opt, html, &edits);
	if (got != HTML_LINKS_FOUND) {
		report->parts_passed++;
		report->part_why = html_links_result_name(got);
	}
	for (size_t i = 0; i < edits.count; i++) {
		const struct html_edit *edit = &edits.edit[i];

		if (edit->kind == HTML_EDIT_LINK) {
			patch_link(o, &src, edit, p, report);
		} else if (edit->kind == HTML_EDIT_REMOVE) {
			add_patch(p, edit->offset, edit->length, p->text.len);
			note(o, "removed", NULL,
			    slice_head(slice_skip(html, edit->offset), edit->length));
		} else {
			patch_pixel(o, edit, p, report);
		}
	}
	for (size_t i = 0; i < edits.lefts; i++)
		note(o, "left", html_left_name(edits.left[i].why), edits.left[i].target);
	html_edits_free(&edits);
	charset_cache_close(&src.converters);
	settle(p);
	return p->n > 0;
}

/* Links of a text/plain part, and SparkPost's marks behind them. */
static bool
text_patches(const struct track_options *o, struct slice text, struct patches *p,
    struct track_report *report)
{
	struct slice rest = text;
	struct text_link t;

	while (text_link_next(&rest, &t)) {
		struct link l = link_of(o, t.unsubscribe ? TOKEN_UNSUBSCRIBE : TOKEN_CLICK);
		size_t at = (size_t)(t.url.p - text.p), text_at = p->text.len;

		l.url = t.url;
		l.sublink = usable_sublink(t.sublink);
		if (o->links && !t.untracked && !t.goes_on &&
		    !is_ours((void *)(uintptr_t)o, t.url) && put_link(o, &l, &p->text)) {
			add_patch(p, at, t.url.len + t.marks.len, text_at);
			report->links++;
			note(o, "wrapped", NULL, t.url);
		} else {
			p->text.len = text_at;
			if (t.marks.len > 0)
				add_patch(p, at + t.url.len, t.marks.len, text_at);
			note(o, "left",
			    t.untracked ? "data-msys-clicktrack"
			    : t.goes_on ? "8-bit letters behind it"
					: "off, or wrapped already",
			    t.url);
		}
	}
	settle(p);
	return p->n > 0;
}

/* ---- parts ---- */

struct part {
	struct mime_part mime;
	bool is_html;
};

struct parts {
	struct part *v;
	size_t n, room;
	const char *why_not;
};

/* Inline PGP (RFC 4880 6.2): its signature covers the text as it is. */
static bool
has_pgp(struct slice body)
{
	static const char mark[] = "-----BEGIN PGP ", escaped[] = "=2D----BEGIN PGP ";

	return body.len > 0 && (memmem(body.p, body.len, mark, sizeof(mark) - 1) != NULL ||
				   memmem(body.p, body.len, escaped, sizeof(escaped) - 1) != NULL);
}

static bool
is_displayed(const struct mime_part *p)
{
	return p->kind == MIME_LEAF && !p->in_message &&
	       !slice_eqi(p->disposition, SLICE_LIT("attachment")) &&
	       p->encoding != TRANSFER_UNKNOWN && p->encoding != TRANSFER_BINARY;
}

/* All parts that may change; none, with the reason, if the message as a whole must not. */
static void
collect(struct slice header, struct slice body, bool text, struct parts *out)
{
	struct mime_walk w;
	struct mime_part p;
	int got;

	mime_begin(&w, header, body);
	while ((got = mime_next(&w, &p)) > 0) {
		bool html = mime_is(&p, "text", "html");

		if (p.sealed)
			out->why_not = "signed";
		else if (p.kind == MIME_LEAF && mime_is(&p, "text", NULL) && has_pgp(p.body))
			out->why_not = "pgp";
		if (!is_displayed(&p) || !(html || (text && mime_is(&p, "text", "plain"))))
			continue;
		out->v = xgrow(out->v, out->n, &out->room, sizeof(*out->v));
		out->v[out->n++] = (struct part){ p, html };
	}
	if (got < 0)
		out->why_not = "too-many-parts";
	if (out->why_not != NULL)
		out->n = 0;
	else if (out->n == 0)
		out->why_not = "no-html";
}

/* The part's new encoded text, or false: it stays. */
static bool
track_part(const struct part *part, const struct track_options *o, bool pixels, const char *eol,
    struct buf *out, struct track_report *report)
{
	const struct mime_part *m = &part->mime;
	struct buf plain, charset;
	struct patches p;
	bool changed;

	if (m->body.len > 4 * TRACK_PART_MAX) {
		report->parts_passed++;
		report->part_why = "too-big";
		return false;
	}
	if (m->encoding == TRANSFER_BASE64 && !transfer_base64_ends(m->body)) {
		report->parts_passed++;
		report->part_why = "base64";
		return false;
	}
	buf_init(&plain, BUF_NO_LIMIT);
	buf_init(&charset, 256);
	patches_init(&p);
	transfer_decode(&plain, m->body, m->encoding);
	header_param(m->content_type, "charset", &charset);
	if (part->is_html)
		changed =
		    html_patches(o, buf_slice(&plain), buf_slice(&charset), pixels, &p, report);
	else
		changed = text_patches(o, buf_slice(&plain), &p, report);
	if (changed)
		patch_apply(out, m->body, m->encoding, p.v, p.n, eol);
	patches_free(&p);
	buf_free(&plain);
	buf_free(&charset);
	return changed;
}

/* A part's header block without Content-MD5, which would be wrong now (RFC 1864). */
static void
add_header_block(struct buf *out, struct slice block)
{
	struct slice rest = block, before = block;
	struct header h;
	int got;

	while ((got = header_next(&rest, &h)) != 0) {
		if (got < 0 || !slice_eqi(h.name, SLICE_LIT("Content-MD5")))
			buf_add(out, slice_head(before, before.len - rest.len));
		before = rest;
	}
}

/* The body with what became of the parts; true if one changed. */
static bool
rebuild(struct message *m, const struct parts *parts, const struct track_options *o,
    struct buf *out, struct track_report *report)
{
	struct slice body = buf_slice(&m->body);
	const char *eol =
	    body.len > 0 && memmem(body.p, body.len, "\r\n", 2) != NULL ? "\r\n" : "\n";
	const char *at = body.p;
	bool pixels = o->pixels, any = false, root = false;

	for (size_t i = 0; i < parts->n; i++) {
		const struct mime_part *p = &parts->v[i].mime;
		struct buf changed;

		buf_init(&changed, BUF_NO_LIMIT);
		if (track_part(
			&parts->v[i], o, pixels && parts->v[i].is_html, eol, &changed, report)) {
			any = true;
			root = root || p->depth == 0;
			if (p->depth > 0 && p->header.len > 0 && p->header.p >= at) {
				buf_add(out, (struct slice){ at, (size_t)(p->header.p - at) });
				add_header_block(out, p->header);
				at = p->header.p + p->header.len;
			}
			buf_add(out, (struct slice){ at, (size_t)(p->body.p - at) });
			buf_add(out, buf_slice(&changed));
			at = p->body.p + p->body.len;
		}
		if (parts->v[i].is_html)
			pixels = false; /* the first one that is shown had its chance */
		buf_free(&changed);
	}
	if (any)
		buf_add(out, (struct slice){ at, body.len - (size_t)(at - body.p) });
	if (root)
		message_delete(m, "Content-MD5");
	return any;
}

void
track_message(struct message *m, const struct track_options *o, struct track_report *report)
{
	struct parts parts = { 0 };
	struct buf header, body;

	*report = (struct track_report){ 0 };
	buf_init(&header, BUF_NO_LIMIT);
	buf_init(&body, BUF_NO_LIMIT);
	message_put_field(m, "Content-Type", &header);
	message_put_field(m, "Content-Transfer-Encoding", &header);
	message_put_field(m, "Content-Disposition", &header);
	collect(buf_slice(&header), buf_slice(&m->body), o->text, &parts);
	report->why_not = parts.why_not;
	if (parts.n > 0 && rebuild(m, &parts, o, &body, report))
		message_set_body(m, &body);
	free(parts.v);
	buf_free(&header);
	buf_free(&body);
}

void
track_html(struct slice html, struct slice charset, const struct track_options *o, struct buf *out,
    struct track_report *report)
{
	struct patches p;

	*report = (struct track_report){ 0 };
	patches_init(&p);
	html_patches(o, html, charset, o->pixels, &p, report);
	patch_apply(out, html, TRANSFER_8BIT, p.v, p.n, "\n");
	patches_free(&p);
}
