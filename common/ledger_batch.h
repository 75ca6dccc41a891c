/*
 * ledger_batch.h - batches whose outcome is not known yet, in the ledger's database, so
 * that they change in the same transactions and are there after a crash.
 */
#ifndef COMMON_LEDGER_BATCH_H
#define COMMON_LEDGER_BATCH_H

#include "common/ledger.h"

#define LEDGER_BATCH_MAX 128 /* an endpoint's name for a batch, with the NUL */

struct ledger_batch {
	int64_t id;   /* rises */
	int64_t sink; /* the ledger's number of it */
	char segment[SPOOL_NAME_SIZE];
	uint64_t from, end; /* bytes of the segment */
	uint64_t events;    /* of those that were sent */
	char batch[LEDGER_BATCH_MAX];
	int64_t sent_s; /* the first time */
	unsigned again; /* how often it was sent again */
};

struct ledger_batches;

/* The writer's. NULL and *e. Close it before the ledger. */
struct ledger_batches *ledger_batches_open(struct ledger *l, struct err *e);
void ledger_batches_close(struct ledger_batches *b); /* NULL is fine */

/* b->id and ->again are not looked at. A name that is too long is an error. */
int ledger_batch_add(struct ledger_batches *b, const struct ledger_batch *one, struct err *e);

/* The next one of the sink (0: of any) behind `after`. 1, 0, -1. */
int ledger_batch_next(
    struct ledger_batches *b, int64_t sink, int64_t after, struct ledger_batch *out, struct err *e);
int ledger_batch_get(
    struct ledger_batches *b, int64_t id, struct ledger_batch *out, struct err *e); /* 1, 0, -1 */
/* Is there one of this segment? 1, 0, -1. */
int ledger_batch_holds(struct ledger_batches *b, int64_t sink, const char *segment, struct err *e);

/* It was sent again and has this name now. */
int ledger_batch_renamed(struct ledger_batches *b, int64_t id, const char *batch, struct err *e);

/*
 * Its outcome is known; `rejected` of its events were not taken after all. When it was the
 * segment's last one and the sink has got to its end, the sink is done with the segment: 1 if
 * that makes it gone, else 0; -1 and *e. A transaction of its own, or part of the caller's.
 */
int ledger_batch_settle(
    struct ledger_batches *b, const struct ledger_batch *one, uint64_t rejected, struct err *e);

#endif
