/*
 * session.h - what is known about one connection and the message in it.
 *
 * libmilter moves a session between threads, so everything hangs off this
 * struct: no thread-local state, no lock held across callbacks.
 */
#ifndef MILTER_SESSION_H
#define MILTER_SESSION_H

#include <sys/socket.h>

#include "common/conf.h"
#include "common/dkim.h"
#include "common/message.h"
#include "common/outgoing.h"
#include "common/policy.h"
#include "milter/capture.h"
#include "milter/reload.h"

struct transaction { /* from MAIL to the end of the message */
	struct settings *settings; /* those in force at MAIL */
	struct conf_source source;
	struct buf from;  /* without <> */
	struct buf envid; /* ENVID= of MAIL FROM, decoded */
	char **rcpts;	  /* accepted and not to be captured, without <>, no duplicates */
	size_t n_rcpts, room;
	bool has_local_rcpt; /* see struct outgoing_envelope */
	struct capture capture; /* the other recipients */
	struct message msg;     /* not kept if all recipients are others */
	uint64_t header_bytes, body_bytes;
	bool headers_too_big, body_too_big;
	struct dkim_body *relaxed, *simple; /* of a body too big to keep */
};

struct session {
	struct sockaddr_storage peer; /* 0.0.0.0 if the MTA does not know */
	char client_ip[64];
	char *client_name; /* as the MTA gives it; NULL: unknown */
	char *helo;	   /* NULL: none yet */
	bool maybe_local; /* the connection looks like a local submission; MAIL will tell */
	bool pickup;	  /* it came to sendmail's listener for local submissions */
	char *address_host; /* see struct outgoing_envelope; NULL: none */
	bool local;	  /* sendmail(1) or another program on this host, not SMTP */
	char listener_ip[64];	      /* "" if unknown */
	unsigned listener_port;
	char *auth_user; /* NULL: not authenticated */
	bool routes;	    /* the MTA is Postfix: it can be told the way out */
	bool leading_space; /* header values come and go with their leading blank */
	bool no_reply;	    /* the MTA awaits no answer to greeting, headers and body */
	bool can_remove;    /* the MTA lets us remove recipients */
	bool connected; /* more than a negotiation, as the watchdog makes it */
	bool in_transaction;
	struct transaction tx;
};

/* `addr` NULL: the MTA does not know it. */
struct session *session_new(const struct sockaddr *addr);
void session_free(struct session *s); /* NULL is fine */

/* Copies; NULL for unknown. */
void session_set_text(char **where, const char *text);

/* The listener that the client came to, from the MTA's macros; either may be NULL. */
void session_set_listener(struct session *s, const char *address, const char *port);
/* NULL: not authenticated (any more). */
void session_set_user(struct session *s, const char *user);

/* The merged sources that apply now, under these settings. */
void session_source(const struct session *s, const struct conf *c, struct conf_source *out);

/*
 * MAIL FROM: takes a reference to the settings in force. `path` with or without
 * <>; Postfix gives it without for local submissions, and only for those.
 */
void session_begin(struct session *s, const char *path);
/* ENVID= of the MAIL FROM (RFC 3461), as it came. */
void session_set_envid(struct session *s, struct slice xtext);
/* The message is over, or was given up. */
void session_end(struct session *s);

/* An accepted recipient; one that is there already counts once. */
void session_add_rcpt(struct session *s, struct slice rcpt);
void session_add_header(struct session *s, const char *name, const char *value);
void session_add_body(struct session *s, struct slice chunk);

/* The facts so far. `rcpts` has room for n_rcpts and, like `env`, borrows from the session. */
void session_envelope(struct session *s, struct slice *rcpts, int64_t now, struct outgoing_envelope *env);

/* What goes into a captured report's envelope, but for its recipients; borrows from the session. */
void session_inbound(
    const struct session *s, const char *queue_id, int64_t now, struct inbound_envelope *env);

/* "<a@b>" -> "a@b" */
struct slice session_path(const char *path);

#endif
