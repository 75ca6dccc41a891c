/*
 * rejected.c - storing: lines under a temporary name, then the reason, then the
 * lines' own name. Whoever is interrupted leaves a reason or a temporary file
 * alone, which rejected_trim() removes.
 */
#include "common/rejected.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/rejected_private.h"
#include "common/spool.h"
#include "common/xalloc.h"

#define FILE_MODE  SPOOL_FILE_MODE
#define CHUNK      65536
#define TRIES      100
#define NAME_PART  100                 /* bytes of a foreign name, or a sink's, that are kept */
#define FILE_MAX   ((uint64_t)1 << 30) /* of one file, where no limit says less */
#define TAKEN_HEAD ((uint64_t)1 << 20) /* what is kept of a foreign file that is too large */

struct rejected *
rejected_open(int dirfd, const struct rejected_limits *limits)
{
	struct rejected *r = xcalloc(1, sizeof(*r));

	*r = (struct rejected){ .dir = dirfd, .fd = -1 };
	if (limits != NULL)
		r->limits = *limits;
	return r;
}

void
rejected_close(struct rejected *r)
{
	if (r == NULL)
		return;
	rejected_abandon(r);
	free(r);
}

void
rejected_set_limits(struct rejected *r, const struct rejected_limits *limits)
{
	r->limits = *limits;
	r->counted = false;
}

/* ---- names ---- */

bool
rejected_with_suffix(const char *name, const char *suffix, char out[REJECTED_NAME_SIZE])
{
	size_t n = strlen(name), more = strlen(suffix) + 1;

	if (n + more > REJECTED_NAME_SIZE)
		return false;
	memcpy(out, name, n);
	memcpy(out + n, suffix, more);
	return true;
}

static void
add_plain(struct buf *out, struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.p[i];
		bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
		             (c >= 'a' && c <= 'z') || c == '-' || c == '_' ||
		             (c == '.' && out->len > 0);

		buf_addc(out, plain ? c : '_');
	}
}

/* The name without ".json", so that more can stand before it. */
static struct slice
stem(const char *name)
{
	struct slice s = slice_str(name);

	return slice_endsi(s, SLICE_LIT(".json")) ? slice_head(s, s.len - 5) : s;
}

void
rejected_name(const char *segment, struct slice sink, uint64_t offset, char out[REJECTED_NAME_SIZE])
{
	struct buf b;

	buf_init(&b, REJECTED_NAME_SIZE - 1);
	add_plain(&b, slice_head(stem(segment), NAME_PART));
	if (sink.len > 0) {
		buf_addc(&b, '.');
		add_plain(&b, slice_head(sink, NAME_PART));
	}
	if (sink.len > 0 || offset > 0)
		buf_printf(&b, ".%llu", (unsigned long long)offset);
	buf_adds(&b, ".json");
	snprintf(out, REJECTED_NAME_SIZE, "%s", buf_str(&b));
	buf_free(&b);
}

bool
rejected_is_name(const char *name)
{
	struct slice s = slice_str(name);

	return s.len > 0 && s.len + sizeof(REJECTED_SUFFIX) <= REJECTED_NAME_SIZE &&
	       s.p[0] != '.' && slice_find(s, '/') == s.len &&
	       !slice_endsi(s, SLICE_LIT(REJECTED_SUFFIX)) &&
	       !slice_endsi(s, SLICE_LIT(REJECTED_TMP));
}

/* ---- a piece at a time ---- */

int
rejected_begin(struct rejected *r, const char *name, struct err *e)
{
	char tmp[REJECTED_NAME_SIZE];

	rejected_abandon(r);
	if (!rejected_is_name(name) || !rejected_with_suffix(name, REJECTED_TMP, tmp))
		return err_set(e, "rejected/%s: no name for a file", name);
	unlinkat(r->dir, tmp, 0); /* debris */
	r->fd = openat(r->dir, tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
	if (r->fd < 0)
		return err_errno(e, "create rejected/%s", tmp);
	snprintf(r->name, sizeof(r->name), "%s", name);
	r->written = r->lines = 0;
	r->cut = false;
	return 0;
}

static uint64_t
file_max(const struct rejected *r)
{
	uint64_t quarter = r->limits.max_bytes / 4;

	return quarter > 0 && quarter < FILE_MAX ? quarter : FILE_MAX;
}

int
rejected_write(struct rejected *r, struct slice bytes, struct err *e)
{
	uint64_t max = file_max(r);

	/* Events never come near; a line that has no end does. */
	if (r->written + bytes.len > max) {
		bytes = slice_head(bytes, (size_t)(max - r->written));
		r->cut = true;
	}
	if (file_write_all(r->fd, bytes) < 0)
		return err_errno(e, "write rejected/%s", r->name);
	r->written += bytes.len;
	for (size_t i = 0; i < bytes.len; i++)
		r->lines += bytes.p[i] == '\n';
	return 0;
}

int
rejected_write_range(struct rejected *r, int fd, uint64_t from, uint64_t end, struct err *e)
{
	char chunk[CHUNK];

	while (from < end) {
		size_t want = end - from < sizeof(chunk) ? (size_t)(end - from) : sizeof(chunk);
		ssize_t n = pread(fd, chunk, want, (off_t)from);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, "read");
		if (n == 0)
			break;
		if (rejected_write(r, (struct slice){ chunk, (size_t)n }, e) < 0)
			return -1;
		from += (uint64_t)n;
	}
	return 0;
}

/* Does `name` hold what has been written? 1, 0; also 0 if nothing is there. */
static bool
holds_same(const struct rejected *r, const char *name)
{
	char ours[CHUNK / 4], theirs[CHUNK / 4];
	int fd = file_open_regular(r->dir, name, NULL);
	bool same = fd >= 0;
	off_t at = 0;

	while (same) {
		ssize_t n = pread(r->fd, ours, sizeof(ours), at);
		ssize_t m = pread(fd, theirs, sizeof(theirs), at);

		same = n == m && n >= 0 && memcmp(ours, theirs, (size_t)n) == 0;
		if (n == 0)
			break;
		at += n;
	}
	if (fd >= 0)
		close(fd);
	return same;
}

/* A name that is free, or that holds the same already: nothing that is kept is written over. */
static int
find_name(const struct rejected *r, char name[REJECTED_NAME_SIZE], struct err *e)
{
	snprintf(name, REJECTED_NAME_SIZE, "%s", r->name);
	for (int i = 2; i < TRIES; i++) {
		char more[24];

		if (faccessat(r->dir, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
			return 0;
		if (holds_same(r, name))
			return 0;
		snprintf(more, sizeof(more), ".again%d.json", i);
		snprintf(name, REJECTED_NAME_SIZE, "%.200s", r->name);
		snprintf(name + stem(name).len, REJECTED_NAME_SIZE - stem(name).len, "%s", more);
	}
	return err_set(e, "rejected/%s: no free name after %d tries", r->name, TRIES);
}

static int
write_why(struct rejected *r, const char *name, const struct rejected_why *why, struct err *e)
{
	char reason[REJECTED_NAME_SIZE];
	struct buf text;
	int rc;

	if (!rejected_with_suffix(name, REJECTED_SUFFIX, reason))
		return err_set(e, "rejected/%s: name too long", name);
	buf_init(&text, BUF_NO_LIMIT);
	rejected_print_why(why, &text);
	rc = file_replace(r->dir, reason, buf_slice(&text), FILE_MODE, e);
	buf_free(&text);
	return rc;
}

static int
commit(struct rejected *r, const struct rejected_why *why, bool over, struct err *e)
{
	char name[REJECTED_NAME_SIZE], tmp[REJECTED_NAME_SIZE];
	struct rejected_why full = *why;
	struct buf reason;
	int rc = 0;

	buf_init(&reason, BUF_NO_LIMIT);
	if (full.events == 0 && full.bytes == 0) {
		full.events = r->lines;
		full.bytes = r->written;
	}
	if (r->cut) {
		buf_printf(&reason, "(only the first %llu bytes are kept) ",
		    (unsigned long long)r->written);
		buf_add(&reason, why->reason);
		full.reason = buf_slice(&reason);
	}
	if (fsync(r->fd) < 0)
		rc = err_errno(e, "sync rejected/%s", r->name);
	snprintf(name, sizeof(name), "%s", r->name);
	if (rc == 0 && !over)
		rc = find_name(r, name, e);
	if (rc == 0)
		rc = write_why(r, name, &full, e);
	rejected_with_suffix(r->name, REJECTED_TMP, tmp);
	if (rc == 0 && renameat(r->dir, tmp, r->dir, name) < 0)
		rc = err_errno(e, "rename rejected/%s", tmp);
	if (rc == 0)
		rc = file_sync_dir(r->dir, "rejected", e);
	buf_free(&reason);
	if (rc < 0) {
		rejected_abandon(r);
		return -1;
	}
	close(r->fd);
	r->fd = -1;
	rejected_grown(r, r->written);
	return 0;
}

int
rejected_commit(struct rejected *r, const struct rejected_why *why, struct err *e)
{
	return commit(r, why, false, e);
}

int
rejected_commit_over(struct rejected *r, const struct rejected_why *why, struct err *e)
{
	return commit(r, why, true, e);
}

void
rejected_abandon(struct rejected *r)
{
	char tmp[REJECTED_NAME_SIZE];

	if (r->fd < 0)
		return;
	close(r->fd);
	r->fd = -1;
	if (rejected_with_suffix(r->name, REJECTED_TMP, tmp))
		unlinkat(r->dir, tmp, 0);
}

int
rejected_add(struct rejected *r, const char *name, const struct rejected_why *why,
    struct slice lines, struct err *e)
{
	if (rejected_begin(r, name, e) < 0)
		return -1;
	if (rejected_write(r, lines, e) < 0) {
		rejected_abandon(r);
		return -1;
	}
	return rejected_commit(r, why, e);
}

/* ---- a thing that is no segment ---- */

/* Only the start of what is too large to be kept; then it goes. */
static int
take_head(struct rejected *r, int from, const char *file, const char *name,
    const struct rejected_why *why, struct err *e)
{
	int fd = file_open_regular(from, file, e);
	char chunk[CHUNK];
	uint64_t at = 0;
	ssize_t n = 1;

	if (fd < 0)
		return -1;
	if (rejected_begin(r, name, e) < 0) {
		close(fd);
		return -1;
	}
	while (at < TAKEN_HEAD && (n = pread(fd, chunk, sizeof(chunk), (off_t)at)) > 0) {
		if (rejected_write(r, (struct slice){ chunk, (size_t)n }, e) < 0)
			break;
		at += (uint64_t)n;
	}
	close(fd);
	r->cut = true;
	if (n < 0 || rejected_commit(r, why, e) < 0) {
		rejected_abandon(r);
		return n < 0 ? err_errno(e, "read %s", file) : -1;
	}
	if (unlinkat(from, file, 0) < 0)
		return err_errno(e, "remove %s", file);
	return file_sync_dir(from, "the spool", e);
}

/* renameat() would replace. */
static int
move(int from, const char *file, int to, const char *name, struct err *e)
{
	if (renameat2(from, file, to, name, RENAME_NOREPLACE) == 0)
		return 0;
	if ((errno == EINVAL || errno == ENOSYS) &&
	    faccessat(to, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
	    renameat(from, file, to, name) == 0)
		return 0;
	return err_errno(e, "move it to rejected/");
}

int
rejected_take(struct rejected *r, int fromfd, const char *file, const struct rejected_why *why,
    char name[REJECTED_NAME_SIZE], struct err *e)
{
	struct rejected_why full = *why;
	struct stat st;
	struct buf b;
	int rc;

	if (fstatat(fromfd, file, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(e, "stat");
	buf_init(&b, REJECTED_NAME_SIZE - 1);
	buf_printf(&b, "found-%016llX.", (unsigned long long)clock_wall_us());
	add_plain(&b, slice_head(slice_str(file), NAME_PART));
	if (!rejected_is_name(buf_str(&b)))
		buf_addc(&b, '_');
	snprintf(name, REJECTED_NAME_SIZE, "%s", buf_str(&b));
	buf_free(&b);
	if (full.segment.len == 0)
		full.segment = slice_str(file);
	if (full.bytes == 0)
		full.bytes = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
	if (S_ISREG(st.st_mode) && (uint64_t)st.st_size > file_max(r))
		return take_head(r, fromfd, file, name, &full, e);
	rc = write_why(r, name, &full, e);
	if (rc == 0 && (rc = move(fromfd, file, r->dir, name, e)) < 0) {
		char reason[REJECTED_NAME_SIZE];

		if (rejected_with_suffix(name, REJECTED_SUFFIX, reason))
			unlinkat(r->dir, reason, 0);
	}
	if (rc == 0 && (rc = file_sync_dir(r->dir, "rejected", e)) == 0)
		rc = file_sync_dir(fromfd, "the spool", e);
	if (rc == 0)
		rejected_grown(r, (uint64_t)st.st_blocks * 512);
	return rc;
}
