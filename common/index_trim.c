#include "common/index_private.h"

#define TRIM_STEP 2000 /* rows at once */

int
index_pending(struct index *ix, struct index_counts *out, struct err *e)
{
	int64_t pages, unused, size;

	out->messages = 0;
	if (index_number(ix, "SELECT count(*) FROM waiting", &out->waiting, e) < 0 ||
	    index_number(ix, "SELECT count(*) FROM unknown", &out->unknown, e) < 0 ||
	    index_number(ix, "SELECT ifnull(min(received), 0) FROM waiting", &out->oldest_waiting_s,
		e) < 0 ||
	    index_number(ix, "PRAGMA page_count", &pages, e) < 0 ||
	    index_number(ix, "PRAGMA freelist_count", &unused, e) < 0 ||
	    index_number(ix, "PRAGMA page_size", &size, e) < 0)
		return -1;
	out->bytes = (pages - unused) * size;
	return 0;
}

int
index_count(struct index *ix, struct index_counts *out, struct err *e)
{
	return index_pending(ix, out, e) < 0
	           ? -1
	           : index_number(ix, "SELECT count(*) FROM message", &out->messages, e);
}

int
index_unknown(struct index *ix, size_t limit,
    void (*each)(void *arg, const struct index_message *m, int64_t at_s), void *arg, struct err *e)
{
	static const char query[] = "SELECT m.id, 0, 0, 0, 0, NULL, m.facts, u.at FROM unknown u"
				    " JOIN message m ON m.id = u.id ORDER BY u.at DESC, u.id DESC"
				    " LIMIT ?";
	struct index_message m;
	sqlite3_stmt *st = NULL;
	int rc;

	if (sqlite3_prepare_v2(ix->db, query, -1, &st, NULL) != SQLITE_OK)
		return index_fail(ix, e);
	sqlite3_bind_int64(st, 1, (int64_t)limit);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		m = (struct index_message){ .id = sqlite3_column_int64(st, 0) };
		index_unpack((struct slice){ sqlite3_column_blob(st, 6),
				 (size_t)sqlite3_column_bytes(st, 6) },
		    &m.facts);
		m.facts.message_id = slice_str(ids_text(index_id_of(m.id), ix->id));
		m.received_s = m.facts.timestamp;
		each(arg, &m, sqlite3_column_int64(st, 7));
	}
	rc = rc == SQLITE_DONE ? 0 : index_fail(ix, e);
	sqlite3_finalize(st);
	return rc;
}

/* Delete the oldest, up to the number `last` if that is not reached before. */
static int
trim(struct index *ix, int64_t last, struct err *e)
{
	char sql[400];
	int changes;

	sqlite3_snprintf(sizeof(sql), sql,
	    "DELETE FROM message WHERE id IN (SELECT id FROM message WHERE id < %lld"
	    " ORDER BY id LIMIT %d)",
	    (long long)last, TRIM_STEP);
	if (index_run(ix, sql, e) < 0)
		return -1;
	changes = sqlite3_changes(ix->db);
	if (changes == 0)
		return 0;
	/* Nobody can be found without facts. */
	if (index_run(ix,
		"DELETE FROM waiting WHERE id < (SELECT ifnull(min(id), 0) FROM message);"
		"DELETE FROM unknown WHERE id < (SELECT ifnull(min(id), 0) FROM message);"
		"DELETE FROM name WHERE id < (SELECT ifnull(min(id), 0) FROM message)",
		e) < 0 ||
	    index_filter_load(ix, e) < 0)
		return -1;
	return 1;
}

int
index_trim(struct index *ix, int64_t before_s, int64_t max_bytes, struct err *e)
{
	int64_t pages, unused, size;
	int rc = 0;

	if (before_s > 0)
		rc = trim(ix, index_id_number((struct message_id){ (uint32_t)before_s, 0 }), e);
	if (rc != 0)
		return rc;
	if (index_number(ix, "PRAGMA page_count", &pages, e) < 0 ||
	    index_number(ix, "PRAGMA freelist_count", &unused, e) < 0 ||
	    index_number(ix, "PRAGMA page_size", &size, e) < 0)
		return -1;
	return (pages - unused) * size > max_bytes ? trim(ix, INT64_MAX, e) : 0;
}
