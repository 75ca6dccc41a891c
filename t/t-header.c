#include "common/header.h"

#include <stdlib.h>
#include <time.h>

#include "t/tap.h"

/* One call per letter: 'f' field, 'b' no field, '.' end; names and values in brackets. */
static void
describe(struct slice block, struct buf *out)
{
	struct header h;
	int got;

	while ((got = header_next(&block, &h)) != 0) {
		buf_addc(out, got > 0 ? 'f' : 'b');
		buf_addc(out, '[');
		buf_add(out, got > 0 ? h.name : h.whole);
		if (got > 0) {
			buf_addc(out, '|');
			buf_add(out, h.value);
		}
		buf_addc(out, ']');
	}
	buf_adds(out, ".");
	buf_add(out, block);
}

static void
fields(void)
{
	static const struct {
		const char *what;
		struct slice in;
		const char *want;
	} rows[] = {
		{ "empty", SLICE_LIT(""), "." },
		{ "one", SLICE_LIT("Subject: x\n"), "f[Subject| x]." },
		{ "two, CRLF", SLICE_LIT("A: 1\r\nB: 2\r\n"), "f[A| 1]f[B| 2]." },
		{ "no end", SLICE_LIT("A: 1\r\nB:2"), "f[A| 1]f[B|2]." },
		{ "body follows", SLICE_LIT("A: 1\n\nbody\n"), "f[A| 1].body\n" },
		{ "body follows, CRLF", SLICE_LIT("A: 1\r\n\r\nbody\r\n"), "f[A| 1].body\r\n" },
		{ "empty line first", SLICE_LIT("\nA: 1\n"), ".A: 1\n" },
		{ "empty value", SLICE_LIT("A:\nB:\n"), "f[A|]f[B|]." },
		{ "fold", SLICE_LIT("A: 1\n 2\n\t3\nB: 4\n"), "f[A| 1\n 2\n\t3]f[B| 4]." },
		{ "fold, CRLF", SLICE_LIT("A: 1\r\n 2\r\n"), "f[A| 1\r\n 2]." },
		{ "fold right behind the colon", SLICE_LIT("A:\n 1\n"), "f[A|\n 1]." },
		{ "obsolete fold: blanks alone", SLICE_LIT("A: 1\n \t\n 2\nB: 3\n"),
		    "f[A| 1\n \t\n 2]f[B| 3]." },
		{ "fold without end", SLICE_LIT("A: 1\n "), "f[A| 1\n ]." },
		{ "blanks before the colon", SLICE_LIT("A : 1\nB\t : 2\n"), "f[A| 1]f[B| 2]." },
		{ "colons in the value", SLICE_LIT("A: 1:2: 3\n"), "f[A| 1:2: 3]." },
		{ "no colon", SLICE_LIT("A: 1\njunk\nB: 2\n"), "f[A| 1]b[junk]f[B| 2]." },
		{ "no name", SLICE_LIT(": 1\nB: 2\n"), "b[: 1]f[B| 2]." },
		{ "no name but blanks", SLICE_LIT("A: 1\n : 2\n"), "f[A| 1\n : 2]." },
		{ "blank in the name", SLICE_LIT("A b: 1\nC: 2\n"), "b[A b: 1]f[C| 2]." },
		{ "tab in the name", SLICE_LIT("A\tb: 1\n"), "b[A\tb: 1]." },
		{ "control in the name", SLICE_LIT("A\001: 1\n"), "b[A\001: 1]." },
		{ "DEL in the name", SLICE_LIT("A\177: 1\n"), "b[A\177: 1]." },
		{ "CR in the name", SLICE_LIT("A\rB: 1\n"), "b[A\rB: 1]." },
		{ "8-bit name", SLICE_LIT("Gr\303\266\303\237e: 1\n"),
		    "f[Gr\303\266\303\237e| 1]." },
		{ "8-bit value", SLICE_LIT("A: \303\266\377\n"), "f[A| \303\266\377]." },
		{ "CR alone is no line end", SLICE_LIT("A: 1\rB: 2\n"), "f[A| 1\rB: 2]." },
		{ "CR alone, twice, is no empty line", SLICE_LIT("A: 1\n\r\rB: 2\n"),
		    "f[A| 1]b[\r\rB: 2]." },
		{ "CR CR LF", SLICE_LIT("A: 1\r\r\n\r\nx"), "f[A| 1\r].x" },
		{ "CR at the end of all", SLICE_LIT("A: 1\r"), "f[A| 1\r]." },
		{ "CR alone as a line at the end", SLICE_LIT("A: 1\n\r"), "f[A| 1]b[\r]." },
		{ "fold without a field", SLICE_LIT(" A: 1\n B\nC: 2\n"), "b[ A: 1]b[ B]f[C| 2]." },
		{ "mbox line", SLICE_LIT("From joe@example.com Tue Jan  6 10:00:00 2026\nA: 1\n"),
		    "b[From joe@example.com Tue Jan  6 10:00:00 2026]f[A| 1]." },
		{ "quoted mbox line", SLICE_LIT(">From joe Tue Jan  6 10:00:00 2026\nA: 1\n"),
		    "b[>From joe Tue Jan  6 10:00:00 2026]f[A| 1]." },
		{ "punctuation in the name", SLICE_LIT("--x!#: 1\n"), "f[--x!#| 1]." },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf got;

		buf_init(&got, 1000);
		describe(rows[i].in, &got);
		ok(strcmp(buf_str(&got), rows[i].want) == 0, "field: %s: %s", rows[i].what,
		    buf_str(&got));
		buf_free(&got);
	}
}

static void
nul_bytes(void)
{
	struct slice rest = SLICE_LIT("A\0b: 1\nC: 2\0003\n");
	struct header h;

	ok(header_next(&rest, &h) == -1, "NUL in a name");
	ok(header_next(&rest, &h) == 1 && slice_eq(h.value, SLICE_LIT(" 2\0003")),
	    "NUL in a value");
}

static void
whole_field(void)
{
	struct slice rest = SLICE_LIT("Ab : 1\r\n 2\r\nC: 3\r\n");
	struct header h;

	ok(header_next(&rest, &h) == 1 && slice_eq(h.whole, SLICE_LIT("Ab : 1\r\n 2")),
	    "whole: name to last byte of the value");
	ok(slice_eq(rest, SLICE_LIT("C: 3\r\n")), "rest is behind it");
}

static void
unfolding(void)
{
	static const struct {
		const char *in, *want;
	} rows[] = {
		{ "", "" },
		{ " \r\n ", "" },
		{ " plain", "plain" },
		{ " a\r\n b", "a b" },
		{ " a\n\tb", "a\tb" },
		{ "\r\n  a\r\n \r\n b \r\n ", "a  b" },
		{ " a\rb", "a\rb" },
		{ " a\r\r\n b", "a\r b" },
		{ "a\nb", "ab" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf got;

		buf_init(&got, 100);
		header_unfold(&got, slice_str(rows[i].in));
		ok(strcmp(buf_str(&got), rows[i].want) == 0, "unfold '%s': '%s'", rows[i].in,
		    buf_str(&got));
		buf_free(&got);
	}
}

static void
tokens(void)
{
	static const struct {
		const char *in, *want;
	} rows[] = {
		{ "", "" },
		{ " text/html", "text/html" },
		{ " text/html; charset=x", "text/html" },
		{ "text/html;charset=x", "text/html" },
		{ " (what; ever) 8bit (so) ", "8bit" },
		{ " 7bit(so)", "7bit" },
		{ "\r\n\tinline ;x=y", "inline" },
		{ " attachment filename=x", "attachment" },
		{ " (a (b) c\\)) x", "x" },
		{ " (never closed x", "" },
		{ ";x=y", "" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct slice got = header_token(slice_str(rows[i].in));

		ok(slice_eq(got, slice_str(rows[i].want)), "token '%s': '%.*s'", rows[i].in,
		    SLICE_FMT(got));
	}
}

static void
params(void)
{
	static const struct {
		const char *in, *name, *want; /* NULL: not there */
	} rows[] = {
		{ " text/plain; charset=utf-8", "charset", "utf-8" },
		{ " text/plain; CharSet=utf-8", "charset", "utf-8" },
		{ " text/plain;charset = utf-8 ;x=y", "charset", "utf-8" },
		{ " text/plain; charset=\"utf-8\"", "charset", "utf-8" },
		{ " text/plain", "charset", NULL },
		{ "", "charset", NULL },
		{ " text/plain; charset", "charset", NULL },
		{ " text/plain; charset=", "charset", "" },
		{ " text/plain; charset=\"\"; x=y", "charset", "" },
		{ " text/plain; xcharset=no; charset=yes", "charset", "yes" },
		{ " text/plain; charsetx=no", "charset", NULL },
		{ " text/plain; x=\"; charset=no\"; charset=yes", "charset", "yes" },
		{ " text/plain; x=\"\\\"; charset=no\"; charset=yes", "charset", "yes" },
		{ " text/plain; (charset=no) charset=yes", "charset", "yes" },
		{ " text/plain (x;charset=no); charset=us-ascii (Plain text)", "charset",
		    "us-ascii" },
		{ " x; a=\"b\\\\c\\\"d\"", "a", "b\\c\"d" },
		{ " x; a=\"b\r\n c\"", "a", "b c" },
		{ " x;\r\n\ta=b\r\n", "a", "b" },
		{ " x; a=1; a=2", "a", "1" },
		{ " x; a=\"never closed", "a", "never closed" },
		{ " x; a=\"ends in \\", "a", "ends in \\" },
		{ " x;;; ;a=b", "a", "b" },
		{ " x; =y; a=b", "a", "b" },
		/* What senders write */
		{ " multipart/mixed; boundary=----=_Part_1.2", "boundary", "----=_Part_1.2" },
		{ " multipart/mixed boundary=x", "boundary", "x" },
		{ " text/plain; charset=utf-8 format=flowed", "format", "flowed" },
		{ " attachment; filename=my file.pdf; size=3", "size", "3" },
		{ " attachment; filename=a(1).pdf", "filename", "a(1).pdf" },
		{ " attachment; filename=\"a;b.pdf\"", "filename", "a;b.pdf" },
		{ " text/plain; charset=\"utf-8\"; \"junk\"; x=y", "x", "y" },
		/* RFC 2231 */
		{ " x; a*=utf-8''%e2%82%ac%20rates", "a", "\342\202\254 rates" },
		{ " x; a*=us-ascii'en-us'This%20is", "a", "This is" },
		{ " x; a*=no-charset%20", "a", "no-charset " },
		{ " x; a*=utf-8''100%; b=c", "a", "100%" },
		{ " x; a*=utf-8''%zz%4", "a", "%zz%4" },
		{ " x; a*=\"utf-8''b%20c\"; d=e", "a", "b c" },
		{ " x; a*0=one; a*1=\" two\"", "a", "one two" },
		{ " x; a*1=\" two\"; a*0=one", "a", "one two" },
		{ " x; a*0*=us-ascii'en'This%20is; a*1*=%20even; a*2=\" more%20fun\"", "a",
		    "This is even more%20fun" },
		{ " x; a*0=one; a*2=three", "a", "one" },
		{ " x; a*1=two", "a", NULL },
		{ " x; a*0=one; a*0=uno", "a", "one" },
		{ " x; a*x=one", "a", NULL },
		{ " x; a**=one", "a", NULL },
		{ " x; a*100=one; a*18446744073709551617=two", "a", NULL },
		{ " x; a*=utf-8''ext; a=plain", "a", "plain" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf got;
		bool found;

		buf_init(&got, 100);
		found = header_param(slice_str(rows[i].in), rows[i].name, &got);
		ok(found == (rows[i].want != NULL) &&
			strcmp(buf_str(&got), rows[i].want != NULL ? rows[i].want : "") == 0,
		    "param %s of '%s': '%s'", rows[i].name, rows[i].in, buf_str(&got));
		buf_free(&got);
	}
}

static void
repeat(struct buf *b, const char *s, size_t n)
{
	while (n-- > 0)
		buf_adds(b, s);
}

static size_t
longest_line(struct slice s)
{
	struct slice line;
	size_t longest = 0;

	while (slice_line(&s, &line))
		longest = line.len > longest ? line.len : longest;
	return longest;
}

static bool
has_empty_line(struct slice s)
{
	struct slice line;

	while (slice_line(&s, &line))
		if (line.len == 0)
			return true;
	return false;
}

/* `text` without white space. */
static void
squeeze(struct slice text, struct buf *out)
{
	for (size_t i = 0; i < text.len; i++)
		if (strchr(" \t\r\n", text.p[i]) == NULL)
			buf_addc(out, text.p[i]);
}

static void
folding(void)
{
	static const struct {
		const char *what, *start, *unit;
		size_t n;
		const char *end;
		size_t lines;
		bool same_words; /* nothing but white space at folds, which was there before */
	} rows[] = {
		{ "short", "A: ", "x", 10, "\r\n", 1, true },
		{ "998", "A: ", "x", 995, "\r\n", 1, true },
		{ "words", "A: ", "word ", 500, "end\r\n", 3, true },
		{ "one long word goes to the next line", "Subject: ", "x", 995, "\r\n", 2, true },
		{ "no blank behind the colon", "Subject:", "x", 995, "\r\n", 2, true },
		{ "a word no line can hold", "A: ", "x", 3000, "\r\n", 4, false },
		{ "long words behind a short one", "A: b ", "x", 1500, "\r\n", 3, false },
		{ "UTF-8", "A: ", "\342\202\254", 800, "\r\n", 3, false },
		{ "blanks at the end", "A: x", " ", 3000, "\r\n", 1, true },
		{ "blanks within", "A: x", " ", 3000, "y\r\n", 2, true },
		{ "blanks before", "A:", " ", 3000, "y\r\n", 1, true },
		{ "a line of blanks", "A: x\r\n", " ", 3000, "\r\n y\r\n", 3, true },
		{ "second line too long", "A: x\r\n ", "word ", 300, "\r\n", 3, true },
		{ "no line end", "A: ", "word ", 300, "end", 2, true },
		{ "nothing but blanks", "A:", " ", 1200, "\r\n", 1, true },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf in, out, words_in, words_out;
		size_t lines = 0;
		struct slice rest, line;

		buf_init(&in, BUF_NO_LIMIT);
		buf_init(&out, BUF_NO_LIMIT);
		buf_init(&words_in, BUF_NO_LIMIT);
		buf_init(&words_out, BUF_NO_LIMIT);
		buf_adds(&in, rows[i].start);
		repeat(&in, rows[i].unit, rows[i].n);
		buf_adds(&in, rows[i].end);
		ok(header_fold(&out, buf_slice(&in), "\r\n"), "fold: %s", rows[i].what);
		rest = buf_slice(&out);
		while (slice_line(&rest, &line))
			lines++;
		squeeze(buf_slice(&in), &words_in);
		squeeze(buf_slice(&out), &words_out);
		ok(lines == rows[i].lines, "fold: %s: %zu lines", rows[i].what, lines);
		ok(longest_line(buf_slice(&out)) <= HEADER_LINE_MAX, "fold: %s: longest %zu",
		    rows[i].what, longest_line(buf_slice(&out)));
		ok(!has_empty_line(buf_slice(&out)), "fold: %s: no empty line", rows[i].what);
		ok(slice_eq(buf_slice(&words_in), buf_slice(&words_out)),
		    "fold: %s: same bytes but blanks", rows[i].what);
		if (rows[i].same_words) {
			struct buf a, b;
			struct slice sa, sb, wa = { 0 }, wb = { 0 };
			bool same = true;

			buf_init(&a, BUF_NO_LIMIT);
			buf_init(&b, BUF_NO_LIMIT);
			header_unfold(&a, buf_slice(&in));
			header_unfold(&b, buf_slice(&out));
			sa = buf_slice(&a);
			sb = buf_slice(&b);
			slice_cut(&sa, ':');
			slice_cut(&sb, ':');
			while (same && slice_word(&sa, &wa))
				same = slice_word(&sb, &wb) && slice_eq(wa, wb);
			ok(same && !slice_word(&sb, &wb), "fold: %s: same words", rows[i].what);
			buf_free(&a);
			buf_free(&b);
		}
		buf_free(&in);
		buf_free(&out);
		buf_free(&words_in);
		buf_free(&words_out);
	}
}

static void
folding_exactly(void)
{
	struct buf in, out, want;

	buf_init(&in, BUF_NO_LIMIT);
	buf_init(&out, BUF_NO_LIMIT);
	buf_init(&want, BUF_NO_LIMIT);
	buf_adds(&in, "X: a ");
	repeat(&in, "b", 990);
	buf_adds(&in, "\tc d\n");
	buf_adds(&want, "X: a ");
	repeat(&want, "b", 990);
	buf_adds(&want, "\tc\n d\n");
	header_fold(&out, buf_slice(&in), "\n");
	ok(slice_eq(buf_slice(&out), buf_slice(&want)),
	    "folded before the last blank that fits, which stays");

	buf_clear(&in);
	buf_clear(&out);
	buf_clear(&want);
	buf_adds(&in, "X: a;");
	repeat(&in, "b", 980);
	buf_adds(&in, ";c=");
	repeat(&in, "d", 900);
	buf_adds(&want, "X:\n a;");
	repeat(&want, "b", 980);
	buf_adds(&want, ";\n c=");
	repeat(&want, "d", 900);
	header_fold(&out, buf_slice(&in), "\n");
	ok(slice_endsi(buf_slice(&out), slice_skip(buf_slice(&want), 4)),
	    "a word that is too long is broken behind a semicolon: %s", buf_str(&out));

	buf_clear(&in);
	buf_clear(&out);
	repeat(&in, "n", 998);
	buf_adds(&in, ": v\n");
	ok(!header_fold(&out, buf_slice(&in), "\n"), "a name of 998 bytes can't be folded");
	ok(slice_eq(buf_slice(&out), buf_slice(&in)), "and is copied as it is");
	buf_free(&in);
	buf_free(&out);
	buf_free(&want);
}

static double
seconds(void)
{
	return (double)clock() / CLOCKS_PER_SEC;
}

/* Each would take minutes if any of it were quadratic. */
static void
hostile(void)
{
	struct buf in, out;
	struct slice rest;
	struct header h;
	double start = seconds();
	unsigned n = 0;

	buf_init(&in, BUF_NO_LIMIT);
	buf_init(&out, BUF_NO_LIMIT);
	buf_adds(&in, "A: x\n");
	repeat(&in, " y\n", 1000000);
	rest = buf_slice(&in);
	while (header_next(&rest, &h) > 0)
		n++;
	header_unfold(&out, h.whole);
	ok(n == 1, "a field of a million lines");

	buf_clear(&in);
	repeat(&in, "; a*7=x; b", 300000);
	ok(!header_param(buf_slice(&in), "a", &out), "300000 sections");
	buf_clear(&in);
	buf_adds(&in, "x; ");
	repeat(&in, "(", 1000000);
	ok(!header_param(buf_slice(&in), "a", &out), "a million comments open");
	buf_clear(&in);
	repeat(&in, "\"=\"", 1000000);
	ok(!header_param(buf_slice(&in), "a", &out), "a million quotes");

	buf_clear(&in);
	buf_clear(&out);
	buf_adds(&in, "A:");
	for (int i = 0; i < 2000; i++) {
		buf_adds(&in, " b ");
		repeat(&in, "x", 996);
	}
	ok(header_fold(&out, buf_slice(&in), "\n") && longest_line(buf_slice(&out)) <= 998,
	    "2 MB of folds");
	ok(seconds() - start < 2, "all of that in %.2f s", seconds() - start);
	buf_free(&in);
	buf_free(&out);
}

int
main(void)
{
	fields();
	nul_bytes();
	whole_field();
	unfolding();
	tokens();
	params();
	folding();
	folding_exactly();
	hostile();
	return tap_done();
}
