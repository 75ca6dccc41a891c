/*
 * Which Authorization headers open the collector.
 */
#include "collector/settings.h"
#include "t/tap.h"

#define KEY_A "0123456789abcdef0123456789abcdef01234567"
#define KEY_B "fedcba9876543210fedcba9876543210fedcba98"
#define KEY_S "5555555555555555555555555555555555555555"

static struct settings *
settings_of(const char *text, struct err *e)
{
	struct conf *conf = conf_parse("t.conf", slice_str(text), e);

	return conf != NULL ? settings_make(conf, e) : NULL;
}

static void
headers(void)
{
	static const struct {
		const char *header;
		bool good;
	} cases[] = {
		{ KEY_A, true },
		{ KEY_B, true },
		{ "  " KEY_A " ", true },
		{ KEY_S,
		    false }, /* there are keys in <collector>: that of <signals> does not count */
		{ "", false },
		{ " ", false },
		{ KEY_A "0", false },
		{ KEY_A KEY_B, false },
		{ "Basic", false },
		{ "Basic ", false },
		{ "Basic Og==", false }, /* ":" */
		{ "Basic MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzo=", true },
		{ "basic   MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzo=", true },
		{ "Basic MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzo", false },
		{ "Basic MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzo= x", false },
		{ "Basic " KEY_A, false },
		{ "Bearer " KEY_A, false },
	};
	struct err e;
	struct settings *s =
	    settings_of("<signals>\napi-key " KEY_S "\n</signals>\n"
			"<collector>\napi-key " KEY_A "\napi-key " KEY_B "\n</collector>\n",
		&e);

	ok(s != NULL && s->n_keys == 2, "two keys");
	for (size_t i = 0; s != NULL && i < COUNT(cases); i++)
		ok(settings_authorized(s, slice_str(cases[i].header)) == cases[i].good,
		    "Authorization: %s", cases[i].header);
	settings_release(settings_hold(s));
	settings_release(s);
}

static void
where_keys_are(void)
{
	struct err e;
	struct settings *s = settings_of("<signals>\napi-key " KEY_S "\n</signals>\n", &e);

	ok(s != NULL && settings_authorized(s, SLICE_LIT(KEY_S)), "the key of <signals>");
	settings_release(s);
	s = settings_of("<collector>\n</collector>\n", &e);
	ok(s == NULL &&
		strcmp(e.text, "t.conf: no api-key, neither in <collector> nor in <signals>") == 0,
	    "no key: %s", e.text);
	settings_release(s);
}

int
main(void)
{
	headers();
	where_keys_are();
	return tap_done();
}
