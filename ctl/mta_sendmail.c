#include "ctl/mta_sendmail.h"

#include <string.h>

#include "common/slice.h"
#include "ctl/client.h"
#include "ctl/m4.h"
#include "ctl/relay.h"
#include "ctl/relay_sendmail.h"
#include "ctl/script.h"

#define SASL_DIR  "/etc/mail/signalpost" /* of the password file */
#define SASL_CONF "/etc/sasl2" /* where SASL looks first; a set-group-ID sendmail can't be told */

/* ---- the beginning ---- */

static void
put_begin(const struct conf *c, FILE *out)
{
	fprintf(out, "dnl sendmail as %s asks for it. Made by `signalpost mta-config sendmail`:\n",
	    c->file);
	fputs("dnl\n"
	      "dnl\tsignalpost mta-config sendmail >/etc/mail/signalpost.m4\n"
	      "dnl\n"
	      "dnl In /etc/mail/sendmail.mc, above MAILER_DEFINITIONS and the first MAILER line,\n"
	      "dnl one line takes it in; `make -C /etc/mail` makes sendmail.cf of it:\n"
	      "dnl\n"
	      "dnl\tinclude(`/etc/mail/signalpost.m4')dnl\n"
	      "dnl\n"
	      "divert(0)dnl\n",
	    out);
}

/* ---- <milter> ---- */

static int
put_milter(const struct conf *c, FILE *out, struct err *e)
{
	const char *socket = c->milter.socket;

	if (!m4_is_plain(socket))
		return err_set(e, "<milter> socket %s: sendmail.mc can't hold such a path", socket);
	fputs("\ndnl <milter> socket. F=T: without the milter nothing passes (451); it holds the\n"
	      "dnl relay rule. A filter that changes bodies must stand above this one, since what\n"
	      "dnl is changed behind it breaks its signature.\n",
	    out);
	fprintf(out, "INPUT_MAIL_FILTER(`signalpost', `S=%s, F=T, T=C:30s;S:30s;R:30s;E:5m')dnl\n",
	    socket);
	fputs("dnl What the milter asks for itself at the start of each session; written down for\n"
	      "dnl those who run other filters beside it.\n",
	    out);
	m4_define(out, "confMILTER_MACROS_CONNECT",
	    "j, _, v, {daemon_name}, {daemon_addr}, {daemon_port}, {if_name}, {if_addr}");
	m4_define(out, "confMILTER_MACROS_ENVFROM",
	    "i, {auth_type}, {auth_authen}, {auth_ssf}, {auth_author}, {mail_mailer}, {mail_host}, "
	    "{mail_addr}");
	m4_define(out, "confMILTER_MACROS_ENVRCPT", "i, {rcpt_mailer}, {rcpt_host}, {rcpt_addr}");
	m4_define(out, "confMILTER_MACROS_EOM", "i, {msg_id}");
	return 0;
}

/* ---- what would break a signature ---- */

static void
put_content(const struct conf *c, FILE *out)
{
	uint64_t headers = c->milter.max_header_size;

	fputs("\ndnl What sendmail would change behind the signature: names in addresses "
	      "(nocanonify),\n"
	      "dnl lines of more than 990 bytes, long MIME headers. The milter makes messages "
	      "7-bit,\n"
	      "dnl with lines of at most 998 bytes. MASQUERADE_AS, genericstable and\n"
	      "dnl always_add_domain change From behind it: don't use them for what is signed.\n"
	      "FEATURE(`nocanonify')dnl\n",
	    out);
	fputs("dnl 8: what is 7-bit already is not converted for hops without 8BITMIME; sendmail "
	      "goes\n"
	      "dnl by what the client said, and takes headers of parts out.\n"
	      "MODIFY_MAILER_FLAGS(`SMTP', `+8')dnl\n"
	      "MODIFY_MAILER_FLAGS(`ESMTP', `+8')dnl\n"
	      "MODIFY_MAILER_FLAGS(`DSMTP', `+8')dnl\n",
	    out);
	m4_define(out, "SMTP_MAILER_LL", "2040");
	m4_define(out, "confMAX_MIME_HEADER_LENGTH", "0/0");
	m4_define(out, "confEIGHT_BIT_HANDLING", "pass8");
	if (headers < 1u << 30)
		m4_define_number(out, "confMAX_HEADERS_LENGTH", headers, "");
	fputs("dnl A sender's domain that can't be looked up now is no reason to lose mail.\n"
	      "FEATURE(`accept_unresolvable_domains')dnl\n",
	    out);
}

/* ---- host-name ---- */

static int
put_names(const struct conf *c, FILE *out, struct err *e)
{
	for (size_t i = 0; i < c->host_names.n; i++)
		if (!m4_is_plain(c->host_names.v[i]))
			return err_set(e, "host-name %s: no name of a host", c->host_names.v[i]);
	fputs("\ndnl host-name; delivered here are those that no relay-domain and no address-list\n"
	      "dnl names\n",
	    out);
	if (c->host_names.n > 0)
		m4_define(out, "confDOMAIN_NAME", c->host_names.v[0]);
	for (size_t i = 0; i < c->host_names.n; i++)
		if (!relay_goes_on(c, c->host_names.v[i]))
			fprintf(out, "LOCAL_DOMAIN(`%s')dnl\n", c->host_names.v[i]);
	return 0;
}

/* ---- smtp-server-tls-* ---- */

static bool
has_tls(const struct conf *c)
{
	return c->tls_certificate != NULL &&
	       (c->tls_v1 || c->tls_v1_1 || c->tls_v1_2 || c->tls_v1_3);
}

static int
put_tls(const struct conf *c, FILE *out, struct err *e)
{
	fputs("\ndnl smtp-server-tls-certificate, smtp-server-tls-allow-tlsv1 .. 1.3\n", out);
	if (!has_tls(c)) {
		fputs("dnl No certificate, or no version: no listener offers STARTTLS.\n", out);
		return 0;
	}
	if (!m4_is_plain(c->tls_certificate))
		return err_set(e,
		    "smtp-server-tls-certificate %s: sendmail.mc can't hold such a path",
		    c->tls_certificate);
	m4_define(out, "confSERVER_CERT", c->tls_certificate);
	m4_define(out, "confSERVER_KEY", c->tls_certificate);
	/* It offers no STARTTLS without these two, though clients are asked for no certificate. */
	m4_define(out, "confCACERT", c->tls_certificate);
	m4_define(out, "confCACERT_PATH", "/etc/ssl/certs");
	m4_define(out, "confTLS_SRV_OPTIONS", "V");
	fprintf(out,
	    "define(`confSERVER_SSL_OPTIONS', `+SSL_OP_NO_SSLv2 +SSL_OP_NO_SSLv3%s%s%s%s "
	    "+SSL_OP_CIPHER_SERVER_PREFERENCE')dnl\n",
	    c->tls_v1 ? "" : " +SSL_OP_NO_TLSv1", c->tls_v1_1 ? "" : " +SSL_OP_NO_TLSv1_1",
	    c->tls_v1_2 ? "" : " +SSL_OP_NO_TLSv1_2", c->tls_v1_3 ? "" : " +SSL_OP_NO_TLSv1_3");
	if (c->tls_certificate_password != NULL)
		fputs("dnl not mapped: the certificate's password; sendmail needs the key without "
		      "one\n",
		    out);
	return 0;
}

/* ---- smtp-user ---- */

/* One switch for all listeners, so the strictest has its way. */
static bool
plain_needs_tls(const struct conf *c)
{
	struct conf_source s;

	for (size_t i = 0; i < c->n_listeners; i++) {
		client_stranger_at(c, &c->listeners[i], NULL, &s);
		if (s.allow_auth &&
		    (!s.allow_unencrypted_plain_auth || s.require_starttls_before_auth))
			return true;
	}
	return false;
}

static void
put_users(const struct conf *c, FILE *out)
{
	bool strict = plain_needs_tls(c);

	if (c->n_smtp_users == 0)
		return;
	fputs("\ndnl <smtp-user>: Cyrus SASL with a password file of its own, which this makes:\n"
	      "dnl\n"
	      "dnl\tsignalpost mta-config sendmail -u | sh\n"
	      "dnl\n",
	    out);
	m4_define(out, "confAUTH_MECHANISMS", "PLAIN LOGIN");
	fputs("TRUST_AUTH_MECH(`PLAIN LOGIN')dnl\n", out);
	m4_define(out, "confAUTH_REALM", client_realm(c));
	fprintf(out,
	    "dnl p: no AUTH without TLS (allow-unencrypted-plain-auth)\n"
	    "define(`confAUTH_OPTIONS', `A%s y')dnl\n",
	    strict ? " p" : "");
	for (size_t i = 0; i < c->n_listeners && strict; i++) {
		struct conf_source s;

		client_stranger_at(c, &c->listeners[i], NULL, &s);
		if (s.allow_auth && s.allow_unencrypted_plain_auth &&
		    !s.require_starttls_before_auth)
			fprintf(out,
			    "dnl not mapped: allow-unencrypted-plain-auth at %s:%u; sendmail has "
			    "one "
			    "switch for all listeners\n",
			    c->listeners[i].address, c->listeners[i].port);
	}
	for (size_t i = 0; i < c->n_smtp_users; i++) {
		const struct conf_smtp_user *u = &c->smtp_users[i];

		if (u->method != NULL && strcmp(u->method, "password") != 0)
			fprintf(out,
			    "dnl not mapped: authentication-method %s of %s; PLAIN and LOGIN it "
			    "is\n",
			    u->method, u->name);
	}
}

void
mta_sendmail_users(const struct conf *c, const char *conf_file, FILE *out)
{
	fprintf(out,
	    "#!/bin/sh\n# Users of sendmail as %s has them. Made by `signalpost mta-config "
	    "sendmail -u`.\n",
	    c->file);
	fputs("# $1 is the folder of the password file, $2 that of Sendmail.conf; $SIGNALPOST is "
	      "the\n"
	      "# signalpost command if it is not in $PATH. Passwords go through a pipe, and stand "
	      "in no argument list.\n"
	      "set -eu\n"
	      "PATH=$PATH:/usr/sbin:/sbin\n"
	      "umask 077\n"
	      "dir=${1:-" SASL_DIR "}\n"
	      "sasl=${2:-" SASL_CONF "}\n"
	      "signalpost=${SIGNALPOST:-signalpost}\n"
	      "conf=",
	    out);
	script_quoted(out, conf_file);
	fputs("\nhost=", out);
	script_quoted(out, client_realm(c));
	fputs(
	    "\nmkdir -p \"$dir\"\n"
	    "(umask 022 && mkdir -p \"$sasl\")\n"
	    "rm -f \"$dir/sasldb2.new\"\n"
	    "user() { # a name without a realm gets ours\n"
	    "\trealm=$host\n"
	    "\tcase $1 in *@*) realm=${1##*@} ;; esac\n"
	    "\tpassword=$(\"$signalpost\" mta-config sendmail -c \"$conf\" -p \"$1\") || return 1\n"
	    "\tprintf %s \"$password\" | saslpasswd2 -p -c -f \"$dir/sasldb2.new\" -u \"$realm\" "
	    "\"${1%@*}\"\n"
	    "}\n",
	    out);
	for (size_t i = 0; i < c->n_smtp_users; i++) {
		fputs("user ", out);
		script_quoted(out, c->smtp_users[i].name);
		putc('\n', out);
	}
	fputs("[ ! -f \"$dir/sasldb2.new\" ] || mv \"$dir/sasldb2.new\" \"$dir/sasldb2\"\n"
	      "cat >\"$sasl/Sendmail.conf\" <<END\n"
	      "pwcheck_method: auxprop\n"
	      "auxprop_plugin: sasldb\n"
	      "mech_list: PLAIN LOGIN\n"
	      "sasldb_path: $dir/sasldb2\n"
	      "END\n",
	    out);
}

/* ---- smtp-listener ---- */

static void
put_listener(const struct conf *c, const struct conf_listener *l, FILE *out)
{
	struct conf_source s;
	bool auth, tls;

	client_stranger_at(c, l, NULL, &s);
	auth = s.allow_auth && c->n_smtp_users > 0;
	tls = s.allow_starttls && has_tls(c);
	m4_at(out, "smtp-listener", &l->at);
	if (!s.smtp_service)
		fputs("dnl smtp-service is off: the milter refuses every connection here.\n", out);
	if (auth && !tls && plain_needs_tls(c))
		fputs("dnl AUTH is never offered here: there is no TLS.\n", out);
	if (s.auth_failures != CONF_UNLIMITED)
		fputs("dnl smtp-max-auth-failure-rate: the milter refuses a client at connect that has\n"
		      "dnl failed too often, by what <mail-log> says. sendmail has no such limit itself.\n",
		    out);
	/* E: no ETRN; A: no AUTH; S: no STARTTLS */
	fprintf(out, "DAEMON_OPTIONS(`Name=%s:%u, Family=%s, Addr=%s, Port=%u, M=E%s%s')dnl\n",
	    l->address, l->port, strchr(l->address, ':') != NULL ? "inet6" : "inet", l->address,
	    l->port, auth ? "" : "A", tls ? "" : "S");
}

static int
put_listeners(const struct conf *c, FILE *out, struct err *e)
{
	for (size_t i = 0; i < c->n_listeners; i++)
		if (!m4_is_plain(c->listeners[i].address))
			return err_set(e, "smtp-listener %s: no address", c->listeners[i].address);
	fputs("\ndnl The listeners are those of the configuration: what DAEMON_OPTIONS said above "
	      "is\n"
	      "dnl forgotten.\n"
	      "FEATURE(`no_default_msa')dnl\n"
	      "define(`_DPO_', `')dnl\n",
	    out);
	for (size_t i = 0; i < c->n_listeners; i++)
		put_listener(c, &c->listeners[i], out);
	fputs(
	    "dnl <source {pickup}>: what programs on this host give to the sendmail command. For\n"
	    "dnl sendmail that is SMTP too, so it gets a listener of its own, on port 24 (\"any\n"
	    "dnl private mail system\"). In /etc/mail/submit.mc, above FEATURE(`msp', ...):\n"
	    "dnl\n"
	    "dnl\tdefine(`RELAY_MAILER_ARGS', `TCP $h 24')dnl\n"
	    "dnl\n"
	    "dnl Without it such mail is a stranger's on 127.0.0.1:25, and not relayed.\n"
	    "DAEMON_OPTIONS(`Name=" CONF_PICKUP_LISTENER
	    ", Family=inet, Addr=127.0.0.1, Port=24, M=EAS')dnl\n",
	    out);
	return 0;
}

/* ---- sizes, queue times, virtual MTAs ---- */

static void
put_sizes(const struct conf *c, FILE *out)
{
	uint64_t most = client_largest_message(c);

	fputs("\ndnl max-message-size: the largest of all sources (0 is no limit); the milter has "
	      "the "
	      "others\n",
	    out);
	m4_define_number(out, "confMAX_MESSAGE_SIZE", most == CONF_UNLIMITED ? 0 : most, "");
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
		fprintf(out, "dnl not mapped: bounce-after, retry-after of <domain %s> (%s:%u)\n",
		    buf_str(&text), domains[i].at.file, domains[i].at.line);
	}
	buf_free(&text);
}

static void
put_queue(const struct conf *c, FILE *out)
{
	static const char *const returns[] = { "confTO_QUEUERETURN", "confTO_QUEUERETURN_NORMAL",
		"confTO_QUEUERETURN_URGENT", "confTO_QUEUERETURN_NONURGENT",
		"confTO_QUEUERETURN_DSN" };
	static const char *const warns[] = { "confTO_QUEUEWARN", "confTO_QUEUEWARN_NORMAL",
		"confTO_QUEUEWARN_URGENT", "confTO_QUEUEWARN_NONURGENT", "confTO_QUEUEWARN_DSN" };
	const struct conf_pool *pool = client_main_pool(c);
	const struct conf_vmta *vmta =
	    pool != NULL && pool->n_members == 1 ? pool->members[0] : NULL;
	struct conf_domain d;

	conf_domain_for(c, vmta, pool, SLICE_LIT("any.invalid"), &d);
	fprintf(out, "\ndnl bounce-after, retry-after of <domain *>%s%s\n",
	    pool != NULL ? " in pool " : "", pool != NULL ? pool->name : "");
	if (d.bounce_after_s != CONF_UNLIMITED)
		for (size_t i = 0; i < COUNT(returns); i++)
			m4_define_number(out, returns[i], d.bounce_after_s, "s");
	fputs("dnl A sender is not told that its mail waits; there is an event for it.\n", out);
	for (size_t i = 0; i < COUNT(warns); i++)
		m4_define(out, warns[i], "0");
	if (d.retry_after_s != CONF_UNLIMITED) {
		m4_define_number(out, "confMIN_QUEUE_AGE", d.retry_after_s, "s");
		m4_define_number(out, "confTO_HOSTSTATUS", d.retry_after_s, "s");
		fputs("dnl How often the queue is looked at is no matter of sendmail.mc: in\n"
		      "dnl /etc/mail/sendmail.conf, QUEUE_INTERVAL=\"1m\"; a host that did not "
		      "answer is\n"
		      "dnl asked again only after the time above.\n",
		    out);
	}
	if (d.max_smtp_out != CONF_UNLIMITED)
		fputs("dnl not mapped: max-smtp-out; sendmail limits its queue runners, not the "
		      "connections to a domain\n",
		    out);
	put_unmapped_domains(c->domains, c->n_domains, out);
	for (size_t i = 0; i < c->n_pools; i++)
		put_unmapped_domains(c->pools[i].domains, c->pools[i].n_domains, out);
	for (size_t i = 0; i < c->n_vmtas; i++)
		put_unmapped_domains(c->vmtas[i]->domains, c->vmtas[i]->n_domains, out);
}

static void
put_vmtas(const struct conf *c, FILE *out)
{
	const struct conf_vmta *v = c->n_vmtas == 1 ? c->vmtas[0] : NULL;

	if (c->n_vmtas > 1) {
		fputs("\ndnl not mapped: smtp-source-host of several virtual MTAs; all mail leaves "
		      "from "
		      "the host's\n"
		      "dnl own address. Their names go into the events all the same.\n",
		    out);
		return;
	}
	if (v == NULL || v->source_ip == NULL || !m4_is_plain(v->source_ip))
		return;
	fputs("\n", out);
	m4_at(out, "smtp-source-host of the only virtual MTA", &v->at);
	if (strncmp(v->source_ip, "127.", 4) == 0 || strcmp(v->source_ip, "::1") == 0)
		fprintf(out, "dnl %s reaches no other host: not bound to\n", v->source_ip);
	else
		fprintf(out, "CLIENT_OPTIONS(`Family=%s, Addr=%s')dnl\n",
		    strchr(v->source_ip, ':') != NULL ? "inet6" : "inet", v->source_ip);
	if (v->source_host != NULL && m4_is_plain(v->source_host))
		m4_define(out, "confHELO_NAME", v->source_host);
}

int
mta_sendmail_mc(const struct conf *c, FILE *out, struct err *e)
{
	if (relay_check(c, "sendmail", e) < 0)
		return -1;
	put_begin(c, out);
	if (put_names(c, out, e) < 0 || put_milter(c, out, e) < 0)
		return -1;
	put_content(c, out);
	if (put_tls(c, out, e) < 0 || put_listeners(c, out, e) < 0)
		return -1;
	put_users(c, out);
	put_sizes(c, out);
	put_queue(c, out);
	put_vmtas(c, out);
	relay_sendmail_put(c, CONF_PICKUP_LISTENER, out);
	fputs("divert(0)dnl\n", out);
	return 0;
}
