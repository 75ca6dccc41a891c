/*
 * cmd_explain.c - finds the kind of thing that is to be explained.
 */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/conf.h"
#include "ctl/ctl.h"
#include "ctl/explain.h"

static const struct {
	const char *name;
	int (*run)(const struct conf *conf, int argc, char **argv);
	bool needs_conf; /* else the default file need not be there; conf is NULL then */
} kinds[] = {
	{ "link", explain_link, true },
	{ "log", explain_log, false },
	{ "reply", explain_reply, false },
	{ "report", explain_report, false },
};

/* `file` is NULL if none was named. */
static int
run(size_t kind, const char *file, int argc, char **argv)
{
	struct err e;
	struct conf *conf;
	int rc;

	if (file == NULL && !kinds[kind].needs_conf && access(CONF_DEFAULT_FILE, F_OK) != 0)
		return kinds[kind].run(NULL, argc, argv);
	conf = conf_load(file == NULL ? CONF_DEFAULT_FILE : file, &e);
	if (conf == NULL) {
		fprintf(stderr, "signalpost explain: %s\n", e.text);
		return EX_CONFIG;
	}
	rc = kinds[kind].run(conf, argc, argv);
	conf_free(conf);
	return rc;
}

int
cmd_explain(int argc, char **argv)
{
	const char *file = NULL, *name;
	size_t kind = 0;
	int c;

	/* "+": options stand before the kind or right behind it. */
	while ((c = getopt(argc, argv, "+c:")) == 'c')
		file = optarg;
	if (c != -1 || optind == argc)
		return ctl_usage("explain");
	name = argv[optind];
	while (kind < COUNT(kinds) && strcmp(name, kinds[kind].name) != 0)
		kind++;
	if (kind == COUNT(kinds)) {
		fprintf(stderr, "signalpost explain: unknown kind '%s'\n", name);
		return ctl_usage("explain");
	}
	argc -= optind;
	argv += optind;
	optind = 1;
	while ((c = getopt(argc, argv, "+c:")) == 'c')
		file = optarg;
	if (c != -1 || optind == argc)
		return ctl_usage("explain");
	return run(kind, file, argc - optind, argv + optind);
}
