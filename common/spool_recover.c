/*
 * spool_recover.c - what a dead writer left in events/open/.
 *
 * A file is read once to see what it holds. If every whole line is an event, it
 * is cut behind the last one and moved. If not, what is no event is copied to
 * rejected/ first, then the rest replaces the file, then that is moved: whenever
 * this is interrupted, the next time starts from a file that holds all events.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/event.h"
#include "common/file.h"
#include "common/lines.h"
#include "common/rejected.h"
#include "common/spool_file.h"
#include "common/spool_sweep.h"

#define TMP_SUFFIX   ".tmp"
#define UNREADABLE_S 3600 /* a file whose lock can't be asked for may have a writer */

struct recovery {
	struct spool *sp;
	void (*report)(void *arg, const char *text);
	void *arg;
	struct buf store; /* for event_read() */
	struct rejected *rejected;
};

/* *why says why not. */
static bool
is_event(struct recovery *r, const struct line *line, struct err *why)
{
	struct event ev;

	return event_read(line->text, &ev, &r->store, why) == 0;
}

/* ---- what is in a file ---- */

struct tally {
	uint64_t good, bad; /* whole lines */
	off_t whole;        /* where the last whole line ends */
	off_t size;
};

static int
count_lines(struct recovery *r, int fd, struct tally *t, struct err *e)
{
	struct lines l;
	struct line line;
	struct err why;
	int rc;

	*t = (struct tally){ 0 };
	lines_open(&l, fd, 0);
	while ((rc = lines_next(&l, &line, e)) > 0) {
		t->size = (off_t)line.next;
		if (!line.ended)
			continue;
		t->whole = (off_t)line.next;
		if (is_event(r, &line, &why))
			t->good++;
		else
			t->bad++;
	}
	lines_close(&l);
	return rc;
}

/* ---- parting good from bad ---- */

struct parts {
	int good;          /* descriptor */
	uint64_t n, n_bad; /* lines */
	off_t bad_bytes;
	struct buf reasons; /* a text line for each bad line */
	struct err first;   /* the first of them */
};

static int
copy_line(struct recovery *r, int fd, const struct line *line, struct parts *p, struct err *e)
{
	struct slice good = { line->text.p, line->text.len + 1 };
	struct err why;

	if (is_event(r, line, &why))
		return file_write_all(p->good, good) < 0
		           ? err_errno(e, "part good lines from bad ones")
		           : 0;
	if (rejected_write_range(r->rejected, fd, line->offset, line->next, e) < 0)
		return -1;
	if (p->n_bad++ == 0)
		p->first = why;
	p->bad_bytes += (off_t)(line->next - line->offset);
	buf_printf(&p->reasons, "line %llu: %s\n", (unsigned long long)p->n, why.text);
	return 0;
}

static int
copy_parts(struct recovery *r, int fd, struct parts *p, struct err *e)
{
	struct lines l;
	struct line line;
	int rc;

	lines_open(&l, fd, 0);
	while ((rc = lines_next(&l, &line, e)) > 0 && line.ended) {
		p->n++;
		if ((rc = copy_line(r, fd, &line, p, e)) < 0)
			break;
	}
	lines_close(&l);
	if (rc < 0)
		return -1;
	return fsync(p->good) < 0 ? err_errno(e, "sync") : 0;
}

/* What is no event to rejected/, the rest to p->good. */
static int
divide(struct recovery *r, const char *name, int fd, bool any_bad, struct parts *p, struct err *e)
{
	struct rejected_why why = { .segment = slice_str(name) };
	char kept[REJECTED_NAME_SIZE];

	if (!any_bad)
		return copy_parts(r, fd, p, e);
	rejected_name(name, SLICE_LIT(""), 0, kept);
	if (rejected_begin(r->rejected, kept, e) < 0)
		return -1;
	if (copy_parts(r, fd, p, e) < 0) {
		rejected_abandon(r->rejected);
		return -1;
	}
	why.reason = slice_str(p->first.text);
	why.details = buf_slice(&p->reasons);
	why.events = p->n_bad;
	why.bytes = (uint64_t)p->bad_bytes;
	return rejected_commit(r->rejected, &why, e);
}

/*
 * Leave only the events in open/NAME and bring the rest to rejected/. *fd
 * becomes the new file's descriptor, locked as the old one was.
 */
static int
part(struct recovery *r, const char *name, int *fd, bool any_bad, struct err *e)
{
	char tmp[SPOOL_NAME_SIZE + sizeof(TMP_SUFFIX)];
	struct parts p = { .n_bad = 0 };
	int rc = 0;

	snprintf(tmp, sizeof(tmp), "%s" TMP_SUFFIX, name);
	buf_init(&p.reasons, REJECTED_DETAILS_MAX);
	p.good = openat(
	    r->sp->open, tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, SPOOL_FILE_MODE);
	if (p.good < 0)
		return err_errno(e, "create %s", tmp);
	if (spool_file_lock(r->sp->open, tmp, p.good, e) != 1)
		rc = err_set(e, "lock %s", tmp);
	if (rc == 0)
		rc = divide(r, name, *fd, any_bad, &p, e);
	if (rc == 0 && renameat(r->sp->open, tmp, r->sp->open, name) < 0)
		rc = err_errno(e, "rename %s", tmp);
	if (rc == 0)
		rc = file_sync_dir(r->sp->open, "events/open", e);
	if (rc == 0) {
		int old = *fd;

		*fd = p.good;
		p.good = old;
	} else {
		unlinkat(r->sp->open, tmp, 0);
	}
	close(p.good);
	buf_free(&p.reasons);
	return rc;
}

/* ---- one file ---- */

__attribute__((format(printf, 3, 4))) static void
say(const struct recovery *r, const char *name, const char *fmt, ...)
{
	struct err line; /* makes control characters harmless */
	va_list ap;
	char what[400];

	if (r->report == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	err_text(&line, 0, "%s: %s", name, what);
	r->report(r->arg, line.text);
}

static int
publish(struct recovery *r, const char *name, int fd, off_t cut, struct err *e)
{
	char moved[SPOOL_NAME_SIZE];

	if (cut >= 0 && ftruncate(fd, cut) < 0)
		return err_errno(e, "cut");
	if (fdatasync(fd) < 0)
		return err_errno(e, "sync");
	snprintf(moved, sizeof(moved), "%s", name);
	if (spool_file_move(r->sp, moved, e) < 0)
		return -1;
	return spool_file_sync_dirs(r->sp, e);
}

/* It is in events/ already: the move was interrupted where it is a link and an unlink (NFS). */
static bool
is_moved(const struct recovery *r, const char *name, const struct stat *st)
{
	struct stat there;

	return fstatat(r->sp->events, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	       there.st_dev == st->st_dev && there.st_ino == st->st_ino;
}

/*
 * A file that is ours: locked, regular, a segment by name. What has another name too, or is not
 * ours to write, is copied: whose bytes they are is not known. 1: it came to events/; 0: nothing
 * was in it.
 */
static int
settle(struct recovery *r, const char *name, int *fd, const struct stat *st, struct err *e)
{
	bool copy = st->st_nlink > 1 || (fcntl(*fd, F_GETFL) & O_ACCMODE) == O_RDONLY;
	struct tally t;
	off_t cut;

	if (st->st_nlink > 1 && is_moved(r, name, st))
		return unlinkat(r->sp->open, name, 0) < 0 ? err_errno(e, "remove") : 0;
	if (count_lines(r, *fd, &t, e) < 0)
		return -1;
	copy = t.bad > 0 || (copy && t.good > 0);
	if (copy && part(r, name, fd, t.bad > 0, e) < 0)
		return -1;
	cut = !copy && t.size > t.whole ? t.whole : -1;
	if (t.good == 0) {
		if (unlinkat(r->sp->open, name, 0) < 0)
			return err_errno(e, "remove");
		if (file_sync_dir(r->sp->open, "events/open", e) < 0)
			return -1;
	} else if (publish(r, name, *fd, cut, e) < 0) {
		return -1;
	}
	if (t.size == 0)
		say(r, name, "empty, removed");
	else
		say(r, name,
		    "recovered %llu events; %llu bad lines to rejected/; cut %lld bytes of a torn "
		    "line",
		    (unsigned long long)t.good, (unsigned long long)t.bad,
		    (long long)(t.size - t.whole));
	return t.good > 0;
}

/* Left by a recovery that was interrupted; its source is still there. */
static bool
is_debris(const char *name)
{
	char stem[SPOOL_NAME_SIZE];
	size_t len = strlen(name), suffix = sizeof(TMP_SUFFIX) - 1;

	if (len <= suffix || len - suffix >= sizeof(stem) ||
	    strcmp(name + len - suffix, TMP_SUFFIX) != 0)
		return false;
	snprintf(stem, sizeof(stem), "%.*s", (int)(len - suffix), name);
	return spool_is_segment(stem);
}

/* What is no segment has no business here. */
static int
evict(struct recovery *r, const char *name, const char *reason, struct err *e)
{
	return spool_sweep_evict(r->rejected, r->sp->open, name, reason, r->report, r->arg, e);
}

/*
 * A descriptor; -2: it is dealt with; -1 and *e. A file that was left without rights is
 * given them if it is ours; one that only others may read is theirs until it is old.
 */
static int
open_file(struct recovery *r, const char *name, const struct stat *st, struct err *e)
{
	int flags = O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	int fd = openat(r->sp->open, name, O_RDWR | flags);

	if (fd < 0 && errno == EACCES && st->st_uid == geteuid() && st->st_nlink == 1 &&
	    fchmodat(r->sp->open, name, SPOOL_FILE_MODE, 0) == 0)
		fd = openat(r->sp->open, name, O_RDWR | flags);
	if (fd < 0 && errno == EACCES)
		fd = openat(r->sp->open, name, O_RDONLY | flags);
	if (fd >= 0)
		return fd;
	if (errno == ENOENT || errno == ELOOP)
		return -2; /* next time */
	if (errno != EACCES || spool_sweep_is_young(st, UNREADABLE_S))
		return err_errno(e, "open");
	return evict(r, name, "it can't be read", e) < 0 ? -1 : -2;
}

static int
recover_file(struct recovery *r, const char *name, struct err *e)
{
	bool debris = is_debris(name);
	int fd, rc, locked;
	struct stat st;

	/* Looked at before it is opened: some devices do things when they are. */
	if (fstatat(r->sp->open, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_errno(e, "stat");
	if (!S_ISREG(st.st_mode))
		return evict(r, name, "not a regular file", e);
	if (!debris && !spool_is_segment(name))
		return spool_sweep_is_young(&st, SPOOL_SWEEP_GRACE_S)
		           ? 0
		           : evict(r, name, "not the name of a segment", e);
	fd = open_file(r, name, &st, e);
	if (fd < 0)
		return fd == -2 ? 0 : -1;
	locked = spool_file_lock(r->sp->open, name, fd, e);
	if (locked <= 0) {
		close(fd); /* a running program's: nothing to do, and nothing to say */
		return locked;
	}
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		rc = err_set(e, "not a regular file");
	else if (debris)
		rc = unlinkat(r->sp->open, name, 0) < 0 ? err_errno(e, "remove") : 0;
	else
		rc = settle(r, name, &fd, &st, e);
	close(fd);
	return rc;
}

int
spool_recover(
    struct spool *sp, void (*report)(void *arg, const char *text), void *arg, struct err *e)
{
	struct recovery r = { .sp = sp, .report = report, .arg = arg };
	ssize_t n;
	char **names;
	struct err why;
	int recovered = 0;

	n = spool_file_names(sp->open, false, &names, e);
	if (n < 0)
		return -1;
	buf_init(&r.store, EVENT_LINE_MAX);
	r.rejected = rejected_open(sp->rejected, NULL);
	/* Backwards: NAME.tmp goes before NAME is looked at. */
	for (ssize_t i = n; i-- > 0;) {
		int rc = recover_file(&r, names[i], &why);

		if (rc < 0)
			say(&r, names[i], "left alone: %s", why.text);
		else
			recovered += rc;
	}
	for (ssize_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
	buf_free(&r.store);
	rejected_close(r.rejected);
	return recovered;
}
