/*
 * Who asks: X-Forwarded-For is believed as far as trusted proxies wrote it.
 */
#include <arpa/inet.h>

#include "t/tap.h"
#include "tracker/client.h"

static struct sockaddr_storage
address(const char *text)
{
	struct client c;

	if (!client_parse(slice_str(text), &c))
		printf("Bail out! %s\n", text);
	return c.addr;
}

static void
parsing(void)
{
	static const struct {
		struct slice text;
		const char *want; /* NULL: no address */
	} rows[] = {
		{ SLICE_LIT("192.0.2.7"), "192.0.2.7" },
		{ SLICE_LIT(" 192.0.2.7\t"), "192.0.2.7" },
		{ SLICE_LIT("192.0.2.7:8080"), "192.0.2.7" },
		{ SLICE_LIT("2001:DB8::1"), "2001:db8::1" },
		{ SLICE_LIT("[2001:db8::1]"), "2001:db8::1" },
		{ SLICE_LIT("[2001:db8::1]:443"), "2001:db8::1" },
		{ SLICE_LIT("::ffff:192.0.2.7"), "192.0.2.7" },
		{ SLICE_LIT("::1"), "::1" },
		{ SLICE_LIT("::"), "::" },
		{ SLICE_LIT(""), NULL },
		{ SLICE_LIT(" "), NULL },
		{ SLICE_LIT("unknown"), NULL },
		{ SLICE_LIT("_hidden"), NULL },
		{ SLICE_LIT("192.0.2"), NULL },
		{ SLICE_LIT("192.0.2.7.8"), NULL },
		{ SLICE_LIT("192.0.2.256"), NULL },
		{ SLICE_LIT("192.0.2.7\0"), NULL },
		{ SLICE_LIT("192.0.2.7/24"), NULL },
		{ SLICE_LIT("[::1"), "::1" }, /* whoever wrote it is trusted */
		{ SLICE_LIT("[::1]x"), NULL },
		{ SLICE_LIT("[::1]:99999"), NULL },
		{ SLICE_LIT("fe80::1%eth0"), NULL },
		{ SLICE_LIT("1:2:3:4:5:6:7:8:9"), NULL },
		{ SLICE_LIT("12345678901234567890123456789012345678901234567890"), NULL },
		{ SLICE_LIT("<script>"), NULL },
	};
	struct client c;

	for (size_t i = 0; i < COUNT(rows); i++) {
		bool good = client_parse(rows[i].text, &c);

		ok(rows[i].want == NULL ? !good : good && strcmp(c.text, rows[i].want) == 0,
		    "'%.*s' is %s", SLICE_FMT(rows[i].text),
		    rows[i].want == NULL ? "no address" : rows[i].want);
	}
}

/* Trusted: 10/8 and 2001:db8:ffff::/48. */
static void
chains(void)
{
	static const struct {
		const char *peer, *forwarded[3], *want;
	} rows[] = {
		{ "192.0.2.7", { NULL }, "192.0.2.7" },
		{ "192.0.2.7", { "203.0.113.1" }, "192.0.2.7" },
		{ "10.0.0.1", { NULL }, "10.0.0.1" },
		{ "10.0.0.1", { "" }, "10.0.0.1" },
		{ "10.0.0.1", { "203.0.113.1" }, "203.0.113.1" },
		{ "10.0.0.1", { "203.0.113.1:1234" }, "203.0.113.1" },
		/* what the client wrote itself stands to the left */
		{ "10.0.0.1", { "1.2.3.4, 203.0.113.1" }, "203.0.113.1" },
		{ "10.0.0.1", { "10.9.9.9, 203.0.113.1" }, "203.0.113.1" },
		/* two proxies */
		{ "10.0.0.1", { "1.2.3.4, 203.0.113.1, 10.0.0.2" }, "203.0.113.1" },
		{ "10.0.0.1", { "1.2.3.4", "203.0.113.1", "10.0.0.2" }, "203.0.113.1" },
		{ "10.0.0.1", { "203.0.113.1 ,10.0.0.3,  10.0.0.2" }, "203.0.113.1" },
		{ "10.0.0.1", { "203.0.113.1", "10.0.0.3,10.0.0.2" }, "203.0.113.1" },
		{ "2001:db8:ffff::1", { "2001:db8::7" }, "2001:db8::7" },
		{ "2001:db8:ffff::1", { "2001:db8::7, 10.0.0.2" }, "2001:db8::7" },
		{ "2001:db8::7", { "203.0.113.1" }, "2001:db8::7" },
		/* all of it is ours: the leftmost */
		{ "10.0.0.1", { "10.0.0.3, 10.0.0.2" }, "10.0.0.3" },
		/* not readable: who was known last */
		{ "10.0.0.1", { "unknown" }, "10.0.0.1" },
		{ "10.0.0.1", { "203.0.113.1, unknown" }, "10.0.0.1" },
		{ "10.0.0.1", { "203.0.113.1, unknown, 10.0.0.2" }, "10.0.0.2" },
		{ "10.0.0.1", { "203.0.113.1," }, "10.0.0.1" },
		{ "10.0.0.1", { ",,," }, "10.0.0.1" },
		{ "10.0.0.1", { "203.0.113.1 10.0.0.2" }, "10.0.0.1" },
		{ "10.0.0.1", { "::ffff:203.0.113.1" }, "203.0.113.1" },
		{ "::ffff:10.0.0.1", { "203.0.113.1" }, "203.0.113.1" },
	};
	struct cidr nets[2];
	struct client_proxies trusted = { 2, nets };

	cidr_parse(SLICE_LIT("10/8"), &nets[0], NULL);
	cidr_parse(SLICE_LIT("2001:db8:ffff::/48"), &nets[1], NULL);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct sockaddr_storage peer = address(rows[i].peer);
		struct slice lines[3];
		struct client c;
		size_t n = 0;

		while (n < 3 && rows[i].forwarded[n] != NULL) {
			lines[n] = slice_str(rows[i].forwarded[n]);
			n++;
		}
		client_find(&trusted, (const struct sockaddr *)&peer, lines, n, &c);
		ok(strcmp(c.text, rows[i].want) == 0, "row %zu: %s", i, c.text);
	}
}

static void
limits(void)
{
	struct client_proxies all = { 1, NULL }, none = { 0, NULL };
	struct sockaddr_storage peer = address("10.0.0.1");
	struct sockaddr nobody = { .sa_family = AF_UNSPEC };
	struct cidr any;
	struct client c;
	struct buf text;
	struct slice line;

	cidr_parse(SLICE_LIT("0/0"), &any, NULL);
	all.v = &any;
	buf_init(&text, BUF_NO_LIMIT);
	for (unsigned i = 0; i < 1000; i++)
		buf_printf(&text, "%s10.1.%u.%u", i > 0 ? "," : "", i / 250, i % 250);
	line = buf_slice(&text);
	client_find(&all, (const struct sockaddr *)&peer, &line, 1, &c);
	ok(strcmp(c.text, "10.1.3.218") == 0, "32 hops of 1000: %s", c.text);
	client_find(&none, (const struct sockaddr *)&peer, &line, 1, &c);
	ok(strcmp(c.text, "10.0.0.1") == 0, "nobody is trusted");
	client_find(&all, &nobody, NULL, 0, &c);
	ok(strcmp(c.text, "") == 0, "no peer");
	buf_free(&text);
}

/* Every number of an IPv4 address is written as inet_ntop() writes it. */
static void
texts(void)
{
	static const struct client_proxies none = { 0, NULL };
	unsigned wrong = 0;

	for (uint32_t i = 0; i < 256 * 4; i++) {
		struct sockaddr_in in = { .sin_family = AF_INET,
			.sin_addr.s_addr = htonl((i / 4) << (8 * (i % 4)) | 0x01000a00) };
		char want[INET_ADDRSTRLEN];
		struct client c;

		inet_ntop(AF_INET, &in.sin_addr, want, sizeof(want));
		client_find(&none, (const struct sockaddr *)&in, NULL, 0, &c);
		wrong += strcmp(c.text, want) != 0;
	}
	ok(wrong == 0, "%u of 1024 addresses written otherwise than by inet_ntop()", wrong);
}

int
main(void)
{
	parsing();
	texts();
	chains();
	limits();
	return tap_done();
}
