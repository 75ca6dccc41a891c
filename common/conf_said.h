/*
 * conf_said.h - what a configuration says, directive by directive, as it stands in the
 * file: for those who must account for every line of it.
 */
#ifndef COMMON_CONF_SAID_H
#define COMMON_CONF_SAID_H

#include "common/conf.h"
#include "common/conf_table.h"

struct conf_said { /* one directive; all of it is the conf's */
	const struct conf_row *row;
	const char *text; /* its arguments, in canonical form */
	struct conf_at at;
	enum conf_scope scope;
	const struct conf_domain *domain; /* the <domain> block that it stands in, or NULL */
	const struct conf_vmta *vmta;     /* the <virtual-mta> around it, or NULL */
	const struct conf_pool *pool;     /* the <virtual-mta-pool>, or NULL */
};

/* Calls `tell` for each directive, in order of blocks, those of a block as they were said. */
void conf_said_each(
    const struct conf *c, void (*tell)(void *arg, const struct conf_said *said), void *arg);

#endif
