#include "common/html_tag.h"

/* What ends an attribute's name. */
static inline bool
name_ends(char c)
{
	return html_space(c) || c == '/' || c == '>' || c == '=';
}

static inline size_t
skip_space(const char *p, size_t i, size_t len)
{
	while (i < len && html_space(p[i]))
		i++;
	return i;
}

/* Behind the '=' at i - 1; false if the text ends in the value. */
static bool
read_value(const char *p, size_t i, size_t len, struct html_attr *a)
{
	const char *close;

	a->has_value = true;
	a->end = i;
	i = skip_space(p, i, len);
	if (i == len)
		return false;
	a->value = i;
	if (p[i] == '"' || p[i] == '\'') {
		close = memchr(p + i + 1, p[i], len - i - 1);
		if (close == NULL)
			return false;
		a->quote = p[i];
		a->value = i + 1;
		a->value_len = (size_t)(close - p) - a->value;
		a->end = (size_t)(close - p) + 1;
		return true;
	}
	/* "<a href=>": no value, and the '>' is the tag's. */
	while (i < len && !html_space(p[i]) && p[i] != '>')
		i++;
	a->value_len = i - a->value;
	a->end = i;
	return i < len;
}

bool
html_attr_next(struct slice in, size_t *at, struct html_attr *a)
{
	const char *p = in.p;
	size_t i = *at, len = in.len;

	for (;; i++) {
		i = skip_space(p, i, len);
		if (i == len)
			goto cut;
		if (p[i] == '>' || (p[i] == '/' && i + 1 < len && p[i + 1] == '>')) {
			*at = i;
			return false;
		}
		if (p[i] != '/')
			break;
	}
	*a = (struct html_attr){ .start = i };
	/* A '=' that starts a name is a part of it. */
	for (i++; i < len && !name_ends(p[i]); i++)
		;
	a->name_len = i - a->start;
	a->end = a->value = i;
	i = skip_space(p, i, len);
	if (i == len)
		goto cut;
	if (p[i] == '=' && !read_value(p, i + 1, len, a))
		goto cut;
	*at = p[i] == '=' ? a->end : i;
	return true;
cut:
	*at = len;
	return false;
}

bool
html_attr_is(struct slice in, const struct html_attr *a, struct slice name)
{
	return slice_eqi((struct slice){ in.p + a->start, a->name_len }, name);
}
