#include "common/html_text.h"

#include <libxml/HTMLparser.h>
#include <libxml/parserInternals.h>

#include "common/ascii.h"

static const char *const hidden_elements[] = { "script", "style", "template", "title" };

static const char *const block_elements[] = { "address", "blockquote", "body", "br", "center", "dd",
	"div", "dl", "dt", "form", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre",
	"table", "td", "th", "tr", "ul" };

struct sink {
	struct buf *out;
	unsigned hidden;
	size_t start;         /* of the text in `out` */
	bool blank, new_line; /* owed before the next word */
};

static bool
is_one_of(const xmlChar *name, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (slice_eqi(slice_str((const char *)name), slice_str(names[i])))
			return true;
	return false;
}

#define IS_ONE_OF(name, table) is_one_of(name, table, COUNT(table))

static void
on_start(void *arg, const xmlChar *name, const xmlChar **attributes)
{
	struct sink *s = arg;

	(void)attributes;
	if (IS_ONE_OF(name, hidden_elements))
		s->hidden++;
	if (IS_ONE_OF(name, block_elements)) {
		/* Two in a row, as round a paragraph, leave an empty line. */
		if (s->new_line && s->out->len > s->start && s->out->p[s->out->len - 1] != '\n')
			buf_addc(s->out, '\n');
		s->new_line = true;
	}
}

static void
on_end(void *arg, const xmlChar *name)
{
	struct sink *s = arg;

	if (s->hidden > 0 && IS_ONE_OF(name, hidden_elements))
		s->hidden--;
	if (IS_ONE_OF(name, block_elements))
		s->new_line = true;
}

static void
on_text(void *arg, const xmlChar *text, int len)
{
	struct sink *s = arg;

	if (s->hidden > 0)
		return;
	for (int i = 0; i < len; i++) {
		char c = (char)text[i];

		/* U+00A0 is a blank as well */
		if (c == '\xc2' && i + 1 < len && text[i + 1] == 0xa0) {
			i++;
			c = ' ';
		}
		if (ascii_is_space(c)) {
			s->blank = true;
			continue;
		}
		if (s->new_line && s->out->len > s->start)
			buf_addc(s->out, '\n');
		else if (s->blank && s->out->len > s->start)
			buf_addc(s->out, ' ');
		s->blank = s->new_line = false;
		buf_addc(s->out, c);
	}
}

static void
on_error(void *arg, const char *text, ...)
{
	(void)arg;
	(void)text;
}

void
html_text(struct buf *out, struct slice html, struct slice charset)
{
	struct sink sink = { .out = out, .start = out->len };
	xmlSAXHandler sax = { .startElement = on_start,
		.endElement = on_end,
		.characters = on_text,
		.cdataBlock = on_text,
		.ignorableWhitespace = on_text,
		.error = on_error,
		.warning = on_error };
	htmlParserCtxtPtr ctxt;
	char name[64];

	html = slice_head(html, HTML_TEXT_MAX);
	if (html.len == 0)
		return;
	ctxt = htmlCreatePushParserCtxt(&sax, &sink, NULL, 0, NULL, XML_CHAR_ENCODING_NONE);
	if (ctxt == NULL)
		return;
	if (charset.len > 0 && charset.len < sizeof(name)) {
		xmlCharEncodingHandlerPtr handler;

		memcpy(name, charset.p, charset.len);
		name[charset.len] = '\0';
		handler = xmlFindCharEncodingHandler(name);
		if (handler != NULL)
			xmlSwitchToEncoding(ctxt, handler);
	}
	htmlCtxtUseOptions(ctxt,
	    HTML_PARSE_RECOVER | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING | HTML_PARSE_NONET);
	htmlParseChunk(ctxt, html.p, (int)html.len, 0);
	htmlParseChunk(ctxt, "", 0, 1);
	htmlFreeParserCtxt(ctxt);
	if (sink.new_line && out->len > sink.start)
		buf_addc(out, '\n');
}
