/*
 * scan.h - what is new in the spool, oldest first, for the ledger.
 *
 * inotify names what appears; the interval catches what inotify missed. However much
 * waits, only a window of names is in memory: the oldest of those that are not known yet.
 */
#ifndef UPLOADER_SCAN_H
#define UPLOADER_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/spool.h"

#define SCAN_WINDOW 8192

struct scan {
	struct spool *sp;
	int inotify;
	bool unread; /* the directory has names that are not in the window */
	size_t n, at;
	char (
	    *names)[SPOOL_NAME_SIZE]; /* of the window, 2 * SCAN_WINDOW of room; taken up to `at` */
	size_t behind;                /* names that did not fit, at the last reading */
};

/* Watch the spool. -1 and *e: no inotify. scan_close() takes what scan_open() failed on. */
int scan_open(struct scan *s, struct spool *sp, struct err *e);
void scan_close(struct scan *s);

/* s->inotify is readable: what has appeared goes into the window. */
void scan_changed(struct scan *s);

bool scan_wants(const struct scan *s); /* scan_read() would read, asked or not */

/*
 * Read the directory if the window is empty and names may be missing from it, or if `all`:
 * those that `known` does not know. known() < 0 ends it. -1 and *e: the directory can't be read.
 */
int scan_read(
    struct scan *s, bool all, int (*known)(void *arg, const char *name), void *arg, struct err *e);

/* The next name, or NULL. A name may come twice. */
const char *scan_next(struct scan *s);
size_t scan_left(const struct scan *s); /* names that are still to come, as far as is known */

#endif
