#include "ctl/ingest_probe.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "common/slice.h"

#define TIMEOUT_S 20L

bool
ingest_is_here(const char *url)
{
	const char *host = strstr(url, "://");

	host = host != NULL ? host + 3 : url;
	return strncmp(host, "127.", 4) == 0 || strncmp(host, "[::1]", 5) == 0 ||
	       (strncmp(host, "localhost", 9) == 0 && strchr(":/", host[9]) != NULL);
}

static size_t
ignore(char *data, size_t size, size_t n, void *arg)
{
	(void)data, (void)arg;
	return size * n;
}

static size_t
take_header(char *data, size_t size, size_t n, void *arg)
{
	struct ingest_answer *a = arg;
	char text[128];
	time_t then;

	if (n > 5 && strncasecmp(data, "Date:", 5) == 0) {
		snprintf(text, sizeof(text), "%.*s", (int)(n - 5), data + 5);
		then = curl_getdate(text, NULL);
		a->has_date = then != (time_t)-1;
		a->ahead_s = (int64_t)then - (int64_t)time(NULL);
	}
	return size * n;
}

int
ingest_probe(const struct conf_signals *s, struct ingest_answer *out, struct err *e)
{
	struct curl_slist *headers = NULL;
	CURL *easy = curl_easy_init();
	char key[128];
	CURLcode rc = CURLE_FAILED_INIT;

	*out = (struct ingest_answer){ .status = 0 };
	snprintf(key, sizeof(key), "Authorization: %s", s->api_key);
	headers = curl_slist_append(headers, key);
	headers = curl_slist_append(headers, "Content-Type: application/x-ndjson");
	if (easy != NULL && headers != NULL &&
	    (rc = curl_easy_setopt(easy, CURLOPT_URL, s->upload_url)) == CURLE_OK &&
	    (rc = curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers)) == CURLE_OK &&
	    (rc = curl_easy_setopt(easy, CURLOPT_POSTFIELDS, "")) == CURLE_OK &&
	    (rc = curl_easy_setopt(easy, CURLOPT_TIMEOUT, TIMEOUT_S)) == CURLE_OK &&
	    (rc = curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L)) == CURLE_OK &&
	    (rc = curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, ignore)) == CURLE_OK &&
	    (rc = curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header)) == CURLE_OK &&
	    (rc = curl_easy_setopt(easy, CURLOPT_HEADERDATA, out)) == CURLE_OK &&
	    (s->ca_file == NULL ||
		(rc = curl_easy_setopt(easy, CURLOPT_CAINFO, s->ca_file)) == CURLE_OK) &&
	    (rc = curl_easy_perform(easy)) == CURLE_OK)
		rc = curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &out->status);
	curl_slist_free_all(headers);
	curl_easy_cleanup(easy);
	return rc == CURLE_OK ? 0 : err_set(e, "%s: %s", s->upload_url, curl_easy_strerror(rc));
}
