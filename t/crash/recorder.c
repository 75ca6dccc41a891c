/*
 * recorder.c - LD_PRELOAD: writes down, in the order in which they happen, what a
 * program does to the files below one directory, for powercut.py to take the power
 * away at each point of it.
 *
 *	RECORD_DIR	the directory (a real path, without a slash at its end)
 *	RECORD_LOG	where the record is appended
 *
 * A record is a line of text, "OP ID ARGUMENT...", and behind a W or A line the bytes it names:
 *
 *	C id dir name		a file is made		M id dir name	a directory is made
 *	W id offset length	bytes are written	T id length	a file is cut or grown
 *	S id			a file or directory is synced
 *	R dir name dir name	renamed			L id dir name	linked
 *	U dir name		removed
 *	A length		bytes were written to, or G length read from, a socket or pipe:
 *				what was said to others, and what they said
 *
 * Directories and files have numbers; 0 is RECORD_DIR itself. One lock is held around each
 * operation and its line, so that the order is true. mmap is not seen: SQLite uses it for its
 * -shm file only, which it makes anew after a crash.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_FILES 200000
#define MAX_FDS   4096

/* This library is built alone: what it stands in for has these prototypes. */
#define EXPORT __attribute__((visibility("default")))

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char top[PATH_MAX];
static size_t top_len;
static int log_fd = -1;
static dev_t top_dev;

static struct {
	ino_t ino;
} files[MAX_FILES];
static unsigned n_files;
static struct {
	bool ours; /* a file or directory below top */
	unsigned id;
} fds[MAX_FDS];

static void
put(const void *data, size_t n)
{
	const char *p = data;

	while (n > 0) {
		long done = syscall(SYS_write, log_fd, p, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			abort();
		p += done;
		n -= (size_t)done;
	}
}

__attribute__((format(printf, 1, 2))) static void
line(const char *fmt, ...)
{
	char text[PATH_MAX + 200];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0 || n >= (int)sizeof(text))
		abort();
	put(text, (size_t)n);
}

__attribute__((constructor)) static void
begin(void)
{
	const char *dir = getenv("RECORD_DIR"), *to = getenv("RECORD_LOG");
	struct stat st;

	if (dir == NULL || to == NULL || realpath(dir, top) == NULL || stat(top, &st) < 0)
		return;
	top_len = strlen(top);
	top_dev = st.st_dev;
	files[0].ino = st.st_ino;
	n_files = 1;
	log_fd =
	    (int)syscall(SYS_openat, AT_FDCWD, to, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	/* Out of the way of programs that close low descriptors. */
	if (log_fd >= 0) {
		int high = (int)syscall(SYS_fcntl, log_fd, F_DUPFD_CLOEXEC, 900);

		syscall(SYS_close, log_fd);
		log_fd = high;
	}
}

/* The number of a file that is there; -1: not seen before. */
static long
id_of(ino_t ino)
{
	for (unsigned i = n_files; i-- > 0;)
		if (files[i].ino == ino)
			return (long)i;
	return -1;
}

static unsigned
new_id(ino_t ino)
{
	if (n_files == MAX_FILES)
		abort();
	files[n_files].ino = ino;
	return n_files++;
}

/* Is the descriptor's file below top? Its path, without top and the slash. */
static bool
path_of_fd(int fd, char out[PATH_MAX])
{
	char proc[64];
	ssize_t n;

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	n = readlink(proc, out, PATH_MAX - 1);
	if (n < 0)
		return false;
	out[n] = '\0';
	return strncmp(out, top, top_len) == 0 && (out[top_len] == '/' || out[top_len] == '\0');
}

/*
 * The directory's number and the last part of a path, if that is below top. Directories and files
 * that were there from the start get a number when they are first met: "M"/"C" with their path from
 * top as name, which the reader knows from its copy of the start.
 */
static bool
place(int dirfd, const char *path, unsigned *dir, const char **name)
{
	char parent[PATH_MAX];
	const char *slash = strrchr(path, '/');
	int fd;
	struct stat st;
	long id;
	bool below;

	*name = slash != NULL ? slash + 1 : path;
	if (slash == NULL)
		snprintf(parent, sizeof(parent), ".");
	else
		snprintf(
		    parent, sizeof(parent), "%.*s", slash == path ? 1 : (int)(slash - path), path);
	fd = (int)syscall(SYS_openat, dirfd, parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return false;
	char full[PATH_MAX];

	below = path_of_fd(fd, full) && fstat(fd, &st) == 0 && st.st_dev == top_dev;
	syscall(SYS_close, fd);
	if (!below)
		return false;
	id = id_of(st.st_ino);
	if (id < 0) {
		id = new_id(st.st_ino);
		line("P %ld %s\n", id, full + top_len + 1);
	}
	*dir = (unsigned)id;
	return true;
}

static void
learn_fd(int fd, bool is_new, unsigned dir, const char *name)
{
	char full[PATH_MAX];
	struct stat st;
	long id;

	if (fd < 0 || fd >= MAX_FDS)
		return;
	fds[fd].ours = false;
	if (fstat(fd, &st) < 0 || st.st_dev != top_dev || !path_of_fd(fd, full))
		return;
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return;
	id = is_new ? -1 : id_of(st.st_ino);
	if (id < 0) {
		id = new_id(st.st_ino);
		if (is_new)
			line("C %ld %u %s\n", id, dir, name);
		else
			line("P %ld %s\n", id, strcmp(full, top) == 0 ? "" : full + top_len + 1);
	}
	fds[fd].ours = true;
	fds[fd].id = (unsigned)id;
}

static int
do_open(int dirfd, const char *path, int flags, mode_t mode)
{
	unsigned dir = 0;
	const char *name = "";
	struct stat st;
	bool known, is_new;
	int fd, saved;

	if (log_fd < 0)
		return (int)syscall(SYS_openat, dirfd, path, flags, mode);
	pthread_mutex_lock(&lock);
	known = (flags & O_CREAT) != 0 && place(dirfd, path, &dir, &name);
	is_new = known && fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) < 0;
	fd = (int)syscall(SYS_openat, dirfd, path, flags, mode);
	saved = errno;
	if (fd >= 0) {
		learn_fd(fd, is_new, dir, name);
		if ((flags & O_TRUNC) != 0 && !is_new && fd < MAX_FDS && fds[fd].ours)
			line("T %u 0\n", fds[fd].id);
	}
	pthread_mutex_unlock(&lock);
	errno = saved;
	return fd;
}

static mode_t
mode_of(int flags, va_list ap)
{
	return (flags & (O_CREAT | O_TMPFILE)) != 0 ? (mode_t)va_arg(ap, int) : 0;
}

#define OPEN(fn)                                                                                   \
	EXPORT int fn(const char *path, int flags, ...);                                           \
	EXPORT int fn(const char *path, int flags, ...)                                            \
	{                                                                                          \
		va_list ap;                                                                        \
		mode_t mode;                                                                       \
                                                                                                   \
		va_start(ap, flags);                                                               \
		mode = mode_of(flags, ap);                                                         \
		va_end(ap);                                                                        \
		return do_open(AT_FDCWD, path, flags, mode);                                       \
	}
#define OPENAT(fn)                                                                                 \
	EXPORT int fn(int dirfd, const char *path, int flags, ...);                                \
	EXPORT int fn(int dirfd, const char *path, int flags, ...)                                 \
	{                                                                                          \
		va_list ap;                                                                        \
		mode_t mode;                                                                       \
                                                                                                   \
		va_start(ap, flags);                                                               \
		mode = mode_of(flags, ap);                                                         \
		va_end(ap);                                                                        \
		return do_open(dirfd, path, flags, mode);                                          \
	}
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

static bool
is_ours(int fd)
{
	return log_fd >= 0 && fd >= 0 && fd < MAX_FDS && fds[fd].ours;
}

EXPORT int
close(int fd)
{
	int rc;

	if (fd >= 0 && fd == log_fd)
		return 0;
	pthread_mutex_lock(&lock);
	if (fd >= 0 && fd < MAX_FDS)
		fds[fd].ours = false;
	rc = (int)syscall(SYS_close, fd);
	pthread_mutex_unlock(&lock);
	return rc;
}

static void
wrote(int fd, off_t at, const void *data, ssize_t n)
{
	if (n > 0) {
		line("W %u %lld %zd\n", fds[fd].id, (long long)at, n);
		put(data, (size_t)n);
	}
}

static bool
is_talk(int fd)
{
	struct stat st;

	return log_fd >= 0 && fd > 2 && fstat(fd, &st) == 0 &&
	       (S_ISSOCK(st.st_mode) || S_ISFIFO(st.st_mode));
}

static void
talked(char op, const void *data, ssize_t n)
{
	if (n > 0) {
		line("%c %zd\n", op, n);
		put(data, (size_t)n);
	}
}

EXPORT ssize_t
write(int fd, const void *data, size_t len)
{
	ssize_t n;
	off_t at;

	if (is_talk(fd)) {
		pthread_mutex_lock(&lock);
		n = syscall(SYS_write, fd, data, len);
		talked('A', data, n);
		pthread_mutex_unlock(&lock);
		return n;
	}
	if (!is_ours(fd))
		return syscall(SYS_write, fd, data, len);
	pthread_mutex_lock(&lock);
	n = syscall(SYS_write, fd, data, len);
	at = lseek(fd, 0, SEEK_CUR);
	wrote(fd, at - (n > 0 ? n : 0), data, n);
	pthread_mutex_unlock(&lock);
	return n;
}

static ssize_t
do_pwrite(int fd, const void *data, size_t len, off_t at)
{
	ssize_t n;

	if (!is_ours(fd))
		return syscall(SYS_pwrite64, fd, data, len, at);
	pthread_mutex_lock(&lock);
	n = syscall(SYS_pwrite64, fd, data, len, at);
	wrote(fd, at, data, n);
	pthread_mutex_unlock(&lock);
	return n;
}

EXPORT ssize_t
pwrite(int fd, const void *data, size_t len, off_t at)
{
	return do_pwrite(fd, data, len, at);
}

EXPORT ssize_t
pwrite64(int fd, const void *data, size_t len, off_t at)
{
	return do_pwrite(fd, data, len, at);
}

EXPORT ssize_t
send(int fd, const void *data, size_t len, int flags)
{
	ssize_t n;

	pthread_mutex_lock(&lock);
	n = syscall(SYS_sendto, fd, data, len, flags, NULL, 0);
	if (log_fd >= 0)
		talked('A', data, n);
	pthread_mutex_unlock(&lock);
	return n;
}

/* Only what does not wait: a thread that waited with the lock would hold up all others. */
EXPORT ssize_t
recv(int fd, void *data, size_t len, int flags)
{
	ssize_t n;

	pthread_mutex_lock(&lock);
	n = syscall(SYS_recvfrom, fd, data, len, flags | MSG_DONTWAIT, NULL, NULL);
	if (n > 0 && log_fd >= 0 && (flags & MSG_PEEK) == 0)
		talked('G', data, n);
	pthread_mutex_unlock(&lock);
	if (n < 0 && errno == EAGAIN && (flags & MSG_DONTWAIT) == 0)
		return syscall(SYS_recvfrom, fd, data, len, flags, NULL, NULL);
	return n;
}

static int
do_truncate(int fd, off_t len)
{
	int rc;

	if (!is_ours(fd))
		return (int)syscall(SYS_ftruncate, fd, len);
	pthread_mutex_lock(&lock);
	rc = (int)syscall(SYS_ftruncate, fd, len);
	if (rc == 0)
		line("T %u %lld\n", fds[fd].id, (long long)len);
	pthread_mutex_unlock(&lock);
	return rc;
}

EXPORT int
ftruncate(int fd, off_t len)
{
	return do_truncate(fd, len);
}

EXPORT int
ftruncate64(int fd, off_t len)
{
	return do_truncate(fd, len);
}

static int
do_sync(long call, int fd)
{
	int rc;

	if (!is_ours(fd))
		return (int)syscall(call, fd);
	/* In the record it ends before anything that came after it began. */
	pthread_mutex_lock(&lock);
	rc = (int)syscall(call, fd);
	if (rc == 0)
		line("S %u\n", fds[fd].id);
	pthread_mutex_unlock(&lock);
	return rc;
}

EXPORT int
fsync(int fd)
{
	return do_sync(SYS_fsync, fd);
}

EXPORT int
fdatasync(int fd)
{
	return do_sync(SYS_fdatasync, fd);
}

static int
do_rename(int fromfd, const char *from, int tofd, const char *to, unsigned flags)
{
	unsigned dir1, dir2;
	const char *name1, *name2;
	bool ours;
	int rc, saved;

	if (log_fd < 0)
		return (int)syscall(SYS_renameat2, fromfd, from, tofd, to, flags);
	pthread_mutex_lock(&lock);
	ours = place(fromfd, from, &dir1, &name1) && place(tofd, to, &dir2, &name2);
	rc = (int)syscall(SYS_renameat2, fromfd, from, tofd, to, flags);
	saved = errno;
	if (rc == 0 && ours)
		line("R %u %s %u %s\n", dir1, name1, dir2, name2);
	pthread_mutex_unlock(&lock);
	errno = saved;
	return rc;
}

EXPORT int
rename(const char *from, const char *to)
{
	return do_rename(AT_FDCWD, from, AT_FDCWD, to, 0);
}

EXPORT int
renameat(int fromfd, const char *from, int tofd, const char *to)
{
	return do_rename(fromfd, from, tofd, to, 0);
}

EXPORT int
renameat2(int fromfd, const char *from, int tofd, const char *to, unsigned flags)
{
	return do_rename(fromfd, from, tofd, to, flags);
}

EXPORT int
linkat(int fromfd, const char *from, int tofd, const char *to, int flags)
{
	unsigned dir;
	const char *name;
	struct stat st;
	bool ours;
	int rc, saved;

	if (log_fd < 0)
		return (int)syscall(SYS_linkat, fromfd, from, tofd, to, flags);
	pthread_mutex_lock(&lock);
	ours = place(tofd, to, &dir, &name);
	rc = (int)syscall(SYS_linkat, fromfd, from, tofd, to, flags);
	saved = errno;
	if (rc == 0 && ours && fstatat(tofd, to, &st, AT_SYMLINK_NOFOLLOW) == 0)
		line("L %ld %u %s\n", id_of(st.st_ino), dir, name);
	pthread_mutex_unlock(&lock);
	errno = saved;
	return rc;
}

static int
do_unlink(int dirfd, const char *path, int flags)
{
	unsigned dir;
	const char *name;
	struct stat st;
	bool ours, known;
	long id;
	int rc, saved;

	if (log_fd < 0)
		return (int)syscall(SYS_unlinkat, dirfd, path, flags);
	pthread_mutex_lock(&lock);
	ours = place(dirfd, path, &dir, &name);
	known = fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
	rc = (int)syscall(SYS_unlinkat, dirfd, path, flags);
	saved = errno;
	if (rc == 0 && ours) {
		line("U %u %s\n", dir, name);
		/* The inode's number may be used again. */
		if (known && st.st_nlink <= 1 && (id = id_of(st.st_ino)) > 0)
			files[id].ino = 0;
	}
	pthread_mutex_unlock(&lock);
	errno = saved;
	return rc;
}

EXPORT int
unlink(const char *path)
{
	return do_unlink(AT_FDCWD, path, 0);
}

EXPORT int
unlinkat(int dirfd, const char *path, int flags)
{
	return do_unlink(dirfd, path, flags);
}

static int
do_mkdir(int dirfd, const char *path, mode_t mode)
{
	unsigned dir;
	const char *name;
	struct stat st;
	bool ours;
	int rc, saved;

	if (log_fd < 0)
		return (int)syscall(SYS_mkdirat, dirfd, path, mode);
	pthread_mutex_lock(&lock);
	ours = place(dirfd, path, &dir, &name);
	rc = (int)syscall(SYS_mkdirat, dirfd, path, mode);
	saved = errno;
	if (rc == 0 && ours && fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		line("M %u %u %s\n", new_id(st.st_ino), dir, name);
	pthread_mutex_unlock(&lock);
	errno = saved;
	return rc;
}

EXPORT int
mkdir(const char *path, mode_t mode)
{
	return do_mkdir(AT_FDCWD, path, mode);
}

EXPORT int
mkdirat(int dirfd, const char *path, mode_t mode)
{
	return do_mkdir(dirfd, path, mode);
}
