/*
 * settings.h - what the tracker takes from the configuration, ready for use.
 * Immutable, counted: a reload puts new ones in place, and a request that has
 * begun with the old ones ends with them.
 */
#ifndef TRACKER_SETTINGS_H
#define TRACKER_SETTINGS_H

#include <stdatomic.h>

#include "common/conf.h"
#include "common/token.h"
#include "tracker/client.h"
#include "tracker/machine.h"
#include "tracker/tls.h"

struct settings {
	atomic_uint refs;
	struct conf *conf;
	struct token_ring *ring;
	struct machine_rules *machines; /* NULL: no file */
	struct tls_identity *identity;  /* NULL: plain HTTP */
	struct client_proxies proxies;
};

/*
 * Read FILE, the keys, the rules and the certificate. The caller holds the one
 * reference. NULL and *e: something of it is bad.
 */
struct settings *settings_load(const char *file, struct err *e);

struct settings *settings_hold(struct settings *s);
void settings_release(struct settings *s); /* NULL is fine */

#endif
