#include "common/auth_failures.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common/base64.h"
#include "common/file.h"
#include "common/hash.h"
#include "common/xalloc.h"

#define HEAD      "auth-failures 1 "
#define HEAD_SIZE (sizeof(HEAD) - 1 + 8 + 1)
#define KEY_SIZE  (32 + 1 + 10) /* client and window: what lines are sorted by */
#define LINE_SIZE (KEY_SIZE + 1 + 20 + 1 + 10 + 1)
#define FILE_MAX  (HEAD_SIZE + AUTH_FAILURES_MAX * LINE_SIZE + (1 << 20))
#define AHEAD_S   60 /* a window that begins later than this from now: the clock was set back */

/* ---- addresses ---- */

static void
client_from_v4(struct auth_client *out, const void *addr)
{
	*out = (struct auth_client){ .v = { [10] = 0xff, [11] = 0xff } };
	memcpy(out->v + 12, addr, 4);
}

static void
client_from_v6(struct auth_client *out, const struct in6_addr *addr)
{
	if (IN6_IS_ADDR_V4MAPPED(addr)) {
		client_from_v4(out, addr->s6_addr + 12);
		return;
	}
	*out = (struct auth_client){ 0 };
	memcpy(out->v, addr->s6_addr, 8);
}

bool
auth_client_of(const struct sockaddr *sa, struct auth_client *out)
{
	if (sa->sa_family == AF_INET)
		client_from_v4(out, &((const struct sockaddr_in *)(const void *)sa)->sin_addr);
	else if (sa->sa_family == AF_INET6)
		client_from_v6(out, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr);
	else
		return false;
	return true;
}

bool
auth_client_parse(struct slice text, struct auth_client *out)
{
	char copy[INET6_ADDRSTRLEN];
	struct in6_addr v6;
	struct in_addr v4;

	text = slice_head(text, slice_find(text, '%')); /* fe80::1%eth0 */
	if (text.len == 0 || text.len >= sizeof(copy))
		return false;
	memcpy(copy, text.p, text.len);
	copy[text.len] = '\0';
	if (inet_pton(AF_INET, copy, &v4) == 1)
		client_from_v4(out, &v4);
	else if (inet_pton(AF_INET6, copy, &v6) == 1)
		client_from_v6(out, &v6);
	else
		return false;
	return true;
}

/* ---- the table ---- */

struct window {
	struct auth_client client;
	uint32_t length_s, failures;
	int64_t first_s;
};

struct auth_failures {
	size_t n;
	struct window v[AUTH_FAILURES_MAX];
	uint32_t slots[2 * AUTH_FAILURES_MAX]; /* where in v, plus one; 0: nowhere */
	unsigned char secret[16];              /* nobody may choose addresses that share a slot */
	uint64_t forgotten;
};

struct auth_failures *
auth_failures_new(void)
{
	struct auth_failures *t = xcalloc(1, sizeof(*t));

	hash_random(t->secret, sizeof(t->secret));
	return t;
}

void
auth_failures_free(struct auth_failures *t)
{
	free(t);
}

size_t
auth_failures_count(const struct auth_failures *t)
{
	return t->n;
}

uint64_t
auth_failures_forgotten(const struct auth_failures *t)
{
	return t->forgotten;
}

/* The slot that leads to this window, or the empty one where it belongs. */
static uint32_t *
slot_of(struct auth_failures *t, const struct auth_client *client, uint32_t length_s)
{
	unsigned char key[sizeof(t->secret) + sizeof(client->v) + sizeof(length_s)];
	size_t i;

	memcpy(key, t->secret, sizeof(t->secret));
	memcpy(key + sizeof(t->secret), client->v, sizeof(client->v));
	memcpy(key + sizeof(t->secret) + sizeof(client->v), &length_s, sizeof(length_s));
	i = hash_id63((struct slice){ (const char *)key, sizeof(key) }) % COUNT(t->slots);
	for (; t->slots[i] != 0; i = (i + 1) % COUNT(t->slots)) {
		const struct window *w = &t->v[t->slots[i] - 1];

		if (w->length_s == length_s && memcmp(&w->client, client, sizeof(w->client)) == 0)
			break;
	}
	return &t->slots[i];
}

static int64_t
end_of(const struct window *w)
{
	return w->first_s + w->length_s;
}

/* The first n windows are those that remain. */
static void
keep(struct auth_failures *t, size_t n)
{
	if (n == t->n)
		return;
	t->n = n;
	memset(t->slots, 0, sizeof(t->slots));
	for (size_t i = 0; i < n; i++)
		*slot_of(t, &t->v[i].client, t->v[i].length_s) = (uint32_t)i + 1;
}

void
auth_failures_trim(struct auth_failures *t, int64_t now_s)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n; i++)
		if (end_of(&t->v[i]) > now_s)
			t->v[n++] = t->v[i];
	keep(t, n);
}

static int
latest_first(const void *a, const void *b)
{
	int64_t x = end_of(a), y = end_of(b);

	return (x < y) - (x > y);
}

static void
make_room(struct auth_failures *t, int64_t now_s)
{
	const size_t most = AUTH_FAILURES_MAX / 4 * 3;

	auth_failures_trim(t, now_s);
	if (t->n <= most)
		return;
	t->forgotten += t->n - most;
	qsort(t->v, t->n, sizeof(*t->v), latest_first);
	keep(t, most);
}

bool
auth_failures_add(struct auth_failures *t, const struct auth_client *client, uint32_t window_s,
    int64_t at_s, int64_t now_s)
{
	uint32_t *slot = slot_of(t, client, window_s);
	struct window *w;

	if (at_s > now_s)
		at_s = now_s;
	if (window_s == 0)
		return false;
	if (*slot == 0) {
		if (t->n == AUTH_FAILURES_MAX) {
			make_room(t, now_s);
			slot = slot_of(t, client, window_s);
		}
		t->v[t->n++] = (struct window){ *client, window_s, 1, at_s };
		*slot = (uint32_t)t->n;
		return at_s + window_s > now_s;
	}
	w = &t->v[*slot - 1];
	if (at_s + window_s <= w->first_s && w->first_s <= now_s + AHEAD_S)
		return false;
	/* Over, or of a time to come since the clock was set back: a new one. */
	if (at_s >= end_of(w) || w->first_s > now_s + AHEAD_S) {
		w->first_s = at_s;
		w->failures = 1;
	} else if (w->failures < UINT32_MAX) {
		w->failures++;
	}
	return end_of(w) > now_s;
}

/* ---- the file ---- */

static int
by_key(const void *a, const void *b)
{
	const struct window *x = a, *y = b;
	int d = memcmp(&x->client, &y->client, sizeof(x->client));

	return d != 0 ? d : (x->length_s > y->length_s) - (x->length_s < y->length_s);
}

void
auth_failures_print(struct auth_failures *t, struct buf *out)
{
	struct window *sorted = xcalloc(t->n + 1, sizeof(*sorted));
	char hex[33];

	memcpy(sorted, t->v, t->n * sizeof(*sorted));
	qsort(sorted, t->n, sizeof(*sorted), by_key);
	buf_printf(out, HEAD "%08zu\n", t->n);
	for (size_t i = 0; i < t->n; i++)
		buf_printf(out, "%s %010u %020lld %010u\n",
		    hash_hex(sorted[i].client.v, sizeof(sorted[i].client.v), hex),
		    sorted[i].length_s, (long long)sorted[i].first_s, sorted[i].failures);
	free(sorted);
}

/* Cut off the lines and count them. */
static int
cut_lines(struct slice text, struct slice *lines, struct slice *rest, struct err *e)
{
	struct slice head = slice_head(text, HEAD_SIZE);
	uint64_t n;

	if (!slice_starts(head, SLICE_LIT(HEAD)) || head.len != HEAD_SIZE ||
	    head.p[HEAD_SIZE - 1] != '\n' ||
	    !slice_uint((struct slice){ head.p + sizeof(HEAD) - 1, 8 }, AUTH_FAILURES_MAX, &n))
		return err_set(e, "%s: it does not begin as such a file does", AUTH_FAILURES_FILE);
	text = slice_skip(text, HEAD_SIZE);
	if (text.len < n * LINE_SIZE)
		return err_set(e, "%s: lines are missing", AUTH_FAILURES_FILE);
	*lines = slice_head(text, n * LINE_SIZE);
	*rest = slice_skip(text, n * LINE_SIZE);
	return 0;
}

static bool
hex_read(struct slice s, unsigned char *out)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.p[i];
		int digit = c >= '0' && c <= '9'   ? c - '0'
		            : c >= 'a' && c <= 'f' ? c - 'a' + 10
		                                   : -1;

		if (digit < 0)
			return false;
		out[i / 2] = (unsigned char)(out[i / 2] << 4 | digit);
	}
	return true;
}

/* `line` has LINE_SIZE bytes. */
static bool
read_line(struct slice line, struct window *w)
{
	uint64_t length, first, failures;

	if (line.p[32] != ' ' || line.p[43] != ' ' || line.p[64] != ' ' || line.p[75] != '\n' ||
	    !hex_read(slice_head(line, 32), w->client.v) ||
	    !slice_uint((struct slice){ line.p + 33, 10 }, UINT32_MAX, &length) ||
	    !slice_uint((struct slice){ line.p + 44, 20 }, INT64_MAX / 2, &first) ||
	    !slice_uint((struct slice){ line.p + 65, 10 }, UINT32_MAX, &failures))
		return false;
	w->length_s = (uint32_t)length;
	w->first_s = (int64_t)first;
	w->failures = (uint32_t)failures;
	return true;
}

int
auth_failures_read(struct auth_failures *t, struct slice text, struct slice *rest, struct err *e)
{
	struct slice lines;

	if (cut_lines(text, &lines, rest, e) < 0)
		return -1;
	for (; lines.len > 0; lines = slice_skip(lines, LINE_SIZE)) {
		struct window w;
		uint32_t *slot;

		if (!read_line(slice_head(lines, LINE_SIZE), &w)) {
			t->n = 0;
			memset(t->slots, 0, sizeof(t->slots));
			return err_set(e, "%s: a line is damaged", AUTH_FAILURES_FILE);
		}
		slot = slot_of(t, &w.client, w.length_s);
		if (*slot != 0)
			continue;
		t->v[t->n++] = w;
		*slot = (uint32_t)t->n;
	}
	return 0;
}

void
auth_failures_put_position(struct buf *out, const char *name, struct slice state)
{
	buf_adds(out, "position ");
	base64_encode(out, slice_str(name), BASE64_STD);
	buf_addc(out, ' ');
	base64_encode(out, state, BASE64_STD);
	buf_addc(out, '\n');
}

bool
auth_failures_position(struct slice rest, const char *name, struct buf *state)
{
	struct slice line, word;
	bool found = false;
	struct buf its;

	buf_init(&its, BUF_NO_LIMIT);
	buf_clear(state);
	while (!found && slice_line(&rest, &line)) {
		if (!slice_word(&line, &word) || !slice_eq(word, SLICE_LIT("position")) ||
		    !slice_word(&line, &word))
			continue;
		buf_clear(&its);
		found = base64_decode(&its, word, BASE64_STD) &&
		        slice_eq(buf_slice(&its), slice_str(name)) &&
		        base64_decode(state, slice_trim(line), BASE64_STD);
	}
	buf_free(&its);
	return found;
}

/* ---- asking ---- */

struct auth_failures_view {
	char *path;
	pthread_mutex_t lock;
	/* under lock */
	bool there;
	struct stat seen;
	struct buf text;
	struct slice lines; /* in it */
};

struct auth_failures_view *
auth_failures_open(const char *dir)
{
	struct auth_failures_view *v = xcalloc(1, sizeof(*v));
	struct buf path;

	buf_init(&path, BUF_NO_LIMIT);
	buf_printf(&path, "%s/%s", dir, AUTH_FAILURES_FILE);
	v->path = buf_take(&path);
	pthread_mutex_init(&v->lock, NULL);
	buf_init(&v->text, FILE_MAX);
	return v;
}

void
auth_failures_close(struct auth_failures_view *v)
{
	if (v == NULL)
		return;
	pthread_mutex_destroy(&v->lock);
	buf_free(&v->text);
	free(v->path);
	free(v);
}

static bool
same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* One stat(2) a connection; the file itself is read when there is another. */
static void
refresh(struct auth_failures_view *v)
{
	struct slice rest;
	struct stat st;
	struct err e;

	if (stat(v->path, &st) < 0) {
		v->there = false;
		v->lines.len = 0;
		return;
	}
	if (v->there && same_file(&st, &v->seen))
		return;
	/* What is read may be newer than what was seen: then it is read once more. */
	v->there = true;
	v->seen = st;
	if (file_read(AT_FDCWD, v->path, &v->text, &e) < 0 ||
	    cut_lines(buf_slice(&v->text), &v->lines, &rest, &e) < 0)
		v->lines.len = 0;
}

static bool
find(struct slice lines, const char *key, struct window *out)
{
	size_t low = 0, high = lines.len / LINE_SIZE;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		struct slice line = slice_head(slice_skip(lines, middle * LINE_SIZE), LINE_SIZE);
		int d = memcmp(line.p, key, KEY_SIZE);

		if (d == 0)
			return read_line(line, out);
		if (d < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

int64_t
auth_failures_until(struct auth_failures_view *v, const struct auth_client *client, uint64_t most,
    uint32_t window_s, int64_t now_s)
{
	char key[KEY_SIZE + 1], hex[33];
	struct window w;
	bool found;

	snprintf(
	    key, sizeof(key), "%s %010u", hash_hex(client->v, sizeof(client->v), hex), window_s);
	pthread_mutex_lock(&v->lock);
	refresh(v);
	found = find(v->lines, key, &w);
	pthread_mutex_unlock(&v->lock);
	if (!found || w.failures < most || now_s >= end_of(&w) || w.first_s > now_s + AHEAD_S)
		return 0;
	return end_of(&w);
}
