#include "common/address.h"

#include <arpa/inet.h>

static struct slice
between(const char *from, const char *to)
{
	return (struct slice){ from, (size_t)(to - from) };
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool
is_control(char c)
{
	return (c >= 0 && c < 0x20) || c == 0x7f;
}

static bool
is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool
is_atext(char c)
{
	return c != '\0' && (is_alnum(c) || strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

bool
address_is_dot_atom(struct slice s)
{
	bool in_atom = false;

	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '.' ? !in_atom : !is_atext(s.p[i]))
			return false;
		in_atom = s.p[i] != '.';
	}
	return in_atom;
}

/* ---- the envelope ---- */

/* "@a,@b:user@example.com" -> "user@example.com" (RFC 5321 4.1.1.3: ignored) */
static struct slice
skip_route(struct slice s)
{
	bool literal = false;

	if (s.len == 0 || s.p[0] != '@')
		return s;
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '[' || s.p[i] == ']')
			literal = s.p[i] == '[';
		else if (s.p[i] == ':' && !literal)
			return slice_skip(s, i + 1);
	}
	return s;
}

/* Offset of the last '@' outside quotes, or s.len; *open: a quote was not closed. */
static size_t
last_at(struct slice s, bool quotes, bool *open)
{
	size_t at = s.len;
	bool quoted = false;

	for (size_t i = 0; i < s.len; i++) {
		if (quoted && s.p[i] == '\\')
			i++;
		else if (quotes && s.p[i] == '"')
			quoted = !quoted;
		else if (!quoted && s.p[i] == '@')
			at = i;
	}
	*open = quoted;
	return at;
}

struct address
address_split(struct slice path)
{
	struct slice s = slice_trim(path);
	struct address a;
	bool open;
	size_t at;

	if (s.len > 0 && s.p[0] == '<') {
		s = slice_skip(s, 1);
		if (s.len > 0 && s.p[s.len - 1] == '>')
			s.len--;
		s = slice_trim(s);
	}
	s = skip_route(s);
	at = last_at(s, true, &open);
	if (open)
		at = last_at(s, false, &open);
	a.local = slice_head(s, at);
	a.domain = slice_skip(s, at + 1);
	return a;
}

static uint64_t
add_folded(uint64_t h, char c)
{
	return (h ^ (unsigned char)(c >= 'A' && c <= 'Z' ? c + 32 : c)) * 0x100000001b3;
}

uint64_t
address_key(struct slice path)
{
	struct address a = address_split(path);
	bool quoted = a.local.len >= 2 && a.local.p[0] == '"' && a.local.p[a.local.len - 1] == '"';
	uint64_t h = 0xcbf29ce484222325;

	if (quoted)
		a.local = (struct slice){ a.local.p + 1, a.local.len - 2 };
	for (size_t i = 0; i < a.local.len; i++) {
		if (quoted && a.local.p[i] == '\\' && i + 1 < a.local.len)
			i++;
		h = add_folded(h, a.local.p[i]);
	}
	if (a.domain.len > 0)
		h = add_folded(h, '@');
	for (size_t i = 0; i < a.domain.len; i++)
		h = add_folded(h, a.domain.p[i]);
	return h;
}

/* RFC 5321 4.1.2 Quoted-string, quotes included. */
static bool
is_quoted_string(struct slice s)
{
	if (s.len < 2 || s.p[0] != '"' || s.p[s.len - 1] != '"')
		return false;
	for (size_t i = 1; i < s.len - 1; i++) {
		if (s.p[i] == '\\')
			i++; /* takes any of the printable ASCII, the closing quote too */
		else if (s.p[i] == '"')
			return false;
		if (i == s.len - 1)
			return false;
	}
	return true;
}

/* '_' is in no RFC's host name and in many hosts' names. */
static bool
is_label(struct slice s)
{
	if (s.len == 0 || s.len > 63 || s.p[0] == '-' || s.p[s.len - 1] == '-')
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!is_alnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '_')
			return false;
	return true;
}

/* The last label decides: "192.0.2.1" is no host, and "example.com." has an empty one. */
static bool
is_host_name(struct slice s)
{
	struct slice label;
	uint64_t number;
	bool more;

	do {
		more = slice_find(s, '.') < s.len;
		label = slice_cut(&s, '.');
		if (!is_label(label))
			return false;
	} while (more);
	return !slice_uint(label, UINT64_MAX, &number);
}

static bool
is_address_literal(struct slice s)
{
	unsigned char bin[sizeof(struct in6_addr)];
	char text[INET6_ADDRSTRLEN];
	int family = AF_INET;

	if (s.len < 2 || s.p[0] != '[' || s.p[s.len - 1] != ']')
		return false;
	s = between(s.p + 1, s.p + s.len - 1);
	if (slice_startsi(s, SLICE_LIT("IPv6:"))) {
		family = AF_INET6;
		s = slice_skip(s, 5);
	}
	if (s.len == 0 || s.len >= sizeof(text))
		return false;
	memcpy(text, s.p, s.len);
	text[s.len] = '\0';
	return inet_pton(family, text, bin) == 1;
}

static int
check_local(struct slice local, struct err *e)
{
	if (local.len == 0)
		return err_set(e, "nothing before the '@'");
	if (local.len > ADDRESS_LOCAL_MAX)
		return err_set(e, "local part is longer than %d bytes", ADDRESS_LOCAL_MAX);
	if (local.p[0] == '"' && !is_quoted_string(local))
		return err_set(e, "local part is not quoted right");
	if (local.p[0] != '"' && !address_is_dot_atom(local))
		return err_set(e, "local part is neither a dot-atom nor a quoted string");
	return 0;
}

static int
check_domain(struct slice domain, struct err *e)
{
	if (domain.len == 0)
		return err_set(e, "no domain");
	if (domain.len > ADDRESS_DOMAIN_MAX)
		return err_set(e, "domain is longer than %d bytes", ADDRESS_DOMAIN_MAX);
	if (domain.p[0] == '[') {
		if (!is_address_literal(domain))
			return err_set(
			    e, "not an address literal: [192.0.2.1] or [IPv6:2001:db8::1]");
	} else if (!is_host_name(domain)) {
		return err_set(e, "domain is not a host name");
	}
	return 0;
}

int
address_check(struct slice addr, struct err *e)
{
	struct address a;
	bool open;
	size_t at;

	for (size_t i = 0; i < addr.len; i++) {
		if ((addr.p[i] & 0x80) != 0)
			return err_set(e, "not ASCII");
		if (is_control(addr.p[i]))
			return err_set(e, "control character");
	}
	if (addr.len == 0)
		return 0;
	/* Not address_split(): it drops what may not be there. */
	at = last_at(addr, true, &open);
	if (open)
		return err_set(e, "quote is not closed");
	a = (struct address){ slice_head(addr, at), slice_skip(addr, at + 1) };
	if (check_local(a.local, e) < 0 || check_domain(a.domain, e) < 0)
		return -1;
	if (addr.len > ADDRESS_MAX)
		return err_set(e, "longer than %d bytes", ADDRESS_MAX);
	return 0;
}

/* ---- variable envelope return paths ---- */

int
address_verp(struct address sender, struct address rcpt, struct buf *out, struct err *e)
{
	int rc = 0;

	buf_clear(out);
	if (!address_is_dot_atom(sender.local))
		return err_set(e, "sender's local part is not a dot-atom");
	if (!address_is_dot_atom(rcpt.local))
		return err_set(e, "recipient's local part is not a dot-atom");
	/* A host name has no '=', so the last one parts them again. */
	if (!is_host_name(rcpt.domain))
		return err_set(e, "recipient's domain is not a host name");
	buf_add(out, sender.local);
	buf_addc(out, '-');
	buf_add(out, rcpt.local);
	buf_addc(out, '=');
	buf_add(out, rcpt.domain);
	buf_addc(out, '@');
	buf_add(out, sender.domain);
	if (out->full)
		rc = err_set(e, "longer than %zu bytes", out->max);
	else
		rc = address_check(buf_slice(out), e);
	if (rc < 0)
		buf_clear(out);
	return rc;
}

/* Offset of the last `c`, or s.len. */
static size_t
find_last(struct slice s, char c)
{
	for (size_t i = s.len; i > 0; i--)
		if (s.p[i - 1] == c)
			return i - 1;
	return s.len;
}

bool
address_unverp(struct slice addr, struct buf *rcpt)
{
	struct slice local = address_split(addr).local, user, domain;
	size_t equals = find_last(local, '='), dash;

	buf_clear(rcpt);
	domain = slice_skip(local, equals + 1);
	user = slice_head(local, equals);
	dash = find_last(user, '-');
	if (dash == 0 || !is_host_name(domain))
		return false;
	user = slice_skip(user, dash + 1);
	if (!address_is_dot_atom(user))
		return false;
	buf_add(rcpt, user);
	buf_addc(rcpt, '@');
	buf_add(rcpt, domain);
	if (rcpt->full)
		buf_clear(rcpt);
	return rcpt->len > 0;
}

/* ---- address list headers ---- */

enum lex_kind {
	LEX_END,
	LEX_WORD,    /* bytes that mean nothing special; dots are in it */
	LEX_QUOTED,  /* quotes included */
	LEX_LITERAL, /* [...] */
	LEX_COMMENT, /* (...) */
	LEX_SPECIAL, /* one of <>@,;: */
};

struct lexeme {
	enum lex_kind kind;
	struct slice text;
	bool blank; /* white space stands before it */
};

/*
 * The scanner. From the `open` places on an opening character has no closing
 * one; to remember that keeps us from looking for it again at the next one,
 * which would be quadratic for "((((((".
 */
struct scan {
	struct slice in;
	size_t pos;
	size_t open_quote, open_comment, open_literal;
};

/* Behind the end of the quoted string or literal at `pos`, or SIZE_MAX. */
static size_t
closing(struct slice s, size_t pos, char close)
{
	for (size_t i = pos + 1; i < s.len; i++) {
		if (s.p[i] == '\\')
			i++;
		else if (s.p[i] == close)
			return i + 1;
	}
	return SIZE_MAX;
}

static size_t
closing_comment(struct slice s, size_t pos)
{
	size_t depth = 0;

	for (size_t i = pos; i < s.len; i++) {
		if (s.p[i] == '\\')
			i++;
		else if (s.p[i] == '(')
			depth++;
		else if (s.p[i] == ')' && --depth == 0)
			return i + 1;
	}
	return SIZE_MAX;
}

/*
 * Length of an RFC 2047 word at the start of `s`, or 0. Inside a phrase it holds
 * no specials; some senders write "=?utf-8?Q?Doe,_John?=" all the same, and
 * everyone shows that as one name. Bounded, so that it costs nothing.
 */
static size_t
encoded_word(struct slice s)
{
	enum { LONGEST = 300 };
	unsigned marks = 0;

	if (!slice_starts(s, SLICE_LIT("=?")))
		return 0;
	for (size_t i = 2; i < s.len && i < LONGEST; i++) {
		if (is_blank(s.p[i]) || s.p[i] == '"' || s.p[i] == '<')
			return 0;
		if (s.p[i] == '?' && ++marks == 3)
			return i + 1 < s.len && s.p[i + 1] == '=' ? i + 2 : 0;
	}
	return 0;
}

/*
 * What stands at pos, if it is the kind that `close` ends; else *open remembers
 * that it is not closed.
 */
static bool
take_closed(struct scan *s, char close, size_t *open, struct lexeme *t, enum lex_kind kind)
{
	size_t end;

	if (s->pos >= *open)
		return false;
	end = close == ')' ? closing_comment(s->in, s->pos) : closing(s->in, s->pos, close);
	if (end == SIZE_MAX) {
		*open = s->pos;
		return false;
	}
	t->kind = kind;
	t->text = between(s->in.p + s->pos, s->in.p + end);
	s->pos = end;
	return true;
}

static bool
ends_word(const struct scan *s, size_t i)
{
	char c = s->in.p[i];

	if (c == '"')
		return i < s->open_quote;
	if (c == '(')
		return i < s->open_comment;
	if (c == '[')
		return i < s->open_literal;
	return is_control(c) || c == ' ' || strchr("<>@,;:", c) != NULL;
}

static void
take_word(struct scan *s, struct lexeme *t)
{
	size_t start = s->pos;

	s->pos += encoded_word(slice_skip(s->in, start));
	/* At least one byte: a '"' that is no quote is a word. */
	if (s->pos == start)
		s->pos++;
	while (s->pos < s->in.len && !ends_word(s, s->pos))
		s->pos++;
	t->kind = LEX_WORD;
	t->text = between(s->in.p + start, s->in.p + s->pos);
}

/* The next one at or behind s->pos. */
static void
next_lexeme(struct scan *s, struct lexeme *t)
{
	char c;

	*t = (struct lexeme){ .kind = LEX_END };
	/* Controls are blanks: no result shall hold one. */
	while (s->pos < s->in.len && (s->in.p[s->pos] == ' ' || is_control(s->in.p[s->pos]))) {
		t->blank = true;
		s->pos++;
	}
	if (s->pos == s->in.len)
		return;
	c = s->in.p[s->pos];
	if ((c == '"' && take_closed(s, '"', &s->open_quote, t, LEX_QUOTED)) ||
	    (c == '[' && take_closed(s, ']', &s->open_literal, t, LEX_LITERAL)) ||
	    (c == '(' && take_closed(s, ')', &s->open_comment, t, LEX_COMMENT)))
		return;
	if (strchr("<>@,;:", c) != NULL) {
		t->kind = LEX_SPECIAL;
		t->text = between(s->in.p + s->pos, s->in.p + s->pos + 1);
		s->pos++;
		return;
	}
	take_word(s, t);
}

static bool
is_special(const struct lexeme *t, char c)
{
	return t->kind == LEX_SPECIAL && t->text.p[0] == c;
}

/*
 * Append bytes with controls dropped, and the backslash before one with it. An
 * `unquote` drops the other backslashes too.
 */
static void
add_bytes(struct buf *out, struct slice s, bool unquote)
{
	for (size_t i = 0; i < s.len; i++) {
		bool pair = s.p[i] == '\\' && i + 1 < s.len;

		if (pair && (unquote || is_control(s.p[i + 1])))
			i++;
		if (s.p[i] == '\t')
			buf_addc(out, ' ');
		else if (!is_control(s.p[i]))
			buf_addc(out, s.p[i]);
		if (pair && !unquote && s.p[i] == '\\')
			buf_addc(out, s.p[++i]);
	}
}

/* Blanks at the ends of a quoted name or of a comment are not part of it. */
static void
add_to_name(struct buf *name, const struct lexeme *t)
{
	struct slice text = t->text;
	bool inner = t->kind == LEX_QUOTED || t->kind == LEX_COMMENT;

	if (name->len > 0 && t->blank)
		buf_addc(name, ' ');
	if (inner)
		text = slice_trim(between(text.p + 1, text.p + text.len - 1));
	add_bytes(name, text, inner);
}

/* Where one mailbox lies in the header. */
struct mailbox {
	struct scan start;
	struct scan inside; /* behind its '<' */
	size_t angle;       /* offset of the '<', or SIZE_MAX */
	size_t end;
	bool at; /* it has an '@' where the address is */
};

static bool
has_route(struct scan inside)
{
	struct lexeme t;

	next_lexeme(&inside, &t);
	return is_special(&t, '@');
}

/*
 * Find the end of the mailbox that starts at *s, which moves behind it: a comma
 * or semicolon, but for those of a route, or the end. "Group name:" begins anew.
 * False at the end of the input.
 */
static bool
next_mailbox(struct scan *s, struct mailbox *m)
{
	enum { BEFORE, INSIDE, ROUTE, BEHIND } where = BEFORE;
	struct lexeme t;

	if (s->pos >= s->in.len)
		return false;
	*m = (struct mailbox){ .start = *s, .angle = SIZE_MAX };
	for (;;) {
		next_lexeme(s, &t);
		m->end = s->pos - t.text.len;
		if (t.kind == LEX_END ||
		    (where != ROUTE && (is_special(&t, ',') || is_special(&t, ';'))))
			return true;
		if (where == BEFORE && is_special(&t, ':')) {
			*m = (struct mailbox){ .start = *s, .angle = SIZE_MAX };
		} else if (where == BEFORE && is_special(&t, '<')) {
			m->angle = m->end;
			m->inside = *s;
			m->at = false;
			where = has_route(*s) ? ROUTE : INSIDE;
		} else if (where == ROUTE && is_special(&t, ':')) {
			where = INSIDE;
		} else if (where != BEFORE && is_special(&t, '>')) {
			where = BEHIND;
		} else if ((where == BEFORE || where == INSIDE) && is_special(&t, '@')) {
			m->at = true;
		}
	}
}

/* Behind the "@a,@b:" of an angle address (RFC 5322 4.4 obs-route); *s stays if there is none. */
static void
skip_obs_route(struct scan *s)
{
	struct scan ahead = *s;
	struct lexeme t;

	next_lexeme(&ahead, &t);
	if (!is_special(&t, '@'))
		return;
	while (t.kind != LEX_END && !is_special(&t, '>')) {
		if (is_special(&t, ':')) {
			*s = ahead;
			return;
		}
		next_lexeme(&ahead, &t);
	}
}

/*
 * Words belong to one address without blanks between them, or around '.' and
 * '@' (RFC 5322 4.4: "joe . smith @ example.com").
 */
static bool
joins(const struct buf *addr, const struct lexeme *t)
{
	char last = addr->len > 0 ? addr->p[addr->len - 1] : '@';

	return !t->blank || last == '.' || last == '@' || t->text.p[0] == '.' ||
	       t->text.p[0] == '@';
}

/* <...>: all of it, up to '>', or to what can't be in it. */
static void
read_angle(const struct mailbox *m, struct buf *addr)
{
	struct scan s = m->inside;
	struct lexeme t;

	skip_obs_route(&s);
	for (;;) {
		next_lexeme(&s, &t);
		if (t.kind == LEX_END || (t.kind == LEX_SPECIAL && t.text.p[0] != '@'))
			return;
		if (t.kind == LEX_COMMENT)
			continue;
		if (!joins(addr, &t))
			buf_addc(addr, ' ');
		add_bytes(addr, t.text, false);
	}
}

static void
read_phrase(const struct mailbox *m, struct buf *name)
{
	struct scan s = m->start;
	bool gap = false; /* a comment counts as a blank */
	struct lexeme t;

	for (;;) {
		next_lexeme(&s, &t);
		if (t.kind == LEX_END || s.pos > m->angle)
			return;
		t.blank = t.blank || gap;
		gap = t.kind == LEX_COMMENT;
		if (!gap)
			add_to_name(name, &t);
	}
}

/*
 * "joe@example.com (Joe)", and what people make of it: words before the address
 * are dropped, what stands behind it is not looked at, but for the comment.
 */
static void
read_bare(const struct mailbox *m, struct buf *addr, struct buf *name)
{
	struct scan s = m->start;
	bool at = false, done = false;
	struct lexeme t;

	for (;;) {
		next_lexeme(&s, &t);
		if (t.kind == LEX_END || s.pos > m->end)
			return;
		if (t.kind == LEX_COMMENT) {
			buf_clear(name);
			add_to_name(name, &t);
			continue;
		}
		done = done || is_special(&t, '>') || (at && !joins(addr, &t));
		if (done)
			continue;
		if (!joins(addr, &t))
			buf_clear(addr);
		at = at || is_special(&t, '@');
		add_bytes(addr, t.text, false);
	}
}

static bool
is_whole(const struct buf *addr)
{
	struct address a = address_split(buf_slice(addr));

	return !addr->full && a.local.len > 0 && a.domain.len > 0 && addr->p[0] != '@';
}

bool
address_first(struct slice header_value, struct buf *addr, struct buf *name)
{
	struct scan s = { .in = header_value, 0, SIZE_MAX, SIZE_MAX, SIZE_MAX };
	struct buf no_name, *display = name != NULL ? name : &no_name;
	struct mailbox m;
	bool found = false;

	buf_init(&no_name, 0);
	buf_clear(addr);
	buf_clear(display);
	while (!found && next_mailbox(&s, &m)) {
		if (!m.at)
			continue;
		if (m.angle != SIZE_MAX) {
			read_angle(&m, addr);
			read_phrase(&m, display);
		} else {
			read_bare(&m, addr, display);
		}
		found = is_whole(addr);
		if (!found) {
			buf_clear(addr);
			buf_clear(display);
		}
	}
	buf_free(&no_name);
	return found;
}

/* From the first word behind the last '@' of a mailbox to the last one that belongs to it. */
static struct slice
domain_of(const struct mailbox *m)
{
	bool angle = m->angle != SIZE_MAX, at = false;
	struct scan s = angle ? m->inside : m->start;
	struct slice domain = { NULL, 0 };
	struct lexeme t, before = { 0 };

	if (angle)
		skip_obs_route(&s);
	for (;; before = t) {
		do
			next_lexeme(&s, &t);
		while (t.kind == LEX_COMMENT);
		if (t.kind == LEX_END || s.pos > m->end || is_special(&t, '>'))
			return domain;
		if (is_special(&t, '@')) {
			at = true;
			domain = (struct slice){ NULL, 0 };
		} else if (t.kind == LEX_SPECIAL) {
			return domain;
		} else if (at && domain.len == 0) {
			domain = t.text;
		} else if (at) {
			if (t.blank && t.text.p[0] != '.' &&
			    before.text.p[before.text.len - 1] != '.')
				return domain;
			domain = between(domain.p, t.text.p + t.text.len);
		}
	}
}

size_t
address_domains(struct slice header_value, struct slice *domains, size_t max)
{
	struct scan s = { .in = header_value, 0, SIZE_MAX, SIZE_MAX, SIZE_MAX };
	struct mailbox m;
	size_t n = 0;

	while (n < max && next_mailbox(&s, &m)) {
		domains[n] = m.at ? domain_of(&m) : (struct slice){ NULL, 0 };
		n += domains[n].len > 0;
	}
	return n;
}
