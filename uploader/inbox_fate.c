#include "uploader/inbox_fate.h"

#include "common/xalloc.h"

const struct conf_processor *
inbox_fate_processor(const struct conf *conf, enum inbound_list list)
{
	return list == INBOUND_BOUNCE ? &conf->bounce : &conf->feedback;
}

static void
add(struct onward_order *order, size_t *room, struct slice rcpt)
{
	for (size_t i = 0; i < order->n_rcpts; i++)
		if (slice_eqi(order->rcpts[i], rcpt))
			return;
	order->rcpts = xgrow(order->rcpts, order->n_rcpts, room, sizeof(*order->rcpts));
	order->rcpts[order->n_rcpts++] = rcpt;
}

void
inbox_fate_order(const struct conf *conf, const struct inbound_envelope *env, enum inbox_fate fate,
    struct onward_order *order)
{
	static const char *const why[] = { "matched", "unmatched", "error" };
	bool has[] = { [INBOUND_BOUNCE] = false, [INBOUND_FEEDBACK] = false };
	size_t room = 0;

	*order = (struct onward_order){ .from = env->from, .why = slice_str(why[fate]) };
	for (size_t i = 0; i < env->n_rcpts; i++) {
		const struct conf_processor *p = inbox_fate_processor(conf, env->rcpts[i].list);

		has[env->rcpts[i].list] = true;
		if (fate == INBOX_MATCHED ? p->deliver_matched : p->deliver_unmatched)
			add(order, &room, env->rcpts[i].address);
	}
	for (size_t list = 0; list < COUNT(has); list++) {
		const struct conf_processor *p =
		    inbox_fate_processor(conf, (enum inbound_list)list);
		const struct conf_texts *to =
		    fate == INBOX_ERROR ? &p->forward_errors_to : &p->forward_unmatched_to;

		for (size_t i = 0; has[list] && fate != INBOX_MATCHED && i < to->n; i++)
			add(order, &room, slice_str(to->v[i]));
	}
}
