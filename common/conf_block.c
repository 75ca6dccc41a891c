#include "common/conf_builder.h"

#include <stdlib.h>

#include "common/xalloc.h"

#define EXPANDED_MAX 300000 /* blocks and lines that domain-macro makes of fewer */

/* Where the struct of a block of its kind is; NULL: one for each block. */
static void *
fixed_owner(struct conf_builder *b, const struct conf_block *parent, const struct conf_tag *tag)
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

/* PowerMTA's names of its own things, and of sources that smtp-users name. */
static bool
is_braced(struct slice s)
{
	return s.len > 2 && s.p[0] == '{' && s.p[s.len - 1] == '}';
}

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
	if (is_braced(s)) { /* "{customer}": a name, if somebody refers to it (conf_refer.c) */
		out->kind = CONF_SOURCE_NAME;
		buf_add(text, s);
		return 0;
	}
	/* An address with a slip in it must not become a name. */
	while (plain < s.len && strchr("0123456789./:", s.p[plain]) != NULL)
		plain++;
	if (plain == s.len || s.p[0] == '{' || slice_find(s, '/') < s.len ||
	    slice_find(s, ':') < s.len)
		return err_set(
		    e, CONF_SOURCE_EXPECTED ", found '%.*s'", SLICE_FMT(slice_head(s, 64)));
	out->kind = CONF_SOURCE_NAME;
	buf_add(text, s);
	return 0;
}

/* Check what stands in the tag; the canonical name goes to b->text. */
static int
parse_tag_name(struct conf_builder *b, const struct conf_tag *tag, void *owner, struct err *e)
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
names_in(struct conf_builder *b, struct conf_block *parent, const struct conf_tag *tag)
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
print_tag_name(struct conf_builder *b, const struct conf_tag *tag, struct buf *out)
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
add_block(struct conf_builder *b, struct conf_block *parent, const struct conf_tag *tag,
    void *owner, struct conf_at at)
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
remark_tag(struct conf_builder *b, const struct conf_tag *tag, struct conf_at at)
{
	bool *said = &b->tag_warned[tag - conf_tags];

	if (*said)
		return;
	*said = true;
	if (tag->actors == 0)
		conf_warn(b, at, "<%s>: has no meaning outside PowerMTA; ignored", tag->name);
	else if ((tag->flags & CONF_ROW_LATER) != 0)
		conf_warn(b, at, "<%s>: not acted on by this version", tag->name);
}

/* <spool PATH> is <spool> with a directory line. */
static int
spool_path(struct conf_builder *b, struct conf_block *block, struct conf_at at)
{
	const struct conf_row *row = conf_row_find(CONF_IN_SPOOL, SLICE_LIT("directory"));

	return b->args.n == 0 ? 0 : conf_take_directive(b, block, row, "<spool>", at, &b->args);
}

/* The block of a tag whose arguments are b->args, a new one or one that goes on. NULL: skip it. */
static struct conf_block *
named_block(struct conf_builder *b, struct conf_block *parent, const struct conf_tag *tag,
    const struct conf_statement *st, bool *stop)
{
	void *owner = fixed_owner(b, parent, tag);
	struct conf_block *block;
	struct err e;

	if (owner == NULL) {
		const void *from = conf_defaults_of(b, tag->scope, tag->size);

		owner = conf_mem_alloc(b->mem, 1, tag->size);
		memcpy(owner, from, tag->size);
	}
	if (parse_tag_name(b, tag, owner, &e) < 0) {
		*stop = !conf_fail(b, st->at, "%s", e.text);
		return NULL;
	}
	block = conf_names_find(names_in(b, parent, tag),
	    tag->takes == CONF_TAG_PATH_IF_ANY ? SLICE_LIT("") : buf_slice(&b->text));
	if (block != NULL && tag->twice_is_error) {
		*stop = !conf_fail(b, st->at, "<%s %s>: given before, at %s:%u", tag->name,
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

bool
conf_add_macro(struct conf_builder *b, struct slice name, const struct conf_item *item)
{
	const char *list = strrchr(item->text, ' ') + 1; /* patterns have no blanks */
	const char *copy = conf_mem_dup(b->mem, name);

	return conf_names_add(&b->macros, slice_str(copy), (void *)(uintptr_t)list) ||
	       conf_fail(b, item->at, "domain-macro: '%s' is given before", copy);
}

/* <domain $NAME>: the first domain's block is returned, those of the others take the same lines. */
static struct conf_block *
macro_blocks(struct conf_builder *b, struct conf_block *parent, const struct conf_tag *tag,
    const struct conf_statement *st, bool *stop)
{
	struct slice name = slice_skip(b->args.v[0].text, 1), near;
	const char *list = conf_names_find(&b->macros, name);
	struct slice rest = slice_str(list == NULL ? "" : list);
	struct conf_block *first = NULL, **end = &first;

	if (list == NULL) {
		near = conf_names_near(&b->macros, name);
		*stop = !conf_fail(b, st->at, "<%s>: there is no domain-macro '%.*s' above%s%.*s%s",
		    tag->name, SLICE_FMT(slice_head(name, 64)),
		    near.len > 0 ? " (did you mean '$" : "", SLICE_FMT(near),
		    near.len > 0 ? "'?)" : "");
		return NULL;
	}
	while (rest.len > 0 && !*stop) {
		struct conf_block *block;

		if (++b->n_expanded > EXPANDED_MAX) {
			conf_fail(b, st->at, "more than %d blocks and lines by domain-macro",
			    EXPANDED_MAX);
			*stop = true;
			break;
		}
		b->args.v[0].text = slice_cut(&rest, ',');
		block = named_block(b, parent, tag, st, stop);
		if (block != NULL && block->twin == NULL && end != &block->twin) {
			*end = block;
			end = &block->twin;
		}
	}
	return first;
}

/* NULL: skip what is in it. */
static struct conf_block *
open_block(struct conf_builder *b, struct conf_block *parent, const struct conf_tag *tag,
    const struct conf_statement *st, bool *stop)
{
	struct slice name;
	struct err e;

	/* Reading the defaults uses b->args, so it comes first. */
	if (fixed_owner(b, parent, tag) == NULL)
		(void)conf_defaults_of(b, tag->scope, tag->size);
	if (conf_args_split(&b->args, st->rest, 0, &e) < 0) {
		*stop = !conf_fail(b, st->at, "%s", e.text);
		return NULL;
	}
	name = b->args.n == 1 ? b->args.v[0].text : (struct slice){ "", 0 };
	if (tag->takes == CONF_TAG_DOMAIN && name.len > 1 && name.p[0] == '$')
		return macro_blocks(b, parent, tag, st, stop);
	if (tag->takes == CONF_TAG_DOMAIN && is_braced(name)) {
		conf_warn(b, st->at, "<%s %.*s>: a queue of PowerMTA; ignored", tag->name,
		    SLICE_FMT(slice_head(name, 64)));
		return NULL;
	}
	return named_block(b, parent, tag, st, stop);
}

/* "spool PATH" is "<spool PATH>" and its end. */
static int
read_spool(struct conf_builder *b, struct conf_block *root, const struct conf_statement *st)
{
	const struct conf_tag *tag = conf_tag_find(CONF_IN_GLOBAL, SLICE_LIT("spool"));
	bool stop = false;

	open_block(b, root, tag, st, &stop);
	return stop ? -1 : 0;
}

static const struct conf_tag *
current_name(struct conf_builder *b, const struct conf_tag *tag, struct conf_at at)
{
	if (!slice_eq(slice_str(tag->name), SLICE_LIT("sparkpost-analytics")))
		return tag;
	conf_warn(b, at, "<sparkpost-analytics> is the old name of <signals>");
	return conf_tag_find(CONF_IN_GLOBAL, SLICE_LIT("signals"));
}

static int
read_open(struct conf_builder *b, const struct conf_statement *st)
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
			stop = !conf_fail(b, st->at, "%s", buf_str(&b->text));
		}
	}
	b->open[b->n_open++] = block;
	return stop ? -1 : 0;
}

static void
forget_twins(struct conf_block *block)
{
	while (block != NULL) {
		struct conf_block *next = block->twin;

		block->twin = NULL;
		block = next;
	}
}

/* For the block and its twins; what is wrong or remarkable is said once. */
static int
read_line(struct conf_builder *b, struct conf_block *block, const struct conf_statement *st)
{
	size_t errors = b->n_errors;
	int rc = 0;

	/* PowerMTA's short form of a block without lines. */
	if (block->tag == NULL && slice_eqi(st->name, SLICE_LIT("spool")))
		return read_spool(b, block, st);
	for (; block != NULL && rc == 0 && b->n_errors == errors; block = block->twin) {
		rc = conf_read_directive(b, block, st);
		b->quiet = true;
		b->n_expanded += block->twin != NULL;
	}
	b->quiet = false;
	return rc;
}

int
conf_read_statement(struct conf_builder *b, const struct conf_statement *st)
{
	struct conf_block *block = b->open[b->n_open - 1];

	switch (st->kind) {
	case CONF_OPEN:
		return read_open(b, st);
	case CONF_CLOSE:
		b->n_open--;
		forget_twins(block);
		return 0;
	case CONF_LINE:
		return block == NULL ? 0 : read_line(b, block, st);
	}
	return 0;
}
