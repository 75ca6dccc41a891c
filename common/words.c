#include "common/words.h"

#include <stdlib.h>

#include "common/xalloc.h"

#define NONE UINT32_MAX

/*
 * A state is a prefix of some word. Bytes that no word holds share class 0; the
 * others have one each, capitals that of their small letters.
 */
struct found {
	unsigned id;
	uint32_t next; /* in `found`, or NONE */
};

struct words {
	unsigned char class[256];
	unsigned n_classes;
	size_t n_words, words_room;
	struct word {
		char *text;
		unsigned id;
	} * words;
	size_t n_states;
	uint32_t *next;  /* n_states * n_classes */
	uint32_t *found; /* by state: first of its ids, or NONE */
	uint32_t *also;  /* by state: the longest suffix that has ids, or NONE */
	uint32_t *hit;   /* by state: itself if it has ids, else that suffix */
	size_t n_ids;
	struct found *ids;
};

struct words *
words_new(void)
{
	struct words *w = xcalloc(1, sizeof(*w));

	w->n_classes = 1;
	return w;
}

void
words_free(struct words *w)
{
	if (w == NULL)
		return;
	for (size_t i = 0; i < w->n_words; i++)
		free(w->words[i].text);
	free(w->words);
	free(w->next);
	free(w->found);
	free(w->also);
	free(w->hit);
	free(w->ids);
	free(w);
}

void
words_add(struct words *w, const char *word, unsigned id)
{
	w->words = xgrow(w->words, w->n_words, &w->words_room, sizeof(*w->words));
	w->words[w->n_words].text = xstrdup(word);
	w->words[w->n_words++].id = id;
	for (const char *c = word; *c != '\0'; c++) {
		unsigned char byte = (unsigned char)*c;

		if (w->class[byte] != 0)
			continue;
		w->class[byte] = (unsigned char)w->n_classes;
		if (byte >= 'a' && byte <= 'z')
			w->class[byte - ('a' - 'A')] = (unsigned char)w->n_classes;
		w->n_classes++;
	}
}

/* The trie; 0, the root, stands for "no such child" too. */
static void
insert(struct words *w, const struct word *word)
{
	uint32_t state = 0;
	struct found *f;

	for (const char *c = word->text; *c != '\0'; c++) {
		uint32_t *next = &w->next[state * w->n_classes + w->class[(unsigned char)*c]];

		if (*next == 0)
			*next = (uint32_t)w->n_states++;
		state = *next;
	}
	f = &w->ids[w->n_ids];
	f->id = word->id;
	f->next = w->found[state];
	w->found[state] = (uint32_t)w->n_ids++;
}

/* Breadth first: a state's longest suffix is known before the state's children are seen. */
static void
link_suffixes(struct words *w)
{
	uint32_t *queue = xcalloc(w->n_states, sizeof(*queue));
	uint32_t *suffix = xcalloc(w->n_states, sizeof(*suffix));
	size_t head = 0, tail = 0;

	for (queue[tail++] = 0; head < tail; head++) {
		uint32_t state = queue[head];

		for (unsigned c = 0; c < w->n_classes; c++) {
			uint32_t *next = &w->next[state * w->n_classes + c];
			uint32_t other = w->next[suffix[state] * w->n_classes + c];

			if (*next == 0) {
				*next = other;
				continue;
			}
			suffix[*next] = state == 0 ? 0 : other;
			other = suffix[*next];
			w->also[*next] = w->found[other] != NONE ? other : w->also[other];
			queue[tail++] = *next;
		}
	}
	free(queue);
	free(suffix);
}

void
words_ready(struct words *w)
{
	size_t most = 1;

	for (size_t i = 0; i < w->n_words; i++)
		most += strlen(w->words[i].text);
	w->next = xcalloc(most * w->n_classes, sizeof(*w->next));
	w->found = xcalloc(most, sizeof(*w->found));
	w->also = xcalloc(most, sizeof(*w->also));
	w->ids = xcalloc(w->n_words + 1, sizeof(*w->ids));
	memset(w->found, 0xff, most * sizeof(*w->found));
	memset(w->also, 0xff, most * sizeof(*w->also));
	w->n_states = 1;
	for (size_t i = 0; i < w->n_words; i++)
		insert(w, &w->words[i]);
	link_suffixes(w);
	w->hit = xcalloc(w->n_states, sizeof(*w->hit));
	for (size_t i = 0; i < w->n_states; i++)
		w->hit[i] = w->found[i] != NONE ? (uint32_t)i : w->also[i];
}

static void
set_bits(const struct words *w, uint32_t state, uint64_t *bits)
{
	for (uint32_t i = w->found[state]; i != NONE; i = w->ids[i].next)
		bits[w->ids[i].id / 64] |= (uint64_t)1 << (w->ids[i].id % 64);
}

void
words_find(const struct words *w, struct slice text, uint64_t *bits)
{
	uint32_t state = 0;

	for (size_t i = 0; i < text.len; i++) {
		state = w->next[state * w->n_classes + w->class[(unsigned char)text.p[i]]];
		for (uint32_t s = w->hit[state]; s != NONE; s = w->also[s])
			set_bits(w, s, bits);
	}
}
