#include "common/event_text.h"

#include <limits.h>

#include "common/utf8.h"

static bool
is_digit(const char *p, const char *end)
{
	return p < end && *p >= '0' && *p <= '9';
}

/*
 * What json-c lets pass, seen without parsing: bytes below blank in a string,
 * and outside of strings anything but punctuation, numbers, true, false, null.
 */
static bool
is_plain(struct slice text)
{
	const char *p = text.p, *end = p + text.len;
	bool in_string = false;

	for (; p < end; p++) {
		if (in_string) {
			if ((unsigned char)*p < 0x20)
				return false;
			if (*p == '"')
				in_string = false;
			else if (*p == '\\' && ++p == end)
				return false;
		} else if (*p == '"') {
			in_string = true;
		} else if (*p == '\0' ||
			   strchr(" \t\r\n{}[]:,-+0123456789.eEtrufalsn", *p) == NULL) {
			return false;
		} else if (*p == '.' && !is_digit(p + 1, end)) {
			return false;
		}
	}
	return !in_string;
}

struct json_object *
event_text_parse(struct slice text, int depth, struct err *e)
{
	struct json_tokener *tok;
	struct json_object *object;
	enum json_tokener_error error;

	text = slice_trim(text);
	if (text.len == 0 || text.len > INT_MAX || !is_plain(text)) {
		err_text(e, 0, "not JSON");
		return NULL;
	}
	/* json-c's own check takes characters that are longer than they need be. */
	if (!utf8_valid(text)) {
		err_text(e, 0, "not JSON: not UTF-8");
		return NULL;
	}
	/* json-c counts a value in the innermost container as a level too. */
	tok = json_tokener_new_ex(depth + 1);
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT);
	object = json_tokener_parse_ex(tok, text.p, (int)text.len);
	error = json_tokener_get_error(tok);
	if (error == json_tokener_success && json_tokener_get_parse_end(tok) < text.len)
		error = json_tokener_error_parse_unexpected;
	if (error != json_tokener_success) {
		json_object_put(object);
		object = NULL;
	}
	if (object == NULL)
		err_text(e, 0, "not JSON: %s",
		    error == json_tokener_success    ? "null"
		    : error == json_tokener_continue ? "incomplete"
						     : json_tokener_error_desc(error));
	json_tokener_free(tok);
	return object;
}

bool
event_text_is(const struct json_object *value, enum event_field_kind kind)
{
	if (!json_object_is_type(value, kind == EVENT_OBJECT ? json_type_object : json_type_array))
		return false;
	if (kind == EVENT_OBJECT)
		return true;
	for (size_t i = 0; i < json_object_array_length(value); i++)
		if (!json_object_is_type(json_object_array_get_idx(value, i), json_type_string))
			return false;
	return true;
}
