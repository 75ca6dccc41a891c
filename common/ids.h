/*
 * ids.h - message ids: 20 hex digits, "0000", the Unix time as four little-endian
 * bytes, and four bytes that are unique on this host within that second.
 *
 * A message gets one id per recipient; those of one message are consecutive, so
 * that the id of the first and the number of recipients name them all.
 */
#ifndef COMMON_IDS_H
#define COMMON_IDS_H

#include <stdint.h>

#include "common/slice.h"

#define IDS_SIZE 21 /* 20 digits and NUL */

struct message_id {
	uint32_t time;	 /* Unix seconds */
	uint32_t serial; /* big-endian in the text, so that consecutive ids sort */
};

/*
 * `count` consecutive ids; returns the first. Within a process no id comes
 * twice, even when the clock is set back. Thread-safe.
 */
struct message_id ids_take(unsigned count);

/* The id `n` places after `first`. */
struct message_id ids_nth(struct message_id first, unsigned n);

const char *ids_text(struct message_id id, char out[IDS_SIZE]);
bool ids_parse(struct slice text, struct message_id *out); /* either case of hex */

#endif
