#include "uploader/space.h"

#include <sys/statvfs.h>

#include "common/log.h"

#define CALM_MS 5000
#define LOW_MS  200 /* while it is low: files are removed between two looks */
#define AT_ONCE 16  /* segments a look: what they free is seen only when they are gone */
#define SAY_MS  60000

void
space_init(struct space *s, struct spool *sp, struct ledger *l,
    bool (*release)(void *arg, const char *segment), void *arg)
{
	*s = (struct space){ .sp = sp, .ledger = l, .release = release, .arg = arg };
}

/* ---- is there enough? ---- */

static bool
enough(const struct space *s, uint64_t least, struct statvfs *fs)
{
	uint64_t inodes;

	if (fstatvfs(spool_events_fd(s->sp), fs) < 0)
		return true;
	/* Some file systems have no such number. */
	inodes = fs->f_files / 20 < SPACE_INODES ? fs->f_files / 20 : SPACE_INODES;
	return (uint64_t)fs->f_bavail * fs->f_frsize >= least &&
	       (fs->f_files == 0 || fs->f_favail >= inodes);
}

/* ---- purging ---- */

static int
purge_some(struct space *s, uint64_t *segments, uint64_t *events, struct err *e)
{
	struct ledger_segment seg = { 0 };
	uint64_t n;
	int rc;

	*segments = *events = 0;
	if (ledger_begin(s->ledger, e) < 0)
		return -1;
	while (*segments < AT_ONCE && (rc = ledger_next(s->ledger, 0, seg.id, &seg, e)) != 0) {
		if (rc < 0)
			goto failed;
		if (!s->release(s->arg, seg.name))
			continue;
		rc = ledger_purge(s->ledger, seg.name, &n, e);
		if (rc < 0)
			goto failed;
		*segments += (uint64_t)rc;
		*events += rc > 0 ? n : 0;
	}
	return ledger_commit(s->ledger, e);
failed:
	ledger_rollback(s->ledger);
	return -1;
}

static bool
purge(struct space *s)
{
	uint64_t segments, events;
	struct err e;
	int rc = purge_some(s, &segments, &events, &e);

	if (rc < 0) {
		if (!s->failed)
			log_error("min-free-space: nothing can be purged: %s", e.text);
		s->failed = true;
		return false;
	}
	s->failed = false;
	s->segments += segments;
	s->events += events;
	return segments > 0;
}

/* ---- the log ---- */

static void
say_low(struct space *s, uint64_t least, const struct statvfs *fs, int64_t now_ms)
{
	if (s->low && now_ms - s->said_ms < SAY_MS)
		return;
	log_error(
	    "min-free-space: %llu MB and %llu inodes are free where %s is, %llu MB are to be: "
	    "%llu segments with %llu events purged so far, the oldest first",
	    (unsigned long long)fs->f_bavail * fs->f_frsize >> 20, (unsigned long long)fs->f_favail,
	    spool_dir(s->sp), (unsigned long long)least >> 20, (unsigned long long)s->segments,
	    (unsigned long long)s->events);
	s->said_ms = now_ms;
}

static void
say_enough(struct space *s)
{
	if (s->low)
		log_warn(
		    "min-free-space: there is enough space again; %llu segments with %llu events "
		    "were purged",
		    (unsigned long long)s->segments, (unsigned long long)s->events);
	s->low = s->failed = s->exhausted = false;
	s->segments = s->events = 0;
}

bool
space_step(struct space *s, uint64_t least, int64_t now_ms, int64_t *wake_ms)
{
	struct statvfs fs;
	bool purged;

	*wake_ms = s->check_ms;
	if (least == 0 || now_ms < s->check_ms) {
		if (least == 0)
			*wake_ms = INT64_MAX;
		return false;
	}
	if (enough(s, least, &fs)) {
		say_enough(s);
		*wake_ms = s->check_ms = now_ms + CALM_MS;
		return false;
	}
	purged = purge(s);
	say_low(s, least, &fs, now_ms);
	if (!purged && !s->failed && !s->exhausted)
		log_error("min-free-space: nothing is left that may go: other files must");
	s->exhausted = !purged && !s->failed;
	s->low = true;
	*wake_ms = s->check_ms = now_ms + LOW_MS;
	return purged;
}
