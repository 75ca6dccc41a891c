#include "ctl/m4.h"

#include <string.h>

#include "common/ascii.h"

bool
m4_is_plain(const char *text)
{
	for (; *text != '\0'; text++)
		if (!ascii_is_alnum(*text) && strchr("._/:@+=-", *text) == NULL)
			return false;
	return true;
}

void
m4_define(FILE *out, const char *name, const char *value)
{
	fprintf(out, "define(`%s', `%s')dnl\n", name, value);
}

void
m4_define_number(FILE *out, const char *name, uint64_t n, const char *unit)
{
	fprintf(out, "define(`%s', `%llu%s')dnl\n", name, (unsigned long long)n, unit);
}

void
m4_at(FILE *out, const char *directive, const struct conf_at *at)
{
	if (at->line != 0)
		fprintf(out, "dnl %s (%s:%u)\n", directive, at->file, at->line);
	else
		fprintf(out, "dnl %s\n", directive);
}

/* ---- expressions ---- */

/* A bracket expression that means the same to both: no backslash, no classes. Its length, or 0. */
static size_t
bracket_length(const char *p)
{
	size_t n = 1;

	if (p[n] == '^')
		n++;
	if (p[n] == ']')
		return 0; /* a member to POSIX; rare enough */
	for (; p[n] != ']'; n++)
		if (!ascii_is_alnum(p[n]) && (p[n] == '\0' || strchr("._@+=-^%", p[n]) == NULL))
			return 0;
	return n + 1;
}

bool
m4_posix_regex(const char *pcre, struct buf *out)
{
	const char *p = pcre;
	bool repeated = false; /* "*?", "++": lazy and possessive are PCRE's */

	buf_clear(out);
	while (*p != '\0') {
		size_t n = 1;
		bool repeats = strchr("*+?}", *p) != NULL;

		if (repeats && repeated)
			break;
		if (*p == '[')
			n = bracket_length(p);
		else if (*p == '\\')
			n = p[1] != '\0' && strchr(".+*?|()[]{}^-@/_=", p[1]) != NULL ? 2 : 0;
		else if (*p == '(')
			n = p[1] != '?' && p[1] != '*' ? 1 : 0;
		else if (*p == '{')
			n = p[1] >= '0' && p[1] <= '9' ? 1 : 0;
		else if (!ascii_is_alnum(*p) && strchr(".^$|)*+?}@_=,%-", *p) == NULL)
			n = 0;
		if (n == 0)
			break;
		if (*p == '$')
			buf_addc(out, '$');
		/* "\-" and the like are not defined in POSIX, the sign itself is. */
		if (n == 2 && *p == '\\' && strchr("-@/_=", p[1]) != NULL)
			buf_addc(out, p[1]);
		else
			buf_add(out, (struct slice){ p, n });
		repeated = repeats;
		p += n;
	}
	if (*p == '\0')
		return true;
	buf_clear(out);
	return false;
}

/* The last octet that the prefix reaches into: all its values, and nothing more to compare. */
static void
add_octets(unsigned first, unsigned count, struct buf *out)
{
	for (unsigned i = 0; i < count; i++)
		buf_printf(out, "%c%u", i == 0 ? '(' : '|', first + i);
	buf_adds(out, ")");
}

static void
ipv4_regex(const struct cidr *net, struct buf *out)
{
	unsigned whole = net->bits / 8, rest = net->bits % 8;

	buf_adds(out, "^");
	for (unsigned i = 0; i < whole; i++)
		buf_printf(out, "%u%s", net->addr[i], i < 3 ? "\\." : "$$");
	if (rest > 0) {
		add_octets(net->addr[whole], 1u << (8 - rest), out);
		buf_adds(out, whole < 3 ? "\\." : "$$");
	}
}

bool
m4_network_regex(const struct cidr *net, struct buf *out)
{
	buf_clear(out);
	if (net->family == AF_INET) {
		ipv4_regex(net, out);
		return true;
	}
	if (net->family != AF_INET6 || net->bits % 16 != 0)
		return false;
	buf_adds(out, "^IPv6");
	for (unsigned i = 0; i < net->bits / 16; i++)
		buf_printf(out, ":%x", net->addr[2 * i] << 8 | net->addr[2 * i + 1]);
	buf_adds(out, net->bits == 128 ? "$$" : ":");
	return true;
}
