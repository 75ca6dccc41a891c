#include "tracker/fold.h"

#include <pthread.h>
#include <stdlib.h>

#include "common/xalloc.h"

#define WAYS    8 /* places that a key may have */
#define STRIPES 64

struct slot {
	uint64_t key;
	int64_t at_ms; /* when it counted; 0: empty */
};

struct fold {
	size_t sets; /* power of two */
	struct slot *slots;
	pthread_mutex_t locks[STRIPES]; /* set i belongs to lock i % STRIPES */
};

struct fold *
fold_new(size_t room)
{
	struct fold *f = xcalloc(1, sizeof(*f));

	f->sets = STRIPES;
	while (f->sets * WAYS < room)
		f->sets *= 2;
	f->slots = xcalloc(f->sets * WAYS, sizeof(*f->slots));
	for (size_t i = 0; i < STRIPES; i++)
		pthread_mutex_init(&f->locks[i], NULL);
	return f;
}

void
fold_free(struct fold *f)
{
	if (f == NULL)
		return;
	for (size_t i = 0; i < STRIPES; i++)
		pthread_mutex_destroy(&f->locks[i]);
	free(f->slots);
	free(f);
}

static bool
look(struct slot *set, uint64_t key, int64_t now_ms, int64_t window_ms)
{
	struct slot *oldest = &set[0];

	for (size_t i = 0; i < WAYS; i++) {
		if (set[i].key == key && set[i].at_ms != 0) {
			if (now_ms - set[i].at_ms < window_ms)
				return true;
			oldest = &set[i];
			break;
		}
		if (set[i].at_ms < oldest->at_ms)
			oldest = &set[i];
	}
	*oldest = (struct slot){ key, now_ms };
	return false;
}

bool
fold_seen(struct fold *f, uint64_t key, int64_t now_ms, int64_t window_ms)
{
	/* Keys need not be random; the product's upper bits are (Knuth's multiplicative hash). */
	size_t set = (size_t)((key * 0x9e3779b97f4a7c15ULL) >> 32) & (f->sets - 1);
	bool seen;

	if (window_ms <= 0)
		return false;
	pthread_mutex_lock(&f->locks[set % STRIPES]);
	seen = look(&f->slots[set * WAYS], key, now_ms, window_ms);
	pthread_mutex_unlock(&f->locks[set % STRIPES]);
	return seen;
}
