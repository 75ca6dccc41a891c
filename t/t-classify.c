/*
 * classify: the shipped rules and their tests, real replies against labels, rule
 * files and what is wrong with them, the layers; and what is below it, the words
 * by which rules are chosen.
 */
#include "common/classify.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/bounce_rules.h"
#include "common/file.h"
#include "common/pattern.h"
#include "common/required.h"
#include "common/words.h"
#include "t/tap.h"

static const char *
source_file(const char *name)
{
	static char path[4096];
	const char *dir = getenv("srcdir");

	snprintf(path, sizeof(path), "%s/%s", dir == NULL ? "." : dir, name);
	return path;
}

static struct classification
ask(const struct classifier *c, const char *line)
{
	struct classification v;
	struct reply r;

	reply_parse(slice_str(line), &r);
	classify(c, &r, &v);
	return v;
}

/* ---- the shipped rules ---- */

static void
complain(void *arg, const char *text)
{
	(void)arg;
	printf("# %s\n", text);
}

static void
shipped(void)
{
	struct classifier *c;
	struct buf file;
	struct err e = { .text = "" };

	buf_init(&file, 1 << 20);
	ok(file_read(AT_FDCWD, source_file("etc/bounce-rules"), &file, &e) == 0,
	    "etc/bounce-rules %s", e.text);
	ok(strcmp(buf_str(&file), bounce_rules) == 0, "it is what is compiled in");
	buf_free(&file);
	c = classify_parse("etc/bounce-rules", slice_str(bounce_rules), &e);
	if (!ok(c != NULL, "they load %s", e.text))
		return;
	ok(classify_count_rules(c) > 100, "%zu rules", classify_count_rules(c));
	ok(classify_test(c, complain, NULL) == 0, "all of %zu tests in it hold",
	    classify_count_tests(c));
	classify_close(c);
}

/* Each rule has a test, else nobody knows whether it can be reached. */
static void
every_rule_is_tested(void)
{
	struct slice text = slice_str(bounce_rules), line, word;
	bool tested = true;
	char id[100] = "";
	size_t bad = 0;

	while (slice_line(&text, &line)) {
		struct slice rest = line;

		if (line.len == 0 || line.p[0] == '#' || !slice_word(&rest, &word))
			continue;
		if (line.p[0] == '\t') {
			tested |= word.p[0] != '/' && word.p[0] != '#';
			continue;
		}
		if (!tested)
			printf("# rule %s has no test\n", id);
		bad += !tested;
		snprintf(id, sizeof(id), "%.*s", SLICE_FMT(slice_head(word, 80)));
		tested = false;
	}
	ok(bad == 0 && tested, "every rule has a test");
}

/* ---- real replies, labelled by hand ---- */

/* One record of a CSV file (RFC 4180): fields[0..4]. */
static bool
csv_record(struct slice *rest, struct buf fields[5])
{
	bool quoted = false;
	size_t field = 0;

	for (size_t i = 0; i < 5; i++)
		buf_clear(&fields[i]);
	if (rest->len == 0)
		return false;
	while (rest->len > 0) {
		char c = rest->p[0];

		*rest = slice_skip(*rest, 1);
		if (c == '"' && quoted && rest->len > 0 && rest->p[0] == '"') {
			buf_addc(&fields[field], '"');
			*rest = slice_skip(*rest, 1);
		} else if (c == '"') {
			quoted = !quoted;
		} else if (c == ',' && !quoted && field < 4) {
			field++;
		} else if (c == '\n' && !quoted) {
			break;
		} else if (c != '\r') {
			buf_addc(&fields[field], c);
		}
	}
	return true;
}

/* The text with an address and a name where it has {{to}} and the like. */
static void
fill(struct slice text, struct buf *out)
{
	while (text.len > 0) {
		size_t n;

		if (slice_starts(text, SLICE_LIT("{{"))) {
			n = slice_find(text, '}');
			buf_adds(out, slice_starts(text, SLICE_LIT("{{ip4addr")) ? "192.0.2.1"
				      : slice_starts(text, SLICE_LIT("{{to"))    ? "joe@example.com"
				      : slice_starts(text, SLICE_LIT("{{verp"))
					  ? "b-joe=example.com@example.net"
					  : "4a5b6c");
			text = slice_skip(text, n + 2);
			continue;
		}
		buf_addc(out, text.p[0]);
		text = slice_skip(text, 1);
	}
}

static void
labelled_replies(void)
{
	struct classifier *c = classify_open(NULL, NULL);
	struct buf csv, labels, fields[5], reply;
	struct slice rows, marks, line;
	size_t n = 0, wrong = 0;
	struct err e = { .text = "" };

	buf_init(&csv, 1 << 20);
	buf_init(&labels, 1 << 20);
	buf_init(&reply, 1 << 16);
	for (size_t i = 0; i < 5; i++)
		buf_init(&fields[i], 1 << 16);
	ok(file_read(AT_FDCWD, source_file("t/data/replies.csv"), &csv, &e) == 0 &&
		file_read(AT_FDCWD, source_file("t/data/replies.labels"), &labels, &e) == 0,
	    "replies.csv and its labels %s", e.text);
	rows = buf_slice(&csv);
	marks = buf_slice(&labels);
	csv_record(&rows, fields); /* the header */
	while (slice_line(&marks, &line)) {
		struct slice number = slice_cut(&line, '\t'), label = slice_cut(&line, '\t');
		struct classification v;
		uint64_t row, want;

		if (!slice_uint(number, 10000, &row) || !slice_uint(label, 100, &want))
			continue;
		csv_record(&rows, fields);
		buf_clear(&reply);
		buf_printf(&reply, "%s %s ", buf_str(&fields[1]), buf_str(&fields[2]));
		fill(buf_slice(&fields[3]), &reply);
		v = ask(c, buf_str(&reply));
		n++;
		if (v.bounce_class == want && row == n)
			continue;
		wrong++;
		printf("# row %zu: class %u by %s, label %u: %s\n", n, v.bounce_class, v.rule,
		    (unsigned)want, buf_str(&reply));
	}
	ok(n == 400 && rows.len == 0, "%zu rows", n);
	ok(wrong == 0, "%zu rows are not what their labels say", wrong);
	buf_free(&csv);
	buf_free(&labels);
	buf_free(&reply);
	for (size_t i = 0; i < 5; i++)
		buf_free(&fields[i]);
	classify_close(c);
}

/* "10|21 550 ...": the classes that are right, and the reply. */
static void
made_replies(void)
{
	static const char *const files[] = { "t/data/reports-made/replies-1",
		"t/data/reports-made/replies-2", "t/data/reports-made/replies-3",
		"t/data/reports-made/replies-4", "t/data/reports-made/replies-5",
		"t/data/reports-made/replies-6", "t/data/reports-made/replies-7",
		"t/data/reports-made/replies-8", "t/data/reports-made/replies-9" };
	struct classifier *c = classify_open(NULL, NULL);
	struct err e = { .text = "" };

	for (size_t i = 0; i < COUNT(files); i++) {
		struct buf text;
		struct slice rest, line;
		size_t n = 0, wrong = 0;

		buf_init(&text, 1 << 20);
		if (!ok(file_read(AT_FDCWD, source_file(files[i]), &text, &e) == 0, "%s %s",
			files[i], e.text)) {
			buf_free(&text);
			continue;
		}
		rest = buf_slice(&text);
		while (slice_line(&rest, &line)) {
			struct slice labels, label;
			struct classification v;
			struct buf reply;
			bool right = false;

			if (line.len == 0 || line.p[0] == '#')
				continue;
			labels = slice_cut(&line, ' ');
			buf_init(&reply, 4096);
			buf_add(&reply, line);
			v = ask(c, buf_str(&reply));
			while (labels.len > 0) {
				uint64_t want;

				label = slice_cut(&labels, '|');
				right = right ||
				        (slice_uint(label, 100, &want) && want == v.bounce_class);
			}
			n++;
			wrong += !right;
			if (!right)
				printf("# class %u by %s: %s\n", v.bounce_class, v.rule,
				    buf_str(&reply));
			buf_free(&reply);
		}
		ok(n > 90 && wrong == 0, "%zu of %zu are not what their labels say", wrong, n);
		buf_free(&text);
	}
	classify_close(c);
}

/* ---- rule files ---- */

static const char small[] = "# comment\n"
			    "\n"
			    "both\t50 policy-related code=4xx,552 status=x.7.1,5.2.1-3 /alpha/\n"
			    "five 40 other code=5xx\n"
			    "\t/be[t]a/\n"
			    "\t# in between\n"
			    "\t/gam+a/\n"
			    "bare 1 other code=none status=none /delta/\n"
			    "nostatus 20 other status=none /delta/\n"
			    "status 22 quota-issues status=x.2.2\n"
			    "slash 54 relaying-issues /a/b c/\n"
			    "\t550 a/b c\n"
			    "rest 70 other code=4xx\n";

static void
conditions(void)
{
	static const struct {
		const char *reply;
		unsigned bounce_class;
		const char *rule, *category;
	} rows[] = {
		{ "450 4.7.1 ALPHA", 50, "both", "policy-related" },
		{ "552 5.7.1 x alpha x", 50, "both", "policy-related" },
		{ "552 5.2.3 alpha", 50, "both", "policy-related" },
		{ "552 5.2.4 alpha", 1, "none", "other" },
		{ "550 5.7.1 alpha", 1, "none", "other" },
		{ "550 beta", 40, "five", "other" },
		{ "550 gammma", 40, "five", "other" },
		{ "5.0.0 beta", 40, "five", "other" }, /* the status tells 5xx */
		{ "beta", 1, "none", "other" },
		{ "delta", 1, "bare", "other" },
		{ "550 delta", 20, "nostatus", "other" },
		{ "550 5.1.1 delta", 1, "none", "other" },
		{ "452 4.2.2 x", 22, "status", "quota-issues" },
		{ "550 a/b c", 54, "slash", "relaying-issues" },
		{ "421 x", 70, "rest", "other" },
		{ "", 1, "none", "other" },
	};
	struct err e = { .text = "" };
	struct classifier *c = classify_parse("small", slice_str(small), &e);

	if (!ok(c != NULL, "small rules %s", e.text))
		return;
	ok(classify_count_rules(c) == 7 && classify_count_tests(c) == 1, "7 rules, 1 test");
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct classification v = ask(c, rows[i].reply);

		if (!ok(v.bounce_class == rows[i].bounce_class &&
			    strcmp(v.rule, rows[i].rule) == 0 &&
			    strcmp(v.category, rows[i].category) == 0,
			"'%s' by %s", rows[i].reply, rows[i].rule))
			printf("# class %u, rule %s, category %s\n", v.bounce_class, v.rule,
			    v.category);
		ok(v.class_name != NULL && strcmp(v.class_name, classify_name(v.bounce_class)) == 0,
		    "name of '%s'", rows[i].reply);
	}
	classify_close(c);
}

static void
errors(void)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "\ttest\n",
		    "t:1: a line that begins with a blank belongs to a rule above it; there "
		    "is none" },
		{ "a 10\n",
		    "t:1: expected ID CLASS CATEGORY [code=CODE] [status=STATUS] [/REGEX/]" },
		{ "a 10 other\nA 10 other\n",
		    "t:2: 'A': an id or category is up to 63 of the characters a-z, 0-9 and '-'" },
		{ "a 10 Other\n", "t:1: 'Other': an id or category is up to 63 of the characters "
				  "a-z, 0-9 and '-'" },
		{ "a 11 other\n", "t:1: '11' is no bounce class" },
		{ "a x other\n", "t:1: 'x' is no bounce class" },
		{ "a 10 other\n\na 10 other\n", "t:3: rule a is there already, in line 1" },
		{ "a 10 other code=5x\n", "t:1: expected a code like 550 or 4xx, found '5x'" },
		{ "a 10 other code=\n", "t:1: expected a code like 550 or 4xx, found ''" },
		{ "a 10 other status=5.1\n",
		    "t:1: expected a status like 5.1.1 or x.7.1, found '5.1'" },
		{ "a 10 other status=5.1.1.1\n",
		    "t:1: expected a status like 5.1.1 or x.7.1, found '5.1.1.1'" },
		{ "a 10 other status=5.1.9-1\n",
		    "t:1: expected a status like 5.1.1 or x.7.1, found '5.1.9-1'" },
		{ "a 10 other code=1,2,3\n", "t:1: expected a code like 550 or 4xx, found '1'" },
		{ "a 10 other code=400,401,402,403,404,405,406,407,408\n",
		    "t:1: more than 8 alternatives in 'code=400,401,402,403,404,405,406,407,408'" },
		{ "a 10 other word\n", "t:1: expected code=, status= or a /REGEX/, found 'word'" },
		{ "a 10 other /x\n", "t:1: expected '/' at the end of the /REGEX/" },
		{ "a 10 other //\n", "t:1: expected '/' at the end of the /REGEX/" },
		{ "a 10 other\n\t/(/\n",
		    "t:2: regular expression: missing closing parenthesis at offset 1" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct err e = { .text = "" };
		struct classifier *c = classify_parse("t", slice_str(rows[i].text), &e);

		if (!ok(c == NULL && strcmp(e.text, rows[i].want) == 0, "%s", rows[i].want))
			printf("# %s\n", c == NULL ? e.text : "no error");
		classify_close(c);
	}
}

static void
keep(void *arg, const char *text)
{
	snprintf(arg, 512, "%s", text);
}

static void
failing_tests(void)
{
	static const char rules[] = "first 10 other /one/\n"
				    "second 20 other /two/\n"
				    "\t550 one two\n"
				    "\t550 two\n"
				    "third 20 other /three/\n"
				    "\t550 four\n";
	struct classifier *c = classify_parse("t", slice_str(rules), NULL);
	char text[512] = "";

	ok(classify_test(c, keep, text) == 2, "two tests fail");
	ok(strcmp(text, "t:6: rule third: no rule catches '550 four'") == 0, "%s", text);
	classify_close(c);
}

/* ---- the layers ---- */

#define OWN_RULES "own-rules.test"

static const char conf_text[] = "bounce-rules %s\n"
				"<bounce-category-patterns>\n"
				"	/^5\\.1\\.1;smtp;550/ my-mailboxes\n"
				"	/first/ spam-related\n"
				"	/quota/ policy-related\n"
				"	/mailbox full/ quota-issues\n"
				"</bounce-category-patterns>\n";

static void
layers(void)
{
	static const struct {
		const char *reply;
		unsigned bounce_class;
		const char *rule, *category;
	} rows[] = {
		/* A category of one's own: the class is that of the rules. */
		{ "550 5.1.1 user unknown", 10, "t.conf:3", "my-mailboxes" },
		/* PowerMTA's category: the class that goes with it, */
		{ "550 first", 51, "t.conf:4", "spam-related" },
		{ "552 5.2.2 over quota", 50, "t.conf:5", "policy-related" },
		/* but the rules know it more exactly. */
		{ "550 first spam content rejected", 52, "t.conf:4", "spam-related" },
		{ "552 mailbox full", 22, "t.conf:6", "quota-issues" },
		/* Then the own file, then the shipped rules. */
		{ "550 5.7.1 no such user, says the moon", 70, "moon", "other" },
		{ "550 5.7.1 no such user", 10, "user-unknown", "bad-mailbox" },
	};
	char path[4200], cwd[4000], text[8192];
	struct classifier *c;
	struct conf *conf;
	struct err e = { .text = "" };
	int dir = open(".", O_RDONLY | O_DIRECTORY);

	if (getcwd(cwd, sizeof(cwd)) == NULL || dir < 0 ||
	    file_replace(dir, OWN_RULES, SLICE_LIT("moon 70 other /the moon/\n"), 0600, &e) < 0) {
		ok(false, "rules in the working directory %s", e.text);
		return;
	}
	snprintf(path, sizeof(path), "%s/" OWN_RULES, cwd);
	snprintf(text, sizeof(text), conf_text, path);
	conf = conf_parse("/etc/t.conf", slice_str(text), &e);
	c = conf == NULL ? NULL : classify_open(conf, &e);
	ok(c != NULL, "own rules and patterns %s", e.text);
	unlinkat(dir, OWN_RULES, 0);
	if (c != NULL) {
		for (size_t i = 0; i < COUNT(rows); i++) {
			struct classification v = ask(c, rows[i].reply);

			if (!ok(v.bounce_class == rows[i].bounce_class &&
				    strcmp(v.rule, rows[i].rule) == 0 &&
				    strcmp(v.category, rows[i].category) == 0,
				"'%s' by %s", rows[i].reply, rows[i].rule))
				printf("# class %u, rule %s, category %s\n", v.bounce_class, v.rule,
				    v.category);
		}
		classify_close(c);
		c = classify_open(conf, &e);
		ok(c == NULL && strstr(e.text, OWN_RULES) != NULL,
		    "a file that was named must be there: %s", e.text);
	}
	conf_free(conf);
	close(dir);
}

static void
reports(void)
{
	static const struct {
		const char *status, *diagnostic;
		unsigned bounce_class;
	} rows[] = {
		{ "5.1.1 (bad destination mailbox address)", "", 10 },
		{ "5.0.0", "smtp; 550 5.0.0 <x@example.com>... User unknown", 10 },
		{ "4.2.2", "smtp; 452 sorry", 22 },
		{ "5.2.2", "smtp; 550 5.0.0 sorry", 22 },
		{ "5.1.1", "smtp; 552 5.2.2 sorry", 22 },
		{ "", "smtp; 550 User unknown", 10 },
		{ "4.4.7", "", 24 },
		{ "", "", 1 },
		{ "nonsense", "nonsense", 1 },
	};
	struct classifier *c = classify_open(NULL, NULL);

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct classification v;

		classify_dsn(c, slice_str(rows[i].status), slice_str(rows[i].diagnostic), &v);
		if (!ok(v.bounce_class == rows[i].bounce_class, "status '%s', '%s' is %u",
			rows[i].status, rows[i].diagnostic, rows[i].bounce_class))
			printf("# %u by %s\n", v.bounce_class, v.rule);
	}
	classify_close(c);
}

static void
given_up(void)
{
	static const struct {
		const char *reply;
		unsigned before, after;
	} rows[] = {
		{ "connect to mx.example.com[192.0.2.1]:25: Connection refused", 70, 24 },
		{ "lost connection with mx.example.com[192.0.2.1] while sending MAIL FROM", 70,
		    24 },
		{ "450 4.2.0 greylisted", 70, 70 },
		{ "452 4.2.2 mailbox full", 22, 22 },
		{ "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred", 51, 51 },
	};
	struct classifier *c = classify_open(NULL, NULL);

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct classification v = ask(c, rows[i].reply);
		unsigned before = v.bounce_class;

		classify_expired(&v);
		ok(before == rows[i].before && v.bounce_class == rows[i].after &&
			strcmp(v.class_name, classify_name(rows[i].after)) == 0,
		    "%s: %u, given up %u", rows[i].reply, before, v.bounce_class);
	}
	classify_close(c);
}

static void
hardness(void)
{
	struct classifier *c = classify_parse("t",
	    SLICE_LIT(
		"a 10 other /a/\nb 30 other /b/\nc 90 other /c/\nd 22 other /d/\ne 51 other /e/\n"),
	    NULL);

	ok(ask(c, "a").hard && ask(c, "b").hard && ask(c, "c").hard, "10, 30, 90 are hard");
	ok(!ask(c, "d").hard && !ask(c, "e").hard && !ask(c, "x").hard, "others are not");
	ok(classify_name(10) != NULL && classify_name(11) == NULL, "names of classes");
	classify_close(c);
}

/* ---- the words of an expression ---- */

static void
words_of_expressions(void)
{
	static const struct {
		const char *regex, *want;
	} rows[] = {
		{ "User unknown", "user unknown" },
		{ "a|bc", "a bc" },
		{ "over ?quota", "quota" },
		{ "colou?rs?", "colo" },
		{ "ab+cd", "ab" },
		{ "x(?:one|two)y", "one two" },
		{ "(?:one|two)?xy", "xy" },
		{ "(?:one|tw)longer", "longer" },
		{ "foo.{0,30}barbaz", "barbaz" },
		{ "fo{2}b", "fo" },
		{ "fo{0,2}b", "f" },
		{ "fob{2|bad", "" },
		{ "fob{}bad", "" },
		{ "\\bfoo\\b", "foo" },
		{ "a\\.b", "a.b" },
		{ "[abc]de[^]]f", "de" },
		{ "(?!no)yes", "yes" },
		{ "(?=yes)..", "" },
		{ "\\d+", "" },
		{ "a|", "" },
		{ "a|\\d", "" },
		{ "(?i)abc", "" },
		{ "\\x41", "" },
		{ "", "" },
		{ "\\Qa.b\\E", "" },
		{ "averyveryverylongword", "averyveryver" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct required r;
		struct buf got;

		required_words(slice_str(rows[i].regex), &r);
		buf_init(&got, 1000);
		for (size_t k = 0; k < r.n; k++)
			buf_printf(&got, "%s%s", k > 0 ? " " : "", r.word[k]);
		if (!ok(strcmp(buf_str(&got), rows[i].want) == 0, "words of /%s/", rows[i].regex))
			printf("# '%s', not '%s'\n", buf_str(&got), rows[i].want);
		buf_free(&got);
		required_free(&r);
	}
}

static void
finding_words(void)
{
	static const char *const list[] = { "he", "she", "his", "hers", "she", "x", "err" };
	static const char *const texts[] = { "ushers", "HIS", "this is hERs", "", "shehis",
		"herr x" };
	struct words *w = words_new();

	for (unsigned i = 0; i < COUNT(list); i++)
		words_add(w, list[i], i);
	words_ready(w);
	for (size_t t = 0; t < COUNT(texts); t++) {
		uint64_t bits = 0, want = 0;

		words_find(w, slice_str(texts[t]), &bits);
		for (unsigned i = 0; i < COUNT(list); i++)
			if (strcasestr(texts[t], list[i]) != NULL)
				want |= (uint64_t)1 << i;
		ok(bits == want, "words in '%s'", texts[t]);
	}
	words_free(w);
}

int
main(void)
{
	shipped();
	every_rule_is_tested();
	labelled_replies();
	made_replies();
	conditions();
	errors();
	failing_tests();
	layers();
	reports();
	given_up();
	hardness();
	words_of_expressions();
	finding_words();
	return tap_done();
}
