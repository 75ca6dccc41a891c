/*
 * slice.h - a borrowed view of bytes: pointer and length, never NUL-terminated,
 * never freed. Every parser in this project reads slices and returns slices
 * into the same memory, so parsing copies nothing and cannot overrun.
 *
 * Lifetime: a slice is valid as long as the buffer it was cut from.
 * A slice with len == 0 is empty; p may then be anything, including NULL.
 */
#ifndef COMMON_SLICE_H
#define COMMON_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

struct slice {
	const char *p;
	size_t len;
};

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))
#define SLICE_LIT(s)	((struct slice){ (s), sizeof("" s) - 1 })
#define SLICE_FMT(s)	(int)(s).len, (s).p /* for "%.*s"; only for slices that are known to be short */

static inline struct slice
slice_str(const char *s)
{
	return (struct slice){ s, s == NULL ? 0 : strlen(s) };
}

static inline bool
slice_eq(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

/* ASCII letters compare without case, whatever the locale. */
bool slice_eqi(struct slice a, struct slice b);
bool slice_starts(struct slice s, struct slice prefix);
bool slice_startsi(struct slice s, struct slice prefix);
bool slice_endsi(struct slice s, struct slice suffix);

/* Offset of the first `c`, or s.len. */
size_t slice_find(struct slice s, char c);

/* The part behind the first n bytes; empty if there are fewer. */
static inline struct slice
slice_skip(struct slice s, size_t n)
{
	if (n > s.len)
		n = s.len;
	return (struct slice){ n == 0 ? s.p : s.p + n, s.len - n };
}

/* At most the first n bytes. */
static inline struct slice
slice_head(struct slice s, size_t n)
{
	return (struct slice){ s.p, n < s.len ? n : s.len };
}

/* Drop leading and trailing blanks, tabs, CR and LF. */
struct slice slice_trim(struct slice s);

/*
 * Cut off and return everything before the first `sep`; *rest moves past it.
 * Without a separator the whole slice is returned and *rest becomes empty.
 */
struct slice slice_cut(struct slice *rest, char sep);

/*
 * Next line without its LF or CRLF; *rest moves past the line end. False when
 * *rest was empty already. The last line may lack its line end.
 */
bool slice_line(struct slice *rest, struct slice *line);

/* Next run of bytes that are neither blank nor tab. False if there is none. */
bool slice_word(struct slice *rest, struct slice *word);

/* Unsigned decimal, whole slice, no sign, no blanks. False if > max or malformed. */
bool slice_uint(struct slice s, uint64_t max, uint64_t *out);

#endif
