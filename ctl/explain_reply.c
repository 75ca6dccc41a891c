/*
 * explain_reply.c - `signalpost explain reply TEXT...`: what an SMTP reply or a
 * DSN's text means to us, one JSON line each:
 *
 *	{"reply": T, "error_code": "550", "dsn": "5.1.1", "bounce_class": "10",
 *	 "class_name": "Invalid Recipient", "category": "bad-mailbox",
 *	 "rule": "user-unknown", "hard": true, "reason": T}
 *
 * Numbers are strings, as in events; a code or status that the text does not have
 * is left out. "-" reads texts from standard input, one a line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "common/classify.h"
#include "common/reply.h"
#include "ctl/explain.h"
#include "ctl/json_out.h"

static void
put_numbers(struct json_object *o, const struct reply *r)
{
	struct buf text;

	buf_init(&text, 64);
	if (r->code != 0)
		json_out_numeral(o, "error_code", r->code);
	reply_status_print(&r->status, &text);
	json_out_given(o, "dsn", buf_slice(&text));
	buf_free(&text);
}

static void
put_class(struct json_object *o, const struct classification *v)
{
	json_out_numeral(o, "bounce_class", v->bounce_class);
	json_out_text(o, "class_name", slice_str(v->class_name));
	json_out_text(o, "category", slice_str(v->category));
	json_out_text(o, "rule", slice_str(v->rule));
	json_out_bool(o, "hard", v->hard);
}

static void
print_reply(const struct classifier *c, struct slice text)
{
	struct json_object *line = json_object_new_object();
	struct classification v;
	struct reply r;
	struct buf reason;

	reply_parse(text, &r);
	classify(c, &r, &v);
	buf_init(&reason, BUF_NO_LIMIT);
	reply_mask(r.raw, &reason);
	json_out_text(line, "reply", text);
	put_numbers(line, &r);
	put_class(line, &v);
	json_out_text(line, "reason", buf_slice(&reason));
	json_out_print(line);
	buf_free(&reason);
}

static int
from_stdin(const struct classifier *c)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t n;
	int rc = EX_OK;

	while ((n = getline(&line, &room, stdin)) >= 0) {
		struct slice text = slice_trim((struct slice){ line, (size_t)n });

		if (text.len > 0)
			print_reply(c, text);
	}
	if (ferror(stdin)) {
		perror("signalpost explain: standard input");
		rc = 1;
	}
	free(line);
	return rc;
}

int
explain_reply(const struct conf *conf, int argc, char **argv)
{
	struct classifier *c;
	struct err e;
	int rc = EX_OK;

	c = classify_open(conf, &e);
	if (c == NULL) {
		fprintf(stderr, "signalpost explain: %s\n", e.text);
		return EX_CONFIG;
	}
	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "-") != 0)
			print_reply(c, slice_str(argv[i]));
		else if (from_stdin(c) != EX_OK)
			rc = 1;
	}
	classify_close(c);
	return rc;
}
