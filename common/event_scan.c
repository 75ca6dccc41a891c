/*
 * event_scan.c - a quick answer for lines that are plain and right.
 *
 * Reading a line into a tree of JSON costs as much as compressing it. This walks over it
 * once, builds nothing, and knows less: each known field once and of the kind that we
 * write, keys without escapes, blanks but no other white space, numbers without exponents,
 * no halves of surrogates. What it says yes to, event_read() takes (t-event and the fuzzer
 * hold it to that); all else is event_read()'s.
 */
#include <pthread.h>
#include <stdlib.h>

#include "common/event_field.h"
#include "common/utf8.h"

#define DIGITS_MAX 19  /* of 2^63 - 1; as many nines fit into 64 bits without a sign */
#define NEST_MAX   8   /* containers in a field's value; EVENT_DEPTH has room for more */
#define SLOTS      256 /* of names; a power of two, most are empty */

_Static_assert(NEST_MAX + EVENT_WRAPPERS < EVENT_DEPTH, "what is skipped can be read");

struct scan {
	const char *p, *end;
	bool high;      /* a string has bytes of 0x80 and above */
	bool escape;    /* the last string had a backslash */
	uint64_t known; /* a bit for each field that was there */
	struct slice type;
	struct event ev;
};

/* ---- names ---- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct {
	struct slice name; /* empty: a free slot */
	size_t field;
} slots[SLOTS];
static struct event blank;

static size_t
slot_of(struct slice name)
{
	const unsigned char *p = (const unsigned char *)name.p;

	return (name.len * 7 + p[0] * 31u + p[name.len / 2] * 13u + p[name.len - 1]) % SLOTS;
}

static void
fill_slots(void)
{
	event_init(&blank, EVENT_RECEPTION);
	for (size_t i = 0; i < event_field_count; i++) {
		struct slice name = slice_str(event_fields[i].name);
		size_t at = slot_of(name);

		while (slots[at].name.len > 0)
			at = (at + 1) % SLOTS;
		slots[at].name = name;
		slots[at].field = i;
	}
}

/* event_field_count: there is no such field. */
static size_t
field_of(struct slice name)
{
	size_t at = slot_of(name);

	for (; slots[at].name.len > 0; at = (at + 1) % SLOTS)
		if (slice_eq(slots[at].name, name))
			return slots[at].field;
	return event_field_count;
}

/* ---- tokens ---- */

static bool
literal(struct scan *s, const char *text)
{
	size_t n = strlen(text);

	if ((size_t)(s->end - s->p) < n || memcmp(s->p, text, n) != 0)
		return false;
	s->p += n;
	return true;
}

static void
skip_blanks(struct scan *s)
{
	while (s->p < s->end && *s->p == ' ')
		s->p++;
}

/* One character of punctuation, blanks around it. */
static bool
mark(struct scan *s, char c)
{
	skip_blanks(s);
	if (s->p == s->end || *s->p != c)
		return false;
	s->p++;
	skip_blanks(s);
	return true;
}

static bool
is_digit(const struct scan *s)
{
	return s->p < s->end && *s->p >= '0' && *s->p <= '9';
}

static unsigned
hex(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10) : 16;
}

/* What is behind a backslash, `p` on it. The length; 0 if it is none, or half a pair. */
static size_t
escape(const char *p, const char *end)
{
	unsigned code = 0;

	if (p == end || *p == '\0' || strchr("\"\\/bfnrtu", *p) == NULL)
		return 0;
	if (*p != 'u')
		return 1;
	if (end - p < 5)
		return 0;
	for (int i = 1; i < 5; i++) {
		unsigned digit = hex(p[i]);

		if (digit > 15)
			return 0;
		code = 16 * code + digit;
	}
	return code >= 0xd800 && code <= 0xdfff ? 0 : 5;
}

enum byte { PLAIN, QUOTE, BACKSLASH, HIGH, CONTROL };

static const unsigned char byte_kind[256] = {
	[0 ... 0x1f] = CONTROL,
	['"'] = QUOTE,
	['\\'] = BACKSLASH,
	[0x7f] = CONTROL,
	[0x80 ... 0xff] = HIGH,
};

/* From a quote to the closing one. */
static bool
string(struct scan *s, struct slice *out)
{
	const char *p = s->p, *start;
	size_t n;

	if (p == s->end || *p != '"')
		return false;
	s->escape = false;
	for (start = ++p; p < s->end; p++) {
		switch ((enum byte)byte_kind[(unsigned char)*p]) {
		case PLAIN:
			break;
		case QUOTE:
			*out = (struct slice){ start, (size_t)(p - start) };
			s->p = p + 1;
			return true;
		case BACKSLASH:
			n = escape(p + 1, s->end);
			if (n == 0)
				return false;
			p += n;
			s->escape = true;
			break;
		case HIGH:
			s->high = true;
			break;
		case CONTROL:
			return false;
		}
	}
	return false;
}

/* Digits without needless zeros. */
static bool
whole_number(struct scan *s, int64_t *out)
{
	const char *start = s->p;
	uint64_t n = 0;

	while (is_digit(s) && s->p - start < DIGITS_MAX)
		n = 10 * n + (uint64_t)(*s->p++ - '0');
	*out = (int64_t)n;
	return n <= INT64_MAX && s->p > start && !is_digit(s) &&
	       (*start != '0' || s->p - start == 1);
}

/* ---- values ---- */

static bool skip_value(struct scan *s, unsigned depth);

static bool
skip_members(struct scan *s, unsigned depth)
{
	struct slice name;

	if (mark(s, '}'))
		return true;
	do
		if (!string(s, &name) || !mark(s, ':') || !skip_value(s, depth))
			return false;
	while (mark(s, ','));
	return mark(s, '}');
}

static bool
skip_elements(struct scan *s, unsigned depth)
{
	if (mark(s, ']'))
		return true;
	do
		if (!skip_value(s, depth))
			return false;
	while (mark(s, ','));
	return mark(s, ']');
}

static bool
skip_number(struct scan *s)
{
	int64_t n;

	literal(s, "-");
	if (!whole_number(s, &n))
		return false;
	if (!literal(s, "."))
		return true;
	if (!is_digit(s))
		return false;
	while (is_digit(s))
		s->p++;
	return true;
}

/* Any value of at most `depth` containers in one another. */
static bool
skip_value(struct scan *s, unsigned depth)
{
	struct slice text;

	switch (s->p < s->end ? *s->p : '\0') {
	case '"':
		return string(s, &text);
	case '{':
		return depth > 0 && mark(s, '{') && skip_members(s, depth - 1);
	case '[':
		return depth > 0 && mark(s, '[') && skip_elements(s, depth - 1);
	case 't':
		return literal(s, "true");
	case 'f':
		return literal(s, "false");
	case 'n':
		return literal(s, "null");
	default:
		return skip_number(s);
	}
}

static bool
strings(struct scan *s)
{
	struct slice text;

	if (!mark(s, '['))
		return false;
	if (mark(s, ']'))
		return true;
	do
		if (!string(s, &text))
			return false;
	while (mark(s, ','));
	return mark(s, ']');
}

static bool
known_value(struct scan *s, const struct event_field *f)
{
	switch (f->kind) {
	case EVENT_TEXT:
	case EVENT_CODE:
		return string(s, event_slice(&s->ev, f));
	case EVENT_NUMBER:
	case EVENT_INTEGER:
		if (literal(s, "\""))
			return whole_number(s, event_number(&s->ev, f)) && literal(s, "\"");
		return whole_number(s, event_number(&s->ev, f)) &&
		       (s->p == s->end || strchr(".eE", *s->p) == NULL);
	case EVENT_FLAG:
		return literal(s, "true") || literal(s, "false");
	case EVENT_OBJECT:
		return s->p < s->end && *s->p == '{' && skip_value(s, NEST_MAX);
	case EVENT_STRINGS:
		return strings(s);
	}
	return false;
}

/* One field with its value: of two of the same name the reader takes the last, we neither. */
static bool
member(struct scan *s)
{
	struct slice name;
	size_t i;

	if (!string(s, &name) || s->escape || name.len == 0 || !mark(s, ':'))
		return false;
	if (slice_eq(name, SLICE_LIT("type")))
		return s->type.p == NULL && string(s, &s->type);
	i = field_of(name);
	if (i == event_field_count)
		return skip_value(s, NEST_MAX);
	if ((s->known >> i & 1) != 0)
		return false;
	s->known |= (uint64_t)1 << i;
	return known_value(s, &event_fields[i]);
}

static bool
members(struct scan *s)
{
	do
		if (!member(s))
			return false;
	while (mark(s, ','));
	return mark(s, '}');
}

static bool
is_type_in(struct scan *s, struct slice class)
{
	enum event_type t;

	if (s->type.p == NULL || !event_type_find(s->type, &t) ||
	    !slice_eq(s->type, slice_str(event_type_name(t))) ||
	    !slice_eq(class, slice_str(event_class_name(event_class_of(t)))))
		return false;
	s->ev.type = t;
	return true;
}

bool
event_scan(struct slice line, int64_t *timestamp)
{
	struct scan s = { .p = line.p, .end = line.p + line.len };
	struct slice class;

	pthread_once(&once, fill_slots);
	s.ev = blank;
	if (line.len > EVENT_LINE_MAX || !mark(&s, '{') || !literal(&s, "\"msys\"") ||
	    !mark(&s, ':') || !mark(&s, '{') || !string(&s, &class) || !mark(&s, ':') ||
	    !mark(&s, '{') || !members(&s) || !mark(&s, '}') || !mark(&s, '}') || s.p != s.end)
		return false;
	if (!is_type_in(&s, class) || (s.high && !utf8_valid(line)))
		return false;
	*timestamp = s.ev.timestamp;
	return event_check(&s.ev, NULL) == 0;
}
