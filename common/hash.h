/*
 * hash.h - digests and random bytes, from OpenSSL's libcrypto.
 * A digest that libcrypto can't make is a broken installation: fatal.
 */
#ifndef COMMON_HASH_H
#define COMMON_HASH_H

#include <stdint.h>

#include "common/slice.h"

#define HASH_SHA256_SIZE 32
#define HASH_SHA1_SIZE	 20

void hash_sha256(struct slice in, unsigned char out[HASH_SHA256_SIZE]);
void hash_sha1(struct slice in, unsigned char out[HASH_SHA1_SIZE]);

/* A digest of bytes that come in pieces. */
struct hash;
struct hash *hash_sha256_begin(void);
void hash_add(struct hash *h, struct slice in);
void hash_end(struct hash *h, unsigned char out[HASH_SHA256_SIZE]); /* frees h */
void hash_free(struct hash *h); /* NULL is fine */

/* FNV-1a, for tables in memory: quick, and nothing that an adversary could not collide. */
uint64_t hash_fnv1a(struct slice in);

/* The first 63 bits of the SHA-256 of `in`: an event id (0..2^63-1). */
uint64_t hash_id63(struct slice in);

/* Lower-case hex digits of n bytes; out has room for 2 * n + 1. Returns out. */
const char *hash_hex(const unsigned char *in, size_t n, char *out);

/* Bytes fit for keys. */
void hash_random(void *out, size_t n);

#endif
