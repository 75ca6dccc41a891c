#include "ctl/relay.h"

#include <string.h>
#include <sys/socket.h>

#include "common/buf.h"
#include "ctl/client.h"
#include "ctl/mta_facts.h"
#include "ctl/open_relay.h"
#include "ctl/script.h"

/* Networks of at most so many bits are everybody's, or nearly. */
#define WIDE_V4 7
#define WIDE_V6 15

static bool
is_wide(const struct conf_source *s)
{
	return s->kind == CONF_SOURCE_NET &&
	       s->net.bits <= (s->net.family == AF_INET6 ? WIDE_V6 : WIDE_V4);
}

/* Whoever connects there, from anywhere, and does not say who he is. */
static bool
lets_strangers_relay(const struct conf *c, const struct conf_listener *l)
{
	struct conf_source merged;

	client_stranger_at(c, l, NULL, &merged);
	return merged.always_allow_relaying && !merged.require_auth &&
	       !mta_facts_is_private(slice_str(l->address));
}

static int
check_domain(const struct domain_pattern *p, const char *mta, struct err *e)
{
	if (p->kind == DOMAIN_ANY)
		return err_set(e,
		    "relay-domain *: with it %s would relay for everybody; name the domains", mta);
	if (p->kind != DOMAIN_NETWORK && p->domain != NULL &&
	    open_relay_is_tld(slice_str(p->domain)))
		return err_set(e,
		    "relay-domain of all below .%s: with it %s would relay for everybody there; "
		    "name "
		    "the domains",
		    p->domain, mta);
	return 0;
}

static int
check_addresses(const char *what, const struct conf_addresses *list, struct err *e)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->v[i].regex != NULL &&
		    regex_match(list->v[i].regex, slice_str(OPEN_RELAY_STRANGER)))
			return err_set(e, "%s /%s/ holds everybody's address", what,
			    regex_source(list->v[i].regex));
	return 0;
}

int
relay_find_open(const struct conf *c, const char *mta, struct err *e)
{
	for (size_t i = 0; i < c->n_relay_domains; i++)
		if (check_domain(&c->relay_domains[i], mta, e) < 0)
			return -1;
	if (check_addresses("relay-address", &c->relay_addresses, e) < 0 ||
	    check_addresses("the address-list of <bounce-processor>:", &c->bounce.addresses, e) <
		0 ||
	    check_addresses(
		"the address-list of <feedback-loop-processor>:", &c->feedback.addresses, e) < 0)
		return -1;
	for (size_t i = 0; i < c->n_sources; i++)
		if (is_wide(&c->sources[i]) && c->sources[i].always_allow_relaying)
			return err_set(e,
			    "%s:%u: always-allow-relaying for everybody (<source %s>) makes an "
			    "open relay",
			    c->sources[i].at.file, c->sources[i].at.line, c->sources[i].name);
	for (size_t i = 0; i < c->n_listeners; i++)
		if (lets_strangers_relay(c, &c->listeners[i]))
			return err_set(e,
			    "%s:%u: always-allow-relaying for whoever connects to %s:%u "
			    "(source=%s) "
			    "makes an open relay: require-auth, or a private address",
			    c->listeners[i].at.file, c->listeners[i].at.line,
			    c->listeners[i].address, c->listeners[i].port,
			    c->listeners[i].source != NULL ? c->listeners[i].source : "none");
	return 0;
}

int
relay_check(const struct conf *c, const char *mta, struct err *e)
{
	if (relay_find_open(c, mta, e) < 0)
		return -1;
	if (c->n_listeners == 0)
		return err_set(e, "no smtp-listener: nothing to set up");
	return 0;
}

bool
relay_is_domain(const struct conf *c, const char *domain)
{
	for (size_t i = 0; i < c->n_relay_domains; i++)
		if (domain_pattern_match(&c->relay_domains[i], slice_str(domain)))
			return true;
	return false;
}

static bool
listed(const struct conf_texts *t, const char *domain)
{
	for (size_t i = 0; i < t->n; i++)
		if (slice_eqi(slice_str(t->v[i]), slice_str(domain)))
			return true;
	return false;
}

bool
relay_goes_on(const struct conf *c, const char *domain)
{
	if (relay_is_domain(c, domain))
		return true;
	return listed(&c->bounce.domains, domain) || listed(&c->feedback.domains, domain);
}

static void
add_relay_pattern(const struct domain_pattern *p, struct buf *list, FILE *out)
{
	struct buf text;

	switch (p->kind) {
	case DOMAIN_EXACT:
		buf_printf(list, "%s, ", p->domain);
		break;
	case DOMAIN_SUBDOMAINS:
		buf_printf(list, ".%s, ", p->domain);
		break;
	case DOMAIN_AND_SUBDOMAINS:
		buf_printf(list, "%s, .%s, ", p->domain, p->domain);
		break;
	case DOMAIN_ANY: /* refused before */
	case DOMAIN_NETWORK:
		buf_init(&text, BUF_NO_LIMIT);
		domain_pattern_print(p, &text);
		fprintf(out,
		    "# not mapped: relay-domain %s; Postfix has no networks of address literals "
		    "here\n",
		    buf_str(&text));
		buf_free(&text);
		break;
	}
}

void
relay_put_domains(const struct conf *c, FILE *out)
{
	const struct conf_texts *processors[] = { &c->bounce.domains, &c->feedback.domains };
	struct buf list;

	fputs("\n# relay-domain, and the domains of the processors' address lists.\n"
	      "# \"dom\" is that domain alone and \".dom\" its subdomains, so relay_domains is "
	      "taken out of\n"
	      "# the lists whose entries hold for subdomains too.\n",
	    out);
	script_set(out, "parent_domain_matches_subdomains",
	    "debug_peer_list, fast_flush_domains, mynetworks, permit_mx_backup_networks, "
	    "qmqpd_authorized_clients, smtpd_access_maps");
	buf_init(&list, BUF_NO_LIMIT);
	for (size_t i = 0; i < c->n_relay_domains; i++)
		add_relay_pattern(&c->relay_domains[i], &list, out);
	for (size_t k = 0; k < COUNT(processors); k++)
		for (size_t i = 0; i < processors[k]->n; i++)
			if (!relay_is_domain(c, processors[k]->v[i]))
				buf_printf(&list, "%s, ", processors[k]->v[i]);
	if (list.len > 2)
		list.p[list.len -= 2] = '\0';
	script_set(out, "relay_domains", buf_str(&list));
	buf_free(&list);
	fputs("# For every smtpd that is not one of the listeners below.\n", out);
	script_set(out, "smtpd_relay_restrictions",
	    "permit_sasl_authenticated, reject_unauth_destination");
}

/* A delimiter that the pattern does not use; 0 if it uses all of them. */
static char
delimiter_for(const char *regex)
{
	for (const char *d = "/!%~,;@#"; *d != '\0'; d++)
		if (strchr(regex, *d) == NULL)
			return *d;
	return '\0';
}

void
relay_put_clients(const struct conf *c, struct relay_tables *have, FILE *out)
{
	struct buf net;

	buf_init(&net, 128);
	fputs("\n# <source NETWORK> always-allow-relaying\ntable clients.cidr <<'END'\n", out);
	for (size_t i = c->n_sources;
	     i-- > 0;) { /* specific first: a cidr table takes the first hit */
		const struct conf_source *s = &c->sources[i];
		struct conf_source merged;

		if (s->kind != CONF_SOURCE_NET || client_is_everybody(s))
			continue;
		client_in(c, &s->net, &merged);
		buf_clear(&net);
		cidr_print(&s->net, &net);
		fprintf(
		    out, "%s %s\n", buf_str(&net), merged.always_allow_relaying ? "OK" : "DUNNO");
		have->clients = have->clients || merged.always_allow_relaying;
	}
	fputs("END\n", out);
	buf_free(&net);
}

static void
put_pattern(const char *regex, FILE *out)
{
	char d = delimiter_for(regex);

	if (d == '\0')
		fprintf(out, "# not mapped, it uses every delimiter: %s\n", regex);
	else
		fprintf(out, "%c%s%c OK\n", d, regex, d);
}

void
relay_put_addresses(const struct conf *c, struct relay_tables *have, FILE *out)
{
	const struct conf_addresses *lists[] = { &c->relay_addresses, &c->bounce.addresses,
		&c->feedback.addresses };

	fputs("\n# relay-address, and the addresses of the processors' address lists\n"
	      "table recipients.texthash <<'END'\n",
	    out);
	for (size_t k = 0; k < COUNT(lists); k++)
		for (size_t i = 0; i < lists[k]->n; i++)
			if (lists[k]->v[i].text != NULL &&
			    strchr(lists[k]->v[i].text, '@') != NULL) {
				fprintf(out, "%s OK\n", lists[k]->v[i].text);
				have->recipients = true;
			}
	fputs("END\ntable recipients.pcre <<'END'\n", out);
	for (size_t k = 0; k < COUNT(lists); k++)
		for (size_t i = 0; i < lists[k]->n; i++) {
			if (lists[k]->v[i].regex == NULL)
				continue;
			have->patterns = true;
			put_pattern(regex_source(lists[k]->v[i].regex), out);
		}
	fputs("END\n", out);
	if (have->patterns)
		fputs(
		    "if ! postconf -c \"$dir\" -m | grep -qx pcre; then\n"
		    "\techo 'address patterns need pcre tables: apt-get install postfix-pcre' >&2\n"
		    "\texit 1\n"
		    "fi\n",
		    out);
}

void
relay_put_recipient_checks(const struct relay_tables *have, FILE *out)
{
	if (have->recipients)
		fputs(
		    "check_recipient_access texthash:$home/signalpost/recipients.texthash, ", out);
	if (have->patterns)
		fputs("check_recipient_access pcre:$home/signalpost/recipients.pcre, ", out);
}

void
relay_put_local(const struct conf *c, FILE *out)
{
	const struct conf_addresses *lists[] = { &c->bounce.addresses, &c->feedback.addresses };
	bool patterns = false;

	if (lists[0]->n + lists[1]->n == 0) {
		/* What an earlier configuration had would be taken and then bounced. */
		fputs(
		    "\ncase $(postconf -c \"$dir\" -h local_recipient_maps) in\n"
		    "*signalpost/local.texthash*) postconf -c \"$dir\" -X local_recipient_maps ;;\n"
		    "esac\n",
		    out);
		return;
	}
	fputs("\n# The processors' addresses in Postfix's own domains have no mailbox: the milter "
	      "takes their mail.\n"
	      "table local.texthash <<'END'\n",
	    out);
	for (size_t k = 0; k < COUNT(lists); k++)
		for (size_t i = 0; i < lists[k]->n; i++)
			if (lists[k]->v[i].text != NULL)
				fprintf(out, "%s OK\n", lists[k]->v[i].text);
			else
				patterns = true;
	fputs("END\ntable local.pcre <<'END'\n", out);
	for (size_t k = 0; k < COUNT(lists); k++)
		for (size_t i = 0; i < lists[k]->n; i++)
			if (lists[k]->v[i].regex != NULL)
				put_pattern(regex_source(lists[k]->v[i].regex), out);
	fprintf(out,
	    "END\n"
	    "set_main \"local_recipient_maps = proxy:unix:passwd.byname \\$alias_maps "
	    "texthash:$home/signalpost/local.texthash%s\"\n",
	    patterns ? " pcre:$home/signalpost/local.pcre" : "");
}

void
relay_put_onward(const struct conf *c, struct relay_tables *have, FILE *out)
{
	const struct conf_texts *lists[] = { &c->bounce.forward_unmatched_to,
		&c->bounce.forward_errors_to, &c->feedback.forward_unmatched_to,
		&c->feedback.forward_errors_to };
	struct buf relay;
	unsigned port;

	for (size_t k = 0; k < COUNT(lists); k++)
		have->onward = have->onward || lists[k]->n > 0;
	if (!have->onward)
		return;
	buf_init(&relay, 128);
	conf_onward_relay(c, &relay, &port);
	fputs("\n# forward-unmatched-to, forward-errors-to: the uploader may send there, from this "
	      "host alone\n"
	      "table onward.texthash <<'END'\n",
	    out);
	for (size_t k = 0; k < COUNT(lists); k++)
		for (size_t i = 0; i < lists[k]->n; i++)
			fprintf(out, "%s OK\n", lists[k]->v[i]);
	fprintf(out,
	    "END\n"
	    "set_main \"signalpost_onward = check_recipient_access "
	    "texthash:$home/signalpost/onward.texthash\"\n"
	    "set_main 'smtpd_restriction_classes = signalpost_onward'\n"
	    "table onward.cidr <<'END'\n"
	    "127.0.0.0/8 signalpost_onward\n"
	    "::1 signalpost_onward\n"
	    "%s signalpost_onward\n"
	    "END\n",
	    buf_str(&relay));
	buf_free(&relay);
}

/* ---- the second belt ---- */

void
relay_put_guard(const struct relay_tables *have, FILE *out)
{
	fputs("\n# The relay rule has two holders. At RCPT the milter has the word (its refusal "
	      "text is the\n"
	      "# one that senders know), so the listeners let every recipient through to it; if it "
	      "can't be\n"
	      "# asked, nothing passes. At DATA Postfix checks for itself, in case what answers at "
	      "the\n"
	      "# milter's socket says yes to everything. There it can only judge a single "
	      "recipient; a\n"
	      "# message for several from a client that may not relay goes through `spguard`, "
	      "which hands\n"
	      "# each recipient to a strict smtpd of its own. In ordinary operation they all pass "
	      "there.\n"
	      "# The limit: that smtpd refuses after the message was accepted, so that behind a "
	      "milter that\n"
	      "# says yes to everything such a message is not relayed, but its sender gets a "
	      "bounce.\n"
	      "service spguard unix '- - n - - lmtp'\n"
	      "service_done\n"
	      "set_main 'spguard_destination_recipient_limit = 1'\n"
	      "service spguard-in unix '- - n - - smtpd'\n",
	    out);
	/* An smtpd speaks no LMTP; with one recipient a transaction only the greeting differs. */
	script_option(out, "smtpd_command_filter", "regexp:{ {/^LHLO(.*)/ EHLO$$1} }");
	fputs("option \"smtpd_relay_restrictions = ", out);
	relay_put_recipient_checks(have, out);
	fputs("reject_unauth_destination\"\n", out);
	for (const char *const *name = (const char *const[]){ "smtpd_milters",
		 "smtpd_client_restrictions", "smtpd_helo_restrictions",
		 "smtpd_sender_restrictions", "smtpd_recipient_restrictions",
		 "smtpd_data_restrictions", "smtpd_end_of_data_restrictions", NULL };
	     *name != NULL; name++)
		script_option(out, *name, "");
	script_option(out, "smtpd_sasl_auth_enable", "no");
	script_option(out, "smtpd_tls_security_level", "none");
	fputs("service_done\n"
	      "table guard.cidr <<'END'\n"
	      "0.0.0.0/0 FILTER spguard:unix:private/spguard-in\n"
	      "::/0 FILTER spguard:unix:private/spguard-in\n"
	      "END\n",
	    out);
}
