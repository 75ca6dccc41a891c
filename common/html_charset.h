/*
 * html_charset.h - may HTML in that charset be read byte by byte?
 */
#ifndef COMMON_HTML_CHARSET_H
#define COMMON_HTML_CHARSET_H

#include "common/slice.h"

enum html_charset {
	/*
	 * Every byte below 0x80 that means something to HTML is that character: UTF-8, the
	 * ISO-8859 and Windows sets, and also Shift_JIS, EUC, GBK, GB18030 and Big5, whose
	 * second bytes are never < > " ' = & / or blank. Unknown names are taken for this.
	 */
	HTML_CHARSET_ASCII,
	/* ISO-2022-JP: "<" may be half a character between escapes; html_charset_mask(). */
	HTML_CHARSET_ISO_2022_JP,
	/* UTF-16, UTF-32, UTF-7, HZ, ISO-2022-KR and -CN, Johab, EBCDIC: left alone. */
	HTML_CHARSET_OTHER,
};

/* By the name that the Content-Type gives; empty is ASCII. */
enum html_charset html_charset_find(struct slice name);

/* Does it start with the byte order mark of UTF-16 or UTF-32? That outweighs any name. */
bool html_charset_is_utf16(struct slice text);

/*
 * ISO-2022-JP: copy in.len bytes to `out`, but 'x' for each byte that is not ASCII or
 * JIS-Roman there. The escapes themselves and controls stay. False if the text ends
 * in another set, so that nothing can be put behind it.
 */
bool html_charset_mask(char *out, struct slice in);

#endif
