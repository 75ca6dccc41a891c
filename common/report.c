#include "common/report.h"

#include <stdlib.h>

#include "common/address.h"
#include "common/arf.h"
#include "common/ascii.h"
#include "common/encoded_word.h"
#include "common/header.h"
#include "common/html_text.h"
#include "common/mime.h"
#include "common/report_text.h"
#include "common/report_words.h"
#include "common/returned.h"
#include "common/transfer.h"
#include "common/utf8.h"
#include "common/xalloc.h"

#define MAX_STRINGS   ((size_t)32 * 1024 * 1024)
#define CHUNK         ((size_t)64 * 1024)
#define MAX_SUBJECT   ((size_t)4096)
#define MAX_VALUE     ((size_t)2048)
#define MAX_FAILED    64 /* X-Failed-Recipients fields */
#define MAX_FIELDS    2000
#define MAX_HEADER    ((size_t)256 * 1024)
#define MAX_ORIGINALS 32 /* recipients in the original's To and Cc */

/* ---- memory for strings: as long as the report ---- */

struct chunk {
	struct chunk *next;
	size_t used, room;
	char p[];
};

/* The report's own header. */
struct head {
	struct slice from, to, reply_to, delivered_to, subject, return_path, auto_submitted,
	    precedence, x_loop, apple_unsubscribe;
	struct slice x_auto; /* any of the fields that vacation programs add */
	struct slice failed[MAX_FAILED];
	size_t n_failed;
	bool has_return_path;
};

struct report_reader {
	struct chunk *chunks;
	size_t strings;
	struct mime_walk walk;
	struct buf copy;    /* the mail with its line ends made right */
	struct buf folded;  /* its header with lost folds restored */
	struct buf decoded; /* the machine-readable part */
	struct buf decoded_returned;
	struct buf text, lower; /* for people; its start in lower case */
	struct buf scratch, address;
	struct head head;
	struct buf from_addr, from_name, to_addr, subject_lower;
	struct report_text found;
	struct report_rcpt *rcpts;
	size_t n_rcpts, room;
	bool truncated;
};

static struct chunk *
new_chunk(size_t room, struct chunk *next)
{
	struct chunk *c = xrealloc(NULL, 1, sizeof(*c) + room);

	*c = (struct chunk){ .next = next, .room = room };
	return c;
}

static char *
string_room(struct report_reader *rr, size_t n)
{
	struct chunk *c = rr->chunks;
	char *p;

	if (rr->strings + n > MAX_STRINGS)
		return NULL;
	if (c == NULL || c->room - c->used < n)
		c = rr->chunks = new_chunk(n > CHUNK ? n : CHUNK, c);
	p = c->p + c->used;
	c->used += n;
	rr->strings += n;
	return p;
}

static void
drop_strings(struct report_reader *rr)
{
	while (rr->chunks != NULL && rr->chunks->next != NULL) {
		struct chunk *c = rr->chunks;

		rr->chunks = c->next;
		free(c);
	}
	if (rr->chunks != NULL)
		rr->chunks->used = 0;
	rr->strings = 0;
}

static struct slice
keep(struct report_reader *rr, struct slice s)
{
	char *p = s.len > 0 ? string_room(rr, s.len) : NULL;

	if (p == NULL)
		return (struct slice){ "", 0 };
	memcpy(p, s.p, s.len);
	return (struct slice){ p, s.len };
}

/* Folds, controls and runs of blanks become one blank each; UTF-8, or Latin-1 made UTF-8. */
static struct slice
clean(struct report_reader *rr, struct slice s, size_t max)
{
	struct buf *b = &rr->scratch;
	bool blank = false, valid;

	s = slice_head(slice_trim(s), max);
	valid = utf8_valid(s);
	buf_clear(b);
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c <= ' ' || c == 0x7f) {
			blank = true;
			continue;
		}
		if (blank && b->len > 0)
			buf_addc(b, ' ');
		blank = false;
		if (c < 0x80 || valid) {
			buf_addc(b, (char)c);
		} else if (utf8_next(slice_skip(s, i)) > 0) { /* cut in the midst of it, or mixed */
			size_t n = utf8_next(slice_skip(s, i));

			buf_add(b, slice_head(slice_skip(s, i), n));
			i += n - 1;
		} else {
			buf_adds(b, "\xef\xbf\xbd");
		}
	}
	return keep(rr, buf_slice(b));
}

/* "smtp; host.example (1.2.3.4)" has been cut already; "<id@host>" loses its brackets. */
static struct slice
without_brackets(struct slice s)
{
	s = slice_trim(s);
	if (s.len > 0 && s.p[0] == '<') {
		s = slice_skip(s, 1);
		s = slice_head(s, slice_find(s, '>'));
	}
	return slice_trim(s);
}

static void
to_lower(struct buf *out, struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		buf_addc(out, ascii_lower(s.p[i]));
}

struct report_reader *
report_open(void)
{
	struct report_reader *rr = xcalloc(1, sizeof(*rr));

	buf_init(&rr->copy, REPORT_MAX_COPY);
	buf_init(&rr->folded, MAX_HEADER);
	buf_init(&rr->decoded, REPORT_MAX_PART);
	buf_init(&rr->decoded_returned, RETURNED_MAX_BYTES);
	buf_init(&rr->text, REPORT_MAX_TEXT);
	buf_init(&rr->lower, 16 * 1024);
	buf_init(&rr->scratch, REPORT_MAX_PART);
	buf_init(&rr->address, MAX_VALUE);
	buf_init(&rr->from_addr, MAX_VALUE);
	buf_init(&rr->from_name, MAX_VALUE);
	buf_init(&rr->to_addr, MAX_VALUE);
	buf_init(&rr->subject_lower, MAX_SUBJECT);
	return rr;
}

void
report_close(struct report_reader *rr)
{
	if (rr == NULL)
		return;
	drop_strings(rr);
	free(rr->chunks);
	buf_free(&rr->copy);
	buf_free(&rr->folded);
	buf_free(&rr->decoded);
	buf_free(&rr->decoded_returned);
	buf_free(&rr->text);
	buf_free(&rr->lower);
	buf_free(&rr->scratch);
	buf_free(&rr->address);
	buf_free(&rr->from_addr);
	buf_free(&rr->from_name);
	buf_free(&rr->to_addr);
	buf_free(&rr->subject_lower);
	free(rr->rcpts);
	free(rr);
}

const char *
report_kind_name(enum report_kind kind)
{
	static const char *const names[] = {
		[REPORT_ORDINARY] = "ordinary",
		[REPORT_BOUNCE] = "bounce",
		[REPORT_SUCCESS] = "success",
		[REPORT_FEEDBACK] = "feedback",
		[REPORT_AUTH_FAILURE] = "auth-failure",
		[REPORT_AUTO_REPLY] = "auto-reply",
		[REPORT_CHALLENGE] = "challenge",
		[REPORT_SUBSCRIBE] = "subscribe",
		[REPORT_UNSUBSCRIBE] = "unsubscribe",
	};

	return names[kind];
}

/* ---- the report's own header ---- */

static const struct {
	const char *name;
	size_t offset;
} head_fields[] = {
	{ "From", offsetof(struct head, from) },
	{ "To", offsetof(struct head, to) },
	{ "Reply-To", offsetof(struct head, reply_to) },
	{ "Delivered-To", offsetof(struct head, delivered_to) },
	{ "Subject", offsetof(struct head, subject) },
	{ "Return-Path", offsetof(struct head, return_path) },
	{ "Auto-Submitted", offsetof(struct head, auto_submitted) },
	{ "Precedence", offsetof(struct head, precedence) },
	{ "X-Loop", offsetof(struct head, x_loop) },
	{ "X-Autoreply", offsetof(struct head, x_auto) },
	{ "X-Autorespond", offsetof(struct head, x_auto) },
	{ "X-Autoresponder", offsetof(struct head, x_auto) },
	{ "X-Auto-Reply-From", offsetof(struct head, x_auto) },
	{ "X-AutoReply-From", offsetof(struct head, x_auto) },
	{ "X-Mail-Autoreply", offsetof(struct head, x_auto) },
	{ "X-Vacation", offsetof(struct head, x_auto) },
	{ "X-Apple-Unsubscribe", offsetof(struct head, apple_unsubscribe) },
};

static void
read_head(struct head *h, struct slice block)
{
	struct header f;
	int rc;
	unsigned n = 0;

	*h = (struct head){ 0 };
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

/* ---- text for people ---- */

/* ISO-2022-JP (RFC 1468): two-byte characters look like ASCII; they become blanks. */
static void
drop_iso2022(struct buf *out, struct slice s)
{
	bool wide = false;

	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '\x1b' && i + 2 < s.len) {
			wide = s.p[i + 1] == '$';
			i += wide && s.p[i + 2] == '(' && i + 3 < s.len ? 3 : 2;
			continue;
		}
		if (s.p[i] == '\n')
			wide = false;
		if (!wide)
			buf_addc(out, s.p[i]);
		else if (out->len > 0 && out->p[out->len - 1] != '?')
			buf_addc(out, '?');
	}
}

/* UTF-7 (RFC 2152): "+ADw-a+AEA-b" is "<a@b"; only what becomes ASCII matters. */
static void
decode_utf7(struct buf *out, struct slice s)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < s.len; i++) {
		unsigned long bits = 0;
		unsigned n = 0;
		const char *d;
		size_t k = i + 1;

		if (s.p[i] != '+') {
			buf_addc(out, s.p[i]);
			continue;
		}
		if (k < s.len && s.p[k] == '-') {
			buf_addc(out, '+');
			i = k;
			continue;
		}
		while (k < s.len && s.p[k] != '\0' && (d = strchr(digits, s.p[k])) != NULL) {
			bits = (bits << 6 | (unsigned long)(d - digits)) & 0xffffffff;
			n += 6;
			if (n >= 16) {
				unsigned long c = (bits >> (n - 16)) & 0xffff;

				n -= 16;
				buf_addc(out, c < 0x80 ? (char)c : '?');
			}
			k++;
		}
		if (k == i + 1)
			buf_addc(out, '+');
		i = k < s.len && s.p[k] == '-' && k > i + 1 ? k : k - 1;
	}
}

/* CRLF and CR become LF, NUL nothing. */
static void
add_lines(struct buf *out, struct slice s)
{
	while (s.len > 0) {
		size_t n = slice_find(s, '\r'), z = slice_find(slice_head(s, n), '\0');

		if (z < n)
			n = z;
		buf_add(out, slice_head(s, n));
		if (n < s.len && s.p[n] == '\r' && !(n + 1 < s.len && s.p[n + 1] == '\n'))
			buf_addc(out, '\n');
		s = slice_skip(s, n + 1);
	}
}

static bool
charset_is(const struct buf *charset, const char *start)
{
	return slice_startsi(buf_slice(charset), slice_str(start));
}

/* Append a text part to rr->text, decoded. */
static void
add_text(struct report_reader *rr, struct slice body, enum transfer encoding,
    struct slice content_type, bool html)
{
	struct buf decoded, charset;
	/* base64 needs 4 bytes for 3, quoted-printable up to 3 for 1 */
	struct slice in = slice_head(body, (size_t)2 * REPORT_MAX_TEXT);

	if (rr->text.len >= REPORT_MAX_TEXT)
		return;
	buf_init(&decoded, REPORT_MAX_TEXT);
	buf_init(&charset, 64);
	header_param(content_type, "charset", &charset);
	if (encoding == TRANSFER_BASE64 || encoding == TRANSFER_QUOTED_PRINTABLE) {
		transfer_decode(&decoded, in, encoding);
		in = buf_slice(&decoded);
	}
	in = slice_head(in, REPORT_MAX_TEXT);
	if (rr->text.len > 0 && rr->text.p[rr->text.len - 1] != '\n')
		buf_addc(&rr->text, '\n');
	if (html) {
		html_text(&rr->text, in, buf_slice(&charset));
	} else if (charset_is(&charset, "iso-2022") ||
		   (in.len > 0 && memmem(in.p, in.len, "\x1b$", 2) != NULL)) {
		struct buf plain;

		buf_init(&plain, REPORT_MAX_TEXT);
		drop_iso2022(&plain, in);
		add_lines(&rr->text, buf_slice(&plain));
		buf_free(&plain);
	} else if (charset_is(&charset, "utf-7") || charset_is(&charset, "unicode-1-1-utf-7")) {
		struct buf plain;

		buf_init(&plain, REPORT_MAX_TEXT);
		decode_utf7(&plain, in);
		add_lines(&rr->text, buf_slice(&plain));
		buf_free(&plain);
	} else {
		add_lines(&rr->text, in);
	}
	buf_free(&decoded);
	buf_free(&charset);
}

/* ---- the parts ---- */

struct parts {
	struct slice dsn, arf;       /* decoded, if they had to be */
	struct slice returned;       /* header block of the message that it is about */
	struct slice inner_dsn;      /* lies in a message that is attached */
	struct slice inner_returned; /* and what that one is about */
	bool has_dsn, has_arf, has_returned, has_inner_dsn, has_inner_returned, has_mdn,
	    has_html_only;
	bool report; /* the mail is a multipart/report */
	bool html_seen, plain_seen;
	struct slice html_body, html_type;
	enum transfer html_encoding;
	struct slice mail;
	struct slice after_root; /* all behind the root's header */
	unsigned leaves;
	bool truncated;
};

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
		add_lines(&lines, s);
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
take_text(struct report_reader *rr, struct parts *ps, const struct mime_part *p, struct slice body)
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
	if (ps->plain_seen && is_message_text(body)) {
		ps->returned = body;
		ps->has_returned = true;
		return;
	}
	if (slice_eqi(p->disposition, SLICE_LIT("attachment")) && ps->plain_seen)
		return;
	ps->plain_seen = true;
	add_text(rr, body, p->encoding, p->content_type, false);
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
take_outer(struct report_reader *rr, struct parts *ps, struct mime_part *p)
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
	} else if (slice_eqi(p->type, SLICE_LIT("text")) && !ps->has_returned) {
		take_text(rr, ps, p, body);
	}
}

/* In a message that is attached. */
static void
take_inner(struct report_reader *rr, struct parts *ps, struct mime_part *p)
{
	if (p->is_root) {
		if (!ps->has_returned) {
			ps->returned = message_header(ps->mail, p);
			ps->has_returned = true;
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

static void
walk(struct report_reader *rr, struct slice mail, struct parts *ps)
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
		add_text(rr, ps->after_root, TRANSFER_7BIT, slice_head(ps->after_root, 0), false);
	if (!ps->plain_seen && ps->html_seen)
		add_text(rr, ps->html_body, ps->html_encoding, ps->html_type, true);
}

/* ---- who sent it ---- */

struct sender {
	bool daemon;  /* by its name */
	bool machine; /* by that, by the null return path, or by what only mail systems add */
	bool null_path;
	bool forward; /* "Fwd:" */
	bool bounce_subject;
};

static bool
is_null_path(const struct head *h)
{
	struct slice path = slice_trim(h->return_path);

	if (!h->has_return_path)
		return false;
	return path.len == 0 || slice_eq(path, SLICE_LIT("<>")) ||
	       slice_startsi(path, SLICE_LIT("<mailer-daemon")) ||
	       slice_startsi(path, SLICE_LIT("mailer-daemon"));
}

static void
read_sender(struct report_reader *rr, const struct parts *ps, struct sender *s)
{
	struct slice from;
	struct buf lower;

	buf_init(&lower, MAX_VALUE);
	address_first(slice_head(rr->head.from, 4096), &rr->from_addr, &rr->from_name);
	address_first(slice_head(rr->head.to, 4096), &rr->to_addr, NULL);
	buf_clear(&rr->scratch);
	encoded_word_decode(&rr->scratch, slice_head(rr->head.subject, MAX_SUBJECT));
	buf_clear(&rr->subject_lower);
	to_lower(&rr->subject_lower, buf_slice(&rr->scratch));

	*s = (struct sender){ 0 };
	from = rr->from_addr.len > 0 ? buf_slice(&rr->from_addr) : without_brackets(rr->head.from);
	to_lower(&lower, from);
	s->daemon =
	    report_words_daemon(buf_slice(&lower)) || (rr->head.from.len > 0 && from.len == 0);
	buf_clear(&lower);
	to_lower(&lower, slice_head(rr->head.from, MAX_VALUE));
	s->daemon = s->daemon || report_words_system(buf_slice(&lower));
	s->null_path = is_null_path(&rr->head);
	s->machine = s->daemon || s->null_path || rr->head.n_failed > 0 || ps->report;
	s->forward = report_words_forward_subject(buf_slice(&rr->subject_lower));
	s->bounce_subject = report_words_bounce_subject(buf_slice(&rr->subject_lower));
	buf_free(&lower);
}

/* ---- recipients ---- */

static struct report_rcpt *
new_rcpt(struct report_reader *rr)
{
	if (rr->n_rcpts == REPORT_MAX_RCPTS) {
		rr->truncated = true;
		return NULL;
	}
	rr->rcpts = xgrow(rr->rcpts, rr->n_rcpts, &rr->room, sizeof(*rr->rcpts));
	rr->rcpts[rr->n_rcpts] = (struct report_rcpt){ 0 };
	return &rr->rcpts[rr->n_rcpts++];
}

static bool
has_at(struct slice s)
{
	return slice_find(s, '@') < s.len;
}

/* The n-th address of a list header; false when there are no more. */
static bool
next_in_list(struct slice *rest, struct buf *addr)
{
	while (rest->len > 0) {
		size_t n = 0;
		bool quoted = false;
		struct slice one;

		while (n < rest->len && (quoted || rest->p[n] != ',')) {
			if (rest->p[n] == '"')
				quoted = !quoted;
			n++;
		}
		one = slice_head(*rest, n);
		*rest = slice_skip(*rest, n + 1);
		if (address_first(slice_head(one, MAX_VALUE), addr, NULL))
			return true;
	}
	return false;
}

static struct slice
one_line(struct report_reader *rr, struct slice s)
{
	return clean(rr, s, REPORT_MAX_DIAGNOSTIC);
}

static bool
is_vague(struct slice status)
{
	return status.len < 5 || slice_endsi(status, SLICE_LIT(".0.0"));
}

/* What the diagnostic and the text for people add to a recipient of a DSN. */
static void
refine(struct report_reader *rr, struct report_rcpt *r)
{
	struct slice better = dsn_find_status(r->diagnostic);
	struct report_text_rcpt said = { 0 };
	char class = r->status.len > 0 ? r->status.p[0] : '\0';

	if (r->code == 0)
		r->code = dsn_find_code(r->diagnostic);
	if (is_vague(r->status) && better.len > 0 && (class == '\0' || class == better.p[0]) &&
	    !slice_endsi(better, SLICE_LIT(".0.0")))
		r->status = better;
	if (!is_vague(r->status) && r->diagnostic.len > 0)
		return;
	if (rr->found.n == 0)
		return;
	report_text_about(&rr->found, r->final.len > 0 ? r->final : r->rcpt, &said);
	if (said.reason.len == 0 && r->original.len > 0)
		report_text_about(&rr->found, r->original, &said);
	if (is_vague(r->status) && said.status.len > 0 &&
	    (class == '\0' || class == said.status.p[0]))
		r->status = keep(rr, said.status);
	if (r->diagnostic.len == 0 && said.reason.len > 0)
		r->diagnostic = one_line(rr, said.reason);
	if (r->code == 0)
		r->code = said.code;
}

static struct slice
address_of(struct report_reader *rr, struct slice value)
{
	dsn_address(value, &rr->address);
	if (!utf8_valid(buf_slice(&rr->address)))
		return clean(rr, buf_slice(&rr->address), MAX_VALUE);
	return keep(rr, buf_slice(&rr->address));
}

static enum dsn_action
action_of(const struct dsn_rcpt *d)
{
	if (d->action != DSN_ACTION_NONE)
		return d->action;
	if (d->status.len > 0 && d->status.p[0] == '4')
		return DSN_DELAYED;
	if (d->status.len > 0 && d->status.p[0] == '2')
		return DSN_DELIVERED;
	return DSN_FAILED;
}

static bool
is_failure(enum dsn_action a)
{
	return a == DSN_FAILED || a == DSN_DELAYED;
}

static bool
is_known(const struct report_reader *rr, struct slice rcpt)
{
	size_t from = rr->n_rcpts > 200 ? rr->n_rcpts - 200 : 0;

	for (size_t i = from; i < rr->n_rcpts; i++)
		if (slice_eqi(rr->rcpts[i].rcpt, rcpt))
			return true;
	return false;
}

static struct slice
preferred(const struct report_rcpt *r, struct slice actual)
{
	if (has_at(r->original))
		return r->original;
	if (has_at(actual))
		return actual;
	if (has_at(r->final))
		return r->final;
	return (struct slice){ "", 0 };
}

/* Without the message that stands behind it, where a boundary is missing. */
static struct slice
before_quote(struct slice s)
{
	size_t header;

	return slice_head(s, report_text_quote(s, &header));
}

/* All recipients of a delivery-status part. Returns how many have an address. */
static size_t
read_dsn(struct report_reader *rr, struct slice part, struct report *out)
{
	struct dsn d;
	struct dsn_rcpt one;
	size_t addressed = 0;
	int rc;

	dsn_begin(&d, before_quote(part));
	while ((rc = dsn_next(&d, &one)) > 0) {
		struct report_rcpt r = { .action = action_of(&one) }, *to;

		r.original = address_of(rr, one.original);
		r.final = address_of(rr, one.final);
		r.rcpt = preferred(&r, address_of(rr, one.actual));
		if (r.rcpt.len > 0 && is_known(rr, r.rcpt))
			continue;
		r.status = keep(rr, one.status);
		r.diagnostic = one_line(rr, one.diagnostic);
		r.remote_mta = one_line(rr, one.remote_mta);
		if (is_failure(r.action))
			refine(rr, &r);
		if (r.rcpt.len == 0 && r.final.len == 0 && r.original.len == 0 &&
		    r.status.len == 0 && one.action == DSN_ACTION_NONE)
			continue;
		if ((to = new_rcpt(rr)) == NULL)
			break;
		*to = r;
		addressed += r.rcpt.len > 0;
	}
	rr->truncated = rr->truncated || rc < 0;
	out->reporting_mta = one_line(rr, d.reporting_mta);
	out->envelope_id = one_line(rr, d.envelope_id);
	return addressed;
}

/* ---- the message that it is about ---- */

static struct slice
first_address(struct report_reader *rr, struct slice value)
{
	if (!address_first(slice_head(value, 4096), &rr->address, NULL))
		return (struct slice){ "", 0 };
	return clean(rr, buf_slice(&rr->address), MAX_VALUE);
}

static void
take_returned(struct report_reader *rr, struct report *out, const struct returned *ret)
{
	out->message_id = clean(rr, without_brackets(ret->message_id), MAX_VALUE);
	out->signalpost_id = clean(rr, without_brackets(ret->signalpost_id), MAX_VALUE);
	out->job = clean(rr, ret->job, MAX_VALUE);
	out->return_path = clean(rr, without_brackets(ret->return_path), MAX_VALUE);
	out->original_from = first_address(rr, ret->from);
	out->original_to = first_address(rr, ret->to);
	buf_clear(&rr->scratch);
	encoded_word_decode(&rr->scratch, slice_head(ret->subject, MAX_SUBJECT));
	out->original_subject = keep(rr, buf_slice(&rr->scratch));
}

/* How many recipients the original has in To and Cc, and the first of them. */
static size_t
original_rcpts(struct report_reader *rr, const struct returned *ret, struct slice *v)
{
	const struct slice lists[] = { ret->to, ret->cc };
	size_t n = 0;

	for (size_t i = 0; i < COUNT(lists); i++) {
		struct slice rest = slice_head(lists[i], (size_t)16 * 1024);

		while (n < MAX_ORIGINALS && next_in_list(&rest, &rr->address))
			v[n++] = clean(rr, buf_slice(&rr->address), MAX_VALUE);
	}
	return n;
}

/* The block of the quoted message in the text for people. */
static void
returned_in_text(struct slice quoted, struct returned *ret)
{
	struct slice rest = quoted;

	*ret = (struct returned){ 0 };
	for (int paragraph = 0; paragraph < 6 && rest.len > 0; paragraph++) {
		const char *end;

		returned_read(ret, rest);
		if (ret->message_id.len > 0 || ret->known >= 3)
			return;
		while (rest.len > 0 && rest.p[0] == '\n')
			rest = slice_skip(rest, 1);
		end = memmem(rest.p, rest.len, "\n\n", 2);
		if (end == NULL)
			return;
		rest = slice_skip(rest, (size_t)(end - rest.p) + 2);
	}
}

/* ---- a text for people ---- */

/* A text without a status: the class is known nevertheless. */
static struct slice
generic_status(unsigned code, enum dsn_action action)
{
	if (code >= 500)
		return SLICE_LIT("5.0.0");
	if (code >= 400 || action == DSN_DELAYED)
		return SLICE_LIT("4.0.0");
	return SLICE_LIT("5.0.0");
}

static struct report_rcpt *
text_rcpt(struct report_reader *rr, const struct report_text_rcpt *said, enum dsn_action action)
{
	struct report_rcpt *r;
	struct slice address = clean(rr, said->address, MAX_VALUE);

	if (is_known(rr, address))
		return NULL;
	r = new_rcpt(rr);
	if (r == NULL)
		return NULL;
	r->rcpt = r->final = address;
	r->status = keep(rr, said->status);
	r->code = said->code;
	/* "Deferred" in the subject, and a 550 in the text: that was the end of it. */
	r->action = r->code >= 500 ? DSN_FAILED : action;
	r->diagnostic = one_line(rr, said->reason);
	if (r->status.len == 0)
		r->status = generic_status(r->code, action);
	return r;
}

static enum dsn_action
text_action(const struct report_reader *rr)
{
	struct slice subject = buf_slice(&rr->subject_lower), text = buf_slice(&rr->lower);

	if (report_words_delay_text(text) && !report_words_failure_text(text))
		return DSN_DELAYED;
	if (report_words_delay_subject(subject) && !report_words_failure_text(text))
		return DSN_DELAYED;
	return DSN_FAILED;
}

/* The whole text as the reason: "Delivery failed." about the only recipient that there was. */
static void
whole_text_rcpt(struct report_reader *rr, struct slice address, enum dsn_action action)
{
	struct report_text_rcpt said = { .address = address };

	said.status = dsn_find_status(rr->found.text);
	said.code = dsn_find_code(rr->found.text);
	said.reason = slice_head(slice_trim(rr->found.text), REPORT_MAX_DIAGNOSTIC);
	text_rcpt(rr, &said, action);
}

static void
read_failed_header(struct report_reader *rr, enum dsn_action action)
{
	for (size_t i = 0; i < rr->head.n_failed; i++) {
		struct slice rest = slice_head(rr->head.failed[i], (size_t)256 * 1024);

		while (next_in_list(&rest, &rr->address)) {
			struct report_text_rcpt said;
			struct slice address = clean(rr, buf_slice(&rr->address), MAX_VALUE);

			report_text_about(&rr->found, address, &said);
			if (said.reason.len == 0 && rr->head.n_failed == 1 &&
			    slice_find(rr->head.failed[0], ',') == rr->head.failed[0].len) {
				whole_text_rcpt(rr, address, action);
				return;
			}
			if (text_rcpt(rr, &said, action) == NULL && rr->truncated)
				return;
		}
	}
}

static bool
is_one_of(struct slice s, const struct slice *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (slice_eqi(s, v[i]))
			return true;
	return false;
}

/* Recipients out of the text, those of the original's To only if any of them is there. */
static void
read_text_rcpts(struct report_reader *rr, const struct returned *ret, enum dsn_action action)
{
	struct slice originals[MAX_ORIGINALS];
	size_t n = original_rcpts(rr, ret, originals);
	struct report_text_rcpt said;
	bool filter = false;

	/* A line of the servers' talk and an address of its own need no proof. */
	if (rr->found.best == REPORT_TEXT_MENTIONED || rr->found.best == REPORT_TEXT_NAMED)
		for (size_t i = 0; i < rr->found.n && !filter; i++)
			filter = rr->found.found[i].rank == rr->found.best &&
			         is_one_of(rr->found.found[i].address, originals, n);
	while (report_text_next(&rr->found, &said) > 0) {
		if (filter && !is_one_of(said.address, originals, n))
			continue;
		if (text_rcpt(rr, &said, action) == NULL && rr->truncated)
			return;
	}
	if (rr->n_rcpts == 0 && n == 1)
		whole_text_rcpt(rr, originals[0], action);
	if (rr->n_rcpts > 0 || rr->found.n > 0)
		return;
	/* Who wrote to himself. */
	report_text_begin(&rr->found, buf_slice(&rr->text), NULL, 0);
	while (rr->found.best == REPORT_TEXT_FIRST && report_text_next(&rr->found, &said) > 0)
		text_rcpt(rr, &said, action);
}

/* "Final-Recipient:" in a text: a delivery-status part that has lost its header, or never had one.
 */
static struct slice
fields_in_text(struct slice text)
{
	static const char *const starts[] = {
		"\nFinal-Recipient:", "\nOriginal-Recipient:", "\nReporting-MTA:"
	};
	const char *first = NULL;

	for (size_t i = 0; i < COUNT(starts); i++) {
		const char *at =
		    text.len > 0 ? memmem(text.p, text.len, starts[i], strlen(starts[i])) : NULL;

		if (at != NULL && (first == NULL || at < first))
			first = at;
	}
	if (first == NULL || memmem(text.p, text.len, "-Recipient:", 11) == NULL)
		return slice_head(text, 0);
	return before_quote(slice_skip(text, (size_t)(first - text.p)));
}

/* ---- what it is ---- */

static void
find_in_text(struct report_reader *rr)
{
	struct slice skip[] = { buf_slice(&rr->to_addr), buf_slice(&rr->from_addr),
		without_brackets(rr->head.delivered_to), without_brackets(rr->head.reply_to) };

	report_text_begin(&rr->found, buf_slice(&rr->text), skip, COUNT(skip));
}

static void
finish(struct report_reader *rr, struct report *out, enum report_kind kind, const char *format)
{
	out->kind = kind;
	out->format = format;
	out->rcpts = rr->rcpts;
	out->n_rcpts = rr->n_rcpts;
	out->truncated = out->truncated || rr->truncated;
}

static bool
any_failure(const struct report_reader *rr)
{
	for (size_t i = 0; i < rr->n_rcpts; i++)
		if (is_failure(rr->rcpts[i].action))
			return true;
	return false;
}

/* Recipients that the DSN names without a domain, or not at all. */
static void
find_missing(struct report_reader *rr, const struct returned *ret)
{
	struct slice originals[MAX_ORIGINALS];
	struct report_text_rcpt said;
	size_t n;

	if (rr->n_rcpts != 1 || rr->rcpts[0].rcpt.len > 0)
		return;
	if (rr->head.n_failed == 1 &&
	    address_first(slice_head(rr->head.failed[0], MAX_VALUE), &rr->address, NULL)) {
		rr->rcpts[0].rcpt = clean(rr, buf_slice(&rr->address), MAX_VALUE);
		return;
	}
	if (report_text_next(&rr->found, &said) > 0) {
		rr->rcpts[0].rcpt = clean(rr, said.address, MAX_VALUE);
		if (rr->rcpts[0].diagnostic.len == 0)
			rr->rcpts[0].diagnostic = one_line(rr, said.reason);
		return;
	}
	n = original_rcpts(rr, ret, originals);
	if (n == 1)
		rr->rcpts[0].rcpt = originals[0];
	else
		rr->rcpts[0].rcpt =
		    rr->rcpts[0].final.len > 0 ? rr->rcpts[0].final : rr->rcpts[0].original;
}

static bool
as_dsn(struct report_reader *rr, const struct parts *ps, const struct sender *s,
    const struct returned *ret, struct report *out)
{
	if (!ps->has_dsn && !(ps->has_inner_dsn && s->machine && !s->forward))
		return false;
	if (ps->has_dsn && s->forward && !s->machine)
		return false;
	read_dsn(rr, ps->has_dsn ? ps->dsn : ps->inner_dsn, out);
	if (rr->n_rcpts == 0)
		return false;
	find_missing(rr, ret);
	finish(rr, out, any_failure(rr) ? REPORT_BOUNCE : REPORT_SUCCESS, "dsn");
	return true;
}

/*
 * Some systems send reports from ordinary addresses. With the message goes who reports, while
 * people pass on a report: then what is attached comes from a mail system.
 */
static bool
returns_a_message(struct report_reader *rr, const struct parts *ps, const struct returned *ret)
{
	struct slice from = ret->from;
	struct buf lower;
	bool daemon;

	if ((!ps->has_returned && rr->found.quoted.len == 0) || ret->fields == 0 ||
	    rr->found.best < REPORT_TEXT_NAMED || rr->found.n == 0)
		return false;
	address_first(slice_head(from, 4096), &rr->address, NULL);
	buf_init(&lower, MAX_VALUE);
	to_lower(&lower, buf_slice(&rr->address));
	daemon = report_words_daemon(buf_slice(&lower));
	buf_free(&lower);
	return !daemon && from.len > 0;
}

static bool
as_text(struct report_reader *rr, const struct parts *ps, const struct sender *s,
    struct returned *ret, struct report *out)
{
	enum dsn_action action = text_action(rr);
	struct slice fields;

	if (ps->has_mdn || (s->forward && !s->daemon))
		return false;
	if (!s->machine && !(s->bounce_subject && report_words_bounce_text(buf_slice(&rr->lower)) &&
			       returns_a_message(rr, ps, ret)))
		return false;
	if (rr->head.n_failed == 0 && !s->bounce_subject &&
	    !report_words_bounce_text(buf_slice(&rr->lower)))
		return false;
	fields = fields_in_text(buf_slice(&rr->text));
	if (fields.len > 0) {
		read_dsn(rr, slice_head(fields, REPORT_MAX_PART), out);
		find_missing(rr, ret);
		if (rr->n_rcpts > 0 && rr->rcpts[0].rcpt.len > 0) {
			finish(rr, out, any_failure(rr) ? REPORT_BOUNCE : REPORT_SUCCESS, "dsn");
			return true;
		}
		rr->n_rcpts = 0;
	}
	read_failed_header(rr, action);
	/* An address in a sentence is little to go by. */
	if (rr->n_rcpts == 0 &&
	    (s->daemon || s->null_path || rr->found.best > REPORT_TEXT_MENTIONED))
		read_text_rcpts(rr, ret, action);
	if (rr->n_rcpts == 0)
		return false;
	finish(rr, out, REPORT_BOUNCE, "text");
	return true;
}

/* ---- feedback ---- */

static void
feedback_rcpt(struct report_reader *rr, struct slice address)
{
	struct report_rcpt *r;

	if (is_known(rr, address) || (r = new_rcpt(rr)) == NULL)
		return;
	r->rcpt = r->original = address;
}

static bool
as_feedback(struct report_reader *rr, const struct parts *ps, const struct returned *ret,
    struct report *out)
{
	struct arf a;
	struct slice value;
	bool auth;

	if (!ps->has_arf)
		return false;
	arf_read(&a, ps->arf);
	if (a.fields == 0)
		return false;
	buf_clear(&rr->address);
	to_lower(&rr->address, slice_head(header_token(a.type), 64));
	out->feedback_type =
	    rr->address.len > 0 ? clean(rr, buf_slice(&rr->address), 64) : SLICE_LIT("abuse");
	out->user_agent = one_line(rr, a.user_agent);
	out->source_ip = one_line(rr, slice_head(a.source_ip, 128));
	out->reported_domain = one_line(rr, slice_head(a.reported_domain, MAX_VALUE));
	out->feedback_id = one_line(rr, slice_head(a.feedback_id, MAX_VALUE));
	out->arrival = one_line(rr, slice_head(a.arrival, 128));
	out->envelope_id = one_line(rr, slice_head(a.envelope_id, MAX_VALUE));
	out->reporting_mta = one_line(rr, slice_head(a.reporting_mta, MAX_VALUE));
	if (a.mail_from.len > 0)
		out->return_path = clean(rr, without_brackets(a.mail_from), MAX_VALUE);
	while (arf_next_rcpt(&a, &value)) {
		arf_address(value, &rr->address);
		value = clean(rr, buf_slice(&rr->address), MAX_VALUE);
		if (value.len > 0)
			feedback_rcpt(rr, value);
	}
	if (rr->n_rcpts == 0 && ret->complained.len > 0)
		feedback_rcpt(rr, first_address(rr, ret->complained));
	auth = slice_startsi(out->feedback_type, SLICE_LIT("auth-failure")) ||
	       slice_startsi(out->feedback_type, SLICE_LIT("dmarc")) ||
	       slice_startsi(out->feedback_type, SLICE_LIT("dkim"));
	finish(rr, out, auth ? REPORT_AUTH_FAILURE : REPORT_FEEDBACK, "arf");
	return true;
}

static const char *const complaint_senders[] = { "staff@hotmail.com", "staff@outlook.com",
	"staff@live.com", "scomp@aol.net", "scomp@aol.com" };

/* Hotmail's reports of old, and AOL's: the message alone, in a mail from a certain address. */
static bool
as_jmrp(struct report_reader *rr, const struct parts *ps, const struct returned *ret,
    struct report *out)
{
	struct slice from = buf_slice(&rr->from_addr);
	bool sender = false;

	for (size_t i = 0; i < COUNT(complaint_senders); i++)
		sender = sender || slice_eqi(from, slice_str(complaint_senders[i]));
	if (slice_startsi(
		buf_slice(&rr->subject_lower), SLICE_LIT("complaint about message from")) ||
	    slice_eqi(slice_trim(rr->head.x_loop), SLICE_LIT("scomp")))
		sender = sender || ps->has_returned;
	if (ret->complained.len == 0 && !sender)
		return false;
	if (!ps->has_returned)
		return false;
	if (ret->complained.len > 0)
		feedback_rcpt(rr, first_address(rr, ret->complained));
	out->feedback_type = SLICE_LIT("abuse");
	finish(rr, out, REPORT_FEEDBACK, "jmrp");
	return true;
}

/* ---- automatic answers ---- */

static bool
is_auto_reply(const struct report_reader *rr, const struct sender *s)
{
	const struct head *h = &rr->head;
	struct slice subject = buf_slice(&rr->subject_lower);
	bool by_subject = report_words_auto_subject(subject);
	bool answered = slice_startsi(h->auto_submitted, SLICE_LIT("auto-replied"));

	if (answered && slice_find(h->auto_submitted, ';') < h->auto_submitted.len)
		return true; /* "auto-replied; vacation" */
	if (answered || h->x_auto.len > 0)
		return !slice_eqi(slice_trim(h->x_auto), SLICE_LIT("no"));
	if (slice_startsi(h->precedence, SLICE_LIT("auto_reply")) ||
	    slice_startsi(h->precedence, SLICE_LIT("auto-reply")))
		return true;
	if (by_subject)
		return true;
	return (s->null_path || slice_startsi(h->auto_submitted, SLICE_LIT("auto-generated"))) &&
	       !s->daemon && report_words_auto_text(buf_slice(&rr->lower));
}

static enum report_kind
automatic_kind(const struct report_reader *rr, const struct sender *s)
{
	struct slice subject = buf_slice(&rr->subject_lower);

	if (rr->head.apple_unsubscribe.len > 0 ||
	    slice_eq(slice_trim(subject), SLICE_LIT("unsubscribe")))
		return REPORT_UNSUBSCRIBE;
	if (slice_eq(slice_trim(subject), SLICE_LIT("subscribe")))
		return REPORT_SUBSCRIBE;
	if (is_auto_reply(rr, s))
		return REPORT_AUTO_REPLY;
	return REPORT_ORDINARY;
}

/* "Confirm that you are human": they look like bounces, since they say that the mail was not
 * delivered. */
static bool
is_challenge(const struct report_reader *rr, const struct parts *ps)
{
	if (ps->has_dsn || rr->head.n_failed > 0)
		return false;
	return report_words_challenge(buf_slice(&rr->subject_lower)) ||
	       (report_words_challenge(buf_slice(&rr->lower)) &&
		   dsn_find_code(rr->found.text) == 0 &&
		   (rr->head.auto_submitted.len > 0 || is_null_path(&rr->head) ||
		       rr->head.x_auto.len > 0 || rr->head.precedence.len > 0));
}

/* ---- the mail ---- */

/* Mail that was stored with CR as its line end, as some systems of old have it. */
static bool
has_lone_cr(struct slice mail)
{
	const char *cr = mail.len > 0 ? memchr(mail.p, '\r', mail.len) : NULL;
	size_t at = cr == NULL ? 0 : (size_t)(cr - mail.p);

	if (cr == NULL || (at + 1 < mail.len && mail.p[at + 1] == '\n'))
		return false;
	/* One in a line that ends otherwise is no line end. */
	return slice_find(mail, '\n') > at;
}

static bool
is_before_header(struct slice line)
{
	return slice_trim(line).len == 0 || slice_starts(line, SLICE_LIT("From ")) ||
	       slice_starts(line, SLICE_LIT(">From "));
}

static struct slice
start_of(struct report_reader *rr, struct slice mail)
{
	struct slice rest, line;

	buf_clear(&rr->copy);
	if (has_lone_cr(mail)) {
		add_lines(&rr->copy, slice_head(mail, REPORT_MAX_COPY));
		mail = buf_slice(&rr->copy);
	}
	/* Empty lines before the header are not the end of it, nor is mbox's line a part of it. */
	for (rest = mail; slice_line(&rest, &line) && is_before_header(line); mail = rest)
		;
	if (slice_starts(mail, SLICE_LIT("\xef\xbb\xbf")))
		mail = slice_skip(mail, 3);
	return mail;
}

static void
decide(struct report_reader *rr, const struct parts *ps, const struct sender *s,
    struct returned *ret, struct report *out)
{
	enum report_kind automatic;

	if (as_feedback(rr, ps, ret, out) || as_jmrp(rr, ps, ret, out))
		return;
	if (is_challenge(rr, ps)) {
		finish(rr, out, REPORT_CHALLENGE, "challenge");
		return;
	}
	if (as_dsn(rr, ps, s, ret, out))
		return;
	rr->n_rcpts = 0;
	automatic = automatic_kind(rr, s);
	if (automatic == REPORT_UNSUBSCRIBE || automatic == REPORT_SUBSCRIBE ||
	    (automatic == REPORT_AUTO_REPLY &&
		report_words_auto_subject(buf_slice(&rr->subject_lower)) &&
		rr->head.n_failed == 0)) {
		finish(rr, out, automatic, "auto");
		return;
	}
	if (as_text(rr, ps, s, ret, out))
		return;
	rr->n_rcpts = 0;
	if (ps->has_mdn)
		automatic = REPORT_ORDINARY;
	else if (s->daemon && s->bounce_subject && !s->forward)
		automatic = REPORT_BOUNCE; /* whose failed is not known */
	finish(rr, out, automatic,
	    automatic == REPORT_BOUNCE     ? "text"
	    : automatic == REPORT_ORDINARY ? ""
					   : "auto");
}

void
report_read(struct report_reader *rr, struct slice mail, struct report *out)
{
	struct parts ps = { 0 };
	struct sender s;
	struct returned ret = { 0 };

	*out = (struct report){ 0 };
	drop_strings(rr);
	rr->n_rcpts = 0;
	rr->truncated = false;
	buf_clear(&rr->text);
	buf_clear(&rr->lower);
	rr->text.full = false;
	rr->lower.full = false;
	mail = start_of(rr, mail);
	walk(rr, mail, &ps);
	out->truncated = ps.truncated;
	read_sender(rr, &ps, &s);
	to_lower(&rr->lower, slice_head(buf_slice(&rr->text), (size_t)16 * 1024));
	find_in_text(rr);
	if (ps.has_inner_returned && !ps.has_dsn)
		returned_read(&ret, ps.inner_returned);
	else if (ps.has_returned)
		returned_read(&ret, ps.returned);
	else
		returned_in_text(rr->found.quoted, &ret);
	if (ret.fields == 0 && ps.has_dsn) { /* its boundary is missing */
		size_t header;

		report_text_quote(ps.dsn, &header);
		returned_in_text(slice_skip(ps.dsn, header), &ret);
	}
	take_returned(rr, out, &ret);
	out->sender = clean(rr, buf_slice(&rr->from_addr), MAX_VALUE);
	out->to = clean(rr, buf_slice(&rr->to_addr), MAX_VALUE);
	buf_clear(&rr->scratch);
	encoded_word_decode(&rr->scratch, slice_head(rr->head.subject, MAX_SUBJECT));
	out->subject = keep(rr, buf_slice(&rr->scratch));
	out->text = rr->found.text;
	decide(rr, &ps, &s, &ret, out);
	if (out->format == NULL)
		out->format = "";
}
