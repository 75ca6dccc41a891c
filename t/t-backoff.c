#include "common/slice.h"
#include "t/tap.h"
#include "uploader/backoff.h"

#define TOP UINT32_MAX

static void
ranges(void)
{
	static const struct {
		const char *what;
		const struct backoff_range *range;
		unsigned failures; /* before */
		int64_t retry_after_s;
		uint32_t random;
		int64_t want_ms;
	} rows[] = {
		{ "first, no luck", &backoff_normal, 0, 0, 0, 0 },
		{ "first, all of it", &backoff_normal, 0, 0, TOP, 1000 },
		{ "first, half", &backoff_normal, 0, 0, TOP / 2, 500 },
		{ "second", &backoff_normal, 1, 0, TOP, 2000 },
		{ "ninth", &backoff_normal, 8, 0, TOP, 256000 },
		{ "tenth meets the cap", &backoff_normal, 9, 0, TOP, 300000 },
		{ "the 64th does not overflow", &backoff_normal, 64, 0, TOP, 300000 },
		{ "nor do very many", &backoff_normal, TOP, 0, TOP, 300000 },
		{ "capped jitter starts at 0", &backoff_normal, 20, 0, 0, 0 },
		{ "slow, no luck", &backoff_slow, 0, 0, 0, 60000 },
		{ "slow, all of it", &backoff_slow, 0, 0, TOP, 120000 },
		{ "slow meets the cap", &backoff_slow, 9, 0, TOP, 900000 },
		{ "slow keeps its floor", &backoff_slow, 9, 0, 0, 60000 },
		{ "Retry-After is the least", &backoff_normal, 0, 7, TOP, 7000 },
		{ "Retry-After shorter than ours", &backoff_normal, 9, 7, TOP, 300000 },
		{ "Retry-After is bounded", &backoff_normal, 0, 86400, 0, 3600000 },
		{ "Retry-After of the far side's wits end", &backoff_normal, 0, INT64_MAX, 0,
		    3600000 },
		{ "a negative one is none", &backoff_normal, 0, INT64_MIN, 0, 0 },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct backoff b = { rows[i].failures };
		int64_t got =
		    backoff_next(&b, rows[i].range, rows[i].retry_after_s, rows[i].random);

		ok(got == rows[i].want_ms, "%s: %lld, want %lld", rows[i].what, (long long)got,
		    (long long)rows[i].want_ms);
		ok(b.failures == (rows[i].failures == TOP ? TOP : rows[i].failures + 1),
		    "%s: counted", rows[i].what);
	}
}

static void
spread(void)
{
	struct backoff b = { 0 };
	bool inside = true, low = false, high = false;
	uint32_t random = 1;

	for (int i = 0; i < 1000; i++) {
		int64_t wait;

		b.failures = 3;
		random = random * 1664525 + 1013904223;
		wait = backoff_next(&b, &backoff_normal, 0, random);
		inside = inside && wait >= 0 && wait <= 8000;
		low = low || wait < 1000;
		high = high || wait > 7000;
	}
	ok(inside, "never outside the range");
	ok(low && high, "all of the range is used");
	backoff_reset(&b);
	ok(backoff_next(&b, &backoff_normal, 0, TOP) == 1000, "after a reset from the start");
}

int
main(void)
{
	ranges();
	spread();
	return tap_done();
}
