#include "common/dsn.h"

#include "common/ascii.h"
#include "common/header.h"

/* ---- values ---- */

/* "rfc822; user@example.com" -> "user@example.com"; a value without a type stays (RFC 3464 2.1.2).
 */
static struct slice
without_type(struct slice value)
{
	struct slice s = slice_trim(value);

	for (size_t i = 0; i < s.len && i < 24; i++) {
		if (s.p[i] == ';')
			return slice_trim(slice_skip(s, i + 1));
		if (!ascii_is_alnum(s.p[i]) && s.p[i] != '-' && s.p[i] != ' ')
			break;
	}
	return s;
}

/* Digits at `at`: how many, at most 4. */
static size_t
digits(struct slice s, size_t at)
{
	size_t n = 0;

	while (n < 4 && at + n < s.len && ascii_is_digit(s.p[at + n]))
		n++;
	return n;
}

/* Length of d.d.d at `at`, or 0. */
static size_t
status_at(struct slice s, size_t at)
{
	size_t b, c, end;

	if (at + 4 >= s.len || s.p[at + 1] != '.' ||
	    (s.p[at] != '2' && s.p[at] != '4' && s.p[at] != '5'))
		return 0;
	b = digits(s, at + 2);
	if (b == 0 || b > 3 || at + 2 + b >= s.len || s.p[at + 2 + b] != '.')
		return 0;
	c = digits(s, at + 3 + b);
	if (c == 0 || c > 3)
		return 0;
	end = at + 3 + b + c;
	/* "192.0.2.5.1.1" and "5.5.2653.19" are none. */
	if (end < s.len && (s.p[end] == '.' || s.p[end] == '-') && end + 1 < s.len &&
	    ascii_is_digit(s.p[end + 1]))
		return 0;
	if (end < s.len && (ascii_is_alnum(s.p[end]) || s.p[end] == '@'))
		return 0;
	return end - at;
}

struct slice
dsn_find_status(struct slice text)
{
	size_t at = 0;

	for (;;) {
		const char *dot = at < text.len ? memchr(text.p + at, '.', text.len - at) : NULL;
		size_t i, n;

		if (dot == NULL)
			return slice_head(text, 0);
		i = (size_t)(dot - text.p);
		at = i + 1;
		if (i == 0)
			continue;
		i--;
		if (i > 0 &&
		    (ascii_is_alnum(text.p[i - 1]) || text.p[i - 1] == '.' || text.p[i - 1] == '@'))
			continue;
		n = status_at(text, i);
		if (n > 0)
			return (struct slice){ text.p + i, n };
	}
}

unsigned
dsn_find_code(struct slice text)
{
	for (size_t i = 0; i + 2 < text.len; i++) {
		char before = i > 0 ? text.p[i - 1] : ' ',
		     after = i + 3 < text.len ? text.p[i + 3] : ' ';

		if ((text.p[i] != '4' && text.p[i] != '5') || text.p[i + 1] > '7' ||
		    !ascii_is_digit(text.p[i + 1]) || !ascii_is_digit(text.p[i + 2]))
			continue;
		if (ascii_is_alnum(before) || strchr(".-_/@:=%$", before) != NULL) {
			/* "ERROR_CODE :550", "code:550" */
			if (before != ':' && before != '=')
				continue;
		}
		if (after != ' ' && after != '-' && after != '\n' && after != '\r' &&
		    after != ';' && after != ',' && after != '_' && after != ':' && after != '\t' &&
		    after != '>' && after != ')' && after != '\'')
			continue;
		if (after == '-' && i + 4 < text.len && ascii_is_digit(text.p[i + 4]) &&
		    status_at(text, i + 4) == 0)
			continue; /* a telephone number */
		return (unsigned)(text.p[i] - '0') * 100 + (unsigned)(text.p[i + 1] - '0') * 10 +
		       (unsigned)(text.p[i + 2] - '0');
	}
	return 0;
}

static const struct {
	const char *start;
	enum dsn_action action;
} actions[] = {
	{ "fail", DSN_FAILED }, /* "failure" too */
	{ "expire", DSN_FAILED },
	{ "delay", DSN_DELAYED },
	{ "deliver", DSN_DELIVERED }, /* "deliverable" too */
	{ "relay", DSN_RELAYED },
	{ "expand", DSN_EXPANDED },
};

static enum dsn_action
read_action(struct slice value)
{
	for (size_t i = 0; i < COUNT(actions); i++)
		if (slice_startsi(value, slice_str(actions[i].start)))
			return actions[i].action;
	return DSN_ACTION_NONE;
}

const char *
dsn_action_name(enum dsn_action action)
{
	static const char *const names[] = {
		[DSN_ACTION_NONE] = "",
		[DSN_FAILED] = "failed",
		[DSN_DELAYED] = "delayed",
		[DSN_DELIVERED] = "delivered",
		[DSN_RELAYED] = "relayed",
		[DSN_EXPANDED] = "expanded",
	};

	return names[action];
}

/* ---- addresses ---- */

static int
hex_value(char c)
{
	if (ascii_is_digit(c))
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/*
 * "+2B" of xtext. Many write the address as it is, and "user+AB12" must stay: only what RFC 3461
 * 4 says must be encoded is decoded.
 */
static size_t
xtext_at(struct slice s, size_t at, char *out)
{
	int hi, lo, c;

	if (s.p[at] != '+' || at + 2 >= s.len)
		return 0;
	hi = hex_value(s.p[at + 1]);
	lo = hex_value(s.p[at + 2]);
	if (hi < 0 || lo < 0)
		return 0;
	c = hi * 16 + lo;
	if (c != '+' && c != '=' && c != ' ')
		return 0;
	*out = (char)c;
	return 3;
}

static void
add_utf8(struct buf *out, unsigned long c)
{
	if (c < 0x80) {
		buf_addc(out, (char)c);
	} else if (c < 0x800) {
		buf_addc(out, (char)(0xc0 | (c >> 6)));
		buf_addc(out, (char)(0x80 | (c & 0x3f)));
	} else if (c < 0x10000) {
		buf_addc(out, (char)(0xe0 | (c >> 12)));
		buf_addc(out, (char)(0x80 | ((c >> 6) & 0x3f)));
		buf_addc(out, (char)(0x80 | (c & 0x3f)));
	} else {
		buf_addc(out, (char)(0xf0 | (c >> 18)));
		buf_addc(out, (char)(0x80 | ((c >> 12) & 0x3f)));
		buf_addc(out, (char)(0x80 | ((c >> 6) & 0x3f)));
		buf_addc(out, (char)(0x80 | (c & 0x3f)));
	}
}

/* "\x{5C0F}" of RFC 6533 3 (EmbeddedUnicodeChar); 0 if it is none. */
static size_t
unicode_at(struct slice s, size_t at, unsigned long *c)
{
	size_t i = at + 3;

	*c = 0;
	if (!slice_startsi(slice_skip(s, at), SLICE_LIT("\\x{")))
		return 0;
	for (; i < s.len && i < at + 9 && s.p[i] != '}'; i++) {
		int h = hex_value(ascii_upper(s.p[i]));

		if (h < 0)
			return 0;
		*c = *c * 16 + (unsigned long)h;
	}
	if (i >= s.len || s.p[i] != '}' || i == at + 3 || *c < 0x20 || *c > 0x10ffff ||
	    (*c >= 0xd800 && *c < 0xe000))
		return 0;
	return i + 1 - at;
}

/* "(a comment) user@example.com" */
static struct slice
skip_comments(struct slice s)
{
	while (s.len > 0 && s.p[0] == '(')
		s = slice_trim(slice_skip(s, slice_find(s, ')') + 1));
	return s;
}

/* Between the first '<' and its '>', if there are any; else without what follows a blank or '('. */
static struct slice
bare_address(struct slice s)
{
	size_t open, n = 0;
	bool quoted = false;

	s = skip_comments(s);
	open = slice_find(s, '<');
	if (open < s.len) {
		struct slice in = slice_skip(s, open + 1);

		in = slice_trim(slice_head(in, slice_find(in, '>')));
		if (in.len > 0)
			s = in;
		while (s.len > 0 && s.p[0] == '<') /* "<<user@example.com>>" */
			s = slice_skip(s, 1);
	}
	for (; n < s.len; n++) {
		if (s.p[n] == '"')
			quoted = !quoted;
		if (!quoted && (ascii_is_space(s.p[n]) || s.p[n] == '('))
			break;
	}
	return slice_head(s, quoted ? s.len : n);
}

void
dsn_address(struct slice value, struct buf *out)
{
	struct slice s = without_type(value);

	buf_clear(out);
	s = bare_address(slice_head(s, 2048));
	while (s.len > 1 && (s.p[0] == '\'' || s.p[0] == '`') && s.p[s.len - 1] == '\'')
		s = slice_head(slice_skip(s, 1), s.len - 2);
	/* "@mx.example.org" of sendmail is no address. */
	if (s.len == 0 || (s.p[0] == '@' && slice_find(s, ':') == s.len))
		return;
	if (s.p[0] == '@') /* a source route */
		s = slice_skip(s, slice_find(s, ':') + 1);
	for (size_t i = 0; i < s.len;) {
		unsigned long c;
		char x;
		size_t n = unicode_at(s, i, &c);

		if (n > 0) {
			add_utf8(out, c);
		} else if ((n = xtext_at(s, i, &x)) > 0) {
			buf_addc(out, x);
		} else if (s.p[i] == '\0') {
			n = 1; /* the end of a string in some sender's program */
		} else if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f) {
			buf_clear(out);
			return;
		} else {
			buf_addc(out, s.p[i]);
			n = 1;
		}
		i += n;
	}
}

/* ---- groups ---- */

enum field {
	FIELD_OTHER,
	FIELD_REPORTING_MTA,
	FIELD_ENVELOPE_ID,
	FIELD_ORIGINAL,
	FIELD_FINAL,
	FIELD_ACTUAL,
	FIELD_ACTION,
	FIELD_STATUS,
	FIELD_DIAGNOSTIC,
	FIELD_REMOTE_MTA,
};

static const struct {
	const char *name;
	enum field field;
} field_names[] = {
	{ "Reporting-MTA", FIELD_REPORTING_MTA },
	{ "Original-Envelope-Id", FIELD_ENVELOPE_ID },
	{ "Original-Recipient", FIELD_ORIGINAL },
	{ "Final-Recipient", FIELD_FINAL },
	{ "X-Actual-Recipient", FIELD_ACTUAL },
	{ "Action", FIELD_ACTION },
	{ "Status", FIELD_STATUS },
	{ "Diagnostic-Code", FIELD_DIAGNOSTIC },
	{ "Diagnostic", FIELD_DIAGNOSTIC },
	{ "Remote-MTA", FIELD_REMOTE_MTA },
};

static enum field
field_of(struct slice name)
{
	for (size_t i = 0; i < COUNT(field_names); i++)
		if (slice_eqi(name, slice_str(field_names[i].name)))
			return field_names[i].field;
	return FIELD_OTHER;
}

struct group {
	struct dsn_rcpt *rcpt;
	unsigned seen; /* bits of enum field */
};

#define BIT(f)     (1u << (f))
#define RECIPIENTS (BIT(FIELD_ORIGINAL) | BIT(FIELD_FINAL) | BIT(FIELD_ACTUAL))
#define OF_RCPT                                                                                    \
	(RECIPIENTS | BIT(FIELD_ACTION) | BIT(FIELD_STATUS) | BIT(FIELD_DIAGNOSTIC) |              \
	    BIT(FIELD_REMOTE_MTA))

/* Does this field belong to the next recipient? `gap`: behind an empty line. */
static bool
begins_group(const struct group *g, enum field f, bool gap)
{
	if ((g->seen & OF_RCPT) == 0)
		return false;
	/* Of a recipient of whom only the name was said, more may follow. */
	if (gap && (BIT(f) & RECIPIENTS) != 0 && (g->seen & RECIPIENTS) != 0 &&
	    (g->seen & OF_RCPT & ~RECIPIENTS) != 0)
		return true;
	if ((g->seen & BIT(f)) == 0)
		return false;
	return f == FIELD_FINAL || f == FIELD_ORIGINAL || f == FIELD_ACTUAL || gap ||
	       (f == FIELD_ACTION && (g->seen & RECIPIENTS) != 0);
}

static void
take(struct dsn *d, struct group *g, enum field f, struct slice value)
{
	struct dsn_rcpt *r = g->rcpt;
	struct slice v = without_type(value);

	if ((g->seen & BIT(f)) != 0) {
		/* Twice: the first that says something stands. */
		if (f == FIELD_STATUS && r->status.len == 0)
			r->status = dsn_find_status(v);
		return;
	}
	g->seen |= BIT(f);
	switch (f) {
	case FIELD_REPORTING_MTA:
		if (d->reporting_mta.len == 0)
			d->reporting_mta = v;
		break;
	case FIELD_ENVELOPE_ID:
		if (d->envelope_id.len == 0)
			d->envelope_id = slice_trim(value);
		break;
	case FIELD_ORIGINAL:
		r->original = v;
		break;
	case FIELD_FINAL:
		r->final = v;
		break;
	case FIELD_ACTUAL:
		r->actual = v;
		break;
	case FIELD_ACTION:
		r->action = read_action(v);
		break;
	case FIELD_STATUS:
		r->status = dsn_find_status(v);
		break;
	case FIELD_DIAGNOSTIC:
		r->diagnostic = v;
		break;
	case FIELD_REMOTE_MTA:
		r->remote_mta = v;
		break;
	case FIELD_OTHER:
		break;
	}
}

void
dsn_begin(struct dsn *d, struct slice body)
{
	*d = (struct dsn){ .rest = body };
}

/* The next field of any name; *gap if there was an empty line before it. */
static int
next_field(struct dsn *d, struct slice *name, struct slice *value, bool *gap)
{
	struct header h;

	if (d->pending) {
		d->pending = false;
		*name = d->pending_name;
		*value = d->pending_value;
		return 1;
	}
	while (d->rest.len > 0) {
		int rc;

		if (++d->fields > DSN_MAX_FIELDS)
			return -1;
		rc = header_next(&d->rest, &h);
		if (rc == 0)
			*gap = true;
		if (rc > 0) {
			*name = h.name;
			*value = h.value;
			return 1;
		}
	}
	return 0;
}

int
dsn_next(struct dsn *d, struct dsn_rcpt *out)
{
	struct group g = { .rcpt = out };
	struct slice name, value;
	bool gap = false;
	int rc;

	*out = (struct dsn_rcpt){ 0 };
	if (d->truncated)
		return -1;
	while ((rc = next_field(d, &name, &value, &gap)) > 0) {
		enum field f = field_of(name);

		if (f == FIELD_OTHER)
			continue;
		if (begins_group(&g, f, gap)) {
			d->pending = true;
			d->pending_name = name;
			d->pending_value = value;
			break;
		}
		take(d, &g, f, value);
		gap = false;
	}
	if (rc < 0 || ((g.seen & OF_RCPT) != 0 && ++d->rcpts > DSN_MAX_RCPTS)) {
		d->truncated = true;
		return -1;
	}
	return (g.seen & OF_RCPT) != 0;
}
