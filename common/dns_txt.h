/*
 * dns_txt.h - the TXT records of a name: from the resolver of this host, from one
 * that is named, or from a file that stands for DNS in tests.
 *
 * The strings of a record are joined without a blank between them (RFC 6376 3.6.2.2).
 */
#ifndef COMMON_DNS_TXT_H
#define COMMON_DNS_TXT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "common/buf.h"
#include "common/err.h"

#define DNS_TXT_MAX 16 /* records of one name that are looked at */

struct dns_txt {
	size_t n;
	struct buf text[DNS_TXT_MAX];
};

struct dns_source {
	const char *file;            /* lines "NAME TEXT"; NULL: ask */
	struct sockaddr_in resolver; /* sin_family 0: those of resolv.conf */
	bool brief; /* two seconds at most, of one resolver, and no answer that needs TCP */
};

/* ADDRESS[:PORT], IPv4. -1 and *e. */
int dns_source_resolver(const char *text, struct dns_source *out, struct err *e);

/*
 * 1: found; 0: the name has none, *e says what the resolver said; -1 and *e: nobody knows, since
 * no answer came. Waits some 12 seconds at most. dns_txt_free() takes the result of any of them.
 */
int dns_txt_get(const struct dns_source *s, const char *name, struct dns_txt *out, struct err *e);
void dns_txt_free(struct dns_txt *t);

/* The record as a zone file has it: cut into strings that DNS can hold (RFC 1035 3.3.14). */
void dns_txt_print_zone(const char *name, struct slice text, FILE *out);

#endif
