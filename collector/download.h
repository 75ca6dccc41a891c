/*
 * download.h - the events of a batch, or its failed lines, as gzip of JSON
 * lines. Read from the store a little at a time, so that neither a big batch
 * nor a slow reader costs memory or holds a transaction open.
 */
#ifndef COLLECTOR_DOWNLOAD_H
#define COLLECTOR_DOWNLOAD_H

#include <sys/types.h>

#include "collector/store.h"

enum download_kind {
	DOWNLOAD_EVENTS,   /* the lines as they were posted */
	DOWNLOAD_FAILURES, /* {"line":N,"reason":"...","event":"the line"} */
};

struct download;

/* 1: *out is to be closed. 0: no such batch. -1: *e. */
int download_open(struct store *s, enum download_kind kind, struct slice uuid,
    struct download **out, struct err *e);

/* Up to `max` bytes more. 0: the end. -1: *e. */
ssize_t download_read(struct download *d, char *out, size_t max, struct err *e);

void download_close(struct download *d); /* NULL is fine */

#endif
