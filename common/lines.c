#include "common/lines.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/xalloc.h"

void
lines_open(struct lines *r, int fd, uint64_t offset)
{
	*r = (struct lines){ .fd = fd, .offset = offset };
	r->window = xrealloc(NULL, 1, LINES_WINDOW); /* zeros would cost more than a small file */
}

void
lines_close(struct lines *r)
{
	free(r->window);
	r->window = NULL;
}

/* One read behind what is there; the line that is under way moves to the front. */
static int
fill(struct lines *r, struct err *e)
{
	ssize_t n;

	if (r->at > 0) {
		memmove(r->window, r->window + r->at, r->filled - r->at);
		r->filled -= r->at;
		r->at = 0;
	}
	do
		n = pread(r->fd, r->window + r->filled, LINES_WINDOW - r->filled,
		    (off_t)(r->offset + r->filled));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_errno(e, "read");
	r->filled += (size_t)n;
	r->eof = n == 0;
	return 0;
}

/* The rest of a line that fills the window is passed over; `len` grows by it. */
static int
pass_over(struct lines *r, struct line *out, struct err *e)
{
	size_t keep = r->filled;
	uint64_t at = r->offset + r->filled;
	char *room = xrealloc(NULL, 1, LINES_WINDOW);
	const char *lf = NULL;
	ssize_t n = 1;

	while (lf == NULL && n > 0) {
		n = pread(r->fd, room, LINES_WINDOW, (off_t)at);
		if (n < 0 && errno == EINTR) {
			n = 1;
			continue;
		}
		lf = n > 0 ? memchr(room, '\n', (size_t)n) : NULL;
		at += lf != NULL ? (uint64_t)(lf - room) : n > 0 ? (uint64_t)n : 0;
	}
	free(room);
	if (n < 0)
		return err_errno(e, "read");
	*out = (struct line){ .text = { r->window, keep },
		.offset = r->offset,
		.len = at - r->offset,
		.next = at + (lf != NULL),
		.too_long = true,
		.ended = lf != NULL };
	r->offset = out->next;
	r->at = r->filled = 0;
	return 1;
}

int
lines_next(struct lines *r, struct line *out, struct err *e)
{
	size_t seen = 0;

	for (;;) {
		char *p = r->window + r->at;
		size_t n = r->filled - r->at;
		const char *lf = n > seen ? memchr(p + seen, '\n', n - seen) : NULL;

		if (lf != NULL || (r->eof && n > 0)) {
			size_t len = lf != NULL ? (size_t)(lf - p) : n;

			*out = (struct line){ .text = { p, len },
				.offset = r->offset,
				.len = len,
				.next = r->offset + len + (lf != NULL),
				.ended = lf != NULL };
			r->at += len + (lf != NULL);
			r->offset = out->next;
			return 1;
		}
		if (r->eof)
			return 0;
		if (r->at == 0 && r->filled == LINES_WINDOW)
			return pass_over(r, out, e);
		seen = n;
		if (fill(r, e) < 0)
			return -1;
	}
}

bool
lines_is_blank(struct slice s)
{
	while (s.len > 0 && (*s.p == '\r' || *s.p == ' ' || *s.p == '\t'))
		s = slice_skip(s, 1);
	return s.len == 0;
}
