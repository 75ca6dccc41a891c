/*
 * callbacks.c - translate, delegate, translate back.
 *
 * libmilter calls these in protocol order, but Debian's runs the callbacks of
 * one session on changing threads: what a session owns hangs off its struct
 * session, and there is nothing to lock.
 */
#include "milter/callbacks.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/onward.h"
#include "common/outgoing.h"
#include "common/policy.h"
#include "common/route.h"
#include "common/xalloc.h"
#include "milter/edits.h"
#include "milter/session.h"

#define LOG_LINE_MAX 3500

/* Taken away at the end, when libmilter has returned and sessions may still be at work. */
static pthread_rwlock_t spool_lock = PTHREAD_RWLOCK_INITIALIZER;
static struct spool_writer *spool; /* under spool_lock */
static struct auth_failures_view *auth_failures; /* under spool_lock */

/* Set before smfi_main(), then constant; never closed. */
static struct spool *inbound;

static struct {
	atomic_ullong messages, captured, refused, events, failures;
} totals;

static const unsigned long actions_wanted = SMFIF_ADDHDRS | SMFIF_CHGHDRS | SMFIF_CHGBODY |
    SMFIF_CHGFROM;
static const unsigned long actions_liked = SMFIF_DELRCPT;

void
callbacks_set_inbound(struct spool *sp)
{
	inbound = sp;
}

void
callbacks_set_spool(struct spool_writer *writer)
{
	pthread_rwlock_wrlock(&spool_lock);
	spool = writer;
	pthread_rwlock_unlock(&spool_lock);
}

void
callbacks_set_auth_failures(struct auth_failures_view *view)
{
	pthread_rwlock_wrlock(&spool_lock);
	auth_failures = view;
	pthread_rwlock_unlock(&spool_lock);
}

/* For how many seconds more this client is refused since it failed to authenticate too often. */
static uint64_t
auth_refused_s(const struct session *s, const struct conf_source *src)
{
	int64_t now = clock_wall_s(), until = 0;
	uint64_t most, window;
	struct auth_client client;

	if (!conf_auth_limit(src, &most, &window) ||
	    !auth_client_of((const struct sockaddr *)&s->peer, &client))
		return 0;
	pthread_rwlock_rdlock(&spool_lock);
	if (auth_failures != NULL)
		until = auth_failures_until(auth_failures, &client, most, (uint32_t)window, now);
	pthread_rwlock_unlock(&spool_lock);
	return until > now ? (uint64_t)(until - now) : 0;
}

static int
append(const struct buf *lines, int n, struct err *e)
{
	int rc;

	pthread_rwlock_rdlock(&spool_lock);
	rc = spool != NULL ? spool_append(spool, buf_slice(lines), (unsigned)n, e)
			   : err_set(e, "the milter is stopping");
	pthread_rwlock_unlock(&spool_lock);
	return rc;
}

void
callbacks_log_totals(void)
{
	struct spool_stats st = spool_writer_stats(spool);

	log_info("totals: messages=%llu captured=%llu refused=%llu events=%llu syncs=%llu "
		 "failures=%llu",
	    (unsigned long long)totals.messages, (unsigned long long)totals.captured,
	    (unsigned long long)totals.refused,
	    (unsigned long long)totals.events, (unsigned long long)st.syncs,
	    (unsigned long long)totals.failures);
}

static struct session *
session_of(SMFICTX *ctx)
{
	return smfi_getpriv(ctx);
}

static const char *
macro(SMFICTX *ctx, const char *name)
{
	return smfi_getsymval(ctx, (char *)(uintptr_t)name);
}

/* Postfix names the queue file only after the first accepted recipient. */
static const char *
queue_id(SMFICTX *ctx)
{
	const char *id = macro(ctx, "i");

	return id == NULL || *id == '\0' ? "NOQUEUE" : id;
}

static sfsistat
answer(SMFICTX *ctx, const struct policy_answer *a)
{
	char text[2 * sizeof(a->text)];
	size_t n = 0;

	if (a->verdict == POLICY_CONTINUE)
		return SMFIS_CONTINUE;
	totals.refused++;
	/* libmilter takes the text as a format. */
	for (const char *c = a->text; *c != '\0'; c++) {
		if (*c == '%')
			text[n++] = '%';
		text[n++] = *c;
	}
	text[n] = '\0';
	if (smfi_setreply(ctx, (char *)(uintptr_t)a->code, (char *)(uintptr_t)a->xcode, text) !=
	    MI_SUCCESS)
		log_warn("%s: the MTA gets its own text instead of: %s", queue_id(ctx), a->text);
	return a->verdict == POLICY_REJECT ? SMFIS_REJECT : SMFIS_TEMPFAIL;
}

/* One line for what was refused, with what a person needs to find it. */
static void
log_refusal(SMFICTX *ctx, const struct session *s, const struct conf_source *src,
    const char *stage, struct slice rcpt, const struct policy_answer *a)
{
	char reply[sizeof(a->text) + 24];
	struct buf line;

	buf_init(&line, LOG_LINE_MAX);
	buf_printf(&line, "%s: refused=%s", queue_id(ctx), stage);
	outgoing_log_value(&line, "client", slice_str(s->client_ip));
	if (s->auth_user != NULL)
		outgoing_log_value(&line, "auth", slice_str(s->auth_user));
	if (s->in_transaction)
		outgoing_log_path(&line, "from", buf_slice(&s->tx.from));
	if (rcpt.len > 0)
		outgoing_log_path(&line, "to", rcpt);
	outgoing_log_came(&line, src->name, s->listener_ip, s->listener_port);
	snprintf(reply, sizeof(reply), "%s %s %s", a->code, a->xcode, a->text);
	outgoing_log_value(&line, "reply", slice_str(reply));
	log_info("%s", buf_str(&line));
	buf_free(&line);
}

/* ---- the session begins ---- */

static sfsistat
on_negotiate(SMFICTX *ctx, unsigned long offered_actions, unsigned long offered_steps,
    unsigned long unused1, unsigned long unused2, unsigned long *actions, unsigned long *steps,
    unsigned long *unused3, unsigned long *unused4)
{
	/* No answer is awaited for what we only collect: fewer round trips. */
	const unsigned long quiet = SMFIP_NR_HELO | SMFIP_NR_HDR | SMFIP_NR_BODY;
	struct session *s;

	(void)unused1, (void)unused2;
	if ((offered_actions & actions_wanted) != actions_wanted) {
		log_error("the MTA does not let us change messages (offered actions 0x%lx); "
			  "Postfix needs milter_protocol = 6",
		    offered_actions);
		return SMFIS_REJECT;
	}
	*actions = actions_wanted | (offered_actions & actions_liked);
	/* All or nothing, so that one flag in the session tells which. */
	*steps = offered_steps & SMFIP_HDR_LEADSPC;
	if ((offered_steps & quiet) == quiet)
		*steps |= quiet;
	*unused3 = *unused4 = 0;
	/* Postfix does not send {daemon_port} unless it is asked to; the lists replace its own. */
	smfi_setsymlist(ctx, SMFIM_CONNECT,
	    (char *)(uintptr_t) "j _ v {daemon_name} {daemon_addr} {daemon_port} {if_addr}");
	smfi_setsymlist(
	    ctx, SMFIM_ENVRCPT, (char *)(uintptr_t) "i {rcpt_addr} {rcpt_host} {rcpt_mailer}");
	smfi_setsymlist(ctx, SMFIM_ENVFROM, (char *)(uintptr_t) "i {auth_type} {auth_authen}");
	s = session_new(NULL);
	s->leading_space = (*steps & SMFIP_HDR_LEADSPC) != 0;
	s->no_reply = (*steps & quiet) != 0;
	s->can_remove = (offered_actions & SMFIF_DELRCPT) != 0;
	smfi_setpriv(ctx, s);
	return SMFIS_CONTINUE;
}

static void
log_connection(const struct session *s, const struct conf_source *src, const char *what)
{
	if (src->log_connections)
		log_info("%s client=%s listener=%s:%u source=%s", what, s->client_ip,
		    s->listener_ip[0] != '\0' ? s->listener_ip : "unknown", s->listener_port,
		    src->name != NULL ? src->name : "none");
}

/*
 * Postfix's cleanup gives a message of sendmail(1) the connection "localhost
 * [127.0.0.1]" and, unlike smtpd, the listener's port 0, or no listener at all.
 */
static bool
looks_local(SMFICTX *ctx, const char *host, const struct sockaddr *addr)
{
	const char *port = macro(ctx, "{daemon_port}");
	struct cidr loopback;

	if (addr == NULL || cidr_parse(SLICE_LIT("127.0.0.1"), &loopback, NULL) < 0 ||
	    !cidr_match(&loopback, addr) || !slice_eqi(slice_str(host), SLICE_LIT("localhost")))
		return false;
	if (port != NULL)
		return strcmp(port, "0") == 0;
	return macro(ctx, "{daemon_addr}") == NULL && macro(ctx, "{if_addr}") == NULL;
}

/* sendmail's listener that mta-config makes for submit.cf; on loopback, whatever somebody made of it. */
static bool
is_pickup(SMFICTX *ctx, const struct sockaddr *addr)
{
	const char *name = macro(ctx, "{daemon_name}");
	struct cidr loopback;

	return addr != NULL && name != NULL && strcmp(name, CONF_PICKUP_LISTENER) == 0 &&
	       cidr_parse(SLICE_LIT("127.0.0.0/8"), &loopback, NULL) == 0 && cidr_match(&loopback, addr);
}

/* Postfix says "Postfix 3.7.11", sendmail "8.17.1.9". */
static bool
is_sendmail(SMFICTX *ctx)
{
	const char *version = macro(ctx, "v");

	return version != NULL && version[0] >= '0' && version[0] <= '9';
}

static sfsistat
on_connect(SMFICTX *ctx, char *host, _SOCK_ADDR *addr)
{
	struct session *old = session_of(ctx);
	struct session *s = session_new(addr);
	struct settings *settings = reload_acquire();
	const char *listener = macro(ctx, "{daemon_addr}");
	struct conf_source src;
	struct policy_answer a;
	uint64_t refused_s;

	if (old != NULL) {
		s->leading_space = old->leading_space;
		s->no_reply = old->no_reply;
		s->can_remove = old->can_remove;
	}
	s->connected = true;
	session_set_text(&s->client_name, host);
	s->maybe_local = looks_local(ctx, host, addr);
	s->routes = !is_sendmail(ctx);
	s->pickup = is_pickup(ctx, addr);
	if (!s->routes && macro(ctx, "j") != NULL)
		s->address_host = xstrdup(macro(ctx, "j"));
	session_free(old);
	smfi_setpriv(ctx, s);
	session_set_listener(s, listener != NULL ? listener : macro(ctx, "{if_addr}"),
	    macro(ctx, "{daemon_port}"));
	session_source(s, reload_context(settings)->conf, &src);
	log_connection(s, &src, "connect");
	policy_connect(&src, &a);
	/* What comes from this host itself has no client that could authenticate. */
	if (a.verdict == POLICY_CONTINUE && addr != NULL && !s->maybe_local &&
	    (refused_s = auth_refused_s(s, &src)) > 0)
		policy_auth_failures(refused_s, &a);
	if (a.verdict != POLICY_CONTINUE)
		log_refusal(ctx, s, &src, "connect", (struct slice){ 0 }, &a);
	reload_release(settings);
	return answer(ctx, &a);
}

static sfsistat
on_helo(SMFICTX *ctx, char *name)
{
	struct session *s = session_of(ctx);

	if (s == NULL)
		return SMFIS_TEMPFAIL;
	session_set_text(&s->helo, name);
	return s->no_reply ? SMFIS_NOREPLY : SMFIS_CONTINUE;
}

/* ---- the envelope ---- */

static uint64_t
declared_size(char **argv)
{
	uint64_t n;

	for (size_t i = 1; argv[0] != NULL && argv[i] != NULL; i++) {
		struct slice arg = slice_str(argv[i]);

		if (slice_startsi(arg, SLICE_LIT("SIZE=")) &&
		    slice_uint(slice_skip(arg, 5), UINT64_MAX - 1, &n))
			return n;
	}
	return 0;
}

static void
keep_envid(struct session *s, char **argv)
{
	for (size_t i = 1; argv[0] != NULL && argv[i] != NULL; i++)
		if (slice_startsi(slice_str(argv[i]), SLICE_LIT("ENVID=")))
			session_set_envid(s, slice_str(argv[i] + 6));
}

static sfsistat
on_mail(SMFICTX *ctx, char **argv)
{
	struct session *s = session_of(ctx);
	struct policy_answer a;

	if (s == NULL)
		return SMFIS_TEMPFAIL;
	session_set_user(s, macro(ctx, "{auth_authen}"));
	session_begin(s, argv[0]);
	keep_envid(s, argv);
	if (s->tx.source.log_commands)
		log_info("%s: client=%s MAIL FROM:%s", queue_id(ctx), s->client_ip, argv[0]);
	policy_mail(&s->tx.source, s->auth_user != NULL || s->local, declared_size(argv), &a);
	if (a.verdict != POLICY_CONTINUE)
		log_refusal(ctx, s, &s->tx.source, "mail", (struct slice){ 0 }, &a);
	return answer(ctx, &a);
}

/* An authenticated client that may not relay is worth an event; a probe on port 25 is not. */
static void
report_rejection(SMFICTX *ctx, struct session *s, struct slice rcpt, const struct policy_answer *a)
{
	struct outgoing_envelope env;
	struct buf lines;
	struct err e;
	char reply[700];
	struct slice *rcpts;
	int n;

	if (!a->relaying || a->verdict != POLICY_REJECT || s->auth_user == NULL)
		return;
	rcpts = xcalloc(s->tx.n_rcpts, sizeof(*rcpts));
	session_envelope(s, rcpts, clock_wall_s(), &env);
	snprintf(reply, sizeof(reply), "%s %s %s", a->code, a->xcode, a->text);
	buf_init(&lines, EVENT_LINE_MAX);
	n = outgoing_rejection(reload_context(s->tx.settings), &env, rcpt, a->code, reply, &lines, &e);
	if (n < 0 || (n > 0 && append(&lines, n, &e) < 0)) {
		totals.failures++;
		log_error("%s: rejection event lost: %s", queue_id(ctx), e.text);
	} else {
		totals.events += (unsigned)n;
	}
	buf_free(&lines);
	free(rcpts);
}

/* May this recipient, which the policy lets in, join the transaction as what it is? */
static void
admit(const struct session *s, struct policy_answer *a)
{
	bool report = a->report != CONF_RELAY_NO;

	if (!s->can_remove && (report ? s->tx.n_rcpts > 0 : s->tx.capture.n > 0))
		policy_no_mix(a);
}

static void
join(struct session *s, const struct policy_answer *a, const char *path, const char *read)
{
	if (a->report == CONF_RELAY_NO)
		session_add_rcpt(s, session_path(path));
	else
		capture_add(&s->tx.capture,
		    a->report == CONF_RELAY_BOUNCE ? INBOUND_BOUNCE : INBOUND_FEEDBACK, path, read);
}

/* What this host submits, and what our uploader forwards, wherever that is. */
static bool
may_always(const struct session *s, struct slice rcpt)
{
	const struct conf *c = reload_context(s->tx.settings)->conf;

	return s->local || (conf_is_forward(c, rcpt) &&
			       conf_onward_client(c, (const struct sockaddr *)&s->peer));
}

static sfsistat
on_rcpt(SMFICTX *ctx, char **argv)
{
	struct session *s = session_of(ctx);
	struct slice rcpt = session_path(argv[0]);
	struct policy_answer a;

	if (s == NULL || !s->in_transaction)
		return SMFIS_TEMPFAIL;
	if (s->tx.source.log_commands)
		log_info("%s: client=%s RCPT TO:%s", queue_id(ctx), s->client_ip, argv[0]);
	policy_rcpt(reload_context(s->tx.settings)->conf, &s->tx.source, may_always(s, rcpt),
	    s->tx.n_rcpts + s->tx.capture.n, rcpt, &a);
	policy_rcpt_read(
	    reload_context(s->tx.settings)->conf, slice_str(macro(ctx, "{rcpt_addr}")), &a);
	if (a.verdict == POLICY_CONTINUE)
		admit(s, &a);
	if (a.verdict == POLICY_CONTINUE) {
		join(s, &a, argv[0], macro(ctx, "{rcpt_addr}"));
		if (a.report == CONF_RELAY_NO &&
		    !route_may_take(reload_context(s->tx.settings)->conf, rcpt,
			macro(ctx, "{rcpt_mailer}"), macro(ctx, "{rcpt_host}")))
			s->tx.has_local_rcpt = true;
	} else {
		log_refusal(ctx, s, &s->tx.source, "rcpt", rcpt, &a);
		report_rejection(ctx, s, rcpt, &a);
	}
	return answer(ctx, &a);
}

/* ---- the content ---- */

/* The queue id is known only now. */
static void
begin_capture(SMFICTX *ctx, struct session *s)
{
	uint64_t least = reload_context(s->tx.settings)->conf->signals.min_free_space;
	struct inbound_envelope env;

	if (s->tx.capture.begun)
		return;
	session_inbound(s, macro(ctx, "i"), clock_wall_s(), &env);
	capture_begin(&s->tx.capture, inbound, &env, s->tx.source.max_message_size,
	    capture_reserve(least));
}

static sfsistat
on_header(SMFICTX *ctx, char *name, char *value)
{
	struct session *s = session_of(ctx);

	if (s == NULL || !s->in_transaction)
		return SMFIS_TEMPFAIL;
	if (s->tx.source.log_data)
		log_info("%s: header %s:%s", queue_id(ctx), name, value);
	begin_capture(ctx, s);
	session_add_header(s, name, value);
	return s->no_reply ? SMFIS_NOREPLY : SMFIS_CONTINUE;
}

static sfsistat
on_body(SMFICTX *ctx, unsigned char *data, size_t n)
{
	struct session *s = session_of(ctx);

	if (s == NULL || !s->in_transaction)
		return SMFIS_TEMPFAIL;
	begin_capture(ctx, s);
	session_add_body(s, (struct slice){ (const char *)data, n });
	return s->no_reply ? SMFIS_NOREPLY : SMFIS_CONTINUE;
}

/* ---- the end of the message ---- */

/* Events follow the changes: a change that the MTA did not take must leave no event. */
static int
deliver(SMFICTX *ctx, struct session *s, const struct outgoing_envelope *env, struct outgoing *o,
    struct err *e)
{
	const struct outgoing_context *conf = reload_context(s->tx.settings);
	char transport[ROUTE_NAME_SIZE];
	struct buf lines;
	int n, rc = -1;

	/* Whoever made it: only our uploader's are believed, and they don't come here. */
	message_delete(&s->tx.msg, ONWARD_HEADER);
	outgoing_decide(conf, env, &s->tx.msg, o);
	if (outgoing_edit(conf, env, &s->tx.msg, o, e) < 0)
		return -1;
	if (!env->headers_too_big && edits_apply(ctx, &s->tx.msg, s->leading_space, e) < 0)
		return -1;
	if ((o->from_changed || o->envid.len > 0) &&
	    edits_from(ctx, buf_slice(&o->new_from), buf_slice(&o->envid), e) < 0)
		return -1;
	if (o->routed && edits_route(ctx, route_name(o->vmta, transport), s->leading_space, e) < 0)
		return -1;
	buf_init(&lines, BUF_NO_LIMIT);
	n = outgoing_events(conf, env, o, &lines, e);
	if (n == 0 || (n > 0 && append(&lines, n, e) == 0)) {
		o->events = (size_t)n;
		totals.events += (unsigned)n;
		rc = 0;
	}
	buf_free(&lines);
	return rc;
}

/* What a failure of ours means for the message. */
static sfsistat
failed(SMFICTX *ctx, enum conf_on_error on_error, const struct err *e)
{
	totals.failures++;
	log_error("%s: %s: %s", queue_id(ctx),
	    on_error == CONF_TEMPFAIL ? "answered 451, the client keeps the message"
				      : "passed on although this failed",
	    e->text);
	if (on_error == CONF_ACCEPT)
		return SMFIS_ACCEPT;
	smfi_setreply(ctx, (char *)(uintptr_t) "451", (char *)(uintptr_t) "4.3.0",
	    (char *)(uintptr_t) "temporary failure of signalpost-milter, see the mail log");
	return SMFIS_TEMPFAIL;
}

static sfsistat
finish(SMFICTX *ctx, struct session *s, const struct outgoing_envelope *env, int64_t began_us)
{
	enum conf_on_error on_error = reload_context(s->tx.settings)->conf->milter.on_error;
	struct outgoing o;
	struct buf line;
	struct err e;
	sfsistat rc = SMFIS_CONTINUE;

	outgoing_init(&o);
	buf_init(&line, LOG_LINE_MAX);
	buf_printf(&line, "%s:", queue_id(ctx));
	if (deliver(ctx, s, env, &o, &e) < 0)
		rc = failed(ctx, on_error, &e);
	outgoing_log(env, &o, &line);
	if (rc != SMFIS_CONTINUE) /* each message says why, however many lines of errors are held back */
		outgoing_log_value(&line, "error", slice_str(e.text));
	log_info("%s ms=%.1f result=%s", buf_str(&line),
	    (double)(clock_wall_us() - began_us) / 1000.0,
	    rc == SMFIS_CONTINUE     ? "accepted"
		: rc == SMFIS_ACCEPT ? "accepted-after-error"
				     : "tempfail");
	buf_free(&line);
	outgoing_free(&o);
	return rc;
}

/* Our own uploader sends this report on: nothing but the loop guard is taken out. */
static sfsistat
pass_onward(SMFICTX *ctx, const struct session *s, const struct outgoing_envelope *env,
    const char *file)
{
	const struct capture *c = &s->tx.capture;
	struct buf line;

	for (unsigned i = c->n_tokens; i > 0; i--)
		if (smfi_chgheader(ctx, (char *)(uintptr_t)ONWARD_HEADER, (int)i, NULL) != MI_SUCCESS)
			log_warn("%s: the MTA did not take %s out", queue_id(ctx), ONWARD_HEADER);
	buf_init(&line, LOG_LINE_MAX);
	buf_printf(&line, "%s: onward=%s", queue_id(ctx), file);
	outgoing_log_value(&line, "to", c->n > 0 ? c->rcpts[0].address : env->rcpts[0]);
	log_info("%s result=accepted", buf_str(&line));
	buf_free(&line);
	return SMFIS_CONTINUE;
}

static void
log_capture(SMFICTX *ctx, const struct session *s, int64_t began_us, const char *how)
{
	struct buf line;

	buf_init(&line, LOG_LINE_MAX);
	buf_printf(&line, "%s:", queue_id(ctx));
	capture_log(&s->tx.capture, &line);
	outgoing_log_value(&line, "client", slice_str(s->local ? "local" : s->client_ip));
	outgoing_log_path(&line, "from", buf_slice(&s->tx.from));
	log_info("%s ms=%.1f %s", buf_str(&line), (double)(clock_wall_us() - began_us) / 1000.0, how);
	buf_free(&line);
}

/* There is no other way for a report than the processor: on-error has no say. */
static sfsistat
not_captured(SMFICTX *ctx, const struct session *s, int64_t began_us)
{
	struct policy_answer a;

	policy_size(&s->tx.source, s->tx.capture.bytes, &a);
	if (a.verdict == POLICY_CONTINUE) {
		totals.failures++;
		policy_no_capture(s->tx.capture.error.num, &a);
		log_error("%s: answered %s, the client keeps the report: %s", queue_id(ctx), a.code,
		    s->tx.capture.error.text);
	}
	log_capture(ctx, s, began_us, a.verdict == POLICY_REJECT ? "result=refused" : "result=tempfail");
	return answer(ctx, &a);
}

static int
remove_captured(SMFICTX *ctx, struct capture *c)
{
	for (size_t i = 0; i < c->n; i++)
		if (smfi_delrcpt(ctx, c->paths[i]) != MI_SUCCESS ||
		    (c->read[i] != NULL && smfi_delrcpt(ctx, c->read[i]) != MI_SUCCESS))
			return err_set(&c->error, "the MTA did not remove a recipient");
	return 0;
}

/*
 * What is likely to fail comes first: the bytes to the disk, then the other recipients'
 * share with its events, then the rename that makes it a report. So a sender that is told to
 * come again has not been taken at its word before.
 */
static sfsistat
finish_captured(
    SMFICTX *ctx, struct session *s, const struct outgoing_envelope *env, int64_t began_us)
{
	struct capture *c = &s->tx.capture;
	char name[INBOUND_NAME_SIZE], how[INBOUND_NAME_SIZE + 32];
	sfsistat rc = SMFIS_DISCARD;

	begin_capture(ctx, s);
	if (capture_sync(c) < 0 || (env->n_rcpts > 0 && remove_captured(ctx, c) < 0))
		return not_captured(ctx, s, began_us);
	if (env->n_rcpts > 0) {
		rc = finish(ctx, s, env, began_us);
		if (rc == SMFIS_TEMPFAIL)
			return rc;
	}
	if (capture_commit(c, name) < 0)
		return not_captured(ctx, s, began_us);
	totals.captured++;
	snprintf(how, sizeof(how), "file=%s result=captured", name);
	log_capture(ctx, s, began_us, how);
	return rc;
}

/* The message is complete and not too big. */
static sfsistat
take(SMFICTX *ctx, struct session *s, const struct outgoing_envelope *env, int64_t began_us)
{
	struct capture *c = &s->tx.capture;
	char file[INBOUND_NAME_SIZE];

	if (capture_is_onward(c, reload_context(s->tx.settings)->ring, env->rcpts, env->n_rcpts, env->now,
		file))
		return pass_onward(ctx, s, env, file);
	if (env->n_rcpts > 0)
		totals.messages++;
	return c->n > 0 ? finish_captured(ctx, s, env, began_us) : finish(ctx, s, env, began_us);
}

static sfsistat
on_end(SMFICTX *ctx)
{
	struct session *s = session_of(ctx);
	int64_t began_us = clock_wall_us();
	struct outgoing_envelope env;
	struct policy_answer a;
	struct slice *rcpts;
	sfsistat rc;

	if (s == NULL || !s->in_transaction)
		return SMFIS_TEMPFAIL;
	rcpts = xcalloc(s->tx.n_rcpts + 1, sizeof(*rcpts)); /* there may be none */
	session_envelope(s, rcpts, began_us / 1000000, &env);
	env.queue_id = macro(ctx, "i");
	policy_size(&s->tx.source, env.size, &a);
	if (a.verdict != POLICY_CONTINUE) {
		log_refusal(ctx, s, &s->tx.source, "data", (struct slice){ 0 }, &a);
		rc = answer(ctx, &a);
	} else {
		rc = take(ctx, s, &env, began_us);
	}
	free(rcpts);
	session_end(s);
	return rc;
}

static sfsistat
on_abort(SMFICTX *ctx)
{
	struct session *s = session_of(ctx);

	if (s != NULL)
		session_end(s);
	return SMFIS_CONTINUE;
}

static sfsistat
on_close(SMFICTX *ctx)
{
	struct session *s = session_of(ctx);
	struct settings *settings;
	struct conf_source src;

	if (s == NULL) /* closed before it was negotiated: a probe */
		return SMFIS_CONTINUE;
	if (s->connected) {
		settings = reload_acquire();
		session_source(s, reload_context(settings)->conf, &src);
		log_connection(s, &src, "disconnect");
		reload_release(settings);
	}
	session_free(s);
	smfi_setpriv(ctx, NULL);
	return SMFIS_CONTINUE;
}

struct smfiDesc milter_callbacks = {
	.xxfi_name = (char *)(uintptr_t) "signalpost-milter",
	.xxfi_version = SMFI_VERSION,
	.xxfi_flags = SMFIF_ADDHDRS | SMFIF_CHGHDRS | SMFIF_CHGBODY | SMFIF_CHGFROM | SMFIF_DELRCPT |
	    SMFIF_SETSYMLIST,
	.xxfi_connect = on_connect,
	.xxfi_helo = on_helo,
	.xxfi_envfrom = on_mail,
	.xxfi_envrcpt = on_rcpt,
	.xxfi_header = on_header,
	.xxfi_body = on_body,
	.xxfi_eom = on_end,
	.xxfi_abort = on_abort,
	.xxfi_close = on_close,
	.xxfi_negotiate = on_negotiate,
};
