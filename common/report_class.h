/*
 * report_class.h - the bounce class of a recipient in a report: that of its status and
 * diagnostic; where both say nothing in particular, of the text for people.
 */
#ifndef COMMON_REPORT_CLASS_H
#define COMMON_REPORT_CLASS_H

#include "common/classify.h"
#include "common/report.h"

/* out->bounce_class is 0 for a recipient whom the message has reached. */
void report_class(const struct classifier *c, const struct report *r,
    const struct report_rcpt *rcpt, struct classification *out);

#endif
