#include "common/index.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/index_private.h"
#include "common/spool.h"
#include "common/xalloc.h"

#define APPLICATION_ID  0x53504931 /* "SPI1" */
#define BUSY_TIMEOUT_MS 5000

static const char schema[] =
    "CREATE TABLE message (id INTEGER PRIMARY KEY, facts BLOB NOT NULL);"
    "CREATE TABLE waiting ("
    "  queue_id TEXT NOT NULL,"
    "  rcpt INTEGER NOT NULL," /* a hash of it */
    "  id INTEGER NOT NULL,"
    "  received INTEGER NOT NULL,"
    "  tries INTEGER NOT NULL DEFAULT 0,"
    "  last INTEGER NOT NULL DEFAULT 0,"
    "  line INTEGER NOT NULL DEFAULT 0,"
    "  freed INTEGER NOT NULL DEFAULT 0," /* when the queue id was */
    "  reply BLOB,"
    "  PRIMARY KEY (queue_id, rcpt, id)) WITHOUT ROWID;"
    "CREATE INDEX freed ON waiting (freed) WHERE freed > 0;"
    "CREATE TABLE unknown (id INTEGER PRIMARY KEY, at INTEGER NOT NULL);"
    "CREATE TABLE segment (name TEXT PRIMARY KEY) WITHOUT ROWID;"
    "CREATE TABLE state (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;";

/* Later than the others: files that are older get it when they are opened. */
static const char name_schema[] = "CREATE TABLE IF NOT EXISTS name ("
				  "  name INTEGER NOT NULL," /* a hash of it and of what it is */
				  "  rcpt INTEGER NOT NULL," /* a hash */
				  "  id INTEGER NOT NULL,"
				  "  PRIMARY KEY (name, rcpt, id)) WITHOUT ROWID;"
				  "CREATE INDEX IF NOT EXISTS name_id ON name (id);";

#define NAMED_COLUMNS   "m.id, 0, 0, 0, 0, NULL, m.facts"
#define WAITING_COLUMNS "w.id, w.received, w.tries, w.last, w.line, w.reply, m.facts, w.queue_id"

static const char *const statements[STATEMENTS] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[LEARN] = "INSERT OR IGNORE INTO message (id, facts) VALUES (?, ?)",
	[WAIT] = "INSERT OR IGNORE INTO waiting (queue_id, rcpt, id, received) VALUES (?, ?, ?, ?)",
	[FIND] = "SELECT " WAITING_COLUMNS " FROM waiting w JOIN message m ON m.id = w.id"
		 " WHERE w.queue_id = ?1 AND w.rcpt = ?2 AND w.id > ?3 AND w.received <= ?4"
		 " ORDER BY w.id LIMIT 1",
	[FIND_ALL] = "SELECT " WAITING_COLUMNS " FROM waiting w JOIN message m ON m.id = w.id"
		     " WHERE w.queue_id = ?1 AND w.id > ?2 AND w.received <= ?3"
		     " ORDER BY w.id LIMIT 1",
	[GET] = "SELECT id, 0, 0, 0, 0, NULL, facts FROM message WHERE id = ?",
	[NAME] = "INSERT OR IGNORE INTO name (name, rcpt, id) VALUES (?, ?, ?)",
	[NAMED] = "SELECT " NAMED_COLUMNS " FROM name n JOIN message m ON m.id = n.id"
		  " WHERE n.name = ?1 AND n.id < ?2 ORDER BY n.id DESC LIMIT 1",
	[NAMED_RCPT] = "SELECT " NAMED_COLUMNS " FROM name n JOIN message m ON m.id = n.id"
		       " WHERE n.name = ?1 AND n.rcpt = ?3 AND n.id < ?2"
		       " ORDER BY n.id DESC LIMIT 1",
	[AMONG] = "SELECT " NAMED_COLUMNS " FROM name n JOIN message m ON m.id = n.id"
		  " WHERE n.name = ?1 AND n.rcpt = ?2 AND n.id BETWEEN ?3 AND ?4"
		  " ORDER BY n.id LIMIT 1",
	[FAILED] = "UPDATE waiting SET tries = tries + 1, last = ?4, line = ?5, reply = ?6"
		   " WHERE queue_id = ?1 AND rcpt = ?2 AND id = ?3",
	[SETTLE] = "DELETE FROM waiting WHERE queue_id = ?1 AND rcpt = ?2 AND id = ?3",
	[MOVE] = "UPDATE OR IGNORE waiting SET queue_id = ?4, freed = 0"
		 " WHERE queue_id = ?1 AND rcpt = ?2 AND id = ?3",
	[GIVE_UP] = "INSERT OR IGNORE INTO unknown (id, at) VALUES (?, ?)",
	[OVERDUE] = "SELECT " WAITING_COLUMNS " FROM waiting w JOIN message m ON m.id = w.id"
		    " WHERE w.received < ?1 LIMIT 1",
	[OVERDUE_FREED] = "SELECT " WAITING_COLUMNS " FROM waiting w JOIN message m ON m.id = w.id"
			  " WHERE w.freed > 0 AND w.freed < ?1 LIMIT 1",
	[FREED] = "UPDATE waiting SET freed = ?3"
		  " WHERE queue_id = ?1 AND received <= ?2 AND freed = 0",
	[HAS_SEGMENT] = "SELECT 1 FROM segment WHERE name = ?",
	[ADD_SEGMENT] = "INSERT OR IGNORE INTO segment (name) VALUES (?)",
	[FORGET_SEGMENT] = "DELETE FROM segment WHERE name = ?",
	[STATE_GET] = "SELECT value FROM state WHERE key = ?",
	[STATE_SET] = "INSERT INTO state (key, value) VALUES (?, ?)"
		      " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
};

/* ---- SQLite ---- */

/* "disk I/O error" alone says little: what did the system say? */
int
index_fail(const struct index *ix, struct err *e)
{
	int code = sqlite3_errcode(ix->db) & 0xff;
	bool system = code == SQLITE_IOERR || code == SQLITE_CANTOPEN || code == SQLITE_FULL;

	err_text(e, system ? sqlite3_system_errno(ix->db) : 0, "index: %s", sqlite3_errmsg(ix->db));
	return -1;
}

int
index_run(struct index *ix, const char *sql, struct err *e)
{
	return sqlite3_exec(ix->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : index_fail(ix, e);
}

int
index_number(struct index *ix, const char *sql, int64_t *out, struct err *e)
{
	sqlite3_stmt *st = NULL;
	int rc = 0;

	*out = 0;
	if (sqlite3_prepare_v2(ix->db, sql, -1, &st, NULL) != SQLITE_OK)
		rc = index_fail(ix, e);
	else if (sqlite3_step(st) == SQLITE_ROW)
		*out = sqlite3_column_int64(st, 0);
	else if (sqlite3_errcode(ix->db) != SQLITE_DONE)
		rc = index_fail(ix, e);
	sqlite3_finalize(st);
	return rc;
}

void
index_bind_text(sqlite3_stmt *st, int i, struct slice s)
{
	sqlite3_bind_text(st, i, s.len == 0 ? "" : s.p, (int)s.len, SQLITE_STATIC);
}

void
index_bind_blob(sqlite3_stmt *st, int i, struct slice s)
{
	sqlite3_bind_blob(st, i, s.len == 0 ? "" : s.p, (int)s.len, SQLITE_STATIC);
}

/* Run a statement that gives no rows. */
int
index_done(struct index *ix, enum index_statement which, struct err *e)
{
	sqlite3_stmt *st = ix->stmt[which];
	int rc = sqlite3_step(st) == SQLITE_DONE ? 0 : index_fail(ix, e);

	sqlite3_reset(st);
	return rc;
}

/* ---- opening ---- */

static int
prepare(struct index *ix, struct err *e)
{
	int64_t id, hashed;

	if (index_number(ix, "PRAGMA application_id", &id, e) < 0)
		return -1;
	if (id == 0) {
		if (index_number(ix, "SELECT count(*) FROM sqlite_master", &id, e) < 0)
			return -1;
		if (id > 0)
			return err_set(e, "index: the file is some other program's: move it away, "
			                  "or name another one "
					  "with `index` in <mail-log>");
		if (index_run(ix, "BEGIN IMMEDIATE", e) < 0 || index_run(ix, schema, e) < 0 ||
		    index_run(ix, "PRAGMA application_id = 1397770545", e) < 0 ||
		    index_run(ix, "COMMIT", e) < 0)
			return -1;
	} else if (id != APPLICATION_ID) {
		return err_set(e,
		    "index: the file is some other program's: move it away, or name another one "
		    "with `index` in <mail-log>");
	}
	if (index_run(ix, name_schema, e) < 0)
		return -1;
	for (size_t i = 0; i < STATEMENTS; i++)
		if (sqlite3_prepare_v3(ix->db, statements[i], -1, SQLITE_PREPARE_PERSISTENT,
			&ix->stmt[i], NULL) != SQLITE_OK)
			return index_fail(ix, e);
	if (index_number(ix, "SELECT count(*) FROM state WHERE key = 'hashed'", &hashed, e) < 0)
		return -1;
	ix->has_hashed = hashed > 0;
	return index_filter_load(ix, e);
}

/* What no other user need see of the addresses in it, the daemons' group may. */
static int
make_file(const char *path, struct err *e)
{
	int fd =
	    open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, SPOOL_FILE_MODE);
	struct stat st;
	bool regular;

	if (fd < 0)
		return err_errno(e, "%s", path);
	regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	close(fd);
	return regular ? 0 : err_set(e, "%s: not a regular file", path);
}

static bool
is_damaged(const struct index *ix)
{
	int code = ix->db == NULL ? SQLITE_OK : sqlite3_errcode(ix->db) & 0xff;

	return code == SQLITE_CORRUPT || code == SQLITE_NOTADB;
}

/* PATH and PATH-wal become PATH.damaged and PATH.damaged-wal. */
static int
set_aside(const char *path, struct err *e)
{
	static const char *const ends[] = { "", "-wal" };
	struct buf from, to;
	int rc = 0;

	buf_init(&from, BUF_NO_LIMIT);
	buf_init(&to, BUF_NO_LIMIT);
	for (size_t i = 0; i < COUNT(ends) && rc == 0; i++) {
		buf_clear(&from);
		buf_clear(&to);
		buf_printf(&from, "%s%s", path, ends[i]);
		buf_printf(&to, "%s" INDEX_DAMAGED "%s", path, ends[i]);
		if (rename(buf_str(&from), buf_str(&to)) < 0 && errno != ENOENT)
			rc = err_errno(e, "rename %s", buf_str(&from));
	}
	buf_clear(&from);
	buf_printf(&from, "%s-shm", path);
	unlink(buf_str(&from));
	buf_free(&from);
	buf_free(&to);
	return rc;
}

static struct index *
try_open(const char *path, bool *damaged, struct err *e)
{
	struct index *ix = xcalloc(1, sizeof(*ix));
	struct err why;

	/* Its statistics cost a lock for each allocation; too late is no harm. */
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	_Static_assert(APPLICATION_ID == 1397770545, "as the pragma above has it");
	buf_init(&ix->facts, BUF_NO_LIMIT);
	buf_init(&ix->reply, BUF_NO_LIMIT);
	buf_init(&ix->under, BUF_NO_LIMIT);
	buf_init(&ix->packed, BUF_NO_LIMIT);
	ix->filter = xcalloc(INDEX_FILTER_SIZE, sizeof(*ix->filter));
	if (make_file(path, e) < 0) {
		index_close(ix);
		return NULL;
	}
	if (sqlite3_open_v2(path, &ix->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
		SQLITE_OK ||
	    sqlite3_busy_timeout(ix->db, BUSY_TIMEOUT_MS) != SQLITE_OK ||
	    /* A segment is deleted once it is here: a commit must have reached the disk. */
	    index_run(ix,
		"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
		"PRAGMA cache_size = -16000; PRAGMA temp_store = MEMORY;"
		"PRAGMA wal_autocheckpoint = 8000; PRAGMA journal_size_limit = 33554432",
		&why) < 0 ||
	    prepare(ix, &why) < 0) {
		if (ix->db == NULL)
			err_text(e, 0, "%s: no memory", path);
		else if (sqlite3_errcode(ix->db) != SQLITE_OK)
			err_text(e, 0, "%s: %s", path, sqlite3_errmsg(ix->db));
		else
			err_text(e, 0, "%s: %s", path, why.text);
		*damaged = is_damaged(ix);
		index_close(ix);
		return NULL;
	}
	return ix;
}

struct index *
index_open(const char *path, struct err *e)
{
	bool damaged;

	return try_open(path, &damaged, e);
}

struct index *
index_open_anew(const char *path, struct err *why, struct err *e)
{
	bool damaged = false;
	struct index *ix = try_open(path, &damaged, e);

	why->text[0] = '\0';
	if (ix != NULL || !damaged)
		return ix;
	*why = *e;
	return set_aside(path, e) < 0 ? NULL : try_open(path, &damaged, e);
}

struct index *
index_open_reader(const char *path, bool *missing, struct err *e)
{
	struct index *ix = xcalloc(1, sizeof(*ix));
	struct err why;
	int64_t id = 0;

	*missing = access(path, F_OK) < 0 && errno == ENOENT;
	if (sqlite3_open_v2(path, &ix->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) ==
		SQLITE_OK &&
	    sqlite3_busy_timeout(ix->db, BUSY_TIMEOUT_MS) == SQLITE_OK &&
	    index_number(ix, "PRAGMA application_id", &id, &why) == 0 && id == APPLICATION_ID)
		return ix;
	if (id != 0 || (ix->db != NULL && sqlite3_errcode(ix->db) == SQLITE_OK))
		err_text(e, 0, "%s: the file is some other program's", path);
	else
		err_text(
		    e, 0, "%s: %s", path, ix->db != NULL ? sqlite3_errmsg(ix->db) : "no memory");
	index_close(ix);
	return NULL;
}

void
index_close(struct index *ix)
{
	if (ix == NULL)
		return;
	for (size_t i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(ix->stmt[i]);
	sqlite3_close(ix->db);
	buf_free(&ix->facts);
	buf_free(&ix->reply);
	buf_free(&ix->under);
	buf_free(&ix->packed);
	free(ix->filter);
	free(ix);
}

int
index_begin(struct index *ix, struct err *e)
{
	return index_done(ix, BEGIN, e);
}

int
index_commit(struct index *ix, struct err *e)
{
	return index_done(ix, COMMIT, e);
}

void
index_rollback(struct index *ix)
{
	if (sqlite3_get_autocommit(ix->db) != 0)
		return;
	index_run(ix, "ROLLBACK", NULL);
	/* If that fails, so will what comes next. */
	index_filter_load(ix, NULL);
}

void
index_set_use(struct index *ix, bool log, bool reports)
{
	ix->no_log = !log;
	ix->no_reports = !reports;
}

/* ---- segments and state ---- */

int
index_has_segment(struct index *ix, const char *name, struct err *e)
{
	sqlite3_stmt *st = ix->stmt[HAS_SEGMENT];
	int rc;

	index_bind_text(st, 1, slice_str(name));
	rc = sqlite3_step(st);
	rc = rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : index_fail(ix, e);
	sqlite3_reset(st);
	return rc;
}

int
index_add_segment(struct index *ix, const char *name, struct err *e)
{
	index_bind_text(ix->stmt[ADD_SEGMENT], 1, slice_str(name));
	return index_done(ix, ADD_SEGMENT, e);
}

int
index_forget_segment(struct index *ix, const char *name, struct err *e)
{
	index_bind_text(ix->stmt[FORGET_SEGMENT], 1, slice_str(name));
	return index_done(ix, FORGET_SEGMENT, e);
}

int
index_state_get(struct index *ix, const char *key, struct buf *out, struct err *e)
{
	sqlite3_stmt *st = ix->stmt[STATE_GET];
	int rc;

	buf_clear(out);
	index_bind_text(st, 1, slice_str(key));
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		buf_add(out, (struct slice){
				 sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0) });
		rc = 1;
	} else {
		rc = rc == SQLITE_DONE ? 0 : index_fail(ix, e);
	}
	sqlite3_reset(st);
	return rc;
}

int
index_state_set(struct index *ix, const char *key, struct slice value, struct err *e)
{
	index_bind_text(ix->stmt[STATE_SET], 1, slice_str(key));
	index_bind_blob(ix->stmt[STATE_SET], 2, value);
	return index_done(ix, STATE_SET, e);
}
