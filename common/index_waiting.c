#include "common/index_private.h"

#define REPLY_MAX 1000 /* bytes of a reply that is kept for the time when the queue gives up */

static struct index_slot *
filter_of(const struct index *ix, struct slice queue_id)
{
	uint64_t h = hash_fnv1a(queue_id);

	return &ix->filter[(h ^ h >> 32) % INDEX_FILTER_SIZE];
}

void
index_filter_add(struct index *ix, struct slice queue_id, int64_t received_s)
{
	struct index_slot *slot = filter_of(ix, queue_id);

	if (slot->n == 0 || received_s < slot->oldest_s)
		slot->oldest_s = received_s;
	slot->n++;
}

static void
filter_remove(struct index *ix, struct slice queue_id)
{
	struct index_slot *slot = filter_of(ix, queue_id);

	if (slot->n > 0)
		slot->n--;
}

/* May somebody wait under it who was received until then? */
bool
index_filter_asks(const struct index *ix, struct slice queue_id, int64_t until_s)
{
	const struct index_slot *slot = filter_of(ix, queue_id);

	return slot->n > 0 && slot->oldest_s <= until_s;
}

int
index_filter_load(struct index *ix, struct err *e)
{
	sqlite3_stmt *st = NULL;
	int rc;

	memset(ix->filter, 0, INDEX_FILTER_SIZE * sizeof(*ix->filter));
	if (sqlite3_prepare_v2(ix->db, "SELECT queue_id, received FROM waiting", -1, &st, NULL) !=
	    SQLITE_OK)
		return index_fail(ix, e);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW)
		index_filter_add(ix,
		    (struct slice){
			sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0) },
		    sqlite3_column_int64(st, 1));
	rc = rc == SQLITE_DONE ? 0 : index_fail(ix, e);
	sqlite3_finalize(st);
	return rc;
}

int
index_freed(struct index *ix, struct slice queue_id, int64_t until_s, int64_t now_s, struct err *e)
{
	if (!index_filter_asks(ix, queue_id, until_s))
		return 0;
	index_bind_text(ix->stmt[FREED], 1, queue_id);
	sqlite3_bind_int64(ix->stmt[FREED], 2, until_s);
	sqlite3_bind_int64(ix->stmt[FREED], 3, now_s);
	return index_done(ix, FREED, e);
}

static void
bind_waiting(const struct index *ix, enum index_statement which, const struct index_message *m)
{
	index_bind_text(ix->stmt[which], 1, m->under);
	sqlite3_bind_int64(ix->stmt[which], 2, index_key_of(&m->facts));
	sqlite3_bind_int64(ix->stmt[which], 3, m->id);
}

int
index_failed(struct index *ix, const struct index_message *m, int64_t at_us, int64_t line,
    struct slice reply, struct err *e)
{
	bind_waiting(ix, FAILED, m);
	sqlite3_bind_int64(ix->stmt[FAILED], 4, at_us);
	sqlite3_bind_int64(ix->stmt[FAILED], 5, line);
	index_bind_blob(ix->stmt[FAILED], 6, slice_head(reply, REPLY_MAX));
	return index_done(ix, FAILED, e);
}

int
index_settle(struct index *ix, const struct index_message *m, struct err *e)
{
	bind_waiting(ix, SETTLE, m);
	if (index_done(ix, SETTLE, e) < 0)
		return -1;
	if (sqlite3_changes(ix->db) > 0)
		filter_remove(ix, m->under);
	return 0;
}

int
index_move(struct index *ix, const struct index_message *m, struct slice queue_id, struct err *e)
{
	bind_waiting(ix, MOVE, m);
	index_bind_text(ix->stmt[MOVE], 4, queue_id);
	if (index_done(ix, MOVE, e) < 0)
		return -1;
	if (sqlite3_changes(ix->db) > 0) {
		filter_remove(ix, m->under);
		index_filter_add(ix, queue_id, m->received_s);
	}
	return 0;
}

int
index_give_up(struct index *ix, const struct index_message *m, int64_t now_s, struct err *e)
{
	sqlite3_bind_int64(ix->stmt[GIVE_UP], 1, m->id);
	sqlite3_bind_int64(ix->stmt[GIVE_UP], 2, now_s);
	return index_done(ix, GIVE_UP, e) < 0 ? -1 : index_settle(ix, m, e);
}
