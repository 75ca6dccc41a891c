/*
 * confirm_read.h - what an ingest endpoint says about batches. Bytes from outside:
 * bounded, and nothing in them is trusted.
 *
 *	{"results":[{"type":"success","batch_id":"...","number_failed":0,...},
 *		    {"type":"error","batch_id":"...","error_type":"validation",...}]}
 */
#ifndef UPLOADER_CONFIRM_READ_H
#define UPLOADER_CONFIRM_READ_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/slice.h"

enum confirm_outcome {   /* of one batch; where statuses differ, the greatest counts */
	CONFIRM_UNKNOWN, /* no status yet */
	CONFIRM_AGAIN,   /* decompress, system, whatever is retryable: send it again */
	CONFIRM_REFUSED, /* an error that no repeat will cure */
	CONFIRM_TAKEN,   /* success, or it was there already */
	CONFIRM_FAILURES /* lines of it failed validation */
};

struct confirm_status {
	enum confirm_outcome outcome;
	bool once;           /* AGAIN: a second time is no use (decompress) */
	uint64_t failed;     /* FAILURES: how many, as the endpoint counts */
	char error_type[40]; /* printable, "" for success */
};

/*
 * Merge what the answer says about each of `n` batches into out[]. -1 and *e: it is not such an
 * answer.
 */
int confirm_read_statuses(struct slice body, const char *const *batches, size_t n,
    struct confirm_status *out, struct err *e);

struct confirm_failures {
	uint64_t n;
	struct buf lines;   /* the refused lines, each with an LF */
	struct buf reasons; /* "line N: why", a text line each; bounded */
	char first[200];    /* the first reason, printable */
};

#define CONFIRM_FAILURES_MAX ((size_t)32 << 20) /* bytes after inflating */

/*
 * The download of failed lines, gzip or plain: JSON lines with "event" and "reason", or the
 * events themselves. -1 and *e: damaged, too large. Free *out also then.
 */
int confirm_read_failures(struct slice body, struct confirm_failures *out, struct err *e);
void confirm_failures_init(struct confirm_failures *f);
void confirm_failures_free(struct confirm_failures *f);

#endif
