#include <stdio.h>
#include <time.h>

#include "common/maillog_private.h"

#define DAY_S    86400
#define RARE_MAX 64

void
maillog_clock_init(struct maillog_clock *c, enum maillog_zone zone, int offset_s)
{
	*c = (struct maillog_clock){
		.zone = zone, .offset_s = offset_s, .last_us = MAILLOG_NO_TIME
	};
}

/* n digits (a leading blank counts as 0) of at most `most`; -1: none. */
static int
digits(const char *p, size_t n, int most)
{
	int value = 0;

	for (size_t i = 0; i < n; i++) {
		if (p[i] == ' ' && i == 0 && n > 1)
			continue;
		if (!ascii_is_digit(p[i]))
			return -1;
		value = value * 10 + (p[i] - '0');
	}
	return value > most ? -1 : value;
}

/* Days since 1970 of a date in the Gregorian calendar. */
static int64_t
days_of(int64_t year, int month, int day)
{
	int64_t y = year - (month <= 2), era = (y >= 0 ? y : y - 399) / 400;
	int64_t of_era = y - era * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static bool
is_leap(int64_t year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static bool
is_date(int64_t year, int month, int day)
{
	static const int length[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	return month >= 1 && month <= 12 && day >= 1 && day <= length[month - 1] &&
	       (month != 2 || day < 29 || is_leap(year));
}

/* Behind the seconds: ".442921" as microseconds; *at moves. */
static int64_t
fraction(struct slice s, size_t *at)
{
	int64_t us = 0, unit = 1000000;

	if (*at < s.len && (s.p[*at] == '.' || s.p[*at] == ','))
		for (++*at; *at < s.len && ascii_is_digit(s.p[*at]); ++*at)
			us += (s.p[*at] - '0') * (unit /= 10);
	return us;
}

/* "2026-11-22T06:43:42.442921" and nothing behind it: which zone it is of is not said. */
static bool
is_zoneless(struct slice s)
{
	size_t at = 19;

	fraction(s, &at);
	return at == s.len;
}

/* RFC 3339: "2026-11-22T06:43:42.442921+00:00", or Z; journalctl has +0000. */
static int64_t
iso_time(struct slice s)
{
	int year = digits(s.p, 4, 9999), month = digits(s.p + 5, 2, 12),
	    day = digits(s.p + 8, 2, 31);
	int hour = digits(s.p + 11, 2, 23), minute = digits(s.p + 14, 2, 59);
	int second = digits(s.p + 17, 2, 60), zone_h, zone_m;
	int64_t us, offset = 0;
	size_t i = 19, colon;

	if (year < 0 || hour < 0 || minute < 0 || second < 0 || s.p[7] != '-' || s.p[13] != ':' ||
	    s.p[16] != ':' || !is_date(year, month, day))
		return MAILLOG_NO_TIME;
	us = fraction(s, &i);
	colon = i + 3 < s.len && s.p[i + 3] == ':';
	if (i + 5 + colon == s.len && (s.p[i] == '+' || s.p[i] == '-')) {
		zone_h = digits(s.p + i + 1, 2, 23);
		zone_m = digits(s.p + i + 3 + colon, 2, 59);
		if (zone_h < 0 || zone_m < 0)
			return MAILLOG_NO_TIME;
		offset = (zone_h * 3600 + zone_m * 60) * (s.p[i] == '-' ? -1 : 1);
	} else if (i + 1 != s.len || s.p[i] != 'Z') {
		return MAILLOG_NO_TIME;
	}
	return (days_of(year, month, day) * DAY_S + hour * 3600 + minute * 60 + second - offset) *
	           1000000 +
	       us;
}

static int
month_of(const char *p)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	for (int i = 0; i < 12; i++)
		if (memcmp(names + (ptrdiff_t)3 * i, p, 3) == 0)
			return i + 1;
	return 0;
}

/* Start of a minute of local time: with summer time and without. */
static void
local_minutes(int64_t year, int month, int day, int hour, int minute, int64_t out[2])
{
	for (int dst = 0; dst < 2; dst++) {
		struct tm tm = { .tm_year = (int)(year - 1900),
			.tm_mon = month - 1,
			.tm_mday = day,
			.tm_hour = hour,
			.tm_min = minute,
			.tm_isdst = dst };
		int64_t t = mktime(&tm);

		/* mktime() moves the hands where there is no such time: then it is not it. */
		out[dst] = tm.tm_isdst == dst ? t : MAILLOG_NO_TIME;
	}
	if (out[0] == MAILLOG_NO_TIME && out[1] == MAILLOG_NO_TIME) {
		struct tm tm = { .tm_year = (int)(year - 1900),
			.tm_mon = month - 1,
			.tm_mday = day,
			.tm_hour = hour,
			.tm_min = minute,
			.tm_isdst = -1 };

		out[0] = mktime(&tm);
	}
}

/* The two readings of an hour that comes twice, out[1] the earlier: which was it? */
static int64_t
choose(const int64_t out[2], const struct maillog_clock *c, int64_t now_s)
{
	int64_t after = c->last_us / 1000000 - 120;

	if (out[0] == MAILLOG_NO_TIME || out[1] == MAILLOG_NO_TIME)
		return out[0] == MAILLOG_NO_TIME ? out[1] : out[0];
	if (c->last_us == MAILLOG_NO_TIME)
		return out[0] <= now_s + 60 ? out[0] : out[1];
	return out[1] >= after ? out[1] : out[0];
}

static int64_t
minute_start(const struct maillog_clock *c, const char *p, int64_t now_s)
{
	int month = month_of(p), day = digits(p + 4, 2, 31), hour = digits(p + 7, 2, 23);
	int minute = digits(p + 10, 2, 59);
	int64_t year = 1970 + now_s / 31556952 + 1, both[2], t;

	if (month == 0 || day < 1 || hour < 0 || minute < 0)
		return MAILLOG_NO_TIME;
	/* Leap years are 8 apart at most. */
	for (int tries = 0; tries < 10; tries++, year--) {
		if (!is_date(year, month, day))
			continue;
		both[0] =
		    days_of(year, month, day) * DAY_S + hour * 3600 + minute * 60 - c->offset_s;
		both[1] = MAILLOG_NO_TIME;
		if (c->zone == MAILLOG_ZONE_LOCAL)
			local_minutes(year, month, day, hour, minute, both);
		t = choose(both, c, now_s);
		if (t <= now_s + DAY_S)
			return t;
	}
	return MAILLOG_NO_TIME;
}

/* Of "2026-11-22T06:43" */
static int64_t
iso_minute_start(const struct maillog_clock *c, const char *p, int64_t now_s)
{
	int year = digits(p, 4, 9999), month = digits(p + 5, 2, 12), day = digits(p + 8, 2, 31);
	int hour = digits(p + 11, 2, 23), minute = digits(p + 14, 2, 59);
	int64_t both[2];

	if (year < 0 || hour < 0 || minute < 0 || p[7] != '-' || p[13] != ':' || p[16] != ':' ||
	    !is_date(year, month, day))
		return MAILLOG_NO_TIME;
	if (c->zone == MAILLOG_ZONE_FIXED)
		return days_of(year, month, day) * DAY_S + hour * 3600 + minute * 60 - c->offset_s;
	local_minutes(year, month, day, hour, minute, both);
	return choose(both, c, now_s);
}

/* A stamp of RFC 3339 with or without a zone, or a traditional one. */
static int64_t
usual_time(struct maillog_clock *c, struct slice stamp, int64_t now_s)
{
	int64_t (*start)(const struct maillog_clock *c, const char *p, int64_t now_s);
	bool iso = stamp.len >= 19 && ascii_is_digit(stamp.p[0]);
	const char *p = stamp.p;
	size_t at = iso ? 19 : 15;
	int second;
	int64_t t;

	if (iso && !is_zoneless(stamp))
		return iso_time(stamp);
	if (stamp.len < at)
		return MAILLOG_NO_TIME;
	start = iso ? iso_minute_start : minute_start;
	second = digits(p + (iso ? 17 : 13), 2, 60);
	/* Many lines have the same minute; local time is slow to convert. */
	if (memcmp(c->minute, iso ? p + 4 : p, 12) != 0 || now_s - c->seen_s > 600 ||
	    c->seen_s > now_s) {
		c->minute_s = start(c, p, now_s);
		c->seen_s = now_s;
		memcpy(c->minute, iso ? p + 4 : p, 12);
	}
	if (second < 0 || c->minute_s == MAILLOG_NO_TIME)
		return MAILLOG_NO_TIME;
	t = (c->minute_s + second) * 1000000;
	/* The same minute again, an hour later. */
	if (c->last_us != MAILLOG_NO_TIME && t < c->last_us - 120000000) {
		c->minute_s = start(c, p, now_s);
		if (c->minute_s == MAILLOG_NO_TIME)
			return MAILLOG_NO_TIME;
		t = (c->minute_s + second) * 1000000;
	}
	t += fraction(stamp, &at);
	return at == stamp.len ? t : MAILLOG_NO_TIME;
}

/* ---- stamps that are rarer ---- */

/* "1795328758.123456" */
static int64_t
epoch_time(struct slice s)
{
	size_t at = slice_find(s, '.');
	uint64_t seconds;

	if (!slice_uint(slice_head(s, at), INT32_MAX * (uint64_t)8, &seconds))
		return MAILLOG_NO_TIME;
	return (int64_t)seconds * 1000000 + fraction(s, &at);
}

/*
 * "2026-11-22 06:25:58 +0100", "Sun 2026-11-22 06:25:58 CET", "Nov 22 2026 06:25:58"
 * as RFC 3339 has it. The name of a zone other than Greenwich's is left out: it is
 * this host's.
 */
static struct slice
as_iso(struct slice s, char out[RARE_MAX])
{
	struct slice date, time, zone;
	int month = month_of(s.p), n;

	if (month > 0) {
		date = (struct slice){ s.p + 4, 2 };
		time = slice_skip(s, 12);
		n = snprintf(out, RARE_MAX, "%.4s-%02d-%c%cT%.*s", s.p + 7, month,
		    date.p[0] == ' ' ? '0' : date.p[0], date.p[1], SLICE_FMT(time));
	} else {
		if (!ascii_is_digit(s.p[0]))
			s = slice_skip(s, 4);
		date = slice_cut(&s, ' ');
		time = slice_cut(&s, ' ');
		zone = s;
		if (slice_eq(zone, SLICE_LIT("UTC")) || slice_eq(zone, SLICE_LIT("GMT")))
			zone = SLICE_LIT("Z");
		else if (zone.len > 0 && maillog_is_letter(zone.p[0]) && zone.len > 1)
			zone.len = 0;
		n = snprintf(out, RARE_MAX, "%.*sT%.*s%.*s", SLICE_FMT(date), SLICE_FMT(time),
		    SLICE_FMT(zone));
	}
	return (struct slice){ out, n > 0 && n < RARE_MAX ? (size_t)n : 0 };
}

static bool
is_rare(struct slice s)
{
	if (s.len < 19)
		return false;
	return ascii_is_digit(s.p[0]) ? s.p[10] == ' ' : s.p[3] == ' ' && s.p[9] != ':';
}

/* ---- all ---- */

int64_t
maillog_time(struct maillog_clock *c, struct slice stamp, int64_t now_s)
{
	int64_t t;
	char iso[RARE_MAX];

	if (stamp.len >= 9 && ascii_is_digit(stamp.p[4]) && ascii_is_digit(stamp.p[0]))
		t = epoch_time(stamp);
	else
		t = usual_time(c, is_rare(stamp) ? as_iso(stamp, iso) : stamp, now_s);
	if (t != MAILLOG_NO_TIME)
		c->last_us = t;
	return t;
}
