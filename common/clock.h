/*
 * clock.h - what time it is. Wall time is for what people and peers read,
 * monotonic time for intervals.
 */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stddef.h>
#include <stdint.h>

int64_t clock_wall_us(void); /* microseconds since 1970, UTC */
int64_t clock_wall_s(void);
int64_t clock_mono_ms(void); /* from an arbitrary start, never backwards */

#define CLOCK_ISO_SIZE	25 /* "2026-11-22T11:47:57.000Z" and its NUL */
#define CLOCK_MAIL_SIZE 48

/* RFC 3339, UTC, with milliseconds. Returns `out`. */
const char *clock_iso(int64_t wall_ms, char out[CLOCK_ISO_SIZE]);

/* RFC 5322 date-time in UTC: "Sun, 22 Nov 2026 11:47:57 +0000". Returns `out`. */
const char *clock_mail(int64_t wall_s, char out[CLOCK_MAIL_SIZE]);

#endif
