#include "common/conf_names.h"

#include <stdint.h>
#include <stdlib.h>

#include "common/xalloc.h"

#define NEAR_LENGTH_MAX 64   /* longer names get no suggestion */
#define NEAR_NAMES_MAX  2000 /* so many are looked at for one */

struct conf_name {
	struct slice name; /* p == NULL: free */
	void *value;
};

static unsigned char
lower(char c)
{
	return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

/* FNV-1a. The names are the administrator's own, so nobody aims collisions at us. */
static uint64_t
hash_of(struct slice name)
{
	uint64_t h = 14695981039346656037ULL;

	for (size_t i = 0; i < name.len; i++)
		h = (h ^ lower(name.p[i])) * 1099511628211ULL;
	return h ^ (h >> 29);
}

/* The slot that has the name, or the free one where it would go. */
static struct conf_name *
slot_of(const struct conf_names *t, struct slice name)
{
	size_t at = (size_t)hash_of(name) & (t->room - 1);

	while (t->v[at].name.p != NULL &&
	       !(t->exact ? slice_eq(t->v[at].name, name) : slice_eqi(t->v[at].name, name)))
		at = (at + 1) & (t->room - 1);
	return &t->v[at];
}

static void
grow(struct conf_names *t)
{
	struct conf_names bigger = {
		.n = t->n, .room = t->room == 0 ? 16 : t->room * 2, .exact = t->exact
	};

	bigger.v = xcalloc(bigger.room, sizeof(*bigger.v));
	for (size_t i = 0; i < t->room; i++)
		if (t->v[i].name.p != NULL)
			*slot_of(&bigger, t->v[i].name) = t->v[i];
	free(t->v);
	*t = bigger;
}

bool
conf_names_add(struct conf_names *t, struct slice name, void *value)
{
	struct conf_name *slot;

	if (2 * t->n >= t->room)
		grow(t);
	slot = slot_of(t, name);
	if (slot->name.p != NULL)
		return false;
	*slot = (struct conf_name){ { name.p == NULL ? "" : name.p, name.len }, value };
	t->n++;
	return true;
}

void *
conf_names_find(const struct conf_names *t, struct slice name)
{
	return t->n == 0 ? NULL : slot_of(t, name)->value;
}

void
conf_names_free(struct conf_names *t)
{
	free(t->v);
	*t = (struct conf_names){ .exact = t->exact };
}

/* Optimal string alignment: Levenshtein, and a swap of neighbours counts one. */
size_t
conf_names_distance(struct slice a, struct slice b)
{
	size_t rows[3][NEAR_LENGTH_MAX + 1];
	size_t *before = rows[0], *last = rows[1], *now = rows[2];

	if (a.len > NEAR_LENGTH_MAX || b.len > NEAR_LENGTH_MAX)
		return SIZE_MAX;
	memset(rows, 0, sizeof(rows));
	for (size_t j = 0; j <= b.len; j++)
		now[j] = j;
	for (size_t i = 1; i <= a.len; i++) {
		size_t *free_row = before;

		before = last;
		last = now;
		now = free_row;
		now[0] = i;
		for (size_t j = 1; j <= b.len; j++) {
			unsigned char ca = lower(a.p[i - 1]), cb = lower(b.p[j - 1]);
			size_t best = last[j - 1] + (ca != cb);

			if (last[j] + 1 < best)
				best = last[j] + 1;
			if (now[j - 1] + 1 < best)
				best = now[j - 1] + 1;
			if (i > 1 && j > 1 && ca == lower(b.p[j - 2]) && cb == lower(a.p[i - 2]) &&
			    before[j - 2] + 1 < best)
				best = before[j - 2] + 1;
			now[j] = best;
		}
	}
	return now[b.len];
}

bool
conf_names_is_near(struct slice name, size_t distance)
{
	return distance <= (name.len < 4 ? 1 : 1 + name.len / 4);
}

struct slice
conf_names_near(const struct conf_names *t, struct slice name)
{
	size_t best = SIZE_MAX, seen = 0;
	struct slice found = { NULL, 0 };

	for (size_t i = 0; i < t->room && seen < NEAR_NAMES_MAX; i++) {
		size_t d, len = t->v[i].name.len;

		/* Where the lengths differ too much the distance does as well. */
		if (t->v[i].name.p == NULL ||
		    !conf_names_is_near(name, len > name.len ? len - name.len : name.len - len))
			continue;
		seen++;
		d = conf_names_distance(name, t->v[i].name);
		/* The smaller name of two that are as near: not the one that hashes lower. */
		if (d < best || (d == best && found.len > 0 && t->v[i].name.len < found.len)) {
			best = d;
			found = t->v[i].name;
		}
	}
	return conf_names_is_near(name, best) ? found : (struct slice){ NULL, 0 };
}
