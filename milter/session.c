#include "milter/session.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/address.h"
#include "common/xalloc.h"
#include "common/xtext.h"

#define ENVID_MAX 300 /* RFC 3461 4.4: 100 characters, three bytes each as xtext */

struct session *
session_new(const struct sockaddr *addr)
{
	struct session *s = xcalloc(1, sizeof(*s));
	const void *ip;

	s->peer.ss_family = AF_INET;
	snprintf(s->client_ip, sizeof(s->client_ip), "unknown");
	if (addr != NULL && addr->sa_family == AF_INET) {
		memcpy(&s->peer, addr, sizeof(struct sockaddr_in));
		ip = &((struct sockaddr_in *)&s->peer)->sin_addr;
		inet_ntop(AF_INET, ip, s->client_ip, sizeof(s->client_ip));
	} else if (addr != NULL && addr->sa_family == AF_INET6) {
		memcpy(&s->peer, addr, sizeof(struct sockaddr_in6));
		ip = &((struct sockaddr_in6 *)&s->peer)->sin6_addr;
		inet_ntop(AF_INET6, ip, s->client_ip, sizeof(s->client_ip));
	}
	return s;
}

void
session_free(struct session *s)
{
	if (s == NULL)
		return;
	session_end(s);
	free(s->auth_user);
	free(s->client_name);
	free(s->helo);
	free(s->address_host);
	free(s);
}

/* "[127.0.0.1]", "IPv6:::1" and "127.0.0.1" are all seen in macros. */
void
session_set_listener(struct session *s, const char *address, const char *port)
{
	struct slice a = slice_trim(slice_str(address));
	uint64_t n;

	if (a.len >= 2 && a.p[0] == '[' && a.p[a.len - 1] == ']')
		a = slice_head(slice_skip(a, 1), a.len - 2);
	if (slice_startsi(a, SLICE_LIT("IPv6:")))
		a = slice_skip(a, 5);
	if (a.len > 0 && a.len < sizeof(s->listener_ip)) {
		memcpy(s->listener_ip, a.p, a.len);
		s->listener_ip[a.len] = '\0';
	}
	if (slice_uint(slice_str(port), 65535, &n))
		s->listener_port = (unsigned)n;
}

void
session_set_text(char **where, const char *text)
{
	free(*where);
	*where = text == NULL || *text == '\0' ? NULL : xstrdup(text);
}

void
session_set_user(struct session *s, const char *user)
{
	session_set_text(&s->auth_user, user);
}

void
session_source(const struct session *s, const struct conf *c, struct conf_source *out)
{
	struct conf_peer peer = {
		.addr = s->local ? NULL : (const struct sockaddr *)&s->peer,
		.listener_address = s->listener_ip[0] != '\0' ? s->listener_ip : NULL,
		.listener_port = s->listener_port,
		.auth_user = s->auth_user,
	};

	conf_source_for(c, &peer, out);
}

struct slice
session_path(const char *path)
{
	struct slice p = slice_trim(slice_str(path));

	if (p.len >= 2 && p.p[0] == '<' && p.p[p.len - 1] == '>')
		p = slice_head(slice_skip(p, 1), p.len - 2);
	return p;
}

void
session_begin(struct session *s, const char *path)
{
	struct transaction *tx = &s->tx;
	const struct conf *c;

	const struct conf_smtp_user *user;

	session_end(s);
	s->local = s->pickup || (s->maybe_local && path[0] != '<');
	s->in_transaction = true;
	tx->settings = reload_acquire();
	c = reload_context(tx->settings)->conf;
	/* Postfix adds a realm to what the client said; the configuration's name is the user's. */
	user = s->auth_user != NULL ? conf_user_find(c, s->auth_user) : NULL;
	if (user != NULL && strcmp(user->name, s->auth_user) != 0)
		session_set_user(s, user->name);
	session_source(s, c, &tx->source);
	buf_init(&tx->from, 4096);
	buf_add(&tx->from, session_path(path));
	buf_init(&tx->envid, ENVID_MAX);
	/* One byte more, to tell "full" from "as big as allowed". */
	message_init(&tx->msg, c->milter.max_message_size);
}

void
session_set_envid(struct session *s, struct slice xtext)
{
	if (xtext.len <= ENVID_MAX)
		xtext_decode(&s->tx.envid, xtext);
}

void
session_end(struct session *s)
{
	struct transaction *tx = &s->tx;

	if (!s->in_transaction)
		return;
	for (size_t i = 0; i < tx->n_rcpts; i++)
		free(tx->rcpts[i]);
	free(tx->rcpts);
	buf_free(&tx->from);
	buf_free(&tx->envid);
	capture_free(&tx->capture);
	message_free(&tx->msg);
	dkim_body_free(tx->relaxed);
	dkim_body_free(tx->simple);
	reload_release(tx->settings);
	*tx = (struct transaction){ 0 };
	s->in_transaction = false;
}

void
session_add_rcpt(struct session *s, struct slice rcpt)
{
	struct transaction *tx = &s->tx;
	uint64_t key = address_key(rcpt);

	/*
	 * Only the domain is without case (RFC 5321 2.4), but to the MTAs and in the events the
	 * local part is, too: Postfix delivers once.
	 */
	for (size_t i = 0; i < tx->n_rcpts; i++)
		if (address_key(slice_str(tx->rcpts[i])) == key)
			return;
	tx->rcpts = xgrow(tx->rcpts, tx->n_rcpts, &tx->room, sizeof(*tx->rcpts));
	tx->rcpts[tx->n_rcpts++] = xslicedup(rcpt);
}

static void
keep_header(struct transaction *tx, struct slice name, struct slice value)
{
	const struct conf *c = reload_context(tx->settings)->conf;

	tx->header_bytes += name.len + value.len + 3;
	capture_header(&tx->capture, name, value);
	/* Nobody will look at the copy of what is captured only. */
	if (tx->n_rcpts == 0)
		return;
	if (tx->headers_too_big || tx->header_bytes > c->milter.max_header_size)
		tx->headers_too_big = true;
	else
		message_add_original(&tx->msg, name, value);
}

/* Values are kept as they stand in the message, leading blank included. */
void
session_add_header(struct session *s, const char *name, const char *value)
{
	struct buf with_blank;

	if (s->leading_space) {
		keep_header(&s->tx, slice_str(name), slice_str(value));
		return;
	}
	buf_init(&with_blank, BUF_NO_LIMIT);
	buf_addc(&with_blank, ' ');
	buf_adds(&with_blank, value);
	keep_header(&s->tx, slice_str(name), buf_slice(&with_blank));
	buf_free(&with_blank);
}

/* Too big to keep: from here on only its digests are, so memory stays bounded and it can be signed. */
static void
stop_keeping(struct transaction *tx)
{
	tx->body_too_big = true;
	tx->relaxed = dkim_body_begin(DKIM_RELAXED);
	tx->simple = dkim_body_begin(DKIM_SIMPLE);
	dkim_body_add(tx->relaxed, buf_slice(&tx->msg.body));
	dkim_body_add(tx->simple, buf_slice(&tx->msg.body));
	buf_free(&tx->msg.body);
}

void
session_add_body(struct session *s, struct slice chunk)
{
	struct transaction *tx = &s->tx;
	struct buf *body = &tx->msg.body;

	tx->body_bytes += chunk.len;
	capture_body(&tx->capture, chunk);
	if (tx->n_rcpts == 0)
		return;
	if (!tx->body_too_big && chunk.len > body->max - body->len)
		stop_keeping(tx);
	if (tx->body_too_big) {
		dkim_body_add(tx->relaxed, chunk);
		dkim_body_add(tx->simple, chunk);
	} else {
		buf_add(body, chunk);
	}
}

void
session_inbound(
    const struct session *s, const char *queue_id, int64_t now, struct inbound_envelope *env)
{
	*env = (struct inbound_envelope){
		.from = buf_slice(&s->tx.from),
		.queue_id = slice_str(queue_id),
		.client_ip = slice_str(s->client_ip),
		.client_name = slice_str(s->client_name),
		.helo = slice_str(s->helo),
		.received_s = now,
	};
}

void
session_envelope(struct session *s, struct slice *rcpts, int64_t now, struct outgoing_envelope *env)
{
	struct transaction *tx = &s->tx;

	for (size_t i = 0; i < tx->n_rcpts; i++)
		rcpts[i] = slice_str(tx->rcpts[i]);
	*env = (struct outgoing_envelope){
		.source = &tx->source,
		.auth_user = s->auth_user,
		.client_ip = s->client_ip,
		.listener_ip = s->listener_ip[0] != '\0' ? s->listener_ip : NULL,
		.listener_port = s->listener_port,
		.local = s->local,
		.routes = s->routes,
		.has_local_rcpt = tx->has_local_rcpt,
		.from = buf_slice(&tx->from),
		.envid = buf_slice(&tx->envid),
		.rcpts = rcpts,
		.n_rcpts = tx->n_rcpts,
		/* The empty line between headers and body counts too. */
		.size = tx->header_bytes + 2 + tx->body_bytes,
		.body_too_big = tx->body_too_big,
		.headers_too_big = tx->headers_too_big,
		.address_host = slice_str(s->address_host),
		.now = now,
	};
	if (tx->body_too_big && tx->relaxed != NULL) {
		dkim_body_end(tx->relaxed, env->relaxed.hash, &env->relaxed.length);
		dkim_body_end(tx->simple, env->simple.hash, &env->simple.length);
		tx->relaxed = tx->simple = NULL;
	}
}
