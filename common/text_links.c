#include "common/text_links.h"

static bool
is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool
ends_url(char c)
{
	return (unsigned char)c <= 0x20 || (unsigned char)c >= 0x7f || c == '<' || c == '>' ||
	       c == '"' || c == '`';
}

static size_t
scheme_length(struct slice s)
{
	if (slice_startsi(s, SLICE_LIT("http://")))
		return 7;
	return slice_startsi(s, SLICE_LIT("https://")) ? 8 : 0;
}

/* [[data-msys-NAME="VALUE"]]: its length, or 0. */
static size_t
read_mark(struct slice s, struct slice *name, struct slice *value)
{
	struct slice begin = SLICE_LIT("[[data-msys-"), rest = s;
	size_t n;

	if (!slice_startsi(s, begin))
		return 0;
	rest = slice_skip(rest, begin.len);
	n = slice_find(slice_head(rest, 32), '=');
	*name = slice_head(rest, n);
	rest = slice_skip(rest, n);
	if (!slice_starts(rest, SLICE_LIT("=\"")))
		return 0;
	rest = slice_skip(rest, 2);
	n = slice_find(slice_head(rest, 256), '"');
	*value = slice_head(rest, n);
	rest = slice_skip(rest, n);
	if (!slice_starts(rest, SLICE_LIT("\"]]")))
		return 0;
	return s.len - rest.len + 3;
}

static void
read_marks(struct slice s, struct text_link *out)
{
	struct slice name, value, at = s;
	size_t n;

	while ((n = read_mark(at, &name, &value)) > 0) {
		if (slice_eqi(name, SLICE_LIT("clicktrack")))
			out->untracked = slice_eq(value, SLICE_LIT("0"));
		else if (slice_eqi(name, SLICE_LIT("unsubscribe")))
			out->unsubscribe = slice_eq(value, SLICE_LIT("1"));
		else if (slice_eqi(name, SLICE_LIT("sublink")))
			out->sublink = value;
		at = slice_skip(at, n);
	}
	out->marks = slice_head(s, s.len - at.len);
}

static size_t
count(struct slice s, char c)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++)
		n += s.p[i] == c;
	return n;
}

/* "(see http://x.example/a_(b))." ends behind the first bracket. */
static struct slice
without_punctuation(struct slice url, size_t scheme)
{
	size_t opened = count(url, '('), closed = count(url, ')');

	while (url.len > scheme) {
		char last = url.p[url.len - 1];

		if (last == ')' && closed > opened)
			closed--;
		else if (strchr(".,;:!?'*]}", last) == NULL)
			break;
		url.len--;
	}
	return url;
}

/* UTF-8 that no program takes for a part of a URL: quotes, dashes, CJK punctuation, wide forms. */
static bool
is_wide_punctuation(struct slice s)
{
	static const struct {
		const char *from, *to;
	} ranges[] = {
		{ "\302\240", "\302\240" },         /* no-break space */
		{ "\302\253", "\302\253" },         /* << */
		{ "\302\273", "\302\273" },         /* >> */
		{ "\342\200\200", "\342\200\257" }, /* spaces, dashes, quotes, ... */
		{ "\343\200\200", "\343\200\237" }, /* ideographic space, comma, brackets */
		{ "\357\274\201", "\357\274\217" }, /* wide ! to / */
		{ "\357\274\232", "\357\274\240" }, /* wide : to @ */
	};

	for (size_t i = 0; i < COUNT(ranges); i++) {
		size_t n = strlen(ranges[i].from);

		if (s.len >= n && memcmp(s.p, ranges[i].from, n) >= 0 &&
		    memcmp(s.p, ranges[i].to, n) <= 0)
			return true;
	}
	return false;
}

/* A link at the start of `s`: fills *out and returns its length with marks, or 0. */
static size_t
read_link(struct slice s, struct text_link *out)
{
	size_t scheme = scheme_length(s), n = scheme;
	struct slice name, value;

	*out = (struct text_link){ 0 };
	if (scheme == 0)
		return 0;
	while (n < s.len && !ends_url(s.p[n]) &&
	       !(s.p[n] == '[' && read_mark(slice_skip(s, n), &name, &value) > 0))
		n++;
	out->url = slice_head(s, n);
	read_marks(slice_skip(s, n), out);
	out->goes_on = n < s.len && ((unsigned char)s.p[n] & 0x80) != 0 &&
	               !is_wide_punctuation(slice_skip(s, n));
	if (out->marks.len == 0)
		out->url = without_punctuation(out->url, scheme);
	return out->url.len > scheme ? out->url.len + out->marks.len : 0;
}

bool
text_link_next(struct slice *rest, struct text_link *out)
{
	const char *begin = rest->p;

	while (rest->len > 0) {
		size_t n, at = 0;

		/* "http" begins a word, in either case. */
		while (at < rest->len && (rest->p[at] | 0x20) != 'h')
			at++;
		*rest = slice_skip(*rest, at);
		if (rest->len == 0)
			break;
		n = rest->p > begin && is_word(rest->p[-1]) ? 0 : read_link(*rest, out);
		*rest = slice_skip(*rest, n > 0 ? n : 1);
		if (n > 0)
			return true;
	}
	return false;
}
