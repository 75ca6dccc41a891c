/*
 * relay.h - who may send on through Postfix: relay domains, the tables of clients and
 * recipients, and Postfix's own check behind the milter's.
 */
#ifndef CTL_RELAY_H
#define CTL_RELAY_H

#include <stdbool.h>
#include <stdio.h>

#include "common/conf.h"

/* -1 and *e: the MTA (named in the error) would relay for everybody. */
int relay_find_open(const struct conf *c, const char *mta, struct err *e);
/* The same, and there must be a listener. */
int relay_check(const struct conf *c, const char *mta, struct err *e);

struct relay_tables { /* which of the tables have an entry */
	bool clients, recipients, patterns, onward;
};

bool relay_is_domain(const struct conf *c, const char *domain); /* named by a relay-domain? */
bool relay_goes_on(
    const struct conf *c, const char *domain); /* or by a processor's address list? */

void relay_put_domains(const struct conf *c, FILE *out);

/* The tables; each says in *have whether it is worth asking. */
void relay_put_clients(const struct conf *c, struct relay_tables *have, FILE *out);
void relay_put_addresses(const struct conf *c, struct relay_tables *have, FILE *out);

/* The processors' addresses in Postfix's own domains, which it would call unknown users. */
void relay_put_local(const struct conf *c, FILE *out);

/* Where the processors forward to: only for this host's uploader. */
void relay_put_onward(const struct conf *c, struct relay_tables *have, FILE *out);

/* The part of a restriction list that asks the recipient tables, with a comma behind. */
void relay_put_recipient_checks(const struct relay_tables *have, FILE *out);

/* The strict smtpd for messages with several recipients; the comment it writes says why. */
void relay_put_guard(const struct relay_tables *have, FILE *out);

#endif
