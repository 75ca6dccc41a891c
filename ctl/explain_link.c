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
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "common/link.h"
#include "ctl/explain.h"
#include "ctl/json_out.h"

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

	json_out_given(o, "kind", slice_str(kind_name(l->kind)));
	json_out_given(o, "message_id", slice_str(ids_text(l->message, id)));
	json_out_given(o, "recipient", l->rcpt);
	json_out_count(o, "subaccount", l->subaccount);
	json_out_given(o, "name", l->name);
	json_out_given(o, "target", l->url);
	json_out_time(o, "made", (int64_t)l->message.time * 1000);
	if (expiry_s != CONF_UNLIMITED)
		json_out_time(o, "expires", ((int64_t)l->message.time + (int64_t)expiry_s) * 1000);
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
	json_out_given(line, "url", slice_str(url));
	json_out_bool(line, "opens", opens);
	if (opens)
		put_link(line, conf, &l);
	if (link_key_id(path, &key))
		json_object_object_add(line, "key", json_object_new_int((int)key));
	json_out_print(line);
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
