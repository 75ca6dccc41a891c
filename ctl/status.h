/*
 * status.h - how things stand: what `signalpost status` found, to be printed as text
 * or as JSON.
 */
#ifndef CTL_STATUS_H
#define CTL_STATUS_H

#include <stdio.h>

#include "common/conf.h"
#include "common/index.h"
#include "common/ledger.h"
#include "ctl/spool_view.h"

#define STATUS_UNKNOWN_MAX 20 /* recipients of unknown fate that are listed */
#define STATUS_MISSING_MAX 20 /* segments that are gone, likewise */

struct status_files { /* in one directory */
	uint64_t n, bytes;
	int64_t oldest_s; /* modification; 0: none */
};

struct status_unknown {
	char *message_id, *queue_id, *rcpt, *campaign;
	int64_t received_s, given_up_s;
};

struct status_missing {
	char *segment;
	uint64_t events;
};

struct status {
	const struct conf *conf;
	int64_t now_s;
	uint64_t free_bytes, free_inodes;

	bool uploader_runs;
	long uploader_pid; /* 0: unknown */

	struct status_files open, closed, inbound, onward;
	uint64_t rejected_files, rejected_lines, rejected_bytes;

	bool has_ledger;
	struct ledger_check ledger;
	size_t n_missing;
	struct status_missing missing[STATUS_MISSING_MAX];

	bool has_index;
	struct index_counts index;
	size_t n_unknown;
	struct status_unknown unknown[STATUS_UNKNOWN_MAX];

	/* what somebody should do something about, a line each */
	size_t n_problems, problems_room;
	char **problems;
};

/* Look at everything. -1 and *e: there is no spool, or it can't be read. status_free() later. */
int status_gather(const struct conf *conf, struct status *out, struct err *e);
void status_free(struct status *st);

void status_print(const struct status *st, FILE *out);
void status_print_json(const struct status *st, FILE *out);

#endif
