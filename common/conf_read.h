/*
 * conf_read.h - the grammar of configuration files: from bytes to statements
 * with their place. It knows no directive but `include`.
 *
 *	# comment
 *	NAME arguments...		CONF_LINE
 *	<NAME arguments...>		CONF_OPEN
 *	</NAME>				CONF_CLOSE
 *	include FILE			the statements of FILE, or of all files that match
 *
 * One statement a line. Blanks and tabs separate arguments; double quotes, with
 * \" and \\ inside, keep them in one. '#' begins a comment, but for inside
 * double quotes and /regex/. A BOM and CRLF are tolerated.
 *
 *	struct conf_reader *r = conf_reader_open(&mem, file, report, arg, &e);
 *
 *	while (conf_reader_next(r, &st) > 0)
 *		...
 */
#ifndef COMMON_CONF_READ_H
#define COMMON_CONF_READ_H

#include "common/buf.h"
#include "common/conf.h"
#include "common/conf_mem.h"

#define CONF_LINE_MAX    65536       /* bytes */
#define CONF_NEST_MAX    8           /* blocks inside blocks */
#define CONF_INCLUDE_MAX 16          /* files inside files */
#define CONF_FILES_MAX   1000        /* files in all */
#define CONF_FILE_MAX    (16U << 20) /* bytes of one file */
#define CONF_TOTAL_MAX   (64U << 20) /* bytes of all files */
#define CONF_ARGS_MAX    1000        /* arguments of one directive */

enum conf_statement_kind { CONF_LINE, CONF_OPEN, CONF_CLOSE };

struct conf_statement {
	enum conf_statement_kind kind;
	struct conf_at at;
	struct slice name; /* as written */
	struct slice rest; /* what stands behind it, comment included; for conf_args_split() */
};

struct conf_reader;

/*
 * What is wrong goes to `report` with its place, and reading goes on behind it
 * as long as report() returns true. at.line 0: the file as a whole. Errors and
 * warnings are told apart by `warning`.
 */
typedef bool conf_report_fn(void *arg, bool warning, struct conf_at at, const char *text);

/* Read a file. NULL and *e if it can't be read. `mem` gets the file names. */
struct conf_reader *conf_reader_open(
    struct conf_mem *mem, const char *file, conf_report_fn *report, void *arg, struct err *e);

/* Read `text`, which must outlive the reader, under the name `name`. It may not include. */
struct conf_reader *conf_reader_open_text(
    struct conf_mem *mem, const char *name, struct slice text, conf_report_fn *report, void *arg);
void conf_reader_close(struct conf_reader *r);

/*
 * 1: *out, which borrows from the reader, is valid until it is closed. 0: no
 * more. -1: report() wanted no more. Tags come in pairs: each CONF_OPEN gets its
 * CONF_CLOSE, even if the file lacks it (that is reported).
 */
int conf_reader_next(struct conf_reader *r, struct conf_statement *out);

/* ---- arguments ---- */

struct conf_arg {
	struct slice text; /* unquoted; for a regex what stands between the slashes */
	bool quoted, regex;
};

struct conf_args {
	struct buf text; /* what the arguments point into */
	size_t n, room;
	struct conf_arg *v;
	bool glued_comment; /* a '#' directly behind a word was taken for a comment */
};

void conf_args_init(struct conf_args *a);
void conf_args_free(struct conf_args *a);

enum {
	CONF_ARGS_COMMAS = 1, /* commas separate too; blanks around them don't count */
	CONF_ARGS_REGEX = 2, /* an argument that begins with '/' is a regex up to the closing '/' */
};

/* Split what stands behind a name. -1: *e has what is wrong, without a place. */
int conf_args_split(struct conf_args *a, struct slice rest, unsigned flags, struct err *e);

/* Append an argument so that reading gives it back: in double quotes where it needs them. */
void conf_arg_print(struct slice text, unsigned flags, struct buf *out);

#endif
