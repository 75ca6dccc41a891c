/*
 * ctl.h - `signalpost`, the operator's one command: `signalpost COMMAND ...`.
 *
 * A command is a row of the table in main.c and a function in cmd_NAME.c. It is
 * called with its own name as argv[0] and getopt(3) at its start, and returns
 * the exit code: 0 good, 1 found a problem, EX_USAGE (64), EX_CONFIG (78). What
 * was asked for goes to standard output, all else to standard error. main()
 * answers -h and notices a standard output that can't be written.
 */
#ifndef CTL_CTL_H
#define CTL_CTL_H

int cmd_check(int argc, char **argv);
int cmd_directives(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_events(int argc, char **argv);
int cmd_explain(int argc, char **argv);
int cmd_genkey(int argc, char **argv);
int cmd_jobid(int argc, char **argv);
int cmd_mta_config(int argc, char **argv);
int cmd_replay(int argc, char **argv);
int cmd_rewrite(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_testkey(int argc, char **argv);

/* Print how `command` is used to standard error. Returns EX_USAGE. */
int ctl_usage(const char *command);

#endif
