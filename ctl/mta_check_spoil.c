/*
 * mta_check_spoil.c - settings that no script of ours makes, but that spoil what it made:
 * the message is changed behind the milter, kept from it, or goes nowhere; and what AUTH
 * needs beside main.cf.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/file.h"
#include "common/slice.h"
#include "ctl/as_user.h"
#include "ctl/mta_finding.h"
#include "ctl/open_relay.h"
#include "ctl/relay.h"

#define SASL_CONF_MAX 65536

/* ---- settings ---- */

static bool
is_set(const struct mta_check *ck, const char *value)
{
	(void)ck;
	return *value != '\0';
}

static bool
is_yes(const struct mta_check *ck, const char *value)
{
	(void)ck;
	return slice_eqi(slice_str(value), SLICE_LIT("yes"));
}

/* "inet", "smtp.inet": a service, or a type, of those that are needed. */
static bool
is_needed_service(const struct mta_check *ck, const char *list)
{
	char name[600];

	for (size_t i = 0; i < ck->need.n_services; i++) {
		const struct mta_service *s = &ck->need.services[i];

		snprintf(name, sizeof(name), "%.500s.%.50s", s->name, s->type);
		if (mta_facts_has(list, name) || mta_facts_has(list, s->type))
			return true;
		snprintf(name, sizeof(name), "%.500s/%.50s", s->name, s->type);
		if (mta_facts_has(list, name))
			return true;
	}
	return false;
}

/* A transport, which mail is sent by. */
static bool
is_needed_transport(const struct mta_check *ck, const char *list)
{
	if (mta_facts_has(list, "smtp"))
		return true;
	for (size_t i = 0; i < ck->need.n_services; i++)
		if (strcmp(ck->need.services[i].command, "smtp") == 0 &&
		    mta_facts_has(list, ck->need.services[i].name))
			return true;
	return false;
}

static bool
is_no_transport(const struct mta_check *ck, const char *value)
{
	static const char *const nowhere[] = { "error", "retry", "discard" };
	struct slice name = slice_head(slice_str(value), strcspn(value, ":"));

	(void)ck;
	for (size_t i = 0; i < COUNT(nowhere); i++)
		if (slice_eq(name, slice_str(nowhere[i])))
			return true;
	return false;
}

static bool
is_without_ipv4(const struct mta_check *ck, const char *list)
{
	if (mta_facts_has(list, "all") || mta_facts_has(list, "ipv4"))
		return false;
	for (size_t i = 0; i < ck->need.n_services; i++)
		if (strcmp(ck->need.services[i].type, "inet") == 0 &&
		    strchr(ck->need.services[i].name, '[') == NULL)
			return true;
	return false;
}

static bool
is_no_service(const struct mta_check *ck, const char *name)
{
	char key[600];

	snprintf(key, sizeof(key), "%.500s/unix", name);
	return mta_facts_service(&ck->now, key) == NULL;
}

static bool
is_elsewhere(const struct mta_check *ck, const char *path)
{
	char ours[PATH_MAX + 8];

	snprintf(ours, sizeof(ours), "%s/sasl", ck->dir);
	return ck->conf->n_smtp_users > 0 && *path != '\0' && strcmp(path, ours) != 0;
}

/* The first word is for everybody. */
static bool
is_refused(const struct mta_check *ck, const char *list)
{
	struct slice rest = slice_str(list), item;

	(void)ck;
	return mta_facts_item(&rest, &item) &&
	       (slice_eqi(item, SLICE_LIT("reject")) || slice_eqi(item, SLICE_LIT("defer")));
}

/* Domains whose mail only passes through: relay-domains, and those that reports come to. */
static bool
has_passing(const struct mta_check *ck, const char *list)
{
	struct slice rest = slice_str(list), item;
	char domain[300];

	while (mta_facts_item(&rest, &item)) {
		snprintf(domain, sizeof(domain), "%.*s",
		    SLICE_FMT(slice_head(item, sizeof(domain) - 1)));
		if (relay_goes_on(ck->conf, domain))
			return true;
	}
	return false;
}

static bool
is_another_log(const struct mta_check *ck, const char *path)
{
	const struct conf_mail_log *l = &ck->conf->mail_log;
	struct stat a, b;

	for (size_t i = 0; i < l->files.n; i++)
		if (strcmp(l->files.v[i], path) == 0 ||
		    (stat(l->files.v[i], &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev &&
			a.st_ino == b.st_ino))
			return false;
	return l->given && *path != '\0';
}

static bool
is_another_facility(const struct mta_check *ck, const char *value)
{
	return ck->conf->mail_log.given && !slice_eqi(slice_str(value), SLICE_LIT("mail"));
}

static const struct {
	const char *name;
	bool (*bad)(const struct mta_check *ck, const char *value);
	const char *why, *better;
} spoilers[] = {
	{ "smtpd_proxy_filter", is_set,
	    "with a filter before the queue no milter sees headers or body: nothing is signed, "
	    "tracked "
	    "or captured",
	    "" },
	{ "smtp_generic_maps", is_set, "it changes addresses after the message was signed", "" },
	{ "smtp_body_checks", is_set, "it changes the body after the message was signed", "" },
	{ "soft_bounce", is_yes,
	    "every refusal becomes a 4xx: the client comes again, nothing bounces", "no" },
	{ "master_service_disable", is_needed_service,
	    "it keeps a service that is needed from running", "" },
	{ "defer_transports", is_needed_transport, "mail waits in the queue and is not sent", "" },
	{ "default_transport", is_no_transport, "mail for other hosts is not sent", "smtp" },
	{ "inet_protocols", is_without_ipv4,
	    "an smtp-listener has an IPv4 address: Postfix does not start", "all" },
	{ "smtpd_client_restrictions", is_refused, "nobody is let in", "" },
	{ "smtpd_helo_restrictions", is_refused, "nobody is let in", "" },
	{ "smtpd_sender_restrictions", is_refused, "nobody is let in", "" },
	{ "smtpd_recipient_restrictions", is_refused, "nobody is let in", "" },
	{ "virtual_alias_domains", has_passing,
	    "mail for a domain that goes on, or that reports come to, is refused: User unknown",
	    "" },
	{ "virtual_mailbox_domains", has_passing,
	    "mail for a domain that goes on, or that reports come to, is refused: User unknown",
	    "" },
	{ "maillog_file", is_another_log, "<mail-log> does not read this file: no delivery events",
	    "" },
	{ "syslog_facility", is_another_facility,
	    "<mail-log> reads what is logged as mail: no delivery events", "mail" },
	{ "cleanup_service_name", is_no_service,
	    "master.cf has no such service: mail is answered 451", "cleanup" },
	{ "cyrus_sasl_config_path", is_elsewhere,
	    "AUTH does not find the passwords of the smtp-users", "" },
};

/* No listener goes by what main.cf says. */
static bool
is_overridden(const struct mta_check *ck, const struct mta_param *p)
{
	if (p->service != NULL || strncmp(p->name, "smtpd_", 6) != 0)
		return false;
	for (size_t i = 0; i < ck->need.n_services; i++)
		if (strcmp(ck->need.services[i].command, "smtpd") == 0 &&
		    strcmp(ck->need.services[i].type, "inet") == 0 &&
		    mta_facts_find(&ck->now, ck->need.services[i].key, p->name) == NULL)
			return false;
	return true;
}

static void
check_param(struct mta_check *ck, const struct mta_param *p)
{
	struct buf setting, remedy;

	for (size_t i = 0; i < COUNT(spoilers); i++) {
		if (strcmp(p->name, spoilers[i].name) != 0 || !spoilers[i].bad(ck, p->value) ||
		    is_overridden(ck, p))
			continue;
		buf_init(&setting, BUF_NO_LIMIT);
		buf_init(&remedy, BUF_NO_LIMIT);
		buf_printf(&setting, "%s = %s", p->name, p->value);
		mta_found(ck, MTA_WRONG, p->service, buf_str(&setting), spoilers[i].why,
		    mta_remedy_set(&remedy, p->service, p->name, spoilers[i].better));
		buf_free(&setting);
		buf_free(&remedy);
	}
}

/* ---- reports ---- */

static bool
is_known(const struct mta_facts *f, const char *tables, const char *key)
{
	struct slice rest = slice_str(tables), item;
	struct buf answer;
	bool known = false;

	buf_init(&answer, 4096);
	while (!known && mta_facts_item(&rest, &item))
		known = open_relay_look_up(f, item, key, &answer);
	buf_free(&answer);
	return known;
}

/* With a list of who is there, nobody else is; bounces have addresses of their own each. */
static void
check_report_addresses(struct mta_check *ck)
{
	const struct conf_texts *domains[] = { &ck->conf->bounce.domains,
		&ck->conf->feedback.domains };
	const char *tables = mta_facts_main(&ck->now, "relay_recipient_maps");
	struct buf missing, value, remedy;
	char key[300];

	if (*tables == '\0')
		return;
	buf_init(&missing, BUF_NO_LIMIT);
	buf_init(&value, BUF_NO_LIMIT);
	buf_init(&remedy, BUF_NO_LIMIT);
	for (size_t k = 0; k < COUNT(domains); k++)
		for (size_t i = 0; i < domains[k]->n; i++) {
			snprintf(key, sizeof(key), "@%.290s", domains[k]->v[i]);
			if (!is_known(&ck->now, tables, key))
				buf_printf(&missing, "%s%s=x", missing.len > 0 ? "," : "", key);
		}
	buf_printf(&value, "%s, inline:{%s}", tables, buf_str(&missing));
	if (missing.len > 0)
		mta_found(ck, MTA_WRONG, NULL, "relay_recipient_maps",
		    "the addresses that reports come to are not in it: they are refused, User "
		    "unknown",
		    mta_remedy_set(&remedy, NULL, "relay_recipient_maps", buf_str(&value)));
	buf_free(&missing);
	buf_free(&value);
	buf_free(&remedy);
}

/* ---- AUTH ---- */

static bool
has_line(const char *text, const char *name, const char *value)
{
	struct slice rest = slice_str(text);

	while (rest.len > 0) {
		size_t end = slice_find(rest, '\n');
		struct slice line = slice_trim(slice_head(rest, end)), key;
		size_t colon = slice_find(line, ':');

		rest = slice_skip(rest, end + 1);
		key = slice_trim(slice_head(line, colon));
		if (slice_eqi(key, slice_str(name)))
			return slice_eq(slice_trim(slice_skip(line, colon + 1)), slice_str(value));
	}
	return false;
}

/* What libsasl2 reads: which passwords, and where. */
static void
check_sasl_conf(struct mta_check *ck)
{
	char path[PATH_MAX + 32], base[PATH_MAX + 32];
	struct buf text;
	struct err e;

	snprintf(path, sizeof(path), "%s/sasl/smtpd.conf", ck->dir);
	snprintf(base, sizeof(base), "%s/sasl/sasldb2", ck->dir);
	buf_init(&text, SASL_CONF_MAX);
	if (file_read(AT_FDCWD, path, &text, &e) < 0)
		mta_found(ck, MTA_MISSING, NULL, path, "without it AUTH knows no smtp-user",
		    "signalpost mta-config postfix --apply %D");
	else if (!has_line(buf_str(&text), "pwcheck_method", "auxprop") ||
		 !has_line(buf_str(&text), "auxprop_plugin", "sasldb") ||
		 !has_line(buf_str(&text), "sasldb_path", base))
		mta_found(ck, MTA_WRONG, NULL, path,
		    "it does not lead to the passwords of the smtp-users: AUTH fails",
		    "signalpost mta-config postfix --apply %D");
	buf_free(&text);
}

static void
check_sasl_base(struct mta_check *ck)
{
	const char *user = mta_facts_main(&ck->now, "mail_owner");
	char path[PATH_MAX + 32], why[200];
	struct buf remedy;

	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s%s", ck->dir, i == 0 ? "" : "/sasl");
		if (as_user_access(user, path, X_OK) > 0) {
			snprintf(why, sizeof(why),
			    "the user %.60s may not pass this directory: every AUTH fails", user);
			mta_found(ck, MTA_WRONG, NULL, path, why,
			    i == 0 ? "chmod a+rx %D" : "chmod a+rx %D/sasl");
			return;
		}
	}
	snprintf(path, sizeof(path), "%s/sasl/sasldb2", ck->dir);
	if (as_user_access(user, path, R_OK) <= 0 || access(path, F_OK) < 0)
		return; /* what is not there is missed user by user */
	snprintf(
	    why, sizeof(why), "the user %.60s may not read the passwords: every AUTH fails", user);
	buf_init(&remedy, BUF_NO_LIMIT);
	buf_printf(&remedy, "chown root:%s %%D/sasl/sasldb2 && chmod 640 %%D/sasl/sasldb2",
	    as_user_group(user));
	mta_found(ck, MTA_WRONG, NULL, path, why, buf_str(&remedy));
	buf_free(&remedy);
}

/* The passwords are outside of the chroot. */
static void
check_sasl_chroot(struct mta_check *ck)
{
	struct buf remedy;

	buf_init(&remedy, BUF_NO_LIMIT);
	for (size_t i = 0; i < ck->need.n_services; i++) {
		const struct mta_service *need = &ck->need.services[i], *is;
		const char *auth;

		is = mta_facts_service(&ck->now, need->key);
		if (is == NULL || !is->chroot || need->chroot || strcmp(is->command, "smtpd") != 0)
			continue;
		auth = mta_facts_in(&ck->need, need->key, "smtpd_sasl_auth_enable");
		if (!slice_eqi(slice_str(auth), SLICE_LIT("yes")))
			continue;
		buf_clear(&remedy);
		buf_adds(&remedy, "postconf -c %D -F '");
		buf_printf(&remedy, "%s/chroot=n'", is->key);
		mta_found(ck, MTA_WRONG, is->key, "chroot = y",
		    "the passwords of the smtp-users are not in the chroot: AUTH fails",
		    buf_str(&remedy));
	}
	buf_free(&remedy);
}

void
mta_check_spoilers(struct mta_check *ck)
{
	for (size_t i = 0; i < ck->now.n_params; i++) {
		const struct mta_param *p = &ck->now.params[i];

		if (p->given &&
		    (p->service == NULL || mta_facts_service(&ck->need, p->service) != NULL))
			check_param(ck, p);
	}
	check_report_addresses(ck);
	if (ck->conf->n_smtp_users == 0)
		return;
	check_sasl_conf(ck);
	check_sasl_base(ck);
	check_sasl_chroot(ck);
}
