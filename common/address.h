/*
 * address.h - mail addresses: in the envelope (RFC 5321) and in headers (RFC 5322).
 */
#ifndef COMMON_ADDRESS_H
#define COMMON_ADDRESS_H

#include "common/buf.h"
#include "common/err.h"
#include "common/slice.h"

#define ADDRESS_LOCAL_MAX  64  /* RFC 5321 4.5.3.1.1 */
#define ADDRESS_DOMAIN_MAX 255 /* 4.5.3.1.2 */
#define ADDRESS_MAX        254 /* 4.5.3.1.3: a path is 256 with its angle brackets */

struct address {
	struct slice local;  /* as written, quotes included */
	struct slice domain; /* without '@'; "[192.0.2.1]" for a literal; a trailing dot stays */
};

/*
 * Split an envelope address, with or without <>; a source route ("@a,@b:") is
 * dropped. "<>" and "" give an empty local part and domain. An address without
 * '@' has an empty domain. The last '@' outside quotes counts; a quote that is
 * not closed is a character like others. Blanks around are dropped. Never
 * fails; both parts lie inside `path`.
 */
struct address address_split(struct slice path);

/*
 * A hash that is the same for all ways to write one address: case, <>, a source route,
 * quotes around a local part that needs none. MTAs write it in another way than the
 * client did. FNV-1a of the rest, so that what has none of these has that of its lower case.
 */
uint64_t address_key(struct slice path);

/*
 * May we put this in MAIL FROM? ASCII without controls and blanks outside
 * quotes, dot-atom or quoted local part, a host name or address literal,
 * lengths as above. The null sender ("") is valid. Without <>. -1: *e says what
 * is wrong, not which address.
 */
int address_check(struct slice addr, struct err *e);

/* Is this a dot-atom (RFC 5322 3.2.3)? */
bool address_is_dot_atom(struct slice s);

/*
 * First mailbox of an address list header (From, Sender): comments, groups,
 * folds, quoted strings and route addresses as RFC 5322 and its obsolete forms
 * have them. *addr gets local@domain, *name (may be NULL) the display name with
 * quoting undone but RFC 2047 words still encoded; both are cleared first.
 * False if the header holds no address; it is then empty.
 *
 * What has no '@' is no address and is passed over. Without angle brackets the
 * name is the comment behind the address ("joe@example.com (Joe)"). A comment,
 * quote or bracket that is never closed is a character like others. Neither
 * result holds control characters. An address that does not fit into *addr is
 * none; a name is cut.
 */
bool address_first(struct slice header_value, struct buf *addr, struct buf *name);

/*
 * Where the domains of all mailboxes of an address list header stand, in order: those of
 * the first `max`. Each is a part of `header_value`, from its first byte to its last; one
 * that is written with comments or blanks inside has them too. Returns how many.
 */
size_t address_domains(struct slice header_value, struct slice *domains, size_t max);

/*
 * Variable envelope return path, PowerMTA's form: sender jsmith@example.com and
 * recipient jdoe@yahoo.com give jsmith-jdoe=yahoo.com@example.com in *out, which
 * is cleared first. -1 and *e if the result is no valid address (too long), a
 * local part is not a dot-atom or the recipient's domain no host name; *out is
 * then empty.
 */
int address_verp(struct address sender, struct address rcpt, struct buf *out, struct err *e);

/*
 * The other way: jsmith-jdoe=yahoo.com@example.com gives the recipient
 * jdoe@yahoo.com in *rcpt, which is cleared first (the last '-' before the last
 * '=' parts sender and recipient, so a recipient with '-' in the local part
 * comes back cut). False, and *rcpt empty, if there is none.
 */
bool address_unverp(struct slice addr, struct buf *rcpt);

#endif
