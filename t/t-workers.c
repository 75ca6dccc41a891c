/* Jobs go to threads and come back; t-lines' windows are tested through t-batch. */
#include "uploader/workers.h"

#include <poll.h>
#include <stdlib.h>

#include "common/xalloc.h"
#include "t/tap.h"

#define JOBS 2000

struct sum {
	struct worker_job job; /* first */
	unsigned n;
	unsigned long result;
	bool back;
};

static void
run(struct worker_job *job)
{
	struct sum *s = (struct sum *)(void *)job;

	for (unsigned i = 1; i <= s->n; i++)
		s->result += i;
}

static struct worker_job *
wait_for(struct workers *w)
{
	struct pollfd p = { workers_fd(w), POLLIN, 0 };
	struct worker_job *job;

	while ((job = workers_done(w)) == NULL)
		if (poll(&p, 1, 60000) != 1)
			return NULL;
	return job;
}

static void
all_come_back(unsigned threads)
{
	struct sum *sums = xcalloc(JOBS, sizeof(*sums));
	struct err e;
	struct workers *w = workers_open(threads, &e);
	unsigned back = 0, right = 0;
	struct worker_job *job;

	ok(workers_done(w) == NULL, "nothing is done yet");
	for (unsigned i = 0; i < JOBS; i++) {
		sums[i].n = i;
		sums[i].job.run = run;
		sums[i].job.owner = &sums[i];
		workers_start(w, &sums[i].job);
	}
	while (back < JOBS && (job = wait_for(w)) != NULL) {
		struct sum *s = job->owner;

		right += !s->back && s->result == (unsigned long)s->n * (s->n + 1) / 2;
		s->back = true;
		back++;
	}
	ok(back == JOBS && right == JOBS, "%u threads: %u jobs come back, %u right", threads, back,
	    right);
	ok(workers_done(w) == NULL, "and none twice");
	workers_close(w);
	free(sums);
}

/* What has not begun is dropped, what has is waited for. */
static void
closed_early(void)
{
	struct sum *sums = xcalloc(JOBS, sizeof(*sums));
	struct err e;
	struct workers *w = workers_open(3, &e);

	for (unsigned i = 0; i < JOBS; i++) {
		sums[i].n = 10000;
		sums[i].job.run = run;
		workers_start(w, &sums[i].job);
	}
	workers_close(w);
	ok(true, "closed with jobs in it");
	workers_close(NULL);
	free(sums);
}

int
main(void)
{
	all_come_back(1);
	all_come_back(4);
	closed_early();
	return tap_done();
}
