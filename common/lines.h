/*
 * lines.h - the lines of a segment, read through a window: memory is bounded whatever
 * the file holds.
 *
 *	lines_open(&r, fd, offset);
 *	while ((rc = lines_next(&r, &line, &e)) > 0)
 *		...
 *	lines_close(&r);
 */
#ifndef UPLOADER_LINES_H
#define UPLOADER_LINES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/slice.h"

#define LINES_WINDOW ((size_t)1 << 20) /* a longer line is not shown, but its extent is */

struct lines {
	int fd;
	char *window;
	size_t at, filled; /* of the window */
	uint64_t offset;   /* of window[at] in the file */
	bool eof;
};

struct line {
	struct slice text; /* without LF; its first bytes if it is longer than the window */
	uint64_t offset;
	uint64_t len;  /* in the file, without LF */
	uint64_t next; /* where the next one begins */
	bool too_long;
	bool ended; /* with an LF; else with the file */
};

void lines_open(struct lines *r, int fd, uint64_t offset); /* `fd` stays the caller's */
void lines_close(struct lines *r);

/* 1: *out, valid until the next call; 0: the file's end; -1 and *e: it can't be read. */
int lines_next(struct lines *r, struct line *out, struct err *e);

/* Nothing but blanks: no event. */
bool lines_is_blank(struct slice text);

/*
 * Open a segment for reading: -1 and *e unless it is a regular file; *gone if there is
 * none. Never blocks on a FIFO, does not follow a link.
 */
int lines_open_file(int dirfd, const char *name, bool *gone, uint64_t *size, struct err *e);

#endif
