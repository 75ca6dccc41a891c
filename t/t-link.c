/*
 * Tracked URLs: what was sealed comes back byte by byte, nothing else opens.
 * LINK_FORGERIES=1000000 in the environment tries that many forgeries.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common/base64.h"
#include "common/link.h"
#include "t/tap.h"

#define BASE "https://track.example.com"

static char dir[256], other_dir[256];

static struct token_ring *
new_ring(char where[256])
{
	const char *tmp = getenv("TMPDIR");
	struct err e;

	snprintf(where, 256, "%.200s/link-test-XXXXXX", tmp != NULL ? tmp : "/tmp");
	if (mkdtemp(where) == NULL || token_ring_new_key(where, NULL, &e) < 0)
		exit(1);
	return token_ring_open(where, &e);
}

static void
remove_ring(const char *where)
{
	char command[300];

	snprintf(command, sizeof(command), "rm -rf '%s'", where);
	if (system(command) != 0)
		perror(where);
}

static bool
same(const struct link *a, const struct link *b)
{
	return a->kind == b->kind && a->message.time == b->message.time &&
	       a->message.serial == b->message.serial && a->subaccount == b->subaccount &&
	       slice_eq(a->rcpt, b->rcpt) && slice_eq(a->name, b->name) && slice_eq(a->url, b->url);
}

static struct slice
path_of(const struct buf *url)
{
	return slice_skip(buf_slice(url), strlen(BASE));
}

/* ---- what comes back ---- */

static char long_name[LINK_NAME_MAX + 2], long_rcpt[LINK_RCPT_MAX + 2], long_url[LINK_URL_MAX + 2];

static void
round_trips(const struct token_ring *r)
{
	const struct link rows[] = {
		{ TOKEN_CLICK, { 1785844802, 0x01020304 }, 0, SLICE_LIT("anna@example.net"),
		    SLICE_LIT("banner"), SLICE_LIT("https://brand.example/sale?a=1&b=2#x"), { 0 } },
		{ TOKEN_CLICK, { 0, 0 }, 0, SLICE_LIT(""), SLICE_LIT(""), SLICE_LIT("http://x"),
		    { 0 } },
		{ TOKEN_CLICK, { UINT32_MAX, UINT32_MAX }, UINT64_MAX, SLICE_LIT("\0\377\n"),
		    SLICE_LIT("caf\xc3\xa9"), SLICE_LIT("HTTPS://\xff\"<>`{}|\\^%zz"), { 0 } },
		{ TOKEN_CLICK, { 1, 2 }, 127, SLICE_LIT("a@b"), SLICE_LIT("n"),
		    SLICE_LIT("http://x/%20%41"), SLICE_LIT("p") },
		{ TOKEN_CLICK, { 1, 2 }, 128, SLICE_LIT("a@b"), SLICE_LIT("n"),
		    SLICE_LIT("http://x/"), SLICE_LIT("o") },
		{ TOKEN_CLICK, { 1, 2 }, 16384, SLICE_LIT("a@b"), SLICE_LIT("n"),
		    SLICE_LIT("http://x/"), SLICE_LIT("My-App_2-abcdefghijklmnopqrstuvwxyz") },
		{ TOKEN_UNSUBSCRIBE, { 3, 4 }, 7, SLICE_LIT("a@b"), SLICE_LIT("bye"),
		    SLICE_LIT("https://x/unsub"), { 0 } },
		{ TOKEN_UNSUBSCRIBE, { 3, 4 }, 7, SLICE_LIT("a@b"), SLICE_LIT(""),
		    SLICE_LIT("https://x/unsub"), SLICE_LIT("i") },
		{ TOKEN_OPEN, { 5, 6 }, 8, SLICE_LIT("a@b"), { 0 }, { 0 }, { 0 } },
		{ TOKEN_INITIAL_OPEN, { 5, 6 }, 8, SLICE_LIT("a@b"), { 0 }, { 0 }, { 0 } },
		{ TOKEN_CLICK, { 1, 1 }, 1, { long_rcpt, LINK_RCPT_MAX },
		    { long_name, LINK_NAME_MAX }, { long_url, LINK_URL_MAX }, { 0 } },
	};
	struct buf url, again, store;

	buf_init(&url, BUF_NO_LIMIT);
	buf_init(&again, BUF_NO_LIMIT);
	buf_init(&store, BUF_NO_LIMIT);
	for (size_t i = 0; i < COUNT(rows); i++) {
		char want[100];
		struct link back, l = rows[i];
		struct err e = { .text = "" };
		unsigned id = 999;
		size_t plain = 0;

		l.sublink = slice_head(l.sublink, LINK_SUBLINK_MAX);
		buf_clear(&url);
		buf_clear(&again);
		ok(link_make(r, BASE, &l, &url, &e) == 0, "row %zu is made %s", i, e.text);
		ok(link_open(r, path_of(&url), &back, &store) && same(&l, &back),
		    "row %zu comes back", i);
		snprintf(want, sizeof(want), BASE "/%.*s/",
		    l.sublink.len > 0 ? (int)l.sublink.len : 1,
		    l.sublink.len > 0 ? l.sublink.p : (const char[]){ (char)l.kind });
		ok(slice_starts(buf_slice(&url), slice_str(want)), "row %zu begins %s", i, want);
		while (plain < url.len &&
		       strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_./:",
			   url.p[plain]) != NULL)
			plain++;
		ok(plain == url.len, "row %zu needs no escaping", i);
		ok(link_is_ours(r, BASE, buf_slice(&url)), "row %zu is ours", i);
		ok(link_key_id(path_of(&url), &id) && id < 256, "row %zu names key %u", i, id);
		link_make(r, BASE, &l, &again, &e);
		ok(slice_eq(buf_slice(&url), buf_slice(&again)), "row %zu is the same again", i);
	}
	buf_free(&url);
	buf_free(&again);
	buf_free(&store);
}

/* What is sealed is what stood there; what is sent can't split a header. */
static void
targets(const struct token_ring *r)
{
	static const struct {
		struct slice url;
		const char *location;
	} rows[] = {
		{ SLICE_LIT("http://x/a b  c?d e"), "http://x/a%20b%20%20c?d%20e" },
		{ SLICE_LIT("http://x/\r\nSet-Cookie: a=b"), "http://x/%0D%0ASet-Cookie:%20a=b" },
		{ SLICE_LIT("http://x/\t\0\x7f"), "http://x/%09%00%7F" },
		{ SLICE_LIT("http://x/\303\274\377"), "http://x/\303\274\377" },
		{ SLICE_LIT("https://"), "https://" },
		{ SLICE_LIT("HTTP://x/%20%zz\"<>"), "HTTP://x/%20%zz\"<>" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct link back, l = { .kind = TOKEN_CLICK, .url = rows[i].url };
		struct buf url, store, location;
		struct err e = { .text = "" };

		buf_init(&url, BUF_NO_LIMIT);
		buf_init(&store, BUF_NO_LIMIT);
		buf_init(&location, BUF_NO_LIMIT);
		ok(link_make(r, BASE, &l, &url, &e) == 0 && link_open(r, path_of(&url), &back, &store) &&
			slice_eq(back.url, rows[i].url),
		    "target %zu: sealed as it is %s", i, e.text);
		link_location(rows[i].url, &location);
		ok(strcmp(buf_str(&location), rows[i].location) == 0, "target %zu: sent as %s", i,
		    buf_str(&location));
		buf_free(&url);
		buf_free(&store);
		buf_free(&location);
	}
}

/* ---- what is not made ---- */

static void
refused(const struct token_ring *r)
{
	static const char scheme[] = "target is neither http nor https";
#define URL(u)                                                                                     \
	{                                                                                          \
		.kind = TOKEN_CLICK, .url = SLICE_LIT(u)                                           \
	}
	const struct {
		struct link link;
		const char *error;
	} rows[] = {
		{ URL(""), scheme },
		{ URL("http:"), scheme },
		{ URL("http:/x"), scheme },
		{ URL("//x/"), scheme },
		{ URL("/x"), scheme },
		{ URL("ftp://x/"), scheme },
		{ URL("javascript:alert(1)//http://x"), scheme },
		{ URL("data:text/html,http://x"), scheme },
		{ URL(" http://x"), scheme },
		{ { .kind = TOKEN_CLICK, .url = { long_url, LINK_URL_MAX + 1 } },
		    "target longer than 4096 bytes" },
		{ { .kind = TOKEN_CLICK,
		      .url = SLICE_LIT("http://x"),
		      .name = { long_name, LINK_NAME_MAX + 1 } },
		    "link name longer than 63 bytes" },
		{ { .kind = TOKEN_OPEN, .rcpt = { long_rcpt, LINK_RCPT_MAX + 1 } },
		    "recipient longer than 1024 bytes" },
		{ { .kind = TOKEN_OPEN, .url = SLICE_LIT("http://x") },
		    "an open has no name, target or sublink" },
		{ { .kind = TOKEN_INITIAL_OPEN, .name = SLICE_LIT("x") },
		    "an open has no name, target or sublink" },
		{ { .kind = TOKEN_OPEN, .sublink = SLICE_LIT("x") },
		    "an open has no name, target or sublink" },
		{ { .kind = TOKEN_MESSAGE }, "no kind of a link" },
		{ { .kind = TOKEN_CLICK,
		      .url = SLICE_LIT("http://x"),
		      .sublink = SLICE_LIT("a/b") },
		    "sublink: expected at most 32 letters, digits, '-' or '_'" },
		{ { .kind = TOKEN_CLICK, .url = SLICE_LIT("http://x"), .sublink = SLICE_LIT("..") },
		    "sublink: expected at most 32 letters, digits, '-' or '_'" },
		{ { .kind = TOKEN_CLICK,
		      .url = SLICE_LIT("http://x"),
		      .sublink = SLICE_LIT("a\0b") },
		    "sublink: expected at most 32 letters, digits, '-' or '_'" },
		{ { .kind = TOKEN_CLICK,
		      .url = SLICE_LIT("http://x"),
		      .sublink = SLICE_LIT("abcdefghijklmnopqrstuvwxyz0123456") },
		    "sublink: expected at most 32 letters, digits, '-' or '_'" },
	};
	struct buf url;

	buf_init(&url, BUF_NO_LIMIT);
	buf_adds(&url, "before");
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct err e = { .text = "" };

		ok(link_make(r, BASE, &rows[i].link, &url, &e) < 0 &&
			strcmp(e.text, rows[i].error) == 0 && strcmp(buf_str(&url), "before") == 0,
		    "row %zu is refused: %s", i, e.text);
	}
	buf_free(&url);
	buf_init(&url, 50);
	{
		struct link l = { .kind = TOKEN_CLICK, .url = SLICE_LIT("http://x/") };
		struct err e = { .text = "" };

		ok(link_make(r, BASE, &l, &url, &e) < 0 && url.len == 0, "no room: %s", e.text);
	}
	buf_free(&url);
}

/* ---- what does not open ---- */

/* Sealed by our own key, and yet no link. */
static void
sealed_nonsense(const struct token_ring *r)
{
#define ID "\1\2\3\4\5\6\7\10"
	static const struct {
		enum token_kind kind;
		struct slice plain;
		const char *what;
	} rows[] = {
		{ TOKEN_OPEN, SLICE_LIT("x"), "short" },
		{ TOKEN_OPEN, SLICE_LIT("\1\2\3\4\5\6\7"), "half an id" },
		{ TOKEN_OPEN, SLICE_LIT(ID), "no subaccount" },
		{ TOKEN_OPEN, SLICE_LIT(ID "\0"), "no recipient" },
		{ TOKEN_OPEN, SLICE_LIT(ID "\0\3ab"), "recipient cut off" },
		{ TOKEN_OPEN, SLICE_LIT(ID "\0\2abc"), "more behind an open" },
		{ TOKEN_OPEN, SLICE_LIT(ID "\200\0\0"), "a number with two spellings" },
		{ TOKEN_OPEN, SLICE_LIT(ID "\377\377\377\377\377\377\377\377\377\2\0"),
		    "a number of 65 bits" },
		{ TOKEN_OPEN, SLICE_LIT(ID "\377\377\377\377\377\377\377\377\377\377\1\0"),
		    "a number that does not end" },
		{ TOKEN_OPEN, SLICE_LIT(ID "\0\377\377\377\377\377\377\377\377\377\1"),
		    "a recipient of 2^64-1" },
		{ TOKEN_CLICK, SLICE_LIT(ID "\0\0"), "a click without a name" },
		{ TOKEN_CLICK, SLICE_LIT(ID "\0\0\0"), "a click without a target" },
		{ TOKEN_CLICK, SLICE_LIT(ID "\0\0\5ab"), "name cut off" },
		{ TOKEN_CLICK,
		    SLICE_LIT(ID "\0\0\100"
				 "0123456789012345678901234567890123456789"
				 "012345678901234567890123http://x/"),
		    "a name of 64" },
		{ TOKEN_CLICK, SLICE_LIT(ID "\0\0\0ftp://x/"), "ftp" },
		{ TOKEN_CLICK, SLICE_LIT(ID "\0\0\0javascript:x"), "javascript" },
		{ TOKEN_MESSAGE, SLICE_LIT(ID "\0\0"), "a message id" },
	};
	struct buf path, store;
	struct link l;
	struct err e;

	buf_init(&path, BUF_NO_LIMIT);
	buf_init(&store, BUF_NO_LIMIT);
	for (size_t i = 0; i < COUNT(rows); i++) {
		buf_clear(&path);
		buf_printf(&path, "/%c/", rows[i].kind);
		token_seal(r, rows[i].kind, TOKEN_BASE64URL, rows[i].plain, &path, &e);
		ok(!link_open(r, buf_slice(&path), &l, &store), "does not open: %s", rows[i].what);
	}
	/* The rows are wrong in one thing only: these open. */
	buf_clear(&path);
	buf_adds(&path, "/o/");
	token_seal(r, TOKEN_OPEN, TOKEN_BASE64URL, SLICE_LIT(ID "\377\1\2ab"), &path, &e);
	ok(link_open(r, buf_slice(&path), &l, &store) && l.subaccount == 255 &&
		l.message.time == 0x04030201 && l.message.serial == 0x05060708,
	    "an open by hand");
	buf_clear(&path);
	buf_adds(&path, "/c/");
	token_seal(r, TOKEN_CLICK, TOKEN_BASE64URL, SLICE_LIT(ID "\0\0\1nhttp://x"), &path, &e);
	ok(link_open(r, buf_slice(&path), &l, &store), "a click by hand");
	buf_free(&path);
	buf_free(&store);
}

static void
paths(const struct token_ring *r)
{
	static const char *const bad[] = { "", "/", "//", "/c", "/c/", "c/%s", "//%s", "/c//%s",
		"/c/%s/", "/c/%s?x", "/c/%s=", "/c/ %s", "/c/x%s", "/c%%2f%s", "/c./%s", "/o/%s/x",
		"/%s", "/c/c/%s", "/c/%s\n", "/abcdefghijklmnopqrstuvwxyz0123456/%s" };
	static const char *const good[] = { "/c/%s", "/u/%s", "/o/%s", "/i/%s", "/x/%s", "/-/%s",
		"/abcdefghijklmnopqrstuvwxyz012345/%s" };
	struct link click = { .kind = TOKEN_CLICK, .url = SLICE_LIT("http://x/") };
	struct link open = { .kind = TOKEN_OPEN, .rcpt = SLICE_LIT("a@b") }, l;
	struct buf made, store;
	struct err e;
	char path[400];
	const char *token;
	unsigned id;

	buf_init(&made, BUF_NO_LIMIT);
	buf_init(&store, BUF_NO_LIMIT);
	link_make(r, BASE, &click, &made, &e);
	token = buf_str(&made) + strlen(BASE "/c/");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	for (size_t i = 0; i < COUNT(bad); i++) {
		snprintf(path, sizeof(path), bad[i], token);
		ok(!link_open(r, slice_str(path), &l, &store), "does not open: %s", bad[i]);
	}
	for (size_t i = 0; i < COUNT(good); i++) {
		snprintf(path, sizeof(path), good[i], token);
		ok(link_open(r, slice_str(path), &l, &store) && l.kind == TOKEN_CLICK,
		    "a click may stand anywhere: %s", good[i]);
	}
#pragma GCC diagnostic pop
	ok(!link_key_id(SLICE_LIT("/c/AQ"), &id) && !link_key_id(SLICE_LIT("/c/!!!!!"), &id) &&
		!link_key_id(SLICE_LIT("AQEBAQEB"), &id),
	    "no key id");
	ok(link_key_id(SLICE_LIT("/c/AQcBA"), &id) && id == 7, "key id");
	buf_clear(&made);
	link_make(r, BASE, &open, &made, &e);
	token = buf_str(&made) + strlen(BASE "/o/");
	snprintf(path, sizeof(path), "/i/%s", token);
	ok(!link_open(r, slice_str(path), &l, &store), "an open is no initial open");
	snprintf(path, sizeof(path), "/c/%s", token);
	ok(!link_open(r, slice_str(path), &l, &store), "nor a click");
	buf_free(&made);
	buf_free(&store);
}

static void
ours(const struct token_ring *r, const struct token_ring *foreign)
{
	struct link click = { .kind = TOKEN_CLICK, .url = SLICE_LIT("http://x/") };
	struct buf url, text;
	struct err e;

	buf_init(&url, BUF_NO_LIMIT);
	buf_init(&text, BUF_NO_LIMIT);
	link_make(r, BASE, &click, &url, &e);
	ok(!link_is_ours(foreign, BASE, buf_slice(&url)), "another ring's link is not ours");
	ok(!link_is_ours(r, "https://other.example", buf_slice(&url)), "another base's neither");
	ok(!link_is_ours(r, BASE, SLICE_LIT(BASE)) &&
		!link_is_ours(r, BASE, SLICE_LIT(BASE "/x/y")) &&
		!link_is_ours(r, BASE, SLICE_LIT("")),
	    "nor what only begins so");
	buf_adds(&text, "HTTPS://Track.Example.com");
	buf_add(&text, path_of(&url));
	buf_adds(&text, "?utm=1#top");
	ok(link_is_ours(r, BASE, buf_slice(&text)),
	    "case of the host, query and fragment don't matter");
	buf_free(&url);
	buf_free(&text);
}

static uint64_t
next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* One of the ways in which somebody tries, or a mail program breaks a link. */
static void
forge(struct buf *out, struct slice a, struct slice b, uint64_t *seed)
{
	uint64_t how = next_random(seed) % 8, n = next_random(seed);
	size_t at = 3 + n % (a.len - 3);

	buf_clear(out);
	switch (how) {
	case 0: /* cut off at the end */
		buf_add(out, slice_head(a, at));
		break;
	case 1: /* one digit is another */
	case 2: /* several are */
		buf_add(out, a);
		for (uint64_t i = 0; i < (how == 1 ? 1 : 1 + n % 9); i++)
			out->p[3 + next_random(seed) % (a.len - 3)] =
			    digits[next_random(seed) % 64];
		break;
	case 3: /* the head of one, the end of another */
		buf_add(out, slice_head(a, at));
		buf_add(out, slice_skip(b, at));
		break;
	case 4: /* more behind it */
		buf_add(out, a);
		for (uint64_t i = 0; i < 1 + n % 8; i++)
			buf_addc(out, digits[next_random(seed) % 64]);
		break;
	case 5: /* a piece is missing */
		buf_add(out, slice_head(a, at));
		buf_add(out, slice_skip(a, at + 1 + next_random(seed) % 16));
		break;
	case 6: /* the case of a letter, any byte */
		buf_add(out, a);
		out->p[at] =
		    (char)(n % 2 != 0 ? out->p[at] ^ 0x20 : (int)(next_random(seed) % 256));
		break;
	default: /* right version and key, the rest by chance */
		buf_add(out, slice_head(a, 5));
		for (uint64_t i = 0; i < 30 + n % 200; i++)
			buf_addc(out, digits[next_random(seed) % 64]);
	}
}

static void
make_random(const struct token_ring *r, struct buf *path, uint64_t *seed)
{
	static const enum token_kind kinds[] = { TOKEN_CLICK, TOKEN_UNSUBSCRIBE, TOKEN_OPEN,
		TOKEN_INITIAL_OPEN };
	enum token_kind kind = kinds[next_random(seed) % 4];
	bool click = kind == TOKEN_CLICK || kind == TOKEN_UNSUBSCRIBE;
	struct link l = { .kind = kind,
		.message = { (uint32_t)next_random(seed), (uint32_t)next_random(seed) },
		.rcpt = slice_skip(SLICE_LIT("anna.example@example.net"), next_random(seed) % 10),
		.name = { long_name, click ? next_random(seed) % 10 : 0 },
		.url = { long_url, click ? 10 + next_random(seed) % 200 : 0 } };
	struct err e;

	buf_clear(path);
	link_make(r, "", &l, path, &e);
}

/* The letter in front may differ: it is the same link. */
static bool
same_token(const struct buf *a, const struct buf *b)
{
	return a->len == b->len && memcmp(a->p + 3, b->p + 3, a->len - 3) == 0;
}

static void
forgeries(const struct token_ring *r, const struct token_ring *foreign)
{
	const char *given = getenv("LINK_FORGERIES");
	uint64_t n = 100000, seed = 20261122, opened = 0, made = 0, tried = 0;
	struct buf a, b, forged, store;
	struct link l;

	if (given != NULL)
		slice_uint(slice_str(given), UINT32_MAX, &n);
	buf_init(&a, BUF_NO_LIMIT);
	buf_init(&b, BUF_NO_LIMIT);
	buf_init(&forged, BUF_NO_LIMIT);
	buf_init(&store, BUF_NO_LIMIT);
	for (uint64_t i = 0; i < n; i++) {
		if (i % 100 == 0) {
			make_random(r, &a, &seed);
			make_random(i % 200 == 0 ? r : foreign, &b, &seed);
			made += link_open(r, buf_slice(&a), &l, &store);
		}
		if (i % 100 == 1)
			opened += link_open(foreign, buf_slice(&a), &l, &store);
		forge(&forged, buf_slice(&a), buf_slice(&b), &seed);
		if (same_token(&forged, &a) || same_token(&forged, &b))
			continue;
		tried++;
		opened += link_open(r, buf_slice(&forged), &l, &store);
	}
	ok(made == (n + 99) / 100 && opened == 0, "%llu forgeries, %llu open",
	    (unsigned long long)tried, (unsigned long long)opened);
	buf_free(&a);
	buf_free(&b);
	buf_free(&forged);
	buf_free(&store);
}

/* ---- what it costs ---- */

static double
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static void
speed(const struct token_ring *r)
{
	enum { TIMES = 20000 };
	struct link back, l = { .kind = TOKEN_CLICK,
		.message = { 1785844802, 0 },
		.rcpt = SLICE_LIT("anna.example@example.net"),
		.name = SLICE_LIT("banner"),
		.url = SLICE_LIT("https://www.brand.example/shop/sale/2026?utm_source=mail&"
				 "utm_medium=email&utm_campaign=spring&id=1234567890") };
	double start, make, open;
	struct buf out, store;
	struct err e;
	bool good = true;

	buf_init(&out, BUF_NO_LIMIT);
	buf_init(&store, BUF_NO_LIMIT);
	start = now_us();
	for (uint32_t i = 0; i < TIMES; i++) {
		l.message.serial = i;
		buf_clear(&out);
		good &= link_make(r, BASE, &l, &out, &e) == 0;
	}
	make = (now_us() - start) / TIMES;
	start = now_us();
	for (uint32_t i = 0; i < TIMES; i++)
		good &= link_open(r, path_of(&out), &back, &store);
	open = (now_us() - start) / TIMES;
	/* A bound that a loaded or instrumented run keeps too; the figures are for people. */
	ok(good && make < 200 && open < 200, "%.2f us to make, %.2f us to open, %zu characters",
	    make, open, out.len);
	buf_free(&out);
	buf_free(&store);
}

int
main(void)
{
	struct token_ring *r = new_ring(dir), *foreign = new_ring(other_dir);

	memset(long_name, 'n', sizeof(long_name));
	memset(long_rcpt, 'r', sizeof(long_rcpt));
	memset(long_url, 'u', sizeof(long_url));
	memcpy(long_url, "http://", 7);
	round_trips(r);
	targets(r);
	refused(r);
	sealed_nonsense(r);
	paths(r);
	ours(r, foreign);
	forgeries(r, foreign);
	speed(r);
	token_ring_close(r);
	token_ring_close(foreign);
	remove_ring(dir);
	remove_ring(other_dir);
	return tap_done();
}
