#include "common/file.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/xalloc.h"

static int
read_all(int fd, const char *path, struct buf *out, struct err *e)
{
	ssize_t n;

	do {
		char chunk[65536];

		n = read(fd, chunk, sizeof(chunk));
		if (n > 0)
			buf_add(out, (struct slice){ chunk, (size_t)n });
		if (out->full)
			return err_set(e, "%s: larger than %zu bytes", path, out->max);
	} while (n > 0 || (n < 0 && errno == EINTR));
	return n < 0 ? err_errno(e, "read %s", path) : 0;
}

int
file_read(int dirfd, const char *path, struct buf *out, struct err *e)
{
	struct stat st;
	int rc, fd;

	buf_clear(out);
	/* O_NONBLOCK: opening a FIFO for reading would wait for a writer. */
	fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return err_errno(e, "%s", path);
	if (fstat(fd, &st) < 0)
		rc = err_errno(e, "%s", path);
	else if (!S_ISREG(st.st_mode))
		rc = err_set(e, "%s: not a regular file", path);
	else
		rc = read_all(fd, path, out, e);
	close(fd);
	return rc;
}

int
file_open_regular(int dirfd, const char *name, struct err *e)
{
	struct stat st;
	int fd;

	/* Looked at before it is opened: some devices do things when they are. */
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(e, "%s", name);
	if (!S_ISREG(st.st_mode))
		return err_set(e, "%s: not a regular file", name);
	fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, "%s", name);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return err_set(e, "%s: not a regular file", name);
	}
	return fd;
}

int
file_write_all(int fd, struct slice data)
{
	while (data.len > 0) {
		ssize_t n = write(fd, data.p, data.len);

		if (n < 0 && errno != EINTR)
			return -1;
		if (n > 0)
			data = slice_skip(data, (size_t)n);
	}
	return 0;
}

int
file_rename_new(int from, const char *old, int to, const char *new)
{
	if (renameat2(from, old, to, new, RENAME_NOREPLACE) == 0)
		return 0;
	/* NFS, for one. */
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	return linkat(from, old, to, new, 0) < 0 ? -1 : unlinkat(from, old, 0);
}

int
file_sync_dir(int dirfd, const char *what, struct err *e)
{
	return fsync(dirfd) < 0 ? err_errno(e, "sync directory %s", what) : 0;
}

int
file_replace(int dirfd, const char *name, struct slice data, mode_t mode, struct err *e)
{
	static atomic_uint serial; /* threads may replace the same file at the same time */
	char tmp[300];
	int fd, rc = 0;

	if (snprintf(tmp, sizeof(tmp), "%s.%ld.%u.tmp", name, (long)getpid(),
		atomic_fetch_add(&serial, 1)) >= (int)sizeof(tmp))
		return err_set(e, "%s: name too long", name);
	/* What a process with our pid left behind when it died is debris. */
	unlinkat(dirfd, tmp, 0);
	fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_errno(e, "create %s", tmp);
	if (file_write_all(fd, data) < 0 || fchmod(fd, mode) < 0 || fsync(fd) < 0)
		rc = err_errno(e, "write %s", tmp);
	close(fd);
	if (rc == 0 && renameat(dirfd, tmp, dirfd, name) < 0)
		rc = err_errno(e, "rename %s to %s", tmp, name);
	if (rc < 0) {
		unlinkat(dirfd, tmp, 0);
		return rc;
	}
	return file_sync_dir(dirfd, name, e);
}

/* Who may not read it may have made something in it all the same: then nothing can be done. */
static int
sync_parent(char *path, struct err *e)
{
	char *slash = strrchr(path, '/');
	int fd, rc;

	if (slash != NULL)
		*slash = '\0';
	fd = open(slash == NULL   ? "."
		  : slash == path ? "/"
				  : path,
	    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rc = fd < 0 ? 0 : file_sync_dir(fd, path, e);
	if (fd >= 0)
		close(fd);
	if (slash != NULL)
		*slash = '/';
	return rc;
}

int
file_mkdirs(const char *path, mode_t mode, struct err *e)
{
	char *copy = xstrdup(path);
	struct stat st;
	int rc = 0;

	for (char *c = copy + 1; *copy != '\0'; c++) {
		char end = *c;

		if (end != '/' && end != '\0')
			continue;
		*c = '\0';
		if (mkdir(copy, mode) == 0)
			rc = sync_parent(copy, e);
		else if (errno != EEXIST)
			rc = err_errno(e, "create directory %s", copy);
		*c = end;
		if (end == '\0' || rc < 0)
			break;
	}
	free(copy);
	if (rc == 0 && (stat(path, &st) < 0 || !S_ISDIR(st.st_mode)))
		rc = err_set(e, "%s: not a directory", path);
	return rc;
}
