#include "uploader/answer.h"

#include <json-c/json.h>

#include "common/buf.h"

#define JSON_DEPTH      16 /* the documented answers need four */
#define QUOTED_MESSAGES 3
#define SECRET_PART     12 /* bytes of the key that are worth hiding */

static const struct {
	long first, last; /* statuses */
	enum answer_verdict verdict;
	const char *advice;
} rows[] = {
	/* the first that fits */
	{ 200, 299, ANSWER_LATER,
	    "this is not what an ingest endpoint answers: check upload-url, and what stands "
	    "between" },
	{ 300, 399, ANSWER_SLOW,
	    "redirects are not followed: give the final address as upload-url" },
	{ 400, 400, ANSWER_REFUSED, NULL },
	{ 401, 401, ANSWER_SLOW, "check api-key" },
	{ 403, 403, ANSWER_SLOW,
	    "the api-key needs the right \"Incoming Events: Write\", and the account event "
	    "ingestion" },
	{ 404, 405, ANSWER_SLOW, "check upload-url" },
	{ 407, 407, ANSWER_SLOW, "the proxy wants a user: check https_proxy in the environment" },
	{ 408, 408, ANSWER_LATER, NULL },
	{ 410, 410, ANSWER_SLOW, "check upload-url" },
	{ 413, 413, ANSWER_TOO_LARGE,
	    "the endpoint takes less at once: the next go in smaller parts" },
	{ 415, 415, ANSWER_SLOW, "check upload-url: what is there does not take gzipped NDJSON" },
	{ 422, 422, ANSWER_REFUSED, NULL },
};

/* Where those speak of SparkPost, and something else takes the POSTs. */
static const struct {
	long first, last;
	const char *advice;
} others[] = {
	{ 401, 401, "check api-key, or the header that names the user" },
	{ 403, 403, "check api-key, or the header that names the user, and what that user may do" },
	{ 415, 415, "check url, format and compress" },
};

/* How much of the beginning of `text` is of the secret, in whatever case; 0: too little to matter.
 */
static size_t
secret_at(struct slice text, struct slice secret)
{
	size_t least = secret.len < SECRET_PART ? secret.len : SECRET_PART;

	for (size_t from = 0; from < secret.len && secret.len - from >= least; from++) {
		struct slice part = slice_skip(secret, from);
		size_t n = 0;

		if (!slice_startsi(text, slice_head(part, least)))
			continue;
		while (n < part.len && slice_startsi(text, slice_head(part, n + 1)))
			n++;
		return n;
	}
	return 0;
}

/*
 * Copy printable ASCII, at most `max` bytes and a NUL, without `secret` or any
 * longer part of it, in whatever case. It is taken out before the length is cut:
 * half a key is none of a log's business either.
 */
static void
quote(char *out, size_t max, struct slice text, struct slice secret)
{
	static const struct slice mark = { "[api-key]", 9 };
	size_t n = 0, of_secret;

	while (text.len > 0 && n < max) {
		of_secret = secret_at(text, secret);
		if (of_secret > 0) {
			size_t len = mark.len < max - n ? mark.len : max - n;

			memcpy(out + n, mark.p, len);
			n += len;
			text = slice_skip(text, of_secret);
			continue;
		}
		out[n++] = '?';
		if (*text.p >= 0x20 && *text.p < 0x7f)
			out[n - 1] = *text.p;
		text = slice_skip(text, 1);
	}
	out[n] = '\0';
}

static struct json_object *
parse(struct slice body)
{
	struct json_tokener *tok;
	struct json_object *root;

	if (body.len == 0 || body.len > INT32_MAX)
		return NULL;
	tok = json_tokener_new_ex(JSON_DEPTH);
	if (tok == NULL)
		return NULL;
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	root = json_tokener_parse_ex(tok, body.p, (int)body.len);
	if (json_tokener_get_error(tok) != json_tokener_success) {
		json_object_put(root);
		root = NULL;
	}
	json_tokener_free(tok);
	return root;
}

static struct json_object *
member(struct json_object *o, const char *name, enum json_type type)
{
	struct json_object *v;

	if (!json_object_is_type(o, json_type_object) || !json_object_object_get_ex(o, name, &v))
		return NULL;
	return json_object_is_type(v, type) ? v : NULL;
}

/* The text of a string member; empty if there is none. */
static struct slice
text_member(struct json_object *o, const char *name)
{
	struct json_object *v = member(o, name, json_type_string);

	if (v == NULL)
		return (struct slice){ "", 0 };
	return (struct slice){ json_object_get_string(v), (size_t)json_object_get_string_len(v) };
}

/* {"errors":[{"message":"...","description":"..."}]}: the first few, in one line. */
static void
quote_errors(struct json_object *root, struct slice secret, struct answer *out)
{
	struct json_object *errors = member(root, "errors", json_type_array);
	size_t n = errors == NULL ? 0 : json_object_array_length(errors);
	struct buf b;

	buf_init(&b, BUF_NO_LIMIT); /* the body is bounded, and so are its parts */
	for (size_t i = 0; i < n && i < QUOTED_MESSAGES; i++) {
		struct json_object *one = json_object_array_get_idx(errors, i);
		struct slice message = text_member(one, "message");
		struct slice more = text_member(one, "description");

		if (message.len > 0 && b.len > 0)
			buf_adds(&b, "; ");
		buf_add(&b, message);
		if (message.len > 0 && more.len > 0)
			buf_adds(&b, ": ");
		buf_add(&b, more);
	}
	quote(out->quote, ANSWER_QUOTE_MAX, buf_slice(&b), secret);
	buf_free(&b);
}

/* What is no JSON, and no page for people: ClickHouse says its errors in a line of text. */
static void
quote_text(struct slice body, struct slice secret, struct answer *out)
{
	struct slice text = slice_trim(body);

	if (text.len == 0 || text.p[0] == '<')
		return;
	text = slice_trim(slice_head(text, slice_find(text, '\n')));
	quote(out->quote, ANSWER_QUOTE_MAX, text, secret);
}

void
answer_read(long status, struct slice body, struct slice secret, bool needs_id, struct answer *out)
{
	struct json_object *root = parse(body);
	struct slice id;

	*out = (struct answer){ .verdict = ANSWER_LATER };
	for (size_t i = 0; i < COUNT(rows); i++)
		if (status >= rows[i].first && status <= rows[i].last) {
			out->verdict = rows[i].verdict;
			out->advice = rows[i].advice;
			break;
		}
	id = text_member(member(root, "results", json_type_object), "id");
	if (needs_id ? status == 200 && id.len > 0 : status >= 200 && status <= 299) {
		out->verdict = ANSWER_DONE;
		out->advice = NULL;
		quote(out->id, ANSWER_ID_MAX, id, secret);
	} else {
		quote_errors(root, secret, out);
		if (!needs_id && out->quote[0] == '\0')
			quote_text(body, secret, out);
		for (size_t i = 0; !needs_id && i < COUNT(others); i++)
			if (status >= others[i].first && status <= others[i].last)
				out->advice = others[i].advice;
	}
	json_object_put(root);
}
