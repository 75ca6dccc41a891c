#include "tracker/listener.h"

#include <netdb.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/xalloc.h"

#define BACKLOG 4096

static int
resolve(const char *address, struct addrinfo **out, struct err *e)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE | AI_NUMERICHOST };
	const char *colon = strrchr(address, ':');
	struct slice host;
	uint64_t port;
	char *name;
	int rc;

	if (colon == NULL || !slice_uint(slice_str(colon + 1), 65535, &port))
		return err_set(e, "listen %s: expected ADDRESS:PORT", address);
	host = slice_head(slice_str(address), (size_t)(colon - address));
	if (host.len > 2 && host.p[0] == '[' && host.p[host.len - 1] == ']')
		host = (struct slice){ host.p + 1, host.len - 2 };
	name = xslicedup(host);
	rc = getaddrinfo(name, colon + 1, &hints, out);
	free(name);
	return rc == 0 ? 0 : err_set(e, "listen %s: %s", address, gai_strerror(rc));
}

int
listener_open(const char *address, bool check_only, struct err *e)
{
	struct addrinfo *ai = NULL;
	const int on = 1;
	int fd;

	if (resolve(address, &ai, e) < 0)
		return -1;
	if (check_only) {
		freeaddrinfo(ai);
		return 0;
	}
	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		/* [::] beside 0.0.0.0 is two listeners, not one that is in use. */
		if (ai->ai_family == AF_INET6)
			setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	}
	if (fd < 0 || bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0) {
		err_text(e, errno, "listen %s", address);
		if (fd >= 0)
			close(fd);
		fd = -1;
	}
	freeaddrinfo(ai);
	return fd;
}

void
listener_address(int fd, struct buf *out)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	char host[64], port[16];

	if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0 ||
	    getnameinfo((struct sockaddr *)&ss, len, host, sizeof(host), port, sizeof(port),
		NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		buf_adds(out, "?");
	else
		buf_printf(out, ss.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}
