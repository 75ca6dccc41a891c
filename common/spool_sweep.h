/*
 * spool_sweep.h - what is in the spool and is nothing of ours - FIFOs, sockets, links,
 * directories, other names - goes to rejected/ as it is, with the reason. Nothing is
 * opened or followed on the way.
 */
#ifndef COMMON_SPOOL_SWEEP_H
#define COMMON_SPOOL_SWEEP_H

#include <stdbool.h>
#include <sys/stat.h>

#include "common/err.h"
#include "common/rejected.h"
#include "common/spool.h"

#define SPOOL_SWEEP_GRACE_S 10 /* a file of another name may be on its way to ours */

/* What was done, one line; NULL for none. */
typedef void spool_sweep_report(void *arg, const char *text);

/*
 * events/ and inbound/. A regular file with a foreign name goes when it has not been written
 * to for a while. Returns how many went, or -1 and *e. What can't be moved is reported each
 * time and stays.
 */
int spool_sweep(
    struct spool *sp, struct rejected *r, spool_sweep_report *report, void *arg, struct err *e);

/* One thing in the directory, for this reason. -1 and *e: it stays. */
int spool_sweep_evict(struct rejected *r, int dirfd, const char *name, const char *reason,
    spool_sweep_report *report, void *arg, struct err *e);

/*
 * A segment in events/ that can't be read (errno says why): if it is ours it is made readable,
 * 1; if it can never be read it goes to rejected/, 0; -1 and *e: it stays, and may do next time.
 */
int spool_sweep_unreadable(struct spool *sp, struct rejected *r, const char *name,
    spool_sweep_report *report, void *arg, struct err *e);

/* Written to within that many seconds? A time in the future says nothing. */
bool spool_sweep_is_young(const struct stat *st, int64_t age_s);

#endif
