/*
 * bounce_rules.h - the shipped rules, etc/bounce-rules, as the build compiles
 * them in: classification works wherever the programs do, and fits their version.
 */
#ifndef COMMON_BOUNCE_RULES_H
#define COMMON_BOUNCE_RULES_H

extern const char bounce_rules[]; /* NUL-terminated */

#endif
