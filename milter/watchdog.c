#include "milter/watchdog.h"

#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/daemon.h"
#include "common/log.h"
#include "common/slice.h"
#include "milter/socket.h"

/* SMFIC_OPTNEG of version 6 that offers all actions and steps: length, 'O', three numbers. */
static const unsigned char question[] = { 0, 0, 0, 13, 'O', 0, 0, 0, 6, 0, 0, 1, 0xff, 0, 0x1f,
	0xff, 0xff };
#define ANSWER_COMMAND 4 /* behind the length of a packet */

static int
connect_unix(const char *path, struct err *e)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(sa.sun_path))
		return err_set(e, "%s: the path is too long", path);
	memcpy(sa.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* A full backlog is EAGAIN at once: nobody takes connections any more. */
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		err_text(e, errno, "connect to %s", path);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

/* "inet:PORT@HOST" and "inet6:..."; without a host it listens everywhere. */
static int
connect_inet(const char *text, struct err *e)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV }, *ai;
	struct slice rest = slice_str(text), port;
	char host[256], service[16];
	int fd = -1, rc;

	slice_cut(&rest, ':');
	port = slice_cut(&rest, '@');
	snprintf(service, sizeof(service), "%.*s", SLICE_FMT(slice_head(port, 10)));
	snprintf(host, sizeof(host), "%.*s", SLICE_FMT(slice_head(rest, 250)));
	rc = getaddrinfo(host[0] != '\0' ? host : "127.0.0.1", service, &hints, &ai);
	if (rc != 0)
		return err_set(e, "%s: %s", text, gai_strerror(rc));
	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || (connect(fd, ai->ai_addr, ai->ai_addrlen) < 0 && errno != EINPROGRESS)) {
		err_text(e, errno, "connect to %s", text);
		if (fd >= 0)
			close(fd);
		fd = -1;
	}
	freeaddrinfo(ai);
	return fd;
}

static int
wait_for(int fd, short events, int64_t deadline_ms, struct err *e)
{
	struct pollfd p = { fd, events, 0 };
	int64_t left = deadline_ms - clock_mono_ms();

	if (left > 0 && poll(&p, 1, (int)left) > 0)
		return 0;
	return err_set(e, "no answer within %d s", WATCHDOG_PATIENCE_MS / 1000);
}

static int
negotiate(int fd, struct err *e)
{
	int64_t deadline = clock_mono_ms() + WATCHDOG_PATIENCE_MS;
	unsigned char answer[ANSWER_COMMAND + 1];
	size_t have = 0;

	if (wait_for(fd, POLLOUT, deadline, e) < 0)
		return -1;
	if (send(fd, question, sizeof(question), MSG_NOSIGNAL) != (ssize_t)sizeof(question))
		return err_errno(e, "the question could not be sent");
	while (have < sizeof(answer)) {
		ssize_t n;

		if (wait_for(fd, POLLIN, deadline, e) < 0)
			return -1;
		n = recv(fd, answer + have, sizeof(answer) - have, 0);
		if (n <= 0)
			return err_set(e, "the connection was closed without an answer");
		have += (size_t)n;
	}
	return answer[ANSWER_COMMAND] == 'O' ? 0
	                                     : err_set(e, "the answer is none to a negotiation");
}

int
watchdog_ask(const char *socket, struct err *e)
{
	const char *path = socket_unix_path(socket);
	int fd = path != NULL ? connect_unix(path, e) : connect_inet(socket, e);
	int rc;

	if (fd < 0)
		return -1;
	rc = negotiate(fd, e);
	close(fd);
	return rc;
}

static void *
watch(void *socket)
{
	unsigned every_ms = daemon_watchdog_ms();
	struct timespec wait = { every_ms / 1000, every_ms % 1000 * 1000000L };
	struct err e;

	for (;;) {
		if (watchdog_ask(socket, &e) == 0)
			daemon_alive();
		else
			log_error("watchdog: the milter does not answer itself: %s", e.text);
		nanosleep(&wait, NULL);
	}
	return NULL;
}

int
watchdog_start(const char *socket, struct err *e)
{
	pthread_t thread;
	int rc;

	if (daemon_watchdog_ms() == 0)
		return 0;
	if ((rc = pthread_create(&thread, NULL, watch, (char *)(uintptr_t)socket)) != 0)
		return err_set(e, "watchdog thread: error %d", rc);
	pthread_detach(thread);
	return 0;
}
