/*
 * signing.h - which keys sign a message, and the signing of it.
 *
 * Keys are those of domain-key (a virtual MTA's before the global ones). The
 * signing identity is Sender if there is one, else From; the first key whose
 * domain is the identity's or a parent of it signs, and with it the first key of
 * the other algorithm for that same domain, so that a domain with an RSA and an
 * Ed25519 key gets both signatures (RFC 8463 3).
 */
#ifndef COMMON_SIGNING_H
#define COMMON_SIGNING_H

#include "common/conf.h"
#include "common/dkim.h"
#include "common/message.h"

#define SIGNING_MAX 2 /* signatures a message: one an algorithm */

struct signing_keys; /* all keys of a configuration, parsed; immutable */

/* NULL and *e, "FILE:LINE: domain-key: ...", if one key can't be used. */
struct signing_keys *signing_keys_load(const struct conf *c, struct err *e);
void signing_keys_free(struct signing_keys *k); /* NULL is fine */

/* Who will sign, and why not if nobody does. */
struct signing_plan {
	size_t n;
	struct {
		const struct dkim_key *key;
		const char *selector, *domain;
	} by[SIGNING_MAX];
	const struct conf_domain *how;
	char identity[330]; /* address, or "@domain" */
	const char *why_not; /* "off", "no-key", "no-identity"; NULL if n > 0 */
};

/*
 * `sender`: the address in Sender or else From, `from`: in From; either may be
 * empty. `how` must live as long as the plan is used.
 */
void signing_choose(const struct signing_keys *keys, const struct conf *c,
    const struct conf_vmta *vmta, const struct conf_domain *how, struct slice sender,
    struct slice from, struct signing_plan *out);

/* Hash and length of a body under one canonicalization. */
struct signing_digest {
	unsigned char hash[32];
	uint64_t length;
};

/*
 * Sign the message as it stands: a DKIM-Signature header a plan's key is put on
 * top. `digest` is that of the body under how->dkim_body_simple, or NULL: the
 * body is m->body. -1 and *e: nothing was added.
 */
int signing_sign(const struct signing_plan *plan, struct message *m,
    const struct signing_digest *digest, int64_t now, struct err *e);

#endif
