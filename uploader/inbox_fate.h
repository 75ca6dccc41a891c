/*
 * inbox_fate.h - does a captured mail go on, and to whom: deliver-matched-email,
 * deliver-unmatched-email, forward-unmatched-to, forward-errors-to of the processors in whose
 * address lists its recipients are.
 */
#ifndef UPLOADER_INBOX_FATE_H
#define UPLOADER_INBOX_FATE_H

#include "common/conf.h"
#include "common/inbound.h"
#include "uploader/onward.h"

enum inbox_fate {
	INBOX_MATCHED,   /* a report */
	INBOX_UNMATCHED, /* none, or one that is not trusted */
	INBOX_ERROR,     /* a report that can't be made out */
};

/*
 * order->n_rcpts is 0 if it ends here. Texts are those of `conf` and `env`; order->rcpts is to be
 * freed.
 */
void inbox_fate_order(const struct conf *conf, const struct inbound_envelope *env,
    enum inbox_fate fate, struct onward_order *order);

const struct conf_processor *inbox_fate_processor(const struct conf *conf, enum inbound_list list);

#endif
