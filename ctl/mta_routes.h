/*
 * mta_routes.h - how mail leaves Postfix: a transport for each virtual MTA, the table that
 * selects it, and what becomes of max-smtp-out, bounce-after and retry-after.
 */
#ifndef CTL_MTA_ROUTES_H
#define CTL_MTA_ROUTES_H

#include <stdio.h>

#include "common/conf.h"

/* Times of the queue and limits of connections; each directive that Postfix can't follow. */
void mta_routes_put_queue(const struct conf *c, FILE *out);

/* Source addresses: of the only virtual MTA in main.cf, of several in transports. */
void mta_routes_put_vmtas(const struct conf *c, FILE *out);

#endif
