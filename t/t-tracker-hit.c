/*
 * Hits: what a path means at a given time, and the event that it makes.
 */
#include <stdlib.h>
#include <unistd.h>

#include "common/event.h"
#include "common/xalloc.h"
#include "t/tap.h"
#include "tracker/hit.h"

#define SENT      1785844802
#define KEY_LINE  "api-key 0123456789012345678901234567890123456789\n"
#define YEAR_US   (365LL * 86400 * 1000000)
#define LONG_NAME "0123456789012345678901234567890123456789012345678901234567890123456789"

static struct token_ring *ring;

static struct settings *
make_settings(const char *conf, const char *rules)
{
	struct settings *s = xcalloc(1, sizeof(*s));
	struct err e = { .text = "" };

	s->conf = conf_parse("t", slice_str(conf), &e);
	s->machines = machine_rules_parse("m", slice_str(rules), &e);
	s->ring = ring;
	if (s->conf == NULL || s->machines == NULL)
		printf("Bail out! %s\n", e.text);
	return s;
}

static void
free_settings(struct settings *s)
{
	conf_free(s->conf);
	machine_rules_free(s->machines);
	free(s);
}

static const struct link click = { .kind = TOKEN_CLICK,
	.message = { SENT, 0x8172be22 },
	.subaccount = 17,
	.rcpt = SLICE_LIT("Anna@Example.NET"),
	.name = SLICE_LIT("banner"),
	.url = SLICE_LIT("https://brand.example/sale?a=1&b=2") };
static const struct link unsubscribe = { .kind = TOKEN_UNSUBSCRIBE,
	.message = { SENT, 0x8172be22 },
	.rcpt = SLICE_LIT("anna@example.net"),
	.url = SLICE_LIT("https://brand.example/unsub") };
static const struct link opened = {
	.kind = TOKEN_OPEN, .message = { SENT, 0x8172be22 }, .rcpt = SLICE_LIT("anna@example.net")
};
static const struct link initial = { .kind = TOKEN_INITIAL_OPEN,
	.message = { SENT, 0x8172be22 },
	.rcpt = SLICE_LIT("anna@example.net") };

static void
read_link(const struct settings *s, const struct link *l, int64_t now_us, struct hit *h)
{
	struct buf path;
	struct err e;

	buf_init(&path, BUF_NO_LIMIT);
	link_make(ring, "", l, &path, &e);
	hit_read(s, buf_slice(&path), now_us, h);
	buf_free(&path);
}

static void
verdicts(void)
{
	static const char never[] = "<tracker>\nlink-expiry never\n</tracker>\n";
	static const struct {
		const struct link *link;
		const char *conf;
		int64_t now_us;
		enum hit_verdict want;
	} rows[] = {
		{ &click, "", SENT * 1000000LL, HIT_CLICK },
		{ &click, "", SENT * 1000000LL + YEAR_US - 1, HIT_CLICK },
		{ &click, "", SENT * 1000000LL + YEAR_US, HIT_EXPIRED },
		{ &click, "", (SENT - 86400) * 1000000LL, HIT_CLICK }, /* clocks differ */
		{ &click, never, SENT * 1000000LL + 20 * YEAR_US, HIT_CLICK },
		{ &click, "<tracker>\nlink-expiry 1h\n</tracker>\n", (SENT + 3600) * 1000000LL,
		    HIT_EXPIRED },
		{ &unsubscribe, "", SENT * 1000000LL, HIT_CLICK },
		{ &opened, "", SENT * 1000000LL, HIT_OPEN },
		{ &opened, "", SENT * 1000000LL + YEAR_US, HIT_EXPIRED },
		{ &initial, "", SENT * 1000000LL, HIT_OPEN },
	};
	static const char *const unknown[] = { "", "/", "/c/", "/c/AfgSrWNFB", "/favicon.ico",
		"/o/../c/x", "/c/AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB" };
	struct hit h;

	hit_init(&h);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct settings *s = make_settings(rows[i].conf, "");

		read_link(s, rows[i].link, rows[i].now_us, &h);
		ok(h.verdict == rows[i].want, "row %zu", i);
		if (h.verdict == HIT_CLICK)
			ok(slice_eq(h.link.url, rows[i].link->url), "its target");
		free_settings(s);
	}
	for (size_t i = 0; i < COUNT(unknown); i++) {
		struct settings *s = make_settings("", "");

		hit_read(s, slice_str(unknown[i]), SENT * 1000000LL, &h);
		ok(h.verdict == HIT_UNKNOWN, "unknown: '%s'", unknown[i]);
		free_settings(s);
	}
	hit_free(&h);
}

/* ---- events ---- */

static struct hit_maker *maker; /* one for all of them, as in a thread */

static void
make_line(const struct settings *s, const struct link *l, const char *client_text,
    struct slice agent, int64_t now_us, struct buf *line)
{
	struct client client;
	struct hit_reader reader = { &client, agent, now_us };
	struct err e = { .text = "" };
	struct hit h;

	client_parse(slice_str(client_text), &client);
	hit_init(&h);
	read_link(s, l, now_us, &h);
	buf_clear(line);
	if (hit_event(maker, s, &h, &reader, line, &e) < 0)
		printf("# %s\n", e.text);
	hit_free(&h);
}

static void
events(void)
{
	static const char sha1[] = "<signals>\nprivacy-policy sha1\n" KEY_LINE "</signals>\n";
	static const struct {
		const struct link *link;
		const char *conf, *agent, *client;
		const char *want; /* behind the event id */
	} rows[] = {
		{ &click, "", "Mozilla/5.0 (X11; Linux x86_64)", "203.0.113.77",
		    "\"timestamp\":\"1785845120\",\"delv_method\":\"esmtp\","
		    "\"ip_address\":\"203.0.113.77\","
		    "\"user_agent\":\"Mozilla/5.0 (X11; Linux x86_64)\","
		    "\"target_link_url\":\"https://brand.example/sale?a=1&b=2\","
		    "\"target_link_name\":\"banner\",\"message_id\":\"000042d4716a8172be22\","
		    "\"rcpt_to\":\"anna@example.net\",\"subaccount_id\":17}}}\n" },
		{ &unsubscribe, "", "x", "2001:db8::1",
		    "\"timestamp\":\"1785845120\",\"recv_method\":\"esmtp\","
		    "\"delv_method\":\"esmtp\",\"ip_address\":\"2001:db8::1\","
		    "\"user_agent\":\"x\",\"target_link_url\":\"https://brand.example/unsub\","
		    "\"target_link_name\":\"Raw URL\",\"message_id\":\"000042d4716a8172be22\","
		    "\"rcpt_to\":\"anna@example.net\",\"subaccount_id\":0}}}\n" },
		{ &opened, "", "a Robot", "203.0.113.77",
		    "\"timestamp\":\"1785845120\",\"delv_method\":\"esmtp\","
		    "\"ip_address\":\"203.0.113.77\",\"user_agent\":\"a Robot\","
		    "\"prefetched\":true,\"machine_reader\":\"Robots\","
		    "\"message_id\":\"000042d4716a8172be22\","
		    "\"rcpt_to\":\"anna@example.net\",\"subaccount_id\":0}}}\n" },
		{ &initial, "", "x", "192.0.2.1",
		    "\"timestamp\":\"1785845120\",\"delv_method\":\"esmtp\","
		    "\"ip_address\":\"192.0.2.1\",\"user_agent\":\"x\","
		    "\"prefetched\":false,\"machine_reader\":\"Net\","
		    "\"message_id\":\"000042d4716a8172be22\","
		    "\"rcpt_to\":\"anna@example.net\",\"subaccount_id\":0}}}\n" },
		{ &initial, sha1, "", "203.0.113.77",
		    "\"timestamp\":\"1785845120\",\"delv_method\":\"esmtp\","
		    "\"ip_address\":\"203.0.113.77\",\"message_id\":\"000042d4716a8172be22\","
		    "\"rcpt_hash\":\"2ea681cc9a67d94b591bafe03a09c43c8f9d22ad\","
		    "\"rcpt_domain\":\"example.net\",\"subaccount_id\":0}}}\n" },
	};
	static const char *const heads[] = {
		"{\"msys\":{\"track_event\":{\"type\":\"click\",\"event_id\":\"",
		"{\"msys\":{\"unsubscribe_event\":{\"type\":\"link\",\"event_id\":\"",
		"{\"msys\":{\"track_event\":{\"type\":\"open\",\"event_id\":\"",
		"{\"msys\":{\"track_event\":{\"type\":\"initial_open\",\"event_id\":\"",
		"{\"msys\":{\"track_event\":{\"type\":\"initial_open\",\"event_id\":\"",
	};
	struct buf line;

	buf_init(&line, BUF_NO_LIMIT);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct settings *s = make_settings(
		    rows[i].conf, "Robots user-agent /robot/\nNet network 192.0.2.0/24 proxy\n");
		const char *rest;

		make_line(s, rows[i].link, rows[i].client, slice_str(rows[i].agent),
		    1785845120999999, &line);
		rest = strstr(buf_str(&line), "\"timestamp\"");
		ok(slice_starts(buf_slice(&line), slice_str(heads[i])), "row %zu: %s", i, heads[i]);
		if (!ok(rest != NULL && strcmp(rest, rows[i].want) == 0, "row %zu: event", i))
			printf("# %s", buf_str(&line));
		free_settings(s);
	}
	buf_free(&line);
}

static int64_t
id_of(const struct settings *s, const struct link *l, const char *client, int64_t now_us)
{
	struct buf line, store;
	struct event ev = { .event_id = -1 };
	struct err e;

	buf_init(&line, BUF_NO_LIMIT);
	buf_init(&store, BUF_NO_LIMIT);
	make_line(s, l, client, SLICE_LIT("x"), now_us, &line);
	event_read(slice_trim(buf_slice(&line)), &ev, &store, &e);
	buf_free(&line);
	buf_free(&store);
	return ev.event_id;
}

static void
ids(void)
{
	struct settings *s = make_settings("", "");
	struct link other = click, later = click;
	int64_t id = id_of(s, &click, "192.0.2.1", 1785845120999999);

	other.url = SLICE_LIT("https://brand.example/other");
	later.message.serial++;
	ok(id >= 0 && id_of(s, &click, "192.0.2.1", 1785845120999999) == id,
	    "the same hit, the same id");
	ok(id_of(s, &click, "192.0.2.1", 1785845121000000) != id, "another microsecond");
	ok(id_of(s, &click, "192.0.2.2", 1785845120999999) != id, "another client");
	ok(id_of(s, &other, "192.0.2.1", 1785845120999999) != id, "another target");
	ok(id_of(s, &later, "192.0.2.1", 1785845120999999) != id, "another message");
	ok(id_of(s, &opened, "192.0.2.1", 1785845120999999) !=
		id_of(s, &initial, "192.0.2.1", 1785845120999999),
	    "another pixel");
	free_settings(s);
}

static void
agents(void)
{
	struct settings *s = make_settings("", "");
	struct event ev = { .event_id = -1 };
	struct buf line, store;
	char agent[3000];
	struct err e;

	buf_init(&line, BUF_NO_LIMIT);
	buf_init(&store, BUF_NO_LIMIT);
	memset(agent, 'a', sizeof(agent));
	make_line(s, &opened, "192.0.2.1", (struct slice){ agent, sizeof(agent) }, 1, &line);
	event_read(slice_trim(buf_slice(&line)), &ev, &store, &e);
	ok(ev.user_agent.len == HIT_USER_AGENT_MAX, "512 bytes of User-Agent");
	memset(agent, 0xff, sizeof(agent));
	make_line(s, &opened, "192.0.2.1", (struct slice){ agent, sizeof(agent) }, 1, &line);
	ok(event_read(slice_trim(buf_slice(&line)), &ev, &store, &e) == 0 &&
		ev.user_agent.len == 510,
	    "8-bit junk becomes whole characters, %zu bytes", ev.user_agent.len);
	make_line(s, &opened, "192.0.2.1", SLICE_LIT("a\"\\\x01</script>\xc3\xa9"), 1, &line);
	ok(event_read(slice_trim(buf_slice(&line)), &ev, &store, &e) == 0 &&
		slice_eq(ev.user_agent, SLICE_LIT("a\"\\\x01</script>\xc3\xa9")),
	    "quotes and controls come back");
	buf_free(&line);
	buf_free(&store);
	free_settings(s);
}

static void
keys(void)
{
	struct settings *s = make_settings("", "");
	struct link next = opened;
	struct hit a, b;

	next.message.serial++;
	hit_init(&a);
	hit_init(&b);
	read_link(s, &opened, SENT * 1000000LL, &a);
	read_link(s, &initial, SENT * 1000000LL, &b);
	ok(hit_key(&a) != hit_key(&b), "each pixel has its key");
	read_link(s, &next, SENT * 1000000LL, &b);
	ok(hit_key(&a) != hit_key(&b), "each message has its key");
	read_link(s, &opened, SENT * 1000000LL + 5, &b);
	ok(hit_key(&a) == hit_key(&b), "which stays");
	hit_free(&a);
	hit_free(&b);
	free_settings(s);
}

int
main(void)
{
	const char *tmp = getenv("TMPDIR");
	char dir[256];
	struct buf key;
	struct err e;

	snprintf(dir, sizeof(dir), "%.200s/hit-test-XXXXXX", tmp != NULL ? tmp : "/tmp");
	buf_init(&key, 4096);
	if (mkdtemp(dir) == NULL || token_ring_new_key(dir, &key, &e) < 0 ||
	    (ring = token_ring_open(dir, &e)) == NULL)
		return 1;
	unlink(buf_str(&key));
	rmdir(dir);
	buf_free(&key);
	maker = hit_maker_new();
	verdicts();
	events();
	ids();
	agents();
	keys();
	token_ring_close(ring);
	hit_maker_free(maker);
	hit_maker_free(NULL);
	return tap_done();
}
