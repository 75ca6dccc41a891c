#include "common/maillog_private.h"

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

void
maillog_auth_failure(struct maillog_line *m, struct slice ip, struct slice reason)
{
	if (slice_startsi(ip, SLICE_LIT("IPv6:")))
		ip = slice_skip(ip, 5);
	for (size_t i = 0; i < COUNT(not_the_clients); i++)
		if (slice_startsi(reason, slice_str(not_the_clients[i])))
			return;
	m->kind = MAILLOG_AUTH_FAILURE;
	m->ip = ip;
}

bool
maillog_take_id(struct slice *rest, bool (*valid)(struct slice), struct slice *id)
{
	size_t n = slice_find(slice_head(*rest, 64), ':');

	if (n + 1 >= rest->len || n >= 64 || rest->p[n + 1] != ' ' || !valid(slice_head(*rest, n)))
		return false;
	*id = slice_head(*rest, n);
	*rest = slice_skip(*rest, n + 2);
	return true;
}

bool
maillog_take_path(struct slice *rest, struct slice *addr)
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

void
maillog_set_relay(struct maillog_line *m, struct slice v)
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

/* ---- loggers that lost something ---- */

static void
dropped_line(struct maillog_line *m)
{
	static const char *const forms[] = { "Suppressed ", "messages lost", "imuxsock lost ",
		"begin to drop messages", "begins to drop messages", "Missed " };
	bool found = false;

	for (size_t i = 0; i < COUNT(forms); i++)
		found = found || maillog_find(m->text, slice_str(forms[i])) < m->text.len;
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
	return slice_starts(tag, SLICE_LIT("rsyslogd")) ||
	       slice_eq(tag, SLICE_LIT("systemd-journald")) ||
	       slice_eq(tag, SLICE_LIT("systemd-journal"));
}

/* "message repeated 3 times: [ text]": rsyslog's word for the same line again. */
static void
take_repeats(struct maillog_line *m)
{
	static const struct slice begin = SLICE_LIT("message repeated ");
	static const struct slice then = SLICE_LIT("times: [ ");
	struct slice rest = slice_skip(m->text, begin.len), n;
	uint64_t times;

	if (!slice_starts(m->text, begin) || m->text.p[m->text.len - 1] != ']')
		return;
	n = slice_cut(&rest, ' ');
	if (!slice_starts(rest, then) || !slice_uint(n, UINT32_MAX, &times))
		return;
	m->times = times < MAILLOG_TIMES_MAX ? (unsigned)times : MAILLOG_TIMES_MAX;
	m->text = slice_skip(rest, then.len);
	m->text.len -= m->text.len > 0;
}

enum maillog_kind
maillog_parse_text(
    struct slice tag, struct slice text, enum maillog_mta mta, struct maillog_line *m)
{
	const char *slash = tag.len == 0 ? NULL : memrchr(tag.p, '/', tag.len);
	const struct maillog_service *s;

	*m = (struct maillog_line){
		.tag = tag, .instance = tag, .text = text, .times = 1, .delay_ms = -1
	};
	take_repeats(m);
	if (slash != NULL) {
		m->instance.len = (size_t)(slash - tag.p);
		m->service = slice_skip(tag, m->instance.len + 1);
		s = maillog_find_service(m->service);
		if (s == NULL)
			return m->kind;
		m->mta = MAILLOG_POSTFIX;
		if (mta != MAILLOG_SENDMAIL)
			maillog_postfix(m, s);
	} else if (is_sendmail(tag)) {
		m->mta = MAILLOG_SENDMAIL;
		if (mta != MAILLOG_POSTFIX)
			maillog_sendmail(m);
	} else if (is_logger(tag)) {
		dropped_line(m);
	}
	return m->kind;
}

enum maillog_kind
maillog_parse(struct slice line, enum maillog_mta mta, struct maillog_line *m)
{
	struct maillog_frame f;

	while (line.len > 0 && line.p[line.len - 1] == '\r')
		line.len--;
	if (!maillog_frame(line, &f)) {
		*m = (struct maillog_line){ .text = line, .delay_ms = -1 };
		return MAILLOG_OTHER;
	}
	maillog_parse_text(f.tag, f.text, mta, m);
	m->stamp = f.stamp;
	m->host = f.host;
	return m->kind;
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
	if (rest.p[0] != '<' || !maillog_take_path(&rest, rcpt))
		*rcpt = slice_cut(&rest, ',');
	*at = m->to.len - rest.len;
	return true;
}
