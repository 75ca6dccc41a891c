/*
 * spool_lines.h - the lines of a file of any size, in bounded memory.
 *
 *	spool_lines_begin(&l, fd, buf);
 *	while ((rc = spool_lines_next(&l, &line)) > 0)
 *		...
 *
 * Linear in the file's size, whatever it holds.
 */
#ifndef COMMON_SPOOL_LINES_H
#define COMMON_SPOOL_LINES_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/event.h"
#include "common/slice.h"

#define SPOOL_LINES_BUF ((size_t)EVENT_LINE_MAX + 65536)

struct spool_lines {
	int fd;     /* a regular file's */
	char *buf;  /* the caller's, SPOOL_LINES_BUF bytes */
	off_t base; /* offset of buf[0] in the file */
	size_t used, have;
};

struct spool_line {
	off_t from, end;   /* in the file, LF included */
	struct slice text; /* with its LF; empty if longer than an event may be */
	bool whole;        /* ends in LF */
};

void spool_lines_begin(struct spool_lines *l, int fd, char *buf);

/*
 * 1: a line, whole or the torn end, `text` valid until the next call; 0: no more; -1: errno.
 * A torn end has no text.
 */
int spool_lines_next(struct spool_lines *l, struct spool_line *line);

#endif
