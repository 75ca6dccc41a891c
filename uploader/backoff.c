#include "uploader/backoff.h"

const struct backoff_range backoff_normal = { 0, 1000, 300 * 1000 };
const struct backoff_range backoff_slow = { 60 * 1000, 120 * 1000, 900 * 1000 };

/* base * 2^n, at most cap; never leaves the range of the type. */
static int64_t
ceiling(const struct backoff_range *r, unsigned n)
{
	int64_t c = r->base_ms;

	while (n-- > 0 && c < r->cap_ms)
		c *= 2;
	return c < r->cap_ms ? c : r->cap_ms;
}

int64_t
backoff_next(
    struct backoff *b, const struct backoff_range *r, int64_t retry_after_s, uint32_t random)
{
	int64_t spread = ceiling(r, b->failures) - r->floor_ms, wait;

	if (b->failures < UINT32_MAX)
		b->failures++;
	wait = r->floor_ms + (int64_t)((uint64_t)random * (uint64_t)(spread + 1) >> 32);
	if (retry_after_s > BACKOFF_RETRY_AFTER_MAX_S)
		retry_after_s = BACKOFF_RETRY_AFTER_MAX_S;
	if (retry_after_s > 0 && wait < retry_after_s * 1000)
		wait = retry_after_s * 1000;
	return wait;
}
