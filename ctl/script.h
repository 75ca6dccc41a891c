/*
 * script.h - writing a shell script that sets up Postfix: its beginning, with the
 * functions that the rest calls, and words quoted as the shell and Postfix need them.
 */
#ifndef CTL_SCRIPT_H
#define CTL_SCRIPT_H

#include <stdint.h>
#include <stdio.h>

#include "common/conf.h"

/* What all of it begins with: $dir, $queue, $signalpost, $conf and the functions. */
void script_begin(const struct conf *c, const char *conf_file, FILE *out);

/* Text as one word of the shell. */
void script_quoted(FILE *out, const char *text);

/* A parameter of main.cf, and one that is a number with a unit ("s" or ""). */
void script_set(FILE *out, const char *name, const char *value);
void script_set_number(FILE *out, const char *name, uint64_t n, const char *unit);

/* An option of the master.cf entry that a `service` line began; "$name" in it is Postfix's. */
void script_option(FILE *out, const char *name, const char *value);

/* A comment: the directive, and where it stands. */
void script_at(FILE *out, const char *directive, const struct conf_at *at);

#endif
