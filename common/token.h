/*
 * token.h - sealed text: it can't be read or made without a key of the ring.
 *
 * A token is base64url (or base32) of: version byte, key id byte, 16-byte
 * synthetic IV, ciphertext. AES-256-SIV (RFC 5297), with version, key id and
 * kind as associated data, so a token of one kind never opens as another. The
 * same text under the same key gives the same token.
 *
 * A ring is a directory with one file a key, "NAME.key": 64 random bytes in
 * base64. The key id is the first byte of SHA-256 of the key. The newest file
 * (greatest NAME; genkey names them by time) seals, all open.
 * Rings are immutable: reload opens a new one. Sealing and opening are thread-safe.
 */
#ifndef COMMON_TOKEN_H
#define COMMON_TOKEN_H

#include "common/buf.h"
#include "common/err.h"
#include "common/slice.h"

enum token_kind {
	TOKEN_MESSAGE = 'm', /* X-Signalpost-ID and return paths */
	TOKEN_CLICK = 'c',
	TOKEN_OPEN = 'o',
	TOKEN_INITIAL_OPEN = 'i',
	TOKEN_UNSUBSCRIBE = 'u',
	TOKEN_ONWARD = 'w', /* a captured report that goes on (onward.h) */
};

enum token_text { TOKEN_BASE64URL, TOKEN_BASE32 };

#define TOKEN_PLAIN_MAX 8192 /* bytes that can be sealed; none can't */

struct token_ring;

/*
 * Read the ring in `dir`. Refused: no key, a file that is not a key, one that
 * others may read, two with the same id. NULL and *e, which names the file.
 */
struct token_ring *token_ring_open(const char *dir, struct err *e);
void token_ring_close(struct token_ring *r);

/*
 * Write a new key file NAME.key (by time, greater than any there) into `dir`,
 * 0640, with the directory's group where we may; `*path` (may be NULL) gets its
 * path. No file is ever replaced, no key id taken twice. -1 and *e: also if a
 * key that is there can't be read.
 */
int token_ring_new_key(const char *dir, struct buf *path, struct err *e);

/* Append the token. 0, or -1 and *e: empty or too long, or `out` is full. */
int token_seal(const struct token_ring *r, enum token_kind kind, enum token_text as,
    struct slice plain, struct buf *out, struct err *e);

/* Append the plain text. False, nothing added, for anything that no key of the ring sealed as `kind`. */
bool token_open(const struct token_ring *r, enum token_kind kind, enum token_text as,
    struct slice token, struct buf *plain);

#endif
