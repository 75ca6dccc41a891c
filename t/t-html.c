#include "common/html.h"

#include <stdlib.h>

#include "common/html_charset.h"
#include "common/html_entities.h"
#include "t/tap.h"

/* The tags of a text in short: "<a /p <br". */
static const char *
tags_of(const char *text, size_t len)
{
	static char out[500];
	struct html_scan s;
	struct html_tag tag;
	size_t n = 0;
	char *copy = malloc(len + 1); /* its end is the end of memory to a sanitizer */

	memcpy(copy, text, len);
	out[0] = '\0';
	html_begin(&s, (struct slice){ copy, len });
	while (html_next(&s, &tag) && n < 400)
		n += (size_t)snprintf(out + n, sizeof(out) - n, "%s%c%.*s%s", n == 0 ? "" : " ",
		    tag.end_tag ? '/' : '<', (int)tag.name_len, copy + tag.name_at,
		    tag.self_closing ? "/" : "");
	snprintf(out + n, sizeof(out) - n, "%s", s.cut ? " cut" : "");
	free(copy);
	return out;
}

static void
tags(void)
{
	static const struct {
		const char *in, *want;
	} rows[] = {
		{ "", "" },
		{ "text", "" },
		{ "<p>x</p>", "<p /p" },
		{ "<P>x</P >", "<P /P" },
		{ "<br/><br />", "<br/ <br/" },
		{ "<a href=x/>", "<a" },
		{ "<a/href=x>", "<a" },
		{ "a < b <3 <> << <b>", "<b" },
		{ "</><b>", "<b" },
		{ "</ <a>x<b>", "<b" },
		{ "<!x <a>x<b>", "<b" },
		{ "<?x <a>x<b>", "<b" },
		{ "<!DOCTYPE html PUBLIC \"a>b\"><b>", "<b" },
		/* What the end cuts off is no tag. */
		{ "<", "" },
		{ "<a", " cut" },
		{ "<a ", " cut" },
		{ "<a x=\"1>", " cut" },
		{ "<a x='1'", " cut" },
		{ "<a x=", " cut" },
		{ "</", " cut" },
		{ "</a", " cut" },
		{ "<!", " cut" },
		/* Attributes hold anything. */
		{ "<a x=\"<b>\" y='<b>' z=<b><i>", "<a <i" },
		{ "<a x=\"1\"y='2'><b>", "<a <b" },
		{ "<a =\"><b>", "<a <b" },
		{ "<a x=a\"b><b>", "<a <b" },
		{ "<a x= ><b>", "<a <b" },
		{ "<a <b><i>", "<a <i" },
		{ "<a\fx><a\vx>", "<a <a\vx" },
		/* Comments. */
		{ "<!--<a>--><b>", "<b" },
		{ "<!--><b>", "<b" },
		{ "<!---><b>", "<b" },
		{ "<!----><b>", "<b" },
		{ "<!-- --!><b>", "<b" },
		{ "<!--!><a>--><b>", "<b" },
		{ "<!---!><a>--><b>", "<b" },
		{ "<!-- -- ><a> --><b>", "<b" },
		{ "<!-- a <!-- b --><b>", "<b" },
		{ "<!-- <a>", " cut" },
		{ "<!- <a><b>", "<b" },
		{ "<!--[if mso]><a><![endif]--><![if !mso]><b><![endif]>", "<b" },
		/* Text that is no markup. */
		{ "<title><a></title><b>", "<title /title <b" },
		{ "<title><a></titlex></TITLE><b>", "<title /TITLE <b" },
		{ "<textarea><a></title></textarea>", "<textarea /textarea" },
		{ "<style><!-- </style><b>", "<style /style <b" },
		{ "<xmp><a></xmp><iframe><a></iframe><noembed><a></noembed><noframes><a></"
		  "noframes>",
		    "<xmp /xmp <iframe /iframe <noembed /noembed <noframes /noframes" },
		{ "<noscript><a></noscript>", "<noscript <a /noscript" },
		{ "<plaintext></plaintext><a>", "<plaintext cut" },
		{ "<title>", "<title cut" },
		{ "<style><a></style", "<style cut" },
		{ "<script>\"<a>\"</script><b>", "<script /script <b" },
		{ "<script><!-- <a> </script><b>", "<script /script <b" },
		{ "<script><!-- <script></script><a>--></script><b>", "<script /script <b" },
		{ "<script><!-- <script></script></script><b>", "<script /script <b" },
		{ "<script><!-- <scriptx></script><b>", "<script /script <b" },
		{ "<script><!--><script></script><b>", "<script /script <b" },
		{ "<script></scriptx></script/><b>", "<script /script/ <b" },
		/* Where the tag stands. */
		{ "<svg><title><a></title><style><b></style></svg>",
		    "<svg <title <a /title <style /style /svg" },
		{ "<svg><title><a></a></title><style><b></style>",
		    "<svg <title <a /a /title <style <b /style" },
		{ "<svg><desc><p>x<p>y</p></desc><style><b>",
		    "<svg <desc <p <p /p /desc <style <b" },
		{ "<svg><desc><a><a></a></desc><style><b>", "<svg <desc <a <a /a /desc <style <b" },
		{ "<math><mi><body><td><head></mi><style><b>",
		    "<math <mi <body <td <head /mi <style <b" },
		{ "<svg><![CDATA[<a>]]><b>", "<svg <b" },
		{ "<svg><![CDATA[<a>]>]]", "<svg cut" },
		{ "<svg/><![CDATA[<a>]]><b>", "<svg/ <b" },
		{ "<svg></svg><![CDATA[<a><b>]]>", "<svg /svg <b" },
		{ "<svg><p><![CDATA[<a><b>]]>", "<svg <p <b" },
		{ "<svg><g></p><![CDATA[<a><b>]]>", "<svg <g /p <b" },
		{ "<div><svg></div><![CDATA[<a><b>]]>", "<div <svg /div <b" },
		{ "<svg></div><![CDATA[<a><b>]]>x", "<svg /div" },
		{ "<svg><font><![CDATA[<b>]]><font color=x><![CDATA[<b><i>]]>",
		    "<svg <font <font <i" },
		{ "<math><mi><title><a></title>", "<math <mi <title /title" },
		{ "<math><annotation-xml><title><a></title>",
		    "<math <annotation-xml <title <a /title" },
		{ "<math><annotation-xml encoding='TEXT/html'><title><a></title>",
		    "<math <annotation-xml <title /title" },
		{ "<select><title><a></select><title><a>", "<select <title <a /select <title cut" },
		{ "<select><textarea><a></textarea>", "<select <textarea /textarea" },
		{ "<table><select><tr><title><a></title>", "<table <select <tr <title /title" },
		{ "<template><col><title><a></template><title><a>",
		    "<template <col <title <a /template <title cut" },
		{ "<frameset><title><a></title><noframes><a></noframes>",
		    "<frameset <title <a /title <noframes /noframes" },
		{ "\xef\xbb\xbf<b>", "<b" },
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		if (!ok(strcmp(tags_of(rows[i].in, strlen(rows[i].in)), rows[i].want) == 0, "%s",
			rows[i].in))
			printf("# got: %s\n", tags_of(rows[i].in, strlen(rows[i].in)));
}

static void
attributes(void)
{
	static const struct {
		const char *in, *want;
	} rows[] = {
		{ "<a>", "" },
		{ "<a b>", "[b]" },
		{ "<a b c=d e=\"f g\" h='i'>", "[b][c=d][e=\"f g\"][h='i']" },
		{ "<a b = c>", "[b=c]" },
		{ "<a b\n=\t'c'd>", "[b='c'][d]" },
		{ "<a/b/c=/d>", "[b][c=/d]" },
		{ "<a b=c/>", "[b=c/]" },
		{ "<a b />", "[b]" },
		{ "<a b=>", "[b=]" },
		{ "<a b= c=d>", "[b=c=d]" },
		{ "<a =b =c>", "[=b=c]" },
		{ "<a b==c>", "[b==c]" },
		{ "<a b=\"\">", "[b=\"\"]" },
		{ "<a b\"c=d\"e>", "[b\"c=d\"e]" },
		{ "<a b b=c>", "[b][b=c]" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct slice in = slice_str(rows[i].in);
		struct html_scan s;
		struct html_tag tag;
		struct html_attr a;
		char got[200] = "";
		size_t n = 0, at;

		html_begin(&s, in);
		ok(html_next(&s, &tag) && tag.start == 0 && tag.end == in.len, "%s is a tag",
		    rows[i].in);
		at = tag.attrs;
		while (html_attr_next(in, &at, &a))
			n += (size_t)snprintf(got + n, sizeof(got) - n, "[%.*s%s%.*s%.*s%.*s]",
			    (int)a.name_len, in.p + a.start, a.has_value ? "=" : "", a.quote != 0,
			    &a.quote, (int)a.value_len, in.p + a.value, a.quote != 0, &a.quote);
		if (!ok(strcmp(got, rows[i].want) == 0, "%s has %s", rows[i].in, rows[i].want))
			printf("# got: %s\n", got);
	}
}

static void
bodies(void)
{
	static const struct {
		const char *in;
		size_t body;
		bool frameset;
	} rows[] = {
		{ "", 0, false },
		{ "  text", 2, false },
		{ " <p>", 1, false },
		{ "<p>", 0, false },
		{ "<!DOCTYPE html> <!-- --> <p>", 25, false },
		{ "<html><head><title>x</title><meta></head> <p>", 42, false },
		{ "<title>x</title>\n<style>y</style>z", 33, false },
		{ "<head><noscript><meta></noscript><p>", 33, false },
		{ "<head><noscript><p>", 16, false },
		{ "<template><p></template>x", 24, false },
		{ "<html><body>", 6, false },
		{ "</p></br>", 4, false },
		{ "</head></body>", 7, false },
		{ "<script><p></script>", 20, false },
		{ "<frameset>", HTML_NOWHERE, true },
		{ "<html> <head></head> <frameset>", HTML_NOWHERE, true },
		{ "<p> <frameset>", 0, true },
		{ "<p>x<frameset>", 0, false },
		{ "<p><br><frameset>", 0, false },
		{ "<input type=hidden><frameset>", 0, true },
		{ "<input><frameset>", 0, false },
		{ "<body><frameset>", 0, false },
		{ "<p></body><frameset>", 0, true },
		{ "<p>&#32;<frameset>", 0, true },
		{ "<p>&nbsp;<frameset>", 0, false },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct html_scan s;
		struct html_tag tag;

		html_begin(&s, slice_str(rows[i].in));
		while (html_next(&s, &tag))
			;
		if (!ok(s.ctx.body == rows[i].body, "the body of '%s'", rows[i].in))
			printf("# got: %zu\n", s.ctx.body);
		ok((s.ctx.mode == HTML_IN_FRAMESET) == rows[i].frameset, "frames: '%s'",
		    rows[i].in);
	}
}

static void
deep(void)
{
	char *text = malloc(40000);
	size_t len = 0;

	for (int i = 0; i < 1000; i++, len += 5)
		memcpy(text + len, "<svg>", 5);
	for (int i = 0; i < 1000; i++, len += 6)
		memcpy(text + len, "</svg>", 6);
	memcpy(text + len, "<title><a></title>", 18);
	len += 18;
	{
		struct html_scan s;
		struct html_tag tag;
		size_t count = 0, links = 0;

		html_begin(&s, (struct slice){ text, len });
		while (html_next(&s, &tag)) {
			count++;
			links += tag.name == HTML_A;
		}
		ok(count == 2002 && links == 0, "1000 svg, closed again: a title is a title");
	}
	free(text);
}

static void
references(void)
{
	static const struct {
		const char *in;
		bool attribute;
		size_t used;
		const char *text;
	} rows[] = {
		{ "&amp;x", true, 5, "&" },
		{ "&amp", true, 4, "&" },
		{ "&amp=", true, 0, "" },
		{ "&ampx", true, 0, "" },
		{ "&amp=", false, 4, "&" },
		{ "&ampx", false, 4, "&" },
		{ "&copy;", true, 6, "\u00a9" },
		{ "&copyright", true, 0, "" },
		{ "&copyright", false, 5, "\u00a9" },
		{ "&notin;", true, 7, "\u2209" },
		{ "&notit;", true, 0, "" },
		{ "&notit;", false, 4, "\u00ac" },
		{ "&Tab;", true, 5, "\t" },
		{ "&colon;", true, 7, ":" },
		{ "&colon", true, 0, "" },
		{ "&acE;", true, 5, "\u223e\u0333" },
		{ "&CounterClockwiseContourIntegral;", true, 33, "\u2233" },
		{ "&CounterClockwiseContourIntegralx;", true, 0, "" },
		{ "&;", true, 0, "" },
		{ "&", true, 0, "" },
		{ "& ", true, 0, "" },
		{ "&#", true, 0, "" },
		{ "&#;", true, 0, "" },
		{ "&#x;", true, 0, "" },
		{ "&#65;", true, 5, "A" },
		{ "&#65", true, 4, "A" },
		{ "&#65x", true, 4, "A" },
		{ "&#x41;", true, 6, "A" },
		{ "&#X1F600;", true, 9, "\U0001f600" },
		{ "&#150;", true, 6, "\u2013" },
		{ "&#x80", true, 5, "\u20ac" },
		{ "&#x81;", true, 6, "\302\201" },
		{ "&#0;", true, 4, "\ufffd" },
		{ "&#xd800;", true, 8, "\ufffd" },
		{ "&#x110000;", true, 10, "\ufffd" },
		{ "&#99999999999999999999;", true, 23, "\ufffd" },
	};
	char out[HTML_REFERENCE_MAX];
	size_t len;

	for (size_t i = 0; i < COUNT(rows); i++) {
		len = 0;
		ok(html_reference(slice_str(rows[i].in), rows[i].attribute, out, &len) ==
			rows[i].used,
		    "%s takes %zu", rows[i].in, rows[i].used);
		if (rows[i].used > 0)
			ok(slice_eq((struct slice){ out, len }, slice_str(rows[i].text)),
			    "%s has its text", rows[i].in);
	}
}

static void
names(void)
{
	static const struct {
		const char *in;
		enum html_name want;
	} rows[] = {
		{ "a", HTML_A },
		{ "A", HTML_A },
		{ "area", HTML_AREA },
		{ "h1", HTML_H1 },
		{ "h\021", HTML_UNKNOWN },
		{ "TextArea", HTML_TEXTAREA },
		{ "blockquote", HTML_BLOCKQUOTE },
		{ "blockquots", HTML_UNKNOWN },
		{ "foreignObject", HTML_FOREIGNOBJECT },
		{ "annotation-xml", HTML_ANNOTATION_XML },
		{ "annotation-xmls", HTML_UNKNOWN },
		{ "ab", HTML_UNKNOWN },
		{ "", HTML_UNKNOWN },
		{ "o:p", HTML_UNKNOWN },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct slice name = slice_str(rows[i].in);
		char padded[32] = "";

		memcpy(padded, name.p, name.len);
		memcpy(padded + name.len, ">zzzzzzz", 9);
		ok(html_name_find(name, name.len) == rows[i].want, "name '%s' at the end", name.p);
		ok(html_name_find((struct slice){ padded, name.len }, name.len + 8) == rows[i].want,
		    "name '%s' before others", name.p);
	}
}

static void
charsets(void)
{
	static const struct {
		const char *name;
		enum html_charset want;
	} rows[] = {
		{ "", HTML_CHARSET_ASCII },
		{ "utf-8", HTML_CHARSET_ASCII },
		{ "UTF8", HTML_CHARSET_ASCII },
		{ "windows-1252", HTML_CHARSET_ASCII },
		{ "iso-8859-15", HTML_CHARSET_ASCII },
		{ "Shift_JIS", HTML_CHARSET_ASCII },
		{ "gb18030", HTML_CHARSET_ASCII },
		{ "big5", HTML_CHARSET_ASCII },
		{ "euc-kr", HTML_CHARSET_ASCII },
		{ "ibm850", HTML_CHARSET_ASCII },
		{ "cp1251", HTML_CHARSET_ASCII },
		{ "x-unheard-of", HTML_CHARSET_ASCII },
		{ "ISO-2022-JP", HTML_CHARSET_ISO_2022_JP },
		{ "iso-2022-jp-2004", HTML_CHARSET_ISO_2022_JP },
		{ "cp50221", HTML_CHARSET_ISO_2022_JP },
		{ "iso-2022-kr", HTML_CHARSET_OTHER },
		{ "ISO-2022-CN", HTML_CHARSET_OTHER },
		{ " UTF-16 ", HTML_CHARSET_OTHER },
		{ "utf-16le", HTML_CHARSET_OTHER },
		{ "utf-32", HTML_CHARSET_OTHER },
		{ "utf-7", HTML_CHARSET_OTHER },
		{ "hz-gb-2312", HTML_CHARSET_OTHER },
		{ "johab", HTML_CHARSET_OTHER },
		{ "IBM037", HTML_CHARSET_OTHER },
		{ "cp500", HTML_CHARSET_OTHER },
		{ "ebcdic-us", HTML_CHARSET_OTHER },
	};
	static const char jis[] = "<a>\033$B<L\033(B<b>\033(I<1\033(J<i>\033$(D<<\033(B>\033";
	char out[sizeof(jis)];

	for (size_t i = 0; i < COUNT(rows); i++)
		ok(html_charset_find(slice_str(rows[i].name)) == rows[i].want, "charset '%s'",
		    rows[i].name);
	html_charset_mask(out, (struct slice){ jis, sizeof(jis) - 1 });
	ok(memcmp(out, "<a>\033$Bxx\033(B<b>\033(Ixx\033(J<i>\033$(Dxx\033(B>\033",
	       sizeof(jis) - 1) == 0,
	    "ISO-2022-JP is masked");
	ok(html_charset_is_utf16(SLICE_LIT("\xff\xfe<\0")), "a mark of UTF-16");
	ok(!html_charset_is_utf16(SLICE_LIT("\xef\xbb\xbf<")), "one of UTF-8");
}

int
main(void)
{
	tags();
	attributes();
	bodies();
	deep();
	references();
	names();
	charsets();
	return tap_done();
}
