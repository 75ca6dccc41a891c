/*
 * hit.h - what a request for a tracked link means, and the event that it makes.
 * Pure: no I/O, no HTTP library, no clock.
 */
#ifndef TRACKER_HIT_H
#define TRACKER_HIT_H

#include "common/link.h"
#include "tracker/client.h"
#include "tracker/settings.h"

#define HIT_USER_AGENT_MAX 512 /* bytes of it that an event holds */

enum hit_verdict {
	HIT_UNKNOWN, /* not one of our links: 404 */
	HIT_EXPIRED, /* an open: 404; a click: 410 */
	HIT_OPEN,    /* the pixel */
	HIT_CLICK,   /* to link.url */
};

struct hit {
	enum hit_verdict verdict;
	struct link link; /* points into store; not for HIT_UNKNOWN */
	struct buf store;
};

struct hit_reader { /* who, with what, and when; borrowed */
	const struct client *client;
	struct slice user_agent;
	int64_t now_us; /* wall */
};

struct hit_maker; /* what a thread needs to make events, kept from one to the next */

struct hit_maker *hit_maker_new(void);
void hit_maker_free(struct hit_maker *m); /* NULL is fine */

void hit_init(struct hit *h);
void hit_free(struct hit *h);

/* Read the path, without query. A hit can be read into again. */
void hit_read(const struct settings *s, struct slice path, int64_t now_us, struct hit *h);

/* For fold_seen(): the message with its recipient, and which of its pixels. */
uint64_t hit_key(const struct hit *h);

/*
 * Append the event's line. -1 and *e: it can't be written (more than an event may
 * have). The event id depends on message, kind, target, client and time:
 * the same hit has the same id, the next one another.
 */
int hit_event(struct hit_maker *m, const struct settings *s, const struct hit *h,
    const struct hit_reader *reader, struct buf *line, struct err *e);

#endif
