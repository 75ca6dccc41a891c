#include "common/conf_type.h"

#include "common/ascii.h"

#define PATH_MAX_LEN    4095
#define HEADER_NAME_MAX 76
#define API_KEY_LEN     40

static int
parse_text(struct conf_value *v, void *out, struct err *e)
{
	if (conf_arg_n(v, 0)->text.len == 0)
		return conf_unexpected(e);
	if (conf_arg_n(v, 0)->text.len > CONF_TEXT_MAX)
		return conf_too_long(e, "text", CONF_TEXT_MAX);
	return conf_store_text(v, conf_arg_n(v, 0)->text, out);
}

/* A user to run as; "" stays root. */
static int
parse_user(struct conf_value *v, void *out, struct err *e)
{
	struct slice s = conf_arg_n(v, 0)->text;

	for (size_t i = 0; i < s.len; i++)
		if (!ascii_is_alnum(s.p[i]) && strchr("_.-$", s.p[i]) == NULL)
			return conf_unexpected(e);
	if (s.len > 64)
		return conf_too_long(e, "name", 64);
	return conf_store_text(v, s, out);
}

int
conf_parse_name(struct conf_value *v, void *out, struct err *e)
{
	struct slice s = conf_arg_n(v, 0)->text;

	if (s.len == 0)
		return conf_unexpected(e);
	if (s.len > CONF_NAME_MAX)
		return conf_too_long(e, "name", CONF_NAME_MAX);
	conf_store_text(v, s, out);
	if (v->row->refers != CONF_REFERS_NOT)
		v->ref = conf_mem_dup(v->mem, s);
	return 0;
}

int
conf_check_path(struct slice s, struct err *e)
{
	if (s.len == 0 || s.p[0] != '/')
		return conf_unexpected(e);
	return s.len > PATH_MAX_LEN ? conf_too_long(e, "path", PATH_MAX_LEN) : 0;
}

int
conf_parse_path(struct conf_value *v, void *out, struct err *e)
{
	return conf_check_path(conf_arg_n(v, 0)->text, e) < 0
	           ? -1
	           : conf_store_text(v, conf_arg_n(v, 0)->text, out);
}

static int
parse_two_paths(struct conf_value *v, void *out, struct err *e)
{
	(void)out;
	if (conf_check_path(conf_arg_n(v, 0)->text, e) < 0 ||
	    conf_check_path(conf_arg_n(v, 1)->text, e) < 0)
		return -1;
	conf_print_arg(v, conf_arg_n(v, 0)->text);
	conf_print_arg(v, conf_arg_n(v, 1)->text);
	return 0;
}

static int
parse_any(struct conf_value *v, void *out, struct err *e)
{
	(void)out;
	for (size_t i = 0; i < v->n; i++) {
		if (conf_arg_n(v, i)->text.len > CONF_TEXT_MAX)
			return conf_too_long(e, "text", CONF_TEXT_MAX);
		conf_print_arg(v, conf_arg_n(v, i)->text);
	}
	return 0;
}

/* Words with commas between them. */
static int
parse_list(struct conf_value *v, void *out, struct err *e)
{
	(void)out;
	for (size_t i = 0; i < v->n; i++) {
		if (conf_arg_n(v, i)->text.len == 0)
			return conf_unexpected(e);
		if (conf_arg_n(v, i)->text.len > CONF_NAME_MAX)
			return conf_too_long(e, "name", CONF_NAME_MAX);
		if (i > 0)
			buf_addc(&v->text, ',');
		conf_arg_print(conf_arg_n(v, i)->text, CONF_ARGS_COMMAS, &v->text);
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

int
conf_check_header(struct slice s, struct err *e)
{
	if (!is_header_name(s))
		return conf_unexpected(e);
	return s.len > HEADER_NAME_MAX ? conf_too_long(e, "header name", HEADER_NAME_MAX) : 0;
}

static int
parse_header(struct conf_value *v, void *out, struct err *e)
{
	struct slice s = conf_arg_n(v, 0)->text;

	if (s.len > 1 && s.p[s.len - 1] == ':')
		s.len--;
	return conf_check_header(s, e) < 0 ? -1 : conf_store_text(v, s, out);
}

static int
parse_headers(struct conf_value *v, void *out, struct err *e)
{
	struct conf_texts t = { v->n, conf_mem_alloc(v->mem, v->n, sizeof(char *)) };

	for (size_t i = 0; i < v->n; i++) {
		if (conf_check_header(conf_arg_n(v, i)->text, e) < 0)
			return -1;
		t.v[i] = conf_mem_dup(v->mem, conf_arg_n(v, i)->text);
		if (i > 0)
			buf_addc(&v->text, ',');
		conf_arg_print(conf_arg_n(v, i)->text, CONF_ARGS_COMMAS, &v->text);
	}
	memcpy(out, &t, sizeof(t));
	return 0;
}

static int
parse_api_key(struct conf_value *v, void *out, struct err *e)
{
	struct slice s = conf_arg_n(v, 0)->text;

	/* Not quoted in the error: it may be a real key with a slip in it. */
	if (s.len != API_KEY_LEN)
		return err_set(
		    e, "expected exactly 40 hexadecimal digits, found %zu characters", s.len);
	for (size_t i = 0; i < s.len; i++)
		if (strchr("0123456789abcdefABCDEF", s.p[i]) == NULL)
			return err_set(e,
			    "expected exactly 40 hexadecimal digits; character %zu is none", i + 1);
	return conf_store_text(v, s, out);
}

/* "Name: value" */
static int
parse_http_header(struct conf_value *v, void *out, struct err *e)
{
	struct slice s = conf_arg_n(v, 0)->text;
	size_t colon = slice_find(s, ':');

	if (colon == s.len || colon == 0)
		return conf_unexpected(e);
	if (conf_check_header(slice_head(s, colon), e) < 0)
		return -1;
	if (slice_eqi(slice_head(s, colon), SLICE_LIT("content-length")) ||
	    slice_eqi(slice_head(s, colon), SLICE_LIT("transfer-encoding")) ||
	    slice_eqi(slice_head(s, colon), SLICE_LIT("content-encoding")) ||
	    slice_eqi(slice_head(s, colon), SLICE_LIT("host")))
		return err_set(e, "%.*s: is not to be changed", SLICE_FMT(slice_head(s, colon)));
	return conf_store_text(v, s, out);
}

static int
parse_certificate(struct conf_value *v, void *out, struct err *e)
{
	struct conf *c = v->owner;

	(void)out;
	if (conf_parse_path(v, &c->tls_certificate, e) < 0)
		return -1;
	c->tls_certificate_password = NULL;
	if (v->n < 2)
		return 0;
	if (conf_arg_n(v, 1)->text.len > CONF_TEXT_MAX)
		return conf_too_long(e, "password", CONF_TEXT_MAX);
	return conf_store_text(v, conf_arg_n(v, 1)->text, &c->tls_certificate_password);
}

/* ---- the types ---- */

TYPE(text, "TEXT", "a text", 1, 1, 0, TEXT_SIZE, parse_text);
TYPE(secret, "TEXT", "a text", 1, 1, 0, TEXT_SIZE, parse_text);
TYPE(user, "NAME", "the name of a user or group", 1, 1, 0, 0, parse_user);
TYPE(name, "NAME", "a name", 1, 1, 0, TEXT_SIZE, conf_parse_name);
TYPE(path, "FILE", "an absolute path", 1, 1, 0, TEXT_SIZE, conf_parse_path);
TYPE(two_paths, "DIRECTORY DIRECTORY", "two absolute paths", 2, 2, 0, 0, parse_two_paths);
TYPE(certificate, "FILE [PASSWORD]", "an absolute path, and a password if any", 1, 2, 0, 0,
    parse_certificate);
TYPE(list, "WORD[,WORD...]", "words with commas between them", 1, MANY, COMMAS, 0, parse_list);
TYPE(any, "ARGUMENT...", "something behind it", 1, MANY, 0, 0, parse_any);
TYPE(header, "HEADER", "the name of a header", 1, 1, 0, TEXT_SIZE, parse_header);
TYPE(headers, "HEADER[,HEADER...]", "names of headers with commas between them", 1, MANY, COMMAS, 0,
    parse_headers);
TYPE(http_header, "\"NAME: VALUE\"", "\"NAME: VALUE\" in double quotes", 1, 1, 0, TEXT_SIZE,
    parse_http_header);
TYPE(api_key, "KEY", "exactly 40 hexadecimal digits", 1, 1, 0, TEXT_SIZE, parse_api_key);
