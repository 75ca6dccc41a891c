#include "common/classify.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/bounce_rules.h"
#include "common/classify_private.h"
#include "common/file.h"
#include "common/xalloc.h"

#define FILE_LIMIT ((size_t)1 << 20)
#define TEXT_MAX   4096

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

struct own { /* a line of <bounce-category-patterns>; the regex is copied, the conf may go first */
	struct regex *regex;
	char *category, *id;
};

struct classifier {
	size_t n_layers;
	struct rule_layer layers[2];
	size_t n_own;
	struct own *own;
};

/* ---- opening and closing ---- */

void
classify_close(struct classifier *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->n_layers; i++)
		classify_layer_free(&c->layers[i]);
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
	return classify_layer_parse(&c->layers[c->n_layers++], name, text, e);
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
in_range(const struct rule_range *r, unsigned n)
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
		const struct rule_range *c = &r->codes[i];
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
		const struct rule_range *part = r->statuses[i].part;

		if (in_range(&part[0], q->status.class) && in_range(&part[1], q->status.subject) &&
		    in_range(&part[2], q->status.detail))
			return true;
	}
	return false;
}

/* The first rule of the layer that fits, or NULL. */
static const struct rule *
ask(const struct rule_layer *l, const struct question *q)
{
	uint64_t bits[RULES_MAX / 64 + 1];
	size_t n = (l->n_patterns + 63) / 64;

	if (n == 0)
		return NULL;
	memcpy(bits, l->always, n * sizeof(*bits));
	words_find(l->words, q->text, bits);
	for (size_t k = 0; k < n; k++)
		for (uint64_t left = bits[k]; left != 0; left &= left - 1) {
			const struct rule_pattern *p =
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
test_layer(const struct rule_layer *l, const struct rule_test *t, struct buf *found)
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
		const struct rule_layer *l = &c->layers[i];

		for (size_t k = 0; k < l->n_tests; k++) {
			const struct rule_test *t = &l->tests[k];
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
