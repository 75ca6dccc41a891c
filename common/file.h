/*
 * file.h - small file work that several modules need, done with care once.
 */
#ifndef COMMON_FILE_H
#define COMMON_FILE_H

#include <sys/types.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/slice.h"

/*
 * Read a whole regular file into `out` (which is cleared first; its cap is the
 * size limit). `dirfd` may be AT_FDCWD. 0, or -1 with *e naming the file: not
 * there, not a regular file (a FIFO does not hang us), too big, unreadable.
 */
int file_read(int dirfd, const char *path, struct buf *out, struct err *e);

/*
 * Open `name` in `dirfd` for reading. -1 and *e, which names it (e->num: ENOENT if there is none),
 * unless it is a regular file; no link is followed, nothing else is opened or waited for.
 */
int file_open_regular(int dirfd, const char *name, struct err *e);

/* Write all of `data`, through short writes and EINTR. -1 with errno set. */
int file_write_all(int fd, struct slice data);

/*
 * Replace `name` in `dirfd`, an open directory, by `data`, with `mode`: temporary file, write,
 * fsync, rename, fsync of the directory. 0: durable. -1: *e set, the old file stands.
 */
int file_replace(int dirfd, const char *name, struct slice data, mode_t mode, struct err *e);

/*
 * Rename that never replaces what is there (EEXIST then), also where the file system
 * can't promise it. -1 with errno set.
 */
int file_rename_new(int from, const char *old, int to, const char *new);

/* fsync an open directory. */
int file_sync_dir(int dirfd, const char *what, struct err *e);

/* mkdir -p with `mode` for what is made, durably. 0 if the directory is there afterwards. */
int file_mkdirs(const char *path, mode_t mode, struct err *e);

#endif
