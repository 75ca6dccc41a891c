#include "common/address.h"
#include "common/index_private.h"

/* However it is written: a recipient is what it is. */
int64_t
index_rcpt_key(struct slice rcpt)
{
	return (int64_t)address_key(rcpt);
}

/* privacy-policy sha1: what the event has in place of the address. */
const char *
index_rcpt_hash(struct slice rcpt, char hex[2 * HASH_SHA1_SIZE + 1])
{
	unsigned char md[HASH_SHA1_SIZE];
	struct buf lower;

	buf_init(&lower, rcpt.len + 1);
	for (size_t i = 0; i < rcpt.len; i++)
		buf_addc(&lower,
		    (char)(rcpt.p[i] >= 'A' && rcpt.p[i] <= 'Z' ? rcpt.p[i] + 32 : rcpt.p[i]));
	hash_sha1(buf_slice(&lower), md);
	buf_free(&lower);
	return hash_hex(md, sizeof(md), hex);
}

int64_t
index_hashed_key(struct slice rcpt)
{
	char hex[2 * HASH_SHA1_SIZE + 1];

	return index_rcpt_key(slice_str(index_rcpt_hash(rcpt, hex)));
}

int64_t
index_key_of(const struct event *ev)
{
	return index_rcpt_key(ev->rcpt_to.len > 0 ? ev->rcpt_to : ev->rcpt_hash);
}

/* The id as a number that sorts by time; the top bit is turned, since SQLite's numbers have a sign.
 */
#define TOP_BIT ((uint64_t)1 << 63)

int64_t
index_id_number(struct message_id id)
{
	return (int64_t)(((uint64_t)id.time << 32 | id.serial) ^ TOP_BIT);
}

struct message_id
index_id_of(int64_t number)
{
	uint64_t n = (uint64_t)number ^ TOP_BIT;

	return (struct message_id){ (uint32_t)(n >> 32), (uint32_t)n };
}

/* What it is goes first, so that an envelope id is no Message-ID. */
int64_t
index_name_key(enum index_name what, struct slice name)
{
	static const char letter[] = {
		[INDEX_MESSAGE_ID] = 'M', [INDEX_ENVID] = 'e', [INDEX_RCPT] = 'r'
	};
	uint64_t h = what == INDEX_RCPT ? (uint64_t)index_rcpt_key(name) : hash_fnv1a(name);

	return (int64_t)((h ^ (unsigned char)letter[what]) * 0x100000001b3);
}
