/*
 * outgoing_edit.c - the message as it leaves: headers, return path, 7-bit form,
 * and over all of it the signature.
 */
#include <stdio.h>

#include "common/address.h"
#include "common/clock.h"
#include "common/header.h"
#include "common/mailbox_list.h"
#include "common/outgoing.h"
#include "common/policy.h"

/* ---- headers that are added ---- */

/* What a sealed id holds: time, serial and number of recipients, big-endian. */
#define SEALED_SIZE 10

static void
put32(unsigned char *out, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		out[i] = (unsigned char)(v >> (24 - 8 * i));
}

static int
seal_id(const struct outgoing_context *ctx, const struct outgoing_envelope *env,
    const struct outgoing *o, enum token_text as, struct buf *out, struct err *e)
{
	unsigned char plain[SEALED_SIZE];

	put32(plain, o->first_id.time);
	put32(plain + 4, o->first_id.serial);
	plain[8] = (unsigned char)(env->n_rcpts >> 8);
	plain[9] = (unsigned char)env->n_rcpts;
	return token_seal(ctx->ring, TOKEN_MESSAGE, as,
	    (struct slice){ (const char *)plain, sizeof(plain) }, out, e);
}

/* A header of this name that came with the message was not made by us for this message. */
static int
add_sealed_id(const struct outgoing_context *ctx, const struct outgoing_envelope *env,
    struct message *m, const struct outgoing *o, struct err *e)
{
	struct buf value;
	int rc = 0;

	message_delete(m, "X-Signalpost-ID");
	if (!o->signals || ctx->ring == NULL)
		return 0;
	buf_init(&value, 256);
	buf_addc(&value, ' ');
	rc = seal_id(ctx, env, o, TOKEN_BASE64URL, &value, e);
	if (rc == 0)
		message_append(m, "X-Signalpost-ID", buf_slice(&value));
	buf_free(&value);
	return rc;
}

static const char *
host_name(const struct conf *c)
{
	return c->host_names.n > 0 ? c->host_names.v[0] : c->node_name;
}

static void
add_missing(const struct outgoing_context *ctx, const struct outgoing_envelope *env,
    struct message *m, const struct outgoing *o)
{
	char text[512], when[CLOCK_MAIL_SIZE], id[IDS_SIZE];

	if (env->source->add_date_header && message_find(m, "Date", 0) == NULL) {
		snprintf(text, sizeof(text), " %s", clock_mail(env->now, when));
		message_append(m, "Date", slice_str(text));
	}
	if (env->source->add_message_id_header && message_find(m, "Message-ID", 0) == NULL) {
		snprintf(text, sizeof(text), " <%s@%s>", ids_text(o->first_id, id),
		    host_name(ctx->conf));
		message_append(m, "Message-ID", slice_str(text));
	}
}

/* What a report will quote. */
static void
keep_header_id(const struct message *m, struct outgoing *o)
{
	const struct message_header *h = message_find(m, "Message-ID", 0);
	struct slice id;
	struct buf text;

	if (h == NULL)
		return;
	buf_init(&text, o->header_id.max);
	header_unfold(&text, slice_str(h->value));
	id = slice_trim(buf_slice(&text));
	if (id.len > 2 && id.p[0] == '<' && id.p[id.len - 1] == '>')
		id = slice_trim((struct slice){ id.p + 1, id.len - 2 });
	if (!text.full)
		buf_add(&o->header_id, id);
	buf_free(&text);
}

/* ---- MAIL FROM ---- */

/* jsmith@example.com -> jsmith-ID@example.com */
static int
with_id(const struct outgoing_context *ctx, const struct outgoing_envelope *env,
    const struct outgoing *o, struct address sender, struct buf *out, struct err *e)
{
	if (ctx->ring == NULL)
		return err_set(e, "no token key");
	buf_add(out, sender.local);
	buf_addc(out, '-');
	if (seal_id(ctx, env, o, TOKEN_BASE32, out, e) < 0)
		return -1;
	buf_addc(out, '@');
	buf_add(out, sender.domain);
	return address_check(buf_slice(out), e);
}

/* One return path can name one recipient only. */
static void
apply_verp(const struct outgoing_context *ctx, const struct outgoing_envelope *env,
    struct outgoing *o, struct slice from)
{
	bool by_id = ctx->conf->milter.return_path_id;
	struct address sender = address_split(from);
	struct buf verp;
	struct err why;
	int rc;

	if (!env->source->verp_default || from.len == 0)
		return;
	if (env->n_rcpts != 1 && !by_id) {
		o->verp = "multi-recipient";
		return;
	}
	buf_init(&verp, 1024);
	rc = by_id ? with_id(ctx, env, o, sender, &verp, &why)
	           : address_verp(sender, address_split(env->rcpts[0]), &verp, &why);
	o->verp = rc < 0 ? "too-long-or-unsafe" : by_id ? "id" : "recipient";
	if (rc == 0) {
		buf_clear(&o->new_from);
		buf_add(&o->new_from, buf_slice(&verp));
		o->from_changed = true;
	}
	buf_free(&verp);
}

/* The MTAs take any text as MAIL FROM from a milter, so what we make is checked here. */
static void
rewrite_mail_from(
    const struct outgoing_context *ctx, const struct outgoing_envelope *env, struct outgoing *o)
{
	struct err why;

	if (o->rewrite_list != NULL &&
	    conf_rewrite_mail_from(o->rewrite_list, env->from, &o->new_from)) {
		if (address_check(buf_slice(&o->new_from), &why) == 0)
			o->from_changed = true;
		else
			o->from_invalid = true;
	}
	if (!o->from_changed) {
		buf_clear(&o->new_from);
		buf_add(&o->new_from, env->from);
	}
	apply_verp(ctx, env, o, buf_slice(&o->new_from));
}

/* ---- opens and clicks ---- */

/* Why this message's links and opens are nobody's business, or NULL. */
static const char *
why_not_tracked(const struct outgoing_context *ctx, const struct outgoing_envelope *env,
    const struct outgoing *o)
{
	if (ctx->conf->signals.engagement_tracking == CONF_TRACKING_OFF)
		return "off";
	if (!o->signals)
		return "signals-off";
	if (ctx->ring == NULL)
		return "no-token-key";
	if (!policy_trusts(env->source, env->local))
		return "untrusted-source";
	/* One body can't carry the tokens of several readers. */
	if (env->n_rcpts != 1)
		return "multi-recipient";
	if (env->body_too_big)
		return "too-big";
	if (o->api_open == EVENT_FALSE && o->api_click == EVENT_FALSE)
		return "x-msys-api";
	return NULL;
}

/* data-msys-clicktrack is for us and no reader's, also where this message is not tracked. */
static bool
loses_marks(const struct outgoing_envelope *env, const struct outgoing *o)
{
	struct slice why = slice_str(o->track.why_not);

	return !env->body_too_big && (slice_eq(why, SLICE_LIT("multi-recipient")) ||
					 slice_eq(why, SLICE_LIT("x-msys-api")));
}

static void
remove_marks(struct message *m, struct track_options opt)
{
	struct track_report report;

	opt.links = opt.pixels = false;
	track_message(m, &opt, &report);
}

static void
track(const struct outgoing_context *ctx, const struct outgoing_envelope *env, struct message *m,
    struct outgoing *o)
{
	struct track_options opt = {
		.ring = ctx->ring,
		.base = conf_tracking_base(ctx->conf),
		.message = o->first_id,
		.subaccount = o->subaccount,
		.links = o->api_click != EVENT_FALSE,
		.pixels = o->api_open != EVENT_FALSE,
		.text = ctx->conf->signals.track_text,
		.note = env->note,
		.arg = env->note_arg,
	};
	struct buf rcpt;

	o->track.why_not = why_not_tracked(ctx, env, o);
	if (o->track.why_not != NULL) {
		if (loses_marks(env, o))
			remove_marks(m, opt);
		return;
	}
	buf_init(&rcpt, 4096);
	buf_add_lower(&rcpt, env->rcpts[0]);
	opt.rcpt = buf_slice(&rcpt);
	track_message(m, &opt, &o->track);
	buf_free(&rcpt);
}

/* ---- the signature ---- */

static int
sign(const struct outgoing_context *ctx, const struct outgoing_envelope *env, struct message *m,
    struct outgoing *o, struct err *e)
{
	const struct signing_digest *digest = NULL;

	if (!policy_trusts(env->source, env->local)) {
		o->signing.why_not = "untrusted-source";
		return 0;
	}
	signing_choose(ctx->keys, ctx->conf, o->vmta, &o->domain, buf_slice(&o->sender_header),
	    buf_slice(&o->from_header), &o->signing);
	if (o->signing.n == 0)
		return 0;
	if (env->address_host.len > 0)
		mailbox_list_prepare(m, env->address_host);
	if (env->body_too_big)
		digest = o->domain.dkim_body_simple ? &env->simple : &env->relaxed;
	if (signing_sign(&o->signing, m, digest, env->now, e) < 0)
		return -1;
	o->signed_ok = true;
	return 0;
}

int
outgoing_edit(const struct outgoing_context *ctx, const struct outgoing_envelope *env,
    struct message *m, struct outgoing *o, struct err *e)
{
	rewrite_mail_from(ctx, env, o);
	if (env->headers_too_big) {
		o->signing.why_not = "headers-too-big";
		o->track.why_not = "headers-too-big";
		return 0;
	}
	add_missing(ctx, env, m, o);
	keep_header_id(m, o);
	if (add_sealed_id(ctx, env, m, o, e) < 0)
		return -1;
	track(ctx, env, m, o);
	if (!env->body_too_big)
		sevenbit_make(m, &o->sevenbit);
	return sign(ctx, env, m, o, e);
}
