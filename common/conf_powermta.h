/*
 * conf_powermta.h - PowerMTA's directives that an MTA of its own needs and that have no
 * effect here, each with what takes its place. They are accepted with one warning, so
 * that a configuration that has served PowerMTA can be read as it is; any other name
 * that is not in conf_table.h is an error.
 */
#ifndef COMMON_CONF_POWERMTA_H
#define COMMON_CONF_POWERMTA_H

#include "common/conf_table.h"
#include "common/slice.h"

struct conf_powermta {
	const char *name;
	unsigned scopes; /* 1 << enum conf_scope, where it may stand */
	const char
	    *instead; /* for people: what does it with Postfix or sendmail, or why nothing must */
};

/* NULL: no such directive of PowerMTA in this scope. The name's case does not count. */
const struct conf_powermta *conf_powermta_find(enum conf_scope scope, struct slice name);

#endif
