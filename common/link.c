/*
 * link.c - what stands in a token of a link:
 *
 *	4 bytes		time of the message id, little-endian
 *	4 bytes		its serial, big-endian
 *	varint		subaccount
 *	varint, bytes	recipient
 *	1 byte, bytes	link name	(clicks only)
 *	the rest	target		(clicks only)
 *
 * The kind is not in it: it is associated data of the token. A varint is seven
 * bits a byte, the lowest first; the top bit says that there is more. It has one
 * spelling: its last byte is not zero, unless it is the only one.
 */
#include "common/link.h"

#include "common/base64.h"

#define ID_SIZE    8
#define PLAIN_MAX  (ID_SIZE + 10 + 2 + LINK_RCPT_MAX + 1 + LINK_NAME_MAX + LINK_URL_MAX)
#define VARINT_MAX 10

_Static_assert(PLAIN_MAX <= TOKEN_PLAIN_MAX, "every link fits into a token");

static bool
is_click(enum token_kind kind)
{
	return kind == TOKEN_CLICK || kind == TOKEN_UNSUBSCRIBE;
}

static bool
is_web(struct slice url)
{
	size_t scheme = slice_startsi(url, SLICE_LIT("http://"))    ? 7
	                : slice_startsi(url, SLICE_LIT("https://")) ? 8
	                                                            : 0;

	return scheme > 0;
}

bool
link_is_sublink(struct slice s)
{
	static const char other[] = "-_";

	for (size_t i = 0; i < s.len; i++) {
		char lower = (char)(s.p[i] | 0x20);

		if (!(lower >= 'a' && lower <= 'z') && !(s.p[i] >= '0' && s.p[i] <= '9') &&
		    memchr(other, s.p[i], sizeof(other) - 1) == NULL)
			return false;
	}
	return s.len > 0 && s.len <= LINK_SUBLINK_MAX;
}

/* ---- making ---- */

static void
add_varint(struct buf *out, uint64_t n)
{
	for (; n > 0x7f; n >>= 7)
		buf_addc(out, (char)(n | 0x80));
	buf_addc(out, (char)n);
}

static void
add_id(struct buf *out, struct message_id id)
{
	for (unsigned i = 0; i < 4; i++)
		buf_addc(out, (char)(id.time >> 8 * i));
	for (unsigned i = 4; i-- > 0;)
		buf_addc(out, (char)(id.serial >> 8 * i));
}

static int
check(const struct link *l, struct err *e)
{
	bool click = is_click(l->kind);

	if (!click && l->kind != TOKEN_OPEN && l->kind != TOKEN_INITIAL_OPEN)
		return err_set(e, "no kind of a link");
	if (l->rcpt.len > LINK_RCPT_MAX)
		return err_set(e, "recipient longer than %d bytes", LINK_RCPT_MAX);
	if (l->name.len > LINK_NAME_MAX)
		return err_set(e, "link name longer than %d bytes", LINK_NAME_MAX);
	if (!click && (l->name.len > 0 || l->url.len > 0 || l->sublink.len > 0))
		return err_set(e, "an open has no name, target or sublink");
	if (l->sublink.len > 0 && !link_is_sublink(l->sublink))
		return err_set(e, "sublink: expected at most %d letters, digits, '-' or '_'",
		    LINK_SUBLINK_MAX);
	if (!click)
		return 0;
	if (l->url.len > LINK_URL_MAX)
		return err_set(e, "target longer than %d bytes", LINK_URL_MAX);
	if (!is_web(l->url))
		return err_set(e, "target is neither http nor https");
	return 0;
}

/* All but the token, and the token; what was added by a failure is the caller's to cut. */
static int
make(const struct token_ring *r, const char *base, const struct link *l, struct buf *plain,
    struct buf *out, struct err *e)
{
	char letter = (char)l->kind;

	add_id(plain, l->message);
	add_varint(plain, l->subaccount);
	add_varint(plain, l->rcpt.len);
	buf_add(plain, l->rcpt);
	if (is_click(l->kind)) {
		buf_addc(plain, (char)l->name.len);
		buf_add(plain, l->name);
		buf_add(plain, l->url);
	}
	buf_adds(out, base);
	buf_addc(out, '/');
	buf_add(out, l->sublink.len > 0 ? l->sublink : (struct slice){ &letter, 1 });
	buf_addc(out, '/');
	return token_seal(r, l->kind, TOKEN_BASE64URL, buf_slice(plain), out, e);
}

int
link_make(const struct token_ring *r, const char *base, const struct link *l, struct buf *out,
    struct err *e)
{
	size_t before = out->len;
	struct buf plain;
	int rc;

	if (check(l, e) < 0)
		return -1;
	buf_init(&plain, PLAIN_MAX);
	rc = make(r, base, l, &plain, out, e);
	buf_free(&plain);
	if (rc < 0 && out->len > before) {
		out->len = before;
		out->p[before] = '\0';
	}
	return rc;
}

/* ---- reading ---- */

static bool
take_varint(struct slice *s, uint64_t *out)
{
	*out = 0;
	for (unsigned i = 0; i < VARINT_MAX && i < s->len; i++) {
		unsigned char c = (unsigned char)s->p[i];

		/* The tenth byte has room for one bit. */
		if (i == VARINT_MAX - 1 && c > 1)
			return false;
		*out |= (uint64_t)(c & 0x7f) << 7 * i;
		if (c <= 0x7f) {
			*s = slice_skip(*s, i + 1);
			return c != 0 || i == 0;
		}
	}
	return false;
}

static bool
take_bytes(struct slice *s, uint64_t n, uint64_t max, struct slice *out)
{
	if (n > max || n > s->len)
		return false;
	*out = slice_head(*s, (size_t)n);
	*s = slice_skip(*s, (size_t)n);
	return true;
}

static bool
take_id(struct slice *s, struct message_id *out)
{
	const unsigned char *p = (const unsigned char *)s->p;

	*out = (struct message_id){ 0, 0 };
	if (s->len < ID_SIZE)
		return false;
	for (unsigned i = 0; i < 4; i++) {
		out->time |= (uint32_t)p[i] << 8 * i;
		out->serial = out->serial << 8 | p[4 + i];
	}
	*s = slice_skip(*s, ID_SIZE);
	return true;
}

/* What a key of the ring sealed, but perhaps not as a link. */
static bool
read_plain(struct slice s, struct link *out)
{
	uint64_t n;

	if (!take_id(&s, &out->message) || !take_varint(&s, &out->subaccount) ||
	    !take_varint(&s, &n) || !take_bytes(&s, n, LINK_RCPT_MAX, &out->rcpt))
		return false;
	if (!is_click(out->kind))
		return s.len == 0;
	if (s.len == 0)
		return false;
	n = (unsigned char)s.p[0];
	s = slice_skip(s, 1);
	if (!take_bytes(&s, n, LINK_NAME_MAX, &out->name))
		return false;
	out->url = s;
	return s.len <= LINK_URL_MAX && is_web(s);
}

/* "/c/TOKEN" in its two parts. */
static bool
split(struct slice path, struct slice *route, struct slice *token)
{
	if (path.len == 0 || path.p[0] != '/')
		return false;
	*token = slice_skip(path, 1);
	if (slice_find(*token, '/') == token->len)
		return false;
	*route = slice_cut(token, '/');
	return link_is_sublink(*route) && token->len > 0;
}

bool
link_open(const struct token_ring *r, struct slice path, struct link *out, struct buf *store)
{
	/* The letter's kind first; a sublink may be any word, even one of the letters. */
	enum token_kind kinds[] = { TOKEN_CLICK, TOKEN_CLICK, TOKEN_UNSUBSCRIBE };
	struct slice route, token;

	buf_clear(store);
	if (!split(path, &route, &token))
		return false;
	if (route.len == 1 && memchr("uoi", route.p[0], 3) != NULL)
		kinds[0] = (enum token_kind)route.p[0];
	for (size_t i = 0; i < COUNT(kinds); i++) {
		if (i > 0 && kinds[i] == kinds[0])
			continue;
		*out = (struct link){ .kind = kinds[i] };
		if (token_open(r, kinds[i], TOKEN_BASE64URL, token, store))
			return read_plain(buf_slice(store), out);
	}
	return false;
}

void
link_location(struct slice url, struct buf *out)
{
	size_t from = 0;

	buf_reserve(out, url.len);
	for (size_t i = 0; i < url.len; i++) {
		unsigned char c = (unsigned char)url.p[i];

		if (c > 0x20 && c != 0x7f)
			continue;
		buf_add(out, (struct slice){ url.p + from, i - from });
		buf_printf(out, "%%%02X", c);
		from = i + 1;
	}
	buf_add(out, slice_skip(url, from));
}

bool
link_key_id(struct slice path, unsigned *id)
{
	struct slice route, token;
	struct buf head;
	bool good;

	buf_init(&head, 3);
	/* Four digits are three bytes: version, key id, and one of the rest. */
	good = split(path, &route, &token) && token.len > 4 &&
	       base64_decode(&head, slice_head(token, 4), BASE64_URL);
	if (good)
		*id = (unsigned char)head.p[1];
	buf_free(&head);
	return good;
}

bool
link_is_ours(const struct token_ring *r, const char *base, struct slice url)
{
	struct slice path;
	struct link l;
	struct buf store;
	size_t end = 0;
	bool ours;

	if (!slice_startsi(url, slice_str(base)))
		return false;
	path = slice_skip(url, strlen(base));
	while (end < path.len && path.p[end] != '?' && path.p[end] != '#')
		end++;
	buf_init(&store, TOKEN_PLAIN_MAX);
	ours = link_open(r, slice_head(path, end), &l, &store);
	buf_free(&store);
	return ours;
}
