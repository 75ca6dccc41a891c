#include "common/route.h"

#include <stdio.h>
#include <string.h>

#include "common/address.h"
#include "common/hash.h"

#define PLAIN_MAX 40 /* of a name; Postfix makes names of parameters and sockets of it */

bool
route_needed(const struct conf *c)
{
	return c->n_vmtas > 1;
}

static char
plain(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c - 'A' + 'a');
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? c : '-';
}

const char *
route_name(const struct conf_vmta *v, char out[ROUTE_NAME_SIZE])
{
	char name[PLAIN_MAX + 1];
	size_t n = strlen(v->name), kept = n < PLAIN_MAX ? n : PLAIN_MAX;

	for (size_t i = 0; i < kept; i++)
		name[i] = plain(v->name[i]);
	name[kept] = '\0';
	if (strcmp(name, v->name) == 0)
		snprintf(out, ROUTE_NAME_SIZE, ROUTE_PREFIX "%s", name);
	else
		snprintf(out, ROUTE_NAME_SIZE, ROUTE_PREFIX "%s-%08x", name,
		    (unsigned)(hash_fnv1a(slice_str(v->name)) & 0xffffffffu));
	return out;
}

bool
route_may_take(const struct conf *c, struct slice rcpt, const char *mailer, const char *host)
{
	struct slice domain = address_split(rcpt).domain;

	if (mailer == NULL)
		return domain.len > 0 && !slice_eqi(domain, SLICE_LIT("localhost")) &&
		       !slice_eqi(domain, SLICE_LIT("localhost.localdomain")) &&
		       conf_relay_for(c, rcpt) == CONF_RELAY_NO;
	if (strcmp(mailer, "smtp") == 0)
		return true;
	return strcmp(mailer, "relay") == 0 && host != NULL && slice_eqi(slice_str(host), domain);
}
