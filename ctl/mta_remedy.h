/*
 * mta_remedy.h - commands that mend a Postfix. Its folder stands in them as "%D" until
 * they are shown.
 */
#ifndef CTL_MTA_REMEDY_H
#define CTL_MTA_REMEDY_H

#include "common/buf.h"

/* Append TEXT as one word of the shell. */
void mta_quote(struct buf *out, const char *text);

/*
 * The command that sets a parameter in main.cf (`service` NULL) or in a service. `out` is
 * cleared first. Returns its text.
 */
const char *mta_remedy_set(
    struct buf *out, const char *service, const char *name, const char *value);

/* Append `remedy` with the folder. */
void mta_remedy_in(struct buf *out, const char *remedy, const char *dir);

#endif
