/*
 * capture.h - a message's recipients that are in a processor's address list, and the file
 * that the message goes to for them (common/inbound.h). Knows nothing of libmilter.
 *
 *	capture_add(c, list, path, read);		at RCPT
 *	capture_begin(c, sp, &env, ...);		once, before what follows
 *	capture_header(c, name, value); capture_body(c, bytes);
 *	if (!capture_is_onward(c, ring, ...))		at the end: is it to be captured?
 *		if (capture_sync(c) < 0 || capture_commit(c, name) < 0)
 *			c->error says why
 *	capture_free(c);				also gives up what was not committed
 *
 * The mail streams to the disk: memory does not grow with it. A failure on the way is kept in
 * c->error until the end; what was written is removed at once, for the disk may be full.
 * With no recipient added all calls do nothing but look for the loop guard's header.
 */
#ifndef MILTER_CAPTURE_H
#define MILTER_CAPTURE_H

#include "common/inbound.h"
#include "common/token.h"

struct capture {                    /* all zero: nothing is captured */
	struct inbound_rcpt *rcpts; /* no duplicates; their addresses are `paths` without <> */
	char **paths;               /* as the MTA gave them, to remove them by, */
	char **read;                /* and as it reads them, or NULL where that is the same */
	size_t n, room, path_room, read_room;
	struct inbound_writer *writer; /* NULL: not begun, failed or over */
	bool begun, in_body, failed;
	uint64_t bytes, limit; /* of the mail, with CRLF; over `limit` it is given up */
	struct err error;      /* of failed */
	char *token;           /* the first loop guard's header, or NULL */
	unsigned n_tokens;     /* how many there are */
};

/*
 * Bytes that must be free for a report to be taken: 20 MB, or min-free-space if that is
 * less. The operator's larger number is for purging events, which reports are not.
 */
uint64_t capture_reserve(uint64_t min_free_space);

void capture_free(struct capture *c); /* all zero again */

/*
 * `path` with or without <>. A recipient that is there already counts once. `read` is the address
 * that the MTA made of it, or NULL: with a source route or two pairs of brackets Postfix
 * removes it by that only.
 */
void capture_add(struct capture *c, enum inbound_list list, const char *path, const char *read);

/*
 * Begin the file. `env` needs all but its recipients. A mail of more than `limit` bytes fails,
 * and so does any if less than `reserve` bytes are free. Not asked before: what our uploader
 * sends on, which makes room, has to come as far as its headers.
 */
void capture_begin(struct capture *c, struct spool *sp, const struct inbound_envelope *env,
    uint64_t limit, uint64_t reserve);

/*
 * A header as the MTA gives it: all behind the colon, folds as LF or CRLF. Names that only
 * differ in blanks before the colon come out as one.
 */
void capture_header(struct capture *c, struct slice name, struct slice value);
void capture_body(struct capture *c, struct slice bytes);

/*
 * Does this message carry a loop guard that holds, that is, was it sent on by our uploader to
 * its only recipient (`ordinary` has those that are not captured)? Then nothing is captured,
 * and `name` gets the report's file. `now` in seconds.
 */
bool capture_is_onward(struct capture *c, const struct token_ring *ring,
    const struct slice *ordinary, size_t n_ordinary, int64_t now, char name[INBOUND_NAME_SIZE]);

/* The bytes are on stable storage. -1: c->error. */
int capture_sync(struct capture *c);
/* It will be processed; `name` gets the file's name. -1: c->error, it will not. */
int capture_commit(struct capture *c, char name[INBOUND_NAME_SIZE]);

/* Append " capture=bounce to=<...>" and so on: lists, recipients, bytes. */
void capture_log(const struct capture *c, struct buf *line);

#endif
