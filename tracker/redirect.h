/*
 * redirect.h - answers that lead a reader on. A campaign has few targets and many readers,
 * so a thread keeps the last redirects it made.
 *
 *	r = redirect_to(kept, url);
 *	MHD_queue_response(connection, 302, redirect_response(r));
 *	redirect_release(r);
 *
 * All of one `redirects` is one thread's.
 */
#ifndef TRACKER_REDIRECT_H
#define TRACKER_REDIRECT_H

#include "common/slice.h"

#define REDIRECTS_KEPT 64

struct MHD_Response;
struct redirect;

struct redirects {
	struct redirect *kept[REDIRECTS_KEPT];
};

void redirects_free(struct redirects *kept); /* what is still held stays until it is released */

/* To be released. NULL: out of memory. */
struct redirect *redirect_to(struct redirects *kept, struct slice url);
struct MHD_Response *redirect_response(const struct redirect *r); /* good while it is held */
void redirect_release(struct redirect *r);                        /* NULL is fine */

#endif
