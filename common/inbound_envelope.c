#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base64.h"
#include "common/event_text.h"
#include "common/inbound_private.h"
#include "common/utf8.h"
#include "common/xalloc.h"

#define DEPTH        3      /* the object, its recipients, one of them */
#define BINARY       "_b64" /* behind the name of a text that is not UTF-8 */
#define NAME_MAX_LEN 32

static const char *const list_names[] = {
	[INBOUND_BOUNCE] = "bounce",
	[INBOUND_FEEDBACK] = "feedback",
};

/* The texts of an envelope; recipients have their own. */
static const struct {
	const char *name;
	size_t at;
} fields[] = {
	{ "from", offsetof(struct inbound_envelope, from) },
	{ "queue_id", offsetof(struct inbound_envelope, queue_id) },
	{ "client_ip", offsetof(struct inbound_envelope, client_ip) },
	{ "client_name", offsetof(struct inbound_envelope, client_name) },
	{ "helo", offsetof(struct inbound_envelope, helo) },
};

static bool
is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

/* ---- writing ---- */

static struct json_object *
text_of(const struct buf *b)
{
	return json_object_new_string_len(b->p != NULL ? b->p : "", (int)b->len);
}

static void
put_text(struct json_object *object, const char *name, struct slice text)
{
	char binary[NAME_MAX_LEN];
	struct buf clean, code;

	buf_init(&clean, BUF_NO_LIMIT);
	buf_add(&clean, text);
	/* Nobody's address, and a trap for whoever puts it into an SMTP command or a log. */
	for (size_t i = 0; i < clean.len; i++)
		if (is_control(clean.p[i]))
			clean.p[i] = '?';
	if (utf8_valid(buf_slice(&clean))) {
		json_object_object_add(object, name, text_of(&clean));
	} else {
		snprintf(binary, sizeof(binary), "%s" BINARY, name);
		buf_init(&code, BUF_NO_LIMIT);
		base64_encode(&code, buf_slice(&clean), BASE64_STD);
		json_object_object_add(object, binary, text_of(&code));
		buf_free(&code);
	}
	buf_free(&clean);
}

static struct json_object *
rcpts_of(const struct inbound_envelope *env)
{
	struct json_object *all = json_object_new_array();

	for (size_t i = 0; i < env->n_rcpts; i++) {
		struct json_object *rcpt = json_object_new_object();

		put_text(rcpt, "to", env->rcpts[i].address);
		json_object_object_add(
		    rcpt, "list", json_object_new_string(list_names[env->rcpts[i].list]));
		json_object_array_add(all, rcpt);
	}
	return all;
}

/* No text is so long that its length does not fit json-c's int. */
static bool
is_too_long(const struct inbound_envelope *env)
{
	size_t n = 0;

	for (size_t i = 0; i < COUNT(fields); i++)
		n += ((const struct slice *)((const char *)env + fields[i].at))->len;
	for (size_t i = 0; i < env->n_rcpts && n <= INBOUND_ENVELOPE_MAX; i++)
		n += env->rcpts[i].address.len;
	return n > INBOUND_ENVELOPE_MAX;
}

int
inbound_envelope_write(const struct inbound_envelope *env, struct buf *out, struct err *e)
{
	struct json_object *object;
	struct slice line;
	int rc = 0;

	if (env->n_rcpts == 0)
		return err_set(e, "no recipient");
	if (is_too_long(env))
		return err_set(e, "envelope longer than %u bytes", INBOUND_ENVELOPE_MAX);
	object = json_object_new_object();
	for (size_t i = 0; i < COUNT(fields); i++)
		put_text(object, fields[i].name,
		    *(const struct slice *)((const char *)env + fields[i].at));
	json_object_object_add(object, "received", json_object_new_int64(env->received_s));
	json_object_object_add(object, "rcpts", rcpts_of(env));
	line.p = json_object_to_json_string_length(
	    object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &line.len);
	if (line.len > INBOUND_ENVELOPE_MAX) {
		rc = err_set(e, "envelope longer than %u bytes", INBOUND_ENVELOPE_MAX);
	} else {
		buf_add(out, line);
		buf_addc(out, '\n');
	}
	json_object_put(object);
	return rc;
}

/* ---- reading ---- */

/* The string `name` of an object; false if it has none. */
static bool
string_of(struct json_object *object, const char *name, struct slice *out)
{
	struct json_object *value = json_object_object_get(object, name);

	if (!json_object_is_type(value, json_type_string))
		return false;
	out->p = json_object_get_string(value);
	out->len = (size_t)json_object_get_string_len(value);
	return true;
}

/* Append the text to `store`, which has room for it: nothing moves. */
static int
get_text(struct json_object *object, const char *name, struct buf *store, struct slice *out,
    struct err *e)
{
	char binary[NAME_MAX_LEN];
	size_t from = store->len;
	struct slice text;

	snprintf(binary, sizeof(binary), "%s" BINARY, name);
	if (string_of(object, name, &text))
		buf_add(store, text);
	else if (!string_of(object, binary, &text) || !base64_decode(store, text, BASE64_STD))
		return err_set(e, "envelope: no text \"%s\"", name);
	*out = (struct slice){ store->p + from, store->len - from };
	for (size_t i = 0; i < out->len; i++)
		if (is_control(out->p[i]))
			return err_set(e, "envelope: control character in \"%s\"", name);
	return 0;
}

static int
get_rcpt(struct json_object *object, struct buf *store, struct inbound_rcpt *out, struct err *e)
{
	struct slice list;

	if (!json_object_is_type(object, json_type_object))
		return err_set(e, "envelope: a recipient that is no object");
	if (get_text(object, "to", store, &out->address, e) < 0)
		return -1;
	if (out->address.len == 0)
		return err_set(e, "envelope: an empty recipient");
	if (!string_of(object, "list", &list))
		return err_set(e, "envelope: no text \"list\"");
	for (size_t i = 0; i < COUNT(list_names); i++)
		if (slice_eq(list, slice_str(list_names[i]))) {
			out->list = (enum inbound_list)i;
			return 0;
		}
	return err_set(e, "envelope: unknown list \"%.*s\"", SLICE_FMT(slice_head(list, 32)));
}

static int
get_rcpts(struct json_object *object, struct inbound_envelope *env, struct buf *store,
    struct inbound_rcpt **rcpts, struct err *e)
{
	struct json_object *all = json_object_object_get(object, "rcpts");
	size_t n;

	if (!json_object_is_type(all, json_type_array) || (n = json_object_array_length(all)) == 0)
		return err_set(e, "envelope: no recipients");
	*rcpts = xcalloc(n, sizeof(**rcpts));
	for (size_t i = 0; i < n; i++)
		if (get_rcpt(json_object_array_get_idx(all, i), store, &(*rcpts)[i], e) < 0)
			return -1;
	env->rcpts = *rcpts;
	env->n_rcpts = n;
	return 0;
}

static int
get_all(struct json_object *object, struct inbound_envelope *env, struct buf *store,
    struct inbound_rcpt **rcpts, struct err *e)
{
	struct json_object *received = json_object_object_get(object, "received");

	for (size_t i = 0; i < COUNT(fields); i++)
		if (get_text(object, fields[i].name, store,
			(struct slice *)((char *)env + fields[i].at), e) < 0)
			return -1;
	if (!json_object_is_type(received, json_type_int) || json_object_get_int64(received) < 0)
		return err_set(e, "envelope: no number \"received\"");
	env->received_s = json_object_get_int64(received);
	return get_rcpts(object, env, store, rcpts, e);
}

int
inbound_envelope_read(struct slice line, struct inbound_envelope *env, struct buf *store,
    struct inbound_rcpt **rcpts, struct err *e)
{
	struct json_object *object;
	struct err why;
	int rc = 0;

	*env = (struct inbound_envelope){ 0 };
	*rcpts = NULL;
	if (line.len > INBOUND_ENVELOPE_MAX)
		return err_set(e, "envelope longer than %u bytes", INBOUND_ENVELOPE_MAX);
	object = event_text_parse(line, DEPTH, &why);
	if (object == NULL)
		return err_set(e, "envelope: %s", why.text);
	/* What is read is never longer than what it is read from. */
	if (!json_object_is_type(object, json_type_object))
		rc = err_set(e, "envelope: not an object");
	else if (!buf_reserve(store, line.len))
		rc = err_set(e, "envelope longer than %zu bytes", store->max);
	else
		rc = get_all(object, env, store, rcpts, e);
	json_object_put(object);
	return rc;
}
