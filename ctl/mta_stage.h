/*
 * mta_stage.h - a copy of a Postfix configuration, to see what it would become.
 */
#ifndef CTL_MTA_STAGE_H
#define CTL_MTA_STAGE_H

#include <limits.h>
#include <stdbool.h>

#include "common/buf.h"
#include "common/conf.h"
#include "common/err.h"

struct mta_stage {
	char dir[PATH_MAX]; /* the copy; "" when there is none */
};

/* The folders below a configuration that are copied with main.cf and master.cf. */
extern const char *const mta_stage_folders[]; /* up to a NULL */

/*
 * Copy what Postfix and our script need of `from` to a new folder below `below`. What is no
 * regular file in it is left out. -1 and *e: nothing is left behind.
 */
int mta_stage_make(struct mta_stage *st, const char *from, const char *below, struct err *e);

/*
 * Run the script that `c` asks for in the copy, for settings that will stand in `home`.
 * Without `users`, the password file stays as it is (it needs root). `said` gets what the
 * script says. -1 and *e: it failed.
 */
int mta_stage_run(struct mta_stage *st, const struct conf *c, const char *conf_file,
    const char *home, bool users, struct buf *said, struct err *e);

void mta_stage_remove(struct mta_stage *st);

#endif
