/* What gateways put round a text, and texts in other charsets. */
#include "common/charset.h"
#include "common/report_frame.h"
#include "t/tap.h"

static const struct {
	const char *name, *text, *kept;
} banners[] = {
	{ "none", "Hi.\n\n<a@b.example>: unknown\n", "Hi.\n\n<a@b.example>: unknown\n" },
	{ "one", "CAUTION: This email originated from outside of the organization.\n\nHi.\n",
	    "\nHi.\n" },
	{ "brackets", "[EXTERNAL EMAIL]\n\nHi.\n", "\nHi.\n" },
	{ "two lines", "Externe E-Mail!\nKlicken Sie auf nichts.\n\nHi.\n", "\nHi.\n" },
	{ "and a note behind it", "[EXTERNAL]\n\nThis is confidential.\n\nHi.\n", "\nHi.\n" },
	{ "a note alone stays", "This is confidential.\n\nHi.\n",
	    "This is confidential.\n\nHi.\n" },
	{ "nothing else", "[EXTERNAL]\n", "[EXTERNAL]\n" },
	{ "empty", "", "" },
};

static const struct {
	const char *name, *text, *kept;
} footers[] = {
	{ "none", "<a@b.example>: unknown\n", "<a@b.example>: unknown\n" },
	{ "behind dashes", "<a@b.example>: unknown\n-----\nThis mail is Confidential.\n",
	    "<a@b.example>: unknown\n-----\n" },
	{ "its paragraph",
	    "<a@b.example>: unknown\n\nThis mail\nis confidential, says c@d.example\n",
	    "<a@b.example>: unknown\n\n" },
	{ "no address before it", "confidential\n\n<a@b.example>: unknown\n",
	    "confidential\n\n<a@b.example>: unknown\n" },
	{ "in one line", "<a@b.example>: scanned by x", "<a@b.example>: scanned by x" },
	{ "empty", "", "" },
};

static const struct {
	const char *charset, *text, *utf8; /* NULL: not converted */
} texts[] = {
	{ "iso-8859-1",
	    "gr\xf6\xdf"
	    "er",
	    "größer" },
	{ "koi8-r", "\xd0\xcf\xde\xd4\xc1", "почта" },
	{ "GBK", "\xb2\xbb\xb4\xe6\xd4\xda", "不存在" },
	{ "iso-2022-jp", "\x1b$BF|K\\\x1b(B a@b", "日本 a@b" },
	/* the line before forgot to go back to ASCII */
	{ "iso-2022-jp", "\x1b$BF|K\\\na@b", "日本\na@b" },
	{ "utf-8", "x", NULL },
	{ "x-unknown", "x", NULL },
	{ "", "x", NULL },
};

int
main(void)
{
	struct charset_cache cache = { .next = 0 };

	for (size_t i = 0; i < COUNT(banners); i++)
		ok(slice_eq(report_frame_skip_banner(slice_str(banners[i].text)),
		       slice_str(banners[i].kept)),
		    "banner: %s", banners[i].name);
	for (size_t i = 0; i < COUNT(footers); i++)
		ok(slice_eq(report_frame_cut_footer(slice_str(footers[i].text)),
		       slice_str(footers[i].kept)),
		    "footer: %s", footers[i].name);
	for (int round = 0; round < 2; round++) /* the second with open converters */
		for (size_t i = 0; i < COUNT(texts); i++) {
			struct buf out;
			bool done;

			buf_init(&out, 100);
			done = charset_to_utf8(
			    &out, slice_str(texts[i].text), slice_str(texts[i].charset), &cache);
			ok(done == (texts[i].utf8 != NULL) &&
				(!done || slice_eq(buf_slice(&out), slice_str(texts[i].utf8))),
			    "%s, round %d", texts[i].charset, round);
			buf_free(&out);
		}
	charset_cache_close(&cache);
	return tap_done();
}
