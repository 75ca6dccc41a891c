/*
 * onward.h - the loop guard of captured reports that go on by SMTP.
 *
 * The uploader hands such a mail to the same MTA that brought it, whose milter would
 * capture it again. So it carries a header that only a holder of the token keys can make,
 * with the file and the recipient it was made for and when: one recipient a transaction.
 *
 *	X-Signalpost-Onward: TOKEN
 *
 * The milter takes the header out of everything that is not captured. Where it opens,
 * is young and names the only recipient, the message passes to that recipient, unedited
 * but for the header and without events.
 */
#ifndef COMMON_ONWARD_H
#define COMMON_ONWARD_H

#include "common/inbound.h"
#include "common/token.h"

#define ONWARD_HEADER    "X-Signalpost-Onward"
#define ONWARD_MAX_AGE_S 3600 /* made for one SMTP transaction, not for a queue */

/*
 * Append the token for sending the report `name` (inbound_is_name()) to `rcpt` (without
 * <>) at `now`. -1 and *e: no name of a report, or a recipient that can't be one.
 */
int onward_seal(const struct token_ring *ring, const char *name, struct slice rcpt, int64_t now,
    struct buf *out, struct err *e);

/*
 * Does `value` (of the header, blanks around it don't matter) say that a mail to `rcpt`,
 * alone, comes from our uploader, within ONWARD_MAX_AGE_S of `now`? Domains compare without
 * case. `name` gets the report's file; it is a name of a report.
 */
bool onward_open(const struct token_ring *ring, struct slice value, struct slice rcpt, int64_t now,
    char name[INBOUND_NAME_SIZE]);

#endif
