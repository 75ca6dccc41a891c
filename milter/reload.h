/*
 * reload.h - the settings in force: configuration, DKIM keys, token keys. They
 * are immutable and swapped whole; who began with the old ones ends with them. A
 * bad file changes nothing.
 */
#ifndef MILTER_RELOAD_H
#define MILTER_RELOAD_H

#include "common/outgoing.h"

struct settings; /* counted; never NULL once reload_first() has returned 0 */

/*
 * Load FILE, all keys it names included, for the first time. -1: *e set.
 * Warnings of the configuration are logged.
 */
int reload_first(const char *file, struct err *e);

/* Blocks SIGUSR1 and libmilter's signals in the caller, and so in the threads that it starts. */
void reload_block_signals(void);

/*
 * Start the thread that reloads at SIGUSR1, also at one that came before. A SIGHUP that came
 * before is dropped. Call last before smfi_main().
 */
int reload_start(struct err *e);

struct settings *reload_acquire(void);
void reload_release(struct settings *s); /* NULL is fine */
const struct outgoing_context *reload_context(const struct settings *s);

#endif
