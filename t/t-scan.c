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

static const char *is_known = "";

static int
known(void *arg, const char *name)
{
	(void)arg;
	return strstr(is_known, name) != NULL;
}

/* Read the directory; all that comes then, in one text. */
static const char *
names(struct scan *s, bool all)
{
	static struct err e;
	const char *name;

	told[0] = '\0';
	if (scan_read(s, all, known, NULL, &e) < 0)
		return e.text;
	while ((name = scan_next(s)) != NULL)
		tell(NULL, name);
	return told;
}

static void
window(struct scan *s)
{
	put(NAME("B"));
	put(NAME("A"));
	ok(strcmp(names(s, false), NAME("A") " " NAME("B") " ") == 0, "the first reading: %s",
	    told);
	scan_changed(s);
	ok(strcmp(names(s, false), NAME("B") " " NAME("A") " ") == 0,
	    "then, unread, what inotify says: %s", told);
	ok(names(s, false)[0] == '\0', "and nothing twice");
	is_known = NAME("B");
	ok(strcmp(names(s, true), NAME("A") " ") == 0, "all but what is known: %s", told);
	ok(scan_left(s) == 0, "nothing is left");
	is_known = "";
	unlinkat(events, NAME("A"), 0);
	unlinkat(events, NAME("B"), 0);
	ok(names(s, true)[0] == '\0', "what is gone is not there");
}

static void
watched(struct scan *s)
{
	struct pollfd p = { s->inotify, POLLIN, 0 };

	scan_changed(s);
	ok(names(s, false)[0] == '\0', "nothing happens");
	put(NAME("C"));
	ok(poll(&p, 1, 60000) == 1, "a rename wakes");
	scan_changed(s);
	ok(strcmp(names(s, false), NAME("C") " ") == 0, "and is seen: %s", told);
	ok(linkat(events, NAME("C"), events, NAME("D"), 0) == 0, "a link");
	mkdirat(events, NAME("E"), 0700);
	put("notes.txt");
	scan_changed(s);
	ok(strcmp(names(s, false), NAME("D") " ") == 0, "is seen; a directory is not: %s", told);
	unlinkat(events, NAME("C"), 0);
	unlinkat(events, NAME("D"), 0);
	unlinkat(events, NAME("E"), AT_REMOVEDIR);
	unlinkat(events, "notes.txt", 0);
	scan_changed(s);
	ok(names(s, false)[0] == '\0', "a removal is ours");
}

/* More than there is room for: the oldest first, and all of them in the end. */
static void
many(struct scan *s)
{
	size_t n = 2 * SCAN_WINDOW + 1000, got = 0;
	char name[SPOOL_NAME_SIZE], last[SPOOL_NAME_SIZE] = "";
	const char *next;
	bool sorted = true;
	struct err e;

	for (size_t i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "sp1-%016zX.json", 0x1000 + i * 7919 % n);
		close(openat(events, name, O_WRONLY | O_CREAT, 0600));
		if (i % 1000 == 0)
			scan_changed(s);
	}
	scan_changed(s);
	while (scan_next(s) != NULL)
		;
	scan_read(s, true, known, NULL, &e);
	ok(scan_left(s) == n, "%zu of %zu are left", scan_left(s), n);
	while (got < n + 1) {
		if ((next = scan_next(s)) == NULL) {
			if (scan_read(s, false, known, NULL, &e) < 0 || scan_left(s) == 0)
				break;
			continue;
		}
		sorted = sorted && strcmp(last, next) < 0;
		snprintf(last, sizeof(last), "%s", next);
		unlinkat(events, next, 0);
		got++;
	}
	ok(sorted && got == n, "%zu came, the oldest first", got);
}

static void
strangers(struct scan *s)
{
	put(NAME("C"));
	put("notes.txt");
	mkdirat(events, NAME("1"), 0700);
	is_known = NAME("C");
	ok(names(s, true)[0] == '\0', "neither other names nor directories are in the window");
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
	window(&s);
	watched(&s);
	many(&s);
	strangers(&s);
	scan_close(&s);
	spool_close(sp);
	rc = tap_done();
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd) == 0 ? rc : 1;
}
