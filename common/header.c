#include "common/header.h"

/* RFC 2231 sections that are joined: more than the longest file name needs. */
#define MAX_SECTIONS 100

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool
is_space(char c)
{
	return is_blank(c) || c == '\r' || c == '\n';
}

/* Length of the line at the start of `s`, its line end included. */
static size_t
line_length(struct slice s)
{
	size_t at = slice_find(s, '\n');

	return at < s.len ? at + 1 : at;
}

/* Without the LF or CRLF at its end. A CR alone is no line end. */
static struct slice
without_line_end(struct slice s)
{
	if (s.len > 0 && s.p[s.len - 1] == '\n') {
		s.len--;
		if (s.len > 0 && s.p[s.len - 1] == '\r')
			s.len--;
	}
	return s;
}

/* The name of the field that begins here, or an empty slice: RFC 5322 3.6.8, 8-bit bytes allowed.
 */
static struct slice
field_name(struct slice line, size_t *colon)
{
	size_t n = slice_find(line, ':');

	*colon = n;
	if (n == line.len)
		return slice_head(line, 0);
	while (n > 0 && is_blank(line.p[n - 1])) /* RFC 5322 4.5: obsolete, but Postfix takes it */
		n--;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)line.p[i] <= ' ' || line.p[i] == 0x7f)
			return slice_head(line, 0);
	return slice_head(line, n);
}

int
header_next(struct slice *rest, struct header *out)
{
	struct slice s = *rest;
	size_t n = line_length(s), colon;
	struct slice line = without_line_end(slice_head(s, n));

	*out = (struct header){ .whole = line };
	if (s.len == 0)
		return 0;
	if (line.len == 0) {
		*rest = slice_skip(s, n);
		return 0;
	}
	out->name = field_name(line, &colon);
	if (out->name.len == 0) {
		out->name = (struct slice){ 0 };
		*rest = slice_skip(s, n);
		return -1;
	}
	while (n < s.len && is_blank(s.p[n]))
		n += line_length(slice_skip(s, n));
	out->whole = without_line_end(slice_head(s, n));
	out->value = slice_skip(out->whole, colon + 1);
	*rest = slice_skip(s, n);
	return 1;
}

void
header_unfold(struct buf *out, struct slice value)
{
	value = slice_trim(value);
	while (value.len > 0) {
		size_t n = line_length(value);

		buf_add(out, without_line_end(slice_head(value, n)));
		value = slice_skip(value, n);
	}
}

/* More blanks than this in a row are cut to one where a line is folded. */
#define BLANKS_MAX 100

static size_t
count_blanks(struct slice s)
{
	size_t n = 0;

	while (n < s.len && is_blank(s.p[n]))
		n++;
	return n;
}

/* The last blank that may begin a new line, at most `max`, behind a word; 0 if there is none. */
static size_t
last_blank(struct slice line, size_t first_word, size_t max)
{
	for (size_t i = max; i > first_word; i--)
		if (is_blank(line.p[i]))
			return i;
	return 0;
}

/* Does the word at `from` fit on a line behind one blank? */
static bool
word_fits(struct slice line, size_t from)
{
	for (size_t i = from; i < line.len && !is_blank(line.p[i]); i++)
		if (i - from + 1 >= HEADER_LINE_MAX)
			return false;
	return true;
}

/*
 * Where to break a word, at most `n` bytes in: behind a ';' or ',', where a blank
 * changes nothing in a structured value, else not within a UTF-8 character.
 */
static size_t
break_word(struct slice line, size_t n)
{
	for (size_t i = n; i > n / 2; i--)
		if (line.p[i - 1] == ';' || line.p[i - 1] == ',')
			return i;
	for (size_t back = 0; back < 4 && back < n; back++)
		if (((unsigned char)line.p[n - back] & 0xc0) != 0x80)
			return n - back;
	return n;
}

/* One line that is too long, `used` bytes of which (the name and its colon) are written already. */
static void
fold_line(struct buf *out, struct slice line, size_t used, const char *eol)
{
	bool at_name = used > 0;

	/* Of a line of blanks one stays: an empty line would end the header. */
	while (line.len > !at_name && is_blank(line.p[line.len - 1]))
		line.len--;
	while (used + line.len > HEADER_LINE_MAX) {
		size_t room = HEADER_LINE_MAX - used, blanks = count_blanks(line), n;

		if (blanks > BLANKS_MAX) {
			line = slice_skip(line, blanks - 1);
			continue;
		}
		n = blanks < room ? last_blank(line, blanks, room) : 0;
		if (n > 0) {
			used = 0;
		} else {
			/* A word that fits on the next line goes there; it gains but a leading
			 * blank. */
			n = break_word(line, room);
			if (at_name && word_fits(line, blanks))
				n = blanks < room ? blanks : room;
			used = 1;
		}
		buf_add(out, slice_head(line, n));
		buf_adds(out, eol);
		if (used > 0)
			buf_addc(out, ' ');
		line = slice_skip(line, n);
		at_name = false;
	}
	buf_add(out, line);
}

bool
header_fold(struct buf *out, struct slice field, const char *eol)
{
	size_t used = slice_find(field, ':') + 1;

	if (used > field.len || used > HEADER_LINE_MAX) {
		buf_add(out, field);
		return false;
	}
	buf_add(out, slice_head(field, used));
	field = slice_skip(field, used);
	while (field.len > 0) {
		struct slice whole = slice_head(field, line_length(field));
		struct slice line = without_line_end(whole);

		if (used + line.len > HEADER_LINE_MAX)
			fold_line(out, line, used, eol);
		else
			buf_add(out, line);
		buf_add(out, slice_skip(whole, line.len));
		field = slice_skip(field, whole.len);
		used = 0;
	}
	return true;
}

/* Offset behind the comment that begins at `at` (RFC 5322 3.2.2: they nest). */
static size_t
skip_comment(struct slice s, size_t at)
{
	unsigned depth = 0;

	for (; at < s.len; at++) {
		if (s.p[at] == '\\')
			at++;
		else if (s.p[at] == '(')
			depth++;
		else if (s.p[at] == ')' && --depth == 0)
			return at + 1;
	}
	return s.len;
}

/* Offset behind white space, folds and comments. */
static size_t
skip_cfws(struct slice s, size_t at)
{
	while (at < s.len && (is_space(s.p[at]) || s.p[at] == '('))
		at = s.p[at] == '(' ? skip_comment(s, at) : at + 1;
	return at;
}

/* Offset behind the quoted string that begins at `at`. */
static size_t
skip_quoted(struct slice s, size_t at)
{
	for (at++; at < s.len && s.p[at] != '"'; at++)
		if (s.p[at] == '\\')
			at++;
	return at < s.len ? at + 1 : s.len;
}

/* Offset behind a run of bytes that are neither white space nor one of `stops`. */
static size_t
skip_word(struct slice s, size_t at, const char *stops)
{
	while (
	    at < s.len && !is_space(s.p[at]) && (s.p[at] == '\0' || strchr(stops, s.p[at]) == NULL))
		at++;
	return at;
}

struct slice
header_token(struct slice value)
{
	size_t from = skip_cfws(value, 0);
	size_t to = skip_word(value, from, ";(");

	return (struct slice){ from < value.len ? value.p + from : value.p, to - from };
}

struct param {
	struct slice name, value; /* value as written, quotes and all */
};

/*
 * Next "name=value"; *rest moves past it. A name without '=' is skipped: what
 * senders write when they forget a semicolon or the quotes round a blank.
 */
static bool
next_param(struct slice *rest, struct param *out)
{
	struct slice s = *rest;
	size_t at = 0;

	for (;;) {
		size_t from, to, end;

		while ((at = skip_cfws(s, at)) < s.len && (s.p[at] == ';' || s.p[at] == '='))
			at++;
		if (at == s.len)
			break;
		from = at;
		if (s.p[from] == '"') {
			at = skip_quoted(s, from);
			continue;
		}
		to = skip_word(s, from, ";=(\"");
		at = skip_cfws(s, to);
		if (at == s.len || s.p[at] != '=')
			continue;
		out->name = (struct slice){ s.p + from, to - from };
		from = skip_cfws(s, at + 1);
		/* '=' and '/' belong in quotes, but boundaries with a bare '=' are common. */
		end = from < s.len && s.p[from] == '"' ? skip_quoted(s, from)
		                                       : skip_word(s, from, ";");
		out->value = (struct slice){ from < s.len ? s.p + from : s.p, end - from };
		*rest = slice_skip(s, end);
		return true;
	}
	*rest = slice_skip(s, s.len);
	return false;
}

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "%41" is at the start of `s`. */
static bool
percent(struct slice s, char *out)
{
	int high, low;

	if (s.len < 3 || s.p[0] != '%' || (high = hex(s.p[1])) < 0 || (low = hex(s.p[2])) < 0)
		return false;
	*out = (char)(high << 4 | low);
	return true;
}

/* Quotes, backslashes and folds undone; percent-encoding too, if `encoded`. */
static void
add_value(struct buf *out, struct slice s, bool encoded)
{
	bool quoted = s.len > 0 && s.p[0] == '"';

	for (size_t i = quoted; i < s.len; i++) {
		char c = s.p[i];

		if (quoted && c == '"')
			break;
		if (quoted && c == '\\' && i + 1 < s.len)
			c = s.p[++i];
		else if (c == '\n' || (c == '\r' && i + 1 < s.len && s.p[i + 1] == '\n'))
			continue;
		else if (encoded && percent(slice_skip(s, i), &c))
			i += 2;
		buf_addc(out, c);
	}
}

/* RFC 2231 4: the first section of an encoded value begins with charset'language'. */
static struct slice
without_charset(struct slice s)
{
	bool quoted = s.len > 0 && s.p[0] == '"';
	struct slice rest = slice_skip(s, quoted);
	size_t first = slice_find(rest, '\''), second;

	rest = slice_skip(rest, first + 1);
	second = slice_find(rest, '\'');
	if (second == rest.len)
		return s;
	return slice_skip(rest, second + 1);
}

struct section {
	struct slice value;
	bool present, encoded;
};

/* What is behind the parameter's name: "", "*", "*0", "*0*". False if it is something else. */
static bool
section_of(struct slice mark, size_t *number, bool *encoded)
{
	uint64_t n = 0;

	*encoded = mark.len > 0 && mark.p[mark.len - 1] == '*';
	if (*encoded)
		mark.len--;
	*number = 0;
	if (mark.len == 0)
		return *encoded;
	if (mark.p[0] != '*' || !slice_uint(slice_skip(mark, 1), MAX_SECTIONS - 1, &n))
		return false;
	*number = (size_t)n;
	return true;
}

static void
add_sections(struct buf *out, const struct section *sections)
{
	for (size_t i = 0; i < MAX_SECTIONS && sections[i].present; i++) {
		struct slice s = sections[i].value;
		bool was_quoted = s.len > 0 && s.p[0] == '"';

		if (i > 0 || !sections[i].encoded) {
			add_value(out, s, sections[i].encoded);
			continue;
		}
		s = without_charset(s);
		if (was_quoted && s.len > 0 && s.p[0] != '"' && s.p[s.len - 1] == '"')
			s.len--;
		add_value(out, s, true);
	}
}

bool
header_param(struct slice value, const char *name, struct buf *out)
{
	struct section sections[MAX_SECTIONS] = { 0 };
	struct slice want = slice_str(name);
	struct slice rest = slice_skip(value, skip_word(value, skip_cfws(value, 0), ";("));
	struct param p;

	while (next_param(&rest, &p)) {
		size_t number;
		bool encoded;

		if (!slice_startsi(p.name, want))
			continue;
		if (p.name.len == want.len) {
			add_value(out, p.value, false);
			return true;
		}
		if (!section_of(slice_skip(p.name, want.len), &number, &encoded) ||
		    sections[number].present)
			continue;
		sections[number] = (struct section){ p.value, true, encoded };
	}
	add_sections(out, sections);
	return sections[0].present;
}
