/*
 * learn.h - the job of the uploader that reads the milter's reception events from
 * closed segments into the index (index.h), and forgets the old ones: what the jobs
 * that make events of the MTA's log and of reports look messages up in. The
 * writer that those jobs spool their events with is here too.
 *
 * What is in a segment is in the index before the segment is uploaded and removed.
 */
#ifndef UPLOADER_LEARN_H
#define UPLOADER_LEARN_H

#include <stdint.h>

#include "common/conf.h"
#include "common/err.h"
#include "common/index.h"
#include "common/spool.h"

struct learn;

/*
 * Opens the index and a writer (a thread) on the spool. `conf` is used until the close.
 * NULL and *e.
 */
struct learn *learn_open(const struct conf *conf, struct spool *sp, struct err *e);
void learn_close(struct learn *l); /* NULL is fine; the jobs that use it are closed before */

struct index *learn_index(const struct learn *l);
struct spool_writer *learn_writer(const struct learn *l);

/*
 * Read a closed segment's messages into the index, if that has not been done:
 * to be called before it is uploaded. -1 and *e: not now.
 */
int learn_segment(struct learn *l, const char *segment, struct err *e);
void learn_gone(struct learn *l, const char *segment); /* it was uploaded and removed */

/*
 * Read what has been closed, one segment a call; the caller has begun a transaction of the index.
 * 1: there is more; 0: learn_horizon_us() is as new as can be; -1 and *e.
 */
int learn_more(struct learn *l, struct err *e);

/* All that was received until then is in the index. */
int64_t learn_horizon_us(const struct learn *l);

/*
 * How long something may wait for the horizon to pass it, in ms: wait-for-message, and what a
 * segment may stay open at least. What waits longer waits for a segment that nobody closes.
 */
int64_t learn_wait_ms(const struct learn *l);

/*
 * Somebody waits: if that is for a segment whose writer is dead, close it. Looks only
 * now and then.
 */
void learn_recover(struct learn *l, int64_t now);

/* Forget what is too old, bit by bit. Returns when to come again, monotonic. */
int64_t learn_step(struct learn *l);

#endif
