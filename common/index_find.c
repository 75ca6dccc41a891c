#include "common/index_private.h"

/* The row that a step of `st` gave, copied, since the statement is reset. */
int
index_take_row(struct index *ix, sqlite3_stmt *st, struct index_message *out, struct err *e)
{
	int rc = sqlite3_step(st);

	if (rc == SQLITE_ROW) {
		*out = (struct index_message){ .id = sqlite3_column_int64(st, 0),
			.received_s = sqlite3_column_int64(st, 1),
			.tries = (unsigned)sqlite3_column_int64(st, 2),
			.last_us = sqlite3_column_int64(st, 3),
			.last_line = sqlite3_column_int64(st, 4) };
		buf_clear(&ix->reply);
		buf_add(&ix->reply, (struct slice){ sqlite3_column_blob(st, 5),
					(size_t)sqlite3_column_bytes(st, 5) });
		buf_clear(&ix->facts);
		buf_add(&ix->facts, (struct slice){ sqlite3_column_blob(st, 6),
					(size_t)sqlite3_column_bytes(st, 6) });
		out->last_reply = buf_slice(&ix->reply);
		buf_clear(&ix->under);
		if (sqlite3_column_count(st) > 7)
			buf_add(&ix->under, (struct slice){ sqlite3_column_blob(st, 7),
						(size_t)sqlite3_column_bytes(st, 7) });
		out->under = buf_slice(&ix->under);
		index_unpack(buf_slice(&ix->facts), &out->facts);
		out->facts.message_id = slice_str(ids_text(index_id_of(out->id), ix->id));
		if (out->received_s == 0)
			out->received_s = out->facts.timestamp;
		rc = 1;
	} else {
		rc = rc == SQLITE_DONE ? 0 : index_fail(ix, e);
	}
	sqlite3_reset(st);
	return rc;
}

static int
find_one(struct index *ix, struct slice queue_id, int64_t rcpt, int64_t after, int64_t until_s,
    struct index_message *out, struct err *e)
{
	index_bind_text(ix->stmt[FIND], 1, queue_id);
	sqlite3_bind_int64(ix->stmt[FIND], 2, rcpt);
	sqlite3_bind_int64(ix->stmt[FIND], 3, after);
	sqlite3_bind_int64(ix->stmt[FIND], 4, until_s);
	return index_take_row(ix, ix->stmt[FIND], out, e);
}

int
index_find(struct index *ix, struct slice queue_id, struct slice rcpt, int64_t after,
    int64_t until_s, struct index_message *out, struct err *e)
{
	int rc;

	if (!index_filter_asks(ix, queue_id, until_s))
		return 0;
	if (rcpt.len > 0) {
		rc = find_one(ix, queue_id, index_rcpt_key(rcpt), after, until_s, out, e);
		if (rc == 0 && ix->has_hashed)
			rc = find_one(ix, queue_id, index_hashed_key(rcpt), after, until_s, out, e);
		return rc;
	}
	index_bind_text(ix->stmt[FIND_ALL], 1, queue_id);
	sqlite3_bind_int64(ix->stmt[FIND_ALL], 2, after);
	sqlite3_bind_int64(ix->stmt[FIND_ALL], 3, until_s);
	return index_take_row(ix, ix->stmt[FIND_ALL], out, e);
}

int
index_get(struct index *ix, struct slice message_id, struct index_message *out, struct err *e)
{
	struct message_id id;

	if (!ids_parse(message_id, &id))
		return 0;
	sqlite3_bind_int64(ix->stmt[GET], 1, index_id_number(id));
	return index_take_row(ix, ix->stmt[GET], out, e);
}

/* Is it really its name, and not only one with the same hash? */
static bool
has_name(const struct event *ev, enum index_name what, struct slice name)
{
	switch (what) {
	case INDEX_MESSAGE_ID:
		return slice_eq(ev->header_message_id, name);
	case INDEX_ENVID:
		return slice_eq(ev->envid, name);
	case INDEX_RCPT:
		return slice_eqi(ev->rcpt_to, name) || slice_eqi(ev->rcpt_hash, name);
	}
	return false;
}

/* The next older one that has this name. */
static int
named(struct index *ix, enum index_name what, struct slice name, const int64_t *rcpt,
    int64_t before, struct index_message *out, struct err *e)
{
	enum index_statement which = rcpt == NULL ? NAMED : NAMED_RCPT;
	int rc;

	do {
		sqlite3_bind_int64(ix->stmt[which], 1, index_name_key(what, name));
		sqlite3_bind_int64(ix->stmt[which], 2, before);
		if (rcpt != NULL)
			sqlite3_bind_int64(ix->stmt[which], 3, *rcpt);
		rc = index_take_row(ix, ix->stmt[which], out, e);
		if (rc > 0)
			before = out->id;
	} while (rc > 0 && !has_name(&out->facts, what, name));
	return rc;
}

static int
named_as(struct index *ix, enum index_name what, struct slice name, const int64_t *rcpt,
    struct index_message *out, bool *several, struct err *e)
{
	struct index_message other;
	int64_t latest;
	int rc = named(ix, what, name, rcpt, INT64_MAX, out, e);

	*several = false;
	if (rc <= 0)
		return rc;
	latest = out->id;
	rc = named(ix, what, name, rcpt, latest, &other, e);
	if (rc < 0)
		return -1;
	*several = rc > 0;
	/* The facts of one message are kept: it has to be read again. */
	return named(ix, what, name, rcpt, INT64_MAX, out, e);
}

int
index_named(struct index *ix, enum index_name what, struct slice name, struct slice rcpt,
    struct index_message *out, bool *several, struct err *e)
{
	char hex[2 * HASH_SHA1_SIZE + 1];
	int64_t key;
	int rc;

	*several = false;
	if (name.len == 0)
		return 0;
	if (rcpt.len == 0 && what != INDEX_RCPT)
		return named_as(ix, what, name, NULL, out, several, e);
	if (what == INDEX_RCPT)
		rcpt = name;
	key = index_rcpt_key(rcpt);
	rc = named_as(ix, what, name, &key, out, several, e);
	if (rc != 0 || !ix->has_hashed)
		return rc;
	rcpt = slice_str(index_rcpt_hash(rcpt, hex));
	key = index_rcpt_key(rcpt);
	return named_as(ix, what, what == INDEX_RCPT ? rcpt : name, &key, out, several, e);
}

static int
among(struct index *ix, struct slice rcpt, int64_t first, int64_t last, struct index_message *out,
    struct err *e)
{
	sqlite3_bind_int64(ix->stmt[AMONG], 1, index_name_key(INDEX_RCPT, rcpt));
	sqlite3_bind_int64(ix->stmt[AMONG], 2, index_rcpt_key(rcpt));
	sqlite3_bind_int64(ix->stmt[AMONG], 3, first);
	sqlite3_bind_int64(ix->stmt[AMONG], 4, last);
	return index_take_row(ix, ix->stmt[AMONG], out, e);
}

int
index_among(struct index *ix, struct slice first, unsigned count, struct slice rcpt,
    struct index_message *out, struct err *e)
{
	char hex[2 * HASH_SHA1_SIZE + 1];
	struct message_id id;
	int64_t from, to;
	int rc;

	if (!ids_parse(first, &id) || count == 0 || rcpt.len == 0)
		return 0;
	from = index_id_number(id);
	to = index_id_number(ids_nth(id, count - 1));
	rc = among(ix, rcpt, from, to, out, e);
	if (rc == 0 && ix->has_hashed)
		rc = among(ix, slice_str(index_rcpt_hash(rcpt, hex)), from, to, out, e);
	return rc;
}

int
index_overdue(
    struct index *ix, int64_t received_s, int64_t freed_s, struct index_message *out, struct err *e)
{
	int rc;

	sqlite3_bind_int64(ix->stmt[OVERDUE_FREED], 1, freed_s);
	rc = index_take_row(ix, ix->stmt[OVERDUE_FREED], out, e);
	if (rc != 0)
		return rc;
	sqlite3_bind_int64(ix->stmt[OVERDUE], 1, received_s);
	return index_take_row(ix, ix->stmt[OVERDUE], out, e);
}
