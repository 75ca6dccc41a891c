/*
 * The spool: names, closing by size and age, faults of the disk, recovery, and
 * a writer that is killed at any moment.
 */
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include <pthread.h>

#include "common/clock.h"
#include "common/rejected.h"
#include "common/xalloc.h"
#include "t/spooldir.h"
#include "t/tap.h"

/* ---- a disk with faults: how many of the next calls fail ---- */

static struct {
	atomic_int pwrite, ftruncate, fdatasync, fsync, rename;
} faults;

static bool
strikes(atomic_int *fault, int error)
{
	if (*fault <= 0)
		return false;
	(*fault)--;
	errno = error;
	return true;
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t at)
{
	static bool half; /* as a full disk does it: a part first, then the error */

	if (faults.pwrite > 0 && !half) {
		half = true;
		return syscall(SYS_pwrite64, fd, p, n / 2, at);
	}
	half = false;
	if (strikes(&faults.pwrite, ENOSPC))
		return -1;
	return syscall(SYS_pwrite64, fd, p, n, at);
}

int
ftruncate(int fd, off_t len)
{
	return strikes(&faults.ftruncate, EIO) ? -1 : (int)syscall(SYS_ftruncate, fd, len);
}

int
fdatasync(int fd)
{
	return strikes(&faults.fdatasync, EIO) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int
fsync(int fd)
{
	return strikes(&faults.fsync, EIO) ? -1 : (int)syscall(SYS_fsync, fd);
}

int
renameat2(int from, const char *old, int to, const char *new, unsigned flags)
{
	if (strikes(&faults.rename, EIO))
		return -1;
	return (int)syscall(SYS_renameat2, from, old, to, new, flags);
}

/* ---- tools ---- */

static void
pause_ms(long ms)
{
	nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

/* What we have computed: others on this machine do not count. */
static int64_t
cpu_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void
put(int dirfd, const char *name, struct slice data)
{
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || file_write_all(fd, data) < 0)
		perror(name);
	close(fd);
}

static bool
holds(int dirfd, const char *name, struct slice data)
{
	struct buf b;
	bool same;

	buf_init(&b, BUF_NO_LIMIT);
	same = file_read(dirfd, name, &b, NULL) == 0 && slice_eq(buf_slice(&b), data);
	if (!same)
		printf("# %s: %.300s\n", name, buf_str(&b));
	buf_free(&b);
	return same;
}

static int
append(struct spool_writer *w, int64_t id, struct err *e)
{
	struct buf b;
	int rc;

	buf_init(&b, BUF_NO_LIMIT);
	spooldir_line(&b, id);
	rc = spool_append(w, buf_slice(&b), 1, e);
	buf_free(&b);
	return rc;
}

static int
segments(struct spool *sp)
{
	char **names;
	struct err e;
	ssize_t n = spool_list(sp, &names, &e);

	for (ssize_t i = 0; i < n; i++)
		free(names[i]);
	if (n >= 0)
		free(names);
	return (int)n;
}

/* Wait until there are `n` closed segments; false after a minute. */
static bool
wait_segments(struct spool *sp, int n)
{
	for (int i = 0; i < 6000; i++) {
		if (segments(sp) >= n)
			return true;
		pause_ms(10);
	}
	return false;
}

static struct buf reports; /* lines, each with LF */

static void
collect(void *arg, const char *text)
{
	(void)arg;
	buf_adds(&reports, text);
	buf_addc(&reports, '\n');
}

static int
recover(struct spool *sp)
{
	struct err e;

	buf_clear(&reports);
	return spool_recover(sp, collect, NULL, &e);
}

static bool
reported(const char *text)
{
	bool found = strstr(buf_str(&reports), text) != NULL;

	if (!found)
		printf("# no \"%s\" in: %s\n", text, buf_str(&reports));
	return found;
}

static const struct spool_writer_options calm = { 0, 60000, true };

/* ---- tests ---- */

static void
names(void)
{
	static const struct {
		const char *name;
		bool good;
	} cases[] = {
		{ "sp1-0006449A1B2C3D4E.json", true },
		{ "sp1-0000000000000000.json", true },
		{ "sp1-0006449a1b2c3d4e.json", false }, /* lower case */
		{ "sp1-0006449A1B2C3D4.json", false },
		{ "sp1-0006449A1B2C3D4E5.json", false },
		{ "sp1-0006449A1B2C3D4G.json", false },
		{ "sp2-0006449A1B2C3D4E.json", false },
		{ "sp1-0006449A1B2C3D4E.json.tmp", false },
		{ "sp1-0006449A1B2C3D4E.jsonl", false },
		{ "sp1-0006449A1B2C3D4E", false },
		{ "sp1-", false },
		{ ".sp1-0006449A1B2C3D4E.json", false },
		{ "", false },
	};

	for (size_t i = 0; i < COUNT(cases); i++)
		ok(spool_is_segment(cases[i].name) == cases[i].good, "name '%s'", cases[i].name);
}

static void
directories(const char *base)
{
	static const char *const made[] = { "", "/events", "/events/open", "/inbound",
		"/inbound/tmp", "/rejected" };
	char dir[SPOOLDIR_SIZE + 16], path[SPOOLDIR_SIZE + 64];
	struct spool *sp;
	struct stat st;
	struct err e;

	snprintf(dir, sizeof(dir), "%s/a/b", base);
	sp = spool_open(dir, &e);
	ok(sp != NULL && strcmp(spool_dir(sp), dir) == 0, "the spool is made");
	for (size_t i = 0; i < COUNT(made); i++) {
		snprintf(path, sizeof(path), "%s%s", dir, made[i]);
		ok(stat(path, &st) == 0 && S_ISDIR(st.st_mode) && (st.st_mode & 07777) == 0770,
		    "directory spool%s", made[i]);
	}
	spool_close(sp);
	sp = spool_open(dir, &e);
	ok(sp != NULL, "and opened again");
	spool_close(sp);
	snprintf(path, sizeof(path), "%s/rejected", dir);
	rmdir(path);
	put(AT_FDCWD, path, SLICE_LIT("x"));
	ok(spool_open(dir, &e) == NULL && strstr(e.text, "rejected: Not a directory") != NULL,
	    "a file in a directory's place: %s", e.text);
	ok(spool_open(path, &e) == NULL && strstr(e.text, "not a directory") != NULL,
	    "a file as the spool: %s", e.text);
	spool_close(NULL);
	spool_writer_close(NULL);
}

static void
one_segment(struct spool *sp)
{
	struct spool_writer *w;
	struct spool *other;
	unsigned times[8];
	struct err e;

	w = spool_writer_open(sp, &calm, &e);
	ok(append(w, 1, &e) == 0, "an event is appended");
	ok(segments(sp) == 0 && spooldir_entries(spool_open_fd(sp)) == 1, "and is in events/open/");
	other = spool_open(spool_dir(sp), &e);
	ok(recover(other) == 0 && !reported("sp1-"),
	    "a live writer's file is not recovered, and not worth a word");
	spool_close(other);
	ok(append(w, 2, &e) == 0, "and can be written to still");
	ok(spool_append(w, SLICE_LIT("{}"), 1, &e) < 0 &&
		strcmp(e.text, "spool: not whole lines") == 0,
	    "no LF: %s", e.text);
	ok(spool_append(w, SLICE_LIT(""), 0, NULL) < 0, "no lines");
	spool_writer_close(w);
	ok(segments(sp) == 1 && spooldir_entries(spool_open_fd(sp)) == 0, "close moves it");
	ok(spooldir_count(sp, times, 8) == 2 && times[1] == 1 && times[2] == 1, "with both events");
	w = spool_writer_open(sp, &calm, &e);
	spool_writer_close(w);
	ok(segments(sp) == 1, "no events, no segment");
}

static void
closing(struct spool *sp)
{
	struct spool_writer_options opt = { 1000, 60000, true };
	struct spool_writer *w = spool_writer_open(sp, &opt, NULL);
	struct spool_stats stats;
	unsigned times[100];
	struct buf big;
	int n;

	for (int i = 0; i < 20; i++)
		append(w, i, NULL);
	ok(wait_segments(sp, 4), "segments are closed by size");
	stats = spool_writer_stats(w);
	ok(stats.events == 20 && stats.failures == 0, "20 events are counted");
	buf_init(&big, BUF_NO_LIMIT);
	for (int i = 20; i < 60; i++)
		spooldir_line(&big, i);
	ok(spool_append(w, buf_slice(&big), 40, NULL) == 0, "more than a segment at once");
	ok(wait_segments(sp, 6), "is closed at once too");
	opt = (struct spool_writer_options){ 0, 30, true };
	n = segments(sp);
	append(w, 60, NULL);
	spool_writer_set(w, &opt);
	pause_ms(200);
	ok(segments(sp) == n, "new options count for later segments");
	spool_writer_close(w);
	w = spool_writer_open(sp, &opt, NULL);
	n = segments(sp);
	append(w, 61, NULL);
	ok(wait_segments(sp, n + 1), "a segment is closed by age, though nothing more comes");
	append(w, 62, NULL);
	ok(wait_segments(sp, n + 2), "and so is the next");
	spool_writer_close(w);
	ok(spooldir_count(sp, times, 100) == 63, "all of them are there");
	buf_free(&big);
}

static void
own_segment(struct spool *sp)
{
	struct spool_writer_options opt = { 1000, 60000, true };
	struct spool_writer *w = spool_writer_open(sp, &opt, NULL);
	struct buf lines, file;
	char **list;
	ssize_t n;

	buf_init(&lines, BUF_NO_LIMIT);
	buf_init(&file, BUF_NO_LIMIT);
	append(w, 0, NULL);
	for (int i = 1; i < 31; i++)
		spooldir_line(&lines, i);
	spool_append(w, buf_slice(&lines), 30, NULL);
	append(w, 31, NULL);
	spool_writer_close(w);
	n = spool_list(sp, &list, NULL);
	ok(n == 3, "before, the many, after: %zd segments", n);
	ok(n == 3 && file_read(spool_events_fd(sp), list[1], &file, NULL) == 0 &&
		slice_eq(buf_slice(&file), buf_slice(&lines)),
	    "one append is in one segment, whole; names sort by age");
	for (ssize_t i = 0; i < n; i++)
		free(list[i]);
	free(list);
	buf_free(&lines);
	buf_free(&file);
}

static void
never_replaced(struct spool *sp)
{
	struct spool_writer *w = spool_writer_open(sp, &calm, NULL);
	unsigned times[4];
	char **list;
	struct dirent *entry;
	char name[NAME_MAX + 1] = "";
	int fd = dup(spool_open_fd(sp));
	DIR *d;
	ssize_t n;

	append(w, 1, NULL);
	d = fdopendir(fd);
	while ((entry = readdir(d)) != NULL)
		if (spool_is_segment(entry->d_name))
			snprintf(name, sizeof(name), "%s", entry->d_name);
	closedir(d);
	put(spool_events_fd(sp), name, SLICE_LIT("somebody else's\n"));
	spool_writer_close(w);
	ok(holds(spool_events_fd(sp), name, SLICE_LIT("somebody else's\n")),
	    "a file of the same name in events/ stays");
	unlinkat(spool_events_fd(sp), name, 0);
	n = spool_list(sp, &list, NULL);
	ok(n == 1 && strcmp(list[0], name) > 0 && spooldir_count(sp, times, 4) == 1,
	    "the segment got another name");
	for (ssize_t i = 0; i < n; i++)
		free(list[i]);
	free(list);
}

static void
disk_faults(const char *base)
{
	static const struct {
		const char *name;
		int pwrite, ftruncate, fdatasync, fsync, rename;
		bool sync;
		const char *error; /* of the second append; NULL: it is good */
	} cases[] = {
		{ "full", 1, 0, 0, 0, 0, true, "No space left on device" },
		{ "full twice", 2, 0, 0, 0, 0, true, "No space left on device" },
		{ "full, can't be cut at once", 1, 1, 0, 0, 0, true, "No space left on device" },
		{ "full, without sync", 1, 0, 0, 0, 0, false, "No space left on device" },
		{ "sync fails", 0, 0, 1, 0, 0, true, "Input/output error" },
		{ "sync fails twice", 0, 0, 2, 0, 0, true, "Input/output error" },
		{ "sync fails, can't be cut at once", 0, 1, 1, 0, 0, true, "Input/output error" },
		{ "move fails", 0, 0, 0, 0, 1, true, NULL },
		{ "directory sync fails at close", 0, 0, 0, 1, 0, true, NULL },
		{ "sync fails at close, without sync", 0, 0, 1, 0, 0, false, NULL },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct spool_writer_options opt = { 0, 60000, cases[i].sync };
		char dir[SPOOLDIR_SIZE + 16];
		struct spool_stats stats;
		struct spool_writer *w;
		struct err e = { .text = "" };
		unsigned times[4];
		struct spool *sp;
		int second, third;

		snprintf(dir, sizeof(dir), "%s/fault%zu", base, i);
		sp = spool_open(dir, &e);
		w = spool_writer_open(sp, &opt, &e);
		append(w, 1, &e);
		faults.pwrite = cases[i].pwrite;
		faults.ftruncate = cases[i].ftruncate;
		faults.fdatasync = cases[i].fdatasync;
		faults.fsync = cases[i].fsync;
		faults.rename = cases[i].rename;
		second = append(w, 2, &e);
		ok(cases[i].error == NULL ? second == 0
					  : second < 0 && strstr(e.text, cases[i].error) != NULL,
		    "%s: second append %d %s", cases[i].name, second, e.text);
		third = append(w, 3, &e);
		if (third < 0) /* "twice" */
			third = append(w, 3, &e);
		ok(third == 0, "%s: the next good one is good", cases[i].name);
		if (cases[i].error == NULL) {
			/* The closer is to see the fault and to try again. */
			opt.segment_age_ms = 0;
			spool_writer_set(w, &opt);
			spool_writer_close(w);
			w = NULL;
			if (spooldir_entries(spool_open_fd(sp)) > 0)
				ok(recover(sp) == 1, "%s: recovered", cases[i].name);
		} else {
			stats = spool_writer_stats(w);
			ok(stats.failures > 0 && stats.events == 2 &&
				strstr(stats.error.text, cases[i].error) != NULL,
			    "%s: counted: %s", cases[i].name, stats.error.text);
		}
		spool_writer_close(w);
		ok(spooldir_count(sp, times, 4) == (second == 0 ? 3 : 2) && times[1] == 1 &&
			times[2] == (second == 0) && times[3] == 1,
		    "%s: what was good is there", cases[i].name);
		ok(spooldir_entries(spool_open_fd(sp)) == 0, "%s: nothing stays open",
		    cases[i].name);
		memset(&faults, 0, sizeof(faults));
		spool_close(sp);
	}
}

/* A segment that can't be closed is tried again while the writer lives. */
static void
closed_later(struct spool *sp)
{
	struct spool_writer_options opt = { 0, 10, true };
	struct spool_writer *w = spool_writer_open(sp, &opt, NULL);
	struct spool_stats stats;

	faults.rename = 1;
	append(w, 1, NULL);
	ok(wait_segments(sp, 1), "a segment that could not be moved is, a second later");
	stats = spool_writer_stats(w);
	ok(stats.failures == 1 && strstr(stats.error.text, "Input/output error") != NULL,
	    "the fault was counted: %s", stats.error.text);
	spool_writer_close(w);
}

/* The name of a new segment must be durable before the first event is. */
static void
name_not_durable(struct spool *sp)
{
	struct spool_writer *w = spool_writer_open(sp, &calm, NULL);
	unsigned times[4];
	struct err e;

	faults.fsync = 1;
	ok(append(w, 1, &e) < 0 && strstr(e.text, "sync directory events/open") != NULL,
	    "directory sync fails: %s", e.text);
	ok(spooldir_entries(spool_open_fd(sp)) == 0, "nothing is left");
	ok(append(w, 2, &e) == 0, "the next append works");
	spool_writer_close(w);
	ok(spooldir_count(sp, times, 4) == 1 && times[2] == 1, "and is there alone");
}

/* A limit that the kernel keeps, not our own pwrite(): the write that meets it is cut in half. */
static void
file_size_limit(struct spool *sp)
{
	struct rlimit old, small;
	struct spool_writer *w = spool_writer_open(sp, &calm, NULL);
	unsigned times[100];
	struct err e = { .text = "" };
	int good = 0;

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	small = old;
	small.rlim_cur = 5000;
	setrlimit(RLIMIT_FSIZE, &small);
	while (good < 100 && append(w, good, &e) == 0)
		good++;
	ok(good > 5 && good < 100 && strstr(e.text, "File too large") != NULL, "after %d: %s", good,
	    e.text);
	setrlimit(RLIMIT_FSIZE, &old);
	ok(append(w, 99, &e) == 0, "when there is room again it goes on");
	spool_writer_close(w);
	ok(spooldir_count(sp, times, 100) == good + 1 && times[good] == 0 && times[99] == 1,
	    "the failed one is not there");
}

#define SEGMENT "sp1-0006449A1B2C3D4E.json"

static bool
reason_is(struct spool *sp, const char *details, uint64_t events)
{
	struct rejected_why why;
	struct buf store;
	struct err e;
	bool same;

	buf_init(&store, BUF_NO_LIMIT);
	same = rejected_read_why(spool_rejected_fd(sp), SEGMENT, &why, &store, &e) == 0 &&
	       slice_eq(why.details, slice_str(details)) && why.events == events &&
	       why.reason.len > 0 && slice_eq(why.segment, slice_str(SEGMENT)) &&
	       why.time_ms / 1000 + 3600 > clock_wall_s();
	if (!same)
		printf("# %.*s\n", SLICE_FMT(slice_head(why.details, 300)));
	buf_free(&store);
	return same;
}

static void
recovery(const char *base)
{
	/* 1..9: that event's line; x: no event; z: 5000 zero bytes; t: half a line; L: 300 kB
	 * without end; n: line end; e: an empty line; r: CR in front of the last LF. */
	static const struct {
		const char *in, *events, *rejected;
		const char *report;
	} cases[] = {
		{ "", "", "", "empty, removed" },
		{ "123", "123", "", "recovered 3 events; 0 bad lines to rejected/; cut 0 bytes" },
		{ "12t", "12", "", "recovered 2 events; 0 bad lines to rejected/; cut 40 bytes" },
		{ "t", "", "", "recovered 0 events; 0 bad lines to rejected/; cut 40 bytes" },
		{ "12z", "12", "", "cut 5000 bytes" },
		{ "z", "", "", "cut 5000 bytes" },
		{ "12L", "12", "", "cut 300000 bytes" },
		{ "1z2", "1", "z2", "recovered 1 events; 1 bad lines" },
		{ "1x2", "12", "x", "recovered 2 events; 1 bad lines" },
		{ "x12", "12", "x", "recovered 2 events; 1 bad lines" },
		{ "12xt", "12", "x", "1 bad lines to rejected/; cut 40 bytes" },
		{ "xex", "", "xex", "recovered 0 events; 3 bad lines" },
		{ "1Ln2", "12", "Ln", "recovered 2 events; 1 bad lines" },
		{ "tn1", "1", "tn", "recovered 1 events; 1 bad lines" },
		{ "1e2", "12", "e", "recovered 2 events; 1 bad lines" },
		{ "1r2", "1r2", "", "recovered 2 events; 0 bad lines" },
	};
	char *zeros = xcalloc(300000, 1);

	for (size_t i = 0; i < COUNT(cases); i++) {
		char dir[SPOOLDIR_SIZE + 16];
		struct buf made[3];
		const char *specs[3] = { cases[i].in, cases[i].events, cases[i].rejected };
		struct spool *sp;
		struct err e;

		for (size_t k = 0; k < 3; k++) {
			struct buf *b = &made[k];

			buf_init(b, BUF_NO_LIMIT);
			for (const char *c = specs[k]; *c != '\0'; c++)
				if (*c >= '1' && *c <= '9')
					spooldir_line(b, *c - '0');
				else if (*c == 'x')
					buf_adds(b, "{\"msys\":{}}\n");
				else if (*c == 'z')
					buf_add(b, (struct slice){ zeros, 5000 });
				else if (*c == 't')
					buf_adds(
					    b, "{\"msys\":{\"message_event\":{\"type\":\"recept");
				else if (*c == 'L')
					for (int n = 0; n < 300000; n++)
						buf_addc(b, 'L');
				else if (*c == 'r') {
					b->len--;
					buf_adds(b, "\r\n");
				} else
					buf_adds(b, "\n");
		}
		snprintf(dir, sizeof(dir), "%s/recover%zu", base, i);
		sp = spool_open(dir, &e);
		put(spool_open_fd(sp), SEGMENT, buf_slice(&made[0]));
		ok(recover(sp) == (made[1].len > 0) && reported(cases[i].report),
		    "recover '%s': %s", cases[i].in, cases[i].report);
		ok(made[1].len == 0 ? segments(sp) == 0
				    : holds(spool_events_fd(sp), SEGMENT, buf_slice(&made[1])),
		    "recover '%s': events", cases[i].in);
		ok(made[2].len == 0
			? spooldir_entries(spool_rejected_fd(sp)) == 0
			: spooldir_entries(spool_rejected_fd(sp)) == 2 &&
			      holds(spool_rejected_fd(sp), SEGMENT, buf_slice(&made[2])),
		    "recover '%s': rejected", cases[i].in);
		ok(spooldir_entries(spool_open_fd(sp)) == 0, "recover '%s': nothing stays",
		    cases[i].in);
		if (strcmp(cases[i].in, "xex") == 0)
			ok(reason_is(sp,
			       "line 1: not one event class in msys\n"
			       "line 2: not JSON\n"
			       "line 3: not one event class in msys\n",
			       3),
			    "the reasons are written down");
		if (strcmp(cases[i].in, "1Ln2") == 0)
			ok(reason_is(sp, "line 2: event line longer than 262144 bytes\n", 1),
			    "and for a line that is too long");
		spool_close(sp);
		for (size_t k = 0; k < 3; k++)
			buf_free(&made[k]);
	}
	free(zeros);
}

static void
foreign_things(struct spool *sp)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = spool_open_fd(sp), sock = socket(AF_UNIX, SOCK_STREAM, 0);
	static const char *const foreign[] = { "README", "sp1-00000000000000ab.json", "bad\nname" };
	unsigned times[4];
	struct buf line;

	buf_init(&line, BUF_NO_LIMIT);
	spooldir_line(&line, 1);
	mkdirat(fd, "sp1-0000000000000001.json", 0700);
	mkfifoat(fd, "sp1-0000000000000002.json", 0600);
	if (symlinkat("/etc/passwd", fd, "sp1-0000000000000003.json") < 0)
		perror("symlinkat");
	snprintf(
	    un.sun_path, sizeof(un.sun_path), "/proc/self/fd/%d/sp1-0000000000000004.json", fd);
	if (bind(sock, (struct sockaddr *)&un, sizeof(un)) < 0)
		perror("bind");
	close(sock);
	put(fd, "README", SLICE_LIT("not ours"));
	put(fd, "sp1-00000000000000ab.json", buf_slice(&line));
	put(fd, "bad\nname", buf_slice(&line));
	put(fd, "sp1-0000000000000007.json.tmp", SLICE_LIT("half a recovery"));
	put(fd, "sp1-0000000000000008.json", buf_slice(&line));
	ok(recover(sp) == 1, "one segment among foreign things is recovered");
	ok(reported("sp1-0000000000000001.json: not a regular file: moved to rejected/found-") &&
		reported(
		    "sp1-0000000000000002.json: not a regular file: moved to rejected/found-") &&
		reported(
		    "sp1-0000000000000003.json: not a regular file: moved to rejected/found-") &&
		reported("sp1-0000000000000004.json: not a regular file: moved to rejected/found-"),
	    "the others are reported, and moved");
	ok(spooldir_entries(fd) == 3, "foreign names stay for a while");
	for (size_t i = 0; i < COUNT(foreign); i++) {
		const struct timespec old[2] = { { .tv_sec = 1 },
			{ .tv_sec = i > 0 ? 1 : INT32_MAX } };

		utimensat(fd, foreign[i], old, 0);
	}
	recover(sp);
	ok(spooldir_entries(fd) == 0 && spooldir_entries(spool_rejected_fd(sp)) == 14 &&
		reported("README: not the name of a segment: moved to rejected/found-") &&
		reported("bad?name: not the name"),
	    "and go to rejected/ too, each with a reason");
	ok(spooldir_count(sp, times, 4) == 1 && times[1] == 1, "the event is there");
	ok(recover(sp) == 0, "the second time there is nothing to recover");
	/* Closed segments: the same things there are no segments. */
	mkdirat(spool_events_fd(sp), "sp1-0000000000000001.json", 0700);
	mkfifoat(spool_events_fd(sp), "sp1-0000000000000002.json", 0600);
	ok(segments(sp) == 1, "only regular files are listed");
	buf_free(&line);
}

/* A file that has another name elsewhere is not changed, and neither is one that is only readable.
 */
static void
hard_links(struct spool *sp)
{
	unsigned times[8];
	struct buf line, torn;
	struct stat st;

	buf_init(&line, BUF_NO_LIMIT);
	buf_init(&torn, BUF_NO_LIMIT);
	spooldir_line(&line, 1);
	spooldir_line(&torn, 2);
	buf_adds(&torn, "torn");
	put(spool_inbound_fd(sp), "elsewhere", buf_slice(&torn));
	put(spool_inbound_fd(sp), "junk", SLICE_LIT("junk\ntorn"));
	put(spool_events_fd(sp), "sp1-0000000000000003.json", buf_slice(&line));
	ok(linkat(spool_inbound_fd(sp), "elsewhere", spool_open_fd(sp), "sp1-0000000000000001.json",
	       0) == 0 &&
		linkat(spool_inbound_fd(sp), "junk", spool_open_fd(sp), "sp1-0000000000000002.json",
		    0) == 0 &&
		linkat(spool_events_fd(sp), "sp1-0000000000000003.json", spool_open_fd(sp),
		    "sp1-0000000000000003.json", 0) == 0,
	    "hard links");
	ok(recover(sp) == 1 && spooldir_count(sp, times, 8) == 2 && times[1] == 1 && times[2] == 1,
	    "good lines are copied, what was moved already is not");
	ok(holds(spool_inbound_fd(sp), "elsewhere", buf_slice(&torn)) &&
		holds(spool_inbound_fd(sp), "junk", SLICE_LIT("junk\ntorn")) &&
		holds(spool_rejected_fd(sp), "sp1-0000000000000002.json", SLICE_LIT("junk\n")),
	    "their other names' bytes are as they were");
	ok(spooldir_entries(spool_open_fd(sp)) == 0 &&
		fstatat(spool_inbound_fd(sp), "elsewhere", &st, 0) == 0 && st.st_nlink == 1,
	    "nothing stays");
	put(spool_open_fd(sp), "sp1-0000000000000004.json", buf_slice(&torn));
	ok(fchmodat(spool_open_fd(sp), "sp1-0000000000000004.json", 0, 0) == 0 &&
		recover(sp) == 1 && spooldir_count(sp, times, 8) == 3 && times[2] == 2,
	    "mode 000: ours all the same");
	buf_free(&line);
	buf_free(&torn);
}

/* Several processes recover the same files at once. */
static void
recovery_races(struct spool *sp)
{
	enum { FILES = 200, PROCESSES = 4 };
	unsigned times[FILES];
	pid_t pids[PROCESSES];
	size_t once = 0;
	struct err e;

	for (int i = 0; i < FILES; i++) {
		char name[64];
		struct buf b;

		snprintf(name, sizeof(name), "sp1-%016X.json", (unsigned)i + 1);
		buf_init(&b, BUF_NO_LIMIT);
		spooldir_line(&b, i);
		buf_adds(&b, i % 3 == 0 ? "torn" : i % 3 == 1 ? "bad\n" : "");
		put(spool_open_fd(sp), name, buf_slice(&b));
		buf_free(&b);
	}
	fflush(stdout);
	for (int i = 0; i < PROCESSES; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			struct spool *own = spool_open(spool_dir(sp), &e);

			_exit(spool_recover(own, NULL, NULL, &e) < 0);
		}
	}
	for (int i = 0; i < PROCESSES; i++)
		waitpid(pids[i], NULL, 0);
	recover(sp);
	spooldir_count(sp, times, FILES);
	for (int i = 0; i < FILES; i++)
		once += times[i] == 1;
	ok(once == FILES, "%d processes recover %d files: %zu are there once", PROCESSES, FILES,
	    once);
	ok(spooldir_entries(spool_open_fd(sp)) == 0, "and none stays open");
}

/* A recovery that runs all the time takes nothing from a writer that begins a segment for each
 * event. */
static void
recovery_beside_writer(struct spool *sp)
{
	enum { EVENTS = 300 };
	struct spool_writer_options opt = { 1, 60000, true };
	unsigned times[EVENTS];
	struct spool_writer *w;
	size_t once = 0, failed = 0;
	struct err e;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		struct spool *own = spool_open(spool_dir(sp), &e);

		for (;;)
			spool_recover(own, NULL, NULL, &e);
	}
	w = spool_writer_open(sp, &opt, &e);
	for (int i = 0; i < EVENTS; i++)
		failed += append(w, i, &e) < 0;
	spool_writer_close(w);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	recover(sp);
	spooldir_count(sp, times, EVENTS);
	for (int i = 0; i < EVENTS; i++)
		once += times[i] == 1;
	ok(failed == 0 && once == EVENTS, "a recovery beside a writer: %zu of %d are there once",
	    once, EVENTS);
}

/* ---- kill -9 ---- */

#define KILL_THREADS 4
#define KILL_EVENTS  100000 /* a thread; never reached */

struct killed {
	struct spool_writer *w;
	int64_t first;
	int ack;
};

static void *
append_until_killed(void *arg)
{
	struct killed *k = arg;
	struct buf b;

	buf_init(&b, BUF_NO_LIMIT);
	for (int64_t id = k->first; id + 1 < k->first + KILL_EVENTS; id += 2) {
		buf_clear(&b);
		spooldir_line(&b, id);
		spooldir_line(&b, id + 1);
		if (spool_append(k->w, buf_slice(&b), 2, NULL) == 0 &&
		    write(k->ack, &id, sizeof(id)) != sizeof(id))
			break;
	}
	return NULL;
}

static _Noreturn void
writer_process(const char *dir, int ack)
{
	struct spool_writer_options opt = { 20000, 5, true };
	struct killed k[KILL_THREADS];
	pthread_t threads[KILL_THREADS];
	struct err e;
	struct spool *sp = spool_open(dir, &e);
	struct spool_writer *w = spool_writer_open(sp, &opt, &e);

	for (int i = 0; i < KILL_THREADS; i++) {
		k[i] = (struct killed){ w, (int64_t)i * KILL_EVENTS, ack };
		pthread_create(&threads[i], NULL, append_until_killed, &k[i]);
	}
	for (int i = 0; i < KILL_THREADS; i++)
		pthread_join(threads[i], NULL);
	_exit(0);
}

static void
kill_rounds(const char *base, int rounds)
{
	size_t n = (size_t)KILL_THREADS * KILL_EVENTS, acked = 0, lost = 0, twice = 0, torn = 0;
	unsigned *times = xcalloc(n, sizeof(*times));
	bool *good = xcalloc(n, 1);
	long unreadable = 0;

	fflush(stdout);
	for (int i = 0; i < rounds; i++) {
		char dir[SPOOLDIR_SIZE + 16];
		struct spool *sp;
		struct err e;
		int ack[2];
		int64_t id;
		pid_t pid;

		snprintf(dir, sizeof(dir), "%s/kill%d", base, i);
		sp = spool_open(dir, &e);
		if (pipe(ack) < 0 || (pid = fork()) < 0) {
			ok(false, "pipe and fork: %d", errno);
			break;
		}
		if (pid == 0) {
			close(ack[0]);
			writer_process(dir, ack[1]);
		}
		close(ack[1]);
		fcntl(ack[0], F_SETPIPE_SZ, 1 << 20); /* or it would block */
		/* Most of the time it has begun, however busy the machine is. */
		if (i % 8 != 0)
			poll(&(struct pollfd){ ack[0], POLLIN, 0 }, 1, 60000);
		pause_ms(random() % 25);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		memset(good, 0, n);
		while (read(ack[0], &id, sizeof(id)) == sizeof(id)) {
			good[id] = good[id + 1] = true;
			acked++;
		}
		close(ack[0]);
		if (recover(sp) < 0 || spooldir_entries(spool_open_fd(sp)) > 0)
			unreadable++;
		torn += strstr(buf_str(&reports), " cut 0 bytes") == NULL && reports.len > 0;
		if (spooldir_count(sp, times, n) < 0)
			unreadable++;
		for (size_t k = 0; k < n; k++) {
			lost += good[k] && times[k] == 0;
			twice += times[k] > 1;
		}
		spool_close(sp);
		spooldir_remove(dir);
	}
	ok(acked > (size_t)rounds && lost == 0 && twice == 0 && unreadable == 0,
	    "%d rounds of kill -9: %zu appends acknowledged, %zu events lost, %zu twice, %ld "
	    "unreadable",
	    rounds, acked, lost, twice, unreadable);
	printf("# %zu rounds left a torn or empty file\n", torn);
	free(times);
	free(good);
}

static void
many_segments(struct spool *sp)
{
	const char *files = getenv("SPOOL_LIST_FILES");
	uint64_t count = 20000; /* making them is what takes long */
	char **list;
	int64_t ms;
	ssize_t n;
	bool sorted = true;

	if (files != NULL)
		slice_uint(slice_str(files), 10000000, &count);
	for (uint64_t i = 0; i < count; i++) {
		char name[64];

		/* In an order that is not that of the names. */
		snprintf(name, sizeof(name), "sp1-%016X.json", (unsigned)i * 2654435761u);
		close(openat(spool_events_fd(sp), name, O_WRONLY | O_CREAT, 0600));
	}
	ms = cpu_ms();
	n = spool_list(sp, &list, NULL);
	ms = cpu_ms() - ms;
	for (ssize_t i = 0; i < n; i++) {
		sorted = sorted && (i == 0 || strcmp(list[i - 1], list[i]) < 0);
		if (i > 0)
			free(list[i - 1]);
	}
	if (n > 0)
		free(list[n - 1]);
	free(list);
	ok(n == (ssize_t)count && sorted, "%zd segments are listed, sorted", n);
	ok(ms < 1000, "in %lld ms", (long long)ms);
}

int
main(void)
{
	static void (*const with_spool[])(struct spool *) = { one_segment, closing, own_segment,
		never_replaced, closed_later, name_not_durable, file_size_limit, foreign_things,
		hard_links, recovery_races, recovery_beside_writer, many_segments };
	const char *rounds = getenv("SPOOL_KILL_ROUNDS");
	char base[SPOOLDIR_SIZE];
	uint64_t n = 50;
	struct err e;

	umask(007);
	buf_init(&reports, BUF_NO_LIMIT);
	spooldir_make(base);
	names();
	directories(base);
	for (size_t i = 0; i < COUNT(with_spool); i++) {
		char dir[SPOOLDIR_SIZE + 16];
		struct spool *sp;

		snprintf(dir, sizeof(dir), "%s/spool%zu", base, i);
		sp = spool_open(dir, &e);
		with_spool[i](sp);
		spool_close(sp);
	}
	disk_faults(base);
	recovery(base);
	if (rounds != NULL)
		slice_uint(slice_str(rounds), 1000000, &n);
	kill_rounds(base, (int)n);
	spooldir_remove(base);
	buf_free(&reports);
	return tap_done();
}
