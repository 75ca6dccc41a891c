#include "uploader/confirm_read.h"

#include <stdio.h>
#include <zlib.h>

#include "common/event.h"
#include "common/event_text.h"
#include "common/rejected.h"

#define STATUS_DEPTH  16
#define FAILURE_DEPTH 64

static struct json_object *
member(struct json_object *o, const char *name, enum json_type type)
{
	struct json_object *v;

	if (!json_object_is_type(o, json_type_object) || !json_object_object_get_ex(o, name, &v))
		return NULL;
	return json_object_is_type(v, type) ? v : NULL;
}

static struct slice
text_of(struct json_object *v)
{
	if (v == NULL)
		return (struct slice){ "", 0 };
	return (struct slice){ json_object_get_string(v), (size_t)json_object_get_string_len(v) };
}

static uint64_t
number_of(struct json_object *o, const char *name)
{
	struct json_object *v = member(o, name, json_type_int);
	int64_t n = v == NULL ? 0 : json_object_get_int64(v);

	return n > 0 ? (uint64_t)n : 0;
}

static void
printable(char *out, size_t size, struct slice text)
{
	size_t n = 0;

	for (; n + 1 < size && n < text.len; n++)
		out[n] = text.p[n] >= 0x20 && text.p[n] < 0x7f ? text.p[n] : '?';
	out[n] = '\0';
}

/* ---- statuses ---- */

static const struct {
	const char *error_type;
	enum confirm_outcome outcome;
	bool once;
} kinds[] = {
	{ "validation", CONFIRM_FAILURES, false },
	{ "decompress", CONFIRM_AGAIN, true },
	{ "empty_batch", CONFIRM_AGAIN, true }, /* ours never are: it lost them */
	{ "duplicate_batch", CONFIRM_TAKEN, false },
	{ "system", CONFIRM_AGAIN, false },
};

static struct confirm_status
judge(struct json_object *row)
{
	struct confirm_status s = { .failed = number_of(row, "number_failed") };
	struct slice type = text_of(member(row, "type", json_type_string));
	struct slice error = text_of(member(row, "error_type", json_type_string));
	struct json_object *retryable = member(row, "retryable", json_type_boolean);

	if (slice_eqi(type, SLICE_LIT("success"))) {
		s.outcome = s.failed > 0 ? CONFIRM_FAILURES : CONFIRM_TAKEN;
		return s;
	}
	if (!slice_eqi(type, SLICE_LIT("error")))
		return s;
	s.outcome = retryable != NULL && json_object_get_boolean(retryable) ? CONFIRM_AGAIN
	                                                                    : CONFIRM_REFUSED;
	for (size_t i = 0; i < COUNT(kinds); i++)
		if (slice_eqi(error, slice_str(kinds[i].error_type))) {
			s.outcome = kinds[i].outcome;
			s.once = kinds[i].once;
		}
	printable(s.error_type, sizeof(s.error_type), error);
	if (s.error_type[0] == '\0')
		snprintf(s.error_type, sizeof(s.error_type), "unknown");
	return s;
}

int
confirm_read_statuses(struct slice body, const char *const *batches, size_t n,
    struct confirm_status *out, struct err *e)
{
	struct json_object *root = event_text_parse(body, STATUS_DEPTH, e), *list;
	size_t rows;

	for (size_t i = 0; i < n; i++)
		out[i] = (struct confirm_status){ .outcome = CONFIRM_UNKNOWN };
	if (root == NULL)
		return -1;
	list = member(root, "results", json_type_array);
	if (list == NULL) {
		json_object_put(root);
		return err_set(e, "no \"results\" in the answer");
	}
	rows = json_object_array_length(list);
	for (size_t k = 0; k < rows; k++) {
		struct json_object *row = json_object_array_get_idx(list, k);
		struct slice id = text_of(member(row, "batch_id", json_type_string));
		struct confirm_status s = judge(row);

		for (size_t i = 0; i < n; i++)
			if (slice_eqi(id, slice_str(batches[i])) && s.outcome > out[i].outcome)
				out[i] = s;
	}
	json_object_put(root);
	return 0;
}

/* ---- failures ---- */

void
confirm_failures_init(struct confirm_failures *f)
{
	*f = (struct confirm_failures){ .n = 0 };
	buf_init(&f->lines, CONFIRM_FAILURES_MAX + 1);
	buf_init(&f->reasons, REJECTED_DETAILS_MAX);
}

void
confirm_failures_free(struct confirm_failures *f)
{
	buf_free(&f->lines);
	buf_free(&f->reasons);
}

static int
inflate_all(struct slice gz, struct buf *out, struct err *e)
{
	unsigned char chunk[32768];
	z_stream z = { 0 };
	int rc = Z_OK;

	if (inflateInit2(&z, MAX_WBITS + 16) != Z_OK)
		return err_set(e, "zlib: no memory");
	z.next_in = (unsigned char *)(uintptr_t)gz.p;
	z.avail_in = (uInt)gz.len;
	while (rc == Z_OK && !out->full) {
		z.next_out = chunk;
		z.avail_out = sizeof(chunk);
		rc = inflate(&z, Z_NO_FLUSH);
		buf_add(out, (struct slice){ (const char *)chunk, sizeof(chunk) - z.avail_out });
		if (rc == Z_STREAM_END && z.avail_in > 0) /* the next member */
			rc = inflateReset(&z);
	}
	inflateEnd(&z);
	if (out->full)
		return err_set(e, "more than %zu bytes", CONFIRM_FAILURES_MAX);
	return rc == Z_STREAM_END ? 0 : err_set(e, "damaged gzip");
}

/* The first of these members that says something. */
static struct slice
reason_in(struct json_object *o)
{
	static const char *const names[] = { "reason", "message", "error", "description",
		"error_message" };

	for (size_t i = 0; i < COUNT(names); i++) {
		struct slice s = text_of(member(o, names[i], json_type_string));

		if (s.len > 0)
			return s;
	}
	return (struct slice){ "", 0 };
}

/* The refused line of one line of the download, which it may be itself. */
static void
add_line(struct confirm_failures *f, struct slice line, struct json_object *o)
{
	struct json_object *event = NULL;
	struct slice text = line;

	if (json_object_is_type(o, json_type_object) &&
	    json_object_object_get_ex(o, "event", &event) &&
	    !json_object_object_get_ex(o, "msys", NULL)) {
		if (json_object_is_type(event, json_type_string))
			text = text_of(event);
		else if (json_object_is_type(event, json_type_object))
			text = slice_str(json_object_to_json_string_ext(
			    event, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	}
	/* A line that had a line end of its own can't be one again. */
	while (text.len > 0) {
		size_t n = slice_find(text, '\n');

		buf_add(&f->lines, slice_head(text, n));
		text = slice_skip(text, n + 1);
	}
	buf_addc(&f->lines, '\n');
}

static void
take_failure(struct confirm_failures *f, struct slice line)
{
	struct json_object *o = event_text_parse(line, FAILURE_DEPTH, NULL);
	struct slice reason = reason_in(o);
	uint64_t number = number_of(o, "line");
	char text[200];

	f->n++;
	add_line(f, line, o);
	printable(text, sizeof(text), reason);
	if (f->first[0] == '\0')
		snprintf(f->first, sizeof(f->first), "%s", text);
	if (reason.len > 0)
		buf_printf(&f->reasons, "line %llu: %s\n",
		    (unsigned long long)(number > 0 ? number : f->n), text);
	json_object_put(o);
}

int
confirm_read_failures(struct slice body, struct confirm_failures *out, struct err *e)
{
	struct buf plain;
	struct slice rest = body, line;
	int rc = 0;

	confirm_failures_init(out);
	buf_init(&plain, CONFIRM_FAILURES_MAX);
	if (body.len >= 2 && (unsigned char)body.p[0] == 0x1f && (unsigned char)body.p[1] == 0x8b) {
		rc = inflate_all(body, &plain, e);
		rest = buf_slice(&plain);
	} else if (body.len > CONFIRM_FAILURES_MAX) {
		rc = err_set(e, "more than %zu bytes", CONFIRM_FAILURES_MAX);
	}
	while (rc == 0 && slice_line(&rest, &line))
		if (slice_trim(line).len > 0)
			take_failure(out, line);
	buf_free(&plain);
	return rc;
}
