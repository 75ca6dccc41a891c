/* Any bytes as a header block: results lie inside the input, unfolding and folding keep the words.
 */
#include <stdlib.h>

#include "common/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(bool good)
{
	if (!good)
		abort();
}

static void
inside(struct slice part, struct slice whole)
{
	check(part.len == 0 || (part.p >= whole.p && part.p + part.len <= whole.p + whole.len));
}

static void
words(struct slice s, struct buf *out)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] != ' ' && s.p[i] != '\t' && s.p[i] != '\r' && s.p[i] != '\n')
			buf_addc(out, s.p[i]);
}

static void
fold(struct slice field, const char *eol)
{
	struct buf folded, before, after;
	struct slice rest, line;
	bool first = true;

	buf_init(&folded, BUF_NO_LIMIT);
	buf_init(&before, BUF_NO_LIMIT);
	buf_init(&after, BUF_NO_LIMIT);
	if (header_fold(&folded, field, eol)) {
		rest = buf_slice(&folded);
		while (slice_line(&rest, &line)) {
			check(line.len <= HEADER_LINE_MAX);
			/* All but the first begin with a blank: still one field. */
			check(first || (line.len > 0 && (line.p[0] == ' ' || line.p[0] == '\t')));
			first = false;
		}
	}
	words(field, &before);
	words(buf_slice(&folded), &after);
	check(slice_eq(buf_slice(&before), buf_slice(&after)));
	buf_free(&folded);
	buf_free(&before);
	buf_free(&after);
}

static void
values(struct slice value, struct slice whole)
{
	static const char *const names[] = { "charset", "boundary", "a", "" };
	struct buf out, again;

	buf_init(&out, 1000);
	buf_init(&again, BUF_NO_LIMIT);
	inside(header_token(value), whole);
	for (size_t i = 0; i < COUNT(names); i++) {
		size_t before = out.len;

		if (!header_param(value, names[i], &out))
			check(out.len == before);
	}
	buf_clear(&out);
	header_unfold(&again, value);
	check(again.len <= value.len);
	check(slice_find(buf_slice(&again), '\n') == again.len);
	buf_free(&out);
	buf_free(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice all = { (const char *)data, size }, rest = all;
	struct header h;
	int got;

	while ((got = header_next(&rest, &h)) != 0) {
		check(rest.len < all.len || all.len == 0);
		inside(rest, all);
		inside(h.whole, all);
		if (got < 0)
			continue;
		inside(h.name, h.whole);
		inside(h.value, h.whole);
		check(h.name.len > 0 && slice_starts(h.whole, h.name));
		values(h.value, all);
		fold(h.whole, size % 2 == 0 ? "\n" : "\r\n");
	}
	inside(rest, all);
	values(all, all);
	return 0;
}
