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

int
scan_open(struct scan *s, struct spool *sp, struct err *e)
{
	struct buf path;
	int rc = 0;

	*s = (struct scan){
		.sp = sp, .unread = true, .inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC)
	};
	if (s->inotify < 0)
		return err_errno(e, "inotify");
	s->names = xcalloc((size_t)2 * SCAN_WINDOW, SPOOL_NAME_SIZE);
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
	free(s->names);
	*s = (struct scan){ .inotify = -1 };
}

void
scan_changed(struct scan *s)
{
	_Alignas(struct inotify_event) char events[16384];
	const struct inotify_event *ev;
	ssize_t n;

	while ((n = read(s->inotify, events, sizeof(events))) > 0)
		for (ssize_t at = 0; at < n; at += (ssize_t)(sizeof(*ev) + ev->len)) {
			ev = (const void *)(events + at);
			if ((ev->mask & IN_Q_OVERFLOW) != 0 || s->n == 2 * SCAN_WINDOW)
				s->unread = true;
			else if (ev->len > 0 && (ev->mask & IN_ISDIR) == 0 &&
				 spool_is_segment(ev->name))
				memcpy(s->names[s->n++], ev->name, strlen(ev->name) + 1);
		}
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* The window is twice as long as it need be: the newer half goes. */
static void
keep_oldest(struct scan *s)
{
	qsort(s->names, s->n, SPOOL_NAME_SIZE, by_name);
	if (s->n > SCAN_WINDOW) {
		s->behind += s->n - SCAN_WINDOW;
		s->n = SCAN_WINDOW;
	}
}

static int
read_names(struct scan *s, DIR *dir, int (*known)(void *arg, const char *name), void *arg)
{
	char newest[SPOOL_NAME_SIZE] = ""; /* of a window that is full */
	const struct dirent *d;

	s->n = s->at = s->behind = 0;
	while ((d = readdir(dir)) != NULL) {
		int rc;

		/* File systems that don't say the kind are asked when the file is opened. */
		if (!spool_is_segment(d->d_name) ||
		    (d->d_type != DT_REG && d->d_type != DT_UNKNOWN))
			continue;
		/* Not for this window, known or not: asking takes longer than reading names. */
		if (newest[0] != '\0' && strcmp(d->d_name, newest) > 0) {
			s->behind++;
			continue;
		}
		rc = known(arg, d->d_name);
		if (rc < 0)
			return -1;
		if (rc > 0)
			continue;
		if (s->n == 2 * SCAN_WINDOW) {
			keep_oldest(s);
			memcpy(newest, s->names[SCAN_WINDOW - 1], sizeof(newest));
		}
		/* A segment's name is of a fixed length. */
		memcpy(s->names[s->n++], d->d_name, strlen(d->d_name) + 1);
	}
	keep_oldest(s);
	s->unread = s->behind > 0;
	return 0;
}

/* A description of its own: a duplicate would share the read position. */
static DIR *
open_dir(const struct scan *s, struct err *e)
{
	int fd = openat(spool_events_fd(s->sp), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (dir == NULL) {
		err_text(e, errno, "%s/events", spool_dir(s->sp));
		if (fd >= 0)
			close(fd);
	}
	return dir;
}

bool
scan_wants(const struct scan *s)
{
	return s->at == s->n && s->unread;
}

int
scan_read(
    struct scan *s, bool all, int (*known)(void *arg, const char *name), void *arg, struct err *e)
{
	DIR *dir;
	int rc;

	if (!all && !scan_wants(s))
		return 0;
	dir = open_dir(s, e);
	if (dir == NULL)
		return -1;
	rc = read_names(s, dir, known, arg);
	closedir(dir);
	if (rc < 0)
		s->unread = true;
	return 0;
}

const char *
scan_next(struct scan *s)
{
	const char *name;

	if (s->at == s->n)
		return NULL;
	name = s->names[s->at++];
	if (s->at == s->n)
		s->at = s->n = 0; /* the bytes stay until something new comes */
	return name;
}

size_t
scan_left(const struct scan *s)
{
	return s->n - s->at + s->behind;
}
