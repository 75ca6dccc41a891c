#include "common/conf_builder.h"

#include "common/conf_powermta.h"
#include "common/conf_value.h"

#define SCRATCH_SIZE 256 /* for the value of a directive that is kept as text only */

static void
set_given(uint64_t *given, size_t row)
{
	given[row / 64] |= 1ULL << row % 64;
}

/* Whatever is not acted on is said once for each name. */
static void
remark_row(struct conf_builder *b, const struct conf_block *block, const struct conf_row *row,
    const char *name, struct conf_at at)
{
	bool *said = &b->row_warned[row - conf_rows];
	bool block_said = block->tag != NULL &&
	                  ((block->tag->flags & CONF_ROW_LATER) != 0 || block->tag->actors == 0);

	if (block_said)
		return;
	if ((row->flags & CONF_ROW_FAMILY) == 0
		? *said
		: !conf_names_add(&b->family_warned, slice_str(name), said))
		return;
	if (row->actors == 0)
		conf_warn(b, at, "%s: has no meaning outside PowerMTA; ignored", name);
	else if ((row->flags & CONF_ROW_LATER) != 0)
		conf_warn(b, at, "%s: not acted on by this version", name);
	*said = true;
}

static bool
is_list(const struct conf_row *row)
{
	return (row->flags & (CONF_ROW_REPEAT | CONF_ROW_FAMILY)) != 0;
}

/* The item for this row: a new one, or the one that is there if only the last counts. */
static struct conf_item *
item_for(
    struct conf_builder *b, struct conf_block *block, const struct conf_row *row, struct conf_at at)
{
	size_t n, i;

	i = (size_t)(row - conf_rows_of(block->scope, &n));
	if (block->single == NULL)
		block->single = conf_mem_alloc(b->mem, n, sizeof(*block->single));
	if (!is_list(row) && block->single[i] != NULL) {
		struct conf_at before = block->single[i]->at;

		conf_warn(b, at, "%s: given before, at %s:%u; this one counts", row->name,
		    before.file, before.line);
		return block->single[i];
	}
	block->single[i] = conf_mem_alloc(b->mem, 1, sizeof(struct conf_item));
	*block->items_end = block->single[i];
	block->items_end = &block->single[i]->next;
	return block->single[i];
}

static void
mark_given(struct conf_block *block, const struct conf_row *row)
{
	size_t n, i = (size_t)(row - conf_rows_of(block->scope, &n));

	if (block->scope == CONF_IN_SOURCE)
		set_given(((struct conf_source *)block->owner)->given, i);
	else if (block->scope == CONF_IN_DOMAIN)
		set_given(((struct conf_domain *)block->owner)->given, i);
}

/* One directive into its block. -1: reading must stop. */
int
conf_take_directive(struct conf_builder *b, struct conf_block *block, const struct conf_row *row,
    const char *name, struct conf_at at, const struct conf_args *args)
{
	_Alignas(max_align_t) char scratch[SCRATCH_SIZE] = { 0 };
	struct conf_value v = { .row = row,
		.at = at,
		.args = args->v,
		.n = args->n,
		.mem = b->mem,
		.owner = block->owner,
		.may_read_files = b->may_read_files };
	void *element = NULL, *out = scratch;
	struct conf_item *item;
	struct err e;
	int rc = 0;

	if (is_list(row) && row->size > 0)
		out = element = conf_mem_alloc(b->mem, 1, row->type->size);
	else if (row->size > 0)
		out = conf_member(row, block->owner);
	buf_init(&v.text, 4 * CONF_LINE_MAX);
	buf_init(&v.remark, 256);
	if (conf_value_parse(&v, name, out, &e) < 0) {
		rc = conf_fail(b, at, "%s", e.text) ? 0 : -1;
	} else {
		item = item_for(b, block, row, at);
		item->row = row;
		item->name = (row->flags & CONF_ROW_FAMILY) != 0 ? name : row->name;
		item->at = at;
		item->text = conf_mem_dup(b->mem, buf_slice(&v.text));
		item->ref = v.ref;
		item->element = element;
		mark_given(block, row);
		if (v.remark.len > 0)
			conf_warn(b, at, "%s: %s", name, buf_str(&v.remark));
		remark_row(b, block, row, name, at);
		if (row->type == &conf_type_domain_macro &&
		    !conf_add_macro(b, args->v[0].text, item))
			rc = -1;
	}
	buf_free(&v.text);
	buf_free(&v.remark);
	return rc;
}

/* Known to PowerMTA, and nothing to us: said once, with what takes its place. False: unknown. */
static bool
skip_powermta(
    struct conf_builder *b, const struct conf_block *block, const struct conf_statement *st)
{
	const struct conf_powermta *p = conf_powermta_find(block->scope, st->name);

	if (p != NULL &&
	    conf_names_add(&b->family_warned, slice_str(p->name), (void *)(uintptr_t)p))
		conf_warn(b, st->at, "%s: PowerMTA's, ignored: %s", p->name, p->instead);
	return p != NULL;
}

static const struct conf_row *
pattern_row(enum conf_scope scope)
{
	size_t n;
	const struct conf_row *rows = conf_rows_of(scope, &n);

	return n == 1 && (rows->flags & CONF_ROW_PATTERN) != 0 ? rows : NULL;
}

int
conf_read_directive(
    struct conf_builder *b, struct conf_block *block, const struct conf_statement *st)
{
	const struct conf_row *row = pattern_row(block->scope);
	struct slice rest = st->rest;
	const char *name;
	struct err e;

	if (row == NULL)
		row = conf_row_find(block->scope, st->name);
	else if (st->name.len > 0) /* the line as a whole is the pattern */
		rest =
		    (struct slice){ st->name.p, (size_t)(st->rest.p - st->name.p) + st->rest.len };
	if (row == NULL && skip_powermta(b, block, st))
		return 0;
	if (row == NULL) {
		buf_clear(&b->text);
		if (st->name.len == 0)
			buf_adds(&b->text, "expected the name of a directive");
		else
			conf_row_explain(block->tag, block->scope, st->name, &b->text);
		return conf_fail(b, st->at, "%s", buf_str(&b->text)) ? 0 : -1;
	}
	name = (row->flags & CONF_ROW_FAMILY) != 0
	           ? conf_mem_lower(b->mem, slice_head(st->name, 64))
	       : row->name[0] != '\0' ? row->name
	                              : block->tag->name;
	if (conf_args_split(&b->args, rest, row->type->split, &e) < 0)
		return conf_fail(b, st->at, "%s: %s", name, e.text) ? 0 : -1;
	if (b->args.glued_comment)
		conf_warn(b, st->at,
		    "%s: '#' begins a comment; put the value in double quotes if it belongs to it",
		    name);
	return conf_take_directive(b, block, row, name, st->at, &b->args);
}
