/*
 * outgoing_decide.c - what the headers ask for, and what the configuration says
 * to it.
 */
#include <stdlib.h>

#include "common/address.h"
#include "common/encoded_word.h"
#include "common/header.h"
#include "common/jobid.h"
#include "common/msys_api.h"
#include "common/outgoing.h"
#include "common/policy.h"
#include "common/route.h"

#define SUBJECT_MAX   8192
#define CUSTOM_ID_MAX 512  /* custom-message-id-header: ASCII, at most so many */
#define ENVID_MAX     100  /* RFC 3461 4.4 */
#define HEADER_ID_MAX 1000 /* a longer Message-ID is not kept */

void
outgoing_init(struct outgoing *o)
{
	*o = (struct outgoing){ 0 };
	buf_init(&o->jobid, 65536);
	buf_init(&o->from_header, 1024);
	buf_init(&o->sender_header, 1024);
	buf_init(&o->subject, SUBJECT_MAX);
	buf_init(&o->custom_id, CUSTOM_ID_MAX);
	buf_init(&o->envid, 4096);
	buf_init(&o->envid_text, ENVID_MAX);
	buf_init(&o->header_id, HEADER_ID_MAX);
	buf_init(&o->meta, MSYS_API_MAX * 6);
	buf_init(&o->tags, MSYS_API_MAX * 6);
	buf_init(&o->new_from, 1024);
}

void
outgoing_free(struct outgoing *o)
{
	buf_free(&o->jobid);
	buf_free(&o->from_header);
	buf_free(&o->sender_header);
	buf_free(&o->subject);
	buf_free(&o->custom_id);
	buf_free(&o->envid);
	buf_free(&o->envid_text);
	buf_free(&o->header_id);
	buf_free(&o->meta);
	buf_free(&o->tags);
	buf_free(&o->new_from);
}

static struct slice
value_of(const struct message *m, const char *name)
{
	const struct message_header *h = message_find(m, name, 0);

	return h == NULL ? (struct slice){ 0 } : slice_str(h->value);
}

/* ---- X-Job ---- */

static struct slice
jobid_prefix(const struct outgoing_envelope *env)
{
	const char *prefix = env->source->jobid_prefix;

	if (prefix != NULL && slice_eqi(slice_str(prefix), SLICE_LIT("{auth}")))
		return slice_str(env->auth_user);
	return slice_str(prefix);
}

static void
decide_job(const struct outgoing_envelope *env, struct message *m, struct outgoing *o)
{
	const struct conf_source *src = env->source;

	if (src->process_x_job) {
		jobid_from_header(value_of(m, "X-Job"), jobid_prefix(env), &o->jobid);
		if (!src->retain_x_job)
			message_delete(m, "X-Job");
	}
	/* X-Job wins; the alternate header is the sender's own and stays. */
	if (o->jobid.len == 0 && src->jobid_header != NULL)
		jobid_from_header(value_of(m, src->jobid_header), jobid_prefix(env), &o->jobid);
}

/* ---- virtual MTA and pool ---- */

static bool
choose_named(const struct conf *c, struct slice name, struct outgoing *o)
{
	char text[256];

	if (name.len == 0 || name.len >= sizeof(text))
		return false;
	memcpy(text, name.p, name.len);
	text[name.len] = '\0';
	o->vmta = conf_vmta_find(c, text);
	if (o->vmta == NULL && (o->pool = conf_pool_find(c, text)) != NULL)
		o->vmta = conf_pool_next(o->pool);
	return o->vmta != NULL || o->pool != NULL;
}

static void
choose_by_listener(const struct conf *c, const char *ip, struct outgoing *o)
{
	for (size_t i = 0; ip != NULL && o->vmta == NULL && i < c->n_vmtas; i++)
		if (c->vmtas[i]->source_ip != NULL &&
		    slice_eqi(slice_str(c->vmtas[i]->source_ip), slice_str(ip)))
			o->vmta = c->vmtas[i];
}

/* x-virtual-mta above ip_pool above default-virtual-mta. */
static void
decide_vmta(const struct outgoing_context *ctx, const struct outgoing_envelope *env,
    struct slice api_pool, struct message *m, struct outgoing *o)
{
	const struct conf_source *src = env->source;
	struct slice asked = { 0 };

	if (src->process_x_virtual_mta) {
		asked = slice_trim(value_of(m, "X-Virtual-MTA"));
		if (choose_named(ctx->conf, asked, o))
			asked.len = 0;
		else if (asked.len > 0)
			o->vmta_unknown = "x-virtual-mta";
		if (!src->retain_x_virtual_mta)
			message_delete(m, "X-Virtual-MTA");
	}
	if (o->vmta != NULL || o->pool != NULL)
		return;
	if (api_pool.len > 0 && !choose_named(ctx->conf, api_pool, o))
		o->vmta_unknown = "ip_pool";
	if (o->vmta != NULL || o->pool != NULL)
		return;
	if (src->default_vmta_choice == CONF_VMTA_NAMED)
		choose_named(ctx->conf, slice_str(src->default_vmta), o);
	else if (src->default_vmta_choice == CONF_VMTA_BY_SOURCE_IP)
		choose_by_listener(ctx->conf, env->listener_ip, o);
}

/* The sender has no say in it: whatever header of this name came in is gone. */
static void
decide_route(const struct outgoing_context *ctx, const struct outgoing_envelope *env,
    struct message *m, struct outgoing *o)
{
	message_delete(m, ROUTE_HEADER);
	if (o->vmta == NULL || !env->routes || !route_needed(ctx->conf))
		return;
	if (!policy_trusts(env->source, env->local))
		o->not_routed = "untrusted-source";
	else if (env->has_local_rcpt)
		o->not_routed = "local-recipient";
	else
		o->routed = true;
}

/* ---- X-MSYS-API ---- */

static void
decide_api(const struct outgoing_envelope *env, struct message *m, struct msys_api *api,
    struct outgoing *o)
{
	const struct message_header *h = message_find(m, "X-MSYS-API", 0);
	struct err e;

	if (h == NULL || !env->source->process_x_msys_api ||
	    !policy_trusts(env->source, env->local))
		return;
	if (msys_api_parse(api, slice_str(h->value), &e) < 0) {
		o->api_error = "bad";
		msys_api_free(api);
		msys_api_init(api);
	}
	message_delete(m, "X-MSYS-API");
	if (o->jobid.len == 0)
		jobid_from_header(buf_slice(&api->campaign_id), (struct slice){ 0 }, &o->jobid);
	o->api_open = api->open_tracking;
	o->api_click = api->click_tracking;
	buf_add(&o->meta, buf_slice(&api->metadata));
	buf_add(&o->tags, buf_slice(&api->tags));
}

/* ---- From, Sender, and what rewrite lists make of them ---- */

static void
read_addresses(const struct message *m, struct outgoing *o)
{
	address_first(value_of(m, "From"), &o->from_header, NULL);
	if (!address_first(value_of(m, "Sender"), &o->sender_header, NULL))
		/* cleared, and empty */
		buf_add(&o->sender_header, buf_slice(&o->from_header));
}

/* Virtual MTA above pool above source above global. */
static void
decide_rewrite_list(
    const struct outgoing_context *ctx, const struct outgoing_envelope *env, struct outgoing *o)
{
	if (o->vmta != NULL && o->vmta->rewrite_list != NULL)
		o->rewrite_list = o->vmta->rewrite_list;
	else if (o->pool != NULL && o->pool->rewrite_list != NULL)
		o->rewrite_list = o->pool->rewrite_list;
	else if (env->source->rewrite_list != NULL)
		o->rewrite_list = env->source->rewrite_list;
	else
		o->rewrite_list = ctx->conf->rewrite_list;
}

#define FROM_MAX 100 /* mailboxes of From: that are looked at */

/* Of all mailboxes; nothing else of the header changes. */
static void
rewrite_from_header(struct message *m, struct outgoing *o)
{
	struct message_header *h = message_find(m, "From", 0);
	struct slice domains[FROM_MAX], value;
	bool any = false;
	struct buf changed;
	size_t n, at = 0;

	if (h == NULL || o->rewrite_list == NULL || o->rewrite_list->n_from_domain == 0)
		return;
	value = slice_str(h->value);
	n = address_domains(value, domains, FROM_MAX);
	buf_init(&changed, BUF_NO_LIMIT);
	for (size_t i = 0; i < n; i++) {
		const char *to = conf_rewrite_from_domain(o->rewrite_list, domains[i]);

		if (to == NULL)
			continue;
		buf_add(&changed,
		    (struct slice){ value.p + at, (size_t)(domains[i].p - value.p) - at });
		buf_adds(&changed, to);
		at = (size_t)(domains[i].p - value.p) + domains[i].len;
		any = true;
	}
	buf_add(&changed, slice_skip(value, at));
	if (any)
		message_set(h, buf_slice(&changed));
	buf_free(&changed);
}

/* ---- signals ---- */

static bool
header_subaccount(const struct conf_signals *s, struct message *m, uint64_t *out)
{
	bool given = false;

	if (!s->process_subaccount_header)
		return false;
	given =
	    slice_uint(slice_trim(value_of(m, "X-SP-Subaccount-ID")), UINT32_MAX, out) && *out > 0;
	if (!s->retain_subaccount_header)
		message_delete(m, "X-SP-Subaccount-ID");
	return given;
}

static void
decide_signals(const struct outgoing_context *ctx, struct message *m, struct outgoing *o)
{
	struct slice sender = address_split(buf_slice(&o->sender_header)).domain;
	uint64_t by_header = 0, by_conf = 0;
	bool has_header = header_subaccount(&ctx->conf->signals, m, &by_header);
	bool has_conf = false;

	o->signals = conf_signals_for(ctx->conf, o->vmta, o->pool, sender, &has_conf, &by_conf);
	o->subaccount = has_header ? by_header : has_conf ? by_conf : 0;
}

static void
decide_custom_id(const struct outgoing_context *ctx, const struct message *m, struct outgoing *o)
{
	const char *name = ctx->conf->signals.custom_message_id_header;

	if (name == NULL)
		return;
	header_unfold(&o->custom_id, value_of(m, name));
	for (size_t i = 0; i < o->custom_id.len; i++)
		if (o->custom_id.p[i] < 0x20 || o->custom_id.p[i] > 0x7e)
			o->custom_id.full = true;
	if (o->custom_id.full)
		buf_clear(&o->custom_id);
}

/* RFC 3461 4.4: printable ASCII, passed as xtext. */
static void
decide_envid(const struct outgoing_envelope *env, struct message *m, struct outgoing *o)
{
	struct slice v;

	if (!env->source->process_x_envid)
		return;
	v = slice_trim(value_of(m, "X-Envid"));
	if (v.len <= ENVID_MAX)
		buf_add(&o->envid_text, v);
	for (size_t i = 0; i < v.len && v.len <= ENVID_MAX; i++) {
		unsigned char c = (unsigned char)v.p[i];

		if (c < 0x21 || c > 0x7e || c == '+' || c == '=')
			buf_printf(&o->envid, "+%02X", c);
		else
			buf_addc(&o->envid, (char)c);
	}
	message_delete(m, "X-Envid");
}

/* dkim-sign and what goes with it, for the recipient that asks for a signature; the first one
 * otherwise. */
static void
decide_domain(
    const struct outgoing_context *ctx, const struct outgoing_envelope *env, struct outgoing *o)
{
	for (size_t i = 0; i < env->n_rcpts; i++) {
		struct conf_domain d;

		conf_domain_for(
		    ctx->conf, o->vmta, o->pool, address_split(env->rcpts[i]).domain, &d);
		if (i == 0 || d.dkim_sign == CONF_DKIM_YES)
			o->domain = d;
		if (d.dkim_sign == CONF_DKIM_YES)
			return;
	}
}

void
outgoing_decide(const struct outgoing_context *ctx, const struct outgoing_envelope *env,
    struct message *m, struct outgoing *o)
{
	struct msys_api api;

	msys_api_init(&api);
	decide_job(env, m, o);
	decide_api(env, m, &api, o);
	decide_vmta(ctx, env, buf_slice(&api.ip_pool), m, o);
	msys_api_free(&api);
	decide_route(ctx, env, m, o);
	decide_envid(env, m, o);
	decide_rewrite_list(ctx, env, o);
	read_addresses(m, o);
	rewrite_from_header(m, o);
	read_addresses(m, o);
	decide_signals(ctx, m, o);
	decide_custom_id(ctx, m, o);
	encoded_word_decode(&o->subject, value_of(m, "Subject"));
	decide_domain(ctx, env, o);
	o->first_id = ids_take(env->n_rcpts > 0 ? (unsigned)env->n_rcpts : 1);
}
