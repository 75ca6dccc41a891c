/*
 * Any bytes: edits come in order and lie inside the text; done, and the text scanned again,
 * there is nothing left to do, for every link and pixel is ours.
 */
#include <stdlib.h>

#include "common/html_links.h"
#include "common/utf8.h"

#define OURS "https://t.example/"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(bool good)
{
	if (!good)
		abort();
}

static bool
is_ours(void *arg, struct slice url)
{
	(void)arg;
	return slice_starts(url, SLICE_LIT(OURS));
}

static bool
http(struct slice url)
{
	return slice_startsi(url, SLICE_LIT("http://")) ||
	       slice_startsi(url, SLICE_LIT("https://"));
}

static void
check_link(const struct html_links_options *opt, const struct html_edit *e)
{
	check(e->length > 0 && http(e->target) && e->target.len <= opt->max_target);
	check(!is_ours(NULL, e->target));
	for (size_t i = 0; i < e->target.len; i++)
		check(memchr("\t\n\r", e->target.p[i], 3) == NULL);
	check((unsigned char)e->target.p[e->target.len - 1] > ' ');
	check(e->name.len <= HTML_LINK_NAME_MAX && utf8_valid(e->name));
}

static void
apply(struct buf *out, struct slice in, const struct html_edits *edits,
    const struct html_links_options *opt)
{
	size_t done = 0;

	for (size_t i = 0; i < edits->count; i++) {
		const struct html_edit *e = &edits->edit[i];

		check(e->offset >= done && e->offset + e->length <= in.len);
		buf_add(out, (struct slice){ in.p + done, e->offset - done });
		done = e->offset + e->length;
		if (e->kind == HTML_EDIT_LINK) {
			check_link(opt, e);
			buf_adds(out, "\"" OURS "c\"");
		} else if (e->kind != HTML_EDIT_REMOVE) {
			check(e->length == 0);
			buf_adds(out, "<img src=\"" OURS "o\">");
		}
	}
	buf_add(out, slice_skip(in, done));
}

/* Only a link that was kept out can be wrapped now, as the attribute that said so is gone. */
static void
nothing_left(struct html_links_options *opt, struct slice text, size_t kept_out)
{
	struct html_edits again;

	check(html_links_find(opt, text, &again) == HTML_LINKS_FOUND);
	check(again.links <= kept_out);
	check(again.removed == 0);
	html_edits_free(&again);
}

static void
pixels_are_known(const struct html_links_options *opt, struct slice text)
{
	struct html_edits again;

	if (html_links_find(opt, text, &again) == HTML_LINKS_FOUND) {
		check(again.frameset || again.ours);
		check(!again.initial_pixel && !again.open_pixel);
	}
	html_edits_free(&again);
}

static void
with(struct html_links_options *opt, struct slice in)
{
	struct html_edits edits;
	struct buf out;

	if (html_links_find(opt, in, &edits) != HTML_LINKS_FOUND) {
		check(edits.count == 0);
		html_edits_free(&edits);
		return;
	}
	buf_init(&out, BUF_NO_LIMIT);
	apply(&out, in, &edits, opt);
	if (edits.initial_pixel || edits.open_pixel)
		pixels_are_known(opt, buf_slice(&out));
	if (opt->duplicates)
		nothing_left(opt, buf_slice(&out), edits.left_count[HTML_LEFT_OPTED_OUT]);
	buf_free(&out);
	html_edits_free(&edits);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct html_links_options opt = HTML_LINKS_DEFAULTS;
	struct slice in = { (const char *)data, size };

	opt.is_ours = is_ours;
	with(&opt, in);
	opt.explain = true;
	opt.charset = SLICE_LIT("iso-2022-jp");
	with(&opt, in);
	opt.charset = SLICE_LIT("");
	opt.max_edits = 3;
	with(&opt, in);
	opt.max_edits = 1000000;
	opt.initial_pixel = opt.open_pixel = false;
	opt.duplicates = opt.remove_all = true;
	with(&opt, in);
	return 0;
}
