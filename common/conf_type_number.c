#include "common/conf_type.h"

#define TIME_MAX (100ULL * 366 * 86400)

static void
store_number(void *out, uint64_t n)
{
	memcpy(out, &n, sizeof(n));
}

static bool
in_range(const struct conf_row *row, uint64_t n)
{
	return row->most == 0 || (n >= row->least && n <= row->most);
}

static const struct unit {
	char name;
	uint64_t is;
} time_units[] = { { 'w', 604800 }, { 'd', 86400 }, { 'h', 3600 }, { 'm', 60 }, { 's', 1 } },
  size_units[] = { { 't', 1ULL << 40 }, { 'g', 1ULL << 30 }, { 'm', 1ULL << 20 },
	  { 'k', 1ULL << 10 }, { 'b', 1 } };

static uint64_t
unit_of(const struct unit *units, size_t n, char name)
{
	for (size_t i = 0; i < n; i++)
		if (units[i].name == (name | 0x20))
			return units[i].is;
	return 0;
}

/* Leading digits of *s; false if there are none or they are too many. */
static bool
take_number(struct slice *s, uint64_t *out)
{
	size_t n = 0;

	while (n < s->len && s->p[n] >= '0' && s->p[n] <= '9')
		n++;
	if (!slice_uint(slice_head(*s, n), UINT64_MAX >> 1, out))
		return false;
	*s = slice_skip(*s, n);
	return true;
}

bool
conf_time_parse(struct slice s, uint64_t *out)
{
	uint64_t sum = 0, n, unit;

	do {
		if (!take_number(&s, &n))
			return false;
		unit = s.len == 0 ? 1 : unit_of(time_units, COUNT(time_units), s.p[0]);
		/* "1h30": the 30 could be minutes or seconds. */
		if (unit == 0 || (s.len == 0 && sum > 0) || n > TIME_MAX / unit)
			return false;
		sum += n * unit;
		if (sum > TIME_MAX)
			return false;
		s = slice_skip(s, 1);
	} while (s.len > 0);
	*out = sum;
	return true;
}

bool
conf_size_parse(struct slice s, uint64_t *out)
{
	uint64_t n, unit = 1;

	if (!take_number(&s, &n) || s.len > 1)
		return false;
	if (s.len == 1)
		unit = unit_of(size_units, COUNT(size_units), s.p[0]);
	/* The greatest number means "unlimited". */
	if (unit == 0 || n > (UINT64_MAX >> 1) / unit)
		return false;
	*out = n * unit;
	return true;
}

void
conf_time_print(uint64_t seconds, struct buf *out)
{
	if (seconds == 0)
		buf_adds(out, "0s");
	/* Not in weeks: "10d" is what people write. */
	for (size_t i = 1; i < COUNT(time_units); i++) {
		if (seconds >= time_units[i].is)
			buf_printf(out, "%llu%c", (unsigned long long)(seconds / time_units[i].is),
			    time_units[i].name);
		seconds %= time_units[i].is;
	}
}

void
conf_size_print(uint64_t bytes, struct buf *out)
{
	static const char letters[] = "TGMk";

	for (size_t i = 0; bytes > 0 && i < COUNT(size_units) - 1; i++)
		if (bytes % size_units[i].is == 0) {
			buf_printf(out, "%llu%c", (unsigned long long)(bytes / size_units[i].is),
			    letters[i]);
			return;
		}
	buf_printf(out, "%llu", (unsigned long long)bytes);
}

static int
parse_time(struct conf_value *v, void *out, struct err *e)
{
	uint64_t n;

	if (!conf_time_parse(conf_arg_n(v, 0)->text, &n) || !in_range(v->row, n))
		return conf_unexpected(e);
	store_number(out, n);
	conf_time_print(n, &v->text);
	return 0;
}

/* One time for each attempt, in PowerMTA; MTAs begin with the first and double it. */
static int
parse_times(struct conf_value *v, void *out, struct err *e)
{
	uint64_t n;

	for (size_t i = 1; i < v->n; i++)
		if (!conf_time_parse(conf_arg_n(v, i)->text, &n))
			return err_set(e, "expected a time like 4d12h, 10m or 300s, found '%.*s'",
			    SLICE_FMT(slice_head(conf_arg_n(v, i)->text, 64)));
	if (v->n > 1)
		buf_adds(&v->remark,
		    "the MTA takes the first of these times and lengthens it by itself");
	return parse_time(v, out, e);
}

static int
parse_time_or_never(struct conf_value *v, void *out, struct err *e)
{
	if (!slice_eqi(conf_arg_n(v, 0)->text, SLICE_LIT("never")))
		return parse_time(v, out, e);
	store_number(out, CONF_UNLIMITED);
	buf_adds(&v->text, "never");
	return 0;
}

static int
parse_size(struct conf_value *v, void *out, struct err *e)
{
	uint64_t n;

	if (!conf_size_parse(conf_arg_n(v, 0)->text, &n) || !in_range(v->row, n))
		return conf_unexpected(e);
	store_number(out, n);
	conf_size_print(n, &v->text);
	return 0;
}

static int
store_unlimited(struct conf_value *v, void *out)
{
	store_number(out, CONF_UNLIMITED);
	buf_adds(&v->text, "unlimited");
	return 0;
}

static int
parse_size_or_unlimited(struct conf_value *v, void *out, struct err *e)
{
	if (slice_eqi(conf_arg_n(v, 0)->text, SLICE_LIT("unlimited")))
		return store_unlimited(v, out);
	return parse_size(v, out, e);
}

static int
parse_count(struct conf_value *v, void *out, struct err *e)
{
	uint64_t n;

	if (!slice_uint(conf_arg_n(v, 0)->text, UINT64_MAX >> 1, &n) || !in_range(v->row, n))
		return conf_unexpected(e);
	store_number(out, n);
	buf_printf(&v->text, "%llu", (unsigned long long)n);
	return 0;
}

static int
parse_count_or_unlimited(struct conf_value *v, void *out, struct err *e)
{
	if (slice_eqi(conf_arg_n(v, 0)->text, SLICE_LIT("unlimited")))
		return store_unlimited(v, out);
	return parse_count(v, out, e);
}

static int
parse_mode(struct conf_value *v, void *out, struct err *e)
{
	struct slice s = conf_arg_n(v, 0)->text;
	unsigned mode = 0;

	if (s.len < 3 || s.len > 4)
		return conf_unexpected(e);
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] < '0' || s.p[i] > '7')
			return conf_unexpected(e);
		mode = mode * 8 + (unsigned)(s.p[i] - '0');
	}
	if (mode > 0777)
		return conf_unexpected(e);
	memcpy(out, &mode, sizeof(mode));
	buf_printf(&v->text, "%04o", mode);
	return 0;
}

static const struct {
	const char *name;
	uint64_t seconds;
} rate_units[] = {
	{ "s", 1 },
	{ "sec", 1 },
	{ "second", 1 },
	{ "seconds", 1 },
	{ "m", 60 },
	{ "min", 60 },
	{ "minute", 60 },
	{ "minutes", 60 },
	{ "h", 3600 },
	{ "hour", 3600 },
	{ "hours", 3600 },
	{ "d", 86400 },
	{ "day", 86400 },
	{ "days", 86400 },
	{ "w", 604800 },
	{ "week", 604800 },
	{ "weeks", 604800 },
};

/* The window of a rate: "min", "5min", "1h". */
static bool
parse_window(struct slice s, uint64_t *seconds)
{
	uint64_t n = 1;

	if (s.len > 0 && s.p[0] >= '0' && s.p[0] <= '9' && !take_number(&s, &n))
		return false;
	for (size_t i = 0; i < COUNT(rate_units); i++)
		if (slice_eqi(s, slice_str(rate_units[i].name)) && n > 0 &&
		    n <= TIME_MAX / rate_units[i].seconds) {
			*seconds = n * rate_units[i].seconds;
			return true;
		}
	return false;
}

static int
parse_auth_rate(struct conf_value *v, void *out, struct err *e)
{
	struct conf_source *s = v->owner;
	struct slice text = conf_arg_n(v, 0)->text;
	size_t slash = slice_find(text, '/');
	uint64_t n, seconds = 0;

	(void)out;
	if (slice_eqi(text, SLICE_LIT("unlimited"))) {
		s->auth_failures_per_s = 0;
		return store_unlimited(v, &s->auth_failures);
	}
	if (!slice_uint(slice_head(text, slash), UINT32_MAX, &n) ||
	    (slash == text.len ? n != 0 : !parse_window(slice_skip(text, slash + 1), &seconds)))
		return conf_unexpected(e);
	s->auth_failures = n;
	s->auth_failures_per_s = seconds;
	buf_printf(&v->text, "%llu", (unsigned long long)n);
	if (seconds > 0) {
		/* One unit, since "1d12h" is no window. */
		uint64_t unit = seconds;
		size_t i = 0;

		while (unit % time_units[i].is != 0)
			i++;
		buf_printf(&v->text, "/%llu%c", (unsigned long long)(unit / time_units[i].is),
		    time_units[i].name);
	}
	return 0;
}

/* ---- the types ---- */

TYPE(time, "TIME", "a time like 4d12h, 10m or 300s", 1, 1, 0, 0, parse_time);
TYPE(times, "TIME[,TIME...]", "a time like 4d12h, 10m or 300s", 1, MANY, COMMAS, 0, parse_times);
TYPE(time_or_never, "TIME | never", "a time like 4d12h, 10m or 300s, or never", 1, 1, 0, 0,
    parse_time_or_never);
TYPE(size, "SIZE", "a size like 500000, 64k, 20M or 1G", 1, 1, 0, 0, parse_size);
TYPE(size_or_unlimited, "SIZE | unlimited", "a size like 500000, 64k, 20M or 1G, or unlimited", 1,
    1, 0, 0, parse_size_or_unlimited);
TYPE(count, "NUMBER", "a number", 1, 1, 0, 0, parse_count);
TYPE(count_or_unlimited, "NUMBER | unlimited", "a number or unlimited", 1, 1, 0, 0,
    parse_count_or_unlimited);
TYPE(mode, "MODE", "an octal mode like 0660", 1, 1, 0, 0, parse_mode);
TYPE(auth_rate, "{unlimited | 0 | N/TIME}", "unlimited, 0 or a rate like 1/min, 2/5min or 3/h", 1,
    1, 0, 0, parse_auth_rate);
