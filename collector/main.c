/*
 * signalpost-collector: takes batches of events over HTTP, keeps them in SQLite
 * and answers questions about them.
 */
#include <libgen.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "collector/server.h"
#include "collector/settings.h"
#include "collector/store.h"
#include "common/clock.h"
#include "common/daemon.h"
#include "common/file.h"
#include "common/log.h"
#include "common/xalloc.h"

#define PROGRAM        "signalpost-collector"
#define GRACE_MS       1200
#define PURGE_EVERY_MS 3600000
#define PURGE_PAUSE_MS 20 /* between two steps, so that batches get their turn */

static const int handled_signals[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1 };

struct collector {
	struct daemon_options opt;
	struct settings *settings;
	struct store *store;
	struct server *server;
	int64_t purge_at_ms; /* monotonic */
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
		log_line(LOG_LEVEL_WARN, "%s:%u: %s", conf->warnings[i].at.file, conf->warnings[i].at.line,
		    conf->warnings[i].text);
}

/* Started by root: the directory must belong to whom we become. One that is there is left alone. */
static int
make_directory(const struct conf_collector *c, struct err *e)
{
	char *copy = xstrdup(c->database);
	const char *dir = dirname(copy);
	const struct passwd *pw;
	struct stat st;
	int rc = 0;

	if (stat(dir, &st) < 0 && errno == ENOENT) {
		rc = file_mkdirs(dir, 0750, e);
		pw = rc == 0 && geteuid() == 0 && c->user[0] != '\0' ? getpwnam(c->user) : NULL;
		if (pw != NULL && chown(dir, pw->pw_uid, pw->pw_gid) < 0)
			rc = err_errno(e, "chown %s", dir);
	}
	free(copy);
	return rc;
}

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

static void
reload(struct collector *c)
{
	const struct conf_collector *was = &c->settings->conf->collector, *is;
	struct settings *fresh;
	struct err e;

	daemon_reloading(true);
	fresh = settings_load(c->opt.conf_file, &e);
	if (fresh == NULL) {
		log_error("reload refused, settings unchanged: %s", e.text);
	} else {
		is = &fresh->conf->collector;
		daemon_log(fresh->conf);
		log_warnings(fresh->conf);
		if (!same(was->listen, is->listen) || !same(was->database, is->database) ||
		    !same(was->user, is->user))
			log_warn("listen, database and user change at the next start only");
		server_set(c->server, fresh);
		settings_release(c->settings);
		c->settings = fresh;
		log_info("settings reloaded");
	}
	daemon_reloading(false);
}

/* One small step of forgetting, when it is time. */
static void
purge(struct collector *c)
{
	int64_t now_ms = clock_wall_us() / 1000;
	struct err e;
	int more;

	if (clock_mono_ms() < c->purge_at_ms)
		return;
	c->purge_at_ms = clock_mono_ms() + PURGE_EVERY_MS;
	if (c->settings->retention_s >= (uint64_t)now_ms / 1000)
		return;
	more = store_purge(c->store, now_ms - (int64_t)c->settings->retention_s * 1000, &e);
	if (more < 0)
		log_error("deleting what is too old: %s", e.text);
	else if (more)
		c->purge_at_ms = clock_mono_ms() + PURGE_PAUSE_MS;
}

static struct timespec
until_next_work(const struct collector *c)
{
	int64_t ms = c->purge_at_ms - clock_mono_ms();
	unsigned watchdog = daemon_watchdog_ms();

	if (watchdog > 0 && ms > watchdog)
		ms = watchdog;
	if (ms < 0)
		ms = 0;
	return (struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
}

static void
serve(struct collector *c, const sigset_t *signals)
{
	for (;;) {
		struct timespec wait = until_next_work(c);

		switch (sigtimedwait(signals, NULL, &wait)) {
		case SIGTERM:
		case SIGINT:
			return;
		case SIGHUP:
		case SIGUSR1:
			reload(c);
			break;
		default:
			purge(c);
			daemon_alive();
		}
	}
}

static int
start(struct collector *c, int fd, struct err *e)
{
	const struct conf_collector *conf = &c->settings->conf->collector;
	struct buf address;
	int rc;

	buf_init(&address, 128);
	server_address(fd, &address);
	log_open(PROGRAM, c->opt.foreground);
	daemon_log(c->settings->conf);
	c->server = server_start(fd, c->settings, c->store, e);
	rc = c->server != NULL ? daemon_ready(NULL, e) : -1;
	if (rc == 0)
		log_info("listening on %s, database %s", buf_str(&address), conf->database);
	buf_free(&address);
	return rc;
}

static int
run(struct collector *c)
{
	const struct conf_collector *conf = &c->settings->conf->collector;
	sigset_t signals;
	struct err e;
	int fd;

	if (daemon_detach(&c->opt, &e) < 0)
		return failed(EX_OSERR, &e);
	/* The port may be a privileged one, and the directory root's to make. */
	fd = server_listen(conf->listen, false, &e);
	if (fd < 0)
		return failed(EX_OSERR, &e);
	daemon_prepare_log(c->settings->conf, conf->user);
	if (make_directory(conf, &e) < 0 || daemon_drop_rights(conf->user, &e) < 0) {
		close(fd);
		return failed(EX_OSERR, &e);
	}
	prepare_signals(&signals);
	c->store = store_open(conf->database, &e);
	if (c->store == NULL) {
		close(fd);
		return failed(EX_OSERR, &e);
	}
	if (start(c, fd, &e) < 0)
		return failed(EX_OSERR, &e);
	serve(c, &signals);
	daemon_stopping(NULL);
	server_stop(c->server, GRACE_MS);
	c->server = NULL;
	log_info("stopped");
	return EX_OK;
}

int
main(int argc, char **argv)
{
	struct collector c = { .purge_at_ms = 0 };
	struct err e;
	int rc = EX_OK;

	daemon_options(argc, argv, PROGRAM, &c.opt);
	log_open(PROGRAM, true); /* until it is clear that we can serve */
	c.settings = settings_load(c.opt.conf_file, &e);
	if (c.settings == NULL)
		return failed(EX_CONFIG, &e);
	log_warnings(c.settings->conf);
	if (server_listen(c.settings->conf->collector.listen, true, &e) < 0)
		rc = failed(EX_CONFIG, &e);
	else if (!c.opt.check_only)
		rc = run(&c);
	server_stop(c.server, 0);
	store_close(c.store);
	settings_release(c.settings);
	return rc;
}
