#include "common/utf8.h"

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/* RFC 3629 section 4: what may follow a first byte, so that there is one spelling
 * of each character, none above U+10FFFF and no surrogates. */
static const struct form {
	unsigned char first_lo, first_hi;   /* this range of first bytes */
	unsigned char second_lo, second_hi; /* takes this range of second bytes */
	size_t len;
} forms[] = {
	{ 0xc2, 0xdf, 0x80, 0xbf, 2 },
	{ 0xe0, 0xe0, 0xa0, 0xbf, 3 },
	{ 0xe1, 0xec, 0x80, 0xbf, 3 },
	{ 0xed, 0xed, 0x80, 0x9f, 3 },
	{ 0xee, 0xef, 0x80, 0xbf, 3 },
	{ 0xf0, 0xf0, 0x90, 0xbf, 4 },
	{ 0xf1, 0xf3, 0x80, 0xbf, 4 },
	{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
};

static bool
is_tail(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

size_t
utf8_next(struct slice s)
{
	unsigned char first, second;

	if (s.len == 0)
		return 0;
	first = (unsigned char)s.p[0];
	if (first < 0x80)
		return 1;
	second = s.len > 1 ? (unsigned char)s.p[1] : 0;
	for (size_t i = 0; i < COUNT(forms); i++) {
		const struct form *f = &forms[i];

		if (first < f->first_lo || first > f->first_hi)
			continue;
		if (s.len < f->len || second < f->second_lo || second > f->second_hi)
			return 0;
		for (size_t k = 2; k < f->len; k++)
			if (!is_tail(s.p[k]))
				return 0;
		return f->len;
	}
	return 0;
}

/* From `at` on, past what is ASCII, eight bytes at a time as long as there are so many. */
static size_t
skip_ascii(struct slice s, size_t at)
{
	uint64_t word;

	for (; s.len - at >= sizeof(word); at += sizeof(word)) {
		memcpy(&word, s.p + at, sizeof(word));
		if ((word & 0x8080808080808080) != 0)
			break;
	}
	while (at < s.len && (unsigned char)s.p[at] < 0x80)
		at++;
	return at;
}

/* Bytes at the start of `s` that are well-formed characters. */
static size_t
valid_run(struct slice s)
{
	size_t at = 0, n;

	while ((at = skip_ascii(s, at)) < s.len) {
		n = utf8_next(slice_skip(s, at));
		if (n == 0)
			break;
		at += n;
	}
	return at;
}

bool
utf8_valid(struct slice s)
{
	return valid_run(s) == s.len;
}

void
utf8_clean(struct buf *out, struct slice s)
{
	while (s.len > 0) {
		size_t good = valid_run(s);

		buf_add(out, slice_head(s, good));
		s = slice_skip(s, good);
		if (s.len > 0) {
			buf_adds(out, REPLACEMENT);
			s = slice_skip(s, 1);
		}
	}
}

struct slice
utf8_head(struct slice s, size_t max)
{
	if (s.len <= max)
		return s;
	/* A character that the end cuts begins at most three bytes before it. */
	for (size_t back = 1; back <= 3 && back <= max; back++) {
		size_t n = utf8_next(slice_skip(s, max - back));

		if (n > back)
			return slice_head(s, max - back);
		if (n > 0)
			break;
	}
	return slice_head(s, max);
}
