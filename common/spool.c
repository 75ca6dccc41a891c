#include "common/spool.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/spool_file.h"
#include "common/xalloc.h"

#define TRIES     100 /* at names that turn out to be taken */

/* ---- the directory ---- */

/* Below an open directory, made if need be. */
static int
open_below(int parent, const char *name, struct err *e)
{
	int fd;

	if (mkdirat(parent, name, SPOOL_DIR_MODE) == 0) {
		if (file_sync_dir(parent, name, e) < 0)
			return -1;
	} else if (errno != EEXIST) {
		return err_errno(e, "create directory %s", name);
	}
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_errno(e, "%s", name) : fd;
}

static int
open_dirs(struct spool *sp, struct err *e)
{
	int root = open(sp->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool good;

	if (root < 0)
		return err_errno(e, "open");
	good = (sp->events = open_below(root, "events", e)) >= 0 &&
	       (sp->open = open_below(sp->events, "open", e)) >= 0 &&
	       (sp->rejected = open_below(root, "rejected", e)) >= 0 &&
	       (sp->inbound = open_below(root, "inbound", e)) >= 0 &&
	       (sp->inbound_tmp = open_below(sp->inbound, "tmp", e)) >= 0 &&
	       (sp->onward = open_below(sp->inbound, "onward", e)) >= 0;
	close(root);
	return good ? 0 : -1;
}

struct spool *
spool_open(const char *dir, struct err *e)
{
	struct spool *sp = xcalloc(1, sizeof(*sp));
	struct err why;

	*sp = (struct spool){ xstrdup(dir), -1, -1, -1, -1, -1, -1 };
	if (file_mkdirs(dir, SPOOL_DIR_MODE, &why) < 0 || open_dirs(sp, &why) < 0) {
		err_text(e, 0, "spool %s: %s", dir, why.text);
		if (e != NULL)
			e->num = why.num;
		spool_close(sp);
		return NULL;
	}
	return sp;
}

static void
close_dir(int fd)
{
	if (fd >= 0)
		close(fd);
}

void
spool_close(struct spool *sp)
{
	if (sp == NULL)
		return;
	close_dir(sp->events);
	close_dir(sp->open);
	close_dir(sp->rejected);
	close_dir(sp->inbound);
	close_dir(sp->inbound_tmp);
	close_dir(sp->onward);
	free(sp->dir);
	free(sp);
}

const char *
spool_dir(const struct spool *sp)
{
	return sp->dir;
}

int
spool_events_fd(const struct spool *sp)
{
	return sp->events;
}

int
spool_open_fd(const struct spool *sp)
{
	return sp->open;
}

int
spool_rejected_fd(const struct spool *sp)
{
	return sp->rejected;
}

int
spool_inbound_fd(const struct spool *sp)
{
	return sp->inbound;
}

int
spool_inbound_tmp_fd(const struct spool *sp)
{
	return sp->inbound_tmp;
}

int
spool_onward_fd(const struct spool *sp)
{
	return sp->onward;
}

/* ---- names ---- */

#define PREFIX "sp1-"
#define SUFFIX ".json"
#define DIGITS 16

bool
spool_is_segment(const char *name)
{
	if (strncmp(name, PREFIX, sizeof(PREFIX) - 1) != 0)
		return false;
	name += sizeof(PREFIX) - 1;
	return strspn(name, "0123456789ABCDEF") == DIGITS && strcmp(name + DIGITS, SUFFIX) == 0;
}

uint64_t
spool_file_number(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static uint64_t last; /* under lock */
	uint64_t number = (uint64_t)clock_wall_us();

	pthread_mutex_lock(&lock);
	if (number <= last)
		number = last + 1;
	last = number;
	pthread_mutex_unlock(&lock);
	return number;
}

static void
new_name(char name[SPOOL_NAME_SIZE])
{
	snprintf(name, SPOOL_NAME_SIZE, PREFIX "%016llX" SUFFIX,
	    (unsigned long long)spool_file_number());
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Something that is certainly no regular file? File systems that don't say count as no. */
static bool
is_other_kind(const struct dirent *entry)
{
	return entry->d_type != DT_REG && entry->d_type != DT_UNKNOWN;
}

ssize_t
spool_file_names(int dirfd, bool segments_only, char ***names, struct err *e)
{
	/* A description of its own: reading must not move dirfd's offset. */
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	size_t n = 0, room = 0;

	*names = NULL;
	if (d == NULL) {
		int rc = err_errno(e, "read directory");

		if (fd >= 0)
			close(fd);
		return rc;
	}
	while ((entry = readdir(d)) != NULL) {
		const char *name = entry->d_name;

		if (segments_only ? !spool_is_segment(name) || is_other_kind(entry)
				  : strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			continue;
		*names = xgrow(*names, n, &room, sizeof(**names));
		(*names)[n++] = xstrdup(name);
	}
	closedir(d);
	if (n > 0)
		qsort(*names, n, sizeof(**names), by_name);
	return (ssize_t)n;
}

ssize_t
spool_list(struct spool *sp, char ***names, struct err *e)
{
	return spool_file_names(sp->events, true, names, e);
}

/* ---- files in events/open/ ---- */

int
spool_file_lock(int dirfd, const char *name, int fd, struct err *e)
{
	struct stat by_fd, by_path;

	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? 0 : err_errno(e, "lock %s", name);
	/* Whoever had the lock before us may have moved or removed the file. */
	if (fstat(fd, &by_fd) < 0)
		return err_errno(e, "%s", name);
	if (fstatat(dirfd, name, &by_path, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_errno(e, "%s", name);
	return by_fd.st_dev == by_path.st_dev && by_fd.st_ino == by_path.st_ino;
}

/* One try. The descriptor; -2 if the name is taken or a recovery took the file before we locked it.
 */
static int
create(struct spool *sp, char name[SPOOL_NAME_SIZE], struct err *e)
{
	int fd, locked;

	new_name(name);
	if (faccessat(sp->events, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return -2;
	fd = openat(sp->open, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, SPOOL_FILE_MODE);
	if (fd < 0)
		return errno == EEXIST ? -2
		                       : err_errno(e, "create %s/events/open/%s", sp->dir, name);
	locked = spool_file_lock(sp->open, name, fd, e);
	if (locked > 0)
		return fd;
	if (locked < 0)
		unlinkat(sp->open, name, 0);
	close(fd);
	return locked < 0 ? -1 : -2;
}

int
spool_file_create(struct spool *sp, char name[SPOOL_NAME_SIZE], struct err *e)
{
	int fd = -2;

	for (int tries = 0; tries < TRIES && fd == -2; tries++)
		fd = create(sp, name, e);
	if (fd == -2)
		return err_set(e, "%s/events/open: no free name after %d tries", sp->dir, TRIES);
	/* The name must be on disk before the first event is acknowledged. */
	if (fd >= 0 && file_sync_dir(sp->open, "events/open", e) < 0) {
		unlinkat(sp->open, name, 0);
		close(fd);
		return -1;
	}
	return fd;
}

int
spool_file_move(struct spool *sp, char name[SPOOL_NAME_SIZE], struct err *e)
{
	char target[SPOOL_NAME_SIZE];

	memcpy(target, name, sizeof(target));
	for (int tries = 0; tries < TRIES; tries++) {
		if (file_rename_new(sp->open, name, sp->events, target) == 0) {
			memcpy(name, target, sizeof(target));
			return 0;
		}
		if (errno != EEXIST)
			return err_errno(e, "move %s to %s/events", name, sp->dir);
		new_name(target);
	}
	return err_set(e, "%s: no free name in %s/events", name, sp->dir);
}

int
spool_file_sync_dirs(struct spool *sp, struct err *e)
{
	if (file_sync_dir(sp->events, "events", e) < 0)
		return -1;
	return file_sync_dir(sp->open, "events/open", e);
}
