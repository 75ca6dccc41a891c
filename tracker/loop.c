#include "tracker/loop.h"

#include <limits.h>
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/xalloc.h"

/*
 * While requests wait, libmicrohttpd can't tell whether there is something else that it could do
 * at once: to read on in a request that filled its buffer, or what TLS has decrypted already. So
 * it is asked this often.
 */
#define ASK_MS 5

enum phase { SERVING, QUIET, STOPPING };

struct loop {
	loop_turn *turn;
	void *arg;
	int epoll; /* over the daemons' own and `bell` */
	int bell;
	atomic_bool kicked; /* the bell was rung since the last turn */
	atomic_int phase;   /* what is wanted */
	bool started;
	pthread_t thread;

	/* the thread's */
	struct MHD_Daemon *daemons[LOOP_DAEMONS_MAX];
	size_t n;
	unsigned waiting; /* requests */
	bool again;
	bool quiet;
};

static int
watch(struct loop *l, int fd, uint32_t events, struct err *e)
{
	struct epoll_event ev = { .events = events };

	return epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ev) == 0 ? 0 : err_errno(e, "epoll");
}

struct loop *
loop_open(loop_turn *turn, void *arg, struct err *e)
{
	struct loop *l = xcalloc(1, sizeof(*l));

	l->turn = turn;
	l->arg = arg;
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->epoll < 0 || l->bell < 0)
		err_text(e, errno, "epoll");
	/* By edge: it needs not be read. */
	else if (watch(l, l->bell, EPOLLIN | EPOLLET, e) == 0)
		return l;
	loop_close(l);
	return NULL;
}

int
loop_add(struct loop *l, struct MHD_Daemon *d, struct err *e)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(d, MHD_DAEMON_INFO_EPOLL_FD);

	if (l->n == COUNT(l->daemons) || info == NULL) {
		MHD_stop_daemon(d);
		return err_set(e, "the HTTP server has no room for a listener");
	}
	l->daemons[l->n++] = d;
	return watch(l, info->epoll_fd, EPOLLIN, e);
}

/* ---- the thread ---- */

static int
wait_ms(const struct loop *l)
{
	MHD_UNSIGNED_LONG_LONG next, least = INT_MAX;
	bool any = false;

	if (l->waiting > 0)
		return ASK_MS;
	for (size_t i = 0; i < l->n; i++)
		if (MHD_get_timeout(l->daemons[i], &next) == MHD_YES) {
			any = true;
			least = next < least ? next : least;
		}
	return any ? (int)least : -1;
}

static void
quiesce(struct loop *l)
{
	for (size_t i = 0; i < l->n; i++) {
		int fd = MHD_quiesce_daemon(l->daemons[i]);

		if (fd != MHD_INVALID_SOCKET)
			close(fd);
	}
	l->quiet = true;
}

static void *
run(void *arg)
{
	struct loop *l = arg;
	struct epoll_event unused[LOOP_DAEMONS_MAX + 1];

	for (;;) {
		int phase;

		if (!l->again)
			epoll_wait(l->epoll, unused, COUNT(unused), wait_ms(l));
		l->again = false;
		/* In this order: what is done after this rings the bell. */
		atomic_store(&l->kicked, false);
		phase = atomic_load(&l->phase);
		if (phase >= QUIET && !l->quiet)
			quiesce(l);
		if (phase == STOPPING)
			return NULL;
		for (size_t i = 0; i < l->n; i++)
			MHD_run(l->daemons[i]);
		l->turn(l->arg);
	}
}

int
loop_start(struct loop *l, struct err *e)
{
	sigset_t all, before;
	int rc;

	/* Signals are for the program's own threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&l->thread, NULL, run, l);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	l->started = rc == 0;
	if (rc == 0)
		return 0;
	err_text(e, rc, "start a thread");
	return -1;
}

/* ---- from other threads ---- */

void
loop_kick(struct loop *l)
{
	if (!atomic_exchange(&l->kicked, true))
		eventfd_write(l->bell, 1);
}

static void
want(struct loop *l, enum phase phase)
{
	atomic_store(&l->phase, (int)phase);
	loop_kick(l);
}

void
loop_quiesce(struct loop *l)
{
	want(l, QUIET);
}

void
loop_stop(struct loop *l)
{
	if (!l->started)
		return;
	want(l, STOPPING);
	pthread_join(l->thread, NULL);
	l->started = false;
}

void
loop_close(struct loop *l)
{
	if (l == NULL)
		return;
	loop_stop(l);
	for (size_t i = 0; i < l->n; i++)
		MHD_stop_daemon(l->daemons[i]);
	if (l->epoll >= 0)
		close(l->epoll);
	if (l->bell >= 0)
		close(l->bell);
	free(l);
}

/* ---- for handlers ---- */

void
loop_wait(struct loop *l)
{
	l->waiting++;
}

void
loop_go_on(struct loop *l)
{
	l->waiting--;
	l->again = true;
}

void
loop_again(struct loop *l)
{
	l->again = true;
}
