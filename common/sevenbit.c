#include "common/sevenbit.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/header.h"
#include "common/mime.h"
#include "common/xalloc.h"

/* RFC 5321 4.5.3.1.6, without its line end; the same for a header (RFC 5322 2.1.1). */
#define LINE_MAX_BYTES HEADER_LINE_MAX

/* ---- what is wrong with some bytes ---- */

typedef unsigned char lanes __attribute__((vector_size(16)));

/* 8-bit bytes, NUL, a bare CR: sixteen at a time, each next to the byte behind it. */
static bool
has_bad_byte(struct slice s)
{
	const lanes zero = { 0 }, cr = zero + '\r', lf = zero + '\n', high = zero + 0x80;
	lanes bad = zero, here, next;
	uint64_t word[2];
	size_t i = 0;

	for (; s.len - i > sizeof(lanes); i += sizeof(lanes)) {
		memcpy(&here, s.p + i, sizeof(here));
		memcpy(&next, s.p + i + 1, sizeof(next));
		bad |= (here & high) | (lanes)(here == zero);
		bad |= (lanes)(here == cr) & (lanes)(next != lf);
	}
	memcpy(word, &bad, sizeof(word));
	if ((word[0] | word[1]) != 0)
		return true;
	for (; i < s.len; i++)
		if ((unsigned char)s.p[i] >= 0x80 || s.p[i] == '\0' ||
		    (s.p[i] == '\r' && (i + 1 == s.len || s.p[i + 1] != '\n')))
			return true;
	return false;
}

/* Controls that no MTA passes on as they are. 8-bit bytes may stand in a header. */
static bool
has_bad_control(struct slice s)
{
	size_t at;

	if (slice_find(s, '\0') < s.len)
		return true;
	while ((at = slice_find(s, '\r')) < s.len) {
		if (at + 1 == s.len || s.p[at + 1] != '\n')
			return true;
		s = slice_skip(s, at + 2);
	}
	return false;
}

/* From one line end to the last one that a legal line can reach, so most lines are stepped over. */
static bool
has_long_line(struct slice s)
{
	while (s.len > LINE_MAX_BYTES) {
		const char *lf = memrchr(s.p, '\n', LINE_MAX_BYTES + 1);

		if (lf != NULL)
			s = slice_skip(s, (size_t)(lf - s.p) + 1);
		else if (s.len >= LINE_MAX_BYTES + 2 && s.p[LINE_MAX_BYTES] == '\r' &&
			 s.p[LINE_MAX_BYTES + 1] == '\n')
			s = slice_skip(s, LINE_MAX_BYTES + 2);
		else
			return true;
	}
	return false;
}

/* Would some hop change these bytes, or may it? */
static bool
is_flawed(struct slice s)
{
	return has_bad_byte(s) || has_long_line(s);
}

/* ---- the plan: what is done to each part ---- */

struct piece {
	struct mime_part part;
	enum { KEEP, ENCODE, REPAIR_QP, REPAIR_BASE64 } action;
	const char *label; /* new Content-Transfer-Encoding; NULL: stays */
	bool fold;         /* its header has a line that is too long */
	bool flawed;       /* when all is done */
};

struct work {
	struct message *m;
	struct sevenbit_report *report;
	struct slice body;
	const char *eol;
	bool flawed;  /* something in the body is, so each part has to be looked at */
	bool outside; /* something outside of all parts is: preamble, epilogue, boundary lines */
	bool edited;
	struct piece *pieces;
	size_t n, room;
};

/* All parts into w->pieces, which borrow from `header` and the body. False over budget. */
static bool
collect(struct work *w, struct buf *header)
{
	struct mime_walk walk;
	struct mime_part part;
	int got;

	message_put_field(w->m, "Content-Type", header);
	message_put_field(w->m, "Content-Transfer-Encoding", header);
	mime_begin(&walk, buf_slice(header), w->body);
	while ((got = mime_next(&walk, &part)) > 0) {
		w->pieces = xgrow(w->pieces, w->n, &w->room, sizeof(*w->pieces));
		w->pieces[w->n++] = (struct piece){ .part = part };
	}
	return got == 0;
}

static size_t
offset(const struct work *w, struct slice s)
{
	return (size_t)(s.p - w->body.p);
}

static struct slice
between(const struct work *w, size_t from, size_t to)
{
	return (struct slice){ w->body.p + from, to - from };
}

/* Headers of parts (the first piece's is not in the body), and what is between the parts. */
static void
look_at_headers(struct work *w)
{
	size_t at = 0;

	for (size_t i = 0; i < w->n; i++) {
		struct piece *p = &w->pieces[i];
		struct slice header = p->part.header;

		if (i > 0) {
			w->outside |= is_flawed(between(w, at, offset(w, header)));
			p->fold = has_long_line(header) && !p->part.sealed;
			if ((has_long_line(header) && p->part.sealed) || has_bad_control(header))
				w->report->unsafe = true;
		}
		at = offset(w, p->part.body) + p->part.body.len;
	}
	w->outside |= is_flawed(between(w, at, w->body.len));
	w->report->unsafe |= w->outside;
}

/*
 * RFC 2045 6.4: a message has no encoding, RFC 6532 3.6: but a message/global may. One that
 * is labelled with one all the same is read both ways, so it stays as it is.
 */
static bool
is_plain_message(const struct mime_part *part)
{
	return mime_is(part, "message", NULL) && !slice_startsi(part->subtype, SLICE_LIT("global"));
}

static bool
base64_repairable(struct slice body)
{
	struct buf probe;
	bool good;

	buf_init(&probe, BUF_NO_LIMIT);
	good = transfer_repair_base64(&probe, body, "\n");
	buf_free(&probe);
	return good;
}

static void
plan_flawed_leaf(struct piece *p)
{
	p->flawed = true;
	if (is_plain_message(&p->part))
		return;
	switch (p->part.encoding) {
	case TRANSFER_7BIT:
	case TRANSFER_8BIT:
	case TRANSFER_BINARY:
		if (mime_is(&p->part, "multipart", NULL)) /* without a boundary; RFC 2045 6.4 */
			return;
		p->action = ENCODE;
		p->label = transfer_name(TRANSFER_QUOTED_PRINTABLE);
		break;
	case TRANSFER_QUOTED_PRINTABLE:
		p->action = REPAIR_QP;
		break;
	case TRANSFER_BASE64:
		if (!base64_repairable(p->part.body))
			return;
		p->action = REPAIR_BASE64;
		break;
	case TRANSFER_UNKNOWN:
		return;
	}
	p->flawed = false;
}

static bool
claims_8bit(const struct mime_part *part)
{
	return part->encoding == TRANSFER_8BIT || part->encoding == TRANSFER_BINARY;
}

static void
plan_leaves(struct work *w)
{
	for (size_t i = 0; i < w->n; i++) {
		struct piece *p = &w->pieces[i];

		if (p->part.kind == MIME_LEAF && w->flawed && is_flawed(p->part.body)) {
			if (p->part.sealed)
				p->flawed = true;
			else
				plan_flawed_leaf(p);
			w->report->unsafe |= p->flawed;
		}
		w->report->parts += p->action != KEEP;
	}
}

/*
 * Backwards, so that a container comes after all it holds: flawed[d] is whether
 * anything seen at depth d since the last container around it is.
 */
static void
plan_labels(struct work *w)
{
	bool flawed[MIME_MAX_DEPTH + 2] = { false };

	for (size_t i = w->n; i-- > 0;) {
		struct piece *p = &w->pieces[i];
		unsigned depth = p->part.depth;

		if (p->part.kind != MIME_LEAF) {
			p->flawed = flawed[depth + 1] || w->outside;
			flawed[depth + 1] = false;
		}
		flawed[depth] |= p->flawed;
		if (!claims_8bit(&p->part))
			continue;
		if (p->part.sealed)
			w->report->unsafe =
			    true; /* Postfix would "convert" it, however 7-bit it is */
		else if (!p->flawed && p->label == NULL)
			p->label = transfer_name(TRANSFER_7BIT);
	}
}

/* ---- the new body ---- */

static void
add_label(struct buf *out, struct slice name, const char *label, struct slice end)
{
	buf_add(out, name);
	buf_adds(out, ": ");
	buf_adds(out, label);
	buf_add(out, end);
}

/* The part's header block: its label set, its lines folded, all else as it was. */
static void
write_header(struct work *w, const struct piece *p, struct buf *out)
{
	const struct slice cte = SLICE_LIT("Content-Transfer-Encoding");
	struct slice rest = p->part.header, eol = slice_str(w->eol);
	bool labelled = p->label == NULL, versioned = p->action != ENCODE || !p->part.is_root;

	while (rest.len > 0) {
		struct slice before = rest, lines;
		struct header h;
		int got = header_next(&rest, &h);

		lines = slice_head(before, before.len - rest.len);
		if (got > 0 && p->label != NULL && slice_eqi(h.name, cte)) {
			if (!labelled)
				add_label(out, h.name, p->label, slice_skip(lines, h.whole.len));
			labelled = true;
			continue;
		}
		versioned |= slice_eqi(h.name, SLICE_LIT("MIME-Version"));
		if (!has_long_line(lines))
			buf_add(out, lines);
		else if (got > 0 && header_fold(out, lines, w->eol))
			w->report->headers++;
		else
			w->report->unsafe = true;
	}
	if ((!labelled || !versioned) && p->part.header.len > 0 && out->p[out->len - 1] != '\n')
		buf_add(out, eol);
	if (!versioned)
		add_label(out, SLICE_LIT("MIME-Version"), "1.0", eol);
	if (!labelled)
		add_label(out, cte, p->label, eol);
}

static void
write_leaf(struct work *w, const struct piece *p, struct buf *out)
{
	switch (p->action) {
	case ENCODE:
		transfer_encode_qp(out, p->part.body, w->eol);
		break;
	case REPAIR_QP:
		transfer_repair_qp(out, p->part.body, w->eol);
		break;
	case REPAIR_BASE64:
		transfer_repair_base64(out, p->part.body, w->eol);
		break;
	case KEEP:
		buf_add(out, p->part.body);
		break;
	}
}

/*
 * Is it the root of a message whose container has no empty line behind its header?
 * Fields added here would become the container's.
 */
static bool
runs_into_container(const struct work *w, size_t i)
{
	const struct mime_part *in = i > 1 ? &w->pieces[i - 1].part : NULL;

	return in != NULL && in->kind == MIME_MESSAGE &&
	       offset(w, in->body) == offset(w, in->header) + in->header.len;
}

static void
write_body(struct work *w, struct buf *out)
{
	size_t at = 0; /* written up to here */

	for (size_t i = 0; i < w->n; i++) {
		const struct piece *p = &w->pieces[i];
		size_t body = offset(w, p->part.body);

		if (i > 0 && (p->fold || p->label != NULL)) {
			size_t header = offset(w, p->part.header);

			buf_add(out, between(w, at, header));
			if (p->action != KEEP && runs_into_container(w, i))
				buf_adds(out, w->eol);
			write_header(w, p, out);
			at = header + p->part.header.len;
			/* Encoded text could look like a header where the empty line was missing.
			 */
			if (at == body && p->action != KEEP)
				buf_adds(out, w->eol);
		}
		if (p->action != KEEP) {
			buf_add(out, between(w, at, body));
			write_leaf(w, p, out);
			at = body + p->part.body.len;
		}
	}
	buf_add(out, between(w, at, w->body.len));
}

static bool
edits_body(const struct work *w)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->pieces[i].action != KEEP ||
		    (i > 0 && (w->pieces[i].fold || w->pieces[i].label != NULL)))
			return true;
	return false;
}

/* ---- the message's own headers ---- */

static void
set_top_label(struct message *m, const char *label)
{
	static const char name[] = "Content-Transfer-Encoding";
	struct message_header *h = message_find(m, name, 0);
	char value[32];
	int n = snprintf(value, sizeof(value), " %s", label);

	if (h == NULL) {
		message_append(m, name, (struct slice){ value, (size_t)n });
		return;
	}
	message_set(h, (struct slice){ value, (size_t)n });
	while ((h = message_find(m, name, message_position(m, h) + 1)) != NULL)
		h->deleted = true;
}

static void
fold_top(struct message_header *h, struct sevenbit_report *report)
{
	struct buf field, folded;
	size_t name = strlen(h->name);

	buf_init(&field, BUF_NO_LIMIT);
	buf_init(&folded, BUF_NO_LIMIT);
	buf_adds(&field, h->name);
	buf_addc(&field, ':');
	buf_adds(&field, h->value);
	if (has_long_line(buf_slice(&field))) {
		if (header_fold(&folded, buf_slice(&field), "\n")) {
			message_set(h, slice_skip(buf_slice(&folded), name + 1));
			report->headers++;
		} else {
			report->unsafe = true;
		}
	}
	buf_free(&field);
	buf_free(&folded);
}

static void
fold_headers(struct message *m, struct sevenbit_report *report)
{
	for (size_t i = 0; i < m->n_headers; i++) {
		struct message_header *h = &m->headers[i];

		if (h->deleted)
			continue;
		if (strlen(h->name) + 1 + strlen(h->value) > LINE_MAX_BYTES)
			fold_top(h, report);
		if (strchr(h->value, '\r') != NULL)
			report->unsafe = true;
	}
}

/* ---- all of it ---- */

static const char *
line_end(struct slice body)
{
	size_t at = slice_find(body, '\n');

	return at < body.len && (at == 0 || body.p[at - 1] != '\r') ? "\n" : "\r\n";
}

/* True if anything in body or labels changes. */
static bool
make_body(struct work *w)
{
	const char *top;
	struct buf out;

	if (w->flawed)
		look_at_headers(w);
	plan_leaves(w);
	plan_labels(w);
	top = w->pieces[0].label;
	if (edits_body(w)) {
		buf_init(&out, BUF_NO_LIMIT);
		buf_reserve(&out, w->body.len + w->body.len / 4);
		write_body(w, &out);
		/* A header line that could not be folded leaves all as it was. */
		w->edited = !slice_eq(buf_slice(&out), w->body);
		if (w->edited)
			message_set_body(w->m, &out);
		buf_free(&out);
	}
	if (top != NULL)
		set_top_label(w->m, top);
	if (w->report->parts > 0 && message_find(w->m, "MIME-Version", 0) == NULL)
		message_append(w->m, "MIME-Version", SLICE_LIT(" 1.0"));
	return w->edited || top != NULL;
}

bool
sevenbit_make(struct message *m, struct sevenbit_report *report)
{
	struct work w = { .m = m, .report = report, .body = buf_slice(&m->body) };
	struct buf header;
	bool changed = false;

	*report = (struct sevenbit_report){ 0 };
	buf_init(&header, BUF_NO_LIMIT);
	w.flawed = is_flawed(w.body);
	w.eol = line_end(w.body);
	if (collect(&w, &header))
		changed = make_body(&w);
	else
		report->unsafe = true;
	fold_headers(m, report);
	free(w.pieces);
	buf_free(&header);
	return changed || report->headers > 0;
}
