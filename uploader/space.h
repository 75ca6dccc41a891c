/*
 * space.h - min-free-space: when less is free where the spool is, the oldest segments
 * go, counted as purged, until there is enough; never one that is on its way.
 *
 * The same for inodes: at least SPACE_INODES are kept free, or a twentieth of all on a
 * small file system.
 *
 * The ledger is written before anything is removed; it has room for that on a full
 * disk (LEDGER_ROOM).
 */
#ifndef UPLOADER_SPACE_H
#define UPLOADER_SPACE_H

#include "common/ledger.h"
#include "common/spool.h"

#define SPACE_INODES 1000

struct space {
	struct spool *sp;
	struct ledger *ledger;
	/* Is nothing of it on its way? What was only prepared is given up. */
	bool (*release)(void *arg, const char *segment);
	void *arg;

	bool low, failed, exhausted; /* logged */
	int64_t check_ms;            /* when to look again */
	uint64_t segments, events;   /* purged since space became low */
	int64_t said_ms;
};

void space_init(struct space *s, struct spool *sp, struct ledger *l,
    bool (*release)(void *arg, const char *segment), void *arg);

/*
 * Look, if it is time, and purge some if it must be. `least` is min-free-space; 0: never.
 * True: something was purged, its file may be removed. *wake_ms: when to come again.
 */
bool space_step(struct space *s, uint64_t least, int64_t now_ms, int64_t *wake_ms);

#endif
