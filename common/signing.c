#include "common/signing.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/address.h"
#include "common/xalloc.h"

struct loaded {
	const struct conf_domain_key *from;
	struct dkim_key *key;
};

struct signing_keys {
	size_t n, room;
	struct loaded *v; /* sorted by `from` once all are loaded */
};

static int
by_address(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t)((const struct loaded *)a)->from;
	uintptr_t y = (uintptr_t)((const struct loaded *)b)->from;

	return x < y ? -1 : x > y;
}

static int
load_all(struct signing_keys *k, const struct conf_domain_keys *list, struct err *e)
{
	struct err why;

	for (size_t i = 0; i < list->n; i++) {
		const struct conf_domain_key *dk = &list->v[i];
		struct dkim_key *key = dkim_key_load(dk->file, &why);

		if (key == NULL)
			return err_set(
			    e, "%s:%u: domain-key: %s", dk->at.file, dk->at.line, why.text);
		k->v = xgrow(k->v, k->n, &k->room, sizeof(*k->v));
		k->v[k->n++] = (struct loaded){ dk, key };
	}
	return 0;
}

struct signing_keys *
signing_keys_load(const struct conf *c, struct err *e)
{
	struct signing_keys *k = xcalloc(1, sizeof(*k));
	int rc = load_all(k, &c->keys, e);

	for (size_t i = 0; rc == 0 && i < c->n_vmtas; i++)
		rc = load_all(k, &c->vmtas[i]->keys, e);
	if (rc < 0) {
		signing_keys_free(k);
		return NULL;
	}
	if (k->n > 0)
		qsort(k->v, k->n, sizeof(*k->v), by_address);
	return k;
}

void
signing_keys_free(struct signing_keys *k)
{
	if (k == NULL)
		return;
	for (size_t i = 0; i < k->n; i++)
		dkim_key_close(k->v[i].key);
	free(k->v);
	free(k);
}

static const struct dkim_key *
key_of(const struct signing_keys *keys, const struct conf_domain_key *dk)
{
	struct loaded want = { dk, NULL };
	const struct loaded *found =
	    keys->n == 0 ? NULL : bsearch(&want, keys->v, keys->n, sizeof(*keys->v), by_address);

	return found == NULL ? NULL : found->key;
}

static bool
algorithm_wanted(enum conf_dkim_algorithms which, enum dkim_algorithm a)
{
	return which == CONF_DKIM_ALL_KEYS ||
	       (which == CONF_DKIM_RSA_ONLY) == (a == DKIM_RSA_SHA256);
}

/* RFC 6376 3.5, i=: its domain is d= or a subdomain of it. */
static bool
covers(const char *key_domain, struct slice domain)
{
	struct slice parent = slice_str(key_domain);

	if (key_domain == NULL || slice_eqi(parent, domain))
		return true;
	return domain.len > parent.len && slice_endsi(domain, parent) &&
	       domain.p[domain.len - parent.len - 1] == '.';
}

static bool
same_domain(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && slice_eqi(slice_str(a), slice_str(b)));
}

static bool
has_algorithm(const struct signing_plan *plan, enum dkim_algorithm a)
{
	for (size_t i = 0; i < plan->n; i++)
		if (dkim_key_algorithm(plan->by[i].key) == a)
			return true;
	return false;
}

/* Keys of one list for `domain`; *first remembers whose domain the first one was for. */
static void
choose_from(const struct signing_keys *keys, const struct conf_domain_keys *list,
    const struct conf_domain *how, struct slice domain, const struct conf_domain_key **first,
    struct signing_plan *out)
{
	for (size_t i = 0; i < list->n && out->n < SIGNING_MAX; i++) {
		const struct conf_domain_key *dk = &list->v[i];
		const struct dkim_key *key = key_of(keys, dk);

		if (key == NULL || !covers(dk->domain, domain) ||
		    !algorithm_wanted(how->dkim_algorithm, dkim_key_algorithm(key)) ||
		    has_algorithm(out, dkim_key_algorithm(key)) ||
		    (*first != NULL && !same_domain((*first)->domain, dk->domain)))
			continue;
		if (*first == NULL)
			*first = dk;
		out->by[out->n].key = key;
		out->by[out->n].selector = dk->selector;
		/* A '*' key signs for the identity's own domain. */
		out->by[out->n].domain =
		    dk->domain != NULL ? dk->domain : strrchr(out->identity, '@') + 1;
		out->n++;
	}
}

static struct slice
identity_text(const struct conf_domain *how, struct slice sender, struct slice from)
{
	if (how->dkim_identity == CONF_DKIM_FIXED)
		return slice_str(how->dkim_identity_text);
	return how->dkim_identity == CONF_DKIM_STRICT_FROM ? from : sender;
}

static bool
set_identity(struct signing_plan *out, struct slice text)
{
	struct address a = address_split(text);

	if (a.domain.len == 0 || text.len >= sizeof(out->identity))
		return false;
	snprintf(out->identity, sizeof(out->identity), "%.*s@%.*s", SLICE_FMT(a.local),
	    SLICE_FMT(a.domain));
	/* The domain goes into d= and a DNS name: lower case, as receivers compare it. */
	for (char *c = strrchr(out->identity, '@'); *c != '\0'; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c + ('a' - 'A'));
	return dkim_is_host_name(strrchr(out->identity, '@') + 1);
}

void
signing_choose(const struct signing_keys *keys, const struct conf *c, const struct conf_vmta *vmta,
    const struct conf_domain *how, struct slice sender, struct slice from, struct signing_plan *out)
{
	const struct conf_domain_key *first = NULL;
	struct slice wanted[2];

	*out = (struct signing_plan){ .how = how, .why_not = "off" };
	/* if-x-dkim-options-present: without process-x-dkim-options there are none. */
	if (how->dkim_sign != CONF_DKIM_YES)
		return;
	wanted[0] = identity_text(how, sender, from);
	wanted[1] = slice_str(how->dkim_identity_fallback);
	out->why_not = "no-identity";
	for (size_t i = 0; i < COUNT(wanted) && out->n == 0; i++) {
		struct slice domain;

		if (!set_identity(out, wanted[i]))
			continue;
		out->why_not = "no-key";
		domain = slice_str(strrchr(out->identity, '@') + 1);
		if (vmta != NULL)
			choose_from(keys, &vmta->keys, how, domain, &first, out);
		choose_from(keys, &c->keys, how, domain, &first, out);
	}
	if (out->n > 0)
		out->why_not = NULL;
}

static struct signing_digest
digest_body(const struct conf_domain *how, struct slice body)
{
	struct dkim_body *b = dkim_body_begin(how->dkim_body_simple ? DKIM_SIMPLE : DKIM_RELAXED);
	struct signing_digest d;

	dkim_body_add(b, body);
	dkim_body_end(b, d.hash, &d.length);
	return d;
}

/* The headers as the MTA will write them, our own on top first. */
static struct dkim_field *
final_fields(const struct message *m, size_t *n)
{
	struct dkim_field *fields = xcalloc(m->n_headers, sizeof(*fields));

	*n = 0;
	for (int top = 1; top >= 0; top--)
		for (size_t i = 0; i < m->n_headers; i++) {
			const struct message_header *h = &m->headers[i];

			if (h->deleted || h->top != (top == 1))
				continue;
			fields[*n].name = slice_str(h->name);
			fields[(*n)++].value = slice_str(h->value);
		}
	return fields;
}

static const char *const *
names_of(const struct conf_texts *t)
{
	const char **names = xcalloc(t->n + 1, sizeof(*names));

	for (size_t i = 0; i < t->n; i++)
		names[i] = t->v[i];
	return names;
}

int
signing_sign(const struct signing_plan *plan, struct message *m,
    const struct signing_digest *digest, int64_t now, struct err *e)
{
	const struct conf_domain *how = plan->how;
	struct signing_digest own;
	struct buf values[SIGNING_MAX];
	size_t n_fields;
	struct dkim_field *fields = final_fields(m, &n_fields);
	const char *const *extra = names_of(&how->dkim_headers);
	const char *const *oversign = names_of(&how->dkim_disallow_adding_headers);
	int rc = 0;

	if (digest == NULL) {
		own = digest_body(how, buf_slice(&m->body));
		digest = &own;
	}
	for (size_t i = 0; i < plan->n; i++)
		buf_init(&values[i], 65536);
	for (size_t i = 0; i < plan->n && rc == 0; i++) {
		struct dkim_signing s = {
			.selector = plan->by[i].selector,
			.domain = plan->by[i].domain,
			.identity = slice_str(plan->identity),
			.header_canon = how->dkim_headers_simple ? DKIM_SIMPLE : DKIM_RELAXED,
			.body_canon = how->dkim_body_simple ? DKIM_SIMPLE : DKIM_RELAXED,
			.extra = extra,
			.oversign = oversign,
			.timestamp = how->dkim_add_timestamp ? now : 0,
			.expires = how->dkim_expire_after_s == CONF_UNLIMITED
			               ? 0
			               : now + (int64_t)how->dkim_expire_after_s,
			.body_limit = how->dkim_add_body_limit,
			.body_length = digest->length,
		};

		rc = dkim_signature(
		    plan->by[i].key, &s, fields, n_fields, digest->hash, &values[i], e);
	}
	/* The last one put on top is the first one read: RSA, which all verifiers know. */
	for (size_t i = plan->n; rc == 0 && i > 0; i--)
		message_prepend(m, "DKIM-Signature", buf_slice(&values[i - 1]));
	for (size_t i = 0; i < plan->n; i++)
		buf_free(&values[i]);
	free(fields);
	free((void *)(uintptr_t)extra);
	free((void *)(uintptr_t)oversign);
	return rc;
}
