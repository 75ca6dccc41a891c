/*
 * err.h - how a function tells its caller what went wrong.
 *
 * A function that can fail for a reason worth reading takes a `struct err *`
 * as its last argument and returns -1 after err_set(). It does not log: only
 * the program's top layer knows whether this is a warning, a tempfail or an
 * exit. Out of memory and broken invariants are not errors; they are fatal.
 */
#ifndef COMMON_ERR_H
#define COMMON_ERR_H

#include <errno.h>

struct err {
	char text[512]; /* one line, no newline, truncated if longer */
	int num;        /* the errno that it ends with, or 0 */
};

/*
 * Both are -1, so that a failing function can `return err_set(...)` and the
 * compiler and the analyser see the -1. err_errno() appends strerror(errno).
 */
#define err_set(e, ...)	  (err_text((e), 0, __VA_ARGS__), -1)
#define err_errno(e, ...) (err_text((e), errno, __VA_ARGS__), -1)

/*
 * Format into e->text; control characters become '?', so that bytes from
 * outside can't forge a log line. `e` may be NULL. errno is left as it was.
 */
__attribute__((format(printf, 3, 4))) void err_text(
    struct err *e, int errnum, const char *fmt, ...);

#endif
