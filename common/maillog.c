#include "common/maillog.h"

#include <time.h>

#define DAY_S 86400

/* ---- the line's frame ---- */

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Length of the stamp at the start, or 0. The details are maillog_time()'s. */
static size_t
stamp_length(struct slice s)
{
	size_t n;

	if (s.len > 16 && is_letter(s.p[0]) && s.p[3] == ' ' && s.p[6] == ' ' && s.p[9] == ':' &&
	    s.p[12] == ':' && s.p[15] == ' ')
		return 15;
	if (s.len > 20 && is_digit(s.p[0]) && s.p[4] == '-' && s.p[10] == 'T') {
		n = slice_find(slice_head(s, 40), ' ');
		return n < 40 && n < s.len ? n : 0;
	}
	return 0;
}

/* Offset of `what` in `s`, or s.len. */
static size_t
find_text(struct slice s, struct slice what)
{
	const char *p = s.len < what.len ? NULL : memmem(s.p, s.len, what.p, what.len);

	return p == NULL ? s.len : (size_t)(p - s.p);
}

/* "postfix/smtp[123]: text" */
static bool
cut_tag(struct slice s, struct slice *tag, struct slice *text)
{
	size_t n = 0, end;

	while (n < s.len && n < 100 && s.p[n] != '[' && s.p[n] != ':' && s.p[n] != ' ')
		n++;
	end = n;
	if (n < s.len && s.p[n] == '[') {
		while (end < s.len && end < n + 24 && s.p[end] != ']')
			end++;
		end++;
	}
	if (n == 0 || end >= s.len || s.p[end] != ':')
		return false;
	*tag = slice_head(s, n);
	*text = slice_skip(s, end + 1);
	if (text->len > 0 && text->p[0] == ' ')
		*text = slice_skip(*text, 1);
	return true;
}

/*
 * Reasons for which nobody is to blame but the server: that it can't ask whether
 * a password is right must not lock the users out.
 */
static const char *const not_the_clients[] = {
	"generic failure", /* Cyrus SASL: saslauthd is not there */
	"transient failure",
	"remote authentication server unavailable",
	"no memory available",
	"internal error",
	"connection lost to authentication server", /* Postfix: Dovecot is gone */
	"temporary authentication failure",
};

static void
set_auth_failure(struct maillog_line *m, struct slice ip, struct slice reason)
{
	if (slice_startsi(ip, SLICE_LIT("IPv6:")))
		ip = slice_skip(ip, 5);
	for (size_t i = 0; i < COUNT(not_the_clients); i++)
		if (slice_startsi(reason, slice_str(not_the_clients[i])))
			return;
	m->kind = MAILLOG_AUTH_FAILURE;
	m->ip = ip;
}

/* ---- Postfix ---- */

enum role { ROLE_OTHER, ROLE_ENTRY, ROLE_CLEANUP, ROLE_QUEUE, ROLE_SUPER, ROLE_AGENT };

struct service {
	const char *name;
	enum role role;
	enum maillog_via via;
	const char *method;
};

static const struct service services[] = {
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

static const struct service *
find_service(struct slice name)
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
		if (is_digit(s.p[i]) || (s.p[i] >= 'A' && s.p[i] <= 'F'))
			continue;
		if (!is_letter(s.p[i]) || memchr("aeiouAEIOU", s.p[i], 10) != NULL)
			return false;
	}
	return true;
}

/* "ID: rest": takes the id off. */
static bool
take_queue_id(struct slice *rest, bool (*valid)(struct slice), struct slice *id)
{
	size_t n = slice_find(slice_head(*rest, 64), ':');

	if (n + 1 >= rest->len || n >= 64 || rest->p[n + 1] != ' ' || !valid(slice_head(*rest, n)))
		return false;
	*id = slice_head(*rest, n);
	*rest = slice_skip(*rest, n + 2);
	return true;
}

/*
 * "<address>, " behind "to=" or "orig_to=". A quoted local part may hold any of
 * the bytes that otherwise end the address.
 */
static bool
take_path(struct slice *rest, struct slice *addr)
{
	size_t i = 1;

	if (rest->len < 2 || rest->p[0] != '<')
		return false;
	if (rest->p[1] == '"')
		for (i = 2; i < rest->len && rest->p[i] != '"'; i++)
			i += rest->p[i] == '\\';
	while (i < rest->len && rest->p[i] != '>')
		i++;
	if (i >= rest->len)
		return false;
	*addr = (struct slice){ rest->p + 1, i - 1 };
	*rest = slice_skip(*rest, i + 1);
	if (slice_starts(*rest, SLICE_LIT(", ")))
		*rest = slice_skip(*rest, 2);
	return true;
}

/* "host[192.0.2.1]:25", "none", "host[private/lmtp]", "local" */
static void
set_relay(struct maillog_line *m, struct slice v)
{
	size_t open = slice_find(v, '['), close = slice_find(v, ']');

	m->relay = slice_head(v, open);
	if (open < v.len && close > open && close < v.len)
		m->ip = (struct slice){ v.p + open + 1, close - open - 1 };
	if (m->ip.len > 0 && memchr(m->ip.p, '/', m->ip.len) != NULL) { /* a socket of this host */
		m->ip.len = 0;
		m->via = MAILLOG_LOCAL;
		m->method = NULL;
	}
	if (slice_starts(m->ip, SLICE_LIT("IPv6:")))
		m->ip = slice_skip(m->ip, 5);
	if (slice_eq(m->relay, SLICE_LIT("none")))
		m->relay.len = 0;
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
		if (!is_digit(v.p[i]) || ms > INT64_MAX / 100)
			return -1;
		if (!point)
			ms = ms * 10 + (v.p[i] - '0') * unit;
		else
			ms += (v.p[i] - '0') * (unit /= 10);
	}
	return v.len == 0 || ms < 0 || ms > INT64_MAX / 4 ? -1 : ms;
}

static const struct {
	const char *word;
	enum maillog_status status;
} postfix_status[] = {
	{ "sent", MAILLOG_SENT },
	{ "deferred", MAILLOG_DEFERRED },
	{ "bounced", MAILLOG_BOUNCED },
	{ "SOFTBOUNCE", MAILLOG_DEFERRED },
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
postfix_attempt(struct maillog_line *m, const struct service *s, struct slice rest)
{
	rest = slice_skip(rest, 3);
	if (!take_path(&rest, &m->to))
		return;
	if (slice_starts(rest, SLICE_LIT("orig_to="))) {
		rest = slice_skip(rest, 8);
		if (!take_path(&rest, &m->orig_to))
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
			return;
		}
		end = find_text(value, SLICE_LIT(", "));
		rest = slice_skip(value, end + 2);
		value = slice_head(value, end);
		if (slice_eq(key, SLICE_LIT("relay")))
			set_relay(m, value);
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
	if (take_path(&rest, &(struct slice){ 0 }) && slice_starts(rest, SLICE_LIT("status=")) &&
	    find_text(slice_head(rest, 30), SLICE_LIT("expired")) < slice_head(rest, 30).len)
		m->kind = MAILLOG_EXPIRED;
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
		set_auth_failure(m, ip, slice_trim(slice_skip(rest, 22)));
}

static void
postfix_line(struct maillog_line *m, const struct service *s)
{
	struct slice rest = m->text;

	if (s->role == ROLE_OTHER)
		return;
	if (s->role == ROLE_ENTRY && slice_starts(rest, SLICE_LIT("warning: "))) {
		postfix_warning(m);
		return;
	}
	if (!take_queue_id(&rest, postfix_queue_id, &m->queue_id))
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
			m->kind = MAILLOG_REMOVED;
		break;
	case ROLE_OTHER:
		break;
	}
}

/* ---- sendmail ---- */

/* "6AM6g557030850": time in base 60, and the process; letters first in old versions. */
static bool
sendmail_queue_id(struct slice s)
{
	size_t digits = 0;

	if (s.len < 10 || s.len > 20)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (!is_digit(s.p[i]) && !is_letter(s.p[i]))
			return false;
		digits += is_digit(s.p[i]);
	}
	return digits >= 5;
}

static const struct {
	const char *name;
	enum maillog_via via;
	const char *method;
} mailers[] = {
	{ "esmtp", MAILLOG_REMOTE, "esmtp" },
	{ "smtp", MAILLOG_REMOTE, "smtp" },
	{ "relay", MAILLOG_REMOTE, "esmtp" },
	{ "smtp8", MAILLOG_REMOTE, "esmtp" },
	{ "dsmtp", MAILLOG_REMOTE, "esmtp" },
	{ "discard", MAILLOG_DISCARD, NULL },
	{ "local", MAILLOG_LOCAL, NULL },
	{ "prog", MAILLOG_LOCAL, NULL },
	{ "*file*", MAILLOG_LOCAL, NULL },
	{ "*include*", MAILLOG_LOCAL, NULL },
	{ "cyrus", MAILLOG_LOCAL, NULL },
	{ "cyrusv2", MAILLOG_LOCAL, NULL },
	{ "procmail", MAILLOG_LOCAL, NULL },
	{ "error", MAILLOG_NOWHERE, NULL },
};

static void
set_mailer(struct maillog_line *m, struct slice name)
{
	m->via = MAILLOG_REMOTE;
	m->method = "esmtp";
	for (size_t i = 0; i < COUNT(mailers); i++)
		if (slice_eqi(name, slice_str(mailers[i].name))) {
			m->via = mailers[i].via;
			m->method = mailers[i].method;
		}
}

/* "00:01:02", "5+00:00:03" */
static int64_t
hms_ms(struct slice v)
{
	size_t plus = slice_find(v, '+');
	uint64_t days = 0, part, sum = 0;

	if (plus < v.len) {
		if (!slice_uint(slice_head(v, plus), 100000, &days))
			return -1;
		v = slice_skip(v, plus + 1);
	}
	for (int i = 0; i < 3; i++) {
		struct slice text = slice_cut(&v, ':');

		if (!slice_uint(text, 100000, &part))
			return -1;
		sum = sum * 60 + part;
	}
	return (int64_t)(days * DAY_S + sum) * 1000;
}

/* "Sent (Ok)", "Deferred: Connection refused by x", "User unknown": by the status, then by the
 * word. */
static bool
set_stat(struct maillog_line *m, struct slice stat)
{
	char class = m->dsn.len > 0 ? m->dsn.p[0] : '\0';

	if (slice_starts(stat, SLICE_LIT("queued")) || stat.len == 0)
		return false;
	if (slice_starts(stat, SLICE_LIT("Sent")))
		m->status = MAILLOG_SENT;
	else if (slice_starts(stat, SLICE_LIT("Deferred")) || class == '4')
		m->status = MAILLOG_DEFERRED;
	else if (slice_starts(stat, SLICE_LIT("discarded"))) {
		m->status = MAILLOG_SENT;
		m->via = MAILLOG_DISCARD;
		m->method = NULL;
	} else
		m->status = class == '2' ? MAILLOG_SENT : MAILLOG_BOUNCED;
	if (m->reply.len > 0)
		return true;
	m->reply = stat;
	if (m->status == MAILLOG_SENT && stat.len > 6 && stat.p[stat.len - 1] == ')')
		m->reply = (struct slice){ stat.p + 6, stat.len - 7 };
	else if (slice_starts(stat, SLICE_LIT("Deferred: ")))
		m->reply = slice_skip(stat, 10);
	return true;
}

/* "to=<a>,<b>, ctladdr=..., delay=..., xdelay=, mailer=, pri=, relay=, dsn=, reply=..., stat=..."
 */
static void
sendmail_attempt(struct maillog_line *m, struct slice rest)
{
	/* Addresses are bare or in brackets, with no blank behind the comma. */
	size_t end = find_text(rest, SLICE_LIT(", "));
	size_t stat = rest.len;

	m->to = (struct slice){ rest.p + 3, end - 3 };
	/* A list too long for one line goes on in the next. */
	if (m->to.len > 7 && slice_eq(slice_skip(m->to, m->to.len - 7), SLICE_LIT(" [more]")))
		m->to.len -= 7;
	m->via = MAILLOG_NOWHERE; /* until a mailer is named */
	rest = slice_skip(rest, end + 2);
	while (rest.len > 0) {
		size_t n = slice_find(rest, '=');
		struct slice key = slice_head(rest, n), value = slice_skip(rest, n + 1);

		if (slice_eq(key, SLICE_LIT("stat"))) {
			if (set_stat(m, value))
				m->kind = MAILLOG_ATTEMPT;
			return;
		}
		end = find_text(value, SLICE_LIT(", "));
		/* What the other side said may hold commas. */
		if (slice_eq(key, SLICE_LIT("reply"))) {
			stat = find_text(value, SLICE_LIT(", stat="));
			end = stat;
		}
		rest = slice_skip(value, end + 2);
		value = slice_head(value, end);
		if (slice_eq(key, SLICE_LIT("relay"))) {
			size_t blank = slice_find(value, ' ');

			set_relay(m, value);
			m->relay = slice_head(value, blank);
			if (m->relay.len > 0 && m->relay.p[m->relay.len - 1] == '.')
				m->relay.len--;
		} else if (slice_eq(key, SLICE_LIT("ctladdr"))) {
			/* "<list@x> (8/0)": the recipient that an alias made this one of */
			m->orig_to = value;
			if (!take_path(&value, &m->orig_to))
				m->orig_to = slice_head(value, slice_find(value, ' '));
		} else if (slice_eq(key, SLICE_LIT("mailer")))
			set_mailer(m, value);
		else if (slice_eq(key, SLICE_LIT("delay")))
			m->delay_ms = hms_ms(value);
		else if (slice_eq(key, SLICE_LIT("dsn")))
			m->dsn = value;
		else if (slice_eq(key, SLICE_LIT("reply")))
			m->reply = value;
	}
}

/*
 * "AUTH failure (LOGIN): authentication failure (-13) SASL(-13): ..., user=joe,
 * relay=host [192.0.2.1]": mechanism and user are the client's choice, so only
 * the address at the very end counts.
 */
static void
sendmail_auth(struct maillog_line *m, struct slice rest)
{
	static const struct slice doubt = SLICE_LIT(" (may be forged)");
	size_t close = find_text(rest, SLICE_LIT("): ")), open;

	if (close < rest.len)
		m->reply = slice_skip(rest, close + 3);
	if (slice_endsi(rest, doubt))
		rest.len -= doubt.len;
	if (rest.len == 0 || rest.p[rest.len - 1] != ']')
		return;
	for (open = rest.len; open > 0 && rest.p[open - 1] != '['; open--)
		;
	if (open > 0)
		set_auth_failure(m, (struct slice){ rest.p + open, rest.len - 1 - open }, m->reply);
	m->reply.len = 0;
}

static void
sendmail_line(struct maillog_line *m)
{
	static const struct slice auth = SLICE_LIT("AUTH failure (");
	struct slice rest = m->text, dsn_id;
	bool has_id = take_queue_id(&rest, sendmail_queue_id, &m->queue_id);

	if (slice_starts(rest, SLICE_LIT("NOQUEUE: ")))
		rest = slice_skip(rest, 9);
	if (slice_starts(rest, auth)) {
		sendmail_auth(m, slice_skip(rest, auth.len));
		return;
	}
	if (!has_id)
		return;
	if (slice_starts(rest, SLICE_LIT("to=")))
		sendmail_attempt(m, rest);
	else if (slice_starts(rest, SLICE_LIT("from=")))
		m->kind = MAILLOG_START;
	else if (slice_starts(rest, SLICE_LIT("done; ")))
		m->kind = MAILLOG_REMOVED;
	else if (take_queue_id(&rest, sendmail_queue_id, &dsn_id) &&
		 find_text(rest, SLICE_LIT(": Cannot send message for")) < rest.len)
		m->kind = MAILLOG_EXPIRED;
}

/* ---- loggers that lost something ---- */

static void
dropped_line(struct maillog_line *m)
{
	static const char *const forms[] = { "Suppressed ", "messages lost", "imuxsock lost ",
		"begin to drop messages", "Missed " };
	bool found = false;

	for (size_t i = 0; i < COUNT(forms); i++)
		found = found || find_text(m->text, slice_str(forms[i])) < m->text.len;
	if (!found)
		return;
	m->kind = MAILLOG_DROPPED;
	/* The first number that stands alone; the others are process ids. */
	for (struct slice rest = m->text, word; slice_word(&rest, &word);)
		if (slice_uint(word, UINT32_MAX, &m->lost))
			return;
}

/* ---- all ---- */

static bool
is_sendmail(struct slice tag)
{
	return slice_starts(tag, SLICE_LIT("sendmail")) || slice_starts(tag, SLICE_LIT("sm-"));
}

static bool
is_logger(struct slice tag)
{
	return slice_eq(tag, SLICE_LIT("rsyslogd")) ||
	       slice_eq(tag, SLICE_LIT("systemd-journald")) ||
	       slice_eq(tag, SLICE_LIT("systemd-journal"));
}

enum maillog_kind
maillog_parse_text(
    struct slice tag, struct slice text, enum maillog_mta mta, struct maillog_line *m)
{
	const char *slash = tag.len == 0 ? NULL : memrchr(tag.p, '/', tag.len);
	const struct service *s;

	*m = (struct maillog_line){ .tag = tag, .instance = tag, .text = text, .delay_ms = -1 };
	if (slash != NULL) {
		m->instance.len = (size_t)(slash - tag.p);
		m->service = slice_skip(tag, m->instance.len + 1);
		s = find_service(m->service);
		if (s == NULL)
			return m->kind;
		m->mta = MAILLOG_POSTFIX;
		if (mta != MAILLOG_SENDMAIL)
			postfix_line(m, s);
	} else if (is_sendmail(tag)) {
		m->mta = MAILLOG_SENDMAIL;
		if (mta != MAILLOG_POSTFIX)
			sendmail_line(m);
	} else if (is_logger(tag)) {
		dropped_line(m);
	}
	return m->kind;
}

enum maillog_kind
maillog_parse(struct slice line, enum maillog_mta mta, struct maillog_line *m)
{
	struct slice rest, host, tag, text;
	size_t n = stamp_length(line), host_len;

	if (n > 0) {
		rest = slice_skip(line, n + 1);
		host_len = slice_find(slice_head(rest, 256), ' ');
		host = slice_head(rest, host_len);
		rest = slice_skip(rest, host_len + 1);
		if (cut_tag(rest, &tag, &text)) {
			maillog_parse_text(tag, text, mta, m);
			m->stamp = slice_head(line, n);
			m->host = host;
			return m->kind;
		}
	}
	*m = (struct maillog_line){ .text = line, .delay_ms = -1 };
	return MAILLOG_OTHER;
}

bool
maillog_rcpt(const struct maillog_line *m, size_t *at, struct slice *rcpt)
{
	struct slice rest;

	if (m->mta == MAILLOG_POSTFIX) {
		*rcpt = m->orig_to.len > 0 ? m->orig_to : m->to;
		return (*at)++ == 0 && rcpt->len > 0;
	}
	rest = slice_skip(m->to, *at);
	while (rest.len > 0 && rest.p[0] == ',')
		rest = slice_skip(rest, 1);
	if (rest.len == 0)
		return false;
	if (rest.p[0] != '<' || !take_path(&rest, rcpt))
		*rcpt = slice_cut(&rest, ',');
	*at = m->to.len - rest.len;
	return true;
}

/* ---- when ---- */

void
maillog_clock_init(struct maillog_clock *c, enum maillog_zone zone, int offset_s)
{
	*c = (struct maillog_clock){
		.zone = zone, .offset_s = offset_s, .last_us = MAILLOG_NO_TIME
	};
}

/* n digits (a leading blank counts as 0) of at most `most`; -1: none. */
static int
digits(const char *p, size_t n, int most)
{
	int value = 0;

	for (size_t i = 0; i < n; i++) {
		if (p[i] == ' ' && i == 0 && n > 1)
			continue;
		if (!is_digit(p[i]))
			return -1;
		value = value * 10 + (p[i] - '0');
	}
	return value > most ? -1 : value;
}

/* Days since 1970 of a date in the Gregorian calendar. */
static int64_t
days_of(int64_t year, int month, int day)
{
	int64_t y = year - (month <= 2), era = (y >= 0 ? y : y - 399) / 400;
	int64_t of_era = y - era * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static bool
is_leap(int64_t year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static bool
is_date(int64_t year, int month, int day)
{
	static const int length[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	return month >= 1 && month <= 12 && day >= 1 && day <= length[month - 1] &&
	       (month != 2 || day < 29 || is_leap(year));
}

/* RFC 3339: "2026-11-22T06:43:42.442921+00:00", or Z. */
static int64_t
iso_time(struct slice s)
{
	int year = digits(s.p, 4, 9999), month = digits(s.p + 5, 2, 12),
	    day = digits(s.p + 8, 2, 31);
	int hour = digits(s.p + 11, 2, 23), minute = digits(s.p + 14, 2, 59);
	int second = digits(s.p + 17, 2, 60), zone_h, zone_m;
	int64_t us = 0, unit = 1000000, offset = 0;
	size_t i = 19;

	if (year < 0 || hour < 0 || minute < 0 || second < 0 || s.p[7] != '-' || s.p[13] != ':' ||
	    s.p[16] != ':' || !is_date(year, month, day))
		return MAILLOG_NO_TIME;
	if (i < s.len && s.p[i] == '.')
		for (i++; i < s.len && is_digit(s.p[i]); i++)
			us += (s.p[i] - '0') * (unit /= 10);
	if (i + 6 == s.len && (s.p[i] == '+' || s.p[i] == '-') && s.p[i + 3] == ':') {
		zone_h = digits(s.p + i + 1, 2, 23);
		zone_m = digits(s.p + i + 4, 2, 59);
		if (zone_h < 0 || zone_m < 0)
			return MAILLOG_NO_TIME;
		offset = (zone_h * 3600 + zone_m * 60) * (s.p[i] == '-' ? -1 : 1);
	} else if (i + 1 != s.len || s.p[i] != 'Z') {
		return MAILLOG_NO_TIME;
	}
	return (days_of(year, month, day) * DAY_S + hour * 3600 + minute * 60 + second - offset) *
	           1000000 +
	       us;
}

static int
month_of(const char *p)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	for (int i = 0; i < 12; i++)
		if (memcmp(names + (ptrdiff_t)3 * i, p, 3) == 0)
			return i + 1;
	return 0;
}

/* Start of a minute of local time: with summer time and without. */
static void
local_minutes(int64_t year, int month, int day, int hour, int minute, int64_t out[2])
{
	for (int dst = 0; dst < 2; dst++) {
		struct tm tm = { .tm_year = (int)(year - 1900),
			.tm_mon = month - 1,
			.tm_mday = day,
			.tm_hour = hour,
			.tm_min = minute,
			.tm_isdst = dst };
		int64_t t = mktime(&tm);

		/* mktime() moves the hands where there is no such time: then it is not it. */
		out[dst] = tm.tm_isdst == dst ? t : MAILLOG_NO_TIME;
	}
	if (out[0] == MAILLOG_NO_TIME && out[1] == MAILLOG_NO_TIME) {
		struct tm tm = { .tm_year = (int)(year - 1900),
			.tm_mon = month - 1,
			.tm_mday = day,
			.tm_hour = hour,
			.tm_min = minute,
			.tm_isdst = -1 };

		out[0] = mktime(&tm);
	}
}

/* The two readings of an hour that comes twice, out[1] the earlier: which was it? */
static int64_t
choose(const int64_t out[2], const struct maillog_clock *c, int64_t now_s)
{
	int64_t after = c->last_us / 1000000 - 120;

	if (out[0] == MAILLOG_NO_TIME || out[1] == MAILLOG_NO_TIME)
		return out[0] == MAILLOG_NO_TIME ? out[1] : out[0];
	if (c->last_us == MAILLOG_NO_TIME)
		return out[0] <= now_s + 60 ? out[0] : out[1];
	return out[1] >= after ? out[1] : out[0];
}

static int64_t
minute_start(const struct maillog_clock *c, const char *p, int64_t now_s)
{
	int month = month_of(p), day = digits(p + 4, 2, 31), hour = digits(p + 7, 2, 23);
	int minute = digits(p + 10, 2, 59);
	int64_t year = 1970 + now_s / 31556952 + 1, both[2], t;

	if (month == 0 || day < 1 || hour < 0 || minute < 0)
		return MAILLOG_NO_TIME;
	/* Leap years are 8 apart at most. */
	for (int tries = 0; tries < 10; tries++, year--) {
		if (!is_date(year, month, day))
			continue;
		both[0] =
		    days_of(year, month, day) * DAY_S + hour * 3600 + minute * 60 - c->offset_s;
		both[1] = MAILLOG_NO_TIME;
		if (c->zone == MAILLOG_ZONE_LOCAL)
			local_minutes(year, month, day, hour, minute, both);
		t = choose(both, c, now_s);
		if (t <= now_s + DAY_S)
			return t;
	}
	return MAILLOG_NO_TIME;
}

int64_t
maillog_time(struct maillog_clock *c, struct slice stamp, int64_t now_s)
{
	int second;
	int64_t t;

	if (stamp.len >= 20 && is_digit(stamp.p[0])) {
		t = iso_time(stamp);
	} else {
		if (stamp.len != 15)
			return MAILLOG_NO_TIME;
		second = digits(stamp.p + 13, 2, 60);
		/* Many lines have the same minute; local time is slow to convert. */
		if (memcmp(c->minute, stamp.p, 12) != 0 || now_s - c->seen_s > 600 ||
		    c->seen_s > now_s) {
			c->minute_s = minute_start(c, stamp.p, now_s);
			c->seen_s = now_s;
			memcpy(c->minute, stamp.p, 12);
		}
		if (second < 0 || c->minute_s == MAILLOG_NO_TIME)
			return MAILLOG_NO_TIME;
		t = (c->minute_s + second) * 1000000;
		/* The same minute again, an hour later. */
		if (c->last_us != MAILLOG_NO_TIME && t < c->last_us - 120000000) {
			c->minute_s = minute_start(c, stamp.p, now_s);
			if (c->minute_s == MAILLOG_NO_TIME)
				return MAILLOG_NO_TIME;
			t = (c->minute_s + second) * 1000000;
		}
	}
	if (t != MAILLOG_NO_TIME)
		c->last_us = t;
	return t;
}
