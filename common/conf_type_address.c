#include "common/conf_type.h"

#include <fcntl.h>
#include <stdlib.h>

#include "common/file.h"
#include "common/xalloc.h"

#define ADDRESS_FILE_MAX (16U << 20)

/* One '@', something printable without blanks before it, a host behind it. */
bool
conf_is_address(struct slice s)
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
	return conf_is_host(slice_skip(s, local.len + 1));
}

static int
check_address(struct slice s, struct err *e)
{
	if (s.len > CONF_ADDRESS_MAX)
		return conf_too_long(e, "address", CONF_ADDRESS_MAX);
	return conf_is_address(s) ? 0 : conf_unexpected(e);
}

static int
parse_address(struct conf_value *v, void *out, struct err *e)
{
	if (check_address(conf_arg_n(v, 0)->text, e) < 0)
		return -1;
	return conf_store_text(v, conf_arg_n(v, 0)->text, out);
}

static void
free_regex(void *p)
{
	regex_free(p);
}

int
conf_take_regex(struct conf_value *v, struct slice s, struct regex **out, struct err *e)
{
	*out = regex_compile(s, e);
	if (*out == NULL)
		return -1;
	conf_mem_own(v->mem, *out, free_regex);
	buf_addc(&v->text, '/');
	buf_add(&v->text, s);
	buf_addc(&v->text, '/');
	return 0;
}

static int
parse_address_or_regex(struct conf_value *v, void *out, struct err *e)
{
	struct conf_address a = { .at = v->at };
	struct slice s = conf_arg_n(v, 0)->text;

	if (conf_arg_n(v, 0)->regex) {
		if (conf_take_regex(v, s, &a.regex, e) < 0)
			return -1;
	} else {
		if (check_address(s, e) < 0)
			return -1;
		a.text = conf_mem_lower(v->mem, conf_no_final_dot(s));
		conf_print_arg(v, slice_str(a.text));
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
	const char *file = conf_mem_dup(v->mem, conf_arg_n(v, 0)->text);
	size_t room = 0;
	unsigned line_no = 0;
	struct slice line;

	while (slice_line(&text, &line)) {
		struct slice s = slice_trim(slice_head(line, slice_find(line, '#')));

		line_no++;
		if (s.len == 0)
			continue;
		if (s.len > CONF_ADDRESS_MAX)
			return err_set(e, "%s:%u: address longer than %d characters", file, line_no,
			    CONF_ADDRESS_MAX);
		for (size_t i = 0; i < s.len; i++)
			if ((unsigned char)s.p[i] <= 0x20 || s.p[i] == 0x7f)
				return err_set(
				    e, "%s:%u: expected one address or local part", file, line_no);
		if (memchr(s.p, '@', s.len) != NULL && !conf_is_address(s))
			return err_set(e, "%s:%u: '%.*s' is not an address", file, line_no,
			    SLICE_FMT(slice_head(s, 80)));
		list->v = xgrow(list->v, list->n, &room, sizeof(*list->v));
		list->v[list->n++] = (struct conf_address){ .at = { file, line_no },
			.text = conf_mem_lower(v->mem, conf_no_final_dot(s)) };
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

	if (conf_parse_path(v, &path, e) < 0)
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

int
conf_take_pattern(struct conf_value *v, struct slice s, struct domain_pattern *p, struct err *e)
{
	if (s.len > CONF_HOST_MAX + 5)
		return conf_too_long(e, "pattern", CONF_HOST_MAX);
	if (domain_pattern_parse(s, p, NULL) < 0)
		return conf_unexpected(e);
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

	if (conf_take_pattern(v, conf_arg_n(v, 0)->text, &p, e) < 0)
		return -1;
	memcpy(out, &p, sizeof(p));
	return 0;
}

/* ---- the types ---- */

TYPE(address, "ADDRESS", "a mail address", 1, 1, 0, TEXT_SIZE, parse_address);
TYPE(address_or_regex, "ADDRESS | /REGEX/", "a mail address or /REGEX/", 1, 1, REGEX,
    sizeof(struct conf_address), parse_address_or_regex);
TYPE(address_file, "FILE", "an absolute path", 1, 1, 0, sizeof(struct conf_addresses),
    parse_address_file);
TYPE(pattern, "DOMAIN-PATTERN", "a domain, *, *.DOMAIN, [*.]DOMAIN or [NETWORK]", 1, 1, 0,
    sizeof(struct domain_pattern), parse_pattern);
