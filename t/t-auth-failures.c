#include "common/auth_failures.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/file.h"
#include "t/tap.h"

#define NOW 1785845120

static struct auth_client
client(const char *text)
{
	struct auth_client c = { 0 };

	auth_client_parse(slice_str(text), &c);
	return c;
}

/* ---- whose address it is ---- */

static void
addresses(void)
{
	static const struct {
		const char *a, *b;
		bool same;
	} rows[] = {
		{ "192.0.2.1", "192.0.2.1", true },
		{ "192.0.2.1", "192.0.2.2", false },
		{ "192.0.2.1", "::ffff:192.0.2.1", true },
		{ "2001:db8::1", "2001:db8::ffff", true },
		{ "2001:db8::1", "2001:db8:0:1::1", false },
		{ "::1", "::ffff:0.0.0.1", false },
		{ "fe80::1%eth0", "fe80::1", true },
	};
	static const char *const no[] = { "", "x", "192.0.2", "192.0.2.1 ", "1::2::3", "unknown",
		"1234:1234:1234:1234:1234:1234:1234:1234:1234:1234:1234" };
	struct auth_client a, b;
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	struct sockaddr other = { .sa_family = AF_UNIX };

	for (size_t i = 0; i < COUNT(rows); i++)
		ok(auth_client_parse(slice_str(rows[i].a), &a) &&
			auth_client_parse(slice_str(rows[i].b), &b) &&
			(memcmp(&a, &b, sizeof(a)) == 0) == rows[i].same,
		    "%s and %s are%s the same client", rows[i].a, rows[i].b,
		    rows[i].same ? "" : " not");
	for (size_t i = 0; i < COUNT(no); i++)
		ok(!auth_client_parse(slice_str(no[i]), &a), "'%s' is no address", no[i]);
	inet_pton(AF_INET, "192.0.2.1", &v4.sin_addr);
	inet_pton(AF_INET6, "2001:db8::9", &v6.sin6_addr);
	b = client("192.0.2.1");
	ok(auth_client_of((struct sockaddr *)&v4, &a) && memcmp(&a, &b, sizeof(a)) == 0,
	    "a socket's address is the log's");
	b = client("2001:db8::1");
	ok(auth_client_of((struct sockaddr *)&v6, &a) && memcmp(&a, &b, sizeof(a)) == 0,
	    "and IPv6");
	ok(!auth_client_of(&other, &a), "a local socket has none");
}

/* ---- windows ---- */

static char dir[] = "/tmp/t-auth.XXXXXX";

static void
publish(struct auth_failures *t)
{
	struct buf text;
	struct err e;
	int fd = open(dir, O_RDONLY | O_DIRECTORY);

	buf_init(&text, BUF_NO_LIMIT);
	auth_failures_print(t, &text);
	auth_failures_put_position(&text, "file /x", SLICE_LIT("\0state\n"));
	ok(file_replace(fd, AUTH_FAILURES_FILE, buf_slice(&text), 0640, &e) == 0, "written");
	close(fd);
	buf_free(&text);
}

/* Failures at these times, the log being read at `read_s`: until when is it refused at `now_s`? */
static const struct {
	const char *what;
	unsigned most, window_s;
	int n, at_s[6];
	int read_s, now_s, until_s; /* 0: not refused */
} windows[] = {
	{ "one failure of one", 1, 60, 1, { 0 }, 0, 0, 60 },
	{ "the last second", 1, 60, 1, { 0 }, 0, 59, 60 },
	{ "it is over", 1, 60, 1, { 0 }, 0, 60, 0 },
	{ "one of two is not enough", 2, 60, 1, { 0 }, 0, 0, 0 },
	{ "two of two, from the first", 2, 60, 2, { 0, 50 }, 50, 50, 60 },
	{ "more do not make it longer", 2, 60, 4, { 0, 50, 55, 59 }, 59, 59, 60 },
	{ "nor last", 2, 60, 4, { 0, 50, 55, 59 }, 59, 60, 0 },
	{ "the next one begins anew", 2, 60, 3, { 0, 50, 61 }, 61, 61, 0 },
	{ "and is refused again", 2, 60, 4, { 0, 50, 61, 62 }, 62, 62, 121 },
	{ "never so many in a window", 3, 60, 6, { 0, 40, 70, 100, 130, 160 }, 160, 160, 0 },
	{ "too old when it is read", 1, 60, 2, { 0, 1 }, 100, 100, 0 },
	{ "old ones do not count", 2, 60, 2, { 0, 70 }, 100, 100, 0 },
	{ "the old window is that of the second one too", 2, 60, 3, { 0, 50, 70 }, 100, 100, 0 },
	{ "far out of order", 1, 60, 2, { 100, 5 }, 100, 100, 160 },
	{ "read late, but in time", 2, 60, 2, { 50, 70 }, 100, 100, 110 },
	{ "out of order", 2, 60, 2, { 10, 5 }, 10, 10, 70 },
	{ "a time to come counts as now", 1, 60, 1, { 5000 }, 0, 0, 60 },
	{ "the clock was set back", 1, 60, 1, { 5000 }, 5000, 0, 0 },
};

static void
time_windows(void)
{
	for (size_t i = 0; i < COUNT(windows); i++) {
		struct auth_failures *t = auth_failures_new();
		struct auth_failures_view *v = auth_failures_open(dir);
		struct auth_client c = client("192.0.2.1"), other = client("192.0.2.2");
		int64_t want = windows[i].until_s > 0 ? NOW + windows[i].until_s : 0;

		for (int k = 0; k < windows[i].n; k++) {
			int64_t at = NOW + windows[i].at_s[k];

			int64_t read = NOW + windows[i].read_s;

			auth_failures_add(t, &c, windows[i].window_s, at, read);
		}
		publish(t);
		ok(auth_failures_until(
		       v, &c, windows[i].most, windows[i].window_s, NOW + windows[i].now_s) == want,
		    "%s", windows[i].what);
		ok(auth_failures_until(v, &other, 1, windows[i].window_s, NOW) == 0 &&
			auth_failures_until(v, &c, 1, windows[i].window_s + 1, NOW) == 0,
		    "no other client, no other window");
		auth_failures_close(v);
		auth_failures_free(t);
	}
}

/* ---- the file ---- */

static void
write_text(const char *text)
{
	struct err e;
	int fd = open(dir, O_RDONLY | O_DIRECTORY);

	if (file_replace(fd, AUTH_FAILURES_FILE, slice_str(text), 0640, &e) < 0)
		ok(false, "%s", e.text);
	close(fd);
}

#define LINE "00000000000000000000ffffc0000201 0000000060 00000000001785845120 0000000003\n"

static const struct {
	const char *text, *error; /* NULL: it is good */
} files[] = {
	{ "auth-failures 1 00000000\n", NULL },
	{ "auth-failures 1 00000001\n" LINE, NULL },
	{ "auth-failures 1 00000001\n" LINE "position x\nposition\nnonsense", NULL },
	{ "", "auth-failures: it does not begin as such a file does" },
	{ "auth-failures 2 00000001\n" LINE,
	    "auth-failures: it does not begin as such a file does" },
	{ "auth-failures 1 99999999\n" LINE,
	    "auth-failures: it does not begin as such a file does" },
	{ "auth-failures 1 -0000001\n" LINE,
	    "auth-failures: it does not begin as such a file does" },
	{ "auth-failures 1 00000002\n" LINE, "auth-failures: lines are missing" },
	{ "auth-failures 1 00000001\n"
	  "00000000000000000000FFFFC0000201 0000000060 00000000001785845120 0000000003\n",
	    "auth-failures: a line is damaged" },
	{ "auth-failures 1 00000001\n"
	  "00000000000000000000ffffc0000201 000000006x 00000000001785845120 0000000003\n",
	    "auth-failures: a line is damaged" },
};

static void
damaged(void)
{
	struct auth_client c = client("192.0.2.1");

	for (size_t i = 0; i < COUNT(files); i++) {
		struct auth_failures *t = auth_failures_new();
		struct slice rest;
		struct err e = { .text = "" };
		int rc = auth_failures_read(t, slice_str(files[i].text), &rest, &e);

		ok((rc == 0) == (files[i].error == NULL) &&
			strcmp(e.text, files[i].error != NULL ? files[i].error : "") == 0,
		    "file %zu: %s", i, e.text);
		ok(rc == 0 || auth_failures_count(t) == 0, "nothing of it counts");
		auth_failures_free(t);
	}
	for (size_t i = 0; i < COUNT(files); i++) {
		struct auth_failures_view *v = auth_failures_open(dir);
		bool listed = files[i].error == NULL && strstr(files[i].text, "c0000201") != NULL;

		write_text(files[i].text);
		ok((auth_failures_until(v, &c, 3, 60, NOW) != 0) == listed, "asked: file %zu", i);
		auth_failures_close(v);
	}
}

static void
replaced(void)
{
	struct auth_failures_view *v = auth_failures_open(dir);
	struct auth_client c = client("192.0.2.1");
	char path[100];

	snprintf(path, sizeof(path), "%s/%s", dir, AUTH_FAILURES_FILE);
	unlink(path);
	ok(auth_failures_until(v, &c, 3, 60, NOW) == 0, "no file");
	write_text("auth-failures 1 00000001\n" LINE);
	ok(auth_failures_until(v, &c, 3, 60, NOW) == NOW + 60, "it is there now");
	write_text("auth-failures 1 00000000\n");
	ok(auth_failures_until(v, &c, 3, 60, NOW) == 0, "and was replaced");
	unlink(path);
	ok(mkfifo(path, 0600) == 0 && auth_failures_until(v, &c, 3, 60, NOW) == 0,
	    "a FIFO hangs nobody");
	unlink(path);
	auth_failures_close(v);
}

static void
positions(void)
{
	struct buf text, state;
	struct auth_failures *t = auth_failures_new();
	struct slice rest;
	struct err e;

	buf_init(&text, BUF_NO_LIMIT);
	buf_init(&state, BUF_NO_LIMIT);
	auth_failures_print(t, &text);
	auth_failures_put_position(&text, "file /a b", SLICE_LIT("one\n"));
	auth_failures_put_position(&text, "journal", (struct slice){ NULL, 0 });
	auth_failures_put_position(&text, "file /c", SLICE_LIT("\0\377"));
	ok(auth_failures_read(t, buf_slice(&text), &rest, &e) == 0, "read back");
	ok(auth_failures_position(rest, "file /a b", &state) &&
		slice_eq(buf_slice(&state), SLICE_LIT("one\n")),
	    "a position");
	ok(auth_failures_position(rest, "file /c", &state) &&
		slice_eq(buf_slice(&state), SLICE_LIT("\0\377")),
	    "any bytes");
	ok(auth_failures_position(rest, "journal", &state) && state.len == 0, "an empty one");
	ok(!auth_failures_position(rest, "file /d", &state) && state.len == 0, "none");
	buf_free(&text);
	buf_free(&state);
	auth_failures_free(t);
}

/* ---- a botnet ---- */

static struct auth_client
bot(uint32_t i)
{
	struct auth_client c = { .v = { [10] = 0xff, [11] = 0xff } };

	i = htonl(0x0a000000 + i);
	memcpy(c.v + 12, &i, 4);
	return c;
}

static void
botnet(uint32_t n)
{
	struct auth_failures *t = auth_failures_new(), *again = auth_failures_new();
	struct auth_failures_view *v = auth_failures_open(dir);
	struct auth_client first = bot(0), last = bot(n - 1);
	struct buf text;
	struct slice rest;
	struct err e;

	for (uint32_t i = 0; i < n; i++) {
		struct auth_client c = bot(i);

		auth_failures_add(t, &c, 60, NOW + i / 100000, NOW + i / 100000);
	}
	ok(auth_failures_count(t) <= AUTH_FAILURES_MAX &&
		auth_failures_count(t) + auth_failures_forgotten(t) == n,
	    "%u clients: %zu are known", n, auth_failures_count(t));
	buf_init(&text, BUF_NO_LIMIT);
	auth_failures_print(t, &text);
	ok(text.len < 6 << 20, "%zu bytes", text.len);
	ok(auth_failures_read(again, buf_slice(&text), &rest, &e) == 0 &&
		auth_failures_count(again) == auth_failures_count(t),
	    "and back");
	publish(again);
	ok(auth_failures_until(v, &last, 1, 60, NOW + n / 100000) != 0, "the last one is refused");
	ok(n <= AUTH_FAILURES_MAX || auth_failures_until(v, &first, 1, 60, NOW) == 0,
	    "the first one was forgotten");
	auth_failures_trim(t, NOW + 60 + n / 100000);
	ok(auth_failures_count(t) == 0, "later nobody is");
	buf_free(&text);
	auth_failures_free(t);
	auth_failures_free(again);
	auth_failures_close(v);
}

/* ---- the configuration ---- */

static void
limits(void)
{
	static const struct {
		const char *rate;
		bool limited;
		uint64_t failures, window_s;
	} rows[] = {
		{ "unlimited", false, 0, 0 },
		{ "1/min", true, 1, 60 },
		{ "5/2h", true, 5, 7200 },
		{ "0", true, 1, 86400 },
		{ "0/h", true, 1, 3600 },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t failures = 0, window_s = 0, all[2] = { 0 };
		char text[200];
		struct conf *c;
		struct err e;
		size_t n;

		snprintf(text, sizeof(text),
		    "<source 0/0>\nsmtp-max-auth-failure-rate %s\n</source>\n<source 10/8>\n"
		    "log-data no\n</source>\n",
		    rows[i].rate);
		c = conf_parse("t", slice_str(text), &e);
		n = conf_auth_windows(c, all);
		ok(conf_auth_limit(&c->sources[0], &failures, &window_s) == rows[i].limited &&
			failures == rows[i].failures && window_s == rows[i].window_s &&
			n == (rows[i].limited ? 1u : 0u) && all[0] == window_s,
		    "%s: %llu in %llu", rows[i].rate, (unsigned long long)failures,
		    (unsigned long long)window_s);
		conf_free(c);
	}
}

int
main(void)
{
	char path[100];

	if (mkdtemp(dir) == NULL)
		return 1;
	addresses();
	time_windows();
	damaged();
	replaced();
	positions();
	botnet(1000);
	botnet(1000000);
	limits();
	snprintf(path, sizeof(path), "%s/%s", dir, AUTH_FAILURES_FILE);
	unlink(path);
	rmdir(dir);
	return tap_done();
}
