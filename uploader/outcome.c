#include "uploader/outcome.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/hash.h"
#include "common/reply.h"
#include "common/xalloc.h"

/* Stamps have whole seconds, loggers are late, and so may a line be behind its message. */
#define AHEAD_S     2
#define CLASS_ADMIN 25      /* "Admin Failure" */
#define START_S     5       /* a queue id that begins this long after a reception is a new one */
#define REPEAT_US   2000000 /* the same line from two sources */

void
outcome_init(struct outcome *o, struct index *ix, const struct classifier *rules)
{
	*o = (struct outcome){ .ix = ix, .rules = rules, .only = INDEX_FIRST };
	o->writer = event_writer_new();
	buf_init(&o->lines, BUF_NO_LIMIT);
	buf_init(&o->raw, 64 * 1024);
	buf_init(&o->reason, 128 * 1024);
	buf_init(&o->what, 128 * 1024);
	o->kept = xcalloc(OUTCOME_KEPT, sizeof(*o->kept));
	for (size_t i = 0; i < OUTCOME_KEPT; i++) {
		buf_init(&o->kept[i].tag, 200);
		buf_init(&o->kept[i].text, OUTCOME_TEXT);
	}
}

void
outcome_free(struct outcome *o)
{
	event_writer_free(o->writer);
	buf_free(&o->lines);
	buf_free(&o->raw);
	buf_free(&o->reason);
	buf_free(&o->what);
	for (size_t i = 0; o->kept != NULL && i < OUTCOME_KEPT; i++) {
		buf_free(&o->kept[i].tag);
		buf_free(&o->kept[i].text);
	}
	free(o->kept);
}

/* ---- the event ---- */

/* What all events have of the message and of the line. */
static void
begin_event(struct event *ev, enum event_type type, const struct index_message *msg,
    const struct maillog_line *m, int64_t at_us)
{
	int64_t since_ms = at_us / 1000 - msg->received_s * 1000;

	*ev = msg->facts;
	ev->header_message_id = ev->envid = (struct slice){ 0 };
	ev->type = type;
	ev->timestamp = at_us / 1000000;
	ev->num_retries = msg->tries;
	ev->queue_time_ms = m->delay_ms >= 0 ? m->delay_ms : since_ms > 0 ? since_ms : 0;
	/* The last hop's delay is only a part of it. */
	if (!slice_eq(msg->under, msg->facts.queue_id) && since_ms > ev->queue_time_ms)
		ev->queue_time_ms = since_ms;
	ev->ip_address = m->ip;
	if (m->via == MAILLOG_REMOTE && m->kind == MAILLOG_ATTEMPT)
		ev->delv_method = slice_str(m->method);
}

static int
end_event(struct outcome *o, struct event *ev, const struct maillog_line *m, struct err *e)
{
	char second[24];
	int n = snprintf(second, sizeof(second), "%lld ", (long long)ev->timestamp);

	buf_clear(&o->what);
	buf_add(&o->what, (struct slice){ second, (size_t)n });
	buf_add(&o->what, m->text);
	ev->event_id = event_id_for(ev->type, ev->message_id, buf_slice(&o->what));
	/* A reception event that just fitted may not with a reply: its metadata goes first. */
	if (event_write(o->writer, ev, &o->lines, NULL) < 0) {
		ev->rcpt_meta = ev->rcpt_tags = (struct slice){ 0 };
		if (event_write(o->writer, ev, &o->lines, e) < 0) {
			o->counts.unwritable++;
			return 0;
		}
	}
	o->n_lines++;
	return 0;
}

/*
 * What is said about a failure: the remote host's words as they are; our MTA's
 * own in SparkPost's form for such, "451 4.4.1 [internal] connect to ...".
 */
static void
print_reply(const struct reply *r, struct slice text, bool final, struct buf *out)
{
	if (r->code != 0) {
		buf_add(out, r->raw);
		return;
	}
	buf_adds(out, final ? "554 " : "451 ");
	if (r->status.class == 0)
		buf_adds(out, final ? "5.0.0" : "4.0.0");
	else
		reply_status_print(&r->status, out);
	buf_adds(out, " [internal] ");
	buf_add(out, text);
}

/* Reply and class of a failure; the status that the MTA logged counts where the text has none. */
static void
judge(const struct outcome *o, struct slice text, struct slice dsn, struct reply *r,
    struct classification *v)
{
	reply_parse(text, r);
	if (r->status.class == 0)
		reply_status_parse(dsn, &r->status);
	classify(o->rules, r, v);
}

static void
set_reason(struct outcome *o, struct event *ev, const char code[4], unsigned bounce_class)
{
	buf_clear(&o->reason);
	reply_mask(buf_slice(&o->raw), &o->reason);
	ev->reason = buf_slice(&o->reason);
	ev->raw_reason = o->mask || ev->rcpt_hash.len > 0 ? ev->reason : buf_slice(&o->raw);
	ev->error_code = slice_str(code);
	ev->bounce_class = bounce_class;
}

static int
failure_event(struct outcome *o, enum event_type type, const struct index_message *msg,
    const struct maillog_line *m, int64_t at_us, struct err *e)
{
	bool final = type == EVENT_INBAND;
	struct classification v;
	struct event ev;
	struct reply r;
	char code[4];

	judge(o, m->reply, m->dsn, &r, &v);
	buf_clear(&o->raw);
	print_reply(&r, m->reply, final, &o->raw);
	begin_event(&ev, type, msg, m, at_us);
	if (ev.ip_address.len == 0)
		ev.ip_address = r.address;
	snprintf(code, sizeof(code), "%u", (r.code != 0 ? r.code : final ? 554 : 451) % 1000);
	set_reason(o, &ev, code, v.bounce_class);
	return end_event(o, &ev, m, e);
}

/* The queue gave up: what the last attempt heard says why. */
static int
expiry_event(struct outcome *o, const struct index_message *msg, const struct maillog_line *m,
    int64_t at_us, struct err *e)
{
	struct slice reply = msg->last_reply, dsn = slice_cut(&reply, '\n');
	struct classification v = { .bounce_class = 24 };
	struct event ev;
	struct reply r;

	buf_clear(&o->raw);
	buf_adds(&o->raw, "554 5.4.7 [internal] message timeout");
	if (reply.len > 0) {
		judge(o, reply, dsn, &r, &v);
		classify_expired(&v);
		buf_adds(&o->raw, " (last transfail: ");
		print_reply(&r, reply, false, &o->raw);
		buf_addc(&o->raw, ')');
	}
	begin_event(&ev, EVENT_INBAND, msg, m, at_us);
	set_reason(o, &ev, "554", v.bounce_class);
	return end_event(o, &ev, m, e);
}

/* ---- what a line means for a recipient ---- */

static int
deferred(struct outcome *o, const struct index_message *msg, const struct maillog_line *m,
    int64_t at_us, struct err *e)
{
	int64_t line = (int64_t)hash_fnv1a(m->text), apart = at_us - msg->last_us;

	if (line == msg->last_line && apart <= REPEAT_US && apart >= -REPEAT_US) {
		o->counts.repeats++;
		return 0;
	}
	if (failure_event(o, EVENT_TEMPFAIL, msg, m, at_us, e) < 0)
		return -1;
	o->counts.delays++;
	buf_clear(&o->what);
	buf_add(&o->what, m->dsn);
	buf_addc(&o->what, '\n');
	buf_add(&o->what, m->reply);
	return index_failed(o->ix, msg, at_us, line, buf_slice(&o->what), e);
}

static uint64_t *
recent_slot(struct outcome *o, uint64_t id)
{
	return &o->recent[(id ^ id >> 32) % OUTCOME_RECENT];
}

static void
keep_line(struct outcome *o, const struct maillog_line *m, int64_t at_us)
{
	struct outcome_kept *k = &o->kept[o->next_kept];

	if (o->only != INDEX_FIRST || m->mta != MAILLOG_POSTFIX || m->text.len > OUTCOME_TEXT ||
	    m->tag.len > k->tag.max)
		return;
	o->kept_ids[o->next_kept] = hash_fnv1a(m->queue_id);
	k->at_us = at_us;
	buf_clear(&k->tag);
	buf_add(&k->tag, m->tag);
	buf_clear(&k->text);
	buf_add(&k->text, m->text);
	o->next_kept = (o->next_kept + 1) % OUTCOME_KEPT;
}

/*
 * The next hop's lines may have come before that which says that it is the next hop: they are
 * read again for this message, and for no other that waits under the same id.
 */
static int
replay(struct outcome *o, int64_t message, int64_t received_s, struct slice queue_id, struct err *e)
{
	int64_t since_us = (received_s - AHEAD_S) * 1000000;
	uint64_t id = hash_fnv1a(queue_id);
	struct outcome_counts counts;
	int rc = 1;

	o->only = message;
	for (size_t n = 0; n < OUTCOME_KEPT && rc > 0; n++) {
		size_t i = (o->next_kept + n) % OUTCOME_KEPT;
		struct maillog_line m;

		if (o->kept_ids[i] != id || o->kept[i].at_us < since_us)
			continue;
		maillog_parse_text(
		    buf_slice(&o->kept[i].tag), buf_slice(&o->kept[i].text), MAILLOG_POSTFIX, &m);
		counts = o->counts;
		rc = outcome_line(o, &m, o->kept[i].at_us, true, e);
		o->counts.strangers = counts.strangers;
	}
	o->only = INDEX_FIRST;
	return rc < 0 ? -1 : 0;
}

/* Does it go on under a queue id that is logged here? 1: it waits under that one now; 0; -1. */
static int
goes_on(
    struct outcome *o, const struct index_message *msg, const struct maillog_line *m, struct err *e)
{
	uint64_t id = hash_fnv1a(m->other_id);

	if (m->other_id.len == 0 || slice_eq(m->other_id, m->queue_id) ||
	    *recent_slot(o, id) != id || o->only != INDEX_FIRST)
		return 0;
	if (index_move(o->ix, msg, m->other_id, e) < 0 ||
	    replay(o, msg->id, msg->received_s, m->other_id, e) < 0)
		return -1;
	return 1;
}

static int
sent(struct outcome *o, const struct index_message *msg, const struct maillog_line *m,
    int64_t at_us, struct err *e)
{
	struct event ev;
	int rc = goes_on(o, msg, m, e);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (m->via == MAILLOG_REMOTE) {
		begin_event(&ev, EVENT_DELIVERY, msg, m, at_us);
		if (end_event(o, &ev, m, e) < 0)
			return -1;
		o->counts.deliveries++;
	} else {
		o->counts.local++;
	}
	return index_settle(o->ix, msg, e);
}

static int
attempt(struct outcome *o, const struct index_message *msg, const struct maillog_line *m,
    int64_t at_us, struct err *e)
{
	switch (m->status) {
	case MAILLOG_SENT:
		return sent(o, msg, m, at_us, e);
	case MAILLOG_DEFERRED:
		return deferred(o, msg, m, at_us, e);
	case MAILLOG_BOUNCED:
		if (failure_event(o, EVENT_INBAND, msg, m, at_us, e) < 0)
			return -1;
		o->counts.bounces++;
		return index_settle(o->ix, msg, e);
	}
	return 0;
}

static int
find(struct outcome *o, const struct maillog_line *m, struct slice rcpt, int64_t at_us,
    int64_t after, struct index_message *msg, struct err *e)
{
	int64_t until_s = at_us / 1000000 + AHEAD_S;
	int rc = index_find(o->ix, m->queue_id, rcpt, after, until_s, msg, e);

	/* Behind an alias sendmail names the new recipient first, the one that we know in ctladdr=.
	 */
	if (rc == 0 && m->mta == MAILLOG_SENDMAIL && m->orig_to.len > 0)
		rc = index_find(o->ix, m->queue_id, m->orig_to, after, until_s, msg, e);
	return rc;
}

/* It waits under another queue id than that of its reception. */
static bool
moved(const struct index_message *msg)
{
	return !slice_eq(msg->under, msg->facts.queue_id);
}

/* The first of those whom it is about. 0: not all of them may be known yet, or there is none. */
static int
find_first(struct outcome *o, const struct maillog_line *m, struct slice rcpt, int64_t at_us,
    bool last_chance, struct index_message *msg, struct err *e)
{
	int rc = find(o, m, rcpt, at_us, INDEX_FIRST, msg, e);

	if (last_chance || rc <= 0 || !moved(msg))
		return rc;
	while (rc > 0 && moved(msg))
		rc = find(o, m, rcpt, at_us, msg->id, msg, e);
	return rc <= 0 ? rc : find(o, m, rcpt, at_us, INDEX_FIRST, msg, e);
}

/*
 * Who has come here under another queue id, and who was received under this one: a
 * filter that gives the message back to the milter makes two of one.
 */
static int
to_each(struct outcome *o, struct index_message *msg, const struct maillog_line *m,
    struct slice rcpt, int64_t at_us, struct err *e)
{
	int64_t id = msg->id;
	int rc = 1;

	for (bool on = true; on && rc > 0;) {
		on = moved(msg);
		if ((o->only == INDEX_FIRST || o->only == id) && attempt(o, msg, m, at_us, e) < 0)
			return -1;
		if (on) {
			rc = find(o, m, rcpt, at_us, id, msg, e);
			id = msg->id;
		}
	}
	return rc < 0 ? -1 : 0;
}

static int
attempts(
    struct outcome *o, const struct maillog_line *m, int64_t at_us, bool last_chance, struct err *e)
{
	struct index_message msg;
	struct slice rcpt;
	size_t at = 0;
	int rc;

	/* A line for several recipients is taken for all of them or for none. */
	if (!last_chance && m->mta == MAILLOG_SENDMAIL) {
		while (maillog_rcpt(m, &at, &rcpt)) {
			rc = find(o, m, rcpt, at_us, INDEX_FIRST, &msg, e);
			if (rc <= 0)
				return rc;
		}
		at = 0;
	}
	while (maillog_rcpt(m, &at, &rcpt)) {
		rc = find_first(o, m, rcpt, at_us, last_chance, &msg, e);
		if (rc == 0 && !last_chance)
			return 0;
		if (rc == 0)
			o->counts.strangers++;
		if (rc < 0 || (rc > 0 && to_each(o, &msg, m, rcpt, at_us, e) < 0))
			return -1;
	}
	return 1;
}

/* ---- what it means for all who wait under the queue id ---- */

static int
all(struct outcome *o, const struct maillog_line *m, struct slice queue_id, int64_t at_us,
    int64_t until_s,
    int (*act)(struct outcome *o, const struct index_message *msg, const struct maillog_line *m,
	int64_t at_us, struct err *e),
    struct err *e)
{
	struct index_message msg = { .id = INDEX_FIRST };
	int n = 0, rc;

	while (
	    (rc = index_find(o->ix, queue_id, (struct slice){ 0 }, msg.id, until_s, &msg, e)) > 0) {
		int64_t id = msg.id;

		if ((o->only == INDEX_FIRST || o->only == id) && act(o, &msg, m, at_us, e) < 0)
			return -1;
		n = 1;
	}
	return rc < 0 ? -1 : n;
}

static int
expire(struct outcome *o, const struct index_message *msg, const struct maillog_line *m,
    int64_t at_us, struct err *e)
{
	if (expiry_event(o, msg, m, at_us, e) < 0)
		return -1;
	o->counts.bounces++;
	return index_settle(o->ix, msg, e);
}

/* postsuper -d */
static int
deleted(struct outcome *o, const struct index_message *msg, const struct maillog_line *m,
    int64_t at_us, struct err *e)
{
	struct event ev;

	buf_clear(&o->raw);
	buf_adds(&o->raw, "554 5.7.0 [internal] deleted from the queue by the administrator");
	begin_event(&ev, EVENT_INBAND, msg, m, at_us);
	set_reason(o, &ev, "554", CLASS_ADMIN);
	if (end_event(o, &ev, m, e) < 0)
		return -1;
	o->counts.bounces++;
	return index_settle(o->ix, msg, e);
}

static int
requeue(struct outcome *o, const struct index_message *msg, const struct maillog_line *m,
    int64_t at_us, struct err *e)
{
	(void)at_us;
	return index_move(o->ix, msg, m->queue_id, e);
}

static int
refuse(struct outcome *o, const struct index_message *msg, const struct maillog_line *m,
    int64_t at_us, struct err *e)
{
	(void)m, (void)at_us;
	o->counts.refused++;
	return index_settle(o->ix, msg, e);
}

static int
lose(struct outcome *o, const struct index_message *msg, const struct maillog_line *m,
    int64_t at_us, struct err *e)
{
	(void)m;
	o->counts.unknown++;
	return index_give_up(o->ix, msg, at_us / 1000000, e);
}

/*
 * Whoever waits under this id since long before has lost its lines. Postfix says
 * twice that a queue id begins, smtpd first; cleanup alone for its own mail.
 */
static int
begins(struct outcome *o, const struct maillog_line *m, int64_t at_us, struct err *e)
{
	uint64_t id = hash_fnv1a(m->queue_id), *seen = &o->starts[id % OUTCOME_STARTS];
	bool again = *seen == id && slice_eq(m->service, SLICE_LIT("cleanup"));

	*seen = again ? 0 : id;
	*recent_slot(o, id) = id;
	/* Those who have just come here from another id have not lost anything. */
	return again || m->other_id.len > 0
	           ? 0
	           : all(o, m, m->queue_id, at_us, at_us / 1000000 - START_S, lose, e);
}

static int
take(
    struct outcome *o, const struct maillog_line *m, int64_t at_us, bool last_chance, struct err *e)
{
	int64_t at_s = at_us / 1000000;
	int rc = 1;

	switch (m->kind) {
	case MAILLOG_ATTEMPT:
		return attempts(o, m, at_us, last_chance, e);
	case MAILLOG_EXPIRED:
		rc = all(o, m, m->queue_id, at_us, at_s + AHEAD_S, expire, e);
		return rc == 0 ? last_chance : rc;
	case MAILLOG_DELETED:
		rc = all(o, m, m->queue_id, at_us, at_s + AHEAD_S, deleted, e);
		return rc == 0 ? last_chance : rc;
	case MAILLOG_REFUSED:
		rc = all(o, m, m->queue_id, at_us, at_s + AHEAD_S, refuse, e);
		return rc == 0 ? last_chance : rc;
	case MAILLOG_START:
		if (m->other_id.len > 0) {
			rc = all(o, m, m->other_id, at_us, at_s + AHEAD_S, requeue, e);
			if (rc < 0 || (rc == 0 && !last_chance))
				return rc;
		}
		return begins(o, m, at_us, e) < 0 ? -1 : 1;
	case MAILLOG_REMOVED:
		/* Not lost at once: a logger with threads may turn lines round. */
		return index_freed(o->ix, m->queue_id, at_s + AHEAD_S, at_s, e) < 0 ? -1 : 1;
	case MAILLOG_DROPPED:
		o->counts.dropped += m->lost > 0 ? m->lost : 1;
		break;
	case MAILLOG_AUTH_FAILURE: /* auth_watch.h's */
	case MAILLOG_OTHER:
	case MAILLOG_KINDS:
		break;
	}
	return 1;
}

int
outcome_line(
    struct outcome *o, const struct maillog_line *m, int64_t at_us, bool last_chance, struct err *e)
{
	int rc = take(o, m, at_us, last_chance, e);

	if (rc > 0 && (m->kind == MAILLOG_ATTEMPT || m->kind == MAILLOG_EXPIRED ||
			  m->kind == MAILLOG_DELETED || m->kind == MAILLOG_REMOVED))
		keep_line(o, m, at_us);
	return rc;
}

int
outcome_overdue(
    struct outcome *o, int64_t received_s, int64_t freed_s, int64_t now_s, int max, struct err *e)
{
	struct index_message msg;
	int n = 0, rc = 0;

	while (n < max && (rc = index_overdue(o->ix, received_s, freed_s, &msg, e)) > 0) {
		if (index_give_up(o->ix, &msg, now_s, e) < 0)
			return -1;
		o->counts.unknown++;
		n++;
	}
	return rc < 0 ? -1 : n;
}
