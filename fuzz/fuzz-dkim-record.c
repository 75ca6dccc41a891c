/* dkim-record: what is read lies in the text; a record that can be read fits or says why not. */
#include <stdlib.h>

#include "common/dkim_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char ed25519_pem[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
    "-----END PRIVATE KEY-----\n"; /* RFC 8463 A.2 */

static void
check(bool good)
{
	if (!good)
		abort();
}

static void
check_inside(struct slice s, const uint8_t *data, size_t size)
{
	const char *from = (const char *)data;

	check(s.len == 0 || (s.p >= from && s.p + s.len <= from + size));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct dkim_key *key;
	struct dkim_record r;
	struct err e = { .text = "" };

	if (key == NULL)
		key = dkim_key_parse("rfc8463", slice_str(ed25519_pem), NULL);
	check(key != NULL);
	if (dkim_record_read((struct slice){ (const char *)data, size }, &r, &e) < 0) {
		check(e.text[0] != '\0');
		return 0;
	}
	check_inside(r.key, data, size);
	if (!slice_eq(r.key_type, SLICE_LIT("rsa")))
		check_inside(r.key_type, data, size);
	check(r.revoked == (r.key.len == 0));
	if (dkim_record_fits(&r, key, &e) < 0)
		check(e.text[0] != '\0');
	return 0;
}
