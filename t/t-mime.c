#include "common/mime.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/header.h"
#include "t/tap.h"

/*
 * One line a part: depth, kind, type, encoding unless it is 7bit, disposition, flags
 * (r root, s sealed, m in a message, a in an alternative), body in brackets.
 */
static void
describe(struct mime_walk *w, struct buf *out)
{
	static const char *const kinds[] = { "leaf", "multipart", "message" };
	struct mime_part p;
	int got;

	while ((got = mime_next(w, &p)) > 0) {
		buf_printf(out, "%u %s %.*s/%.*s", p.depth, kinds[p.kind], SLICE_FMT(p.type),
		    SLICE_FMT(p.subtype));
		if (p.encoding != TRANSFER_7BIT)
			buf_printf(out, " %s", transfer_name(p.encoding));
		if (p.disposition.len > 0)
			buf_printf(out, " %.*s", SLICE_FMT(p.disposition));
		buf_printf(out, " %s%s%s%s[", p.is_root ? "r" : "", p.sealed ? "s" : "",
		    p.in_message ? "m" : "", p.in_alternative ? "a" : "");
		buf_add(out, p.body);
		buf_adds(out, "]\n");
	}
	if (got < 0)
		buf_adds(out, "over\n");
}

#define MIXED   "Content-Type: multipart/mixed; boundary=b\n\n"
#define HTML    "Content-Type: text/html\n\n"
#define TYPE(t) "Content-Type: " t "\n"
#define TOP     "0 multipart multipart/mixed r[]\n"

static const struct {
	const char *what, *in, *want;
} rows[] = {
	{ "nothing", "", "0 leaf text/plain r[]\n" },
	{ "no MIME at all", "Subject: x\n\nHello\n", "0 leaf text/plain r[Hello\n]\n" },
	{ "headers only", "Subject: x\n", "0 leaf text/plain r[]\n" },
	{ "body only", "\nHello\n", "0 leaf text/plain r[Hello\n]\n" },
	{ "one part",
	    TYPE("text/html; charset=x") "Content-Transfer-Encoding: BASE64\n"
					 "Content-Disposition: inline; x=y\n\nPGI+\n",
	    "0 leaf text/html base64 inline r[PGI+\n]\n" },
	{ "two parts", MIXED "--b\n\none\n--b\n" HTML "two\n--b--\n",
	    TOP "1 leaf text/plain [one]\n1 leaf text/html [two]\n" },
	{ "CRLF",
	    "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n\r\n--b\r\n"
	    "Content-Type: text/html\r\n\r\ntwo\r\n--b--\r\n",
	    TOP "1 leaf text/plain [one\r\n]\n1 leaf text/html [two]\n" },
	{ "preamble and epilogue", MIXED "pre\n--b\n\none\n--b--\nepi\n--b\n\nnot a part\n",
	    TOP "1 leaf text/plain [one]\n" },
	{ "empty parts", MIXED "--b\n\n--b\n--b\nA: x\n--b\nA: x\n\n\n--b--\n",
	    TOP "1 leaf text/plain []\n1 leaf text/plain []\n1 leaf text/plain []\n"
		"1 leaf text/plain []\n" },
	{ "no parts", MIXED "--b--\n", TOP },
	{ "boundary that never comes", MIXED "text\n", TOP },
	{ "no closing boundary", MIXED "--b\n\none\n", TOP "1 leaf text/plain [one\n]\n" },
	{ "no line end at the end", MIXED "--b\n\none\n--b--", TOP "1 leaf text/plain [one]\n" },
	{ "blanks behind boundaries", MIXED "--b \t\n\none\n--b-- \n",
	    TOP "1 leaf text/plain [one]\n" },
	{ "not quite a boundary",
	    MIXED "--b\n\n--bc\n --b\n--B\n---b\n--b-\n--b---\n--b x\n--b--\n",
	    TOP "1 leaf text/plain [--bc\n --b\n--B\n---b\n--b-\n--b---\n--b x]\n" },
	{ "boundary in quotes",
	    TYPE("multipart/mixed; boundary=\"a b:c\"") "\n--a b:c\n\none\n--a b:c--\n",
	    TOP "1 leaf text/plain [one]\n" },
	{ "blank at the end of the boundary",
	    TYPE("multipart/mixed; boundary=\"b \"") "\n--b\n\none\n--b--\n",
	    TOP "1 leaf text/plain [one]\n" },
	{ "folded Content-Type",
	    "Content-Type: multipart/mixed;\n\tboundary=b\n\n--b\n\none\n--b--\n",
	    TOP "1 leaf text/plain [one]\n" },
	{ "no boundary parameter", TYPE("multipart/mixed") "\n--b\n\none\n",
	    "0 leaf multipart/mixed r[--b\n\none\n]\n" },
	{ "empty boundary", TYPE("multipart/mixed; boundary=\"\"") "\n--\n\none\n",
	    "0 leaf multipart/mixed r[--\n\none\n]\n" },
	{ "nested",
	    MIXED "--b\n" TYPE("multipart/alternative; boundary=c") "\n--c\n\none\n--c\n" HTML
								    "two\n--c--\n\n--b\n" HTML
								    "three\n--b--\n",
	    TOP "1 multipart multipart/alternative []\n2 leaf text/plain a[one]\n"
		"2 leaf text/html a[two]\n1 leaf text/html [three]\n" },
	{ "inner one not closed",
	    MIXED "--b\n" TYPE("multipart/mixed; boundary=c") "\n--c\n\none\n--b\n" HTML
							      "two\n--b--\n",
	    TOP
	    "1 multipart multipart/mixed []\n2 leaf text/plain [one]\n1 leaf text/html [two]\n" },
	{ "inner boundary begins as the outer one",
	    MIXED "--b\n" TYPE("multipart/mixed; boundary=bb") "\n--bb\n\none\n"
							       "--bb--\n--b\n" HTML "two\n--b--\n",
	    TOP
	    "1 multipart multipart/mixed []\n2 leaf text/plain [one]\n1 leaf text/html [two]\n" },
	{ "outer boundary begins as the inner one",
	    TYPE("multipart/mixed; boundary=bb") "\n--bb\n" TYPE(
		"multipart/mixed; boundary=b") "\n--b\n\none\n--bb\n" HTML "two\n--bb--\n",
	    TOP
	    "1 multipart multipart/mixed []\n2 leaf text/plain [one]\n1 leaf text/html [two]\n" },
	{ "the same boundary within", MIXED "--b\n" MIXED "--b\n\none\n--b--\n",
	    TOP "1 leaf multipart/mixed []\n1 leaf text/plain [one]\n" },
	{ "the closing one looks like another's opening",
	    TYPE("multipart/mixed; boundary=b") "\n--b\n" TYPE(
		"multipart/mixed; boundary=b--") "\n--b--\n\none\n",
	    TOP "1 multipart multipart/mixed []\n2 leaf text/plain [one\n]\n" },
	{ "a message in it",
	    MIXED "--b\n" TYPE("message/rfc822") "\nSubject: y\n" HTML "in\n--b--\n",
	    TOP "1 message message/rfc822 []\n2 leaf text/html rm[in]\n" },
	{ "a multipart in a message in it",
	    MIXED "--b\n" TYPE("message/rfc822") "\n" TYPE(
		"multipart/alternative; boundary=c") "\n--c\n\none\n--c--\nepi\n--b\n\ntwo\n--b--"
	                                             "\n",
	    TOP "1 message message/rfc822 []\n2 multipart multipart/alternative rm[]\n"
		"3 leaf text/plain ma[one]\n1 leaf text/plain [two]\n" },
	{ "a message alone", TYPE("message/rfc822") "\nSubject: y\n\nin\n",
	    "0 message message/rfc822 r[]\n1 leaf text/plain rm[in\n]\n" },
	{ "a message, empty", MIXED "--b\n" TYPE("message/rfc822") "\n--b--\n",
	    TOP "1 message message/rfc822 []\n2 leaf text/plain rm[]\n" },
	{ "a message in base64 is a leaf",
	    TYPE("message/rfc822") "Content-Transfer-Encoding: base64\n\nU3Vi\n",
	    "0 leaf message/rfc822 base64 r[U3Vi\n]\n" },
	{ "an encoding makes no leaf of a multipart",
	    "Content-Transfer-Encoding: base64\n" MIXED "--b\n\none\n--b--\n",
	    "0 multipart multipart/mixed base64 r[]\n1 leaf text/plain [one]\n" },
	{ "message/global", TYPE("message/global") "\nSubject: y\n\nin\n",
	    "0 message message/global r[]\n1 leaf text/plain rm[in\n]\n" },
	{ "delivery-status is a leaf", TYPE("message/delivery-status") "\nAction: failed\n",
	    "0 leaf message/delivery-status r[Action: failed\n]\n" },
	{ "digest",
	    TYPE("multipart/digest; boundary=b") "\n--b\n\nSubject: y\n\nin\n--b\n" HTML "x\n--b\n"
						 "Content-Type: junk\n\ny\n--b--\n",
	    "0 multipart multipart/digest r[]\n1 message message/rfc822 []\n2 leaf text/plain "
	    "rm[in]\n"
	    "1 leaf text/html [x]\n1 leaf text/plain [y]\n" },
	{ "mbox line", "From joe Tue Jan  6 10:00:00 2026\n" HTML "x\n",
	    "0 leaf text/html r[x\n]\n" },
	{ "mbox line in a message in it",
	    TYPE("message/rfc822") "\n>From joe Tue Jan  6 10:00\n" HTML "x\n",
	    "0 message message/rfc822 r[]\n1 leaf text/html rm[x\n]\n" },
	{ "no empty line behind the headers",
	    MIXED "--b\n" TYPE("text/html") "Hello world\nA: b\n--b--\n",
	    TOP "1 leaf text/html [Hello world\nA: b]\n" },
	{ "no headers, no empty line", MIXED "--b\nHello world\n--b--\n",
	    TOP "1 leaf text/plain [Hello world]\n" },
	{ "boundary that looks like a header",
	    TYPE("multipart/mixed; boundary=\"b:c\"") "\n--b:c\nA: x\n--b:c--\n",
	    TOP "1 leaf text/plain []\n" },
	{ "header that looks like a boundary", MIXED "--b\n--c: x\n" HTML "y\n--b--\n",
	    TOP "1 leaf text/html [y]\n" },
	{ "types",
	    MIXED
	    "--b\n" TYPE("TEXT/HTML") "\n--b\n" TYPE("text") "\n--b\n" TYPE("/html") "\n--b\n" TYPE("text/") "\n--b\n" TYPE("text / html (x)") "\n--b\n" TYPE(
		"text /html") "\n--b\n" TYPE("text/ html; x") "\n--b\n" TYPE("") "\n--b\n" TYPE("(x"
	                                                                                        ") "
	                                                                                        "te"
	                                                                                        "xt"
	                                                                                        "/c"
	                                                                                        "s"
	                                                                                        "s") "\n--b--\n",
	    TOP
	    "1 leaf TEXT/HTML []\n1 leaf text/plain []\n1 leaf text/plain []\n"
	    "1 leaf text/plain []\n1 leaf text/html []\n1 leaf text/html []\n1 leaf text/html []\n"
	    "1 leaf text/plain []\n1 leaf text/css []\n" },
	{ "the first of two counts", TYPE("text/html") TYPE("text/css") "\nx\n",
	    "0 leaf text/html r[x\n]\n" },
	{ "encodings", "Content-Transfer-Encoding:\t8bit (really)\n\nx\n",
	    "0 leaf text/plain 8bit r[x\n]\n" },
	{ "unknown encoding", "Content-Transfer-Encoding: x-uu\n\nx\n",
	    "0 leaf text/plain unknown r[x\n]\n" },
	{ "signed",
	    TYPE("multipart/signed; boundary=b") "\n--b\n" MIXED "--b\n\n--b\n" TYPE(
		"application/pgp-signature") "\ny\n--b--\n",
	    "0 multipart multipart/signed rs[]\n1 leaf multipart/mixed s[]\n1 leaf text/plain s[]\n"
	    "1 leaf application/pgp-signature s[y]\n" },
	{ "signed in a message in it",
	    TYPE("message/rfc822") "\n" TYPE("multipart/signed; boundary=b") "\n--b\n\nx\n--b--\n",
	    "0 message message/rfc822 r[]\n1 multipart multipart/signed rsm[]\n"
	    "2 leaf text/plain sm[x]\n" },
	{ "what lies beside a sealed part is not",
	    MIXED "--b\n" TYPE("application/x-pkcs7-mime") "\nx\n--b\n" TYPE(
		"application/PGP-encrypted") "\n--b\n" TYPE("application/pgx") "\n--b--\n",
	    TOP "1 leaf application/x-pkcs7-mime s[x]\n1 leaf application/PGP-encrypted s[]\n"
		"1 leaf application/pgx []\n" },
	{ "line end that belongs to the boundary",
	    MIXED "--b\n\none\r\n\r\n--b\n\none\r\n--b\n\none\r\r\n--b\n\n\n--b--\n",
	    TOP "1 leaf text/plain [one\r\n]\n1 leaf text/plain [one]\n1 leaf text/plain [one\r]\n"
		"1 leaf text/plain []\n" },
	{ "CR at a boundary's end", MIXED "--b\r\r\n\none\n--b--\r",
	    TOP "1 leaf text/plain [one]\n" },
};

static void
structure(void)
{
	struct mime_walk w;

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf got;

		buf_init(&got, 10000);
		mime_begin_entity(&w, slice_str(rows[i].in));
		describe(&w, &got);
		if (!ok(strcmp(buf_str(&got), rows[i].want) == 0, "parts: %s", rows[i].what))
			printf("# got:\n%s# want:\n%s", buf_str(&got), rows[i].want);
		buf_free(&got);
	}
}

/* Headers and body apart give what they give together. */
static void
apart(void)
{
	struct mime_walk w;
	size_t different = 0;

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct slice rest = slice_str(rows[i].in), all = rest;
		struct buf got;
		struct header h;

		if (slice_find(all, '\n') < 2 || slice_starts(all, SLICE_LIT("From ")))
			continue;
		while (header_next(&rest, &h) != 0)
			;
		buf_init(&got, 10000);
		mime_begin(&w, slice_head(all, all.len - rest.len), rest);
		describe(&w, &got);
		if (strcmp(buf_str(&got), rows[i].want) != 0) {
			different++;
			printf("# %s:\n%s", rows[i].what, buf_str(&got));
		}
		buf_free(&got);
	}
	ok(different == 0, "headers and body apart: the same parts");
}

static void
slices(void)
{
	struct slice in = SLICE_LIT(MIXED "--b\nA: x\nB: y\n\none\n--b\n" HTML "two\n--b--\n");
	struct mime_walk w;
	struct mime_part p;

	mime_begin_entity(&w, in);
	ok(mime_next(&w, &p) == 1 && slice_eq(p.header, slice_head(in, sizeof(MIXED) - 2)),
	    "header block with its line ends, without the empty line");
	ok(p.body.len == 0 && p.body.p == in.p + sizeof(MIXED) - 1,
	    "a container's body is empty and where it begins");
	ok(slice_eq(slice_trim(p.content_type), SLICE_LIT("multipart/mixed; boundary=b")),
	    "content_type is the value");
	ok(mime_is(&p, "multipart", NULL) && mime_is(&p, "MULTIPART", "Mixed") &&
		!mime_is(&p, "multipart", "alternative") && !mime_is(&p, "text", NULL),
	    "mime_is");
	ok(mime_next(&w, &p) == 1 && slice_eq(p.header, SLICE_LIT("A: x\nB: y\n")),
	    "a part's header block");
	ok(mime_next(&w, &p) == 1 && mime_next(&w, &p) == 0 && mime_next(&w, &p) == 0,
	    "the end stays the end");
}

static void
repeat(struct buf *b, const char *s, size_t n)
{
	while (n-- > 0)
		buf_adds(b, s);
}

static void
boundary_lengths(void)
{
	static const size_t lengths[] = { 1, 70, 71, 200, 201, 5000 };

	for (size_t i = 0; i < COUNT(lengths); i++) {
		struct mime_walk w;
		struct mime_part p;
		struct buf in;
		int n = 0;

		buf_init(&in, BUF_NO_LIMIT);
		buf_adds(&in, "Content-Type: multipart/mixed; boundary=");
		repeat(&in, "x", lengths[i]);
		buf_adds(&in, "\n\n--");
		repeat(&in, "x", lengths[i]);
		buf_adds(&in, "\n\none\n");
		mime_begin_entity(&w, buf_slice(&in));
		while (mime_next(&w, &p) > 0)
			n++;
		ok(n == (lengths[i] <= MIME_MAX_BOUNDARY ? 2 : 1), "boundary of %zu: %d parts",
		    lengths[i], n);
		buf_free(&in);
	}
}

static void
budgets(void)
{
	struct mime_walk w;
	struct mime_part p;
	struct buf in;
	int n, got;

	buf_init(&in, BUF_NO_LIMIT);
	buf_adds(&in, MIXED);
	repeat(&in, "--b\n\n", MIME_MAX_PARTS - 1);
	mime_begin_entity(&w, buf_slice(&in));
	for (n = 0; (got = mime_next(&w, &p)) > 0; n++)
		;
	ok(n == MIME_MAX_PARTS && got == 0, "%d parts are taken", n);
	repeat(&in, "--b\n\n", 1);
	mime_begin_entity(&w, buf_slice(&in));
	for (n = 0; (got = mime_next(&w, &p)) > 0; n++)
		;
	ok(n == MIME_MAX_PARTS && got == -1, "one more is over the budget");
	ok(mime_next(&w, &p) == -1, "and stays over it");

	for (int levels = MIME_MAX_DEPTH; levels <= MIME_MAX_DEPTH + 1; levels++) {
		buf_clear(&in);
		repeat(&in, "Content-Type: message/rfc822\n\n", (size_t)levels);
		mime_begin_entity(&w, buf_slice(&in));
		for (n = 0; (got = mime_next(&w, &p)) > 0; n++)
			;
		ok(levels > MIME_MAX_DEPTH ? got == -1 && n == MIME_MAX_DEPTH
					   : got == 0 && n == levels + 1,
		    "%d messages in each other: %d parts", levels, n);
	}
	buf_free(&in);
}

static double
walk_seconds(struct slice in, int *parts)
{
	clock_t start = clock();
	struct mime_walk w;
	struct mime_part p;

	mime_begin_entity(&w, in);
	for (*parts = 0; mime_next(&w, &p) > 0; (*parts)++)
		;
	return (double)(clock() - start) / CLOCKS_PER_SEC;
}

/* What has cost mail software seconds to hours a message: the same boundary on each level, and so
 * on. */
static void
hostile(void)
{
	struct buf in;
	double took = 0;
	int parts;

	buf_init(&in, BUF_NO_LIMIT);
	buf_adds(&in, MIXED);
	repeat(&in, "--b\n" MIXED, 100000);
	took += walk_seconds(buf_slice(&in), &parts);
	ok(parts == MIME_MAX_PARTS, "the same boundary 100000 times: %d parts", parts);

	buf_clear(&in);
	for (int i = 0; i < MIME_MAX_DEPTH; i++)
		buf_printf(
		    &in, "Content-Type: multipart/mixed; boundary=x%031d\n\n--x%031d\n", i, i);
	buf_adds(&in, "\n");
	repeat(&in, "--x0000000000000000000000000000099\n", 300000);
	took += walk_seconds(buf_slice(&in), &parts);
	ok(parts == MIME_MAX_DEPTH + 1, "10 MB of near boundaries on 32 levels: %d parts", parts);

	buf_clear(&in);
	buf_adds(&in, MIXED);
	repeat(&in, "--\n", 3000000);
	took += walk_seconds(buf_slice(&in), &parts);
	buf_clear(&in);
	buf_adds(&in, MIXED "--b");
	repeat(&in, " ", 10000000);
	took += walk_seconds(buf_slice(&in), &parts);
	ok(parts == 2, "a boundary with 10 MB of blanks behind it: %d parts", parts);
	buf_clear(&in);
	buf_adds(&in, MIXED "--b\n");
	repeat(&in, "A: x\n", 2000000);
	took += walk_seconds(buf_slice(&in), &parts);
	ok(parts == 2, "2000000 header fields: %d parts", parts);
	ok(took < 5, "all of that in %.2f s", took);
	buf_free(&in);
}

int
main(void)
{
	structure();
	apart();
	slices();
	boundary_lengths();
	budgets();
	hostile();
	return tap_done();
}
