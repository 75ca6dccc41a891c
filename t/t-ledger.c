#include "common/ledger.h"

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/slice.h"
#include "t/spooldir.h"
#include "t/tap.h"

static char dir[SPOOLDIR_SIZE];
static struct err e;

static const char *
segment(unsigned n)
{
	static char name[8][SPOOL_NAME_SIZE];

	snprintf(name[n % 8], SPOOL_NAME_SIZE, "sp1-%016X.json", n);
	return name[n % 8];
}

static void
path_of(const char *name, char path[SPOOLDIR_SIZE + 60])
{
	snprintf(path, SPOOLDIR_SIZE + 60, "%s/events/%s", dir, name);
}

static void
make_file(const char *name, size_t bytes)
{
	char path[SPOOLDIR_SIZE + 60];
	int fd;

	path_of(name, path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0)
		abort();
	close(fd);
}

static void
remove_file(const char *name)
{
	char path[SPOOLDIR_SIZE + 60];

	path_of(name, path);
	unlink(path);
}

static struct ledger *
open_ledger(void)
{
	struct ledger *l = ledger_open(dir, true, NULL, &e);

	ok(l != NULL, "opens: %s", l != NULL ? "" : e.text);
	if (l == NULL)
		exit(1);
	return l;
}

static void
note(void *arg, const char *name, uint64_t events)
{
	char *text = arg;
	size_t len = strlen(text);

	snprintf(text + len, 200 - len, "%s %llu;", name, (unsigned long long)events);
}

/* What ledger_check() says, in a line: "good: a 10=4u+6w; missing: ..." */
static const char *
sums(struct ledger *l)
{
	static char text[1000];
	char missing[200] = "";
	struct ledger_check c;
	size_t n;

	if (ledger_check(l, &c, note, missing, &e) < 0)
		return e.text;
	n = (size_t)snprintf(text, sizeof(text), "%s", c.good ? "good" : "broken");
	for (size_t i = 0; i < c.n_sinks; i++) {
		const struct ledger_sums *k = &c.sinks[i];
		const uint64_t *f = k->counts.fate;

		n += (size_t)snprintf(text + n, sizeof(text) - n,
		    " %s%s:%llu=%lluu+%lluw+%llup+%llur+%llue", k->counts.name,
		    k->counts.retired ? "(retired)" : "", (unsigned long long)k->counts.made,
		    (unsigned long long)f[LEDGER_UPLOADED], (unsigned long long)k->waiting,
		    (unsigned long long)f[LEDGER_PURGED], (unsigned long long)f[LEDGER_REJECTED],
		    (unsigned long long)f[LEDGER_EXPIRED]);
	}
	if (c.uncounted_segments > 0)
		n += (size_t)snprintf(text + n, sizeof(text) - n, " uncounted %llu/%llu",
		    (unsigned long long)c.uncounted_segments,
		    (unsigned long long)c.uncounted_bytes);
	if (missing[0] != '\0')
		snprintf(text + n, sizeof(text) - n, " missing %s", missing);
	ledger_check_free(&c);
	return text;
}

static void
is(struct ledger *l, const char *want, const char *what)
{
	const char *got = sums(l);

	ok(strcmp(got, want) == 0, "%s: \"%s\", wanted \"%s\"", what, got, want);
}

static uint64_t none[LEDGER_FATES];

static const uint64_t *
fates(uint64_t uploaded, uint64_t rejected, uint64_t expired)
{
	static uint64_t f[LEDGER_FATES];

	f[LEDGER_UPLOADED] = uploaded;
	f[LEDGER_REJECTED] = rejected;
	f[LEDGER_EXPIRED] = expired;
	f[LEDGER_PURGED] = 0;
	return f;
}

static void
enter(struct ledger *l, unsigned n, uint64_t events, int64_t oldest_s)
{
	make_file(segment(n), 100 * events);
	ok(ledger_enter(l, segment(n), events, 100 * events, oldest_s, &e) == 1, "%u is entered",
	    n);
}

/* A segment's whole way through two sinks. */
static void
test_way(void)
{
	struct ledger *l = open_ledger();
	struct ledger_segment s;
	int64_t a = 0, b = 0, oldest;

	is(l, "good", "nothing is good");
	ok(ledger_sink(l, "a", true, &a, &e) == 0 && ledger_sink(l, "b", true, &b, &e) == 0,
	    "two sinks");
	enter(l, 1, 10, 1000);
	ok(ledger_enter(l, segment(1), 10, 1000, 1000, &e) == 0, "a segment is entered once");
	enter(l, 2, 5, 900);
	is(l, "good a:15=0u+15w+0p+0r+0e b:15=0u+15w+0p+0r+0e", "all waits");
	make_file(segment(3), 77);
	is(l, "good a:15=0u+15w+0p+0r+0e b:15=0u+15w+0p+0r+0e uncounted 1/77", "not entered");
	remove_file(segment(3));
	ok(ledger_oldest(l, a, &oldest, &e) == 1 && oldest == 900, "the oldest waits for a");

	ok(ledger_advance(l, a, segment(1), 400, false, fates(3, 1, 0), &e) == 0, "a gets on");
	is(l, "good a:15=3u+11w+0p+1r+0e b:15=0u+15w+0p+0r+0e", "a has begun");
	ok(ledger_find(l, a, segment(1), &s, &e) == 1 && s.offset == 400 && s.taken == 4 && !s.done,
	    "its cursor");
	ok(ledger_find(l, b, segment(1), &s, &e) == 1 && s.offset == 0 && s.taken == 0, "not b's");
	ok(ledger_advance(l, a, segment(1), 300, false, none, &e) < 0, "no way back: %s", e.text);
	ok(ledger_advance(l, a, segment(1), 1000, true, fates(5, 0, 0), &e) < 0,
	    "events are missing: %s", e.text);
	is(l, "good a:15=3u+11w+0p+1r+0e b:15=0u+15w+0p+0r+0e", "errors change nothing");
	ok(ledger_advance(l, a, segment(1), 1000, true, fates(4, 0, 2), &e) == 0, "a is done");
	ok(ledger_advance(l, a, segment(1), 1000, true, fates(4, 0, 2), &e) == 0, "and only once");
	is(l, "good a:15=7u+5w+0p+1r+2e b:15=0u+15w+0p+0r+0e", "a's fates");
	ok(ledger_next(l, a, 0, &s, &e) == 1 && strcmp(s.name, segment(2)) == 0, "a's next");
	ok(ledger_next(l, b, 0, &s, &e) == 1 && strcmp(s.name, segment(1)) == 0, "b's next");
	ok(ledger_forget(l, segment(1), &e) < 0, "b needs it: %s", e.text);
	ok(ledger_advance(l, b, segment(1), 1000, true, fates(10, 0, 0), &e) == 1, "it may go");
	ok(ledger_gone(l, 0, &s, &e) == 1 && strcmp(s.name, segment(1)) == 0, "it is gone");
	ok(ledger_next(l, b, 0, &s, &e) == 1 && strcmp(s.name, segment(2)) == 0, "b goes on");
	remove_file(segment(1));
	is(l, "good a:15=7u+5w+0p+1r+2e b:15=10u+5w+0p+0r+0e", "removed");
	ok(ledger_forget(l, segment(1), &e) == 0 && ledger_gone(l, 0, &s, &e) == 0, "forgotten");
	ok(ledger_forget(l, segment(1), &e) == 0, "twice");
	is(l, "good a:15=7u+5w+0p+1r+2e b:15=10u+5w+0p+0r+0e", "its numbers stay");
	ledger_close(l);

	l = open_ledger();
	is(l, "good a:15=7u+5w+0p+1r+2e b:15=10u+5w+0p+0r+0e", "over a restart");
	ok(ledger_purge(l, segment(2), NULL, &e) == 1, "purged");
	ok(ledger_purge(l, segment(2), NULL, &e) == 0, "once");
	is(l, "good a:15=7u+0w+5p+1r+2e b:15=10u+0w+5p+0r+0e", "for both");
	ok(ledger_advance(l, b, segment(2), 500, true, fates(5, 0, 0), &e) == 0,
	    "what comes after that is too late");
	remove_file(segment(2));
	ledger_forget(l, segment(2), &e);
	is(l, "good a:15=7u+0w+5p+1r+2e b:15=10u+0w+5p+0r+0e", "and forgotten");
	ok(ledger_recount(l, b, LEDGER_UPLOADED, LEDGER_REJECTED, 3, &e) == 0,
	    "three were refused");
	is(l, "good a:15=7u+0w+5p+1r+2e b:15=7u+0w+5p+3r+0e", "later");
	ledger_close(l);
}

/* Sinks come and go. */
static void
test_sinks(void)
{
	struct ledger *l = open_ledger();
	struct ledger_segment s;
	int64_t a, b, c;
	uint64_t most = 0;

	ledger_retire(l, "a", &e);
	ledger_retire(l, "b", &e);
	ok(ledger_retire(l, "never", &e) == 0, "a sink that never was");
	enter(l, 10, 4, 0);
	ok(ledger_settle(l, &e) == 0 && ledger_gone(l, 0, &s, &e) == 0,
	    "nobody takes it: it stays");
	is(l, "good a(retired):15=7u+0w+5p+1r+2e b(retired):15=7u+0w+5p+3r+0e", "retired");
	ok(ledger_sink(l, "c", true, &c, &e) == 0, "a new one");
	is(l, "good a(retired):15=7u+0w+5p+1r+2e b(retired):15=7u+0w+5p+3r+0e c:4=0u+4w+0p+0r+0e",
	    "it begins with what is there");
	ok(ledger_sink(l, "a", false, &a, &e) == 0, "one that comes back, not required");
	ok(ledger_sink(l, "b", true, &b, &e) == 0, "and one more");
	ok(ledger_advance(l, a, segment(10), 100, false, fates(1, 0, 0), &e) == 0, "a begins");
	ok(ledger_purge(l, segment(99), &most, &e) == 0, "no such segment");
	ok(ledger_advance(l, c, segment(10), 400, true, fates(4, 0, 0), &e) == 0, "c is done");
	ok(ledger_retire(l, "b", &e) == 0 && ledger_settle(l, &e) == 0, "b is taken away");
	ok(ledger_gone(l, 0, &s, &e) == 1 && strcmp(s.name, segment(10)) == 0, "which lets it go");
	is(l, "good a:19=8u+0w+8p+1r+2e b(retired):19=7u+0w+9p+3r+0e c:4=4u+0w+0p+0r+0e",
	    "what was not required counts as purged");
	remove_file(segment(10));
	ledger_forget(l, segment(10), &e);
	ledger_retire(l, "a", &e);
	ledger_close(l);
}

/* What is not on disk breaks it, by name, until the operator writes it off. */
static void
test_missing(void)
{
	static const char old[] = " a(retired):19=8u+0w+8p+1r+2e b(retired):19=7u+0w+9p+3r+0e";
	struct ledger *l = open_ledger();
	char want[400];
	int64_t c;
	uint64_t events = 0;

	ledger_sink(l, "c", true, &c, &e);
	enter(l, 20, 6, 0);
	enter(l, 21, 3, 0);
	ledger_advance(l, c, segment(20), 100, false, fates(1, 0, 0), &e);
	remove_file(segment(20));
	make_file(segment(21), 299);
	snprintf(want, sizeof(want), "broken%s c:13=5u+0w+0p+0r+0e missing %s 6;%s 3;", old,
	    segment(20), segment(21));
	is(l, want, "one is gone, one is shorter");
	ok(ledger_purge(l, segment(20), &events, &e) == 1 && events == 5, "written off: %llu",
	    (unsigned long long)events);
	make_file(segment(21), 300);
	snprintf(want, sizeof(want), "good%s c:13=5u+3w+5p+0r+0e", old);
	is(l, want, "and the other is back");
	make_file(segment(21), 400);
	ok(ledger_grew(l, segment(21), 1, 100, &e) == 0, "it grows");
	snprintf(want, sizeof(want), "good%s c:14=5u+4w+5p+0r+0e", old);
	is(l, want, "by an event");
	ok(ledger_advance(l, c, segment(21), 400, true, fates(5, 0, 0), &e) == 1, "one more");
	snprintf(want, sizeof(want), "good%s c:15=10u+0w+5p+0r+0e", old);
	is(l, want, "than was counted");
	ledger_forget(l, segment(20), &e);
	remove_file(segment(21));
	ledger_forget(l, segment(21), &e);
	ledger_close(l);
}

static void
test_transactions(void)
{
	struct ledger *l = open_ledger(), *reader;
	struct ledger_counts k;
	struct ledger_try t = { "503", 77, false, 0, 1, 0 };
	char before[1000];
	int64_t c;
	bool missing;

	ledger_sink(l, "c", true, &c, &e);
	snprintf(before, sizeof(before), "%s", sums(l));
	ok(ledger_begin(l, &e) == 0, "begins");
	enter(l, 30, 6, 0);
	ledger_advance(l, c, segment(30), 600, true, fates(6, 0, 0), &e);
	reader = ledger_open(dir, false, &missing, &e);
	ok(reader != NULL, "a reader beside the writer: %s", reader != NULL ? "" : e.text);
	remove_file(segment(30));
	is(reader, before, "sees nothing of it");
	ledger_rollback(l);
	is(l, before, "and none of it has been");
	ok(ledger_tried(l, c, &t, &e) == 0, "a try that failed");
	t = (struct ledger_try){ "200", 78, true, 1, 0, 1234 };
	ok(ledger_tried(l, c, &t, &e) == 0, "a try that did not");
	ok(ledger_counts(l, c, &k, &e) == 0 && k.retried == 1 && k.sent == 1 && k.bytes == 1234 &&
		strcmp(k.status, "200") == 0 && k.tried_s == 78 && k.success_s == 78,
	    "are remembered");
	ok(ledger_enter(reader, segment(31), 1, 1, 0, &e) < 0, "a reader can't write: %s", e.text);
	ledger_close(reader);
	ledger_close(l);
}

static void
test_files(void)
{
	char path[SPOOLDIR_SIZE + 20], aside[SPOOLDIR_SIZE + 20];
	sqlite3 *db;
	bool missing;

	snprintf(path, sizeof(path), "%s/" LEDGER_NAME, dir);
	snprintf(aside, sizeof(aside), "%s/aside", dir);
	rename(path, aside);
	ok(ledger_open(dir, false, &missing, &e) == NULL && missing, "a reader makes none: %s",
	    e.text);
	sqlite3_open(path, &db);
	sqlite3_exec(db, "CREATE TABLE x (y)", NULL, NULL, NULL);
	sqlite3_close(db);
	ok(ledger_open(dir, true, NULL, &e) == NULL &&
		strstr(e.text, "ledger.db: the file is some other program's") != NULL,
	    "another's: %s", e.text);
	unlink(path);
	ok(symlink("/etc/passwd", path) == 0 && ledger_open(dir, true, NULL, &e) == NULL,
	    "a link: %s", e.text);
	unlink(path);
	rename(aside, path);
}

/* Killed at any moment: what a second process finds adds up. */
static void
test_kill(void)
{
	bool good = true;
	unsigned rounds = 12;

	for (unsigned i = 0; i < rounds && good; i++) {
		pid_t pid = fork();
		struct ledger *l;
		int64_t c;

		if (pid == 0) {
			l = ledger_open(dir, true, NULL, &e);
			if (l == NULL || ledger_sink(l, "c", true, &c, &e) < 0)
				_exit(1);
			for (unsigned n = 0;; n++) {
				const char *name = segment(100 + i * 10000 + n);

				make_file(name, 500);
				if (ledger_enter(l, name, 5, 500, 0, &e) < 0 ||
				    ledger_advance(l, c, name, 200, false, fates(2, 0, 0), &e) <
					0 ||
				    ledger_advance(l, c, name, 500, true, fates(2, 1, 0), &e) != 1)
					_exit(1);
				remove_file(name);
				if (n % 3 != 0 && ledger_forget(l, name, &e) < 0)
					_exit(1);
			}
		}
		usleep(20000 + i * 7000);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		l = ledger_open(dir, true, NULL, &e);
		good = l != NULL && strncmp(sums(l), "good", 4) == 0;
		if (!good)
			printf("# %s\n", l != NULL ? sums(l) : e.text);
		ledger_close(l);
	}
	ok(good, "%u kills", rounds);
}

int
main(void)
{
	spooldir_make(dir);
	{
		char path[SPOOLDIR_SIZE + 60];

		path_of("", path);
		mkdir(path, 0700);
	}
	test_way();
	test_sinks();
	test_missing();
	test_transactions();
	test_files();
	test_kill();
	spooldir_remove(dir);
	return tap_done();
}
