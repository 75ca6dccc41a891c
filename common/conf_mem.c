#include "common/conf_mem.h"

#include <stdint.h>
#include <stdlib.h>

#include "common/xalloc.h"

/*
 * One malloc() each: a configuration is small and loaded seldom, and so the
 * sanitizers see an overrun of any piece.
 */
struct conf_mem_chunk {
	struct conf_mem_chunk *next;
	max_align_t data[];
};

struct conf_mem_owned {
	struct conf_mem_owned *next;
	void *p;
	void (*free_it)(void *);
};

void *
conf_mem_alloc(struct conf_mem *m, size_t n, size_t size)
{
	struct conf_mem_chunk *c;

	if (size != 0 && n > (SIZE_MAX - sizeof(*c)) / size)
		abort(); /* counts come from what is in memory already */
	c = xcalloc(1, sizeof(*c) + n * size);
	c->next = m->chunks;
	m->chunks = c;
	return c->data;
}

const char *
conf_mem_dup(struct conf_mem *m, struct slice s)
{
	char *copy = conf_mem_alloc(m, s.len + 1, 1);

	if (s.len > 0)
		memcpy(copy, s.p, s.len);
	return copy;
}

const char *
conf_mem_lower(struct conf_mem *m, struct slice s)
{
	char *copy = conf_mem_alloc(m, s.len + 1, 1);

	for (size_t i = 0; i < s.len; i++)
		copy[i] = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] + ('a' - 'A')) : s.p[i];
	return copy;
}

void
conf_mem_own(struct conf_mem *m, void *p, void (*free_it)(void *))
{
	struct conf_mem_owned *o = conf_mem_alloc(m, 1, sizeof(*o));

	*o = (struct conf_mem_owned){ m->owned, p, free_it };
	m->owned = o;
}

void
conf_mem_free(struct conf_mem *m)
{
	for (struct conf_mem_owned *o = m->owned; o != NULL; o = o->next)
		o->free_it(o->p);
	while (m->chunks != NULL) {
		struct conf_mem_chunk *next = m->chunks->next;

		free(m->chunks);
		m->chunks = next;
	}
	*m = (struct conf_mem){ 0 };
}
