/*
 * confirm_url.c - addresses that follow from the one where batches are posted:
 *
 *	https://HOST/api/v1/ingest/events
 *	https://HOST/api/v1/events/ingest?batch_ids=...
 *	https://HOST/api/v1/ingest/events/failures/ID
 */
#include "uploader/confirm_url.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"

#define POSTED "/ingest/events"
#define ASKED  "/events/ingest"

/* The path of `url` in `path`, without the end that all have in common. */
static bool
split(CURLU *h, const char *url, struct buf *path)
{
	char *text = NULL;
	size_t len;
	bool good = curl_url_set(h, CURLUPART_URL, url, 0) == CURLUE_OK &&
	            curl_url_get(h, CURLUPART_PATH, &text, 0) == CURLUE_OK;

	if (good) {
		len = strlen(text);
		while (len > 0 && text[len - 1] == '/')
			len--;
		good = len >= sizeof(POSTED) - 1 &&
		       strncmp(text + len - (sizeof(POSTED) - 1), POSTED, sizeof(POSTED) - 1) == 0;
		if (good)
			buf_add(path, (struct slice){ text, len - (sizeof(POSTED) - 1) });
	}
	curl_free(text);
	return good;
}

static bool
finish(CURLU *h, const struct buf *path, struct buf *out)
{
	char *text = NULL;
	bool good = curl_url_set(h, CURLUPART_PATH, buf_str(path), 0) == CURLUE_OK &&
	            curl_url_get(h, CURLUPART_URL, &text, 0) == CURLUE_OK;

	buf_clear(out);
	if (good)
		buf_adds(out, text);
	curl_free(text);
	return good;
}

static bool
add_query(CURLU *h, const char *part)
{
	return curl_url_set(h, CURLUPART_QUERY, part, CURLU_URLENCODE | CURLU_APPENDQUERY) ==
	       CURLUE_OK;
}

static bool
add_time(CURLU *h, const char *name, int64_t s)
{
	char iso[CLOCK_ISO_SIZE], part[64];

	clock_iso(s * 1000, iso);
	snprintf(part, sizeof(part), "%s=%.19sZ", name, iso);
	return add_query(h, part);
}

bool
confirm_url_statuses(const char *url, const char *const *batches, size_t n, int64_t from_s,
    int64_t to_s, struct buf *out)
{
	CURLU *h = curl_url();
	struct buf path, ids;
	bool good;

	buf_init(&path, BUF_NO_LIMIT);
	buf_init(&ids, BUF_NO_LIMIT);
	buf_adds(&ids, "batch_ids=");
	for (size_t i = 0; i < n; i++)
		buf_printf(&ids, "%s%s", i > 0 ? "," : "", batches[i]);
	good = h != NULL && split(h, url, &path);
	buf_adds(&path, ASKED);
	/* Without `to` the last minute would be left out. */
	good = good && curl_url_set(h, CURLUPART_QUERY, NULL, 0) == CURLUE_OK &&
	       add_query(h, buf_str(&ids)) && add_time(h, "from", from_s) &&
	       add_time(h, "to", to_s) && add_query(h, "per_page=1000") && finish(h, &path, out);
	curl_url_cleanup(h);
	buf_free(&path);
	buf_free(&ids);
	return good;
}

bool
confirm_url_failures(const char *url, const char *batch, struct buf *out)
{
	CURLU *h = curl_url();
	char *id = curl_easy_escape(NULL, batch, (int)strlen(batch));
	struct buf path;
	bool good;

	buf_init(&path, BUF_NO_LIMIT);
	good = h != NULL && id != NULL && split(h, url, &path) &&
	       curl_url_set(h, CURLUPART_QUERY, NULL, 0) == CURLUE_OK;
	if (good)
		buf_printf(&path, POSTED "/failures/%s", id);
	good = good && finish(h, &path, out);
	curl_free(id);
	curl_url_cleanup(h);
	buf_free(&path);
	return good;
}
