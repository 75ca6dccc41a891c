#include <stdlib.h>
#include <string.h>

#include "common/address.h"
#include "common/conf.h"
#include "common/conf_private.h"
#include "common/conf_value.h"
#include "common/xalloc.h"

#define DOMAIN_MAX 255 /* longer ones match only '*' */

struct conf_pattern_kinds { /* what patterns there are for a domain */
	bool itself, subdomains;
};

static struct slice
no_final_dot(struct slice s)
{
	if (s.len > 1 && s.p[s.len - 1] == '.')
		s.len--;
	return s;
}

const char *
conf_tracking_base(const struct conf *c)
{
	return c->tracking_base;
}

/* ---- many domain patterns ---- */

static void
patterns_build(struct conf_patterns *t, const struct domain_pattern *v, size_t n)
{
	t->kinds = xcalloc(n, sizeof(*t->kinds));
	t->other = xcalloc(n, sizeof(struct domain_pattern *));
	for (size_t i = 0; i < n; i++) {
		struct conf_pattern_kinds *k;
		struct slice domain = slice_str(v[i].domain);

		if (v[i].domain == NULL) {
			t->other[t->n_other++] = &v[i];
			continue;
		}
		k = conf_names_find(&t->suffixes, domain);
		if (k == NULL) {
			k = &t->kinds[i];
			conf_names_add(&t->suffixes, domain, k);
		}
		k->itself |= v[i].kind != DOMAIN_SUBDOMAINS;
		k->subdomains |= v[i].kind != DOMAIN_EXACT;
	}
}

static void
patterns_free(struct conf_patterns *t)
{
	conf_names_free(&t->suffixes);
	free(t->kinds);
	free(t->other);
}

static bool
patterns_match(const struct conf_patterns *t, struct slice domain)
{
	const struct conf_pattern_kinds *k;

	for (size_t i = 0; i < t->n_other; i++)
		if (domain_pattern_match(t->other[i], domain))
			return true;
	if (domain.len > DOMAIN_MAX)
		return false;
	k = conf_names_find(&t->suffixes, domain);
	if (k != NULL && k->itself)
		return true;
	while (slice_find(domain, '.') < domain.len) {
		bool first_empty = domain.p[0] == '.';

		domain = slice_skip(domain, slice_find(domain, '.') + 1);
		k = conf_names_find(&t->suffixes, domain);
		if (k != NULL && k->subdomains && !first_empty)
			return true;
	}
	return false;
}

/* ---- many addresses ---- */

static void
addresses_build(struct conf_address_index *t, const struct conf_addresses *list,
    const struct conf_texts *domains)
{
	t->regexes = xcalloc(list->n, sizeof(struct regex *));
	for (size_t i = 0; i < list->n; i++) {
		if (list->v[i].regex != NULL)
			t->regexes[t->n_regexes++] = list->v[i].regex;
		else
			conf_names_add(&t->texts, slice_str(list->v[i].text), &list->v[i]);
	}
	for (size_t i = 0; domains != NULL && i < domains->n; i++)
		conf_names_add(&t->domains, slice_str(domains->v[i]), t);
}

static void
addresses_free(struct conf_address_index *t)
{
	conf_names_free(&t->domains);
	conf_names_free(&t->texts);
	free(t->regexes);
}

void
conf_index(struct conf *c)
{
	struct conf_private *p = c->priv;

	patterns_build(&p->relay, c->relay_domains, c->n_relay_domains);
	for (size_t i = 0; i < c->host_names.n; i++)
		conf_names_add(&p->host_names, slice_str(c->host_names.v[i]), c);
	addresses_build(&p->relay_addresses, &c->relay_addresses, NULL);
	addresses_build(&p->bounce, &c->bounce.addresses, &c->bounce.domains);
	addresses_build(&p->feedback, &c->feedback.addresses, &c->feedback.domains);
	p->users.exact = true;
	for (size_t i = 0; i < c->n_smtp_users; i++)
		conf_names_add(&p->users, slice_str(c->smtp_users[i].name), &c->smtp_users[i]);
}

void
conf_index_free(struct conf_private *p)
{
	patterns_free(&p->relay);
	conf_names_free(&p->host_names);
	addresses_free(&p->relay_addresses);
	addresses_free(&p->bounce);
	addresses_free(&p->feedback);
	conf_names_free(&p->users);
}

/* ---- is it ours ---- */

struct recipient {
	struct slice whole, local, domain;
	char plain[ADDRESS_MAX + 1];
};

/* "joe"@h is joe@h: MTAs deliver it as that. */
static void
without_quotes(struct recipient *r)
{
	struct slice s = r->local;
	size_t n = 0, local;

	if (s.len < 2 || s.p[0] != '"' || s.p[s.len - 1] != '"' ||
	    r->whole.len > sizeof(r->plain))
		return;
	for (size_t i = 1; i + 1 < s.len; i++) {
		if (s.p[i] == '\\' && i + 2 < s.len)
			i++;
		r->plain[n++] = s.p[i];
	}
	local = n;
	for (size_t i = s.len; i < r->whole.len; i++)
		r->plain[n++] = r->whole.p[i];
	r->whole = (struct slice){ r->plain, n };
	r->local = slice_head(r->whole, local);
}

static void
recipient_of(struct slice s, struct recipient *r)
{
	struct address a = address_split(s);

	r->local = a.local;
	r->domain = no_final_dot(a.domain);
	r->whole = a.local;
	if (a.domain.len > 0)
		r->whole.len = a.local.len + 1 + r->domain.len;
}

static bool
domain_is_ours(const struct conf *c, struct slice domain)
{
	return conf_names_find(&c->priv->host_names, domain) != NULL ||
	       patterns_match(&c->priv->relay, domain);
}

static bool
in_addresses(const struct conf *c, const struct conf_address_index *t, const struct recipient *r)
{
	if (r->domain.len > 0 && conf_names_find(&t->domains, r->domain) != NULL)
		return true;
	if (conf_names_find(&t->texts, r->whole) != NULL)
		return true;
	/* A local part alone must not catch mail that only passes through. */
	if (r->domain.len > 0 && conf_names_find(&t->texts, r->local) != NULL &&
	    domain_is_ours(c, r->domain))
		return true;
	for (size_t i = 0; i < t->n_regexes; i++)
		if (regex_match(t->regexes[i], r->whole))
			return true;
	return false;
}

/*
 * "user%elsewhere@ours", "elsewhere!user@ours": MTAs may send these on to
 * elsewhere, so that relaying for ours would be relaying for everybody.
 */
static bool
is_routed(struct slice local)
{
	return slice_find(local, '%') < local.len || slice_find(local, '!') < local.len ||
	       slice_find(local, '@') < local.len;
}

enum conf_relay
conf_relay_for(const struct conf *c, struct slice rcpt)
{
	struct recipient r;

	recipient_of(rcpt, &r);
	without_quotes(&r);
	if (r.whole.len == 0)
		return CONF_RELAY_NO;
	if (in_addresses(c, &c->priv->bounce, &r))
		return CONF_RELAY_BOUNCE;
	if (in_addresses(c, &c->priv->feedback, &r))
		return CONF_RELAY_FEEDBACK;
	if (is_routed(r.local))
		return CONF_RELAY_NO;
	/* RFC 5321 4.5.1: postmaster works without a domain; nobody else needs to. */
	if (r.domain.len == 0)
		return slice_eqi(r.local, SLICE_LIT("postmaster")) ? CONF_RELAY_YES : CONF_RELAY_NO;
	if (domain_is_ours(c, r.domain) || in_addresses(c, &c->priv->relay_addresses, &r))
		return CONF_RELAY_YES;
	return CONF_RELAY_NO;
}

/* ---- what goes on ---- */

static bool
is_any_address(const char *ip)
{
	return ip[strspn(ip, "0.:")] == '\0';
}

void
conf_onward_relay(const struct conf *c, struct buf *address, unsigned *port)
{
	const char *ip = "127.0.0.1";
	struct slice given;

	buf_clear(address);
	*port = 25;
	if (c->inbound.onward_relay != NULL &&
	    conf_listen_parse(slice_str(c->inbound.onward_relay), &given, port)) {
		buf_add(address, given);
		return;
	}
	for (size_t i = 0; i < c->n_listeners; i++) {
		const struct conf_listener *l = &c->listeners[i];

		if (l->port == 465 || l->port == 587)
			continue;
		*port = l->port;
		if (!is_any_address(l->address))
			ip = l->address;
		else if (strchr(l->address, ':') != NULL)
			ip = "::1";
		break;
	}
	buf_adds(address, ip);
}

bool
conf_onward_client(const struct conf *c, const struct sockaddr *client)
{
	static const char *const loopback[] = { "127.0.0.0/8", "::1" };
	struct cidr net;
	struct buf relay;
	unsigned port;
	bool yes = false;

	for (size_t i = 0; i < COUNT(loopback); i++)
		if (cidr_parse(slice_str(loopback[i]), &net, NULL) == 0 && cidr_match(&net, client))
			return true;
	buf_init(&relay, 64);
	conf_onward_relay(c, &relay, &port);
	yes = cidr_parse(buf_slice(&relay), &net, NULL) == 0 && cidr_match(&net, client);
	buf_free(&relay);
	return yes;
}

bool
conf_is_forward(const struct conf *c, struct slice rcpt)
{
	const struct conf_texts *lists[] = { &c->bounce.forward_unmatched_to,
		&c->bounce.forward_errors_to, &c->feedback.forward_unmatched_to,
		&c->feedback.forward_errors_to };

	for (size_t k = 0; k < COUNT(lists); k++)
		for (size_t i = 0; i < lists[k]->n; i++)
			if (slice_eqi(slice_str(lists[k]->v[i]), rcpt))
				return true;
	return false;
}

/* ---- sources and domains ---- */

static bool
is_given(const uint64_t *given, size_t row)
{
	return (given[row / 64] >> row % 64 & 1) != 0;
}

/* Over *out goes every member that was given in `from`; both are structs of `scope`. */
static void
merge(enum conf_scope scope, void *out, const void *from, const uint64_t *given)
{
	size_t n;
	const struct conf_row *rows = conf_rows_of(scope, &n);

	for (size_t i = 0; i < n; i++)
		if (rows[i].size > 0 && is_given(given, i))
			memcpy((char *)out + rows[i].offset, (const char *)from + rows[i].offset,
			    rows[i].size);
}

static void
merge_source(struct conf_source *out, const struct conf_source *s)
{
	merge(CONF_IN_SOURCE, out, s, s->given);
	for (size_t i = 0; i < CONF_GIVEN_WORDS; i++)
		out->given[i] |= s->given[i];
	out->name = s->name;
	out->at = s->at;
	out->kind = s->kind;
	out->net = s->net;
}

static void
merge_kind(
    const struct conf *c, enum conf_source_kind kind, const char *name, struct conf_source *out)
{
	for (size_t i = 0; i < c->n_sources; i++)
		if (c->sources[i].kind == kind &&
		    (name == NULL || slice_eqi(slice_str(c->sources[i].name), slice_str(name))))
			merge_source(out, &c->sources[i]);
}

enum listener_match { LISTENER_NOT, LISTENER_ANY_ADDRESS, LISTENER_EXACT };

static enum listener_match
listener_match(const struct conf_listener *l, const struct conf_peer *peer)
{
	struct cidr own, its;

	if (l->port != peer->listener_port || cidr_parse(slice_str(l->address), &own, NULL) < 0)
		return LISTENER_NOT;
	if (peer->listener_address == NULL)
		return LISTENER_ANY_ADDRESS;
	if (cidr_parse(slice_str(peer->listener_address), &its, NULL) < 0)
		return LISTENER_NOT;
	if (own.family == its.family && memcmp(own.addr, its.addr, sizeof(own.addr)) == 0)
		return LISTENER_EXACT;
	/* "::" takes IPv4 too where the system lets it. */
	for (size_t i = 0; i < sizeof(own.addr); i++)
		if (own.addr[i] != 0)
			return LISTENER_NOT;
	return own.family == its.family || own.family == AF_INET6 ? LISTENER_ANY_ADDRESS
	                                                          : LISTENER_NOT;
}

static const struct conf_listener *
listener_of(const struct conf *c, const struct conf_peer *peer)
{
	const struct conf_listener *found = NULL;
	enum listener_match best = LISTENER_NOT;

	for (size_t i = 0; peer->listener_port != 0 && i < c->n_listeners; i++) {
		enum listener_match m = listener_match(&c->listeners[i], peer);

		if (m > best) {
			best = m;
			found = &c->listeners[i];
		}
	}
	return found;
}

bool
conf_auth_limit(const struct conf_source *s, uint64_t *failures, uint64_t *window_s)
{
	if (s->auth_failures == CONF_UNLIMITED)
		return false;
	*failures = s->auth_failures > 0 ? s->auth_failures : 1;
	*window_s = s->auth_failures_per_s > 0 ? s->auth_failures_per_s : CONF_AUTH_WINDOW_S;
	/* 100 years of it fit; what does not is not asked for. */
	if (*window_s > UINT32_MAX)
		*window_s = UINT32_MAX;
	return true;
}

size_t
conf_auth_windows(const struct conf *c, uint64_t *out)
{
	uint64_t failures, window_s;
	size_t n = 0, k;

	for (size_t i = 0; i < c->n_sources; i++) {
		struct conf_source s = *c->priv->source_defaults;

		merge_source(&s, &c->sources[i]);
		if (!conf_auth_limit(&s, &failures, &window_s))
			continue;
		for (k = 0; k < n && out[k] != window_s; k++)
			;
		if (k == n)
			out[n++] = window_s;
	}
	return n;
}

const struct conf_smtp_user *
conf_user_find(const struct conf *c, const char *auth_user)
{
	struct slice s = slice_str(auth_user);
	const struct conf_smtp_user *u = conf_names_find(&c->priv->users, s);
	const char *at = s.len > 0 ? memrchr(s.p, '@', s.len) : NULL;

	if (u == NULL && at != NULL)
		u = conf_names_find(&c->priv->users, slice_head(s, (size_t)(at - s.p)));
	return u;
}

void
conf_source_for(const struct conf *c, const struct conf_peer *peer, struct conf_source *out)
{
	const struct conf_listener *l = listener_of(c, peer);
	const struct conf_smtp_user *u;

	*out = *c->priv->source_defaults;
	/* Sorted by prefix length, and networks come first. Mail from this host is in 0/0 too. */
	for (size_t i = 0; i < c->n_sources && c->sources[i].kind == CONF_SOURCE_NET; i++) {
		const struct cidr *net = &c->sources[i].net;

		if (peer->addr == NULL ? net->family == AF_UNSPEC : cidr_match(net, peer->addr))
			merge_source(out, &c->sources[i]);
	}
	if (l != NULL && l->source != NULL)
		merge_kind(c, CONF_SOURCE_NAME, l->source, out);
	if (peer->addr == NULL)
		merge_kind(c, CONF_SOURCE_PICKUP, NULL, out);
	if (peer->auth_user == NULL)
		return;
	merge_kind(c, CONF_SOURCE_AUTH, NULL, out);
	u = conf_user_find(c, peer->auth_user);
	if (u != NULL && u->source != NULL)
		merge_kind(c, CONF_SOURCE_NAME, u->source, out);
}

/* The least specific first, so that the most specific has the last word. */
static void
merge_domains(const struct conf_domain *v, size_t n, struct slice domain, struct conf_domain *out)
{
	for (size_t i = n; i-- > 0;) {
		if (!domain_pattern_match(&v[i].pattern, domain))
			continue;
		merge(CONF_IN_DOMAIN, out, &v[i], v[i].given);
		for (size_t w = 0; w < CONF_GIVEN_WORDS; w++)
			out->given[w] |= v[i].given[w];
		out->pattern = v[i].pattern;
		out->at = v[i].at;
	}
}

void
conf_domain_for(const struct conf *c, const struct conf_vmta *v, const struct conf_pool *p,
    struct slice rcpt_domain, struct conf_domain *out)
{
	*out = *c->priv->domain_defaults;
	out->pattern = (struct domain_pattern){ .kind = DOMAIN_ANY };
	merge_domains(c->domains, c->n_domains, rcpt_domain, out);
	if (p != NULL)
		merge_domains(p->domains, p->n_domains, rcpt_domain, out);
	if (v != NULL)
		merge_domains(v->domains, v->n_domains, rcpt_domain, out);
}

/* ---- virtual MTAs and pools ---- */

static void *
find_built(const struct conf *c, const char *tag_name, const char *name)
{
	const struct conf_tag *tag = conf_tag_find(CONF_IN_GLOBAL, slice_str(tag_name));
	const struct conf_names *names = c->priv->root.names;
	const struct conf_block *block;

	if (names == NULL || name == NULL)
		return NULL;
	block = conf_names_find(&names[tag - conf_tags], slice_str(name));
	return block == NULL ? NULL : block->built;
}

const struct conf_vmta *
conf_vmta_find(const struct conf *c, const char *name)
{
	return find_built(c, "virtual-mta", name);
}

const struct conf_pool *
conf_pool_find(const struct conf *c, const char *name)
{
	return find_built(c, "virtual-mta-pool", name);
}

const struct conf_vmta *
conf_pool_next(const struct conf_pool *p)
{
	if (p->n_members == 0)
		return NULL;
	return p->members[atomic_fetch_add(p->turn, 1) % p->n_members];
}

/* ---- signals ---- */

static const struct conf_sender_rule *
filter_rule(const struct conf_signals_filter *f, struct slice domain)
{
	const struct conf_sender_rule *best = NULL;

	for (size_t i = 0; i < f->n; i++) {
		const struct conf_sender_rule *r = &f->rules[i];

		if (domain_pattern_match(&r->pattern, domain) &&
		    (best == NULL ||
			domain_pattern_weight(&r->pattern) > domain_pattern_weight(&best->pattern)))
			best = r;
	}
	return best;
}

bool
conf_signals_for(const struct conf *c, const struct conf_vmta *v, const struct conf_pool *p,
    struct slice sender_domain, bool *has_subaccount, uint64_t *subaccount)
{
	const struct conf_enable_signals *s = &c->enable_signals;
	const struct conf_sender_rule *r;

	if (v != NULL && v->signals.enable != CONF_SIGNALS_UNSAID)
		s = &v->signals;
	else if (p != NULL && p->signals.enable != CONF_SIGNALS_UNSAID)
		s = &p->signals;
	*has_subaccount = false;
	*subaccount = 0;
	if (s->enable == CONF_SIGNALS_ON) {
		*has_subaccount = s->has_subaccount;
		*subaccount = s->subaccount;
		return true;
	}
	if (s->enable != CONF_SIGNALS_FILTER)
		return false;
	r = filter_rule(s->filter, sender_domain);
	if (r == NULL || !r->enable)
		return false;
	*has_subaccount = r->has_subaccount;
	*subaccount = r->subaccount;
	return true;
}

/* ---- rewriting ---- */

/* 0: does not match; else greater for the more exact rule: a@b, a@*, *@b, *@*. */
static unsigned
mail_from_rank(const struct conf_mail_from *m, struct slice local, struct slice domain)
{
	if (m->from_local != NULL && !slice_eqi(slice_str(m->from_local), local))
		return 0;
	if (m->from_domain != NULL && !slice_eqi(slice_str(m->from_domain), domain))
		return 0;
	return 1U + (m->from_local != NULL ? 2U : 0U) + (m->from_domain != NULL ? 1U : 0U);
}

static const struct conf_mail_from *
mail_from_rule(
    const struct conf_rewrite_list *list, bool null, struct slice local, struct slice domain)
{
	const struct conf_mail_from *best = NULL;
	unsigned best_rank = 0;

	for (size_t i = 0; i < list->n_mail_from; i++) {
		const struct conf_mail_from *m = &list->mail_from[i];
		unsigned rank = 0;

		if (m->from_null == null)
			rank = null ? 1 : mail_from_rank(m, local, domain);
		/* Of two that are the same the later one counts, as with directives. */
		if (rank > 0 && rank >= best_rank) {
			best = m;
			best_rank = rank;
		}
	}
	return best;
}

bool
conf_rewrite_mail_from(const struct conf_rewrite_list *list, struct slice from, struct buf *out)
{
	const struct conf_mail_from *m;
	struct recipient r;
	struct slice domain;

	if (list == NULL)
		return false;
	recipient_of(from, &r);
	domain = r.domain;
	m = mail_from_rule(list, r.whole.len == 0, r.local, domain);
	if (m == NULL)
		return false;
	buf_clear(out);
	if (m->to_null)
		return true;
	buf_add(out, m->to_local == NULL ? r.local : slice_str(m->to_local));
	if (m->to_domain != NULL)
		domain = slice_str(m->to_domain);
	if (domain.len > 0) {
		buf_addc(out, '@');
		buf_add(out, domain);
	}
	return true;
}

const char *
conf_rewrite_from_domain(const struct conf_rewrite_list *list, struct slice domain)
{
	const struct conf_from_domain *best = NULL;

	for (size_t i = 0; list != NULL && i < list->n_from_domain; i++) {
		const struct conf_from_domain *d = &list->from_domain[i];

		if (domain_pattern_match(&d->from, domain) &&
		    (best == NULL ||
			domain_pattern_weight(&d->from) >= domain_pattern_weight(&best->from)))
			best = d;
	}
	return best == NULL ? NULL : best->to;
}
