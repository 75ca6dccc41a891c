#include "common/conf_builder.h"

#include <stdlib.h>
#include <unistd.h>

#include "common/conf_value.h"

/* Fill `owner` with the defaults of its rows. */
static void
preset(struct conf_builder *b, enum conf_scope scope, void *owner)
{
	size_t n;
	const struct conf_row *rows = conf_rows_of(scope, &n);

	for (size_t i = 0; i < n; i++) {
		const struct conf_row *row = &rows[i];
		struct conf_value v = { .row = row, .mem = b->mem, .owner = owner };
		struct err e;

		if (row->preset == NULL || row->size == 0 ||
		    (row->flags & CONF_ROW_PRESET_IS_COMPUTED) != 0)
			continue;
		buf_init(&v.text, CONF_LINE_MAX);
		if (conf_args_split(&b->args, slice_str(row->preset), row->type->split, &e) < 0)
			abort(); /* the table is wrong */
		v.args = b->args.v;
		v.n = b->args.n;
		if (conf_value_parse(&v, row->name, conf_member(row, owner), &e) < 0)
			abort();
		buf_free(&v.text);
	}
}

const void *
conf_defaults_of(struct conf_builder *b, enum conf_scope scope, size_t size)
{
	if (b->defaults[scope] == NULL) {
		b->defaults[scope] = conf_mem_alloc(b->mem, 1, size);
		preset(b, scope, b->defaults[scope]);
	}
	return b->defaults[scope];
}

void
conf_preset_all(struct conf_builder *b)
{
	struct conf *c = b->conf;
	char host[256] = "";

	preset(b, CONF_IN_GLOBAL, c);
	preset(b, CONF_IN_SIGNALS, &c->signals);
	preset(b, CONF_IN_PROCESSOR, &c->bounce);
	preset(b, CONF_IN_PROCESSOR, &c->feedback);
	preset(b, CONF_IN_EMAIL_PATTERNS, &c->bounce);
	preset(b, CONF_IN_EMAIL_PATTERNS, &c->feedback);
	preset(b, CONF_IN_MILTER, &c->milter);
	preset(b, CONF_IN_SPOOL, &c->spool);
	preset(b, CONF_IN_TOKEN_KEYS, &c->token_keys);
	preset(b, CONF_IN_COLLECTOR, &c->collector);
	preset(b, CONF_IN_TRACKER, &c->tracker);
	preset(b, CONF_IN_MAIL_LOG, &c->mail_log);
	preset(b, CONF_IN_INBOUND, &c->inbound);
	b->priv->source_defaults = conf_defaults_of(b, CONF_IN_SOURCE, sizeof(struct conf_source));
	b->priv->domain_defaults = conf_defaults_of(b, CONF_IN_DOMAIN, sizeof(struct conf_domain));
	gethostname(host, sizeof(host) - 1);
	c->node_name = conf_mem_dup(b->mem, slice_str(host[0] != '\0' ? host : "localhost"));
}
