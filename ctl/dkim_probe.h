/*
 * dkim_probe.h - would a receiver's verifier take our signature? A message is
 * signed as the milter signs and given to libopendkim, which sees the key record
 * that was found in DNS and nothing else.
 */
#ifndef CTL_DKIM_PROBE_H
#define CTL_DKIM_PROBE_H

#include "common/dkim.h"
#include "common/err.h"

/* 0: it verifies. -1 and *e: libopendkim's reason. `record` is the TXT record's text. */
int dkim_probe(const struct dkim_key *k, const char *selector, const char *domain,
    struct slice record, struct err *e);

#endif
