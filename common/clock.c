#include "common/clock.h"

#include <stdio.h>
#include <time.h>

int64_t
clock_wall_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t
clock_wall_s(void)
{
	return clock_wall_us() / 1000000;
}

int64_t
clock_mono_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

const char *
clock_iso(int64_t wall_ms, char out[CLOCK_ISO_SIZE])
{
	int ms = (int)(((wall_ms % 1000) + 1000) % 1000);
	time_t s = wall_ms / 1000 - (wall_ms % 1000 < 0);
	char text[64];
	struct tm tm = { 0 };

	gmtime_r(&s, &tm);
	snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
	    tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, ms);
	snprintf(out, CLOCK_ISO_SIZE, "%.24s", text);
	return out;
}

const char *
clock_mail(int64_t wall_s, char out[CLOCK_MAIL_SIZE])
{
	/* Not strftime("%a %b"): those follow the locale, RFC 5322 names don't. */
	static const char days[][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug",
		"Sep", "Oct", "Nov", "Dec" };
	time_t s = wall_s;
	struct tm tm = { 0 };

	gmtime_r(&s, &tm);
	snprintf(out, CLOCK_MAIL_SIZE, "%s, %02d %s %04d %02d:%02d:%02d +0000",
	    days[tm.tm_wday % 7], tm.tm_mday % 100, months[tm.tm_mon % 12],
	    (tm.tm_year + 1900) % 10000, tm.tm_hour % 100, tm.tm_min % 100, tm.tm_sec % 100);
	return out;
}
