/*
 * inbound.h - a captured report on its way from the milter to the uploader.
 *
 *	inbound/tmp/in1-XXXXXXXXXXXXXXXX.eml	being written (flock'ed by its writer)
 *	inbound/in1-XXXXXXXXXXXXXXXX.eml	whole and durable: to be processed
 *	inbound/onward/in1-...eml		its events are made; it goes on by SMTP
 *
 * The name is a number in 16 upper-case hex digits (microseconds of its creation),
 * so that names sort by age; it never replaces another file. A file is one line
 * of JSON, the envelope, and then the mail as it came, byte for byte (lines end with CRLF).
 */
#ifndef COMMON_INBOUND_H
#define COMMON_INBOUND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/slice.h"
#include "common/spool.h"

#define INBOUND_NAME_SIZE    32
#define INBOUND_ENVELOPE_MAX (8u << 20) /* bytes of the first line */

enum inbound_list { INBOUND_BOUNCE, INBOUND_FEEDBACK };

struct inbound_rcpt {
	struct slice address;   /* as the sender gave it, without <>; any bytes but controls */
	enum inbound_list list; /* whose address list it is in */
};

struct inbound_envelope {
	struct slice from; /* without <>; "" for the null sender */
	size_t n_rcpts;    /* at least one */
	struct inbound_rcpt *rcpts;
	struct slice queue_id, client_ip, client_name, helo; /* "" if unknown */
	int64_t received_s;
};

/* ---- the milter's side ---- */

struct inbound_writer; /* of one session: not thread-safe; buffers 64 KB and no more */

/*
 * Is there room for another report? -1, *e and e->num ENOSPC if less than `reserve` bytes
 * are free where the spool is.
 */
int inbound_room(const struct spool *sp, uint64_t reserve, struct err *e);

/*
 * Begin a file in inbound/tmp/. NULL and *e; e->num is the errno (ENOSPC, EDQUOT:
 * the answer is 452, all else 451).
 */
struct inbound_writer *inbound_create(
    struct spool *sp, const struct inbound_envelope *env, struct err *e);
/* Bytes of the mail, headers first. -1 and *e: only inbound_abandon() is left. */
int inbound_write(struct inbound_writer *w, struct slice bytes, struct err *e);
/*
 * Bring the bytes to stable storage, which is the part of a commit that can fail for lack of
 * room; for callers that have other work between that and the commit. -1 as above.
 */
int inbound_sync(struct inbound_writer *w, struct err *e);
/*
 * Make it durable: fsync, rename into inbound/, fsync of the directory. 0: it will be
 * processed, whatever happens now; `name` has its name. -1 and *e: it will not. Frees w.
 */
int inbound_commit(struct inbound_writer *w, char name[INBOUND_NAME_SIZE], struct err *e);
void inbound_abandon(struct inbound_writer *w); /* NULL is fine */

/* ---- the uploader's side ---- */

/* Is this the name of a captured report? */
bool inbound_is_name(const char *name);

struct inbound_file {
	struct inbound_envelope env; /* borrows from priv */
	struct slice mail;           /* from the map */
	void *priv;
};

/* The same for the bytes of a file, which stay the caller's. inbound_close() frees the rest. */
int inbound_parse(struct slice bytes, struct inbound_file *out, struct err *e);

/*
 * Map the file `name` of the directory dirfd: never blocks on a FIFO, does not follow a
 * link. -1 and *e: it can't be read, or its envelope is none.
 */
int inbound_open(int dirfd, const char *name, struct inbound_file *out, struct err *e);
void inbound_close(struct inbound_file *f); /* also what a failed open left */

/* What dead writers left in inbound/tmp/ was never acknowledged: it is removed. Number, or -1. */
int inbound_recover(struct spool *sp, struct err *e);

#endif
