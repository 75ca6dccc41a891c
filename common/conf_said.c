#include "common/conf_said.h"

#include "common/conf_private.h"

/* Blocks nest three deep at most. */
static void
tell_block(const struct conf_block *b, struct conf_said around,
    void (*tell)(void *arg, const struct conf_said *said), void *arg)
{
	around.scope = b->scope;
	if (b->scope == CONF_IN_DOMAIN)
		around.domain = b->owner; /* those in lists are sorted: `built` is another one */
	else if (b->scope == CONF_IN_VMTA)
		around.vmta = b->built;
	else if (b->scope == CONF_IN_POOL)
		around.pool = b->built;
	for (const struct conf_item *i = b->items; i != NULL; i = i->next) {
		around.row = i->row;
		around.text = i->text;
		around.at = i->at;
		tell(arg, &around);
	}
	for (const struct conf_block *in = b->blocks; in != NULL; in = in->next)
		tell_block(in, around, tell, arg);
}

void
conf_said_each(
    const struct conf *c, void (*tell)(void *arg, const struct conf_said *said), void *arg)
{
	tell_block(&c->priv->root, (struct conf_said){ .row = NULL }, tell, arg);
}
