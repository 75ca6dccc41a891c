/*
 * lines.h - the lines of a file of any size, read through a window: memory is bounded
 * and the time linear, whatever the file holds.
 *
 *	lines_open(&r, fd, offset);
 *	while ((rc = lines_next(&r, &line, &e)) > 0)
 *		...
 *	lines_close(&r);
 */
#ifndef COMMON_LINES_H
#define COMMON_LINES_H

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
	/* Without its LF, which follows it; its first bytes if it is longer than the window. */
	struct slice text;
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

bool lines_is_blank(struct slice text); /* nothing but blanks */

#endif
