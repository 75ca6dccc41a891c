/*
 * confirm_settle.c - what became of a batch, into the ledger and rejected/.
 */
#include <stdio.h>

#include "common/log.h"
#include "uploader/confirm_private.h"
#include "uploader/confirm_range.h"

struct confirm_todo *
confirm_find_todo(struct confirm *c, int64_t batch)
{
	for (size_t i = 0; i < c->n_todo; i++)
		if (c->todo[i].batch == batch)
			return &c->todo[i];
	return NULL;
}

void
confirm_drop_todo(struct confirm *c, int64_t batch)
{
	struct confirm_todo *t = confirm_find_todo(c, batch);

	if (t != NULL)
		*t = c->todo[--c->n_todo];
}

void
confirm_ledger_trouble(struct confirm *c, const struct err *e)
{
	if (!c->ledger_failed)
		log_error("batches can't be confirmed: %s", e->text);
	c->ledger_failed = true;
}

bool
confirm_settle(struct confirm *c, const struct ledger_batch *b, uint64_t rejected)
{
	struct err e;
	int rc = ledger_batch_settle(c->batches, b, rejected, &e);

	if (rc < 0) {
		confirm_ledger_trouble(c, &e);
		return false;
	}
	c->ledger_failed = false;
	confirm_drop_todo(c, b->id);
	if (rc > 0)
		c->env.gone(c->env.arg);
	return true;
}

bool
confirm_reject(struct confirm *c, const struct confirm_sink *t, const struct ledger_batch *b,
    struct slice lines, const char *reason, struct slice details, uint64_t n)
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
	if (!confirm_settle(c, b, n))
		return false;
	log_warn("%s: %llu of %llu events of %s were refused later (batch %s): %s%s%s", t->name,
	    (unsigned long long)(n < b->events ? n : b->events), (unsigned long long)b->events,
	    b->segment, b->batch, reason,
	    lines.len > 0 ? "; they are in rejected/" : "; they can't be had any more",
	    lines.len > 0 ? name : "");
	return true;
}

static void
reject_all(struct confirm *c, const struct confirm_sink *t, const struct ledger_batch *b,
    const char *reason)
{
	struct buf lines;

	buf_init(&lines, BUF_NO_LIMIT);
	if (confirm_range_read(c->env.sp, b, &lines, NULL) < 0)
		buf_clear(&lines);
	confirm_reject(c, t, b, buf_slice(&lines), reason, SLICE_LIT(""), b->events);
	buf_free(&lines);
}

void
confirm_reject_error(struct confirm *c, const struct confirm_sink *t, const struct ledger_batch *b,
    const char *error_type)
{
	char reason[100];

	snprintf(reason, sizeof(reason), "%s error", error_type);
	reject_all(c, t, b, reason);
}

bool
confirm_reject_failed(struct confirm *c, const struct confirm_sink *t, const struct ledger_batch *b,
    uint64_t failed, const struct confirm_failures *f)
{
	struct slice told = buf_slice(&f->lines);
	struct buf batch, lines;
	bool known, done;
	char reason[400];
	uint64_t n;

	buf_init(&batch, BUF_NO_LIMIT);
	buf_init(&lines, BUF_NO_LIMIT);
	/* What we have sent, not what is said to have come. Without the segment that must do. */
	if (confirm_range_read(c->env.sp, b, &batch, NULL) < 0) {
		buf_clear(&batch);
		buf_add(&batch, told);
	}
	n = confirm_range_pick(buf_slice(&batch), &told, &lines);
	known = n > 0 && n >= failed;
	if (!known) {
		buf_clear(&lines);
		confirm_range_pick(buf_slice(&batch), NULL, &lines);
		n = failed > 0 ? failed : b->events;
	}
	snprintf(reason, sizeof(reason), "failed validation%s%s%s", f->first[0] != '\0' ? ": " : "",
	    f->first, known || n >= b->events ? "" : "; the endpoint does not say which of these");
	done = confirm_reject(c, t, b, buf_slice(&lines), reason, buf_slice(&f->reasons), n);
	buf_free(&batch);
	buf_free(&lines);
	return done;
}

/* The endpoint could not be asked which. */
static void
reject_untold(
    struct confirm *c, const struct confirm_sink *t, const struct ledger_batch *b, uint64_t failed)
{
	struct confirm_failures none;

	confirm_failures_init(&none);
	confirm_reject_failed(c, t, b, failed, &none);
	confirm_failures_free(&none);
}

void
confirm_give_up(struct confirm *c, const struct confirm_sink *t, const struct ledger_batch *b)
{
	const struct confirm_todo *todo = confirm_find_todo(c, b->id);

	/* It is known not to have them: they are kept here. */
	if (todo != NULL && todo->kind == AGAIN)
		confirm_reject_error(c, t, b, todo->error_type);
	else if (todo != NULL && todo->kind == FETCH)
		reject_untold(c, t, b, todo->failed);
	else if (b->again > 0)
		reject_all(
		    c, t, b, "an error; it was sent again, and what became of that is not known");
	else if (confirm_settle(c, b, 0))
		log_warn(
		    "%s: nothing is known of batch %s (%s, %llu events) after %lld s: it counts "
		    "as uploaded, unconfirmed",
		    t->name, b->batch, b->segment, (unsigned long long)b->events,
		    (long long)t->window_s);
}
