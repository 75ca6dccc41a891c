/*
 * rejected_private.h - what the files of rejected_*.c share.
 */
#ifndef COMMON_REJECTED_PRIVATE_H
#define COMMON_REJECTED_PRIVATE_H

#include "common/rejected.h"

#define REJECTED_TMP ".tmp"

struct rejected {
	int dir;
	struct rejected_limits limits;
	struct rejected_dropped dropped;
	bool counted; /* files and bytes below are known */
	uint64_t files, bytes;

	/* what is being written */
	int fd; /* -1: nothing */
	char name[REJECTED_NAME_SIZE];
	uint64_t written, lines;
	bool cut; /* the file has taken all that it may */
};

/* The reason as one line of JSON, LF included. */
void rejected_print_why(const struct rejected_why *why, struct buf *out);

/* "NAME" + suffix. False: too long. */
bool rejected_with_suffix(const char *name, const char *suffix, char out[REJECTED_NAME_SIZE]);

/* After something came in: count it, and trim if that passed the limits. */
void rejected_grown(struct rejected *r, uint64_t bytes);

#endif
