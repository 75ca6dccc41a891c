#include "uploader/upload.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/daemon.h"
#include "common/xalloc.h"

struct transfer {
	struct upload *upload;
	CURL *easy;
	struct curl_slist *headers;
	char curl_error[CURL_ERROR_SIZE];
	char refused[INET6_ADDRSTRLEN]; /* an address that plain http may not go to */
	bool plain;                     /* http:// */
	int socket_errno;               /* why there is no socket */
	size_t header_bytes;            /* of the answer */
	bool too_long;                  /* the answer */
	struct upload_result result;
	struct transfer *next, **at; /* in one of the lists */
};

struct upload {
	CURLM *multi;
	struct transfer *busy, *finished, **finished_end;
	struct transfer *shown; /* whose result the caller looks at */
	size_t n_busy;
};

static void
transfer_free(struct transfer *t)
{
	if (t == NULL)
		return;
	curl_easy_cleanup(t->easy);
	curl_slist_free_all(t->headers);
	buf_free(&t->result.body);
	free(t);
}

struct upload *
upload_open(struct err *e)
{
	struct upload *u;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		err_text(e, 0, "libcurl can't be initialised");
		return NULL;
	}
	u = xcalloc(1, sizeof(*u));
	u->finished_end = &u->finished;
	u->multi = curl_multi_init();
	if (u->multi == NULL) {
		err_text(e, 0, "libcurl can't be initialised");
		upload_close(u);
		return NULL;
	}
	return u;
}

void
upload_close(struct upload *u)
{
	struct transfer *t;

	if (u == NULL)
		return;
	while ((t = u->busy) != NULL) {
		u->busy = t->next;
		curl_multi_remove_handle(u->multi, t->easy);
		transfer_free(t);
	}
	while ((t = u->finished) != NULL) {
		u->finished = t->next;
		transfer_free(t);
	}
	transfer_free(u->shown);
	curl_multi_cleanup(u->multi);
	free(u);
	curl_global_cleanup();
}

static bool
is_loopback(const struct sockaddr *sa)
{
	if (sa->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, sa, sizeof(in));
		return ntohl(in.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	}
	if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, sa, sizeof(in6));
		return IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr) ||
		       (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr) &&
			   in6.sin6_addr.s6_addr[12] == IN_LOOPBACKNET);
	}
	return false;
}

static void
address_text(const struct sockaddr *sa, char *out, socklen_t size)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	const char *text = NULL;

	if (sa->sa_family == AF_INET) {
		memcpy(&in, sa, sizeof(in));
		text = inet_ntop(AF_INET, &in.sin_addr, out, size);
	} else if (sa->sa_family == AF_INET6) {
		memcpy(&in6, sa, sizeof(in6));
		text = inet_ntop(AF_INET6, &in6.sin6_addr, out, size);
	}
	if (text == NULL)
		snprintf(out, size, "another family");
}

/* A name may lead anywhere, and elsewhere the next time: what counts is the address. */
static curl_socket_t
open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
	struct transfer *t = arg;
	int fd;

	(void)purpose;
	if (t->plain && !is_loopback(&to->addr)) {
		address_text(&to->addr, t->refused, sizeof(t->refused));
		return CURL_SOCKET_BAD;
	}
	fd = socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
	t->socket_errno = fd < 0 ? errno : 0;
	return fd;
}

static size_t
take_body(char *p, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;

	buf_add(&t->result.body, (struct slice){ p, size * n });
	t->too_long = t->result.body.full;
	return t->too_long ? 0 : size * n;
}

/* Nothing of them is kept here, but libcurl keeps what it is sent. */
static size_t
take_header(char *p, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;

	(void)p;
	t->header_bytes += size * n;
	t->too_long = t->header_bytes > UPLOAD_HEADER_MAX;
	return t->too_long ? 0 : size * n;
}

/* One part of a URL; free with curl_free(). NULL: there is none. */
static char *
url_part(const char *url, CURLUPart part)
{
	CURLU *h = curl_url();
	char *text = NULL;

	if (h != NULL && curl_url_set(h, CURLUPART_URL, url, 0) == CURLUE_OK &&
	    curl_url_get(h, part, &text, 0) != CURLUE_OK)
		text = NULL;
	curl_url_cleanup(h);
	return text;
}

void
upload_host(const char *url, struct buf *out)
{
	char *host = url_part(url, CURLUPART_HOST), *port = url_part(url, CURLUPART_PORT);

	buf_adds(out, host != NULL ? host : "upload-url");
	if (host != NULL && port != NULL)
		buf_printf(out, ":%s", port);
	curl_free(host);
	curl_free(port);
}

/* This host by its usual names; others that lead here are asked of a proxy, if there is one. */
static bool
names_loopback(const char *url)
{
	char *host = url_part(url, CURLUPART_HOST);
	bool yes = host != NULL && (strcasecmp(host, "localhost") == 0 ||
				       strncmp(host, "127.", 4) == 0 || strcmp(host, "[::1]") == 0);

	curl_free(host);
	return yes;
}

static bool
is_plain(const char *url)
{
	char *scheme = url_part(url, CURLUPART_SCHEME);
	bool yes = scheme == NULL || strcasecmp(scheme, "https") != 0;

	curl_free(scheme);
	return yes;
}

static void
add_header(struct transfer *t, const char *text)
{
	struct curl_slist *l = curl_slist_append(t->headers, text);

	if (l != NULL)
		t->headers = l;
}

/* One of ours, unless the operator has given one of that name. */
static void
add_own(struct transfer *t, const struct upload_request *r, const char *name, const char *value)
{
	size_t len = strlen(name);
	struct buf b;

	for (size_t i = 0; i < r->n_headers; i++)
		if (strncasecmp(r->headers[i], name, len) == 0 && r->headers[i][len] == ':')
			return;
	buf_init(&b, BUF_NO_LIMIT);
	buf_printf(&b, "%s: %s", name, value);
	add_header(t, buf_str(&b));
	buf_free(&b);
}

static void
make_headers(struct transfer *t, const struct upload_request *r)
{
	struct buf agent;

	for (size_t i = 0; i < r->n_headers; i++)
		add_header(t, r->headers[i]);
	if (!r->get)
		add_own(t, r, "Content-Type", "application/x-ndjson");
	if (r->gzip)
		add_own(t, r, "Content-Encoding", "gzip");
	add_header(t, "Expect:"); /* none: some endpoints never answer to 100-continue */
	if (r->api_key != NULL)
		add_own(t, r, "Authorization", r->api_key);
	buf_init(&agent, 100);
	buf_printf(&agent, "signalpost/%s", daemon_version());
	add_own(t, r, "User-Agent", buf_str(&agent));
	buf_free(&agent);
}

#define SET(option, value)                                                                         \
	do                                                                                         \
		if (rc == CURLE_OK)                                                                \
			rc = curl_easy_setopt(t->easy, (option), (value));                         \
	while (0)

static CURLcode
set_security(struct transfer *t, const struct upload_request *r)
{
	CURLcode rc = CURLE_OK;

	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (r->ca_file != NULL)
		SET(CURLOPT_CAINFO, r->ca_file);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_FOLLOWLOCATION, 0L); /* the key would go with it */
	SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
	SET(CURLOPT_OPENSOCKETDATA, t);
	/* A proxy can reach neither our loopback nor, in plain text, anything that we would talk
	 * to. */
	if (t->plain || names_loopback(r->url))
		SET(CURLOPT_PROXY, "");
	return rc;
}

static CURLcode
set_transfer(struct transfer *t, const struct upload_request *r)
{
	CURLcode rc = CURLE_OK;

	SET(CURLOPT_URL, r->url);
	if (r->get) {
		SET(CURLOPT_HTTPGET, 1L);
	} else {
		SET(CURLOPT_POST, 1L);
		SET(CURLOPT_POSTFIELDS, r->body.p); /* not copied */
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.len);
	}
	SET(CURLOPT_HTTPHEADER, t->headers);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_ACCEPT_ENCODING, ""); /* who is not asked may send gzip as well */
	SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(CURLOPT_CONNECTTIMEOUT, (long)UPLOAD_CONNECT_TIMEOUT_S);
	SET(CURLOPT_TIMEOUT, (long)UPLOAD_TIMEOUT_S);
	SET(CURLOPT_LOW_SPEED_LIMIT, 1L);
	SET(CURLOPT_LOW_SPEED_TIME, (long)UPLOAD_STALL_S);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_QUICK_EXIT, 1L); /* a stop does not wait for a name server */
	SET(CURLOPT_ERRORBUFFER, t->curl_error);
	SET(CURLOPT_HEADERFUNCTION, take_header);
	SET(CURLOPT_HEADERDATA, t);
	SET(CURLOPT_WRITEFUNCTION, take_body);
	SET(CURLOPT_WRITEDATA, t);
	SET(CURLOPT_PRIVATE, t);
	return rc;
}

#undef SET

static int
begin(struct upload *u, struct transfer *t, const struct upload_request *r, struct err *e)
{
	CURLcode rc;

	t->easy = curl_easy_init();
	if (t->easy == NULL)
		return err_set(e, "upload: no memory");
	make_headers(t, r);
	t->plain = is_plain(r->url);
	rc = set_security(t, r);
	if (rc == CURLE_OK)
		rc = set_transfer(t, r);
	if (rc != CURLE_OK)
		return err_set(e, "upload: %s", curl_easy_strerror(rc));
	if (curl_multi_add_handle(u->multi, t->easy) != CURLM_OK)
		return err_set(e, "upload: libcurl takes no transfer");
	return 0;
}

int
upload_start(struct upload *u, const struct upload_request *r, struct err *e)
{
	struct transfer *t = xcalloc(1, sizeof(*t));

	t->upload = u;
	t->result.owner = r->owner;
	buf_init(&t->result.body, r->answer_max > 0 ? r->answer_max : UPLOAD_ANSWER_MAX);
	if (begin(u, t, r, e) < 0) {
		transfer_free(t);
		return -1;
	}
	t->next = u->busy;
	t->at = &u->busy;
	if (t->next != NULL)
		t->next->at = &t->next;
	u->busy = t;
	u->n_busy++;
	return 0;
}

size_t
upload_busy(const struct upload *u)
{
	return u->n_busy;
}

static bool
is_tls_trouble(CURLcode code)
{
	switch (code) {
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS:
		return true;
	default:
		return false;
	}
}

/* Seconds or a date. libcurl says 0 to a number that is too large for it, and to a past date. */
static int64_t
retry_after_s(CURL *easy)
{
	curl_off_t after = 0;
	struct curl_header *h;

	curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &after);
	if (after == 0 &&
	    curl_easy_header(easy, "Retry-After", 0, CURLH_HEADER, -1, &h) == CURLHE_OK &&
	    strlen(h->value) > 15 && strspn(h->value, "0123456789") == strlen(h->value))
		after = INT32_MAX;
	return after;
}

static void
finish(struct transfer *t, CURLcode code)
{
	struct upload_result *r = &t->result;
	long os_errno = 0;
	struct upload *u = t->upload;

	curl_multi_remove_handle(u->multi, t->easy);
	*t->at = t->next;
	if (t->next != NULL)
		t->next->at = t->at;
	u->n_busy--;
	t->next = NULL;
	*u->finished_end = t;
	u->finished_end = &t->next;
	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &r->status);
	/* Who refuses early hangs up on the rest of the batch: the refusal counts. A 200
	 * without its whole answer is no answer. */
	if (code == CURLE_OK || r->status >= 400) {
		r->retry_after_s = retry_after_s(t->easy);
		return;
	}
	r->status = 0;
	r->tls = is_tls_trouble(code);
	if (code == CURLE_COULDNT_CONNECT) /* libcurl does not say why */
		curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &os_errno);
	if (t->socket_errno != 0)
		os_errno = t->socket_errno;
	if (t->refused[0] != '\0')
		err_text(&r->error, 0,
		    "http:// goes to this host only, and this is %s: use https://", t->refused);
	else if (t->too_long)
		err_text(&r->error, 0, "the answer has more than %zu bytes, or %zu of headers",
		    t->result.body.max, UPLOAD_HEADER_MAX);
	else if (code == CURLE_OUT_OF_MEMORY) /* that is what libcurl says to it */
		err_text(&r->error, 0, "no memory, or a line in the answer's header is too long");
	else
		err_text(&r->error, (int)os_errno, "%s",
		    t->curl_error[0] != '\0' ? t->curl_error : curl_easy_strerror(code));
}

int
upload_poll(struct upload *u, struct pollfd *fds, unsigned n, int timeout_ms, struct err *e)
{
	struct curl_waitfd extra[8];
	int running, left;
	CURLMcode rc;
	CURLMsg *m;

	if (n > COUNT(extra))
		return err_set(e, "upload: too many descriptors");
	for (unsigned i = 0; i < n; i++)
		extra[i] = (struct curl_waitfd){ .fd = fds[i].fd, .events = CURL_WAIT_POLLIN };
	/* First let it go on: what has just been added has no descriptor to wait for yet. */
	rc = curl_multi_perform(u->multi, &running);
	/* Not if one has just come to its end. */
	if (rc == CURLM_OK && (size_t)running == u->n_busy)
		rc = curl_multi_poll(u->multi, extra, n, timeout_ms, NULL);
	if (rc == CURLM_OK)
		rc = curl_multi_perform(u->multi, &running);
	if (rc != CURLM_OK)
		return err_set(e, "upload: %s", curl_multi_strerror(rc));
	for (unsigned i = 0; i < n; i++)
		fds[i].revents = extra[i].revents;
	while ((m = curl_multi_info_read(u->multi, &left)) != NULL)
		if (m->msg == CURLMSG_DONE) {
			struct transfer *t = NULL;

			curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t);
			finish(t, m->data.result);
		}
	return 0;
}

const struct upload_result *
upload_result(struct upload *u)
{
	struct transfer *t = u->finished;

	transfer_free(u->shown);
	u->shown = t;
	if (t == NULL)
		return NULL;
	u->finished = t->next;
	if (u->finished == NULL)
		u->finished_end = &u->finished;
	return &t->result;
}
