#include "tracker/machine.h"

#include <fcntl.h>
#include <stdlib.h>

#include "common/file.h"
#include "common/pattern.h"
#include "common/xalloc.h"

struct rule {
	char *name;
	bool proxy;
	struct regex *agent; /* NULL: by network */
	struct cidr net;
};

struct machine_rules {
	struct rule *v;
	size_t n, room;
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

bool
machine_find(const struct machine_rules *m, struct slice user_agent, const struct sockaddr *client,
    struct machine *out)
{
	for (size_t i = 0; m != NULL && i < m->n; i++) {
		const struct rule *r = &m->v[i];

		if (r->agent != NULL ? regex_match(r->agent, user_agent)
				     : cidr_match(&r->net, client)) {
			*out = (struct machine){ r->name, r->proxy };
			return true;
		}
	}
	return false;
}
