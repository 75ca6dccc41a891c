/*
 * outgoing_events.c - what is reported and logged about a message.
 */
#include <stdio.h>

#include "common/address.h"
#include "common/hash.h"
#include "common/jobid.h"
#include "common/outgoing.h"

/* The parts of an event that are made here and must live until it is written. */
struct parts {
	char id[IDS_SIZE], hash[2 * HASH_SHA1_SIZE + 1];
	struct buf lower, domain;
};

/* privacy-policy sha1: the address itself stays here. */
static void
set_recipient(const struct conf *c, struct slice rcpt, struct parts *p, struct event *ev)
{
	unsigned char md[HASH_SHA1_SIZE];

	buf_init(&p->lower, 1024);
	buf_init(&p->domain, 1024);
	buf_add_lower(&p->lower, rcpt);
	buf_add_lower(&p->domain, address_split(rcpt).domain);
	ev->routing_domain = buf_slice(&p->domain);
	if (c->signals.privacy_sha1) {
		hash_sha1(buf_slice(&p->lower), md);
		ev->rcpt_hash = slice_str(hash_hex(md, sizeof(md), p->hash));
		ev->rcpt_domain = buf_slice(&p->domain);
	} else {
		ev->rcpt_to = buf_slice(&p->lower);
		ev->raw_rcpt_to = rcpt;
	}
}

static void
free_parts(struct parts *p)
{
	buf_free(&p->lower);
	buf_free(&p->domain);
}

static enum event_flag
flag(bool on)
{
	return on ? EVENT_TRUE : EVENT_FALSE;
}

static void
set_message(const struct outgoing_envelope *env, const struct outgoing *o, struct event *ev)
{
	ev->timestamp = env->now;
	ev->queue_id = slice_str(env->queue_id);
	ev->recv_method = SLICE_LIT("esmtp");
	ev->msg_from = buf_slice(&o->new_from);
	ev->friendly_from = buf_slice(&o->from_header);
	ev->subject = buf_slice(&o->subject);
	ev->campaign_id = jobid_campaign(buf_slice(&o->jobid));
	ev->custom_message_id = buf_slice(&o->custom_id);
	ev->header_message_id = buf_slice(&o->header_id);
	ev->envid = o->envid_text.len > 0 ? buf_slice(&o->envid_text) : env->envid;
	ev->rcpt_meta = buf_slice(&o->meta);
	ev->rcpt_tags = buf_slice(&o->tags);
	ev->subaccount_id = (int64_t)o->subaccount;
	ev->msg_size = (int64_t)env->size;
	ev->open_tracking = flag(o->track.open_pixel);
	ev->initial_pixel = flag(o->track.initial_pixel);
	ev->click_tracking = flag(o->track.links > 0);
	if (o->vmta != NULL) {
		ev->binding = slice_str(o->vmta->name);
		/* Not routed, it leaves from an address that we don't know. */
		if (o->not_routed == NULL)
			ev->sending_ip = slice_str(o->vmta->source_ip);
	}
	if (o->pool != NULL)
		ev->binding_group = slice_str(o->pool->name);
}

int
outgoing_events(const struct outgoing_context *ctx, const struct outgoing_envelope *env,
    const struct outgoing *o, struct buf *lines, struct err *e)
{
	int rc = 0;

	if (!o->signals)
		return 0;
	for (size_t i = 0; i < env->n_rcpts && rc == 0; i++) {
		struct parts p;
		struct event ev;

		event_init(&ev, EVENT_RECEPTION);
		set_message(env, o, &ev);
		set_recipient(ctx->conf, env->rcpts[i], &p, &ev);
		ev.message_id = slice_str(ids_text(ids_nth(o->first_id, (unsigned)i), p.id));
		ev.event_id = event_id_for(EVENT_RECEPTION, ev.message_id, slice_str(ctx->conf->node_name));
		rc = event_json(&ev, lines, e);
		free_parts(&p);
	}
	return rc < 0 ? -1 : (int)env->n_rcpts;
}

int
outgoing_rejection(const struct outgoing_context *ctx, const struct outgoing_envelope *env,
    struct slice rcpt, const char *code, const char *reply, struct buf *lines, struct err *e)
{
	struct slice sender = address_split(env->from).domain;
	bool has_subaccount = false;
	uint64_t subaccount = 0;
	struct parts p;
	struct event ev;
	char masked[700];
	const char *open_bracket = strchr(reply, '<'), *close_bracket = strrchr(reply, '>');
	int rc;

	if (!conf_signals_for(ctx->conf, NULL, NULL, sender, &has_subaccount, &subaccount))
		return 0;
	event_init(&ev, EVENT_REJECTION);
	set_recipient(ctx->conf, rcpt, &p, &ev);
	ev.message_id = slice_str(ids_text(ids_take(1), p.id));
	ev.event_id = event_id_for(EVENT_REJECTION, ev.message_id, slice_str(ctx->conf->node_name));
	ev.timestamp = env->now;
	ev.recv_method = SLICE_LIT("esmtp");
	ev.msg_from = env->from;
	ev.remote_addr = slice_str(env->client_ip);
	ev.routing_domain = (struct slice){ 0 };
	ev.error_code = slice_str(code);
	ev.bounce_class = 25; /* Admin Failure: our own policy */
	ev.subaccount_id = has_subaccount ? (int64_t)subaccount : 0;
	/* `reason` is the reply with addresses masked; raw_reason as the client saw it. */
	if (open_bracket != NULL && close_bracket != NULL)
		snprintf(masked, sizeof(masked), "%.*s...@...%s", (int)(open_bracket + 1 - reply), reply,
		    close_bracket);
	else
		snprintf(masked, sizeof(masked), "%s", reply);
	ev.reason = slice_str(masked);
	/* privacy-policy sha1 covers the address in the reply too. */
	ev.raw_reason = ctx->conf->signals.privacy_sha1 ? ev.reason : slice_str(reply);
	rc = event_json(&ev, lines, e);
	free_parts(&p);
	return rc < 0 ? -1 : 1;
}
