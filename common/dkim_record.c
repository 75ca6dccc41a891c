#include "common/dkim_record.h"

#include "common/base64.h"

#define SHOWN 16 /* characters around the first difference */

/* Is `word` one of the colon-separated words of `list`? */
static bool
names(struct slice list, struct slice word)
{
	while (list.len > 0)
		if (slice_eqi(slice_trim(slice_cut(&list, ':')), word))
			return true;
	return false;
}

static void
take(struct dkim_record *out, char tag, struct slice value)
{
	switch (tag) {
	case 'k':
		out->key_type = value;
		break;
	case 'p':
		out->key = value;
		out->revoked = value.len == 0;
		break;
	case 'h':
		out->sha256 = names(value, SLICE_LIT("sha256"));
		break;
	case 's':
		out->email = names(value, SLICE_LIT("email")) || names(value, SLICE_LIT("*"));
		break;
	case 't':
		out->testing = names(value, SLICE_LIT("y"));
		out->strict = names(value, SLICE_LIT("s"));
		break;
	default: /* n=, g=, and what is not known: ignored (RFC 6376 3.2) */
		break;
	}
}

/* A DNS name server shows what it can't print as \DDD; controls become '?' in an err. */
static int
read_tag(struct dkim_record *out, struct slice spec, bool first, uint64_t *seen, struct err *e)
{
	struct slice value = spec, name = slice_trim(slice_cut(&value, '='));
	uint64_t bit;

	if (name.len + value.len == spec.len)
		return err_set(e, "\"%.*s\" is no tag: TAG=VALUE is expected between semicolons",
		    SLICE_FMT(slice_head(spec, 60)));
	value = slice_trim(value);
	if (slice_eq(name, SLICE_LIT("v")) && (!first || !slice_eq(value, SLICE_LIT("DKIM1"))))
		return err_set(e, "v= must stand first and be \"DKIM1\"");
	if (name.len != 1 || name.p[0] < 'a' || name.p[0] > 'z')
		return 0;
	bit = (uint64_t)1 << (name.p[0] - 'a');
	if ((*seen & bit) != 0)
		return err_set(e, "the tag %c= is there twice", name.p[0]);
	*seen |= bit;
	take(out, name.p[0], value);
	return 0;
}

int
dkim_record_read(struct slice text, struct dkim_record *out, struct err *e)
{
	struct slice rest = slice_trim(text);
	uint64_t seen = 0;
	bool first = true;

	*out = (struct dkim_record){ .key_type = SLICE_LIT("rsa"), .sha256 = true, .email = true };
	if (rest.len > 0 && rest.p[0] == '"')
		return err_set(
		    e, "it has quotes in it: they belong to the zone file, not to the value");
	/* No tag's value has one, but for notes; some name servers' files want "\;". */
	for (struct slice at = rest; at.len > 1; at = slice_skip(at, 1))
		if (at.p[0] == '\\' && at.p[1] == ';')
			return err_set(e, "it has backslashes before its semicolons: they belong "
			                  "to the zone file, not "
					  "to the value");
	while (rest.len > 0) {
		struct slice spec = slice_trim(slice_cut(&rest, ';'));

		if (spec.len == 0) /* behind the last semicolon */
			continue;
		if (read_tag(out, spec, first, &seen, e) < 0)
			return -1;
		first = false;
	}
	if ((seen & (uint64_t)1 << ('p' - 'a')) == 0)
		return err_set(e, "it has no p=, which is the key");
	return 0;
}

static void
add_without_blanks(struct buf *out, struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] != ' ' && s.p[i] != '\t' && s.p[i] != '\r' && s.p[i] != '\n')
			buf_addc(out, s.p[i]);
}

/* Where two keys part, as all keys of a kind begin alike. */
static struct slice
around_difference(struct slice a, struct slice b)
{
	size_t at = 0;

	while (at < a.len && at < b.len && a.p[at] == b.p[at])
		at++;
	return slice_head(slice_skip(a, at > SHOWN / 2 ? at - SHOWN / 2 : 0), SHOWN);
}

static int
same_key(struct slice theirs, struct slice ours, struct err *e)
{
	struct buf key;
	int rc = 0;

	buf_init(&key, BUF_NO_LIMIT);
	if (theirs.len < ours.len && slice_starts(ours, theirs))
		rc = err_set(e,
		    "p= is cut off: %zu of %zu characters are published (a string of a TXT record "
		    "holds 255: "
		    "publish several)",
		    theirs.len, ours.len);
	else if (!base64_decode(&key, theirs, BASE64_STD))
		rc = err_set(e, "p= is no base64: it was changed or cut when it was published");
	else if (!slice_eq(theirs, ours))
		rc = err_set(e, "p= is another key: ...%.*s... is published, ours is ...%.*s...",
		    SLICE_FMT(around_difference(theirs, ours)),
		    SLICE_FMT(around_difference(ours, theirs)));
	buf_free(&key);
	return rc;
}

int
dkim_record_fits(const struct dkim_record *r, const struct dkim_key *k, struct err *e)
{
	const char *type = dkim_key_algorithm(k) == DKIM_RSA_SHA256 ? "rsa" : "ed25519";
	struct dkim_record own;
	struct buf text, theirs;
	int rc;

	if (r->revoked)
		return err_set(e, "p= is empty: the key is revoked");
	if (!slice_eq(r->key_type, slice_str(type)))
		return err_set(e, "k=%.*s, but the private key is %s",
		    SLICE_FMT(slice_head(r->key_type, 40)), type);
	if (!r->sha256)
		return err_set(e, "h= does not allow sha256, which the signatures use");
	if (!r->email)
		return err_set(e, "s= does not allow email");
	buf_init(&text, BUF_NO_LIMIT);
	buf_init(&theirs, BUF_NO_LIMIT);
	dkim_key_record(k, &text);
	add_without_blanks(&theirs, r->key);
	rc = dkim_record_read(buf_slice(&text), &own, e);
	if (rc == 0)
		rc = same_key(buf_slice(&theirs), own.key, e);
	buf_free(&theirs);
	buf_free(&text);
	return rc;
}
