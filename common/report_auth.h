/*
 * report_auth.h - is a report from whom it says? Its DKIM signatures, verified with
 * libopendkim.
 *
 *	struct report_auth *ra = report_auth_open(conf, &e);
 *
 *	report_auth_check(ra, mail, &v);	// at most REPORT_AUTH_MAX_MS, then a temperror
 *
 * or, where nothing may wait for a name server, in a thread of its own, one mail at a time:
 *
 *	report_auth_begin(ra, mail);		// `mail` must stay
 *	if (report_auth_take(ra, &v))		// when report_auth_fd() is readable
 *
 * Keys come by DNS, or from dns-file (conf.h). Answers are cached, also that there
 * is none (5 minutes). A name server that does not answer is not asked for another
 * REPORT_AUTH_PAUSE_MS once it has kept three mails in a row waiting. At most
 * REPORT_AUTH_MAX_SIGNATURES of a mail are verified, those of its From domain first.
 *
 * A mail that was converted on its way no longer verifies: what is captured must be what came.
 */
#ifndef COMMON_REPORT_AUTH_H
#define COMMON_REPORT_AUTH_H

#include <stdbool.h>

#include "common/conf.h"
#include "common/err.h"
#include "common/slice.h"

#define REPORT_AUTH_MAX_MS	   3000 /* and at most one query, 2 s, more */
#define REPORT_AUTH_PAUSE_MS	   60000
#define REPORT_AUTH_MAX_SIGNATURES 4

enum report_auth_result {
	REPORT_AUTH_NONE,      /* no signature */
	REPORT_AUTH_PASS,      /* one is valid */
	REPORT_AUTH_FAIL,      /* none is valid */
	REPORT_AUTH_TEMPERROR, /* a key could not be had now: later it may pass */
};

struct report_auth_verdict {
	enum report_auth_result result;
	/*
	 * d= is the domain in the report's From, or one of the two is a subdomain of the
	 * other. A signature alone proves nothing about From: anybody has a domain to sign with.
	 */
	bool aligned;
	char domain[256]; /* d= of the signature that decided; "" for NONE, perhaps for TEMPERROR */
	char selector[256];
	char why[128]; /* of FAIL and TEMPERROR: "no key", "the body was changed"; else "" */
};

struct report_auth; /* its key cache; begin/take and check may be used from one thread */

/* `conf` is not used after this. NULL and *e. */
struct report_auth *report_auth_open(const struct conf *conf, struct err *e);
void report_auth_close(struct report_auth *ra); /* waits for what is under way; NULL is fine */

void report_auth_check(struct report_auth *ra, struct slice mail, struct report_auth_verdict *out);

/* Starts the thread when first used; signals are blocked in it. Only when nothing is under way. */
void report_auth_begin(struct report_auth *ra, struct slice mail);
bool report_auth_take(struct report_auth *ra, struct report_auth_verdict *out); /* once each */
int report_auth_fd(const struct report_auth *ra); /* to poll for reading */

/* "pass", "fail", "none", "temperror" */
const char *report_auth_name(enum report_auth_result result);

/* What require-authenticated-reports asks for: it passes, and the signature is the sender's. */
static inline bool
report_auth_good(const struct report_auth_verdict *v)
{
	return v->result == REPORT_AUTH_PASS && v->aligned;
}

#endif
