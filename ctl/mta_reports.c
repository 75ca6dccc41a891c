/*
 * mta_reports.c - Postfix and captured mail: what it returns to the bounce domains itself,
 * and its pace.
 */
#include "ctl/mta_reports.h"

#include <stdbool.h>

#include "ctl/script.h"

static bool
put_ends(const struct conf_processor *p, FILE *out)
{
	/* With mail to be delivered there, the domain has a way that we don't know. */
	if (p->deliver_unmatched || p->deliver_matched)
		return false;
	for (size_t i = 0; i < p->domains.n; i++)
		fprintf(
		    out, "%s discard:what was not delivered is in the mail log\n", p->domains.v[i]);
	return p->domains.n > 0;
}

static void
put_returns(const struct conf *c, FILE *out)
{
	bool any;

	fputs(
	    "\n# What Postfix itself returns to a bounce domain says no more than its log, and no "
	    "milter\n"
	    "# sees it: it ends here. All other mail for these domains is captured.\n"
	    "table ends.texthash <<'END'\n",
	    out);
	any = put_ends(&c->bounce, out);
	any |= put_ends(&c->feedback, out);
	fprintf(out, "END\nlist_has%s transport_maps \"texthash:$home/signalpost/ends.texthash\"\n",
	    any ? "" : "nt");
}

void
reports_put(const struct conf *c, FILE *out)
{
	put_returns(c, out);
	fputs("# Captured mail never reaches the queue manager, which alone gives back what "
	      "in_flow_delay counts:\n"
	      "# after some hundred reports every message would have to wait.\n",
	    out);
	script_set(out, "in_flow_delay", "0");
}
