#include "tracker/commit.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "common/clock.h"
#include "common/xalloc.h"

#define BATCH_MAX (1024 * 1024) /* bytes of an append */

/*
 * From the start of one append to that of the next, at least. A sync costs as much
 * CPU as several requests; on a disk that syncs in no time each event would get one
 * of its own. Who comes alone does not wait.
 */
#define APART_US 300

struct entry {
	struct entry *next;
	void *waiter; /* NULL: woken already */
	int64_t since_ms;
	size_t len;
	char line[];
};

struct list {
	struct entry *first, **end;
};

struct commit {
	struct spool_writer *writer;
	commit_wake *wake;
	pthread_t thread;
	struct buf batch; /* the thread's */
	pthread_mutex_t lock;
	pthread_cond_t work;

	/* under lock */
	struct list queue, writing;
	size_t queued; /* bytes in both */
	bool sleeping, stopping;
	struct commit_stats stats;
};

static void
list_init(struct list *l)
{
	l->first = NULL;
	l->end = &l->first;
}

static size_t
cost(const struct entry *x)
{
	return sizeof(*x) + x->len;
}

/* With the lock: as much of the queue as one append takes, to `writing` and into the batch. */
static unsigned
take_batch(struct commit *c)
{
	unsigned n = 0;

	buf_clear(&c->batch);
	while (c->queue.first != NULL) {
		struct entry *x = c->queue.first;

		if (n > 0 && c->batch.len + x->len > BATCH_MAX)
			break;
		buf_add(&c->batch, (struct slice){ x->line, x->len });
		c->queue.first = x->next;
		if (x->next == NULL)
			c->queue.end = &c->queue.first;
		x->next = NULL;
		*c->writing.end = x;
		c->writing.end = &x->next;
		n++;
	}
	return n;
}

/* With the lock: count what became of the batch, and let go of it. */
static struct entry *
end_batch(struct commit *c, unsigned n, int rc, const struct err *why)
{
	struct entry *list = c->writing.first;

	for (const struct entry *x = list; x != NULL; x = x->next)
		c->queued -= cost(x);
	list_init(&c->writing);
	if (rc == 0) {
		c->stats.written += n;
	} else {
		c->stats.lost += n;
		c->stats.error = *why;
	}
	return list;
}

static void
wake_all(struct commit *c, struct entry *list)
{
	while (list != NULL) {
		struct entry *x = list;

		list = x->next;
		if (x->waiter != NULL)
			c->wake(x->waiter);
		free(x);
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
		unsigned n = take_batch(c);
		struct entry *done;
		struct err why;
		int rc;

		last_us = mono_us();
		pthread_mutex_unlock(&c->lock);
		rc = spool_append(c->writer, buf_slice(&c->batch), n, &why);
		pthread_mutex_lock(&c->lock);
		done = end_batch(c, n, rc, &why);
		pthread_mutex_unlock(&c->lock);
		wake_all(c, done);
		pthread_mutex_lock(&c->lock);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

struct commit *
commit_open(struct spool_writer *w, commit_wake *wake, struct err *e)
{
	struct commit *c = xcalloc(1, sizeof(*c));
	sigset_t all, before;
	int rc;

	c->writer = w;
	c->wake = wake;
	buf_init(&c->batch, BUF_NO_LIMIT);
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

bool
commit_add(struct commit *c, struct slice line, void *waiter)
{
	struct entry *x = xcalloc(1, sizeof(*x) + line.len);
	bool full, sleeping;

	x->waiter = waiter;
	x->since_ms = clock_mono_ms();
	x->len = line.len;
	memcpy(x->line, line.p, line.len);
	pthread_mutex_lock(&c->lock);
	full = c->queued + cost(x) > COMMIT_QUEUE_MAX;
	sleeping = c->sleeping;
	if (full) {
		c->stats.lost++;
		err_text(&c->stats.error, 0, "too many events wait for the disk");
	} else {
		c->queued += cost(x);
		*c->queue.end = x;
		c->queue.end = &x->next;
	}
	pthread_mutex_unlock(&c->lock);
	if (full)
		free(x);
	else if (sleeping)
		pthread_cond_signal(&c->work);
	return !full;
}

void
commit_late(struct commit *c, int64_t max_ms)
{
	int64_t before = clock_mono_ms() - max_ms;
	struct entry *lists[2], *x;

	pthread_mutex_lock(&c->lock);
	lists[0] = c->writing.first;
	lists[1] = c->queue.first;
	for (size_t i = 0; i < COUNT(lists); i++)
		for (x = lists[i]; x != NULL && x->since_ms <= before; x = x->next) {
			if (x->waiter == NULL)
				continue;
			/* With the lock: the thread must not wake it too. */
			c->wake(x->waiter);
			x->waiter = NULL;
			c->stats.late++;
		}
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
	buf_free(&c->batch);
	pthread_mutex_destroy(&c->lock);
	pthread_cond_destroy(&c->work);
	free(c);
}
