#include "common/index.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/hash.h"
#include "common/ids.h"
#include "common/spool.h"
#include "common/xalloc.h"

#define APPLICATION_ID  0x53504931 /* "SPI1" */
#define BUSY_TIMEOUT_MS 5000
#define FILTER_SIZE     ((size_t)1 << 18)
#define TRIM_STEP       2000 /* rows at once */
#define REPLY_MAX       1000 /* bytes of a reply that is kept for the time when the queue gives up */

enum statement {
	BEGIN,
	COMMIT,
	LEARN,
	WAIT,
	FIND,
	FIND_ALL,
	GET,
	FAILED,
	SETTLE,
	FREED,
	GIVE_UP,
	OVERDUE,
	OVERDUE_FREED,
	NAME,
	NAMED,
	NAMED_RCPT,
	AMONG,
	HAS_SEGMENT,
	ADD_SEGMENT,
	FORGET_SEGMENT,
	STATE_GET,
	STATE_SET,
	STATEMENTS
};

struct slot { /* of all queue ids with one hash: most lines are about nobody who waits */
	uint32_t n;
	int64_t oldest_s; /* received */
};

struct index {
	sqlite3 *db;
	sqlite3_stmt *stmt[STATEMENTS];
	struct buf facts, reply; /* of the message that was found last */
	char id[IDS_SIZE];       /* and its id */
	struct buf packed;
	struct slot *filter;
	bool no_log;     /* nobody waits */
	bool no_reports; /* nobody asks for names */
	bool has_hashed; /* some recipients are hashes: look for those, too */
};

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
#define WAITING_COLUMNS "w.id, w.received, w.tries, w.last, w.line, w.reply, m.facts"

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
static int
fail(const struct index *ix, struct err *e)
{
	int code = sqlite3_errcode(ix->db) & 0xff;
	bool system = code == SQLITE_IOERR || code == SQLITE_CANTOPEN || code == SQLITE_FULL;

	err_text(e, system ? sqlite3_system_errno(ix->db) : 0, "index: %s", sqlite3_errmsg(ix->db));
	return -1;
}

static int
run(struct index *ix, const char *sql, struct err *e)
{
	return sqlite3_exec(ix->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : fail(ix, e);
}

static int
number(struct index *ix, const char *sql, int64_t *out, struct err *e)
{
	sqlite3_stmt *st = NULL;
	int rc = 0;

	*out = 0;
	if (sqlite3_prepare_v2(ix->db, sql, -1, &st, NULL) != SQLITE_OK)
		rc = fail(ix, e);
	else if (sqlite3_step(st) == SQLITE_ROW)
		*out = sqlite3_column_int64(st, 0);
	else if (sqlite3_errcode(ix->db) != SQLITE_DONE)
		rc = fail(ix, e);
	sqlite3_finalize(st);
	return rc;
}

static void
bind_text(sqlite3_stmt *st, int i, struct slice s)
{
	sqlite3_bind_text(st, i, s.len == 0 ? "" : s.p, (int)s.len, SQLITE_STATIC);
}

static void
bind_blob(sqlite3_stmt *st, int i, struct slice s)
{
	sqlite3_bind_blob(st, i, s.len == 0 ? "" : s.p, (int)s.len, SQLITE_STATIC);
}

/* Run a statement that gives no rows. */
static int
done(struct index *ix, enum statement which, struct err *e)
{
	sqlite3_stmt *st = ix->stmt[which];
	int rc = sqlite3_step(st) == SQLITE_DONE ? 0 : fail(ix, e);

	sqlite3_reset(st);
	return rc;
}

/* ---- who waits, roughly ---- */

static struct slot *
filter_of(const struct index *ix, struct slice queue_id)
{
	uint64_t h = hash_fnv1a(queue_id);

	return &ix->filter[(h ^ h >> 32) % FILTER_SIZE];
}

static void
filter_add(struct index *ix, struct slice queue_id, int64_t received_s)
{
	struct slot *slot = filter_of(ix, queue_id);

	if (slot->n == 0 || received_s < slot->oldest_s)
		slot->oldest_s = received_s;
	slot->n++;
}

static void
filter_remove(struct index *ix, struct slice queue_id)
{
	struct slot *slot = filter_of(ix, queue_id);

	if (slot->n > 0)
		slot->n--;
}

/* May somebody wait under it who was received until then? */
static bool
filter_asks(const struct index *ix, struct slice queue_id, int64_t until_s)
{
	const struct slot *slot = filter_of(ix, queue_id);

	return slot->n > 0 && slot->oldest_s <= until_s;
}

static int
filter_load(struct index *ix, struct err *e)
{
	sqlite3_stmt *st = NULL;
	int rc;

	memset(ix->filter, 0, FILTER_SIZE * sizeof(*ix->filter));
	if (sqlite3_prepare_v2(ix->db, "SELECT queue_id, received FROM waiting", -1, &st, NULL) !=
	    SQLITE_OK)
		return fail(ix, e);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW)
		filter_add(ix,
		    (struct slice){
			sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0) },
		    sqlite3_column_int64(st, 1));
	rc = rc == SQLITE_DONE ? 0 : fail(ix, e);
	sqlite3_finalize(st);
	return rc;
}

/* ---- opening ---- */

static int
prepare(struct index *ix, struct err *e)
{
	int64_t id, hashed;

	if (number(ix, "PRAGMA application_id", &id, e) < 0)
		return -1;
	if (id == 0) {
		if (number(ix, "SELECT count(*) FROM sqlite_master", &id, e) < 0)
			return -1;
		if (id > 0)
			return err_set(e, "index: the file is some other program's");
		if (run(ix, "BEGIN IMMEDIATE", e) < 0 || run(ix, schema, e) < 0 ||
		    run(ix, "PRAGMA application_id = 1397770545", e) < 0 ||
		    run(ix, "COMMIT", e) < 0)
			return -1;
	} else if (id != APPLICATION_ID) {
		return err_set(e, "index: the file is some other program's");
	}
	if (run(ix, name_schema, e) < 0)
		return -1;
	for (size_t i = 0; i < STATEMENTS; i++)
		if (sqlite3_prepare_v3(ix->db, statements[i], -1, SQLITE_PREPARE_PERSISTENT,
			&ix->stmt[i], NULL) != SQLITE_OK)
			return fail(ix, e);
	if (number(ix, "SELECT count(*) FROM state WHERE key = 'hashed'", &hashed, e) < 0)
		return -1;
	ix->has_hashed = hashed > 0;
	return filter_load(ix, e);
}

/* What no other user need see of the addresses in it, the daemons' group may. */
static int
make_file(const char *path, struct err *e)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, SPOOL_FILE_MODE);

	if (fd < 0)
		return err_errno(e, "%s", path);
	close(fd);
	return 0;
}

struct index *
index_open(const char *path, struct err *e)
{
	struct index *ix = xcalloc(1, sizeof(*ix));
	struct err why;

	/* Its statistics cost a lock for each allocation; too late is no harm. */
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	_Static_assert(APPLICATION_ID == 1397770545, "as the pragma above has it");
	buf_init(&ix->facts, BUF_NO_LIMIT);
	buf_init(&ix->reply, BUF_NO_LIMIT);
	buf_init(&ix->packed, BUF_NO_LIMIT);
	ix->filter = xcalloc(FILTER_SIZE, sizeof(*ix->filter));
	if (make_file(path, e) < 0) {
		index_close(ix);
		return NULL;
	}
	if (sqlite3_open_v2(path, &ix->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
		SQLITE_OK ||
	    sqlite3_busy_timeout(ix->db, BUSY_TIMEOUT_MS) != SQLITE_OK ||
	    /* A segment is deleted once it is here: a commit must have reached the disk. */
	    run(ix,
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
		index_close(ix);
		return NULL;
	}
	return ix;
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
	    number(ix, "PRAGMA application_id", &id, &why) == 0 && id == APPLICATION_ID)
		return ix;
	if (id != 0)
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
	buf_free(&ix->packed);
	free(ix->filter);
	free(ix);
}

int
index_begin(struct index *ix, struct err *e)
{
	return done(ix, BEGIN, e);
}

int
index_commit(struct index *ix, struct err *e)
{
	return done(ix, COMMIT, e);
}

void
index_rollback(struct index *ix)
{
	if (sqlite3_get_autocommit(ix->db) != 0)
		return;
	run(ix, "ROLLBACK", NULL);
	/* If that fails, so will what comes next. */
	filter_load(ix, NULL);
}

/* ---- facts as bytes ---- */

/* A field has its letter for good: files outlive versions. */
enum kind { TEXT, NUMBER, FLAG };

static const struct {
	char letter;
	enum kind kind;
	size_t offset;
} kept[] = {
#define AT(member) offsetof(struct event, member)
	{ 'c', TEXT, AT(custom_message_id) },
	{ 'r', TEXT, AT(rcpt_to) },
	{ 'R', TEXT, AT(raw_rcpt_to) },
	{ 'h', TEXT, AT(rcpt_hash) },
	{ 'd', TEXT, AT(rcpt_domain) },
	{ 'f', TEXT, AT(msg_from) },
	{ 'F', TEXT, AT(friendly_from) },
	{ 's', TEXT, AT(subject) },
	{ 'j', TEXT, AT(campaign_id) },
	{ 'b', TEXT, AT(binding) },
	{ 'B', TEXT, AT(binding_group) },
	{ 'i', TEXT, AT(sending_ip) },
	{ 'D', TEXT, AT(routing_domain) },
	{ 'm', TEXT, AT(recv_method) },
	{ 'q', TEXT, AT(queue_id) },
	{ 'M', TEXT, AT(header_message_id) },
	{ 'e', TEXT, AT(envid) },
	{ 'x', TEXT, AT(rcpt_meta) },
	{ 'X', TEXT, AT(rcpt_tags) },
	{ 'a', NUMBER, AT(subaccount_id) },
	{ 'z', NUMBER, AT(msg_size) },
	{ 't', NUMBER, AT(timestamp) },
	{ 'o', FLAG, AT(open_tracking) },
	{ 'k', FLAG, AT(click_tracking) },
	{ 'p', FLAG, AT(initial_pixel) },
#undef AT
};

static void
add_varint(struct buf *b, uint64_t n)
{
	for (; n >= 0x80; n >>= 7)
		buf_addc(b, (char)(n | 0x80));
	buf_addc(b, (char)n);
}

static bool
take_varint(struct slice *s, uint64_t *n)
{
	unsigned shift = 0;

	for (*n = 0; s->len > 0 && shift < 64; shift += 7) {
		unsigned char c = (unsigned char)s->p[0];

		*s = slice_skip(*s, 1);
		*n |= (uint64_t)(c & 0x7f) << shift;
		if (c < 0x80)
			return true;
	}
	return false;
}

/* Letter, length and text; or letter and number. */
static void
pack(const struct event *ev, struct buf *out)
{
	buf_clear(out);
	for (size_t i = 0; i < COUNT(kept); i++) {
		const char *at = (const char *)ev + kept[i].offset;
		struct slice text;
		int64_t n;

		if (kept[i].kind == TEXT) {
			memcpy(&text, at, sizeof(text));
			if (text.len == 0)
				continue;
			/* The same twice: rcpt_to as it came is the rule. */
			if (kept[i].letter == 'R' && slice_eq(text, ev->rcpt_to))
				continue;
			buf_addc(out, kept[i].letter);
			add_varint(out, text.len);
			buf_add(out, text);
			continue;
		}
		n = kept[i].kind == FLAG ? (int64_t) * (const enum event_flag *)(const void *)at
		                         : *(const int64_t *)(const void *)at;
		if (n <= 0 && !(n == 0 && kept[i].letter == 'z'))
			continue;
		buf_addc(out, kept[i].letter);
		add_varint(out, (uint64_t)n);
	}
}

static bool
unpack_one(struct slice *rest, struct event *ev)
{
	char letter = rest->p[0];
	uint64_t n;
	size_t i = 0;
	char *at;

	*rest = slice_skip(*rest, 1);
	while (i < COUNT(kept) && kept[i].letter != letter)
		i++;
	if (i == COUNT(kept) || !take_varint(rest, &n))
		return false;
	at = (char *)ev + kept[i].offset;
	if (kept[i].kind == NUMBER) {
		*(int64_t *)(void *)at = (int64_t)n;
	} else if (kept[i].kind == FLAG) {
		*(enum event_flag *)(void *)at = n == EVENT_TRUE ? EVENT_TRUE : EVENT_FALSE;
	} else {
		if (n > rest->len)
			return false;
		*(struct slice *)(void *)at = slice_head(*rest, n);
		*rest = slice_skip(*rest, n);
	}
	return true;
}

static void
unpack(struct slice bytes, struct event *ev)
{
	event_init(ev, EVENT_RECEPTION);
	while (bytes.len > 0 && unpack_one(&bytes, ev))
		;
	if (ev->raw_rcpt_to.len == 0)
		ev->raw_rcpt_to = ev->rcpt_to;
}

/* ---- messages ---- */

/* Without case: a recipient is what it is. */
static int64_t
rcpt_key(struct slice rcpt)
{
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < rcpt.len; i++) {
		unsigned char c = (unsigned char)rcpt.p[i];

		h = (h ^ (c >= 'A' && c <= 'Z' ? (unsigned char)(c + 32) : c)) * 0x100000001b3;
	}
	return (int64_t)h;
}

/* privacy-policy sha1: what the event has in place of the address. */
static const char *
rcpt_hash(struct slice rcpt, char hex[2 * HASH_SHA1_SIZE + 1])
{
	unsigned char md[HASH_SHA1_SIZE];
	struct buf lower;

	buf_init(&lower, rcpt.len + 1);
	for (size_t i = 0; i < rcpt.len; i++)
		buf_addc(&lower,
		    (char)(rcpt.p[i] >= 'A' && rcpt.p[i] <= 'Z' ? rcpt.p[i] + 32 : rcpt.p[i]));
	hash_sha1(buf_slice(&lower), md);
	buf_free(&lower);
	return hash_hex(md, sizeof(md), hex);
}

static int64_t
hashed_key(struct slice rcpt)
{
	char hex[2 * HASH_SHA1_SIZE + 1];

	return rcpt_key(slice_str(rcpt_hash(rcpt, hex)));
}

static int64_t
key_of(const struct event *ev)
{
	return rcpt_key(ev->rcpt_to.len > 0 ? ev->rcpt_to : ev->rcpt_hash);
}

/* The id as a number that sorts by time; the top bit is turned, since SQLite's numbers have a sign.
 */
#define TOP_BIT ((uint64_t)1 << 63)

static int64_t
id_number(struct message_id id)
{
	return (int64_t)(((uint64_t)id.time << 32 | id.serial) ^ TOP_BIT);
}

static struct message_id
id_of(int64_t number)
{
	uint64_t n = (uint64_t)number ^ TOP_BIT;

	return (struct message_id){ (uint32_t)(n >> 32), (uint32_t)n };
}

void
index_set_use(struct index *ix, bool log, bool reports)
{
	ix->no_log = !log;
	ix->no_reports = !reports;
}

/* What it is goes first, so that an envelope id is no Message-ID. */
static int64_t
name_key(enum index_name what, struct slice name)
{
	static const char letter[] = {
		[INDEX_MESSAGE_ID] = 'M', [INDEX_ENVID] = 'e', [INDEX_RCPT] = 'r'
	};
	uint64_t h = what == INDEX_RCPT ? (uint64_t)rcpt_key(name) : hash_fnv1a(name);

	return (int64_t)((h ^ (unsigned char)letter[what]) * 0x100000001b3);
}

static int
add_name(struct index *ix, enum index_name what, struct slice name, int64_t rcpt, int64_t id,
    struct err *e)
{
	if (name.len == 0)
		return 0;
	sqlite3_bind_int64(ix->stmt[NAME], 1, name_key(what, name));
	sqlite3_bind_int64(ix->stmt[NAME], 2, rcpt);
	sqlite3_bind_int64(ix->stmt[NAME], 3, id);
	return done(ix, NAME, e);
}

static int
add_names(struct index *ix, const struct event *ev, int64_t id, struct err *e)
{
	struct slice rcpt = ev->rcpt_to.len > 0 ? ev->rcpt_to : ev->rcpt_hash;
	int64_t key = key_of(ev);

	if (add_name(ix, INDEX_MESSAGE_ID, ev->header_message_id, key, id, e) < 0 ||
	    add_name(ix, INDEX_ENVID, ev->envid, key, id, e) < 0)
		return -1;
	return add_name(ix, INDEX_RCPT, rcpt, key, id, e);
}

static int
wait_for_fate(struct index *ix, const struct event *ev, int64_t id, struct err *e)
{
	bind_text(ix->stmt[WAIT], 1, ev->queue_id);
	sqlite3_bind_int64(ix->stmt[WAIT], 2, key_of(ev));
	sqlite3_bind_int64(ix->stmt[WAIT], 3, id);
	sqlite3_bind_int64(ix->stmt[WAIT], 4, ev->timestamp);
	if (done(ix, WAIT, e) < 0)
		return -1;
	filter_add(ix, ev->queue_id, ev->timestamp);
	return 0;
}

int
index_learn(struct index *ix, const struct event *ev, struct err *e)
{
	struct message_id id;
	int64_t n;

	if (ev->queue_id.len == 0 || !ids_parse(ev->message_id, &id))
		return 0;
	n = id_number(id);
	pack(ev, &ix->packed);
	sqlite3_bind_int64(ix->stmt[LEARN], 1, n);
	bind_blob(ix->stmt[LEARN], 2, buf_slice(&ix->packed));
	if (done(ix, LEARN, e) < 0)
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

/* The row that a step of `st` gave, copied, since the statement is reset. */
static int
take_row(struct index *ix, sqlite3_stmt *st, struct index_message *out, struct err *e)
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
		unpack(buf_slice(&ix->facts), &out->facts);
		out->facts.message_id = slice_str(ids_text(id_of(out->id), ix->id));
		if (out->received_s == 0)
			out->received_s = out->facts.timestamp;
		rc = 1;
	} else {
		rc = rc == SQLITE_DONE ? 0 : fail(ix, e);
	}
	sqlite3_reset(st);
	return rc;
}

static int
find_one(struct index *ix, struct slice queue_id, int64_t rcpt, int64_t after, int64_t until_s,
    struct index_message *out, struct err *e)
{
	bind_text(ix->stmt[FIND], 1, queue_id);
	sqlite3_bind_int64(ix->stmt[FIND], 2, rcpt);
	sqlite3_bind_int64(ix->stmt[FIND], 3, after);
	sqlite3_bind_int64(ix->stmt[FIND], 4, until_s);
	return take_row(ix, ix->stmt[FIND], out, e);
}

int
index_find(struct index *ix, struct slice queue_id, struct slice rcpt, int64_t after,
    int64_t until_s, struct index_message *out, struct err *e)
{
	int rc;

	if (!filter_asks(ix, queue_id, until_s))
		return 0;
	if (rcpt.len > 0) {
		rc = find_one(ix, queue_id, rcpt_key(rcpt), after, until_s, out, e);
		if (rc == 0 && ix->has_hashed)
			rc = find_one(ix, queue_id, hashed_key(rcpt), after, until_s, out, e);
		return rc;
	}
	bind_text(ix->stmt[FIND_ALL], 1, queue_id);
	sqlite3_bind_int64(ix->stmt[FIND_ALL], 2, after);
	sqlite3_bind_int64(ix->stmt[FIND_ALL], 3, until_s);
	return take_row(ix, ix->stmt[FIND_ALL], out, e);
}

int
index_get(struct index *ix, struct slice message_id, struct index_message *out, struct err *e)
{
	struct message_id id;

	if (!ids_parse(message_id, &id))
		return 0;
	sqlite3_bind_int64(ix->stmt[GET], 1, id_number(id));
	return take_row(ix, ix->stmt[GET], out, e);
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
	enum statement which = rcpt == NULL ? NAMED : NAMED_RCPT;
	int rc;

	do {
		sqlite3_bind_int64(ix->stmt[which], 1, name_key(what, name));
		sqlite3_bind_int64(ix->stmt[which], 2, before);
		if (rcpt != NULL)
			sqlite3_bind_int64(ix->stmt[which], 3, *rcpt);
		rc = take_row(ix, ix->stmt[which], out, e);
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
	key = rcpt_key(rcpt);
	rc = named_as(ix, what, name, &key, out, several, e);
	if (rc != 0 || !ix->has_hashed)
		return rc;
	rcpt = slice_str(rcpt_hash(rcpt, hex));
	key = rcpt_key(rcpt);
	return named_as(ix, what, what == INDEX_RCPT ? rcpt : name, &key, out, several, e);
}

static int
among(struct index *ix, struct slice rcpt, int64_t first, int64_t last, struct index_message *out,
    struct err *e)
{
	sqlite3_bind_int64(ix->stmt[AMONG], 1, name_key(INDEX_RCPT, rcpt));
	sqlite3_bind_int64(ix->stmt[AMONG], 2, rcpt_key(rcpt));
	sqlite3_bind_int64(ix->stmt[AMONG], 3, first);
	sqlite3_bind_int64(ix->stmt[AMONG], 4, last);
	return take_row(ix, ix->stmt[AMONG], out, e);
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
	from = id_number(id);
	to = id_number(ids_nth(id, count - 1));
	rc = among(ix, rcpt, from, to, out, e);
	if (rc == 0 && ix->has_hashed)
		rc = among(ix, slice_str(rcpt_hash(rcpt, hex)), from, to, out, e);
	return rc;
}

int
index_overdue(
    struct index *ix, int64_t received_s, int64_t freed_s, struct index_message *out, struct err *e)
{
	int rc;

	sqlite3_bind_int64(ix->stmt[OVERDUE_FREED], 1, freed_s);
	rc = take_row(ix, ix->stmt[OVERDUE_FREED], out, e);
	if (rc != 0)
		return rc;
	sqlite3_bind_int64(ix->stmt[OVERDUE], 1, received_s);
	return take_row(ix, ix->stmt[OVERDUE], out, e);
}

int
index_freed(struct index *ix, struct slice queue_id, int64_t until_s, int64_t now_s, struct err *e)
{
	if (!filter_asks(ix, queue_id, until_s))
		return 0;
	bind_text(ix->stmt[FREED], 1, queue_id);
	sqlite3_bind_int64(ix->stmt[FREED], 2, until_s);
	sqlite3_bind_int64(ix->stmt[FREED], 3, now_s);
	return done(ix, FREED, e);
}

static void
bind_waiting(const struct index *ix, enum statement which, const struct index_message *m)
{
	bind_text(ix->stmt[which], 1, m->facts.queue_id);
	sqlite3_bind_int64(ix->stmt[which], 2, key_of(&m->facts));
	sqlite3_bind_int64(ix->stmt[which], 3, m->id);
}

int
index_failed(struct index *ix, const struct index_message *m, int64_t at_us, int64_t line,
    struct slice reply, struct err *e)
{
	bind_waiting(ix, FAILED, m);
	sqlite3_bind_int64(ix->stmt[FAILED], 4, at_us);
	sqlite3_bind_int64(ix->stmt[FAILED], 5, line);
	bind_blob(ix->stmt[FAILED], 6, slice_head(reply, REPLY_MAX));
	return done(ix, FAILED, e);
}

int
index_settle(struct index *ix, const struct index_message *m, struct err *e)
{
	bind_waiting(ix, SETTLE, m);
	if (done(ix, SETTLE, e) < 0)
		return -1;
	if (sqlite3_changes(ix->db) > 0)
		filter_remove(ix, m->facts.queue_id);
	return 0;
}

int
index_give_up(struct index *ix, const struct index_message *m, int64_t now_s, struct err *e)
{
	sqlite3_bind_int64(ix->stmt[GIVE_UP], 1, m->id);
	sqlite3_bind_int64(ix->stmt[GIVE_UP], 2, now_s);
	return done(ix, GIVE_UP, e) < 0 ? -1 : index_settle(ix, m, e);
}

/* ---- counting and forgetting ---- */

int
index_pending(struct index *ix, struct index_counts *out, struct err *e)
{
	int64_t pages, unused, size;

	out->messages = 0;
	if (number(ix, "SELECT count(*) FROM waiting", &out->waiting, e) < 0 ||
	    number(ix, "SELECT count(*) FROM unknown", &out->unknown, e) < 0 ||
	    number(ix, "SELECT ifnull(min(received), 0) FROM waiting", &out->oldest_waiting_s, e) <
		0 ||
	    number(ix, "PRAGMA page_count", &pages, e) < 0 ||
	    number(ix, "PRAGMA freelist_count", &unused, e) < 0 ||
	    number(ix, "PRAGMA page_size", &size, e) < 0)
		return -1;
	out->bytes = (pages - unused) * size;
	return 0;
}

int
index_count(struct index *ix, struct index_counts *out, struct err *e)
{
	return index_pending(ix, out, e) < 0
	           ? -1
	           : number(ix, "SELECT count(*) FROM message", &out->messages, e);
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
		return fail(ix, e);
	sqlite3_bind_int64(st, 1, (int64_t)limit);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		m = (struct index_message){ .id = sqlite3_column_int64(st, 0) };
		unpack((struct slice){ sqlite3_column_blob(st, 6),
			   (size_t)sqlite3_column_bytes(st, 6) },
		    &m.facts);
		m.facts.message_id = slice_str(ids_text(id_of(m.id), ix->id));
		m.received_s = m.facts.timestamp;
		each(arg, &m, sqlite3_column_int64(st, 7));
	}
	rc = rc == SQLITE_DONE ? 0 : fail(ix, e);
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
	if (run(ix, sql, e) < 0)
		return -1;
	changes = sqlite3_changes(ix->db);
	if (changes == 0)
		return 0;
	/* Nobody can be found without facts. */
	if (run(ix,
		"DELETE FROM waiting WHERE id < (SELECT ifnull(min(id), 0) FROM message);"
		"DELETE FROM unknown WHERE id < (SELECT ifnull(min(id), 0) FROM message);"
		"DELETE FROM name WHERE id < (SELECT ifnull(min(id), 0) FROM message)",
		e) < 0 ||
	    filter_load(ix, e) < 0)
		return -1;
	return 1;
}

int
index_trim(struct index *ix, int64_t before_s, int64_t max_bytes, struct err *e)
{
	int64_t pages, unused, size;
	int rc = 0;

	if (before_s > 0)
		rc = trim(ix, id_number((struct message_id){ (uint32_t)before_s, 0 }), e);
	if (rc != 0)
		return rc;
	if (number(ix, "PRAGMA page_count", &pages, e) < 0 ||
	    number(ix, "PRAGMA freelist_count", &unused, e) < 0 ||
	    number(ix, "PRAGMA page_size", &size, e) < 0)
		return -1;
	return (pages - unused) * size > max_bytes ? trim(ix, INT64_MAX, e) : 0;
}

/* ---- segments and state ---- */

int
index_has_segment(struct index *ix, const char *name, struct err *e)
{
	sqlite3_stmt *st = ix->stmt[HAS_SEGMENT];
	int rc;

	bind_text(st, 1, slice_str(name));
	rc = sqlite3_step(st);
	rc = rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : fail(ix, e);
	sqlite3_reset(st);
	return rc;
}

int
index_add_segment(struct index *ix, const char *name, struct err *e)
{
	bind_text(ix->stmt[ADD_SEGMENT], 1, slice_str(name));
	return done(ix, ADD_SEGMENT, e);
}

int
index_forget_segment(struct index *ix, const char *name, struct err *e)
{
	bind_text(ix->stmt[FORGET_SEGMENT], 1, slice_str(name));
	return done(ix, FORGET_SEGMENT, e);
}

int
index_state_get(struct index *ix, const char *key, struct buf *out, struct err *e)
{
	sqlite3_stmt *st = ix->stmt[STATE_GET];
	int rc;

	buf_clear(out);
	bind_text(st, 1, slice_str(key));
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		buf_add(out, (struct slice){
				 sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0) });
		rc = 1;
	} else {
		rc = rc == SQLITE_DONE ? 0 : fail(ix, e);
	}
	sqlite3_reset(st);
	return rc;
}

int
index_state_set(struct index *ix, const char *key, struct slice value, struct err *e)
{
	bind_text(ix->stmt[STATE_SET], 1, slice_str(key));
	bind_blob(ix->stmt[STATE_SET], 2, value);
	return done(ix, STATE_SET, e);
}
