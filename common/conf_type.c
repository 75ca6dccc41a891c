#include "common/conf_type.h"

/* "" in *e: conf_value_parse() writes "expected ..., found ...". */
int
conf_unexpected(struct err *e)
{
	e->text[0] = '\0';
	return -1;
}

int
conf_too_long(struct err *e, const char *what, size_t max)
{
	return err_set(e, "%s longer than %zu characters", what, max);
}

void
conf_print_arg(struct conf_value *v, struct slice text)
{
	if (v->text.len > 0)
		buf_addc(&v->text, ' ');
	conf_arg_print(text, v->row->type->split, &v->text);
}

int
conf_store_text(struct conf_value *v, struct slice text, void *out)
{
	const char *copy = conf_mem_dup(v->mem, text);

	memcpy(out, &copy, sizeof(copy));
	conf_print_arg(v, text);
	return 0;
}

int
conf_store_lower(struct conf_value *v, struct slice text, void *out)
{
	const char *copy = conf_mem_lower(v->mem, text);

	memcpy(out, &copy, sizeof(copy));
	conf_print_arg(v, slice_str(copy));
	return 0;
}

bool
conf_is_host(struct slice s)
{
	struct domain_pattern p;
	bool good;

	if (s.len == 0 || s.len > CONF_HOST_MAX || s.p[0] == '*' || s.p[0] == '[' ||
	    domain_pattern_parse(s, &p, NULL) < 0)
		return false;
	good = p.kind == DOMAIN_EXACT;
	domain_pattern_free(&p);
	return good;
}

bool
conf_is_ip(struct slice s)
{
	struct cidr net;

	return slice_find(s, '/') == s.len && cidr_parse(s, &net, NULL) == 0;
}

struct slice
conf_no_final_dot(struct slice s)
{
	if (s.len > 1 && s.p[s.len - 1] == '.')
		s.len--;
	return s;
}

const struct conf_word conf_bool_words[] = {
	{ "yes", true },
	{ "no", false },
	{ "true", true },
	{ "false", false },
	{ NULL, 0 },
};

int
conf_find_word(const struct conf_word *words, struct slice s, int *value)
{
	for (; words->word != NULL; words++)
		if (slice_eqi(s, slice_str(words->word))) {
			*value = words->value;
			return 0;
		}
	return -1;
}

const char *
conf_word_of(const struct conf_word *words, int value)
{
	while (words->word != NULL && words->value != value)
		words++;
	return words->word;
}
