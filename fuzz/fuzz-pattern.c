/*
 * Patterns: what is accepted prints as something that is accepted and prints
 * the same; matching stays in bounds and ends.
 * Input: a pattern, LF, a subject.
 */
#include <netinet/in.h>
#include <stdlib.h>

#include "common/pattern.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(bool good)
{
	if (!good)
		abort();
}

static void
network(struct slice text, struct slice subject)
{
	struct cidr net, again;
	struct buf printed, twice;
	struct sockaddr_in6 sa = { .sin6_family = AF_INET6 };

	if (cidr_parse(text, &net, NULL) < 0)
		return;
	buf_init(&printed, 100);
	buf_init(&twice, 100);
	cidr_print(&net, &printed);
	check(cidr_parse(buf_slice(&printed), &again, NULL) == 0);
	cidr_print(&again, &twice);
	check(slice_eq(buf_slice(&printed), buf_slice(&twice)));
	check(net.family == again.family && net.bits == again.bits &&
	      memcmp(net.addr, again.addr, sizeof(net.addr)) == 0);
	/* A network holds its own address. */
	if (net.family == AF_INET6)
		memcpy(&sa.sin6_addr, net.addr, 16);
	if (net.family != AF_INET)
		check(cidr_match(&net, (const struct sockaddr *)&sa) ||
		      IN6_IS_ADDR_V4MAPPED(&sa.sin6_addr));
	if (subject.len >= 16) {
		memcpy(&sa.sin6_addr, subject.p, 16);
		cidr_match(&net, (const struct sockaddr *)&sa);
	}
	buf_free(&printed);
	buf_free(&twice);
}

static void
domain(struct slice text, struct slice subject)
{
	struct domain_pattern p, again;
	struct buf printed, twice;

	if (domain_pattern_parse(text, &p, NULL) < 0)
		return;
	buf_init(&printed, 400);
	buf_init(&twice, 400);
	domain_pattern_print(&p, &printed);
	check(!printed.full && domain_pattern_parse(buf_slice(&printed), &again, NULL) == 0);
	domain_pattern_print(&again, &twice);
	check(slice_eq(buf_slice(&printed), buf_slice(&twice)));
	check(domain_pattern_weight(&p) == domain_pattern_weight(&again));
	check(domain_pattern_match(&p, subject) == domain_pattern_match(&again, subject));
	if (p.kind == DOMAIN_EXACT || p.kind == DOMAIN_AND_SUBDOMAINS)
		check(domain_pattern_match(&p, slice_str(p.domain)));
	if (p.kind == DOMAIN_SUBDOMAINS)
		check(!domain_pattern_match(&p, slice_str(p.domain)));
	buf_free(&printed);
	buf_free(&twice);
	domain_pattern_free(&p);
	domain_pattern_free(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice subject = { (const char *)data, size };
	struct slice pattern = slice_cut(&subject, '\n');
	struct err e = { .text = "" };
	struct regex *r;

	network(pattern, subject);
	domain(pattern, subject);
	r = regex_compile(pattern, &e);
	check((r == NULL) == (e.text[0] != '\0'));
	if (r != NULL)
		regex_match(r, subject);
	regex_free(r);
	return 0;
}
