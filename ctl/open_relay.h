/*
 * open_relay.h - would this Postfix relay for everybody?
 */
#ifndef CTL_OPEN_RELAY_H
#define CTL_OPEN_RELAY_H

#include "common/buf.h"
#include "ctl/mta_facts.h"

struct open_relay {
	const char *service; /* "10025/inet"; NULL: main.cf, for all of them */
	const char *setting; /* the one to blame, and its value */
	const char *value;
	const char *why;
	const char *safe; /* a value that closes it */
};

/* Somebody whom no table has a reason to know (RFC 2606). */
#define OPEN_RELAY_STRANGER "someone@stranger.invalid"

/* What a table of this host says to the key; those that ask others are not asked. */
bool open_relay_look_up(
    const struct mta_facts *f, struct slice table, const char *key, struct buf *answer);

/* "com", "de": nobody relays for all of it. Other single names may be of this network. */
bool open_relay_is_tld(struct slice domain);

/*
 * Tells of every way. Looked at: mynetworks, relay_domains, who may use XCLIENT, and
 * smtpd_relay_restrictions with smtpd_recipient_restrictions of each smtpd that others
 * than this host reach. Tables
 * of this host are asked about a stranger; those elsewhere (LDAP, SQL) are not. Returns how many.
 */
unsigned open_relay_find(
    const struct mta_facts *f, void (*tell)(void *arg, const struct open_relay *found), void *arg);

#endif
