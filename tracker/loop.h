/*
 * loop.h - a thread that runs libmicrohttpd daemons, which are its own.
 *
 * A request that waits for something stays where it is: its handler answers nothing
 * and is called again at each turn of the loop, until it does. libmicrohttpd's
 * own threads would do that without a pause, and the other way, its suspending and
 * resuming, costs four system calls a request. Here a turn is made only when a
 * connection or loop_kick() gives a reason to.
 *
 * The handlers must say what they did: loop_wait() before they leave a request
 * open, loop_go_on() when it is not any more, loop_again() after whatever else changed the state
 * of a connection (an answer queued, a request at its end).
 */
#ifndef TRACKER_LOOP_H
#define TRACKER_LOOP_H

#include <stddef.h>

#include "common/err.h"

#define LOOP_DAEMONS_MAX 16

struct loop;
struct MHD_Daemon;

/* Called in the thread at the end of each turn. */
typedef void loop_turn(void *arg);

struct loop *loop_open(loop_turn *turn, void *arg, struct err *e);

/*
 * The loop's from now on (also on failure): a daemon started with MHD_USE_EPOLL, without a
 * thread, on a socket that nobody else closes. Before loop_start().
 */
int loop_add(struct loop *l, struct MHD_Daemon *d, struct err *e);

/* Signals are blocked in the thread. */
int loop_start(struct loop *l, struct err *e);

/* From any thread: turn, there is a request to go on with. */
void loop_kick(struct loop *l);

/* From any thread: listen no more. */
void loop_quiesce(struct loop *l);

/* End the thread. It may still be kicked. */
void loop_stop(struct loop *l);

/* Stops it too, and closes all connections; handlers are told, in the caller's thread. NULL is
 * fine. */
void loop_close(struct loop *l);

/* ---- for handlers ---- */

void loop_wait(struct loop *l);
void loop_go_on(struct loop *l);
void loop_again(struct loop *l);

#endif
