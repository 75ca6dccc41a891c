/* Which settings of Postfix let everybody relay, as rows; and Postfix's lists. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl/mta_facts.h"
#include "ctl/open_relay.h"
#include "t/spooldir.h"
#include "t/tap.h"

static const struct {
	const char *name, *relay, *rcpt, *networks;
	const char *blamed; /* NULL: nobody relays */
} rows[] = {
	{ "25", "permit_mynetworks, reject_unauth_destination", "", "127.0.0.0/8", NULL },
	{ "25", "permit_mynetworks permit_sasl_authenticated defer_unauth_destination", "",
	    "127.0.0.0/8 [::1]/128", NULL },
	{ "25", "", "permit_mynetworks,reject_unauth_destination", "10.0.0.0/8", NULL },
	{ "25", "", "reject_unauth_destination", "127.0.0.0/8", NULL },
	{ "25", "permit_auth_destination, reject", "", "127.0.0.0/8", NULL },
	{ "25", "permit", "reject_unauth_destination", "127.0.0.0/8", NULL },
	{ "25", "permit", "", "127.0.0.0/8", "smtpd_relay_restrictions" },
	{ "25", "", "", "127.0.0.0/8", "smtpd_relay_restrictions" },
	{ "25", "", "permit_mynetworks, permit", "127.0.0.0/8", "smtpd_recipient_restrictions" },
	{ "25", "check_client_access static:OK, reject", "", "127.0.0.0/8",
	    "smtpd_relay_restrictions" },
	{ "25", "check_client_access, static:{ permit }, reject", "", "127.0.0.0/8",
	    "smtpd_relay_restrictions" },
	{ "25", "check_client_access, static:REJECT, reject", "", "127.0.0.0/8", NULL },
	{ "25", "check_client_access inline:{198.51.100.77=OK} reject", "", "127.0.0.0/8",
	    "smtpd_relay_restrictions" },
	{ "25", "warn_if_reject reject_unauth_destination", "", "127.0.0.0/8",
	    "smtpd_relay_restrictions" },
	{ "25", "warn_if_reject reject_unauth_destination, reject", "", "127.0.0.0/8", NULL },
	{ "25", "class, reject", "", "127.0.0.0/8", "smtpd_relay_restrictions" },
	{ "25", "reject_unauth_destination", "", "0.0.0.0/0", "mynetworks" },
	{ "25", "reject_unauth_destination", "", "127.0.0.0/8, [::]/0", "mynetworks" },
	{ "25", "reject_unauth_destination", "", "!0.0.0.0/0 127.0.0.0/8", NULL },
	{ "25", "reject_unauth_destination", "", "static:all", "mynetworks" },
	{ "25", "reject_unauth_destination", "", "128.0.0.0/1", "mynetworks" },
	{ "127.0.0.1:25", "permit", "", "127.0.0.0/8", NULL },
	{ "[::1]:25", "permit", "", "127.0.0.0/8", NULL },
	{ "10.1.2.3:25", "permit", "", "127.0.0.0/8", NULL },
	{ "100.1.2.3:25", "permit", "", "127.0.0.0/8", "smtpd_relay_restrictions" },
	{ "0.0.0.0:25", "permit", "", "127.0.0.0/8", "smtpd_relay_restrictions" },
	{ "25", "permit_tls_all_clientcerts, reject", "", "127.0.0.0/8",
	    "smtpd_relay_restrictions" },
	{ "25", "permit_tls_clientcerts, reject", "", "127.0.0.0/8", NULL },
	{ "25", "permit_mx_backup reject", "", "127.0.0.0/8", "smtpd_relay_restrictions" },
	{ "25", "check_sender_access inline:{mail.own.example=OK} reject", "", "127.0.0.0/8",
	    "smtpd_relay_restrictions" },
	{ "25", "check_sender_access inline:{own.example=OK} reject", "", "127.0.0.0/8",
	    "smtpd_relay_restrictions" },
	{ "25", "check_sender_access inline:{other.example=OK} reject", "", "127.0.0.0/8", NULL },
	{ "25", "check_helo_access inline:{mail.own.example=OK} reject", "", "127.0.0.0/8",
	    "smtpd_relay_restrictions" },
};

static const struct {
	const char *domains, *xclient;
	const char *blamed, *safe;
} of_all[] = {
	{ "a.example, b.example", "127.0.0.1", NULL, NULL },
	{ "a.example, localhost, intranet, !com, *", "", NULL, NULL },
	{ "a.example static:ALL b.example", "", "relay_domains", "a.example, b.example" },
	{ "a.example, com", "", "relay_domains", "a.example" },
	{ "inline:{stranger.invalid=OK}", "", "relay_domains", "" },
	{ "inline:{a.example=OK}", "", NULL, NULL },
	{ "", "0.0.0.0/0", "smtpd_authorized_xclient_hosts", "" },
	{ "", "static:all", "smtpd_authorized_xclient_hosts", "" },
	{ "", "10.0.0.0/8", NULL, NULL },
};

static const struct {
	const char *list, *items; /* joined by '|' */
} lists[] = {
	{ "", "" },
	{ " a,b  c ,\td\n", "a|b|c|d" },
	{ "{ unix:/a, x=y }, inet:b:1", "{ unix:/a, x=y }|inet:b:1" },
	{ "regexp:{ {/a b/ OK} }", "regexp:{ {/a b/ OK} }" },
	{ "{a", "{a" },
	{ "a} b", "a}|b" },
};

static void
tell(void *arg, const struct open_relay *found)
{
	*(const char **)arg = found->setting;
}

struct seen {
	const char *setting;
	char safe[200];
};

static void
tell_safe(void *arg, const struct open_relay *found)
{
	struct seen *seen = arg;

	seen->setting = found->setting;
	snprintf(seen->safe, sizeof(seen->safe), "%s", found->safe);
}

static char dir[SPOOLDIR_SIZE];

/* postmap asks for one; the host's may not be there. */
static void
make_main_cf(void)
{
	char path[SPOOLDIR_SIZE + 10];
	int fd;

	spooldir_make(dir);
	snprintf(path, sizeof(path), "%s/main.cf", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
	ok(fd >= 0, "main.cf");
	close(fd);
}

int
main(void)
{
	make_main_cf();
	for (size_t i = 0; i < COUNT(rows); i++) {
		if (strstr(rows[i].relay, "inline:") != NULL &&
		    access("/usr/sbin/postmap", X_OK) < 0)
			continue; /* tables are asked by Postfix's own means */
		struct mta_param params[] = {
			{ .name = "smtpd_relay_restrictions", .value = rows[i].relay },
			{ .name = "smtpd_recipient_restrictions", .value = rows[i].rcpt },
			{ .name = "mynetworks", .value = rows[i].networks },
			{ .name = "inet_interfaces", .value = "all" },
			{ .name = "smtpd_restriction_classes", .value = "class" },
			{ .name = "class", .value = "permit" },
			{ .name = "myhostname", .value = "mail.own.example" },
			{ .name = "mydomain", .value = "own.example" },
		};
		struct mta_service service = { .key = "x/inet",
			.name = rows[i].name,
			.type = "inet",
			.maxproc = "-",
			.command = "smtpd" };
		struct mta_facts f = { .dir = dir,
			.params = params,
			.n_params = COUNT(params),
			.services = &service,
			.n_services = 1 };
		const char *blamed = NULL;
		unsigned n = open_relay_find(&f, tell, &blamed);

		ok(rows[i].blamed == NULL
			? n == 0
			: n == 1 && blamed != NULL && strcmp(blamed, rows[i].blamed) == 0,
		    "%s: %s / %s / %s", rows[i].name, rows[i].relay, rows[i].rcpt,
		    rows[i].networks);
	}
	for (size_t i = 0; i < COUNT(of_all); i++) {
		struct mta_param params[] = {
			{ .name = "relay_domains", .value = of_all[i].domains },
			{ .name = "smtpd_authorized_xclient_hosts", .value = of_all[i].xclient },
		};
		struct mta_facts f = { .dir = dir, .params = params, .n_params = COUNT(params) };
		struct seen seen = { .setting = NULL };

		if (strstr(of_all[i].domains, "inline:") != NULL &&
		    access("/usr/sbin/postmap", X_OK) < 0)
			continue;
		open_relay_find(&f, tell_safe, &seen);
		ok(of_all[i].blamed == NULL
			? seen.setting == NULL
			: seen.setting != NULL && strcmp(seen.setting, of_all[i].blamed) == 0 &&
			      strcmp(seen.safe, of_all[i].safe) == 0,
		    "relay_domains = %s, XCLIENT from '%s'", of_all[i].domains, of_all[i].xclient);
	}
	for (size_t i = 0; i < COUNT(lists); i++) {
		struct slice rest = slice_str(lists[i].list), item;
		struct buf got;

		buf_init(&got, 1000);
		while (mta_facts_item(&rest, &item)) {
			if (got.len > 0)
				buf_addc(&got, '|');
			buf_add(&got, item);
		}
		ok(strcmp(buf_str(&got), lists[i].items) == 0, "list %s", lists[i].list);
		buf_free(&got);
	}
	spooldir_remove(dir);
	return tap_done();
}
