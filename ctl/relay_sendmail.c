#include "ctl/relay_sendmail.h"

#include <string.h>

#include "common/buf.h"
#include "ctl/client.h"
#include "ctl/m4.h"
#include "ctl/relay.h"

/* ---- classes and maps ---- */

static void
put_domain_classes(const struct conf *c, FILE *out)
{
	const struct conf_texts *processors[] = { &c->bounce.domains, &c->feedback.domains };
	struct buf text;

	buf_init(&text, BUF_NO_LIMIT);
	fputs("# relay-domain, and the domains of the processors' address lists\n", out);
	for (size_t i = 0; i < c->n_relay_domains; i++) {
		const struct domain_pattern *p = &c->relay_domains[i];

		if (p->domain == NULL || !m4_is_plain(p->domain)) {
			buf_clear(&text);
			domain_pattern_print(p, &text);
			fprintf(out, "# not mapped: relay-domain %s\n", buf_str(&text));
			continue;
		}
		if (p->kind == DOMAIN_EXACT || p->kind == DOMAIN_AND_SUBDOMAINS)
			fprintf(out, "C{SPDomain}%s\n", p->domain);
		if (p->kind == DOMAIN_SUBDOMAINS || p->kind == DOMAIN_AND_SUBDOMAINS)
			fprintf(out, "C{SPSub}%s\n", p->domain);
	}
	for (size_t k = 0; k < COUNT(processors); k++)
		for (size_t i = 0; i < processors[k]->n; i++)
			if (m4_is_plain(processors[k]->v[i]))
				fprintf(out, "C{SPDomain}%s\n", processors[k]->v[i]);
	for (size_t i = 0; i < c->host_names.n; i++)
		if (relay_goes_on(c, c->host_names.v[i]))
			fprintf(out, "C{SPOn}%s\n", c->host_names.v[i]);
	buf_free(&text);
}

/* One list: plain addresses into a class, expressions into maps numbered from `n`. Returns the next number. */
static unsigned
put_addresses(const struct conf_addresses *list, const char *class, const char *map, unsigned n,
    FILE *out)
{
	struct buf posix;

	buf_init(&posix, BUF_NO_LIMIT);
	for (size_t i = 0; i < list->n; i++) {
		const struct conf_address *a = &list->v[i];

		if (a->text != NULL && strchr(a->text, '@') == NULL)
			continue;
		if (a->text != NULL && m4_is_plain(a->text))
			fprintf(out, "C{%s}%s\n", class, a->text);
		else if (a->regex != NULL && m4_posix_regex(regex_source(a->regex), &posix))
			fprintf(out, "K%s%u regex -a@OK %s\n", map, n++, buf_str(&posix));
		else
			fprintf(out,
			    "# not mapped (%s:%u), sendmail has POSIX expressions only; mail for it "
			    "from those who may not\n"
			    "# relay is refused at DATA: %s\n",
			    a->at.file, a->at.line,
			    a->text != NULL ? "an address with odd signs" : "an expression");
	}
	buf_free(&posix);
	return n;
}

static void
put_onward_class(const struct conf *c, FILE *out)
{
	const struct conf_texts *lists[] = { &c->bounce.forward_unmatched_to,
		&c->bounce.forward_errors_to, &c->feedback.forward_unmatched_to,
		&c->feedback.forward_errors_to };

	fputs("# forward-unmatched-to, forward-errors-to: the uploader may send there, from this "
	      "host\n",
	    out);
	for (size_t k = 0; k < COUNT(lists); k++)
		for (size_t i = 0; i < lists[k]->n; i++)
			if (m4_is_plain(lists[k]->v[i]))
				fprintf(out, "C{SPOnward}%s\n", lists[k]->v[i]);
}

/* Specific networks first: the first hit counts. */
static unsigned
put_client_maps(const struct conf *c, FILE *out)
{
	struct buf text;
	unsigned n = 0;

	buf_init(&text, BUF_NO_LIMIT);
	fputs("# <source NETWORK> always-allow-relaying\n", out);
	for (size_t i = c->n_sources; i-- > 0;) {
		const struct conf_source *s = &c->sources[i];
		struct conf_source merged;

		if (s->kind != CONF_SOURCE_NET || client_is_everybody(s))
			continue;
		client_in(c, &s->net, &merged);
		if (m4_network_regex(&s->net, &text))
			fprintf(out, "Kspnet%u regex -a@%s %s\n", n++,
			    merged.always_allow_relaying ? "OK" : "NO", buf_str(&text));
		else
			fprintf(out,
			    "# not mapped: <source %s>; sendmail's guard takes IPv6 prefixes in "
			    "whole "
			    "groups of 16 bits\n",
			    s->name);
	}
	buf_free(&text);
	return n;
}

/* ---- rulesets ---- */

static void
put_map_rules(const char *name, unsigned n, FILE *out)
{
	for (unsigned i = 0; i < n; i++)
		fprintf(out,
		    "R$*\t\t\t$: $1 $| $(%s%u $1 $: $)\n"
		    "R$* $| @ OK\t\t$@ OK\n"
		    "R$* $| @ NO\t\t$@ NO\n"
		    "R$* $| $*\t\t$: $1\n",
		    name, i);
}

static void
put_client_rules(const struct conf *c, const char *pickup, unsigned n_nets, FILE *out)
{
	struct conf_source s;

	fputs("# May this client relay?\n"
	      "SSPGuardClient\n"
	      "R$*\t\t\t$: < $&{auth_type} > < $&{daemon_name} > < $&{client_addr} >\n",
	    out);
	for (size_t i = 0; i < c->n_listeners; i++) {
		const struct conf_listener *l = &c->listeners[i];

		client_stranger_at(c, l, client_some_user(c), &s);
		if (s.always_allow_relaying)
			fprintf(out, "R< $+ > < %s:%u > < $* >\t$@ OK\n", l->address, l->port);
		client_stranger_at(c, l, NULL, &s);
		if (s.always_allow_relaying)
			fprintf(out, "R< $* > < %s:%u > < $* >\t$@ OK\n", l->address, l->port);
	}
	fprintf(out, "R< $* > < %s > < $* >\t$@ OK\n", pickup);
	fputs("R< $* > < $* > < $* >\t$: $3\n", out);
	put_map_rules("spnet", n_nets, out);
	fputs("R$*\t\t\t$@ NO\n", out);
}

static void
put_recipient_rules(unsigned n_patterns, unsigned n_reports, FILE *out)
{
	fputs("# Is this recipient ours? One that asks to be passed on is not.\n"
	      "SSPGuardRcpt\n"
	      "R$*\t\t\t$: $>canonify $1\n"
	      "R$* < @ $* . > $*\t$: $1 < @ $2 > $3\n"
	      "R$* % $* < @ $* > $*\t$@ NO\n"
	      "R$* ! $* < @ $* > $*\t$@ NO\n"
	      "R$* @ $* < @ $* > $*\t$@ NO\n"
	      "R$+ < @ $=w >\t\t$@ OK\n"
	      "R$+ < @ $={SPDomain} >\t$@ OK\n"
	      "R$+ < @ $+ . $={SPSub} >\t$@ OK\n"
	      "R$-\t\t\t$@ OK\n"
	      "R$+ < @ $+ >\t\t$: $1 @ $2\n"
	      "R$={SPAddr}\t\t$@ OK\n"
	      "R$={SPReport}\t\t$@ OK\n",
	    out);
	put_map_rules("sprcpt", n_patterns, out);
	put_map_rules("sprep", n_reports, out);
	fputs("R$={SPOnward}\t\t$: $1 $| $&{client_addr}\n"
	      "R$* $| 127. $*\t\t$@ OK\n",
	    out);
	fputs("R$*\t\t\t$@ NO\n", out);
}

static void
put_guard_rules(FILE *out)
{
	fputs("# A stranger's recipient was taken if at the next command {nbadrcpts} is still what it\n"
	      "# was ({sp_seen}). {nrcpts} is 0 until the first was taken, and no exact count then.\n"
	      "SSPGuardSettle\n"
	      "R$*\t\t\t$: $&{nrcpts} $| $&{sp_seen} $| $&{nbadrcpts}\n"
	      "R0 $| $*\t\t$@ $(spset {sp_passed} $@ no $)\n"
	      "R$+ $| $+ $| $+\t\t$: $(sparith = $@ $2 $@ $3 $: FALSE $)\n"
	      "RTRUE\t\t\t$@ $(spset {sp_passed} $@ yes $)\n"
	      "\n"
	      "SLocal_check_rcpt\n"
	      "R$*\t\t\t$: $1 $| $>SPGuardSettle $1\n"
	      "R$* $| $*\t\t$: $1 $| $>SPGuardClient $1\n"
	      "R$* $| OK\t\t$@ $(spset {sp_seen} $@ 1000000 $)\n"
	      "R$* $| $*\t\t$: $>SPGuardRcpt $1\n"
	      "ROK\t\t\t$@ $(spset {sp_seen} $@ 1000000 $)\n"
	      "R$*\t\t\t$@ $(spset {sp_seen} $@ $&{nbadrcpts} $)\n"
	      "\n"
	      "Scheck_data\n"
	      "R$*\t\t\t$: $>SPGuardSettle $1\n"
	      "R$*\t\t\t$: $&{sp_passed}\n"
	      "Ryes\t\t\t$#error $@ 5.7.1 $: \"554 relaying denied\"\n",
	    out);
}

/* What sendmail would look for among its own users, and refuse before the milter is asked. */
static void
put_rule_0(unsigned n_reports, FILE *out)
{
	fputs("\nLOCAL_RULE_0\n"
	      "# host-names that relay-domain or an address-list names are not delivered here.\n"
	      "R$+ < @ $={SPOn} . > $*\t$#esmtp $@ $2 $: $1 < @ $2 . > $3\n"
	      "# The processors' addresses in domains of this host are no users; the milter takes\n"
	      "# what comes for them.\n"
	      "R$+ < @ $=w . > $*\t$: < $1 @ $2 > $1 < @ $2 . > $3\n"
	      "R< $={SPReport} > $+ < @ $+ . > $*\t$#esmtp $@ $3 $: $2 < @ $3 . > $4\n",
	    out);
	for (unsigned i = 0; i < n_reports; i++)
		fprintf(out,
		    "R< $+ > $+ < @ $+ . > $*\t$: < $(sprep%u $1 $: $1 $) > $2 < @ $3 . > $4\n"
		    "R< @ OK > $+ < @ $+ . > $*\t$#esmtp $@ $2 $: $1 < @ $2 . > $3\n",
		    i);
	fputs("R< $+ > $+ < @ $+ . > $*\t$: $2 < @ $3 . > $4\n", out);
}

void
relay_sendmail_put(const struct conf *c, const char *pickup, FILE *out)
{
	unsigned n_patterns, n_reports, n_nets;

	fputs(
	    "\ndnl The relay rule has two holders. At RCPT the milter has the word (its refusal "
	    "text\n"
	    "dnl is the one that senders know), so sendmail's own check is off; if the milter "
	    "can't\n"
	    "dnl be asked, nothing passes (F=T). At DATA sendmail checks for itself, by the "
	    "rulesets\n"
	    "dnl below, in case what answers at the milter's socket says yes to everything: 554.\n"
	    "define(`_PROMISCUOUS_RELAY_', 1)dnl\n"
	    "LOCAL_CONFIG\n"
	    "Kspset macro\n"
	    "Ksparith arith\n",
	    out);
	put_domain_classes(c, out);
	fputs("# relay-address, and the addresses of the processors' address lists\n", out);
	n_patterns = put_addresses(&c->relay_addresses, "SPAddr", "sprcpt", 0, out);
	n_reports = put_addresses(&c->bounce.addresses, "SPReport", "sprep", 0, out);
	n_reports = put_addresses(&c->feedback.addresses, "SPReport", "sprep", n_reports, out);
	put_onward_class(c, out);
	n_nets = put_client_maps(c, out);
	put_rule_0(n_reports, out);
	fputs("\nLOCAL_RULESETS\n", out);
	put_client_rules(c, pickup, n_nets, out);
	put_recipient_rules(n_patterns, n_reports, out);
	put_guard_rules(out);
}
