/*
 * The loop guard's token: who it is good for, how long, and that nobody else can make one.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/onward.h"
#include "t/spooldir.h"
#include "t/tap.h"

#define NAME "in1-0006449A1B2C3D4E.eml"
#define NOW  1785845120

static struct token_ring *
ring_in(const char *dir, const char *name)
{
	char where[SPOOLDIR_SIZE + 16];
	struct token_ring *r;
	struct err e;

	snprintf(where, sizeof(where), "%s/%s", dir, name);
	if (mkdir(where, 0700) < 0 || token_ring_new_key(where, NULL, &e) < 0 ||
	    (r = token_ring_open(where, &e)) == NULL) {
		perror(where);
		exit(1);
	}
	return r;
}

static void
opens(const struct token_ring *ring, struct slice token)
{
	static const struct {
		const char *rcpt;
		int64_t now;
		bool opens;
	} rows[] = {
		{ "Ops Desk+1@Bounces.Example", NOW, true },
		{ "Ops Desk+1@bounces.example", NOW, true },
		{ "ops desk+1@bounces.example", NOW, false },
		{ "Ops Desk+1@bounces.example.net", NOW, false },
		{ "Desk+1@bounces.example", NOW, false },
		{ "", NOW, false },
		{ "Ops Desk+1@Bounces.Example", NOW + ONWARD_MAX_AGE_S, true },
		{ "Ops Desk+1@Bounces.Example", NOW + ONWARD_MAX_AGE_S + 1, false },
		{ "Ops Desk+1@Bounces.Example", NOW - ONWARD_MAX_AGE_S, true },
		{ "Ops Desk+1@Bounces.Example", NOW - ONWARD_MAX_AGE_S - 1, false },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		char name[INBOUND_NAME_SIZE] = "";
		bool good = onward_open(ring, token, slice_str(rows[i].rcpt), rows[i].now, name);

		ok(good == rows[i].opens && (!good || strcmp(name, NAME) == 0),
		    "for %s at %+lld s: %s", rows[i].rcpt, (long long)(rows[i].now - NOW),
		    good ? "yes" : "no");
	}
}

static void
forgeries(const struct token_ring *ring, struct slice good)
{
	static const struct {
		enum token_kind kind;
		const char *plain;
	} rows[] = {
		{ TOKEN_MESSAGE, NAME " 1785845120 a@b" },
		{ TOKEN_ONWARD, NAME " 1785845120" },
		{ TOKEN_ONWARD, NAME },
		{ TOKEN_ONWARD, NAME " -1 a@b" },
		{ TOKEN_ONWARD, NAME " 99999999999999999999 a@b" },
		{ TOKEN_ONWARD, "in1-0006449A1B2C3D4E.emlx 1785845120 a@b" },
		{ TOKEN_ONWARD, "../../../../../../../../etc/passwd 1785845120 a@b" },
		{ TOKEN_ONWARD, " " },
	};
	char name[INBOUND_NAME_SIZE], spoiled[400];
	struct buf token;

	buf_init(&token, 4096);
	for (size_t i = 0; i < COUNT(rows); i++) {
		buf_clear(&token);
		token_seal(
		    ring, rows[i].kind, TOKEN_BASE64URL, slice_str(rows[i].plain), &token, NULL);
		ok(!onward_open(ring, buf_slice(&token), SLICE_LIT("a@b"), NOW, name),
		    "no token: %s", rows[i].plain);
	}
	buf_free(&token);
	for (size_t at = 0; at < good.len; at += 7) {
		memcpy(spoiled, good.p, good.len);
		spoiled[at] = spoiled[at] == 'A' ? 'B' : 'A';
		ok(!onward_open(ring, (struct slice){ spoiled, good.len },
		       SLICE_LIT("Ops Desk+1@Bounces.Example"), NOW, name),
		    "byte %zu changed", at);
	}
	ok(!onward_open(ring, SLICE_LIT(""), SLICE_LIT("a@b"), NOW, name), "an empty header");
	ok(!onward_open(ring, slice_head(good, good.len - 1), SLICE_LIT("a@b"), NOW, name), "cut");
}

int
main(void)
{
	char dir[SPOOLDIR_SIZE], name[INBOUND_NAME_SIZE];
	struct token_ring *ring, *other;
	struct slice rcpt = SLICE_LIT("Ops Desk+1@Bounces.Example");
	struct buf token;
	struct err e = { .text = "" };

	spooldir_make(dir);
	ring = ring_in(dir, "keys");
	other = ring_in(dir, "others");
	buf_init(&token, 2048);
	ok(onward_seal(ring, NAME, rcpt, NOW, &token, &e) == 0, "sealed: %s", buf_str(&token));
	opens(ring, buf_slice(&token));
	ok(!onward_open(other, buf_slice(&token), rcpt, NOW, name), "not with another ring's keys");
	forgeries(ring, buf_slice(&token));
	ok(onward_seal(ring, "x.eml", rcpt, NOW, &token, &e) < 0 &&
		strcmp(e.text, "x.eml: not the name of a captured report") == 0,
	    "%s", e.text);
	ok(onward_seal(ring, NAME, SLICE_LIT(""), NOW, &token, &e) < 0 &&
		strcmp(e.text, NAME ": recipient of 0 bytes") == 0,
	    "%s", e.text);
	buf_free(&token);
	token_ring_close(ring);
	token_ring_close(other);
	spooldir_remove(dir);
	return tap_done();
}
