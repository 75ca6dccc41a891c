#include "collector/settings.h"

#include <stdlib.h>

#include "common/base64.h"
#include "common/xalloc.h"

#define KEY_MAX 1024 /* bytes of a Basic credential that are looked at */

static void
add_key(struct settings *s, const char *key)
{
	hash_sha256(slice_str(key), s->keys[s->n_keys++]);
}

struct settings *
settings_make(struct conf *conf, struct err *e)
{
	const struct conf_collector *c = &conf->collector;
	struct settings *s = xcalloc(1, sizeof(*s));

	atomic_init(&s->refs, 1);
	s->conf = conf;
	s->max_body = c->max_body;
	s->max_events = c->max_events;
	s->retention_s = c->retention_s;
	s->keys = xcalloc(c->api_keys.n + 1, sizeof(*s->keys));
	for (size_t i = 0; i < c->api_keys.n; i++)
		add_key(s, c->api_keys.v[i]);
	if (s->n_keys == 0 && conf->signals.api_key != NULL)
		add_key(s, conf->signals.api_key);
	if (s->n_keys == 0) {
		err_text(
		    e, 0, "%s: no api-key, neither in <collector> nor in <signals>", conf->file);
		settings_release(s);
		return NULL;
	}
	return s;
}

struct settings *
settings_load(const char *file, struct err *e)
{
	struct conf *conf = conf_load(file, e);

	return conf != NULL ? settings_make(conf, e) : NULL;
}

struct settings *
settings_hold(struct settings *s)
{
	atomic_fetch_add(&s->refs, 1);
	return s;
}

void
settings_release(struct settings *s)
{
	if (s == NULL || atomic_fetch_sub(&s->refs, 1) != 1)
		return;
	conf_free(s->conf);
	free(s->keys);
	free(s);
}

/* The key in a Basic credential: all before the colon. */
static struct slice
basic_key(struct slice encoded, struct buf *store)
{
	struct slice plain;

	if (!base64_decode(store, slice_trim(encoded), BASE64_STD))
		return (struct slice){ NULL, 0 };
	plain = buf_slice(store);
	return slice_cut(&plain, ':');
}

/* Every byte of every key is looked at, whatever the outcome. */
static bool
known_key(const struct settings *s, struct slice key)
{
	unsigned char digest[HASH_SHA256_SIZE];
	unsigned found = 0;

	hash_sha256(key, digest);
	for (size_t i = 0; i < s->n_keys; i++) {
		volatile unsigned char differ = 0;

		for (size_t j = 0; j < sizeof(digest); j++)
			differ = (unsigned char)(differ | (digest[j] ^ s->keys[i][j]));
		found |= differ == 0;
	}
	return found != 0;
}

bool
settings_authorized(const struct settings *s, struct slice header)
{
	static const struct slice basic = SLICE_LIT("Basic ");
	struct buf store;
	bool good;

	header = slice_trim(header);
	if (header.len == 0)
		return false;
	buf_init(&store, KEY_MAX);
	if (slice_startsi(header, basic))
		header = basic_key(slice_skip(header, basic.len), &store);
	good = header.len > 0 && known_key(s, header);
	buf_free(&store);
	return good;
}
