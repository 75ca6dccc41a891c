/*
 * answer.h - what readers get: the answers that are always the same, and the redirect.
 */
#ifndef TRACKER_ANSWER_H
#define TRACKER_ANSWER_H

#include "common/slice.h"

struct MHD_Response;

enum answer {
	ANSWER_PIXEL,
	ANSWER_ROBOTS,
	ANSWER_HEALTH,
	ANSWER_UNKNOWN,
	ANSWER_EXPIRED,
	ANSWER_METHOD,
	ANSWER_BODY,
	ANSWER_TOO_LONG,
	ANSWERS
};

unsigned answer_status(enum answer a);

/* Each may be queued any number of times. NULL: out of memory. MHD_destroy_response() it. */
struct MHD_Response *answer_fixed(enum answer a);
struct MHD_Response *answer_redirect(struct slice url); /* its status is 302 */

#endif
