/*
 * explain.h - `signalpost explain KIND ...`: what something that we meet means to
 * us, as lines of JSON on standard output.
 *
 * A kind is a row of the table in cmd_explain.c and a function in
 * explain_KIND.c. It gets the configuration and what stands behind the options,
 * at least one argument, and returns the exit code: 0; 1 if something of it could
 * not be read.
 */
#ifndef CTL_EXPLAIN_H
#define CTL_EXPLAIN_H

#include "common/conf.h"

int explain_link(const struct conf *conf, int argc, char **argv);
int explain_log(const struct conf *conf, int argc, char **argv);
int explain_reply(const struct conf *conf, int argc, char **argv);
int explain_report(const struct conf *conf, int argc, char **argv);

#endif
