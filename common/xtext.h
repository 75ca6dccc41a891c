/*
 * xtext.h - the text form of envelope ids and recipients in SMTP (RFC 3461 4): "+2B" is '+'.
 */
#ifndef COMMON_XTEXT_H
#define COMMON_XTEXT_H

#include "common/buf.h"
#include "common/slice.h"

/* Append what it stands for. A '+' without two hex digits behind it is a '+'. */
void xtext_decode(struct buf *out, struct slice s);

#endif
