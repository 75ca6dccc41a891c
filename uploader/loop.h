/*
 * loop.h - the uploader's one loop: segments into the ledger, from there to the
 * sinks, and, when those that are required have them, away. It waits for the spool,
 * for signals, for workers and for transfers, and never blocks on any of them.
 *
 *	TERM, INT	end at once; what has not been taken stays in the spool
 *	HUP, USR1	read the configuration again; a bad one changes nothing
 */
#ifndef UPLOADER_LOOP_H
#define UPLOADER_LOOP_H

#include "common/conf.h"
#include "common/err.h"
#include "common/spool.h"

struct loop; /* owns the configuration once it runs; the spool stays the caller's */

/*
 * Blocks the four signals: call before any thread exists. `conf` becomes the
 * loop's. NULL and *e: `conf` is still the caller's.
 */
struct loop *loop_open(struct conf *conf, struct spool *sp, struct err *e);
void loop_close(struct loop *l);

/* Close it without its configuration, which is the caller's again. */
struct conf *loop_end(struct loop *l);

/*
 * Run until TERM or INT: 0. 1: the ledger is lost, open another loop. -1 and *e: the system refused
 * what the loop can't do without.
 */
int loop_run(struct loop *l, struct err *e);

#endif
