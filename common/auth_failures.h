/*
 * auth_failures.h - who fails to authenticate, for smtp-max-auth-failure-rate: the
 * file "auth-failures" in the spool's directory. The uploader, which reads the
 * MTA's log, writes it; the milter looks into it at each connect.
 *
 *	auth-failures 1 00000002
 *	00000000000000000000ffffc0000201 0000000060 00000000001785845120 0000000003
 *	20010db8000000010000000000000000 0000000060 00000000001785845100 0000000001
 *	position NAME STATE
 *
 * A line a client and length of window, sorted: address (an IPv6 client is its
 * /64, since it may take any address of that), seconds, when the window began
 * (Unix seconds), failures in it. Behind them stands how far each log has been
 * read (both base64), so that no failure counts twice, whatever dies when.
 * The file is replaced whole. At most AUTH_FAILURES_MAX windows, 5 MB: when there
 * are more, the quarter that would end first is forgotten.
 */
#ifndef COMMON_AUTH_FAILURES_H
#define COMMON_AUTH_FAILURES_H

#include <stdint.h>
#include <sys/socket.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/slice.h"

#define AUTH_FAILURES_FILE "auth-failures"
#define AUTH_FAILURES_MAX  ((size_t)65536)

struct auth_client {
	unsigned char v[16]; /* IPv4 as ::ffff:a.b.c.d, IPv6 with its last 64 bits zero */
};

/* False if it is no address. */
bool auth_client_of(const struct sockaddr *sa, struct auth_client *out);
bool auth_client_parse(struct slice text, struct auth_client *out); /* "192.0.2.1", "2001:db8::1" */

/* ---- counting; one thread ---- */

struct auth_failures;

struct auth_failures *auth_failures_new(void);
void auth_failures_free(struct auth_failures *t); /* NULL is fine */

/*
 * A failure at `at_s`, in a window of `window_s` seconds: the one that it falls
 * into, or a new one that it begins. False if that has ended: nobody needs to know,
 * but what is read late must fall into the same windows as what is read in time.
 * A time that is to come counts as now.
 */
bool auth_failures_add(struct auth_failures *t, const struct auth_client *client,
    uint32_t window_s, int64_t at_s, int64_t now_s);

/* Forget the windows that have ended. */
void auth_failures_trim(struct auth_failures *t, int64_t now_s);
size_t auth_failures_count(const struct auth_failures *t);
uint64_t auth_failures_forgotten(const struct auth_failures *t); /* for want of room */

/* The lines of the file, without the positions. */
void auth_failures_print(struct auth_failures *t, struct buf *out);

/*
 * Read them back into an empty table; *rest is what stands behind them. -1: *e
 * says what is wrong, and the table is empty.
 */
int auth_failures_read(
    struct auth_failures *t, struct slice text, struct slice *rest, struct err *e);

/* A position behind the lines, and the search for one: false if there is none. */
void auth_failures_put_position(struct buf *out, const char *name, struct slice state);
bool auth_failures_position(struct slice rest, const char *name, struct buf *state);

/* ---- asking; any thread ---- */

struct auth_failures_view;

/* The file in this directory, now or later. It is read anew when it was replaced. */
struct auth_failures_view *auth_failures_open(const char *dir);
void auth_failures_close(struct auth_failures_view *v); /* NULL is fine */

/*
 * Has this client failed `most` times in a window of `window_s` seconds that has
 * not ended? When it does (Unix seconds), or 0. A file that is missing or damaged has nobody in it.
 */
int64_t auth_failures_until(struct auth_failures_view *v, const struct auth_client *client,
    uint64_t most, uint32_t window_s, int64_t now_s);

#endif
