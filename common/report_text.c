#include "common/report_text.h"

#include "common/ascii.h"
#include "common/dsn.h"
#include "common/report_frame.h"

#define REASON_MAX    4096
#define LINE_MAX_LOOK 512
#define WORDS_BEFORE  1024

static struct slice
span(struct slice s, size_t from, size_t to)
{
	return to <= from ? slice_head(s, 0) : (struct slice){ s.p + from, to - from };
}

static bool
contains(struct slice s, const char *lower_word)
{
	size_t n = strlen(lower_word);

	for (size_t i = 0; i + n <= s.len; i++) {
		size_t k = 0;

		while (k < n && ascii_lower(s.p[i + k]) == lower_word[k])
			k++;
		if (k == n)
			return true;
	}
	return false;
}

/* ---- where the quoted message begins ---- */

/*
 * Lines that stand before it, without the dashes round them. With `alone` that must be the
 * whole line, since sentences begin so too ("The original message was received at ...").
 */
static const struct {
	const char *start;
	bool alone;
} markers[] = {
	{ "this is a copy of", false },
	{ "below this line is a copy", false },
	{ "below this line is the original", false },
	{ "enclosed is a copy", false },
	{ "included is a copy", false },
	{ "below is a copy of", false },
	{ "here is a copy of", false },
	{ "a copy of the original message", false },
	{ "copy of the original message", false },
	{ "the header of the original message", false },
	{ "the headers of the original message", false },
	{ "header of the original message", false },
	{ "headers of the original message", false },
	{ "unsent message follows", false },
	{ "unsent message below", false },
	{ "original message follows", false },
	{ "original message headers", false },
	{ "original message header", false },
	{ "original mail info", false },
	{ "original mail header", false },
	{ "original headers", true },
	{ "original header", true },
	{ "original message", true },
	{ "original mail", true },
	{ "original text", true },
	{ "original message text", true },
	{ "start of original message", false },
	{ "begin original message", false },
	{ "your original message", true },
	{ "your message follows", false },
	{ "returned message", true },
	{ "returned mail", true },
	{ "returned text", true },
	{ "rejected message", true },
	{ "bounced message", true },
	{ "bounced e-mail", true },
	{ "bounced email", true },
	{ "failed message", true },
	{ "forwarded message", true },
	{ "undelivered message", true },
	{ "undelivered message follows", false },
	{ "undeliverable message", true },
	{ "message header follows", false },
	{ "message headers follow", false },
	{ "message headers", true },
	{ "message header", true },
	{ "message text follows", false },
	{ "message follows", true },
	{ "message contents", true },
	{ "mail header", true },
	{ "header of your message", false },
	{ "headers follow", true },
	{ "the first", false }, /* "The first 50 lines of the original message" */
	{ "nachrichtenkopf", true },
	{ "ursprüngliche nachricht", true },
	{ "message original", true },
	{ "mensaje original", true },
	{ "messaggio originale", true },
	{ "mensagem original", true },
};

/* Fields that stand at the start of a line only where a message is quoted. */
static const char *const header_starts[] = { "Received:", "Return-Path:", "DKIM-Signature:",
	"MIME-Version:", "Message-ID:", "X-Signalpost-ID:", "DomainKey-Signature:", "ARC-Seal:" };

static bool
is_marker(struct slice line)
{
	struct slice s = line;
	bool decorated = false;

	while (s.len > 0 && !ascii_is_alnum(s.p[0]) && (unsigned char)s.p[0] < 0x80) {
		decorated = decorated || !ascii_is_space(s.p[0]);
		s = slice_skip(s, 1);
	}
	if (s.len < 8 || s.len > 120)
		return false;
	for (size_t i = 0; i < COUNT(markers); i++) {
		struct slice start = slice_str(markers[i].start), tail;

		/* Most lines differ in their first letter. */
		if (ascii_lower(s.p[0]) != start.p[0] || !slice_startsi(s, start))
			continue;
		if (strcmp(markers[i].start, "the first") == 0)
			return contains(s, "lines of") && contains(s, "message");
		if (!markers[i].alone)
			return true;
		tail = slice_skip(s, start.len);
		if (tail.len > 0 && ascii_is_alnum(tail.p[0]))
			continue;
		while (tail.len > 0 && !ascii_is_alnum(tail.p[0]))
			tail = slice_skip(tail, 1);
		if (tail.len == 0 && (decorated || s.p[s.len - 1] == ':' || s.p[s.len - 1] == '-' ||
					 s.len == start.len))
			return true;
		if (slice_startsi(tail, SLICE_LIT("follow")))
			return true;
	}
	return false;
}

static bool
is_header_start(struct slice line)
{
	char c = line.len > 0 ? ascii_lower(line.p[0]) : ' ';

	if (c != 'r' && c != 'd' && c != 'm' && c != 'x' && c != 'a')
		return false;
	for (size_t i = 0; i < COUNT(header_starts); i++)
		if (slice_startsi(line, slice_str(header_starts[i])))
			return true;
	return false;
}

/* "Name: value", as a header line has it. */
static bool
is_field(struct slice line)
{
	size_t colon = slice_find(slice_head(line, 40), ':');

	if (colon == 0 || colon >= line.len || colon >= 40)
		return false;
	for (size_t i = 0; i < colon; i++)
		if (!ascii_is_alnum(line.p[i]) && line.p[i] != '-' && line.p[i] != '_')
			return false;
	return true;
}

size_t
report_text_quote(struct slice text, size_t *header)
{
	size_t at = 0, fields = text.len; /* where a run of header lines began */

	while (at < text.len) {
		size_t end = at + slice_find(slice_skip(text, at), '\n');
		struct slice line = span(text, at, end);

		if (is_marker(line)) {
			*header = end < text.len ? end + 1 : end;
			return at;
		}
		if (is_header_start(line)) {
			*header = fields < at ? fields : at;
			return *header;
		}
		if (!is_field(line))
			fields = text.len;
		else if (fields == text.len)
			fields = at;
		at = end + 1;
	}
	*header = text.len;
	return text.len;
}

/* ---- addresses ---- */

static bool
is_local_char(char c)
{
	return ascii_is_alnum(c) || (unsigned char)c >= 0x80 ||
	       (c != '\0' && strchr(".!#$%&*+-/=?^_{|}~'`", c) != NULL);
}

static bool
is_domain_char(char c)
{
	return ascii_is_alnum(c) || c == '.' || c == '-' || c == '_' || (unsigned char)c >= 0x80;
}

/* Offset of the local part that ends before `at`, not before `from`. */
static size_t
local_start(struct slice s, size_t from, size_t at)
{
	size_t i = at;

	if (i > from && s.p[i - 1] == '"') { /* "neko nyaan"@example.com */
		i--;
		while (i > from && at - i <= 66 && s.p[i - 1] != '"' && s.p[i - 1] != '\n')
			i--;
		return i > from && s.p[i - 1] == '"' ? i - 1 : at;
	}
	while (i > from && at - i < 128 && is_local_char(s.p[i - 1]))
		i--;
	/* Chinese and Japanese before an ASCII address are not of it. */
	for (size_t k = i; k + 3 < at; k++)
		if ((unsigned char)s.p[k] >= 0xe3 && (unsigned char)s.p[k] <= 0xef &&
		    (unsigned char)s.p[k + 3] < 0x80)
			i = k + 3;
	/* 'user@example.com', =user@..., /path/user@... */
	while (i < at && strchr("'`.=/|*&!?", s.p[i]) != NULL)
		i++;
	return i;
}

static size_t
domain_end(struct slice s, size_t at)
{
	size_t i = at + 1;

	if (i < s.len && s.p[i] == '[') {
		size_t close = slice_find(slice_head(slice_skip(s, i), 64), ']');

		return i + close < s.len && s.p[i + close] == ']' ? i + close + 1 : at;
	}
	while (i < s.len && i - at <= 255 && is_domain_char(s.p[i]))
		i++;
	while (i > at + 1 && (s.p[i - 1] == '.' || s.p[i - 1] == '-' || s.p[i - 1] == '_'))
		i--;
	return i;
}

static bool
has_letter_and_dot(struct slice domain)
{
	size_t dot = slice_find(domain, '.');

	if (domain.len > 0 && domain.p[0] == '[')
		return true;
	/* "user@host" stands in brackets often enough, but "foo @ bar" is none. */
	return dot > 0 && dot + 1 < domain.len;
}

/* Words before an address that say it is not the recipient. */
static const char *const not_behind[] = { "mail from", "from", "sender", "contact", "reply-to",
	"reply to", "return-path", "envelope-from", "generated from", "message-id", "please email",
	"help", "support", "questions", "mail to our", "e-mail us at", "email us at", "absender",
	"expéditeur", "remitente", "mittente", "http", "forward this", "write to", "send mail to",
	"send email to", "send e-mail to", "mail an", "references", "in-reply-to",
	"following sender", "dear", "hello", "hi ", "hallo", "bonjour", "dobr", "report to",
	"list-", "abuse" };

static const char *const behind[] = { "to", "recipient", "recipients", "rcpt", "address",
	"addresses", "for", "user", "mailbox", "account", "recipient(s)", "address(es)",
	"empfänger", "destinataire", "destinatario", "destinatário", "an", "adresse", "indirizzo",
	"endereço", "dirección", "usuario", "à", "pour", "para", "für", "addressee", "host" };

/* Is it the last word of `s`? */
static bool
ends_with_word(struct slice s, const char *word)
{
	struct slice w = slice_str(word);

	if (!slice_endsi(s, w))
		return false;
	return s.len == w.len || !ascii_is_alnum(s.p[s.len - w.len - 1]);
}

static struct slice
trim_brackets(struct slice s)
{
	while (s.len > 0 &&
	       (ascii_is_space(s.p[s.len - 1]) || strchr("<\"'([{:;=,>`", s.p[s.len - 1]) != NULL))
		s.len--;
	return s;
}

/* Is `s` but bullets, numbers and brackets? */
static bool
is_decoration(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!ascii_is_space(s.p[i]) &&
		    strchr("<>\"'([{*-+=.:;,|#`0123456789)]", s.p[i]) == NULL &&
		    (unsigned char)s.p[i] < 0x80)
			return false;
	for (size_t i = 0; i < s.len; i++) /* text in another script is no decoration; U+2022 is */
		if ((unsigned char)s.p[i] >= 0x80 && s.len - i > 4)
			return false;
	return true;
}

static bool
is_label(struct slice before)
{
	struct slice s = slice_trim(before);
	static const char *const labels[] = { "to", "recipient", "address", "rcpt", "user", "email",
		"e-mail", "mailbox", "account", "empfäng", "destinat", "adres", "indirizzo",
		"direcci", "endere", "an:", "à:", "à :", "failed", "target", "para", "odbiorc",
		"příjemc", "címzett", "alıcı", "ontvanger", "mottagare", "modtager", "получател",
		"кому", "адрес", "宛先", "收件人", "收件者", "받는" };
	struct slice bare;

	if (s.len == 0 || s.len > 60)
		return false;
	bare = s;
	while (bare.len > 0 && (ascii_is_space(bare.p[bare.len - 1]) ||
				   strchr("<\"'([", bare.p[bare.len - 1]) != NULL))
		bare.len--;
	if (bare.len == 0 || bare.p[bare.len - 1] != ':')
		return false;
	for (size_t i = 0; i < COUNT(labels); i++)
		if (contains(bare, labels[i]))
			return true;
	return false;
}

/* 550 5.1.1 <a@b>..., RCPT TO:<a@b>, <<< and >>> */
static bool
is_session(struct slice before)
{
	struct slice s = slice_trim(before);

	if (slice_starts(s, SLICE_LIT("<<<")) || slice_starts(s, SLICE_LIT(">>>")))
		return true;
	if (contains(s, "rcpt to"))
		return true;
	return dsn_find_code(slice_head(s, 4)) != 0;
}

static int
rank_of(struct slice before)
{
	struct slice bare, tail;

	if (before.len > LINE_MAX_LOOK) /* of a line without end, what is near */
		before = slice_skip(before, before.len - LINE_MAX_LOOK);
	bare = tail = trim_brackets(before);
	if (tail.len > 48)
		tail = slice_skip(tail, tail.len - 48);
	for (size_t i = 0; i < COUNT(not_behind); i++)
		if (contains(tail, not_behind[i])) {
			/* "From: <a> RCPT: <b>", "mail from a to b" */
			if (!is_session(before) && !ends_with_word(bare, "to") &&
			    !ends_with_word(bare, "rcpt") && !ends_with_word(bare, "recipient"))
				return -1;
			if (contains(tail, "mail from:") && !contains(tail, "rcpt"))
				return -1;
		}
	if (is_session(before))
		return REPORT_TEXT_SESSION;
	if (is_decoration(before))
		return REPORT_TEXT_FIRST;
	if (is_label(before))
		return REPORT_TEXT_FIRST;
	for (size_t i = 0; i < COUNT(behind); i++)
		if (ends_with_word(bare, behind[i]))
			return REPORT_TEXT_NAMED;
	/* Chinese and Japanese have no blanks between words: what stands right before it names it.
	 */
	if (bare.len >= 3 && (unsigned char)bare.p[bare.len - 3] >= 0xe3 &&
	    (unsigned char)bare.p[bare.len - 3] <= 0xed)
		return REPORT_TEXT_NAMED;
	return REPORT_TEXT_MENTIONED;
}

static bool
is_skipped(struct slice address, const struct slice *skip, size_t n_skip)
{
	static const char *const never[] = { "postmaster@", "mailer-daemon@", "abuse@", "support@",
		"helpdesk@", "hostmaster@" };

	for (size_t i = 0; i < n_skip; i++)
		if (slice_eqi(address, skip[i]))
			return true;
	for (size_t i = 0; i < COUNT(never); i++)
		if (slice_startsi(address, slice_str(never[i])))
			return true;
	return false;
}

static void
add(struct report_text *t, struct slice address, size_t line, size_t line_end, int rank)
{
	if (t->n == REPORT_TEXT_CANDIDATES)
		return;
	t->found[t->n++] =
	    (struct report_text_found){ address, line, line_end, (unsigned char)rank };
	if ((unsigned)rank > (unsigned)t->best)
		t->best = (enum report_text_rank)rank;
}

/* "a@b <c@d>": is it a's turn? But "a@b<mailto:a@b>" is a link. */
static bool
is_display_name(struct slice after)
{
	struct slice s = after;

	while (s.len > 0 && (ascii_is_space(s.p[0]) || s.p[0] == '"' || s.p[0] == '\''))
		s = slice_skip(s, 1);
	return slice_starts(s, SLICE_LIT("<")) && !slice_startsi(s, SLICE_LIT("<mailto:")) &&
	       slice_find(s, '@') < slice_find(s, '>');
}

/* All addresses of one line. */
static void
scan_line(struct report_text *t, size_t start, size_t end, const struct slice *skip, size_t n_skip)
{
	size_t from = start, at, name_at = start;
	bool named = false; /* a display name stands before the address */

	while (from < end) {
		struct slice address, before, after;
		size_t a, b;
		int rank;

		at = from + slice_find(span(t->text, from, end), '@');
		if (at >= end)
			return;
		a = local_start(t->text, from, at);
		b = domain_end(slice_head(t->text, end), at);
		if (a == at || b <= at + 1 || !has_letter_and_dot(span(t->text, at + 1, b))) {
			from = at + 1;
			continue;
		}
		address = span(t->text, a, b);
		before = span(t->text, start, a);
		after = span(t->text, b, end);
		from = b;
		/* a@b<mailto:a@b>, http://user@host */
		if (slice_endsi(before, SLICE_LIT("mailto:")) ||
		    slice_endsi(before, SLICE_LIT("//")) || slice_endsi(before, SLICE_LIT("@")))
			continue;
		if (is_display_name(after)) {
			if (!named)
				name_at = a;
			named = true;
			continue;
		}
		if (named)
			before = span(t->text, start, name_at);
		named = false;
		rank = rank_of(before);
		if (rank >= 0 && !is_skipped(address, skip, n_skip))
			add(t, address, start, end, rank);
	}
}

struct slice
report_text_before(const struct report_text *t)
{
	for (size_t i = t->n; i-- > 0;)
		if (t->found[i].rank == t->best)
			return slice_head(t->text, t->found[i].line_end);
	return slice_head(t->text, 0);
}

void
report_text_begin(struct report_text *t, struct slice text, const struct slice *skip, size_t n_skip)
{
	size_t header, at = 0;

	t->n = t->at = 0;
	t->best = REPORT_TEXT_MENTIONED;
	text = report_frame_skip_banner(slice_head(text, REPORT_TEXT_MAX));
	t->text = report_frame_cut_footer(slice_head(text, report_text_quote(text, &header)));
	t->quoted = slice_skip(text, header);
	while (at < t->text.len && t->n < REPORT_TEXT_CANDIDATES) {
		const char *sign = memchr(t->text.p + at, '@', t->text.len - at);
		size_t start, end;

		if (sign == NULL)
			break;
		start = (size_t)(sign - t->text.p);
		end = start + slice_find(slice_skip(t->text, start), '\n');
		while (start > at && t->text.p[start - 1] != '\n')
			start--;
		scan_line(t, start, end, skip, n_skip);
		at = end + 1;
	}
}

/* ---- the reason ---- */

static bool
is_empty_line(struct slice line)
{
	for (size_t i = 0; i < line.len; i++)
		if (!ascii_is_space(line.p[i]))
			return false;
	return true;
}

/* The first paragraph of `s` that says something. */
static struct slice
first_paragraph(struct slice s)
{
	size_t at = 0, from = 0;
	bool begun = false;

	while (at < s.len) {
		size_t end = at + slice_find(slice_skip(s, at), '\n');
		bool empty = is_empty_line(span(s, at, end));

		if (empty && begun)
			return slice_trim(span(s, from, at));
		if (!empty && !begun) {
			begun = true;
			from = at;
		}
		at = end + 1;
	}
	return begun ? slice_trim(slice_skip(s, from)) : slice_head(s, 0);
}

/* The paragraph in which offset `at` lies. */
static struct slice
paragraph_at(struct slice s, size_t at)
{
	size_t from = at, to = at;

	while (from > 0 && at - from < REASON_MAX &&
	       !(s.p[from - 1] == '\n' && (from < 2 || s.p[from - 2] == '\n')))
		from--;
	while (to < s.len && !(s.p[to] == '\n' && (to + 1 >= s.len || s.p[to + 1] == '\n')))
		to++;
	return span(s, from, to);
}

/* From where the reply stands in `s`, to the end of its paragraph. */
static struct slice
from_reply(struct slice s, struct slice status, unsigned code)
{
	char digits[4] = { (char)('0' + code / 100), (char)('0' + code / 10 % 10),
		(char)('0' + code % 10), '\0' };
	const char *at = status.len > 0 ? status.p : NULL;
	struct slice rest;

	if (code != 0) {
		const char *c = memmem(s.p, s.len, digits, 3);

		if (c != NULL && (at == NULL || c < at))
			at = c;
	}
	if (at == NULL)
		return slice_head(s, 0);
	rest = slice_skip(s, (size_t)(at - s.p));
	return first_paragraph(rest);
}

static bool
has_letters(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((ascii_is_alnum(s.p[i]) && !ascii_is_digit(s.p[i])) ||
		    (unsigned char)s.p[i] >= 0x80)
			return true;
	return false;
}

/* Without the sender's signature, which a line of "--" begins. */
static struct slice
before_signature(struct slice s)
{
	static const char *const marks[] = { "\n-- \n", "\n--\n" };

	for (size_t i = 0; i < COUNT(marks); i++) {
		const char *at = s.len == 0 ? NULL : memmem(s.p, s.len, marks[i], strlen(marks[i]));

		if (at != NULL)
			s = slice_head(s, (size_t)(at - s.p));
	}
	return s;
}

static void
read_reason(struct slice s, struct report_text_rcpt *r)
{
	s = before_signature(slice_head(s, REASON_MAX));
	r->status = dsn_find_status(s);
	r->code = dsn_find_code(s);
	r->reason = from_reply(s, r->status, r->code);
	/* qmail has it behind its words: "I couldn't find any host by that name. (#5.1.2)" */
	if (r->reason.len == 0 || (r->code == 0 && !has_letters(r->reason)))
		r->reason = first_paragraph(s);
	r->reason = slice_head(r->reason, REASON_MAX);
}

/* Is there a word in it that tells more than how sorry the sender is? */
static bool
says_something(struct slice s)
{
	size_t letters = 0;

	for (size_t i = 0; i < s.len && letters < 4; i++)
		letters += ascii_is_alnum(s.p[i]) || (unsigned char)s.p[i] >= 0x80;
	return letters >= 4;
}

/* The next with another address; of the best rank, unless this one is of a lower one. */
static size_t
next_found(const struct report_text *t, size_t i)
{
	bool any = t->found[i].rank != t->best;
	size_t k = i + 1;

	while (k < t->n && ((!any && t->found[k].rank != t->best) ||
			       slice_eqi(t->found[k].address, t->found[i].address)))
		k++;
	return k;
}

/*
 * What this mention of the address comes with: its line, if a reply stands in it ("550 <a@b>: no
 * such user"), else what stands behind it, up to the next address.
 */
static void
reason_of(const struct report_text *t, size_t i, struct report_text_rcpt *r)
{
	const struct report_text_found *f = &t->found[i];
	size_t next = next_found(t, i),
	       behind_it = (size_t)(f->address.p - t->text.p) + f->address.len;
	size_t end = next < t->n ? t->found[next].line : t->text.len;

	if (next < t->n && t->found[next].line == f->line)
		end = (size_t)(t->found[next].address.p - t->text.p);
	read_reason(span(t->text, f->line, f->line_end < end ? f->line_end : end), r);
	if (r->code != 0 || r->status.len > 0)
		read_reason(span(t->text, f->line, end), r);
	else
		read_reason(span(t->text, behind_it, end), r);
}

/* "Could not be delivered because of 550 ... The following recipients were affected: ..." */
static void
reason_before_all(const struct report_text *t, struct report_text_rcpt *r)
{
	size_t first = 0, from;

	while (first < t->n && t->found[first].rank != t->best)
		first++;
	if (first == t->n)
		return;
	from = t->found[first].line > REASON_MAX ? t->found[first].line - REASON_MAX : 0;
	read_reason(span(t->text, from, t->found[first].line), r);
}

static bool
seen_before(const struct report_text *t, size_t i)
{
	for (size_t k = i > 64 ? i - 64 : 0; k < i; k++)
		if (t->found[k].rank == t->best &&
		    slice_eqi(t->found[k].address, t->found[i].address))
			return true;
	return false;
}

static bool
has_reply(const struct report_text_rcpt *r)
{
	return r->code != 0 || r->status.len > 0;
}

/*
 * The paragraph that the address stands in; if that is all that is in it, the text before it, to
 * which it is the end: "Remote host is not responding. The following did not receive it: ..."
 */
static struct slice
words_around(const struct report_text *t, const struct report_text_found *f)
{
	struct slice p = slice_trim(paragraph_at(t->text, f->line));
	size_t from = f->line > WORDS_BEFORE ? f->line - WORDS_BEFORE : 0;

	if (p.len > f->address.len + 8)
		return slice_head(p, REASON_MAX);
	if (from > 0) { /* whole lines */
		from += slice_find(slice_skip(t->text, from), '\n');
	}
	return slice_trim(span(t->text, from, f->line_end));
}

void
report_text_about(const struct report_text *t, struct slice address, struct report_text_rcpt *r)
{
	size_t mentioned = t->n;

	*r = (struct report_text_rcpt){ 0 };
	for (size_t i = 0; i < t->n; i++) {
		struct report_text_rcpt one = { 0 };

		if (!slice_eqi(t->found[i].address, address))
			continue;
		if (mentioned == t->n ||
		    (t->found[i].rank == t->best && t->found[mentioned].rank != t->best))
			mentioned = i;
		reason_of(t, i, &one);
		if (!has_reply(r) ? has_reply(&one) ||
					(!says_something(r->reason) && says_something(one.reason))
				  : r->status.len == 0 && one.status.len > 0)
			*r = one;
		if (r->status.len > 0 && r->code != 0)
			break;
	}
	if (mentioned < t->n && !has_reply(r)) {
		struct report_text_rcpt before = { 0 };

		reason_before_all(t, &before);
		if (has_reply(&before))
			*r = before;
		else if (!says_something(r->reason))
			r->reason = words_around(t, &t->found[mentioned]);
	}
	r->address = address;
}

int
report_text_next(struct report_text *t, struct report_text_rcpt *r)
{
	while (t->at < t->n) {
		size_t i = t->at++;

		if (t->found[i].rank != t->best || seen_before(t, i))
			continue;
		report_text_about(t, t->found[i].address, r);
		return 1;
	}
	return 0;
}
