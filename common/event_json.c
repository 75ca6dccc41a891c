/*
 * event_json.c - an event as a line of JSON.
 */
#include <json-c/json.h>
#include <json-c/linkhash.h>

#include "common/event_field.h"
#include "common/event_text.h"
#include "common/utf8.h"

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

static struct json_object *
text_value(struct slice s)
{
	struct json_object *value;
	struct buf clean;

	if (utf8_valid(s))
		return json_object_new_string_len(s.p, (int)s.len);
	buf_init(&clean, 3 * s.len); /* U+FFFD takes three bytes */
	utf8_clean(&clean, s);
	value = json_object_new_string_len(clean.p, (int)clean.len);
	buf_free(&clean);
	return value;
}

static struct json_object *
number_value(int64_t n)
{
	char text[24], *end = text + sizeof(text), *p = end;

	/* Never negative: that is an absent number. */
	do
		*--p = (char)('0' + n % 10);
	while ((n /= 10) > 0);
	return json_object_new_string_len(p, (int)(end - p));
}

/* The value of a field; NULL and 0 if it is unset, NULL and -1 if it can't be written. */
static int
field_value(struct event *ev, const struct event_field *f, struct json_object **out, struct err *e)
{
	enum event_flag flag;
	struct slice text;
	int64_t n;

	*out = NULL;
	switch (f->kind) {
	case EVENT_TEXT:
	case EVENT_CODE:
		text = *event_slice(ev, f);
		if (text.len > EVENT_LINE_MAX)
			return err_set(e, "%s: longer than %d bytes", f->name, EVENT_LINE_MAX);
		if (text.len > 0)
			*out = text_value(text);
		return 0;
	case EVENT_NUMBER:
	case EVENT_INTEGER:
		n = *event_number(ev, f);
		if (n >= 0)
			*out = f->kind == EVENT_NUMBER ? number_value(n) : json_object_new_int64(n);
		return 0;
	case EVENT_FLAG:
		flag = *event_flag(ev, f);
		if (flag != EVENT_UNKNOWN)
			*out = json_object_new_boolean(flag == EVENT_TRUE);
		return 0;
	case EVENT_OBJECT:
	case EVENT_STRINGS:
		text = *event_slice(ev, f);
		if (text.len == 0)
			return 0;
		*out = event_text_parse(text, EVENT_DEPTH - EVENT_WRAPPERS, NULL);
		if (event_text_is(*out, f->kind))
			return 0;
		json_object_put(*out);
		*out = NULL;
		return err_set(e, "%s: not a JSON %s", f->name,
		    f->kind == EVENT_OBJECT ? "object" : "array of strings");
	}
	return 0;
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

static int
fill(struct json_object *object, struct event *ev, bool flat, struct err *e)
{
	struct json_object *value;

	if (flat)
		json_object_object_add_ex(object, "event_class",
		    json_object_new_string(event_class_name(event_class_of(ev->type))), ADD);
	json_object_object_add_ex(
	    object, "type", json_object_new_string(event_type_name(ev->type)), ADD);
	for (size_t i = 0; i < event_field_count; i++) {
		if (field_value(ev, &event_fields[i], &value, e) < 0)
			return -1;
		if (value == NULL)
			continue;
		if (flat)
			value = plain_number(ev, &event_fields[i], value);
		json_object_object_add_ex(object, event_fields[i].name, value, ADD);
	}
	return 0;
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

int
event_json(const struct event *ev, struct buf *out, struct err *e)
{
	struct json_object *line, *msys, *object;
	struct event copy = *ev; /* the table's accessors are shared with the reader, who writes */
	int rc;

	if (event_check(ev, e) < 0)
		return -1;
	line = json_object_new_object();
	msys = json_object_new_object();
	object = new_fields();
	json_object_object_add_ex(line, "msys", msys, ADD);
	json_object_object_add_ex(msys, event_class_name(event_class_of(ev->type)), object, ADD);
	rc = fill(object, &copy, false, e);
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
	rc = fill(object, &copy, true, e);
	if (rc == 0)
		rc = print(object, out, e);
	json_object_put(object);
	return rc;
}
