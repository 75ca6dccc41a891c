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
 *	no word in time		said in the log; uploaded it stays. If an error was the last
 *				word, of it or of what was sent before: to rejected/
 *
 * In time: within the sink's window, and in a question that was put after its end.
 *
 * What is sent again is sent from here. One request at a time, through the uploader's
 * own transfers; nothing blocks.
 *
 * How the one who sends uses it, for a sink S with confirmation:
 *
 *	ledger_begin();
 *	confirm_sent(c, S, segment, from, end, events, batch_id, &e);
 *	ledger_advance(l, S, segment, end, at_end && !confirm_holds(c, S, segment), fates, &e);
 *	ledger_commit();
 *
 * Where nothing waits to be confirmed both calls cost nothing, and confirm_holds() is
 * false. The segment is marked done from here when its last batch is settled. Of the loop:
 * confirm_step() in each turn, and results whose owner is the confirm go to
 * confirm_answered().
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

struct confirm_env { /* all of it outlives the confirm */
	struct ledger *ledger;
	struct spool *sp;
	struct rejected *rejected;
	struct upload *up;
	/* Committed: no required sink needs some segment any longer (ledger_gone() lists it). */
	void (*gone)(void *arg);
	void *arg;
};

/* NULL and *e: the ledger can't be written. */
struct confirm *confirm_open(const struct confirm_env *env, struct err *e);
void confirm_close(struct confirm *c); /* NULL is fine; before ledger and upload are closed */

struct confirm_target { /* a sink with confirmation; texts are copied */
	int64_t sink;
	const char *name;
	const char *url;     /* where batches are posted; the other addresses follow from it */
	const char *api_key; /* NULL: none */
	const char *ca_file; /* NULL: the system's */
	const char *const
	    *headers; /* "Name: value", of each request; NOT copied: the configuration's */
	size_t n_headers;
	int64_t window_s;
	int64_t max_age_s; /* older events are not sent again */
};

/*
 * At start and before each reload's old configuration is freed: the sinks that want confirmation.
 * Batches of others are settled as they are. -1 and *e: the ledger can't be written; nothing has
 * changed.
 */
int confirm_configure(struct confirm *c, const struct confirm_target *t, size_t n, struct err *e);

/* The lines from `from` to `end` of the segment were taken as `batch`; `events` of them count.
 * Inside a transaction. Does nothing for a sink without confirmation. */
int confirm_sent(struct confirm *c, int64_t sink, const char *segment, uint64_t from, uint64_t end,
    uint64_t events, const char *batch, struct err *e);

/* Is a batch of this segment open? Then the sink is not done with it. True also if the
 * database can't say. */
bool confirm_holds(struct confirm *c, int64_t sink, const char *segment);

/*
 * Ask what is due. Not inside a transaction. Returns when to come back, monotonic ms, or
 * INT64_MAX. Logs what operators should know.
 */
int64_t confirm_step(struct confirm *c, int64_t now_ms);
void confirm_answered(struct confirm *c, const struct upload_result *r);

#endif
