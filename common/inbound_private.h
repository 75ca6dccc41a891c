/*
 * inbound_private.h - the first line of a captured report's file.
 */
#ifndef COMMON_INBOUND_PRIVATE_H
#define COMMON_INBOUND_PRIVATE_H

#include "common/inbound.h"

/*
 * Append the envelope as one line of JSON, LF included. Control characters in it become
 * '?'; text that is not UTF-8 goes as base64, under the same name with "_b64" behind it.
 * -1 and *e: no recipient, or longer than INBOUND_ENVELOPE_MAX.
 */
int inbound_envelope_write(const struct inbound_envelope *env, struct buf *out, struct err *e);

/*
 * Read that line (without its LF). `store` owns the text, *rcpts (free it) the array; both
 * also after -1. -1 and *e: no such envelope.
 */
int inbound_envelope_read(struct slice line, struct inbound_envelope *env, struct buf *store,
    struct inbound_rcpt **rcpts, struct err *e);

#endif
