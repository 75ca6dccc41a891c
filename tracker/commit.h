/*
 * commit.h - events on their way to the disk.
 *
 * HTTP threads may not wait for a disk: others' requests would wait with them. So
 * each of them collects the events of one turn of its loop in a batch and hands it
 * over here, and its requests stay open; one thread appends all batches that came
 * meanwhile at once, with one sync, and tells those who made them. A reader who
 * is answered has his event on stable storage - unless the disk fails or is slow:
 * nobody is kept from his page by that, it is counted instead.
 *
 *	b = commit_begin(c, maker);
 *	buf_adds(commit_lines(b), "one event\n");
 *	commit_hold(b);			for the request that made it
 *	commit_send(c, b);		at the end of the turn
 *	...				maker is woken
 *	if (commit_is_done(b)) {	answer the request
 *		commit_leave(c, b);
 */
#ifndef TRACKER_COMMIT_H
#define TRACKER_COMMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/spool.h"

#define COMMIT_QUEUE_MAX (64UL * 1024 * 1024) /* bytes that wait, batches and what they cost */
#define COMMIT_BATCH_MAX (1024 * 1024)        /* bytes of an append; of a batch, about */

struct commit;
struct commit_batch; /* one thread's, but for commit.c */

struct commit_stats {
	uint64_t written; /* events on stable storage */
	uint64_t lost;    /* the spool did not take them, or the queue was full */
	uint64_t
	    late; /* requests that did not wait to the end; their events are among the others */
	struct err error; /* the last reason for a loss */
};

/*
 * A batch of this maker is done. Called once for each batch, from a thread of ours, in
 * commit_late(), or in commit_send() if the queue is full.
 */
typedef void commit_wake(void *maker);

struct commit *commit_open(struct spool_writer *w, commit_wake *wake, struct err *e);

struct commit_batch *commit_begin(struct commit *c, void *maker);

/* Where its lines go; whole ones. Not after commit_send(). */
struct buf *commit_lines(struct commit_batch *b);

/* One more line is in it, of a request that looks at the batch until it leaves. Not after
 * commit_send(). */
void commit_hold(struct commit_batch *b);

/* Every line is in it. It belongs to those who hold it now. If the queue is full, its events are
 * lost. */
void commit_send(struct commit *c, struct commit_batch *b);

/* Written, lost or late: nobody waits any longer. */
bool commit_is_done(const struct commit_batch *b);

/* To be called once for each commit_hold(), before commit_close(). */
void commit_leave(struct commit *c, struct commit_batch *b);

/* Wake all who have waited for max_ms; their events are still on their way. */
void commit_late(struct commit *c, int64_t max_ms);

struct commit_stats commit_stats(struct commit *c);

/*
 * Everything that was sent is written, all are woken. Nobody may be sending any more. NULL is
 * fine.
 */
void commit_drain(struct commit *c);
void commit_close(struct commit *c); /* drains, too */

#endif
