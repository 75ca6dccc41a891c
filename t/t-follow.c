#include "uploader/follow.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "t/spooldir.h"
#include "t/tap.h"

static char dir[SPOOLDIR_SIZE], log_path[SPOOLDIR_SIZE + 20];
static char said[2000];

static void
say(void *arg, const char *text)
{
	size_t n = strlen(said);

	(void)arg;
	snprintf(said + n, sizeof(said) - n, "%s\n", text);
}

/*
 * The clocks are ours: in lines() they go on as far as it looks, and nowhere else, however long
 * things take. Files are stamped by the real one, so ours is set by it when something is done to a
 * file.
 */
static int64_t mono_us = 1000000000, wall_us;

int
clock_gettime(clockid_t clock, struct timespec *ts)
{
	int64_t us = clock == CLOCK_MONOTONIC ? mono_us : wall_us;

	if (clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME)
		return (int)syscall(SYS_clock_gettime, clock, ts);
	*ts = (struct timespec){ us / 1000000, us % 1000000 * 1000 };
	return 0;
}

static void
set_clock(void)
{
	struct timespec ts;

	syscall(SYS_clock_gettime, CLOCK_REALTIME, &ts);
	wall_us = (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static const char *
path_of(const char *name)
{
	static char path[SPOOLDIR_SIZE + 100];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void
write_to(const char *name, const char *text, int flags)
{
	int fd = open(path_of(name), O_WRONLY | O_CREAT | flags, 0644);

	if (fd < 0 || file_write_all(fd, slice_str(text)) < 0) {
		perror(name);
		exit(1);
	}
	close(fd);
	set_clock();
}

static void
put(const char *text)
{
	write_to("mail.log", text, O_APPEND);
}

static void
rotate(const char *from, const char *to)
{
	char old[SPOOLDIR_SIZE + 100];

	snprintf(old, sizeof(old), "%s", path_of(from));
	if (rename(old, path_of(to)) < 0)
		perror(to);
	set_clock();
}

/* As if it had not been written to for long. */
static void
age(const char *name, int seconds)
{
	struct timespec t[2];

	clock_gettime(CLOCK_REALTIME, &t[1]);
	t[1].tv_sec -= seconds;
	t[0] = t[1];
	utimensat(AT_FDCWD, path_of(name), t, 0);
}

/* All lines that are there now, with a blank behind each, or come within `ms`. */
static const char *
lines(struct follow *f, int ms)
{
	static char all[4000];
	struct slice line;
	size_t n = 0;

	all[0] = '\0';
	for (int waited = 0; waited <= ms; waited += 20) {
		while (follow_peek(f, &line) > 0) {
			n += (size_t)snprintf(
			    all + n, sizeof(all) - n, "%.*s ", SLICE_FMT(slice_head(line, 20)));
			follow_take(f);
		}
		mono_us += 20000;
		wall_us += 20000;
	}
	return all;
}

static void
is_lines(struct follow *f, int ms, const char *want, const char *what)
{
	const char *got = lines(f, ms);

	ok(strcmp(got, want) == 0, "%s: \"%s\", wanted \"%s\"", what, got, want);
}

static struct follow *
begin(struct slice saved, int64_t since_s)
{
	said[0] = '\0';
	return follow_open(log_path, saved, since_s, say, NULL);
}

/* Close it and open it again from what it saved. */
static struct follow *
again(struct follow *f)
{
	struct buf state;

	buf_init(&state, 100000);
	follow_save(f, &state);
	follow_close(f);
	f = begin(buf_slice(&state), 0);
	buf_free(&state);
	return f;
}

static void
clean(void)
{
	spooldir_remove(dir);
	mkdir(dir, 0755);
}

static void
growing(void)
{
	struct follow *f = begin((struct slice){ 0 }, 0);
	struct slice line;

	ok(strstr(said, "it is read when it is there") != NULL, "not there: %s", said);
	is_lines(f, 0, "", "nothing");
	put("a\nb\npart");
	is_lines(f, 300, "a b ", "two whole lines");
	put("ial\n");
	ok(follow_peek(f, &line) == 1 && slice_eq(line, SLICE_LIT("partial")),
	    "the third is whole");
	ok(follow_peek(f, &line) == 1 && slice_eq(line, SLICE_LIT("partial")),
	    "and stays until taken");
	f = again(f);
	is_lines(f, 0, "partial ", "a line that was not taken comes again");
	f = again(f);
	is_lines(f, 0, "", "and one that was taken does not");
	put("\n\r\nc\n");
	is_lines(f, 0, " \r c ", "empty lines");
	ok(said[0] == '\0', "nothing to say: %s", said);
	follow_close(f);
	clean();
}

static void
renamed(void)
{
	struct follow *f;

	put("a\nb\n");
	f = begin((struct slice){ 0 }, 0);
	is_lines(f, 0, "a b ", "before");
	rotate("mail.log", "mail.log.1");
	write_to("mail.log.1", "late\n", O_APPEND);
	put("c\n");
	is_lines(f, 400, "late ", "what the writer still adds to the old file comes first");
	is_lines(f, 2500, "c ", "then the new one, when the old one is quiet");
	write_to("mail.log.1", "later\n", O_APPEND);
	put("d\n");
	is_lines(f, 500, "d later ", "and the old one is looked at for a while");
	f = again(f);
	put("e\n");
	is_lines(f, 2500, "e ", "both are known after a restart");
	ok(said[0] == '\0', "nothing to say: %s", said);
	follow_close(f);
	clean();
}

/* Three rotations while nobody looks: rotated files, oldest first. */
static void
unseen(void)
{
	struct follow *f;

	put("0\n");
	write_to("mail.log.9", "old\n", 0);
	age("mail.log.9", 1000);
	write_to("mail.logger", "no\n", 0);
	f = begin((struct slice){ 0 }, 0);
	is_lines(f, 0, "0 ", "before; an older file does not count");
	{
		struct buf state;

		buf_init(&state, 100000);
		follow_save(f, &state);
		follow_close(f);
		usleep(20000);
		put("1\n");
		rotate("mail.log", "mail.log.1");
		usleep(20000);
		put("2\n");
		rotate("mail.log.1", "mail.log.2");
		rotate("mail.log", "mail.log.1");
		usleep(20000);
		put("3\n");
		rotate("mail.log", "mail.log-20261122");
		usleep(20000);
		put("4\n");
		f = begin(buf_slice(&state), 0);
		age("mail.log.1", 3);
		age("mail.log.2", 3);
		age("mail.log-20261122", 3);
		buf_free(&state);
	}
	is_lines(f, 100, "1 2 3 4 ", "what was rotated meanwhile");
	ok(said[0] == '\0', "nothing to say: %s", said);
	follow_close(f);
	clean();
}

static void
compressed(void)
{
	struct follow *f;
	struct buf state;

	put("0\n");
	f = begin((struct slice){ 0 }, 0);
	is_lines(f, 0, "0 ", "before");
	buf_init(&state, 100000);
	follow_save(f, &state);
	follow_close(f);
	usleep(20000);
	unlink(log_path);
	write_to("mail.log.1.gz", "\037\213", 0);
	put("1\n");
	f = begin(buf_slice(&state), 0);
	is_lines(f, 100, "1 ", "the new file is read");
	ok(strstr(said, "the file that was read before is gone, compressed or cut") != NULL &&
		strstr(said, "mail.log.1.gz is compressed and can't be read") != NULL,
	    "and it is said: %s", said);
	buf_free(&state);
	follow_close(f);
	clean();
}

/* logrotate without delaycompress, while we read: nothing is missing. */
static void
compressed_after(void)
{
	struct follow *f;
	struct timespec times[2];
	struct stat st;

	said[0] = '\0';
	put("0\n");
	f = begin((struct slice){ 0 }, 0);
	is_lines(f, 0, "0 ", "before");
	put("1\n");
	rotate("mail.log", "mail.log.1");
	put("2\n");
	if (stat(path_of("mail.log.1"), &st) < 0)
		perror("mail.log.1");
	write_to("mail.log.1.gz", "\037\213", 0);
	times[0] = times[1] = st.st_mtim; /* as gzip leaves it */
	if (utimensat(AT_FDCWD, path_of("mail.log.1.gz"), times, 0) < 0)
		perror("mail.log.1.gz");
	unlink(path_of("mail.log.1"));
	is_lines(f, 4000, "1 2 ", "all is read");
	ok(said[0] == '\0', "and nothing is said: %s", said);
	follow_close(f);
	clean();
}

/* The new file can't be opened, and a compressed one is there: said once. */
static void
unreadable(void)
{
	struct follow *f;
	const char *p = said;
	int n = 0;

	said[0] = '\0';
	put("0\n");
	f = begin((struct slice){ 0 }, 0);
	is_lines(f, 0, "0 ", "before");
	rotate("mail.log", "gone");
	write_to("mail.log.1.gz", "\037\213", 0);
	if (mkdir(path_of("mail.log"), 0700) < 0)
		perror("mail.log");
	is_lines(f, 1500, "", "nothing to read");
	while ((p = strstr(p, "compressed and can't be read")) != NULL) {
		n++;
		p++;
	}
	ok(n == 1, "what is compressed is said %d times", n);
	rmdir(path_of("mail.log"));
	put("1\n");
	is_lines(f, 3000, "1 ", "it goes on");
	follow_close(f);
	unlink(path_of("gone"));
	clean();
}

static void
truncated(void)
{
	struct follow *f;
	struct buf state;

	put("first line\nsecond line\n");
	f = begin((struct slice){ 0 }, 0);
	is_lines(f, 0, "first line second line ", "before");

	/* logrotate's copytruncate; a line between our look and its copy. */
	put("third line\n");
	write_to("mail.log.1", "first line\nsecond line\nthird line\n", 0);
	write_to("mail.log", "", O_TRUNC);
	put("x\n");
	age("mail.log.1", 5);
	is_lines(f, 500, "third line x ", "the rest of the copy, then the new content");
	ok(said[0] == '\0', "nothing to say: %s", said);

	/* Cut and grown past where we were before anyone looked. */
	write_to("mail.log", "", O_TRUNC);
	put("another content\nthat is longer\n");
	is_lines(f, 300, "another content that is longer ", "cut without a copy");
	ok(strstr(said, "was cut and no copy of it is there") != NULL, "is said: %s", said);

	/* The same while nobody looks. */
	buf_init(&state, 100000);
	follow_save(f, &state);
	follow_close(f);
	usleep(20000);
	put("unread\n");
	write_to("mail.log.2", "another content\nthat is longer\nunread\n", 0);
	write_to("mail.log", "", O_TRUNC);
	put("y\n");
	f = begin(buf_slice(&state), 0);
	age("mail.log.2", 5);
	is_lines(f, 100, "unread y ", "copied and cut while nobody looked");
	ok(said[0] == '\0', "nothing to say: %s", said);
	f = again(f);
	is_lines(f, 300, "", "nothing twice");
	buf_free(&state);
	follow_close(f);
	clean();
}

static void
late_start(void)
{
	struct follow *f;

	write_to("mail.log.2", "too old\n", 0);
	age("mail.log.2", 5000);
	write_to("mail.log.1", "a\n", 0);
	age("mail.log.1", 100);
	put("b\n");
	f = begin((struct slice){ 0 }, time(NULL) - 1000);
	is_lines(f, 100, "a b ", "from the file that may matter on");
	follow_close(f);
	f = begin((struct slice){ 0 }, 0);
	is_lines(f, 100, "b ", "or from the file itself");
	follow_close(f);
	f = begin(SLICE_LIT("rubbish\n1 2 3\n"), 0);
	is_lines(f, 100, "b ", "a state that is none");
	follow_close(f);
	clean();
}

/* A link to a file elsewhere, which is rotated where it is. */
static void
linked(void)
{
	struct follow *f;
	struct buf state;

	buf_init(&state, BUF_NO_LIMIT);
	mkdir(path_of("far"), 0755);
	write_to("far/log", "a\n", 0);
	if (symlink("far/log", log_path) < 0)
		perror("symlink");
	f = begin((struct slice){ 0 }, 0);
	is_lines(f, 0, "a ", "what the link leads to");
	write_to("far/log", "b\n", O_APPEND);
	rotate("far/log", "far/log.1");
	write_to("far/log", "c\n", 0);
	is_lines(f, 4000, "b c ", "rotated there");
	follow_save(f, &state);
	follow_close(f);
	write_to("far/log", "d\n", O_APPEND);
	rotate("far/log.1", "far/log.2");
	rotate("far/log", "far/log.1");
	write_to("far/log", "e\n", 0);
	f = begin(buf_slice(&state), 0);
	is_lines(f, 4000, "d e ", "rotated there while nobody looked");
	follow_save(f, &state);
	follow_close(f);
	write_to("far/log", "f\n", O_APPEND);
	write_to("far/tomorrow", "g\n", 0);
	unlink(log_path);
	if (symlink("far/tomorrow", log_path) < 0)
		perror("symlink");
	f = begin(buf_slice(&state), 0);
	is_lines(f, 4000, "f g ", "a link that leads to another file meanwhile");
	follow_close(f);
	unlink(log_path);
	unlink(path_of("far/log"));
	unlink(path_of("far/log.1"));
	unlink(path_of("far/log.2"));
	unlink(path_of("far/tomorrow"));
	rmdir(path_of("far"));
	buf_free(&state);
}

static void
odd_lines(void)
{
	char *big = malloc(3 * FOLLOW_LINE_MAX + 2);
	struct follow *f;
	struct slice line;

	memset(big, 'x', 3 * FOLLOW_LINE_MAX + 1);
	big[3 * FOLLOW_LINE_MAX] = '\n';
	big[3 * FOLLOW_LINE_MAX + 1] = '\0';
	put("a\n");
	put(big);
	put("b\n");
	f = begin((struct slice){ 0 }, 0);
	is_lines(f, 0, "a b ", "a line that is too long is skipped");
	big[2 * FOLLOW_LINE_MAX] = '\0';
	put(big);
	is_lines(f, 0, "", "also while it grows");
	put(big);
	put("\nc\n");
	is_lines(f, 0, "c ", "until its end");
	big[FOLLOW_LINE_MAX] = '\0';
	put(big);
	put("\n");
	ok(follow_peek(f, &line) == 1 && line.len == FOLLOW_LINE_MAX, "the longest line: %zu",
	    line.len);
	follow_take(f);
	/* A hole, as a writer leaves it that does not append. */
	if (truncate(log_path, 1000000) == 0)
		put("d\n");
	is_lines(f, 0, "d ", "a line behind a hole");
	follow_close(f);
	free(big);
	clean();
}

/* What is not a file does not hang us. */
static void
no_file(void)
{
	struct follow *f;

	if (mkfifo(log_path, 0644) < 0)
		return;
	f = begin((struct slice){ 0 }, 0);
	is_lines(f, 0, "", "a FIFO");
	ok(strstr(said, "it is read when it is there") != NULL, "is said");
	follow_close(f);
	clean();
}

int
main(void)
{
	spooldir_make(dir);
	snprintf(log_path, sizeof(log_path), "%s/mail.log", dir);
	growing();
	renamed();
	unseen();
	compressed();
	compressed_after();
	unreadable();
	truncated();
	late_start();
	linked();
	odd_lines();
	no_file();
	spooldir_remove(dir);
	return tap_done();
}
