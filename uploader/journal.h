/*
 * journal.h - what programs say to systemd's journal with facility mail, and
 * the journal's own word that it dropped messages; read as follow.h reads a file.
 */
#ifndef UPLOADER_JOURNAL_H
#define UPLOADER_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/slice.h"

struct journal;

struct journal_entry {     /* valid until the next call */
	struct slice tag;  /* "postfix/smtp" */
	struct slice text; /* at most JOURNAL_TEXT_MAX bytes */
	int64_t at_us;
};

#define JOURNAL_TEXT_MAX ((size_t)64 * 1024)

/*
 * Begin behind what `saved`, from journal_save(), says; if it is empty, with what
 * was said since `since_s` (0: from now on). `dir` NULL: this host's journal;
 * otherwise the journal files in that directory. NULL and *e: no journal, no
 * rights to it, or no libsystemd when this was built.
 */
struct journal *journal_open(const char *dir, struct slice saved, int64_t since_s, struct err *e);

/* A file of it is there that we may read. Without one nothing ever comes, and nothing fails. */
bool journal_is_there(const struct journal *j);
void journal_close(struct journal *j); /* NULL is fine */

/* The next entry; the same one until journal_take(). 1; 0: there is none now; -1 and *e. */
int journal_peek(struct journal *j, struct journal_entry *out, struct err *e);
void journal_take(struct journal *j);

/* Where we are, behind the last entry taken; `out` is cleared first. */
void journal_save(struct journal *j, struct buf *out);

#endif
