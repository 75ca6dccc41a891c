/*
 * mta_facts.h - how a Postfix is configured, as postconf tells it.
 *
 *	if (mta_facts_read("/etc/postfix", &f, &e) < 0) ...
 *	value = mta_facts_main(&f, "relay_domains");
 *	mta_facts_free(&f);
 */
#ifndef CTL_MTA_FACTS_H
#define CTL_MTA_FACTS_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/slice.h"

struct mta_param {           /* name = value; in `text` of the facts, as all of these */
	const char *service; /* "127.0.0.1:25/inet", or NULL: of main.cf */
	const char *name, *value;
	const char *raw; /* as it is written, of main.cf; NULL: not given there */
	bool given;      /* stands in main.cf or master.cf, and is no default */
};

struct mta_service {     /* a line of master.cf without its -o */
	const char *key; /* "127.0.0.1:25/inet" */
	const char *name, *type;
	bool chroot;
	const char *maxproc, *command; /* "-", "smtpd" */
};

struct mta_facts {
	char *dir;                /* of its configuration; NULL: the host's */
	struct mta_param *params; /* of main.cf by name, with all defaults; then the services' */
	size_t n_params, room_params;
	struct mta_service *services;
	size_t n_services, room_services;
	struct buf text, keys; /* what all of it points into */
};

/*
 * Values have the parameters in them expanded. -1 and *e: postconf can't read it, and what
 * it said.
 */
int mta_facts_read(const char *dir, struct mta_facts *f, struct err *e);
void mta_facts_free(struct mta_facts *f);

/* Never NULL; "" for what Postfix does not know. */
const char *mta_facts_main(const struct mta_facts *f, const char *name);
/* As a service has it: its -o, else main.cf. */
const char *mta_facts_in(const struct mta_facts *f, const char *service, const char *name);
const struct mta_param *mta_facts_find(
    const struct mta_facts *f, const char *service, const char *name);
const struct mta_service *mta_facts_service(const struct mta_facts *f, const char *key);

/* Does it listen for others than this host and private networks? */
bool mta_facts_is_public(const struct mta_facts *f, const struct mta_service *s);
bool mta_facts_is_private(struct slice host); /* "127.0.0.1", "[::1]", "10.0.0.1", "localhost" */

/*
 * Postfix's lists: the next item of `rest`, by blanks and commas, {...} as one with its
 * braces. False at the end.
 */
bool mta_facts_item(struct slice *rest, struct slice *item);
bool mta_facts_has(const char *list, const char *item);

#endif
