#include "common/classify_private.h"

#include <stdarg.h>

#include <stdio.h>
#include <stdlib.h>

#include "common/required.h"
#include "common/xalloc.h"

#define ID_MAX 63

struct parse {
	const char *name;
	unsigned line;
	struct err *e;
};

#define bad(p, ...) bad_text((p)->e, (p)->name, (p)->line, __VA_ARGS__)

__attribute__((format(printf, 4, 5))) static int
bad_text(struct err *e, const char *name, unsigned line, const char *fmt, ...)
{
	char why[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	return err_set(e, "%s:%u: %s", name, line, why);
}

/* "5", "x", "600-699" */
static bool
parse_range(struct slice s, unsigned max, struct rule_range *out)
{
	size_t dash = slice_find(s, '-');
	uint64_t least, most;

	*out = (struct rule_range){ 0, max };
	if (slice_eqi(s, SLICE_LIT("x")))
		return true;
	if (!slice_uint(slice_head(s, dash), max, &least))
		return false;
	most = least;
	if (dash < s.len && !slice_uint(slice_skip(s, dash + 1), max, &most))
		return false;
	*out = (struct rule_range){ (unsigned)least, (unsigned)most };
	return least <= most;
}

/* "550", "5xx", "45x" */
static bool
parse_code(struct slice s, struct rule_range *out)
{
	*out = (struct rule_range){ 0, 0 };
	if (s.len != 3)
		return false;
	for (size_t i = 0; i < 3; i++) {
		bool any = s.p[i] == 'x' || s.p[i] == 'X';

		if (!any && (s.p[i] < '0' || s.p[i] > '9'))
			return false;
		out->least = out->least * 10 + (any ? 0 : (unsigned)(s.p[i] - '0'));
		out->most = out->most * 10 + (any ? 9 : (unsigned)(s.p[i] - '0'));
	}
	return true;
}

static bool
parse_status_glob(struct slice s, struct rule_status *out)
{
	for (int i = 0; i < 3; i++)
		if (!parse_range(slice_cut(&s, '.'), 999, &out->part[i]))
			return false;
	return s.len == 0;
}

/* code=4xx,552 or status=x.7.1,5.7.500-599,none */
static int
parse_condition(struct parse *p, struct slice word, struct rule *r)
{
	struct slice rest = word, what = slice_cut(&rest, '=');
	bool code = slice_eq(what, SLICE_LIT("code"));

	if (!code && !slice_eq(what, SLICE_LIT("status")))
		return bad(p, "expected code=, status= or a /REGEX/, found '%.*s'",
		    SLICE_FMT(slice_head(word, 64)));
	do {
		struct slice one = slice_cut(&rest, ',');

		if (slice_eq(one, SLICE_LIT("none")))
			*(code ? &r->no_code : &r->no_status) = true;
		else if ((code ? r->n_codes : r->n_statuses) == CODES_MAX)
			return bad(p, "more than %d alternatives in '%.*s'", CODES_MAX,
			    SLICE_FMT(slice_head(word, 64)));
		else if (code ? !parse_code(one, &r->codes[r->n_codes++])
			      : !parse_status_glob(one, &r->statuses[r->n_statuses++]))
			return bad(p, "expected %s, found '%.*s'",
			    code ? "a code like 550 or 4xx" : "a status like 5.1.1 or x.7.1",
			    SLICE_FMT(slice_head(one, 64)));
	} while (rest.len > 0);
	return 0;
}

static bool
is_name(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((s.p[i] < 'a' || s.p[i] > 'z') && (s.p[i] < '0' || s.p[i] > '9') &&
		    s.p[i] != '-')
			return false;
	return s.len > 0 && s.len <= ID_MAX;
}

static void
add_pattern(struct rule_layer *l, struct regex *regex)
{
	l->patterns = xgrow(l->patterns, l->n_patterns, &l->patterns_room, sizeof(*l->patterns));
	l->patterns[l->n_patterns++] = (struct rule_pattern){ l->n_rules - 1, regex };
}

/* From its '/' to the line's last one. */
static int
parse_regex(struct parse *p, struct slice s, struct rule_layer *l)
{
	struct regex *regex;
	struct err why;

	s = slice_trim(s);
	if (s.len < 3 || s.p[s.len - 1] != '/')
		return bad(p, "expected '/' at the end of the /REGEX/");
	if (l->n_patterns == RULES_MAX)
		return bad(p, "more than %d patterns", RULES_MAX);
	regex = regex_compile((struct slice){ s.p + 1, s.len - 2 }, &why);
	if (regex == NULL)
		return bad(p, "%s", why.text);
	add_pattern(l, regex);
	return 0;
}

/* The rule above is complete. */
static void
end_rule(struct rule_layer *l)
{
	if (l->n_rules > 0 &&
	    (l->n_patterns == 0 || l->patterns[l->n_patterns - 1].rule != l->n_rules - 1))
		add_pattern(l, NULL);
}

/* ID CLASS CATEGORY [code=...] [status=...] [/REGEX/] */
static int
parse_rule(struct parse *p, struct slice line, struct rule_layer *l)
{
	struct slice id, number, category, word, rest = line, before;
	struct rule *r;
	uint64_t n;

	end_rule(l);
	if (l->n_rules == RULES_MAX || l->n_patterns == RULES_MAX)
		return bad(p, "more than %d rules", RULES_MAX);
	if (!slice_word(&rest, &id) || !slice_word(&rest, &number) || !slice_word(&rest, &category))
		return bad(p, "expected ID CLASS CATEGORY [code=CODE] [status=STATUS] [/REGEX/]");
	if (!is_name(id) || !is_name(category))
		return bad(p,
		    "'%.*s': an id or category is up to %d of the characters a-z, 0-9 and '-'",
		    SLICE_FMT(slice_head(is_name(id) ? category : id, 64)), ID_MAX);
	if (!slice_uint(number, 100, &n) || classify_name((unsigned)n) == NULL)
		return bad(p, "'%.*s' is no bounce class", SLICE_FMT(slice_head(number, 64)));
	for (size_t i = 0; i < l->n_rules; i++)
		if (slice_eq(slice_str(l->rules[i].id), id))
			return bad(p, "rule %s is there already, in line %u", l->rules[i].id,
			    l->rules[i].line);
	l->rules = xgrow(l->rules, l->n_rules, &l->rules_room, sizeof(*l->rules));
	r = &l->rules[l->n_rules++];
	memset(r, 0, sizeof(*r));
	r->id = xslicedup(id);
	r->category = xslicedup(category);
	r->bounce_class = (unsigned)n;
	r->line = p->line;
	for (before = rest; slice_word(&rest, &word); before = rest) {
		if (word.p[0] == '/')
			return parse_regex(p, before, l);
		if (parse_condition(p, word, r) < 0)
			return -1;
	}
	return 0;
}

static int
parse_indented(struct parse *p, struct slice text, struct rule_layer *l)
{
	struct rule_test *t;

	if (l->n_rules == 0)
		return bad(
		    p, "a line that begins with a blank belongs to a rule above it; there is none");
	if (text.p[0] == '/')
		return parse_regex(p, text, l);
	l->tests = xgrow(l->tests, l->n_tests, &l->tests_room, sizeof(*l->tests));
	t = &l->tests[l->n_tests++];
	*t = (struct rule_test){ l->n_rules - 1, p->line, xslicedup(text) };
	return 0;
}

static int
parse_line(struct parse *p, struct slice line, struct rule_layer *l)
{
	struct slice text = slice_trim(line);

	if (memchr(line.p, '\0', line.len) != NULL)
		return bad(p, "NUL character");
	if (text.len == 0 || text.p[0] == '#')
		return 0;
	if (line.p[0] == ' ' || line.p[0] == '\t')
		return parse_indented(p, text, l);
	return parse_rule(p, text, l);
}

/* Which patterns have to be tried at all. */
static void
index_patterns(struct rule_layer *l)
{
	l->words = words_new();
	l->always = xcalloc(RULES_MAX / 64 + 1, sizeof(*l->always));
	for (size_t i = 0; i < l->n_patterns; i++) {
		const struct regex *regex = l->patterns[i].regex;
		struct required need = { .n = 0 };

		if (regex != NULL)
			required_words(slice_str(regex_source(regex)), &need);
		if (need.n == 0)
			l->always[i / 64] |= (uint64_t)1 << (i % 64);
		for (size_t k = 0; k < need.n; k++)
			words_add(l->words, need.word[k], (unsigned)i);
		required_free(&need);
	}
	words_ready(l->words);
}

int
classify_layer_parse(struct rule_layer *l, const char *name, struct slice text, struct err *e)
{
	struct parse p = { name, 0, e };
	struct slice line;

	l->name = xstrdup(name);
	if (slice_starts(text, SLICE_LIT("\xef\xbb\xbf")))
		text = slice_skip(text, 3);
	while (slice_line(&text, &line)) {
		p.line++;
		if (parse_line(&p, line, l) < 0)
			return -1;
	}
	end_rule(l);
	index_patterns(l);
	return 0;
}

void
classify_layer_free(struct rule_layer *l)
{
	for (size_t i = 0; i < l->n_rules; i++) {
		free(l->rules[i].id);
		free(l->rules[i].category);
	}
	for (size_t i = 0; i < l->n_patterns; i++)
		regex_free(l->patterns[i].regex);
	for (size_t i = 0; i < l->n_tests; i++)
		free(l->tests[i].text);
	words_free(l->words);
	free(l->always);
	free(l->rules);
	free(l->patterns);
	free(l->tests);
	free(l->name);
}
