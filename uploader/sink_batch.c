/*
 * sink_batch.c - a batch's way through a slot: made in a worker, and, when it has been
 * dealt with, into the ledger.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/event.h"
#include "common/file.h"
#include "common/lines.h"
#include "common/log.h"
#include "uploader/sink.h"

#define ALL_EVENTS  ((uint64_t)1 << 40)
#define KEPT_LINE   ((uint64_t)1 << 20) /* of a line that is longer, this much is kept */
#define DETAILS_MAX 60000

void
slot_free_up(struct slot *t)
{
	t->stage = SLOT_FREE;
	t->max_events = 0;
	t->refusals = 0;
	t->small = false;
	buf_free(&t->batch.body);
}

/* It can't be taken now, others can. Said once. */
static void
pass_over(struct slot *t, const char *why)
{
	struct sink *k = t->sink;

	if (sinks_tell(k->all, t->seg.name))
		log_error("%s/events/%s %s", spool_dir(k->all->env.sp), t->seg.name, why);
	k->passed_over = true;
	slot_free_up(t);
}

static void
run(struct worker_job *job)
{
	struct slot *t = (struct slot *)(void *)job;

	batch_make(&t->batch, &t->ask);
	if (t->to_file && t->batch.state == BATCH_READY)
		sink_file_write(t);
}

void
slot_prepare(struct slot *t)
{
	struct sink *k = t->sink;
	int64_t wait;
	struct err e;

	if (t->max_events == 0)
		t->max_events = ALL_EVENTS;
	t->ask = (struct batch_ask){
		.dirfd = spool_events_fd(k->all->env.sp),
		.offset = t->seg.offset,
		.max_bytes = k->max_bytes,
		.max_events = t->max_events,
		.oldest_s = k->conf.max_event_age_s == CONF_UNLIMITED
		                ? INT64_MIN
		                : clock_wall_s() - (int64_t)k->conf.max_event_age_s,
		.flat = k->conf.flat,
		.gzip = k->conf.gzip,
	};
	memcpy(t->ask.name, t->seg.name, sizeof(t->ask.name));
	t->began_ms = clock_mono_ms();
	t->to_file = k->conf.type == CONF_SINK_FILE;
	if (t->to_file && sink_file_place(t, &e) < 0) {
		wait = sink_failed(k, t, &backoff_normal, 0);
		log_error("%s kept: sink %s: %s; next try in %lld s", t->seg.name, k->name, e.text,
		    (long long)(wait + 999) / 1000);
		t->stage = SLOT_READY;
		return;
	}
	t->stage = SLOT_PREPARING;
	t->job.run = run;
	t->job.owner = k->all;
	workers_start(k->all->env.workers, &t->job);
}

/* What is known before it is sent. */
static void
begin_outcome(struct slot *t)
{
	t->out = (struct outcome){ 0 };
	t->out.fates[LEDGER_REJECTED] = t->batch.n_bad;
	t->out.fates[LEDGER_EXPIRED] = t->batch.expired;
}

void
slot_prepared(struct slot *t)
{
	char why[400];

	if (t->sink->leaving) {
		slot_free_up(t);
		return;
	}
	switch (t->batch.state) {
	case BATCH_GONE:
		snprintf(why, sizeof(why),
		    "has vanished with %llu events that sink %s has not taken: the ledger does not "
		    "add up until it is back, or written off",
		    (unsigned long long)(t->seg.events - t->seg.taken), t->sink->name);
		pass_over(t, why);
		return;
	case BATCH_FAILED:
		snprintf(why, sizeof(why), "can't be sent now: %.300s", t->batch.why.text);
		pass_over(t, why);
		return;
	case BATCH_NOTHING:
		begin_outcome(t);
		t->stage = SLOT_SETTLING;
		return;
	case BATCH_READY:
		break;
	}
	begin_outcome(t);
	t->made_ms = clock_mono_ms();
	if (t->to_file)
		sink_file_written(t);
	else
		t->stage = SLOT_READY;
}

/* ---- what is refused ---- */

static int
keep_line(struct rejected *r, int fd, const struct batch_bad *bad, struct err *e)
{
	uint64_t len = bad->len < KEPT_LINE ? bad->len : KEPT_LINE;

	if (rejected_write_range(r, fd, bad->offset, bad->offset + len, e) < 0)
		return -1;
	return rejected_write(r, SLICE_LIT("\n"), e);
}

/* Lines that are no events: the spool's own refusal, the same whichever sink finds them. */
static int
keep_bad(struct slot *t, int fd, struct err *e)
{
	struct rejected *r = t->sink->all->env.rejected;
	const struct batch *b = &t->batch;
	struct rejected_why why = { .segment = slice_str(t->seg.name), .events = b->n_bad };
	char name[REJECTED_NAME_SIZE];
	struct buf details;
	int rc;

	rejected_name(t->seg.name, SLICE_LIT(""), b->bad[0].offset, name);
	if (rejected_begin(r, name, e) < 0)
		return -1;
	buf_init(&details, DETAILS_MAX);
	for (size_t i = 0; i < b->n_bad; i++) {
		if (keep_line(r, fd, &b->bad[i], e) < 0) {
			rejected_abandon(r);
			buf_free(&details);
			return -1;
		}
		buf_printf(&details, "byte %llu: %s\n", (unsigned long long)b->bad[i].offset,
		    b->bad[i].why);
		why.bytes += b->bad[i].len + 1;
	}
	why.reason = slice_str(b->bad[0].why);
	why.details = buf_slice(&details);
	rc = rejected_commit(r, &why, e);
	buf_free(&details);
	return rc;
}

/* Of the lines that a batch was made of, those that were in it. */
static int
write_batch_lines(struct slot *t, int fd, struct err *e)
{
	struct rejected *r = t->sink->all->env.rejected;
	struct buf store;
	struct lines lines;
	struct line line;
	struct event ev;
	int rc;

	buf_init(&store, EVENT_LINE_MAX);
	lines_open(&lines, fd, t->batch.offset);
	while ((rc = lines_next(&lines, &line, e)) > 0 && line.next <= t->batch.end) {
		if (line.too_long || event_read(line.text, &ev, &store, NULL) < 0 ||
		    ev.timestamp < t->ask.oldest_s)
			continue;
		if (rejected_write(r, line.text, e) < 0 ||
		    rejected_write(r, SLICE_LIT("\n"), e) < 0) {
			rc = -1;
			break;
		}
	}
	lines_close(&lines);
	buf_free(&store);
	return rc < 0 ? -1 : 0;
}

static int
keep_refused(struct slot *t, int fd, struct err *e)
{
	struct rejected *r = t->sink->all->env.rejected;
	struct rejected_why why = {
		.sink = slice_str(t->sink->name),
		.reason = slice_str(t->out.reason),
		.segment = slice_str(t->seg.name),
		.events = t->batch.events,
	};
	char name[REJECTED_NAME_SIZE];

	rejected_name(t->seg.name, slice_str(t->sink->name), t->batch.offset, name);
	if (rejected_begin(r, name, e) < 0)
		return -1;
	if (write_batch_lines(t, fd, e) < 0) {
		rejected_abandon(r);
		return -1;
	}
	return rejected_commit(r, &why, e);
}

int
slot_keep_rejected(struct slot *t, struct err *e)
{
	int fd, rc = 0;

	if (t->batch.n_bad == 0 && !t->out.refused)
		return 0;
	fd = file_open_regular(t->ask.dirfd, t->ask.name, e);
	if (fd < 0)
		return -1;
	if (t->batch.n_bad > 0)
		rc = keep_bad(t, fd, e);
	if (rc == 0 && t->out.refused)
		rc = keep_refused(t, fd, e);
	close(fd);
	return rc;
}

/* ---- into the ledger ---- */

/*
 * Fewer events than were counted, and nothing is behind them: lines that ran into one
 * another are in what is rejected; a file that is shorter than it was has lost them.
 */
static void
judge_end(struct slot *t)
{
	struct outcome *o = &t->out;
	int64_t size = batch_size(t->ask.dirfd, t->ask.name);
	uint64_t taken = t->seg.taken;

	for (size_t i = 0; i < LEDGER_FATES; i++)
		taken += o->fates[i];
	o->done = t->batch.at_end && (size < 0 || (uint64_t)size <= t->batch.end);
	o->grew = taken > t->seg.events;
	if (!o->done || taken >= t->seg.events)
		return;
	if (t->batch.size >= t->seg.bytes) {
		o->fates[LEDGER_REJECTED] += t->seg.events - taken;
		return;
	}
	o->done = false;
	o->lost = t->seg.events - taken;
}

int
slot_settle(struct slot *t, bool *gone, struct err *e)
{
	struct ledger *l = t->sink->all->env.ledger;
	struct outcome *o = &t->out;
	struct ledger_segment now;
	int rc = ledger_find(l, t->sink->id, t->seg.name, &now, e);

	*gone = false;
	if (rc < 0)
		return -1;
	/* Purged, or begun anew, while it was under way. */
	o->void_ = rc == 0 || now.gone || now.done || now.offset != t->batch.offset;
	if (o->void_)
		return 0;
	judge_end(t);
	if (o->tried.at_s != 0) {
		o->tried.status = o->status;
		if (ledger_tried(l, t->sink->id, &o->tried, e) < 0)
			return -1;
	}
	if (o->archived && ledger_set_archive(l, t->sink->id, &o->archive, e) < 0)
		return -1;
	if (o->id[0] != '\0' && o->fates[LEDGER_UPLOADED] > 0 &&
	    confirm_sent(t->sink->all->env.confirm, t->sink->id, t->seg.name, t->batch.offset,
		t->batch.end, o->fates[LEDGER_UPLOADED], o->id, e) < 0)
		return -1;
	o->held = o->done && confirm_holds(t->sink->all->env.confirm, t->sink->id, t->seg.name);
	rc = ledger_advance(
	    l, t->sink->id, t->seg.name, t->batch.end, o->done && !o->held, o->fates, e);
	*gone = rc > 0;
	return rc < 0 ? -1 : 0;
}

static const char *
plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

static void
say_left_out(const struct slot *t)
{
	const struct batch *b = &t->batch;

	if (b->n_bad > 0)
		log_warn("%s: %zu line%s went to rejected/, no valid event%s: %s", t->seg.name,
		    b->n_bad, plural(b->n_bad), plural(b->n_bad), b->bad[0].why);
	if (b->expired > 0)
		log_warn("%s: %llu event%s older than max-event-age, not sent to %s", t->seg.name,
		    (unsigned long long)b->expired, plural(b->expired), t->sink->name);
	if (t->out.refused)
		log_error("%s: %llu event%s refused by %s, now in rejected/: %s", t->seg.name,
		    (unsigned long long)b->events, plural(b->events), buf_str(&t->host),
		    t->out.reason);
}

void
slot_settled(struct slot *t, bool gone)
{
	struct sinks *s = t->sink->all;
	struct outcome *o = &t->out;
	char why[200];

	if (o->void_) {
		t->sink->passed_over = true; /* what the ledger says now counts */
		slot_free_up(t);
		return;
	}
	s->gone = s->gone || gone;
	say_left_out(t);
	if (s->env.transfers->verbose && o->id[0] != '\0')
		log_info("%s: %s calls it batch %s", t->seg.name, buf_str(&t->host), o->id);
	for (size_t i = 0; i < LEDGER_FATES; i++)
		t->seg.taken += o->fates[i];
	if (t->seg.events < t->seg.taken)
		t->seg.events = t->seg.taken;
	t->seg.offset = t->batch.end;
	t->sent = t->sent || o->fates[LEDGER_UPLOADED] > 0;
	if (o->grew)
		sinks_entered(s);
	if (o->done) {
		if (s->reports == t->sink && t->sent)
			transfer_log_transferred(s->env.transfers, t->seg.name);
		slot_free_up(t);
	} else if (o->lost > 0) {
		snprintf(why, sizeof(why),
		    "has become shorter, and %llu events that it had are not there: the ledger "
		    "does not add up until they are back, or written off",
		    (unsigned long long)o->lost);
		pass_over(t, why);
	} else {
		if (t->max_events < ALL_EVENTS && !t->small)
			t->max_events *= 2;
		slot_prepare(t);
	}
}
