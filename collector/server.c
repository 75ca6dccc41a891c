#include "collector/server.h"

#include <microhttpd.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "collector/answer.h"
#include "collector/download.h"
#include "collector/ingest.h"
#include "collector/query.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/xalloc.h"

#define THREADS           4
#define CONNECTIONS_MAX   1000
#define TIMEOUT_S         30                 /* of silence */
#define REQUEST_MAX_MS    300000             /* for a whole request, however steadily it drips */
#define CONNECTION_MEMORY (32 * 1024)        /* request line, headers, buffer */
#define BODIES_MAX        (64 * 1024 * 1024) /* in memory at once, of all requests */
#define LINGER_MS         1000
#define LINGER_QUIET_MS   200
#define BACKLOG           511

enum method { GET = 1, POST = 2 };

struct request;

struct route {
	const char *path;
	bool prefix; /* an id follows */
	enum method method;
	void (*run)(struct request *r);
};

struct server {
	struct MHD_Daemon *daemon;
	struct store *store;
	atomic_bool stopping;
	atomic_uint active;          /* requests that have begun */
	atomic_size_t bodies;        /* bytes of bodies in memory */
	_Atomic int64_t refusals_at; /* when a wrong key was logged last */
	pthread_mutex_t lock;
	struct settings *settings; /* under lock */
};

struct request {
	struct server *server;
	struct MHD_Connection *connection;
	const struct route *route;
	struct settings *settings;
	struct answer answer;
	bool begun;
	bool decided; /* the answer is known before the body was read */
	bool early;   /* and was given then: what is left of the body is to be thrown away */
	int64_t since_ms;
	struct buf body;
	uint64_t taken; /* bytes of the body, kept or not */
	char path[128]; /* without the query; "" if longer */
};

/* ---- the routes ---- */

static void
peer_text(const struct request *r, char *out, size_t size)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	char host[64];
	socklen_t len;

	snprintf(out, size, "?");
	if (info == NULL || info->client_addr == NULL)
		return;
	len = info->client_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
	                                               : sizeof(struct sockaddr_in);
	if (getnameinfo(info->client_addr, len, host, sizeof(host), NULL, 0, NI_NUMERICHOST) == 0)
		snprintf(out, size, "%s", host);
}

static void
run_ingest(struct request *r)
{
	struct ingest_limits limits = { .max_events = r->settings->max_events,
		.retention_s = r->settings->retention_s };
	struct ingest_report report;
	int64_t before = clock_mono_ms();
	char peer[64];

	ingest_events(r->server->store, &limits, buf_slice(&r->body), &r->answer, &report);
	peer_text(r, peer, sizeof(peer));
	if (r->answer.status == 503)
		log_error("batch from %s not stored: %s", peer, report.err.text);
	else if (r->answer.status == 413)
		log_warn("batch from %s refused: too much in it, size=%zu", peer, r->body.len);
	else
		log_info(
		    "batch=%s peer=%s size=%zu events=%llu failed=%llu duplicates=%llu%s%s ms=%lld",
		    report.uuid, peer, r->body.len, (unsigned long long)report.counts.succeeded,
		    (unsigned long long)report.counts.failed,
		    (unsigned long long)report.counts.duplicates,
		    report.error_type != NULL ? " error=" : "",
		    report.error_type != NULL ? report.error_type : "",
		    (long long)(clock_mono_ms() - before));
}

struct params {
	struct query_param v[QUERY_PARAMS_MAX];
	size_t n;
	bool too_many;
};

static enum MHD_Result
add_param(void *cls, enum MHD_ValueKind kind, const char *key, size_t key_size, const char *value,
    size_t value_size)
{
	struct params *p = cls;

	(void)kind;
	if (p->n == COUNT(p->v)) {
		p->too_many = true;
		return MHD_NO;
	}
	p->v[p->n++] = (struct query_param){ { key, key_size },
		{ value != NULL ? value : "", value != NULL ? value_size : 0 } };
	return MHD_YES;
}

static void
run_query(struct request *r,
    int (*ask)(struct store *, const struct query *, struct answer *, struct err *))
{
	struct params p = { .n = 0 };
	struct query q = { .params = p.v, .customer_id = r->settings->conf->signals.customer_id };
	struct err e;

	MHD_get_connection_values_n(r->connection, MHD_GET_ARGUMENT_KIND, add_param, &p);
	q.n = p.n;
	if (p.too_many)
		answer_error(&r->answer, 400, NULL, "more than %d parameters", QUERY_PARAMS_MAX);
	else if (ask(r->server->store, &q, &r->answer, &e) < 0)
		log_error("%s: %s", r->path, e.text);
}

static void
run_messages(struct request *r)
{
	run_query(r, query_messages);
}

static void
run_statuses(struct request *r)
{
	run_query(r, query_statuses);
}

static void
run_download(struct request *r, enum download_kind kind)
{
	struct slice id = slice_str(r->path + strlen(r->route->path));
	struct err e;

	switch (download_open(r->server->store, kind, id, &r->answer.download, &e)) {
	case 1:
		r->answer.status = 200;
		break;
	case 0:
		answer_error(&r->answer, 404, NULL, "there is no batch of this id");
		break;
	default:
		log_error("%s: %s", r->path, e.text);
		answer_error(&r->answer, 503, NULL, "the store can't be read");
	}
}

static void
run_failures(struct request *r)
{
	run_download(r, DOWNLOAD_FAILURES);
}

static void
run_events(struct request *r)
{
	run_download(r, DOWNLOAD_EVENTS);
}

static const struct route routes[] = {
	{ "/api/v1/ingest/events", false, POST, run_ingest },
	{ QUERY_INGEST_PATH, false, GET, run_statuses },
	{ QUERY_MESSAGE_PATH, false, GET, run_messages },
	{ QUERY_FAILURES_PATH, true, GET, run_failures },
	{ "/api/v1/ingest/events/", true, GET, run_events },
};

static bool
is_uuid(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (s.p[i] == '\0' ||
		    (dash ? s.p[i] != '-' : strchr("0123456789abcdef", s.p[i]) == NULL))
			return false;
	}
	return s.len == STORE_UUID_SIZE - 1;
}

/* The path is compared as it came: nothing is decoded, so there is one spelling of each. */
static const struct route *
find_route(struct slice path)
{
	for (size_t i = 0; i < COUNT(routes); i++) {
		struct slice p = slice_str(routes[i].path);

		if (routes[i].prefix ? slice_starts(path, p) && is_uuid(slice_skip(path, p.len))
				     : slice_eq(path, p))
			return &routes[i];
	}
	return NULL;
}

/* ---- before the body ---- */

static struct slice
header(const struct request *r, const char *name)
{
	return slice_str(MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name));
}

static bool
is_batch(const struct request *r)
{
	struct slice type = header(r, "Content-Type");

	type = slice_trim(slice_cut(&type, ';'));
	return slice_eqi(type, SLICE_LIT("application/x-ndjson")) &&
	       slice_eqi(slice_trim(header(r, "Content-Encoding")), SLICE_LIT("gzip"));
}

static bool
method_fits(const struct route *route, const char *method)
{
	if (route->method == POST)
		return strcmp(method, "POST") == 0;
	return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

/* Someone who tries keys must not fill the log. */
static void
log_refusal(struct request *r)
{
	int64_t now = clock_mono_ms(), last = atomic_load(&r->server->refusals_at);
	char peer[64];

	if (now - last < 1000 ||
	    !atomic_compare_exchange_strong(&r->server->refusals_at, &last, now))
		return;
	peer_text(r, peer, sizeof(peer));
	log_warn("no or wrong API key from %s", peer);
}

static void
too_large(struct request *r)
{
	answer_error(&r->answer, 413, NULL, "the body has more than %llu bytes",
	    (unsigned long long)r->settings->max_body);
}

/* True: the answer is clear already. */
static bool
decide_early(struct request *r, const char *method, bool oversized)
{
	struct answer *a = &r->answer;

	r->route = find_route(slice_str(r->path));
	if (r->route == NULL) {
		answer_error(a, 404, NULL, "there is nothing at this path");
	} else if (!method_fits(r->route, method)) {
		a->allow = r->route->method == POST ? "POST" : "GET, HEAD";
		answer_error(a, 405, NULL, "allowed here: %s", a->allow);
	} else if (!settings_authorized(r->settings, header(r, "Authorization"))) {
		log_refusal(r);
		answer_error(a, 401, NULL, "Authorization must hold the API key");
	} else if (r->route->method == POST && !is_batch(r)) {
		answer_error(a, 415, NULL,
		    "expected Content-Type: application/x-ndjson and Content-Encoding: gzip");
	} else if (oversized) {
		too_large(r);
	} else {
		return false;
	}
	return true;
}

/* ---- the answer ---- */

static ssize_t
read_download(void *cls, uint64_t pos, char *out, size_t max)
{
	struct err e;
	ssize_t n = download_read(cls, out, max, &e);

	(void)pos;
	if (n < 0)
		log_error("download cut short: %s", e.text);
	return n > 0    ? n
	       : n == 0 ? MHD_CONTENT_READER_END_OF_STREAM
	                : MHD_CONTENT_READER_END_WITH_ERROR;
}

static void
free_download(void *cls)
{
	download_close(cls);
}

static void
set_header(struct MHD_Response *response, const char *name, const char *value)
{
	MHD_add_response_header(response, name, value);
}

static struct MHD_Response *
make_download(struct request *r)
{
	struct MHD_Response *response = MHD_create_response_from_callback(
	    MHD_SIZE_UNKNOWN, 65536, read_download, r->answer.download, free_download);
	char disposition[128];

	if (response == NULL)
		return NULL;
	r->answer.download = NULL; /* the response's now */
	snprintf(disposition, sizeof(disposition), "attachment; filename=\"%.36s.ndjson.gz\"",
	    r->path + strlen(r->route->path));
	set_header(response, "Content-Type", "application/gzip");
	set_header(response, "Content-Disposition", disposition);
	return response;
}

static struct MHD_Response *
make_json(struct request *r)
{
	size_t len = r->answer.body.len;
	char *text = buf_take(&r->answer.body);
	struct MHD_Response *response =
	    MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE);

	if (response == NULL)
		free(text);
	else
		set_header(response, "Content-Type", "application/json; charset=utf-8");
	return response;
}

static enum MHD_Result
reply(struct request *r)
{
	struct answer *a = &r->answer;
	struct MHD_Response *response = a->download != NULL ? make_download(r) : make_json(r);
	enum MHD_Result rc;
	char seconds[16];

	if (response == NULL)
		return MHD_NO;
	set_header(response, "Cache-Control", "no-store");
	set_header(response, "X-Content-Type-Options", "nosniff");
	if (a->allow != NULL)
		set_header(response, "Allow", a->allow);
	if (a->status == 401)
		set_header(response, "WWW-Authenticate", "Basic realm=\"signalpost-collector\"");
	if (a->retry_after_s > 0) {
		snprintf(seconds, sizeof(seconds), "%u", a->retry_after_s);
		set_header(response, "Retry-After", seconds);
	}
	if (r->early || atomic_load(&r->server->stopping))
		set_header(response, "Connection", "close");
	rc = MHD_queue_response(r->connection, a->status, response);
	MHD_destroy_response(response);
	return rc;
}

/* ---- a request, from its first line to its end ---- */

static void *
on_uri(void *cls, const char *uri, struct MHD_Connection *connection)
{
	struct request *r = xcalloc(1, sizeof(*r));
	size_t len = strcspn(uri, "?");

	r->server = cls;
	r->connection = connection;
	r->since_ms = clock_mono_ms();
	if (len < sizeof(r->path))
		memcpy(r->path, uri, len); /* the rest is zero */
	answer_init(&r->answer);
	return r;
}

/* How many bytes the body says it has; false for a chunked one. */
static bool
declared_length(const struct request *r, uint64_t *out)
{
	*out = 0;
	if (header(r, "Transfer-Encoding").len > 0)
		return false;
	/* libmicrohttpd has refused a malformed length already. */
	slice_uint(slice_trim(header(r, "Content-Length")), UINT64_MAX, out);
	return true;
}

static enum MHD_Result
begin(struct request *r, const char *method)
{
	struct server *s = r->server;
	uint64_t length;
	bool known, oversized;

	r->begun = true;
	atomic_fetch_add(&s->active, 1);
	pthread_mutex_lock(&s->lock);
	r->settings = settings_hold(s->settings);
	pthread_mutex_unlock(&s->lock);
	buf_init(&r->body, (size_t)r->settings->max_body);

	known = declared_length(r, &length);
	oversized = length > r->settings->max_body;
	r->decided = decide_early(r, method, oversized);
	/*
	 * A client that is refused before it has sent its body may not look for
	 * the answer until it has: take the body and throw it away, unless it is
	 * too big for that or the client waits to be asked for it.
	 */
	r->early =
	    r->decided && (oversized || header(r, "Expect").len > 0) && (!known || length > 0);
	return r->early ? reply(r) : MHD_YES;
}

static void
drop_body(struct request *r)
{
	atomic_fetch_sub(&r->server->bodies, r->body.len);
	buf_free(&r->body);
}

static uint64_t
bodies_max(const struct request *r)
{
	uint64_t two = 2 * r->settings->max_body;

	return two > BODIES_MAX ? two : BODIES_MAX;
}

static enum MHD_Result
take_body(struct request *r, struct slice piece)
{
	struct server *s = r->server;

	r->taken += piece.len;
	if (clock_mono_ms() - r->since_ms > REQUEST_MAX_MS)
		return MHD_NO;
	if (r->decided)
		return r->taken / 4 > r->settings->max_body ? MHD_NO : MHD_YES;
	if (atomic_fetch_add(&s->bodies, piece.len) + piece.len > bodies_max(r)) {
		atomic_fetch_sub(&s->bodies, piece.len);
		answer_error(&r->answer, 503, NULL, "too many batches at once");
		r->answer.retry_after_s = 1;
		r->decided = true;
	} else {
		buf_add(&r->body, piece);
		if (r->body.full) {
			atomic_fetch_sub(&s->bodies, piece.len);
			too_large(r);
			r->decided = true;
		}
	}
	if (r->decided)
		drop_body(r);
	return MHD_YES;
}

static enum MHD_Result
on_request(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
    const char *version, const char *upload, size_t *upload_size, void **con_cls)
{
	struct request *r = *con_cls;

	(void)cls, (void)connection, (void)url, (void)version;
	if (!r->begun)
		return begin(r, method);
	if (*upload_size > 0) {
		struct slice piece = { upload, *upload_size };

		*upload_size = 0;
		return take_body(r, piece);
	}
	if (!r->decided)
		r->route->run(r);
	drop_body(r);
	return reply(r);
}

/*
 * Closing a socket that still has bytes to be read makes the peer lose our
 * answer (TCP reset), so read a while what it sends.
 */
static void
linger(const struct request *r)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	int64_t end = clock_mono_ms() + LINGER_MS;
	char bytes[65536];

	if (info == NULL)
		return;
	shutdown(info->connect_fd, SHUT_WR);
	while (clock_mono_ms() < end && !atomic_load(&r->server->stopping)) {
		struct pollfd pfd = { .fd = info->connect_fd, .events = POLLIN };

		if (poll(&pfd, 1, LINGER_QUIET_MS) <= 0 ||
		    recv(info->connect_fd, bytes, sizeof(bytes), MSG_DONTWAIT) <= 0)
			return;
	}
}

static void
on_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
    enum MHD_RequestTerminationCode how)
{
	struct request *r = *con_cls;

	(void)connection;
	if (r == NULL)
		return;
	*con_cls = NULL;
	if (r->early && how == MHD_REQUEST_TERMINATED_COMPLETED_OK)
		linger(r);
	if (r->begun) {
		drop_body(r);
		atomic_fetch_sub(&((struct server *)cls)->active, 1);
	}
	settings_release(r->settings);
	answer_free(&r->answer);
	free(r);
}

/* ---- starting and stopping ---- */

static int
resolve(const char *address, struct addrinfo **out, struct err *e)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
	const char *colon = strrchr(address, ':');
	struct slice host;
	uint64_t port;
	char *name;
	int rc;

	if (colon == NULL || !slice_uint(slice_str(colon + 1), 65535, &port))
		return err_set(e, "listen %s: expected ADDRESS:PORT", address);
	host = slice_head(slice_str(address), (size_t)(colon - address));
	if (host.len > 2 && host.p[0] == '[' && host.p[host.len - 1] == ']')
		host = (struct slice){ host.p + 1, host.len - 2 };
	else if (slice_find(host, ':') < host.len || host.len == 0)
		return err_set(
		    e, "listen %s: expected ADDRESS:PORT, an IPv6 address in brackets", address);
	name = xslicedup(host);
	rc = getaddrinfo(name, colon + 1, &hints, out);
	free(name);
	return rc == 0 ? 0 : err_set(e, "listen %s: %s", address, gai_strerror(rc));
}

int
server_listen(const char *address, bool check_only, struct err *e)
{
	struct addrinfo *ai = NULL;
	const int on = 1;
	int fd;

	if (resolve(address, &ai, e) < 0)
		return -1;
	if (check_only) {
		freeaddrinfo(ai);
		return 0;
	}
	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd < 0 || bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0) {
		err_text(e, errno, "listen %s", address);
		if (fd >= 0)
			close(fd);
		fd = -1;
	}
	freeaddrinfo(ai);
	return fd;
}

void
server_address(int fd, struct buf *out)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);
	char host[64], port[16];

	if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0 ||
	    getnameinfo((struct sockaddr *)&ss, len, host, sizeof(host), port, sizeof(port),
		NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		buf_adds(out, "?");
	else
		buf_printf(out, ss.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

struct server *
server_start(int fd, struct settings *settings, struct store *store, struct err *e)
{
	struct server *s = xcalloc(1, sizeof(*s));

	s->store = store;
	s->settings = settings_hold(settings);
	pthread_mutex_init(&s->lock, NULL);
	s->daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC, 0, NULL, NULL,
	    on_request, s, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_THREAD_POOL_SIZE,
	    (unsigned)THREADS, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
	    MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
	    (size_t)CONNECTION_MEMORY, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_URI_LOG_CALLBACK,
	    on_uri, s, MHD_OPTION_NOTIFY_COMPLETED, on_completed, s, MHD_OPTION_END);
	if (s->daemon != NULL)
		return s;
	err_text(e, 0, "the HTTP server does not start");
	close(fd);
	settings_release(s->settings);
	pthread_mutex_destroy(&s->lock);
	free(s);
	return NULL;
}

void
server_set(struct server *s, struct settings *settings)
{
	struct settings *old;

	pthread_mutex_lock(&s->lock);
	old = s->settings;
	s->settings = settings_hold(settings);
	pthread_mutex_unlock(&s->lock);
	settings_release(old);
}

void
server_stop(struct server *s, unsigned grace_ms)
{
	int64_t end = clock_mono_ms() + grace_ms;
	int fd;

	if (s == NULL)
		return;
	atomic_store(&s->stopping, true);
	fd = MHD_quiesce_daemon(s->daemon);
	if (fd != MHD_INVALID_SOCKET)
		close(fd);
	while (atomic_load(&s->active) > 0 && clock_mono_ms() < end)
		poll(NULL, 0, 10);
	store_interrupt(s->store);
	MHD_stop_daemon(s->daemon);
	settings_release(s->settings);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
