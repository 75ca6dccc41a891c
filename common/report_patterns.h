/*
 * report_patterns.h - patterns of the operator's own for reports that nothing else reads: the
 * body-pattern-file of <email-patterns>.
 *
 *	# comment
 *	/^Unable to reach (?<rcpt>\S+@\S+): (?<diag>.+)$/
 *	/complaint of (?<rcpt>\S+@\S+).*from (?<dlvSourceIp>[0-9.]+)/
 *
 * One PCRE2 pattern a line, between slashes, case-insensitive; '^' and '$' stand for the start and
 * end of any line. They are asked in order, the first that matches the text counts. What the
 * groups hold is what the report says; PowerMTA's names (rcpt, orig, dlvSourceIp, reportedDomainTo,
 * reportedDomainFrom), and status, code, diag, mta, messageId. Others are left alone.
 *
 * Compiled patterns are immutable and may be used by several threads at once.
 */
#ifndef COMMON_REPORT_PATTERNS_H
#define COMMON_REPORT_PATTERNS_H

#include "common/err.h"
#include "common/slice.h"

#define REPORT_PATTERNS_MAX 1000

struct report_patterns;

/* All slices lie in the text; empty: there is no such group, or it took no part. */
struct report_match {
	const char *where; /* "FILE:LINE" of the pattern, for log-match-info */
	struct slice rcpt, orig, status, code, diag, mta, message_id;
	struct slice source_ip, domain_to, domain_from;
};

/* NULL and *e ("FILE:LINE: ...") on an error. */
struct report_patterns *report_patterns_load(const char *file, struct err *e);
struct report_patterns *report_patterns_parse(const char *name, struct slice text, struct err *e);
void report_patterns_free(struct report_patterns *p); /* NULL is fine */

/* False, and *m empty, if none matches. A pattern that needs too much work does not match. */
bool report_patterns_match(
    const struct report_patterns *p, struct slice text, struct report_match *m);

#endif
