#include "common/hash.h"

#include <limits.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static _Noreturn void
broken(const char *what)
{
	fprintf(stderr, "libcrypto: %s failed; the OpenSSL installation is broken\n", what);
	abort();
}

/* Looking an algorithm up by name costs as much as the digest of a short text: once a process. */
static const EVP_MD *
fetched(_Atomic(EVP_MD *) *kept, const char *name)
{
	EVP_MD *md = atomic_load(kept), *other = NULL;

	if (md != NULL)
		return md;
	md = EVP_MD_fetch(NULL, name, NULL);
	if (md == NULL)
		broken(name);
	if (atomic_compare_exchange_strong(kept, &other, md))
		return md;
	EVP_MD_free(md);
	return other;
}

static const EVP_MD *
sha256(void)
{
	static _Atomic(EVP_MD *) kept;

	return fetched(&kept, "SHA256");
}

static void
digest(const EVP_MD *md, const char *name, struct slice in, unsigned char *out)
{
	if (EVP_Digest(in.len > 0 ? in.p : "", in.len, out, NULL, md, NULL) != 1)
		broken(name);
}

void
hash_sha256(struct slice in, unsigned char out[HASH_SHA256_SIZE])
{
	digest(sha256(), "SHA-256", in, out);
}

void
hash_sha1(struct slice in, unsigned char out[HASH_SHA1_SIZE])
{
	digest(EVP_sha1(), "SHA-1", in, out);
}

/* struct hash is never defined: it is libcrypto's context under our name. */
static EVP_MD_CTX *
context(struct hash *h)
{
	return (EVP_MD_CTX *)(void *)h;
}

struct hash *
hash_sha256_begin(void)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	if (ctx == NULL || EVP_DigestInit_ex(ctx, sha256(), NULL) != 1)
		broken("SHA-256");
	return (struct hash *)(void *)ctx;
}

void
hash_add(struct hash *h, struct slice in)
{
	if (in.len > 0 && EVP_DigestUpdate(context(h), in.p, in.len) != 1)
		broken("SHA-256");
}

void
hash_end(struct hash *h, unsigned char out[HASH_SHA256_SIZE])
{
	if (EVP_DigestFinal_ex(context(h), out, NULL) != 1)
		broken("SHA-256");
	hash_free(h);
}

void
hash_free(struct hash *h)
{
	EVP_MD_CTX_free(context(h));
}

uint64_t
hash_fnv1a(struct slice in)
{
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < in.len; i++)
		h = (h ^ (unsigned char)in.p[i]) * 0x100000001b3;
	return h;
}

uint64_t
hash_id63(struct slice in)
{
	unsigned char md[HASH_SHA256_SIZE];
	uint64_t id = 0;

	hash_sha256(in, md);
	for (size_t i = 0; i < 8; i++)
		id = id << 8 | md[i];
	return id >> 1;
}

const char *
hash_hex(const unsigned char *in, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[in[i] >> 4];
		out[2 * i + 1] = digits[in[i] & 15];
	}
	out[2 * n] = '\0';
	return out;
}

void
hash_random(void *out, size_t n)
{
	if (n > INT_MAX || RAND_bytes(out, (int)n) != 1)
		broken("the random generator");
}
