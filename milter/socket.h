/*
 * socket.h - where the MTA reaches us: bound before rights are dropped, with an
 * owner and a mode that a chrooted Postfix can use.
 */
#ifndef MILTER_SOCKET_H
#define MILTER_SOCKET_H

#include "common/conf.h"
#include "common/err.h"

/*
 * Give libmilter the socket of <milter> and bind it. A unix socket's directory
 * is made if its parent is there (as root: owned by <milter> user, group
 * <milter> group, 2750); a stale socket is replaced, one that somebody listens
 * on is not. Owner, group and mode are set. -1 and *e with the remedy.
 */
int socket_open(const struct conf_milter *m, struct err *e);

/* "unix:/path", "local:/path" and "/path" -> "/path"; NULL for inet sockets. */
const char *socket_unix_path(const char *socket);

/* Remove a unix socket at exit; libmilter leaves it behind when run by root. */
void socket_remove(const char *socket);

#endif
