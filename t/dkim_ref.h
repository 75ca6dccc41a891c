/*
 * dkim_ref.h - body canonicalization as the text of RFC 6376 3.4.3 and 3.4.4 says
 * it, a step at a time and a byte at a time, on the whole body: slow, and easy to
 * compare with the text. What common/dkim.h does in one pass is held against it.
 */
#ifndef T_DKIM_REF_H
#define T_DKIM_REF_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/slice.h"

/* Next line without its LF or CRLF; what has no line end at the end is a line too. */
static bool
ref_line(struct slice *rest, struct slice *line)
{
	size_t n = 0;

	if (rest->len == 0)
		return false;
	while (n < rest->len && rest->p[n] != '\n')
		n++;
	*line = slice_head(*rest, n);
	if (n < rest->len && n > 0 && rest->p[n - 1] == '\r')
		line->len--;
	*rest = slice_skip(*rest, n + 1);
	return true;
}

static bool
ref_wsp(char c)
{
	return c == ' ' || c == '\t';
}

static void
ref_relax(struct slice line, struct buf *out)
{
	/* "Ignore all whitespace at the end of lines." */
	while (line.len > 0 && ref_wsp(line.p[line.len - 1]))
		line.len--;
	/* "Reduce all sequences of WSP within a line to a single SP character." */
	for (size_t i = 0; i < line.len; i++)
		if (!ref_wsp(line.p[i]))
			buf_addc(out, line.p[i]);
		else if (i == 0 || !ref_wsp(line.p[i - 1]))
			buf_addc(out, ' ');
}

static void
ref_body(struct slice body, bool relaxed, struct buf *out)
{
	size_t end = 0;
	struct slice line;

	while (ref_line(&body, &line)) {
		size_t start = out->len;

		if (relaxed)
			ref_relax(line, out);
		else
			buf_add(out, line);
		bool empty = out->len == start;

		buf_adds(out, "\r\n");
		if (!empty)
			end = out->len;
	}
	/* "Ignore all empty lines at the end of the message body." */
	out->len = end;
	/* 3.4.3: "If there is no body [...] a CRLF is added." */
	if (end == 0 && !relaxed)
		buf_adds(out, "\r\n");
}

#endif
