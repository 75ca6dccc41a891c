#include "common/encoded_word.h"

#include <errno.h>
#include <iconv.h>

#include "common/charset.h"
#include "common/utf8.h"

static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

/* ---- output ---- */

/* Append valid UTF-8; what does not fit is cut between characters. */
static void
add_whole(struct buf *out, struct slice s)
{
	if (!out->full && s.len > out->max - out->len) {
		buf_add(out, utf8_head(s, out->max - out->len));
		out->full = true;
	}
	buf_add(out, s);
}

/* C0, DEL, and C1 (U+0080..U+009F) */
static bool
is_control(struct slice c)
{
	unsigned char first = (unsigned char)c.p[0];

	return first < 0x20 || first == 0x7f ||
	       (c.len == 2 && first == 0xc2 && (unsigned char)c.p[1] < 0xa0);
}

/* Append with controls made blanks; where `s` is not UTF-8 a byte is Latin-1 or U+FFFD. */
static void
add_text(struct buf *out, struct slice s, bool latin1)
{
	while (s.len > 0 && !out->full) {
		struct slice c = slice_head(s, utf8_next(s));
		unsigned char byte = (unsigned char)s.p[0];
		char two[2] = { (char)(0xc0 | byte >> 6), (char)(0x80 | (byte & 0x3f)) };

		s = slice_skip(s, c.len > 0 ? c.len : 1);
		if (c.len == 0)
			c = latin1 ? (struct slice){ two, 2 } : slice_str(replacement);
		add_whole(out, is_control(c) ? SLICE_LIT(" ") : c);
	}
}

/* ---- words ---- */

struct word {
	const struct charset *charset;
	struct slice text; /* still encoded */
	char encoding;     /* 'b' or 'q' */
	size_t end;        /* offset behind its "?=" */
};

/* Offset of the next "=?" at or behind `from`, or s.len. */
static size_t
find_start(struct slice s, size_t from)
{
	const char *at = from < s.len ? memmem(s.p + from, s.len - from, "=?", 2) : NULL;

	return at == NULL ? s.len : (size_t)(at - s.p);
}

/*
 * Length of an encoded text, up to its "?=", or SIZE_MAX. Blanks and '?' in it are
 * against RFC 2047 and common; another "=?" means that the end is missing.
 */
static size_t
text_length(struct slice s)
{
	for (size_t i = 0; i + 1 < s.len; i++) {
		if (s.p[i] == '?' && s.p[i + 1] == '=')
			return i;
		if (s.p[i] == '=' && s.p[i + 1] == '?' && (i + 2 == s.len || s.p[i + 2] != '='))
			return SIZE_MAX;
	}
	return SIZE_MAX;
}

/* The encoded word at offset `pos` of `s`, where "=?" stands. */
static bool
parse_word(struct slice s, size_t pos, struct word *w)
{
	enum { LONGEST_NAME = 64 };
	struct slice rest = slice_skip(s, pos + 2);
	size_t mark = slice_find(slice_head(rest, LONGEST_NAME), '?'), n;

	w->charset = charset_find(slice_head(rest, mark));
	if (w->charset == NULL || rest.len < mark + 3 || rest.p[mark + 2] != '?')
		return false;
	w->encoding = (char)(rest.p[mark + 1] | 0x20);
	if (w->encoding != 'b' && w->encoding != 'q')
		return false;
	rest = slice_skip(rest, mark + 3);
	n = text_length(rest);
	if (n == SIZE_MAX)
		return false;
	w->text = slice_head(rest, n);
	w->end = s.len - rest.len + n + 2;
	return true;
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* An '=' that starts no "=XX" is taken as it is. */
static void
decode_q(struct buf *out, struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		int high = i + 2 < s.len && s.p[i] == '=' ? hex_value(s.p[i + 1]) : -1;
		int low = high >= 0 ? hex_value(s.p[i + 2]) : -1;

		if (low >= 0) {
			buf_addc(out, (char)(high << 4 | low));
			i += 2;
		} else {
			buf_addc(out, s.p[i] == '_' ? ' ' : s.p[i]);
		}
	}
}

static int
base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+' || c == '-')
		return 62;
	return c == '/' || c == '_' ? 63 : -1;
}

/*
 * More lenient than base64.h, which reads what we write: blanks inside, padding
 * missing or in the middle (pieces that were encoded on their own), bits left
 * over. False, and nothing added, for other bytes.
 */
static bool
decode_b(struct buf *out, struct slice s)
{
	size_t start = out->len;
	uint32_t bits = 0;
	unsigned have = 0;

	for (size_t i = 0; i < s.len; i++) {
		int v = base64_value(s.p[i]);

		if (v >= 0) {
			bits = (bits << 6 | (uint32_t)v) & 0xffff;
			have += 6;
			if (have >= 8) {
				have -= 8;
				buf_addc(out, (char)(bits >> have & 0xff));
			}
		} else if (s.p[i] == '=') {
			have = 0;
		} else if (slice_trim((struct slice){ s.p + i, 1 }).len > 0) {
			out->len = start;
			return false;
		}
	}
	return true;
}

static bool
decode_word(struct buf *out, const struct word *w)
{
	if (w->encoding == 'b')
		return decode_b(out, w->text);
	decode_q(out, w->text);
	return true;
}

/* ---- charsets ---- */

/* A byte that iconv can't use is replaced and passed over, so every round takes input or ends. */
static void
convert(struct buf *out, iconv_t cd, struct slice in)
{
	char *from = (char *)(uintptr_t)in.p; /* iconv(3) does not write there */
	size_t left = in.len;

	while (left > 0 && !out->full) {
		char chunk[1024], *to = chunk;
		size_t room = sizeof(chunk), before = left;
		size_t rc = iconv(cd, &from, &left, &to, &room);
		int why = rc == (size_t)-1 ? errno : 0;

		add_text(out, (struct slice){ chunk, sizeof(chunk) - room }, false);
		if (left > 0 && (why == EILSEQ || why == EINVAL || left == before)) {
			add_whole(out, slice_str(replacement));
			from++;
			left--;
		}
	}
	if (!out->full) { /* what a stateful charset still holds */
		char chunk[64], *to = chunk;
		size_t room = sizeof(chunk);

		iconv(cd, NULL, NULL, &to, &room);
		add_text(out, (struct slice){ chunk, sizeof(chunk) - room }, false);
	}
}

/* ---- the value ---- */

/* Adjacent words of one charset, decoded, waiting to be converted together. */
struct run {
	const struct charset *charset; /* NULL: there is none */
	struct slice written;          /* the words as they stand in the value */
	struct buf bytes;
};

static void
run_flush(struct run *r, struct buf *out)
{
	const char *name = r->charset != NULL ? r->charset->iconv_name : NULL;
	iconv_t cd;

	if (name == NULL) {
		add_text(out, buf_slice(&r->bytes), false);
	} else if (r->bytes.len > 0) {
		cd = iconv_open("UTF-8", name);
		if (cd != (iconv_t)-1) {
			convert(out, cd, buf_slice(&r->bytes));
			iconv_close(cd);
		} else { /* a system without that module: as if it were not in the table */
			add_text(out, r->written, true);
		}
	}
	buf_clear(&r->bytes);
	r->charset = NULL;
}

static bool
same_charset(const struct charset *a, const struct charset *b)
{
	if (a == NULL || b == NULL)
		return false;
	if (a->iconv_name == NULL || b->iconv_name == NULL)
		return a->iconv_name == b->iconv_name;
	return strcmp(a->iconv_name, b->iconv_name) == 0;
}

/* Append what is no encoded word: a line end before white space goes, another is a blank. */
static void
add_raw(struct buf *out, struct slice s)
{
	while (s.len > 0) {
		size_t eol = slice_find(s, '\n'), n = eol;
		bool ended = eol < s.len;

		if (ended && n > 0 && s.p[n - 1] == '\r')
			n--;
		add_text(out, slice_head(s, n), true);
		s = slice_skip(s, eol + 1);
		if (ended && (s.len == 0 || (s.p[0] != ' ' && s.p[0] != '\t')))
			add_whole(out, SLICE_LIT(" "));
	}
}

/*
 * Word `w`, which begins at `word`, joins the run; `gap` is what stands between
 * the last word and it. False, and nothing done, if it can't be decoded.
 */
static bool
take_word(struct run *r, const struct word *w, struct slice gap, struct slice word, struct buf *out)
{
	bool adjacent = r->charset != NULL && slice_trim(gap).len == 0;
	struct buf bytes;
	bool good;

	buf_init(&bytes, w->text.len);
	good = decode_word(&bytes, w);
	if (good) {
		if (!adjacent || !same_charset(r->charset, w->charset)) {
			run_flush(r, out);
			if (!adjacent)
				add_raw(out, gap);
			r->written = slice_head(word, 0);
		}
		r->charset = w->charset;
		r->written.len = (size_t)(word.p + word.len - r->written.p);
		buf_add(&r->bytes, buf_slice(&bytes));
	}
	buf_free(&bytes);
	return good;
}

void
encoded_word_decode(struct buf *out, struct slice value)
{
	struct run run = { .charset = NULL };
	struct word w;
	size_t done = 0, pos = 0;

	value = slice_trim(value);
	buf_init(&run.bytes, value.len);
	while (!out->full && (pos = find_start(value, pos)) < value.len) {
		struct slice gap = slice_head(slice_skip(value, done), pos - done);

		if (parse_word(value, pos, &w) &&
		    take_word(&run, &w, gap, slice_head(slice_skip(value, pos), w.end - pos), out))
			pos = done = w.end;
		else
			pos += 2;
	}
	run_flush(&run, out);
	add_raw(out, slice_skip(value, done));
	buf_free(&run.bytes);
}
