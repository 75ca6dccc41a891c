#include "common/slice.h"

static unsigned char
lower(char c)
{
	unsigned char u = (unsigned char)c;

	return u >= 'A' && u <= 'Z' ? (unsigned char)(u + ('a' - 'A')) : u;
}

static bool
same_letters(const char *a, const char *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (lower(a[i]) != lower(b[i]))
			return false;
	return true;
}

bool
slice_eqi(struct slice a, struct slice b)
{
	return a.len == b.len && same_letters(a.p, b.p, a.len);
}

bool
slice_starts(struct slice s, struct slice prefix)
{
	return s.len >= prefix.len && slice_eq(slice_head(s, prefix.len), prefix);
}

bool
slice_startsi(struct slice s, struct slice prefix)
{
	return s.len >= prefix.len && same_letters(s.p, prefix.p, prefix.len);
}

bool
slice_endsi(struct slice s, struct slice suffix)
{
	return s.len >= suffix.len && same_letters(s.p + (s.len - suffix.len), suffix.p, suffix.len);
}

size_t
slice_find(struct slice s, char c)
{
	const char *at = s.len > 0 ? memchr(s.p, c, s.len) : NULL;

	return at == NULL ? s.len : (size_t)(at - s.p);
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct slice
slice_trim(struct slice s)
{
	while (s.len > 0 && is_space(s.p[0]))
		s = slice_skip(s, 1);
	while (s.len > 0 && is_space(s.p[s.len - 1]))
		s.len--;
	return s;
}

struct slice
slice_cut(struct slice *rest, char sep)
{
	size_t at = slice_find(*rest, sep);
	struct slice part = slice_head(*rest, at);

	*rest = slice_skip(*rest, at + 1);
	return part;
}

bool
slice_line(struct slice *rest, struct slice *line)
{
	if (rest->len == 0)
		return false;
	*line = slice_cut(rest, '\n');
	if (line->len > 0 && line->p[line->len - 1] == '\r')
		line->len--;
	return true;
}

bool
slice_word(struct slice *rest, struct slice *word)
{
	size_t n = 0;

	while (rest->len > 0 && (rest->p[0] == ' ' || rest->p[0] == '\t'))
		*rest = slice_skip(*rest, 1);
	while (n < rest->len && rest->p[n] != ' ' && rest->p[n] != '\t')
		n++;
	*word = slice_head(*rest, n);
	*rest = slice_skip(*rest, n);
	return n > 0;
}

bool
slice_uint(struct slice s, uint64_t max, uint64_t *out)
{
	uint64_t n = 0;

	if (s.len == 0)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		uint64_t digit = (uint64_t)(unsigned char)s.p[i] - '0';

		if (digit > 9 || digit > max || n > (max - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	*out = n;
	return true;
}
