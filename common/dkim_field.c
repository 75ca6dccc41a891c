/* The canonical form of a header field (RFC 6376 3.4.1, 3.4.2). */
#include "common/dkim.h"

/* Line ends of a fold count as white space: some always follows them. */
static bool
is_space_at(struct slice s, size_t i)
{
	char c = s.p[i];

	return c == ' ' || c == '\t' || c == '\n' ||
	       (c == '\r' && i + 1 < s.len && s.p[i + 1] == '\n');
}

static void
add_relaxed_value(struct slice v, struct buf *out)
{
	bool first = true;
	size_t i = 0;

	for (;;) {
		size_t start;

		while (i < v.len && is_space_at(v, i))
			i++;
		if (i == v.len)
			return;
		start = i;
		while (i < v.len && !is_space_at(v, i))
			i++;
		if (!first)
			buf_addc(out, ' ');
		first = false;
		buf_add(out, (struct slice){ v.p + start, i - start });
	}
}

static void
add_relaxed_name(struct slice name, struct buf *out)
{
	for (size_t i = 0; i < name.len; i++) {
		char c = name.p[i];

		buf_addc(out, c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c);
	}
}

/* As it is, but for folds that we hold with LF only. */
static void
add_simple_value(struct slice v, struct buf *out)
{
	for (;;) {
		size_t n = slice_find(v, '\n');

		if (n == v.len)
			break;
		buf_add(out, slice_head(v, n));
		if (n == 0 || v.p[n - 1] != '\r')
			buf_addc(out, '\r');
		buf_addc(out, '\n');
		v = slice_skip(v, n + 1);
	}
	buf_add(out, v);
}

void
dkim_field_canon(const struct dkim_field *f, enum dkim_canon canon, struct buf *out)
{
	struct slice name = f->name;

	if (canon == DKIM_RELAXED) {
		add_relaxed_name(slice_trim(name), out);
		buf_addc(out, ':');
		add_relaxed_value(f->value, out);
	} else {
		buf_add(out, name);
		buf_addc(out, ':');
		add_simple_value(f->value, out);
	}
	buf_adds(out, "\r\n");
}
