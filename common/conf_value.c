#include "common/conf_value.h"

#include <fcntl.h>
#include <stdlib.h>

#include "common/file.h"
#include "common/xalloc.h"

#define TEXT_MAX         1024
#define NAME_MAX_LEN     255
#define HOST_MAX         253
#define ADDRESS_TEXT_MAX 254
#define PATH_MAX_LEN     4095
#define URL_MAX          2048
#define HEADER_NAME_MAX  76
#define TIME_MAX         (100ULL * 366 * 86400)
#define API_KEY_LEN      40
#define SOCKET_PATH_MAX  107 /* sun_path, with its NUL */
#define ADDRESS_FILE_MAX (16U << 20)

/* ---- helpers ---- */

static const struct conf_arg *
arg(const struct conf_value *v, size_t i)
{
	return &v->args[i];
}

/* "" in *e: conf_value_parse() writes "expected ..., found ...". */
static int
unexpected(struct err *e)
{
	e->text[0] = '\0';
	return -1;
}

static int
too_long(struct err *e, const char *what, size_t max)
{
	return err_set(e, "%s longer than %zu characters", what, max);
}

static void
print_arg(struct conf_value *v, struct slice text)
{
	if (v->text.len > 0)
		buf_addc(&v->text, ' ');
	conf_arg_print(text, v->row->type->split, &v->text);
}

static int
store_text(struct conf_value *v, struct slice text, void *out)
{
	const char *copy = conf_mem_dup(v->mem, text);

	memcpy(out, &copy, sizeof(copy));
	print_arg(v, text);
	return 0;
}

static int
store_lower(struct conf_value *v, struct slice text, void *out)
{
	const char *copy = conf_mem_lower(v->mem, text);

	memcpy(out, &copy, sizeof(copy));
	print_arg(v, slice_str(copy));
	return 0;
}

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

static bool
is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool
is_host(struct slice s)
{
	struct domain_pattern p;
	bool good;

	if (s.len == 0 || s.len > HOST_MAX || s.p[0] == '*' || s.p[0] == '[' ||
	    domain_pattern_parse(s, &p, NULL) < 0)
		return false;
	good = p.kind == DOMAIN_EXACT;
	domain_pattern_free(&p);
	return good;
}

static bool
is_ip(struct slice s)
{
	struct cidr net;

	return slice_find(s, '/') == s.len && cidr_parse(s, &net, NULL) == 0;
}

static struct slice
no_final_dot(struct slice s)
{
	if (s.len > 1 && s.p[s.len - 1] == '.')
		s.len--;
	return s;
}

/* ---- yes and no, and other words ---- */

static const struct conf_word bool_words[] = {
	{ "yes", true },
	{ "no", false },
	{ "true", true },
	{ "false", false },
	{ NULL, 0 },
};

static int
find_word(const struct conf_word *words, struct slice s, int *value)
{
	for (; words->word != NULL; words++)
		if (slice_eqi(s, slice_str(words->word))) {
			*value = words->value;
			return 0;
		}
	return -1;
}

static const char *
word_of(const struct conf_word *words, int value)
{
	while (words->word != NULL && words->value != value)
		words++;
	return words->word;
}

static int
parse_word(struct conf_value *v, void *out, struct err *e)
{
	int value;

	if (find_word(v->row->words, arg(v, 0)->text, &value) < 0)
		return unexpected(e);
	if (v->row->size == sizeof(value))
		memcpy(out, &value, sizeof(value));
	print_arg(v, slice_str(word_of(v->row->words, value)));
	return 0;
}

static int
parse_word_bool(struct conf_value *v, void *out, struct err *e)
{
	int value;
	bool is;

	if (find_word(v->row->words, arg(v, 0)->text, &value) < 0)
		return unexpected(e);
	is = value != 0;
	memcpy(out, &is, sizeof(is));
	print_arg(v, slice_str(word_of(v->row->words, value)));
	return 0;
}

static int
parse_bool(struct conf_value *v, void *out, struct err *e)
{
	int value;
	bool is;

	if (find_word(bool_words, arg(v, 0)->text, &value) < 0)
		return unexpected(e);
	is = value != 0;
	memcpy(out, &is, sizeof(is));
	buf_adds(&v->text, is ? "yes" : "no");
	return 0;
}

static int
parse_dkim_algorithm(struct conf_value *v, void *out, struct err *e)
{
	enum conf_dkim_algorithms which;
	struct slice s = arg(v, 0)->text;

	if (slice_eqi(s, SLICE_LIT("rsa-sha1")))
		buf_adds(&v->remark, "RFC 8301 forbids rsa-sha1; rsa-sha256 is used");
	if (slice_eqi(s, SLICE_LIT("rsa-sha256")) || v->remark.len > 0)
		which = CONF_DKIM_RSA_ONLY;
	else if (slice_eqi(s, SLICE_LIT("ed25519-sha256")))
		which = CONF_DKIM_ED25519_ONLY;
	else
		return unexpected(e);
	memcpy(out, &which, sizeof(which));
	buf_adds(&v->text, which == CONF_DKIM_RSA_ONLY ? "rsa-sha256" : "ed25519-sha256");
	return 0;
}

/* ---- numbers ---- */

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

	if (!conf_time_parse(arg(v, 0)->text, &n) || !in_range(v->row, n))
		return unexpected(e);
	store_number(out, n);
	conf_time_print(n, &v->text);
	return 0;
}

static int
parse_time_or_never(struct conf_value *v, void *out, struct err *e)
{
	if (!slice_eqi(arg(v, 0)->text, SLICE_LIT("never")))
		return parse_time(v, out, e);
	store_number(out, CONF_UNLIMITED);
	buf_adds(&v->text, "never");
	return 0;
}

static int
parse_size(struct conf_value *v, void *out, struct err *e)
{
	uint64_t n;

	if (!conf_size_parse(arg(v, 0)->text, &n) || !in_range(v->row, n))
		return unexpected(e);
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
	if (slice_eqi(arg(v, 0)->text, SLICE_LIT("unlimited")))
		return store_unlimited(v, out);
	return parse_size(v, out, e);
}

static int
parse_count(struct conf_value *v, void *out, struct err *e)
{
	uint64_t n;

	if (!slice_uint(arg(v, 0)->text, UINT64_MAX >> 1, &n) || !in_range(v->row, n))
		return unexpected(e);
	store_number(out, n);
	buf_printf(&v->text, "%llu", (unsigned long long)n);
	return 0;
}

static int
parse_count_or_unlimited(struct conf_value *v, void *out, struct err *e)
{
	if (slice_eqi(arg(v, 0)->text, SLICE_LIT("unlimited")))
		return store_unlimited(v, out);
	return parse_count(v, out, e);
}

static int
parse_mode(struct conf_value *v, void *out, struct err *e)
{
	struct slice s = arg(v, 0)->text;
	unsigned mode = 0;

	if (s.len < 3 || s.len > 4)
		return unexpected(e);
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] < '0' || s.p[i] > '7')
			return unexpected(e);
		mode = mode * 8 + (unsigned)(s.p[i] - '0');
	}
	if (mode > 0777)
		return unexpected(e);
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
	struct slice text = arg(v, 0)->text;
	size_t slash = slice_find(text, '/');
	uint64_t n, seconds = 0;

	(void)out;
	if (slice_eqi(text, SLICE_LIT("unlimited"))) {
		s->auth_failures_per_s = 0;
		return store_unlimited(v, &s->auth_failures);
	}
	if (!slice_uint(slice_head(text, slash), UINT32_MAX, &n) ||
	    (slash == text.len ? n != 0 : !parse_window(slice_skip(text, slash + 1), &seconds)))
		return unexpected(e);
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

/* ---- texts ---- */

static int
parse_text(struct conf_value *v, void *out, struct err *e)
{
	if (arg(v, 0)->text.len == 0)
		return unexpected(e);
	if (arg(v, 0)->text.len > TEXT_MAX)
		return too_long(e, "text", TEXT_MAX);
	return store_text(v, arg(v, 0)->text, out);
}

/* A user to run as; "" stays root. */
static int
parse_user(struct conf_value *v, void *out, struct err *e)
{
	struct slice s = arg(v, 0)->text;

	for (size_t i = 0; i < s.len; i++)
		if (!is_alnum(s.p[i]) && strchr("_.-$", s.p[i]) == NULL)
			return unexpected(e);
	if (s.len > 64)
		return too_long(e, "name", 64);
	return store_text(v, s, out);
}

static int
parse_name(struct conf_value *v, void *out, struct err *e)
{
	struct slice s = arg(v, 0)->text;

	if (s.len == 0)
		return unexpected(e);
	if (s.len > NAME_MAX_LEN)
		return too_long(e, "name", NAME_MAX_LEN);
	store_text(v, s, out);
	if (v->row->refers != CONF_REFERS_NOT)
		v->ref = conf_mem_dup(v->mem, s);
	return 0;
}

static int
check_path(struct slice s, struct err *e)
{
	if (s.len == 0 || s.p[0] != '/')
		return unexpected(e);
	return s.len > PATH_MAX_LEN ? too_long(e, "path", PATH_MAX_LEN) : 0;
}

static int
parse_path(struct conf_value *v, void *out, struct err *e)
{
	return check_path(arg(v, 0)->text, e) < 0 ? -1 : store_text(v, arg(v, 0)->text, out);
}

static int
parse_two_paths(struct conf_value *v, void *out, struct err *e)
{
	(void)out;
	if (check_path(arg(v, 0)->text, e) < 0 || check_path(arg(v, 1)->text, e) < 0)
		return -1;
	print_arg(v, arg(v, 0)->text);
	print_arg(v, arg(v, 1)->text);
	return 0;
}

static int
parse_any(struct conf_value *v, void *out, struct err *e)
{
	(void)out;
	for (size_t i = 0; i < v->n; i++) {
		if (arg(v, i)->text.len > TEXT_MAX)
			return too_long(e, "text", TEXT_MAX);
		print_arg(v, arg(v, i)->text);
	}
	return 0;
}

/* Words with commas between them. */
static int
parse_list(struct conf_value *v, void *out, struct err *e)
{
	(void)out;
	for (size_t i = 0; i < v->n; i++) {
		if (arg(v, i)->text.len == 0)
			return unexpected(e);
		if (arg(v, i)->text.len > NAME_MAX_LEN)
			return too_long(e, "name", NAME_MAX_LEN);
		if (i > 0)
			buf_addc(&v->text, ',');
		conf_arg_print(arg(v, i)->text, CONF_ARGS_COMMAS, &v->text);
	}
	return 0;
}

static bool
is_header_name(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] <= 0x20 || s.p[i] == ':' || s.p[i] > 0x7e) /* RFC 5322 3.6.8 */
			return false;
	return s.len > 0;
}

static int
check_header(struct slice s, struct err *e)
{
	if (!is_header_name(s))
		return unexpected(e);
	return s.len > HEADER_NAME_MAX ? too_long(e, "header name", HEADER_NAME_MAX) : 0;
}

static int
parse_header(struct conf_value *v, void *out, struct err *e)
{
	struct slice s = arg(v, 0)->text;

	if (s.len > 1 && s.p[s.len - 1] == ':')
		s.len--;
	return check_header(s, e) < 0 ? -1 : store_text(v, s, out);
}

static int
parse_headers(struct conf_value *v, void *out, struct err *e)
{
	struct conf_texts t = { v->n, conf_mem_alloc(v->mem, v->n, sizeof(char *)) };

	for (size_t i = 0; i < v->n; i++) {
		if (check_header(arg(v, i)->text, e) < 0)
			return -1;
		t.v[i] = conf_mem_dup(v->mem, arg(v, i)->text);
		if (i > 0)
			buf_addc(&v->text, ',');
		conf_arg_print(arg(v, i)->text, CONF_ARGS_COMMAS, &v->text);
	}
	memcpy(out, &t, sizeof(t));
	return 0;
}

static int
parse_api_key(struct conf_value *v, void *out, struct err *e)
{
	struct slice s = arg(v, 0)->text;

	/* Not quoted in the error: it may be a real key with a slip in it. */
	if (s.len != API_KEY_LEN)
		return err_set(
		    e, "expected exactly 40 hexadecimal digits, found %zu characters", s.len);
	for (size_t i = 0; i < s.len; i++)
		if (strchr("0123456789abcdefABCDEF", s.p[i]) == NULL)
			return err_set(e,
			    "expected exactly 40 hexadecimal digits; character %zu is none", i + 1);
	return store_text(v, s, out);
}

/* ---- hosts and addresses ---- */

static int
parse_host(struct conf_value *v, void *out, struct err *e)
{
	if (arg(v, 0)->text.len > HOST_MAX + 1)
		return too_long(e, "host name", HOST_MAX);
	if (!is_host(arg(v, 0)->text))
		return unexpected(e);
	return store_lower(v, no_final_dot(arg(v, 0)->text), out);
}

static int
parse_network(struct conf_value *v, void *out, struct err *e)
{
	struct cidr net;

	if (cidr_parse(arg(v, 0)->text, &net, NULL) < 0)
		return unexpected(e);
	cidr_print(&net, &v->text);
	memcpy(out, &net, sizeof(net));
	return 0;
}

static int
parse_ip(struct conf_value *v, void *out, struct err *e)
{
	(void)out;
	if (!is_ip(arg(v, 0)->text))
		return unexpected(e);
	print_arg(v, arg(v, 0)->text);
	return 0;
}

/* One '@', something printable without blanks before it, a host behind it. */
static bool
is_address(struct slice s)
{
	const char *at = s.len > 0 ? memrchr(s.p, '@', s.len) : NULL;
	struct slice local;

	if (at == NULL)
		return false;
	local = slice_head(s, (size_t)(at - s.p));
	if (local.len == 0 || local.len > 64)
		return false;
	for (size_t i = 0; i < local.len; i++)
		if ((unsigned char)local.p[i] <= 0x20 ||
		    strchr("<>()[],;:\\\"@", local.p[i]) != NULL)
			return false;
	return is_host(slice_skip(s, local.len + 1));
}

static int
check_address(struct slice s, struct err *e)
{
	if (s.len > ADDRESS_TEXT_MAX)
		return too_long(e, "address", ADDRESS_TEXT_MAX);
	return is_address(s) ? 0 : unexpected(e);
}

static int
parse_address(struct conf_value *v, void *out, struct err *e)
{
	if (check_address(arg(v, 0)->text, e) < 0)
		return -1;
	return store_text(v, arg(v, 0)->text, out);
}

static void
free_regex(void *p)
{
	regex_free(p);
}

static int
parse_address_or_regex(struct conf_value *v, void *out, struct err *e)
{
	struct conf_address a = { .at = v->at };
	struct slice s = arg(v, 0)->text;

	if (arg(v, 0)->regex) {
		a.regex = regex_compile(s, e);
		if (a.regex == NULL)
			return -1;
		conf_mem_own(v->mem, a.regex, free_regex);
		buf_addc(&v->text, '/');
		buf_add(&v->text, s);
		buf_addc(&v->text, '/');
	} else {
		if (check_address(s, e) < 0)
			return -1;
		a.text = conf_mem_lower(v->mem, no_final_dot(s));
		print_arg(v, slice_str(a.text));
	}
	memcpy(out, &a, sizeof(a));
	return 0;
}

/*
 * A full address or a local part on each line; '#' begins a comment. The list
 * goes to *out as a struct conf_addresses.
 */
static int
read_addresses(struct conf_value *v, struct slice text, struct conf_addresses *list, struct err *e)
{
	const char *file = conf_mem_dup(v->mem, arg(v, 0)->text);
	size_t room = 0;
	unsigned line_no = 0;
	struct slice line;

	while (slice_line(&text, &line)) {
		struct slice s = slice_trim(slice_head(line, slice_find(line, '#')));

		line_no++;
		if (s.len == 0)
			continue;
		if (s.len > ADDRESS_TEXT_MAX)
			return err_set(e, "%s:%u: address longer than %d characters", file, line_no,
			    ADDRESS_TEXT_MAX);
		for (size_t i = 0; i < s.len; i++)
			if ((unsigned char)s.p[i] <= 0x20 || s.p[i] == 0x7f)
				return err_set(
				    e, "%s:%u: expected one address or local part", file, line_no);
		if (memchr(s.p, '@', s.len) != NULL && !is_address(s))
			return err_set(e, "%s:%u: '%.*s' is not an address", file, line_no,
			    SLICE_FMT(slice_head(s, 80)));
		list->v = xgrow(list->v, list->n, &room, sizeof(*list->v));
		list->v[list->n++] = (struct conf_address){ .at = { file, line_no },
			.text = conf_mem_lower(v->mem, no_final_dot(s)) };
	}
	return 0;
}

static int
parse_address_file(struct conf_value *v, void *out, struct err *e)
{
	struct conf_addresses list = { 0 };
	const char *path;
	struct buf text;
	int rc;

	if (parse_path(v, &path, e) < 0)
		return -1;
	if (!v->may_read_files)
		return err_set(e, "only a configuration in a file can name one");
	buf_init(&text, ADDRESS_FILE_MAX);
	rc = file_read(AT_FDCWD, path, &text, e);
	if (rc == 0)
		rc = read_addresses(v, buf_slice(&text), &list, e);
	buf_free(&text);
	if (list.v != NULL)
		conf_mem_own(v->mem, list.v, free);
	memcpy(out, &list, sizeof(list));
	return rc;
}

static void
free_text(void *p)
{
	free(p);
}

static int
take_pattern(struct conf_value *v, struct slice s, struct domain_pattern *p, struct err *e)
{
	if (s.len > HOST_MAX + 5)
		return too_long(e, "pattern", HOST_MAX);
	if (domain_pattern_parse(s, p, NULL) < 0)
		return unexpected(e);
	if (p->domain != NULL)
		conf_mem_own(v->mem, p->domain, free_text);
	if (v->text.len > 0)
		buf_addc(&v->text, ' ');
	domain_pattern_print(p, &v->text);
	return 0;
}

static int
parse_pattern(struct conf_value *v, void *out, struct err *e)
{
	struct domain_pattern p;

	if (take_pattern(v, arg(v, 0)->text, &p, e) < 0)
		return -1;
	memcpy(out, &p, sizeof(p));
	return 0;
}

bool
conf_listen_parse(struct slice s, struct slice *address, unsigned *port)
{
	const char *colon = s.len > 0 ? memrchr(s.p, ':', s.len) : NULL;
	uint64_t n;

	if (colon == NULL)
		return false;
	*address = slice_head(s, (size_t)(colon - s.p));
	if (!slice_uint(slice_skip(s, address->len + 1), 65535, &n) || n == 0)
		return false;
	if (address->len > 2 && address->p[0] == '[' && address->p[address->len - 1] == ']')
		*address = (struct slice){ address->p + 1, address->len - 2 };
	*port = (unsigned)n;
	return is_ip(*address);
}

static void
print_listen(struct slice address, unsigned port, struct buf *out)
{
	bool v6 = slice_find(address, ':') < address.len;

	buf_printf(out, "%s%.*s%s:%u", v6 ? "[" : "", SLICE_FMT(address), v6 ? "]" : "", port);
}

static int
parse_listener(struct conf_value *v, void *out, struct err *e)
{
	struct conf_listener l = { .at = v->at };
	struct slice s = arg(v, 0)->text, address, prefix = SLICE_LIT("source=");
	char all[16];

	/* "0/0:25", as PowerMTA's own sample has it, is every IPv4 address. */
	if (slice_starts(s, SLICE_LIT("0/0:")) && s.len < 4 + 6) {
		int n = snprintf(all, sizeof(all), "0.0.0.0:%.*s", SLICE_FMT(slice_skip(s, 4)));

		s = (struct slice){ all, n > 0 && (size_t)n < sizeof(all) ? (size_t)n : 0 };
	}
	if (!conf_listen_parse(s, &address, &l.port))
		return unexpected(e);
	l.address = conf_mem_lower(v->mem, address);
	print_listen(slice_str(l.address), l.port, &v->text);
	if (v->n == 2) {
		struct slice source = slice_skip(arg(v, 1)->text, prefix.len);

		if (!slice_startsi(arg(v, 1)->text, prefix) || source.len == 0 ||
		    source.len > NAME_MAX_LEN)
			return err_set(e, "expected source=NAME behind the address, found '%.*s'",
			    SLICE_FMT(slice_head(arg(v, 1)->text, 64)));
		l.source = v->ref = conf_mem_dup(v->mem, source);
		print_arg(v, arg(v, 1)->text);
	}
	memcpy(out, &l, sizeof(l));
	return 0;
}

static int
parse_listen(struct conf_value *v, void *out, struct err *e)
{
	struct slice address;
	unsigned port;

	if (!conf_listen_parse(arg(v, 0)->text, &address, &port))
		return unexpected(e);
	return store_text(v, arg(v, 0)->text, out);
}

/* unix:/PATH (or local:), inet:PORT@HOST, inet6:PORT@HOST: what libmilter takes. */
static int
parse_socket(struct conf_value *v, void *out, struct err *e)
{
	struct slice s = arg(v, 0)->text, rest = s;
	struct slice kind = slice_cut(&rest, ':'), port;
	uint64_t n;

	if (slice_eqi(kind, SLICE_LIT("unix")) || slice_eqi(kind, SLICE_LIT("local"))) {
		if (rest.len == 0 || rest.p[0] != '/')
			return unexpected(e);
		if (rest.len > SOCKET_PATH_MAX)
			return too_long(e, "path of a socket", SOCKET_PATH_MAX);
		return store_text(v, s, out);
	}
	if (!slice_eqi(kind, SLICE_LIT("inet")) && !slice_eqi(kind, SLICE_LIT("inet6")))
		return unexpected(e);
	port = slice_cut(&rest, '@');
	if (rest.len > 2 && rest.p[0] == '[' && rest.p[rest.len - 1] == ']')
		rest = (struct slice){ rest.p + 1, rest.len - 2 };
	if (!slice_uint(port, 65535, &n) || n == 0 || !(is_host(rest) || is_ip(rest)))
		return unexpected(e);
	return store_text(v, s, out);
}

/* host[:port] of a URL; false if there is anything else in it. */
static bool
split_authority(struct slice authority, struct slice *host)
{
	size_t colon;
	uint64_t port;

	/* Every byte that some URL reader takes for the end or for user:password is out. */
	for (size_t i = 0; i < authority.len; i++)
		if (!is_alnum(authority.p[i]) && strchr(".-_:[]", authority.p[i]) == NULL)
			return false;
	if (authority.len > 0 && authority.p[0] == '[') {
		size_t end = slice_find(authority, ']');
		struct slice behind = slice_skip(authority, end + 1);

		*host = slice_skip(slice_head(authority, end), 1);
		if (end == authority.len || !is_ip(*host) || (behind.len > 0 && behind.p[0] != ':'))
			return false;
		return behind.len == 0 || slice_uint(slice_skip(behind, 1), 65535, &port);
	}
	colon = slice_find(authority, ':');
	*host = slice_head(authority, colon);
	if (colon < authority.len && !slice_uint(slice_skip(authority, colon + 1), 65535, &port))
		return false;
	return is_host(*host) || is_ip(*host);
}

static bool
is_loopback(struct slice host)
{
	static const struct cidr v4 = { AF_INET, { 127 }, 8 };
	static const struct cidr v6 = { AF_INET6, { [15] = 1 }, 128 };
	struct cidr a;

	if (slice_eqi(host, SLICE_LIT("localhost")))
		return true;
	if (!is_ip(host) || cidr_parse(host, &a, NULL) < 0)
		return false;
	return a.family == AF_INET ? a.addr[0] == v4.addr[0]
	                           : memcmp(a.addr, v6.addr, sizeof(a.addr)) == 0;
}

int
conf_upload_url_check(struct slice url, struct err *e)
{
	struct slice rest, host;
	bool tls = slice_startsi(url, SLICE_LIT("https://"));
	size_t end = 0;

	if (url.len > URL_MAX)
		return too_long(e, "URL", URL_MAX);
	if (!tls && !slice_startsi(url, SLICE_LIT("http://")))
		return err_set(e, "expected a URL with https://, or http:// to a loopback address");
	for (size_t i = 0; i < url.len; i++)
		if (url.p[i] <= 0x20 || url.p[i] > 0x7e)
			return err_set(e, "a URL has no blanks, controls or 8-bit characters");
	rest = slice_skip(url, tls ? 8 : 7);
	while (end < rest.len && strchr("/?#", rest.p[end]) == NULL)
		end++;
	if (slice_find(slice_head(rest, end), '@') < end)
		return err_set(e, "a URL with user:password@ is not taken: the key is in api-key");
	if (!split_authority(slice_head(rest, end), &host))
		return err_set(e, "the URL has no valid host and port");
	if (!tls && !is_loopback(host))
		return err_set(e,
		    "http:// only to a loopback address (127.0.0.0/8, ::1, localhost); "
		    "use https://");
	return 0;
}

static int
parse_upload_url(struct conf_value *v, void *out, struct err *e)
{
	if (conf_upload_url_check(arg(v, 0)->text, e) < 0)
		return -1;
	return store_text(v, arg(v, 0)->text, out);
}

/* What a sink's URL may have in braces. */
static bool
is_variable(struct slice s)
{
	static const char *const names[] = { "batch", "segment", "node", "date" };

	for (size_t i = 0; i < COUNT(names); i++)
		if (slice_eq(s, slice_str(names[i])))
			return true;
	return false;
}

/* A URL as for upload-url, with variables and blanks behind the host. */
static int
parse_sink_url(struct conf_value *v, void *out, struct err *e)
{
	struct slice url = arg(v, 0)->text;
	size_t host = slice_find(url, ':') + 3, i = host;
	struct buf plain;
	int rc;

	while (i < url.len && strchr("/?#", url.p[i]) == NULL)
		i++;
	buf_init(&plain, CONF_LINE_MAX);
	buf_add(&plain, slice_head(url, i));
	for (; i < url.len; i++) {
		struct slice rest = slice_skip(url, i + 1);
		size_t end = slice_find(rest, '}');

		if (url.p[i] == ' ') {
			buf_adds(&plain, "%20");
		} else if (url.p[i] != '{') {
			buf_addc(&plain, url.p[i]);
		} else if (end < rest.len && is_variable(slice_head(rest, end))) {
			buf_add(&plain, slice_head(slice_skip(url, i), end + 2));
			i += end + 1;
		} else {
			buf_free(&plain);
			return err_set(e, "unknown variable in the URL: there are {batch}, "
					  "{segment}, {node} and {date}");
		}
	}
	rc = conf_upload_url_check(buf_slice(&plain), e);
	if (rc == 0)
		rc = store_text(v, buf_slice(&plain), out);
	buf_free(&plain);
	return rc;
}

/* "Name: value" */
static int
parse_http_header(struct conf_value *v, void *out, struct err *e)
{
	struct slice s = arg(v, 0)->text;
	size_t colon = slice_find(s, ':');

	if (colon == s.len || colon == 0)
		return unexpected(e);
	if (check_header(slice_head(s, colon), e) < 0)
		return -1;
	if (slice_eqi(slice_head(s, colon), SLICE_LIT("content-length")) ||
	    slice_eqi(slice_head(s, colon), SLICE_LIT("transfer-encoding")) ||
	    slice_eqi(slice_head(s, colon), SLICE_LIT("content-encoding")) ||
	    slice_eqi(slice_head(s, colon), SLICE_LIT("host")))
		return err_set(e, "%.*s: is not to be changed", SLICE_FMT(slice_head(s, colon)));
	return store_text(v, s, out);
}

/*
 * "host", "http://host[:port]", "https://host[:port]". Every tracked link begins
 * so, in any part of a mail: only what needs no escaping anywhere.
 */
static int
parse_tracking_domain(struct conf_value *v, void *out, struct err *e)
{
	static const char *const schemes[] = { "http://", "https://" };
	struct slice s = arg(v, 0)->text, authority = s, host;
	const char *scheme = "";
	struct buf text;
	int rc;

	for (size_t i = 0; i < COUNT(schemes); i++)
		if (slice_startsi(s, slice_str(schemes[i]))) {
			scheme = schemes[i];
			authority = slice_skip(s, strlen(scheme));
			if (authority.len > 0 && authority.p[authority.len - 1] == '/')
				authority.len--;
		}
	if (authority.len > HOST_MAX + 6)
		return too_long(e, "host name", HOST_MAX);
	if (!split_authority(authority, &host) || authority.p[0] == '[' ||
	    (scheme[0] == '\0' && host.len < authority.len))
		return unexpected(e);
	buf_init(&text, TEXT_MAX);
	buf_adds(&text, scheme);
	buf_add(&text, no_final_dot(host));
	buf_add(&text, slice_skip(authority, host.len));
	rc = store_lower(v, buf_slice(&text), out);
	buf_free(&text);
	return rc;
}

/* ---- what has a grammar of its own ---- */

static int
parse_source_host(struct conf_value *v, void *out, struct err *e)
{
	struct conf_vmta *vmta = v->owner;

	(void)out;
	if (!is_ip(arg(v, 0)->text) || !is_host(arg(v, 1)->text))
		return unexpected(e);
	store_lower(v, arg(v, 0)->text, &vmta->source_ip);
	return store_lower(v, no_final_dot(arg(v, 1)->text), &vmta->source_host);
}

static int
parse_certificate(struct conf_value *v, void *out, struct err *e)
{
	struct conf *c = v->owner;

	(void)out;
	if (parse_path(v, &c->tls_certificate, e) < 0)
		return -1;
	c->tls_certificate_password = NULL;
	if (v->n < 2)
		return 0;
	if (arg(v, 1)->text.len > TEXT_MAX)
		return too_long(e, "password", TEXT_MAX);
	return store_text(v, arg(v, 1)->text, &c->tls_certificate_password);
}

static int
parse_vmta_choice(struct conf_value *v, void *out, struct err *e)
{
	struct conf_source *s = v->owner;

	(void)out;
	s->default_vmta = NULL;
	if (slice_eqi(arg(v, 0)->text, SLICE_LIT("by-smtp-source-ip"))) {
		s->default_vmta_choice = CONF_VMTA_BY_SOURCE_IP;
		buf_adds(&v->text, "by-smtp-source-ip");
		return 0;
	}
	s->default_vmta_choice = CONF_VMTA_NAMED;
	return parse_name(v, &s->default_vmta, e);
}

/* An address, or '@' and a domain. */
static bool
is_identity(struct slice s)
{
	return s.len > 0 && s.p[0] == '@' ? is_host(slice_skip(s, 1)) : is_address(s);
}

static int
parse_dkim_identity(struct conf_value *v, void *out, struct err *e)
{
	static const struct conf_word words[] = {
		{ "sender-or-from", CONF_DKIM_SENDER_OR_FROM },
		{ "strict-from", CONF_DKIM_STRICT_FROM },
		{ NULL, 0 },
	};
	struct conf_domain *d = v->owner;
	struct slice s = arg(v, 0)->text;
	int value;

	(void)out;
	d->dkim_identity_text = NULL;
	if (find_word(words, s, &value) == 0) {
		d->dkim_identity = (enum conf_dkim_identity)value;
		print_arg(v, slice_str(word_of(words, value)));
		return 0;
	}
	if (s.len > ADDRESS_TEXT_MAX)
		return too_long(e, "address", ADDRESS_TEXT_MAX);
	if (!is_identity(s))
		return unexpected(e);
	d->dkim_identity = CONF_DKIM_FIXED;
	return store_text(v, s, &d->dkim_identity_text);
}

static int
parse_dkim_fallback(struct conf_value *v, void *out, struct err *e)
{
	if (arg(v, 0)->text.len > ADDRESS_TEXT_MAX)
		return too_long(e, "address", ADDRESS_TEXT_MAX);
	if (!is_identity(arg(v, 0)->text))
		return unexpected(e);
	return store_text(v, arg(v, 0)->text, out);
}

static int
parse_domain_key(struct conf_value *v, void *out, struct err *e)
{
	struct conf_domain_key k = { .at = v->at };
	struct slice selector = arg(v, 0)->text, domain = arg(v, 1)->text;

	if (!is_host(selector))
		return err_set(e, "expected a selector (a DNS name), found '%.*s'",
		    SLICE_FMT(slice_head(selector, 64)));
	if (!slice_eq(domain, SLICE_LIT("*")) && !is_host(domain))
		return err_set(
		    e, "expected a domain or *, found '%.*s'", SLICE_FMT(slice_head(domain, 64)));
	if (check_path(arg(v, 2)->text, e) < 0)
		return unexpected(e);
	k.selector = conf_mem_dup(v->mem, selector);
	k.domain =
	    slice_eq(domain, SLICE_LIT("*")) ? NULL : conf_mem_lower(v->mem, no_final_dot(domain));
	k.file = conf_mem_dup(v->mem, arg(v, 2)->text);
	conf_arg_print(selector, CONF_ARGS_COMMAS, &v->text);
	buf_printf(&v->text, ",%s,", k.domain == NULL ? "*" : k.domain);
	conf_arg_print(arg(v, 2)->text, CONF_ARGS_COMMAS, &v->text);
	memcpy(out, &k, sizeof(k));
	return 0;
}

/* "subaccount=N", N > 0. */
static bool
parse_subaccount(struct slice s, uint64_t *n)
{
	struct slice prefix = SLICE_LIT("subaccount=");

	return slice_startsi(s, prefix) && slice_uint(slice_skip(s, prefix.len), UINT32_MAX, n) &&
	       *n > 0;
}

static int
parse_enable_signals(struct conf_value *v, void *out, struct err *e)
{
	struct conf_enable_signals s = { .enable = CONF_SIGNALS_FILTER };
	struct slice text = arg(v, 0)->text;
	int value;

	if (!arg(v, 0)->quoted && find_word(bool_words, text, &value) == 0)
		s.enable = value != 0 ? CONF_SIGNALS_ON : CONF_SIGNALS_OFF;
	else if (text.len == 0 || text.len > NAME_MAX_LEN)
		return unexpected(e);
	if (v->n == 2) {
		if (s.enable != CONF_SIGNALS_ON)
			return err_set(e, "a subaccount is possible only with true");
		if (!parse_subaccount(arg(v, 1)->text, &s.subaccount))
			return unexpected(e);
		s.has_subaccount = true;
	}
	if (s.enable == CONF_SIGNALS_FILTER) {
		v->ref = conf_mem_dup(v->mem, text);
		print_arg(v, text);
	} else {
		buf_adds(&v->text, s.enable == CONF_SIGNALS_ON ? "true" : "false");
	}
	if (s.has_subaccount)
		buf_printf(&v->text, ",subaccount=%llu", (unsigned long long)s.subaccount);
	memcpy(out, &s, sizeof(s));
	return 0;
}

static int
parse_sender_rule(struct conf_value *v, void *out, struct err *e)
{
	struct conf_sender_rule r = { .at = v->at };
	struct slice verb = arg(v, 1)->text;

	if (take_pattern(v, arg(v, 0)->text, &r.pattern, e) < 0)
		return -1;
	r.enable = slice_eqi(verb, SLICE_LIT("enable-signals"));
	if (!r.enable && !slice_eqi(verb, SLICE_LIT("disable-signals")))
		return unexpected(e);
	if (v->n == 3) {
		if (!r.enable || !parse_subaccount(arg(v, 2)->text, &r.subaccount))
			return unexpected(e);
		r.has_subaccount = true;
	}
	buf_adds(&v->text, r.enable ? " enable-signals" : " disable-signals");
	if (r.has_subaccount)
		buf_printf(&v->text, ",subaccount=%llu", (unsigned long long)r.subaccount);
	memcpy(out, &r, sizeof(r));
	return 0;
}

struct mail_from_part { /* one side of mail-from */
	bool null;
	const char *local, *domain; /* NULL: '*' */
};

/* a@b, a@*, *@b, *@*, <> */
static bool
parse_mail_from_part(struct conf_value *v, struct slice s, struct mail_from_part *out)
{
	struct slice local, domain;
	const char *at;

	*out = (struct mail_from_part){ 0 };
	if (slice_eq(s, SLICE_LIT("<>"))) {
		out->null = true;
		return true;
	}
	if (s.len > 2 && s.p[0] == '<' && s.p[s.len - 1] == '>')
		s = (struct slice){ s.p + 1, s.len - 2 };
	at = s.len > 0 && s.len <= ADDRESS_TEXT_MAX ? memrchr(s.p, '@', s.len) : NULL;
	if (at == NULL)
		return false;
	local = slice_head(s, (size_t)(at - s.p));
	domain = slice_skip(s, local.len + 1);
	if (!slice_eq(local, SLICE_LIT("*"))) {
		if (local.len == 0 || local.len > 64 || slice_find(local, '*') < local.len)
			return false;
		for (size_t i = 0; i < local.len; i++)
			if (local.p[i] <= 0x20 || strchr("<>()[],;:\\\"@", local.p[i]) != NULL)
				return false; /* not ASCII, or it would need quotes */
		out->local = conf_mem_dup(v->mem, local);
	}
	if (!slice_eq(domain, SLICE_LIT("*"))) {
		for (size_t i = 0; i < domain.len; i++)
			if ((unsigned char)domain.p[i] >= 0x80)
				return false; /* the A-label form is meant */
		if (!is_host(domain))
			return false;
		out->domain = conf_mem_lower(v->mem, no_final_dot(domain));
	}
	return true;
}

static void
print_mail_from_part(struct conf_value *v, const struct mail_from_part *p)
{
	if (v->text.len > 0)
		buf_addc(&v->text, ' ');
	if (p->null) {
		buf_adds(&v->text, "<>");
		return;
	}
	conf_arg_print(slice_str(p->local == NULL ? "*" : p->local), 0, &v->text);
	buf_addc(&v->text, '@');
	buf_adds(&v->text, p->domain == NULL ? "*" : p->domain);
}

static int
parse_mail_from(struct conf_value *v, void *out, struct err *e)
{
	struct mail_from_part from, to;
	struct conf_mail_from m = { .at = v->at };

	for (size_t i = 0; i < 2; i++)
		if (!parse_mail_from_part(v, arg(v, i)->text, i == 0 ? &from : &to))
			return err_set(e, "expected a@b, a@*, *@b, *@* or <> (ASCII), found '%.*s'",
			    SLICE_FMT(slice_head(arg(v, i)->text, 64)));
	if (from.null && !to.null && (to.local == NULL || to.domain == NULL))
		return err_set(e, "<> has nothing that a '*' could stand for");
	m.from_null = from.null;
	m.from_local = from.local;
	m.from_domain = from.domain;
	m.to_null = to.null;
	m.to_local = to.local;
	m.to_domain = to.domain;
	print_mail_from_part(v, &from);
	print_mail_from_part(v, &to);
	memcpy(out, &m, sizeof(m));
	return 0;
}

static int
parse_from_domain(struct conf_value *v, void *out, struct err *e)
{
	struct conf_from_domain d = { .at = v->at };

	if (take_pattern(v, arg(v, 0)->text, &d.from, e) < 0)
		return -1;
	if (!is_host(arg(v, 1)->text))
		return unexpected(e);
	store_lower(v, no_final_dot(arg(v, 1)->text), &d.to);
	memcpy(out, &d, sizeof(d));
	return 0;
}

/* /REGEX/ CATEGORY, or "/REGEX/ virtual-mta=NAME" behind a verb: kept as text until something acts
 * on it. */
static int
parse_category(struct conf_value *v, void *out, struct err *e)
{
	bool has_regex = false;

	(void)out;
	for (size_t i = 0; i < v->n; i++) {
		const struct conf_arg *a = arg(v, i);
		struct regex *r;

		if (!a->regex) {
			if (a->text.len == 0 || a->text.len > NAME_MAX_LEN)
				return unexpected(e);
			print_arg(v, a->text);
			continue;
		}
		has_regex = true;
		r = regex_compile(a->text, e);
		if (r == NULL)
			return -1;
		regex_free(r);
		if (v->text.len > 0)
			buf_addc(&v->text, ' ');
		buf_addc(&v->text, '/');
		buf_add(&v->text, a->text);
		buf_addc(&v->text, '/');
	}
	return has_regex ? 0 : unexpected(e);
}

static int
parse_bounce_category(struct conf_value *v, void *out, struct err *e)
{
	struct conf_bounce_category c = { .at = v->at };
	const struct conf_arg *regex = arg(v, 0), *category = arg(v, 1);

	if (!regex->regex || category->regex || category->text.len == 0 ||
	    category->text.len > NAME_MAX_LEN)
		return unexpected(e);
	c.regex = regex_compile(regex->text, e);
	if (c.regex == NULL)
		return -1;
	conf_mem_own(v->mem, c.regex, free_regex);
	c.category = conf_mem_dup(v->mem, category->text);
	buf_addc(&v->text, '/');
	buf_add(&v->text, regex->text);
	buf_addc(&v->text, '/');
	print_arg(v, category->text);
	memcpy(out, &c, sizeof(c));
	return 0;
}

/* ---- the types ---- */

#define TYPE(id, arg_, expect_, least_, most_, split_, size_, parse_)                              \
	const struct conf_type conf_type_##id = { arg_, expect_, least_, most_, split_, size_,     \
		parse_ }
#define COMMAS    CONF_ARGS_COMMAS
#define REGEX     CONF_ARGS_REGEX
#define MANY      CONF_ARGS_MAX
#define TEXT_SIZE sizeof(const char *)

TYPE(bool, "BOOLEAN", "yes, no, true or false", 1, 1, 0, 0, parse_bool);
TYPE(time, "TIME", "a time like 4d12h, 10m or 300s", 1, 1, 0, 0, parse_time);
TYPE(time_or_never, "TIME | never", "a time like 4d12h, 10m or 300s, or never", 1, 1, 0, 0,
    parse_time_or_never);
TYPE(size, "SIZE", "a size like 500000, 64k, 20M or 1G", 1, 1, 0, 0, parse_size);
TYPE(size_or_unlimited, "SIZE | unlimited", "a size like 500000, 64k, 20M or 1G, or unlimited", 1,
    1, 0, 0, parse_size_or_unlimited);
TYPE(count, "NUMBER", "a number", 1, 1, 0, 0, parse_count);
TYPE(count_or_unlimited, "NUMBER | unlimited", "a number or unlimited", 1, 1, 0, 0,
    parse_count_or_unlimited);
TYPE(word, NULL, NULL, 1, 1, 0, 0, parse_word);
TYPE(word_bool, NULL, NULL, 1, 1, 0, 0, parse_word_bool);
TYPE(text, "TEXT", "a text", 1, 1, 0, TEXT_SIZE, parse_text);
TYPE(secret, "TEXT", "a text", 1, 1, 0, TEXT_SIZE, parse_text);
TYPE(user, "NAME", "the name of a user or group", 1, 1, 0, 0, parse_user);
TYPE(path, "FILE", "an absolute path", 1, 1, 0, TEXT_SIZE, parse_path);
TYPE(two_paths, "DIRECTORY DIRECTORY", "two absolute paths", 2, 2, 0, 0, parse_two_paths);
TYPE(host, "HOST", "a host name", 1, 1, 0, TEXT_SIZE, parse_host);
TYPE(network, "IP | NETWORK", "an IP address or a network like 10.0.0.0/8", 1, 1, 0,
    sizeof(struct cidr), parse_network);
TYPE(tracking_domain, "HOST | {http | https}://HOST[:PORT]",
    "a host name, http://HOST[:PORT] or https://HOST[:PORT]", 1, 1, 0, 0, parse_tracking_domain);
TYPE(ip, "IP", "an IP address", 1, 1, 0, 0, parse_ip);
TYPE(address, "ADDRESS", "a mail address", 1, 1, 0, TEXT_SIZE, parse_address);
TYPE(header, "HEADER", "the name of a header", 1, 1, 0, TEXT_SIZE, parse_header);
TYPE(headers, "HEADER[,HEADER...]", "names of headers with commas between them", 1, MANY, COMMAS, 0,
    parse_headers);
TYPE(listener, "IP:PORT [source=NAME]", "IP:PORT, and source=NAME if any", 1, 2, 0,
    sizeof(struct conf_listener), parse_listener);
TYPE(listen, "IP:PORT", "IP:PORT", 1, 1, 0, TEXT_SIZE, parse_listen);
TYPE(pattern, "DOMAIN-PATTERN", "a domain, *, *.DOMAIN, [*.]DOMAIN or [NETWORK]", 1, 1, 0,
    sizeof(struct domain_pattern), parse_pattern);
TYPE(address_or_regex, "ADDRESS | /REGEX/", "a mail address or /REGEX/", 1, 1, REGEX,
    sizeof(struct conf_address), parse_address_or_regex);
TYPE(address_file, "FILE", "an absolute path", 1, 1, 0, sizeof(struct conf_addresses),
    parse_address_file);
TYPE(mail_from, "SOURCE DESTINATION", "two of a@b, a@*, *@b, *@* and <>", 2, 2, 0,
    sizeof(struct conf_mail_from), parse_mail_from);
TYPE(from_domain, "DOMAIN-PATTERN DOMAIN", "a domain pattern and a domain", 2, 2, 0,
    sizeof(struct conf_from_domain), parse_from_domain);
TYPE(domain_key, "SELECTOR,{DOMAIN | *},FILE", "SELECTOR,DOMAIN,FILE with an absolute path", 3, 3,
    COMMAS, sizeof(struct conf_domain_key), parse_domain_key);
TYPE(enable_signals, "{true[,subaccount=N] | false | FILTER}",
    "true, false, true,subaccount=N or the name of a signals-filter", 1, 2, COMMAS, 0,
    parse_enable_signals);
TYPE(sender_rule, "DOMAIN-PATTERN {enable-signals[,subaccount=N] | disable-signals}",
    "a domain pattern and enable-signals, enable-signals,subaccount=N or disable-signals", 2, 3,
    COMMAS, sizeof(struct conf_sender_rule), parse_sender_rule);
TYPE(source_host, "IP HOST", "an IP address and a host name", 2, 2, 0, 0, parse_source_host);
TYPE(certificate, "FILE [PASSWORD]", "an absolute path, and a password if any", 1, 2, 0, 0,
    parse_certificate);
TYPE(vmta_choice, "{NAME | by-smtp-source-ip}",
    "the name of a virtual MTA or pool, or by-smtp-source-ip", 1, 1, 0, 0, parse_vmta_choice);
TYPE(dkim_identity, "{ADDRESS | @DOMAIN | sender-or-from | strict-from}",
    "sender-or-from, strict-from, an address or @DOMAIN", 1, 1, 0, 0, parse_dkim_identity);
TYPE(
    dkim_fallback, "{ADDRESS | @DOMAIN}", "an address or @DOMAIN", 1, 1, 0, 0, parse_dkim_fallback);
TYPE(dkim_algorithm, "{rsa-sha256 | ed25519-sha256}", "rsa-sha256 or ed25519-sha256", 1, 1, 0, 0,
    parse_dkim_algorithm);
TYPE(auth_rate, "{unlimited | 0 | N/TIME}", "unlimited, 0 or a rate like 1/min, 2/5min or 3/h", 1,
    1, 0, 0, parse_auth_rate);
TYPE(api_key, "KEY", "exactly 40 hexadecimal digits", 1, 1, 0, TEXT_SIZE, parse_api_key);
TYPE(upload_url, "URL", "a URL with https://, or http:// to a loopback address", 1, 1, 0, 0,
    parse_upload_url);
TYPE(sink_url, "URL", "a URL with https://, or http:// to a loopback address", 1, 1, 0, 0,
    parse_sink_url);
TYPE(http_header, "\"NAME: VALUE\"", "\"NAME: VALUE\" in double quotes", 1, 1, 0, TEXT_SIZE,
    parse_http_header);
TYPE(socket, "{unix:PATH | inet:PORT@HOST}", "unix:/PATH or inet:PORT@HOST", 1, 1, 0, 0,
    parse_socket);
TYPE(mode, "MODE", "an octal mode like 0660", 1, 1, 0, 0, parse_mode);
TYPE(name, "NAME", "a name", 1, 1, 0, TEXT_SIZE, parse_name);
TYPE(list, "WORD[,WORD...]", "words with commas between them", 1, MANY, COMMAS, 0, parse_list);
TYPE(any, "ARGUMENT...", "something behind it", 1, MANY, 0, 0, parse_any);
TYPE(category, "/REGEX/ CATEGORY", "a /REGEX/ and what it stands for", 2, 3, REGEX, 0,
    parse_category);
TYPE(bounce_category, "/REGEX/ CATEGORY", "a /REGEX/ and a category", 2, 2, REGEX,
    sizeof(struct conf_bounce_category), parse_bounce_category);

/* ---- one directive ---- */

static void
print_words(const struct conf_word *words, struct buf *out)
{
	for (size_t i = 0; words[i].word != NULL; i++)
		buf_printf(out, "%s%s",
		    i == 0                      ? ""
		    : words[i + 1].word == NULL ? " or "
						: ", ",
		    words[i].word);
}

static void
print_bound(const struct conf_row *row, uint64_t n, struct buf *out)
{
	if (row->type->parse == parse_time || row->type->parse == parse_time_or_never)
		conf_time_print(n, out);
	else if (row->type->parse == parse_size || row->type->parse == parse_size_or_unlimited)
		conf_size_print(n, out);
	else
		buf_printf(out, "%llu", (unsigned long long)n);
}

void
conf_value_expected(const struct conf_row *row, struct buf *out)
{
	if (row->type->expect == NULL) {
		print_words(row->words, out);
		return;
	}
	buf_adds(out, row->type->expect);
	if (row->most > 0) {
		buf_adds(out, ", from ");
		print_bound(row, row->least, out);
		buf_adds(out, " to ");
		print_bound(row, row->most, out);
	}
}

static bool
is_secret(const struct conf_row *row)
{
	return (row->flags & CONF_ROW_SECRET) != 0;
}

int
conf_value_parse(struct conf_value *v, const char *name, void *out, struct err *e)
{
	const struct conf_type *type = v->row->type;
	struct buf expected;
	struct err why;
	int rc = 0;

	buf_init(&expected, 1024);
	conf_value_expected(v->row, &expected);
	if (v->n < type->least) {
		rc = err_set(e, "%s: expected %s, found %s", name, buf_str(&expected),
		    v->n == 0 ? "nothing" : "less");
	} else if (v->n > type->most) {
		struct slice extra =
		    is_secret(v->row) ? SLICE_LIT("...") : slice_head(arg(v, type->most)->text, 64);

		rc = err_set(e, "%s: expected %s; '%.*s' is too much", name, buf_str(&expected),
		    SLICE_FMT(extra));
	} else if (type->parse(v, out, &why) < 0) {
		if (why.text[0] != '\0')
			rc = err_set(e, "%s: %s", name, why.text);
		else if (v->n > 1 || is_secret(v->row))
			rc = err_set(e, "%s: expected %s", name, buf_str(&expected));
		else
			rc = err_set(e, "%s: expected %s, found '%.*s'", name, buf_str(&expected),
			    SLICE_FMT(slice_head(arg(v, 0)->text, 64)));
	}
	buf_free(&expected);
	return rc;
}
