/*
 * event: a line that is read can be written, and is then read as the same event;
 * any bytes as texts of an event make one line of UTF-8.
 */
#include <stdlib.h>

#include "common/event_field.h"
#include "common/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(bool good)
{
	if (!good)
		abort();
}

static bool
same(struct event *a, struct event *b)
{
	bool equal = a->type == b->type;

	for (size_t i = 0; i < event_field_count; i++) {
		const struct event_field *f = &event_fields[i];

		if (f->kind == EVENT_NUMBER || f->kind == EVENT_INTEGER)
			equal = equal && *event_number(a, f) == *event_number(b, f);
		else if (f->kind == EVENT_FLAG)
			equal = equal && *event_flag(a, f) == *event_flag(b, f);
		else
			equal = equal && slice_eq(*event_slice(a, f), *event_slice(b, f));
	}
	return equal;
}

static void
check_line(const struct buf *line)
{
	check(line->len > 0 && slice_find(buf_slice(line), '\n') == line->len - 1);
	check(utf8_valid(buf_slice(line)));
}

/* The input as an event line. */
static void
read_it(struct slice in)
{
	struct event ev, again;
	struct buf store, other, line;
	int64_t at;
	struct err e;

	buf_init(&store, EVENT_LINE_MAX);
	buf_init(&other, EVENT_LINE_MAX);
	buf_init(&line, BUF_NO_LIMIT);
	/* The quick answer is never yes where the thorough one is no. */
	if (event_scan(in, &at))
		check(event_read(in, &ev, &store, &e) == 0 && ev.timestamp == at);
	if (event_read(in, &ev, &store, &e) == 0) {
		for (size_t i = 0; i < event_field_count; i++) {
			const struct event_field *f = &event_fields[i];
			const struct slice *s = event_slice(&ev, f);

			if (f->kind == EVENT_NUMBER || f->kind == EVENT_INTEGER ||
			    f->kind == EVENT_FLAG)
				continue;
			check(s->len == 0 ||
			      (s->p >= store.p && s->p + s->len <= store.p + store.len));
		}
		if (event_json(&ev, &line, &e) == 0) {
			check_line(&line);
			check(event_read(buf_slice(&line), &again, &other, &e) == 0);
			check(same(&ev, &again));
		} else {
			check(strstr(e.text, "longer than") != NULL); /* escapes take room */
		}
	}
	buf_free(&store);
	buf_free(&other);
	buf_free(&line);
}

/* Parts of the input, cut at LF, as an event's fields. */
static void
write_it(struct slice in)
{
	struct event ev, back;
	struct buf line, store;
	struct err e;

	event_init(&ev,
	    in.len > 0 ? (enum event_type)((unsigned char)in.p[0] % EVENT_TYPES) : EVENT_CLICK);
	ev.event_id = 1;
	ev.timestamp = 2;
	ev.delv_method = SLICE_LIT("smtp");
	for (size_t i = 0; i < event_field_count && in.len > 0; i++)
		if (event_fields[i].kind >= EVENT_OBJECT || event_fields[i].kind <= EVENT_CODE)
			*event_slice(&ev, &event_fields[i]) = slice_cut(&in, '\n');
	buf_init(&line, BUF_NO_LIMIT);
	buf_init(&store, EVENT_LINE_MAX);
	if (event_json(&ev, &line, &e) == 0) {
		check_line(&line);
		check(event_read(buf_slice(&line), &back, &store, &e) == 0);
	} else {
		check(line.len == 0);
	}
	buf_free(&line);
	buf_free(&store);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = { (const char *)data, size };

	read_it(in);
	write_it(in);
	return 0;
}
