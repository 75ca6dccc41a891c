/*
 * The forms in which loggers write a line. The two usual ones come first; what
 * containers, forwarders and other systems make of them is only looked for where
 * those don't fit.
 */
#include "common/maillog_private.h"

#define STAMP_MAX 40

static bool
all_digits(struct slice s, size_t least, size_t most)
{
	for (size_t i = 0; i < s.len; i++)
		if (!ascii_is_digit(s.p[i]))
			return false;
	return s.len >= least && s.len <= most;
}

/* Behind "06:25:58" a fraction may stand; the length of all up to a blank, or 0. */
static size_t
with_fraction(struct slice s, size_t n)
{
	if (n + 1 < s.len && (s.p[n] == '.' || s.p[n] == ','))
		for (n++; n < s.len && n < STAMP_MAX && ascii_is_digit(s.p[n]); n++)
			;
	return n < s.len && s.p[n] == ' ' ? n : 0;
}

/* "Nov 22 06:25:58", "Nov 22 06:25:58.123456", "Nov 22 2026 06:25:58" */
static size_t
month_stamp(struct slice s)
{
	size_t at = 7;

	if (s.len <= 16 || !maillog_is_letter(s.p[0]) || s.p[3] != ' ' || s.p[6] != ' ')
		return 0;
	if (s.len > 21 && all_digits((struct slice){ s.p + 7, 4 }, 4, 4) && s.p[11] == ' ')
		at = 12;
	return s.p[at + 2] == ':' && s.p[at + 5] == ':' ? with_fraction(s, at + 8) : 0;
}

/* "+0100", "UTC" behind a stamp with blanks in it; journalctl's short-full has any zone's name. */
static bool
is_zone(struct slice word, bool any)
{
	if (word.len < 1 || word.len > 6)
		return false;
	if (word.p[0] == '+' || word.p[0] == '-')
		return all_digits(slice_skip(word, 1), 2, 4) || (word.len == 6 && word.p[3] == ':');
	return any || slice_eq(word, SLICE_LIT("UTC")) || slice_eq(word, SLICE_LIT("GMT")) ||
	       slice_eq(word, SLICE_LIT("Z"));
}

/* "2026-11-22T06:25:58.442921+00:00", "2026-11-22 06:25:58 UTC", "Sun 2026-11-22 06:25:58 CET" */
static size_t
iso_stamp(struct slice whole)
{
	bool weekday = maillog_is_letter(whole.p[0]);
	size_t start = weekday ? 4 : 0, n, zone;
	struct slice s = slice_skip(whole, start);

	if (s.len <= 20 || !ascii_is_digit(s.p[0]) || s.p[4] != '-' || s.p[7] != '-')
		return 0;
	if (s.p[10] == 'T') {
		n = slice_find(slice_head(s, STAMP_MAX), ' ');
		return n < STAMP_MAX && n < s.len ? start + n : 0;
	}
	if (s.p[10] != ' ' || s.p[13] != ':' || s.p[16] != ':')
		return 0;
	n = slice_find(slice_skip(slice_head(s, STAMP_MAX), 11), ' ') + 11;
	if (n >= s.len || n >= STAMP_MAX)
		return 0;
	zone = slice_find(slice_head(slice_skip(s, n + 1), 8), ' ');
	if (n + 1 + zone < s.len && is_zone((struct slice){ s.p + n + 1, zone }, weekday))
		n += 1 + zone;
	return start + n;
}

/* "1795328758.123456" */
static size_t
epoch_stamp(struct slice s)
{
	size_t n = 0;

	while (n < s.len && n < 11 && ascii_is_digit(s.p[n]))
		n++;
	return n < 9 ? 0 : with_fraction(s, n);
}

/* Length of the stamp at the start, or 0. The details are maillog_time()'s. */
static size_t
stamp_length(struct slice s)
{
	size_t n;

	if (s.len < 16)
		return 0;
	n = month_stamp(s);
	if (n == 0)
		n = iso_stamp(s);
	return n > 0 ? n : epoch_stamp(s);
}

/* "postfix/smtp[123]: text" */
static bool
cut_tag(struct slice s, struct maillog_frame *f)
{
	size_t n = 0, end;

	while (n < s.len && n < 100 && s.p[n] != '[' && s.p[n] != ':' && s.p[n] != ' ')
		n++;
	end = n;
	if (n < s.len && s.p[n] == '[') {
		while (end < s.len && end < n + 24 && s.p[end] != ']')
			end++;
		end++;
	}
	if (n == 0 || end >= s.len || s.p[end] != ':')
		return false;
	f->tag = slice_head(s, n);
	f->text = slice_skip(s, end + 1);
	if (f->text.len > 0 && f->text.p[0] == ' ')
		f->text = slice_skip(f->text, 1);
	return true;
}

/* "<22>"; its length or 0 */
static size_t
priority_length(struct slice s)
{
	size_t n = slice_find(slice_head(s, 5), '>');

	return s.len > 5 && s.p[0] == '<' && n < 5 &&
	               all_digits((struct slice){ s.p + 1, n - 1 }, 1, 3)
	           ? n + 1
	           : 0;
}

/* RFC 5424, 6.3: "-" or "[id name="value"]...", in whose values a bracket has a backslash */
static bool
skip_structured(struct slice *rest)
{
	bool quoted = false;
	size_t i = 0;

	if (rest->len > 0 && rest->p[0] == '-') {
		*rest = slice_skip(*rest, 1);
		return true;
	}
	for (; i < rest->len; i++) {
		if (quoted && rest->p[i] == '\\')
			i++;
		else if (rest->p[i] == '"')
			quoted = !quoted;
		else if (rest->p[i] == ']' && !quoted &&
			 (i + 1 >= rest->len || rest->p[i + 1] != '['))
			break;
	}
	*rest = slice_skip(*rest, i + 1);
	return i > 0;
}

/* Behind "<22>1 ": "STAMP HOST APP-NAME PROCID MSGID STRUCTURED-DATA MSG" */
static bool
rfc5424(struct slice rest, struct maillog_frame *f)
{
	static const struct slice nil = SLICE_LIT("-"), bom = SLICE_LIT("\357\273\277");

	f->stamp = slice_cut(&rest, ' ');
	f->host = slice_cut(&rest, ' ');
	f->tag = slice_cut(&rest, ' ');
	if (slice_eq(f->host, nil))
		f->host.len = 0;
	slice_cut(&rest, ' ');
	slice_cut(&rest, ' ');
	if (f->stamp.len < 20 || f->tag.len == 0 || !skip_structured(&rest))
		return false;
	if (rest.len > 0 && rest.p[0] == ' ')
		rest = slice_skip(rest, 1);
	f->text = slice_starts(rest, bom) ? slice_skip(rest, bom.len) : rest;
	return true;
}

/* "<mail.info> " before the host (FreeBSD), "mail.info " behind it (BusyBox) */
static struct slice
skip_facility(struct slice s, struct slice begin)
{
	size_t n = slice_find(slice_head(s, 20), ' ');

	if (!slice_starts(s, begin) || n >= s.len || s.p[n - 1] == ':')
		return s;
	return slice_skip(s, n + 1);
}

/* Some loggers leave the host out: is this the tag already? */
static bool
is_tag(struct slice word)
{
	if (word.len < 3 || word.p[word.len - 1] != ':')
		return false;
	return word.p[word.len - 2] == ']' || memchr(word.p, '/', word.len) != NULL;
}

/* A container's log: "STAMP stdout F " or "STAMP " and then the line with its own stamp. */
static struct slice
skip_container(struct slice s)
{
	static const struct slice streams[] = { SLICE_LIT("stdout F "), SLICE_LIT("stderr F ") };

	for (size_t i = 0; i < COUNT(streams); i++)
		if (slice_starts(s, streams[i]))
			return slice_skip(s, streams[i].len);
	return s;
}

bool
maillog_frame(struct slice line, struct maillog_frame *f)
{
	struct slice rest = slice_skip(line, priority_length(line)), word;
	size_t n;

	*f = (struct maillog_frame){ 0 };
	if (rest.len < line.len && slice_starts(rest, SLICE_LIT("1 ")))
		return rfc5424(slice_skip(rest, 2), f);
	n = stamp_length(rest);
	if (n == 0)
		return false;
	f->stamp = slice_head(rest, n);
	rest = slice_skip(rest, n + 1);
	if (!maillog_is_letter(f->stamp.p[0])) {
		rest = skip_container(rest);
		n = stamp_length(rest);
		if (n > 0)
			rest = slice_skip(rest, n + 1);
	}
	rest = skip_facility(rest, SLICE_LIT("<mail."));
	word = slice_head(rest, slice_find(slice_head(rest, 256), ' '));
	if (!is_tag(word)) {
		f->host = word;
		rest = skip_facility(slice_skip(rest, word.len + 1), SLICE_LIT("mail."));
	}
	if (!cut_tag(rest, f))
		return false;
	/* Solaris */
	if (slice_starts(f->text, SLICE_LIT("[ID ")))
		f->text = slice_skip(f->text, slice_find(slice_head(f->text, 40), ']') + 2);
	return true;
}
