/*
 * logbench.c - what reading the MTA's log costs, on one core; see bench/log.
 *
 *	logbench parse N		N lines of a Postfix log, in memory
 *	logbench events DIR N		N recipients: their reception events into the index, then
 *					the lines of their delivery into the spool in DIR
 *	logbench write FILE BYTES	a log of that size, for `follow`
 *	logbench follow CONF		the uploader's job on CONF's log until its end: seconds,
 *					lines, peak memory
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>

#include "common/clock.h"
#include "common/ids.h"
#include "common/log.h"
#include "common/spool.h"
#include "uploader/learn.h"
#include "uploader/mail_log.h"
#include "uploader/outcome.h"

#define BATCH 3000 /* recipients: one append of 2 MB, one commit, as the uploader has them */
#define START 1795000000

static double
cpu_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void
die(const struct err *e)
{
	fprintf(stderr, "logbench: %s\n", e->text);
	exit(EX_SOFTWARE);
}

static const char *
queue_id(size_t i, char out[16])
{
	snprintf(out, 16, "%05X%07X", (unsigned)(i * 7919 % 1000000), (unsigned)(i & 0xfffffff));
	return out;
}

/* The lines that Postfix has for one message to one recipient; 1 in 20 is refused, 1 in 20 delayed.
 */
static unsigned
lines_of(size_t i, struct buf *out)
{
	char stamp[20], id[16];
	time_t t = START + (time_t)(i / 1000);
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(stamp, sizeof(stamp), "%b %e %H:%M:%S", &tm);
	queue_id(i, id);
	buf_printf(out, "%s mail postfix/smtpd[812]: %s: client=app.example.com[192.0.2.%zu]\n",
	    stamp, id, i % 250);
	buf_printf(out, "%s mail postfix/cleanup[813]: %s: message-id=<%zu.%s@app.example.com>\n",
	    stamp, id, i, id);
	buf_printf(out,
	    "%s mail postfix/qmgr[814]: %s: from=<b-%zu@bounces.example.com>, size=31533, "
	    "nrcpt=1 (queue active)\n",
	    stamp, id, i);
	buf_printf(out,
	    "%s mail postfix/smtp[%zu]: %s: to=<reader%zu@example.net>, relay=mx%zu.example.net"
	    "[198.51.100.%zu]:25, delay=1.8, delays=0.1/0/0.9/0.8, ",
	    stamp, 900 + i % 50, id, i, i % 9, i % 250);
	if (i % 20 == 1)
		buf_printf(out,
		    "dsn=5.1.1, status=bounced (host mx%zu.example.net[198.51.100.%zu] said: 550 "
		    "5.1.1 <reader%zu@example.net>: Recipient address rejected: User unknown (in "
		    "reply to RCPT TO command))\n",
		    i % 9, i % 250, i);
	else if (i % 20 == 2)
		buf_printf(out,
		    "dsn=4.2.2, status=deferred (host mx%zu.example.net[198.51.100.%zu] said: 452 "
		    "4.2.2 Mailbox full (in reply to RCPT TO command))\n",
		    i % 9, i % 250);
	else
		buf_printf(out, "dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as %s)\n", id);
	buf_printf(out, "%s mail postfix/qmgr[814]: %s: removed\n", stamp, id);
	return 5;
}

/* ---- parsing alone ---- */

static int
bench_parse(size_t n)
{
	struct maillog_clock clock;
	struct buf log;
	size_t lines = 0, attempts = 0;
	double start, took;

	maillog_clock_init(&clock, MAILLOG_ZONE_LOCAL, 0);
	buf_init(&log, BUF_NO_LIMIT);
	for (size_t i = 0; i < 20000; i++)
		lines_of(i, &log);
	start = cpu_s();
	while (lines < n) {
		struct slice rest = buf_slice(&log), line;
		struct maillog_line m;

		while (slice_line(&rest, &line)) {
			attempts += maillog_parse(line, MAILLOG_ANY, &m) == MAILLOG_ATTEMPT;
			if (maillog_time(&clock, m.stamp, START + 86400) == MAILLOG_NO_TIME)
				return EX_SOFTWARE;
			lines++;
		}
	}
	took = cpu_s() - start;
	printf("parse: %zu lines, %zu attempts, %.2f s CPU: %.0f lines/s\n", lines, attempts, took,
	    (double)lines / took);
	buf_free(&log);
	return EX_OK;
}

/* ---- index and events ---- */

static void
reception(
    size_t i, struct event *ev, char text[IDS_SIZE], char rcpt[64], char qid[16], char from[64])
{
	event_init(ev, EVENT_RECEPTION);
	snprintf(rcpt, 64, "reader%zu@example.net", i);
	snprintf(from, 64, "b-%zu@bounces.example.com", i);
	ev->timestamp = START + (int64_t)(i / 1000);
	ev->event_id = (int64_t)i;
	ev->message_id =
	    slice_str(ids_text((struct message_id){ (uint32_t)ev->timestamp, (uint32_t)i }, text));
	ev->queue_id = slice_str(queue_id(i, qid));
	ev->rcpt_to = ev->raw_rcpt_to = slice_str(rcpt);
	ev->msg_from = slice_str(from);
	ev->friendly_from = SLICE_LIT("news@brand.example");
	ev->subject = SLICE_LIT("Spring sale: everything must go");
	ev->campaign_id = SLICE_LIT("spring_sale");
	ev->binding = SLICE_LIT("mta1");
	ev->binding_group = SLICE_LIT("default");
	ev->sending_ip = SLICE_LIT("192.0.2.10");
	ev->routing_domain = SLICE_LIT("example.net");
	ev->recv_method = SLICE_LIT("esmtp");
	ev->msg_size = 31533;
	ev->open_tracking = ev->click_tracking = EVENT_TRUE;
}

static void
learn(struct index *ix, size_t i, size_t end)
{
	char id[IDS_SIZE], rcpt[64], qid[16], from[64];
	struct event ev;
	struct err e;

	for (; i < end; i++) {
		reception(i, &ev, id, rcpt, qid, from);
		if (index_learn(ix, &ev, &e) < 0)
			die(&e);
	}
}

static void
feed(struct outcome *o, struct maillog_clock *clock, struct slice log)
{
	struct maillog_line m;
	struct slice line;
	struct err e;

	while (slice_line(&log, &line))
		if (maillog_parse(line, MAILLOG_ANY, &m) != MAILLOG_OTHER &&
		    outcome_line(o, &m, maillog_time(clock, m.stamp, START + 86400), true, &e) < 0)
			die(&e);
}

static int
bench_events(const char *dir, size_t n)
{
	const struct spool_writer_options options = { 4500000, 10000, true };
	char path[4096];
	struct maillog_clock clock;
	struct spool_writer *w;
	struct classifier *rules;
	struct outcome o;
	struct spool *sp;
	struct index *ix = NULL;
	struct buf log;
	struct err e;
	double start, took = 0, learning = 0;
	struct index_counts counts;
	uint64_t events = 0, bytes = 0;

	snprintf(path, sizeof(path), "%s/index.db", dir);
	if ((sp = spool_open(dir, &e)) == NULL || (ix = index_open(path, &e)) == NULL ||
	    (rules = classify_open(NULL, &e)) == NULL ||
	    (w = spool_writer_open(sp, &options, &e)) == NULL)
		die(&e);
	buf_init(&log, BUF_NO_LIMIT);
	outcome_init(&o, ix, rules);
	maillog_clock_init(&clock, MAILLOG_ZONE_FIXED, 0);
	for (size_t i = 0; i < n; i += BATCH) {
		size_t end = i + BATCH < n ? i + BATCH : n;

		start = cpu_s();
		if (index_begin(ix, &e) < 0)
			die(&e);
		learn(ix, i, end);
		if (index_commit(ix, &e) < 0)
			die(&e);
		learning += cpu_s() - start;
		buf_clear(&log);
		for (size_t k = i; k < end; k++)
			lines_of(k, &log);
		start = cpu_s();
		if (index_begin(ix, &e) < 0)
			die(&e);
		feed(&o, &clock, buf_slice(&log));
		bytes += o.lines.len;
		events += o.n_lines;
		if (spool_append(w, buf_slice(&o.lines), o.n_lines, &e) < 0 ||
		    index_commit(ix, &e) < 0)
			die(&e);
		buf_clear(&o.lines);
		o.n_lines = 0;
		took += cpu_s() - start;
	}
	if (index_count(ix, &counts, &e) < 0)
		die(&e);
	printf("index: %zu messages, %.2f s CPU: %.0f messages/s, %.0f MB per million\n", n,
	    learning, (double)n / learning, (double)counts.bytes / (double)n);
	printf("events: %llu (%llu MB) from %zu lines, %.2f s CPU: %.0f events/s, %.0f lines/s\n",
	    (unsigned long long)events, (unsigned long long)(bytes >> 20), 5 * n, took,
	    (double)events / took, 5 * (double)n / took);
	spool_writer_close(w);
	outcome_free(&o);
	classify_close(rules);
	index_close(ix);
	spool_close(sp);
	buf_free(&log);
	return events == n ? EX_OK : 1;
}

/* ---- a long log ---- */

static int
write_log(const char *path, uint64_t bytes)
{
	FILE *out = fopen(path, "w");
	struct buf lines;
	uint64_t n = 0;

	if (out == NULL) {
		perror(path);
		return EX_CANTCREAT;
	}
	buf_init(&lines, BUF_NO_LIMIT);
	for (size_t i = 0; n < bytes; i++) {
		buf_clear(&lines);
		lines_of(i, &lines);
		fwrite(lines.p, 1, lines.len, out);
		n += lines.len;
	}
	buf_free(&lines);
	return fclose(out) == 0 ? EX_OK : EX_IOERR;
}

static int
follow(const char *file)
{
	double start = cpu_s();
	int64_t wall = clock_mono_ms(), next;
	struct conf *conf;
	struct spool *sp;
	struct mail_log *l = NULL;
	struct learn *learn;
	struct rusage usage;
	struct stat st;
	struct err e;

	log_open("logbench", true);
	if ((conf = conf_load(file, &e)) == NULL ||
	    (sp = spool_open(conf->spool.directory, &e)) == NULL ||
	    (learn = learn_open(conf, sp, &e)) == NULL ||
	    (l = mail_log_open(conf, learn, &e)) == NULL)
		die(&e);
	if (stat(conf->mail_log.files.v[0], &st) < 0)
		st.st_size = 0;
	/* At once again while there is more to read. */
	do {
		int64_t now = clock_mono_ms();

		next = mail_log_step(l) - now;
	} while (next < 150);
	wall = clock_mono_ms() - wall;
	getrusage(RUSAGE_SELF, &usage);
	printf("follow: %lld MB in %.1f s, %.1f s CPU: %.0f MB/s; at most %ld MB of memory\n",
	    (long long)st.st_size >> 20, (double)wall / 1000, cpu_s() - start,
	    (double)(st.st_size >> 20) / ((double)wall / 1000), usage.ru_maxrss / 1024);
	mail_log_close(l);
	learn_close(learn);
	spool_close(sp);
	conf_free(conf);
	return usage.ru_maxrss < 64 * 1024 ? EX_OK : 1;
}

int
main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 3 && strcmp(argv[1], "parse") == 0)
		return bench_parse(strtoul(argv[2], NULL, 10));
	if (argc == 4 && strcmp(argv[1], "events") == 0)
		return bench_events(argv[2], strtoul(argv[3], NULL, 10));
	if (argc == 4 && strcmp(argv[1], "write") == 0)
		return write_log(argv[2], strtoul(argv[3], NULL, 10));
	if (argc == 3 && strcmp(argv[1], "follow") == 0)
		return follow(argv[2]);
	fprintf(
	    stderr, "usage: logbench parse N | events DIR N | write FILE BYTES | follow CONF\n");
	return EX_USAGE;
}
