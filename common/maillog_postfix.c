#include "common/maillog_private.h"

enum role { ROLE_OTHER, ROLE_ENTRY, ROLE_CLEANUP, ROLE_QUEUE, ROLE_SUPER, ROLE_AGENT };

struct maillog_service {
	const char *name;
	enum role role;
	enum maillog_via via;
	const char *method;
};

static const struct maillog_service services[] = {
	{ "smtp", ROLE_AGENT, MAILLOG_REMOTE, "esmtp" },
	{ "qmgr", ROLE_QUEUE, MAILLOG_NOWHERE, NULL },
	{ "smtpd", ROLE_ENTRY, MAILLOG_NOWHERE, NULL },
	{ "cleanup", ROLE_CLEANUP, MAILLOG_NOWHERE, NULL },
	{ "lmtp", ROLE_AGENT, MAILLOG_REMOTE, "lmtp" },
	{ "error", ROLE_AGENT, MAILLOG_NOWHERE, NULL },
	{ "retry", ROLE_AGENT, MAILLOG_NOWHERE, NULL },
	{ "local", ROLE_AGENT, MAILLOG_LOCAL, NULL },
	{ "virtual", ROLE_AGENT, MAILLOG_LOCAL, NULL },
	{ "pipe", ROLE_AGENT, MAILLOG_LOCAL, NULL },
	{ "discard", ROLE_AGENT, MAILLOG_DISCARD, NULL },
	{ "pickup", ROLE_ENTRY, MAILLOG_NOWHERE, NULL },
	{ "qmqpd", ROLE_ENTRY, MAILLOG_NOWHERE, NULL },
	{ "oqmgr", ROLE_QUEUE, MAILLOG_NOWHERE, NULL },
	{ "postsuper", ROLE_SUPER, MAILLOG_NOWHERE, NULL },
	{ "bounce", ROLE_OTHER, MAILLOG_NOWHERE, NULL },
	{ "master", ROLE_OTHER, MAILLOG_NOWHERE, NULL },
	{ "trivial-rewrite", ROLE_OTHER, MAILLOG_NOWHERE, NULL },
	{ "anvil", ROLE_OTHER, MAILLOG_NOWHERE, NULL },
	{ "scache", ROLE_OTHER, MAILLOG_NOWHERE, NULL },
	{ "verify", ROLE_OTHER, MAILLOG_NOWHERE, NULL },
	{ "postscreen", ROLE_OTHER, MAILLOG_NOWHERE, NULL },
	{ "tlsproxy", ROLE_OTHER, MAILLOG_NOWHERE, NULL },
	{ "postlogd", ROLE_OTHER, MAILLOG_NOWHERE, NULL },
};

const struct maillog_service *
maillog_find_service(struct slice name)
{
	for (size_t i = 0; i < COUNT(services); i++)
		if (slice_eq(name, slice_str(services[i].name)))
			return &services[i];
	return NULL;
}

/*
 * Short ids are upper-case hexadecimal, long ones digits and consonants; no
 * word that a message begins with ("warning", "fatal", "connect") is either.
 */
static bool
postfix_queue_id(struct slice s)
{
	if (s.len < 6 || s.len > 40)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (ascii_is_digit(s.p[i]) || (s.p[i] >= 'A' && s.p[i] <= 'F'))
			continue;
		if (!maillog_is_letter(s.p[i]) || memchr("aeiouAEIOU", s.p[i], 10) != NULL)
			return false;
	}
	return true;
}

/* "0.02", "61", "5e+05" as Postfix writes delays: seconds. */
static int64_t
seconds_ms(struct slice v)
{
	int64_t ms = 0, unit = 1000;
	bool point = false;
	uint64_t exponent = 0;
	size_t e = slice_find(v, 'e');

	if (e < v.len && !slice_uint(slice_skip(v, e + 2), 9, &exponent))
		return -1;
	v = slice_head(v, e);
	for (; exponent > 0; exponent--)
		unit *= 10;
	for (size_t i = 0; i < v.len && i < 15; i++) {
		if (v.p[i] == '.' && !point) {
			point = true;
			continue;
		}
		if (!ascii_is_digit(v.p[i]) || ms > INT64_MAX / 100)
			return -1;
		if (!point)
			ms = ms * 10 + (v.p[i] - '0') * unit;
		else
			ms += (v.p[i] - '0') * (unit /= 10);
	}
	return v.len == 0 || ms < 0 || ms > INT64_MAX / 4 ? -1 : ms;
}

/* "... queued as ID": what the next one calls it, who may log to the same place. */
static void
set_other_id(struct maillog_line *m, struct slice marker)
{
	struct slice rest = m->reply;
	size_t at, n = 0;

	/* A filter puts its own words before, and may quote other ids. */
	while ((at = maillog_find(rest, marker)) < rest.len)
		rest = slice_skip(rest, at + marker.len);
	if (rest.len == m->reply.len)
		return;
	while (n < rest.len && ascii_is_alnum(rest.p[n]))
		n++;
	if (postfix_queue_id(slice_head(rest, n)))
		m->other_id = slice_head(rest, n);
}

static const struct {
	const char *word;
	enum maillog_status status;
} postfix_status[] = {
	{ "sent", MAILLOG_SENT },
	{ "deferred", MAILLOG_DEFERRED },
	{ "bounced", MAILLOG_BOUNCED },
	{ "SOFTBOUNCE", MAILLOG_DEFERRED },
	{ "deliverable", MAILLOG_SENT }, /* "sendmail -bv" only asks: nothing is delivered */
	{ "undeliverable", MAILLOG_SENT },
};

/* "sent (250 2.0.0 Ok)": the closing parenthesis is the line's last byte, if the line is whole. */
static bool
set_status(struct maillog_line *m, struct slice v)
{
	size_t n = slice_find(v, ' ');
	struct slice word = slice_head(v, n), reply = slice_trim(slice_skip(v, n));

	for (size_t i = 0; i < COUNT(postfix_status); i++) {
		if (!slice_eq(word, slice_str(postfix_status[i].word)))
			continue;
		m->status = postfix_status[i].status;
		if (slice_endsi(word, SLICE_LIT("deliverable"))) {
			m->via = MAILLOG_NOWHERE;
			m->method = NULL;
		}
		if (reply.len > 0 && reply.p[0] == '(') {
			reply = slice_skip(reply, 1);
			if (reply.len > 0 && reply.p[reply.len - 1] == ')')
				reply.len--;
		}
		m->reply = reply;
		return true;
	}
	return false;
}

/* "to=<a>, orig_to=<b>, relay=..., delay=..., delays=..., dsn=..., status=... (...)" */
static void
postfix_attempt(struct maillog_line *m, const struct maillog_service *s, struct slice rest)
{
	rest = slice_skip(rest, 3);
	if (!maillog_take_path(&rest, &m->to))
		return;
	if (slice_starts(rest, SLICE_LIT("orig_to="))) {
		rest = slice_skip(rest, 8);
		if (!maillog_take_path(&rest, &m->orig_to))
			return;
	}
	m->via = s->via;
	m->method = s->method;
	while (rest.len > 0) {
		size_t n = slice_find(rest, '='), end;
		struct slice key = slice_head(rest, n), value = slice_skip(rest, n + 1);

		if (slice_eq(key, SLICE_LIT("status"))) {
			if (set_status(m, value))
				m->kind = MAILLOG_ATTEMPT;
			if (m->status == MAILLOG_SENT && m->via == MAILLOG_LOCAL)
				set_other_id(m, SLICE_LIT("forwarded as "));
			if (m->status == MAILLOG_SENT && m->other_id.len == 0)
				set_other_id(m, SLICE_LIT("queued as "));
			return;
		}
		end = maillog_find(value, SLICE_LIT(", "));
		rest = slice_skip(value, end + 2);
		value = slice_head(value, end);
		if (slice_eq(key, SLICE_LIT("relay")))
			maillog_set_relay(m, value);
		else if (slice_eq(key, SLICE_LIT("delay")))
			m->delay_ms = seconds_ms(value);
		else if (slice_eq(key, SLICE_LIT("dsn")))
			m->dsn = value;
	}
}

static void
postfix_queue(struct maillog_line *m, struct slice rest)
{
	if (slice_eq(rest, SLICE_LIT("removed"))) {
		m->kind = MAILLOG_REMOVED;
		return;
	}
	if (!slice_starts(rest, SLICE_LIT("from=")))
		return;
	rest = slice_skip(rest, 5);
	/* "status=force-expired, ..." is what postsuper(1) asked for. */
	if (maillog_take_path(&rest, &(struct slice){ 0 }) &&
	    slice_starts(rest, SLICE_LIT("status=")) &&
	    maillog_find(slice_head(rest, 30), SLICE_LIT("expired")) < slice_head(rest, 30).len)
		m->kind = MAILLOG_EXPIRED;
}

/*
 * "uid=105 from=<a@x> orig_id=ID": requeued by postsuper(1). A local user may have any
 * sender logged; the id must be all that is behind it.
 */
static void
postfix_pickup(struct maillog_line *m, struct slice rest)
{
	static const struct slice orig = SLICE_LIT(" orig_id=");

	rest = slice_skip(rest, maillog_find(rest, SLICE_LIT(" from=<")) + 6);
	if (!maillog_take_path(&rest, &(struct slice){ 0 }) || !slice_starts(rest, orig))
		return;
	rest = slice_skip(rest, orig.len);
	if (postfix_queue_id(rest))
		m->other_id = rest;
}

/*
 * "warning: host[192.0.2.1]: SASL LOGIN authentication failed: why, sasl_username=..."
 * What the client can choose, mechanism and user, stands behind its address.
 */
static void
postfix_warning(struct maillog_line *m)
{
	struct slice rest = slice_skip(m->text, 9), ip, mechanism;

	rest = slice_skip(rest, slice_find(slice_head(rest, 300), '[') + 1);
	ip = slice_head(rest, slice_find(slice_head(rest, 64), ']'));
	rest = slice_skip(rest, ip.len + 1);
	if (!slice_starts(rest, SLICE_LIT(": SASL ")))
		return;
	rest = slice_skip(rest, 7);
	mechanism = slice_cut(&rest, ' ');
	if (mechanism.len > 0 && slice_starts(rest, SLICE_LIT("authentication failed:")))
		maillog_auth_failure(m, ip, slice_trim(slice_skip(rest, 22)));
}

void
maillog_postfix(struct maillog_line *m, const struct maillog_service *s)
{
	struct slice rest = m->text;

	if (s->role == ROLE_OTHER)
		return;
	if (s->role == ROLE_ENTRY && slice_starts(rest, SLICE_LIT("warning: "))) {
		postfix_warning(m);
		return;
	}
	if (!maillog_take_id(&rest, postfix_queue_id, &m->queue_id))
		return;
	switch (s->role) {
	case ROLE_AGENT:
		if (slice_starts(rest, SLICE_LIT("to=<")))
			postfix_attempt(m, s, rest);
		break;
	case ROLE_QUEUE:
		postfix_queue(m, rest);
		/* The queue manager answers for transports that it can't reach. */
		if (slice_starts(rest, SLICE_LIT("to=<")))
			postfix_attempt(m, s, rest);
		break;
	case ROLE_ENTRY:
		if (slice_starts(rest, SLICE_LIT("client=")) ||
		    slice_starts(rest, SLICE_LIT("uid=")))
			m->kind = MAILLOG_START;
		if (slice_starts(rest, SLICE_LIT("uid=")))
			postfix_pickup(m, rest);
		break;
	case ROLE_CLEANUP:
		if (slice_starts(rest, SLICE_LIT("message-id=")))
			m->kind = MAILLOG_START;
		else if (slice_starts(rest, SLICE_LIT("milter-reject: END-OF-MESSAGE")) ||
			 slice_starts(rest, SLICE_LIT("milter-discard: END-OF-MESSAGE")))
			m->kind = MAILLOG_REFUSED;
		break;
	case ROLE_SUPER:
		if (slice_eq(rest, SLICE_LIT("removed")))
			m->kind = MAILLOG_DELETED;
		break;
	case ROLE_OTHER:
		break;
	}
}
