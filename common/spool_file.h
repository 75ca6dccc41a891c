/*
 * spool_file.h - files of the spool, for those who write and recover them only: how
 * they are named, locked, and moved from events/open/ to events/.
 *
 * Whoever writes to a file in events/open/ or inbound/tmp/ holds flock(LOCK_EX) on it. A file
 * that is found there is somebody's until its lock was taken and its name was
 * seen to lead to it still; only then may it be changed, moved or removed.
 */
#ifndef COMMON_SPOOL_FILE_H
#define COMMON_SPOOL_FILE_H

#include "common/spool.h"

struct spool {
	char *dir;
	int events, open, rejected, inbound, inbound_tmp, onward; /* directory descriptors */
};

/*
 * Create and lock an empty segment in events/open/, its name durable; `name`
 * gets its name. The descriptor, or -1 and *e with nothing left behind.
 */
int spool_file_create(struct spool *sp, char name[SPOOL_NAME_SIZE], struct err *e);

/*
 * For a new name: microseconds since 1970, but greater than any number that this
 * process had before. Thread-safe.
 */
uint64_t spool_file_number(void);

/*
 * Lock a file that is in the directory already. 1: it is ours; 0: somebody else
 * has it, or it is no longer there; -1: *e.
 */
int spool_file_lock(int dirfd, const char *name, int fd, struct err *e);

/*
 * Move a segment to events/. If its name is taken there, it gets another one,
 * in `name` too. Not durable before spool_file_sync_dirs().
 */
int spool_file_move(struct spool *sp, char name[SPOOL_NAME_SIZE], struct err *e);
int spool_file_sync_dirs(struct spool *sp, struct err *e);

/*
 * Names in a directory, sorted, "." and ".." left out; of closed segments only,
 * or of everything. Free each and the array. -1 and *e.
 */
ssize_t spool_file_names(int dirfd, bool segments_only, char ***names, struct err *e);

#endif
