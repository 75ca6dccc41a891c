#include "common/log.h"

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

#define LOG_LINE_MAX 4096 /* longer lines are cut: syslog daemons do so at 8 KB */

static const char *program = "signalpost";
static bool to_syslog;
static atomic_bool debug;

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
	if (to_syslog)
		openlog(name, LOG_PID, LOG_MAIL);
}

void
log_set_debug(bool on)
{
	debug = on;
}

/* `who` and `sep` come between the time and the text. */
static void
to_stderr(const char *who, const char *sep, const char *text)
{
	char line[LOG_LINE_MAX + 128], stamp[32];
	time_t now = time(NULL);
	struct tm tm;
	int n;

	localtime_r(&now, &tm);
	strftime(stamp, sizeof(stamp), "%Y-%m-%d %H:%M:%S", &tm);
	n = snprintf(line, sizeof(line), "%s %s%s%s\n", stamp, who, sep, text);
	/* One write a line, so that lines of several threads don't mix. A log that
	 * can't be written has nowhere to be reported. */
	if (n > 0 && write(STDERR_FILENO, line, (size_t)n) < 0)
		return;
}

/* Bytes from outside can't forge a line. */
static void
clean(char *text)
{
	for (char *c = text; *c != '\0'; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
}

void
log_line(enum log_level level, const char *fmt, ...)
{
	char text[LOG_LINE_MAX];
	size_t used = strlen(label[level]);
	va_list ap;

	if (level == LOG_LEVEL_DEBUG && !debug)
		return;
	memcpy(text, label[level], used);
	va_start(ap, fmt);
	vsnprintf(text + used, sizeof(text) - used, fmt, ap);
	va_end(ap);
	clean(text);
	if (to_syslog)
		syslog(priority[level], "%s", text);
	else
		to_stderr(program, ": ", text);
}

void
log_plain(const char *fmt, ...)
{
	char text[LOG_LINE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	clean(text);
	if (to_syslog)
		syslog(LOG_INFO, "%s", text);
	else
		to_stderr("", "", text);
}
