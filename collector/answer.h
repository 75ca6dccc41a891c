/*
 * answer.h - what is sent back: JSON, or a download. The server fills in the rest.
 *
 * Errors have the form of SparkPost's API:
 *	{"errors":[{"message":"Unauthorized","description":"..."}]}
 */
#ifndef COLLECTOR_ANSWER_H
#define COLLECTOR_ANSWER_H

#include <json-c/json.h>

#include "common/buf.h"

struct download;

struct answer {
	unsigned status;
	struct buf body;           /* JSON text */
	struct download *download; /* instead of it, if not NULL */
	const char *allow;         /* for 405 */
	unsigned retry_after_s;    /* for 503; 0: none */
};

void answer_init(struct answer *a);
void answer_free(struct answer *a); /* the download too */

/* `o` becomes the body and is released. */
void answer_json(struct answer *a, unsigned status, struct json_object *o);

/* One error; `param` (may be NULL) names the parameter it is about. Replaces what was answered
 * before. */
__attribute__((format(printf, 4, 5))) void answer_error(
    struct answer *a, unsigned status, const char *param, const char *fmt, ...);

#endif
