#include "uploader/confirm.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/hash.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "uploader/confirm_private.h"
#include "uploader/confirm_url.h"

#define EXPIRE_MS 1000 /* how often the window is looked at */

/* ---- targets ---- */

static struct confirm_sink *
find_target(struct confirm *c, int64_t sink)
{
	for (size_t i = 0; i < c->n_targets; i++)
		if (c->targets[i].sink == sink)
			return &c->targets[i];
	return NULL;
}

static void
free_targets(struct confirm_sink *t, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(t[i].name);
		free(t[i].url);
		free(t[i].api_key);
		free(t[i].ca_file);
	}
	free(t);
}

struct confirm *
confirm_open(const struct confirm_env *env, struct err *e)
{
	struct confirm *c = xcalloc(1, sizeof(*c));

	c->env = *env;
	buf_init(&c->body, BUF_NO_LIMIT);
	buf_init(&c->url, BUF_NO_LIMIT);
	c->batches = ledger_batches_open(env->ledger, e);
	if (c->batches != NULL)
		return c;
	confirm_close(c);
	return NULL;
}

void
confirm_close(struct confirm *c)
{
	if (c == NULL)
		return;
	ledger_batches_close(c->batches);
	free_targets(c->targets, c->n_targets);
	free(c->todo);
	buf_free(&c->body);
	buf_free(&c->url);
	free(c);
}

static struct confirm_sink
make_target(const struct confirm_target *t)
{
	return (struct confirm_sink){ .sink = t->sink,
		.name = xstrdup(t->name),
		.url = xstrdup(t->url),
		.api_key = t->api_key != NULL ? xstrdup(t->api_key) : NULL,
		.ca_file = t->ca_file != NULL ? xstrdup(t->ca_file) : NULL,
		.headers = t->headers,
		.n_headers = t->n_headers,
		.window_s = t->window_s,
		.max_age_s = t->max_age_s,
		.next_ms = clock_mono_ms(),
		.asked_s = INT64_MIN };
}

/* ---- the window ---- */

/*
 * Its window has ended, and it was asked for after that: the uploader may not have run for
 * long, or the endpoint may be slow.
 */
static bool
given_up(struct confirm *c, const struct confirm_sink *t, const struct ledger_batch *b)
{
	bool ended = b->sent_s + t->window_s <= t->asked_s ||
	             (t->asked_s != INT64_MIN && b->sent_s > clock_wall_s() + CONFIRM_SKEW_S);
	const struct confirm_todo *todo = confirm_find_todo(c, b->id);

	if (todo == NULL || todo->kind != FETCH)
		return ended;
	/* What was refused is worth one attempt, and that its end. */
	return ended && todo->tried && !(c->kind == FETCH && c->batch == b->id);
}

static void
expire(struct confirm *c, int64_t now_ms)
{
	if (now_ms < c->expire_ms)
		return;
	c->expire_ms = now_ms + EXPIRE_MS;
	c->any = false;
	for (size_t i = 0; i < c->n_targets; i++) {
		const struct confirm_sink *t = &c->targets[i];
		struct ledger_batch b = { .id = 0 };

		while (ledger_batch_next(c->batches, t->sink, b.id, &b, NULL) > 0 &&
		       given_up(c, t, &b))
			confirm_give_up(c, t, &b);
		c->any = c->any || ledger_batch_next(c->batches, t->sink, 0, &b, NULL) > 0;
	}
}

/* ---- configuration ---- */

int
confirm_configure(struct confirm *c, const struct confirm_target *t, size_t n, struct err *e)
{
	struct confirm_sink *targets = xcalloc(n + 1, sizeof(*targets));
	struct ledger_batch b = { .id = 0 };
	const char *nobody = "";
	size_t made = 0;
	int rc = 0;

	for (size_t i = 0; i < n; i++) {
		if (confirm_url_statuses(t[i].url, &nobody, 1, 0, 0, &c->url))
			targets[made++] = make_target(&t[i]);
		else
			log_error("%s: confirm-batches has no effect: the address does not end in "
				  "/ingest/events",
			    t[i].name);
	}
	free_targets(c->targets, c->n_targets);
	c->targets = targets;
	c->n_targets = made;
	c->expire_ms = 0;
	/* Of sinks that do not want to know any more. */
	while (rc >= 0 && (rc = ledger_batch_next(c->batches, 0, b.id, &b, e)) > 0)
		if (find_target(c, b.sink) == NULL) {
			rc = ledger_batch_settle(c->batches, &b, 0, e);
			confirm_drop_todo(c, b.id);
			if (rc > 0)
				c->env.gone(c->env.arg);
		}
	return rc < 0 ? -1 : 0;
}

/* ---- what is sent ---- */

int
confirm_sent(struct confirm *c, int64_t sink, const char *segment, uint64_t from, uint64_t end,
    uint64_t events, const char *batch, struct err *e)
{
	struct confirm_sink *t = find_target(c, sink);
	struct ledger_batch b = { .sink = sink, .from = from, .end = end, .events = events };
	int64_t first = clock_mono_ms() + CONFIRM_FIRST_ASK_MS;

	if (t == NULL || events == 0)
		return 0;
	snprintf(b.segment, sizeof(b.segment), "%s", segment);
	snprintf(b.batch, sizeof(b.batch), "%s", batch);
	b.sent_s = clock_wall_s();
	if (first < t->next_ms)
		t->next_ms = first;
	c->any = true;
	return ledger_batch_add(c->batches, &b, e);
}

bool
confirm_holds(struct confirm *c, int64_t sink, const char *segment)
{
	return find_target(c, sink) != NULL &&
	       ledger_batch_holds(c->batches, sink, segment, NULL) != 0;
}

/* ---- requests ---- */

uint32_t
confirm_random(void)
{
	uint32_t r;

	hash_random(&r, sizeof(r));
	return r;
}

bool
confirm_start(struct confirm *c, const struct confirm_sink *t, enum confirm_kind kind,
    size_t answer_max, struct err *e)
{
	struct upload_request r = { .url = kind == AGAIN ? t->url : buf_str(&c->url),
		.api_key = t->api_key,
		.ca_file = t->ca_file,
		.headers = t->headers,
		.n_headers = t->n_headers,
		.get = kind != AGAIN,
		.gzip = kind == AGAIN,
		.answer_max = answer_max,
		.body = buf_slice(&c->body),
		.owner = c };

	if (upload_start(c->env.up, &r, e) < 0)
		return false;
	c->kind = kind;
	c->sink = t->sink;
	return true;
}

int64_t
confirm_failing(struct confirm_sink *t, const struct upload_result *r, const char *what,
    const char *why, struct backoff *b)
{
	bool theirs = r->status < 300 || r->status == 408 || r->status == 429 || r->status >= 500;
	int64_t wait = backoff_next(
	    b, theirs ? &backoff_normal : &backoff_slow, r->retry_after_s, confirm_random());

	if (!t->failing) {
		if (r->status == 0)
			log_warn("%s: %s: %s", t->name, what, r->error.text);
		else
			log_warn("%s: %s: HTTP %ld%s%s", t->name, what, r->status,
			    why[0] != '\0' ? ": " : "", why);
	}
	t->failing = true;
	return wait;
}

void
confirm_works(struct confirm_sink *t)
{
	if (t->failing)
		log_info("%s: answers about batches again", t->name);
	t->failing = false;
}

/* ---- steps ---- */

void
confirm_answered(struct confirm *c, const struct upload_result *r)
{
	struct confirm_sink *t = find_target(c, c->sink);
	enum confirm_kind kind = c->kind;
	int64_t now = clock_mono_ms();
	struct ledger_batch b;
	struct confirm_todo *todo;

	c->kind = NOTHING;
	if (t == NULL)
		return;
	if (kind == ASK) {
		confirm_asked(c, t, r, now);
		return;
	}
	todo = confirm_find_todo(c, c->batch);
	if (todo == NULL || ledger_batch_get(c->batches, c->batch, &b, NULL) <= 0) {
		confirm_drop_todo(c, c->batch);
		return;
	}
	if (kind == FETCH)
		confirm_fetched(c, t, todo, &b, r, now);
	else if (kind == AGAIN)
		confirm_sent_again(c, t, todo, &b, r, now);
}

/* The first that is due. *wake is when the next one is. */
static void
do_todo(struct confirm *c, int64_t now, int64_t *wake)
{
	for (size_t i = 0; i < c->n_todo && c->kind == NOTHING; i++) {
		struct confirm_todo *todo = &c->todo[i];
		struct confirm_sink *t = find_target(c, todo->sink);
		struct ledger_batch b;

		if (t == NULL || ledger_batch_get(c->batches, todo->batch, &b, NULL) == 0) {
			confirm_drop_todo(c, todo->batch);
			*wake = now;
			return;
		}
		if (todo->next_ms > now) {
			*wake = todo->next_ms < *wake ? todo->next_ms : *wake;
			continue;
		}
		if (todo->kind == FETCH)
			confirm_fetch(c, t, todo, &b, now);
		else
			confirm_send_again(c, t, todo, &b, now);
		*wake = now; /* the list may have changed */
		return;
	}
}

int64_t
confirm_step(struct confirm *c, int64_t now_ms)
{
	int64_t wake = INT64_MAX;

	if (c->n_targets == 0)
		return INT64_MAX;
	expire(c, now_ms);
	if (c->any)
		wake = c->expire_ms;
	if (c->kind != NOTHING)
		return wake;
	do_todo(c, now_ms, &wake);
	for (size_t i = 0; i < c->n_targets && c->kind == NOTHING; i++) {
		struct confirm_sink *t = &c->targets[i];

		if (t->next_ms <= now_ms)
			confirm_ask(c, t, now_ms);
		if (c->kind == NOTHING && t->next_ms < wake)
			wake = t->next_ms;
	}
	return wake;
}
