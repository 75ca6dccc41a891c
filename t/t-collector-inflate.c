/*
 * The body of a batch: members, lines, limits, and every way to be broken.
 */
#include "collector/inflate.h"
#include "t/gzip.h"
#include "t/tap.h"

static enum inflate_result
inflate_all(struct slice gz, uint64_t max, struct buf *out)
{
	enum inflate_result rc;
	struct inflate in;
	struct slice piece;

	buf_clear(out);
	inflate_begin(&in, gz, max);
	while ((rc = inflate_piece(&in, &piece)) == INFLATE_OK)
		buf_add(out, piece);
	inflate_end(&in);
	return rc;
}

/* All lines with a '|' behind each, "+" where one was cut; then the result. */
static enum inflate_result
lines(struct slice gz, struct buf *out)
{
	enum inflate_result rc;
	struct inflate_line line;
	struct inflate in;
	uint64_t n = 0;

	buf_clear(out);
	inflate_begin(&in, gz, 1 << 24);
	while ((rc = inflate_line(&in, &line)) == INFLATE_OK) {
		if (line.number != ++n)
			buf_adds(out, "wrong number");
		buf_add(out, line.text);
		buf_adds(out, line.cut ? "+|" : "|");
	}
	inflate_end(&in);
	return rc;
}

static void
line_forms(void)
{
	static const struct {
		const char *members[3]; /* until NULL */
		const char *want;
	} cases[] = {
		{ { "" }, "" },
		{ { "a" }, "a|" },
		{ { "a\n" }, "a|" },
		{ { "a\nb" }, "a|b|" },
		{ { "\n" }, "|" },
		{ { "\n\na" }, "||a|" },
		{ { "a\r\nb\r\n" }, "a|b|" },
		{ { "a\rb\n" }, "a\rb|" },
		{ { "\r\r\n" }, "\r|" },
		{ { "a\r" }, "a|" },
		{ { "a", "b\n" }, "ab|" }, /* a member's end is no line end */
		{ { "a\r", "\nb" }, "a|b|" },
		{ { "", "", "x" }, "x|" },
		{ { "x\n", "" }, "x|" },
	};
	struct buf gz, got;

	buf_init(&gz, 1 << 20);
	buf_init(&got, 1 << 20);
	for (size_t i = 0; i < COUNT(cases); i++) {
		buf_clear(&gz);
		for (size_t m = 0; m < 3 && cases[i].members[m] != NULL; m++)
			gzip_add(&gz, slice_str(cases[i].members[m]));
		ok(lines(buf_slice(&gz), &got) == INFLATE_DONE &&
			strcmp(buf_str(&got), cases[i].want) == 0,
		    "lines of case %zu: %s", i, cases[i].want);
	}
	buf_free(&gz);
	buf_free(&got);
}

static void
long_lines(void)
{
	static const struct {
		size_t len;
		bool cut;
	} cases[] = {
		{ INFLATE_LINE_MAX - 1, false },
		{ INFLATE_LINE_MAX, false },
		{ INFLATE_LINE_MAX + 1, true },
		{ 5 * INFLATE_LINE_MAX, true },
	};
	struct buf text, gz;

	buf_init(&text, BUF_NO_LIMIT);
	buf_init(&gz, BUF_NO_LIMIT);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct inflate_line line;
		struct inflate in;

		buf_clear(&text);
		buf_clear(&gz);
		for (size_t n = 0; n < cases[i].len; n++)
			buf_addc(&text, 'x');
		buf_adds(&text, "\nnext\n");
		gzip_add(&gz, buf_slice(&text));
		inflate_begin(&in, buf_slice(&gz), 1 << 24);
		ok(inflate_line(&in, &line) == INFLATE_OK && line.cut == cases[i].cut &&
			line.text.len <= INFLATE_LINE_MAX &&
			(line.cut ? line.text.len >= 1024 : line.text.len == cases[i].len),
		    "a line of %zu bytes", cases[i].len);
		ok(inflate_line(&in, &line) == INFLATE_OK && line.number == 2 && !line.cut &&
			slice_eq(line.text, SLICE_LIT("next")),
		    "and the one behind it");
		inflate_end(&in);
	}
	buf_free(&text);
	buf_free(&gz);
}

static void
limits(void)
{
	struct buf text, gz, got;

	buf_init(&text, BUF_NO_LIMIT);
	buf_init(&gz, BUF_NO_LIMIT);
	buf_init(&got, BUF_NO_LIMIT);
	for (size_t n = 0; n < 100000; n++)
		buf_addc(&text, (char)('a' + n % 26));
	gzip_add(&gz, buf_slice(&text));
	gzip_add(&gz, buf_slice(&text));
	ok(inflate_all(buf_slice(&gz), 200000, &got) == INFLATE_DONE && got.len == 200000,
	    "as much as is allowed");
	ok(inflate_all(buf_slice(&gz), 199999, &got) == INFLATE_TOO_BIG, "one byte more");
	ok(inflate_all(buf_slice(&gz), 0, &got) == INFLATE_TOO_BIG && got.len == 0,
	    "nothing allowed");
	buf_free(&text);
	buf_free(&gz);
	buf_free(&got);
}

static void
broken(void)
{
	struct slice text = SLICE_LIT("the quick brown fox\njumps over the lazy dog\n"), whole;
	unsigned cut_seen = 0, flip_seen = 0, flip_harmless = 0;
	struct buf gz, got, bad;

	buf_init(&gz, 1 << 16);
	buf_init(&got, 1 << 16);
	buf_init(&bad, 1 << 16);
	gzip_add(&gz, text);
	whole = buf_slice(&gz);
	for (size_t n = 0; n < whole.len; n++)
		cut_seen += inflate_all(slice_head(whole, n), 1 << 20, &got) == INFLATE_DAMAGED;
	ok(cut_seen == whole.len, "cut short at any byte: damaged (%u of %zu)", cut_seen,
	    whole.len);
	for (size_t bit = 0; bit < 8 * whole.len; bit++) {
		buf_clear(&bad);
		buf_add(&bad, whole);
		bad.p[bit / 8] = (char)(bad.p[bit / 8] ^ 1 << bit % 8);
		if (inflate_all(buf_slice(&bad), 1 << 20, &got) != INFLATE_DONE)
			flip_seen++;
		else if (slice_eq(buf_slice(&got), text))
			flip_harmless++; /* time, system, extra flags of the header */
	}
	ok(flip_seen + flip_harmless == 8 * whole.len && flip_harmless <= 8 * 8,
	    "any bit turned: damaged, or the same text");
	buf_clear(&bad);
	buf_add(&bad, whole);
	buf_adds(&bad, "x");
	ok(inflate_all(buf_slice(&bad), 1 << 20, &got) == INFLATE_DAMAGED, "a byte behind the end");
	ok(inflate_all(SLICE_LIT(""), 1 << 20, &got) == INFLATE_DAMAGED, "no byte at all");
	ok(lines(slice_head(whole, whole.len - 1), &got) == INFLATE_DAMAGED, "by lines too");
	buf_free(&gz);
	buf_free(&got);
	buf_free(&bad);
}

int
main(void)
{
	line_forms();
	long_lines();
	limits();
	broken();
	return tap_done();
}
