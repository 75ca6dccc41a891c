#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/conf.h"
#include "ctl/ctl.h"
#include "ctl/mta_apply.h"
#include "ctl/mta_check.h"
#include "ctl/mta_postfix.h"
#include "ctl/mta_sendmail.h"

/* For the script's pipe to saslpasswd2: nothing but the password, no line end. */
static int
print_password(const struct conf *c, const char *user)
{
	for (size_t i = 0; i < c->n_smtp_users; i++)
		if (strcmp(c->smtp_users[i].name, user) == 0 && c->smtp_users[i].password != NULL) {
			fputs(c->smtp_users[i].password, stdout);
			return EX_OK;
		}
	fprintf(stderr, "signalpost: no <smtp-user %s> with a password\n", user);
	return 1;
}

static int
print_script(const struct conf *c, const char *file)
{
	char *path = realpath(file, NULL); /* the script may be run from anywhere */
	struct err e;
	int rc = mta_postfix_script(c, path != NULL ? path : file, stdout, &e);

	free(path);
	if (rc == 0)
		return EX_OK;
	fprintf(stderr, "signalpost: %s\n", e.text);
	return 1;
}

/* Into memory first: half of it must not look like the whole. */
static int
print_sendmail(const struct conf *c)
{
	char *text = NULL;
	size_t len = 0;
	FILE *memory = open_memstream(&text, &len);
	struct err e;
	int rc = memory != NULL ? mta_sendmail_mc(c, memory, &e) : err_errno(&e, "memory");

	if (memory != NULL)
		fclose(memory);
	if (rc == 0)
		fwrite(text, 1, len, stdout);
	else
		fprintf(stderr, "signalpost: %s\n", e.text);
	free(text);
	return rc == 0 ? EX_OK : 1;
}

static int
print_sendmail_users(const struct conf *c, const char *file)
{
	char *path = realpath(file, NULL);

	mta_sendmail_users(c, path != NULL ? path : file, stdout);
	free(path);
	return EX_OK;
}

/* ---- options ---- */

enum { OPT_APPLY = 256, OPT_CHECK, OPT_YES, OPT_DRY_RUN, OPT_JSON };

static const struct option long_options[] = {
	{ "apply", no_argument, NULL, OPT_APPLY },
	{ "check", no_argument, NULL, OPT_CHECK },
	{ "yes", no_argument, NULL, OPT_YES },
	{ "dry-run", no_argument, NULL, OPT_DRY_RUN },
	{ "json", no_argument, NULL, OPT_JSON },
	{ NULL, 0, NULL, 0 },
};

struct options {
	const char *file, *user, *dir;
	bool apply, check, yes, dry_run, json;
	bool sendmail, users;
};

/* "postfix --apply DIR": the folder is the word behind the MTA's. */
static bool
read_options(int argc, char **argv, struct options *o)
{
	int opt;

	while ((opt = getopt_long(argc, argv, "c:p:u", long_options, NULL)) != -1)
		switch (opt) {
		case 'c':
			o->file = optarg;
			break;
		case 'p':
			o->user = optarg;
			break;
		case 'u':
			o->users = true;
			break;
		case OPT_APPLY:
			o->apply = true;
			break;
		case OPT_CHECK:
			o->check = true;
			break;
		case OPT_YES:
			o->yes = true;
			break;
		case OPT_DRY_RUN:
			o->dry_run = true;
			break;
		case OPT_JSON:
			o->json = true;
			break;
		default:
			return false;
		}
	if (optind == argc)
		return false;
	o->sendmail = strcmp(argv[optind], "sendmail") == 0;
	if (o->sendmail)
		return ++optind == argc && !o->apply && !o->check && !o->yes &&
		       !o->dry_run && !o->json;
	if (strcmp(argv[optind++], "postfix") != 0 || o->users)
		return false;
	if (optind < argc)
		o->dir = argv[optind++];
	if (optind < argc || (o->apply && o->check) || (o->apply && o->dir == NULL) ||
	    (o->dir != NULL && !o->apply && !o->check))
		return false;
	return ((!o->yes && !o->dry_run) || o->apply) && (!o->json || o->check);
}

static int
act(const struct conf *c, const struct options *o)
{
	const struct mta_apply_options apply = { o->dir, o->file, o->yes, o->dry_run };
	const char *dir = o->dir != NULL ? o->dir : "/etc/postfix";
	struct err e;
	int rc;

	if (o->sendmail && o->user == NULL)
		return o->users ? print_sendmail_users(c, o->file) : print_sendmail(c);
	if (!o->apply && !o->check)
		return o->user != NULL ? print_password(c, o->user) : print_script(c, o->file);
	rc = o->apply ? mta_apply(c, &apply, &e) : mta_check(c, o->file, dir, o->json, &e);
	if (rc < 0)
		fprintf(stderr, "signalpost: %s\n", e.text);
	return rc == 0 ? EX_OK : 1;
}

int
cmd_mta_config(int argc, char **argv)
{
	struct options o = { .file = CONF_DEFAULT_FILE };
	struct conf *c;
	struct err e;
	int rc;

	if (!read_options(argc, argv, &o))
		return ctl_usage("mta-config");
	c = conf_load(o.file, &e);
	if (c == NULL) {
		fprintf(stderr, "signalpost: %s\n", e.text);
		return EX_CONFIG;
	}
	rc = act(c, &o);
	conf_free(c);
	if (rc == EX_OK && (fflush(stdout) != 0 || ferror(stdout))) {
		perror("signalpost: standard output");
		rc = 1;
	}
	return rc;
}
