/*
 * rejected.h - the spool's rejected/: what was refused for good, by name and with
 * the reason, so that an operator can look at it and send it again.
 *
 *	NAME.json		exactly the refused lines
 *	NAME.json.reason	why, one line of JSON: {"time":"2026-11-22T11:47:57.000Z",
 *				"sink":"sparkpost","reason":"400 no such field","events":3,
 *				"bytes":1843,"batch":"...","segment":"sp1-...json",
 *				"details":["line 2: ..."]}
 *
 * NAME says where the lines are from: a segment's name, then sink and offset if a
 * sink refused them. The same refusal, stored again after a crash, replaces itself.
 * The reason is there before the lines are; a reason without lines is debris.
 *
 * The directory is bounded by bytes, files and age; the oldest go first. What goes
 * stays counted as rejected in the ledger.
 *
 * Names in here may be anybody's: nothing follows a link or waits for a FIFO.
 */
#ifndef COMMON_REJECTED_H
#define COMMON_REJECTED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/slice.h"

#define REJECTED_NAME_SIZE   256
#define REJECTED_SUFFIX      ".reason"
#define REJECTED_REASON_MAX  500   /* bytes of `reason` that are kept */
#define REJECTED_DETAILS_MAX 65536 /* bytes of `details` that are kept */

struct rejected_why {
	int64_t time_ms;      /* wall; 0: now */
	struct slice sink;    /* who refused; "": the spool itself, before any sink */
	struct slice reason;  /* for people, one line */
	struct slice details; /* a text line for each refused line, or "" */
	struct slice batch;   /* the endpoint's name for it, or "" */
	struct slice segment; /* the file that it was in, or "" */
	uint64_t events;      /* lines */
	uint64_t bytes;
};

struct rejected_limits {    /* 0: none */
	uint64_t max_bytes; /* on disk */
	uint64_t max_files;
	int64_t max_age_s;
};

struct rejected_dropped { /* what had to go for the limits' sake */
	uint64_t files, events, bytes;
};

/* ---- storing; not for two threads at once ---- */

struct rejected;

/* `dirfd` stays the caller's, open as long as this. `limits` NULL: none. Never NULL. */
struct rejected *rejected_open(int dirfd, const struct rejected_limits *limits);
void rejected_close(struct rejected *r); /* NULL is fine */
void rejected_set_limits(struct rejected *r, const struct rejected_limits *limits);

/*
 * The name under which lines of `segment` (from `offset` on) that `sink` refused are
 * kept; sink "" and offset 0: the segment's own. Odd bytes of both become '_'.
 */
void rejected_name(
    const char *segment, struct slice sink, uint64_t offset, char out[REJECTED_NAME_SIZE]);

/*
 * Keep `lines` (whole NDJSON lines) under `name`; why->events and ->bytes are taken from
 * `lines` if both are 0. 0: durable, and then the limits are kept. -1 and *e: nothing of it is
 * there.
 */
int rejected_add(struct rejected *r, const char *name, const struct rejected_why *why,
    struct slice lines, struct err *e);

/* The same a piece at a time: begin, any number of writes, then commit or abandon. */
int rejected_begin(struct rejected *r, const char *name, struct err *e);
int rejected_write(struct rejected *r, struct slice bytes, struct err *e);
/* Bytes of another file; what it does not have any more is left out. */
int rejected_write_range(struct rejected *r, int fd, uint64_t from, uint64_t end, struct err *e);
int rejected_commit(struct rejected *r, const struct rejected_why *why, struct err *e);
/* The same, in place of what is kept under that name: these are what is left of it. */
int rejected_commit_over(struct rejected *r, const struct rejected_why *why, struct err *e);
void rejected_abandon(struct rejected *r); /* also if nothing was begun */

/*
 * Move the whole thing `file` - whatever it is, it is not opened - from the directory
 * `fromfd` of the same file system to rejected/; `name` gets its name there. A regular
 * file larger than a quarter of max_bytes keeps only its start. 0: durable. -1 and *e: it stays.
 */
int rejected_take(struct rejected *r, int fromfd, const char *file, const struct rejected_why *why,
    char name[REJECTED_NAME_SIZE], struct err *e);

/*
 * Bring the directory within the limits, and remove debris. Done by itself now and
 * then; call it each interval, for age. -1 and *e: the directory can't be read.
 */
int rejected_trim(struct rejected *r, struct err *e);
/* What had to go since the last call, to be logged. False: nothing. */
bool rejected_take_dropped(struct rejected *r, struct rejected_dropped *out);

/* ---- reading; beside a running program ---- */

struct rejected_entry {
	char *name;
	int64_t time_us;  /* when it came here, as the file system knows it */
	uint64_t bytes;   /* of the lines */
	uint64_t on_disk; /* lines and reason */
	bool regular;     /* no: something that was found in the spool and moved here */
	bool has_reason;
};

/* All entries, oldest first; rejected_free_list(). Their number, or -1 and *e. */
ssize_t rejected_list(int dirfd, struct rejected_entry **out, struct err *e);
void rejected_free_list(struct rejected_entry *list, ssize_t n);

/* Is it a name that can be in rejected/ (no '/', no reason, no temporary file)? */
bool rejected_is_name(const char *name);

/*
 * NAME's reason. Slices point into `store` (any buf without limit; cleared first). What is no
 * reason of ours gives its first line as the reason. -1 and *e: there is none.
 */
int rejected_read_why(
    int dirfd, const char *name, struct rejected_why *why, struct buf *store, struct err *e);

/* The text of a reason file, for the above and for the fuzzer. False: none of ours. */
bool rejected_parse_why(struct slice text, struct rejected_why *why, struct buf *store);

/* Remove NAME and its reason, durably. 0 also if it is not there. */
int rejected_remove(int dirfd, const char *name, struct err *e);

#endif
