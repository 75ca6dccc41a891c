#include "common/maillog_private.h"

#define DAY_S 86400

/* "6AM6g557030850": time in base 60, and the process; letters first in old versions. */
static bool
sendmail_queue_id(struct slice s)
{
	size_t digits = 0;

	if (s.len < 10 || s.len > 20)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (!ascii_is_digit(s.p[i]) && !maillog_is_letter(s.p[i]))
			return false;
		digits += ascii_is_digit(s.p[i]);
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
	size_t end = maillog_find(rest, SLICE_LIT(", "));
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
		end = maillog_find(value, SLICE_LIT(", "));
		/* What the other side said may hold commas. */
		if (slice_eq(key, SLICE_LIT("reply"))) {
			stat = maillog_find(value, SLICE_LIT(", stat="));
			end = stat;
		}
		rest = slice_skip(value, end + 2);
		value = slice_head(value, end);
		if (slice_eq(key, SLICE_LIT("relay"))) {
			size_t blank = slice_find(value, ' ');

			maillog_set_relay(m, value);
			m->relay = slice_head(value, blank);
			if (m->relay.len > 0 && m->relay.p[m->relay.len - 1] == '.')
				m->relay.len--;
		} else if (slice_eq(key, SLICE_LIT("ctladdr"))) {
			/* "<list@x> (8/0)": the recipient that an alias made this one of */
			m->orig_to = value;
			if (!maillog_take_path(&value, &m->orig_to))
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
	size_t close = maillog_find(rest, SLICE_LIT("): ")), open;

	if (close < rest.len)
		m->reply = slice_skip(rest, close + 3);
	if (slice_endsi(rest, doubt))
		rest.len -= doubt.len;
	if (rest.len == 0 || rest.p[rest.len - 1] != ']')
		return;
	for (open = rest.len; open > 0 && rest.p[open - 1] != '['; open--)
		;
	if (open > 0)
		maillog_auth_failure(
		    m, (struct slice){ rest.p + open, rest.len - 1 - open }, m->reply);
	m->reply.len = 0;
}

void
maillog_sendmail(struct maillog_line *m)
{
	static const struct slice auth = SLICE_LIT("AUTH failure (");
	struct slice rest = m->text, dsn_id;
	bool has_id = maillog_take_id(&rest, sendmail_queue_id, &m->queue_id);

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
	else if (maillog_take_id(&rest, sendmail_queue_id, &dsn_id) &&
		 maillog_find(rest, SLICE_LIT(": Cannot send message for")) < rest.len)
		m->kind = MAILLOG_EXPIRED;
}
