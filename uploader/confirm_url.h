/*
 * confirm_url.h - where to ask about batches: derived from where they are posted, never
 * from what an answer says, so that the key goes to that host only.
 */
#ifndef UPLOADER_CONFIRM_URL_H
#define UPLOADER_CONFIRM_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"

/* False: `url` does not end in /ingest/events. *out is replaced. */
bool confirm_url_statuses(const char *url, const char *const *batches, size_t n, int64_t from_s,
    int64_t to_s, struct buf *out);
bool confirm_url_failures(const char *url, const char *batch, struct buf *out);

#endif
