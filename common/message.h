/*
 * message.h - a message that is being changed: what the MTA gave us, and what it
 * shall become. The milter turns the difference into libmilter calls, `signalpost
 * rewrite` prints the result.
 *
 * Bodies have CRLF or LF line ends, as they came. Header values are raw: all
 * behind the colon, leading blank included, folds as LF + white space.
 */
#ifndef COMMON_MESSAGE_H
#define COMMON_MESSAGE_H

#include "common/buf.h"
#include "common/slice.h"

struct message_header {
	char *name, *value;
	unsigned index; /* which of its name the MTA counts it as, from 1; 0: added by us */
	bool deleted, changed;
	bool top; /* added: goes above all others, not below */
};

struct message {
	struct message_header *headers;
	size_t n_headers, room;
	void *counts; /* how many of each name came from the MTA */
	struct buf body;
	bool body_changed;
};

void message_init(struct message *m, size_t body_max);
void message_free(struct message *m); /* back to an empty message with the same cap */

/*
 * Read headers and body of a whole message (a .eml file). A "From " line of an mbox
 * before the headers is skipped; a line that is no header begins the body, as it does
 * for Postfix.
 */
void message_parse(struct message *m, struct slice text);

/* As it came from the MTA, in order. Copies. */
void message_add_original(struct message *m, struct slice name, struct slice value);

/*
 * First header of that name at or after `from` that is not deleted, or NULL. Headers
 * stand in the order in which they leave; a pointer to one is good until a header is added.
 */
struct message_header *message_find(const struct message *m, const char *name, size_t from);
size_t message_position(const struct message *m, const struct message_header *h);

/* Append the first field of that name as a line of a header block, if there is one. */
void message_put_field(const struct message *m, const char *name, struct buf *out);

void message_set(struct message_header *h, struct slice value); /* copies */
void message_delete(struct message *m, const char *name);       /* all of that name */
/*
 * Below all others, or above them (the last one prepended is the topmost). Copies.
 * `name` and `value` must not point into m.
 */
void message_append(struct message *m, const char *name, struct slice value);
void message_prepend(struct message *m, const char *name, struct slice value);

/* Takes over new's bytes (it is left empty). */
void message_set_body(struct message *m, struct buf *new_body);

/*
 * The whole message with LF or CRLF line ends, as the MTA will send it: a last line
 * without its end gets one.
 */
void message_print(const struct message *m, bool crlf, struct buf *out);

#endif
