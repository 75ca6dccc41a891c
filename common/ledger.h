/*
 * ledger.h - what became of every event in the spool, counted so that none can
 * go unseen. For each sink, at every moment:
 *
 *	made = uploaded + waiting + purged + rejected + expired
 *
 * An SQLite file, ledger.db in the spool's directory, WAL, synchronous. A closed
 * segment is entered once, with its number of events: that is `made`. How far a sink has
 * got in a segment (bytes from its start, always behind a line's end) and that sink's
 * counters change in one transaction, so that no crash can part them.
 *
 * `waiting` is not kept but found: what entered segments still hold for the sink, if
 * their files are there. If a file that a sink still needs is gone or has become
 * shorter, the identity is broken, and ledger_check() names it. What is in events/ and
 * has not been entered is "not yet counted".
 *
 * A segment's way: ledger_enter(); ledger_advance() by each sink; when all required sinks
 * are done it is `gone` - what the others have not taken counts as purged, in the same
 * transaction - and after the commit its file is unlinked, the directory synced, and
 * ledger_forget() takes its row. A crash in between leaves a gone segment with its file:
 * ledger_gone() lists those, which are never sent again.
 *
 * A full disk must not keep what would make room from being written down: the database and its
 * write-ahead log have LEDGER_ROOM bytes of room from the start, and keep them.
 *
 * One process writes (the uploader holds the spool's lock), from one thread; others may
 * read. Each call that changes something belongs between ledger_begin() and
 * ledger_commit(), or is a transaction of its own.
 */
#ifndef COMMON_LEDGER_H
#define COMMON_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/spool.h"

#define LEDGER_NAME "ledger.db"
#define LEDGER_ROOM (2 << 20)

struct ledger;

enum ledger_fate { LEDGER_UPLOADED, LEDGER_REJECTED, LEDGER_EXPIRED, LEDGER_PURGED, LEDGER_FATES };

const char *ledger_fate_name(enum ledger_fate f); /* "uploaded" */

/* `dir` is the spool's. NULL and *e; for a reader *missing is true if there is none yet
 * (may be NULL). */
struct ledger *ledger_open(const char *dir, bool writer, bool *missing, struct err *e);
/*
 * As ledger_open() for the writer, but a ledger that is damaged, or none at all, stops nobody: it
 * is set aside as ledger.db.damaged (one is kept) and a new one begun. Then what is in events/ is
 * counted from 0 and sent, again if it had been sent. *said: what was found and done; "" if nothing
 * was. NULL and *e for whatever else is wrong, such as a ledger of a newer version.
 */
struct ledger *ledger_open_anew(const char *dir, struct err *said, struct err *e);

/* Can it no longer be relied on: damaged, or its files were removed or replaced below us? *why says
 * it. Then close it, after ledger_set_aside() if it is damaged, and ledger_open_anew(). */
bool ledger_is_lost(const struct ledger *l, struct err *why);
bool ledger_is_damaged(const struct ledger *l);
int ledger_set_aside(const char *dir, struct err *e);

void ledger_close(struct ledger *l); /* rolls back what is under way; NULL is fine */

int ledger_begin(struct ledger *l, struct err *e);
int ledger_commit(struct ledger *l, struct err *e); /* durable; -1: nothing of it has happened */
void ledger_rollback(struct ledger *l);

/* ---- sinks ---- */

/*
 * The number of the sink of this name, made if it is new, taken back if it was retired: a
 * new one begins with the segments that are in the ledger. `required`: a segment goes only
 * when it is done here. At least one sink must be required for anything to go.
 */
int ledger_sink(struct ledger *l, const char *name, bool required, int64_t *sink, struct err *e);

/* It is no longer configured: what it has not taken counts as purged; its counters stay.
 * Not an error if there is none. */
int ledger_retire(struct ledger *l, const char *name, struct err *e);

/* After sinks were made, retired or are required no longer: segments that are done at all
 * required ones are marked as gone. Not if no sink is required. */
int ledger_settle(struct ledger *l, struct err *e);

struct ledger_try {         /* what came of a try; added up, and the last is remembered */
	const char *status; /* "200", "connect refused": short, for people; NULL: unchanged */
	int64_t at_s;
	bool good;
	uint64_t sent;    /* batches that were taken */
	uint64_t retried; /* batches that will be sent again */
	uint64_t bytes;   /* that were taken, as they went over the wire */
};
int ledger_tried(struct ledger *l, int64_t sink, const struct ledger_try *t, struct err *e);

#define LEDGER_SINK_MAX   64 /* with the NUL */
#define LEDGER_STATUS_MAX 200

struct ledger_counts { /* a sink's */
	int64_t id;
	char name[LEDGER_SINK_MAX];
	bool required, retired;
	uint64_t made, fate[LEDGER_FATES];
	uint64_t segments; /* that it is not done with */
	uint64_t sent, retried, bytes;
	char status[LEDGER_STATUS_MAX]; /* of the last try, "" if there was none */
	int64_t tried_s, success_s;     /* when; 0: never */
};
/* All sinks by name, retired ones too; free() them. -1 and *e. */
int ledger_sinks(struct ledger *l, struct ledger_counts **out, size_t *n, struct err *e);
int ledger_counts(struct ledger *l, int64_t sink, struct ledger_counts *out, struct err *e);

/* Counted by one fate and found to be of another: a confirmation says so. */
int ledger_recount(struct ledger *l, int64_t sink, enum ledger_fate from, enum ledger_fate to,
    uint64_t n, struct err *e);

/*
 * A sink that writes files: which it writes, since when, and how much of it is durable and
 * belongs to what has been counted. Set in the transaction that advances. 1, 0: none; -1.
 */
struct ledger_archive {
	char name[128];
	uint64_t offset;
	int64_t began_s;
};
int ledger_archive(struct ledger *l, int64_t sink, struct ledger_archive *out, struct err *e);
int ledger_set_archive(
    struct ledger *l, int64_t sink, const struct ledger_archive *a, struct err *e);

/* ---- segments ---- */

struct ledger_segment {
	int64_t id; /* rises with each entry, never used again */
	char name[SPOOL_NAME_SIZE];
	uint64_t events, bytes;
	int64_t oldest_s; /* the oldest timestamp in it; 0: none was found */
	bool gone;        /* only its file is still to be removed */
	/* of the sink that was asked for */
	uint64_t offset, taken; /* bytes and events behind it */
	bool done;
};

/* 1: entered; 0: it was there; -1 and *e. */
int ledger_enter(struct ledger *l, const char *segment, uint64_t events, uint64_t bytes,
    int64_t oldest_s, struct err *e);
int ledger_known(struct ledger *l, const char *segment, struct err *e); /* 1, 0, -1 */

/* Its file has grown since: so much more. */
int ledger_grew(
    struct ledger *l, const char *segment, uint64_t events, uint64_t bytes, struct err *e);

/* 1 and *out; 0: no such segment; -1 and *e. sink 0: nobody's. */
int ledger_find(
    struct ledger *l, int64_t sink, const char *segment, struct ledger_segment *out, struct err *e);
/* The next by entry behind `after` (0: the first) that this sink is not done with. 1, 0, -1. */
int ledger_next(
    struct ledger *l, int64_t sink, int64_t after, struct ledger_segment *out, struct err *e);
/* The next one that is gone. 1, 0, -1. */
int ledger_gone(struct ledger *l, int64_t after, struct ledger_segment *out, struct err *e);

/*
 * The sink has got to `offset`: so many events, by fate, lie between that and where it was.
 * If more events come to light than were entered, they are made now; with `done` and fewer, the
 * rest is missing: it is an error, nothing is changed, and only ledger_purge() helps. 1: that was
 * the last required sink, the segment is gone once this is committed; 0; -1 and *e.
 */
int ledger_advance(struct ledger *l, int64_t sink, const char *segment, uint64_t offset, bool done,
    const uint64_t fates[LEDGER_FATES], struct err *e);

/*
 * What no sink has taken of it counts as purged, and it is gone: for want of space, or because
 * its file has vanished and the operator knows (then another process may say so: SQLite keeps
 * the two apart, and the uploader keeps no counts in memory). *events (may be NULL): the most that
 * a sink had not taken. 1; 0: no such segment, or gone; -1.
 */
int ledger_purge(struct ledger *l, const char *segment, uint64_t *events, struct err *e);

/* Its file has been removed. Not an error if it is not there. */
int ledger_forget(struct ledger *l, const char *segment, struct err *e);

/* The oldest timestamp that waits for this sink (0: any). 1, 0: nothing waits; -1. */
int ledger_oldest(struct ledger *l, int64_t sink, int64_t *oldest_s, struct err *e);

/* ---- does it add up? ---- */

struct ledger_sums { /* of a sink */
	struct ledger_counts counts;
	uint64_t waiting;   /* in files that are there */
	uint64_t missing;   /* events in files that are not there, or have become shorter */
	int64_t difference; /* made - (uploaded + waiting + purged + rejected + expired); 0: good */
	int64_t oldest_s;   /* that waits; 0: nothing */
	/* Of what was uploaded: batches that confirm-batches asks for; their segments stay. */
	uint64_t unconfirmed_batches, unconfirmed;
	int64_t unconfirmed_s; /* since when */
};

struct ledger_check {
	bool good;
	size_t n_sinks;
	struct ledger_sums *sinks;
	uint64_t segments, events; /* entered, not gone */
	uint64_t missing_segments;
	uint64_t uncounted_segments, uncounted_bytes; /* in events/ and not entered */
};

/*
 * Compare the ledger with what is on disk. `missing` (may be NULL) is called for each file that
 * is needed and not whole, with the number of events that it had. Safe beside a writer:
 * what does not add up is looked at again before it is believed. ledger_check_free() later.
 */
int ledger_check(struct ledger *l, struct ledger_check *out,
    void (*missing)(void *arg, const char *segment, uint64_t events), void *arg, struct err *e);
void ledger_check_free(struct ledger_check *c);

#endif
