/*
 * machine.h - readers that are programs: proxies of mail services, scanners of
 * links, prefetchers. They are answered as people are; the event says who it was.
 *
 *	# comment
 *	NAME user-agent /REGEX/ [proxy]
 *	NAME network CIDR [proxy]
 *
 * The first rule that fits counts. "proxy": fetches when a person looks; without
 * it the request says nothing about a person. Regexes search without case.
 */
#ifndef TRACKER_MACHINE_H
#define TRACKER_MACHINE_H

#include <sys/socket.h>

#include "common/err.h"
#include "common/slice.h"

#define MACHINE_FILE_MAX  (1024 * 1024)
#define MACHINE_RULES_MAX 10000
#define MACHINE_NAME_MAX  63

struct machine_rules; /* thread-safe */

struct machine {
	const char *name; /* as long as the rules */
	bool proxy;
};

/* NULL and *e, "FILE:LINE: what was expected"; the same from memory. */
struct machine_rules *machine_rules_load(const char *file, struct err *e);
struct machine_rules *machine_rules_parse(const char *name, struct slice text, struct err *e);
void machine_rules_free(struct machine_rules *m); /* NULL is fine */
size_t machine_rules_count(const struct machine_rules *m);

/* NULL rules fit nobody. */
bool machine_find(struct machine_rules *m, struct slice user_agent, const struct sockaddr *client,
    struct machine *out);

#endif
