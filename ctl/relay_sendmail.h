/*
 * relay_sendmail.h - who may send on through sendmail: its own relay check taken out of
 * RCPT, where the milter has the word, and put back as rulesets at DATA.
 */
#ifndef CTL_RELAY_SENDMAIL_H
#define CTL_RELAY_SENDMAIL_H

#include <stdio.h>

#include "common/conf.h"

/* `pickup`: the name of the listener for local submissions, whose clients may relay. */
void relay_sendmail_put(const struct conf *c, const char *pickup, FILE *out);

#endif
