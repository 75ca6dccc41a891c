#include "common/xalloc.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

static void *
checked(void *p)
{
	if (p == NULL) {
		fputs("out of memory\n", stderr);
		exit(EX_OSERR);
	}
	return p;
}

void *
xcalloc(size_t n, size_t size)
{
	return checked(calloc(n > 0 ? n : 1, size > 0 ? size : 1));
}

void *
xrealloc(void *p, size_t n, size_t size)
{
	return checked(reallocarray(p, n > 0 ? n : 1, size > 0 ? size : 1));
}

char *
xstrdup(const char *s)
{
	return xslicedup(slice_str(s));
}

char *
xslicedup(struct slice s)
{
	char *copy = xcalloc(s.len + 1, 1);

	if (s.len > 0)
		memcpy(copy, s.p, s.len);
	return copy;
}

void *
xgrow(void *array, size_t n, size_t *room, size_t size)
{
	if (n < *room)
		return array;
	*room = n < 8 ? 8 : n * 2;
	return xrealloc(array, *room, size);
}
