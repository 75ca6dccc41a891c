/*
 * server.h - the tracker's HTTP side: what a request gets as its answer.
 *
 *	GET  /c/TOKEN		302 to the target, an event `click`
 *	GET  /u/TOKEN		302 to the target, an event `link` (unsubscribe)
 *	GET  /o/TOKEN, /i/TOKEN	the pixel, an event `open`, `initial_open`
 *	HEAD			the same answers, no event
 *	GET  /robots.txt, /healthz
 *
 * Everything else is 404, 410 for a click that has expired, 405 for other
 * methods; nothing but a link of ours is ever redirected.
 */
#ifndef TRACKER_SERVER_H
#define TRACKER_SERVER_H

#include "common/err.h"
#include "common/spool.h"
#include "tracker/settings.h"

#define SERVER_URL_MAX (16 * 1024) /* bytes of a request's path; longer ones get 414 */
#define SERVER_LATE_MS                                                                             \
	1000 /* so long a reader waits for the disk, and no longer; half of `timeout` if less */

struct server;

struct server_stats {
	uint64_t opens, initial_opens, clicks, unsubscribes; /* counted: an event was made */
	uint64_t folded; /* opens that were not, since one just was */
	uint64_t heads;
	uint64_t unknown, expired, refused; /* 404; too old; other methods, bodies, lengths */
	uint64_t failed;                    /* events that could not be made */
	uint64_t written, lost, late;       /* as in commit.h */
	struct err error;                   /* why the last one was lost */
};

/*
 * Serve on `fds`, which become the server's (also on failure). `max_connections`
 * is for each of them. Settings are held, the writer is borrowed.
 */
struct server *server_start(const int *fds, size_t n_fds, struct settings *settings,
    struct spool_writer *writer, struct err *e);

/* For requests from now on. The limits of connections and time stay as they were at the start. */
void server_set(struct server *s, struct settings *settings);

/* To be called often: wakes those who wait for a slow disk. */
void server_tick(struct server *s);
struct server_stats server_stats(struct server *s);

/*
 * No new connections; requests that have begun get their answer, for grace_ms at
 * most; every event that was made is written. `last`, if given, has what was
 * counted to the end. NULL for `s` is fine.
 */
void server_stop(struct server *s, unsigned grace_ms, struct server_stats *last);

#endif
