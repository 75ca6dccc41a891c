/*
 * answer.h - what an ingest endpoint's answer means for the batch.
 *
 *	200 {"results":{"id":"..."}}		taken
 *	anything else				kept; when to try again, and who must act
 *
 * The body comes from outside: nothing in it is trusted, and what is quoted
 * from it is printable ASCII of bounded length.
 */
#ifndef UPLOADER_ANSWER_H
#define UPLOADER_ANSWER_H

#include "common/slice.h"

enum answer_verdict {
	ANSWER_DONE,  /* taken: the segment may go */
	ANSWER_LATER, /* their trouble: try again soon */
	ANSWER_SLOW,  /* nothing will pass until somebody changes something: try again seldom */
	ANSWER_BATCH, /* about this batch: others may pass */
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
 * Judge the HTTP `status` and `body`. `secret` (the api-key; may be empty) never
 * appears in the result, even if the endpoint repeats it.
 */
void answer_read(long status, struct slice body, struct slice secret, struct answer *out);

#endif
