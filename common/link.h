/*
 * link.h - tracked URLs: what stands in them and how it is read back.
 *
 *	BASE/c/TOKEN	click		BASE/u/TOKEN	unsubscribe click
 *	BASE/o/TOKEN	open		BASE/i/TOKEN	initial open
 *
 * data-msys-sublink="p" puts p in the place of the letter of a click, so that a
 * proxy or an app can route it. The token (common/token.h) holds all that the
 * event needs, so the tracker has no database; it can't be read or made without
 * a key of the ring.
 */
#ifndef COMMON_LINK_H
#define COMMON_LINK_H

#include "common/ids.h"
#include "common/token.h"

#define LINK_URL_MAX                                                                               \
	4096 /* bytes of a target; SparkPost refuses longer ones when they are clicked */
#define LINK_NAME_MAX    63
#define LINK_RCPT_MAX    1024
#define LINK_SUBLINK_MAX 32 /* letters, digits, '-', '_' */

struct link {                      /* slices are borrowed */
	enum token_kind kind;      /* TOKEN_CLICK, _UNSUBSCRIBE, _OPEN, _INITIAL_OPEN */
	struct message_id message; /* its time is when the message was taken: links expire by it */
	uint64_t subaccount;
	struct slice
	    rcpt; /* the address, also with privacy-policy sha1: who makes the event applies it */
	struct slice name;    /* link name, or empty */
	struct slice url;     /* empty for opens; http or https */
	struct slice sublink; /* of clicks, only for making; empty: the kind's letter */
};

/* May this stand in the place of a click's letter? 1 to LINK_SUBLINK_MAX of what is said above. */
bool link_is_sublink(struct slice s);

/*
 * Append the tracked URL. `base` is like "https://track.example.com", without a
 * slash at its end. The result holds only letters, digits and "-_./:", so it needs
 * no escaping in an attribute, a text or a quoted-printable body.
 * The target is sealed byte for byte, blanks and controls inside it too. -1 and *e,
 * nothing added: a part is too long, or the target is neither http nor https.
 */
int link_make(const struct token_ring *r, const char *base, const struct link *l, struct buf *out,
    struct err *e);

/*
 * Read the path of a tracked URL, "/c/TOKEN", without query. `store` owns what the
 * slices of *out point into (it is cleared first). False for everything that was
 * not sealed by the ring, and for a target that is neither http nor https. A
 * target goes into a header through link_location().
 */
bool link_open(const struct token_ring *r, struct slice path, struct link *out, struct buf *store);

/*
 * Append a target as it may stand in a Location header: blanks and controls escaped, as
 * a browser does it, all other bytes as they are (8-bit ones may stand there, RFC 9110 5.5).
 */
void link_location(struct slice url, struct buf *out);

/* The key id that stands in the token of this path, which need not open. False: there is none. */
bool link_key_id(struct slice path, unsigned *id);

/* Is this URL one that link_make() made with this base and a key of the ring? */
bool link_is_ours(const struct token_ring *r, const char *base, struct slice url);

#endif
