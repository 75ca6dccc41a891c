/*
 * signalpost-tracker: readers of mail fetch pixels and follow links here; each
 * open and click becomes an event in the spool.
 */
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/daemon.h"
#include "common/file.h"
#include "common/log.h"
#include "common/spool.h"
#include "common/xalloc.h"
#include "tracker/listener.h"
#include "tracker/server.h"
#include "tracker/settings.h"

#define PROGRAM         "signalpost-tracker"
#define GRACE_MS        1000
#define TICK_MS         250
#define REPORT_EVERY_MS 60000 /* what was counted */
#define LOSS_EVERY_MS   10000 /* that events were lost: at once, then as often as this */
#define FILES_BESIDE    1024  /* descriptors that are no connections */

static const int handled_signals[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1 };

struct tracker {
	struct daemon_options opt;
	struct conf *conf; /* as at the start: what can't change */
	struct settings *settings;
	struct spool *spool;
	struct spool_writer *writer;
	struct server *server;
	struct server_stats reported;
	uint64_t lost_reported;
	int64_t report_at_ms, loss_at_ms, alive_at_ms; /* monotonic */
};

static int
failed(int code, const struct err *e)
{
	log_error("%s", e->text);
	return code;
}

static void
log_warnings(const struct conf *conf)
{
	for (size_t i = 0; i < conf->n_warnings; i++)
		log_line(LOG_LEVEL_WARN, "%s:%u: %s", conf->warnings[i].at.file,
		    conf->warnings[i].at.line, conf->warnings[i].text);
}

/* ---- listeners ---- */

struct listeners {
	size_t n;
	int *fds;
};

static size_t
n_addresses(const struct conf *c)
{
	return c->tracker.listen.n > 0 ? c->tracker.listen.n : 1;
}

static const char *
address(const struct conf *c, size_t i)
{
	return c->tracker.listen.n > 0 ? c->tracker.listen.v[i] : CONF_TRACKER_LISTEN;
}

static void
close_listeners(struct listeners *l)
{
	for (size_t i = 0; i < l->n; i++)
		close(l->fds[i]);
	free(l->fds);
	*l = (struct listeners){ 0, NULL };
}

static int
listen_all(const struct conf *c, struct listeners *l, struct err *e)
{
	*l = (struct listeners){ 0, xcalloc(n_addresses(c), sizeof(*l->fds)) };
	while (l->n < n_addresses(c)) {
		int fd = listener_open(address(c, l->n), false, e);

		if (fd < 0) {
			close_listeners(l);
			return -1;
		}
		l->fds[l->n++] = fd;
	}
	return 0;
}

static int
check_addresses(const struct conf *c, struct err *e)
{
	for (size_t i = 0; i < n_addresses(c); i++)
		if (listener_open(address(c, i), true, e) < 0)
			return -1;
	return 0;
}

/* A connection is a file; idle ones by the thousand must not keep readers out. */
static void
raise_file_limit(const struct conf *c)
{
	rlim_t want = (rlim_t)(c->tracker.max_connections * n_addresses(c)) + FILES_BESIDE;
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) < 0 || rl.rlim_cur >= want)
		return;
	rl.rlim_cur = want;
	if (rl.rlim_max < want)
		rl.rlim_max = want;
	if (setrlimit(RLIMIT_NOFILE, &rl) == 0)
		return;
	/* Not root: as far as it goes. */
	if (getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_cur < rl.rlim_max) {
		rl.rlim_cur = rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
	if (getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_cur < want)
		log_warn("the limit of open files is %llu, max-connections needs %llu; raise it "
			 "(LimitNOFILE= in the unit) or lower max-connections",
		    (unsigned long long)rl.rlim_cur, (unsigned long long)want);
}

/* ---- the spool ---- */

/* As root: the directory must be our user's before we are no longer root. One that is there is left
 * alone. */
static int
prepare_spool(const struct conf *c, struct err *e)
{
	const char *dir = c->spool.directory, *user = c->tracker.user;
	const struct passwd *pw = user[0] != '\0' ? getpwnam(user) : NULL;
	struct stat st;

	if (geteuid() != 0 || stat(dir, &st) == 0)
		return 0;
	if (file_mkdirs(dir, SPOOL_DIR_MODE, e) < 0)
		return -1;
	if (pw != NULL && chown(dir, pw->pw_uid, pw->pw_gid) < 0)
		return err_errno(e, "owner of %s", dir);
	return 0;
}

static struct spool_writer_options
spool_options(const struct conf *c)
{
	return (struct spool_writer_options){
		.segment_size = (size_t)c->spool.segment_size,
		.segment_age_ms = (unsigned)(c->spool.segment_age_s * 1000),
		.sync = c->spool.sync,
	};
}

static void
log_recovered(void *unused, const char *text)
{
	(void)unused;
	log_warn("spool: %s", text);
}

static int
open_spool(struct tracker *t, struct err *e)
{
	struct spool_writer_options opt = spool_options(t->settings->conf);

	t->spool = spool_open(t->settings->conf->spool.directory, e);
	if (t->spool == NULL || spool_recover(t->spool, log_recovered, NULL, e) < 0)
		return -1;
	t->writer = spool_writer_open(t->spool, &opt, e);
	return t->writer == NULL ? -1 : 0;
}

/* ---- what was counted ---- */

static void
log_totals(struct tracker *t, struct server_stats now)
{
	/* Nothing is said when nothing changed. */
	if (memcmp(&now, &t->reported, sizeof(now)) == 0)
		return;
	t->reported = now;
	log_info(
	    "opens=%llu initial-opens=%llu clicks=%llu unsubscribes=%llu folded=%llu "
	    "heads=%llu unknown=%llu expired=%llu refused=%llu written=%llu lost=%llu late=%llu",
	    (unsigned long long)now.opens, (unsigned long long)now.initial_opens,
	    (unsigned long long)now.clicks, (unsigned long long)now.unsubscribes,
	    (unsigned long long)now.folded, (unsigned long long)now.heads,
	    (unsigned long long)now.unknown, (unsigned long long)now.expired,
	    (unsigned long long)now.refused, (unsigned long long)now.written,
	    (unsigned long long)(now.lost + now.failed), (unsigned long long)now.late);
}

static void
log_losses(struct tracker *t, struct server_stats now)
{
	if (now.lost == t->lost_reported)
		return;
	log_error("spool: %llu events lost (%llu since the start), readers were served: %s",
	    (unsigned long long)(now.lost - t->lost_reported), (unsigned long long)now.lost,
	    now.error.text);
	t->lost_reported = now.lost;
}

static bool
is_time(int64_t *at_ms, int64_t every_ms)
{
	int64_t now = clock_mono_ms();

	if (now < *at_ms)
		return false;
	*at_ms = now + every_ms;
	return true;
}

static void
tick(struct tracker *t)
{
	unsigned watchdog = daemon_watchdog_ms();

	server_tick(t->server);
	if (is_time(&t->loss_at_ms, LOSS_EVERY_MS))
		log_losses(t, server_stats(t->server));
	if (is_time(&t->report_at_ms, REPORT_EVERY_MS))
		log_totals(t, server_stats(t->server));
	if (watchdog > 0 && is_time(&t->alive_at_ms, watchdog))
		daemon_alive();
}

/* ---- running ---- */

static void
prepare_signals(sigset_t *set)
{
	sigemptyset(set);
	for (size_t i = 0; i < COUNT(handled_signals); i++)
		sigaddset(set, handled_signals[i]);
	sigprocmask(SIG_BLOCK, set, NULL); /* before any thread exists: they inherit it */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a file size limit is a full disk: an error, no end */
}

static bool
same(const char *a, const char *b)
{
	return strcmp(a != NULL ? a : "", b != NULL ? b : "") == 0;
}

static bool
same_listeners(const struct conf *a, const struct conf *b)
{
	if (n_addresses(a) != n_addresses(b))
		return false;
	for (size_t i = 0; i < n_addresses(a); i++)
		if (!same(address(a, i), address(b, i)))
			return false;
	return true;
}

/* What was set up at the start and can't follow a reload; each is compared with what is in force.
 */
static void
warn_fixed(const struct conf *was, const struct conf *is)
{
	const struct {
		const char *name;
		bool same;
	} fixed[] = {
		{ "listen", same_listeners(was, is) },
		{ "user", same(was->tracker.user, is->tracker.user) },
		{ "max-connections", was->tracker.max_connections == is->tracker.max_connections },
		{ "timeout", was->tracker.timeout_s == is->tracker.timeout_s },
		{ "tls-certificate, given or not", (was->tracker.tls_certificate == NULL) ==
						       (is->tracker.tls_certificate == NULL) },
		{ "directory of <spool>", same(was->spool.directory, is->spool.directory) },
	};

	for (size_t i = 0; i < COUNT(fixed); i++)
		if (!fixed[i].same)
			log_warn("%s: the change takes effect at the next start", fixed[i].name);
}

static void
reload(struct tracker *t)
{
	struct spool_writer_options opt;
	struct settings *fresh;
	struct err e;

	daemon_reloading(true);
	fresh = settings_load(t->opt.conf_file, &e);
	if (fresh == NULL) {
		log_error("reload refused, settings unchanged: %s", e.text);
	} else {
		daemon_log(fresh->conf);
		log_warnings(fresh->conf);
		warn_fixed(t->conf, fresh->conf);
		opt = spool_options(fresh->conf);
		spool_writer_set(t->writer, &opt);
		server_set(t->server, fresh);
		settings_release(t->settings);
		t->settings = fresh;
		log_info("settings reloaded");
	}
	daemon_reloading(false);
}

static void
serve(struct tracker *t, const sigset_t *signals)
{
	const struct timespec wait = { .tv_nsec = TICK_MS * 1000000L };

	for (;;)
		switch (sigtimedwait(signals, NULL, &wait)) {
		case SIGTERM:
		case SIGINT:
			return;
		case SIGHUP:
		case SIGUSR1:
			reload(t);
			break;
		default:
			tick(t);
		}
}

/* Takes over the listeners. */
static int
start(struct tracker *t, struct listeners *l, struct err *e)
{
	struct buf addresses;
	int rc;

	buf_init(&addresses, 4096);
	for (size_t i = 0; i < l->n; i++) {
		buf_adds(&addresses, i > 0 ? ", " : "");
		listener_address(l->fds[i], &addresses);
	}
	log_open(PROGRAM, t->opt.foreground);
	daemon_log(t->settings->conf);
	t->server = server_start(l->fds, l->n, t->settings, t->writer, e);
	free(l->fds);
	*l = (struct listeners){ 0, NULL };
	rc = t->server != NULL ? daemon_ready(NULL, e) : -1;
	if (rc == 0)
		log_info("listening on %s%s, spool %s, %zu rules for machine readers",
		    buf_str(&addresses), t->settings->identity != NULL ? " with TLS" : "",
		    t->settings->conf->spool.directory, machine_rules_count(t->settings->machines));
	buf_free(&addresses);
	return rc;
}

static void
stop(struct tracker *t)
{
	struct server_stats last = { 0 };

	server_stop(t->server, GRACE_MS, &last);
	log_losses(t, last);
	log_totals(t, last);
	t->server = NULL;
	spool_writer_close(t->writer);
	spool_close(t->spool);
	t->writer = NULL;
	t->spool = NULL;
}

/* Everything that a running tracker reads again at a reload is read as its user, so that reloads
 * will work too. */
static int
run_as_user(struct tracker *t, struct listeners *l, struct err *e)
{
	sigset_t signals;

	daemon_prepare_log(t->conf, t->conf->tracker.user);
	if (daemon_drop_rights(t->conf->tracker.user, e) < 0)
		return failed(EX_OSERR, e);
	prepare_signals(&signals);
	t->settings = settings_load(t->opt.conf_file, e);
	if (t->settings == NULL)
		return failed(EX_CONFIG, e);
	if (open_spool(t, e) < 0)
		return failed(EX_CANTCREAT, e);
	if (start(t, l, e) < 0)
		return failed(EX_OSERR, e);
	serve(t, &signals);
	daemon_stopping(NULL);
	return EX_OK;
}

static int
run(struct tracker *t)
{
	struct listeners l = { 0, NULL };
	struct err e;
	int rc;

	if (daemon_detach(&t->opt, &e) < 0)
		return failed(EX_OSERR, &e);
	/* The port may be a privileged one, the limit and the directory root's to set. */
	raise_file_limit(t->conf);
	if (prepare_spool(t->conf, &e) < 0 || listen_all(t->conf, &l, &e) < 0)
		return failed(EX_OSERR, &e);
	rc = run_as_user(t, &l, &e);
	close_listeners(&l);
	stop(t);
	if (rc == EX_OK)
		log_info("stopped");
	return rc;
}

/* -n: all that a start would read. */
static int
check(struct tracker *t)
{
	struct err e;

	t->settings = settings_load(t->opt.conf_file, &e);
	if (t->settings == NULL)
		return failed(EX_CONFIG, &e);
	log_info("%s is good", t->opt.conf_file);
	return EX_OK;
}

int
main(int argc, char **argv)
{
	struct tracker t = { .report_at_ms = 0 };
	struct err e;
	int rc;

	daemon_options(argc, argv, PROGRAM, &t.opt);
	log_open(PROGRAM, true); /* until it is clear that we can serve */
	t.conf = conf_load(t.opt.conf_file, &e);
	if (t.conf == NULL)
		return failed(EX_CONFIG, &e);
	log_warnings(t.conf);
	if (check_addresses(t.conf, &e) < 0)
		rc = failed(EX_CONFIG, &e);
	else
		rc = t.opt.check_only ? check(&t) : run(&t);
	settings_release(t.settings);
	conf_free(t.conf);
	return rc;
}
