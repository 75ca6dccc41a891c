#include "uploader/batch.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

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

static void
contents(void)
{
	static const struct {
		const char *text;
		enum batch_result want;
	} rows[] = {
		{ "", BATCH_EMPTY },
		{ "\n", BATCH_EMPTY },
		{ " \t\r\n\n\n", BATCH_EMPTY },
		{ "{\"msys\":{}}\n", BATCH_READY },
		{ "\n\n{}\n", BATCH_READY },
		{ "no JSON, and no line end", BATCH_READY },
		{ "\n\x01", BATCH_READY },
	};
	char out[200];
	struct buf body, again;
	struct stat st;
	struct err e;

	buf_init(&body, BATCH_BODY_MAX);
	buf_init(&again, BATCH_BODY_MAX);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct slice text = slice_str(rows[i].text);
		enum batch_result got;

		put("s", text);
		got = batch_make(dir, "s", &body, &st, &e);
		ok(got == rows[i].want, "'%s': %d", rows[i].text, got);
		if (got != BATCH_READY) {
			ok(body.len == 0, "'%s': no body", rows[i].text);
			continue;
		}
		ok(unzip(buf_slice(&body), out, sizeof(out)) == (ssize_t)text.len &&
			memcmp(out, text.p, text.len) == 0,
		    "'%s': comes out as it was", rows[i].text);
		put("s2", text);
		batch_make(dir, "s2", &again, &st, &e);
		ok(slice_eq(buf_slice(&body), buf_slice(&again)), "'%s': same bytes, same body",
		    rows[i].text);
	}
	buf_free(&body);
	buf_free(&again);
}

static void
not_segments(void)
{
	struct buf body;
	struct stat st;
	struct err e;

	buf_init(&body, BATCH_BODY_MAX);
	ok(batch_make(dir, "none", &body, &st, &e) == BATCH_GONE, "gone");
	mkdirat(dir, "d", 0700);
	ok(batch_make(dir, "d", &body, &st, &e) == BATCH_BAD &&
		strcmp(e.text, "not a regular file") == 0,
	    "a directory: %s", e.text);
	mkfifoat(dir, "f", 0600);
	ok(batch_make(dir, "f", &body, &st, &e) == BATCH_BAD &&
		strcmp(e.text, "not a regular file") == 0,
	    "a FIFO: %s", e.text);
	put("s", SLICE_LIT("{}\n"));
	ok(symlinkat("s", dir, "l") == 0 && batch_make(dir, "l", &body, &st, &e) == BATCH_BAD &&
		strcmp(e.text, "not a regular file") == 0,
	    "a symbolic link: %s", e.text);
	if (geteuid() != 0) {
		ok(fchmodat(dir, "s", 0, 0) == 0, "take its rights");
		ok(batch_make(dir, "s", &body, &st, &e) == BATCH_BAD &&
			strcmp(e.text, "open: Permission denied") == 0,
		    "unreadable: %s", e.text);
		ok(fchmodat(dir, "s", 0600, 0) == 0, "give them back");
	}
	buf_free(&body);
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

static void
sizes(void)
{
	size_t n = 5000000;
	char *in = xcalloc(n, 1), *out = xcalloc(n, 1);
	struct buf body, small;
	struct stat st;
	struct err e;
	int fd;

	buf_init(&body, BATCH_BODY_MAX);
	buf_init(&small, 100000);
	fill_noise(in, n);
	put("s", (struct slice){ in, n });
	ok(batch_make(dir, "s", &body, &st, &e) == BATCH_READY && body.len > n,
	    "five million bytes that don't compress");
	ok(unzip(buf_slice(&body), out, n) == (ssize_t)n && memcmp(in, out, n) == 0,
	    "come out as they were");
	ok(batch_make(dir, "s", &small, &st, &e) == BATCH_BAD &&
		strcmp(e.text, "more than 100000 bytes after compression") == 0,
	    "body over its limit: %s", e.text);
	ok(small.len == 0, "and nothing of it is left");
	/* Zeros compress well; what counts here is the file. It is sparse. */
	fd = openat(dir, "big", O_WRONLY | O_CREAT, 0600);
	if (ftruncate(fd, (off_t)BATCH_SEGMENT_MAX + 1) == 0)
		ok(batch_make(dir, "big", &body, &st, &e) == BATCH_BAD &&
			strcmp(e.text, "more than 67108864 bytes") == 0,
		    "file over its limit: %s", e.text);
	close(fd);
	free(in);
	free(out);
	buf_free(&body);
	buf_free(&small);
}

static void
unchanged(void)
{
	struct buf body;
	struct stat st;
	struct err e;
	struct timespec later = { 0, 20000000 };

	buf_init(&body, BATCH_BODY_MAX);
	put("s", SLICE_LIT("{}\n"));
	batch_make(dir, "s", &body, &st, &e);
	ok(batch_unchanged(dir, "s", &st), "the file as it was");
	nanosleep(&later, NULL); /* file times are as coarse as the timer tick */
	put("s", SLICE_LIT("[]\n"));
	ok(!batch_unchanged(dir, "s", &st), "other bytes, same length");
	batch_make(dir, "s", &body, &st, &e);
	put("s2", SLICE_LIT("[]\n"));
	renameat(dir, "s2", dir, "s");
	ok(!batch_unchanged(dir, "s", &st), "another file with its name");
	unlinkat(dir, "s", 0);
	ok(batch_unchanged(dir, "s", &st), "gone is not changed");
	buf_free(&body);
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
	not_segments();
	sizes();
	unchanged();
	rc = tap_done();
	snprintf(cmd, sizeof(cmd), "rm -rf %s", tmp);
	return system(cmd) == 0 ? rc : 1;
}
