/*
 * report_event.h - a report that has been read: the events that come of it.
 *
 *	bounce			outofband for each recipient that failed; none for a delay
 *	auto-reply		outofband of class 60; subscribe 80, challenge 100
 *	feedback		feedback, with its fbtype; none for not-spam; list for opt-out
 *	unsubscribe		list
 *	success, auth-failure	none
 *	ordinary		none: it is no report
 *
 * Of the message that is meant (correlate.h) an event has what the index knows. Where that
 * is not known, or must not be said, it has no campaign, subaccount 0, and a message_id that
 * no message has: "ffff" in place of "0000".
 *
 * The event_id is made of the report's file name, the recipient and the event's type: a file
 * that is read again after a crash makes the same events.
 */
#ifndef UPLOADER_REPORT_EVENT_H
#define UPLOADER_REPORT_EVENT_H

#include "common/classify.h"
#include "common/conf.h"
#include "common/event.h"
#include "common/report.h"
#include "common/report_auth.h"
#include "uploader/correlate.h"

struct report_facts {     /* what is read; borrowed */
	const char *file; /* its name in inbound/ */
	const struct inbound_envelope *env;
	const struct report *report;
	const struct report_auth_verdict *auth; /* NULL: not asked */
};

struct report_result {
	unsigned events;
	unsigned silent;      /* recipients that make none: delayed, delivered, more than a seal is for */
	enum correlate_by by; /* the surest of them */
	bool recognised;      /* it is a report */
	bool refused;         /* it must be authenticated, and is not */
	bool unreadable;      /* a report that says neither who nor which */
	bool unwritable;      /* an event could not be made */
};

struct report_events {
	const struct conf *conf;
	struct correlate *correlate;
	const struct classifier *rules;
	/*
	 * Takes the events that are in `lines`, so many, and clears them: called between two events
	 * when there are many. -1 and *e: not now.
	 */
	int (*flush)(void *arg, struct err *e);
	void *arg;
	struct buf lines;
	unsigned n_lines;
	struct buf rcpt, domain, final, raw, reason, what, dkim, by; /* of the event in hand */
};

#define REPORT_EVENTS_MAX ((size_t)1 << 20) /* bytes of lines that are not flushed */

void report_events_init(struct report_events *re, const struct conf *conf,
    struct correlate *correlate, const struct classifier *rules);
void report_events_free(struct report_events *re);

/*
 * Append the events. 1: done. 0: its message is not in the index, and `last_chance` is false:
 * nothing was done, come again when the index may know more. -1 and *e: index or flush failed;
 * what was flushed will come again with the same event ids.
 */
int report_events_make(struct report_events *re, const struct report_facts *f, bool last_chance,
    struct report_result *out, struct err *e);

#endif
