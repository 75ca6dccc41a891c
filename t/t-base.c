/*
 * The base layer: slice, buf, err, base64 and base32, hash, clock, file.
 */
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base64.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/file.h"
#include "common/hash.h"
#include "common/slice.h"
#include "common/xalloc.h"
#include "t/tap.h"

#define NOTHING ((struct slice){ NULL, 0 })

/* ---- slice ---- */

static void
comparing(void)
{
	static const struct {
		const char *a, *b;
		bool eq, eqi, starts, startsi, endsi;
	} rows[] = {
		{ "", "", true, true, true, true, true },
		{ "a", "", false, false, true, true, true },
		{ "", "a", false, false, false, false, false },
		{ "Abc", "Abc", true, true, true, true, true },
		{ "Abc", "aBC", false, true, false, true, true },
		{ "Abcd", "aB", false, false, false, true, false },
		{ "Abcd", "CD", false, false, false, false, true },
		{ "a[", "A{", false, false, false, false, false }, /* not letters */
		{ "\xe9", "\xc9", false, false, false, false, false },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct slice a = slice_str(rows[i].a), b = slice_str(rows[i].b);

		ok(slice_eq(a, b) == rows[i].eq && slice_eqi(a, b) == rows[i].eqi &&
			slice_starts(a, b) == rows[i].starts &&
			slice_startsi(a, b) == rows[i].startsi &&
			slice_endsi(a, b) == rows[i].endsi,
		    "'%s' and '%s'", rows[i].a, rows[i].b);
	}
	ok(slice_eq(NOTHING, SLICE_LIT("")) && slice_eqi(NOTHING, SLICE_LIT("")), "NULL is empty");
	ok(slice_str(NULL).len == 0, "of NULL");
}

static void
cutting(void)
{
	struct slice s = SLICE_LIT("a:b::c"), part;

	part = slice_cut(&s, ':');
	ok(slice_eq(part, SLICE_LIT("a")) && slice_eq(s, SLICE_LIT("b::c")), "first of four");
	slice_cut(&s, ':');
	part = slice_cut(&s, ':');
	ok(part.len == 0 && slice_eq(s, SLICE_LIT("c")), "an empty one");
	part = slice_cut(&s, ':');
	ok(slice_eq(part, SLICE_LIT("c")) && s.len == 0, "the last one");
	ok(slice_cut(&s, ':').len == 0 && s.len == 0, "and no more");

	ok(slice_eq(slice_trim(SLICE_LIT(" \t\r\na b\n ")), SLICE_LIT("a b")), "trimmed");
	ok(slice_trim(SLICE_LIT(" \t\r\n")).len == 0 && slice_trim(NOTHING).len == 0, "to nothing");
	ok(slice_find(SLICE_LIT("abc"), 'c') == 2 && slice_find(SLICE_LIT("abc"), 'd') == 3 &&
		slice_find(NOTHING, 'd') == 0,
	    "found");
	ok(slice_skip(SLICE_LIT("abc"), 9).len == 0 && slice_skip(NOTHING, 9).len == 0 &&
		slice_head(SLICE_LIT("abc"), 9).len == 3,
	    "not past the end");
}

static void
lines_and_words(void)
{
	static const struct {
		const char *in, *lines[4]; /* up to a NULL */
	} rows[] = {
		{ "", { NULL } },
		{ "\n", { "", NULL } },
		{ "a", { "a", NULL } },
		{ "a\n", { "a", NULL } },
		{ "a\r\nb\n", { "a", "b", NULL } },
		{ "a\n\nb", { "a", "", "b", NULL } },
		{ "a\rb\r", { "a\rb", NULL } }, /* the CR at the very end goes */
		{ "\r\n\r", { "", "", NULL } },
	};
	struct slice rest, part;
	uint64_t n;

	for (size_t i = 0; i < COUNT(rows); i++) {
		bool same = true;
		size_t k = 0;

		rest = slice_str(rows[i].in);
		while (slice_line(&rest, &part)) {
			same = same && rows[i].lines[k] != NULL &&
			       slice_eq(part, slice_str(rows[i].lines[k]));
			k += rows[i].lines[k] != NULL;
		}
		ok(same && rows[i].lines[k] == NULL, "lines of '%s'", rows[i].in);
	}
	rest = SLICE_LIT(" \ta  b\tc ");
	for (n = 0; slice_word(&rest, &part); n++)
		ok(part.len == 1 && part.p[0] == (char)('a' + n), "word %d", (int)n);
	ok(n == 3, "three words");
}

static void
numbers(void)
{
	static const struct {
		const char *in;
		uint64_t max;
		bool good;
		uint64_t want;
	} rows[] = {
		{ "0", 0, true, 0 },
		{ "1", 0, false, 0 },
		{ "007", 7, true, 7 },
		{ "8", 7, false, 0 },
		{ "10", 9, false, 0 },
		{ "255", 255, true, 255 },
		{ "256", 255, false, 0 },
		{ "300", 255, false, 0 },
		{ "18446744073709551615", UINT64_MAX, true, UINT64_MAX },
		{ "18446744073709551616", UINT64_MAX, false, 0 },
		{ "99999999999999999999", UINT64_MAX, false, 0 },
		{ "", 9, false, 0 },
		{ "-1", 9, false, 0 },
		{ "+1", 9, false, 0 },
		{ " 1", 9, false, 0 },
		{ "1x", 99, false, 0 },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t n = 0;

		ok(slice_uint(slice_str(rows[i].in), rows[i].max, &n) == rows[i].good &&
			n == rows[i].want,
		    "number '%s'", rows[i].in);
	}
}

/* ---- buf ---- */

static void
buffers(void)
{
	struct buf b;
	char *taken;

	buf_init(&b, 5);
	ok(strcmp(buf_str(&b), "") == 0 && buf_slice(&b).len == 0, "empty");
	ok(buf_reserve(&b, 3) && strcmp(buf_str(&b), "") == 0, "reserved: still a C string");
	buf_adds(&b, "abc");
	buf_add(&b, NOTHING);
	ok(b.len == 3 && strcmp(b.p, "abc") == 0 && !b.full, "three of five");
	buf_adds(&b, "def");
	ok(b.full && strcmp(buf_str(&b), "abc") == 0, "what does not fit is not added");
	buf_addc(&b, 'd');
	ok(strcmp(buf_str(&b), "abc") == 0, "nor anything behind it");
	ok(!buf_reserve(&b, 0), "full is full");
	buf_clear(&b);
	ok(!b.full && b.len == 0 && strcmp(buf_str(&b), "") == 0, "cleared");
	buf_printf(&b, "%d-%s", 42, "ab");
	ok(strcmp(buf_str(&b), "42-ab") == 0 && !b.full, "exactly full is not full");
	taken = buf_take(&b);
	ok(strcmp(taken, "42-ab") == 0 && b.p == NULL && b.max == 5, "taken");
	free(taken);
	taken = buf_take(&b);
	ok(strcmp(taken, "") == 0, "nothing to take");
	free(taken);
	buf_free(&b);

	buf_init(&b, 0);
	buf_adds(&b, "");
	ok(!b.full, "nothing fits in no room");
	buf_addc(&b, 'x');
	ok(b.full && b.len == 0, "anything else does not");
	buf_free(&b);

	buf_init(&b, BUF_NO_LIMIT);
	for (int i = 0; i < 100000; i++)
		buf_addc(&b, (char)('a' + i % 26));
	ok(b.len == 100000 && b.p[99999] == 'a' + 99999 % 26 && b.p[b.len] == '\0', "grows");
	ok(!buf_reserve(&b, SIZE_MAX) && b.full && b.len == 100000, "not past any size");
	buf_free(&b);
}

/* ---- err ---- */

static void
errors(void)
{
	char longer[2000];
	struct err e;

	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	errno = ENOENT;
	ok(err_errno(&e, "open %s", "/a") == -1 &&
		strcmp(e.text, "open /a: No such file or directory") == 0 && errno == ENOENT,
	    "with errno");
	ok(err_set(&e, "bad\nline\x1b[1m") == -1 && strcmp(e.text, "bad?line?[1m") == 0,
	    "no controls");
	err_text(&e, 0, "inner");
	err_text(&e, 0, "outer: %s", e.text);
	ok(strcmp(e.text, "outer: inner") == 0, "wraps its own text");
	err_text(&e, 0, "%s", longer);
	ok(strlen(e.text) == sizeof(e.text) - 1, "cut");
	err_text(&e, ENOENT, "%s", longer);
	ok(strlen(e.text) == sizeof(e.text) - 1 &&
		slice_endsi(slice_str(e.text), SLICE_LIT("x: No such file or directory")),
	    "cut, but the reason stays");
	ok(err_set(NULL, "nobody listens") == -1, "no struct err");
}

/* ---- base64 ---- */

enum { STD, URL, B32 };

static void
coding(void)
{
	static const struct {
		int kind;
		const char *plain, *text;
	} rows[] = {
		/* RFC 4648 section 10 */
		{ STD, "", "" },
		{ STD, "f", "Zg==" },
		{ STD, "fo", "Zm8=" },
		{ STD, "foo", "Zm9v" },
		{ STD, "foob", "Zm9vYg==" },
		{ STD, "fooba", "Zm9vYmE=" },
		{ STD, "foobar", "Zm9vYmFy" },
		{ STD, "\xfb\xff\xbf", "+/+/" },
		{ URL, "\xfb\xff\xbf", "-_-_" },
		{ URL, "f", "Zg" },
		{ URL, "fo", "Zm8" },
		{ B32, "f", "my" },
		{ B32, "fo", "mzxq" },
		{ B32, "foo", "mzxw6" },
		{ B32, "foob", "mzxw6yq" },
		{ B32, "fooba", "mzxw6ytb" },
		{ B32, "foobar", "mzxw6ytboi" },
		/* only decoded; plain NULL: refused */
		{ STD, NULL, "Zg" },
		{ STD, NULL, "Zg=" },
		{ STD, NULL, "Zg===" },
		{ STD, NULL, "Zh==" }, /* unused bits */
		{ STD, NULL, "Zm9=" },
		{ STD, NULL, "Z===" },
		{ STD, NULL, "====" },
		{ STD, NULL, "Zg==Zg==" },
		{ STD, NULL, "Zm 9v" },
		{ STD, NULL, "Zm9v\n" },
		{ STD, NULL, "-_-_" },
		{ URL, NULL, "+/+/" },
		{ URL, NULL, "Zg==" },
		{ URL, NULL, "Z" },
		{ URL, NULL, "Zh" },
		{ URL, NULL, "Zm9vY" },
		{ B32, NULL, "m" },
		{ B32, NULL, "mz" },
		{ B32, NULL, "mzx" },
		{ B32, NULL, "mzxw6y" },
		{ B32, NULL, "m1" },
		{ B32, NULL, "my======" },
	};
	struct buf text, plain;

	buf_init(&text, 1000);
	buf_init(&plain, 1000);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct slice in = slice_str(rows[i].text), want = slice_str(rows[i].plain);
		bool good;

		buf_clear(&text);
		buf_clear(&plain);
		if (rows[i].kind == B32)
			base32_encode(&text, want);
		else
			base64_encode(&text, want, rows[i].kind == STD ? BASE64_STD : BASE64_URL);
		buf_adds(&plain, ">");
		good = rows[i].kind == B32 ? base32_decode(&plain, in)
		                           : base64_decode(&plain, in,
						 rows[i].kind == STD ? BASE64_STD : BASE64_URL);
		if (rows[i].plain != NULL)
			ok(good && slice_eq(slice_skip(buf_slice(&plain), 1), want) &&
				slice_eq(buf_slice(&text), in),
			    "'%s' is '%s'", rows[i].plain, rows[i].text);
		else
			ok(!good && strcmp(buf_str(&plain), ">") == 0, "'%s' is refused",
			    rows[i].text);
	}
	buf_clear(&plain);
	ok(base32_decode(&plain, SLICE_LIT("MZXW6YTBOI")) && strcmp(buf_str(&plain), "foobar") == 0,
	    "base32 in upper case");
	buf_free(&text);
	buf_free(&plain);
	buf_init(&plain, 2);
	ok(!base64_decode(&plain, SLICE_LIT("Zm9v"), BASE64_STD) && plain.len == 0,
	    "what does not fit is not half there");
	buf_free(&plain);
}

/* ---- hash, clock ---- */

static void
digests(void)
{
	unsigned char md[HASH_SHA256_SIZE], again[HASH_SHA256_SIZE];
	char hex[2 * HASH_SHA256_SIZE + 1];
	struct hash *h;

	hash_sha256(SLICE_LIT("abc"), md);
	ok(strcmp(hash_hex(md, sizeof(md), hex),
	       "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad") == 0,
	    "SHA-256 of abc");
	h = hash_sha256_begin();
	hash_add(h, SLICE_LIT("a"));
	hash_add(h, NOTHING);
	hash_add(h, SLICE_LIT("bc"));
	hash_end(h, again);
	ok(memcmp(md, again, sizeof(md)) == 0, "and in pieces");
	hash_sha256(NOTHING, md);
	ok(strncmp(hash_hex(md, sizeof(md), hex), "e3b0c44298fc1c14", 16) == 0,
	    "SHA-256 of nothing");
	hash_sha1(SLICE_LIT("abc"), md);
	ok(strcmp(hash_hex(md, HASH_SHA1_SIZE, hex), "a9993e364706816aba3e25717850c26c9cd0d89d") ==
		0,
	    "SHA-1 of abc");
	ok(hash_id63(SLICE_LIT("abc")) == 0xba7816bf8f01cfeaull >> 1, "63 bits of it");
	hash_free(NULL);
}

static void
times(void)
{
	char iso[CLOCK_ISO_SIZE], mail[CLOCK_MAIL_SIZE];

	ok(strcmp(clock_iso(0, iso), "1970-01-01T00:00:00.000Z") == 0, "the beginning");
	ok(strcmp(clock_iso(1795348077042, iso), "2026-11-22T11:47:57.042Z") == 0, "%s", iso);
	ok(strcmp(clock_iso(-1, iso), "1969-12-31T23:59:59.999Z") == 0, "before it: %s", iso);
	ok(strlen(clock_iso(INT64_MAX, iso)) < sizeof(iso), "the far future fits: %s", iso);
	ok(strcmp(clock_mail(1795348077, mail), "Sun, 22 Nov 2026 11:47:57 +0000") == 0, "%s",
	    mail);
	ok(clock_wall_s() > 1700000000 && clock_wall_us() / 1000000 - clock_wall_s() < 2, "now");
	ok(clock_mono_ms() <= clock_mono_ms(), "monotonic");
}

/* ---- file ---- */

static char dir[] = "/tmp/sp-base.XXXXXX";

static const char *
below(struct buf *path, const char *name)
{
	buf_clear(path);
	buf_printf(path, "%s/%s", dir, name);
	return buf_str(path);
}

static void
reading(void)
{
	struct buf path, b;
	struct err e;
	int dfd = open(dir, O_RDONLY | O_DIRECTORY);

	buf_init(&path, 1000);
	buf_init(&b, 10);
	ok(file_replace(dfd, "ten", SLICE_LIT("0123456789"), 0640, &e) == 0, "written");
	ok(file_read(dfd, "ten", &b, &e) == 0 && strcmp(buf_str(&b), "0123456789") == 0,
	    "and read");
	ok(file_replace(dfd, "eleven", SLICE_LIT("0123456789a"), 0600, &e) == 0 &&
		file_read(dfd, "eleven", &b, &e) == -1 &&
		strcmp(e.text, "eleven: larger than 10 bytes") == 0,
	    "too large: %s", e.text);
	ok(file_replace(dfd, "ten", SLICE_LIT(""), 0600, &e) == 0 &&
		file_read(dfd, "ten", &b, &e) == 0 && b.len == 0,
	    "empty");
	ok(file_read(dfd, "none", &b, &e) == -1 &&
		strcmp(e.text, "none: No such file or directory") == 0,
	    "not there: %s", e.text);
	ok(file_read(AT_FDCWD, dir, &b, &e) == -1 &&
		slice_endsi(slice_str(e.text), SLICE_LIT(": not a regular file")),
	    "a directory: %s", e.text);
	ok(mkfifo(below(&path, "fifo"), 0600) == 0 &&
		file_read(AT_FDCWD, buf_str(&path), &b, &e) == -1 &&
		slice_endsi(slice_str(e.text), SLICE_LIT(": not a regular file")),
	    "a FIFO does not hang us: %s", e.text);
	unlinkat(dfd, "fifo", 0);
	unlinkat(dfd, "ten", 0);
	unlinkat(dfd, "eleven", 0);
	close(dfd);
	buf_free(&path);
	buf_free(&b);
}

static void
directories(void)
{
	struct buf path;
	struct err e;
	int dfd = open(dir, O_RDONLY | O_DIRECTORY);

	buf_init(&path, 1000);
	ok(file_mkdirs(below(&path, "a/b//c/"), 0750, &e) == 0, "made");
	ok(file_mkdirs(below(&path, "a/b//c/"), 0750, &e) == 0, "there already");
	ok(file_mkdirs("/", 0750, &e) == 0, "/");
	ok(file_mkdirs("", 0750, &e) == -1, "no name");
	file_replace(dfd, "f", SLICE_LIT("x"), 0600, NULL);
	ok(file_mkdirs(below(&path, "f"), 0750, &e) == -1 &&
		slice_endsi(slice_str(e.text), SLICE_LIT("/f: not a directory")),
	    "a file is in the way: %s", e.text);
	ok(file_mkdirs(below(&path, "f/g"), 0750, &e) == -1, "and farther up: %s", e.text);
	unlinkat(dfd, "f", 0);
	rmdir(below(&path, "a/b/c"));
	rmdir(below(&path, "a/b"));
	rmdir(below(&path, "a"));
	close(dfd);
	buf_free(&path);
}

enum { THREADS = 4, ROUNDS = 50, SIZE = 20000 };

static void *
replace_often(void *arg)
{
	int dfd = *(int *)arg;
	char *text = xcalloc(SIZE, 1);
	long bad = 0;

	for (int i = 0; i < ROUNDS; i++) {
		memset(text, 'a' + i % 26, SIZE);
		bad += file_replace(dfd, "shared", (struct slice){ text, SIZE }, 0600, NULL) < 0;
	}
	free(text);
	return (void *)bad;
}

/* Whoever reads sees one of the versions, whole. */
static void
replacing_together(void)
{
	int dfd = open(dir, O_RDONLY | O_DIRECTORY);
	pthread_t threads[THREADS];
	bool whole = true;
	long failed = 0;
	struct buf b;

	buf_init(&b, 2 * SIZE);
	file_replace(dfd, "shared", SLICE_LIT(""), 0600, NULL);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, replace_often, &dfd);
	for (int i = 0; i < 200; i++) {
		failed += file_read(dfd, "shared", &b, NULL) < 0;
		whole = whole && (b.len == 0 || b.len == SIZE);
		for (size_t k = 1; k < b.len && whole; k++)
			whole = b.p[k] == b.p[0];
	}
	for (int i = 0; i < THREADS; i++) {
		void *bad;

		pthread_join(threads[i], &bad);
		failed += (long)bad;
	}
	ok(failed == 0, "threads may replace the same file: %ld failures", failed);
	ok(whole, "and readers see it whole");
	unlinkat(dfd, "shared", 0);
	close(dfd);
	buf_free(&b);
}

int
main(void)
{
	comparing();
	cutting();
	lines_and_words();
	numbers();
	buffers();
	errors();
	coding();
	digests();
	times();
	if (!ok(mkdtemp(dir) != NULL, "a place for files"))
		return tap_done();
	reading();
	directories();
	replacing_together();
	ok(rmdir(dir) == 0, "nothing is left behind");
	return tap_done();
}
