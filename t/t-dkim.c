#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base64.h"
#include "common/dkim.h"
#include "common/file.h"
#include "common/hash.h"
#include "common/header.h"
#include "common/xalloc.h"
#include "t/dkim_ref.h"
#include "t/tap.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#define LIT(text)                                                                                  \
	{                                                                                          \
		(text), sizeof("" text) - 1                                                        \
	}

/* ---- names ---- */

static void
names(void)
{
	static const struct {
		const char *name;
		bool standard, never;
	} rows[] = {
		{ "From", true, false },
		{ "FROM", true, false },
		{ "message-id", true, false },
		{ "Content-Transfer-Encoding", true, false },
		{ "List-Unsubscribe-Post", true, false },
		{ "Resent-Message-ID", true, false },
		{ "X-Signalpost-ID", true, false },
		{ "Feedback-ID", true, false },
		{ "Auto-Submitted", true, false },
		{ "References", true, false },
		{ "Fro", false, false },
		{ "From ", false, false },
		{ "Frome", false, false },
		{ "", false, false },
		{ "X-Job", false, false },
		{ "Received", false, true },
		{ "RETURN-PATH", false, true },
		{ "DKIM-Signature", false, true },
		{ "Bcc", false, true },
		{ "Resent-Bcc", false, true },
		{ "Comments", false, true },
		{ "Keywords", false, true },
		{ "Authentication-Results", false, true },
		{ "ARC-Seal", false, true },
		{ "arc-message-signature", false, true },
		{ "ARC", false, false },
		{ "Delivered-To", false, true },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct slice name = slice_str(rows[i].name);

		ok(dkim_is_standard_header(name) == rows[i].standard &&
			dkim_is_never_header(name) == rows[i].never,
		    "header '%s'", rows[i].name);
	}
}

static void
host_names(void)
{
	static const struct {
		const char *name;
		bool good;
	} rows[] = {
		{ "s", true },
		{ "example.com", true },
		{ "_a-b.2026.X", true },
		{ "123456789012345678901234567890123456789012345678901234567890123.x", true },
		{ "1234567890123456789012345678901234567890123456789012345678901234.x", false },
		{ NULL, false },
		{ "", false },
		{ ".", false },
		{ ".a", false },
		{ "a.", false },
		{ "a..b", false },
		{ "a b", false },
		{ "a;b", false },
		{ "a=b", false },
		{ "a\n", false },
		{ "b\xc3\xbc", false },
	};
	char name[300];

	for (size_t i = 0; i < COUNT(rows); i++)
		ok(dkim_is_host_name(rows[i].name) == rows[i].good, "host name '%s'",
		    rows[i].name == NULL ? "(null)" : rows[i].name);
	for (size_t i = 0; i < sizeof(name); i++)
		name[i] = i % 2 == 0 ? 'a' : '.';
	name[253] = '\0';
	ok(dkim_is_host_name(name), "253 bytes");
	name[253] = '.';
	name[255] = '\0';
	ok(!dkim_is_host_name(name), "255 bytes");
}

/* ---- canonical form of a field ---- */

static void
field_forms(void)
{
	static const struct {
		struct slice name, value, relaxed, simple;
	} rows[] = {
		/* RFC 6376 3.4.5 */
		{ LIT("A"), LIT(" X"), LIT("a:X\r\n"), LIT("A: X\r\n") },
		{ LIT("B "), LIT(" Y\t\r\n\tZ  "), LIT("b:Y Z\r\n"), LIT("B : Y\t\r\n\tZ  \r\n") },
		/* folds that are held with LF */
		{ LIT("B \t"), LIT(" Y\t\n\tZ  "), LIT("b:Y Z\r\n"),
		    LIT("B \t: Y\t\r\n\tZ  \r\n") },
		{ LIT("S"), LIT("\n x"), LIT("s:x\r\n"), LIT("S:\r\n x\r\n") },
		{ LIT("S"), LIT(" a\n \n b"), LIT("s:a b\r\n"), LIT("S: a\r\n \r\n b\r\n") },
		{ LIT("Subject"), LIT(""), LIT("subject:\r\n"), LIT("Subject:\r\n") },
		{ LIT("Subject"), LIT(" \t "), LIT("subject:\r\n"), LIT("Subject: \t \r\n") },
		{ LIT("sUBJECT"), LIT("a:b"), LIT("subject:a:b\r\n"), LIT("sUBJECT:a:b\r\n") },
		{ LIT("X-\xd6"), LIT(" \xe4 \xf6"), LIT("x-\xd6:\xe4 \xf6\r\n"),
		    LIT("X-\xd6: \xe4 \xf6\r\n") },
		/* a CR alone is neither white space nor half a line end */
		{ LIT("X"), LIT(" a\r b\r"), LIT("x:a\r b\r\r\n"), LIT("X: a\r b\r\r\n") },
		{ LIT("X"), LIT(" a\0b"), LIT("x:a\0b\r\n"), LIT("X: a\0b\r\n") },
		{ LIT("X"), LIT("\v a\f"), LIT("x:\v a\f\r\n"), LIT("X:\v a\f\r\n") },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct dkim_field f = { rows[i].name, rows[i].value };
		struct buf relaxed, simple;

		buf_init(&relaxed, BUF_NO_LIMIT);
		buf_init(&simple, BUF_NO_LIMIT);
		dkim_field_canon(&f, DKIM_RELAXED, &relaxed);
		dkim_field_canon(&f, DKIM_SIMPLE, &simple);
		ok(slice_eq(buf_slice(&relaxed), rows[i].relaxed), "field %zu relaxed: %s", i,
		    buf_str(&relaxed));
		ok(slice_eq(buf_slice(&simple), rows[i].simple), "field %zu simple: %s", i,
		    buf_str(&simple));
		buf_free(&relaxed);
		buf_free(&simple);
	}
}

/* ---- canonical form and hash of a body ---- */

struct digest {
	unsigned char hash[32];
	uint64_t length;
};

static bool
same(const struct digest *a, const struct digest *b)
{
	return a->length == b->length && memcmp(a->hash, b->hash, sizeof(a->hash)) == 0;
}

static struct digest
digest_of(struct slice canonical)
{
	struct digest d = { .length = canonical.len };

	hash_sha256(canonical, d.hash);
	return d;
}

/* The body in two pieces, and the second one in pieces of `piece` bytes. */
static struct digest
digest_pieces(struct slice body, enum dkim_canon canon, size_t first, size_t piece)
{
	struct dkim_body *b = dkim_body_begin(canon);
	struct digest d;

	dkim_body_add(b, slice_head(body, first));
	body = slice_skip(body, first);
	while (body.len > 0) {
		dkim_body_add(b, slice_head(body, piece));
		body = slice_skip(body, piece);
	}
	dkim_body_end(b, d.hash, &d.length);
	return d;
}

static bool
any_pieces(struct slice body, enum dkim_canon canon, const struct digest *want)
{
	for (size_t first = 0; first <= body.len; first++) {
		struct digest two = digest_pieces(body, canon, first, body.len + 1);
		struct digest bytes = digest_pieces(body, canon, first, 1);

		if (!same(&two, want) || !same(&bytes, want))
			return false;
	}
	return true;
}

static void
body_forms(void)
{
	static const struct {
		struct slice in, relaxed, simple;
	} rows[] = {
		/* RFC 6376 3.4.5 */
		{ LIT(" C \r\nD \t E\r\n\r\n\r\n"), LIT(" C\r\nD E\r\n"),
		    LIT(" C \r\nD \t E\r\n") },
		{ LIT(""), LIT(""), LIT("\r\n") },
		{ LIT("\n"), LIT(""), LIT("\r\n") },
		{ LIT("\r\n\r\n\r\n"), LIT(""), LIT("\r\n") },
		{ LIT("\n\n\n"), LIT(""), LIT("\r\n") },
		{ LIT("a"), LIT("a\r\n"), LIT("a\r\n") },
		{ LIT("a\n"), LIT("a\r\n"), LIT("a\r\n") },
		{ LIT("a\nb\r\nc"), LIT("a\r\nb\r\nc\r\n"), LIT("a\r\nb\r\nc\r\n") },
		{ LIT("\n\na\n"), LIT("\r\n\r\na\r\n"), LIT("\r\n\r\na\r\n") },
		{ LIT("a\n\n\nb\n\n"), LIT("a\r\n\r\n\r\nb\r\n"), LIT("a\r\n\r\n\r\nb\r\n") },
		{ LIT(" "), LIT(""), LIT(" \r\n") },
		{ LIT(" \n\t\n"), LIT(""), LIT(" \r\n\t\r\n") },
		{ LIT("a\n  "), LIT("a\r\n"), LIT("a\r\n  \r\n") },
		{ LIT("a  b\t\tc \t d\n"), LIT("a b c d\r\n"), LIT("a  b\t\tc \t d\r\n") },
		{ LIT("\ta \n"), LIT(" a\r\n"), LIT("\ta \r\n") },
		{ LIT("a b c d e f g h i j k l m n o p\n"),
		    LIT("a b c d e f g h i j k l m n o p\r\n"),
		    LIT("a b c d e f g h i j k l m n o p\r\n") },
		{ LIT("0123456 89abcdef  123456789\t\n"), LIT("0123456 89abcdef 123456789\r\n"),
		    LIT("0123456 89abcdef  123456789\t\r\n") },
		/* CR alone */
		{ LIT("\r"), LIT("\r\r\n"), LIT("\r\r\n") },
		{ LIT("a\rb\n"), LIT("a\rb\r\n"), LIT("a\rb\r\n") },
		{ LIT("a\r\r\n"), LIT("a\r\r\n"), LIT("a\r\r\n") },
		{ LIT("a \r\r\n"), LIT("a \r\r\n"), LIT("a \r\r\n") },
		{ LIT("a\n\r\r\n"), LIT("a\r\n\r\r\n"), LIT("a\r\n\r\r\n") },
		{ LIT("a\n\rb"), LIT("a\r\n\rb\r\n"), LIT("a\r\n\rb\r\n") },
		{ LIT("a \r"), LIT("a \r\r\n"), LIT("a \r\r\n") },
		/* any other byte is itself */
		{ LIT("a\0 \0\n"), LIT("a\0 \0\r\n"), LIT("a\0 \0\r\n") },
		{ LIT("\v\f \x01\xa0\n"), LIT("\v\f \x01\xa0\r\n"), LIT("\v\f \x01\xa0\r\n") },
		{ LIT("\t\x08 !\x0a"), LIT(" \x08 !\r\n"), LIT("\t\x08 !\r\n") },
		{ LIT("aaaaaaaa !\x08\t\t\n"), LIT("aaaaaaaa !\x08\r\n"),
		    LIT("aaaaaaaa !\x08\t\t\r\n") },
		{ LIT("gr\xc3\xbc\xc3\x9f  e\n"), LIT("gr\xc3\xbc\xc3\x9f e\r\n"),
		    LIT("gr\xc3\xbc\xc3\x9f  e\r\n") },
		{ LIT(".\n..\n"), LIT(".\r\n..\r\n"), LIT(".\r\n..\r\n") },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct digest relaxed = digest_of(rows[i].relaxed);
		struct digest simple = digest_of(rows[i].simple);

		ok(any_pieces(rows[i].in, DKIM_RELAXED, &relaxed), "body %zu relaxed", i);
		ok(any_pieces(rows[i].in, DKIM_SIMPLE, &simple), "body %zu simple", i);
	}
}

/* Hashes that other people's documents give (RFC 6376 3.4.3, 3.4.4). */
static void
known_hashes(void)
{
	static const struct {
		enum dkim_canon canon;
		const char *body, *hash;
	} rows[] = {
		{ DKIM_SIMPLE, "", "frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=" },
		{ DKIM_RELAXED, "", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" },
		{ DKIM_RELAXED, "Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n",
		    "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct digest d = digest_pieces(slice_str(rows[i].body), rows[i].canon, 0, 1000);
		struct buf text;

		buf_init(&text, 100);
		base64_encode(&text, (struct slice){ (const char *)d.hash, 32 }, BASE64_STD);
		ok(strcmp(buf_str(&text), rows[i].hash) == 0, "known hash %zu: %s", i,
		    buf_str(&text));
		buf_free(&text);
	}
}

static uint32_t
next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

/* Bytes of which many are those that matter, in runs long enough to fill the stage. */
static void
random_body(struct buf *out, uint32_t seed)
{
	static const char some[] = "  \t\t\r\n\nab\r\0.\v";
	uint32_t state = seed;
	size_t runs = next_random(&state) % 200;

	for (size_t i = 0; i < runs; i++) {
		uint32_t kind = next_random(&state) % 8;
		size_t n = kind == 0 ? next_random(&state) % 3000 : next_random(&state) % 20;
		char c = kind < 2 ? 'x' : some[next_random(&state) % (sizeof(some) - 1)];

		for (size_t k = 0; k < n; k++)
			buf_addc(out, c);
	}
}

static void
random_bodies(void)
{
	size_t wrong = 0;

	for (uint32_t seed = 0; seed < 1000; seed++) {
		struct buf body, canonical;

		buf_init(&body, BUF_NO_LIMIT);
		random_body(&body, seed);
		for (int relaxed = 0; relaxed <= 1; relaxed++) {
			enum dkim_canon canon = relaxed ? DKIM_RELAXED : DKIM_SIMPLE;
			struct digest want, got;

			buf_init(&canonical, BUF_NO_LIMIT);
			ref_body(buf_slice(&body), relaxed, &canonical);
			want = digest_of(buf_slice(&canonical));
			buf_free(&canonical);
			got = digest_pieces(buf_slice(&body), canon, 0, 1 + seed * 7 % 20000);
			wrong += !same(&got, &want);
		}
		buf_free(&body);
	}
	ok(wrong == 0, "1000 random bodies hash as the RFC's text says: %zu do not", wrong);
}

static void
long_bodies(void)
{
	struct slice rest = SLICE_LIT("x");
	struct dkim_body *b = dkim_body_begin(DKIM_SIMPLE);
	struct digest d;

	/* Ten million empty lines cost nothing until something follows them. */
	for (int i = 0; i < 10000000; i++)
		dkim_body_add(b, SLICE_LIT("\n"));
	dkim_body_add(b, rest);
	dkim_body_end(b, d.hash, &d.length);
	ok(d.length == 20000003, "empty lines are counted when something follows: %llu",
	    (unsigned long long)d.length);
	b = dkim_body_begin(DKIM_RELAXED);
	dkim_body_add(b, rest);
	dkim_body_free(b);
	dkim_body_free(NULL);
	b = dkim_body_begin(DKIM_RELAXED);
	dkim_body_add(b, (struct slice){ NULL, 0 });
	dkim_body_end(b, d.hash, NULL);
	ok(true, "a body may be given up, be empty, and its length not be asked for");
}

/* ---- a message, and its signatures computed again ---- */

struct fields {
	size_t n, room;
	struct dkim_field *v;
	struct slice body;
};

static void
split(struct slice message, struct fields *f)
{
	struct header h;

	*f = (struct fields){ .body = message };
	while (header_next(&f->body, &h) > 0) {
		f->v = xgrow(f->v, f->n, &f->room, sizeof(*f->v));
		f->v[f->n++] = (struct dkim_field){ h.name, h.value };
	}
}

/* The value of a tag, white space and all; empty if it is not there. */
static struct slice
tag(struct slice value, const char *name)
{
	while (value.len > 0) {
		struct slice rest = slice_cut(&value, ';');
		struct slice key = slice_trim(slice_cut(&rest, '='));

		if (slice_eq(key, slice_str(name)))
			return rest;
	}
	return (struct slice){ "", 0 };
}

static void
without_space(struct slice s, struct buf *out)
{
	for (size_t i = 0; i < s.len; i++)
		if (strchr(" \t\r\n", s.p[i]) == NULL)
			buf_addc(out, s.p[i]);
}

/* RFC 6376 3.7: the text that is signed, from what the signature says of itself. */
static void
signed_text(const struct dkim_field *signature, const struct fields *f, struct buf *out)
{
	struct slice h = tag(signature->value, "h"), b = tag(signature->value, "b"), own;
	enum dkim_canon canon =
	    slice_startsi(slice_trim(tag(signature->value, "c")), SLICE_LIT("relaxed"))
		? DKIM_RELAXED
		: DKIM_SIMPLE;
	bool *used = xcalloc(f->n + 1, sizeof(*used));
	struct buf value;

	while (h.len > 0) {
		struct slice name = slice_trim(slice_cut(&h, ':'));
		size_t i = f->n;

		while (i > 0 && (used[i - 1] || !slice_eqi(slice_trim(f->v[i - 1].name), name)))
			i--;
		if (i > 0) {
			used[i - 1] = true;
			dkim_field_canon(&f->v[i - 1], canon, out);
		}
	}
	free(used);
	buf_init(&value, BUF_NO_LIMIT);
	own = signature->value;
	buf_add(&value, slice_head(own, (size_t)(b.p - own.p)));
	buf_add(&value, slice_skip(own, (size_t)(b.p - own.p) + b.len));
	dkim_field_canon(&(struct dkim_field){ signature->name, buf_slice(&value) }, canon, out);
	out->len -= 2;
	buf_free(&value);
}

/* Is this the signature that `key` makes? Both algorithms are deterministic. */
static bool
is_signed_by(const struct dkim_key *key, const struct dkim_field *signature, const struct fields *f)
{
	struct buf text, raw, want, got;
	struct err e;
	bool good;

	buf_init(&text, BUF_NO_LIMIT);
	buf_init(&raw, BUF_NO_LIMIT);
	buf_init(&want, BUF_NO_LIMIT);
	buf_init(&got, BUF_NO_LIMIT);
	signed_text(signature, f, &text);
	good = dkim_key_sign(key, buf_slice(&text), &raw, &e) == 0;
	base64_encode(&want, buf_slice(&raw), BASE64_STD);
	without_space(tag(signature->value, "b"), &got);
	good = good && got.len > 40 && slice_eq(buf_slice(&want), buf_slice(&got));
	buf_free(&text);
	buf_free(&raw);
	buf_free(&want);
	buf_free(&got);
	return good;
}

static void
read_data(const char *name, struct buf *out)
{
	const char *src = getenv("srcdir");
	char path[1000];
	struct err e;

	snprintf(path, sizeof(path), "%s/t/data/dkim/%s", src == NULL ? "." : src, name);
	buf_init(out, 1 << 20);
	if (file_read(AT_FDCWD, path, out, &e) < 0)
		ok(false, "%s", e.text);
}

static struct dkim_key *
data_key(const char *name)
{
	struct buf pem;
	struct dkim_key *k;
	struct err e;

	read_data(name, &pem);
	k = dkim_key_parse(name, buf_slice(&pem), &e);
	buf_free(&pem);
	if (k == NULL) {
		printf("Bail out! %s\n", e.text);
		exit(1);
	}
	return k;
}

static void
rfc_examples(void)
{
	static const struct {
		const char *file, *key;
		size_t nth;
		enum dkim_canon body;
	} rows[] = {
		{ "rfc6376.eml", "rfc6376.key", 0, DKIM_SIMPLE },
		{ "rfc8463.eml", "rfc8463-ed25519.key", 0, DKIM_RELAXED },
		{ "rfc8463.eml", "rfc8463-rsa.key", 1, DKIM_RELAXED },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct dkim_key *key = data_key(rows[i].key);
		struct buf text, bh;
		struct fields f;
		struct digest d;

		read_data(rows[i].file, &text);
		split(buf_slice(&text), &f);
		ok(is_signed_by(key, &f.v[rows[i].nth], &f), "%s: the signature of %s",
		    rows[i].file, rows[i].key);
		d = digest_pieces(f.body, rows[i].body, 0, f.body.len);
		buf_init(&bh, 100);
		base64_encode(&bh, (struct slice){ (const char *)d.hash, 32 }, BASE64_STD);
		ok(slice_eq(buf_slice(&bh), tag(f.v[rows[i].nth].value, "bh")), "%s: body hash",
		    rows[i].file);
		buf_free(&bh);
		free(f.v);
		buf_free(&text);
		dkim_key_close(key);
	}
}

/* ---- the value of DKIM-Signature ---- */

#define FIELD(name, value)                                                                         \
	{                                                                                          \
		LIT(name), LIT(" " value)                                                          \
	}

static const struct dkim_field sample[] = {
	FIELD("Received", "from a by b"),
	FIELD("To", "a@b.example"),
	FIELD("FROM", "joe@example.com"),
	FIELD("X-Job", "42"),
	FIELD("subject ", "one\n\ttwo"),
	FIELD("To", "c@d.example"),
	FIELD("Bcc", "secret@example.com"),
	FIELD("Comments", "none"),
};

static const unsigned char some_hash[32] = { 1, 2, 3 };

static void
check_lines(const char *what, struct slice value)
{
	size_t column = sizeof("DKIM-Signature:") - 1, longest = 0;
	bool good = value.len > 0 && value.p[0] == ' ';

	for (size_t i = 0; i < value.len; i++) {
		char c = value.p[i];

		column = c == '\n' ? 0 : column + 1;
		longest = column > longest ? column : longest;
		if (c == '\n' && (i + 1 == value.len || value.p[i + 1] != '\t'))
			good = false;
		if (c != '\n' && c != '\t' && (c < 0x20 || c > 0x7e))
			good = false;
	}
	ok(good && longest <= 78, "%s: lines of at most %zu, folded with LF and tab", what,
	    longest);
}

static void
tags(void)
{
	static const char *const extra[] = { "x-job", "Received", "X;y", "X-Job", "To", NULL };
	static const char *const oversign[] = { "From", "from", "Reply-To", "Bcc", "To", "", NULL };
	static const char *const none[] = { NULL };
	static const struct {
		const char *what;
		struct dkim_signing how;
		const char *want; /* up to bh= */
	} rows[] = {
		{ "the least", { .selector = "s", .domain = "example.com" },
		    " v=1; a=ed25519-sha256; c=relaxed/relaxed; d=example.com;\n"
		    "\ts=s;\n\th=To:FROM:subject:To;" },
		{ "canonicalization",
		    { .selector = "s1.x",
			.domain = "e.co",
			.header_canon = DKIM_SIMPLE,
			.extra = none },
		    " v=1; a=ed25519-sha256; c=simple/relaxed; d=e.co; s=s1.x;\n"
		    "\th=To:FROM:subject:To;" },
		{ "body canonicalization, no t= of zero",
		    { .selector = "s",
			.domain = "e.co",
			.body_canon = DKIM_SIMPLE,
			.body_length = 77 },
		    " v=1; a=ed25519-sha256; c=relaxed/simple; d=e.co; s=s;\n"
		    "\th=To:FROM:subject:To;" },
		{ "everything",
		    { .selector = "2026_a-b",
			.domain = "Example.COM",
			.identity = LIT("joe@News.example.com"),
			.extra = extra,
			.oversign = oversign,
			.timestamp = 1700000000,
			.expires = 1800000000,
			.body_limit = true,
			.body_length = 12345678901 },
		    " v=1; a=ed25519-sha256; c=relaxed/relaxed; d=Example.COM;\n"
		    "\ts=2026_a-b; t=1700000000; x=1800000000; i=joe@News.example.com;\n"
		    "\tl=12345678901;\n"
		    "\th=To:FROM:X-Job:subject:To:From:Reply-To:To;" },
		{ "l=0", { .selector = "s", .domain = "e.co", .body_limit = true },
		    " v=1; a=ed25519-sha256; c=relaxed/relaxed; d=e.co; s=s; l=0;\n"
		    "\th=To:FROM:subject:To;" },
		{ "identity of a domain",
		    { .selector = "s", .domain = "e.co", .identity = LIT("@e.co") },
		    " v=1; a=ed25519-sha256; c=relaxed/relaxed; d=e.co; s=s;\n"
		    "\ti=@e.co;\n\th=To:FROM:subject:To;" },
		{ "quoted identity",
		    { .selector = "s",
			.domain = "e.co",
			.identity = LIT("\"a; b=c\r\n\x01\xc3\xb6@\"@e.co") },
		    " v=1; a=ed25519-sha256; c=relaxed/relaxed; d=e.co; s=s;\n"
		    "\ti=\"a=3B=20b=3Dc=0D=0A=01=C3=B6@\"@e.co;\n\th=To:FROM:subject:To;" },
	};
	struct dkim_key *key = data_key("rfc8463-ed25519.key");
	struct fields f = { .n = COUNT(sample), .v = xcalloc(COUNT(sample), sizeof(*f.v)) };

	memcpy(f.v, sample, sizeof(sample));
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct slice want = slice_str(rows[i].want), got;
		struct dkim_field own = { .name = LIT("DKIM-Signature") };
		struct buf out;
		struct err e;

		buf_init(&out, 100000);
		buf_adds(&out, "before");
		ok(dkim_signature(key, &rows[i].how, sample, COUNT(sample), some_hash, &out, &e) == 0,
		    "%s: signed", rows[i].what);
		got = slice_skip(buf_slice(&out), 6);
		ok(slice_starts(buf_slice(&out), SLICE_LIT("before")) && slice_starts(got, want) &&
			slice_starts(slice_skip(got, want.len), SLICE_LIT("\n\tbh=AQID")),
		    "%s: %s", rows[i].what, buf_str(&out));
		check_lines(rows[i].what, got);
		own.value = got;
		ok(is_signed_by(key, &own, &f), "%s: the signature is over what it says",
		    rows[i].what);
		buf_free(&out);
	}
	free(f.v);
	dkim_key_close(key);
}

/* Names and values that can't share a line with others. */
static void
long_tags(void)
{
	struct dkim_key *key = data_key("rfc8463-rsa.key");
	struct dkim_signing how = { .selector = "s", .domain = "example.com" };
	struct dkim_field fields[40];
	char long_name[101], long_domain[201];
	const char *extra[] = { long_name, NULL };
	struct buf out;
	struct err e;

	for (size_t i = 0; i < COUNT(fields); i++)
		fields[i] = (struct dkim_field)FIELD("Content-Transfer-Encoding", "7bit");
	fields[7] = (struct dkim_field)FIELD("From", "joe@example.com");
	buf_init(&out, 100000);
	ok(dkim_signature(key, &how, fields, COUNT(fields), some_hash, &out, &e) == 0, "a long h=");
	check_lines("a long h=", buf_slice(&out));
	ok(strstr(buf_str(&out), "Encoding:\n\t Content-") != NULL, "h= is folded behind a colon");

	memset(long_name, 'X', 100);
	long_name[100] = '\0';
	memset(long_domain, 'd', 200);
	for (size_t i = 50; i < 190; i += 50)
		long_domain[i] = '.';
	memcpy(long_domain + 196, ".com", 5);
	how.domain = long_domain;
	how.extra = extra;
	fields[9].name = slice_str(long_name);
	buf_clear(&out);
	ok(dkim_signature(key, &how, fields, 12, some_hash, &out, &e) == 0, "names longer than a line");
	ok(strstr(buf_str(&out), "c=relaxed/relaxed;\n\td=dddd") != NULL &&
		strstr(buf_str(&out), ".com;\n\ts=s;\n\th=") != NULL &&
		strstr(buf_str(&out), ":\n\t XXXX") != NULL &&
		strstr(buf_str(&out), "XXXX:\n\t Content-") != NULL,
	    "what can't be folded has a line of its own");
	buf_free(&out);
	dkim_key_close(key);
}

static void
refusals(void)
{
	static const struct {
		const char *selector, *domain, *identity, *error;
		size_t n_fields, room;
	} rows[] = {
		{ "s", "e.co", "", "no From header to sign", 2, 9999 },
		{ "s", "e.co", "", "no From header to sign", 0, 9999 },
		{ "", "e.co", "", "\"\" can't be a DKIM selector", 8, 9999 },
		{ NULL, "e.co", "", "\"\" can't be a DKIM selector", 8, 9999 },
		{ "a b", "e.co", "", "\"a b\" can't be a DKIM selector", 8, 9999 },
		{ "a;b", "e.co", "", "\"a;b\" can't be a DKIM selector", 8, 9999 },
		{ "a.", "e.co", "", "\"a.\" can't be a DKIM selector", 8, 9999 },
		{ "s", "e.co; l=0", "", "\"e.co; l=0\" can't be a DKIM domain", 8, 9999 },
		{ "s", "e\n.co", "", "\"e?.co\" can't be a DKIM domain", 8, 9999 },
		{ "s", "", "", "\"\" can't be a DKIM domain", 8, 9999 },
		{ "s", "b\xc3\xbc.co", "", "\"b\xc3\xbc.co\" can't be a DKIM domain", 8, 9999 },
		{ "s", "e.co", "joe@f.co", "identity \"joe@f.co\" is not within domain e.co", 8,
		    9999 },
		{ "s", "e.co", "joe@he.co", "identity \"joe@he.co\" is not within domain e.co", 8,
		    9999 },
		{ "s", "e.co", "e.co", "identity \"e.co\" is not within domain e.co", 8, 9999 },
		{ "s", "e.co", "a.e.co", "identity \"a.e.co\" is not within domain e.co", 8, 9999 },
		{ "s", "e.co", "", "DKIM-Signature longer than 60 bytes", 8, 60 },
		{ "s", "e.co", "", "DKIM-Signature longer than 200 bytes", 8, 200 },
		{ "s", "e.co", "", "DKIM-Signature longer than 270 bytes", 8, 270 },
	};
	struct dkim_key *key = data_key("rfc8463-rsa.key");

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct dkim_signing how = { .selector = rows[i].selector,
			.domain = rows[i].domain,
			.identity = slice_str(rows[i].identity) };
		struct buf out;
		struct err e = { .text = "" };

		buf_init(&out, rows[i].room);
		buf_adds(&out, "before");
		ok(dkim_signature(key, &how, sample, rows[i].n_fields, some_hash, &out, &e) == -1 &&
			strcmp(e.text, rows[i].error) == 0,
		    "refused: %s", e.text);
		ok(strcmp(buf_str(&out), "before") == 0, "nothing was appended: %s", buf_str(&out));
		buf_free(&out);
	}
	dkim_key_close(key);
}

/* A message of nothing but To: cost must not grow with the square of them. */
static void
many_fields(void)
{
	size_t n = 100000;
	struct dkim_key *key = data_key("rfc8463-ed25519.key");
	struct dkim_signing how = { .selector = "s", .domain = "e.co" };
	struct dkim_field *fields = xcalloc(n, sizeof(*fields));
	struct buf out;
	struct err e;

	for (size_t i = 0; i < n; i++)
		fields[i] = (struct dkim_field)FIELD("To", "a@b.example");
	fields[0] = (struct dkim_field)FIELD("From", "joe@e.co");
	buf_init(&out, BUF_NO_LIMIT);
	ok(dkim_signature(key, &how, fields, n, some_hash, &out, &e) == 0 && out.len > 300000,
	    "100000 fields of one name");
	buf_free(&out);
	free(fields);
	dkim_key_close(key);
}

/* ---- keys ---- */

static void
write_file(const char *path, struct slice text, mode_t mode)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);

	if (fd < 0 || file_write_all(fd, text) < 0 || fchmod(fd, mode) < 0)
		ok(false, "write %s", path);
	close(fd);
}

static void
key_files(void)
{
	static const struct {
		mode_t mode;
		const char *error; /* behind the path */
	} rows[] = {
		{ 0600, NULL },
		{ 0400, NULL },
		{ 0700, NULL },
		{ 0640,
		    ": mode 0640 lets others than its owner at this private key; run: chmod 600 " },
		{ 0604,
		    ": mode 0604 lets others than its owner at this private key; run: chmod 600 " },
		{ 0644,
		    ": mode 0644 lets others than its owner at this private key; run: chmod 600 " },
		{ 0620,
		    ": mode 0620 lets others than its owner at this private key; run: chmod 600 " },
		{ 0602,
		    ": mode 0602 lets others than its owner at this private key; run: chmod 600 " },
	};
	char dir[] = "/tmp/t-dkim.XXXXXX", path[100], none[100], want[300];
	struct dkim_key *k;
	struct buf pem;
	struct err e;

	read_data("rfc6376.key", &pem);
	if (!ok(mkdtemp(dir) != NULL, "temporary directory"))
		return;
	/* A loose directory is not the key's business. */
	chmod(dir, 0777);
	snprintf(path, sizeof(path), "%s/key", dir);
	snprintf(none, sizeof(none), "%s/none", dir);
	for (size_t i = 0; i < COUNT(rows); i++) {
		write_file(path, buf_slice(&pem), rows[i].mode);
		e.text[0] = '\0';
		k = dkim_key_load(path, &e);
		snprintf(want, sizeof(want), "%s%s%s", path, rows[i].error, path);
		ok(rows[i].error == NULL ? k != NULL : k == NULL && strcmp(e.text, want) == 0,
		    "key file of mode %o: %s", (unsigned)rows[i].mode, e.text);
		dkim_key_close(k);
		unlink(path);
	}
	snprintf(want, sizeof(want), "%s: No such file or directory", none);
	ok(dkim_key_load(none, &e) == NULL && strcmp(e.text, want) == 0, "%s", e.text);
	snprintf(want, sizeof(want), "%s: not a regular file", dir);
	ok(dkim_key_load(dir, &e) == NULL && strcmp(e.text, want) == 0, "%s", e.text);
	ok(mkfifo(path, 0600) == 0 && dkim_key_load(path, &e) == NULL &&
		strstr(e.text, ": not a regular file") != NULL,
	    "a FIFO does not hang us: %s", e.text);
	unlink(path);
	buf_clear(&pem);
	for (int i = 0; i < 70000; i++)
		buf_addc(&pem, 'x');
	write_file(path, buf_slice(&pem), 0600);
	ok(dkim_key_load(path, &e) == NULL &&
		strstr(e.text, ": larger than 65536 bytes: not a private key") != NULL,
	    "%s", e.text);
	unlink(path);
	rmdir(dir);
	buf_free(&pem);
}

static void
to_pem(EVP_PKEY *pkey, bool public, const char *passphrase, struct buf *out)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;
	long n;

	if (public)
		PEM_write_bio_PUBKEY(bio, pkey);
	else
		PEM_write_bio_PrivateKey(bio, pkey, passphrase != NULL ? EVP_aes_128_cbc() : NULL,
		    (const unsigned char *)passphrase,
		    passphrase != NULL ? (int)strlen(passphrase) : 0, NULL, NULL);
	n = BIO_get_mem_data(bio, &text);
	buf_init(out, 100000);
	buf_add(out, (struct slice){ text, n > 0 ? (size_t)n : 0 });
	BIO_free(bio);
}

static void
refused_key(EVP_PKEY *pkey, bool public, const char *passphrase, const char *error)
{
	struct buf pem;
	struct err e = { .text = "" };

	to_pem(pkey, public, passphrase, &pem);
	ok(pkey != NULL && dkim_key_parse("K", buf_slice(&pem), &e) == NULL &&
		strcmp(e.text, error) == 0,
	    "refused: %s", e.text);
	buf_free(&pem);
	EVP_PKEY_free(pkey);
}

static void
key_kinds(void)
{
	struct buf pem;
	struct dkim_key *k;
	struct err e;
	char *at;

	refused_key(EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)512), false, NULL,
	    "K: an RSA key of 512 bits; receivers refuse less than 1024 (RFC 8301), make one of "
	    "2048");
	refused_key(EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1016), false, NULL,
	    "K: an RSA key of 1016 bits; receivers refuse less than 1024 (RFC 8301), make one of "
	    "2048");
	refused_key(EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"), false, NULL,
	    "K: a key of type EC; DKIM knows RSA and Ed25519");
	refused_key(EVP_PKEY_Q_keygen(NULL, NULL, "X25519"), false, NULL,
	    "K: a key of type X25519; DKIM knows RSA and Ed25519");
	refused_key(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), true, NULL,
	    "K: a public key; signing needs the private one");
	refused_key(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), false, "secret",
	    "K: has a passphrase, which nobody can type in here; take it off with: "
	    "openssl pkey -in FILE -out NEWFILE");
	ok(dkim_key_parse("K", SLICE_LIT(""), &e) == NULL &&
		strcmp(e.text, "K: not a private key in PEM form (-----BEGIN PRIVATE KEY-----)") ==
		    0,
	    "refused: %s", e.text);
	ok(dkim_key_parse("K", (struct slice){ NULL, 0 }, &e) == NULL, "refused: %s", e.text);
	ok(dkim_key_parse("K", SLICE_LIT("hello\n"), &e) == NULL, "refused: %s", e.text);

	/* One digit of the private exponent changed: the key no longer signs as its public half
	 * says. */
	read_data("rfc6376.key", &pem);
	at = strstr(pem.p, "AoGBALmn");
	at[20] = at[20] == 'A' ? 'B' : 'A';
	at = strstr(pem.p, "qZzGsIxV");
	at[20] = at[20] == 'A' ? 'B' : 'A';
	k = dkim_key_parse("K", buf_slice(&pem), &e);
	ok(k == NULL && strstr(e.text, "K: a damaged key: ") == e.text, "refused: %s", e.text);
	dkim_key_close(k);
	buf_free(&pem);
	dkim_key_close(NULL);
}

static void
made_keys(void)
{
	static const struct {
		enum dkim_algorithm algorithm;
		unsigned bits;
		const char *error, *name, *record;
		size_t record_length;
	} rows[] = {
		{ DKIM_RSA_SHA256, 1024, NULL, "rsa-sha256", "v=DKIM1; k=rsa; p=MIGfMA0GCS", 234 },
		{ DKIM_RSA_SHA256, 2048, NULL, "rsa-sha256", "v=DKIM1; k=rsa; p=MIIBIjANBg", 410 },
		{ DKIM_ED25519_SHA256, 256, NULL, "ed25519-sha256", "v=DKIM1; k=ed25519; p=", 66 },
		{ DKIM_RSA_SHA256, 1023,
		    "an RSA key for DKIM has 1024 to 4096 bits (RFC 8301), not 1023", NULL, NULL,
		    0 },
		{ DKIM_RSA_SHA256, 0, "an RSA key for DKIM has 1024 to 4096 bits (RFC 8301), not 0",
		    NULL, NULL, 0 },
		{ DKIM_RSA_SHA256, 8192,
		    "an RSA key for DKIM has 1024 to 4096 bits (RFC 8301), not 8192", NULL, NULL,
		    0 },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf pem, record;
		struct dkim_key *k;
		struct err e = { .text = "" };
		int rc;

		buf_init(&pem, 10000);
		rc = dkim_key_generate(rows[i].algorithm, rows[i].bits, &pem, &e);
		if (rows[i].error != NULL) {
			ok(rc == -1 && strcmp(e.text, rows[i].error) == 0 && pem.len == 0, "%s",
			    e.text);
			continue;
		}
		k = dkim_key_parse("new", buf_slice(&pem), &e);
		buf_init(&record, 10000);
		if (ok(rc == 0 && k != NULL, "a new key of %u bits: %s", rows[i].bits, e.text))
			dkim_key_record(k, &record);
		ok(k != NULL && dkim_key_algorithm(k) == rows[i].algorithm &&
			dkim_key_bits(k) == rows[i].bits &&
			strcmp(dkim_algorithm_name(dkim_key_algorithm(k)), rows[i].name) == 0,
		    "it is %s of %u bits", rows[i].name, rows[i].bits);
		ok(slice_starts(buf_slice(&record), slice_str(rows[i].record)) &&
			record.len == rows[i].record_length,
		    "its record has %zu bytes: %s", record.len, buf_str(&record));
		dkim_key_close(k);
		buf_free(&record);
		buf_free(&pem);
	}
}

static void
known_records(void)
{
	static const char *const rows[][2] = {
		{ "rfc8463-ed25519.key",
		    "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=" },
		{ "rfc6376.key",
		    "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9"
		    "ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2"
		    "UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ"
		    "2QIDAQAB" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct dkim_key *k = data_key(rows[i][0]);
		struct buf record;

		buf_init(&record, 10000);
		dkim_key_record(k, &record);
		ok(strcmp(buf_str(&record), rows[i][1]) == 0, "record of %s: %s", rows[i][0],
		    buf_str(&record));
		buf_free(&record);
		dkim_key_close(k);
	}
}

/* ---- many threads, many times ---- */

#define THREADS    8
#define SIGNATURES 200

struct worker {
	pthread_t thread;
	const struct dkim_key *key;
	unsigned number, good;
};

static bool
sign_one(const struct dkim_key *key, unsigned number, bool check)
{
	struct dkim_signing how = {
		.selector = "s", .domain = "example.com", .timestamp = 1700000000
	};
	struct fields f = { .n = 2 };
	struct dkim_field own = { .name = LIT("DKIM-Signature") }, fields[2];
	char subject[40];
	struct buf out;
	struct err e;
	bool good;

	snprintf(subject, sizeof(subject), " message %u", number);
	fields[0] = (struct dkim_field)FIELD("From", "joe@example.com");
	fields[1] = (struct dkim_field){ LIT("Subject"), slice_str(subject) };
	f.v = fields;
	buf_init(&out, 10000);
	good = dkim_signature(key, &how, fields, 2, some_hash, &out, &e) == 0;
	own.value = buf_slice(&out);
	if (good && check)
		good = is_signed_by(key, &own, &f);
	buf_free(&out);
	return good;
}

static void *
work(void *arg)
{
	struct worker *w = arg;

	for (unsigned i = 0; i < SIGNATURES; i++)
		w->good += sign_one(w->key, w->number * SIGNATURES + i, true);
	return NULL;
}

static void
threads(const char *name)
{
	struct dkim_key *key = data_key(name);
	struct worker w[THREADS] = { 0 };
	unsigned good = 0;

	for (unsigned i = 0; i < THREADS; i++) {
		w[i].key = key;
		w[i].number = i;
		if (pthread_create(&w[i].thread, NULL, work, &w[i]) != 0)
			ok(false, "thread %u", i);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(w[i].thread, NULL);
		good += w[i].good;
	}
	ok(good == THREADS * SIGNATURES, "%d threads with one key, %s: %u good signatures", THREADS,
	    name, good);
	dkim_key_close(key);
}

static long
resident_kb(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	char line[100] = "";
	struct slice rest, word;
	uint64_t pages = 0;

	if (f != NULL && fgets(line, sizeof(line), f) == NULL)
		line[0] = '\0';
	if (f != NULL)
		fclose(f);
	rest = slice_str(line);
	if (slice_word(&rest, &word) && slice_word(&rest, &word))
		slice_uint(word, UINT32_MAX, &pages);
	return (long)pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* Leaks inside libcrypto are not LeakSanitizer's to see; memory that grows is. */
static void
many_signatures(const char *name)
{
	struct dkim_key *key = data_key(name);
	unsigned good = 0;
	long before, after;

	for (unsigned i = 0; i < 1000; i++)
		sign_one(key, i, false);
	before = resident_kb();
	for (unsigned i = 0; i < 10000; i++)
		good += sign_one(key, i, false);
	after = resident_kb();
	ok(good == 10000 && (SANITIZED || after - before < 300),
	    "10000 signatures, %s: %ld KB before, %ld KB after", name, before, after);
	dkim_key_close(key);
}

int
main(void)
{
	names();
	host_names();
	field_forms();
	body_forms();
	known_hashes();
	random_bodies();
	long_bodies();
	rfc_examples();
	tags();
	long_tags();
	refusals();
	many_fields();
	key_files();
	key_kinds();
	made_keys();
	known_records();
	threads("rfc6376.key");
	threads("rfc8463-ed25519.key");
	many_signatures("rfc8463-rsa.key");
	many_signatures("rfc8463-ed25519.key");
	return tap_done();
}
