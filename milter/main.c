/*
 * signalpost-milter: guards, names, rewrites, signs and reports what a host
 * sends. options -> configuration -> socket -> rights -> keys, spool -> smfi_main.
 */
#include <glob.h>
#include <libmilter/mfapi.h>
#include <openssl/crypto.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/daemon.h"
#include "common/file.h"
#include "common/inbound.h"
#include "common/log.h"
#include "common/spool.h"
#include "milter/callbacks.h"
#include "milter/reload.h"
#include "milter/socket.h"
#include "milter/watchdog.h"

static void
log_recovered(void *unused, const char *text)
{
	(void)unused;
	log_warn("spool: %s", text);
}

static gid_t
group_of(const char *user)
{
	const struct passwd *pw = *user != '\0' ? getpwnam(user) : NULL;

	return pw != NULL ? pw->pw_gid : (gid_t)-1;
}

static bool
has_keys(const char *dir)
{
	struct buf pattern;
	glob_t found;
	bool any;

	buf_init(&pattern, 4096);
	buf_printf(&pattern, "%s/*.key", dir);
	any = glob(buf_str(&pattern), 0, NULL, &found) == 0;
	if (any)
		globfree(&found);
	buf_free(&pattern);
	return any;
}

/* The first start on a host makes what sealed ids need; later ones find it. */
static int
ensure_token_key(const struct conf *c, struct err *e)
{
	const char *dir = c->token_keys.directory;
	struct buf path;
	int rc = 0;

	if (has_keys(dir))
		return 0;
	if (file_mkdirs(dir, 0750, e) < 0)
		return -1;
	/* The key takes the directory's group: its readers are not root. */
	if (geteuid() == 0 && chown(dir, (uid_t)-1, group_of(c->milter.user)) < 0)
		return err_errno(e, "group of %s", dir);
	buf_init(&path, 4096);
	rc = token_ring_new_key(dir, &path, e);
	if (rc == 0)
		log_info("made the first token key, %s", buf_str(&path));
	buf_free(&path);
	return rc;
}

/* As root: the spool's directory must be our user's before we are no longer root. */
static int
prepare_spool(const struct conf *c, struct err *e)
{
	const struct passwd *pw = *c->milter.user != '\0' ? getpwnam(c->milter.user) : NULL;
	const char *dir = c->spool.directory;
	struct stat st;

	if (stat(dir, &st) == 0 || geteuid() != 0)
		return 0;
	if (file_mkdirs(dir, SPOOL_DIR_MODE, e) < 0)
		return -1;
	if (pw != NULL && chown(dir, pw->pw_uid, pw->pw_gid) < 0)
		return err_errno(e, "owner of %s", dir);
	return 0;
}

static void
recover_inbound(struct spool *sp)
{
	struct err e;
	int n = inbound_recover(sp, &e);

	if (n < 0)
		log_error("inbound/tmp: %s", e.text);
	else if (n > 0)
		log_warn("inbound/tmp: removed %d reports that had not been acknowledged; their "
			 "senders have them",
		    n);
}

static struct spool_writer *
start_spool(const struct conf *c, struct spool **sp, struct err *e)
{
	struct spool_writer_options opt = {
		.segment_size = (size_t)c->spool.segment_size,
		.segment_age_ms = (unsigned)(c->spool.segment_age_s * 1000),
		.sync = c->spool.sync,
	};

	*sp = spool_open(c->spool.directory, e);
	if (*sp == NULL || spool_recover(*sp, log_recovered, NULL, e) < 0)
		return NULL;
	recover_inbound(*sp);
	return spool_writer_open(*sp, &opt, e);
}

/* To the log, and to whoever waits at a terminal for the daemon to come up. */
static int
refuse_start(const struct daemon_options *opt, int code, const struct err *e)
{
	log_error("not started: %s", e->text);
	if (!opt->foreground && !opt->check_only)
		fprintf(stderr, "signalpost-milter: not started: %s\n", e->text);
	return code;
}

/* -n: all that a start would read. */
static int
check(const struct conf *c, struct err *e)
{
	struct signing_keys *keys = signing_keys_load(c, e);
	struct token_ring *ring = NULL;
	int rc = keys == NULL ? -1 : 0;

	/* Without any key the first start makes one. */
	if (rc == 0 && has_keys(c->token_keys.directory)) {
		ring = token_ring_open(c->token_keys.directory, e);
		rc = ring == NULL ? -1 : 0;
	}
	for (size_t i = 0; i < c->n_warnings; i++)
		log_line(LOG_LEVEL_WARN, "%s:%u: %s", c->warnings[i].at.file, c->warnings[i].at.line,
		    c->warnings[i].text);
	token_ring_close(ring);
	signing_keys_free(keys);
	return rc;
}

/* Everything that a running milter reads again at a reload is read as its user, so that reloads will work too. */
static int
serve(const struct daemon_options *opt, const struct conf *c, struct err *e)
{
	struct spool *sp = NULL;
	struct spool_writer *writer;
	struct auth_failures_view *view;
	int rc;

	daemon_prepare_log(c, c->milter.user);
	if (daemon_drop_rights(c->milter.user, e) < 0)
		return refuse_start(opt, EX_OSERR, e);
	daemon_log(c);
	if (reload_first(opt->conf_file, e) < 0)
		return refuse_start(opt, EX_CONFIG, e);
	reload_block_signals();
	if ((writer = start_spool(c, &sp, e)) == NULL) {
		spool_close(sp);
		return refuse_start(opt, EX_CANTCREAT, e);
	}
	callbacks_set_spool(writer);
	callbacks_set_inbound(sp);
	view = auth_failures_open(c->spool.directory);
	callbacks_set_auth_failures(view);
	if (daemon_ready(c->milter.pid_file, e) < 0 || watchdog_start(c->milter.socket, e) < 0 ||
	    reload_start(e) < 0)
		return refuse_start(opt, EX_CANTCREAT, e);
	log_info("listening on %s, spool %s", c->milter.socket, c->spool.directory);
	rc = smfi_main();
	daemon_stopping(c->milter.pid_file);
	callbacks_log_totals();
	callbacks_set_spool(NULL);
	callbacks_set_auth_failures(NULL);
	auth_failures_close(view);
	spool_writer_close(writer);
	/* The spool stays open: sessions may still be at work on a report. */
	socket_remove(c->milter.socket);
	log_info("stopped");
	return rc == MI_SUCCESS ? EX_OK : EX_SOFTWARE;
}

static int
start(const struct daemon_options *opt, const struct conf *c, struct err *e)
{
	smfi_settimeout((int)c->milter.timeout_s);
	if (daemon_detach(opt, e) < 0)
		return refuse_start(opt, EX_OSERR, e);
	if (smfi_register(milter_callbacks) != MI_SUCCESS) {
		err_text(e, 0, "libmilter is older than the one this was built with");
		return refuse_start(opt, EX_SOFTWARE, e);
	}
	if (ensure_token_key(c, e) < 0)
		return refuse_start(opt, EX_CONFIG, e);
	if (prepare_spool(c, e) < 0 || socket_open(&c->milter, e) < 0)
		return refuse_start(opt, EX_CANTCREAT, e);
	return serve(opt, c, e);
}

int
main(int argc, char **argv)
{
	struct daemon_options opt;
	struct conf *c;
	struct err e;
	int rc;

	daemon_options(argc, argv, "signalpost-milter", &opt);
	/* libmilter returns while sessions are at work: libcrypto must not be taken down under them. */
	OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL);
	log_open("signalpost-milter", opt.foreground || opt.check_only);
	if ((c = conf_load(opt.conf_file, &e)) == NULL)
		return refuse_start(&opt, EX_CONFIG, &e);
	if (!opt.check_only)
		rc = start(&opt, c, &e);
	else if (check(c, &e) < 0)
		rc = refuse_start(&opt, EX_CONFIG, &e);
	else
		rc = EX_OK;
	if (opt.check_only && rc == EX_OK)
		log_info("%s is good", opt.conf_file);
	conf_free(c);
	return rc;
}
