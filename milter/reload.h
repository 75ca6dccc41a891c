/*
 * reload.h - the settings in force: configuration, DKIM keys, token keys. They
 * are immutable and swapped whole; who began with the old ones ends with them. A
 * bad file changes nothing.
 */
#ifndef MILTER_RELOAD_H
#define MILTER_RELOAD_H

#include "common/outgoing.h"

struct settings; /* counted; never NULL once reload_start() has returned 0 */

/*
 * Load FILE, all keys it names included, for the first time. -1: *e set.
 * Warnings of the configuration are logged.
 */
int reload_first(const char *file, struct err *e);

/* Start the thread that reloads at SIGUSR1. Blocks SIGUSR1 and libmilter's signals in the caller. */
int reload_start(struct err *e);

struct settings *reload_acquire(void);
void reload_release(struct settings *s); /* NULL is fine */
const struct outgoing_context *reload_context(const struct settings *s);

#endif
