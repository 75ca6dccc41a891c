/*
 * mailbox-list: address headers as sendmail 8.17.1.9 (Debian's settings) left them; each row
 * was sent through it.
 */
#include "common/mailbox_list.h"

#include <stdio.h>
#include <stdlib.h>

#include "t/tap.h"

static const struct slice host = { "mail.example.com", 16 };

static bool
becomes(const char *in, const char *want)
{
	struct buf out, again;
	bool good;

	buf_init(&out, BUF_NO_LIMIT);
	buf_init(&again, BUF_NO_LIMIT);
	mailbox_list_print(slice_str(in), host, &out);
	mailbox_list_print(buf_slice(&out), host, &again);
	good = slice_eq(buf_slice(&out), slice_str(want)) &&
	       slice_eq(buf_slice(&again), slice_str(want));
	if (!good)
		printf("# got '%s', then '%s'\n", buf_str(&out), buf_str(&again));
	buf_free(&out);
	buf_free(&again);
	return good;
}

static void
rows(void)
{
	static const struct {
		const char *in, *out; /* NULL: as it is */
	} rows[] = {
		{ "", NULL },
		{ "a@x.example", NULL },
		{ " a@x.example ", "a@x.example" },
		{ "a@x.example,b@y.example", "a@x.example, b@y.example" },
		{ ",,a@x.example,,b@x.example,", "a@x.example, b@x.example" },
		{ "A B <a@x.example>,C <c@x.example>", "A B <a@x.example>, C <c@x.example>" },
		{ "J. Smith <j@x.example>", "\"J. Smith\" <j@x.example>" },
		{ "\"J. Smith\" <j@x.example>", NULL },
		{ "O'Brien <o@x.example>", "\"O'Brien\" <o@x.example>" },
		{ "J@home <j@x.example>", "\"J@home\" <j@x.example>" },
		{ "A & B (x) [y] <a@x.example>", "\"A & B (x) [y]\" <a@x.example>" },
		{ "\"A\" B. \"C\" <a@x.example>", "\"A B. C\" <a@x.example>" },
		{ "Joe (comment) <a@x.example>", NULL },
		{ "a@x.example (Joe)", NULL },
		{ "<a@x.example>(c)", NULL },
		{ "a (one (two)) <a@x.example>", NULL },
		{ "=?utf-8?q?gr=C3=BC?= <a@x.example>", NULL },
		{ "=?utf-8?Q?a,b?= <a@x.example>", "=?utf-8?Q?a=2Cb?= <a@x.example>" },
		{ "=?UTF-8?Q?Shop.example?= <a@x.example>",
		    "=?UTF-8?Q?Shop=2Eexample?= <a@x.example>" },
		{ "=?utf-8?B?Z3LDvMOf?= <b@x.example>", NULL },
		{ "=?utf-8?q?not closed <a@x.example>", NULL },
		{ "undisclosed-recipients:;", NULL },
		{ "friends: a@x.example, b@x.example;", NULL },
		{ "Foo: Bar <a@x.example>", NULL },
		{ "<@r.example:a@x.example>", "<a@x.example>" },
		{ "<@r.example,@s.example:a@x.example>", "<a@x.example>" },
		{ "joe", "joe@mail.example.com" },
		{ "Joe <joe>", "Joe <joe@mail.example.com>" },
		{ "joe (Joe)", "joe@mail.example.com (Joe)" },
		{ "Smith, J <j@x.example>", "Smith@mail.example.com, J <j@x.example>" },
		{ "\"a b\"@x.example", NULL },
		{ "\"quoted \\\" name\" <a@x.example>", NULL },
		{ "\"a,b\" <a@x.example>,c@x.example", "\"a,b\" <a@x.example>, c@x.example" },
		{ "a @ x.example", "a@x.example" },
		{ "a@x.example.", "a@x.example" },
		{ "a@localhost", "a@mail.example.com" },
		{ "Joe <a@x.example", "Joe <a@x.example>" },
		{ "<>", NULL },
		{ "A <a@x.example> B", NULL },
		{ "Foo\t<a@x.example>", "Foo <a@x.example>" },
		{ "gr\xc3\xbc <a@x.example>", NULL },
		{ "a%b@x.example", NULL },
		{ "two words", NULL },
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		ok(becomes(rows[i].in, rows[i].out != NULL ? rows[i].out : rows[i].in), "'%s'",
		    rows[i].in);
}

static void
messages(void)
{
	struct message m;
	struct buf text;

	message_init(&m, 1000);
	message_parse(&m,
	    SLICE_LIT("From: J. Smith <j@x.example>\nSubject: a,b\nto: a@x,b@x\nX-To: a,b\n\n"));
	mailbox_list_prepare(&m, host);
	buf_init(&text, 1000);
	message_print(&m, false, &text);
	ok(slice_eq(buf_slice(&text), SLICE_LIT("From: \"J. Smith\" <j@x.example>\nSubject: a,b\n"
						"to: a@x, b@x\nX-To: a,b\n\n")),
	    "address headers, whatever their case, and no others");
	ok(m.headers[0].changed && !m.headers[1].changed && m.headers[2].changed,
	    "what is as it was is not changed");
	buf_free(&text);
	message_free(&m);
}

/* What a sender can write into a header of a megabyte must not cost more than its length. */
static void
linear(void)
{
	static const char *const units[] = { "\"", "(", "<", "\\\"", "=?a?q?", ",", "a,", "\"\\",
		"(\"", "<\"" };
	const size_t size = 200000;
	char *text = malloc(size + 8);

	for (size_t i = 0; text != NULL && i < COUNT(units); i++) {
		struct buf out;
		size_t n = 0;

		while (n + strlen(units[i]) < size) {
			memcpy(text + n, units[i], strlen(units[i]));
			n += strlen(units[i]);
		}
		buf_init(&out, BUF_NO_LIMIT);
		mailbox_list_print((struct slice){ text, n }, host, &out);
		ok(out.len <= 32 * n, "%zu bytes of '%s'", n, units[i]);
		buf_free(&out);
	}
	free(text);
}

int
main(void)
{
	rows();
	messages();
	linear();
	return tap_done();
}
