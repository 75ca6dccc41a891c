/*
 * mailbox_list.h - address headers (From, To, Cc, ...) in the form that sendmail gives them.
 *
 * sendmail writes these headers anew when it delivers, behind every milter, so what is
 * signed must already look like that. Seen with 8.17: ", " between addresses; names with
 * one of @,;:\()[].' in quotes; a host behind an address that has none; no source route,
 * no blanks around '@', no dot behind the domain; a missing '>' added. Folds and runs of
 * blanks are nothing to relaxed canonicalisation and stay.
 *
 * One thing is done that sendmail does not: a '.' or ',' that stands raw in an RFC 2047
 * word becomes =2E, =2C (as section 5 (3) wants it in names), since otherwise sendmail
 * puts the word into quotes, where no reader decodes it, or cuts it in two.
 */
#ifndef COMMON_MAILBOX_LIST_H
#define COMMON_MAILBOX_LIST_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/message.h"
#include "common/slice.h"

/*
 * Append a header value's form to *out, without blanks around it. `host` completes
 * addresses that have none. What is no address is left as it is. Linear.
 */
void mailbox_list_print(struct slice value, struct slice host, struct buf *out);

/* All headers of a message that sendmail treats so. */
void mailbox_list_prepare(struct message *m, struct slice host);

#endif
