/*
 * event_text.h - strict JSON text for the writer and the reader of event lines:
 * json-c takes more than RFC 8259 has (NaN, single quotes, bare control
 * characters), and what it takes it would write out again.
 */
#ifndef COMMON_EVENT_TEXT_H
#define COMMON_EVENT_TEXT_H

#include <json-c/json.h>

#include "common/event_field.h"

/*
 * Parse `text`, all of it, with at most `depth` levels of nesting. The caller
 * json_object_put()s it. NULL and *e if it is no JSON (a bare null counts as none).
 */
struct json_object *event_text_parse(struct slice text, int depth, struct err *e);

/* Is this what a field of kind EVENT_OBJECT or EVENT_STRINGS holds? False for NULL. */
bool event_text_is(const struct json_object *value, enum event_field_kind kind);

#endif
