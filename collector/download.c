#include "collector/download.h"

#include <json-c/json.h>
#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

#include "common/buf.h"
#include "common/xalloc.h"

#define CHUNK     (256 * 1024) /* of plain text from one query */
#define GZIP_ONLY 16           /* zlib's way to say: gzip header and trailer */

struct download {
	struct store *store;
	enum download_kind kind;
	int64_t batch;   /* failures: of this batch */
	int64_t at, end; /* the last row that was read, and the last there is */
	bool all_read;
	struct buf plain;
	z_stream z;
};

/* clang-format off: a table is read by column */
static const struct {
	const char *find, *rows;
} queries[] = {
	[DOWNLOAD_EVENTS] = {
		"SELECT id, coalesce(first_seq, 1) - 1, coalesce(last_seq, 0) FROM batch WHERE uuid = ?",
		"SELECT seq, line FROM event WHERE seq > ?1 AND seq <= ?2 ORDER BY seq",
	},
	[DOWNLOAD_FAILURES] = {
		"SELECT id, 0, 9223372036854775807 FROM batch WHERE uuid = ?",
		"SELECT number, text, reason FROM failure"
		" WHERE batch = ?3 AND number > ?1 AND number <= ?2 ORDER BY number",
	},
};
/* clang-format on */

static int
find_batch(struct download *d, sqlite3 *db, struct slice uuid, struct err *e)
{
	sqlite3_stmt *st = NULL;
	int rc = 0;

	if (sqlite3_prepare_v2(db, queries[d->kind].find, -1, &st, NULL) != SQLITE_OK)
		return err_set(e, "database: %s", sqlite3_errmsg(db));
	sqlite3_bind_text64(st, 1, uuid.p, uuid.len, SQLITE_STATIC, SQLITE_UTF8);
	switch (sqlite3_step(st)) {
	case SQLITE_ROW:
		d->batch = sqlite3_column_int64(st, 0);
		d->at = sqlite3_column_int64(st, 1);
		d->end = sqlite3_column_int64(st, 2);
		rc = 1;
		break;
	case SQLITE_DONE:
		break;
	default:
		rc = err_set(e, "database: %s", sqlite3_errmsg(db));
	}
	sqlite3_finalize(st);
	return rc;
}

int
download_open(struct store *s, enum download_kind kind, struct slice uuid, struct download **out,
    struct err *e)
{
	struct download *d;
	sqlite3 *db;
	int rc;

	*out = NULL;
	db = store_reader(s, e);
	if (db == NULL)
		return -1;
	d = xcalloc(1, sizeof(*d));
	d->store = s;
	d->kind = kind;
	buf_init(&d->plain, BUF_NO_LIMIT);
	if (deflateInit2(&d->z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, MAX_WBITS + GZIP_ONLY, 8,
		Z_DEFAULT_STRATEGY) != Z_OK)
		abort(); /* no memory */
	rc = find_batch(d, db, uuid, e);
	store_reader_done(s, db);
	if (rc == 1)
		*out = d;
	else
		download_close(d);
	return rc;
}

static struct slice
column(sqlite3_stmt *st, int i)
{
	const char *p = (const char *)sqlite3_column_text(st, i);

	return (struct slice){ p, (size_t)sqlite3_column_bytes(st, i) };
}

static struct json_object *
json_text(struct slice s)
{
	return json_object_new_string_len(s.p != NULL ? s.p : "", (int)s.len);
}

static void
add_failure(struct buf *out, sqlite3_stmt *st)
{
	struct json_object *o = json_object_new_object();
	size_t len;
	const char *text;

	json_object_object_add(o, "line", json_object_new_int64(sqlite3_column_int64(st, 0)));
	json_object_object_add(o, "reason", json_text(column(st, 2)));
	json_object_object_add(o, "event", json_text(column(st, 1)));
	text = json_object_to_json_string_length(
	    o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
	buf_add(out, (struct slice){ text, len });
	json_object_put(o);
}

static int
read_rows(struct download *d, sqlite3 *db, struct err *e)
{
	sqlite3_stmt *st = NULL;
	int rc;

	if (sqlite3_prepare_v2(db, queries[d->kind].rows, -1, &st, NULL) != SQLITE_OK)
		return err_set(e, "database: %s", sqlite3_errmsg(db));
	sqlite3_bind_int64(st, 1, d->at);
	sqlite3_bind_int64(st, 2, d->end);
	sqlite3_bind_int64(st, 3, d->batch); /* events need none: refused, and no harm */
	while ((rc = sqlite3_step(st)) == SQLITE_ROW && d->plain.len < CHUNK) {
		d->at = sqlite3_column_int64(st, 0);
		if (d->kind == DOWNLOAD_FAILURES)
			add_failure(&d->plain, st);
		else
			buf_add(&d->plain, column(st, 1));
		buf_addc(&d->plain, '\n');
	}
	d->all_read = rc == SQLITE_DONE;
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		rc = err_set(e, "database: %s", sqlite3_errmsg(db));
	else
		rc = 0;
	sqlite3_finalize(st);
	return rc;
}

static int
refill(struct download *d, struct err *e)
{
	sqlite3 *db = store_reader(d->store, e);
	int rc;

	if (db == NULL)
		return -1;
	buf_clear(&d->plain);
	rc = read_rows(d, db, e);
	store_reader_done(d->store, db);
	d->z.next_in = (Bytef *)d->plain.p;
	d->z.avail_in = (uInt)d->plain.len;
	return rc;
}

ssize_t
download_read(struct download *d, char *out, size_t max, struct err *e)
{
	d->z.next_out = (Bytef *)out;
	d->z.avail_out = max < INT_MAX ? (uInt)max : INT_MAX;
	max = d->z.avail_out;
	while (d->z.avail_out == max) {
		int rc;

		if (d->z.avail_in == 0 && !d->all_read && refill(d, e) < 0)
			return -1;
		rc = deflate(&d->z, d->all_read ? Z_FINISH : Z_NO_FLUSH);
		if (rc == Z_STREAM_END || rc == Z_STREAM_ERROR)
			break;
	}
	return (ssize_t)(max - d->z.avail_out);
}

void
download_close(struct download *d)
{
	if (d == NULL)
		return;
	deflateEnd(&d->z);
	buf_free(&d->plain);
	free(d);
}
