/*
 * The queue in front of the spool: batches are written in order, many at once, and
 * each is done once - when it is written, when it can't be, or when it takes too
 * long. The spool here is one that does as it is told.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
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

/* The clock is ours: so much is it ahead. What takes as long as it takes can't be told from being
 * late. */
static atomic_llong ahead_s;

int
clock_gettime(clockid_t clock, struct timespec *ts)
{
	int rc = (int)syscall(SYS_clock_gettime, clock, ts);

	ts->tv_sec += atomic_load(&ahead_s);
	return rc;
}

static void
wake(void *waiter)
{
	atomic_fetch_add((atomic_uint *)waiter, 1);
}

/* A batch of `n` such lines, each of a request that looks at it. */
static struct commit_batch *
make(struct commit *c, struct slice line, unsigned n, atomic_uint *woken)
{
	struct commit_batch *b = commit_begin(c, woken);

	for (unsigned i = 0; i < n; i++) {
		buf_add(commit_lines(b), line);
		commit_hold(b);
	}
	return b;
}

/* One event whose request has gone away. */
static void
add(struct commit *c, struct slice line, atomic_uint *woken)
{
	struct commit_batch *b = make(c, line, 1, woken);

	commit_leave(c, b);
	commit_send(c, b);
}

static bool
comes_to(atomic_uint *what, unsigned n)
{
	int64_t end = clock_mono_ms() + 60000;

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
		add(c, (struct slice){ line, (size_t)n }, &woken);
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
	add(c, SLICE_LIT("a\n"), &woken);
	ok(comes_to(&woken, 1), "woken though it could not be written");
	ok(commit_stats(c).lost == 1 && strcmp(commit_stats(c).error.text, "the disk is full") == 0,
	    "which is counted: %s", commit_stats(c).error.text);
	atomic_store(&disk_full, false);
	add(c, SLICE_LIT("b\n"), &woken);
	ok(comes_to(&woken, 2) && strcmp(buf_str(&written), "b\n") == 0, "the next one is written");
	commit_close(c);
}

/* Those who wait see it, and who has gone is not missed. */
static void
many_in_one(void)
{
	struct commit *c = commit_open(NULL, wake, NULL);
	struct commit_batch *b;
	atomic_uint woken = 0;

	reset();
	pthread_mutex_lock(&disk);
	b = make(c, SLICE_LIT("x\n"), 3, &woken);
	commit_leave(c, b);
	commit_send(c, b);
	comes_to(&appends, 1);
	ok(!commit_is_done(b), "a batch that is being written is not done");
	pthread_mutex_unlock(&disk);
	ok(comes_to(&woken, 1) && commit_is_done(b), "its maker is woken once, it is done");
	ok(commit_stats(c).written == 3 && strcmp(buf_str(&written), "x\nx\nx\n") == 0,
	    "with all its events");
	commit_leave(c, b);
	commit_leave(c, b);
	commit_close(c);
}

static void
slow_disk(void)
{
	struct commit *c = commit_open(NULL, wake, NULL);
	atomic_uint early = 0, later = 0;
	struct commit_batch *b;

	reset();
	pthread_mutex_lock(&disk);
	b = make(c, SLICE_LIT("a\n"), 2, &early);
	commit_send(c, b);
	add(c, SLICE_LIT("b\n"), &early);
	comes_to(&appends, 1);
	commit_late(c, 3600000);
	ok(atomic_load(&early) == 0 && !commit_is_done(b), "nobody has waited for an hour");
	atomic_fetch_add(&ahead_s, 3600);
	add(c, SLICE_LIT("c\n"), &later);
	commit_late(c, 3600000);
	ok(atomic_load(&early) == 2 && atomic_load(&later) == 0 && commit_is_done(b) &&
		commit_stats(c).late == 3,
	    "two batches have waited for an hour, being written or in the queue");
	commit_late(c, 3600000);
	ok(atomic_load(&early) == 2 && commit_stats(c).late == 3, "and are done once");
	pthread_mutex_unlock(&disk);
	ok(comes_to(&later, 1) && comes_to(&lines_written, 4), "all is written in the end");
	commit_leave(c, b);
	commit_leave(c, b);
	commit_close(c);
	ok(atomic_load(&early) == 2 && atomic_load(&later) == 1, "nobody is woken twice");
}

static void
full_queue(void)
{
	struct commit *c = commit_open(NULL, wake, NULL);
	static char line[256 * 1024];
	struct slice full_line = { line, sizeof(line) };
	atomic_uint woken = 0;
	unsigned sent = 0;

	reset();
	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\n';
	pthread_mutex_lock(&disk);
	while (commit_stats(c).lost == 0 && sent < 100000) {
		add(c, full_line, &woken);
		sent++;
	}
	ok(sent > 200 && sent - 1 <= COMMIT_QUEUE_MAX / sizeof(line), "%u events fit", sent - 1);
	ok(atomic_load(&woken) == 1 && commit_stats(c).lost == 1 &&
		strcmp(commit_stats(c).error.text, "too many events wait for the disk") == 0,
	    "the next is lost and counted, and nobody waits for it");
	pthread_mutex_unlock(&disk);
	ok(comes_to(&woken, sent) && written.len == (sent - 1) * sizeof(line),
	    "the others are written");
	ok(atomic_load(&appends) >= (sent - 1) / 4, "in appends of a megabyte: %u",
	    atomic_load(&appends));
	add(c, SLICE_LIT("a\n"), &woken);
	ok(commit_stats(c).lost == 1, "there is room again");
	commit_close(c);
	ok(atomic_load(&woken) == sent + 1, "closing writes what is there");
}

enum { THREADS = 4, EACH = 5000, LINES = 4 };

struct maker {
	struct commit *commit;
	atomic_uint *woken;
};

static void *
send_many(void *arg)
{
	struct maker *m = arg;

	for (unsigned i = 0; i < EACH; i++) {
		struct commit_batch *b = make(m->commit, SLICE_LIT("x\n"), LINES, m->woken);

		commit_send(m->commit, b);
		if (i % 1000 == 0)
			commit_late(m->commit, 0);
		for (unsigned k = 0; k < LINES; k++)
			commit_leave(m->commit, b);
	}
	return NULL;
}

static void
threads(void)
{
	struct commit *c = commit_open(NULL, wake, NULL);
	atomic_uint woken = 0;
	struct maker m = { c, &woken };
	pthread_t id[THREADS];

	reset();
	for (int i = 0; i < THREADS; i++)
		pthread_create(&id[i], NULL, send_many, &m);
	for (int i = 0; i < THREADS; i++)
		pthread_join(id[i], NULL);
	commit_drain(c);
	ok(atomic_load(&woken) == THREADS * EACH &&
		atomic_load(&lines_written) == THREADS * EACH * LINES &&
		commit_stats(c).written == THREADS * EACH * LINES,
	    "%d threads: %u events written, %u batches done", THREADS, atomic_load(&lines_written),
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
	many_in_one();
	slow_disk();
	full_queue();
	threads();
	buf_free(&written);
	return tap_done();
}
