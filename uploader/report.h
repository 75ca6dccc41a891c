/*
 * report.h - the lines about transfers, word for word as PowerMTA writes them,
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
#ifndef UPLOADER_REPORT_H
#define UPLOADER_REPORT_H

#include <stdbool.h>
#include <stddef.h>

struct report {
	bool verbose;                   /* may be changed at any time */
	bool due;                       /* an interval's scan has not been answered for */
	size_t discovered, transferred; /* since the last summary */
	void (*line)(const char *text);
};

void report_init(struct report *r, bool verbose, void (*line)(const char *text));
void report_found(struct report *r, const char *name);
void report_transferred(struct report *r, const char *name);

/* An interval's scan has been made; `waiting` segments are in the queue. */
void report_interval(struct report *r, size_t waiting);

/*
 * Nothing more can be sent now: the queue is empty, or what is left (`waiting`)
 * has to wait. That counts as discovered again in the next summary.
 */
void report_round(struct report *r, size_t waiting);

/* The end: a summary of what has been transferred since the last, if anything. */
void report_end(struct report *r, size_t waiting);

#endif
