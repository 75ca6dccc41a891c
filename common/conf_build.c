#include "common/conf_builder.h"

#include <stdlib.h>

#include "common/conf_value.h"

struct list { /* {n, v} as they stand in the structs */
	size_t n;
	void *v;
};

/* Do the elements of this item go to the list that begins at `offset`? */
static size_t
elements_of(const struct conf_builder *b, const struct conf_item *item, const struct conf_row *row,
    const void **from)
{
	const struct conf_row *own = item->row;

	*from = item->element;
	if (row->type == &conf_type_domain_key && own->refers == CONF_TO_KEY_LIST) {
		const struct conf_domain_keys *keys = conf_referred(b, item)->owner;

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
build_list(struct conf_builder *b, struct conf_block *block, const struct conf_row *row)
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
	memcpy(conf_member(row, block->owner), &list, sizeof(list));
}

static void
build_lists(struct conf_builder *b, struct conf_block *block)
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
build_all_lists(struct conf_builder *b, struct conf_block *block, bool key_lists)
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
gather(struct conf_builder *b, struct conf_block *in, enum conf_scope scope, size_t size, size_t *n)
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
gather_domains(struct conf_builder *b, struct conf_block *in, size_t *n)
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
build_sources(struct conf_builder *b)
{
	struct conf *c = b->conf;

	c->sources = gather(b, &b->priv->root, CONF_IN_SOURCE, sizeof(*c->sources), &c->n_sources);
	for (size_t i = 0; i < c->n_sources; i++)
		c->sources[i].order = i;
	if (c->n_sources > 0)
		qsort(c->sources, c->n_sources, sizeof(*c->sources), by_rank);
}

static void
build_vmtas(struct conf_builder *b)
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
build_pools(struct conf_builder *b)
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
				p->members[n++] = conf_referred(b, i)->built;
		if (n == 0)
			conf_warn(
			    b, in->at, "<virtual-mta-pool %s> has no virtual-mta", in->name_text);
	}
	c->pools = gather(b, &b->priv->root, CONF_IN_POOL, sizeof(*c->pools), &c->n_pools);
}

/* Names become pointers, in the structs that blocks were read into. */
static void
resolve(struct conf_builder *b, struct conf_block *block)
{
	for (const struct conf_item *i = block->items; i != NULL; i = i->next) {
		const void *target;

		if (i->row->size == 0 || i->ref == NULL)
			continue;
		if (i->row->refers == CONF_TO_REWRITE_LIST) {
			target = conf_referred(b, i)->built;
			memcpy(conf_member(i->row, block->owner), &target, sizeof(target));
		} else if (i->row->refers == CONF_TO_FILTER) {
			((struct conf_enable_signals *)conf_member(i->row, block->owner))->filter =
			    conf_referred(b, i)->built;
		}
	}
	for (struct conf_block *in = block->blocks; in != NULL; in = in->next)
		resolve(b, in);
}

/* What all tracked links begin with. */
static const char *
build_tracking_base(struct conf_builder *b)
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

void
conf_build(struct conf_builder *b)
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
