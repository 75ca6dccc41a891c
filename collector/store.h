/*
 * store.h - what the collector keeps: batches, their events, the lines that
 * failed, and a status for each outcome. One SQLite file, in WAL mode with
 * synchronous=FULL: what was committed survives a crash of the program and of
 * the machine.
 *
 * There is one writer at a time; readers run beside it. A batch is one
 * transaction:
 *
 *	if (store_begin(s, &e) < 0)
 *		return -1;
 *	if (store_batch(s, uuid, now_ms, digest, &e) < 0 || store_event(s, line, &ev, &e) < 0 ||
 *	    store_commit(s, &e) < 0) {
 *		store_rollback(s);
 *		return -1;
 *	}
 *
 * Events get growing numbers (`seq`); those of one batch have no other batch's
 * between them; that is how the events of a batch are found again.
 */
#ifndef COLLECTOR_STORE_H
#define COLLECTOR_STORE_H

#include <sqlite3.h>
#include <stdint.h>

#include "common/err.h"
#include "common/event.h"
#include "common/hash.h"
#include "common/slice.h"

#define STORE_SCHEMA_VERSION 1
#define STORE_UUID_SIZE      37 /* 36 characters and NUL */

struct store;

/*
 * Open or make the database file (0640) and its directory (0750). NULL and *e
 * if it is not ours or of a schema version that this program does not know.
 */
struct store *store_open(const char *path, struct err *e);

/* Moves everything from the log into the database file. NULL is fine. */
void store_close(struct store *s);

/*
 * From now on long work ends early with an error: readers are interrupted,
 * store_event() and store_failure() refuse. For shutting down; thread-safe.
 */
void store_interrupt(struct store *s);

/* ---- writing ---- */

/* A random name for a batch or a status. */
void store_new_uuid(char out[STORE_UUID_SIZE]);

/* Wait for our turn and begin. After 0, store_commit() or store_rollback() must follow, in this
 * thread. */
int store_begin(struct store *s, struct err *e);

/*
 * The batch that the following calls speak of. `digest` (NULL: not known) is that of its content.
 * 1: recorded. 0: recorded, but a batch with this digest was there already. -1: *e.
 */
int store_batch(struct store *s, const char uuid[STORE_UUID_SIZE], int64_t now_ms,
    const unsigned char digest[HASH_SHA256_SIZE], struct err *e);

/* 1: stored. 0: an event with this id was there already. -1: *e. */
int store_event(struct store *s, struct slice line, const struct event *ev, struct err *e);

/* Line `number` was not taken, for that reason. Texts must be UTF-8. */
int store_failure(
    struct store *s, uint64_t number, const char *reason, struct slice text, struct err *e);

struct store_counts {
	uint64_t succeeded, failed, duplicates;
};

/* What became of the batch. error_type NULL: success. */
int store_status(struct store *s, const char uuid[STORE_UUID_SIZE], const char *error_type,
    bool retryable, const struct store_counts *counts, int64_t now_ms, int64_t expires_ms,
    struct err *e);

/* 0: on disk. -1: *e, and nothing of it is there (call store_rollback() all the same). */
int store_commit(struct store *s, struct err *e);
void store_rollback(struct store *s);

/*
 * Delete some of what was received before `before_ms`, oldest first, in one
 * short transaction. 1: there is more. 0: nothing is left to delete. -1: *e.
 */
int store_purge(struct store *s, int64_t before_ms, struct err *e);

/* ---- reading (search.c, download.c) ---- */

/*
 * Borrow a read connection for one request; give it back with
 * store_reader_done() (NULL is fine). NULL and *e if there is none to be had.
 */
sqlite3 *store_reader(struct store *s, struct err *e);
void store_reader_done(struct store *s, sqlite3 *db);

#endif
