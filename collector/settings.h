/*
 * settings.h - what the collector takes from the configuration, ready for use.
 * Immutable, counted: a reload puts new ones in place, and a request that has
 * begun with the old ones ends with them.
 */
#ifndef COLLECTOR_SETTINGS_H
#define COLLECTOR_SETTINGS_H

#include <stdatomic.h>

#include "common/conf.h"
#include "common/err.h"
#include "common/hash.h"
#include "common/slice.h"

struct settings {
	atomic_uint refs;
	struct conf *conf;
	size_t n_keys;
	unsigned char (*keys)[HASH_SHA256_SIZE]; /* digests: what is compared has one length */
	uint64_t max_body, max_events, retention_s;
};

/*
 * Read FILE. The caller holds the one reference. NULL and *e: a bad file, or
 * no API key, neither in <collector> nor in <signals>.
 */
struct settings *settings_load(const char *file, struct err *e);
struct settings *settings_make(
    struct conf *conf, struct err *e); /* takes `conf`, frees it on error */

struct settings *settings_hold(struct settings *s);
void settings_release(struct settings *s); /* NULL is fine */

/*
 * Does this Authorization header ("KEY", or "Basic " and base64 of "KEY:")
 * hold one of the keys? Takes as long for a wrong key as for a right one.
 */
bool settings_authorized(const struct settings *s, struct slice header);

#endif
