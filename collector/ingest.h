/*
 * ingest.h - POST /api/v1/ingest/events: one batch, from gzip to the store.
 *
 * As in SparkPost's API, 200 and an id mean that the batch was received; what
 * became of it is said by GET /api/v1/events/ingest?batch_ids=ID. A batch gets
 *
 *	success			accepted (lines may have failed beside it)
 *	error validation	lines were not taken: failures/ID has them
 *	error decompress	the body is no whole gzip; nothing was taken
 *	error empty_batch	nothing but blank lines
 *	error duplicate_batch	the same content was there already
 *
 * A batch of which some lines are good and some are bad gets success and
 * validation, both with all three numbers. Nothing is ever retryable: what could
 * be retried is answered with 503 and leaves nothing behind.
 */
#ifndef COLLECTOR_INGEST_H
#define COLLECTOR_INGEST_H

#include "collector/answer.h"
#include "collector/store.h"
#include "common/slice.h"

#define INGEST_LINES_MAX      1000000 /* of a batch; an event has 100 bytes at the very least */
#define INGEST_FAILURES_MAX   10000   /* failed lines that are kept; more are counted */
#define INGEST_CUT_LINE_SHOWN 1024    /* bytes kept of a line that is too long for an event */

struct ingest_limits {
	uint64_t max_events;  /* bytes of the batch, decompressed */
	uint64_t retention_s; /* for the time of expiry */
};

struct ingest_report {              /* for the log */
	char uuid[STORE_UUID_SIZE]; /* "" if the batch was not taken in */
	const char *error_type;     /* NULL: none */
	struct store_counts counts;
	struct err err; /* why 503 */
};

/*
 * Take in the batch `body`. *a gets 200 and the id when everything is on disk;
 * 413 for a batch beyond the limits, or 503, and nothing was stored.
 * Memory does not depend on the size of the batch.
 */
void ingest_events(struct store *s, const struct ingest_limits *limits, struct slice body,
    struct answer *a, struct ingest_report *report);

#endif
