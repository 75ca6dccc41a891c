/*
 * maillog.h - one line of an MTA's log: what Postfix and sendmail say about a
 * message, as the fields that matter here.
 *
 *	struct maillog_line m;
 *
 *	if (maillog_parse(line, MAILLOG_ANY, &m) == MAILLOG_ATTEMPT)
 *		while (maillog_rcpt(&m, &rcpt)) ...
 *
 * Known forms of a line: "Nov 22 06:25:58 host tag[pid]: text" (traditional
 * syslog, seconds, no year, no zone), "2026-11-22T06:43:42.442921+00:00 host
 * tag[pid]: text" (RFC 3339), RFC 5424, what journalctl -o short-... prints, and
 * these behind "<22>", behind a container's stamp, with a fraction, a year, a
 * facility, without a host (maillog_frame.c). Pure, one pass, nothing is allocated;
 * all slices lie in the line.
 */
#ifndef COMMON_MAILLOG_H
#define COMMON_MAILLOG_H

#include <stdint.h>

#include "common/slice.h"

enum maillog_mta { MAILLOG_ANY, MAILLOG_POSTFIX, MAILLOG_SENDMAIL };

enum maillog_kind {
	MAILLOG_OTHER,   /* nothing about the fate of a message */
	MAILLOG_START,   /* the queue id names a new message from here on */
	MAILLOG_ATTEMPT, /* `status` of one attempt for the recipients */
	MAILLOG_EXPIRED, /* the queue gave up: all recipients that are still waiting */
	MAILLOG_REFUSED, /* a filter had it refused after ours had seen it */
	MAILLOG_REMOVED, /* the queue id is free */
	MAILLOG_DELETED, /* the operator has taken it out of the queue: all who are still waiting */
	MAILLOG_DROPPED, /* the logger says that it lost lines */
	MAILLOG_AUTH_FAILURE, /* the client `ip` failed to authenticate; no message's line */
	MAILLOG_KINDS
};

enum maillog_status { MAILLOG_SENT, MAILLOG_DEFERRED, MAILLOG_BOUNCED };

enum maillog_via {
	MAILLOG_REMOTE,  /* SMTP or LMTP to another host */
	MAILLOG_LOCAL,   /* a mailbox, a program, a file on this host */
	MAILLOG_DISCARD, /* thrown away as the configuration asks */
	MAILLOG_NOWHERE  /* the queue manager answered, nobody was called */
};

#define MAILLOG_NO_TIME   INT64_MIN
#define MAILLOG_TIMES_MAX 1000

struct maillog_line {
	enum maillog_kind kind;
	enum maillog_mta mta; /* which it is; MAILLOG_ANY: neither */
	struct slice stamp;   /* as written; for maillog_time() */
	struct slice host;
	struct slice tag;      /* "postfix/submission/smtpd" without the pid */
	struct slice instance; /* "postfix/submission", or the tag of sendmail */
	struct slice service;  /* "smtpd"; empty for sendmail */
	struct slice queue_id; /* may be empty */
	struct slice text;     /* all behind "tag[pid]: " */
	unsigned times;        /* how often the logger had the line: 1, or what it says */
	/* The queue id under which it goes on, or empty: "queued as ID" of who took it, "forwarded
	 * as ID" of an alias; of a start: under which it was before, "orig_id=ID" */
	struct slice other_id;

	/* of an attempt */
	enum maillog_status status;
	enum maillog_via via;
	struct slice to;        /* Postfix: the address; sendmail: the list, see maillog_rcpt() */
	struct slice orig_to;   /* the recipient before it was rewritten, or empty; with sendmail
	                         * that may be the sender of a local submission too */
	struct slice relay, ip; /* host name and address of who was talked to, or empty; ip of
	                         * who failed to authenticate too */
	struct slice dsn;       /* "5.1.1" */
	struct slice reply;     /* what was said: "host mx[ip] said: 550 ...", "250 2.0.0 Ok" */
	const char *method;     /* "esmtp", "smtp", "lmtp"; NULL unless via is MAILLOG_REMOTE */
	int64_t delay_ms;       /* since the message came in; -1: not said */
	uint64_t lost;          /* MAILLOG_DROPPED: lines, 0: not said */
};

/* Never fails; returns m->kind. `mta` other than MAILLOG_ANY: the other one's lines are
 * MAILLOG_OTHER. */
enum maillog_kind maillog_parse(struct slice line, enum maillog_mta mta, struct maillog_line *m);

/* The same for a line that comes without stamp and host, as journald has it. */
enum maillog_kind maillog_parse_text(
    struct slice tag, struct slice text, enum maillog_mta mta, struct maillog_line *m);

/*
 * The next recipient of an attempt, without angle brackets; *at is where we
 * are, 0 at first. Postfix has one (that before the rewriting), sendmail several.
 */
bool maillog_rcpt(const struct maillog_line *m, size_t *at, struct slice *rcpt);

/* ---- when ---- */

enum maillog_zone { MAILLOG_ZONE_LOCAL, MAILLOG_ZONE_FIXED };

struct maillog_clock { /* one for each file: a stamp is read in the light of the one before */
	enum maillog_zone zone;   /* of traditional stamps */
	int offset_s;             /* east of Greenwich, for MAILLOG_ZONE_FIXED */
	int64_t last_us;          /* the line before; MAILLOG_NO_TIME: none */
	char minute[12];          /* "Nov 22 06:25", whose start is */
	int64_t minute_s, seen_s; /* and for which `now` and the last line it was found */
};

void maillog_clock_init(struct maillog_clock *c, enum maillog_zone zone, int offset_s);

/*
 * Microseconds since 1970 of a line's stamp, or MAILLOG_NO_TIME. A traditional
 * stamp has no year: the latest one that is not more than a day ahead of now_s
 * counts. In the hour that comes twice when summer time ends, the line before
 * decides, and now_s where there is none.
 */
int64_t maillog_time(struct maillog_clock *c, struct slice stamp, int64_t now_s);

#endif
