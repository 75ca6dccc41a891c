/*
 * outcome.h - a line of the MTA's log and what the index knows: the event that
 * comes of it.
 *
 *	status=sent by SMTP	delivery	the recipient's fate is known
 *	status=bounced		inband		likewise
 *	status=deferred		tempfail	it goes on waiting
 *	expired			inband		for each who still waits
 *
 * One terminal event (delivery or inband) for each recipient, whatever the log
 * repeats. What went to a mailbox, a program or nowhere on this host is no
 * remote delivery: the recipient is settled without an event. A refusal or a
 * delay there is reported like any other.
 *
 * Who is taken by somebody that gives it back under a queue id which began here lately
 * (a content filter, an alias, another instance that logs to the same place, postsuper -r)
 * waits on under that one: the last hop's word counts. If it was given back to the milter,
 * there are two messages, and each has its own end.
 *
 * The event_id is made of the line and the message id alone: a line that is
 * read again after a crash makes the same event.
 */
#ifndef UPLOADER_OUTCOME_H
#define UPLOADER_OUTCOME_H

#include "common/buf.h"
#include "common/classify.h"
#include "common/err.h"
#include "common/index.h"
#include "common/maillog.h"

struct outcome_counts {
	uint64_t deliveries, bounces, delays; /* events */
	uint64_t local;                       /* recipients settled without one */
	uint64_t refused;    /* recipients of messages that a later filter refused */
	uint64_t repeats;    /* lines seen before */
	uint64_t strangers;  /* lines about mail that isn't ours */
	uint64_t unknown;    /* recipients whose fate was given up */
	uint64_t unwritable; /* events that could not be made */
	uint64_t dropped;    /* lines that the logger says it lost */
};

#define OUTCOME_STARTS 256
#define OUTCOME_RECENT 16384 /* queue ids that are remembered */
#define OUTCOME_KEPT   4096  /* lines that are */
#define OUTCOME_TEXT   2048  /* bytes of such a line at most */

struct outcome_kept { /* a line about what became of a queue id's messages */
	int64_t at_us;
	struct buf tag, text;
};

struct outcome {
	struct index *ix;
	const struct classifier *rules;
	bool mask;        /* privacy-policy sha1: no address in raw_reason either */
	struct buf lines; /* events as NDJSON, to be appended to the spool and cleared */
	unsigned n_lines; /* how many */
	struct outcome_counts counts;
	struct event_writer *writer;
	struct buf raw, reason, what;    /* of the event in hand */
	uint64_t starts[OUTCOME_STARTS]; /* hashes of queue ids that began just now */
	/*
	 * A message that is handed to a content filter, or goes to an alias, may come back under
	 * another queue id: those that began here lately, and what was said of them before we
	 * knew who else they are.
	 */
	uint64_t recent[OUTCOME_RECENT];
	uint64_t kept_ids[OUTCOME_KEPT]; /* hashes of the queue ids of: */
	struct outcome_kept *kept;
	size_t next_kept;
	int64_t only; /* the message that lines are read again for; INDEX_FIRST: none */
};

void outcome_init(struct outcome *o, struct index *ix, const struct classifier *rules);
void outcome_free(struct outcome *o);

/*
 * Take a line of the time at_us. 1: done with it. 0: it is about an unknown
 * recipient and `last_chance` is false: nothing was done, come again when the
 * index may know more. -1 and *e: the index failed; roll back.
 */
int outcome_line(struct outcome *o, const struct maillog_line *m, int64_t at_us, bool last_chance,
    struct err *e);

/*
 * Give up those that were received before `received_s` or whose queue id was
 * freed before `freed_s`; at most `max`. Returns how many, or -1 and *e.
 */
int outcome_overdue(
    struct outcome *o, int64_t received_s, int64_t freed_s, int64_t now_s, int max, struct err *e);

#endif
