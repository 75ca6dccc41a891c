/*
 * pattern.h - the pattern languages of the configuration: domain patterns,
 * networks and regular expressions.
 *
 *	*		any domain
 *	dom		this domain
 *	*.dom		its subdomains only
 *	[*.]dom		the domain and its subdomains
 *	[10.0.0.0/8]	an address literal in that network: "[10.1.2.3]"
 *	/regex/		PCRE2, case-insensitive, searched anywhere in the text
 *
 * Compiled patterns are immutable and may be matched by several threads at once.
 */
#ifndef COMMON_PATTERN_H
#define COMMON_PATTERN_H

#include <sys/socket.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/slice.h"

/* ---- networks: "10/8", "192.0.2.7", "2001:db8::/32", "0/0" (everything, IPv6 too) ---- */

struct cidr {
	int family;		/* AF_INET, AF_INET6, or AF_UNSPEC for "0/0": all */
	unsigned char addr[16]; /* host bits are zero */
	unsigned bits;		/* of `family`; 0 for all */
};

/* Short IPv4 forms ("10/8", "172.16/12") are filled with zeros. -1 and *e if malformed. */
int cidr_parse(struct slice text, struct cidr *out, struct err *e);
bool cidr_match(const struct cidr *net, const struct sockaddr *sa); /* maps ::ffff:a.b.c.d to IPv4 */
void cidr_print(const struct cidr *net, struct buf *out);

/* ---- domains ---- */

enum domain_pattern_kind {
	DOMAIN_ANY,
	DOMAIN_EXACT,
	DOMAIN_SUBDOMAINS,
	DOMAIN_AND_SUBDOMAINS,
	DOMAIN_NETWORK,
};

struct domain_pattern {
	enum domain_pattern_kind kind;
	char *domain; /* without "*.", lower case; NULL for ANY and NETWORK */
	struct cidr net;
};

int domain_pattern_parse(struct slice text, struct domain_pattern *out, struct err *e);
void domain_pattern_free(struct domain_pattern *p);
bool domain_pattern_match(const struct domain_pattern *p, struct slice domain);
void domain_pattern_print(const struct domain_pattern *p, struct buf *out);

/*
 * How specific a pattern is, to choose among those that match: exact above
 * longer above shorter suffix above network above any. Greater wins.
 */
unsigned domain_pattern_weight(const struct domain_pattern *p);

/* ---- regular expressions ---- */

struct regex;

/* `text` is what stands between the slashes. JIT-compiled. NULL and *e if PCRE2 refuses it. */
struct regex *regex_compile(struct slice text, struct err *e);
void regex_free(struct regex *r);

/*
 * Searches; a subject that needs more than a fixed amount of work (match limit)
 * counts as not matching, so that no pattern can stall a session.
 */
bool regex_match(const struct regex *r, struct slice subject);
const char *regex_source(const struct regex *r);

#endif
