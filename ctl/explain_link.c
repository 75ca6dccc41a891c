/*
 * explain_link.c - `signalpost explain link URL...`: what a tracked URL holds, one
 * JSON line each:
 *
 *	{"url": U, "opens": true, "kind": "click", "message_id": I, "recipient": R,
 *	 "subaccount": N, "name": L, "target": T, "key": K, "made": TIME, "expires": TIME}
 *
 * What is not there is left out; of one that does not open there is "opens": false
 * and, if there is a token at all, the key that it asks for.
 */
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "common/clock.h"
#include "common/link.h"
#include "common/utf8.h"
#include "ctl/explain.h"

static const struct {
	enum token_kind kind;
	const char *name;
} kind_names[] = {
	{ TOKEN_CLICK, "click" },
	{ TOKEN_UNSUBSCRIBE, "unsubscribe" },
	{ TOKEN_OPEN, "open" },
	{ TOKEN_INITIAL_OPEN, "initial_open" },
};

static const char *
kind_name(enum token_kind kind)
{
	for (size_t i = 0; i < COUNT(kind_names); i++)
		if (kind_names[i].kind == kind)
			return kind_names[i].name;
	return "";
}

static void
put(struct json_object *o, const char *name, struct slice value)
{
	struct buf clean;

	if (value.len == 0)
		return;
	buf_init(&clean, BUF_NO_LIMIT);
	utf8_clean(&clean, value);
	json_object_object_add(o, name, json_object_new_string_len(clean.p, (int)clean.len));
	buf_free(&clean);
}

static void
put_time(struct json_object *o, const char *name, int64_t wall_s)
{
	char text[CLOCK_ISO_SIZE];

	put(o, name, slice_str(clock_iso(wall_s * 1000, text)));
}

/* "/c/TOKEN" of "https://host/c/TOKEN?x#y", or of a path alone. */
static struct slice
path_of(struct slice url)
{
	struct slice path = url;
	size_t end = 0;

	for (size_t i = 0; i + 3 <= url.len; i++)
		if (memcmp(url.p + i, "://", 3) == 0) {
			path = slice_skip(url, i + 3);
			path = slice_skip(path, slice_find(path, '/'));
			break;
		}
	while (end < path.len && path.p[end] != '?' && path.p[end] != '#')
		end++;
	return slice_head(path, end);
}

static void
put_link(struct json_object *o, const struct conf *conf, const struct link *l)
{
	uint64_t expiry_s = conf->tracker.link_expiry_s;
	char id[IDS_SIZE];

	put(o, "kind", slice_str(kind_name(l->kind)));
	put(o, "message_id", slice_str(ids_text(l->message, id)));
	put(o, "recipient", l->rcpt);
	json_object_object_add(o, "subaccount", json_object_new_uint64(l->subaccount));
	put(o, "name", l->name);
	put(o, "target", l->url);
	put_time(o, "made", l->message.time);
	if (expiry_s != CONF_UNLIMITED)
		put_time(o, "expires", (int64_t)l->message.time + (int64_t)expiry_s);
}

static bool
print_link(const struct token_ring *r, const struct conf *conf, const char *url)
{
	struct json_object *line = json_object_new_object();
	struct slice path = path_of(slice_str(url));
	struct buf store;
	struct link l;
	unsigned key;
	bool opens;

	buf_init(&store, TOKEN_PLAIN_MAX);
	opens = link_open(r, path, &l, &store);
	put(line, "url", slice_str(url));
	json_object_object_add(line, "opens", json_object_new_boolean(opens));
	if (opens)
		put_link(line, conf, &l);
	if (link_key_id(path, &key))
		json_object_object_add(line, "key", json_object_new_int((int)key));
	puts(json_object_to_json_string_ext(
	    line, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(line);
	buf_free(&store);
	return opens;
}

int
explain_link(const struct conf *conf, int argc, char **argv)
{
	struct token_ring *r;
	struct err e;
	int rc = EX_OK;

	r = token_ring_open(conf->token_keys.directory, &e);
	if (r == NULL) {
		fprintf(stderr, "signalpost explain: %s\n", e.text);
		return EX_CONFIG;
	}
	for (int i = 0; i < argc; i++)
		if (!print_link(r, conf, argv[i]))
			rc = 1;
	token_ring_close(r);
	return rc;
}
