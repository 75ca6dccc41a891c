#include "common/message.h"

#include <stdlib.h>
#include <time.h>

#include "t/tap.h"

static bool
prints(const struct message *m, bool crlf, const char *want)
{
	struct buf out;
	bool same;

	buf_init(&out, BUF_NO_LIMIT);
	message_print(m, crlf, &out);
	same = strcmp(buf_str(&out), want) == 0;
	if (!same)
		printf("# got '%s'\n", buf_str(&out));
	buf_free(&out);
	return same;
}

static void
parsing(void)
{
	static const struct {
		const char *what, *in, *want;
	} rows[] = {
		{ "nothing", "", "\n" },
		{ "headers and body", "A: 1\nB:2\n\nbody\n", "A: 1\nB:2\n\nbody\n" },
		{ "CRLF", "A: 1\r\n 2\r\n\r\nbody\r\n", "A: 1\n 2\n\nbody\n" },
		{ "no line end at the end", "A: 1\n\nbody", "A: 1\n\nbody\n" },
		{ "no body", "A: 1\n", "A: 1\n\n" },
		{ "empty value", "A:\n\n", "A:\n\n" },
		{ "blank before the colon", "A : 1\n\n", "A: 1\n\n" },
		{ "mbox line", "From joe Tue Jan  6 10:00:00 2026\nA: 1\n\nx\n", "A: 1\n\nx\n" },
		{ "mbox line, not first", "A: 1\nFrom joe\nB: 2\n", "A: 1\n\nFrom joe\nB: 2\n" },
		{ "junk begins the body", "A: 1\njunk\nB: 2\n\nx\n", "A: 1\n\njunk\nB: 2\n\nx\n" },
		{ "bare CR stays", "A: 1\r2\n\nx\ry\n", "A: 1\r2\n\nx\ry\n" },
		{ "fold first", " A: 1\n\nx\n", "\n A: 1\n\nx\n" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct message m;

		message_init(&m, BUF_NO_LIMIT);
		message_parse(&m, slice_str(rows[i].in));
		ok(prints(&m, false, rows[i].want), "parse: %s", rows[i].what);
		ok(!m.body_changed, "parse: %s: nothing is changed by it", rows[i].what);
		message_free(&m);
	}
}

static void
raw_values(void)
{
	struct message m;

	message_init(&m, BUF_NO_LIMIT);
	message_parse(&m, SLICE_LIT("A: 1\r\n\t2\r\nB:\0x\0\r\nC:\r\n\r\nbody\0\r\n"));
	ok(m.n_headers == 3 && strcmp(m.headers[0].value, " 1\n\t2") == 0,
	    "all behind the colon, folds are LF");
	ok(strcmp(m.headers[1].value, "x") == 0, "NUL goes, and cuts nothing off");
	ok(strcmp(m.headers[2].value, "") == 0, "empty value");
	ok(slice_eq(buf_slice(&m.body), SLICE_LIT("body\0\r\n")), "the body is as it came");
	message_free(&m);
}

static void
indexes(void)
{
	struct message m;

	message_init(&m, 10);
	message_add_original(&m, SLICE_LIT("Received"), SLICE_LIT(" a"));
	message_add_original(&m, SLICE_LIT("Subject"), SLICE_LIT(" b"));
	message_add_original(&m, SLICE_LIT("RECEIVED"), SLICE_LIT(" c"));
	message_add_original(&m, SLICE_LIT("received"), SLICE_LIT(" d"));
	ok(m.headers[0].index == 1 && m.headers[1].index == 1 && m.headers[2].index == 2 &&
		m.headers[3].index == 3,
	    "counted by name, in any case, from 1");
	message_prepend(&m, "Received", SLICE_LIT(" e"));
	message_append(&m, "Received", SLICE_LIT(" f"));
	message_add_original(&m, SLICE_LIT("Received"), SLICE_LIT(" g"));
	ok(m.headers[0].index == 0 && m.headers[0].top && m.headers[5].index == 0 &&
		!m.headers[5].top && m.headers[6].index == 4,
	    "what is added has none");
	message_free(&m);
	ok(m.n_headers == 0 && m.body.max == 10, "free leaves an empty message with the same cap");
	message_add_original(&m, SLICE_LIT("Received"), SLICE_LIT(" a"));
	ok(m.headers[0].index == 1, "which can be used again");
	message_free(&m);
}

static void
finding(void)
{
	struct message m;
	struct message_header *h;

	message_init(&m, BUF_NO_LIMIT);
	message_parse(&m, SLICE_LIT("A: 1\nB: 2\na: 3\n\n"));
	h = message_find(&m, "a", 0);
	ok(h == &m.headers[0] && message_position(&m, h) == 0, "first of a name");
	h = message_find(&m, "A", 1);
	ok(h == &m.headers[2] && message_position(&m, h) == 2, "next of a name, in any case");
	ok(message_find(&m, "A", 3) == NULL && message_find(&m, "A", 99) == NULL, "none further");
	ok(message_find(&m, "AB", 0) == NULL, "no such name");
	m.headers[0].deleted = true;
	ok(message_find(&m, "A", 0) == &m.headers[2], "a deleted one is not found");
	message_delete(&m, "A");
	ok(message_find(&m, "A", 0) == NULL && m.headers[2].deleted && !m.headers[1].deleted,
	    "delete takes all of that name");
	ok(prints(&m, false, "B: 2\n\n"), "and they don't leave");
	message_free(&m);
}

static void
changing(void)
{
	struct message m;
	struct message_header *h;
	struct buf body;

	message_init(&m, BUF_NO_LIMIT);
	message_parse(&m, SLICE_LIT("A: 1\nB: 2\n\nold\n"));
	message_append(&m, "Y", SLICE_LIT(" below"));
	message_prepend(&m, "X", SLICE_LIT(" top"));
	message_append(&m, "Z", SLICE_LIT(" lowest"));
	message_prepend(&m, "W", SLICE_LIT(" topmost\r\n\tfolded"));
	h = message_find(&m, "A", 0);
	ok(h->index == 1 && !h->changed, "an original is not changed by others");
	message_set(h, slice_skip(slice_str(h->value), 1));
	ok(h->changed && strcmp(h->value, "1") == 0, "set to a part of its own value");
	ok(prints(
	       &m, false, "W: topmost\n\tfolded\nX: top\nA:1\nB: 2\nY: below\nZ: lowest\n\nold\n"),
	    "prepended ones first, then originals, then appended ones");
	ok(prints(&m, true,
	       "W: topmost\r\n\tfolded\r\nX: top\r\nA:1\r\nB: 2\r\nY: below\r\nZ: lowest\r\n\r\n"
	       "old\r\n"),
	    "with CRLF");
	buf_init(&body, 1000);
	buf_adds(&body, "new\r\nbody\nx");
	message_set_body(&m, &body);
	ok(m.body_changed && body.len == 0 && body.p == NULL, "takes over the new body");
	ok(prints(&m, true,
	       "W: topmost\r\n\tfolded\r\nX: top\r\nA:1\r\nB: 2\r\nY: below\r\nZ: lowest\r\n\r\n"
	       "new\r\nbody\r\nx\r\n"),
	    "every line has its end");
	message_free(&m);
}

static void
hostile(void)
{
	struct message m;
	struct buf in;
	clock_t start = clock();
	double took;

	buf_init(&in, BUF_NO_LIMIT);
	message_init(&m, BUF_NO_LIMIT);
	for (int i = 0; i < 200000; i++)
		buf_printf(&in, "X%d: y\nA: z\n", i);
	message_parse(&m, buf_slice(&in));
	took = (double)(clock() - start) / CLOCKS_PER_SEC;
	ok(m.n_headers == 400000 && m.headers[399999].index == 200000,
	    "400000 headers are counted");
	ok(took < 3, "in %.2f s", took);
	message_free(&m);
	buf_free(&in);
}

int
main(void)
{
	parsing();
	raw_values();
	indexes();
	finding();
	changing();
	hostile();
	return tap_done();
}
