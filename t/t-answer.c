#include "uploader/answer.h"

#include <stdlib.h>

#include "common/xalloc.h"
#include "t/tap.h"

#define KEY "0123456789abcdef0123456789abcdef01234567"

static const char *const verdicts[] = { "done", "later", "slow", "refused", "too large" };

/* What the endpoint says -> what becomes of the batch. */
static void
judged(void)
{
	static const struct {
		long status;
		const char *body;
		enum answer_verdict verdict;
		const char *text;   /* DONE: the id; else the quote */
		const char *advice; /* a part of it; NULL: none */
	} rows[] = {
		{ 200, "{\"results\":{\"id\":\"9e3c9a6c-1f\"}}", ANSWER_DONE, "9e3c9a6c-1f", NULL },
		{ 200, " {\"results\" : {\"id\":\"a\",\"x\":1}, \"y\":[]}\n", ANSWER_DONE, "a",
		    NULL },
		{ 200, "{\"results\":{\"id\":\"a\"},\"errors\":[{\"message\":\"m\"}]}", ANSWER_DONE,
		    "a", NULL },
		{ 200, "{\"results\":{\"id\":\"\"}}", ANSWER_LATER, "", "upload-url" },
		{ 200, "{\"results\":{\"id\":7}}", ANSWER_LATER, "", "upload-url" },
		{ 200, "{\"results\":{\"id\":null}}", ANSWER_LATER, "", "upload-url" },
		{ 200, "{\"results\":{\"id\":[\"a\"]}}", ANSWER_LATER, "", "upload-url" },
		{ 200, "{\"results\":{}}", ANSWER_LATER, "", "upload-url" },
		{ 200, "{\"results\":\"id\"}", ANSWER_LATER, "", "upload-url" },
		{ 200, "{\"results\":[{\"id\":\"a\"}]}", ANSWER_LATER, "", "upload-url" },
		{ 200, "{\"id\":\"a\"}", ANSWER_LATER, "", "upload-url" },
		{ 200, "[{\"results\":{\"id\":\"a\"}}]", ANSWER_LATER, "", "upload-url" },
		{ 200, "null", ANSWER_LATER, "", "upload-url" },
		{ 200, "", ANSWER_LATER, "", "upload-url" },
		{ 200, "{\"results\":{\"id\":\"a\"}", ANSWER_LATER, "",
		    "upload-url" }, /* cut off */
		{ 200, "{\"results\":{\"id\":\"a\"}} x", ANSWER_LATER, "", "upload-url" },
		{ 200, "{\"results\":{\"id\":\"\xff\"}}", ANSWER_LATER, "", "upload-url" },
		{ 200, "<html><title>Sign in</title></html>", ANSWER_LATER, "", "upload-url" },
		{ 200, "{\"errors\":[{\"message\":\"busy\"}]}", ANSWER_LATER, "busy",
		    "upload-url" },
		{ 201, "{\"results\":{\"id\":\"a\"}}", ANSWER_LATER, "", "upload-url" },
		{ 202, "{\"results\":{\"id\":\"a\"}}", ANSWER_LATER, "", "upload-url" },
		{ 204, "", ANSWER_LATER, "", "upload-url" },
		{ 301, "", ANSWER_SLOW, "", "redirects are not followed" },
		{ 308, "{\"results\":{\"id\":\"a\"}}", ANSWER_SLOW, "",
		    "redirects are not followed" },
		{ 400, "{\"errors\":[{\"message\":\"bad\"}]}", ANSWER_REFUSED, "bad", NULL },
		{ 401, "{\"errors\":[{\"message\":\"Unauthorized.\"}]}", ANSWER_SLOW,
		    "Unauthorized.", "check api-key" },
		{ 403, "{\"errors\":[{\"message\":\"Forbidden.\"}]}", ANSWER_SLOW, "Forbidden.",
		    "Incoming Events: Write" },
		{ 404, "", ANSWER_SLOW, "", "check upload-url" },
		{ 405, "", ANSWER_SLOW, "", "check upload-url" },
		{ 407, "", ANSWER_SLOW, "", "proxy" },
		{ 408, "", ANSWER_LATER, "", NULL },
		{ 409, "", ANSWER_LATER, "", NULL },
		{ 413, "", ANSWER_TOO_LARGE, "", "smaller parts" },
		{ 415, "", ANSWER_SLOW, "", "gzipped NDJSON" },
		{ 420, "", ANSWER_LATER, "", NULL },
		{ 422, "", ANSWER_REFUSED, "", NULL },
		{ 429, "{\"errors\":[{\"message\":\"Too many requests\"}]}", ANSWER_LATER,
		    "Too many requests", NULL },
		{ 500, "{\"results\":{\"id\":\"a\"}}", ANSWER_LATER, "", NULL },
		{ 503, "<html>", ANSWER_LATER, "", NULL },
		{ 999, "", ANSWER_LATER, "", NULL },
		{ 100, "", ANSWER_LATER, "", NULL },
		{ -1, "", ANSWER_LATER, "", NULL },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct answer a;
		const char *got;

		answer_read(rows[i].status, slice_str(rows[i].body), slice_str(KEY), true, &a);
		got = a.verdict == ANSWER_DONE ? a.id : a.quote;
		ok(a.verdict == rows[i].verdict, "%ld %s: %s", rows[i].status, rows[i].body,
		    verdicts[a.verdict]);
		ok(strcmp(got, rows[i].text) == 0, "%ld: '%s'", rows[i].status, got);
		ok(rows[i].advice == NULL
			? a.advice == NULL
			: a.advice != NULL && strstr(a.advice, rows[i].advice) != NULL,
		    "%ld: advice '%s'", rows[i].status, a.advice == NULL ? "" : a.advice);
	}
}

/* What of the endpoint's words reaches a log. */
static void
quoted(void)
{
	static const struct {
		const char *errors, *want;
	} rows[] = {
		{ "[{\"message\":\"m\",\"description\":\"d\",\"code\":\"1\"}]", "m: d" },
		{ "[{\"description\":\"d\"}]", "d" },
		{ "[{\"message\":\"a\"},{\"message\":\"b\"}]", "a; b" },
		{ "[{\"message\":\"a\"},{\"message\":\"b\"},{\"message\":\"c\"},{\"message\":\"d\"}"
		  "]",
		    "a; b; c" },
		{ "[1,null,{\"message\":\"b\"}]", "b" },
		{ "[{\"message\":5}]", "" },
		{ "[]", "" },
		{ "{\"message\":\"m\"}", "" },
		{ "[{\"message\":\"two\\nlines\\u0000\\u001b[31m\"}]", "two?lines??[31m" },
		{ "[{\"message\":\"\xc3\xa9t\xc3\xa9\"}]", "??t??" },
		{ "[{\"message\":\"key " KEY " is unknown\"}]", "key [api-key] is unknown" },
		{ "[{\"message\":\"0123456789ABCDEF0123456789abcdef01234567\"}]", "[api-key]" },
		{ "[{\"message\":\"" KEY KEY "\"},{\"message\":\"" KEY "\"}]",
		    "[api-key][api-key]; [api-key]" },
		{ "[{\"message\":\"0123" KEY "\"}]", "0123[api-key]" },
		{ "[{\"message\":\"0123456789abcdef0123\",\"description\":\"456789abcdef01234567\"}"
		  "]",
		    "[api-key]: [api-key]" }, /* in parts */
		{ "[{\"message\":\"89ABCDEF0123..., 0123456789a\"}]", "[api-key]..., 0123456789a" },
	};
	char body[1000];

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct answer a;

		snprintf(body, sizeof(body), "{\"errors\":%s}", rows[i].errors);
		answer_read(503, slice_str(body), slice_str(KEY), true, &a);
		ok(strcmp(a.quote, rows[i].want) == 0, "%s: '%s'", rows[i].errors, a.quote);
	}
}

/* A key at any place in a long text: no part of it comes out, wherever the cut is. */
static void
secret_at_the_cut(void)
{
	size_t room = 2000;
	char *body = xcalloc(room, 1);
	bool clean = true, bounded = true;

	for (int before = 0; before < 300; before++) {
		struct answer a;
		int n = snprintf(body, room,
		    "{\"errors\":[{\"message\":\"%*s" KEY KEY KEY KEY KEY KEY "tail\"}]}", before,
		    "");

		answer_read(500, (struct slice){ body, (size_t)n }, slice_str(KEY), true, &a);
		clean = clean && strstr(a.quote, "0123") == NULL && strstr(a.quote, "567") == NULL;
		bounded = bounded && strlen(a.quote) <= ANSWER_QUOTE_MAX;
	}
	ok(clean, "no part of the key is quoted");
	ok(bounded, "quotes are bounded");
	free(body);
}

static void
hostile(void)
{
	size_t n = 1 << 20;
	char *body = xcalloc(n + 1, 1);
	struct answer a;

	memset(body, '[', n);
	answer_read(200, (struct slice){ body, n }, slice_str(KEY), true, &a);
	ok(a.verdict == ANSWER_LATER && a.quote[0] == '\0', "a million brackets");
	memset(body, 'x', n);
	memcpy(body, "{\"results\":{\"id\":\"", 18);
	memcpy(body + n - 3, "\"}}", 3);
	answer_read(200, (struct slice){ body, n }, slice_str(KEY), true, &a);
	ok(a.verdict == ANSWER_DONE && strlen(a.id) == ANSWER_ID_MAX, "a long id is an id, cut");
	memset(body, 'x', n);
	memcpy(body, "{\"errors\":[{\"message\":\"", 23);
	memcpy(body + n - 4, "\"}]}", 4);
	answer_read(400, (struct slice){ body, n }, (struct slice){ NULL, 0 }, true, &a);
	ok(strlen(a.quote) == ANSWER_QUOTE_MAX, "a long message is cut");
	free(body);
}

/* Whoever gives no ids: 2xx is enough. */
static void
without_id(void)
{
	static const struct {
		long status;
		const char *body;
		enum answer_verdict verdict;
	} rows[] = {
		{ 200, "", ANSWER_DONE },
		{ 200, "Ok.\n", ANSWER_DONE },
		{ 201, "{}", ANSWER_DONE },
		{ 202, "<html>", ANSWER_DONE },
		{ 204, "", ANSWER_DONE },
		{ 301, "", ANSWER_SLOW },
		{ 400, "Cannot parse input", ANSWER_REFUSED },
		{ 401, "", ANSWER_SLOW },
		{ 413, "", ANSWER_TOO_LARGE },
		{ 503, "", ANSWER_LATER },
	};
	struct answer a;

	for (size_t i = 0; i < COUNT(rows); i++) {
		answer_read(rows[i].status, slice_str(rows[i].body), slice_str(KEY), false, &a);
		ok(a.verdict == rows[i].verdict && (a.verdict != ANSWER_DONE || a.advice == NULL),
		    "no id asked for: %ld %s", rows[i].status, rows[i].body);
	}
	answer_read(404,
	    SLICE_LIT("Code: 60. DB::Exception: Table default.x doesn't exist.\r\n at " KEY),
	    slice_str(KEY), false, &a);
	ok(strcmp(a.quote, "Code: 60. DB::Exception: Table default.x doesn't exist.") == 0,
	    "what it says in plain text is quoted: %s", a.quote);
	answer_read(403, SLICE_LIT("user " KEY), slice_str(KEY), false, &a);
	ok(strcmp(a.quote, "user [api-key]") == 0 && strstr(a.advice, "Incoming") == NULL,
	    "without the key, and without SparkPost's rights: %s (%s)", a.quote, a.advice);
	answer_read(502, SLICE_LIT("\n <html><title>x</title>"), slice_str(KEY), false, &a);
	ok(a.quote[0] == '\0', "a page is not: %s", a.quote);
	answer_read(503, SLICE_LIT("plain"), slice_str(KEY), true, &a);
	ok(a.quote[0] == '\0', "nor anything of what is no ingest endpoint");
}

int
main(void)
{
	without_id();
	judged();
	quoted();
	secret_at_the_cut();
	hostile();
	return tap_done();
}
