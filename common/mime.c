#include "common/mime.h"

#include "common/header.h"

/* Containers that a signature or encryption holds together, and bodies that are one (RFC 1847,
 * 8551, 3156). */
static const struct {
	const char *type, *prefix;
} sealed_types[] = {
	{ "multipart", "signed" },
	{ "multipart", "encrypted" },
	{ "application", "pkcs7-" },
	{ "application", "x-pkcs7-" },
	{ "application", "pgp" },
	{ "application", "x-pgp" },
};

static const char *const message_subtypes[] = { "rfc822", "global", "news" };

void
mime_begin(struct mime_walk *w, struct slice header, struct slice body)
{
	mime_begin_entity(w, body);
	w->header = header;
	w->state = MIME_AT_TOP;
}

void
mime_begin_entity(struct mime_walk *w, struct slice entity)
{
	w->rest = entity;
	w->header = slice_head(entity, 0);
	w->parts = w->depth = 0;
	w->state = MIME_AT_PART;
}

bool
mime_is(const struct mime_part *part, const char *type, const char *subtype)
{
	return slice_eqi(part->type, slice_str(type)) &&
	       (subtype == NULL || slice_eqi(part->subtype, slice_str(subtype)));
}

/* ---- boundaries ---- */

static bool
is_padding(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Whose boundary is this line, innermost first? Blanks behind it are padding (RFC 2046 5.1.1). */
static bool
match_boundary(const struct mime_walk *w, struct slice line, unsigned *level, bool *final)
{
	struct slice text = slice_skip(line, 2);

	while (text.len > 0 && is_padding(text.p[text.len - 1]))
		text.len--;
	for (unsigned i = w->depth; i-- > 0;) {
		struct slice boundary = { w->levels[i].boundary, w->levels[i].boundary_len };
		struct slice tail = slice_skip(text, boundary.len);

		if (boundary.len == 0 || tail.len > 2 || !slice_starts(text, boundary))
			continue;
		*level = i;
		*final = slice_eq(tail, SLICE_LIT("--"));
		if (*final || tail.len == 0)
			return true;
	}
	return false;
}

static bool
at_boundary(const struct mime_walk *w, struct slice s, unsigned *level, bool *final)
{
	return slice_starts(s, SLICE_LIT("--")) &&
	       match_boundary(w, slice_head(s, slice_find(s, '\n')), level, final);
}

static bool
any_boundary(const struct mime_walk *w)
{
	for (unsigned i = 0; i < w->depth; i++)
		if (w->levels[i].boundary_len > 0)
			return true;
	return false;
}

/* Without the line end that belongs to the boundary line behind it. */
static struct slice
without_line_end(struct slice s)
{
	if (s.len > 0 && s.p[s.len - 1] == '\n')
		s.len--;
	if (s.len > 0 && s.p[s.len - 1] == '\r')
		s.len--;
	return s;
}

/*
 * Move behind the next boundary line and close what it closes. Returns what was
 * before it.
 */
static struct slice
to_boundary(struct mime_walk *w)
{
	struct slice start = w->rest, s = start;
	unsigned level;
	bool final;

	if (!any_boundary(w))
		s = slice_skip(s, s.len);
	while (s.len > 0 && !at_boundary(w, s, &level, &final))
		s = slice_skip(s, slice_find(s, '\n') + 1);
	if (s.len == 0) {
		w->rest = s;
		w->state = MIME_AT_END;
		return start;
	}
	w->rest = slice_skip(s, slice_find(s, '\n') + 1);
	w->depth = final ? level : level + 1;
	w->state = final ? MIME_BETWEEN : MIME_AT_PART;
	return without_line_end(slice_head(start, start.len - s.len));
}

/* ---- headers ---- */

/* The part of `s` behind `part`, which lies in it. */
static struct slice
behind(struct slice s, struct slice part)
{
	return slice_skip(s, (size_t)(part.p - s.p) + part.len);
}

/* "text/html", and with blanks round the slash, as RFC 822 allowed. */
static bool
split_type(struct slice value, struct slice *type, struct slice *subtype)
{
	struct slice word = header_token(value);
	size_t slash = slice_find(word, '/');

	*type = slice_head(word, slash);
	if (slash == word.len) {
		word = header_token(behind(value, word));
		if (!slice_starts(word, SLICE_LIT("/")))
			return false;
		slash = 0;
	}
	*subtype = slice_skip(word, slash + 1);
	if (subtype->len == 0)
		*subtype = header_token(behind(value, word));
	return type->len > 0 && subtype->len > 0;
}

struct found { /* the first of each name counts */
	struct slice type, encoding, disposition;
	bool has_type, has_encoding, has_disposition;
};

static void
take_field(struct found *f, const struct header *h)
{
	if (slice_eqi(h->name, SLICE_LIT("Content-Type")) && !f->has_type) {
		f->type = h->value;
		f->has_type = true;
	} else if (slice_eqi(h->name, SLICE_LIT("Content-Transfer-Encoding")) && !f->has_encoding) {
		f->encoding = h->value;
		f->has_encoding = true;
	} else if (slice_eqi(h->name, SLICE_LIT("Content-Disposition")) && !f->has_disposition) {
		f->disposition = h->value;
		f->has_disposition = true;
	}
}

/* A header block that was given apart: nothing but headers. */
static struct slice
read_apart(struct slice block, struct found *f)
{
	struct slice rest = block, before = block;
	struct header h;
	int got;

	while ((got = header_next(&rest, &h)) != 0) {
		if (got > 0)
			take_field(f, &h);
		before = rest;
	}
	return slice_head(block, block.len - before.len);
}

static bool
is_mbox_line(struct slice line)
{
	return slice_starts(line, SLICE_LIT("From ")) || slice_starts(line, SLICE_LIT(">From "));
}

/* The header block at w->rest, which moves to the body. */
static struct slice
read_header(struct mime_walk *w, bool is_root, struct found *f)
{
	struct slice start = w->rest, before = start;
	struct header h;
	unsigned level;
	bool final;

	while (!at_boundary(w, before, &level, &final)) {
		int got = header_next(&w->rest, &h);

		if (got == 0)
			break;
		if (got > 0)
			take_field(f, &h);
		else if (!is_root || before.len != start.len || !is_mbox_line(h.whole)) {
			w->rest = before;
			break;
		}
		before = w->rest;
	}
	return slice_head(start, start.len - before.len);
}

/* ---- parts ---- */

static bool
is_sealed_type(const struct mime_part *part)
{
	for (size_t i = 0; i < COUNT(sealed_types); i++)
		if (slice_eqi(part->type, slice_str(sealed_types[i].type)) &&
		    slice_startsi(part->subtype, slice_str(sealed_types[i].prefix)))
			return true;
	return false;
}

/* RFC 2045 6.4 allows a message no encoding; one that has it all the same can't be read in place.
 */
static bool
is_message(const struct mime_part *part)
{
	if (part->encoding == TRANSFER_QUOTED_PRINTABLE || part->encoding == TRANSFER_BASE64)
		return false;
	for (size_t i = 0; i < COUNT(message_subtypes); i++)
		if (mime_is(part, "message", message_subtypes[i]))
			return true;
	return false;
}

/* The multipart's boundary into the level that is to be opened. False if it has none to go by. */
static bool
read_boundary(struct mime_walk *w, const struct mime_part *part)
{
	struct mime_level *l = &w->levels[w->depth];
	/* With room for its cap from the start a buf never grows, so this allocates nothing. */
	struct buf b = { .p = l->boundary, .room = sizeof(l->boundary), .max = MIME_MAX_BOUNDARY };

	if (!header_param(part->content_type, "boundary", &b) || b.full)
		return false;
	while (b.len > 0 && (b.p[b.len - 1] == ' ' || b.p[b.len - 1] == '\t'))
		b.len--;
	for (unsigned i = 0; i < w->depth; i++)
		if (slice_eq((struct slice){ w->levels[i].boundary, w->levels[i].boundary_len },
			buf_slice(&b)))
			return false;
	l->boundary_len = b.len;
	return b.len > 0;
}

static enum mime_kind
kind_of(struct mime_walk *w, const struct mime_part *part)
{
	if (mime_is(part, "multipart", NULL))
		return read_boundary(w, part) ? MIME_MULTIPART : MIME_LEAF;
	return is_message(part) ? MIME_MESSAGE : MIME_LEAF;
}

static void
set_types(const struct mime_walk *w, const struct found *f, struct mime_part *part)
{
	bool in_digest = w->depth > 0 && w->levels[w->depth - 1].digest;

	part->content_type = f->type;
	part->disposition = header_token(f->disposition);
	part->encoding = transfer_parse(header_token(f->encoding));
	if (split_type(f->type, &part->type, &part->subtype))
		return;
	part->type = in_digest && !f->has_type ? SLICE_LIT("message") : SLICE_LIT("text");
	part->subtype = in_digest && !f->has_type ? SLICE_LIT("rfc822") : SLICE_LIT("plain");
}

static void
open_level(struct mime_walk *w, const struct mime_part *part)
{
	struct mime_level *l = &w->levels[w->depth++];

	if (part->kind == MIME_MESSAGE)
		l->boundary_len = 0;
	l->sealed = part->sealed;
	l->in_message = part->in_message || part->kind == MIME_MESSAGE;
	l->in_alternative = part->in_alternative || mime_is(part, "multipart", "alternative");
	l->digest = mime_is(part, "multipart", "digest");
	w->state = part->kind == MIME_MESSAGE ? MIME_AT_PART : MIME_BETWEEN;
}

static int
over_budget(struct mime_walk *w)
{
	w->state = MIME_OVER;
	return -1;
}

static int
read_part(struct mime_walk *w, struct mime_part *part)
{
	const struct mime_level *in = w->depth > 0 ? &w->levels[w->depth - 1] : NULL;
	struct found f = { 0 };

	*part = (struct mime_part){ .depth = w->depth };
	if (w->parts++ == MIME_MAX_PARTS)
		return over_budget(w);
	part->is_root = in == NULL || in->boundary_len == 0;
	part->header =
	    w->state == MIME_AT_TOP ? read_apart(w->header, &f) : read_header(w, part->is_root, &f);
	part->body = slice_head(w->rest, 0);
	set_types(w, &f, part);
	part->sealed = (in != NULL && in->sealed) || is_sealed_type(part);
	part->in_message = in != NULL && in->in_message;
	part->in_alternative = in != NULL && in->in_alternative;
	if (w->depth == MIME_MAX_DEPTH && (mime_is(part, "multipart", NULL) || is_message(part)))
		return over_budget(w);
	part->kind = kind_of(w, part);
	if (part->kind == MIME_LEAF)
		part->body = to_boundary(w);
	else
		open_level(w, part);
	return 1;
}

int
mime_next(struct mime_walk *w, struct mime_part *part)
{
	while (w->state == MIME_BETWEEN)
		to_boundary(w);
	if (w->state == MIME_OVER)
		return -1;
	if (w->state == MIME_AT_END)
		return 0;
	return read_part(w, part);
}
