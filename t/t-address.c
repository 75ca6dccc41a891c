/*
 * address: splitting, checking, mailboxes of headers, return paths.
 */
#include "common/address.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/hash.h"
#include "t/tap.h"

#define TEN   "abcdefghij"
#define SIXTY TEN TEN TEN TEN TEN TEN

static void
splitting(void)
{
	static const struct {
		const char *in, *local, *domain;
	} rows[] = {
		{ "joe@example.com", "joe", "example.com" },
		{ "<joe@example.com>", "joe", "example.com" },
		{ "  <joe@example.com> ", "joe", "example.com" },
		{ "", "", "" },
		{ "<>", "", "" },
		{ "< >", "", "" },
		{ "<", "", "" },
		{ ">", ">", "" },
		{ "postmaster", "postmaster", "" },
		{ "<postmaster>", "postmaster", "" },
		{ "joe@", "joe", "" },
		{ "@example.com", "", "example.com" },
		{ "joe@example.com.", "joe", "example.com." },
		{ "a@b@example.com", "a@b", "example.com" },
		{ "\"joe smith\"@example.com", "\"joe smith\"", "example.com" },
		{ "\"a@b\"@example.com", "\"a@b\"", "example.com" },
		{ "<\"a@b\">", "\"a@b\"", "" },
		{ "\"a\\\"@b\"@example.com", "\"a\\\"@b\"", "example.com" },
		{ "\"a\\\\\"@example.com", "\"a\\\\\"", "example.com" },
		{ "\"a@example.com", "\"a", "example.com" }, /* not closed: no quote */
		{ "\"a\\", "\"a\\", "" },
		{ "a\\@b@example.com", "a\\@b", "example.com" },
		{ "<@a,@b:joe@example.com>", "joe", "example.com" },
		{ "@a:joe@example.com", "joe", "example.com" },
		{ "@[IPv6:2001:db8::1]:joe@example.com", "joe", "example.com" },
		{ "@a,@b", "@a,", "b" },
		{ "joe@[192.0.2.1]", "joe", "[192.0.2.1]" },
		{ "joe@[IPv6:2001:db8::1]", "joe", "[IPv6:2001:db8::1]" },
		{ "\xc5\xbcubr@example.com", "\xc5\xbcubr", "example.com" },
		{ "a%b@example.com", "a%b", "example.com" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct address a = address_split(slice_str(rows[i].in));

		ok(slice_eq(a.local, slice_str(rows[i].local)) &&
			slice_eq(a.domain, slice_str(rows[i].domain)),
		    "split '%s' into '%.*s' and '%.*s'", rows[i].in, SLICE_FMT(a.local),
		    SLICE_FMT(a.domain));
	}
}

/* All ways to write one address have one key. */
static void
keys(void)
{
	static const struct {
		const char *a, *b;
		bool same;
	} rows[] = {
		{ "joe@example.com", "JOE@Example.COM", true },
		{ "joe@example.com", "<joe@example.com>", true },
		{ "joe@example.com", "@a,@b:joe@example.com", true },
		{ "joe@example.com", "\"joe\"@example.com", true },
		{ "joe@example.com", "\"j\\oe\"@example.com", true },
		{ "\"joe smith\"@example.com", "joe smith@example.com", true },
		{ "\"a@b\"@c", "a@b@c", true },
		{ "joe", "JOE", true },
		{ "\"", "\"\"", false },
		{ "joe@example.com", "joe@example.com.", false },
		{ "joe@example.com", "jo@example.com", false },
		{ "joe@example.com", "joe", false },
		{ "\"joe@example.com", "joe@example.com", false },
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		ok((address_key(slice_str(rows[i].a)) == address_key(slice_str(rows[i].b))) ==
			rows[i].same,
		    "'%s' and '%s' are %s", rows[i].a, rows[i].b, rows[i].same ? "one" : "two");
	ok(address_key(SLICE_LIT("Joe@Example.com")) == hash_fnv1a(SLICE_LIT("joe@example.com")),
	    "an ordinary one's key is that of its lower case");
}

static void
checking(void)
{
	static const struct {
		const char *in, *error; /* NULL: good */
	} rows[] = {
		{ "", NULL },
		{ "joe@example.com", NULL },
		{ "o'brien+tag=x/y@example.com", NULL },
		{ "joe@localhost", NULL },
		{ "joe@x_y.example.com", NULL },
		{ "joe@1und1.de", NULL },
		{ "joe@[192.0.2.1]", NULL },
		{ "joe@[IPv6:2001:db8::1]", NULL },
		{ "joe@[ipv6:::1]", NULL },
		{ "\"joe smith\"@example.com", NULL },
		{ "\"a@b\"@example.com", NULL },
		{ "\"a\\\"b\"@example.com", NULL },
		{ "\"\"@example.com", NULL },
		{ SIXTY "abcd@example.com", NULL },
		{ SIXTY "abcde@example.com", "local part is longer than 64 bytes" },
		{ "joe@" SIXTY "abc.com", NULL },
		{ "joe@" SIXTY "abcd.com", "domain is not a host name" },
		{ "joe@" SIXTY "." SIXTY "." SIXTY "." SIXTY ".abcde", NULL },
		{ "joe@" SIXTY "." SIXTY "." SIXTY "." SIXTY ".abcdef.",
		    "domain is not a host name" },
		{ "joe@" SIXTY "." SIXTY "." SIXTY "." SIXTY ".abcdefg", "longer than 254 bytes" },
		{ "joe@" SIXTY "." SIXTY "." SIXTY "." SIXTY "." TEN "ab",
		    "domain is longer than 255 bytes" },
		{ "joe", "no domain" },
		{ "joe@", "no domain" },
		{ "@example.com", "nothing before the '@'" },
		{ "@", "nothing before the '@'" },
		{ "<joe@example.com>", "local part is neither a dot-atom nor a quoted string" },
		{ "<>", "local part is neither a dot-atom nor a quoted string" },
		{ "@a:joe@example.com", "local part is neither a dot-atom nor a quoted string" },
		{ "joe smith@example.com", "local part is neither a dot-atom nor a quoted string" },
		{ ".joe@example.com", "local part is neither a dot-atom nor a quoted string" },
		{ "joe.@example.com", "local part is neither a dot-atom nor a quoted string" },
		{ "joe..smith@example.com",
		    "local part is neither a dot-atom nor a quoted string" },
		{ "a@b@example.com", "local part is neither a dot-atom nor a quoted string" },
		{ "a\"b\"@example.com", "local part is neither a dot-atom nor a quoted string" },
		{ "\"a\"b\"c\"@example.com", "local part is not quoted right" },
		{ "\"a\"b@example.com", "local part is not quoted right" },
		{ "\"a@example.com", "quote is not closed" },
		{ "\"a\\\"@example.com", "quote is not closed" },
		{ "joe@example.com ", "domain is not a host name" },
		{ " joe@example.com", "local part is neither a dot-atom nor a quoted string" },
		{ "joe@example.com.", "domain is not a host name" },
		{ "joe@.example.com", "domain is not a host name" },
		{ "joe@example..com", "domain is not a host name" },
		{ "joe@-example.com", "domain is not a host name" },
		{ "joe@example-.com", "domain is not a host name" },
		{ "joe@exa mple.com", "domain is not a host name" },
		{ "joe@192.0.2.1", "domain is not a host name" },
		{ "joe@[192.0.2]", "not an address literal: [192.0.2.1] or [IPv6:2001:db8::1]" },
		{ "joe@[2001:db8::1]",
		    "not an address literal: [192.0.2.1] or [IPv6:2001:db8::1]" },
		{ "joe@[IPv6:]", "not an address literal: [192.0.2.1] or [IPv6:2001:db8::1]" },
		{ "joe@[", "not an address literal: [192.0.2.1] or [IPv6:2001:db8::1]" },
		{ "joe@[]", "not an address literal: [192.0.2.1] or [IPv6:2001:db8::1]" },
		{ "\xc5\xbcubr@example.com", "not ASCII" },
		{ "joe@\xc5\xbcubr.example", "not ASCII" },
		{ "joe\n@example.com", "control character" },
		{ "\"joe\tsmith\"@example.com", "control character" },
		{ "joe@example.com\x7f", "control character" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct err e = { .text = "" };
		int rc = address_check(slice_str(rows[i].in), &e);

		ok(rc == (rows[i].error == NULL ? 0 : -1) &&
			strcmp(e.text, rows[i].error == NULL ? "" : rows[i].error) == 0,
		    "check '%.60s': %s", rows[i].in, rc == 0 ? "good" : e.text);
	}
	ok(address_check((struct slice){ "a\0b@example.com", 15 }, NULL) == -1, "NUL is a control");
}

static void
atoms(void)
{
	static const struct {
		const char *in;
		bool good;
	} rows[] = {
		{ "a", true },
		{ "a.b.c", true },
		{ "!#$%&'*+-/=?^_`{|}~", true },
		{ "", false },
		{ ".", false },
		{ ".a", false },
		{ "a.", false },
		{ "a..b", false },
		{ "a b", false },
		{ "a@b", false },
		{ "\"a\"", false },
		{ "\xc5\xbc", false },
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		ok(address_is_dot_atom(slice_str(rows[i].in)) == rows[i].good, "dot-atom '%s'",
		    rows[i].in);
	ok(!address_is_dot_atom((struct slice){ "a\0b", 3 }), "NUL is no atom");
}

static const struct {
	const char *in, *addr, *name; /* addr "": there is none */
} headers[] = {
	/* plain */
	{ "joe@example.com", "joe@example.com", "" },
	{ " joe@example.com\r\n", "joe@example.com", "" },
	{ "<joe@example.com>", "joe@example.com", "" },
	{ " Joe Smith <joe@example.com>", "joe@example.com", "Joe Smith" },
	{ "Joe<joe@example.com>", "joe@example.com", "Joe" },
	{ "\"Smith, Joe\" <joe@example.com>", "joe@example.com", "Smith, Joe" },
	{ "\"Joe \\\"Bear\\\" Smith\" <joe@example.com>", "joe@example.com", "Joe \"Bear\" Smith" },
	{ "\"a\\\\b\" <joe@example.com>", "joe@example.com", "a\\b" },
	{ "\"  Joe  \" <joe@example.com>", "joe@example.com", "Joe" },
	{ "Joe \"the bear\" Smith <joe@example.com>", "joe@example.com", "Joe the bear Smith" },
	{ "\"\" <joe@example.com>", "joe@example.com", "" },
	{ "J. Smith <joe@example.com>", "joe@example.com", "J. Smith" },

	/* quoted local parts */
	{ "\"joe smith\"@example.com", "\"joe smith\"@example.com", "" },
	{ "Joe <\"joe@home\"@example.com>", "\"joe@home\"@example.com", "Joe" },
	{ "<\"a\\\"b\"@example.com>", "\"a\\\"b\"@example.com", "" },
	{ "<\"a>b, c\"@example.com>", "\"a>b, c\"@example.com", "" },
	{ "\"a\r\n b\"@example.com", "\"a b\"@example.com", "" },
	{ "\"a\\\nb\"@example.com", "\"ab\"@example.com", "" },

	/* comments */
	{ "joe@example.com (Joe Smith)", "joe@example.com", "Joe Smith" },
	{ "joe@example.com (Joe (the bear) Smith)", "joe@example.com", "Joe (the bear) Smith" },
	{ "(c) joe (d) @ (e) example.com (Joe \\) Smith)", "joe@example.com", "Joe ) Smith" },
	{ "Joe (home, <not@this.one>) Smith <joe@example.com>", "joe@example.com", "Joe Smith" },
	{ "Joe(x)Smith <joe@(y)example.com(z)>", "joe@example.com", "Joe Smith" },
	{ "(not@this.one) joe@example.com", "joe@example.com", "not@this.one" },
	{ "Joe (open <joe@example.com>", "joe@example.com", "Joe (open" },
	{ "((((a)))) joe@example.com", "joe@example.com", "(((a)))" },

	/* lists and groups */
	{ "joe@example.com, ann@example.org", "joe@example.com", "" },
	{ "Joe <joe@example.com>, Ann <ann@example.org>", "joe@example.com", "Joe" },
	{ ", ,joe@example.com", "joe@example.com", "" },
	{ "joe@example.com; ann@example.org", "joe@example.com", "" },
	{ "Undisclosed recipients:;", "", "" },
	{ "Undisclosed recipients: ;, joe@example.com", "joe@example.com", "" },
	{ "Team: Joe <joe@example.com>, ann@example.org;", "joe@example.com", "Joe" },
	{ "\"A: B\" <joe@example.com>", "joe@example.com", "A: B" },
	{ "Joe <>, Ann <ann@example.org>", "ann@example.org", "Ann" },
	{ "Joe <root>, ann@example.org", "ann@example.org", "" },
	{ "Smith, Joe <joe@example.com>", "joe@example.com", "Joe" },

	/* obsolete */
	{ "<@a.example,@b.example:joe@example.com>", "joe@example.com", "" },
	{ "Joe <@a.example , , @b.example : joe@example.com>", "joe@example.com", "Joe" },
	{ "<@[IPv6:2001:db8::1]:joe@example.com>", "joe@example.com", "" },
	{ "joe . smith @ example . com", "joe.smith@example.com", "" },
	{ "< joe @ example.com >", "joe@example.com", "" },
	{ "<\"joe\".smith@example.com>", "\"joe\".smith@example.com", "" },

	/* domains */
	{ "Joe <joe@[192.0.2.1]>", "joe@[192.0.2.1]", "Joe" },
	{ "joe@[IPv6:2001:db8::1]", "joe@[IPv6:2001:db8::1]", "" },
	{ "joe@example.com.", "joe@example.com.", "" },
	{ "joe@[192.0.2.1", "joe@[192.0.2.1", "" },
	{ "[list] joe@example.com", "joe@example.com", "" },
	{ "[list] <joe@example.com>", "joe@example.com", "[list]" },

	/* encoded words and 8-bit */
	{ "=?UTF-8?Q?J=C3=B6rg?= <joe@example.com>", "joe@example.com", "=?UTF-8?Q?J=C3=B6rg?=" },
	{ "=?UTF-8?B?SsO2cmc=?=\r\n =?utf-8?q?_Smith?= <joe@example.com>", "joe@example.com",
	    "=?UTF-8?B?SsO2cmc=?= =?utf-8?q?_Smith?=" },
	{ "=?utf-8?Q?Smith,_Joe?= <joe@example.com>", "joe@example.com", "=?utf-8?Q?Smith,_Joe?=" },
	{ "=?utf-8?Q?Joe_(x;y:z)?= <joe@example.com>", "joe@example.com",
	    "=?utf-8?Q?Joe_(x;y:z)?=" },
	{ "=?utf-8?Q?Smith, Joe <joe@example.com>", "joe@example.com", "Joe" },
	{ "\"=?UTF-8?Q?J=C3=B6rg?=\" <joe@example.com>", "joe@example.com",
	    "=?UTF-8?Q?J=C3=B6rg?=" },
	{ "J\xc3\xb6rg <joe@example.com>", "joe@example.com", "J\xc3\xb6rg" },
	{ "\xc5\xbcubr@example.com", "\xc5\xbcubr@example.com", "" },
	{ "J\xf6rg <j\xf6rg@example.com>", "j\xf6rg@example.com", "J\xf6rg" },

	/* folds and controls */
	{ " Joe\r\n\tSmith\r\n <joe@example.com>", "joe@example.com", "Joe Smith" },
	{ " Joe\n Smith\n <joe@\n example.com>", "joe@example.com", "Joe Smith" },
	{ "Joe\001Smith <joe@example.com>", "joe@example.com", "Joe Smith" },
	{ "\"Joe\r\n\tSmith\001\" <joe@example.com>", "joe@example.com", "Joe Smith" },

	/* what people send */
	{ "", "", "" },
	{ "   ", "", "" },
	{ "<>", "", "" },
	{ "Joe <>", "", "" },
	{ "Joe", "", "" },
	{ "\"joe@example.com\"", "", "" },
	{ "@", "", "" },
	{ "@example.com", "", "" },
	{ "joe@", "", "" },
	{ "<joe@>", "", "" },
	{ "<@example.com>", "", "" },
	{ "<@a,@b>", "", "" },
	{ "<@a@b>", "", "" },
	{ "<<<>>>,,;;::()\"\"[]", "", "" },
	{ "Joe <joe@example.com", "joe@example.com", "Joe" },
	{ "Joe <joe@example.com, ann@example.org", "joe@example.com", "Joe" },
	{ "Joe joe@example.com>", "joe@example.com", "" },
	{ "Joe <joe@example.com <ann@example.org>", "joe@example.com", "Joe" },
	{ "joe@example.com <ann@example.org>", "ann@example.org", "joe@example.com" },
	{ "<joe@example.com> <ann@example.org>", "joe@example.com", "" },
	{ "Joe Smith joe@example.com", "joe@example.com", "" },
	{ "joe@example.com ann@example.org", "joe@example.com", "" },
	{ "joe smith <joe smith@example.com>", "joe smith@example.com", "joe smith" },
	{ "\"Joe <joe@example.com>", "joe@example.com", "\"Joe" },
	{ "a@b@example.com", "a@b@example.com", "" },
	{ "joe@example.com\"", "joe@example.com\"", "" },
};

static void
mailboxes(void)
{
	for (size_t i = 0; i < COUNT(headers); i++) {
		struct buf addr, name;
		bool found;

		buf_init(&addr, 1000);
		buf_init(&name, 1000);
		buf_adds(&addr, "old");
		buf_adds(&name, "old");
		found = address_first(slice_str(headers[i].in), &addr, &name);
		ok(found == (headers[i].addr[0] != '\0') &&
			strcmp(buf_str(&addr), headers[i].addr) == 0 &&
			strcmp(buf_str(&name), headers[i].name) == 0,
		    "'%s' holds '%s', named '%s'", headers[i].in, buf_str(&addr), buf_str(&name));
		buf_free(&addr);
		buf_free(&name);
	}
}

static void
domains(void)
{
	static const struct {
		const char *in, *want; /* with ';' behind each */
	} rows[] = {
		{ "joe@example.com", "example.com;" },
		{ "\"x <a@b.example>, c\" <joe@example.com>", "example.com;" },
		{ "a@b.example <joe@example.com> (x@y.example)", "example.com;" },
		{ "T: a@one.example, B <b@two.example>; (c@x) d@three.example (e@f)",
		    "one.example;two.example;three.example;" },
		{ "<@relay.example,@r2.example:joe@example.com>", "example.com;" },
		{ "joe @ (x) example . com (y) z", "example . com;" },
		{ "<joe@\r\n example.com >", "example.com;" },
		{ "joe@[192.0.2.1], root, <>, a@", "[192.0.2.1];" },
		{ "a@b@example.com", "example.com;" },
		{ "Joe Smith joe@example.com ann@example.org", "example.com;" },
		{ "a@1.example,b@2.example,c@3.example,d@4.example",
		    "1.example;2.example;3.example;" },
		{ "", "" },
	};
	struct slice found[3];

	for (size_t i = 0; i < COUNT(rows); i++) {
		size_t n = address_domains(slice_str(rows[i].in), found, COUNT(found));
		struct buf got;

		buf_init(&got, 1000);
		for (size_t k = 0; k < n; k++) {
			buf_add(&got, found[k]);
			buf_addc(&got, ';');
		}
		ok(strcmp(buf_str(&got), rows[i].want) == 0, "'%s': %s", rows[i].in, buf_str(&got));
		buf_free(&got);
	}
}

static void
caps(void)
{
	struct buf addr, name;

	buf_init(&addr, 10);
	buf_init(&name, 3);
	ok(!address_first(SLICE_LIT("Joey <joey@example.com>"), &addr, &name) && addr.len == 0,
	    "an address that does not fit is none");
	ok(address_first(SLICE_LIT("joey@example.com, Joey <a@example>"), &addr, &name) &&
		strcmp(buf_str(&addr), "a@example") == 0 && strcmp(buf_str(&name), "Joe") == 0,
	    "the next one does; a name is cut");
	ok(address_first(SLICE_LIT("Joe <a@example>"), &addr, NULL), "no name asked for");
	ok(!address_first((struct slice){ NULL, 0 }, &addr, NULL), "no bytes");
	ok(address_first((struct slice){ "a\0b <joe@a\0>", 12 }, &addr, &name) &&
		strcmp(buf_str(&addr), "joe@a") == 0 && strcmp(buf_str(&name), "a b") == 0,
	    "NUL is a blank");
	buf_free(&addr);
	buf_free(&name);
}

static void
return_paths(void)
{
	static const struct {
		const char *sender, *rcpt, *want, *error;
	} rows[] = {
		{ "jsmith@example.com", "jdoe@yahoo.com", "jsmith-jdoe=yahoo.com@example.com",
		    NULL },
		{ "a.b@example.com", "c=d@x.org", "a.b-c=d=x.org@example.com", NULL },
		{ "a@[192.0.2.1]", "c@x.org", "a-c=x.org@[192.0.2.1]", NULL },
		{ "", "jdoe@yahoo.com", "", "sender's local part is not a dot-atom" },
		{ "\"a b\"@example.com", "jdoe@yahoo.com", "",
		    "sender's local part is not a dot-atom" },
		{ "a@example.com", "\"j d\"@yahoo.com", "",
		    "recipient's local part is not a dot-atom" },
		{ "a@example.com", "jdoe", "", "recipient's domain is not a host name" },
		{ "a@example.com", "jdoe@[192.0.2.1]", "",
		    "recipient's domain is not a host name" },
		{ "a@example.com", "jdoe@x=y.org", "", "recipient's domain is not a host name" },
		{ "a", "jdoe@yahoo.com", "", "no domain" },
		{ "a@example.com", SIXTY "@yahoo.com", "", "local part is longer than 64 bytes" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct err e = { .text = "" };
		struct buf out;
		int rc;

		buf_init(&out, 1000);
		buf_adds(&out, "old");
		rc = address_verp(address_split(slice_str(rows[i].sender)),
		    address_split(slice_str(rows[i].rcpt)), &out, &e);
		ok(rc == (rows[i].error == NULL ? 0 : -1) &&
			strcmp(buf_str(&out), rows[i].want) == 0 &&
			strcmp(e.text, rows[i].error == NULL ? "" : rows[i].error) == 0,
		    "from '%s' to '%s': '%s' %s", rows[i].sender, rows[i].rcpt, buf_str(&out),
		    e.text);
		buf_free(&out);
	}
}

static void
returned(void)
{
	static const struct {
		const char *in, *want;
	} rows[] = {
		{ "jsmith-jdoe=yahoo.com@example.com", "jdoe@yahoo.com" },
		{ "<jsmith-jdoe=yahoo.com@example.com>", "jdoe@yahoo.com" },
		{ "jsmith-jdoe=my-host.com@example.com", "jdoe@my-host.com" },
		{ "a-b-jdoe=yahoo.com@example.com", "jdoe@yahoo.com" },
		{ "jsmith-mary-ann=yahoo.com@example.com",
		    "ann@yahoo.com" }, /* cut, as documented */
		{ "a.b-c=d=x.org@example.com", "c=d@x.org" },
		{ "jsmith@example.com", "" },
		{ "jsmith-jdoe@example.com", "" },
		{ "jdoe=yahoo.com@example.com", "" },
		{ "-jdoe=yahoo.com@example.com", "" },
		{ "jsmith-=yahoo.com@example.com", "" },
		{ "jsmith-jdoe=@example.com", "" },
		{ "\"a-b c=d.e\"@example.com", "" },
		{ "", "" },
		{ "<>", "" },
		{ "-=", "" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf rcpt;
		bool found;

		buf_init(&rcpt, 1000);
		buf_adds(&rcpt, "old");
		found = address_unverp(slice_str(rows[i].in), &rcpt);
		ok(found == (rows[i].want[0] != '\0') && strcmp(buf_str(&rcpt), rows[i].want) == 0,
		    "'%s' came from '%s'", rows[i].in, buf_str(&rcpt));
		buf_free(&rcpt);
	}
}

/* A megabyte of each: milliseconds when linear, minutes when quadratic. */
static void
hostile(void)
{
	static const char *const units[] = { "(", "((", "\"", "\"\\\"\\", "\\\"", "[", "<", "<@",
		"<@a:", ">", ",", "@", "a@b", "a@b ", "<a@b>", "x:", "a b ", "=?", "=?a?q?",
		"=?a?q?b?=", "\"(", "(\"[", "<\"", "<(", ",<", ",<@", ".<a,", "\\(", ") (", "()",
		"\"\"", "[]", "\r\n ", "\xff" };
	size_t size = 1 << 20;
	char *text = malloc(size);

	for (size_t i = 0; text != NULL && i < COUNT(units); i++) {
		int64_t start = clock_mono_ms(), took;
		size_t n = strlen(units[i]);
		struct buf addr, name;

		for (size_t k = 0; k < size; k++)
			text[k] = units[i][k % n];
		buf_init(&addr, 1000);
		buf_init(&name, 1000);
		address_first((struct slice){ text, size }, &addr, &name);
		address_split((struct slice){ text, size });
		address_check((struct slice){ text, size }, NULL);
		address_unverp((struct slice){ text, size }, &addr);
		took = clock_mono_ms() - start;
		ok(took < 10000, "1 MB of '%s' took under 10 s", units[i]);
		buf_free(&addr);
		buf_free(&name);
	}
	free(text);
}

int
main(void)
{
	splitting();
	keys();
	checking();
	atoms();
	mailboxes();
	domains();
	caps();
	return_paths();
	returned();
	hostile();
	return tap_done();
}
