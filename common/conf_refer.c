#include "common/conf_builder.h"

static const struct conf_names *
names_of(const struct conf_builder *b, const char *tag_name)
{
	const struct conf_tag *tag = conf_tag_find(CONF_IN_GLOBAL, slice_str(tag_name));

	return b->priv->root.names == NULL ? NULL : &b->priv->root.names[tag - conf_tags];
}

struct conf_block *
conf_find_block(const struct conf_builder *b, const char *tag_name, const char *name)
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

struct conf_block *
conf_referred(const struct conf_builder *b, const struct conf_item *item)
{
	struct conf_block *block = conf_find_block(b, refers_to[item->row->refers], item->ref);

	if (block == NULL && item->row->refers == CONF_TO_VMTA_OR_POOL)
		block = conf_find_block(b, "virtual-mta-pool", item->ref);
	/* A network or {auth} applies by itself; only a <source> with a name is named. */
	if (block != NULL && block->scope == CONF_IN_SOURCE &&
	    ((struct conf_source *)block->owner)->kind != CONF_SOURCE_NAME)
		return NULL;
	return block;
}

static bool
bad_reference(struct conf_builder *b, const struct conf_item *item)
{
	const struct conf_names *names = names_of(b, refers_to[item->row->refers]);
	struct slice near = { NULL, 0 };
	const char *or_pool = "";

	if (item->row->refers == CONF_TO_SOURCE && conf_find_block(b, "source", item->ref) != NULL)
		return conf_fail(b, item->at,
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
		return conf_fail(b, item->at, "%s: there is no <%s>%s '%.64s'", item->name,
		    refers_to[item->row->refers], or_pool, item->ref);
	return conf_fail(b, item->at, "%s: there is no <%s>%s '%.64s' (did you mean '%.*s'?)",
	    item->name, refers_to[item->row->refers], or_pool, item->ref, SLICE_FMT(near));
}

/* In braces: PowerMTA's words, or a name that an smtp-user or listener gives. "{auht}" is neither.
 */
static bool
check_braced_sources(struct conf_builder *b)
{
	const struct conf_block *in = b->priv->root.blocks;
	bool go_on = true;

	for (; in != NULL && go_on; in = in->next)
		if (in->scope == CONF_IN_SOURCE && !in->referred && in->name[0] == '{' &&
		    ((const struct conf_source *)in->owner)->kind == CONF_SOURCE_NAME)
			go_on = conf_fail(b, in->at,
			    "<source>: " CONF_SOURCE_EXPECTED ", found '%.64s'", in->name);
	return go_on;
}

static bool
check_block(struct conf_builder *b, const struct conf_block *block)
{
	const struct conf_item *item = block->items;
	struct conf_block *to;
	bool go_on = true;

	for (; item != NULL && go_on; item = item->next) {
		if (item->ref == NULL)
			continue;
		/* {auth} needs no block of its own: it is merged wherever it applies. */
		if (block->scope == CONF_IN_SMTP_USER &&
		    slice_eqi(slice_str(item->ref), SLICE_LIT("{auth}")))
			continue;
		to = conf_referred(b, item);
		if (to == NULL)
			go_on = bad_reference(b, item);
		else
			to->referred = true;
	}
	for (const struct conf_block *in = block->blocks; in != NULL && go_on; in = in->next)
		go_on = check_block(b, in);
	return go_on;
}

/* Every name that something refers to must exist. */
bool
conf_check_references(struct conf_builder *b)
{
	return check_block(b, &b->priv->root) && check_braced_sources(b);
}
