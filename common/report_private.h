/*
 * report_private.h - what the files of the report reader share: report.c decides, report_parts.c
 * walks the mail, report_plain.c makes text of it, report_rcpts.c reads recipients,
 * report_strings.c keeps what is handed out.
 */
#ifndef COMMON_REPORT_PRIVATE_H
#define COMMON_REPORT_PRIVATE_H

#include "common/buf.h"
#include "common/charset.h"
#include "common/mime.h"
#include "common/report.h"
#include "common/report_text.h"
#include "common/returned.h"

#define MAX_SUBJECT ((size_t)4096)
#define MAX_VALUE   ((size_t)2048)
#define MAX_FAILED  64 /* X-Failed-Recipients fields */
#define MAX_HEADER  ((size_t)256 * 1024)
#define MAX_LOWER   ((size_t)16 * 1024)

struct report_chunk;

/* The report's own header. */
struct report_head {
	struct slice from, to, reply_to, delivered_to, subject, return_path, auto_submitted,
	    precedence, x_loop, apple_unsubscribe;
	struct slice x_auto; /* any of the fields that vacation programs add */
	struct slice failed[MAX_FAILED];
	size_t n_failed;
	bool has_return_path;
};

struct report_reader {
	struct charset_cache charsets;
	struct report_chunk *chunks;
	size_t strings;
	struct mime_walk walk;
	struct buf copy;    /* the mail with its line ends made right */
	struct buf folded;  /* its header with lost folds restored */
	struct buf decoded; /* the machine-readable part */
	struct buf decoded_returned;
	struct buf text, lower; /* for people; its start in lower case */
	struct buf scratch, address;
	struct report_head head;
	struct buf from_addr, from_name, to_addr, subject_lower;
	struct report_text found;
	struct report_rcpt *rcpts;
	size_t n_rcpts, room;
	bool truncated;
	const struct report_patterns *bounce_patterns, *feedback_patterns;
};

/* What the walk has found. */
struct report_parts {
	struct slice dsn, arf;       /* decoded, if they had to be */
	struct slice returned;       /* header block of the message that it is about */
	struct slice inner_dsn;      /* lies in a message that is attached */
	struct slice inner_returned; /* and what that one is about */
	bool has_dsn, has_arf, has_returned, has_inner_dsn, has_inner_returned, has_mdn;
	bool has_message; /* `returned` is a whole message, to the end of the mail */
	bool report;      /* the mail is a multipart/report */
	bool html_seen, plain_seen;
	struct slice html_body, html_type;
	enum transfer html_encoding;
	struct slice mail;
	struct slice after_root; /* all behind the root's header */
	unsigned leaves;
	bool truncated;
};

struct report_sender {
	bool daemon;  /* by its name */
	bool machine; /* by that, by the null return path, or by what only mail systems add */
	bool null_path;
	bool forward; /* "Fwd:" */
	bool bounce_subject;
};

/* ---- report_strings.c: memory that lives as long as the report ---- */

void report_drop_strings(struct report_reader *rr);
struct slice report_keep(struct report_reader *rr, struct slice s);
/* Folds, controls and runs of blanks become one blank each; what is no UTF-8 U+FFFD. */
struct slice report_clean(struct report_reader *rr, struct slice s, size_t max);
/* "<id@host>" loses its brackets, and what stands behind them. */
struct slice report_without_brackets(struct slice s);
void report_lower(struct buf *out, struct slice s);

/* ---- report_plain.c ---- */

/* CRLF and CR become LF, CRs before a CRLF and NUL nothing. */
void report_add_lines(struct buf *out, struct slice s);
/* Append a text part to rr->text, decoded. */
void report_add_text(struct report_reader *rr, struct slice body, enum transfer encoding,
    struct slice content_type, bool html);

/* ---- report_parts.c ---- */

/* Read the mail: fills rr->head, rr->text and *ps. */
void report_walk(struct report_reader *rr, struct slice mail, struct report_parts *ps);

/* ---- report_rcpts.c ---- */

/* NULL, and rr->truncated, if there are too many. */
struct report_rcpt *report_new_rcpt(struct report_reader *rr);
bool report_is_known(const struct report_reader *rr, struct slice rcpt);
bool report_is_failure(enum dsn_action a);
struct slice report_one_line(struct report_reader *rr, struct slice s);
struct slice report_first_address(struct report_reader *rr, struct slice value);

/* All recipients of a delivery-status part. Returns how many have an address. */
size_t report_read_dsn(struct report_reader *rr, struct slice part, struct report *out);
/* "Final-Recipient:" in a text: such a part that has lost its header, or never had one. */
struct slice report_fields_in_text(struct slice text);
/* The only recipient, if the DSN names him without a domain or not at all. */
void report_find_missing(struct report_reader *rr, const struct returned *ret);

void report_take_returned(struct report_reader *rr, struct report *out, const struct returned *ret);
/* The header of the quoted message in a text for people. */
void report_returned_in_text(struct slice quoted, struct returned *ret);

/* Its id, where a text or a DSN names it; empty if neither does. */
struct slice report_message_id_in(struct slice s);

enum dsn_action report_text_action(const struct report_reader *rr);
void report_read_failed(struct report_reader *rr, enum dsn_action action); /* X-Failed-Recipients */
void report_read_text(struct report_reader *rr, const struct returned *ret, enum dsn_action action);

#endif
