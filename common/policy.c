#include "common/policy.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

__attribute__((format(printf, 5, 6))) static void
refuse(struct policy_answer *out, enum policy_verdict verdict, const char *code, const char *xcode,
    const char *fmt, ...)
{
	va_list ap;

	out->verdict = verdict;
	snprintf(out->code, sizeof(out->code), "%s", code);
	snprintf(out->xcode, sizeof(out->xcode), "%s", xcode);
	va_start(ap, fmt);
	vsnprintf(out->text, sizeof(out->text), fmt, ap);
	va_end(ap);
	/* RFC 5321 4.2: a reply line is printable ASCII. */
	for (char *c = out->text; *c != '\0'; c++)
		if (*c < 0x20 || *c > 0x7e)
			*c = '?';
}

static void
go_on(struct policy_answer *out)
{
	*out = (struct policy_answer){ .verdict = POLICY_CONTINUE };
}

void
policy_connect(const struct conf_source *src, struct policy_answer *out)
{
	go_on(out);
	/* RFC 7504: 521 at the greeting means that there is no mail service here. */
	if (!src->smtp_service)
		refuse(out, POLICY_REJECT, "521", "5.3.2", "no mail service for this client");
}

void
policy_auth_failures(uint64_t left_s, struct policy_answer *out)
{
	/* 421 ends the session; as with every 4xx the client may come again. */
	refuse(out, POLICY_TEMPFAIL, "421", "4.7.0",
	    "too many failed authentications, try again in %llu seconds",
	    (unsigned long long)left_s);
}

void
policy_mail(const struct conf_source *src, bool authenticated, uint64_t declared_size,
    struct policy_answer *out)
{
	go_on(out);
	if (src->require_auth && !authenticated)
		refuse(out, POLICY_REJECT, "530", "5.7.0", "authentication required");
	else
		policy_size(src, declared_size, out);
}

void
policy_size(const struct conf_source *src, uint64_t size, struct policy_answer *out)
{
	go_on(out);
	if (size > src->max_message_size)
		refuse(out, POLICY_REJECT, "552", "5.3.4", "message size exceeds the limit of %llu bytes",
		    (unsigned long long)src->max_message_size);
}

static void
refuse_relaying(const struct conf *c, struct slice rcpt, struct policy_answer *out)
{
	struct slice shown = slice_head(rcpt, 500);

	/* relay-debug: the client keeps the mail while the operator finds the mistake. */
	if (c->relay_debug)
		refuse(out, POLICY_TEMPFAIL, "450", "4.7.1",
		    "relaying denied for recipient in \"RCPT TO:<%.*s>\"", SLICE_FMT(shown));
	else
		refuse(out, POLICY_REJECT, "550", "5.7.1",
		    "relaying denied for recipient in \"RCPT TO:<%.*s>\"", SLICE_FMT(shown));
	out->relaying = true;
}

void
policy_rcpt(const struct conf *c, const struct conf_source *src, bool local, size_t n_before,
    struct slice rcpt, struct policy_answer *out)
{
	enum conf_relay relay = conf_relay_for(c, rcpt);

	bool report = relay == CONF_RELAY_BOUNCE || relay == CONF_RELAY_FEEDBACK;

	go_on(out);
	if (!local && relay == CONF_RELAY_NO && !src->always_allow_relaying)
		refuse_relaying(c, rcpt, out);
	else if (!local && n_before >= c->milter.max_recipients)
		/* RFC 5321 4.5.3.1.10 */
		refuse(out, POLICY_TEMPFAIL, "452", "4.5.3", "too many recipients");
	else if (report)
		out->report = relay;
}

void
policy_rcpt_read(const struct conf *c, struct slice read, struct policy_answer *out)
{
	enum conf_relay relay = conf_relay_for(c, read);

	if (out->verdict == POLICY_CONTINUE && out->report == CONF_RELAY_NO &&
	    (relay == CONF_RELAY_BOUNCE || relay == CONF_RELAY_FEEDBACK))
		out->report = relay;
}

void
policy_no_capture(int errnum, struct policy_answer *out)
{
	go_on(out);
	if (errnum == ENOSPC || errnum == EDQUOT)
		refuse(out, POLICY_TEMPFAIL, "452", "4.3.1", "insufficient system storage, try again later");
	else
		refuse(out, POLICY_TEMPFAIL, "451", "4.3.0",
		    "temporary failure of signalpost-milter, see the mail log");
}

void
policy_no_mix(struct policy_answer *out)
{
	go_on(out);
	/* What RFC 5321 4.5.3.1.10 has clients do at a 452: the others in another transaction. */
	refuse(out, POLICY_TEMPFAIL, "452", "4.5.3",
	    "reports and other mail take a transaction each, send this recipient again");
}

bool
policy_trusts(const struct conf_source *src, bool local)
{
	return local || src->always_allow_relaying;
}
