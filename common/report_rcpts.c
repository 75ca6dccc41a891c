#include "common/report_private.h"

#include "common/address.h"
#include "common/encoded_word.h"
#include "common/report_words.h"
#include "common/utf8.h"
#include "common/xalloc.h"

#define MAX_ORIGINALS 32 /* recipients in the original's To and Cc */

/* ---- recipients ---- */

struct report_rcpt *
report_new_rcpt(struct report_reader *rr)
{
	if (rr->n_rcpts == REPORT_MAX_RCPTS) {
		rr->truncated = true;
		return NULL;
	}
	rr->rcpts = xgrow(rr->rcpts, rr->n_rcpts, &rr->room, sizeof(*rr->rcpts));
	rr->rcpts[rr->n_rcpts] = (struct report_rcpt){ 0 };
	return &rr->rcpts[rr->n_rcpts++];
}

static bool
has_at(struct slice s)
{
	return slice_find(s, '@') < s.len;
}

/* The n-th address of a list header; false when there are no more. */
static bool
next_in_list(struct slice *rest, struct buf *addr)
{
	while (rest->len > 0) {
		size_t n = 0;
		bool quoted = false;
		struct slice one;

		while (n < rest->len && (quoted || rest->p[n] != ',')) {
			if (rest->p[n] == '"')
				quoted = !quoted;
			n++;
		}
		one = slice_head(*rest, n);
		*rest = slice_skip(*rest, n + 1);
		if (address_first(slice_head(one, MAX_VALUE), addr, NULL))
			return true;
	}
	return false;
}

struct slice
report_one_line(struct report_reader *rr, struct slice s)
{
	return report_clean(rr, s, REPORT_MAX_DIAGNOSTIC);
}

static bool
is_vague(struct slice status)
{
	return status.len < 5 || slice_endsi(status, SLICE_LIT(".0.0"));
}

/* What the diagnostic and the text for people add to a recipient of a DSN. */
static void
refine(struct report_reader *rr, struct report_rcpt *r)
{
	struct slice better = dsn_find_status(r->diagnostic);
	struct report_text_rcpt said = { 0 };
	char class = r->status.len > 0 ? r->status.p[0] : '\0';

	if (r->code == 0)
		r->code = dsn_find_code(r->diagnostic);
	if (is_vague(r->status) && better.len > 0 && (class == '\0' || class == better.p[0]) &&
	    !slice_endsi(better, SLICE_LIT(".0.0")))
		r->status = better;
	if (!is_vague(r->status) && r->diagnostic.len > 0)
		return;
	if (rr->found.n == 0)
		return;
	report_text_about(&rr->found, r->final.len > 0 ? r->final : r->rcpt, &said);
	if (said.reason.len == 0 && r->original.len > 0)
		report_text_about(&rr->found, r->original, &said);
	if (is_vague(r->status) && said.status.len > 0 &&
	    (class == '\0' || class == said.status.p[0]))
		r->status = report_keep(rr, said.status);
	if (r->diagnostic.len == 0 && said.reason.len > 0)
		r->diagnostic = report_one_line(rr, said.reason);
	if (r->code == 0)
		r->code = said.code;
}

static struct slice
address_of(struct report_reader *rr, struct slice value)
{
	dsn_address(value, &rr->address);
	if (!utf8_valid(buf_slice(&rr->address)))
		return report_clean(rr, buf_slice(&rr->address), MAX_VALUE);
	return report_keep(rr, buf_slice(&rr->address));
}

static enum dsn_action
action_of(const struct dsn_rcpt *d)
{
	if (d->action != DSN_ACTION_NONE)
		return d->action;
	if (d->status.len > 0 && d->status.p[0] == '4')
		return DSN_DELAYED;
	if (d->status.len > 0 && d->status.p[0] == '2')
		return DSN_DELIVERED;
	return DSN_FAILED;
}

bool
report_is_failure(enum dsn_action a)
{
	return a == DSN_FAILED || a == DSN_DELAYED;
}

bool
report_is_known(const struct report_reader *rr, struct slice rcpt)
{
	size_t from = rr->n_rcpts > 200 ? rr->n_rcpts - 200 : 0;

	for (size_t i = from; i < rr->n_rcpts; i++)
		if (slice_eqi(rr->rcpts[i].rcpt, rcpt))
			return true;
	return false;
}

static struct slice
preferred(const struct report_rcpt *r, struct slice actual)
{
	if (has_at(r->original))
		return r->original;
	if (has_at(actual))
		return actual;
	if (has_at(r->final))
		return r->final;
	return (struct slice){ "", 0 };
}

/* Without the message that stands behind it, where a boundary is missing. */
static struct slice
before_quote(struct slice s)
{
	size_t header;

	return slice_head(s, report_text_quote(s, &header));
}

/* All recipients of a delivery-status part. Returns how many have an address. */
size_t
report_read_dsn(struct report_reader *rr, struct slice part, struct report *out)
{
	struct dsn d;
	struct dsn_rcpt one;
	size_t addressed = 0;
	int rc;

	dsn_begin(&d, before_quote(part));
	while ((rc = dsn_next(&d, &one)) > 0) {
		struct report_rcpt r = { .action = action_of(&one) }, *to;

		r.original = address_of(rr, one.original);
		r.final = address_of(rr, one.final);
		r.rcpt = preferred(&r, address_of(rr, one.actual));
		if (r.rcpt.len > 0 && report_is_known(rr, r.rcpt))
			continue;
		r.status = report_keep(rr, one.status);
		r.diagnostic = report_one_line(rr, one.diagnostic);
		r.remote_mta = report_one_line(rr, one.remote_mta);
		if (report_is_failure(r.action))
			refine(rr, &r);
		if (r.rcpt.len == 0 && r.final.len == 0 && r.original.len == 0 &&
		    r.status.len == 0 && one.action == DSN_ACTION_NONE)
			continue;
		if ((to = report_new_rcpt(rr)) == NULL)
			break;
		*to = r;
		addressed += r.rcpt.len > 0;
	}
	rr->truncated = rr->truncated || rc < 0;
	out->reporting_mta = report_one_line(rr, d.reporting_mta);
	out->envelope_id = report_one_line(rr, d.envelope_id);
	return addressed;
}

/* ---- the message that it is about ---- */

struct slice
report_first_address(struct report_reader *rr, struct slice value)
{
	if (!address_first(slice_head(value, 4096), &rr->address, NULL))
		return (struct slice){ "", 0 };
	return report_clean(rr, buf_slice(&rr->address), MAX_VALUE);
}

void
report_take_returned(struct report_reader *rr, struct report *out, const struct returned *ret)
{
	out->message_id = report_clean(rr, report_without_brackets(ret->message_id), MAX_VALUE);
	out->signalpost_id =
	    report_clean(rr, report_without_brackets(ret->signalpost_id), MAX_VALUE);
	out->job = report_clean(rr, ret->job, MAX_VALUE);
	out->return_path = report_clean(rr, report_without_brackets(ret->return_path), MAX_VALUE);
	out->original_from = report_first_address(rr, ret->from);
	out->original_to = report_first_address(rr, ret->to);
	buf_clear(&rr->scratch);
	encoded_word_decode(&rr->scratch, slice_head(ret->subject, MAX_SUBJECT));
	out->original_subject = report_keep(rr, buf_slice(&rr->scratch));
}

/* How many recipients the original has in To and Cc, and the first of them. */
static size_t
original_rcpts(struct report_reader *rr, const struct returned *ret, struct slice *v)
{
	const struct slice lists[] = { ret->to, ret->cc };
	size_t n = 0;

	for (size_t i = 0; i < COUNT(lists); i++) {
		struct slice rest = slice_head(lists[i], (size_t)16 * 1024);

		while (n < MAX_ORIGINALS && next_in_list(&rest, &rr->address))
			v[n++] = report_clean(rr, buf_slice(&rr->address), MAX_VALUE);
	}
	return n;
}

/* The block of the quoted message in the text for people. */
void
report_returned_in_text(struct slice quoted, struct returned *ret)
{
	struct slice rest = quoted;

	*ret = (struct returned){ 0 };
	for (int paragraph = 0; paragraph < 6 && rest.len > 0; paragraph++) {
		const char *end;

		returned_read(ret, rest);
		if (ret->message_id.len > 0 || ret->known >= 3)
			return;
		while (rest.len > 0 && rest.p[0] == '\n')
			rest = slice_skip(rest, 1);
		end = memmem(rest.p, rest.len, "\n\n", 2);
		if (end == NULL)
			return;
		rest = slice_skip(rest, (size_t)(end - rest.p) + 2);
	}
}

/* "<a@b>" or "a@b" at the start of what stands behind the words; without an "@" it is a queue id.
 */
static struct slice
id_behind(struct slice s)
{
	size_t n = 0;

	while (s.len > 0 && memchr(" \t:=<\"'", s.p[0], 8) != NULL)
		s = slice_skip(s, 1);
	while (n < s.len && n < MAX_VALUE && (unsigned char)s.p[n] > ' ' && s.p[n] != '>')
		n++;
	s = slice_head(s, n);
	return has_at(s) ? s : slice_head(s, 0);
}

/*
 * The message's id where no header of it is returned: "Message-id: <...>" among what a text or
 * a DSN says of it, "The message identifier was: <...>".
 */
struct slice
report_message_id_in(struct slice s)
{
	static const char *const words[] = { "message-id", "message id", "message identifier is",
		"message identifier was", "message identifier", "nachrichten-id", "id du message" };
	struct slice line, id;

	s = slice_head(s, (size_t)16 * 1024);
	while (slice_line(&s, &line)) {
		line = slice_head(slice_trim(line), MAX_VALUE);
		if (slice_startsi(line, SLICE_LIT("the ")))
			line = slice_skip(line, 4);
		if (slice_startsi(line, SLICE_LIT("x-original-")))
			line = slice_skip(line, 11);
		else if (slice_startsi(line, SLICE_LIT("original-")))
			line = slice_skip(line, 9);
		for (size_t i = 0; i < COUNT(words); i++)
			if (slice_startsi(line, slice_str(words[i])) &&
			    (id = id_behind(slice_skip(line, strlen(words[i])))).len > 0)
				return id;
	}
	return slice_head(s, 0);
}

/* ---- a text for people ---- */

/* A text without a status: the class is known nevertheless. */
static struct slice
generic_status(unsigned code, enum dsn_action action)
{
	if (code >= 500)
		return SLICE_LIT("5.0.0");
	if (code >= 400 || action == DSN_DELAYED)
		return SLICE_LIT("4.0.0");
	return SLICE_LIT("5.0.0");
}

static struct report_rcpt *
text_rcpt(struct report_reader *rr, const struct report_text_rcpt *said, enum dsn_action action)
{
	struct report_rcpt *r;
	struct slice address = report_clean(rr, said->address, MAX_VALUE);

	if (report_is_known(rr, address))
		return NULL;
	r = report_new_rcpt(rr);
	if (r == NULL)
		return NULL;
	r->rcpt = r->final = address;
	r->status = report_keep(rr, said->status);
	r->code = said->code;
	/* "Deferred" in the subject, and a 550 in the text: that was the end of it. */
	r->action = r->code >= 500 ? DSN_FAILED : action;
	r->diagnostic = report_one_line(rr, said->reason);
	if (r->status.len == 0)
		r->status = generic_status(r->code, action);
	return r;
}

enum dsn_action
report_text_action(const struct report_reader *rr)
{
	struct slice subject = buf_slice(&rr->subject_lower), text = buf_slice(&rr->lower);

	if (report_words_delay_text(text) && !report_words_failure_text(text))
		return DSN_DELAYED;
	if (report_words_delay_subject(subject) && !report_words_failure_text(text) &&
	    !report_words_final_text(text))
		return DSN_DELAYED;
	return DSN_FAILED;
}

/* The whole text as the reason: "Delivery failed." about the only recipient that there was. */
static void
whole_text_rcpt(struct report_reader *rr, struct slice address, enum dsn_action action)
{
	struct report_text_rcpt said = { .address = address };

	said.status = dsn_find_status(rr->found.text);
	said.code = dsn_find_code(rr->found.text);
	said.reason = slice_head(slice_trim(rr->found.text), REPORT_MAX_DIAGNOSTIC);
	text_rcpt(rr, &said, action);
}

void
report_read_failed(struct report_reader *rr, enum dsn_action action)
{
	for (size_t i = 0; i < rr->head.n_failed; i++) {
		struct slice rest = slice_head(rr->head.failed[i], (size_t)256 * 1024);

		while (next_in_list(&rest, &rr->address)) {
			struct report_text_rcpt said;
			struct slice address = report_clean(rr, buf_slice(&rr->address), MAX_VALUE);

			report_text_about(&rr->found, address, &said);
			if (said.reason.len == 0 && rr->head.n_failed == 1 &&
			    slice_find(rr->head.failed[0], ',') == rr->head.failed[0].len) {
				whole_text_rcpt(rr, address, action);
				return;
			}
			if (text_rcpt(rr, &said, action) == NULL && rr->truncated)
				return;
		}
	}
}

static bool
is_one_of(struct slice s, const struct slice *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (slice_eqi(s, v[i]))
			return true;
	return false;
}

/* Recipients out of the text, those of the original's To only if any of them is there. */
void
report_read_text(struct report_reader *rr, const struct returned *ret, enum dsn_action action)
{
	struct slice originals[MAX_ORIGINALS];
	size_t n = original_rcpts(rr, ret, originals);
	struct report_text_rcpt said;
	bool filter = false;

	/* A line of the servers' talk and an address of its own need no proof. */
	if (rr->found.best == REPORT_TEXT_MENTIONED || rr->found.best == REPORT_TEXT_NAMED)
		for (size_t i = 0; i < rr->found.n && !filter; i++)
			filter = rr->found.found[i].rank == rr->found.best &&
			         is_one_of(rr->found.found[i].address, originals, n);
	while (report_text_next(&rr->found, &said) > 0) {
		if (filter && !is_one_of(said.address, originals, n))
			continue;
		if (text_rcpt(rr, &said, action) == NULL && rr->truncated)
			return;
	}
	if (rr->n_rcpts == 0 && n == 1)
		whole_text_rcpt(rr, originals[0], action);
	if (rr->n_rcpts > 0 || rr->found.n > 0)
		return;
	/* Who wrote to himself. */
	report_text_begin(&rr->found, buf_slice(&rr->text), NULL, 0);
	while (rr->found.best == REPORT_TEXT_FIRST && report_text_next(&rr->found, &said) > 0)
		text_rcpt(rr, &said, action);
}

/* "Final-Recipient:" in a text: a delivery-status part that has lost its header, or never had one.
 */
struct slice
report_fields_in_text(struct slice text)
{
	static const char *const starts[] = {
		"Final-Recipient:", "Original-Recipient:", "Reporting-MTA:"
	};
	struct slice rest = text, line, first = slice_head(text, 0);

	for (struct slice at = rest; slice_line(&rest, &line); at = rest) {
		for (size_t i = 0; i < COUNT(starts); i++) {
			if (!slice_startsi(line, slice_str(starts[i])))
				continue;
			if (first.len == 0)
				first = at;
			if (i < 2) /* a recipient: it is one */
				return first;
		}
	}
	return slice_head(text, 0);
}

/* Recipients that the DSN names without a domain, or not at all. */
void
report_find_missing(struct report_reader *rr, const struct returned *ret)
{
	struct slice originals[MAX_ORIGINALS];
	struct report_text_rcpt said;
	size_t n;

	for (size_t i = 0; i < rr->n_rcpts && rr->n_rcpts > 1; i++)
		if (rr->rcpts[i].rcpt.len == 0)
			rr->rcpts[i].rcpt =
			    rr->rcpts[i].final.len > 0 ? rr->rcpts[i].final : rr->rcpts[i].original;
	if (rr->n_rcpts != 1 || rr->rcpts[0].rcpt.len > 0)
		return;
	if (rr->head.n_failed == 1 &&
	    address_first(slice_head(rr->head.failed[0], MAX_VALUE), &rr->address, NULL)) {
		rr->rcpts[0].rcpt = report_clean(rr, buf_slice(&rr->address), MAX_VALUE);
		return;
	}
	/* A footer's address is behind "to" too. */
	if ((rr->found.best == REPORT_TEXT_FIRST || rr->rcpts[0].final.len == 0) &&
	    report_text_next(&rr->found, &said) > 0) {
		rr->rcpts[0].rcpt = report_clean(rr, said.address, MAX_VALUE);
		if (rr->rcpts[0].diagnostic.len == 0)
			rr->rcpts[0].diagnostic = report_one_line(rr, said.reason);
		return;
	}
	n = original_rcpts(rr, ret, originals);
	if (n == 1)
		rr->rcpts[0].rcpt = originals[0];
	else
		rr->rcpts[0].rcpt =
		    rr->rcpts[0].final.len > 0 ? rr->rcpts[0].final : rr->rcpts[0].original;
}
