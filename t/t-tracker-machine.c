/*
 * Machine readers: the rule file, which rule fits, and the file that is shipped.
 */
#include <stdlib.h>

#include "t/tap.h"
#include "tracker/client.h"
#include "tracker/machine.h"

static void
refused(void)
{
	static const struct {
		const char *text, *error;
	} rows[] = {
		{ "x\n", "m:1: expected user-agent or network behind the name" },
		{ "# c\n\nx y z\n", "m:3: expected user-agent or network, found 'y'" },
		{ "x user-agent\n", "m:1: user-agent: expected /REGEX/" },
		{ "x user-agent bot\n", "m:1: user-agent: expected /REGEX/" },
		{ "x user-agent /bot\n", "m:1: user-agent: expected /REGEX/" },
		{ "x user-agent //\n",
		    "m:1: user-agent: expected /REGEX/, found nothing between the slashes" },
		{ "x user-agent /bot/ please\n",
		    "m:1: expected proxy or nothing at the end, found 'please'" },
		{ "x user-agent /bot/ proxy 1\n",
		    "m:1: expected proxy or nothing at the end, found '1'" },
		{ "x network\n",
		    "m:1: network: expected an IP address or a network like 192.0.2.0/24" },
		{ "x network 10.0.0.0/33\n",
		    "m:1: network: expected an IP address or a network like 192.0.2.0/24" },
		{ "x network 10/8 y\n", "m:1: expected proxy or nothing at the end, found 'y'" },
		{ "a/b network 10/8\n", "m:1: expected a name of at most 63 printable characters" },
		{ "0123456789012345678901234567890123456789012345678901234567890123 network 10/8\n",
		    "m:1: expected a name of at most 63 printable characters" },
		{ "caf\xc3\xa9 network 10/8\n",
		    "m:1: expected a name of at most 63 printable characters" },
	};
	struct machine_rules *m;
	struct err e;

	for (size_t i = 0; i < COUNT(rows); i++) {
		e.text[0] = '\0';
		m = machine_rules_parse("m", slice_str(rows[i].text), &e);
		ok(m == NULL && strcmp(e.text, rows[i].error) == 0, "refused: %s", e.text);
		machine_rules_free(m);
	}
	m = machine_rules_parse("m", SLICE_LIT("x user-agent /(/\n"), &e);
	ok(m == NULL && strncmp(e.text, "m:1: ", 5) == 0, "refused: %s", e.text);
	machine_rules_free(m);
	m = machine_rules_load("/nonexistent/rules", &e);
	ok(m == NULL && strstr(e.text, "/nonexistent/rules") != NULL, "refused: %s", e.text);
}

static void
fits(void)
{
	static const char text[] = "# rules\n"
				   "\n"
				   "Net network 192.0.2.0/24\r\n"
				   "Net6 network 2001:db8::/32 proxy\n"
				   "  Slash\tuser-agent   /a\\/b c/  \n"
				   "Image user-agent /ImageProxy$/ proxy\n"
				   "Empty user-agent /^$/\n"
				   "Bot user-agent /bot|spider/";
	static const struct {
		const char *agent, *client, *want; /* NULL: a person */
		bool proxy;
	} rows[] = {
		{ "Mozilla/5.0", "203.0.113.1", NULL, false },
		{ "Mozilla/5.0", "192.0.2.200", "Net", false },
		{ "some bot", "192.0.2.200", "Net", false },
		{ "Mozilla/5.0", "2001:db8::1", "Net6", true },
		{ "xa/b cx", "203.0.113.1", "Slash", false },
		{ "via imageproxy", "203.0.113.1", "Image", true },
		{ "ImageProxy 2", "203.0.113.1", NULL, false },
		{ "", "203.0.113.1", "Empty", false },
		{ "Googlebot/2.1", "203.0.113.1", "Bot", false },
		{ "SPIDER", "203.0.113.1", "Bot", false },
	};
	struct err e = { .text = "" };
	struct machine_rules *m = machine_rules_parse("m", slice_str(text), &e);

	if (!ok(m != NULL && machine_rules_count(m) == 6, "six rules %s", e.text))
		return;
	/* Twice: the second time what was found is known. */
	for (size_t n = 0; n < 2 * COUNT(rows); n++) {
		size_t i = n % COUNT(rows);
		struct machine found = { NULL, false };
		struct client c;
		bool is;

		client_parse(slice_str(rows[i].client), &c);
		is = machine_find(m, slice_str(rows[i].agent), (struct sockaddr *)&c.addr, &found);
		ok(rows[i].want == NULL ? !is
					: is && strcmp(found.name, rows[i].want) == 0 &&
					      found.proxy == rows[i].proxy,
		    "'%s' from %s is %s", rows[i].agent, rows[i].client,
		    rows[i].want == NULL ? "a person" : rows[i].want);
	}
	machine_rules_free(m);
	ok(!machine_find(NULL, SLICE_LIT("bot"), NULL, NULL) && machine_rules_count(NULL) == 0,
	    "without rules everyone is a person");
}

static void
shipped(void)
{
	static const struct {
		const char *agent, *want;
		bool proxy;
	} rows[] = {
		{ "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 "
		  "(via ggpht.com GoogleImageProxy)",
		    "Google-Image-Proxy", true },
		{ "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html",
		    "Yahoo-Mail-Proxy", true },
		{ "Mozilla/5.0", "Apple-Mail-Privacy", false },
		{ "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", NULL,
		    false },
		{ "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 "
		  "(KHTML, like Gecko) Mobile/15E148",
		    NULL, false },
		{ "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like "
		  "Gecko) "
		  "Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0",
		    NULL, false },
		{ "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17928; Pro)",
		    NULL, false },
		{ "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
		    "Crawler", false },
		{ "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", "Link-Preview",
		    false },
		{ "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
		    "Link-Preview", false },
		{ "curl/7.88.1", "HTTP-Library", false },
		{ "python-requests/2.28.1", "HTTP-Library", false },
		{ "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
		  "HeadlessChrome/120.0.0.0 Safari/537.36",
		    "Headless-Browser", false },
		{ "Mozilla/5.0 (Linux; Android 9; CUBOT X19) AppleWebKit/537.36 (KHTML, like "
		  "Gecko) "
		  "Chrome/120.0.0.0 Mobile Safari/537.36",
		    NULL, false },
		{ "", "No-User-Agent", false },
	};
	const char *srcdir = getenv("srcdir");
	struct machine_rules *m;
	struct err e = { .text = "" };
	char path[4096];
	struct client c;

	snprintf(path, sizeof(path), "%s/etc/machine-readers.conf", srcdir == NULL ? "." : srcdir);
	m = machine_rules_load(path, &e);
	if (!ok(m != NULL, "etc/machine-readers.conf %s", e.text))
		return;
	client_parse(SLICE_LIT("203.0.113.1"), &c);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct machine found = { "a person", false };
		bool is =
		    machine_find(m, slice_str(rows[i].agent), (struct sockaddr *)&c.addr, &found);

		ok(rows[i].want == NULL ? !is
					: is && strcmp(found.name, rows[i].want) == 0 &&
					      found.proxy == rows[i].proxy,
		    "%s: %s", rows[i].agent, found.name);
	}
	machine_rules_free(m);
}

int
main(void)
{
	refused();
	fits();
	shipped();
	return tap_done();
}
