/*
 * params.h - values of query parameters, checked and in the form that the
 * store's SQL wants them.
 */
#ifndef COLLECTOR_PARAMS_H
#define COLLECTOR_PARAMS_H

#include "common/buf.h"
#include "common/err.h"
#include "common/slice.h"

#define PARAMS_PER_PAGE_MAX 10000

struct param_value { /* a list as a JSON array, or a number */
	bool is_text;
	struct buf text;
	int64_t number;
};

/*
 * A reader takes one value. -1: *e says what was expected. The result is added
 * to what *out holds from an earlier parameter of the same name, if it is a
 * list, and replaces it otherwise.
 */
typedef int param_reader(
    struct slice value, char delimiter, struct param_value *out, struct err *e);

param_reader param_texts;
param_reader param_lower;     /* letters made lower case */
param_reader param_integers;  /* 0..2^63-1 */
param_reader param_types;     /* event types, public or wire names, to wire names */
param_reader param_outcomes;  /* success, error; to 0, 1 */
param_reader param_errors;    /* validation, decompress, ... */
param_reader param_bool;      /* true or false; to 1, 0 */
param_reader param_time;      /* YYYY-MM-DDTHH:MM[:SS[.mmm]][Z]; to milliseconds since 1970 */
param_reader param_per_page;  /* 1..PARAMS_PER_PAGE_MAX */
param_reader param_delimiter; /* one character; it is the number */
param_reader param_utc;       /* the only time zone we know */

void param_value_free(struct param_value *v);

/* Where the next page begins: behind the row (at, id), among those up to `newest`. */
struct param_cursor {
	int64_t at, id, newest, total;
};

/* `kind` keeps the cursor of one question from being used for another. */
void param_cursor_print(const struct param_cursor *c, char kind, struct buf *out);
bool param_cursor_parse(struct slice text, char kind, struct param_cursor *out);

#endif
