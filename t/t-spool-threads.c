/*
 * Many threads at one writer: group commit, and what becomes of everybody's
 * lines when the disk fails in between. fdatasync() is ours: as slow and as
 * faulty as a test wants it.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>

#include "common/clock.h"
#include "common/xalloc.h"
#include "t/spooldir.h"
#include "t/tap.h"

#define THREADS 64
#define APPENDS 50

static atomic_uint syncs, fail_every, delay_us;

int
fdatasync(int fd)
{
	unsigned n = atomic_fetch_add(&syncs, 1) + 1, every = fail_every;

	if (delay_us > 0)
		nanosleep(&(struct timespec){ .tv_nsec = (long)delay_us * 1000 }, NULL);
	if (every > 0 && n % every == 0) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

static struct spool_writer *writer;

struct job {
	unsigned number, appends, lines; /* lines of one append */
	int64_t first;                   /* event number */
	unsigned failed;
	bool *good; /* by event number: it was acknowledged */
};

static void *
append_all(void *arg)
{
	struct job *job = arg;
	int64_t id = job->first;
	struct buf b;
	struct err e;

	buf_init(&b, BUF_NO_LIMIT);
	for (unsigned i = 0; i < job->appends; i++) {
		buf_clear(&b);
		for (unsigned k = 0; k < job->lines; k++)
			spooldir_line(&b, id + k);
		if (spool_append(writer, buf_slice(&b), job->lines, &e) < 0)
			job->failed++;
		else
			for (unsigned k = 0; k < job->lines; k++)
				job->good[id + k] = true;
		id += job->lines;
	}
	buf_free(&b);
	return NULL;
}

struct run {
	const char *name;
	unsigned threads, appends, lines, delay_us, fail_every;
	struct spool_writer_options opt;
	unsigned most_syncs; /* allowed; 0: not asked */
};

static void
run(const struct run *r)
{
	size_t events = (size_t)r->threads * r->appends * r->lines, wrong = 0;
	unsigned *times = xcalloc(events, sizeof(*times)), failed = 0;
	bool *good = xcalloc(events, sizeof(*good));
	struct job jobs[THREADS];
	pthread_t threads[THREADS];
	struct spool_stats stats;
	char dir[SPOOLDIR_SIZE];
	struct spool *sp;
	struct err e;
	long lines;
	int64_t us;

	sp = spool_open(spooldir_make(dir), &e);
	writer = spool_writer_open(sp, &r->opt, &e);
	syncs = 0;
	delay_us = r->delay_us;
	fail_every = r->fail_every;
	us = clock_wall_us();
	for (unsigned i = 0; i < r->threads; i++) {
		jobs[i] = (struct job){ .number = i, .appends = r->appends, .lines = r->lines };
		jobs[i].first = (int64_t)i * r->appends * r->lines;
		jobs[i].good = good;
		pthread_create(&threads[i], NULL, append_all, &jobs[i]);
	}
	for (unsigned i = 0; i < r->threads; i++) {
		pthread_join(threads[i], NULL);
		failed += jobs[i].failed;
	}
	us = clock_wall_us() - us;
	stats = spool_writer_stats(writer);
	printf("# %s: %u appends in %.1f ms, %u syncs, %llu segments, %u failed\n", r->name,
	    r->threads * r->appends, (double)us / 1000, syncs, (unsigned long long)stats.segments,
	    failed);
	ok(stats.events == (uint64_t)(r->threads * r->appends - failed) * r->lines,
	    "%s: every event is counted", r->name);
	ok(r->fail_every > 0 ? failed > 0 : failed == 0, "%s: %u appends failed", r->name, failed);
	if (r->most_syncs > 0)
		ok(syncs < r->most_syncs, "%s: %u syncs", r->name, syncs);
	fail_every = 0;
	spool_writer_close(writer);
	lines = spooldir_count(sp, times, events);
	for (size_t i = 0; i < events; i++)
		wrong += times[i] != (good[i] ? 1 : 0);
	ok(wrong == 0, "%s: what was acknowledged is there once, the rest is not", r->name);
	ok(lines == (long)stats.events, "%s: %ld lines", r->name, lines);
	ok(spooldir_entries(spool_open_fd(sp)) == 0, "%s: nothing is left open", r->name);
	spool_close(sp);
	spooldir_remove(dir);
	free(times);
	free(good);
}

int
main(void)
{
	static const struct run runs[] = {
		/* How many share a sync here is the disk's affair; a tmpfs needs no sharing. */
		{ "as the disk is", THREADS, APPENDS, 1, 0, 0, { 0, 10000, true }, 0 },
		{ "slow disk", THREADS, APPENDS, 1, 2000, 0, { 0, 10000, true },
		    THREADS * APPENDS / 16 },
		{ "slow disk, small segments", THREADS, APPENDS, 1, 500, 0, { 8000, 10000, true },
		    0 },
		{ "aging all the time", 8, APPENDS, 1, 0, 0, { 0, 1, true }, 0 },
		{ "several lines each", 16, APPENDS, 7, 200, 0, { 20000, 10, true }, 0 },
		{ "one alone", 1, APPENDS, 1, 0, 0, { 0, 10000, true }, 0 },
		{ "failing disk", THREADS, APPENDS, 1, 200, 5, { 0, 10000, true }, 0 },
		{ "failing disk, small segments", 8, 200, 3, 0, 7, { 5000, 5, true }, 0 },
		{ "without sync", THREADS, APPENDS, 1, 0, 0, { 50000, 10000, false }, THREADS },
	};

	for (size_t i = 0; i < COUNT(runs); i++)
		run(&runs[i]);
	return tap_done();
}
