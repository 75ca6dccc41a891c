#include "ctl/json_out.h"

#include <stdio.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/utf8.h"

struct json_object *
json_out_string(struct slice text)
{
	struct json_object *o;
	struct buf clean;

	buf_init(&clean, BUF_NO_LIMIT);
	utf8_clean(&clean, text);
	o = json_object_new_string_len(buf_str(&clean), (int)clean.len);
	buf_free(&clean);
	return o;
}

void
json_out_text(struct json_object *o, const char *name, struct slice text)
{
	json_object_object_add(o, name, json_out_string(text));
}

void
json_out_given(struct json_object *o, const char *name, struct slice text)
{
	if (text.len > 0)
		json_out_text(o, name, text);
}

void
json_out_count(struct json_object *o, const char *name, uint64_t n)
{
	json_object_object_add(o, name, json_object_new_uint64(n));
}

void
json_out_numeral(struct json_object *o, const char *name, int64_t n)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)n);
	json_object_object_add(o, name, json_object_new_string(text));
}

void
json_out_bool(struct json_object *o, const char *name, bool is)
{
	json_object_object_add(o, name, json_object_new_boolean(is));
}

void
json_out_time(struct json_object *o, const char *name, int64_t ms)
{
	char iso[CLOCK_ISO_SIZE];

	json_object_object_add(o, name, ms > 0 ? json_object_new_string(clock_iso(ms, iso)) : NULL);
}

void
json_out_print(struct json_object *o)
{
	puts(json_object_to_json_string_ext(
	    o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
}
