#include "uploader/scan.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/slice.h"
#include "t/tap.h"

#define NAME(digit) "sp1-000000000000000" digit ".json"

static char told[2000];
static int events; /* the directory */

static void
tell(void *arg, const char *name)
{
	size_t n = strlen(told);

	(void)arg;
	snprintf(told + n, sizeof(told) - n, "%s ", name);
}

/* Appears as closed segments do, by rename. */
static void
put(const char *name)
{
	int fd = openat(events, "open/x", O_WRONLY | O_CREAT, 0600);

	if (fd >= 0)
		close(fd);
	renameat(events, "open/x", events, name);
}

static bool
read_again(struct scan *s)
{
	struct err e;

	told[0] = '\0';
	return scan_read(s, tell, NULL, &e) == 0;
}

static void
queue(struct scan *s)
{
	struct scan_item *item;
	int64_t wake;

	put(NAME("B"));
	put(NAME("A"));
	ok(read_again(s) && strcmp(told, NAME("A") " " NAME("B") " ") == 0, "found: %s", told);
	ok(read_again(s) && told[0] == '\0', "and not again: %s", told);
	item = scan_next(s, 1000, &wake);
	ok(item != NULL && strcmp(item->name, NAME("A")) == 0, "the oldest first");

	item->not_before_ms = 5000;
	item->backoff.failures = 7;
	put(NAME("9"));
	ok(read_again(s) && strcmp(told, NAME("9") " ") == 0, "found: %s", told);
	item = scan_find(s, NAME("A"));
	ok(item != NULL && item->not_before_ms == 5000 && item->backoff.failures == 7,
	    "what is known of an item stays");
	scan_remove(s, scan_find(s, NAME("9")));
	unlinkat(events, NAME("9"), 0);
	item = scan_next(s, 4999, &wake);
	ok(item != NULL && strcmp(item->name, NAME("B")) == 0,
	    "one that has to wait lets others pass");
	item->state = SCAN_BAD;
	ok(scan_next(s, 4999, &wake) == NULL && wake == 5000, "nothing before then");
	ok(scan_waiting(s) == 1, "one waits");
	ok(scan_next(s, 5000, &wake) != NULL, "then");
	scan_find(s, NAME("A"))->state = SCAN_SENT;
	ok(scan_next(s, 5000, &wake) == NULL && wake == INT64_MAX && scan_waiting(s) == 0,
	    "what has been sent is not sent again");
	unlinkat(events, NAME("A"), 0);
	ok(read_again(s) && s->n == 1 && scan_find(s, NAME("A")) == NULL,
	    "what is gone is forgotten");
	unlinkat(events, NAME("B"), 0);
	ok(read_again(s) && s->n == 0 && scan_find(s, NAME("B")) == NULL, "all of it");
}

static void
watched(struct scan *s)
{
	struct pollfd p = { s->inotify, POLLIN, 0 };

	scan_changed(s);
	ok(!scan_changed(s), "nothing happens");
	put(NAME("C"));
	ok(poll(&p, 1, 1000) == 1 && scan_changed(s) && !scan_changed(s), "a rename is seen, once");
	ok(linkat(events, NAME("C"), events, NAME("D"), 0) == 0 && scan_changed(s),
	    "a link is seen");
	unlinkat(events, NAME("C"), 0);
	unlinkat(events, NAME("D"), 0);
	ok(!scan_changed(s), "a removal is ours, and no reason to look");
}

static void
strangers(struct scan *s)
{
	char name[40];
	struct err e;
	size_t n = 0;

	put(NAME("C"));
	put("notes.txt");
	told[0] = '\0';
	ok(scan_strangers(s, tell, NULL, &e) == 0 && strcmp(told, "notes.txt ") == 0, "strange: %s",
	    told);
	mkdirat(events, NAME("1"), 0700);
	told[0] = '\0';
	ok(scan_strangers(s, tell, NULL, &e) == 0 && strcmp(told, NAME("1") " ") == 0,
	    "so is a directory, and nothing twice: %s", told);
	ok(read_again(s) && scan_find(s, NAME("1")) == NULL, "which is not in the queue");
	for (int i = 0; i < 150; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		put(name);
	}
	told[0] = '\0';
	scan_strangers(s, tell, NULL, &e);
	for (const char *c = told; *c != '\0'; c++)
		n += *c == ' ';
	ok(n == 98, "no more than a hundred are told: %zu and two", n);
}

int
main(void)
{
	char dir[] = "/tmp/t-scan.XXXXXX", cmd[64];
	struct spool *sp;
	struct scan s;
	struct err e;
	int rc;

	sp = mkdtemp(dir) == NULL ? NULL : spool_open(dir, &e);
	if (sp == NULL || scan_open(&s, sp, &e) < 0) {
		printf("Bail out! no spool\n");
		return 1;
	}
	events = spool_events_fd(sp);
	queue(&s);
	watched(&s);
	strangers(&s);
	scan_close(&s);
	spool_close(sp);
	rc = tap_done();
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd) == 0 ? rc : 1;
}
