/*
 * ledger_check.c - does it add up? What the ledger says beside what is on disk.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/ledger_private.h"
#include "common/xalloc.h"

#define LOOKS    5 /* beside a writer, before a break is believed */
#define PAUSE_MS 40

struct missing { /* names of files that are not whole */
	size_t n, room;
	struct {
		char name[SPOOL_NAME_SIZE];
		uint64_t events;
	} * v;
};

void
ledger_check_free(struct ledger_check *c)
{
	free(c->sinks);
	*c = (struct ledger_check){ 0 };
}

static int
open_events(const struct ledger *l, struct err *e)
{
	struct buf path;
	int fd;

	buf_init(&path, BUF_NO_LIMIT);
	buf_printf(&path, "%s/events", l->dir);
	fd = open(buf_str(&path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		err_text(e, errno, "%s", buf_str(&path));
	buf_free(&path);
	return fd;
}

/* What the sinks have still to take from one segment. */
static int
add_segment(struct ledger *l, struct ledger_check *c, const struct ledger_segment *s, bool whole,
    struct err *e)
{
	sqlite3_stmt *st = ledger_bind(l, LEDGER_ALL_CURSORS, 1, &s->id);
	uint64_t *left = xcalloc(c->n_sinks + 1, sizeof(*left));
	int rc;

	for (size_t i = 0; i < c->n_sinks; i++)
		left[i] = s->events;
	while ((rc = ledger_step(l, LEDGER_ALL_CURSORS, e)) > 0)
		for (size_t i = 0; i < c->n_sinks; i++)
			if (c->sinks[i].counts.id == sqlite3_column_int64(st, 0))
				left[i] = sqlite3_column_int(st, 2) != 0
				              ? 0
				              : s->events - (uint64_t)sqlite3_column_int64(st, 1);
	ledger_reset(l, LEDGER_ALL_CURSORS);
	for (size_t i = 0; i < c->n_sinks; i++) {
		struct ledger_sums *k = &c->sinks[i];

		if (k->counts.retired || left[i] == 0)
			continue;
		*(whole ? &k->waiting : &k->missing) += left[i];
		if (whole && s->oldest_s > 0 && (k->oldest_s == 0 || s->oldest_s < k->oldest_s))
			k->oldest_s = s->oldest_s;
	}
	free(left);
	return rc;
}

static int
add_segments(
    struct ledger *l, int events_fd, struct ledger_check *c, struct missing *m, struct err *e)
{
	sqlite3_stmt *st = l->stmt[LEDGER_ALL];
	int rc;

	while ((rc = ledger_step(l, LEDGER_ALL, e)) > 0) {
		struct ledger_segment s = { .id = sqlite3_column_int64(st, 0) };
		struct stat file;
		bool whole;

		ledger_text(st, 1, s.name, sizeof(s.name));
		s.events = (uint64_t)sqlite3_column_int64(st, 2);
		s.bytes = (uint64_t)sqlite3_column_int64(st, 3);
		s.oldest_s = sqlite3_column_int64(st, 4);
		whole = fstatat(events_fd, s.name, &file, AT_SYMLINK_NOFOLLOW) == 0 &&
		        S_ISREG(file.st_mode) && (uint64_t)file.st_size >= s.bytes;
		c->segments++;
		c->events += s.events;
		if (!whole) {
			m->v = xgrow(m->v, m->n, &m->room, sizeof(*m->v));
			memcpy(m->v[m->n].name, s.name, sizeof(s.name));
			m->v[m->n++].events = s.events;
		}
		if (add_segment(l, c, &s, whole, e) < 0) {
			rc = -1;
			break;
		}
	}
	ledger_reset(l, LEDGER_ALL);
	return rc;
}

/* Where nothing was ever to be confirmed there is no such table. */
static void
add_unconfirmed(struct ledger *l, struct ledger_check *c)
{
	sqlite3_stmt *st = NULL;

	if (sqlite3_prepare_v2(l->db,
		"SELECT sink, count(*), sum(events), min(sent) FROM batch GROUP BY sink", -1, &st,
		NULL) != SQLITE_OK)
		return;
	while (sqlite3_step(st) == SQLITE_ROW)
		for (size_t i = 0; i < c->n_sinks; i++) {
			struct ledger_sums *k = &c->sinks[i];

			if (k->counts.id != sqlite3_column_int64(st, 0))
				continue;
			k->unconfirmed_batches = (uint64_t)sqlite3_column_int64(st, 1);
			k->unconfirmed = (uint64_t)sqlite3_column_int64(st, 2);
			k->unconfirmed_s = sqlite3_column_int64(st, 3);
		}
	sqlite3_finalize(st);
}

/* What is in events/ and the ledger does not know. */
static int
add_uncounted(struct ledger *l, int events_fd, struct ledger_check *c, struct err *e)
{
	/* A description of its own: reading must not move the other's offset. */
	int fd = openat(events_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *d;
	struct stat st;

	if (dir == NULL) {
		rc = err_errno(e, "%s/events", l->dir);
		if (fd >= 0)
			close(fd);
		return rc;
	}
	while (rc >= 0 && (d = readdir(dir)) != NULL) {
		if (!spool_is_segment(d->d_name))
			continue;
		rc = ledger_known(l, d->d_name, e);
		if (rc != 0 || fstatat(fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    !S_ISREG(st.st_mode))
			continue;
		c->uncounted_segments++;
		c->uncounted_bytes += (uint64_t)st.st_size;
	}
	closedir(dir);
	return rc < 0 ? -1 : 0;
}

static int
add_sinks(struct ledger *l, struct ledger_check *c, struct err *e)
{
	struct ledger_counts *counts;

	if (ledger_sinks(l, &counts, &c->n_sinks, e) < 0)
		return -1;
	c->sinks = xcalloc(c->n_sinks + 1, sizeof(*c->sinks));
	for (size_t i = 0; i < c->n_sinks; i++)
		c->sinks[i].counts = counts[i];
	free(counts);
	return 0;
}

static void
judge(struct ledger_check *c, const struct missing *m)
{
	c->missing_segments = m->n;
	c->good = m->n == 0;
	for (size_t i = 0; i < c->n_sinks; i++) {
		struct ledger_sums *k = &c->sinks[i];
		uint64_t sum = k->waiting;

		for (size_t f = 0; f < LEDGER_FATES; f++)
			sum += k->counts.fate[f];
		k->difference = (int64_t)(k->counts.made - sum);
		c->good = c->good && k->difference == 0;
	}
}

/* One look, at one moment of the ledger. */
static int
look(struct ledger *l, int events_fd, struct ledger_check *c, struct missing *m, struct err *e)
{
	bool own = sqlite3_get_autocommit(l->db) != 0;
	int rc = -1;

	m->n = 0;
	if (own && ledger_run(l, LEDGER_BEGIN_READ, 0, NULL, e) < 0)
		return -1;
	if (add_sinks(l, c, e) == 0 && add_segments(l, events_fd, c, m, e) == 0 &&
	    add_uncounted(l, events_fd, c, e) == 0)
		rc = 0;
	add_unconfirmed(l, c);
	if (own)
		ledger_rollback(l);
	if (rc == 0)
		judge(c, m);
	return rc;
}

int
ledger_check(struct ledger *l, struct ledger_check *out,
    void (*missing)(void *arg, const char *segment, uint64_t events), void *arg, struct err *e)
{
	struct missing m = { 0 };
	int events_fd, rc = 0;

	*out = (struct ledger_check){ 0 };
	events_fd = open_events(l, e);
	if (events_fd < 0)
		return -1;
	for (int i = 0; rc == 0 && i < (l->writer ? 1 : LOOKS); i++) {
		if (i > 0)
			nanosleep(&(struct timespec){ .tv_nsec = PAUSE_MS * 1000000L }, NULL);
		ledger_check_free(out);
		rc = look(l, events_fd, out, &m, e);
		if (out->good)
			break;
	}
	for (size_t i = 0; rc == 0 && missing != NULL && i < m.n; i++)
		missing(arg, m.v[i].name, m.v[i].events);
	if (rc < 0)
		ledger_check_free(out);
	free(m.v);
	close(events_fd);
	return rc;
}
