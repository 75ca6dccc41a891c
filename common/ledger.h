/*
 * ledger.h - what became of every event in the spool, counted so that none can
 * go unseen. For each sink, at every moment:
 *
 *	made = uploaded + waiting + purged + rejected + expired
 *
 * An SQLite file, ledger.db in the spool's directory, WAL, synchronous. A closed
 * segment is entered once, with its number of events: that is `made`. How far a sink has
 * got in a segment (bytes from its start, always behind a line's end) and that sink's
 * counters change in one transaction, so that no crash can part them. `waiting` is counted from
 * the entered segments whose file is there. If a file that a sink still needs is
 * gone, the identity is broken, and the ledger can name it.
 *
 * One process writes (the uploader holds the spool's lock); others may read.
 */
#ifndef COMMON_LEDGER_H
#define COMMON_LEDGER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"

struct ledger;

enum ledger_fate { LEDGER_UPLOADED, LEDGER_REJECTED, LEDGER_EXPIRED, LEDGER_PURGED, LEDGER_FATES };

/* `dir` is the spool's. A reader gets NULL and *e, e->num ENOENT, if there is none yet. */
struct ledger *ledger_open(const char *dir, bool writer, struct err *e);
void ledger_close(struct ledger *l); /* rolls back what is under way; NULL is fine */

int ledger_begin(struct ledger *l, struct err *e);
int ledger_commit(struct ledger *l, struct err *e); /* durable */
void ledger_rollback(struct ledger *l);

/*
 * The number of the sink of this name, made if it is new: a new one begins with the segments
 * that are in the spool. `required`: a segment goes only when it is done here.
 */
int ledger_sink(struct ledger *l, const char *name, bool required, int64_t *sink, struct err *e);
/* It is no longer configured: what it has not taken counts as purged; it is shown until its
 * counters are forgotten. */
int ledger_sink_retired(struct ledger *l, const char *name, struct err *e);

/* 1: entered; 0: it was there; -1 and *e. `oldest_s`: the oldest timestamp in it. */
int ledger_enter(struct ledger *l, const char *segment, uint64_t events, uint64_t bytes,
    int64_t oldest_s, struct err *e);
int ledger_known(struct ledger *l, const char *segment, struct err *e); /* 1, 0, -1 */

/* How far the sink is; `*done`: nothing is left in it for this sink. */
int ledger_cursor(struct ledger *l, int64_t sink, const char *segment, uint64_t *offset, bool *done,
    struct err *e);

/* The sink has got to `offset`: so many events, by fate, lie between that and where it was. */
int ledger_advance(struct ledger *l, int64_t sink, const char *segment, uint64_t offset, bool done,
    const uint64_t fates[LEDGER_FATES], struct err *e);

/* Its file has been removed, all required sinks being done with it. */
int ledger_forget(struct ledger *l, const char *segment, struct err *e);

#endif
