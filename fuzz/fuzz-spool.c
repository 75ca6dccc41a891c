/*
 * spool: a segment of any bytes is recovered to exactly its whole lines that are
 * events, in their order; the other whole lines are in rejected/, as they were.
 */
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/event.h"
#include "common/file.h"
#include "common/spool.h"

#define SEGMENT "sp1-0006449A1B2C3D4E.json"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Nothing here outlives a power cut. */
int
fsync(int fd)
{
	(void)fd;
	return 0;
}

int
fdatasync(int fd)
{
	(void)fd;
	return 0;
}

static void
check(bool good)
{
	if (!good)
		abort();
}

static char dir[256];

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st, (void)type, (void)where;
	return remove(path);
}

static void
remove_dir(void)
{
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static struct spool *
spool(void)
{
	static struct spool *sp;
	const char *tmp = getenv("TMPDIR");
	struct err e;

	if (sp != NULL)
		return sp;
	if (tmp == NULL)
		tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	snprintf(dir, sizeof(dir), "%.200s/fuzz-spool-XXXXXX", tmp);
	check(mkdtemp(dir) != NULL);
	atexit(remove_dir);
	sp = spool_open(dir, &e);
	check(sp != NULL);
	return sp;
}

/* Is the file `want`, or not there if that is empty? Removes it. */
static void
check_file(int dirfd, const char *name, struct slice want)
{
	struct buf got;
	struct err e;

	buf_init(&got, BUF_NO_LIMIT);
	if (want.len == 0) {
		check(faccessat(dirfd, name, F_OK, 0) < 0);
	} else {
		check(file_read(dirfd, name, &got, &e) == 0);
		check(slice_eq(buf_slice(&got), want));
		check(unlinkat(dirfd, name, 0) == 0);
	}
	buf_free(&got);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = { (const char *)data, size }, rest = in;
	struct buf good, bad, store;
	struct event ev;
	struct err e;
	int fd;

	buf_init(&good, BUF_NO_LIMIT);
	buf_init(&bad, BUF_NO_LIMIT);
	buf_init(&store, EVENT_LINE_MAX);
	while (slice_find(rest, '\n') < rest.len) {
		struct slice line = slice_head(rest, slice_find(rest, '\n') + 1);

		buf_add(event_read(line, &ev, &store, &e) == 0 ? &good : &bad, line);
		rest = slice_skip(rest, line.len);
	}

	fd = openat(spool_open_fd(spool()), SEGMENT, O_WRONLY | O_CREAT | O_EXCL, 0600);
	check(fd >= 0 && file_write_all(fd, in) == 0);
	close(fd);
	check(spool_recover(spool(), NULL, NULL, &e) == (good.len > 0));
	check_file(spool_open_fd(spool()), SEGMENT, SLICE_LIT(""));
	check_file(spool_events_fd(spool()), SEGMENT, buf_slice(&good));
	check_file(spool_rejected_fd(spool()), SEGMENT, buf_slice(&bad));
	check((unlinkat(spool_rejected_fd(spool()), SEGMENT ".reason", 0) == 0) == (bad.len > 0));
	buf_free(&good);
	buf_free(&bad);
	buf_free(&store);
	return 0;
}
