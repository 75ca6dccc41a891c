/*
 * watchdog.h - tells systemd's watchdog that the milter answers, because it has
 * just answered: each time by a negotiation over its own socket, as an MTA begins.
 * A milter whose threads are all stuck is started again.
 */
#ifndef MILTER_WATCHDOG_H
#define MILTER_WATCHDOG_H

#include "common/err.h"

/* Nothing happens if nobody watches. `socket` as in <milter>; it must live as long as we do. */
int watchdog_start(const char *socket, struct err *e);

/* One negotiation. 0: answered within WATCHDOG_PATIENCE_MS. -1 and *e. */
#define WATCHDOG_PATIENCE_MS 15000
int watchdog_ask(const char *socket, struct err *e);

#endif
