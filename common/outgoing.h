/*
 * outgoing.h - what becomes of one accepted message on its way out: campaign,
 * virtual MTA, new MAIL FROM, headers, 7-bit form, signature, events.
 *
 * The milter and `signalpost rewrite` call the same function; it changes the
 * struct message and fills a report, and does no I/O but drawing message ids.
 *
 *	outgoing_decide(&ctx, &env, &msg, &out);
 *	if (outgoing_edit(&ctx, &env, &msg, &out, &e) < 0)
 *		tempfail;
 *	... hand the difference to the MTA ...
 *	if (outgoing_events(&ctx, &env, &out, &lines, &e) < 0 || spool_append(...) < 0)
 *		tempfail;
 *	outgoing_log(&env, &out, &line);
 *	outgoing_free(&out);
 */
#ifndef COMMON_OUTGOING_H
#define COMMON_OUTGOING_H

#include "common/conf.h"
#include "common/event.h"
#include "common/ids.h"
#include "common/message.h"
#include "common/sevenbit.h"
#include "common/signing.h"
#include "common/token.h"
#include "common/track.h"

struct outgoing_context { /* immutable; shared by all messages of one configuration */
	const struct conf *conf;
	const struct signing_keys *keys;
	const struct token_ring *ring;
};

struct outgoing_envelope { /* the facts; borrowed */
	const struct conf_source *source;
	const char *auth_user;	 /* NULL: not authenticated */
	const char *client_ip;	 /* "" for local mail */
	const char *listener_ip; /* NULL: unknown; for default-virtual-mta by-smtp-source-ip */
	unsigned listener_port;	 /* 0: unknown */
	bool local;
	bool routes; /* the MTA sends by the virtual MTA that we name */
	bool has_local_rcpt; /* one that the MTA would not send by SMTP: not routed then */
	const char *queue_id; /* NULL: unknown */
	struct slice from;    /* without <> */
	struct slice envid;   /* that the client gave with MAIL FROM (RFC 3461), decoded */
	const struct slice *rcpts; /* without <>, no duplicates */
	size_t n_rcpts;
	uint64_t size;		/* bytes as received, headers and body */
	bool body_too_big;	/* the body was not kept: it is signed by its digests and not edited */
	bool headers_too_big;	/* the headers were not kept: nothing in the message is edited or signed */
	struct signing_digest relaxed, simple; /* of a body that was not kept */
	/* Not empty: the MTA is sendmail; it writes headers anew and completes addresses with this host. */
	struct slice address_host;
	int64_t now; /* Unix seconds */
	/* Told about each link, for a dry run; NULL: nobody. */
	void (*note)(void *arg, const struct track_note *note);
	void *note_arg;
};

struct outgoing {
	/* decided from the headers */
	struct buf jobid;     /* whole; the campaign is its first 64 bytes */
	const struct conf_vmta *vmta;
	const struct conf_pool *pool;
	bool routed; /* the MTA is told the virtual MTA: see route.h */
	const char *not_routed; /* why not, where it should; NULL: no need, or routed */
	const struct conf_rewrite_list *rewrite_list; /* of virtual MTA, pool, source or global, in this order */
	const char *vmta_unknown; /* "x-virtual-mta", "ip_pool": it named none that we have; NULL: fine */
	struct buf from_header;	  /* address in From */
	struct buf sender_header; /* in Sender, else in From */
	struct buf subject, custom_id;
	struct buf envid, envid_text; /* as xtext, and what it stands for */
	struct buf header_id;         /* Message-ID as the message leaves, without <> */
	struct buf meta, tags; /* from X-MSYS-API, JSON */
	enum event_flag api_open, api_click; /* X-MSYS-API options.open_tracking, click_tracking */
	const char *api_error; /* why X-MSYS-API was not used, or NULL */
	bool signals;
	uint64_t subaccount;
	struct message_id first_id; /* of the first recipient */

	/* done */
	bool from_changed, from_invalid; /* invalid: the rewrite list made no address; the old one stays */
	struct buf new_from;
	const char *verp; /* "recipient", "id", or why not; NULL: not asked for */
	struct track_report track;
	struct sevenbit_report sevenbit;
	struct signing_plan signing;
	bool signed_ok;
	struct conf_domain domain; /* settings that signing follows */
	size_t events; /* on stable storage; the caller sets it */
};

void outgoing_init(struct outgoing *o);
void outgoing_free(struct outgoing *o);

/* Reads and removes the headers that are meant for us, and decides. */
void outgoing_decide(const struct outgoing_context *ctx, const struct outgoing_envelope *env,
    struct message *m, struct outgoing *o);

/* Headers added, MAIL FROM, 7-bit form, signature. -1 and *e: it must not go out like this. */
int outgoing_edit(const struct outgoing_context *ctx, const struct outgoing_envelope *env,
    struct message *m, struct outgoing *o, struct err *e);

/*
 * Append one reception event a recipient; none if signals are off. Returns how
 * many, or -1 and *e.
 */
int outgoing_events(const struct outgoing_context *ctx, const struct outgoing_envelope *env,
    const struct outgoing *o, struct buf *lines, struct err *e);

/* Append a rejection event: an authenticated client was refused the relaying of `rcpt`. As outgoing_events(). */
int outgoing_rejection(const struct outgoing_context *ctx, const struct outgoing_envelope *env,
    struct slice rcpt, const char *code, const char *reply, struct buf *lines, struct err *e);

/* Append what was done as key=value, for the log; outgoing_log.c. */
void outgoing_log(const struct outgoing_envelope *env, const struct outgoing *o, struct buf *line);

/*
 * Append " key=value", for log lines: in double quotes if it is empty, too long or has other
 * bytes than printable ASCII, blanks, quotes or backslashes; then \" \\ and \xHH
 * stand for what can't stand there itself. Of more than 320 bytes the first are shown,
 * and "...". What has no room in `line` is left out whole.
 */
void outgoing_log_value(struct buf *line, const char *key, struct slice value);

/* Append " key=<addr>". */
void outgoing_log_path(struct buf *line, const char *key, struct slice addr);

/* Append the source and the listener; either may be NULL. */
void outgoing_log_came(
    struct buf *line, const char *source, const char *listener_ip, unsigned port);

#endif
