/*
 * main.c - finds the command and runs it.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "common/conf_names.h"
#include "common/daemon.h"
#include "common/slice.h"
#include "ctl/ctl.h"

static int cmd_help(int argc, char **argv);
static int cmd_version(int argc, char **argv);

struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *synopsis; /* one line for each form */
	const char *help;     /* one line */
};

static const struct command commands[] = {
	{ "check", cmd_check, "check [-v] [-c file]",
	    "read the configuration as the programs do; errors with file and line" },
	{ "directives", cmd_directives, "directives [-m]",
	    "all directives, who acts on each, and defaults" },
	{ "doctor", cmd_doctor, "doctor [--online] [--postfix directory | --sendmail directory] [-c file]",
	    "is everything in force? what is not, and how to mend it" },
	{ "events", cmd_events,
	    "events [--waiting | --rejected] [--json] [-n count] [-c file]\n"
	    "events --show name [-n count] [-c file]",
	    "what waits in the spool, and what was rejected and why" },
	{ "explain", cmd_explain, "explain link [-c file] url ...\nexplain log [-c file] file ...\nexplain reply [-c file] text ...\nexplain report [-c file] file ...",
	    "what a tracked URL holds, or an inbound mail reports, as lines of JSON" },
	{ "genkey", cmd_genkey,
	    "genkey dkim -s selector -d domain [-a rsa-sha256 | ed25519-sha256 | both]\n"
	    "            [-b bits] [-o file]\n"
	    "genkey token [-c file | directory]",
	    "make a DKIM key and show its DNS record, or a token key" },
	{ "help", cmd_help, "help [command]", "this list, or how a command is used" },
	{ "jobid", cmd_jobid, "jobid text ...\njobid -", "the job id that X-Job: TEXT becomes" },
	{ "mta-config", cmd_mta_config,
	    "mta-config postfix [-c file] [-p user]\n"
	    "mta-config postfix --apply [--yes | --dry-run] [-c file] directory\n"
	    "mta-config postfix --check [--json] [-c file] [directory]\n"
	    "mta-config sendmail [-u] [-c file] [-p user]",
	    "the MTA settings that the configuration needs: as a script, put in force, checked" },
	{ "replay", cmd_replay, "replay [--dry-run] [--sink name] [-c file] --all | name ...",
	    "send again what was rejected" },
	{ "rewrite", cmd_rewrite,
	    "rewrite [-c file] [-f sender] [-t recipient ...] [-a user | -u]\n"
	    "        [-s client-address] [--explain] file.eml\n"
	    "rewrite --html [-c file] [-t recipient] [--explain] file.html",
	    "dry run: the message as it would leave, and what was done to it" },
	{ "status", cmd_status, "status [-c file] [--json]\nstatus [-c file] --write-off",
	    "does the ledger add up, what waits, what is wrong" },
	{ "testkey", cmd_testkey,
	    "testkey [-c file] [-r resolver | -k file] [domain ...]\n"
	    "testkey -s selector -d domain [-r resolver | -k file] key-file",
	    "compare DKIM keys with what DNS says, as a receiver would" },
	{ "version", cmd_version, "version", "print the version" },
};

static const struct command *
find_command(const char *name)
{
	for (size_t i = 0; i < COUNT(commands); i++)
		if (strcmp(name, commands[i].name) == 0)
			return &commands[i];
	return NULL;
}

/* "usage: signalpost ..." with the further lines below the first. */
static void
print_synopsis(const struct command *c, FILE *out)
{
	struct slice rest = slice_str(c->synopsis), line;
	const char *before = "usage: signalpost ";

	while (slice_line(&rest, &line)) {
		fprintf(out, "%s%.*s\n", before, SLICE_FMT(line));
		before =
		    rest.len > 0 && rest.p[0] == ' ' ? "                  " : "       signalpost ";
	}
}

int
ctl_usage(const char *command)
{
	const struct command *c = find_command(command);

	if (c != NULL)
		print_synopsis(c, stderr);
	return EX_USAGE;
}

static void
print_commands(FILE *out)
{
	fputs("usage: signalpost command [argument ...]\n\n", out);
	for (size_t i = 0; i < COUNT(commands); i++)
		fprintf(out, "  %-12s%s\n", commands[i].name, commands[i].help);
	fputs(
	    "\n'signalpost help command' shows how a command is used; signalpost(1) has it all.\n",
	    out);
}

static int
unknown_command(const char *name)
{
	size_t best = SIZE_MAX;
	const char *near = NULL;

	for (size_t i = 0; i < COUNT(commands); i++) {
		size_t d = conf_names_distance(slice_str(name), slice_str(commands[i].name));

		if (d < best && conf_names_is_near(slice_str(name), d)) {
			best = d;
			near = commands[i].name;
		}
	}
	fprintf(stderr, "signalpost: unknown command '%s'", name);
	if (near != NULL)
		fprintf(stderr, "; did you mean '%s'?", near);
	fputs("\n", stderr);
	print_commands(stderr);
	return EX_USAGE;
}

static int
print_help(const struct command *c)
{
	print_synopsis(c, stdout);
	printf("\n%s: %s\n", c->name, c->help);
	return EX_OK;
}

static int
cmd_help(int argc, char **argv)
{
	const struct command *c;

	if (argc > 2)
		return ctl_usage("help");
	if (argc < 2) {
		print_commands(stdout);
		return EX_OK;
	}
	c = find_command(argv[1]);
	return c == NULL ? unknown_command(argv[1]) : print_help(c);
}

static int
cmd_version(int argc, char **argv)
{
	(void)argv;
	if (argc > 1)
		return ctl_usage("version");
	printf("signalpost %s\n", daemon_version());
	return EX_OK;
}

static bool
is_help_option(const char *arg)
{
	return strcmp(arg, "-h") == 0 || strcmp(arg, "--help") == 0;
}

static int
run(int argc, char **argv)
{
	const struct command *c;

	if (argc < 2) {
		print_commands(stderr);
		return EX_USAGE;
	}
	if (is_help_option(argv[1]))
		return cmd_help(argc - 1, argv + 1);
	if (strcmp(argv[1], "-V") == 0 || strcmp(argv[1], "--version") == 0)
		return cmd_version(argc - 1, argv + 1);
	c = find_command(argv[1]);
	if (c == NULL)
		return unknown_command(argv[1]);
	if (argc == 3 && is_help_option(argv[2]))
		return print_help(c);
	return c->run(argc - 1, argv + 1);
}

int
main(int argc, char **argv)
{
	int rc = run(argc, argv);

	/* A script that writes to a full disk must not take half of it for good. */
	if (fflush(stdout) != 0 || ferror(stdout)) {
		perror("signalpost: standard output");
		return rc == EX_OK ? 1 : rc;
	}
	return rc;
}
