/*
 * confirm_range.h - the lines of a segment that a batch was made of, to be sent again or kept.
 */
#ifndef UPLOADER_CONFIRM_RANGE_H
#define UPLOADER_CONFIRM_RANGE_H

#include "common/buf.h"
#include "common/err.h"
#include "common/ledger_batch.h"
#include "common/spool.h"

#define CONFIRM_RANGE_MAX ((uint64_t)64 << 20) /* batches are far smaller */

/* Append them as they are. -1 and *e: the segment is not there any more, or not as it was. */
int confirm_range_read(
    struct spool *sp, const struct ledger_batch *b, struct buf *lines, struct err *e);

/*
 * Those of the lines that are events, once each, to *out; with `told` not NULL only those whose
 * event id is in a line of it. Returns how many.
 */
uint64_t confirm_range_pick(struct slice lines, const struct slice *told, struct buf *out);

/*
 * A batch of those lines that are events and not older than `oldest_s`: gzip into *body,
 * which is replaced. 0; 1: there are none; -1 and *e.
 */
int confirm_range_pack(struct slice lines, int64_t oldest_s, struct buf *body, struct err *e);

#endif
