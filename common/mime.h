/*
 * mime.h - the parts of a message, one after the other (RFC 2045, RFC 2046).
 *
 *	struct mime_walk w;
 *	struct mime_part part;
 *
 *	mime_begin(&w, header_block, body);
 *	while (mime_next(&w, &part) > 0)
 *		if (part.kind == MIME_LEAF && mime_is(&part, "text", "html"))
 *			...
 *
 * Parts come in document order: the message itself first, a container before what
 * it holds. Nothing is allocated or copied; all slices lie in the input. One pass,
 * no recursion: linear in the input, times the depth for lines that begin with "--".
 *
 * What broken mail is taken for:
 * - a multipart without a boundary, with one over MIME_MAX_BOUNDARY bytes, or with
 *   that of a multipart it lies in: a leaf;
 * - a missing closing boundary: the part ends with what it lies in;
 * - a boundary counts if it is all of its line, but for "--" and blanks behind it;
 * - headers end at the first line that is none (mbox's "From " and ">From " lines at
 *   the start of a message are skipped); what follows is the body;
 * - a Content-Type that isn't type/subtype: text/plain.
 */
#ifndef COMMON_MIME_H
#define COMMON_MIME_H

#include "common/slice.h"
#include "common/transfer.h"

#define MIME_MAX_DEPTH    32   /* containers around a part */
#define MIME_MAX_PARTS    1000 /* containers counted too */
#define MIME_MAX_BOUNDARY 200  /* RFC 2046 5.1.1 allows 70 */

enum mime_kind {
	MIME_LEAF,
	MIME_MULTIPART,
	MIME_MESSAGE, /* message/rfc822, message/global, message/news: the next part is the message
	                 in it */
};

struct mime_part {
	enum mime_kind kind;
	unsigned depth;      /* containers around it; 0: the message itself */
	struct slice header; /* its header block with all line ends, without the empty line */
	/*
	 * Of a leaf: its bytes as they are encoded, without the line end that belongs to the
	 * boundary behind it. Of a container: empty. body.p is where the body begins, always.
	 */
	struct slice body;
	struct slice type, subtype; /* "text", "plain" if there is none or it is broken */
	struct slice content_type;  /* value of Content-Type, for header_param(); may be empty */
	struct slice disposition;   /* the word of Content-Disposition; may be empty */
	enum transfer encoding;
	bool is_root; /* a message's own header: the whole, or what a MIME_MESSAGE holds */
	bool sealed;  /* is or lies in multipart/signed or /encrypted, PKCS#7 or PGP: hands off */
	bool in_message;     /* lies in a MIME_MESSAGE */
	bool in_alternative; /* lies in a multipart/alternative */
};

struct mime_level { /* a container that is open */
	char boundary[MIME_MAX_BOUNDARY + 1];
	size_t boundary_len; /* 0: a message, it has none */
	bool sealed, in_message, in_alternative;
	bool digest; /* RFC 2046 5.1.5: a part without a type is a message */
};

struct mime_walk {
	struct slice rest;   /* not read yet */
	struct slice header; /* of the whole, if it was given apart */
	unsigned parts, depth;
	enum { MIME_AT_TOP, MIME_AT_PART, MIME_BETWEEN, MIME_AT_END, MIME_OVER } state;
	struct mime_level levels[MIME_MAX_DEPTH];
};

/* Header block (with or without its empty line) and body apart, as an MTA gives them. */
void mime_begin(struct mime_walk *w, struct slice header, struct slice body);

/* Both in one: a message as a file has it, or a part. */
void mime_begin_entity(struct mime_walk *w, struct slice entity);

/* 1: *part filled. 0: no more. -1: over the budget; what came before is right, the rest is not
 * read. */
int mime_next(struct mime_walk *w, struct mime_part *part);

/* Is it of this type? A NULL subtype stands for any. */
bool mime_is(const struct mime_part *part, const char *type, const char *subtype);

#endif
