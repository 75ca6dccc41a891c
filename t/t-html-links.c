#include "common/html_links.h"

#include <stdlib.h>

#include "common/xalloc.h"
#include "t/tap.h"

#define OURS "https://t.example/"

static bool
is_ours(void *arg, struct slice url)
{
	(void)arg;
	return slice_starts(url, SLICE_LIT(OURS));
}

/* The text with its edits done, in short: links as "{target}", pixels as "{I}" and "{O}". */
static void
apply(struct buf *out, struct slice in, const struct html_edits *edits)
{
	size_t done = 0;

	buf_clear(out);
	for (size_t i = 0; i < edits->count; i++) {
		const struct html_edit *e = &edits->edit[i];

		buf_add(out, (struct slice){ in.p + done, e->offset - done });
		if (e->kind == HTML_EDIT_LINK) {
			buf_addc(out, '{');
			buf_add(out, e->target);
			if (e->name.len > 0)
				buf_printf(out, "|name=%.*s", SLICE_FMT(e->name));
			if (e->sublink.len > 0)
				buf_printf(out, "|sub=%.*s", SLICE_FMT(e->sublink));
			buf_adds(out, e->unsubscribe ? "|unsub}" : "}");
		} else if (e->kind == HTML_EDIT_INITIAL_PIXEL) {
			buf_adds(out, "{I}");
		} else if (e->kind == HTML_EDIT_OPEN_PIXEL) {
			buf_adds(out, "{O}");
		}
		done = e->offset + e->length;
	}
	buf_add(out, slice_skip(in, done));
}

static void
check(const struct html_links_options *opt, const char *in, const char *want)
{
	struct html_edits edits;
	struct buf got;
	size_t len = strlen(in);
	char *copy = xcalloc(len + 1, 1); /* its end is the end of memory to a sanitizer */

	memcpy(copy, in, len);
	copy = xrealloc(copy, len > 0 ? len : 1, 1);
	buf_init(&got, BUF_NO_LIMIT);
	ok(html_links_find(opt, (struct slice){ copy, len }, &edits) == HTML_LINKS_FOUND,
	    "found: %s", in);
	apply(&got, (struct slice){ copy, len }, &edits);
	if (!ok(slice_eq(buf_slice(&got), slice_str(want)), "%s", in))
		printf("# got:  %s\n# want: %s\n", buf_str(&got), want);
	html_edits_free(&edits);
	buf_free(&got);
	free(copy);
}

static void
links(void)
{
	static const struct {
		const char *in, *want;
	} rows[] = {
		{ "<a href=\"http://x/\">", "<a href={http://x/}>" },
		{ "<a href='http://x/'>", "<a href={http://x/}>" },
		{ "<a href=http://x/>", "<a href={http://x/}>" },
		{ "<a href=http://x />", "<a href={http://x} />" },
		{ "<a href=http://x/\">", "<a href={http://x/\"}>" },
		{ "<A HREF = \"HTTPS://x/\"x>", "<A HREF = {HTTPS://x/}x>" },
		{ "<area href=\"http://x/\">", "<area href={http://x/}>" },
		{ "<a href=\"http://x/\" href=\"http://y/\">",
		    "<a href={http://x/} href=\"http://y/\">" },
		{ "<a href=\"x\" href=\"http://y/\">", "<a href=\"x\" href=\"http://y/\">" },
		{ "<link href=\"http://x/\"><abbr href=\"http://x/\">",
		    "<link href=\"http://x/\"><abbr href=\"http://x/\">" },
		{ "<a xhref=\"http://x/\" hrefx=\"http://x/\">",
		    "<a xhref=\"http://x/\" hrefx=\"http://x/\">" },
		/* The target as a browser reads it. */
		{ "<a href=\" \n http://x/a\tb\r\nc \">", "<a href={http://x/abc}>" },
		{ "<a href=\"http://x/a b\">", "<a href={http://x/a b}>" },
		{ "<a href=\"ht\ntp://x\">", "<a href={http://x}>" },
		{ "<a href=\"http://x/?a=1&amp;b=2&copy=3&lt;\">",
		    "<a href={http://x/?a=1&b=2&copy=3<}>" },
		{ "<a href=\"http&colon;//x/&Tab;y&#32;&NewLine;\">", "<a href={http://x/y}>" },
		{ "<a href=\"&#104;ttp://x\">", "<a href={http://x}>" },
		{ "<a href=\"\001http://x\037\">", "<a href={http://x}>" },
		{ "<a href=\"http://x/\xe9\">", "<a href={http://x/\xe9}>" },
		/* Not http. */
		{ "<a href=\"mailto:a@b\"><a href=\"tel:1\"><a href=\"#x\"><a href=\"\"><a href>"
		  "<a href=><a href=\"//x/\"><a href=\"/x\"><a href=\"http:/x\"><a "
		  "href=\"ftp://x\">"
		  "<a href=\"cid:x\"><a href=\"javascript:x\"><a href=\"{{url}}\"><a "
		  "href=\"xhttp://x\">",
		    "<a href=\"mailto:a@b\"><a href=\"tel:1\"><a href=\"#x\"><a href=\"\"><a href>"
		    "<a href=><a href=\"//x/\"><a href=\"/x\"><a href=\"http:/x\"><a "
		    "href=\"ftp://x\">"
		    "<a href=\"cid:x\"><a href=\"javascript:x\"><a href=\"{{url}}\"><a "
		    "href=\"xhttp://x\">" },
		{ "<a href=\"http://x/{{id}}\" {{#if x}}a{{/if}}>",
		    "<a href={http://x/{{id}}} {{#if x}}a{{/if}}>" },
		/* What is no markup. */
		{ "<!--[if mso]><a href=\"http://x/\"><![endif]-->",
		    "<!--[if mso]><a href=\"http://x/\"><![endif]-->" },
		{ "<v:rect href=\"http://x/\">", "<v:rect href=\"http://x/\">" },
		{ "<a href=\"http://x/", "<a href=\"http://x/" },
		{ "<a href=\"http://x/\"", "<a href=\"http://x/\"" },
		/* Kept out. */
		{ "<a href=\"http://x/\" data-msys-clicktrack=\"0\">", "<a href=\"http://x/\">" },
		{ "<a data-msys-clicktrack=\"0\" href=\"http://x/\">", "<a href=\"http://x/\">" },
		{ "<a DATA-MSYS-CLICKTRACK=&#48; href=\"http://x/\">", "<a href=\"http://x/\">" },
		{ "<a data-msys-clicktrack=\"1\" href=\"http://x/\">", "<a href={http://x/}>" },
		{ "<a data-msys-clicktrack href=\"http://x/\">", "<a href={http://x/}>" },
		{ "<a data-msys-clicktrack=\"00\" href=\"http://x/\">", "<a href={http://x/}>" },
		{ "<a data-msys-clicktrack=\"1\" data-msys-clicktrack=\"0\" href=\"http://x/\">",
		    "<a data-msys-clicktrack=\"0\" href={http://x/}>" },
		{ "<a href=\"mailto:x\" data-msys-clicktrack=\"1\">", "<a href=\"mailto:x\">" },
		{ "<a id=x data-msys-clicktrack=\"0\"/>", "<a id=x />" },
		{ "<a id=x data-msys-clicktrack=\"0\" />", "<a id=x />" },
		{ "<a id=x\n\tdata-msys-clicktrack=\"0\">", "<a id=x>" },
		{ "<a id=\"x\"data-msys-clicktrack=\"0\"title=y>", "<a id=\"x\"title=y>" },
		{ "<a id=x data-msys-clicktrack=\"0\"title=y>", "<a id=x title=y>" },
		{ "<a data-msys-clicktrack = '0' id=x>", "<a id=x>" },
		{ "<a id=x data-msys-clicktrack=>", "<a id=x =>" },
		{ "<a id=x/ data-msys-clicktrack>", "<a id=x/ >" },
		{ "<a id=\"x\"/ data-msys-clicktrack>", "<a id=\"x\"/ >" },
		{ "<a title='data-msys-clicktrack=\"0\"' href=http://x>",
		    "<a title='data-msys-clicktrack=\"0\"' href={http://x}>" },
		{ "<p data-msys-clicktrack=\"0\" id=x>", "<p id=x>" },
		{ "<svg/data-msys-clicktrack>", "<svg/data-msys-clicktrack>" },
		{ "<p x data-msys-clicktrack=1 =y>", "<p x data-msys-clicktrack=1 =y>" },
		/* Names and the like. */
		{ "<a data-msys-linkname=\"a &amp; b\" data-msys-unsubscribe=\"1\" "
		  "data-msys-sublink='p' href=http://x>",
		    "<a data-msys-linkname=\"a &amp; b\" data-msys-unsubscribe=\"1\" "
		    "data-msys-sublink='p' href={http://x|name=a & b|sub=p|unsub}>" },
		{ "<a data-msys-unsubscribe=\"0\" href=http://x>",
		    "<a data-msys-unsubscribe=\"0\" href={http://x}>" },
		/* Ours. */
		{ "<a href=\"" OURS "c/x\"><a href=http://y>",
		    "<a href=\"" OURS "c/x\"><a href={http://y}>" },
	};
	struct html_links_options opt = HTML_LINKS_DEFAULTS;

	opt.initial_pixel = opt.open_pixel = false;
	opt.is_ours = is_ours;
	for (size_t i = 0; i < COUNT(rows); i++)
		check(&opt, rows[i].in, rows[i].want);
	opt.remove_all = opt.duplicates = true;
	check(&opt,
	    "<a data-msys-linkname=\"n\" data-msys-unsubscribe=\"1\" data-msys-sublink='p' "
	    "href=http://x>",
	    "<a href={http://x|name=n|sub=p|unsub}>");
	check(&opt, "<a data-msys-clicktrack=1 href=http://x data-msys-clicktrack=0 id=y>",
	    "<a href={http://x} id=y>");
	opt.links = false;
	check(&opt, "<a href=http://x data-msys-clicktrack=0>", "<a href=http://x>");
}

static void
pixels(void)
{
	static const struct {
		const char *in, *want;
	} rows[] = {
		{ "<html><body class=x><p>y</p></body></html>",
		    "<html><body class=x>{I}<p>y</p>{O}</body></html>" },
		{ "", "{I}{O}" },
		{ "x", "{I}x{O}" },
		{ " <p>x", " {I}<p>x{O}" },
		{ "<title>t</title> <p>x</html>\n", "<title>t</title> {I}<p>x{O}</html>\n" },
		{ "pre<body>x</body>y</body>", "pre<body>{I}x{O}</body>y</body>" },
		{ "<body>a<body>b", "<body>{I}a<body>b{O}" },
		{ "</body><body>", "{O}</body><body>{I}" },
		{ "<!-- <body> --><p><!-- </body> -->",
		    "<!-- <body> -->{I}<p><!-- </body> -->{O}" },
		{ "<a href=http://x>", "{I}<a href={http://x}>{O}" },
		{ "<body data-msys-clicktrack=0><a href=http://x></body>",
		    "<body>{I}<a href={http://x}>{O}</body>" },
		/* Where it would not be seen. */
		{ "<p>x<!-- y", "{I}<p>x<!-- y" },
		{ "<p>x<style>y", "{I}<p>x<style>y" },
		{ "<p>x<a href=\"", "{I}<p>x<a href=\"" },
		{ "<p>x<title>", "{I}<p>x<title>" },
		{ "<p>x</", "{I}<p>x</" },
		{ "<p>x<", "{I}<p>x<{O}" },
		{ "<!-- x", "<!-- x" },
		{ "<style>x", "<style>x" },
		{ "<html><frameset><frame></frameset></html>",
		    "<html><frameset><frame></frameset></html>" },
		{ "<p></body><frameset>", "<p></body><frameset>" },
		{ "x<svg></html><g>", "{I}x<svg></html><g>" },
		/* One of ours is there. */
		{ "<body><img src=\"" OURS "o/x\"></body>",
		    "<body><img src=\"" OURS "o/x\"></body>" },
		{ "<body><img src=\"http://other/\"></body>",
		    "<body>{I}<img src=\"http://other/\">{O}</body>" },
		{ "\xef\xbb\xbf<p>", "\xef\xbb\xbf{I}<p>{O}" },
		{ " &nbsp;", " &nbsp;{O}" },
	};
	struct html_links_options opt = HTML_LINKS_DEFAULTS;

	opt.is_ours = is_ours;
	for (size_t i = 0; i < COUNT(rows); i++)
		check(&opt, rows[i].in, rows[i].want);
	opt.initial_pixel = false;
	check(&opt, "<body></body>", "<body>{O}</body>");
	opt.initial_pixel = true;
	opt.open_pixel = false;
	check(&opt, "<body></body>", "<body>{I}</body>");
}

static void
names(void)
{
	static const struct {
		const char *value;
		size_t len;
	} rows[] = {
		{ "1234567890123456789012345678901234567890123456789012345678901234567", 63 },
		{ "12345678901234567890123456789012345678901234567890123456789012\u00e9", 62 },
		{ "1234567890123456789012345678901234567890123456789012345678901\u00e9x", 63 },
		{ "caf\xe9", 6 }, /* no UTF-8: U+FFFD */
		{ "", 0 },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct html_links_options opt = HTML_LINKS_DEFAULTS;
		struct html_edits edits;
		struct buf text;

		buf_init(&text, BUF_NO_LIMIT);
		buf_printf(&text, "<a href=http://x data-msys-linkname=\"%s\">", rows[i].value);
		opt.initial_pixel = opt.open_pixel = false;
		html_links_find(&opt, buf_slice(&text), &edits);
		ok(edits.count == 1 && edits.links == 1 && edits.edit[0].name.len == rows[i].len,
		    "a name of %zu bytes becomes %zu", strlen(rows[i].value), rows[i].len);
		html_edits_free(&edits);
		buf_free(&text);
	}
}

static void
left(void)
{
	static const char text[] =
	    "<a href=mailto:x><a href=\"" OURS "\"><a href=http://123456789012345678901><a "
	    "href=http://1234567890123456789012345678901><a href=http://y data-msys-clicktrack=0>"
	    "<a href=http://ok>";
	static const enum html_left why[] = { HTML_LEFT_NOT_HTTP, HTML_LEFT_OURS,
		HTML_LEFT_TOO_LONG, HTML_LEFT_TOO_LONG, HTML_LEFT_OPTED_OUT };
	struct html_links_options opt = HTML_LINKS_DEFAULTS;
	struct html_edits edits;

	opt.is_ours = is_ours;
	opt.explain = true;
	opt.max_href = 30;
	opt.max_target = 20;
	html_links_find(&opt,
	    SLICE_LIT(
		"<a href=mailto:x><a href=\"" OURS "\"><a href=http://123456789012345678901><a "
		"href=http://1234567890123456789012345678901><a href=http://y "
		"data-msys-clicktrack=0><a href=http://ok>"),
	    &edits);
	ok(edits.links == 1 && edits.removed == 1 && edits.lefts == COUNT(why), "five are left");
	for (size_t i = 0; i < edits.lefts && i < COUNT(why); i++)
		ok(edits.left[i].why == why[i], "link %zu: %s", i, html_left_name(why[i]));
	ok(edits.left_count[HTML_LEFT_TOO_LONG] == 2, "two of them too long");
	ok(slice_eq(edits.left[0].target, SLICE_LIT("mailto:x")), "their targets are there");
	ok(text[edits.left[4].offset] == 'h', "their places, too");
	html_edits_free(&edits);
}

static void
limits(void)
{
	static const char two[] = "<a href=http://x><a href=http://y>";
	struct html_links_options opt = HTML_LINKS_DEFAULTS;
	struct html_edits edits;

	opt.max_edits = 4;
	ok(html_links_find(&opt, slice_str(two), &edits) == HTML_LINKS_FOUND && edits.count == 4,
	    "as many edits as are allowed");
	html_edits_free(&edits);
	for (opt.max_edits = 0; opt.max_edits < 4; opt.max_edits++) {
		enum html_links_result r = html_links_find(&opt, slice_str(two), &edits);

		ok(r == HTML_LINKS_TOO_MANY && edits.count == 0, "%s", html_links_result_name(r));
		html_edits_free(&edits);
	}
	opt.max_part = 10;
	ok(html_links_find(&opt, slice_str(two), &edits) == HTML_LINKS_TOO_BIG, "too big");
	html_edits_free(&edits);
	opt.max_part = 1000;
	opt.charset = SLICE_LIT("utf-16le");
	ok(html_links_find(&opt, slice_str(two), &edits) == HTML_LINKS_CHARSET, "charset");
	html_edits_free(&edits);
	opt.charset = SLICE_LIT("utf-8");
	ok(html_links_find(&opt, SLICE_LIT("\xff\xfe<\0a\0"), &edits) == HTML_LINKS_CHARSET,
	    "a byte order mark outweighs the name");
	html_edits_free(&edits);
}

static void
iso_2022_jp(void)
{
	struct html_links_options opt = HTML_LINKS_DEFAULTS;

	opt.initial_pixel = opt.open_pixel = false;
	/* U+5199 is "<L", U+3044 is "$$". */
	check(&opt, "\033$B<L\033(B<a href=\"http://x/\">\033$B<L<a href=\033(B",
	    "\033$B<L\033(B<a href=\"http://x/\">\033$B<L<a href=\033(B");
	opt.charset = SLICE_LIT("iso-2022-jp");
	check(&opt, "\033$B<L\033(B<a href=\"http://x/\">\033$B<L<a href=\033(B",
	    "\033$B<L\033(B<a href={http://x/}>\033$B<L<a href=\033(B");
	opt.open_pixel = true;
	check(&opt, "<p>\033$B<L\033(B", "<p>\033$B<L\033(B{O}");
	check(&opt, "<p>\033$B<L", "<p>\033$B<L");
	opt.open_pixel = false;
	check(&opt, "<a href=\"http://x/\033$B$$\033(B\">", "<a href=\"http://x/\033$B$$\033(B\">");
}

int
main(void)
{
	links();
	pixels();
	names();
	left();
	limits();
	iso_2022_jp();
	return tap_done();
}
