/*
 * cmd_check.c - is the configuration good, and is what it names there?
 *
 * An error is what a program would refuse to start with; what can still be put
 * in place (a key that has yet to be made) is a warning.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/classify.h"
#include "common/conf.h"
#include "common/dkim.h"
#include "common/token.h"
#include "common/xalloc.h"
#include "ctl/certificate.h"
#include "ctl/ctl.h"
#include "ctl/relay.h"

struct check {
	const struct conf *conf;
	size_t errors, warnings;
	const struct conf_domain_key *
	    *seen; /* keys of a list are in each virtual MTA that uses it */
	size_t n_seen, room;
};

__attribute__((format(printf, 2, 3))) static void
say(const char *level, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s: ", level);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputs("\n", stderr);
}

#define error(c, ...)   ((c)->errors++, say("error", __VA_ARGS__))
#define warning(c, ...) ((c)->warnings++, say("warning", __VA_ARGS__))

static void
report(void *arg, const char *text)
{
	struct check *c = arg;

	error(c, "%s", text);
}

static void
loader_warnings(struct check *c)
{
	for (size_t i = 0; i < c->conf->n_warnings; i++) {
		const struct conf_warning *w = &c->conf->warnings[i];

		if (w->at.line > 0)
			warning(c, "%s:%u: %s", w->at.file, w->at.line, w->text);
		else
			warning(c, "%s: %s", w->at.file, w->text);
	}
}

/* ---- DKIM keys ---- */

static bool
is_new(struct check *c, const struct conf_domain_key *k)
{
	for (size_t i = 0; i < c->n_seen; i++)
		if (c->seen[i]->at.line == k->at.line &&
		    strcmp(c->seen[i]->at.file, k->at.file) == 0)
			return false;
	c->seen = xgrow(c->seen, c->n_seen, &c->room, sizeof(*c->seen));
	c->seen[c->n_seen++] = k;
	return true;
}

static void
check_key(struct check *c, const struct conf_domain_key *k)
{
	struct dkim_key *key;
	struct err e;

	if (access(k->file, F_OK) < 0) {
		warning(c,
		    "%s:%u: domain-key: %s: %s; signalpost-milter will not start until it is there",
		    k->at.file, k->at.line, k->file, strerror(errno));
		return;
	}
	/* Whoever checks need not be allowed to read the keys. */
	if (access(k->file, R_OK) < 0) {
		warning(c, "%s:%u: domain-key: %s: not checked: %s", k->at.file, k->at.line,
		    k->file, strerror(errno));
		return;
	}
	key = dkim_key_load(k->file, &e);
	if (key == NULL)
		error(c, "%s:%u: domain-key: %s", k->at.file, k->at.line, e.text);
	dkim_key_close(key);
}

static void
check_keys(struct check *c, const struct conf_domain_keys *keys)
{
	for (size_t i = 0; i < keys->n; i++)
		if (is_new(c, &keys->v[i]))
			check_key(c, &keys->v[i]);
}

/* ---- other files ---- */

/* A file that is read when it is needed, by `who`. */
static void
check_file(struct check *c, const char *directive, const char *path, const char *who)
{
	struct stat st;

	if (path == NULL)
		return;
	if (stat(path, &st) < 0)
		warning(c, "%s: %s: %s: %s; %s needs it", c->conf->file, directive, path,
		    strerror(errno), who);
	else if (!S_ISREG(st.st_mode))
		warning(c, "%s: %s: %s: not a regular file", c->conf->file, directive, path);
}

/* The certificate's file holds its private key, too. */
static void
check_certificate(struct check *c)
{
	const char *path = c->conf->tls_certificate;
	struct stat st;
	struct err e;

	check_file(c, "smtp-server-tls-certificate", path, "the MTA");
	if (path != NULL && stat(path, &st) == 0 && (st.st_mode & (S_IROTH | S_IWOTH)) != 0)
		warning(c, "%s: smtp-server-tls-certificate: %s: others may %s it (mode %04o)",
		    c->conf->file, path, st.st_mode & S_IWOTH ? "write" : "read",
		    (unsigned)st.st_mode & 07777);
	if (certificate_check(c->conf, &e) < 0)
		warning(c, "%s: smtp-server-tls-certificate: %s", c->conf->file, e.text);
}

/* Keys in `dir`, or -1 if it can't be read; errno says why. *unreadable: those that we may not
 * read. */
static int
count_keys(const char *dir, int *unreadable)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	int n = 0;

	*unreadable = 0;
	if (d == NULL)
		return -1;
	while ((entry = readdir(d)) != NULL) {
		if (entry->d_name[0] == '.' ||
		    !slice_endsi(slice_str(entry->d_name), SLICE_LIT(".key")))
			continue;
		n++;
		if (faccessat(dirfd(d), entry->d_name, R_OK, 0) < 0 && errno == EACCES)
			++*unreadable;
	}
	closedir(d);
	return n;
}

static void
check_ring(struct check *c)
{
	const char *file = c->conf->file, *dir = c->conf->token_keys.directory;
	struct token_ring *ring;
	struct err e;
	int unreadable, n = count_keys(dir, &unreadable);

	if (n < 0) {
		warning(c, "%s: token-keys: %s: %s%s", file, dir, strerror(errno),
		    errno == ENOENT ? "; the first start of signalpost-milter makes it" : "");
	} else if (n == 0) {
		warning(c,
		    "%s: token-keys: %s: no key yet; the first start of "
		    "signalpost-milter makes one",
		    file, dir);
	} else if (unreadable > 0) {
		warning(c, "%s: token-keys: %s: not checked: Permission denied", file, dir);
	} else {
		ring = token_ring_open(dir, &e);
		if (ring == NULL)
			error(c, "%s: token-keys: %s", file, e.text);
		token_ring_close(ring);
	}
}

static void
rule_test_failed(void *arg, const char *text)
{
	struct check *c = arg;

	warning(c, "bounce-rules: %s", text);
}

/* Own rules must be readable; that their tests hold is for whoever wrote them to know. */
static void
check_bounce_rules(struct check *c)
{
	struct classifier *rules;
	struct err e;

	rules = classify_open(c->conf, &e);
	if (rules == NULL)
		error(c, "bounce-rules: %s", e.text);
	else
		classify_test(rules, rule_test_failed, c);
	classify_close(rules);
}

static void
check_named_files(struct check *c)
{
	const struct conf *conf = c->conf;

	check_keys(c, &conf->keys);
	for (size_t i = 0; i < conf->n_vmtas; i++)
		check_keys(c, &conf->vmtas[i]->keys);
	check_certificate(c);
	check_ring(c);
	check_bounce_rules(c);
	check_file(c, "ca-file", conf->signals.ca_file, "signalpost-uploader");
}

/* ---- what would go wrong at the MTA ---- */

static bool
is_any(const char *address)
{
	return address[strspn(address, "0.:[]")] == '\0';
}

/* Two that can't both be listened at. */
static bool
collide(const char *a, unsigned a_port, const char *b, unsigned b_port)
{
	bool same_family = (strchr(a, ':') == NULL) == (strchr(b, ':') == NULL);

	return a_port == b_port && same_family && (is_any(a) || is_any(b) || strcmp(a, b) == 0);
}

static void
check_listeners(struct check *c)
{
	const struct conf_listener *v = c->conf->listeners;

	for (size_t i = 0; i < c->conf->n_listeners; i++)
		for (size_t k = 0; k < i; k++)
			if (collide(v[i].address, v[i].port, v[k].address, v[k].port))
				warning(c,
				    "%s:%u: smtp-listener: %s:%u can't be listened at beside %s:%u "
				    "(line %u): the MTA will not start",
				    v[i].at.file, v[i].at.line, v[i].address, v[i].port,
				    v[k].address, v[k].port, v[k].at.line);
}

/* mta-config refuses it; who sets up the MTA by hand is to know it, too. */
static void
check_relay(struct check *c)
{
	struct err e;

	if (relay_find_open(c->conf, "the MTA", &e) < 0)
		warning(c, "%s", e.text);
}

/* ---- the command ---- */

static int
summary(const struct check *c, const char *file, FILE *out)
{
	if (c->errors > 0) {
		fprintf(stderr, "%s: %zu error%s, %zu warning%s\n", file, c->errors,
		    c->errors == 1 ? "" : "s", c->warnings, c->warnings == 1 ? "" : "s");
		return EX_CONFIG;
	}
	fprintf(out, "%s: configuration is good, %zu warning%s\n", file, c->warnings,
	    c->warnings == 1 ? "" : "s");
	return EX_OK;
}

int
cmd_check(int argc, char **argv)
{
	const char *file = CONF_DEFAULT_FILE;
	struct check c = { .conf = NULL };
	struct conf *conf;
	bool verbose = false;
	struct err e = { .text = "" };
	int opt, rc;

	while ((opt = getopt(argc, argv, "c:v")) != -1)
		switch (opt) {
		case 'c':
			file = optarg;
			break;
		case 'v':
			verbose = true;
			break;
		default:
			return ctl_usage("check");
		}
	if (optind != argc)
		return ctl_usage("check");

	conf = conf_load_all(file, report, &c, &e);
	c.conf = conf;
	if (conf == NULL && c.errors == 0)
		error(&c, "%s", e.text);
	if (conf != NULL) {
		loader_warnings(&c);
		check_named_files(&c);
		check_listeners(&c);
		check_relay(&c);
		if (verbose)
			conf_print(conf, true, true, stdout);
	}
	/* With -v standard output is a configuration, fit to be read back. */
	rc = summary(&c, file, verbose ? stderr : stdout);
	free(c.seen);
	conf_free(conf);
	return rc;
}
