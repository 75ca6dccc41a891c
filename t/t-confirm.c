/*
 * What an ingest endpoint says about batches, where it is asked, and what is kept of it in
 * the ledger's database.
 */
#include <zlib.h>

#include "common/ledger_batch.h"
#include "t/spooldir.h"
#include "t/tap.h"
#include "uploader/confirm_range.h"
#include "uploader/confirm_read.h"
#include "uploader/confirm_url.h"

static void
statuses(void)
{
	static const struct {
		const char *rows;
		enum confirm_outcome outcome;
		bool once;
		uint64_t failed;
		const char *error_type;
	} rows[] = {
		{ "", CONFIRM_UNKNOWN, false, 0, "" },
		{ "{\"type\":\"success\",\"batch_id\":\"b\",\"number_failed\":0}", CONFIRM_TAKEN,
		    false, 0, "" },
		{ "{\"type\":\"success\",\"batch_id\":\"B\"}", CONFIRM_TAKEN, false, 0, "" },
		{ "{\"type\":\"success\",\"batch_id\":\"x\"}", CONFIRM_UNKNOWN, false, 0, "" },
		{ "{\"type\":\"success\",\"batch_id\":\"b\",\"number_failed\":2}", CONFIRM_FAILURES,
		    false, 2, "" },
		{ "{\"type\":\"error\",\"batch_id\":\"b\",\"error_type\":\"validation\",\"number_"
		  "failed\":2,\"retryable\":false}",
		    CONFIRM_FAILURES, false, 2, "validation" },
		{ "{\"type\":\"error\",\"batch_id\":\"b\",\"error_type\":\"system\",\"retryable\":"
		  "true}",
		    CONFIRM_AGAIN, false, 0, "system" },
		{ "{\"type\":\"error\",\"batch_id\":\"b\",\"error_type\":\"decompress\","
		  "\"retryable\":false}",
		    CONFIRM_AGAIN, true, 0, "decompress" },
		{ "{\"type\":\"error\",\"batch_id\":\"b\",\"error_type\":\"empty_batch\"}",
		    CONFIRM_AGAIN, true, 0, "empty_batch" },
		{ "{\"type\":\"error\",\"batch_id\":\"b\",\"error_type\":\"duplicate_batch\"}",
		    CONFIRM_TAKEN, false, 0, "duplicate_batch" },
		{ "{\"type\":\"error\",\"batch_id\":\"b\",\"error_type\":\"new\",\"retryable\":"
		  "true}",
		    CONFIRM_AGAIN, false, 0, "new" },
		{ "{\"type\":\"error\",\"batch_id\":\"b\",\"error_type\":\"new\\u001b\"}",
		    CONFIRM_REFUSED, false, 0, "new?" },
		{ "{\"type\":\"error\",\"batch_id\":\"b\"}", CONFIRM_REFUSED, false, 0, "unknown" },
		{ "{\"type\":\"error\",\"batch_id\":\"b\",\"error_type\":7}", CONFIRM_REFUSED,
		    false, 0, "unknown" },
		{ "{\"type\":\"error\",\"batch_id\":\"b\",\"error_type\":[\"system\"],"
		  "\"retryable\":true}",
		    CONFIRM_AGAIN, false, 0, "unknown" },
		{ "{\"type\":\"maybe\",\"batch_id\":\"b\"}", CONFIRM_UNKNOWN, false, 0, "" },
		/* A repeat that went well outweighs the trouble before it; lines that failed
		   outweigh all. */
		{ "{\"type\":\"success\",\"batch_id\":\"b\"},{\"type\":\"error\",\"batch_id\":"
		  "\"b\",\"error_type\":\"system\",\"retryable\":true}",
		    CONFIRM_TAKEN, false, 0, "" },
		{ "{\"type\":\"error\",\"batch_id\":\"b\",\"error_type\":\"validation\",\"number_"
		  "failed\":1},{\"type\":\"success\",\"batch_id\":\"b\"}",
		    CONFIRM_FAILURES, false, 1, "validation" },
	};
	static const char *const bad[] = { "", "[]", "{}", "{\"results\":{}}", "<html>" };
	static const char *const names[] = { "a", "b" };
	struct confirm_status s[2];
	struct err e;

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf b;

		buf_init(&b, BUF_NO_LIMIT);
		buf_printf(&b, "{\"results\":[%s],\"links\":{}}", rows[i].rows);
		ok(confirm_read_statuses(buf_slice(&b), names, 2, s, &e) == 0 &&
			s[0].outcome == CONFIRM_UNKNOWN && s[1].outcome == rows[i].outcome &&
			s[1].once == rows[i].once && s[1].failed == rows[i].failed &&
			strcmp(s[1].error_type, rows[i].error_type) == 0,
		    "status %s", rows[i].rows);
		buf_free(&b);
	}
	for (size_t i = 0; i < COUNT(bad); i++)
		ok(confirm_read_statuses(slice_str(bad[i]), names, 2, s, &e) < 0, "'%s': %s",
		    bad[i], e.text);
}

static struct buf
gzip(struct slice in)
{
	unsigned char out[4096];
	z_stream z = { 0 };
	struct buf b;

	buf_init(&b, BUF_NO_LIMIT);
	deflateInit2(&z, 9, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY);
	z.next_in = (unsigned char *)(uintptr_t)in.p;
	z.avail_in = (uInt)in.len;
	z.next_out = out;
	z.avail_out = sizeof(out);
	deflate(&z, Z_FINISH);
	buf_add(&b, (struct slice){ (const char *)out, sizeof(out) - z.avail_out });
	deflateEnd(&z);
	return b;
}

static void
failures(void)
{
	static const struct {
		const char *body, *lines, *reasons, *first;
	} rows[] = {
		{ "", "", "", "" },
		{ "{\"line\":2,\"reason\":\"not JSON\",\"event\":\"no event\"}\n", "no event\n",
		    "line 2: not JSON\n", "not JSON" },
		{ "{\"msys\":{\"message_event\":{}}}\n\n{\"msys\":{}}", /* the events themselves */
		    "{\"msys\":{\"message_event\":{}}}\n{\"msys\":{}}\n", "", "" },
		{ "{\"message\":\"Missing rcpt_hash\",\"event\":{\"msys\":{\"a\":1}}}\n",
		    "{\"msys\":{\"a\":1}}\n", "line 1: Missing rcpt_hash\n", "Missing rcpt_hash" },
		{ "no JSON\n", "no JSON\n", "", "" },
		{ "{\"event\":\"a\\nb\",\"reason\":\"\\u001b[1m\"}\n", "ab\n", "line 1: ?[1m\n",
		    "?[1m" },
	};
	struct confirm_failures f;
	struct buf gz;
	struct err e;

	for (size_t i = 0; i < COUNT(rows); i++)
		for (int zip = 0; zip < 2; zip++) {
			gz = gzip(slice_str(rows[i].body));
			ok(confirm_read_failures(
			       zip ? buf_slice(&gz) : slice_str(rows[i].body), &f, &e) == 0 &&
				slice_eq(buf_slice(&f.lines), slice_str(rows[i].lines)) &&
				slice_eq(buf_slice(&f.reasons), slice_str(rows[i].reasons)) &&
				strcmp(f.first, rows[i].first) == 0,
			    "failures %zu, %s", i, zip ? "gzip" : "plain");
			confirm_failures_free(&f);
			buf_free(&gz);
		}
	gz = gzip(SLICE_LIT("{}\n"));
	gz.len -= 3;
	ok(confirm_read_failures(buf_slice(&gz), &f, &e) < 0 && strstr(e.text, "damaged") != NULL,
	    "cut short: %s", e.text);
	confirm_failures_free(&f);
	buf_free(&gz);
}

static void
urls(void)
{
	static const char *const ids[] = { "a-1", "b&c" };
	struct buf out;

	buf_init(&out, BUF_NO_LIMIT);
	ok(confirm_url_statuses("https://u:p@api.example:8443/x/api/v1/ingest/events/?q=1", ids, 2,
	       1785844800, 1785844860, &out) &&
		strcmp(buf_str(&out),
		    "https://u:p@api.example:8443/x/api/v1/events/ingest?batch_ids="
		    "a-1%2cb%26c&from=2026-08-04T12%3a00%3a00Z&to=2026-08-04T12%3a01%3a00Z"
		    "&per_page=1000") == 0,
	    "statuses: %s", buf_str(&out));
	ok(confirm_url_failures("http://127.0.0.1:80/api/v1/ingest/events", "../b?c", &out) &&
		strcmp(buf_str(&out),
		    "http://127.0.0.1:80/api/v1/ingest/events/failures/..%2fb%3fc") == 0,
	    "failures: %s", buf_str(&out));
	ok(!confirm_url_statuses("https://api.example/other", ids, 2, 0, 0, &out) &&
		!confirm_url_failures("no url at all", "a", &out),
	    "other addresses have none");
	buf_free(&out);
}

static void
ranges(struct spool *sp)
{
	static const char name[] = "sp1-0006449A1B2C3D4E.json";
	struct ledger_batch b = { .from = 0 };
	struct buf file, lines, body;
	struct err e;
	int fd = openat(spool_events_fd(sp), name, O_CREAT | O_WRONLY, 0600);

	buf_init(&file, BUF_NO_LIMIT);
	buf_init(&lines, BUF_NO_LIMIT);
	buf_init(&body, BUF_NO_LIMIT);
	spooldir_line(&file, 1);
	b.end = file.len;
	spooldir_line(&file, 2);
	ok(file_write_all(fd, buf_slice(&file)) == 0, "a segment");
	close(fd);
	memcpy(b.segment, name, sizeof(name));
	ok(confirm_range_read(sp, &b, &lines, &e) == 0 &&
		slice_eq(buf_slice(&lines), slice_head(buf_slice(&file), b.end)),
	    "a part of it");
	ok(confirm_range_pack(buf_slice(&lines), 0, &body, &e) == 0 && body.len > 20, "packed");
	ok(confirm_range_pack(buf_slice(&lines), 1785844801, &body, &e) == 1, "all too old");
	ok(confirm_range_pack(SLICE_LIT("no event\n"), 0, &body, &e) == 1, "no events");
	b.end = file.len + 1;
	ok(confirm_range_read(sp, &b, &lines, &e) < 0 && strstr(e.text, "shorter") != NULL, "%s",
	    e.text);
	b.end = UINT64_MAX;
	ok(confirm_range_read(sp, &b, &lines, &e) < 0, "%s", e.text);
	b.end = 1;
	unlinkat(spool_events_fd(sp), name, 0);
	ok(confirm_range_read(sp, &b, &lines, &e) < 0, "%s", e.text);
	buf_free(&file);
	buf_free(&lines);
	buf_free(&body);
}

static void
kept(struct spool *sp)
{
	static const char segment[] = "sp1-0006449A1B2C3D4E.json";
	struct ledger *l;
	struct ledger_batches *b;
	struct ledger_batch one = { .events = 3, .end = 100, .sent_s = 7 }, got;
	struct ledger_segment s;
	struct ledger_counts counts;
	const uint64_t taken[LEDGER_FATES] = { [LEDGER_UPLOADED] = 3 };
	int64_t sink;
	struct err e;

	l = ledger_open(spool_dir(sp), true, NULL, &e);
	b = ledger_batches_open(l, &e);
	ok(l != NULL && b != NULL, "opened");
	ok(ledger_sink(l, "signals", true, &sink, &e) == 0 &&
		ledger_enter(l, segment, 6, 200, 1, &e) == 1,
	    "a segment of 6 events");
	one.sink = sink;
	memcpy(one.segment, segment, sizeof(segment));
	for (int i = 0; i < 2; i++) {
		snprintf(one.batch, sizeof(one.batch), "batch-%d", i);
		one.from = i == 0 ? 0 : 100;
		one.end = one.from + 100;
		ok(ledger_begin(l, &e) == 0 && ledger_batch_add(b, &one, &e) == 0 &&
			ledger_advance(l, sink, segment, one.end, false, taken, &e) == 0 &&
			ledger_commit(l, &e) == 0,
		    "batch %d", i);
	}
	ledger_batches_close(b);
	ledger_close(l);
	l = ledger_open(spool_dir(sp), true, NULL, &e);
	b = ledger_batches_open(l, &e);
	ok(ledger_batch_next(b, sink, 0, &got, &e) == 1 && strcmp(got.batch, "batch-0") == 0 &&
		got.events == 3 && got.end == 100 && got.sent_s == 7 && got.again == 0 &&
		strcmp(got.segment, segment) == 0,
	    "they are there after a restart");
	ok(ledger_batch_holds(b, sink, segment, &e) == 1 &&
		ledger_batch_holds(b, 99, segment, &e) == 0,
	    "the segment is held, for this sink");
	ok(ledger_batch_renamed(b, got.id, "other", &e) == 0 &&
		ledger_batch_get(b, got.id, &got, &e) == 1 && strcmp(got.batch, "other") == 0 &&
		got.again == 1,
	    "sent again under another name");
	ok(ledger_batch_settle(b, &got, 2, &e) == 0 && ledger_batch_get(b, got.id, &got, &e) == 0 &&
		ledger_batch_settle(b, &got, 2, &e) == 0,
	    "settled, and only once");
	ok(ledger_counts(l, sink, &counts, &e) == 0 && counts.fate[LEDGER_UPLOADED] == 4 &&
		counts.fate[LEDGER_REJECTED] == 2,
	    "what was refused is moved from uploaded to rejected");
	ok(ledger_find(l, sink, segment, &s, &e) == 1 && !s.done, "the segment is not done yet");
	ok(ledger_batch_next(b, 0, 0, &got, &e) == 1 && ledger_batch_settle(b, &got, 99, &e) == 1 &&
		ledger_find(l, sink, segment, &s, &e) == 1 && s.done && s.gone,
	    "with the last batch it is, and goes");
	ok(ledger_counts(l, sink, &counts, &e) == 0 && counts.fate[LEDGER_UPLOADED] == 1 &&
		counts.fate[LEDGER_REJECTED] == 5,
	    "no more is refused than a batch has");
	ledger_batches_close(b);
	ledger_close(l);
}

int
main(void)
{
	char path[SPOOLDIR_SIZE];
	struct spool *sp;
	struct err e;

	statuses();
	failures();
	urls();
	sp = spool_open(spooldir_make(path), &e);
	ranges(sp);
	kept(sp);
	spool_close(sp);
	spooldir_remove(path);
	return tap_done();
}
