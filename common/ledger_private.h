/*
 * ledger_private.h - what ledger.c and the other ledger_*.c share: the
 * database and its statements.
 */
#ifndef COMMON_LEDGER_PRIVATE_H
#define COMMON_LEDGER_PRIVATE_H

#include <sqlite3.h>
#include <sys/stat.h>

#include "common/ledger.h"
#include "common/slice.h"

enum ledger_statement {
	LEDGER_BEGIN,
	LEDGER_BEGIN_READ,
	LEDGER_COMMIT,
	LEDGER_ROLLBACK,
	LEDGER_SAVE,
	LEDGER_RELEASE,
	LEDGER_SINK_FIND,
	LEDGER_SINK_ADD,
	LEDGER_SINK_REQUIRED,
	LEDGER_SINK_START,
	LEDGER_SINK_RETIRE,
	LEDGER_SINK_FORGET,
	LEDGER_SINK_TRIED,
	LEDGER_SINK_LIST,
	LEDGER_SINK_GET,
	LEDGER_SINK_MADE,
	LEDGER_SINK_COUNT,
	LEDGER_SETTLED,
	LEDGER_ARCHIVE,
	LEDGER_SET_ARCHIVE,
	LEDGER_ENTER,
	LEDGER_GREW,
	LEDGER_REOPEN_COUNT,
	LEDGER_REOPEN,
	LEDGER_KNOWN,
	LEDGER_FIND,
	LEDGER_NEXT,
	LEDGER_NEXT_GONE,
	LEDGER_CURSOR,
	LEDGER_IS_NEEDED,
	LEDGER_MOST_LEFT,
	LEDGER_DROP_COUNT,
	LEDGER_DROP,
	LEDGER_FORGET_CURSORS,
	LEDGER_FORGET,
	LEDGER_OLDEST,
	LEDGER_OLDEST_OF,
	LEDGER_ALL,
	LEDGER_ALL_CURSORS,
	LEDGER_STATEMENTS
};

struct ledger {
	sqlite3 *db;
	sqlite3_stmt *stmt[LEDGER_STATEMENTS];
	char *dir; /* the spool's */
	bool writer;
	bool damaged;                  /* SQLite has said so */
	struct stat db_file, wal_file; /* as they were when they were opened */
};

enum ledger_why { LEDGER_WHY_OTHER, LEDGER_WHY_MISSING, LEDGER_WHY_DAMAGED };

/* As ledger_open(). */
struct ledger *ledger_try_open(const char *dir, bool writer, enum ledger_why *why, struct err *e);

int ledger_fail(struct ledger *l, struct err *e);

/* Bind `n` numbers, from the first parameter on. */
sqlite3_stmt *ledger_bind(
    struct ledger *l, enum ledger_statement which, size_t n, const int64_t *v);

/* Run a statement that gives no rows. */
int ledger_run(
    struct ledger *l, enum ledger_statement which, size_t n, const int64_t *v, struct err *e);

/* One row at most: 1, 0, -1. Reset it afterwards. */
int ledger_step(struct ledger *l, enum ledger_statement which, struct err *e);
void ledger_reset(struct ledger *l, enum ledger_statement which);

/* The text of a column, cut to the array's size. */
void ledger_text(sqlite3_stmt *st, int column, char *out, size_t size);

/* All in one transaction, also when the caller has begun none. */
int ledger_save(struct ledger *l, struct err *e);
int ledger_release(struct ledger *l, int rc, struct err *e); /* rc < 0: undo; returns rc or -1 */

void ledger_read_counts(sqlite3_stmt *st, struct ledger_counts *out);

#endif
