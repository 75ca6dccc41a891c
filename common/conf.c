#include "common/conf.h"

#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/conf_private.h"
#include "common/conf_read.h"
#include "common/conf_value.h"
#include "common/xalloc.h"

#define WARNINGS_MAX 1000
#define ERRORS_MAX   200
#define SCRATCH_SIZE 256 /* for the value of a directive that is kept as text only */

struct builder {
	struct conf *conf;
	struct conf_private *priv;
	struct conf_mem *mem;
	void (*report)(void *arg, const char *text); /* NULL: stop at the first error */
	void *arg;
	struct err *e; /* the first error */
	size_t n_errors, warnings_room;
	bool may_read_files;
	struct conf_block *open[CONF_NEST_MAX + 1]; /* NULL: a block that is skipped */
	size_t n_open;
	void *defaults[CONF_N_SCOPES];
	struct conf_args args;
	struct buf text;
	bool *row_warned, *tag_warned;
	struct conf_names family_warned; /* names of families, which have no row of their own */
};

/* ---- saying what is wrong ---- */

static void
place(struct conf_at at, struct buf *out)
{
	buf_adds(out, at.file);
	if (at.line > 0)
		buf_printf(out, ":%u", at.line);
}

static void
add_warning(struct builder *b, struct conf_at at, const char *text)
{
	struct conf *c = b->conf;
	bool last = c->n_warnings == WARNINGS_MAX - 1;

	if (c->n_warnings == WARNINGS_MAX)
		return;
	c->warnings = xgrow(c->warnings, c->n_warnings, &b->warnings_room, sizeof(*c->warnings));
	c->warnings[c->n_warnings++] = (struct conf_warning){ at,
		last ? "more warnings are not shown" : conf_mem_dup(b->mem, slice_str(text)) };
}

/* False: enough. Used by the reader too. */
static bool
report(void *arg, bool warning, struct conf_at at, const char *text)
{
	struct builder *b = arg;
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

__attribute__((format(printf, 4, 5))) static bool
say(struct builder *b, bool warning, struct conf_at at, const char *fmt, ...)
{
	char text[sizeof(b->e->text)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return report(b, warning, at, text);
}

#define fail(b, at, ...) say((b), false, (at), __VA_ARGS__)
#define warn(b, at, ...) (void)say((b), true, (at), __VA_ARGS__)

/* ---- the scopes' structs ---- */

static void
set_given(uint64_t *given, size_t row)
{
	given[row / 64] |= 1ULL << row % 64;
}

static void *
member(const struct conf_row *row, void *owner)
{
	return (char *)owner + row->offset;
}

/* Fill `owner` with the defaults of its rows. */
static void
preset(struct builder *b, enum conf_scope scope, void *owner)
{
	size_t n;
	const struct conf_row *rows = conf_rows_of(scope, &n);

	for (size_t i = 0; i < n; i++) {
		const struct conf_row *row = &rows[i];
		struct conf_value v = { .row = row, .mem = b->mem, .owner = owner };
		struct err e;

		if (row->preset == NULL || row->size == 0 ||
		    (row->flags & CONF_ROW_PRESET_IS_COMPUTED) != 0)
			continue;
		buf_init(&v.text, CONF_LINE_MAX);
		if (conf_args_split(&b->args, slice_str(row->preset), row->type->split, &e) < 0)
			abort(); /* the table is wrong */
		v.args = b->args.v;
		v.n = b->args.n;
		if (conf_value_parse(&v, row->name, member(row, owner), &e) < 0)
			abort();
		buf_free(&v.text);
	}
}

static const void *
defaults_of(struct builder *b, enum conf_scope scope, size_t size)
{
	if (b->defaults[scope] == NULL) {
		b->defaults[scope] = conf_mem_alloc(b->mem, 1, size);
		preset(b, scope, b->defaults[scope]);
	}
	return b->defaults[scope];
}

/* Where the struct of a block of its kind is; NULL: one for each block. */
static void *
fixed_owner(struct builder *b, const struct conf_block *parent, const struct conf_tag *tag)
{
	struct conf *c = b->conf;

	switch (tag->scope) {
	case CONF_IN_SIGNALS:
		return &c->signals;
	case CONF_IN_PROCESSOR:
		return tag->name[0] == 'b' ? &c->bounce : &c->feedback;
	case CONF_IN_ADDRESS_LIST:
	case CONF_IN_EMAIL_PATTERNS:
		return parent->owner;
	case CONF_IN_BOUNCE_CATEGORIES:
		return &c->bounce_categories;
	case CONF_IN_MILTER:
		return &c->milter;
	case CONF_IN_SPOOL:
		return &c->spool;
	case CONF_IN_TOKEN_KEYS:
		return &c->token_keys;
	case CONF_IN_COLLECTOR:
		return &c->collector;
	case CONF_IN_TRACKER:
		return &c->tracker;
	case CONF_IN_MAIL_LOG:
		return &c->mail_log;
	case CONF_IN_INBOUND:
		return &c->inbound;
	default:
		return NULL;
	}
}

static void
preset_all(struct builder *b)
{
	struct conf *c = b->conf;
	char host[256] = "";

	preset(b, CONF_IN_GLOBAL, c);
	preset(b, CONF_IN_SIGNALS, &c->signals);
	preset(b, CONF_IN_PROCESSOR, &c->bounce);
	preset(b, CONF_IN_PROCESSOR, &c->feedback);
	preset(b, CONF_IN_EMAIL_PATTERNS, &c->bounce);
	preset(b, CONF_IN_EMAIL_PATTERNS, &c->feedback);
	preset(b, CONF_IN_MILTER, &c->milter);
	preset(b, CONF_IN_SPOOL, &c->spool);
	preset(b, CONF_IN_TOKEN_KEYS, &c->token_keys);
	preset(b, CONF_IN_COLLECTOR, &c->collector);
	preset(b, CONF_IN_TRACKER, &c->tracker);
	preset(b, CONF_IN_MAIL_LOG, &c->mail_log);
	preset(b, CONF_IN_INBOUND, &c->inbound);
	b->priv->source_defaults = defaults_of(b, CONF_IN_SOURCE, sizeof(struct conf_source));
	b->priv->domain_defaults = defaults_of(b, CONF_IN_DOMAIN, sizeof(struct conf_domain));
	gethostname(host, sizeof(host) - 1);
	c->node_name = conf_mem_dup(b->mem, slice_str(host[0] != '\0' ? host : "localhost"));
}

/* ---- directives ---- */

/* Whatever is not acted on is said once for each name. */
static void
remark_row(struct builder *b, const struct conf_block *block, const struct conf_row *row,
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
		warn(b, at, "%s: has no meaning outside PowerMTA; ignored", name);
	else if ((row->flags & CONF_ROW_LATER) != 0)
		warn(b, at, "%s: not acted on by this version", name);
	*said = true;
}

static bool
is_list(const struct conf_row *row)
{
	return (row->flags & (CONF_ROW_REPEAT | CONF_ROW_FAMILY)) != 0;
}

/* The item for this row: a new one, or the one that is there if only the last counts. */
static struct conf_item *
item_for(struct builder *b, struct conf_block *block, const struct conf_row *row, struct conf_at at)
{
	size_t n, i;

	i = (size_t)(row - conf_rows_of(block->scope, &n));
	if (block->single == NULL)
		block->single = conf_mem_alloc(b->mem, n, sizeof(*block->single));
	if (!is_list(row) && block->single[i] != NULL) {
		struct conf_at before = block->single[i]->at;

		warn(b, at, "%s: given before, at %s:%u; this one counts", row->name, before.file,
		    before.line);
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
static int
take_directive(struct builder *b, struct conf_block *block, const struct conf_row *row,
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
		out = member(row, block->owner);
	buf_init(&v.text, 4 * CONF_LINE_MAX);
	buf_init(&v.remark, 256);
	if (conf_value_parse(&v, name, out, &e) < 0) {
		rc = fail(b, at, "%s", e.text) ? 0 : -1;
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
			warn(b, at, "%s: %s", name, buf_str(&v.remark));
		remark_row(b, block, row, name, at);
	}
	buf_free(&v.text);
	buf_free(&v.remark);
	return rc;
}

static const struct conf_row *
pattern_row(enum conf_scope scope)
{
	size_t n;
	const struct conf_row *rows = conf_rows_of(scope, &n);

	return n == 1 && (rows->flags & CONF_ROW_PATTERN) != 0 ? rows : NULL;
}

static int
read_directive(struct builder *b, struct conf_block *block, const struct conf_statement *st)
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
	if (row == NULL) {
		buf_clear(&b->text);
		if (st->name.len == 0)
			buf_adds(&b->text, "expected the name of a directive");
		else
			conf_row_explain(block->tag, block->scope, st->name, &b->text);
		return fail(b, st->at, "%s", buf_str(&b->text)) ? 0 : -1;
	}
	name = (row->flags & CONF_ROW_FAMILY) != 0
	           ? conf_mem_lower(b->mem, slice_head(st->name, 64))
	       : row->name[0] != '\0' ? row->name
	                              : block->tag->name;
	if (conf_args_split(&b->args, rest, row->type->split, &e) < 0)
		return fail(b, st->at, "%s: %s", name, e.text) ? 0 : -1;
	if (b->args.glued_comment)
		warn(b, st->at,
		    "%s: '#' begins a comment; put the value in double quotes if it belongs to it",
		    name);
	return take_directive(b, block, row, name, st->at, &b->args);
}

/* ---- blocks ---- */

static const char *const source_words[] = {
	[CONF_SOURCE_AUTH] = "{auth}",
	[CONF_SOURCE_PICKUP] = "{pickup}",
	[CONF_SOURCE_TRANSMISSIONS] = "{transmissions-api}",
};

/* The X of <source X>: what kind it is, and its canonical text. */
static int
parse_source_name(struct slice s, struct conf_source *out, struct buf *text, struct err *e)
{
	size_t plain = 0;

	for (size_t i = CONF_SOURCE_AUTH; i < COUNT(source_words); i++)
		if (slice_eqi(s, slice_str(source_words[i]))) {
			out->kind = (enum conf_source_kind)i;
			buf_adds(text, source_words[i]);
			return 0;
		}
	if (cidr_parse(s, &out->net, NULL) == 0) {
		out->kind = CONF_SOURCE_NET;
		cidr_print(&out->net, text);
		return 0;
	}
	/* An address with a slip in it must not become a name. */
	while (plain < s.len && strchr("0123456789./:", s.p[plain]) != NULL)
		plain++;
	if (plain == s.len || s.p[0] == '{' || slice_find(s, '/') < s.len ||
	    slice_find(s, ':') < s.len)
		return err_set(e,
		    "expected an IP address, a network, a name, {auth}, {pickup} or "
		    "{transmissions-api}, found '%.*s'",
		    SLICE_FMT(slice_head(s, 64)));
	out->kind = CONF_SOURCE_NAME;
	buf_add(text, s);
	return 0;
}

/* Check what stands in the tag; the canonical name goes to b->text. */
static int
parse_tag_name(struct builder *b, const struct conf_tag *tag, void *owner, struct err *e)
{
	const struct conf_args *a = &b->args;
	bool many = tag->takes == CONF_TAG_COMMAND;
	bool none = tag->takes == CONF_TAG_NOTHING;
	struct slice name = a->n > 0 ? a->v[0].text : (struct slice){ "", 0 };

	buf_clear(&b->text);
	if (none && a->n > 0)
		return err_set(e, "<%s> takes no name", tag->name);
	if (none || (tag->takes == CONF_TAG_PATH_IF_ANY && a->n == 0))
		return 0;
	if (name.len == 0 || (a->n > 1 && !many))
		return err_set(e, "<%s>: expected one name", tag->name);
	if (name.len > 255)
		return err_set(e, "<%s>: name longer than 255 characters", tag->name);
	if (tag->takes == CONF_TAG_SOURCE) {
		struct err why;

		return parse_source_name(name, owner, &b->text, &why) < 0
		           ? err_set(e, "<%s>: %s", tag->name, why.text)
		           : 0;
	}
	if (tag->takes == CONF_TAG_DOMAIN) {
		struct domain_pattern *p = &((struct conf_domain *)owner)->pattern;
		struct err why;

		if (domain_pattern_parse(name, p, &why) < 0)
			return err_set(e, "<%s>: %s", tag->name, why.text);
		if (p->domain != NULL)
			conf_mem_own(b->mem, p->domain, free);
		domain_pattern_print(p, &b->text);
		return 0;
	}
	for (size_t i = 0; i < a->n; i++) {
		if (i > 0)
			buf_addc(&b->text, ' ');
		buf_add(&b->text, a->v[i].text);
	}
	return 0;
}

/* Name and place into the struct. */
static void
sign_owner(struct conf_block *block)
{
	switch (block->scope) {
	case CONF_IN_SOURCE: {
		struct conf_source *s = block->owner;

		s->name = block->name;
		s->at = block->at;
		break;
	}
	case CONF_IN_REWRITE_LIST: {
		struct conf_rewrite_list *l = block->owner;

		l->name = block->name;
		l->at = block->at;
		break;
	}
	case CONF_IN_FILTER: {
		struct conf_signals_filter *f = block->owner;

		f->name = block->name;
		f->at = block->at;
		break;
	}
	case CONF_IN_SINK: {
		struct conf_sink *k = block->owner;

		k->name = block->name;
		k->at = block->at;
		break;
	}
	case CONF_IN_VMTA: {
		struct conf_vmta *v = block->owner;

		v->name = block->name;
		v->at = block->at;
		break;
	}
	case CONF_IN_POOL: {
		struct conf_pool *p = block->owner;

		p->name = block->name;
		p->at = block->at;
		break;
	}
	case CONF_IN_SMTP_USER: {
		struct conf_smtp_user *u = block->owner;

		u->name = block->name;
		u->at = block->at;
		u->method = "password";
		break;
	}
	case CONF_IN_DOMAIN:
		((struct conf_domain *)block->owner)->at = block->at;
		break;
	case CONF_IN_SIGNALS:
		((struct conf_signals *)block->owner)->at = block->at;
		((struct conf_signals *)block->owner)->given = true;
		break;
	case CONF_IN_TRACKER:
		((struct conf_tracker *)block->owner)->at = block->at;
		break;
	case CONF_IN_MAIL_LOG:
		((struct conf_mail_log *)block->owner)->at = block->at;
		((struct conf_mail_log *)block->owner)->given = true;
		break;
	case CONF_IN_PROCESSOR:
		((struct conf_processor *)block->owner)->at = block->at;
		((struct conf_processor *)block->owner)->given = true;
		break;
	default:
		break;
	}
}

static void
free_names(void *p)
{
	struct conf_names *names = p;

	for (size_t i = 0; i < conf_n_tags; i++)
		conf_names_free(&names[i]);
	free(names);
}

static struct conf_names *
names_in(struct builder *b, struct conf_block *parent, const struct conf_tag *tag)
{
	if (parent->names == NULL) {
		parent->names = xcalloc(conf_n_tags, sizeof(*parent->names));
		for (size_t i = 0; i < conf_n_tags; i++)
			parent->names[i].exact = conf_tags[i].exact_case;
		conf_mem_own(b->mem, parent->names, free_names);
	}
	return &parent->names[tag - conf_tags];
}

static void
print_tag_name(struct builder *b, const struct conf_tag *tag, struct buf *out)
{
	if (tag->takes == CONF_TAG_COMMAND) {
		for (size_t i = 0; i < b->args.n; i++) {
			if (i > 0)
				buf_addc(out, ' ');
			conf_arg_print(b->args.v[i].text, 0, out);
		}
		return;
	}
	conf_arg_print(buf_slice(&b->text), 0, out);
}

static struct conf_block *
add_block(struct builder *b, struct conf_block *parent, const struct conf_tag *tag, void *owner,
    struct conf_at at)
{
	struct conf_block *block = conf_mem_alloc(b->mem, 1, sizeof(*block));
	struct buf text;

	*block = (struct conf_block){
		.tag = tag, .scope = tag->scope, .at = at, .owner = owner, .parent = parent
	};
	block->items_end = &block->items;
	block->blocks_end = &block->blocks;
	if (b->text.len > 0 && tag->takes != CONF_TAG_PATH_IF_ANY) {
		block->name = conf_mem_dup(b->mem, buf_slice(&b->text));
		buf_init(&text, 4 * CONF_LINE_MAX);
		print_tag_name(b, tag, &text);
		block->name_text = conf_mem_dup(b->mem, buf_slice(&text));
		buf_free(&text);
	}
	*parent->blocks_end = block;
	parent->blocks_end = &block->next;
	conf_names_add(
	    names_in(b, parent, tag), slice_str(block->name == NULL ? "" : block->name), block);
	sign_owner(block);
	return block;
}

static void
remark_tag(struct builder *b, const struct conf_tag *tag, struct conf_at at)
{
	bool *said = &b->tag_warned[tag - conf_tags];

	if (*said)
		return;
	*said = true;
	if (tag->actors == 0)
		warn(b, at, "<%s>: has no meaning outside PowerMTA; ignored", tag->name);
	else if ((tag->flags & CONF_ROW_LATER) != 0)
		warn(b, at, "<%s>: not acted on by this version", tag->name);
}

/* <spool PATH> is <spool> with a directory line. */
static int
spool_path(struct builder *b, struct conf_block *block, struct conf_at at)
{
	const struct conf_row *row = conf_row_find(CONF_IN_SPOOL, SLICE_LIT("directory"));

	return b->args.n == 0 ? 0 : take_directive(b, block, row, "<spool>", at, &b->args);
}

/* The block that a tag begins, a new one or one that goes on. NULL: skip what is in it. */
static struct conf_block *
open_block(struct builder *b, struct conf_block *parent, const struct conf_tag *tag,
    const struct conf_statement *st, bool *stop)
{
	void *owner = fixed_owner(b, parent, tag);
	struct conf_block *block;
	struct err e;

	if (owner == NULL) {
		const void *from = defaults_of(b, tag->scope, tag->size);

		owner = conf_mem_alloc(b->mem, 1, tag->size);
		memcpy(owner, from, tag->size);
	}
	if (conf_args_split(&b->args, st->rest, 0, &e) < 0 ||
	    parse_tag_name(b, tag, owner, &e) < 0) {
		*stop = !fail(b, st->at, "%s", e.text);
		return NULL;
	}
	block = conf_names_find(names_in(b, parent, tag),
	    tag->takes == CONF_TAG_PATH_IF_ANY ? SLICE_LIT("") : buf_slice(&b->text));
	if (block != NULL && tag->twice_is_error) {
		*stop = !fail(b, st->at, "<%s %s>: given before, at %s:%u", tag->name,
		    block->name_text, block->at.file, block->at.line);
		return NULL;
	}
	if (block == NULL)
		block = add_block(b, parent, tag, owner, st->at);
	remark_tag(b, tag, st->at);
	if (tag->takes == CONF_TAG_PATH_IF_ANY && spool_path(b, block, st->at) < 0)
		*stop = true;
	return block;
}

static const struct conf_tag *
current_name(struct builder *b, const struct conf_tag *tag, struct conf_at at)
{
	if (!slice_eq(slice_str(tag->name), SLICE_LIT("sparkpost-analytics")))
		return tag;
	warn(b, at, "<sparkpost-analytics> is the old name of <signals>");
	return conf_tag_find(CONF_IN_GLOBAL, SLICE_LIT("signals"));
}

static int
read_open(struct builder *b, const struct conf_statement *st)
{
	struct conf_block *parent = b->open[b->n_open - 1], *block = NULL;
	const struct conf_tag *tag;
	bool stop = false;

	if (parent != NULL) {
		tag = conf_tag_find(parent->scope, st->name);
		if (tag != NULL) {
			block = open_block(b, parent, current_name(b, tag, st->at), st, &stop);
		} else {
			buf_clear(&b->text);
			conf_tag_explain(parent->tag, parent->scope, st->name, &b->text);
			stop = !fail(b, st->at, "%s", buf_str(&b->text));
		}
	}
	b->open[b->n_open++] = block;
	return stop ? -1 : 0;
}

static int
read_statement(struct builder *b, const struct conf_statement *st)
{
	struct conf_block *block = b->open[b->n_open - 1];

	switch (st->kind) {
	case CONF_OPEN:
		return read_open(b, st);
	case CONF_CLOSE:
		b->n_open--;
		return 0;
	case CONF_LINE:
		return block == NULL ? 0 : read_directive(b, block, st);
	}
	return 0;
}

/* ---- from blocks to the structs that are looked at ---- */

static const struct conf_names *
names_of(const struct builder *b, const char *tag_name)
{
	const struct conf_tag *tag = conf_tag_find(CONF_IN_GLOBAL, slice_str(tag_name));

	return b->priv->root.names == NULL ? NULL : &b->priv->root.names[tag - conf_tags];
}

static struct conf_block *
find_block(const struct builder *b, const char *tag_name, const char *name)
{
	const struct conf_names *names = names_of(b, tag_name);

	return names == NULL ? NULL : conf_names_find(names, slice_str(name));
}

static const char *const refers_to[] = {
	[CONF_TO_REWRITE_LIST] = "rewrite-list",
	[CONF_TO_KEY_LIST] = "domain-key-list",
	[CONF_TO_FILTER] = "signals-filter",
	[CONF_TO_VMTA] = "virtual-mta",
	[CONF_TO_VMTA_OR_POOL] = "virtual-mta",
	[CONF_TO_SOURCE] = "source",
	[CONF_TO_PATTERN_LIST] = "pattern-list",
};

static struct conf_block *
referred(const struct builder *b, const struct conf_item *item)
{
	struct conf_block *block = find_block(b, refers_to[item->row->refers], item->ref);

	if (block == NULL && item->row->refers == CONF_TO_VMTA_OR_POOL)
		block = find_block(b, "virtual-mta-pool", item->ref);
	/* A network or {auth} applies by itself; only a <source> with a name is named. */
	if (block != NULL && block->scope == CONF_IN_SOURCE &&
	    ((struct conf_source *)block->owner)->kind != CONF_SOURCE_NAME)
		return NULL;
	return block;
}

static bool
bad_reference(struct builder *b, const struct conf_item *item)
{
	const struct conf_names *names = names_of(b, refers_to[item->row->refers]);
	struct slice near = { NULL, 0 };
	const char *or_pool = "";

	if (item->row->refers == CONF_TO_SOURCE && find_block(b, "source", item->ref) != NULL)
		return fail(b, item->at,
		    "%s: <source %s> applies by itself; expected a <source> with a name",
		    item->name, item->ref);
	if (names != NULL)
		near = conf_names_near(names, slice_str(item->ref));
	if (item->row->refers == CONF_TO_VMTA_OR_POOL) {
		or_pool = " or <virtual-mta-pool>";
		names = names_of(b, "virtual-mta-pool");
		if (names != NULL && near.p == NULL)
			near = conf_names_near(names, slice_str(item->ref));
	}
	if (near.p == NULL)
		return fail(b, item->at, "%s: there is no <%s>%s '%.64s'", item->name,
		    refers_to[item->row->refers], or_pool, item->ref);
	return fail(b, item->at, "%s: there is no <%s>%s '%.64s' (did you mean '%.*s'?)",
	    item->name, refers_to[item->row->refers], or_pool, item->ref, SLICE_FMT(near));
}

/* Every name that something refers to must exist. */
static bool
check_references(struct builder *b, const struct conf_block *block)
{
	const struct conf_item *item = block->items;
	bool go_on = true;

	for (; item != NULL && go_on; item = item->next) {
		if (item->ref == NULL)
			continue;
		/* {auth} needs no block of its own: it is merged wherever it applies. */
		if (block->scope == CONF_IN_SMTP_USER &&
		    slice_eqi(slice_str(item->ref), SLICE_LIT("{auth}")))
			continue;
		if (referred(b, item) == NULL)
			go_on = bad_reference(b, item);
	}
	for (const struct conf_block *in = block->blocks; in != NULL && go_on; in = in->next)
		go_on = check_references(b, in);
	return go_on;
}

struct list { /* {n, v} as they stand in the structs */
	size_t n;
	void *v;
};

/* Do the elements of this item go to the list that begins at `offset`? */
static size_t
elements_of(const struct builder *b, const struct conf_item *item, const struct conf_row *row,
    const void **from)
{
	const struct conf_row *own = item->row;

	*from = item->element;
	if (row->type == &conf_type_domain_key && own->refers == CONF_TO_KEY_LIST) {
		const struct conf_domain_keys *keys = referred(b, item)->owner;

		*from = keys->v;
		return keys->n;
	}
	if (item->element == NULL || own->offset != row->offset)
		return 0;
	if (own->type == &conf_type_address_file) {
		const struct conf_addresses *list = item->element;

		*from = list->v;
		return list->n;
	}
	return 1;
}

static void
build_list(struct builder *b, struct conf_block *block, const struct conf_row *row)
{
	size_t size = row->type->size, n = 0, at = 0;
	struct list list = { 0 };
	const void *from;

	for (const struct conf_item *i = block->items; i != NULL; i = i->next)
		n += elements_of(b, i, row, &from);
	if (n == 0)
		return;
	list.n = n;
	list.v = conf_mem_alloc(b->mem, n, size);
	for (const struct conf_item *i = block->items; i != NULL; i = i->next) {
		size_t count = elements_of(b, i, row, &from);

		if (count > 0)
			memcpy((char *)list.v + at * size, from, count * size);
		at += count;
	}
	memcpy(member(row, block->owner), &list, sizeof(list));
}

static void
build_lists(struct builder *b, struct conf_block *block)
{
	size_t n;
	const struct conf_row *rows = conf_rows_of(block->scope, &n);

	for (size_t i = 0; i < n; i++)
		/* address-file adds to the list of address. */
		if ((rows[i].flags & CONF_ROW_REPEAT) != 0 && rows[i].size > 0 &&
		    rows[i].type != &conf_type_address_file)
			build_list(b, block, &rows[i]);
}

/* Lists of a block and all in it, key lists before those that use them. */
static void
build_all_lists(struct builder *b, struct conf_block *block, bool key_lists)
{
	if ((block->scope == CONF_IN_KEY_LIST) == key_lists)
		build_lists(b, block);
	for (struct conf_block *in = block->blocks; in != NULL; in = in->next)
		build_all_lists(b, in, key_lists);
}

static int
by_weight(const void *a, const void *b)
{
	unsigned wa = domain_pattern_weight(&((const struct conf_domain *)a)->pattern);
	unsigned wb = domain_pattern_weight(&((const struct conf_domain *)b)->pattern);

	return wa == wb ? 0 : wa > wb ? -1 : 1;
}

/* Copies of the structs of all blocks of a scope, in one array, in order. */
static void *
gather(struct builder *b, struct conf_block *in, enum conf_scope scope, size_t size, size_t *n)
{
	char *all, *at;

	*n = 0;
	for (const struct conf_block *i = in->blocks; i != NULL; i = i->next)
		*n += i->scope == scope;
	if (*n == 0)
		return NULL;
	at = all = conf_mem_alloc(b->mem, *n, size);
	for (struct conf_block *i = in->blocks; i != NULL; i = i->next)
		if (i->scope == scope) {
			memcpy(at, i->owner, size);
			i->built = at;
			at += size;
		}
	return all;
}

static struct conf_domain *
gather_domains(struct builder *b, struct conf_block *in, size_t *n)
{
	struct conf_domain *v = gather(b, in, CONF_IN_DOMAIN, sizeof(*v), n);

	if (*n > 0)
		qsort(v, *n, sizeof(*v), by_weight);
	return v;
}

static int
source_rank(const struct conf_source *s)
{
	static const int ranks[] = {
		[CONF_SOURCE_NET] = 0,
		[CONF_SOURCE_NAME] = 1000,
		[CONF_SOURCE_PICKUP] = 1001,
		[CONF_SOURCE_AUTH] = 1002,
		[CONF_SOURCE_TRANSMISSIONS] = 1003,
	};

	if (s->kind != CONF_SOURCE_NET)
		return ranks[s->kind];
	return s->net.family == AF_UNSPEC ? 0 : 1 + (int)s->net.bits;
}

static int
by_rank(const void *a, const void *b)
{
	const struct conf_source *sa = a, *sb = b;
	int ra = source_rank(sa), rb = source_rank(sb);

	if (ra != rb)
		return ra < rb ? -1 : 1;
	/* As given: qsort() alone does not keep the order of equals. */
	return sa->order < sb->order ? -1 : sa->order > sb->order;
}

static void
build_sources(struct builder *b)
{
	struct conf *c = b->conf;

	c->sources = gather(b, &b->priv->root, CONF_IN_SOURCE, sizeof(*c->sources), &c->n_sources);
	for (size_t i = 0; i < c->n_sources; i++)
		c->sources[i].order = i;
	if (c->n_sources > 0)
		qsort(c->sources, c->n_sources, sizeof(*c->sources), by_rank);
}

static void
build_vmtas(struct builder *b)
{
	struct conf *c = b->conf;
	struct conf_block *in;
	size_t n = 0;

	for (in = b->priv->root.blocks; in != NULL; in = in->next)
		c->n_vmtas += in->scope == CONF_IN_VMTA;
	c->vmtas = c->n_vmtas == 0 ? NULL : conf_mem_alloc(b->mem, c->n_vmtas, sizeof(*c->vmtas));
	for (in = b->priv->root.blocks; in != NULL; in = in->next) {
		struct conf_vmta *v = in->owner;

		if (in->scope != CONF_IN_VMTA)
			continue;
		v->domains = gather_domains(b, in, &v->n_domains);
		in->built = c->vmtas[n++] = v;
	}
}

static void
build_pools(struct builder *b)
{
	struct conf *c = b->conf;

	for (struct conf_block *in = b->priv->root.blocks; in != NULL; in = in->next) {
		struct conf_pool *p = in->owner;
		size_t n = 0;

		if (in->scope != CONF_IN_POOL)
			continue;
		p->domains = gather_domains(b, in, &p->n_domains);
		p->turn = conf_mem_alloc(b->mem, 1, sizeof(*p->turn));
		atomic_init(p->turn, 0);
		for (const struct conf_item *i = in->items; i != NULL; i = i->next)
			if (i->row->refers == CONF_TO_VMTA)
				p->members[n++] = referred(b, i)->built;
		if (n == 0)
			warn(b, in->at, "<virtual-mta-pool %s> has no virtual-mta", in->name_text);
	}
	c->pools = gather(b, &b->priv->root, CONF_IN_POOL, sizeof(*c->pools), &c->n_pools);
}

/* Names become pointers, in the structs that blocks were read into. */
static void
resolve(struct builder *b, struct conf_block *block)
{
	for (const struct conf_item *i = block->items; i != NULL; i = i->next) {
		const void *target;

		if (i->row->size == 0 || i->ref == NULL)
			continue;
		if (i->row->refers == CONF_TO_REWRITE_LIST) {
			target = referred(b, i)->built;
			memcpy(member(i->row, block->owner), &target, sizeof(target));
		} else if (i->row->refers == CONF_TO_FILTER) {
			((struct conf_enable_signals *)member(i->row, block->owner))->filter =
			    referred(b, i)->built;
		}
	}
	for (struct conf_block *in = block->blocks; in != NULL; in = in->next)
		resolve(b, in);
}

/* What all tracked links begin with. */
static const char *
build_tracking_base(struct builder *b)
{
	const struct conf *c = b->conf;
	const char *domain = c->signals.tracking_domain;
	const char *base = domain;
	struct buf text;

	if (domain == NULL && c->host_names.n > 0)
		domain = c->host_names.v[0];
	if (domain != NULL && strstr(domain, "://") == NULL) {
		buf_init(&text, CONF_LINE_MAX);
		buf_printf(&text, "https://%s", domain);
		base = conf_mem_dup(b->mem, buf_slice(&text));
		buf_free(&text);
	}
	return base;
}

static void
build(struct builder *b)
{
	struct conf *c = b->conf;
	struct conf_block *root = &b->priv->root;

	build_all_lists(b, root, true);
	build_all_lists(b, root, false);
	c->rewrite_lists =
	    gather(b, root, CONF_IN_REWRITE_LIST, sizeof(*c->rewrite_lists), &c->n_rewrite_lists);
	c->filters = gather(b, root, CONF_IN_FILTER, sizeof(*c->filters), &c->n_filters);
	c->sinks = gather(b, root, CONF_IN_SINK, sizeof(*c->sinks), &c->n_sinks);
	for (size_t i = 0; i < c->n_sinks; i++)
		if (c->sinks[i].max_event_age_s == 0)
			c->sinks[i].max_event_age_s =
			    c->sinks[i].type == CONF_SINK_SPARKPOST ? 86400 : CONF_UNLIMITED;
	c->smtp_users =
	    gather(b, root, CONF_IN_SMTP_USER, sizeof(*c->smtp_users), &c->n_smtp_users);
	resolve(b, root);
	build_sources(b);
	build_vmtas(b);
	build_pools(b);
	c->domains = gather_domains(b, root, &c->n_domains);
	c->tracking_base = build_tracking_base(b);
	if (c->enable_signals.enable == CONF_SIGNALS_UNSAID)
		c->enable_signals.enable = c->signals.given ? CONF_SIGNALS_ON : CONF_SIGNALS_OFF;
}

/* Links lead somewhere; who has not said where must know it. */
static bool
check_tracking(struct builder *b)
{
	const struct conf *c = b->conf;
	const struct conf_tracker *t = &c->tracker;

	if (c->signals.engagement_tracking != CONF_TRACKING_OFF &&
	    c->signals.tracking_domain == NULL) {
		if (c->tracking_base != NULL)
			warn(b, c->signals.at,
			    "no tracking-domain: tracked links lead to %s/, "
			    "where signalpost-tracker must answer",
			    c->tracking_base);
		else
			warn(b, c->signals.at,
			    "neither tracking-domain nor host-name: "
			    "nothing can be tracked");
	}
	if ((t->tls_certificate == NULL) != (t->tls_key == NULL))
		return fail(b, t->at, "<tracker>: %s is missing",
		    t->tls_key == NULL ? "tls-key" : "tls-certificate");
	return true;
}

/* A block that asks for nothing is a mistake. */
static bool
check_mail_log(struct builder *b)
{
	const struct conf_mail_log *l = &b->conf->mail_log;

	if (l->given && l->files.n == 0 && !l->journal)
		return fail(b, l->at, "<mail-log>: neither file nor journal says where the log is");
	if (l->given && l->unknown_after_s > l->index_age_s)
		return fail(b, l->at, "<mail-log>: unknown-after is longer than index-age");
	return true;
}

/* Failed authentications are seen in the MTA's log and nowhere else. */
static void
check_auth_rate(struct builder *b)
{
	const struct conf_block *in = b->priv->root.blocks;

	if (b->conf->mail_log.given)
		return;
	for (; in != NULL; in = in->next)
		for (const struct conf_item *i = in->items; i != NULL; i = i->next)
			if (slice_eq(slice_str(i->name),
				SLICE_LIT("smtp-max-auth-failure-rate")) &&
			    !slice_eq(slice_str(i->text), SLICE_LIT("unlimited"))) {
				warn(b, i->at,
				    "smtp-max-auth-failure-rate: nobody is refused by it without a "
				    "<mail-log>, where failures are seen");
				return;
			}
}

#define SINK_NAME_MAX 40 /* it becomes part of file names */

static bool
check_sink(struct builder *b, const struct conf_sink *k)
{
	bool file = k->type == CONF_SINK_FILE;

	if (slice_eqi(slice_str(k->name), SLICE_LIT("signals")))
		return fail(b, k->at, "<sink signals>: that is upload-url's in <signals>");
	if (strlen(k->name) > SINK_NAME_MAX ||
	    strspn(k->name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") !=
		strlen(k->name))
		return fail(b, k->at, "<sink %s>: a name has %d letters, digits, - and _ at most",
		    k->name, SINK_NAME_MAX);
	if (k->type == CONF_SINK_NONE)
		return fail(b, k->at, "<sink %s>: type is missing", k->name);
	if (file && k->directory == NULL)
		return fail(b, k->at, "<sink %s>: directory is missing", k->name);
	if (file && (k->url != NULL || k->api_key != NULL || k->headers.n > 0))
		return fail(b, k->at, "<sink %s>: url, api-key and header are not for type file",
		    k->name);
	if (!file && k->url == NULL)
		return fail(b, k->at, "<sink %s>: url is missing", k->name);
	if (!file && k->directory != NULL)
		return fail(b, k->at, "<sink %s>: directory is for type file", k->name);
	if (k->type == CONF_SINK_SPARKPOST && k->api_key == NULL)
		return fail(b, k->at, "<sink %s>: api-key is missing", k->name);
	if (k->type == CONF_SINK_SPARKPOST && (k->flat || !k->gzip))
		return fail(b, k->at,
		    "<sink %s>: type sparkpost takes format msys and compress gzip only", k->name);
	return true;
}

static bool
check_sinks(struct builder *b)
{
	const struct conf *c = b->conf;
	bool required = c->signals.given, go_on = true;

	for (size_t i = 0; i < c->n_sinks && go_on; i++) {
		go_on = check_sink(b, &c->sinks[i]);
		required = required || c->sinks[i].required;
	}
	if (go_on && c->n_sinks > 0 && !required)
		return fail(b, c->sinks[0].at,
		    "<sink %s>: no sink is required: segments would never go", c->sinks[0].name);
	return go_on;
}

/* What only shows when all is read. */
static void
check_whole(struct builder *b)
{
	const struct conf *c = b->conf;
	bool go_on = check_tracking(b) && check_mail_log(b) && check_sinks(b);

	check_auth_rate(b);
	if (go_on && c->signals.given && c->signals.api_key == NULL)
		go_on = fail(b, c->signals.at, "<signals>: api-key is missing");
	if (c->enable_signals.enable == CONF_SIGNALS_ON && !c->signals.given)
		warn(b, ((struct conf_at){ c->file, 0 }),
		    "enable-signals without a <signals> block: "
		    "events have nowhere to go");
	for (const struct conf_block *in = b->priv->root.blocks; in != NULL && go_on;
	     in = in->next) {
		const struct conf_block *vmta;

		if (in->scope == CONF_IN_SMTP_USER &&
		    ((struct conf_smtp_user *)in->owner)->password == NULL)
			go_on =
			    fail(b, in->at, "<smtp-user %s>: password is missing", in->name_text);
		if (in->scope != CONF_IN_POOL)
			continue;
		vmta = find_block(b, "virtual-mta", in->name);
		if (vmta != NULL)
			go_on = fail(b, in->at,
			    "<virtual-mta-pool %s>: there is a <virtual-mta> of that name at %s:%u",
			    in->name_text, vmta->at.file, vmta->at.line);
	}
}

/* What is forwarded to a processor's own address would come back to be forwarded. */
static void
check_inbound(struct builder *b)
{
	for (const struct conf_block *in = b->priv->root.blocks; in != NULL; in = in->next)
		for (const struct conf_item *i = in->items; i != NULL; i = i->next) {
			enum conf_relay relay;

			/* The resolver of libc takes nothing else from us. */
			if (strcmp(i->row->name, "dns-resolver") == 0 && i->text[0] == '[' &&
			    !fail(b, i->at, "dns-resolver: expected an IPv4 address, found %s",
				i->text))
				return;

			if (in->scope != CONF_IN_PROCESSOR ||
			    strncmp(i->row->name, "forward-", 8) != 0)
				continue;
			relay = conf_relay_for(b->conf, slice_str(i->text));
			if ((relay == CONF_RELAY_BOUNCE || relay == CONF_RELAY_FEEDBACK) &&
			    !fail(b, i->at, "%s: %s is in the address-list of <%s>: it would come back",
				i->row->name, i->text,
				relay == CONF_RELAY_BOUNCE ? "bounce-processor" : "feedback-loop-processor"))
				return;
		}
}

/* ---- loading ---- */

static struct conf *
conf_new(struct builder *b)
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
load(struct builder *b, struct conf_reader *reader)
{
	struct conf_statement st;
	int rc = -1;

	if (reader != NULL)
		while ((rc = conf_reader_next(reader, &st)) > 0)
			if (read_statement(b, &st) < 0) {
				rc = -1;
				break;
			}
	conf_reader_close(reader);
	if (rc == 0)
		check_references(b, &b->priv->root);
	if (rc == 0 && b->n_errors == 0) {
		build(b);
		check_whole(b);
	}
	if (rc == 0 && b->n_errors == 0) {
		conf_index(b->conf);
		check_inbound(b);
	}
	buf_free(&b->text);
	conf_args_free(&b->args);
	conf_names_free(&b->family_warned);
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
	struct builder b = { .report = report_fn, .arg = arg, .e = &first, .may_read_files = true };
	struct conf *c = conf_new(&b);
	struct conf_reader *reader;

	c->file = conf_mem_dup(b.mem, slice_str(file));
	preset_all(&b);
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
	struct builder b = { .e = &first };
	struct conf *c = conf_new(&b);

	c->file = conf_mem_dup(b.mem, slice_str(name));
	preset_all(&b);
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
