/*
 * conf_mem.h - memory that lives as long as a configuration and is freed in one go.
 */
#ifndef COMMON_CONF_MEM_H
#define COMMON_CONF_MEM_H

#include "common/slice.h"

struct conf_mem { /* all zero: empty */
	struct conf_mem_chunk *chunks;
	struct conf_mem_owned *owned;
};

void *conf_mem_alloc(struct conf_mem *m, size_t n, size_t size); /* zeroed */
const char *conf_mem_dup(struct conf_mem *m, struct slice s);
const char *conf_mem_lower(struct conf_mem *m, struct slice s); /* ASCII letters in lower case */

/* Call free_it(p) when the rest is freed. */
void conf_mem_own(struct conf_mem *m, void *p, void (*free_it)(void *));
void conf_mem_free(struct conf_mem *m);

#endif
