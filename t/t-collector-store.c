/*
 * The store below the collector: batches in and out, what is refused, what is
 * forgotten, without HTTP.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <signal.h>

#include "collector/download.h"
#include "collector/ingest.h"
#include "collector/query.h"
#include "t/gzip.h"
#include "t/tap.h"

static char dir[64], path[128];
static const struct ingest_limits limits = { .max_events = 1 << 20, .retention_s = 60 };

static void
make_dir(void)
{
	snprintf(dir, sizeof(dir), "/tmp/t-collector-XXXXXX");
	if (mkdtemp(dir) == NULL) {
		perror("mkdtemp");
		exit(1);
	}
	snprintf(path, sizeof(path), "%s/sub/events.db", dir);
}

static void
remove_dir(void)
{
	static const char *const endings[] = { "", "-wal", "-shm" };
	char name[160];

	for (size_t i = 0; i < COUNT(endings); i++) {
		snprintf(name, sizeof(name), "%s%s", path, endings[i]);
		unlink(name);
	}
	snprintf(name, sizeof(name), "%s/sub", dir);
	rmdir(name);
	rmdir(dir);
}

static void
add_event(struct buf *out, int id, const char *rcpt)
{
	buf_printf(out,
	    "{\"msys\":{\"message_event\":{\"type\":\"inband\",\"event_id\":\"%d\","
	    "\"timestamp\":\"%d\",\"recv_method\":\"esmtp\",\"message_id\":\"m%d\","
	    "\"rcpt_to\":\"%s\"}}}\n",
	    id, 1785844800 + id, id, rcpt);
}

static struct ingest_report
post(struct store *s, const char *text, unsigned want_status)
{
	struct ingest_report report;
	struct answer a;
	struct buf gz;

	answer_init(&a);
	buf_init(&gz, BUF_NO_LIMIT);
	gzip_add(&gz, slice_str(text));
	ingest_events(s, &limits, buf_slice(&gz), &a, &report);
	ok(a.status == want_status && a.body.len > 0, "POST: %u (%s)", a.status, buf_str(&a.body));
	buf_free(&gz);
	answer_free(&a);
	return report;
}

/* Number of events that a question finds, or the status if that is not 200. */
static int64_t
find(struct store *s, const char *name, const char *value)
{
	struct query_param param = { slice_str(name), slice_str(value) };
	struct query q = { .params = &param, .n = name != NULL };
	struct json_object *top, *total;
	struct answer a;
	struct err e;
	int64_t n;

	answer_init(&a);
	query_messages(s, &q, &a, &e);
	n = a.status;
	if (a.status == 200) {
		top = json_tokener_parse(buf_str(&a.body));
		json_object_object_get_ex(top, "total_count", &total);
		n = json_object_get_int64(total);
		json_object_put(top);
	}
	answer_free(&a);
	return n;
}

/* The batch as text, unpacked. */
static void
fetch(struct store *s, enum download_kind kind, const char *uuid, struct buf *out)
{
	struct download *d;
	struct buf gz;
	struct err e;
	z_stream z = { 0 };
	ssize_t n;
	char bytes[7]; /* small: every edge is crossed */

	buf_clear(out);
	buf_init(&gz, BUF_NO_LIMIT);
	if (download_open(s, kind, slice_str(uuid), &d, &e) != 1)
		return;
	while ((n = download_read(d, bytes, sizeof(bytes), &e)) > 0)
		buf_add(&gz, (struct slice){ bytes, (size_t)n });
	ok(n == 0 && download_read(d, bytes, sizeof(bytes), &e) == 0,
	    "a download ends once and for all");
	download_close(d);
	buf_reserve(out, 1 << 20);
	z.next_in = (Bytef *)gz.p;
	z.avail_in = (uInt)gz.len;
	z.next_out = (Bytef *)out->p;
	z.avail_out = 1 << 20;
	inflateInit2(&z, MAX_WBITS + 16);
	ok(inflate(&z, Z_FINISH) == Z_STREAM_END, "and is whole");
	out->len = (1 << 20) - z.avail_out;
	out->p[out->len] = '\0';
	inflateEnd(&z);
	buf_free(&gz);
}

static void
batches(struct store *s)
{
	struct ingest_report a, b, c;
	struct buf one, two, got;

	buf_init(&one, BUF_NO_LIMIT);
	buf_init(&two, BUF_NO_LIMIT);
	buf_init(&got, BUF_NO_LIMIT);
	add_event(&one, 1, "Anna@example.net");
	add_event(&one, 2, "bob@example.net");
	a = post(s, buf_str(&one), 200);
	ok(a.error_type == NULL && a.counts.succeeded == 2 && strlen(a.uuid) == 36, "two events");
	b = post(s, buf_str(&one), 200);
	ok(b.error_type != NULL && strcmp(b.error_type, "duplicate_batch") == 0 &&
		strcmp(a.uuid, b.uuid) != 0,
	    "the same again");
	add_event(&two, 2, "bob@example.net");
	buf_adds(&two, "{}\n");
	add_event(&two, 3, "anna@EXAMPLE.net");
	c = post(s, buf_str(&two), 200);
	ok(strcmp(c.error_type, "validation") == 0 && c.counts.succeeded == 1 &&
		c.counts.failed == 1 && c.counts.duplicates == 1,
	    "one new, one bad, one that was there");
	fetch(s, DOWNLOAD_EVENTS, a.uuid, &got);
	ok(slice_eq(buf_slice(&got), buf_slice(&one)), "the first batch comes back");
	fetch(s, DOWNLOAD_EVENTS, b.uuid, &got);
	ok(got.len == 0, "the second is empty");
	fetch(s, DOWNLOAD_EVENTS, c.uuid, &got);
	ok(strstr(buf_str(&got), "\"m3\"") != NULL && strstr(buf_str(&got), "\"m2\"") == NULL,
	    "the third has its own event only");
	fetch(s, DOWNLOAD_FAILURES, c.uuid, &got);
	ok(strcmp(buf_str(&got),
	       "{\"line\":2,\"reason\":\"not {\\\"msys\\\":{...}}\",\"event\":\"{}\"}\n") == 0,
	    "and one failure: %s", buf_str(&got));
	ok(find(s, NULL, "") == 3 && find(s, "recipients", "ANNA@example.net") == 2 &&
		find(s, "events", "bounce") == 3 && find(s, "events", "open") == 0 &&
		find(s, "nothing", "") == 400,
	    "questions");
	buf_free(&one);
	buf_free(&two);
	buf_free(&got);
}

static void
nothing_in_part(struct store *s)
{
	struct rlimit was, tight;
	struct ingest_report r;
	struct buf many;

	buf_init(&many, BUF_NO_LIMIT);
	for (int i = 1000; i < 3000; i++)
		add_event(&many, i, "disk@example.net");
	getrlimit(RLIMIT_FSIZE, &was);
	tight = was;
	tight.rlim_cur = 200000;
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &tight);
	r = post(s, buf_str(&many), 503);
	setrlimit(RLIMIT_FSIZE, &was);
	ok(r.uuid[0] == '\0' && strstr(r.err.text, "database: ") == r.err.text, "disk full: %s",
	    r.err.text);
	ok(find(s, "recipients", "disk@example.net") == 0, "nothing of it is there");
	r = post(s, buf_str(&many), 200);
	ok(r.error_type == NULL && r.counts.succeeded == 2000, "later all of it is");
	buf_free(&many);
}

static void
limits_of_a_batch(struct store *s)
{
	struct buf big;

	buf_init(&big, BUF_NO_LIMIT);
	while (big.len <= limits.max_events)
		add_event(&big, 5000, "big@example.net");
	post(s, buf_str(&big), 413);
	ok(find(s, "recipients", "big@example.net") == 0, "too much: nothing is stored");
	buf_free(&big);
}

static void
forgetting(struct store *s)
{
	int64_t now_ms = 4000000000000; /* far from now: everything is old */
	struct err e;
	int steps = 0, rc;

	ok(store_purge(s, 0, &e) == 0 && find(s, NULL, "") == 2003, "nothing is that old");
	while ((rc = store_purge(s, now_ms, &e)) == 1)
		steps++;
	ok(rc == 0 && steps >= 2, "in %d steps", steps);
	ok(find(s, NULL, "") == 0, "all is gone");
	ok(store_purge(s, now_ms, &e) == 0, "and there is nothing more to do");
}

static void
opening(void)
{
	static const struct {
		const char *sql, *error;
	} cases[] = {
		{ "PRAGMA user_version = 2",
		    "schema version 2, but this program knows only version 1; "
		    "use the program that wrote it, or another database" },
		{ "PRAGMA application_id = 7", "not a database of signalpost-collector" },
	};
	struct stat st;
	struct err e;

	ok(stat(path, &st) == 0 && (st.st_mode & 0777) == 0640, "mode 0640");
	for (size_t i = 0; i < COUNT(cases); i++) {
		char want[400];
		struct store *s;
		sqlite3 *db;

		sqlite3_open(path, &db);
		sqlite3_exec(db, cases[i].sql, NULL, NULL, NULL);
		sqlite3_close(db);
		snprintf(want, sizeof(want), "%s: %s", path, cases[i].error);
		s = store_open(path, &e);
		ok(s == NULL && strcmp(e.text, want) == 0, "refused: %s",
		    s == NULL ? e.text : "no");
		store_close(s);
	}
	ok(store_open("/dev/null/x.db", &e) == NULL, "no directory: %s", e.text);
}

static void
interrupted(struct store *s)
{
	struct ingest_report r;
	struct buf one;

	buf_init(&one, BUF_NO_LIMIT);
	add_event(&one, 9000, "late@example.net");
	store_interrupt(s);
	r = post(s, buf_str(&one), 503);
	ok(strcmp(r.err.text, "shutting down") == 0, "%s", r.err.text);
	buf_free(&one);
}

int
main(void)
{
	struct store *s;
	struct err e;

	umask(022);
	make_dir();
	s = store_open(path, &e);
	if (!ok(s != NULL, "open: %s", s == NULL ? e.text : path))
		return tap_done();
	batches(s);
	nothing_in_part(s);
	limits_of_a_batch(s);
	store_close(s);
	s = store_open(path, &e);
	ok(s != NULL && find(s, NULL, "") == 2003, "all is there after a restart");
	forgetting(s);
	interrupted(s);
	store_close(s);
	opening();
	remove_dir();
	return tap_done();
}
