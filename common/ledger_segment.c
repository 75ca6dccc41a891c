/*
 * ledger_segment.c - segments and how far each sink has got in them.
 */
#include <stdio.h>

#include "common/ledger_private.h"

static void
bind_name(struct ledger *l, enum ledger_statement which, int i, const char *name)
{
	sqlite3_bind_text(l->stmt[which], i, name, -1, SQLITE_STATIC);
}

/* 1, 0, -1 */
static int
id_of(struct ledger *l, const char *name, int64_t *id, struct err *e)
{
	int rc;

	bind_name(l, LEDGER_KNOWN, 1, name);
	rc = ledger_step(l, LEDGER_KNOWN, e);
	if (rc > 0)
		*id = sqlite3_column_int64(l->stmt[LEDGER_KNOWN], 0);
	ledger_reset(l, LEDGER_KNOWN);
	return rc;
}

/* The row that is asked for: 1, 0, -1. */
static int
read_segment(
    struct ledger *l, enum ledger_statement which, struct ledger_segment *out, struct err *e)
{
	sqlite3_stmt *st = l->stmt[which];
	int rc = ledger_step(l, which, e);

	if (rc > 0) {
		out->id = sqlite3_column_int64(st, 0);
		ledger_text(st, 1, out->name, sizeof(out->name));
		out->events = (uint64_t)sqlite3_column_int64(st, 2);
		out->bytes = (uint64_t)sqlite3_column_int64(st, 3);
		out->oldest_s = sqlite3_column_int64(st, 4);
		out->gone = sqlite3_column_int(st, 5) != 0;
		out->offset = (uint64_t)sqlite3_column_int64(st, 6);
		out->taken = (uint64_t)sqlite3_column_int64(st, 7);
		out->done = sqlite3_column_int(st, 8) != 0;
	}
	ledger_reset(l, which);
	return rc;
}

int
ledger_known(struct ledger *l, const char *segment, struct err *e)
{
	int64_t id;

	return id_of(l, segment, &id, e);
}

int
ledger_find(
    struct ledger *l, int64_t sink, const char *segment, struct ledger_segment *out, struct err *e)
{
	ledger_bind(l, LEDGER_FIND, 1, &sink);
	bind_name(l, LEDGER_FIND, 2, segment);
	return read_segment(l, LEDGER_FIND, out, e);
}

int
ledger_next(
    struct ledger *l, int64_t sink, int64_t after, struct ledger_segment *out, struct err *e)
{
	ledger_bind(l, LEDGER_NEXT, 2, (const int64_t[]){ sink, after });
	return read_segment(l, LEDGER_NEXT, out, e);
}

int
ledger_gone(struct ledger *l, int64_t after, struct ledger_segment *out, struct err *e)
{
	ledger_bind(l, LEDGER_NEXT_GONE, 1, &after);
	return read_segment(l, LEDGER_NEXT_GONE, out, e);
}

static int
enter(struct ledger *l, const char *segment, uint64_t events, uint64_t bytes, int64_t oldest_s,
    struct err *e)
{
	sqlite3_stmt *st = l->stmt[LEDGER_ENTER];

	bind_name(l, LEDGER_ENTER, 1, segment);
	sqlite3_bind_int64(st, 2, (int64_t)events);
	sqlite3_bind_int64(st, 3, (int64_t)bytes);
	sqlite3_bind_int64(st, 4, oldest_s);
	if (ledger_run(l, LEDGER_ENTER, 0, NULL, e) < 0)
		return -1;
	if (sqlite3_changes(l->db) == 0)
		return 0;
	return ledger_run(l, LEDGER_SINK_MADE, 2, (const int64_t[]){ (int64_t)events, 1 }, e) < 0
	           ? -1
	           : 1;
}

int
ledger_enter(struct ledger *l, const char *segment, uint64_t events, uint64_t bytes,
    int64_t oldest_s, struct err *e)
{
	if (strlen(segment) >= SPOOL_NAME_SIZE)
		return err_set(e, "%s: no segment's name", segment);
	if (ledger_save(l, e) < 0)
		return -1;
	return ledger_release(l, enter(l, segment, events, bytes, oldest_s, e), e);
}

/* More of it than was known; who is done already is so no longer. */
static int
grow(struct ledger *l, int64_t id, uint64_t events, uint64_t bytes, struct err *e)
{
	if (ledger_run(l, LEDGER_GREW, 3, (const int64_t[]){ id, (int64_t)events, (int64_t)bytes },
		e) < 0 ||
	    ledger_run(l, LEDGER_REOPEN_COUNT, 1, &id, e) < 0 ||
	    ledger_run(l, LEDGER_REOPEN, 1, &id, e) < 0)
		return -1;
	return ledger_run(l, LEDGER_SINK_MADE, 2, (const int64_t[]){ (int64_t)events, 0 }, e);
}

int
ledger_grew(struct ledger *l, const char *segment, uint64_t events, uint64_t bytes, struct err *e)
{
	int64_t id;
	int rc = id_of(l, segment, &id, e);

	if (rc <= 0)
		return rc;
	if (ledger_save(l, e) < 0)
		return -1;
	return ledger_release(l, grow(l, id, events, bytes, e), e);
}

/* Nobody is waited for any longer: what is left somewhere counts as purged. */
static int
drop(struct ledger *l, int64_t id, struct err *e)
{
	if (ledger_run(l, LEDGER_DROP_COUNT, 1, &id, e) < 0)
		return -1;
	return ledger_run(l, LEDGER_DROP, 1, &id, e);
}

static int
drop_if_done(struct ledger *l, int64_t id, struct err *e)
{
	int needed;

	ledger_bind(l, LEDGER_IS_NEEDED, 1, &id);
	needed = ledger_step(l, LEDGER_IS_NEEDED, e);
	ledger_reset(l, LEDGER_IS_NEEDED);
	if (needed != 0)
		return needed < 0 ? -1 : 0;
	return drop(l, id, e) < 0 ? -1 : 1;
}

static int
advance(struct ledger *l, int64_t sink, const struct ledger_segment *s, uint64_t offset, bool done,
    const uint64_t fates[LEDGER_FATES], struct err *e)
{
	int64_t v[2 + LEDGER_FATES] = { sink };
	struct ledger_counts counts;
	uint64_t taken = s->taken;

	for (size_t i = 0; i < LEDGER_FATES; i++) {
		v[1 + i] = (int64_t)fates[i];
		taken += fates[i];
	}
	v[1 + LEDGER_FATES] = done;
	if (taken > s->events && grow(l, s->id, taken - s->events, 0, e) < 0)
		return -1;
	if (done && taken < s->events)
		return err_set(e, "%s: %llu of its %llu events are not there", s->name,
		    (unsigned long long)(s->events - taken), (unsigned long long)s->events);
	if (ledger_run(l, LEDGER_CURSOR, 5,
		(const int64_t[]){ s->id, sink, (int64_t)offset, (int64_t)taken, done }, e) < 0 ||
	    ledger_run(l, LEDGER_SINK_COUNT, COUNT(v), v, e) < 0)
		return -1;
	if (!done)
		return 0;
	if (ledger_counts(l, sink, &counts, e) < 0)
		return -1;
	return counts.required ? drop_if_done(l, s->id, e) : 0;
}

int
ledger_advance(struct ledger *l, int64_t sink, const char *segment, uint64_t offset, bool done,
    const uint64_t fates[LEDGER_FATES], struct err *e)
{
	struct ledger_segment s;
	int rc = ledger_find(l, sink, segment, &s, e);

	if (rc < 0)
		return -1;
	/* It was purged while it was on its way, or somebody else was quicker. */
	if (rc == 0 || s.gone || s.done)
		return 0;
	if (offset < s.offset)
		return err_set(e, "%s: the cursor can't go back from %llu to %llu", segment,
		    (unsigned long long)s.offset, (unsigned long long)offset);
	if (ledger_save(l, e) < 0)
		return -1;
	return ledger_release(l, advance(l, sink, &s, offset, done, fates, e), e);
}

int
ledger_purge(struct ledger *l, const char *segment, uint64_t *events, struct err *e)
{
	struct ledger_segment s;
	int rc = ledger_find(l, 0, segment, &s, e);

	if (rc <= 0 || s.gone)
		return rc < 0 ? -1 : 0;
	ledger_bind(l, LEDGER_MOST_LEFT, 1, &s.id);
	rc = ledger_step(l, LEDGER_MOST_LEFT, e);
	if (rc > 0 && events != NULL)
		*events = (uint64_t)sqlite3_column_int64(l->stmt[LEDGER_MOST_LEFT], 0);
	ledger_reset(l, LEDGER_MOST_LEFT);
	if (rc < 0 || ledger_save(l, e) < 0)
		return -1;
	return ledger_release(l, drop(l, s.id, e), e) < 0 ? -1 : 1;
}

static int
forget(struct ledger *l, int64_t id, struct err *e)
{
	if (ledger_run(l, LEDGER_FORGET_CURSORS, 1, &id, e) < 0)
		return -1;
	return ledger_run(l, LEDGER_FORGET, 1, &id, e);
}

int
ledger_forget(struct ledger *l, const char *segment, struct err *e)
{
	struct ledger_segment s;
	int rc = ledger_find(l, 0, segment, &s, e);

	if (rc <= 0)
		return rc;
	if (!s.gone)
		return err_set(e, "%s: it is still needed", segment);
	if (ledger_save(l, e) < 0)
		return -1;
	return ledger_release(l, forget(l, s.id, e), e);
}

static int
settle(struct ledger *l, struct err *e)
{
	int64_t id = 0;
	int rc;

	for (;;) {
		ledger_bind(l, LEDGER_SETTLED, 1, &id);
		rc = ledger_step(l, LEDGER_SETTLED, e);
		if (rc > 0)
			id = sqlite3_column_int64(l->stmt[LEDGER_SETTLED], 0);
		ledger_reset(l, LEDGER_SETTLED);
		if (rc <= 0)
			return rc;
		if (drop(l, id, e) < 0)
			return -1;
	}
}

int
ledger_settle(struct ledger *l, struct err *e)
{
	if (ledger_save(l, e) < 0)
		return -1;
	return ledger_release(l, settle(l, e), e);
}

int
ledger_oldest(struct ledger *l, int64_t sink, int64_t *oldest_s, struct err *e)
{
	enum ledger_statement which = sink == 0 ? LEDGER_OLDEST : LEDGER_OLDEST_OF;
	int rc;

	ledger_bind(l, which, sink == 0 ? 0 : 1, &sink);
	rc = ledger_step(l, which, e);
	if (rc > 0)
		*oldest_s = sqlite3_column_int64(l->stmt[which], 0);
	ledger_reset(l, which);
	return rc;
}
