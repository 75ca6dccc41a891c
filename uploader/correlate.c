#include "uploader/correlate.h"

#include "common/address.h"
#include "common/xtext.h"

#define SEALED_SIZE 10 /* as outgoing_edit.c seals it: time, serial, number of recipients */
#define ENVID_MAX   400
#define DASHES_MAX  8

const char *
correlate_name(enum correlate_by by)
{
	static const char *const names[] = {
		[CORRELATE_NONE] = "none",
		[CORRELATE_RECIPIENT] = "recipient",
		[CORRELATE_VERP] = "verp",
		[CORRELATE_MESSAGE_ID] = "message-id",
		[CORRELATE_ENVID] = "envid",
		[CORRELATE_SEAL] = "seal",
	};

	return names[by];
}

void
correlate_init(struct correlate *c, struct index *ix, const struct token_ring *ring)
{
	*c = (struct correlate){ .ix = ix, .ring = ring };
	buf_init(&c->plain, TOKEN_PLAIN_MAX);
	buf_init(&c->text, ENVID_MAX);
	buf_init(&c->verp, 1024);
}

void
correlate_free(struct correlate *c)
{
	buf_free(&c->plain);
	buf_free(&c->text);
	buf_free(&c->verp);
}

/* ---- seals ---- */

static uint32_t
get32(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

static bool
open_seal(struct correlate *c, enum token_text as, struct slice token)
{
	struct slice plain;

	if (c->ring == NULL || token.len == 0)
		return false;
	buf_clear(&c->plain);
	if (!token_open(c->ring, TOKEN_MESSAGE, as, token, &c->plain))
		return false;
	plain = buf_slice(&c->plain);
	if (plain.len != SEALED_SIZE)
		return false;
	c->first = (struct message_id){ get32(plain.p), get32(plain.p + 4) };
	c->count = (unsigned)(unsigned char)plain.p[8] << 8 | (unsigned char)plain.p[9];
	return c->count > 0;
}

/* jsmith-TOKEN@bounces.example.com */
static bool
open_path(struct correlate *c, struct slice path)
{
	struct slice local = address_split(path).local;
	size_t dash = local.len;

	while (dash > 0 && local.p[dash - 1] != '-')
		dash--;
	return dash > 0 && open_seal(c, TOKEN_BASE32, slice_skip(local, dash));
}

static bool
find_seal(struct correlate *c)
{
	if (open_seal(c, TOKEN_BASE64URL, slice_trim(c->report->signalpost_id)))
		return true;
	for (size_t i = 0; i < c->env->n_rcpts; i++)
		if (open_path(c, c->env->rcpts[i].address))
			return true;
	return open_path(c, c->report->return_path);
}

void
correlate_begin(
    struct correlate *c, const struct report *report, const struct inbound_envelope *env)
{
	c->report = report;
	c->env = env;
	c->sealed = find_seal(c);
}

/* What is sealed is believed whatever the report says beside it. */
static int
by_seal(struct correlate *c, struct slice rcpt, struct correlated *out, struct err *e)
{
	int rc;

	out->by = CORRELATE_SEAL;
	out->authenticated = true;
	ids_text(c->first, out->id);
	if (c->count > 1) {
		rc = index_among(c->ix, slice_str(out->id), c->count, rcpt, &out->message, e);
		if (rc > 0) {
			out->known = true;
			memcpy(out->id, out->message.facts.message_id.p, IDS_SIZE - 1);
			return 0;
		}
		out->whole_message = true;
		if (rc < 0)
			return -1;
	}
	rc = index_get(c->ix, slice_str(out->id), &out->message, e);
	out->known = rc > 0;
	return rc < 0 ? -1 : 0;
}

/* ---- without a seal ---- */

static void
found(struct correlated *out, enum correlate_by by, bool guess)
{
	const struct event *facts = &out->message.facts;
	bool say = !guess && facts->subaccount_id <= 0;

	out->by = by;
	out->known = say;
	memcpy(say ? out->id : out->likely, facts->message_id.p, IDS_SIZE - 1);
}

static int
by_name(struct correlate *c, enum index_name what, struct slice name, struct slice rcpt,
    enum correlate_by by, struct correlated *out, struct err *e)
{
	bool several;
	int rc = index_named(c->ix, what, name, rcpt, &out->message, &several, e);

	/* Whose it is of several is not known if the report does not say. */
	if (rc > 0 && rcpt.len == 0 && several)
		rc = 0;
	if (rc > 0)
		found(out, by, false);
	return rc;
}

/* RFC 3464 2.2.1 has it decoded; some give the xtext (RFC 3461 4) as it was. */
static int
by_envid(struct correlate *c, struct slice rcpt, struct correlated *out, struct err *e)
{
	struct slice envid = c->report->envelope_id;
	int rc = by_name(c, INDEX_ENVID, envid, rcpt, CORRELATE_ENVID, out, e);

	if (rc != 0 || slice_find(envid, '+') == envid.len)
		return rc;
	buf_clear(&c->text);
	xtext_decode(&c->text, envid);
	return by_name(c, INDEX_ENVID, buf_slice(&c->text), rcpt, CORRELATE_ENVID, out, e);
}

/*
 * jsmith-jdoe=yahoo.com@example.com, if a message to jdoe@yahoo.com left with just that as its
 * return path. Either local part may have a '-' in it: all are tried, the last first.
 */
static int
by_path(struct correlate *c, struct slice path, struct correlated *out, struct err *e)
{
	struct slice local = address_split(path).local;
	size_t at = local.len;
	bool several;

	while (at > 0 && local.p[at - 1] != '=')
		at--;
	for (size_t dash = at, tried = 0; dash > 1 && tried < DASHES_MAX; dash--) {
		int rc;

		if (local.p[dash - 1] != '-')
			continue;
		tried++;
		buf_clear(&c->verp);
		buf_add(&c->verp, (struct slice){ local.p + dash, at - dash - (at > dash) });
		buf_addc(&c->verp, '@');
		buf_add(&c->verp, slice_skip(local, at));
		rc = index_named(c->ix, INDEX_RCPT, buf_slice(&c->verp), (struct slice){ 0 },
		    &out->message, &several, e);
		if (rc < 0)
			return -1;
		if (rc > 0 && slice_eqi(out->message.facts.msg_from, path)) {
			found(out, CORRELATE_VERP, false);
			return 1;
		}
	}
	return 0;
}

static int
by_verp(struct correlate *c, struct correlated *out, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < c->env->n_rcpts && rc == 0; i++)
		rc = by_path(c, c->env->rcpts[i].address, out, e);
	return rc != 0 ? rc : by_path(c, c->report->return_path, out, e);
}

/* It was for somebody else: forwarded, perhaps. */
static int
by_message_id_alone(struct correlate *c, struct correlated *out, struct err *e)
{
	bool several;
	int rc = index_named(c->ix, INDEX_MESSAGE_ID, c->report->message_id, (struct slice){ 0 },
	    &out->message, &several, e);

	if (rc <= 0 || several)
		return rc < 0 ? -1 : 0;
	found(out, CORRELATE_MESSAGE_ID, true);
	return 1;
}

static int
by_rcpt(struct correlate *c, struct slice rcpt, struct correlated *out, struct err *e)
{
	bool several;
	int rc =
	    index_named(c->ix, INDEX_RCPT, rcpt, (struct slice){ 0 }, &out->message, &several, e);

	if (rc > 0)
		found(out, CORRELATE_RECIPIENT, true);
	return rc;
}

int
correlate_rcpt(struct correlate *c, struct slice rcpt, struct correlated *out, struct err *e)
{
	int rc;

	*out = (struct correlated){ 0 };
	if (c->sealed)
		return by_seal(c, rcpt, out, e);
	rc = by_envid(c, rcpt, out, e);
	if (rc == 0)
		rc = by_name(
		    c, INDEX_MESSAGE_ID, c->report->message_id, rcpt, CORRELATE_MESSAGE_ID, out, e);
	if (rc == 0)
		rc = by_verp(c, out, e);
	if (rc == 0 && rcpt.len > 0)
		rc = by_message_id_alone(c, out, e);
	if (rc == 0)
		rc = by_rcpt(c, rcpt, out, e);
	return rc < 0 ? -1 : 0;
}
