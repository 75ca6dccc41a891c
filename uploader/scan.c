#include "uploader/scan.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/xalloc.h"

#define STRANGERS_MAX                                                                              \
	100 /* reported; a directory full of foreign files is not listed in the log                \
	     */

int
scan_open(struct scan *s, struct spool *sp, struct err *e)
{
	struct buf path;
	int rc = 0;

	*s = (struct scan){ .sp = sp, .inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC) };
	if (s->inotify < 0)
		return err_errno(e, "inotify");
	buf_init(&path, BUF_NO_LIMIT);
	buf_printf(&path, "%s/events", spool_dir(sp));
	/* A closed segment appears by rename or link: it is complete when it has its name. */
	if (inotify_add_watch(s->inotify, buf_str(&path), IN_MOVED_TO | IN_CREATE | IN_ONLYDIR) < 0)
		rc = err_errno(e, "watch %s", buf_str(&path));
	buf_free(&path);
	return rc;
}

void
scan_close(struct scan *s)
{
	if (s->inotify >= 0)
		close(s->inotify);
	for (size_t i = 0; i < s->n_strangers; i++)
		free(s->strangers[i]);
	free(s->strangers);
	free(s->items);
	*s = (struct scan){ .inotify = -1 };
}

bool
scan_changed(struct scan *s)
{
	_Alignas(struct inotify_event) char events[16384];
	bool changed = false;

	/* Which names they are does not matter, and some may have been dropped: the directory is
	 * read. */
	while (read(s->inotify, events, sizeof(events)) > 0)
		changed = true;
	return changed;
}

static int
by_name(const void *key, const void *item)
{
	return strcmp(key, ((const struct scan_item *)item)->name);
}

struct scan_item *
scan_find(struct scan *s, const char *name)
{
	if (s->n == 0)
		return NULL;
	return bsearch(name, s->items, s->n, sizeof(*s->items), by_name);
}

int
scan_read(struct scan *s, void (*found)(void *arg, const char *name), void *arg, struct err *e)
{
	struct scan_item *items;
	char **names;
	ssize_t n = spool_list(s->sp, &names, e);

	if (n < 0)
		return -1;
	items = xcalloc((size_t)n + 1, sizeof(*items));
	for (ssize_t i = 0; i < n; i++) {
		const struct scan_item *old = scan_find(s, names[i]);

		if (old != NULL)
			items[i] = *old;
		else
			snprintf(items[i].name, sizeof(items[i].name), "%s", names[i]);
		if (old == NULL)
			found(arg, names[i]);
		free(names[i]);
	}
	free(names);
	free(s->items);
	s->items = items;
	s->n = (size_t)n;
	return 0;
}

/* True when the name had not been seen. */
static bool
remember_stranger(struct scan *s, const char *name)
{
	for (size_t i = 0; i < s->n_strangers; i++)
		if (strcmp(s->strangers[i], name) == 0)
			return false;
	if (s->n_strangers == STRANGERS_MAX)
		return false;
	s->strangers =
	    xgrow(s->strangers, s->n_strangers, &s->strangers_room, sizeof(*s->strangers));
	s->strangers[s->n_strangers++] = xstrdup(name);
	return true;
}

/* A segment is a regular file; a directory, a FIFO or a link of that name is not listed. */
static bool
belongs(int dirfd, const char *name)
{
	struct stat st;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, "open") == 0)
		return true;
	return spool_is_segment(name) &&
	       (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || S_ISREG(st.st_mode));
}

int
scan_strangers(
    struct scan *s, void (*report)(void *arg, const char *name), void *arg, struct err *e)
{
	const struct dirent *d;
	/* A description of its own: a duplicate would share the read position. */
	int fd = openat(spool_events_fd(s->sp), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir;

	if (fd < 0)
		return err_errno(e, "%s/events", spool_dir(s->sp));
	dir = fdopendir(fd);
	if (dir == NULL) {
		int rc = err_errno(e, "%s/events", spool_dir(s->sp));

		close(fd);
		return rc;
	}
	while ((d = readdir(dir)) != NULL) {
		if (!belongs(fd, d->d_name) && remember_stranger(s, d->d_name))
			report(arg, d->d_name);
	}
	closedir(dir);
	return 0;
}

struct scan_item *
scan_next(struct scan *s, int64_t now_ms, int64_t *wake_ms)
{
	*wake_ms = INT64_MAX;
	for (size_t i = 0; i < s->n; i++) {
		struct scan_item *item = &s->items[i];

		if (item->state != SCAN_WAITS)
			continue;
		if (item->not_before_ms <= now_ms)
			return item;
		if (item->not_before_ms < *wake_ms)
			*wake_ms = item->not_before_ms;
	}
	return NULL;
}

size_t
scan_waiting(const struct scan *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += s->items[i].state == SCAN_WAITS;
	return n;
}

void
scan_remove(struct scan *s, struct scan_item *item)
{
	size_t i = (size_t)(item - s->items);

	s->n--;
	memmove(item, item + 1, (s->n - i) * sizeof(*item));
}
