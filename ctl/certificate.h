/*
 * certificate.h - would a TLS client be content with what a file of certificate and key has?
 */
#ifndef CTL_CERTIFICATE_H
#define CTL_CERTIFICATE_H

#include "common/conf.h"
#include "common/err.h"

/*
 * The server's certificate of `c`: 0 if there is none, or it can't be read by us, or all is
 * well. -1 and *e: its key is another's, it has expired, has no name of ours, or is none.
 */
int certificate_check(const struct conf *c, struct err *e);

#endif
