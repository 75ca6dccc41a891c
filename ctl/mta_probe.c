#include "ctl/mta_probe.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netdb.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/slice.h"

#define TIMEOUT_S 5

/* ---- unix ---- */

/* The first directory of the path that may not be passed; false: all may. */
static bool
blocked_at(const char *path, char *where, size_t size)
{
	for (const char *slash = strchr(path + 1, '/'); slash != NULL;
	     slash = strchr(slash + 1, '/')) {
		snprintf(where, size, "%.*s", (int)(slash - path), path);
		if (faccessat(AT_FDCWD, where, X_OK, AT_EACCESS) < 0)
			return true;
	}
	return false;
}

static enum mta_probe
try_unix(const char *path, char *where, size_t size)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd, rc, why;

	if (snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path) >= (int)sizeof(sun.sun_path) ||
	    (fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0)
		return MTA_PROBE_NO_SOCKET;
	rc = connect(fd, (const struct sockaddr *)&sun, sizeof(sun));
	why = errno;
	close(fd);
	snprintf(where, size, "%s", path);
	if (rc == 0)
		return MTA_PROBE_OK;
	if (why == ECONNREFUSED || why == EAGAIN)
		return MTA_PROBE_NO_ANSWER;
	if (why != EACCES)
		return MTA_PROBE_NO_SOCKET;
	if (blocked_at(path, where, size))
		return MTA_PROBE_DIRECTORY;
	snprintf(where, size, "%s", path);
	return MTA_PROBE_PERMISSION;
}

static bool
become(const char *user)
{
	const struct passwd *pw = getpwnam(user);

	return pw != NULL && initgroups(user, pw->pw_gid) == 0 && setgid(pw->pw_gid) == 0 &&
	       setuid(pw->pw_uid) == 0;
}

/* In a child: there is no way back from another user. */
static enum mta_probe
try_as(const char *path, const char *user, char *where, size_t size)
{
	enum mta_probe answer = MTA_PROBE_UNKNOWN;
	int ends[2], status;
	ssize_t n;
	pid_t pid;

	if (pipe(ends) < 0)
		return answer;
	pid = fork();
	if (pid == 0) {
		if (become(user))
			answer = try_unix(path, where, size);
		if (write(ends[1], where, strlen(where)) < 0)
			answer = MTA_PROBE_UNKNOWN;
		_exit((int)answer);
	}
	close(ends[1]);
	n = read(ends[0], where, size - 1);
	where[n > 0 ? n : 0] = '\0';
	close(ends[0]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return answer;
	return pid > 0 && WIFEXITED(status) ? (enum mta_probe)WEXITSTATUS(status) : answer;
}

/* ---- inet:PORT@HOST ---- */

static enum mta_probe
try_inet(const char *spec)
{
	const struct timeval patience = { .tv_sec = TIMEOUT_S };
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	const char *at = strchr(spec, '@');
	enum mta_probe answer = MTA_PROBE_NO_ANSWER;
	struct addrinfo *list;
	char port[16];

	if (at == NULL ||
	    snprintf(port, sizeof(port), "%.*s", (int)(at - spec), spec) >= (int)sizeof(port) ||
	    getaddrinfo(at + 1, port, &hints, &list) != 0)
		return MTA_PROBE_NO_SOCKET;
	for (const struct addrinfo *a = list; a != NULL && answer != MTA_PROBE_OK; a = a->ai_next) {
		int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (fd < 0)
			continue;
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
		if (connect(fd, a->ai_addr, a->ai_addrlen) == 0)
			answer = MTA_PROBE_OK;
		close(fd);
	}
	freeaddrinfo(list);
	return answer;
}

enum mta_probe
mta_probe(const char *socket, const char *user, char *where, size_t size)
{
	const char *path = strchr(socket, '/');
	enum mta_probe answer;

	snprintf(where, size, "%s", socket);
	if (strncmp(socket, "inet", 4) == 0)
		return try_inet(strchr(socket, ':') + 1);
	if (path == NULL)
		return MTA_PROBE_NO_SOCKET;
	if (geteuid() == 0)
		return try_as(path, user, where, size);
	/* What we may not do says nothing about Postfix. */
	answer = try_unix(path, where, size);
	return answer == MTA_PROBE_DIRECTORY || answer == MTA_PROBE_PERMISSION ? MTA_PROBE_UNKNOWN
	                                                                       : answer;
}
