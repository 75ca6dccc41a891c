#include "common/spool_lines.h"

#include <errno.h>
#include <unistd.h>

void
spool_lines_begin(struct spool_lines *l, int fd, char *buf)
{
	*l = (struct spool_lines){ .fd = fd, .buf = buf };
}

/* Read more behind what is unused. 1: there is more; 0: end of file; -1. */
static int
more(struct spool_lines *l)
{
	ssize_t n;

	memmove(l->buf, l->buf + l->used, l->have - l->used);
	l->base += (off_t)l->used;
	l->have -= l->used;
	l->used = 0;
	do
		n = pread(
		    l->fd, l->buf + l->have, SPOOL_LINES_BUF - l->have, l->base + (off_t)l->have);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		l->have += (size_t)n;
	return n < 0 ? -1 : n > 0;
}

int
spool_lines_next(struct spool_lines *l, struct spool_line *line)
{
	bool too_long = false;
	size_t seen = 0; /* unused bytes known to have no LF */
	int rc;

	*line = (struct spool_line){ .from = l->base + (off_t)l->used };
	for (;;) {
		struct slice rest = { l->buf + l->used, l->have - l->used };
		size_t at = seen + slice_find(slice_skip(rest, seen), '\n');

		if (at < rest.len) {
			l->used += at + 1;
			line->whole = true;
			if (!too_long && at < EVENT_LINE_MAX)
				line->text = slice_head(rest, at + 1);
			break;
		}
		seen = rest.len;
		if (seen > EVENT_LINE_MAX) {
			/* No event: only its end matters. */
			too_long = true;
			l->used = l->have;
			seen = 0;
		}
		rc = more(l);
		if (rc < 0)
			return -1;
		if (rc == 0) {
			l->used = l->have;
			break;
		}
	}
	line->end = l->base + (off_t)l->used;
	return line->end > line->from;
}
