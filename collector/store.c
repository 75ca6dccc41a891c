#include "collector/store.h"

#include <fcntl.h>
#include <libgen.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/xalloc.h"

#define APPLICATION_ID  0x53504331 /* "SPC1": tells this file from other SQLite files */
#define BUSY_TIMEOUT_MS 5000 /* another process at the same file: the sqlite3 shell, a backup */
#define PURGE_STEP      1000 /* rows in one transaction, so that posts wait for little */
#define READERS_KEPT    16
#define PROGRESS_STEPS  20000 /* of SQLite's virtual machine between two looks at `interrupted` */

enum statement {
	INSERT_BATCH,
	FIND_DIGEST,
	INSERT_EVENT,
	INSERT_FAILURE,
	INSERT_STATUS,
	SET_EVENTS,
	STATEMENTS
};

struct store {
	char *path;
	atomic_bool interrupted;

	pthread_mutex_t writing; /* held from store_begin() to commit or rollback */
	sqlite3 *db;             /* the rest is the holder's */
	sqlite3_stmt *stmt[STATEMENTS];
	int64_t batch;               /* row of the batch in hand */
	int64_t first_seq, last_seq; /* of its events; 0: none yet */

	pthread_mutex_t lock;
	sqlite3 *readers[READERS_KEPT]; /* under lock: not in use */
	size_t n_readers;
};

/*
 * first_seq..last_seq are the events of a batch; last_seq stays NULL without any.
 * A digest is kept for whole batches only, so that a damaged one can come again.
 */
static const char schema[] =
    "CREATE TABLE batch ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  uuid TEXT NOT NULL UNIQUE,"
    "  digest BLOB UNIQUE,"
    "  received INTEGER NOT NULL,"
    "  first_seq INTEGER,"
    "  last_seq INTEGER);"
    "CREATE TABLE event ("
    "  seq INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  event_id INTEGER NOT NULL UNIQUE,"
    "  type TEXT NOT NULL," /* on the wire */
    "  timestamp INTEGER NOT NULL,"
    "  message_id TEXT,"
    "  custom_message_id TEXT,"
    "  recipient TEXT," /* lower case; or the hash where the address is private */
    "  campaign_id TEXT,"
    "  subaccount_id INTEGER NOT NULL,"
    "  line TEXT NOT NULL);"
    "CREATE INDEX event_time ON event (timestamp, event_id, type);"
    "CREATE INDEX event_message ON event (message_id);"
    "CREATE INDEX event_custom ON event (custom_message_id) WHERE custom_message_id IS NOT NULL;"
    "CREATE INDEX event_recipient ON event (recipient);"
    "CREATE INDEX event_campaign ON event (campaign_id, timestamp, event_id);"
    "CREATE TABLE failure ("
    "  id INTEGER PRIMARY KEY,"
    "  batch INTEGER NOT NULL,"
    "  number INTEGER NOT NULL,"
    "  reason TEXT NOT NULL,"
    "  text TEXT NOT NULL);"
    "CREATE INDEX failure_batch ON failure (batch, number);"
    "CREATE TABLE status ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  batch INTEGER NOT NULL,"
    "  batch_uuid TEXT NOT NULL,"
    "  uuid TEXT NOT NULL UNIQUE,"
    "  error_type TEXT," /* NULL: success */
    "  retryable INTEGER,"
    "  succeeded INTEGER NOT NULL,"
    "  failed INTEGER NOT NULL,"
    "  duplicates INTEGER NOT NULL,"
    "  timestamp INTEGER NOT NULL,"
    "  expires INTEGER NOT NULL);"
    "CREATE INDEX status_batch ON status (batch);"
    "CREATE INDEX status_batch_uuid ON status (batch_uuid);"
    "CREATE INDEX status_time ON status (timestamp);";

static const char *const statements[STATEMENTS] = {
	[INSERT_BATCH] = "INSERT INTO batch (uuid, digest, received) VALUES (?, ?, ?)",
	[FIND_DIGEST] = "SELECT 1 FROM batch WHERE digest = ?",
	[INSERT_EVENT] =
	    "INSERT INTO event (event_id, type, timestamp, message_id,"
	    " custom_message_id, recipient, campaign_id, subaccount_id, line)"
	    " VALUES (?, ?, ?, ?, ?, lower(?), ?, ?, ?) ON CONFLICT (event_id) DO NOTHING",
	[INSERT_FAILURE] = "INSERT INTO failure (batch, number, reason, text) VALUES (?, ?, ?, ?)",
	[INSERT_STATUS] = "INSERT INTO status (batch, batch_uuid, uuid, error_type, retryable,"
			  " succeeded, failed, duplicates, timestamp, expires)"
			  " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[SET_EVENTS] = "UPDATE batch SET first_seq = ?, last_seq = ? WHERE id = ?",
};

/* "disk I/O error" alone says little: what did the system say? */
static int
fail(sqlite3 *db, const char *what, struct err *e)
{
	int code = sqlite3_errcode(db) & 0xff;
	bool system = code == SQLITE_IOERR || code == SQLITE_CANTOPEN || code == SQLITE_FULL;

	err_text(e, system ? sqlite3_system_errno(db) : 0, "%s: %s", what, sqlite3_errmsg(db));
	return -1;
}

static int
run(sqlite3 *db, const char *sql, struct err *e)
{
	return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : fail(db, "database", e);
}

/* One number from a query without parameters. */
static int
ask(sqlite3 *db, const char *sql, int64_t *out, struct err *e)
{
	sqlite3_stmt *st = NULL;
	int rc = 0;

	*out = 0;
	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK)
		rc = fail(db, "database", e);
	else if (sqlite3_step(st) == SQLITE_ROW)
		*out = sqlite3_column_int64(st, 0);
	else if (sqlite3_errcode(db) != SQLITE_DONE)
		rc = fail(db, "database", e);
	sqlite3_finalize(st);
	return rc;
}

/* ---- opening ---- */

static int
make_file(const char *path, struct err *e)
{
	char *copy = xstrdup(path);
	int fd, rc = file_mkdirs(dirname(copy), 0750, e);

	free(copy);
	if (rc < 0)
		return -1;
	/* SQLite gives its log and shared memory files the mode of this one. */
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
	if (fd < 0)
		return err_errno(e, "%s", path);
	close(fd);
	return 0;
}

static int
stop_wanted(void *arg)
{
	return atomic_load(&((struct store *)arg)->interrupted);
}

static sqlite3 *
connect_db(struct store *s, int flags, struct err *e)
{
	sqlite3 *db = NULL;

	/* NOMUTEX: a connection is in the hands of one thread at a time. */
	if (sqlite3_open_v2(s->path, &db, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
		fail(db, s->path, e);
		sqlite3_close(db);
		return NULL;
	}
	sqlite3_extended_result_codes(db, 1);
	sqlite3_busy_timeout(db, BUSY_TIMEOUT_MS);
	sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	return db;
}

static int
check_schema(struct store *s, struct err *e)
{
	int64_t version, application, tables;

	if (ask(s->db, "PRAGMA user_version", &version, e) < 0 ||
	    ask(s->db, "PRAGMA application_id", &application, e) < 0 ||
	    ask(s->db, "SELECT count(*) FROM sqlite_schema", &tables, e) < 0)
		return -1;
	if (tables == 0 && version == 0 && application == 0) {
		char sql[128];

		sqlite3_snprintf(sizeof(sql), sql,
		    "PRAGMA application_id = %d; PRAGMA user_version = %d", APPLICATION_ID,
		    STORE_SCHEMA_VERSION);
		if (run(s->db, schema, e) < 0 || run(s->db, sql, e) < 0)
			return -1;
		return 0;
	}
	if (application != APPLICATION_ID)
		return err_set(e, "not a database of signalpost-collector");
	if (version != STORE_SCHEMA_VERSION)
		return err_set(e,
		    "schema version %lld, but this program knows only version %d; "
		    "use the program that wrote it, or another database",
		    (long long)version, STORE_SCHEMA_VERSION);
	return 0;
}

static int
set_up(struct store *s, struct err *e)
{
	/* What is not ours must stay as it is, so the journal mode comes after the look. */
	if (run(s->db, "BEGIN IMMEDIATE", e) < 0 || check_schema(s, e) < 0 ||
	    run(s->db, "COMMIT", e) < 0 || run(s->db, "PRAGMA journal_mode = WAL", e) < 0 ||
	    run(s->db, "PRAGMA synchronous = FULL", e) < 0 ||
	    run(s->db, "PRAGMA journal_size_limit = 67108864", e) < 0)
		return -1;
	for (size_t i = 0; i < STATEMENTS; i++)
		if (sqlite3_prepare_v3(s->db, statements[i], -1, SQLITE_PREPARE_PERSISTENT,
			&s->stmt[i], NULL) != SQLITE_OK)
			return fail(s->db, "database", e);
	return 0;
}

struct store *
store_open(const char *path, struct err *e)
{
	struct store *s = xcalloc(1, sizeof(*s));
	struct err why;

	s->path = xstrdup(path);
	pthread_mutex_init(&s->writing, NULL);
	pthread_mutex_init(&s->lock, NULL);
	if (make_file(path, e) < 0 || (s->db = connect_db(s, SQLITE_OPEN_READWRITE, e)) == NULL) {
		store_close(s);
		return NULL;
	}
	if (set_up(s, &why) < 0) {
		err_text(e, 0, "%s: %s", path, why.text);
		store_close(s);
		return NULL;
	}
	return s;
}

void
store_close(struct store *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->n_readers; i++)
		sqlite3_close(s->readers[i]);
	for (size_t i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(s->stmt[i]);
	/* The last connection to close moves the log into the database and removes it. */
	sqlite3_close(s->db);
	pthread_mutex_destroy(&s->writing);
	pthread_mutex_destroy(&s->lock);
	free(s->path);
	free(s);
}

void
store_interrupt(struct store *s)
{
	atomic_store(&s->interrupted, true);
}

/* ---- writing ---- */

void
store_new_uuid(char out[STORE_UUID_SIZE])
{
	unsigned char r[16];
	char hex[2 * sizeof(r) + 1];

	hash_random(r, sizeof(r));
	r[6] = (unsigned char)((r[6] & 0x0f) | 0x40); /* RFC 4122 section 4.4: version 4 */
	r[8] = (unsigned char)((r[8] & 0x3f) | 0x80);
	hash_hex(r, sizeof(r), hex);
	snprintf(out, STORE_UUID_SIZE, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12,
	    hex + 16, hex + 20);
}

static void
bind_text(sqlite3_stmt *st, int at, struct slice text)
{
	if (text.len == 0)
		sqlite3_bind_null(st, at);
	else
		sqlite3_bind_text64(st, at, text.p, text.len, SQLITE_STATIC, SQLITE_UTF8);
}

/* Run a statement that was bound. 1: it gave a row. 0: it did not. -1: *e. */
static int
step(struct store *s, enum statement which, struct err *e)
{
	int rc = sqlite3_step(s->stmt[which]);
	int result = rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : fail(s->db, "database", e);

	sqlite3_reset(s->stmt[which]);
	sqlite3_clear_bindings(s->stmt[which]);
	return result;
}

int
store_begin(struct store *s, struct err *e)
{
	pthread_mutex_lock(&s->writing);
	s->batch = 0;
	s->first_seq = s->last_seq = 0;
	if (run(s->db, "BEGIN IMMEDIATE", e) == 0)
		return 0;
	pthread_mutex_unlock(&s->writing);
	return -1;
}

static int
digest_known(struct store *s, const unsigned char digest[HASH_SHA256_SIZE], struct err *e)
{
	sqlite3_bind_blob(s->stmt[FIND_DIGEST], 1, digest, HASH_SHA256_SIZE, SQLITE_STATIC);
	return step(s, FIND_DIGEST, e);
}

int
store_batch(struct store *s, const char uuid[STORE_UUID_SIZE], int64_t now_ms,
    const unsigned char digest[HASH_SHA256_SIZE], struct err *e)
{
	sqlite3_stmt *st = s->stmt[INSERT_BATCH];
	int known = digest != NULL ? digest_known(s, digest, e) : 0;

	if (known < 0)
		return -1;
	sqlite3_bind_text(st, 1, uuid, -1, SQLITE_STATIC);
	if (digest != NULL && !known)
		sqlite3_bind_blob(st, 2, digest, HASH_SHA256_SIZE, SQLITE_STATIC);
	sqlite3_bind_int64(st, 3, now_ms);
	if (step(s, INSERT_BATCH, e) < 0)
		return -1;
	s->batch = sqlite3_last_insert_rowid(s->db);
	return !known;
}

int
store_event(struct store *s, struct slice line, const struct event *ev, struct err *e)
{
	sqlite3_stmt *st = s->stmt[INSERT_EVENT];

	if (stop_wanted(s))
		return err_set(e, "shutting down");
	sqlite3_bind_int64(st, 1, ev->event_id);
	sqlite3_bind_text(st, 2, event_type_name(ev->type), -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 3, ev->timestamp);
	bind_text(st, 4, ev->message_id);
	bind_text(st, 5, ev->custom_message_id);
	bind_text(st, 6, ev->rcpt_to.len > 0 ? ev->rcpt_to : ev->rcpt_hash);
	bind_text(st, 7, ev->campaign_id);
	sqlite3_bind_int64(st, 8, ev->subaccount_id == EVENT_UNSET ? 0 : ev->subaccount_id);
	bind_text(st, 9, line);
	if (step(s, INSERT_EVENT, e) < 0)
		return -1;
	if (sqlite3_changes(s->db) == 0)
		return 0;
	s->last_seq = sqlite3_last_insert_rowid(s->db);
	if (s->first_seq == 0)
		s->first_seq = s->last_seq;
	return 1;
}

int
store_failure(
    struct store *s, uint64_t number, const char *reason, struct slice text, struct err *e)
{
	sqlite3_stmt *st = s->stmt[INSERT_FAILURE];

	if (stop_wanted(s))
		return err_set(e, "shutting down");
	sqlite3_bind_int64(st, 1, s->batch);
	sqlite3_bind_int64(st, 2, (int64_t)number);
	sqlite3_bind_text(st, 3, reason, -1, SQLITE_STATIC);
	sqlite3_bind_text64(
	    st, 4, text.len > 0 ? text.p : "", text.len, SQLITE_STATIC, SQLITE_UTF8);
	return step(s, INSERT_FAILURE, e);
}

int
store_status(struct store *s, const char uuid[STORE_UUID_SIZE], const char *error_type,
    bool retryable, const struct store_counts *counts, int64_t now_ms, int64_t expires_ms,
    struct err *e)
{
	sqlite3_stmt *st = s->stmt[INSERT_STATUS];
	char own[STORE_UUID_SIZE];

	store_new_uuid(own);
	sqlite3_bind_int64(st, 1, s->batch);
	sqlite3_bind_text(st, 2, uuid, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 3, own, -1, SQLITE_STATIC);
	if (error_type != NULL) {
		sqlite3_bind_text(st, 4, error_type, -1, SQLITE_STATIC);
		sqlite3_bind_int(st, 5, retryable);
	}
	sqlite3_bind_int64(st, 6, (int64_t)counts->succeeded);
	sqlite3_bind_int64(st, 7, (int64_t)counts->failed);
	sqlite3_bind_int64(st, 8, (int64_t)counts->duplicates);
	sqlite3_bind_int64(st, 9, now_ms);
	sqlite3_bind_int64(st, 10, expires_ms);
	return step(s, INSERT_STATUS, e);
}

/* One writer and AUTOINCREMENT: no other event has a number between these two. */
static int
note_events(struct store *s, struct err *e)
{
	sqlite3_stmt *st = s->stmt[SET_EVENTS];

	if (s->last_seq == 0)
		return 0;
	sqlite3_bind_int64(st, 1, s->first_seq);
	sqlite3_bind_int64(st, 2, s->last_seq);
	sqlite3_bind_int64(st, 3, s->batch);
	return step(s, SET_EVENTS, e);
}

int
store_commit(struct store *s, struct err *e)
{
	if (note_events(s, e) < 0 || run(s->db, "COMMIT", e) < 0)
		return -1;
	pthread_mutex_unlock(&s->writing);
	return 0;
}

void
store_rollback(struct store *s)
{
	/* SQLite has rolled back already after some errors. */
	if (!sqlite3_get_autocommit(s->db))
		run(s->db, "ROLLBACK", NULL);
	pthread_mutex_unlock(&s->writing);
}

/* ---- retention ---- */

/*
 * What a step deletes, in this order: a batch goes after all that belongs to it.
 * ?1: the newest batch to go, ?2: how many rows.
 */
#define PURGE_EVENTS                                                                               \
	"DELETE FROM event WHERE seq IN (SELECT seq FROM event WHERE seq <= "                      \
	"(SELECT max(last_seq) FROM batch WHERE id <= ?1) ORDER BY seq LIMIT ?2)"
#define PURGE_BY_BATCH(table)                                                                      \
	"DELETE FROM " table " WHERE id IN (SELECT id FROM " table " WHERE batch <= ?1 LIMIT ?2)"
#define PURGE_BATCHES                                                                              \
	"DELETE FROM batch WHERE id IN (SELECT id FROM batch WHERE id <= ?1 ORDER BY id LIMIT ?2)"

static const char *const purge_steps[] = { PURGE_EVENTS, PURGE_BY_BATCH("failure"),
	PURGE_BY_BATCH("status"), PURGE_BATCHES };

/* Rows deleted, or -1. */
static int
purge_step(struct store *s, const char *sql, int64_t batch, int limit, struct err *e)
{
	sqlite3_stmt *st = NULL;
	int rc;

	if (sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) != SQLITE_OK)
		return fail(s->db, "database", e);
	sqlite3_bind_int64(st, 1, batch);
	sqlite3_bind_int(st, 2, limit);
	rc = sqlite3_step(st) == SQLITE_DONE ? sqlite3_changes(s->db) : fail(s->db, "database", e);
	sqlite3_finalize(st);
	return rc;
}

/* The newest batch received before that; 0: none. */
static int
last_before(struct store *s, int64_t before_ms, int64_t *batch, struct err *e)
{
	sqlite3_stmt *st = NULL;
	int rc = 0;

	/* By row, not by time alone: a clock that was set back must not make a hole in the numbers.
	 */
	if (sqlite3_prepare_v2(s->db,
		"SELECT coalesce((SELECT min(id) - 1 FROM batch WHERE received >= ?1),"
		" (SELECT max(id) FROM batch), 0)",
		-1, &st, NULL) != SQLITE_OK)
		return fail(s->db, "database", e);
	sqlite3_bind_int64(st, 1, before_ms);
	if (sqlite3_step(st) == SQLITE_ROW)
		*batch = sqlite3_column_int64(st, 0);
	else
		rc = fail(s->db, "database", e);
	sqlite3_finalize(st);
	return rc;
}

int
store_purge(struct store *s, int64_t before_ms, struct err *e)
{
	int left = PURGE_STEP;
	int64_t batch;

	if (store_begin(s, e) < 0)
		return -1;
	if (last_before(s, before_ms, &batch, e) < 0)
		goto fail;
	for (size_t i = 0; batch > 0 && left > 0 && i < COUNT(purge_steps); i++) {
		int n = purge_step(s, purge_steps[i], batch, left, e);

		if (n < 0)
			goto fail;
		left -= n;
	}
	if (store_commit(s, e) < 0)
		goto fail;
	return left == 0;
fail:
	store_rollback(s);
	return -1;
}

/* ---- reading ---- */

sqlite3 *
store_reader(struct store *s, struct err *e)
{
	sqlite3 *db = NULL;

	pthread_mutex_lock(&s->lock);
	if (s->n_readers > 0)
		db = s->readers[--s->n_readers];
	pthread_mutex_unlock(&s->lock);
	if (db == NULL && (db = connect_db(s, SQLITE_OPEN_READONLY, e)) != NULL)
		sqlite3_progress_handler(db, PROGRESS_STEPS, stop_wanted, s);
	return db;
}

void
store_reader_done(struct store *s, sqlite3 *db)
{
	if (db == NULL)
		return;
	pthread_mutex_lock(&s->lock);
	if (s->n_readers < READERS_KEPT) {
		s->readers[s->n_readers++] = db;
		db = NULL;
	}
	pthread_mutex_unlock(&s->lock);
	sqlite3_close(db);
}
