/*
 * confirm_private.h - what confirm.c (who asks, and when), confirm_ask.c (the question and its
 * answer), confirm_again.c (failed lines, batches that are sent again) and confirm_settle.c (what
 * became of a batch, durably) share, and nobody else includes.
 */
#ifndef UPLOADER_CONFIRM_PRIVATE_H
#define UPLOADER_CONFIRM_PRIVATE_H

#include "common/buf.h"
#include "common/ledger_batch.h"
#include "uploader/backoff.h"
#include "uploader/confirm.h"
#include "uploader/confirm_read.h"

#define CONFIRM_GROUP        50   /* batches in one question */
#define CONFIRM_FIRST_ASK_MS 2000 /* after a batch was taken: nothing is known earlier */
#define CONFIRM_SKEW_S       600  /* the endpoint's clock may be another */

struct confirm_sink { /* a target, and how the questions to it stand */
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

enum confirm_kind { NOTHING, ASK, FETCH, AGAIN };

struct confirm_todo { /* what a status wants done */
	int64_t batch, sink;
	enum confirm_kind kind;
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
	struct confirm_sink *targets;
	size_t n_todo, todo_room;
	struct confirm_todo *todo;
	int64_t expire_ms;
	bool any;           /* batches are open */
	bool ledger_failed; /* and it has been logged */

	/* the request under way */
	enum confirm_kind kind;
	int64_t sink;
	size_t n_asked;
	int64_t asked[CONFIRM_GROUP];
	char names[CONFIRM_GROUP][LEDGER_BATCH_MAX];
	int64_t batch; /* FETCH, AGAIN */
	struct buf body, url;
};

/* ---- confirm.c ---- */

uint32_t confirm_random(void);
/* A request under way; its answer is looked at before the next one. False: not now. */
bool confirm_start(struct confirm *c, const struct confirm_sink *t, enum confirm_kind kind,
    size_t answer_max, struct err *e);
/* Say once that it does not answer. Returns for how long to wait. */
int64_t confirm_failing(struct confirm_sink *t, const struct upload_result *r, const char *what,
    const char *why, struct backoff *b);
void confirm_works(struct confirm_sink *t);

/* ---- confirm_ask.c ---- */

/* The next group of this round of questions, or the round's end. */
void confirm_ask(struct confirm *c, struct confirm_sink *t, int64_t now);
void confirm_asked(
    struct confirm *c, struct confirm_sink *t, const struct upload_result *r, int64_t now);

/* ---- confirm_again.c ---- */

/* Lines that failed validation: ask for them; keep them. */
void confirm_fetch(struct confirm *c, struct confirm_sink *t, struct confirm_todo *todo,
    const struct ledger_batch *b, int64_t now);
void confirm_fetched(struct confirm *c, struct confirm_sink *t, struct confirm_todo *todo,
    const struct ledger_batch *b, const struct upload_result *r, int64_t now);
/* A batch from its segment, once more. */
void confirm_send_again(struct confirm *c, struct confirm_sink *t, struct confirm_todo *todo,
    const struct ledger_batch *b, int64_t now);
void confirm_sent_again(struct confirm *c, struct confirm_sink *t, struct confirm_todo *todo,
    const struct ledger_batch *b, const struct upload_result *r, int64_t now);

/* ---- confirm_settle.c ---- */

struct confirm_todo *confirm_find_todo(struct confirm *c, int64_t batch);
void confirm_drop_todo(struct confirm *c, int64_t batch);
void confirm_ledger_trouble(struct confirm *c, const struct err *e); /* said once */

/* Its outcome is known, and durable. False: not now. */
bool confirm_settle(struct confirm *c, const struct ledger_batch *b, uint64_t rejected);
/* `n` events of it were refused: the lines go to rejected/ first, durably; then they are counted.
 */
bool confirm_reject(struct confirm *c, const struct confirm_sink *t, const struct ledger_batch *b,
    struct slice lines, const char *reason, struct slice details, uint64_t n);
/* All of it, from the segment, for an error of that type. */
void confirm_reject_error(struct confirm *c, const struct confirm_sink *t,
    const struct ledger_batch *b, const char *error_type);
/*
 * `failed` of it failed validation, and the endpoint may say which. They are taken from the
 * segment; if it does not say, all of the batch are kept: what is sent again and was taken is
 * dropped there.
 */
bool confirm_reject_failed(struct confirm *c, const struct confirm_sink *t,
    const struct ledger_batch *b, uint64_t failed, const struct confirm_failures *f);
/* Its window has ended: the last that is known of it counts. */
void confirm_give_up(struct confirm *c, const struct confirm_sink *t, const struct ledger_batch *b);

#endif
