#define PCRE2_CODE_UNIT_WIDTH 8

#include "common/pattern.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pcre2.h>
#include <stdlib.h>

#include "common/utf8.h"
#include "common/xalloc.h"

#define DOMAIN_MAX        253
#define REGEX_SOURCE_MAX  4096
#define REGEX_NEST_MAX    50
#define REGEX_WORK_MAX    20000000 /* match steps over all start positions of a subject */
#define REGEX_STEPS_MAX   200000   /* match steps from one start position */
#define REGEX_STEPS_MIN   100
#define REGEX_HEAP_MAX_KB 1024

/* ---- networks ---- */

static const unsigned char mapped_prefix[12] = { [10] = 0xff, [11] = 0xff };

static void
clear_host_bits(unsigned char *addr, size_t size, unsigned bits)
{
	for (size_t i = 0; i < size; i++) {
		unsigned keep = bits >= 8 * (i + 1) ? 8
		                : bits <= 8 * i     ? 0
		                                    : bits - 8 * (unsigned)i;

		addr[i] &= (unsigned char)(0xff << (8 - keep));
	}
}

/* "10", "172.16", ... filled with zeros. Leading zeros are refused: some read them as octal. */
static bool
parse_v4(struct slice text, bool may_be_short, unsigned char *addr)
{
	size_t n = 0;

	while (n < 4) {
		size_t dot = slice_find(text, '.');
		struct slice part = slice_head(text, dot);
		uint64_t octet;

		if ((part.len > 1 && part.p[0] == '0') || !slice_uint(part, 255, &octet))
			return false;
		addr[n++] = (unsigned char)octet;
		if (dot == text.len)
			return n == 4 || may_be_short;
		text = slice_skip(text, dot + 1);
	}
	return false;
}

static bool
parse_v6(struct slice text, unsigned char *addr)
{
	char copy[INET6_ADDRSTRLEN];

	if (text.len == 0 || text.len >= sizeof(copy) || memchr(text.p, '\0', text.len) != NULL)
		return false;
	memcpy(copy, text.p, text.len);
	copy[text.len] = '\0';
	return inet_pton(AF_INET6, copy, addr) == 1;
}

/* ::ffff:10.0.0.0/104 is 10.0.0.0/8: a dual-stack socket shows IPv4 clients that way. */
static void
unmap(struct cidr *net)
{
	if (net->bits < 96 || memcmp(net->addr, mapped_prefix, sizeof(mapped_prefix)) != 0)
		return;
	net->family = AF_INET;
	net->bits -= 96;
	memmove(net->addr, net->addr + 12, 4);
	memset(net->addr + 4, 0, 12);
}

int
cidr_parse(struct slice text, struct cidr *out, struct err *e)
{
	size_t slash = slice_find(text, '/');
	struct slice addr = slice_head(text, slash), mask = slice_skip(text, slash + 1);
	bool has_mask = slash < text.len;
	struct cidr net = { .family = AF_UNSPEC };
	uint64_t bits = 0;

	if (slice_eq(text, SLICE_LIT("0/0"))) {
		*out = net;
		return 0;
	}
	if (parse_v4(addr, has_mask, net.addr)) {
		net.family = AF_INET;
		bits = 32;
	} else if (parse_v6(addr, net.addr)) {
		net.family = AF_INET6;
		bits = 128;
	}
	if (net.family == AF_UNSPEC || (has_mask && !slice_uint(mask, bits, &bits)))
		return err_set(
		    e, "'%.*s' is not an IP address or network", SLICE_FMT(slice_head(text, 64)));
	net.bits = (unsigned)bits;
	clear_host_bits(net.addr, sizeof(net.addr), net.bits);
	unmap(&net);
	*out = net;
	return 0;
}

static bool
same_network(const struct cidr *net, int family, const unsigned char *addr)
{
	unsigned whole = net->bits / 8, rest = net->bits % 8;

	if (net->family == AF_UNSPEC)
		return true;
	if (net->family != family || memcmp(net->addr, addr, whole) != 0)
		return false;
	return rest == 0 || ((net->addr[whole] ^ addr[whole]) >> (8 - rest)) == 0;
}

bool
cidr_match(const struct cidr *net, const struct sockaddr *sa)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	/* Copied out: the caller's sockaddr may be aligned for its first member only. */
	switch (sa->sa_family) {
	case AF_INET:
		memcpy(&in, sa, sizeof(in));
		return same_network(net, AF_INET, (const unsigned char *)&in.sin_addr);
	case AF_INET6:
		memcpy(&in6, sa, sizeof(in6));
		if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr))
			return same_network(net, AF_INET, in6.sin6_addr.s6_addr + 12);
		return same_network(net, AF_INET6, in6.sin6_addr.s6_addr);
	default:
		return net->family == AF_UNSPEC;
	}
}

void
cidr_print(const struct cidr *net, struct buf *out)
{
	char text[INET6_ADDRSTRLEN];

	if (net->family == AF_UNSPEC) {
		buf_adds(out, "0/0");
		return;
	}
	if (inet_ntop(net->family, net->addr, text, sizeof(text)) != NULL)
		buf_adds(out, text);
	if (net->bits != (net->family == AF_INET ? 32 : 128))
		buf_printf(out, "/%u", net->bits);
}

/* ---- domains ---- */

static bool
label_char(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_' || c >= 0x80;
}

/* Labels of letters, digits, '-', '_' and UTF-8, one dot between them. */
static bool
is_domain(struct slice s)
{
	size_t label = 0;

	if (s.len == 0 || s.len > DOMAIN_MAX || !utf8_valid(s))
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '.' ? label == 0 : !label_char((unsigned char)s.p[i]) || label == 63)
			return false;
		label = s.p[i] == '.' ? 0 : label + 1;
	}
	return label > 0;
}

static struct slice
no_final_dot(struct slice s)
{
	if (s.len > 1 && s.p[s.len - 1] == '.')
		s.len--;
	return s;
}

static char *
lower_dup(struct slice s)
{
	char *copy = xslicedup(s);

	for (char *c = copy; *c != '\0'; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c + ('a' - 'A'));
	return copy;
}

static int
domain_error(struct slice text, struct err *e)
{
	return err_set(e, "'%.*s' is not a domain, *, *.DOMAIN, [*.]DOMAIN or [NETWORK]",
	    SLICE_FMT(slice_head(text, 64)));
}

int
domain_pattern_parse(struct slice text, struct domain_pattern *out, struct err *e)
{
	struct domain_pattern p = { .kind = DOMAIN_EXACT };
	struct slice domain = text;

	*out = p;
	if (slice_eq(text, SLICE_LIT("*"))) {
		out->kind = DOMAIN_ANY;
		return 0;
	}
	if (slice_starts(text, SLICE_LIT("[*.]"))) {
		p.kind = DOMAIN_AND_SUBDOMAINS;
		domain = slice_skip(text, 4);
	} else if (slice_starts(text, SLICE_LIT("*."))) {
		p.kind = DOMAIN_SUBDOMAINS;
		domain = slice_skip(text, 2);
	} else if (text.len > 2 && text.p[0] == '[' && text.p[text.len - 1] == ']') {
		p.kind = DOMAIN_NETWORK;
		if (cidr_parse((struct slice){ text.p + 1, text.len - 2 }, &p.net, NULL) < 0)
			return domain_error(text, e);
		*out = p;
		return 0;
	}
	domain = no_final_dot(domain);
	if (!is_domain(domain))
		return domain_error(text, e);
	p.domain = lower_dup(domain);
	*out = p;
	return 0;
}

void
domain_pattern_free(struct domain_pattern *p)
{
	free(p->domain);
	p->domain = NULL;
}

/* An address literal (RFC 5321 4.1.3) in the network: "[192.0.2.1]", "[IPv6:2001:db8::1]". */
static bool
literal_match(const struct cidr *net, struct slice domain)
{
	struct cidr addr;

	if (domain.len < 3 || domain.p[0] != '[' || domain.p[domain.len - 1] != ']')
		return false;
	domain = (struct slice){ domain.p + 1, domain.len - 2 };
	if (slice_startsi(domain, SLICE_LIT("IPv6:")))
		domain = slice_skip(domain, 5);
	if (slice_find(domain, '/') < domain.len || cidr_parse(domain, &addr, NULL) < 0)
		return false;
	return same_network(net, addr.family, addr.addr);
}

bool
domain_pattern_match(const struct domain_pattern *p, struct slice domain)
{
	struct slice own = slice_str(p->domain);

	domain = no_final_dot(domain);
	switch (p->kind) {
	case DOMAIN_ANY:
		return true;
	case DOMAIN_NETWORK:
		return literal_match(&p->net, domain);
	case DOMAIN_EXACT:
		return slice_eqi(domain, own);
	case DOMAIN_AND_SUBDOMAINS:
		if (slice_eqi(domain, own))
			return true;
		break;
	case DOMAIN_SUBDOMAINS:
		break;
	}
	return domain.len > own.len + 1 && domain.p[domain.len - own.len - 1] == '.' &&
	       slice_endsi(domain, own);
}

void
domain_pattern_print(const struct domain_pattern *p, struct buf *out)
{
	static const char *const prefix[] = {
		[DOMAIN_ANY] = "*",
		[DOMAIN_EXACT] = "",
		[DOMAIN_SUBDOMAINS] = "*.",
		[DOMAIN_AND_SUBDOMAINS] = "[*.]",
		[DOMAIN_NETWORK] = "[",
	};

	buf_adds(out, prefix[p->kind]);
	if (p->kind == DOMAIN_NETWORK) {
		cidr_print(&p->net, out);
		buf_addc(out, ']');
	} else if (p->domain != NULL) {
		buf_adds(out, p->domain);
	}
}

unsigned
domain_pattern_weight(const struct domain_pattern *p)
{
	switch (p->kind) {
	case DOMAIN_ANY:
		return 0;
	case DOMAIN_NETWORK:
		return 1 + p->net.bits;
	case DOMAIN_EXACT:
		return 1U << 20;
	case DOMAIN_SUBDOMAINS:
		/* Narrower than [*.]dom of the same length. */
		return 1001 + 2 * (unsigned)strlen(p->domain);
	case DOMAIN_AND_SUBDOMAINS:
		return 1000 + 2 * (unsigned)strlen(p->domain);
	}
	return 0;
}

/* ---- regular expressions ---- */

struct regex {
	pcre2_code *code;
	char *source;
};

struct regex *
regex_compile(struct slice text, struct err *e)
{
	uint32_t options = PCRE2_CASELESS | PCRE2_NEVER_BACKSLASH_C;
	pcre2_compile_context *ctx = NULL;
	struct regex *r = NULL;
	pcre2_code *code;
	PCRE2_SIZE at;
	PCRE2_UCHAR why[128];
	int error;

	if (text.len > REGEX_SOURCE_MAX) {
		err_text(e, 0, "regular expression longer than %d characters", REGEX_SOURCE_MAX);
		return NULL;
	}
	ctx = pcre2_compile_context_create(NULL);
	if (ctx != NULL)
		pcre2_set_parens_nest_limit(ctx, REGEX_NEST_MAX);
	code = pcre2_compile(
	    (PCRE2_SPTR)(text.len > 0 ? text.p : ""), text.len, options, &error, &at, ctx);
	pcre2_compile_context_free(ctx);
	if (code == NULL) {
		pcre2_get_error_message(error, why, sizeof(why));
		err_text(
		    e, 0, "regular expression: %s at offset %zu", (const char *)why, (size_t)at);
		return NULL;
	}
	/* Without JIT (a kernel that forbids it) it is slower, that's all. */
	pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
	r = xcalloc(1, sizeof(*r));
	r->code = code;
	r->source = xslicedup(text);
	return r;
}

void
regex_free(struct regex *r)
{
	if (r == NULL)
		return;
	pcre2_code_free(r->code);
	free(r->source);
	free(r);
}

/* PCRE2 counts its steps from each start position anew, so a longer subject gets fewer from each.
 */
static uint32_t
steps_for(size_t len)
{
	size_t steps = REGEX_WORK_MAX / (len + 1);

	if (steps < REGEX_STEPS_MIN)
		return REGEX_STEPS_MIN;
	return steps < REGEX_STEPS_MAX ? (uint32_t)steps : REGEX_STEPS_MAX;
}

bool
regex_match(const struct regex *r, struct slice subject)
{
	PCRE2_SPTR p = (PCRE2_SPTR)(subject.len > 0 ? subject.p : "");
	pcre2_match_context *ctx = pcre2_match_context_create(NULL);
	pcre2_match_data *data = pcre2_match_data_create(1, NULL);
	int rc = PCRE2_ERROR_NOMEMORY;

	if (ctx != NULL && data != NULL) {
		pcre2_set_match_limit(ctx, steps_for(subject.len));
		pcre2_set_heap_limit(ctx, REGEX_HEAP_MAX_KB);
		rc = pcre2_match(r->code, p, subject.len, 0, 0, data, ctx);
		/* JIT code has a small stack; the interpreter uses the heap. */
		if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
			rc = pcre2_match(r->code, p, subject.len, 0, PCRE2_NO_JIT, data, ctx);
	}
	pcre2_match_data_free(data);
	pcre2_match_context_free(ctx);
	return rc >= 0;
}

const char *
regex_source(const struct regex *r)
{
	return r->source;
}
