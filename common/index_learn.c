#include "common/index_private.h"

static int
add_name(struct index *ix, enum index_name what, struct slice name, int64_t rcpt, int64_t id,
    struct err *e)
{
	if (name.len == 0)
		return 0;
	sqlite3_bind_int64(ix->stmt[NAME], 1, index_name_key(what, name));
	sqlite3_bind_int64(ix->stmt[NAME], 2, rcpt);
	sqlite3_bind_int64(ix->stmt[NAME], 3, id);
	return index_done(ix, NAME, e);
}

static int
add_names(struct index *ix, const struct event *ev, int64_t id, struct err *e)
{
	struct slice rcpt = ev->rcpt_to.len > 0 ? ev->rcpt_to : ev->rcpt_hash;
	int64_t key = index_key_of(ev);

	if (add_name(ix, INDEX_MESSAGE_ID, ev->header_message_id, key, id, e) < 0 ||
	    add_name(ix, INDEX_ENVID, ev->envid, key, id, e) < 0)
		return -1;
	return add_name(ix, INDEX_RCPT, rcpt, key, id, e);
}

static int
wait_for_fate(struct index *ix, const struct event *ev, int64_t id, struct err *e)
{
	index_bind_text(ix->stmt[WAIT], 1, ev->queue_id);
	sqlite3_bind_int64(ix->stmt[WAIT], 2, index_key_of(ev));
	sqlite3_bind_int64(ix->stmt[WAIT], 3, id);
	sqlite3_bind_int64(ix->stmt[WAIT], 4, ev->timestamp);
	if (index_done(ix, WAIT, e) < 0)
		return -1;
	index_filter_add(ix, ev->queue_id, ev->timestamp);
	return 0;
}

int
index_learn(struct index *ix, const struct event *ev, struct err *e)
{
	struct message_id id;
	int64_t n;

	if (ev->queue_id.len == 0 || !ids_parse(ev->message_id, &id))
		return 0;
	n = index_id_number(id);
	index_pack(ev, &ix->packed);
	sqlite3_bind_int64(ix->stmt[LEARN], 1, n);
	index_bind_blob(ix->stmt[LEARN], 2, buf_slice(&ix->packed));
	if (index_done(ix, LEARN, e) < 0)
		return -1;
	if (sqlite3_changes(ix->db) == 0)
		return 0;
	if ((!ix->no_log && wait_for_fate(ix, ev, n, e) < 0) ||
	    (!ix->no_reports && add_names(ix, ev, n, e) < 0))
		return -1;
	if (ev->rcpt_hash.len > 0 && !ix->has_hashed) {
		ix->has_hashed = true;
		return index_state_set(ix, "hashed", SLICE_LIT("1"), e) < 0 ? -1 : 1;
	}
	return 1;
}
