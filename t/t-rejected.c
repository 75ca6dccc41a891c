/*
 * rejected/: what is stored is read back, also after a crash at any point; limits;
 * names and things of all kinds; reasons that are none.
 */
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "common/rejected.h"
#include "common/spool_sweep.h"
#include "common/xalloc.h"
#include "t/spooldir.h"
#include "t/tap.h"

static int dir; /* rejected/ */

static bool
lines_are(const char *name, const char *want)
{
	struct buf b;
	bool same;

	buf_init(&b, BUF_NO_LIMIT);
	same = file_read(dir, name, &b, NULL) == 0 && slice_eq(buf_slice(&b), slice_str(want));
	buf_free(&b);
	return same;
}

static ssize_t
count(void)
{
	struct rejected_entry *list;
	ssize_t n = rejected_list(dir, &list, NULL);

	rejected_free_list(list, n);
	return n;
}

static void
clear(void)
{
	struct rejected_entry *list;
	ssize_t n = rejected_list(dir, &list, NULL);

	for (ssize_t i = 0; i < n; i++)
		rejected_remove(dir, list[i].name, NULL);
	rejected_free_list(list, n);
}

static void
names(void)
{
	static const struct {
		const char *segment, *sink;
		uint64_t offset;
		const char *name;
	} rows[] = {
		{ "sp1-0006449A1B2C3D4E.json", "", 0, "sp1-0006449A1B2C3D4E.json" },
		{ "sp1-0006449A1B2C3D4E.json", "", 77, "sp1-0006449A1B2C3D4E.77.json" },
		{ "sp1-0006449A1B2C3D4E.json", "sparkpost", 0,
		    "sp1-0006449A1B2C3D4E.sparkpost.0.json" },
		{ "sp1-1.json", "../a b\n", 5, "sp1-1..._a_b_.5.json" },
		{ "../../etc/passwd", "", 0, "_._.._etc_passwd.json" },
		{ ".hidden", "", 0, "_hidden.json" },
	};
	static const struct {
		const char *name;
		bool good;
	} kinds[] = {
		{ "sp1-1.json", true },
		{ "", false },
		{ ".", false },
		{ "..", false },
		{ "a/b", false },
		{ "x.reason", false },
		{ "x.json.tmp", false },
		{ "x", true },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		char name[REJECTED_NAME_SIZE];

		rejected_name(rows[i].segment, slice_str(rows[i].sink), rows[i].offset, name);
		ok(strcmp(name, rows[i].name) == 0, "name of %s: %s", rows[i].segment, name);
	}
	for (size_t i = 0; i < COUNT(kinds); i++)
		ok(rejected_is_name(kinds[i].name) == kinds[i].good, "'%s' is %s name",
		    kinds[i].name, kinds[i].good ? "a" : "no");
}

static void
stored(void)
{
	struct rejected *r = rejected_open(dir, NULL);
	struct rejected_why why = { .time_ms = 1785844800123,
		.sink = SLICE_LIT("sparkpost"),
		.reason = SLICE_LIT("422 \"bad\"\tfield\xff"),
		.batch = SLICE_LIT("b-1"),
		.segment = SLICE_LIT("sp1-1.json"),
		.details = SLICE_LIT("line 1: no\nline 2: no\n") };
	struct rejected_why got;
	struct buf store;
	struct err e;

	buf_init(&store, BUF_NO_LIMIT);
	ok(rejected_add(r, "a.json", &why, SLICE_LIT("one\ntwo\n"), &e) == 0, "stored");
	ok(lines_are("a.json", "one\ntwo\n"), "exactly the lines");
	ok(rejected_read_why(dir, "a.json", &got, &store, &e) == 0, "the reason");
	ok(got.time_ms == why.time_ms && got.events == 2 && got.bytes == 8, "time, events, bytes");
	ok(slice_eq(got.sink, why.sink) && slice_eq(got.batch, why.batch) &&
		slice_eq(got.segment, why.segment) && slice_eq(got.details, why.details),
	    "sink, batch, segment, details");
	ok(slice_eq(got.reason, SLICE_LIT("422 \"bad\"\tfield\xef\xbf\xbd")), "the reason's text");
	ok(spooldir_entries(dir) == 2, "two files");

	ok(rejected_add(r, "a.json", &why, SLICE_LIT("one\ntwo\n"), &e) == 0 && count() == 1,
	    "the same again replaces itself");
	ok(rejected_add(r, "a.json", &why, SLICE_LIT("other\n"), &e) == 0 && count() == 2 &&
		lines_are("a.json", "one\ntwo\n") && lines_are("a.again2.json", "other\n"),
	    "something else under the same name replaces nothing");
	ok(rejected_add(r, "../x", &why, SLICE_LIT("x"), &e) < 0 &&
		strstr(e.text, "no name for a file") != NULL,
	    "a bad name: %s", e.text);

	ok(rejected_begin(r, "b.json", &e) == 0 && rejected_write(r, SLICE_LIT("1\n"), &e) == 0 &&
		count() == 2,
	    "what is being written is not listed");
	rejected_abandon(r);
	ok(spooldir_entries(dir) == 4, "abandoned: nothing is left");
	ok(rejected_remove(dir, "a.json", &e) == 0 && rejected_remove(dir, "a.json", &e) == 0 &&
		count() == 1 && spooldir_entries(dir) == 2,
	    "removed with its reason, twice");
	ok(rejected_remove(dir, "../a", &e) < 0, "nothing is removed elsewhere");
	rejected_close(r);
	buf_free(&store);
	clear();
}

static void
order_and_limits(void)
{
	struct rejected_limits limits = { .max_files = 3 };
	struct rejected *r = rejected_open(dir, NULL);
	struct rejected_why why = { .reason = SLICE_LIT("no") };
	struct rejected_dropped dropped;
	struct rejected_entry *list;
	struct timespec times[2];
	struct err e;
	ssize_t n;

	/* By age, not by name. */
	for (int i = 0; i < 5; i++) {
		char name[32];

		snprintf(name, sizeof(name), "n%d.json", 9 - i);
		rejected_add(r, name, &why, SLICE_LIT("a\nb\n"), &e);
		snprintf(name, sizeof(name), "n%d.json.reason", 9 - i);
		times[0] = times[1] = (struct timespec){ .tv_sec = time(NULL) - 1000 + i };
		utimensat(dir, name, times, 0);
	}
	n = rejected_list(dir, &list, &e);
	ok(n == 5 && strcmp(list[0].name, "n9.json") == 0 && strcmp(list[4].name, "n5.json") == 0,
	    "the oldest first");
	ok(list[0].regular && list[0].has_reason && list[0].bytes == 4 && list[0].on_disk >= 4,
	    "and what they are");
	rejected_free_list(list, n);
	rejected_set_limits(r, &limits);
	ok(rejected_trim(r, &e) == 0 && count() == 3 && lines_are("n7.json", "a\nb\n") &&
		!lines_are("n8.json", "a\nb\n"),
	    "too many files: the oldest go");
	ok(rejected_take_dropped(r, &dropped) && dropped.files == 2 && dropped.events == 4 &&
		dropped.bytes == 8 && !rejected_take_dropped(r, &dropped),
	    "and are counted, once");
	rejected_add(r, "new.json", &why, SLICE_LIT("c\n"), &e);
	ok(count() == 3 && !lines_are("n7.json", "a\nb\n"), "a new one pushes the oldest out");
	limits = (struct rejected_limits){ .max_age_s = 500 };
	rejected_set_limits(r, &limits);
	ok(rejected_trim(r, &e) == 0 && count() == 1 && lines_are("new.json", "c\n"), "too old");
	limits = (struct rejected_limits){ .max_bytes = 40000 };
	rejected_set_limits(r, &limits);
	for (int i = 0; i < 20; i++) {
		char name[32];

		snprintf(name, sizeof(name), "s%d.json", i);
		rejected_add(r, name, &why, SLICE_LIT("a\nb\n"), &e);
	}
	rejected_trim(r, &e);
	ok(count() >= 1 && count() <= 10 && lines_are("s19.json", "a\nb\n"),
	    "too many bytes: the newest stay");
	{
		char *big = xcalloc(1, 20000);

		memset(big, 'x', 20000);
		ok(rejected_add(r, "big.json", &why, (struct slice){ big, 20000 }, &e) == 0,
		    "more than a quarter of the limit");
		n = rejected_list(dir, &list, &e);
		ok(n > 1 && strcmp(list[n - 1].name, "big.json") == 0 && list[n - 1].bytes == 10000,
		    "only its start is kept, and the others too");
		rejected_free_list(list, n);
		free(big);
	}
	rejected_close(r);
	clear();
}

static void
things(struct spool *sp)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct rejected_limits limits = { .max_bytes = 1 << 24 };
	struct rejected *r = rejected_open(dir, &limits);
	struct rejected_why why = { .reason = SLICE_LIT("not ours") }, got;
	int sock = socket(AF_UNIX, SOCK_STREAM, 0), from = spool_events_fd(sp), huge;
	static const char *const found[] = { "fifo", "link", "loop", "dir", "odd\nname\xff.reason",
		"socket", "file", "huge" };
	char name[REJECTED_NAME_SIZE];
	struct buf store;
	struct err e;

	buf_init(&store, BUF_NO_LIMIT);
	mkfifoat(from, "fifo", 0600);
	ok(symlinkat("/etc/passwd", from, "link") == 0 && symlinkat("loop", from, "loop") == 0,
	    "links");
	mkdirat(from, "dir", 0700);
	close(openat(from, "odd\nname\xff.reason", O_CREAT | O_WRONLY, 0));
	snprintf(un.sun_path, sizeof(un.sun_path), "/proc/self/fd/%d/socket", from);
	if (bind(sock, (struct sockaddr *)&un, sizeof(un)) < 0)
		perror("bind");
	close(sock);
	huge = openat(from, "file", O_CREAT | O_WRONLY, 0600);
	ok(write(huge, "x\n", 2) == 2, "a file");
	close(huge);
	huge = openat(from, "huge", O_CREAT | O_WRONLY, 0600);
	ok(ftruncate(huge, (off_t)1 << 30) == 0, "a huge one");
	close(huge);
	for (size_t i = 0; i < COUNT(found); i++) {
		ok(rejected_take(r, from, found[i], &why, name, &e) == 0, "%s moved", name);
		ok(rejected_is_name(name) && rejected_read_why(dir, name, &got, &store, &e) == 0 &&
			slice_eq(got.reason,
			    slice_str(strcmp(found[i], "huge") != 0
					  ? "not ours"
					  : "(only the first 1048576 bytes are kept) not ours")) &&
			got.segment.len > 0,
		    "and its reason: %.*s", SLICE_FMT(got.reason));
		ok(faccessat(from, found[i], F_OK, AT_SYMLINK_NOFOLLOW) < 0, "and gone");
	}
	ok(count() == (ssize_t)COUNT(found), "all are listed");
	ok(rejected_take(r, from, "nothing", &why, name, &e) < 0 && strstr(e.text, "stat") != NULL,
	    "what is not there: %s", e.text);
	limits.max_files = 1;
	rejected_set_limits(r, &limits);
	ok(rejected_trim(r, &e) == 0 && count() == 1, "and all can be dropped");
	rejected_close(r);
	buf_free(&store);
	clear();
}

/* What is nothing of ours leaves events/ and inbound/; what may be on its way stays. */
static void
sweeping(struct spool *sp)
{
	struct rejected *r = rejected_open(dir, NULL);
	int events = spool_events_fd(sp), inbound = spool_inbound_fd(sp);
	const struct timespec old[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
	struct err e;

	mkfifoat(events, "sp1-0000000000000001.json", 0600);
	mkdirat(inbound, "in1-0000000000000001.eml", 0700);
	ok(symlinkat("/etc/passwd", events, "sp1-0000000000000002.json") == 0 &&
		symlinkat("nowhere", inbound, "in1-0000000000000002.eml") == 0,
	    "links");
	close(openat(events, "sp1-0000000000000003.json", O_CREAT | O_WRONLY, 0600));
	close(openat(inbound, "in1-0000000000000003.eml", O_CREAT | O_WRONLY, 0600));
	close(openat(events, "young", O_CREAT | O_WRONLY, 0600));
	close(openat(events, "old", O_CREAT | O_WRONLY, 0600));
	close(openat(inbound, "old", O_CREAT | O_WRONLY, 0600));
	utimensat(events, "old", old, 0);
	utimensat(inbound, "old", old, 0);
	ok(spool_sweep(sp, r, NULL, NULL, &e) == 6 && count() == 6, "six things go");
	ok(spool_sweep(sp, r, NULL, NULL, &e) == 0 && spooldir_entries(events) == 3 &&
		spooldir_entries(inbound) == 3,
	    "ours stay, and what is young");
	ok(spool_sweep_unreadable(sp, r, "sp1-0000000000000003.json", NULL, NULL, &e) < 0 &&
		spool_sweep_unreadable(sp, r, "sp1-0000000000000009.json", NULL, NULL, &e) < 0,
	    "what can be read, or is not there, is left alone: %s", e.text);
	rejected_close(r);
	unlinkat(events, "young", 0);
	clear();
}

static void
reasons(void)
{
	static const struct {
		const char *text, *reason;
		bool ours;
	} rows[] = {
		{ "", "", false },
		{ "line 1: not JSON\nline 2: x\n", "line 1: not JSON", false },
		{ "{\"reason\":\"a\"}\n", "a", true },
		{ "{\"reason\":7,\"events\":-1,\"time\":\"soon\"}", "", true },
		{ "{\"events\":1}", "{\"events\":1}", false },
		{ "[[[[[[[]]]]]]]", "[[[[[[[]]]]]]]", false },
		{ "{\"reason\":\"a\",\"details\":[1,null,\"b\"],\"sink\":{}}", "a", true },
	};
	struct buf store;

	buf_init(&store, BUF_NO_LIMIT);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct rejected_why why;

		ok(rejected_parse_why(slice_str(rows[i].text), &why, &store) == rows[i].ours &&
			slice_eq(why.reason, slice_str(rows[i].reason)) && why.events == 0 &&
			why.time_ms == 0,
		    "reason file '%s'", rows[i].text);
	}
	buf_free(&store);
}

/* Left by a crash: lines without a reason count, reasons without lines don't. */
static void
debris(void)
{
	struct rejected *r = rejected_open(dir, NULL);
	struct timespec old[2] = { { .tv_sec = 1000000 }, { .tv_sec = 1000000 } };
	static const char *const left[] = { "a.json.tmp", "b.json.reason", "c.json" };
	struct rejected_entry *list;
	ssize_t n;

	for (size_t i = 0; i < COUNT(left); i++)
		close(openat(dir, left[i], O_CREAT | O_WRONLY, 0600));
	rejected_trim(r, NULL);
	ok(spooldir_entries(dir) == 3, "what is young may be somebody's work");
	for (size_t i = 0; i < COUNT(left); i++)
		utimensat(dir, left[i], old, 0);
	rejected_trim(r, NULL);
	n = rejected_list(dir, &list, NULL);
	ok(n == 1 && !list[0].has_reason && spooldir_entries(dir) == 1, "old debris goes");
	rejected_free_list(list, n);
	rejected_close(r);
	clear();
}

int
main(void)
{
	char path[SPOOLDIR_SIZE];
	struct spool *sp;
	struct err e;

	sp = spool_open(spooldir_make(path), &e);
	dir = spool_rejected_fd(sp);
	names();
	stored();
	order_and_limits();
	things(sp);
	sweeping(sp);
	reasons();
	debris();
	spool_close(sp);
	spooldir_remove(path);
	return tap_done();
}
