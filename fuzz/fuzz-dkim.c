/*
 * The input is a message behind two bytes that choose the piece size and the
 * options. Checked: the body's hash is that of the RFC's text, however it is cut up
 * and whichever line ends it has; the canonical header says nothing twice; the
 * signature's value keeps to its form and nothing of the message gets into its tags.
 */
#include <stdint.h>
#include <stdlib.h>

#include "common/dkim.h"
#include "common/hash.h"
#include "common/header.h"
#include "common/xalloc.h"
#include "t/dkim_ref.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(bool good)
{
	if (!good)
		abort();
}

/* The published key of RFC 8463 A.2. */
static const char pem[] = "-----BEGIN PRIVATE KEY-----\n"
			  "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
			  "-----END PRIVATE KEY-----\n";

static void
check_body(struct slice body, bool relaxed, size_t piece, unsigned char hash[32])
{
	struct dkim_body *b = dkim_body_begin(relaxed ? DKIM_RELAXED : DKIM_SIMPLE);
	unsigned char want[32];
	struct buf canonical;
	uint64_t length;

	buf_init(&canonical, BUF_NO_LIMIT);
	ref_body(body, relaxed, &canonical);
	hash_sha256(buf_slice(&canonical), want);
	while (body.len > 0) {
		dkim_body_add(b, slice_head(body, piece));
		body = slice_skip(body, piece);
	}
	dkim_body_end(b, hash, &length);
	check(memcmp(hash, want, sizeof(want)) == 0);
	check(length == canonical.len);
	buf_free(&canonical);
}

static void
check_field(const struct dkim_field *f)
{
	struct buf once, twice;
	struct dkim_field again;
	struct slice rest;

	buf_init(&once, BUF_NO_LIMIT);
	buf_init(&twice, BUF_NO_LIMIT);
	dkim_field_canon(f, DKIM_RELAXED, &once);
	rest = slice_head(buf_slice(&once), once.len - 2);
	check(once.len <= f->name.len + f->value.len + 3);
	check(memmem(rest.p, rest.len, "  ", 2) == NULL);
	check(memchr(rest.p, '\t', rest.len) == NULL && memchr(rest.p, '\n', rest.len) == NULL);
	again.name = slice_cut(&rest, ':');
	again.value = rest;
	check(rest.len == 0 || (rest.p[0] != ' ' && rest.p[rest.len - 1] != ' '));
	dkim_field_canon(&again, DKIM_RELAXED, &twice);
	check(slice_eq(buf_slice(&once), buf_slice(&twice)));

	/* Folds with LF and with CRLF are the same. */
	buf_clear(&once);
	buf_clear(&twice);
	dkim_field_canon(f, DKIM_SIMPLE, &once);
	rest = slice_head(buf_slice(&once), once.len - 2);
	again.name = slice_head(rest, f->name.len);
	again.value = slice_skip(rest, f->name.len + 1);
	dkim_field_canon(&again, DKIM_SIMPLE, &twice);
	check(slice_eq(buf_slice(&once), buf_slice(&twice)));
	buf_free(&once);
	buf_free(&twice);
}

/* Tags as they were given, each once, and nothing that a fold or a tag could hide in. */
static void
check_value(struct slice value, const char *wanted)
{
	struct buf names;

	buf_init(&names, BUF_NO_LIMIT);
	for (size_t i = 0; i < value.len; i++) {
		char c = value.p[i];

		check((c >= 0x20 && c <= 0x7e) || c == '\n' || c == '\t');
		check(c != '\n' || (i + 1 < value.len && value.p[i + 1] == '\t'));
	}
	while (value.len > 0) {
		struct slice one = slice_cut(&value, ';');

		buf_add(&names, slice_trim(slice_cut(&one, '=')));
		buf_addc(&names, ' ');
	}
	check(strcmp(buf_str(&names), wanted) == 0);
	buf_free(&names);
}

static void
check_signature(const struct dkim_field *fields, size_t n, unsigned options, struct slice text,
    const unsigned char hash[32])
{
	static const char *const lists[][4] = { { "X-Job", "Received", NULL },
		{ "From", "To", "Nothing", NULL } };
	static struct dkim_key *key;
	struct dkim_signing how = { .selector = "s", .domain = "example.com" };
	struct buf value, identity;
	bool has_from = false;
	struct err e;

	if (key == NULL)
		key = dkim_key_parse("key", slice_str(pem), &e);
	for (size_t i = 0; i < n; i++)
		has_from |= slice_eqi(fields[i].name, SLICE_LIT("from"));
	buf_init(&identity, 1000);
	buf_add(&identity, slice_head(text, 500));
	buf_adds(&identity, "@example.com");
	how.header_canon = (options & 1) != 0 ? DKIM_RELAXED : DKIM_SIMPLE;
	how.extra = (options & 2) != 0 ? lists[0] : NULL;
	how.oversign = (options & 4) != 0 ? lists[1] : NULL;
	how.identity = (options & 8) != 0 ? buf_slice(&identity) : slice_str("");
	buf_init(&value, BUF_NO_LIMIT);
	if (dkim_signature(key, &how, fields, n, hash, &value, &e) < 0) {
		check(!has_from);
		check(value.len == 0);
	} else {
		check(has_from);
		check_value(buf_slice(&value),
		    (options & 8) != 0 ? "v a c d s i h bh b " : "v a c d s h bh b ");
	}
	buf_free(&value);
	buf_free(&identity);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice message, rest;
	struct dkim_field *fields = NULL;
	size_t n = 0, room = 0, piece;
	unsigned char hash[32];
	struct header h;
	int found;

	if (size < 2)
		return 0;
	piece = (size_t)data[0] * data[0] + 1;
	message = (struct slice){ (const char *)data + 2, size - 2 };
	rest = message;
	while ((found = header_next(&rest, &h)) != 0) {
		if (found < 0)
			continue;
		fields = xgrow(fields, n, &room, sizeof(*fields));
		fields[n] = (struct dkim_field){ h.name, h.value };
		check_field(&fields[n++]);
	}
	check_body(rest, true, piece, hash);
	check_body(rest, false, piece, hash);
	check_body(message, true, piece, hash);
	check_signature(fields, n, data[1], message, hash);
	free(fields);
	return 0;
}
