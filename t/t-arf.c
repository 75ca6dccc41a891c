/* Feedback reports, field by field. */
#include "common/arf.h"
#include "t/tap.h"

static const struct {
	const char *name, *body, *type, *from, *ip, *rcpts;
} rows[] = {
	{ "as RFC 5965 has it",
	    "Feedback-Type: abuse\nUser-Agent: SomeGenerator/1.0\nVersion: 1\nOriginal-Mail-From: "
	    "<s@a.example>\nOriginal-Rcpt-To: <u@b.example>\n"
	    "Arrival-Date: Thu, 8 Mar 2005 14:00:00 EDT\nReporting-MTA: dns; "
	    "mail.example\nSource-IP: 192.0.2.1\n",
	    "abuse", "<s@a.example>", "192.0.2.1", "u@b.example" },
	{ "in another order and case, an empty line in it",
	    "version: 0.1\nORIGINAL-RCPT-TO: rfc822;u@b.example\n\nfeedback-type: "
	    "not-spam\nsource-ip: 2001:db8::1\n",
	    "not-spam", "", "2001:db8::1", "u@b.example" },
	{ "several recipients",
	    "Feedback-Type: abuse\nOriginal-Rcpt-To: a@b.example\nOriginal-Rcpt-To: "
	    "c@d.example\nRemoval-Recipient: e@f.example\n",
	    "abuse", "", "", "a@b.example c@d.example e@f.example" },
	{ "a name before the address",
	    "Feedback-Type: abuse\nOriginal-Rcpt-To: undisclosed x <redacted@comcast.net>\n",
	    "abuse", "", "", "redacted@comcast.net" },
	{ "opt-out", "Feedback-Type: opt-out\nRemoval-Recipient: u@b.example\n", "opt-out", "", "",
	    "u@b.example" },
	{ "a fold", "Feedback-Type:\n abuse\nOriginal-Rcpt-To:\n <u@b.example>\n", "abuse", "", "",
	    "u@b.example" },
	{ "nothing", "", "", "", "", "" },
};

static const struct {
	const char *address;
	bool redacted;
} redacted[] = {
	{ "redacted@aol.com", true },
	{ "cb4a01a48251d4765f489076aa81e2a4@comcast.net", true },
	{ "[redacted]@x.example", true },
	{ "undisclosed", true },
	{ "anna@x.example", false },
	{ "deadbeef@x.example", false },
};

int
main(void)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf got, address;
		struct slice value;
		struct arf a;

		buf_init(&got, 4096);
		buf_init(&address, 4096);
		arf_read(&a, slice_str(rows[i].body));
		while (arf_next_rcpt(&a, &value)) {
			arf_address(value, &address);
			buf_printf(&got, "%s%s", got.len > 0 ? " " : "", buf_str(&address));
		}
		if (!ok(slice_eq(a.type, slice_str(rows[i].type)) &&
			    slice_eq(a.mail_from, slice_str(rows[i].from)) &&
			    slice_eq(a.source_ip, slice_str(rows[i].ip)) &&
			    strcmp(buf_str(&got), rows[i].rcpts) == 0,
			"%s", rows[i].name))
			printf("# %.*s %s\n", SLICE_FMT(a.type), buf_str(&got));
		buf_free(&got);
		buf_free(&address);
	}
	for (size_t i = 0; i < COUNT(redacted); i++)
		ok(arf_is_redacted(slice_str(redacted[i].address)) == redacted[i].redacted,
		    "redacted: %s", redacted[i].address);
	return tap_done();
}
