#include "common/report_private.h"

#include <stdlib.h>

#include "common/ascii.h"
#include "common/utf8.h"
#include "common/xalloc.h"

#define MAX_STRINGS ((size_t)32 * 1024 * 1024)
#define CHUNK       ((size_t)64 * 1024)

struct report_chunk {
	struct report_chunk *next;
	size_t used, room;
	char p[];
};

static struct report_chunk *
new_chunk(size_t room, struct report_chunk *next)
{
	struct report_chunk *c = xrealloc(NULL, 1, sizeof(*c) + room);

	*c = (struct report_chunk){ .next = next, .room = room };
	return c;
}

static char *
string_room(struct report_reader *rr, size_t n)
{
	struct report_chunk *c = rr->chunks;
	char *p;

	if (rr->strings + n > MAX_STRINGS)
		return NULL;
	if (c == NULL || c->room - c->used < n)
		c = rr->chunks = new_chunk(n > CHUNK ? n : CHUNK, c);
	p = c->p + c->used;
	c->used += n;
	rr->strings += n;
	return p;
}

void
report_drop_strings(struct report_reader *rr)
{
	while (rr->chunks != NULL && rr->chunks->next != NULL) {
		struct report_chunk *c = rr->chunks;

		rr->chunks = c->next;
		free(c);
	}
	if (rr->chunks != NULL)
		rr->chunks->used = 0;
	rr->strings = 0;
}

struct slice
report_keep(struct report_reader *rr, struct slice s)
{
	char *p = s.len > 0 ? string_room(rr, s.len) : NULL;

	if (p == NULL)
		return (struct slice){ "", 0 };
	memcpy(p, s.p, s.len);
	return (struct slice){ p, s.len };
}

/* Folds, controls and runs of blanks become one blank each; UTF-8, or Latin-1 made UTF-8. */
struct slice
report_clean(struct report_reader *rr, struct slice s, size_t max)
{
	struct buf *b = &rr->scratch;
	bool blank = false, valid;

	s = slice_head(slice_trim(s), max);
	valid = utf8_valid(s);
	buf_clear(b);
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c <= ' ' || c == 0x7f) {
			blank = true;
			continue;
		}
		if (blank && b->len > 0)
			buf_addc(b, ' ');
		blank = false;
		if (c < 0x80 || valid) {
			buf_addc(b, (char)c);
		} else if (utf8_next(slice_skip(s, i)) > 0) { /* cut in the midst of it, or mixed */
			size_t n = utf8_next(slice_skip(s, i));

			buf_add(b, slice_head(slice_skip(s, i), n));
			i += n - 1;
		} else {
			buf_adds(b, "\xef\xbf\xbd");
		}
	}
	return report_keep(rr, buf_slice(b));
}

/* "smtp; host.example (1.2.3.4)" has been cut already; "<id@host>" loses its brackets. */
struct slice
report_without_brackets(struct slice s)
{
	s = slice_trim(s);
	if (s.len > 0 && s.p[0] == '<') {
		s = slice_skip(s, 1);
		s = slice_head(s, slice_find(s, '>'));
	}
	return slice_trim(s);
}

void
report_lower(struct buf *out, struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		buf_addc(out, ascii_lower(s.p[i]));
}
