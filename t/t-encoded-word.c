/*
 * encoded_word: RFC 2047 words as mail has them, charsets, folds, caps.
 */
#include "common/encoded_word.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/utf8.h"
#include "t/tap.h"

#define FFFD "\xef\xbf\xbd"

static const struct {
	const char *in, *want;
} rows[] = {
	/* no words */
	{ "", "" },
	{ " Hello ", "Hello" },
	{ " Hello\r\n World", "Hello World" },
	{ " Hello\n\t World\r\n", "Hello  World" },
	{ "Hello\nWorld", "Hello World" }, /* no fold */
	{ "Hello\r\nWorld", "Hello World" },
	{ "Hello\rWorld\a!", "Hello World !" },
	{ "Za\xc5\xbc\xc3\xb3\xc5\x82\xc4\x87", "Za\xc5\xbc\xc3\xb3\xc5\x82\xc4\x87" },
	{ "caf\xe9 \xe9t\xe9", "caf\xc3\xa9 \xc3\xa9t\xc3\xa9" }, /* Latin-1 */
	{ "\xc5\xbc\xe9", "\xc5\xbc\xc3\xa9" },
	{ "a\x85z", "a z" }, /* U+0085 is a control */
	{ "a\xc2\x85z", "a z" },
	{ "a\x7fz", "a z" },
	{ "1 =? 2 ?= 3", "1 =? 2 ?= 3" },

	/* Q */
	{ "=?UTF-8?Q?caf=C3=A9?=", "caf\xc3\xa9" },
	{ "=?utf-8?q?caf=c3=a9_au_lait?=", "caf\xc3\xa9 au lait" },
	{ "=?utf-8?q?=5F=3F=3D?=", "_?=" },
	{ "=?utf-8?q?\?=", "" },
	{ "=?utf-8?q?a=?=", "a=" },
	{ "=?utf-8?q?a=4?=", "a=4" },
	{ "=?utf-8?q?a=4G=41?=", "a=4GA" },
	{ "=?utf-8?q?hello world?=", "hello world" },
	{ "=?utf-8?q?really?\?=", "really?" },
	{ "=?utf-8?q?a=0D=0ABcc:=20x?=", "a  Bcc: x" }, /* no line end comes out */
	{ "=?utf-8?q?a=00b?=", "a b" },
	{ "=?utf-8?q?\xc5\xbc?=", "\xc5\xbc" },
	{ "=?utf-8?q?=C3?=", FFFD },
	{ "=?utf-8?q?=ED=A0=80?=", FFFD FFFD FFFD }, /* a surrogate */
	{ "=?us-ascii*en?q?plain?=", "plain" },

	/* B */
	{ "=?UTF-8?B?Y2Fmw6k=?=", "caf\xc3\xa9" },
	{ "=?UTF-8?b?Y2Fmw6k?=", "caf\xc3\xa9" },
	{ "=?UTF-8?b?Y2Fm w6k=?=", "caf\xc3\xa9" },
	{ "=?UTF-8?b?Y2Fm\r\n w6k=?=", "caf\xc3\xa9" },
	{ "=?UTF-8?b?YQ==YmM=?=", "abc" },
	{ "=?UTF-8?b?YWJj?=", "abc" },
	{ "=?UTF-8?b?YWJjZ?=", "abc" },
	{ "=?UTF-8?b?8J-YgA?=", "\xf0\x9f\x98\x80" }, /* the URL-safe alphabet */
	{ "=?UTF-8?b?\?=", "" },
	{ "=?UTF-8?b?====?=", "" },
	{ "=?UTF-8?b?Y2*m?=", "=?UTF-8?b?Y2*m?=" },

	/* several words */
	{ "=?utf-8?q?a?= =?utf-8?q?b?=", "ab" },
	{ "=?utf-8?q?a?=\r\n  =?utf-8?b?Yg==?=\n\t=?UTF-8?Q?c?=", "abc" },
	{ "=?utf-8?q?a?= b =?utf-8?q?c?=", "a b c" },
	{ "=?utf-8?q?a?=\r\n b", "a b" },
	{ "a\r\n =?utf-8?q?b?=", "a b" },
	{ "a=?utf-8?q?b?=c", "abc" },
	{ "(=?utf-8?q?a?=)", "(a)" },
	{ "=?utf-8?q?a?==?utf-8?q?b?=", "ab" },
	{ "=?utf-8?q?=C5?= =?utf-8?q?=BC?=", "\xc5\xbc" },
	{ "=?utf-8?b?xQ==?= =?utf-8?q?=BC?=", "\xc5\xbc" },
	{ "=?utf-8?q?=C5?= x =?utf-8?q?=BC?=", FFFD " x " FFFD },
	{ "=?utf-8?q?=C5?= =?iso-8859-2?q?=BF?=", FFFD "\xc5\xbc" },
	{ "=?gb2312?q?=D6?= =?GB2312?b?0A==?=", "\xe4\xb8\xad" },
	{ "=?utf-8?q?a?= =?utf-8?b?*?= =?utf-8?q?c?=", "a =?utf-8?b?*?= c" },
	{ "=?utf-8?q?caf=C3=A9 =?utf-8?q?bar?=", "=?utf-8?q?caf=C3=A9 bar" },

	/* charsets */
	{ "=?iso-8859-1?q?caf=E9_=80?=", "caf\xc3\xa9 \xe2\x82\xac" }, /* Windows-1252 is meant */
	{ "=?ISO-8859-2?Q?=BF=F3=B3=E6?=", "\xc5\xbc\xc3\xb3\xc5\x82\xc4\x87" },
	{ "=?iso-8859-2*pl?Q?=BF?=", "\xc5\xbc" },
	{ "=?windows-1250?Q?=9C?=", "\xc5\x9b" },
	{ "=?windows-1251?b?z/Do4uXy?=", "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82" },
	{ "=?koi8-r?B?8NLJ18XU?=", "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82" },
	{ "=?ISO-2022-JP?B?GyRCRnxLXBsoQg==?=", "\xe6\x97\xa5\xe6\x9c\xac" },
	{ "=?Shift_JIS?B?k/qWew==?=", "\xe6\x97\xa5\xe6\x9c\xac" },
	{ "=?euc-kr?B?x9GxuQ==?=", "\xed\x95\x9c\xea\xb5\xad" },
	{ "=?big5?B?pKSk5Q==?=", "\xe4\xb8\xad\xe6\x96\x87" },
	{ "=?utf-7?q?+AOk-?=", "\xc3\xa9" },
	{ "=?windows-1252?q?a=81b?=", "a" FFFD "b" }, /* not assigned */
	{ "=?gb2312?q?a=D6?=", "a" FFFD },
	{ "=?x-unknown?q?caf=E9?=", "=?x-unknown?q?caf=E9?=" },
	{ "=?UTF-16//IGNORE?q?a?=", "=?UTF-16//IGNORE?q?a?=" },
	{ "=?IBM1364?q?a?=", "=?IBM1364?q?a?=" },

	/* not words */
	{ "=?", "=?" },
	{ "=?=", "=?=" },
	{ "=??q?a?=", "=??q?a?=" },
	{ "=?utf-8?", "=?utf-8?" },
	{ "=?utf-8?q", "=?utf-8?q" },
	{ "=?utf-8?q?", "=?utf-8?q?" },
	{ "=?utf-8?q?a", "=?utf-8?q?a" },
	{ "=?utf-8?q?a?", "=?utf-8?q?a?" },
	{ "=?utf-8?q?=", "=?utf-8?q?=" },
	{ "=?utf-8?x?a?=", "=?utf-8?x?a?=" },
	{ "=?utf-8?qq?a?=", "=?utf-8?qq?a?=" },
	{ "=?utf-8?q=a?=", "=?utf-8?q=a?=" },
	{ "=?=?utf-8?q?a?=", "=?a" },
};

static void
table(void)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf out;

		buf_init(&out, 1000);
		buf_adds(&out, ">");
		encoded_word_decode(&out, slice_str(rows[i].in));
		ok(strcmp(buf_str(&out) + 1, rows[i].want) == 0 && !out.full, "'%s' is '%s'",
		    rows[i].in, buf_str(&out) + 1);
		buf_free(&out);
	}
}

/* However small the cap, what is there is a whole start of the text. */
static void
caps(void)
{
	struct slice in =
	    SLICE_LIT("a\xc5\xbc =?koi8-r?B?8NLJ18XU?= =?utf-8?q?=F0=9F=98=80?= \xe9nd");
	struct buf whole, out;

	buf_init(&whole, 1000);
	encoded_word_decode(&whole, in);
	for (size_t max = 0; max <= whole.len; max++) {
		buf_init(&out, max);
		encoded_word_decode(&out, in);
		ok(utf8_valid(buf_slice(&out)) &&
			slice_starts(buf_slice(&whole), buf_slice(&out)) &&
			out.full == (max < whole.len) && out.len + 4 > max,
		    "at most %zu bytes: '%s'", max, buf_str(&out));
		buf_free(&out);
	}
	buf_free(&whole);
}

static void
hostile(void)
{
	static const char *const units[] = { "=?", "=?utf-8?q?", "=?utf-8?b?a",
		"=?utf-8?q?a?= ", "?=", "=", "?", "=?koi8-r?q?a?= =?cp866?q?a?= ",
		"=?iso-2022-jp?q?=1B(B?= =?iso-2022-kr?q?=0F?= ", "=?utf-8?q?=C5?=", "\n ",
		"\r\n\t", "\r", "\xff", "=?utf-8?b?*?=", "=?utf-8?q?\?=", "=?utf-8*",
		"=?utf-7?q?+?=" };
	size_t size = 1 << 20;
	char *text = malloc(size);

	for (size_t i = 0; text != NULL && i < COUNT(units); i++) {
		size_t n = strlen(units[i]);
		int64_t start, took;
		struct buf out;

		for (size_t k = 0; k < size; k++)
			text[k] = units[i][k % n];
		/* One end at the very end, that every word could look for. */
		memcpy(text + size - 2, "?=", 2);
		buf_init(&out, BUF_NO_LIMIT);
		start = clock_mono_ms();
		encoded_word_decode(&out, (struct slice){ text, size });
		took = clock_mono_ms() - start;
		ok(took < 10000 && utf8_valid(buf_slice(&out)), "1 MB of '%s' took under 10 s",
		    units[i]);
		if (took > 200)
			printf("# %lld ms\n", (long long)took);
		buf_free(&out);
	}
	free(text);
}

int
main(void)
{
	table();
	caps();
	hostile();
	return tap_done();
}
