/*
 * token: the input is no token of any kind, and opens again after it was sealed,
 * but not after it was changed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(bool good)
{
	if (!good)
		abort();
}

static const struct token_ring *
ring(void)
{
	static struct token_ring *r;
	const char *tmp = getenv("TMPDIR");
	struct buf key;
	struct err e;
	char dir[256];

	if (r != NULL)
		return r;
	snprintf(dir, sizeof(dir), "%.200s/fuzz-token-XXXXXX", tmp != NULL ? tmp : "/tmp");
	check(mkdtemp(dir) != NULL);
	buf_init(&key, 4096);
	check(token_ring_new_key(dir, &key, &e) == 0);
	r = token_ring_open(dir, &e);
	check(r != NULL);
	unlink(buf_str(&key));
	rmdir(dir);
	buf_free(&key);
	return r;
}

static void
round_trip(struct slice in, enum token_text as)
{
	static const enum token_kind kinds[] = { TOKEN_MESSAGE, TOKEN_CLICK, TOKEN_OPEN,
		TOKEN_INITIAL_OPEN, TOKEN_UNSUBSCRIBE };
	struct buf token, plain;
	struct err e;

	buf_init(&token, BUF_NO_LIMIT);
	buf_init(&plain, BUF_NO_LIMIT);
	for (size_t i = 0; i < COUNT(kinds); i++)
		check(!token_open(ring(), kinds[i], as, in, &plain));
	if (token_seal(ring(), TOKEN_CLICK, as, in, &token, &e) == 0) {
		check(token_open(ring(), TOKEN_CLICK, as, buf_slice(&token), &plain));
		check(slice_eq(buf_slice(&plain), in));
		check(!token_open(ring(), TOKEN_OPEN, as, buf_slice(&token), &plain));
		/* The input says which digit is another one. */
		token.p[(unsigned char)in.p[0] % token.len] ^= 1;
		check(!token_open(ring(), TOKEN_CLICK, as, buf_slice(&token), &plain));
		check(plain.len == in.len);
	} else {
		check(in.len == 0 || in.len > TOKEN_PLAIN_MAX);
	}
	buf_free(&token);
	buf_free(&plain);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = { (const char *)data, size };

	round_trip(in, TOKEN_BASE64URL);
	round_trip(in, TOKEN_BASE32);
	return 0;
}
