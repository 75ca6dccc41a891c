/* Any bytes as a message: the same parts with the same decoded bytes, safe or said not to be. */
#include <stdlib.h>

#include "common/mime.h"
#include "common/sevenbit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(bool good)
{
	if (!good)
		abort();
}

static void
header_block(const struct message *m, struct buf *out)
{
	for (size_t i = 0; i < m->n_headers; i++) {
		if (m->headers[i].deleted)
			continue;
		buf_adds(out, m->headers[i].name);
		buf_addc(out, ':');
		buf_adds(out, m->headers[i].value);
		buf_addc(out, '\n');
	}
}

static bool
has_long_line(struct slice s)
{
	while (s.len > 0) {
		struct slice line = slice_cut(&s, '\n');

		if (line.len > 0 && line.p[line.len - 1] == '\r')
			line.len--;
		if (line.len > 998)
			return true;
	}
	return false;
}

static void
leaf_is_safe(const struct mime_part *p)
{
	for (size_t i = 0; i < p->body.len; i++) {
		unsigned char c = (unsigned char)p->body.p[i];

		check(c < 0x80 && c != '\0');
		check(c != '\r' || (i + 1 < p->body.len && p->body.p[i + 1] == '\n'));
	}
}

/* What a reader gets: structure and decoded bytes. */
static void
contents(const struct message *m, bool must_be_safe, struct buf *out)
{
	struct mime_walk w;
	struct mime_part p;
	struct buf header;

	buf_init(&header, BUF_NO_LIMIT);
	header_block(m, &header);
	check(!must_be_safe ||
	      (!has_long_line(buf_slice(&header)) && !has_long_line(buf_slice(&m->body))));
	mime_begin(&w, buf_slice(&header), buf_slice(&m->body));
	while (mime_next(&w, &p) > 0) {
		buf_printf(out, "\n%u %d %d%d ", p.depth, p.kind, p.is_root, p.sealed);
		buf_add(out, p.type);
		buf_addc(out, '/');
		buf_add(out, p.subtype);
		buf_addc(out, '\n');
		transfer_decode(out, p.body, p.encoding);
		if (must_be_safe) {
			leaf_is_safe(&p);
			check(p.encoding != TRANSFER_8BIT && p.encoding != TRANSFER_BINARY);
		}
	}
	buf_free(&header);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sevenbit_report report, second;
	struct buf before, after, body;
	struct message m;
	bool changed;

	message_init(&m, BUF_NO_LIMIT);
	message_parse(&m, (struct slice){ (const char *)data, size });
	buf_init(&before, BUF_NO_LIMIT);
	buf_init(&after, BUF_NO_LIMIT);
	buf_init(&body, BUF_NO_LIMIT);
	contents(&m, false, &before);
	changed = sevenbit_make(&m, &report);
	contents(&m, !report.unsafe, &after);
	check(changed || (!m.body_changed && report.parts == 0 && report.headers == 0));
	/* A word of a header that had to be broken may have been a boundary. */
	if (report.headers == 0) {
		check(slice_eq(buf_slice(&before), buf_slice(&after)));
		buf_add(&body, buf_slice(&m.body));
		check(!sevenbit_make(&m, &second) && second.parts == 0);
		/* A control in a label that was replaced is gone. */
		check(!second.unsafe || report.unsafe);
		check(slice_eq(buf_slice(&body), buf_slice(&m.body)));
	}
	buf_clear(&after);
	message_print(&m, size % 2 == 0, &after);
	buf_free(&before);
	buf_free(&after);
	buf_free(&body);
	message_free(&m);
	return 0;
}
