#include "collector/inflate.h"

#include <stdlib.h>

#define GZIP_ONLY 16 /* zlib's way to say: no zlib header, no raw deflate */

void
inflate_begin(struct inflate *in, struct slice gz, uint64_t max)
{
	*in = (struct inflate){ .max = max };
	buf_init(&in->line, INFLATE_LINE_MAX);
	/* The API predates const; zlib does not write to its input. */
	in->z.next_in = (Bytef *)(uintptr_t)gz.p;
	in->z.avail_in = (uInt)gz.len;
	if (gz.len > UINT32_MAX || inflateInit2(&in->z, MAX_WBITS + GZIP_ONLY) != Z_OK)
		abort();      /* no memory */
	in->in_member = true; /* an empty body is no gzip */
}

void
inflate_end(struct inflate *in)
{
	inflateEnd(&in->z);
	buf_free(&in->line);
}

enum inflate_result
inflate_piece(struct inflate *in, struct slice *piece)
{
	*piece = (struct slice){ NULL, 0 };
	while (piece->len == 0) {
		int rc;

		if (!in->in_member && in->z.avail_in == 0)
			return INFLATE_DONE;
		if (!in->in_member && inflateReset(&in->z) != Z_OK)
			return INFLATE_DAMAGED;
		in->in_member = true;
		in->z.next_out = (Bytef *)in->out;
		in->z.avail_out = sizeof(in->out);
		rc = inflate(&in->z, Z_NO_FLUSH);
		/* Z_BUF_ERROR: the input has ended in the middle of a member. */
		if (rc != Z_OK && rc != Z_STREAM_END)
			return INFLATE_DAMAGED;
		in->in_member = rc != Z_STREAM_END;
		*piece = (struct slice){ in->out, sizeof(in->out) - in->z.avail_out };
		in->total += piece->len;
	}
	return in->total > in->max ? INFLATE_TOO_BIG : INFLATE_OK;
}

/* Append up to the line end. True if there was one. */
static bool
take_until_lf(struct inflate *in)
{
	size_t n = slice_find(in->rest, '\n');
	bool found = n < in->rest.len;

	buf_add(&in->line, slice_head(in->rest, n));
	in->rest = slice_skip(in->rest, found ? n + 1 : n);
	return found;
}

enum inflate_result
inflate_line(struct inflate *in, struct inflate_line *line)
{
	bool any = false;

	buf_clear(&in->line);
	for (;;) {
		enum inflate_result rc;

		any = any || in->rest.len > 0;
		if (in->rest.len > 0 && take_until_lf(in))
			break;
		rc = inflate_piece(in, &in->rest);
		if (rc != INFLATE_OK && (rc != INFLATE_DONE || !any))
			return rc;
		if (rc == INFLATE_DONE)
			break; /* the last line has no LF; the next call says DONE again */
	}
	line->text = buf_slice(&in->line);
	line->cut = in->line.full;
	line->number = ++in->lines;
	if (!line->cut && line->text.len > 0 && line->text.p[line->text.len - 1] == '\r')
		line->text.len--;
	return INFLATE_OK;
}
