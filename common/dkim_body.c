/*
 * Body canonicalization (RFC 6376 3.4.3, 3.4.4) and its hash, in one pass over
 * chunks that may be cut anywhere.
 *
 * The canonical text goes through a staging block, so that the hash is not called
 * for every word. Nearly all text is canonical but for its line ends already: it is
 * looked through eight bytes at a time and copied a line at a time.
 */
#include <stdlib.h>

#include "common/dkim.h"
#include "common/hash.h"
#include "common/xalloc.h"

#define STAGE 16384

struct dkim_body {
	struct hash *hash;
	enum dkim_canon canon;
	uint64_t length;      /* canonical bytes, staged ones too */
	uint64_t blank_lines; /* withheld: line ends that count only if something follows */
	bool in_line;         /* the current line has given canonical bytes */
	bool wsp;             /* relaxed: white space, one SP if the line goes on */
	bool cr;              /* the chunk ended with CR: half a line end, or itself */
	size_t staged;
	char stage[STAGE];
};

const char *
dkim_canon_name(enum dkim_canon c)
{
	return c == DKIM_RELAXED ? "relaxed" : "simple";
}

/* ---- canonical bytes out ---- */

static void
flush(struct dkim_body *b)
{
	hash_add(b->hash, (struct slice){ b->stage, b->staged });
	b->staged = 0;
}

static void
put(struct dkim_body *b, struct slice s)
{
	b->length += s.len;
	if (s.len > STAGE - b->staged)
		flush(b);
	if (s.len > STAGE) {
		hash_add(b->hash, s);
		return;
	}
	memcpy(b->stage + b->staged, s.p, s.len);
	b->staged += s.len;
}

/* Part of a line; not empty. */
static void
put_text(struct dkim_body *b, struct slice s)
{
	/* Something follows the empty lines, so they were not the body's end. */
	for (; b->blank_lines > 0; b->blank_lines--)
		put(b, SLICE_LIT("\r\n"));
	b->in_line = true;
	put(b, s);
}

static void
end_line(struct dkim_body *b)
{
	if (b->in_line)
		put(b, SLICE_LIT("\r\n"));
	else
		b->blank_lines++;
	b->in_line = false;
	b->wsp = false;
}

/* ---- relaxed: white space ---- */

#define EACH(byte) (0x0101010101010101u * (uint64_t)(byte))

static bool
is_wsp(char c)
{
	return c == ' ' || c == '\t';
}

/*
 * The high bit of each byte of x that is zero; a byte of one above a zero byte
 * may be marked too, so this finds where to look, not what is there.
 */
static uint64_t
zero_bytes(uint64_t x)
{
	return (x - EACH(1)) & ~x & EACH(0x80);
}

static uint64_t
load(const char *p)
{
	uint64_t x;

	memcpy(&x, p, sizeof(x));
	return x;
}

/* May one of eight bytes be a tab, or a blank before white space? Reads nine. */
static bool
may_shrink(const char *p)
{
	uint64_t here = load(p), next = load(p + 1);
	uint64_t tabs = zero_bytes(here ^ EACH('\t'));
	uint64_t blanks = zero_bytes(here ^ EACH(' '));
	uint64_t after = zero_bytes(next ^ EACH(' ')) | zero_bytes(next ^ EACH('\t'));

	return (tabs | (blanks & after)) != 0;
}

/* Bytes up to the first tab, or blank with white space behind it. */
static size_t
plain_length(struct slice s)
{
	size_t i = 0;

	while (i < s.len) {
		size_t end = i + 8;

		if (end < s.len && !may_shrink(s.p + i)) {
			i = end;
			continue;
		}
		for (; i < s.len && i < end; i++)
			if (s.p[i] == '\t' ||
			    (s.p[i] == ' ' && i + 1 < s.len && is_wsp(s.p[i + 1])))
				return i;
	}
	return i;
}

/*
 * Text with each run of white space as one SP. What is written and then not kept
 * is written over: without a branch for each byte, layout by blanks costs no more
 * than other text.
 */
static void
put_shrunk(struct dkim_body *b, struct slice s)
{
	bool before = false;

	while (s.len > 0) {
		struct slice part = slice_head(s, STAGE / 2);
		char *start, *to;

		if (part.len > STAGE - b->staged)
			flush(b);
		start = to = b->stage + b->staged;
		for (size_t i = 0; i < part.len; i++) {
			bool wsp = is_wsp(part.p[i]);

			*to = wsp ? ' ' : part.p[i];
			to += !(wsp && before);
			before = wsp;
		}
		b->staged += (size_t)(to - start);
		b->length += (size_t)(to - start);
		s = slice_skip(s, part.len);
	}
}

/* White space at an end of the piece may go on in the next one, or be the line's end. */
static void
add_relaxed(struct dkim_body *b, struct slice s)
{
	bool wsp_behind;
	size_t n = 0;

	while (n < s.len && is_wsp(s.p[n]))
		n++;
	if (n > 0)
		b->wsp = true;
	s = slice_skip(s, n);
	n = s.len;
	while (n > 0 && is_wsp(s.p[n - 1]))
		n--;
	wsp_behind = n < s.len;
	s.len = n;
	if (s.len == 0)
		return;
	if (b->wsp)
		put_text(b, SLICE_LIT(" "));
	n = plain_length(s);
	put_text(b, slice_head(s, n));
	put_shrunk(b, slice_skip(s, n));
	b->wsp = wsp_behind;
}

/* Part of a line, without its line end. */
static void
add_text(struct dkim_body *b, struct slice s)
{
	if (s.len > 0 && b->canon == DKIM_RELAXED)
		add_relaxed(b, s);
	else if (s.len > 0)
		put_text(b, s);
}

/* ---- the pieces ---- */

struct dkim_body *
dkim_body_begin(enum dkim_canon canon)
{
	struct dkim_body *b = xcalloc(1, sizeof(*b));

	b->canon = canon;
	b->hash = hash_sha256_begin();
	return b;
}

void
dkim_body_add(struct dkim_body *b, struct slice chunk)
{
	if (chunk.len == 0)
		return;
	if (b->cr && chunk.p[0] != '\n')
		add_text(b, SLICE_LIT("\r"));
	b->cr = false;
	while (chunk.len > 0) {
		size_t n = slice_find(chunk, '\n');
		struct slice line = slice_head(chunk, n);
		bool cr = n > 0 && line.p[n - 1] == '\r';

		if (cr)
			line.len--;
		add_text(b, line);
		if (n < chunk.len)
			end_line(b);
		else
			b->cr = cr;
		chunk = slice_skip(chunk, n + 1);
	}
}

void
dkim_body_end(struct dkim_body *b, unsigned char hash[32], uint64_t *length)
{
	if (b->cr)
		add_text(b, SLICE_LIT("\r"));
	if (b->in_line)
		end_line(b);
	/* RFC 6376 3.4.3: without a body, simple has one CRLF; relaxed has nothing. */
	if (b->canon == DKIM_SIMPLE && b->length == 0)
		put(b, SLICE_LIT("\r\n"));
	flush(b);
	hash_end(b->hash, hash);
	if (length != NULL)
		*length = b->length;
	free(b);
}

void
dkim_body_free(struct dkim_body *b)
{
	if (b == NULL)
		return;
	hash_free(b->hash);
	free(b);
}
