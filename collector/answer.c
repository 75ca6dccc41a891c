#include "collector/answer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "collector/download.h"
#include "common/slice.h"

static const struct {
	unsigned status;
	const char *message;
} messages[] = {
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 413, "Request Entity Too Large" },
	{ 415, "Unsupported Media Type" },
	{ 500, "Internal Server Error" },
	{ 503, "Service Unavailable" },
};

static const char *
message_for(unsigned status)
{
	for (size_t i = 0; i < COUNT(messages); i++)
		if (messages[i].status == status)
			return messages[i].message;
	return "Error";
}

void
answer_init(struct answer *a)
{
	*a = (struct answer){ 0 };
	buf_init(&a->body, BUF_NO_LIMIT);
}

void
answer_free(struct answer *a)
{
	download_close(a->download);
	a->download = NULL;
	buf_free(&a->body);
}

void
answer_json(struct answer *a, unsigned status, struct json_object *o)
{
	size_t len;
	const char *text = json_object_to_json_string_length(
	    o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);

	buf_clear(&a->body);
	if (text != NULL)
		buf_add(&a->body, (struct slice){ text, len });
	a->status = status;
	json_object_put(o);
}

void
answer_error(struct answer *a, unsigned status, const char *param, const char *fmt, ...)
{
	struct json_object *top = json_object_new_object(), *list = json_object_new_array();
	struct json_object *error = json_object_new_object();
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	json_object_object_add(error, "message", json_object_new_string(message_for(status)));
	if (param != NULL)
		json_object_object_add(error, "param", json_object_new_string(param));
	if (text != NULL)
		json_object_object_add(error, "description", json_object_new_string(text));
	json_object_array_add(list, error);
	json_object_object_add(top, "errors", list);
	answer_json(a, status, top);
	free(text);
}
