/*
 * cmd_directives.c - the table of directives, for people or for the manual page.
 */
#include <stdbool.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/conf.h"
#include "ctl/ctl.h"

int
cmd_directives(int argc, char **argv)
{
	bool mdoc = false;
	int opt;

	while ((opt = getopt(argc, argv, "m")) != -1) {
		if (opt != 'm')
			return ctl_usage("directives");
		mdoc = true;
	}
	if (optind != argc)
		return ctl_usage("directives");
	conf_print_directives(mdoc, stdout);
	return EX_OK;
}
