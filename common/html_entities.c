#include "common/html_entities.h"

#include "common/html_entities_table.h"

_Static_assert(sizeof(struct entity) == 4, "the table is read in one line of cache or two");

static bool
alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
alnum(char c)
{
	return alpha(c) || (c >= '0' && c <= '9');
}

/* The references 0x80 to 0x9f are read as windows-1252; 0 where that has nothing. */
static const uint16_t windows_1252[32] = { 0x20ac, 0, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020,
	0x2021, 0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0, 0x017d, 0, 0, 0x2018, 0x2019, 0x201c,
	0x201d, 0x2022, 0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0, 0x017e, 0x0178 };

static size_t
put_utf8(uint32_t c, char *out)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

static int
digit(char c, bool hex)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (hex && c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (hex && c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static size_t
numeric(struct slice in, char *out, size_t *len)
{
	bool hex = in.len > 2 && (in.p[2] == 'x' || in.p[2] == 'X');
	size_t first = hex ? 3 : 2, i;
	uint32_t c = 0;

	for (i = first; i < in.len && digit(in.p[i], hex) >= 0; i++) {
		c = c * (hex ? 16 : 10) + (uint32_t)digit(in.p[i], hex);
		if (c > 0x10ffff)
			c = 0x110000;
	}
	if (i == first)
		return 0;
	if (i < in.len && in.p[i] == ';')
		i++;
	if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		c = 0xfffd;
	else if (c >= 0x80 && c <= 0x9f && windows_1252[c - 0x80] != 0)
		c = windows_1252[c - 0x80];
	*len = put_utf8(c, out);
	return i;
}

static const struct entity *
find(const char *name, size_t len)
{
	size_t low, high;

	if (!alpha(name[0]))
		return NULL;
	low = entity_start[name[0] - 'A'];
	high = entity_start[name[0] - 'A' + 1];
	while (low < high) {
		size_t mid = (low + high) / 2;
		const struct entity *e = &entities[mid];
		size_t shorter = len < e->name_len ? len : e->name_len;
		int order = memcmp(name, entity_text + e->at, shorter);

		if (order == 0 && len == e->name_len)
			return e;
		if (order < 0 || (order == 0 && len < e->name_len))
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

static size_t
take(const struct entity *e, size_t used, char *out, size_t *len)
{
	memcpy(out, entity_text + e->at + e->name_len, e->text_len);
	*len = e->text_len;
	return used;
}

size_t
html_reference(struct slice in, bool attribute, char out[static HTML_REFERENCE_MAX], size_t *len)
{
	const char *name = in.p + 1;
	size_t max = in.len - 1, n = 0;
	const struct entity *e;

	if (max > 0 && name[0] == '#')
		return numeric(in, out, len);
	while (n < max && n <= ENTITY_NAME_MAX && alnum(name[n]))
		n++;
	if (n == 0)
		return 0;
	if (n < max && n <= ENTITY_NAME_MAX && name[n] == ';' && (e = find(name, n)) != NULL)
		return take(e, n + 2, out, len);
	/* Without the semicolon, the longest old name that the text starts with. */
	for (size_t k = n < ENTITY_BARE_MAX ? n : ENTITY_BARE_MAX; k >= 2; k--) {
		e = find(name, k);
		if (e == NULL || !e->bare)
			continue;
		if (attribute && k < max && (name[k] == '=' || alnum(name[k])))
			return 0;
		return take(e, k + 1, out, len);
	}
	return 0;
}
