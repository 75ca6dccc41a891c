/*
 * listener.h - the sockets that readers connect to.
 */
#ifndef TRACKER_LISTENER_H
#define TRACKER_LISTENER_H

#include "common/buf.h"
#include "common/err.h"

/* Bind ADDRESS:PORT. A socket, or -1 and *e. With `check_only` nothing is bound and 0 returned. */
int listener_open(const char *address, bool check_only, struct err *e);

/* Where it listens, as ADDRESS:PORT. */
void listener_address(int fd, struct buf *out);

#endif
