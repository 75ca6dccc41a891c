#include "common/required.h"

#include <stdlib.h>

#include "common/xalloc.h"

#define NEST_MAX 60 /* regex_compile() takes 50 */
#define WORD_MAX 12 /* more of a word tells hardly more */

/*
 * Recursive descent over the expression. A sequence needs all its parts, so the
 * best of them stands for it; an alternation needs one of its branches, so it is
 * the union of theirs.
 */
struct walk {
	struct slice rest;
	bool lost; /* something was not understood */
	unsigned depth;
};

struct run { /* literal characters in a row */
	char c[WORD_MAX];
	size_t n;
};

static void alternation(struct walk *w, struct required *out);

void
required_free(struct required *r)
{
	for (size_t i = 0; i < r->n; i++)
		free(r->word[i]);
	r->n = 0;
}

/* The length of the shortest word: the longer, the fewer texts have it by chance. */
static size_t
worth(const struct required *r)
{
	size_t least = r->n > 0 ? SIZE_MAX : 0;

	for (size_t i = 0; i < r->n; i++)
		if (strlen(r->word[i]) < least)
			least = strlen(r->word[i]);
	return least;
}

/* Keep the better one in *best; *other is empty afterwards. */
static void
better(struct required *best, struct required *other)
{
	if (worth(other) > worth(best)) {
		required_free(best);
		*best = *other;
		other->n = 0;
	}
	required_free(other);
}

static void
flush(struct run *run, struct required *best)
{
	struct required one = { .n = 0 };

	if (run->n > 0) {
		one.word[one.n++] = xslicedup((struct slice){ run->c, run->n });
		better(best, &one);
	}
	run->n = 0;
}

static void
add(struct run *run, char c, struct required *best)
{
	if (run->n == WORD_MAX)
		flush(run, best);
	run->c[run->n++] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* ---- reading ---- */

static char
look(const struct walk *w)
{
	return w->rest.len > 0 ? w->rest.p[0] : '\0';
}

static char
take(struct walk *w)
{
	char c = look(w);

	w->rest = slice_skip(w->rest, 1);
	return c;
}

static bool
skip_if(struct walk *w, struct slice prefix)
{
	if (!slice_starts(w->rest, prefix))
		return false;
	w->rest = slice_skip(w->rest, prefix.len);
	return true;
}

/* Behind '['. */
static void class(struct walk *w)
{
	skip_if(w, SLICE_LIT("^"));
	skip_if(w, SLICE_LIT("]"));
	while (w->rest.len > 0) {
		char c = take(w);

		if (c == ']')
			return;
		if (c == '\\')
			take(w);
		/* [:alpha:], [.x.], [=x=] */
		if (c == '[' && strchr(":.=", look(w)) != NULL)
			w->lost = true;
	}
	w->lost = true;
}

enum atom { ATOM_NOTHING, ATOM_CHAR, ATOM_SOME };

/* Behind '\'. */
static enum atom
escape(struct walk *w, char *literal)
{
	char c = take(w);

	if (c != '\0' && strchr("bBAZzG", c) != NULL)
		return ATOM_NOTHING;
	if (c != '\0' && strchr("dDwWsShHvVN", c) != NULL)
		return ATOM_SOME;
	*literal = c;
	if (c == '\0' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
		w->lost = true;
	return ATOM_CHAR;
}

/* Behind '('. *words gets what the group needs; a look around the text needs nothing of it here. */
static enum atom
group(struct walk *w, struct required *words)
{
	bool look_around = skip_if(w, SLICE_LIT("?=")) || skip_if(w, SLICE_LIT("?!")) ||
	                   skip_if(w, SLICE_LIT("?<=")) || skip_if(w, SLICE_LIT("?<!"));

	if (!look_around && !skip_if(w, SLICE_LIT("?:")) && !skip_if(w, SLICE_LIT("?>")) &&
	    (look(w) == '?' || look(w) == '*'))
		w->lost = true;
	if (++w->depth > NEST_MAX)
		w->lost = true;
	if (!w->lost)
		alternation(w, words);
	w->depth--;
	if (take(w) != ')')
		w->lost = true;
	if (look_around)
		required_free(words);
	return ATOM_SOME;
}

/* Is there a quantifier? *least: how often at least what stands before it is there. */
static bool
quantifier(struct walk *w, unsigned *least)
{
	char c = look(w);

	*least = c == '+' ? 1 : 0;
	if (c == '\0' || strchr("?*+{", c) == NULL)
		return false;
	take(w);
	if (c == '{') {
		/* What is not {m}, {m,} or {m,n} stands for itself; too rare to tell apart here. */
		*least = look(w) >= '1' && look(w) <= '9';
		while ((look(w) >= '0' && look(w) <= '9') || look(w) == ',')
			take(w);
		if (take(w) != '}' || w->rest.p[-2] == '{')
			w->lost = true;
	}
	if (look(w) == '?' || look(w) == '+')
		take(w);
	return true;
}

/* ---- the descent ---- */

static enum atom
atom(struct walk *w, char *literal, struct required *words)
{
	char c = take(w);

	switch (c) {
	case '\\':
		return escape(w, literal);
	case '[':
		class(w);
		return ATOM_SOME;
	case '(':
		return group(w, words);
	case '.':
		return ATOM_SOME;
	case '^':
	case '$':
		return ATOM_NOTHING;
	default:
		*literal = c;
		return ATOM_CHAR;
	}
}

static void
sequence(struct walk *w, struct required *best)
{
	struct run run = { .n = 0 };

	while (!w->lost && w->rest.len > 0 && look(w) != '|' && look(w) != ')') {
		struct required words = { .n = 0 };
		char literal = '\0';
		enum atom kind = atom(w, &literal, &words);
		unsigned least = 1;
		bool repeated = !w->lost && quantifier(w, &least);

		if (!repeated)
			least = 1;
		if (kind == ATOM_CHAR && least > 0)
			add(&run, literal, best);
		if (least == 0)
			required_free(&words);
		if (kind == ATOM_SOME || repeated)
			flush(&run, best);
		better(best, &words);
	}
	flush(&run, best);
}

static void
alternation(struct walk *w, struct required *out)
{
	bool known = true;

	do {
		struct required one = { .n = 0 };

		sequence(w, &one);
		if (one.n == 0 || out->n + one.n > REQUIRED_MAX)
			known = false;
		for (size_t i = 0; known && i < one.n; i++)
			out->word[out->n++] = xstrdup(one.word[i]);
		required_free(&one);
	} while (!w->lost && skip_if(w, SLICE_LIT("|")));
	if (!known)
		required_free(out);
}

void
required_words(struct slice regex, struct required *out)
{
	struct walk w = { .rest = regex };

	out->n = 0;
	alternation(&w, out);
	if (w.lost || w.rest.len > 0 || memchr(regex.p, '\0', regex.len) != NULL)
		required_free(out);
}
