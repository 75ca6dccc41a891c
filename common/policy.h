/*
 * policy.h - may this client, sender or recipient go on? Decided from the
 * configuration and the facts alone: no I/O, no MTA, no clock.
 */
#ifndef COMMON_POLICY_H
#define COMMON_POLICY_H

#include "common/conf.h"
#include "common/slice.h"

enum policy_verdict { POLICY_CONTINUE, POLICY_REJECT, POLICY_TEMPFAIL };

/* What to answer. Codes and text are empty for POLICY_CONTINUE. */
struct policy_answer {
	enum policy_verdict verdict;
	char code[4];	/* "550" */
	char xcode[12]; /* "5.7.1" */
	char text[640]; /* printable ASCII, one line */
	bool relaying;	/* refused by the relay rule */
	/* BOUNCE, FEEDBACK: accepted, to be captured for that processor; else NO */
	enum conf_relay report;
};

/* At connect: smtp-service. */
void policy_connect(const struct conf_source *src, struct policy_answer *out);

/* At connect, if this client has failed to authenticate too often: smtp-max-auth-failure-rate. */
void policy_auth_failures(uint64_t left_s, struct policy_answer *out);

/*
 * At MAIL FROM: require-auth, and max-message-size against the SIZE that the
 * client declared (0: none, RFC 1870).
 */
void policy_mail(const struct conf_source *src, bool authenticated, uint64_t declared_size,
    struct policy_answer *out);

/*
 * At RCPT TO, PowerMTA's relay rule: always-allow-relaying, relay-domain,
 * relay-address, host-name, or an address list of a processor: what is in that is
 * captured, whoever sends it. `local` mail (not from smtpd) is never refused: the MTA would
 * keep trying (sendmail(1) has exited already). `n_before`: recipients accepted so far.
 */
void policy_rcpt(const struct conf *c, const struct conf_source *src, bool local, size_t n_before,
    struct slice rcpt, struct policy_answer *out);

/*
 * The same recipient as the MTA reads it ({rcpt_addr}): comments, blanks and backslashes are
 * gone, a domain is there. One that `out` lets in is for a processor if that is in its list:
 * nothing may get past it, since what the MTA then returned would go to anybody.
 */
void policy_rcpt_read(const struct conf *c, struct slice read, struct policy_answer *out);

/*
 * A report can't be captured. `errnum` ENOSPC, EDQUOT: for lack of room. The sender keeps
 * it, whatever on-error says: mail for a processor has no other way to go.
 */
void policy_no_capture(int errnum, struct policy_answer *out);

/* For an MTA that can't remove recipients: reports and other mail don't share a transaction. */
void policy_no_mix(struct policy_answer *out);

/* At the end: max-message-size against what arrived. */
void policy_size(const struct conf_source *src, uint64_t size, struct policy_answer *out);

/*
 * May this source say what becomes of its mail (X-MSYS-API), and does its mail
 * get our signature? Only if it may relay: anybody can write our customers'
 * names into From on port 25.
 */
bool policy_trusts(const struct conf_source *src, bool local);

#endif
