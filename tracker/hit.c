#include "tracker/hit.h"

#include <stdlib.h>

#include "common/address.h"
#include "common/event.h"
#include "common/hash.h"
#include "common/utf8.h"
#include "common/xalloc.h"

/* What an event is made of must live until it is written. */
struct hit_maker {
	char id[IDS_SIZE], hash[2 * HASH_SHA1_SIZE + 1];
	struct buf rcpt, agent, made_by;
	struct event_writer *writer;
};

struct hit_maker *
hit_maker_new(void)
{
	struct hit_maker *m = xcalloc(1, sizeof(*m));

	buf_init(&m->rcpt, LINK_RCPT_MAX);
	buf_init(&m->agent, 3 * HIT_USER_AGENT_MAX); /* U+FFFD takes three bytes */
	buf_init(&m->made_by, BUF_NO_LIMIT);
	m->writer = event_writer_new();
	return m;
}

void
hit_maker_free(struct hit_maker *m)
{
	if (m == NULL)
		return;
	buf_free(&m->rcpt);
	buf_free(&m->agent);
	buf_free(&m->made_by);
	event_writer_free(m->writer);
	free(m);
}

void
hit_init(struct hit *h)
{
	*h = (struct hit){ .verdict = HIT_UNKNOWN };
	buf_init(&h->store, TOKEN_PLAIN_MAX);
}

void
hit_free(struct hit *h)
{
	buf_free(&h->store);
}

static bool
is_click(const struct link *l)
{
	return l->kind == TOKEN_CLICK || l->kind == TOKEN_UNSUBSCRIBE;
}

void
hit_read(const struct settings *s, struct slice path, int64_t now_us, struct hit *h)
{
	uint64_t expiry_s = s->conf->tracker.link_expiry_s;
	int64_t age_s;

	h->verdict = HIT_UNKNOWN;
	buf_clear(&h->store);
	if (!link_open(s->ring, path, &h->link, &h->store))
		return;
	age_s = now_us / 1000000 - (int64_t)h->link.message.time;
	if (expiry_s != CONF_UNLIMITED && age_s >= 0 && (uint64_t)age_s >= expiry_s)
		h->verdict = HIT_EXPIRED;
	else
		h->verdict = is_click(&h->link) ? HIT_CLICK : HIT_OPEN;
}

uint64_t
hit_key(const struct hit *h)
{
	const struct message_id *id = &h->link.message;

	/* A message id is one recipient's; hosts that share keys may have made the same. */
	return ((uint64_t)id->time << 32 | id->serial) * 2 +
	       (h->link.kind == TOKEN_INITIAL_OPEN ? 1 : 0);
}

static enum event_type
event_type_of(enum token_kind kind)
{
	switch (kind) {
	case TOKEN_OPEN:
		return EVENT_OPEN;
	case TOKEN_INITIAL_OPEN:
		return EVENT_INITIAL_OPEN;
	case TOKEN_UNSUBSCRIBE:
		return EVENT_LINK;
	default:
		return EVENT_CLICK;
	}
}

static void
set_id(struct hit_maker *m, const struct hit *h, const struct hit_reader *reader, struct event *ev)
{
	struct buf *made_by = &m->made_by;

	buf_clear(made_by);
	buf_add(made_by, (struct slice){ (const char *)&reader->now_us, sizeof(reader->now_us) });
	buf_adds(made_by, reader->client->text);
	buf_addc(made_by, ' ');
	buf_add(made_by, h->link.url);
	ev->event_id = event_id_for(ev->type, ev->message_id, buf_slice(made_by));
}

static void
set_recipient(const struct settings *s, struct slice rcpt, struct hit_maker *m, struct event *ev)
{
	unsigned char md[HASH_SHA1_SIZE];

	buf_clear(&m->rcpt);
	buf_add_lower(&m->rcpt, rcpt);
	if (s->conf->signals.privacy_sha1 && rcpt.len > 0) {
		hash_sha1(buf_slice(&m->rcpt), md);
		ev->rcpt_hash = slice_str(hash_hex(md, sizeof(md), m->hash));
		ev->rcpt_domain = address_split(buf_slice(&m->rcpt)).domain;
	} else {
		ev->rcpt_to = buf_slice(&m->rcpt);
	}
}

static void
set_reader(const struct settings *s, const struct hit_reader *reader, struct hit_maker *m,
    struct event *ev)
{
	struct slice agent = slice_head(reader->user_agent, HIT_USER_AGENT_MAX);
	struct machine machine;

	ev->ip_address = slice_str(reader->client->text);
	buf_clear(&m->agent);
	utf8_clean(&m->agent, agent);
	ev->user_agent = utf8_head(buf_slice(&m->agent), HIT_USER_AGENT_MAX);
	if (machine_find(
		s->machines, agent, (const struct sockaddr *)&reader->client->addr, &machine)) {
		ev->machine_reader = slice_str(machine.name);
		ev->prefetched = machine.proxy ? EVENT_FALSE : EVENT_TRUE;
	}
}

int
hit_event(struct hit_maker *m, const struct settings *s, const struct hit *h,
    const struct hit_reader *reader, struct buf *line, struct err *e)
{
	const struct link *l = &h->link;
	struct event ev;

	event_init(&ev, event_type_of(l->kind));
	ev.message_id = slice_str(ids_text(l->message, m->id));
	ev.timestamp = reader->now_us / 1000000;
	ev.delv_method = SLICE_LIT("esmtp");
	/* The ingest API wants both of an unsubscribe event. */
	if (ev.type == EVENT_LINK)
		ev.recv_method = SLICE_LIT("esmtp");
	if (is_click(l)) {
		ev.target_link_url = l->url;
		ev.target_link_name = l->name.len > 0 ? l->name : SLICE_LIT("Raw URL");
	}
	ev.subaccount_id = l->subaccount > INT64_MAX ? INT64_MAX : (int64_t)l->subaccount;
	set_id(m, h, reader, &ev);
	set_recipient(s, l->rcpt, m, &ev);
	set_reader(s, reader, m, &ev);
	return event_write(m->writer, &ev, line, e);
}
