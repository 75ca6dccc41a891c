/*
 * The queue in front of the spool: what is added is written in order, in
 * batches, and whoever waits is woken once - when it is written, when it can't be,
 * or when it takes too long. The spool here is one that does as it is told.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "t/tap.h"
#include "tracker/commit.h"

static pthread_mutex_t disk = PTHREAD_MUTEX_INITIALIZER; /* held: the disk hangs */
static struct buf written;
static atomic_uint appends, lines_written;
static atomic_bool disk_full;

int
spool_append(struct spool_writer *w, struct slice lines, unsigned count, struct err *e)
{
	(void)w;
	atomic_fetch_add(&appends, 1);
	pthread_mutex_lock(&disk);
	pthread_mutex_unlock(&disk);
	if (atomic_load(&disk_full))
		return err_set(e, "the disk is full");
	buf_add(&written, lines);
	atomic_fetch_add(&lines_written, count);
	return 0;
}

static void
wake(void *waiter)
{
	atomic_fetch_add((atomic_uint *)waiter, 1);
}

static bool
comes_to(atomic_uint *what, unsigned n)
{
	int64_t end = clock_mono_ms() + 20000;

	while (atomic_load(what) < n && clock_mono_ms() < end)
		usleep(1000);
	return atomic_load(what) == n;
}

static void
reset(void)
{
	buf_clear(&written);
	atomic_store(&appends, 0);
	atomic_store(&lines_written, 0);
	atomic_store(&disk_full, false);
}

static void
in_order(void)
{
	struct commit *c = commit_open(NULL, wake, NULL);
	atomic_uint woken = 0;
	struct buf want;

	reset();
	buf_init(&want, BUF_NO_LIMIT);
	pthread_mutex_lock(&disk);
	for (unsigned i = 0; i < 1000; i++) {
		char line[40];
		int n = snprintf(line, sizeof(line), "line %u\n", i);

		buf_adds(&want, line);
		commit_add(c, (struct slice){ line, (size_t)n }, &woken);
	}
	ok(atomic_load(&woken) == 0, "nobody is woken before the disk has it");
	pthread_mutex_unlock(&disk);
	ok(comes_to(&woken, 1000), "all are woken");
	ok(slice_eq(buf_slice(&written), buf_slice(&want)), "all is written, in order");
	ok(atomic_load(&appends) <= 3, "in %u appends", atomic_load(&appends));
	ok(commit_stats(c).written == 1000 && commit_stats(c).lost == 0, "counted");
	commit_close(c);
	ok(atomic_load(&woken) == 1000, "nobody is woken twice");
	buf_free(&want);
}

static void
full_disk(void)
{
	struct commit *c = commit_open(NULL, wake, NULL);
	atomic_uint woken = 0;

	reset();
	atomic_store(&disk_full, true);
	commit_add(c, SLICE_LIT("a\n"), &woken);
	ok(comes_to(&woken, 1), "woken though it could not be written");
	ok(commit_stats(c).lost == 1 && strcmp(commit_stats(c).error.text, "the disk is full") == 0,
	    "which is counted: %s", commit_stats(c).error.text);
	atomic_store(&disk_full, false);
	commit_add(c, SLICE_LIT("b\n"), &woken);
	ok(comes_to(&woken, 2) && strcmp(buf_str(&written), "b\n") == 0, "the next one is written");
	commit_close(c);
}

static void
slow_disk(void)
{
	struct commit *c = commit_open(NULL, wake, NULL);
	atomic_uint early = 0, later = 0;

	reset();
	pthread_mutex_lock(&disk);
	commit_add(c, SLICE_LIT("a\n"), &early);
	commit_add(c, SLICE_LIT("b\n"), &early);
	comes_to(&appends, 1);
	commit_late(c, 3600000);
	ok(atomic_load(&early) == 0, "nobody has waited for an hour");
	usleep(30000);
	commit_add(c, SLICE_LIT("c\n"), &later);
	commit_late(c, 20);
	ok(atomic_load(&early) == 2 && atomic_load(&later) == 0 && commit_stats(c).late == 2,
	    "two have waited for 20 ms, being written or in the queue");
	commit_late(c, 20);
	ok(atomic_load(&early) == 2, "and are woken once");
	pthread_mutex_unlock(&disk);
	ok(comes_to(&later, 1) && comes_to(&lines_written, 3), "all is written in the end");
	commit_close(c);
	ok(atomic_load(&early) == 2 && atomic_load(&later) == 1, "nobody is woken twice");
}

static void
full_queue(void)
{
	struct commit *c = commit_open(NULL, wake, NULL);
	static char line[256 * 1024];
	atomic_uint woken = 0;
	unsigned taken = 0;

	reset();
	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\n';
	pthread_mutex_lock(&disk);
	while (commit_add(c, (struct slice){ line, sizeof(line) }, &woken) && taken < 100000)
		taken++;
	ok(taken > 200 && taken <= COMMIT_QUEUE_MAX / sizeof(line), "%u events fit", taken);
	ok(atomic_load(&woken) == 0 && commit_stats(c).lost == 1 &&
		strcmp(commit_stats(c).error.text, "too many events wait for the disk") == 0,
	    "the next is lost and counted");
	pthread_mutex_unlock(&disk);
	ok(comes_to(&woken, taken) && written.len == taken * sizeof(line),
	    "the others are written");
	ok(atomic_load(&appends) >= taken / 4, "in batches of a megabyte: %u",
	    atomic_load(&appends));
	ok(commit_add(c, SLICE_LIT("a\n"), &woken), "there is room again");
	commit_close(c);
	ok(atomic_load(&woken) == taken + 1, "closing writes what is there");
}

enum { THREADS = 4, EACH = 20000 };

struct adder {
	struct commit *commit;
	atomic_uint *woken;
};

static void *
add(void *arg)
{
	struct adder *a = arg;

	for (unsigned i = 0; i < EACH; i++) {
		commit_add(a->commit, SLICE_LIT("x\n"), a->woken);
		if (i % 1000 == 0)
			commit_late(a->commit, 0);
	}
	return NULL;
}

static void
threads(void)
{
	struct commit *c = commit_open(NULL, wake, NULL);
	atomic_uint woken = 0;
	struct adder a = { c, &woken };
	pthread_t id[THREADS];

	reset();
	for (int i = 0; i < THREADS; i++)
		pthread_create(&id[i], NULL, add, &a);
	for (int i = 0; i < THREADS; i++)
		pthread_join(id[i], NULL);
	commit_drain(c);
	ok(atomic_load(&woken) == THREADS * EACH && atomic_load(&lines_written) == THREADS * EACH &&
		commit_stats(c).written == THREADS * EACH,
	    "%d threads: %u events written, %u woken", THREADS, atomic_load(&lines_written),
	    atomic_load(&woken));
	commit_close(c);
	commit_close(NULL);
}

int
main(void)
{
	buf_init(&written, BUF_NO_LIMIT);
	in_order();
	full_disk();
	slow_disk();
	full_queue();
	threads();
	buf_free(&written);
	return tap_done();
}
