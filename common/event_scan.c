/*
 * event_scan.c - a quick answer for lines in the form in which event_json() writes them.
 *
 * Reading a line as JSON costs more than compressing it. This knows one spelling only:
 * the fields in their order, no blanks, no \u, no nested values. What it says yes to,
 * event_read() takes (t-event and the fuzzer hold it to that); all else is event_read()'s.
 */
#include <stdlib.h>

#include "common/event_field.h"
#include "common/utf8.h"

#define DIGITS_MAX 19 /* of 2^63 - 1; as many nines fit into 64 bits without a sign */

struct scan {
	const char *p, *end;
	unsigned char high; /* all bytes of texts, or-ed */
};

static bool
literal(struct scan *s, const char *text)
{
	size_t n = strlen(text);

	if ((size_t)(s->end - s->p) < n || memcmp(s->p, text, n) != 0)
		return false;
	s->p += n;
	return true;
}

/* Up to the closing quote, which is taken. */
static bool
string(struct scan *s, struct slice *out)
{
	const char *p = s->p;

	for (; p < s->end; p++) {
		unsigned char c = (unsigned char)*p;

		s->high |= c;
		if (c == '"') {
			*out = (struct slice){ s->p, (size_t)(p - s->p) };
			s->p = p + 1;
			return true;
		}
		if (c < 0x20 || c == 0x7f)
			return false;
		if (c == '\\' && (++p == s->end || strchr("\"\\/bfnrt", *p) == NULL || *p == '\0'))
			return false;
	}
	return false;
}

static bool
number(struct scan *s, int64_t *out)
{
	const char *start = s->p;
	uint64_t n = 0;

	while (s->p < s->end && *s->p >= '0' && *s->p <= '9' && s->p - start < DIGITS_MAX)
		n = 10 * n + (uint64_t)(*s->p++ - '0');
	*out = (int64_t)n;
	return n <= INT64_MAX && s->p > start && (*start != '0' || s->p - start == 1);
}

static bool
value(struct scan *s, struct event *ev, const struct event_field *f)
{
	switch (f->kind) {
	case EVENT_TEXT:
	case EVENT_CODE:
		return literal(s, "\"") && string(s, event_slice(ev, f));
	case EVENT_NUMBER:
		return literal(s, "\"") && number(s, event_number(ev, f)) && literal(s, "\"");
	case EVENT_INTEGER:
		return number(s, event_number(ev, f));
	case EVENT_FLAG:
		return literal(s, "true") || literal(s, "false");
	case EVENT_OBJECT:
	case EVENT_STRINGS:
		return false;
	}
	return false;
}

/* The fields behind the type, each once at most, in the table's order. */
static bool
fields(struct scan *s, struct event *ev)
{
	size_t next = 0;
	struct slice name;

	while (literal(s, ",\"")) {
		if (!string(s, &name) || !literal(s, ":"))
			return false;
		while (next < event_field_count &&
		       (event_fields[next].name[0] != (name.len > 0 ? name.p[0] : '\0') ||
			   !slice_eq(name, slice_str(event_fields[next].name))))
			next++;
		if (next == event_field_count || !value(s, ev, &event_fields[next++]))
			return false;
	}
	return true;
}

bool
event_scan(struct slice line, int64_t *timestamp)
{
	struct scan s = { .p = line.p, .end = line.p + line.len };
	struct slice class, type;
	enum event_type t;
	struct event ev;

	if (line.len > EVENT_LINE_MAX || !literal(&s, "{\"msys\":{\"") || !string(&s, &class) ||
	    !literal(&s, ":{\"type\":\"") || !string(&s, &type) || !event_type_find(type, &t) ||
	    !slice_eq(type, slice_str(event_type_name(t))) ||
	    !slice_eq(class, slice_str(event_class_name(event_class_of(t)))))
		return false;
	event_init(&ev, t);
	if (!fields(&s, &ev) || !literal(&s, "}}}") || s.p != s.end)
		return false;
	if (s.high >= 0x80 && !utf8_valid(line))
		return false;
	*timestamp = ev.timestamp;
	return event_check(&ev, NULL) == 0;
}
