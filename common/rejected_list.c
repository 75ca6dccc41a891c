/*
 * rejected_list.c - reading rejected/, and keeping it within its limits.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/rejected_private.h"
#include "common/xalloc.h"

#define DEBRIS_AGE_S 3600 /* younger than this it may be somebody's work */

static DIR *
open_dir(int dirfd, struct err *e)
{
	/* A description of its own: reading must not move dirfd's offset. */
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (d == NULL) {
		err_text(e, errno, "read rejected/");
		if (fd >= 0)
			close(fd);
	}
	return d;
}

static int64_t
us(struct timespec t)
{
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* The reason is made when the lines come here; a moved file's own times say nothing about that. */
static bool
look(int dirfd, const char *name, struct rejected_entry *out)
{
	char reason[REJECTED_NAME_SIZE];
	struct stat st, why;

	if (!rejected_is_name(name) || fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	*out = (struct rejected_entry){
		.time_us = us(st.st_ctim),
		.bytes = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0,
		.on_disk = (uint64_t)st.st_blocks * 512,
		.regular = S_ISREG(st.st_mode),
	};
	if (rejected_with_suffix(name, REJECTED_SUFFIX, reason) &&
	    fstatat(dirfd, reason, &why, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(why.st_mode)) {
		out->has_reason = true;
		out->time_us = us(why.st_mtim);
		out->on_disk += (uint64_t)why.st_blocks * 512;
	}
	return true;
}

static int
by_time(const void *a, const void *b)
{
	const struct rejected_entry *x = a, *y = b;

	if (x->time_us != y->time_us)
		return x->time_us < y->time_us ? -1 : 1;
	return strcmp(x->name, y->name);
}

ssize_t
rejected_list(int dirfd, struct rejected_entry **out, struct err *e)
{
	DIR *d = open_dir(dirfd, e);
	const struct dirent *entry;
	size_t n = 0, room = 0;

	*out = NULL;
	if (d == NULL)
		return -1;
	while ((entry = readdir(d)) != NULL) {
		struct rejected_entry one;

		if (!look(dirfd, entry->d_name, &one))
			continue;
		*out = xgrow(*out, n, &room, sizeof(**out));
		one.name = xstrdup(entry->d_name);
		(*out)[n++] = one;
	}
	closedir(d);
	if (n > 0)
		qsort(*out, n, sizeof(**out), by_time);
	return (ssize_t)n;
}

void
rejected_free_list(struct rejected_entry *list, ssize_t n)
{
	for (ssize_t i = 0; i < n; i++)
		free(list[i].name);
	free(list);
}

/* The lines first: what is left of an interruption is a reason without lines. */
static int
remove_both(int dirfd, const char *name, struct err *e)
{
	char reason[REJECTED_NAME_SIZE];

	if (unlinkat(dirfd, name, 0) < 0 && errno != ENOENT &&
	    ((errno != EISDIR && errno != EPERM) || unlinkat(dirfd, name, AT_REMOVEDIR) < 0))
		return err_errno(e, "remove rejected/%s", name);
	if (rejected_with_suffix(name, REJECTED_SUFFIX, reason) && unlinkat(dirfd, reason, 0) < 0 &&
	    errno != ENOENT)
		return err_errno(e, "remove rejected/%s", reason);
	return 0;
}

int
rejected_remove(int dirfd, const char *name, struct err *e)
{
	if (!rejected_is_name(name))
		return err_set(e, "rejected/%s: no name of a rejected file", name);
	if (remove_both(dirfd, name, e) < 0)
		return -1;
	return file_sync_dir(dirfd, "rejected", e);
}

/* ---- limits ---- */

/* Temporary files, and reasons whose lines never came or have gone. */
static int
remove_debris(int dirfd, int64_t now_s, struct err *e)
{
	DIR *d = open_dir(dirfd, e);
	const struct dirent *entry;

	if (d == NULL)
		return -1;
	while ((entry = readdir(d)) != NULL) {
		struct slice name = slice_str(entry->d_name);
		struct stat st, other;
		char lines[REJECTED_NAME_SIZE];

		if (!slice_endsi(name, SLICE_LIT(REJECTED_TMP)) &&
		    !slice_endsi(name, SLICE_LIT(REJECTED_SUFFIX)))
			continue;
		if (name.len >= sizeof(lines) ||
		    fstatat(dirfd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    !S_ISREG(st.st_mode) || st.st_mtim.tv_sec + DEBRIS_AGE_S > now_s)
			continue;
		if (slice_endsi(name, SLICE_LIT(REJECTED_SUFFIX))) {
			snprintf(lines, sizeof(lines), "%.*s",
			    (int)(name.len - (sizeof(REJECTED_SUFFIX) - 1)), entry->d_name);
			if (fstatat(dirfd, lines, &other, AT_SYMLINK_NOFOLLOW) == 0)
				continue;
		}
		unlinkat(dirfd, entry->d_name, 0);
	}
	closedir(d);
	return 0;
}

static bool
over_limits(const struct rejected *r, const struct rejected_entry *oldest, int64_t now_s)
{
	const struct rejected_limits *l = &r->limits;

	return (l->max_bytes > 0 && r->bytes > l->max_bytes) ||
	       (l->max_files > 0 && r->files > l->max_files) ||
	       (l->max_age_s > 0 && oldest->time_us / 1000000 + l->max_age_s < now_s);
}

static void
drop(struct rejected *r, const struct rejected_entry *one)
{
	struct rejected_why why = { .events = 0 };
	struct buf store;

	buf_init(&store, BUF_NO_LIMIT);
	if (one->has_reason)
		rejected_read_why(r->dir, one->name, &why, &store, NULL);
	if (remove_both(r->dir, one->name, NULL) == 0) {
		r->dropped.files++;
		r->dropped.events += why.events;
		r->dropped.bytes += one->bytes;
		r->files--;
		r->bytes -= one->on_disk;
	}
	buf_free(&store);
}

int
rejected_trim(struct rejected *r, struct err *e)
{
	struct rejected_entry *list;
	int64_t now_s = clock_wall_s();
	ssize_t n = rejected_list(r->dir, &list, e);

	if (n < 0)
		return -1;
	r->files = (uint64_t)n;
	r->bytes = 0;
	for (ssize_t i = 0; i < n; i++)
		r->bytes += list[i].on_disk;
	for (ssize_t i = 0; i < n && over_limits(r, &list[i], now_s); i++)
		drop(r, &list[i]);
	rejected_free_list(list, n);
	r->counted = true;
	return remove_debris(r->dir, now_s, e);
}

void
rejected_grown(struct rejected *r, uint64_t bytes)
{
	const struct rejected_limits *l = &r->limits;

	if (l->max_bytes == 0 && l->max_files == 0)
		return;
	r->files++;
	/* Two files of whole blocks; counted exactly by the next trim. */
	r->bytes += bytes + 8192;
	if (!r->counted || (l->max_bytes > 0 && r->bytes > l->max_bytes) ||
	    (l->max_files > 0 && r->files > l->max_files))
		rejected_trim(r, NULL);
}

bool
rejected_take_dropped(struct rejected *r, struct rejected_dropped *out)
{
	*out = r->dropped;
	r->dropped = (struct rejected_dropped){ 0 };
	return out->files > 0;
}
