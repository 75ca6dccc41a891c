#include "ctl/mta_routes.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/buf.h"
#include "common/conf_said.h"
#include "common/route.h"
#include "ctl/client.h"
#include "ctl/script.h"

#define MAX_BACKOFF_S (100u * 86400) /* Postfix takes no longer time than this for its queue */
#define PROCESS_LIMIT 100            /* default_process_limit: of all deliveries of a transport */

static const struct slice any_domain = { "any.invalid", 11 };

/* ---- the queue's times ---- */

struct queue { /* what is in force for the whole queue */
	const struct conf_pool *pool;
	struct conf_domain d;
	uint64_t life_s, retry_s;
};

static void
decide_queue(const struct conf *c, struct queue *q)
{
	q->pool = client_main_pool(c);
	conf_domain_for(c, q->pool != NULL && q->pool->n_members == 1 ? q->pool->members[0] : NULL,
	    q->pool, any_domain, &q->d);
	q->life_s = q->d.bounce_after_s < MAX_BACKOFF_S ? q->d.bounce_after_s : MAX_BACKOFF_S;
	q->retry_s = q->d.retry_after_s < MAX_BACKOFF_S ? q->d.retry_after_s : MAX_BACKOFF_S;
	if (q->retry_s == 0)
		q->retry_s = 1;
}

/* ---- max-smtp-out ---- */

/*
 * Connections to a destination: the virtual MTA's own word, else the pools', else the
 * global one. The transport is one, whatever the pool: of several limits the lowest holds.
 */
static uint64_t
limit_of(const struct conf *c, const struct conf_vmta *v)
{
	struct conf_domain d;
	uint64_t least = CONF_UNLIMITED;
	bool found = false;

	for (size_t i = 0; i < c->n_pools; i++)
		for (size_t k = 0; k < c->pools[i].n_members; k++)
			if (c->pools[i].members[k] == v) {
				conf_domain_for(c, v, &c->pools[i], any_domain, &d);
				least = d.max_smtp_out < least ? d.max_smtp_out : least;
				found = true;
				break;
			}
	if (!found) {
		conf_domain_for(c, v, NULL, any_domain, &d);
		least = d.max_smtp_out;
	}
	return least;
}

/* Does every transport that this line speaks of have its limit? */
static bool
limit_holds(const struct conf *c, const struct queue *q, const struct conf_said *s)
{
	uint64_t asked = s->domain->max_smtp_out;

	if (!route_needed(c))
		return asked == q->d.max_smtp_out;
	if (s->vmta != NULL)
		return limit_of(c, s->vmta) == asked;
	for (size_t i = 0; s->pool != NULL && i < s->pool->n_members; i++)
		if (limit_of(c, s->pool->members[i]) != asked)
			return false;
	return s->pool != NULL || asked == q->d.max_smtp_out;
}

/* ---- what can't be mapped ---- */

struct accounting {
	const struct conf *c;
	const struct queue *q;
	FILE *out;
};

/* Why Postfix does not follow this line, or NULL: it does. */
static const char *
why_not_mapped(const struct accounting *a, const struct conf_said *s)
{
	bool any = s->domain->pattern.kind == DOMAIN_ANY;

	if (strcmp(s->row->name, "max-smtp-out") == 0) {
		if (!any)
			return "Postfix limits the connections of a transport to each destination, "
			       "the same for all";
		return limit_holds(a->c, a->q, s)
		           ? NULL
		           : "another limit holds for the transport, which has only one";
	}
	if (strcmp(s->row->name, "bounce-after") == 0)
		return s->domain->bounce_after_s == a->q->life_s
		           ? NULL
		           : "Postfix has one maximal_queue_lifetime for the whole queue";
	if (strcmp(s->row->name, "retry-after") == 0)
		return s->domain->retry_after_s == a->q->retry_s
		           ? NULL
		           : "Postfix has one pair of backoff times for the whole queue";
	return NULL;
}

static void
account_for(void *arg, const struct conf_said *s)
{
	const struct accounting *a = arg;
	const char *why;
	struct buf text;

	if (s->scope == CONF_IN_GLOBAL && strcmp(s->row->name, "total-max-smtp-out") == 0)
		fprintf(a->out,
		    "# not mapped: total-max-smtp-out %s (%s:%u); Postfix has no limit over all "
		    "transports\n",
		    s->text, s->at.file, s->at.line);
	if (s->domain == NULL || (why = why_not_mapped(a, s)) == NULL)
		return;
	buf_init(&text, 1024);
	domain_pattern_print(&s->domain->pattern, &text);
	fprintf(a->out, "# not mapped: %s %s of <domain %s>%s%s%s (%s:%u);\n#   %s\n", s->row->name,
	    s->text, buf_str(&text),
	    s->vmta != NULL   ? " in <virtual-mta "
	    : s->pool != NULL ? " in <virtual-mta-pool "
			      : "",
	    s->vmta != NULL   ? s->vmta->name
	    : s->pool != NULL ? s->pool->name
			      : "",
	    s->vmta != NULL || s->pool != NULL ? ">" : "", s->at.file, s->at.line, why);
	buf_free(&text);
}

void
mta_routes_put_queue(const struct conf *c, FILE *out)
{
	struct queue q;
	struct accounting a = { .c = c, .q = &q, .out = out };

	decide_queue(c, &q);
	fprintf(out, "\n# bounce-after, retry-after, max-smtp-out of <domain *>%s%s\n",
	    q.pool != NULL ? " in pool " : "", q.pool != NULL ? q.pool->name : "");
	script_set_number(out, "maximal_queue_lifetime", q.life_s, "s");
	script_set_number(out, "bounce_queue_lifetime", q.life_s, "s");
	script_set_number(out, "minimal_backoff_time", q.retry_s, "s");
	script_set_number(out, "maximal_backoff_time", q.retry_s, "s");
	script_set_number(out, "queue_run_delay", (q.retry_s < 300 ? q.retry_s : 300), "s");
	if (q.d.max_smtp_out != CONF_UNLIMITED)
		script_set_number(
		    out, "default_destination_concurrency_limit", q.d.max_smtp_out, "");
	conf_said_each(c, account_for, &a);
}

/* ---- transports ---- */

/* The address that configurations have where there is no other: nothing to bind to. */
static bool
is_this_host(const char *ip)
{
	return strcmp(ip, "127.0.0.1") == 0 || strcmp(ip, "::1") == 0;
}

static bool
is_v6(const char *ip)
{
	return strchr(ip, ':') != NULL;
}

/* What main.cf may still have, of a time with one virtual MTA, is not this one's. */
static void
put_any_address(FILE *out)
{
	script_option(out, "smtp_bind_address", "");
	script_option(out, "smtp_bind_address6", "");
}

static void
put_source(const struct conf_vmta *v, FILE *out)
{
	if (v->source_ip == NULL) {
		fputs("# It has no smtp-source-host: the host's own address.\n", out);
		put_any_address(out);
	} else if (is_this_host(v->source_ip)) {
		fprintf(out, "# %s reaches no other host: not bound to\n", v->source_ip);
		put_any_address(out);
	} else {
		script_option(out, is_v6(v->source_ip) ? "smtp_bind_address6" : "smtp_bind_address",
		    v->source_ip);
		/* Else Postfix takes another address if it can't have this one, or the other
		   family has none; the events would name the wrong one. */
		script_option(out, "smtp_bind_address_enforce", "yes");
		script_option(out, "inet_protocols", is_v6(v->source_ip) ? "ipv6" : "ipv4");
	}
	if (v->source_host != NULL)
		script_option(out, "smtp_helo_name", v->source_host);
}

static void
put_transport(const struct conf *c, const struct conf_vmta *v, FILE *out)
{
	char name[ROUTE_NAME_SIZE];
	uint64_t limit = limit_of(c, v);

	route_name(v, name);
	fputs("\n", out);
	script_at(out, "virtual-mta", &v->at);
	fprintf(out, "service %s unix '- - n - ", name);
	if (limit != CONF_UNLIMITED && limit > PROCESS_LIMIT)
		fprintf(out, "%llu", (unsigned long long)limit);
	else
		putc('-', out);
	fputs(" smtp'\n", out);
	put_source(v, out);
	fprintf(out, "option 'syslog_name = postfix/%s'\nservice_done\n", name);
	fprintf(out, "set_main '%s_destination_concurrency_limit = ", name);
	if (limit != CONF_UNLIMITED)
		fprintf(out, "%llu'\n", (unsigned long long)limit);
	else
		fputs("$default_destination_concurrency_limit'\n", out);
}

/* What an earlier run made. Deferred mail may still name it, so it is not taken away. */
static const char old_transports[] =
    "postconf -c \"$dir\" -M | awk '$1 ~ /^" ROUTE_PREFIX "/ && $2 == \"unix\" { print $1 }' |\n"
    "\twhile read -r name; do\n"
    "\t\tcase \" $routes \" in *\" $name \"*) continue ;; esac\n"
    "\t\techo \"kept in master.cf, deferred mail may name it: $name; to remove it:"
    " postconf -c $home -MX $name/unix\" >&2\n"
    "\tdone\n";

static void
put_selection(const struct conf *c, FILE *out)
{
	char name[ROUTE_NAME_SIZE];

	fputs("\n# The milter names the virtual MTA in a header, asks for nothing of it but this "
	      "FILTER, and\n"
	      "# takes it out before the message is queued. A next hop that relayhost names is "
	      "kept; without\n"
	      "# one each recipient's own domain is it. The same header from elsewhere selects "
	      "nothing, and\n"
	      "# is taken out on the way out.\n"
	      "hop=$(postconf -c \"$dir\" -hx relayhost)\n"
	      "table routes.regexp <<END\n",
	    out);
	for (size_t i = 0; i < c->n_vmtas; i++)
		fprintf(out, "/^" ROUTE_HEADER ": *%s\\$/ FILTER %s:$hop\n",
		    route_name(c->vmtas[i], name), name);
	fputs("END\n"
	      "table route-header.regexp <<'END'\n"
	      "/^" ROUTE_HEADER ":/ IGNORE\n"
	      "END\n"
	      "list_has milter_header_checks \"regexp:$home/signalpost/routes.regexp\"\n"
	      "list_has smtp_header_checks \"regexp:$home/signalpost/route-header.regexp\"\n",
	    out);
}

static void
put_transports(const struct conf *c, FILE *out)
{
	char name[ROUTE_NAME_SIZE];

	fputs("\n# virtual-mta, virtual-mta-pool: a transport for each virtual MTA. Its limit is "
	      "of connections\n"
	      "# to one destination; pools are taken in turn by the milter.\n"
	      "routes='",
	    out);
	for (size_t i = 0; i < c->n_vmtas; i++)
		fprintf(out, "%s%s", i == 0 ? "" : " ", route_name(c->vmtas[i], name));
	fputs("'\n", out);
	fputs(old_transports, out);
	for (size_t i = 0; i < c->n_vmtas; i++)
		put_transport(c, c->vmtas[i], out);
	put_selection(c, out);
}

void
mta_routes_put_vmtas(const struct conf *c, FILE *out)
{
	const struct conf_vmta *v = c->n_vmtas == 1 ? c->vmtas[0] : NULL;

	if (route_needed(c)) {
		put_transports(c, out);
		return;
	}
	fputs("\n# No choice of virtual MTAs\n"
	      "routes=''\n"
	      "list_hasnt milter_header_checks \"regexp:$home/signalpost/routes.regexp\"\n",
	    out);
	fputs(old_transports, out);
	if (v == NULL || v->source_ip == NULL)
		return;
	fputs("\n", out);
	script_at(out, "smtp-source-host of the only virtual MTA", &v->at);
	if (strncmp(v->source_ip, "127.", 4) == 0 || is_this_host(v->source_ip))
		fprintf(out, "# %s reaches no other host: not bound to\n", v->source_ip);
	else
		script_set(out, is_v6(v->source_ip) ? "smtp_bind_address6" : "smtp_bind_address",
		    v->source_ip);
	if (v->source_host != NULL)
		script_set(out, "smtp_helo_name", v->source_host);
}
