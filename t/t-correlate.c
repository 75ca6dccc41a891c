#include "uploader/correlate.h"

#include <stdlib.h>

#include "t/spooldir.h"
#include "t/tap.h"

#define TIME 1785844800

static char dir[SPOOLDIR_SIZE];
static struct err e;

/*
 * What a report says, and to which address it came; whom it names; what is found:
 * "HOW[+] ID[ ~LIKELY]", IDs by the last digit of the serial; '*': the message as a whole.
 */
static const struct {
	const char *what;
	const char *seal; /* "SERIAL COUNT" that X-Signalpost-ID holds, or the token itself */
	const char *envid, *message_id, *return_path, *to, *rcpt;
	const char *want;
} rows[] = {
	{ "a seal", "1 1", "", "", "", "x@b", "one@x", "seal+ 1" },
	{ "a seal, and all else says otherwise", "1 1", "env-2", "two@id", "v-two=x@b", "v-two=x@b",
	    "two@x", "seal+ 1" },
	{ "a seal, nobody is named", "1 1", "", "", "", "x@b", "", "seal+ 1" },
	{ "a seal of several", "4 2", "", "", "", "x@b", "five@x", "seal+ 5" },
	{ "a seal of several, nobody is named", "4 2", "", "", "", "x@b", "", "seal+ 4*" },
	{ "a seal of several, another is named", "4 2", "", "", "", "x@b", "one@x", "seal+ 4*" },
	{ "a seal of what the index has not", "9 1", "", "", "", "x@b", "one@x", "seal+ 9" },
	{ "a seal for nobody", "1 0", "", "", "", "x@b", "", "none" },
	{ "no token", "x", "", "", "", "x@b", "", "none" },
	{ "a long one",
	    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "", "",
	    "", "x@b", "", "none" },
	{ "an address without a local part", "", "", "", "@b", "@b", "", "none" },
	{ "a dash and nothing", "", "", "", "", "-@b", "", "none" },

	{ "envelope id before Message-ID", "", "env-2", "one@id", "", "x@b", "two@x", "envid 2" },
	{ "envelope id of another", "", "env-2", "one@id", "", "x@b", "one@x", "message-id 1" },
	{ "envelope id, nobody is named", "", "env-2", "", "", "x@b", "", "envid 2" },
	{ "envelope id in xtext", "", "env+2D2", "", "", "x@b", "two@x", "envid 2" },
	{ "broken xtext", "", "env+2", "", "", "x@b", "", "none" },
	{ "xtext that ends", "", "env-2+", "", "", "x@b", "", "none" },

	{ "Message-ID and recipient", "", "", "one@id", "", "x@b", "ONE@x", "message-id 1" },
	{ "Message-ID of one", "", "", "one@id", "", "x@b", "", "message-id 1" },
	{ "Message-ID of several", "", "", "four@id", "", "x@b", "", "none" },
	{ "Message-ID of several and recipient", "", "", "four@id", "", "x@b", "five@x",
	    "message-id 5" },
	{ "Message-ID of several, another recipient", "", "", "four@id", "", "x@b", "z@x", "none" },
	{ "Message-ID, another recipient", "", "", "one@id", "", "x@b", "z@x", "message-id ~1" },
	{ "a subaccount's Message-ID", "", "", "three@id", "", "x@b", "three@x", "message-id ~3" },

	{ "VERP", "", "", "", "", "v-two=x@b", "", "verp 2" },
	{ "VERP in capitals", "", "", "", "", "V-TWO=X@B", "", "verp 2" },
	{ "VERP that is quoted", "", "", "", "v-two=x@b", "x@b", "z@x", "verp 2" },
	{ "VERP with dashes", "", "", "", "", "a-b-s-i-x=x@b", "", "verp 6" },
	{ "VERP, another sender", "", "", "", "", "w-two=x@b", "", "none" },
	{ "VERP, another domain", "", "", "", "", "v-two=x@c", "", "none" },
	{ "VERP of a subaccount", "", "", "", "", "v-three=x@b", "", "verp ~3" },
	{ "VERP that is none", "", "", "", "", "=@b", "", "none" },

	{ "recipient", "", "", "", "", "x@b", "one@x", "recipient ~1" },
	{ "recipient of two messages: the later", "", "", "", "", "x@b", "two@x", "recipient ~7" },
	{ "nothing", "", "", "", "", "x@b", "", "none" },
};

static const struct {
	unsigned serial;
	const char *rcpt, *header_id, *envid, *from;
	int64_t subaccount;
} messages[] = {
	{ 1, "one@x", "one@id", "", "b@b", 0 },
	{ 2, "two@x", "two@id", "env-2", "v-two=x@b", 0 },
	{ 3, "three@x", "three@id", "", "v-three=x@b", 3 },
	{ 4, "four@x", "four@id", "", "b@b", 0 },
	{ 5, "five@x", "four@id", "", "b@b", 0 },
	{ 6, "s-i-x@x", "six@id", "", "a-b-s-i-x=x@b", 0 },
};

static void
learn(struct index *ix, unsigned serial, const char *rcpt, const char *header_id, const char *envid,
    const char *from, int64_t subaccount)
{
	char id[IDS_SIZE];
	struct event ev;

	event_init(&ev, EVENT_RECEPTION);
	ev.timestamp = TIME;
	ev.message_id = slice_str(ids_text((struct message_id){ TIME, serial }, id));
	ev.queue_id = SLICE_LIT("Q");
	ev.rcpt_to = ev.raw_rcpt_to = slice_str(rcpt);
	ev.header_message_id = slice_str(header_id);
	ev.envid = slice_str(envid);
	ev.msg_from = slice_str(from);
	ev.subaccount_id = subaccount;
	index_learn(ix, &ev, &e);
}

static void
make_seal(const struct token_ring *ring, const char *text, struct buf *out)
{
	unsigned serial, count;
	unsigned char plain[10] = { TIME >> 24, TIME >> 16 & 255, TIME >> 8 & 255, TIME & 255 };

	if (sscanf(text, "%u %u", &serial, &count) != 2) {
		buf_adds(out, text);
		return;
	}
	plain[7] = (unsigned char)serial;
	plain[9] = (unsigned char)count;
	token_seal(ring, TOKEN_MESSAGE, TOKEN_BASE64URL,
	    (struct slice){ (const char *)plain, sizeof(plain) }, out, &e);
}

static const char *
found(const struct correlated *c)
{
	static char text[100];

	snprintf(text, sizeof(text), "%s%s%s%s%s%s%s", correlate_name(c->by),
	    c->authenticated ? "+" : "", c->id[0] != '\0' ? " " : "",
	    c->id[0] != '\0' ? c->id + 19 : "", c->whole_message ? "*" : "",
	    c->likely[0] != '\0' ? " ~" : "", c->likely[0] != '\0' ? c->likely + 19 : "");
	return text;
}

static void
run(struct correlate *c, const struct token_ring *ring, size_t i)
{
	struct inbound_rcpt to = { .address = slice_str(rows[i].to) };
	struct inbound_envelope env = { .n_rcpts = 1, .rcpts = &to };
	struct report r = { .envelope_id = slice_str(rows[i].envid),
		.message_id = slice_str(rows[i].message_id),
		.return_path = slice_str(rows[i].return_path) };
	struct correlated out;
	struct buf seal;
	int rc;

	buf_init(&seal, 1000);
	make_seal(ring, rows[i].seal, &seal);
	r.signalpost_id = buf_slice(&seal);
	correlate_begin(c, &r, &env);
	rc = correlate_rcpt(c, slice_str(rows[i].rcpt), &out, &e);
	ok(rc == 0 && strcmp(found(&out), rows[i].want) == 0, "%s: \"%s\", wanted \"%s\"",
	    rows[i].what, found(&out), rows[i].want);
	ok(out.known == (out.id[0] != '\0' && strcmp(out.id + 19, "9") != 0),
	    "%s: known where it may be said", rows[i].what);
	buf_free(&seal);
}

static void
without_keys(struct correlate *c, const struct token_ring *ring)
{
	struct inbound_rcpt to = { .address = SLICE_LIT("x@b") };
	struct inbound_envelope env = { .n_rcpts = 1, .rcpts = &to };
	struct report r = { .message_id = SLICE_LIT("one@id") };
	struct correlated out;
	struct buf seal;
	int rc;

	buf_init(&seal, 1000);
	make_seal(ring, "2 1", &seal);
	r.signalpost_id = buf_slice(&seal);
	c->ring = NULL;
	correlate_begin(c, &r, &env);
	rc = correlate_rcpt(c, SLICE_LIT("one@x"), &out, &e);
	ok(rc == 0 && strcmp(found(&out), "message-id 1") == 0, "without keys no seal opens: %s",
	    found(&out));
	buf_free(&seal);
}

int
main(void)
{
	struct token_ring *ring;
	struct correlate c;
	struct index *ix;
	struct buf path;
	char file[SPOOLDIR_SIZE + 20];

	spooldir_make(dir);
	snprintf(file, sizeof(file), "%s/index.db", dir);
	buf_init(&path, 4096);
	if (token_ring_new_key(dir, &path, &e) < 0 || (ring = token_ring_open(dir, &e)) == NULL ||
	    (ix = index_open(file, &e)) == NULL) {
		printf("Bail out! %s\n", e.text);
		return 1;
	}
	index_begin(ix, &e);
	for (size_t i = 0; i < COUNT(messages); i++)
		learn(ix, messages[i].serial, messages[i].rcpt, messages[i].header_id,
		    messages[i].envid, messages[i].from, messages[i].subaccount);
	index_commit(ix, &e);
	correlate_init(&c, ix, ring);
	for (size_t i = 0; i < COUNT(rows); i++) {
		if (strcmp(rows[i].want, "recipient ~7") == 0)
			learn(ix, 7, "two@x", "seven@id", "", "b@b", 0);
		run(&c, ring, i);
	}
	without_keys(&c, ring);
	correlate_free(&c);
	index_close(ix);
	token_ring_close(ring);
	buf_free(&path);
	spooldir_remove(dir);
	return tap_done();
}
