/* Networks, domain patterns and regular expressions. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "common/pattern.h"
#include "t/tap.h"

static void
networks(void)
{
	static const struct {
		const char *in, *out; /* NULL: malformed */
	} rows[] = {
		{ "0/0", "0/0" },
		{ "10/8", "10.0.0.0/8" },
		{ "172.16/12", "172.16.0.0/12" },
		{ "192.0.2.7", "192.0.2.7" },
		{ "192.0.2.7/32", "192.0.2.7" },
		{ "192.0.2.7/24", "192.0.2.0/24" }, /* host bits go */
		{ "192.0.2.255/31", "192.0.2.254/31" },
		{ "0.0.0.0/0", "0.0.0.0/0" },
		{ "::/0", "::/0" },
		{ "::1", "::1" },
		{ "2001:db8::/32", "2001:db8::/32" },
		{ "2001:DB8:ffff::1/33", "2001:db8:8000::/33" },
		{ "::ffff:10.0.0.0/104", "10.0.0.0/8" }, /* IPv4-mapped is IPv4 */
		{ "::ffff:192.0.2.1", "192.0.2.1" },
		{ "", NULL },
		{ "/", NULL },
		{ "/8", NULL },
		{ "10", NULL }, /* short forms only with a length */
		{ "10.0.0", NULL },
		{ "10.0.0.1.2", NULL },
		{ "10.0.0.1.", NULL },
		{ "10..0.1", NULL },
		{ "256.0.0.1", NULL },
		{ "010.0.0.1", NULL }, /* octal for some */
		{ "10.0.0.1/33", NULL },
		{ "10.0.0.1/", NULL },
		{ "10.0.0.1/-1", NULL },
		{ "10.0.0.1/8/8", NULL },
		{ "2001:db8::/129", NULL },
		{ "2001:db8", NULL },
		{ "::1%lo", NULL },
		{ " 10/8", NULL },
		{ "ten/8", NULL },
		{ "1111:2222:3333:4444:5555:6666:7777:8888:9999", NULL },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct cidr net;
		struct err e = { .text = "" };
		struct buf out;
		int rc = cidr_parse(slice_str(rows[i].in), &net, &e);

		buf_init(&out, 100);
		if (rc == 0)
			cidr_print(&net, &out);
		ok((rc == 0) == (rows[i].out != NULL) &&
			(rc < 0 || strcmp(buf_str(&out), rows[i].out) == 0),
		    "network '%s' is '%s'", rows[i].in, rc == 0 ? buf_str(&out) : e.text);
		buf_free(&out);
	}
}

static void
address_of(const char *text, struct sockaddr_storage *out)
{
	struct sockaddr_in *in = (struct sockaddr_in *)out;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;

	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, text, &in->sin_addr) == 1)
		in->sin_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &in6->sin6_addr) == 1)
		in6->sin6_family = AF_INET6;
	else
		out->ss_family = AF_UNIX;
}

static void
network_matches(void)
{
	static const struct {
		const char *net, *addr;
		bool match;
	} rows[] = {
		{ "0/0", "192.0.2.1", true },
		{ "0/0", "2001:db8::1", true },
		{ "0/0", "a unix socket", true },
		{ "0.0.0.0/0", "192.0.2.1", true },
		{ "0.0.0.0/0", "2001:db8::1", false },
		{ "::/0", "2001:db8::1", true },
		{ "::/0", "192.0.2.1", false },
		{ "::/0", "::ffff:192.0.2.1", false }, /* it is IPv4 */
		{ "0.0.0.0/0", "a unix socket", false },
		{ "10/8", "10.255.0.1", true },
		{ "10/8", "11.0.0.1", false },
		{ "10/8", "::ffff:10.1.2.3", true },
		{ "::ffff:10.0.0.0/104", "10.1.2.3", true },
		{ "192.0.2.0/31", "192.0.2.1", true },
		{ "192.0.2.0/31", "192.0.2.2", false },
		{ "192.0.2.1", "192.0.2.1", true },
		{ "192.0.2.1", "192.0.2.3", false },
		{ "2001:db8:8000::/33", "2001:db8:ffff::", true },
		{ "2001:db8:8000::/33", "2001:db8:7fff::", false },
		{ "::1", "::1", true },
		{ "::1", "127.0.0.1", false },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct sockaddr_storage sa;
		struct cidr net;
		struct err e;

		address_of(rows[i].addr, &sa);
		ok(cidr_parse(slice_str(rows[i].net), &net, &e) == 0 &&
			cidr_match(&net, (struct sockaddr *)&sa) == rows[i].match,
		    "%s %s %s", rows[i].net, rows[i].match ? "has" : "has not", rows[i].addr);
	}
}

#define LABEL63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void
patterns(void)
{
	static const struct {
		const char *in, *out; /* NULL: malformed */
	} rows[] = {
		{ "*", "*" }, { "Example.COM", "example.com" }, { "example.com.", "example.com" },
		{ "*.Example.com", "*.example.com" }, { "[*.]example.com", "[*.]example.com" },
		{ "[10.0.0.0/8]", "[10.0.0.0/8]" }, { "[10.1.2.3]", "[10.1.2.3]" },
		{ "[2001:db8::/32]", "[2001:db8::/32]" }, { "localhost", "localhost" },
		{ "_dmarc.example.com", "_dmarc.example.com" },
		{ "b\xc3\xbc"
		  "cher.example",
		    "b\xc3\xbc"
		    "cher.example" },
		{ LABEL63 ".example", LABEL63 ".example" }, { LABEL63 "a.example", NULL },
		{ "", NULL }, { ".", NULL }, { "*.", NULL }, { "**", NULL },
		{ "*x.example.com", NULL }, { "a.*.example.com", NULL }, { "[*.]", NULL },
		{ "[*.]*.example.com", NULL }, { "[]", NULL }, { "[example.com]", NULL },
		{ "[10.0.0.0/99]", NULL }, { ".example.com", NULL }, { "example..com", NULL },
		{ "exa mple.com", NULL }, { "user@example.com", NULL }, { "example.com/24", NULL },
		{ "b\xfc"
		  "cher.example",
		    NULL }, /* not UTF-8 */
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct domain_pattern p;
		struct err e = { .text = "" };
		struct buf out;
		int rc = domain_pattern_parse(slice_str(rows[i].in), &p, &e);

		buf_init(&out, 400);
		if (rc == 0)
			domain_pattern_print(&p, &out);
		ok((rc == 0) == (rows[i].out != NULL) &&
			(rc < 0 || strcmp(buf_str(&out), rows[i].out) == 0),
		    "pattern '%s' is '%s'", rows[i].in, rc == 0 ? buf_str(&out) : e.text);
		buf_free(&out);
		domain_pattern_free(&p);
	}
}

static void
pattern_matches(void)
{
	static const struct {
		const char *pattern, *domain;
		bool match;
	} rows[] = {
		{ "*", "anything.example", true },
		{ "*", "", true },
		{ "example.com", "EXAMPLE.com", true },
		{ "example.com", "example.com.", true },
		{ "example.com", "a.example.com", false },
		{ "example.com", "badexample.com", false },
		{ "*.example.com", "a.example.com", true },
		{ "*.example.com", "a.b.Example.com.", true },
		{ "*.example.com", "example.com", false },
		{ "*.example.com", ".example.com", false },
		{ "*.example.com", "badexample.com", false },
		{ "[*.]example.com", "example.com", true },
		{ "[*.]example.com", "a.example.com", true },
		{ "[*.]example.com", "badexample.com", false },
		{ "[*.]example.com", "com", false },
		{ "[10.0.0.0/8]", "[10.1.2.3]", true },
		{ "[10.0.0.0/8]", "[11.1.2.3]", false },
		{ "[10.0.0.0/8]", "10.1.2.3", false },
		{ "[10.0.0.0/8]", "[10/8]", false },
		{ "[10.0.0.0/8]", "[]", false },
		{ "[2001:db8::/32]", "[IPv6:2001:db8::1]", true },
		{ "[2001:db8::/32]", "[ipv6:2001:db9::1]", false },
		{ "[0/0]", "[192.0.2.1]", true },
		{ "example.com", "", false },
		{ "example.com", ".", false },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct domain_pattern p;
		struct err e;

		ok(domain_pattern_parse(slice_str(rows[i].pattern), &p, &e) == 0 &&
			domain_pattern_match(&p, slice_str(rows[i].domain)) == rows[i].match,
		    "%s %s '%s'", rows[i].pattern, rows[i].match ? "has" : "has not",
		    rows[i].domain);
		domain_pattern_free(&p);
	}
}

static void
weights(void)
{
	static const char *const order[] = { "a.example", "*.long.customer.example",
		"[*.]long.customer.example", "*.customer.example", "[*.]example", "[10.1.0.0/16]",
		"[10.0.0.0/8]", "*" };
	unsigned last = UINT32_MAX;

	for (size_t i = 0; i < COUNT(order); i++) {
		struct domain_pattern p;
		unsigned w;

		domain_pattern_parse(slice_str(order[i]), &p, NULL);
		w = domain_pattern_weight(&p);
		ok(w < last, "weight of %s: %u", order[i], w);
		last = w;
		domain_pattern_free(&p);
	}
}

static void
regexes(void)
{
	static const struct {
		const char *regex, *subject;
		bool compiles, match;
	} rows[] = {
		{ "bounce", "A-BOUNCE-b", true, true },
		{ "^fbl\\+\\d+@", "fbl+17@example.com", true, true },
		{ "^fbl\\+\\d+@", "x-fbl+17@example.com", true, false },
		{ "a\\/b", "a/b", true, true }, { "", "anything", true, true },
		{ "(", "", false, false }, { "[a", "", false, false }, { "a\\C", "", false, false },
		{ "(((((((((((((((((((((((((((((((((((((((((((((((((((((a"
		  ")))))))))))))))))))))))))))))))))))))))))))))))))))))",
		    "a", false, false }, /* nested beyond the limit */
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct err e = { .text = "" };
		struct regex *r = regex_compile(slice_str(rows[i].regex), &e);

		ok((r != NULL) == rows[i].compiles &&
			(r == NULL || strcmp(regex_source(r), rows[i].regex) == 0) &&
			(r == NULL || regex_match(r, slice_str(rows[i].subject)) == rows[i].match),
		    "/%s/ and '%s' %s", rows[i].regex, rows[i].subject, e.text);
		regex_free(r);
	}
}

/*
 * (a+)+\d over a long run of a takes for ever where steps are not counted. The
 * last character is no letter, since PCRE2 looks for such a one first.
 */
static void
no_stall(void)
{
	static const char *const patterns_[] = { "(a+)+\\d", "^(a|aa)+\\d$", "(?:a*)*(?:a*)*[bc]",
		"(.*)(.*)(.*)(.*)(.*)(.*)[xy]" };
	struct buf subject;

	buf_init(&subject, 1 << 20);
	while (subject.len < 100000)
		buf_addc(&subject, 'a');
	for (size_t i = 0; i < COUNT(patterns_); i++) {
		struct regex *r = regex_compile(slice_str(patterns_[i]), NULL);

		ok(r != NULL && !regex_match(r, buf_slice(&subject)), "/%s/ gives up",
		    patterns_[i]);
		regex_free(r);
	}
	/* And an honest search in a long text still finds what is at its end. */
	buf_adds(&subject, " Final-Recipient: rfc822; user17@example.com");
	for (size_t i = 0; i < 3; i++) {
		static const char *const honest[] = { "recipient", "user\\d+@[a-z.]+",
			"\\b[^ @]+@example\\.com$" };
		struct regex *r = regex_compile(slice_str(honest[i]), NULL);

		ok(r != NULL && regex_match(r, buf_slice(&subject)), "/%s/ finds it", honest[i]);
		regex_free(r);
	}
	buf_free(&subject);
}

int
main(void)
{
	struct buf longest;
	struct err e = { .text = "" };

	networks();
	network_matches();
	patterns();
	pattern_matches();
	weights();
	regexes();
	no_stall();
	buf_init(&longest, 8192);
	while (longest.len < 4097)
		buf_addc(&longest, 'a');
	ok(regex_compile(buf_slice(&longest), &e) == NULL &&
		strcmp(e.text, "regular expression longer than 4096 characters") == 0,
	    "%s", e.text);
	buf_free(&longest);
	regex_free(NULL);
	return tap_done();
}
