#include "common/ledger_private.h"

#include <stdlib.h>

#include "common/xalloc.h"

/* 1: there is one. */
static int
find_sink(
    struct ledger *l, const char *name, int64_t *id, bool *required, bool *retired, struct err *e)
{
	sqlite3_stmt *st = l->stmt[LEDGER_SINK_FIND];
	int rc;

	sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC);
	rc = ledger_step(l, LEDGER_SINK_FIND, e);
	if (rc > 0) {
		*id = sqlite3_column_int64(st, 0);
		*required = sqlite3_column_int(st, 1) != 0;
		*retired = sqlite3_column_int(st, 2) != 0;
	}
	ledger_reset(l, LEDGER_SINK_FIND);
	return rc;
}

static int
start_sink(struct ledger *l, const char *name, bool required, int64_t *sink, struct err *e)
{
	bool was_required = false, retired = true;
	int rc = find_sink(l, name, sink, &was_required, &retired, e);

	if (rc == 0) {
		sqlite3_bind_text(l->stmt[LEDGER_SINK_ADD], 1, name, -1, SQLITE_STATIC);
		rc = ledger_run(l, LEDGER_SINK_ADD, 0, NULL, e);
		*sink = sqlite3_last_insert_rowid(l->db);
	}
	if (rc >= 0 && was_required != required)
		rc =
		    ledger_run(l, LEDGER_SINK_REQUIRED, 2, (const int64_t[]){ *sink, required }, e);
	if (rc >= 0 && retired)
		rc = ledger_run(l, LEDGER_SINK_START, 1, sink, e);
	return rc < 0 ? -1 : 0;
}

int
ledger_sink(struct ledger *l, const char *name, bool required, int64_t *sink, struct err *e)
{
	if (strlen(name) >= LEDGER_SINK_MAX)
		return err_set(e, "sink %s: the name is too long", name);
	if (ledger_save(l, e) < 0)
		return -1;
	return ledger_release(l, start_sink(l, name, required, sink, e), e);
}

static int
retire(struct ledger *l, const char *name, struct err *e)
{
	bool required, retired;
	int64_t id;
	int rc = find_sink(l, name, &id, &required, &retired, e);

	if (rc <= 0 || retired)
		return rc < 0 ? -1 : 0;
	rc = ledger_run(l, LEDGER_SINK_RETIRE, 1, &id, e);
	return rc < 0 ? -1 : ledger_run(l, LEDGER_SINK_FORGET, 1, &id, e);
}

int
ledger_retire(struct ledger *l, const char *name, struct err *e)
{
	if (ledger_save(l, e) < 0)
		return -1;
	return ledger_release(l, retire(l, name, e), e);
}

int
ledger_tried(struct ledger *l, int64_t sink, const struct ledger_try *t, struct err *e)
{
	if (t->status != NULL)
		sqlite3_bind_text(l->stmt[LEDGER_SINK_TRIED], 7, t->status, -1, SQLITE_STATIC);
	return ledger_run(l, LEDGER_SINK_TRIED, 6,
	    (const int64_t[]){
		sink, (int64_t)t->sent, (int64_t)t->retried, (int64_t)t->bytes, t->at_s, t->good },
	    e);
}

void
ledger_read_counts(sqlite3_stmt *st, struct ledger_counts *out)
{
	int i = 0;

	out->id = sqlite3_column_int64(st, i++);
	ledger_text(st, i++, out->name, sizeof(out->name));
	out->required = sqlite3_column_int(st, i++) != 0;
	out->retired = sqlite3_column_int(st, i++) != 0;
	out->made = (uint64_t)sqlite3_column_int64(st, i++);
	for (size_t f = 0; f < LEDGER_FATES; f++)
		out->fate[f] = (uint64_t)sqlite3_column_int64(st, i++);
	out->segments = (uint64_t)sqlite3_column_int64(st, i++);
	out->sent = (uint64_t)sqlite3_column_int64(st, i++);
	out->retried = (uint64_t)sqlite3_column_int64(st, i++);
	out->bytes = (uint64_t)sqlite3_column_int64(st, i++);
	ledger_text(st, i++, out->status, sizeof(out->status));
	out->tried_s = sqlite3_column_int64(st, i++);
	out->success_s = sqlite3_column_int64(st, i++);
}

int
ledger_sinks(struct ledger *l, struct ledger_counts **out, size_t *n, struct err *e)
{
	size_t room = 0;
	int rc;

	*out = NULL;
	*n = 0;
	while ((rc = ledger_step(l, LEDGER_SINK_LIST, e)) > 0) {
		*out = xgrow(*out, *n, &room, sizeof(**out));
		ledger_read_counts(l->stmt[LEDGER_SINK_LIST], &(*out)[(*n)++]);
	}
	ledger_reset(l, LEDGER_SINK_LIST);
	if (rc < 0) {
		free(*out);
		*out = NULL;
	}
	return rc;
}

int
ledger_counts(struct ledger *l, int64_t sink, struct ledger_counts *out, struct err *e)
{
	int rc;

	ledger_bind(l, LEDGER_SINK_GET, 1, &sink);
	rc = ledger_step(l, LEDGER_SINK_GET, e);
	if (rc > 0)
		ledger_read_counts(l->stmt[LEDGER_SINK_GET], out);
	ledger_reset(l, LEDGER_SINK_GET);
	if (rc == 0)
		return err_set(e, "%s/" LEDGER_NAME ": no sink %lld", l->dir, (long long)sink);
	return rc < 0 ? -1 : 0;
}

int
ledger_recount(struct ledger *l, int64_t sink, enum ledger_fate from, enum ledger_fate to,
    uint64_t n, struct err *e)
{
	int64_t v[] = { sink, 0, 0, 0, 0, 0 };

	v[1 + from] -= (int64_t)n;
	v[1 + to] += (int64_t)n;
	return ledger_run(l, LEDGER_SINK_COUNT, COUNT(v), v, e);
}

int
ledger_archive(struct ledger *l, int64_t sink, struct ledger_archive *out, struct err *e)
{
	sqlite3_stmt *st = ledger_bind(l, LEDGER_ARCHIVE, 1, &sink);
	int rc = ledger_step(l, LEDGER_ARCHIVE, e);

	if (rc > 0) {
		ledger_text(st, 0, out->name, sizeof(out->name));
		out->offset = (uint64_t)sqlite3_column_int64(st, 1);
		out->began_s = sqlite3_column_int64(st, 2);
	}
	ledger_reset(l, LEDGER_ARCHIVE);
	return rc;
}

int
ledger_set_archive(struct ledger *l, int64_t sink, const struct ledger_archive *a, struct err *e)
{
	sqlite3_bind_text(l->stmt[LEDGER_SET_ARCHIVE], 4, a->name, -1, SQLITE_STATIC);
	return ledger_run(
	    l, LEDGER_SET_ARCHIVE, 3, (const int64_t[]){ sink, (int64_t)a->offset, a->began_s }, e);
}
