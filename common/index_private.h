/*
 * index_private.h - the index's tables and statements; what index.c and the files
 * named below share, and nobody else includes.
 */
#ifndef COMMON_INDEX_PRIVATE_H
#define COMMON_INDEX_PRIVATE_H

#include <sqlite3.h>

#include "common/hash.h"
#include "common/ids.h"
#include "common/index.h"

#define INDEX_FILTER_SIZE ((size_t)1 << 18) /* slots */

enum index_statement {
	BEGIN,
	COMMIT,
	LEARN,
	WAIT,
	FIND,
	FIND_ALL,
	GET,
	FAILED,
	SETTLE,
	FREED,
	MOVE,
	GIVE_UP,
	OVERDUE,
	OVERDUE_FREED,
	NAME,
	NAMED,
	NAMED_RCPT,
	AMONG,
	HAS_SEGMENT,
	ADD_SEGMENT,
	FORGET_SEGMENT,
	STATE_GET,
	STATE_SET,
	STATEMENTS
};

struct index_slot { /* of all queue ids with one hash: most lines are about nobody who waits */
	uint32_t n;
	int64_t oldest_s; /* received */
};

struct index {
	sqlite3 *db;
	sqlite3_stmt *stmt[STATEMENTS];
	struct buf facts, reply, under; /* of the message that was found last */
	char id[IDS_SIZE];              /* and its id */
	struct buf packed;
	struct index_slot *filter;
	bool no_log;     /* nobody waits */
	bool no_reports; /* nobody asks for names */
	bool has_hashed; /* some recipients are hashes: look for those, too */
};

/* ---- index.c ---- */

/* -1, and what SQLite says in *e. */
int index_fail(const struct index *ix, struct err *e);
int index_run(struct index *ix, const char *sql, struct err *e);
/* The number that a query gives; 0 if it gives no row. */
int index_number(struct index *ix, const char *sql, int64_t *out, struct err *e);
void index_bind_text(sqlite3_stmt *st, int i, struct slice s);
void index_bind_blob(sqlite3_stmt *st, int i, struct slice s);
/* Run a statement that gives no rows. */
int index_done(struct index *ix, enum index_statement which, struct err *e);

/* ---- index_facts.c: a reception event as few bytes ---- */

void index_pack(const struct event *ev, struct buf *out);
void index_unpack(struct slice packed, struct event *ev);

/* ---- index_key.c: by what rows are found ---- */

int64_t index_rcpt_key(struct slice rcpt);
/* privacy-policy sha1: what the event has in place of the address. */
const char *index_rcpt_hash(struct slice rcpt, char hex[2 * HASH_SHA1_SIZE + 1]);
int64_t index_hashed_key(struct slice rcpt);
int64_t index_key_of(const struct event *ev);
int64_t index_id_number(struct message_id id);
struct message_id index_id_of(int64_t number);
int64_t index_name_key(enum index_name what, struct slice name);

/* ---- index_find.c ---- */

/* The row that a step of `st` gave, copied, since the statement is reset. */
int index_take_row(struct index *ix, sqlite3_stmt *st, struct index_message *out, struct err *e);

/* ---- index_waiting.c: who waits, roughly ---- */

void index_filter_add(struct index *ix, struct slice queue_id, int64_t received_s);
/* May somebody wait under it who was received until then? */
bool index_filter_asks(const struct index *ix, struct slice queue_id, int64_t until_s);
int index_filter_load(struct index *ix, struct err *e);

#endif
