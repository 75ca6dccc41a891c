/*
 * fold.h - has this open just been counted? Mail programs fetch a pixel twice,
 * and gateways look again and again.
 *
 * A table of fixed size: when more opens are within the window than it has room
 * for, the oldest are forgotten, and an open may be counted twice. Thread-safe.
 */
#ifndef TRACKER_FOLD_H
#define TRACKER_FOLD_H

#include <stdint.h>

#include "common/slice.h"

struct fold;

/* `room` opens, rounded up to a power of two; 16 bytes each. */
struct fold *fold_new(size_t room);
void fold_free(struct fold *f); /* NULL is fine */

/*
 * True if `key` was counted less than window_ms ago; else it counts as of now.
 * now_ms never goes backwards. A window of 0: false.
 */
bool fold_seen(struct fold *f, uint64_t key, int64_t now_ms, int64_t window_ms);

#endif
