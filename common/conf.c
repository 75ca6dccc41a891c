#include "common/conf.h"

#include <stdarg.h>
#include <stdlib.h>

#include "common/conf_builder.h"
#include "common/xalloc.h"

#define WARNINGS_MAX 1000
#define ERRORS_MAX   200

/* ---- saying what is wrong ---- */

static void
place(struct conf_at at, struct buf *out)
{
	buf_adds(out, at.file);
	if (at.line > 0)
		buf_printf(out, ":%u", at.line);
}

static void
add_warning(struct conf_builder *b, struct conf_at at, const char *text)
{
	struct conf *c = b->conf;
	bool last = c->n_warnings == WARNINGS_MAX - 1;

	if (b->quiet || c->n_warnings == WARNINGS_MAX)
		return;
	c->warnings = xgrow(c->warnings, c->n_warnings, &b->warnings_room, sizeof(*c->warnings));
	c->warnings[c->n_warnings++] = (struct conf_warning){ at,
		last ? "more warnings are not shown" : conf_mem_dup(b->mem, slice_str(text)) };
}

/* False: enough. Used by the reader too. */
static bool
report(void *arg, bool warning, struct conf_at at, const char *text)
{
	struct conf_builder *b = arg;
	struct buf where;
	struct err e;

	if (warning) {
		add_warning(b, at, text);
		return true;
	}
	buf_init(&where, 400);
	place(at, &where);
	err_text(&e, 0, "%s: %s", buf_str(&where), text);
	buf_free(&where);
	if (b->n_errors++ == 0 && b->e != NULL)
		*b->e = e;
	if (b->report != NULL)
		b->report(b->arg, e.text);
	return b->report != NULL && b->n_errors < ERRORS_MAX;
}

__attribute__((format(printf, 4, 5))) bool
conf_say(struct conf_builder *b, bool warning, struct conf_at at, const char *fmt, ...)
{
	char text[sizeof(b->e->text)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return report(b, warning, at, text);
}

/* ---- loading ---- */

static struct conf *
conf_new(struct conf_builder *b)
{
	struct conf *c = xcalloc(1, sizeof(*c));
	struct conf_private *p = xcalloc(1, sizeof(*p));

	c->priv = p;
	p->root.scope = CONF_IN_GLOBAL;
	p->root.owner = c;
	p->root.items_end = &p->root.items;
	p->root.blocks_end = &p->root.blocks;
	b->conf = c;
	b->priv = p;
	b->mem = &p->mem;
	b->open[0] = &p->root;
	b->n_open = 1;
	b->row_warned = conf_mem_alloc(b->mem, conf_n_rows, sizeof(bool));
	b->tag_warned = conf_mem_alloc(b->mem, conf_n_tags, sizeof(bool));
	conf_args_init(&b->args);
	buf_init(&b->text, 4 * CONF_LINE_MAX);
	return c;
}

/* Takes over the reader, which may be NULL (with the reason in *b->e). */
static struct conf *
load(struct conf_builder *b, struct conf_reader *reader)
{
	struct conf_statement st;
	int rc = -1;

	if (reader != NULL)
		while ((rc = conf_reader_next(reader, &st)) > 0)
			if (conf_read_statement(b, &st) < 0) {
				rc = -1;
				break;
			}
	conf_reader_close(reader);
	if (rc == 0)
		conf_check_references(b);
	if (rc == 0 && b->n_errors == 0) {
		conf_build(b);
		conf_check_whole(b);
	}
	if (rc == 0 && b->n_errors == 0) {
		conf_index(b->conf);
		conf_check_inbound(b);
	}
	buf_free(&b->text);
	conf_args_free(&b->args);
	conf_names_free(&b->family_warned);
	conf_names_free(&b->macros);
	if (rc < 0 || b->n_errors > 0) {
		conf_free(b->conf);
		return NULL;
	}
	return b->conf;
}

struct conf *
conf_load_all(
    const char *file, void (*report_fn)(void *arg, const char *text), void *arg, struct err *e)
{
	struct err first;
	struct conf_builder b = {
		.report = report_fn, .arg = arg, .e = &first, .may_read_files = true
	};
	struct conf *c = conf_new(&b);
	struct conf_reader *reader;

	c->file = conf_mem_dup(b.mem, slice_str(file));
	conf_preset_all(&b);
	reader = conf_reader_open(b.mem, file, report, &b, &first);
	if (reader == NULL && report_fn != NULL)
		report_fn(arg, first.text);
	c = load(&b, reader);
	if (c == NULL && e != NULL)
		*e = first;
	return c;
}

struct conf *
conf_load(const char *file, struct err *e)
{
	return conf_load_all(file, NULL, NULL, e);
}

struct conf *
conf_parse(const char *name, struct slice text, struct err *e)
{
	struct err first;
	struct conf_builder b = { .e = &first };
	struct conf *c = conf_new(&b);

	c->file = conf_mem_dup(b.mem, slice_str(name));
	conf_preset_all(&b);
	c = load(&b, conf_reader_open_text(b.mem, name, text, report, &b));
	if (c == NULL && e != NULL)
		*e = first;
	return c;
}

void
conf_free(struct conf *c)
{
	if (c == NULL)
		return;
	conf_index_free(c->priv);
	conf_mem_free(&c->priv->mem);
	free(c->priv);
	free(c->warnings);
	free(c);
}
