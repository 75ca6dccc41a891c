/*
 * mta_reports.h - what Postfix needs to know about mail that the milter captures.
 */
#ifndef CTL_MTA_REPORTS_H
#define CTL_MTA_REPORTS_H

#include <stdio.h>

#include "common/conf.h"

void reports_put(const struct conf *c, FILE *out);

#endif
