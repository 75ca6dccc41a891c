/*
 * jobid.h - the job id: what the value of X-Job becomes. SparkPost shows it as
 * the campaign.
 *
 * Exactly the bytes 0x21..0x7e without '"' and '`' stay, which is what
 * PowerMTA's own pmtaSafeJobID keeps; every other byte becomes one '_', so a
 * character of three UTF-8 bytes becomes "___".
 */
#ifndef COMMON_JOBID_H
#define COMMON_JOBID_H

#include "common/buf.h"
#include "common/slice.h"

#define JOBID_CAMPAIGN_MAX 64 /* bytes of a campaign_id in SparkPost's APIs */

/* Append the job id of exactly these bytes, as many as there are. */
void jobid_sanitize(struct slice in, struct buf *out);

/*
 * The job id of a message: `value` is the raw header value, which is unfolded
 * and trimmed; prefix and what is left are sanitized into `out`, which is
 * cleared first. An empty value gives an empty job id, whatever the prefix.
 */
void jobid_from_header(struct slice value, struct slice prefix, struct buf *out);

/* What of a job id goes into campaign_id: its first JOBID_CAMPAIGN_MAX bytes. */
struct slice jobid_campaign(struct slice jobid);

#endif
