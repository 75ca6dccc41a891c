/*
 * Query parameters of the collector: what is taken, as what, and what is said of the rest.
 */
#include "collector/params.h"
#include "t/tap.h"

static void
times(void)
{
	static const struct {
		const char *in;
		int64_t want; /* -1: refused */
	} cases[] = {
		{ "1970-01-01T00:00", 0 },
		{ "1970-01-01T00:00Z", 0 },
		{ "2026-08-04T12:00:02Z", 1785844802000 },
		{ "2026-08-04T12:00:02", 1785844802000 },
		{ "2026-08-04T12:00:02.345Z", 1785844802345 },
		{ "2026-08-04T12:00:02.345", 1785844802345 },
		{ "2024-02-29T23:59:59Z", 1709251199000 },
		{ "9999-12-31T23:59:59Z", 253402300799000 },
		{ "2023-02-29T00:00Z", -1 },
		{ "2026-04-31T00:00Z", -1 },
		{ "2026-00-01T00:00Z", -1 },
		{ "2026-13-01T00:00Z", -1 },
		{ "2026-01-00T00:00Z", -1 },
		{ "2026-01-01T24:00Z", -1 },
		{ "2026-01-01T23:60Z", -1 },
		{ "2026-01-01T23:59:60Z", -1 },
		{ "1969-12-31T23:59Z", -1 },
		{ "2026-01-01T00:00:00+00:00", -1 },
		{ "2026-01-01T00:00:00.12Z", -1 },
		{ "2026-01-01T00:00:00.1234Z", -1 },
		{ "2026-01-01T00:00:", -1 },
		{ "2026-01-01T00:00.", -1 },
		{ "2026-01-01T00", -1 },
		{ "2026-01-01", -1 },
		{ "2026-01-01 00:00", -1 },
		{ " 2026-01-01T00:00", -1 },
		{ "+026-01-01T00:00", -1 },
		{ "2026-1-01T00:00", -1 },
		{ "2026-01-01T00:00Zz", -1 },
		{ "2026-01-01T00:00zZ", -1 },
		{ "", -1 },
		{ "now", -1 },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct param_value v = { .number = -1 };
		struct err e;
		int rc = param_time(slice_str(cases[i].in), ',', &v, &e);

		ok(cases[i].want >= 0
			? rc == 0 && v.number == cases[i].want
			: rc == -1 && strcmp(e.text,
					  "expected a time in UTC, as YYYY-MM-DDTHH:MM:SSZ") == 0,
		    "time '%s'", cases[i].in);
	}
}

static void
lists(void)
{
	static const struct {
		param_reader *read;
		const char *in, *want, *error; /* want NULL: refused */
		char delimiter;
	} cases[] = {
		{ param_texts, "a,b", "[\"a\",\"b\"]", NULL, ',' },
		{ param_texts, " a , ,b,", "[\"a\",\"b\"]", NULL, ',' },
		{ param_texts, "a,b|c", "[\"a,b\",\"c\"]", NULL, '|' },
		{ param_texts, "\"x\\", "[\"\\\"x\\\\\"]", NULL, ',' },
		{ param_texts, "\xc3\xa9", "[\"\xc3\xa9\"]", NULL, ',' },
		{ param_texts, "", NULL, "an empty list", ',' },
		{ param_texts, ", ,", NULL, "an empty list", ',' },
		{ param_texts, "\xff", NULL, "not UTF-8 text", ',' },
		{ param_lower, "AbC@X.Net,\xc3\x89", "[\"abc@x.net\",\"\xc3\x89\"]", NULL, ',' },
		{ param_integers, "1,0,9223372036854775807", "[1,0,9223372036854775807]", NULL,
		    ',' },
		{ param_integers, "1,x", NULL, "'x' is not a number", ',' },
		{ param_integers, "-1", NULL, "'-1' is not a number", ',' },
		{ param_integers, "9223372036854775808", NULL,
		    "'9223372036854775808' is not a number", ',' },
		{ param_types, "injection,bounce,inband", "[\"reception\",\"inband\",\"inband\"]",
		    NULL, ',' },
		{ param_types, "delay,list_unsubscribe", "[\"tempfail\",\"list\"]", NULL, ',' },
		{ param_types, "bounced", NULL, "'bounced' is not the type of an event", ',' },
		{ param_outcomes, "success,error", "[0,1]", NULL, ',' },
		{ param_outcomes, "Success", NULL, "'Success' is not success or error", ',' },
		{ param_errors, "validation,system", "[\"validation\",\"system\"]", NULL, ',' },
		{ param_errors, "none", NULL,
		    "'none' is not validation, decompress, empty_batch, duplicate_batch or system",
		    ',' },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct param_value v = { 0 };
		struct err e;
		int rc;

		buf_init(&v.text, BUF_NO_LIMIT);
		rc = cases[i].read(slice_str(cases[i].in), cases[i].delimiter, &v, &e);
		ok(cases[i].want != NULL
			? rc == 0 && v.is_text && strcmp(buf_str(&v.text), cases[i].want) == 0
			: rc == -1 && strcmp(e.text, cases[i].error) == 0,
		    "list '%s'", cases[i].in);
		param_value_free(&v);
	}
}

static void
lists_add_up(void)
{
	struct param_value v = { 0 };
	struct err e;

	buf_init(&v.text, BUF_NO_LIMIT);
	ok(param_texts(SLICE_LIT("a"), ',', &v, &e) == 0 &&
		param_texts(SLICE_LIT("b,c"), ',', &v, &e) == 0 &&
		strcmp(buf_str(&v.text), "[\"a\",\"b\",\"c\"]") == 0,
	    "two parameters of one name are one list");
	ok(param_texts((struct slice){ "a\0b", 3 }, ',', &v, &e) == -1, "NUL");
	param_value_free(&v);
}

static void
single_values(void)
{
	static const struct {
		param_reader *read;
		const char *in, *error; /* error NULL: taken */
		int64_t want;
	} cases[] = {
		{ param_per_page, "1", NULL, 1 },
		{ param_per_page, "10000", NULL, 10000 },
		{ param_per_page, "10001", "expected a number of 1 to 10000", 0 },
		{ param_per_page, "0", "expected a number of 1 to 10000", 0 },
		{ param_per_page, "", "expected a number of 1 to 10000", 0 },
		{ param_per_page, "1 ", "expected a number of 1 to 10000", 0 },
		{ param_bool, "true", NULL, 1 },
		{ param_bool, "false", NULL, 0 },
		{ param_bool, "1", "expected true or false", 0 },
		{ param_bool, "", "expected true or false", 0 },
		{ param_delimiter, ";", NULL, ';' },
		{ param_delimiter, "", "expected one character", 0 },
		{ param_delimiter, ";;", "expected one character", 0 },
		{ param_delimiter, " ", "expected one character", 0 },
		{ param_utc, "utc", NULL, 0 },
		{ param_utc, "UTC+1", "only UTC is supported", 0 },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct param_value v = { 0 };
		struct err e;
		int rc = cases[i].read(slice_str(cases[i].in), ',', &v, &e);

		ok(cases[i].error == NULL ? rc == 0 && v.number == cases[i].want
					  : rc == -1 && strcmp(e.text, cases[i].error) == 0,
		    "value '%s'", cases[i].in);
	}
}

static void
cursors(void)
{
	static const struct param_cursor cases[] = {
		{ 0, 0, 0, 0 },
		{ 1785844802, 4611686018427387907, 2500, 2500 },
		{ INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX },
	};
	static const char *const bad[] = { "", "initial", "bS4x", "m.1.2.3.4",
		"bS4xLjIuMy40=", "bS4xLjIuMy40LjU", "bS4tMS4yLjMuNA", "bW0uMS4yLjMuNA" };
	struct buf text;

	buf_init(&text, 1024);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct param_cursor got;

		buf_clear(&text);
		param_cursor_print(&cases[i], 'm', &text);
		ok(param_cursor_parse(buf_slice(&text), 'm', &got) && got.at == cases[i].at &&
			got.id == cases[i].id && got.newest == cases[i].newest &&
			got.total == cases[i].total,
		    "cursor %zu comes back", i);
		ok(!param_cursor_parse(buf_slice(&text), 's', &got),
		    "but not for another question");
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct param_cursor got;

		ok(!param_cursor_parse(slice_str(bad[i]), 'm', &got), "no cursor: '%s'", bad[i]);
	}
	buf_free(&text);
}

int
main(void)
{
	times();
	lists();
	lists_add_up();
	single_values();
	cursors();
	return tap_done();
}
