/* The DKIM-Signature header (RFC 6376 3.5, 3.7, 5.4). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base64.h"
#include "common/dkim.h"
#include "common/xalloc.h"

/* ---- names ---- */

/*
 * What a reader sees, what a receiver decides by, what a reply is threaded by.
 * Nothing that is rewritten on the way.
 */
#define NAME(text)                                                                                 \
	{                                                                                          \
		(text), sizeof("" text) - 1                                                        \
	}

static const struct slice standard[] = {
	NAME("From"), NAME("Sender"), NAME("Reply-To"), NAME("Subject"), NAME("Date"),
	NAME("Message-ID"), NAME("To"), NAME("Cc"), NAME("MIME-Version"), NAME("Content-Type"),
	NAME("Content-Transfer-Encoding"), NAME("Content-ID"), NAME("Content-Description"),
	NAME("Content-Disposition"), NAME("Content-Language"), NAME("Resent-Date"),
	NAME("Resent-From"), NAME("Resent-Sender"), NAME("Resent-To"), NAME("Resent-Cc"),
	NAME("Resent-Message-ID"), NAME("In-Reply-To"), NAME("References"), NAME("List-Id"),
	NAME("List-Help"), NAME("List-Unsubscribe"),
	NAME("List-Unsubscribe-Post"), /* RFC 8058 4: must be covered */
	NAME("List-Subscribe"), NAME("List-Post"), NAME("List-Owner"), NAME("List-Archive"),
	NAME("Feedback-ID"), NAME("Auto-Submitted"),
	NAME("X-Signalpost-ID"), /* what reports are matched by */
};

/* Changed, added or taken out on the way, or said by RFC 6376 5.4 to be left alone. */
static const struct slice never[] = {
	NAME("Return-Path"),
	NAME("Received"),
	NAME("Received-SPF"),
	NAME("DKIM-Signature"),
	NAME("DomainKey-Signature"),
	NAME("Bcc"),
	NAME("Resent-Bcc"),
	NAME("Comments"),
	NAME("Keywords"),
	NAME("Authentication-Results"),
	NAME("Delivered-To"),
	NAME("X-Original-To"),
	NAME("Envelope-To"),
	NAME("Status"),
	NAME("X-Status"),
	NAME("X-UID"),
};

/* Where `name` is in the list, or n. */
static size_t
find_name(struct slice name, const struct slice *list, size_t n)
{
	size_t i = 0;

	while (i < n && !slice_eqi(name, list[i]))
		i++;
	return i;
}

bool
dkim_is_standard_header(struct slice name)
{
	return find_name(name, standard, COUNT(standard)) < COUNT(standard);
}

bool
dkim_is_never_header(struct slice name)
{
	return slice_startsi(name, SLICE_LIT("ARC-")) ||
	       find_name(name, never, COUNT(never)) < COUNT(never);
}

/* ---- what may go into a tag ---- */

static bool
is_host_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_' || c == '.';
}

/* A domain that came out of a message must not bring tags of its own. */
bool
dkim_is_host_name(const char *s)
{
	size_t n = 0, label = 0;

	if (s == NULL)
		return false;
	for (; is_host_char(s[n]); n++) {
		label = s[n] == '.' ? 0 : label + 1;
		if (label > 63 || (label == 0 && (n == 0 || s[n - 1] == '.')))
			return false;
	}
	return s[n] == '\0' && label > 0 && n <= 253;
}

/* RFC 6376 3.5, i=: the domain is the same as d= or below it. */
static bool
identity_fits(struct slice identity, struct slice domain)
{
	struct slice of;

	if (!slice_endsi(identity, domain) || identity.len == domain.len)
		return false;
	of = slice_head(identity, identity.len - domain.len);
	return of.p[of.len - 1] == '@' ||
	       (of.p[of.len - 1] == '.' && memrchr(of.p, '@', of.len) != NULL);
}

static int
check_tags(const struct dkim_signing *how, struct err *e)
{
	if (!dkim_is_host_name(how->selector))
		return err_set(e, "\"%.100s\" can't be a DKIM selector",
		    how->selector == NULL ? "" : how->selector);
	if (!dkim_is_host_name(how->domain))
		return err_set(
		    e, "\"%.260s\" can't be a DKIM domain", how->domain == NULL ? "" : how->domain);
	if (how->identity.len > 0 && !identity_fits(how->identity, slice_str(how->domain)))
		return err_set(e, "identity \"%.*s\" is not within domain %.260s",
		    (int)slice_head(how->identity, 150).len, how->identity.p, how->domain);
	return 0;
}

/* RFC 6376 2.11, dkim-quoted-printable: also what i= takes no offence at, but readers of it might.
 */
static void
add_quoted(struct slice s, struct buf *out)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c < 0x21 || c > 0x7e || c == ';' || c == '=')
			buf_printf(out, "=%02X", c);
		else
			buf_addc(out, (char)c);
	}
}

/* Can h= hold it? A ';' may stand in a field name (RFC 5322 3.6.8), not in a tag. */
static bool
fits_h_tag(struct slice name)
{
	for (size_t i = 0; i < name.len; i++)
		if (name.p[i] < 0x21 || name.p[i] > 0x7e || name.p[i] == ':' || name.p[i] == ';')
			return false;
	return name.len > 0;
}

/* ---- the value, folded as it is written ---- */

#define HEADER_NAME "DKIM-Signature"
#define LINE_MAX    76 /* RFC 5322 2.1.1 asks for 78 at most */

struct writer {
	struct buf *out;
	size_t column;
};

static void
write_text(struct writer *w, struct slice s)
{
	buf_add(w->out, s);
	w->column += s.len;
}

static void
write_fold(struct writer *w, const char *indent)
{
	buf_adds(w->out, "\n");
	w->column = 0;
	write_text(w, slice_str(indent));
}

/* "TAG=VALUE;" on this line, behind a blank, or on the next. */
static void
write_tag(struct writer *w, const char *tag, struct slice value)
{
	size_t n = strlen(tag) + value.len + 1;

	if (w->column + 1 + n > LINE_MAX)
		write_fold(w, "\t");
	else
		write_text(w, SLICE_LIT(" "));
	write_text(w, slice_str(tag));
	write_text(w, value);
	write_text(w, SLICE_LIT(";"));
}

static void
write_number(struct writer *w, const char *tag, uint64_t n)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRIu64, n);
	write_tag(w, tag, slice_str(digits));
}

/* The next name of h=. */
static void
write_name(struct writer *w, struct slice name, bool first)
{
	if (!first)
		write_text(w, SLICE_LIT(":"));
	/* One column for the ':' or ';' behind it. */
	if (w->column + name.len + 1 > LINE_MAX && !first)
		write_fold(w, "\t ");
	write_text(w, name);
}

/* base64 is white space's friend: it can be folded anywhere. */
static void
write_base64(struct writer *w, struct slice bytes)
{
	struct buf text;
	struct slice rest;

	buf_init(&text, BUF_NO_LIMIT);
	base64_encode(&text, bytes, BASE64_STD);
	rest = buf_slice(&text);
	while (rest.len > 0) {
		size_t n;

		if (w->column >= LINE_MAX)
			write_fold(w, "\t ");
		n = LINE_MAX - w->column;
		write_text(w, slice_head(rest, n));
		rest = slice_skip(rest, n);
	}
	buf_free(&text);
}

static void
write_first_tags(struct writer *w, const struct dkim_key *k, const struct dkim_signing *how)
{
	struct buf text;

	buf_init(&text, BUF_NO_LIMIT);
	write_tag(w, "v=", SLICE_LIT("1"));
	write_tag(w, "a=", slice_str(dkim_algorithm_name(dkim_key_algorithm(k))));
	buf_printf(
	    &text, "%s/%s", dkim_canon_name(how->header_canon), dkim_canon_name(how->body_canon));
	write_tag(w, "c=", buf_slice(&text));
	write_tag(w, "d=", slice_str(how->domain));
	write_tag(w, "s=", slice_str(how->selector));
	if (how->timestamp > 0)
		write_number(w, "t=", (uint64_t)how->timestamp);
	if (how->expires > 0)
		write_number(w, "x=", (uint64_t)how->expires);
	if (how->identity.len > 0) {
		buf_clear(&text);
		add_quoted(how->identity, &text);
		write_tag(w, "i=", buf_slice(&text));
	}
	if (how->body_limit)
		write_number(w, "l=", how->body_length);
	buf_free(&text);
}

/* ---- which fields ---- */

/*
 * Each name that is to be signed once, whatever lists it is in, and the fields of
 * that name as a chain from the bottom up: the n-th time a verifier reads a name in
 * h=, it takes the n-th field of that name from the bottom (RFC 6376 5.4.2).
 */
struct selection {
	size_t n_names;
	struct slice *names;
	size_t *next;    /* of a name: its lowest field not yet covered, + 1; 0: none */
	size_t *above;   /* of a field: the next one of its name above, + 1 */
	size_t *name_of; /* of a field: index in names, or n_names */
	bool *oversigned;
};

static size_t
count(const char *const *list)
{
	size_t n = 0;

	while (list != NULL && list[n] != NULL)
		n++;
	return n;
}

static void
add_names(struct selection *s, const char *const *list)
{
	for (size_t i = 0; list != NULL && list[i] != NULL; i++) {
		struct slice name = slice_str(list[i]);

		if (fits_h_tag(name) && !dkim_is_never_header(name) &&
		    find_name(name, s->names, s->n_names) == s->n_names)
			s->names[s->n_names++] = name;
	}
}

static void
selection_begin(
    struct selection *s, const struct dkim_signing *how, const struct dkim_field *fields, size_t n)
{
	size_t max = COUNT(standard) + count(how->extra) + count(how->oversign);

	*s = (struct selection){ .n_names = COUNT(standard) };
	s->names = xcalloc(max, sizeof(*s->names));
	memcpy(s->names, standard, sizeof(standard));
	add_names(s, how->extra);
	add_names(s, how->oversign);
	s->next = xcalloc(max, sizeof(*s->next));
	s->oversigned = xcalloc(max, sizeof(*s->oversigned));
	s->above = xcalloc(n, sizeof(*s->above));
	s->name_of = xcalloc(n, sizeof(*s->name_of));
	for (size_t i = 0; i < n; i++) {
		size_t id = find_name(slice_trim(fields[i].name), s->names, s->n_names);

		s->name_of[i] = id;
		if (id == s->n_names)
			continue;
		s->above[i] = s->next[id];
		s->next[id] = i + 1;
	}
}

static void
selection_end(struct selection *s)
{
	free(s->names);
	free(s->next);
	free(s->oversigned);
	free(s->above);
	free(s->name_of);
}

static bool
selection_has(const struct selection *s, struct slice name)
{
	size_t id = find_name(name, s->names, s->n_names);

	return id < s->n_names && s->next[id] != 0;
}

/* h=, and the canonical fields in the order that it says. */
static void
write_fields(struct writer *w, struct selection *s, const struct dkim_signing *how,
    const struct dkim_field *fields, size_t n, struct buf *data)
{
	bool first = true;

	write_text(w, SLICE_LIT("h="));
	for (size_t i = 0; i < n; i++) {
		size_t id = s->name_of[i], at;

		if (id == s->n_names)
			continue;
		write_name(w, slice_trim(fields[i].name), first);
		first = false;
		at = s->next[id] - 1;
		s->next[id] = s->above[at];
		dkim_field_canon(&fields[at], how->header_canon, data);
	}
	for (size_t i = 0; how->oversign != NULL && how->oversign[i] != NULL; i++) {
		struct slice name = slice_str(how->oversign[i]);
		size_t id = find_name(name, s->names, s->n_names);

		if (id == s->n_names || s->oversigned[id])
			continue;
		s->oversigned[id] = true;
		write_name(w, name, first);
		first = false;
	}
	write_text(w, SLICE_LIT(";"));
}

/* ---- the signature ---- */

/* RFC 6376 3.7: the signature's own field comes last, with b= empty and no CRLF. */
static void
add_own_field(struct slice value, enum dkim_canon canon, struct buf *data)
{
	struct dkim_field own = { SLICE_LIT(HEADER_NAME), value };

	dkim_field_canon(&own, canon, data);
	if (!data->full)
		data->len -= 2;
}

static int
sign_value(struct writer *w, size_t start, const struct dkim_key *k, enum dkim_canon canon,
    struct buf *data, struct err *e)
{
	struct buf signature;
	int rc;

	if (w->out->full)
		return err_set(e, "DKIM-Signature longer than %zu bytes", w->out->max);
	add_own_field(slice_skip(buf_slice(w->out), start), canon, data);
	buf_init(&signature, BUF_NO_LIMIT);
	rc = dkim_key_sign(k, buf_slice(data), &signature, e);
	if (rc == 0)
		write_base64(w, buf_slice(&signature));
	buf_free(&signature);
	if (rc == 0 && w->out->full)
		rc = err_set(e, "DKIM-Signature longer than %zu bytes", w->out->max);
	return rc;
}

int
dkim_signature(const struct dkim_key *k, const struct dkim_signing *how,
    const struct dkim_field *fields, size_t n_fields, const unsigned char body_hash[32],
    struct buf *out, struct err *e)
{
	struct writer w = { out, sizeof(HEADER_NAME ":") - 1 };
	size_t start = out->len;
	struct selection s;
	struct buf data;
	int rc;

	if (check_tags(how, e) < 0)
		return -1;
	selection_begin(&s, how, fields, n_fields);
	if (!selection_has(&s, SLICE_LIT("From"))) {
		selection_end(&s);
		return err_set(e, "no From header to sign");
	}
	buf_init(&data, BUF_NO_LIMIT);
	write_first_tags(&w, k, how);
	write_fold(&w, "\t");
	write_fields(&w, &s, how, fields, n_fields, &data);
	write_fold(&w, "\tbh=");
	write_base64(&w, (struct slice){ (const char *)body_hash, 32 });
	write_text(&w, SLICE_LIT(";"));
	write_fold(&w, "\tb=");
	rc = sign_value(&w, start, k, how->header_canon, &data, e);
	if (rc < 0 && out->p != NULL) {
		out->len = start;
		out->p[start] = '\0';
	}
	buf_free(&data);
	selection_end(&s);
	return rc;
}
