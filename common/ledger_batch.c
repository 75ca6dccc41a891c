#include "common/ledger_batch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/ledger_private.h"
#include "common/xalloc.h"

enum statement { ADD, NEXT, NEXT_OF, GET, HOLDS, RENAME, REMOVE, STATEMENTS };

struct ledger_batches {
	struct ledger *l;
	sqlite3_stmt *stmt[STATEMENTS];
};

static const char schema[] = "CREATE TABLE IF NOT EXISTS batch ("
			     "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
			     "  sink INTEGER NOT NULL,"
			     "  segment TEXT NOT NULL,"
			     "  first INTEGER NOT NULL,"
			     "  last INTEGER NOT NULL,"
			     "  events INTEGER NOT NULL,"
			     "  name TEXT NOT NULL,"
			     "  sent INTEGER NOT NULL,"
			     "  again INTEGER NOT NULL DEFAULT 0);"
			     "CREATE INDEX IF NOT EXISTS batch_segment ON batch (segment, sink);";

#define COLUMNS "id, sink, segment, first, last, events, name, sent, again"

static const char *const statements[STATEMENTS] = {
	[ADD] = "INSERT INTO batch (sink, segment, first, last, events, name, sent)"
		" VALUES (?, ?, ?, ?, ?, ?, ?)",
	[NEXT] = "SELECT " COLUMNS " FROM batch WHERE id > ?1 ORDER BY id LIMIT 1",
	[NEXT_OF] = "SELECT " COLUMNS " FROM batch WHERE id > ?1 AND sink = ?2 ORDER BY id LIMIT 1",
	[GET] = "SELECT " COLUMNS " FROM batch WHERE id = ?1",
	[HOLDS] = "SELECT 1 FROM batch WHERE segment = ?1 AND sink = ?2 LIMIT 1",
	[RENAME] = "UPDATE batch SET name = ?2, again = again + 1 WHERE id = ?1",
	[REMOVE] = "DELETE FROM batch WHERE id = ?1",
};

struct ledger_batches *
ledger_batches_open(struct ledger *l, struct err *e)
{
	struct ledger_batches *b = xcalloc(1, sizeof(*b));
	bool good = sqlite3_exec(l->db, schema, NULL, NULL, NULL) == SQLITE_OK;

	b->l = l;
	for (size_t i = 0; good && i < STATEMENTS; i++)
		good = sqlite3_prepare_v3(l->db, statements[i], -1, SQLITE_PREPARE_PERSISTENT,
			   &b->stmt[i], NULL) == SQLITE_OK;
	if (good)
		return b;
	ledger_fail(l, e);
	ledger_batches_close(b);
	return NULL;
}

void
ledger_batches_close(struct ledger_batches *b)
{
	if (b == NULL)
		return;
	for (size_t i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(b->stmt[i]);
	free(b);
}

/* 1: a row; 0; -1 and *e. Reset it afterwards. */
static int
step(struct ledger_batches *b, enum statement which, struct err *e)
{
	int rc = sqlite3_step(b->stmt[which]);

	if (rc == SQLITE_ROW)
		return 1;
	return rc == SQLITE_DONE ? 0 : ledger_fail(b->l, e);
}

static int
read_row(struct ledger_batches *b, enum statement which, struct ledger_batch *out, struct err *e)
{
	sqlite3_stmt *st = b->stmt[which];
	int rc = step(b, which, e);

	if (rc > 0) {
		*out = (struct ledger_batch){
			.id = sqlite3_column_int64(st, 0),
			.sink = sqlite3_column_int64(st, 1),
			.from = (uint64_t)sqlite3_column_int64(st, 3),
			.end = (uint64_t)sqlite3_column_int64(st, 4),
			.events = (uint64_t)sqlite3_column_int64(st, 5),
			.sent_s = sqlite3_column_int64(st, 7),
			.again = (unsigned)sqlite3_column_int(st, 8),
		};
		ledger_text(st, 2, out->segment, sizeof(out->segment));
		ledger_text(st, 6, out->batch, sizeof(out->batch));
	}
	sqlite3_reset(st);
	return rc;
}

static int
run(struct ledger_batches *b, enum statement which, struct err *e)
{
	int rc = step(b, which, e);

	sqlite3_reset(b->stmt[which]);
	return rc < 0 ? -1 : 0;
}

int
ledger_batch_add(struct ledger_batches *b, const struct ledger_batch *one, struct err *e)
{
	sqlite3_stmt *st = b->stmt[ADD];

	sqlite3_bind_int64(st, 1, one->sink);
	sqlite3_bind_text(st, 2, one->segment, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 3, (int64_t)one->from);
	sqlite3_bind_int64(st, 4, (int64_t)one->end);
	sqlite3_bind_int64(st, 5, (int64_t)one->events);
	sqlite3_bind_text(st, 6, one->batch, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 7, one->sent_s);
	return run(b, ADD, e);
}

int
ledger_batch_next(
    struct ledger_batches *b, int64_t sink, int64_t after, struct ledger_batch *out, struct err *e)
{
	enum statement which = sink == 0 ? NEXT : NEXT_OF;

	sqlite3_bind_int64(b->stmt[which], 1, after);
	if (sink != 0)
		sqlite3_bind_int64(b->stmt[which], 2, sink);
	return read_row(b, which, out, e);
}

int
ledger_batch_get(struct ledger_batches *b, int64_t id, struct ledger_batch *out, struct err *e)
{
	sqlite3_bind_int64(b->stmt[GET], 1, id);
	return read_row(b, GET, out, e);
}

int
ledger_batch_holds(struct ledger_batches *b, int64_t sink, const char *segment, struct err *e)
{
	int rc;

	sqlite3_bind_text(b->stmt[HOLDS], 1, segment, -1, SQLITE_STATIC);
	sqlite3_bind_int64(b->stmt[HOLDS], 2, sink);
	rc = step(b, HOLDS, e);
	sqlite3_reset(b->stmt[HOLDS]);
	return rc;
}

int
ledger_batch_renamed(struct ledger_batches *b, int64_t id, const char *batch, struct err *e)
{
	sqlite3_bind_int64(b->stmt[RENAME], 1, id);
	sqlite3_bind_text(b->stmt[RENAME], 2, batch, -1, SQLITE_STATIC);
	return run(b, RENAME, e);
}

/* The sink may have got to the end of the segment long ago and only waited for this. */
static int
finish_segment(struct ledger_batches *b, const struct ledger_batch *one, struct err *e)
{
	static const uint64_t none[LEDGER_FATES];
	struct ledger_segment s;
	int rc = ledger_batch_holds(b, one->sink, one->segment, e);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	rc = ledger_find(b->l, one->sink, one->segment, &s, e);
	if (rc <= 0)
		return rc;
	if (s.gone || s.done || s.offset < s.bytes || s.taken < s.events)
		return 0;
	return ledger_advance(b->l, one->sink, one->segment, s.offset, true, none, e);
}

static int
settle(struct ledger_batches *b, const struct ledger_batch *one, uint64_t rejected, struct err *e)
{
	sqlite3_bind_int64(b->stmt[REMOVE], 1, one->id);
	if (run(b, REMOVE, e) < 0)
		return -1;
	if (sqlite3_changes(b->l->db) == 0)
		return 0; /* it was settled before */
	if (rejected > one->events)
		rejected = one->events;
	if (rejected > 0 &&
	    ledger_recount(b->l, one->sink, LEDGER_UPLOADED, LEDGER_REJECTED, rejected, e) < 0)
		return -1;
	return finish_segment(b, one, e);
}

int
ledger_batch_settle(
    struct ledger_batches *b, const struct ledger_batch *one, uint64_t rejected, struct err *e)
{
	if (ledger_save(b->l, e) < 0)
		return -1;
	return ledger_release(b->l, settle(b, one, rejected, e), e);
}
