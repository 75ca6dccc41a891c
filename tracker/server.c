#include "tracker/server.h"

#include <microhttpd.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/event.h"
#include "common/xalloc.h"
#include "tracker/commit.h"
#include "tracker/fold.h"
#include "tracker/hit.h"

#define THREADS_MIN       2
#define THREADS_MAX       16
#define CONNECTION_MEMORY (32 * 1024) /* request line, headers, answer */
#define BACKLOG           4096
#define FOLD_ROOM         262144
#define LISTENERS_MAX     16
#define TLS_PRIORITIES    "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

enum count {
	COUNT_OPEN,
	COUNT_INITIAL_OPEN,
	COUNT_CLICK,
	COUNT_UNSUBSCRIBE,
	COUNT_FOLDED,
	COUNT_HEAD,
	COUNT_UNKNOWN,
	COUNT_EXPIRED,
	COUNT_REFUSED,
	COUNT_FAILED,
	COUNTS
};

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

struct server {
	struct MHD_Daemon *daemons[LISTENERS_MAX];
	size_t n_daemons;
	struct MHD_Response *answers[ANSWERS];
	struct commit *commit;
	struct fold *fold;
	atomic_bool stopping;
	atomic_uint asleep; /* connections that wait for the disk */
	atomic_uint active; /* requests that did, and are not yet answered */
	atomic_ullong counts[COUNTS];
	pthread_mutex_t lock;
	struct settings *settings; /* under lock */
};

static char begun; /* marks a request whose headers were seen */

struct request { /* one that waits for its event */
	struct server *server;
	struct MHD_Response *response; /* NULL: the pixel */
	unsigned status;
	bool awake;
};

/* ---- answers that are always the same ---- */

/* GIF89a, 1x1, two colours of which the first, the pixel's, is transparent. */
static const char pixel[] = "GIF89a\1\0\1\0\200\0\0\0\0\0\377\377\377"
			    "!\371\4\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0;";

static const struct {
	unsigned status;
	const char *type;
	const char *body;
	size_t len;
	const char *allow;
} answers[] = {
#define TEXT(t) "text/plain; charset=utf-8", t, sizeof("" t) - 1
	[ANSWER_PIXEL] = { 200, "image/gif", pixel, sizeof(pixel) - 1, NULL },
	[ANSWER_ROBOTS] = { 200, TEXT("User-agent: *\nDisallow: /\n"), NULL },
	[ANSWER_HEALTH] = { 200, TEXT("ok\n"), NULL },
	[ANSWER_UNKNOWN] = { 404, TEXT("There is nothing here.\n"), NULL },
	[ANSWER_EXPIRED] = { 410, TEXT("This link has expired.\n"), NULL },
	[ANSWER_METHOD] = { 405, TEXT("Only GET and HEAD are allowed here.\n"), "GET, HEAD" },
	[ANSWER_BODY] = { 413, TEXT("A request has no body here.\n"), NULL },
	[ANSWER_TOO_LONG] = { 414, TEXT("The URL is too long.\n"), NULL },
#undef TEXT
};
_Static_assert(COUNT(answers) == ANSWERS, "every answer is there");

static const struct {
	const char *path;
	enum answer answer;
} fixed_paths[] = {
	{ "/robots.txt", ANSWER_ROBOTS },
	{ "/healthz", ANSWER_HEALTH },
};

/* Nothing between the reader and us may answer for us the next time. */
static void
forbid_storing(struct MHD_Response *r)
{
	MHD_add_response_header(
	    r, "Cache-Control", "no-store, no-cache, must-revalidate, private, max-age=0");
	MHD_add_response_header(r, "Pragma", "no-cache");
	MHD_add_response_header(r, "Expires", "Thu, 01 Jan 1970 00:00:00 GMT");
}

static struct MHD_Response *
make_answer(size_t i)
{
	union {
		const char *in;
		void *out;
	} body = { .in = answers[i].body }; /* it is only read */
	struct MHD_Response *r =
	    MHD_create_response_from_buffer(answers[i].len, body.out, MHD_RESPMEM_PERSISTENT);

	if (r == NULL)
		return NULL;
	forbid_storing(r);
	MHD_add_response_header(r, "Content-Type", answers[i].type);
	MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	if (answers[i].allow != NULL)
		MHD_add_response_header(r, "Allow", answers[i].allow);
	return r;
}

static struct MHD_Response *
make_redirect(struct slice url)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
	struct buf location;

	buf_init(&location, BUF_NO_LIMIT);
	link_location(url, &location);
	if (r != NULL) {
		/* Nothing is left in it that could end or split the header. */
		if (MHD_add_response_header(r, "Location", buf_str(&location)) == MHD_YES) {
			forbid_storing(r);
		} else {
			MHD_destroy_response(r);
			r = NULL;
		}
	}
	buf_free(&location);
	return r;
}

static void
count(struct server *s, enum count what)
{
	atomic_fetch_add_explicit(&s->counts[what], 1, memory_order_relaxed);
}

static enum MHD_Result
reply(struct server *s, struct MHD_Connection *connection, enum answer a)
{
	return MHD_queue_response(connection, answers[a].status, s->answers[a]);
}

/* ---- who asks ---- */

static struct slice
header(struct MHD_Connection *connection, const char *name)
{
	return slice_str(MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name));
}

struct forwarded {
	struct slice v[CLIENT_HOPS_MAX];
	size_t n;
};

static enum MHD_Result
add_forwarded(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct forwarded *f = cls;

	(void)kind;
	if (value == NULL || strcasecmp(name, "X-Forwarded-For") != 0)
		return MHD_YES;
	/* The last ones count. */
	if (f->n == COUNT(f->v))
		memmove(f->v, f->v + 1, --f->n * sizeof(f->v[0]));
	f->v[f->n++] = slice_str(value);
	return MHD_YES;
}

static void
find_client(const struct settings *s, struct MHD_Connection *connection, struct client *out)
{
	static const struct sockaddr nobody = { .sa_family = AF_UNSPEC };
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *peer =
	    info != NULL && info->client_addr != NULL ? info->client_addr : &nobody;
	struct forwarded f = { .n = 0 };

	if (client_is_proxy(&s->proxies, peer))
		MHD_get_connection_values(connection, MHD_HEADER_KIND, add_forwarded, &f);
	client_find(&s->proxies, peer, f.v, f.n, out);
}

/* ---- a hit ---- */

static struct settings *
hold_settings(struct server *s)
{
	struct settings *settings;

	pthread_mutex_lock(&s->lock);
	settings = settings_hold(s->settings);
	pthread_mutex_unlock(&s->lock);
	return settings;
}

static enum count
count_of(enum token_kind kind)
{
	switch (kind) {
	case TOKEN_OPEN:
		return COUNT_OPEN;
	case TOKEN_INITIAL_OPEN:
		return COUNT_INITIAL_OPEN;
	case TOKEN_UNSUBSCRIBE:
		return COUNT_UNSUBSCRIBE;
	default:
		return COUNT_CLICK;
	}
}

static bool
is_repeated_open(struct server *s, const struct settings *settings, const struct hit *h)
{
	uint64_t window_s = settings->conf->tracker.open_window_s;

	return h->verdict == HIT_OPEN && window_s > 0 &&
	       fold_seen(s->fold, hit_key(h), clock_mono_ms(), (int64_t)window_s * 1000);
}

/* The event's line; false: there is none to be written. */
static bool
make_event(struct server *s, const struct settings *settings, struct MHD_Connection *connection,
    const struct hit *h, int64_t now_us, struct buf *line)
{
	struct client client;
	struct hit_reader reader = { .client = &client, .now_us = now_us };

	if (is_repeated_open(s, settings, h)) {
		count(s, COUNT_FOLDED);
		return false;
	}
	find_client(settings, connection, &client);
	reader.user_agent = header(connection, "User-Agent");
	if (hit_event(settings, h, &reader, line, NULL) < 0) {
		count(s, COUNT_FAILED);
		return false;
	}
	count(s, count_of(h->link.kind));
	return true;
}

static enum MHD_Result
queue_and_forget(struct MHD_Connection *connection, unsigned status, struct MHD_Response *response)
{
	enum MHD_Result rc = MHD_queue_response(connection, status, response);

	MHD_destroy_response(response);
	return rc;
}

static enum MHD_Result
answer_request(struct request *r, struct MHD_Connection *connection)
{
	if (!r->awake)
		atomic_fetch_sub(&r->server->asleep, 1);
	r->awake = true;
	return r->response != NULL ? MHD_queue_response(connection, r->status, r->response)
	                           : reply(r->server, connection, ANSWER_PIXEL);
}

/* Let the connection sleep until the event is on disk. */
static enum MHD_Result
wait_for_disk(struct server *s, struct MHD_Connection *connection, struct slice line,
    unsigned status, struct MHD_Response *response, void **con_cls)
{
	struct request *r = xcalloc(1, sizeof(*r));

	*r = (struct request){ s, response, status, false };
	*con_cls = r;
	atomic_fetch_add(&s->active, 1);
	/* In this order: server_stop() sees either us or, here, that it must not be waited for. */
	atomic_fetch_add(&s->asleep, 1);
	if (atomic_load(&s->stopping)) {
		commit_add(s->commit, line, NULL);
		return answer_request(r, connection);
	}
	MHD_suspend_connection(connection);
	if (!commit_add(s->commit, line, connection))
		MHD_resume_connection(connection);
	return MHD_YES;
}

static enum MHD_Result
answer_hit(struct server *s, const struct settings *settings, struct MHD_Connection *connection,
    const struct hit *h, int64_t now_us, bool head, void **con_cls)
{
	bool click = h->verdict == HIT_CLICK;
	struct MHD_Response *response =
	    click ? make_redirect(h->link.url) : s->answers[ANSWER_PIXEL];
	unsigned status = click ? 302 : 200;
	enum MHD_Result rc;
	struct buf line;

	if (response == NULL)
		return MHD_NO;
	buf_init(&line, EVENT_LINE_MAX);
	if (head)
		count(s, COUNT_HEAD);
	if (!head && make_event(s, settings, connection, h, now_us, &line))
		rc = wait_for_disk(
		    s, connection, buf_slice(&line), status, click ? response : NULL, con_cls);
	else if (click)
		rc = queue_and_forget(connection, status, response);
	else
		rc = reply(s, connection, ANSWER_PIXEL);
	buf_free(&line);
	return rc;
}

static enum MHD_Result
answer_link(struct server *s, struct MHD_Connection *connection, struct slice path, bool head,
    void **con_cls)
{
	struct settings *settings = hold_settings(s);
	int64_t now_us = clock_wall_us();
	enum MHD_Result rc;
	struct hit h;

	hit_init(&h);
	hit_read(settings, path, now_us, &h);
	switch (h.verdict) {
	case HIT_UNKNOWN:
		count(s, COUNT_UNKNOWN);
		rc = reply(s, connection, ANSWER_UNKNOWN);
		break;
	case HIT_EXPIRED:
		count(s, COUNT_EXPIRED);
		rc = reply(s, connection, h.link.url.len > 0 ? ANSWER_EXPIRED : ANSWER_UNKNOWN);
		break;
	default:
		rc = answer_hit(s, settings, connection, &h, now_us, head, con_cls);
	}
	hit_free(&h);
	settings_release(settings);
	return rc;
}

/* ---- a request, from its first line to its end ---- */

static bool
has_body(struct MHD_Connection *connection)
{
	struct slice length = slice_trim(header(connection, "Content-Length"));

	return header(connection, "Transfer-Encoding").len > 0 ||
	       (length.len > 0 && !slice_eq(length, SLICE_LIT("0")));
}

/* True: there is no more to know about it than that it is refused. */
static bool
is_refused(struct MHD_Connection *connection, struct slice path, bool get, enum answer *out)
{
	*out = !get                        ? ANSWER_METHOD
	       : has_body(connection)      ? ANSWER_BODY
	       : path.len > SERVER_URL_MAX ? ANSWER_TOO_LONG
	                                   : ANSWERS;
	return *out != ANSWERS;
}

static enum MHD_Result
answer_get(struct server *s, struct MHD_Connection *connection, struct slice path, bool head,
    void **con_cls)
{
	for (size_t i = 0; i < COUNT(fixed_paths); i++)
		if (slice_eq(path, slice_str(fixed_paths[i].path)))
			return reply(s, connection, fixed_paths[i].answer);
	return answer_link(s, connection, path, head, con_cls);
}

/*
 * libmicrohttpd calls it with the headers, then at the end of the request, then,
 * for one that has slept, again. What is answered at the first call ends the
 * connection, which is right where a body would follow.
 */
static enum MHD_Result
on_request(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
    const char *version, const char *upload, size_t *upload_size, void **con_cls)
{
	struct server *s = cls;
	bool head = strcmp(method, "HEAD") == 0;
	enum answer a;

	(void)version, (void)upload, (void)upload_size;
	if (*con_cls == &begun) {
		*con_cls = NULL;
		return answer_get(s, connection, slice_str(url), head, con_cls);
	}
	if (*con_cls != NULL)
		return answer_request(*con_cls, connection);
	if (is_refused(connection, slice_str(url), head || strcmp(method, "GET") == 0, &a)) {
		count(s, COUNT_REFUSED);
		return reply(s, connection, a);
	}
	*con_cls = &begun;
	return MHD_YES;
}

static void
on_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
    enum MHD_RequestTerminationCode how)
{
	struct request *r = *con_cls;

	(void)connection, (void)how;
	if (r == NULL || *con_cls == &begun)
		return;
	*con_cls = NULL;
	/* A reader who went away meanwhile. */
	if (!r->awake)
		atomic_fetch_sub(&((struct server *)cls)->asleep, 1);
	if (r->response != NULL)
		MHD_destroy_response(r->response);
	free(r);
	atomic_fetch_sub(&((struct server *)cls)->active, 1);
}

/* The path is taken as it came: one spelling for each link. */
static size_t
leave_escaped(void *cls, struct MHD_Connection *connection, char *text)
{
	(void)cls, (void)connection;
	return strlen(text);
}

static void
wake(void *connection)
{
	MHD_resume_connection(connection);
}

/* ---- starting and stopping ---- */

static int
resolve(const char *address, struct addrinfo **out, struct err *e)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE | AI_NUMERICHOST };
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
	if (fd >= 0) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		/* [::] beside 0.0.0.0 is two listeners, not one that is in use. */
		if (ai->ai_family == AF_INET6)
			setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	}
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
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	char host[64], port[16];

	if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0 ||
	    getnameinfo((struct sockaddr *)&ss, len, host, sizeof(host), port, sizeof(port),
		NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		buf_adds(out, "?");
	else
		buf_printf(out, ss.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

static unsigned
thread_count(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < THREADS_MIN ? THREADS_MIN : n > THREADS_MAX ? THREADS_MAX : (unsigned)n;
}

static struct MHD_Daemon *
start_daemon(struct server *s, int fd)
{
	const struct conf_tracker *conf = &s->settings->conf->tracker;
	bool tls = s->settings->identity != NULL;
	struct MHD_OptionItem tls_options[] = {
		{ MHD_OPTION_HTTPS_PRIORITIES, 0, NULL },
		{ MHD_OPTION_HTTPS_CERT_CALLBACK2, 0, NULL },
		{ MHD_OPTION_END, 0, NULL },
	};
	union {
		const char *in;
		void *out;
	} priorities = { .in = TLS_PRIORITIES };
	union {
		tls_callback *in;
		void *out;
	} callback = { .in = tls_certificate_callback() };
	unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_ALLOW_SUSPEND_RESUME;

	tls_options[0].ptr_value = priorities.out;
	tls_options[1].ptr_value = callback.out;
	if (!tls)
		tls_options[0].option = MHD_OPTION_END;
	return MHD_start_daemon(flags | (tls ? MHD_USE_TLS : 0), 0, NULL, NULL, on_request, s,
	    MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_THREAD_POOL_SIZE, thread_count(),
	    MHD_OPTION_CONNECTION_LIMIT, (unsigned)conf->max_connections,
	    MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)conf->timeout_s,
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
	    MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL,
	    MHD_OPTION_NOTIFY_COMPLETED, on_completed, s, MHD_OPTION_ARRAY, tls_options,
	    MHD_OPTION_END);
}

/* Takes over the sockets. */
static int
start_daemons(struct server *s, const int *fds, size_t n_fds, struct err *e)
{
	for (size_t i = 0; i < n_fds; i++) {
		struct MHD_Daemon *d = i < LISTENERS_MAX ? start_daemon(s, fds[i]) : NULL;

		if (d == NULL) {
			for (; i < n_fds; i++)
				close(fds[i]);
			return err_set(e, "the HTTP server does not start");
		}
		s->daemons[s->n_daemons++] = d;
	}
	return 0;
}

static int
make_answers(struct server *s, struct err *e)
{
	for (size_t i = 0; i < ANSWERS; i++)
		if ((s->answers[i] = make_answer(i)) == NULL)
			return err_set(e, "the HTTP server makes no answers");
	return 0;
}

struct server *
server_start(const int *fds, size_t n_fds, struct settings *settings, struct spool_writer *writer,
    struct err *e)
{
	struct server *s = xcalloc(1, sizeof(*s));

	s->settings = settings_hold(settings);
	s->fold = fold_new(FOLD_ROOM);
	pthread_mutex_init(&s->lock, NULL);
	tls_show(settings->identity);
	s->commit = commit_open(writer, wake, e);
	if (s->commit == NULL || make_answers(s, e) < 0) {
		for (size_t i = 0; i < n_fds; i++)
			close(fds[i]);
	} else if (start_daemons(s, fds, n_fds, e) == 0) {
		return s;
	}
	server_stop(s, 0, NULL);
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
	/* Listeners that speak TLS go on doing so. */
	if (old->identity != NULL && settings->identity != NULL)
		tls_show(settings->identity);
	settings_release(old);
}

void
server_tick(struct server *s)
{
	commit_late(s->commit, SERVER_LATE_MS);
}

static uint64_t
counted(struct server *s, enum count what)
{
	return atomic_load(&s->counts[what]);
}

struct server_stats
server_stats(struct server *s)
{
	struct commit_stats c = { 0 };

	if (s->commit != NULL)
		c = commit_stats(s->commit);
	return (struct server_stats){
		.opens = counted(s, COUNT_OPEN),
		.initial_opens = counted(s, COUNT_INITIAL_OPEN),
		.clicks = counted(s, COUNT_CLICK),
		.unsubscribes = counted(s, COUNT_UNSUBSCRIBE),
		.folded = counted(s, COUNT_FOLDED),
		.heads = counted(s, COUNT_HEAD),
		.unknown = counted(s, COUNT_UNKNOWN),
		.expired = counted(s, COUNT_EXPIRED),
		.refused = counted(s, COUNT_REFUSED),
		.failed = counted(s, COUNT_FAILED),
		.written = c.written,
		.lost = c.lost,
		.late = c.late,
		.error = c.error,
	};
}

void
server_stop(struct server *s, unsigned grace_ms, struct server_stats *last)
{
	int64_t end = clock_mono_ms() + grace_ms;

	if (s == NULL)
		return;
	for (size_t i = 0; i < s->n_daemons; i++) {
		int fd = MHD_quiesce_daemon(s->daemons[i]);

		if (fd != MHD_INVALID_SOCKET)
			close(fd);
	}
	while (atomic_load(&s->active) > 0 && clock_mono_ms() < end)
		poll(NULL, 0, 5);
	/* libmicrohttpd aborts the program when it is stopped while a connection sleeps. */
	atomic_store(&s->stopping, true);
	while (atomic_load(&s->asleep) > 0) {
		commit_late(s->commit, 0);
		poll(NULL, 0, 1);
	}
	for (size_t i = 0; i < s->n_daemons; i++)
		MHD_stop_daemon(s->daemons[i]);
	commit_drain(s->commit);
	if (last != NULL)
		*last = server_stats(s);
	commit_close(s->commit);
	for (size_t i = 0; i < ANSWERS; i++)
		if (s->answers[i] != NULL)
			MHD_destroy_response(s->answers[i]);
	fold_free(s->fold);
	tls_show(NULL);
	settings_release(s->settings);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
