#include "uploader/batch.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "common/event.h"
#include "common/file.h"
#include "common/lines.h"
#include "common/xalloc.h"

#define CHUNK 65536
#define GZIP  16 /* zlib: added to the window bits, a gzip header and trailer */

void
batch_init(struct batch *b)
{
	*b = (struct batch){ .state = BATCH_NOTHING };
	buf_init(&b->body, BATCH_BODY_MAX);
}

void
batch_free(struct batch *b)
{
	buf_free(&b->body);
	free(b->bad);
	*b = (struct batch){ .state = BATCH_NOTHING };
}

/* ---- the body ---- */

struct body {
	struct batch *b;
	bool gzip;
	z_stream z;
	struct buf plain; /* lines that are not in the body yet */
};

static int
body_open(struct body *o, struct batch *b, bool gzip)
{
	*o = (struct body){ .b = b, .gzip = gzip };
	buf_init(&o->plain, BUF_NO_LIMIT); /* emptied at CHUNK, and a line is bounded */
	if (gzip && deflateInit2(&o->z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, MAX_WBITS + GZIP,
			MAX_MEM_LEVEL - 1, Z_DEFAULT_STRATEGY) != Z_OK) {
		return err_set(&b->why, "zlib: %s", o->z.msg != NULL ? o->z.msg : "no memory");
	}
	return 0;
}

static void
body_close(struct body *o)
{
	if (o->gzip)
		deflateEnd(&o->z);
	buf_free(&o->plain);
}

/* Through the compressor; Z_FINISH at the end. */
static int
body_flush(struct body *o, int flush)
{
	struct buf *body = &o->b->body;

	if (!o->gzip) {
		buf_add(body, buf_slice(&o->plain));
	} else {
		o->z.next_in = (unsigned char *)o->plain.p;
		o->z.avail_in = (uInt)o->plain.len;
		do {
			unsigned char out[CHUNK];

			o->z.next_out = out;
			o->z.avail_out = sizeof(out);
			if (deflate(&o->z, flush) == Z_STREAM_ERROR)
				return err_set(&o->b->why, "zlib: %s",
				    o->z.msg != NULL ? o->z.msg : "stream error");
			buf_add(body,
			    (struct slice){ (const char *)out, sizeof(out) - o->z.avail_out });
		} while (o->z.avail_out == 0);
	}
	buf_clear(&o->plain);
	return body->full ? err_set(&o->b->why, "more than %zu bytes in a batch", body->max) : 0;
}

/* ---- the lines ---- */

struct maker {
	const struct batch_ask *ask;
	struct batch *b;
	struct body body;
	struct buf store; /* the event that is being read */
	size_t bytes;     /* of lines in the body */
};

static void
leave_out(struct batch *b, const struct line *line, const char *why)
{
	struct batch_bad *bad;

	b->bad = xgrow(b->bad, b->n_bad, &b->room, sizeof(*b->bad));
	bad = &b->bad[b->n_bad++];
	*bad = (struct batch_bad){ .offset = line->offset, .len = line->len, .ended = line->ended };
	snprintf(bad->why, sizeof(bad->why), "%s", why);
}

/* 1: it is in, or left out; 0: it does not fit any more; -1: b->why. */
static int
take_line(struct maker *m, const struct line *line)
{
	struct batch *b = m->b;
	struct event ev;
	int64_t at;
	struct err e;

	if (lines_is_blank(line->text) && !line->too_long)
		return 1;
	if (b->n_bad == BATCH_BAD_MAX || b->events == m->ask->max_events ||
	    (b->events > 0 && m->bytes + line->text.len + 1 > m->ask->max_bytes))
		return 0;
	if (line->too_long)
		err_text(&e, 0, "event line longer than %d bytes", EVENT_LINE_MAX);
	if (line->too_long || m->ask->flat || !event_scan(line->text, &at)) {
		if (line->too_long || event_read(line->text, &ev, &m->store, &e) < 0) {
			leave_out(b, line, e.text);
			return 1;
		}
		at = ev.timestamp;
	}
	if (at < m->ask->oldest_s) {
		b->expired++;
		return 1;
	}
	if (!m->ask->flat) {
		buf_add(&m->body.plain, line->text);
		buf_addc(&m->body.plain, '\n');
	} else if (event_flat(&ev, &m->body.plain, &e) < 0) {
		leave_out(b, line, e.text);
		return 1;
	}
	b->events++;
	m->bytes += line->text.len + 1;
	return m->body.plain.len < CHUNK || body_flush(&m->body, Z_NO_FLUSH) == 0 ? 1 : -1;
}

static int
take_lines(struct maker *m, int fd)
{
	struct batch *b = m->b;
	struct lines r;
	struct line line;
	int rc, taken = 1;

	lines_open(&r, fd, b->offset);
	while ((rc = lines_next(&r, &line, &b->why)) > 0 && (taken = take_line(m, &line)) > 0)
		b->end = line.next;
	lines_close(&r);
	b->at_end = rc == 0;
	return rc < 0 || taken < 0 ? -1 : 0;
}

/* A descriptor, or -1: *state and *why, which does not name it, say what is wrong. */
static int
open_segment(int dirfd, const char *name, enum batch_state *state, uint64_t *size, struct err *why)
{
	int fd = file_open_regular(dirfd, name, why);
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0) {
		*size = (uint64_t)st.st_size;
		return fd;
	}
	if (fd >= 0) {
		err_text(why, errno, "stat");
		close(fd);
	} else {
		err_text(why, why->num, why->num != 0 ? "open" : "not a regular file");
	}
	*state = why->num == ENOENT ? BATCH_GONE : BATCH_FAILED;
	return -1;
}

void
batch_make(struct batch *b, const struct batch_ask *ask)
{
	struct maker m = { .ask = ask, .b = b };
	int fd;

	buf_clear(&b->body);
	b->body.full = false;
	b->offset = b->end = ask->offset;
	b->events = b->expired = 0;
	b->n_bad = 0;
	b->at_end = false;
	fd = open_segment(ask->dirfd, ask->name, &b->state, &b->size, &b->why);
	if (fd < 0)
		return;
	buf_init(&m.store, EVENT_LINE_MAX);
	b->state = BATCH_FAILED;
	if (body_open(&m.body, b, ask->gzip) == 0) {
		if (take_lines(&m, fd) == 0 &&
		    (b->events == 0 || body_flush(&m.body, Z_FINISH) == 0))
			b->state = b->events > 0 ? BATCH_READY : BATCH_NOTHING;
		body_close(&m.body);
	}
	buf_free(&m.store);
	close(fd);
}

/* ---- counting ---- */

/* As we write it. In a string the quotes would have backslashes. */
static void
note_timestamp(struct slice line, int64_t *oldest)
{
	static const char mark[] = "\"timestamp\":\"";
	const char *at = memmem(line.p, line.len, mark, sizeof(mark) - 1);
	struct slice rest;
	uint64_t n;

	if (at == NULL)
		return;
	rest = slice_skip(line, (size_t)(at - line.p) + sizeof(mark) - 1);
	if (slice_uint(slice_head(rest, slice_find(rest, '"')), INT64_MAX, &n) && n > 0 &&
	    (*oldest == 0 || (int64_t)n < *oldest))
		*oldest = (int64_t)n;
}

void
batch_count(int dirfd, const char *name, struct batch_count *out)
{
	struct lines r;
	struct line line;
	int rc, fd;

	*out = (struct batch_count){ .state = BATCH_FAILED };
	fd = open_segment(dirfd, name, &out->state, &out->bytes, &out->why);
	if (fd < 0)
		return;
	out->bytes = 0;
	lines_open(&r, fd, 0);
	while ((rc = lines_next(&r, &line, &out->why)) > 0) {
		out->bytes = line.next;
		if (lines_is_blank(line.text) && !line.too_long)
			continue;
		out->events++;
		note_timestamp(line.text, &out->oldest_s);
	}
	lines_close(&r);
	close(fd);
	if (rc == 0)
		out->state = out->events > 0 ? BATCH_READY : BATCH_NOTHING;
}

int64_t
batch_size(int dirfd, const char *name)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return -1;
	return (int64_t)st.st_size;
}
