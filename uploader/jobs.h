/*
 * jobs.h - what the uploader does beside sending: it reads segments into the index
 * (learn.h), follows the MTA's log (mail_log.h, auth_watch.h), and reads captured reports (inbound.h).
 * Which of them there are, the configuration says.
 */
#ifndef UPLOADER_JOBS_H
#define UPLOADER_JOBS_H

#include <stdint.h>

#include "common/conf.h"
#include "common/err.h"
#include "common/spool.h"

struct jobs;

/* `conf` is used until the close. NULL and *e. */
struct jobs *jobs_open(const struct conf *conf, struct spool *sp, struct err *e);
void jobs_close(struct jobs *j); /* NULL is fine */

/* A segment is about to be uploaded: -1 and *e if it must not be yet. */
int jobs_before_upload(struct jobs *j, const char *segment, struct err *e);
void jobs_gone(struct jobs *j, const char *segment); /* it was uploaded and removed */

/* Go on, for some ten milliseconds. Returns when to come again, monotonic. */
int64_t jobs_step(struct jobs *j);

/* A descriptor that is readable when there is something to do before that; -1: none. */
int jobs_fd(const struct jobs *j);

#endif
