#include "common/transfer.h"

#include "common/base64.h"

static const char *const names[] = {
	[TRANSFER_7BIT] = "7bit",
	[TRANSFER_8BIT] = "8bit",
	[TRANSFER_BINARY] = "binary",
	[TRANSFER_QUOTED_PRINTABLE] = "quoted-printable",
	[TRANSFER_BASE64] = "base64",
	[TRANSFER_UNKNOWN] = "unknown",
};
_Static_assert(COUNT(names) == TRANSFER_UNKNOWN + 1, "one name for each encoding");

enum transfer
transfer_parse(struct slice word)
{
	if (word.len == 0)
		return TRANSFER_7BIT;
	for (size_t t = 0; t < TRANSFER_UNKNOWN; t++)
		if (slice_eqi(word, slice_str(names[t])))
			return (enum transfer)t;
	return TRANSFER_UNKNOWN;
}

const char *
transfer_name(enum transfer t)
{
	return names[t];
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; /* RFC 2045 6.7: not legal, but robust */
}

size_t
transfer_qp_unit(struct slice s)
{
	return s.len >= 3 && s.p[0] == '=' && hex(s.p[1]) >= 0 && hex(s.p[2]) >= 0 ? 3 : 1;
}

/* A line of a body in three: its text, and the LF or CRLF behind it (or nothing, at the end). */
static struct slice
cut_line(struct slice *rest, struct slice *end)
{
	size_t at = slice_find(*rest, '\n');
	struct slice line = slice_head(*rest, at);

	if (at < rest->len && line.len > 0 && line.p[line.len - 1] == '\r')
		line.len--;
	*end = slice_skip(slice_head(*rest, at + 1), line.len);
	*rest = slice_skip(*rest, at + 1);
	return line;
}

/* Blanks at the end, which transport may have added or dropped (RFC 2045 6.7 (3)). */
static struct slice
without_blanks(struct slice line)
{
	while (line.len > 0 && is_blank(line.p[line.len - 1]))
		line.len--;
	return line;
}

/* Takes the '=' of a soft line break off the end of a line that ends in no blank. */
static bool
cut_soft_break(struct slice *line)
{
	if (line->len == 0 || line->p[line->len - 1] != '=')
		return false;
	line->len--;
	return true;
}

static bool
decode_qp(struct buf *out, struct slice in)
{
	bool good = true;

	while (in.len > 0) {
		struct slice end, line = without_blanks(cut_line(&in, &end));
		bool soft = cut_soft_break(&line);

		while (line.len > 0) {
			size_t n = slice_find(line, '=');

			buf_add(out, slice_head(line, n));
			line = slice_skip(line, n);
			if ((line.len > 0 && transfer_qp_unit(line) == 3)) {
				buf_addc(out, (char)(hex(line.p[1]) << 4 | hex(line.p[2])));
				line = slice_skip(line, 3);
			} else if (line.len > 0) {
				good = false;
				buf_addc(out, '=');
				line = slice_skip(line, 1);
			}
		}
		if (!soft)
			buf_add(out, end);
	}
	return good;
}

#define NONE  0xff
#define SPACE 0xfe
#define PAD   0xfd

/* What each byte is to a reader of base64: 0..63, or one of the above. */
static unsigned
digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (unsigned)(c - 'A');
	if (c >= 'a' && c <= 'z')
		return (unsigned)(c - 'a') + 26;
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0') + 52;
	switch (c) {
	case '+':
		return 62;
	case '/':
		return 63;
	case '=':
		return PAD;
	case ' ':
	case '\t':
	case '\r':
	case '\n':
		return SPACE;
	default:
		return NONE;
	}
}

static bool
decode_base64(struct buf *out, struct slice in)
{
	char chunk[768];
	size_t n = 0;
	uint32_t bits = 0;
	unsigned have = 0;
	bool good = true, padded = false;

	for (size_t i = 0; i < in.len; i++) {
		unsigned d = digit(in.p[i]);

		if (d == SPACE)
			continue;
		if (d == PAD) {
			padded = true;
			continue;
		}
		if (d == NONE || padded) {
			good = false;
			if (padded)
				break; /* RFC 2045 6.8: padding ends the data */
			continue;
		}
		bits = (bits << 6 | d) & 0xffff;
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		chunk[n++] = (char)(bits >> have & 0xff);
		if (n == sizeof(chunk)) {
			buf_add(out, (struct slice){ chunk, n });
			n = 0;
		}
	}
	buf_add(out, (struct slice){ chunk, n });
	return good && have < 6;
}

bool
transfer_base64_ends(struct slice in)
{
	size_t at = slice_find(in, '=');

	while (at < in.len && digit(in.p[at]) >= PAD)
		at++;
	return at == in.len;
}

bool
transfer_decode(struct buf *out, struct slice in, enum transfer t)
{
	if (t == TRANSFER_QUOTED_PRINTABLE)
		return decode_qp(out, in);
	if (t == TRANSFER_BASE64)
		return decode_base64(out, in);
	buf_add(out, in);
	return true;
}

/* Quoted-printable lines while they are written. */
struct writer {
	struct buf *out;
	const char *eol;
	size_t column;
	bool escaped; /* the text is quoted-printable already: its "=XX" stay */
};

static bool
is_plain(char c)
{
	return c > ' ' && c < 0x7f && c != '=';
}

/* Bytes at the start of `line` that may stand as they are; a blank only if a byte follows it. */
static size_t
plain_run(struct slice line, bool soft)
{
	size_t max = line.len < TRANSFER_LINE_MAX ? line.len : TRANSFER_LINE_MAX;
	size_t n = 0;

	while (
	    n < max && (is_plain(line.p[n]) || (is_blank(line.p[n]) && (soft || n + 1 < line.len))))
		n++;
	return n;
}

/*
 * What some hop would change at the start of a line: mbox writers put '>' before
 * "From ", old SMTP software drops a '.' that stands alone, "--" may be a boundary.
 */
static bool
is_risky_start(struct slice line, bool soft)
{
	return slice_starts(line, SLICE_LIT("From ")) || slice_starts(line, SLICE_LIT("--")) ||
	       (line.len == 1 && line.p[0] == '.' && !soft);
}

static void
put(struct writer *w, struct slice s)
{
	buf_add(w->out, s);
	w->column += s.len;
}

static void
put_escape(struct writer *w, char c)
{
	static const char digits[] = "0123456789ABCDEF";
	char text[3] = { '=', digits[(unsigned char)c >> 4], digits[c & 15] };

	put(w, (struct slice){ text, sizeof(text) });
}

static void
soft_break(struct writer *w)
{
	buf_addc(w->out, '=');
	buf_adds(w->out, w->eol);
	w->column = 0;
}

/* One line; `soft`: a '=' of its own will be put behind it, so the last column is taken. */
static void
put_line(struct writer *w, struct slice line, bool soft)
{
	w->column = 0;
	while (line.len > 0) {
		size_t run = plain_run(line, soft), used = 1, max;

		if (w->column == 0 && is_risky_start(line, soft))
			run = 0;
		else if (run > 0) {
			max = run == line.len && !soft ? TRANSFER_LINE_MAX : TRANSFER_LINE_MAX - 1;
			/* What fits: all that is left, or as much as leaves room for the '='. */
			if (w->column + run > max)
				run = TRANSFER_LINE_MAX - 1 - w->column;
			if (run == 0)
				soft_break(w);
			put(w, slice_head(line, run));
			line = slice_skip(line, run);
			continue;
		}
		if (w->escaped && (line.len > 0 && transfer_qp_unit(line) == 3))
			used = 3;
		max = used == line.len && !soft ? TRANSFER_LINE_MAX : TRANSFER_LINE_MAX - 1;
		if (w->column + 3 > max) {
			soft_break(w);
			continue;
		}
		if (used == 3)
			put(w, slice_head(line, 3));
		else
			put_escape(w, line.p[0]);
		line = slice_skip(line, used);
	}
}

void
transfer_encode_qp(struct buf *out, struct slice in, const char *eol)
{
	struct writer w = { .out = out, .eol = eol };

	while (in.len > 0) {
		struct slice end, line = cut_line(&in, &end);

		put_line(&w, line, false);
		buf_add(out, end);
	}
}

/* RFC 5321 4.5.3.1.6, without its line end; beyond it MTAs break a line. */
#define SMTP_LINE_MAX 998

static bool
needs_repair(struct slice line)
{
	if (line.len > SMTP_LINE_MAX)
		return true;
	for (size_t i = 0; i < line.len; i++)
		if ((unsigned char)line.p[i] >= 0x80 || line.p[i] == '\0' || line.p[i] == '\r')
			return true;
	return false;
}

void
transfer_repair_qp(struct buf *out, struct slice in, const char *eol)
{
	struct writer w = { .out = out, .eol = eol, .escaped = true };

	while (in.len > 0) {
		struct slice end, whole = cut_line(&in, &end), line, blanks;
		bool soft;

		if (!needs_repair(whole)) {
			buf_add(out, whole);
			buf_add(out, end);
			continue;
		}
		line = without_blanks(whole);
		blanks = slice_skip(whole, line.len);
		soft = cut_soft_break(&line);
		put_line(&w, line, soft);
		if (soft)
			buf_addc(out, '=');
		/* They mean nothing, but some readers keep them, so they go only where they must.
		 */
		if (blanks.len <= SMTP_LINE_MAX - TRANSFER_LINE_MAX)
			buf_add(out, blanks);
		buf_add(out, end);
	}
}

void
transfer_encode_base64(struct buf *out, struct slice in, const char *eol)
{
	while (in.len > 0) {
		base64_encode(out, slice_head(in, TRANSFER_LINE_MAX / 4 * 3), BASE64_STD);
		in = slice_skip(in, TRANSFER_LINE_MAX / 4 * 3);
		if (in.len > 0)
			buf_adds(out, eol);
	}
}

bool
transfer_repair_base64(struct buf *out, struct slice in, const char *eol)
{
	char line[TRANSFER_LINE_MAX];
	size_t n = 0;

	for (size_t i = 0; i < in.len; i++)
		if (digit(in.p[i]) == NONE)
			return false;
	for (size_t i = 0; i < in.len; i++) {
		if (digit(in.p[i]) == SPACE)
			continue;
		if (n == sizeof(line)) {
			buf_add(out, (struct slice){ line, n });
			buf_adds(out, eol);
			n = 0;
		}
		line[n++] = in.p[i];
	}
	buf_add(out, (struct slice){ line, n });
	if (in.len > 0 && in.p[in.len - 1] == '\n')
		buf_adds(out, eol);
	return true;
}
