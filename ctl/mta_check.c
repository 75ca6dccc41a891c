#include "ctl/mta_check.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/file.h"
#include "common/slice.h"
#include "ctl/json_out.h"
#include "ctl/mta_finding.h"
#include "ctl/mta_stage.h"
#include "ctl/open_relay.h"
#include "ctl/run.h"

#define TABLE_MAX ((size_t)64 << 20)

/* ---- findings ---- */

static const char *const severities[] = {
	[MTA_MISSING] = "missing",
	[MTA_WRONG] = "wrong",
	[MTA_DANGEROUS] = "dangerous",
};

static void
print_json(
    const char *how, const char *service, const char *setting, const char *why, const char *remedy)
{
	struct json_object *o = json_object_new_object();

	json_out_text(o, "severity", slice_str(how));
	if (service != NULL)
		json_out_text(o, "service", slice_str(service));
	json_out_text(o, "setting", slice_str(setting));
	json_out_text(o, "text", slice_str(why));
	json_out_text(o, "remedy", slice_str(remedy));
	json_out_print(o);
}

void
mta_found(struct mta_check *ck, enum mta_severity how, const char *service, const char *setting,
    const char *why, const char *remedy)
{
	struct buf command;

	buf_init(&command, BUF_NO_LIMIT);
	mta_remedy_in(&command, remedy, ck->dir);
	if (ck->json)
		print_json(severities[how], service, setting, why, buf_str(&command));
	else
		printf("%s: %s%s%s: %s\n\t%s\n", severities[how], service != NULL ? service : "",
		    service != NULL ? ": " : "", setting, why, buf_str(&command));
	buf_free(&command);
	ck->found++;
}

/* ---- values ---- */

/* A time with a unit, in seconds. */
static uint64_t
seconds(const char *text)
{
	static const char units[] = "smhdw";
	static const uint64_t in_s[] = { 1, 60, 3600, 86400, 604800 };
	char *end;
	uint64_t n = strtoull(text, &end, 10);
	const char *unit = *end != '\0' ? strchr(units, *end) : NULL;

	return unit != NULL ? n * in_s[unit - units] : n;
}

static bool
is_long_enough(const char *is, const char *needed)
{
	return seconds(is) >= seconds(needed);
}

static bool
is_number_at_least(const char *is, const char *needed)
{
	return strtoul(is, NULL, 10) >= strtoul(needed, NULL, 10);
}

/* Everything that is needed; more is the admin's business. */
static bool
has_all(const char *is, const char *needed)
{
	struct slice rest = slice_str(needed), item;
	char name[1024];

	while (mta_facts_item(&rest, &item)) {
		snprintf(name, sizeof(name), "%.*s", SLICE_FMT(item));
		if (!mta_facts_has(is, name))
			return false;
	}
	return true;
}

/* "a, b" and "a b" are the same to Postfix. */
static bool
same_items(const char *is, const char *needed)
{
	struct slice a = slice_str(is), b = slice_str(needed), x, y;
	bool more;

	do {
		more = mta_facts_item(&a, &x);
		if (more != mta_facts_item(&b, &y) || (more && !slice_eq(x, y)))
			return false;
	} while (more);
	return true;
}

static bool
same_bool(const char *is, const char *needed)
{
	return slice_eqi(slice_str(is), slice_str(needed));
}

/* What is looked at in other ways. */
static bool
elsewhere(const char *is, const char *needed)
{
	(void)is, (void)needed;
	return true;
}

struct aspect {
	const char *name;
	bool (*good)(const char *is, const char *needed);
	enum mta_severity how;
	const char *why; /* behind "is X; " */
};

static const struct aspect aspects[] = {
	{ "config_directory", elsewhere, MTA_WRONG, "" },
	{ "smtpd_milters", elsewhere, MTA_WRONG, "" },
	{ "non_smtpd_milters", elsewhere, MTA_WRONG, "" },
	{ "smtpd_milter_maps", elsewhere, MTA_WRONG, "" },
	{ "milter_default_action", elsewhere, MTA_WRONG, "" },
	{ "milter_macro_daemon_name", elsewhere, MTA_WRONG, "" },
	{ "milter_protocol", is_number_at_least, MTA_WRONG,
	    "older protocols can't change messages as signalpost-milter does" },
	{ "milter_connect_timeout", is_long_enough, MTA_WRONG,
	    "too short under load: mail gets 451" },
	{ "milter_command_timeout", is_long_enough, MTA_WRONG,
	    "too short under load: mail gets 451" },
	{ "milter_content_timeout", is_long_enough, MTA_WRONG,
	    "too short for the end of a large message: mail gets 451" },
	{ "enable_long_queue_ids", same_bool, MTA_WRONG,
	    "short queue ids are used again within minutes: events would go to the wrong message" },
	{ "relay_domains", has_all, MTA_MISSING,
	    "relay-domain and the processors' domains are not all there: their mail is refused at "
	    "DATA" },
	{ "mydestination", same_items, MTA_WRONG, "what is delivered here follows host-name" },
	{ "smtpd_relay_restrictions", same_items, MTA_WRONG,
	    "who may relay follows relay-domain and <source>" },
	{ "smtpd_data_restrictions", same_items, MTA_WRONG, "Postfix's own look at who relays" },
	{ "smtpd_tls_protocols", same_items, MTA_WRONG,
	    "TLS versions follow smtp-server-tls-allow-*" },
	{ "smtpd_tls_mandatory_protocols", same_items, MTA_WRONG,
	    "TLS versions follow smtp-server-tls-allow-*" },
	{ "smtpd_tls_chain_files", same_items, MTA_WRONG,
	    "it follows smtp-server-tls-certificate" },
	{ "smtpd_tls_security_level", same_bool, MTA_WRONG,
	    "STARTTLS follows allow-starttls and the certificate" },
	{ "smtpd_tls_auth_only", same_bool, MTA_WRONG, "it follows allow-unencrypted-plain-auth" },
	{ "smtpd_sasl_auth_enable", same_bool, MTA_WRONG,
	    "AUTH follows allow-auth and <smtp-user>" },
	{ "milter_header_checks", has_all, MTA_MISSING,
	    "without it virtual MTAs select no transport" },
	{ "smtp_header_checks", has_all, MTA_MISSING, "it keeps X-Signalpost-Route in this host" },
	{ "message_size_limit", same_items, MTA_WRONG, "it follows max-message-size" },
	{ "maximal_queue_lifetime", same_items, MTA_WRONG, "it follows bounce-after" },
	{ "bounce_queue_lifetime", same_items, MTA_WRONG, "it follows bounce-after" },
	{ "minimal_backoff_time", same_items, MTA_WRONG, "it follows retry-after" },
	{ "maximal_backoff_time", same_items, MTA_WRONG, "it follows retry-after" },
	{ "internal_mail_filter_classes", same_items, MTA_WRONG,
	    "bounces are not messages of a sender" },
};

static const struct aspect any_other = { "", same_items, MTA_WRONG,
	"the configuration asks for another value" };

static const struct aspect *
aspect_of(const char *name)
{
	for (size_t i = 0; i < COUNT(aspects); i++)
		if (strcmp(aspects[i].name, name) == 0)
			return &aspects[i];
	return &any_other;
}

/* ---- differences ---- */

static void
compare(struct mta_check *ck, const char *service, const struct mta_param *need, const char *is)
{
	const struct aspect *a = aspect_of(need->name);
	struct buf setting, remedy;

	if (strcmp(is, need->value) == 0 || a->good(is, need->value))
		return;
	buf_init(&setting, BUF_NO_LIMIT);
	buf_init(&remedy, BUF_NO_LIMIT);
	if (a->good == has_all)
		buf_printf(&setting, "%s = %s, needed: %s", need->name, is, need->value);
	else
		buf_printf(&setting, "%s = %s, needed: %s", need->name, is,
		    *need->value != '\0' ? need->value : "(empty)");
	mta_found(ck, a->how, service, buf_str(&setting), a->why,
	    mta_remedy_set(
		&remedy, service, need->name, need->raw != NULL ? need->raw : need->value));
	buf_free(&setting);
	buf_free(&remedy);
}

/* A listener with its own word on what main.cf is needed to say. */
static void
compare_overrides(struct mta_check *ck)
{
	struct buf remedy;

	buf_init(&remedy, BUF_NO_LIMIT);
	for (size_t i = 0; i < ck->now.n_params; i++) {
		const struct mta_param *p = &ck->now.params[i], *need;

		if (p->service == NULL || mta_facts_service(&ck->need, p->service) == NULL ||
		    mta_facts_find(&ck->need, p->service, p->name) != NULL)
			continue;
		need = mta_facts_find(&ck->need, NULL, p->name);
		if (need != NULL && need->given)
			compare(ck, p->service, need, p->value);
	}
	buf_free(&remedy);
}

/* Written alike, it differs only by another parameter that it uses. */
static bool
is_same_text(const struct mta_check *ck, const struct mta_param *need)
{
	const struct mta_param *is = mta_facts_find(&ck->now, need->service, need->name);

	return is != NULL && is->raw != NULL && need->raw != NULL &&
	       strcmp(is->raw, need->raw) == 0;
}

static void
compare_params(struct mta_check *ck)
{
	for (size_t i = 0; i < ck->need.n_params; i++) {
		const struct mta_param *p = &ck->need.params[i];
		bool asked = p->service == NULL ? p->given && !is_same_text(ck, p)
		                                : mta_facts_service(&ck->now, p->service) != NULL;

		if (asked)
			compare(ck, p->service, p, mta_facts_in(&ck->now, p->service, p->name));
	}
	compare_overrides(ck);
}

static void
compare_services(struct mta_check *ck)
{
	struct buf remedy;

	buf_init(&remedy, BUF_NO_LIMIT);
	for (size_t i = 0; i < ck->need.n_services; i++) {
		const struct mta_service *need = &ck->need.services[i];
		const struct mta_service *is = mta_facts_service(&ck->now, need->key);

		if (is == NULL)
			mta_found(ck, MTA_MISSING, need->key,
			    strcmp(need->type, "inet") == 0 ? "smtp-listener" : "service",
			    "master.cf does not have it",
			    "signalpost mta-config postfix --apply %D");
		else if (strcmp(is->command, need->command) != 0)
			mta_found(ck, MTA_WRONG, need->key, is->command,
			    "master.cf runs another program there",
			    "signalpost mta-config postfix --apply %D");
	}
	for (size_t i = 0; i < ck->now.n_services; i++) {
		const struct mta_service *is = &ck->now.services[i];

		if (mta_facts_service(&ck->need, is->key) != NULL)
			continue;
		buf_clear(&remedy);
		buf_adds(&remedy, "postconf -c %D -MX ");
		mta_quote(&remedy, is->key);
		mta_found(ck, MTA_WRONG, is->key, "listener",
		    "no smtp-listener of the configuration, and on the port of one, or Debian's "
		    "own",
		    buf_str(&remedy));
	}
	buf_free(&remedy);
}

/* ---- tables and users ---- */

static void
compare_table(struct mta_check *ck, const char *stage, const char *name)
{
	char path[PATH_MAX + NAME_MAX + 32];
	struct buf is, need;
	struct err e;

	buf_init(&is, TABLE_MAX);
	buf_init(&need, TABLE_MAX);
	snprintf(path, sizeof(path), "%s/signalpost/%s", stage, name);
	if (file_read(AT_FDCWD, path, &need, &e) == 0) {
		snprintf(path, sizeof(path), "%s/signalpost/%s", ck->dir, name);
		if (file_read(AT_FDCWD, path, &is, &e) < 0)
			mta_found(ck, MTA_MISSING, NULL, path, "this table can't be read",
			    "signalpost mta-config postfix --apply %D");
		else if (!slice_eq(buf_slice(&is), buf_slice(&need)))
			mta_found(ck, MTA_WRONG, NULL, path,
			    "it has not what the configuration (or relayhost) now asks for",
			    "signalpost mta-config postfix --apply %D");
	}
	buf_free(&is);
	buf_free(&need);
}

static void
compare_tables(struct mta_check *ck, const char *stage)
{
	char path[PATH_MAX + 32];
	struct dirent *entry;
	DIR *d;

	snprintf(path, sizeof(path), "%s/signalpost", stage);
	d = opendir(path);
	while (d != NULL && (entry = readdir(d)) != NULL)
		if (entry->d_name[0] != '.')
			compare_table(ck, stage, entry->d_name);
	if (d != NULL)
		closedir(d);
}

/* Only root may read the passwords' file. */
static void
check_users(struct mta_check *ck)
{
	char path[PATH_MAX + 32], start[600];
	const char *const argv[] = { "sasldblistusers2", "-f", path, NULL };
	struct buf list, said;
	struct err e;

	if (geteuid() != 0 || ck->conf->n_smtp_users == 0)
		return;
	snprintf(path, sizeof(path), "%s/sasl/sasldb2", ck->dir);
	buf_init(&list, TABLE_MAX);
	buf_init(&said, TABLE_MAX);
	buf_addc(&list, '\n');
	run_program(argv, (struct slice){ 0 }, &list, &said, &e);
	for (size_t i = 0; i < ck->conf->n_smtp_users; i++) {
		const char *name = ck->conf->smtp_users[i].name;

		snprintf(start, sizeof(start), "\n%.500s%s", name,
		    strchr(name, '@') != NULL ? ":" : "@");
		if (strstr(buf_str(&list), start) == NULL)
			mta_found(ck, MTA_MISSING, NULL, name,
			    "this smtp-user has no password in Postfix",
			    "signalpost mta-config postfix --apply %D");
	}
	buf_free(&list);
	buf_free(&said);
}

/* ---- who may relay ---- */

static void
tell_open(void *arg, const struct open_relay *found)
{
	struct mta_check *ck = arg;
	struct buf setting, remedy;

	buf_init(&setting, BUF_NO_LIMIT);
	buf_init(&remedy, BUF_NO_LIMIT);
	buf_printf(&setting, "%s = %s", found->setting, found->value);
	mta_found(ck, MTA_DANGEROUS, found->service, buf_str(&setting), found->why,
	    mta_remedy_set(&remedy, found->service, found->setting, found->safe));
	buf_free(&setting);
	buf_free(&remedy);
}

/* ---- the whole ---- */

/* As it should be: a copy, with the script run over it. */
static int
read_need(struct mta_check *ck, const char *conf_file, struct err *e)
{
	const char *tmp = getenv("TMPDIR");
	struct mta_stage stage;
	struct buf said;
	int rc;

	if (mta_stage_make(&stage, ck->dir, tmp != NULL && *tmp == '/' ? tmp : "/tmp", e) < 0)
		return -1;
	buf_init(&said, 65536);
	rc = mta_stage_run(&stage, ck->conf, conf_file, ck->dir, false, &said, e);
	if (rc == 0)
		rc = mta_facts_read(stage.dir, &ck->need, e);
	if (rc == 0)
		compare_tables(ck, stage.dir);
	buf_free(&said);
	mta_stage_remove(&stage);
	return rc;
}

int
mta_check(const struct conf *c, const char *conf_file, const char *dir, bool json, struct err *e)
{
	char *path = realpath(dir, NULL);
	struct mta_check ck = { .conf = c, .dir = path, .json = json };
	int rc = -1;

	if (path == NULL)
		return err_errno(e, "%s", dir);
	if (mta_facts_read(path, &ck.now, e) == 0 && read_need(&ck, conf_file, e) == 0) {
		mta_check_milters(&ck);
		open_relay_find(&ck.now, tell_open, &ck);
		compare_services(&ck);
		compare_params(&ck);
		mta_check_spoilers(&ck);
		check_users(&ck);
		rc = ck.found > 0;
		if (!json && rc == 0)
			printf("%s is as the configuration asks\n", path);
		else if (!json)
			printf("%u problem%s; after mending: postfix -c %s reload\n", ck.found,
			    ck.found == 1 ? "" : "s", path);
	}
	mta_facts_free(&ck.now);
	mta_facts_free(&ck.need);
	free(path);
	return rc;
}
