/*
 * mta_sendmail.h - what a configuration asks of the MTA, as lines of a sendmail .mc file.
 */
#ifndef CTL_MTA_SENDMAIL_H
#define CTL_MTA_SENDMAIL_H

#include <stdio.h>

#include "common/conf.h"
#include "common/err.h"

/*
 * Write the m4 lines that make sendmail (8.17) do as `c` says, to be included above
 * the first MAILER line of a sendmail.mc; each group names the directives it comes
 * from, and what sendmail has no word for is a dnl line. No secret is written.
 *
 * -1 and *e: the configuration would make sendmail relay for everybody, has no
 * listener, or a path or name in it can't be written in m4. What is written then is
 * not to be used.
 */
int mta_sendmail_mc(const struct conf *c, FILE *out, struct err *e);

/*
 * Write a POSIX shell script that puts the users into the password file that the
 * lines above name. It asks `signalpost mta-config sendmail -c CONF_FILE -p USER` for
 * each password.
 */
void mta_sendmail_users(const struct conf *c, const char *conf_file, FILE *out);

#endif
