#include "uploader/confirm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/hash.h"
#include "common/ledger_batch.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "uploader/answer.h"
#include "uploader/backoff.h"
#include "uploader/confirm_range.h"
#include "uploader/confirm_read.h"
#include "uploader/confirm_url.h"

#define GROUP        50   /* batches in one question */
#define FIRST_ASK_MS 2000 /* after a batch was taken: nothing is known earlier */
#define EXPIRE_MS    1000 /* how often the window is looked at */
#define TODO_MAX     1000 /* more are asked for again, later */
#define AGAIN_MAX    50   /* times that a batch is sent again, at growing intervals */
#define SKEW_S       600  /* the endpoint's clock may be another */
#define STATUSES_MAX ((size_t)4 << 20)

/* Between two rounds of questions that brought nothing. */
static const struct backoff_range ask_range = { 500, 2000, 60000 };

struct target {
	int64_t sink;
	char *name, *url, *api_key, *ca_file;
	const char *const *headers;
	size_t n_headers;
	int64_t window_s, max_age_s;
	bool failing;  /* and it has been logged */
	bool progress; /* in this round of questions */
	struct backoff backoff;
	int64_t next_ms; /* the next question; INT64_MAX: nothing is open */
	int64_t cursor;  /* batches up to here have been asked for in this round */
	int64_t begun_s; /* this round, wall clock */
	int64_t asked_s; /* the last round that came to its end, or failed, began then */
};

enum kind { NOTHING, ASK, FETCH, AGAIN };

struct todo { /* what a status wants done */
	int64_t batch, sink;
	enum kind kind;
	uint64_t failed;
	char error_type[40];
	bool tried; /* FETCH: in vain */
	struct backoff backoff;
	int64_t next_ms;
};

struct confirm {
	struct confirm_env env;
	struct ledger_batches *batches;
	size_t n_targets;
	struct target *targets;
	size_t n_todo, todo_room;
	struct todo *todo;
	int64_t expire_ms;
	bool any;           /* batches are open */
	bool ledger_failed; /* and it has been logged */

	/* the request under way */
	enum kind kind;
	int64_t sink;
	size_t n_asked;
	int64_t asked[GROUP];
	char names[GROUP][LEDGER_BATCH_MAX];
	int64_t batch; /* FETCH, AGAIN */
	struct buf body, url;
};

static uint32_t
random_number(void)
{
	uint32_t r;

	hash_random(&r, sizeof(r));
	return r;
}

/* ---- targets ---- */

static struct target *
find_target(struct confirm *c, int64_t sink)
{
	for (size_t i = 0; i < c->n_targets; i++)
		if (c->targets[i].sink == sink)
			return &c->targets[i];
	return NULL;
}

static void
free_targets(struct target *t, size_t n)
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

static struct target
make_target(const struct confirm_target *t)
{
	return (struct target){ .sink = t->sink,
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

/* ---- settling ---- */

static struct todo *
find_todo(struct confirm *c, int64_t batch)
{
	for (size_t i = 0; i < c->n_todo; i++)
		if (c->todo[i].batch == batch)
			return &c->todo[i];
	return NULL;
}

static void
drop_todo(struct confirm *c, int64_t batch)
{
	struct todo *t = find_todo(c, batch);

	if (t != NULL)
		*t = c->todo[--c->n_todo];
}

static void
ledger_trouble(struct confirm *c, const struct err *e)
{
	if (!c->ledger_failed)
		log_error("batches can't be confirmed: %s", e->text);
	c->ledger_failed = true;
}

/* Its outcome is known, and durable. False: not now. */
static bool
settle(struct confirm *c, const struct ledger_batch *b, uint64_t rejected)
{
	struct err e;
	int rc = ledger_batch_settle(c->batches, b, rejected, &e);

	if (rc < 0) {
		ledger_trouble(c, &e);
		return false;
	}
	c->ledger_failed = false;
	drop_todo(c, b->id);
	if (rc > 0)
		c->env.gone(c->env.arg);
	return true;
}

/* The lines go to rejected/ first, durably; then they are counted. */
static bool
reject(struct confirm *c, const struct target *t, const struct ledger_batch *b, struct slice lines,
    const char *reason, struct slice details, uint64_t n)
{
	struct rejected_why why = { .sink = slice_str(t->name),
		.reason = slice_str(reason),
		.details = details,
		.batch = slice_str(b->batch),
		.segment = slice_str(b->segment) };
	char name[REJECTED_NAME_SIZE];
	struct err e;

	rejected_name(b->segment, why.sink, b->from, name);
	if (lines.len > 0 && rejected_add(c->env.rejected, name, &why, lines, &e) < 0) {
		log_error(
		    "%s: refused events of batch %s can't be kept: %s", t->name, b->batch, e.text);
		return false;
	}
	if (!settle(c, b, n))
		return false;
	log_warn("%s: %llu of %llu events of %s were refused later (batch %s): %s%s%s", t->name,
	    (unsigned long long)(n < b->events ? n : b->events), (unsigned long long)b->events,
	    b->segment, b->batch, reason,
	    lines.len > 0 ? "; they are in rejected/" : "; they can't be had any more",
	    lines.len > 0 ? name : "");
	return true;
}

static void
reject_all(
    struct confirm *c, const struct target *t, const struct ledger_batch *b, const char *reason)
{
	struct buf lines;

	buf_init(&lines, BUF_NO_LIMIT);
	if (confirm_range_read(c->env.sp, b, &lines, NULL) < 0)
		buf_clear(&lines);
	reject(c, t, b, buf_slice(&lines), reason, SLICE_LIT(""), b->events);
	buf_free(&lines);
}

static void
reject_error(
    struct confirm *c, const struct target *t, const struct ledger_batch *b, const char *error_type)
{
	char reason[100];

	snprintf(reason, sizeof(reason), "%s error", error_type);
	reject_all(c, t, b, reason);
}

/* The last that is known of it counts. */
static void
unconfirmed(struct confirm *c, const struct target *t, const struct ledger_batch *b)
{
	const struct todo *todo = find_todo(c, b->id);

	/* It is known not to have them: they are kept here. */
	if (todo != NULL && todo->kind == AGAIN)
		reject_error(c, t, b, todo->error_type);
	else if (todo != NULL && todo->failed > 0)
		reject(c, t, b, SLICE_LIT(""), "failed validation", SLICE_LIT(""), todo->failed);
	else if (b->again > 0)
		reject_all(
		    c, t, b, "an error; it was sent again, and what became of that is not known");
	else if (settle(c, b, 0))
		log_warn(
		    "%s: nothing is known of batch %s (%s, %llu events) after %lld s: it counts "
		    "as uploaded, unconfirmed",
		    t->name, b->batch, b->segment, (unsigned long long)b->events,
		    (long long)t->window_s);
}

/*
 * Its window has ended, and it was asked for after that: the uploader may not have run for
 * long, or the endpoint may be slow.
 */
static bool
given_up(struct confirm *c, const struct target *t, const struct ledger_batch *b)
{
	bool ended = b->sent_s + t->window_s <= t->asked_s ||
	             (t->asked_s != INT64_MIN && b->sent_s > clock_wall_s() + SKEW_S);
	const struct todo *todo = find_todo(c, b->id);

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
		const struct target *t = &c->targets[i];
		struct ledger_batch b = { .id = 0 };

		while (ledger_batch_next(c->batches, t->sink, b.id, &b, NULL) > 0 &&
		       given_up(c, t, &b))
			unconfirmed(c, t, &b);
		c->any = c->any || ledger_batch_next(c->batches, t->sink, 0, &b, NULL) > 0;
	}
}

int
confirm_configure(struct confirm *c, const struct confirm_target *t, size_t n, struct err *e)
{
	struct target *targets = xcalloc(n + 1, sizeof(*targets));
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
			drop_todo(c, b.id);
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
	struct target *t = find_target(c, sink);
	struct ledger_batch b = { .sink = sink, .from = from, .end = end, .events = events };
	int64_t first = clock_mono_ms() + FIRST_ASK_MS;

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

/* ---- asking ---- */

static bool
start(struct confirm *c, const struct target *t, enum kind kind, size_t answer_max, struct err *e)
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

/* The next group of this round. False: the round is at its end. */
static bool
gather(struct confirm *c, struct target *t, int64_t *oldest_s)
{
	struct ledger_batch b;

	c->n_asked = 0;
	*oldest_s = INT64_MAX;
	while (
	    c->n_asked < GROUP && ledger_batch_next(c->batches, t->sink, t->cursor, &b, NULL) > 0) {
		t->cursor = b.id;
		if (find_todo(c, b.id) != NULL)
			continue;
		c->asked[c->n_asked] = b.id;
		memcpy(c->names[c->n_asked++], b.batch, sizeof(b.batch));
		if (b.sent_s < *oldest_s)
			*oldest_s = b.sent_s;
	}
	return c->n_asked > 0;
}

static void
end_round(struct confirm *c, struct target *t, int64_t now)
{
	struct ledger_batch b;

	if (t->progress)
		backoff_reset(&t->backoff);
	t->progress = false;
	t->cursor = 0;
	t->asked_s = t->begun_s;
	t->next_ms = INT64_MAX;
	if (ledger_batch_next(c->batches, t->sink, 0, &b, NULL) != 0)
		t->next_ms = now + backoff_next(&t->backoff, &ask_range, 0, random_number());
}

static void
ask(struct confirm *c, struct target *t, int64_t now)
{
	const char *names[GROUP];
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
	if (!confirm_url_statuses(
		t->url, names, c->n_asked, oldest_s - SKEW_S, clock_wall_s() + 1, &c->url) ||
	    !start(c, t, ASK, STATUSES_MAX, &e))
		end_round(c, t, now);
}

/* 1 s, 4 s, 16 s ... 17 min, and up to a quarter more. */
static int64_t
again_ms(unsigned times)
{
	int64_t ms = (int64_t)1000 << (2 * (times < 5 ? times : 5));

	return ms + random_number() % (ms / 4);
}

static void
add_todo(
    struct confirm *c, const struct ledger_batch *b, enum kind kind, const struct confirm_status *s)
{
	struct todo *t;

	if (c->n_todo == TODO_MAX)
		return;
	c->todo = xgrow(c->todo, c->n_todo, &c->todo_room, sizeof(*c->todo));
	t = &c->todo[c->n_todo++];
	*t = (struct todo){ .batch = b->id, .sink = b->sink, .kind = kind, .failed = s->failed };
	if (kind == AGAIN)
		t->next_ms = clock_mono_ms() + again_ms(b->again);
	memcpy(t->error_type, s->error_type, sizeof(t->error_type));
}

/* What its status wants done. True: there was one. */
static bool
act(struct confirm *c, const struct target *t, const struct ledger_batch *b,
    const struct confirm_status *s)
{
	switch (s->outcome) {
	case CONFIRM_UNKNOWN:
		return false;
	case CONFIRM_TAKEN:
		settle(c, b, 0);
		return true;
	case CONFIRM_FAILURES:
		add_todo(c, b, FETCH, s);
		return true;
	case CONFIRM_AGAIN:
		if (b->again >= (s->once ? 1 : AGAIN_MAX)) {
			reject_error(c, t, b, s->error_type);
			return true;
		}
		log_warn("%s: batch %s (%s, %llu events): %s error; it is sent again", t->name,
		    b->batch, b->segment, (unsigned long long)b->events, s->error_type);
		add_todo(c, b, AGAIN, s);
		return true;
	case CONFIRM_REFUSED:
		reject_error(c, t, b, s->error_type);
		return true;
	}
	return false;
}

/* Say once that it does not answer, and wait. */
static int64_t
failing(struct target *t, const struct upload_result *r, const char *what, const char *why,
    struct backoff *b)
{
	bool theirs = r->status < 300 || r->status == 408 || r->status == 429 || r->status >= 500;
	int64_t wait = backoff_next(
	    b, theirs ? &backoff_normal : &backoff_slow, r->retry_after_s, random_number());

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

static void
works(struct target *t)
{
	if (t->failing)
		log_info("%s: answers about batches again", t->name);
	t->failing = false;
}

static void
asked(struct confirm *c, struct target *t, const struct upload_result *r, int64_t now)
{
	struct confirm_status s[GROUP];
	const char *names[GROUP];
	struct err e = { .text = "" };

	for (size_t i = 0; i < c->n_asked; i++)
		names[i] = c->names[i];
	if (r->status != 200 ||
	    confirm_read_statuses(buf_slice(&r->body), names, c->n_asked, s, &e) < 0) {
		t->cursor = 0;
		t->asked_s = t->begun_s;
		t->next_ms =
		    now + failing(t, r, "can't ask what became of batches", e.text, &t->backoff);
		return;
	}
	works(t);
	for (size_t i = 0; i < c->n_asked; i++) {
		struct ledger_batch b;

		if (ledger_batch_get(c->batches, c->asked[i], &b, NULL) > 0 && act(c, t, &b, &s[i]))
			t->progress = true;
	}
	t->next_ms = now; /* the next group, or the end of the round */
}

/* ---- failed lines ---- */

static void
fetch(struct confirm *c, struct target *t, struct todo *todo, const struct ledger_batch *b,
    int64_t now)
{
	struct err e;

	buf_clear(&c->body);
	c->batch = b->id;
	if (!confirm_url_failures(t->url, b->batch, &c->url) ||
	    !start(c, t, FETCH, CONFIRM_FAILURES_MAX, &e)) {
		todo->tried = true;
		todo->next_ms =
		    now + backoff_next(&todo->backoff, &backoff_slow, 0, random_number());
	}
}

/* The endpoint may repeat the key; a reason goes to a file and the log. */
static bool
tells_key(const struct target *t, struct slice text)
{
	return t->api_key != NULL && t->api_key[0] != '\0' && text.len > 0 &&
	       memmem(text.p, text.len, t->api_key, strlen(t->api_key)) != NULL;
}

static void
fetched(struct confirm *c, struct target *t, struct todo *todo, const struct ledger_batch *b,
    const struct upload_result *r, int64_t now)
{
	bool lost = r->status == 404 || r->status == 410;
	struct confirm_failures f;
	struct slice details;
	struct err e = { .text = "" };
	char reason[300];

	confirm_failures_init(&f);
	if (!lost && (r->status != 200 || confirm_read_failures(buf_slice(&r->body), &f, &e) < 0)) {
		todo->tried = true;
		todo->next_ms =
		    now + failing(t, r, "can't fetch refused events", e.text, &todo->backoff);
		confirm_failures_free(&f);
		return;
	}
	works(t);
	details = buf_slice(&f.reasons);
	if (tells_key(t, details) || tells_key(t, slice_str(f.first))) {
		details = SLICE_LIT("");
		f.first[0] = '\0';
	}
	snprintf(reason, sizeof(reason), "failed validation%s%s", f.first[0] != '\0' ? ": " : "",
	    f.first);
	if (!reject(c, t, b, buf_slice(&f.lines), reason, details, f.n > 0 ? f.n : todo->failed))
		todo->next_ms =
		    now + backoff_next(&todo->backoff, &backoff_normal, 0, random_number());
	confirm_failures_free(&f);
}

/* ---- sending again ---- */

static void
send_again(struct confirm *c, struct target *t, struct todo *todo, const struct ledger_batch *b,
    int64_t now)
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
		settle(c, b, 0);
	} else if (!start(c, t, AGAIN, 0, &e)) {
		todo->next_ms =
		    now + backoff_next(&todo->backoff, &backoff_slow, 0, random_number());
	}
}

static void
sent_again(struct confirm *c, struct target *t, struct todo *todo, const struct ledger_batch *b,
    const struct upload_result *r, int64_t now)
{
	struct ledger_try tried = {
		.status = "200", .at_s = clock_wall_s(), .good = true, .retried = 1
	};
	struct answer a = { .verdict = ANSWER_LATER };
	struct err e;

	buf_free(&c->body);
	if (r->status != 0)
		answer_read(r->status, buf_slice(&r->body), slice_str(t->api_key), true, &a);
	if (a.verdict != ANSWER_DONE) {
		todo->next_ms =
		    now + failing(t, r, "can't send a batch again", a.quote, &todo->backoff);
		return;
	}
	works(t);
	log_info("%s: %s is sent again as batch %s", t->name, b->segment, a.id);
	if (ledger_batch_renamed(c->batches, b->id, a.id, &e) < 0 ||
	    ledger_tried(c->env.ledger, t->sink, &tried, &e) < 0)
		ledger_trouble(c, &e);
	drop_todo(c, b->id);
	if (now + FIRST_ASK_MS < t->next_ms)
		t->next_ms = now + FIRST_ASK_MS;
}

/* ---- steps ---- */

void
confirm_answered(struct confirm *c, const struct upload_result *r)
{
	struct target *t = find_target(c, c->sink);
	enum kind kind = c->kind;
	int64_t now = clock_mono_ms();
	struct ledger_batch b;
	struct todo *todo;

	c->kind = NOTHING;
	if (t == NULL)
		return;
	if (kind == ASK) {
		asked(c, t, r, now);
		return;
	}
	todo = find_todo(c, c->batch);
	if (todo == NULL || ledger_batch_get(c->batches, c->batch, &b, NULL) <= 0) {
		drop_todo(c, c->batch);
		return;
	}
	if (kind == FETCH)
		fetched(c, t, todo, &b, r, now);
	else if (kind == AGAIN)
		sent_again(c, t, todo, &b, r, now);
}

/* The first that is due. *wake is when the next one is. */
static void
do_todo(struct confirm *c, int64_t now, int64_t *wake)
{
	for (size_t i = 0; i < c->n_todo && c->kind == NOTHING; i++) {
		struct todo *todo = &c->todo[i];
		struct target *t = find_target(c, todo->sink);
		struct ledger_batch b;

		if (t == NULL || ledger_batch_get(c->batches, todo->batch, &b, NULL) == 0) {
			drop_todo(c, todo->batch);
			*wake = now;
			return;
		}
		if (todo->next_ms > now) {
			*wake = todo->next_ms < *wake ? todo->next_ms : *wake;
			continue;
		}
		if (todo->kind == FETCH)
			fetch(c, t, todo, &b, now);
		else
			send_again(c, t, todo, &b, now);
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
		struct target *t = &c->targets[i];

		if (t->next_ms <= now_ms)
			ask(c, t, now_ms);
		if (c->kind == NOTHING && t->next_ms < wake)
			wake = t->next_ms;
	}
	return wake;
}
