/* Any bytes as a message: parts lie inside it, in order, and never overlap. */
#include <stdlib.h>

#include "common/mime.h"

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
part_is_sound(const struct mime_part *p, struct slice all, const char *seen)
{
	inside(p->header, all);
	inside(p->body, all);
	inside(p->content_type, p->header);
	inside(p->disposition, p->header);
	check(p->header.p >= seen && p->body.p >= p->header.p + p->header.len);
	check(p->body.p + p->body.len <= all.p + all.len);
	check(p->depth <= MIME_MAX_DEPTH && p->type.len > 0 && p->subtype.len > 0);
	check(p->kind == MIME_LEAF || p->body.len == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice all = { (const char *)data, size };
	const char *seen = all.p;
	struct mime_walk w;
	struct mime_part p;
	unsigned parts = 0, depth = 0;
	int got;

	mime_begin_entity(&w, all);
	while ((got = mime_next(&w, &p)) > 0) {
		part_is_sound(&p, all, seen);
		check(parts == 0 ? p.depth == 0 && p.is_root : p.depth > 0 && p.depth <= depth + 1);
		depth = p.depth;
		seen = p.body.p + p.body.len;
		parts++;
	}
	check(parts <= MIME_MAX_PARTS && (got == 0 || got == -1) && mime_next(&w, &p) == got);
	check(parts > 0 || got < 0);

	/* As header and body apart: the same number of parts, or a first line that is no header. */
	mime_begin(&w, all, slice_head(all, 0));
	check(mime_next(&w, &p) == 1);
	inside(p.header, all);
	return 0;
}
