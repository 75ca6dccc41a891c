#include "tracker/machine.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "common/file.h"
#include "common/hash.h"
#include "common/pattern.h"
#include "common/xalloc.h"

struct rule {
	char *name;
	bool proxy;
	struct regex *agent; /* NULL: by network */
	struct cidr net;
};

/*
 * Millions of readers have some thousand User-Agents: which rule fits is kept for
 * those that came last. A place holds 48 bits of the text's hash, which nobody
 * outside can steer, and the number of the rule, plus one; n_rules + 1: none.
 */
#define KNOWN      4096
#define KNOWN_RULE 0xffffULL

_Static_assert(MACHINE_RULES_MAX < KNOWN_RULE - 1, "a rule's number has 16 bits");

struct machine_rules {
	struct rule *v;
	size_t n, room;
	uint64_t seed[2];
	_Atomic uint64_t known[KNOWN]; /* the only thing that changes; 0: empty */
};

static bool
is_name(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] <= 0x20 || s.p[i] > 0x7e || s.p[i] == '/')
			return false;
	return s.len > 0 && s.len <= MACHINE_NAME_MAX;
}

/* "/REGEX/" and what is behind it: the regex ends at the last slash of the line. */
static int
parse_agent(struct slice rest, struct rule *r, struct slice *behind, struct err *e)
{
	const char *end;
	struct slice text;

	if (rest.len < 2 || rest.p[0] != '/' || (end = memrchr(rest.p, '/', rest.len)) == rest.p)
		return err_set(e, "user-agent: expected /REGEX/");
	text = slice_skip(slice_head(rest, (size_t)(end - rest.p)), 1);
	if (text.len == 0)
		return err_set(
		    e, "user-agent: expected /REGEX/, found nothing between the slashes");
	*behind = slice_skip(rest, text.len + 2);
	r->agent = regex_compile(text, e);
	return r->agent == NULL ? -1 : 0;
}

static int
parse_rule(struct slice line, struct rule *r, struct err *e)
{
	struct slice name, kind, rest = line, word;

	if (!slice_word(&rest, &name) || !is_name(name))
		return err_set(
		    e, "expected a name of at most %d printable characters", MACHINE_NAME_MAX);
	if (!slice_word(&rest, &kind))
		return err_set(e, "expected user-agent or network behind the name");
	rest = slice_trim(rest);
	if (slice_eqi(kind, SLICE_LIT("user-agent"))) {
		if (parse_agent(rest, r, &rest, e) < 0)
			return -1;
	} else if (!slice_eqi(kind, SLICE_LIT("network"))) {
		return err_set(e, "expected user-agent or network, found '%.*s'",
		    SLICE_FMT(slice_head(kind, 40)));
	} else if (!slice_word(&rest, &word) || cidr_parse(word, &r->net, NULL) < 0) {
		return err_set(e, "network: expected an IP address or a network like 192.0.2.0/24");
	}
	if (slice_word(&rest, &word)) {
		r->proxy = slice_eqi(word, SLICE_LIT("proxy"));
		if (!r->proxy || slice_word(&rest, &word))
			return err_set(e, "expected proxy or nothing at the end, found '%.*s'",
			    SLICE_FMT(slice_head(word, 40)));
	}
	r->name = xslicedup(name);
	return 0;
}

static int
parse(struct machine_rules *m, const char *file, struct slice text, struct err *e)
{
	unsigned number = 0;
	struct slice line;

	while (slice_line(&text, &line)) {
		struct err why;

		number++;
		line = slice_trim(line);
		if (line.len == 0 || line.p[0] == '#')
			continue;
		if (m->n == MACHINE_RULES_MAX)
			return err_set(
			    e, "%s:%u: more than %d rules", file, number, MACHINE_RULES_MAX);
		m->v = xgrow(m->v, m->n, &m->room, sizeof(*m->v));
		m->v[m->n] = (struct rule){ .name = NULL };
		if (parse_rule(line, &m->v[m->n++], &why) < 0)
			return err_set(e, "%s:%u: %s", file, number, why.text);
	}
	return 0;
}

struct machine_rules *
machine_rules_parse(const char *name, struct slice text, struct err *e)
{
	struct machine_rules *m = xcalloc(1, sizeof(*m));

	hash_random(m->seed, sizeof(m->seed));
	if (parse(m, name, text, e) == 0)
		return m;
	machine_rules_free(m);
	return NULL;
}

struct machine_rules *
machine_rules_load(const char *file, struct err *e)
{
	struct machine_rules *m = NULL;
	struct buf text;

	buf_init(&text, MACHINE_FILE_MAX);
	if (file_read(AT_FDCWD, file, &text, e) == 0)
		m = machine_rules_parse(file, buf_slice(&text), e);
	buf_free(&text);
	return m;
}

void
machine_rules_free(struct machine_rules *m)
{
	if (m == NULL)
		return;
	for (size_t i = 0; i < m->n; i++) {
		regex_free(m->v[i].agent);
		free(m->v[i].name);
	}
	free(m->v);
	free(m);
}

size_t
machine_rules_count(const struct machine_rules *m)
{
	return m == NULL ? 0 : m->n;
}

static uint64_t
hash(const struct machine_rules *m, struct slice s)
{
	uint64_t h = m->seed[0] ^ s.len;

	for (; s.len > 0; s = slice_skip(s, sizeof(h))) {
		uint64_t word = 0;

		memcpy(&word, s.p, s.len < sizeof(word) ? s.len : sizeof(word));
		h = (h ^ word ^ m->seed[1]) * 0x9e3779b97f4a7c15ULL;
		h ^= h >> 32;
	}
	return h;
}

/* The first rule for User-Agent that fits, or m->n. */
static size_t
search_agent(const struct machine_rules *m, struct slice user_agent)
{
	size_t i = 0;

	while (i < m->n && (m->v[i].agent == NULL || !regex_match(m->v[i].agent, user_agent)))
		i++;
	return i;
}

static size_t
find_agent(struct machine_rules *m, struct slice user_agent)
{
	uint64_t h = hash(m, user_agent), known;
	size_t found;

	known = atomic_load_explicit(&m->known[h % KNOWN], memory_order_relaxed);
	if (((known ^ h) & ~KNOWN_RULE) == 0 && (known & KNOWN_RULE) != 0)
		return (size_t)(known & KNOWN_RULE) - 1;
	found = search_agent(m, user_agent);
	atomic_store_explicit(
	    &m->known[h % KNOWN], (h & ~KNOWN_RULE) | (found + 1), memory_order_relaxed);
	return found;
}

bool
machine_find(struct machine_rules *m, struct slice user_agent, const struct sockaddr *client,
    struct machine *out)
{
	size_t found, i = 0;

	if (m == NULL)
		return false;
	found = find_agent(m, user_agent);
	while (i < found && (m->v[i].agent != NULL || !cidr_match(&m->v[i].net, client)))
		i++;
	if (i == m->n)
		return false;
	*out = (struct machine){ m->v[i].name, m->v[i].proxy };
	return true;
}
