/*
 * report_frame.h - what gateways put round the text of a report: "CAUTION: This email originated
 * from outside", "This message is confidential", "Scanned by". It says nothing about the failure,
 * but has addresses and words like "virus" and "spam" in it.
 *
 * Bounded: the first paragraphs and the last 2 kB are looked at. Lines end with LF.
 */
#ifndef COMMON_REPORT_FRAME_H
#define COMMON_REPORT_FRAME_H

#include "common/slice.h"

/* `text` without the warnings at its start. */
struct slice report_frame_skip_banner(struct slice text);

/* `text` up to the paragraph that speaks of confidence or of a scanner, if an address is before. */
struct slice report_frame_cut_footer(struct slice text);

/* Is there no address but in these? */
bool report_frame_only(struct slice text);

#endif
