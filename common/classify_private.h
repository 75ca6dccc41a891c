/*
 * classify_private.h - a rule file as it was read; what classify.c shares with
 * classify_rules.c, and nobody else includes.
 */
#ifndef COMMON_CLASSIFY_PRIVATE_H
#define COMMON_CLASSIFY_PRIVATE_H

#include "common/classify.h"
#include "common/pattern.h"
#include "common/words.h"

#define RULES_MAX 4000 /* rules, and patterns, in a file */
#define CODES_MAX 8

struct rule_range {
	unsigned least, most;
};

struct rule_status {
	struct rule_range part[3];
};

struct rule {
	char *id, *category;
	unsigned bounce_class, line;
	size_t n_codes, n_statuses;
	struct rule_range codes[CODES_MAX];
	bool no_code, no_status; /* "none" is among them */
	struct rule_status statuses[CODES_MAX];
};

struct rule_pattern { /* in the order of their rules */
	size_t rule;
	struct regex *regex; /* NULL: the rule has no pattern, its conditions are all */
};

struct rule_test {
	size_t rule;
	unsigned line;
	char *text;
};

struct rule_layer { /* one rule file */
	char *name;
	size_t n_rules, rules_room, n_patterns, patterns_room, n_tests, tests_room;
	struct rule *rules;
	struct rule_pattern *patterns;
	struct rule_test *tests;
	struct words *words; /* of the patterns; an id is the pattern's index */
	uint64_t *always;    /* bits of the patterns that no word stands for */
};

/* Read a rule file into *l, which is zero. -1: *e has "NAME:LINE: ..."; free *l all the same. */
int classify_layer_parse(struct rule_layer *l, const char *name, struct slice text, struct err *e);
void classify_layer_free(struct rule_layer *l);

#endif
