#include "common/conf_value.h"

#include "common/conf_type.h"

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
	if (row->type == &conf_type_time || row->type == &conf_type_time_or_never)
		conf_time_print(n, out);
	else if (row->type == &conf_type_size || row->type == &conf_type_size_or_unlimited)
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
		struct slice extra = is_secret(v->row)
		                         ? SLICE_LIT("...")
		                         : slice_head(conf_arg_n(v, type->most)->text, 64);

		rc = err_set(e, "%s: expected %s; '%.*s' is too much", name, buf_str(&expected),
		    SLICE_FMT(extra));
	} else if (type->parse(v, out, &why) < 0) {
		if (why.text[0] != '\0')
			rc = err_set(e, "%s: %s", name, why.text);
		else if (v->n > 1 || is_secret(v->row))
			rc = err_set(e, "%s: expected %s", name, buf_str(&expected));
		else
			rc = err_set(e, "%s: expected %s, found '%.*s'", name, buf_str(&expected),
			    SLICE_FMT(slice_head(conf_arg_n(v, 0)->text, 64)));
	}
	buf_free(&expected);
	return rc;
}
