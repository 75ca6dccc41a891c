#include "common/html_charset.h"

/* Names, or their starts if they end in '*'; in lower case. */
static const struct {
	const char *name;
	enum html_charset kind;
} charsets[] = {
	{ "iso-2022-jp*", HTML_CHARSET_ISO_2022_JP },
	{ "iso2022jp*", HTML_CHARSET_ISO_2022_JP },
	{ "csiso2022jp*", HTML_CHARSET_ISO_2022_JP },
	{ "cp5022*", HTML_CHARSET_ISO_2022_JP },
	{ "jis", HTML_CHARSET_ISO_2022_JP },
	{ "jis7", HTML_CHARSET_ISO_2022_JP },
	{ "jis_encoding", HTML_CHARSET_ISO_2022_JP },
	{ "csjisencoding", HTML_CHARSET_ISO_2022_JP },
	{ "utf-16*", HTML_CHARSET_OTHER },
	{ "utf16*", HTML_CHARSET_OTHER },
	{ "csutf16*", HTML_CHARSET_OTHER },
	{ "utf-32*", HTML_CHARSET_OTHER },
	{ "utf32*", HTML_CHARSET_OTHER },
	{ "csutf32*", HTML_CHARSET_OTHER },
	{ "utf-7*", HTML_CHARSET_OTHER },
	{ "utf7*", HTML_CHARSET_OTHER },
	{ "unicode-1-1-utf-7", HTML_CHARSET_OTHER },
	{ "unicode-2-0-utf-7", HTML_CHARSET_OTHER },
	{ "x-unicode-2-0-utf-7", HTML_CHARSET_OTHER },
	{ "csutf7*", HTML_CHARSET_OTHER },
	{ "unicode-1-1", HTML_CHARSET_OTHER },
	{ "unicode", HTML_CHARSET_OTHER },
	{ "unicodefffe", HTML_CHARSET_OTHER },
	{ "unicodefeff", HTML_CHARSET_OTHER },
	{ "ucs-*", HTML_CHARSET_OTHER },
	{ "ucs2*", HTML_CHARSET_OTHER },
	{ "ucs4*", HTML_CHARSET_OTHER },
	{ "iso-10646*", HTML_CHARSET_OTHER },
	{ "csunicode*", HTML_CHARSET_OTHER },
	{ "csucs4", HTML_CHARSET_OTHER },
	{ "scsu", HTML_CHARSET_OTHER },
	{ "bocu-1", HTML_CHARSET_OTHER },
	{ "hz", HTML_CHARSET_OTHER },
	{ "hz-gb-2312", HTML_CHARSET_OTHER },
	{ "hzgb2312", HTML_CHARSET_OTHER },
	{ "iso-2022-*", HTML_CHARSET_OTHER }, /* behind -jp */
	{ "iso2022*", HTML_CHARSET_OTHER },
	{ "csiso2022*", HTML_CHARSET_OTHER },
	{ "x-iso-2022*", HTML_CHARSET_OTHER },
	{ "johab", HTML_CHARSET_OTHER }, /* its second bytes are 0x31 and up */
	{ "x-johab", HTML_CHARSET_OTHER },
	{ "cp1361", HTML_CHARSET_OTHER },
	{ "ms1361", HTML_CHARSET_OTHER },
	{ "ebcdic*", HTML_CHARSET_OTHER },
	{ "x-ebcdic*", HTML_CHARSET_OTHER },
	{ "csebcdic*", HTML_CHARSET_OTHER },
	{ "ebcdic-cp-*", HTML_CHARSET_OTHER },
	{ "ibm0*", HTML_CHARSET_OTHER }, /* 037 to 01149, EBCDIC all of them */
	{ "ibm1*", HTML_CHARSET_OTHER },
	{ "ibm2*", HTML_CHARSET_OTHER },
	{ "ibm4243", HTML_CHARSET_OTHER },
	{ "ibm42*", HTML_CHARSET_OTHER },
	{ "ibm5*", HTML_CHARSET_OTHER },
	{ "ibm870", HTML_CHARSET_OTHER },
	{ "ibm871", HTML_CHARSET_OTHER },
	{ "ibm880", HTML_CHARSET_OTHER },
	{ "ibm905", HTML_CHARSET_OTHER },
	{ "ibm918", HTML_CHARSET_OTHER },
	{ "ibm93*", HTML_CHARSET_OTHER },
	{ "csibm0*", HTML_CHARSET_OTHER },
	{ "csibm2*", HTML_CHARSET_OTHER },
	{ "csibm5*", HTML_CHARSET_OTHER },
	{ "csibm10*", HTML_CHARSET_OTHER },
	{ "csibm87*", HTML_CHARSET_OTHER },
	{ "csibm88*", HTML_CHARSET_OTHER },
	{ "csibm9*", HTML_CHARSET_OTHER },
	{ "cp037", HTML_CHARSET_OTHER },
	{ "cp0*", HTML_CHARSET_OTHER },
	{ "cp1026", HTML_CHARSET_OTHER },
	{ "cp1047", HTML_CHARSET_OTHER },
	{ "cp114*", HTML_CHARSET_OTHER },
	{ "cp273", HTML_CHARSET_OTHER },
	{ "cp277", HTML_CHARSET_OTHER },
	{ "cp278", HTML_CHARSET_OTHER },
	{ "cp28*", HTML_CHARSET_OTHER },
	{ "cp290", HTML_CHARSET_OTHER },
	{ "cp297", HTML_CHARSET_OTHER },
	{ "cp42*", HTML_CHARSET_OTHER },
	{ "cp500", HTML_CHARSET_OTHER },
	{ "cp870", HTML_CHARSET_OTHER },
	{ "cp871", HTML_CHARSET_OTHER },
	{ "cp875", HTML_CHARSET_OTHER },
	{ "cp880", HTML_CHARSET_OTHER },
	{ "cp905", HTML_CHARSET_OTHER },
	{ "cp918", HTML_CHARSET_OTHER },
	{ "cp93*", HTML_CHARSET_OTHER },
	{ "replacement", HTML_CHARSET_OTHER },
};

enum html_charset
html_charset_find(struct slice name)
{
	name = slice_trim(name);
	for (size_t i = 0; i < COUNT(charsets); i++) {
		struct slice row = slice_str(charsets[i].name);

		if (row.p[row.len - 1] == '*') {
			row.len--;
			if (slice_startsi(name, row))
				return charsets[i].kind;
		} else if (slice_eqi(name, row)) {
			return charsets[i].kind;
		}
	}
	return HTML_CHARSET_ASCII;
}

bool
html_charset_is_utf16(struct slice text)
{
	/* UTF-32 with its high byte last starts as UTF-16 does. */
	return slice_starts(text, SLICE_LIT("\xff\xfe")) ||
	       slice_starts(text, SLICE_LIT("\xfe\xff")) ||
	       slice_starts(text, SLICE_LIT("\0\0\xfe\xff"));
}

bool
html_charset_mask(char *out, struct slice in)
{
	bool other = false; /* neither ASCII nor JIS-Roman */

	for (size_t i = 0; i < in.len; i++) {
		char c = in.p[i];

		if (c != '\033') {
			out[i] = other && c > 0x20 && c < 0x7f ? 'x' : c;
			continue;
		}
		/* ESC $ @, ESC $ B, ESC $ ( D; ESC ( B, ESC ( J, ESC ( I (katakana). */
		out[i] = c;
		if (i + 1 < in.len && in.p[i + 1] == '$') {
			other = true;
			out[++i] = '$';
			if (i + 1 < in.len && in.p[i + 1] == '(')
				out[i + 1] = '(', i++;
		} else if (i + 1 < in.len && in.p[i + 1] == '(') {
			out[++i] = '(';
			other = i + 1 == in.len || (in.p[i + 1] != 'B' && in.p[i + 1] != 'J');
		} else {
			continue;
		}
		if (i + 1 < in.len && in.p[i + 1] >= '@' && in.p[i + 1] < 0x7f) {
			i++;
			out[i] = in.p[i];
		}
	}
	return !other;
}
