/*
 * words.h - finds which of many words a text holds, in one pass (Aho and
 * Corasick). ASCII letters compare without case.
 *
 *	w = words_new();
 *	words_add(w, "mailbox full", 7);
 *	words_ready(w);
 *	words_find(w, text, bits);	// bit 7 is set
 *
 * Ready, it is immutable and may be used by several threads at once.
 */
#ifndef COMMON_WORDS_H
#define COMMON_WORDS_H

#include "common/slice.h"

struct words;

struct words *words_new(void);
void words_free(struct words *w); /* NULL is fine */

/* `word` is not empty and has no capital letters; `id` is the caller's. */
void words_add(struct words *w, const char *word, unsigned id);
void words_ready(struct words *w);

/* Set the bits of the ids of all words that are in the text; other bits stay. */
void words_find(const struct words *w, struct slice text, uint64_t *bits);

#endif
