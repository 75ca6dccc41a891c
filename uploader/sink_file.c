/*
 * sink_file.c - sinks that are archives: NAME-TIME.ndjson or .ndjson.gz in a directory.
 *
 * Each batch is appended (a gzip member of its own, so that the whole is a gzip file) and
 * synced; then the ledger counts it and the archive's new length in one transaction.
 * What a crash leaves behind that length is cut off before the next batch is written:
 * nothing is in there twice, and nothing torn.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "uploader/sink.h"

#define SUFFIX_PLAIN ".ndjson"
#define SUFFIX_GZIP  ".ndjson.gz"

/* ---- names: NAME-20261122T114757.123456Z.ndjson ---- */

static void
make_name(const struct sink *k, int64_t now_us, struct ledger_archive *a)
{
	time_t s = (time_t)(now_us / 1000000);
	struct tm tm;
	char when[40];

	gmtime_r(&s, &tm);
	strftime(when, sizeof(when), "%Y%m%dT%H%M%S", &tm);
	snprintf(a->name, sizeof(a->name), "%.48s-%s.%06dZ%s", k->name, when,
	    (int)(now_us % 1000000), k->conf.gzip ? SUFFIX_GZIP : SUFFIX_PLAIN);
	a->offset = 0;
	a->began_s = (int64_t)s;
}

static bool
is_archive(const char *name, const char *sink)
{
	static const char form[] = "00000000T000000.000000Z";
	size_t len = strlen(sink);

	if (strncmp(name, sink, len) != 0 || name[len] != '-')
		return false;
	name += len + 1;
	for (const char *f = form; *f != '\0'; f++, name++)
		if (*f == '0' ? *name < '0' || *name > '9' : *name != *f)
			return false;
	return strcmp(name, SUFFIX_PLAIN) == 0 || strcmp(name, SUFFIX_GZIP) == 0;
}

static bool
has_suffix(const char *name, const char *suffix)
{
	size_t n = strlen(name), m = strlen(suffix);

	return n >= m && strcmp(name + n - m, suffix) == 0;
}

int
sink_file_place(struct slot *t, struct err *e)
{
	struct sink *k = t->sink;
	struct archive_job *j = &t->archive;
	bool lost = j->rc == -2;
	int64_t now_s = clock_wall_s();
	int rc = ledger_archive(k->all->env.ledger, k->id, &j->at, e);

	if (rc < 0)
		return -1;
	j->rc = 0;
	j->prune = false;
	if (rc == 0 || lost || j->at.offset >= k->conf.max_size ||
	    now_s >= j->at.began_s + (int64_t)k->conf.rotate_s || now_s < j->at.began_s - 86400 ||
	    has_suffix(j->at.name, SUFFIX_GZIP) != k->conf.gzip) {
		/* The name is known before there is a file, so that it can't be forgotten. */
		make_name(k, clock_wall_us(), &j->at);
		if (ledger_set_archive(k->all->env.ledger, k->id, &j->at, e) < 0)
			return -1;
		j->prune = true;
	}
	j->keep_files = k->conf.keep_files;
	j->keep_s = k->conf.keep_s;
	buf_clear(&j->dir);
	buf_adds(&j->dir, k->conf.directory);
	buf_clear(&j->sink);
	buf_adds(&j->sink, k->name);
	return 0;
}

/* ---- in the worker ---- */

static int
newest_first(const void *a, const void *b)
{
	return strcmp(*(char *const *)b, *(char *const *)a);
}

static bool
is_old(int dirfd, const char *name, uint64_t keep_s)
{
	struct stat st;

	return keep_s != CONF_UNLIMITED && fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       clock_wall_s() - (int64_t)st.st_mtime > (int64_t)keep_s;
}

/* Archives that are one too many, or too old, go; not the one that is written to. */
static void
prune(int dirfd, const struct archive_job *j)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *d;
	char **names = NULL;
	size_t n = 0, room = 0;

	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((d = readdir(dir)) != NULL)
		if (is_archive(d->d_name, buf_str(&j->sink)) &&
		    strcmp(d->d_name, j->at.name) != 0) {
			names = xgrow(names, n, &room, sizeof(*names));
			names[n++] = xstrdup(d->d_name);
		}
	if (n > 0)
		qsort(names, n, sizeof(*names), newest_first);
	for (size_t i = 0; i < n; i++) {
		if (i >= j->keep_files || is_old(dirfd, names[i], j->keep_s))
			unlinkat(dirfd, names[i], 0);
		free(names[i]);
	}
	free(names);
	closedir(dir);
}

static int
append(int fd, struct archive_job *j, struct slice body)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(&j->why, "%s/%s", buf_str(&j->dir), j->at.name);
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size < j->at.offset) {
		err_text(&j->why, 0, "%s/%s: %s", buf_str(&j->dir), j->at.name,
		    S_ISREG(st.st_mode) ? "shorter than it was" : "not a regular file");
		return -2;
	}
	if ((uint64_t)st.st_size > j->at.offset && ftruncate(fd, (off_t)j->at.offset) < 0)
		return err_errno(&j->why, "%s/%s", buf_str(&j->dir), j->at.name);
	if (lseek(fd, (off_t)j->at.offset, SEEK_SET) < 0 || file_write_all(fd, body) < 0 ||
	    fsync(fd) < 0)
		return err_errno(&j->why, "write %s/%s", buf_str(&j->dir), j->at.name);
	j->at.offset += body.len;
	return 0;
}

/* What has its name now is no file: a FIFO, a directory, a link. */
static bool
is_not_it(int errnum)
{
	return errnum == ENOENT || errnum == ENXIO || errnum == EISDIR || errnum == ELOOP;
}

/* The directory's own name too: who made it may have been killed before that was durable. */
static int
sync_names(int dirfd, struct archive_job *j)
{
	int above, rc;

	if (file_sync_dir(dirfd, buf_str(&j->dir), &j->why) < 0)
		return -1;
	above = openat(dirfd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (above < 0)
		return 0; /* not ours to read, nor to have made something in */
	rc = file_sync_dir(above, buf_str(&j->dir), &j->why);
	close(above);
	return rc;
}

static int
write_archive(int dirfd, struct archive_job *j, struct slice body)
{
	bool new = j->at.offset == 0;
	int rc, fd = openat(dirfd, j->at.name,
		    O_WRONLY | (new ? O_CREAT : 0) | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0640);

	if (fd < 0) {
		err_text(&j->why, errno, "%s/%s", buf_str(&j->dir), j->at.name);
		return is_not_it(errno) ? -2 : -1;
	}
	rc = append(fd, j, body);
	close(fd);
	if (rc == 0 && new &&sync_names(dirfd, j) < 0)
		rc = -1;
	return rc;
}

void
sink_file_write(struct slot *t)
{
	struct archive_job *j = &t->archive;
	int dirfd;

	j->rc = -1;
	if (file_mkdirs(buf_str(&j->dir), 0750, &j->why) < 0)
		return;
	dirfd = open(buf_str(&j->dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0) {
		err_text(&j->why, errno, "%s", buf_str(&j->dir));
		return;
	}
	j->rc = write_archive(dirfd, j, buf_slice(&t->batch.body));
	if (j->rc == 0 && j->prune)
		prune(dirfd, j);
	close(dirfd);
}

/* ---- back in the loop ---- */

void
sink_file_written(struct slot *t)
{
	struct archive_job *j = &t->archive;
	struct outcome *o = &t->out;
	struct sink *k = t->sink;
	int64_t wait;

	o->tried.at_s = clock_wall_s();
	snprintf(o->status, sizeof(o->status), "%.*s", LEDGER_STATUS_MAX - 1,
	    j->rc == 0 ? "written" : j->why.text);
	o->tried.status = o->status;
	if (j->rc == 0) {
		sink_works(k, k->name);
		o->tried.good = true;
		o->tried.sent = 1;
		o->tried.bytes = t->batch.body.len;
		o->fates[LEDGER_UPLOADED] = t->batch.events;
		o->archived = true;
		o->archive = j->at;
		t->stage = SLOT_SETTLING;
		return;
	}
	o->tried.retried = 1;
	ledger_tried(k->all->env.ledger, k->id, &o->tried, NULL);
	if (j->rc == -2) {
		log_warn("sink %s: %s: somebody else has moved, replaced or cut it; a new archive "
			 "is begun",
		    k->name, j->why.text);
		slot_prepare(t);
		return;
	}
	wait = sink_failed(k, t, &backoff_normal, 0);
	log_warn("%s kept: sink %s: %s; next try in %lld s", t->seg.name, k->name, j->why.text,
	    (long long)(wait + 999) / 1000);
	t->stage = SLOT_READY;
}
