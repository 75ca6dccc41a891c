#include "common/ids.h"

#include <pthread.h>

#include "common/clock.h"
#include "common/hash.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct state {
	bool started;
	uint32_t time;      /* of the ids given last: never goes back */
	uint32_t serial;    /* the next one; goes on from second to second and wraps */
	uint64_t in_second; /* ids given with this time */
} state;                    /* under lock */

struct message_id
ids_take(unsigned count)
{
	struct message_id first;
	uint32_t now = (uint32_t)clock_wall_s();

	pthread_mutex_lock(&lock);
	if (!state.started) {
		/* Random, so that two processes, or one before and after a restart,
		 * don't meet within a second. */
		hash_random(&state.serial, sizeof(state.serial));
		state.time = now;
		state.started = true;
	}
	/* A clock that was set back must not bring an old pair of time and serial
	 * again: stay at the last second. The same serial comes back to it only after
	 * 2^32 ids; then the second is used up. */
	if (now > state.time) {
		state.time = now;
		state.in_second = 0;
	} else if (state.in_second + count > UINT32_MAX) {
		state.time++;
		state.in_second = 0;
	}
	first = (struct message_id){ state.time, state.serial };
	state.serial += count;
	state.in_second += count;
	pthread_mutex_unlock(&lock);
	return first;
}

struct message_id
ids_nth(struct message_id first, unsigned n)
{
	first.serial += n;
	return first;
}

const char *
ids_text(struct message_id id, char out[IDS_SIZE])
{
	/* The time from its low byte on, the serial from its high one. */
	const unsigned char bytes[] = { 0, 0, (unsigned char)id.time, (unsigned char)(id.time >> 8),
		(unsigned char)(id.time >> 16), (unsigned char)(id.time >> 24),
		(unsigned char)(id.serial >> 24), (unsigned char)(id.serial >> 16),
		(unsigned char)(id.serial >> 8), (unsigned char)id.serial };

	_Static_assert(2 * sizeof(bytes) + 1 == IDS_SIZE, "two digits for each byte");
	return hash_hex(bytes, sizeof(bytes), out);
}

static bool
hex_byte(const char *p, uint32_t *out)
{
	uint32_t v = 0;

	for (size_t i = 0; i < 2; i++) {
		char c = p[i];

		if (c >= '0' && c <= '9')
			v = v << 4 | (uint32_t)(c - '0');
		else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
			v = v << 4 | (uint32_t)((c | 0x20) - 'a' + 10);
		else
			return false;
	}
	*out = v;
	return true;
}

bool
ids_parse(struct slice text, struct message_id *out)
{
	uint32_t byte[8];

	if (text.len != IDS_SIZE - 1 || !slice_starts(text, SLICE_LIT("0000")))
		return false;
	for (size_t i = 0; i < COUNT(byte); i++)
		if (!hex_byte(text.p + 4 + 2 * i, &byte[i]))
			return false;
	out->time = byte[0] | byte[1] << 8 | byte[2] << 16 | byte[3] << 24;
	out->serial = byte[4] << 24 | byte[5] << 16 | byte[6] << 8 | byte[7];
	return true;
}
