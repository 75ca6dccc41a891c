/*
 * enter.h - new segments into the ledger, as many at a time as are counted quickly: a worker
 * counts their events, one transaction enters them. What holds no events is removed.
 */
#ifndef UPLOADER_ENTER_H
#define UPLOADER_ENTER_H

#include "common/err.h"
#include "common/ledger.h"
#include "uploader/batch.h"
#include "uploader/scan.h"
#include "uploader/workers.h"

#define ENTER_AT_ONCE 1024                 /* a transaction is a sync */
#define ENTER_BYTES   ((uint64_t)32 << 20) /* then the first of them can go, and others wait */

struct enter {
	struct worker_job job; /* first; job.owner is this */
	int dirfd;             /* events/ */
	size_t n;              /* names that were taken from the scan */
	size_t done;           /* of these, counted */
	char names[ENTER_AT_ONCE][SPOOL_NAME_SIZE];
	struct batch_count counts[ENTER_AT_ONCE];
	bool busy, counted;
};

struct enter_calls {
	void (*entered)(void *arg, const char *name);
	void (*empty)(void *arg, const char *name);                /* to be removed */
	void (*bad)(void *arg, const char *name, const char *why); /* can't be read */
	void *arg;
};

void enter_init(struct enter *n, int dirfd);

/* Take names from the scan and give them to a worker, if it has none. */
void enter_start(struct enter *n, struct scan *s, struct workers *w);
void enter_counted(struct enter *n); /* the worker is done */

/* Write what has been counted. 1: something new is in the ledger; 0; -1 and *e: try again later. */
int enter_write(struct enter *n, struct ledger *l, const struct enter_calls *calls, struct err *e);

#endif
