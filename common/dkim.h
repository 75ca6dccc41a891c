/*
 * dkim.h - DKIM signing (RFC 6376, RFC 8463): canonicalization, body hash,
 * signature, over what the MTA will send.
 *
 * Keys are parsed once and are then immutable; one key signs in many threads at
 * the same time. Verifying is libopendkim's business, not ours.
 */
#ifndef COMMON_DKIM_H
#define COMMON_DKIM_H

#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/slice.h"

enum dkim_algorithm { DKIM_RSA_SHA256, DKIM_ED25519_SHA256 };
enum dkim_canon { DKIM_RELAXED, DKIM_SIMPLE };

const char *dkim_algorithm_name(enum dkim_algorithm a); /* "rsa-sha256" */
const char *dkim_canon_name(enum dkim_canon c);

/* ---- keys ---- */

struct dkim_key;

/*
 * Read a PEM private key, RSA of at least 1024 bits or Ed25519. Refused: a file
 * that others may read or that anyone but its owner and root may write
 * (RFC 6376 8.2 asks to protect it), a public key, a key with a passphrase,
 * another type. NULL and *e naming file and remedy.
 */
struct dkim_key *dkim_key_load(const char *path, struct err *e);
void dkim_key_close(struct dkim_key *k);
enum dkim_algorithm dkim_key_algorithm(const struct dkim_key *k);
unsigned dkim_key_bits(const struct dkim_key *k);

/* Append the DNS record's text: "v=DKIM1; k=rsa; p=..." (RFC 6376 3.6.1, RFC 8463 4). */
void dkim_key_record(const struct dkim_key *k, struct buf *out);

/* A new private key as PEM; `bits` is for RSA. */
int dkim_key_generate(enum dkim_algorithm a, unsigned bits, struct buf *pem, struct err *e);

/* ---- the body, in pieces of any size ---- */

struct dkim_body;

/*
 * Bare LF counts as a line end and a bare CR as itself. A missing final line
 * end is added, as RFC 6376 3.4 and the MTAs do.
 */
struct dkim_body *dkim_body_begin(enum dkim_canon canon);
void dkim_body_add(struct dkim_body *b, struct slice chunk);
void dkim_body_end(struct dkim_body *b, unsigned char hash[32], uint64_t *length); /* frees b */
void dkim_body_free(struct dkim_body *b); /* without finishing; NULL is fine */

/* ---- the signature ---- */

struct dkim_field { /* as the message has it */
	struct slice name;
	struct slice value; /* all behind the colon, leading blank included; folds LF or CRLF + white space */
};

struct dkim_signing {
	const char *selector, *domain; /* s=, d= */
	struct slice identity;	       /* i=; empty: left out */
	enum dkim_canon header_canon, body_canon;
	const char *const *extra;    /* NULL-terminated: headers to sign beside the standard list; may be NULL */
	const char *const *oversign; /* NULL-terminated: named once more than they occur; may be NULL */
	int64_t timestamp;	     /* t=, Unix seconds; 0: left out */
	int64_t expires;	     /* x=, Unix seconds; 0: left out */
	bool body_limit;	     /* l= */
	uint64_t body_length;	     /* for l=, from dkim_body_end() */
};

/* Is this header in the list that is signed wherever it occurs? */
bool dkim_is_standard_header(struct slice name);
/* Is it one that is never signed (Return-Path, Received, DKIM-Signature, Bcc, Comments, Keywords, ...)? */
bool dkim_is_never_header(struct slice name);

/*
 * Append the value of the DKIM-Signature header to be inserted above `fields`:
 * begins with a blank, folds are "\n\t", no line end at the end, no line over 78
 * bytes except for what can't be folded. All instances of a signed name are
 * covered. -1 and *e: no From to sign, or libcrypto's error.
 */
int dkim_sign(const struct dkim_key *k, const struct dkim_signing *how,
    const struct dkim_field *fields, size_t n_fields, const unsigned char body_hash[32],
    struct buf *out, struct err *e);

#endif
