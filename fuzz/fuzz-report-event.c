/*
 * A captured mail as events: the first line of the input is the address that it came to, the rest
 * is the mail. Each event is a valid line; without a seal none is a subaccount's and none
 * names the message of one; the same mail makes the same events.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "uploader/report_event.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PRIVATE "000000d6716a01000000" /* the message id of a subaccount's message */
#define OURS    "000000d6716a02000000"

static struct index *ix;
static struct conf *conf;
static struct classifier *rules;
static struct report_reader *reader;

static void
check(bool good)
{
	if (!good)
		abort();
}

static void
learn(const char *id, const char *rcpt, const char *header_id, int64_t subaccount)
{
	struct event ev;
	struct err e;

	event_init(&ev, EVENT_RECEPTION);
	ev.timestamp = 1785844800;
	ev.message_id = slice_str(id);
	ev.queue_id = SLICE_LIT("Q");
	ev.rcpt_to = ev.raw_rcpt_to = slice_str(rcpt);
	ev.header_message_id = slice_str(header_id);
	ev.envid = slice_str(header_id);
	ev.msg_from = SLICE_LIT("v-a=x.example@bounces.example");
	ev.campaign_id = slice_str(subaccount > 0 ? "private" : "ours");
	ev.subaccount_id = subaccount;
	check(index_learn(ix, &ev, &e) == 1);
}

static void
begin(void)
{
	char dir[] = "/tmp/fuzz-report-event.XXXXXX", path[64];
	struct err e;

	check(mkdtemp(dir) != NULL);
	snprintf(path, sizeof(path), "%s/index.db", dir);
	ix = index_open(path, &e);
	conf = conf_parse("fuzz", SLICE_LIT("<bounce-processor>\n</bounce-processor>\n"), &e);
	rules = classify_open(NULL, &e);
	reader = report_open();
	check(ix != NULL && conf != NULL && rules != NULL);
	learn(PRIVATE, "a@x.example", "private@s.example", 7);
	learn(OURS, "b@x.example", "ours@s.example", 0);
	/* It is open: nothing is left behind. */
	unlink(path);
	snprintf(path, sizeof(path), "%s/index.db-wal", dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/index.db-shm", dir);
	unlink(path);
	rmdir(dir);
}

static int
flush(void *arg, struct err *e)
{
	(void)e;
	*(bool *)arg = true;
	return 0;
}

static void
are_sound(struct slice lines, unsigned n)
{
	struct slice line;
	struct buf store;
	struct event ev;
	struct err e;

	buf_init(&store, EVENT_LINE_MAX);
	for (; slice_line(&lines, &line); n--) {
		check(event_read(line, &ev, &store, &e) == 0);
		check(ev.type == EVENT_OUTOFBAND || ev.type == EVENT_FEEDBACK ||
		      ev.type == EVENT_LIST);
		/* There are no keys: nothing is sealed. */
		check(ev.authenticated == EVENT_FALSE && ev.subaccount_id == 0);
		check(!slice_eq(ev.message_id, SLICE_LIT(PRIVATE)));
		check(!slice_eq(ev.campaign_id, SLICE_LIT("private")));
	}
	check(n == 0);
	buf_free(&store);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice mail = { (const char *)data, size }, to = slice_cut(&mail, '\n');
	struct inbound_rcpt rcpt = { .address = to, .list = INBOUND_BOUNCE };
	struct inbound_envelope env = { .n_rcpts = 1, .rcpts = &rcpt, .received_s = 1785844900 };
	struct report r;
	struct report_facts facts = { "in1-0006000000000001.eml", &env, &r, NULL };
	struct report_events re;
	struct report_result res;
	struct correlate c;
	bool flushed = false;
	struct buf again;
	struct err e;

	if (ix == NULL)
		begin();
	correlate_init(&c, ix, NULL);
	report_events_init(&re, conf, &c, rules);
	re.flush = flush;
	re.arg = &flushed;
	report_read(reader, mail, &r);
	check(report_events_make(&re, &facts, true, &res, &e) == 1);
	check(res.events == re.n_lines && !res.unwritable);
	are_sound(buf_slice(&re.lines), re.n_lines);
	buf_init(&again, BUF_NO_LIMIT);
	buf_add(&again, buf_slice(&re.lines));
	buf_clear(&re.lines);
	check(report_events_make(&re, &facts, true, &res, &e) == 1);
	check(slice_eq(buf_slice(&again), buf_slice(&re.lines)));
	buf_free(&again);
	report_events_free(&re);
	correlate_free(&c);
	return 0;
}
