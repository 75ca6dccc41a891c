/*
 * answer.h - what readers get: the answers that are always the same.
 */
#ifndef TRACKER_ANSWER_H
#define TRACKER_ANSWER_H

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

/* Nothing between the reader and us may answer for us the next time. */
void answer_forbid_storing(struct MHD_Response *r);

#endif
