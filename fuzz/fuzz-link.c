/*
 * link: the input is no tracked path; sealed by our own key it opens only as a
 * link that can be made again; as a target it comes back, or is refused.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/link.h"

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
	snprintf(dir, sizeof(dir), "%.200s/fuzz-link-XXXXXX", tmp != NULL ? tmp : "/tmp");
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

static bool
inside(struct slice s, const struct buf *store)
{
	return s.len == 0 || (s.p >= store->p && s.p + s.len <= store->p + store->len);
}

/* What opened can be made again, and then is the same path. */
static void
check_opened(const struct link *l, const struct buf *store, struct slice path)
{
	struct buf again;
	struct err e;

	check(inside(l->rcpt, store) && inside(l->name, store) && inside(l->url, store));
	buf_init(&again, BUF_NO_LIMIT);
	link_location(l->url, &again);
	for (size_t i = 0; i < again.len; i++)
		check((unsigned char)again.p[i] > 0x20 && again.p[i] != 0x7f);
	buf_clear(&again);
	check(link_make(ring(), "", l, &again, &e) == 0);
	check(slice_eq(buf_slice(&again), path));
	buf_free(&again);
}

static void
as_sealed(struct slice in)
{
	static const enum token_kind kinds[] = { TOKEN_CLICK, TOKEN_OPEN, TOKEN_INITIAL_OPEN,
		TOKEN_UNSUBSCRIBE };
	struct buf path, store;
	struct link l;
	struct err e;

	buf_init(&path, BUF_NO_LIMIT);
	buf_init(&store, BUF_NO_LIMIT);
	for (size_t i = 0; i < COUNT(kinds); i++) {
		buf_clear(&path);
		buf_printf(&path, "/%c/", kinds[i]);
		if (token_seal(ring(), kinds[i], TOKEN_BASE64URL, in, &path, &e) == 0 &&
		    link_open(ring(), buf_slice(&path), &l, &store))
			check_opened(&l, &store, buf_slice(&path));
	}
	buf_free(&path);
	buf_free(&store);
}

static void
as_target(struct slice in)
{
	struct link back, l = { .kind = TOKEN_CLICK,
		.rcpt = slice_head(in, 40),
		.name = slice_head(in, 20),
		.sublink = slice_head(in, in.len % 40),
		.url = in };
	struct buf url, store;
	struct err e;

	buf_init(&url, BUF_NO_LIMIT);
	buf_init(&store, BUF_NO_LIMIT);
	for (int i = 0; i < 2; i++, l.sublink.len = 0) {
		buf_clear(&url);
		if (link_make(ring(), "http://t.example", &l, &url, &e) < 0)
			continue;
		check(link_is_ours(ring(), "http://t.example", buf_slice(&url)));
		check(link_open(ring(), slice_skip(buf_slice(&url), 16), &back, &store));
		check(slice_eq(back.rcpt, l.rcpt) && slice_eq(back.name, l.name));
		check(slice_find(in, ' ') < in.len || slice_eq(back.url, in));
	}
	buf_free(&url);
	buf_free(&store);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = { (const char *)data, size };
	struct buf store;
	struct link l;
	unsigned id;

	buf_init(&store, BUF_NO_LIMIT);
	check(!link_open(ring(), in, &l, &store));
	check(!link_is_ours(ring(), "", in));
	if (link_key_id(in, &id))
		check(id < 256);
	buf_free(&store);
	as_sealed(in);
	as_target(in);
	return 0;
}
