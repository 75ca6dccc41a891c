/*
 * onward.h - captured mail that must go on: what takes it to the MTA by SMTP, and how
 * it is kept until the MTA has it.
 *
 *	inbound/onward/in1-XXXXXXXXXXXXXXXX.json	the order: to whom it goes
 *	inbound/onward/in1-XXXXXXXXXXXXXXXX.eml		the mail, as it was captured (inbound.h)
 *
 * The order is durable before the mail's file comes, and goes after it. A mail with an
 * order is to be sent; an order without a mail is left over from a crash and means
 * nothing. A mail is in inbound/ or in inbound/onward/, never in both: what stops
 * onward_put() at any point leaves it where it was, to be put again.
 *
 * One process does all this: the uploader, which holds the spool's lock.
 */
#ifndef UPLOADER_ONWARD_H
#define UPLOADER_ONWARD_H

#include <stdint.h>

#include "common/buf.h"
#include "common/conf.h"
#include "common/err.h"
#include "common/slice.h"
#include "common/spool.h"

/* ---- the files (onward_file.c) ---- */

/*
 * MAIL FROM is never the original sender: what the MTA can not deliver must not be bounced to a
 * stranger. It is the postmaster's address (directive postmaster), or <> if there is none, if it is
 * in an address list, or if the original sender was <>. A header, X-Signalpost-Sender, has that.
 */
struct onward_order {
	struct slice from; /* the original MAIL FROM, without <>; "" for the null sender */
	size_t n_rcpts;    /* at least one */
	struct slice *rcpts;
	struct slice why; /* "matched", "unmatched" or "error", for the log */
};

/* inbound/onward/, made if it is missing; the caller closes it. -1 and *e. */
int onward_dir(struct spool *sp, struct err *e);

/*
 * The mail `name` of inbound/ (inbound_fd) goes on: order and mail come to onward_fd, durable.
 * 0; -1 and *e: it is in inbound/ still. An order that is there for `name` is replaced.
 */
int onward_put(int inbound_fd, int onward_fd, const char *name, const struct onward_order *order,
    struct err *e);

/*
 * The order for the mail `name` ("in1-....eml"). *out borrows from `store`, and out->rcpts is to
 * be freed. 1; 0: there is none; -1 and *e: it can't be read, or is none.
 */
int onward_order_read(
    int onward_fd, const char *name, struct onward_order *out, struct buf *store, struct err *e);

/* Replace it, durable: some recipients are done with. */
int onward_order_write(
    int onward_fd, const char *name, const struct onward_order *order, struct err *e);

/* The MTA has it: the mail goes, and then its order, durable. -1 and *e: it may be sent again. */
int onward_remove(int onward_fd, const char *name, struct err *e);

/*
 * Mails, oldest first, at most `max`; orders without a mail are removed. Free each and the
 * array. -1 and *e.
 */
ssize_t onward_list(int onward_fd, size_t max, char ***names, struct err *e);

/* ---- the job (onward.c) ---- */

struct onward;

/*
 * One recipient a transaction, with our own fields before the mail's: the seal
 * that lets it pass the milter (common/onward.h), X-Signalpost-Forwarded, by which a mail that
 * is sent back to us is known and dropped, X-Signalpost-Sender. Message-ID and all else stay.
 *
 * What the relay refuses (5xx) goes to rejected/ with the reason, and is never bounced; so does
 * what it has not taken within onward-age. All else is tried again. If we die between the relay's
 * 250 and the order's next state, that recipient gets the mail twice.
 *
 * `conf` is used until the close. libcurl must have been set up. NULL and *e.
 */
struct onward *onward_job_open(const struct conf *conf, struct spool *sp, struct err *e);
/* Gives up what is under way, but waits two seconds for an answer that is near. NULL is fine. */
void onward_job_close(struct onward *o);

/* Go on with what is under way. Returns when to come again, monotonic, or as soon as the
 * descriptor (it stays the same) is readable. */
int onward_job_fd(const struct onward *o);
int64_t onward_job_step(struct onward *o);
void onward_job_wake(struct onward *o); /* something has been put there */

#endif
