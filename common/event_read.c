/*
 * event_read.c - an event line back into an event.
 */
#include <json-c/json.h>

#include "common/event_field.h"
#include "common/event_text.h"

static int
wrong_kind(const struct event_field *f, const char *want, struct err *e)
{
	return err_set(e, "%s: not %s", f->name, want);
}

/* What json-c hands out lives as long as the line's tree; keep() copies it later. */
static struct slice
string_of(struct json_object *value)
{
	return (struct slice){ json_object_get_string(value),
		(size_t)json_object_get_string_len(value) };
}

static int
read_number(struct json_object *value, const struct event_field *f, int64_t *out, struct err *e)
{
	static const char want[] = "a number of 0..2^63-1";
	uint64_t n;
	double d;

	switch (json_object_get_type(value)) {
	case json_type_string:
		/* Some senders leave msg_size empty where they don't know it. */
		if (json_object_get_string_len(value) == 0)
			return 0;
		if (!slice_uint(string_of(value), INT64_MAX, &n))
			return wrong_kind(f, want, e);
		break;
	case json_type_int:
		/* Below zero json-c answers 0 to the unsigned question, above 2^64 its maximum. */
		n = json_object_get_uint64(value);
		if (json_object_get_int64(value) < 0 || n > INT64_MAX)
			return wrong_kind(f, want, e);
		break;
	case json_type_double:
		d = json_object_get_double(value);
		if (!(d >= 0 && d < 0x1p63))
			return wrong_kind(f, want, e);
		n = (uint64_t)d;
		break;
	default:
		return wrong_kind(f, want, e);
	}
	*out = (int64_t)n;
	return 0;
}

static int
read_flag(
    struct json_object *value, const struct event_field *f, enum event_flag *out, struct err *e)
{
	static const struct {
		const char *text;
		enum event_flag flag;
	} spellings[] = {
		{ "true", EVENT_TRUE },
		{ "1", EVENT_TRUE },
		{ "false", EVENT_FALSE },
		{ "0", EVENT_FALSE },
		{ "", EVENT_UNKNOWN },
	};

	/* true and 1 print as the strings "true" and "1" do. */
	for (size_t i = 0; i < COUNT(spellings); i++)
		if (slice_eq(
			slice_str(json_object_get_string(value)), slice_str(spellings[i].text))) {
			*out = spellings[i].flag;
			return 0;
		}
	return wrong_kind(f, "a boolean", e);
}

static int
read_json(struct json_object *value, const struct event_field *f, struct slice *out, struct err *e)
{
	if (!event_text_is(value, f->kind))
		return wrong_kind(
		    f, f->kind == EVENT_OBJECT ? "an object" : "an array of strings", e);
	out->p = json_object_to_json_string_length(
	    value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &out->len);
	return 0;
}

static int
read_field(struct event *ev, const struct event_field *f, struct json_object *value, struct err *e)
{
	switch (f->kind) {
	case EVENT_CODE:
		if (json_object_is_type(value, json_type_int)) {
			event_slice(ev, f)->p = json_object_get_string(value);
			event_slice(ev, f)->len = strlen(event_slice(ev, f)->p);
			return 0;
		}
		/* fall through */
	case EVENT_TEXT:
		if (!json_object_is_type(value, json_type_string))
			return wrong_kind(f, "a string", e);
		*event_slice(ev, f) = string_of(value);
		return 0;
	case EVENT_NUMBER:
	case EVENT_INTEGER:
		return read_number(value, f, event_number(ev, f), e);
	case EVENT_FLAG:
		return read_flag(value, f, event_flag(ev, f), e);
	case EVENT_OBJECT:
	case EVENT_STRINGS:
		return read_json(value, f, event_slice(ev, f), e);
	}
	return 0;
}

static bool
is_slice(const struct event_field *f)
{
	return f->kind != EVENT_NUMBER && f->kind != EVENT_INTEGER && f->kind != EVENT_FLAG;
}

/* Move the texts from the line's tree to `store`: room first, so that it does not move under them.
 */
static int
keep(struct event *ev, struct buf *store, struct err *e)
{
	size_t need = 0;

	for (size_t i = 0; i < event_field_count; i++)
		if (is_slice(&event_fields[i]))
			need += event_slice(ev, &event_fields[i])->len;
	if (!buf_reserve(store, need))
		return err_set(e, "event longer than %zu bytes", store->max);
	for (size_t i = 0; i < event_field_count; i++) {
		struct slice *text;

		if (!is_slice(&event_fields[i]))
			continue;
		text = event_slice(ev, &event_fields[i]);
		buf_add(store, *text);
		*text = (struct slice){ store->p + store->len - text->len, text->len };
	}
	return 0;
}

/* The only member of an object; NULL if it is none or has not exactly one. */
static struct json_object *
only_member(struct json_object *object, const char **name)
{
	struct json_object_iterator it;

	if (!json_object_is_type(object, json_type_object) ||
	    json_object_object_length(object) != 1)
		return NULL;
	it = json_object_iter_begin(object);
	*name = json_object_iter_peek_name(&it);
	return json_object_iter_peek_value(&it);
}

static int
read_type(struct json_object *object, const char *class, enum event_type *out, struct err *e)
{
	struct json_object *value = json_object_object_get(object, "type");
	struct slice name;

	if (value == NULL)
		return err_set(e, "Missing type on %s", class);
	if (!json_object_is_type(value, json_type_string))
		return err_set(e, "type: not a string");
	name = string_of(value);
	if (!event_type_find(name, out))
		return err_set(e, "unknown type \"%.*s\"", SLICE_FMT(slice_head(name, 64)));
	if (!slice_eq(name, slice_str(event_type_name(*out))))
		return err_set(e, "unknown type \"%s\": ingest calls it \"%s\"",
		    event_public_name(*out), event_type_name(*out));
	if (strcmp(class, event_class_name(event_class_of(*out))) != 0)
		return err_set(e, "type \"%s\" in %s", event_type_name(*out), class);
	return 0;
}

static int
read_event(struct json_object *line, struct event *out, struct buf *store, struct err *e)
{
	const char *name = NULL, *class = NULL;
	struct json_object *msys = only_member(line, &name), *object, *value;
	enum event_type type;
	size_t c = 0;

	if (msys == NULL || strcmp(name, "msys") != 0)
		return err_set(e, "not {\"msys\":{...}}");
	object = only_member(msys, &class);
	if (!json_object_is_type(object, json_type_object))
		return err_set(e, "not one event class in msys");
	while (c < EVENT_CLASSES && strcmp(class, event_class_name((enum event_class)c)) != 0)
		c++;
	if (c == EVENT_CLASSES)
		return err_set(e, "unknown event class \"%.64s\"", class);
	if (read_type(object, class, &type, e) < 0)
		return -1;
	event_init(out, type);
	for (size_t i = 0; i < event_field_count; i++) {
		/* null, like absence, says nothing. */
		value = json_object_object_get(object, event_fields[i].name);
		if (value != NULL && read_field(out, &event_fields[i], value, e) < 0)
			return -1;
	}
	if (event_check(out, e) < 0)
		return -1;
	return keep(out, store, e);
}

int
event_read(struct slice line, struct event *out, struct buf *store, struct err *e)
{
	struct json_object *object;
	int rc;

	buf_clear(store);
	event_init(out, EVENT_RECEPTION);
	if (line.len > EVENT_LINE_MAX)
		return err_set(e, "event line longer than %d bytes", EVENT_LINE_MAX);
	object = event_text_parse(line, EVENT_DEPTH, e);
	if (object == NULL)
		return -1;
	rc = read_event(object, out, store, e);
	if (rc < 0)
		event_init(out, EVENT_RECEPTION); /* no pointers into the tree that goes now */
	json_object_put(object);
	return rc;
}
