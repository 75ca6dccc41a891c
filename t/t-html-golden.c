/*
 * t-html-golden.c - the edits of the mails and the odd cases of t/data/html are those that
 * an independent reader of HTML found (expected.tsv; t/html5/expect.mjs made it).
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/base64.h"
#include "common/html_links.h"
#include "t/tap.h"

static const char *const kinds[] = {
	[HTML_EDIT_LINK] = "link",
	[HTML_EDIT_REMOVE] = "remove",
	[HTML_EDIT_INITIAL_PIXEL] = "initial",
	[HTML_EDIT_OPEN_PIXEL] = "open",
};

static bool
read_all(struct buf *out, const char *name)
{
	const char *srcdir = getenv("srcdir");
	char path[4096], block[65536];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/t/data/html/%s", srcdir == NULL ? "." : srcdir, name);
	f = fopen(path, "rb");
	if (f == NULL)
		return false;
	while ((n = fread(block, 1, sizeof(block), f)) > 0)
		buf_add(out, (struct slice){ block, n });
	fclose(f);
	return true;
}

static void
describe(struct buf *out, const char *file, struct slice text)
{
	struct html_links_options opt = HTML_LINKS_DEFAULTS;
	struct html_edits edits;

	opt.max_href = opt.max_target = SIZE_MAX;
	html_links_find(&opt, text, &edits);
	for (size_t i = 0; i < edits.count; i++) {
		const struct html_edit *e = &edits.edit[i];

		buf_printf(out, "%s\t%s\t%zu\t%zu\t", file, kinds[e->kind], e->offset, e->length);
		if (e->kind == HTML_EDIT_LINK)
			base64_encode(out, e->target, BASE64_URL);
		else
			buf_addc(out, '-');
		buf_addc(out, '\n');
	}
	if (edits.count == 0)
		buf_printf(out, "%s\tnone\t0\t0\t-\n", file);
	html_edits_free(&edits);
}

/* The lines at the start of *rest that belong to one file; its name in `file`. */
static struct slice
cut_file(struct slice *rest, char *file, size_t room)
{
	struct slice all = *rest, line = slice_head(*rest, slice_find(*rest, '\n'));
	struct slice name = slice_head(line, slice_find(line, '\t') + 1);

	snprintf(file, room, "%.*s", (int)name.len - 1, name.p);
	while (slice_starts(*rest, name))
		*rest = slice_skip(*rest, slice_find(*rest, '\n') + 1);
	return (struct slice){ all.p, all.len - rest->len };
}

int
main(void)
{
	struct buf expected, text, got;
	struct slice rest, want;
	char file[300];

	buf_init(&expected, BUF_NO_LIMIT);
	buf_init(&text, BUF_NO_LIMIT);
	buf_init(&got, BUF_NO_LIMIT);
	ok(read_all(&expected, "expected.tsv"), "expected.tsv");
	for (rest = buf_slice(&expected); rest.len > 0;) {
		want = cut_file(&rest, file, sizeof(file));
		buf_clear(&text);
		buf_clear(&got);
		if (!ok(read_all(&text, file), "%s can be read", file))
			continue;
		describe(&got, file, buf_slice(&text));
		if (!ok(slice_eq(buf_slice(&got), want), "%s", file))
			printf("# got:\n# %.*s\n", (int)(got.len < 2000 ? got.len : 2000), got.p);
	}
	buf_free(&expected);
	buf_free(&text);
	buf_free(&got);
	return tap_done();
}
