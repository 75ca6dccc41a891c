#include "uploader/loop.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/daemon.h"
#include "common/file.h"
#include "common/hash.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "uploader/answer.h"
#include "uploader/backoff.h"
#include "uploader/batch.h"
#include "uploader/jobs.h"
#include "uploader/report.h"
#include "uploader/scan.h"
#include "uploader/upload.h"

#define LEARN_RETRY_MS   5000   /* the index can't take a segment now */
#define LEARN_GIVE_UP_MS 600000 /* events are worth more than what could be joined to them */

struct loop {
	struct conf *conf;
	struct spool *sp;
	struct scan scan;
	struct upload *up;
	struct jobs *jobs;
	struct report report;
	int signals; /* signalfd */
	bool stop;
	bool said_idle;       /* that there is nowhere to send to */
	bool scan_failed;     /* and it has been logged */
	int64_t unlearned_ms; /* since when the index takes no segment; 0: it does */
	int64_t interval_ms;  /* when the next interval begins */

	/* what is under way */
	char name[SPOOL_NAME_SIZE];
	struct buf body;
	struct buf host, secret; /* as they were when it began: a reload may change them */
	struct stat file;

	/* the endpoint's trouble */
	struct backoff backoff;
	int64_t not_before_ms;
	bool down; /* it, not one batch, is what failed last */
};

static void
plain_line(const char *text)
{
	log_plain("%s", text);
}

static int
open_signals(struct err *e)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return err_errno(e, "signals");
	signal(SIGPIPE, SIG_IGN);
	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return fd < 0 ? err_errno(e, "signalfd") : fd;
}

struct loop *
loop_open(struct conf *conf, struct spool *sp, struct err *e)
{
	struct loop *l = xcalloc(1, sizeof(*l));

	l->sp = sp;
	l->scan.inotify = -1;
	buf_init(&l->body, BATCH_BODY_MAX);
	buf_init(&l->host, 300);
	buf_init(&l->secret, BUF_NO_LIMIT);
	report_init(&l->report, conf->signals.log_verbose, plain_line);
	l->signals = open_signals(e);
	if (l->signals < 0 || scan_open(&l->scan, sp, e) < 0 || (l->up = upload_open(e)) == NULL) {
		loop_close(l);
		return NULL;
	}
	/* They have a thread, which libcurl's set-up must not meet. */
	if ((l->jobs = jobs_open(conf, sp, e)) == NULL) {
		loop_close(l);
		return NULL;
	}
	l->conf = conf;
	return l;
}

void
loop_close(struct loop *l)
{
	if (l == NULL)
		return;
	jobs_close(l->jobs);
	upload_close(l->up);
	scan_close(&l->scan);
	if (l->signals >= 0)
		close(l->signals);
	buf_free(&l->body);
	buf_free(&l->host);
	buf_free(&l->secret);
	conf_free(l->conf);
	free(l);
}

static uint32_t
random_number(void)
{
	uint32_t r;

	hash_random(&r, sizeof(r));
	return r;
}

/* Where to send; false: nowhere. */
static bool
target(const struct loop *l, struct upload_target *t)
{
	const struct conf_signals *s = &l->conf->signals;

	*t = (struct upload_target){ s->upload_url, s->api_key, s->ca_file };
	return s->given && s->api_key != NULL && s->upload_url != NULL;
}

/* ---- the spool ---- */

static void
found(void *arg, const char *name)
{
	struct loop *l = arg;

	report_found(&l->report, name);
}

static void
recovered(void *arg, const char *text)
{
	(void)arg;
	log_warn("%s", text);
}

static void
stranger(void *arg, const char *name)
{
	struct loop *l = arg;

	log_warn("%s/events/%s is no segment and stays there", spool_dir(l->sp), name);
}

/* A directory that can't be read is logged when that begins, not at each try. */
static void
read_spool(struct loop *l)
{
	struct err e;

	if (scan_read(&l->scan, found, l, &e) == 0) {
		l->scan_failed = false;
		return;
	}
	if (!l->scan_failed)
		log_error("%s; trying again each interval", e.text);
	l->scan_failed = true;
}

/* The segment that has been taken goes, and its going is made durable. */
static int
remove_segment(struct loop *l, const char *name, struct err *e)
{
	if (unlinkat(spool_events_fd(l->sp), name, 0) < 0 && errno != ENOENT)
		return err_errno(e, "remove %s/events/%s", spool_dir(l->sp), name);
	jobs_gone(l->jobs, name);
	return file_sync_dir(spool_events_fd(l->sp), spool_dir(l->sp), e);
}

/* What has been transferred and could not be removed. */
static void
remove_sent(struct loop *l)
{
	for (size_t i = l->scan.n; i-- > 0;) {
		struct scan_item *item = &l->scan.items[i];

		if (item->state == SCAN_SENT && remove_segment(l, item->name, NULL) == 0)
			scan_remove(&l->scan, item);
	}
}

static void
retry_bad(struct loop *l)
{
	for (size_t i = 0; i < l->scan.n; i++)
		if (l->scan.items[i].state == SCAN_BAD)
			l->scan.items[i].state = SCAN_WAITS;
}

static void
interval(struct loop *l, int64_t now)
{
	struct upload_target t;
	struct err e;

	l->interval_ms = now + (int64_t)l->conf->signals.upload_interval_s * 1000;
	if (spool_recover(l->sp, recovered, NULL, &e) < 0)
		log_error("%s", e.text);
	read_spool(l);
	if (scan_strangers(&l->scan, stranger, l, &e) < 0 && !l->scan_failed)
		log_error("%s", e.text);
	remove_sent(l);
	if (target(l, &t))
		report_interval(&l->report, scan_waiting(&l->scan));
}

/* ---- sending ---- */

/* Make the batch for `item` and begin to send it; an item that can't be sent is dealt with. */
static void
start(struct loop *l, struct scan_item *item, const struct upload_target *t)
{
	struct err e;

	switch (batch_make(spool_events_fd(l->sp), item->name, &l->body, &l->file, &e)) {
	case BATCH_GONE:
		scan_remove(&l->scan, item);
		return;
	case BATCH_BAD:
		log_error("%s/events/%s can't be sent and stays there: %s", spool_dir(l->sp),
		    item->name, e.text);
		item->state = SCAN_BAD;
		return;
	case BATCH_EMPTY:
		log_info("%s holds no events: removed", item->name);
		if (remove_segment(l, item->name, &e) < 0) {
			log_error("%s", e.text);
			item->state = SCAN_SENT;
			return;
		}
		scan_remove(&l->scan, item);
		return;
	case BATCH_READY:
		break;
	}
	memcpy(l->name, item->name, sizeof(l->name));
	buf_clear(&l->host);
	upload_host(t->url, &l->host);
	buf_clear(&l->secret);
	buf_adds(&l->secret, t->api_key);
	if (upload_start(l->up, t, buf_slice(&l->body), &e) < 0) {
		int64_t wait = backoff_next(&l->backoff, &backoff_slow, 0, random_number());

		l->not_before_ms = clock_mono_ms() + wait;
		log_error("%s kept: %s; next try in %lld s", item->name, e.text,
		    (long long)(wait + 999) / 1000);
	}
}

/*
 * What is in the segment must be in the index before it goes. An index that
 * can't be written holds uploads up, but not for ever.
 */
static bool
learned(struct loop *l, const char *name, int64_t now)
{
	struct err e;

	if (jobs_before_upload(l->jobs, name, &e) == 0) {
		l->unlearned_ms = 0;
		return true;
	}
	if (l->unlearned_ms == 0) {
		log_error("%s waits: %s", name, e.text);
		l->unlearned_ms = now;
	}
	if (now - l->unlearned_ms < LEARN_GIVE_UP_MS)
		return false;
	log_error("%s is uploaded without being in the index: %s", name, e.text);
	return true;
}

/* Start the next transfer if there is one to start. Returns when to come back, monotonic. */
static int64_t
send_next(struct loop *l, int64_t now)
{
	struct upload_target t;
	struct scan_item *item;
	int64_t wake = INT64_MAX;

	if (upload_busy(l->up))
		return INT64_MAX;
	if (!target(l, &t)) {
		if (!l->said_idle)
			log_warn("there is no <signals> block with an api-key: events are kept in "
				 "%s/events, nothing is uploaded",
			    spool_dir(l->sp));
		l->said_idle = true;
		return INT64_MAX;
	}
	if (now >= l->not_before_ms && (item = scan_next(&l->scan, now, &wake)) != NULL) {
		if (!learned(l, item->name, now))
			return now + LEARN_RETRY_MS;
		start(l, item, &t);
		/* One a turn, also of those that are not sent: signals are not kept waiting. */
		return upload_busy(l->up) ? INT64_MAX : now;
	}
	report_round(&l->report, scan_waiting(&l->scan));
	if (now < l->not_before_ms && scan_waiting(&l->scan) > 0)
		return l->not_before_ms;
	return wake;
}

/* The endpoint has it. `item` is NULL if somebody removed the segment meanwhile. */
static void
taken(struct loop *l, struct scan_item *item, const struct answer *a)
{
	struct err e;

	if (l->down)
		log_info("%s takes events again", buf_str(&l->host));
	l->down = false;
	backoff_reset(&l->backoff);
	l->not_before_ms = 0;
	report_transferred(&l->report, l->name);
	if (l->report.verbose)
		log_info("%s: %s calls it batch %s", l->name, buf_str(&l->host), a->id);
	if (item == NULL)
		return;
	if (!batch_unchanged(spool_events_fd(l->sp), l->name, &l->file)) {
		log_warn("%s was written to while it was sent: it will be sent again", l->name);
		item->not_before_ms = clock_mono_ms() + backoff_next(&item->backoff,
							    &backoff_normal, 1, random_number());
		return;
	}
	if (remove_segment(l, l->name, &e) == 0) {
		scan_remove(&l->scan, item);
		return;
	}
	log_error("%s; it has been transferred and is not sent again", e.text);
	item->state = SCAN_SENT;
}

/* Say why a segment is kept, what the operator should do, and when the next try is. */
static void
log_kept(
    const struct loop *l, const struct upload_result *r, const struct answer *a, int64_t wait_ms)
{
	enum log_level level = a->verdict == ANSWER_LATER ? LOG_LEVEL_WARN : LOG_LEVEL_ERROR;
	struct buf why;

	buf_init(&why, sizeof(r->error.text) + 1000);
	if (r->status == 0)
		buf_adds(&why, r->error.text);
	else
		buf_printf(&why, "HTTP %ld", r->status);
	if (a->quote[0] != '\0')
		buf_printf(&why, " \"%s\"", a->quote);
	if (a->advice != NULL)
		buf_printf(&why, " (%s)", a->advice);
	log_line(level, "%s kept: %s: %s; next try in %lld s", l->name, buf_str(&l->host),
	    buf_str(&why), (long long)(wait_ms + 999) / 1000);
	buf_free(&why);
}

/* It stays. Trouble with this batch holds up this batch; all other trouble holds up all. */
static void
not_taken(
    struct loop *l, struct scan_item *item, const struct upload_result *r, const struct answer *a)
{
	bool batch = a->verdict == ANSWER_BATCH;
	const struct backoff_range *range =
	    a->verdict == ANSWER_SLOW ? &backoff_slow : &backoff_normal;
	int64_t wait =
	    backoff_next(&l->backoff, range, batch ? 0 : r->retry_after_s, random_number());
	int64_t now = clock_mono_ms();

	l->not_before_ms = now + wait;
	l->down = l->down || !batch;
	if (batch && item != NULL) {
		wait = backoff_next(&item->backoff, range, r->retry_after_s, random_number());
		item->not_before_ms = now + wait;
	}
	log_kept(l, r, a, wait);
}

static void
finished(struct loop *l, const struct upload_result *r)
{
	struct scan_item *item = scan_find(&l->scan, l->name);
	struct answer a = { .verdict = ANSWER_LATER };

	if (r->status != 0)
		answer_read(r->status, buf_slice(&r->body), buf_slice(&l->secret), &a);
	else if (r->tls)
		a.advice = "check ca-file, the clock, and the name in upload-url";
	if (a.verdict == ANSWER_DONE)
		taken(l, item, &a);
	else
		not_taken(l, item, r, &a);
	buf_free(&l->body);
}

/* ---- signals ---- */

/* The jobs' settings are their own for as long as they are open. */
static bool
reopen_jobs(struct loop *l, const struct conf *new, struct err *e)
{
	struct jobs *jobs = jobs_open(new, l->sp, e);

	if (jobs == NULL)
		return false;
	jobs_close(l->jobs);
	l->jobs = jobs;
	return true;
}

static void
reload(struct loop *l)
{
	struct err e;
	struct conf *new;

	daemon_reloading(true);
	new = conf_load(l->conf->file, &e);
	if (new == NULL || !reopen_jobs(l, new, &e)) {
		log_error("%s; the old configuration stays in force", e.text);
		conf_free(new);
	} else {
		if (strcmp(new->spool.directory, l->conf->spool.directory) != 0)
			log_warn("the spool is still %s: another directory needs a restart",
			    l->conf->spool.directory);
		conf_free(l->conf);
		l->conf = new;
		l->report.verbose = new->signals.log_verbose;
		l->said_idle = false;
		/* Whatever was wrong may have been put right. */
		backoff_reset(&l->backoff);
		l->not_before_ms = 0;
		l->interval_ms = clock_mono_ms();
		retry_bad(l);
		daemon_log(new);
		log_info("configuration %s read again", new->file);
	}
	daemon_reloading(false);
}

static void
take_signals(struct loop *l)
{
	struct signalfd_siginfo si;
	bool again = false;

	while (read(l->signals, &si, sizeof(si)) == sizeof(si)) {
		if (si.ssi_signo == SIGHUP || si.ssi_signo == SIGUSR1)
			again = true;
		else
			l->stop = true;
	}
	if (again && !l->stop)
		reload(l);
}

/* ---- the loop ---- */

static int
timeout_ms(const struct loop *l, int64_t wake, int64_t now)
{
	unsigned watchdog = daemon_watchdog_ms();
	int64_t wait;

	if (l->interval_ms < wake)
		wake = l->interval_ms;
	wait = wake > now ? wake - now : 0;
	if (watchdog > 0 && wait > watchdog)
		wait = watchdog;
	return wait < 3600 * 1000 ? (int)wait : 3600 * 1000;
}

static int
turn(struct loop *l, struct err *e)
{
	struct pollfd fds[] = { { l->signals, POLLIN, 0 }, { l->scan.inotify, POLLIN, 0 },
		{ jobs_fd(l->jobs), POLLIN, 0 } };
	const struct upload_result *result;
	int64_t now = clock_mono_ms(), wake, jobs_wake;

	if (now >= l->interval_ms)
		interval(l, now);
	wake = send_next(l, now);
	jobs_wake = jobs_step(l->jobs);
	wake = jobs_wake < wake ? jobs_wake : wake;
	if (upload_poll(l->up, fds, COUNT(fds), timeout_ms(l, wake, now), e) < 0)
		return -1;
	if (daemon_watchdog_ms() > 0)
		daemon_alive();
	if (scan_changed(&l->scan))
		read_spool(l);
	result = upload_result(l->up);
	if (result != NULL)
		finished(l, result);
	take_signals(l);
	return 0;
}

int
loop_run(struct loop *l, struct err *e)
{
	while (!l->stop)
		if (turn(l, e) < 0)
			return -1;
	report_end(&l->report, scan_waiting(&l->scan));
	return 0;
}
