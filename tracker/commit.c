#include "tracker/commit.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "common/clock.h"
#include "common/xalloc.h"

/*
 * From the start of one append to that of the next, at least. A sync costs as much
 * CPU as several requests; on a disk that syncs in no time each event would get one
 * of its own. Who comes alone does not wait.
 */
#define APART_US 100

/* Batches that are kept for those who begin the next ones. */
#define SPARES_MAX     32
#define SPARE_ROOM_MAX (64 * 1024)

struct commit_batch {
	struct commit_batch *next;
	void *maker;
	atomic_uint held; /* by its requests, and by whoever may add to it or write it */
	atomic_bool done;
	unsigned n; /* events */
	int64_t since_ms;
	struct buf lines;
};

struct list {
	struct commit_batch *first, **end;
};

struct commit {
	struct spool_writer *writer;
	commit_wake *wake;
	pthread_t thread;
	struct buf lines; /* the thread's: what one append takes */
	pthread_mutex_t lock;
	pthread_cond_t work;

	/* under lock */
	struct list queue, writing;
	size_t queued; /* bytes in both */
	struct commit_batch *spare;
	unsigned spares;
	bool sleeping, stopping;
	struct commit_stats stats;
};

static void
list_init(struct list *l)
{
	l->first = NULL;
	l->end = &l->first;
}

static void
list_add(struct list *l, struct commit_batch *b)
{
	b->next = NULL;
	*l->end = b;
	l->end = &b->next;
}

static struct commit_batch *
list_take(struct list *l)
{
	struct commit_batch *b = l->first;

	l->first = b->next;
	if (b->next == NULL)
		l->end = &l->first;
	return b;
}

/* ---- batches ---- */

static struct commit_batch *
take_spare(struct commit *c)
{
	struct commit_batch *b;

	pthread_mutex_lock(&c->lock);
	b = c->spare;
	if (b != NULL) {
		c->spare = b->next;
		c->spares--;
	}
	pthread_mutex_unlock(&c->lock);
	return b;
}

static void
free_batch(struct commit_batch *b)
{
	buf_free(&b->lines);
	free(b);
}

/* Nobody has it any more: keep it for the next one, unless it is a big one or there are enough. */
static void
give_back(struct commit *c, struct commit_batch *b)
{
	bool keep;

	pthread_mutex_lock(&c->lock);
	keep = c->spares < SPARES_MAX && b->lines.room <= SPARE_ROOM_MAX;
	if (keep) {
		b->next = c->spare;
		c->spare = b;
		c->spares++;
	}
	pthread_mutex_unlock(&c->lock);
	if (!keep)
		free_batch(b);
}

struct commit_batch *
commit_begin(struct commit *c, void *maker)
{
	struct commit_batch *b = take_spare(c);

	if (b == NULL) {
		b = xcalloc(1, sizeof(*b));
		buf_init(&b->lines, BUF_NO_LIMIT);
	}
	buf_clear(&b->lines);
	b->maker = maker;
	b->n = 0;
	atomic_store(&b->held, 1);
	atomic_store(&b->done, false);
	return b;
}

struct buf *
commit_lines(struct commit_batch *b)
{
	return &b->lines;
}

void
commit_hold(struct commit_batch *b)
{
	b->n++;
	atomic_fetch_add(&b->held, 1);
}

bool
commit_is_done(const struct commit_batch *b)
{
	return atomic_load(&b->done);
}

void
commit_leave(struct commit *c, struct commit_batch *b)
{
	if (atomic_fetch_sub(&b->held, 1) == 1)
		give_back(c, b);
}

static size_t
cost(const struct commit_batch *b)
{
	return sizeof(*b) + b->lines.room;
}

/* ---- the thread ---- */

/* With the lock: as much of the queue as one append takes, to `writing`, and its lines. */
static unsigned
take_lines(struct commit *c)
{
	unsigned n = 0;

	buf_clear(&c->lines);
	while (c->queue.first != NULL) {
		struct commit_batch *b = c->queue.first;

		if (n > 0 && c->lines.len + b->lines.len > COMMIT_BATCH_MAX)
			break;
		buf_add(&c->lines, buf_slice(&b->lines));
		list_add(&c->writing, list_take(&c->queue));
		n += b->n;
	}
	return n;
}

/* With the lock: count what became of the events, and let go of their batches. */
static struct commit_batch *
end_append(struct commit *c, unsigned n, int rc, const struct err *why)
{
	struct commit_batch *list = c->writing.first;

	for (const struct commit_batch *b = list; b != NULL; b = b->next)
		c->queued -= cost(b);
	list_init(&c->writing);
	if (rc == 0) {
		c->stats.written += n;
	} else {
		c->stats.lost += n;
		c->stats.error = *why;
	}
	return list;
}

/* False: it was done already. */
static bool
finish(struct commit *c, struct commit_batch *b)
{
	if (atomic_exchange(&b->done, true))
		return false;
	c->wake(b->maker);
	return true;
}

static void
finish_all(struct commit *c, struct commit_batch *list)
{
	while (list != NULL) {
		struct commit_batch *b = list;

		list = b->next;
		finish(c, b);
		commit_leave(c, b);
	}
}

static int64_t
mono_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* With the lock, which is let go: until there is something to do and it is time. False: stop. */
static bool
wait_for_work(struct commit *c, int64_t last_us)
{
	int64_t left_us;

	while (c->queue.first == NULL && !c->stopping) {
		c->sleeping = true;
		pthread_cond_wait(&c->work, &c->lock);
		c->sleeping = false;
	}
	left_us = last_us + APART_US - mono_us();
	if (left_us > 0 && !c->stopping) {
		pthread_mutex_unlock(&c->lock);
		nanosleep(&(struct timespec){ .tv_nsec = left_us * 1000 }, NULL);
		pthread_mutex_lock(&c->lock);
	}
	return c->queue.first != NULL;
}

static void *
run(void *arg)
{
	struct commit *c = arg;
	int64_t last_us = 0;

	pthread_mutex_lock(&c->lock);
	while (wait_for_work(c, last_us)) {
		unsigned n = take_lines(c);
		struct commit_batch *done;
		struct err why;
		int rc;

		last_us = mono_us();
		pthread_mutex_unlock(&c->lock);
		rc = spool_append(c->writer, buf_slice(&c->lines), n, &why);
		pthread_mutex_lock(&c->lock);
		done = end_append(c, n, rc, &why);
		pthread_mutex_unlock(&c->lock);
		finish_all(c, done);
		pthread_mutex_lock(&c->lock);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

/* ---- for the others ---- */

struct commit *
commit_open(struct spool_writer *w, commit_wake *wake, struct err *e)
{
	struct commit *c = xcalloc(1, sizeof(*c));
	sigset_t all, before;
	int rc;

	c->writer = w;
	c->wake = wake;
	buf_init(&c->lines, BUF_NO_LIMIT);
	list_init(&c->queue);
	list_init(&c->writing);
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->work, NULL);
	/* Signals are for the program's own threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&c->thread, NULL, run, c);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc == 0)
		return c;
	err_text(e, rc, "start a thread");
	pthread_mutex_destroy(&c->lock);
	pthread_cond_destroy(&c->work);
	free(c);
	return NULL;
}

void
commit_send(struct commit *c, struct commit_batch *b)
{
	bool full, sleeping;

	b->since_ms = clock_mono_ms();
	pthread_mutex_lock(&c->lock);
	full = c->queued + cost(b) > COMMIT_QUEUE_MAX;
	sleeping = c->sleeping;
	if (full) {
		c->stats.lost += b->n;
		err_text(&c->stats.error, 0, "too many events wait for the disk");
	} else {
		c->queued += cost(b);
		list_add(&c->queue, b);
	}
	pthread_mutex_unlock(&c->lock);
	if (full) {
		finish(c, b);
		commit_leave(c, b);
	} else if (sleeping) {
		pthread_cond_signal(&c->work);
	}
}

void
commit_late(struct commit *c, int64_t max_ms)
{
	int64_t before = clock_mono_ms() - max_ms;
	struct commit_batch *lists[2];

	pthread_mutex_lock(&c->lock);
	lists[0] = c->writing.first;
	lists[1] = c->queue.first;
	for (size_t i = 0; i < COUNT(lists); i++)
		for (struct commit_batch *b = lists[i]; b != NULL && b->since_ms <= before;
		     b = b->next)
			if (finish(c, b))
				c->stats.late += b->n;
	pthread_mutex_unlock(&c->lock);
}

struct commit_stats
commit_stats(struct commit *c)
{
	struct commit_stats stats;

	pthread_mutex_lock(&c->lock);
	stats = c->stats;
	pthread_mutex_unlock(&c->lock);
	return stats;
}

void
commit_drain(struct commit *c)
{
	if (c == NULL || c->stopping)
		return;
	pthread_mutex_lock(&c->lock);
	c->stopping = true;
	pthread_cond_signal(&c->work);
	pthread_mutex_unlock(&c->lock);
	pthread_join(c->thread, NULL);
}

void
commit_close(struct commit *c)
{
	if (c == NULL)
		return;
	commit_drain(c);
	while (c->spare != NULL)
		free_batch(take_spare(c));
	buf_free(&c->lines);
	pthread_mutex_destroy(&c->lock);
	pthread_cond_destroy(&c->work);
	free(c);
}
