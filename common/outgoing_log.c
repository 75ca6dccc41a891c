/*
 * outgoing_log.c - the line that is logged for each message. Its keys are explained in
 * signalpost-milter(8), and t/t-outgoing-log.c reads it back.
 */
#include <stdarg.h>
#include <stdio.h>

#include "common/jobid.h"
#include "common/outgoing.h"

#define VALUE_MAX ((size_t)320) /* bytes of a value; an address has 254 (RFC 5321 4.5.3.1) */
#define RCPTS_MAX 5             /* recipients that are named; rcpts= counts all */

static void
add_quoted(struct buf *line, struct slice value, bool cut)
{
	buf_addc(line, '"');
	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = (unsigned char)value.p[i];

		if (c == '"' || c == '\\')
			buf_printf(line, "\\%c", c);
		else if (c < 0x20 || c >= 0x7f)
			buf_printf(line, "\\x%02x", c);
		else
			buf_addc(line, (char)c);
	}
	buf_adds(line, cut ? "...\"" : "\"");
}

void
outgoing_log_value(struct buf *line, const char *key, struct slice value)
{
	struct slice shown = slice_head(value, VALUE_MAX);
	bool quote = value.len == 0 || shown.len < value.len, was_full = line->full;
	size_t start = line->len;

	for (size_t i = 0; i < shown.len && !quote; i++) {
		unsigned char c = (unsigned char)shown.p[i];

		quote = c <= 0x20 || c >= 0x7f || c == '"' || c == '\\';
	}
	line->full = false;
	buf_printf(line, " %s=", key);
	if (quote)
		add_quoted(line, shown, shown.len < value.len);
	else
		buf_add(line, shown);
	/* Whole or not at all: half a value would be read as something else. */
	if (line->full)
		line->len = start;
	else
		line->full = was_full;
}

void
outgoing_log_path(struct buf *line, const char *key, struct slice addr)
{
	struct buf path;

	buf_init(&path, BUF_NO_LIMIT);
	buf_addc(&path, '<');
	buf_add(&path, slice_head(addr, VALUE_MAX));
	buf_addc(&path, '>');
	outgoing_log_value(line, key, buf_slice(&path));
	buf_free(&path);
}

void
outgoing_log_came(struct buf *line, const char *source, const char *listener_ip, unsigned port)
{
	char listener[80];

	if (source != NULL)
		outgoing_log_value(line, "source", slice_str(source));
	if (listener_ip == NULL || *listener_ip == '\0')
		return;
	if (strchr(listener_ip, ':') != NULL)
		snprintf(listener, sizeof(listener), "[%s]:%u", listener_ip, port);
	else
		snprintf(listener, sizeof(listener), "%s:%u", listener_ip, port);
	outgoing_log_value(line, "listener", slice_str(listener));
}

/* A value of our own making: words and numbers. */
__attribute__((format(printf, 3, 4))) static void
put(struct buf *line, const char *key, const char *fmt, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	outgoing_log_value(line, key, slice_str(text));
}

static void
put_signing(const struct outgoing *o, struct buf *line)
{
	if (!o->signed_ok) {
		put(line, "dkim", "none(%s)",
		    o->signing.why_not != NULL ? o->signing.why_not : "failed");
		return;
	}
	put(line, "dkim", "signed");
	for (size_t i = 0; i < o->signing.n; i++) {
		outgoing_log_value(line, "d", slice_str(o->signing.by[i].domain));
		outgoing_log_value(line, "s", slice_str(o->signing.by[i].selector));
		put(line, "a", "%s", dkim_algorithm_name(dkim_key_algorithm(o->signing.by[i].key)));
	}
}

static void
put_tracking(const struct outgoing *o, struct buf *line)
{
	const struct track_report *t = &o->track;

	if (t->why_not != NULL) {
		put(line, "track", "none(%s)", t->why_not);
	} else {
		put(line, "links", "%u", t->links);
		put(line, "pixels", "%u", (unsigned)t->initial_pixel + (unsigned)t->open_pixel);
	}
	if (t->parts_passed > 0)
		put(line, "untracked-parts", "%u(%s)", t->parts_passed, t->part_why);
}

static void
put_body(const struct outgoing_envelope *env, const struct outgoing *o, struct buf *line)
{
	if (env->headers_too_big)
		put(line, "edit", "none(headers-too-big)");
	else if (env->body_too_big)
		put(line, "edit", "none(too-big)");
	if (o->sevenbit.parts > 0)
		put(line, "requoted", "%u", o->sevenbit.parts);
	if (o->sevenbit.headers > 0)
		put(line, "refolded", "%u", o->sevenbit.headers);
	if (o->sevenbit.unsafe)
		put(line, "sevenbit", "unsafe");
}

static void
put_envelope(const struct outgoing_envelope *env, const struct outgoing *o, struct buf *line)
{
	outgoing_log_value(
	    line, "client", env->local ? SLICE_LIT("local") : slice_str(env->client_ip));
	if (env->auth_user != NULL)
		outgoing_log_value(line, "auth", slice_str(env->auth_user));
	outgoing_log_path(line, "from", env->from);
	if (o->from_changed)
		outgoing_log_path(line, "env", buf_slice(&o->new_from));
	if (o->from_invalid)
		put(line, "env", "invalid(unchanged)");
	if (o->verp != NULL)
		put(line, "verp", "%s", o->verp);
	for (size_t i = 0; i < env->n_rcpts && i < RCPTS_MAX; i++)
		outgoing_log_path(line, "to", env->rcpts[i]);
	outgoing_log_came(line, env->source->name, env->listener_ip, env->listener_port);
	put(line, "rcpts", "%zu", env->n_rcpts);
	put(line, "size", "%llu", (unsigned long long)env->size);
}

void
outgoing_log(const struct outgoing_envelope *env, const struct outgoing *o, struct buf *line)
{
	char id[IDS_SIZE];

	put_envelope(env, o, line);
	if (o->jobid.len > 0)
		outgoing_log_value(line, "campaign", jobid_campaign(buf_slice(&o->jobid)));
	if (o->jobid.len > jobid_campaign(buf_slice(&o->jobid)).len)
		outgoing_log_value(line, "job", buf_slice(&o->jobid));
	if (o->vmta != NULL)
		outgoing_log_value(line, "vmta", slice_str(o->vmta->name));
	if (o->pool != NULL)
		outgoing_log_value(line, "pool", slice_str(o->pool->name));
	if (o->not_routed != NULL)
		put(line, "route", "none(%s)", o->not_routed);
	if (o->vmta_unknown != NULL)
		put(line, o->vmta_unknown, "unknown");
	if (o->api_error != NULL)
		put(line, "x-msys-api", "%s", o->api_error);
	if (o->subaccount > 0)
		put(line, "subaccount", "%llu", (unsigned long long)o->subaccount);
	if (o->signals) {
		put(line, "id", "%s", ids_text(o->first_id, id));
		put(line, "events", "%zu", o->events);
	} else {
		put(line, "events", "off");
	}
	put_tracking(o, line);
	put_body(env, o, line);
	put_signing(o, line);
}
