/*
 * dkim_record.h - the key record in DNS that verifiers fetch for a DKIM
 * signature: "v=DKIM1; k=rsa; p=..." (RFC 6376 3.6.1, RFC 8463 4).
 */
#ifndef COMMON_DKIM_RECORD_H
#define COMMON_DKIM_RECORD_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/dkim.h"
#include "common/err.h"
#include "common/slice.h"

struct dkim_record {           /* borrows from the text */
	struct slice key_type; /* k=; "rsa" if it is not there */
	struct slice key;      /* p=, with the blanks that it may have */
	bool revoked;          /* p= is there and empty */
	bool sha256;           /* h= is not there, or names it */
	bool email;            /* s= is not there, or names it or "*" */
	bool testing;          /* t=y: verifiers may treat a failure as if nothing were signed */
	bool strict;           /* t=s: i= must be in d= itself, not below it */
};

/*
 * Read the strings of one TXT record, joined. -1 and *e, in words for the person who
 * published it: not a list of tags, a tag twice, v= is not DKIM1 or not the first, no p=.
 */
int dkim_record_read(struct slice text, struct dkim_record *out, struct err *e);

/*
 * Does the record fit the private key: type, hash, service, key bytes? -1 and *e says
 * what does not: the reason why a verifier would not take the signature.
 */
int dkim_record_fits(const struct dkim_record *r, const struct dkim_key *k, struct err *e);

#endif
