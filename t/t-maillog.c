#include "common/maillog.h"

#include <stdlib.h>
#include <time.h>

#include "t/tap.h"

#define PF(text) "Nov 22 06:25:58 relay postfix/" text
#define SM(text) "Nov 22 06:25:58 relay sm-mta[123]: " text

static bool
is(struct slice s, const char *want)
{
	return slice_eq(s, slice_str(want == NULL ? "" : want));
}

/* ---- what kind of line ---- */

static const struct {
	const char *line;
	enum maillog_kind kind;
	const char *queue_id;
} kinds[] = {
	{ PF("smtpd[1]: 0F0A2A7E926: client=unknown[127.0.0.1]"), MAILLOG_START, "0F0A2A7E926" },
	{ "2026-11-22T06:43:42.442921+00:00 vm postfix/submission/smtpd[1]: 4jXNVV51RNz1hVMQ: "
	  "client=unknown[127.0.0.1], sasl_method=PLAIN, sasl_username=joe",
	    MAILLOG_START, "4jXNVV51RNz1hVMQ" },
	{ PF("pickup[1]: A6738A7E93C: uid=0 from=<joe@example.com>"), MAILLOG_START,
	    "A6738A7E93C" },
	{ PF("cleanup[1]: 0F0A2A7E926: message-id=<x@vm>"), MAILLOG_START, "0F0A2A7E926" },
	{ PF("qmgr[1]: 0F0A2A7E926: from=<a@example.com>, size=471, nrcpt=2 (queue active)"),
	    MAILLOG_OTHER, "0F0A2A7E926" },
	{ PF("qmgr[1]: 0F0A2A7E926: from=<a@example.com>, status=expired, returned to sender"),
	    MAILLOG_EXPIRED, "0F0A2A7E926" },
	{ PF("qmgr[1]: 0F0A2A7E926: from=<>, status=force-expired, returned to sender"),
	    MAILLOG_EXPIRED, "0F0A2A7E926" },
	{ PF("qmgr[1]: 0F0A2A7E926: from=<\"a>, status=expired\"@b>, size=1, nrcpt=1 (queue "
	     "active)"),
	    MAILLOG_OTHER, "0F0A2A7E926" },
	{ PF("qmgr[1]: 0F0A2A7E926: removed"), MAILLOG_REMOVED, "0F0A2A7E926" },
	{ PF("postsuper[1]: 0F0A2A7E926: removed"), MAILLOG_DELETED, "0F0A2A7E926" },
	{ PF("bounce[1]: 0F0A2A7E926: sender non-delivery notification: D7340A7E934"),
	    MAILLOG_OTHER, "" },
	{ PF("cleanup[1]: 0F0A2A7E926: milter-reject: END-OF-MESSAGE from x[1.2.3.4]: 5.6.0 bad; "
	     "from=<a@b> to=<c@d> proto=ESMTP helo=<x>"),
	    MAILLOG_REFUSED, "0F0A2A7E926" },
	{ PF("cleanup[1]: 0F0A2A7E926: milter-discard: END-OF-MESSAGE from x[1.2.3.4]: "
	     "milter triggers DISCARD action; from=<a@b> to=<c@d>"),
	    MAILLOG_REFUSED, "0F0A2A7E926" },
	{ PF("smtpd[1]: NOQUEUE: milter-reject: RCPT from x[1.2.3.4]: 550 5.7.1 no; from=<> to=<>"),
	    MAILLOG_OTHER, "" },
	{ PF("smtpd[1]: warning: hostname x does not resolve"), MAILLOG_OTHER, "" },
	{ PF("smtp[1]: connect to 127.0.0.1[127.0.0.1]:2699: Connection refused"), MAILLOG_OTHER,
	    "" },
	{ PF("smtp[1]: 0F0A2A7E926: to=<a@b>, relay=none"), MAILLOG_OTHER, "0F0A2A7E926" },
	{ PF("smtp[1]: 0F0A2A7E926: to=<a@b>, relay=none, status=undelivered (x)"), MAILLOG_OTHER,
	    "0F0A2A7E926" },
	{ PF("verify[1]: cache"), MAILLOG_OTHER, "" },
	{ "Nov 22 06:25:58 relay other/thing[1]: 0F0A2A7E926: removed", MAILLOG_OTHER, "" },
	{ SM("6AM6g557030850: from=<a@b>, size=100, class=0, nrcpts=2, msgid=<x>, proto=ESMTP, "
	     "daemon=MTA-X, relay=localhost [127.0.0.1]"),
	    MAILLOG_START, "6AM6g557030850" },
	{ SM("6AM6g557030850: done; delay=00:00:00, ntries=1"), MAILLOG_REMOVED, "6AM6g557030850" },
	{ SM("6AM6g557030850: 6AM6g557030851: sender notify: Cannot send message for 5 days"),
	    MAILLOG_EXPIRED, "6AM6g557030850" },
	{ SM("6AM6g557030850: 6AM6g557030851: sender notify: Warning: could not send message for "
	     "past 4 hours"),
	    MAILLOG_OTHER, "6AM6g557030850" },
	{ SM("6AM6g557030850: Milter: to=<r1@x>, reject=550 5.7.1 relaying denied"), MAILLOG_OTHER,
	    "6AM6g557030850" },
	{ SM("6AM6g557030850: to=<r1@x>, delay=00:00:00, mailer=relay, pri=1, stat=queued"),
	    MAILLOG_OTHER, "6AM6g557030850" },
	{ "Nov 22 06:25:58 h systemd-journald[1]: Suppressed 1234 messages from postfix.service",
	    MAILLOG_DROPPED, "" },
	{ "Nov 22 06:25:58 h rsyslogd: imjournal: 77 messages lost due to rate-limiting (20000 "
	  "allowed)",
	    MAILLOG_DROPPED, "" },
	{ "Nov 22 06:25:58 h rsyslogd-2177: imuxsock begins to drop messages from pid 12203 due to "
	  "rate-limiting",
	    MAILLOG_DROPPED, "" },
	{ "Nov 22 06:25:58 h rsyslogd: action resumed", MAILLOG_OTHER, "" },
	{ "", MAILLOG_OTHER, "" },
	{ "Nov 22 06:25:58", MAILLOG_OTHER, "" },
	{ "Nov 22 06:25:58 relay", MAILLOG_OTHER, "" },
	{ "Nov 22 06:25:58 relay postfix/smtp[1", MAILLOG_OTHER, "" },
	{ "Nov 22 06:25:58 relay postfix/qmgr[1]:", MAILLOG_OTHER, "" },
	{ "\0\0\0", MAILLOG_OTHER, "" },
};

static void
test_kinds(void)
{
	struct maillog_line m;

	for (size_t i = 0; i < COUNT(kinds); i++) {
		maillog_parse(slice_str(kinds[i].line), MAILLOG_ANY, &m);
		ok(m.kind == kinds[i].kind && is(m.queue_id, kinds[i].queue_id), "%s: %d %.*s",
		    kinds[i].line, (int)m.kind, SLICE_FMT(m.queue_id));
	}
}

/* ---- failed authentications ---- */

static const struct {
	const char *line;
	const char *ip; /* NULL: none is counted */
} auth_failures[] = {
	{ PF("smtpd[1]: warning: localhost[127.0.0.1]: SASL PLAIN authentication failed: "
	     "authentication failure, sasl_username=joe@mail.example.com"),
	    "127.0.0.1" },
	{ PF("submission/smtpd[1]: warning: unknown[2001:db8::7]: SASL LOGIN authentication "
	     "failed: UGFzc3dvcmQ6"),
	    "2001:db8::7" },
	{ PF("smtpd[1]: warning: x[192.0.2.1]: SASL LOGIN authentication failed: "), "192.0.2.1" },
	/* The client names mechanism and user. */
	{ PF("smtpd[1]: message repeated 3 times: [ warning: x[192.0.2.1]: SASL LOGIN "
	     "authentication failed: UGFzc3dvcmQ6]"),
	    "192.0.2.1" },
	{ PF("smtpd[1]: message repeated 3 times: [ ]"), NULL },
	{ PF("smtpd[1]: message repeated 3 times: [ "), NULL },
	{ PF("smtpd[1]: message repeated x times: [ warning: x[192.0.2.1]: SASL LOGIN "
	     "authentication failed: UGFzc3dvcmQ6]"),
	    NULL },
	{ PF("smtpd[1]: warning: x[192.0.2.1]: SASL [198.51.100.1]: authentication failed: no, "
	     "sasl_username=y[198.51.100.2]: SASL PLAIN authentication failed: "),
	    "192.0.2.1" },
	{ PF("smtpd[1]: warning: x[192.0.2.1]: SASL LOGIN authentication aborted"), NULL },
	{ PF("smtpd[1]: warning: SASL authentication failure: Password verification failed"),
	    NULL },
	{ PF("smtpd[1]: warning: SASL authentication failure: user x[192.0.2.1]: SASL"), NULL },
	{ PF("smtp[1]: warning: x[192.0.2.1]: SASL PLAIN authentication failed: no"), NULL },
	/* Nobody's fault but ours. */
	{ PF("smtpd[1]: warning: x[192.0.2.1]: SASL PLAIN authentication failed: generic failure"),
	    NULL },
	{ PF("smtpd[1]: warning: x[192.0.2.1]: SASL PLAIN authentication failed: Connection lost "
	     "to authentication server"),
	    NULL },
	{ PF("smtpd[1]: warning: x[192.0.2.1"), NULL },
	{ PF("smtpd[1]: warning: "), NULL },
	{ SM("6AM6g557030850: AUTH failure (LOGIN): authentication failure (-13) SASL(-13): "
	     "authentication failure: checkpass failed, relay=host.example [192.0.2.1]"),
	    "192.0.2.1" },
	{ SM("NOQUEUE: AUTH failure (PLAIN): user not found (-20) SASL(-13): user not found, "
	     "user=joe, relay=[IPv6:2001:db8::1]"),
	    "2001:db8::1" },
	{ SM("AUTH failure (PLAIN): authentication failure (-13), relay=a.b [192.0.2.1] (may be "
	     "forged)"),
	    "192.0.2.1" },
	{ SM("AUTH failure (PLAIN): authentication failure (-13), user=relay=[198.51.100.1], "
	     "relay=a [192.0.2.1]"),
	    "192.0.2.1" },
	/* Cut off at a hundred bytes: whose it was is not to be seen. */
	{ SM("AUTH failure (PLAIN): no (-13), user=[198.51.100.1], relay=a.very.long.name"), NULL },
	{ SM("AUTH failure (PLAIN): generic failure (-1), relay=a [192.0.2.1]"), NULL },
	{ SM("AUTH failure (PLAIN)]"), NULL },
	{ SM("AUTH failure ("), NULL },
};

static void
test_auth_failures(void)
{
	struct maillog_line m;

	for (size_t i = 0; i < COUNT(auth_failures); i++) {
		const char *want = auth_failures[i].ip;

		maillog_parse(slice_str(auth_failures[i].line), MAILLOG_ANY, &m);
		ok((m.kind == MAILLOG_AUTH_FAILURE) == (want != NULL) && is(m.ip, want), "%s: %.*s",
		    auth_failures[i].line, SLICE_FMT(m.ip));
	}
	maillog_parse(slice_str(auth_failures[0].line), MAILLOG_SENDMAIL, &m);
	ok(m.kind == MAILLOG_OTHER, "the other MTA's do not count");
}

/* ---- attempts ---- */

static const struct {
	const char *line;
	enum maillog_status status;
	enum maillog_via via;
	const char *to, *orig_to, *relay, *ip, *dsn, *reply;
	int64_t delay_ms;
} attempts[] = {
	{ PF("smtp[1]: 0F0A2A7E926: to=<r1@dump.test>, relay=mx.dump.test[192.0.2.1]:25, "
	     "delay=0.02, "
	     "delays=0.01/0.01/0/0, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as B68BDA7E930)"),
	    MAILLOG_SENT, MAILLOG_REMOTE, "r1@dump.test", "", "mx.dump.test", "192.0.2.1", "2.0.0",
	    "250 2.0.0 Ok: queued as B68BDA7E930", 20 },
	{ PF("vmta1/smtp[1]: 0F0A2A7E926: to=<a@b>, orig_to=<alias@c>, relay=h[2001:db8::1]:25, "
	     "conn_use=2, delay=61, delays=60/0/0/1, dsn=2.0.0, status=sent (250 ok (really))"),
	    MAILLOG_SENT, MAILLOG_REMOTE, "a@b", "alias@c", "h", "2001:db8::1", "2.0.0",
	    "250 ok (really)", 61000 },
	{ PF("smtp[1]: 0F0A2A7E926: to=<h@hard.test>, relay=127.0.0.1[127.0.0.1]:2628, delay=1.2, "
	     "delays=1/0/0/0.2, dsn=5.3.0, status=bounced (host 127.0.0.1[127.0.0.1] said: 500 "
	     "5.3.0 "
	     "Error: command failed (in reply to RCPT TO command))"),
	    MAILLOG_BOUNCED, MAILLOG_REMOTE, "h@hard.test", "", "127.0.0.1", "127.0.0.1", "5.3.0",
	    "host 127.0.0.1[127.0.0.1] said: 500 5.3.0 Error: command failed (in reply to RCPT TO "
	    "command)",
	    1200 },
	{ PF("smtp[1]: 0F0A2A7E926: to=<d@dead.test>, relay=none, delay=1.5e+05, "
	     "delays=0/0.02/0/0, "
	     "dsn=4.4.1, status=deferred (connect to 127.0.0.1[127.0.0.1]:2699: Connection "
	     "refused)"),
	    MAILLOG_DEFERRED, MAILLOG_REMOTE, "d@dead.test", "", "", "", "4.4.1",
	    "connect to 127.0.0.1[127.0.0.1]:2699: Connection refused", 150000000 },
	{ PF("smtp[1]: 0F0A2A7E926: to=<\"a>, relay=evil[9.9.9.9]:1, dsn=5.0.0, status=sent "
	     "(x\"@b.c>, "
	     "relay=h[1.2.3.4]:25, delay=0, delays=0/0/0/0, dsn=5.1.1, status=bounced (no)"),
	    MAILLOG_BOUNCED, MAILLOG_REMOTE,
	    "\"a>, relay=evil[9.9.9.9]:1, dsn=5.0.0, status=sent (x\"@b.c", "", "h", "1.2.3.4",
	    "5.1.1", "no", 0 },
	{ PF("smtp[1]: 0F0A2A7E926: to=<a@b>, relay=h[1.2.3.4]:25, delay=0, delays=0/0/0/0, "
	     "dsn=5.0.0, status=SOFTBOUNCE (host h[1.2.3.4] said: 550 no (in reply to RCPT TO"),
	    MAILLOG_DEFERRED, MAILLOG_REMOTE, "a@b", "", "h", "1.2.3.4", "5.0.0",
	    "host h[1.2.3.4] said: 550 no (in reply to RCPT TO", 0 },
	{ PF("smtp[1]: 0F0A2A7E926: to=<a@b>, relay=h[1.2.3.4]:25, "
	     "delay=77777777777777777777.5e+09, "
	     "dsn=2.0.0, status=sent (x)"),
	    MAILLOG_SENT, MAILLOG_REMOTE, "a@b", "", "h", "1.2.3.4", "2.0.0", "x", -1 },
	{ PF("local[1]: 0F0A2A7E926: to=<joe@here>, relay=local, delay=0, delays=0/0/0/0, "
	     "dsn=2.0.0, "
	     "status=sent (delivered to mailbox)"),
	    MAILLOG_SENT, MAILLOG_LOCAL, "joe@here", "", "local", "", "2.0.0",
	    "delivered to mailbox", 0 },
	{ PF("lmtp[1]: 0F0A2A7E926: to=<joe@here>, relay=here[private/dovecot-lmtp], delay=0, "
	     "delays=0/0/0/0, dsn=2.0.0, status=sent (250 2.0.0 saved)"),
	    MAILLOG_SENT, MAILLOG_LOCAL, "joe@here", "", "here", "", "2.0.0", "250 2.0.0 saved",
	    0 },
	{ PF("smtp[1]: 0F0A2A7E926: to=<joe@x>, relay=mx.x[192.0.2.1]:25, delay=0, "
	     "delays=0/0/0/0, dsn=5.1.1, status=undeliverable (host mx.x[192.0.2.1] said: 550 no)"),
	    MAILLOG_SENT, MAILLOG_NOWHERE, "joe@x", "", "mx.x", "192.0.2.1", "5.1.1",
	    "host mx.x[192.0.2.1] said: 550 no", 0 },
	{ PF("discard[1]: 0F0A2A7E926: to=<joe@x>, relay=none, delay=0, delays=0/0/0/0, dsn=2.0.0, "
	     "status=sent (x)"),
	    MAILLOG_SENT, MAILLOG_DISCARD, "joe@x", "", "", "", "2.0.0", "x", 0 },
	{ PF("error[1]: 0F0A2A7E926: to=<joe@x>, relay=none, delay=0, delays=0/0/0/0, dsn=4.4.1, "
	     "status=deferred (delivery temporarily suspended: connect to x[1.2.3.4]:25: timed "
	     "out)"),
	    MAILLOG_DEFERRED, MAILLOG_NOWHERE, "joe@x", "", "", "", "4.4.1",
	    "delivery temporarily suspended: connect to x[1.2.3.4]:25: timed out", 0 },
	{ SM("6AM6g557030850: to=<r2@x>,<r1@x>, delay=00:00:01, xdelay=00:00:01, mailer=relay, "
	     "pri=120, relay=host.example. [192.0.2.7], dsn=2.0.0, stat=Sent (Ok)"),
	    MAILLOG_SENT, MAILLOG_REMOTE, "<r2@x>,<r1@x>", "", "host.example", "192.0.2.7", "2.0.0",
	    "Ok", 1000 },
	{ SM("6AM6g557030850: to=<r1@x>, ctladdr=<a@b> (0/0), delay=5+00:00:03, xdelay=00:00:00, "
	     "mailer=esmtp, pri=1, relay=h. [192.0.2.7], dsn=4.3.0, reply=450 4.3.0 Error, later, "
	     "stat=no, stat=Deferred: 450 4.3.0 Error, later"),
	    MAILLOG_DEFERRED, MAILLOG_REMOTE, "<r1@x>", "a@b", "h", "192.0.2.7", "4.3.0",
	    "450 4.3.0 Error, later", 432003000 },
	{ SM("6AM6g557030850: to=<r1@x>, delay=00:00:00, xdelay=00:00:00, mailer=esmtp, pri=1, "
	     "relay=[127.0.0.1], dsn=4.0.0, stat=Deferred: Connection refused by [127.0.0.1]"),
	    MAILLOG_DEFERRED, MAILLOG_REMOTE, "<r1@x>", "", "[127.0.0.1]", "127.0.0.1", "4.0.0",
	    "Connection refused by [127.0.0.1]", 0 },
	{ SM("6AM6g557030850: to=<r1@x>, delay=00:00:00, xdelay=00:00:00, mailer=esmtp, pri=1, "
	     "relay=h [192.0.2.7], dsn=5.1.1, reply=550 5.1.1 <r1@x>... User unknown, stat=User "
	     "unknown"),
	    MAILLOG_BOUNCED, MAILLOG_REMOTE, "<r1@x>", "", "h", "192.0.2.7", "5.1.1",
	    "550 5.1.1 <r1@x>... User unknown", 0 },
	{ "Jul 15 17:53:51 thor.foo.com sendmail[22495]: e6FFrpW22493: to=joost@bar, "
	  "delay=00:00:00, "
	  "xdelay=00:00:00, mailer=esmtp, pri=30551, relay=frigga.bar.com. [192.168.1.3], "
	  "dsn=5.1.2, "
	  "stat=Host unknown (Name server: magnum.bar.com.: host not found)",
	    MAILLOG_BOUNCED, MAILLOG_REMOTE, "joost@bar", "", "frigga.bar.com", "192.168.1.3",
	    "5.1.2", "Host unknown (Name server: magnum.bar.com.: host not found)", 0 },
	{ SM("6AM6g557030850: to=|/usr/bin/vacation joe, delay=00:00:00, mailer=prog, pri=1, "
	     "dsn=2.0.0, stat=Sent"),
	    MAILLOG_SENT, MAILLOG_LOCAL, "|/usr/bin/vacation joe", "", "", "", "2.0.0", "Sent", 0 },
	{ SM("6AM6g557030850: to=<c@d>, delay=00:00:00, pri=1, dsn=5.1.1, stat=User unknown"),
	    MAILLOG_BOUNCED, MAILLOG_NOWHERE, "<c@d>", "", "", "", "5.1.1", "User unknown", 0 },
	{ SM("6AM6g557030850: to=<c@d>, delay=00:00:00, pri=1, stat=discarded"), MAILLOG_SENT,
	    MAILLOG_DISCARD, "<c@d>", "", "", "", "", "discarded", 0 },
};

static void
test_attempts(void)
{
	struct maillog_line m;

	for (size_t i = 0; i < COUNT(attempts); i++) {
		maillog_parse(slice_str(attempts[i].line), MAILLOG_ANY, &m);
		ok(m.kind == MAILLOG_ATTEMPT && m.status == attempts[i].status &&
			m.via == attempts[i].via,
		    "%s: %d %d %d", attempts[i].line, (int)m.kind, (int)m.status, (int)m.via);
		ok(is(m.to, attempts[i].to) && is(m.orig_to, attempts[i].orig_to), "to %.*s (%.*s)",
		    SLICE_FMT(m.to), SLICE_FMT(m.orig_to));
		ok(is(m.relay, attempts[i].relay) && is(m.ip, attempts[i].ip), "relay %.*s [%.*s]",
		    SLICE_FMT(m.relay), SLICE_FMT(m.ip));
		ok(is(m.dsn, attempts[i].dsn) && is(m.reply, attempts[i].reply) &&
			m.delay_ms == attempts[i].delay_ms,
		    "dsn %.*s reply %.*s delay %lld", SLICE_FMT(m.dsn), SLICE_FMT(m.reply),
		    (long long)m.delay_ms);
		ok((m.method != NULL) == (m.via == MAILLOG_REMOTE), "a method if it was remote");
	}
}

static void
test_recipients(void)
{
	static const char *const lists[][4] = {
		{ PF("smtp[1]: 0F0A2A7E926: to=<a@b>, relay=none, status=sent (x)"), "a@b", NULL },
		{ PF("smtp[1]: 0F0A2A7E926: to=<a@b>, orig_to=<c@d>, relay=none, status=sent (x)"),
		    "c@d", NULL },
		{ SM("6AM6g557030850: to=<r2@x>,<r1@x>, mailer=relay, dsn=2.0.0, stat=Sent"),
		    "r2@x", "r1@x", NULL },
		{ SM("6AM6g557030850: to=r2@x,<\"a,b\"@x>, mailer=relay, dsn=2.0.0, stat=Sent"),
		    "r2@x", "\"a,b\"@x", NULL },
		{ SM("6AM6g557030850: to=,<broken, mailer=relay, dsn=2.0.0, stat=Sent"), "<broken",
		    NULL },
	};
	struct maillog_line m;

	for (size_t i = 0; i < COUNT(lists); i++) {
		struct slice rcpt;
		size_t at = 0, n = 1;

		maillog_parse(slice_str(lists[i][0]), MAILLOG_ANY, &m);
		while (maillog_rcpt(&m, &at, &rcpt)) {
			ok(lists[i][n] != NULL && is(rcpt, lists[i][n]), "%.*s", SLICE_FMT(rcpt));
			n += lists[i][n] != NULL;
		}
		ok(lists[i][n] == NULL, "all of them");
	}
}

/* ---- forms of a line ---- */

#define BEHIND "0F0A2A7E926: removed"
#define NOON   "2026-11-22T06:25:58"

static const struct {
	const char *line;
	const char *host;
	int64_t us; /* after 2026-11-22T06:25:58Z, with an hour east as local time; -1: no form */
} forms[] = {
	{ "Nov 22 07:25:58 relay postfix/qmgr[7]: " BEHIND, "relay", 0 },
	{ "Nov 22 07:25:58 relay postfix/qmgr[7]: " BEHIND "\r", "relay", 0 },
	{ "Nov 22 07:25:58.25 relay postfix/qmgr[7]: " BEHIND, "relay", 250000 },
	{ "Nov 22 2026 07:25:58 relay postfix/qmgr[7]: " BEHIND, "relay", 0 },
	{ "Nov 22 2026 07:25:58.25 relay postfix/qmgr[7]: " BEHIND, "relay", 250000 },
	{ "Nov 22 07:25:58 2001:db8::1 postfix/qmgr[7]: " BEHIND, "2001:db8::1", 0 },
	{ "Nov 22 07:25:58 src@relay/10.0.0.1 postfix/qmgr[7]: " BEHIND, "src@relay/10.0.0.1", 0 },
	{ "Nov 22 07:25:58 postfix/qmgr[7]: " BEHIND, "", 0 },
	{ "Nov 22 07:25:58 postfix/qmgr: " BEHIND, "", 0 },
	{ "Nov 22 07:25:58  postfix/qmgr[7]: " BEHIND, "", 0 },
	{ "Nov 22 07:25:58 relay postfix/qmgr: " BEHIND, "relay", 0 },
	{ "Nov 22 07:25:58 relay postfix-out/qmgr[7]: " BEHIND, "relay", 0 },
	{ "Nov 22 07:25:58 <mail.info> relay postfix/qmgr[7]: " BEHIND, "relay", 0 },
	{ "Nov 22 07:25:58 relay mail.info postfix/qmgr[7]: " BEHIND, "relay", 0 },
	{ "Nov 22 07:25:58 mail.example.com postfix/qmgr[7]: " BEHIND, "mail.example.com", 0 },
	{ "Nov 22 07:25:58 relay postfix/qmgr[7]: [ID 197553 mail.info] " BEHIND, "relay", 0 },
	{ "<22>Nov 22 07:25:58 relay postfix/qmgr[7]: " BEHIND, "relay", 0 },
	{ "<22>" NOON ".5Z relay postfix/qmgr[7]: " BEHIND, "relay", 500000 },
	{ "<22>1 " NOON ".25Z relay postfix/qmgr 7 - - " BEHIND, "relay", 250000 },
	{ "<22>1 " NOON "Z - postfix/qmgr - - - \357\273\277" BEHIND, "", 0 },
	{ "<22>1 " NOON
	  "Z relay postfix/qmgr 7 ID1 [a@1 b=\"x] \\\" y\" c=\"]\"][d@2 e=\"[\"] " BEHIND,
	    "relay", 0 },
	{ NOON "Z postfix/qmgr[7]: " BEHIND, "", 0 },
	{ NOON ",25+00:00 relay postfix/qmgr[7]: " BEHIND, "relay", 250000 },
	{ "2026-11-22 07:25:58 relay postfix/qmgr[7]: " BEHIND, "relay", 0 },
	{ "2026-11-22 07:25:58.25 relay postfix/qmgr[7]: " BEHIND, "relay", 250000 },
	{ "2026-11-22 06:25:58Z relay postfix/qmgr[7]: " BEHIND, "relay", 0 },
	{ "2026-11-22 06:25:58 UTC relay postfix/qmgr[7]: " BEHIND, "relay", 0 },
	{ "2026-11-22 08:25:58.5 +0200 relay postfix/qmgr[7]: " BEHIND, "relay", 500000 },
	{ "2026-11-22 08:25:58+02:00 relay postfix/qmgr[7]: " BEHIND, "relay", 0 },
	{ "Sun 2026-11-22 06:25:58 UTC relay postfix/qmgr[7]: " BEHIND, "relay", 0 },
	{ "Sun 2026-11-22 07:25:58 CET relay postfix/qmgr[7]: " BEHIND, "relay", 0 },
	{ "1795328758.123456 relay postfix/qmgr[7]: " BEHIND, "relay", 123456 },
	{ "1795328758 relay postfix/qmgr[7]: " BEHIND, "relay", 0 },
	{ NOON ".442921000Z stdout F Nov 22 07:25:58 relay postfix/qmgr[7]: " BEHIND, "relay",
	    442921 },
	{ NOON ".442921000Z Nov 22 07:25:58 relay postfix/qmgr[7]: " BEHIND, "relay", 442921 },
	{ NOON ".442921Z stdout F " NOON "+00:00 relay postfix/qmgr[7]: " BEHIND, "relay", 442921 },
	{ "<2222>Nov 22 07:25:58 relay postfix/qmgr[7]: " BEHIND, "", -1 },
	{ "<22>1 - relay postfix/qmgr 7 - - " BEHIND, "", -1 },
	{ "<22>1 " NOON "Z relay postfix/qmgr 7 ID1 [a@1 b=\"x] " BEHIND, "", -1 },
	{ "<22>1 " NOON "Z relay postfix/qmgr", "", -1 },
	{ "postfix/qmgr[7]: " BEHIND, "", -1 },
	{ "22 Nov 07:25:58 relay postfix/qmgr[7]: " BEHIND, "", -1 },
	{ "2026-11-22 07:25 relay postfix/qmgr[7]: " BEHIND, "", -1 },
	{ "Nov 22 07:25:58,", "", -1 },
	{ "Nov 22 2026 07:25:58", "", -1 },
	{ "2026-11-22 07:25:58.25 ", "", -1 },
};

static void
test_forms(void)
{
	int64_t base = 1795328758;

	for (size_t i = 0; i < COUNT(forms); i++) {
		struct maillog_clock c;
		struct maillog_line m;
		int64_t t;

		maillog_clock_init(&c, MAILLOG_ZONE_FIXED, 3600);
		maillog_parse(slice_str(forms[i].line), MAILLOG_ANY, &m);
		if (forms[i].us < 0) {
			ok(m.kind == MAILLOG_OTHER, "%s: %d", forms[i].line, (int)m.kind);
			continue;
		}
		t = maillog_time(&c, m.stamp, base + 100);
		ok(m.kind == MAILLOG_REMOVED && is(m.host, forms[i].host) && is(m.text, BEHIND) &&
			t == base * 1000000 + forms[i].us,
		    "%s: %d %.*s %.*s %lld", forms[i].line, (int)m.kind, SLICE_FMT(m.host),
		    SLICE_FMT(m.text), (long long)(t - base * 1000000));
	}
}

static void
test_frame(void)
{
	struct slice removed = slice_str(PF("submission/qmgr[7]: 0F0A2A7E926: removed"));
	struct maillog_line m;

	maillog_parse(removed, MAILLOG_ANY, &m);
	ok(is(m.host, "relay") && is(m.stamp, "Nov 22 06:25:58") &&
		is(m.tag, "postfix/submission/qmgr") && is(m.instance, "postfix/submission") &&
		is(m.service, "qmgr") && is(m.text, "0F0A2A7E926: removed") &&
		m.mta == MAILLOG_POSTFIX,
	    "stamp, host, tag, instance, service, text");
	ok(maillog_parse(removed, MAILLOG_SENDMAIL, &m) == MAILLOG_OTHER, "sendmail only");
	ok(maillog_parse(slice_str(SM("6AM6g557030850: done; delay=00:00:00, ntries=1")),
	       MAILLOG_POSTFIX, &m) == MAILLOG_OTHER,
	    "Postfix only");
	ok(maillog_parse_text(SLICE_LIT("postfix/qmgr"), SLICE_LIT("0F0A2A7E926: removed"),
	       MAILLOG_ANY, &m) == MAILLOG_REMOVED,
	    "as journald has it");
	maillog_parse(
	    slice_str("Nov 22 06:25:58 h systemd-journald[1]: Suppressed 1234 messages from x"),
	    MAILLOG_ANY, &m);
	ok(m.lost == 1234, "lines lost: %llu", (unsigned long long)m.lost);
}

/* ---- when ---- */

static int64_t
utc(int year, int month, int day, int hour, int minute, int second)
{
	struct tm tm = { .tm_year = year - 1900,
		.tm_mon = month - 1,
		.tm_mday = day,
		.tm_hour = hour,
		.tm_min = minute,
		.tm_sec = second };

	return timegm(&tm);
}

static void
test_iso(void)
{
	static const struct {
		const char *stamp;
		int64_t us; /* after 2026-11-22T06:43:42Z; -1: no time */
	} rows[] = {
		{ "2026-11-22T06:43:42Z", 0 },
		{ "2026-11-22T06:43:42.442921+00:00", 442921 },
		{ "2026-11-22T06:43:42.5Z", 500000 },
		{ "2026-11-22T07:43:42+01:00", 0 },
		{ "2026-11-22T01:13:42.000001-05:30", 1 },
		{ "2026-11-22T06:43:42+0000", 0 },
		{ "2026-11-22T07:13:42.5+0030", 500000 },
		{ "2026-11-22T06:43:42+00", -1 },
		{ "2026-11-22T06:43:42+00000", -1 },
		{ "2026-11-22T06:43:42 ", -1 },
		{ "2026-11-22T07:43:42.442921", 442921 }, /* an hour east */
		{ "2026-11-22T07:43:42", 0 },
		{ "2026-13-22T07:43:42", -1 },
		{ "2026-11-22T07:4x:42", -1 },
		{ "2026-02-29T06:43:42Z", -1 },
		{ "2026-13-22T06:43:42Z", -1 },
		{ "2026-11-22T24:43:42Z", -1 },
		{ "2026-11-22T06:4x:42Z", -1 },
		{ "2026-11-22", -1 },
		{ "", -1 },
	};
	int64_t base = utc(2026, 11, 22, 6, 43, 42);

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct maillog_clock c;
		int64_t t;

		maillog_clock_init(&c, MAILLOG_ZONE_FIXED, 3600);
		t = maillog_time(&c, slice_str(rows[i].stamp), base);
		ok(rows[i].us < 0 ? t == MAILLOG_NO_TIME : t == base * 1000000 + rows[i].us,
		    "%s: %lld", rows[i].stamp, (long long)t);
	}
}

static void
test_year(void)
{
	static const struct {
		const char *stamp;
		int now[6], want[6];
	} rows[] = {
		{ "Nov 22 06:25:58", { 2026, 11, 22, 7, 0, 0 }, { 2026, 11, 22, 6, 25, 58 } },
		{ "Nov  2 06:25:58", { 2026, 11, 22, 7, 0, 0 }, { 2026, 11, 2, 6, 25, 58 } },
		{ "Dec 31 23:59:59", { 2027, 1, 1, 0, 0, 1 }, { 2026, 12, 31, 23, 59, 59 } },
		{ "Jan  1 00:00:01", { 2026, 12, 31, 23, 59, 59 }, { 2027, 1, 1, 0, 0, 1 } },
		{ "Jan  2 12:00:00", { 2026, 12, 31, 23, 59, 59 }, { 2026, 1, 2, 12, 0, 0 } },
		{ "Dec 31 23:59:60", { 2027, 1, 1, 0, 0, 1 }, { 2027, 1, 1, 0, 0, 0 } },
		{ "Feb 29 10:00:00", { 2028, 3, 1, 0, 0, 0 }, { 2028, 2, 29, 10, 0, 0 } },
		{ "Feb 29 10:00:00", { 2031, 3, 1, 0, 0, 0 }, { 2028, 2, 29, 10, 0, 0 } },
		{ "Nov 23 06:00:00", { 2026, 11, 22, 7, 0, 0 }, { 2026, 11, 23, 6, 0, 0 } },
		{ "Nov 23 08:00:00", { 2026, 11, 22, 7, 0, 0 }, { 2025, 11, 23, 8, 0, 0 } },
		{ "Nov 31 08:00:00", { 2026, 11, 22, 7, 0, 0 }, { 0 } },
		{ "Nox 21 08:00:00", { 2026, 11, 22, 7, 0, 0 }, { 0 } },
		{ "Nov 21 25:00:00", { 2026, 11, 22, 7, 0, 0 }, { 0 } },
		{ "Nov 21 08:00:6x", { 2026, 11, 22, 7, 0, 0 }, { 0 } },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		const int *n = rows[i].now, *w = rows[i].want;
		int64_t want =
		    w[0] == 0 ? MAILLOG_NO_TIME : utc(w[0], w[1], w[2], w[3], w[4], w[5]) * 1000000;
		struct maillog_clock c;
		int64_t t;

		maillog_clock_init(&c, MAILLOG_ZONE_FIXED, 0);
		t = maillog_time(
		    &c, slice_str(rows[i].stamp), utc(n[0], n[1], n[2], n[3], n[4], n[5]));
		ok(t == want, "%s in %d: %lld", rows[i].stamp, n[0], (long long)t);
	}
}

static void
set_zone(const char *name)
{
	setenv("TZ", name, 1);
	tzset();
}

/* Lines in the order of a log, and the time of each after the first. */
static void
series(const char *zone, int64_t now, int64_t first, const char *const *stamps, const int *after,
    size_t n)
{
	struct maillog_clock c;

	set_zone(zone);
	maillog_clock_init(&c, MAILLOG_ZONE_LOCAL, 0);
	for (size_t i = 0; i < n; i++) {
		int64_t t = maillog_time(&c, slice_str(stamps[i]), now);

		ok(t == (first + after[i]) * 1000000, "%s %s: %lld after the first, not %d", zone,
		    stamps[i], (long long)(t / 1000000 - first), after[i]);
	}
}

#define BERLIN "CET-1CEST,M3.5.0,M10.5.0/3"

static void
test_local(void)
{
	static const char *const year[] = { "Dec 31 23:59:59", "Jan  1 00:00:00",
		"Jan  1 00:00:01" };
	static const int year_after[] = { 0, 1, 2 };
	/* 2026-10-25: 03:00 CEST is 02:00 CET. */
	static const char *const autumn[] = { "Oct 25 01:59:50", "Oct 25 02:00:00",
		"Oct 25 02:30:00", "Oct 25 02:29:30", "Oct 25 02:59:59", "Oct 25 02:00:00",
		"Oct 25 02:00:10", "Oct 25 02:30:00", "Oct 25 03:00:00" };
	static const int autumn_after[] = { 0, 10, 1810, 1780, 3609, 3610, 3620, 5410, 7210 };
	static const char *const spring[] = { "Mar 29 01:59:59", "Mar 29 03:00:00" };
	static const int spring_after[] = { 0, 1 };
	static const char *const zoneless[] = { "2026-10-25T01:59:50", "2026-10-25T02:00:00",
		"2026-10-25T02:59:59", "2026-10-25T02:00:00", "2026-10-25T03:00:00" };
	static const int zoneless_after[] = { 0, 10, 3609, 3610, 7210 };
	static const char *const live[] = { "Oct 25 02:30:00" };
	static const int zero[] = { 0 };

	series(
	    BERLIN, utc(2027, 1, 1, 0, 0, 0), utc(2026, 12, 31, 22, 59, 59), year, year_after, 3);
	series(BERLIN, utc(2026, 10, 25, 5, 0, 0), utc(2026, 10, 24, 23, 59, 50), autumn,
	    autumn_after, 9);
	series(BERLIN, utc(2026, 10, 25, 5, 0, 0), utc(2026, 10, 24, 23, 59, 50), zoneless,
	    zoneless_after, 5);
	series(BERLIN, utc(2026, 3, 29, 5, 0, 0), utc(2026, 3, 29, 0, 59, 59), spring, spring_after,
	    2);
	/* Without a line before: whatever can have been. */
	series(BERLIN, utc(2026, 10, 25, 0, 30, 1), utc(2026, 10, 25, 0, 30, 0), live, zero, 1);
	series(BERLIN, utc(2026, 10, 25, 1, 30, 1), utc(2026, 10, 25, 1, 30, 0), live, zero, 1);
	series("XXX+5", utc(2026, 11, 22, 11, 0, 0), utc(2026, 10, 25, 7, 30, 0), live, zero, 1);
}

int
main(void)
{
	test_kinds();
	test_auth_failures();
	test_attempts();
	test_recipients();
	test_frame();
	test_forms();
	test_iso();
	test_year();
	test_local();
	return tap_done();
}
