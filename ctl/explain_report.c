/*
 * explain_report.c - `signalpost explain report FILE...`: what an inbound mail says, one JSON
 * line a file:
 *
 *	{"file": F, "kind": K, "format": F, "events": [
 *	    {"type": "out_of_band" | "spam_complaint" | "list_unsubscribe",
 *	     "rcpt_to", "dsn", "error_code", "bounce_class", "action", "message_id",
 *	     "raw_reason", "reporting_mta", "fbtype", ...}]}
 *
 * What a report does not say is left out. Where <inbound> says from whom DKIM keys come,
 * "dkim": {"result", "domain", "aligned", "why"} is there too. A file of the spool is read
 * behind its envelope.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/classify.h"
#include "common/file.h"
#include "common/inbound.h"
#include "common/report.h"
#include "common/report_auth.h"
#include "common/report_class.h"
#include "ctl/ctl.h"
#include "ctl/explain.h"
#include "ctl/json_out.h"

#define MAIL_MAX ((size_t)100 * 1024 * 1024)

/* What all events of a report have in common. */
static struct json_object *
new_event(const struct report *r, const char *type)
{
	struct json_object *o = json_object_new_object();

	json_out_text(o, "type", slice_str(type));
	json_out_given(o, "message_id", r->message_id);
	json_out_given(o, "signalpost_id", r->signalpost_id);
	json_out_given(o, "envelope_id", r->envelope_id);
	json_out_given(o, "campaign_id", r->job);
	json_out_given(o, "msg_from", r->return_path);
	json_out_given(o, "friendly_from", r->original_from);
	json_out_given(o, "subject", r->original_subject);
	json_out_given(o, "reporting_mta", r->reporting_mta);
	return o;
}

static void
put_bounce(const struct classifier *c, const struct report *r, const struct report_rcpt *rcpt,
    struct json_object *o)
{
	struct classification v;

	json_out_given(o, "rcpt_to", rcpt->rcpt);
	if (!slice_eqi(rcpt->final, rcpt->rcpt))
		json_out_given(o, "final_recipient", rcpt->final);
	json_out_given(o, "dsn", rcpt->status);
	if (rcpt->code != 0)
		json_out_numeral(o, "error_code", rcpt->code);
	json_out_text(o, "action", slice_str(dsn_action_name(rcpt->action)));
	json_out_given(o, "raw_reason", rcpt->diagnostic);
	json_out_given(o, "remote_mta", rcpt->remote_mta);
	report_class(c, r, rcpt, &v);
	if (v.bounce_class != 0) {
		json_out_numeral(o, "bounce_class", v.bounce_class);
		if (v.rule != NULL)
			json_out_text(o, "rule", slice_str(v.rule));
	}
}

static void
put_feedback(const struct report *r, struct json_object *o)
{
	json_out_given(o, "fbtype", r->feedback_type);
	json_out_given(o, "user_agent", r->user_agent);
	json_out_given(o, "source_ip", r->source_ip);
	json_out_given(o, "report_by", r->sender);
	json_out_given(o, "report_to", r->to);
}

static const struct {
	enum report_kind kind;
	const char *type;
	unsigned bounce_class; /* 0: of the reason */
} events[] = {
	{ REPORT_BOUNCE, "out_of_band", 0 },
	{ REPORT_SUCCESS, "out_of_band", 0 },
	{ REPORT_FEEDBACK, "spam_complaint", 0 },
	{ REPORT_AUTH_FAILURE, "auth_failure", 0 },
	{ REPORT_AUTO_REPLY, "out_of_band", 60 },
	{ REPORT_SUBSCRIBE, "out_of_band", 80 },
	{ REPORT_UNSUBSCRIBE, "list_unsubscribe", 90 },
	{ REPORT_CHALLENGE, "out_of_band", 100 },
};

static void
add_events(const struct classifier *c, const struct report *r, size_t row, struct json_object *list)
{
	bool feedback = r->kind == REPORT_FEEDBACK || r->kind == REPORT_AUTH_FAILURE;

	for (size_t i = 0; i < r->n_rcpts; i++) {
		struct json_object *o = new_event(r, events[row].type);

		if (feedback) {
			json_out_given(o, "rcpt_to", r->rcpts[i].rcpt);
			put_feedback(r, o);
		} else {
			put_bounce(c, r, &r->rcpts[i], o);
		}
		json_object_array_add(list, o);
	}
	if (r->n_rcpts == 0 &&
	    r->kind != REPORT_BOUNCE) { /* from whom it comes is all that is known */
		struct json_object *o = new_event(r, events[row].type);

		if (feedback)
			put_feedback(r, o);
		else
			json_out_given(o, "rcpt_to", r->sender);
		if (events[row].bounce_class != 0)
			json_out_numeral(o, "bounce_class", events[row].bounce_class);
		json_object_array_add(list, o);
	}
}

static void
put_dkim(struct report_auth *ra, struct slice mail, struct json_object *line)
{
	struct json_object *o = json_object_new_object();
	struct report_auth_verdict v;

	report_auth_check(ra, mail, &v);
	json_out_text(o, "result", slice_str(report_auth_name(v.result)));
	json_out_given(o, "domain", slice_str(v.domain));
	if (v.domain[0] != '\0')
		json_out_bool(o, "aligned", v.aligned);
	json_out_given(o, "why", slice_str(v.why));
	json_object_object_add(line, "dkim", o);
}

static void
print_report(const struct classifier *c, const char *file, const struct report *r,
    struct report_auth *ra, struct slice mail)
{
	struct json_object *line = json_object_new_object(), *list = json_object_new_array();

	json_out_text(line, "file", slice_str(file));
	json_out_text(line, "kind", slice_str(report_kind_name(r->kind)));
	json_out_text(line, "format", slice_str(r->format));
	if (r->pattern != NULL)
		json_out_text(line, "pattern", slice_str(r->pattern));
	if (ra != NULL)
		put_dkim(ra, mail, line);
	for (size_t i = 0; i < COUNT(events); i++)
		if (events[i].kind == r->kind)
			add_events(c, r, i, list);
	json_object_object_add(line, "events", list);
	json_out_print(line);
}

/* The body-pattern-file of a processor; *out stays NULL if there is none. */
static int
load_patterns(const struct conf_processor *p, struct report_patterns **out, struct err *e)
{
	if (p->body_pattern_file == NULL)
		return 0;
	*out = report_patterns_load(p->body_pattern_file, e);
	return *out == NULL ? -1 : 0;
}

/* Nobody is asked for keys unless the configuration says whom. */
static int
open_auth(const struct conf *conf, struct report_auth **out, struct err *e)
{
	if (conf == NULL || (conf->inbound.dns_resolver == NULL && conf->inbound.dns_file == NULL))
		return 0;
	*out = report_auth_open(conf, e);
	return *out == NULL ? -1 : 0;
}

static void
explain_mail(struct report_reader *rr, const struct classifier *c, struct report_auth *ra,
    const char *file, struct slice bytes)
{
	struct inbound_file captured;
	struct report r;
	bool is_captured = inbound_parse(bytes, &captured, NULL) == 0;
	struct slice mail = is_captured ? captured.mail : bytes;

	report_read(rr, mail, &r);
	print_report(c, file, &r, ra, mail);
	inbound_close(&captured);
}

static int
read_stdin(struct buf *out, struct err *e)
{
	char piece[65536];
	size_t n;

	buf_clear(out);
	while (!out->full && (n = fread(piece, 1, sizeof(piece), stdin)) > 0)
		buf_add(out, (struct slice){ piece, n });
	if (ferror(stdin))
		return err_errno(e, "standard input");
	return out->full ? err_set(e, "standard input: more than %zu bytes", out->max) : 0;
}

static int
explain_files(struct report_reader *rr, const struct classifier *c, struct report_auth *ra,
    int argc, char **argv)
{
	struct buf mail;
	int rc = EX_OK;

	buf_init(&mail, MAIL_MAX);
	for (int i = 0; i < argc; i++) {
		struct err e;

		if ((strcmp(argv[i], "-") == 0 ? read_stdin(&mail, &e)
					       : file_read(AT_FDCWD, argv[i], &mail, &e)) < 0) {
			fprintf(stderr, "signalpost explain: %s\n", e.text);
			rc = 1;
			continue;
		}
		explain_mail(rr, c, ra, argv[i], buf_slice(&mail));
	}
	buf_free(&mail);
	return rc;
}

int
explain_report(const struct conf *conf, int argc, char **argv)
{
	struct report_patterns *bounce = NULL, *feedback = NULL;
	struct report_reader *rr = report_open();
	struct report_auth *ra = NULL;
	struct classifier *c;
	struct err e;
	int rc = EX_CONFIG;

	c = classify_open(conf, &e);
	if (c == NULL || open_auth(conf, &ra, &e) < 0 ||
	    (conf != NULL && (load_patterns(&conf->bounce, &bounce, &e) < 0 ||
				 load_patterns(&conf->feedback, &feedback, &e) < 0))) {
		fprintf(stderr, "signalpost explain: %s\n", e.text);
		goto out;
	}
	report_set_patterns(rr, bounce, feedback);
	rc = explain_files(rr, c, ra, argc, argv);
out:
	report_auth_close(ra);
	report_patterns_free(bounce);
	report_patterns_free(feedback);
	report_close(rr);
	classify_close(c);
	return rc;
}
