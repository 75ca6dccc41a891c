/*
 * UTF-8: what is well formed, what becomes of the rest, and where a text may end.
 */
#include "common/utf8.h"
#include "t/tap.h"

static void
forms(void)
{
	static const struct {
		const char *in;
		size_t next; /* length of the first character; 0: none */
		const char *clean;
	} cases[] = {
		{ "", 0, "" },
		{ "a", 1, "a" },
		{ "\x7f", 1, "\x7f" },
		{ "\xc2\x80", 2, "\xc2\x80" },
		{ "\xdf\xbf", 2, "\xdf\xbf" },
		{ "\xe0\xa0\x80", 3, "\xe0\xa0\x80" },
		{ "\xed\x9f\xbf", 3, "\xed\x9f\xbf" },
		{ "\xee\x80\x80", 3, "\xee\x80\x80" },
		{ "\xef\xbf\xbf", 3, "\xef\xbf\xbf" },
		{ "\xf0\x90\x80\x80", 4, "\xf0\x90\x80\x80" },
		{ "\xf4\x8f\xbf\xbf", 4, "\xf4\x8f\xbf\xbf" },
#define R "\xef\xbf\xbd"
		{ "\x80", 0, R }, /* a tail alone */
		{ "\xc3", 0, R }, /* cut off */
		{ "\xc3z", 0, R "z" },
		{ "\xe2\x82", 0, R R },
		{ "\xe2\x82z", 0, R R "z" },
		{ "\xf0\x9f\x98", 0, R R R },
		{ "\xc0\x80", 0, R R }, /* longer than needed: NUL in two */
		{ "\xc1\xbf", 0, R R },
		{ "\xe0\x9f\xbf", 0, R R R },
		{ "\xf0\x8f\xbf\xbf", 0, R R R R },
		{ "\xed\xa0\x80", 0, R R R }, /* a surrogate */
		{ "\xed\xbf\xbf", 0, R R R },
		{ "\xf4\x90\x80\x80", 0, R R R R }, /* above U+10FFFF */
		{ "\xf5\x80\x80\x80", 0, R R R R },
		{ "\xfe", 0, R },
		{ "\xff", 0, R },
		{ "K\xf6ln", 1, "K" R "ln" }, /* Latin-1 */
		{ "K\xc3\xb6ln \xe2\x82\xac", 1, "K\xc3\xb6ln \xe2\x82\xac" },
#undef R
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct slice in = slice_str(cases[i].in);
		struct buf out;

		buf_init(&out, 100);
		utf8_clean(&out, in);
		ok(utf8_next(in) == cases[i].next, "row %zu: first character", i);
		ok(strcmp(buf_str(&out), cases[i].clean) == 0, "row %zu: cleaned", i);
		ok(utf8_valid(in) == (strcmp(cases[i].in, cases[i].clean) == 0), "row %zu: valid",
		    i);
		ok(utf8_valid(buf_slice(&out)), "row %zu: what was cleaned is valid", i);
		buf_free(&out);
	}
}

static void
heads(void)
{
	static const struct {
		const char *in;
		size_t max, want;
	} cases[] = {
		{ "abc", 5, 3 },
		{ "abc", 3, 3 },
		{ "abc", 2, 2 },
		{ "abc", 0, 0 },
		{ "a\xc3\xb6", 2, 1 },
		{ "a\xc3\xb6", 3, 3 },
		{ "a\xc3\xb6z", 3, 3 },
		{ "\xe2\x82\xac\xe2\x82\xac", 5, 3 },
		{ "\xe2\x82\xac\xe2\x82\xac", 4, 3 },
		{ "\xe2\x82\xac\xe2\x82\xac", 3, 3 },
		{ "\xe2\x82\xac\xe2\x82\xac", 2, 0 },
		{ "\xf0\x9f\x98\x80z", 4, 4 },
		{ "\xf0\x9f\x98\x80z", 3, 0 },
		{ "\xf0\x9f\x98\x80z", 1, 0 },
		{ "\x80\x80\x80\x80\x80", 3, 3 }, /* no characters, so none is cut */
		{ "\xff\xff\xff", 2, 2 },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct slice got = utf8_head(slice_str(cases[i].in), cases[i].max);

		ok(got.len == cases[i].want && got.p == cases[i].in, "head %zu: %zu bytes", i,
		    got.len);
	}
}

/* Every sequence of up to four bytes that could be a character, against the definition by code
 * point. */
static void
all_characters(void)
{
	size_t wrong = 0, good = 0;

	for (uint32_t cp = 0; cp < 0x200000; cp++) {
		char b[4];
		size_t len = cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
		bool valid = cp <= 0x10ffff && (cp < 0xd800 || cp > 0xdfff);

		for (size_t i = 1; i < len; i++)
			b[i] = (char)(0x80 | (cp >> 6 * (len - 1 - i) & 0x3f));
		b[0] = (char)(len == 1 ? cp : (0xf00u >> len & 0xff) | cp >> 6 * (len - 1));
		wrong += utf8_next((struct slice){ b, len }) != (valid ? len : 0);
		good += valid;
	}
	ok(wrong == 0 && good == 0x110000 - 0x800, "every code point: %zu are characters", good);
}

/* One bad byte is found wherever it stands, and never one behind the end. */
static void
places(void)
{
	char text[41];
	unsigned wrong = 0;

	for (size_t len = 0; len < sizeof(text); len++)
		for (size_t bad = 0; bad < sizeof(text); bad++) {
			memset(text, 'a', sizeof(text));
			text[bad] = '\xff';
			wrong += utf8_valid((struct slice){ text, len }) != (bad >= len);
		}
	ok(wrong == 0, "a bad byte at any place of texts of any length: %u wrong", wrong);
}

int
main(void)
{
	places();
	forms();
	heads();
	all_characters();
	return tap_done();
}
