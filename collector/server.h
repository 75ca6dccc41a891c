/*
 * server.h - HTTP, the only file that knows libmicrohttpd: who may ask, which
 * path is whose, and the limits. A small pool of threads, each with its own
 * epoll; a request is worked on in the thread that has its connection.
 */
#ifndef COLLECTOR_SERVER_H
#define COLLECTOR_SERVER_H

#include "collector/settings.h"
#include "collector/store.h"
#include "common/buf.h"
#include "common/err.h"

struct server;

/*
 * Listen on ADDRESS:PORT ("127.0.0.1:8460", "[::1]:8460"). Returns the socket,
 * or -1 and *e. With `check_only` the text is read and nothing is opened (0).
 */
int server_listen(const char *address, bool check_only, struct err *e);

/* Where that socket listens, as text; a port 0 is the real one here. */
void server_address(int fd, struct buf *out);

/*
 * Serve. Takes over `fd`, holds `settings`; `store` stays the caller's and must
 * outlive the server. Signals should be blocked in the calling thread.
 */
struct server *server_start(int fd, struct settings *settings, struct store *store, struct err *e);

/* Requests that begin from now on use these. */
void server_set(struct server *s, struct settings *settings);

/*
 * No new connections; requests that have begun get `grace_ms` to end, then the
 * store is interrupted and what is still open is cut off.
 */
void server_stop(struct server *s, unsigned grace_ms);

#endif
