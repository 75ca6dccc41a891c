/*
 * classify.h - what an SMTP reply or a DSN status means: SparkPost's bounce
 * class, PowerMTA's category and the id of the rule that said so.
 *
 *	struct classifier *c = classify_open(conf, &e);
 *	struct reply r;
 *	struct classification v;
 *
 *	reply_parse(line, &r);
 *	classify(c, &r, &v);		// v.bounce_class == 10, v.rule is "user-unknown"
 *	classify_close(c);
 *
 * Three layers are asked in turn and the first rule that matches counts: the
 * lines of <bounce-category-patterns>, the own rules (directive bounce-rules),
 * the shipped rules, which are compiled in. Rule files are described in
 * signalpost-bounce-rules(5). A classifier is immutable and may be used by
 * several threads at once.
 */
#ifndef COMMON_CLASSIFY_H
#define COMMON_CLASSIFY_H

#include "common/conf.h"
#include "common/err.h"
#include "common/reply.h"
#include "common/slice.h"

struct classifier;

struct classification {
	unsigned bounce_class;	/* SparkPost's number; 0: it is no failure (2xx) */
	const char *class_name; /* "Invalid Recipient" */
	const char *category;	/* PowerMTA's, "bad-mailbox", or one that <bounce-category-patterns> gives */
	const char *rule;	/* id of the rule; "FILE:LINE" for a line of <bounce-category-patterns> */
	bool hard;		/* 10, 30, 90: the recipient shall get no more mail */
};

/*
 * Load the rules that the configuration asks for; NULL stands for a
 * configuration that says nothing. The default file of own rules need not be
 * there, one that was named must. NULL and *e ("FILE:LINE: ...") on an error;
 * that the tests in the files hold is not looked at (classify_test()).
 */
struct classifier *classify_open(const struct conf *conf, struct err *e);

/* From memory, these rules alone; `name` stands for the file in errors. */
struct classifier *classify_parse(const char *name, struct slice rules, struct err *e);
void classify_close(struct classifier *c); /* NULL is fine */

/* Texts in *out are the classifier's. Text beyond 4 kB is not looked at. */
void classify(const struct classifier *c, const struct reply *r, struct classification *out);

/*
 * The same for the fields of a DSN, "5.1.1 (bad mailbox)" and "smtp; 550 User
 * unknown"; either may be empty. The status counts where the diagnostic has none
 * or only a vague one (x.0.0).
 */
void classify_dsn(const struct classifier *c, struct slice status, struct slice diagnostic,
    struct classification *out);

/*
 * The queue gave up after this temporary reply, whose class stands, as with
 * SparkPost; only where no host answered or the connection broke (categories
 * no-answer-from-host, bad-connection) 70 Transient Failure becomes 24 Timeout.
 */
void classify_expired(struct classification *v);

/* SparkPost's name of a class; NULL if there is no such class. */
const char *classify_name(unsigned bounce_class);

/*
 * Run the tests that stand in the rule files: each text must be caught by the
 * rule above it. Each failure is handed to `report`. Returns how many there were.
 */
size_t classify_test(
    const struct classifier *c, void (*report)(void *arg, const char *text), void *arg);

size_t classify_count_rules(const struct classifier *c);
size_t classify_count_tests(const struct classifier *c);

#endif
