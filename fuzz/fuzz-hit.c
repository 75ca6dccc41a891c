/*
 * hit: a request's path, X-Forwarded-For and User-Agent, one a line; the rest is
 * read as a file of machine rules. No path opens; a link of ours makes an event
 * that can be read back, whatever the reader sends.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/event.h"
#include "common/xalloc.h"
#include "tracker/hit.h"

#define NOW_US 1785845120000000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(bool good)
{
	if (!good)
		abort();
}

static struct token_ring *
ring(void)
{
	const char *tmp = getenv("TMPDIR");
	struct token_ring *r;
	struct buf key;
	struct err e;
	char dir[256];

	snprintf(dir, sizeof(dir), "%.200s/fuzz-hit-XXXXXX", tmp != NULL ? tmp : "/tmp");
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

static struct settings *
settings(void)
{
	static struct settings *s;
	struct err e;

	if (s == NULL) {
		s = xcalloc(1, sizeof(*s));
		s->ring = ring();
		s->conf = conf_parse("f",
		    SLICE_LIT("<tracker>\ntrusted-proxy 10/8\ntrusted-proxy ::/1\n</tracker>\n"),
		    &e);
		check(s->conf != NULL);
		s->proxies = (struct client_proxies){ s->conf->tracker.n_trusted_proxies,
			s->conf->tracker.trusted_proxies };
	}
	return s;
}

/* The client's text is an address, and the same address. */
static void
find_client(const struct settings *s, struct slice forwarded, struct client *out)
{
	const struct sockaddr_in peer = { .sin_family = AF_INET,
		.sin_addr = { htonl(0x0a000001) } }; /* a trusted proxy */
	struct slice lines[2] = { forwarded, slice_skip(forwarded, forwarded.len / 2) };
	struct client again;

	client_find(&s->proxies, (const struct sockaddr *)(const void *)&peer, lines, 2, out);
	check(client_parse(slice_str(out->text), &again));
	check(strcmp(out->text, again.text) == 0);
	check(out->addr.ss_family == again.addr.ss_family);
}

static void
make_event(
    const struct settings *s, const struct link *l, const struct client *client, struct slice agent)
{
	struct hit_reader reader = { client, agent, NOW_US };
	static struct hit_maker *maker;
	struct buf path, line, store;
	struct event ev;
	struct hit h;
	struct err e;

	if (maker == NULL)
		maker = hit_maker_new();
	hit_init(&h);
	buf_init(&path, BUF_NO_LIMIT);
	buf_init(&line, BUF_NO_LIMIT);
	buf_init(&store, BUF_NO_LIMIT);
	if (link_make(s->ring, "", l, &path, &e) == 0) {
		hit_read(s, buf_slice(&path), NOW_US, &h);
		check(h.verdict == HIT_CLICK);
		check(hit_event(maker, s, &h, &reader, &line, &e) == 0);
		check(line.len > 0 && slice_find(buf_slice(&line), '\n') == line.len - 1);
		check(event_read(slice_head(buf_slice(&line), line.len - 1), &ev, &store, &e) == 0);
		check(ev.type == EVENT_CLICK && ev.user_agent.len <= HIT_USER_AGENT_MAX);
		check(slice_eq(ev.ip_address, slice_str(client->text)));
	}
	hit_free(&h);
	buf_free(&path);
	buf_free(&line);
	buf_free(&store);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = { (const char *)data, size }, path = { "", 0 }, forwarded = { "", 0 },
		     agent = { "", 0 };
	struct settings *s = settings();
	struct link l = { .kind = TOKEN_CLICK, .message = { 1785844802, 1 } };
	struct client client;
	struct hit h;
	struct err e;

	slice_line(&rest, &path);
	slice_line(&rest, &forwarded);
	slice_line(&rest, &agent);
	hit_init(&h);
	hit_read(s, path, NOW_US, &h);
	check(h.verdict == HIT_UNKNOWN);
	hit_free(&h);
	find_client(s, forwarded, &client);
	s->machines = machine_rules_parse("m", rest, &e);
	check(s->machines != NULL || strncmp(e.text, "m:", 2) == 0);
	l.url = path;
	l.rcpt = slice_head(agent, LINK_RCPT_MAX);
	l.name = slice_head(forwarded, LINK_NAME_MAX);
	make_event(s, &l, &client, agent);
	machine_rules_free(s->machines);
	s->machines = NULL;
	return 0;
}
