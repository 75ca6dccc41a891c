/*
 * client.h - who asks: the peer, or, behind proxies that we trust, whom they name.
 *
 * Anybody can send X-Forwarded-For, so it is read from the right, where the
 * nearest proxy wrote, and only as long as who wrote it is a trusted proxy.
 */
#ifndef TRACKER_CLIENT_H
#define TRACKER_CLIENT_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "common/pattern.h"
#include "common/slice.h"

#define CLIENT_TEXT_SIZE INET6_ADDRSTRLEN
#define CLIENT_HOPS_MAX  32 /* addresses of X-Forwarded-For that are looked at */

struct client {
	struct sockaddr_storage addr; /* an IPv4 address never as ::ffff:a.b.c.d; without port */
	char text[CLIENT_TEXT_SIZE];
};

struct client_proxies { /* borrowed */
	size_t n;
	const struct cidr *v;
};

bool client_is_proxy(const struct client_proxies *trusted, const struct sockaddr *peer);

/*
 * `forwarded` are the values of all X-Forwarded-For lines, in their order. What
 * is no address ends the search: the client is then the last who was known.
 */
void client_find(const struct client_proxies *trusted, const struct sockaddr *peer,
    const struct slice *forwarded, size_t n_forwarded, struct client *out);

/* "192.0.2.7", "192.0.2.7:80", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:80". */
bool client_parse(struct slice text, struct client *out);

#endif
