/*
 * upload.h - POSTs over libcurl, several at once, without blocking.
 *
 * Certificates are always checked; only http and https; http only to this host,
 * which is checked again on the address that is really connected to; redirects
 * are not followed; the api-key goes into the request and nowhere else.
 */
#ifndef UPLOADER_UPLOAD_H
#define UPLOADER_UPLOAD_H

#include <poll.h>
#include <stdbool.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/slice.h"

#define UPLOAD_ANSWER_MAX ((size_t)1 << 20)  /* bytes of the answer's body; more is an error */
#define UPLOAD_HEADER_MAX ((size_t)64 << 10) /* and of its headers */

#define UPLOAD_CONNECT_TIMEOUT_S 10
#define UPLOAD_TIMEOUT_S         300
#define UPLOAD_STALL_S           30 /* without a byte in either direction */

struct upload_request { /* the body is borrowed until the result is taken; the rest is copied */
	const char *url;
	const char *api_key;        /* for Authorization:; NULL: none */
	const char *ca_file;        /* NULL: the system's */
	const char *const *headers; /* "Name: value", before our own of the same name */
	size_t n_headers;
	bool gzip;
	bool get;          /* ask, without a body, instead of POST */
	size_t answer_max; /* bytes of the answer's body; 0: UPLOAD_ANSWER_MAX */
	struct slice body;
	void *owner; /* comes back in the result */
};

struct upload_result {
	void *owner;
	long status;           /* HTTP; 0: there was no answer, `error` says why */
	bool tls;              /* with status 0: the certificate or the TLS handshake was it */
	int64_t retry_after_s; /* what the other side asks for; 0: nothing */
	struct err error;
	struct buf body; /* the answer's */
};

struct upload;

/* Before any thread is started: libcurl's global state is set up here. NULL and *e. */
struct upload *upload_open(struct err *e);
void upload_close(struct upload *u); /* gives up what is under way; does not wait for DNS */

/* Begin a POST or GET. -1 and *e: a URL that is none, no such ca-file; there will be no result. */
int upload_start(struct upload *u, const struct upload_request *r, struct err *e);
size_t upload_busy(const struct upload *u); /* how many are under way */

/*
 * Wait until something happens to a transfer or to `fds` (revents are set),
 * at most `timeout_ms`, and let transfers go on. -1 and *e only if libcurl is broken.
 */
int upload_poll(struct upload *u, struct pollfd *fds, unsigned n, int timeout_ms, struct err *e);

/* The next result; NULL: none yet. Valid until the next call. */
const struct upload_result *upload_result(struct upload *u);

/* "HOST:PORT" or "HOST" of a URL, for people: no user, no password, no path. */
void upload_host(const char *url, struct buf *out);

#endif
