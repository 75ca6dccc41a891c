#include "common/report_patterns.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fcntl.h>
#include <pcre2.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/buf.h"
#include "common/file.h"
#include "common/xalloc.h"

#define FILE_MAX    ((size_t)1 << 20)
#define MATCH_LIMIT 200000 /* steps: some milliseconds */

struct pattern {
	pcre2_code *code;
	char *where;
};

struct report_patterns {
	size_t n, room;
	struct pattern *v;
};

static const struct {
	const char *name;
	size_t offset;
} groups[] = {
	{ "rcpt", offsetof(struct report_match, rcpt) },
	{ "orig", offsetof(struct report_match, orig) },
	{ "status", offsetof(struct report_match, status) },
	{ "code", offsetof(struct report_match, code) },
	{ "diag", offsetof(struct report_match, diag) },
	{ "mta", offsetof(struct report_match, mta) },
	{ "messageId", offsetof(struct report_match, message_id) },
	{ "dlvSourceIp", offsetof(struct report_match, source_ip) },
	{ "reportedDomainTo", offsetof(struct report_match, domain_to) },
	{ "reportedDomainFrom", offsetof(struct report_match, domain_from) },
};

/* ---- the file ---- */

static int
add(struct report_patterns *p, const char *where, struct slice line, struct err *e)
{
	const uint32_t options = PCRE2_CASELESS | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;
	PCRE2_UCHAR why[128];
	struct slice text;
	pcre2_code *code;
	PCRE2_SIZE at;
	int error;

	if (line.len < 3 || line.p[0] != '/' || line.p[line.len - 1] != '/')
		return err_set(e, "%s: expected /PATTERN/", where);
	if (p->n == REPORT_PATTERNS_MAX)
		return err_set(e, "%s: more than %d patterns", where, REPORT_PATTERNS_MAX);
	text = slice_head(slice_skip(line, 1), line.len - 2);
	code = pcre2_compile((PCRE2_SPTR)text.p, text.len, options, &error, &at, NULL);
	if (code == NULL) {
		pcre2_get_error_message(error, why, sizeof(why));
		return err_set(e, "%s: %s at offset %zu", where, (const char *)why, (size_t)at);
	}
	pcre2_jit_compile(code, PCRE2_JIT_COMPLETE); /* without it it is slower, that's all */
	p->v = xgrow(p->v, p->n, &p->room, sizeof(*p->v));
	p->v[p->n++] = (struct pattern){ .code = code, .where = xstrdup(where) };
	return 0;
}

struct report_patterns *
report_patterns_parse(const char *name, struct slice text, struct err *e)
{
	struct report_patterns *p = xcalloc(1, sizeof(*p));
	struct slice rest = text, line;
	unsigned n = 0;

	while (slice_line(&rest, &line)) {
		char where[512];

		n++;
		line = slice_trim(line);
		if (line.len == 0 || line.p[0] == '#')
			continue;
		snprintf(where, sizeof(where), "%s:%u", name, n);
		if (add(p, where, line, e) < 0) {
			report_patterns_free(p);
			return NULL;
		}
	}
	return p;
}

struct report_patterns *
report_patterns_load(const char *file, struct err *e)
{
	struct report_patterns *p = NULL;
	struct buf text;

	buf_init(&text, FILE_MAX);
	if (file_read(AT_FDCWD, file, &text, e) == 0)
		p = report_patterns_parse(file, buf_slice(&text), e);
	buf_free(&text);
	return p;
}

void
report_patterns_free(struct report_patterns *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < p->n; i++) {
		pcre2_code_free(p->v[i].code);
		free(p->v[i].where);
	}
	free(p->v);
	free(p);
}

/* ---- matching ---- */

static void
take_groups(
    const pcre2_code *code, pcre2_match_data *data, struct slice text, struct report_match *m)
{
	const PCRE2_SIZE *at = pcre2_get_ovector_pointer(data);
	uint32_t count = pcre2_get_ovector_count(data);

	for (size_t i = 0; i < COUNT(groups); i++) {
		int n = pcre2_substring_number_from_name(code, (PCRE2_SPTR)groups[i].name);
		struct slice *to = (struct slice *)(void *)((char *)m + groups[i].offset);

		if (n <= 0 || (uint32_t)n >= count || at[2 * n] == PCRE2_UNSET ||
		    at[2 * n + 1] < at[2 * n])
			continue;
		*to = (struct slice){ text.p + at[2 * n], at[2 * n + 1] - at[2 * n] };
	}
}

static bool
matches(
    const struct pattern *p, struct slice text, pcre2_match_context *limits, struct report_match *m)
{
	pcre2_match_data *data = pcre2_match_data_create_from_pattern(p->code, NULL);
	bool good;

	if (data == NULL)
		return false;
	good = pcre2_match(p->code, (PCRE2_SPTR)(text.len > 0 ? text.p : ""), text.len, 0, 0, data,
		   limits) > 0;
	if (good) {
		take_groups(p->code, data, text, m);
		m->where = p->where;
	}
	pcre2_match_data_free(data);
	return good;
}

bool
report_patterns_match(const struct report_patterns *p, struct slice text, struct report_match *m)
{
	pcre2_match_context *limits;
	bool found = false;

	*m = (struct report_match){ 0 };
	if (p->n == 0)
		return false;
	limits = pcre2_match_context_create(NULL);
	if (limits == NULL)
		return false;
	pcre2_set_match_limit(limits, MATCH_LIMIT);
	for (size_t i = 0; i < p->n && !found; i++)
		found = matches(&p->v[i], text, limits, m);
	pcre2_match_context_free(limits);
	return found;
}
