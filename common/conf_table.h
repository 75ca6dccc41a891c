/*
 * conf_table.h - the one table of blocks and directives. Parser, check, listing
 * and manual page are driven by it; a new directive is a new row.
 */
#ifndef COMMON_CONF_TABLE_H
#define COMMON_CONF_TABLE_H

#include "common/buf.h"
#include "common/slice.h"

enum conf_scope {
	CONF_IN_GLOBAL,
	CONF_IN_SOURCE,
	CONF_IN_REWRITE_LIST,
	CONF_IN_DOMAIN,
	CONF_IN_KEY_LIST,
	CONF_IN_SIGNALS,
	CONF_IN_SINK,
	CONF_IN_FILTER,
	CONF_IN_VMTA,
	CONF_IN_POOL,
	CONF_IN_PROCESSOR,
	CONF_IN_ADDRESS_LIST,
	CONF_IN_EMAIL_PATTERNS,
	CONF_IN_SMTP_USER,
	CONF_IN_MILTER,
	CONF_IN_SPOOL,
	CONF_IN_TOKEN_KEYS,
	CONF_IN_COLLECTOR,
	CONF_IN_TRACKER,
	CONF_IN_MAIL_LOG,
	CONF_IN_PATTERN_LIST,
	CONF_IN_BOUNCE_CATEGORIES,
	CONF_IN_INBOUND,
	CONF_IN_ACCT_FILE,
	CONF_IN_SMTP_PATTERNS,
	CONF_N_SCOPES
};

enum { /* who acts on it; none of them: nothing does, outside PowerMTA */
	CONF_BY_MILTER = 1,
	CONF_BY_UPLOADER = 2,
	CONF_BY_COLLECTOR = 4,
	CONF_BY_TRACKER = 8,
	CONF_BY_MTA = 16,
};

enum {
	CONF_ROW_REPEAT = 1,   /* each one counts; else the last one does */
	CONF_ROW_SECRET = 2,   /* shown only on demand */
	CONF_ROW_LATER = 4,    /* accepted, but nothing acts on it in this version: one warning */
	CONF_ROW_FAMILY = 8,   /* the name ends in '*': all names that begin so */
	CONF_ROW_PATTERN = 16, /* no name: the line is a regex and what it stands for */
	CONF_ROW_PRESET_IS_COMPUTED = 32, /* the default is words for the reader, not a value */
};

struct conf_word { /* a word that a directive takes; several may mean the same, the first is
	              canonical */
	const char *word;
	int value;
};

enum conf_refers { /* to what has to exist somewhere */
	CONF_REFERS_NOT,
	CONF_TO_REWRITE_LIST,
	CONF_TO_KEY_LIST,
	CONF_TO_FILTER,
	CONF_TO_VMTA,
	CONF_TO_VMTA_OR_POOL,
	CONF_TO_SOURCE,
	CONF_TO_PATTERN_LIST,
};

struct conf_type;

struct conf_row {
	const char *name;
	enum conf_scope scope;
	const struct conf_type *type;
	size_t offset;      /* of the member, or of {n, v} of a list, in the scope's struct */
	size_t size;        /* of what it sets there; 0: it is kept as text only */
	const char *preset; /* the default as it would be written; NULL: not given */
	unsigned actors, flags;
	uint64_t least, most;          /* for numbers, when most > 0 */
	const struct conf_word *words; /* up to a NULL */
	enum conf_refers refers;
	const char *help;
};

extern const struct conf_row conf_rows[]; /* by scope, in the order of enum conf_scope */
extern const size_t conf_n_rows;

enum conf_tag_name { /* what stands behind the tag's word */
	CONF_TAG_NOTHING,
	CONF_TAG_NAME,
	CONF_TAG_SOURCE,
	CONF_TAG_DOMAIN,
	CONF_TAG_PATH_IF_ANY,
	CONF_TAG_COMMAND,
};

struct conf_tag {
	const char *name;
	enum conf_scope scope;
	enum conf_tag_name takes;
	unsigned parents; /* bit set of scopes */
	size_t size;      /* of the struct */
	bool exact_case;  /* names differ by case */
	bool twice_is_error;
	unsigned actors, flags;
	const char *help;
};

extern const struct conf_tag conf_tags[];
extern const size_t conf_n_tags;

/* The rows of a scope. */
const struct conf_row *conf_rows_of(enum conf_scope scope, size_t *n);

/* The directive, or NULL. */
const struct conf_row *conf_row_find(enum conf_scope scope, struct slice name);
const struct conf_tag *conf_tag_find(enum conf_scope parent, struct slice name);

/* "'x' is not a directive (did you mean 'y'?)", "'x' belongs in <source>, not in <domain>". */
void conf_row_explain(
    const struct conf_tag *in, enum conf_scope scope, struct slice name, struct buf *out);
void conf_tag_explain(
    const struct conf_tag *in, enum conf_scope scope, struct slice name, struct buf *out);

/* Append the directive as somebody would write it: "retry-after 15m". False: it is a family of names. */
bool conf_example(const struct conf_row *row, struct buf *out);

/* Comma-separated: "milter, MTA", or "nothing". */
void conf_actors_print(unsigned actors, struct buf *out);

#endif
