/*
 * client.h - which settings of <source> a kind of client meets. An MTA has them for a
 * listener, the configuration for networks, listeners and users.
 */
#ifndef CTL_CLIENT_H
#define CTL_CLIENT_H

#include "common/conf.h"

/* Is this <source 0/0>? */
bool client_is_everybody(const struct conf_source *s);

/*
 * The settings that a stranger meets at this listener: those that hold for every
 * address without a <source> of its own. `user` NULL: not authenticated.
 */
void client_stranger_at(
    const struct conf *c, const struct conf_listener *l, const char *user, struct conf_source *out);

/* The settings that a client in this network meets, whatever the listener. */
void client_in(const struct conf *c, const struct cidr *net, struct conf_source *out);

/* A user to ask for: the first of the configuration, or any. */
const char *client_some_user(const struct conf *c);

/* The realm of users whose names have none: the host's name. */
const char *client_realm(const struct conf *c);

/* The pool that authenticated mail goes through, or the only one, or NULL. There must be a listener. */
const struct conf_pool *client_main_pool(const struct conf *c);

/* The largest max-message-size that any client meets, or CONF_UNLIMITED. */
uint64_t client_largest_message(const struct conf *c);

#endif
