#include "uploader/inbox.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "common/classify.h"
#include "common/clock.h"
#include "common/inbound.h"
#include "common/log.h"
#include "common/outgoing.h"
#include "common/rejected.h"
#include "common/report.h"
#include "common/report_auth.h"
#include "common/token.h"
#include "common/xalloc.h"
#include "uploader/correlate.h"
#include "uploader/inbox_fate.h"
#include "uploader/onward.h"
#include "uploader/report_event.h"

#define STEP_MS       30  /* of work in a step */
#define BATCH         128 /* reports that share an append */
#define RETRY_MS      5000
#define WAIT_POLL_MS  200
#define RECOVER_MS    2000 /* a report waits for a segment: its writer may be dead */
#define RESCAN_MS     60000
#define SCAN_AGAIN_MS 1000
#define SUMMARY_MS    60000
#define KEYS_RETRY_MS 60000
#define UNVERIFIED_US ((int64_t)3600 * 1000000) /* how long a signature's key is waited for */
#define UNVERIFIED_MS 60000                     /* between two tries */

struct item {
	char name[INBOUND_NAME_SIZE];
	int64_t not_before_ms;
	bool tried; /* its message was not in the index */
	bool is_signed;
	bool done;  /* it has gone, or is going with the batch */
	bool stays; /* it could not be moved out of the way */
};

struct counts {
	uint64_t reports, events, unmatched, unrecognised, refused, onward, rejected, unwritable;
};

struct verifying {                    /* the report whose signature is being verified */
	char name[INBOUND_NAME_SIZE]; /* "": none */
	struct inbound_file file;
};

struct inbox {
	const struct conf *conf;
	struct spool *sp;
	struct learn *learn;
	int onward_dir, inotify;
	struct rejected *rejected;
	struct report_patterns *patterns[2]; /* by enum inbound_list */
	struct report_reader *reader;
	struct classifier *rules;
	struct token_ring *ring; /* NULL: not there yet */
	struct correlate correlate;
	struct report_events events;
	struct report_auth *auth;
	struct verifying verifying;

	struct item *items; /* oldest first */
	size_t n, room;
	size_t batch[BATCH]; /* places of those that go when their events are durable */
	size_t n_batch;
	bool changed; /* there may be new ones */
	bool put;     /* something goes on */
	bool failing; /* and it has been logged */
	bool keyless; /* likewise */
	int64_t rescan_ms, scanned_ms, retry_ms, keys_ms, summary_ms;
	struct counts counts, said;
	struct buf line;
};

/* ---- what the operator is told ---- */

static void
trouble(struct inbox *in, const char *text)
{
	if (!in->failing)
		log_error("reports: %s; trying again every %d s", text, RETRY_MS / 1000);
	in->failing = true;
	in->retry_ms = clock_mono_ms() + RETRY_MS;
}

#define SINCE(member) ((unsigned long long)(in->counts.member - in->said.member))

static void
summary(struct inbox *in)
{
	if (SINCE(reports) > 0 || SINCE(rejected) > 0)
		log_info("reports: %llu read, %llu events, %llu unmatched, %llu unrecognised, "
			 "%llu not authenticated, %llu go on, %llu rejected",
		    SINCE(reports), SINCE(events), SINCE(unmatched), SINCE(unrecognised),
		    SINCE(refused), SINCE(onward), SINCE(rejected));
	if (SINCE(unwritable) > 0)
		log_error("reports: the events of %llu could not be written", SINCE(unwritable));
	in->said = in->counts;
}

static void
log_report(struct inbox *in, const char *name, const struct report_facts *f,
    const struct report_result *res, const struct onward_order *order, int64_t began_us)
{
	const struct report *r = f->report;
	const struct conf_processor *p = inbox_fate_processor(in->conf, f->env->rcpts[0].list);

	buf_clear(&in->line);
	buf_printf(&in->line, "report file=%s kind=%s", name, report_kind_name(r->kind));
	outgoing_log_value(&in->line, "format", slice_str(r->format));
	outgoing_log_value(&in->line, "to", f->env->rcpts[0].address);
	buf_printf(&in->line, " rcpts=%zu", r->n_rcpts);
	if (r->n_rcpts > 0)
		outgoing_log_value(&in->line, "rcpt", r->rcpts[0].rcpt);
	if (r->kind == REPORT_FEEDBACK)
		outgoing_log_value(&in->line, "fbtype", r->feedback_type);
	if (r->pattern != NULL && p->log_match_info)
		outgoing_log_value(&in->line, "pattern", slice_str(r->pattern));
	if (res->events > 0)
		buf_printf(&in->line, " matched_by=%s", correlate_name(res->by));
	if (f->auth != NULL)
		buf_printf(&in->line, " dkim=%s", report_auth_name(f->auth->result));
	if (res->refused)
		buf_adds(&in->line, " refused=not-authenticated");
	if (r->truncated)
		buf_adds(&in->line, " truncated=yes");
	buf_printf(&in->line, " events=%u", res->events);
	if (order->n_rcpts > 0)
		buf_printf(&in->line, " onward=%.*s:%zu", SLICE_FMT(order->why), order->n_rcpts);
	log_info("%s ms=%lld", buf_str(&in->line), (long long)(clock_wall_us() - began_us) / 1000);
}

/* ---- opening ---- */

static bool
is_verifying(const struct inbox *in)
{
	return in->verifying.name[0] != '\0';
}

static int
flush(void *arg, struct err *e)
{
	struct inbox *in = arg;
	struct report_events *re = &in->events;

	if (re->n_lines > 0 &&
	    spool_append(learn_writer(in->learn), buf_slice(&re->lines), re->n_lines, e) < 0)
		return -1;
	in->counts.events += re->n_lines;
	buf_clear(&re->lines);
	re->n_lines = 0;
	return 0;
}

/* The body-pattern-file of a processor, if it has one. */
static int
load_patterns(const struct conf_processor *p, struct report_patterns **out, struct err *e)
{
	if (!p->given || p->body_pattern_file == NULL)
		return 0;
	*out = report_patterns_load(p->body_pattern_file, e);
	return *out == NULL ? -1 : 0;
}

static int
watch(struct inbox *in, struct err *e)
{
	struct buf path;
	int rc = 0;

	in->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (in->inotify < 0)
		return err_errno(e, "inotify");
	buf_init(&path, BUF_NO_LIMIT);
	buf_printf(&path, "%s/inbound", spool_dir(in->sp));
	/* A report appears by rename: it is whole when it has its name. */
	if (inotify_add_watch(in->inotify, buf_str(&path), IN_MOVED_TO | IN_CREATE | IN_ONLYDIR) <
	    0)
		rc = err_errno(e, "watch %s", buf_str(&path));
	buf_free(&path);
	return rc;
}

static void
open_keys(struct inbox *in)
{
	struct err e;

	in->keys_ms = clock_mono_ms() + KEYS_RETRY_MS;
	in->ring = token_ring_open(in->conf->token_keys.directory, &e);
	in->correlate.ring = in->ring;
	if (in->ring == NULL && !in->keyless)
		log_warn("reports: no sealed id can be opened: %s", e.text);
	in->keyless = in->ring == NULL;
}

struct inbox *
inbox_open(const struct conf *conf, struct spool *sp, struct learn *learn, struct err *e)
{
	struct inbox *in = xcalloc(1, sizeof(*in));

	in->conf = conf;
	in->sp = sp;
	in->learn = learn;
	in->inotify = in->onward_dir = -1;
	in->changed = true;
	in->summary_ms = clock_mono_ms();
	in->rejected = rejected_open(spool_rejected_fd(sp), NULL);
	in->reader = report_open();
	buf_init(&in->line, 8192);
	correlate_init(&in->correlate, learn_index(learn), NULL);
	in->rules = classify_open(conf, e);
	report_events_init(&in->events, conf, &in->correlate, in->rules);
	in->events.flush = flush;
	in->events.arg = in;
	if (in->rules == NULL ||
	    load_patterns(&conf->bounce, &in->patterns[INBOUND_BOUNCE], e) < 0 ||
	    load_patterns(&conf->feedback, &in->patterns[INBOUND_FEEDBACK], e) < 0 ||
	    (in->onward_dir = onward_dir(sp, e)) < 0 || watch(in, e) < 0 ||
	    (in->auth = report_auth_open(conf, e)) == NULL) {
		inbox_close(in);
		return NULL;
	}
	open_keys(in);
	return in;
}

void
inbox_close(struct inbox *in)
{
	if (in == NULL)
		return;
	summary(in);
	report_auth_close(in->auth);
	if (is_verifying(in))
		inbound_close(&in->verifying.file);
	if (in->inotify >= 0)
		close(in->inotify);
	if (in->onward_dir >= 0)
		close(in->onward_dir);
	report_events_free(&in->events);
	correlate_free(&in->correlate);
	token_ring_close(in->ring);
	classify_close(in->rules);
	report_close(in->reader);
	for (size_t i = 0; i < COUNT(in->patterns); i++)
		report_patterns_free(in->patterns[i]);
	rejected_close(in->rejected);
	buf_free(&in->line);
	free(in->items);
	free(in);
}

int
inbox_fd(const struct inbox *in)
{
	return in->inotify;
}

int
inbox_auth_fd(const struct inbox *in)
{
	return report_auth_fd(in->auth);
}

/* ---- which there are ---- */

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct item *)a)->name, ((const struct item *)b)->name);
}

static struct item *
find(struct item *items, size_t n, const char *name)
{
	struct item key;

	snprintf(key.name, sizeof(key.name), "%s", name);
	return n == 0 ? NULL : bsearch(&key, items, n, sizeof(*items), by_name);
}

/* What is known of those that are there still is kept. */
static int
rescan(struct inbox *in, struct err *e)
{
	int fd = openat(spool_inbound_fd(in->sp), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct item *items = NULL, *old;
	size_t n = 0, room = 0;
	const struct dirent *d;

	if (dir == NULL) {
		err_text(e, errno, "read inbound");
		if (fd >= 0)
			close(fd);
		return -1;
	}
	while ((d = readdir(dir)) != NULL) {
		if (!inbound_is_name(d->d_name))
			continue;
		items = xgrow(items, n, &room, sizeof(*items));
		items[n] = (struct item){ 0 };
		memcpy(items[n].name, d->d_name, strlen(d->d_name) + 1); /* names have one length */
		old = find(in->items, in->n, d->d_name);
		if (old != NULL && !old->done)
			items[n] = *old;
		n++;
	}
	closedir(dir);
	if (n > 0)
		qsort(items, n, sizeof(*items), by_name);
	free(in->items);
	in->items = items;
	in->n = n;
	in->room = room;
	in->changed = false;
	return 0;
}

static bool
noticed(struct inbox *in)
{
	_Alignas(struct inotify_event) char events[16384];
	bool any = false;

	while (read(in->inotify, events, sizeof(events)) > 0)
		any = true;
	return any;
}

/* When it came, in microseconds: it is its name. */
static int64_t
came_us(const struct item *it)
{
	return (int64_t)strtoull(it->name + 4, NULL, 16);
}

/* ---- one report ---- */

static void
reject(struct inbox *in, struct item *it, const char *reason)
{
	const struct rejected_why why = { .reason = slice_str(reason),
		.segment = slice_str(it->name) };
	char name[REJECTED_NAME_SIZE];
	struct err e;

	if (faccessat(spool_inbound_fd(in->sp), it->name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
	    errno == ENOENT) {
		it->done = true;
		return;
	}
	if (rejected_take(in->rejected, spool_inbound_fd(in->sp), it->name, &why, name, &e) < 0) {
		log_error("%s stays in inbound: %s; and: %s", it->name, reason, e.text);
		it->stays = true;
		return;
	}
	log_error("%s goes to rejected/%s: %s", it->name, name, reason);
	in->counts.rejected++;
	it->done = true;
}

/* It goes when the events of the batch are durable. */
static int
end_batch(struct inbox *in, struct err *e)
{
	if (flush(in, e) < 0)
		return -1;
	for (size_t i = 0; i < in->n_batch; i++) {
		struct item *it = &in->items[in->batch[i]];

		/* Should it come back, it makes the same events again. */
		if (unlinkat(spool_inbound_fd(in->sp), it->name, 0) < 0 && errno != ENOENT) {
			log_error("remove inbound/%s: %s", it->name, strerror(errno));
			it->stays = true;
		}
		it->done = true;
	}
	in->n_batch = 0;
	return 0;
}

/* One that can't be moved stays for a while; it does not keep the others waiting. */
static int
goes_on(struct inbox *in, struct item *it, const struct onward_order *order, struct err *e)
{
	struct err why;

	if (end_batch(in, e) < 0)
		return -1;
	if (onward_put(spool_inbound_fd(in->sp), in->onward_dir, it->name, order, &why) < 0) {
		log_error("%s stays in inbound: %s", it->name, why.text);
		it->stays = true;
		return 0;
	}
	it->done = true;
	in->put = true;
	in->counts.onward++;
	return 0;
}

static void
count(struct inbox *in, const struct report_result *res)
{
	in->counts.reports++;
	in->counts.unrecognised += !res->recognised;
	in->counts.refused += res->refused;
	in->counts.unmatched += res->events > 0 && res->by == CORRELATE_NONE;
	in->counts.unwritable += res->unwritable;
}

static void
set_patterns(struct inbox *in, const struct inbound_envelope *env)
{
	const struct report_patterns *use[] = { NULL, NULL };

	for (size_t i = 0; i < env->n_rcpts; i++)
		use[env->rcpts[i].list] = in->patterns[env->rcpts[i].list];
	report_set_patterns(in->reader, use[INBOUND_BOUNCE], use[INBOUND_FEEDBACK]);
}

/* Its message may be in a segment that is open still. */
static bool
may_be_known_later(const struct inbox *in, const struct item *it)
{
	int64_t came = came_us(it);

	return learn_horizon_us(in->learn) <= came &&
	       clock_wall_us() - came < learn_wait_ms(in->learn) * 1000;
}

/* 1: it has been dealt with; 0: later; -1 and *e. */
static int
process(struct inbox *in, struct item *it, const struct inbound_file *file,
    const struct report_auth_verdict *auth, struct err *e)
{
	int64_t began_us = clock_wall_us();
	struct report_result res;
	struct onward_order order;
	struct report r;
	struct report_facts f = { it->name, &file->env, &r, auth };
	int rc;

	set_patterns(in, &file->env);
	report_read(in->reader, file->mail, &r);
	rc = report_events_make(&in->events, &f, !may_be_known_later(in, it), &res, e);
	if (rc <= 0) {
		it->tried = rc == 0;
		return rc;
	}
	inbox_fate_order(in->conf, &file->env,
	    !res.recognised || res.refused ? INBOX_UNMATCHED
	    : res.unreadable               ? INBOX_ERROR
					   : INBOX_MATCHED,
	    &order);
	if (order.n_rcpts > 0) {
		rc = goes_on(in, it, &order, e);
	} else {
		it->done = true;
		in->batch[in->n_batch++] = (size_t)(it - in->items);
	}
	if (rc > 0 || (rc == 0 && order.n_rcpts > 0)) {
		log_report(in, it->name, &f, &res, &order, began_us);
		count(in, &res);
		rc = 1;
	}
	free(order.rcpts);
	return rc;
}

/* ---- signatures ---- */

/* Most reports have none; those need no thread. */
static bool
is_signed(struct slice mail)
{
	struct slice line;

	while (slice_line(&mail, &line) && line.len > 0)
		if (slice_startsi(line, SLICE_LIT("DKIM-Signature:")))
			return true;
	return false;
}

static bool
wants_authentication(const struct inbox *in, const struct inbound_envelope *env)
{
	for (size_t i = 0; i < env->n_rcpts; i++)
		if (inbox_fate_processor(in->conf, env->rcpts[i].list)->require_authenticated)
			return true;
	return false;
}

/* A verdict has come, or not. 1: the report has been dealt with; 0; -1 and *e. */
static int
take_verdict(struct inbox *in, struct err *e)
{
	struct verifying *v = &in->verifying;
	struct report_auth_verdict verdict;
	struct item *it;
	int rc = 0;

	if (!is_verifying(in) || !report_auth_take(in->auth, &verdict))
		return 0;
	it = find(in->items, in->n, v->name);
	v->name[0] = '\0';
	if (it != NULL && !it->done) {
		if (verdict.result == REPORT_AUTH_TEMPERROR &&
		    wants_authentication(in, &v->file.env) &&
		    clock_wall_us() - came_us(it) < UNVERIFIED_US) {
			it->not_before_ms = clock_mono_ms() + UNVERIFIED_MS;
		} else {
			rc = process(in, it, &v->file, &verdict, e);
		}
	}
	inbound_close(&v->file);
	return rc;
}

/* It is asked for again. */
static void
drop_verdict(struct inbox *in)
{
	struct report_auth_verdict verdict;

	if (!is_verifying(in) || !report_auth_take(in->auth, &verdict))
		return;
	in->verifying.name[0] = '\0';
	inbound_close(&in->verifying.file);
}

/* ---- steps ---- */

/* 1, 0: not now; -1 and *e. */
static int
take(struct inbox *in, struct item *it, struct err *e)
{
	static const struct report_auth_verdict unsigned_mail = { .result = REPORT_AUTH_NONE };
	struct inbound_file file;
	struct err why;
	int rc;

	if (inbound_open(spool_inbound_fd(in->sp), it->name, &file, &why) < 0) {
		inbound_close(&file);
		reject(in, it, why.text);
		return 1;
	}
	if (is_signed(file.mail)) {
		it->is_signed = true;
		if (is_verifying(in)) {
			inbound_close(&file);
			return 0;
		}
		snprintf(in->verifying.name, sizeof(in->verifying.name), "%s", it->name);
		in->verifying.file = file;
		report_auth_begin(in->auth, file.mail);
		return 1;
	}
	rc = process(in, it, &file, &unsigned_mail, e);
	inbound_close(&file);
	return rc;
}

static bool
is_ready(const struct inbox *in, const struct item *it, int64_t now)
{
	return !it->done && !it->stays && it->not_before_ms <= now &&
	       !(it->is_signed && is_verifying(in)) && !(it->tried && may_be_known_later(in, it));
}

/* Those that have gone leave the list. */
static void
compact(struct inbox *in)
{
	size_t n = 0;

	for (size_t i = 0; i < in->n; i++)
		if (!in->items[i].done || in->items[i].stays)
			in->items[n++] = in->items[i];
	in->n = n;
}

/* 1: there is more to do at once; 0; -1 and *e. */
static int
work(struct inbox *in, int64_t now, struct err *e)
{
	bool out_of_time = false;
	int rc = take_verdict(in, e);

	for (size_t i = 0; i < in->n && rc >= 0 && !out_of_time; i++) {
		if (!is_ready(in, &in->items[i], now))
			continue;
		rc = take(in, &in->items[i], e);
		out_of_time = clock_mono_ms() - now >= STEP_MS;
		if (rc >= 0 && in->n_batch == BATCH)
			rc = end_batch(in, e);
	}
	if (rc < 0 || end_batch(in, e) < 0)
		return -1;
	compact(in);
	return out_of_time;
}

/* When the oldest of those came that wait for segments; INT64_MAX: none does. */
static int64_t
oldest_waiting_us(const struct inbox *in)
{
	for (size_t i = 0; i < in->n; i++)
		if (in->items[i].tried && may_be_known_later(in, &in->items[i]))
			return came_us(&in->items[i]);
	return INT64_MAX;
}

/* Read the segments that have been closed. */
static int
learn_for_waiting(struct inbox *in, int64_t now, struct err *e)
{
	int64_t oldest_us = oldest_waiting_us(in);
	int rc = 1;

	if (oldest_us == INT64_MAX)
		return 0;
	if (clock_wall_us() - oldest_us > RECOVER_MS * 1000)
		learn_recover(in->learn, now);
	while (rc > 0)
		if (index_begin(learn_index(in->learn), e) < 0 ||
		    (rc = learn_more(in->learn, e)) < 0 ||
		    index_commit(learn_index(in->learn), e) < 0) {
			index_rollback(learn_index(in->learn));
			return -1;
		}
	return 0;
}

static bool
anything_ready(const struct inbox *in, int64_t now)
{
	for (size_t i = 0; i < in->n; i++)
		if (is_ready(in, &in->items[i], now))
			return true;
	return false;
}

static int
step(struct inbox *in, int64_t now, struct err *e)
{
	if (now >= in->rescan_ms) {
		in->rescan_ms = now + RESCAN_MS;
		in->changed = true;
		for (size_t i = 0; i < in->n; i++)
			in->items[i].stays = false;
		if (inbound_recover(in->sp, e) < 0)
			return -1;
	}
	/* The new ones are the youngest: they need not be known before the others are done. */
	if (in->changed && (now >= in->scanned_ms + SCAN_AGAIN_MS || !anything_ready(in, now))) {
		if (rescan(in, e) < 0)
			return -1;
		in->scanned_ms = now;
	}
	if (learn_for_waiting(in, now, e) < 0)
		return -1;
	return work(in, now, e);
}

/* Back to what is on disk. */
static void
give_back(struct inbox *in)
{
	for (size_t i = 0; i < in->n_batch; i++)
		in->items[in->batch[i]].done = false;
	in->n_batch = 0;
	buf_clear(&in->events.lines);
	in->events.n_lines = 0;
	in->changed = true;
}

static int64_t
next_step(const struct inbox *in, int64_t now)
{
	if (in->changed)
		return now;
	if (oldest_waiting_us(in) != INT64_MAX)
		return now + WAIT_POLL_MS;
	return now + (in->n > 0 ? RETRY_MS : RESCAN_MS);
}

int64_t
inbox_step(struct inbox *in, bool *onward)
{
	int64_t now = clock_mono_ms();
	struct err e;
	int more;

	*onward = false;
	if (noticed(in))
		in->changed = true;
	if (now < in->retry_ms) {
		drop_verdict(in);
		return in->retry_ms;
	}
	if (in->ring == NULL && now >= in->keys_ms)
		open_keys(in);
	in->put = false;
	more = step(in, now, &e);
	*onward = in->put;
	if (more < 0) {
		trouble(in, e.text);
		give_back(in);
		return in->retry_ms;
	}
	if (in->failing)
		log_info("reports: goes on");
	in->failing = false;
	if (now - in->summary_ms >= SUMMARY_MS) {
		summary(in);
		in->summary_ms = now;
	}
	return more > 0 ? now : next_step(in, now);
}
