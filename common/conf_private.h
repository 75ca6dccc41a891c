/*
 * conf_private.h - what conf.c, conf_lookup.c and conf_print.c share, and
 * nobody else includes: the configuration as it was written, and the indexes
 * over it.
 */
#ifndef COMMON_CONF_PRIVATE_H
#define COMMON_CONF_PRIVATE_H

#include "common/conf.h"
#include "common/conf_mem.h"
#include "common/conf_names.h"
#include "common/conf_table.h"

struct conf_item { /* one directive */
	const struct conf_row *row;
	const char *name; /* lower case; differs from the row's in a family */
	struct conf_at at;
	const char *text; /* canonical arguments */
	const char *ref;  /* NULL, or what it refers to */
	void *element;    /* of a list; NULL otherwise */
	struct conf_item *next;
};

struct conf_block {
	const struct conf_tag *tag; /* NULL: the whole configuration */
	enum conf_scope scope;
	struct conf_at at;
	const char *name, *name_text; /* NULL: none; as it is written in the tag */
	void *owner;                  /* the scope's struct as it was filled while reading */
	void *built;                  /* where it is in struct conf */
	struct conf_item *items, **items_end;
	struct conf_item **single; /* by row: the item of what counts once */
	struct conf_block *parent, *blocks, **blocks_end, *next;
	struct conf_block *twin;  /* while it is read: the next one that takes the same lines */
	bool referred;            /* something names it */
	struct conf_names *names; /* by tag: the blocks in this one; NULL: none */
};

/* Domain patterns, found by the domain and its parents. */
struct conf_patterns {
	struct conf_names suffixes; /* of struct conf_pattern_kinds */
	struct conf_pattern_kinds *kinds;
	size_t n_other; /* '*' and networks */
	const struct domain_pattern **other;
};

struct conf_address_index {
	struct conf_names domains, texts; /* texts: addresses and local parts */
	size_t n_regexes;
	const struct regex **regexes;
};

struct conf_private {
	struct conf_mem mem;
	struct conf_block root;
	const struct conf_source *source_defaults;
	const struct conf_domain *domain_defaults;
	struct conf_patterns relay;
	struct conf_names host_names;
	struct conf_address_index relay_addresses, bounce, feedback;
	struct conf_names users; /* smtp-users */
};

/* Build the indexes of a configuration that is complete. */
void conf_index(struct conf *c);
void conf_index_free(struct conf_private *p);

#endif
