#include "common/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/file.h"
#include "t/tap.h"

static char dir[] = "/tmp/t-log.XXXXXX";

static const char *
in_dir(const char *name)
{
	static char path[200];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

/* What is in the file, each stamp and process number checked and cut off; the file is emptied. */
static const char *
lines(const char *name)
{
	static struct buf all;
	struct buf raw;
	struct slice rest, line;
	struct err e;
	char pid[30];

	buf_init(&raw, 16 << 20);
	buf_free(&all);
	buf_init(&all, 16 << 20);
	if (file_read(AT_FDCWD, in_dir(name), &raw, &e) < 0)
		return "it can't be read";
	snprintf(pid, sizeof(pid), "t-log[%ld]: ", (long)getpid());
	rest = buf_slice(&raw);
	while (slice_line(&rest, &line)) {
		bool stamp = line.len > 20 && line.p[4] == '-' && line.p[10] == ' ' &&
		             line.p[13] == ':' && line.p[19] == ' ';

		buf_adds(&all, stamp ? "" : "no stamp: ");
		line = slice_skip(line, stamp ? 20 : 0);
		if (slice_starts(line, slice_str(pid)))
			buf_add(&all, slice_skip(line, strlen(pid)));
		else
			buf_printf(&all, "plain: %.*s", SLICE_FMT(slice_head(line, 8000)));
		buf_addc(&all, '\n');
	}
	buf_free(&raw);
	if (truncate(in_dir(name), 0) < 0)
		return "truncate";
	return buf_str(&all);
}

static void
is(const char *name, const char *want, const char *what)
{
	const char *got = lines(name);

	if (!ok(strcmp(got, want) == 0, "%s", what))
		printf("# got  %.300s\n# want %.300s\n", got, want);
}

static void
levels(void)
{
	struct err e;
	struct stat st;

	ok(log_file(in_dir("a"), &e) == 0 && stat(in_dir("a"), &st) == 0 &&
		(st.st_mode & 0777) == 0660,
	    "the file is made");
	log_error("bad %d", 1);
	log_warn("not good");
	log_info("fine");
	log_debug("why");
	log_plain("Signals: %s", "Discovered 0 files");
	is("a", "error: bad 1\nwarning: not good\nfine\nplain: Signals: Discovered 0 files\n",
	    "what is logged as a rule");
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug("why");
	is("a", "debug: why\n", "debug");
	log_set_level(LOG_LEVEL_ERROR);
	log_error("bad");
	log_warn("not good");
	log_info("fine");
	log_plain("Signals");
	is("a", "error: bad\n", "errors alone");
	log_set_level(LOG_LEVEL_INFO);
	log_info("%s", "a\nb\rc\x1b[1m\x7f\td");
	is("a", "a?b?c?[1m??d\n", "no byte forges a line");
}

static void
rotation(void)
{
	struct err e;
	char old[200];

	log_info("one");
	snprintf(old, sizeof(old), "%s", in_dir("a"));
	ok(rename(old, in_dir("a.1")) == 0, "renamed");
	log_info("two");
	is("a.1", "one\ntwo\n", "the old file is written until");
	ok(log_reopen(&e) == 0, "it is opened again");
	log_info("three");
	is("a", "three\n", "then the new one");
	is("a.1", "", "and only that");
	ok(rename(old, in_dir("a.2")) == 0 && mkdir(old, 0700) == 0 && log_reopen(&e) < 0 &&
		strstr(e.text, "log-file /tmp/t-log.") == e.text,
	    "%s", e.text);
	log_info("four");
	is("a.2", "four\n", "what was open is written on");
	rmdir(old);
	ok(log_file("/nowhere/there", &e) < 0 &&
		strcmp(e.text, "log-file /nowhere/there: No such file or directory") == 0,
	    "%s", e.text);
	log_info("five");
	is("a.2", "five\n", "and still");
	ok(mkfifo(in_dir("fifo"), 0600) == 0 && log_file(in_dir("fifo"), &e) < 0, "%s", e.text);
	ok(log_file(in_dir("a"), &e) == 0, "back");
	unlink(in_dir("fifo"));
}

static void
limited(int i)
{
	log_error("ABC%d: the disk is full", i);
}

static void
floods(void)
{
	const char *got;
	int n = 0;

	for (int i = 0; i < 5000; i++)
		limited(i);
	log_warn("another one");
	got = lines("a");
	for (const char *c = got; *c != '\0'; c++)
		n += *c == '\n';
	ok(n == LOG_BURST + 1, "of 5000 errors %d lines", n);
	ok(strstr(got, "error: ABC19: the disk is full\nwarning: another one\n") != NULL,
	    "another place is not limited by it");
	log_flush();
	is("a", "error: 4980 more lines like this one were not logged: ABC4999: the disk is full\n",
	    "the rest is counted");
	for (int i = 0; i < 100; i++)
		log_line(LOG_LEVEL_WARN, "%d", i);
	got = lines("a");
	ok(strstr(got, "warning: 99\n") != NULL, "where every line counts none is left out");
}

static void
full_disk(void)
{
	struct rlimit was, limit;
	struct err e;

	ok(log_file("/dev/full", &e) == 0, "a full disk");
	log_info("nowhere");
	ok(log_file(in_dir("a"), &e) == 0, "survived");
	is("a", "", "and nothing half");
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &was);
	limit = was;
	limit.rlim_cur = 30;
	setrlimit(RLIMIT_FSIZE, &limit);
	log_info("torn in the middle of the line");
	setrlimit(RLIMIT_FSIZE, &was);
	log_info("whole");
	ok(strstr(lines("a"), "\nwhole\n") != NULL,
	    "a torn line does not take the next one with it");
}

static void *
writer(void *arg)
{
	char text[200];

	memset(text, *(char *)arg, sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (int i = 0; i < 500; i++)
		log_info("%s", text);
	return NULL;
}

static void
threads(void)
{
	static char which[] = "abcd";
	pthread_t t[4];
	struct slice rest, line;
	struct err e;
	int whole = 0;

	for (size_t i = 0; i < COUNT(t); i++)
		pthread_create(&t[i], NULL, writer, &which[i]);
	for (int i = 0; i < 50; i++)
		if (log_reopen(&e) < 0)
			ok(false, "%s", e.text);
	for (size_t i = 0; i < COUNT(t); i++)
		pthread_join(t[i], NULL);
	rest = slice_str(lines("a"));
	while (slice_line(&rest, &line)) {
		size_t n = 1;

		while (n < line.len && line.p[n] == line.p[0])
			n++;
		whole += n == 199 && line.len == 199;
	}
	ok(whole == 2000, "%d of 2000 lines of four threads are whole", whole);
}

int
main(void)
{
	static const char *const names[] = { "a", "a.1", "a.2" };
	struct err e;
	int null;

	if (mkdtemp(dir) == NULL)
		return 1;
	umask(0);
	/* In the foreground lines go to standard error, too. */
	log_open("t-log", true);
	null = open("/dev/null", O_WRONLY);
	dup2(null, STDERR_FILENO);
	levels();
	rotation();
	floods();
	full_disk();
	threads();
	log_file(NULL, &e);
	for (size_t i = 0; i < COUNT(names); i++)
		unlink(in_dir(names[i]));
	rmdir(dir);
	return tap_done();
}
