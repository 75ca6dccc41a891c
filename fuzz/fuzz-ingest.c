/*
 * The body of a batch, from gzip to the store and out again.
 * Input: '0' and NDJSON (it is compressed here), or anything else and then the body as it comes.
 *
 * Whatever comes in: 200 or 413; each line that is not blank is a success, a failure or a
 * duplicate; what was taken comes back, byte for byte from the download and as JSON from a query.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/download.h"
#include "collector/inflate.h"
#include "collector/ingest.h"
#include "collector/query.h"
#include "t/gzip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct ingest_limits limits = { .max_events = 300000, .retention_s = 60 };
static struct store *store;
static char dir[64];

static void
check(bool good)
{
	if (!good)
		abort();
}

static void
clean_up(void)
{
	char name[96];

	store_close(store);
	snprintf(name, sizeof(name), "%s/db", dir);
	unlink(name);
	rmdir(dir);
}

static void
set_up(void)
{
	struct err e;
	char name[96];

	/* Memory, where there is some to be had: every input is a durable transaction. */
	snprintf(dir, sizeof(dir), "%s/fuzz-ingest-XXXXXX",
	    access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	check(mkdtemp(dir) != NULL);
	snprintf(name, sizeof(name), "%s/db", dir);
	store = store_open(name, &e);
	check(store != NULL);
	atexit(clean_up);
}

/* Lines that are not blank. */
static uint64_t
count_lines(struct slice text)
{
	struct slice line;
	uint64_t n = 0;

	while (text.len > 0) {
		line = slice_cut(&text, '\n');
		n += slice_trim(line).len > 0;
	}
	return n;
}

/* The lines of a download. */
static uint64_t
fetch(enum download_kind kind, const char *uuid)
{
	struct inflate_line line;
	struct download *d;
	struct inflate in;
	struct buf gz;
	struct err e;
	char bytes[1000];
	ssize_t n;

	buf_init(&gz, BUF_NO_LIMIT);
	check(download_open(store, kind, slice_str(uuid), &d, &e) == 1);
	while ((n = download_read(d, bytes, sizeof(bytes), &e)) > 0)
		buf_add(&gz, (struct slice){ bytes, (size_t)n });
	check(n == 0);
	download_close(d);
	inflate_begin(&in, buf_slice(&gz), 1 << 30);
	while (inflate_line(&in, &line) == INFLATE_OK) {
		struct json_object *o;

		if (kind != DOWNLOAD_FAILURES || line.cut)
			continue;
		o = json_tokener_parse(line.text.p);
		check(json_object_is_type(o, json_type_object));
		json_object_put(o);
	}
	n = (ssize_t)in.lines;
	inflate_end(&in);
	buf_free(&gz);
	return (uint64_t)n;
}

static uint64_t
query_total(void)
{
	struct query q = { .n = 0 };
	struct json_object *top, *results, *total;
	struct answer a;
	struct err e;
	uint64_t n;

	answer_init(&a);
	check(query_messages(store, &q, &a, &e) == 0 && a.status == 200);
	top = json_tokener_parse(buf_str(&a.body));
	check(json_object_object_get_ex(top, "results", &results));
	check(json_object_object_get_ex(top, "total_count", &total));
	n = (uint64_t)json_object_get_int64(total);
	check(n > 1000 || json_object_array_length(results) == n);
	json_object_put(top);
	answer_free(&a);
	return n;
}

static void
check_report(const struct ingest_report *r, const struct slice *plain)
{
	const struct store_counts *c = &r->counts;

	if (plain != NULL && (r->error_type == NULL || strcmp(r->error_type, "validation") == 0))
		check(c->succeeded + c->failed + c->duplicates == count_lines(*plain));
	check(r->error_type != NULL || c->failed == 0);
	check(fetch(DOWNLOAD_EVENTS, r->uuid) == c->succeeded);
	check(fetch(DOWNLOAD_FAILURES, r->uuid) ==
	      (c->failed < INGEST_FAILURES_MAX ? c->failed : INGEST_FAILURES_MAX));
	check(query_total() == c->succeeded);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = { (const char *)data, size }, text = slice_skip(in, 1);
	bool plain = size > 0 && data[0] == '0';
	struct ingest_report report;
	struct answer a;
	struct buf gz;
	struct err e;
	int rc;

	if (store == NULL)
		set_up();
	buf_init(&gz, BUF_NO_LIMIT);
	if (plain)
		gzip_add(&gz, text);
	else
		buf_add(&gz, text);
	answer_init(&a);
	ingest_events(store, &limits, buf_slice(&gz), &a, &report);
	check(a.status == 200 || a.status == 413);
	if (a.status == 200)
		check_report(&report, plain ? &text : NULL);
	answer_free(&a);
	buf_free(&gz);
	while ((rc = store_purge(store, INT64_MAX, &e)) == 1)
		;
	check(rc == 0);
	return 0;
}
