/*
 * Rules: whatever the rule file, a reply gets a class that there is; and the rules
 * that are chosen by their words are those that trying each in turn finds.
 * Input: a rule file, an empty line with a '=' alone, a reply. Without one, the
 * whole is a reply for the shipped rules.
 */
#include <stdlib.h>

#include "common/bounce_rules.h"
#include "common/classify.h"
#include "common/pattern.h"
#include "common/required.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(bool good)
{
	if (!good)
		abort();
}

static void
answer(const struct classifier *c, struct slice line)
{
	struct classification v, again;
	struct reply r;

	reply_parse(line, &r);
	classify(c, &r, &v);
	check(v.class_name != NULL && v.category != NULL && v.rule != NULL);
	check(classify_name(v.bounce_class) == v.class_name);
	check(v.hard == (v.bounce_class == 10 || v.bounce_class == 30 || v.bounce_class == 90));
	classify(c, &r, &again);
	check(v.bounce_class == again.bounce_class && v.rule == again.rule);
	classify_dsn(c, slice_head(line, 8), line, &v);
	check(v.class_name != NULL);
	classify_expired(&v);
	check(v.class_name != NULL);
}

static bool
holds(struct slice text, struct slice word)
{
	for (size_t i = 0; i + word.len <= text.len; i++)
		if (slice_eqi((struct slice){ text.p + i, word.len }, word))
			return true;
	return false;
}

/* Where an expression matches, one of its words is there. */
static void
words_hold(struct slice regex, struct slice text)
{
	struct regex *r = regex_compile(regex, NULL);
	struct required need;
	bool found = false;

	if (r == NULL)
		return;
	required_words(regex, &need);
	for (size_t i = 0; i < need.n; i++)
		found |= holds(text, slice_str(need.word[i]));
	if (need.n > 0 && !found)
		check(!regex_match(r, text));
	required_free(&need);
	regex_free(r);
}

static size_t failed;

static void
count(void *arg, const char *text)
{
	(void)arg;
	(void)text;
	failed++;
}

static void
own_rules(struct slice rules, struct slice line)
{
	struct err e = { .text = "" };
	struct classifier *c = classify_parse("f", rules, &e);
	struct slice rest = rules, one;

	check((c == NULL) == (e.text[0] != '\0'));
	if (c != NULL) {
		answer(c, line);
		failed = 0;
		check(classify_test(c, count, NULL) == failed);
		check(failed <= classify_count_tests(c));
		classify_close(c);
	}
	/* Any line as an expression, shorter or longer. */
	while (slice_line(&rest, &one))
		words_hold(slice_trim(one), line);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct classifier *shipped;
	struct slice all = { (const char *)data, size }, rest = all, line;

	if (shipped == NULL)
		shipped = classify_parse("shipped", slice_str(bounce_rules), NULL);
	check(shipped != NULL);
	while (slice_line(&rest, &line))
		if (slice_eq(line, SLICE_LIT("="))) {
			own_rules(slice_head(all, (size_t)(line.p - all.p)), rest);
			return 0;
		}
	answer(shipped, all);
	return 0;
}
