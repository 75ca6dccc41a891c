/*
 * route.h - the way out of Postfix that a virtual MTA is: a transport of its own in
 * master.cf, with its source address. `signalpost mta-config` makes the transports; the
 * milter names one in a header that Postfix's milter_header_checks turns into FILTER, and
 * takes the header out again before the message is queued.
 *
 * Postfix asks milter_header_checks only about headers that a milter makes, so that a
 * header of this name that a client sends selects nothing.
 */
#ifndef COMMON_ROUTE_H
#define COMMON_ROUTE_H

#include <stdbool.h>

#include "common/conf.h"
#include "common/slice.h"

#define ROUTE_HEADER    "X-Signalpost-Route"
#define ROUTE_PREFIX    "spv-" /* of each transport's name */
#define ROUTE_NAME_SIZE 64

/* Several virtual MTAs: one alone is Postfix's own default. */
bool route_needed(const struct conf *c);

/*
 * The transport's name: the virtual MTA's where it is made of small letters, digits and
 * hyphens; else what is left of it and a hash, so that two of them never meet. It does not
 * depend on what else is configured: deferred mail keeps the name. Returns `out`.
 */
const char *route_name(const struct conf_vmta *v, char out[ROUTE_NAME_SIZE]);

/*
 * Would Postfix send this recipient by its ordinary SMTP client? `mailer` and `host` are
 * its {rcpt_mailer} and {rcpt_host}; without them (locally submitted mail) the
 * configuration is asked. If not (a mailbox here, another transport, a relay domain with a
 * next hop of its own), the message must not be routed: FILTER holds for all recipients.
 */
bool route_may_take(const struct conf *c, struct slice rcpt, const char *mailer, const char *host);

#endif
