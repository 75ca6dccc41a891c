#include "ctl/mta_postfix.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/buf.h"
#include "common/slice.h"

#define MAX_BACKOFF_S (100u * 86400) /* Postfix takes no longer time than this for its queue */

/* ---- words for the shell and for Postfix ---- */

/* As one word of the shell. */
static void
put_quoted(FILE *out, const char *text)
{
	putc('\'', out);
	for (; *text != '\0'; text++)
		if (*text == '\'')
			fputs("'\\''", out);
		else
			putc(*text, out);
	putc('\'', out);
}

/* A parameter of main.cf. Postfix would take "$name" in a value for a parameter. */
static void
set_main(FILE *out, const char *name, const char *value)
{
	struct buf line;

	buf_init(&line, BUF_NO_LIMIT);
	buf_printf(&line, "%s = ", name);
	for (; *value != '\0'; value++) {
		if (*value == '$')
			buf_addc(&line, '$');
		buf_addc(&line, *value);
	}
	fputs("set_main ", out);
	put_quoted(out, buf_str(&line));
	putc('\n', out);
	buf_free(&line);
}

static void
set_main_number(FILE *out, const char *name, uint64_t n, const char *unit)
{
	char value[32];

	snprintf(value, sizeof(value), "%llu%s", (unsigned long long)n, unit);
	set_main(out, name, value);
}

/* An option of a master.cf entry; here "$name" is Postfix's. */
static void
add_option(FILE *out, const char *name, const char *value)
{
	struct buf line;

	buf_init(&line, BUF_NO_LIMIT);
	buf_printf(&line, "%s = %s", name, value);
	fputs("option ", out);
	put_quoted(out, buf_str(&line));
	putc('\n', out);
	buf_free(&line);
}

static void
put_at(FILE *out, const char *directive, const struct conf_at *at)
{
	if (at->line != 0)
		fprintf(out, "# %s (%s:%u)\n", directive, at->file, at->line);
	else
		fprintf(out, "# %s\n", directive);
}

/* ---- whom a listener serves ---- */

static bool
is_everybody(const struct conf_source *s)
{
	return s->kind == CONF_SOURCE_NET && s->net.bits == 0;
}

/* Is this address in a network that has a <source> of its own? */
static bool
has_own_source(const struct conf *c, const struct sockaddr *sa)
{
	for (size_t i = 0; i < c->n_sources; i++)
		if (c->sources[i].kind == CONF_SOURCE_NET && !is_everybody(&c->sources[i]) &&
		    cidr_match(&c->sources[i].net, sa))
			return true;
	return false;
}

/*
 * The settings that a stranger meets at this listener: those that hold for every
 * address without a <source> of its own. Postfix sets these things for a listener,
 * not for a client's network.
 */
static void
stranger_at(
    const struct conf *c, const struct conf_listener *l, const char *user, struct conf_source *out)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct conf_peer peer = {
		.addr = (const struct sockaddr *)&sin,
		.listener_address = l->address,
		.listener_port = l->port,
		.auth_user = user,
	};

	/* The networks for documentation first; then whatever is nobody's. */
	for (uint32_t n = 0; n < 1u << 16; n++) {
		sin.sin_addr.s_addr = htonl(0xc6336400u + n * 65537u);
		if (!has_own_source(c, peer.addr))
			break;
	}
	conf_source_for(c, &peer, out);
}

/* The settings that a client in this network meets, whatever the listener. */
static void
client_in(const struct conf *c, const struct cidr *net, struct conf_source *out)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6 };
	struct conf_peer peer = { .addr = (const struct sockaddr *)&sin };

	if (net->family == AF_INET6)
		peer.addr = (const struct sockaddr *)&sin6;
	memcpy(&sin.sin_addr, net->addr, sizeof(sin.sin_addr));
	memcpy(&sin6.sin6_addr, net->addr, sizeof(sin6.sin6_addr));
	conf_source_for(c, &peer, out);
}

static const char *
some_user(const struct conf *c)
{
	return c->n_smtp_users > 0 ? c->smtp_users[0].name : "user";
}

/* ---- refusals ---- */

static int
check_relaying(const struct conf *c, struct err *e)
{
	for (size_t i = 0; i < c->n_relay_domains; i++)
		if (c->relay_domains[i].kind == DOMAIN_ANY)
			return err_set(e, "relay-domain *: with it Postfix would relay for "
					  "everybody; name the domains");
	for (size_t i = 0; i < c->n_sources; i++)
		if (is_everybody(&c->sources[i]) && c->sources[i].always_allow_relaying)
			return err_set(e,
			    "%s:%u: always-allow-relaying for everybody (<source %s>) makes an "
			    "open relay",
			    c->sources[i].at.file, c->sources[i].at.line, c->sources[i].name);
	if (c->n_listeners == 0)
		return err_set(e, "no smtp-listener: nothing to set up");
	return 0;
}

/* ---- the script's beginning ---- */

static const char head[] =
    "set -eu\n"
    "PATH=$PATH:/usr/sbin:/sbin\n"
    "umask 022\n"
    "dir=${1:-$(postconf -h config_directory 2>/dev/null || echo /etc/postfix)}\n"
    "signalpost=${SIGNALPOST:-signalpost}\n"
    "case $dir in\n"
    "*[!A-Za-z0-9/._+-]* | [!/]* | '')\n"
    "\techo \"the configuration directory must be an absolute path without blanks: $dir\" >&2\n"
    "\texit 64\n"
    "\t;;\n"
    "esac\n"
    "# A machine where Postfix was installed with \"No configuration\" has neither file.\n"
    "[ -f \"$dir/main.cf\" ] || echo 'compatibility_level = 3.6' >\"$dir/main.cf\"\n"
    "[ -f \"$dir/master.cf\" ] || cp /usr/share/postfix/master.cf.dist \"$dir/master.cf\"\n"
    "queue=$(postconf -c \"$dir\" -hx queue_directory)\n"
    "\n"
    "set_main() {\n"
    "\tpostconf -c \"$dir\" -e \"$1\"\n"
    "}\n"
    "table() { # table NAME: a file below $dir/signalpost, rewritten only if it changes\n"
    "\tcat >\"$dir/signalpost/$1.new\"\n"
    "\tif cmp -s \"$dir/signalpost/$1.new\" \"$dir/signalpost/$1\"; then\n"
    "\t\trm \"$dir/signalpost/$1.new\"\n"
    "\telse\n"
    "\t\tmv \"$dir/signalpost/$1.new\" \"$dir/signalpost/$1\"\n"
    "\tfi\n"
    "}\n"
    "service() { # service NAME TYPE REST: begins a master.cf entry\n"
    "\tentry=\"$1/$2=$1 $2 $3\"\n"
    "}\n"
    "option() { # option 'NAME = VALUE'\n"
    "\tentry=\"$entry -o { $1 }\"\n"
    "}\n"
    "service_done() {\n"
    "\tpostconf -c \"$dir\" -M \"$entry\"\n"
    "}\n"
    "mkdir -p \"$dir/signalpost\"\n";

static void
put_head(const struct conf *c, const char *conf_file, FILE *out)
{
	fputs("#!/bin/sh\n# Postfix as ", out);
	fprintf(out, "%s asks for it. Made by `signalpost mta-config postfix`; run it by\n#\n",
	    c->file);
	fputs("#\tsignalpost mta-config postfix | sh -s [CONFIG-DIRECTORY]\n#\n"
	      "# and then `postfix check` and `systemctl restart postfix`. Run again, it changes "
	      "nothing more.\n"
	      "# $SIGNALPOST names the signalpost command if it is not in $PATH.\n",
	    out);
	fputs(head, out);
	fputs("conf=", out);
	put_quoted(out, conf_file);
	putc('\n', out);
}

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
		put_quoted(out, path != NULL ? path : socket);
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
	set_main(out, "milter_default_action", "tempfail");
	set_main(out, "milter_protocol", "6");
	set_main(out, "milter_connect_timeout", "30s");
	set_main(out, "milter_command_timeout", "30s");
	set_main(out, "milter_content_timeout", "300s");
	fputs("# Bounces that Postfix makes are not messages of a sender.\n", out);
	set_main(out, "internal_mail_filter_classes", "");
}

/* ---- host-name, relay-domain, relay-address, address lists ---- */

static bool
is_relay_domain(const struct conf *c, const char *domain)
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

/* Would Postfix send mail for this domain on, rather than deliver it here? */
static bool
relayed_on(const struct conf *c, const char *domain)
{
	if (is_relay_domain(c, domain))
		return true;
	return listed(&c->bounce.domains, domain) || listed(&c->feedback.domains, domain);
}

static void
put_names(const struct conf *c, FILE *out)
{
	struct buf list;

	if (c->host_names.n > 0) {
		fputs("\n# host-name\n", out);
		set_main(out, "myhostname", c->host_names.v[0]);
	}
	fputs("\n# Delivered here: host names that no relay-domain and no address-list names.\n",
	    out);
	buf_init(&list, BUF_NO_LIMIT);
	for (size_t i = 0; i < c->host_names.n; i++)
		if (!relayed_on(c, c->host_names.v[i]))
			buf_printf(&list, "%s, ", c->host_names.v[i]);
	buf_adds(&list, "localhost.localdomain, localhost");
	set_main(out, "mydestination", buf_str(&list));
	buf_free(&list);
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

static void
put_relay_domains(const struct conf *c, FILE *out)
{
	const struct conf_texts *processors[] = { &c->bounce.domains, &c->feedback.domains };
	struct buf list;

	fputs("\n# relay-domain, and the domains of the processors' address lists.\n"
	      "# \"dom\" is that domain alone and \".dom\" its subdomains, so relay_domains is "
	      "taken out of\n"
	      "# the lists whose entries hold for subdomains too.\n",
	    out);
	set_main(out, "parent_domain_matches_subdomains",
	    "debug_peer_list, fast_flush_domains, mynetworks, permit_mx_backup_networks, "
	    "qmqpd_authorized_clients, smtpd_access_maps");
	buf_init(&list, BUF_NO_LIMIT);
	for (size_t i = 0; i < c->n_relay_domains; i++)
		add_relay_pattern(&c->relay_domains[i], &list, out);
	for (size_t k = 0; k < COUNT(processors); k++)
		for (size_t i = 0; i < processors[k]->n; i++)
			if (!is_relay_domain(c, processors[k]->v[i]))
				buf_printf(&list, "%s, ", processors[k]->v[i]);
	if (list.len > 2)
		list.p[list.len -= 2] = '\0';
	set_main(out, "relay_domains", buf_str(&list));
	buf_free(&list);
	fputs("# For every smtpd that is not one of the listeners below.\n", out);
	set_main(out, "smtpd_relay_restrictions",
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

struct relay_tables { /* which of the tables have an entry */
	bool clients, recipients, patterns;
};

static void
put_clients(const struct conf *c, struct relay_tables *have, FILE *out)
{
	struct buf net;

	buf_init(&net, 128);
	fputs("\n# <source NETWORK> always-allow-relaying\ntable clients.cidr <<'END'\n", out);
	for (size_t i = c->n_sources;
	     i-- > 0;) { /* specific first: a cidr table takes the first hit */
		const struct conf_source *s = &c->sources[i];
		struct conf_source merged;

		if (s->kind != CONF_SOURCE_NET || is_everybody(s))
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
put_addresses(const struct conf *c, struct relay_tables *have, FILE *out)
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
			const char *regex = lists[k]->v[i].regex != NULL
			                        ? regex_source(lists[k]->v[i].regex)
			                        : NULL;
			char d = regex != NULL ? delimiter_for(regex) : '\0';

			if (regex == NULL)
				continue;
			have->patterns = true;
			if (d == '\0')
				fprintf(out, "# not mapped, it uses every delimiter: %s\n", regex);
			else
				fprintf(out, "%c%s%c OK\n", d, regex, d);
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

/* What DATA checks for a recipient that the milter has let through. */
static void
put_recipient_checks(const struct relay_tables *have, FILE *out)
{
	if (have->recipients)
		fputs("check_recipient_access texthash:$dir/signalpost/recipients.texthash, ", out);
	if (have->patterns)
		fputs("check_recipient_access pcre:$dir/signalpost/recipients.pcre, ", out);
}

/* ---- the second belt ---- */

static void
put_guard(const struct relay_tables *have, FILE *out)
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
	add_option(out, "smtpd_command_filter", "regexp:{ {/^LHLO(.*)/ EHLO$$1} }");
	fputs("option \"smtpd_relay_restrictions = ", out);
	put_recipient_checks(have, out);
	fputs("reject_unauth_destination\"\n", out);
	for (const char *const *name = (const char *const[]){ "smtpd_milters",
		 "smtpd_client_restrictions", "smtpd_helo_restrictions",
		 "smtpd_sender_restrictions", "smtpd_recipient_restrictions",
		 "smtpd_data_restrictions", "smtpd_end_of_data_restrictions", NULL };
	     *name != NULL; name++)
		add_option(out, *name, "");
	add_option(out, "smtpd_sasl_auth_enable", "no");
	add_option(out, "smtpd_tls_security_level", "none");
	fputs("service_done\n"
	      "table guard.cidr <<'END'\n"
	      "0.0.0.0/0 FILTER spguard:unix:private/spguard-in\n"
	      "::/0 FILTER spguard:unix:private/spguard-in\n"
	      "END\n",
	    out);
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
	    "mkdir -p \"$dir/sasl\"\n"
	    "cat >\"$dir/sasl/smtpd.conf.new\" <<END\n"
	    "pwcheck_method: auxprop\n"
	    "auxprop_plugin: sasldb\n"
	    "mech_list: PLAIN LOGIN\n"
	    "sasldb_path: $dir/sasl/sasldb2\n"
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
		put_quoted(out, c->smtp_users[i].name);
		fputs(")\n", out);
	}
	fputs("# Users that the configuration no longer has\n"
	      "sasldblistusers2 -f \"$dir/sasl/sasldb2\" | sed 's/: [A-Za-z]*$//' | while read -r "
	      "known; do\n"
	      "\tcase $known in\n",
	    out);
	for (size_t i = 0; i < c->n_smtp_users; i++) {
		fputs("\t", out);
		put_quoted(out, c->smtp_users[i].name);
		fputs(strchr(c->smtp_users[i].name, '@') != NULL ? ") ;;\n" : "\"@$realm\") ;;\n",
		    out);
	}
	fputs(
	    "\t*) saslpasswd2 -d -f \"$dir/sasl/sasldb2\" -u \"${known##*@}\" \"${known%@*}\" ;;\n"
	    "\tesac\n"
	    "done\n"
	    "chown root:postfix \"$dir/sasl/sasldb2\"\n"
	    "chmod 640 \"$dir/sasl/sasldb2\"\n",
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
		set_main(out, "smtpd_tls_chain_files", c->tls_certificate);
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
	set_main(out, "smtpd_tls_protocols", buf_str(&list));
	set_main(out, "smtpd_tls_mandatory_protocols", buf_str(&list));
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

	stranger_at(c, l, some_user(c), &known);
	fputs("option \"smtpd_data_restrictions = ", out);
	if (stranger->always_allow_relaying) {
		fputs("\"\n", out); /* a named source: whoever reaches this listener may relay */
		return;
	}
	if (known.always_allow_relaying)
		fputs("permit_sasl_authenticated, ", out);
	if (have->clients)
		fputs("check_client_access cidr:$dir/signalpost/clients.cidr, ", out);
	put_recipient_checks(have, out);
	fputs("reject_unauth_destination, permit_auth_destination, "
	      "check_client_access cidr:$dir/signalpost/guard.cidr\"\n",
	    out);
}

static void
put_listener(
    const struct conf *c, const struct conf_listener *l, const struct relay_tables *have, FILE *out)
{
	struct conf_source s;
	bool auth, tls;

	stranger_at(c, l, NULL, &s);
	auth = s.allow_auth && c->n_smtp_users > 0;
	tls = s.allow_starttls && has_tls(c);
	fputs("\n", out);
	put_at(out, "smtp-listener", &l->at);
	if (!s.smtp_service)
		fputs("# smtp-service is off: the milter refuses every connection here.\n", out);
	fputs("service ", out);
	put_service_name(l, out);
	fputs(" inet 'n - n - - smtpd'\n", out);
	/* In the entry itself, so that no change of main.cf takes the milter away. */
	fputs("option \"smtpd_milters = $milter\"\n", out);
	add_option(out, "smtpd_milter_maps", "");
	add_option(out, "milter_default_action", "tempfail");
	fputs("option 'milter_macro_daemon_name = ", out);
	put_service_name(l, out);
	fputs("'\n", out);
	if (s.require_auth && !have->clients)
		add_option(out, "smtpd_relay_restrictions", "permit_sasl_authenticated, reject");
	else
		add_option(
		    out, "smtpd_relay_restrictions", "check_client_access, static:OK, reject");
	put_data_restrictions(c, l, &s, have, out);
	add_option(out, "smtpd_tls_security_level", tls ? "may" : "none");
	add_option(out, "smtpd_sasl_auth_enable", auth ? "yes" : "no");
	if (auth) {
		add_option(out, "smtpd_sasl_type", "cyrus");
		add_option(out, "smtpd_sasl_path", "smtpd");
		add_option(out, "smtpd_sasl_local_domain", "$myhostname");
		add_option(out, "smtpd_sasl_security_options", "noanonymous");
		add_option(out, "smtpd_tls_auth_only",
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
	if (s.auth_failures != CONF_UNLIMITED)
		fputs("# not mapped: smtp-max-auth-failure-rate; Postfix counts attempts, not "
		      "failures\n",
		    out);
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

/* ---- sizes, queue times, virtual MTAs ---- */

static uint64_t
larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static void
put_sizes(const struct conf *c, FILE *out)
{
	const struct conf_peer pickup = { .addr = NULL };
	struct conf_source s;
	uint64_t most = 0;

	for (size_t i = 0; i < c->n_listeners; i++) {
		stranger_at(c, &c->listeners[i], NULL, &s);
		most = larger(most, s.max_message_size);
		stranger_at(c, &c->listeners[i], some_user(c), &s);
		most = larger(most, s.max_message_size);
	}
	for (size_t i = 0; i < c->n_sources; i++)
		if (c->sources[i].kind == CONF_SOURCE_NET && !is_everybody(&c->sources[i])) {
			client_in(c, &c->sources[i].net, &s);
			most = larger(most, s.max_message_size);
		}
	conf_source_for(c, &pickup, &s);
	most = larger(most, s.max_message_size);
	fputs("\n# max-message-size: the largest of all sources (0 is no limit)\n", out);
	fputs("set_main 'mailbox_size_limit = 0'\nset_main 'virtual_mailbox_limit = 0'\n", out);
	set_main_number(out, "message_size_limit", most == CONF_UNLIMITED ? 0 : most, "");
}

/* The pool that authenticated mail goes through, or the only one. */
static const struct conf_pool *
main_pool(const struct conf *c)
{
	struct conf_source s;
	const struct conf_pool *p;

	stranger_at(c, &c->listeners[0], some_user(c), &s);
	p = s.default_vmta != NULL ? conf_pool_find(c, s.default_vmta) : NULL;
	if (p == NULL && c->n_pools == 1)
		p = &c->pools[0];
	return p;
}

static void
put_unmapped_domains(const struct conf_domain *domains, size_t n, FILE *out)
{
	struct buf text;

	buf_init(&text, 1024);
	for (size_t i = 0; i < n; i++) {
		if (domains[i].pattern.kind == DOMAIN_ANY)
			continue;
		buf_clear(&text);
		domain_pattern_print(&domains[i].pattern, &text);
		fprintf(out,
		    "# not mapped: max-smtp-out, bounce-after, retry-after of <domain %s> (%s:%u); "
		    "Postfix has\n"
		    "# them for a transport, not for a domain\n",
		    buf_str(&text), domains[i].at.file, domains[i].at.line);
	}
	buf_free(&text);
}

static void
put_queue(const struct conf *c, FILE *out)
{
	const struct conf_pool *pool = main_pool(c);
	const struct conf_vmta *vmta =
	    pool != NULL && pool->n_members == 1 ? pool->members[0] : NULL;
	struct conf_domain d;
	uint64_t life, retry;

	conf_domain_for(c, vmta, pool, SLICE_LIT("any.invalid"), &d);
	life = d.bounce_after_s < MAX_BACKOFF_S ? d.bounce_after_s : MAX_BACKOFF_S;
	retry = d.retry_after_s < MAX_BACKOFF_S ? d.retry_after_s : MAX_BACKOFF_S;
	if (retry == 0)
		retry = 1;
	fprintf(out, "\n# bounce-after, retry-after, max-smtp-out of <domain *>%s%s\n",
	    pool != NULL ? " in pool " : "", pool != NULL ? pool->name : "");
	set_main_number(out, "maximal_queue_lifetime", life, "s");
	set_main_number(out, "bounce_queue_lifetime", life, "s");
	set_main_number(out, "minimal_backoff_time", retry, "s");
	set_main_number(out, "maximal_backoff_time", retry, "s");
	set_main_number(out, "queue_run_delay", (retry < 300 ? retry : 300), "s");
	if (d.max_smtp_out != CONF_UNLIMITED)
		set_main_number(out, "default_destination_concurrency_limit", d.max_smtp_out, "");
	put_unmapped_domains(c->domains, c->n_domains, out);
	for (size_t i = 0; i < c->n_pools; i++)
		put_unmapped_domains(c->pools[i].domains, c->pools[i].n_domains, out);
	for (size_t i = 0; i < c->n_vmtas; i++)
		put_unmapped_domains(c->vmtas[i]->domains, c->vmtas[i]->n_domains, out);
}

static bool
is_loopback(const char *ip)
{
	return strncmp(ip, "127.", 4) == 0 || strcmp(ip, "::1") == 0;
}

static void
put_vmtas(const struct conf *c, FILE *out)
{
	const struct conf_vmta *v = c->n_vmtas == 1 ? c->vmtas[0] : NULL;

	if (c->n_vmtas > 1) {
		fputs("\n# not mapped: smtp-source-host of several virtual MTAs; all mail leaves "
		      "from the host's own\n"
		      "# address. Their names go into the events all the same.\n",
		    out);
		return;
	}
	if (v == NULL || v->source_ip == NULL)
		return;
	fputs("\n", out);
	put_at(out, "smtp-source-host of the only virtual MTA", &v->at);
	if (is_loopback(v->source_ip))
		fprintf(out, "# %s reaches no other host: not bound to\n", v->source_ip);
	else
		set_main(out,
		    strchr(v->source_ip, ':') != NULL ? "smtp_bind_address6" : "smtp_bind_address",
		    v->source_ip);
	if (v->source_host != NULL)
		set_main(out, "smtp_helo_name", v->source_host);
}

int
mta_postfix_script(const struct conf *c, const char *conf_file, FILE *out, struct err *e)
{
	struct relay_tables have = { 0 };

	if (check_relaying(c, e) < 0)
		return -1;
	put_head(c, conf_file, out);
	put_names(c, out);
	put_milter(c, out);
	put_relay_domains(c, out);
	put_clients(c, &have, out);
	put_addresses(c, &have, out);
	put_guard(&have, out);
	put_users(c, out);
	put_tls(c, out);
	put_listeners(c, &have, out);
	put_sizes(c, out);
	put_queue(c, out);
	put_vmtas(c, out);
	fputs("\n# Queue ids that are not used again: events are joined by them.\n", out);
	set_main(out, "enable_long_queue_ids", "yes");
	return 0;
}
