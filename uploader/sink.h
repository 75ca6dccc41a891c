/*
 * sink.h - what sinks.c, sink_batch.c, sink_http.c and sink_file.c share; nobody
 * else includes it. A sink works on a few segments at once, each in a slot:
 *
 *	PREPARING	a worker reads and packs a batch (and writes it, for a file sink)
 *	READY		the batch waits until the sink may send
 *	SENDING		it is on its way
 *	SETTLING	what came of it goes into the ledger, as soon as that can be written
 *
 * and from there to the segment's next batch, or the slot is free.
 */
#ifndef UPLOADER_SINK_H
#define UPLOADER_SINK_H

#include "common/ledger.h"
#include "uploader/answer.h"
#include "uploader/backoff.h"
#include "uploader/batch.h"
#include "uploader/sinks.h"

#define SINK_SLOTS_MAX 64
#define SINK_REFUSALS_MAX                                                                          \
	400 /* of one segment's batches: then it is no use to look for the bad line */

enum slot_stage { SLOT_FREE, SLOT_PREPARING, SLOT_READY, SLOT_SENDING, SLOT_SETTLING };

struct outcome { /* what is to be written to the ledger */
	uint64_t fates[LEDGER_FATES];
	bool refused; /* the batch itself, not only lines that were left out of it */
	char reason[ANSWER_QUOTE_MAX + 64];
	char id[ANSWER_ID_MAX + 1]; /* the endpoint's name for the batch, or "" */
	struct ledger_try tried;
	char status[LEDGER_STATUS_MAX];
	bool archived;
	struct ledger_archive archive;
	bool done, grew, void_; /* of the segment; void: it is no longer what it was */
	bool held;              /* all of it was sent, and a batch waits to be confirmed */
	uint64_t lost;          /* events that were counted and are not there */
};

struct archive_job { /* a file sink's, for the worker */
	struct buf dir, sink;
	struct ledger_archive at;
	uint64_t keep_files, keep_s;
	bool prune;
	int rc; /* 0; -1: `why`; -2: the archive is not what it was, begin another */
	struct err why;
};

struct slot {
	struct worker_job job; /* first: the worker finds the slot by it */
	struct sink *sink;
	enum slot_stage stage;
	bool to_file; /* for the worker, who does not look at the sink */
	struct ledger_segment seg;
	uint64_t max_events; /* of a batch: fewer while a bad line is looked for */
	unsigned refusals;
	bool small; /* more than max_events are too many bytes */
	bool sent;  /* something of this segment */
	struct batch_ask ask;
	struct batch batch;
	struct archive_job archive;
	int64_t made_ms;         /* when the batch was */
	int64_t began_ms;        /* the transfer */
	struct buf host, secret; /* as they were when it began: a reload may change them; how
	                            log lines call the sink */
	struct outcome out;
};

struct sink {
	struct sinks *all;
	char name[LEDGER_SINK_MAX];
	int64_t id;
	struct conf_sink conf; /* points into the configuration in force */
	bool leaving;          /* no longer configured; slots run out */
	struct slot *slots[SINK_SLOTS_MAX];
	size_t n_slots; /* made; at most conf.uploads are used */

	/* what is next */
	int64_t position; /* segments up to here are done, in a slot, or were passed over */
	bool more;        /* there may be some behind it */
	bool passed_over; /* some can't be taken now: from the beginning, in a while */
	size_t max_bytes; /* of a batch: what the endpoint takes */

	/* the endpoint's trouble */
	struct backoff backoff;
	int64_t not_before_ms, failed_ms;
	bool down; /* it, not one batch, is what failed last */

	unsigned age_told; /* how many of the warnings about age have been given */
	struct sink *next;
};

/* ---- sink_batch.c ---- */

void slot_prepare(struct slot *t); /* from t->seg.offset on */
void slot_prepared(struct slot *t);
void slot_free_up(struct slot *t);
/* Its refused lines and those that are no events are kept, durably. -1 and *e: not now. */
int slot_keep_rejected(struct slot *t, struct err *e);
/* To be called inside a transaction. -1 and *e. */
int slot_settle(struct slot *t, bool *gone, struct err *e);
void slot_settled(struct slot *t, bool gone); /* once that is committed */

/* ---- sinks.c ---- */

uint32_t sink_random(void);
/* Trouble that is the sink's: count it, unless it belongs to what is known. Ms to wait. */
int64_t sink_failed(
    struct sink *k, const struct slot *t, const struct backoff_range *range, int64_t retry_after_s);
void sink_works(struct sink *k, const char *host); /* it took something */

/* ---- sink_http.c ---- */

bool sink_http_send(struct slot *t); /* false: it can't be sent now */
void sink_http_answered(struct slot *t, const struct upload_result *r);

/* ---- sink_file.c ---- */

/* Where the next batch goes; recorded in the ledger. -1 and *e. */
int sink_file_place(struct slot *t, struct err *e);
void sink_file_write(struct slot *t); /* in the worker */
void sink_file_written(struct slot *t);

#endif
