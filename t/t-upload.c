/*
 * Where nothing is sent. Every address here is of a documentation network; if
 * one were let through, the test would fail, and the packet end nowhere.
 */
#include "uploader/upload.h"

#include <signal.h>
#include <stdlib.h>

#include "common/clock.h"
#include "t/tap.h"

#define KEY "0123456789abcdef0123456789abcdef01234567"

/* The result of one transfer, or NULL with *e if it did not even begin. */
static const struct upload_result *
run(struct upload *u, const char *url, const char *ca_file, struct err *e)
{
	struct upload_request t = {
		.url = url, .api_key = KEY, .ca_file = ca_file, .body = SLICE_LIT("body")
	};
	const struct upload_result *r = NULL;
	int64_t end = clock_mono_ms() + 20000;

	if (upload_start(u, &t, e) < 0)
		return NULL;
	while ((r = upload_result(u)) == NULL && clock_mono_ms() < end)
		if (upload_poll(u, NULL, 0, 1000, e) < 0)
			return NULL;
	return r;
}

static void
refused(void)
{
	static const struct {
		const char *url, *ca_file, *want;
	} rows[] = {
		{ "http://192.0.2.1:9/x", NULL,
		    "http:// goes to this host only, and this is 192.0.2.1: use https://" },
		{ "http://[2001:db8::1]:9/x", NULL,
		    "http:// goes to this host only, and this is 2001:db8::1: use https://" },
		{ "http://[::ffff:192.0.2.1]:9/x", NULL, "http:// goes to this host only" },
		{ "HTTP://192.0.2.1:9/x", NULL, "http:// goes to this host only" },
		{ "192.0.2.1:9/x", NULL, "http:// goes to this host only" },
		{ "http://126.255.255.255:9/", NULL, "http:// goes to this host only" },
		{ "http://128.0.0.0:9/", NULL, "http:// goes to this host only" },
		{ "ftp://127.0.0.1:9/x", NULL, "rotocol" },
		{ "file:///etc/passwd", NULL, "rotocol" },
		{ "telnet://127.0.0.1:9", NULL, "rotocol" },
		{ "http://127.0.0.1:1/x", NULL, "onnection refused" },
		{ "https://127.0.0.1:1/x", NULL, "onnection refused" },
		{ "http://", NULL, "" },
		{ "", NULL, "" },
	};
	struct upload *u;
	struct err e = { .text = "" };

	u = upload_open(&e);
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct upload_result *r = run(u, rows[i].url, rows[i].ca_file, &e);
		const char *text = r == NULL ? e.text : r->error.text;

		ok(r == NULL || r->status == 0, "%s: not sent", rows[i].url);
		ok(strstr(text, rows[i].want) != NULL && strstr(text, KEY) == NULL, "%s: %s",
		    rows[i].url, text);
	}
	upload_close(u);
}

/* A stop in the middle of a transfer does not wait for it. */
static void
given_up(void)
{
	struct upload_request t = { .url = "https://127.0.0.1:1/x",
		.api_key = KEY,
		.body = SLICE_LIT("body") };
	struct err e;
	struct upload *u = upload_open(&e);

	ok(upload_start(u, &t, &e) == 0 && upload_busy(u) == 1, "under way");
	ok(upload_result(u) == NULL, "no result yet");
	upload_close(u);
	upload_close(NULL);
}

static void
hosts(void)
{
	static const struct {
		const char *url, *want;
	} rows[] = {
		{ "https://api.example.com/api/v1/ingest/events", "api.example.com" },
		{ "https://user:pass@api.example.com:8443/x?key=1", "api.example.com:8443" },
		{ "http://[::1]:8460/", "[::1]:8460" },
		{ "no url at all \x01", "upload-url" },
		{ "", "upload-url" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf b;

		buf_init(&b, 300);
		upload_host(rows[i].url, &b);
		ok(strcmp(buf_str(&b), rows[i].want) == 0, "%s: %s", rows[i].url, buf_str(&b));
		buf_free(&b);
	}
}

int
main(void)
{
	signal(SIGPIPE, SIG_IGN);
	/* Plain http asks no proxy: this one would not answer. */
	setenv("http_proxy", "http://127.0.0.1:2", 1);
	setenv("all_proxy", "http://127.0.0.1:2", 1);
	refused();
	given_up();
	hosts();
	return tap_done();
}
