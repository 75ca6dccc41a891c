/*
 * required.h - which words a text must hold for a regular expression to match.
 *
 * Many expressions over one text are quick if only those are tried that can
 * match: all their words are looked for in one pass (words.h), and most
 * expressions are never run.
 *
 *	/(?:user|mailbox) (?:un)?known\b/	" known"? no: "user", "mailbox"
 *	/over ?quota|mailbox full/		"quota" or "mailbox full"
 *	/^\S+$/					nothing is known: try it always
 */
#ifndef COMMON_REQUIRED_H
#define COMMON_REQUIRED_H

#include "common/slice.h"

#define REQUIRED_MAX 64

struct required {
	size_t n; /* 0: any text may match */
	char *word[REQUIRED_MAX]; /* lower case ASCII; any other byte as it is */
};

/*
 * A text in which `regex` (as regex_compile() takes it, and it must have been
 * taken) matches holds, without regard to the case of ASCII letters, at least
 * one of the words. What this does not understand gives none.
 */
void required_words(struct slice regex, struct required *out);
void required_free(struct required *r);

#endif
