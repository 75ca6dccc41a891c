#include "common/classify.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/bounce_rules.h"
#include "common/file.h"
#include "common/pattern.h"
#include "common/required.h"
#include "common/words.h"
#include "common/xalloc.h"

#define RULES_MAX  4000 /* rules, and patterns, in a file */
#define FILE_LIMIT ((size_t)1 << 20)
#define TEXT_MAX   4096
#define ID_MAX     63
#define CODES_MAX  8

/* ---- the classes ---- */

static const struct {
	unsigned number;
	bool hard;
	const char *name;
} classes[] = {
	{ 0, false, "Success" },
	{ 1, false, "Undetermined" },
	{ 10, true, "Invalid Recipient" },
	{ 20, false, "Soft Bounce" },
	{ 21, false, "DNS Failure" },
	{ 22, false, "Mailbox Full" },
	{ 23, false, "Too Large" },
	{ 24, false, "Timeout" },
	{ 25, false, "Admin Failure" },
	{ 30, true, "Generic Bounce: No RCPT" },
	{ 40, false, "Generic Bounce" },
	{ 50, false, "Mail Block" },
	{ 51, false, "Spam Block" },
	{ 52, false, "Spam Content" },
	{ 53, false, "Prohibited Attachment" },
	{ 54, false, "Relaying Denied" },
	{ 60, false, "Auto-Reply" },
	{ 70, false, "Transient Failure" },
	{ 80, false, "Subscribe" },
	{ 90, true, "Unsubscribe" },
	{ 100, false, "Challenge-Response" },
};

/* What PowerMTA's categories are where only they are known: <bounce-category-patterns>. */
static const struct {
	const char *category;
	unsigned bounce_class;
} of_category[] = {
	{ "bad-mailbox", 10 },
	{ "inactive-mailbox", 10 },
	{ "bad-domain", 21 },
	{ "routing-errors", 21 },
	{ "quota-issues", 22 },
	{ "message-expired", 24 },
	{ "no-answer-from-host", 24 },
	{ "bad-connection", 24 },
	{ "relaying-issues", 54 },
	{ "spam-related", 51 },
	{ "content-related", 52 },
	{ "virus-related", 53 },
	{ "policy-related", 50 },
	{ "invalid-sender", 50 },
	{ "protocol-errors", 40 },
	{ "bad-configuration", 40 },
	{ "other", 40 },
};

const char *
classify_name(unsigned bounce_class)
{
	for (size_t i = 0; i < COUNT(classes); i++)
		if (classes[i].number == bounce_class)
			return classes[i].name;
	return NULL;
}

static bool
is_hard(unsigned bounce_class)
{
	for (size_t i = 0; i < COUNT(classes); i++)
		if (classes[i].number == bounce_class)
			return classes[i].hard;
	return false;
}

/* ---- rules ---- */

struct range {
	unsigned least, most;
};

struct status_glob {
	struct range part[3];
};

struct rule {
	char *id, *category;
	unsigned bounce_class, line;
	size_t n_codes, n_statuses;
	struct range codes[CODES_MAX];
	bool no_code, no_status; /* "none" is among them */
	struct status_glob statuses[CODES_MAX];
};

struct pattern { /* in the order of their rules */
	size_t rule;
	struct regex *regex; /* NULL: the rule has no pattern, its conditions are all */
};

struct test {
	size_t rule;
	unsigned line;
	char *text;
};

struct layer { /* one rule file */
	char *name;
	size_t n_rules, rules_room, n_patterns, patterns_room, n_tests, tests_room;
	struct rule *rules;
	struct pattern *patterns;
	struct test *tests;
	struct words *words; /* of the patterns; an id is the pattern's index */
	uint64_t *always;    /* bits of the patterns that no word stands for */
};

struct own { /* a line of <bounce-category-patterns>; the regex is copied, the conf may go first */
	struct regex *regex;
	char *category, *id;
};

struct classifier {
	size_t n_layers;
	struct layer layers[2];
	size_t n_own;
	struct own *own;
};

/* ---- reading a rule file ---- */

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
parse_range(struct slice s, unsigned max, struct range *out)
{
	size_t dash = slice_find(s, '-');
	uint64_t least, most;

	*out = (struct range){ 0, max };
	if (slice_eqi(s, SLICE_LIT("x")))
		return true;
	if (!slice_uint(slice_head(s, dash), max, &least))
		return false;
	most = least;
	if (dash < s.len && !slice_uint(slice_skip(s, dash + 1), max, &most))
		return false;
	*out = (struct range){ (unsigned)least, (unsigned)most };
	return least <= most;
}

/* "550", "5xx", "45x" */
static bool
parse_code(struct slice s, struct range *out)
{
	*out = (struct range){ 0, 0 };
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
parse_status_glob(struct slice s, struct status_glob *out)
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
add_pattern(struct layer *l, struct regex *regex)
{
	l->patterns = xgrow(l->patterns, l->n_patterns, &l->patterns_room, sizeof(*l->patterns));
	l->patterns[l->n_patterns++] = (struct pattern){ l->n_rules - 1, regex };
}

/* From its '/' to the line's last one. */
static int
parse_regex(struct parse *p, struct slice s, struct layer *l)
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
end_rule(struct layer *l)
{
	if (l->n_rules > 0 &&
	    (l->n_patterns == 0 || l->patterns[l->n_patterns - 1].rule != l->n_rules - 1))
		add_pattern(l, NULL);
}

/* ID CLASS CATEGORY [code=...] [status=...] [/REGEX/] */
static int
parse_rule(struct parse *p, struct slice line, struct layer *l)
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
parse_indented(struct parse *p, struct slice text, struct layer *l)
{
	struct test *t;

	if (l->n_rules == 0)
		return bad(
		    p, "a line that begins with a blank belongs to a rule above it; there is none");
	if (text.p[0] == '/')
		return parse_regex(p, text, l);
	l->tests = xgrow(l->tests, l->n_tests, &l->tests_room, sizeof(*l->tests));
	t = &l->tests[l->n_tests++];
	*t = (struct test){ l->n_rules - 1, p->line, xslicedup(text) };
	return 0;
}

static int
parse_line(struct parse *p, struct slice line, struct layer *l)
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
index_patterns(struct layer *l)
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

static int
parse_layer(struct layer *l, const char *name, struct slice text, struct err *e)
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

/* ---- opening and closing ---- */

static void
free_layer(struct layer *l)
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

void
classify_close(struct classifier *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->n_layers; i++)
		free_layer(&c->layers[i]);
	for (size_t i = 0; i < c->n_own; i++) {
		regex_free(c->own[i].regex);
		free(c->own[i].category);
		free(c->own[i].id);
	}
	free(c->own);
	free(c);
}

static int
add_layer(struct classifier *c, const char *name, struct slice text, struct err *e)
{
	return parse_layer(&c->layers[c->n_layers++], name, text, e);
}

static int
add_file(struct classifier *c, const char *path, struct err *e)
{
	struct buf text;
	int rc;

	buf_init(&text, FILE_LIMIT);
	rc = file_read(AT_FDCWD, path, &text, e);
	if (rc == 0)
		rc = add_layer(c, path, buf_slice(&text), e);
	buf_free(&text);
	return rc;
}

static const char *
base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}

static int
add_own(struct classifier *c, const struct conf_bounce_categories *list, struct err *e)
{
	c->own = xcalloc(list->n, sizeof(*c->own));
	for (size_t i = 0; i < list->n; i++) {
		const struct conf_bounce_category *from = &list->v[i];
		struct own *o = &c->own[c->n_own];
		struct buf id;

		o->regex = regex_compile(slice_str(regex_source(from->regex)), e);
		if (o->regex == NULL)
			return -1;
		buf_init(&id, 300);
		buf_printf(&id, "%s:%u", base_name(from->at.file), from->at.line);
		o->id = buf_take(&id);
		o->category = xstrdup(from->category);
		c->n_own++;
	}
	return 0;
}

struct classifier *
classify_open(const struct conf *conf, struct err *e)
{
	struct classifier *c = xcalloc(1, sizeof(*c));
	const char *named = conf == NULL ? NULL : conf->bounce_rules;
	int rc = 0;

	if (conf != NULL && conf->bounce_categories.n > 0)
		rc = add_own(c, &conf->bounce_categories, e);
	if (rc == 0 && (named != NULL || access(CONF_BOUNCE_RULES, F_OK) == 0))
		rc = add_file(c, named != NULL ? named : CONF_BOUNCE_RULES, e);
	if (rc == 0)
		rc = add_layer(c, "shipped rules", slice_str(bounce_rules), e);
	if (rc == 0)
		return c;
	classify_close(c);
	return NULL;
}

struct classifier *
classify_parse(const char *name, struct slice rules, struct err *e)
{
	struct classifier *c = xcalloc(1, sizeof(*c));

	if (add_layer(c, name, rules, e) == 0)
		return c;
	classify_close(c);
	return NULL;
}

/* ---- asking ---- */

struct question {
	unsigned code; /* 0: only its first digit is known, if the status has a class */
	struct reply_status status;
	struct slice text;
};

static bool
in_range(const struct range *r, unsigned n)
{
	return n >= r->least && n <= r->most;
}

/* Without a code the status tells 4xx from 5xx. */
static bool
code_fits(const struct rule *r, const struct question *q)
{
	if (r->n_codes == 0 && !r->no_code)
		return true;
	if (q->code == 0 && q->status.class == 0)
		return r->no_code;
	for (size_t i = 0; i < r->n_codes; i++) {
		const struct range *c = &r->codes[i];
		unsigned whole = q->status.class * 100;

		if (q->code != 0 ? in_range(c, q->code)
				 : c->least <= whole && c->most >= whole + 99)
			return true;
	}
	return false;
}

static bool
status_fits(const struct rule *r, const struct question *q)
{
	if (r->n_statuses == 0 && !r->no_status)
		return true;
	if (q->status.class == 0)
		return r->no_status;
	for (size_t i = 0; i < r->n_statuses; i++) {
		const struct range *part = r->statuses[i].part;

		if (in_range(&part[0], q->status.class) && in_range(&part[1], q->status.subject) &&
		    in_range(&part[2], q->status.detail))
			return true;
	}
	return false;
}

/* The first rule of the layer that fits, or NULL. */
static const struct rule *
ask(const struct layer *l, const struct question *q)
{
	uint64_t bits[RULES_MAX / 64 + 1];
	size_t n = (l->n_patterns + 63) / 64;

	if (n == 0)
		return NULL;
	memcpy(bits, l->always, n * sizeof(*bits));
	words_find(l->words, q->text, bits);
	for (size_t k = 0; k < n; k++)
		for (uint64_t left = bits[k]; left != 0; left &= left - 1) {
			const struct pattern *p =
			    &l->patterns[k * 64 + (size_t)__builtin_ctzll(left)];
			const struct rule *r = &l->rules[p->rule];

			if (code_fits(r, q) && status_fits(r, q) &&
			    (p->regex == NULL || regex_match(p->regex, q->text)))
				return r;
		}
	return NULL;
}

static void
set_class(struct classification *v, unsigned bounce_class)
{
	v->bounce_class = bounce_class;
	v->class_name = classify_name(bounce_class);
	v->hard = is_hard(bounce_class);
}

/*
 * <bounce-category-patterns> look at "STATUS;DIAGNOSTIC". The class is that of
 * the category, unless the rules see the same category and know better (51 or 52).
 */
static void
ask_own(const struct classifier *c, const struct question *q, const struct reply *r,
    struct classification *v)
{
	const struct own *found = NULL;
	struct buf subject;

	buf_init(&subject, TEXT_MAX + 64);
	reply_status_print(&q->status, &subject);
	buf_adds(&subject, q->code != 0 ? ";smtp;" : ";");
	buf_add(&subject, slice_head(r->raw, TEXT_MAX));
	for (size_t i = 0; i < c->n_own && found == NULL; i++)
		if (regex_match(c->own[i].regex, buf_slice(&subject)))
			found = &c->own[i];
	buf_free(&subject);
	if (found == NULL)
		return;
	for (size_t i = 0; i < COUNT(of_category) && strcmp(v->category, found->category) != 0; i++)
		if (strcmp(of_category[i].category, found->category) == 0)
			set_class(v, of_category[i].bounce_class);
	v->category = found->category;
	v->rule = found->id;
}

static void
answer(const struct classifier *c, const struct question *q, const struct reply *r,
    struct classification *out)
{
	const struct rule *rule = NULL;

	*out = (struct classification){ .category = "other", .rule = "none" };
	set_class(out, 1);
	for (size_t i = 0; i < c->n_layers && rule == NULL; i++)
		rule = ask(&c->layers[i], q);
	if (rule != NULL) {
		set_class(out, rule->bounce_class);
		out->category = rule->category;
		out->rule = rule->id;
	}
	if (c->n_own > 0)
		ask_own(c, q, r, out);
}

static void
classify_with(const struct classifier *c, const struct reply *r, struct reply_status status,
    struct classification *out)
{
	struct question q = { .code = r->code, .status = status };
	struct reply head = *r;
	struct buf text;

	head.text = slice_head(r->text, TEXT_MAX);
	buf_init(&text, TEXT_MAX);
	buf_reserve(&text, head.text.len + 1);
	reply_text(&head, &text);
	q.text = buf_slice(&text);
	answer(c, &q, r, out);
	buf_free(&text);
}

void
classify(const struct classifier *c, const struct reply *r, struct classification *out)
{
	classify_with(c, r, r->status, out);
}

void
classify_dsn(const struct classifier *c, struct slice status, struct slice diagnostic,
    struct classification *out)
{
	struct reply_status st;
	struct reply r;

	reply_parse(diagnostic, &r);
	reply_status_parse(status, &st);
	if (st.class != 0 &&
	    (r.status.class == 0 || (r.status.subject == 0 && r.status.detail == 0)))
		r.status = st;
	classify_with(c, &r, r.status, out);
}

void
classify_expired(struct classification *v)
{
	if (v->bounce_class == 70 && (strcmp(v->category, "no-answer-from-host") == 0 ||
					 strcmp(v->category, "bad-connection") == 0))
		set_class(v, 24);
}

/* ---- the tests in the files ---- */

static bool
test_layer(const struct layer *l, const struct test *t, struct buf *found)
{
	const struct rule *want = &l->rules[t->rule], *rule;
	struct question q;
	struct buf text;
	struct reply r;

	reply_parse(slice_str(t->text), &r);
	buf_init(&text, TEXT_MAX);
	reply_text(&r, &text);
	q = (struct question){ r.code, r.status, buf_slice(&text) };
	rule = ask(l, &q);
	buf_free(&text);
	buf_clear(found);
	if (rule == NULL)
		buf_adds(found, "no rule");
	else
		buf_printf(found, "rule %s", rule->id);
	return rule == want;
}

size_t
classify_test(const struct classifier *c, void (*report)(void *arg, const char *text), void *arg)
{
	size_t failed = 0;
	struct buf found;

	buf_init(&found, 100);
	for (size_t i = 0; i < c->n_layers; i++) {
		const struct layer *l = &c->layers[i];

		for (size_t k = 0; k < l->n_tests; k++) {
			const struct test *t = &l->tests[k];
			struct err text;

			if (test_layer(l, t, &found))
				continue;
			failed++;
			err_text(&text, 0, "%s:%u: rule %s: %s catches '%.200s'", l->name, t->line,
			    l->rules[t->rule].id, buf_str(&found), t->text);
			report(arg, text.text);
		}
	}
	buf_free(&found);
	return failed;
}

size_t
classify_count_rules(const struct classifier *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_layers; i++)
		n += c->layers[i].n_rules;
	return n;
}

size_t
classify_count_tests(const struct classifier *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_layers; i++)
		n += c->layers[i].n_tests;
	return n;
}
