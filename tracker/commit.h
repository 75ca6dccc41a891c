/*
 * commit.h - events on their way to the disk.
 *
 * HTTP threads may not wait for a disk: others' requests would wait with them.
 * So they put the event here and let its request sleep; one thread appends
 * all that came meanwhile at once, with one sync, and wakes the requests. A
 * reader who is answered has his event on stable storage - unless the disk fails
 * or is slow: nobody is kept from his page by that, it is counted instead.
 */
#ifndef TRACKER_COMMIT_H
#define TRACKER_COMMIT_H

#include <stdint.h>

#include "common/err.h"
#include "common/slice.h"
#include "common/spool.h"

#define COMMIT_QUEUE_MAX (64UL * 1024 * 1024) /* bytes that wait, events and what they cost */

struct commit;

struct commit_stats {
	uint64_t written; /* events on stable storage */
	uint64_t lost;    /* the spool did not take them, or the queue was full */
	uint64_t
	    late; /* requests that did not wait to the end; their events are among the others */
	struct err error; /* the last reason for a loss */
};

/* Called once for each waiter, from a thread of ours or in commit_late(): wake it. */
typedef void commit_wake(void *waiter);

struct commit *commit_open(struct spool_writer *w, commit_wake *wake, struct err *e);

/*
 * Take a line (copied). True: `waiter` will be woken, perhaps before this
 * returns. False: the queue is full, the event is lost and counted.
 */
bool commit_add(struct commit *c, struct slice line, void *waiter);

/* Wake all who have waited for max_ms; their events are still on their way. */
void commit_late(struct commit *c, int64_t max_ms);

struct commit_stats commit_stats(struct commit *c);

/* Everything that was added is written, all are woken. Nobody may be adding any more. NULL is fine.
 */
void commit_drain(struct commit *c);
void commit_close(struct commit *c); /* drains, too */

#endif
