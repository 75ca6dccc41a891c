/*
 * index.h - what the milter knew of each message and recipient, kept so that the
 * MTA's log and reports can be joined to it: an SQLite file, in WAL mode.
 *
 *	message	  id -> the fields of its reception event, for `index-age`
 *	waiting	  queue id and recipient -> those whose fate is not known yet, with
 *		  what has been tried so far; small
 *	unknown	  whose fate will not be known any more
 *	name	  Message-ID, envelope id, recipient -> ids
 *	segment	  names of the spool's segments that have been read
 *	state	  how far the log has been read
 *
 * All that is said between index_begin() and index_commit() is there after a
 * crash, or none of it: what has been read and what came of it can't part.
 * One process writes; others may read at the same time.
 *
 * Queue ids are used again within minutes. A message waits from its reception
 * until its fate is known or the MTA says that the id is free; of two that wait
 * under the same id the older one is meant.
 */
#ifndef COMMON_INDEX_H
#define COMMON_INDEX_H

#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/event.h"

struct index;

#define INDEX_DAMAGED ".damaged"
#define INDEX_FIRST INT64_MIN /* before all ids */

struct index_message {
	int64_t id; /* the message id as a number: time, serial */
	int64_t received_s;
	unsigned tries;          /* attempts that failed */
	int64_t last_us;         /* the last of them: when, */
	int64_t last_line;       /* which line said so, */
	struct slice last_reply; /* and what the other side answered */
	struct slice under;      /* the queue id that it waits under; facts have the first one */
	struct event facts;      /* its reception event; event_id is not kept */
};

/* Open or make the file (mode SPOOL_FILE_MODE) and its tables. NULL and *e. */
struct index *index_open(const char *path, struct err *e);
/*
 * The same, but a file that is damaged is kept as PATH.damaged, and a new one begun: *why says
 * what was wrong then, and is empty otherwise.
 */
struct index *index_open_anew(const char *path, struct err *why, struct err *e);

/*
 * To look at it beside the process that writes: index_pending() and index_unknown() only. NULL
 * and *e; *missing: there is no such file.
 */
struct index *index_open_reader(const char *path, bool *missing, struct err *e);
void index_close(struct index *ix); /* rolls back what is under way; NULL is fine */

int index_begin(struct index *ix, struct err *e);
int index_commit(struct index *ix, struct err *e); /* durable */
void index_rollback(struct index *ix);

/*
 * What is what is learned from now on for? `log`: somebody reads the MTA's log; if not, nobody
 * waits. `reports`: index_named() is going to be asked. Both are so from index_open() on.
 */
void index_set_use(struct index *ix, bool log, bool reports);

/*
 * Keep a reception event. 1: it is new; 0: it was there, or has no queue id, or
 * no message id of ours; -1 and *e.
 */
int index_learn(struct index *ix, const struct event *ev, struct err *e);

/*
 * Who waits under this queue id, and was received not later than `until_s`?
 * With `rcpt` that recipient (any case), the oldest first; with an empty one all,
 * from the id behind `after` on (INDEX_FIRST: from the first). 1: *out, whose slices are valid
 * until the next call; 0: nobody; -1 and *e.
 */
int index_find(struct index *ix, struct slice queue_id, struct slice rcpt, int64_t after,
    int64_t until_s, struct index_message *out, struct err *e);

/* A message by its id, whether it waits or not. */
int index_get(struct index *ix, struct slice message_id, struct index_message *out, struct err *e);

/* What a report may say of the message that it is about. */
enum index_name {
	INDEX_MESSAGE_ID, /* of its header, without <> */
	INDEX_ENVID,
	INDEX_RCPT, /* the recipient, any case */
};

/*
 * The latest message that has this name and, if it is given, this recipient. `*several`: there are
 * others of that name that are not the same message and recipient. As index_find().
 */
int index_named(struct index *ix, enum index_name what, struct slice name, struct slice rcpt,
    struct index_message *out, bool *several, struct err *e);

/* Of the `count` messages from the id `first` on, that to `rcpt`. As index_find(). */
int index_among(struct index *ix, struct slice first, unsigned count, struct slice rcpt,
    struct index_message *out, struct err *e);

/* An attempt failed for now: `line` (a hash of it) of that time said so. */
int index_failed(struct index *ix, const struct index_message *m, int64_t at_us, int64_t line,
    struct slice reply, struct err *e);

/* Its fate is known: it waits no longer. */
int index_settle(struct index *ix, const struct index_message *m, struct err *e);

/* It waits under another queue id from here on. */
int index_move(
    struct index *ix, const struct index_message *m, struct slice queue_id, struct err *e);

/* The MTA says that the queue id is free again: whoever waits under it since `until_s` or before.
 */
int index_freed(
    struct index *ix, struct slice queue_id, int64_t until_s, int64_t now_s, struct err *e);

/* Its fate won't be known any more. */
int index_give_up(struct index *ix, const struct index_message *m, int64_t now_s, struct err *e);

/*
 * One that was received before `received_s`, or whose queue id was freed before
 * `freed_s`. As index_find().
 */
int index_overdue(struct index *ix, int64_t received_s, int64_t freed_s, struct index_message *out,
    struct err *e);

struct index_counts {
	int64_t messages, waiting, unknown;
	int64_t oldest_waiting_s; /* reception; 0: nobody waits */
	int64_t bytes;            /* in use */
};
int index_count(struct index *ix, struct index_counts *out, struct err *e);
/* The same but for `messages`, which takes long to count. */
int index_pending(struct index *ix, struct index_counts *out, struct err *e);

/* Those that index_give_up() was told of, the latest first, at most `limit`; `*at_s` is when. */
int index_unknown(struct index *ix, size_t limit,
    void (*each)(void *arg, const struct index_message *m, int64_t at_s), void *arg, struct err *e);

/*
 * Forget some (a bounded step) of what is older than `before_s`, or of the
 * oldest if more than `max_bytes` are in use. 1: there is more to forget; 0: done.
 */
int index_trim(struct index *ix, int64_t before_s, int64_t max_bytes, struct err *e);

/* Segments that have been read. index_forget_segment() when the file has gone. */
int index_has_segment(struct index *ix, const char *name, struct err *e); /* 1, 0, -1 */
int index_add_segment(struct index *ix, const char *name, struct err *e);
int index_forget_segment(struct index *ix, const char *name, struct err *e);

/* Small texts under a name. Get: 1; 0 and an empty buf; -1. */
int index_state_get(struct index *ix, const char *key, struct buf *out, struct err *e);
int index_state_set(struct index *ix, const char *key, struct slice value, struct err *e);

#endif
