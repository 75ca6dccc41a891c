#include "collector/query.h"

#include "collector/params.h"
#include "common/clock.h"

#define PER_PAGE_DEFAULT 1000

/* A parameter's value reaches the SQL as the bound parameter of its name. */
#define LIST(name) "IN (SELECT value FROM json_each(" name "))"

struct page;

struct filter {
	const char *name; /* with the ':' of SQL in front */
	param_reader *read;
	const char *sql; /* NULL: not a condition */
};

enum { PER_PAGE, DELIMITER, COMMON_FILTERS }; /* the first of both tables */

/* clang-format off: a table is read by column */
static const struct filter message_filters[] = {
	[PER_PAGE] = { ":per_page", param_per_page, NULL },
	[DELIMITER] = { ":delimiter", param_delimiter, NULL },
	{ ":timezone", param_utc, NULL },
	{ ":events", param_types, "type " LIST(":events") },
	{ ":recipients", param_lower, "recipient " LIST(":recipients") },
	{ ":campaigns", param_texts, "campaign_id " LIST(":campaigns") },
	{ ":message_ids", param_texts,
	    "(message_id " LIST(":message_ids") " OR custom_message_id " LIST(":message_ids") ")" },
	{ ":event_ids", param_integers, "event_id " LIST(":event_ids") },
	{ ":subaccounts", param_integers, "subaccount_id " LIST(":subaccounts") },
	/* Events have whole seconds: from 10.5 is from 11, to 10.5 is to before 11. */
	{ ":from", param_time, "timestamp >= (:from + 999) / 1000" },
	{ ":to", param_time, "timestamp < (:to + 999) / 1000" },
};

static const struct filter status_filters[] = {
	[PER_PAGE] = { ":per_page", param_per_page, NULL },
	[DELIMITER] = { ":delimiter", param_delimiter, NULL },
	{ ":batch_ids", param_lower, "batch_uuid " LIST(":batch_ids") },
	{ ":event_ids", param_lower, "uuid " LIST(":event_ids") },
	{ ":events", param_outcomes, "(error_type IS NOT NULL) " LIST(":events") },
	{ ":error_types", param_errors, "error_type " LIST(":error_types") },
	{ ":retryable", param_bool, "retryable = :retryable" },
	{ ":subaccounts", param_integers, "0 " LIST(":subaccounts") },
	{ ":from", param_time, "timestamp >= :from" },
	{ ":to", param_time, "timestamp < :to" },
};
/* clang-format on */

#define FILTERS_MAX 16
_Static_assert(COUNT(message_filters) <= FILTERS_MAX && COUNT(status_filters) <= FILTERS_MAX,
    "a value for each filter");

/* What the two questions differ in. Columns 0 and 1 of `select` are the row's place: (at, id). */
struct listing {
	const char *path;
	char cursor_kind;
	const struct filter *filters;
	size_t n_filters;
	const char *newest, *count, *select, *behind, *order;
	const char *detail; /* asked for each row with its column 2; NULL: nothing more to know */
	int (*row)(struct page *p, sqlite3_stmt *st, struct err *e);
};

struct page { /* one request */
	const struct listing *what;
	const struct query *query;
	struct param_value values[FILTERS_MAX];
	bool given[FILTERS_MAX];
	bool first; /* the first page: no cursor, or "initial" */
	struct param_cursor cursor;
	int64_t per_page;
	bool more;
	size_t bytes;         /* of events on this page */
	sqlite3_stmt *detail; /* while rows are read */
	struct json_object *results;
};

/* ---- parameters ---- */

static const struct filter *
find_filter(const struct listing *what, struct slice name)
{
	for (size_t i = 0; i < what->n_filters; i++)
		if (slice_eq(name, slice_str(what->filters[i].name + 1)))
			return &what->filters[i];
	return NULL;
}

/* A filter that is passed over would give wrong rows: say so instead. */
static void
unknown_param(struct slice name, struct answer *a)
{
	char text[64];
	size_t n = name.len < sizeof(text) ? name.len : sizeof(text) - 1;

	for (size_t i = 0; i < n; i++)
		text[i] = name.p[i] > ' ' && name.p[i] <= '~' ? name.p[i] : '?';
	text[n] = '\0';
	answer_error(a, 400, text, "%s: no such parameter here", text);
}

/* False: *a says why. */
static bool
read_param(struct page *p, const struct query_param *param, struct answer *a)
{
	const struct filter *f = find_filter(p->what, param->name);
	size_t i;
	struct err e;

	if (slice_eq(param->name, SLICE_LIT("cursor"))) {
		p->first = slice_eq(param->value, SLICE_LIT("initial"));
		if (p->first || param_cursor_parse(param->value, p->what->cursor_kind, &p->cursor))
			return true;
		answer_error(a, 400, "cursor", "cursor: expected initial, or one from links.next");
		return false;
	}
	if (f == NULL) {
		unknown_param(param->name, a);
		return false;
	}
	i = (size_t)(f - p->what->filters);
	if (f->read(param->value, (char)p->values[DELIMITER].number, &p->values[i], &e) < 0) {
		answer_error(a, 400, f->name + 1, "%s: %s", f->name + 1, e.text);
		return false;
	}
	p->given[i] = true;
	return true;
}

static bool
read_params(struct page *p, struct answer *a)
{
	static const struct slice delimiter = SLICE_LIT("delimiter");
	const struct query *q = p->query;

	p->values[PER_PAGE].number = PER_PAGE_DEFAULT;
	p->values[DELIMITER].number = ',';
	/* Lists need to know the delimiter, wherever it stands. */
	for (size_t i = 0; i < q->n; i++)
		if (slice_eq(q->params[i].name, delimiter) && !read_param(p, &q->params[i], a))
			return false;
	for (size_t i = 0; i < q->n; i++)
		if (!slice_eq(q->params[i].name, delimiter) && !read_param(p, &q->params[i], a))
			return false;
	p->per_page = p->values[PER_PAGE].number;
	return true;
}

/* ---- SQL ---- */

static void
bind_number(sqlite3_stmt *st, const char *name, int64_t n)
{
	int at = sqlite3_bind_parameter_index(st, name);

	if (at > 0)
		sqlite3_bind_int64(st, at, n);
}

static void
bind_all(const struct page *p, sqlite3_stmt *st)
{
	for (size_t i = 0; i < p->what->n_filters; i++) {
		const struct param_value *v = &p->values[i];
		int at = sqlite3_bind_parameter_index(st, p->what->filters[i].name);

		if (at > 0 && v->is_text)
			sqlite3_bind_text64(
			    st, at, v->text.p, v->text.len, SQLITE_STATIC, SQLITE_UTF8);
		else if (at > 0)
			sqlite3_bind_int64(st, at, v->number);
	}
	bind_number(st, ":newest", p->cursor.newest);
	bind_number(st, ":at", p->cursor.at);
	bind_number(st, ":id", p->cursor.id);
	bind_number(st, ":limit", p->per_page + 1); /* one more tells whether there is more */
}

/* `begin`, the conditions that were given, `end`. The text is made of constants only. */
static sqlite3_stmt *
prepare(const struct page *p, sqlite3 *db, const char *begin, const char *behind, const char *end,
    struct err *e)
{
	sqlite3_stmt *st = NULL;
	struct buf sql;

	buf_init(&sql, 16384);
	buf_adds(&sql, begin);
	for (size_t i = 0; i < p->what->n_filters; i++)
		if (p->given[i] && p->what->filters[i].sql != NULL)
			buf_printf(&sql, " AND %s", p->what->filters[i].sql);
	buf_adds(&sql, behind);
	buf_adds(&sql, end);
	if (sqlite3_prepare_v2(db, buf_str(&sql), -1, &st, NULL) != SQLITE_OK)
		err_text(e, 0, "database: %s", sqlite3_errmsg(db));
	else
		bind_all(p, st);
	buf_free(&sql);
	return st;
}

static int
ask_number(sqlite3 *db, sqlite3_stmt *st, int64_t *out, struct err *e)
{
	int rc = 0;

	if (st == NULL)
		return -1;
	if (sqlite3_step(st) == SQLITE_ROW)
		*out = sqlite3_column_int64(st, 0);
	else
		rc = err_set(e, "database: %s", sqlite3_errmsg(db));
	sqlite3_finalize(st);
	return rc;
}

/* The first page fixes what the following ones are about. */
static int
read_totals(struct page *p, sqlite3 *db, struct err *e)
{
	const struct listing *w = p->what;
	sqlite3_stmt *st = NULL;

	if (!p->first)
		return 0;
	if (sqlite3_prepare_v2(db, w->newest, -1, &st, NULL) != SQLITE_OK)
		return err_set(e, "database: %s", sqlite3_errmsg(db));
	if (ask_number(db, st, &p->cursor.newest, e) < 0)
		return -1;
	return ask_number(db, prepare(p, db, w->count, "", "", e), &p->cursor.total, e);
}

static int
step_rows(struct page *p, sqlite3 *db, sqlite3_stmt *st, struct err *e)
{
	int64_t n = 0;
	int rc;

	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		p->more = n == p->per_page || p->bytes > QUERY_PAGE_BYTES;
		if (p->more)
			return 0;
		if (p->what->row(p, st, e) < 0)
			return -1;
		p->cursor.at = sqlite3_column_int64(st, 0);
		p->cursor.id = sqlite3_column_int64(st, 1);
		n++;
	}
	return rc == SQLITE_DONE ? 0 : err_set(e, "database: %s", sqlite3_errmsg(db));
}

static int
read_rows(struct page *p, sqlite3 *db, struct err *e)
{
	const struct listing *w = p->what;
	sqlite3_stmt *st = prepare(p, db, w->select, p->first ? "" : w->behind, w->order, e);
	int rc = -1;

	if (w->detail != NULL &&
	    sqlite3_prepare_v2(db, w->detail, -1, &p->detail, NULL) != SQLITE_OK)
		err_text(e, 0, "database: %s", sqlite3_errmsg(db));
	else if (st != NULL)
		rc = step_rows(p, db, st, e);
	sqlite3_finalize(p->detail);
	p->detail = NULL;
	sqlite3_finalize(st);
	return rc;
}

/* ---- the answer ---- */

static void
add_escaped(struct buf *out, struct slice s)
{
	static const char plain[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~,";

	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] != '\0' && strchr(plain, s.p[i]) != NULL)
			buf_addc(out, s.p[i]);
		else
			buf_printf(out, "%%%02X", (unsigned char)s.p[i]);
}

/* The same question with the new cursor. */
static void
add_next(const struct page *p, struct json_object *links)
{
	const struct query *q = p->query;
	struct buf url;

	buf_init(&url, BUF_NO_LIMIT);
	buf_printf(&url, "%s?", p->what->path);
	for (size_t i = 0; i < q->n; i++) {
		if (slice_eq(q->params[i].name, SLICE_LIT("cursor")))
			continue;
		add_escaped(&url, q->params[i].name);
		buf_addc(&url, '=');
		add_escaped(&url, q->params[i].value);
		buf_addc(&url, '&');
	}
	buf_adds(&url, "cursor=");
	param_cursor_print(&p->cursor, p->what->cursor_kind, &url);
	json_object_object_add(links, "next", json_object_new_string(buf_str(&url)));
	buf_free(&url);
}

static void
answer_page(struct page *p, struct answer *a)
{
	struct json_object *top = json_object_new_object(), *links = json_object_new_object();

	if (p->more)
		add_next(p, links);
	json_object_object_add(top, "results", p->results);
	json_object_object_add(top, "total_count", json_object_new_int64(p->cursor.total));
	json_object_object_add(top, "links", links);
	p->results = NULL;
	answer_json(a, 200, top);
}

/* Count and rows are of one state of the store. */
static int
read_page(struct page *p, struct store *s, struct err *e)
{
	sqlite3 *db = store_reader(s, e);
	int rc;

	if (db == NULL)
		return -1;
	sqlite3_exec(db, "BEGIN", NULL, NULL, NULL);
	rc = read_totals(p, db, e) < 0 ? -1 : read_rows(p, db, e);
	sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	store_reader_done(s, db);
	return rc;
}

static int
list(struct store *s, const struct listing *what, const struct query *q, struct answer *a,
    struct err *e)
{
	struct page p = { .what = what, .query = q, .first = true };
	int rc = 0;

	for (size_t i = 0; i < COUNT(p.values); i++)
		buf_init(&p.values[i].text, BUF_NO_LIMIT);
	p.results = json_object_new_array();
	if (read_params(&p, a)) {
		rc = read_page(&p, s, e);
		if (rc < 0)
			answer_error(a, 503, NULL, "the store can't be read");
		else
			answer_page(&p, a);
	}
	json_object_put(p.results);
	for (size_t i = 0; i < COUNT(p.values); i++)
		param_value_free(&p.values[i]);
	return rc;
}

/* ---- events ---- */

static struct slice
column(sqlite3_stmt *st, int i)
{
	const char *p = (const char *)sqlite3_column_text(st, i);

	return (struct slice){ p != NULL ? p : "", (size_t)sqlite3_column_bytes(st, i) };
}

static struct json_object *
json_time(int64_t ms)
{
	char text[CLOCK_ISO_SIZE];

	return json_object_new_string(clock_iso(ms, text));
}

/* The inner object of {"msys":{CLASS:{...}}}, held; NULL if it is not so. */
static struct json_object *
unwrap(struct slice line)
{
	struct json_tokener *t = json_tokener_new();
	struct json_object *top = json_tokener_parse_ex(t, line.p, (int)line.len), *msys,
			   *inner = NULL;

	if (top != NULL && json_object_object_get_ex(top, "msys", &msys)) {
		json_object_object_foreach(msys, class, o)
		{
			(void)class;
			inner = json_object_get(o);
			break;
		}
	}
	json_object_put(top);
	json_tokener_free(t);
	return inner;
}

/* The event that was posted as row `seq`, held; NULL if it can't be had. */
static struct json_object *
posted_event(struct page *p, int64_t seq)
{
	struct json_object *o = NULL;

	sqlite3_bind_int64(p->detail, 1, seq);
	if (sqlite3_step(p->detail) == SQLITE_ROW) {
		struct slice line = column(p->detail, 0);

		p->bytes += line.len;
		o = unwrap(line);
	}
	sqlite3_reset(p->detail);
	return o;
}

/* All fields as they were posted, but type, timestamp and event_id as the Events API spells them.
 */
static int
message_row(struct page *p, sqlite3_stmt *st, struct err *e)
{
	struct json_object *o = posted_event(p, sqlite3_column_int64(st, 2));
	struct slice wire = column(st, 3);
	const char *public = wire.p;
	enum event_type type;
	char id[32];

	if (o == NULL)
		return err_set(e, "event %lld can't be read", sqlite3_column_int64(st, 1));
	if (event_type_find(wire, &type))
	public = event_public_name(type);
	sqlite3_snprintf(sizeof(id), id, "%lld", sqlite3_column_int64(st, 1));
	json_object_object_add(o, "type", json_object_new_string(public));
	json_object_object_add(o, "event_id", json_object_new_string(id));
	json_object_object_add(o, "timestamp", json_time(sqlite3_column_int64(st, 0) * 1000));
	json_object_array_add(p->results, o);
	return 0;
}

static const struct listing messages = {
	.path = QUERY_MESSAGE_PATH,
	.cursor_kind = 'm',
	.filters = message_filters,
	.n_filters = COUNT(message_filters),
	.newest = "SELECT coalesce(max(seq), 0) FROM event",
	/* '+': an index that covers the conditions is better than the table, which has the lines.
	 */
	.count = "SELECT count(*) FROM event WHERE +seq <= :newest",
	/* Not the line: SQLite would carry all lines along where it has to sort. */
	.select = "SELECT timestamp, event_id, seq, type FROM event WHERE +seq <= :newest",
	.detail = "SELECT line FROM event WHERE seq = ?",
	.behind = " AND (timestamp, event_id) < (:at, :id)",
	.order = " ORDER BY timestamp DESC, event_id DESC LIMIT :limit",
	.row = message_row,
};

int
query_messages(struct store *s, const struct query *q, struct answer *a, struct err *e)
{
	return list(s, &messages, q, a, e);
}

/* ---- statuses ---- */

static void
add_column(struct json_object *o, const char *name, sqlite3_stmt *st, int i)
{
	json_object_object_add(
	    o, name, json_object_new_string((const char *)sqlite3_column_text(st, i)));
}

static int
status_row(struct page *p, sqlite3_stmt *st, struct err *e)
{
	struct json_object *o = json_object_new_object();
	bool error = sqlite3_column_type(st, 4) != SQLITE_NULL;
	static const char *const numbers[] = { "number_succeeded", "number_failed",
		"number_duplicates" };

	(void)e;
	json_object_object_add(o, "type", json_object_new_string(error ? "error" : "success"));
	add_column(o, "batch_id", st, 2);
	add_column(o, "event_id", st, 3);
	if (error) {
		char href[128];

		add_column(o, "error_type", st, 4);
		json_object_object_add(
		    o, "retryable", json_object_new_boolean(sqlite3_column_int(st, 5)));
		sqlite3_snprintf(
		    sizeof(href), href, QUERY_FAILURES_PATH "%s", sqlite3_column_text(st, 2));
		json_object_object_add(o, "href", json_object_new_string(href));
	}
	for (size_t i = 0; i < COUNT(numbers); i++)
		json_object_object_add(
		    o, numbers[i], json_object_new_int64(sqlite3_column_int64(st, 6 + (int)i)));
	json_object_object_add(o, "timestamp", json_time(sqlite3_column_int64(st, 0)));
	json_object_object_add(o, "expiration_timestamp", json_time(sqlite3_column_int64(st, 9)));
	json_object_object_add(
	    o, "customer_id", json_object_new_int64((int64_t)p->query->customer_id));
	json_object_object_add(o, "subaccount_id", json_object_new_int(0));
	json_object_array_add(p->results, o);
	return 0;
}

static const struct listing statuses = {
	.path = QUERY_INGEST_PATH,
	.cursor_kind = 's',
	.filters = status_filters,
	.n_filters = COUNT(status_filters),
	.newest = "SELECT coalesce(max(id), 0) FROM status",
	.count = "SELECT count(*) FROM status WHERE id <= :newest",
	.select =
	    "SELECT timestamp, id, batch_uuid, uuid, error_type, retryable, succeeded, failed,"
	    " duplicates, expires FROM status WHERE id <= :newest",
	.behind = " AND id < :id",
	.order = " ORDER BY id DESC LIMIT :limit",
	.row = status_row,
};

int
query_statuses(struct store *s, const struct query *q, struct answer *a, struct err *e)
{
	return list(s, &statuses, q, a, e);
}
