#include "common/patch.h"

#include "common/base64.h"

/* ---- plain bytes ---- */

static void
patch_plain(struct buf *out, struct slice body, const struct patch *patches, size_t n)
{
	size_t at = 0;

	for (size_t i = 0; i < n; i++) {
		buf_add(out, slice_head(slice_skip(body, at), patches[i].at - at));
		buf_add(out, patches[i].text);
		at = patches[i].at + patches[i].length;
	}
	buf_add(out, slice_skip(body, at));
}

/* ---- base64 ---- */

/* Length of the first line that is full, as far as it is a sensible one. */
static size_t
line_length(struct slice body)
{
	struct slice rest = body, line;

	if (!slice_line(&rest, &line) || rest.len == 0 || line.len < 4 || line.len > 996)
		return TRANSFER_LINE_MAX;
	return line.len;
}

static void
patch_base64(struct buf *out, struct slice body, const struct patch *patches, size_t n,
    const char *eol)
{
	size_t width = line_length(body);
	struct buf plain, changed, digits;
	struct slice rest;

	buf_init(&plain, BUF_NO_LIMIT);
	buf_init(&changed, BUF_NO_LIMIT);
	buf_init(&digits, BUF_NO_LIMIT);
	transfer_decode(&plain, body, TRANSFER_BASE64);
	patch_plain(&changed, buf_slice(&plain), patches, n);
	base64_encode(&digits, buf_slice(&changed), BASE64_STD);
	for (rest = buf_slice(&digits); rest.len > 0;) {
		buf_add(out, slice_head(rest, width));
		rest = slice_skip(rest, width);
		if (rest.len > 0)
			buf_adds(out, eol);
	}
	if (body.len > 0 && body.p[body.len - 1] == '\n')
		buf_adds(out, eol);
	buf_free(&plain);
	buf_free(&changed);
	buf_free(&digits);
}

/* ---- quoted-printable ---- */

struct qp {
	struct buf *out;
	const char *eol;
	const struct patch *patch, *end; /* the next one, and behind the last */
	size_t at;	   /* decoded bytes so far */
	size_t column;	   /* of a line that is put together anew; 0: at a line's start */
	bool broken_by_us; /* the line began with a soft break that was not there */
};

static void
soft_break(struct qp *q)
{
	buf_addc(q->out, '=');
	buf_adds(q->out, q->eol);
	q->column = 0;
	q->broken_by_us = true;
}

/* One unit that must not be torn: a character or an escape. Room for '=' is always kept. */
static void
put(struct qp *q, struct slice unit)
{
	if (q->column + unit.len > TRANSFER_LINE_MAX - 1)
		soft_break(q);
	buf_add(q->out, unit);
	q->column += unit.len;
	q->broken_by_us = false;
}

static void
put_escaped(struct qp *q, unsigned char c)
{
	static const char digits[] = "0123456789ABCDEF";
	const char unit[3] = { '=', digits[c >> 4], digits[c & 15] };

	put(q, (struct slice){ unit, sizeof(unit) });
}

/* A line that begins anew must not look like a boundary, an mbox "From " or the end of data. */
static bool
needs_escape(const struct qp *q, unsigned char c)
{
	bool at_start = q->column + 1 > TRANSFER_LINE_MAX - 1 || (q->column == 0 && q->broken_by_us);

	if (at_start && (c == '-' || c == '.' || c == 'F'))
		return true;
	return c == '=' || c > 0x7e || (c < 0x20 && c != '\t');
}

static void
put_byte(struct qp *q, unsigned char c)
{
	char raw = (char)c;

	if (needs_escape(q, c))
		put_escaped(q, c);
	else
		put(q, (struct slice){ &raw, 1 });
}

/* Plain bytes: as many as the line takes at once, and what needs a look one by one. */
static void
put_text(struct qp *q, struct slice s)
{
	while (s.len > 0) {
		size_t n = 0, room;

		if (q->column > 0 && q->column < TRANSFER_LINE_MAX - 1) {
			room = TRANSFER_LINE_MAX - 1 - q->column;
			while (n < s.len && n < room && s.p[n] != '=' && s.p[n] >= 0x20 && s.p[n] < 0x7f)
				n++;
		}
		if (n == 0) {
			put_byte(q, (unsigned char)s.p[0]);
			s = slice_skip(s, 1);
			continue;
		}
		buf_add(q->out, slice_head(s, n));
		q->column += n;
		s = slice_skip(s, n);
	}
}

/* A blank in front of a hard line end, or at the end of all, would be taken for padding and dropped. */
static void
keep_last_blank(struct qp *q)
{
	char last = q->column > 0 ? q->out->p[q->out->len - 1] : '\0';

	if (last == ' ' || last == '\t') {
		q->out->len--;
		q->column--;
		put_escaped(q, (unsigned char)last);
	}
}

static void
hard_break(struct qp *q, struct slice line_end)
{
	keep_last_blank(q);
	buf_add(q->out, line_end);
	q->column = 0;
	q->broken_by_us = false;
}

/* Patches that begin here: their text is put, once. */
static void
insert_due(struct qp *q)
{
	/* One that takes bytes out stays the current one until those have passed. */
	while (q->patch < q->end && q->patch->at == q->at) {
		put_text(q, q->patch->text);
		if (q->patch->length > 0)
			break;
		q->patch++;
	}
}

/* Is the next decoded byte taken out? Moves past it. */
static bool
taken_out(struct qp *q)
{
	bool out;

	insert_due(q);
	out = q->patch < q->end && q->at >= q->patch->at;
	q->at++;
	if (out && q->at == q->patch->at + q->patch->length)
		q->patch++;
	return out;
}

/* A line of the body in its parts, as decoding sees them (RFC 2045 6.7). */
struct qp_line {
	struct slice whole; /* with its end */
	struct slice text;  /* without end, soft break and padding */
	struct slice end;   /* hard line end: CRLF, LF, or nothing at the end of the body */
	bool soft;
};

static struct qp_line
cut_line(struct slice *rest)
{
	struct qp_line l = { 0 };
	size_t n = slice_find(*rest, '\n');

	l.whole = slice_head(*rest, n + 1);
	l.text = slice_head(*rest, n);
	if (n < rest->len && n > 0 && l.text.p[n - 1] == '\r')
		l.text.len--;
	l.end = slice_skip(l.whole, l.text.len);
	while (l.text.len > 0 && (l.text.p[l.text.len - 1] == ' ' || l.text.p[l.text.len - 1] == '\t'))
		l.text.len--;
	if (l.text.len > 0 && l.text.p[l.text.len - 1] == '=') {
		l.soft = true;
		l.text.len--;
	}
	*rest = slice_skip(*rest, l.whole.len);
	return l;
}

static size_t
decoded_length(const struct qp_line *l)
{
	struct slice s = l->text;
	size_t n = 0, plain;

	while (s.len > 0) {
		plain = slice_find(s, '=');
		n += plain;
		s = slice_skip(s, plain);
		if (s.len > 0) {
			n++;
			s = slice_skip(s, transfer_qp_unit(s));
		}
	}
	return n + (l->soft ? 0 : l->end.len);
}

/* How many bytes of `s` stand for themselves, in front of the next patch. */
static size_t
plain_run(const struct qp *q, struct slice s)
{
	size_t n = slice_find(s, '=');

	if (q->patch < q->end && q->patch->at <= q->at)
		return 0;
	return q->patch < q->end && q->patch->at - q->at < n ? q->patch->at - q->at : n;
}

static void
patch_text(struct qp *q, struct slice s)
{
	while (s.len > 0) {
		size_t n = plain_run(q, s);

		if (n > 0) {
			put_text(q, slice_head(s, n));
			q->at += n;
		} else if (n = transfer_qp_unit(s), taken_out(q)) {
			;
		} else if (n == 3) {
			put(q, slice_head(s, 3)); /* as it is: hex digits in either case */
		} else {
			put_byte(q, (unsigned char)s.p[0]);
		}
		s = slice_skip(s, n);
	}
}

static void
patch_end(struct qp *q, const struct qp_line *l)
{
	bool gone[2] = { false, false }, torn = false;

	if (l->soft) {
		/* What follows is at a line's start again, and can stay as it is. */
		if (q->column > 0)
			soft_break(q);
		q->broken_by_us = false;
		return;
	}
	/* A patch between the CR and the LF, or of one of them, makes two bytes of them. */
	for (const struct patch *p = q->patch; p < q->end && p->at <= q->at + 1; p++)
		torn = torn || (l->end.len == 2 && p->at == q->at + 1);
	for (size_t i = 0; i < l->end.len; i++) {
		gone[i] = taken_out(q);
		if (!gone[i] && (torn || (i > 0 && gone[0])))
			put_escaped(q, (unsigned char)l->end.p[i]);
	}
	if (l->end.len > 0 && !torn && !gone[0] && !gone[l->end.len - 1])
		hard_break(q, l->end);
}

static void
patch_qp(struct qp *q, struct slice body)
{
	while (body.len > 0) {
		struct qp_line l = cut_line(&body);
		size_t length = decoded_length(&l);
		/* Behind a last line without an end something may be put. */
		bool ends = body.len > 0 || l.whole.p[l.whole.len - 1] == '\n';

		if (q->column == 0 && !q->broken_by_us &&
		    (q->patch == q->end || (ends && q->patch->at >= q->at + length))) {
			buf_add(q->out, l.whole);
			q->at += length;
			continue;
		}
		patch_text(q, l.text);
		patch_end(q, &l);
	}
	insert_due(q);
	keep_last_blank(q);
}

void
patch_apply(struct buf *out, struct slice body, enum transfer encoding,
    const struct patch *patches, size_t n, const char *eol)
{
	if (encoding == TRANSFER_QUOTED_PRINTABLE) {
		struct qp q = { .out = out, .eol = eol, .patch = patches, .end = patches + n };

		patch_qp(&q, body);
	} else if (encoding == TRANSFER_BASE64) {
		patch_base64(out, body, patches, n, eol);
	} else {
		patch_plain(out, body, patches, n);
	}
}
