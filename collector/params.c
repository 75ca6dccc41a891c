#include "collector/params.h"

#include <json-c/json.h>
#include <time.h>

#include "common/base64.h"
#include "common/event.h"
#include "common/utf8.h"

void
param_value_free(struct param_value *v)
{
	buf_free(&v->text);
}

/* ---- lists ---- */

typedef int item_reader(struct slice item, struct json_object *list, struct err *e);

static struct json_object *
list_so_far(const struct param_value *v)
{
	return v->text.len > 0 ? json_tokener_parse(buf_str(&v->text)) : json_object_new_array();
}

static int
read_items(
    struct slice value, char delimiter, item_reader *read, struct json_object *list, struct err *e)
{
	size_t items = 0;

	if (!utf8_valid(value) || slice_find(value, '\0') < value.len)
		return err_set(e, "not UTF-8 text");
	while (value.len > 0) {
		struct slice item = slice_trim(slice_cut(&value, delimiter));

		if (item.len > 0 && (items++, read(item, list, e)) < 0)
			return -1;
	}
	return items > 0 ? 0 : err_set(e, "an empty list");
}

static int
read_list(
    struct slice value, char delimiter, item_reader *read, struct param_value *out, struct err *e)
{
	struct json_object *list = list_so_far(out);
	size_t len;
	const char *text;

	if (read_items(value, delimiter, read, list, e) < 0) {
		json_object_put(list);
		return -1;
	}
	text = json_object_to_json_string_length(list, JSON_C_TO_STRING_PLAIN, &len);
	buf_free(&out->text);
	buf_init(&out->text, BUF_NO_LIMIT);
	buf_add(&out->text, (struct slice){ text, len });
	out->is_text = true;
	json_object_put(list);
	return 0;
}

static int
add_text(struct slice item, struct json_object *list, struct err *e)
{
	(void)e;
	json_object_array_add(list, json_object_new_string_len(item.p, (int)item.len));
	return 0;
}

static int
add_lower(struct slice item, struct json_object *list, struct err *e)
{
	struct buf b;

	buf_init(&b, BUF_NO_LIMIT);
	for (size_t i = 0; i < item.len; i++)
		buf_addc(&b,
		    item.p[i] >= 'A' && item.p[i] <= 'Z' ? (char)(item.p[i] | 0x20) : item.p[i]);
	add_text(buf_slice(&b), list, e);
	buf_free(&b);
	return 0;
}

static int
unknown(struct slice item, const char *what, struct err *e)
{
	item = utf8_head(item, 100);
	return err_set(e, "'%.*s' is not %s", SLICE_FMT(item), what);
}

static int
add_integer(struct slice item, struct json_object *list, struct err *e)
{
	uint64_t n;

	if (!slice_uint(item, INT64_MAX, &n))
		return unknown(item, "a number", e);
	json_object_array_add(list, json_object_new_int64((int64_t)n));
	return 0;
}

static int
add_type(struct slice item, struct json_object *list, struct err *e)
{
	enum event_type type;

	if (!event_type_find(item, &type))
		return unknown(item, "the type of an event", e);
	return add_text(slice_str(event_type_name(type)), list, e);
}

static int
add_outcome(struct slice item, struct json_object *list, struct err *e)
{
	bool error = slice_eq(item, SLICE_LIT("error"));

	if (!error && !slice_eq(item, SLICE_LIT("success")))
		return unknown(item, "success or error", e);
	json_object_array_add(list, json_object_new_int(error));
	return 0;
}

static int
add_error(struct slice item, struct json_object *list, struct err *e)
{
	static const char *const types[] = { "validation", "decompress", "empty_batch",
		"duplicate_batch", "system" };

	for (size_t i = 0; i < COUNT(types); i++)
		if (slice_eq(item, slice_str(types[i])))
			return add_text(item, list, e);
	return unknown(item, "validation, decompress, empty_batch, duplicate_batch or system", e);
}

int
param_texts(struct slice value, char delimiter, struct param_value *out, struct err *e)
{
	return read_list(value, delimiter, add_text, out, e);
}

int
param_lower(struct slice value, char delimiter, struct param_value *out, struct err *e)
{
	return read_list(value, delimiter, add_lower, out, e);
}

int
param_integers(struct slice value, char delimiter, struct param_value *out, struct err *e)
{
	return read_list(value, delimiter, add_integer, out, e);
}

int
param_types(struct slice value, char delimiter, struct param_value *out, struct err *e)
{
	return read_list(value, delimiter, add_type, out, e);
}

int
param_outcomes(struct slice value, char delimiter, struct param_value *out, struct err *e)
{
	return read_list(value, delimiter, add_outcome, out, e);
}

int
param_errors(struct slice value, char delimiter, struct param_value *out, struct err *e)
{
	return read_list(value, delimiter, add_error, out, e);
}

/* ---- single values ---- */

int
param_bool(struct slice value, char delimiter, struct param_value *out, struct err *e)
{
	(void)delimiter;
	out->number = slice_eq(value, SLICE_LIT("true"));
	if (!out->number && !slice_eq(value, SLICE_LIT("false")))
		return err_set(e, "expected true or false");
	return 0;
}

/* Exactly `digits` decimal digits from the start of *rest, and the mark behind them. */
static bool
take_number(struct slice *rest, size_t digits, char mark, int *out)
{
	uint64_t n;

	if (rest->len < digits || !slice_uint(slice_head(*rest, digits), 9999, &n))
		return false;
	*out = (int)n;
	*rest = slice_skip(*rest, digits);
	if (mark == '\0')
		return true;
	if (rest->len == 0 || rest->p[0] != mark)
		return false;
	*rest = slice_skip(*rest, 1);
	return true;
}

static bool
skip(struct slice *rest, char c)
{
	if (rest->len == 0 || rest->p[0] != c)
		return false;
	*rest = slice_skip(*rest, 1);
	return true;
}

static bool
time_parse(struct slice s, int64_t *out)
{
	struct tm tm = { 0 }, back;
	int ms = 0;
	time_t t;

	if (!take_number(&s, 4, '-', &tm.tm_year) || !take_number(&s, 2, '-', &tm.tm_mon) ||
	    !take_number(&s, 2, 'T', &tm.tm_mday) || !take_number(&s, 2, ':', &tm.tm_hour) ||
	    !take_number(&s, 2, '\0', &tm.tm_min))
		return false;
	if (skip(&s, ':') && !take_number(&s, 2, '\0', &tm.tm_sec))
		return false;
	if (skip(&s, '.') && !take_number(&s, 3, '\0', &ms))
		return false;
	skip(&s, 'Z');
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	back = tm;
	t = timegm(&back); /* 30 February becomes a day in March */
	if (s.len > 0 || tm.tm_year < 70 || back.tm_mon != tm.tm_mon ||
	    back.tm_mday != tm.tm_mday || back.tm_hour != tm.tm_hour || back.tm_min != tm.tm_min ||
	    back.tm_sec != tm.tm_sec)
		return false;
	*out = (int64_t)t * 1000 + ms;
	return true;
}

int
param_time(struct slice value, char delimiter, struct param_value *out, struct err *e)
{
	(void)delimiter;
	if (!time_parse(value, &out->number))
		return err_set(e, "expected a time in UTC, as YYYY-MM-DDTHH:MM:SSZ");
	return 0;
}

int
param_per_page(struct slice value, char delimiter, struct param_value *out, struct err *e)
{
	uint64_t n;

	(void)delimiter;
	if (!slice_uint(value, PARAMS_PER_PAGE_MAX, &n) || n == 0)
		return err_set(e, "expected a number of 1 to %d", PARAMS_PER_PAGE_MAX);
	out->number = (int64_t)n;
	return 0;
}

int
param_delimiter(struct slice value, char delimiter, struct param_value *out, struct err *e)
{
	(void)delimiter;
	if (value.len != 1 || value.p[0] <= ' ' || value.p[0] > '~')
		return err_set(e, "expected one character");
	out->number = value.p[0];
	return 0;
}

int
param_utc(struct slice value, char delimiter, struct param_value *out, struct err *e)
{
	(void)delimiter, (void)out;
	return slice_eqi(value, SLICE_LIT("UTC")) ? 0 : err_set(e, "only UTC is supported");
}

/* ---- cursors ---- */

#define CURSOR_TEXT_MAX 128

void
param_cursor_print(const struct param_cursor *c, char kind, struct buf *out)
{
	struct buf plain;

	buf_init(&plain, CURSOR_TEXT_MAX);
	buf_printf(&plain, "%c.%lld.%lld.%lld.%lld", kind, (long long)c->at, (long long)c->id,
	    (long long)c->newest, (long long)c->total);
	base64_encode(out, buf_slice(&plain), BASE64_URL);
	buf_free(&plain);
}

static bool
cursor_number(struct slice *rest, int64_t *out)
{
	uint64_t n;

	if (!slice_uint(slice_cut(rest, '.'), INT64_MAX, &n))
		return false;
	*out = (int64_t)n;
	return true;
}

bool
param_cursor_parse(struct slice text, char kind, struct param_cursor *out)
{
	struct slice rest, first;
	struct buf plain;
	bool good;

	buf_init(&plain, CURSOR_TEXT_MAX);
	good = base64_decode(&plain, text, BASE64_URL);
	rest = buf_slice(&plain);
	first = slice_cut(&rest, '.');
	good = good && first.len == 1 && first.p[0] == kind && cursor_number(&rest, &out->at) &&
	       cursor_number(&rest, &out->id) && cursor_number(&rest, &out->newest) &&
	       cursor_number(&rest, &out->total) && rest.len == 0;
	buf_free(&plain);
	return good;
}
