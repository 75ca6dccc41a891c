/*
 * xalloc.h - allocation that cannot fail: no memory ends the process with a
 * line on standard error (EX_OSERR 71). free() as usual.
 */
#ifndef COMMON_XALLOC_H
#define COMMON_XALLOC_H

#include <stddef.h>

#include "common/slice.h"

void *xcalloc(size_t n, size_t size);  /* zeroed */
void *xrealloc(void *p, size_t n, size_t size);
char *xstrdup(const char *s);
char *xslicedup(struct slice s);       /* NUL-terminated copy */

/*
 * Room for one more element in a growing array: returns `array`, moved if
 * need be, with room for at least n + 1 elements of `size` bytes.
 */
void *xgrow(void *array, size_t n, size_t *room, size_t size);

#endif
