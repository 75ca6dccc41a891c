#include "ctl/client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

bool
client_is_everybody(const struct conf_source *s)
{
	return s->kind == CONF_SOURCE_NET && s->net.bits == 0;
}

/* Is this address in a network that has a <source> of its own? */
static bool
has_own_source(const struct conf *c, const struct sockaddr *sa)
{
	for (size_t i = 0; i < c->n_sources; i++)
		if (c->sources[i].kind == CONF_SOURCE_NET && !client_is_everybody(&c->sources[i]) &&
		    cidr_match(&c->sources[i].net, sa))
			return true;
	return false;
}

void
client_stranger_at(
    const struct conf *c, const struct conf_listener *l, const char *user, struct conf_source *out)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct conf_peer peer = {
		.addr = (const struct sockaddr *)&sin,
		.listener_address = l->address,
		.listener_port = l->port,
		.auth_user = user,
	};

	/* The networks for documentation first; then whatever is nobody's. */
	for (uint32_t n = 0; n < 1u << 16; n++) {
		sin.sin_addr.s_addr = htonl(0xc6336400u + n * 65537u);
		if (!has_own_source(c, peer.addr))
			break;
	}
	conf_source_for(c, &peer, out);
}

void
client_in(const struct conf *c, const struct cidr *net, struct conf_source *out)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6 };
	struct conf_peer peer = { .addr = (const struct sockaddr *)&sin };

	if (net->family == AF_INET6)
		peer.addr = (const struct sockaddr *)&sin6;
	memcpy(&sin.sin_addr, net->addr, sizeof(sin.sin_addr));
	memcpy(&sin6.sin6_addr, net->addr, sizeof(sin6.sin6_addr));
	conf_source_for(c, &peer, out);
}

const char *
client_some_user(const struct conf *c)
{
	return c->n_smtp_users > 0 ? c->smtp_users[0].name : "user";
}

const char *
client_realm(const struct conf *c)
{
	return c->host_names.n > 0 ? c->host_names.v[0] : c->node_name;
}

const struct conf_pool *
client_main_pool(const struct conf *c)
{
	struct conf_source s;
	const struct conf_pool *p;

	client_stranger_at(c, &c->listeners[0], client_some_user(c), &s);
	p = s.default_vmta != NULL ? conf_pool_find(c, s.default_vmta) : NULL;
	if (p == NULL && c->n_pools == 1)
		p = &c->pools[0];
	return p;
}

static uint64_t
larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

uint64_t
client_largest_message(const struct conf *c)
{
	const struct conf_peer pickup = { .addr = NULL };
	struct conf_source s;
	uint64_t most = 0;

	for (size_t i = 0; i < c->n_listeners; i++) {
		client_stranger_at(c, &c->listeners[i], NULL, &s);
		most = larger(most, s.max_message_size);
		client_stranger_at(c, &c->listeners[i], client_some_user(c), &s);
		most = larger(most, s.max_message_size);
	}
	for (size_t i = 0; i < c->n_sources; i++)
		if (c->sources[i].kind == CONF_SOURCE_NET && !client_is_everybody(&c->sources[i])) {
			client_in(c, &c->sources[i].net, &s);
			most = larger(most, s.max_message_size);
		}
	conf_source_for(c, &pickup, &s);
	return larger(most, s.max_message_size);
}
