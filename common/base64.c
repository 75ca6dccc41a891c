#include "common/base64.h"

static const char alphabet[2][65] = {
	[BASE64_STD] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
	[BASE64_URL] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
};
static const char alphabet32[33] = "abcdefghijklmnopqrstuvwxyz234567";

void
base64_encode(struct buf *out, struct slice in, enum base64_kind kind)
{
	const char *digits = alphabet[kind];

	/* Room once for all of it; if there is not enough, `out` is full and takes nothing. */
	buf_reserve(out, kind == BASE64_URL ? (in.len * 4 + 2) / 3 : (in.len + 2) / 3 * 4);
	for (size_t i = 0; i < in.len; i += 3) {
		size_t n = in.len - i < 3 ? in.len - i : 3;
		uint32_t group = 0;
		char text[4];

		for (size_t k = 0; k < 3; k++)
			group = group << 8 | (k < n ? (unsigned char)in.p[i + k] : 0u);
		for (size_t k = 0; k < 4; k++)
			text[k] = k <= n ? digits[group >> (18 - 6 * k) & 63] : '=';
		buf_add(out, (struct slice){ text, kind == BASE64_URL ? n + 1 : 4 });
	}
}

/*
 * What a character stands for, in six bits. The top two say in which alphabet it
 * does not: both, and it is no digit at all.
 */
#define NOT_URL 64
#define NOT_STD 128

/* clang-format off */
static const unsigned char values64[256] = {
	255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
	255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
	255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 126, 255, 190, 255, 127,
	 52,  53,  54,  55,  56,  57,  58,  59,  60,  61, 255, 255, 255, 255, 255, 255,
	255,   0,   1,   2,   3,   4,   5,   6,   7,   8,   9,  10,  11,  12,  13,  14,
	 15,  16,  17,  18,  19,  20,  21,  22,  23,  24,  25, 255, 255, 255, 255, 191,
	255,  26,  27,  28,  29,  30,  31,  32,  33,  34,  35,  36,  37,  38,  39,  40,
	 41,  42,  43,  44,  45,  46,  47,  48,  49,  50,  51, 255, 255, 255, 255, 255,
	255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
	255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
	255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
	255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
	255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
	255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
	255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
	255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
};
/* clang-format on */

static int
value64(char c, enum base64_kind kind)
{
	unsigned char v = values64[(unsigned char)c];

	return (v & (kind == BASE64_URL ? NOT_URL : NOT_STD)) != 0 ? -1 : v & 63;
}

/* Groups of four digits to `out`, as long as there are any; returns how many digits. */
static size_t
decode_groups(char *out, struct slice in, enum base64_kind kind)
{
	const unsigned char *p = (const unsigned char *)in.p;
	unsigned not_here = kind == BASE64_URL ? NOT_URL : NOT_STD;
	size_t i = 0;

	for (; i + 4 <= in.len; i += 4) {
		unsigned a = values64[p[i]], b = values64[p[i + 1]], c = values64[p[i + 2]],
			 d = values64[p[i + 3]];
		unsigned group = (a & 63) << 18 | (b & 63) << 12 | (c & 63) << 6 | (d & 63);

		if (((a | b | c | d) & not_here) != 0)
			break;
		*out++ = (char)(group >> 16);
		*out++ = (char)(group >> 8);
		*out++ = (char)group;
	}
	return i;
}

static int
value32(char c)
{
	if (c >= 'a' && c <= 'z')
		return c - 'a';
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	return c >= '2' && c <= '7' ? c - '2' + 26 : -1;
}

/* Bits of `in`, `width` a digit; what is left at the end must be less than a digit, and zero. */
static bool
decode(struct buf *out, struct slice in, unsigned width, int kind)
{
	size_t start = out->len, at = start;
	uint32_t bits = 0;
	unsigned have = 0;
	size_t i = 0;

	if (!buf_reserve(out, in.len * width / 8))
		return false;
	if (width == 6) {
		i = decode_groups(out->p + start, in, (enum base64_kind)kind);
		at += i / 4 * 3;
	}
	for (; i < in.len; i++) {
		int v = width == 5 ? value32(in.p[i]) : value64(in.p[i], (enum base64_kind)kind);

		if (v < 0)
			goto bad;
		bits = (bits << width | (uint32_t)v) & 0xffff;
		have += width;
		if (have >= 8) {
			have -= 8;
			out->p[at++] = (char)(bits >> have & 0xff);
		}
	}
	if (have < width && (bits & ((1u << have) - 1)) == 0) {
		out->len = at;
		out->p[at] = '\0';
		return true;
	}
bad:
	out->p[start] = '\0';
	return false;
}

bool
base64_decode(struct buf *out, struct slice in, enum base64_kind kind)
{
	if (kind == BASE64_STD) {
		if (in.len % 4 != 0)
			return false;
		for (int pads = 0; pads < 2 && in.len > 0 && in.p[in.len - 1] == '='; pads++)
			in.len--;
	}
	return decode(out, in, 6, (int)kind);
}

void
base32_encode(struct buf *out, struct slice in)
{
	uint32_t bits = 0;
	unsigned have = 0;

	for (size_t i = 0; i < in.len; i++) {
		bits = (bits << 8 | (unsigned char)in.p[i]) & 0xffff;
		for (have += 8; have >= 5; have -= 5)
			buf_addc(out, alphabet32[bits >> (have - 5) & 31]);
	}
	if (have > 0)
		buf_addc(out, alphabet32[bits << (5 - have) & 31]);
}

bool
base32_decode(struct buf *out, struct slice in)
{
	return decode(out, in, 5, 0);
}
