/*
 * mail_log.h - the job of the uploader that turns the MTA's log into events:
 * sources (follow.h, journal.h) -> lines (maillog.h) -> what they mean
 * (outcome.h, learn.h) -> the spool.
 *
 * What is on disk when the power goes, in this order: the segments' facts in the
 * index, before they are uploaded; events in the spool; then, in one transaction,
 * what they changed in the index and how far the log has been read. A crash in
 * between makes the same events again, with the same event_id.
 *
 * A line about an unknown recipient may have come before the milter's segment:
 * it waits, and all later lines with it, until all segments that were begun before
 * it are closed and have been read; then it is about mail that isn't ours.
 *
 * Several sources are read in the order of their stamps: a message that one instance
 * of the MTA gives to another is in the logs of both.
 */
#ifndef UPLOADER_MAIL_LOG_H
#define UPLOADER_MAIL_LOG_H

#include "common/conf.h"
#include "common/err.h"
#include "uploader/learn.h"

struct mail_log;

/* Opens rules and sources. `conf` and `learn` are used until the close. NULL and *e. */
struct mail_log *mail_log_open(const struct conf *conf, struct learn *learn, struct err *e);
void mail_log_close(struct mail_log *l); /* NULL is fine */

/* Go on with the log, for some ten milliseconds. Returns when to come again, monotonic. */
int64_t mail_log_step(struct mail_log *l);

#endif
