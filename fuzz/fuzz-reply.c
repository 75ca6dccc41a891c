/*
 * Replies: all parts lie inside the line; the clean text is one line; what is
 * masked holds no address any more.
 */
#include <stdlib.h>

#include "common/reply.h"

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
check_status(const struct reply_status *st)
{
	struct reply_status again;
	struct buf text;

	if (st->class == 0)
		return;
	check(st->class == 2 || st->class == 4 || st->class == 5);
	check(st->subject <= 9 && st->detail <= 999);
	buf_init(&text, 20);
	reply_status_print(st, &text);
	check(reply_status_parse(buf_slice(&text), &again));
	check(memcmp(st, &again, sizeof(again)) == 0);
	buf_free(&text);
}

/* One line, no controls, no blanks at the ends or in a row, and no longer than what it is made of.
 */
static void
check_text(const struct reply *r)
{
	struct buf text;

	buf_init(&text, r->text.len + 1);
	reply_text(r, &text);
	check(!text.full && text.len <= r->text.len);
	for (size_t i = 0; i < text.len; i++) {
		check((unsigned char)text.p[i] >= 0x20 && text.p[i] != 0x7f);
		check(text.p[i] != ' ' || (i > 0 && i + 1 < text.len && text.p[i - 1] != ' '));
	}
	buf_free(&text);
}

static bool
letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static void
check_mask(struct slice line)
{
	struct buf out;

	/* "a@b" becomes eight bytes, "::1" as many as "a.b.c.d" has. */
	buf_init(&out, 4 * line.len + 16);
	reply_mask(line, &out);
	check(!out.full);
	for (size_t i = 1; i + 1 < out.len; i++) {
		struct slice behind = slice_skip(buf_slice(&out), i + 1);

		/* Longer local parts than SMTP allows are left alone; "@::1" is no address. */
		if (out.p[i] == '@' && !slice_starts(behind, SLICE_LIT("a.b.c.d")))
			check(!letter(out.p[i - 1]) || !letter(behind.p[0]) || line.len > 300);
	}
	buf_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice line = { (const char *)data, size };
	struct reply_status st;
	struct reply r;

	reply_parse(line, &r);
	check(r.code == 0 || (r.code >= 200 && r.code <= 599));
	check_status(&r.status);
	inside(r.raw, line);
	inside(r.text, r.raw.len > 0 ? line : r.raw);
	inside(r.host, line);
	inside(r.address, line);
	inside(r.command, line);
	check_text(&r);
	check_mask(line);
	reply_status_parse(line, &st);
	check_status(&st);
	return 0;
}
