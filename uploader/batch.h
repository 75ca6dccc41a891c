/*
 * batch.h - what one POST carries: a segment, or as much of it as may go at once.
 *
 * Each line is read as the event that it should be: what is none (torn, flipped bits,
 * foreign) is left out and its place noted, so that it can be kept elsewhere; what is
 * too old is left out and counted. The lines that go are those of the file, byte for
 * byte, or flat ones. The same bytes always give the same body (the gzip header has no
 * time and no name), so that a batch that is sent again is the batch that was sent.
 *
 * Everything here may run in any thread.
 */
#ifndef UPLOADER_BATCH_H
#define UPLOADER_BATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/spool.h"

#define BATCH_BYTES    ((size_t)4500000)  /* of lines: below 5 MB, however that is counted */
#define BATCH_BODY_MAX ((size_t)16 << 20) /* flat lines and what does not compress included */
#define BATCH_BAD_MAX  1000               /* lines that are left out in one go */

struct batch_ask {
	int dirfd;
	char name[SPOOL_NAME_SIZE];
	uint64_t offset;     /* where to begin: behind a line's end */
	size_t max_bytes;    /* of lines; the first goes whatever its size */
	uint64_t max_events; /* at least 1 */
	int64_t oldest_s;    /* events before that are too old; INT64_MIN: none is */
	bool flat, gzip;
};

struct batch_bad { /* a line that is no event */
	uint64_t offset, len;
	bool ended;
	char why[120];
};

enum batch_state {
	BATCH_READY,   /* `body` is filled */
	BATCH_NOTHING, /* nothing to send between offset and end */
	BATCH_GONE,    /* no such file */
	BATCH_FAILED,  /* `why`: no regular file, unreadable */
};

struct batch {
	enum batch_state state;
	struct err why;
	struct buf body;
	uint64_t offset, end; /* the part of the file that this is about */
	bool at_end;          /* nothing was behind `end` */
	uint64_t size;        /* of the file */
	uint64_t events;      /* in the body */
	uint64_t expired;     /* left out for their age */
	size_t n_bad, room;
	struct batch_bad *bad;
};

void batch_init(struct batch *b);
void batch_free(struct batch *b);

/* Fill `b`, which has been initialised and perhaps used before. Some 2 MB and the body. */
void batch_make(struct batch *b, const struct batch_ask *ask);

struct batch_count {
	enum batch_state state; /* READY; NOTHING: no event in it; GONE, FAILED */
	struct err why;
	uint64_t events;  /* lines that are not blank */
	uint64_t bytes;   /* of the file */
	int64_t oldest_s; /* of the timestamps in it; 0: there is none */
};

/* How many events are in a segment? Lines are not judged. */
void batch_count(int dirfd, const char *name, struct batch_count *out);

/* The size of the file now; -1 if it is gone or no file. */
int64_t batch_size(int dirfd, const char *name);

#endif
