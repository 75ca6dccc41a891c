#include "common/mailbox_list.h"

#include <string.h>

#include "common/ascii.h"

/* Those of sendmail, and Debian's confMUST_QUOTE_CHARS. */
#define MUST_QUOTE "@,;:\\()[].'"

/* ---- scanning ---- */

/*
 * How many bytes the quoted string or comment at s.p takes; 1 for every other byte, and
 * for one that is never closed.
 */
static size_t
unit(struct slice s)
{
	size_t depth = 0;
	char open = s.p[0];

	if (open == '\\' && s.len > 1)
		return 2;
	if (open != '"' && open != '(')
		return 1;
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '\\')
			i++;
		else if (open == '"' && i > 0 && s.p[i] == '"')
			return i + 1;
		else if (open == '(' && s.p[i] == '(')
			depth++;
		else if (open == '(' && s.p[i] == ')' && --depth == 0)
			return i + 1;
	}
	return 1;
}

/* A string that is not closed would be looked for again and again: then nothing is a string. */
struct scan {
	struct slice text;
	bool no_quotes, no_comments;
};

static size_t
step(struct scan *scan, size_t i)
{
	struct slice rest = slice_skip(scan->text, i);
	char c = rest.p[0];
	size_t n;

	if ((c == '"' && scan->no_quotes) || (c == '(' && scan->no_comments))
		return 1;
	n = unit(rest);
	if (n == 1 && c == '"')
		scan->no_quotes = true;
	if (n == 1 && c == '(')
		scan->no_comments = true;
	return n;
}

/* The first byte of `set` outside quotes and comments; the length if there is none. */
static size_t
find_outside(struct slice s, const char *set)
{
	struct scan scan = { .text = s };
	size_t i = 0;

	while (i < s.len) {
		char c = s.p[i];
		size_t n = step(&scan, i);

		if ((n == 1 || c == '\\') && c != '\0' && strchr(set, c) != NULL)
			return i;
		i += n;
	}
	return s.len;
}

/* ---- names ---- */

static bool
in_encoded_name(char c)
{
	return ascii_is_alnum(c) || (c != '\0' && strchr("!*+-/=_", c) != NULL);
}

/* Length of "=?charset?q?text?=" at the start, 0 if it is none; *text is where its text begins. */
static size_t
q_word(struct slice s, size_t *text)
{
	size_t i = 2;

	if (!slice_starts(s, SLICE_LIT("=?")))
		return 0;
	while (i < s.len &&
	       (ascii_is_alnum(s.p[i]) || s.p[i] == '-' || s.p[i] == '_' || s.p[i] == '*'))
		i++;
	if (i + 2 >= s.len || s.p[i] != '?' || ascii_lower(s.p[i + 1]) != 'q' || s.p[i + 2] != '?')
		return 0;
	*text = i += 3;
	while (i < s.len && s.p[i] > ' ' && s.p[i] < 127 && s.p[i] != '?')
		i++;
	return i + 1 < s.len && s.p[i] == '?' && s.p[i + 1] == '=' ? i + 2 : 0;
}

/* The name with raw signs in its RFC 2047 words encoded. */
static void
add_with_safe_words(struct slice s, struct buf *out)
{
	struct scan scan = { .text = s };

	for (size_t i = 0; i < s.len;) {
		size_t text, n = q_word(slice_skip(s, i), &text);

		if (n == 0) {
			n = step(&scan, i);
			buf_add(out, slice_head(slice_skip(s, i), n));
			i += n;
			continue;
		}
		buf_add(out, slice_head(slice_skip(s, i), text));
		for (size_t k = i + text; k < i + n - 2; k++)
			if (in_encoded_name(s.p[k]))
				buf_addc(out, s.p[k]);
			else
				buf_printf(out, "=%02X", (unsigned char)s.p[k]);
		buf_adds(out, "?=");
		i += n;
	}
}

/* As one quoted string, quotes inside undone first. */
static void
add_quoted(struct slice s, struct buf *out)
{
	buf_addc(out, '"');
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '"')
			continue;
		if (s.p[i] == '\\') {
			if (i + 1 == s.len)
				break;
			buf_addc(out, s.p[i++]);
		}
		buf_addc(out, s.p[i]);
	}
	buf_addc(out, '"');
}

static void
add_name(struct slice name, struct buf *out)
{
	struct buf words;
	struct slice s;

	buf_init(&words, BUF_NO_LIMIT);
	add_with_safe_words(name, &words);
	s = buf_slice(&words);
	/* "Group: ..." is left alone, as sendmail does. */
	if (find_outside(s, MUST_QUOTE "\"") == s.len || find_outside(s, ":") < s.len)
		buf_add(out, s);
	else
		add_quoted(s, out);
	buf_free(&words);
}

/* ---- addresses ---- */

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Without route and blanks, with a host, without a dot at the end. */
static void
add_address(struct slice s, struct slice host, struct buf *out)
{
	struct scan scan = { .no_comments = true };
	size_t begin = out->len, at;

	s = slice_trim(s);
	if (s.len > 0 && s.p[0] == '@') {
		size_t colon = find_outside(s, ":");

		if (colon < s.len)
			s = slice_skip(s, colon + 1);
	}
	scan.text = s;
	for (size_t i = 0; i < s.len;) {
		size_t n = step(&scan, i);

		if (!is_blank(s.p[i]))
			buf_add(out, slice_head(slice_skip(s, i), n));
		i += n;
	}
	s = slice_skip(buf_slice(out), begin);
	at = find_outside(s, "@!%:;");
	if (s.len > 0 && at == s.len && host.len > 0) {
		buf_addc(out, '@');
		buf_add(out, host);
	} else if (s.len > 1 && at < s.len && s.p[s.len - 1] == '.') {
		out->p[--out->len] = '\0';
	} else if (slice_endsi(s, SLICE_LIT("@localhost")) && host.len > 0) {
		out->p[out->len -= 9] = '\0';
		buf_add(out, host);
	}
}

/* name <address> more */
static void
add_with_brackets(struct slice s, size_t open, struct slice host, struct buf *out)
{
	struct slice name = slice_trim(slice_head(s, open));
	struct slice inner = slice_skip(s, open + 1), rest;
	size_t close = find_outside(inner, ">");

	rest = slice_skip(inner, close + 1);
	if (name.len > 0) {
		add_name(name, out);
		buf_addc(out, ' ');
	}
	buf_addc(out, '<');
	add_address(slice_head(inner, close), host, out);
	buf_addc(out, '>');
	buf_add(out, rest);
}

/* address, or address (comment) */
static void
add_bare(struct slice s, struct slice host, struct buf *out)
{
	struct scan scan = { .text = s };
	struct slice addr = s, comment = { 0 };
	size_t i = 0;

	while (i < s.len && s.p[i] != '(')
		i += step(&scan, i);
	if (i > 0 && i < s.len) {
		addr = slice_trim(slice_head(s, i));
		comment = slice_skip(s, addr.len);
	}
	/* Words without brackets, a group, a comment in front: not for us to judge. */
	if (find_outside(addr, ":;()>\"") < addr.len ||
	    (find_outside(addr, " \t\r\n") < addr.len && find_outside(addr, "@") == addr.len)) {
		buf_add(out, s);
		return;
	}
	add_address(addr, host, out);
	buf_add(out, comment);
}

void
mailbox_list_print(struct slice value, struct slice host, struct buf *out)
{
	struct scan scan = { .text = value };
	bool first = true, inside = false;
	size_t begin = 0;

	for (size_t i = 0; i <= value.len;) {
		struct slice one;
		size_t open, text, word;

		if (i < value.len) {
			word = q_word(slice_skip(value, i), &text);
			inside = value.p[i] == '<' || (inside && value.p[i] != '>');
			if (word > 0 || inside || value.p[i] != ',') {
				i += word > 0 ? word : step(&scan, i);
				continue;
			}
		}
		one = slice_trim(slice_head(slice_skip(value, begin), i - begin));
		begin = ++i;
		if (one.len == 0)
			continue;
		if (!first)
			buf_adds(out, ", ");
		first = false;
		open = find_outside(one, "<");
		if (open < one.len)
			add_with_brackets(one, open, host, out);
		else
			add_bare(one, host, out);
	}
}

/* ---- messages ---- */

void
mailbox_list_prepare(struct message *m, struct slice host)
{
	static const char *const names[] = { "From", "Sender", "Reply-To", "To", "Cc", "Errors-To",
		"Resent-From", "Resent-Sender", "Resent-Reply-To", "Resent-To", "Resent-Cc" };
	struct buf value;

	buf_init(&value, BUF_NO_LIMIT);
	for (size_t i = 0; i < m->n_headers; i++) {
		struct message_header *h = &m->headers[i];

		for (size_t k = 0; k < COUNT(names) && !h->deleted; k++) {
			if (!slice_eqi(slice_str(h->name), slice_str(names[k])))
				continue;
			buf_clear(&value);
			buf_addc(&value, ' ');
			mailbox_list_print(slice_str(h->value), host, &value);
			if (!slice_eq(
				slice_trim(buf_slice(&value)), slice_trim(slice_str(h->value))))
				message_set(h, buf_slice(&value));
			break;
		}
	}
	buf_free(&value);
}
