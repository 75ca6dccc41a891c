/*
 * spool.h - the spool directory: what is on disk when the power goes.
 *
 *	events/open/sp1-XXXXXXXXXXXXXXXX.json	being written (flock'ed by its writer)
 *	events/sp1-XXXXXXXXXXXXXXXX.json	closed segments, for the uploader
 *	inbound/ inbound/tmp/ inbound/onward/	captured reports (inbound.h)
 *	rejected/				what could not be taken, with the reason
 *
 * A segment's name is a number in 16 upper-case hex digits (microseconds of its
 * creation), so that names sort by age; it never replaces another file.
 */
#ifndef COMMON_SPOOL_H
#define COMMON_SPOOL_H

#include <stdint.h>
#include <sys/types.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/slice.h"

#define SPOOL_NAME_SIZE 32 /* "sp1-" + 16 + ".json" and NUL, rounded up */

/*
 * The daemons are different users of one group: any of them closes what another left
 * behind. daemon_options() sets a umask that lets these through.
 */
#define SPOOL_DIR_MODE	0770
#define SPOOL_FILE_MODE 0660

/* In the spool: flock'ed by the uploader for as long as it runs; its process number is in it. */
#define SPOOL_UPLOADER_LOCK "uploader.lock"

struct spool; /* owns directory descriptors */

/* Open the spool in `dir`, making what is missing. NULL and *e on error. */
struct spool *spool_open(const char *dir, struct err *e);
void spool_close(struct spool *sp); /* NULL is fine; close its writers first */
const char *spool_dir(const struct spool *sp);
int spool_events_fd(const struct spool *sp); /* directory descriptors; they stay the spool's */
int spool_open_fd(const struct spool *sp);
int spool_rejected_fd(const struct spool *sp);
int spool_inbound_fd(const struct spool *sp);
int spool_inbound_tmp_fd(const struct spool *sp);
int spool_onward_fd(const struct spool *sp);

/* Is this the name of a segment? */
bool spool_is_segment(const char *name);

/*
 * Close what a dead writer left in events/open: whole valid lines stay, a torn
 * end is cut, invalid lines go as they are to rejected/, with the reason
 * (rejected.h), the segment is synced and moved to events/. An empty
 * file is removed. Files of live writers (flock) are not touched. What is no
 * regular file goes to rejected/ as it is, and so do foreign names after a few
 * seconds; no link is followed. A file with another name elsewhere (a hard link) is
 * copied, not changed. A file that can't be dealt with stays for the next time. Returns the number of segments that came to events/, or -1 and *e if
 * events/open/ can't be read.
 * `report`, if given, is called with one line of text for each file.
 */
int spool_recover(
    struct spool *sp, void (*report)(void *arg, const char *text), void *arg, struct err *e);

/* Closed segments' names, oldest first; free each and the array. -1 and *e. */
ssize_t spool_list(struct spool *sp, char ***names, struct err *e);

/* ---- the writer: one a process, shared by its threads ---- */

struct spool_writer;

struct spool_writer_options {
	size_t segment_size;     /* close a segment at this many bytes; at most 4.5 MB */
	unsigned segment_age_ms; /* or when its first event is this old */
	bool sync;               /* no: append() does not wait for the disk */
};

struct spool_stats {
	uint64_t events;   /* appended */
	uint64_t syncs;    /* fdatasync calls that were good */
	uint64_t segments; /* closed */
	uint64_t failures; /* of appends, and of closing a segment (which is tried again) */
	struct err error;  /* the last failure */
};

/* Starts a thread that closes aged segments; signals are blocked in it. */
struct spool_writer *spool_writer_open(
    struct spool *sp, const struct spool_writer_options *opt, struct err *e);

/* Closes the segment, so that nothing waits for the next start. Nobody may be appending. NULL is
 * fine. */
void spool_writer_close(struct spool_writer *w);

/* Values for segments begun from now on. Thread-safe. */
void spool_writer_set(struct spool_writer *w, const struct spool_writer_options *opt);

/*
 * Append `lines` (whole NDJSON lines, `count` of them) and wait until they are
 * on stable storage; callers that arrive meanwhile share the next fdatasync.
 * More bytes than segment_size make a segment of their own.
 * 0: durable, all of them in one segment. -1 and *e: none of them will ever be seen.
 */
int spool_append(struct spool_writer *w, struct slice lines, unsigned count, struct err *e);

struct spool_stats spool_writer_stats(struct spool_writer *w);

#endif
