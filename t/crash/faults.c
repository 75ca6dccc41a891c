/*
 * faults.c - LD_PRELOAD: calls on files below one directory fail now and then, as on a
 * disk that is full or broken, or in a process that has no descriptors left.
 *
 *	FAULT_DIR	the directory (a real path, without a slash at its end)
 *	FAULT_ERRNO	ENOSPC, EIO, EMFILE, EDQUOT, or HANG: it comes to no end as long as
 *FAULT_WHILE is there FAULT_OPS	of: write sync open rename unlink truncate, with commas
 *	FAULT_ONE_IN	on average so many calls have one that fails
 *	FAULT_SEED	a number
 *	FAULT_WHILE	only while this file is there
 *
 * A write that fails may have written a part, as on a disk that fills up.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { OP_WRITE = 1, OP_SYNC = 2, OP_OPEN = 4, OP_RENAME = 8, OP_UNLINK = 16, OP_TRUNCATE = 32 };

static char top[PATH_MAX];
static size_t top_len;
static const char *while_there;
static unsigned ops, one_in;
static int error;
static uint64_t state;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static unsigned
read_ops(const char *text)
{
	static const struct {
		const char *name;
		unsigned op;
	} names[] = { { "write", OP_WRITE }, { "sync", OP_SYNC }, { "open", OP_OPEN },
		{ "rename", OP_RENAME }, { "unlink", OP_UNLINK }, { "truncate", OP_TRUNCATE } };
	unsigned out = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strstr(text, names[i].name) != NULL)
			out |= names[i].op;
	return out;
}

#define HANGS (-1) /* until FAULT_WHILE is gone */

static int
read_error(const char *text)
{
	return strcmp(text, "ENOSPC") == 0   ? ENOSPC
	       : strcmp(text, "EDQUOT") == 0 ? EDQUOT
	       : strcmp(text, "EMFILE") == 0 ? EMFILE
	       : strcmp(text, "HANG") == 0   ? HANGS
	                                     : EIO;
}

__attribute__((constructor)) static void
begin(void)
{
	const char *dir = getenv("FAULT_DIR"), *what = getenv("FAULT_OPS"),
		   *why = getenv("FAULT_ERRNO"), *often = getenv("FAULT_ONE_IN"),
		   *seed = getenv("FAULT_SEED");

	if (dir == NULL || what == NULL || why == NULL || often == NULL ||
	    realpath(dir, top) == NULL)
		return;
	while_there = getenv("FAULT_WHILE");
	top_len = strlen(top);
	error = read_error(why);
	one_in = (unsigned)strtoul(often, NULL, 10);
	state = strtoull(seed != NULL ? seed : "1", NULL, 10) * 2654435761u + 88172645463325252u;
	ops = read_ops(what);
}

/* Marsaglia's xorshift64. */
static uint64_t
next(void)
{
	uint64_t x;

	pthread_mutex_lock(&lock);
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	x = state;
	pthread_mutex_unlock(&lock);
	return x;
}

static bool
below(int fd)
{
	char proc[64], path[PATH_MAX];
	ssize_t n;

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	n = readlink(proc, path, sizeof(path) - 1);
	if (n < 0)
		return false;
	path[n] = '\0';
	return strncmp(path, top, top_len) == 0 && (path[top_len] == '/' || path[top_len] == '\0');
}

/* Is it this call's turn? errno is set. */
static bool
fails(unsigned op, int fd)
{
	int saved = errno;

	if ((ops & op) == 0 || one_in == 0)
		return false;
	if (while_there != NULL && access(while_there, F_OK) < 0) {
		errno = saved;
		return false;
	}
	if (fd != AT_FDCWD && !below(fd)) {
		errno = saved;
		return false;
	}
	if (next() / 7 % one_in != 0) {
		errno = saved;
		return false;
	}
	if (error == HANGS) {
		while (while_there != NULL && access(while_there, F_OK) == 0)
			usleep(10000);
		errno = saved;
		return false;
	}
	errno = error;
	return true;
}

ssize_t
write(int fd, const void *data, size_t len)
{
	if (len > 0 && fails(OP_WRITE, fd)) {
		size_t part = error == ENOSPC ? next() / 11 % len : 0;

		if (part == 0)
			return -1;
		return syscall(SYS_write, fd, data, part);
	}
	return syscall(SYS_write, fd, data, len);
}

static ssize_t
do_pwrite(int fd, const void *data, size_t len, off_t at)
{
	if (len > 0 && fails(OP_WRITE, fd)) {
		size_t part = error == ENOSPC ? next() / 11 % len : 0;

		if (part == 0)
			return -1;
		return syscall(SYS_pwrite64, fd, data, part, at);
	}
	return syscall(SYS_pwrite64, fd, data, len, at);
}

ssize_t
pwrite(int fd, const void *data, size_t len, off_t at)
{
	return do_pwrite(fd, data, len, at);
}

ssize_t
pwrite64(int fd, const void *data, size_t len, off_t at)
{
	return do_pwrite(fd, data, len, at);
}

int
fsync(int fd)
{
	return fails(OP_SYNC, fd) ? -1 : (int)syscall(SYS_fsync, fd);
}

int
fdatasync(int fd)
{
	return fails(OP_SYNC, fd) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

static int
do_truncate(int fd, off_t len)
{
	return fails(OP_TRUNCATE, fd) ? -1 : (int)syscall(SYS_ftruncate, fd, len);
}

int
ftruncate(int fd, off_t len)
{
	return do_truncate(fd, len);
}

int
ftruncate64(int fd, off_t len)
{
	return do_truncate(fd, len);
}

/* Relative to a directory below top, or a path that begins with it. */
static bool
open_fails(int dirfd, const char *path)
{
	if (dirfd == AT_FDCWD)
		return strncmp(path, top, top_len) == 0 && top_len > 0 && fails(OP_OPEN, AT_FDCWD);
	return fails(OP_OPEN, dirfd);
}

#define OPEN(fn)                                                                                   \
	int fn(const char *path, int flags, ...)                                                   \
	{                                                                                          \
		va_list ap;                                                                        \
		int mode;                                                                          \
                                                                                                   \
		va_start(ap, flags);                                                               \
		mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(ap, int) : 0;                 \
		va_end(ap);                                                                        \
		return open_fails(AT_FDCWD, path)                                                  \
		           ? -1                                                                    \
		           : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);                \
	}
#define OPENAT(fn)                                                                                 \
	int fn(int dirfd, const char *path, int flags, ...)                                        \
	{                                                                                          \
		va_list ap;                                                                        \
		int mode;                                                                          \
                                                                                                   \
		va_start(ap, flags);                                                               \
		mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(ap, int) : 0;                 \
		va_end(ap);                                                                        \
		return open_fails(dirfd, path)                                                     \
		           ? -1                                                                    \
		           : (int)syscall(SYS_openat, dirfd, path, flags, mode);                   \
	}
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

int
renameat(int fromfd, const char *from, int tofd, const char *to)
{
	return fails(OP_RENAME, fromfd) ? -1
	                                : (int)syscall(SYS_renameat2, fromfd, from, tofd, to, 0);
}

int
renameat2(int fromfd, const char *from, int tofd, const char *to, unsigned flags)
{
	return fails(OP_RENAME, fromfd)
	           ? -1
	           : (int)syscall(SYS_renameat2, fromfd, from, tofd, to, flags);
}

int
linkat(int fromfd, const char *from, int tofd, const char *to, int flags)
{
	return fails(OP_RENAME, fromfd) ? -1
	                                : (int)syscall(SYS_linkat, fromfd, from, tofd, to, flags);
}

int
unlinkat(int dirfd, const char *path, int flags)
{
	return fails(OP_UNLINK, dirfd) ? -1 : (int)syscall(SYS_unlinkat, dirfd, path, flags);
}
