/*
 * batch.h - what one POST carries: one segment, gzipped.
 *
 * The same bytes always give the same body (the gzip header has no time and no
 * name), so that a batch that is sent again is the batch that was sent.
 */
#ifndef UPLOADER_BATCH_H
#define UPLOADER_BATCH_H

#include <stdbool.h>
#include <sys/stat.h>

#include "common/buf.h"
#include "common/err.h"

/*
 * Our segments have 4.5 MB at most. These limits are for what others put into
 * the spool: what is larger is more than any endpoint takes.
 */
#define BATCH_SEGMENT_MAX ((size_t)64 << 20)
#define BATCH_BODY_MAX    ((size_t)16 << 20)

enum batch_result {
	BATCH_READY, /* `body` is filled */
	BATCH_EMPTY, /* nothing but blank lines: nothing to send */
	BATCH_GONE,  /* no such file any more */
	BATCH_BAD,   /* *e says why: no regular file, unreadable, too large */
};

/*
 * Compress the segment `name` in the directory `dirfd` into `body`, which has
 * been initialised with BATCH_BODY_MAX and is cleared first; *st says which file
 * it was. Needs some 300 KB and the body; never blocks on a FIFO and does not
 * follow a symbolic link.
 */
enum batch_result batch_make(
    int dirfd, const char *name, struct buf *body, struct stat *st, struct err *e);

/* Is `name` still the file that *st says, with nothing written to it since? Also if it is gone. */
bool batch_unchanged(int dirfd, const char *name, const struct stat *st);

#endif
