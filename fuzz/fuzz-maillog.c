/*
 * A line of a log: every slice lies in it, recipients end, and the time is the
 * same for the same stamp.
 */
#include <stdlib.h>

#include "common/maillog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct slice whole;

static void
inside(struct slice s)
{
	if (s.len > 0 && (s.p < whole.p || s.p + s.len > whole.p + whole.len))
		abort();
}

static void
check(const struct maillog_line *m)
{
	const struct slice all[] = { m->stamp, m->host, m->tag, m->instance, m->service,
		m->queue_id, m->text, m->to, m->orig_to, m->relay, m->ip, m->dsn, m->reply };
	struct slice rcpt;
	size_t at = 0, n = 0;

	for (size_t i = 0; i < COUNT(all); i++)
		inside(all[i]);
	if (m->kind != MAILLOG_ATTEMPT)
		return;
	if (m->queue_id.len == 0 || (m->method != NULL) != (m->via == MAILLOG_REMOTE) ||
	    m->delay_ms < -1)
		abort();
	while (maillog_rcpt(m, &at, &rcpt)) {
		inside(rcpt);
		if (n++ > whole.len)
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct maillog_clock c, again;
	struct maillog_line m;
	struct slice tag, text;
	int64_t t;

	whole = (struct slice){ (const char *)data, size };
	maillog_parse(whole, MAILLOG_ANY, &m);
	check(&m);
	maillog_clock_init(&c, MAILLOG_ZONE_FIXED, 3600);
	again = c;
	t = maillog_time(&c, m.stamp, 1795934756);
	if (t != maillog_time(&again, m.stamp, 1795934756) ||
	    t != maillog_time(&c, m.stamp, 1795934756))
		abort();
	text = whole;
	tag = slice_cut(&text, '\n');
	maillog_parse_text(tag, text, MAILLOG_ANY, &m);
	check(&m);
	return 0;
}
