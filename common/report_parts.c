#include "common/report_private.h"

#include <stddef.h>

#include "common/header.h"
#include "common/report_frame.h"
#include "common/transfer.h"

#define MAX_FIELDS 2000

/* ---- the report's own header ---- */

static const struct {
	const char *name;
	size_t offset;
} head_fields[] = {
	{ "From", offsetof(struct report_head, from) },
	{ "To", offsetof(struct report_head, to) },
	{ "Reply-To", offsetof(struct report_head, reply_to) },
	{ "Delivered-To", offsetof(struct report_head, delivered_to) },
	{ "Subject", offsetof(struct report_head, subject) },
	{ "Return-Path", offsetof(struct report_head, return_path) },
	{ "Auto-Submitted", offsetof(struct report_head, auto_submitted) },
	{ "Precedence", offsetof(struct report_head, precedence) },
	{ "X-Loop", offsetof(struct report_head, x_loop) },
	{ "X-Autoreply", offsetof(struct report_head, x_auto) },
	{ "X-Autorespond", offsetof(struct report_head, x_auto) },
	{ "X-Autoresponder", offsetof(struct report_head, x_auto) },
	{ "X-Auto-Reply-From", offsetof(struct report_head, x_auto) },
	{ "X-AutoReply-From", offsetof(struct report_head, x_auto) },
	{ "X-Mail-Autoreply", offsetof(struct report_head, x_auto) },
	{ "X-Vacation", offsetof(struct report_head, x_auto) },
	{ "X-Apple-Unsubscribe", offsetof(struct report_head, apple_unsubscribe) },
};

static void
read_head(struct report_head *h, struct slice block)
{
	struct header f;
	int rc;
	unsigned n = 0;

	*h = (struct report_head){ 0 };
	while (n++ < MAX_FIELDS && (rc = header_next(&block, &f)) != 0) {
		if (rc < 0)
			continue;
		if (slice_eqi(f.name, SLICE_LIT("X-Failed-Recipients")) && h->n_failed < MAX_FAILED)
			h->failed[h->n_failed++] = slice_trim(f.value);
		if (slice_eqi(f.name, SLICE_LIT("Return-Path")))
			h->has_return_path = true;
		for (size_t i = 0; i < COUNT(head_fields); i++) {
			struct slice *at;

			if (!slice_eqi(f.name, slice_str(head_fields[i].name)))
				continue;
			at = (struct slice *)(void *)((char *)h + head_fields[i].offset);
			if (at->len == 0)
				*at = slice_head(slice_trim(f.value), (size_t)64 * 1024);
			break;
		}
	}
}

/* ---- the parts ---- */

/* Does it begin with a field? RFC 3464 forbids encoding; where a part is encoded, this shows it. */
static bool
looks_like_fields(struct slice s)
{
	struct slice line;

	while (slice_line(&s, &line)) {
		size_t colon = slice_find(line, ':');

		if (slice_trim(line).len == 0)
			continue;
		return colon > 0 && colon < line.len && colon < 60 &&
		       memchr(line.p, ' ', colon) == NULL;
	}
	return false;
}

/* The fields of a machine-readable part, decoded into `b` where that is needed. */
static struct slice
fields_of(struct buf *b, const struct mime_part *part, struct slice body)
{
	struct slice s = slice_head(body, REPORT_MAX_PART);
	bool encoded =
	    part->encoding == TRANSFER_BASE64 || part->encoding == TRANSFER_QUOTED_PRINTABLE;

	if (encoded && (part->encoding == TRANSFER_QUOTED_PRINTABLE || !looks_like_fields(s))) {
		buf_clear(b);
		transfer_decode(b, s, part->encoding);
		if (looks_like_fields(buf_slice(b)))
			s = buf_slice(b);
	}
	if (s.len > 0 && memchr(s.p, '\r', s.len) != NULL) {
		struct buf lines;

		buf_init(&lines, REPORT_MAX_PART);
		report_add_lines(&lines, s);
		buf_free(b);
		*b = lines;
		b->max = REPORT_MAX_PART;
		s = buf_slice(b);
	}
	return s;
}

static bool
is_status_part(const struct mime_part *p)
{
	return slice_endsi(p->subtype, SLICE_LIT("delivery-status")) ||
	       (slice_endsi(p->subtype, SLICE_LIT("delivery-report")) &&
		   slice_eqi(p->type, SLICE_LIT("message")));
}

static bool
is_headers_part(const struct mime_part *p)
{
	return slice_startsi(p->subtype, SLICE_LIT("rfc822")) ||
	       slice_eqi(p->subtype, SLICE_LIT("global-headers")) ||
	       slice_eqi(p->subtype, SLICE_LIT("rfc-headers"));
}

/* Header fields of a message in the header of a part: it was put there without a header of its own.
 */
static bool
is_message_itself(const struct mime_part *p)
{
	struct returned r;

	if (p->is_root || p->header.len == 0)
		return false;
	returned_read(&r, p->header);
	return (r.message_id.len > 0 || r.from.len > 0 || r.return_path.len > 0) && r.known >= 2;
}

/* A message, or its header, as text. */
static bool
is_message_text(struct slice body)
{
	struct returned r;

	if (!looks_like_fields(body))
		return false;
	returned_read(&r, body);
	return r.known >= 3 && r.from.len > 0 && (r.message_id.len > 0 || r.date.len > 0);
}

static void
take_text(
    struct report_reader *rr, struct report_parts *ps, const struct mime_part *p, struct slice body)
{
	if (slice_eqi(p->subtype, SLICE_LIT("html"))) {
		if (!ps->html_seen) {
			ps->html_seen = true;
			ps->html_body = body;
			ps->html_type = p->content_type;
			ps->html_encoding = p->encoding;
		}
		return;
	}
	if ((ps->plain_seen || ps->html_seen) && is_message_text(body)) {
		ps->returned = body;
		ps->has_returned = true;
		return;
	}
	/* Of what is attached only "details.txt", which some use for a delivery-status part. */
	if (slice_eqi(p->disposition, SLICE_LIT("attachment")) && ps->plain_seen &&
	    (body.len == 0 || memmem(body.p, body.len, "-Recipient:", 11) == NULL))
		return;
	ps->plain_seen = true;
	report_add_text(rr, body, p->encoding, p->content_type, false);
}

/*
 * A header that was cut by an empty line: the body begins with "Content-Type: ...". What it
 * says counts instead.
 */
static struct slice
second_header(struct mime_part *p)
{
	struct slice rest = p->body, line;
	struct header h;
	bool type = false;

	while (rest.len > 0) {
		struct slice before = rest;

		if (!slice_line(&rest, &line) || slice_trim(line).len > 0) {
			rest = before;
			break;
		}
	}
	if (!slice_startsi(rest, SLICE_LIT("Content-")))
		return p->body;
	while (header_next(&rest, &h) > 0) {
		if (slice_eqi(h.name, SLICE_LIT("Content-Type"))) {
			struct slice word = header_token(h.value);
			size_t slash = slice_find(word, '/');

			if (slash == word.len)
				return p->body;
			p->type = slice_head(word, slash);
			p->subtype = slice_skip(word, slash + 1);
			p->content_type = h.value;
			type = true;
		} else if (slice_eqi(h.name, SLICE_LIT("Content-Transfer-Encoding"))) {
			p->encoding = transfer_parse(header_token(h.value));
		}
	}
	return type ? rest : p->body;
}

/*
 * The header of a message, to the end of the mail: returned_read() finds its end. The part's own
 * ends at the first line that is no field, and in reports folds are often lost.
 */
static struct slice
message_header(struct slice mail, const struct mime_part *p)
{
	const char *start = p->header.len > 0 ? p->header.p : p->body.p;

	if (start == NULL || start < mail.p || start > mail.p + mail.len)
		return p->header;
	return slice_skip(mail, (size_t)(start - mail.p));
}

static void
take_outer(struct report_reader *rr, struct report_parts *ps, struct mime_part *p)
{
	struct slice body = p->body;

	if (p->kind != MIME_LEAF)
		return;
	ps->leaves++;
	if (!p->is_root && slice_eqi(p->type, SLICE_LIT("text")) &&
	    slice_eqi(p->subtype, SLICE_LIT("plain")))
		body = second_header(p);
	if (is_status_part(p)) {
		if (!ps->has_dsn)
			ps->dsn = fields_of(&rr->decoded, p, body);
		ps->has_dsn = true;
	} else if (slice_eqi(p->subtype, SLICE_LIT("feedback-report"))) {
		if (!ps->has_arf)
			ps->arf = fields_of(&rr->decoded, p, body);
		ps->has_arf = true;
	} else if (slice_endsi(p->subtype, SLICE_LIT("disposition-notification"))) {
		ps->has_mdn = true;
	} else if (is_headers_part(p)) {
		if (!ps->has_returned)
			ps->returned = fields_of(
			    &rr->decoded_returned, p, slice_head(body, RETURNED_MAX_BYTES));
		ps->has_returned = true;
	} else if (!ps->has_returned && is_message_itself(p)) {
		ps->returned = message_header(ps->mail, p);
		ps->has_returned = true;
	} else if (slice_eqi(p->type, SLICE_LIT("message"))) { /* message/partial and others */
		if (!ps->has_returned && looks_like_fields(body)) {
			ps->returned = body;
			ps->has_returned = true;
		}
	} else if (slice_eqi(p->type, SLICE_LIT("text")) &&
		   (!ps->has_returned || (!ps->plain_seen && !ps->html_seen))) {
		/* Behind the message only what has not been said before it. */
		take_text(rr, ps, p, body);
	}
}

/* In a message that is attached. */
static void
take_inner(struct report_reader *rr, struct report_parts *ps, struct mime_part *p)
{
	if (p->is_root) {
		if (!ps->has_returned) {
			ps->returned = message_header(ps->mail, p);
			ps->has_returned = ps->has_message = true;
		} else if (ps->has_inner_dsn && !ps->has_inner_returned) {
			ps->inner_returned = message_header(ps->mail, p);
			ps->has_inner_returned = true;
		}
	}
	if (p->kind != MIME_LEAF || ps->has_dsn || ps->has_arf)
		return;
	if (is_status_part(p) && !ps->has_inner_dsn) {
		ps->inner_dsn = fields_of(&rr->decoded, p, p->body);
		ps->has_inner_dsn = true;
	} else if (ps->has_inner_dsn && !ps->has_inner_returned && is_headers_part(p)) {
		ps->inner_returned =
		    fields_of(&rr->decoded_returned, p, slice_head(p->body, RETURNED_MAX_BYTES));
		ps->has_inner_returned = true;
	}
}

/*
 * Mail that was wrapped, or stripped of leading blanks, on its way has header lines that are no
 * fields, and more fields behind them: they are what is left of folds. (A body without an empty
 * line before it looks like that only if fields stand in it.) False: all is well.
 */
static bool
restore_folds(struct report_reader *rr, struct slice mail, struct slice *body)
{
	struct slice rest = slice_head(mail, MAX_HEADER);
	struct header h;
	unsigned good = 0, bad = 0, after_bad = 0;
	int rc;

	while ((rc = header_next(&rest, &h)) != 0 && good + bad < MAX_FIELDS) {
		bad += rc < 0;
		good += rc > 0;
		after_bad += rc > 0 && bad > 0;
	}
	if (bad == 0 || after_bad < 2 || good < 3 || rc != 0 || rest.len == 0)
		return false;
	*body = slice_skip(mail, (size_t)(rest.p - mail.p));
	rest = slice_head(mail, (size_t)(rest.p - mail.p));
	buf_clear(&rr->folded);
	while ((rc = header_next(&rest, &h)) != 0) {
		if (rc < 0)
			buf_addc(&rr->folded, ' ');
		buf_add(&rr->folded, h.whole);
		buf_addc(&rr->folded, '\n');
	}
	return !rr->folded.full;
}

/* Before what gateways put before and behind a report in HTML. */
static void
add_html_first(struct report_reader *rr, const struct report_parts *ps)
{
	struct buf plain = rr->text;

	buf_init(&rr->text, REPORT_MAX_TEXT);
	report_add_text(rr, ps->html_body, ps->html_encoding, ps->html_type, true);
	if (plain.len > 0 && rr->text.len > 0)
		buf_adds(&rr->text, "\n\n");
	buf_add(&rr->text, slice_head(buf_slice(&plain), REPORT_MAX_TEXT - rr->text.len));
	buf_free(&plain);
}

void
report_walk(struct report_reader *rr, struct slice mail, struct report_parts *ps)
{
	struct mime_part p;
	struct slice body;
	int rc;

	ps->mail = mail;
	if (restore_folds(rr, mail, &body))
		mime_begin(&rr->walk, buf_slice(&rr->folded), body);
	else
		mime_begin_entity(&rr->walk, mail);
	while ((rc = mime_next(&rr->walk, &p)) > 0) {
		if (p.depth == 0) {
			read_head(&rr->head, p.header);
			ps->report =
			    p.kind == MIME_MULTIPART && slice_eqi(p.subtype, SLICE_LIT("report"));
			if (p.body.p != NULL && p.body.p >= mail.p && p.body.p <= mail.p + mail.len)
				ps->after_root = slice_skip(mail, (size_t)(p.body.p - mail.p));
		}
		if (p.in_message)
			take_inner(rr, ps, &p);
		else
			take_outer(rr, ps, &p);
		/* All that is wanted is there: 30 MB of a returned message need not be read. */
		if ((ps->has_dsn || ps->has_arf) && ps->has_returned)
			break;
	}
	ps->truncated = rc < 0;
	if (ps->leaves == 0 && !ps->has_returned &&
	    ps->after_root.len > 0) /* a multipart without its boundaries */
		report_add_text(
		    rr, ps->after_root, TRANSFER_7BIT, slice_head(ps->after_root, 0), false);
	if (ps->html_seen && report_frame_only(buf_slice(&rr->text)))
		add_html_first(rr, ps);
}
