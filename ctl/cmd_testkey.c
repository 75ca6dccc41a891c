/*
 * cmd_testkey.c - does what DNS says about each DKIM key fit the key that signs?
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/dkim_record.h"
#include "common/dns_txt.h"
#include "common/xalloc.h"
#include "ctl/ctl.h"
#include "ctl/dkim_probe.h"

struct request {
	const char *conf_file;
	const char *selector, *domain; /* with -s: one key, in a file that is named */
	struct dns_source dns;
	size_t n_domains; /* only these; what "*" stands for */
	char **domains;
	unsigned tested, failed;
};

/* ---- one key ---- */

static void
print_good(const struct dkim_key *k, const char *name, const char *path, bool testing)
{
	printf("pass  %s  %s %u  %s\n", name, dkim_algorithm_name(dkim_key_algorithm(k)),
	    dkim_key_bits(k), path);
	if (testing)
		printf("      but t=y: receivers may treat this domain as one that only tests; "
		       "take it "
		       "out\n");
}

/* With what would be right, so that it can be pasted, if DNS is known to be wrong. */
static void
print_bad(const struct dkim_key *k, const char *name, const char *path, bool known, const char *why)
{
	struct buf own;

	printf("%s  %s  %s %u  %s\n      %s\n", known ? "FAIL" : "????", name,
	    dkim_algorithm_name(dkim_key_algorithm(k)), dkim_key_bits(k), path, why);
	if (!known)
		return;
	buf_init(&own, BUF_NO_LIMIT);
	dkim_key_record(k, &own);
	printf("      what belongs there, for a form that takes a value, and for a zone file:\n");
	printf("%s\n", buf_str(&own));
	dns_txt_print_zone(name, buf_slice(&own), stdout);
	buf_free(&own);
}

/* A receiver's verifier has the last word. */
static int
judge(const struct dkim_key *k, const char *selector, const char *domain, const struct dns_txt *txt,
    bool *testing, struct err *e)
{
	struct slice text = buf_slice(&txt->text[0]);
	struct dkim_record record;
	struct err why;

	if (txt->n > 1)
		return err_set(e,
		    "there are %zu TXT records of this name; verifiers take any one of them (RFC "
		    "6376 "
		    "3.6.2.2): keep one",
		    txt->n);
	if (dkim_record_read(text, &record, &why) < 0)
		return err_set(e, "the published record can't be used: %s", why.text);
	*testing = record.testing;
	if (dkim_record_fits(&record, k, &why) < 0)
		return err_set(e, "the published record does not fit the key: %s", why.text);
	return dkim_probe(k, selector, domain, text, e);
}

/* A zone file adds the zone to every name without a dot at its end. */
static void
look_below(struct request *r, const char *name, const char *domain)
{
	struct dns_txt txt = { 0 };
	struct buf twice;
	struct err e;

	buf_init(&twice, BUF_NO_LIMIT);
	buf_printf(&twice, "%s.%s", name, domain);
	if (dns_txt_get(&r->dns, buf_str(&twice), &txt, &e) > 0)
		printf("      but there is a TXT record at %s: in the zone file the name has no "
		       "dot at "
		       "its end\n",
		    buf_str(&twice));
	dns_txt_free(&txt);
	buf_free(&twice);
}

static void
test_key(struct request *r, const char *selector, const char *domain, const char *path)
{
	struct dns_txt txt = { 0 };
	struct dkim_key *k;
	struct buf name;
	struct err e;
	bool testing = false;
	int found;

	r->tested++;
	buf_init(&name, BUF_NO_LIMIT);
	buf_printf(&name, "%s._domainkey.%s", selector, domain);
	k = dkim_key_load(path, &e);
	if (k == NULL) {
		printf("FAIL  %s\n      %s\n", buf_str(&name), e.text);
		r->failed++;
		buf_free(&name);
		return;
	}
	found = dns_txt_get(&r->dns, buf_str(&name), &txt, &e);
	if (found > 0 && judge(k, selector, domain, &txt, &testing, &e) == 0) {
		print_good(k, buf_str(&name), path, testing);
	} else {
		print_bad(k, buf_str(&name), path, found >= 0, e.text);
		if (found == 0)
			look_below(r, buf_str(&name), domain);
		r->failed++;
	}
	dns_txt_free(&txt);
	dkim_key_close(k);
	buf_free(&name);
}

/* ---- those of the configuration ---- */

static bool
asked_for(const struct request *r, const char *domain)
{
	for (size_t i = 0; i < r->n_domains; i++)
		if (slice_eqi(slice_str(r->domains[i]), slice_str(domain)))
			return true;
	return r->n_domains == 0;
}

/* A key of "*" signs for whoever sends: it is tested for the domains that are asked for. */
static void
test_directive(struct request *r, const struct conf_domain_key *key)
{
	if (key->domain != NULL) {
		if (asked_for(r, key->domain))
			test_key(r, key->selector, key->domain, key->file);
		return;
	}
	for (size_t i = 0; i < r->n_domains; i++)
		test_key(r, key->selector, r->domains[i], key->file);
	if (r->n_domains == 0)
		fprintf(stderr,
		    "signalpost testkey: %s:%u: domain-key %s,*: not tested; say for which "
		    "domains, as "
		    "arguments\n",
		    key->at.file, key->at.line, key->selector);
}

static bool
same(const struct conf_domain_key *a, const struct conf_domain_key *b)
{
	return strcmp(a->selector, b->selector) == 0 && strcmp(a->file, b->file) == 0 &&
	       (a->domain == NULL ? b->domain == NULL
				  : b->domain != NULL && strcmp(a->domain, b->domain) == 0);
}

/* A list that several virtual MTAs use is tested once. */
static bool
seen(const struct conf_domain_key **all, size_t n, const struct conf_domain_key *key)
{
	for (size_t i = 0; i < n; i++)
		if (same(all[i], key))
			return true;
	return false;
}

static void
test_configured(struct request *r, const struct conf *c)
{
	const struct conf_domain_key **all = NULL;
	size_t n = 0, room = 0;

	for (size_t v = 0; v <= c->n_vmtas; v++) {
		const struct conf_domain_keys *keys = v == 0 ? &c->keys : &c->vmtas[v - 1]->keys;

		for (size_t i = 0; i < keys->n; i++) {
			if (seen(all, n, &keys->v[i]))
				continue;
			all = xgrow(all, n, &room, sizeof(const struct conf_domain_key *));
			all[n++] = &keys->v[i];
		}
	}
	for (size_t i = 0; i < n; i++)
		test_directive(r, all[i]);
	free(all);
}

static int
run_configured(struct request *r)
{
	struct err e;
	struct conf *c = conf_load(r->conf_file, &e);

	if (c == NULL) {
		fprintf(stderr, "signalpost testkey: %s\n", e.text);
		return EX_CONFIG;
	}
	test_configured(r, c);
	conf_free(c);
	if (r->tested == 0) {
		fprintf(stderr, "signalpost testkey: no domain-key%s in %s\n",
		    r->n_domains > 0 ? " for these domains" : " with a domain", r->conf_file);
		return 1;
	}
	return r->failed > 0;
}

static int
run_one(struct request *r, const char *path)
{
	if (!dkim_is_host_name(r->selector) || !dkim_is_host_name(r->domain)) {
		fprintf(stderr, "signalpost testkey: %s._domainkey.%s can't be a DNS name\n",
		    r->selector, r->domain);
		return EX_USAGE;
	}
	test_key(r, r->selector, r->domain, path);
	return r->failed > 0;
}

int
cmd_testkey(int argc, char **argv)
{
	struct request r = { .conf_file = CONF_DEFAULT_FILE };
	struct err e;
	int opt;

	while ((opt = getopt(argc, argv, "c:d:k:r:s:")) != -1) {
		switch (opt) {
		case 'c':
			r.conf_file = optarg;
			break;
		case 'd':
			r.domain = optarg;
			break;
		case 'k':
			r.dns.file = optarg;
			break;
		case 'r':
			if (dns_source_resolver(optarg, &r.dns, &e) < 0) {
				fprintf(stderr, "signalpost testkey: %s\n", e.text);
				return EX_USAGE;
			}
			break;
		case 's':
			r.selector = optarg;
			break;
		default:
			return ctl_usage("testkey");
		}
	}
	r.n_domains = (size_t)(argc - optind);
	r.domains = argv + optind;
	if (r.selector == NULL && r.domain == NULL)
		return run_configured(&r);
	if (r.selector == NULL || r.domain == NULL || r.n_domains != 1)
		return ctl_usage("testkey");
	return run_one(&r, r.domains[0]);
}
