/*
 * spool_view.h - the spool as an operator's command sees it: nothing is made, and
 * root works as the spool's owner, so that no file in it becomes root's and no link
 * in it leads root astray.
 */
#ifndef CTL_SPOOL_VIEW_H
#define CTL_SPOOL_VIEW_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/conf.h"
#include "common/err.h"
#include "common/slice.h"

struct spool_view {
	const char *dir;
	int events, open, rejected; /* directory descriptors; -1: there is none */
};

/* Gives up root's rights for good. -1 and *e: there is no spool, or it can't be read. */
int spool_view_open(const struct conf *conf, struct spool_view *out, struct err *e);
void spool_view_close(struct spool_view *v);

/* How long ago, for people: "5s", "12m", "3h", "2d 4h". Returns `out`. */
const char *spool_view_age(int64_t seconds, char out[32]);
/* How much: "0 B", "45.2 kB". Returns `out`. */
const char *spool_view_size(uint64_t bytes, char out[32]);

/* Text that may hold anything; what would not be printable on a terminal becomes '?'. */
void spool_view_print(FILE *out, struct slice text);

/* A number of lines to print, 1..1000000. False: it is none. */
bool spool_view_count(const char *text, size_t *out);

#endif
