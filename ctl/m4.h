/*
 * m4.h - texts of the configuration in m4 and in sendmail.cf.
 *
 * Quotes, commas, '$', '#' and blanks mean something in one or the other, and there is
 * no quoting that holds in both: what has them is not written.
 */
#ifndef CTL_M4_H
#define CTL_M4_H

#include <stdbool.h>
#include <stdio.h>

#include "common/buf.h"
#include "common/conf.h"
#include "common/pattern.h"

/* Letters, digits and ._/:@+=- only? */
bool m4_is_plain(const char *text);

/* define(`NAME', `VALUE')dnl */
void m4_define(FILE *out, const char *name, const char *value);
void m4_define_number(FILE *out, const char *name, uint64_t n, const char *unit);

/* A dnl line: the directive, and where it stands. */
void m4_at(FILE *out, const char *directive, const struct conf_at *at);

/*
 * A PCRE as a POSIX extended expression for a map of sendmail.cf, '$' doubled. False
 * if it uses what POSIX has not, or signs that can't be written; *out is then empty.
 */
bool m4_posix_regex(const char *pcre, struct buf *out);

/*
 * A network as such an expression over {client_addr}: "192.0.2.7",
 * "IPv6:2001:db8:0:0:0:0:0:1". IPv6 prefixes in whole groups of 16 bits only; else false.
 */
bool m4_network_regex(const struct cidr *net, struct buf *out);

#endif
