/*
 * smtp.h - one mail to one recipient at a time over libcurl (smtp://), without blocking.
 *
 *	smtp_start(s, &mail, &e);
 *	poll(smtp_fd(s), until smtp_wake_ms(s)); smtp_step(s);
 *	if ((r = smtp_take(s)) != NULL) ...
 *
 * The relay is an address of this host: no names, no proxy, no TLS, no AUTH. A line end that is no
 *CRLF is made one, so that nothing in a mail can end it early; dots are stuffed.
 */
#ifndef UPLOADER_SMTP_H
#define UPLOADER_SMTP_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/slice.h"

#define SMTP_REPLY_MAX 500

#define SMTP_CONNECT_TIMEOUT_S 10
#define SMTP_REPLY_TIMEOUT_S   330 /* the relay may be waiting for our milter */
#define SMTP_TIMEOUT_S         900

struct smtp_mail {
	const char *relay; /* an IP address; copied, like all but head and mail */
	unsigned port;
	const char *helo;
	struct slice from, rcpt; /* without <>; from "" is the null sender */
	struct slice head, mail; /* sent one after the other; must stay until the result is taken */
};

enum smtp_outcome {
	SMTP_TAKEN,         /* 2xx at the end */
	SMTP_LATER,         /* 4xx for this recipient or this mail, or the connection broke in it */
	SMTP_REFUSED,       /* 5xx for this recipient or this mail */
	SMTP_RELAY_TROUBLE, /* it can't be reached, or takes no mail at all now */
};

struct smtp_result {
	enum smtp_outcome outcome;
	char reply[SMTP_REPLY_MAX]; /* the relay's, or what went wrong: one line */
};

struct smtp;

/* libcurl must have been set up (upload_open()). NULL and *e. */
struct smtp *smtp_open(struct err *e);
void smtp_close(struct smtp *s); /* gives up what is under way; NULL is fine */

/* -1 and *e: an address that can't be one, or libcurl takes no transfer. */
int smtp_start(struct smtp *s, const struct smtp_mail *mail, struct err *e);

int smtp_fd(const struct smtp *s);          /* stays the same; readable when something happens */
int64_t smtp_wake_ms(const struct smtp *s); /* when to step at the latest, monotonic */
void smtp_step(struct smtp *s);

/* Has it all been said, and only the relay's last answer is missing? */
bool smtp_is_ending(const struct smtp *s);

/* The result, once; NULL while there is none. Valid until the next start. */
const struct smtp_result *smtp_take(struct smtp *s);

#endif
