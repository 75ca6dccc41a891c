#include "ctl/open_relay.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/file.h"
#include "common/slice.h"
#include "ctl/run.h"

#define DEEP 8 /* restriction classes and files that name each other */

/* Networks of at most so many bits are everybody's, or nearly. */
#define WIDE_V4 7
#define WIDE_V6 15

static const char safe_relay[] = "permit_sasl_authenticated, reject_unauth_destination";
static const char safe_networks[] = "127.0.0.0/8 [::1]/128";

/* Somebody whom no table has a reason to know (RFC 5737, RFC 2606). */
static const char stranger_ip[] = "198.51.100.77";
static const char stranger_address[] = OPEN_RELAY_STRANGER;
static const char stranger_domain[] = "stranger.invalid";

/* ---- tables ---- */

bool
open_relay_look_up(
    const struct mta_facts *f, struct slice table, const char *key, struct buf *answer)
{
	static const char *const local[] = { "cidr:", "regexp:", "pcre:", "texthash:", "hash:",
		"btree:", "lmdb:", "cdb:", "dbm:", "sdbm:", "inline:" };
	char name[1024];
	const char *const of_dir[] = { "postmap", "-c", f->dir, "-q", key, name, NULL };
	const char *const of_host[] = { "postmap", "-q", key, name, NULL };
	struct buf said;
	struct err e;
	bool known = false, found;

	buf_clear(answer);
	if (slice_startsi(table, SLICE_LIT("static:"))) {
		buf_add(answer, slice_skip(table, 7));
		return true;
	}
	for (size_t i = 0; i < COUNT(local); i++)
		known = known || slice_startsi(table, slice_str(local[i]));
	if (!known || table.len >= sizeof(name))
		return false;
	memcpy(name, table.p, table.len);
	name[table.len] = '\0';
	buf_init(&said, 4096);
	found = run_program(
		    f->dir != NULL ? of_dir : of_host, (struct slice){ 0 }, answer, &said, &e) == 0;
	buf_free(&said);
	return found;
}

/* access(5): OK, or a number. */
static bool
says_yes(const struct mta_facts *f, struct slice table, const char *key)
{
	struct slice word, rest;
	struct buf answer;
	uint64_t n;
	bool yes;

	buf_init(&answer, 4096);
	rest = open_relay_look_up(f, table, key, &answer) ? slice_trim(buf_slice(&answer))
	                                                  : (struct slice){ 0 };
	if (rest.len >= 2 && rest.p[0] == '{' && rest.p[rest.len - 1] == '}')
		rest = slice_trim(slice_head(slice_skip(rest, 1), rest.len - 2));
	yes = slice_word(&rest, &word) &&
	      (slice_eqi(word, SLICE_LIT("OK")) || slice_eqi(word, SLICE_LIT("permit")) ||
		  slice_uint(word, UINT64_MAX, &n));
	buf_free(&answer);
	return yes;
}

/* ---- mynetworks ---- */

static bool networks_are_open(const struct mta_facts *f, const char *list, unsigned deep);

/* "/etc/postfix/networks": the items of a file. */
static bool
file_is_open(const struct mta_facts *f, struct slice item, unsigned deep)
{
	char path[1024];
	struct buf text;
	struct err e;
	bool open = false;

	snprintf(path, sizeof(path), "%.*s", (int)item.len, item.p);
	buf_init(&text, 1 << 20);
	if (file_read(AT_FDCWD, path, &text, &e) == 0)
		open = networks_are_open(f, buf_str(&text), deep + 1);
	buf_free(&text);
	return open;
}

static bool
is_wide(const struct mta_facts *f, struct slice item, unsigned deep)
{
	bool v6 = memchr(item.p, '[', item.len) != NULL;
	size_t at = slice_find(item, '/');
	struct buf answer;
	uint64_t bits;
	bool open;

	if (item.p[0] == '!')
		return false;
	if (item.p[0] == '/')
		return file_is_open(f, item, deep);
	if (memchr(item.p, ':', item.len) != NULL && !v6) {
		buf_init(&answer, 4096);
		open = open_relay_look_up(f, item, stranger_ip, &answer);
		buf_free(&answer);
		return open;
	}
	return at < item.len && slice_uint(slice_skip(item, at + 1), 128, &bits) &&
	       bits <= (v6 ? WIDE_V6 : WIDE_V4);
}

static bool
networks_are_open(const struct mta_facts *f, const char *list, unsigned deep)
{
	struct slice rest = slice_str(list), item;

	while (deep < DEEP && mta_facts_item(&rest, &item))
		if (is_wide(f, item, deep))
			return true;
	return false;
}

/* ---- domains ---- */

/*
 * Whom reject_unauth_destination lets through. Postfix's relay_domains hold for what is
 * below them, too.
 */
bool
open_relay_is_tld(struct slice domain)
{
	static const char *const names[] = { "com", "net", "org", "info", "biz", "name", "edu",
		"gov", "mil", "int", "arpa", "app", "dev", "online", "shop", "site", "store",
		"tech", "top", "xyz" };

	if (domain.len == 2)
		return true;
	for (size_t i = 0; i < COUNT(names); i++)
		if (slice_eqi(domain, slice_str(names[i])))
			return true;
	return false;
}

static bool
is_everybodys(const struct mta_facts *f, struct slice item)
{
	struct buf answer;
	bool open;

	if (memchr(item.p, ':', item.len) == NULL)
		return open_relay_is_tld(item.p[0] == '.' ? slice_skip(item, 1) : item);
	buf_init(&answer, 4096);
	open = open_relay_look_up(f, item, stranger_domain, &answer);
	buf_free(&answer);
	return open;
}

/* The others of the list are put in `safe`. */
static bool
domains_are_open(const struct mta_facts *f, const char *list, struct buf *safe)
{
	struct slice rest = slice_str(list), item;
	bool open = false;

	while (mta_facts_item(&rest, &item)) {
		if (is_everybodys(f, item)) {
			open = true;
			continue;
		}
		buf_adds(safe, safe->len > 0 ? ", " : "");
		buf_add(safe, item);
	}
	return open;
}

/* ---- restriction lists ---- */

enum outcome { PASSES_BY, OPENS, CLOSES }; /* for a stranger who wants to relay */

static bool
is_one_of(struct slice item, const char *const *names)
{
	for (; *names != NULL; names++)
		if (slice_eqi(item, slice_str(*names)))
			return true;
	return false;
}

/* Anybody can say who he is: our own names in HELO or MAIL FROM are no proof. */
static bool
lets_in(const struct mta_facts *f, struct slice check, struct slice table)
{
	const char *host = mta_facts_main(f, "myhostname");
	const char *domain = mta_facts_main(f, "mydomain");
	const char *const said[] = { stranger_address, stranger_domain, host, domain };

	if (slice_startsi(check, SLICE_LIT("check_client_")))
		return says_yes(f, table, stranger_ip);
	if (slice_startsi(check, SLICE_LIT("check_recipient_")))
		return says_yes(f, table, stranger_address);
	if (!slice_startsi(check, SLICE_LIT("check_sender_access")) &&
	    !slice_startsi(check, SLICE_LIT("check_helo_access")))
		return says_yes(f, table, stranger_address);
	for (size_t i = 0; i < COUNT(said); i++)
		if (says_yes(f, table, said[i]))
			return true;
	return false;
}

static enum outcome
judge(const struct mta_facts *f, const char *service, const char *list, unsigned deep)
{
	static const char *const closing[] = { "reject_unauth_destination",
		"defer_unauth_destination", "reject", "defer", NULL };
	struct slice rest = slice_str(list), item, table;
	bool only_warns = false;

	while (mta_facts_item(&rest, &item)) {
		bool warns = only_warns;
		enum outcome in_class = PASSES_BY;
		char name[128];

		only_warns = slice_eqi(item, SLICE_LIT("warn_if_reject"));
		if (is_one_of(item, closing)) {
			if (!warns)
				return CLOSES;
		} else if (slice_eqi(item, SLICE_LIT("permit")) ||
			   slice_eqi(item, SLICE_LIT("permit_tls_all_clientcerts"))) {
			return OPENS; /* a certificate of any kind is soon made */
		} else if (slice_eqi(item, SLICE_LIT("permit_mx_backup"))) {
			/* Whoever names this host as an MX of his domain. */
			if (*mta_facts_in(f, service, "permit_mx_backup_networks") == '\0')
				return OPENS;
		} else if (slice_eqi(item, SLICE_LIT("permit_mynetworks"))) {
			if (networks_are_open(f, mta_facts_in(f, service, "mynetworks"), 0))
				return OPENS;
		} else if (slice_startsi(item, SLICE_LIT("check_")) &&
			   slice_endsi(item, SLICE_LIT("_access"))) {
			if (mta_facts_item(&rest, &table) && lets_in(f, item, table))
				return OPENS;
		} else if (item.len < sizeof(name) && deep < DEEP) {
			memcpy(name, item.p, item.len);
			name[item.len] = '\0';
			if (mta_facts_has(mta_facts_main(f, "smtpd_restriction_classes"), name))
				in_class =
				    judge(f, service, mta_facts_in(f, service, name), deep + 1);
			if (in_class != PASSES_BY && !warns)
				return in_class;
		}
	}
	return PASSES_BY;
}

/* Our listeners let every recipient through to the milter, and look again at DATA. */
static bool
is_guarded(const struct mta_facts *f, const char *service)
{
	const char *at_data = mta_facts_in(f, service, "smtpd_data_restrictions");

	return strstr(at_data, "signalpost/guard.cidr") != NULL &&
	       mta_facts_has(at_data, "reject_unauth_destination");
}

static bool
judge_service(const struct mta_facts *f, const struct mta_service *s, struct open_relay *found)
{
	const char *relay = mta_facts_in(f, s->key, "smtpd_relay_restrictions");
	const char *rcpt = mta_facts_in(f, s->key, "smtpd_recipient_restrictions");
	enum outcome a = judge(f, s->key, relay, 0), b = judge(f, s->key, rcpt, 0);

	if (a == CLOSES || b == CLOSES || is_guarded(f, s->key))
		return false;
	found->setting = a == PASSES_BY && b == OPENS ? "smtpd_recipient_restrictions"
	                                              : "smtpd_relay_restrictions";
	found->value = a == PASSES_BY && b == OPENS ? rcpt : relay;
	found->why = a == OPENS || b == OPENS ? "permits a stranger to relay"
	                                      : "nothing in it refuses a stranger who relays";
	found->safe = safe_relay;
	/* A client that may not be asked at all would be let in by the default. */
	found->service = mta_facts_find(f, s->key, found->setting) != NULL ? s->key : NULL;
	return true;
}

/* What holds for all services. */
static unsigned
judge_domains(
    const struct mta_facts *f, void (*tell)(void *arg, const struct open_relay *found), void *arg)
{
	struct open_relay domains = { .setting = "relay_domains",
		.value = mta_facts_main(f, "relay_domains"),
		.why = "holds everybody's domains, or all below a top-level domain" };
	struct open_relay claims = { .setting = "smtpd_authorized_xclient_hosts",
		.value = mta_facts_main(f, "smtpd_authorized_xclient_hosts"),
		.why = "lets anybody claim another address and another login",
		.safe = "" };
	struct buf safe;
	unsigned n = 0;

	buf_init(&safe, BUF_NO_LIMIT);
	if (domains_are_open(f, domains.value, &safe)) {
		domains.safe = buf_str(&safe);
		tell(arg, &domains);
		n++;
	}
	if (networks_are_open(f, claims.value, 0)) {
		tell(arg, &claims);
		n++;
	}
	buf_free(&safe);
	return n;
}

unsigned
open_relay_find(
    const struct mta_facts *f, void (*tell)(void *arg, const struct open_relay *found), void *arg)
{
	struct open_relay found = { .setting = "mynetworks", .safe = safe_networks };
	unsigned n = 0;

	found.value = mta_facts_main(f, "mynetworks");
	found.why = "holds everybody, whom permit_mynetworks trusts";
	if (networks_are_open(f, found.value, 0)) {
		tell(arg, &found);
		n++;
	}
	n += judge_domains(f, tell, arg);
	for (size_t i = 0; i < f->n_services; i++) {
		const struct mta_service *s = &f->services[i];
		const struct mta_param *own = mta_facts_find(f, s->key, "mynetworks");

		if (strcmp(s->command, "smtpd") != 0 || !mta_facts_is_public(f, s))
			continue;
		if (own != NULL && networks_are_open(f, own->value, 0)) {
			found = (struct open_relay){ s->key, "mynetworks", own->value,
				"holds everybody, whom permit_mynetworks trusts", safe_networks };
			tell(arg, &found);
			n++;
		} else if (judge_service(f, s, &found)) {
			tell(arg, &found);
			n++;
		}
	}
	return n;
}
