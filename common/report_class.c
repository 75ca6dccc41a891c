#include "common/report_class.h"

#include "common/ascii.h"

#define TEXT_MAX 4096 /* more is not classified */

/* Undetermined, soft and generic: another text may know more. */
static bool
is_vague(unsigned bounce_class)
{
	return bounce_class == 1 || bounce_class == 20 || bounce_class == 30 ||
	       bounce_class == 40 || bounce_class == 0;
}

/* A code and a status, and no word with them. */
static bool
is_bare(struct slice diagnostic)
{
	struct reply r;

	reply_parse(diagnostic, &r);
	for (size_t i = 0; i < r.text.len; i++)
		if (ascii_is_alnum(r.text.p[i]) || (unsigned char)r.text.p[i] >= 0x80)
			return false;
	return true;
}

static void
set(struct classification *out, unsigned bounce_class, const char *category, const char *rule)
{
	*out = (struct classification){ .bounce_class = bounce_class,
		.class_name = classify_name(bounce_class),
		.category = category,
		.rule = rule };
}

static bool
says(struct slice s, const char *words)
{
	return s.len > 0 && memmem(s.p, s.len, words, strlen(words)) != NULL;
}

/* "Returned mail: User unknown" (sendmail), "DELIVERY FAILURE: ..." (Domino). */
static struct slice
reason_in_subject(struct slice subject)
{
	static const char *const leads[] = { "returned mail:", "delivery failure:" };

	for (size_t i = 0; i < COUNT(leads); i++)
		if (slice_startsi(subject, slice_str(leads[i])))
			return slice_trim(slice_skip(subject, strlen(leads[i])));
	return slice_head(subject, 0);
}

void
report_class(const struct classifier *c, const struct report *r, const struct report_rcpt *rcpt,
    struct classification *out)
{
	const struct slice texts[] = { r->before, r->text, reason_in_subject(r->subject) };
	struct classification other;
	bool vague;

	if (rcpt->action == DSN_DELIVERED || rcpt->action == DSN_RELAYED ||
	    rcpt->action == DSN_EXPANDED) {
		set(out, 0, "success", "action");
		return;
	}
	classify_dsn(c, rcpt->status, rcpt->diagnostic, out);
	/* 5.7.1 alone: refused, but the text may say what for. */
	vague =
	    is_vague(out->bounce_class) || (out->bounce_class == 50 && is_bare(rcpt->diagnostic));
	/* The text speaks of the others too: it is asked only where a status says nothing. */
	if (r->n_rcpts > 1 && rcpt->status.len > 0 && !slice_endsi(rcpt->status, SLICE_LIT(".0.0")))
		vague = false;
	for (size_t i = 0; i < COUNT(texts) && vague; i++) {
		if (texts[i].len == 0 || (i > 0 && slice_eq(texts[i], texts[i - 1])))
			continue;
		classify_dsn(c, (struct slice){ 0 }, slice_head(texts[i], TEXT_MAX), &other);
		if (is_vague(other.bounce_class))
			continue;
		*out = other;
		vague = false;
	}
	if (vague && rcpt->code >= 500 && r->n_rcpts == 1 && r->text.len > 0) {
		/* At which command it was refused stands before the code. */
		struct reply all = { .text = slice_head(r->text, TEXT_MAX) };

		all.raw = all.text;
		classify(c, &all, &other);
		if (other.bounce_class == 50)
			*out = other;
	}
	if (rcpt->action == DSN_DELAYED && out->bounce_class != 22 && out->bounce_class != 21)
		set(out, 70, out->category, "action");
	/* To the end Postfix was refused at the greeting: the other host has something against us.
	 */
	if (rcpt->action == DSN_FAILED && (out->bounce_class == 70 || out->bounce_class == 40) &&
	    says(rcpt->diagnostic, "refused to talk to me"))
		set(out, 50, "policy-related", "refused-early");
	if (rcpt->action == DSN_FAILED && out->bounce_class == 70) {
		classify_expired(out);
		if (out->bounce_class == 70) /* given up after a temporary reply */
			set(out, 24, "message-expired", "action");
	}
	if (out->bounce_class == 0)
		set(out, 40, "other", "action");
}
