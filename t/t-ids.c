/*
 * Message ids: their layout, that none comes twice, whatever threads and the
 * clock do. The clock is ours here.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/ids.h"
#include "common/xalloc.h"
#include "t/tap.h"

static _Atomic long long fake_s; /* 0: the real time */

int
clock_gettime(clockid_t clock, struct timespec *ts)
{
	if (clock == CLOCK_REALTIME && fake_s != 0) {
		*ts = (struct timespec){ .tv_sec = fake_s };
		return 0;
	}
	return (int)syscall(SYS_clock_gettime, clock, ts);
}

static void
layout(void)
{
	/* The first is SparkPost's own sample: its time is that of its event. */
	static const struct {
		struct message_id id;
		const char *text;
	} cases[] = {
		{ { 1549054731, 0x0100a205 }, "00000bb3545c0100a205" },
		{ { 1785844800, 0x5b1c9e02 }, "000040d4716a5b1c9e02" },
		{ { 0, 0 }, "00000000000000000000" },
		{ { 0xffffffff, 0xfffffffe }, "0000fffffffffffffffe" },
	};
	char text[IDS_SIZE];
	struct message_id got;

	for (size_t i = 0; i < COUNT(cases); i++) {
		ok(strcmp(ids_text(cases[i].id, text), cases[i].text) == 0, "text %s", text);
		ok(ids_parse(slice_str(cases[i].text), &got) && got.time == cases[i].id.time &&
			got.serial == cases[i].id.serial,
		    "parse %s", cases[i].text);
	}
	ok(ids_parse(SLICE_LIT("0000FFFFFFFFABCDEF01"), &got) && got.serial == 0xabcdef01,
	    "upper case");
	got = ids_nth((struct message_id){ 7, 0xffffffff }, 2);
	ok(got.time == 7 && got.serial == 1, "the serial wraps");
}

static void
bad_texts(void)
{
	static const char *const cases[] = { "", "0000", "000040d4716a5b1c9e0",
		"000040d4716a5b1c9e022", "000140d4716a5b1c9e02", "000040d4716a5b1c9e0g",
		"0000 02c726a5b1c9e02", "00000x2c726a5b1c9e02", "000040D4716A5B1C9E0-" };
	struct message_id id;

	for (size_t i = 0; i < COUNT(cases); i++)
		ok(!ids_parse(slice_str(cases[i]), &id), "no id: '%s'", cases[i]);
}

static uint64_t
number(struct message_id id)
{
	return (uint64_t)id.time << 32 | id.serial;
}

static int
compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static size_t
doubles(uint64_t *ids, size_t n)
{
	size_t twice = 0;

	qsort(ids, n, sizeof(*ids), compare);
	for (size_t i = 1; i < n; i++)
		twice += ids[i] == ids[i - 1];
	return twice;
}

enum { THREADS = 8, TAKES = 20000, LOT = 3 };

static void *
take_many(void *arg)
{
	uint64_t *out = arg;

	for (size_t i = 0; i < TAKES; i++) {
		struct message_id first = ids_take(LOT);

		for (unsigned k = 0; k < LOT; k++)
			*out++ = number(ids_nth(first, k));
	}
	return NULL;
}

static void
threads(void)
{
	uint64_t *ids = xcalloc(THREADS * TAKES * LOT, sizeof(*ids));
	pthread_t thread[THREADS];

	for (size_t i = 0; i < THREADS; i++)
		pthread_create(&thread[i], NULL, take_many, ids + i * TAKES * LOT);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	ok(doubles(ids, THREADS * TAKES * LOT) == 0, "%d ids from %d threads, none twice",
	    THREADS * TAKES * LOT, THREADS);
	free(ids);
}

static void
clock_changes(void)
{
	static const long long times[] = { 2000000000, 2000000001, 1999999990, 1999999990,
		2000000001, 2000000000, 2000000005, 2000000002, 2000000006 };
	enum { EACH = 100 };
	uint64_t ids[COUNT(times) * EACH];
	size_t n = 0;
	bool back = false;
	uint32_t last = 0;

	for (size_t i = 0; i < COUNT(times); i++) {
		fake_s = times[i];
		for (size_t k = 0; k < EACH; k++) {
			struct message_id id = ids_take(1);

			back = back || id.time < last;
			last = id.time;
			ids[n++] = number(id);
		}
	}
	ok(!back && doubles(ids, n) == 0, "a clock that is set back: no id comes twice");
	ok(last == 2000000006, "and time goes on when it has caught up");
}

/* More than 2^32 ids in a second: the next second is used. */
static void
full_second(void)
{
	struct message_id a, b, c, d;

	fake_s = 2000000100;
	a = ids_take(0x80000000);
	b = ids_take(0x7fffffff);
	c = ids_take(1);
	d = ids_take(0x7fffffff);
	ok(a.time == 2000000100 && b.time == a.time && b.serial == a.serial + 0x80000000,
	    "a second holds 2^32 ids");
	ok(c.time == a.time + 1 && d.time == c.time, "then comes the next");
	fake_s = 2000000200;
	a = ids_take(5);
	b = ids_take(1);
	ok(b.time == 2000000200 && b.serial == a.serial + 5, "ids of one message are consecutive");
	fake_s = 0;
}

int
main(void)
{
	layout();
	bad_texts();
	threads();
	clock_changes();
	full_second();
	return tap_done();
}
