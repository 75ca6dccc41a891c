/*
 * mta_check.h - is the Postfix that there is set up as the configuration asks?
 */
#ifndef CTL_MTA_CHECK_H
#define CTL_MTA_CHECK_H

#include <stdbool.h>

#include "common/conf.h"
#include "common/err.h"

/*
 * Print what is missing, wrong or dangerous in the configuration of Postfix in `dir`, each
 * with the command that mends it; with `json`, as one line of JSON each. 0: all is well.
 * 1: something was found. -1 and *e: it can't be read.
 */
int mta_check(
    const struct conf *c, const char *conf_file, const char *dir, bool json, struct err *e);

#endif
