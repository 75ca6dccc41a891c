#include "uploader/learn.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/event.h"
#include "common/file.h"
#include "common/log.h"
#include "common/xalloc.h"

#define SEGMENT_MAX      ((size_t)64 << 20)
#define WAIT_SURPLUS_S   30
#define TRIM_MS          30000
#define RECOVER_AGAIN_MS 10000

struct learn {
	const struct conf *conf;
	struct spool *sp;
	struct index *ix;
	struct spool_writer *writer;
	int64_t horizon_us;
	int64_t trim_ms, recover_ms; /* when next */
	bool failing;                /* and it has been logged */
	struct buf segment, store;
};

/* ---- opening ---- */

static struct index *
open_index(const struct conf *conf, const struct spool *sp, struct err *e)
{
	struct index *ix;
	struct buf path;
	struct err why;

	buf_init(&path, BUF_NO_LIMIT);
	if (conf->mail_log.index != NULL)
		buf_adds(&path, conf->mail_log.index);
	else
		buf_printf(&path, "%s/index.db", spool_dir(sp));
	ix = index_open_anew(buf_str(&path), &why, e);
	if (ix != NULL && why.text[0] != '\0')
		log_error("%s: kept as %s" INDEX_DAMAGED
			  ", and a new one is begun: of messages that "
			  "were uploaded before, no delivery or bounce will be known",
		    why.text, buf_str(&path));
	buf_free(&path);
	return ix;
}

struct learn *
learn_open(const struct conf *conf, struct spool *sp, struct err *e)
{
	const struct spool_writer_options options = { conf->spool.segment_size,
		(unsigned)conf->spool.segment_age_s * 1000, conf->spool.sync };
	struct learn *l = xcalloc(1, sizeof(*l));

	l->conf = conf;
	l->sp = sp;
	l->trim_ms = clock_mono_ms();
	buf_init(&l->segment, SEGMENT_MAX);
	buf_init(&l->store, EVENT_LINE_MAX);
	if ((l->ix = open_index(conf, sp, e)) == NULL ||
	    (l->writer = spool_writer_open(sp, &options, e)) == NULL) {
		learn_close(l);
		return NULL;
	}
	index_set_use(l->ix, conf->mail_log.given, conf->bounce.given || conf->feedback.given);
	return l;
}

void
learn_close(struct learn *l)
{
	if (l == NULL)
		return;
	spool_writer_close(l->writer);
	index_close(l->ix);
	buf_free(&l->segment);
	buf_free(&l->store);
	free(l);
}

struct index *
learn_index(const struct learn *l)
{
	return l->ix;
}

struct spool_writer *
learn_writer(const struct learn *l)
{
	return l->writer;
}

int64_t
learn_horizon_us(const struct learn *l)
{
	return l->horizon_us;
}

int64_t
learn_wait_ms(const struct learn *l)
{
	uint64_t least_s = l->conf->spool.segment_age_s + WAIT_SURPLUS_S;
	uint64_t wait_s = l->conf->mail_log.wait_s > least_s ? l->conf->mail_log.wait_s : least_s;

	return (int64_t)wait_s * 1000;
}

/* ---- segments into the index ---- */

/* Most lines of a segment can be told from reception events without being parsed. */
static bool
may_be_reception(struct slice line)
{
	return memmem(line.p, line.len, "\"reception\"", 11) != NULL;
}

/* Within a transaction. */
static int
read_segment(struct learn *l, const char *name, struct err *e)
{
	struct slice rest, line;
	struct event ev;

	if (file_read(spool_events_fd(l->sp), name, &l->segment, e) < 0) {
		/* Gone, or not to be read by anybody: it can't be waited for. */
		log_warn("index: %s", e->text);
		return index_add_segment(l->ix, name, e);
	}
	rest = buf_slice(&l->segment);
	while (slice_line(&rest, &line))
		if (may_be_reception(line) && event_read(line, &ev, &l->store, NULL) == 0 &&
		    ev.type == EVENT_RECEPTION && index_learn(l->ix, &ev, e) < 0)
			return -1;
	buf_free(&l->segment);
	return index_add_segment(l->ix, name, e);
}

int
learn_segment(struct learn *l, const char *segment, struct err *e)
{
	int rc = index_has_segment(l->ix, segment, e);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (index_begin(l->ix, e) == 0 && read_segment(l, segment, e) == 0 &&
	    index_commit(l->ix, e) == 0)
		return 0;
	index_rollback(l->ix);
	return -1;
}

void
learn_gone(struct learn *l, const char *segment)
{
	/* A name that stays there for nothing does no harm. */
	index_forget_segment(l->ix, segment, NULL);
}

/* When the oldest of the segments that are being written was begun; it is in their names. */
static int64_t
oldest_open(struct learn *l, int64_t now_us)
{
	int fd = openat(spool_open_fd(l->sp), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *d;

	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return INT64_MIN;
	}
	while ((d = readdir(dir)) != NULL) {
		char *end;
		int64_t us;

		if (!spool_is_segment(d->d_name))
			continue;
		us = strtoll(d->d_name + 4, &end, 16);
		if (us < now_us)
			now_us = us;
	}
	closedir(dir);
	return now_us;
}

/*
 * The open ones are listed before the closed ones: what is closed in between is
 * counted as open.
 */
int
learn_more(struct learn *l, struct err *e)
{
	int64_t horizon = oldest_open(l, clock_wall_us());
	char **names;
	ssize_t n = spool_list(l->sp, &names, e), left = 0;
	int rc = n < 0 ? -1 : 0;

	for (ssize_t i = 0; i < n; i++) {
		if (rc >= 0 && left == 0) {
			rc = index_has_segment(l->ix, names[i], e);
			if (rc == 0) {
				rc = read_segment(l, names[i], e);
				left++;
			}
		}
		free(names[i]);
	}
	if (n >= 0)
		free(names);
	if (rc < 0)
		return -1;
	if (left == 0)
		l->horizon_us = horizon;
	return left > 0;
}

static void
recovered(void *arg, const char *text)
{
	(void)arg;
	log_warn("%s", text);
}

void
learn_recover(struct learn *l, int64_t now)
{
	struct err e;

	if (now < l->recover_ms)
		return;
	l->recover_ms = now + RECOVER_AGAIN_MS;
	if (spool_recover(l->sp, recovered, NULL, &e) < 0)
		log_error("%s", e.text);
}

/* ---- forgetting ---- */

/* 1: there is more; 0; -1 and *e. */
static int
trim(struct learn *l, struct err *e)
{
	const struct conf_mail_log *c = &l->conf->mail_log;
	int64_t before_s = clock_wall_s() - (int64_t)c->index_age_s;
	int more;

	if (index_begin(l->ix, e) < 0)
		return -1;
	more = index_trim(l->ix, before_s, (int64_t)c->index_size, e);
	if (more >= 0 && index_commit(l->ix, e) == 0)
		return more;
	index_rollback(l->ix);
	return -1;
}

int64_t
learn_step(struct learn *l)
{
	int64_t now = clock_mono_ms();
	struct err e;
	int more;

	if (now < l->trim_ms)
		return l->trim_ms;
	more = trim(l, &e);
	if (more < 0 && !l->failing)
		log_error("%s", e.text);
	l->failing = more < 0;
	l->trim_ms = more > 0 ? now : now + TRIM_MS;
	return l->trim_ms;
}
