/* Delivery-status parts: groups, values, addresses, codes. */
#include "common/dsn.h"
#include "t/tap.h"

/* ---- groups: "original|final|action|status|diagnostic" for each recipient ---- */

static const struct {
	const char *name, *body, *want, *mta;
} parts[] = {
	{ "as RFC 3464 has it",
	    "Reporting-MTA: dns; mx.example\nArrival-Date: x\n\nOriginal-Recipient: "
	    "rfc822;a@x\nFinal-Recipient: rfc822; b@x\n"
	    "Action: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 no\n\nFinal-Recipient: "
	    "rfc822; c@x\nAction: delayed\nStatus: 4.4.1 (later)\n",
	    "a@x|b@x|failed|5.1.1|550 no c@x", "mx.example" },
	{ "CRLF",
	    "Reporting-MTA: dns; mx.example\r\n\r\nFinal-Recipient: rfc822; b@x\r\nAction: "
	    "failed\r\n\r\nFinal-Recipient: rfc822; c@x\r\n",
	    "|b@x|failed|| c@x", "mx.example" },
	{ "no fields of the message",
	    "Final-Recipient: rfc822; b@x\nAction: failed\nStatus: 5.1.1\n", "|b@x|failed|5.1.1|",
	    "" },
	{ "no empty line behind them",
	    "Reporting-MTA: dns; mx.example\nFinal-Recipient: rfc822; b@x\nAction: failed\n",
	    "|b@x|failed||", "mx.example" },
	{ "no empty line between recipients",
	    "Final-Recipient: rfc822; b@x\nAction: failed\nFinal-Recipient: rfc822; c@x\nAction: "
	    "failed\n",
	    "|b@x|failed|| c@x", "" },
	{ "Action first",
	    "Action: failed\nFinal-Recipient: rfc822; b@x\nStatus: 5.0.0\n\nAction: "
	    "failed\nFinal-Recipient: rfc822; c@x\n",
	    "|b@x|failed|5.0.0| c@x", "" },
	{ "Original-Recipient behind",
	    "Final-Recipient: rfc822; b@x\nOriginal-Recipient: rfc822;a@x\nAction: "
	    "failed\n\nFinal-Recipient: rfc822;c@x\n",
	    "a@x|b@x|failed|| c@x", "" },
	{ "an empty line in a group",
	    "Final-Recipient: rfc822; b@x\n\nAction: failed\nStatus: 5.1.1\n", "|b@x|failed|5.1.1|",
	    "" },
	{ "an empty line between the names",
	    "Original-Recipient: rfc822; a@x\n\nFinal-Recipient: rfc822; b@x\nAction: "
	    "failed\nStatus: 5.1.1\n",
	    "a@x|b@x|failed|5.1.1|", "" },
	{ "two empty lines",
	    "Reporting-MTA: mx.example\n\n\nFinal-Recipient: b@x\nAction: "
	    "failed\n\n\n\nFinal-Recipient: c@x\n",
	    "|b@x|failed|| c@x", "mx.example" },
	{ "lower case, no type",
	    "final-recipient: b@x\naction: FAILED\nstatus: 5.1.1\ndiagnostic-code: 550 no\n",
	    "|b@x|failed|5.1.1|550 no", "" },
	{ "other words for actions",
	    "Final-Recipient: b@x\nAction: failure\n\nFinal-Recipient: c@x\nAction: expired\n",
	    "|b@x|failed|| c@x", "" },
	{ "nobody named", "Reporting-MTA: dns; mx.example\n\nAction: failed\nStatus: 5.1.1\n",
	    "||failed|5.1.1|", "mx.example" },
	{ "a field twice: the first counts",
	    "Final-Recipient: b@x\nAction: failed\nDiagnostic-Code: smtp; 550 a\nDiagnostic-Code: "
	    "smtp; 551 b\n",
	    "|b@x|failed||550 a", "" },
	{ "a Status that is none", "Final-Recipient: b@x\nStatus: 5.1\nAction: failed\n",
	    "|b@x|failed||", "" },
	{ "lines that are no fields",
	    "garbage\nFinal-Recipient: b@x\nmore garbage here\nAction: failed\n", "|b@x|failed||",
	    "" },
	{ "nothing", "", "", "" },
	{ "text", "Hello,\n\nworld\n", "", "" },
};

static void
test_groups(void)
{
	for (size_t i = 0; i < COUNT(parts); i++) {
		struct buf got, address;
		struct dsn d;
		struct dsn_rcpt r;
		unsigned n = 0;

		buf_init(&got, 4096);
		buf_init(&address, 4096);
		dsn_begin(&d, slice_str(parts[i].body));
		while (dsn_next(&d, &r) > 0) {
			if (n++ == 0) {
				dsn_address(r.original, &address);
				buf_printf(&got, "%s|", buf_str(&address));
				dsn_address(r.final, &address);
				buf_printf(&got, "%s|%s|%.*s|%.*s", buf_str(&address),
				    dsn_action_name(r.action), SLICE_FMT(r.status),
				    SLICE_FMT(r.diagnostic));
			} else {
				dsn_address(r.final, &address);
				buf_printf(&got, " %s", buf_str(&address));
			}
		}
		if (!ok(strcmp(buf_str(&got), parts[i].want) == 0 &&
			    slice_eq(d.reporting_mta, slice_str(parts[i].mta)),
			"%s", parts[i].name))
			printf("# %s, %.*s\n", buf_str(&got), SLICE_FMT(d.reporting_mta));
		buf_free(&got);
		buf_free(&address);
	}
}

/* ---- addresses ---- */

static const struct {
	const char *value, *want;
} addresses[] = {
	{ "rfc822; a@b.example", "a@b.example" },
	{ "RFC822;a@b.example", "a@b.example" },
	{ " rfc822 ; <a@b.example>", "a@b.example" },
	{ "a@b.example (Anna)", "a@b.example" },
	{ "(Anna) a@b.example", "a@b.example" },
	{ "rfc822; Anna <a@b.example>", "a@b.example" },
	{ "rfc822; <<a@b.example>>", "a@b.example" },
	{ "rfc822; a+2Bb@c.example", "a+b@c.example" },
	{ "rfc822; a+3Db@c.example", "a=b@c.example" },
	{ "rfc822; a+AB12@c.example", "a+AB12@c.example" },
	{ "rfc822; a+news@c.example", "a+news@c.example" },
	{ "utf-8; \\x{5C0F}@b.example", "\xe5\xb0\x8f@b.example" },
	{ "utf-8; \xe5\xb0\x8f@b.example", "\xe5\xb0\x8f@b.example" },
	{ "utf-8; \\x{D800}@b.example", "\\x{D800}@b.example" },
	{ "rfc822; \"a b\"@c.example", "\"a b\"@c.example" },
	{ "rfc822; @a.example,@b.example:c@d.example", "c@d.example" },
	{ "rfc822; @mx.example", "" },
	{ "rfc822; 'a@b.example'", "a@b.example" },
	{ "rfc822; anna", "anna" },
	{ "system; /var/mail/anna", "/var/mail/anna" },
	{ "x400; /S=a/", "/S=a/" },
	{ "rfc822;\n a@b.example", "a@b.example" },
	{ "rfc822; a\x01@b.example", "" },
	{ "", "" },
	{ "rfc822;", "" },
};

/* ---- codes in texts ---- */

static const struct {
	const char *text, *status;
	unsigned code;
} replies[] = {
	{ "550 5.1.1 no", "5.1.1", 550 },
	{ "host said: 550-5.1.1 no", "5.1.1", 550 },
	{ "(#5.1.1)", "5.1.1", 0 },
	{ "452 4.2.2 full", "4.2.2", 452 },
	{ "550 5.7.606 banned [192.0.2.5]", "5.7.606", 550 },
	{ "192.0.2.5.1.1", "", 0 },
	{ "from 5.5.2653.19", "", 0 },
	{ "v5.1.1", "", 0 },
	{ "5.1.1@x.example", "", 0 },
	{ "version 3.1.1", "", 0 },
	{ "ERROR_CODE :550, gone", "", 550 },
	{ "'550 5.1.10 gone'", "5.1.10", 550 },
	{ "450 days", "", 450 },
	{ "call 555-4401", "", 0 },
	{ "1550 of them", "", 0 },
	{ "size 5500", "", 0 },
	{ "550", "", 550 },
	{ "599 x", "", 0 },
	{ "", "", 0 },
};

int
main(void)
{
	struct buf address;

	test_groups();
	buf_init(&address, 4096);
	for (size_t i = 0; i < COUNT(addresses); i++) {
		dsn_address(slice_str(addresses[i].value), &address);
		if (!ok(strcmp(buf_str(&address), addresses[i].want) == 0, "address of %s",
			addresses[i].value))
			printf("# %s\n", buf_str(&address));
	}
	dsn_address(SLICE_LIT("rfc822; a@b.example\0"), &address);
	ok(strcmp(buf_str(&address), "a@b.example") == 0, "with the NUL of a string: %s",
	    buf_str(&address));
	dsn_address(SLICE_LIT("rfc822; a\001@b.example"), &address);
	ok(address.len == 0, "with another control: %s", buf_str(&address));
	buf_free(&address);
	for (size_t i = 0; i < COUNT(replies); i++) {
		struct slice text = slice_str(replies[i].text), status = dsn_find_status(text);

		if (!ok(slice_eq(status, slice_str(replies[i].status)) &&
			    dsn_find_code(text) == replies[i].code,
			"codes in %s", replies[i].text))
			printf("# %.*s, %u\n", SLICE_FMT(status), dsn_find_code(text));
	}
	return tap_done();
}
