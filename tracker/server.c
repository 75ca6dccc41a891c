#include "tracker/server.h"

#include <fcntl.h>
#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/event.h"
#include "common/xalloc.h"
#include "tracker/answer.h"
#include "tracker/commit.h"
#include "tracker/fold.h"
#include "tracker/hit.h"
#include "tracker/loop.h"
#include "tracker/redirect.h"

#define THREADS_MIN       2
#define THREADS_MAX       16
#define CACHE_LINE        64
#define CONNECTION_MEMORY (32 * 1024) /* request line, headers, answer */
#define BATCH_FULL        (COMMIT_BATCH_MAX / 2)
#define LEAVE_MS          250 /* for answers that have been given, once nobody waits any longer */
#define FOLD_ROOM         262144
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

/* A thread, the connections that it has, and the events of its turn. What each request counts or
 * holds is its own: no thread waits for a cache line that another has. */
struct worker {
	struct server *server;
	struct loop *loop;
	struct commit_batch *batch; /* NULL: none yet */
	struct hit hit;
	struct hit_maker *maker;
	struct settings *settings; /* NULL: none yet */
	struct MHD_Response *answers[ANSWERS];
	struct redirects redirects;
	atomic_uint active; /* requests that have made an event and are not yet at their end */
	atomic_ullong counts[COUNTS];
	char gap[CACHE_LINE]; /* before the next one */
};

struct server {
	struct worker workers[THREADS_MAX];
	size_t n_workers;
	struct commit *commit;
	int64_t late_ms;
	struct fold *fold;
	atomic_bool stopping;
	pthread_mutex_t lock;
	_Atomic(struct settings *) settings; /* changed and held under lock */
};

static char begun; /* marks a request whose headers were seen */

struct request {                    /* one that waits for its event */
	struct commit_batch *batch; /* NULL: no longer */
	struct redirect *redirect;  /* that it waits for; NULL: for the pixel */
};

static const struct {
	const char *path;
	enum answer answer;
} fixed_paths[] = {
	{ "/robots.txt", ANSWER_ROBOTS },
	{ "/healthz", ANSWER_HEALTH },
};

static void
count(struct worker *w, enum count what)
{
	atomic_fetch_add_explicit(&w->counts[what], 1, memory_order_relaxed);
}

static enum MHD_Result
queue(struct worker *w, struct MHD_Connection *connection, unsigned status,
    struct MHD_Response *response)
{
	loop_again(w->loop);
	return MHD_queue_response(connection, status, response);
}

static enum MHD_Result
reply(struct worker *w, struct MHD_Connection *connection, enum answer a)
{
	return queue(w, connection, answer_status(a), w->answers[a]);
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

/* Those in force; the worker holds them until it sees that there are others. */
static struct settings *
current_settings(struct worker *w)
{
	struct server *s = w->server;

	if (w->settings == atomic_load(&s->settings))
		return w->settings;
	settings_release(w->settings);
	pthread_mutex_lock(&s->lock);
	w->settings = settings_hold(atomic_load(&s->settings));
	pthread_mutex_unlock(&s->lock);
	return w->settings;
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

/* Adds the event to the batch; false: there is none to be written. */
static bool
make_event(struct worker *w, const struct settings *settings, struct MHD_Connection *connection,
    const struct hit *h, int64_t now_us)
{
	struct server *s = w->server;
	struct client client;
	struct hit_reader reader = { .client = &client, .now_us = now_us };

	if (is_repeated_open(s, settings, h)) {
		count(w, COUNT_FOLDED);
		return false;
	}
	find_client(settings, connection, &client);
	reader.user_agent = header(connection, "User-Agent");
	if (w->batch == NULL)
		w->batch = commit_begin(s->commit, w->loop);
	if (hit_event(w->maker, settings, h, &reader, commit_lines(w->batch), NULL) < 0) {
		count(w, COUNT_FAILED);
		return false;
	}
	count(w, count_of(h->link.kind));
	return true;
}

/* At the end of each turn: what came in it goes to the disk together. */
static void
send_batch(void *arg)
{
	struct worker *w = arg;

	if (w->batch != NULL)
		commit_send(w->server->commit, w->batch);
	w->batch = NULL;
}

static void
wait_no_longer(struct worker *w, struct request *r)
{
	if (r->batch == NULL)
		return;
	commit_leave(w->server->commit, r->batch);
	r->batch = NULL;
	loop_go_on(w->loop);
}

static enum MHD_Result
answer_with(struct worker *w, struct MHD_Connection *connection, const struct redirect *redirect)
{
	if (redirect == NULL)
		return reply(w, connection, ANSWER_PIXEL);
	return queue(w, connection, 302, redirect_response(redirect));
}

static enum MHD_Result
answer_request(struct worker *w, struct request *r, struct MHD_Connection *connection)
{
	if (r->batch != NULL && !commit_is_done(r->batch) && !atomic_load(&w->server->stopping))
		return MHD_YES;
	wait_no_longer(w, r);
	return answer_with(w, connection, r->redirect);
}

/* The connection waits until the batch that has its event is done. */
static enum MHD_Result
wait_for_disk(struct worker *w, struct redirect *redirect, void **con_cls)
{
	struct request *r = xcalloc(1, sizeof(*r));

	*r = (struct request){ w->batch, redirect };
	*con_cls = r;
	commit_hold(w->batch);
	loop_wait(w->loop);
	atomic_fetch_add(&w->active, 1);
	if (commit_lines(w->batch)->len >= BATCH_FULL)
		send_batch(w);
	return MHD_YES;
}

static enum MHD_Result
answer_hit(struct worker *w, const struct settings *settings, struct MHD_Connection *connection,
    const struct hit *h, int64_t now_us, bool head, void **con_cls)
{
	bool click = h->verdict == HIT_CLICK;
	struct redirect *redirect = click ? redirect_to(&w->redirects, h->link.url) : NULL;
	enum MHD_Result rc;

	if (click && redirect == NULL)
		return MHD_NO;
	if (head)
		count(w, COUNT_HEAD);
	if (!head && make_event(w, settings, connection, h, now_us))
		return wait_for_disk(w, redirect, con_cls);
	rc = answer_with(w, connection, redirect);
	redirect_release(redirect);
	return rc;
}

static enum MHD_Result
answer_link(struct worker *w, struct MHD_Connection *connection, struct slice path, bool head,
    void **con_cls)
{
	struct settings *settings = current_settings(w);
	int64_t now_us = clock_wall_us();
	struct hit *h = &w->hit;
	enum MHD_Result rc;

	hit_read(settings, path, now_us, h);
	switch (h->verdict) {
	case HIT_UNKNOWN:
		count(w, COUNT_UNKNOWN);
		rc = reply(w, connection, ANSWER_UNKNOWN);
		break;
	case HIT_EXPIRED:
		count(w, COUNT_EXPIRED);
		rc = reply(w, connection, h->link.url.len > 0 ? ANSWER_EXPIRED : ANSWER_UNKNOWN);
		break;
	default:
		rc = answer_hit(w, settings, connection, h, now_us, head, con_cls);
	}
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
answer_get(struct worker *w, struct MHD_Connection *connection, struct slice path, bool head,
    void **con_cls)
{
	for (size_t i = 0; i < COUNT(fixed_paths); i++)
		if (slice_eq(path, slice_str(fixed_paths[i].path)))
			return reply(w, connection, fixed_paths[i].answer);
	return answer_link(w, connection, path, head, con_cls);
}

/*
 * libmicrohttpd calls it with the headers, then at the end of the request, then,
 * for one that waits, at each turn. What is answered at the first call ends the
 * connection, which is right where a body would follow.
 */
static enum MHD_Result
on_request(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
    const char *version, const char *upload, size_t *upload_size, void **con_cls)
{
	struct worker *w = cls;
	enum answer a;
	bool head;

	(void)version, (void)upload, (void)upload_size;
	if (*con_cls != NULL && *con_cls != &begun)
		return answer_request(w, *con_cls, connection);
	head = strcmp(method, "HEAD") == 0;
	if (*con_cls == &begun) {
		*con_cls = NULL;
		return answer_get(w, connection, slice_str(url), head, con_cls);
	}
	if (is_refused(connection, slice_str(url), head || strcmp(method, "GET") == 0, &a)) {
		count(w, COUNT_REFUSED);
		return reply(w, connection, a);
	}
	*con_cls = &begun;
	return MHD_YES;
}

static void
on_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
    enum MHD_RequestTerminationCode how)
{
	struct worker *w = cls;
	struct request *r = *con_cls;

	(void)connection, (void)how;
	/* There may be the next request in the buffer already. */
	loop_again(w->loop);
	if (r == NULL || *con_cls == &begun)
		return;
	*con_cls = NULL;
	/* A reader may have gone away meanwhile. */
	wait_no_longer(w, r);
	redirect_release(r->redirect);
	free(r);
	atomic_fetch_sub(&w->active, 1);
}

/* The path is taken as it came: one spelling for each link. */
static size_t
leave_escaped(void *cls, struct MHD_Connection *connection, char *text)
{
	(void)cls, (void)connection;
	return strlen(text);
}

static void
wake(void *loop)
{
	loop_kick(loop);
}

/* ---- starting and stopping ---- */

static unsigned
thread_count(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < THREADS_MIN ? THREADS_MIN : n > THREADS_MAX ? THREADS_MAX : (unsigned)n;
}

/* The n-th of the threads gets its share of the connections. */
static unsigned
connection_limit(const struct server *s, size_t n)
{
	size_t all = (size_t)s->settings->conf->tracker.max_connections;

	return (unsigned)(all / s->n_workers + (n < all % s->n_workers));
}

static struct MHD_Daemon *
start_daemon(struct worker *w, int fd)
{
	struct server *s = w->server;
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

	tls_options[0].ptr_value = priorities.out;
	tls_options[1].ptr_value = callback.out;
	if (!tls)
		tls_options[0].option = MHD_OPTION_END;
	return MHD_start_daemon(MHD_USE_EPOLL | (tls ? MHD_USE_TLS : 0), 0, NULL, NULL, on_request,
	    w, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
	    connection_limit(s, (size_t)(w - s->workers)), MHD_OPTION_CONNECTION_TIMEOUT,
	    (unsigned)conf->timeout_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
	    (size_t)CONNECTION_MEMORY, MHD_OPTION_STRICT_FOR_CLIENT, 1,
	    MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL, MHD_OPTION_NOTIFY_COMPLETED,
	    on_completed, w, MHD_OPTION_ARRAY, tls_options, MHD_OPTION_END);
}

static int
make_answers(struct worker *w, struct err *e)
{
	for (size_t i = 0; i < ANSWERS; i++)
		if ((w->answers[i] = answer_fixed((enum answer)i)) == NULL)
			return err_set(e, "the HTTP server makes no answers");
	return 0;
}

/* A daemon for each listener; each has a descriptor of its own, which it closes. */
static int
start_worker(struct worker *w, const int *fds, size_t n_fds, struct err *e)
{
	w->loop = loop_open(send_batch, w, e);
	if (w->loop == NULL || make_answers(w, e) < 0)
		return -1;
	for (size_t i = 0; i < n_fds; i++) {
		int fd = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);
		struct MHD_Daemon *d = fd >= 0 ? start_daemon(w, fd) : NULL;

		if (d == NULL) {
			if (fd >= 0)
				close(fd);
			return err_set(e, "the HTTP server does not start");
		}
		if (loop_add(w->loop, d, e) < 0)
			return -1;
	}
	return loop_start(w->loop, e);
}

static int
start_workers(struct server *s, const int *fds, size_t n_fds, struct err *e)
{
	s->n_workers = thread_count();
	for (size_t i = 0; i < s->n_workers; i++) {
		s->workers[i].server = s;
		s->workers[i].maker = hit_maker_new();
		hit_init(&s->workers[i].hit);
		if (start_worker(&s->workers[i], fds, n_fds, e) < 0)
			return -1;
	}
	return 0;
}

/* A connection that waits must not be closed as an idle one before it has its answer. */
static int64_t
late_ms(uint64_t timeout_s)
{
	int64_t half = (int64_t)timeout_s * 1000 / 2;

	return half < SERVER_LATE_MS ? half : SERVER_LATE_MS;
}

struct server *
server_start(const int *fds, size_t n_fds, struct settings *settings, struct spool_writer *writer,
    struct err *e)
{
	struct server *s = xcalloc(1, sizeof(*s));
	bool good;

	s->settings = settings_hold(settings);
	s->late_ms = late_ms(settings->conf->tracker.timeout_s);
	s->fold = fold_new(FOLD_ROOM);
	pthread_mutex_init(&s->lock, NULL);
	tls_show(settings->identity);
	s->commit = commit_open(writer, wake, e);
	good = s->commit != NULL && start_workers(s, fds, n_fds, e) == 0;
	for (size_t i = 0; i < n_fds; i++)
		close(fds[i]);
	if (good)
		return s;
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
	commit_late(s->commit, s->late_ms);
}

static uint64_t
counted(struct server *s, enum count what)
{
	uint64_t n = 0;

	for (size_t i = 0; i < s->n_workers; i++)
		n += atomic_load(&s->workers[i].counts[what]);
	return n;
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

/* As far as it was started. */
static void
close_worker(struct worker *w)
{
	loop_close(w->loop);
	for (size_t i = 0; i < ANSWERS; i++)
		if (w->answers[i] != NULL)
			MHD_destroy_response(w->answers[i]);
	redirects_free(&w->redirects);
	hit_maker_free(w->maker);
	hit_free(&w->hit);
	settings_release(w->settings);
}

static bool
is_active(struct server *s)
{
	for (size_t i = 0; i < s->n_workers; i++)
		if (atomic_load(&s->workers[i].active) > 0)
			return true;
	return false;
}

/* Until no request is under way, or the time has come; with `late`, nobody waits for the disk. */
static void
await_answers(struct server *s, int64_t end_ms, bool late)
{
	while (is_active(s) && clock_mono_ms() < end_ms) {
		if (late)
			commit_late(s->commit, 0);
		poll(NULL, 0, 5);
	}
}

void
server_stop(struct server *s, unsigned grace_ms, struct server_stats *last)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->n_workers; i++)
		if (s->workers[i].loop != NULL)
			loop_quiesce(s->workers[i].loop);
	await_answers(s, clock_mono_ms() + grace_ms, false);
	atomic_store(&s->stopping, true);
	await_answers(s, clock_mono_ms() + LEAVE_MS, true);
	for (size_t i = 0; i < s->n_workers; i++)
		if (s->workers[i].loop != NULL)
			loop_stop(s->workers[i].loop);
	/* It kicks the loops. */
	commit_drain(s->commit);
	for (size_t i = 0; i < s->n_workers; i++)
		close_worker(&s->workers[i]);
	if (last != NULL)
		*last = server_stats(s);
	commit_close(s->commit);
	fold_free(s->fold);
	tls_show(NULL);
	settings_release(s->settings);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
