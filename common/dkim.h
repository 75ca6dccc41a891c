/*
 * dkim.h - DKIM signing (RFC 6376, RFC 8463): canonicalization, body hash,
 * signature, over what the MTA will send.
 *
 * Keys are parsed once and are then immutable; one key signs in many threads at
 * the same time. Verifying is libopendkim's business, not ours.
 *
 *	struct dkim_body *b = dkim_body_begin(DKIM_RELAXED);
 *
 *	dkim_body_add(b, chunk);
 *	dkim_body_end(b, hash, &length);
 *	if (dkim_signature(key, &how, fields, n_fields, hash, &value, e) < 0)
 *		...
 *	insert "DKIM-Signature:" value above the fields
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

#define DKIM_RSA_MIN_BITS 1024 /* RFC 8301 3.2: what verifiers may refuse below, */
#define DKIM_RSA_MAX_BITS 4096 /* and need not know above */

struct dkim_key;

/*
 * Read a PEM private key, RSA of DKIM_RSA_MIN_BITS or more, or Ed25519. Refused:
 * a file that its group or others may read or write (RFC 6376 8.2 asks to protect
 * it; the mode of its directory is not looked at), a public key, a key with a
 * passphrase, another type, a key that does not verify its own signature.
 * NULL and *e naming file and remedy.
 */
struct dkim_key *dkim_key_load(const char *path, struct err *e);
/* The same from memory, for tests; `name` stands for the file in errors. */
struct dkim_key *dkim_key_parse(const char *name, struct slice pem, struct err *e);
void dkim_key_close(struct dkim_key *k); /* NULL is fine */
enum dkim_algorithm dkim_key_algorithm(const struct dkim_key *k);
unsigned dkim_key_bits(const struct dkim_key *k);

/* Append the DNS record's text: "v=DKIM1; k=rsa; p=..." (RFC 6376 3.6.1, RFC 8463 4). */
void dkim_key_record(const struct dkim_key *k, struct buf *out);

/* A new private key as PEM, appended; `bits` is for RSA and must lie in the limits above. */
int dkim_key_generate(enum dkim_algorithm a, unsigned bits, struct buf *pem, struct err *e);

/*
 * Append the signature's bytes over `data`: RSASSA-PKCS1-v1_5 with SHA-256, or
 * Ed25519 over the SHA-256 of it (RFC 8463 3). -1 and *e: libcrypto's error.
 */
int dkim_key_sign(const struct dkim_key *k, struct slice data, struct buf *out, struct err *e);

/* ---- the body, in pieces of any size ---- */

struct dkim_body;

/*
 * Bare LF counts as a line end and a bare CR as itself. A missing final line
 * end is added, as RFC 6376 3.4 and the MTAs do.
 */
struct dkim_body *dkim_body_begin(enum dkim_canon canon);
void dkim_body_add(struct dkim_body *b, struct slice chunk);
/* *length (may be NULL): canonical bytes, for l=. Frees b. */
void dkim_body_end(struct dkim_body *b, unsigned char hash[32], uint64_t *length);
void dkim_body_free(struct dkim_body *b); /* without finishing; NULL is fine */

/* ---- the header ---- */

struct dkim_field { /* as the message has it */
	struct slice name;
	/* All behind the colon, leading blank included; folds are LF or CRLF, then white space. */
	struct slice value;
};

/* Append the canonical form of one field, CRLF included (RFC 6376 3.4.1, 3.4.2). */
void dkim_field_canon(const struct dkim_field *f, enum dkim_canon canon, struct buf *out);

/* Is this header in the list that is signed wherever it occurs? */
bool dkim_is_standard_header(struct slice name);
/* Is it one that is never signed: Return-Path, Received, DKIM-Signature, Bcc, Comments, ...? */
bool dkim_is_never_header(struct slice name);

/* ---- the signature ---- */

/*
 * Can it be a selector or a domain: labels of letters, digits, '-' and '_', with dots
 * between them, 63 bytes each and 253 in all at most? NULL can't.
 */
bool dkim_is_host_name(const char *s);

struct dkim_signing {
	/* s= and d=; see dkim_is_host_name() */
	const char *selector, *domain;
	/* i=: [LOCAL]@DOMAIN, where DOMAIN is d= or below it; empty: left out */
	struct slice identity;
	enum dkim_canon header_canon, body_canon;
	/* Lists that end with NULL, or NULL: to sign beside the standard list, */
	const char *const *extra;
	/* and to name once more than they occur. */
	const char *const *oversign;
	int64_t timestamp;    /* t=, Unix seconds; 0: left out */
	int64_t expires;      /* x=, Unix seconds; 0: left out */
	bool body_limit;      /* l= */
	uint64_t body_length; /* for l=, from dkim_body_end() */
};

/*
 * Append the value of the DKIM-Signature header to be inserted above `fields`:
 * begins with a blank, folds are "\n\t", no line end at the end, no line over 78
 * bytes except for what can't be folded.
 *
 * All instances of a signed name are covered, in the order of occurrence. A name
 * in `oversign` is signed too, and one more of it can't be added afterwards. Names
 * in both lists that dkim_is_never_header() or that h= can't hold are passed over.
 *
 * -1 and *e, nothing appended: no From to sign, a selector, domain or identity
 * that is not as above, `out` full, or libcrypto's error.
 */
int dkim_signature(const struct dkim_key *k, const struct dkim_signing *how,
    const struct dkim_field *fields, size_t n_fields, const unsigned char body_hash[32],
    struct buf *out, struct err *e);

#endif
