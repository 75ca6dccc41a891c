/*
 * mta_apply.h - set up a Postfix as the configuration asks, in place.
 */
#ifndef CTL_MTA_APPLY_H
#define CTL_MTA_APPLY_H

#include <stdbool.h>

#include "common/conf.h"
#include "common/err.h"

struct mta_apply_options {
	const char *dir;       /* Postfix's configuration */
	const char *conf_file; /* that `c` was read from */
	bool yes;              /* ask nobody */
	bool dry_run;          /* show it only */
};

/*
 * Make the changes in a copy; refuse what is no configuration of Postfix, and what would
 * relay for everybody; show the difference on standard output and ask; keep a backup
 * (DIR/signalpost-backup-TIME); put each changed file in place by rename; have Postfix
 * check it, and put everything back if it complains.
 *
 * 0: it is so now, or was before (or: shown). 1: not done, the user's no. -1 and *e: not
 * done, everything is as it was.
 */
int mta_apply(const struct conf *c, const struct mta_apply_options *o, struct err *e);

#endif
