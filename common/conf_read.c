#include "common/conf_read.h"

#include <fcntl.h>
#include <glob.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common/file.h"
#include "common/utf8.h"
#include "common/xalloc.h"

struct open_file {
	const char *name;
	struct slice rest;
	unsigned line;
	size_t base; /* blocks that were open when it began: not its own to close */
	dev_t dev;
	ino_t ino;
	struct conf_at include_at; /* files that an include of this one named: read them first */
	const char **include;
	size_t n_include, next_include;
};

struct open_block {
	struct slice name;
	struct conf_at at;
};

struct text { /* of a file, kept until the reader is closed */
	struct text *next;
	struct buf bytes;
};

struct conf_reader {
	struct conf_mem *mem;
	conf_report_fn *report;
	void *arg;
	bool stopped, from_memory;
	size_t n_files, n_blocks, files_read, bytes_read;
	struct open_file files[CONF_INCLUDE_MAX];
	struct open_block blocks[CONF_NEST_MAX];
	size_t closing; /* blocks that still have to be closed, innermost first */
	struct text *texts;
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct slice
skip_blanks(struct slice s)
{
	while (s.len > 0 && is_blank(s.p[0]))
		s = slice_skip(s, 1);
	return s;
}

/* ---- arguments ---- */

void
conf_args_init(struct conf_args *a)
{
	*a = (struct conf_args){ 0 };
	buf_init(&a->text, CONF_LINE_MAX + CONF_ARGS_MAX);
}

void
conf_args_free(struct conf_args *a)
{
	buf_free(&a->text);
	free(a->v);
	a->v = NULL;
}

/* "..." at the start of *rest, quotes and backslashes undone. */
static int
take_quoted(struct conf_args *a, struct slice *rest, struct err *e)
{
	struct slice s = slice_skip(*rest, 1);

	while (s.len > 0 && s.p[0] != '"') {
		if (s.p[0] == '\\' && s.len > 1 && (s.p[1] == '"' || s.p[1] == '\\'))
			s = slice_skip(s, 1);
		buf_addc(&a->text, s.p[0]);
		s = slice_skip(s, 1);
	}
	if (s.len == 0)
		return err_set(e, "a double quote is not closed");
	*rest = slice_skip(s, 1);
	return 0;
}

/* The '/' that ends a regex is the first one that is not escaped and has a blank, '#' or nothing
 * behind it. */
static int
take_regex(struct conf_args *a, struct slice *rest, struct err *e)
{
	struct slice s = slice_skip(*rest, 1);
	size_t n = 0;

	for (; n < s.len; n++) {
		if (s.p[n] == '\\')
			n++;
		else if (s.p[n] == '/' &&
			 (n + 1 == s.len || is_blank(s.p[n + 1]) || s.p[n + 1] == '#'))
			break;
	}
	if (n >= s.len)
		return err_set(e, "the regular expression is not closed by '/'");
	buf_add(&a->text, slice_head(s, n));
	*rest = slice_skip(s, n + 1);
	return 0;
}

static int
take_plain(struct conf_args *a, struct slice *rest, bool commas, struct err *e)
{
	size_t n = 0;

	while (n < rest->len && !is_blank(rest->p[n]) && rest->p[n] != '#' &&
	       !(commas && rest->p[n] == ',')) {
		if (rest->p[n] == '"')
			return err_set(e,
			    "a double quote inside a word: put the whole value in double quotes");
		n++;
	}
	a->glued_comment |= n < rest->len && rest->p[n] == '#';
	buf_add(&a->text, slice_head(*rest, n));
	*rest = slice_skip(*rest, n);
	return 0;
}

static int
take_arg(struct conf_args *a, struct slice *rest, unsigned flags, struct err *e)
{
	struct conf_arg arg = { 0 };
	size_t start = a->text.len;
	bool commas = (flags & CONF_ARGS_COMMAS) != 0;
	int rc;

	arg.quoted = rest->p[0] == '"';
	arg.regex = !arg.quoted && (flags & CONF_ARGS_REGEX) != 0 && rest->p[0] == '/';
	if (arg.quoted)
		rc = take_quoted(a, rest, e);
	else if (arg.regex)
		rc = take_regex(a, rest, e);
	else
		rc = take_plain(a, rest, commas, e);
	if (rc < 0)
		return -1;
	if (rest->len > 0 && !is_blank(rest->p[0]) && rest->p[0] != '#' &&
	    !(commas && rest->p[0] == ','))
		return err_set(e, "'%.*s' directly behind a closing double quote",
		    SLICE_FMT(slice_head(*rest, 1)));
	if (a->n == CONF_ARGS_MAX)
		return err_set(e, "more than %d arguments", CONF_ARGS_MAX);
	a->v = xgrow(a->v, a->n, &a->room, sizeof(*a->v));
	arg.text = (struct slice){ a->text.p + start, a->text.len - start };
	a->v[a->n++] = arg;
	return 0;
}

int
conf_args_split(struct conf_args *a, struct slice rest, unsigned flags, struct err *e)
{
	bool commas = (flags & CONF_ARGS_COMMAS) != 0, expect_more = false;

	a->n = 0;
	a->glued_comment = false;
	buf_clear(&a->text);
	/* All at once: arguments point into it, so it must not move. */
	buf_reserve(&a->text, rest.len + 1);
	for (;;) {
		rest = skip_blanks(rest);
		if (rest.len == 0 || rest.p[0] == '#')
			break;
		if (commas && rest.p[0] == ',')
			return err_set(e, "a comma with nothing before it");
		if (take_arg(a, &rest, flags, e) < 0)
			return -1;
		rest = skip_blanks(rest);
		expect_more = commas && rest.len > 0 && rest.p[0] == ',';
		if (expect_more)
			rest = slice_skip(rest, 1);
	}
	return expect_more ? err_set(e, "a comma with nothing behind it") : 0;
}

void
conf_arg_print(struct slice text, unsigned flags, struct buf *out)
{
	bool quote = text.len == 0 || ((flags & CONF_ARGS_REGEX) != 0 && text.p[0] == '/');

	for (size_t i = 0; i < text.len; i++)
		quote |= is_blank(text.p[i]) || text.p[i] == '#' || text.p[i] == '"' ||
		         text.p[i] == '>' || ((flags & CONF_ARGS_COMMAS) != 0 && text.p[i] == ',');
	if (!quote) {
		buf_add(out, text);
		return;
	}
	buf_addc(out, '"');
	for (size_t i = 0; i < text.len; i++) {
		if (text.p[i] == '"' || text.p[i] == '\\')
			buf_addc(out, '\\');
		buf_addc(out, text.p[i]);
	}
	buf_addc(out, '"');
}

/* ---- files ---- */

__attribute__((format(printf, 4, 5))) static void
report(struct conf_reader *r, bool warning, struct conf_at at, const char *fmt, ...)
{
	char text[sizeof(((struct err *)0)->text)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!r->report(r->arg, warning, at, text))
		r->stopped = true;
}

static void
push_text(struct conf_reader *r, const char *name, struct slice text, const struct stat *st)
{
	if (slice_starts(text, SLICE_LIT("\xef\xbb\xbf")))
		text = slice_skip(text, 3);
	r->files[r->n_files++] = (struct open_file){ .name = name,
		.rest = text,
		.base = r->n_blocks,
		.dev = st->st_dev,
		.ino = st->st_ino };
}

static bool
is_open(const struct conf_reader *r, const struct stat *st)
{
	for (size_t i = 0; i < r->n_files; i++)
		if (r->files[i].dev == st->st_dev && r->files[i].ino == st->st_ino)
			return true;
	return false;
}

static int
push_file(struct conf_reader *r, const char *path, struct err *e)
{
	struct text *t;
	struct stat st;

	if (r->n_files == CONF_INCLUDE_MAX)
		return err_set(e, "%s: files nested more than %d deep", path, CONF_INCLUDE_MAX);
	if (r->files_read == CONF_FILES_MAX)
		return err_set(e, "%s: more than %d files", path, CONF_FILES_MAX);
	if (stat(path, &st) < 0)
		return err_errno(e, "%s", path);
	if (is_open(r, &st))
		return err_set(e, "%s is being read already: it includes itself", path);
	t = xcalloc(1, sizeof(*t));
	buf_init(&t->bytes, CONF_FILE_MAX);
	t->next = r->texts;
	r->texts = t;
	if (file_read(AT_FDCWD, path, &t->bytes, e) < 0)
		return -1;
	r->files_read++;
	r->bytes_read += t->bytes.len;
	if (r->bytes_read > CONF_TOTAL_MAX)
		return err_set(
		    e, "%s: the files are larger than %u bytes in all", path, CONF_TOTAL_MAX);
	push_text(r, conf_mem_dup(r->mem, slice_str(path)), buf_slice(&t->bytes), &st);
	return 0;
}

/* A relative name is meant from where the including file is. */
static void
include_path(const struct open_file *f, struct slice name, struct buf *out)
{
	const char *slash = strrchr(f->name, '/');

	if (name.len > 0 && name.p[0] != '/' && slash != NULL)
		buf_add(out, (struct slice){ f->name, (size_t)(slash - f->name) + 1 });
	buf_add(out, name);
}

/* Queue what an include names; conf_reader_next() reads them one after the other. */
static void
queue_include(struct conf_reader *r, struct open_file *f, struct conf_at at, const char *pattern)
{
	bool wild = strpbrk(pattern, "*?[") != NULL;
	glob_t g = { 0 };
	/* Sorted by name. A plain name that is not there is kept, for the error it will give. */
	int rc = glob(pattern, wild ? 0 : GLOB_NOCHECK, NULL, &g);

	f->n_include = f->next_include = 0;
	f->include_at = at;
	if (rc != 0 && rc != GLOB_NOMATCH)
		report(r, false, at, "include: %s: cannot be searched", pattern);
	if (rc == 0 && g.gl_pathc > CONF_FILES_MAX)
		report(r, false, at, "include: %s: more than %d files", pattern, CONF_FILES_MAX);
	else if (rc == 0) {
		f->include = conf_mem_alloc(r->mem, g.gl_pathc, sizeof(*f->include));
		for (size_t i = 0; i < g.gl_pathc; i++)
			f->include[i] = conf_mem_dup(r->mem, slice_str(g.gl_pathv[i]));
		f->n_include = g.gl_pathc;
	}
	globfree(&g);
}

static void
include(struct conf_reader *r, const struct conf_statement *st)
{
	struct open_file *f = &r->files[r->n_files - 1];
	struct conf_args args;
	struct buf path;
	struct err e;

	if (r->from_memory) {
		report(r, false, st->at, "include: only a file can include files");
		return;
	}
	conf_args_init(&args);
	buf_init(&path, 4096);
	if (conf_args_split(&args, st->rest, 0, &e) < 0) {
		report(r, false, st->at, "include: %s", e.text);
	} else if (args.n != 1 || args.v[0].text.len == 0) {
		report(r, false, st->at, "include: expected one file name, wildcards allowed");
	} else {
		include_path(f, args.v[0].text, &path);
		if (path.full)
			report(r, false, st->at, "include: file name too long");
		else
			queue_include(r, f, st->at, buf_str(&path));
	}
	buf_free(&path);
	conf_args_free(&args);
}

/* ---- statements ---- */

/* NULL, or what makes the line impossible. */
static const char *
bad_line(struct slice line)
{
	if (line.len > CONF_LINE_MAX)
		return "line longer than 65536 bytes";
	for (size_t i = 0; i < line.len; i++) {
		unsigned char c = (unsigned char)line.p[i];

		if (c == '\0')
			return "a NUL in the line";
		if ((c < 0x20 && c != '\t') || c == 0x7f ||
		    (c == 0xc2 && i + 1 < line.len && (unsigned char)line.p[i + 1] < 0xa0))
			return "a control character in the line";
	}
	return utf8_valid(line) ? NULL : "the line is not UTF-8";
}

static struct slice
take_name(struct slice *rest, bool tag)
{
	size_t n = 0;
	struct slice name;

	while (n < rest->len && !is_blank(rest->p[n]) && rest->p[n] != '#' &&
	       !(tag && (rest->p[n] == '>' || rest->p[n] == '<')))
		n++;
	name = slice_head(*rest, n);
	*rest = slice_skip(*rest, n);
	return name;
}

/* Offset of the '>' that ends a tag, or s.len: outside double quotes and before a comment. */
static size_t
tag_end(struct slice s)
{
	bool quoted = false;
	size_t i;

	for (i = 0; i < s.len; i++) {
		if (quoted && s.p[i] == '\\' && i + 1 < s.len)
			i++;
		else if (s.p[i] == '"')
			quoted = !quoted;
		else if (!quoted && s.p[i] == '#')
			return s.len;
		else if (!quoted && s.p[i] == '>')
			break;
	}
	return i;
}

/* <NAME ...> or </NAME>: false, and reported, if it is malformed. */
static bool
read_tag(struct conf_reader *r, struct slice s, struct conf_statement *st)
{
	size_t end = tag_end(s);
	struct slice behind = skip_blanks(slice_skip(s, end + 1));

	st->kind = CONF_OPEN;
	st->rest = slice_skip(slice_head(s, end), 1);
	if (st->rest.len > 0 && st->rest.p[0] == '/') {
		st->kind = CONF_CLOSE;
		st->rest = slice_skip(st->rest, 1);
	}
	st->name = take_name(&st->rest, true);
	if (end == s.len) {
		report(r, false, st->at, "a tag that is not closed by '>'");
		return false;
	}
	if (st->name.len == 0) {
		report(r, false, st->at, "a tag without a name");
		return false;
	}
	if (behind.len > 0 && behind.p[0] != '#') {
		report(r, false, st->at, "'%.*s' behind the '>' of a tag: expected a new line",
		    SLICE_FMT(slice_head(behind, 40)));
		return false;
	}
	if (st->kind == CONF_CLOSE && skip_blanks(st->rest).len > 0) {
		report(r, false, st->at, "</%.*s> takes no argument",
		    SLICE_FMT(slice_head(st->name, 64)));
		st->rest.len = 0;
	}
	return true;
}

static bool
open_block(struct conf_reader *r, const struct conf_statement *st)
{
	if (r->n_blocks == CONF_NEST_MAX) {
		report(r, false, st->at, "<%.*s>: blocks nested more than %d deep",
		    SLICE_FMT(slice_head(st->name, 64)), CONF_NEST_MAX);
		r->stopped = true; /* what follows would be attributed wrongly */
		return false;
	}
	r->blocks[r->n_blocks++] = (struct open_block){ st->name, st->at };
	return true;
}

/* How many blocks does this close: 1, or more if inner ones lack their end, or 0. All but 1 is
 * reported. */
static size_t
close_blocks(struct conf_reader *r, const struct conf_statement *st, size_t base)
{
	const struct open_block *inner;
	size_t n = r->n_blocks;

	if (n == base) {
		report(r, false, st->at, "</%.*s> closes nothing",
		    SLICE_FMT(slice_head(st->name, 64)));
		return 0;
	}
	inner = &r->blocks[n - 1];
	if (slice_eqi(inner->name, st->name))
		return 1;
	report(r, false, st->at, "</%.*s>: expected </%.*s> for the <%.*s> of %s:%u",
	    SLICE_FMT(slice_head(st->name, 64)), SLICE_FMT(slice_head(inner->name, 64)),
	    SLICE_FMT(slice_head(inner->name, 64)), inner->at.file, inner->at.line);
	while (n > base && !slice_eqi(r->blocks[n - 1].name, st->name))
		n--;
	return n == base ? 0 : r->n_blocks - n + 1;
}

/* The file ends: what it opened and did not close is closed, and reported. */
static void
end_file(struct conf_reader *r)
{
	const struct open_file *f = &r->files[r->n_files - 1];

	for (size_t i = r->n_blocks; i > f->base && !r->stopped; i--)
		report(r, false, r->blocks[i - 1].at, "<%.*s> is not closed",
		    SLICE_FMT(slice_head(r->blocks[i - 1].name, 64)));
	r->closing = r->n_blocks - f->base;
	r->n_files--;
}

static void
close_one(struct conf_reader *r, struct conf_statement *out)
{
	const struct open_block *b = &r->blocks[--r->n_blocks];

	r->closing--;
	*out = (struct conf_statement){ .kind = CONF_CLOSE, .at = b->at, .name = b->name };
}

static void
next_included(struct conf_reader *r, struct open_file *f)
{
	struct conf_at at = f->include_at;
	struct err e;

	if (push_file(r, f->include[f->next_include++], &e) < 0)
		report(r, false, at, "include: %s", e.text);
}

/* One line. True if it is a statement for the caller. */
static bool
read_line(struct conf_reader *r, struct open_file *f, struct slice line, struct conf_statement *st)
{
	const char *bad = bad_line(line);
	struct slice s = skip_blanks(line);

	*st = (struct conf_statement){ .kind = CONF_LINE, .at = { f->name, f->line } };
	if (bad != NULL) {
		report(r, false, st->at, "%s", bad);
		return false;
	}
	if (s.len == 0 || s.p[0] == '#')
		return false;
	if (s.p[0] == '<') {
		if (!read_tag(r, s, st))
			return false;
		if (st->kind == CONF_OPEN)
			return open_block(r, st);
		r->closing = close_blocks(r, st, f->base);
		return false;
	}
	st->rest = s;
	/* The patterns of a block of patterns stand where a name would. */
	if (s.p[0] == '/' || s.p[0] == '"')
		return true;
	st->name = take_name(&st->rest, false);
	if (!slice_eqi(st->name, SLICE_LIT("include")))
		return true;
	include(r, st);
	return false;
}

int
conf_reader_next(struct conf_reader *r, struct conf_statement *out)
{
	while (!r->stopped) {
		struct open_file *f;
		struct slice line;

		if (r->closing > 0) {
			close_one(r, out);
			return 1;
		}
		if (r->n_files == 0)
			return 0;
		f = &r->files[r->n_files - 1];
		if (f->next_include < f->n_include) {
			next_included(r, f);
		} else if (slice_line(&f->rest, &line)) {
			f->line++;
			if (read_line(r, f, line, out) && !r->stopped)
				return 1;
		} else {
			end_file(r);
		}
	}
	return -1;
}

static struct conf_reader *
reader_new(struct conf_mem *mem, conf_report_fn *report_fn, void *arg)
{
	struct conf_reader *r = xcalloc(1, sizeof(*r));

	r->mem = mem;
	r->report = report_fn;
	r->arg = arg;
	return r;
}

struct conf_reader *
conf_reader_open(
    struct conf_mem *mem, const char *file, conf_report_fn *report_fn, void *arg, struct err *e)
{
	struct conf_reader *r = reader_new(mem, report_fn, arg);

	if (push_file(r, file, e) < 0) {
		conf_reader_close(r);
		return NULL;
	}
	return r;
}

struct conf_reader *
conf_reader_open_text(
    struct conf_mem *mem, const char *name, struct slice text, conf_report_fn *report_fn, void *arg)
{
	struct conf_reader *r = reader_new(mem, report_fn, arg);
	struct stat st = { 0 };

	r->from_memory = true;
	push_text(r, conf_mem_dup(mem, slice_str(name)), text, &st);
	return r;
}

void
conf_reader_close(struct conf_reader *r)
{
	if (r == NULL)
		return;
	while (r->texts != NULL) {
		struct text *next = r->texts->next;

		buf_free(&r->texts->bytes);
		free(r->texts);
		r->texts = next;
	}
	free(r);
}
