/*
 * sendmail_check.h - is sendmail set up as a configuration asks?
 */
#ifndef CTL_SENDMAIL_CHECK_H
#define CTL_SENDMAIL_CHECK_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/conf.h"
#include "common/err.h"

#define SENDMAIL_DIR "/etc/mail"

/* This host's MTA is sendmail: its configuration is there, and no Postfix is. */
bool sendmail_is_mta(void);

/*
 * Compare what is in `dir` (as Debian lays it out: sendmail.mc, sendmail.cf) with the
 * lines of mta_sendmail_mc() in its signalpost.m4. 0: all is there and in sendmail.cf;
 * 1: `found` says what is not, `remedy` is a shell command; -1 and *e: the configuration
 * can't be had as such lines.
 */
int sendmail_check(const struct conf *c, const char *conf_file, const char *dir, struct buf *found,
    struct buf *remedy, struct err *e);

#endif
