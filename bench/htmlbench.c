/*
 * htmlbench.c - what bench/html measures: our scanner with its edits, and libxml2's SAX
 * parser looking for the same links, over the same files.
 *
 *	htmlbench ours|libxml2|scan ROUNDS FILE...	prints "BYTES SECONDS LINKS"
 *	htmlbench shape NAME SIZE			prints "SECONDS EDITS" for our scanner
 *	htmlbench shapes				prints the names of the shapes
 *
 * Seconds are the process's CPU time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <libxml/HTMLparser.h>

#include "common/html.h"
#include "common/html_links.h"
#include "common/xalloc.h"

struct file {
	struct buf text;
};

static double
cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
read_file(struct file *f, const char *name)
{
	FILE *in = fopen(name, "rb");
	char block[65536];
	size_t n;

	if (in == NULL) {
		perror(name);
		exit(1);
	}
	buf_init(&f->text, BUF_NO_LIMIT);
	while ((n = fread(block, 1, sizeof(block), in)) > 0)
		buf_add(&f->text, (struct slice){ block, n });
	fclose(in);
}

/* ---- the three that run ---- */

static size_t
run_ours(struct slice text)
{
	struct html_links_options opt = HTML_LINKS_DEFAULTS;
	struct html_edits edits;
	size_t links;

	opt.max_part = opt.max_edits = SIZE_MAX;
	html_links_find(&opt, text, &edits);
	links = edits.links;
	html_edits_free(&edits);
	return links;
}

static size_t
run_scan(struct slice text)
{
	struct html_scan s;
	struct html_tag tag;
	size_t links = 0;

	html_begin(&s, text);
	while (html_next(&s, &tag))
		links += tag.name == HTML_A && !tag.end_tag;
	return links;
}

static void
on_start(void *arg, const xmlChar *name, const xmlChar **attrs)
{
	size_t *links = arg;

	if (strcasecmp((const char *)name, "a") != 0 && strcasecmp((const char *)name, "area") != 0)
		return;
	for (; attrs != NULL && attrs[0] != NULL; attrs += 2)
		if (strcasecmp((const char *)attrs[0], "href") == 0 && attrs[1] != NULL &&
		    strncasecmp((const char *)attrs[1], "http", 4) == 0)
			++*links;
}

static size_t
run_libxml2(struct slice text)
{
	static xmlSAXHandler sax = { .startElement = on_start };
	size_t links = 0;
	htmlParserCtxtPtr ctx =
	    htmlCreatePushParserCtxt(&sax, &links, NULL, 0, NULL, XML_CHAR_ENCODING_UTF8);

	if (ctx == NULL)
		abort();
	htmlCtxtUseOptions(
	    ctx, HTML_PARSE_RECOVER | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING | HTML_PARSE_NONET);
	htmlParseChunk(ctx, text.p, (int)text.len, 1);
	htmlFreeParserCtxt(ctx);
	return links;
}

static int
over_files(size_t (*run)(struct slice), unsigned long rounds, int count, char **names)
{
	struct file *files = xcalloc((size_t)count, sizeof(*files));
	size_t bytes = 0, links = 0;
	double start;

	for (int i = 0; i < count; i++) {
		read_file(&files[i], names[i]);
		bytes += files[i].text.len;
		links += run(buf_slice(&files[i].text));
	}
	start = cpu_seconds();
	for (unsigned long r = 0; r < rounds; r++)
		for (int i = 0; i < count; i++)
			run(buf_slice(&files[i].text));
	printf("%zu %.6f %zu\n", bytes * rounds, cpu_seconds() - start, links);
	for (int i = 0; i < count; i++)
		buf_free(&files[i].text);
	free(files);
	return 0;
}

/* ---- inputs that are slow for many a parser ---- */

static const struct {
	const char *name, *head, *unit, *half; /* half: the unit of the second half, or NULL */
} shapes[] = {
	{ "less-than", "", "<", NULL },
	{ "open-a", "", "<a ", NULL },
	{ "open-comment", "", "<!--", NULL },
	{ "comment-dashes", "<!--", "--", NULL },
	{ "one-attribute", "<a ", "x", NULL },
	{ "many-attributes", "<a", " x=\"12345\"", NULL },
	{ "many-marks", "<a", " data-msys-clicktrack=0", NULL },
	{ "nested-div", "", "<div>", NULL },
	{ "nested-b", "", "<b>", NULL },
	{ "nested-table", "", "<table><tr><td>", NULL },
	{ "div-then-b", "", "<div>", "</b>" },
	{ "amp", "", "&", NULL },
	{ "amp-in-href", "<a href=\"http://", "&a", NULL },
	{ "stray-p", "", "</p>", NULL },
	{ "svg", "", "<svg>", NULL },
	{ "svg-then-x", "", "<svg>", "</x>" },
	{ "svg-desc", "", "<svg><desc>", "</b>" },
	{ "template", "", "<template>", "</template>" },
	{ "select", "", "<select>", NULL },
	{ "title", "", "<title>", NULL },
	{ "title-end", "<title>", "</titl", NULL },
	{ "script", "<script>", "<!--<script ", NULL },
	{ "script-end", "<script><!--", "</script", NULL },
	{ "href-unclosed", "", "<a href=\"", NULL },
	{ "links", "", "<a href=\"http://x/\">", NULL },
	{ "text", "", "word ", NULL },
	{ "bogus", "", "<!x", NULL },
	{ "cdata", "<svg><![CDATA[", "]]", NULL },
	{ "spaces", "", "\n", NULL },
};

static int
one_shape(const char *name, size_t size)
{
	struct html_links_options opt = HTML_LINKS_DEFAULTS;
	struct html_edits edits;
	struct buf text;
	double start;
	size_t i;

	for (i = 0; i < COUNT(shapes) && strcmp(shapes[i].name, name) != 0; i++)
		;
	if (i == COUNT(shapes))
		return 64;
	buf_init(&text, BUF_NO_LIMIT);
	buf_adds(&text, shapes[i].head);
	while (text.len < size)
		buf_adds(&text, text.len > size / 2 && shapes[i].half != NULL ? shapes[i].half
									      : shapes[i].unit);
	buf_adds(&text, "\">"); /* so that a tag that is still open counts */
	opt.max_part = opt.max_edits = opt.max_href = opt.max_target = SIZE_MAX;
	start = cpu_seconds();
	html_links_find(&opt, buf_slice(&text), &edits);
	printf("%.6f %zu\n", cpu_seconds() - start, edits.count);
	html_edits_free(&edits);
	buf_free(&text);
	return 0;
}

int
main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "shapes") == 0) {
		for (size_t i = 0; i < COUNT(shapes); i++)
			puts(shapes[i].name);
		return 0;
	}
	if (argc == 4 && strcmp(argv[1], "shape") == 0)
		return one_shape(argv[2], strtoul(argv[3], NULL, 10));
	if (argc < 4)
		return 64;
	return over_files(strcmp(argv[1], "ours") == 0   ? run_ours
			  : strcmp(argv[1], "scan") == 0 ? run_scan
							 : run_libxml2,
	    strtoul(argv[2], NULL, 10), argc - 3, argv + 3);
}
