/*
 * query.h - the questions that can be asked of the store over HTTP:
 *
 *	GET /api/v1/events/message	events, newest first
 *	GET /api/v1/events/ingest	what became of batches, newest first
 *
 * Both answer {"results":[...],"total_count":N,"links":{"next":"..."}}. `next`
 * is there while there is more, and leads through exactly those rows that were
 * there when the first page was asked for.
 */
#ifndef COLLECTOR_QUERY_H
#define COLLECTOR_QUERY_H

#include "collector/answer.h"
#include "collector/store.h"
#include "common/slice.h"

#define QUERY_MESSAGE_PATH  "/api/v1/events/message"
#define QUERY_INGEST_PATH   "/api/v1/events/ingest"
#define QUERY_FAILURES_PATH "/api/v1/ingest/events/failures/"
#define QUERY_PARAMS_MAX    64                /* parameters of a request */
#define QUERY_PAGE_BYTES    (8 * 1024 * 1024) /* a page ends there, even below per_page */

struct query_param { /* percent-decoded */
	struct slice name, value;
};

struct query {
	const struct query_param *params;
	size_t n;
	uint64_t customer_id; /* to be named in statuses */
};

/*
 * *a gets 200 and the page; 400 for a parameter that is unknown or malformed,
 * which is named; 503 if the store fails, with the reason in *e and -1.
 */
int query_messages(struct store *s, const struct query *q, struct answer *a, struct err *e);
int query_statuses(struct store *s, const struct query *q, struct answer *a, struct err *e);

#endif
