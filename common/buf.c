#include "common/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/ascii.h"
#include "common/xalloc.h"

void
buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){ .max = max };
}

void
buf_free(struct buf *b)
{
	free(b->p);
	buf_init(b, b->max);
}

void
buf_clear(struct buf *b)
{
	b->len = 0;
	b->full = false;
	if (b->p != NULL)
		b->p[0] = '\0';
}

bool
buf_reserve(struct buf *b, size_t n)
{
	size_t need;

	if (b->full || n > b->max - b->len) {
		b->full = true;
		return false;
	}
	need = b->len + n + 1;
	if (need > b->room) {
		size_t room = b->room * 2 > need ? b->room * 2 : need;

		b->room = room < 64 ? 64 : room;
		b->p = xrealloc(b->p, b->room, 1);
		b->p[b->len] = '\0';
	}
	return true;
}

void
buf_add(struct buf *b, struct slice s)
{
	if (!buf_reserve(b, s.len))
		return;
	if (s.len > 0)
		memcpy(b->p + b->len, s.p, s.len);
	b->len += s.len;
	b->p[b->len] = '\0';
}

void
buf_adds(struct buf *b, const char *s)
{
	buf_add(b, slice_str(s));
}

void
buf_addc(struct buf *b, char c)
{
	buf_add(b, (struct slice){ &c, 1 });
}

void
buf_add_lower(struct buf *b, struct slice s)
{
	size_t at = b->len;

	buf_add(b, s);
	for (; at < b->len; at++)
		b->p[at] = ascii_lower(b->p[at]);
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	char *text = NULL;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n >= 0)
		buf_add(b, (struct slice){ text, (size_t)n });
	else
		b->full = true;
	free(text);
}

const char *
buf_str(const struct buf *b)
{
	return b->p == NULL ? "" : b->p;
}

char *
buf_take(struct buf *b)
{
	char *p = b->p != NULL ? b->p : xstrdup("");

	buf_init(b, b->max);
	return p;
}
