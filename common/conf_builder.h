/*
 * conf_builder.h - from statements to a struct conf; what conf.c and the files
 * named below share, and nobody else includes. The order of the work:
 *
 *	conf_defaults.c		every scope's struct with the defaults of its rows
 *	conf_block.c		<tags>: which block a statement belongs to
 *	conf_directive.c	lines: values into the block's struct, texts for conf_print()
 *	conf_refer.c		what is referred to by its name must exist
 *	conf_build.c		blocks become the lists and pointers of struct conf
 *	conf_check.c		what shows only when all is read
 *
 * Functions that return bool after an error say whether reading goes on; -1 means
 * the same as false.
 */
#ifndef COMMON_CONF_BUILDER_H
#define COMMON_CONF_BUILDER_H

#include "common/conf_private.h"
#include "common/conf_read.h"

struct conf_builder {
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
	size_t n_expanded;
	struct conf_names macros; /* domain-macro: texts like "a.example,b.example" */
	bool quiet;               /* no warnings: said for a twin */
};

/* Record a warning, or an error; false: enough, stop. */
__attribute__((format(printf, 4, 5))) bool conf_say(
    struct conf_builder *b, bool warning, struct conf_at at, const char *fmt, ...);

#define conf_fail(b, at, ...) conf_say((b), false, (at), __VA_ARGS__)
#define conf_warn(b, at, ...) (void)conf_say((b), true, (at), __VA_ARGS__)

/* Where the row's value is in the struct of its scope. */
static inline void *
conf_member(const struct conf_row *row, void *owner)
{
	return (char *)owner + row->offset;
}

#define CONF_SOURCE_EXPECTED                                                                       \
	"expected an IP address, a network, a name, {auth}, {pickup} or {transmissions-api}"

/* ---- conf_defaults.c ---- */

/* Fill everything that is there without a block of its own. */
void conf_preset_all(struct conf_builder *b);
/* The defaults of a scope that has a struct for each block, `size` bytes of them. */
const void *conf_defaults_of(struct conf_builder *b, enum conf_scope scope, size_t size);

/* ---- conf_block.c ---- */

/* -1: reading must stop. */
int conf_read_statement(struct conf_builder *b, const struct conf_statement *st);

/* domain-macro has been read: a line NAME DOMAIN,... False: stop. */
bool conf_add_macro(struct conf_builder *b, struct slice name, const struct conf_item *item);

/* ---- conf_directive.c ---- */

/* A line of `block`. -1: reading must stop. */
int conf_read_directive(
    struct conf_builder *b, struct conf_block *block, const struct conf_statement *st);
/* Its second half: one directive whose row is known. -1: reading must stop. */
int conf_take_directive(struct conf_builder *b, struct conf_block *block,
    const struct conf_row *row, const char *name, struct conf_at at, const struct conf_args *args);

/* ---- conf_refer.c ---- */

/* The block <TAG_NAME NAME> of the whole configuration, or NULL. */
struct conf_block *conf_find_block(
    const struct conf_builder *b, const char *tag_name, const char *name);
/* What item->ref names, or NULL. */
struct conf_block *conf_referred(const struct conf_builder *b, const struct conf_item *item);
/* Every name that something refers to must exist. False: stop. */
bool conf_check_references(struct conf_builder *b);

/* ---- conf_build.c, conf_check.c ---- */

/* Fill the lists and pointers of struct conf; all references are good. */
void conf_build(struct conf_builder *b);
void conf_check_whole(struct conf_builder *b);
/* Needs the indexes. */
void conf_check_inbound(struct conf_builder *b);

#endif
