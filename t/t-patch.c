/* Patches in encoded bodies: rows, and every pair of places in odd bodies. */
#include <stdlib.h>

#include "common/patch.h"
#include "t/tap.h"

static const struct {
	enum transfer encoding;
	const char *body;
	size_t at, length;
	const char *text, *want;
} rows[] = {
	{ TRANSFER_7BIT, "one two three\n", 4, 3, "2", "one 2 three\n" },
	{ TRANSFER_8BIT, "", 0, 0, "x", "x" },
	{ TRANSFER_QUOTED_PRINTABLE, "one two three\n", 4, 3, "2", "one 2 three\n" },
	{ TRANSFER_QUOTED_PRINTABLE, "a=3Db\n", 1, 1, "-", "a-b\n" },
	{ TRANSFER_QUOTED_PRINTABLE, "a=3db\nx\n", 4, 1, "y", "a=3db\ny\n" },
	{ TRANSFER_QUOTED_PRINTABLE, "a=3db\n", 3, 0, "=", "a=3db=3D\n" },
	/* a blank that comes to stand at a line's end must stay one */
	{ TRANSFER_QUOTED_PRINTABLE, "a b\n", 2, 1, "", "a=20\n" },
	{ TRANSFER_QUOTED_PRINTABLE, "a\tb\r\n", 2, 1, "", "a=09\r\n" },
	/* padding is not there to a reader */
	{ TRANSFER_QUOTED_PRINTABLE, "ab  \ncd\n", 2, 0, "!", "ab!\ncd\n" },
	/* soft breaks stay where they can */
	{ TRANSFER_QUOTED_PRINTABLE, "abc=\ndef=\nghi\n", 4, 1, "E", "abc=\ndEf=\nghi\n" },
	{ TRANSFER_QUOTED_PRINTABLE, "abc=\ndef=\nghi\n", 2, 2, "", "ab=\nef=\nghi\n" },
	/* a stray '=' must not become an escape with what is put behind it */
	{ TRANSFER_QUOTED_PRINTABLE, "a=zb\n", 2, 1, "41", "a=3D41b\n" },
	{ TRANSFER_QUOTED_PRINTABLE, "one\r\ntwo\r\n", 3, 2, "", "onetwo\r\n" },
	{ TRANSFER_QUOTED_PRINTABLE, "one\r\ntwo\r\n", 4, 1, "", "one=0Dtwo\r\n" },
	{ TRANSFER_QUOTED_PRINTABLE, "one\r\ntwo\r\n", 4, 0, "x", "one=0Dx=0Atwo\r\n" },
	{ TRANSFER_QUOTED_PRINTABLE, "one", 3, 0, "two", "onetwo" },
	{ TRANSFER_QUOTED_PRINTABLE, "one\n", 4, 0, "two", "one\ntwo" },
	{ TRANSFER_QUOTED_PRINTABLE, "", 0, 0, "two", "two" },
	{ TRANSFER_QUOTED_PRINTABLE, "x\n", 0, 0, "\303\274", "=C3=BCx\n" },
	{ TRANSFER_QUOTED_PRINTABLE,
	    "0123456789012345678901234567890123456789012345678901234567890123456789\nnext\n", 70, 0,
	    "abcdefgh",
	    "0123456789012345678901234567890123456789012345678901234567890123456789abcde=\nfgh\nnext\n" },
	/* what a new line begins with */
	{ TRANSFER_QUOTED_PRINTABLE,
	    "0123456789012345678901234567890123456789012345678901234567890123456789abcde\n", 75, 0, "--B",
	    "0123456789012345678901234567890123456789012345678901234567890123456789abcde=\n=2D-B\n" },
	{ TRANSFER_BASE64, "YWJj\nZGVm\n", 1, 1, "XY", "YVhZ\nY2Rl\nZg==\n" },
	{ TRANSFER_BASE64, "YWJjZGVm", 6, 0, "!", "YWJjZGVmIQ==" },
	{ TRANSFER_BASE64, "YWJj\r\nZGVm\r\n", 0, 6, "", "\n" },
};

static bool
lines_fit(struct slice s)
{
	struct slice line;

	while (slice_line(&s, &line))
		if (line.len > TRANSFER_LINE_MAX)
			return false;
	return true;
}

/* What patches mean, said plainly. */
static bool
means(struct slice body, enum transfer encoding, const struct patch *p, size_t n, struct slice got)
{
	struct buf before, after, want;
	size_t at = 0;
	bool same;

	buf_init(&before, BUF_NO_LIMIT);
	buf_init(&after, BUF_NO_LIMIT);
	buf_init(&want, BUF_NO_LIMIT);
	transfer_decode(&before, body, encoding);
	transfer_decode(&after, got, encoding);
	for (size_t i = 0; i < n; i++) {
		buf_add(&want, slice_head(slice_skip(buf_slice(&before), at), p[i].at - at));
		buf_add(&want, p[i].text);
		at = p[i].at + p[i].length;
	}
	buf_add(&want, slice_skip(buf_slice(&before), at));
	same = slice_eq(buf_slice(&want), buf_slice(&after));
	if (!same)
		printf("# wanted: %s\n# got: %s\n", buf_str(&want), buf_str(&after));
	buf_free(&before);
	buf_free(&after);
	buf_free(&want);
	return same;
}

static void
table(void)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct patch p = { rows[i].at, rows[i].length, slice_str(rows[i].text) };
		const char *eol = strstr(rows[i].body, "\r\n") != NULL ? "\r\n" : "\n";
		struct buf out;

		if (rows[i].encoding == TRANSFER_BASE64)
			eol = "\n";
		buf_init(&out, 1 << 16);
		patch_apply(&out, slice_str(rows[i].body), rows[i].encoding, &p, 1, eol);
		if (!ok(slice_eq(buf_slice(&out), slice_str(rows[i].want)), "row %zu", i))
			printf("# %s\n", buf_str(&out));
		buf_free(&out);
	}
}

/* Two patches at all places of a body, whatever is there. */
static void
everywhere(const char *name, const char *body)
{
	static const char *const texts[] = { "", "x", " ", "=",
		"http://t.example/c/abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz01234",
		"--B" };
	struct buf plain, out;
	size_t wrong = 0, tried = 0, wide = 0;

	buf_init(&plain, 1 << 16);
	transfer_decode(&plain, slice_str(body), TRANSFER_QUOTED_PRINTABLE);
	buf_init(&out, 1 << 20);
	for (size_t a = 0; a <= plain.len; a++)
		for (size_t la = 0; la <= 3 && a + la <= plain.len; la++)
			for (size_t b = a + la; b <= plain.len; b += 1 + a % 3)
				for (size_t t = 0; t < COUNT(texts); t++) {
					struct patch p[2] = { { a, la, slice_str(texts[t]) },
						{ b, b < plain.len ? 1 : 0, slice_str(texts[(t + 2) % COUNT(texts)]) } };

					buf_clear(&out);
					patch_apply(&out, slice_str(body), TRANSFER_QUOTED_PRINTABLE, p, 2, "\n");
					tried++;
					wrong += !means(slice_str(body), TRANSFER_QUOTED_PRINTABLE, p, 2, buf_slice(&out));
					wide += !lines_fit(buf_slice(&out));
				}
	ok(wrong == 0 && wide == 0, "%s: %zu pairs of patches, %zu wrong, %zu with long lines", name, tried,
	    wrong, wide);
	buf_free(&plain);
	buf_free(&out);
}

int
main(void)
{
	table();
	everywhere("soft breaks", "<a href=3D\"http:=\r\n//x.example/=\r\n\">x</a> =\r\n\r\nend\r\n");
	everywhere("blanks and line ends", "a  \n b\t=20\n\n\r\n  =\nx =\n");
	everywhere("broken escapes", "=\n==3D=G1=4\n=4=\n1=41=\n");
	everywhere("a soft break at the end", "ab\ncd=");
	everywhere("a full line",
	    "0123456789012345678901234567890123456789012345678901234567890123456789abcdef\n"
	    "0123456789012345678901234567890123456789012345678901234567890123456789abcde=\nxyz");
	return tap_done();
}
