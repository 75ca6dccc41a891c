/*
 * scan.h - what waits in the spool to be sent, oldest first.
 *
 * The queue mirrors the directory events/: scan_read() brings it up to date.
 * inotify says when that is worth it; the interval catches what inotify missed.
 */
#ifndef UPLOADER_SCAN_H
#define UPLOADER_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/spool.h"
#include "uploader/backoff.h"

enum scan_state {
	SCAN_WAITS, /* to be sent, not before not_before_ms */
	SCAN_SENT,  /* the endpoint has it, but it could not be removed */
	SCAN_BAD,   /* it can't be read; logged */
};

struct scan_item {
	char name[SPOOL_NAME_SIZE];
	enum scan_state state;
	int64_t not_before_ms;  /* monotonic; after a refusal of this segment alone */
	struct backoff backoff; /* for the same */
};

struct scan {
	struct spool *sp;
	int inotify;
	size_t n;
	struct scan_item *items; /* by name, which is by age */
	size_t n_strangers, strangers_room;
	char **strangers; /* names in events/ that are no segments, complained about already */
};

/* Watch the spool. -1 and *e: no inotify. scan_close() takes what scan_open() failed on. */
int scan_open(struct scan *s, struct spool *sp, struct err *e);
void scan_close(struct scan *s);

/* s->inotify is readable: take the events off it. True if the queue is to be read again. */
bool scan_changed(struct scan *s);

/*
 * Bring the queue up to date: items that stay keep their state, those whose
 * file is gone go too. `found` is called for each that is new, oldest first.
 * Pointers to items are invalid afterwards. -1 and *e: the directory can't be read.
 */
int scan_read(struct scan *s, void (*found)(void *arg, const char *name), void *arg, struct err *e);

/* Report each thing in events/ that is neither a segment (a regular file) nor open/, once. */
int scan_strangers(
    struct scan *s, void (*report)(void *arg, const char *name), void *arg, struct err *e);

/* The oldest that waits and may be sent now; NULL: none, and *wake_ms is when one may be, or
 * INT64_MAX. */
struct scan_item *scan_next(struct scan *s, int64_t now_ms, int64_t *wake_ms);
size_t scan_waiting(const struct scan *s);

struct scan_item *scan_find(struct scan *s, const char *name);
void scan_remove(struct scan *s, struct scan_item *item);

#endif
