#include "uploader/confirm_range.h"

#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#include "common/event.h"
#include "common/file.h"
#include "common/xalloc.h"

#define CHUNK 65536

int
confirm_range_read(struct spool *sp, const struct ledger_batch *b, struct buf *lines, struct err *e)
{
	uint64_t at = b->from;
	char chunk[CHUNK];
	ssize_t n = 1;
	int fd;

	if (b->end < b->from || b->end - b->from > CONFIRM_RANGE_MAX)
		return err_set(e, "%s: no such part of it", b->segment);
	fd = file_open_regular(spool_events_fd(sp), b->segment, e);
	if (fd < 0)
		return -1;
	while (at < b->end && n > 0) {
		uint64_t want = b->end - at < CHUNK ? b->end - at : CHUNK;

		n = pread(fd, chunk, (size_t)want, (off_t)at);
		if (n > 0) {
			buf_add(lines, (struct slice){ chunk, (size_t)n });
			at += (uint64_t)n;
		}
	}
	close(fd);
	if (at == b->end)
		return 0;
	return n < 0 ? err_errno(e, "read %s", b->segment)
	             : err_set(e, "%s: shorter than it was", b->segment);
}

/* ---- some of them ---- */

struct ids {
	int64_t *v;
	size_t n, room;
};

static int
by_number(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static bool
next_event(struct slice *lines, struct slice *line, struct buf *store, int64_t *id)
{
	while (slice_line(lines, line)) {
		struct event ev;

		if (line->len <= EVENT_LINE_MAX && event_read(*line, &ev, store, NULL) == 0) {
			*id = ev.event_id;
			return true;
		}
	}
	return false;
}

/* Each once, in order. */
static struct ids
ids_of(struct slice lines, struct buf *store)
{
	struct ids ids = { .v = NULL };
	struct slice line;
	size_t n = 0;
	int64_t id;

	while (next_event(&lines, &line, store, &id)) {
		ids.v = xgrow(ids.v, ids.n, &ids.room, sizeof(*ids.v));
		ids.v[ids.n++] = id;
	}
	if (ids.n > 0)
		qsort(ids.v, ids.n, sizeof(*ids.v), by_number);
	for (size_t i = 0; i < ids.n; i++)
		if (n == 0 || ids.v[i] != ids.v[n - 1])
			ids.v[n++] = ids.v[i];
	ids.n = n;
	return ids;
}

uint64_t
confirm_range_pick(struct slice lines, const struct slice *told, struct buf *out)
{
	struct slice line;
	struct buf store;
	struct ids ids;
	bool *taken;
	uint64_t n = 0;
	int64_t id;

	buf_init(&store, EVENT_LINE_MAX);
	ids = ids_of(told != NULL ? *told : lines, &store);
	taken = xcalloc(ids.n + 1, sizeof(*taken));
	while (ids.n > 0 && next_event(&lines, &line, &store, &id)) {
		const int64_t *at = bsearch(&id, ids.v, ids.n, sizeof(id), by_number);

		if (at == NULL || taken[at - ids.v])
			continue;
		taken[at - ids.v] = true;
		buf_add(out, line);
		buf_addc(out, '\n');
		n++;
	}
	free(taken);
	free(ids.v);
	buf_free(&store);
	return n;
}

/* ---- as a batch ---- */

static int
deflate_chunk(z_stream *z, struct slice in, int flush, struct buf *out, struct err *e)
{
	unsigned char chunk[CHUNK];

	z->next_in = (unsigned char *)(uintptr_t)in.p;
	z->avail_in = (uInt)in.len;
	do {
		z->next_out = chunk;
		z->avail_out = sizeof(chunk);
		if (deflate(z, flush) == Z_STREAM_ERROR)
			return err_set(e, "zlib: stream error");
		buf_add(out, (struct slice){ (const char *)chunk, sizeof(chunk) - z->avail_out });
	} while (z->avail_out == 0);
	return 0;
}

int
confirm_range_pack(struct slice lines, int64_t oldest_s, struct buf *body, struct err *e)
{
	z_stream z = { 0 };
	struct buf store;
	uint64_t n = 0;
	int rc = 0;

	buf_clear(body);
	/* This is rare, and done by the loop: fast before small. */
	if (deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, MAX_WBITS + 16, MAX_MEM_LEVEL - 1,
		Z_DEFAULT_STRATEGY) != Z_OK)
		return err_set(e, "zlib: no memory");
	buf_init(&store, EVENT_LINE_MAX);
	while (rc == 0 && lines.len > 0) {
		size_t len = slice_find(lines, '\n');
		struct slice line = slice_head(lines, len + 1);
		struct event ev;

		lines = slice_skip(lines, line.len);
		if (line.len > EVENT_LINE_MAX || event_read(line, &ev, &store, NULL) < 0 ||
		    ev.timestamp < oldest_s)
			continue;
		n++;
		rc = deflate_chunk(&z, line, Z_NO_FLUSH, body, e);
	}
	if (rc == 0)
		rc = deflate_chunk(&z, SLICE_LIT(""), Z_FINISH, body, e);
	deflateEnd(&z);
	buf_free(&store);
	return rc < 0 ? -1 : n == 0;
}
