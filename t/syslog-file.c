/*
 * syslog-file.c - for tests, with LD_PRELOAD: syslog(3) of a program that is not ours
 * writes to $SYSLOG_FILE, in the form that a file of rsyslog has by default in Debian's
 * older style ("Nov 22 06:25:58 host tag[pid]: text"). The file is opened for each
 * line, so it can be rotated. And the host has a name with a domain: sendmail waits a
 * minute at its start for one that hasn't. Not for sanitizers: it is loaded before
 * their libraries.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int gethostname(char *name, size_t size);
void openlog(const char *ident, int option, int facility);
void closelog(void);
void syslog(int priority, const char *format, ...);
void vsyslog(int priority, const char *format, va_list ap);
void __syslog_chk(int priority, int flag, const char *format, ...);
void __vsyslog_chk(int priority, int flag, const char *format, va_list ap);

static char path[4096], tag[64] = "unknown";

/* Early: programs that run as root clean their environment. */
__attribute__((constructor)) static void
take_path(void)
{
	const char *file = getenv("SYSLOG_FILE");

	snprintf(path, sizeof(path), "%s", file != NULL ? file : "");
}

int
gethostname(char *name, size_t size)
{
	snprintf(name, size, "vm.host.example");
	return 0;
}

void
openlog(const char *ident, int option, int facility)
{
	(void)option, (void)facility;
	if (ident != NULL)
		snprintf(tag, sizeof(tag), "%s", ident);
}

void
closelog(void)
{
}

__attribute__((format(printf, 2, 0))) void
vsyslog(int priority, const char *format, va_list ap)
{
	char text[8192], line[8400], stamp[32];
	time_t now = time(NULL);
	struct tm tm;
	int fd, n;

	(void)priority;
	vsnprintf(text, sizeof(text), format, ap);
	for (char *c = text; *c != '\0'; c++)
		if (*c == '\n')
			*c = ' ';
	strftime(stamp, sizeof(stamp), "%b %e %H:%M:%S", localtime_r(&now, &tm));
	n = snprintf(line, sizeof(line), "%s vm %s[%d]: %s\n", stamp, tag, (int)getpid(), text);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (fd < 0)
		return;
	if (write(fd, line, (size_t)n) != n)
		abort();
	close(fd);
}

__attribute__((format(printf, 2, 3))) void
syslog(int priority, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsyslog(priority, format, ap);
	va_end(ap);
}

__attribute__((format(printf, 3, 4))) void
__syslog_chk(int priority, int flag, const char *format, ...)
{
	va_list ap;

	(void)flag;
	va_start(ap, format);
	vsyslog(priority, format, ap);
	va_end(ap);
}

__attribute__((format(printf, 3, 0))) void
__vsyslog_chk(int priority, int flag, const char *format, va_list ap)
{
	(void)flag;
	vsyslog(priority, format, ap);
}
