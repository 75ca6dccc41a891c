/*
 * Segments come into the ledger once, however often their names are read: inotify and the
 * directory may both tell of one, and it may have been sent and removed between the two.
 */
#include "uploader/enter.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/spool.h"
#include "t/spooldir.h"
#include "t/tap.h"

#define NAME "sp1-0000000000000001.json"
#define LINE                                                                                       \
	"{\"msys\":{\"message_event\":{\"type\":\"reception\",\"event_id\":\"1\","                 \
	"\"timestamp\":\"1795328750\",\"message_id\":\"00000000000000000001\","                    \
	"\"recv_method\":\"esmtp\",\"rcpt_to\":\"a@b.example\"}}}\n"

static char dir[SPOOLDIR_SIZE];
static struct err e;
static unsigned entered, others;

static void
note_entered(void *arg, const char *name)
{
	(void)arg, (void)name;
	entered++;
}

static void
note_other(void *arg, const char *name)
{
	(void)arg, (void)name;
	others++;
}

static void
note_bad(void *arg, const char *name, const char *why)
{
	(void)arg, (void)name, (void)why;
	others++;
}

static const struct enter_calls calls = { note_entered, note_other, note_bad, NULL };

static void
put(int events, const char *text)
{
	int fd = openat(events, NAME, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		abort();
	close(fd);
}

static int
nobody_knows(void *arg, const char *name)
{
	(void)arg, (void)name;
	return 0;
}

/* The names of the directory, counted. */
static void
count(struct enter *n, struct scan *s, struct workers *w)
{
	struct pollfd p = { .fd = workers_fd(w), .events = POLLIN };

	if (scan_read(s, true, nobody_knows, NULL, &e) < 0)
		abort();
	enter_start(n, s, w);
	while (n->busy) {
		poll(&p, 1, -1);
		if (workers_done(w) != NULL)
			enter_counted(n);
	}
}

static uint64_t
made(struct ledger *l, int64_t sink)
{
	struct ledger_counts c;

	return ledger_counts(l, sink, &c, &e) < 0 ? UINT64_MAX : c.made;
}

int
main(void)
{
	static struct enter n;
	struct workers *w = NULL;
	struct spool *sp;
	struct ledger *l = NULL;
	struct scan s;
	int64_t sink;
	int events;

	spooldir_make(dir);
	sp = spool_open(dir, &e);
	if (!ok(sp != NULL && (l = ledger_open(dir, true, NULL, &e)) != NULL &&
		    ledger_sink(l, "a", true, &sink, &e) >= 0 && scan_open(&s, sp, &e) == 0 &&
		    (w = workers_open(1, &e)) != NULL,
		"opens"))
		return tap_done();
	events = spool_events_fd(sp);
	enter_init(&n, events);

	put(events, LINE LINE);
	count(&n, &s, w);
	ok(enter_write(&n, l, &calls, &e) == 1 && entered == 1 && made(l, sink) == 2, "new");
	count(&n, &s, w);
	ok(enter_write(&n, l, &calls, &e) == 0 && entered == 1 && made(l, sink) == 2,
	    "its name again");

	count(&n, &s, w);
	ok(ledger_purge(l, NAME, NULL, &e) == 1 && unlinkat(events, NAME, 0) == 0 &&
		ledger_forget(l, NAME, &e) == 0,
	    "it goes while it is counted again");
	ok(enter_write(&n, l, &calls, &e) == 0 && entered == 1 && made(l, sink) == 2,
	    "and does not come back");
	ok(ledger_known(l, NAME, &e) == 0 && others == 0, "it is not known");

	put(events, "\n");
	count(&n, &s, w);
	ok(enter_write(&n, l, &calls, &e) == 0 && others == 1, "without events: said");

	workers_close(w);
	scan_close(&s);
	ledger_close(l);
	spool_close(sp);
	spooldir_remove(dir);
	return tap_done();
}
