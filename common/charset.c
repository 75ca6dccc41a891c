#include "common/charset.h"

#include <errno.h>
#include <iconv.h>

#include "common/utf8.h"

/*
 * Charsets that mail is written in, by the names it uses, and iconv(3)'s name for
 * what is meant. Others stay undecoded: a sender shall not choose which of
 * iconv's 250 modules are loaded. NULL is UTF-8.
 *
 * What is called ISO-8859-1 is Windows-1252 more often than not, and a superset
 * of it; likewise the East Asian ones, which their users' programs have extended.
 */
static const struct charset charsets[] = {
	{ "utf-8", NULL },
	{ "utf8", NULL },
	{ "us-ascii", NULL },
	{ "ascii", NULL },
	{ "iso-8859-1", "CP1252" },
	{ "iso8859-1", "CP1252" },
	{ "iso_8859-1", "CP1252" },
	{ "latin1", "CP1252" },
	{ "iso-8859-2", "ISO-8859-2" },
	{ "iso-8859-3", "ISO-8859-3" },
	{ "iso-8859-4", "ISO-8859-4" },
	{ "iso-8859-5", "ISO-8859-5" },
	{ "iso-8859-6", "ISO-8859-6" },
	{ "iso-8859-7", "ISO-8859-7" },
	{ "iso-8859-8", "ISO-8859-8" },
	{ "iso-8859-8-i", "ISO-8859-8" },
	{ "iso-8859-9", "CP1254" },
	{ "iso-8859-10", "ISO-8859-10" },
	{ "iso-8859-11", "CP874" },
	{ "iso-8859-13", "ISO-8859-13" },
	{ "iso-8859-14", "ISO-8859-14" },
	{ "iso-8859-15", "ISO-8859-15" },
	{ "iso-8859-16", "ISO-8859-16" },
	{ "windows-1250", "CP1250" },
	{ "windows-1251", "CP1251" },
	{ "windows-1252", "CP1252" },
	{ "windows-1253", "CP1253" },
	{ "windows-1254", "CP1254" },
	{ "windows-1255", "CP1255" },
	{ "windows-1256", "CP1256" },
	{ "windows-1257", "CP1257" },
	{ "windows-1258", "CP1258" },
	{ "windows-874", "CP874" },
	{ "tis-620", "CP874" },
	{ "cp1250", "CP1250" },
	{ "cp1251", "CP1251" },
	{ "cp1252", "CP1252" },
	{ "cp437", "CP437" },
	{ "cp850", "CP850" },
	{ "cp852", "CP852" },
	{ "ibm852", "CP852" },
	{ "cp866", "CP866" },
	{ "ibm866", "CP866" },
	{ "koi8-r", "KOI8-R" },
	{ "koi8-u", "KOI8-U" },
	{ "macintosh", "MACINTOSH" },
	{ "gb2312", "GB18030" },
	{ "gbk", "GB18030" },
	{ "gb18030", "GB18030" },
	{ "big5", "BIG5-HKSCS" },
	{ "big5-hkscs", "BIG5-HKSCS" },
	{ "shift_jis", "CP932" },
	{ "shift-jis", "CP932" },
	{ "windows-31j", "CP932" },
	{ "cp932", "CP932" },
	{ "euc-jp", "EUC-JP" },
	{ "iso-2022-jp", "ISO-2022-JP-2" },
	{ "iso-2022-jp-2", "ISO-2022-JP-2" },
	{ "euc-kr", "CP949" },
	{ "ks_c_5601-1987", "CP949" },
	{ "cp949", "CP949" },
	{ "iso-2022-kr", "ISO-2022-KR" },
	{ "utf-7", "UTF-7" },
};

/* "iso-8859-2*pl": the language (RFC 2231 section 5) is of no use here. */
const struct charset *
charset_find(struct slice name)
{
	name = slice_cut(&name, '*');
	for (size_t i = 0; i < COUNT(charsets); i++)
		if (slice_eqi(name, slice_str(charsets[i].name)))
			return &charsets[i];
	return NULL;
}

/* A byte that iconv can't use is replaced and passed over, so every round takes input or ends. */
static void
convert(struct buf *out, iconv_t cd, struct slice in)
{
	char *from = (char *)(uintptr_t)in.p; /* iconv(3) does not write there */
	size_t left = in.len;

	iconv(cd, NULL, NULL, NULL, NULL);
	while (left > 0 && !out->full) {
		char chunk[4096], *to = chunk;
		size_t room = sizeof(chunk), before = left;
		size_t rc = iconv(cd, &from, &left, &to, &room);
		int why = rc == (size_t)-1 ? errno : 0;

		buf_add(out, (struct slice){ chunk, sizeof(chunk) - room });
		if (left > 0 && (why == EILSEQ || why == EINVAL || left == before)) {
			buf_adds(out, "\xef\xbf\xbd");
			from++;
			left--;
		}
	}
}

static iconv_t
converter(struct charset_cache *cache, const struct charset *c)
{
	const size_t n = COUNT(cache->open);
	iconv_t cd;

	for (size_t i = 0; i < n; i++)
		if (cache->open[i].charset == c)
			return (iconv_t)cache->open[i].converter;
	cd = iconv_open("UTF-8", c->iconv_name);
	if (cd == (iconv_t)-1)
		return cd;
	if (cache->open[cache->next].charset != NULL)
		iconv_close((iconv_t)cache->open[cache->next].converter);
	cache->open[cache->next].charset = c;
	cache->open[cache->next].converter = cd;
	cache->next = (cache->next + 1) % (unsigned)n;
	return cd;
}

void
charset_cache_close(struct charset_cache *cache)
{
	for (size_t i = 0; i < COUNT(cache->open); i++)
		if (cache->open[i].charset != NULL)
			iconv_close((iconv_t)cache->open[i].converter);
	*cache = (struct charset_cache){ .next = 0 };
}

bool
charset_to_utf8(struct buf *out, struct slice in, struct slice name, struct charset_cache *cache)
{
	const struct charset *c = charset_find(name);
	bool by_line = slice_startsi(name, SLICE_LIT("iso-2022"));
	iconv_t cd;

	if (c == NULL || c->iconv_name == NULL)
		return false;
	cd = converter(cache, c);
	if (cd == (iconv_t)-1)
		return false;
	/* RFC 1468: a line begins in ASCII, whatever went wrong in the one before it. */
	while (by_line && in.len > 0) {
		size_t n = slice_find(in, '\n');

		n += n < in.len;
		convert(out, cd, slice_head(in, n));
		in = slice_skip(in, n);
	}
	if (in.len > 0)
		convert(out, cd, in);
	return true;
}
