/*
 * inbox.h - the job of the uploader that reads captured reports (inbound.h): inbound/ ->
 * report_read() -> which message (correlate.h) -> events (report_event.h) -> the spool.
 *
 * What is on disk when the power goes, in this order: the report; its events in the spool;
 * its going: removed, or moved to inbound/onward/ if the mail must go on (onward.h), or to
 * rejected/ if it is no captured report. A crash in between makes the same events
 * again, with the same event_id.
 *
 * Oldest first. One whose message is not in the index yet waits until all segments that were
 * begun before it came are closed and have been read; others are not kept waiting by it.
 */
#ifndef UPLOADER_INBOX_H
#define UPLOADER_INBOX_H

#include <stdint.h>

#include "common/conf.h"
#include "common/err.h"
#include "common/spool.h"
#include "uploader/learn.h"

struct inbox;

/* `conf` and `learn` are used until the close. NULL and *e. */
struct inbox *inbox_open(
    const struct conf *conf, struct spool *sp, struct learn *learn, struct err *e);
void inbox_close(struct inbox *in); /* NULL is fine */

/*
 * Go on, for some ten milliseconds. Returns when to come again, monotonic, or as soon as one of
 * the descriptors is readable. `*onward`: something has been put there.
 */
int64_t inbox_step(struct inbox *in, bool *onward);

/* Readable when a report has come; readable when a signature has been verified. -1: none. */
int inbox_fd(const struct inbox *in);
int inbox_auth_fd(const struct inbox *in);

#endif
