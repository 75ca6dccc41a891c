#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "common/clock.h"
#include "common/dkim.h"
#include "common/hash.h"
#include "common/header.h"
#include "common/ids.h"
#include "common/inbound.h"
#include "common/token.h"
#include "t/spooldir.h"
#include "t/tap.h"
#include "uploader/inbox.h"
#include "uploader/onward.h"

#define CONF                                                                                       \
	"<signals>\n api-key 0123456789abcdef0123456789abcdef01234567\n%s</signals>\n"             \
	"<token-keys>\n directory %s/keys\n</token-keys>\n"                                        \
	"<bounce-processor>\n deliver-unmatched-email no\n%s"                                      \
	" <address-list>\n  domain bounces.example\n </address-list>\n</bounce-processor>\n"       \
	"<feedback-loop-processor>\n deliver-unmatched-email no\n"                                 \
	" <address-list>\n  domain fbl.example\n </address-list>\n</feedback-loop-processor>\n"    \
	"<inbound>\n dns-file %s/dns\n</inbound>\n"

/* ---- reports ---- */

#define BEFORE                                                                                     \
	"From: Mail Delivery System <MAILER-DAEMON@mx.x.example>\n"                                \
	"Subject: Undelivered Mail Returned to Sender\n"                                           \
	"Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n"              \
	"--b\nContent-Type: text/plain\n\nIt could not be delivered.\n\n"                          \
	"--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.x.example\n"
#define RCPT(action, final)                                                                        \
	"\nFinal-Recipient: rfc822; " final "\nAction: " action "\nStatus: 5.1.1\n"                \
	"Diagnostic-Code: smtp; 550 5.1.1 <" final "> User unknown\n"
#define AFTER(header)                                                                              \
	"\n--b\nContent-Type: text/rfc822-headers\n\nFrom: s@s.example\nSubject: Sale\n" header    \
	"\n--b--\n"
#define DSN(final, header) BEFORE RCPT("failed", final) AFTER(header)

#define ARF(type, fields, header)                                                                  \
	"From: <fbl@provider.example>\nSubject: complaint\n"                                       \
	"Content-Type: multipart/report; report-type=feedback-report; boundary=b\n\n"              \
	"--b\nContent-Type: text/plain\n\nA complaint.\n\n"                                        \
	"--b\nContent-Type: message/feedback-report\n\nFeedback-Type: " type "\n"                  \
	"User-Agent: P/1\nVersion: 1\n" fields                                                     \
	"\n--b\nContent-Type: message/rfc822\n\nFrom: s@s.example\nSubject: Sale\n" header         \
	"\n\nBuy\n--b--\n"

#define ONE     "Message-ID: <one@s.example>\n"
#define TWO     "Message-ID: <two@s.example>\n"
#define FOUR    "Message-ID: <four@s.example>\n"
#define SEAL(n) "X-Signalpost-ID: {seal" #n "}\n"

/*
 * Messages: 1 to a@x (envid env+1); 2 and 3 to b@x and c@x, with one body; 4 to d@x, a
 * subaccount's. {sealN}, {pathN} are their sealed ids. A mail that begins with "{DOMAIN}" is
 * signed.
 *
 * What comes: "TYPE RCPT CLASS-OR-FBTYPE MATCHED-BY[+] CAMPAIGN SUBACCOUNT MESSAGE[ ~LIKELY]
 * [ final=RCPT][ dkim=RESULT[!]]"; '+': authenticated, '!': not aligned. Then whom the mail goes on
 * to.
 */
static const struct {
	const char *name;
	const char *signals, *bounce; /* in the configuration */
	const char *to, *mail;
	const char *events[5];
	const char *onward; /* "WHY RCPT..." */
} rows[] = {
	{ "a seal in the header", "", "", "x@bounces.example", DSN("a@x.example", SEAL(1)),
	    { "outofband a@x.example 10 seal+ c1 0 1" }, NULL },
	{ "the address that it was mailed to is sealed", "", "", "b-{path1}@bounces.example",
	    DSN("a@x.example", ""), { "outofband a@x.example 10 seal+ c1 0 1" }, NULL },
	{ "in capitals", "", "", "B-{PATH1}@bounces.example", DSN("a@x.example", ""),
	    { "outofband a@x.example 10 seal+ c1 0 1" }, NULL },
	{ "the quoted return path is sealed", "", "", "x@bounces.example",
	    DSN("a@x.example", "Return-Path: <b-{path1}@bounces.example>\n"),
	    { "outofband a@x.example 10 seal+ c1 0 1" }, NULL },
	{ "a seal of somebody else's", "", "", "x@bounces.example",
	    DSN("a@x.example", "X-Signalpost-ID: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n" ONE),
	    { "outofband a@x.example 10 message-id c1 0 1" }, NULL },
	{ "forwarded: the seal says who was meant", "", "", "x@bounces.example",
	    DSN("other@y.example", SEAL(1)),
	    { "outofband a@x.example 10 seal+ c1 0 1 final=other@y.example" }, NULL },
	{ "a sealed message of several: the report names the recipient", "", "",
	    "x@bounces.example", DSN("c@x.example", SEAL(2)),
	    { "outofband c@x.example 10 seal+ c2 0 3" }, NULL },
	{ "a sealed message of one, and a report on many", "", "", "x@bounces.example",
	    BEFORE RCPT("delayed", "y@x.example") RCPT("failed", "a@x.example")
		RCPT("failed", "b@x.example") RCPT("failed", "c@x.example") AFTER(SEAL(1)),
	    { "outofband a@x.example 10 seal+ c1 0 1" }, NULL },
	{ "a sealed message of two, and a report on three", "", "", "x@bounces.example",
	    BEFORE RCPT("failed", "b@x.example") RCPT("failed", "c@x.example")
		RCPT("failed", "d@x.example") AFTER(SEAL(2)),
	    { "outofband b@x.example 10 seal+ c2 0 2", "outofband c@x.example 10 seal+ c2 0 3" },
	    NULL },
	{ "a sealed message of several, another recipient", "", "", "x@bounces.example",
	    DSN("z@y.example", SEAL(2)), { "outofband z@y.example 10 seal+ c2 0 none" }, NULL },
	{ "two recipients of it", "", "", "x@bounces.example",
	    BEFORE RCPT("failed", "b@x.example") RCPT("failed", "c@x.example") AFTER(SEAL(2)),
	    { "outofband b@x.example 10 seal+ c2 0 2", "outofband c@x.example 10 seal+ c2 0 3" },
	    NULL },
	{ "a sealed message of a subaccount", "", "", "x@bounces.example",
	    DSN("d@x.example", SEAL(4)), { "outofband d@x.example 10 seal+ c4 7 4" }, NULL },
	{ "a sealed message that the index has not", "", "", "x@bounces.example",
	    DSN("e@x.example", SEAL(9)), { "outofband e@x.example 10 seal+ - 0 9" }, NULL },

	{ "Original-Envelope-Id", "", "", "x@bounces.example",
	    BEFORE "Original-Envelope-Id: env+1\n" RCPT("failed", "a@x.example") AFTER(TWO),
	    { "outofband a@x.example 10 envid c1 0 1" }, NULL },
	{ "Original-Envelope-Id as xtext", "", "", "x@bounces.example",
	    BEFORE "Original-Envelope-Id: env+2B1\n" RCPT("failed", "a@x.example") AFTER(""),
	    { "outofband a@x.example 10 envid c1 0 1" }, NULL },
	{ "Message-ID and recipient", "", "", "x@bounces.example", DSN("A@X.example", ONE),
	    { "outofband a@x.example 10 message-id c1 0 1" }, NULL },
	{ "Message-ID of several and recipient", "", "", "x@bounces.example",
	    DSN("c@x.example", TWO), { "outofband c@x.example 10 message-id c2 0 3" }, NULL },
	{ "Message-ID, but another recipient: a guess", "", "", "x@bounces.example",
	    DSN("z@y.example", ONE), { "outofband z@y.example 10 message-id - 0 none ~1" }, NULL },
	{ "Message-ID of a subaccount's message: a guess", "", "", "x@bounces.example",
	    DSN("d@x.example", FOUR), { "outofband d@x.example 10 message-id - 0 none ~4" }, NULL },
	{ "VERP", "", "", "v-a=x.example@bounces.example", DSN("other@y.example", ""),
	    { "outofband a@x.example 10 verp c1 0 1 final=other@y.example" }, NULL },
	{ "VERP that no message left with", "", "", "w-a=x.example@bounces.example",
	    DSN("a@x.example", ""), { "outofband a@x.example 10 recipient - 0 none ~1" }, NULL },
	{ "the recipient alone: a guess", "", "", "x@bounces.example", DSN("a@x.example", ""),
	    { "outofband a@x.example 10 recipient - 0 none ~1" }, NULL },
	{ "a subaccount's recipient alone: a guess", "", "", "x@bounces.example",
	    DSN("d@x.example", ""), { "outofband d@x.example 10 recipient - 0 none ~4" }, NULL },
	{ "nobody's", "", "", "x@bounces.example", DSN("who@knows.example", ""),
	    { "outofband who@knows.example 10 none - 0 none" }, NULL },

	{ "delayed and delivered make none", "", "", "x@bounces.example",
	    BEFORE RCPT("delayed", "a@x.example") RCPT("failed", "b@x.example")
		RCPT("delivered", "c@x.example") AFTER(SEAL(2)),
	    { "outofband b@x.example 10 seal+ c2 0 2" }, NULL },
	{ "an automatic reply", "", "", "b-{path1}@bounces.example",
	    "From: A <a@x.example>\nSubject: Out of office\nAuto-Submitted: auto-replied\n\n"
	    "I am on vacation.\n",
	    { "outofband a@x.example 60 seal+ c1 0 1" }, NULL },
	{ "unsubscribed by mail", "", "", "b-{path1}@bounces.example",
	    "From: A <a@x.example>\nTo: b-{path1}@bounces.example\nSubject: unsubscribe\n\n"
	    "unsubscribe\n",
	    { "list a@x.example - seal+ c1 0 1" }, NULL },

	{ "a complaint", "", "", "fbl@fbl.example",
	    ARF("abuse", "Original-Rcpt-To: a@x.example\n", SEAL(1)),
	    { "feedback a@x.example abuse seal+ c1 0 1" }, NULL },
	{ "a complaint that hides who complains", "", "", "fbl@fbl.example",
	    ARF("fraud", "Original-Rcpt-To: redacted@provider.example\n", ONE),
	    { "feedback a@x.example fraud message-id c1 0 1" }, NULL },
	{ "no complaint: not-spam", "", "", "fbl@fbl.example",
	    ARF("not-spam", "Original-Rcpt-To: a@x.example\n", SEAL(1)), { NULL }, NULL },
	{ "no complaint: auth-failure", "", "", "fbl@fbl.example",
	    ARF("auth-failure", "Original-Rcpt-To: a@x.example\n", SEAL(1)), { NULL }, NULL },
	{ "opt-out", "", "", "fbl@fbl.example",
	    ARF("opt-out", "Original-Rcpt-To: a@x.example\n", SEAL(1)),
	    { "list a@x.example - seal+ c1 0 1" }, NULL },

	{ "privacy-policy sha1: no address", " privacy-policy sha1\n", "", "x@bounces.example",
	    DSN("who@knows.example", ""), { "outofband - 10 none - 0 none" }, NULL },

	{ "ordinary mail ends here", "", "", "x@bounces.example",
	    "From: a@x.example\nSubject: Hello\n\nHow are you?\n", { NULL }, NULL },
	{ "ordinary mail is delivered", "", " deliver-unmatched-email yes\n", "x@bounces.example",
	    "From: a@x.example\nSubject: Hello\n\nHow are you?\n", { NULL },
	    "unmatched x@bounces.example" },
	{ "ordinary mail is forwarded", "",
	    " forward-unmatched-to o@o.example\n forward-unmatched-to p@o.example\n",
	    "x@bounces.example", "From: a@x.example\nSubject: Hello\n\nHow are you?\n", { NULL },
	    "unmatched o@o.example p@o.example" },
	{ "reports are delivered", "", " deliver-matched-email yes\n", "x@bounces.example",
	    DSN("a@x.example", SEAL(1)), { "outofband a@x.example 10 seal+ c1 0 1" },
	    "matched x@bounces.example" },
	{ "a report that says nothing is forwarded", "", " forward-errors-to o@o.example\n",
	    "x@bounces.example", BEFORE "\n--b--\n", { "outofband - 30 none - 0 none" },
	    "error o@o.example" },
	{ "not authenticated", "",
	    " require-authenticated-reports yes\n forward-unmatched-to o@o.example\n",
	    "x@bounces.example", DSN("a@x.example", ONE), { NULL }, "unmatched o@o.example" },
	{ "authenticated by its seal", "", " require-authenticated-reports yes\n",
	    "x@bounces.example", DSN("a@x.example", SEAL(1)),
	    { "outofband a@x.example 10 seal+ c1 0 1" }, NULL },
	{ "signed, but by nobody that is known", "", " require-authenticated-reports yes\n",
	    "x@bounces.example",
	    "DKIM-Signature: v=1; a=rsa-sha256; d=mx.x.example; s=s; h=from; bh=AAAA; b=AAAA\n" DSN(
		"a@x.example", ONE),
	    { NULL }, NULL },
	{ "signed, and not asked for", "", "", "x@bounces.example",
	    "DKIM-Signature: v=1; a=rsa-sha256; d=mx.x.example; s=s; h=from; bh=AAAA; b=AAAA\n" DSN(
		"a@x.example", ONE),
	    { "outofband a@x.example 10 message-id c1 0 1 dkim=fail" }, NULL },
	{ "signed by the reporter", "", " require-authenticated-reports yes\n", "x@bounces.example",
	    "{mx.x.example}" DSN("a@x.example", ONE),
	    { "outofband a@x.example 10 message-id c1 0 1 dkim=pass" }, NULL },
	{ "signed by somebody else", "", " require-authenticated-reports yes\n",
	    "x@bounces.example", "{evil.example}" DSN("a@x.example", ONE), { NULL }, NULL },
	{ "signed by somebody else, and not asked for", "", "", "x@bounces.example",
	    "{evil.example}" DSN("a@x.example", ONE),
	    { "outofband a@x.example 10 message-id c1 0 1 dkim=pass!" }, NULL },
	{ "a signature does not make a guess sure", "", "", "x@bounces.example",
	    "{mx.x.example}" DSN("d@x.example", FOUR),
	    { "outofband d@x.example 10 message-id - 0 none ~4 dkim=pass" }, NULL },
};

/* ---- the world of a row ---- */

#define N_MESSAGES 10

static char dir[SPOOLDIR_SIZE];
static char ids[N_MESSAGES][IDS_SIZE], seals[N_MESSAGES][200], paths[N_MESSAGES][200];
static struct err e;
static struct dkim_key *key;

static void
seal(const struct token_ring *ring, enum token_text as, struct message_id id, unsigned count,
    char out[200])
{
	unsigned char plain[10];
	struct buf b;

	for (int i = 0; i < 4; i++) {
		plain[i] = (unsigned char)(id.time >> (24 - 8 * i));
		plain[4 + i] = (unsigned char)(id.serial >> (24 - 8 * i));
	}
	plain[8] = 0;
	plain[9] = (unsigned char)count;
	buf_init(&b, 200);
	token_seal(
	    ring, TOKEN_MESSAGE, as, (struct slice){ (const char *)plain, sizeof(plain) }, &b, &e);
	snprintf(out, 200, "%s", buf_str(&b));
	buf_free(&b);
}

static void
make_messages(int64_t at_s)
{
	struct token_ring *ring;
	struct buf path;
	char keys[SPOOLDIR_SIZE + 10];

	snprintf(keys, sizeof(keys), "%s/keys", dir);
	mkdir(keys, 0750);
	buf_init(&path, 4096);
	if (token_ring_new_key(keys, &path, &e) < 0 || (ring = token_ring_open(keys, &e)) == NULL) {
		printf("Bail out! %s\n", e.text);
		exit(1);
	}
	buf_free(&path);
	for (unsigned i = 1; i < N_MESSAGES; i++) {
		struct message_id id = { (uint32_t)at_s, 100 + i };

		ids_text(id, ids[i]);
		seal(ring, TOKEN_BASE64URL, id, i == 2 ? 2 : 1, seals[i]);
		seal(ring, TOKEN_BASE32, id, i == 2 ? 2 : 1, paths[i]);
	}
	token_ring_close(ring);
}

static void
learn_one(struct index *ix, unsigned n, int64_t at_s, const char *rcpt, const char *header_id,
    const char *envid, const char *campaign, int64_t subaccount)
{
	struct event ev;

	event_init(&ev, EVENT_RECEPTION);
	ev.timestamp = at_s;
	ev.message_id = slice_str(ids[n]);
	ev.rcpt_to = ev.raw_rcpt_to = slice_str(rcpt);
	ev.header_message_id = slice_str(header_id);
	ev.envid = slice_str(envid);
	ev.campaign_id = slice_str(campaign);
	ev.subaccount_id = subaccount;
	ev.queue_id = SLICE_LIT("Q1");
	ev.recv_method = SLICE_LIT("esmtp");
	ev.msg_from =
	    n == 1 ? SLICE_LIT("v-a=x.example@bounces.example") : SLICE_LIT("v@bounces.example");
	if (index_learn(ix, &ev, &e) < 0)
		printf("# %s\n", e.text);
}

static void
learn_all(struct index *ix, int64_t at_s)
{
	index_begin(ix, &e);
	learn_one(ix, 1, at_s, "a@x.example", "one@s.example", "env+1", "c1", 0);
	learn_one(ix, 2, at_s, "b@x.example", "two@s.example", "", "c2", 0);
	learn_one(ix, 3, at_s, "c@x.example", "two@s.example", "", "c2", 0);
	learn_one(ix, 4, at_s, "d@x.example", "four@s.example", "", "c4", 7);
	index_commit(ix, &e);
}

/* {sealN}, {pathN}, {PATHN}; lines end with CRLF. */
static void
fill_in(const char *text, bool crlf, struct buf *out)
{
	while (*text != '\0') {
		unsigned n;
		char what[8];

		if (sscanf(text, "{%4[a-zA-Z]%1u}", what, &n) == 2 && n < N_MESSAGES) {
			const char *token = what[0] == 's' ? seals[n] : paths[n];

			for (; *token != '\0'; token++)
				buf_addc(out, what[0] == 'P' && *token >= 'a' && *token <= 'z'
						  ? (char)(*token - 32)
						  : *token);
			text += 7;
			continue;
		}
		if (*text == '\n' && crlf)
			buf_addc(out, '\r');
		buf_addc(out, *text++);
	}
}

/* A signature over the mail, as a field before it. */
static void
sign(const char *domain, const struct buf *mail, struct buf *out)
{
	struct dkim_signing how = { .selector = "s", .domain = domain, .timestamp = 1790000000 };
	struct dkim_body *b = dkim_body_begin(DKIM_RELAXED);
	struct slice rest = buf_slice(mail);
	struct dkim_field fields[20];
	unsigned char hash[32];
	struct header h;
	size_t n = 0;

	while (n < COUNT(fields) && header_next(&rest, &h) > 0)
		fields[n++] = (struct dkim_field){ h.name, h.value };
	dkim_body_add(b, rest);
	dkim_body_end(b, hash, &how.body_length);
	buf_adds(out, "DKIM-Signature:");
	ok(dkim_signature(key, &how, fields, n, hash, out, &e) == 0, "signed %s", e.text);
	buf_adds(out, "\r\n");
}

static void
fill_in_mail(const char *mail, struct buf *out)
{
	char domain[100] = "";
	struct buf body;

	buf_init(&body, 1 << 20);
	if (sscanf(mail, "{%99[a-z.]}", domain) == 1)
		mail += strlen(domain) + 2;
	fill_in(mail, true, &body);
	if (domain[0] != '\0')
		sign(domain, &body, out);
	buf_add(out, buf_slice(&body));
	buf_free(&body);
}

static void
capture(struct spool *sp, const char *to, const char *mail, char name[INBOUND_NAME_SIZE])
{
	struct buf rcpt, text;
	struct inbound_rcpt r;
	struct inbound_envelope env = { .from = { 0 },
		.n_rcpts = 1,
		.rcpts = &r,
		.queue_id = SLICE_LIT("R1"),
		.received_s = clock_wall_s() };
	struct inbound_writer *w;

	buf_init(&rcpt, 4096);
	buf_init(&text, 1 << 20);
	fill_in(to, false, &rcpt);
	fill_in_mail(mail, &text);
	r.address = buf_slice(&rcpt);
	r.list = strstr(to, "@fbl.") != NULL ? INBOUND_FEEDBACK : INBOUND_BOUNCE;
	w = inbound_create(sp, &env, &e);
	ok(w != NULL && inbound_write(w, buf_slice(&text), &e) == 0 &&
		inbound_commit(w, name, &e) == 0,
	    "captured %s", e.text);
	buf_free(&rcpt);
	buf_free(&text);
}

static const char *
which(struct slice message_id)
{
	static char n[2];

	for (unsigned i = 1; i < N_MESSAGES; i++)
		if (slice_eq(message_id, slice_str(ids[i]))) {
			snprintf(n, sizeof(n), "%u", i);
			return n;
		}
	return slice_starts(message_id, SLICE_LIT("ffff")) ? "none" : "?";
}

static const char *
or_dash(struct slice s, char out[200])
{
	snprintf(out, 200, "%.*s", s.len == 0 ? 1 : SLICE_FMT(s));
	if (s.len == 0)
		snprintf(out, 200, "-");
	return out;
}

static void
describe(const struct event *ev, struct buf *out)
{
	char a[200], b[200], class[20] = "-";

	if (ev->bounce_class >= 0)
		snprintf(class, sizeof(class), "%lld", (long long)ev->bounce_class);
	buf_printf(out, "%s %s %s %.*s%s", event_type_name(ev->type), or_dash(ev->rcpt_to, a),
	    ev->fbtype.len > 0 ? or_dash(ev->fbtype, b) : class, SLICE_FMT(ev->matched_by),
	    ev->authenticated == EVENT_TRUE ? "+" : "");
	buf_printf(out, " %s %lld %s", or_dash(ev->campaign_id, a), (long long)ev->subaccount_id,
	    which(ev->message_id));
	if (ev->likely_message_id.len > 0)
		buf_printf(out, " ~%s", which(ev->likely_message_id));
	if (ev->final_rcpt.len > 0)
		buf_printf(out, " final=%.*s", SLICE_FMT(ev->final_rcpt));
	if (!slice_eq(ev->report_dkim, SLICE_LIT("none")))
		buf_printf(out, " dkim=%.4s%s", ev->report_dkim.p,
		    slice_endsi(ev->report_dkim, SLICE_LIT(" unaligned")) ? "!" : "");
}

/* The events that are in the spool, in order: `each` is called with each. Returns how many. */
static size_t
events_of(struct spool *sp, void (*each)(void *arg, size_t n, const struct event *ev), void *arg)
{
	struct buf file, store;
	char **names;
	ssize_t segments = spool_list(sp, &names, &e);
	size_t n = 0;

	buf_init(&file, BUF_NO_LIMIT);
	buf_init(&store, EVENT_LINE_MAX);
	for (ssize_t i = 0; i < segments; i++) {
		struct slice rest, line;
		struct event ev;

		file_read(spool_events_fd(sp), names[i], &file, &e);
		rest = buf_slice(&file);
		while (slice_line(&rest, &line))
			if (ok(event_read(line, &ev, &store, &e) == 0, "an event %s", e.text))
				each(arg, n++, &ev);
		free(names[i]);
	}
	if (segments >= 0)
		free(names);
	buf_free(&file);
	buf_free(&store);
	return n;
}

struct want {
	const char *name, *const *events;
	size_t n;
};

static void
compare(void *arg, size_t n, const struct event *ev)
{
	const struct want *w = arg;
	const char *want = n < w->n && w->events[n] != NULL ? w->events[n] : "";
	struct buf got;

	buf_init(&got, 4096);
	describe(ev, &got);
	ok(strcmp(buf_str(&got), want) == 0, "%s: \"%s\", wanted \"%s\"", w->name, buf_str(&got),
	    want);
	buf_free(&got);
}

/* ---- running ---- */

struct world {
	char spool[SPOOLDIR_SIZE + 40];
	struct conf *conf;
	struct spool *sp;
	struct learn *learn;
	struct inbox *inbox;
};

static bool
open_world(struct world *w, const char *signals, const char *bounce, int64_t at_s)
{
	static unsigned n;
	struct buf text;

	*w = (struct world){ .conf = NULL };
	buf_init(&text, 65536);
	buf_printf(&text, CONF, signals, dir, bounce, dir);
	w->conf = conf_parse("t.conf", buf_slice(&text), &e);
	buf_free(&text);
	snprintf(w->spool, sizeof(w->spool), "%s/spool%u", dir, n++);
	return ok(w->conf != NULL, "configuration %s", w->conf == NULL ? e.text : "") &&
	       (w->sp = spool_open(w->spool, &e)) != NULL &&
	       (w->learn = learn_open(w->conf, w->sp, &e)) != NULL &&
	       (learn_all(learn_index(w->learn), at_s), true) &&
	       (w->inbox = inbox_open(w->conf, w->sp, w->learn, &e)) != NULL;
}

/* Closes the segment, so that it can be read. */
static void
stop_world(struct world *w)
{
	inbox_close(w->inbox);
	learn_close(w->learn);
	w->inbox = NULL;
	w->learn = NULL;
}

static void
close_world(struct world *w)
{
	stop_world(w);
	spool_close(w->sp);
	conf_free(w->conf);
}

/* Until nothing is left in inbound/ but tmp/ and onward/. */
static bool
until_done(struct world *w)
{
	bool onward;

	for (int i = 0; i < 12000; i++) {
		inbox_step(w->inbox, &onward);
		if (spooldir_entries(spool_inbound_fd(w->sp)) == 2)
			return true;
		nanosleep(&(struct timespec){ 0, 10000000 }, NULL);
	}
	return false;
}

static void
check_onward(struct world *w, const char *name, const char *want)
{
	struct onward_order order;
	struct buf store, got;
	int fd = onward_dir(w->sp, &e);
	char **names;
	ssize_t n = onward_list(fd, 10, &names, &e);

	buf_init(&store, 65536);
	buf_init(&got, 65536);
	for (ssize_t i = 0; i < n; i++) {
		if (onward_order_read(fd, names[i], &order, &store, &e) > 0) {
			buf_add(&got, order.why);
			for (size_t k = 0; k < order.n_rcpts; k++)
				buf_printf(&got, " %.*s", SLICE_FMT(order.rcpts[k]));
			free(order.rcpts);
		}
		free(names[i]);
	}
	free(names);
	close(fd);
	ok(strcmp(buf_str(&got), want == NULL ? "" : want) == 0, "%s: goes on \"%s\"", name,
	    buf_str(&got));
	buf_free(&store);
	buf_free(&got);
}

static void
run_row(size_t i, int64_t at_s)
{
	struct world w;
	char name[INBOUND_NAME_SIZE];
	struct want want = { rows[i].name, rows[i].events, COUNT(rows[i].events) };
	size_t n = 0, got;

	if (!ok(open_world(&w, rows[i].signals, rows[i].bounce, at_s), "%s: open %s", rows[i].name,
		e.text))
		exit(1);
	capture(w.sp, rows[i].to, rows[i].mail, name);
	ok(until_done(&w), "%s: done", rows[i].name);
	stop_world(&w);
	got = events_of(w.sp, compare, &want);
	while (n < want.n && want.events[n] != NULL)
		n++;
	ok(got == n, "%s: %zu events, wanted %zu", rows[i].name, got, n);
	check_onward(&w, rows[i].name, rows[i].onward);
	close_world(&w);
}

/* ---- a file that is read twice ---- */

struct seen {
	int64_t id[10];
	char message_id[10][IDS_SIZE];
	size_t n;
};

static void
note(void *arg, size_t n, const struct event *ev)
{
	struct seen *s = arg;

	if (n >= COUNT(s->id))
		return;
	s->id[n] = ev->event_id;
	snprintf(s->message_id[n], IDS_SIZE, "%.*s", SLICE_FMT(ev->message_id));
	s->n = n + 1;
}

static int
copy_in(struct world *w, const char *name, struct slice bytes)
{
	return file_replace(spool_inbound_fd(w->sp), name, bytes, 0640, &e);
}

static void
run_again(int64_t at_s)
{
	struct seen s = { .n = 0 };
	struct world w;
	struct buf bytes;
	char name[INBOUND_NAME_SIZE], other[INBOUND_NAME_SIZE];

	buf_init(&bytes, 1 << 20);
	if (!ok(open_world(&w, "", "", at_s), "again: open %s", e.text))
		exit(1);
	capture(w.sp, "x@bounces.example",
	    BEFORE RCPT("failed", "b@x.example") RCPT("failed", "u@y.example") AFTER(TWO), name);
	file_read(spool_inbound_fd(w.sp), name, &bytes, &e);
	until_done(&w);
	copy_in(&w, name, buf_slice(&bytes));
	ok(until_done(&w), "the same file again");
	snprintf(other, sizeof(other), "%s", name);
	other[5] = other[5] == '0' ? '1' : '0';
	copy_in(&w, other, buf_slice(&bytes));
	ok(until_done(&w), "the same report again");
	stop_world(&w);
	events_of(w.sp, note, &s);
	ok(s.n == 6, "%zu events", s.n);
	ok(s.id[0] == s.id[2] && s.id[1] == s.id[3], "the same file makes the same events");
	ok(s.id[0] != s.id[4] && s.id[1] != s.id[5], "another file other ones");
	ok(strcmp(s.message_id[1], s.message_id[3]) == 0 &&
		strncmp(s.message_id[1], "ffff", 4) == 0,
	    "also the message id that no message has: %s", s.message_id[1]);
	close_world(&w);
	buf_free(&bytes);
}

/* ---- what is no captured report ---- */

static void
run_broken(int64_t at_s)
{
	struct seen s = { .n = 0 };
	struct world w;
	char name[INBOUND_NAME_SIZE];
	int fd;

	if (!ok(open_world(&w, "", "", at_s), "broken: open %s", e.text))
		exit(1);
	fd = spool_inbound_fd(w.sp);
	copy_in(&w, "in1-0006000000000001.eml", SLICE_LIT("no envelope\n"));
	copy_in(&w, "in1-0006000000000002.eml", SLICE_LIT(""));
	mkfifoat(fd, "in1-0006000000000003.eml", 0600);
	mkdirat(fd, "in1-0006000000000004.eml", 0700);
	ok(symlinkat("/etc/passwd", fd, "in1-0006000000000005.eml") == 0, "a link");
	capture(w.sp, "x@bounces.example", DSN("a@x.example", SEAL(1)), name);
	ok(until_done(&w), "what is no report does not stand in the way");
	ok(spooldir_entries(spool_rejected_fd(w.sp)) == 10,
	    "five and their reasons in rejected/: %d", spooldir_entries(spool_rejected_fd(w.sp)));
	stop_world(&w);
	ok(events_of(w.sp, note, &s) == 1, "the report has its event");
	close_world(&w);
}

/* ---- a message that is in an open segment still ---- */

static void
run_early(int64_t at_s)
{
	static const struct spool_writer_options options = { 1 << 20, 60000, true };
	struct seen s = { .n = 0 };
	struct spool_writer *milter;
	struct world w;
	struct event ev;
	struct buf line;
	char name[INBOUND_NAME_SIZE];
	bool onward;

	if (!ok(open_world(&w, "", "", at_s), "early: open %s", e.text))
		exit(1);
	event_init(&ev, EVENT_RECEPTION);
	ev.event_id = 1;
	ev.timestamp = at_s;
	ev.message_id = slice_str(ids[8]);
	ev.rcpt_to = SLICE_LIT("n@x.example");
	ev.header_message_id = SLICE_LIT("new@s.example");
	ev.campaign_id = SLICE_LIT("cn");
	ev.queue_id = SLICE_LIT("Q8");
	ev.recv_method = SLICE_LIT("esmtp");
	buf_init(&line, EVENT_LINE_MAX);
	event_json(&ev, &line, &e);
	milter = spool_writer_open(w.sp, &options, &e);
	spool_append(milter, buf_slice(&line), 1, &e);
	capture(
	    w.sp, "x@bounces.example", DSN("n@x.example", "Message-ID: <new@s.example>\n"), name);
	for (int i = 0; i < 50; i++)
		inbox_step(w.inbox, &onward);
	ok(spooldir_entries(spool_inbound_fd(w.sp)) == 3, "a report waits for its message");
	spool_writer_close(milter);
	ok(until_done(&w), "until the segment is closed");
	stop_world(&w);
	/* The milter's own segment is the first. */
	ok(events_of(w.sp, note, &s) == 2 && strcmp(s.message_id[1], ids[8]) == 0,
	    "it is found: %s", s.message_id[1]);
	close_world(&w);
	buf_free(&line);
}

/* ---- one that can't go on ---- */

static void
run_stuck(int64_t at_s)
{
	struct seen s = { .n = 0 };
	struct world w;
	struct buf bytes;
	char name[INBOUND_NAME_SIZE], other[INBOUND_NAME_SIZE];
	bool onward;
	int fd;

	if (!ok(open_world(&w, "", " deliver-matched-email yes\n", at_s), "stuck: open %s", e.text))
		exit(1);
	buf_init(&bytes, 1 << 20);
	fd = onward_dir(w.sp, &e);
	capture(w.sp, "x@bounces.example", DSN("a@x.example", SEAL(1)), name);
	file_read(spool_inbound_fd(w.sp), name, &bytes, &e);
	file_replace(fd, name, buf_slice(&bytes), 0640, &e);
	capture(w.sp, "x@bounces.example", DSN("b@x.example", SEAL(2)), other);
	for (int i = 0; i < 10; i++)
		inbox_step(w.inbox, &onward);
	ok(spooldir_entries(spool_inbound_fd(w.sp)) == 3 &&
		faccessat(spool_inbound_fd(w.sp), name, F_OK, 0) == 0,
	    "one that is in onward/ already stays, the other goes");
	stop_world(&w);
	ok(events_of(w.sp, note, &s) == 2, "both have their event");
	close_world(&w);
	close(fd);
	buf_free(&bytes);
}

/* ---- a disk that takes nothing ---- */

static void
run_full(int64_t at_s)
{
	struct rlimit nothing, all;
	struct seen s = { .n = 0 };
	struct world w;
	char name[INBOUND_NAME_SIZE];
	bool onward;
	int left;

	if (!ok(open_world(&w, "", "", at_s), "full: open %s", e.text))
		exit(1);
	capture(w.sp, "x@bounces.example", DSN("a@x.example", SEAL(1)), name);
	fflush(stdout);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &all);
	nothing = (struct rlimit){ 0, all.rlim_max };
	setrlimit(RLIMIT_FSIZE, &nothing);
	for (int i = 0; i < 20; i++)
		inbox_step(w.inbox, &onward);
	left = spooldir_entries(spool_inbound_fd(w.sp));
	setrlimit(RLIMIT_FSIZE, &all);
	ok(left == 3, "a report stays while its events can't be written");
	ok(until_done(&w), "and goes when they can");
	stop_world(&w);
	ok(events_of(w.sp, note, &s) == 1, "its event is there once");
	close_world(&w);
}

/* The same for two domains. */
static void
make_key(void)
{
	char path[SPOOLDIR_SIZE + 10];
	struct buf pem, record;
	FILE *f;

	buf_init(&pem, 65536);
	buf_init(&record, 65536);
	snprintf(path, sizeof(path), "%s/dns", dir);
	if (dkim_key_generate(DKIM_RSA_SHA256, DKIM_RSA_MIN_BITS, &pem, &e) < 0 ||
	    (key = dkim_key_parse("t", buf_slice(&pem), &e)) == NULL ||
	    (f = fopen(path, "w")) == NULL) {
		printf("Bail out! %s\n", e.text);
		exit(1);
	}
	dkim_key_record(key, &record);
	fprintf(f, "s._domainkey.mx.x.example %s\ns._domainkey.evil.example %s\n", buf_str(&record),
	    buf_str(&record));
	fclose(f);
	buf_free(&pem);
	buf_free(&record);
}

int
main(void)
{
	int64_t at_s = clock_wall_s() - 100;

	spooldir_make(dir);
	make_key();
	make_messages(at_s);
	for (size_t i = 0; i < COUNT(rows); i++)
		run_row(i, at_s);
	run_again(at_s);
	run_broken(at_s);
	run_early(at_s);
	run_stuck(at_s);
	run_full(at_s);
	dkim_key_close(key);
	spooldir_remove(dir);
	return tap_done();
}
