/*
 * transfer_log.h - the lines about transfers, word for word as PowerMTA writes them,
 * since people's scripts read them:
 *
 *	Signals: Discovered 0 files
 *	Signals: Discovered sp1-0000000000003FBD.json		(log-verbose)
 *	Signals: Transferred sp1-0000000000003FBD.json successfully.	(log-verbose)
 *	Signals: Discovered 1 file, transferred 1 file successfully
 *
 * The summary comes once an interval, when what the interval's scan found has
 * been tried; with log-verbose also whenever something else has been transferred.
 */
#ifndef UPLOADER_TRANSFER_LOG_H
#define UPLOADER_TRANSFER_LOG_H

#include <stdbool.h>
#include <stddef.h>

struct transfer_log {
	bool verbose;                   /* may be changed at any time */
	bool due;                       /* an interval's scan has not been answered for */
	size_t discovered, transferred; /* since the last summary */
	void (*line)(const char *text);
};

void transfer_log_init(struct transfer_log *l, bool verbose, void (*line)(const char *text));
void transfer_log_found(struct transfer_log *l, const char *name);
void transfer_log_transferred(struct transfer_log *l, const char *name);

/* An interval's scan has been made; `waiting` segments are in the queue. */
void transfer_log_interval(struct transfer_log *l, size_t waiting);

/*
 * Nothing more can be sent now: the queue is empty, or what is left (`waiting`)
 * has to wait. That counts as discovered again in the next summary.
 */
void transfer_log_round(struct transfer_log *l, size_t waiting);

/* The end: a summary of what has been transferred since the last, if anything. */
void transfer_log_end(struct transfer_log *l, size_t waiting);

#endif
