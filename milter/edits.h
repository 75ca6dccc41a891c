/*
 * edits.h - the difference between what the MTA gave us and what the message
 * has become, as libmilter calls in an order that Postfix and sendmail both
 * take the same way.
 */
#ifndef MILTER_EDITS_H
#define MILTER_EDITS_H

#include <libmilter/mfapi.h>

#include "common/err.h"
#include "common/message.h"

/*
 * Only in xxfi_eom. `leading_space`: values go with their leading blank
 * (SMFIP_HDR_LEADSPC was negotiated). -1 and *e: the MTA is gone; nothing it was told counts.
 */
int edits_apply(SMFICTX *ctx, const struct message *m, bool leading_space, struct err *e);

/* `from` without <>, "" for the null sender; `envid` is xtext or "". */
int edits_from(SMFICTX *ctx, struct slice from, struct slice envid, struct err *e);

/*
 * Have the message sent by this transport (common/route.h). The header that says so is
 * above all others for a moment and is gone when the MTA queues the message.
 */
int edits_route(SMFICTX *ctx, const char *transport, bool leading_space, struct err *e);

#endif
