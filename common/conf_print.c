#include <stdlib.h>

#include "common/conf.h"
#include "common/conf_private.h"
#include "common/conf_read.h"
#include "common/conf_value.h"

struct printer {
	const struct conf *conf;
	FILE *out;
	bool verbose, secrets;
};

/* ---- the configuration ---- */

static void
indent(const struct printer *p, unsigned depth)
{
	for (unsigned i = 0; i < depth; i++)
		fputs("    ", p->out);
}

static bool
is_secret(const struct printer *p, const struct conf_row *row)
{
	if ((row->flags & CONF_ROW_SECRET) == 0)
		return false;
	/* A certificate is one only with the password of its key. */
	return row->type != &conf_type_certificate || p->conf->tls_certificate_password != NULL;
}

static void
remark(const struct printer *p, unsigned actors, unsigned flags, bool preset)
{
	struct buf by;

	if (p->verbose) {
		buf_init(&by, 200);
		conf_actors_print(actors, &by);
		fprintf(p->out, "  # %s%s%s", buf_str(&by), preset ? "; default" : "",
		    (flags & CONF_ROW_LATER) != 0 ? "; not acted on by this version" : "");
		buf_free(&by);
	}
	fputc('\n', p->out);
}

static void
print_line(const struct printer *p, unsigned depth, const struct conf_row *row, const char *name,
    const char *text, bool preset)
{
	indent(p, depth);
	if (is_secret(p, row) && !p->secrets) {
		fprintf(p->out, "# %s not shown\n", name);
		return;
	}
	if ((row->flags & CONF_ROW_PATTERN) != 0)
		fputs(text, p->out);
	else
		fprintf(p->out, "%s %s", name, text);
	remark(p, row->actors, row->flags, preset);
}

/* Lines of the defaults of what was not given. */
static void
print_presets(
    const struct printer *p, unsigned depth, enum conf_scope scope, struct conf_item *const *single)
{
	size_t n;
	const struct conf_row *rows = conf_rows_of(scope, &n);
	struct buf text;

	for (size_t i = 0; i < n; i++) {
		if (rows[i].preset == NULL || (rows[i].flags & CONF_ROW_PRESET_IS_COMPUTED) != 0 ||
		    (single != NULL && single[i] != NULL))
			continue;
		buf_init(&text, CONF_LINE_MAX);
		buf_adds(&text, rows[i].preset);
		print_line(p, depth, &rows[i], rows[i].name, buf_str(&text), true);
		buf_free(&text);
	}
}

/* In these, a default that is written out would win over what is merged with it. */
static bool
is_merged(enum conf_scope scope)
{
	return scope == CONF_IN_SOURCE || scope == CONF_IN_DOMAIN;
}

static void
print_items(const struct printer *p, unsigned depth, const struct conf_block *block)
{
	for (const struct conf_item *i = block->items; i != NULL; i = i->next)
		print_line(p, depth, i->row, i->name, i->text, false);
	if (!is_merged(block->scope))
		print_presets(p, depth, block->scope, block->single);
}

static void
print_block(const struct printer *p, unsigned depth, const struct conf_block *block)
{
	fputc('\n', p->out);
	indent(p, depth);
	fprintf(p->out, "<%s%s%s>", block->tag->name, block->name_text == NULL ? "" : " ",
	    block->name_text == NULL ? "" : block->name_text);
	remark(p, block->tag->actors, block->tag->flags, false);
	print_items(p, depth + 1, block);
	for (const struct conf_block *in = block->blocks; in != NULL; in = in->next)
		print_block(p, depth + 1, in);
	indent(p, depth);
	fprintf(p->out, "</%s>\n", block->tag->name);
}

/* Our own blocks apply even if they are not there. */
static void
print_absent_blocks(const struct printer *p)
{
	for (size_t i = 0; i < conf_n_tags; i++) {
		const struct conf_tag *tag = &conf_tags[i];
		const struct conf_names *names = p->conf->priv->root.names;

		if (tag->scope != CONF_IN_MILTER && tag->scope != CONF_IN_SPOOL &&
		    tag->scope != CONF_IN_TOKEN_KEYS && tag->scope != CONF_IN_COLLECTOR &&
		    tag->scope != CONF_IN_TRACKER)
			continue;
		if (names != NULL && conf_names_find(&names[i], SLICE_LIT("")) != NULL)
			continue;
		fprintf(p->out, "\n<%s>", tag->name);
		remark(p, tag->actors, tag->flags, true);
		print_presets(p, 1, tag->scope, NULL);
		fprintf(p->out, "</%s>\n", tag->name);
	}
}

void
conf_print(const struct conf *c, bool verbose, bool secrets, FILE *out)
{
	struct printer p = { c, out, verbose, secrets };

	print_items(&p, 0, &c->priv->root);
	for (const struct conf_block *b = c->priv->root.blocks; b != NULL; b = b->next)
		print_block(&p, 0, b);
	print_absent_blocks(&p);
}

/* ---- all directives ---- */

static void
print_argument(const struct conf_row *row, struct buf *out)
{
	if (row->type->arg != NULL) {
		buf_adds(out, row->type->arg);
		return;
	}
	for (const struct conf_word *w = row->words; w->word != NULL; w++)
		buf_printf(out, "%s%s", w == row->words ? "" : " | ", w->word);
}

static const char *const tag_takes[] = {
	[CONF_TAG_NOTHING] = NULL,
	[CONF_TAG_NAME] = "NAME",
	[CONF_TAG_SOURCE] = "IP | NETWORK | NAME | {auth} | {pickup} | {transmissions-api}",
	[CONF_TAG_DOMAIN] = "DOMAIN-PATTERN",
	[CONF_TAG_PATH_IF_ANY] = "[PATH]",
	[CONF_TAG_COMMAND] = "PATH",
};

static void
tag_title(const struct conf_tag *tag, struct buf *out)
{
	buf_printf(out, "<%s%s%s>", tag->name, tag_takes[tag->takes] == NULL ? "" : " ",
	    tag_takes[tag->takes] == NULL ? "" : tag_takes[tag->takes]);
}

/* "default no; acted on by milter, MTA; may be repeated" */
static void
print_facts(const struct conf_row *row, struct buf *out)
{
	if (row->preset != NULL)
		buf_printf(out, "Default: %s. ", row->preset);
	if (row->most > 0) {
		buf_adds(out, "Takes ");
		conf_value_expected(row, out);
		buf_adds(out, ". ");
	}
	if ((row->flags & CONF_ROW_REPEAT) != 0)
		buf_adds(out, "May be repeated. ");
	if (row->actors == 0) {
		buf_adds(out, "Accepted and ignored.");
		return;
	}
	buf_adds(out, "Acts on it: ");
	conf_actors_print(row->actors, out);
	buf_addc(out, '.');
	if ((row->flags & CONF_ROW_LATER) != 0)
		buf_adds(out, " Not acted on by this version.");
}

#define MDOC_COLUMNS 78

static void
mdoc_char(char c, bool line_begins, FILE *out)
{
	if (c == '\\')
		fputs("\\e", out);
	else if (line_begins && (c == '.' || c == '\''))
		fprintf(out, "\\&%c", c);
	else
		fputc(c, out);
}

/* Text into mdoc: no line may begin as a request or be too long, no character be an escape. */
static void
mdoc_text(struct slice s, FILE *out)
{
	size_t column = 0;
	struct slice word;

	while (slice_word(&s, &word)) {
		if (column > 0 && column + 1 + word.len > MDOC_COLUMNS) {
			fputc('\n', out);
			column = 0;
		} else if (column > 0) {
			fputc(' ', out);
			column++;
		}
		for (size_t i = 0; i < word.len; i++)
			mdoc_char(word.p[i], column == 0 && i == 0, out);
		column += word.len;
	}
}

/* One argument that is shown as it is: in quotes, so that no word is a macro or a delimiter. */
static void
mdoc_literal(const char *text, FILE *out)
{
	fputc('"', out);
	for (const char *c = text; *c != '\0'; c++)
		if (*c == '"')
			fputs("\\(dq", out);
		else
			mdoc_char(*c, false, out);
	fputc('"', out);
}

/* Sentences on lines of their own, as mdoc wants them. */
static void
mdoc_sentences(const char *text, FILE *out)
{
	struct slice rest = slice_str(text);

	while (rest.len > 0) {
		size_t n = 0;

		while (n < rest.len &&
		       !(rest.p[n] == '.' &&
			   (n + 1 == rest.len || (rest.p[n + 1] == ' ' &&
						     rest.p[n + 2 < rest.len ? n + 2 : n] >= 'A' &&
						     rest.p[n + 2 < rest.len ? n + 2 : n] <= 'Z'))))
			n++;
		mdoc_text(slice_head(rest, n + 1), out);
		fputc('\n', out);
		rest = slice_trim(slice_skip(rest, n + 1));
	}
}

/* A macro's argument: in quotes, so that "|" and "]" are no delimiters. */
static void
mdoc_arg(const char *text, FILE *out)
{
	fputc(' ', out);
	mdoc_literal(text, out);
}

static void
sentence(const char *help, struct buf *out)
{
	size_t at = out->len;

	buf_adds(out, help);
	if (out->len > at && out->p[at] >= 'a' && out->p[at] <= 'z' &&
	    slice_find(slice_str(help), ' ') != slice_find(slice_str(help), '@'))
		out->p[at] = (char)(out->p[at] - ('a' - 'A'));
	buf_addc(out, '.');
}

static void
print_example(bool mdoc, const struct conf_row *row, FILE *out)
{
	struct buf line;

	buf_init(&line, 1000);
	if (conf_example(row, &line)) {
		fputs(mdoc ? ".Dl " : "        Example: ", out);
		if (mdoc)
			mdoc_literal(buf_str(&line), out);
		else
			fputs(buf_str(&line), out);
		fputc('\n', out);
	}
	buf_free(&line);
}

static void
print_row(bool mdoc, const struct conf_row *row, FILE *out)
{
	struct buf arg, facts, help;

	buf_init(&arg, 1000);
	buf_init(&facts, 2000);
	buf_init(&help, 2000);
	print_argument(row, &arg);
	print_facts(row, &facts);
	sentence(row->help, &help);
	if (mdoc) {
		fputs(".It", out);
		if (row->name[0] != '\0')
			fprintf(out, " Ic %s", row->name);
		fputs(" Ar", out);
		mdoc_arg(buf_str(&arg), out);
		fputc('\n', out);
		mdoc_sentences(buf_str(&help), out);
		mdoc_sentences(buf_str(&facts), out);
	} else {
		fprintf(out, "  %s%s%s\n        %s\n        %s\n", row->name,
		    row->name[0] == '\0' ? "" : " ", buf_str(&arg), buf_str(&help),
		    buf_str(&facts));
	}
	print_example(mdoc, row, out);
	buf_free(&arg);
	buf_free(&facts);
	buf_free(&help);
}

/* Every tag of a scope, and what stands in it. */
static void
print_scope_head(bool mdoc, enum conf_scope scope, FILE *out)
{
	struct buf title;

	if (scope == CONF_IN_GLOBAL) {
		fputs(mdoc ? ".Ss Top level\n" : "Top level\n", out);
		return;
	}
	for (size_t i = 0; i < conf_n_tags; i++) {
		const struct conf_tag *tag = &conf_tags[i];

		if (tag->scope != scope)
			continue;
		buf_init(&title, 400);
		tag_title(tag, &title);
		fputs(mdoc ? ".Ss " : "\n", out);
		fputs(buf_str(&title), out);
		fputc('\n', out);
		buf_clear(&title);
		sentence(tag->help, &title);
		if (mdoc)
			mdoc_sentences(buf_str(&title), out);
		else
			fprintf(out, "  %s\n", buf_str(&title));
		if ((tag->flags & CONF_ROW_LATER) != 0)
			fputs(mdoc ? "Not acted on by this version.\n"
				   : "  Not acted on by this version.\n",
			    out);
		buf_free(&title);
	}
}

void
conf_print_directives(bool mdoc, FILE *out)
{
	for (unsigned s = 0; s < CONF_N_SCOPES; s++) {
		size_t n;
		const struct conf_row *rows = conf_rows_of((enum conf_scope)s, &n);

		print_scope_head(mdoc, (enum conf_scope)s, out);
		if (mdoc)
			fputs(".Bl -tag -width Ds\n", out);
		for (size_t i = 0; i < n; i++)
			print_row(mdoc, &rows[i], out);
		if (mdoc)
			fputs(".El\n", out);
	}
}
