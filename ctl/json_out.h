/*
 * json_out.h - what commands print as JSON: members of an object, on top of json-c.
 *
 *	struct json_object *o = json_object_new_object();
 *
 *	json_out_text(o, "queue_id", id);
 *	json_out_count(o, "events", n);
 *	json_out_print(o);
 *
 * Texts may be any bytes: what is no UTF-8 is replaced.
 */
#ifndef CTL_JSON_OUT_H
#define CTL_JSON_OUT_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/slice.h"

/* For arrays. */
struct json_object *json_out_string(struct slice text);

void json_out_text(struct json_object *o, const char *name, struct slice text);
/* An empty text is left out. */
void json_out_given(struct json_object *o, const char *name, struct slice text);
void json_out_count(struct json_object *o, const char *name, uint64_t n);
/* A number as a string, as it is in events. */
void json_out_numeral(struct json_object *o, const char *name, int64_t n);
void json_out_bool(struct json_object *o, const char *name, bool is);
/* ISO 8601; null for 0 and less, which is not known. */
void json_out_time(struct json_object *o, const char *name, int64_t ms);

/* On one line of standard output. The object is gone. */
void json_out_print(struct json_object *o);

#endif
