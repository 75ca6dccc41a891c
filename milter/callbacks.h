/*
 * callbacks.h - libmilter's side of the milter.
 */
#ifndef MILTER_CALLBACKS_H
#define MILTER_CALLBACKS_H

#include <libmilter/mfapi.h>

#include "common/auth_failures.h"
#include "common/spool.h"

/* What smfi_register() wants. */
extern struct smfiDesc milter_callbacks;

/*
 * Where events go; call before smfi_main(). The writer stays the caller's. NULL, before it
 * is closed: messages that are still under way are answered as on any failure.
 */
void callbacks_set_spool(struct spool_writer *writer);

/* Who fails to authenticate; call before smfi_main(), and with NULL before it is closed. */
void callbacks_set_auth_failures(struct auth_failures_view *view);

/* Where captured reports go; call before smfi_main(). Stays open as long as the process lives. */
void callbacks_set_inbound(struct spool *sp);

/* Log the totals since start: messages, captured reports, events, failures. */
void callbacks_log_totals(void);

#endif
