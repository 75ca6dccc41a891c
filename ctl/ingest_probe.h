/*
 * ingest_probe.h - does the event collector answer, and take our key?
 */
#ifndef CTL_INGEST_PROBE_H
#define CTL_INGEST_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/conf.h"
#include "common/err.h"

struct ingest_answer {
	long status;     /* HTTP */
	bool has_date;   /* the server says what time it is */
	int64_t ahead_s; /* its clock before ours */
};

bool ingest_is_here(const char *url); /* on loopback: asking it leaves the host in peace */

/* Post an empty batch, which no collector takes for one. -1 and *e: no answer. */
int ingest_probe(const struct conf_signals *s, struct ingest_answer *out, struct err *e);

#endif
