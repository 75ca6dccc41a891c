/*
 * run.h - run a program, wait for it, and have what it said.
 */
#ifndef CTL_RUN_H
#define CTL_RUN_H

#include "common/buf.h"
#include "common/err.h"
#include "common/slice.h"

/*
 * Run argv (found in $PATH, /usr/sbin and /sbin; ends with NULL) with `input` on its
 * standard input. `out` and `said` get its standard output and error (appended; may be the
 * same one, or NULL: not wanted). Returns the exit status, 128 + the signal that ended it,
 * or -1 and *e: it could not be run.
 */
int run_program(
    const char *const *argv, struct slice input, struct buf *out, struct buf *said, struct err *e);

#endif
