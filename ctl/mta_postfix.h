/*
 * mta_postfix.h - what a configuration asks of the MTA, as Postfix settings.
 */
#ifndef CTL_MTA_POSTFIX_H
#define CTL_MTA_POSTFIX_H

#include <stdio.h>

#include "common/conf.h"
#include "common/err.h"

/*
 * Write a POSIX shell script that sets up Postfix (3.6 or newer) as `c` says; each
 * group of commands names the directives it comes from, and what Postfix has no
 * word for is a comment. No secret is written: the script asks
 * `signalpost mta-config postfix -c CONF_FILE -p USER` for each password.
 *
 * -1, *e set and nothing written: the configuration would make Postfix relay for
 * everybody, or has a listener that nobody could be reached at.
 */
int mta_postfix_script(const struct conf *c, const char *conf_file, FILE *out, struct err *e);

#endif
