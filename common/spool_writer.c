/*
 * spool_writer.c - appending with group commit.
 *
 * Callers queue up. The first that finds nobody at work becomes the leader: it
 * takes the whole queue, writes it and syncs once, all without the lock; those
 * who come meanwhile are the next leader's group. So there is one thread at the
 * files at any time, and no caller waits for more than two syncs.
 *
 * Segments are closed by a thread of their own, off the callers' way. One that
 * can't be closed (disk errors) keeps its lock and is tried again.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/spool_file.h"
#include "common/xalloc.h"

#define SEGMENT_MAX  4500000 /* a batch must fit into 5 MB, whichever way that is counted */
#define RETRY_MS     1000    /* between tries to close a segment */
#define BUSY_WAIT_MS 10      /* before looking again at a segment that the leader has */

struct segment {
	struct segment *next; /* among the retired */
	char name[SPOOL_NAME_SIZE];
	int fd;
	struct spool_writer_options opt; /* as it began */
	off_t size;                      /* of whole appends; what lies beyond is to be cut */
	off_t synced;                    /* on stable storage */
	bool dirty;                      /* changed since the last sync */
	bool cut;                        /* the file may be longer than `size` */
	bool moved;       /* it is in events/ already; only the directories must be synced */
	int64_t first_ms; /* when its first event came (monotonic) */
};

struct waiter {
	struct waiter *next;
	struct slice lines;
	unsigned count;
	int rc;
	bool done; /* under lock */
	struct err *e;
};

struct spool_writer {
	struct spool *sp;
	pthread_t closer;
	pthread_mutex_t lock;
	pthread_cond_t done; /* a group is finished */
	pthread_cond_t wake; /* there is something for the closer */

	/* under lock */
	struct spool_writer_options opt;
	struct waiter *queue, **tail;
	bool busy; /* there is a leader */
	bool stopping;
	struct segment *retired, **retired_tail;
	struct spool_stats stats;

	/* the leader's; under lock while there is none */
	struct segment *cur;
	bool fresh; /* `cur` got its first event: the closer must know when it will be old */

	/* the closer's */
	struct segment *stuck;
	int64_t retry_ms; /* when to try those again */
};

static void
fail(struct spool_writer *w, const struct err *e)
{
	pthread_mutex_lock(&w->lock);
	w->stats.failures++;
	w->stats.error = *e;
	pthread_mutex_unlock(&w->lock);
}

static void
count_sync(struct spool_writer *w)
{
	pthread_mutex_lock(&w->lock);
	w->stats.syncs++;
	pthread_mutex_unlock(&w->lock);
}

static struct timespec
later(int64_t ms)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_sec += ms / 1000;
	ts.tv_nsec += ms % 1000 * 1000000;
	if (ts.tv_nsec >= 1000000000) {
		ts.tv_nsec -= 1000000000;
		ts.tv_sec++;
	}
	return ts;
}

/* ---- segments: the leader's work, without the lock ---- */

static int
begin_segment(struct spool_writer *w, struct err *e)
{
	struct segment *seg;
	char name[SPOOL_NAME_SIZE];
	int fd = spool_file_create(w->sp, name, e);

	if (fd < 0)
		return -1;
	seg = xcalloc(1, sizeof(*seg));
	seg->fd = fd;
	memcpy(seg->name, name, sizeof(name));
	pthread_mutex_lock(&w->lock);
	seg->opt = w->opt;
	pthread_mutex_unlock(&w->lock);
	w->cur = seg;
	return 0;
}

/* With the lock: hand a segment to the closer. */
static void
retire_locked(struct spool_writer *w, struct segment *seg)
{
	seg->next = NULL;
	*w->retired_tail = seg;
	w->retired_tail = &seg->next;
	pthread_cond_signal(&w->wake);
}

static void
retire(struct spool_writer *w)
{
	pthread_mutex_lock(&w->lock);
	retire_locked(w, w->cur);
	pthread_mutex_unlock(&w->lock);
	w->cur = NULL;
}

/* Make the file as long as what counts in it. */
static int
cut_back(struct segment *seg, struct err *e)
{
	seg->cut = true;
	seg->dirty = true;
	if (ftruncate(seg->fd, seg->size) < 0)
		return err_errno(e, "cut %s", seg->name);
	seg->cut = false;
	return 0;
}

static int
write_at(int fd, off_t at, struct slice data)
{
	while (data.len > 0) {
		ssize_t n = pwrite(fd, data.p, data.len, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			errno = n == 0 ? ENOSPC : errno;
			return -1;
		}
		data = slice_skip(data, (size_t)n);
		at += n;
	}
	return 0;
}

static int
write_lines(struct spool_writer *w, struct slice lines, struct err *e)
{
	struct segment *seg;

	if (w->cur == NULL && begin_segment(w, e) < 0)
		return -1;
	seg = w->cur;
	if (write_at(seg->fd, seg->size, lines) < 0) {
		int rc = err_errno(e, "write %s/events/open/%s", w->sp->dir, seg->name);

		/* If even this fails, nothing more is written to it, and the closer cuts it. */
		cut_back(seg, NULL);
		return rc;
	}
	if (seg->size == 0) {
		seg->first_ms = clock_mono_ms();
		w->fresh = true;
	}
	seg->size += (off_t)lines.len;
	seg->dirty = true;
	return 0;
}

static bool
is_aged(const struct segment *seg)
{
	return seg->size > 0 && clock_mono_ms() - seg->first_ms >= seg->opt.segment_age_ms;
}

/* Must this segment be left before `more` bytes are written? */
static bool
is_over(const struct segment *seg, size_t more)
{
	if (seg->cut)
		return true;
	return seg->size > 0 && (size_t)seg->size + more > seg->opt.segment_size;
}

/* What was written for [from, to) is in the current segment: sync it, and tell them. */
static void
settle(struct spool_writer *w, struct waiter *from, struct waiter *to)
{
	struct segment *seg = w->cur;
	struct err why;

	if (seg == NULL || !seg->dirty || !seg->opt.sync)
		return;
	if (fdatasync(seg->fd) == 0) {
		count_sync(w);
		seg->synced = seg->size;
		seg->dirty = false;
		return;
	}
	/* The kernel drops the error with this answer, and what it could not write may
	 * be gone or not: nothing since the last good sync may count, now or later. */
	err_text(&why, errno, "sync %s/events/open/%s", w->sp->dir, seg->name);
	for (struct waiter *x = from; x != to; x = x->next)
		if (x->rc == 0)
			x->rc = err_set(x->e, "%s", why.text);
	seg->size = seg->synced;
	cut_back(seg, NULL);
	retire(w);
}

static void
commit(struct spool_writer *w, struct waiter *batch)
{
	struct waiter *open = batch; /* the first whose fate is open */

	for (struct waiter *x = batch; x != NULL; x = x->next) {
		if (w->cur != NULL && is_over(w->cur, x->lines.len)) {
			settle(w, open, x);
			open = x;
			if (w->cur != NULL)
				retire(w);
		}
		x->rc = write_lines(w, x->lines, x->e);
	}
	settle(w, open, NULL);
	if (w->cur != NULL && (is_over(w->cur, 1) || is_aged(w->cur)))
		retire(w);
}

/* ---- the queue, with the lock ---- */

static void
finish(struct spool_writer *w, struct waiter *batch)
{
	while (batch != NULL) {
		struct waiter *x = batch;

		batch = x->next; /* once it is done, *x is its caller's stack again */
		if (x->rc == 0) {
			w->stats.events += x->count;
		} else {
			w->stats.failures++;
			w->stats.error = *x->e;
		}
		x->done = true;
	}
	pthread_cond_broadcast(&w->done);
}

static void
lead(struct spool_writer *w)
{
	struct waiter *batch;

	w->busy = true;
	batch = w->queue;
	w->queue = NULL;
	w->tail = &w->queue;
	pthread_mutex_unlock(&w->lock);
	commit(w, batch);
	pthread_mutex_lock(&w->lock);
	w->busy = false;
	if (w->fresh)
		pthread_cond_signal(&w->wake);
	w->fresh = false;
	finish(w, batch);
}

int
spool_append(struct spool_writer *w, struct slice lines, unsigned count, struct err *e)
{
	struct err why;
	struct waiter me = { .lines = lines, .count = count, .e = e != NULL ? e : &why };

	if (lines.len == 0 || lines.p[lines.len - 1] != '\n')
		return err_set(e, "spool: not whole lines");
	pthread_mutex_lock(&w->lock);
	*w->tail = &me;
	w->tail = &me.next;
	while (!me.done) {
		if (!w->busy)
			lead(w);
		else
			pthread_cond_wait(&w->done, &w->lock);
	}
	pthread_mutex_unlock(&w->lock);
	return me.rc;
}

/* ---- closing ---- */

/* Bring a retired segment to events/, as far as it goes; what was done is not done again. */
static int
close_segment(struct spool_writer *w, struct segment *seg, struct err *e)
{
	if (seg->cut && cut_back(seg, e) < 0)
		return -1;
	if (seg->size == 0) {
		if (unlinkat(w->sp->open, seg->name, 0) < 0 && errno != ENOENT)
			return err_errno(e, "remove %s", seg->name);
		return 0;
	}
	if (seg->dirty) {
		if (fdatasync(seg->fd) < 0)
			return err_errno(e, "sync %s", seg->name);
		count_sync(w);
		seg->dirty = false;
	}
	if (!seg->moved && spool_file_move(w->sp, seg->name, e) < 0)
		return -1;
	seg->moved = true;
	return spool_file_sync_dirs(w->sp, e);
}

static void
free_segment(struct segment *seg)
{
	close(seg->fd); /* and with it goes the lock */
	free(seg);
}

/* Close all of a list; those that resist become stuck. */
static void
close_segments(struct spool_writer *w, struct segment *list)
{
	struct err e;

	while (list != NULL) {
		struct segment *seg = list;

		list = seg->next;
		if (close_segment(w, seg, &e) < 0) {
			fail(w, &e);
			seg->next = w->stuck;
			w->stuck = seg;
			w->retry_ms = clock_mono_ms() + RETRY_MS;
			continue;
		}
		if (seg->size > 0) {
			pthread_mutex_lock(&w->lock);
			w->stats.segments++;
			pthread_mutex_unlock(&w->lock);
		}
		free_segment(seg);
	}
}

/* With the lock: retire the current segment if it is time; how long until it is, in ms, -1:
 * unknown. */
static int64_t
retire_aged(struct spool_writer *w)
{
	int64_t wait;

	if (w->busy)
		return BUSY_WAIT_MS;
	if (w->cur == NULL || (w->cur->size == 0 && !w->stopping))
		return -1;
	wait = w->cur->first_ms + w->cur->opt.segment_age_ms - clock_mono_ms();
	if (wait > 0 && !w->stopping)
		return wait;
	retire_locked(w, w->cur);
	w->cur = NULL;
	return -1;
}

static void
sleep_locked(struct spool_writer *w, int64_t wait_ms)
{
	struct timespec until;

	if (wait_ms < 0) {
		pthread_cond_wait(&w->wake, &w->lock);
		return;
	}
	until = later(wait_ms);
	pthread_cond_timedwait(&w->wake, &w->lock, &until);
}

/* With the lock: what is to be closed now. */
static struct segment *
take_work(struct spool_writer *w)
{
	struct segment *list;

	if (w->stuck != NULL && (w->stopping || clock_mono_ms() >= w->retry_ms)) {
		*w->retired_tail = w->stuck;
		w->stuck = NULL;
	}
	list = w->retired;
	w->retired = NULL;
	w->retired_tail = &w->retired;
	return list;
}

static void *
closer(void *arg)
{
	struct spool_writer *w = arg;
	struct segment *list;
	bool last = false;

	pthread_mutex_lock(&w->lock);
	while (!last) {
		int64_t wait = retire_aged(w);

		last = w->stopping;
		list = take_work(w);
		if (list != NULL) {
			pthread_mutex_unlock(&w->lock);
			close_segments(w, list);
			pthread_mutex_lock(&w->lock);
		} else if (!last) {
			if (w->stuck != NULL && (wait < 0 || wait > RETRY_MS))
				wait = RETRY_MS;
			sleep_locked(w, wait);
		}
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* ---- the writer ---- */

static struct spool_writer_options
sane(const struct spool_writer_options *opt)
{
	struct spool_writer_options o = *opt;

	if (o.segment_size == 0 || o.segment_size > SEGMENT_MAX)
		o.segment_size = SEGMENT_MAX;
	return o;
}

static void
init(struct spool_writer *w, struct spool *sp, const struct spool_writer_options *opt)
{
	pthread_condattr_t monotonic;

	w->sp = sp;
	w->opt = sane(opt);
	w->tail = &w->queue;
	w->retired_tail = &w->retired;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->done, NULL);
	pthread_cond_init(&w->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

static void
release(struct spool_writer *w)
{
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->done);
	pthread_cond_destroy(&w->wake);
	free(w);
}

struct spool_writer *
spool_writer_open(struct spool *sp, const struct spool_writer_options *opt, struct err *e)
{
	struct spool_writer *w = xcalloc(1, sizeof(*w));
	sigset_t all, before;
	int rc;

	init(w, sp, opt);
	/* Signals are for the program's own threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&w->closer, NULL, closer, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != 0) {
		errno = rc;
		err_text(e, errno, "spool %s: start a thread", sp->dir);
		release(w);
		return NULL;
	}
	return w;
}

void
spool_writer_close(struct spool_writer *w)
{
	if (w == NULL)
		return;
	pthread_mutex_lock(&w->lock);
	w->stopping = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->closer, NULL);
	/* What resists to the end is for the recovery at the next start. */
	while (w->stuck != NULL) {
		struct segment *seg = w->stuck;

		w->stuck = seg->next;
		free_segment(seg);
	}
	release(w);
}

void
spool_writer_set(struct spool_writer *w, const struct spool_writer_options *opt)
{
	pthread_mutex_lock(&w->lock);
	w->opt = sane(opt);
	pthread_mutex_unlock(&w->lock);
}

struct spool_stats
spool_writer_stats(struct spool_writer *w)
{
	struct spool_stats stats;

	pthread_mutex_lock(&w->lock);
	stats = w->stats;
	pthread_mutex_unlock(&w->lock);
	return stats;
}
