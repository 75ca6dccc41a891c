/*
 * sinks.h - all places that events go to: upload-url, which is the sink of the name
 * "signals", and the <sink NAME> blocks. Each takes segments from the ledger on its
 * own: its cursor, its back-off, its transfers; one that is slow or dead doesn't hold up
 * another. What a sink has taken is in the ledger, durably, before anything is removed.
 */
#ifndef UPLOADER_SINKS_H
#define UPLOADER_SINKS_H

#include "common/conf.h"
#include "common/err.h"
#include "common/ledger.h"
#include "common/rejected.h"
#include "common/spool.h"
#include "uploader/confirm.h"
#include "uploader/transfer_log.h"
#include "uploader/upload.h"
#include "uploader/workers.h"

#define SINKS_SIGNALS "signals"

struct sink;

struct sinks_env { /* what they work with; all of it outlives them */
	struct spool *sp;
	struct ledger *ledger;
	struct upload *up;
	struct workers *workers;
	struct rejected *rejected;
	struct confirm *confirm;
	struct transfer_log *transfers;
	/* Is this segment in the index, so that it may go? False: ask again later. */
	bool (*may_go)(void *arg, const char *segment);
	void *arg;
};

struct sinks {
	struct sinks_env env;
	const char *node; /* node-name, the configuration's */
	struct sink *list;
	const struct sink *reports; /* whose transfers the log tells of: signals, or the first */
	bool gone;                  /* segments are done everywhere: their files may be removed */
	int64_t settle_ms;          /* the ledger can't be written before then */
	bool settle_failed;
	char told[200][SPOOL_NAME_SIZE]; /* segments that were complained about */
	size_t n_told;
};

void sinks_init(struct sinks *s, const struct sinks_env *env);
void sinks_free(struct sinks *s); /* after workers and upload are closed */

/*
 * Those of `conf`, from now on; pointers into it are kept until the next call. Sinks that are
 * no longer there are retired in the ledger. -1 and *e: nothing has changed.
 */
int sinks_configure(struct sinks *s, const struct conf *conf, struct err *e);
bool sinks_any(const struct sinks *s); /* is there one? */
void sinks_try_now(struct sinks *s);   /* whatever was wrong may have been put right */

void sinks_entered(struct sinks *s);  /* there are new segments in the ledger */
void sinks_interval(struct sinks *s); /* an interval has passed: ages, and what was passed over */

/* Start what can be started. Returns when to come again, monotonic. */
int64_t sinks_step(struct sinks *s, int64_t now);
void sinks_answered(struct sinks *s, const struct upload_result *r);
void sinks_worked(struct sinks *s, struct worker_job *job); /* one whose owner is `s` */

/* Write to the ledger what has come of batches, in one transaction. */
void sinks_settle(struct sinks *s, int64_t now);

/* Nothing more can be sent now to the sink that is reported: all is done, or has to wait. */
bool sinks_rest(const struct sinks *s, int64_t now);
size_t sinks_waiting(const struct sinks *s); /* segments, for the sink that is reported */

/*
 * May this segment be purged? True: nothing of it is under way, and what had been
 * prepared is given up.
 */
bool sinks_release(struct sinks *s, const char *segment);

/* True the first time for this name. */
bool sinks_tell(struct sinks *s, const char *segment);

#endif
