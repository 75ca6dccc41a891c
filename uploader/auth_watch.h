/*
 * auth_watch.h - the job of the uploader that counts failed authentications in the
 * MTA's log for smtp-max-auth-failure-rate, see auth_failures.h.
 *
 * It reads the log on its own, since mail_log.h's reading waits for the milter's
 * events while a client that guesses passwords does not wait. How far it has read
 * stands in the same file as what it has counted.
 */
#ifndef UPLOADER_AUTH_WATCH_H
#define UPLOADER_AUTH_WATCH_H

#include <stdint.h>

#include "common/conf.h"

struct auth_watch;

/*
 * The file is in `dir`; it is read, and the log opened, at the first step, when who
 * counted before has closed. `conf` is used until the close. NULL: there is nothing
 * to count, or no log to count it in.
 */
struct auth_watch *auth_watch_open(const struct conf *conf, const char *dir);
void auth_watch_close(struct auth_watch *w); /* NULL is fine; what was counted is written */

/* Go on, for some ten milliseconds. Returns when to come again, monotonic. */
int64_t auth_watch_step(struct auth_watch *w);

#endif
