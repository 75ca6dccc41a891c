/* Any bytes: tags come in order, lie inside the text, and so do their attributes. */
#include <stdlib.h>

#include "common/html.h"
#include "common/html_charset.h"
#include "common/html_entities.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(bool good)
{
	if (!good)
		abort();
}

static void
attributes(struct slice in, const struct html_tag *tag)
{
	struct html_attr a;
	size_t at = tag->attrs, end = tag->attrs;

	while (html_attr_next(in, &at, &a)) {
		check(a.start >= end && a.name_len > 0 && a.end >= a.start + a.name_len);
		check(a.value >= a.start + a.name_len && a.value + a.value_len <= a.end);
		check(a.quote == 0 ||
		      (in.p[a.value - 1] == a.quote && in.p[a.value + a.value_len] == a.quote));
		check(a.end < tag->end && at >= a.end);
		end = a.end;
	}
	check(at == tag->end - 1 - tag->self_closing && in.p[tag->end - 1] == '>');
	check(!tag->self_closing || in.p[at] == '/');
}

static void
scan(struct slice in)
{
	struct html_scan s;
	struct html_tag tag;
	size_t end = 0;

	html_begin(&s, in);
	while (html_next(&s, &tag)) {
		check(tag.start >= end && tag.end > tag.start && tag.end <= in.len);
		check(in.p[tag.start] == '<' && tag.name_at == tag.start + 1 + tag.end_tag);
		check(tag.name_len > 0 && tag.attrs == tag.name_at + tag.name_len);
		check(s.ctx.depth <= HTML_DEPTH_MAX);
		attributes(in, &tag);
		end = tag.end;
	}
	check(s.ctx.mode == HTML_IN_FRAMESET || s.ctx.body <= in.len);
}

static void
references(struct slice in)
{
	char out[HTML_REFERENCE_MAX];
	size_t len;

	for (size_t i = 0; i < in.len && i < 1000; i++) {
		if (in.p[i] != '&')
			continue;
		for (int attribute = 0; attribute < 2; attribute++) {
			len = 0;
			size_t used = html_reference(slice_skip(in, i), attribute, out, &len);

			check(used <= in.len - i);
			check(used == 0 || (len > 0 && len <= sizeof(out)));
		}
	}
}

static void
mask(struct slice in)
{
	char *out = malloc(in.len + 1);

	if (out == NULL)
		abort();
	html_charset_mask(out, in);
	for (size_t i = 0; i < in.len; i++)
		check(out[i] == in.p[i] || out[i] == 'x');
	scan((struct slice){ out, in.len });
	free(out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = { (const char *)data, size };

	scan(in);
	references(in);
	mask(in);
	html_charset_find(slice_head(in, 40));
	return 0;
}
