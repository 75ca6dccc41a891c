#include "collector/ingest.h"

#include "collector/inflate.h"
#include "common/clock.h"
#include "common/event.h"
#include "common/utf8.h"

_Static_assert(INFLATE_LINE_MAX == EVENT_LINE_MAX, "a line that can be an event is not cut");

#define RETRY_AFTER_S 5
#define YEAR_9999     INT64_C(253402300799) /* its last second */

struct survey { /* the whole batch, before anything of it is stored */
	enum inflate_result result;
	bool blank;
	uint64_t lines;
	unsigned char digest[HASH_SHA256_SIZE];
};

static bool
is_blank(struct slice s)
{
	return slice_trim(s).len == 0;
}

static uint64_t
count_lf(struct slice s)
{
	uint64_t n = 0;

	for (size_t i = 0; i < s.len; i++)
		n += s.p[i] == '\n';
	return n;
}

/*
 * Inflating twice is cheap next to reading JSON, and so nothing is written, and
 * no other batch waits, for one that turns out to be damaged or too big.
 */
static void
survey_batch(struct slice body, uint64_t max, struct survey *out)
{
	struct hash *h = hash_sha256_begin();
	struct inflate in;
	struct slice piece;

	*out = (struct survey){ .blank = true };
	inflate_begin(&in, body, max);
	while ((out->result = inflate_piece(&in, &piece)) == INFLATE_OK) {
		hash_add(h, piece);
		out->blank = out->blank && is_blank(piece);
		out->lines += count_lf(piece);
		if (out->lines > INGEST_LINES_MAX) {
			out->result = INFLATE_TOO_BIG;
			break;
		}
	}
	inflate_end(&in);
	hash_end(h, out->digest);
}

/* ---- one line ---- */

struct work {
	struct store *store;
	struct store_counts counts;
	struct buf fields, clean;
};

static int
keep_failure(struct work *w, const struct inflate_line *line, const char *reason, struct err *e)
{
	struct slice text = line->text;

	if (++w->counts.failed > INGEST_FAILURES_MAX)
		return 0;
	if (line->cut)
		text = slice_head(text, INGEST_CUT_LINE_SHOWN);
	buf_clear(&w->clean);
	utf8_clean(&w->clean, text);
	return store_failure(w->store, line->number, reason, buf_slice(&w->clean), e);
}

static int
take_line(struct work *w, const struct inflate_line *line, struct err *e)
{
	struct slice text = slice_trim(line->text);
	struct event ev;
	struct err why;
	int stored;

	if (text.len == 0 && !line->cut)
		return 0;
	if (line->cut) {
		err_text(&why, 0, "line longer than %d bytes", EVENT_LINE_MAX);
		return keep_failure(w, line, why.text, e);
	}
	/* The line is given out again inside of JSON, which is UTF-8. */
	if (!utf8_valid(text))
		return keep_failure(w, line, "not UTF-8", e);
	if (event_read(text, &ev, &w->fields, &why) < 0)
		return keep_failure(w, line, why.text, e);
	if (ev.timestamp > YEAR_9999)
		return keep_failure(w, line, "timestamp: not in seconds since 1970", e);
	stored = store_event(w->store, text, &ev, e);
	if (stored < 0)
		return -1;
	if (stored)
		w->counts.succeeded++;
	else
		w->counts.duplicates++;
	return 0;
}

static int
take_lines(
    struct store *s, struct slice body, uint64_t max, struct store_counts *counts, struct err *e)
{
	struct work w = { .store = s };
	struct inflate_line line;
	struct inflate in;
	int rc = 0;

	buf_init(&w.fields, BUF_NO_LIMIT); /* as much as a line, which has a limit */
	buf_init(&w.clean, BUF_NO_LIMIT);
	inflate_begin(&in, body, max);
	while (rc == 0 && inflate_line(&in, &line) == INFLATE_OK)
		rc = take_line(&w, &line, e);
	inflate_end(&in);
	buf_free(&w.fields);
	buf_free(&w.clean);
	*counts = w.counts;
	return rc;
}

/* ---- the batch ---- */

static int
store_whole(struct store *s, const struct ingest_limits *limits, struct slice body,
    const struct survey *survey, struct ingest_report *r, struct err *e)
{
	bool whole = survey->result == INFLATE_DONE && !survey->blank;
	int64_t now_ms = clock_wall_us() / 1000;
	int64_t expires_ms = YEAR_9999 * 1000;
	int fresh;

	if (limits->retention_s < (uint64_t)(expires_ms - now_ms) / 1000)
		expires_ms = now_ms + (int64_t)limits->retention_s * 1000;
	fresh = store_batch(s, r->uuid, now_ms, whole ? survey->digest : NULL, e);
	if (fresh < 0)
		return -1;
	if (survey->result == INFLATE_DAMAGED)
		r->error_type = "decompress";
	else if (survey->blank)
		r->error_type = "empty_batch";
	else if (!fresh)
		r->error_type = "duplicate_batch";
	else if (take_lines(s, body, limits->max_events, &r->counts, e) < 0)
		return -1;
	else if (r->counts.failed > 0)
		r->error_type = "validation";

	/* The error comes last, so that it is first in a list of the newest. */
	if (r->error_type == NULL || r->counts.succeeded + r->counts.duplicates > 0)
		if (store_status(s, r->uuid, NULL, false, &r->counts, now_ms, expires_ms, e) < 0)
			return -1;
	if (r->error_type != NULL)
		return store_status(
		    s, r->uuid, r->error_type, false, &r->counts, now_ms, expires_ms, e);
	return 0;
}

static int
store_in_one_transaction(struct store *s, const struct ingest_limits *limits, struct slice body,
    const struct survey *survey, struct ingest_report *r, struct err *e)
{
	if (store_begin(s, e) < 0)
		return -1;
	if (store_whole(s, limits, body, survey, r, e) < 0 || store_commit(s, e) < 0) {
		store_rollback(s);
		return -1;
	}
	return 0;
}

static void
answer_id(struct answer *a, const char *uuid)
{
	struct json_object *top = json_object_new_object(), *results = json_object_new_object();

	json_object_object_add(results, "id", json_object_new_string(uuid));
	json_object_object_add(top, "results", results);
	answer_json(a, 200, top);
}

void
ingest_events(struct store *s, const struct ingest_limits *limits, struct slice body,
    struct answer *a, struct ingest_report *report)
{
	struct survey survey;

	*report = (struct ingest_report){ 0 };
	survey_batch(body, limits->max_events, &survey);
	if (survey.result == INFLATE_TOO_BIG) {
		answer_error(a, 413, NULL,
		    "the batch has more than %llu bytes decompressed, or more than %d lines",
		    (unsigned long long)limits->max_events, INGEST_LINES_MAX);
		return;
	}
	store_new_uuid(report->uuid);
	if (store_in_one_transaction(s, limits, body, &survey, report, &report->err) < 0) {
		report->uuid[0] = '\0';
		/* The reason is for the log: it may name files. */
		answer_error(a, 503, NULL, "the batch could not be stored; nothing of it was kept");
		a->retry_after_s = RETRY_AFTER_S;
		return;
	}
	answer_id(a, report->uuid);
}
