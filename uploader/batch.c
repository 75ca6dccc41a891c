#include "uploader/batch.h"

#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>

#define CHUNK 65536
#define GZIP  16 /* zlib: added to the window bits, a gzip header and trailer */

/* One chunk of input through the compressor; Z_FINISH at the end. */
static int
compress_chunk(z_stream *z, int flush, struct buf *body, struct err *e)
{
	unsigned char out[CHUNK];

	do {
		z->next_out = out;
		z->avail_out = sizeof(out);
		if (deflate(z, flush) == Z_STREAM_ERROR)
			return err_set(e, "zlib: %s", z->msg != NULL ? z->msg : "stream error");
		buf_add(body, (struct slice){ (const char *)out, sizeof(out) - z->avail_out });
		if (body->full)
			return err_set(e, "more than %zu bytes after compression", body->max);
	} while (z->avail_out == 0);
	return 0;
}

static bool
is_blank(const unsigned char *p, size_t n)
{
	while (n > 0 && (*p == '\n' || *p == '\r' || *p == ' ' || *p == '\t')) {
		p++;
		n--;
	}
	return n == 0;
}

/* Reads to the end of the file even if it grew since fstat(): up to the limit. */
static enum batch_result
compress_file(int fd, z_stream *z, struct buf *body, struct err *e)
{
	unsigned char in[CHUNK];
	size_t total = 0;
	bool blank = true;
	ssize_t n;

	while ((n = read(fd, in, sizeof(in))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err_text(e, errno, "read");
			return BATCH_BAD;
		}
		total += (size_t)n;
		if (total > BATCH_SEGMENT_MAX) {
			err_text(e, 0, "more than %zu bytes", BATCH_SEGMENT_MAX);
			return BATCH_BAD;
		}
		blank = blank && is_blank(in, (size_t)n);
		z->next_in = in;
		z->avail_in = (uInt)n;
		if (compress_chunk(z, Z_NO_FLUSH, body, e) < 0)
			return BATCH_BAD;
	}
	if (blank)
		return BATCH_EMPTY;
	return compress_chunk(z, Z_FINISH, body, e) < 0 ? BATCH_BAD : BATCH_READY;
}

static enum batch_result
make_from(int fd, struct buf *body, struct stat *st, struct err *e)
{
	z_stream z = { 0 };
	enum batch_result rc;

	if (fstat(fd, st) < 0) {
		err_text(e, errno, "stat");
		return BATCH_BAD;
	}
	if (!S_ISREG(st->st_mode)) {
		err_text(e, 0, "not a regular file");
		return BATCH_BAD;
	}
	if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, MAX_WBITS + GZIP, MAX_MEM_LEVEL - 1,
		Z_DEFAULT_STRATEGY) != Z_OK) {
		err_text(e, 0, "zlib: %s", z.msg != NULL ? z.msg : "no memory");
		return BATCH_BAD;
	}
	rc = compress_file(fd, &z, body, e);
	deflateEnd(&z);
	return rc;
}

enum batch_result
batch_make(int dirfd, const char *name, struct buf *body, struct stat *st, struct err *e)
{
	enum batch_result rc;
	int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	buf_clear(body);
	if (fd < 0 && errno == ENOENT)
		return BATCH_GONE;
	if (fd < 0) {
		if (errno == ELOOP)
			err_text(e, 0, "not a regular file");
		else
			err_text(e, errno, "open");
		return BATCH_BAD;
	}
	rc = make_from(fd, body, st, e);
	close(fd);
	if (rc != BATCH_READY)
		buf_clear(body);
	return rc;
}

bool
batch_unchanged(int dirfd, const char *name, const struct stat *st)
{
	struct stat now;

	if (fstatat(dirfd, name, &now, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT;
	return now.st_dev == st->st_dev && now.st_ino == st->st_ino && now.st_size == st->st_size &&
	       now.st_mtim.tv_sec == st->st_mtim.tv_sec &&
	       now.st_mtim.tv_nsec == st->st_mtim.tv_nsec;
}
