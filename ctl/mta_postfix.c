#include "ctl/mta_postfix.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/buf.h"
#include "common/slice.h"
#include "ctl/client.h"
#include "ctl/mta_facts.h"
#include "ctl/mta_reports.h"
#include "ctl/mta_routes.h"
#include "ctl/relay.h"
#include "ctl/script.h"

#define AUTH_RESERVE 600 /* AUTH commands a minute, ten a second, that no good client exceeds */

/* ---- <milter> ---- */

static void
put_milter(const struct conf *c, FILE *out)
{
	const char *socket = c->milter.socket;
	const char *at = strchr(socket, '@');

	fputs(
	    "\n# <milter> socket: as Postfix writes it. Below the queue directory a relative path\n"
	    "# serves processes with chroot and without.\n",
	    out);
	if (strncmp(socket, "inet", 4) == 0 && at != NULL) {
		const char *port = strchr(socket, ':') + 1;
		bool v6 = strchr(at + 1, ':') != NULL && at[1] != '[';

		fprintf(out, "milter=inet:%s%s%s:%.*s\n", v6 ? "[" : "", at + 1, v6 ? "]" : "",
		    (int)(at - port), port);
	} else {
		const char *path = strchr(socket, '/');

		fputs("path=", out);
		script_quoted(out, path != NULL ? path : socket);
		fputs("\ncase $path in\n"
		      "\"$queue\"/*) milter=unix:${path#\"$queue\"/} ;;\n"
		      "*)\n"
		      "\tmilter=unix:$path\n"
		      "\tpostconf -c \"$dir\" -F cleanup/unix/chroot=n\n"
		      "\t;;\n"
		      "esac\n",
		    out);
	}
	fputs("set_main \"smtpd_milters = $milter\"\n"
	      "# {pickup}: what the sendmail command submits\n"
	      "set_main \"non_smtpd_milters = $milter\"\n"
	      "# Without the milter nothing passes: it holds the relay rule.\n",
	    out);
	script_set(out, "milter_default_action", "tempfail");
	script_set(out, "milter_protocol", "6");
	script_set(out, "milter_connect_timeout", "30s");
	script_set(out, "milter_command_timeout", "30s");
	script_set(out, "milter_content_timeout", "300s");
	fputs("# Bounces that Postfix makes are not messages of a sender.\n", out);
	script_set(out, "internal_mail_filter_classes", "");
}

/* ---- host-name ---- */

static void
put_names(const struct conf *c, FILE *out)
{
	struct buf list;

	if (c->host_names.n > 0) {
		fputs("\n# host-name\n", out);
		script_set(out, "myhostname", c->host_names.v[0]);
	}
	fputs("\n# Delivered here: host names that no relay-domain and no address-list names.\n",
	    out);
	buf_init(&list, BUF_NO_LIMIT);
	for (size_t i = 0; i < c->host_names.n; i++)
		if (!relay_goes_on(c, c->host_names.v[i]))
			buf_printf(&list, "%s, ", c->host_names.v[i]);
	buf_adds(&list, "localhost.localdomain, localhost");
	script_set(out, "mydestination", buf_str(&list));
	buf_free(&list);
}

/* ---- smtp-user ---- */

static void
put_users(const struct conf *c, FILE *out)
{
	if (c->n_smtp_users == 0)
		return;
	fputs(
	    "\n# <smtp-user>: Cyrus SASL with a password file of its own. Passwords go from the "
	    "configuration\n"
	    "# to saslpasswd2 through a pipe; they stand in no argument list and not in this "
	    "script.\n"
	    "if [ \"${SIGNALPOST_USERS:-yes}\" = yes ]; then\n"
	    "mkdir -p \"$dir/sasl\"\n"
	    "cat >\"$dir/sasl/smtpd.conf.new\" <<END\n"
	    "pwcheck_method: auxprop\n"
	    "auxprop_plugin: sasldb\n"
	    "mech_list: PLAIN LOGIN\n"
	    "sasldb_path: $home/sasl/sasldb2\n"
	    "END\n"
	    "mv \"$dir/sasl/smtpd.conf.new\" \"$dir/sasl/smtpd.conf\"\n"
	    "realm=$(postconf -c \"$dir\" -hx myhostname)\n"
	    "user() { # a name without a realm gets ours\n"
	    "\tpassword=$(\"$signalpost\" mta-config postfix -c \"$conf\" -p \"$1\") || return 1\n"
	    "\tcase $1 in *@*) realm=${1##*@} ;; esac\n"
	    "\tprintf %s \"$password\" | saslpasswd2 -p -c -f \"$dir/sasl/sasldb2\" -u \"$realm\" "
	    "\"${1%@*}\"\n"
	    "}\n",
	    out);
	for (size_t i = 0; i < c->n_smtp_users; i++) {
		fputs("(umask 077; user ", out);
		script_quoted(out, c->smtp_users[i].name);
		fputs(")\n", out);
	}
	fputs("# Users that the configuration no longer has\n"
	      "sasldblistusers2 -f \"$dir/sasl/sasldb2\" | sed 's/: [A-Za-z]*$//' | while read -r "
	      "known; do\n"
	      "\tcase $known in\n",
	    out);
	for (size_t i = 0; i < c->n_smtp_users; i++) {
		fputs("\t", out);
		script_quoted(out, c->smtp_users[i].name);
		fputs(strchr(c->smtp_users[i].name, '@') != NULL ? ") ;;\n" : "\"@$realm\") ;;\n",
		    out);
	}
	fputs(
	    "\t*) saslpasswd2 -d -f \"$dir/sasl/sasldb2\" -u \"${known##*@}\" \"${known%@*}\" ;;\n"
	    "\tesac\n"
	    "done\n"
	    "chown root:postfix \"$dir/sasl/sasldb2\"\n"
	    "chmod 640 \"$dir/sasl/sasldb2\"\n"
	    "fi\n",
	    out);
	for (size_t i = 0; i < c->n_smtp_users; i++) {
		const struct conf_smtp_user *u = &c->smtp_users[i];

		if (u->method != NULL && strcmp(u->method, "password") != 0)
			fprintf(out,
			    "# not mapped: authentication-method %s of %s; PLAIN and LOGIN it is\n",
			    u->method, u->name);
	}
}

/* ---- smtp-server-tls-* ---- */

static void
put_tls(const struct conf *c, FILE *out)
{
	static const char *const names[] = { "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3" };
	const bool allowed[] = { c->tls_v1, c->tls_v1_1, c->tls_v1_2, c->tls_v1_3 };
	struct buf list;
	size_t low = 0, high = COUNT(names);

	fputs("\n# smtp-server-tls-certificate, smtp-server-tls-allow-tlsv1 .. 1.3\n", out);
	if (c->tls_certificate != NULL)
		script_set(out, "smtpd_tls_chain_files", c->tls_certificate);
	if (c->tls_certificate_password != NULL)
		fputs(
		    "# not mapped: the certificate's password; Postfix needs the key without one\n",
		    out);
	while (low < COUNT(names) && !allowed[low])
		low++;
	while (high > low && !allowed[high - 1])
		high--;
	if (low == COUNT(names)) {
		fputs("# Every version is switched off: no listener offers STARTTLS.\n", out);
		return;
	}
	buf_init(&list, BUF_NO_LIMIT);
	buf_printf(&list, ">=%s", names[low]);
	if (high < COUNT(names))
		buf_printf(&list, ", <=%s", names[high - 1]);
	for (size_t i = low; i < high; i++)
		if (!allowed[i])
			buf_printf(&list, ", !%s", names[i]);
	script_set(out, "smtpd_tls_protocols", buf_str(&list));
	script_set(out, "smtpd_tls_mandatory_protocols", buf_str(&list));
	buf_free(&list);
}

static bool
has_tls(const struct conf *c)
{
	return c->tls_certificate != NULL &&
	       (c->tls_v1 || c->tls_v1_1 || c->tls_v1_2 || c->tls_v1_3);
}

/* ---- smtp-listener ---- */

static void
put_service_name(const struct conf_listener *l, FILE *out)
{
	bool v6 = strchr(l->address, ':') != NULL;

	fprintf(out, "%s%s%s:%u", v6 ? "[" : "", l->address, v6 ? "]" : "", l->port);
}

static void
put_data_restrictions(const struct conf *c, const struct conf_listener *l,
    const struct conf_source *stranger, const struct relay_tables *have, FILE *out)
{
	struct conf_source known;

	client_stranger_at(c, l, client_some_user(c), &known);
	fputs("option \"smtpd_data_restrictions = ", out);
	if (stranger->always_allow_relaying) {
		fputs("\"\n", out); /* a named source: whoever reaches this listener may relay */
		return;
	}
	if (known.always_allow_relaying)
		fputs("permit_sasl_authenticated, ", out);
	if (have->clients)
		fputs("check_client_access cidr:$home/signalpost/clients.cidr, ", out);
	relay_put_recipient_checks(have, out);
	if (have->onward)
		fputs("check_client_access cidr:$home/signalpost/onward.cidr, ", out);
	fputs("reject_unauth_destination, permit_auth_destination, "
	      "check_client_access cidr:$home/signalpost/guard.cidr\"\n",
	    out);
}

/*
 * anvil(8) counts AUTH commands, those that succeed too, and knows one length of
 * time for all limits: a client that sends much mail must have room under it.
 */
static void
put_auth_rate(const struct conf *c, const struct conf_source *s, FILE *out)
{
	uint64_t failures, window_s;

	if (!conf_auth_limit(s, &failures, &window_s))
		return;
	fprintf(out,
	    "# smtp-max-auth-failure-rate: the milter refuses a client at connect that has failed "
	    "%llu times in\n"
	    "# %llu s, as the MTA's log says. Postfix itself can't count failures: its limit is "
	    "on AUTH commands,\n"
	    "# good ones too, in each $anvil_rate_time_unit (60s), for clients outside "
	    "$mynetworks; so it has %u\n"
	    "# in reserve and only stops a flood of guesses. In one session "
	    "$smtpd_hard_error_limit ends them.\n",
	    (unsigned long long)failures, (unsigned long long)window_s, AUTH_RESERVE);
	if (!c->mail_log.given)
		fputs("# WARNING: without a <mail-log> in the configuration no failure is seen and "
		      "nobody is refused.\n"
		      "echo 'warning: smtp-max-auth-failure-rate has no effect without a "
		      "<mail-log>' >&2\n",
		    out);
	failures = failures < INT32_MAX - AUTH_RESERVE ? failures + AUTH_RESERVE : INT32_MAX;
	fprintf(
	    out, "option 'smtpd_client_auth_rate_limit = %llu'\n", (unsigned long long)failures);
}

static void
put_listener(
    const struct conf *c, const struct conf_listener *l, const struct relay_tables *have, FILE *out)
{
	struct conf_source s;
	bool auth, tls;

	client_stranger_at(c, l, NULL, &s);
	auth = s.allow_auth && c->n_smtp_users > 0;
	tls = s.allow_starttls && has_tls(c);
	fputs("\n", out);
	script_at(out, "smtp-listener", &l->at);
	if (!s.smtp_service)
		fputs("# smtp-service is off: the milter refuses every connection here.\n", out);
	fputs("service ", out);
	put_service_name(l, out);
	fputs(" inet 'n - n - - smtpd'\n", out);
	/* In the entry itself, so that no change of main.cf takes the milter away. */
	fputs("option \"smtpd_milters = $milter\"\n", out);
	script_option(out, "smtpd_milter_maps", "");
	script_option(out, "milter_default_action", "tempfail");
	fputs("option 'milter_macro_daemon_name = ", out);
	put_service_name(l, out);
	fputs("'\n", out);
	if (s.require_auth && !have->clients)
		script_option(out, "smtpd_relay_restrictions", "permit_sasl_authenticated, reject");
	else
		script_option(
		    out, "smtpd_relay_restrictions", "check_client_access, static:OK, reject");
	put_data_restrictions(c, l, &s, have, out);
	script_option(out, "smtpd_tls_security_level", tls ? "may" : "none");
	script_option(out, "smtpd_sasl_auth_enable", auth ? "yes" : "no");
	if (auth) {
		script_option(out, "smtpd_sasl_type", "cyrus");
		script_option(out, "smtpd_sasl_path", "smtpd");
		script_option(out, "smtpd_sasl_local_domain", "$myhostname");
		script_option(out, "smtpd_sasl_security_options", "noanonymous");
		script_option(out, "smtpd_tls_auth_only",
		    s.allow_unencrypted_plain_auth && !s.require_starttls_before_auth ? "no"
										      : "yes");
	}
	if (auth && !tls && !s.allow_unencrypted_plain_auth)
		fputs("# AUTH is never offered here: allow-unencrypted-plain-auth is off and there "
		      "is no TLS.\n",
		    out);
	if (s.max_message_size != CONF_UNLIMITED)
		fprintf(out, "option 'message_size_limit = %llu'\n",
		    (unsigned long long)s.max_message_size);
	if (auth)
		put_auth_rate(c, &s, out);
	fputs("service_done\n", out);
}

static void
put_listeners(const struct conf *c, const struct relay_tables *have, FILE *out)
{
	fputs("\n# The listeners are those of the configuration: Debian's own `smtp inet`, others "
	      "on the same\n"
	      "# ports, and listeners that an earlier run made and the configuration no longer "
	      "has, go.\n"
	      "listeners='",
	    out);
	for (size_t i = 0; i < c->n_listeners; i++) {
		fputs(i == 0 ? "" : " ", out);
		put_service_name(&c->listeners[i], out);
	}
	fputs("'\nports='", out);
	for (size_t i = 0; i < c->n_listeners; i++)
		fprintf(out, "%s%u", i == 0 ? "" : " ", c->listeners[i].port);
	fputs("'\n"
	      "postconf -c \"$dir\" -M | awk '$2 == \"inet\" && $8 == \"smtpd\"' | while read -r "
	      "name rest; do\n"
	      "\tcase \" $listeners \" in *\" $name \"*) continue ;; esac\n"
	      "\tport=${name##*:}\n"
	      "\tcase $port in\n"
	      "\t*[!0-9]*) port=$(getent services \"$port/tcp\" | awk '{ sub(\"/.*\", \"\", $2); "
	      "print $2 }') ;;\n"
	      "\tesac\n"
	      "\tcase \" $ports \" in\n"
	      "\t*\" ${port:-none} \"*) ;;\n"
	      "\t*)\n"
	      "\t\tcase \"$name $rest\" in\n"
	      "\t\t\"smtp \"* | *signalpost/guard.cidr*) ;;\n"
	      "\t\t*) continue ;;\n"
	      "\t\tesac\n"
	      "\t\t;;\n"
	      "\tesac\n"
	      "\techo \"removed from master.cf: $name inet ... smtpd\" >&2\n"
	      "\tpostconf -c \"$dir\" -MX \"$name/inet\"\n"
	      "done\n",
	    out);
	for (size_t i = 0; i < c->n_listeners; i++)
		put_listener(c, &c->listeners[i], have, out);
}

/* ---- sizes ---- */

static void
put_sizes(const struct conf *c, FILE *out)
{
	uint64_t most = client_largest_message(c);

	fputs("\n# max-message-size: the largest of all sources (0 is no limit)\n", out);
	fputs("set_main 'mailbox_size_limit = 0'\nset_main 'virtual_mailbox_limit = 0'\n", out);
	script_set_number(out, "message_size_limit", most == CONF_UNLIMITED ? 0 : most, "");
}

int
mta_postfix_script(const struct conf *c, const char *conf_file, FILE *out, struct err *e)
{
	struct relay_tables have = { 0 };

	if (relay_check(c, "Postfix", e) < 0)
		return -1;
	script_begin(c, conf_file, out);
	put_names(c, out);
	put_milter(c, out);
	relay_put_domains(c, out);
	relay_put_clients(c, &have, out);
	relay_put_addresses(c, &have, out);
	relay_put_local(c, out);
	relay_put_onward(c, &have, out);
	relay_put_guard(&have, out);
	reports_put(c, out);
	put_users(c, out);
	put_tls(c, out);
	put_listeners(c, &have, out);
	put_sizes(c, out);
	mta_routes_put_queue(c, out);
	mta_routes_put_vmtas(c, out);
	fputs("\n# Queue ids that are not used again: events are joined by them.\n", out);
	script_set(out, "enable_long_queue_ids", "yes");
	return 0;
}
