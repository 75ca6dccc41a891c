#include "common/msys_api.h"

#include <json-c/json.h>

#include "common/event_text.h"
#include "common/header.h"

#define DEPTH_MAX 8
#define TAGS_MAX  10 /* SparkPost's own limit */

void
msys_api_init(struct msys_api *m)
{
	buf_init(&m->campaign_id, 1024);
	buf_init(&m->ip_pool, 1024);
	buf_init(&m->metadata, MSYS_API_MAX * 6); /* json-c may write \uXXXX for a byte */
	buf_init(&m->tags, MSYS_API_MAX * 6);
	m->open_tracking = m->click_tracking = EVENT_UNKNOWN;
}

void
msys_api_free(struct msys_api *m)
{
	buf_free(&m->campaign_id);
	buf_free(&m->ip_pool);
	buf_free(&m->metadata);
	buf_free(&m->tags);
}

static int
take_text(const struct json_object *in, const char *name, struct buf *out, struct err *e)
{
	struct json_object *v;

	if (!json_object_object_get_ex(in, name, &v) || v == NULL)
		return 0;
	if (!json_object_is_type(v, json_type_string))
		return err_set(e, "%s is not a string", name);
	buf_add(out,
	    (struct slice){ json_object_get_string(v), (size_t)json_object_get_string_len(v) });
	return out->full ? err_set(e, "%s is too long", name) : 0;
}

static int
take_flag(const struct json_object *in, const char *name, enum event_flag *out, struct err *e)
{
	struct json_object *v;

	if (!json_object_object_get_ex(in, name, &v) || v == NULL)
		return 0;
	if (!json_object_is_type(v, json_type_boolean))
		return err_set(e, "%s is neither true nor false", name);
	*out = json_object_get_boolean(v) ? EVENT_TRUE : EVENT_FALSE;
	return 0;
}

static void
keep_json(struct json_object *v, struct buf *out)
{
	buf_adds(out, json_object_to_json_string_ext(v, JSON_C_TO_STRING_PLAIN |
			      JSON_C_TO_STRING_NOSLASHESCAPE));
}

static int
take_tags(const struct json_object *in, struct buf *out, struct err *e)
{
	struct json_object *v;
	size_t n;

	if (!json_object_object_get_ex(in, "tags", &v) || v == NULL)
		return 0;
	if (!json_object_is_type(v, json_type_array))
		return err_set(e, "tags is not an array");
	n = json_object_array_length(v);
	if (n > TAGS_MAX)
		return err_set(e, "more than %d tags", TAGS_MAX);
	for (size_t i = 0; i < n; i++)
		if (!json_object_is_type(json_object_array_get_idx(v, i), json_type_string))
			return err_set(e, "tags holds something that is not a string");
	keep_json(v, out);
	return 0;
}

static int
take_options(struct msys_api *m, const struct json_object *in, struct err *e)
{
	struct json_object *v;

	if (!json_object_object_get_ex(in, "options", &v) || v == NULL)
		return 0;
	if (!json_object_is_type(v, json_type_object))
		return err_set(e, "options is not an object");
	if (take_flag(v, "open_tracking", &m->open_tracking, e) < 0 ||
	    take_flag(v, "click_tracking", &m->click_tracking, e) < 0)
		return -1;
	return take_text(v, "ip_pool", &m->ip_pool, e);
}

static int
take_all(struct msys_api *m, const struct json_object *in, struct err *e)
{
	struct json_object *v;

	if (take_text(in, "campaign_id", &m->campaign_id, e) < 0 || take_options(m, in, e) < 0 ||
	    take_tags(in, &m->tags, e) < 0)
		return -1;
	if (!json_object_object_get_ex(in, "metadata", &v) || v == NULL)
		return 0;
	if (!json_object_is_type(v, json_type_object))
		return err_set(e, "metadata is not an object");
	keep_json(v, &m->metadata);
	return 0;
}

int
msys_api_parse(struct msys_api *m, struct slice header_value, struct err *e)
{
	struct json_object *top;
	struct buf text;
	int rc;

	buf_init(&text, MSYS_API_MAX);
	header_unfold(&text, header_value);
	if (text.full) {
		buf_free(&text);
		return err_set(e, "longer than %d bytes", MSYS_API_MAX);
	}
	/* As strict as the event that metadata and tags go into. */
	top = event_text_parse(buf_slice(&text), DEPTH_MAX, e);
	if (top == NULL)
		rc = -1;
	else if (!json_object_is_type(top, json_type_object))
		rc = err_set(e, "not a JSON object");
	else
		rc = take_all(m, top, e);
	json_object_put(top);
	buf_free(&text);
	return rc;
}
