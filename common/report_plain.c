#include "common/report_private.h"

#include "common/charset.h"
#include "common/header.h"
#include "common/html_text.h"
#include "common/transfer.h"
#include "common/utf8.h"

/* ISO-2022-JP (RFC 1468): two-byte characters look like ASCII; they become blanks. */
static void
drop_iso2022(struct buf *out, struct slice s)
{
	bool wide = false;

	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '\x1b' && i + 2 < s.len) {
			wide = s.p[i + 1] == '$';
			i += wide && s.p[i + 2] == '(' && i + 3 < s.len ? 3 : 2;
			continue;
		}
		if (s.p[i] == '\n')
			wide = false;
		if (!wide)
			buf_addc(out, s.p[i]);
		else if (out->len > 0 && out->p[out->len - 1] != '?')
			buf_addc(out, '?');
	}
}

/* UTF-7 (RFC 2152): "+ADw-a+AEA-b" is "<a@b"; only what becomes ASCII matters. */
static void
decode_utf7(struct buf *out, struct slice s)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < s.len; i++) {
		unsigned long bits = 0;
		unsigned n = 0;
		const char *d;
		size_t k = i + 1;

		if (s.p[i] != '+') {
			buf_addc(out, s.p[i]);
			continue;
		}
		if (k < s.len && s.p[k] == '-') {
			buf_addc(out, '+');
			i = k;
			continue;
		}
		while (k < s.len && s.p[k] != '\0' && (d = strchr(digits, s.p[k])) != NULL) {
			bits = (bits << 6 | (unsigned long)(d - digits)) & 0xffffffff;
			n += 6;
			if (n >= 16) {
				unsigned long c = (bits >> (n - 16)) & 0xffff;

				n -= 16;
				buf_addc(out, c < 0x80 ? (char)c : '?');
			}
			k++;
		}
		if (k == i + 1)
			buf_addc(out, '+');
		i = k < s.len && s.p[k] == '-' && k > i + 1 ? k : k - 1;
	}
}

/* How many CRs are at its start? */
static size_t
count_cr(struct slice s)
{
	size_t n = 0;

	while (n < s.len && s.p[n] == '\r')
		n++;
	return n;
}

/* CRLF and CR become LF, CRs before a CRLF and NUL nothing. */
void
report_add_lines(struct buf *out, struct slice s)
{
	while (s.len > 0) {
		size_t n = slice_find(s, '\r'), z = slice_find(slice_head(s, n), '\0');

		if (z < n)
			n = z;
		buf_add(out, slice_head(s, n));
		s = slice_skip(s, n);
		n = count_cr(s);
		if (n < s.len && s.p[n] == '\n' && n > 0)
			s = slice_skip(s, n);
		else if (n > 0)
			for (s = slice_skip(s, n); n > 0; n--)
				buf_addc(out, '\n');
		else
			s = slice_skip(s, 1);
	}
}

static bool
charset_is(const struct buf *charset, const char *start)
{
	return slice_startsi(buf_slice(charset), slice_str(start));
}

/* Make it UTF-8; false if it is, or if nobody knows what it is. */
static bool
decode_charset(
    struct report_reader *rr, struct buf *out, struct slice in, const struct buf *charset)
{
	if (charset_is(charset, "utf-7") || charset_is(charset, "unicode-1-1-utf-7")) {
		decode_utf7(out, in);
		return true;
	}
	if (in.len > 0 && memmem(in.p, in.len, "\x1b$", 2) != NULL) {
		if (!charset_to_utf8(out, in,
			charset_is(charset, "iso-2022") ? buf_slice(charset)
							: SLICE_LIT("iso-2022-jp"),
			&rr->charsets))
			drop_iso2022(out, in);
		return true;
	}
	/* What is valid UTF-8 is that, whatever the header calls it. */
	return !utf8_valid(in) && charset_to_utf8(out, in, buf_slice(charset), &rr->charsets);
}

/* Append a text part to rr->text, decoded. */
void
report_add_text(struct report_reader *rr, struct slice body, enum transfer encoding,
    struct slice content_type, bool html)
{
	struct buf decoded, charset;
	/* base64 needs 4 bytes for 3, quoted-printable up to 3 for 1 */
	struct slice in = slice_head(body, (size_t)2 * REPORT_MAX_TEXT);

	if (rr->text.len >= REPORT_MAX_TEXT)
		return;
	buf_init(&decoded, REPORT_MAX_TEXT);
	buf_init(&charset, 64);
	header_param(content_type, "charset", &charset);
	if (encoding == TRANSFER_BASE64 || encoding == TRANSFER_QUOTED_PRINTABLE) {
		transfer_decode(&decoded, in, encoding);
		in = buf_slice(&decoded);
	}
	in = slice_head(in, REPORT_MAX_TEXT);
	/* Parts are paragraphs: a gateway's banner is often one. */
	if (rr->text.len > 0 && rr->text.p[rr->text.len - 1] != '\n')
		buf_addc(&rr->text, '\n');
	if (rr->text.len > 0)
		buf_addc(&rr->text, '\n');
	if (html) {
		html_text(&rr->text, in, buf_slice(&charset));
	} else {
		struct buf plain;

		buf_init(&plain, REPORT_MAX_TEXT);
		if (decode_charset(rr, &plain, in, &charset))
			in = buf_slice(&plain);
		report_add_lines(&rr->text, in);
		buf_free(&plain);
	}
	buf_free(&decoded);
	buf_free(&charset);
}
