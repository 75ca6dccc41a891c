#include "uploader/batch.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "common/event.h"
#include "common/file.h"
#include "common/xalloc.h"
#include "t/tap.h"

static int dir;

static void
put(const char *name, struct slice data)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0640);

	if (fd < 0 || file_write_all(fd, data) < 0) {
		printf("Bail out! can't write %s\n", name);
		exit(1);
	}
	close(fd);
}

/* gunzip; the length, or -1 if it is not exactly one whole gzip member. */
static ssize_t
unzip(struct slice body, char *out, size_t room)
{
	z_stream z = { 0 };
	unsigned char *in = xcalloc(body.len + 1, 1);
	ssize_t n = -1;

	memcpy(in, body.p, body.len);
	z.next_in = in;
	z.avail_in = (uInt)body.len;
	z.next_out = (unsigned char *)out;
	z.avail_out = (uInt)room;
	if (inflateInit2(&z, MAX_WBITS + 16) == Z_OK && inflate(&z, Z_FINISH) == Z_STREAM_END &&
	    z.avail_in == 0)
		n = (ssize_t)z.total_out;
	inflateEnd(&z);
	free(in);
	return n;
}

#define EV(id, at, more)                                                                           \
	"{\"msys\":{\"message_event\":{\"type\":\"reception\",\"event_id\":\"" #id "\","           \
	"\"timestamp\":\"" #at "\",\"message_id\":\"000040d4716a5b1c9e02\","                       \
	"\"recv_method\":\"esmtp\",\"rcpt_to\":\"a@example.net\"" more ",\"subaccount_id\":0}}}"
#define A EV(1, 1000, "")
#define B EV(2, 2000, ",\"msg_size\":\"315\"")
#define FLAT_B                                                                                     \
	"{\"event_class\":\"message_event\",\"type\":\"reception\",\"event_id\":\"2\","            \
	"\"timestamp\":2000,\"recv_method\":\"esmtp\",\"msg_size\":315,"                           \
	"\"message_id\":\"000040d4716a5b1c9e02\",\"rcpt_to\":\"a@example.net\",\"subaccount_id\":" \
	"0}\n"

static struct batch_ask
ask_for(const char *name)
{
	struct batch_ask ask = { .dirfd = dir,
		.max_bytes = BATCH_BYTES,
		.max_events = 1000000,
		.oldest_s = INT64_MIN,
		.gzip = true };

	snprintf(ask.name, sizeof(ask.name), "%s", name);
	return ask;
}

/* What is in a segment -> what goes, and what is left out. */
static void
contents(void)
{
	static const struct {
		const char *text;
		enum batch_state want;
		const char *body;
		uint64_t events, expired;
		size_t bad;
		const char *why; /* of the first that is left out */
	} rows[] = {
		{ "", BATCH_NOTHING, "", 0, 0, 0, "" },
		{ "\n", BATCH_NOTHING, "", 0, 0, 0, "" },
		{ " \t\r\n\n\n", BATCH_NOTHING, "", 0, 0, 0, "" },
		{ A "\n", BATCH_READY, A "\n", 1, 0, 0, "" },
		{ A "\n\n" B "\n", BATCH_READY, A "\n" B "\n", 2, 0, 0, "" },
		{ A "\n" B, BATCH_READY, A "\n" B "\n", 2, 0, 0, "" },
		{ A "\n{\"torn\":", BATCH_READY, A "\n", 1, 0, 1, "JSON" },
		{ "no JSON\n" A "\n\x01\n", BATCH_READY, A "\n", 1, 0, 2, "JSON" },
		{ "{}\n" B "\n", BATCH_READY, B "\n", 1, 0, 1, "not {\"msys\":{...}}" },
		{ A A "\n" B "\n", BATCH_READY, B "\n", 1, 0, 1, "JSON" },
		{ "{}\n", BATCH_NOTHING, "", 0, 0, 1, "not {\"msys\"" },
		{ EV(1, 500, "") "\n" A "\n" EV(3, 999, "") "\n", BATCH_READY, A "\n", 1, 2, 0,
		    "" },
		{ EV(1, 500, "") "\n", BATCH_NOTHING, "", 0, 1, 0, "" },
	};
	struct batch b, again;
	char out[4000];

	batch_init(&b);
	batch_init(&again);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct slice text = slice_str(rows[i].text);
		struct batch_ask ask = ask_for("s");

		ask.oldest_s = 1000;
		put("s", text);
		batch_make(&b, &ask);
		ok(b.state == rows[i].want && b.events == rows[i].events &&
			b.expired == rows[i].expired && b.n_bad == rows[i].bad && b.at_end &&
			b.end == text.len && b.size == text.len,
		    "%zu: state %d, %d events, %d expired, %zu bad", i, (int)b.state, (int)b.events,
		    (int)b.expired, b.n_bad);
		ok(b.n_bad == 0 || strstr(b.bad[0].why, rows[i].why) != NULL, "%zu: %s", i,
		    b.n_bad == 0 ? "" : b.bad[0].why);
		if (b.state != BATCH_READY) {
			ok(b.body.len == 0, "%zu: no body", i);
			continue;
		}
		ok(unzip(buf_slice(&b.body), out, sizeof(out)) == (ssize_t)strlen(rows[i].body) &&
			memcmp(out, rows[i].body, strlen(rows[i].body)) == 0,
		    "%zu: the lines as they were", i);
		put("s2", text);
		ask = ask_for("s2");
		ask.oldest_s = 1000;
		batch_make(&again, &ask);
		ok(slice_eq(buf_slice(&b.body), buf_slice(&again.body)),
		    "%zu: same bytes, same body", i);
	}
	batch_free(&b);
	batch_free(&again);
}

/* In pieces: by events, by bytes, from where the last one ended. */
static void
pieces(void)
{
	struct batch b;
	struct batch_ask ask = ask_for("s");
	char text[4000];
	unsigned n = 0;

	put("s", SLICE_LIT(A "\n" B "\nbad\n" A "\n" B "\n"));
	batch_init(&b);
	ask.gzip = false;
	for (ask.max_events = 1, text[0] = '\0'; n < 10; n++) {
		batch_make(&b, &ask);
		if (b.state == BATCH_NOTHING)
			break;
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%.*s|",
		    SLICE_FMT(buf_slice(&b.body)));
		ok(b.offset == ask.offset && b.events == 1, "a piece of one");
		ask.offset = b.end;
	}
	ok(strcmp(text, A "\n|" B "\n|" A "\n|" B "\n|") == 0 && n == 4 && b.at_end, "four: %s",
	    text);
	ask = ask_for("s");
	ask.gzip = false;
	ask.max_bytes = 1;
	batch_make(&b, &ask);
	ok(b.events == 1 && b.end == strlen(A "\n") && !b.at_end, "one line at least");
	ask.max_bytes = strlen(A "\n" B "\n");
	batch_make(&b, &ask);
	ok(b.events == 2 && b.n_bad == 0 && b.end == strlen(A "\n" B "\n") && !b.at_end, "two");
	ask.max_events = 3;
	ask.max_bytes = BATCH_BYTES;
	batch_make(&b, &ask);
	ok(b.events == 3 && b.n_bad == 1 && b.bad[0].offset == strlen(A "\n" B "\n") &&
		b.bad[0].len == 3 && b.bad[0].ended,
	    "three, and what is left out between them, with its place");
	ask = ask_for("s");
	ask.gzip = false;
	ask.flat = true;
	ask.offset = strlen(A "\n");
	ask.max_events = 1;
	batch_make(&b, &ask);
	ok(slice_eq(buf_slice(&b.body), SLICE_LIT(FLAT_B)), "flat: %.*s",
	    SLICE_FMT(buf_slice(&b.body)));
	batch_free(&b);
}

static void
not_segments(void)
{
	struct batch b;
	struct batch_ask ask;
	static const char *const names[] = { "d", "f", "l" };

	batch_init(&b);
	ask = ask_for("none");
	batch_make(&b, &ask);
	ok(b.state == BATCH_GONE, "gone");
	mkdirat(dir, "d", 0700);
	mkfifoat(dir, "f", 0600);
	put("s", SLICE_LIT(A "\n"));
	ok(symlinkat("s", dir, "l") == 0, "a link");
	for (size_t i = 0; i < COUNT(names); i++) {
		struct batch_count c;

		ask = ask_for(names[i]);
		batch_make(&b, &ask);
		ok(b.state == BATCH_FAILED && strcmp(b.why.text, "not a regular file") == 0,
		    "%s: %s", names[i], b.why.text);
		batch_count(dir, names[i], &c);
		ok(c.state == BATCH_FAILED && strcmp(c.why.text, "not a regular file") == 0,
		    "%s: not counted: %s", names[i], c.why.text);
		ok(batch_size(dir, names[i]) == -1, "%s: no size", names[i]);
	}
	batch_free(&b);
}

static void
counted(void)
{
	static const struct {
		const char *text;
		enum batch_state want;
		uint64_t events;
		int64_t oldest_s;
	} rows[] = {
		{ "", BATCH_NOTHING, 0, 0 },
		{ "\n \n\r\n", BATCH_NOTHING, 0, 0 },
		{ A "\n" B "\n", BATCH_READY, 2, 1000 },
		{ B "\n" A, BATCH_READY, 2, 1000 },
		{ B "\n\nx\n", BATCH_READY, 2, 2000 },
		{ "x", BATCH_READY, 1, 0 },
		{ "\"timestamp\":\"\n\"timestamp\":\"7", BATCH_READY, 2, 7 },
		{ "\"timestamp\":\"x\"", BATCH_READY, 1, 0 },
	};
	struct batch_count c;

	for (size_t i = 0; i < COUNT(rows); i++) {
		put("s", slice_str(rows[i].text));
		batch_count(dir, "s", &c);
		ok(c.state == rows[i].want && c.events == rows[i].events &&
			c.bytes == strlen(rows[i].text) && c.oldest_s == rows[i].oldest_s,
		    "%zu: %d events, oldest %lld", i, (int)c.events, (long long)c.oldest_s);
	}
	batch_count(dir, "none", &c);
	ok(c.state == BATCH_GONE, "gone");
}

/* Bytes that don't compress. */
static void
fill_noise(char *p, size_t n)
{
	uint64_t x = 88172645463325252u;

	for (size_t i = 0; i < n; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		p[i] = (char)x;
	}
}

/* More than a window, and lines that fill it. */
static void
sizes(void)
{
	size_t n = 5000000, line = strlen(A "\n"), events = n / line;
	char *in = xcalloc(n + 2 * line, 1), *out = xcalloc(n, 1);
	struct batch b;
	struct batch_ask ask = ask_for("s");
	struct batch_count c;
	int fd;

	batch_init(&b);
	for (size_t i = 0; i < events; i++)
		memcpy(in + i * line, A "\n", line);
	put("s", (struct slice){ in, events * line });
	batch_make(&b, &ask);
	ok(b.state == BATCH_READY && !b.at_end && b.events == BATCH_BYTES / line,
	    "as many lines as may go: %d", (int)b.events);
	ok(unzip(buf_slice(&b.body), out, n) == (ssize_t)(b.events * line) &&
		memcmp(out, in, b.events * line) == 0,
	    "as they were");
	ask.offset = b.end;
	batch_make(&b, &ask);
	ok(b.at_end && b.events == events - BATCH_BYTES / line, "and the rest");

	/* One line of noise between two events. */
	fill_noise(in + line, n - line);
	for (size_t i = line; i < n; i++)
		if (in[i] == '\n')
			in[i] = ' ';
	in[n] = '\n';
	memcpy(in + n + 1, A, line - 1);
	put("s", (struct slice){ in, n + line });
	ask.offset = 0;
	batch_make(&b, &ask);
	ok(b.events == 2 && b.n_bad == 1 && b.bad[0].offset == line && b.bad[0].len == n - line &&
		b.bad[0].ended && b.at_end && strstr(b.bad[0].why, "longer than 262144") != NULL,
	    "a line longer than the window is left out: %s", b.bad[0].why);
	batch_count(dir, "s", &c);
	ok(c.events == 3 && c.bytes == n + line, "and counts as one");

	/* It is sparse. */
	fd = openat(dir, "big", O_WRONLY | O_CREAT, 0600);
	if (ftruncate(fd, 70 << 20) == 0) {
		ask = ask_for("big");
		batch_make(&b, &ask);
		ok(b.state == BATCH_NOTHING && b.n_bad == 1 && b.bad[0].len == 70 << 20 &&
			!b.bad[0].ended && b.at_end,
		    "70 MB of nothing are one line");
	}
	close(fd);
	free(in);
	free(out);
	batch_free(&b);
}

int
main(void)
{
	char tmp[] = "/tmp/t-batch.XXXXXX", cmd[64];
	int rc;

	if (mkdtemp(tmp) == NULL || (dir = open(tmp, O_RDONLY | O_DIRECTORY)) < 0) {
		printf("Bail out! no directory\n");
		return 1;
	}
	contents();
	pieces();
	not_segments();
	counted();
	sizes();
	rc = tap_done();
	snprintf(cmd, sizeof(cmd), "rm -rf %s", tmp);
	return system(cmd) == 0 ? rc : 1;
}
