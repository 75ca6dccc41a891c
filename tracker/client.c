#include "tracker/client.h"

#include <arpa/inet.h>

static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };

/* inet_ntop() does it with sprintf(), which takes as long as all else that is done with an address.
 */
static void
write_v4(const unsigned char addr[4], char *out)
{
	for (size_t i = 0; i < 4; i++) {
		unsigned char n = addr[i];

		if (i > 0)
			*out++ = '.';
		if (n >= 100)
			*out++ = (char)('0' + n / 100);
		if (n >= 10)
			*out++ = (char)('0' + n / 10 % 10);
		*out++ = (char)('0' + n % 10);
	}
	*out = '\0';
}

static void
set_v4(struct client *c, const void *addr)
{
	struct sockaddr_in *in = (struct sockaddr_in *)(void *)&c->addr;

	in->sin_family = AF_INET;
	memcpy(&in->sin_addr, addr, sizeof(in->sin_addr));
	write_v4(addr, c->text);
}

static void
set_v6(struct client *c, const void *addr)
{
	struct sockaddr_in6 *in = (struct sockaddr_in6 *)(void *)&c->addr;

	if (memcmp(addr, mapped, sizeof(mapped)) == 0) {
		set_v4(c, (const char *)addr + sizeof(mapped));
		return;
	}
	in->sin6_family = AF_INET6;
	memcpy(&in->sin6_addr, addr, sizeof(in->sin6_addr));
	inet_ntop(AF_INET6, addr, c->text, sizeof(c->text));
}

static void
set_peer(struct client *c, const struct sockaddr *peer)
{
	*c = (struct client){ .text = "" };
	if (peer->sa_family == AF_INET)
		set_v4(c, &((const struct sockaddr_in *)(const void *)peer)->sin_addr);
	else if (peer->sa_family == AF_INET6)
		set_v6(c, &((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr);
}

/* Without brackets and port. */
static struct slice
bare_address(struct slice s)
{
	size_t colon = slice_find(s, ':');

	if (s.len > 0 && s.p[0] == '[') {
		struct slice rest = slice_skip(s, slice_find(s, ']') + 1);
		uint64_t port;

		if (rest.len > 0 &&
		    (rest.p[0] != ':' || !slice_uint(slice_skip(rest, 1), 65535, &port)))
			return (struct slice){ NULL, 0 };
		return slice_skip(slice_head(s, slice_find(s, ']')), 1);
	}
	/* One colon: IPv4 and a port. More: IPv6. */
	if (colon < s.len && slice_find(slice_skip(s, colon + 1), ':') == s.len - colon - 1)
		return slice_head(s, colon);
	return s;
}

bool
client_parse(struct slice text, struct client *out)
{
	struct slice s = bare_address(slice_trim(text));
	unsigned char addr[16];
	char z[CLIENT_TEXT_SIZE];

	*out = (struct client){ .text = "" };
	if (s.len == 0 || s.len >= sizeof(z) || memchr(s.p, '\0', s.len) != NULL)
		return false;
	memcpy(z, s.p, s.len);
	z[s.len] = '\0';
	if (inet_pton(AF_INET, z, addr) == 1)
		set_v4(out, addr);
	else if (inet_pton(AF_INET6, z, addr) == 1)
		set_v6(out, addr);
	else
		return false;
	return true;
}

bool
client_is_proxy(const struct client_proxies *trusted, const struct sockaddr *peer)
{
	for (size_t i = 0; i < trusted->n; i++)
		if (cidr_match(&trusted->v[i], peer))
			return true;
	return false;
}

/* Cut off and return what stands behind the last comma; false when nothing is left. */
static bool
last_entry(struct slice *rest, struct slice *entry)
{
	const char *comma;

	if (rest->p == NULL)
		return false;
	comma = rest->len > 0 ? memrchr(rest->p, ',', rest->len) : NULL;
	if (comma == NULL) {
		*entry = *rest;
		*rest = (struct slice){ NULL, 0 };
	} else {
		*entry = slice_skip(*rest, (size_t)(comma - rest->p) + 1);
		rest->len = (size_t)(comma - rest->p);
	}
	return true;
}

void
client_find(const struct client_proxies *trusted, const struct sockaddr *peer,
    const struct slice *forwarded, size_t n_forwarded, struct client *out)
{
	unsigned hops = 0;

	set_peer(out, peer);
	while (n_forwarded-- > 0) {
		struct slice rest = forwarded[n_forwarded], entry;
		struct client next;

		while (last_entry(&rest, &entry)) {
			if (hops++ == CLIENT_HOPS_MAX ||
			    !client_is_proxy(trusted, (const struct sockaddr *)&out->addr) ||
			    !client_parse(entry, &next))
				return;
			*out = next;
		}
	}
}
