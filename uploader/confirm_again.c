/*
 * confirm_again.c - lines that the endpoint refused are fetched; what it lost is sent again.
 */
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "uploader/answer.h"
#include "uploader/confirm_private.h"
#include "uploader/confirm_range.h"
#include "uploader/confirm_url.h"

/* ---- failed lines ---- */

void
confirm_fetch(struct confirm *c, struct confirm_sink *t, struct confirm_todo *todo,
    const struct ledger_batch *b, int64_t now)
{
	struct err e;

	buf_clear(&c->body);
	c->batch = b->id;
	if (!confirm_url_failures(t->url, b->batch, &c->url) ||
	    !confirm_start(c, t, FETCH, CONFIRM_FAILURES_MAX, &e)) {
		todo->tried = true;
		todo->next_ms =
		    now + backoff_next(&todo->backoff, &backoff_slow, 0, confirm_random());
	}
}

/* The endpoint may repeat the key; a reason goes to a file and the log. */
static bool
tells_key(const struct confirm_sink *t, struct slice text)
{
	return t->api_key != NULL && t->api_key[0] != '\0' && text.len > 0 &&
	       memmem(text.p, text.len, t->api_key, strlen(t->api_key)) != NULL;
}

void
confirm_fetched(struct confirm *c, struct confirm_sink *t, struct confirm_todo *todo,
    const struct ledger_batch *b, const struct upload_result *r, int64_t now)
{
	bool lost = r->status == 404 || r->status == 410;
	struct confirm_failures f;
	struct err e = { .text = "" };

	confirm_failures_init(&f);
	if (!lost && (r->status != 200 || confirm_read_failures(buf_slice(&r->body), &f, &e) < 0)) {
		todo->tried = true;
		todo->next_ms = now + confirm_failing(t, r, "can't fetch refused events", e.text,
					  &todo->backoff);
		confirm_failures_free(&f);
		return;
	}
	confirm_works(t);
	if (tells_key(t, buf_slice(&f.reasons)) || tells_key(t, slice_str(f.first))) {
		buf_clear(&f.reasons);
		f.first[0] = '\0';
	}
	if (!confirm_reject_failed(c, t, b, todo->failed, &f))
		todo->next_ms =
		    now + backoff_next(&todo->backoff, &backoff_normal, 0, confirm_random());
	confirm_failures_free(&f);
}

/* ---- sending again ---- */

void
confirm_send_again(struct confirm *c, struct confirm_sink *t, struct confirm_todo *todo,
    const struct ledger_batch *b, int64_t now)
{
	struct buf lines;
	struct err e;
	int rc;

	buf_init(&lines, BUF_NO_LIMIT);
	rc = confirm_range_read(c->env.sp, b, &lines, &e);
	if (rc == 0)
		rc = confirm_range_pack(
		    buf_slice(&lines), clock_wall_s() - t->max_age_s, &c->body, &e);
	buf_free(&lines);
	c->batch = b->id;
	if (rc != 0) {
		/* Gone for want of space, or too old by now. */
		if (rc < 0)
			log_warn("%s: batch %s (%s) can't be sent again: %s", t->name, b->batch,
			    b->segment, e.text);
		confirm_settle(c, b, 0);
	} else if (!confirm_start(c, t, AGAIN, 0, &e)) {
		todo->next_ms =
		    now + backoff_next(&todo->backoff, &backoff_slow, 0, confirm_random());
	}
}

void
confirm_sent_again(struct confirm *c, struct confirm_sink *t, struct confirm_todo *todo,
    const struct ledger_batch *b, const struct upload_result *r, int64_t now)
{
	struct ledger_try tried = {
		.status = "HTTP 200", .at_s = clock_wall_s(), .good = true, .retried = 1
	};
	struct answer a = { .verdict = ANSWER_LATER };
	struct err e;

	buf_free(&c->body);
	if (r->status != 0)
		answer_read(r->status, buf_slice(&r->body), slice_str(t->api_key), true, &a);
	if (a.verdict != ANSWER_DONE) {
		todo->next_ms = now + confirm_failing(t, r, "can't send a batch again", a.quote,
					  &todo->backoff);
		return;
	}
	confirm_works(t);
	log_info("%s: %s is sent again as batch %s", t->name, b->segment, a.id);
	if (ledger_batch_renamed(c->batches, b->id, a.id, &e) < 0 ||
	    ledger_tried(c->env.ledger, t->sink, &tried, &e) < 0)
		confirm_ledger_trouble(c, &e);
	confirm_drop_todo(c, b->id);
	if (now + CONFIRM_FIRST_ASK_MS < t->next_ms)
		t->next_ms = now + CONFIRM_FIRST_ASK_MS;
}
