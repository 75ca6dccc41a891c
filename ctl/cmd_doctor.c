/*
 * cmd_doctor.c - is everything in force? One line for each thing that was looked at, with
 * a remedy below it where something is wrong.
 */
#include <errno.h>
#include <getopt.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/ledger.h"
#include "common/signing.h"
#include "common/spool.h"
#include "common/token.h"
#include "ctl/as_user.h"
#include "ctl/certificate.h"
#include "ctl/ctl.h"
#include "ctl/ingest_probe.h"
#include "ctl/mta_check.h"
#include "ctl/mta_probe.h"
#include "ctl/sendmail_check.h"
#include "ctl/status.h"

#define POSTFIX_DIR   "/etc/postfix"
#define UPLOADER_USER "signalpost-uploader" /* as the unit has it */
#define TRACKER_USER  "signalpost-tracker"
#define CLOCK_MAX_S   60 /* off; events are joined by time, and tokens have dates */

struct doctor {
	const struct conf *conf;
	const char *conf_file, *postfix,
	    *sendmail; /* sendmail: its folder, or NULL: Postfix it is */
	bool online;
	unsigned problems;
};

/* ---- findings ---- */

__attribute__((format(printf, 2, 3))) static void
good(const char *what, const char *fmt, ...)
{
	va_list ap;

	printf("ok: %s: ", what);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

__attribute__((format(printf, 2, 3))) static void
unknown(const char *what, const char *fmt, ...)
{
	va_list ap;

	printf("note: %s: ", what);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

__attribute__((format(printf, 4, 5))) static void
problem(struct doctor *d, const char *what, const char *remedy, const char *fmt, ...)
{
	va_list ap;

	printf("problem: %s: ", what);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n\t%s\n", remedy);
	d->problems++;
}

#define OWNED                                                                                      \
	0x100 /* to be read by its owner alone: no group may, so that the user has to be it        \
	       */

/* A file or directory that a daemon needs; mode as for access(2), and OWNED. */
static void
check_access(struct doctor *d, const char *what, const char *user, const char *path, int mode)
{
	const char *who = user != NULL && *user != '\0' ? user : "root";
	char remedy[512];
	int why = as_user_access(user, path, mode & ~OWNED);

	if (why == 0) {
		good(what, "%s, for %s", path, who);
	} else if (why < 0) {
		unknown(what,
		    "whether %s may use %s is not known: no such user, or you are not root", who,
		    path);
	} else if (why == ENOENT) {
		snprintf(remedy, sizeof(remedy), "ls -ld %s", path);
		problem(d, what, remedy, "%s: there is no such file", path);
	} else {
		if ((mode & (W_OK | OWNED)) != 0)
			snprintf(remedy, sizeof(remedy), "chown %s %s", who, path);
		else
			snprintf(remedy, sizeof(remedy), "chgrp %s %s && chmod g+r%s %s",
			    as_user_group(user), path, (mode & X_OK) != 0 ? "x" : "", path);
		problem(d, what, remedy, "%s: %s, for %s", path, strerror(why), who);
	}
}

/* The unit's; without it the uploader becomes the milter's user. */
static const char *
uploader_user(const struct doctor *d)
{
	return getpwnam(UPLOADER_USER) != NULL ? UPLOADER_USER : d->conf->milter.user;
}

/* What several daemons write to, as members of one group. Nothing is said of what is good. */
static void
check_shared(struct doctor *d, const char *what, const char *user, const char *path)
{
	struct stat st;
	char remedy[9000];
	int why;

	if (stat(path, &st) < 0)
		return; /* it is made when it is needed */
	why = as_user_access(user, path, R_OK | W_OK | (S_ISDIR(st.st_mode) ? X_OK : 0));
	if (why <= 0)
		return;
	snprintf(remedy, sizeof(remedy), "chgrp %s %s && chmod %s %s",
	    as_user_group(d->conf->milter.user), path, S_ISDIR(st.st_mode) ? "g+rwxs" : "g+rw",
	    path);
	problem(d, what, remedy, "%s: %s, for %s", path, strerror(why), user);
}

/* ---- what is looked at ---- */

static void
check_configuration(struct doctor *d)
{
	if (d->conf->n_warnings == 0)
		good("configuration", "%s", d->conf->file);
	else
		unknown("configuration", "%s, with %zu remark%s: signalpost check", d->conf->file,
		    d->conf->n_warnings, d->conf->n_warnings == 1 ? "" : "s");
}

static void
check_socket(struct doctor *d)
{
	static const char start[] = "systemctl restart signalpost-milter";
	/* sendmail asks as root. */
	const char *user = d->sendmail != NULL ? "root" : "postfix";
	char where[4200], remedy[8600];

	switch (mta_probe(d->conf->milter.socket, user, where, sizeof(where))) {
	case MTA_PROBE_OK:
		good("milter", "answers at %s", d->conf->milter.socket);
		break;
	case MTA_PROBE_UNKNOWN:
		unknown("milter", "only root can see whether the MTA reaches %s", where);
		break;
	case MTA_PROBE_NO_SOCKET:
		problem(d, "milter", start, "no socket %s", where);
		break;
	case MTA_PROBE_NO_ANSWER:
		problem(d, "milter", start, "nobody listens at %s", where);
		break;
	case MTA_PROBE_DIRECTORY:
	case MTA_PROBE_PERMISSION:
		snprintf(
		    remedy, sizeof(remedy), "chgrp %s %s && chmod g+rwx %s", user, where, where);
		problem(d, "milter", remedy, "the user %s may not pass %s", user, where);
		break;
	}
}

static void
check_sendmail(struct doctor *d)
{
	struct buf found, remedy;
	struct err e;
	int rc;

	buf_init(&found, 16384);
	buf_init(&remedy, 32768);
	rc = sendmail_check(d->conf, d->conf_file, d->sendmail, &found, &remedy, &e);
	if (rc < 0)
		problem(d, "MTA", "signalpost mta-config sendmail", "%s", e.text);
	else if (rc > 0)
		problem(d, "MTA", buf_str(&remedy), "%s", buf_str(&found));
	else
		good("MTA", "sendmail in %s", d->sendmail);
	buf_free(&found);
	buf_free(&remedy);
}

static void
check_mta(struct doctor *d)
{
	char path[4200];
	struct err e;
	int rc;

	if (d->sendmail != NULL) {
		check_sendmail(d);
		return;
	}
	snprintf(path, sizeof(path), "%s/main.cf", d->postfix);
	if (access(path, F_OK) < 0) {
		unknown("MTA", "no Postfix in %s, and no sendmail in " SENDMAIL_DIR, d->postfix);
		return;
	}
	fflush(stdout);
	rc = mta_check(d->conf, d->conf_file, d->postfix, false, &e);
	if (rc < 0)
		problem(d, "MTA", "signalpost mta-config postfix --check", "%s", e.text);
	else if (rc > 0)
		problem(d, "MTA", "the commands above", "Postfix in %s is not as it is needed",
		    d->postfix);
	else
		good("MTA", "Postfix in %s", d->postfix);
}

static void
check_keys(struct doctor *d)
{
	const struct conf *c = d->conf;
	struct token_ring *ring;
	struct signing_keys *keys;
	struct err e;

	keys = signing_keys_load(c, &e);
	if (keys == NULL)
		problem(d, "DKIM keys", "signalpost testkey", "%s", e.text);
	signing_keys_free(keys);
	for (size_t i = 0; i < c->keys.n; i++)
		check_access(d, "DKIM key", c->milter.user, c->keys.v[i].file, R_OK | OWNED);
	for (size_t i = 0; i < c->n_vmtas; i++)
		for (size_t k = 0; k < c->vmtas[i]->keys.n; k++)
			check_access(d, "DKIM key", c->milter.user, c->vmtas[i]->keys.v[k].file,
			    R_OK | OWNED);
	if (c->keys.n == 0 && c->n_vmtas == 0)
		unknown("DKIM keys", "no domain-key: nothing is signed");
	ring = token_ring_open(c->token_keys.directory, &e);
	if (ring == NULL)
		problem(d, "token keys", "signalpost genkey token", "%s", e.text);
	else
		check_access(d, "token keys", c->milter.user, c->token_keys.directory, R_OK | X_OK);
	token_ring_close(ring);
}

static void
check_certificate(struct doctor *d)
{
	const char *file = d->conf->tls_certificate;
	const char *host =
	    d->conf->host_names.n > 0 ? d->conf->host_names.v[0] : "mail.example.com";
	struct buf remedy;
	struct err e;

	if (file == NULL) {
		unknown("TLS", "no smtp-server-tls-certificate: nobody gets STARTTLS");
		return;
	}
	if (access(file, R_OK) == 0 && certificate_check(d->conf, &e) == 0) {
		good("TLS", "%s", file);
		return;
	}
	if (access(file, R_OK) < 0)
		err_text(&e, errno, "%s", file);
	buf_init(&remedy, BUF_NO_LIMIT);
	buf_printf(&remedy,
	    "(umask 077; openssl req -x509 -newkey rsa:2048 -nodes -days 365 -subj /CN=%s -keyout "
	    "%s.key -out %s.crt && cat %s.key %s.crt >%s)",
	    host, file, file, file, file, file);
	problem(d, "TLS", buf_str(&remedy), "%s", e.text);
	buf_free(&remedy);
}

static void
check_tracking(struct doctor *d)
{
	const char *base = conf_tracking_base(d->conf);
	const char *listen =
	    d->conf->tracker.listen.n > 0 ? d->conf->tracker.listen.v[0] : CONF_TRACKER_LISTEN;
	const char *colon = strrchr(listen, ':');
	char socket[256], where[256];

	if (d->conf->signals.engagement_tracking == CONF_TRACKING_OFF) {
		unknown("tracking", "off: engagement-tracking");
		return;
	}
	if (base == NULL) {
		problem(d, "tracking", "tracking-domain track.example.com in <signals>",
		    "no tracking-domain and no host-name: nothing is tracked");
		return;
	}
	good("tracking", "links begin with %s", base);
	if (colon == NULL)
		return;
	snprintf(socket, sizeof(socket), "inet:%s@%.*s", colon + 1, (int)(colon - listen), listen);
	if (mta_probe(socket, "", where, sizeof(where)) == MTA_PROBE_OK)
		good("tracker", "answers at %s", listen);
	else
		problem(d, "tracker", "systemctl restart signalpost-tracker",
		    "nobody listens at %s: links of sent mail are dead", listen);
}

/* Its files are root's, for the group adm. */
static void
check_journal(struct doctor *d, const char *user)
{
	static const char *const homes[] = { "/var/log/journal", "/run/log/journal" };
	char id[64] = "", path[256];
	FILE *f = fopen("/etc/machine-id", "re");

	if (f != NULL) {
		if (fscanf(f, "%63s", id) != 1)
			id[0] = '\0';
		fclose(f);
	}
	for (size_t i = 0; i < COUNT(homes); i++) {
		snprintf(path, sizeof(path), "%s/%s/system.journal", homes[i], id);
		if (access(path, F_OK) == 0) {
			check_access(d, "mail log", user, path, R_OK);
			return;
		}
	}
	problem(d, "mail log", "apt-get install rsyslog, and in <mail-log>: file /var/log/mail.log",
	    "journal: this host has none");
}

static void
check_log(struct doctor *d)
{
	const struct conf_mail_log *l = &d->conf->mail_log;
	const char *user = getpwnam(UPLOADER_USER) != NULL ? UPLOADER_USER : "";

	if (!l->given)
		unknown("mail log", "no <mail-log>: no delivery, bounce and delay events");
	for (size_t i = 0; i < l->files.n; i++)
		check_access(d, "mail log", user, l->files.v[i], R_OK);
	if (l->journal)
		check_journal(d, user);
}

static void
check_ingest(struct doctor *d)
{
	const struct conf_signals *s = &d->conf->signals;
	struct ingest_answer a;
	struct err e;

	if (!s->given) {
		unknown("ingest", "no <signals>: no events");
	} else if (!d->online && !ingest_is_here(s->upload_url)) {
		unknown("ingest", "%s was not asked; --online does", s->upload_url);
	} else if (ingest_probe(s, &a, &e) < 0) {
		problem(d, "ingest",
		    ingest_is_here(s->upload_url) ? "systemctl restart signalpost-collector"
						  : "upload-url in <signals>, and the way there",
		    "%s", e.text);
	} else if (a.status == 401 || a.status == 403) {
		problem(d, "ingest", "api-key in <signals>", "%s does not take the api-key (%ld)",
		    s->upload_url, a.status);
	} else if (a.status >= 500 || a.status == 404) {
		problem(d, "ingest", "upload-url in <signals>", "%s answers %ld", s->upload_url,
		    a.status);
	} else {
		good("ingest", "%s answers and takes the api-key", s->upload_url);
		if (a.has_date && (a.ahead_s > CLOCK_MAX_S || a.ahead_s < -CLOCK_MAX_S))
			problem(d, "clock", "timedatectl set-ntp true",
			    "%s is %lld s ahead of this host", s->upload_url, (long long)a.ahead_s);
	}
}

static void
check_clock(struct doctor *d)
{
	struct timex t = { .modes = 0 };

	(void)d;
	if (adjtimex(&t) < 0 || (t.status & STA_UNSYNC) != 0)
		unknown("clock", "not synchronised, says the kernel: timedatectl set-ntp true");
	else
		good("clock", "synchronised");
}

static void
check_spool(struct doctor *d)
{
	static const char *const parts[] = { "events", "events/open", "inbound", "inbound/onward",
		"rejected", SPOOL_UPLOADER_LOCK, LEDGER_NAME };
	const char *dir = d->conf->spool.directory;
	char path[4200];

	check_access(d, "spool", d->conf->milter.user, dir, R_OK | W_OK | X_OK);
	for (size_t i = 0; i < COUNT(parts); i++) {
		snprintf(path, sizeof(path), "%.4000s/%s", dir, parts[i]);
		check_shared(d, "spool", d->conf->milter.user, path);
		check_shared(d, "spool", uploader_user(d), path);
	}
	if (d->conf->signals.engagement_tracking != CONF_TRACKING_OFF &&
	    getpwnam(TRACKER_USER) != NULL) {
		snprintf(path, sizeof(path), "%.4000s/events/open", dir);
		check_shared(d, "spool", TRACKER_USER, path);
	}
	for (size_t i = 0; i < d->conf->n_sinks; i++)
		if (d->conf->sinks[i].directory != NULL &&
		    access(d->conf->sinks[i].directory, F_OK) == 0)
			check_access(d, "archive", uploader_user(d), d->conf->sinks[i].directory,
			    R_OK | W_OK | X_OK);
	if (d->conf->log_file != NULL) {
		check_shared(d, "log-file", d->conf->milter.user, d->conf->log_file);
		check_shared(d, "log-file", uploader_user(d), d->conf->log_file);
	}
}

/* The uploader, the ledger, the sinks, the room: what `signalpost status` calls a problem. */
static void
check_events(struct doctor *d)
{
	const struct conf *c = d->conf;
	struct status st;
	struct err e;

	if (!c->signals.given && c->n_sinks == 0 && !c->mail_log.given &&
	    c->bounce.domains.n + c->bounce.addresses.n + c->feedback.domains.n +
		    c->feedback.addresses.n ==
		0) {
		unknown(
		    "events", "no <signals>, no <sink>, no processor: there is nothing to upload");
		return;
	}
	if (status_gather(d->conf, &st, &e) < 0) {
		problem(d, "events", "systemctl restart signalpost-milter signalpost-uploader",
		    "%s", e.text);
		return;
	}
	for (size_t i = 0; i < st.n_problems; i++)
		problem(d, "events",
		    i == 0 && !st.uploader_runs ? "systemctl start signalpost-uploader"
						: "signalpost status",
		    "%s", st.problems[i]);
	if (st.n_problems == 0)
		good("events", "nothing is amiss: signalpost status has the figures");
	status_free(&st);
}

static void (*const checks[])(struct doctor *d) = { check_configuration, check_socket, check_mta,
	check_keys, check_certificate, check_spool, check_events, check_tracking, check_log,
	check_ingest, check_clock };

int
cmd_doctor(int argc, char **argv)
{
	static const struct option long_options[] = {
		{ "online", no_argument, NULL, 'o' },
		{ "postfix", required_argument, NULL, 'P' },
		{ "sendmail", required_argument, NULL, 'S' },
		{ NULL, 0, NULL, 0 },
	};
	struct doctor d = { .conf_file = CONF_DEFAULT_FILE, .postfix = POSTFIX_DIR };
	struct conf *c;
	struct err e;
	int opt;

	if (sendmail_is_mta())
		d.sendmail = SENDMAIL_DIR;
	while ((opt = getopt_long(argc, argv, "c:", long_options, NULL)) != -1)
		switch (opt) {
		case 'c':
			d.conf_file = optarg;
			break;
		case 'o':
			d.online = true;
			break;
		case 'P':
			d.postfix = optarg;
			d.sendmail = NULL;
			break;
		case 'S':
			d.sendmail = optarg;
			break;
		default:
			return ctl_usage("doctor");
		}
	if (optind < argc)
		return ctl_usage("doctor");
	d.conf = c = conf_load(d.conf_file, &e);
	if (c == NULL) {
		fprintf(stderr, "signalpost: %s\n", e.text);
		return EX_CONFIG;
	}
	for (size_t i = 0; i < COUNT(checks); i++)
		checks[i](&d);
	conf_free(c);
	printf("%u problem%s\n", d.problems, d.problems == 1 ? "" : "s");
	return d.problems == 0 ? EX_OK : 1;
}
