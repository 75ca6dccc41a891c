/*
 * Tokens: what was sealed opens, nothing else does; rings and their files.
 * TOKEN_FORGERIES=1000000 in the environment tries that many forgeries.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base64.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/hash.h"
#include "common/token.h"
#include "t/tap.h"

static char dir[256];
static const char url[] = "000040d4716a5b1c9e02\nanna@example.net\nbanner\n"
			  "https://brand.example/sale?a=1&b=2";

static void
path(char out[512], const char *name)
{
	snprintf(out, 512, "%s/%s", dir, name);
}

static void
empty_dir(void)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	char file[512 + NAME_MAX];

	while ((entry = readdir(d)) != NULL) {
		snprintf(file, sizeof(file), "%s/%s", dir, entry->d_name);
		if (entry->d_name[0] != '.' || strlen(entry->d_name) > 2)
			remove(file);
	}
	closedir(d);
}

static void
put(const char *name, const char *text, mode_t mode)
{
	char file[512];
	int fd;

	path(file, name);
	fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || file_write_all(fd, slice_str(text)) < 0 || fchmod(fd, mode) < 0)
		perror(file);
	close(fd);
}

/* The base64 of a key of 64 bytes `c`. */
static const char *
key_text(char c)
{
	static struct buf b;
	char bytes[64];

	memset(bytes, c, sizeof(bytes));
	buf_free(&b);
	buf_init(&b, 200);
	base64_encode(&b, (struct slice){ bytes, sizeof(bytes) }, BASE64_STD);
	return buf_str(&b);
}

static void
rings_refused(void)
{
	static const struct {
		const char *file, *text; /* NULL: a directory */
		mode_t mode;
		const char *error;
	} cases[] = {
		{ "notes.txt", "x", 0644, "no *.key file; signalpost genkey makes one" },
		{ ".hidden.key", "x", 0644, "no *.key file" },
		{ "a.key", "", 0600, "a.key: not a token key (64 bytes in base64)" },
		{ "a.key", "AAAA\n", 0600, "a.key: not a token key" },
		{ "a.key", "-----BEGIN PRIVATE KEY-----\n", 0600, "a.key: not a token key" },
		{ "a.key", "KEY", 0644, "a.key: others may use it (mode 0644); chmod o= it" },
		{ "a.key", "KEY", 0602, "a.key: others may use it (mode 0602)" },
		{ "a.key", NULL, 0700, "a.key: not a regular file" },
	};
	struct token_ring *r;
	struct err e;

	ok(token_ring_open("/nonexistent/ring", &e) == NULL &&
		strcmp(e.text, "/nonexistent/ring: No such file or directory") == 0,
	    "no directory: %s", e.text);
	for (size_t i = 0; i < COUNT(cases); i++) {
		char file[512];

		empty_dir();
		path(file, cases[i].file);
		if (cases[i].text == NULL)
			mkdir(file, cases[i].mode);
		else
			put(cases[i].file,
			    strcmp(cases[i].text, "KEY") == 0 ? key_text('k') : cases[i].text,
			    cases[i].mode);
		r = token_ring_open(dir, &e);
		ok(r == NULL && slice_starts(slice_str(e.text), slice_str(dir)) &&
			strstr(e.text, cases[i].error) != NULL,
		    "refused: %s", e.text + strlen(dir));
		token_ring_close(r);
	}
	empty_dir();
	put("a.key", key_text('k'), 0640);
	put("b.key", key_text('k'), 0600);
	ok(token_ring_open(dir, &e) == NULL &&
		strstr(e.text, "b.key: has the same key id (") != NULL &&
		strstr(e.text, ") as a.key; remove one of them") != NULL,
	    "the same key twice: %s", e.text + strlen(dir));
	token_ring_close(NULL);
	empty_dir();
}

/* Seal with the ring as it is now. */
static bool
seal(struct buf *out, const char *text, enum token_text as)
{
	struct err e;
	struct token_ring *r = token_ring_open(dir, &e);
	bool good = r != NULL && token_seal(r, TOKEN_MESSAGE, as, slice_str(text), out, &e) == 0;

	token_ring_close(r);
	return good;
}

static bool
opens(struct slice token, const char *text)
{
	struct token_ring *r = token_ring_open(dir, NULL);
	struct buf plain;
	bool good;

	buf_init(&plain, TOKEN_PLAIN_MAX);
	good = r != NULL && token_open(r, TOKEN_MESSAGE, TOKEN_BASE64URL, token, &plain) &&
	       slice_eq(buf_slice(&plain), slice_str(text));
	token_ring_close(r);
	buf_free(&plain);
	return good;
}

static void
rotation(void)
{
	struct buf old, new, other;
	char file[512];

	buf_init(&old, 4096);
	buf_init(&new, 4096);
	buf_init(&other, 4096);
	put("2026-01.key", key_text('a'), 0640);
	ok(seal(&old, url, TOKEN_BASE64URL) && opens(buf_slice(&old), url), "one key");
	put("2026-02.key", key_text('b'), 0600);
	put("2025-12.key", key_text('c'), 0600);
	put("README", "not a key", 0644);
	ok(seal(&new, url, TOKEN_BASE64URL), "three keys");
	ok(old.p[1] != new.p[1] || old.p[2] != new.p[2], "the newest seals");
	ok(opens(buf_slice(&new), url) && opens(buf_slice(&old), url), "all open");
	path(file, "2026-01.key");
	remove(file);
	ok(!opens(buf_slice(&old), url) && opens(buf_slice(&new), url),
	    "a key that is gone opens nothing");
	put("2026-02.key", key_text('d'), 0600);
	ok(!opens(buf_slice(&new), url), "nor does another key of the same name");
	put("2026-02-b.key", key_text('b'), 0600);
	ok(seal(&other, url, TOKEN_BASE64URL) && slice_eq(buf_slice(&other), buf_slice(&new)),
	    "2026-02-b is newer than 2026-02; the same key gives the same token");
	empty_dir();
	buf_free(&old);
	buf_free(&new);
	buf_free(&other);
}

static void
new_keys(void)
{
	enum { KEYS = 256 };
	char last[512] = "";
	struct token_ring *r;
	struct stat st;
	struct err e = { .text = "" };
	struct buf p;
	int made = 0, sorted = 0;

	buf_init(&p, 4096);
	ok(token_ring_new_key("/nonexistent", &p, &e) < 0 &&
		strstr(e.text, "/nonexistent: ") != NULL,
	    "no directory: %s", e.text);
	for (int i = 0; i < KEYS; i++) {
		buf_clear(&p);
		if (token_ring_new_key(dir, &p, &e) < 0)
			break;
		made++;
		sorted += strcmp(buf_str(&p), last) > 0;
		snprintf(last, sizeof(last), "%s", buf_str(&p));
	}
	ok(made == KEYS && sorted == KEYS, "%d new keys, names sort by time: %s", made, e.text);
	ok(stat(last, &st) == 0 && (st.st_mode & 07777) == 0640 && st.st_size == 89,
	    "mode and size");
	ok(token_ring_new_key(dir, NULL, &e) < 0 &&
		strstr(e.text, "all 256 key ids are taken") != NULL,
	    "no more: %s", e.text + strlen(dir));
	r = token_ring_open(dir, &e);
	ok(r != NULL, "no two have the same id, the ring opens");
	token_ring_close(r);
	empty_dir();

	put("zzz.key", key_text('z'), 0640);
	buf_clear(&p);
	ok(token_ring_new_key(dir, &p, &e) == 0 && strstr(buf_str(&p), "/zzz_20") != NULL,
	    "a greater name is there: the new one is greater still: %s", buf_str(&p) + strlen(dir));
	put("bad.key", "x", 0640);
	ok(token_ring_new_key(dir, NULL, &e) < 0 &&
		strstr(e.text, "bad.key: not a token key") != NULL,
	    "a ring that does not open gets no keys: %s", e.text + strlen(dir));
	empty_dir();
	buf_free(&p);
}

static void
kinds_and_sizes(const struct token_ring *r)
{
	static const enum token_kind kinds[] = { TOKEN_MESSAGE, TOKEN_CLICK, TOKEN_OPEN,
		TOKEN_INITIAL_OPEN, TOKEN_UNSUBSCRIBE };
	static const size_t sizes[] = { 1, 2, 3, 4, 5, 15, 16, 17, 31, 32, 33, 100,
		TOKEN_PLAIN_MAX };
	static char text[TOKEN_PLAIN_MAX + 1];
	struct buf token, plain;
	struct err e;
	size_t wrong = 0;

	buf_init(&token, BUF_NO_LIMIT);
	buf_init(&plain, BUF_NO_LIMIT);
	hash_random(text, sizeof(text));
	for (size_t k = 0; k < COUNT(kinds); k++)
		for (size_t s = 0; s < COUNT(sizes); s++)
			for (int as = TOKEN_BASE64URL; as <= TOKEN_BASE32; as++) {
				struct slice in = { text, sizes[s] };

				buf_clear(&token);
				wrong += token_seal(
					     r, kinds[k], (enum token_text)as, in, &token, &e) != 0;
				for (size_t o = 0; o < COUNT(kinds); o++) {
					bool opened;

					buf_clear(&plain);
					buf_adds(&plain, "+");
					opened = token_open(r, kinds[o], (enum token_text)as,
					    buf_slice(&token), &plain);
					wrong += opened != (o == k);
					wrong += !slice_eq(slice_skip(buf_slice(&plain), 1),
					    slice_head(in, opened ? in.len : 0));
				}
			}
	ok(wrong == 0, "each kind and size opens as what it is, and as nothing else");
	ok(token_seal(r, TOKEN_CLICK, TOKEN_BASE64URL, (struct slice){ text, sizeof(text) }, &token,
	       &e) < 0 &&
		strcmp(e.text, "can't seal 8193 bytes; 1 to 8192") == 0,
	    "%s", e.text);
	ok(token_seal(r, TOKEN_CLICK, TOKEN_BASE64URL, SLICE_LIT(""), &token, &e) < 0,
	    "nothing: %s", e.text);
	buf_free(&token);
	buf_free(&plain);
	/* Where there is no room. */
	buf_init(&plain, 10);
	ok(token_seal(r, TOKEN_CLICK, TOKEN_BASE64URL, SLICE_LIT("abc"), &plain, &e) < 0,
	    "a full buffer: %s", e.text);
	buf_free(&plain);
	buf_init(&token, 100);
	token_seal(r, TOKEN_CLICK, TOKEN_BASE32, SLICE_LIT("some text"), &token, &e);
	buf_init(&plain, 8);
	ok(!token_open(r, TOKEN_CLICK, TOKEN_BASE32, buf_slice(&token), &plain) && plain.len == 0,
	    "no room for the text");
	buf_free(&plain);
	buf_init(&plain, 9);
	for (char *c = token.p; *c != '\0'; c++)
		if (*c >= 'a' && *c <= 'z')
			*c = (char)(*c - 'a' + 'A');
	ok(token_open(r, TOKEN_CLICK, TOKEN_BASE32, buf_slice(&token), &plain),
	    "base32 survives a change of case");
	buf_free(&token);
	buf_free(&plain);
}

/* Every bit of a token counts, and so does every byte's presence. */
static void
every_bit(const struct token_ring *r)
{
	struct buf token, bytes, forged, plain;
	struct err e;
	size_t opened = 0, cuts = 0;

	buf_init(&token, BUF_NO_LIMIT);
	buf_init(&bytes, BUF_NO_LIMIT);
	buf_init(&forged, BUF_NO_LIMIT);
	buf_init(&plain, BUF_NO_LIMIT);
	token_seal(r, TOKEN_CLICK, TOKEN_BASE64URL, slice_str(url), &token, &e);
	base64_decode(&bytes, buf_slice(&token), BASE64_URL);
	for (size_t bit = 0; bit < bytes.len * 8; bit++) {
		bytes.p[bit / 8] = (char)(bytes.p[bit / 8] ^ 1 << bit % 8);
		buf_clear(&forged);
		base64_encode(&forged, buf_slice(&bytes), BASE64_URL);
		bytes.p[bit / 8] = (char)(bytes.p[bit / 8] ^ 1 << bit % 8);
		opened += token_open(r, TOKEN_CLICK, TOKEN_BASE64URL, buf_slice(&forged), &plain);
	}
	for (size_t n = 0; n < token.len; n++) {
		cuts += token_open(
		    r, TOKEN_CLICK, TOKEN_BASE64URL, slice_head(buf_slice(&token), n), &plain);
		cuts += token_open(
		    r, TOKEN_CLICK, TOKEN_BASE64URL, slice_skip(buf_slice(&token), n + 1), &plain);
	}
	ok(opened == 0 && cuts == 0 && plain.len == 0, "no bit can be changed, no end be cut");
	buf_addc(&token, '=');
	ok(!token_open(r, TOKEN_CLICK, TOKEN_BASE64URL, buf_slice(&token), &plain), "padding");
	buf_free(&token);
	buf_free(&bytes);
	buf_free(&forged);
	buf_free(&plain);
}

static uint32_t
next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*state >> 32);
}

/* Change a sealed token in one of the ways in which people do. */
static void
mutate(struct buf *out, struct slice token, uint64_t *seed)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	size_t at = next_random(seed) % token.len;

	buf_clear(out);
	switch (next_random(seed) % 5) {
	case 0: /* truncated */
		buf_add(out, slice_head(token, at));
		break;
	case 1: /* some other digits */
		buf_add(out, token);
		for (unsigned n = next_random(seed) % 4; n < 4; n++)
			out->p[next_random(seed) % out->len] = digits[next_random(seed) % 64];
		break;
	case 2: /* one in the middle gone */
		buf_add(out, slice_head(token, at));
		buf_add(out, slice_skip(token, at + 1));
		break;
	case 3: /* one more */
		buf_add(out, slice_head(token, at));
		buf_addc(out, digits[next_random(seed) % 64]);
		buf_add(out, slice_skip(token, at));
		break;
	case 4: /* version and key id kept, the rest made up */
		buf_add(out, slice_head(token, 3));
		while (out->len < token.len)
			buf_addc(out, digits[next_random(seed) % 64]);
		break;
	}
}

static void
forgeries(const struct token_ring *r)
{
	const char *given = getenv("TOKEN_FORGERIES");
	uint64_t n = 100000, seed = 20261122, opened = 0;
	struct buf token, forged, plain;
	struct err e;

	if (given != NULL)
		slice_uint(slice_str(given), UINT32_MAX, &n);
	buf_init(&token, BUF_NO_LIMIT);
	buf_init(&forged, BUF_NO_LIMIT);
	buf_init(&plain, BUF_NO_LIMIT);
	for (uint64_t i = 0; i < n; i++) {
		if (i % 1000 == 0) {
			size_t from = next_random(&seed) % (sizeof(url) - 1);

			buf_clear(&token);
			token_seal(r, TOKEN_CLICK, TOKEN_BASE64URL,
			    slice_skip(slice_str(url), from), &token, &e);
		}
		mutate(&forged, buf_slice(&token), &seed);
		if (slice_eq(buf_slice(&forged), buf_slice(&token)))
			continue;
		opened += token_open(r, TOKEN_CLICK, TOKEN_BASE64URL, buf_slice(&forged), &plain);
	}
	ok(opened == 0, "%llu forgeries, %llu open", (unsigned long long)n,
	    (unsigned long long)opened);
	buf_free(&token);
	buf_free(&forged);
	buf_free(&plain);
}

enum { THREADS = 8, EACH = 3000 };

struct worker {
	const struct token_ring *ring;
	unsigned number, wrong;
};

static void *
seal_and_open(void *arg)
{
	struct worker *w = arg;
	struct buf token, plain;
	struct err e;

	buf_init(&token, BUF_NO_LIMIT);
	buf_init(&plain, BUF_NO_LIMIT);
	for (unsigned i = 0; i < EACH; i++) {
		char text[64];

		snprintf(text, sizeof(text), "thread %u, token %u", w->number, i);
		buf_clear(&token);
		buf_clear(&plain);
		w->wrong += token_seal(w->ring, TOKEN_OPEN, TOKEN_BASE64URL, slice_str(text),
				&token, &e) != 0;
		w->wrong +=
		    !token_open(w->ring, TOKEN_OPEN, TOKEN_BASE64URL, buf_slice(&token), &plain);
		w->wrong += !slice_eq(buf_slice(&plain), slice_str(text));
		token.p[token.len / 2] = token.p[token.len / 2] == 'A' ? 'B' : 'A';
		w->wrong +=
		    token_open(w->ring, TOKEN_OPEN, TOKEN_BASE64URL, buf_slice(&token), &plain);
	}
	buf_free(&token);
	buf_free(&plain);
	return NULL;
}

static void
threads(const struct token_ring *r)
{
	struct worker workers[THREADS];
	pthread_t thread[THREADS];
	unsigned wrong = 0;

	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ r, i, 0 };
		pthread_create(&thread[i], NULL, seal_and_open, &workers[i]);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(thread[i], NULL);
		wrong += workers[i].wrong;
	}
	ok(wrong == 0, "%d threads at one ring", THREADS);
}

static void
speed(const struct token_ring *r)
{
	enum { N = 20000 };
	struct buf token, plain;
	struct err e;
	int64_t us;

	buf_init(&token, BUF_NO_LIMIT);
	buf_init(&plain, BUF_NO_LIMIT);
	us = clock_wall_us();
	for (int i = 0; i < N; i++) {
		buf_clear(&token);
		token_seal(r, TOKEN_CLICK, TOKEN_BASE64URL, slice_str(url), &token, &e);
	}
	printf("# seal: %.2f us\n", (double)(clock_wall_us() - us) / N);
	us = clock_wall_us();
	for (int i = 0; i < N; i++) {
		buf_clear(&plain);
		token_open(r, TOKEN_CLICK, TOKEN_BASE64URL, buf_slice(&token), &plain);
	}
	printf("# open: %.2f us\n", (double)(clock_wall_us() - us) / N);
	buf_free(&token);
	buf_free(&plain);
}

/* The bytes of a token as RFC 5297 gives them, written out in Python over plain AES. */
static void
known_answer(void)
{
	static const char want[] = "ASVzYUErNahhARepE523gzS28DPN9Wv4xn4wiRvQtmROMLc81c0";
	struct token_ring *r;
	struct buf token;
	struct err e;

	put("k.key", key_text('k'), 0600);
	r = token_ring_open(dir, &e);
	buf_init(&token, 4096);
	ok(token_seal(r, TOKEN_CLICK, TOKEN_BASE64URL, SLICE_LIT("https://example.com/"), &token,
	       &e) == 0 &&
		strcmp(buf_str(&token), want) == 0,
	    "token %s", buf_str(&token));
	token_ring_close(r);
	buf_free(&token);
	empty_dir();
}

int
main(void)
{
	const char *tmp = getenv("TMPDIR");
	struct token_ring *r;
	struct err e;

	snprintf(dir, sizeof(dir), "%.200s/token-test-XXXXXX", tmp != NULL ? tmp : "/tmp");
	if (mkdtemp(dir) == NULL)
		return 1;
	rings_refused();
	rotation();
	new_keys();
	known_answer();
	token_ring_new_key(dir, NULL, &e);
	token_ring_new_key(dir, NULL, &e);
	r = token_ring_open(dir, &e);
	kinds_and_sizes(r);
	every_bit(r);
	forgeries(r);
	threads(r);
	speed(r);
	token_ring_close(r);
	empty_dir();
	rmdir(dir);
	return tap_done();
}
