#include "common/report.h"

#include <stdlib.h>

#include "common/address.h"
#include "common/arf.h"
#include "common/encoded_word.h"
#include "common/header.h"
#include "common/report_private.h"
#include "common/report_words.h"
#include "common/xalloc.h"

struct report_reader *
report_open(void)
{
	struct report_reader *rr = xcalloc(1, sizeof(*rr));

	buf_init(&rr->copy, REPORT_MAX_COPY);
	buf_init(&rr->folded, MAX_HEADER);
	buf_init(&rr->decoded, REPORT_MAX_PART);
	buf_init(&rr->decoded_returned, RETURNED_MAX_BYTES);
	buf_init(&rr->text, REPORT_MAX_TEXT);
	buf_init(&rr->lower, 16 * 1024);
	buf_init(&rr->scratch, REPORT_MAX_PART);
	buf_init(&rr->address, MAX_VALUE);
	buf_init(&rr->from_addr, MAX_VALUE);
	buf_init(&rr->from_name, MAX_VALUE);
	buf_init(&rr->to_addr, MAX_VALUE);
	buf_init(&rr->subject_lower, MAX_SUBJECT);
	return rr;
}

void
report_close(struct report_reader *rr)
{
	if (rr == NULL)
		return;
	report_drop_strings(rr);
	charset_cache_close(&rr->charsets);
	free(rr->chunks);
	buf_free(&rr->copy);
	buf_free(&rr->folded);
	buf_free(&rr->decoded);
	buf_free(&rr->decoded_returned);
	buf_free(&rr->text);
	buf_free(&rr->lower);
	buf_free(&rr->scratch);
	buf_free(&rr->address);
	buf_free(&rr->from_addr);
	buf_free(&rr->from_name);
	buf_free(&rr->to_addr);
	buf_free(&rr->subject_lower);
	free(rr->rcpts);
	free(rr);
}

const char *
report_kind_name(enum report_kind kind)
{
	static const char *const names[] = {
		[REPORT_ORDINARY] = "ordinary",
		[REPORT_BOUNCE] = "bounce",
		[REPORT_SUCCESS] = "success",
		[REPORT_FEEDBACK] = "feedback",
		[REPORT_AUTH_FAILURE] = "auth-failure",
		[REPORT_AUTO_REPLY] = "auto-reply",
		[REPORT_CHALLENGE] = "challenge",
		[REPORT_SUBSCRIBE] = "subscribe",
		[REPORT_UNSUBSCRIBE] = "unsubscribe",
	};

	return names[kind];
}

/* ---- who sent it ---- */

static bool
is_null_path(const struct report_head *h)
{
	struct slice path = slice_trim(h->return_path);

	if (!h->has_return_path)
		return false;
	return path.len == 0 || slice_eq(path, SLICE_LIT("<>")) ||
	       slice_startsi(path, SLICE_LIT("<mailer-daemon")) ||
	       slice_startsi(path, SLICE_LIT("mailer-daemon"));
}

static void
read_sender(struct report_reader *rr, const struct report_parts *ps, struct report_sender *s)
{
	struct slice from;
	struct buf lower;

	buf_init(&lower, MAX_VALUE);
	address_first(slice_head(rr->head.from, 4096), &rr->from_addr, &rr->from_name);
	address_first(slice_head(rr->head.to, 4096), &rr->to_addr, NULL);
	buf_clear(&rr->scratch);
	encoded_word_decode(&rr->scratch, slice_head(rr->head.subject, MAX_SUBJECT));
	buf_clear(&rr->subject_lower);
	report_lower(&rr->subject_lower, buf_slice(&rr->scratch));

	*s = (struct report_sender){ 0 };
	from = rr->from_addr.len > 0 ? buf_slice(&rr->from_addr)
	                             : report_without_brackets(rr->head.from);
	report_lower(&lower, from);
	s->daemon =
	    report_words_daemon(buf_slice(&lower)) || (rr->head.from.len > 0 && from.len == 0);
	buf_clear(&lower);
	report_lower(&lower, slice_head(rr->head.from, MAX_VALUE));
	s->daemon = s->daemon || report_words_system(buf_slice(&lower));
	s->null_path = is_null_path(&rr->head);
	s->machine = s->daemon || s->null_path || rr->head.n_failed > 0 || ps->report;
	s->forward = report_words_forward_subject(buf_slice(&rr->subject_lower));
	s->bounce_subject = report_words_bounce_subject(buf_slice(&rr->subject_lower));
	buf_free(&lower);
}

/* ---- what it is ---- */

static void
find_in_text(struct report_reader *rr)
{
	struct slice skip[] = { buf_slice(&rr->to_addr), buf_slice(&rr->from_addr),
		report_without_brackets(rr->head.delivered_to),
		report_without_brackets(rr->head.reply_to) };

	report_text_begin(&rr->found, buf_slice(&rr->text), skip, COUNT(skip));
}

static void
finish(struct report_reader *rr, struct report *out, enum report_kind kind, const char *format)
{
	out->kind = kind;
	out->format = format;
	out->rcpts = rr->rcpts;
	out->n_rcpts = rr->n_rcpts;
	out->truncated = out->truncated || rr->truncated;
}

static bool
any_failure(const struct report_reader *rr)
{
	for (size_t i = 0; i < rr->n_rcpts; i++)
		if (report_is_failure(rr->rcpts[i].action))
			return true;
	return false;
}

static bool
as_dsn(struct report_reader *rr, const struct report_parts *ps, const struct report_sender *s,
    const struct returned *ret, struct report *out)
{
	if (!ps->has_dsn && !(ps->has_inner_dsn && s->machine && !s->forward))
		return false;
	if (ps->has_dsn && s->forward && !s->machine)
		return false;
	report_read_dsn(rr, ps->has_dsn ? ps->dsn : ps->inner_dsn, out);
	if (rr->n_rcpts == 0)
		return false;
	report_find_missing(rr, ret);
	finish(rr, out, any_failure(rr) ? REPORT_BOUNCE : REPORT_SUCCESS, "dsn");
	return true;
}

/*
 * Some systems send reports from ordinary addresses. With the message goes who reports, while
 * people pass on a report: then what is attached comes from a mail system.
 */
static bool
returns_a_message(
    struct report_reader *rr, const struct report_parts *ps, const struct returned *ret)
{
	struct slice from = ret->from;
	struct buf lower;
	bool daemon;

	if ((!ps->has_returned && rr->found.quoted.len == 0) || ret->fields == 0 ||
	    (rr->found.n > 0 && rr->found.best < REPORT_TEXT_NAMED))
		return false;
	address_first(slice_head(from, 4096), &rr->address, NULL);
	buf_init(&lower, MAX_VALUE);
	report_lower(&lower, buf_slice(&rr->address));
	daemon = report_words_daemon(buf_slice(&lower));
	buf_free(&lower);
	return !daemon && from.len > 0;
}

/* A delivery-status part in the text, and the returned message behind it. */
static bool
as_fields_in_text(struct report_reader *rr, struct returned *ret, struct report *out)
{
	struct slice fields = report_fields_in_text(buf_slice(&rr->text));
	struct returned behind;
	size_t header;

	if (fields.len == 0)
		return false;
	report_text_quote(fields, &header);
	report_returned_in_text(slice_skip(fields, header), &behind);
	if (behind.message_id.len > 0) {
		*ret = behind;
		report_take_returned(rr, out, ret);
	}
	report_read_dsn(rr, fields, out);
	report_find_missing(rr, ret);
	if (rr->n_rcpts == 0 || rr->rcpts[0].rcpt.len == 0) {
		rr->n_rcpts = 0;
		return false;
	}
	finish(rr, out, any_failure(rr) ? REPORT_BOUNCE : REPORT_SUCCESS, "dsn");
	return true;
}

static bool
as_text(struct report_reader *rr, const struct report_parts *ps, const struct report_sender *s,
    struct returned *ret, struct report *out)
{
	enum dsn_action action = report_text_action(rr);

	if ((ps->has_mdn && !report_words_rejected_text(buf_slice(&rr->lower))) ||
	    (s->forward && !s->daemon))
		return false;
	if (!s->machine && !(s->bounce_subject && report_words_bounce_text(buf_slice(&rr->lower)) &&
			       returns_a_message(rr, ps, ret)))
		return false;
	if (rr->head.n_failed == 0 && !s->bounce_subject &&
	    !report_words_bounce_text(buf_slice(&rr->lower)))
		return false;
	if (as_fields_in_text(rr, ret, out))
		return true;
	report_read_failed(rr, action);
	/* An address in a sentence is little to go by. */
	if (rr->n_rcpts == 0 && (s->daemon || s->null_path || rr->found.n == 0 ||
				    rr->found.best > REPORT_TEXT_MENTIONED))
		report_read_text(rr, ret, action);
	if (rr->n_rcpts == 0)
		return false;
	finish(rr, out, REPORT_BOUNCE, "text");
	return true;
}

/* ---- feedback ---- */

static void
feedback_rcpt(struct report_reader *rr, struct slice address)
{
	struct report_rcpt *r;

	if (report_is_known(rr, address) || (r = report_new_rcpt(rr)) == NULL)
		return;
	r->rcpt = r->original = address;
}

/* Many reports name nobody; what the message says itself is better than nothing. */
static void
feedback_from_original(struct report_reader *rr, const struct returned *ret)
{
	const struct slice fields[] = { ret->complained, ret->delivered_to, ret->to };

	for (size_t i = 0; i < COUNT(fields) && rr->n_rcpts == 0; i++) {
		struct slice address = report_first_address(rr, fields[i]);

		if (address.len > 0 && !arf_is_redacted(address))
			feedback_rcpt(rr, address);
	}
}

static bool
as_feedback(struct report_reader *rr, const struct report_parts *ps, const struct returned *ret,
    struct report *out)
{
	struct arf a;
	struct slice value;
	bool auth;

	if (!ps->has_arf)
		return false;
	arf_read(&a, ps->arf);
	if (a.fields == 0)
		return false;
	buf_clear(&rr->address);
	report_lower(&rr->address, slice_head(header_token(a.type), 64));
	out->feedback_type = rr->address.len > 0 ? report_clean(rr, buf_slice(&rr->address), 64)
	                                         : SLICE_LIT("abuse");
	out->user_agent = report_one_line(rr, a.user_agent);
	out->source_ip = report_one_line(rr, slice_head(a.source_ip, 128));
	out->reported_domain = report_one_line(rr, slice_head(a.reported_domain, MAX_VALUE));
	out->feedback_id = report_one_line(rr, slice_head(a.feedback_id, MAX_VALUE));
	out->arrival = report_one_line(rr, slice_head(a.arrival, 128));
	out->envelope_id = report_one_line(rr, slice_head(a.envelope_id, MAX_VALUE));
	out->reporting_mta = report_one_line(rr, slice_head(a.reporting_mta, MAX_VALUE));
	if (a.mail_from.len > 0)
		out->return_path =
		    report_clean(rr, report_without_brackets(a.mail_from), MAX_VALUE);
	while (arf_next_rcpt(&a, &value)) {
		arf_address(value, &rr->address);
		value = report_clean(rr, buf_slice(&rr->address), MAX_VALUE);
		if (value.len > 0)
			feedback_rcpt(rr, value);
	}
	feedback_from_original(rr, ret);
	auth = slice_startsi(out->feedback_type, SLICE_LIT("auth-failure")) ||
	       slice_startsi(out->feedback_type, SLICE_LIT("dmarc")) ||
	       slice_startsi(out->feedback_type, SLICE_LIT("dkim"));
	finish(rr, out, auth ? REPORT_AUTH_FAILURE : REPORT_FEEDBACK, "arf");
	return true;
}

static const char *const complaint_senders[] = { "staff@hotmail.com", "staff@outlook.com",
	"staff@live.com", "scomp@aol.net", "scomp@aol.com" };

/* Hotmail's reports of old, and AOL's: the message alone, in a mail from a certain address. */
static bool
as_jmrp(struct report_reader *rr, const struct report_parts *ps, const struct returned *ret,
    struct report *out)
{
	struct slice from = buf_slice(&rr->from_addr);
	bool sender = false;

	for (size_t i = 0; i < COUNT(complaint_senders); i++)
		sender = sender || slice_eqi(from, slice_str(complaint_senders[i]));
	if (slice_startsi(
		buf_slice(&rr->subject_lower), SLICE_LIT("complaint about message from")) ||
	    slice_eqi(slice_trim(rr->head.x_loop), SLICE_LIT("scomp")))
		sender = sender || ps->has_returned;
	if (ret->complained.len == 0 && !sender)
		return false;
	if (!ps->has_returned)
		return false;
	feedback_from_original(rr, ret);
	out->feedback_type = SLICE_LIT("abuse");
	finish(rr, out, REPORT_FEEDBACK, "jmrp");
	return true;
}

/* ---- the operator's own patterns ---- */

void
report_set_patterns(struct report_reader *rr, const struct report_patterns *bounce,
    const struct report_patterns *feedback)
{
	rr->bounce_patterns = bounce;
	rr->feedback_patterns = feedback;
}

static void
pattern_rcpt(struct report_reader *rr, const struct report_match *m, struct report_rcpt *r)
{
	struct slice status = dsn_find_status(m->status.len > 0 ? m->status : m->diag);

	dsn_address(m->rcpt, &rr->address);
	r->rcpt = r->final = report_clean(rr, buf_slice(&rr->address), MAX_VALUE);
	r->status = report_keep(rr, status);
	r->code = dsn_find_code(m->code.len > 0 ? m->code : m->diag);
	r->action = status.len > 0 && status.p[0] == '4' ? DSN_DELAYED : DSN_FAILED;
	r->diagnostic = report_one_line(rr, m->diag);
}

static bool
as_pattern(struct report_reader *rr, struct report *out)
{
	const struct report_patterns *const lists[] = { rr->bounce_patterns,
		rr->feedback_patterns };
	static const enum report_kind kinds[] = { REPORT_BOUNCE, REPORT_FEEDBACK };
	struct report_match m;

	for (size_t i = 0; i < COUNT(lists); i++) {
		struct report_rcpt *r;

		if (lists[i] == NULL || !report_patterns_match(lists[i], buf_slice(&rr->text), &m))
			continue;
		if (m.rcpt.len > 0 && (r = report_new_rcpt(rr)) != NULL)
			pattern_rcpt(rr, &m, r);
		if (m.mta.len > 0)
			out->reporting_mta = report_one_line(rr, m.mta);
		if (m.orig.len > 0)
			out->return_path =
			    report_clean(rr, report_without_brackets(m.orig), MAX_VALUE);
		if (m.message_id.len > 0)
			out->message_id =
			    report_clean(rr, report_without_brackets(m.message_id), MAX_VALUE);
		out->source_ip = report_one_line(rr, m.source_ip);
		out->reported_domain = report_one_line(rr, m.domain_from);
		if (kinds[i] == REPORT_FEEDBACK)
			out->feedback_type = SLICE_LIT("abuse");
		out->pattern = m.where;
		finish(rr, out, kinds[i], "pattern");
		return true;
	}
	return false;
}

/* ---- automatic answers ---- */

static bool
is_auto_reply(const struct report_reader *rr, const struct report_sender *s)
{
	const struct report_head *h = &rr->head;
	struct slice subject = buf_slice(&rr->subject_lower);
	bool by_subject = report_words_auto_subject(subject);
	bool answered = slice_startsi(h->auto_submitted, SLICE_LIT("auto-replied"));

	if (answered && slice_find(h->auto_submitted, ';') < h->auto_submitted.len)
		return true; /* "auto-replied; vacation" */
	if (answered || h->x_auto.len > 0)
		return !slice_eqi(slice_trim(h->x_auto), SLICE_LIT("no"));
	if (slice_startsi(h->precedence, SLICE_LIT("auto_reply")) ||
	    slice_startsi(h->precedence, SLICE_LIT("auto-reply")))
		return true;
	if (by_subject)
		return true;
	return (s->null_path || slice_startsi(h->auto_submitted, SLICE_LIT("auto-generated"))) &&
	       !s->daemon && report_words_auto_text(buf_slice(&rr->lower));
}

static enum report_kind
automatic_kind(const struct report_reader *rr, const struct report_sender *s)
{
	struct slice subject = buf_slice(&rr->subject_lower);

	if (rr->head.apple_unsubscribe.len > 0 ||
	    slice_eq(slice_trim(subject), SLICE_LIT("unsubscribe")))
		return REPORT_UNSUBSCRIBE;
	if (slice_eq(slice_trim(subject), SLICE_LIT("subscribe")))
		return REPORT_SUBSCRIBE;
	if (is_auto_reply(rr, s))
		return REPORT_AUTO_REPLY;
	return REPORT_ORDINARY;
}

/* "Confirm that you are human": they look like bounces, since they say that the mail was not
 * delivered. */
static bool
is_challenge(const struct report_reader *rr, const struct report_parts *ps)
{
	if (ps->has_dsn || rr->head.n_failed > 0)
		return false;
	return report_words_challenge(buf_slice(&rr->subject_lower)) ||
	       (report_words_challenge(buf_slice(&rr->lower)) &&
		   dsn_find_code(rr->found.text) == 0 &&
		   (rr->head.auto_submitted.len > 0 || is_null_path(&rr->head) ||
		       rr->head.x_auto.len > 0 || rr->head.precedence.len > 0));
}

/* ---- the mail ---- */

/* Mail that was stored with CR as its line end, as some systems of old have it. */
static bool
has_lone_cr(struct slice mail)
{
	const char *cr = mail.len > 0 ? memchr(mail.p, '\r', mail.len) : NULL;
	size_t at = cr == NULL ? 0 : (size_t)(cr - mail.p);

	if (cr == NULL || (at + 1 < mail.len && mail.p[at + 1] == '\n'))
		return false;
	/* One in a line that ends otherwise is no line end. */
	return slice_find(mail, '\n') > at;
}

/*
 * A line that ends in CR CR LF: a gateway has put a CR before each LF, although there was one. Not
 * each line has to: who took the mail from it has added some to its header.
 */
static bool
has_doubled_cr(struct slice mail)
{
	size_t n;

	/* Line by line, since a search for the three bytes takes longer. */
	for (; mail.len > 0; mail = slice_skip(mail, n + 1)) {
		n = slice_find(mail, '\n');
		if (n >= 2 && n < mail.len && mail.p[n - 1] == '\r' && mail.p[n - 2] == '\r')
			return true;
	}
	return false;
}

static bool
is_before_header(struct slice line)
{
	return slice_trim(line).len == 0 || slice_starts(line, SLICE_LIT("From ")) ||
	       slice_starts(line, SLICE_LIT(">From "));
}

static struct slice
without_bom(struct slice mail)
{
	return slice_starts(mail, SLICE_LIT("\xef\xbb\xbf")) ? slice_skip(mail, 3) : mail;
}

static struct slice
start_of(struct report_reader *rr, struct slice mail)
{
	struct slice rest, line;

	buf_clear(&rr->copy);
	if (has_lone_cr(mail) || has_doubled_cr(slice_head(mail, REPORT_MAX_COPY))) {
		report_add_lines(&rr->copy, slice_head(mail, REPORT_MAX_COPY));
		mail = buf_slice(&rr->copy);
	}
	mail = without_bom(mail);
	/* Empty lines before the header are not the end of it, nor is mbox's line a part of it. */
	for (rest = mail; slice_line(&rest, &line) && is_before_header(line); mail = rest)
		;
	mail = without_bom(mail);
	return mail;
}

static void
decide(struct report_reader *rr, const struct report_parts *ps, const struct report_sender *s,
    struct returned *ret, struct report *out)
{
	enum report_kind automatic;

	if (as_feedback(rr, ps, ret, out) || as_jmrp(rr, ps, ret, out))
		return;
	if (is_challenge(rr, ps)) {
		finish(rr, out, REPORT_CHALLENGE, "challenge");
		return;
	}
	if (as_dsn(rr, ps, s, ret, out))
		return;
	rr->n_rcpts = 0;
	automatic = automatic_kind(rr, s);
	if (automatic == REPORT_UNSUBSCRIBE || automatic == REPORT_SUBSCRIBE ||
	    (automatic == REPORT_AUTO_REPLY &&
		report_words_auto_subject(buf_slice(&rr->subject_lower)) &&
		rr->head.n_failed == 0)) {
		finish(rr, out, automatic, "auto");
		return;
	}
	if (as_text(rr, ps, s, ret, out))
		return;
	rr->n_rcpts = 0;
	if (as_pattern(rr, out))
		return;
	if (ps->has_mdn)
		automatic = REPORT_ORDINARY;
	else if (s->daemon && s->bounce_subject && !s->forward)
		automatic = REPORT_BOUNCE; /* whose failed is not known */
	finish(rr, out, automatic,
	    automatic == REPORT_BOUNCE     ? "text"
	    : automatic == REPORT_ORDINARY ? ""
					   : "auto");
}

/*
 * A gateway that wraps reports says itself that it is a mail system, and so does what it wraps;
 * a person who passes one on does not.
 */
static bool
wraps_a_report(
    struct report_reader *rr, const struct report_parts *ps, const struct report_sender *s)
{
	struct returned wrapped = { 0 };
	struct buf lower;
	bool daemon;

	if (!ps->has_message || ps->has_dsn || ps->has_arf || rr->head.n_failed > 0 ||
	    rr->found.n > 0 || (!s->daemon && !s->null_path) || s->forward)
		return false;
	returned_read(&wrapped, ps->returned);
	address_first(slice_head(wrapped.from, 4096), &rr->address, NULL);
	buf_init(&lower, MAX_VALUE);
	report_lower(&lower, buf_slice(&rr->address));
	daemon = report_words_daemon(buf_slice(&lower));
	buf_free(&lower);
	return daemon;
}

/* Returns what has to be read instead, if anything; `inner`: this is it. */
static struct slice
read_one(struct report_reader *rr, struct slice mail, bool inner, struct report *out)
{
	struct report_parts ps = { 0 };
	struct report_sender s;
	struct returned ret = { 0 };

	*out = (struct report){ 0 };
	report_drop_strings(rr);
	rr->n_rcpts = 0;
	rr->truncated = false;
	buf_clear(&rr->text);
	buf_clear(&rr->lower);
	rr->text.full = false;
	rr->lower.full = false;
	mail = start_of(rr, mail);
	report_walk(rr, mail, &ps);
	out->truncated = ps.truncated;
	read_sender(rr, &ps, &s);
	report_lower(&rr->lower, slice_head(buf_slice(&rr->text), MAX_LOWER));
	find_in_text(rr);
	if (ps.has_inner_returned && !ps.has_dsn)
		returned_read(&ret, ps.inner_returned);
	else if (ps.has_returned && (ps.has_dsn || !ps.has_inner_dsn || !s.machine))
		returned_read(&ret, ps.returned); /* and not the report that a gateway wraps */
	else
		report_returned_in_text(rr->found.quoted, &ret);
	if (ret.fields == 0 && ps.has_dsn) { /* its boundary is missing */
		size_t header;

		report_text_quote(ps.dsn, &header);
		report_returned_in_text(slice_skip(ps.dsn, header), &ret);
	}
	report_take_returned(rr, out, &ret);
	if (out->message_id.len == 0 && ps.has_dsn)
		out->message_id = report_clean(rr, report_message_id_in(ps.dsn), MAX_VALUE);
	if (out->message_id.len == 0)
		out->message_id = report_clean(rr, report_message_id_in(rr->found.text), MAX_VALUE);
	out->sender = report_clean(rr, buf_slice(&rr->from_addr), MAX_VALUE);
	out->to = report_clean(rr, buf_slice(&rr->to_addr), MAX_VALUE);
	buf_clear(&rr->scratch);
	encoded_word_decode(&rr->scratch, slice_head(rr->head.subject, MAX_SUBJECT));
	out->subject = report_keep(rr, buf_slice(&rr->scratch));
	out->text = rr->found.text;
	out->before = report_text_before(&rr->found);
	if (!inner && wraps_a_report(rr, &ps, &s))
		return ps.returned;
	decide(rr, &ps, &s, &ret, out);
	if (out->format == NULL)
		out->format = "";
	return (struct slice){ "", 0 };
}

void
report_read(struct report_reader *rr, struct slice mail, struct report *out)
{
	struct slice inner = read_one(rr, mail, false, out);

	if (inner.len > 0)
		read_one(rr, inner, true, out);
}
