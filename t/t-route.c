/* Names of transports, and which recipients may take them, as rows. */
#include <string.h>

#include "common/conf_said.h"
#include "common/route.h"
#include "t/tap.h"

static const char conf_text[] = "host-name mail.example.com\n"
				"relay-domain relay.example\n"
				"<virtual-mta a>\n"
				"</virtual-mta>\n"
				"<virtual-mta b>\n"
				"    <domain slow.example>\n"
				"        max-smtp-out 1\n"
				"    </domain>\n"
				"</virtual-mta>\n";

static const struct {
	const char *vmta, *transport;
} names[] = {
	{ "mta1", "spv-mta1" },
	{ "a-b-0", "spv-a-b-0" },
	{ "MTA1", "spv-mta1-" }, /* and a hash */
	{ "a_b", "spv-a-b-" },
	{ "a.b", "spv-a-b-" },
	{ "\xc3\xa4", "spv----" },
	{ "0123456789012345678901234567890123456789x",
	    "spv-0123456789012345678901234567890123456789-" },
};

static const struct {
	const char *rcpt, *mailer, *host;
	bool may;
} recipients[] = {
	{ "a@far.example", "smtp", "far.example", true },
	{ "a@far.example", "smtp", "[192.0.2.1]", true }, /* relayhost; the table has it */
	{ "a@Relay.example", "relay", "relay.example", true },
	{ "a@relay.example", "relay", "[192.0.2.1]", false },
	{ "a@relay.example", "relay", NULL, false },
	{ "a@mail.example.com", "local", "mail.example.com", false },
	{ "a@far.example", "virtual", "far.example", false },
	{ "a@far.example", "error", "5.1.1", false },
	{ "a@far.example", NULL, NULL, true },
	{ "a@relay.example", NULL, NULL, false },
	{ "a@mail.example.com", NULL, NULL, false },
	{ "a@LOCALHOST", NULL, NULL, false },
	{ "a", NULL, NULL, false },
};

static void
tell(void *arg, const struct conf_said *s)
{
	if (strcmp(s->row->name, "max-smtp-out") != 0)
		return;
	*(bool *)arg = true;
	ok(s->at.line == 7 && strcmp(s->text, "1") == 0, "a directive with its line");
	ok(s->vmta != NULL && strcmp(s->vmta->name, "b") == 0 && s->pool == NULL, "its block");
	ok(s->domain != NULL && s->domain->max_smtp_out == 1, "its domain");
}

int
main(void)
{
	struct conf_vmta v = { .name = "" };
	char one[ROUTE_NAME_SIZE], other[ROUTE_NAME_SIZE];
	struct err e = { .text = "" };
	struct conf *c = conf_parse("t", slice_str(conf_text), &e);
	bool told = false;

	for (size_t i = 0; i < COUNT(names); i++) {
		const char *wanted = names[i].transport;
		size_t n = strlen(wanted);

		v.name = names[i].vmta;
		route_name(&v, one);
		if (wanted[n - 1] == '-')
			ok(strncmp(one, wanted, n) == 0 && strlen(one) == n + 8, "%s", one);
		else
			ok(strcmp(one, wanted) == 0, "%s", one);
	}
	v.name = "a_b";
	route_name(&v, one);
	v.name = "a.b";
	ok(strcmp(one, route_name(&v, other)) != 0, "names that look alike do not meet");
	if (!ok(c != NULL, "the configuration: %s", e.text))
		return tap_done();
	ok(route_needed(c), "two virtual MTAs need routes");
	for (size_t i = 0; i < COUNT(recipients); i++)
		ok(route_may_take(c, slice_str(recipients[i].rcpt), recipients[i].mailer,
		       recipients[i].host) == recipients[i].may,
		    "%s by %s", recipients[i].rcpt,
		    recipients[i].mailer != NULL ? recipients[i].mailer : "nobody knows what");
	conf_said_each(c, tell, &told);
	ok(told, "each directive is told");
	conf_free(c);
	return tap_done();
}
