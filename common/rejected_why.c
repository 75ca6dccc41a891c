/*
 * rejected_why.c - the reason file: one line of JSON, written and read.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/event_text.h"
#include "common/file.h"
#include "common/rejected_private.h"
#include "common/utf8.h"

#define WHY_DEPTH 3
/* Every byte may become six in JSON, and a line of details carries quotes and a comma. */
#define WHY_FILE_MAX ((size_t)1 << 20)

/* ---- writing ---- */

static void
add_text(struct json_object *o, const char *key, struct slice text)
{
	struct buf clean;

	if (text.len == 0)
		return;
	buf_init(&clean, BUF_NO_LIMIT);
	utf8_clean(&clean, text);
	json_object_object_add(o, key, json_object_new_string_len(clean.p, (int)clean.len));
	buf_free(&clean);
}

static void
add_lines(struct json_object *o, const char *key, struct slice text)
{
	struct json_object *list;
	struct slice line;

	if (text.len == 0)
		return;
	list = json_object_new_array();
	while (slice_line(&text, &line)) {
		struct buf clean;

		buf_init(&clean, BUF_NO_LIMIT);
		utf8_clean(&clean, line);
		json_object_array_add(
		    list, json_object_new_string_len(buf_str(&clean), (int)clean.len));
		buf_free(&clean);
	}
	json_object_object_add(o, key, list);
}

void
rejected_print_why(const struct rejected_why *why, struct buf *out)
{
	struct json_object *o = json_object_new_object();
	char iso[CLOCK_ISO_SIZE];
	int64_t ms = why->time_ms != 0 ? why->time_ms : clock_wall_us() / 1000;

	json_object_object_add(o, "time", json_object_new_string(clock_iso(ms, iso)));
	add_text(o, "sink", why->sink);
	add_text(o, "reason", utf8_head(why->reason, REJECTED_REASON_MAX));
	json_object_object_add(o, "events", json_object_new_uint64(why->events));
	json_object_object_add(o, "bytes", json_object_new_uint64(why->bytes));
	add_text(o, "batch", slice_head(why->batch, REJECTED_REASON_MAX));
	add_text(o, "segment", slice_head(why->segment, REJECTED_REASON_MAX));
	add_lines(o, "details", slice_head(why->details, REJECTED_DETAILS_MAX));
	buf_adds(out, json_object_to_json_string_ext(
			  o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	buf_addc(out, '\n');
	json_object_put(o);
}

/* ---- reading ---- */

/* "2026-11-22T11:47:57.000Z"; 0 if it is none. */
static int64_t
parse_time(struct slice s)
{
	static const char form[] = "0000-00-00T00:00:00.000Z";
	struct tm tm = { 0 };
	char text[sizeof(form)];

	if (s.len != sizeof(form) - 1)
		return 0;
	for (size_t i = 0; i < s.len; i++)
		if (form[i] == '0' ? s.p[i] < '0' || s.p[i] > '9' : s.p[i] != form[i])
			return 0;
	memcpy(text, s.p, s.len);
	text[s.len] = '\0';
	if (strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) == NULL)
		return 0;
	return (int64_t)timegm(&tm) * 1000 + strtol(text + sizeof("0000-00-00T00:00:00"), NULL, 10);
}

static struct slice
json_text(struct json_object *v)
{
	return (struct slice){ json_object_get_string(v), (size_t)json_object_get_string_len(v) };
}

/* A text member's bytes at the end of `store`; where they are is fixed only when it stops growing.
 */
static size_t
keep_text(struct json_object *o, const char *key, struct buf *store)
{
	struct json_object *v;
	size_t before = store->len;

	if (json_object_object_get_ex(o, key, &v) && json_object_is_type(v, json_type_string))
		buf_add(store, json_text(v));
	return store->len - before;
}

static size_t
keep_lines(struct json_object *o, const char *key, struct buf *store)
{
	struct json_object *v;
	size_t before = store->len;

	if (!json_object_object_get_ex(o, key, &v) || !json_object_is_type(v, json_type_array))
		return 0;
	for (size_t i = 0; i < json_object_array_length(v); i++) {
		struct json_object *line = json_object_array_get_idx(v, i);

		if (!json_object_is_type(line, json_type_string))
			continue;
		buf_add(store, json_text(line));
		buf_addc(store, '\n');
	}
	return store->len - before;
}

static uint64_t
number(struct json_object *o, const char *key)
{
	struct json_object *v;
	int64_t n = 0;

	if (json_object_object_get_ex(o, key, &v) && json_object_is_type(v, json_type_int))
		n = json_object_get_int64(v);
	return n > 0 ? (uint64_t)n : 0;
}

bool
rejected_parse_why(struct slice text, struct rejected_why *why, struct buf *store)
{
	static const struct {
		const char *key;
		size_t at;
	} texts[] = {
		{ "sink", offsetof(struct rejected_why, sink) },
		{ "reason", offsetof(struct rejected_why, reason) },
		{ "batch", offsetof(struct rejected_why, batch) },
		{ "segment", offsetof(struct rejected_why, segment) },
	};
	struct json_object *o = event_text_parse(text, WHY_DEPTH, NULL), *v;
	size_t len[COUNT(texts)], details, at = 0;

	buf_clear(store);
	*why = (struct rejected_why){ .reason = SLICE_LIT("") };
	if (!json_object_is_type(o, json_type_object) ||
	    !json_object_object_get_ex(o, "reason", &v)) {
		struct slice rest = text, line = SLICE_LIT("");

		json_object_put(o);
		slice_line(&rest, &line);
		buf_add(store, utf8_head(line, REJECTED_REASON_MAX));
		why->reason = buf_slice(store);
		return false;
	}
	for (size_t i = 0; i < COUNT(texts); i++)
		len[i] = keep_text(o, texts[i].key, store);
	details = keep_lines(o, "details", store);
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct slice s = { buf_str(store) + at, len[i] };

		memcpy((char *)why + texts[i].at, &s, sizeof(s));
		at += len[i];
	}
	why->details = (struct slice){ buf_str(store) + at, details };
	why->events = number(o, "events");
	why->bytes = number(o, "bytes");
	if (json_object_object_get_ex(o, "time", &v) && json_object_is_type(v, json_type_string))
		why->time_ms = parse_time(json_text(v));
	json_object_put(o);
	return true;
}

static int
read_all(int fd, struct buf *out)
{
	char chunk[16384];
	ssize_t n = 1;

	while (n != 0 && !out->full) {
		n = read(fd, chunk, sizeof(chunk));
		if (n < 0 && errno != EINTR)
			return -1;
		if (n > 0)
			buf_add(out, (struct slice){ chunk, (size_t)n });
	}
	return 0;
}

int
rejected_read_why(
    int dirfd, const char *name, struct rejected_why *why, struct buf *store, struct err *e)
{
	char reason[REJECTED_NAME_SIZE];
	struct buf text;
	int fd, rc;

	*why = (struct rejected_why){ .reason = SLICE_LIT("") };
	buf_clear(store);
	if (!rejected_with_suffix(name, REJECTED_SUFFIX, reason))
		return err_set(e, "%s: name too long", name);
	fd = file_open_regular(dirfd, reason, e);
	if (fd < 0)
		return -1;
	buf_init(&text, WHY_FILE_MAX);
	rc = read_all(fd, &text) < 0 ? err_errno(e, "read %s", reason) : 0;
	if (rc == 0 && text.full)
		rc = err_set(e, "%s: larger than %zu bytes", reason, WHY_FILE_MAX);
	close(fd);
	if (rc == 0)
		rejected_parse_why(buf_slice(&text), why, store);
	buf_free(&text);
	return rc;
}
