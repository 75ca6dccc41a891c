/* Key records in DNS: what is read, and why one does not fit a key. */
#include "common/dkim_record.h"

#include <string.h>

#include "t/tap.h"

static const struct {
	const char *text, *error; /* NULL: it can be read */
} texts[] = {
	{ "v=DKIM1; k=rsa; p=AAAA", NULL },
	{ "v=DKIM1;p=AAAA;", NULL },
	{ "p=AAAA", NULL },
	{ " v = DKIM1 ; p = AA AA ", NULL },
	{ "v=DKIM1; p=", NULL },
	{ "v=DKIM1; x=what; long-tag=y; p=AAAA", NULL },
	{ "k=rsa; v=DKIM1; p=AAAA", "v= must stand first" },
	{ "v=DKIM2; p=AAAA", "v= must stand first" },
	{ "v=dkim1; p=AAAA", "v= must stand first" },
	{ "v=DKIM1; k=rsa", "it has no p=" },
	{ "", "it has no p=" },
	{ "v=spf1 -all", "v= must stand first" },
	{ "hello world", "\"hello world\" is no tag" },
	{ "v=DKIM1; p=AAAA; p=BBBB", "p= is there twice" },
	{ "\"v=DKIM1; p=AAAA\"", "it has quotes in it" },
	{ "v=DKIM1\\; p=AAAA", "it has backslashes before its semicolons" },
};

static void
test_read(void)
{
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct dkim_record r;
		struct err e = { .text = "" };
		int rc = dkim_record_read(slice_str(texts[i].text), &r, &e);

		if (texts[i].error == NULL)
			ok(rc == 0, "reads: %s (%s)", texts[i].text, e.text);
		else
			ok(rc < 0 && strstr(e.text, texts[i].error) != NULL, "refuses: %s: %s",
			    texts[i].text, e.text);
	}
}

static void
test_flags(void)
{
	struct dkim_record r;
	struct err e;

	ok(dkim_record_read(SLICE_LIT("v=DKIM1; t=y:s; h=sha1:sha256; s=*; p=AA=="), &r, &e) == 0 &&
		r.testing && r.strict && r.sha256 && r.email && !r.revoked,
	    "flags, hashes, services");
	ok(dkim_record_read(SLICE_LIT("h=sha1; s=tlsrpt; p="), &r, &e) == 0 && !r.testing &&
		!r.strict && !r.sha256 && !r.email && r.revoked,
	    "the other way round");
}

/* `form` has one %s for the key's own p=. */
static const struct {
	const char *head;
	size_t cut; /* characters of our own p=; 0: all */
	const char *tail, *error;
} fits[] = {
	{ "v=DKIM1; k=ed25519; p=", 0, "", NULL },
	{ "v=DKIM1; k=ed25519; p= ", 0, " ; t=s", NULL },
	{ "v=DKIM1; p=", 0, "", "k=rsa, but the private key is ed25519" },
	{ "v=DKIM1; k=ed25519; h=sha1; p=", 0, "", "h= does not allow sha256" },
	{ "v=DKIM1; k=ed25519; s=other; p=", 0, "", "s= does not allow email" },
	{ "v=DKIM1; k=ed25519; p=", 20, "", "p= is cut off: 20 of 44" },
	{ "v=DKIM1; k=ed25519; p=\\\"", 0, "", "p= is no base64" },
	{ "v=DKIM1; k=ed25519; p=", 40, "AAA=", "p= is another key" },
	{ "v=DKIM1; k=ed25519; p=; n=", 0, "", "the key is revoked" },
};

static void
test_fits(void)
{
	struct buf pem, own, text;
	struct dkim_record r;
	struct dkim_key *k;
	struct err e = { .text = "" };
	struct slice p;

	buf_init(&pem, 65536);
	buf_init(&own, 65536);
	buf_init(&text, 65536);
	ok(dkim_key_generate(DKIM_ED25519_SHA256, 0, &pem, &e) == 0, "a key %s", e.text);
	k = dkim_key_parse("t", buf_slice(&pem), &e);
	ok(k != NULL, "it is read %s", e.text);
	dkim_key_record(k, &own);
	dkim_record_read(buf_slice(&own), &r, &e);
	p = r.key;
	for (size_t i = 0; i < COUNT(fits); i++) {
		int rc;

		buf_clear(&text);
		buf_adds(&text, fits[i].head);
		buf_add(&text, fits[i].cut > 0 ? slice_head(p, fits[i].cut) : p);
		buf_adds(&text, fits[i].tail);
		e.text[0] = '\0';
		rc = dkim_record_read(buf_slice(&text), &r, &e) < 0 ? -1
		                                                    : dkim_record_fits(&r, k, &e);
		if (fits[i].error == NULL)
			ok(rc == 0, "fits: %s%s", fits[i].head, e.text);
		else
			ok(rc < 0 && strstr(e.text, fits[i].error) != NULL, "does not: %s", e.text);
	}
	dkim_key_close(k);
	buf_free(&pem);
	buf_free(&own);
	buf_free(&text);
}

int
main(void)
{
	test_read();
	test_flags();
	test_fits();
	return tap_done();
}
