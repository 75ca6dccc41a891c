/*
 * confirm.h - what became of batches that an ingest endpoint has taken. Its 200 says
 * only "queued"; the rest is asked for later, in groups:
 *
 *	GET /api/v1/events/ingest?batch_ids=ID,ID	success, or error and its type
 *	GET /api/v1/ingest/events/failures/ID		the lines that were refused
 *
 * A batch is written down in the ledger's database in the transaction that counts its
 * events as uploaded, so it is asked for after a crash too. While one of a segment's
 * batches is open, the segment stays: the sink is not done with it. Then
 *
 *	success, duplicate	nothing more
 *	validation		the refused lines go to rejected/; uploaded -> rejected
 *	decompress		sent again, once
 *	system, retryable	sent again, from the segment
 *	no answer in time	said in the log; uploaded it stays
 *
 * What is sent again is sent from here. Nothing here blocks: requests are made in a
 * thread of their own, one at a time.
 *
 * How the one who sends uses it, for a sink S with confirmation:
 *
 *	ledger_begin();
 *	confirm_sent(c, S, segment, from, end, events, batch_id, &e);
 *	ledger_advance(l, S, segment, end, at_end && !confirm_holds(c, S, segment), fates, &e);
 *	ledger_commit();
 *
 * and confirm_step() in each turn, with confirm_fd() among what is polled.
 */
#ifndef UPLOADER_CONFIRM_H
#define UPLOADER_CONFIRM_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/ledger.h"
#include "common/rejected.h"
#include "common/spool.h"
#include "uploader/upload.h"

struct confirm;

struct confirm_hooks {
	void *arg;
	/* Committed: no required sink needs the segment any longer. Remove its file. */
	void (*gone)(void *arg, const char *segment);
};

/*
 * After upload_open() and with the signals blocked. All stay the caller's and must outlive
 * it. NULL and *e.
 */
struct confirm *confirm_open(struct ledger *l, struct spool *sp, struct rejected *r,
    const struct confirm_hooks *hooks, struct err *e);
void confirm_close(struct confirm *c); /* gives up the request under way; NULL is fine */

/*
 * At start and after each reload, for each sink: where its batches are asked about
 * (t->url is where they are posted; copied), or `on` false: no longer; its open batches
 * are settled as they are.
 */
int confirm_sink(struct confirm *c, int64_t sink, const char *name, const struct upload_target *t,
    bool on, int64_t window_s, struct err *e);
bool confirm_wants(const struct confirm *c, int64_t sink);

/* The lines from `from` to `end` of the segment were taken as `batch`. Nothing if the sink does
 * not want it. */
int confirm_sent(struct confirm *c, int64_t sink, const char *segment, uint64_t from, uint64_t end,
    uint64_t events, const char *batch, struct err *e);

/* Is a batch of this segment open? Then the sink is not done with it. True also if the
 * database can't say. */
bool confirm_holds(struct confirm *c, int64_t sink, const char *segment);

/* Readable: call confirm_step(). */
int confirm_fd(const struct confirm *c);

/*
 * Take what has been answered, ask what is due. Not inside a transaction. Returns when to
 * come back, monotonic ms, or INT64_MAX. Logs what operators should know.
 */
int64_t confirm_step(struct confirm *c, int64_t now_ms);

#endif
