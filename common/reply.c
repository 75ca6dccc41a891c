#include "common/reply.h"

#include <arpa/inet.h>
#include <netinet/in.h>

/* ---- characters; the locale has no say ---- */

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_alnum(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static char
at(struct slice s, size_t i)
{
	return i < s.len ? s.p[i] : '\0';
}

static struct slice
skip_any(struct slice s, const char *set)
{
	while (s.len > 0 && s.p[0] != '\0' && strchr(set, s.p[0]) != NULL)
		s = slice_skip(s, 1);
	return s;
}

static struct slice
between(struct slice s, size_t from, size_t to)
{
	return slice_skip(slice_head(s, to), from);
}

/* Offset of `word` in s, or s.len. Words are short and few, so that this is linear enough. */
static size_t
find_word(struct slice s, struct slice word)
{
	const char *hit = s.len < word.len ? NULL : memmem(s.p, s.len, word.p, word.len);

	return hit == NULL ? s.len : (size_t)(hit - s.p);
}

/* ---- code and status ---- */

/* Three digits, 200 to 599, at the start of s, with no digit, letter or '.' behind them. */
static unsigned
code_at(struct slice s)
{
	if (s.len < 3 || s.p[0] < '2' || s.p[0] > '5' || !is_digit(s.p[1]) || !is_digit(s.p[2]))
		return 0;
	if (is_alnum(at(s, 3)) || (at(s, 3) == '.' && is_digit(at(s, 4))))
		return 0;
	return (unsigned)((s.p[0] - '0') * 100 + (s.p[1] - '0') * 10 + (s.p[2] - '0'));
}

/* A number of up to three digits at s[*i], moved behind it. */
static bool
status_number(struct slice s, size_t *i, unsigned *out)
{
	size_t from = *i;

	for (*out = 0; is_digit(at(s, *i)) && *i - from < 3; ++*i)
		*out = *out * 10 + (unsigned)(s.p[*i] - '0');
	return *i > from && !is_digit(at(s, *i));
}

/* How many bytes of s are a status, 0 if none. */
static size_t
status_at(struct slice s, struct reply_status *out)
{
	char class = at(s, 0);
	struct reply_status st = { 0 };
	size_t i = 2;

	if ((class != '2' && class != '4' && class != '5') || at(s, 1) != '.')
		return 0;
	st.class = (unsigned)(class - '0');
	if (!status_number(s, &i, &st.subject) || at(s, i++) != '.' ||
	    !status_number(s, &i, &st.detail))
		return 0;
	/* RFC 3463 ends with subject 7; what has four numbers is an IP address or a version. */
	if (st.subject > 9 || (at(s, i) == '.' && is_digit(at(s, i + 1))))
		return 0;
	*out = st;
	return i;
}

bool
reply_status_parse(struct slice s, struct reply_status *out)
{
	s = slice_trim(s);
	*out = (struct reply_status){ 0 };
	return status_at(s, out) > 0;
}

void
reply_status_print(const struct reply_status *s, struct buf *out)
{
	if (s->class != 0)
		buf_printf(out, "%u.%u.%u", s->class, s->subject, s->detail);
}

/* A status anywhere in the text: "... (5.1.1)", "#5.1.0 Address rejected". */
static void
find_status(struct slice s, unsigned code, struct reply_status *out)
{
	for (size_t i = 0; i + 4 < s.len; i++) {
		struct reply_status st;
		char before = i > 0 ? s.p[i - 1] : ' ';

		if (!is_digit(s.p[i]) || is_alnum(before) || before == '.' || before == '-' ||
		    status_at(slice_skip(s, i), &st) == 0)
			continue;
		if (code != 0 && st.class != code / 100)
			continue;
		*out = st;
		return;
	}
}

/* Where a reply begins in the midst of a text: offset of its code, or s.len. */
static size_t
find_code(struct slice s)
{
	size_t weak = s.len;

	for (size_t i = 0; i + 3 < s.len; i++) {
		char before = i > 0 ? s.p[i - 1] : ' ', behind = s.p[i + 3];
		struct reply_status st;
		unsigned code;

		if (is_alnum(before) || before == '.' || before == '-' || before == '_')
			continue;
		code = code_at(slice_skip(s, i));
		if (code < 400 || (behind != ' ' && behind != '-'))
			continue;
		/* With a status behind it there is no doubt. */
		if (status_at(skip_any(slice_skip(s, i + 4), "#("), &st) > 0)
			return i;
		/* "host mx [192.0.2.1]: 550 No such user", "Remote host said: 550 ..." */
		if (weak == s.len && i > 1 && before == ' ' && strchr(":;", s.p[i - 2]) != NULL)
			weak = i;
	}
	return weak;
}

/* ---- what our MTA wrote around it ---- */

/* "NAME[ADDRESS]" behind one of these words. */
static void
find_host(struct slice s, struct reply *out)
{
	static const char *const leads[] = { "host ", "connect to ", " with ", " from " };

	for (size_t i = 0; i < COUNT(leads); i++) {
		size_t from = find_word(s, slice_str(leads[i]));
		struct slice name = slice_skip(s, from + strlen(leads[i]));
		size_t open = slice_find(name, '['), close = slice_find(name, ']');

		if (from == s.len || open >= close || close == name.len || open == 0 ||
		    slice_find(slice_head(name, open), ' ') < open)
			continue;
		out->host = slice_head(name, open);
		out->address = between(name, open + 1, close);
		return;
	}
}

/* " (in reply to RCPT TO command)" at the end. Postfix cuts long lines, so it may be missing. */
static struct slice
cut_command(struct slice s, struct reply *out)
{
	static const struct slice lead = SLICE_LIT(" (in reply to "), end = SLICE_LIT(" command)");
	const char *hit = s.len < lead.len ? NULL : memmem(s.p, s.len, lead.p, lead.len);
	struct slice tail;
	size_t n;

	if (hit == NULL)
		return s;
	n = (size_t)(hit - s.p);
	tail = slice_skip(s, n + lead.len);
	if (!slice_endsi(tail, SLICE_LIT(")")))
		return s;
	out->command = slice_head(tail, tail.len - (slice_endsi(tail, end) ? end.len : 1));
	return slice_head(s, n);
}

/* The field type of a Diagnostic-Code: "smtp;", "x-postfix; ". */
static struct slice
cut_type(struct slice s)
{
	size_t n = slice_find(s, ';');
	struct slice type = slice_trim(slice_head(s, n));

	if (n == s.len || type.len > 30)
		return s;
	for (size_t i = 0; i < type.len; i++)
		if (!is_alnum(type.p[i]) && type.p[i] != '-')
			return s;
	if (!slice_startsi(type, SLICE_LIT("x-")) && !slice_endsi(type, SLICE_LIT("smtp")) &&
	    !slice_eqi(type, SLICE_LIT("lmtp")) && !slice_eqi(type, SLICE_LIT("unknown")) &&
	    !slice_eqi(type, SLICE_LIT("dns")))
		return s;
	return slice_trim(slice_skip(s, n + 1));
}

/* The remote's words out of "host NAME[ADDRESS] said: ...", or s as it is. */
static struct slice
unwrap(struct slice s, struct reply *out)
{
	static const struct slice said = SLICE_LIT(" said: "),
				  refused = SLICE_LIT(" refused to talk to me: ");
	size_t n;

	find_host(slice_head(s, 400), out);
	if (!slice_starts(s, SLICE_LIT("host ")))
		return s;
	n = find_word(s, said);
	if (n < s.len) {
		out->remote = true;
		return slice_trim(cut_command(slice_skip(s, n + said.len), out));
	}
	n = find_word(s, refused);
	if (n < s.len) {
		out->remote = true;
		return slice_trim(slice_skip(s, n + refused.len));
	}
	return s;
}

/* ---- the whole ---- */

/* Behind the code: blank, '-', and perhaps '#' or '(' before the status. */
static void
parse_coded(struct slice raw, struct reply *out)
{
	struct slice rest = slice_skip(raw, 3), from;
	struct reply_status st;
	size_t n;

	rest = skip_any(rest, "- \t:");
	from = skip_any(rest, "#([<");
	n = status_at(from, &st);
	/* Exchange has "550 4.4.7 QUEUE.Expired", so that the classes may differ. */
	if (n > 0) {
		out->status = st;
		rest = skip_any(slice_skip(from, n), ")]>: \t");
	}
	out->text = slice_trim(rest);
}

void
reply_parse(struct slice line, struct reply *out)
{
	struct slice s = slice_trim(line);
	size_t n;

	memset(out, 0, sizeof(*out));
	for (int i = 0; i < 3; i++) {
		struct slice before = s;

		s = unwrap(cut_type(s), out);
		if (s.len == before.len)
			break;
	}
	out->raw = out->text = s;
	s = skip_any(s, " <\"'#(");
	out->code = code_at(s);
	if (out->code == 0) {
		struct reply_status st;

		/* "5.1.1 <x@example.com>... User unknown", "#5.1.1 SMTP; 550 ..." */
		n = status_at(s, &st);
		if (n > 0) {
			out->status = st;
			out->text = slice_trim(slice_skip(s, n));
		}
		n = find_code(out->text);
		if (n < out->text.len) {
			s = slice_skip(out->text, n);
			out->code = code_at(s);
			out->raw = s;
		}
	}
	if (out->code != 0)
		parse_coded(s, out);
	if (out->status.class == 0)
		find_status(out->text, out->code, &out->status);
}

/* How many bytes at s are a mark of a further line: "550-5.7.1 ", "550 5.7.1 ", "550-". */
static size_t
mark_at(const struct reply *r, struct slice s, bool *continued)
{
	struct reply_status st;
	size_t n = 4, status;
	bool dash = at(s, 3) == '-';

	if (r->code == 0 || code_at(s) != r->code || (!dash && at(s, 3) != ' '))
		return 0;
	status = status_at(slice_skip(s, n), &st);
	if (status > 0 && memcmp(&st, &r->status, sizeof(st)) != 0)
		status = 0;
	/* "550 " without a status is the last line only if there were others before it. */
	if (!dash && status == 0 && !*continued)
		return 0;
	*continued = dash;
	return n + status;
}

/* Exim writes line ends as "\n". */
static size_t
line_end_at(struct slice s)
{
	if (at(s, 0) == '\\' && (at(s, 1) == 'n' || at(s, 1) == 'r'))
		return 2;
	return 0;
}

static bool
is_plain(char c)
{
	return !is_space(c) && (unsigned char)c > 0x20 && c != 0x7f && c != '\\';
}

void
reply_text(const struct reply *r, struct buf *out)
{
	struct slice s = r->text;
	bool blank = false, any = false, start = false;
	bool continued = r->raw.len > 3 && r->raw.p[3] == '-';

	while (s.len > 0) {
		size_t n = start ? mark_at(r, s, &continued) : 0;

		if (n == 0)
			n = line_end_at(s);
		if (n == 0 && s.p[0] != '\\' && !is_plain(s.p[0]))
			n = 1;
		if (n > 0) {
			s = slice_skip(s, n);
			blank = start = true;
			continue;
		}
		if (blank && any)
			buf_addc(out, ' ');
		for (n = 1; n < s.len && is_plain(s.p[n]);)
			n++;
		buf_add(out, slice_head(s, n));
		s = slice_skip(s, n);
		blank = start = false;
		any = true;
	}
}

/* ---- masking ---- */

#define MASKED_MAIL "...@..."
#define MASKED_IP   "a.b.c.d"

/* What may stand in a local part, but for '/', '?' and '&', which would swallow a URL. */
static bool
is_local(char c)
{
	return is_alnum(c) || (unsigned char)c >= 0x80 ||
	       (c != '\0' && strchr(".!#$%*+-=^_`{|}~'", c) != NULL);
}

static bool
is_domain(char c)
{
	return is_alnum(c) || (unsigned char)c >= 0x80 || c == '-' || c == '.' || c == '_';
}

/* Length of the domain at s: a name without the dots and dashes at its end, or a literal. */
static size_t
domain_len(struct slice s)
{
	size_t n = 0;

	if (at(s, 0) == '[') {
		n = slice_find(slice_head(s, 80), ']');
		return n < 80 && n < s.len && n > 1 ? n + 1 : 0;
	}
	while (n < s.len && n < 300 && is_domain(s.p[n]))
		n++;
	while (n > 0 && (s.p[n - 1] == '.' || s.p[n - 1] == '-'))
		n--;
	return n;
}

/*
 * Bytes of the local part at s, which ends at '@': quoted, or up to 300 of the set. 0: there is
 * none; *looked then says how far there can't begin another.
 */
static size_t
local_len(struct slice s, size_t *looked)
{
	size_t n = 0;
	bool any = false;

	*looked = 0;
	if (at(s, 0) == '"') {
		for (n = 1; n < s.len && n < 80 && s.p[n] != '"'; n++)
			if (s.p[n] == '\\')
				n++;
		return at(s, n) == '"' && at(s, n + 1) == '@' && n > 1 ? n + 1 : 0;
	}
	if (at(s, 0) == '\'')
		return 0;
	for (; n < s.len && n < 300 && is_local(s.p[n]); n++)
		any |= s.p[n] != '.' && s.p[n] != '\'';
	if (any && at(s, n) == '@')
		return n;
	*looked = n;
	return 0;
}

/* An address at s: its length, 0 if there is none. */
static size_t
mail_at(struct slice s, size_t *looked)
{
	size_t open = at(s, 0) == '<', local = local_len(slice_skip(s, open), looked), domain, n;

	*looked += open;
	if (local == 0)
		return 0;
	domain = domain_len(slice_skip(s, open + local + 1));
	if (domain == 0)
		return 0;
	n = open + local + 1 + domain;
	return open == 0 ? n : at(s, n) == '>' ? n + 1 : 0;
}

static bool
parse_ip(int family, struct slice s)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr addr;

	if (s.len == 0 || s.len >= sizeof(text))
		return false;
	memcpy(text, s.p, s.len);
	text[s.len] = '\0';
	return memchr(text, '\0', s.len) == NULL && inet_pton(family, text, &addr) == 1;
}

static size_t
ip4_at(struct slice s)
{
	size_t n = 0, dots = 0;

	for (; n < s.len && n < 16 && (is_digit(s.p[n]) || s.p[n] == '.'); n++) {
		if (s.p[n] == '.' && (dots == 3 || !is_digit(at(s, n + 1))))
			break;
		dots += s.p[n] == '.';
	}
	if (dots != 3 || is_alnum(at(s, n)) || (at(s, n) == '.' && is_digit(at(s, n + 1))))
		return 0;
	return parse_ip(AF_INET, slice_head(s, n)) ? n : 0;
}

static bool
is_ip6_char(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':' ||
	       c == '.';
}

static size_t
ip6_at(struct slice s)
{
	size_t n = 0, colons = 0;

	for (; n < s.len && n < INET6_ADDRSTRLEN && is_ip6_char(s.p[n]); n++)
		colons += s.p[n] == ':';
	if (colons < 2 || is_alnum(at(s, n)))
		return 0;
	while (n > 2 && (s.p[n - 1] == '.' || (s.p[n - 1] == ':' && s.p[n - 2] != ':')))
		n--;
	return n > 2 && parse_ip(AF_INET6, slice_head(s, n)) ? n : 0;
}

/* May an address begin at i? Behind a quote or '=' too: 'x@y', to=x@y. */
static bool
may_begin(struct slice s, size_t i)
{
	return i == 0 || s.p[i] == '<' || !is_local(s.p[i - 1]) || s.p[i - 1] == '\'' ||
	       s.p[i - 1] == '=';
}

static size_t
ip_at(struct slice s, size_t i)
{
	char before = i > 0 ? s.p[i - 1] : ' ';
	size_t n = 0;

	if (!is_ip6_char(s.p[i]) || is_alnum(before) || before == '.')
		return 0;
	if (before != ':' || i < 2 || s.p[i - 2] != ':')
		n = ip6_at(slice_skip(s, i));
	if (n == 0)
		n = ip4_at(slice_skip(s, i));
	/* Before '@' it is a local part. */
	return at(s, i + n) == '@' ? 0 : n;
}

/* No byte is looked at more than a fixed number of times. */
void
reply_mask(struct slice raw, struct buf *out)
{
	size_t n, looked, tried = 0, behind = 0; /* the end of what was masked last */

	for (size_t i = 0; i < raw.len; i += n) {
		n = 0;
		if (i >= tried && (i == behind || may_begin(raw, i))) {
			n = mail_at(slice_skip(raw, i), &looked);
			if (n > 0) {
				buf_adds(out, MASKED_MAIL);
				behind = i + n;
				continue;
			}
			tried = i + looked;
		}
		n = ip_at(raw, i);
		if (n > 0) {
			buf_adds(out, MASKED_IP);
			behind = i + n;
			continue;
		}
		buf_addc(out, raw.p[i]);
		n = 1;
	}
}
