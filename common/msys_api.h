/*
 * msys_api.h - the X-MSYS-API header of SparkPost's SMTP API: one JSON object
 * that names campaign, pool, metadata and tags and switches tracking.
 */
#ifndef COMMON_MSYS_API_H
#define COMMON_MSYS_API_H

#include "common/buf.h"
#include "common/err.h"
#include "common/event.h"
#include "common/slice.h"

#define MSYS_API_MAX 65536 /* bytes of the unfolded header */

struct msys_api {
	struct buf campaign_id, ip_pool;
	struct buf metadata; /* a JSON object as text; empty: none */
	struct buf tags;     /* a JSON array of strings as text; empty: none */
	enum event_flag open_tracking, click_tracking;
};

void msys_api_init(struct msys_api *m);
void msys_api_free(struct msys_api *m);

/*
 * Read the header's value, folds and all. -1 and *e: no JSON object, or a member
 * of the wrong kind; nothing in *m counts then. Members that only SparkPost's
 * own injection knows (cc, bcc, archive, key) are ignored.
 */
int msys_api_parse(struct msys_api *m, struct slice header_value, struct err *e);

#endif
