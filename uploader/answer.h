/*
 * answer.h - what an ingest endpoint's answer means for the batch.
 *
 *	200 {"results":{"id":"..."}}		taken; any 2xx where no id is asked for
 *	anything else				kept; when to try again, and who must act;
 *						in how many parts
 *
 * The body comes from outside: nothing in it is trusted, and what is quoted
 * from it is printable ASCII of bounded length.
 */
#ifndef UPLOADER_ANSWER_H
#define UPLOADER_ANSWER_H

#include <stdbool.h>

#include "common/slice.h"

enum answer_verdict {
	ANSWER_DONE,      /* taken: the segment may go */
	ANSWER_LATER,     /* their trouble: try again soon */
	ANSWER_SLOW,      /* nothing will pass until somebody changes something: try again seldom */
	ANSWER_REFUSED,   /* something in this batch: in parts the good events pass */
	ANSWER_TOO_LARGE, /* this batch: smaller ones pass */
};

#define ANSWER_ID_MAX    80
#define ANSWER_QUOTE_MAX 200

struct answer {
	enum answer_verdict verdict;
	char id[ANSWER_ID_MAX + 1];       /* DONE: the batch id, for people */
	char quote[ANSWER_QUOTE_MAX + 1]; /* else: the endpoint's own words, or "" */
	const char *advice;               /* else: what the operator should do, or NULL */
};

/*
 * Judge the HTTP `status` and `body`. `needs_id`: 200 and a batch id, as the ingest API has
 * it, or nothing has been taken; else any 2xx will do. `secret` (the api-key; may be empty) never
 * appears in the result, even if the endpoint repeats it.
 */
void answer_read(
    long status, struct slice body, struct slice secret, bool needs_id, struct answer *out);

#endif
