/*
 * confirm_ask.c - the question what became of batches, in groups, and what its answer wants done.
 */
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "uploader/confirm_private.h"
#include "uploader/confirm_url.h"

#define TODO_MAX     1000 /* more are asked for again, later */
#define AGAIN_MAX    50   /* times that a batch is sent again, at growing intervals */
#define STATUSES_MAX ((size_t)4 << 20)

/* Between two rounds of questions that brought nothing. */
static const struct backoff_range ask_range = { 500, 2000, 60000 };

/* The next group of this round. False: the round is at its end. */
static bool
gather(struct confirm *c, struct confirm_sink *t, int64_t *oldest_s)
{
	struct ledger_batch b;

	c->n_asked = 0;
	*oldest_s = INT64_MAX;
	while (c->n_asked < CONFIRM_GROUP &&
	       ledger_batch_next(c->batches, t->sink, t->cursor, &b, NULL) > 0) {
		t->cursor = b.id;
		if (confirm_find_todo(c, b.id) != NULL)
			continue;
		c->asked[c->n_asked] = b.id;
		memcpy(c->names[c->n_asked++], b.batch, sizeof(b.batch));
		if (b.sent_s < *oldest_s)
			*oldest_s = b.sent_s;
	}
	return c->n_asked > 0;
}

static void
end_round(struct confirm *c, struct confirm_sink *t, int64_t now)
{
	struct ledger_batch b;

	if (t->progress)
		backoff_reset(&t->backoff);
	t->progress = false;
	t->cursor = 0;
	t->asked_s = t->begun_s;
	t->next_ms = INT64_MAX;
	if (ledger_batch_next(c->batches, t->sink, 0, &b, NULL) != 0)
		t->next_ms = now + backoff_next(&t->backoff, &ask_range, 0, confirm_random());
}

void
confirm_ask(struct confirm *c, struct confirm_sink *t, int64_t now)
{
	const char *names[CONFIRM_GROUP];
	int64_t oldest_s;
	struct err e;

	if (t->cursor == 0)
		t->begun_s = clock_wall_s();
	if (!gather(c, t, &oldest_s)) {
		end_round(c, t, now);
		return;
	}
	for (size_t i = 0; i < c->n_asked; i++)
		names[i] = c->names[i];
	buf_clear(&c->body);
	if (!confirm_url_statuses(t->url, names, c->n_asked, oldest_s - CONFIRM_SKEW_S,
		clock_wall_s() + 1, &c->url) ||
	    !confirm_start(c, t, ASK, STATUSES_MAX, &e))
		end_round(c, t, now);
}

/* 1 s, 4 s, 16 s ... 17 min, and up to a quarter more. */
static int64_t
again_ms(unsigned times)
{
	int64_t ms = (int64_t)1000 << (2 * (times < 5 ? times : 5));

	return ms + confirm_random() % (ms / 4);
}

static void
add_todo(struct confirm *c, const struct ledger_batch *b, enum confirm_kind kind,
    const struct confirm_status *s)
{
	struct confirm_todo *t;

	if (c->n_todo == TODO_MAX)
		return;
	c->todo = xgrow(c->todo, c->n_todo, &c->todo_room, sizeof(*c->todo));
	t = &c->todo[c->n_todo++];
	*t = (struct confirm_todo){
		.batch = b->id, .sink = b->sink, .kind = kind, .failed = s->failed
	};
	if (kind == AGAIN)
		t->next_ms = clock_mono_ms() + again_ms(b->again);
	memcpy(t->error_type, s->error_type, sizeof(t->error_type));
}

/* What its status wants done. True: there was one. */
static bool
act(struct confirm *c, const struct confirm_sink *t, const struct ledger_batch *b,
    const struct confirm_status *s)
{
	switch (s->outcome) {
	case CONFIRM_UNKNOWN:
		return false;
	case CONFIRM_TAKEN:
		confirm_settle(c, b, 0);
		return true;
	case CONFIRM_FAILURES:
		add_todo(c, b, FETCH, s);
		return true;
	case CONFIRM_AGAIN:
		if (b->again >= (s->once ? 1 : AGAIN_MAX)) {
			confirm_reject_error(c, t, b, s->error_type);
			return true;
		}
		log_warn("%s: batch %s (%s, %llu events): %s error; it is sent again", t->name,
		    b->batch, b->segment, (unsigned long long)b->events, s->error_type);
		add_todo(c, b, AGAIN, s);
		return true;
	case CONFIRM_REFUSED:
		confirm_reject_error(c, t, b, s->error_type);
		return true;
	}
	return false;
}

void
confirm_asked(struct confirm *c, struct confirm_sink *t, const struct upload_result *r, int64_t now)
{
	struct confirm_status s[CONFIRM_GROUP];
	const char *names[CONFIRM_GROUP];
	struct err e = { .text = "" };

	for (size_t i = 0; i < c->n_asked; i++)
		names[i] = c->names[i];
	if (r->status != 200 ||
	    confirm_read_statuses(buf_slice(&r->body), names, c->n_asked, s, &e) < 0) {
		t->cursor = 0;
		t->asked_s = t->begun_s;
		if (r->status == 404 || r->status == 405 || r->status == 501)
			err_text(&e, 0,
			    "this endpoint may not be able to say; \"confirm-batches "
			    "no\" ends the questions");
		t->next_ms = now + confirm_failing(t, r, "can't ask what became of batches", e.text,
				       &t->backoff);
		return;
	}
	confirm_works(t);
	for (size_t i = 0; i < c->n_asked; i++) {
		struct ledger_batch b;

		if (ledger_batch_get(c->batches, c->asked[i], &b, NULL) > 0 && act(c, t, &b, &s[i]))
			t->progress = true;
	}
	t->next_ms = now; /* the next group, or the end of the round */
}
