#include "common/ledger.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/ledger_private.h"
#include "common/xalloc.h"

#define APPLICATION_ID  0x53504c31 /* "SPL1" */
#define VERSION_HERE    1          /* none was written before there was this number: 0 */
#define BUSY_TIMEOUT_MS 5000

static const char schema[] =
    "CREATE TABLE sink ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  name TEXT NOT NULL UNIQUE,"
    "  required INTEGER NOT NULL,"
    "  retired INTEGER NOT NULL DEFAULT 0,"
    "  made INTEGER NOT NULL DEFAULT 0,"
    "  uploaded INTEGER NOT NULL DEFAULT 0,"
    "  rejected INTEGER NOT NULL DEFAULT 0,"
    "  expired INTEGER NOT NULL DEFAULT 0,"
    "  purged INTEGER NOT NULL DEFAULT 0,"
    "  segments INTEGER NOT NULL DEFAULT 0," /* not done */
    "  sent INTEGER NOT NULL DEFAULT 0,"
    "  retried INTEGER NOT NULL DEFAULT 0,"
    "  bytes INTEGER NOT NULL DEFAULT 0,"
    "  status TEXT NOT NULL DEFAULT '',"
    "  tried_s INTEGER NOT NULL DEFAULT 0,"
    "  success_s INTEGER NOT NULL DEFAULT 0);"
    "CREATE TABLE segment ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  name TEXT NOT NULL UNIQUE,"
    "  events INTEGER NOT NULL,"
    "  bytes INTEGER NOT NULL,"
    "  oldest INTEGER NOT NULL,"
    "  gone INTEGER NOT NULL DEFAULT 0);"
    "CREATE INDEX oldest ON segment (oldest) WHERE gone = 0 AND oldest > 0;"
    "CREATE INDEX gone ON segment (id) WHERE gone = 1;"
    "CREATE TABLE archive ("
    "  sink INTEGER PRIMARY KEY,"
    "  name TEXT NOT NULL,"
    "  offset INTEGER NOT NULL,"
    "  began INTEGER NOT NULL);"
    "CREATE TABLE cursor (" /* absent: at the beginning */
    "  segment INTEGER NOT NULL,"
    "  sink INTEGER NOT NULL,"
    "  offset INTEGER NOT NULL," /* bytes, */
    "  taken INTEGER NOT NULL,"  /* and events in front of it */
    "  done INTEGER NOT NULL,"
    "  PRIMARY KEY (segment, sink)) WITHOUT ROWID;";

#define SINK_COLUMNS                                                                               \
	"id, name, required, retired, made, uploaded, rejected, expired, purged, segments, sent,"  \
	" retried, bytes, status, tried_s, success_s"
#define SEGMENT_COLUMNS                                                                            \
	"s.id, s.name, s.events, s.bytes, s.oldest, s.gone, coalesce(c.offset, 0),"                \
	" coalesce(c.taken, 0), coalesce(c.done, 0)"
#define WITH_CURSOR " LEFT JOIN cursor c ON c.segment = s.id AND c.sink = ?1"
#define LEFT_OF(seg)                                                                               \
	"coalesce((SELECT taken FROM cursor WHERE segment = " seg " AND sink = sink.id), 0)"
#define NOT_DONE(seg)                                                                              \
	"NOT EXISTS (SELECT 1 FROM cursor WHERE segment = " seg " AND sink = sink.id AND done)"
#define NEEDED_BY(seg) "SELECT 1 FROM sink WHERE retired = 0 AND required AND " NOT_DONE(seg)

static const char *const statements[LEDGER_STATEMENTS] = {
	[LEDGER_BEGIN] = "BEGIN IMMEDIATE",
	[LEDGER_BEGIN_READ] = "BEGIN",
	[LEDGER_COMMIT] = "COMMIT",
	[LEDGER_ROLLBACK] = "ROLLBACK",
	[LEDGER_SAVE] = "SAVEPOINT one",
	[LEDGER_RELEASE] = "RELEASE one",
	[LEDGER_SINK_FIND] = "SELECT id, required, retired FROM sink WHERE name = ?",
	[LEDGER_SINK_ADD] = "INSERT INTO sink (name, required, retired) VALUES (?, 0, 1)",
	[LEDGER_SINK_REQUIRED] = "UPDATE sink SET required = ?2 WHERE id = ?1",
	[LEDGER_SINK_START] =
	    "UPDATE sink SET retired = 0,"
	    "  made = made + (SELECT coalesce(sum(events), 0) FROM segment WHERE gone = 0),"
	    "  segments = (SELECT count(*) FROM segment WHERE gone = 0) WHERE id = ?1",
	[LEDGER_SINK_RETIRE] =
	    "UPDATE sink SET retired = 1, segments = 0, purged = purged +"
	    "  (SELECT coalesce(sum(s.events - coalesce(c.taken, 0)), 0) FROM segment s" WITH_CURSOR
	    "   WHERE s.gone = 0 AND coalesce(c.done, 0) = 0) WHERE id = ?1",
	[LEDGER_SINK_FORGET] = "DELETE FROM cursor WHERE sink = ?1",
	[LEDGER_SINK_TRIED] =
	    "UPDATE sink SET sent = sent + ?2, retried = retried + ?3, bytes = bytes + ?4,"
	    "  tried_s = ?5, success_s = CASE WHEN ?6 THEN ?5 ELSE success_s END,"
	    "  status = coalesce(?7, status) WHERE id = ?1",
	[LEDGER_SINK_LIST] = "SELECT " SINK_COLUMNS " FROM sink ORDER BY name",
	[LEDGER_SINK_GET] = "SELECT " SINK_COLUMNS " FROM sink WHERE id = ?1",
	[LEDGER_SINK_MADE] = "UPDATE sink SET made = made + ?1, segments = segments + ?2"
			     " WHERE retired = 0",
	[LEDGER_SINK_COUNT] = "UPDATE sink SET uploaded = uploaded + ?2, rejected = rejected + ?3,"
			      "  expired = expired + ?4, purged = purged + ?5,"
			      "  segments = segments - ?6 WHERE id = ?1",
	[LEDGER_SETTLED] = "SELECT id FROM segment WHERE gone = 0 AND id > ?1"
			   " AND EXISTS (SELECT 1 FROM sink WHERE retired = 0 AND required)"
			   " AND NOT EXISTS (" NEEDED_BY("segment.id") ") ORDER BY id LIMIT 1",
	[LEDGER_ARCHIVE] = "SELECT name, offset, began FROM archive WHERE sink = ?1",
	[LEDGER_SET_ARCHIVE] = "INSERT OR REPLACE INTO archive (sink, name, offset, began)"
			       " VALUES (?1, ?4, ?2, ?3)",
	[LEDGER_ENTER] = "INSERT OR IGNORE INTO segment (name, events, bytes, oldest)"
			 " VALUES (?, ?, ?, ?)",
	[LEDGER_GREW] = "UPDATE segment SET events = events + ?2, bytes = bytes + ?3"
			" WHERE id = ?1",
	[LEDGER_REOPEN_COUNT] = "UPDATE sink SET segments = segments + 1 WHERE id IN"
				" (SELECT sink FROM cursor WHERE segment = ?1 AND done)",
	[LEDGER_REOPEN] = "UPDATE cursor SET done = 0 WHERE segment = ?1 AND done",
	[LEDGER_KNOWN] = "SELECT id FROM segment WHERE name = ?",
	[LEDGER_FIND] =
	    "SELECT " SEGMENT_COLUMNS " FROM segment s" WITH_CURSOR " WHERE s.name = ?2",
	[LEDGER_NEXT] = "SELECT " SEGMENT_COLUMNS " FROM segment s" WITH_CURSOR
			" WHERE s.id > ?2 AND s.gone = 0 AND coalesce(c.done, 0) = 0"
			" ORDER BY s.id LIMIT 1",
	[LEDGER_NEXT_GONE] = "SELECT s.id, s.name, s.events, s.bytes, s.oldest, s.gone, 0, 0, 0"
			     " FROM segment s WHERE s.gone = 1 AND s.id > ?1 ORDER BY s.id LIMIT 1",
	[LEDGER_CURSOR] = "INSERT INTO cursor (segment, sink, offset, taken, done)"
			  " VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (segment, sink) DO UPDATE SET"
			  " offset = excluded.offset, taken = excluded.taken, done = excluded.done",
	[LEDGER_IS_NEEDED] = NEEDED_BY("?1") " LIMIT 1",
	[LEDGER_MOST_LEFT] = "SELECT coalesce(max(segment.events - " LEFT_OF(
	    "?1") "), 0)"
		  " FROM sink, segment WHERE segment.id = ?1 AND retired = 0 AND " NOT_DONE("?1"),
	[LEDGER_DROP_COUNT] = "UPDATE sink SET segments = segments - 1, purged = purged +"
			      " (SELECT events FROM segment WHERE id = ?1) - " LEFT_OF(
				  "?1") " WHERE retired = 0 AND " NOT_DONE("?1"),
	[LEDGER_DROP] = "UPDATE segment SET gone = 1 WHERE id = ?1",
	[LEDGER_FORGET_CURSORS] = "DELETE FROM cursor WHERE segment = ?1",
	[LEDGER_FORGET] = "DELETE FROM segment WHERE id = ?1",
	[LEDGER_OLDEST] = "SELECT oldest FROM segment WHERE gone = 0 AND oldest > 0"
			  " ORDER BY oldest LIMIT 1",
	[LEDGER_OLDEST_OF] = "SELECT s.oldest FROM segment s" WITH_CURSOR
			     " WHERE s.gone = 0 AND s.oldest > 0 AND coalesce(c.done, 0) = 0"
			     " ORDER BY s.oldest LIMIT 1",
	[LEDGER_ALL] = "SELECT id, name, events, bytes, oldest FROM segment WHERE gone = 0"
		       " ORDER BY id",
	[LEDGER_ALL_CURSORS] = "SELECT sink, taken, done FROM cursor WHERE segment = ?1",
};

const char *
ledger_fate_name(enum ledger_fate f)
{
	static const char *const name[] = {
		[LEDGER_UPLOADED] = "uploaded",
		[LEDGER_REJECTED] = "rejected",
		[LEDGER_EXPIRED] = "expired",
		[LEDGER_PURGED] = "purged",
	};
	_Static_assert(COUNT(name) == LEDGER_FATES, "name every fate");

	return name[f];
}

/* ---- SQLite ---- */

/* "disk I/O error" alone says little: what did the system say? */
int
ledger_fail(struct ledger *l, struct err *e)
{
	int code = sqlite3_errcode(l->db) & 0xff;
	bool system = code == SQLITE_IOERR || code == SQLITE_CANTOPEN || code == SQLITE_FULL;
	int errnum = 0;

	l->damaged = l->damaged || code == SQLITE_CORRUPT || code == SQLITE_NOTADB;
	if (system)
		errnum = sqlite3_system_errno(l->db);
	if (code == SQLITE_FULL && errnum == 0)
		errnum = ENOSPC;
	err_text(e, errnum, "%s/" LEDGER_NAME ": %s", l->dir, sqlite3_errmsg(l->db));
	return -1;
}

sqlite3_stmt *
ledger_bind(struct ledger *l, enum ledger_statement which, size_t n, const int64_t *v)
{
	for (size_t i = 0; i < n; i++)
		sqlite3_bind_int64(l->stmt[which], (int)i + 1, v[i]);
	return l->stmt[which];
}

int
ledger_step(struct ledger *l, enum ledger_statement which, struct err *e)
{
	switch (sqlite3_step(l->stmt[which])) {
	case SQLITE_ROW:
		return 1;
	case SQLITE_DONE:
		return 0;
	default:
		return ledger_fail(l, e);
	}
}

void
ledger_reset(struct ledger *l, enum ledger_statement which)
{
	sqlite3_reset(l->stmt[which]);
	sqlite3_clear_bindings(l->stmt[which]);
}

int
ledger_run(struct ledger *l, enum ledger_statement which, size_t n, const int64_t *v, struct err *e)
{
	int rc;

	ledger_bind(l, which, n, v);
	rc = ledger_step(l, which, e);
	ledger_reset(l, which);
	return rc < 0 ? -1 : 0;
}

void
ledger_text(sqlite3_stmt *st, int column, char *out, size_t size)
{
	const unsigned char *text = sqlite3_column_text(st, column);

	snprintf(out, size, "%s", text != NULL ? (const char *)text : "");
}

int
ledger_save(struct ledger *l, struct err *e)
{
	return ledger_run(l, LEDGER_SAVE, 0, NULL, e);
}

int
ledger_release(struct ledger *l, int rc, struct err *e)
{
	if (rc < 0)
		sqlite3_exec(l->db, "ROLLBACK TO one", NULL, NULL, NULL);
	if (ledger_run(l, LEDGER_RELEASE, 0, NULL, rc < 0 ? NULL : e) < 0) {
		/* Outside a transaction this was the commit: nothing of it may stay. */
		sqlite3_exec(l->db, "ROLLBACK TO one; RELEASE one", NULL, NULL, NULL);
		return -1;
	}
	return rc;
}

static int
exec(struct ledger *l, const char *sql, struct err *e)
{
	return sqlite3_exec(l->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : ledger_fail(l, e);
}

static int
number(struct ledger *l, const char *sql, int64_t *out, struct err *e)
{
	sqlite3_stmt *st = NULL;
	int rc = 0;

	*out = 0;
	if (sqlite3_prepare_v2(l->db, sql, -1, &st, NULL) != SQLITE_OK)
		rc = ledger_fail(l, e);
	else if (sqlite3_step(st) == SQLITE_ROW)
		*out = sqlite3_column_int64(st, 0);
	else if (sqlite3_errcode(l->db) != SQLITE_DONE)
		rc = ledger_fail(l, e);
	sqlite3_finalize(st);
	return rc;
}

/* ---- opening ---- */

/* Of an older signalpost it may be, of a newer one not: what its numbers mean is not known. */
static int
check_version(struct ledger *l, struct err *e)
{
	int64_t version;

	if (number(l, "PRAGMA user_version", &version, e) < 0)
		return -1;
	if (version <= VERSION_HERE)
		return 0;
	return err_set(e,
	    "%s/" LEDGER_NAME ": a newer signalpost has written it (version %lld, this one "
	    "reads %d): install that again, or move the file away and counting begins anew",
	    l->dir, (long long)version, VERSION_HERE);
}

static int
make_tables(struct ledger *l, struct err *e)
{
	int64_t id, tables;

	if (number(l, "PRAGMA application_id", &id, e) < 0)
		return -1;
	if (id == APPLICATION_ID)
		return check_version(l, e);
	if (number(l, "SELECT count(*) FROM sqlite_master", &tables, e) < 0)
		return -1;
	if (id != 0 || tables > 0) {
		l->damaged = true;
		return err_set(e, "%s/" LEDGER_NAME ": the file is some other program's", l->dir);
	}
	if (!l->writer)
		return err_set(e, "%s/" LEDGER_NAME ": empty", l->dir);
	_Static_assert(APPLICATION_ID == 1397771313 && VERSION_HERE == 1, "as the pragmas below");
	if (exec(l, "BEGIN IMMEDIATE", e) < 0 || exec(l, schema, e) < 0 ||
	    exec(l, "PRAGMA application_id = 1397771313; PRAGMA user_version = 1", e) < 0 ||
	    exec(l, "COMMIT", e) < 0)
		return -1;
	return 0;
}

/* Each page where it should be; it takes a tenth of a second for 100,000 segments. */
static int
check_pages(struct ledger *l, struct err *e)
{
	sqlite3_stmt *st = NULL;
	int rc = -1;

	if (sqlite3_prepare_v2(l->db, "PRAGMA quick_check(1)", -1, &st, NULL) != SQLITE_OK ||
	    sqlite3_step(st) != SQLITE_ROW) {
		ledger_fail(l, e);
	} else if (strcmp((const char *)sqlite3_column_text(st, 0), "ok") != 0) {
		l->damaged = true;
		err_text(e, 0, "%s/" LEDGER_NAME ": damaged: %s", l->dir,
		    (const char *)sqlite3_column_text(st, 0));
	} else {
		rc = 0;
	}
	sqlite3_finalize(st);
	return rc;
}

static int
prepare(struct ledger *l, struct err *e)
{
	for (size_t i = 0; i < LEDGER_STATEMENTS; i++)
		if (sqlite3_prepare_v3(l->db, statements[i], -1, SQLITE_PREPARE_PERSISTENT,
			&l->stmt[i], NULL) != SQLITE_OK)
			return ledger_fail(l, e);
	return 0;
}

/*
 * As much as a large blob takes: it stays allocated, in the log, which is kept, and as free
 * pages in the database. Without it the ledger works as well, until the disk is full.
 */
static void
make_room(struct ledger *l, const char *path)
{
	struct stat st = { 0 };
	struct buf wal;
	int on = 1;

	sqlite3_file_control(l->db, NULL, SQLITE_FCNTL_PERSIST_WAL, &on);
	buf_init(&wal, BUF_NO_LIMIT);
	buf_printf(&wal, "%s-wal", path);
	if (stat(buf_str(&wal), &st) < 0 || st.st_size < LEDGER_ROOM) {
		if (exec(l, "CREATE TABLE room (b BLOB)", NULL) == 0 &&
		    exec(l, "INSERT INTO room VALUES (zeroblob(2097152))", NULL) == 0)
			exec(l, "PRAGMA wal_checkpoint(RESTART)", NULL);
		exec(l, "DROP TABLE IF EXISTS room", NULL);
	}
	buf_free(&wal);
}

/* SQLite follows links and waits at a FIFO. A file that is not there is none to be afraid of. */
static int
check_kind(struct ledger *l, const char *path, const char *suffix, struct stat *st, struct err *e)
{
	struct buf name;
	int rc = 0;

	buf_init(&name, BUF_NO_LIMIT);
	buf_printf(&name, "%s%s", path, suffix);
	if (lstat(buf_str(&name), st) < 0) {
		*st = (struct stat){ 0 };
	} else if (!S_ISREG(st->st_mode)) {
		l->damaged = true;
		rc = err_set(e, "%s: not a regular file", buf_str(&name));
	}
	buf_free(&name);
	return rc;
}

static int
open_database(struct ledger *l, const char *path, struct err *e)
{
	if (sqlite3_open_v2(path, &l->db,
		SQLITE_OPEN_NOMUTEX | (l->writer ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY),
		NULL) != SQLITE_OK ||
	    sqlite3_busy_timeout(l->db, BUSY_TIMEOUT_MS) != SQLITE_OK)
		return l->db == NULL ? err_set(e, "%s: no memory", path) : ledger_fail(l, e);
	if (l->writer &&
	    exec(l,
		/* What follows a commit, such as an unlink, relies on it. */
		"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
		"PRAGMA temp_store = MEMORY; PRAGMA cache_size = -4000;"
		/* Of 4096 bytes each, less than LEDGER_ROOM: so it begins again in front. */
		"PRAGMA wal_autocheckpoint = 400; PRAGMA journal_size_limit = -1",
		e) < 0)
		return -1;
	if (make_tables(l, e) < 0 || (l->writer && check_pages(l, e) < 0))
		return -1;
	if (l->writer)
		make_room(l, path);
	return prepare(l, e);
}

static int
open_file(struct ledger *l, const char *path, enum ledger_why *why, struct err *e)
{
	int flags = l->writer ? O_RDWR | O_CREAT : O_RDONLY, fd;
	struct stat none;

	if (check_kind(l, path, "", &none, e) < 0 || check_kind(l, path, "-wal", &none, e) < 0 ||
	    check_kind(l, path, "-shm", &none, e) < 0)
		return -1;
	fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, SPOOL_FILE_MODE);
	if (fd < 0) {
		if (errno == ENOENT)
			*why = LEDGER_WHY_MISSING;
		return err_errno(e, "%s", path);
	}
	close(fd);
	if (open_database(l, path, e) < 0)
		return -1;
	return check_kind(l, path, "", &l->db_file, e) < 0
	           ? -1
	           : check_kind(l, path, "-wal", &l->wal_file, e);
}

struct ledger *
ledger_try_open(const char *dir, bool writer, enum ledger_why *why, struct err *e)
{
	struct ledger *l = xcalloc(1, sizeof(*l));
	struct buf path;

	/* Its statistics cost a lock for each allocation; too late is no harm. */
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	*why = LEDGER_WHY_OTHER;
	l->writer = writer;
	l->dir = xstrdup(dir);
	buf_init(&path, BUF_NO_LIMIT);
	buf_printf(&path, "%s/" LEDGER_NAME, dir);
	if (open_file(l, buf_str(&path), why, e) < 0) {
		if (l->damaged)
			*why = LEDGER_WHY_DAMAGED;
		ledger_close(l);
		l = NULL;
	}
	buf_free(&path);
	return l;
}

struct ledger *
ledger_open(const char *dir, bool writer, bool *missing, struct err *e)
{
	enum ledger_why why;
	struct ledger *l = ledger_try_open(dir, writer, &why, e);

	if (missing != NULL)
		*missing = l == NULL && why == LEDGER_WHY_MISSING;
	return l;
}

void
ledger_close(struct ledger *l)
{
	if (l == NULL)
		return;
	for (size_t i = 0; i < LEDGER_STATEMENTS; i++)
		sqlite3_finalize(l->stmt[i]);
	sqlite3_close(l->db);
	free(l->dir);
	free(l);
}

int
ledger_begin(struct ledger *l, struct err *e)
{
	return ledger_run(l, l->writer ? LEDGER_BEGIN : LEDGER_BEGIN_READ, 0, NULL, e);
}

int
ledger_commit(struct ledger *l, struct err *e)
{
	if (ledger_run(l, LEDGER_COMMIT, 0, NULL, e) == 0)
		return 0;
	ledger_rollback(l);
	return -1;
}

void
ledger_rollback(struct ledger *l)
{
	if (sqlite3_get_autocommit(l->db) == 0)
		ledger_run(l, LEDGER_ROLLBACK, 0, NULL, NULL);
}
