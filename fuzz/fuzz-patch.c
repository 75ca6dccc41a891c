/*
 * A body in some encoding and patches for it: decoded, the result is the decoded
 * input with the patches applied; no line of quoted-printable grows over 76 bytes.
 *
 * Input: a byte for the encoding, a byte for the number of patches, three bytes a
 * patch (distance from the one before, length, length of text), then the body. Texts
 * are cut from the body's end.
 */
#include <assert.h>
#include <stdint.h>

#include "common/patch.h"

#define PATCHES 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t
widest(struct slice s)
{
	struct slice line;
	size_t most = 0;

	while (slice_line(&s, &line))
		most = line.len > most ? line.len : most;
	return most;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum transfer encodings[] = { TRANSFER_QUOTED_PRINTABLE, TRANSFER_BASE64,
		TRANSFER_8BIT };
	struct patch patches[PATCHES];
	struct buf plain, out, again, want;
	enum transfer encoding;
	struct slice body;
	size_t n, at = 0;

	if (size < 2 + 3 * PATCHES)
		return 0;
	encoding = encodings[data[0] % COUNT(encodings)];
	n = data[1] % (PATCHES + 1);
	body = (struct slice){ (const char *)data + 2 + 3 * PATCHES, size - 2 - 3 * PATCHES };
	buf_init(&plain, BUF_NO_LIMIT);
	buf_init(&out, BUF_NO_LIMIT);
	buf_init(&again, BUF_NO_LIMIT);
	buf_init(&want, BUF_NO_LIMIT);
	transfer_decode(&plain, body, encoding);
	for (size_t i = 0; i < n; i++) {
		const uint8_t *p = data + 2 + 3 * i;
		size_t text = p[2] < body.len ? p[2] : body.len;

		at = at + p[0] < plain.len ? at + p[0] : plain.len;
		patches[i].at = at;
		patches[i].length = p[1] % 8 < plain.len - at ? p[1] % 8 : plain.len - at;
		patches[i].text = slice_skip(body, body.len - text);
		at += patches[i].length;
	}
	patch_apply(&out, body, encoding, patches, n, (data[1] & 0x80) != 0 ? "\r\n" : "\n");
	transfer_decode(&again, buf_slice(&out), encoding);
	at = 0;
	for (size_t i = 0; i < n; i++) {
		buf_add(&want, slice_head(slice_skip(buf_slice(&plain), at), patches[i].at - at));
		buf_add(&want, patches[i].text);
		at = patches[i].at + patches[i].length;
	}
	buf_add(&want, slice_skip(buf_slice(&plain), at));
	assert(slice_eq(buf_slice(&want), buf_slice(&again)));
	if (encoding == TRANSFER_QUOTED_PRINTABLE && widest(body) <= TRANSFER_LINE_MAX)
		assert(widest(buf_slice(&out)) <= TRANSFER_LINE_MAX);
	buf_free(&plain);
	buf_free(&out);
	buf_free(&again);
	buf_free(&want);
	return 0;
}
