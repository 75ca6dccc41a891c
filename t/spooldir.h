/*
 * spooldir.h - a spool of the test's own: made in a temporary directory, filled
 * with numbered events, read back, removed.
 */
#ifndef T_SPOOLDIR_H
#define T_SPOOLDIR_H

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/event.h"
#include "common/file.h"
#include "common/spool.h"

#define SPOOLDIR_SIZE 256

static inline const char *
spooldir_make(char path[SPOOLDIR_SIZE])
{
	const char *tmp = getenv("TMPDIR");

	snprintf(path, SPOOLDIR_SIZE, "%.200s/spool-test-XXXXXX", tmp != NULL ? tmp : "/tmp");
	if (mkdtemp(path) == NULL) {
		perror(path);
		exit(1);
	}
	return path;
}

static inline int
spooldir_remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st, (void)type, (void)where;
	return remove(path);
}

static inline void
spooldir_remove(const char *path)
{
	nftw(path, spooldir_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Append the line of event number `id`. */
static inline void
spooldir_line(struct buf *out, int64_t id)
{
	struct event ev;
	struct err e;

	event_init(&ev, EVENT_RECEPTION);
	ev.event_id = id;
	ev.timestamp = 1785844800;
	ev.message_id = SLICE_LIT("000040d4716a5b1c9e02");
	ev.rcpt_to = SLICE_LIT("anna@example.net");
	ev.recv_method = SLICE_LIT("esmtp");
	ev.subject = SLICE_LIT("What a segment holds");
	if (event_json(&ev, out, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		exit(1);
	}
}

/*
 * Count the events in the closed segments by number into times[0..n). Returns
 * how many lines there are; -1 if one is no event or has another number.
 */
static inline long
spooldir_count(struct spool *sp, unsigned *times, size_t n)
{
	struct buf file, store;
	char **names;
	struct event ev;
	struct err e;
	long lines = 0;
	ssize_t segments = spool_list(sp, &names, &e);

	memset(times, 0, n * sizeof(*times));
	buf_init(&file, BUF_NO_LIMIT);
	buf_init(&store, EVENT_LINE_MAX);
	for (ssize_t i = 0; i < segments; i++) {
		struct slice rest, line;

		if (file_read(spool_events_fd(sp), names[i], &file, &e) < 0 || file.len == 0 ||
		    file.p[file.len - 1] != '\n')
			lines = -1;
		rest = buf_slice(&file);
		while (lines >= 0 && slice_line(&rest, &line)) {
			if (event_read(line, &ev, &store, &e) < 0 || ev.event_id < 0 ||
			    ev.event_id >= (int64_t)n) {
				printf("# %s: %.*s\n", e.text, SLICE_FMT(slice_head(line, 200)));
				lines = -1;
				break;
			}
			times[ev.event_id]++;
			lines++;
		}
		free(names[i]);
	}
	if (segments >= 0)
		free(names);
	buf_free(&file);
	buf_free(&store);
	return lines;
}

/* How many directory entries there are, "." and ".." left out. */
static inline int
spooldir_entries(int dirfd)
{
	int n = 0, fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fdopendir(fd);

	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n - 2;
}

#endif
