/*
 * Folding: within the window once, whatever else comes; bounded; from many threads.
 */
#include <pthread.h>
#include <stdlib.h>

#include "t/tap.h"
#include "tracker/fold.h"

static void
window(void)
{
	static const struct {
		uint64_t key;
		int64_t now_ms, window_ms;
		bool seen;
	} rows[] = {
		{ 7, 1000, 10000, false },
		{ 7, 1000, 10000, true },
		{ 8, 1000, 10000, false },
		{ 7, 10999, 10000, true },
		{ 7, 11000, 10000, false }, /* the window begins with one that counted */
		{ 7, 20999, 10000, true },
		{ 7, 21000, 10000, false },
		{ 7, 21000, 0, false }, /* off */
		{ 7, 21001, 10000, true },
		{ 7, 21002, 1, false }, /* shorter since a reload */
		{ 0, 21002, 10000, false },
		{ 0, 21003, 10000, true },
		{ UINT64_MAX, 21003, 10000, false },
		{ UINT64_MAX, 21003, 10000, true },
	};
	struct fold *f = fold_new(1000);

	for (size_t i = 0; i < COUNT(rows); i++)
		ok(fold_seen(f, rows[i].key, rows[i].now_ms, rows[i].window_ms) == rows[i].seen,
		    "row %zu", i);
	fold_free(f);
	fold_free(NULL);
}

static void
many(void)
{
	enum { ROOM = 65536 };
	struct fold *f = fold_new(ROOM);
	unsigned twice = 0, forgotten = 0;

	for (uint64_t i = 0; i < ROOM / 2; i++)
		twice += fold_seen(f, i * 2, 5, 10000);
	for (uint64_t i = 0; i < ROOM / 2; i++)
		forgotten += !fold_seen(f, i * 2, 6, 10000);
	ok(twice == 0 && forgotten < ROOM / 200, "half full: %u taken for others, %u forgotten",
	    twice, forgotten);
	for (uint64_t i = 0; i < 20ULL * ROOM; i++)
		twice += fold_seen(f, i << 32 | 1, 7 + (int64_t)(i / 1000), 10000);
	ok(twice == 0, "overfull: nothing is taken for something else");
	ok(fold_seen(f, (20ULL * ROOM - 1) << 32 | 1, 2000, 10000), "and the last one is known");
	fold_free(f);
}

enum { THREADS = 4, KEYS = 20000 };

struct worker {
	struct fold *fold;
	unsigned counted;
};

static void *
count_keys(void *arg)
{
	struct worker *w = arg;

	for (uint64_t i = 0; i < KEYS; i++)
		w->counted += !fold_seen(w->fold, i, 100, 10000);
	return NULL;
}

static void
threads(void)
{
	struct fold *f = fold_new(16 * KEYS);
	struct worker w[THREADS];
	pthread_t id[THREADS];
	unsigned counted = 0;

	for (int i = 0; i < THREADS; i++) {
		w[i] = (struct worker){ f, 0 };
		pthread_create(&id[i], NULL, count_keys, &w[i]);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(id[i], NULL);
		counted += w[i].counted;
	}
	ok(counted == KEYS, "%d threads: %u of %d keys counted once", THREADS, counted, KEYS);
	fold_free(f);
}

int
main(void)
{
	window();
	many();
	threads();
	return tap_done();
}
