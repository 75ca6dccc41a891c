/*
 * mta_finding.h - what a check of Postfix found, and the checks that share it.
 */
#ifndef CTL_MTA_FINDING_H
#define CTL_MTA_FINDING_H

#include <stdbool.h>

#include "common/conf.h"
#include "ctl/mta_facts.h"
#include "ctl/mta_remedy.h"

enum mta_severity { MTA_MISSING, MTA_WRONG, MTA_DANGEROUS };

struct mta_check {
	const struct conf *conf;
	const char *dir;
	struct mta_facts now, need; /* as it is, and as the configuration asks */
	bool json;
	unsigned found;
};

/*
 * Print one. `service` is NULL for main.cf; `setting` names the parameter, or what it is
 * about; `why` says what comes of it. `remedy` is a command, with the folder left out as
 * "%D": `postconf -c %D -e ...`.
 */
void mta_found(struct mta_check *ck, enum mta_severity how, const char *service,
    const char *setting, const char *why, const char *remedy);

/* Milters: there, in the right order, failing closed, reached, and told what they need. */
void mta_check_milters(struct mta_check *ck);
/* What changes mail behind the milter, keeps it from it or from going out; AUTH's files. */
void mta_check_spoilers(struct mta_check *ck);

#endif
