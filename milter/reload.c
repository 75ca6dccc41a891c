/*
 * reload.c - swap settings under running sessions.
 *
 * libmilter's own signal thread takes SIGHUP, SIGTERM and SIGINT as "stop", so
 * reload is SIGUSR1. It is blocked in every thread and picked up with
 * sigwait() here: ordinary code, not a handler.
 */
#include "milter/reload.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "common/daemon.h"
#include "common/log.h"
#include "common/xalloc.h"

struct settings {
	unsigned refs; /* under lock */
	struct conf *conf;
	struct signing_keys *keys;
	struct token_ring *ring;
	struct outgoing_context context; /* the same three, for those who only look */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct settings *current; /* under lock */
static const char *conf_file;	 /* set before the thread exists, then constant */

static void
settings_free(struct settings *s)
{
	signing_keys_free(s->keys);
	token_ring_close(s->ring);
	conf_free(s->conf);
	free(s);
}

struct settings *
reload_acquire(void)
{
	struct settings *s;

	pthread_mutex_lock(&lock);
	s = current;
	s->refs++;
	pthread_mutex_unlock(&lock);
	return s;
}

void
reload_release(struct settings *s)
{
	bool last;

	if (s == NULL)
		return;
	pthread_mutex_lock(&lock);
	last = --s->refs == 0;
	pthread_mutex_unlock(&lock);
	if (last)
		settings_free(s);
}

const struct outgoing_context *
reload_context(const struct settings *s)
{
	return &s->context;
}

static struct settings *
settings_load(struct err *e)
{
	struct settings *s = xcalloc(1, sizeof(*s));

	s->refs = 1;
	s->conf = conf_load(conf_file, e);
	if (s->conf != NULL)
		s->keys = signing_keys_load(s->conf, e);
	if (s->keys != NULL)
		s->ring = token_ring_open(s->conf->token_keys.directory, e);
	if (s->ring == NULL) {
		settings_free(s);
		return NULL;
	}
	for (size_t i = 0; i < s->conf->n_warnings; i++)
		log_line(LOG_LEVEL_WARN, "%s:%u: %s", s->conf->warnings[i].at.file, s->conf->warnings[i].at.line,
		    s->conf->warnings[i].text);
	s->context = (struct outgoing_context){ s->conf, s->keys, s->ring };
	return s;
}

/* Takes over `fresh` and the reference that it carries. */
static void
publish(struct settings *fresh)
{
	struct settings *old;

	pthread_mutex_lock(&lock);
	old = current;
	current = fresh;
	pthread_mutex_unlock(&lock);
	reload_release(old);
}

/* What was set up at start and can't follow a reload. */
static void
warn_fixed(const struct conf *old, const struct conf *new)
{
	const struct {
		const char *name, *was, *is;
	} fixed[] = {
		{ "socket", old->milter.socket, new->milter.socket },
		{ "user", old->milter.user, new->milter.user },
		{ "directory of <spool>", old->spool.directory, new->spool.directory },
	};

	for (size_t i = 0; i < COUNT(fixed); i++)
		if (!slice_eq(slice_str(fixed[i].was), slice_str(fixed[i].is)))
			log_warn("%s: the change from %s to %s takes effect at the next start",
			    fixed[i].name, fixed[i].was, fixed[i].is);
}

static void
reload(void)
{
	struct settings *old = reload_acquire(), *fresh;
	struct err e;

	daemon_reloading(true);
	if (!old->conf->milter.reload) {
		log_warn("reload is switched off (<milter> reload no); settings unchanged");
	} else if ((fresh = settings_load(&e)) == NULL) {
		log_error("reload refused, settings unchanged: %s", e.text);
	} else {
		warn_fixed(old->conf, fresh->conf);
		daemon_log(fresh->conf);
		publish(fresh);
		log_info("settings reloaded from %s", conf_file);
	}
	daemon_reloading(false);
	reload_release(old);
}

static void *
watch(void *unused)
{
	sigset_t usr1;
	int sig;

	(void)unused;
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	while (sigwait(&usr1, &sig) == 0)
		reload();
	return NULL;
}

int
reload_first(const char *file, struct err *e)
{
	struct settings *s;

	conf_file = file;
	s = settings_load(e);
	if (s == NULL)
		return -1;
	publish(s);
	return 0;
}

void
reload_block_signals(void)
{
	static const int handled[] = { SIGUSR1, SIGHUP, SIGTERM, SIGINT };
	sigset_t set;

	/* USR1 is for watch(), the rest for libmilter's sigwait(). A thread that
	 * does not block them would take the default action: die without clean-up. */
	sigemptyset(&set);
	for (size_t i = 0; i < COUNT(handled); i++)
		sigaddset(&set, handled[i]);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

int
reload_start(struct err *e)
{
	pthread_t thread;
	int rc;

	/* It was meant for a reload, and libmilter would end by it: ignored, it waits no longer. */
	signal(SIGHUP, signal(SIGHUP, SIG_IGN));
	if ((rc = pthread_create(&thread, NULL, watch, NULL)) != 0)
		return err_set(e, "reload thread: error %d", rc);
	pthread_detach(thread);
	return 0;
}
