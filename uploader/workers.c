#include "uploader/workers.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "common/xalloc.h"

struct queue {
	struct worker_job *first, **end;
};

struct workers {
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct queue todo, done; /* under lock, */
	bool stop;               /* as this */
	int fd;
	unsigned n, base;
	pthread_t threads[WORKERS_MAX];
};

static void
put(struct queue *q, struct worker_job *job)
{
	job->next = NULL;
	*q->end = job;
	q->end = &job->next;
}

static struct worker_job *
get(struct queue *q)
{
	struct worker_job *job = q->first;

	if (job != NULL && (q->first = job->next) == NULL)
		q->end = &q->first;
	return job;
}

static void *
work(void *arg)
{
	struct workers *w = arg;
	struct worker_job *job;
	uint64_t one = 1;

	pthread_mutex_lock(&w->lock);
	while (!w->stop) {
		job = get(&w->todo);
		if (job == NULL) {
			pthread_cond_wait(&w->work, &w->lock);
			continue;
		}
		pthread_mutex_unlock(&w->lock);
		job->run(job);
		pthread_mutex_lock(&w->lock);
		put(&w->done, job);
		/* It can't be full: it is emptied with each job that is taken. */
		if (write(w->fd, &one, sizeof(one)) < 0)
			continue;
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

static int
add_threads(struct workers *w, unsigned n, struct err *e)
{
	int rc;

	for (; w->n < n && w->n < WORKERS_MAX; w->n++) {
		rc = pthread_create(&w->threads[w->n], NULL, work, w);
		if (rc != 0) {
			err_text(e, rc, "thread");
			return -1;
		}
	}
	return 0;
}

struct workers *
workers_open(unsigned threads, struct err *e)
{
	struct workers *w = xcalloc(1, sizeof(*w));

	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->work, NULL);
	w->todo.end = &w->todo.first;
	w->done.end = &w->done.first;
	w->base = threads;
	w->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (w->fd < 0)
		err_text(e, errno, "eventfd");
	if (w->fd < 0 || add_threads(w, threads, e) < 0) {
		workers_close(w);
		return NULL;
	}
	return w;
}

int
workers_reserve(struct workers *w, unsigned more, struct err *e)
{
	return add_threads(w, w->base + more, e);
}

static bool
join_all(struct workers *w)
{
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += WORKERS_END_S;
	for (unsigned i = 0; i < w->n; i++)
		if (pthread_timedjoin_np(w->threads[i], NULL, &end) != 0)
			return false;
	return true;
}

bool
workers_close(struct workers *w)
{
	if (w == NULL)
		return true;
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_broadcast(&w->work);
	pthread_mutex_unlock(&w->lock);
	if (!join_all(w))
		return false;
	if (w->fd >= 0)
		close(w->fd);
	pthread_cond_destroy(&w->work);
	pthread_mutex_destroy(&w->lock);
	free(w);
	return true;
}

void
workers_start(struct workers *w, struct worker_job *job)
{
	pthread_mutex_lock(&w->lock);
	put(&w->todo, job);
	pthread_cond_signal(&w->work);
	pthread_mutex_unlock(&w->lock);
}

int
workers_fd(const struct workers *w)
{
	return w->fd;
}

struct worker_job *
workers_done(struct workers *w)
{
	struct worker_job *job;
	uint64_t n;

	pthread_mutex_lock(&w->lock);
	if (read(w->fd, &n, sizeof(n)) < 0)
		n = 0;
	job = get(&w->done);
	if (w->done.first != NULL && write(w->fd, &(uint64_t){ 1 }, sizeof(uint64_t)) < 0)
		n = 0;
	pthread_mutex_unlock(&w->lock);
	return job;
}
