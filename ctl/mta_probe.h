/*
 * mta_probe.h - can Postfix reach the milter?
 */
#ifndef CTL_MTA_PROBE_H
#define CTL_MTA_PROBE_H

#include <stddef.h>

#include "common/conf.h"

enum mta_probe {
	MTA_PROBE_OK,
	MTA_PROBE_NO_SOCKET,  /* there is none, or no way to it */
	MTA_PROBE_NO_ANSWER,  /* a socket that nobody listens at */
	MTA_PROBE_DIRECTORY,  /* *where: the user may not pass this directory */
	MTA_PROBE_PERMISSION, /* the user may not write to the socket */
	MTA_PROBE_UNKNOWN,    /* we may not look: not root */
};

/*
 * Connect to a milter's socket ("unix:/path", "inet:PORT@HOST") as `user` would. Only root
 * can become another user. `where` gets what is in the way.
 */
enum mta_probe mta_probe(const char *socket, const char *user, char *where, size_t size);

#endif
