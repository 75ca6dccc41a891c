/*
 * explain_log.c - `signalpost explain log FILE...`: what the lines of an MTA's log
 * mean to us. A JSON line for each recipient of an attempt, and for each line that
 * says something else about a message; other lines are passed over.
 *
 *	{"time": "2026-11-22T06:25:58.000Z", "program": "postfix/smtp", "queue_id": "0F0A2A7E926",
 *	 "kind": "attempt", "event": "inband", "rcpt_to": "a@example.net", "relay":
 *"mx.example.net", "ip_address": "192.0.2.1", "dsn": "5.1.1", "queue_time": "1200", "raw_reason":
 *"550 ...", "reason": "550 ...", "error_code": "550", "bounce_class": "10", "class_name": "Invalid
 *Recipient", "category": "bad-mailbox", "rule": "user-unknown"}
 *
 * Whose messages they are is not asked. What a line does not have is left out.
 * "-" is standard input.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

#include "common/classify.h"
#include "common/clock.h"
#include "common/maillog.h"
#include "common/reply.h"
#include "ctl/explain.h"
#include "ctl/json_out.h"

static const char *const kind_name[] = {
	[MAILLOG_OTHER] = "other",
	[MAILLOG_START] = "start",
	[MAILLOG_ATTEMPT] = "attempt",
	[MAILLOG_EXPIRED] = "expired",
	[MAILLOG_REFUSED] = "refused",
	[MAILLOG_REMOVED] = "removed",
	[MAILLOG_DELETED] = "deleted",
	[MAILLOG_DROPPED] = "dropped",
	[MAILLOG_AUTH_FAILURE] = "auth-failure",
};
_Static_assert(COUNT(kind_name) == MAILLOG_KINDS, "name every kind");

struct context {
	const struct classifier *rules;
	enum maillog_mta mta;
	struct maillog_clock clock;
	int64_t now_s; /* in whose light stamps without a year are read */
	uint64_t lines, formless;
};

/* What an attempt becomes; NULL: nothing, since it was no remote delivery. */
static const char *
event_of(const struct maillog_line *m)
{
	switch (m->status) {
	case MAILLOG_SENT:
		return m->via == MAILLOG_REMOTE ? "delivery" : NULL;
	case MAILLOG_DEFERRED:
		return "tempfail";
	case MAILLOG_BOUNCED:
		return "inband";
	}
	return NULL;
}

static void
put_failure(struct json_object *o, const struct context *c, const struct maillog_line *m)
{
	struct classification v;
	struct reply r;
	struct buf reason;

	reply_parse(m->reply, &r);
	if (r.status.class == 0)
		reply_status_parse(m->dsn, &r.status);
	classify(c->rules, &r, &v);
	buf_init(&reason, BUF_NO_LIMIT);
	reply_mask(r.raw, &reason);
	json_out_given(o, "raw_reason", r.raw);
	json_out_given(o, "reason", buf_slice(&reason));
	buf_free(&reason);
	if (r.code != 0)
		json_out_numeral(o, "error_code", r.code);
	json_out_numeral(o, "bounce_class", v.bounce_class);
	json_out_given(o, "class_name", slice_str(v.class_name));
	json_out_given(o, "category", slice_str(v.category));
	json_out_given(o, "rule", slice_str(v.rule));
}

static void
put_attempt(
    struct json_object *o, const struct context *c, const struct maillog_line *m, struct slice rcpt)
{
	json_out_given(o, "event", slice_str(event_of(m)));
	json_out_given(o, "rcpt_to", rcpt);
	json_out_given(o, "relay", m->relay);
	json_out_given(o, "ip_address", m->ip);
	json_out_given(o, "delv_method", slice_str(m->method));
	json_out_given(o, "dsn", m->dsn);
	if (m->delay_ms >= 0)
		json_out_numeral(o, "queue_time", m->delay_ms);
	if (m->status != MAILLOG_SENT)
		put_failure(o, c, m);
}

static void
print_line(struct context *c, const struct maillog_line *m, const char *time, struct slice rcpt)
{
	struct json_object *o = json_object_new_object();

	json_out_given(o, "time", slice_str(time));
	json_out_given(o, "host", m->host);
	json_out_given(o, "program", m->tag);
	json_out_given(o, "queue_id", m->queue_id);
	json_out_given(o, "kind", slice_str(kind_name[m->kind]));
	if (m->kind == MAILLOG_ATTEMPT)
		put_attempt(o, c, m, rcpt);
	else if (m->kind == MAILLOG_EXPIRED)
		json_out_given(o, "event", SLICE_LIT("inband"));
	else if (m->kind == MAILLOG_DROPPED)
		json_out_numeral(o, "lost", (int64_t)m->lost);
	else if (m->kind == MAILLOG_AUTH_FAILURE)
		json_out_given(o, "ip_address", m->ip);
	json_out_print(o);
}

static void
explain_line(struct context *c, struct slice text)
{
	char time[CLOCK_ISO_SIZE] = "";
	struct maillog_line m;
	struct slice rcpt;
	size_t at = 0;
	int64_t us;

	maillog_parse(text, c->mta, &m);
	c->lines += m.text.len > 0;
	c->formless += m.text.len > 0 && m.tag.len == 0;
	if (m.kind == MAILLOG_OTHER)
		return;
	us = maillog_time(&c->clock, m.stamp, c->now_s);
	if (us != MAILLOG_NO_TIME)
		clock_iso(us / 1000, time);
	if (m.kind != MAILLOG_ATTEMPT) {
		print_line(c, &m, time, (struct slice){ 0 });
		return;
	}
	while (maillog_rcpt(&m, &at, &rcpt))
		print_line(c, &m, time, rcpt);
}

static int
explain_file(struct context *c, const struct conf *conf, const char *name)
{
	bool utc = conf != NULL && conf->mail_log.utc;
	FILE *in = strcmp(name, "-") == 0 ? stdin : fopen(name, "r");
	struct stat st;
	char *line = NULL;
	size_t room = 0;
	ssize_t n;
	int rc = EX_OK;

	if (in == NULL) {
		fprintf(stderr, "signalpost explain: %s: %s\n", name, strerror(errno));
		return 1;
	}
	/* An old file's lines are of the year in which it was written. */
	c->now_s = clock_wall_s();
	c->lines = c->formless = 0;
	if (fstat(fileno(in), &st) == 0 && S_ISREG(st.st_mode))
		c->now_s = st.st_mtime;
	maillog_clock_init(&c->clock, utc ? MAILLOG_ZONE_FIXED : MAILLOG_ZONE_LOCAL, 0);
	while ((n = getline(&line, &room, in)) >= 0) {
		if (n > 2 && memcmp(line, "\037\213", 2) == 0) {
			fprintf(stderr,
			    "signalpost explain: %s: gzip'd: zcat %s | signalpost explain log -\n",
			    name, name);
			rc = 1;
			break;
		}
		explain_line(c, slice_trim((struct slice){ line, (size_t)n }));
	}
	if (c->lines > 0 && c->formless == c->lines)
		fprintf(stderr,
		    "signalpost explain: %s: no line has a form that is known: "
		    "\"Nov 22 06:25:58 host postfix/smtp[123]: ...\", RFC 3339, RFC 5424\n",
		    name);
	if (ferror(in)) {
		fprintf(stderr, "signalpost explain: %s: %s\n", name, strerror(errno));
		rc = 1;
	}
	free(line);
	if (in != stdin)
		fclose(in);
	return rc;
}

int
explain_log(const struct conf *conf, int argc, char **argv)
{
	static const enum maillog_mta mta[] = {
		[CONF_MTA_AUTO] = MAILLOG_ANY,
		[CONF_MTA_POSTFIX] = MAILLOG_POSTFIX,
		[CONF_MTA_SENDMAIL] = MAILLOG_SENDMAIL,
	};
	struct context c = { .mta = conf == NULL ? MAILLOG_ANY : mta[conf->mail_log.mta] };
	struct classifier *rules;
	struct err e;
	int rc = EX_OK;

	rules = classify_open(conf, &e);
	if (rules == NULL) {
		fprintf(stderr, "signalpost explain: %s\n", e.text);
		return EX_CONFIG;
	}
	c.rules = rules;
	for (int i = 0; i < argc; i++)
		if (explain_file(&c, conf, argv[i]) != EX_OK)
			rc = 1;
	classify_close(rules);
	return rc;
}
