/*
 * backoff.h - how long to wait after a failure: exponential, with full jitter,
 * so that many hosts that failed together do not come back together.
 */
#ifndef UPLOADER_BACKOFF_H
#define UPLOADER_BACKOFF_H

#include <stdint.h>

struct backoff_range {
	int64_t floor_ms; /* never shorter */
	int64_t base_ms;  /* the longest wait after the first failure; doubles with each */
	int64_t cap_ms;   /* never longer */
};

extern const struct backoff_range backoff_normal; /* 0..1 s at first, 5 min at most */
extern const struct backoff_range backoff_slow;   /* 1..2 min at first, 15 min at most */

#define BACKOFF_RETRY_AFTER_MAX_S 3600 /* what the other side asks for is believed up to here */

struct backoff {
	unsigned failures; /* in a row */
};

static inline void
backoff_reset(struct backoff *b)
{
	b->failures = 0;
}

/*
 * Count a failure; returns the milliseconds to wait: evenly spread from the
 * floor to min(cap, base * 2^(failures before)), but at least `retry_after_s`
 * seconds (<= 0: nothing was asked for). `random` is any number.
 */
int64_t backoff_next(
    struct backoff *b, const struct backoff_range *r, int64_t retry_after_s, uint32_t random);

#endif
