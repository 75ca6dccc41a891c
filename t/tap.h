/*
 * tap.h - the smallest TAP producer that points at the failing line.
 */
#ifndef T_TAP_H
#define T_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

/* A test that hangs is a failure, and not the end of all that would come behind it. */
__attribute__((constructor)) static void
tap_limit(void)
{
	alarm(1500);
}

static int tap_run, tap_failed;

#define ok(cond, ...) tap_ok((cond), #cond, __FILE__, __LINE__, __VA_ARGS__)

/* The description may hold bytes from a table of bad input: only printable ASCII is shown. */
__attribute__((format(printf, 5, 6), unused)) static inline bool
tap_ok(bool pass, const char *expr, const char *file, int line, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (char *c = text; *c != '\0'; c++)
		if (*c < 0x20 || *c > 0x7e || *c == '#')
			*c = '.';
	printf("%sok %d - %s\n", pass ? "" : "not ", ++tap_run, text);
	if (!pass) {
		tap_failed++;
		printf("# %s:%d: %s\n", file, line, expr);
	}
	return pass;
}

static inline int
tap_done(void)
{
	printf("1..%d\n", tap_run);
	return tap_failed != 0;
}

#endif
