/*
 * What of a message becomes a captured report: recipients, bytes, limits, and the loop guard.
 */
#include "common/onward.h"
#include "milter/capture.h"
#include "t/spooldir.h"
#include "t/tap.h"

#define NOW 1785845120

static const struct inbound_envelope env = { .queue_id = { "4jX", 3 }, .received_s = NOW };

/* The mail of the only captured file, which is removed, in *out; false if there is not one. */
static bool
take(struct spool *sp, const char *name, struct buf *out)
{
	struct inbound_file f;
	bool good = inbound_open(spool_inbound_fd(sp), name, &f, NULL) == 0;

	buf_clear(out);
	if (good)
		buf_add(out, f.mail);
	inbound_close(&f);
	unlinkat(spool_inbound_fd(sp), name, 0);
	return good && spooldir_entries(spool_inbound_fd(sp)) == 2 &&
	       spooldir_entries(spool_inbound_tmp_fd(sp)) == 0;
}

static void
recipients(struct spool *sp)
{
	struct capture c = { 0 };
	struct inbound_file f;
	char name[INBOUND_NAME_SIZE] = "";
	struct buf line;

	capture_begin(&c, sp, &env, UINT64_MAX, 0);
	ok(!c.begun && c.writer == NULL, "without a recipient nothing begins");
	capture_add(&c, INBOUND_BOUNCE, "<a@b>", NULL);
	capture_add(&c, INBOUND_FEEDBACK, "c@d", NULL);
	capture_add(&c, INBOUND_BOUNCE, "<a@b>", NULL);
	ok(c.n == 2 && strcmp(c.paths[0], "<a@b>") == 0,
	    "a recipient counts once, and keeps its form");
	ok(c.read[0] == NULL, "which is all there is, if the MTA says no other");
	capture_begin(&c, sp, &env, UINT64_MAX, 0);
	capture_begin(&c, sp, &env, UINT64_MAX, 0);
	ok(spooldir_entries(spool_inbound_tmp_fd(sp)) == 1, "a capture begins once");
	ok(capture_sync(&c) == 0 && capture_commit(&c, name) == 0, "%s", c.error.text);
	ok(inbound_open(spool_inbound_fd(sp), name, &f, NULL) == 0 && f.env.n_rcpts == 2 &&
		slice_eq(f.env.rcpts[0].address, SLICE_LIT("a@b")) &&
		f.env.rcpts[0].list == INBOUND_BOUNCE &&
		slice_eq(f.env.rcpts[1].address, SLICE_LIT("c@d")) &&
		f.env.rcpts[1].list == INBOUND_FEEDBACK && slice_eq(f.env.queue_id, env.queue_id),
	    "both are in the envelope");
	inbound_close(&f);
	buf_init(&line, 1000);
	capture_log(&c, &line);
	ok(strcmp(buf_str(&line), " capture=bounce,feedback to=<a@b> to=<c@d> rcpts=2 bytes=2") ==
		0,
	    "the log:%s", buf_str(&line));
	buf_free(&line);
	unlinkat(spool_inbound_fd(sp), name, 0);
	capture_free(&c);
	ok(c.n == 0 && !c.begun, "all zero again");
}

static void
bytes(struct spool *sp)
{
	static const struct {
		const char *name, *value, *line;
	} rows[] = {
		{ "A", " b", "A: b\r\n" },
		{ "A", "b", "A:b\r\n" },
		{ "A", "", "A:\r\n" },
		{ "A", " ", "A: \r\n" },
		{ "A", "\tb \n\tc\n  d", "A:\tb \r\n\tc\r\n  d\r\n" },
		{ "A", " b\r\n\tc", "A: b\r\n\tc\r\n" },
		{ "A", "\n b", "A:\r\n b\r\n" },
		{ "A", " \xff\xe4", "A: \xff\xe4\r\n" },
	};
	struct buf want, got;
	struct capture c = { 0 };
	char name[INBOUND_NAME_SIZE] = "";

	buf_init(&want, BUF_NO_LIMIT);
	buf_init(&got, BUF_NO_LIMIT);
	capture_add(&c, INBOUND_BOUNCE, "a@b", NULL);
	capture_begin(&c, sp, &env, UINT64_MAX, 0);
	for (size_t i = 0; i < COUNT(rows); i++) {
		capture_header(&c, slice_str(rows[i].name), slice_str(rows[i].value));
		buf_adds(&want, rows[i].line);
	}
	capture_body(&c, SLICE_LIT(".\r\nbo"));
	capture_body(&c, SLICE_LIT("dy\r\n"));
	buf_adds(&want, "\r\n.\r\nbody\r\n");
	ok(capture_sync(&c) == 0 && capture_commit(&c, name) == 0 && take(sp, name, &got) &&
		slice_eq(buf_slice(&got), buf_slice(&want)) && c.bytes == want.len,
	    "headers and body as they came: %.300s", buf_str(&got));
	capture_free(&c);
	buf_free(&want);
	buf_free(&got);
}

static void
limits(struct spool *sp)
{
	static const struct {
		size_t body;
		bool fits;
	} rows[] = { { 0, true }, { 92, true }, { 93, false }, { 100000, false } };
	static char much[100000];
	char name[INBOUND_NAME_SIZE];

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct capture c = { 0 };
		bool good;

		capture_add(&c, INBOUND_BOUNCE, "a@b", NULL);
		capture_begin(&c, sp, &env, 100, 1);
		capture_header(&c, SLICE_LIT("A"), SLICE_LIT(" b"));
		capture_body(&c, (struct slice){ much, rows[i].body });
		good = capture_sync(&c) == 0 && capture_commit(&c, name) == 0;
		ok(good == rows[i].fits &&
			(good || strcmp(c.error.text, "more than 100 bytes") == 0),
		    "a body of %zu bytes: %s", rows[i].body, good ? "fits" : c.error.text);
		ok(spooldir_entries(spool_inbound_tmp_fd(sp)) == 0, "nothing is left in tmp/");
		if (good)
			unlinkat(spool_inbound_fd(sp), name, 0);
		capture_free(&c);
	}
	ok(capture_reserve(0) == 0 && capture_reserve(5000) == 5000 &&
		capture_reserve(1u << 30) == 20u << 20,
	    "what is to be kept free");
}

static void
failures(struct spool *sp)
{
	struct capture c = { 0 };
	char name[INBOUND_NAME_SIZE];

	capture_add(&c, INBOUND_BOUNCE, "a@b", NULL);
	capture_begin(&c, sp, &env, UINT64_MAX, UINT64_MAX);
	capture_body(&c, SLICE_LIT("x\r\n"));
	ok(capture_sync(&c) < 0 && c.error.num == ENOSPC, "no room: %s", c.error.text);
	capture_free(&c);
	renameat(spool_inbound_fd(sp), "tmp", spool_inbound_fd(sp), "gone");
	unlinkat(spool_inbound_fd(sp), "gone", AT_REMOVEDIR);
	capture_add(&c, INBOUND_BOUNCE, "a@b", NULL);
	capture_begin(&c, sp, &env, UINT64_MAX, 0);
	capture_header(&c, SLICE_LIT("A"), SLICE_LIT(" b"));
	capture_body(&c, SLICE_LIT("x\r\n"));
	ok(capture_sync(&c) < 0 && capture_commit(&c, name) < 0 && c.error.num == ENOENT,
	    "no directory: %s", c.error.text);
	capture_free(&c);
}

static void
guard(struct spool *sp, const struct token_ring *ring)
{
	static const struct {
		const char *captured[2], *ordinary;
		int age;
		bool forged, second; /* another header before it */
		bool onward;
	} rows[] = {
		{ { "<R@bounces.example>", NULL }, NULL, 0, false, false, true },
		{ { "R@Bounces.Example", NULL }, NULL, 60, false, false, true },
		{ { NULL, NULL }, "R@bounces.example", 60, false, false, true },
		{ { "<R@bounces.example>", NULL }, NULL, ONWARD_MAX_AGE_S + 1, false, false,
		    false },
		{ { "<q@bounces.example>", NULL }, NULL, 0, false, false, false },
		{ { "<R@bounces.example>", "<q@bounces.example>" }, NULL, 0, false, false, false },
		{ { "<R@bounces.example>", NULL }, "q@bounces.example", 0, false, false, false },
		{ { "<R@bounces.example>", NULL }, NULL, 0, true, false, false },
		{ { "<R@bounces.example>", NULL }, NULL, 0, false, true, false },
	};
	struct buf value;

	buf_init(&value, 8192);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct slice ordinary = slice_str(rows[i].ordinary);
		char name[INBOUND_NAME_SIZE] = "";
		struct capture c = { 0 };
		bool onward;

		for (size_t k = 0; k < 2; k++)
			if (rows[i].captured[k] != NULL)
				capture_add(&c, INBOUND_BOUNCE, rows[i].captured[k], NULL);
		capture_begin(&c, sp, &env, UINT64_MAX, 0);
		if (rows[i].second)
			capture_header(&c, SLICE_LIT("X-SIGNALPOST-ONWARD"), SLICE_LIT(" x"));
		buf_clear(&value);
		buf_addc(&value, ' ');
		onward_seal(ring, "in1-0006449A1B2C3D4E.eml", SLICE_LIT("R@bounces.example"), NOW,
		    &value, NULL);
		if (rows[i].forged)
			value.p[20] = value.p[20] == 'a' ? 'b' : 'a';
		capture_header(&c, SLICE_LIT("x-signalpost-onward"), buf_slice(&value));
		capture_body(&c, SLICE_LIT("mail\r\n"));
		onward = capture_is_onward(&c, ring, rows[i].ordinary != NULL ? &ordinary : NULL,
		    rows[i].ordinary != NULL, NOW + rows[i].age, name);
		ok(onward == rows[i].onward &&
			(!onward || strcmp(name, "in1-0006449A1B2C3D4E.eml") == 0) &&
			c.n_tokens == 1u + rows[i].second,
		    "row %zu: %s", i, onward ? "goes on" : "is a mail like others");
		ok(spooldir_entries(spool_inbound_tmp_fd(sp)) == (c.n > 0 && !onward),
		    "row %zu: %s", i, onward ? "not captured" : "kept");
		capture_free(&c);
		ok(spooldir_entries(spool_inbound_tmp_fd(sp)) == 0, "row %zu: given up", i);
	}
	buf_free(&value);
}

int
main(void)
{
	char dir[SPOOLDIR_SIZE], keys[SPOOLDIR_SIZE + 8];
	struct spool *sp = spool_open(spooldir_make(dir), NULL);
	struct token_ring *ring;

	snprintf(keys, sizeof(keys), "%s/keys", dir);
	mkdir(keys, 0700);
	token_ring_new_key(keys, NULL, NULL);
	ring = token_ring_open(keys, NULL);
	recipients(sp);
	bytes(sp);
	limits(sp);
	guard(sp, ring);
	failures(sp);
	token_ring_close(ring);
	spool_close(sp);
	spooldir_remove(dir);
	return tap_done();
}
