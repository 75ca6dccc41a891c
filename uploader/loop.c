#include "uploader/loop.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/daemon.h"
#include "common/file.h"
#include "common/ledger.h"
#include "common/log.h"
#include "common/rejected.h"
#include "common/spool_sweep.h"
#include "common/xalloc.h"
#include "uploader/confirm.h"
#include "uploader/enter.h"
#include "uploader/jobs.h"
#include "uploader/scan.h"
#include "uploader/sinks.h"
#include "uploader/space.h"
#include "uploader/transfer_log.h"
#include "uploader/upload.h"
#include "uploader/workers.h"

#define LEARN_GIVE_UP_MS   600000 /* events are worth more than what could be joined to them */
#define EMPTY_AGE_S        60     /* before a segment without events is removed */
#define RETRY_MS           2000   /* the ledger can't be written */
#define CHECK_MS           600000
#define CHECK_AT_START_MAX 20000 /* segments */
#define FORGET_MAX         64    /* segments whose files have gone, between two transactions */
#define THREADS_MIN        3 /* one that hangs in a sink's file system does not stop the others */
#define THREADS_MAX        6

struct loop {
	struct conf *conf;
	struct spool *sp;
	struct scan scan;
	struct upload *up;
	struct jobs *jobs;
	struct ledger *ledger;
	struct rejected *rejected;
	struct workers *workers;
	struct enter enter;
	struct confirm *confirm;
	struct sinks sinks;
	struct space space;
	struct transfer_log transfers;
	int signals; /* signalfd */
	bool stop;
	bool said_idle;       /* that there is nowhere to send to */
	bool scan_failed;     /* and it has been logged */
	bool remove_failed;   /* the same */
	bool ledger_failed;   /* the same */
	bool again;           /* all of it has to be opened anew */
	int64_t unlearned_ms; /* since when the index takes no segment; 0: it does */
	int64_t interval_ms;  /* when the next interval begins */
	int64_t check_ms;     /* when the ledger is compared with the disk again */
	int64_t enter_ms;     /* the ledger takes nothing new before then */
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

static bool may_go(void *arg, const char *segment);

/* A confirmed batch was the last that a segment was kept for. */
static void
gone(void *arg)
{
	struct loop *l = arg;

	l->sinks.gone = true;
}

static bool
release(void *arg, const char *segment)
{
	struct loop *l = arg;

	return sinks_release(&l->sinks, segment);
}

static struct ledger *
open_ledger(const char *dir, struct err *e)
{
	struct err said;
	struct ledger *ledger = ledger_open_anew(dir, &said, e);

	if (said.text[0] != '\0')
		log_error("%s", said.text);
	return ledger;
}

static unsigned
threads(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < THREADS_MIN ? THREADS_MIN : n > THREADS_MAX ? THREADS_MAX : (unsigned)n;
}

/* In this order: libcurl's set-up must not meet a thread. */
static int
open_parts(struct loop *l, struct conf *conf, struct err *e)
{
	l->signals = open_signals(e);
	if (l->signals < 0 || scan_open(&l->scan, l->sp, e) < 0 ||
	    (l->up = upload_open(e)) == NULL ||
	    (l->ledger = open_ledger(spool_dir(l->sp), e)) == NULL ||
	    (l->workers = workers_open(threads(), e)) == NULL)
		return -1;
	l->rejected = rejected_open(spool_rejected_fd(l->sp), NULL);
	l->confirm = confirm_open(&(struct confirm_env){ .ledger = l->ledger,
				      .sp = l->sp,
				      .rejected = l->rejected,
				      .up = l->up,
				      .gone = gone,
				      .arg = l },
	    e);
	if (l->confirm == NULL)
		return -1;
	enter_init(&l->enter, spool_events_fd(l->sp));
	sinks_init(&l->sinks, &(struct sinks_env){ .sp = l->sp,
				  .ledger = l->ledger,
				  .up = l->up,
				  .workers = l->workers,
				  .rejected = l->rejected,
				  .confirm = l->confirm,
				  .transfers = &l->transfers,
				  .may_go = may_go,
				  .arg = l });
	space_init(&l->space, l->sp, l->ledger, release, l);
	if ((l->jobs = jobs_open(conf, l->sp, e)) == NULL)
		return -1;
	return sinks_configure(&l->sinks, conf, e);
}

static void
limit_rejected(struct loop *l, const struct conf *conf)
{
	rejected_set_limits(
	    l->rejected, &(struct rejected_limits){ .max_bytes = conf->spool.rejected_max_size,
			     .max_files = conf->spool.rejected_max_files,
			     .max_age_s = (int64_t)conf->spool.rejected_max_age_s });
}

/* What was there before is discovered again. */
static void
report_known(struct loop *l)
{
	struct ledger_segment seg = { 0 };
	size_t n = sinks_waiting(&l->sinks);

	if (!l->transfers.verbose)
		l->transfers.discovered += n;
	else
		while (ledger_next(l->ledger, 0, seg.id, &seg, NULL) > 0)
			transfer_log_found(&l->transfers, seg.name);
}

struct loop *
loop_open(struct conf *conf, struct spool *sp, struct err *e)
{
	struct loop *l = xcalloc(1, sizeof(*l));

	l->sp = sp;
	l->scan.inotify = l->signals = -1;
	transfer_log_init(&l->transfers, conf->signals.log_verbose, plain_line);
	if (open_parts(l, conf, e) < 0) {
		loop_close(l);
		return NULL;
	}
	l->conf = conf;
	limit_rejected(l, conf);
	report_known(l);
	return l;
}

void
loop_close(struct loop *l)
{
	if (l == NULL)
		return;
	/* The ledger has what is known; what hangs must not find its memory gone. */
	if (!workers_close(l->workers)) {
		log_warn("a sink's file system does not answer: ended without it");
		_exit(l->again ? EX_TEMPFAIL : EX_OK);
	}
	jobs_close(l->jobs);
	confirm_close(l->confirm);
	upload_close(l->up);
	sinks_free(&l->sinks);
	rejected_close(l->rejected);
	ledger_close(l->ledger);
	scan_close(&l->scan);
	if (l->signals >= 0)
		close(l->signals);
	conf_free(l->conf);
	free(l);
}

struct conf *
loop_end(struct loop *l)
{
	struct conf *conf = l->conf;

	l->conf = NULL;
	loop_close(l);
	return conf;
}

/* ---- the spool ---- */

/* What can't be dealt with comes again each interval: said once. */
static void
recovered(void *arg, const char *text)
{
	struct loop *l = arg;
	char start[SPOOL_NAME_SIZE];

	snprintf(start, sizeof(start), "%s", text);
	if (strstr(text, ": left alone: ") == NULL || sinks_tell(&l->sinks, start))
		log_warn("%s", text);
}

/* What has no business in the spool goes to rejected/; what is too much or too old there goes. */
static void
tidy(struct loop *l)
{
	struct rejected_dropped dropped;
	struct err e;

	if (spool_sweep(l->sp, l->rejected, recovered, l, &e) < 0 && !l->scan_failed)
		log_error("%s", e.text);
	if (rejected_trim(l->rejected, &e) < 0)
		log_error("%s", e.text);
	if (rejected_take_dropped(l->rejected, &dropped))
		log_warn("rejected/: %llu file%s with %llu lines had to go for its limits; they "
			 "stay counted as rejected",
		    (unsigned long long)dropped.files, dropped.files == 1 ? "" : "s",
		    (unsigned long long)dropped.events);
}

static int
known(void *arg, const char *name)
{
	struct loop *l = arg;

	return ledger_known(l->ledger, name, NULL);
}

/* A directory that can't be read is logged when that begins, not at each try. */
static void
read_spool(struct loop *l, bool all)
{
	struct err e;
	bool together;
	int rc;

	if (l->enter.busy || l->enter.counted) {
		l->scan.unread = l->scan.unread || all;
		return;
	}
	/* The ledger is asked about each name: one lock for all questions. */
	together = (all || scan_wants(&l->scan)) && ledger_begin(l->ledger, NULL) == 0;
	rc = scan_read(&l->scan, all, known, l, &e);
	if (together)
		ledger_rollback(l->ledger);
	if (rc == 0) {
		l->scan_failed = false;
		return;
	}
	if (!l->scan_failed)
		log_error("%s; trying again each interval", e.text);
	l->scan_failed = true;
}

static size_t
waiting(const struct loop *l)
{
	return sinks_waiting(&l->sinks) + scan_left(&l->scan);
}

static void
missing(void *arg, const char *name, uint64_t events)
{
	struct loop *l = arg;

	if (sinks_tell(&l->sinks, name))
		log_error(
		    "%s/events/%s has vanished with %llu events, or lost some: the ledger does "
		    "not add up until it is whole again, or written off",
		    spool_dir(l->sp), name, (unsigned long long)events);
}

/* Does the ledger agree with the disk? Now and then, and not when that takes long at the start. */
static void
check_ledger(struct loop *l, int64_t now)
{
	struct ledger_check c;

	if (now < l->check_ms)
		return;
	if (l->check_ms == 0 && waiting(l) > CHECK_AT_START_MAX) {
		l->check_ms = now + CHECK_MS;
		return;
	}
	l->check_ms = now + CHECK_MS;
	if (ledger_check(l->ledger, &c, missing, l, NULL) < 0)
		return;
	for (size_t i = 0; i < c.n_sinks; i++)
		if (c.sinks[i].difference != (int64_t)c.sinks[i].missing)
			log_error("the ledger does not add up for sink %s: made %llu, %lld are not "
				  "accounted for",
			    c.sinks[i].counts.name, (unsigned long long)c.sinks[i].counts.made,
			    (long long)c.sinks[i].difference);
	ledger_check_free(&c);
}

/* Whatever was counted in it, or will be, counts no more. */
static void
check_lost(struct loop *l)
{
	struct err why, e;

	if (l->again || !ledger_is_lost(l->ledger, &why))
		return;
	log_error("%s: it is opened again", why.text);
	if (ledger_is_damaged(l->ledger) && ledger_set_aside(spool_dir(l->sp), &e) < 0)
		log_error("%s", e.text);
	l->again = true;
}

static void
interval(struct loop *l, int64_t now)
{
	struct err e;

	l->interval_ms = now + (int64_t)l->conf->signals.upload_interval_s * 1000;
	if (spool_recover(l->sp, recovered, l, &e) < 0)
		log_error("%s", e.text);
	read_spool(l, true);
	tidy(l);
	sinks_interval(&l->sinks);
	l->sinks.gone = true;
	check_ledger(l, now);
	check_lost(l);
	if (sinks_any(&l->sinks))
		transfer_log_interval(&l->transfers, waiting(l));
}

/* ---- new segments ---- */

static void
entered(void *arg, const char *name)
{
	struct loop *l = arg;

	transfer_log_found(&l->transfers, name);
}

static void
empty(void *arg, const char *name)
{
	struct loop *l = arg;
	struct stat st;

	/* Ours come whole, by rename; somebody may be copying one here, and has just begun. */
	if (fstatat(spool_events_fd(l->sp), name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    clock_wall_s() - st.st_mtim.tv_sec < EMPTY_AGE_S && st.st_mtim.tv_sec <= clock_wall_s())
		return;
	if (unlinkat(spool_events_fd(l->sp), name, 0) == 0)
		log_info("%s holds no events: removed", name);
	jobs_gone(l->jobs, name);
}

static void
bad(void *arg, const char *name, const char *why)
{
	struct loop *l = arg;

	if (spool_sweep_unreadable(l->sp, l->rejected, name, recovered, l, NULL) >= 0)
		return;
	if (sinks_tell(&l->sinks, name))
		log_error(
		    "%s/events/%s can't be sent and stays there: %s", spool_dir(l->sp), name, why);
}

static void
ledger_trouble(struct loop *l, const struct err *e)
{
	if (e != NULL && !l->ledger_failed)
		log_error("%s; trying again every %d s", e->text, RETRY_MS / 1000);
	l->ledger_failed = e != NULL;
}

/* Returns when to come again. */
static int64_t
enter_new(struct loop *l, int64_t now)
{
	struct enter_calls calls = { entered, empty, bad, l };
	struct err e;
	int rc;

	if (now < l->enter_ms)
		return l->enter_ms;
	rc = enter_write(&l->enter, l->ledger, &calls, &e);
	if (rc < 0) {
		ledger_trouble(l, &e);
		l->enter_ms = now + RETRY_MS;
		return l->enter_ms;
	}
	ledger_trouble(l, NULL);
	if (rc > 0)
		sinks_entered(&l->sinks);
	read_spool(l, false);
	enter_start(&l->enter, &l->scan, l->workers);
	return INT64_MAX;
}

/* ---- segments that are done everywhere ---- */

static void
remove_trouble(struct loop *l, const struct err *e)
{
	if (e != NULL && !l->remove_failed)
		log_error("%s; what has been taken is not sent again", e->text);
	l->remove_failed = e != NULL;
}

static int
forget(struct loop *l, const struct ledger_segment *v, size_t n, struct err *e)
{
	if (ledger_begin(l->ledger, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (ledger_forget(l->ledger, v[i].name, e) < 0) {
			ledger_rollback(l->ledger);
			return -1;
		}
	return ledger_commit(l->ledger, e);
}

/* Unlink, make that durable, then forget: what the ledger knows is either there or gone. */
static int
remove_some(struct loop *l, bool *more, struct err *e)
{
	struct ledger_segment v[FORGET_MAX];
	int64_t after = 0;
	size_t n = 0;

	while (n < FORGET_MAX && ledger_gone(l->ledger, after, &v[n], e) > 0) {
		after = v[n].id;
		if (unlinkat(spool_events_fd(l->sp), v[n].name, 0) < 0 && errno != ENOENT)
			return err_errno(e, "remove %s/events/%s", spool_dir(l->sp), v[n].name);
		n++;
	}
	*more = n == FORGET_MAX;
	if (n == 0)
		return 0;
	if (file_sync_dir(spool_events_fd(l->sp), spool_dir(l->sp), e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		jobs_gone(l->jobs, v[i].name);
	return forget(l, v, n, e);
}

/* True: there is more to remove. */
static bool
remove_gone(struct loop *l)
{
	bool more = false;
	struct err e;
	int rc;

	if (!l->sinks.gone)
		return false;
	rc = remove_some(l, &more, &e);
	remove_trouble(l, rc < 0 ? &e : NULL);
	l->sinks.gone = rc == 0 && more; /* trouble: each interval */
	return l->sinks.gone;
}

/*
 * What is in the segment must be in the index before it goes. An index that
 * can't be written holds uploads up, but not for ever.
 */
static bool
may_go(void *arg, const char *name)
{
	struct loop *l = arg;
	int64_t now = clock_mono_ms();
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
	if (new == NULL || sinks_configure(&l->sinks, new, &e) < 0) {
		log_error("%s; the old configuration stays in force", e.text);
		conf_free(new);
	} else if (!reopen_jobs(l, new, &e)) {
		log_error("%s; the old configuration stays in force", e.text);
		if (sinks_configure(&l->sinks, l->conf, &e) < 0)
			log_error("%s", e.text);
		conf_free(new);
	} else {
		if (strcmp(new->spool.directory, l->conf->spool.directory) != 0)
			log_warn("the spool is still %s: another directory needs a restart",
			    l->conf->spool.directory);
		conf_free(l->conf);
		l->conf = new;
		l->transfers.verbose = new->signals.log_verbose;
		l->said_idle = false;
		l->interval_ms = clock_mono_ms();
		daemon_log(new);
		limit_rejected(l, new);
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

/* Once, until a reload. */
static void
say_idle(struct loop *l)
{
	if (!l->said_idle)
		log_warn("there is no <signals> block with an api-key: events are kept in "
			 "%s/events, nothing is uploaded",
		    spool_dir(l->sp));
	l->said_idle = true;
}

/* Whatever can be begun. Returns when to come back, monotonic. */
static int64_t
go_on(struct loop *l, int64_t now)
{
	int64_t wake = enter_new(l, now), sinks_wake, jobs_wake, confirm_wake, space_wake;

	if (space_step(&l->space, l->conf->signals.min_free_space, now, &space_wake))
		l->sinks.gone = true;
	wake = space_wake < wake ? space_wake : wake;
	sinks_wake = sinks_step(&l->sinks, now);
	wake = sinks_wake < wake ? sinks_wake : wake;
	jobs_wake = jobs_step(l->jobs);
	wake = jobs_wake < wake ? jobs_wake : wake;
	confirm_wake = confirm_step(l->confirm, now);
	wake = confirm_wake < wake ? confirm_wake : wake;
	if (!sinks_any(&l->sinks))
		say_idle(l);
	else if (!l->enter.busy && scan_left(&l->scan) == 0 && sinks_rest(&l->sinks, now))
		transfer_log_round(&l->transfers, waiting(l));
	return wake;
}

/* What has come of what was begun. */
static void
take_results(struct loop *l, int64_t now)
{
	const struct upload_result *result;
	struct worker_job *job;

	while ((result = upload_result(l->up)) != NULL)
		if (result->owner == l->confirm)
			confirm_answered(l->confirm, result);
		else
			sinks_answered(&l->sinks, result);
	while ((job = workers_done(l->workers)) != NULL) {
		if (job->owner == &l->enter)
			enter_counted(&l->enter);
		else
			sinks_worked(&l->sinks, job);
	}
	sinks_settle(&l->sinks, now);
}

static int
turn(struct loop *l, struct err *e)
{
	struct pollfd fds[] = { { l->signals, POLLIN, 0 }, { l->scan.inotify, POLLIN, 0 },
		{ workers_fd(l->workers), POLLIN, 0 }, { jobs_fd(l->jobs), POLLIN, 0 } };
	int64_t now = clock_mono_ms(), wake;

	if (now >= l->interval_ms)
		interval(l, now);
	wake = go_on(l, now);
	if (remove_gone(l))
		wake = now;
	if (upload_poll(l->up, fds, COUNT(fds), timeout_ms(l, wake, now), e) < 0)
		return -1;
	if (daemon_watchdog_ms() > 0)
		daemon_alive();
	scan_changed(&l->scan);
	take_results(l, now);
	take_signals(l);
	if (ledger_is_damaged(l->ledger))
		check_lost(l);
	return 0;
}

int
loop_run(struct loop *l, struct err *e)
{
	while (!l->stop && !l->again)
		if (turn(l, e) < 0)
			return -1;
	if (!l->stop)
		return 1;
	transfer_log_end(&l->transfers, waiting(l));
	return 0;
}
