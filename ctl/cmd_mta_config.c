#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/conf.h"
#include "ctl/ctl.h"
#include "ctl/mta_postfix.h"

static int
usage(void)
{
	fputs("usage: signalpost mta-config postfix [-c file] [-p user]\n", stderr);
	return EX_USAGE;
}

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

int
cmd_mta_config(int argc, char **argv)
{
	const char *file = CONF_DEFAULT_FILE, *user = NULL;
	struct conf *c;
	struct err e;
	int opt, rc;

	while ((opt = getopt(argc, argv, "c:p:")) != -1)
		switch (opt) {
		case 'c':
			file = optarg;
			break;
		case 'p':
			user = optarg;
			break;
		default:
			return usage();
		}
	if (argc - optind != 1 || strcmp(argv[optind], "postfix") != 0)
		return usage();
	c = conf_load(file, &e);
	if (c == NULL) {
		fprintf(stderr, "signalpost: %s\n", e.text);
		return EX_CONFIG;
	}
	rc = user != NULL ? print_password(c, user) : print_script(c, file);
	conf_free(c);
	if (rc == EX_OK && (fflush(stdout) != 0 || ferror(stdout))) {
		perror("signalpost: standard output");
		rc = 1;
	}
	return rc;
}
