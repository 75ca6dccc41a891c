#include "common/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "common/xalloc.h"

#define LOG_LINE_MAX 4096 /* longer lines are cut: syslog daemons do so at 8 KB */
#define LINE_SIZE    (LOG_LINE_MAX + 128)

static const char *program = "signalpost";
static bool to_syslog, to_stderr = true;
static atomic_int last_level = LOG_LEVEL_INFO;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* under lock */
static int file = -1;
static char *file_path;
static bool torn; /* the last line in the file has no end */
static struct log_site *holding;

static const int priority[] = {
	[LOG_LEVEL_ERROR] = LOG_ERR,
	[LOG_LEVEL_WARN] = LOG_WARNING,
	[LOG_LEVEL_INFO] = LOG_INFO,
	[LOG_LEVEL_DEBUG] = LOG_DEBUG,
};

static const char *const label[] = {
	[LOG_LEVEL_ERROR] = "error: ",
	[LOG_LEVEL_WARN] = "warning: ",
	[LOG_LEVEL_INFO] = "",
	[LOG_LEVEL_DEBUG] = "debug: ",
};

/* systemd says in $JOURNAL_STREAM, as DEVICE:INODE, which descriptor leads to the journal. */
static bool
stderr_is_journal(void)
{
	const char *said = getenv("JOURNAL_STREAM");
	char is[64];
	struct stat st;

	if (said == NULL || fstat(STDERR_FILENO, &st) < 0)
		return false;
	snprintf(is, sizeof(is), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return strcmp(said, is) == 0;
}

void
log_open(const char *name, bool foreground)
{
	program = name;
	to_syslog = !foreground || stderr_is_journal();
	to_stderr = !to_syslog;
	if (to_syslog)
		openlog(name, LOG_PID, LOG_MAIL);
}

void
log_set_level(enum log_level last)
{
	last_level = (int)last;
}

/* ---- the file ---- */

static int
open_file(const char *path, struct err *e)
{
	/* O_NONBLOCK: a FIFO that nobody reads does not hang us. */
	int fd =
	    open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0660);

	return fd < 0 ? err_errno(e, "log-file %s", path) : fd;
}

static void
use_file(int fd, char *path)
{
	if (file >= 0 && file != fd)
		close(file);
	if (file_path != path)
		free(file_path);
	file = fd;
	file_path = path;
	torn = false;
}

int
log_file(const char *path, struct err *e)
{
	int fd = path != NULL ? open_file(path, e) : -1;

	if (path != NULL && fd < 0)
		return -1;
	pthread_mutex_lock(&lock);
	use_file(fd, path != NULL ? xstrdup(path) : NULL);
	pthread_mutex_unlock(&lock);
	return 0;
}

int
log_reopen(struct err *e)
{
	int fd = -1, rc = 0;

	pthread_mutex_lock(&lock);
	if (file_path != NULL) {
		fd = open_file(file_path, e);
		if (fd < 0)
			rc = -1;
		else
			use_file(fd, file_path);
	}
	pthread_mutex_unlock(&lock);
	return rc;
}

/* ---- a line ---- */

/* `who` and `sep` come between the time and the text; `who` "": neither. Its length. */
static size_t
whole_line(char line[static LINE_SIZE], const char *who, const char *pid, const char *text)
{
	char stamp[32];
	time_t now = time(NULL);
	struct tm tm;
	int n;

	localtime_r(&now, &tm);
	strftime(stamp, sizeof(stamp), "%Y-%m-%d %H:%M:%S", &tm);
	n = snprintf(
	    line, LINE_SIZE, "%s %s%s%s%s\n", stamp, who, pid, *who != '\0' ? ": " : "", text);
	return n > 0 ? (size_t)n : 0;
}

/* One write a line, so that lines of several threads don't mix. A log that can't be
 * written has nowhere to be reported. */
static void
put_stderr(const char *who, const char *text)
{
	char line[LINE_SIZE];
	size_t n = whole_line(line, who, "", text);

	if (write(STDERR_FILENO, line, n) < 0)
		return;
}

/* False: it is not in the file. */
static bool
put_file(const char *who, const char *text)
{
	char line[LINE_SIZE + 1], pid[24];
	ssize_t done;
	size_t n;

	pid[0] = '\0';
	if (*who != '\0')
		snprintf(pid, sizeof(pid), "[%ld]", (long)getpid());
	line[0] = '\n';
	n = whole_line(line + 1, who, pid, text);
	/* The disk was full in the middle of the line before. */
	done = torn ? write(file, line, n + 1) : write(file, line + 1, n);
	if (done <= 0)
		return false;
	torn = line[done - (torn ? 1 : 0)] != '\n';
	return !torn;
}

/* Under the lock. */
static void
put(enum log_level level, const char *who, const char *text)
{
	if (file >= 0) {
		if (!put_file(who, text))
			syslog(LOG_MAIL | priority[level], "%s", text);
	} else if (to_syslog) {
		syslog(priority[level], "%s", text);
	}
	if (to_stderr)
		put_stderr(who, text);
}

/* Bytes from outside can't forge a line. */
static void
clean(char *text)
{
	for (char *c = text; *c != '\0'; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
}

__attribute__((format(printf, 3, 0))) static void
format(char text[static LOG_LINE_MAX], enum log_level level, const char *fmt, va_list ap)
{
	size_t used = strlen(label[level]);

	memcpy(text, label[level], used);
	vsnprintf(text + used, LOG_LINE_MAX - used, fmt, ap);
	clean(text);
}

static int64_t
seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec;
}

/* Under the lock: what sites have held back for long enough. */
static void
tell_held(int64_t now)
{
	struct log_site **at = &holding;
	char text[LOG_LINE_MAX];

	while (*at != NULL) {
		struct log_site *s = *at;

		if (now - s->began_s < LOG_BURST_S) {
			at = &s->next;
			continue;
		}
		*at = s->next;
		snprintf(text, sizeof(text), "%s%u more lines like this one were not logged: %s",
		    label[s->level], s->held, s->last + strlen(label[s->level]));
		s->held = 0;
		put((enum log_level)s->level, program, text);
	}
}

void
log_flush(void)
{
	pthread_mutex_lock(&lock);
	tell_held(INT64_MAX);
	pthread_mutex_unlock(&lock);
}

void
log_line(enum log_level level, const char *fmt, ...)
{
	char text[LOG_LINE_MAX];
	va_list ap;

	if ((int)level > last_level)
		return;
	va_start(ap, fmt);
	format(text, level, fmt, ap);
	va_end(ap);
	pthread_mutex_lock(&lock);
	tell_held(seconds());
	put(level, program, text);
	pthread_mutex_unlock(&lock);
}

void
log_at(struct log_site *site, enum log_level level, const char *fmt, ...)
{
	char text[LOG_LINE_MAX];
	va_list ap;
	int64_t now = seconds();

	if ((int)level > last_level)
		return;
	va_start(ap, fmt);
	format(text, level, fmt, ap);
	va_end(ap);
	pthread_mutex_lock(&lock);
	tell_held(now);
	if (site->said == 0 || now - site->began_s >= LOG_BURST_S) {
		site->began_s = now;
		site->said = 0;
	}
	if (site->said < LOG_BURST) {
		site->said++;
		put(level, program, text);
	} else {
		if (site->held++ == 0) {
			site->next = holding;
			holding = site;
		}
		site->level = (int)level;
		snprintf(site->last, sizeof(site->last), "%.*s", (int)sizeof(site->last) - 1, text);
	}
	pthread_mutex_unlock(&lock);
}

void
log_plain(const char *fmt, ...)
{
	char text[LOG_LINE_MAX];
	va_list ap;

	if (last_level < LOG_LEVEL_INFO)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	clean(text);
	pthread_mutex_lock(&lock);
	tell_held(seconds());
	put(LOG_LEVEL_INFO, "", text);
	pthread_mutex_unlock(&lock);
}
