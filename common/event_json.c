/*
 * event_json.c - an event as a line of JSON.
 */
#include <json-c/json.h>
#include <json-c/linkhash.h>
#include <stdlib.h>

#include "common/event_field.h"
#include "common/event_text.h"
#include "common/utf8.h"
#include "common/xalloc.h"

/* The keys are constants and each comes once. */
#define ADD (JSON_C_OBJECT_ADD_KEY_IS_NEW | JSON_C_OBJECT_ADD_CONSTANT_KEY)

#define TABLE 48 /* room for the fields of most events without a rehash */

/* An object for an event's fields. */
static struct json_object *
new_fields(void)
{
	struct json_object *object = json_object_new_object();

	/* It only saves time: without the memory it stays small and grows. */
	lh_table_resize(json_object_get_object(object), TABLE);
	return object;
}

/* Where the text of a value is put together, if it is not the event's own. */
struct scratch {
	char digits[24];
	struct buf clean;
};

static struct slice
decimal(int64_t n, struct scratch *scratch)
{
	char *end = scratch->digits + sizeof(scratch->digits), *p = end;

	do
		*--p = (char)('0' + n % 10);
	while ((n /= 10) > 0);
	return (struct slice){ p, (size_t)(end - p) };
}

static bool
is_string(const struct event_field *f)
{
	return f->kind == EVENT_TEXT || f->kind == EVENT_CODE || f->kind == EVENT_NUMBER;
}

static bool
is_set(struct event *ev, const struct event_field *f)
{
	switch (f->kind) {
	case EVENT_NUMBER:
	case EVENT_INTEGER:
		return *event_number(ev, f) >= 0; /* never negative: that is an absent number */
	case EVENT_FLAG:
		return *event_flag(ev, f) != EVENT_UNKNOWN;
	default:
		return event_slice(ev, f)->len > 0;
	}
}

/* The text of a field that is set and a JSON string; good until the next one. */
static int
string_of(struct event *ev, const struct event_field *f, struct scratch *scratch, struct slice *out,
    struct err *e)
{
	if (f->kind == EVENT_NUMBER) {
		*out = decimal(*event_number(ev, f), scratch);
		return 0;
	}
	*out = *event_slice(ev, f);
	if (out->len > EVENT_LINE_MAX)
		return err_set(e, "%s: longer than %d bytes", f->name, EVENT_LINE_MAX);
	if (!utf8_valid(*out)) {
		buf_clear(&scratch->clean);
		utf8_clean(&scratch->clean, *out);
		*out = buf_slice(&scratch->clean);
	}
	return 0;
}

static int
parsed(struct event *ev, const struct event_field *f, struct json_object **out, struct err *e)
{
	*out = event_text_parse(*event_slice(ev, f), EVENT_DEPTH - EVENT_WRAPPERS, NULL);
	if (event_text_is(*out, f->kind))
		return 0;
	json_object_put(*out);
	*out = NULL;
	return err_set(e, "%s: not a JSON %s", f->name,
	    f->kind == EVENT_OBJECT ? "object" : "array of strings");
}

/* The value of a field that is set. */
static int
new_value(struct event *ev, const struct event_field *f, struct scratch *scratch,
    struct json_object **out, struct err *e)
{
	struct slice text;

	switch (f->kind) {
	case EVENT_INTEGER:
		*out = json_object_new_int64(*event_number(ev, f));
		return 0;
	case EVENT_FLAG:
		*out = json_object_new_boolean(*event_flag(ev, f) == EVENT_TRUE);
		return 0;
	case EVENT_OBJECT:
	case EVENT_STRINGS:
		return parsed(ev, f, out, e);
	default:
		if (string_of(ev, f, scratch, &text, e) < 0)
			return -1;
		*out = json_object_new_string_len(text.p, (int)text.len);
		return 0;
	}
}

/* In a flat object numbers are numbers, where a reader can hold them. */
static struct json_object *
plain_number(struct event *ev, const struct event_field *f, struct json_object *value)
{
	if (f->kind != EVENT_NUMBER || event_number(ev, f) == &ev->event_id)
		return value;
	json_object_put(value);
	return json_object_new_int64(*event_number(ev, f));
}

/* All fields that are set; values[i], if wanted, becomes that of field i. */
static int
fill(struct json_object *object, struct event *ev, bool flat, struct json_object **values,
    struct err *e)
{
	struct scratch scratch;
	struct json_object *value;
	int rc = 0;

	buf_init(&scratch.clean, 3 * EVENT_LINE_MAX); /* U+FFFD takes three bytes */
	if (flat)
		json_object_object_add_ex(object, "event_class",
		    json_object_new_string(event_class_name(event_class_of(ev->type))), ADD);
	json_object_object_add_ex(
	    object, "type", json_object_new_string(event_type_name(ev->type)), ADD);
	for (size_t i = 0; i < event_field_count && rc == 0; i++) {
		const struct event_field *f = &event_fields[i];

		if (!is_set(ev, f))
			continue;
		rc = new_value(ev, f, &scratch, &value, e);
		if (rc == 0 && flat)
			value = plain_number(ev, f, value);
		if (rc == 0)
			json_object_object_add_ex(object, f->name, value, ADD);
		if (rc == 0 && values != NULL)
			values[i] = value;
	}
	buf_free(&scratch.clean);
	return rc;
}

static int
print(struct json_object *line, struct buf *out, struct err *e)
{
	size_t len;
	const char *text = json_object_to_json_string_length(
	    line, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);

	if (len >= EVENT_LINE_MAX)
		return err_set(e, "event line longer than %d bytes", EVENT_LINE_MAX);
	if (!buf_reserve(out, len + 1))
		return err_set(e, "no room for an event line of %zu bytes", len + 1);
	buf_add(out, (struct slice){ text, len });
	buf_addc(out, '\n');
	return 0;
}

/* {"msys":{CLASS:{...}}} */
static int
wrap(struct event *ev, struct json_object **line, struct json_object **values, struct err *e)
{
	struct json_object *msys = json_object_new_object(), *object = new_fields();

	*line = json_object_new_object();
	json_object_object_add_ex(*line, "msys", msys, ADD);
	json_object_object_add_ex(msys, event_class_name(event_class_of(ev->type)), object, ADD);
	return fill(object, ev, false, values, e);
}

int
event_json(const struct event *ev, struct buf *out, struct err *e)
{
	struct json_object *line;
	struct event copy = *ev; /* the table's accessors are shared with the reader, who writes */
	int rc;

	if (event_check(ev, e) < 0)
		return -1;
	rc = wrap(&copy, &line, NULL, e);
	if (rc == 0)
		rc = print(line, out, e);
	json_object_put(line);
	return rc;
}

int
event_flat(const struct event *ev, struct buf *out, struct err *e)
{
	struct json_object *object;
	struct event copy = *ev;
	int rc;

	if (event_check(ev, e) < 0)
		return -1;
	object = new_fields();
	rc = fill(object, &copy, true, NULL, e);
	if (rc == 0)
		rc = print(object, out, e);
	json_object_put(object);
	return rc;
}

/* ---- many lines that are alike ---- */

struct event_writer {
	struct shape {
		struct json_object *line; /* the last of this type; NULL: none yet */
		struct json_object *values[EVENT_FIELDS_MAX]; /* in it; NULL: not in it */
	} shapes[EVENT_TYPES];
	struct scratch scratch;
};

struct event_writer *
event_writer_new(void)
{
	struct event_writer *w = xcalloc(1, sizeof(*w));

	buf_init(&w->scratch.clean, 3 * EVENT_LINE_MAX);
	return w;
}

void
event_writer_free(struct event_writer *w)
{
	if (w == NULL)
		return;
	for (size_t i = 0; i < COUNT(w->shapes); i++)
		json_object_put(w->shapes[i].line);
	buf_free(&w->scratch.clean);
	free(w);
}

/* Has this line the event's fields, and no other? */
static bool
is_alike(const struct shape *s, struct event *ev)
{
	if (s->line == NULL)
		return false;
	for (size_t i = 0; i < event_field_count; i++)
		if (is_set(ev, &event_fields[i]) != (s->values[i] != NULL))
			return false;
	return true;
}

static int
set_value(struct json_object *value, struct event *ev, const struct event_field *f,
    struct scratch *scratch, struct err *e)
{
	struct slice text;

	if (f->kind == EVENT_INTEGER)
		return json_object_set_int64(value, *event_number(ev, f)) == 1 ? 0 : -1;
	if (f->kind == EVENT_FLAG)
		return json_object_set_boolean(value, *event_flag(ev, f) == EVENT_TRUE) == 1 ? 0
		                                                                             : -1;
	if (!is_string(f) || string_of(ev, f, scratch, &text, e) < 0)
		return -1;
	return json_object_set_string_len(value, text.p, (int)text.len) == 1 ? 0 : -1;
}

/* False: not all of it can be put into the line that is there. */
static bool
refill(struct event_writer *w, struct shape *s, struct event *ev)
{
	for (size_t i = 0; i < event_field_count; i++)
		if (s->values[i] != NULL &&
		    set_value(s->values[i], ev, &event_fields[i], &w->scratch, NULL) < 0)
			return false;
	return true;
}

int
event_write(struct event_writer *w, const struct event *ev, struct buf *out, struct err *e)
{
	struct shape *s = &w->shapes[ev->type];
	struct event copy = *ev;

	if (event_check(ev, e) < 0)
		return -1;
	if (!is_alike(s, &copy) || !refill(w, s, &copy)) {
		json_object_put(s->line);
		*s = (struct shape){ .line = NULL };
		if (wrap(&copy, &s->line, s->values, e) < 0) {
			json_object_put(s->line);
			*s = (struct shape){ .line = NULL };
			return -1;
		}
	}
	return print(s->line, out, e);
}
