/*
 * conf_names.h - from a name to what has it, in constant time; and the name
 * that was probably meant.
 */
#ifndef COMMON_CONF_NAMES_H
#define COMMON_CONF_NAMES_H

#include "common/slice.h"

struct conf_names {     /* all zero: empty */
	size_t n, room; /* room: a power of two, or 0 */
	struct conf_name *v;
	bool exact; /* names differ by the case of letters */
};

/* `name` must live as long. The first value of a name stays; false if there was one. */
bool conf_names_add(struct conf_names *t, struct slice name, void *value);
void *conf_names_find(const struct conf_names *t, struct slice name); /* NULL: none */
void conf_names_free(struct conf_names *t);

/* The nearest name by edit distance, or an empty slice when none is near. */
struct slice conf_names_near(const struct conf_names *t, struct slice name);

/*
 * Letters to insert, delete, change or swap to make `a` of `b`, without case;
 * SIZE_MAX if either is longer than a name may reasonably be.
 */
size_t conf_names_distance(struct slice a, struct slice b);

/* Is a distance small enough for "did you mean"? */
bool conf_names_is_near(struct slice name, size_t distance);

#endif
