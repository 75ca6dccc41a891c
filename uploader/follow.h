/*
 * follow.h - the lines of a log file as it grows, through rotation by rename
 * (mail.log -> mail.log.1), by copy and truncation, and while nobody looked.
 *
 *	while (follow_peek(f, &line) > 0) {
 *		...
 *		follow_take(f);
 *	}
 *	follow_save(f, &state);		once what came of the lines is durable
 *
 * A line is whole when its LF is there. Lines come in the order of the files'
 * age; a file that was rotated away is read for another minute, since its writer
 * may be slow to notice. A rotated file that is compressed can't be read: what
 * was in it and had not been read is missing, which is said.
 *
 * Memory: FOLLOW_LINE_MAX and 256 KB, whatever the size of the file.
 */
#ifndef UPLOADER_FOLLOW_H
#define UPLOADER_FOLLOW_H

#include "common/buf.h"
#include "common/err.h"
#include "common/slice.h"

#define FOLLOW_LINE_MAX ((size_t)64 * 1024) /* longer lines are skipped */

struct follow;

/*
 * Begin behind what `saved`, from follow_save(), says; if it is empty with the
 * oldest rotated file that was written to since `since_s` (0: with the file
 * itself). The file need not be there yet. `say` gets one line of text for what
 * the operator should know.
 */
struct follow *follow_open(const char *path, struct slice saved, int64_t since_s,
    void (*say)(void *arg, const char *text), void *arg);
void follow_close(struct follow *f); /* NULL is fine */

const char *follow_path(const struct follow *f);

/*
 * The next line, without its LF; the same one until follow_take(). 1; 0: there is
 * none now. The slice is valid until the next call.
 */
int follow_peek(struct follow *f, struct slice *line);
void follow_take(struct follow *f);

/* Where we are, behind the last line taken; `out` is cleared first. */
void follow_save(struct follow *f, struct buf *out);

#endif
