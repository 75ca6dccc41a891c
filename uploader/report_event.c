#include "uploader/report_event.h"

#include <stdio.h>

#include "common/address.h"
#include "common/arf.h"
#include "common/hash.h"
#include "common/report_class.h"

#define NO_MESSAGE "ffff" /* in place of the "0000" of all message ids */

void
report_events_init(struct report_events *re, const struct conf *conf, struct correlate *correlate,
    const struct classifier *rules)
{
	*re = (struct report_events){ .conf = conf, .correlate = correlate, .rules = rules };
	buf_init(&re->lines, BUF_NO_LIMIT);
	buf_init(&re->rcpt, 8192);
	buf_init(&re->domain, 8192);
	buf_init(&re->final, 8192);
	buf_init(&re->raw, 16 * 1024);
	buf_init(&re->reason, 64 * 1024);
	buf_init(&re->what, 64 * 1024);
	buf_init(&re->dkim, 1024);
	buf_init(&re->by, 1024);
}

void
report_events_free(struct report_events *re)
{
	buf_free(&re->lines);
	buf_free(&re->rcpt);
	buf_free(&re->domain);
	buf_free(&re->final);
	buf_free(&re->raw);
	buf_free(&re->reason);
	buf_free(&re->what);
	buf_free(&re->dkim);
	buf_free(&re->by);
}

/* ---- the parts of an event ---- */

struct parts { /* must live until it is written */
	char hash[2 * HASH_SHA1_SIZE + 1], no_message[IDS_SIZE], code[8];
};

/* The same file and recipient get the same one, and no message has it. */
static void
no_message_id(const struct report_facts *f, struct slice rcpt, struct buf *what, char out[IDS_SIZE])
{
	struct message_id id = { .time = (uint32_t)f->env->received_s };

	buf_clear(what);
	buf_printf(what, "%s ", f->file);
	buf_add(what, rcpt);
	id.serial = (uint32_t)hash_id63(buf_slice(what));
	ids_text(id, out);
	memcpy(out, NO_MESSAGE, sizeof(NO_MESSAGE) - 1);
}

/* privacy-policy sha1: the address itself stays here. */
static void
set_rcpt(struct report_events *re, struct slice rcpt, struct parts *p, struct event *ev)
{
	unsigned char md[HASH_SHA1_SIZE];

	buf_clear(&re->rcpt);
	buf_clear(&re->domain);
	buf_add_lower(&re->rcpt, rcpt);
	buf_add_lower(&re->domain, address_split(rcpt).domain);
	ev->routing_domain = buf_slice(&re->domain);
	if (!re->conf->signals.privacy_sha1) {
		ev->rcpt_to = buf_slice(&re->rcpt);
		ev->raw_rcpt_to = rcpt;
	} else if (re->domain.len > 0) {
		hash_sha1(buf_slice(&re->rcpt), md);
		ev->rcpt_hash = slice_str(hash_hex(md, sizeof(md), p->hash));
		ev->rcpt_domain = buf_slice(&re->domain);
	}
}

static bool
hidden(const struct report_events *re, const struct event *ev)
{
	return re->conf->signals.privacy_sha1 || ev->rcpt_hash.len > 0;
}

/* What the index knows of the message and is worth repeating with a report. */
static void
set_message(const struct correlated *c, struct event *ev)
{
	const struct event *facts = &c->message.facts;

	ev->custom_message_id = facts->custom_message_id;
	ev->msg_from = facts->msg_from;
	ev->friendly_from = facts->friendly_from;
	ev->subject = facts->subject;
	ev->campaign_id = facts->campaign_id;
	ev->binding = facts->binding;
	ev->binding_group = facts->binding_group;
	ev->sending_ip = facts->sending_ip;
	ev->subaccount_id = facts->subaccount_id > 0 ? facts->subaccount_id : 0;
	if (c->whole_message)
		return;
	ev->rcpt_to = facts->rcpt_to;
	ev->raw_rcpt_to = facts->raw_rcpt_to;
	ev->rcpt_hash = facts->rcpt_hash;
	ev->rcpt_domain = facts->rcpt_domain;
	ev->routing_domain = facts->routing_domain;
}

/* Whom the report names beside rcpt_to: where it was forwarded to. */
static void
set_final(struct report_events *re, const struct report_rcpt *rcpt, struct event *ev)
{
	struct slice others[] = { rcpt->final, rcpt->rcpt };

	for (size_t i = 0; i < COUNT(others) && ev->final_rcpt.len == 0; i++)
		if (others[i].len > 0 && !slice_eqi(others[i], ev->rcpt_to) && !hidden(re, ev))
			ev->final_rcpt = others[i];
}

static void
set_dkim(struct report_events *re, const struct report_auth_verdict *v, struct event *ev)
{
	if (v == NULL)
		return;
	buf_clear(&re->dkim);
	buf_adds(&re->dkim, report_auth_name(v->result));
	if (v->domain[0] != '\0')
		buf_printf(&re->dkim, " d=%s", v->domain);
	if (v->result == REPORT_AUTH_PASS)
		buf_adds(&re->dkim, v->aligned ? " aligned" : " unaligned");
	else if (v->why[0] != '\0')
		buf_printf(&re->dkim, " (%s)", v->why);
	ev->report_dkim = buf_slice(&re->dkim);
}

/* Who reports: the host that it names, else the domain that it is from. */
static void
set_reporter(struct report_events *re, const struct report_facts *f, struct event *ev)
{
	struct slice by = f->report->reporting_mta;
	size_t type = slice_find(by, ';');

	if (type < by.len) /* "dns; mx.example" */
		by = slice_trim(slice_skip(by, type + 1));
	if (by.len == 0)
		by = address_split(f->report->sender).domain;
	buf_clear(&re->by);
	buf_add_lower(&re->by, by);
	ev->report_by = buf_slice(&re->by);
	/* It may be a return path that says who the recipient is. */
	if (!hidden(re, ev))
		ev->report_to = f->env->rcpts[0].address;
}

/* What all events of a report have. */
static void
begin_event(struct report_events *re, const struct report_facts *f, enum event_type type,
    const struct report_rcpt *rcpt, const struct correlated *c, struct parts *p, struct event *ev)
{
	event_init(ev, type);
	ev->timestamp = f->env->received_s;
	ev->recv_method = ev->delv_method = SLICE_LIT("smtp");
	if (c->known)
		set_message(c, ev);
	if (ev->rcpt_to.len == 0 && ev->rcpt_hash.len == 0 && rcpt->rcpt.len > 0)
		set_rcpt(re, rcpt->rcpt, p, ev);
	set_final(re, rcpt, ev);
	if (c->id[0] != '\0' && !c->whole_message) {
		ev->message_id = slice_str(c->id);
	} else {
		no_message_id(f, rcpt->rcpt, &re->what, p->no_message);
		ev->message_id = slice_str(p->no_message);
	}
	ev->matched_by = slice_str(correlate_name(c->by));
	ev->authenticated = c->authenticated ? EVENT_TRUE : EVENT_FALSE;
	ev->likely_message_id = slice_str(c->likely);
	set_dkim(re, f->auth, ev);
	set_reporter(re, f, ev);
}

/* The class comes of the report's kind, or of what it says of the recipient. */
static void
set_reason(struct report_events *re, const struct report_facts *f, const struct report_rcpt *rcpt,
    unsigned bounce_class, struct parts *p, struct event *ev)
{
	struct classification v;

	buf_clear(&re->raw);
	buf_clear(&re->reason);
	buf_add(&re->raw, bounce_class != 0 ? f->report->subject : rcpt->diagnostic);
	if (re->raw.len == 0)
		buf_add(&re->raw, rcpt->status);
	reply_mask(buf_slice(&re->raw), &re->reason);
	ev->reason = buf_slice(&re->reason);
	ev->raw_reason = hidden(re, ev) ? ev->reason : buf_slice(&re->raw);
	if (rcpt->code != 0) {
		snprintf(p->code, sizeof(p->code), "%u", rcpt->code % 1000);
		ev->error_code = slice_str(p->code);
	}
	if (bounce_class == 0) {
		report_class(re->rules, f->report, rcpt, &v);
		bounce_class = v.bounce_class;
	}
	ev->bounce_class = bounce_class;
}

static void
set_feedback(const struct report *r, struct event *ev)
{
	ev->fbtype = r->feedback_type.len > 0 ? r->feedback_type : SLICE_LIT("abuse");
	ev->user_agent = r->user_agent;
}

static int
end_event(struct report_events *re, const struct report_facts *f, const struct report_rcpt *rcpt,
    struct event *ev, struct report_result *out, struct err *e)
{
	buf_clear(&re->what);
	buf_adds(&re->what, re->conf->node_name);
	buf_addc(&re->what, '\n');
	buf_add(&re->what, rcpt->rcpt);
	buf_addc(&re->what, '\n');
	buf_add(&re->what, rcpt->final);
	ev->event_id = event_id_for(ev->type, slice_str(f->file), buf_slice(&re->what));
	if (event_json(ev, &re->lines, NULL) < 0) {
		out->unwritable = true;
		return 0;
	}
	re->n_lines++;
	out->events++;
	return re->lines.len > REPORT_EVENTS_MAX ? re->flush(re->arg, e) : 0;
}

/* ---- kinds ---- */

static const struct {
	enum event_type type;  /* EVENT_TYPES: none */
	unsigned bounce_class; /* 0: of the reason */
	bool of_sender;        /* the recipient is who sent the mail */
} kinds[] = {
	[REPORT_ORDINARY] = { EVENT_TYPES, 0, false },
	[REPORT_BOUNCE] = { EVENT_OUTOFBAND, 0, false },
	[REPORT_SUCCESS] = { EVENT_TYPES, 0, false },
	[REPORT_FEEDBACK] = { EVENT_FEEDBACK, 0, false },
	[REPORT_AUTH_FAILURE] = { EVENT_TYPES, 0, false },
	[REPORT_AUTO_REPLY] = { EVENT_OUTOFBAND, 60, true },
	[REPORT_CHALLENGE] = { EVENT_OUTOFBAND, 100, true },
	[REPORT_SUBSCRIBE] = { EVENT_OUTOFBAND, 80, true },
	[REPORT_UNSUBSCRIBE] = { EVENT_LIST, 0, true },
};

/* RFC 5965 and the registry of its types: what a reader's complaint is, and what not. */
static enum event_type
type_of(const struct report *r)
{
	if (r->kind != REPORT_FEEDBACK)
		return kinds[r->kind].type;
	if (slice_eqi(r->feedback_type, SLICE_LIT("not-spam")))
		return EVENT_TYPES;
	if (slice_startsi(r->feedback_type, SLICE_LIT("opt-out")))
		return EVENT_LIST;
	return EVENT_FEEDBACK;
}

static bool
makes_event(const struct report *r, const struct report_rcpt *rcpt)
{
	return r->kind != REPORT_BOUNCE || rcpt->action == DSN_FAILED ||
	       rcpt->action == DSN_ACTION_NONE;
}

static int
add_event(struct report_events *re, const struct report_facts *f, enum event_type type,
    const struct report_rcpt *rcpt, const struct correlated *c, struct report_result *out,
    struct err *e)
{
	unsigned bounce_class = kinds[f->report->kind].bounce_class;
	struct parts p;
	struct event ev;

	begin_event(re, f, type, rcpt, c, &p, &ev);
	if (type == EVENT_OUTOFBAND) {
		/* Generic Bounce: No RCPT */
		if (f->report->kind == REPORT_BOUNCE && rcpt->rcpt.len == 0 && !c->authenticated &&
		    !c->known)
			bounce_class = 30;
		set_reason(re, f, rcpt, bounce_class, &p, &ev);
	} else if (type == EVENT_FEEDBACK) {
		set_feedback(f->report, &ev);
	} else {
		ev.mailfrom = hidden(re, &ev) ? (struct slice){ 0 } : f->env->from;
	}
	return end_event(re, f, rcpt, &ev, out, e);
}

/* ---- a report ---- */

/* Its recipients; one that stands for all if it names none. */
static size_t
recipients(const struct report *r, struct report_rcpt *one, const struct report_rcpt **out)
{
	*one = (struct report_rcpt){ .action = DSN_FAILED };
	if (kinds[r->kind].of_sender)
		one->rcpt = r->sender;
	else if (r->n_rcpts > 0) {
		*out = r->rcpts;
		return r->n_rcpts;
	}
	*out = one;
	return 1;
}

static bool
must_be_authenticated(const struct report_events *re, const struct inbound_envelope *env)
{
	for (size_t i = 0; i < env->n_rcpts; i++) {
		const struct conf_processor *p =
		    env->rcpts[i].list == INBOUND_BOUNCE ? &re->conf->bounce : &re->conf->feedback;

		if (p->require_authenticated)
			return true;
	}
	return false;
}

static int
add_events(struct report_events *re, const struct report_facts *f, enum event_type type,
    const struct report_rcpt *rcpts, size_t n, bool last_chance, struct report_result *out,
    struct err *e)
{
	bool first = true;
	unsigned made = 0;

	for (size_t i = 0; i < n; i++) {
		struct report_rcpt rcpt = rcpts[i];
		struct correlated c;

		/* A seal says for how many the message was: a report on it can't be about more. */
		if (!makes_event(f->report, &rcpt) ||
		    (re->correlate->sealed && made == re->correlate->count)) {
			out->silent++;
			continue;
		}
		made++;
		/* "redacted@provider.example" is nobody. */
		if (f->report->kind == REPORT_FEEDBACK && arf_is_redacted(rcpt.rcpt))
			rcpt.rcpt = rcpt.final = (struct slice){ 0 };
		if (correlate_rcpt(re->correlate, rcpt.rcpt, &c, e) < 0)
			return -1;
		/* What the index knows of the first it knows of all. */
		if (first && !last_chance && !c.known)
			return 0;
		first = false;
		if (c.by > out->by)
			out->by = c.by;
		if (add_event(re, f, type, &rcpt, &c, out, e) < 0)
			return -1;
		out->unreadable =
		    f->report->kind == REPORT_BOUNCE && rcpt.rcpt.len == 0 && c.id[0] == '\0';
	}
	return 1;
}

int
report_events_make(struct report_events *re, const struct report_facts *f, bool last_chance,
    struct report_result *out, struct err *e)
{
	const struct report *r = f->report;
	enum event_type type = type_of(r);
	const struct report_rcpt *rcpts;
	struct report_rcpt one;
	size_t n;

	*out = (struct report_result){ .recognised = r->kind != REPORT_ORDINARY };
	if (!out->recognised)
		return 1;
	correlate_begin(re->correlate, r, f->env);
	if (must_be_authenticated(re, f->env) && !re->correlate->sealed &&
	    (f->auth == NULL || !report_auth_good(f->auth))) {
		out->refused = true;
		return 1;
	}
	n = recipients(r, &one, &rcpts);
	if (type == EVENT_TYPES) {
		out->silent = (unsigned)r->n_rcpts;
		return 1;
	}
	return add_events(re, f, type, rcpts, n, last_chance, out, e);
}
