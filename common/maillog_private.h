/*
 * maillog_private.h - what maillog.c shares with maillog_frame.c, maillog_postfix.c
 * and maillog_sendmail.c, and nobody else includes.
 */
#ifndef COMMON_MAILLOG_PRIVATE_H
#define COMMON_MAILLOG_PRIVATE_H

#include "common/ascii.h"
#include "common/maillog.h"

struct maillog_frame {
	struct slice stamp, host; /* as written; host may be empty */
	struct slice tag, text;   /* "postfix/smtp" and what is behind it */
};

/* What the logger has put around the MTA's words; false: no form that is known. */
bool maillog_frame(struct slice line, struct maillog_frame *f);

struct maillog_service; /* a program of Postfix */

/* By its name in the tag; NULL: not one of Postfix's. */
const struct maillog_service *maillog_find_service(struct slice name);

/* What m->text says: both fill in what they know, kind MAILLOG_OTHER stays if that is nothing. */
void maillog_postfix(struct maillog_line *m, const struct maillog_service *s);
void maillog_sendmail(struct maillog_line *m);

/* "ID: rest": takes the id off. */
bool maillog_take_id(struct slice *rest, bool (*valid)(struct slice), struct slice *id);

/*
 * "<address>, " behind "to=" or "orig_to=". A quoted local part may hold any of
 * the bytes that otherwise end the address.
 */
bool maillog_take_path(struct slice *rest, struct slice *addr);

/* "host[192.0.2.1]:25", "none", "host[private/lmtp]", "local" */
void maillog_set_relay(struct maillog_line *m, struct slice v);

/* `ip` failed to authenticate, unless `reason` is the server's own trouble. */
void maillog_auth_failure(struct maillog_line *m, struct slice ip, struct slice reason);

/* Offset of `what` in `s`, or s.len. */
static inline size_t
maillog_find(struct slice s, struct slice what)
{
	const char *p = s.len < what.len ? NULL : memmem(s.p, s.len, what.p, what.len);

	return p == NULL ? s.len : (size_t)(p - s.p);
}

static inline bool
maillog_is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

#endif
